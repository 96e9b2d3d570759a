/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hostile VMMs and guests make calls, queue commands and write tables that are right,
 * nearly right or wrong. Whatever they do, the kernel must survive (run with
 * panic_on_warn=1) and answer as documented, and DMA must reach only memory that the tables
 * map.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_FUZZ_H
#define SELFTEST_SMMUV3_ACCEL_FUZZ_H

#include <pthread.h>
#include <stdatomic.h>

#include "calls.h"

#define DEFAULT_ROUNDS	3000
#define DEFAULT_SEED	0x5eed

#define FILES		3
#define DEVICES		2
#define FIRST_DEVICE	2	/* the neighbour has number 0 */
#define IDS		16
#define VSIDS		8
#define FIRST_VSID	0x3c	/* on both sides of a level-2 table's end */

#define IOVA		0x20000000ULL
#define CDS		2
#define STRTAB_LOG2SIZE	8
#define RING_LOG2SIZE	6
#define RING_SIZE	(1U << RING_LOG2SIZE)
#define RING_MASK	(2 * RING_SIZE - 1)

/**
 * struct setting - What all hostile threads share
 * @g: guest memory, the first iommufd and accel file
 * @cds: CDs
 * @pages: the page that IOVA leads to by each CD
 * @canaries: guest memory that no table leads to
 * @strtab: stream tables, a linear one and a 2-level one
 * @stes: their STEs
 * @l1: correct level-1 descriptors
 * @ring: the command queue
 * @dev: devices
 * @dev_lock: held while their registers are in use
 * @accel: accel files
 * @iommufd: two of them; the second has no devices
 * @ioas: their IOASes
 * @parents: stage-2 parents that the VMM has made, one for each device
 * @ids: the latest IDs that the kernel has named
 * @bad: a page that cannot be accessed
 * @host_idr: what the devices' SMMU has
 * @meddle: destroy the module's objects and move its devices
 * @good: calls that succeeded, by number
 * @dmas: DMAs that were not aborted
 */
struct setting {
	struct guest g;
	__u64 cds[CDS];
	__u64 pages[CDS];
	__u64 canaries;
	__u64 canaries_len;
	struct strtab strtab[2];
	volatile __u64 *stes[2][VSIDS];
	__u64 l1[2];
	struct ring ring;
	struct dma_dev dev[DEVICES];
	pthread_mutex_t dev_lock[DEVICES];
	int accel[FILES];
	int iommufd[2];
	__u32 ioas[2];
	__u32 parents[DEVICES];
	__u32 ids[IDS];
	char *bad;
	__u32 host_idr[6];
	bool meddle;
	__u64 seed;
	__u64 rounds;
	atomic_int failures;
	atomic_uint calls;
	atomic_uint good[ACCEL_CALLS];
	atomic_uint dmas;
};

extern struct setting s;

__attribute__((format(printf, 1, 2)))
void wrong(const char *format, ...);

/* Random things. @r: state of the random numbers */
bool one_in(__u64 *r, __u32 sides);
__u32 about(__u64 *r, __u32 value);
__u32 any_vsid(__u64 *r);
__u32 any_id(__u64 *r);
void see_id(__u64 *r, __u32 id);
__u64 bad_pointer(__u64 *r);
__u64 any_pointer(__u64 *r, const void *good);
void any_ste(__u64 *r, __u64 ste[8]);
struct cmd any_cmd(__u64 *r);
__u32 any_regions(__u64 *r, struct smmuv3_accel_mem_region region[4]);
void any_regs(__u64 *r, struct smmuv3_accel_set_regs *regs);

void one_dma(__u64 *r);
void scribble(__u64 *r);

union arg {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct smmuv3_accel_info info;
	struct smmuv3_accel_create create;
	struct smmuv3_accel_set_idr set_idr;
	struct smmuv3_accel_mem_table mem_table;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_detach detach;
	struct smmuv3_accel_phys phys;
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_install_ste install_ste;
	struct smmuv3_accel_invalidate invalidate;
	struct smmuv3_accel_set_regs set_regs;
	struct smmuv3_accel_run_cmdq run_cmdq;
	struct smmuv3_accel_reset reset;
	struct smmuv3_accel_stats stats;
	struct smmuv3_accel_change_process change_process;
	struct smmuv3_accel_set_vsids set_vsids;
	__u8 bytes[256];
};

int call_at(const struct accel_call *call, int fd, const union arg *in, union arg *at);

int fuzz_start(void);
int setting_open(void);
int setting_close(void);

#endif
