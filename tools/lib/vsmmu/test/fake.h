/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A fake kernel under the library: it counts and records calls, and returns what a
 * test sets.
 */
#ifndef _VSMMU_TEST_FAKE_H
#define _VSMMU_TEST_FAKE_H

#include <stdbool.h>
#include "vsmmu.h"

#define FAKE_FD		1000	/* /dev/smmuv3-accel */
#define FAKE_IOMMUFD	1001
#define FAKE_VEVENTQ	2000	/* and those after it: vEVENTQs */
#define FAKE_VEVENTQS	3	/* that can be read */
#define FAKE_OTHER	3000	/* something else that is open */
#define FAKE_CLOSED	3001	/* nothing that is */
#define FAKE_UNKNOWN	3002	/* the kernel does not say what it is */
#define FAKE_REQUESTS	16
#define FAKE_STREAMS	8

/**
 * struct fake - The kernel
 * @opened: what open() returns
 * @closed: how often it was closed
 * @calls: ioctls, by number
 * @fail_rc: what the next ioctls of a number return; 0: they succeed
 * @fail_reason: their out_reason
 * @fail_vsid: their out_vsid, if they have one
 * @fail_region: their out_bad_region, if they have one
 * @fail_times: how many of them fail
 * @batch: out_max_batch
 * @max_streams: out_max_streams
 * @phys: physical SMMUs
 * @phys_num: how many there are
 * @attached: how many streams are attached
 * @vsid: their StreamIDs
 * @region: the last SET_MEM_TABLE's
 * @region_num: how many there are
 * @stream_reason: by StreamID, of those below FAKE_STREAMS
 * @on_stream: the same for all StreamIDs; NULL: see @stream_reason
 * @vsids_rc: what SET_VSIDS returns after it has set them
 * @create: the last CREATE
 * @change: the last CHANGE_PROCESS
 * @idr: the last SET_IDR
 * @attach: the last ATTACH
 * @regs: the last SET_REGS
 * @run: the last RUN_CMDQ, as the library called it
 * @on_run: carries out RUN_CMDQ; NULL: up to max_cmds are done
 * @queue: bytes that a vEVENTQ has to be read
 * @queue_len: how many there are
 * @queue_rc: what read() returns, if that is not 0
 * @queue_endless: @queue_len bytes can be read again and again
 * @on_call: called for each ioctl before it is carried out, or NULL
 * @on_clean: called when a line is cleaned
 * @cleaned: how often that was
 * @data: for the test's functions
 */
struct fake {
	int opened;
	int closed;
	unsigned int calls[FAKE_REQUESTS];
	int fail_rc[FAKE_REQUESTS];
	uint32_t fail_reason[FAKE_REQUESTS];
	uint32_t fail_vsid;
	uint32_t fail_region;
	unsigned int fail_times[FAKE_REQUESTS];
	uint32_t batch;
	uint32_t max_streams;
	struct smmuv3_accel_phys phys[4];
	uint32_t phys_num;
	uint32_t attached;
	uint32_t vsid[FAKE_STREAMS + 1];
	struct smmuv3_accel_mem_region region[VSMMU_MAX_REGIONS];
	uint32_t region_num;
	uint32_t stream_reason[FAKE_STREAMS];
	uint32_t (*on_stream)(struct fake *fake, uint32_t vsid);
	int vsids_rc;
	struct smmuv3_accel_create create;
	struct smmuv3_accel_change_process change;
	struct smmuv3_accel_set_idr idr;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_set_regs regs;
	struct smmuv3_accel_run_cmdq run;
	int (*on_run)(struct fake *fake, struct smmuv3_accel_run_cmdq *run);
	char queue[FAKE_VEVENTQS][8192];
	size_t queue_len[FAKE_VEVENTQS];
	int queue_rc[FAKE_VEVENTQS];
	bool queue_endless;
	void (*on_call)(struct fake *fake, unsigned long request);
	void (*on_clean)(struct fake *fake, const volatile void *line);
	unsigned int cleaned;
	void *data;
};

extern const struct vsmmu_kernel fake_kernel;

void fake_init(struct fake *fake);
void fake_fail(struct fake *fake, unsigned long request, int rc, uint32_t reason,
	       unsigned int times);
unsigned int fake_calls(struct fake *fake, unsigned long request);
void fake_bad_ste(struct smmuv3_accel_run_cmdq *run, uint32_t vsid,
		  uint32_t reason);
int fake_run_bad(struct fake *fake, struct smmuv3_accel_run_cmdq *run);
void fake_event(struct fake *fake, int queue, uint32_t flags, uint32_t sequence,
		const uint64_t event[4]);

#endif
