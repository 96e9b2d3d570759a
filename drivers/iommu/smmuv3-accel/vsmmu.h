/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Virtual SMMUs
 */
#ifndef _SMMUV3_ACCEL_VSMMU_H
#define _SMMUV3_ACCEL_VSMMU_H

#include "smmuv3-accel.h"

struct smmuv3_vsmmu *smmuv3_vsmmu_alloc(void);
void smmuv3_vsmmu_close(struct smmuv3_vsmmu *v);
int smmuv3_vsmmu_create(struct smmuv3_vsmmu *v, struct smmuv3_host *host, u32 flags);
int smmuv3_vsmmu_change_process(struct smmuv3_vsmmu *v, int iommufd, u32 *reason);
int smmuv3_vsmmu_set_idr(struct smmuv3_vsmmu *v, const u32 idr[6],
			 struct smmuv3_refusal *why);
void smmuv3_vsmmu_set_mem(struct smmuv3_vsmmu *v, const struct guest_mem *mem);
int smmuv3_vsmmu_attach(struct smmuv3_vsmmu *v, struct smmuv3_accel_attach *cmd,
			int (*answer)(void *arg));
int smmuv3_vsmmu_detach(struct smmuv3_vsmmu *v, u32 vsid, u32 *reason);
int smmuv3_vsmmu_set_vsids(struct smmuv3_vsmmu *v,
			   const struct smmuv3_accel_vsid *entries, u32 num,
			   u32 *bad, u32 *reason);
int smmuv3_vsmmu_install_ste(struct smmuv3_vsmmu *v, u32 vsid, const u64 ste[8],
			     u32 *reason);
int smmuv3_vsmmu_set_regs(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			  u32 *failed, u32 *reason);
int smmuv3_vsmmu_reset(struct smmuv3_vsmmu *v, u32 *reason);

#endif
