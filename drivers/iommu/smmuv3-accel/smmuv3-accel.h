/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of the module: a virtual SMMU (one open file), its physical SMMUs
 * and its streams.
 *
 * Locking: smmuv3_vsmmu.lock (CREATE, SET_IDR, ATTACH, DETACH, CHANGE_PROCESS) is
 * taken outside smmuv3_vsmmu.queue_lock (STEs, registers, commands, publishing a
 * stream). Both are held across user access and calls to the host, which belong
 * to this vSMMU alone. The lists of physical SMMUs and streams are written under
 * both locks and read under either.
 */
#ifndef _SMMUV3_ACCEL_H
#define _SMMUV3_ACCEL_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "batch.h"
#include "guest_mem.h"
#include "host.h"
#include "pure.h"
#include "strtab.h"

/* Bounds what a file can cost: a stream takes a few hundred bytes. */
#define SMMUV3_MAX_STREAMS	4096
/* A run that has evaluated so many STEs ends before a command that asks for more. */
#define SMMUV3_MAX_STES		SMMUV3_MAX_STREAMS
/* From here on a call lets others in between STEs that it is given. */
#define SMMUV3_MANY_STES	64
/* A command queue's largest size (SMMU_IDR1.CMDQS), so one lap of it. */
#define SMMUV3_MAX_CMDS		SZ_512K

struct smmuv3_parent;

/**
 * struct smmuv3_phys - A physical SMMU of a vSMMU, from its first device to close
 * @node: in smmuv3_vsmmu.phys, in order of @index
 * @host: whose objects these are
 * @iommu: smmuv3_host_dev.iommu of its devices
 * @info: ID registers
 * @caps: what they mean
 * @index: for SMMUV3_ACCEL_GET_PHYS
 * @stream_num: how many streams are attached behind it
 * @parent: its stage-2 parent
 * @viommu_id: vIOMMU on it
 * @abort_hwpt_id: nested domain that aborts
 * @bypass_hwpt_id: nested domain that bypasses stage 1
 */
struct smmuv3_phys {
	struct list_head node;
	struct smmuv3_host *host;
	const void *iommu;
	struct smmuv3_hw_info info;
	struct smmuv3_caps caps;
	u32 index;
	u32 stream_num;
	struct smmuv3_parent *parent;
	u32 viommu_id;
	u32 abort_hwpt_id;
	u32 bypass_hwpt_id;
};

/**
 * struct smmuv3_stream - A device behind a vSMMU
 * @phys: its physical SMMU, if it has a @dev
 * @dev: the device at the host; NULL: a bridge or an emulated endpoint, of which
 *	the host knows nothing
 * @stale_node: in smmuv3_vsmmu.stale_cds, or empty
 * @feed: it is an emulated endpoint
 * @vsid: the guest's StreamID for it
 * @vdevice_id: its vDEVICE
 * @hwpt_id: the nested domain that is attached; 0: DMA is blocked without one
 * @ste: what is installed; under smmuv3_vsmmu.queue_lock
 */
struct smmuv3_stream {
	struct smmuv3_phys *phys;
	struct smmuv3_host_dev *dev;
	struct list_head stale_node;
	bool feed;
	u32 vsid;
	u32 vdevice_id;
	u32 hwpt_id;
	struct smmuv3_ste ste;
};

/**
 * struct smmuv3_regs - The guest's registers, raw
 * @cr0: SMMU_CR0
 * @gbpa: SMMU_GBPA
 * @strtab_base_cfg: SMMU_STRTAB_BASE_CFG
 * @strtab_base: SMMU_STRTAB_BASE
 * @cmdq_base: SMMU_CMDQ_BASE
 */
struct smmuv3_regs {
	u32 cr0;
	u32 gbpa;
	u32 strtab_base_cfg;
	u64 strtab_base;
	u64 cmdq_base;
};

/**
 * struct smmuv3_refusal - Why a device is not attached
 * @reason: an enum smmuv3_accel_reason
 * @bad_idr: for %SMMUV3_ACCEL_REASON_IDR, the register that its SMMU cannot
 *	honour
 * @bad_mask: and the field of it
 */
