/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers for tests under load, and of hostile guests and VMMs: random numbers, time,
 * children and signals, loading of the module, mappings, descriptors on sockets,
 * userfaultfd, DMA without a pause, and a neighbour that must not notice anything.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_STRESS_H
#define SELFTEST_SMMUV3_ACCEL_STRESS_H

#include <pthread.h>
#include <sys/types.h>

#include "machine.h"

__u64 env_number(const char *name, __u64 otherwise);
__u64 random_next(__u64 *state);
__u32 roll(__u64 *state, __u32 sides);
/* Random numbers from the program's own state. SMMUV3_ACCEL_SEED replaces @otherwise */
void dice_seed(__u64 otherwise);
__u32 dice(__u32 sides);

__u64 now_ns(void);
void sleep_ms(unsigned int ms);

/* The limit for "at once", on a debug kernel and a busy machine too */
#define AT_ONCE_MS	5000

void interrupt_on(int signal);
int child_status(pid_t pid, unsigned int ms);
int in_child(struct machine *m, int (*what)(struct machine *m));
int close_in_child(struct machine *m);
int next_vmm_works(int index);

/* A vSMMU's file in debugfs */
#define DEBUGFS	"/sys/kernel/debug/smmuv3-accel"

void debugfs_path(int accel, char path[64]);

#define MODULE	"/opt/smmuv3-accel.ko"

int module_parameters(char *to, size_t size);
int module_unload(void);
int module_load(const char *parameters);
const char *module_take_out(char *parameters, size_t size);

/* A part of this process's address space */
struct range {
	unsigned long start;
	unsigned long end;
};

int maps_read(struct range *to, int max);
bool range_has(const struct range *ranges, int num, unsigned long addr);

/*
 * The module's scratch mappings: what was mapped between scratch_before() and
 * scratch_find(), a range for each mapping
 */
#define SCRATCH_MAX	4

void scratch_before(void);
int scratch_find(struct range scratch[SCRATCH_MAX]);

/* Send descriptors and data to another process. Both return -1 on failure */
int fds_send(int sock, const int *fds, int num, const void *data, size_t len, int flags);
int fds_receive(int sock, int *fds, int num, void *data, size_t len, int flags);
/* One descriptor and a number */
int fd_send(int sock, int fd, int number);
int fd_receive(int sock, int *number);

/* userfaultfd: memory that is missing until it is given */
int uffd_open(void);
int uffd_register(int uffd, unsigned long addr, unsigned long len);
bool uffd_waits(int uffd, int timeout_ms);
int uffd_give(int uffd, unsigned long addr, const void *page, unsigned long len);

/**
 * struct dma_load - A thread that does DMA without a pause
 * @dev: the device
 * @iova: the address
 * @stop: ends the thread
 * @done: how often it did DMA
 * @aborted: how often the SMMU aborted it
 * @failed: how often it failed otherwise
 * @thread: the thread
 */
struct dma_load {
	struct dma_dev *dev;
	__u64 iova;
	volatile bool stop;
	volatile unsigned long done;
	volatile unsigned long aborted;
	volatile unsigned long failed;
	pthread_t thread;
};

int dma_load_start(struct dma_load *load, struct dma_dev *dev, __u64 iova);
void dma_load_stop(struct dma_load *load);

/**
 * struct neighbour - A VMM whose guest changes its page table all the time
 * @m: its machine, in table mode
 * @turns: how many times the guest has changed the table
 * @longest: the longest that a doorbell took, in ns
 */
struct neighbour {
	struct machine m;
	unsigned int turns;
	__u64 longest;
};

int neighbour_open(struct neighbour *n, int index);
int neighbour_turn(struct neighbour *n);
int neighbour_beside(struct neighbour *n, int (*hostile)(void));
void neighbour_close(struct neighbour *n);
int neighbour_works(int index);

#endif
