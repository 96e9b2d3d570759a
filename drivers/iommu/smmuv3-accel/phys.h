/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Physical SMMUs
 */
#ifndef _SMMUV3_ACCEL_PHYS_H
#define _SMMUV3_ACCEL_PHYS_H

#include <uapi/linux/iommufd.h>

#include "compat.h"
#include "smmuv3-accel.h"

struct smmuv3_phys *smmuv3_phys_get(struct smmuv3_vsmmu *v,
				    const struct smmuv3_host_dev *dev,
				    u32 s2_hwpt_id, struct smmuv3_refusal *why);
void smmuv3_phys_put(struct smmuv3_phys *phys);
bool smmuv3_phys_fits(struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		      struct smmuv3_refusal *why);
void smmuv3_phys_publish(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
void smmuv3_phys_destroy(struct smmuv3_phys *phys, struct smmuv3_host *host);
void smmuv3_phys_update_offer(struct smmuv3_vsmmu *v);
int smmuv3_phys_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);
int smmuv3_phys_flush_pending(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys);

/* Call this whenever a part of the condition changes. */
static inline void smmuv3_phys_update_gate(const struct smmuv3_vsmmu *v,
					   struct smmuv3_phys *phys)
{
	phys->gated = !phys->stream_num ||
		      (v->filter && v->phys_num > 1 && !phys->asids.all);
}

/* Whether a physical SMMU's TLBs have no entry of the guest */
static inline bool smmuv3_phys_idle(const struct smmuv3_phys *phys)
{
	return unlikely(!phys->stream_num) && !phys->unflushed;
}

/* Have the host carry out commands from the VMM's memory, once. */
static __always_inline int smmuv3_phys_call_user(struct smmuv3_vsmmu *v,
						 struct smmuv3_phys *phys,
						 const void __user *ucmds, u32 num)
{
	struct smmuv3_host *host = phys->host;

	lockdep_assert_held(&v->queue_lock);

	v->stats.out_host_calls++;
	v->stats.out_zero_copy++;
	v->stats.out_issued += num;
	return smmuv3_host_invalidate_user(host, phys->viommu_id, ucmds, num);
}

/* Have the host carry out commands, once. Arguments as for smmuv3_phys_invalidate() */
static __always_inline int smmuv3_phys_call(struct smmuv3_vsmmu *v,
					    struct smmuv3_phys *phys,
					    const __le64 (*cmds)[2],
					    const void __user *ucmds, u32 num)
{
	struct smmuv3_host *host = phys->host;

	lockdep_assert_held(&v->queue_lock);

	if (ucmds && phys->host_checks && smmuv3_host_can_read(host))
		return smmuv3_phys_call_user(v, phys, ucmds, num);
	v->stats.out_host_calls++;
	v->stats.out_issued += num;
	return host->ops->invalidate(host, phys->viommu_id, cmds, num);
}

int smmuv3_phys_call_again(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			   const __le64 (*cmds)[2], const void __user *ucmds, u32 num,
			   bool repeat, int rc);

/**
 * smmuv3_phys_invalidate() - Have a physical SMMU carry out commands
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @cmds: validated commands, in any order
 * @ucmds: the same commands in the VMM's memory, for the host to read if it checks
 *	them; or NULL
 * @num: how many, up to %SMMUV3_HOST_MAX_BATCH
 * @repeat: they are TLBIs or CFGIs, which an SMMU with erratum T264-SMMU-3 needs
 *	twice, the second time after the first has returned
 *
 * Return: 0 or the host's errno.
 */
static __always_inline int smmuv3_phys_invalidate(struct smmuv3_vsmmu *v,
						  struct smmuv3_phys *phys,
						  const __le64 (*cmds)[2],
						  const void __user *ucmds,
						  u32 num, bool repeat)
{
	int rc = smmuv3_phys_call(v, phys, cmds, ucmds, num);

	if (likely(!rc && !(repeat && phys->repeats)))
		return 0;
	return smmuv3_phys_call_again(v, phys, cmds, ucmds, num, repeat && phys->repeats, rc);
}

#endif
