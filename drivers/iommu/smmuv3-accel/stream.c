// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: a device behind a virtual SMMU, from attach to detach, and the
 * nested domain that its STE asks for.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "arch.h"
#include "smmuv3-accel.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * smmuv3_host_reason() - Why the host failed, where its errno tells
 * @rc: the errno
 *
 * Return: an enum smmuv3_accel_reason.
 */
u32 smmuv3_host_reason(int rc)
{
	switch (rc) {
	case -ENOMEM:
	case -ETIMEDOUT:
	case -EBUSY:	/* during a function reset */
		return SMMUV3_ACCEL_REASON_RETRY;
	case -ENODEV:
		return SMMUV3_ACCEL_REASON_NO_POWER;
	case -EIO:
	case -EINVAL:
		return SMMUV3_ACCEL_REASON_HOST_REJECT;
	default:
		return SMMUV3_ACCEL_REASON_NONE;
	}
}

/*
 * What a stream's device and SMMU can do, as far as the guest was offered it. A
 * bridge or an emulated endpoint has no SMMU, so with neither ID registers nor
 * another device nothing is known; false then.
 */
static bool stream_caps(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			struct smmuv3_caps *caps)
{
	bool offered = v->idr_set || v->phys_num;

	*caps = v->caps;
	if (!stream->phys)
		return offered;
	*caps = stream->phys->caps;
	if (offered)
		smmuv3_caps_meet(caps, &v->caps);
	return true;
}

/* A stream was given an STE. */
static void stream_note_ste(struct smmuv3_vsmmu *v, const struct smmuv3_stream *stream,
			    u32 old_kind)
{
	const struct smmuv3_ste *ste = &stream->ste;

	if (ste->kind == SMMUV3_ACCEL_KIND_S1)
		v->started = true;
	if (smmuv3_ste_is_bad(ste->reason)) {
		v->stats.out_ste_bad++;
		pr_warn_ratelimited("vsmmu %u: StreamID %#x has no legal STE and aborts, reason %u\n",
				    v->id, stream->vsid, ste->reason);
	}
	trace_smmuv3_accel_ste(v, stream->vsid, old_kind, ste->kind, ste->reason,
			       0);
}

/* The nested domain of a stream is its own only if it translates. */
static void stream_destroy_hwpt(struct smmuv3_host *host, enum smmuv3_lane lane,
				struct smmuv3_stream *stream)
{
	if (stream->hwpt_id && stream->ste.kind == SMMUV3_ACCEL_KIND_S1)
		host->ops->destroy(host, lane, stream->hwpt_id);
	stream->hwpt_id = 0;
}

static void stream_destroy_objects(struct smmuv3_host *host,
				   struct smmuv3_stream *stream)
{
	stream_destroy_hwpt(host, SMMUV3_LANE_CONFIG, stream);
	if (stream->vdevice_id)
		host->ops->destroy(host, SMMUV3_LANE_CONFIG, stream->vdevice_id);
}

/* The guest can say no more than so many StreamIDs. */
static int check_vsid(u32 vsid, const struct smmuv3_caps *caps, u32 *reason)
{
	if (!((u64)vsid >> caps->sid_bits))
		return 0;
	*reason = SMMUV3_ACCEL_REASON_VSID_RANGE;
	return -EINVAL;
}

/* Before any domain that translates: that one needs to know the vSID. */
static int stream_make_vdevice(struct smmuv3_host *host,
			       struct smmuv3_stream *stream, u32 *reason)
{
	int rc;

	rc = host->ops->alloc_vdevice(host, stream->dev->dev_id,
				      stream->phys->viommu_id, stream->vsid,
				      &stream->vdevice_id);
	if (rc == -EEXIST) {
		*reason = SMMUV3_ACCEL_REASON_DEVICE_IN_USE;
		return -EBUSY;
	}
	if (rc == -EOPNOTSUPP)
		*reason = SMMUV3_ACCEL_REASON_MULTI_STREAM;
	return rc;
}

/* Undo stream_prepare(). The device is not attached. */
static void stream_unprepare(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	if (!stream->dev)
		return;
	stream_destroy_objects(v->host, stream);
	if (stream->phys)
		smmuv3_phys_put(stream->phys);
	v->host->ops->dev_put(v->host, stream->dev);
	stream->dev = NULL;
}

