/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands of the guest
 */
#ifndef _SMMUV3_ACCEL_CMDQ_H
#define _SMMUV3_ACCEL_CMDQ_H

#include "smmuv3-accel.h"

void smmuv3_cmdq_locate(struct smmuv3_vsmmu *v);
int smmuv3_cmdq_invalidate(struct smmuv3_vsmmu *v, void *arg);
int smmuv3_cmdq_run(struct smmuv3_vsmmu *v, void *arg);

#endif
