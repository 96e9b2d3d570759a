// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SMMU: what its ioctls do, from create to close.
 */
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/export.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "arch.h"
#include "cmdq.h"
#include "debugfs.h"
#include "parent.h"
#include "phys.h"
#include "stream.h"
#include "table.h"
#include "trace.h"
#include "vsmmu.h"

static bool subsume = true;
module_param(subsume, bool, 0444);
MODULE_PARM_DESC(subsume, "Leave out commands whose work others in the batch do (0: off, to look for a guest's or our mistake)");

static bool merge = true;
module_param(merge, bool, 0444);
MODULE_PARM_DESC(merge, "Make one range invalidation of adjacent ones (0: off)");

static uint escalate = 64;
module_param(escalate, uint, 0444);
MODULE_PARM_DESC(escalate, "With NO_GLOBAL, more invalidations by address than this become one by ASID (0: never; raise it where refilling TLBs costs more)");

/**
 * smmuv3_vsmmu_alloc() - Make a virtual SMMU that is not bound to a host yet
 *
 * Return: the vSMMU, to be closed by smmuv3_vsmmu_close(), or NULL.
 */
struct smmuv3_vsmmu *smmuv3_vsmmu_alloc(void)
{
	static atomic_t last_id;
	struct smmuv3_vsmmu *v;

	v = kzalloc_obj(*v, GFP_KERNEL_ACCOUNT);
	if (!v)
		return NULL;
	v->id = atomic_inc_return(&last_id);
	mutex_init(&v->lock);
	mutex_init(&v->queue_lock);
	INIT_LIST_HEAD(&v->phys);
	INIT_LIST_HEAD(&v->stale_cds);
	xa_init_flags(&v->streams, XA_FLAGS_ACCOUNT);
	smmuv3_phys_update_offer(v);
	return v;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_alloc);

/**
 * smmuv3_vsmmu_create() - Bind a virtual SMMU to a host
 * @v: the vSMMU, both locks held
 * @host: the host; belongs to the vSMMU if it succeeds
 * @flags: combination of enum smmuv3_accel_create_flags
 *
 * Return: 0, -EBUSY if it is bound already, -ENOMEM.
 */
