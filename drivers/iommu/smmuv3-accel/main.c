// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/smmuv3-accel: open, release and the ioctl table.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "cmdq.h"
#include "debugfs.h"
#include "parent.h"
#include "stream.h"
#include "vsmmu.h"

/**
 * struct smmuv3_entry - Locked access to a bound vSMMU, for its owner
 * @lock: held, if @rc is 0
 * @rc: why the ioctl cannot be served
 */
struct smmuv3_entry {
	struct mutex *lock;	/* one of vsmmu's */
	int rc;
};

static struct smmuv3_entry smmuv3_enter(struct smmuv3_vsmmu *v, struct mutex *lock,
					u32 *reason)
{
	struct smmuv3_entry entry = { .lock = lock };

	entry.rc = lock == &v->queue_lock ? smmuv3_lock_queue(v) :
					    mutex_lock_interruptible(lock);
	if (entry.rc)
		return entry;
	entry.rc = smmuv3_check(v, reason);
	if (entry.rc)
		mutex_unlock(lock);
	return entry;
}

/* For a run, which waits for others of its kind and need not be let in */
static struct smmuv3_entry smmuv3_enter_run(struct smmuv3_vsmmu *v, u32 *reason)
{
	struct smmuv3_entry entry = { .lock = &v->queue_lock };

	entry.rc = mutex_lock_interruptible(&v->queue_lock);
	if (entry.rc)
		return entry;
	entry.rc = smmuv3_check(v, reason);
	if (entry.rc)
		mutex_unlock(&v->queue_lock);
	return entry;
}

static void smmuv3_leave(const struct smmuv3_entry *entry)
{
	if (!entry->rc)
		mutex_unlock(entry->lock);
}

DEFINE_CLASS(smmuv3_entry, struct smmuv3_entry, smmuv3_leave(&_T),
	     smmuv3_enter(v, lock, reason),
	     struct smmuv3_vsmmu *v, struct mutex *lock, u32 *reason)
EXTEND_CLASS(smmuv3_entry, _run, smmuv3_enter_run(v, reason), struct smmuv3_vsmmu *v,
	     u32 *reason)

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
};

/**
 * struct ioctl_call - A call of an ioctl
 * @buf: its struct
 * @uarg: the caller's
 * @len: how much of it the caller has
 */
struct ioctl_call {
	union ioctl_buffer buf;
	void __user *uarg;
	u32 len;
};

/* What a handler returns that has answered already; not an errno */
#define IOCTL_ANSWERED	1

/* Write a struct back; @arg is what its handler was given. */
static int ioctl_answer(void *arg)
{
	struct ioctl_call *call = container_of(arg, struct ioctl_call, buf);

	return copy_to_user(call->uarg, &call->buf, call->len) ? -EFAULT : 0;
}

static int ioctl_get_info(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_info *cmd = arg;

	cmd->out_api_version = SMMUV3_ACCEL_API_VERSION;
	cmd->out_features = 0;
	cmd->out_max_streams = SMMUV3_MAX_STREAMS;
	cmd->out_max_batch = SMMUV3_HOST_MAX_BATCH;
	cmd->out_max_stes = SMMUV3_MAX_STES;
	return cmd->flags ? -EOPNOTSUPP : 0;
}

