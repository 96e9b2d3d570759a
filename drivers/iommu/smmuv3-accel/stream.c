// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: a device behind a virtual SMMU, from attach to detach, and the
 * nested domain that its STE asks for.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/slab.h>

#include "arch.h"
#include "smmuv3-accel.h"

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

/* The nested domain of a stream is its own only where it translates. */
static void stream_destroy_hwpt(struct smmuv3_host *host, enum smmuv3_lane lane,
				struct vsmmu_stream *stream)
{
	if (stream->hwpt_id && stream->ste.kind == SMMUV3_ACCEL_KIND_S1)
		host->ops->destroy(host, lane, stream->hwpt_id);
	stream->hwpt_id = 0;
}

static void stream_free(struct vsmmu *v, struct vsmmu_stream *stream,
			bool destroy)
{
	struct smmuv3_host *host = v->host;

	if (destroy) {
		stream_destroy_hwpt(host, SMMUV3_LANE_CONFIG, stream);
		host->ops->destroy(host, SMMUV3_LANE_CONFIG,
				   stream->vdevice_id);
	}
	host->ops->dev_put(host, stream->dev);
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
	stream->ste.kind = SMMUV3_ACCEL_KIND_ABORT;
	stream->ste.reason = SMMUV3_ACCEL_REASON_NO_STE;
	return 0;
}

/**
 * vsmmu_attach() - Put a device behind a virtual SMMU
 * @v: the vSMMU, @lock held
 * @vfio_fd: the device
 * @vsid: the guest's StreamID for it
 * @reason: set where it fails
 *
 * Return: the stream, its DMA aborted, or an ERR_PTR with nothing changed.
 */
struct vsmmu_stream *vsmmu_attach(struct vsmmu *v, int vfio_fd, u32 vsid,
				  u32 *reason)
{
	enum smmuv3_accel_reason dev_reason = SMMUV3_ACCEL_REASON_NONE;
	struct smmuv3_host *host = v->host;
	struct vsmmu_stream *stream;
	int rc;

	lockdep_assert_held(&v->lock);

	if (v->stream_num >= SMMUV3_MAX_STREAMS) {
		*reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS;
		return ERR_PTR(-ENOSPC);
	}
	/* Reserved, it is invisible to everybody else until it is stored. */
	rc = xa_insert(&v->streams, vsid, NULL, GFP_KERNEL_ACCOUNT);
	if (rc) {
		if (rc != -EBUSY)
			return ERR_PTR(rc);
		*reason = SMMUV3_ACCEL_REASON_VSID_IN_USE;
		return ERR_PTR(-EEXIST);
	}

	stream = kzalloc_obj(*stream, GFP_KERNEL_ACCOUNT);
	if (!stream) {
		rc = -ENOMEM;
		goto err_release;
	}
	stream->vsid = vsid;
	stream->dev = host->ops->dev_get(host, vfio_fd, &dev_reason);
	if (IS_ERR(stream->dev)) {
		*reason = dev_reason;
		rc = PTR_ERR(stream->dev);
		goto err_free;
	}
	stream->phys = vsmmu_phys_get(v, stream->dev, reason);
	if (IS_ERR(stream->phys)) {
		rc = PTR_ERR(stream->phys);
		goto err_put_dev;
	}
	rc = stream_start(v, stream, reason);
	if (rc)
		goto err_put_phys;

	scoped_guard(mutex, &v->queue_lock) {
		vsmmu_phys_publish(v, stream->phys);
		stream->phys->stream_num++;
		v->stream_num++;
		/* Cannot fail: the slot is reserved. */
		xa_store(&v->streams, vsid, stream, GFP_KERNEL_ACCOUNT);
	}
	return stream;

err_put_phys:
	vsmmu_phys_put(stream->phys);
err_put_dev:
	host->ops->dev_put(host, stream->dev);
err_free:
	kfree(stream);
err_release:
	xa_release(&v->streams, vsid);
	if (!*reason)
		*reason = vsmmu_host_reason(rc);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_attach);

/* A detached stream's last entries must not serve the next user of its ASIDs. */
static void phys_flush(struct vsmmu_phys *phys)
{
	const __le64 flush[][2] = { { cpu_to_le64(CMD_TLBI_NH_ALL), 0 } };

	vsmmu_invalidate_phys(phys, flush, ARRAY_SIZE(flush), true);
}

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
		v->host->ops->dev_detach(v->host, stream->dev);
		v->stream_num--;
		if (!--stream->phys->stream_num)
			phys_flush(stream->phys);
	}
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

/* Cached CDs are part of what CFGI_STE invalidates (4.3.1). */
static int stream_invalidate_cds(struct vsmmu_stream *stream)
{
	const __le64 cfgi[][2] = {
		{ cpu_to_le64(CMD_CFGI_CD_ALL |
			      FIELD_PREP(CMD_0_SID, stream->vsid)), 0 },
	};

	return vsmmu_invalidate_phys(stream->phys, cfgi, ARRAY_SIZE(cfgi), true);
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
 * vsmmu_install_ste() - Give a stream a new STE
 * @v: the vSMMU, @queue_lock held
 * @vsid: the stream
 * @ste: the guest's STE, CPU-endian
 * @reason: set where it fails, and to why the stream aborts
 *
 * An STE that asks for what is there costs no domain, but what the guest
 * changed in the CDs behind it must be seen all the same.
 *
 * Return: 0, or an errno with the stream left as it was.
 */
int vsmmu_install_ste(struct vsmmu *v, u32 vsid, const u64 ste[8], u32 *reason)
{
	struct vsmmu_stream *stream;
	struct smmuv3_ste new;
	int rc = 0;

	lockdep_assert_held(&v->queue_lock);

	stream = xa_load(&v->streams, vsid);
	if (!stream) {
		*reason = SMMUV3_ACCEL_REASON_NO_STREAM;
		return -ENOENT;
	}
	smmuv3_ste_decode(&new, ste, &stream->phys->caps);

	if (stream->hwpt_id && smmuv3_ste_same(&new, &stream->ste))
		stream->ste.reason = new.reason;
	else
		rc = stream_replace(v, stream, &new);
	if (!rc && new.kind == SMMUV3_ACCEL_KIND_S1)
		rc = stream_invalidate_cds(stream);
	*reason = rc ? vsmmu_host_reason(rc) : new.reason;
	return rc;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_install_ste);
