/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stage-2 parents
 */
#ifndef _SMMUV3_ACCEL_PARENT_H
#define _SMMUV3_ACCEL_PARENT_H

#include "smmuv3-accel.h"

struct smmuv3_parent *smmuv3_parent_named(struct smmuv3_vsmmu *v,
					  const struct smmuv3_host_dev *dev,
					  u32 hwpt_id, u32 *reason);
struct smmuv3_parent *smmuv3_parent_make(struct smmuv3_vsmmu *v,
					 const struct smmuv3_host_dev *dev,
					 u32 *reason);
void smmuv3_parent_fits(struct smmuv3_parent *parent,
			const struct smmuv3_host_dev *dev);
bool smmuv3_parent_pending(struct smmuv3_parent *parent, u32 *ticket);
void smmuv3_parent_flushed(struct smmuv3_parent *parent, u32 ticket);
void smmuv3_parent_set_pending(struct smmuv3_parent *parent);
void smmuv3_parent_put(struct smmuv3_parent *parent, struct smmuv3_host *host);
bool smmuv3_parent_is_named(struct smmuv3_parent *parent);
u32 smmuv3_parent_id(const struct smmuv3_parent *parent);

#endif
