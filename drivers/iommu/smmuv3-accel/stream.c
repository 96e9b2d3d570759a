// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: a device behind a virtual SMMU, its vDEVICE, and the nested domain that its
 * STE asks for.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "arch.h"
#include "filter.h"
#include "phys.h"
#include "reason.h"
#include "stream.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static noinline void stream_trace(const struct smmuv3_vsmmu *v,
				  const struct smmuv3_stream *stream, u32 old_kind,
				  const struct smmuv3_ste *ste, int rc)
{
	trace_smmuv3_accel_ste(v, stream->vsid, old_kind, ste->kind, ste->reason, rc);
}

static noinline void stream_warn_bad(struct smmuv3_vsmmu *v,
				     const struct smmuv3_stream *stream)
{
	v->stats.out_ste_bad++;
	pr_warn_ratelimited("vsmmu %u: StreamID %#x has no legal STE and aborts: %s\n",
			    v->id, stream->vsid,
			    smmuv3_reason_name(stream->ste.reason));
}

/**
 * smmuv3_stream_note_ste() - List, count, log and trace a stream's new STE
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream
 * @old_kind: the kind of its STE before
 */
void smmuv3_stream_note_ste(struct smmuv3_vsmmu *v,
			    struct smmuv3_stream *stream, u32 old_kind)
{
	const struct smmuv3_ste *ste = &stream->ste;

	stream->cd = NULL;
	if (ste->kind == SMMUV3_ACCEL_KIND_S1) {
		v->offer.started = true;
		if (stream->dev &&
		    !list_is_first(&stream->s1_node, &stream->phys->s1_streams))
			list_move(&stream->s1_node, &stream->phys->s1_streams);
	} else {
		list_del_init(&stream->s1_node);
		if (smmuv3_ste_is_bad(ste->reason))
			stream_warn_bad(v, stream);
	}
	if (trace_smmuv3_accel_ste_enabled())
		stream_trace(v, stream, old_kind, ste, 0);
}

/* Only a nested domain that translates belongs to one stream; others are shared. */
static void stream_destroy_hwpt(struct smmuv3_host *host, enum smmuv3_lane lane,
				struct smmuv3_stream *stream)
{
	if (stream->hwpt_id && stream->ste.kind == SMMUV3_ACCEL_KIND_S1)
		host->ops->destroy(host, lane, stream->hwpt_id);
	stream->hwpt_id = 0;
}

/**
 * smmuv3_stream_destroy_objects() - Destroy the host objects of a stream
 * @host: the host
 * @stream: the stream; its device, if it has one, is not attached
 */
void smmuv3_stream_destroy_objects(struct smmuv3_host *host,
				   struct smmuv3_stream *stream)
{
	stream_destroy_hwpt(host, SMMUV3_LANE_CONFIG, stream);
	if (stream->vdevice_id)
		host->ops->destroy(host, SMMUV3_LANE_CONFIG, stream->vdevice_id);
}

/**
 * smmuv3_stream_check_vsid() - Whether a stream can have a StreamID
 * @v: the vSMMU
 * @stream: the stream
 * @vsid: the StreamID, or a name with %SMMUV3_ACCEL_VSID_UNSET
 * @reason: set if not
 *
 * Return: 0, or -EINVAL if the StreamID has more bits than the guest's SMMU.
 */
int smmuv3_stream_check_vsid(struct smmuv3_vsmmu *v,
			     const struct smmuv3_stream *stream, u32 vsid,
			     u32 *reason)
{
	u8 sid_bits = smmuv3_stream_caps(v, stream)->sid_bits;

	/* A bridge or an emulated endpoint has no SMMU to know the size from. */
	if (!smmuv3_vsid_is_set(vsid) || (!stream->phys && !smmuv3_is_offered(v)) ||
	    !((u64)vsid >> sid_bits))
		return 0;
	*reason = SMMUV3_ACCEL_REASON_VSID_RANGE;
	return -EINVAL;
}

/**
 * smmuv3_stream_number() - Allocate the vDEVICE for a stream's StreamID
 * @stream: the stream, blocked if it has a device
 * @reason: set if it fails
 *
 * If the StreamID is set, STEs have an effect from now on. They must have none
 * before, because a domain that translates needs the vDEVICE.
 *
 * Return: 0 or an errno; -EBUSY also if the vDEVICE with the old StreamID is in use.
 */
