/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of the module: a virtual SMMU (one open file), its physical SMMUs and
 * its streams. Each layer declares its functions in its own header.
 *
 * Locking: smmuv3_vsmmu.lock is the outer lock, for calls that allocate or destroy
 * host objects. smmuv3_vsmmu.queue_lock is the inner lock, for STEs, registers and
 * commands. The module holds both across user access and host calls, so slow ones
 * delay only this virtual SMMU. It writes the lists of physical SMMUs and streams
 * under both locks, and reads them under either.
 */
#ifndef _SMMUV3_ACCEL_H
#define _SMMUV3_ACCEL_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "batch.h"
#include "cdtab.h"
#include "guest_mem.h"
#include "host.h"
#include "pure.h"
#include "strtab.h"

/* Bounds the memory that a file can use: a stream takes a few hundred bytes. */
#define SMMUV3_MAX_STREAMS	4096
/* The indices stay below SMMUV3_PHYS_ALL. */
#define SMMUV3_MAX_PHYS		SMMUV3_PHYS_ALL
/* After this many STEs, a run ends before the next command that reads STEs. */
#define SMMUV3_MAX_STES		SMMUV3_MAX_STREAMS
/* After this many STEs, a call ends early if another call waits. */
#define SMMUV3_MANY_STES	64
/* One lap of the largest command queue (SMMU_IDR1.CMDQS) */
#define SMMUV3_MAX_CMDS		SZ_512K

struct smmuv3_parent;

/**
 * struct smmuv3_phys - A physical SMMU of a vSMMU, from its first device to close
 * @node: in smmuv3_vsmmu.phys, in order of @index
 * @host: the host that has these objects
 * @iommu: smmuv3_host_dev.iommu of its devices
 * @info: ID registers
 * @caps: capabilities, from the ID registers
 * @ste_caps: those of @caps that the guest is offered, against which its streams' STEs
 *	are checked; also under queue_lock
 * @index: for SMMUV3_ACCEL_GET_PHYS
 * @stream_num: how many streams are attached behind it
 * @kept: a stream was attached on @parent. If the module allocated @parent, it stays
 *	until close
 * @unflushed: the last stream has left, and the flush failed; under both locks
 * @gated: TLBIs may be withheld, smmuv3_filter_issue() looks; under queue_lock
 * @host_known: the module knows whether the host checks commands
 * @host_checks: it does, so it may read them in guest memory
 * @repeats: it has erratum T264-SMMU-3
 * @asid_mask: the bits of an ASID that it compares
 * @parent: its stage-2 parent; NULL: released, so there is no stream and no other
 *	object
 * @viommu_id: vIOMMU on @parent
 * @abort_hwpt_id: nested domain that aborts
 * @bypass_hwpt_id: nested domain that bypasses stage 1
 * @s1_streams: its streams with stage 1; under queue_lock
 * @asids: with smmuv3_vsmmu.filter, ASIDs that its TLBs may have entries of; under
 *	queue_lock
 *
 * @parent and the IDs change only under smmuv3_vsmmu.lock, and only while
 * @stream_num is 0.
 */
struct smmuv3_phys {
	struct list_head node;
	struct smmuv3_host *host;
	const void *iommu;
	struct smmuv3_hw_info info;
	struct smmuv3_caps caps;
	struct smmuv3_caps ste_caps;
	u32 index;
	u32 stream_num;
	bool kept;
	bool unflushed;
	bool gated;
	bool host_known;
	bool host_checks;
	bool repeats;
	u16 asid_mask;
	struct smmuv3_parent *parent;
	u32 viommu_id;
	u32 abort_hwpt_id;
	u32 bypass_hwpt_id;
	struct list_head s1_streams;
	struct smmuv3_asids asids;
};

