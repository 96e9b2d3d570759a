/* SPDX-License-Identifier: GPL-2.0 */
/*
 * smmuv3-accel-bench: what /dev/smmuv3-accel costs, against direct use of iommufd.
 *
 * A function that fails ends the process of its part, see attempt().
 */
#ifndef SMMUV3_ACCEL_BENCH_H
#define SMMUV3_ACCEL_BENCH_H

#include <stdbool.h>
#include <linux/iommufd.h>
#include <linux/types.h>

#include "accelctl.h"
#include "guest.h"

/* The devices, from the command line */

/**
 * struct bench_device - A device that the program may use
 * @bdf: its PCI address
 * @smmu: the SMMU that it is behind, empty if there is none
 * @phys: the registers of that
 */
struct bench_device {
	char bdf[16];
	char smmu[64];
	struct smmuv3_accel_phys phys;
};

/*
 * The devices behind the SMMU with the most of them come first. devices[first_of[i]] is
 * the first one behind each SMMU.
 */
#define SMMU_MAX	32
extern struct bench_device *devices;
extern unsigned int device_num, same_smmu_num, smmu_num, first_of[SMMU_MAX];

void devices_add(const char *bdf);
void devices_try(void);
void devices_sort(void);

/* main.c */

#define REPETITIONS_MAX	999
extern unsigned int repetitions;
extern bool counts_instructions;	/* the clock does */

/* process.c */

void *shared_alloc(size_t size);
__attribute__((__noreturn__)) PRINTF(1, 2) void skip(const char *format, ...);
__attribute__((__noreturn__)) PRINTF(1, 2) void fail(const char *format, ...);
bool attempt(const char *name, void (*run)(unsigned int), unsigned int arg,
	     void (*clean_up)(void));
bool endings_show(void);

/* result.c */

double now(void);
double median(const double *values);
PRINTF(2, 3) void figure(const double *values, const char *format, ...);
PRINTF(2, 3) void count(double value, const char *format, ...);
void heading_show(void);
bool module_parameter(const char *name);

/* host.c */

void host_show(void);

/* side.c: a virtual SMMU with a device, a guest and its command queue */

#define VSID		1
#define BENCH_ASID	3
#define RING_LOG2SIZE	15
#define CMDS_MAX	(1 << 14)

/**
 * struct side - A virtual SMMU, and what iommufd needs to do the same directly
 * @g: its guest
 * @dev: its devices. The StreamIDs begin with VSID, and the ASIDs with BENCH_ASID
 * @cd: their CDs
 * @dev_num: number of devices
 * @viommu_id: the vIOMMU of the first one
 * @ring: the command queue
 * @run: arguments of RUN_CMDQ
 * @inv: arguments of IOMMU_HWPT_INVALIDATE
 */
struct side {
	struct guest g;
	struct dma_dev dev[SMMU_MAX];
	__u64 cd[SMMU_MAX];
	unsigned int dev_num;
	__u32 viommu_id;
	struct ring ring;
	struct smmuv3_accel_run_cmdq run;
	struct iommu_hwpt_invalidate inv;
};

PRINTF(2, 3) void must(int rc, const char *format, ...);
void device_open(struct dma_dev *dev, struct guest *g, unsigned int index);
void device_attach(struct guest *g, const struct dma_dev *dev, __u32 vsid,
		   struct smmuv3_accel_attach *out);
void side_open(struct side *side, __u32 flags, unsigned int index);
int side_add(struct side *side, unsigned int index, __u32 *reason);
void side_table_mode(struct side *side);
void side_close(struct side *side);
void fill(struct cmd *cmds, __u32 num);
struct cmd cmd_falling(__u32 i);
void fill_ring(struct side *side, __u32 num);
void doorbell(struct side *side, __u32 num);
double timed_doorbells(struct side *side, __u32 num);
void direct(struct side *side, const struct cmd *cmds, __u32 num);
__u64 host_calls(struct side *side);
void by_hand(struct guest *g, const struct dma_dev *dev, __u32 viommu_id,
	     const __u64 ste[8], __u32 *hwpt_id);

/* What is measured. Each part opens what it needs, and closes it again. */

void bench_memory(void);	/* memory.c */
void memory_clean_up(void);
void bench_ste(void);		/* streams.c */
void bench_streams(void);
void bench_doorbells(void);	/* doorbells.c */
void bench_detours(void);
void bench_calls(void);
void bench_flood(void);
void bench_fanout(void);	/* fanout.c */
void bench_scaling(void);	/* scaling.c */

#endif