int smmuv3_stream_number(struct smmuv3_stream *stream, u32 *reason)
{
	struct smmuv3_host *host = stream->dev ? stream->phys->host : NULL;
	int rc = 0;

	/* smmuv3_stream_block() leaves the old vDEVICE if the VMM uses it. */
	if (stream->vdevice_id)
		rc = host->ops->destroy(host, SMMUV3_LANE_CONFIG,
					stream->vdevice_id);
	if (rc)
		return rc;
	stream->vdevice_id = 0;
	if (!smmuv3_vsid_is_set(stream->vsid))
		return 0;
	if (host)
		rc = host->ops->alloc_vdevice(host, stream->dev->dev_id,
					      stream->phys->viommu_id,
					      stream->vsid, &stream->vdevice_id);
	if (rc == -EEXIST) {
		*reason = SMMUV3_ACCEL_REASON_DEVICE_IN_USE;
		return -EBUSY;
	}
	if (rc == -EOPNOTSUPP)
		*reason = SMMUV3_ACCEL_REASON_MULTI_STREAM;
	stream->live = !rc;
	return rc;
}

/**
 * smmuv3_stream_block() - Block a stream's DMA, to take its StreamID away
 * @v: the vSMMU, both locks held
 * @stream: the stream
 *
 * STEs have no effect until smmuv3_stream_number(). The device is detached, because
 * some hosts need a vDEVICE for each nested domain, even one that aborts.
 *
 * Return: 0, or -EINTR if the caller is being killed, with nothing changed.
 */
int smmuv3_stream_block(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream)
{
	struct smmuv3_host *host = v->host;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (stream->dev) {
		rc = host->ops->dev_detach(host, stream->dev, true);
		if (rc)
			return rc;
		smmuv3_filter_leave(v, stream->phys, &stream->ste);
		stream_destroy_hwpt(host, SMMUV3_LANE_QUEUE, stream);
		if (stream->vdevice_id &&
		    !host->ops->destroy(host, SMMUV3_LANE_CONFIG,
					stream->vdevice_id))
			stream->vdevice_id = 0;
	}
	stream->live = false;
	list_del_init(&stream->stale_node);
	list_del_init(&stream->s1_node);
	stream->ste = (struct smmuv3_ste){
		.kind = SMMUV3_ACCEL_KIND_ABORT,
		.reason = SMMUV3_ACCEL_REASON_NO_VSID,
	};
	return 0;
}

/**
 * smmuv3_stream_connect() - Attach the device of a new stream
 * @stream: the stream
 *
 * Return: 0 or an errno.
 */
int smmuv3_stream_connect(struct smmuv3_stream *stream)
{
	struct smmuv3_host *host;

	if (!stream->dev)
		return 0;
	host = stream->phys->host;
	if (!stream->live)
		return host->ops->dev_detach(host, stream->dev, true);
	return host->ops->dev_attach(host, stream->dev, stream->hwpt_id);
}

/**
 * smmuv3_stream_make_domain() - Find or allocate the domain that an STE asks for
 * @stream: the stream, with a device
 * @ste: the STE
 * @hwpt_id: set to the domain; a new one if @ste translates
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_stream_make_domain(struct smmuv3_stream *stream,
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

/**
 * smmuv3_stream_alloc() - Allocate a stream that aborts
 * @vsid: its StreamID, or a name with %SMMUV3_ACCEL_VSID_UNSET
 * @flags: combination of enum smmuv3_accel_attach_flags
 *
 * Return: the stream or NULL.
 */
struct smmuv3_stream *smmuv3_stream_alloc(u32 vsid, u32 flags)
{
	struct smmuv3_stream *stream;

	stream = kzalloc_obj(*stream, GFP_KERNEL_ACCOUNT);
	if (!stream)
		return NULL;
	INIT_LIST_HEAD(&stream->stale_node);
	INIT_LIST_HEAD(&stream->s1_node);
	stream->vsid = vsid;
	stream->feed = flags & SMMUV3_ACCEL_ATTACH_FEED;
	stream->ste.kind = SMMUV3_ACCEL_KIND_ABORT;
	stream->ste.reason = smmuv3_vsid_is_set(vsid) ?
			     SMMUV3_ACCEL_REASON_NO_STE :
			     SMMUV3_ACCEL_REASON_NO_VSID;
	return stream;
}

