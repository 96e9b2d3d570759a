// SPDX-License-Identifier: GPL-2.0
/*
 * A physical SMMU of a virtual SMMU: its vIOMMU, its fixed domains, what it
 * adds to the guest's offer, and the commands it carries out.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "arch.h"
#include "compat.h"
#include "parent.h"
#include "phys.h"

static bool phys_wants_repeat(const struct smmuv3_phys *phys)
{
	return phys->info.flags &
	       IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI;
}

static __always_inline int issue(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
				 const __le64 (*cmds)[2],
				 const void __user *ucmds, u32 num)
{
	struct smmuv3_host *host = phys->host;

	v->stats.out_host_calls++;
	v->stats.out_issued += num;
	if (!ucmds)
		return host->ops->invalidate(host, phys->viommu_id, cmds, num);
	v->stats.out_zero_copy++;
	return host->ops->invalidate_user(host, phys->viommu_id, ucmds, num);
}

/**
 * smmuv3_phys_invalidate() - Have a physical SMMU carry out commands
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @cmds: validated commands that need no order among them
 * @ucmds: the same in the VMM's memory, to be read from there, or NULL
 * @num: how many, up to %SMMUV3_HOST_MAX_BATCH
 * @repeat: they are TLBIs or CFGIs, to be issued twice with erratum
 *	T264-SMMU-3, the second time after the first has returned
 *
 * After an error the host counts commands as done that it never issued, so a
 * batch is never resumed but replayed whole, once, from @cmds: what is at
 * @ucmds may have changed. Not where the host timed out: it would for as long
 * again, with interrupts off.
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_phys_invalidate(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			   const __le64 (*cmds)[2], const void __user *ucmds,
			   u32 num, bool repeat)
{
	int rounds = repeat && unlikely(phys_wants_repeat(phys)) ? 2 : 1;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	do {
		rc = issue(v, phys, cmds, ucmds, num);
		if (unlikely(rc) && rc != -ETIMEDOUT) {
			v->stats.out_replays++;
			rc = issue(v, phys, cmds, NULL, num);
		}
	} while (!rc && --rounds);
	return rc;
}

/**
 * smmuv3_phys_flush() - Flush a physical SMMU's TLBs of all that is the guest's
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 *
 * A flush that fails stays pending on the stage-2 parent, whose next user may be
 * another vSMMU.
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_phys_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	const __le64 flush[][2] = { { cpu_to_le64(CMD_TLBI_NH_ALL), 0 } };
	u32 ticket;
	int rc;

	smmuv3_parent_pending(phys->parent, &ticket);
	rc = smmuv3_phys_invalidate(v, phys, flush, NULL, ARRAY_SIZE(flush),
				    true);
	if (rc)
		smmuv3_parent_set_pending(phys->parent);
	else
		smmuv3_parent_flushed(phys->parent, ticket);
	return rc;
}

/**
 * smmuv3_phys_flush_pending() - Make up for flushes that failed
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU, on which a device is going to be attached
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_phys_flush_pending(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	u32 ticket;

	return smmuv3_parent_pending(phys->parent, &ticket) ?
		       smmuv3_phys_flush(v, phys) : 0;
}

/*
 * Destroy a possibly half-built physical SMMU; also phys_create()'s error path.
 * @host: NULL if it cannot be reached
 */
void smmuv3_phys_destroy(struct smmuv3_phys *phys, struct smmuv3_host *host)
{
	u32 ids[] = { phys->bypass_hwpt_id, phys->abort_hwpt_id,
		      phys->viommu_id };
	int i;

	for (i = 0; host && i < ARRAY_SIZE(ids); i++)
		if (ids[i])
			host->ops->destroy(host, SMMUV3_LANE_CONFIG, ids[i]);
	if (phys->parent)
		smmuv3_parent_put(phys->parent, host);
	kfree(phys);
}