/* The host objects of a stream, but for its domain: nothing changes for DMA. */
static int stream_prepare(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  int vfio_fd, struct smmuv3_refusal *why)
{
	enum smmuv3_accel_reason reason = SMMUV3_ACCEL_REASON_NONE;
	struct smmuv3_host *host = v->host;
	struct smmuv3_host_dev *dev;
	struct smmuv3_phys *phys;
	struct smmuv3_caps caps;
	int rc;

	dev = host->ops->dev_get(host, vfio_fd, &reason);
	if (IS_ERR(dev)) {
		why->reason = reason;
		return PTR_ERR(dev);
	}
	stream->dev = dev;
	phys = smmuv3_phys_get(v, dev, why);
	rc = PTR_ERR_OR_ZERO(phys);
	if (rc)
		goto err;
	stream->phys = phys;
	stream_caps(v, stream, &caps);
	rc = check_vsid(stream->vsid, &caps, &why->reason);
	if (!rc)
		rc = stream_make_vdevice(host, stream, &why->reason);
	if (!rc)
		return 0;
err:
	stream_unprepare(v, stream);
	return rc;
}

/* A stream of which the host knows nothing */
static int stream_prepare_virtual(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
				  int vfio_fd, u32 *reason)
{
	struct smmuv3_caps caps;

	if (vfio_fd != -1) {
		*reason = SMMUV3_ACCEL_REASON_HAS_DEVICE;
		return -EINVAL;
	}
	if (stream->feed && !v->feed_cmds) {
		*reason = SMMUV3_ACCEL_REASON_NO_FEED;
		return -EOPNOTSUPP;
	}
	if (!stream_caps(v, stream, &caps))
		return 0;
	return check_vsid(stream->vsid, &caps, reason);
}

/* The domain that an STE asks for; one that translates is made. */
static int stream_make_domain(struct smmuv3_stream *stream,
			      const struct smmuv3_ste *ste, u32 *hwpt_id)
{
	struct smmuv3_phys *phys = stream->phys;
	struct smmuv3_host *host = phys->host;

	switch (ste->kind) {
	case SMMUV3_ACCEL_KIND_BYPASS:
		*hwpt_id = phys->bypass_hwpt_id;
		return 0;
	case SMMUV3_ACCEL_KIND_S1:
		return host->ops->alloc_nested(host, SMMUV3_LANE_QUEUE,
					       stream->dev->dev_id,
					       phys->viommu_id, ste->data,
					       hwpt_id);
	default:
		*hwpt_id = phys->abort_hwpt_id;
		return 0;
	}
}

/* Make a stream visible. Cannot fail, as the slot is reserved. */
static void stream_publish(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	if (stream->phys) {
		smmuv3_phys_publish(v, stream->phys);
		stream->phys->stream_num++;
	}
	v->stream_num++;
	v->feed_stream_num += stream->feed;
	xa_store(&v->streams, stream->vsid, stream, GFP_KERNEL_ACCOUNT);
}

/*
 * Attach a stream that is prepared. All that can fail, telling the caller
 * included, comes before the device changes hands.
 */
static int stream_attach(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			 const struct smmuv3_answer *answer,
			 struct smmuv3_refusal *why)
{
	struct smmuv3_host *host = v->host;
	struct smmuv3_ste ste = stream->ste;
	int rc = 0;

	lockdep_assert_held(&v->queue_lock);

	if (stream->dev) {
		if (!smmuv3_phys_fits(v, stream->phys, why))
			return -EOPNOTSUPP;
		rc = smmuv3_phys_flush_pending(v, stream->phys);
	}
	if (!rc)
		rc = smmuv3_table_ste(v, stream, &ste);
	if (!rc && stream->dev)
		rc = stream_make_domain(stream, &ste, &stream->hwpt_id);
	if (rc)
		return rc;
	stream->ste = ste;
	if (answer)
		rc = answer->write(stream, answer->arg);
	if (!rc && stream->dev)
		rc = host->ops->dev_attach(host, stream->dev, stream->hwpt_id);
	if (rc)
		return rc;
	stream_publish(v, stream);
	if (v->table_mode) {
		if (ste.kind == SMMUV3_ACCEL_KIND_ABORT)
			v->stats.out_ste_unchanged++;
		else
			v->stats.out_ste_installed++;
		stream_note_ste(v, stream, SMMUV3_ACCEL_KIND_ABORT);
	}
	return 0;
}

static struct smmuv3_stream *stream_alloc(u32 vsid, u32 flags)
{
	struct smmuv3_stream *stream;

