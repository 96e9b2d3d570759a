// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls: a table that describes them, and the dispatcher, which reads the
 * caller's struct, checks it, takes the locks and writes the result back. So a
 * handler only does its own work.
 */
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "cmdq.h"
#include "debugfs.h"
#include "ioctl.h"
#include "parent.h"
#include "stream.h"
#include "vsmmu.h"

union ioctl_buffer {
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
	u64 words[15];
};

/**
 * struct ioctl_call - An ioctl call
 * @buf: its struct, the kernel's copy
 * @uarg: the caller's struct
 * @back: offset of what is written back, in bytes; a multiple of 8
 * @back_end: offset after it; a multiple of 8
 */
struct ioctl_call {
	union ioctl_buffer buf;
	void __user *uarg;
	u32 back;
	u32 back_end;
};

/* A handler returns this if it has already written the result; not an errno */
#define IOCTL_ANSWERED	1

/* Write back what the kernel sets; @arg is what the handler was given. */
static inline int ioctl_answer(void *arg)
{
	struct ioctl_call *call = container_of(arg, struct ioctl_call, buf);
	u64 __user *to = call->uarg + call->back, *end = call->uarg + call->back_end;
	const u64 *from = (void *)&call->buf + call->back;

	if (!user_write_access_begin(to, call->back_end - call->back))
		return -EFAULT;
	while (to < end)
		unsafe_put_user(*from++, to++, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

static int ioctl_get_info(struct smmuv3_vsmmu *v, void *arg);

static int ioctl_create(struct smmuv3_vsmmu *v, void *arg)
{
	enum smmuv3_accel_reason reason = SMMUV3_ACCEL_REASON_NONE;
	struct smmuv3_accel_create *cmd = arg;
	struct smmuv3_host *host;
	int rc;

	host = smmuv3_host_iommufd_open(cmd->iommufd, cmd->ioas_id, &reason);
	if (IS_ERR(host)) {
		cmd->out_reason = reason;
		return PTR_ERR(host);
	}
	/* Answer first: if that fails, the file must stay unbound. */
	rc = ioctl_answer(arg);
	if (!rc)
		rc = smmuv3_vsmmu_create(v, host, cmd->flags);
	if (rc) {
		host->ops->close(host);
		return rc;
	}
	smmuv3_debugfs_add(v);
	return IOCTL_ANSWERED;
}

static int ioctl_set_idr(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_set_idr *cmd = arg;
	struct smmuv3_refusal why = {};
	int rc = smmuv3_vsmmu_set_idr(v, cmd->idr, &why);

	memcpy(cmd->out_bad_idr, why.bad_idr, sizeof(cmd->out_bad_idr));
	cmd->out_reason = why.reason;
	return rc;
}

static int ioctl_set_mem_table(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_mem_table *cmd = arg;
	struct guest_mem mem;
	int rc;

	rc = guest_mem_load(&mem, u64_to_user_ptr(cmd->regions_uptr),
			    cmd->region_num, &cmd->out_bad_region,
			    &cmd->out_reason);
	if (!rc)
		smmuv3_vsmmu_set_mem(v, &mem);
	return rc;
}

static int ioctl_attach(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_attach *cmd = arg;
	int rc;

	if ((cmd->flags & SMMUV3_ACCEL_ATTACH_BRIDGE) &&
	    (cmd->flags & SMMUV3_ACCEL_ATTACH_FEED)) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_FLAGS;
		return -EINVAL;
	}
	rc = smmuv3_vsmmu_attach(v, cmd, ioctl_answer);
	if (!rc && !(cmd->flags & SMMUV3_ACCEL_ATTACH_DRY_RUN))
		return IOCTL_ANSWERED;
	return rc;
}

static int ioctl_detach(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_detach *cmd = arg;

	return smmuv3_vsmmu_detach(v, cmd->vsid, &cmd->out_reason);
}

static int ioctl_get_phys(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_phys *cmd = arg;
	struct smmuv3_phys *phys;

	list_for_each_entry(phys, &v->phys, node) {
		if (phys->index != cmd->index)
			continue;
		cmd->out_viommu_id = phys->viommu_id;
		if (phys->parent)
			cmd->out_s2_hwpt_id = smmuv3_parent_id(phys->parent);
		cmd->out_stream_num = phys->stream_num;
		memcpy(cmd->out_idr, phys->info.idr, sizeof(cmd->out_idr));
		cmd->out_iidr = phys->info.iidr;
		cmd->out_aidr = phys->info.aidr;
		cmd->out_hw_flags = phys->info.flags;
		cmd->out_abort_hwpt_id = phys->abort_hwpt_id;
		cmd->out_bypass_hwpt_id = phys->bypass_hwpt_id;
		return 0;
	}
	cmd->out_reason = SMMUV3_ACCEL_REASON_NO_PHYS;
	return -ENOENT;
}

static int ioctl_get_stream(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_stream *cmd = arg;
	struct smmuv3_stream *stream = smmuv3_get_stream(v, cmd->vsid);

	if (!stream) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	smmuv3_stream_describe(v, stream, cmd);
	return 0;
}

/* Install one entry. Writes its out_* fields also if it fails. */
static int install_entry(struct smmuv3_vsmmu *v, struct smmuv3_accel_ste __user *uentry,
			 u32 entry_len, u32 *reason)
{
	struct smmuv3_accel_ste entry __uninitialized;
	u64 *words = (__force u64 *)entry.ste;
	u32 why = SMMUV3_ACCEL_REASON_NONE;
	int i, rc;

	rc = copy_struct_from_user(&entry, sizeof(entry), uentry, entry_len);
	if (rc)
		return rc;

	if (entry.__reserved) {
		why = SMMUV3_ACCEL_REASON_RESERVED;
		rc = -EOPNOTSUPP;
	} else {
		for (i = 0; i < ARRAY_SIZE(entry.ste); i++)
			le64_to_cpus(&words[i]);
		rc = smmuv3_vsmmu_install_ste(v, entry.vsid, words, &why);
	}
	if (rc)
		*reason = why;
	if (put_user(rc, &uentry->out_errno) || put_user(why, &uentry->out_reason))
		return -EFAULT;
	return rc;
}

static int ioctl_install_ste(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_install_ste *cmd = arg;
	void __user *uentries = u64_to_user_ptr(cmd->entries_uptr);
	u32 num = cmd->entry_num, len = cmd->entry_len, i;
	int rc = 0;

	if (len < sizeof(struct smmuv3_accel_ste) || len > PAGE_SIZE ||
	    num > SMMUV3_MAX_STREAMS) {
		cmd->entry_num = 0;
		cmd->out_reason = SMMUV3_ACCEL_REASON_ARRAY;
		return -EINVAL;
	}
	for (i = 0; i < num; i++, uentries += len) {
		if (i >= SMMUV3_MANY_STES && atomic_read(&v->waiters))
			break;
		rc = -EINTR;
		if (!signal_pending(current))
			rc = install_entry(v, uentries, len, &cmd->out_reason);
		if (rc)
			break;
	}
	cmd->entry_num = i;
	/* After some progress, a signal is no error. */
	return rc == -EINTR && i ? 0 : rc;
}

static int ioctl_set_regs(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_set_regs *cmd = arg;
	const struct smmuv3_regs regs = {
		.cr0 = cmd->cr0,
		.gbpa = cmd->gbpa,
		.strtab_base_cfg = cmd->strtab_base_cfg,
		.strtab_base = cmd->strtab_base,
		.cmdq_base = cmd->cmdq_base,
	};

	return smmuv3_vsmmu_set_regs(v, &regs, &cmd->out_vsid, &cmd->out_reason);
}

/* Keep a failed ATC_INV pending, so that the repeated CMD_SYNC reports it. */
static void undo_error(struct smmuv3_vsmmu *v, u32 error)
{
	if (error != SMMUV3_ACCEL_CERROR_ATC_INV_SYNC ||
	    mutex_lock_killable(&v->queue_lock))
		return;
	v->queue.atc_failed = true;
	smmuv3_unlock_queue(v);
}

static void undo_invalidate(struct smmuv3_vsmmu *v, void *arg)
{
	undo_error(v, ((struct smmuv3_accel_invalidate *)arg)->out_error);
}

static void undo_run_cmdq(struct smmuv3_vsmmu *v, void *arg)
{
	undo_error(v, ((struct smmuv3_accel_run_cmdq *)arg)->out_error);
}

static int ioctl_reset(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_reset *cmd = arg;

	return smmuv3_vsmmu_reset(v, &cmd->out_reason);
}

static int ioctl_get_stats(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_stats *cmd = arg;
	u32 size = cmd->size;

	*cmd = v->stats;
	cmd->size = size;
	return 0;
}

static int ioctl_change_process(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_change_process *cmd = arg;

	return smmuv3_vsmmu_change_process(v, cmd->iommufd, &cmd->out_reason);
}

static int ioctl_set_vsids(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_set_vsids *cmd = arg;
	struct smmuv3_accel_vsid *entries;
	int rc;

	if (!cmd->entry_num || cmd->entry_num > SMMUV3_MAX_STREAMS) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_ARRAY;
		return -EINVAL;
	}
	entries = vmemdup_array_user(u64_to_user_ptr(cmd->entries_uptr),
				     cmd->entry_num, sizeof(*entries));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	rc = smmuv3_vsmmu_set_vsids(v, entries, cmd->entry_num, &cmd->out_vsid,
				    &cmd->out_reason);
	kvfree(entries);
	return rc;
}

