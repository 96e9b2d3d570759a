// SPDX-License-Identifier: GPL-2.0
/*
 * Names of the reasons, for messages. The build takes them from the header of the
 * user ABI.
 */
#include <linux/array_size.h>
#include <linux/kernel.h>
#include <uapi/linux/smmuv3_accel.h>

#include "reason.h"

static const char *const names[] = {
#include "reason_names.h"
};

/**
 * smmuv3_reason_name() - The name of a reason
 * @reason: an enum smmuv3_accel_reason
 *
 * Return: its name without the prefix.
 */
const char *smmuv3_reason_name(u32 reason)
{
	if (reason >= ARRAY_SIZE(names) || !names[reason])
		return "?";
	return names[reason];
}