int smmuv3_vsmmu_create(struct smmuv3_vsmmu *v, struct smmuv3_host *host, u32 flags)
{
	struct smmuv3_batch *batch;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	if (v->host)
		return -EBUSY;

	batch = kvzalloc_obj(*batch, GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	if (flags & SMMUV3_ACCEL_CREATE_FEED) {
		v->queue.feed_cmds = kvmalloc_objs(*v->queue.feed_cmds,
						   SMMUV3_HOST_MAX_BATCH,
						   GFP_KERNEL_ACCOUNT);
		if (!v->queue.feed_cmds) {
			kvfree(batch);
			return -ENOMEM;
		}
	}
	v->queue.batch = batch;
	v->host = host;
	v->shared_asids = flags & SMMUV3_ACCEL_CREATE_SHARED_ASIDS;
	v->policy = (struct smmuv3_batch_policy){
		.subsume = subsume,
		.merge = merge,
		.no_global = flags & SMMUV3_ACCEL_CREATE_NO_GLOBAL,
		.escalate = escalate,
	};
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_create);

/**
 * smmuv3_vsmmu_change_process() - Hand a virtual SMMU over to the calling process
 * @v: the vSMMU, both locks held
 * @iommufd: the iommufd, as the caller's descriptor
 * @reason: set if it fails
 *
 * The guest's memory is elsewhere in the new address space, so the memory table
 * is forgotten. All else stays, and DMA goes on.
 *
 * Return: 0, also if it is the caller's already, or an errno with nothing changed.
 */
int smmuv3_vsmmu_change_process(struct smmuv3_vsmmu *v, int iommufd, u32 *reason)
{
	enum smmuv3_accel_reason why = SMMUV3_ACCEL_REASON_NONE;
	bool ours = smmuv3_host_reachable(v->host);
	static const struct guest_mem nowhere;
	int rc;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	rc = v->host->ops->change_process(v->host, iommufd, &why);
	*reason = why;
	if (rc || ours)
		return rc;
	smmuv3_vsmmu_set_mem(v, &nowhere);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_change_process);

/**
 * smmuv3_vsmmu_set_idr() - Set what the guest is offered
 * @v: the vSMMU, both locks held
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @why: set if it fails, to all fields that are refused
 *
 * Return: 0, -EOPNOTSUPP, -EBUSY if it is too late.
 */
int smmuv3_vsmmu_set_idr(struct smmuv3_vsmmu *v, const u32 idr[6],
			 struct smmuv3_refusal *why)
{
	struct smmuv3_phys *phys;
	bool fits = true;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	if (v->stream_num || v->offer.fixed) {
		why->reason = SMMUV3_ACCEL_REASON_FROZEN;
		return -EBUSY;
	}
	if (!smmuv3_idr_check(idr, why->bad_idr)) {
		why->reason = SMMUV3_ACCEL_REASON_IDR_ILLEGAL;
		return -EOPNOTSUPP;
	}
	list_for_each_entry(phys, &v->phys, node)
		fits &= smmuv3_idr_fits(idr, phys->info.idr, why->bad_idr);
	if (!fits) {
		why->reason = SMMUV3_ACCEL_REASON_IDR_HOST;
		return -EOPNOTSUPP;
	}
	memcpy(v->offer.idr, idr, sizeof(v->offer.idr));
	v->offer.idr_set = true;
	smmuv3_phys_update_offer(v);
	smmuv3_cmdq_locate(v);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_idr);

/**
 * smmuv3_vsmmu_set_mem() - Say where the guest's memory is
 * @v: the vSMMU, @queue_lock held
 * @mem: the memory; belongs to the vSMMU from now on
 */
void smmuv3_vsmmu_set_mem(struct smmuv3_vsmmu *v, const struct guest_mem *mem)
{
	lockdep_assert_held(&v->queue_lock);

	guest_mem_free(&v->mem);
	v->mem = *mem;
	smmuv3_cmdq_locate(v);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_mem);

/* Make a stream visible. Cannot fail, because the slot is reserved. */
static void attach_publish(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	if (stream->phys) {
		smmuv3_phys_publish(v, stream->phys);
		stream->phys->stream_num++;
	}
	v->stream_num++;
	v->feed_stream_num += stream->feed;
	xa_store(&v->streams, stream->vsid, stream, GFP_KERNEL_ACCOUNT);
	if (!v->table.enabled || !stream->live)
		return;
	if (stream->ste.kind == SMMUV3_ACCEL_KIND_ABORT)
		v->stats.out_ste_unchanged++;
	else
		v->stats.out_ste_installed++;
	smmuv3_stream_note_ste(v, stream, SMMUV3_ACCEL_KIND_ABORT);
}

/* A reserved StreamID is invisible to everybody else until a stream is stored. */
static int attach_reserve(struct smmuv3_vsmmu *v, u32 vsid, u32 *reason)
{
	int rc;

	if (v->stream_num >= SMMUV3_MAX_STREAMS) {
		*reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS;
		return -ENOSPC;
	}
	rc = xa_insert(&v->streams, vsid, NULL, GFP_KERNEL_ACCOUNT);
	if (rc != -EBUSY)
		return rc;
	*reason = SMMUV3_ACCEL_REASON_VSID_IN_USE;
	return -EEXIST;
}

/* Undo attach_objects(). The device is not attached. */
static void attach_undo_objects(struct smmuv3_vsmmu *v,
				struct smmuv3_stream *stream)
{
	if (!stream->dev)
		return;
	smmuv3_stream_destroy_objects(v->host, stream);
	if (stream->phys)
		smmuv3_phys_put(stream->phys);
	v->host->ops->dev_put(v->host, stream->dev);
	stream->dev = NULL;
}

/* The host objects of a stream, except its domain: nothing changes for DMA. */
static int attach_objects(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_accel_attach *cmd,
			  struct smmuv3_refusal *why)
{
	enum smmuv3_accel_reason reason = SMMUV3_ACCEL_REASON_NONE;
	struct smmuv3_host_dev *dev;
	struct smmuv3_phys *phys;
	int rc;

	dev = v->host->ops->dev_get(v->host, cmd->vfio_fd, &reason);
	if (IS_ERR(dev)) {
		why->reason = reason;
		return PTR_ERR(dev);
	}
	stream->dev = dev;
	phys = smmuv3_phys_get(v, dev, cmd->s2_hwpt_id, why);
	rc = PTR_ERR_OR_ZERO(phys);
	if (!rc) {
		stream->phys = phys;
		rc = smmuv3_stream_check_vsid(v, stream, stream->vsid,
					      &why->reason);
	}
	if (!rc)
		rc = smmuv3_stream_number(stream, &why->reason);
	if (rc)
		attach_undo_objects(v, stream);
	return rc;
}

/* A stream of which the host knows nothing */
static int attach_virtual(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_accel_attach *cmd,
			  struct smmuv3_refusal *why)
{
	int rc;

	if (cmd->vfio_fd != -1) {
		why->reason = SMMUV3_ACCEL_REASON_HAS_DEVICE;
		return -EINVAL;
	}
	if (stream->feed && !v->queue.feed_cmds) {
		why->reason = SMMUV3_ACCEL_REASON_NO_FEED;
		return -EOPNOTSUPP;
	}
	rc = smmuv3_stream_check_vsid(v, stream, stream->vsid, &why->reason);
	return rc ?: smmuv3_stream_number(stream, &why->reason);
}

/* The STE that the guest has for a stream, and its domain: nothing changes for DMA. */
static int attach_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		      struct smmuv3_refusal *why)
{
	int rc = 0;

	if (stream->dev) {
		if (!smmuv3_phys_fits(v, stream->phys, why))
			return -EOPNOTSUPP;
		rc = smmuv3_phys_flush_pending(v, stream->phys);
	}
	if (!rc)
		rc = smmuv3_table_ste(v, stream, &stream->ste, &why->reason);
	if (!rc && stream->dev && stream->live)
		rc = smmuv3_stream_make_domain(stream, &stream->ste,
					       &stream->hwpt_id);
	return rc;
}