static int ioctl_create(struct smmuv3_vsmmu *v, void *arg)
{
	enum smmuv3_accel_reason reason = SMMUV3_ACCEL_REASON_NONE;
	struct smmuv3_accel_create *cmd = arg;
	struct smmuv3_host *host;
	int rc;

	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags & ~(SMMUV3_ACCEL_CREATE_SHARED_ASIDS |
			   SMMUV3_ACCEL_CREATE_FEED |
			   SMMUV3_ACCEL_CREATE_NO_GLOBAL))
		return -EOPNOTSUPP;

	ACQUIRE(mutex_intr, lock)(&v->lock);
	if (ACQUIRE_ERR(mutex_intr, &lock))
		return -EINTR;
	if (v->host)
		return -EBUSY;
	host = smmuv3_host_iommufd_open(cmd->iommufd, cmd->ioas_id, &reason);
	cmd->out_reason = reason;
	if (IS_ERR(host))
		return PTR_ERR(host);
	/* Before the file is bound: what the caller does not know must not be. */
	rc = ioctl_answer(arg);
	if (!rc)
		rc = smmuv3_lock_queue(v);
	if (!rc) {
		rc = smmuv3_vsmmu_create(v, host, cmd->s2_hwpt_id, cmd->flags);
		smmuv3_unlock_queue(v);
	}
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
	int rc;

	cmd->out_bad_idr = 0;
	cmd->out_bad_mask = 0;
	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->lock, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	rc = smmuv3_lock_queue(v);
	if (rc)
		return rc;
	rc = smmuv3_vsmmu_set_idr(v, cmd->idr, &why);
	smmuv3_unlock_queue(v);
	cmd->out_bad_idr = why.bad_idr;
	cmd->out_bad_mask = why.bad_mask;
	cmd->out_reason = why.reason;
	return rc;
}

static int ioctl_set_mem_table(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_mem_table *cmd = arg;
	struct guest_mem mem;
	u32 reason;
	int rc;

	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &reason);
	if (entry.rc)
		return entry.rc;
	rc = guest_mem_load(&mem, u64_to_user_ptr(cmd->regions_uptr),
			    cmd->region_num);
	if (rc)
		return rc;
	guest_mem_free(&v->mem);
	v->mem = mem;
	smmuv3_cmdq_locate(v);
	return 0;
}

/* Write the answer of an ATTACH that is going to succeed. */
static int answer_attach(const struct smmuv3_stream *stream, void *arg)
{
	struct smmuv3_accel_attach *cmd = arg;

	if (stream->dev) {
		cmd->out_dev_id = stream->dev->dev_id;
		cmd->out_viommu_id = stream->phys->viommu_id;
		cmd->out_vdevice_id = stream->vdevice_id;
		cmd->out_s2_hwpt_id = smmuv3_parent_id(stream->phys->parent);
		cmd->out_phys = stream->phys->index;
	} else {
		cmd->out_phys = SMMUV3_ACCEL_NO_PHYS;
	}
	return ioctl_answer(arg);
}

static void clear_attach(struct smmuv3_accel_attach *cmd)
{
	memset(&cmd->out_dev_id, 0,
	       sizeof(*cmd) - offsetof(typeof(*cmd), out_dev_id));
}