/**
 * smmuv3_stream_describe() - Describe what is installed for a stream
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
		if (stream->live)
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

/*
 * Take streams of a physical SMMU from @v->stale_cds, and stage a command for each.
 * Returns how many.
 */
static u32 stale_take(struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		      struct list_head *taken)
{
	__le64 (*stage)[2] = v->queue.batch->stage;
	struct smmuv3_stream *stream, *tmp;
	u32 num = 0;

	list_for_each_entry_safe(stream, tmp, &v->stale_cds, stale_node) {
		if (stream->phys != phys)
			continue;
		stage[num][0] = cpu_to_le64(CMD_CFGI_CD_ALL |
					    FIELD_PREP(CMD_0_SID, stream->vsid));
		stage[num][1] = 0;
		list_move_tail(&stream->stale_node, taken);
		if (++num == SMMUV3_HOST_MAX_BATCH)
			break;
	}
	return num;
}

/**
 * smmuv3_stream_flush_stale() - Invalidate cached CDs for which that is still to be done
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @first: the first StreamID for which a failure is returned
 * @last: the last
 * @failed: set to the first of them for which it fails
 *
 * There is one host call for all streams. A stream for which it fails stays in
 * smmuv3_vsmmu.stale_cds.
 *
 * Return: 0 or the first errno.
 */
