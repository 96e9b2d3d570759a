// SPDX-License-Identifier: GPL-2.0
/*
 * A physical SMMU of a virtual SMMU: its vIOMMU, its fixed domains, its flushes, and
 * its part in what the guest is offered.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/slab.h>

#include "arch.h"
#include "parent.h"
#include "phys.h"

/**
 * smmuv3_phys_call_again() - Call the host again, after it failed or for an erratum
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @cmds: validated commands, in any order
 * @ucmds: the same commands in the VMM's memory, or NULL
 * @num: how many
 * @repeat: carry them out twice
 * @rc: result of the first call
 *
 * After an error the host may count commands as done that it never issued. So the
 * module does not resume a batch but replays all of it, once, from @cmds, because
 * the VMM may have changed @ucmds. It does not replay after a time-out: the host
 * would wait as long again, with interrupts off.
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_phys_call_again(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			   const __le64 (*cmds)[2], const void __user *ucmds, u32 num,
			   bool repeat, int rc)
{
	bool replay = false;

	for (;;) {
		if (rc && (replay || rc == -ETIMEDOUT))
			return rc;
		if (!rc && !repeat)
			return 0;
		replay = rc;
		v->stats.out_replays += replay;
		repeat &= replay;
		rc = smmuv3_phys_call(v, phys, cmds, replay ? NULL : ucmds, num);
	}
}

/**
 * smmuv3_phys_flush() - Flush the guest's entries from a physical SMMU's TLBs
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 *
 * If the flush fails, it stays pending on the stage-2 parent, because the parent's
 * next user may be another vSMMU.
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
	if (rc)
		return rc;
	phys->unflushed = false;
	/* Nothing can bring an entry back. */
	if (list_empty(&phys->s1_streams))
		smmuv3_asids_clear(&phys->asids);
	smmuv3_phys_update_gate(v, phys);
	return 0;
}

/**
 * smmuv3_phys_flush_pending() - Flush if a flush is pending
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU; call this before a device is attached
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
 * Destroy the objects of a physical SMMU that has no stream. If the VMM has a vEVENTQ
 * on the vIOMMU, vIOMMU and parent stay.
 */
static void phys_release(struct smmuv3_phys *phys)
{
	u32 *const ids[] = { &phys->bypass_hwpt_id, &phys->abort_hwpt_id,
			     &phys->viommu_id };
	struct smmuv3_host *host = phys->host;
	int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		if (*ids[i] &&
		    !host->ops->destroy(host, SMMUV3_LANE_CONFIG, *ids[i]))
			*ids[i] = 0;
	}
	if (phys->viommu_id)
		return;
	if (phys->parent)
		smmuv3_parent_put(phys->parent, host);
	phys->parent = NULL;
	phys->kept = false;
}

/**
 * smmuv3_phys_destroy() - Destroy a physical SMMU, possibly half-built
 * @phys: the physical SMMU
 * @host: the host; NULL: it cannot be reached, so leave the objects to the VMM's
 *	iommufd
 */
void smmuv3_phys_destroy(struct smmuv3_phys *phys, struct smmuv3_host *host)
{
	if (host)
		phys_release(phys);
	if (phys->parent)
		smmuv3_parent_put(phys->parent, host);
	kfree(phys);
}

static int phys_alloc_viommu(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			     const struct smmuv3_host_dev *dev, u32 s2_hwpt_id,
			     u32 *reason)
{
	struct smmuv3_host *host = phys->host;
	struct smmuv3_parent *parent;
	int rc;

	if (s2_hwpt_id)
		parent = smmuv3_parent_named(v, dev, s2_hwpt_id, reason);
	else
		parent = smmuv3_parent_make(v, dev, reason);
	rc = PTR_ERR_OR_ZERO(parent);
	if (!rc) {
		rc = host->ops->alloc_viommu(host, dev->dev_id,
					     smmuv3_parent_id(parent),
					     &phys->viommu_id);
		if (rc)
			smmuv3_parent_put(parent, host);
	}
	if (!rc) {
		phys->parent = parent;
		smmuv3_parent_fits(parent, dev);
	} else if (*reason) {
		return rc;
	} else if (rc == -EOPNOTSUPP) {
		*reason = SMMUV3_ACCEL_REASON_NO_NESTING;
	} else if (rc == -EINVAL || rc == -ENOENT) {
		*reason = SMMUV3_ACCEL_REASON_PARENT_REJECTED;
	}
	return rc;
}

static int phys_alloc_nested(struct smmuv3_phys *phys, u32 dev_id, u64 word0,
			     u32 *hwpt_id)
{
	const u64 ste[2] = { word0 };

	if (*hwpt_id)
		return 0;
	return phys->host->ops->alloc_nested(phys->host, SMMUV3_LANE_CONFIG, dev_id,
					     phys->viommu_id, ste, hwpt_id);
}