	stream = kzalloc_obj(*stream, GFP_KERNEL_ACCOUNT);
	if (!stream)
		return NULL;
	INIT_LIST_HEAD(&stream->stale_node);
	stream->vsid = vsid;
	stream->feed = flags & SMMUV3_ACCEL_ATTACH_FEED;
	stream->ste.kind = SMMUV3_ACCEL_KIND_ABORT;
	stream->ste.reason = SMMUV3_ACCEL_REASON_NO_STE;
	return stream;
}

static int stream_start(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			int vfio_fd, u32 flags,
			const struct smmuv3_answer *answer,
			struct smmuv3_refusal *why)
{
	int rc;

	if (flags)
		rc = stream_prepare_virtual(v, stream, vfio_fd, &why->reason);
	else
		rc = stream_prepare(v, stream, vfio_fd, why);
	if (rc)
		return rc;
	rc = smmuv3_lock_queue(v);
	if (!rc) {
		rc = stream_attach(v, stream, answer, why);
		smmuv3_unlock_queue(v);
	}
	if (rc)
		stream_unprepare(v, stream);
	return rc;
}

/**
 * smmuv3_vsmmu_attach() - Put a device behind a virtual SMMU
 * @v: the vSMMU, @lock held
 * @vfio_fd: the device, or -1
 * @vsid: the guest's StreamID for it
 * @flags: one of enum smmuv3_accel_attach_flags, or 0
 * @answer: how the caller learns of the outcome; NULL: from what this returns
 * @why: set if it fails
 *
 * The device's DMA is aborted afterwards; in table mode it is as the guest has
 * it.
 *
 * Return: 0, or an errno with nothing changed.
 */
int smmuv3_vsmmu_attach(struct smmuv3_vsmmu *v, int vfio_fd, u32 vsid, u32 flags,
			const struct smmuv3_answer *answer, struct smmuv3_refusal *why)
{
	struct smmuv3_stream *stream;
	int rc;

	lockdep_assert_held(&v->lock);

	if (v->stream_num >= SMMUV3_MAX_STREAMS) {
		why->reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS;
		rc = -ENOSPC;
		goto err;
	}
	/* Reserved, it is invisible to everybody else until it is stored. */
	rc = xa_insert(&v->streams, vsid, NULL, GFP_KERNEL_ACCOUNT);
	if (rc == -EBUSY) {
		why->reason = SMMUV3_ACCEL_REASON_VSID_IN_USE;
		rc = -EEXIST;
	}
	if (rc)
		goto err;

	stream = stream_alloc(vsid, flags);
	rc = stream ? stream_start(v, stream, vfio_fd, flags, answer, why) :
		      -ENOMEM;
	if (rc)
		goto err_free;
	trace_smmuv3_accel_attach(v, vsid, stream->dev ? stream->dev->dev_id : 0,
				  0, 0);
	return 0;

err_free:
	kfree(stream);
	xa_release(&v->streams, vsid);
err:
	if (!why->reason)
		why->reason = smmuv3_host_reason(rc);
	trace_smmuv3_accel_attach(v, vsid, 0, rc, why->reason);
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
		smmuv3_phys_flush(v, stream->phys);
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
		stream_destroy_objects(v->host, stream);
		v->host->ops->dev_put(v->host, stream->dev);
	}
	kfree(stream);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_detach);

/**
 * smmuv3_stream_describe() - Say what a stream has
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream
 * @out: its out_* fields are set
 */
void smmuv3_stream_describe(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			    struct smmuv3_accel_stream *out)
{
	int i;

	lockdep_assert_held(&v->queue_lock);

	out->out_phys = SMMUV3_ACCEL_NO_PHYS;
	if (stream->dev) {
		out->out_phys = stream->phys->index;
		out->out_dev_id = stream->dev->dev_id;
		out->out_vdevice_id = stream->vdevice_id;
	}
	if (stream->dev && !v->host->ops->dev_in_force(v->host, stream->dev)) {
		out->out_kind = SMMUV3_ACCEL_KIND_OTHER;
		out->out_reason = SMMUV3_ACCEL_REASON_DETACHED;
		return;
	}
	out->out_kind = stream->ste.kind;
	out->out_reason = stream->ste.reason;
	out->out_hwpt_id = stream->hwpt_id;
	for (i = 0; i < ARRAY_SIZE(out->out_ste); i++)
		out->out_ste[i] = cpu_to_le64(stream->ste.data[i]);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_stream_describe);

/**
 * smmuv3_stream_release_devs() - Block the DMA of all devices and let go of them
 * @v: the vSMMU, being closed. Works from any context
 */
