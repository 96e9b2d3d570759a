/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of the module: a virtual SMMU (one open file), its physical SMMUs
 * and its streams.
 *
 * Locking: vsmmu.lock (CREATE, ATTACH, DETACH, close) is taken outside
 * vsmmu.queue_lock (INSTALL_STE, INVALIDATE, publishing a stream). Both are
 * held across user access and calls to the host, which belong to this vSMMU
 * alone. The lists of physical SMMUs and streams are written under both locks
 * and read under either.
 */
#ifndef _SMMUV3_ACCEL_H
#define _SMMUV3_ACCEL_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "batch.h"
#include "host.h"
#include "pure.h"

/* Bounds what a file can cost: a stream takes a few hundred bytes. */
#define SMMUV3_MAX_STREAMS	4096
/* A command queue's largest size (SMMU_IDR1.CMDQS), so one lap of it. */
#define SMMUV3_MAX_CMDS		SZ_512K

/**
 * struct vsmmu_phys - A physical SMMU of a vSMMU, from its first device to close
 * @node: in vsmmu.phys, in order of @index
 * @parent_node: in the registry of stage-2 parents
 * @host: whose objects these are
 * @iommu: smmuv3_host_dev.iommu of its devices
 * @info: ID registers
 * @caps: what they mean
 * @index: for SMMUV3_ACCEL_GET_PHYS
 * @stream_num: how many streams are attached behind it
 * @s2_hwpt_id: stage-2 parent
 * @viommu_id: vIOMMU on it
 * @abort_hwpt_id: nested domain that aborts
 * @bypass_hwpt_id: nested domain that bypasses stage 1
 * @s2_is_ours: the parent was made here and is destroyed at close
 */
struct vsmmu_phys {
	struct list_head node;
	struct list_head parent_node;
	struct smmuv3_host *host;
	const void *iommu;
	struct smmuv3_hw_info info;
	struct smmuv3_caps caps;
	u32 index;
	u32 stream_num;
	u32 s2_hwpt_id;
	u32 viommu_id;
	u32 abort_hwpt_id;
	u32 bypass_hwpt_id;
	bool s2_is_ours;
};

/**
 * struct vsmmu_stream - A device behind a vSMMU
 * @phys: its physical SMMU
 * @dev: the device at the host
 * @vsid: the guest's StreamID for it
 * @vdevice_id: its vDEVICE
 * @hwpt_id: the nested domain that is attached; 0: DMA is blocked without one
 * @ste: what is installed; under vsmmu.queue_lock
 */
struct vsmmu_stream {
	struct vsmmu_phys *phys;
	struct smmuv3_host_dev *dev;
	u32 vsid;
	u32 vdevice_id;
	u32 hwpt_id;
	struct smmuv3_ste ste;
};

/**
 * struct vsmmu - A virtual SMMU
 * @lock: outer lock
 * @queue_lock: inner lock
 * @host: the host, NULL until SMMUV3_ACCEL_CREATE
 * @s2_hwpt_id: the VMM's stage-2 parent, to be used for the first physical
 *	SMMU; 0: none
 * @phys: list of struct vsmmu_phys
 * @phys_num: its length
 * @caps: what all physical SMMUs can do, to check commands against
 * @streams: struct vsmmu_stream by virtual StreamID
 * @stream_num: how many there are
 * @snapshot: commands as they were fetched, %SMMUV3_HOST_MAX_BATCH of them
 * @tags: what is to be done for each of @snapshot
 * @stage: commands on their way to the host
 * @atc_failed: an ATC_INV timed out, which the next CMD_SYNC is to say
 * @close_work: to destroy objects from where the VMM's address space is not
 */
struct vsmmu {
	struct mutex lock;		/* outer */
	struct mutex queue_lock;	/* inner */
	struct smmuv3_host *host;
	u32 s2_hwpt_id;
	struct list_head phys;
	u32 phys_num;
	struct smmuv3_caps caps;
	struct xarray streams;
	u32 stream_num;

	__le64 (*snapshot)[2];
	struct smmuv3_batch_tag *tags;
	__le64 (*stage)[2];
	bool atc_failed;

	struct work_struct close_work;
};

/* vsmmu.c */
int smmuv3_vsmmu_init(void);
void smmuv3_vsmmu_exit(void);
struct vsmmu *vsmmu_alloc(void);
void vsmmu_close(struct vsmmu *v);
int vsmmu_create(struct vsmmu *v, struct smmuv3_host *host, u32 s2_hwpt_id);
void vsmmu_uncreate(struct vsmmu *v);
int vsmmu_check(struct vsmmu *v, u32 *reason);
struct vsmmu_phys *vsmmu_phys_get(struct vsmmu *v, struct smmuv3_host_dev *dev,
				  u32 *reason);
void vsmmu_phys_put(struct vsmmu_phys *phys);
void vsmmu_phys_publish(struct vsmmu *v, struct vsmmu_phys *phys);
int vsmmu_invalidate_phys(struct vsmmu_phys *phys, const __le64 (*cmds)[2],
			  u32 num, bool repeat);

/* stream.c */
u32 vsmmu_host_reason(int rc);
struct vsmmu_stream *vsmmu_attach(struct vsmmu *v, int vfio_fd, u32 vsid,
				  u32 *reason);
int vsmmu_detach(struct vsmmu *v, u32 vsid, u32 *reason);
void vsmmu_block_streams(struct vsmmu *v);
void vsmmu_drop_streams(struct vsmmu *v, bool destroy);
int vsmmu_install_ste(struct vsmmu *v, u32 vsid, const u64 ste[8], u32 *reason);

/* cmdq.c */
int vsmmu_invalidate(struct vsmmu *v, const void __user *cmds, u32 *cmd_num,
		     u32 *error, u32 *reason);

#endif
