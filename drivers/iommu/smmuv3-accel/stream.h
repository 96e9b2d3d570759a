/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Streams
 */
#ifndef _SMMUV3_ACCEL_STREAM_H
#define _SMMUV3_ACCEL_STREAM_H

#include "smmuv3-accel.h"

struct smmuv3_stream *smmuv3_stream_alloc(u32 vsid, u32 flags);
int smmuv3_stream_check_vsid(struct smmuv3_vsmmu *v,
			     const struct smmuv3_stream *stream, u32 vsid,
			     u32 *reason);
int smmuv3_stream_number(struct smmuv3_stream *stream, u32 *reason);
int smmuv3_stream_block(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream);
int smmuv3_stream_connect(struct smmuv3_stream *stream);
int smmuv3_stream_make_domain(struct smmuv3_stream *stream,
			      const struct smmuv3_ste *ste, u32 *hwpt_id);
void smmuv3_stream_destroy_objects(struct smmuv3_host *host,
				   struct smmuv3_stream *stream);
void smmuv3_stream_describe(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			    struct smmuv3_accel_stream *out);
void smmuv3_stream_note_ste(struct smmuv3_vsmmu *v,
			    struct smmuv3_stream *stream, u32 old_kind);
int smmuv3_stream_set_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			  const struct smmuv3_ste *ste);
int smmuv3_stream_abort(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			u32 reason);
int smmuv3_stream_flush_stale(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys, u32 first,
			      u32 last, u32 *failed);
int smmuv3_stream_flush_cds(struct smmuv3_vsmmu *v, u32 first, u32 last,
			    u32 *failed);

/**
 * smmuv3_stream_caps() - The capabilities against which a stream's STEs are checked
 * @v: the vSMMU, one of its locks held
 * @stream: the stream
 *
 * Return: what its SMMU has and the guest is offered. A bridge or an emulated endpoint
 * has no SMMU.
 */
static inline const struct smmuv3_caps *
smmuv3_stream_caps(const struct smmuv3_vsmmu *v, const struct smmuv3_stream *stream)
{
	return stream->phys ? &stream->phys->ste_caps : &v->offer.caps;
}

#endif