void smmuv3_stream_release_devs(struct smmuv3_vsmmu *v)
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
}

/**
 * smmuv3_stream_drop_all() - Forget all streams
 * @v: the vSMMU, being closed, its devices released
 * @destroy: destroy their objects as well
 */
void smmuv3_stream_drop_all(struct smmuv3_vsmmu *v, bool destroy)
{
	struct smmuv3_stream *stream;
	unsigned long vsid;

	xa_for_each(&v->streams, vsid, stream) {
		xa_erase(&v->streams, vsid);
		if (destroy)
			stream_destroy_objects(v->host, stream);
		kfree(stream);
	}
}

/**
 * smmuv3_stream_flush_cds() - Invalidate the cached CDs of streams given an STE
 * @v: the vSMMU, @queue_lock held
 * @first: the first StreamID that the caller answers for
 * @last: the last
 * @failed: set to the StreamID where it fails
 *
 * Cached CDs are part of what CFGI_STE invalidates (4.3.1). Each physical SMMU
 * takes those of all its streams in one call. What fails stays noted, and is the
 * caller's failure where it is for one of its streams.
 *
 * Return: 0 or the first errno.
 */
int smmuv3_stream_flush_cds(struct smmuv3_vsmmu *v, u32 first, u32 last, u32 *failed)
{
	struct smmuv3_stream *stream, *tmp;
	struct smmuv3_phys *phys;
	int rc, all_rc, first_rc = 0;
	LIST_HEAD(left);
	u32 num;

	lockdep_assert_held(&v->queue_lock);

	while (!list_empty(&v->stale_cds)) {
		LIST_HEAD(taken);

		stream = list_first_entry(&v->stale_cds, typeof(*stream),
					  stale_node);
		phys = stream->phys;
		num = 0;
		list_for_each_entry_safe(stream, tmp, &v->stale_cds, stale_node) {
			if (stream->phys != phys)
				continue;
			v->batch->stage[num][0] =
				cpu_to_le64(CMD_CFGI_CD_ALL |
					    FIELD_PREP(CMD_0_SID, stream->vsid));
			v->batch->stage[num][1] = 0;
			list_move_tail(&stream->stale_node, &taken);
			if (++num == SMMUV3_HOST_MAX_BATCH)
				break;
		}
		all_rc = smmuv3_phys_invalidate(v, phys, v->batch->stage, NULL,
						num, true);
		num = 0;
		list_for_each_entry_safe(stream, tmp, &taken, stale_node) {
			rc = all_rc;
			/* Refused for the sake of one: stream by stream */
			if (smmuv3_host_reason(rc) ==
			    SMMUV3_ACCEL_REASON_HOST_REJECT)
				rc = smmuv3_phys_invalidate(v, phys,
							    &v->batch->stage[num],
							    NULL, 1, true);
			/* Not a second for each of them */
			if (rc == -ETIMEDOUT)
				all_rc = rc;
			if (rc && fatal_signal_pending(current))
				all_rc = -EINTR;
			num++;
			if (!rc) {
				list_del_init(&stream->stale_node);
				continue;
			}
			list_move_tail(&stream->stale_node, &left);
			if (!first_rc && stream->vsid >= first &&
			    stream->vsid <= last) {
				first_rc = rc;
				*failed = stream->vsid;
			}
		}
	}
	list_splice(&left, &v->stale_cds);
	return first_rc;
}

/*
 * Attach the domain that a decoded STE asks for in place of the stream's. An
 * abort must not fail: if its domain cannot be attached, DMA is blocked without
 * one.
 */
static int stream_replace(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_ste *ste)
{
	struct smmuv3_host *host = v->host;
	u32 hwpt_id = 0;
	int rc;

	if (!stream->dev) {
		stream->ste = *ste;
		return 0;
	}
	rc = stream_make_domain(stream, ste, &hwpt_id);
	if (rc)
		return rc;
	rc = host->ops->dev_attach(host, stream->dev, hwpt_id);
	if (rc && ste->kind == SMMUV3_ACCEL_KIND_ABORT) {
		rc = host->ops->dev_detach(host, stream->dev, true);
		hwpt_id = 0;
	}
	if (rc) {
		if (ste->kind == SMMUV3_ACCEL_KIND_S1)
			host->ops->destroy(host, SMMUV3_LANE_QUEUE, hwpt_id);
		return rc;
	}

	stream_destroy_hwpt(host, SMMUV3_LANE_QUEUE, stream);
	stream->hwpt_id = hwpt_id;
	stream->ste = *ste;
	return 0;
}