/**
 * enum ioctl_lock - Locks that the dispatcher holds while a handler runs
 * @LOCK_OUTER: smmuv3_vsmmu.lock
 * @LOCK_RUN: smmuv3_vsmmu.queue_lock, for a run, which waits for other runs to end
 * @LOCK_QUEUE: smmuv3_vsmmu.queue_lock, for any other call. A long run ends early
 *	while such a call waits
 */
enum ioctl_lock {
	LOCK_OUTER = BIT(0),
	LOCK_RUN = BIT(1),
	LOCK_QUEUE = BIT(2),
};

/**
 * enum ioctl_caller - Address spaces that may call
 * @CALLER_OWNER: the one that owns the file
 * @CALLER_NEW_OWNER: any, if the file is bound
 * @CALLER_FIRST: any, if the file is not bound
 * @CALLER_ANY: any
 */
enum ioctl_caller {
	CALLER_OWNER,
	CALLER_NEW_OWNER,
	CALLER_FIRST,
	CALLER_ANY,
};

/**
 * struct ioctl_op - An ioctl; offsets and sizes are in bytes
 * @cmd: its number
 * @flags: flags that it takes
 * @size: size of its struct
 * @min_size: size of its struct's first version
 * @in_len: length of the part that the kernel reads
 * @back: offset of the first field that the kernel writes, rounded down to 8
 * @back_end: offset after the last, rounded up to 8
 * @out: offset of the out_* fields, which follow each other
 * @out_end: offset after them
 * @reason: offset of out_reason
 * @reserved: offset of a field that must be 0, or 0
 * @counts: offsets of fields that are counts on input and on output, or 0
 * @lock: combination of enum ioctl_lock
 * @caller: who may call
 * @execute: the handler. Returns 0, an errno, or IOCTL_ANSWERED if it has already
 *	written the struct back
 * @undo: roll back if the result cannot be copied out; NULL if there is nothing to
 *	roll back
 */