static int ioctl_attach(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_attach *cmd = arg;
	const struct smmuv3_answer answer = { answer_attach, cmd };
	struct smmuv3_refusal why = {};
	int rc;

	clear_attach(cmd);
	if (cmd->flags & ~(SMMUV3_ACCEL_ATTACH_BRIDGE |
			   SMMUV3_ACCEL_ATTACH_FEED))
		return -EOPNOTSUPP;
	if (hweight32(cmd->flags) > 1)
		return -EINVAL;

	CLASS(smmuv3_entry, entry)(v, &v->lock, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	rc = smmuv3_vsmmu_attach(v, cmd->vfio_fd, cmd->vsid, cmd->flags, &answer,
				 &why);
	if (!rc)
		return IOCTL_ANSWERED;
	clear_attach(cmd);
	cmd->out_bad_idr = why.bad_idr;
	cmd->out_bad_mask = why.bad_mask;
	cmd->out_reason = why.reason;
	return rc;
}

static int ioctl_detach(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_detach *cmd = arg;

	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->lock, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	return smmuv3_vsmmu_detach(v, cmd->vsid, &cmd->out_reason);
}

static int ioctl_get_phys(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_phys *cmd = arg;
	struct smmuv3_phys *phys;
	u32 reason;

	memset(&cmd->out_viommu_id, 0,
	       offsetof(typeof(*cmd), __reserved) -
	       offsetof(typeof(*cmd), out_viommu_id));
	cmd->out_abort_hwpt_id = 0;
	cmd->out_bypass_hwpt_id = 0;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &reason);
	if (entry.rc)
		return entry.rc;
	list_for_each_entry(phys, &v->phys, node) {
		if (phys->index != cmd->index)
			continue;
		cmd->out_viommu_id = phys->viommu_id;
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
	return -ENOENT;
}

static int ioctl_get_stream(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_stream *cmd = arg;
	struct smmuv3_stream *stream;

	memset(&cmd->out_kind, 0,
	       offsetof(typeof(*cmd), __reserved) -
	       offsetof(typeof(*cmd), out_kind));
	memset(cmd->out_ste, 0, sizeof(cmd->out_ste));
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	stream = xa_load(&v->streams, cmd->vsid);
	if (!stream) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	smmuv3_stream_describe(v, stream, cmd);
	return 0;
}

/* One entry, at @uentry. Its out_* are written whether it succeeds or not. */
static int install_entry(struct smmuv3_vsmmu *v, void __user *uentry, u32 entry_len,
			 u32 *reason)
{
	struct smmuv3_accel_ste entry;
	u64 ste[ARRAY_SIZE(entry.ste)];
	int i, rc;

	rc = copy_struct_from_user(&entry, sizeof(entry), uentry, entry_len);
	if (rc)
		return rc;

	entry.out_reason = SMMUV3_ACCEL_REASON_NONE;
	for (i = 0; i < ARRAY_SIZE(ste); i++)
		ste[i] = le64_to_cpu(entry.ste[i]);
	rc = entry.__reserved ? -EOPNOTSUPP :
	     smmuv3_vsmmu_install_ste(v, entry.vsid, ste, &entry.out_reason);
	entry.out_errno = rc;
	if (rc)
		*reason = entry.out_reason;
	if (copy_to_user(uentry, &entry, offsetofend(typeof(entry), out_reason)))
		return -EFAULT;
	return rc;
}

static int ioctl_install_ste(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_install_ste *cmd = arg;
	u32 num = cmd->entry_num, i;
	int rc;

	cmd->entry_num = 0;
	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_len < sizeof(struct smmuv3_accel_ste) ||
	    cmd->entry_len > PAGE_SIZE || num > SMMUV3_MAX_STREAMS)
		return -EINVAL;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &cmd->out_reason);
	rc = entry.rc;
	for (i = 0; !rc && i < num; i++) {
		if (i >= SMMUV3_MANY_STES && atomic_read(&v->waiters))
			return 0;
		if (signal_pending(current))
			return i ? 0 : -EINTR;
		rc = install_entry(v, u64_to_user_ptr(cmd->entries_uptr) +
				   (size_t)i * cmd->entry_len,
				   cmd->entry_len, &cmd->out_reason);
		if (!rc)
			cmd->entry_num++;
	}
	return rc;
}

static int ioctl_invalidate(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_invalidate *cmd = arg;
	u32 num = cmd->cmd_num;

	cmd->cmd_num = 0;
	cmd->out_error = SMMUV3_ACCEL_CERROR_NONE;
	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	cmd->out_vsid = 0;
	if (cmd->flags)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry_run, entry)(v, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	cmd->cmd_num = num;
	return smmuv3_cmdq_invalidate(v, cmd);
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

	cmd->out_vsid = 0;
	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	return smmuv3_vsmmu_set_regs(v, &regs, &cmd->out_vsid, &cmd->out_reason);
}

static int ioctl_run_cmdq(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_run_cmdq *cmd = arg;
	const u32 feed_room = cmd->feed_num;

	cmd->feed_num = 0;
	cmd->out_error = SMMUV3_ACCEL_CERROR_NONE;
	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	cmd->out_flags = 0;
	cmd->out_vsid = 0;
	if (cmd->flags)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry_run, entry)(v, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	return smmuv3_cmdq_run(v, cmd, feed_room);
}