/* On a parent, which is the physical SMMU's if it succeeds */
static int phys_alloc_viommu(struct smmuv3_phys *phys,
			     const struct smmuv3_host_dev *dev,
			     struct smmuv3_parent *parent)
{
	struct smmuv3_host *host = phys->host;
	int rc;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	rc = host->ops->alloc_viommu(host, dev->dev_id,
				     smmuv3_parent_id(parent), &phys->viommu_id);
	if (rc) {
		smmuv3_parent_put(parent, host);
		return rc;
	}
	phys->parent = parent;
	smmuv3_parent_fits(parent, dev);
	return 0;
}

/*
 * The VMM's own parent is taken where it fits; the host refuses it with EINVAL
 * on a physical SMMU for which it was not made.
 */
static int phys_take_parent(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			    const struct smmuv3_host_dev *dev, u32 *reason)
{
	struct smmuv3_parent *parent = NULL;
	int rc = -EINVAL;

	if (v->s2_hwpt_id)
		parent = smmuv3_parent_named(v, dev, reason);
	if (parent)
		rc = phys_alloc_viommu(phys, dev, parent);
	if (rc == -EINVAL)
		rc = phys_alloc_viommu(phys, dev,
				       smmuv3_parent_make(v, dev, reason));
	if (*reason)
		return rc;
	if (rc == -EOPNOTSUPP)
		*reason = SMMUV3_ACCEL_REASON_NO_NESTING;
	else if (rc == -EINVAL || rc == -ENOENT)
		*reason = SMMUV3_ACCEL_REASON_PARENT_REJECTED;
	return rc;
}

static int phys_alloc_nested(struct smmuv3_phys *phys, u32 dev_id)
{
	static const u64 abort_ste[2] = { STE_0_V };
	static const u64 bypass_ste[2] = {
		STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, STE_CONFIG_BYPASS),
	};
	struct smmuv3_host *host = phys->host;
	int rc;

	/* Made now, so that a stream can be aborted whatever comes. */
	rc = host->ops->alloc_nested(host, SMMUV3_LANE_CONFIG, dev_id,
				     phys->viommu_id, abort_ste,
				     &phys->abort_hwpt_id);
	if (rc)
		return rc;
	return host->ops->alloc_nested(host, SMMUV3_LANE_CONFIG, dev_id,
				       phys->viommu_id, bypass_ste,
				       &phys->bypass_hwpt_id);
}

static struct smmuv3_phys *phys_create(struct smmuv3_vsmmu *v,
				       struct smmuv3_host_dev *dev,
				       struct smmuv3_refusal *why)
{
	struct smmuv3_host *host = v->host;
	struct smmuv3_phys *phys;
	int rc;

	if (v->phys_num >= SMMUV3_PHYS_ALL) {
		why->reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS;
		return ERR_PTR(-ENOSPC);
	}
	phys = kzalloc_obj(*phys, GFP_KERNEL_ACCOUNT);
	if (!phys)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&phys->node);
	phys->host = host;
	phys->iommu = dev->iommu;
	phys->index = v->phys_num;

	rc = host->ops->hw_info(host, dev->dev_id, &phys->info);
	if (rc) {
		if (rc == -EOPNOTSUPP)
			why->reason = SMMUV3_ACCEL_REASON_NOT_SMMUV3;
		goto err_destroy;
	}
	if (!smmuv3_idr_can_nest(phys->info.idr, dev->canwbs)) {
		why->reason = SMMUV3_ACCEL_REASON_NO_NESTING;
		rc = -EOPNOTSUPP;
		goto err_destroy;
	}
	/* As for the host driver, ATS is there only where the kernel has it. */
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		phys->info.idr[0] &= ~IDR0_ATS;
	smmuv3_caps_from_idr(&phys->caps, phys->info.idr);
	if (v->offer.idr_set &&
	    !smmuv3_idr_fits(v->offer.idr, phys->info.idr, &why->bad_idr,
			     &why->bad_mask)) {
		why->reason = SMMUV3_ACCEL_REASON_IDR;
		rc = -EOPNOTSUPP;
		goto err_destroy;
	}

	rc = phys_take_parent(v, phys, dev, &why->reason);
	if (!rc)
		rc = phys_alloc_nested(phys, dev->dev_id);
	if (rc)
		goto err_destroy;
	return phys;