struct ioctl_op {
	unsigned int cmd;
	u32 flags;
	u16 size;
	u16 min_size;
	u16 in_len;
	u16 back;
	u16 back_end;
	u16 out;
	u16 out_end;
	u16 reason;
	u16 reserved;
	u16 counts[2];
	u32 lock;
	enum ioctl_caller caller;
	int (*execute)(struct smmuv3_vsmmu *v, void *arg);
	void (*undo)(struct smmuv3_vsmmu *v, void *arg);
};

#define CREATE_FLAGS	(SMMUV3_ACCEL_CREATE_SHARED_ASIDS | SMMUV3_ACCEL_CREATE_FEED | \
			 SMMUV3_ACCEL_CREATE_NO_GLOBAL)
#define ATTACH_FLAGS	(SMMUV3_ACCEL_ATTACH_BRIDGE | SMMUV3_ACCEL_ATTACH_FEED | \
			 SMMUV3_ACCEL_ATTACH_DRY_RUN)

/*
 * The size of each struct's first version is part of the user ABI. A struct has fields to
 * read, to read and write, and to write, in this order, and reserved ones last or
 * among the first.
 */
#define STRUCT(_struct, _size, ...)						\
	STRUCT_GROWN(_struct, _size, _size, __VA_ARGS__)