static void attach_describe(const struct smmuv3_stream *stream,
			    struct smmuv3_accel_attach *cmd)
{
	cmd->out_phys = SMMUV3_ACCEL_NO_PHYS;
	if (!stream->dev)
		return;
	cmd->out_dev_id = stream->dev->dev_id;
	cmd->out_viommu_id = stream->phys->viommu_id;
	cmd->out_vdevice_id = stream->vdevice_id;
	cmd->out_s2_hwpt_id = smmuv3_parent_id(stream->phys->parent);
	cmd->out_phys = stream->phys->index;
}

static void attach_clear(struct smmuv3_accel_attach *cmd)
{
	memset(&cmd->out_reason, 0, offsetof(typeof(*cmd), __reserved) -
				    offsetof(typeof(*cmd), out_reason));
}

/*
 * The last steps of an attach. All that can fail, telling the caller included, comes
 * before the device changes hands.
 */
static int attach_finish(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			 struct smmuv3_accel_attach *cmd,
			 int (*answer)(void *arg), struct smmuv3_refusal *why)
{
	int rc;

	rc = smmuv3_lock_queue(v);
	if (rc)
		return rc;
	rc = attach_ste(v, stream, why);
	if (!rc && answer) {
		attach_describe(stream, cmd);
		rc = answer(cmd);
		if (!rc)
			rc = smmuv3_stream_connect(stream);
		if (!rc)
			attach_publish(v, stream);
	}
	smmuv3_unlock_queue(v);
	return rc;
}

/**
 * smmuv3_vsmmu_attach() - Put a device behind a virtual SMMU
 * @v: the vSMMU, @lock held
 * @cmd: the device, and what came of it; see SMMUV3_ACCEL_ATTACH
 * @answer: writes @cmd to the caller. Called when all has succeeded that may fail
 *	except the attach itself. If it fails, nothing is attached
 *
 * Return: 0, or an errno with nothing changed. With a dry run nothing is changed,
 * and @answer is not called.
 */