/* Allocate the objects that a physical SMMU still needs for a stream. */
static int phys_prepare(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			const struct smmuv3_host_dev *dev, u32 s2_hwpt_id,
			u32 *reason)
{
	bool other = phys->parent && s2_hwpt_id &&
		     s2_hwpt_id != smmuv3_parent_id(phys->parent);
	int rc = 0;

	/* A vEVENTQ may have kept the other parent when the last stream left. */
	if (other)
		smmuv3_phys_put(phys);
	if (!phys->parent) {
		rc = phys_alloc_viommu(v, phys, dev, s2_hwpt_id, reason);
	} else if (other) {
		*reason = SMMUV3_ACCEL_REASON_PARENT_OTHER;
		rc = -EBUSY;
	}
	/* Allocate the abort domain now, so that an abort never needs memory. */
	if (!rc)
		rc = phys_alloc_nested(phys, dev->dev_id, STE_0_V,
				       &phys->abort_hwpt_id);
	if (!rc)
		rc = phys_alloc_nested(phys, dev->dev_id, STE_0_V |
				       FIELD_PREP(STE_0_CONFIG, STE_CONFIG_BYPASS),
				       &phys->bypass_hwpt_id);
	return rc;
}

/* Nothing is offered before SMMUV3_ACCEL_SET_IDR and before the first device. */
static void phys_update_caps(const struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	phys->ste_caps = phys->caps;
	if (smmuv3_is_offered(v))
		smmuv3_caps_meet(&phys->ste_caps, &v->offer.caps);
}

/* Read an SMMU's ID registers, and check that it fits the virtual SMMU. */
static int phys_identify(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			 const struct smmuv3_host_dev *dev,
			 struct smmuv3_refusal *why)
{
	int rc = v->host->ops->hw_info(v->host, dev->dev_id, &phys->info);

	if (rc == -EOPNOTSUPP)
		why->reason = SMMUV3_ACCEL_REASON_NOT_SMMUV3;
	if (rc)
		return rc;
	/* Without this option, the host driver does not use ATS. */
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		phys->info.idr[0] &= ~IDR0_ATS;
	phys->repeats = phys->info.flags & IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI;
	smmuv3_caps_from_idr(&phys->caps, phys->info.idr);
	phys->asid_mask = phys->caps.asid16 ? TLBI_ASID_16BIT : TLBI_ASID_8BIT;
	phys_update_caps(v, phys);
	if (v->offer.idr_set &&
	    !smmuv3_idr_fits(v->offer.idr, phys->info.idr, why->bad_idr)) {
		why->reason = SMMUV3_ACCEL_REASON_IDR_HOST;
		return -EOPNOTSUPP;
	}
	return 0;
}

static struct smmuv3_phys *phys_new(struct smmuv3_vsmmu *v,
				    const struct smmuv3_host_dev *dev,
				    struct smmuv3_refusal *why)
{
	struct smmuv3_phys *phys;
	int rc;

	if (v->phys_num >= SMMUV3_MAX_PHYS) {
		why->reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS;
		return ERR_PTR(-ENOSPC);
	}
	phys = kzalloc_obj(*phys, GFP_KERNEL_ACCOUNT);
	if (!phys)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&phys->node);
	INIT_LIST_HEAD(&phys->s1_streams);
	phys->gated = true;
	phys->host = v->host;
	phys->iommu = dev->iommu;
	phys->index = v->phys_num;
	rc = phys_identify(v, phys, dev, why);
	if (!rc)
		return phys;
	kfree(phys);
	return ERR_PTR(rc);
}

static struct smmuv3_phys *phys_find(struct smmuv3_vsmmu *v,
				     const struct smmuv3_host_dev *dev)
{
	struct smmuv3_phys *phys;

	list_for_each_entry(phys, &v->phys, node)
		if (phys->iommu == dev->iommu)
			return phys;
	return NULL;
}

/**
 * smmuv3_phys_get() - Find or allocate a device's physical SMMU
 * @v: the vSMMU, @lock held
 * @dev: the device
 * @s2_hwpt_id: the stage-2 parent that the VMM names, or 0
 * @why: set if it fails
 *
 * Return: the physical SMMU with its objects, for smmuv3_phys_publish() or
 * smmuv3_phys_put(), or an ERR_PTR.
 */
