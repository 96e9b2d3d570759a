/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A machine for tests of the library on the real module: a VMM, and a guest driver
 * that knows only registers and memory.
 */
#ifndef _VSMMU_TEST_MACHINE_H
#define _VSMMU_TEST_MACHINE_H

#include "guest.h"
#include "vsmmu.h"

#define VSID	0x42
#define BRIDGE	0x80
#define VSID_FEED	0x81		/* an emulated endpoint */
#define IOVA	0x10000000ULL
#define ASID	5
#define EVENTQ_BITS	2

enum {
	REG_CR0 = 0x20, REG_CR0ACK = 0x24, REG_CR2 = 0x2c, REG_GBPA = 0x44,
	REG_IRQ_CTRL = 0x50, REG_IRQ_CTRLACK = 0x54,
	REG_GERROR = 0x60, REG_GERRORN = 0x64,
	REG_STRTAB_BASE = 0x80, REG_STRTAB_BASE_CFG = 0x88,
	REG_CMDQ_BASE = 0x90, REG_CMDQ_PROD = 0x98, REG_CMDQ_CONS = 0x9c,
	REG_EVENTQ_BASE = 0xa0, REG_EVENTQ_PROD = 0x100a8,
	REG_EVENTQ_CONS = 0x100ac,
};

#define EVENTQEN	(1U << 2)
#define GBPA_UPDATE	(1U << 31)
#define OVFLG		(1U << 31)
#define EVT_C_BAD_STE	0x04
#define DEVICES		2

/**
 * struct machine - A guest with a virtual SMMU, and its VMM
 * @g: iommufd and memory
 * @v: the virtual SMMU
 * @dev: devices
 * @queue: their SMMUs' vEVENTQs
 * @devices: how many there are
 * @ring: command queue
 * @strtab: stream table
 * @pt: stage 1
 * @eventq: event queue
 * @page: pages to write to
 * @s1: an STE for @pt
 * @irqs: edges that were seen
 * @cmd_error: the last command that was in error
 * @cmd_errors: how many there were
 * @fed: commands that were fed, the last ones
 * @fed_num: how many there were
 * @flushes: how often @feed of struct vsmmu_config was called with @flush
 * @late: CONS showed a command before it was fed
 * @parent: the stage-2 parents to name at ATTACH, by device; 0: none
 * @options: what to offer to the guest
 */
struct machine {
	struct guest g;
	struct vsmmu *v;
	struct dma_dev dev[DEVICES];
	int queue[DEVICES];
	int devices;
	struct ring ring;
	struct strtab strtab;
	struct pgtable pt;
	__u64 eventq;
	__u64 page[2];
	__u64 s1[8];
	unsigned int irqs[VSMMU_IRQ_NUM];
	struct vsmmu_cmd_error cmd_error;
	unsigned int cmd_errors;
	struct vsmmu_cmd fed[8];
	unsigned int fed_num;
	unsigned int flushes;
	bool late;
	__u32 parent[DEVICES];
	struct vsmmu_options options;
};

int make_vsmmu(struct machine *m, __u32 flags, int accel_fd);
int open_vsmmu(struct machine *m);
void close_vsmmu(struct machine *m);

__u32 get(struct machine *m, __u32 offset);
int put(struct machine *m, __u32 offset, __u32 value);
int put64(struct machine *m, __u32 offset, __u64 value);
int enable(struct machine *m, __u32 bits);
int driver_start(struct machine *m);
int send(struct machine *m, struct cmd c);
int set_ste(struct machine *m, __u32 vsid, const __u64 ste[8]);
bool events_until(struct machine *m, __u32 prod);
const __u64 *event_at(struct machine *m, int i);

int dma_goes(struct machine *m, int device, __u64 iova);

#endif