/* Keep the failure pending, so that the repeated CMD_SYNC reports it. */
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

	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &cmd->out_reason);
	if (entry.rc)
		return entry.rc;
	return smmuv3_vsmmu_reset(v, &cmd->out_reason);
}

static int ioctl_get_stats(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_stats *cmd = arg;
	u32 size = cmd->size, flags = cmd->flags, reason;

	*cmd = (struct smmuv3_accel_stats){ .size = size, .flags = flags };
	if (flags)
		return -EOPNOTSUPP;

	CLASS(smmuv3_entry, entry)(v, &v->queue_lock, &reason);
	if (entry.rc)
		return entry.rc;
	*cmd = v->stats;
	cmd->size = size;
	return 0;
}

/* The one ioctl that is for another process than the vSMMU's. */
static int ioctl_change_process(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_change_process *cmd = arg;
	int rc;

	cmd->out_reason = SMMUV3_ACCEL_REASON_NONE;
	if (cmd->flags)
		return -EOPNOTSUPP;

	ACQUIRE(mutex_intr, lock)(&v->lock);
	if (ACQUIRE_ERR(mutex_intr, &lock))
		return -EINTR;
	if (!v->host)
		return -ENXIO;
	rc = smmuv3_lock_queue(v);
	if (rc)
		return rc;
	rc = smmuv3_vsmmu_change_process(v, cmd->iommufd, &cmd->out_reason);
	smmuv3_unlock_queue(v);
	return rc;
}

/**
 * struct ioctl_op - An ioctl
 * @cmd: its number
 * @size: of its struct
 * @min_size: of its struct's first version
 * @execute: carry it out; sets all out_* fields. Returns 0, an errno, or
 *	IOCTL_ANSWERED if it has written them itself
 * @undo: take it back, where its success cannot be told to the caller. NULL
 *	where nothing is lost by that
 */
struct ioctl_op {
	unsigned int cmd;
	u32 size;
	u32 min_size;
	int (*execute)(struct smmuv3_vsmmu *v, void *arg);
	void (*undo)(struct smmuv3_vsmmu *v, void *arg);
};

/* Each version 1 struct is pinned: its size is part of the user ABI. */
#define IOCTL_OP(_cmd, _execute, _undo, _struct, _last, _size)		\
	[_IOC_NR(_cmd)] = {						\
		.cmd = _cmd,						\
		.size = sizeof(struct _struct) +			\
			BUILD_BUG_ON_ZERO(sizeof(struct _struct) != (_size)) + \
			BUILD_BUG_ON_ZERO(sizeof(struct _struct) >	\
					  sizeof(union ioctl_buffer)),	\
		.min_size = offsetofend(struct _struct, _last),		\
		.execute = _execute,					\
		.undo = _undo,						\
	}

