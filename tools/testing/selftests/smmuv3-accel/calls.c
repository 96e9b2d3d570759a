// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/ioctl.h>

#include "calls.h"

#define CALL(_cmd, _struct, _first_out, _last_out, ...)				\
	[_IOC_NR(SMMUV3_ACCEL_##_cmd)] = {					\
		.name = #_cmd, .cmd = SMMUV3_ACCEL_##_cmd,			\
		.size = sizeof(struct smmuv3_accel_##_struct),			\
		.out = offsetof(struct smmuv3_accel_##_struct, _first_out),	\
		.out_end = offsetofend(struct smmuv3_accel_##_struct, _last_out), \
		.reason = offsetof(struct smmuv3_accel_##_struct, out_reason),	\
		__VA_ARGS__							\
	}
#define offsetofend(_type, _member) \
	(offsetof(_type, _member) + sizeof(((_type *)0)->_member))
#define RESERVED(_struct)							\
	.reserved = offsetof(struct smmuv3_accel_##_struct, __reserved)

#define GENERAL		E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF, ENXIO, EIO, EINTR, EACCES, \
			EPERM, ENOMEM
/* Errnos of a call that gives a stream a domain */
#define STREAM		EBUSY, ETIMEDOUT, EADDRINUSE, ENODEV

const struct accel_call accel_calls[ACCEL_CALLS] = {
	CALL(GET_INFO, info, out_reason, out_ioctls, .before_create = true, .errnos = { GENERAL }),
	CALL(CREATE, create, out_reason, out_reason, RESERVED(create), .before_create = true,
	     .flags = SMMUV3_ACCEL_CREATE_SHARED_ASIDS | SMMUV3_ACCEL_CREATE_FEED |
		      SMMUV3_ACCEL_CREATE_NO_GLOBAL,
	     .errnos = { GENERAL, ENOENT, EBUSY }),
	CALL(SET_IDR, set_idr, out_bad_idr, out_reason, RESERVED(set_idr),
	     .errnos = { GENERAL, EBUSY }),
	CALL(SET_MEM_TABLE, mem_table, out_bad_region, out_reason, RESERVED(mem_table),
	     .errnos = { GENERAL }),
	CALL(ATTACH, attach, out_reason, out_bad_idr, RESERVED(attach),
	     .flags = SMMUV3_ACCEL_ATTACH_BRIDGE | SMMUV3_ACCEL_ATTACH_FEED |
		      SMMUV3_ACCEL_ATTACH_DRY_RUN,
	     .errnos = { GENERAL, STREAM, ENOENT, EEXIST, ENOSPC }),
	CALL(DETACH, detach, out_reason, out_reason, .errnos = { GENERAL, ENOENT }),
	CALL(GET_PHYS, phys, out_reason, out_bypass_hwpt_id, .errnos = { GENERAL, ENOENT }),
	CALL(GET_STREAM, stream, out_reason, out_ste, RESERVED(stream),
	     .errnos = { GENERAL, ENOENT }),
	CALL(INSTALL_STE, install_ste, out_reason, out_reason, RESERVED(install_ste),
	     .errnos = { GENERAL, STREAM, ENOENT }),
	CALL(INVALIDATE, invalidate, out_error, out_vsid, .errnos = { GENERAL, STREAM }),
	CALL(SET_REGS, set_regs, out_vsid, out_reason, RESERVED(set_regs),
	     .errnos = { GENERAL, STREAM }),
	CALL(RUN_CMDQ, run_cmdq, out_error, out_vsid, RESERVED(run_cmdq),
	     .errnos = { GENERAL, STREAM }),
	CALL(RESET, reset, out_reason, out_reason, RESERVED(reset),
	     .errnos = { GENERAL, ETIMEDOUT }),
	CALL(GET_STATS, stats, out_reason, out_withheld, RESERVED(stats), .errnos = { GENERAL },
	     .first_size = 112),
	CALL(CHANGE_PROCESS, change_process, out_reason, out_reason, .errnos = { GENERAL }),
	CALL(SET_VSIDS, set_vsids, out_vsid, out_reason, RESERVED(set_vsids),
	     .errnos = { GENERAL, STREAM, ENOENT, EEXIST }),
};

const struct accel_call *accel_call(unsigned int cmd)
{
	return &accel_calls[_IOC_NR(cmd)];
}

bool call_may_return(const struct accel_call *call, int error)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(call->errnos) && call->errnos[i]; i++)
		if (call->errnos[i] == error)
			return true;
	return !error;
}

bool reason_is_known(__u32 reason)
{
	return reason <= SMMUV3_ACCEL_REASON_NO_PHYS ||
	       (reason >= SMMUV3_ACCEL_REASON_NOT_VFIO &&
		reason <= SMMUV3_ACCEL_REASON_VSID_TWICE) ||
	       (reason >= SMMUV3_ACCEL_REASON_NO_STREAM &&
		reason <= SMMUV3_ACCEL_REASON_STE_S1STALLD) ||
	       (reason >= SMMUV3_ACCEL_REASON_CMD_OPCODE &&
		reason <= SMMUV3_ACCEL_REASON_CMD_NO_S2) ||
	       (reason >= SMMUV3_ACCEL_REASON_IDR_ILLEGAL &&
		reason <= SMMUV3_ACCEL_REASON_REGION_OVERLAP);
}
