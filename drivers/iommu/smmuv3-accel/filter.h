/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which TLBIs a physical SMMU does not need
 */
#ifndef _SMMUV3_ACCEL_FILTER_H
#define _SMMUV3_ACCEL_FILTER_H

#include "smmuv3-accel.h"

int smmuv3_filter_look(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
		       const struct smmuv3_ste *ste);
void smmuv3_filter_leave(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			 const struct smmuv3_ste *ste);
void smmuv3_filter_set_mem(struct smmuv3_vsmmu *v, const struct guest_mem *mem);
int smmuv3_filter_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
int smmuv3_filter_issue(struct smmuv3_vsmmu *v, const __le64 (*cmds)[2],
			const void __user *ucmds, u32 look_at, u32 num);
void smmuv3_filter_fetch(struct smmuv3_vsmmu *v);

#endif
