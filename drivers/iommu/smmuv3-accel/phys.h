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
 * After an error the host may count commands as done that it never issued. So the
 * module does not resume a batch but replays all of it, once, from @cmds, because
 * the VMM may have changed @ucmds. It does not replay after a time-out: the host
 * would wait as long again, with interrupts off.
 *
 * Return: 0 or the host's errno.
 */
static __always_inline int smmuv3_phys_invalidate(struct smmuv3_vsmmu *v,
						  struct smmuv3_phys *phys,
						  const __le64 (*cmds)[2],
						  const void __user *ucmds,
						  u32 num, bool repeat)
{
	bool again = repeat && unlikely(phys->info.flags &
					IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI);
	struct smmuv3_host *host = phys->host;
	bool replay = false;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (unlikely(!phys->host_checks))
		ucmds = NULL;
	for (;;) {
		v->stats.out_host_calls++;
		v->stats.out_issued += num;
		if (ucmds && !replay) {
			v->stats.out_zero_copy++;
			rc = host->ops->invalidate_user(host, phys->viommu_id,
							ucmds, num);
		} else {
			rc = host->ops->invalidate(host, phys->viommu_id, cmds,
						   num);
		}
		if (likely(!rc && !again))
			return 0;
		if (rc && (replay || rc == -ETIMEDOUT))
			return rc;
		replay = rc;
		v->stats.out_replays += replay;
		again &= replay;
	}
}

#endif