struct smmuv3_refusal {
	u32 reason;
	u32 bad_idr;
	u32 bad_mask;
};

/**
 * struct cmdq_piece - Commands that are contiguous in the VMM's memory
 * @first: index of the first in the batch
 * @num: how many
 * @uaddr: where they are; NULL where one crosses memory regions
 */
struct cmdq_piece {
	u32 first;
	u32 num;
	const void __user *uaddr;
};

/**
 * struct smmuv3_answer - How the caller of an attach learns of its outcome
 * @write: called when all has succeeded that may fail but the attach itself.
 *	Returns 0, or an errno, on which nothing is attached
 * @arg: for @write
 */
struct smmuv3_answer {
	int (*write)(const struct smmuv3_stream *stream, void *arg);
	void *arg;
};

/**
 * struct smmuv3_reread - Streams whose STEs are evaluated again
 * @first: the first StreamID
 * @last: the last
 * @num: how many streams were evaluated
 * @bad: one of them has no legal STE
 * @failed: the first stream that could not be given its STE, if the call fails
 * @reason: why
 */
struct smmuv3_reread {
	u32 first;
	u32 last;
	u32 num;
	bool bad;
	u32 failed;
	u32 reason;
};

struct smmuv3_vsmmu;

/* Where fetched commands came from: a ring wraps, and memory has regions. */
#define CMDQ_MAX_PIECES	4

/**
 * struct cmdq_run - A run over commands
 * @v: the vSMMU
 * @batch: its batch
 * @pieces: where the commands in the batch came from
 * @piece_num: how many pieces
 * @num: how many commands are in the batch
 * @error: the guest's command error
 * @reason: why the run stopped
 * @flags: combination of enum smmuv3_accel_run_flags
 * @rc: why the run failed
 * @vsid: the stream because of which it failed, if it is one's fault
 * @first: index of the segment's first command
 * @refused: the index of the first command of the segment that the host refused,
 *	with @rc and @vsid set; else the index behind its last command
 * @ste_num: how many STEs were evaluated
 * @batch_num: how many batches were begun
 * @feed: emulated endpoints are to learn of the commands
 * @feed_uptr: where to write those
 * @feed_room: how many there is room for
 * @feed_num: how many were written
 * @before: counters when it began, for the trace
 * @began: when that was; 0: nobody traces
 */
struct cmdq_run {
	struct smmuv3_vsmmu *v;
	struct smmuv3_batch *batch;
	struct cmdq_piece pieces[CMDQ_MAX_PIECES];
	u32 piece_num;
	u32 num;
	u32 error;
	u32 reason;
	u32 flags;
	int rc;
	u32 vsid;
	u32 first;
	u32 refused;
	u32 ste_num;
	u32 batch_num;
	bool feed;
	void __user *feed_uptr;
	u32 feed_room;
	u32 feed_num;
	struct smmuv3_accel_stats before;
	u64 began;
};