#define STRUCT_GROWN(_struct, _first_size, _size, _first_back, _first_out, _last_out) \
	.size = sizeof(struct _struct) +					\
		BUILD_BUG_ON_ZERO(sizeof(struct _struct) != (_size)) +		\
		BUILD_BUG_ON_ZERO((_size) % sizeof(u64)) +			\
		BUILD_BUG_ON_ZERO((_size) > sizeof(union ioctl_buffer)),	\
	.min_size = (_first_size),						\
	.in_len = offsetofend(struct _struct, _last_out) == (_size) ?		\
		  ALIGN(offsetof(struct _struct, _first_out), sizeof(u64)) :	\
		  (_size),							\
	.back = ALIGN_DOWN(offsetof(struct _struct, _first_back), sizeof(u64)),	\
	.back_end = ALIGN(offsetofend(struct _struct, _last_out), sizeof(u64)),	\
	.out = offsetof(struct _struct, _first_out),				\
	.out_end = offsetofend(struct _struct, _last_out),			\
	.reason = offsetof(struct _struct, out_reason)
#define RESERVED(_struct)	.reserved = offsetof(struct _struct, __reserved)

static const struct ioctl_op ioctl_ops[] = {
	[SMMUV3_ACCEL_CMD_GET_INFO] = {
		.cmd = SMMUV3_ACCEL_GET_INFO,
		STRUCT(smmuv3_accel_info, 56, out_reason, out_reason,
		       out_ioctls),
		.caller = CALLER_ANY,
		.execute = ioctl_get_info,
	},
	[SMMUV3_ACCEL_CMD_CREATE] = {
		.cmd = SMMUV3_ACCEL_CREATE,
		STRUCT(smmuv3_accel_create, 24, out_reason, out_reason,
		       out_reason),
		RESERVED(smmuv3_accel_create),
		.flags = CREATE_FLAGS,
		.lock = LOCK_OUTER | LOCK_QUEUE,
		.caller = CALLER_FIRST,
		.execute = ioctl_create,
	},
	[SMMUV3_ACCEL_CMD_SET_IDR] = {
		.cmd = SMMUV3_ACCEL_SET_IDR,
		STRUCT(smmuv3_accel_set_idr, 64, out_bad_idr, out_bad_idr,
		       out_reason),
		RESERVED(smmuv3_accel_set_idr),
		.lock = LOCK_OUTER | LOCK_QUEUE,
		.execute = ioctl_set_idr,
	},
	[SMMUV3_ACCEL_CMD_SET_MEM_TABLE] = {
		.cmd = SMMUV3_ACCEL_SET_MEM_TABLE,
		STRUCT(smmuv3_accel_mem_table, 32, out_bad_region, out_bad_region,
		       out_reason),
		RESERVED(smmuv3_accel_mem_table),
		.lock = LOCK_QUEUE,
		.execute = ioctl_set_mem_table,
	},
	[SMMUV3_ACCEL_CMD_ATTACH] = {
		.cmd = SMMUV3_ACCEL_ATTACH,
		STRUCT(smmuv3_accel_attach, 72, out_reason, out_reason,
		       out_bad_idr),
		RESERVED(smmuv3_accel_attach),
		.flags = ATTACH_FLAGS,
		.lock = LOCK_OUTER,
		.execute = ioctl_attach,
	},
	[SMMUV3_ACCEL_CMD_DETACH] = {
		.cmd = SMMUV3_ACCEL_DETACH,
		STRUCT(smmuv3_accel_detach, 16, out_reason, out_reason,
		       out_reason),
		.lock = LOCK_OUTER,
		.execute = ioctl_detach,
	},
	[SMMUV3_ACCEL_CMD_GET_PHYS] = {
		.cmd = SMMUV3_ACCEL_GET_PHYS,
		STRUCT(smmuv3_accel_phys, 72, out_reason, out_reason,
		       out_bypass_hwpt_id),
		.lock = LOCK_OUTER,
		.execute = ioctl_get_phys,
	},
	[SMMUV3_ACCEL_CMD_GET_STREAM] = {
		.cmd = SMMUV3_ACCEL_GET_STREAM,
		STRUCT(smmuv3_accel_stream, 56, out_reason, out_reason,
		       out_ste),
		RESERVED(smmuv3_accel_stream),
		.lock = LOCK_QUEUE,
		.execute = ioctl_get_stream,
	},
	[SMMUV3_ACCEL_CMD_INSTALL_STE] = {
		.cmd = SMMUV3_ACCEL_INSTALL_STE,
		STRUCT(smmuv3_accel_install_ste, 32, entry_num, out_reason,
		       out_reason),
		RESERVED(smmuv3_accel_install_ste),
		.counts = { offsetof(struct smmuv3_accel_install_ste, entry_num) },
		.lock = LOCK_QUEUE,
		.execute = ioctl_install_ste,
	},
	[SMMUV3_ACCEL_CMD_INVALIDATE] = {
		.cmd = SMMUV3_ACCEL_INVALIDATE,
		STRUCT(smmuv3_accel_invalidate, 32, cmd_num, out_error,
		       out_vsid),
		.counts = { offsetof(struct smmuv3_accel_invalidate, cmd_num) },
		.lock = LOCK_RUN,
		.execute = smmuv3_cmdq_invalidate,
		.undo = undo_invalidate,
	},
	[SMMUV3_ACCEL_CMD_SET_REGS] = {
		.cmd = SMMUV3_ACCEL_SET_REGS,
		STRUCT(smmuv3_accel_set_regs, 48, out_vsid, out_vsid,
		       out_reason),
		RESERVED(smmuv3_accel_set_regs),
		.lock = LOCK_QUEUE,
		.execute = ioctl_set_regs,
	},
	[SMMUV3_ACCEL_CMD_RUN_CMDQ] = {
		.cmd = SMMUV3_ACCEL_RUN_CMDQ,
		STRUCT(smmuv3_accel_run_cmdq, 64, cons, out_error, out_vsid),
		RESERVED(smmuv3_accel_run_cmdq),
		.counts = { offsetof(struct smmuv3_accel_run_cmdq, feed_num),
			    offsetof(struct smmuv3_accel_run_cmdq, bad_num) },
		.lock = LOCK_RUN,
		.execute = smmuv3_cmdq_run,
		.undo = undo_run_cmdq,
	},
	[SMMUV3_ACCEL_CMD_RESET] = {
		.cmd = SMMUV3_ACCEL_RESET,
		STRUCT(smmuv3_accel_reset, 16, out_reason, out_reason,
		       out_reason),
		RESERVED(smmuv3_accel_reset),
		.lock = LOCK_QUEUE,
		.execute = ioctl_reset,
	},
	[SMMUV3_ACCEL_CMD_GET_STATS] = {
		.cmd = SMMUV3_ACCEL_GET_STATS,
		STRUCT_GROWN(smmuv3_accel_stats, 112, 120, out_reason, out_reason,
			     out_withheld),
		RESERVED(smmuv3_accel_stats),
		.lock = LOCK_QUEUE,
		.execute = ioctl_get_stats,
	},
	[SMMUV3_ACCEL_CMD_CHANGE_PROCESS] = {
		.cmd = SMMUV3_ACCEL_CHANGE_PROCESS,
		STRUCT(smmuv3_accel_change_process, 16, out_reason, out_reason,
		       out_reason),
		.lock = LOCK_OUTER | LOCK_QUEUE,
		.caller = CALLER_NEW_OWNER,
		.execute = ioctl_change_process,
	},
	[SMMUV3_ACCEL_CMD_SET_VSIDS] = {
		.cmd = SMMUV3_ACCEL_SET_VSIDS,
		STRUCT(smmuv3_accel_set_vsids, 32, out_vsid, out_vsid,
		       out_reason),
		RESERVED(smmuv3_accel_set_vsids),
		.lock = LOCK_OUTER | LOCK_QUEUE,
		.execute = ioctl_set_vsids,
	},
};

