// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/ioctl.h>

#include "calls.h"

#define CALL(_cmd, _struct, ...)						\
	[_IOC_NR(SMMUV3_ACCEL_##_cmd)] = {					\
		.name = #_cmd, .cmd = SMMUV3_ACCEL_##_cmd,			\
		.size = sizeof(struct smmuv3_accel_##_struct), __VA_ARGS__	\
	}
#define REASON(_struct)								\
	.reason = offsetof(struct smmuv3_accel_##_struct, out_reason)
#define RESERVED(_struct)							\
	.reserved = offsetof(struct smmuv3_accel_##_struct, __reserved)

#define GENERAL		E2BIG, EINVAL, EOPNOTSUPP, EFAULT, ENXIO, EIO, ENOENT, EINTR, ENOMEM
#define STREAM		EBUSY, ENODEV

const struct accel_call accel_calls[ACCEL_CALLS] = {
	CALL(GET_INFO, info, .before_create = true, .errnos = { GENERAL }),
	CALL(CREATE, create, REASON(create), .before_create = true,
	     .flags = SMMUV3_ACCEL_CREATE_SHARED_ASIDS | SMMUV3_ACCEL_CREATE_FEED |
		      SMMUV3_ACCEL_CREATE_NO_GLOBAL,
	     .errnos = { GENERAL, EBADF, EBUSY }),
	CALL(SET_IDR, set_idr, REASON(set_idr), RESERVED(set_idr),
	     .errnos = { GENERAL, EBUSY }),
	CALL(SET_MEM_TABLE, mem_table, RESERVED(mem_table), .errnos = { GENERAL }),
	CALL(ATTACH, attach, REASON(attach),
	     .flags = SMMUV3_ACCEL_ATTACH_BRIDGE | SMMUV3_ACCEL_ATTACH_FEED,
	     .errnos = { GENERAL, STREAM, EBADF, EEXIST, ENOSPC }),
	CALL(DETACH, detach, REASON(detach), .errnos = { GENERAL }),
	CALL(GET_PHYS, phys, RESERVED(phys), .errnos = { GENERAL }),
	CALL(GET_STREAM, stream, REASON(stream), RESERVED(stream), .errnos = { GENERAL }),
	CALL(INSTALL_STE, install_ste, REASON(install_ste), RESERVED(install_ste),
	     .errnos = { GENERAL, STREAM }),
	CALL(INVALIDATE, invalidate, REASON(invalidate), .errnos = { GENERAL, ETIMEDOUT }),
	CALL(SET_REGS, set_regs, REASON(set_regs), RESERVED(set_regs),
	     .errnos = { GENERAL, STREAM }),
	CALL(RUN_CMDQ, run_cmdq, REASON(run_cmdq), .errnos = { GENERAL, STREAM, ETIMEDOUT }),
	CALL(RESET, reset, REASON(reset), RESERVED(reset), .errnos = { GENERAL }),
	CALL(GET_STATS, stats, .errnos = { GENERAL }),
	CALL(CHANGE_PROCESS, change_process, REASON(change_process),
	     .errnos = { E2BIG, EINVAL, EOPNOTSUPP, EFAULT, ENXIO, EINTR, ENOMEM, EBADF }),
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
	return reason <= SMMUV3_ACCEL_REASON_NO_ROOM ||
	       (reason >= SMMUV3_ACCEL_REASON_NOT_VFIO &&
		reason <= SMMUV3_ACCEL_REASON_VSID_RANGE) ||
	       (reason >= SMMUV3_ACCEL_REASON_NO_STREAM &&
		reason <= SMMUV3_ACCEL_REASON_GBPA_ABORT) ||
	       (reason >= SMMUV3_ACCEL_REASON_RETRY &&
		reason <= SMMUV3_ACCEL_REASON_NO_POWER) ||
	       (reason >= SMMUV3_ACCEL_REASON_CMD_OPCODE &&
		reason <= SMMUV3_ACCEL_REASON_CMD_UNREADABLE) ||
	       (reason >= SMMUV3_ACCEL_REASON_IDR &&
		reason <= SMMUV3_ACCEL_REASON_CMDQ_INDEX);
}