int smmuv3_vsmmu_attach(struct smmuv3_vsmmu *v, struct smmuv3_accel_attach *cmd,
			int (*answer)(void *arg))
{
	bool dry_run = cmd->flags & SMMUV3_ACCEL_ATTACH_DRY_RUN;
	struct smmuv3_refusal why = {};
	struct smmuv3_stream *stream;
	int rc;

	lockdep_assert_held(&v->lock);

	rc = attach_reserve(v, cmd->vsid, &why.reason);
	if (rc)
		goto out;
	stream = smmuv3_stream_alloc(cmd->vsid, cmd->flags);
	if (!stream)
		rc = -ENOMEM;
	else if (cmd->flags & ~SMMUV3_ACCEL_ATTACH_DRY_RUN)
		rc = attach_virtual(v, stream, cmd, &why);
	else
		rc = attach_objects(v, stream, cmd, &why);
	if (rc)
		goto out_free;
	rc = attach_finish(v, stream, cmd, dry_run ? NULL : answer, &why);
	if (!rc && !dry_run)
		goto out;
	attach_undo_objects(v, stream);
	attach_clear(cmd);
out_free:
	kfree(stream);
	xa_release(&v->streams, cmd->vsid);
out:
	if (rc) {
		cmd->out_reason = why.reason ?: smmuv3_host_reason(rc);
		memcpy(cmd->out_bad_idr, why.bad_idr, sizeof(why.bad_idr));
	}
	if (!dry_run)
		trace_smmuv3_accel_attach(v, cmd->vsid, cmd->out_dev_id, rc,
					  cmd->out_reason);
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_attach);

/* The part of a detach that changes something, all at once or not at all. */
static int stream_detach(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (stream->dev) {
		/* Before another vSMMU on the same parent can attach a device. */
		if (stream->phys->stream_num == 1)
			smmuv3_parent_set_pending(stream->phys->parent);
		rc = v->host->ops->dev_detach(v->host, stream->dev, true);
		if (rc)
			return rc;
	}
	xa_erase(&v->streams, stream->vsid);
	list_del_init(&stream->stale_node);
	v->stream_num--;
	v->feed_stream_num -= stream->feed;
	/* Its last entries must not serve the next user of its ASIDs. */
	if (stream->dev && !--stream->phys->stream_num)
		stream->phys->unflushed = smmuv3_phys_flush(v, stream->phys);
	return 0;
}

/**
 * smmuv3_vsmmu_detach() - Take a device out of a virtual SMMU
 * @v: the vSMMU, @lock held
 * @vsid: its StreamID
 * @reason: set if it fails
 *
 * Return: 0, -ENOENT if there is no such stream, -EINTR with nothing changed.
 */
