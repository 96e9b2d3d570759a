// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SMMU from create to close: the work behind its ioctls.
 */
#include <kunit/visibility.h>
#include <linux/atomic.h>
#include <linux/export.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "arch.h"
#include "cmdq.h"
#include "debugfs.h"
#include "filter.h"
#include "parent.h"
#include "phys.h"
#include "stream.h"
#include "table.h"
#include "trace.h"
#include "vsmmu.h"

static bool subsume = true;
module_param(subsume, bool, 0444);
MODULE_PARM_DESC(subsume, "Leave out commands that others in the batch cover (0: off, to debug invalidations)");

static bool merge = true;
module_param(merge, bool, 0444);
MODULE_PARM_DESC(merge, "Merge adjacent range invalidations (0: off)");

static uint escalate = 64;
module_param(escalate, uint, 0444);
MODULE_PARM_DESC(escalate, "With NO_GLOBAL, replace more than this many invalidations by address with one by ASID (0: never; raise it if refilling TLBs is expensive)");

static bool filter = true;
module_param(filter, bool, 0444);
MODULE_PARM_DESC(filter, "With several physical SMMUs, give invalidations by ASID only to those that may hold the ASID (0: off)");

/**
 * smmuv3_vsmmu_alloc() - Allocate a virtual SMMU that is not bound to a host yet
 *
 * Return: the vSMMU, for smmuv3_vsmmu_close(), or NULL.
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
 * @host: the host; the vSMMU owns it if the call succeeds
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

	/* kvzalloc() would round the size up to a power of 2. */
	batch = __vmalloc(sizeof(*batch), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!batch)
		return -ENOMEM;
	if (flags & SMMUV3_ACCEL_CREATE_FEED) {
		v->queue.feed_cmds = kvmalloc_objs(*v->queue.feed_cmds,
						   SMMUV3_HOST_MAX_BATCH,
						   GFP_KERNEL_ACCOUNT);
		if (!v->queue.feed_cmds) {
			vfree(batch);
			return -ENOMEM;
		}
	}
	v->queue.batch = batch;
	v->host = host;
	v->shared_asids = flags & SMMUV3_ACCEL_CREATE_SHARED_ASIDS;
	/* On a shared parent, other vSMMUs rely on these TLBIs as well. */
	v->filter = filter && !v->shared_asids;
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
 * The new process has the guest's memory at other addresses, so the module forgets
 * the memory table. Everything else stays, and DMA goes on. If the vSMMU already
 * belongs to the caller, nothing changes.
 *
 * Return: 0, or an errno with nothing changed.
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
 * smmuv3_vsmmu_set_mem() - Set the memory table
 * @v: the vSMMU, @queue_lock held
 * @mem: the table; the vSMMU owns its memory from now on
 */
void smmuv3_vsmmu_set_mem(struct smmuv3_vsmmu *v, const struct guest_mem *mem)
{
	lockdep_assert_held(&v->queue_lock);

	smmuv3_filter_set_mem(v, mem);
	guest_mem_free(&v->mem);
	v->mem = *mem;
	smmuv3_cmdq_locate(v);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_mem);