static_assert(sizeof(struct smmuv3_accel_mem_region) == 24);
static_assert(sizeof(struct smmuv3_accel_ste) == 80);
static_assert(sizeof(struct smmuv3_accel_bad_ste) == 8);
static_assert(sizeof(struct smmuv3_accel_vsid) == 8);

static int ioctl_get_info(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_info *cmd = arg;
	unsigned int i;

	cmd->out_api_version = SMMUV3_ACCEL_API_VERSION;
	cmd->out_max_streams = SMMUV3_MAX_STREAMS;
	cmd->out_max_phys = SMMUV3_MAX_PHYS;
	cmd->out_max_regions = SMMUV3_MAX_REGIONS;
	cmd->out_max_cmds = SMMUV3_MAX_CMDS;
	cmd->out_max_batch = SMMUV3_HOST_MAX_BATCH;
	cmd->out_max_stes = SMMUV3_MAX_STES;
	cmd->out_create_flags = ioctl_ops[SMMUV3_ACCEL_CMD_CREATE].flags;
	cmd->out_attach_flags = ioctl_ops[SMMUV3_ACCEL_CMD_ATTACH].flags;
	for (i = 0; i < ARRAY_SIZE(ioctl_ops); i++)
		if (ioctl_ops[i].execute)
			cmd->out_ioctls |= BIT_ULL(i);
	return 0;
}