int smmuv3_vsmmu_detach(struct smmuv3_vsmmu *v, u32 vsid, u32 *reason)
{
	struct smmuv3_stream *stream;
	int rc;

	lockdep_assert_held(&v->lock);

	stream = xa_load(&v->streams, vsid);
	if (!stream) {
		*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	rc = smmuv3_lock_queue(v);
	if (rc)
		return -EINTR;
	rc = stream_detach(v, stream);
	smmuv3_unlock_queue(v);
	if (rc)
		return rc;

	trace_smmuv3_accel_detach(v, vsid);
	if (stream->dev) {
		smmuv3_stream_destroy_objects(v->host, stream);
		smmuv3_phys_put(stream->phys);
		v->host->ops->dev_put(v->host, stream->dev);
	}
	kfree(stream);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_detach);

/**
 * struct vsid_change - A stream whose StreamID changes
 * @stream: the stream
 * @old: what it has now
 * @new: what it gets
 */
struct vsid_change {
	struct smmuv3_stream *stream;
	u32 old;
	u32 new;
};

static int change_cmp(const void *a, const void *b)
{
	const struct vsid_change *ca = a, *cb = b;

	return ca->new < cb->new ? -1 : ca->new > cb->new;
}

/* Whether the streams can change so. Sorts by new StreamID, marks the streams. */
static int vsids_check(struct smmuv3_vsmmu *v, struct vsid_change *changes, u32 num,
		       u32 *bad, u32 *reason)
{
	struct smmuv3_stream *stream;
	u32 i;
	int rc;

	for (i = 0; i < num; i++) {
		struct vsid_change *change = &changes[i];

		*bad = change->old;
		stream = xa_load(&v->streams, change->old);
		if (!stream) {
			*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
			return -ENOENT;
		}
		if (stream->renumbered)
			goto twice;
		rc = smmuv3_stream_check_vsid(v, stream, change->new, reason);
		if (rc)
			return rc;
		change->stream = stream;
		stream->renumbered = true;
	}
	sort(changes, num, sizeof(*changes), change_cmp, NULL);
	for (i = 0; i < num; i++) {
		*bad = changes[i].old;
		if (i && changes[i].new == changes[i - 1].new)
			goto twice;
		stream = xa_load(&v->streams, changes[i].new);
		if (stream && !stream->renumbered) {
			*reason = SMMUV3_ACCEL_REASON_VSID_IN_USE;
			return -EEXIST;
		}
	}
	*bad = 0;
	return smmuv3_table_check_mem(v, reason);

twice:
	*reason = SMMUV3_ACCEL_REASON_VSID_TWICE;
	return -EINVAL;
}

/* Change the StreamIDs. Cannot fail, because the new ones are reserved. */
static void vsids_store(struct smmuv3_vsmmu *v, const struct vsid_change *changes,
			u32 num)
{
	struct smmuv3_stream *stream;
	u32 i;

	for (i = 0; i < num; i++) {
		changes[i].stream->vsid = changes[i].new;
		xa_store(&v->streams, changes[i].new, changes[i].stream,
			 GFP_KERNEL_ACCOUNT);
		trace_smmuv3_accel_vsid(v, changes[i].old, changes[i].new);
	}
	for (i = 0; i < num; i++) {
		stream = xa_load(&v->streams, changes[i].old);
		if (stream->vsid != changes[i].old)
			xa_erase(&v->streams, changes[i].old);
	}
}

/* Give a stream its vDEVICE and its STE. What fails leaves it blocked or aborted. */
static int vsids_evaluate(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  u32 *reason)
{
	int rc;

	rc = smmuv3_stream_number(stream, reason);
	if (!rc && stream->live)
		stream->ste.reason = SMMUV3_ACCEL_REASON_NO_STE;
	if (!rc && v->table.enabled)
		rc = smmuv3_table_apply(v, stream, NULL);
	/* Not as if nothing had been done */
	if (rc == -EINTR && !fatal_signal_pending(current))
		rc = -EBUSY;
	if (rc && !*reason)
		*reason = smmuv3_host_reason(rc);
	if (rc && *reason)
		stream->ste.reason = *reason;
	return rc;
}

/* The part of smmuv3_vsmmu_set_vsids() that changes something */
static int vsids_change(struct smmuv3_vsmmu *v, const struct vsid_change *changes,
			u32 num, u32 *bad, u32 *reason)
{
	int rc, first_rc = 0;
	u32 i, why;

	for (i = 0; i < num; i++) {
		rc = smmuv3_stream_block(v, changes[i].stream);
		if (rc) {
			v->table.mixed = true;
			return rc;
		}
	}
	vsids_store(v, changes, num);
	for (i = 0; i < num; i++) {
		why = SMMUV3_ACCEL_REASON_NONE;
		rc = vsids_evaluate(v, changes[i].stream, &why);
		if (rc && !first_rc) {
			first_rc = rc;
			*bad = changes[i].new;
			*reason = why;
		}
	}
	return first_rc;
}

/**
 * smmuv3_vsmmu_set_vsids() - Set or change virtual StreamIDs
 * @v: the vSMMU, both locks held
 * @entries: which
 * @num: how many, at least one
 * @bad: set, if it fails because of one stream, to its StreamID
 * @reason: set if it fails
 *
 * Return: 0; an errno with nothing changed; or, if a host call fails, its errno with
 * the StreamIDs changed. A stream that lacks its vDEVICE or STE then aborts, and the
 * same StreamIDs again give it what it lacks. -EINTR if the caller is being killed:
 * some streams may be blocked under their old StreamIDs.
 */
int smmuv3_vsmmu_set_vsids(struct smmuv3_vsmmu *v,
			   const struct smmuv3_accel_vsid *entries, u32 num,
			   u32 *bad, u32 *reason)
{
	struct vsid_change *changes;
	int rc = 0;
	u32 i;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	changes = kvmalloc_objs(*changes, num, GFP_KERNEL_ACCOUNT);
	if (!changes)
		return -ENOMEM;
	for (i = 0; i < num; i++)
		changes[i] = (struct vsid_change){
			.old = entries[i].old_vsid,
			.new = entries[i].new_vsid,
		};
	rc = vsids_check(v, changes, num, bad, reason);
	for (i = 0; i < num; i++)
		if (changes[i].stream)
			changes[i].stream->renumbered = false;
	if (!rc) {
		for (i = 0; !rc && i < num; i++)
			rc = xa_reserve(&v->streams, changes[i].new,
					GFP_KERNEL_ACCOUNT);
		if (!rc)
			rc = vsids_change(v, changes, num, bad, reason);
		for (i = 0; i < num; i++)
			xa_release(&v->streams, changes[i].new);
	}
	kvfree(changes);
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_vsids);

/**
 * smmuv3_vsmmu_install_ste() - Install an STE that the VMM has read
 * @v: the vSMMU, @queue_lock held
 * @vsid: the stream
 * @words: the guest's STE, CPU-endian
 * @reason: set if it fails, and to why the stream aborts
 *
 * Return: 0, -EBUSY in table mode or without a StreamID, or as
 * smmuv3_stream_set_ste() and smmuv3_stream_flush_cds().
 */
int smmuv3_vsmmu_install_ste(struct smmuv3_vsmmu *v, u32 vsid, const u64 words[8],
			     u32 *reason)
{
	struct smmuv3_stream *stream;
	struct smmuv3_ste ste;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (v->table.enabled) {
		*reason = SMMUV3_ACCEL_REASON_TABLE_MODE;
		return -EBUSY;
	}
	stream = xa_load(&v->streams, vsid);
	if (!stream) {
		*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	if (!stream->live) {
		*reason = SMMUV3_ACCEL_REASON_NO_VSID;
		return -EBUSY;
	}
	smmuv3_stream_decode(v, stream, words, &ste);
	rc = smmuv3_stream_set_ste(v, stream, &ste);
	if (!rc)
		rc = smmuv3_stream_flush_cds(v, vsid, vsid, &vsid);
	*reason = rc ? smmuv3_host_reason(rc) : ste.reason;
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_install_ste);

/**
 * smmuv3_vsmmu_set_regs() - Set the guest's registers
 * @v: the vSMMU, @queue_lock held
 * @regs: the registers
 * @failed: set to the first stream that could not take them
 * @reason: set if it fails
 *
 * Return: as smmuv3_table_set_regs().
 */
int smmuv3_vsmmu_set_regs(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			  u32 *failed, u32 *reason)
{
	int rc = smmuv3_table_set_regs(v, regs, failed, reason);

	/* The registers may be in force also if that failed. */
	smmuv3_cmdq_locate(v);
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_regs);

/**
 * smmuv3_vsmmu_reset() - The guest's machine is reset
 * @v: the vSMMU, @queue_lock held
 * @reason: set where it fails
 *
 * Return: 0, or the first errno, with all streams aborted; -EINTR if the caller is
 * being killed, with the registers in force and some streams aborted.
 */
int smmuv3_vsmmu_reset(struct smmuv3_vsmmu *v, u32 *reason)
{
	struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;
	unsigned long vsid;
	int rc, first = 0;

	lockdep_assert_held(&v->queue_lock);

	xa_for_each(&v->streams, vsid, stream) {
		rc = smmuv3_stream_abort(v, stream, SMMUV3_ACCEL_REASON_NO_STE);
		if (rc || fatal_signal_pending(current)) {
			v->table.mixed = true;
			return -EINTR;
		}
	}
	v->table.enabled = false;
	v->offer.started = false;
	v->table.mixed = false;
	v->queue.atc_failed = false;
	v->table.regs = (struct smmuv3_regs){};
	list_for_each_entry(phys, &v->phys, node) {
		rc = phys->stream_num ? smmuv3_phys_flush(v, phys) : 0;
		if (rc && !first)
			first = rc;
	}
	if (first)
		*reason = smmuv3_host_reason(first);
	return first;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_reset);

/* Block the DMA of all devices and let go of them. Works from any context. */
static void release_devs(struct smmuv3_vsmmu *v)
{
	struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;
	unsigned long vsid;

	/* Only debugfs may be looking on. */
	guard(mutex)(&v->queue_lock);
	/* Before another vSMMU on the same parent can have one of the devices. */
	list_for_each_entry(phys, &v->phys, node)
		if (phys->stream_num)
			smmuv3_parent_set_pending(phys->parent);
	xa_for_each(&v->streams, vsid, stream) {
		if (!stream->dev)
			continue;
		v->host->ops->dev_detach(v->host, stream->dev, false);
		v->host->ops->dev_put(v->host, stream->dev);
		stream->dev = NULL;
	}
	/* A flush by another vSMMU may have come before the DMA ended. */
	list_for_each_entry(phys, &v->phys, node)
		if (phys->stream_num)
			smmuv3_parent_set_pending(phys->parent);
}

/*
 * Forget all streams, whose devices are released.
 * @destroy: destroy their objects as well
 */
static void drop_streams(struct smmuv3_vsmmu *v, bool destroy)
{
	struct smmuv3_stream *stream;
	unsigned long vsid;

	xa_for_each(&v->streams, vsid, stream) {
		xa_erase(&v->streams, vsid);
		if (destroy)
			smmuv3_stream_destroy_objects(v->host, stream);
		kfree(stream);
	}
}

static void free_vsmmu(struct smmuv3_vsmmu *v)
{
	if (v->host)
		v->host->ops->close(v->host);
	guest_mem_free(&v->mem);
	kvfree(v->queue.batch);
	kvfree(v->queue.feed_cmds);
	xa_destroy(&v->streams);
	mutex_destroy(&v->lock);
	mutex_destroy(&v->queue_lock);
	kfree(v);
}

/*
 * A parent may live on, and with it the VMID, for the next user of its ASIDs.
 * release_devs() has made this flush pending; if it fails or cannot be made,
 * it stays so.
 */
static void flush_all(struct smmuv3_vsmmu *v)
{
	struct smmuv3_phys *phys;

	/* Nobody else has the vSMMU any more; this is for lockdep. */
	guard(mutex)(&v->queue_lock);
	list_for_each_entry(phys, &v->phys, node)
		if (phys->stream_num)
			smmuv3_phys_flush(v, phys);
}

/* Forget all objects, having destroyed them if the host can be reached. */
static void drop_objects(struct smmuv3_vsmmu *v, bool destroy)
{
	struct smmuv3_phys *phys, *tmp;

	if (destroy)
		flush_all(v);
	drop_streams(v, destroy);
	list_for_each_entry_safe(phys, tmp, &v->phys, node) {
		list_del(&phys->node);
		smmuv3_phys_destroy(phys, destroy ? phys->host : NULL);
	}
}

/**
 * smmuv3_vsmmu_close() - Close a virtual SMMU
 * @v: the vSMMU; nobody else may use it any more
 *
 * DMA of all its devices is blocked when this returns and the VFIO files are let
 * go, whoever calls it; nothing of that waits for the VMM. Then its objects are
 * destroyed if the caller is in the VMM's address space; else these, inert now,
 * are left to the VMM's iommufd.
 */
void smmuv3_vsmmu_close(struct smmuv3_vsmmu *v)
{
	if (v->host)
		release_devs(v);
	/* Waits for a read of the file, which may be stuck */
	smmuv3_debugfs_remove(v);
	if (v->host)
		drop_objects(v, smmuv3_host_owned(v->host));
	free_vsmmu(v);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_close);
