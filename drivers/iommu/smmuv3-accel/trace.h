/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM smmuv3_accel

#if !defined(_SMMUV3_ACCEL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SMMUV3_ACCEL_TRACE_H

#include <linux/tracepoint.h>

#include "smmuv3-accel.h"

#define show_kind(kind)					\
	__print_symbolic(kind,				\
		{ SMMUV3_ACCEL_KIND_ABORT, "abort" },	\
		{ SMMUV3_ACCEL_KIND_BYPASS, "bypass" },	\
		{ SMMUV3_ACCEL_KIND_S1, "s1" })

TRACE_DEFINE_ENUM(SMMUV3_ACCEL_KIND_ABORT);
TRACE_DEFINE_ENUM(SMMUV3_ACCEL_KIND_BYPASS);
TRACE_DEFINE_ENUM(SMMUV3_ACCEL_KIND_S1);

/* An attach succeeded or failed */
TRACE_EVENT(smmuv3_accel_attach,
	TP_PROTO(const struct smmuv3_vsmmu *v, u32 vsid, u32 dev_id, int error,
		 u32 reason),
	TP_ARGS(v, vsid, dev_id, error, reason),
	TP_STRUCT__entry(
		__field(u32, vsmmu)
		__field(u32, vsid)
		__field(u32, dev_id)
		__field(int, error)
		__field(u32, reason)
	),
	TP_fast_assign(
		__entry->vsmmu = v->id;
		__entry->vsid = vsid;
		__entry->dev_id = dev_id;
		__entry->error = error;
		__entry->reason = reason;
	),
	TP_printk("vsmmu=%u vsid=0x%x dev_id=%u error=%d reason=%u",
		  __entry->vsmmu, __entry->vsid, __entry->dev_id,
		  __entry->error, __entry->reason)
);

TRACE_EVENT(smmuv3_accel_detach,
	TP_PROTO(const struct smmuv3_vsmmu *v, u32 vsid),
	TP_ARGS(v, vsid),
	TP_STRUCT__entry(
		__field(u32, vsmmu)
		__field(u32, vsid)
	),
	TP_fast_assign(
		__entry->vsmmu = v->id;
		__entry->vsid = vsid;
	),
	TP_printk("vsmmu=%u vsid=0x%x", __entry->vsmmu, __entry->vsid)
);

/* A stream got another virtual StreamID */
TRACE_EVENT(smmuv3_accel_vsid,
	TP_PROTO(const struct smmuv3_vsmmu *v, u32 old_vsid, u32 new_vsid),
	TP_ARGS(v, old_vsid, new_vsid),
	TP_STRUCT__entry(
		__field(u32, vsmmu)
		__field(u32, old_vsid)
		__field(u32, new_vsid)
	),
	TP_fast_assign(
		__entry->vsmmu = v->id;
		__entry->old_vsid = old_vsid;
		__entry->new_vsid = new_vsid;
	),
	TP_printk("vsmmu=%u vsid=0x%x -> 0x%x", __entry->vsmmu,
		  __entry->old_vsid, __entry->new_vsid)
);

/* A stream's STE was installed, unchanged or refused by the host */
TRACE_EVENT(smmuv3_accel_ste,
	TP_PROTO(const struct smmuv3_vsmmu *v, u32 vsid, u32 old_kind, u32 new_kind,
		 u32 reason, int error),
	TP_ARGS(v, vsid, old_kind, new_kind, reason, error),
	TP_STRUCT__entry(
		__field(u32, vsmmu)
		__field(u32, vsid)
		__field(u32, old_kind)
		__field(u32, new_kind)
		__field(u32, reason)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->vsmmu = v->id;
		__entry->vsid = vsid;
		__entry->old_kind = old_kind;
		__entry->new_kind = new_kind;
		__entry->reason = reason;
		__entry->error = error;
	),
	TP_printk("vsmmu=%u vsid=0x%x %s -> %s reason=%u error=%d",
		  __entry->vsmmu, __entry->vsid, show_kind(__entry->old_kind),
		  show_kind(__entry->new_kind), __entry->reason, __entry->error)
);

/* Commands were run, from a queue or from an array */
TRACE_EVENT(smmuv3_accel_run,
	TP_PROTO(const struct smmuv3_vsmmu *v, u32 asked, u32 done, u64 issued,
		 u64 subsumed, u64 merged, u64 withheld, u64 ns, u32 cerror,
		 u32 reason, u32 vsid, int error),
	TP_ARGS(v, asked, done, issued, subsumed, merged, withheld, ns, cerror,
		reason, vsid, error),
	TP_STRUCT__entry(
		__field(u32, vsmmu)
		__field(u32, asked)
		__field(u32, done)
		__field(u32, issued)
		__field(u32, subsumed)
		__field(u32, merged)
		__field(u32, withheld)
		__field(u64, ns)
		__field(u32, cerror)
		__field(u32, reason)
		__field(u32, vsid)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->vsmmu = v->id;
		__entry->asked = asked;
		__entry->done = done;
		__entry->issued = issued;
		__entry->subsumed = subsumed;
		__entry->merged = merged;
		__entry->withheld = withheld;
		__entry->ns = ns;
		__entry->cerror = cerror;
		__entry->reason = reason;
		__entry->vsid = vsid;
		__entry->error = error;
	),
	TP_printk("vsmmu=%u asked=%u done=%u issued=%u subsumed=%u merged=%u withheld=%u ns=%llu cerror=%u reason=%u vsid=0x%x error=%d",
		  __entry->vsmmu, __entry->asked, __entry->done,
		  __entry->issued, __entry->subsumed, __entry->merged,
		  __entry->withheld, __entry->ns, __entry->cerror, __entry->reason,
		  __entry->vsid, __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