/**
 * struct smmuv3_vsmmu - A virtual SMMU
 * @lock: outer lock
 * @queue_lock: inner lock
 * @waiters: how many wait for @queue_lock; a run lets them in
 * @id: names it in traces and messages
 * @host: the host, NULL until SMMUV3_ACCEL_CREATE
 * @s2_hwpt_id: the VMM's stage-2 parent, to be used on the physical SMMU that it
 *	fits; 0: none
 * @shared_asids: SMMUV3_ACCEL_CREATE_SHARED_ASIDS
 * @policy: what may be done to batches
 * @phys: list of struct smmuv3_phys
 * @phys_num: its length
 * @idr: the guest's ID registers, if @idr_set
 * @idr_set: SMMUV3_ACCEL_SET_IDR was called
 * @cmds_ran: a command was carried out, so that @idr is fixed
 * @caps: what the guest is offered, to check commands and STEs against: what
 *	@idr says, else what all physical SMMUs can do
 * @rules: @caps, as commands are checked against them
 * @offered: without @idr_set, the ID registers that all physical SMMUs honour;
 *	like @caps, written under both locks
 * @started: the guest has enabled its SMMU or a stream translates, so @offered
 *	must not shrink; under @queue_lock
 * @streams: struct smmuv3_stream by virtual StreamID
 * @stream_num: how many there are
 * @feed_stream_num: how many of them are emulated endpoints
 * @stale_cds: streams whose cached CDs are to be invalidated yet
 * @mem: the guest's memory
 * @table_mode: STEs are read from the guest's stream table
 * @regs: the guest's registers, in table mode
 * @regs_mixed: a stream could not take them and aborts
 * @cmdq_base: guest physical address of the command queue
 * @cmdq_log2size: log2 of its length
 * @cmdq_uaddr: where the VMM has all of it in one piece; NULL: it has not
 * @batch: commands at work
 * @feed_cmds: with SMMUV3_ACCEL_CREATE_FEED, the same as the guest wrote
 *	them
 * @run: the run that they are in; here, as it would be large for the stack
 * @atc_failed: an ATC_INV timed out, which the next CMD_SYNC is to say
 * @stats: counters, the out_* fields in use
 * @dentry: its file in debugfs
 *
 * What @table_mode and what is behind it say is under @queue_lock.
 */
struct smmuv3_vsmmu {
	struct mutex lock;		/* outer */
	struct mutex queue_lock;	/* inner */
	atomic_t waiters;
	u32 id;
	struct smmuv3_host *host;
	u32 s2_hwpt_id;
	bool shared_asids;
	struct smmuv3_batch_policy policy;
	struct list_head phys;
	u32 phys_num;
	u32 idr[6];
	bool idr_set;
	bool cmds_ran;
	struct smmuv3_caps caps;
	struct smmuv3_cmd_rules rules;
	u32 offered[6];
	bool started;
	struct xarray streams;
	u32 stream_num;
	u32 feed_stream_num;
	struct list_head stale_cds;

	struct guest_mem mem;
	bool table_mode;
	struct smmuv3_regs regs;
	bool regs_mixed;
	u64 cmdq_base;
	u8 cmdq_log2size;
	const void __user *cmdq_uaddr;
	struct smmuv3_batch *batch;
	__le64 (*feed_cmds)[2];
	struct cmdq_run run;
	bool atc_failed;
	struct smmuv3_accel_stats stats;

	struct dentry *dentry;
};

/* vsmmu.c */
struct smmuv3_vsmmu *smmuv3_vsmmu_alloc(void);
void smmuv3_vsmmu_close(struct smmuv3_vsmmu *v);
int smmuv3_vsmmu_create(struct smmuv3_vsmmu *v, struct smmuv3_host *host, u32 s2_hwpt_id,
			u32 flags);
int smmuv3_vsmmu_change_process(struct smmuv3_vsmmu *v, int iommufd, u32 *reason);
int smmuv3_vsmmu_set_idr(struct smmuv3_vsmmu *v, const u32 idr[6], struct smmuv3_refusal *why);
struct smmuv3_phys *smmuv3_phys_get(struct smmuv3_vsmmu *v, struct smmuv3_host_dev *dev,
				    struct smmuv3_refusal *why);
