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
#include <linux/slab.h>

#include "arch.h"
#include "smmuv3-accel.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * vsmmu_host_reason() - Why the host failed, where its errno tells
 * @rc: the errno
 *
 * Return: an enum smmuv3_accel_reason.
 */
u32 vsmmu_host_reason(int rc)
{
	switch (rc) {
	case -ENOMEM:
	case -ETIMEDOUT:
	case -EBUSY:	/* during a function reset */
		return SMMUV3_ACCEL_REASON_RETRY;
	case -ENODEV:
		return SMMUV3_ACCEL_REASON_DETACHED;
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
static bool stream_caps(struct vsmmu *v, struct vsmmu_stream *stream,
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

/* The nested domain of a stream is its own only where it translates. */
static void stream_destroy_hwpt(struct smmuv3_host *host, enum smmuv3_lane lane,
				struct vsmmu_stream *stream)
{
	if (stream->hwpt_id && stream->ste.kind == SMMUV3_ACCEL_KIND_S1)
		host->ops->destroy(host, lane, stream->hwpt_id);
	stream->hwpt_id = 0;
}

static void stream_destroy_objects(struct smmuv3_host *host,
				   struct vsmmu_stream *stream)
{
	stream_destroy_hwpt(host, SMMUV3_LANE_CONFIG, stream);
	host->ops->destroy(host, SMMUV3_LANE_CONFIG, stream->vdevice_id);
}

static void stream_free(struct vsmmu *v, struct vsmmu_stream *stream,
			bool destroy)
{
	struct smmuv3_host *host = v->host;

	if (stream->dev) {
		if (destroy)
			stream_destroy_objects(host, stream);
		host->ops->dev_put(host, stream->dev);
	}
	kfree(stream);
}

/* The host's part of attaching: a vDEVICE, and the domain that aborts. */
static int stream_start(struct vsmmu *v, struct vsmmu_stream *stream,
			u32 *reason)
{
	struct smmuv3_host *host = v->host;
	struct vsmmu_phys *phys = stream->phys;
	int rc;

	/* Before any domain that translates: that one needs to know the vSID. */
	rc = host->ops->alloc_vdevice(host, stream->dev->dev_id,
				      phys->viommu_id, stream->vsid,
				      &stream->vdevice_id);
	if (rc == -EEXIST) {
		*reason = SMMUV3_ACCEL_REASON_DEVICE_IN_USE;
		return -EBUSY;
	}
	if (rc == -EOPNOTSUPP)
		*reason = SMMUV3_ACCEL_REASON_MULTI_STREAM;
	if (rc)
		return rc;

	rc = host->ops->dev_attach(host, stream->dev, phys->abort_hwpt_id);
	if (rc) {
		*reason = vsmmu_host_reason(rc);
		host->ops->destroy(host, SMMUV3_LANE_CONFIG,
				   stream->vdevice_id);
		return rc;
	}
	stream->hwpt_id = phys->abort_hwpt_id;
	return 0;
}

/* The guest can say no more than so many StreamIDs. */
static int check_vsid(u32 vsid, const struct smmuv3_caps *caps, u32 *reason)
{
	if (!((u64)vsid >> caps->sid_bits))
		return 0;
	*reason = SMMUV3_ACCEL_REASON_VSID_RANGE;
	return -EINVAL;
}

/* What streams that left have in the TLBs must not serve a new one. */
static int stream_flush_phys(struct vsmmu *v, struct vsmmu_phys *phys)
{
	int rc;

	if (!phys->unflushed)
		return 0;
	guard(mutex)(&v->queue_lock);
	rc = vsmmu_flush_phys(v, phys);
	phys->unflushed = rc;
	return rc;
}

/* Put the device of a stream behind its physical SMMU. */
static int stream_start_dev(struct vsmmu *v, struct vsmmu_stream *stream,
			    int vfio_fd, struct vsmmu_refusal *why)
{
	enum smmuv3_accel_reason reason = SMMUV3_ACCEL_REASON_NONE;
	struct smmuv3_host *host = v->host;
	struct smmuv3_host_dev *dev;
	struct smmuv3_caps caps;
	int rc;

	dev = host->ops->dev_get(host, vfio_fd, &reason);
	if (IS_ERR(dev)) {
		why->reason = reason;
		return PTR_ERR(dev);
	}
	stream->phys = vsmmu_phys_get(v, dev, why);
	if (IS_ERR(stream->phys)) {
		rc = PTR_ERR(stream->phys);
		goto err_put_dev;
	}
	stream_caps(v, stream, &caps);
	rc = check_vsid(stream->vsid, &caps, &why->reason);
	if (rc)
		goto err_put_phys;
	rc = stream_flush_phys(v, stream->phys);
	if (rc)
		goto err_put_phys;
	stream->dev = dev;
	rc = stream_start(v, stream, &why->reason);
	if (!rc)
		return 0;
	stream->dev = NULL;
err_put_phys:
	vsmmu_phys_put(stream->phys);
err_put_dev:
	host->ops->dev_put(host, dev);
	return rc;
}

/* A stream of which the host knows nothing */
static int stream_start_virtual(struct vsmmu *v, struct vsmmu_stream *stream,
				int vfio_fd, u32 *reason)
{
	struct smmuv3_caps caps;

	if (vfio_fd != -1) {
		*reason = SMMUV3_ACCEL_REASON_HAS_DEVICE;
		return -EINVAL;
	}
	if (stream->emulated && !v->soft) {
		*reason = SMMUV3_ACCEL_REASON_EMULATED;
		return -EOPNOTSUPP;
	}
	if (!stream_caps(v, stream, &caps))
		return 0;
	return check_vsid(stream->vsid, &caps, reason);
}

/* Undo what stream_start_dev() did. */
static void stream_stop(struct vsmmu *v, struct vsmmu_stream *stream)
{
	list_del_init(&stream->stale_node);
	if (!stream->dev)
		return;
	v->host->ops->dev_detach(v->host, stream->dev);
	stream_destroy_objects(v->host, stream);
	vsmmu_phys_put(stream->phys);
	v->host->ops->dev_put(v->host, stream->dev);
}

/**
 * vsmmu_attach() - Put a device behind a virtual SMMU
 * @v: the vSMMU, @lock held
 * @vfio_fd: the device, or -1
 * @vsid: the guest's StreamID for it
 * @flags: one of enum smmuv3_accel_attach_flags, or 0
 * @why: set where it fails
 *
 * Return: the stream, its DMA aborted but in table mode as the guest has it, or
 * an ERR_PTR with nothing changed.
 */
struct vsmmu_stream *vsmmu_attach(struct vsmmu *v, int vfio_fd, u32 vsid,
				  u32 flags, struct vsmmu_refusal *why)
{
	struct vsmmu_stream *stream;
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

	stream = kzalloc_obj(*stream, GFP_KERNEL_ACCOUNT);
	if (!stream) {
		rc = -ENOMEM;
		goto err_release;
	}
	INIT_LIST_HEAD(&stream->stale_node);
	stream->vsid = vsid;
	stream->emulated = flags & SMMUV3_ACCEL_ATTACH_EMULATED;
	stream->ste.kind = SMMUV3_ACCEL_KIND_ABORT;
	stream->ste.reason = SMMUV3_ACCEL_REASON_NO_STE;
	if (flags)
		rc = stream_start_virtual(v, stream, vfio_fd, &why->reason);
	else
		rc = stream_start_dev(v, stream, vfio_fd, why);
	if (rc)
		goto err_free;

	scoped_guard(mutex, &v->queue_lock) {
		rc = vsmmu_attach_ste(v, stream);
		if (rc) {
			why->reason = vsmmu_host_reason(rc);
			goto err_stop;
		}
		if (stream->phys) {
			vsmmu_phys_publish(v, stream->phys);
			stream->phys->stream_num++;
		}
		v->stream_num++;
		v->emulated_num += stream->emulated;
		/* Cannot fail: the slot is reserved. */
		xa_store(&v->streams, vsid, stream, GFP_KERNEL_ACCOUNT);
	}
	trace_smmuv3_accel_attach(v, vsid, stream->dev ? stream->dev->dev_id : 0,
				  0, 0);
	return stream;

err_stop:
	stream_stop(v, stream);
err_free:
	kfree(stream);
err_release:
	xa_release(&v->streams, vsid);
err:
	if (!why->reason)
		why->reason = vsmmu_host_reason(rc);
	trace_smmuv3_accel_attach(v, vsid, 0, rc, why->reason);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_attach);

/**
 * vsmmu_detach() - Take a device out of a virtual SMMU
 * @v: the vSMMU, @lock held
 * @vsid: its StreamID
 * @reason: set where it fails
 *
 * Return: 0, or -ENOENT where there is no such stream.
 */
int vsmmu_detach(struct vsmmu *v, u32 vsid, u32 *reason)
{
	struct vsmmu_stream *stream;

	lockdep_assert_held(&v->lock);

	scoped_guard(mutex, &v->queue_lock) {
		stream = xa_erase(&v->streams, vsid);
		if (!stream) {
			*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
			return -ENOENT;
		}
		list_del(&stream->stale_node);
		v->stream_num--;
		v->emulated_num -= stream->emulated;
		if (stream->dev) {
			v->host->ops->dev_detach(v->host, stream->dev);
			/* Its last entries must not serve the next user of its ASIDs. */
			if (!--stream->phys->stream_num)
				stream->phys->unflushed =
					vsmmu_flush_phys(v, stream->phys);
		}
	}
	trace_smmuv3_accel_detach(v, vsid);
	stream_free(v, stream, true);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_detach);

/**
 * vsmmu_block_streams() - Block the DMA of all devices
 * @v: the vSMMU, being closed. Works from any context
 */
void vsmmu_block_streams(struct vsmmu *v)
{
	struct vsmmu_stream *stream;
	unsigned long vsid;

	xa_for_each(&v->streams, vsid, stream)
		if (stream->dev)
			v->host->ops->dev_detach(v->host, stream->dev);
}

/**
 * vsmmu_drop_streams() - Let go of all devices
 * @v: the vSMMU, being closed, its DMA blocked
 * @destroy: destroy their objects as well
 */
void vsmmu_drop_streams(struct vsmmu *v, bool destroy)
{
	struct vsmmu_stream *stream;
	unsigned long vsid;

	xa_for_each(&v->streams, vsid, stream) {
		xa_erase(&v->streams, vsid);
		stream_free(v, stream, destroy);
	}
}

/**
 * vsmmu_flush_cds() - Invalidate the cached CDs of streams given an STE
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
int vsmmu_flush_cds(struct vsmmu *v, u32 first, u32 last, u32 *failed)
{
	struct vsmmu_stream *stream, *tmp;
	struct vsmmu_phys *phys;
	int rc, first_rc = 0;
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
		rc = vsmmu_invalidate_phys(v, phys, v->batch->stage, NULL, num,
					   true);
		list_for_each_entry_safe(stream, tmp, &taken, stale_node) {
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
 * abort must not fail: where its domain cannot be attached, DMA is blocked
 * without one.
 */
static int stream_replace(struct vsmmu *v, struct vsmmu_stream *stream,
			  const struct smmuv3_ste *ste)
{
	struct smmuv3_host *host = v->host;
	struct vsmmu_phys *phys = stream->phys;
	u32 hwpt_id = 0;
	int rc;

	if (!stream->dev) {
		stream->ste = *ste;
		return 0;
	}
	switch (ste->kind) {
	case SMMUV3_ACCEL_KIND_ABORT:
		hwpt_id = phys->abort_hwpt_id;
		break;
	case SMMUV3_ACCEL_KIND_BYPASS:
		hwpt_id = phys->bypass_hwpt_id;
		break;
	case SMMUV3_ACCEL_KIND_S1:
		rc = host->ops->alloc_nested(host, SMMUV3_LANE_QUEUE,
					     stream->dev->dev_id,
					     phys->viommu_id, ste->data,
					     &hwpt_id);
		if (rc)
			return rc;
		break;
	}

	rc = host->ops->dev_attach(host, stream->dev, hwpt_id);
	if (rc && ste->kind == SMMUV3_ACCEL_KIND_ABORT) {
		host->ops->dev_detach(host, stream->dev);
		hwpt_id = 0;
		rc = 0;
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
 * vsmmu_decode_ste() - Understand an STE of a stream's
 * @v: the vSMMU
 * @stream: the stream
 * @words: the guest's STE, CPU-endian
 * @ste: the result
 */
void vsmmu_decode_ste(struct vsmmu *v, struct vsmmu_stream *stream,
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

/**
 * vsmmu_set_ste() - Give a stream a new STE
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream
 * @ste: what it has to do
 *
 * An STE that asks for what is there costs no domain, but what the guest
 * changed in the CDs behind it must be seen all the same: that is noted for
 * vsmmu_flush_cds().
 *
 * Return: 0, or an errno with the stream left as it was.
 */
int vsmmu_set_ste(struct vsmmu *v, struct vsmmu_stream *stream,
		  const struct smmuv3_ste *ste)
{
	const struct smmuv3_ste old = stream->ste;
	int rc = 0;

	lockdep_assert_held(&v->queue_lock);

	if ((stream->hwpt_id || !stream->dev) && smmuv3_ste_same(ste, &old)) {
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
	if (!rc && smmuv3_ste_is_bad(ste->reason)) {
		v->stats.out_ste_bad++;
		pr_warn_ratelimited("vsmmu %u: StreamID %#x has no legal STE and aborts, reason %u\n",
				    v->id, stream->vsid, ste->reason);
	}
	trace_smmuv3_accel_ste(v, stream->vsid, old.kind, ste->kind, ste->reason, rc);
	return rc;
}

/**
 * vsmmu_install_ste() - Install an STE that the VMM has read
 * @v: the vSMMU, @queue_lock held
 * @vsid: the stream
 * @words: the guest's STE, CPU-endian
 * @reason: set where it fails, and to why the stream aborts
 *
 * Return: 0, -EBUSY in table mode, or as vsmmu_set_ste() and vsmmu_flush_cds().
 */
int vsmmu_install_ste(struct vsmmu *v, u32 vsid, const u64 words[8],
		      u32 *reason)
{
	struct vsmmu_stream *stream;
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
	vsmmu_decode_ste(v, stream, words, &ste);
	rc = vsmmu_set_ste(v, stream, &ste);
	if (!rc)
		rc = vsmmu_flush_cds(v, vsid, vsid, &vsid);
	*reason = rc ? vsmmu_host_reason(rc) : ste.reason;
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_install_ste);