int smmuv3_stream_flush_stale(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys, u32 first,
			      u32 last, u32 *failed)
{
	const __le64 (*stage)[2] = v->queue.batch->stage;
	struct smmuv3_stream *stream, *tmp;
	int rc, all_rc, first_rc = 0;
	LIST_HEAD(taken);
	LIST_HEAD(left);
	u32 num;

	lockdep_assert_held(&v->queue_lock);

	while ((num = stale_take(v, phys, &taken))) {
		all_rc = smmuv3_phys_invalidate(v, phys, stage, NULL, num, true);
		num = 0;
		list_for_each_entry_safe(stream, tmp, &taken, stale_node) {
			rc = all_rc;
			/* One stream may cause the refusal: try each alone. */
			if (smmuv3_host_reason(rc) ==
			    SMMUV3_ACCEL_REASON_HOST_REJECT)
				rc = smmuv3_phys_invalidate(v, phys, &stage[num],
							    NULL, 1, true);
			/* Do not wait for a time-out of each stream. */
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

/* The first stream of a range that is behind a physical SMMU, or NULL */
static const struct smmuv3_stream *find_behind(struct smmuv3_vsmmu *v,
					       const struct smmuv3_phys *phys, u32 first,
					       u32 last)
{
	struct smmuv3_stream *stream;
	unsigned long vsid;

	xa_for_each_range(&v->streams, vsid, stream, first, last)
		if (stream->phys == phys)
			return stream;
	return NULL;
}

/*
 * Flush entries of new ASIDs on the physical SMMUs of a range of streams. Arguments and
 * errno as for smmuv3_stream_flush_cds().
 */
static int flush_asids(struct smmuv3_vsmmu *v, u32 first, u32 last, u32 *failed)
{
	const struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;
	int rc, first_rc = 0;

	list_for_each_entry(phys, &v->phys, node) {
		if (smmuv3_asids_are_flushed(&phys->asids))
			continue;
		stream = find_behind(v, phys, first, last);
		rc = stream ? smmuv3_filter_flush(v, phys) : 0;
		if (rc && !first_rc) {
			first_rc = rc;
			*failed = stream->vsid;
		}
	}
	return first_rc;
}

/**
 * smmuv3_stream_flush_cds() - Invalidate cached CDs after STEs were installed
 * @v: the vSMMU, @queue_lock held
 * @first: the first StreamID that the caller has installed an STE for
 * @last: the last
 * @failed: set to the first StreamID for which it fails
 *
 * CFGI_STE invalidates cached CDs too (4.3.1). smmuv3_stream_flush_stale() does that,
 * for streams outside the range as well, but it does not return their failures. After
 * that, entries of new ASIDs are flushed on the physical SMMUs of the range.
 *
 * Return: 0 or the first errno.
 */
int smmuv3_stream_flush_cds(struct smmuv3_vsmmu *v, u32 first, u32 last,
			    u32 *failed)
{
	int rc, first_rc = 0;
	struct smmuv3_phys *phys;
	u32 ignored;

	lockdep_assert_held(&v->queue_lock);

	if (!list_empty(&v->stale_cds)) {
		list_for_each_entry(phys, &v->phys, node) {
			rc = smmuv3_stream_flush_stale(v, phys, first, last,
						       first_rc ? &ignored : failed);
			first_rc = first_rc ?: rc;
		}
	}
	rc = v->filter ? flush_asids(v, first, last, first_rc ? &ignored : failed) : 0;
	return first_rc ?: rc;
}

/* Whether the filter has to see a stream's STEs: not if its SMMU gets all TLBIs anyway */
static bool is_followed(const struct smmuv3_vsmmu *v, const struct smmuv3_stream *stream)
{
	return v->filter && stream->dev && !stream->phys->asids.all;
}

/*
 * Replace the stream's domain by the one that a decoded STE asks for. An abort must
 * not fail: if its domain cannot be attached, block the DMA without a domain.
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
	rc = smmuv3_stream_make_domain(stream, ste, &hwpt_id);
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

	if (is_followed(v, stream))
		smmuv3_filter_leave(v, stream->phys, &stream->ste);
	stream_destroy_hwpt(host, SMMUV3_LANE_QUEUE, stream);
	stream->hwpt_id = hwpt_id;
	stream->ste = *ste;
	return 0;
}

/*
 * Whether the host issues a CFGI_STE itself, which also invalidates cached CDs. It
 * does if its own STE for the stream changes. The host copies all fields from the
 * module's STE except EATS, which depends on the device as well.
 */
static bool host_sends_cfgi(const struct smmuv3_ste *old,
			    const struct smmuv3_ste *new)
{
	return old->kind != new->kind || old->data[0] != new->data[0] ||
	       ((old->data[1] ^ new->data[1]) & ~STE_1_EATS);
}

/* Whether an STE is already installed, and the VMM has not moved the device */
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
 * @ste: the STE
 *
 * An STE that is already installed needs no new domain. But the guest may have
 * changed the CDs, so the stream is put on the list for smmuv3_stream_flush_cds().
 * STEs have no effect on a stream that is not live.
 *
 * If it fails, ASIDs that are new to the physical SMMU are flushed all the same, and
 * not again when the STE is attached. So that a CD that is cached until then cannot
 * bring their entries back, the stream is on that list as well.
 *
 * Return: 0, or an errno with the stream as it was.
 */
int smmuv3_stream_set_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_ste *ste)
{
	u32 old_kind = stream->ste.kind;
	int rc = 0;
	bool stale;

	lockdep_assert_held(&v->queue_lock);

	if (!stream->live)
		return 0;
	if (is_followed(v, stream))
		rc = smmuv3_filter_look(v, stream->phys, ste);
	if (rc)
		goto err_trace;
	stale = stream->dev && ste->kind == SMMUV3_ACCEL_KIND_S1 &&
		!host_sends_cfgi(&stream->ste, ste);
	if (stream_has(v, stream, ste)) {
		stream->ste.reason = ste->reason;
		v->stats.out_ste_unchanged++;
	} else {
		rc = stream_replace(v, stream, ste);
		if (rc)
			goto err_trace;
		v->stats.out_ste_installed++;
	}
	if (stale)
		list_move_tail(&stream->stale_node, &v->stale_cds);
	else
		list_del_init(&stream->stale_node);
	smmuv3_stream_note_ste(v, stream, old_kind);
	return 0;

err_trace:
	stream_trace(v, stream, old_kind, ste, rc);
	if (v->filter && stream->dev && old_kind == SMMUV3_ACCEL_KIND_S1)
		list_move_tail(&stream->stale_node, &v->stale_cds);
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

	if (stream->live && reason != SMMUV3_ACCEL_REASON_NO_STE)
		pr_warn_ratelimited("vsmmu %u: StreamID %#x aborts until its next STE: %s\n",
				    v->id, stream->vsid, smmuv3_reason_name(reason));
	return smmuv3_stream_set_ste(v, stream, &abort);
}