void smmuv3_phys_put(struct smmuv3_phys *phys);
bool smmuv3_phys_fits(struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		      struct smmuv3_refusal *why);
void smmuv3_phys_publish(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
int smmuv3_phys_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
int smmuv3_phys_flush_pending(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);

/**
 * smmuv3_check() - Whether an ioctl can be served
 * @v: the vSMMU, one of its locks held
 * @reason: set where it cannot
 *
 * Return: 0, -ENXIO before SMMUV3_ACCEL_CREATE, -EIO from a foreign address
 * space.
 */
static inline int smmuv3_check(struct smmuv3_vsmmu *v, u32 *reason)
{
	if (!v->host)
		return -ENXIO;
	if (likely(smmuv3_host_reachable(v->host)))
		return 0;
	*reason = SMMUV3_ACCEL_REASON_FOREIGN_MM;
	return -EIO;
}

/**
 * smmuv3_lock_queue() - Take the inner lock, for anything but a run
 * @v: the vSMMU
 *
 * A run that keeps the lock for long ends early while somebody waits here.
 *
 * Return: 0 or -EINTR.
 */
static inline int smmuv3_lock_queue(struct smmuv3_vsmmu *v)
{
	int rc;

	atomic_inc(&v->waiters);
	rc = mutex_lock_interruptible(&v->queue_lock);
	atomic_dec(&v->waiters);
	return rc;
}

static inline void smmuv3_unlock_queue(struct smmuv3_vsmmu *v)
{
	mutex_unlock(&v->queue_lock);
}

/* parent.c */
struct smmuv3_parent *smmuv3_parent_named(struct smmuv3_vsmmu *v,
					  const struct smmuv3_host_dev *dev,
					  u32 *reason);
struct smmuv3_parent *smmuv3_parent_make(struct smmuv3_vsmmu *v,
					 const struct smmuv3_host_dev *dev,
					 u32 *reason);
void smmuv3_parent_fits(struct smmuv3_parent *parent,
			const struct smmuv3_host_dev *dev);
bool smmuv3_parent_pending(struct smmuv3_parent *parent, u32 *ticket);
void smmuv3_parent_flushed(struct smmuv3_parent *parent, u32 ticket);
void smmuv3_parent_set_pending(struct smmuv3_parent *parent);
void smmuv3_parent_put(struct smmuv3_parent *parent, struct smmuv3_host *host);
u32 smmuv3_parent_id(const struct smmuv3_parent *parent);

/* stream.c */
u32 smmuv3_host_reason(int rc);
void smmuv3_stream_describe(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			    struct smmuv3_accel_stream *out);
int smmuv3_stream_abort(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			u32 reason);
int smmuv3_vsmmu_attach(struct smmuv3_vsmmu *v, int vfio_fd, u32 vsid, u32 flags,
			const struct smmuv3_answer *answer, struct smmuv3_refusal *why);
int smmuv3_vsmmu_detach(struct smmuv3_vsmmu *v, u32 vsid, u32 *reason);
void smmuv3_stream_release_devs(struct smmuv3_vsmmu *v);
void smmuv3_stream_drop_all(struct smmuv3_vsmmu *v, bool destroy);
void smmuv3_stream_decode(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const u64 words[8], struct smmuv3_ste *ste);
int smmuv3_stream_set_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_ste *ste);
int smmuv3_stream_flush_cds(struct smmuv3_vsmmu *v, u32 first, u32 last, u32 *failed);
int smmuv3_vsmmu_install_ste(struct smmuv3_vsmmu *v, u32 vsid, const u64 ste[8], u32 *reason);

/* table.c */
int smmuv3_table_reread(struct smmuv3_vsmmu *v, struct smmuv3_reread *reread);
int smmuv3_vsmmu_set_regs(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs, u32 *failed,
			  u32 *reason);
void smmuv3_cmdq_locate(struct smmuv3_vsmmu *v);
int smmuv3_table_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		     struct smmuv3_ste *ste);
int smmuv3_vsmmu_reset(struct smmuv3_vsmmu *v, u32 *reason);

/* debugfs.c */
struct seq_file;
void smmuv3_debugfs_init(void);
void smmuv3_debugfs_exit(void);
void smmuv3_debugfs_add(struct smmuv3_vsmmu *v);
void smmuv3_debugfs_remove(struct smmuv3_vsmmu *v);
void smmuv3_debugfs_counters(struct smmuv3_vsmmu *v, struct seq_file *seq,
			     const char *prefix);

/* cmdq.c */
int smmuv3_phys_invalidate(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			   const __le64 (*cmds)[2], const void __user *ucmds,
			   u32 num, bool repeat);
int smmuv3_cmdq_invalidate(struct smmuv3_vsmmu *v, struct smmuv3_accel_invalidate *cmd);
int smmuv3_cmdq_run(struct smmuv3_vsmmu *v, struct smmuv3_accel_run_cmdq *cmd,
		    u32 feed_room);

#endif