/* Publish a stream. Cannot fail, because attach_reserve() reserved the StreamID. */
static void attach_publish(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	if (stream->phys) {
		smmuv3_phys_publish(v, stream->phys);
		stream->phys->stream_num++;
		smmuv3_phys_update_gate(v, stream->phys);
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

/* Lookups do not find a reserved StreamID until a stream is stored. */
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

/* Roll back attach_objects(). The device is not attached. */
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

/* Allocate a stream's host objects, except its domain. DMA does not change yet. */
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

/* Set up a stream that the host does not know. */
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

/* Evaluate the guest's STE and allocate its domain. DMA does not change yet. */
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

/* The SMMU is about to use the STE. A dry run does not come here. */
static int attach_look(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	int rc;

	if (!stream->dev)
		return 0;
	/* It has no entries. The ASIDs are those of an ATTACH that failed after this. */
	if (smmuv3_phys_idle(stream->phys))
		smmuv3_asids_clear(&stream->phys->asids);
	if (!stream->live)
		return 0;
	rc = smmuv3_filter_look(v, stream->phys, &stream->ste);
	return rc ?: smmuv3_filter_flush(v, stream->phys);
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
 * The last steps of an attach. Attach the device after everything else that can fail,
 * which includes copying the result to the caller.
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
		rc = attach_look(v, stream);
		if (!rc) {
			attach_describe(stream, cmd);
			rc = answer(cmd);
		}
		if (!rc)
			rc = smmuv3_stream_connect(stream);
		if (!rc)
			attach_publish(v, stream);
	}
	smmuv3_unlock_queue(v);
	return rc;
}

/**
 * smmuv3_vsmmu_attach() - Attach a device to a virtual SMMU
 * @v: the vSMMU, @lock held
 * @cmd: the device and the result; see SMMUV3_ACCEL_ATTACH
 * @answer: writes @cmd to the caller. Called last before the device is attached. If
 *	it fails, nothing is attached
 *
 * A dry run changes nothing and does not call @answer.
 *
 * Return: 0, or an errno with nothing changed.
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

/* Detach a stream. If this fails, nothing has changed. */
static int stream_detach(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (stream->dev) {
		/* Before another vSMMU on the parent can attach a device */
		if (stream->phys->stream_num == 1)
			smmuv3_parent_set_pending(stream->phys->parent);
		rc = v->host->ops->dev_detach(v->host, stream->dev, true);
		if (rc)
			return rc;
		smmuv3_filter_leave(v, stream->phys, &stream->ste);
	}
	xa_erase(&v->streams, stream->vsid);
	v->recent = NULL;
	list_del_init(&stream->stale_node);
	list_del_init(&stream->s1_node);
	v->stream_num--;
	v->feed_stream_num -= stream->feed;
	/* The next user of the ASIDs must not hit this user's TLB entries. */
	if (stream->dev && !--stream->phys->stream_num)
		stream->phys->unflushed = smmuv3_phys_flush(v, stream->phys);
	return 0;
}

/**
 * smmuv3_vsmmu_detach() - Detach a device from a virtual SMMU
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
 * @old: its present StreamID
 * @new: its new StreamID
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

/* Check the changes. Sorts them by new StreamID, and marks the streams. */
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

/* Change the StreamIDs. Cannot fail, because the caller reserved the new ones. */
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

/* EINTR and ENOMEM would tell the caller that nothing has changed. */
static int vsids_errno(int rc)
{
	return rc == -ENOMEM || (rc == -EINTR && !fatal_signal_pending(current)) ?
		       -EBUSY : rc;
}

/* Set up a stream's vDEVICE and STE. If that fails, its DMA stays blocked. */
static int vsids_evaluate(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  u32 *reason)
{
	int rc;

	rc = smmuv3_stream_number(stream, reason);
	if (!rc && stream->live)
		stream->ste.reason = SMMUV3_ACCEL_REASON_NO_STE;
	if (!rc && v->table.enabled)
		rc = smmuv3_table_apply(v, stream, NULL);
	rc = vsids_errno(rc);
	if (rc && !*reason)
		*reason = smmuv3_host_reason(rc);
	if (rc && *reason)
		stream->ste.reason = *reason;
	return rc;
}

/* The first of the changed streams that translates behind a physical SMMU, or NULL */
static const struct smmuv3_stream *vsids_find(const struct vsid_change *changes, u32 num,
					      const struct smmuv3_phys *phys)
{
	u32 i;

	for (i = 0; i < num; i++)
		if (changes[i].stream->phys == phys &&
		    changes[i].stream->ste.kind == SMMUV3_ACCEL_KIND_S1)
			return changes[i].stream;
	return NULL;
}

/*
 * Flush the entries of new ASIDs on the physical SMMUs of the changed streams. Another
 * one, which may have failed, must not fail the call.
 */
static int vsids_flush(struct smmuv3_vsmmu *v, const struct vsid_change *changes, u32 num,
		       u32 *bad)
{
	const struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;
	int rc, first_rc = 0;

	list_for_each_entry(phys, &v->phys, node) {
		if (smmuv3_asids_are_flushed(&phys->asids))
			continue;
		stream = vsids_find(changes, num, phys);
		rc = stream ? vsids_errno(smmuv3_filter_flush(v, phys)) : 0;
		if (rc && !first_rc) {
			first_rc = rc;
			*bad = stream->vsid;
		}
	}
	return first_rc;
}

/* Carry out the checked changes. */
static int vsids_change(struct smmuv3_vsmmu *v, const struct vsid_change *changes,
			u32 num, u32 *bad, u32 *reason)
{
	int rc, first_rc = 0;
	u32 i, why, failed;

	for (i = 0; i < num; i++) {
		rc = smmuv3_stream_block(v, changes[i].stream);
		if (rc)
			return rc;
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
	rc = vsids_flush(v, changes, num, &failed);
	if (rc && !first_rc) {
		first_rc = rc;
		*bad = failed;
		*reason = smmuv3_host_reason(rc);
	}
	return first_rc;
}

/**
 * smmuv3_vsmmu_set_vsids() - Set or change virtual StreamIDs
 * @v: the vSMMU, both locks held
 * @entries: the changes
 * @num: how many, at least one
 * @bad: if it fails because of one stream, set to its StreamID
 * @reason: set if it fails
 *
 * If the module refuses the entries, nothing has changed. If a host call fails, the
 * StreamIDs have changed, and the DMA of streams without vDEVICE or STE is blocked. The
 * caller sets the same StreamIDs again to set up what is missing. If the caller is
 * being killed, some streams may be blocked under their old StreamIDs.
 *
 * Return: 0 or an errno; -EINTR if the caller is being killed.
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
 * @reason: set to why it fails or why the stream aborts
 *
 * Return: 0, -ENOENT, -EBUSY in table mode or if the StreamID is not set, or an errno
 * of smmuv3_stream_set_ste() or smmuv3_stream_flush_cds().
 */
int smmuv3_vsmmu_install_ste(struct smmuv3_vsmmu *v, u32 vsid, const u64 words[8],
			     u32 *reason)
{
	struct smmuv3_stream *stream;
	struct smmuv3_ste ste __uninitialized;
	u32 failed;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (v->table.enabled) {
		*reason = SMMUV3_ACCEL_REASON_TABLE_MODE;
		return -EBUSY;
	}
	stream = smmuv3_get_stream(v, vsid);
	if (!stream) {
		*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	if (!stream->live) {
		*reason = SMMUV3_ACCEL_REASON_NO_VSID;
		return -EBUSY;
	}
	smmuv3_ste_decode(&ste, words, smmuv3_stream_caps(v, stream));
	rc = smmuv3_stream_set_ste(v, stream, &ste);
	if (!rc)
		rc = smmuv3_stream_flush_cds(v, vsid, vsid, &failed);
	*reason = rc ? smmuv3_host_reason(rc) : ste.reason;
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_install_ste);

/**
 * smmuv3_vsmmu_set_regs() - Set the guest's registers
 * @v: the vSMMU, @queue_lock held
 * @regs: the registers
 * @failed: set to the first stream that could not be configured
 * @reason: set if it fails
 *
 * Return: as smmuv3_table_set_regs().
 */
int smmuv3_vsmmu_set_regs(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			  u32 *failed, u32 *reason)
{
	int rc = smmuv3_table_set_regs(v, regs, failed, reason);

	/* After some errors, the registers are in force all the same. */
	smmuv3_cmdq_locate(v);
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_regs);

/**
 * smmuv3_vsmmu_reset() - Reset the virtual SMMU with the guest's machine
 * @v: the vSMMU, @queue_lock held
 * @reason: set if it fails
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

/* Block the DMA of all devices and put them. Works in any context. */
static void release_devs(struct smmuv3_vsmmu *v)
{
	struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;
	unsigned long vsid;

	/* Only debugfs can still hold the lock. */
	guard(mutex)(&v->queue_lock);
	/* Before another vSMMU on the parent can attach one of the devices */
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

/* Free all streams, after release_devs(). @destroy: also destroy their host objects. */
static void drop_streams(struct smmuv3_vsmmu *v, bool destroy)
{
	struct smmuv3_stream *stream;
	unsigned long vsid;

	xa_for_each(&v->streams, vsid, stream) {
		xa_erase(&v->streams, vsid);
		list_del_init(&stream->s1_node);
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
	vfree(v->queue.batch);
	kvfree(v->queue.feed_cmds);
	xa_destroy(&v->streams);
	mutex_destroy(&v->lock);
	mutex_destroy(&v->queue_lock);
	kfree(v);
}

/*
 * Flush the TLBs: if a parent lives on, so does its VMID, and the next vSMMU on it
 * may use the same ASIDs. release_devs() has made the flush pending. If it fails or
 * the host cannot be reached, it stays pending.
 */
static void flush_all(struct smmuv3_vsmmu *v)
{
	struct smmuv3_phys *phys;

	/* The vSMMU has no other user any more. The lock is for lockdep. */
	guard(mutex)(&v->queue_lock);
	list_for_each_entry(phys, &v->phys, node)
		if (phys->stream_num)
			smmuv3_phys_flush(v, phys);
}

/* Free streams and physical SMMUs. @destroy: also destroy their host objects. */
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
 * @v: the vSMMU, without any other user
 *
 * Any task may call this. It first blocks the DMA of all devices and releases their
 * VFIO files, without waiting for the VMM. If the caller is a VMM task, it then
 * destroys the vSMMU's host objects. Otherwise it leaves them to the VMM's iommufd:
 * without a device they do nothing.
 */
void smmuv3_vsmmu_close(struct smmuv3_vsmmu *v)
{
	if (v->host)
		release_devs(v);
	/* Only now, because this waits for readers in debugfs, which may be stuck */
	smmuv3_debugfs_remove(v);
	if (v->host)
		drop_objects(v, smmuv3_host_owned(v->host));
	free_vsmmu(v);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_close);