static const struct ioctl_op ioctl_ops[] = {
	IOCTL_OP(SMMUV3_ACCEL_GET_INFO, ioctl_get_info, NULL,
		 smmuv3_accel_info, out_max_stes, 28),
	IOCTL_OP(SMMUV3_ACCEL_CREATE, ioctl_create, NULL,
		 smmuv3_accel_create, out_reason, 24),
	IOCTL_OP(SMMUV3_ACCEL_SET_IDR, ioctl_set_idr, NULL,
		 smmuv3_accel_set_idr, __reserved, 48),
	IOCTL_OP(SMMUV3_ACCEL_SET_MEM_TABLE, ioctl_set_mem_table, NULL,
		 smmuv3_accel_mem_table, regions_uptr, 24),
	IOCTL_OP(SMMUV3_ACCEL_ATTACH, ioctl_attach, NULL,
		 smmuv3_accel_attach, out_reason, 48),
	IOCTL_OP(SMMUV3_ACCEL_DETACH, ioctl_detach, NULL,
		 smmuv3_accel_detach, out_reason, 16),
	IOCTL_OP(SMMUV3_ACCEL_GET_PHYS, ioctl_get_phys, NULL,
		 smmuv3_accel_phys, out_bypass_hwpt_id, 72),
	IOCTL_OP(SMMUV3_ACCEL_GET_STREAM, ioctl_get_stream, NULL,
		 smmuv3_accel_stream, out_ste, 56),
	IOCTL_OP(SMMUV3_ACCEL_INSTALL_STE, ioctl_install_ste, NULL,
		 smmuv3_accel_install_ste, entries_uptr, 32),
	IOCTL_OP(SMMUV3_ACCEL_INVALIDATE, ioctl_invalidate, undo_invalidate,
		 smmuv3_accel_invalidate, cmds_uptr, 32),
	IOCTL_OP(SMMUV3_ACCEL_SET_REGS, ioctl_set_regs, NULL,
		 smmuv3_accel_set_regs, __reserved, 48),
	IOCTL_OP(SMMUV3_ACCEL_RUN_CMDQ, ioctl_run_cmdq, undo_run_cmdq,
		 smmuv3_accel_run_cmdq, feed_uptr, 48),
	IOCTL_OP(SMMUV3_ACCEL_RESET, ioctl_reset, NULL,
		 smmuv3_accel_reset, __reserved, 16),
	IOCTL_OP(SMMUV3_ACCEL_GET_STATS, ioctl_get_stats, NULL,
		 smmuv3_accel_stats, out_replays, 104),
	IOCTL_OP(SMMUV3_ACCEL_CHANGE_PROCESS, ioctl_change_process, NULL,
		 smmuv3_accel_change_process, out_reason, 16),
};

static_assert(sizeof(struct smmuv3_accel_mem_region) == 24);
static_assert(sizeof(struct smmuv3_accel_ste) == 80);

static noinline __cold int doorbell_undo(struct smmuv3_vsmmu *v, int rc, u32 error)
{
	if (!rc)
		undo_error(v, error);
	return -EFAULT;
}

/*
 * The one ioctl that a guest has its VMM make all the time: the same as by the
 * table, for a struct of the kernel's own size, but read and written in few
 * accesses. Returns -ENOIOCTLCMD where it is for the table.
 */
static int doorbell(struct smmuv3_vsmmu *v, u64 __user *uarg)
{
	union {
		struct smmuv3_accel_run_cmdq cmd;
		u64 words[sizeof(struct smmuv3_accel_run_cmdq) / sizeof(u64)];
	} arg __uninitialized;
	int rc;

#define WORD(_member) \
	(offsetof(struct smmuv3_accel_run_cmdq, _member) / sizeof(u64))
#define READ_WORD(_member) \
	unsafe_get_user(arg.words[WORD(_member)], &uarg[WORD(_member)], fault)

	if (!user_read_access_begin(uarg, sizeof(arg)))
		return -EFAULT;
	READ_WORD(size);	/* and flags */
	READ_WORD(prod);	/* and cons */
	READ_WORD(max_cmds);
	READ_WORD(feed_num);	/* and out_vsid */
	READ_WORD(feed_uptr);
	user_read_access_end();
	if (arg.cmd.size != sizeof(arg))
		return -ENOIOCTLCMD;

	rc = ioctl_run_cmdq(v, &arg.cmd);

	if (!user_write_access_begin(uarg, sizeof(arg)))
		goto undo;
	unsafe_put_user(arg.words[WORD(cons)], &uarg[WORD(cons)], fault_out);
	unsafe_put_user(arg.words[WORD(out_error)], &uarg[WORD(out_error)],
			fault_out);
	unsafe_put_user(arg.words[WORD(out_reason)], &uarg[WORD(out_reason)],
			fault_out);
	unsafe_put_user(arg.words[WORD(feed_num)], &uarg[WORD(feed_num)],
			fault_out);
	user_write_access_end();
	return rc;

fault_out:
	user_write_access_end();
undo:
	return doorbell_undo(v, rc, arg.cmd.out_error);

fault:
	user_read_access_end();
	return -EFAULT;
#undef READ_WORD
#undef WORD
}