/**
 * struct smmuv3_stream - A device behind a vSMMU
 * @phys: its physical SMMU, if it has a @dev
 * @dev: the device at the host; NULL: a bridge or an emulated endpoint, which the
 *	host does not know
 * @stale_node: in smmuv3_vsmmu.stale_cds, or empty
 * @s1_node: in smmuv3_phys.s1_streams, or empty
 * @cd: with stage 1 and one CD, the CD's address in the VMM; NULL: not looked up yet.
 *	Changes with @ste and with the memory table
 * @looked: smmuv3_queue.segment in which the CDs were read last because of a CFGI_CD
 * @feed: it is an emulated endpoint
 * @live: STEs have an effect: the StreamID is set, and a device has its vDEVICE
 * @renumbered: smmuv3_vsmmu_set_vsids() is changing its StreamID
 * @vsid: the guest's StreamID for it, or a name with %SMMUV3_ACCEL_VSID_UNSET
 * @vdevice_id: its vDEVICE
 * @hwpt_id: the nested domain that is attached; 0: DMA is blocked without one
 * @ste: what is installed; under smmuv3_vsmmu.queue_lock
 */
struct smmuv3_stream {
	struct smmuv3_phys *phys;
	struct smmuv3_host_dev *dev;
	struct list_head stale_node;
	struct list_head s1_node;
	const __le64 __user *cd;
	u64 looked;
	bool feed;
	bool live;
	bool renumbered;
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
 * struct smmuv3_refusal - Why a call is refused
 * @reason: an enum smmuv3_accel_reason
 * @bad_idr: of each ID register, the fields that are refused
 */
struct smmuv3_refusal {
	u32 reason;
	u32 bad_idr[6];
};

/**
 * struct smmuv3_offer - What the guest is offered; written under both locks
 * @idr: the guest's ID registers, if @idr_set
 * @idr_set: SMMUV3_ACCEL_SET_IDR was called
 * @fixed: a command was carried out, so @idr cannot change; under queue_lock
 * @started: the guest has enabled its SMMU or a stream translates, so @common must
 *	not shrink; under queue_lock
 * @common: without @idr_set, the ID registers that all physical SMMUs honour
 * @caps: capabilities against which commands and STEs are checked: those of @idr, or
 *	without @idr_set those that all physical SMMUs have
 * @rules: @caps prepared for the check of commands
 */
struct smmuv3_offer {
	u32 idr[6];
	bool idr_set;
	bool fixed;
	bool started;
	u32 common[6];
	struct smmuv3_caps caps;
	struct smmuv3_cmd_rules rules;
};

/**
 * struct smmuv3_table - Table mode; under queue_lock
 * @enabled: the module reads STEs from the guest's stream table
 * @mixed: some streams may not be configured by @regs yet
 * @regs: the guest's registers
 */
struct smmuv3_table {
	bool enabled;
	bool mixed;
	struct smmuv3_regs regs;
};

/**
 * struct smmuv3_bad_list - Streams whose STEs are not legal, for the VMM
 * @uptr: array of struct smmuv3_accel_bad_ste
 * @room: its length
 * @num: how many were written
 * @found: there was at least one
 * @overflow: there were more than @room
 */
struct smmuv3_bad_list {
	struct smmuv3_accel_bad_ste __user *uptr;
	u32 room;
	u32 num;
	bool found;
	bool overflow;
};

/**
 * struct smmuv3_piece - Commands that are contiguous in the VMM's memory
 * @first: index of the first in the batch
 * @num: how many
 * @uaddr: their address; NULL: the host has to use the copy
 */
struct smmuv3_piece {
	u32 first;
	u32 num;
	const void __user *uaddr;
};

/* A batch has few pieces: the ring wraps, and guest memory has regions. */
#define SMMUV3_MAX_PIECES	4

/**
 * struct smmuv3_delta - What a batch did, to be committed at once
 * @done: how many of its commands are done
 * @syncs: how many of these are CMD_SYNCs
 * @cmd_flags: SMMUV3_ACCEL_RUN_SYNC_IRQ, if one of these wants its interrupt, and
 *	SMMUV3_ACCEL_RUN_CFGI, if a CFGI_* is done
 * @flags: more of enum smmuv3_accel_run_flags
 * @bad: smmuv3_run.bad as it was before the batch
 */
struct smmuv3_delta {
	u32 done;
	u32 syncs;
	u32 cmd_flags;
	u32 flags;
	struct smmuv3_bad_list bad;
};

/**
 * struct smmuv3_run - A run over commands
 * @ring: they are in the command queue
 * @array: without @ring, the array that they are in
 * @cons: SMMU_CMDQ_CONS at the start
 * @total: how many commands to run
 * @done: how many of them are done
 * @ended: there is no next batch
 * @delta: what the current batch did
 * @pieces: where the commands in the batch came from
 * @piece_num: how many pieces
 * @num: how many commands are in the batch
 * @first: index of the segment's first command
 * @refused: index of the segment's first command that the host refused, with @rc
 *	and @vsid set; if it refused none, the index after the segment
 * @batch_num: how many batches were begun
 * @ste_num: how many STEs were evaluated
 * @flags: combination of enum smmuv3_accel_run_flags
 * @rc: why the run failed
 * @error: the guest's command error
 * @reason: why the run stopped
 * @vsid: if it failed because of one stream, its StreamID
 * @feed: emulated endpoints have to see the commands
 * @feed_uptr: where to write these
 * @feed_room: for how many commands @feed_uptr has room
 * @feed_num: how many were written
 * @bad: streams whose STEs are not legal
 * @before: counters at the start, for the trace
 * @began: time of the start in ns; 0: tracing is off
 */
struct smmuv3_run {
	bool ring;
	const void __user *array;
	u32 cons;
	u32 total;
	u32 done;
	bool ended;
	struct smmuv3_delta delta;
	struct smmuv3_piece pieces[SMMUV3_MAX_PIECES];
	u32 piece_num;
	u32 num;
	u32 first;
	u32 refused;
	u32 batch_num;
	u32 ste_num;
	u32 flags;
	int rc;
	u32 error;
	u32 reason;
	u32 vsid;
	bool feed;
	void __user *feed_uptr;
	u32 feed_room;
	u32 feed_num;
	struct smmuv3_bad_list bad;
	struct smmuv3_accel_stats before;
	u64 began;
};

/**
 * struct smmuv3_fast - What the fast path of doorbells uses, from the vSMMU's other fields
 * @mm: the address space whose doorbells may take the fast path; only compared
 * @cmds: memory for copies of a doorbell's commands
 * @uaddr: the queue's address in the VMM
 * @mask: for an index with its wrap bit
 * @max_num: the most TLBIs of such a doorbell
 * @phys: the physical SMMU, if there is one, and each TLBI goes to it once, from the
 *	VMM's memory; otherwise NULL
 * @tlbi: of the words of a TLBI_NH_VA, the bits that are zero if it is simple, and the
 *	opcode
 * @sync: the same for a CMD_SYNC, without CS
 * @range: a TLBI_NH_VA that is legal, and goes to the host as it is
 */
struct smmuv3_fast {
	const struct mm_struct *mm;
	__le64 (*cmds)[2];
	const void __user *uaddr;
	u32 mask;
	u32 max_num;
	struct smmuv3_phys *phys;
	u64 tlbi[2];
	u64 sync[2];
	__le64 range[2];
};

/**
 * struct smmuv3_queue - The command queue; under queue_lock
 * @base: its guest physical address
 * @lap: its length in commands, a power of 2
 * @uaddr: its address in the VMM, if it is contiguous there; otherwise NULL
 * @atc_failed: an ATC_INV timed out; the next CMD_SYNC has to report that
 * @segment: the number of the current segment, from 1 on
 * @batch: the current batch
 * @feed_cmds: with SMMUV3_ACCEL_CREATE_FEED, the batch before it is reduced
 * @run: the current run; here, because it is large for the stack
 */
struct smmuv3_queue {
	u64 base;
	u32 lap;
	const void __user *uaddr;
	bool atc_failed;
	u64 segment;
	struct smmuv3_batch *batch;
	__le64 (*feed_cmds)[2];
	struct smmuv3_run run;
};

/**
 * struct smmuv3_vsmmu - A virtual SMMU
 * @queue_lock: inner lock
 * @fast: what the fast path of doorbells uses; under @queue_lock
 * @stats: counters, the out_* fields in use; under @queue_lock
 * @lock: outer lock
 * @waiters: how many callers wait for @queue_lock; a long run ends early for them
 * @id: identifies it in traces and messages
 * @host: the host, NULL until SMMUV3_ACCEL_CREATE
 * @shared_asids: SMMUV3_ACCEL_CREATE_SHARED_ASIDS
 * @filter: TLBIs may be withheld from physical SMMUs that do not need them
 * @policy: how batches may be reduced
 * @phys: list of struct smmuv3_phys
 * @phys_num: its length
 * @offer: what the guest is offered
 * @streams: struct smmuv3_stream by virtual StreamID
 * @recent: the one that was found last, or NULL; under @queue_lock
 * @stream_num: how many there are
 * @feed_stream_num: how many of them are emulated endpoints
 * @stale_cds: streams whose cached CDs must be invalidated; under @queue_lock
 * @cd_missing: a TLBI was not withheld because the page of a CD was missing, so no
 *	doorbell takes the fast path until smmuv3_filter_fetch(); under @queue_lock
 * @mem: the guest's memory; under @queue_lock
 * @table: table mode
 * @queue: the command queue
 * @dentry: its file in debugfs
 */
struct smmuv3_vsmmu {
	/* Of fields at a small offset, an instruction loads or stores two. */
	struct mutex queue_lock;	/* inner */
	struct smmuv3_fast fast;
	struct smmuv3_accel_stats stats;
	struct mutex lock;		/* outer */
	atomic_t waiters;
	u32 id;
	struct smmuv3_host *host;
	bool shared_asids;
	bool filter;
	struct smmuv3_batch_policy policy;
	struct list_head phys;
	u32 phys_num;
	struct smmuv3_offer offer;
	struct xarray streams;
	struct smmuv3_stream *recent;
	u32 stream_num;
	u32 feed_stream_num;
	struct list_head stale_cds;
	bool cd_missing;
	struct guest_mem mem;
	struct smmuv3_table table;
	struct smmuv3_queue queue;
	struct dentry *dentry;
};

/**
 * smmuv3_vsid_is_set() - Whether a virtual StreamID is set
 * @vsid: the StreamID, or a name with %SMMUV3_ACCEL_VSID_UNSET
 *
 * Return: true if it is.
 */
static inline bool smmuv3_vsid_is_set(u32 vsid)
{
	return !(vsid & SMMUV3_ACCEL_VSID_UNSET);
}

/**
 * smmuv3_is_offered() - Whether it is known what the guest is offered
 * @v: the vSMMU, one of its locks held
 *
 * Return: true after SMMUV3_ACCEL_SET_IDR or the first device.
 */
static inline bool smmuv3_is_offered(const struct smmuv3_vsmmu *v)
{
	return v->offer.idr_set || v->phys_num;
}

/**
 * smmuv3_get_stream() - Find a stream
 * @v: the vSMMU, @queue_lock held
 * @vsid: its StreamID, or its name with %SMMUV3_ACCEL_VSID_UNSET
 *
 * Calls often name the same stream as the call before.
 *
 * Return: the stream or NULL.
 */
static inline struct smmuv3_stream *smmuv3_get_stream(struct smmuv3_vsmmu *v, u32 vsid)
{
	lockdep_assert_held(&v->queue_lock);

	if (!v->recent || v->recent->vsid != vsid)
		v->recent = xa_load(&v->streams, vsid);
	return v->recent;
}

/**
 * smmuv3_find_stream() - Find the stream that a guest's command names
 * @v: the vSMMU, @queue_lock held
 * @sid: the StreamID
 *
 * Return: the stream or NULL.
 */
static inline struct smmuv3_stream *smmuv3_find_stream(struct smmuv3_vsmmu *v,
						       u32 sid)
{
	return smmuv3_vsid_is_set(sid) ? smmuv3_get_stream(v, sid) : NULL;
}

#endif