/**
 * smmuv3_stream_decode() - Understand an STE of a stream's
 * @v: the vSMMU
 * @stream: the stream
 * @words: the guest's STE, CPU-endian
 * @ste: the result
 */
void smmuv3_stream_decode(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const u64 words[8], struct smmuv3_ste *ste)
{
	struct smmuv3_caps caps;

	stream_caps(v, stream, &caps);
	smmuv3_ste_decode(ste, words, &caps);
}

/*
 * Where the host's STE for the stream comes out different, the host sends a
 * CFGI_STE of its own, which takes the cached CDs along. It puts in everything
 * as it was given but EATS, which depends on the device as well.
 */
static bool host_sends_cfgi(const struct smmuv3_ste *old,
			    const struct smmuv3_ste *new)
{
	return old->kind != new->kind || old->data[0] != new->data[0] ||
	       ((old->data[1] ^ new->data[1]) & ~STE_1_EATS);
}

/* Whether a stream has what an STE asks for, and the VMM has not moved its device */
static bool stream_has(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		       const struct smmuv3_ste *ste)
{
	if (!smmuv3_ste_same(ste, &stream->ste))
		return false;
	if (!stream->dev)
		return true;
	return stream->hwpt_id &&
	       v->host->ops->dev_in_force(v->host, stream->dev);
}

/**
 * smmuv3_stream_set_ste() - Give a stream a new STE
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream
 * @ste: what it has to do
 *
 * An STE that asks for what is there costs no domain, but what the guest
 * changed in the CDs behind it must be seen all the same: that is noted for
 * smmuv3_stream_flush_cds().
 *
 * Return: 0, or an errno with the stream left as it was.
 */
int smmuv3_stream_set_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_ste *ste)
{
	const struct smmuv3_ste old = stream->ste;
	int rc = 0;

	lockdep_assert_held(&v->queue_lock);

	if (stream_has(v, stream, ste)) {
		stream->ste.reason = ste->reason;
		v->stats.out_ste_unchanged++;
	} else {
		rc = stream_replace(v, stream, ste);
		v->stats.out_ste_installed += !rc;
	}
	if (!rc && stream->dev && ste->kind == SMMUV3_ACCEL_KIND_S1 &&
	    !host_sends_cfgi(&old, ste))
		list_move_tail(&stream->stale_node, &v->stale_cds);
	else if (!rc)
		list_del_init(&stream->stale_node);
	if (!rc)
		stream_note_ste(v, stream, old.kind);
	else
		trace_smmuv3_accel_ste(v, stream->vsid, old.kind, ste->kind,
				       ste->reason, rc);
	return rc;
}

/**
 * smmuv3_stream_abort() - Abort a stream's DMA, until its next STE
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream
 * @reason: why
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
int smmuv3_stream_abort(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream, u32 reason)
{
	const struct smmuv3_ste abort = {
		.kind = SMMUV3_ACCEL_KIND_ABORT,
		.reason = reason,
	};

	if (reason != SMMUV3_ACCEL_REASON_NO_STE)
		pr_warn_ratelimited("vsmmu %u: StreamID %#x aborts until its next STE, reason %u\n",
				    v->id, stream->vsid, reason);
	return smmuv3_stream_set_ste(v, stream, &abort);
}

/**
 * smmuv3_vsmmu_install_ste() - Install an STE that the VMM has read
 * @v: the vSMMU, @queue_lock held
 * @vsid: the stream
 * @words: the guest's STE, CPU-endian
 * @reason: set where it fails, and to why the stream aborts
 *
 * Return: 0, -EBUSY in table mode, or as smmuv3_stream_set_ste() and smmuv3_stream_flush_cds().
 */
int smmuv3_vsmmu_install_ste(struct smmuv3_vsmmu *v, u32 vsid, const u64 words[8],
			     u32 *reason)
{
	struct smmuv3_stream *stream;
	struct smmuv3_ste ste;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (v->table_mode) {
		*reason = SMMUV3_ACCEL_REASON_TABLE_MODE;
		return -EBUSY;
	}
	stream = xa_load(&v->streams, vsid);
	if (!stream) {
		*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	smmuv3_stream_decode(v, stream, words, &ste);
	rc = smmuv3_stream_set_ste(v, stream, &ste);
	if (!rc)
		rc = smmuv3_stream_flush_cds(v, vsid, vsid, &vsid);
	*reason = rc ? smmuv3_host_reason(rc) : ste.reason;
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_install_ste);