/* Any ioctl, by the table. Its large frame is none of the doorbell's business. */
static noinline int ioctl_by_table(struct smmuv3_vsmmu *v, unsigned int cmd,
				   void __user *uarg)
{
	struct ioctl_call call __uninitialized;
	const struct ioctl_op *op;
	u32 size;
	int rc;

	if (_IOC_NR(cmd) >= ARRAY_SIZE(ioctl_ops))
		return -ENOTTY;
	op = &ioctl_ops[array_index_nospec(_IOC_NR(cmd), ARRAY_SIZE(ioctl_ops))];
	if (!op->execute || op->cmd != cmd)
		return -ENOTTY;

	/* Every struct starts with its size. */
	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;
	rc = copy_struct_from_user(&call.buf, op->size, uarg, size);
	if (rc)
		return rc;
	call.uarg = uarg;
	call.len = min(size, op->size);

	rc = op->execute(v, &call.buf);
	if (rc == IOCTL_ANSWERED)
		return 0;
	if (ioctl_answer(&call.buf)) {
		if (!rc && op->undo)
			op->undo(v, &call.buf);
		return -EFAULT;
	}
	return rc;
}

static long smmuv3_accel_ioctl(struct file *file, unsigned int cmd,
			       unsigned long arg)
{
	struct smmuv3_vsmmu *v = file->private_data;
	void __user *uarg = (void __user *)arg;
	int rc;

	if (cmd == SMMUV3_ACCEL_RUN_CMDQ) {
		rc = doorbell(v, uarg);
		if (rc != -ENOIOCTLCMD)
			return rc;
	}
	return ioctl_by_table(v, cmd, uarg);
}

static int smmuv3_accel_open(struct inode *inode, struct file *file)
{
	struct smmuv3_vsmmu *v = smmuv3_vsmmu_alloc();

	if (!v)
		return -ENOMEM;
	file->private_data = v;
	return 0;
}

static int smmuv3_accel_release(struct inode *inode, struct file *file)
{
	smmuv3_vsmmu_close(file->private_data);
	return 0;
}

static void smmuv3_accel_show_fdinfo(struct seq_file *seq, struct file *file)
{
	struct smmuv3_vsmmu *v = file->private_data;

	seq_printf(seq, "vsmmu-id:\t%u\nvsmmu-streams:\t%u\n", v->id,
		   READ_ONCE(v->stream_num));
	smmuv3_debugfs_counters(v, seq, "vsmmu-");
}

/* No compat_ioctl: iommufd has none, so a 32-bit process cannot get here. */
static const struct file_operations smmuv3_accel_fops = {
	.owner = THIS_MODULE,
	.open = smmuv3_accel_open,
	.release = smmuv3_accel_release,
	.unlocked_ioctl = smmuv3_accel_ioctl,
	.show_fdinfo = smmuv3_accel_show_fdinfo,
	.llseek = noop_llseek,
};

static struct miscdevice smmuv3_accel_miscdev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "smmuv3-accel",
	.fops = &smmuv3_accel_fops,
	.mode = 0660,
};

static int __init smmuv3_accel_init(void)
{
	int rc;

	smmuv3_debugfs_init();
	rc = misc_register(&smmuv3_accel_miscdev);
	if (rc)
		smmuv3_debugfs_exit();
	return rc;
}
module_init(smmuv3_accel_init);

static void __exit smmuv3_accel_exit(void)
{
	misc_deregister(&smmuv3_accel_miscdev);
	smmuv3_debugfs_exit();
}
module_exit(smmuv3_accel_exit);

MODULE_DESCRIPTION("Accelerated virtual SMMUv3 for virtual machines");
MODULE_VERSION("1.0");
MODULE_LICENSE("GPL");
