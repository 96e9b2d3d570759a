/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the reasons
 */
#ifndef _SMMUV3_ACCEL_REASON_H
#define _SMMUV3_ACCEL_REASON_H

#include <linux/types.h>

const char *smmuv3_reason_name(u32 reason);

#endif