static u32 *call_field(struct ioctl_call *call, u16 offset)
{
	return (void *)&call->buf + offset;
}

static __always_inline int ioctl_lock(struct smmuv3_vsmmu *v, u32 lock)
{
	if (likely(lock & LOCK_RUN))
		return mutex_lock_interruptible(&v->queue_lock);
	if ((lock & LOCK_OUTER) && mutex_lock_interruptible(&v->lock))
		return -EINTR;
	if (!(lock & LOCK_QUEUE) || likely(!smmuv3_lock_queue(v)))
		return 0;
	if (lock & LOCK_OUTER)
		mutex_unlock(&v->lock);
	return -EINTR;
}

static __always_inline void ioctl_unlock(struct smmuv3_vsmmu *v, u32 lock)
{
	if (lock & (LOCK_RUN | LOCK_QUEUE))
		smmuv3_unlock_queue(v);
	if (lock & LOCK_OUTER)
		mutex_unlock(&v->lock);
}

/* Whether the caller may use the file. The op's locks are held. */
static __always_inline int ioctl_check_caller(struct smmuv3_vsmmu *v,
					      enum ioctl_caller caller, u32 *reason)
{
	if (likely(caller == CALLER_OWNER && v->host)) {
		if (likely(smmuv3_host_reachable(v->host)))
			return 0;
		*reason = SMMUV3_ACCEL_REASON_FOREIGN_MM;
		return -EIO;
	}
	if (caller == CALLER_ANY || (v->host ? caller == CALLER_NEW_OWNER :
					      caller == CALLER_FIRST))
		return 0;
	if (v->host) {
		*reason = SMMUV3_ACCEL_REASON_ALREADY_CREATED;
		return -EBUSY;
	}
	*reason = SMMUV3_ACCEL_REASON_NOT_CREATED;
	return -ENXIO;
}

/* Check a call, and take the locks that its handler needs. */
static __always_inline int ioctl_begin(struct smmuv3_vsmmu *v, const struct ioctl_op *op,
				       struct ioctl_call *call)
{
	u32 *reason = call_field(call, op->reason);
	int i, rc;

