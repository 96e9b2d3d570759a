// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What went wrong, in words.
 */
#include <stdio.h>
#include <string.h>

#include "arch.h"
#include "vsmmu.h"

static const char *const reasons[] = {
#define REASON(_name, _text) \
	[SMMUV3_ACCEL_REASON_##_name] = _text,
#include "reasons.inc"		/* from the comments in linux/smmuv3_accel.h */
#undef REASON
};

const char *vsmmu_reason_string(uint32_t reason)
{
	if (reason >= ARRAY_SIZE(reasons) || !reasons[reason])
		return "The reason is not known to this version of the library.";
	return reasons[reason];
}

static const char *request_name(unsigned long request)
{
	switch (request) {
	case SMMUV3_ACCEL_GET_INFO:
		return "GET_INFO: ";
	case SMMUV3_ACCEL_CREATE:
		return "CREATE: ";
	case SMMUV3_ACCEL_SET_IDR:
		return "SET_IDR: ";
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		return "SET_MEM_TABLE: ";
	case SMMUV3_ACCEL_ATTACH:
		return "ATTACH: ";
	case SMMUV3_ACCEL_DETACH:
		return "DETACH: ";
	case SMMUV3_ACCEL_GET_PHYS:
		return "GET_PHYS: ";
	case SMMUV3_ACCEL_SET_REGS:
		return "SET_REGS: ";
	case SMMUV3_ACCEL_RUN_CMDQ:
		return "RUN_CMDQ: ";
	case SMMUV3_ACCEL_RESET:
		return "RESET: ";
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		return "CHANGE_PROCESS: ";
	default:
		return "";
	}
}

const char *vsmmu_strerror(const struct vsmmu_error *error, char *buf,
			   size_t len)
{
	const char *name = request_name(error->request);

	if (error->reason)
		snprintf(buf, len, "%s%s (%s)", name,
			 vsmmu_reason_string(error->reason),
			 strerror(-error->error));
	else
		snprintf(buf, len, "%s%s", name, strerror(-error->error));
	return buf;
}