err_destroy:
	smmuv3_phys_destroy(phys, host);
	return ERR_PTR(rc);
}

/**
 * smmuv3_phys_get() - Find or make the physical SMMU that a device is behind
 * @v: the vSMMU, @lock held
 * @dev: the device
 * @why: set where it fails
 *
 * Return: the physical SMMU, for smmuv3_phys_publish() or smmuv3_phys_put(), or
 * an ERR_PTR.
 */
struct smmuv3_phys *smmuv3_phys_get(struct smmuv3_vsmmu *v, struct smmuv3_host_dev *dev,
				    struct smmuv3_refusal *why)
{
	struct smmuv3_phys *phys;

	lockdep_assert_held(&v->lock);

	list_for_each_entry(phys, &v->phys, node)
		if (phys->iommu == dev->iommu)
			return phys;
	return phys_create(v, dev, why);
}

/**
 * smmuv3_phys_put() - Undo smmuv3_phys_get() where the attach failed
 * @phys: the physical SMMU, destroyed if it was made for that attach
 */
void smmuv3_phys_put(struct smmuv3_phys *phys)
{
	if (list_empty(&phys->node))
		smmuv3_phys_destroy(phys, phys->host);
}

void smmuv3_phys_update_offer(struct smmuv3_vsmmu *v)
{
	struct smmuv3_phys *phys;

	if (v->offer.idr_set)
		smmuv3_caps_from_idr(&v->offer.caps, v->offer.idr);
	list_for_each_entry(phys, &v->phys, node) {
		if (v->offer.idr_set)
			break;
		if (!phys->index)
			memcpy(v->offer.common, phys->info.idr, sizeof(v->offer.common));
		smmuv3_idr_meet(v->offer.common, phys->info.idr);
		/* ATC_INV is for one stream, so it is enough if that one's has it. */
		bool ats = phys->index && v->offer.caps.ats;

		if (!phys->index)
			v->offer.caps = phys->caps;
		smmuv3_caps_meet(&v->offer.caps, &phys->caps);
		v->offer.caps.ats = phys->caps.ats || ats;
	}
	smmuv3_cmd_make_rules(&v->offer.rules, &v->offer.caps);
}

/**
 * smmuv3_phys_fits() - Whether a new physical SMMU takes nothing from the guest
 * @v: the vSMMU, both locks held
 * @phys: from smmuv3_phys_get()
 * @why: set if it does
 *
 * A guest that runs goes on using what it was offered. ATS is left out: whether a
 * stream has it depends on the stream's own SMMU.
 *
 * Return: true if it can be published.
 */
bool smmuv3_phys_fits(struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		      struct smmuv3_refusal *why)
{
	u32 offered[6];

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	/* SMMUV3_ACCEL_SET_IDR's are checked when it is made. */
	if (!list_empty(&phys->node) || v->offer.idr_set || !v->offer.started ||
	    !v->phys_num)
		return true;
	memcpy(offered, v->offer.common, sizeof(offered));
	offered[0] &= ~IDR0_ATS;
	if (smmuv3_idr_fits(offered, phys->info.idr, &why->bad_idr,
			    &why->bad_mask))
		return true;
	why->reason = SMMUV3_ACCEL_REASON_IDR;
	return false;
}

/**
 * smmuv3_phys_publish() - Make a physical SMMU one of the vSMMU's
 * @v: the vSMMU, both locks held
 * @phys: from smmuv3_phys_get(); lives until close from now on, because a
 *	vEVENTQ of the VMM's may hang on its vIOMMU
 */
void smmuv3_phys_publish(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	if (!list_empty(&phys->node))
		return;
	list_add_tail(&phys->node, &v->phys);
	v->phys_num++;
	smmuv3_phys_update_offer(v);
}

