/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Physical SMMUs
 */
#ifndef _SMMUV3_ACCEL_PHYS_H
#define _SMMUV3_ACCEL_PHYS_H

#include "smmuv3-accel.h"

struct smmuv3_phys *smmuv3_phys_get(struct smmuv3_vsmmu *v,
				    struct smmuv3_host_dev *dev,
				    struct smmuv3_refusal *why);
void smmuv3_phys_put(struct smmuv3_phys *phys);
bool smmuv3_phys_fits(struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		      struct smmuv3_refusal *why);
void smmuv3_phys_publish(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
void smmuv3_phys_destroy(struct smmuv3_phys *phys, struct smmuv3_host *host);
void smmuv3_phys_update_offer(struct smmuv3_vsmmu *v);
int smmuv3_phys_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
int smmuv3_phys_flush_pending(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
int smmuv3_phys_invalidate(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			   const __le64 (*cmds)[2], const void __user *ucmds,
			   u32 num, bool repeat);

#endif