struct smmuv3_phys *smmuv3_phys_get(struct smmuv3_vsmmu *v,
				    const struct smmuv3_host_dev *dev,
				    u32 s2_hwpt_id, struct smmuv3_refusal *why)
{
	struct smmuv3_phys *phys;
	int rc;

	lockdep_assert_held(&v->lock);

	phys = phys_find(v, dev) ?: phys_new(v, dev, why);
	if (IS_ERR(phys))
		return phys;
	/* CANWBS depends on the root complex. Two may share an SMMU. */
	if (smmuv3_idr_can_nest(phys->info.idr, dev->canwbs)) {
		rc = phys_prepare(v, phys, dev, s2_hwpt_id, &why->reason);
	} else {
		why->reason = SMMUV3_ACCEL_REASON_NO_NESTING;
		rc = -EOPNOTSUPP;
	}
	if (!rc)
		return phys;
	smmuv3_phys_put(phys);
	return ERR_PTR(rc);
}

/**
 * smmuv3_phys_put() - Release a physical SMMU after a detach or a failed attach
 * @phys: the physical SMMU
 *
 * Destroys it if it was not published. Otherwise destroys its objects if no stream and
 * no unflushed TLB entry is left, and either the VMM named the parent or no stream was
 * attached on it.
 */
void smmuv3_phys_put(struct smmuv3_phys *phys)
{
	if (list_empty(&phys->node))
		smmuv3_phys_destroy(phys, phys->host);
	else if (!phys->stream_num && !phys->unflushed && phys->parent &&
		 (!phys->kept || smmuv3_parent_is_named(phys->parent)))
		phys_release(phys);
}

/* Compute what all physical SMMUs have. */
static void phys_meet(struct smmuv3_vsmmu *v)
{
	struct smmuv3_offer *offer = &v->offer;
	struct smmuv3_phys *phys;
	bool ats = false;

	list_for_each_entry(phys, &v->phys, node) {
		if (!phys->index) {
			memcpy(offer->common, phys->info.idr, sizeof(offer->common));
			offer->caps = phys->caps;
		}
		smmuv3_idr_meet(offer->common, phys->info.idr);
		smmuv3_caps_meet(&offer->caps, &phys->caps);
		ats |= phys->caps.ats;
	}
	/* An ATC_INV reaches one SMMU, so one SMMU with ATS is enough. */
	offer->caps.ats = ats;
}

/**
 * smmuv3_phys_update_offer() - Compute what the guest is offered
 * @v: the vSMMU, both locks held
 *
 * Call this whenever the ID registers or the list of physical SMMUs change.
 */
void smmuv3_phys_update_offer(struct smmuv3_vsmmu *v)
{
	struct smmuv3_offer *offer = &v->offer;
	struct smmuv3_phys *phys;

	if (offer->idr_set)
		smmuv3_caps_from_idr(&offer->caps, offer->idr);
	else
		phys_meet(v);
	smmuv3_cmd_make_rules(&offer->rules, &offer->caps);
	list_for_each_entry(phys, &v->phys, node)
		phys_update_caps(v, phys);
}

/**
 * smmuv3_phys_fits() - Whether a physical SMMU has all that a running guest uses
 * @v: the vSMMU, both locks held
 * @phys: from smmuv3_phys_get()
 * @why: set if it does not fit
 *
 * A running guest continues to use what it was offered. ATS does not count, because
 * it depends on each stream's SMMU.
 *
 * Return: true if it can be published.
 */
bool smmuv3_phys_fits(struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		      struct smmuv3_refusal *why)
{
	u32 offered[6];

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	/* phys_identify() has checked the ID registers of SMMUV3_ACCEL_SET_IDR. */
	if (!list_empty(&phys->node) || v->offer.idr_set || !v->offer.started ||
	    !v->phys_num)
		return true;
	memcpy(offered, v->offer.common, sizeof(offered));
	offered[0] &= ~IDR0_ATS;
	if (smmuv3_idr_fits(offered, phys->info.idr, why->bad_idr))
		return true;
	why->reason = SMMUV3_ACCEL_REASON_IDR_OFFERED;
	return false;
}

/*
 * Find out whether the host checks commands, by @queue_lock's lane. If the host cannot
 * say so now, for instance because memory is low, it gets copies until the next ATTACH.
 */
static void phys_probe(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (phys->host_known)
		return;
	rc = v->host->ops->checks_commands(v->host, phys->viommu_id);
	phys->host_known = rc >= 0;
	phys->host_checks = rc > 0;
}

/**
 * smmuv3_phys_publish() - Add a physical SMMU to the vSMMU, if it is not there yet
 * @v: the vSMMU, both locks held
 * @phys: from smmuv3_phys_get(). It keeps its index until close
 */
void smmuv3_phys_publish(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	struct smmuv3_phys *each;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	phys->kept = true;
	phys_probe(v, phys);
	if (!list_empty(&phys->node))
		return;
	list_add_tail(&phys->node, &v->phys);
	v->phys_num++;
	list_for_each_entry(each, &v->phys, node)
		smmuv3_phys_update_gate(v, each);
	smmuv3_phys_update_offer(v);
}

