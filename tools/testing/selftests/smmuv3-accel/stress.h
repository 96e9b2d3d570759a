/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests under load and of hostile guests and VMMs share: numbers, the
 * module's loading, what is mapped, descriptors that are handed over, memory that
 * is missing, and a well-behaved VMM beside, which must not notice.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_STRESS_H
#define SELFTEST_SMMUV3_ACCEL_STRESS_H

#include <sys/types.h>

#include "guest.h"

#define NEIGHBOUR_VSID	0x11

__u64 env_number(const char *name, __u64 otherwise);
__u64 random_next(__u64 *state);
__u32 roll(__u64 *state, __u32 sides);
__u64 now_ns(void);

#define MODULE	"/opt/smmuv3-accel.ko"

int module_parameters(char *to, size_t size);
int module_unload(void);
int module_load(const char *parameters);

/* Of this process's address space */
struct range {
	unsigned long start;
	unsigned long end;
};

int maps_read(struct range *to, int max);
bool range_has(const struct range *ranges, int num, unsigned long addr);

/*
 * The module's scratch mappings: what was mapped between scratch_before() and
 * scratch_find(), one range for each mapping
 */
#define SCRATCH_MAX	4

void scratch_before(void);
int scratch_find(struct range scratch[SCRATCH_MAX]);

/* Descriptors, handed to another process with a number. Both return -1 on failure */
int fd_send(int sock, int fd, int number);
int fd_receive(int sock, int *number);

/* userfaultfd: memory that is missing until somebody gives it */
int uffd_open(void);
int uffd_register(int uffd, unsigned long addr, unsigned long len);
bool uffd_waits(int uffd, int timeout_ms);
int uffd_give(int uffd, unsigned long addr, const void *page, unsigned long len);

/**
 * struct neighbour - A VMM whose guest changes its page table all the time
 * @g: the guest, in table mode
 * @dev: its device
 * @ring: its command queue
 * @strtab: its stream table
 * @pt: its page table
 * @cd: its CD
 * @pages: where its device's DMA goes by turns
 * @turns: how many times it has changed the table
 * @longest: the longest that a doorbell took, in ns
 */
struct neighbour {
	struct guest g;
	struct dma_dev dev;
	struct ring ring;
	struct strtab strtab;
	struct pgtable pt;
	__u64 cd;
	__u64 pages[2];
	unsigned int turns;
	__u64 longest;
};

int neighbour_open(struct neighbour *n, int index);
int neighbour_turn(struct neighbour *n);
int neighbour_watch(struct neighbour *n, pid_t pid, int *status);
void neighbour_close(struct neighbour *n);

#endif