	for (i = op->out; i < op->out_end; i += sizeof(u32))
		*call_field(call, i) = 0;
	if (unlikely(call->buf.info.flags & ~op->flags)) {
		*reason = SMMUV3_ACCEL_REASON_FLAGS;
		rc = -EOPNOTSUPP;
	} else if (unlikely(op->reserved && *call_field(call, op->reserved))) {
		*reason = SMMUV3_ACCEL_REASON_RESERVED;
		rc = -EOPNOTSUPP;
	} else {
		rc = ioctl_lock(v, op->lock);
		if (likely(!rc)) {
			rc = ioctl_check_caller(v, op->caller, reason);
			if (likely(!rc))
				return 0;
			ioctl_unlock(v, op->lock);
		}
	}
	for (i = 0; i < ARRAY_SIZE(op->counts); i++)
		if (op->counts[i])
			*call_field(call, op->counts[i]) = 0;
	return rc;
}

/*
 * Read a struct, of the size that the kernel has, as far as there are fields to read.
 * Structs are short: word by word is faster than by a call.
 */
static __always_inline bool ioctl_read_words(const struct ioctl_op *op,
					     struct ioctl_call *call)
{
	const u64 __user *from = call->uarg, *end = call->uarg + op->in_len;
	u64 *to = call->buf.words;
	bool done = false;

	if (!user_read_access_begin(from, op->in_len))
		return false;
	/* Every struct starts with its size. */
	unsafe_get_user(*to, from, fault);
	if (call->buf.info.size != op->size)
		goto fault;
	while (++from < end)
		unsafe_get_user(*++to, from, fault);
	done = true;
fault:
	user_read_access_end();
	return done;
}

static __always_inline int ioctl_read(const struct ioctl_op *op, struct ioctl_call *call)
{
	u32 size;

	call->back = op->back;
	call->back_end = op->back_end;
	if (likely(ioctl_read_words(op, call)))
		return 0;
	if (get_user(size, (u32 __user *)call->uarg))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;
	/* To look for a field that is set in 4 GiB takes seconds, whatever signal comes. */
	if (size > PAGE_SIZE)
		return -E2BIG;
	call->back_end = min_t(u32, op->back_end, size & ~7U);
	return copy_struct_from_user(&call->buf, op->size, call->uarg, size);
}

static __always_inline long ioctl_run(struct smmuv3_vsmmu *v, const struct ioctl_op *op,
				      unsigned long arg)
{
	struct ioctl_call call __uninitialized;
	u32 *reason;
	int rc;

	call.uarg = (void __user *)arg;
	rc = ioctl_read(op, &call);
	if (rc)
		return rc;

	rc = ioctl_begin(v, op, &call);
	if (likely(!rc)) {
		rc = op->execute(v, &call.buf);
		ioctl_unlock(v, op->lock);
	}
	if (rc == IOCTL_ANSWERED)
		return 0;
	reason = call_field(&call, op->reason);
	if (unlikely(rc) && !*reason)
		*reason = smmuv3_host_reason(rc);
	if (unlikely(ioctl_answer(&call.buf))) {
		if (!rc && op->undo)
			op->undo(v, &call.buf);
		return -EFAULT;
	}
	return rc;
}

/**
 * smmuv3_ioctl_dispatch() - Carry out an ioctl
 * @v: the vSMMU
 * @nr: the ioctl
 * @arg: the caller's struct
 *
 * Return: 0 or an errno.
 */
long smmuv3_ioctl_dispatch(struct smmuv3_vsmmu *v, unsigned int nr, unsigned long arg)
{
	const struct ioctl_op *op;

	/*
	 * Guests install STEs at run time. With a constant op the compiler knows sizes
	 * and offsets. `make bench` measures it.
	 */
	if (nr == SMMUV3_ACCEL_INSTALL_STE)
		return ioctl_run(v, &ioctl_ops[SMMUV3_ACCEL_CMD_INSTALL_STE], arg);
	if (_IOC_NR(nr) >= ARRAY_SIZE(ioctl_ops))
		return -ENOTTY;
	op = &ioctl_ops[array_index_nospec(_IOC_NR(nr), ARRAY_SIZE(ioctl_ops))];
	/* Otherwise the compiler computes the address again for each field. */
	OPTIMIZER_HIDE_VAR(op);
	return op->cmd == nr ? ioctl_run(v, op, arg) : -ENOTTY;
}
