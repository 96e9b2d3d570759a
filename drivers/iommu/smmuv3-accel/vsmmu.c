// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SMMU: its lifetime and its physical SMMUs.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/atomic.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "arch.h"
#include "smmuv3-accel.h"

static bool subsume = true;
module_param(subsume, bool, 0444);
MODULE_PARM_DESC(subsume, "Leave out commands whose work others in the batch do (0: off, to look for a guest's or our mistake)");

static bool merge = true;
module_param(merge, bool, 0444);
MODULE_PARM_DESC(merge, "Make one range invalidation of adjacent ones (0: off)");

static uint escalate = 64;
module_param(escalate, uint, 0444);
MODULE_PARM_DESC(escalate, "With NO_GLOBAL, more invalidations by address than this become one by ASID (0: never; raise it where refilling TLBs costs more)");

/*
 * Destroy a possibly half-built physical SMMU; also phys_create()'s error path.
 * @host: NULL if it cannot be reached
 */
static void phys_destroy(struct smmuv3_phys *phys, struct smmuv3_host *host)
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
	if (v->idr_set && !smmuv3_idr_fits(v->idr, phys->info.idr,
					   &why->bad_idr, &why->bad_mask)) {
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
	phys_destroy(phys, host);
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
		phys_destroy(phys, phys->host);
}

static void smmuv3_phys_update_caps(struct smmuv3_vsmmu *v)
{
	struct smmuv3_phys *phys;

	if (v->idr_set)
		smmuv3_caps_from_idr(&v->caps, v->idr);
	list_for_each_entry(phys, &v->phys, node) {
		if (v->idr_set)
			break;
		if (!phys->index)
			memcpy(v->offered, phys->info.idr, sizeof(v->offered));
		smmuv3_idr_meet(v->offered, phys->info.idr);
		/* ATC_INV is for one stream, so it is enough if that one's has it. */
		bool ats = phys->index && v->caps.ats;

		if (!phys->index)
			v->caps = phys->caps;
		smmuv3_caps_meet(&v->caps, &phys->caps);
		v->caps.ats = phys->caps.ats || ats;
	}
	smmuv3_cmd_make_rules(&v->rules, &v->caps);
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
	if (!list_empty(&phys->node) || v->idr_set || !v->started ||
	    !v->phys_num)
		return true;
	memcpy(offered, v->offered, sizeof(offered));
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
	smmuv3_phys_update_caps(v);
}

/**
 * smmuv3_vsmmu_set_idr() - Set what the guest is offered
 * @v: the vSMMU, both locks held
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @why: set where it fails
 *
 * Return: 0, -EOPNOTSUPP, -EBUSY where it is too late.
 */
int smmuv3_vsmmu_set_idr(struct smmuv3_vsmmu *v, const u32 idr[6], struct smmuv3_refusal *why)
{
	struct smmuv3_phys *phys;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	if (v->stream_num || v->cmds_ran) {
		why->reason = SMMUV3_ACCEL_REASON_FROZEN;
		return -EBUSY;
	}
	if (!smmuv3_idr_check(idr, &why->bad_idr, &why->bad_mask))
		goto refuse;
	list_for_each_entry(phys, &v->phys, node)
		if (!smmuv3_idr_fits(idr, phys->info.idr, &why->bad_idr,
				     &why->bad_mask))
			goto refuse;
	memcpy(v->idr, idr, sizeof(v->idr));
	v->idr_set = true;
	smmuv3_phys_update_caps(v);
	smmuv3_cmdq_locate(v);
	return 0;

refuse:
	why->reason = SMMUV3_ACCEL_REASON_IDR;
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_set_idr);

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

/**
 * smmuv3_vsmmu_alloc() - Make a virtual SMMU that is not bound to a host yet
 *
 * Return: the vSMMU, to be closed by smmuv3_vsmmu_close(), or NULL.
 */
struct smmuv3_vsmmu *smmuv3_vsmmu_alloc(void)
{
	static atomic_t last_id;
	struct smmuv3_vsmmu *v;

	v = kzalloc_obj(*v, GFP_KERNEL_ACCOUNT);
	if (!v)
		return NULL;
	v->id = atomic_inc_return(&last_id);
	mutex_init(&v->lock);
	mutex_init(&v->queue_lock);
	INIT_LIST_HEAD(&v->phys);
	INIT_LIST_HEAD(&v->stale_cds);
	xa_init_flags(&v->streams, XA_FLAGS_ACCOUNT);
	smmuv3_phys_update_caps(v);
	return v;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_alloc);

/**
 * smmuv3_vsmmu_create() - Bind a virtual SMMU to a host
 * @v: the vSMMU, both locks held
 * @host: the host; the vSMMU's where it succeeds
 * @s2_hwpt_id: the VMM's own stage-2 parent, or 0
 * @flags: combination of enum smmuv3_accel_create_flags
 *
 * Return: 0, -EBUSY where it is bound already, -ENOMEM.
 */
int smmuv3_vsmmu_create(struct smmuv3_vsmmu *v, struct smmuv3_host *host, u32 s2_hwpt_id,
			u32 flags)
{
	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	if (v->host)
		return -EBUSY;

	v->batch = kvzalloc_obj(*v->batch, GFP_KERNEL_ACCOUNT);
	if (!v->batch)
		return -ENOMEM;
	if (flags & SMMUV3_ACCEL_CREATE_FEED) {
		v->feed_cmds = kvmalloc_objs(*v->feed_cmds, SMMUV3_HOST_MAX_BATCH,
					     GFP_KERNEL_ACCOUNT);
		if (!v->feed_cmds) {
			kvfree(v->batch);
			v->batch = NULL;
			return -ENOMEM;
		}
	}
	v->host = host;
	v->s2_hwpt_id = s2_hwpt_id;
	v->shared_asids = flags & SMMUV3_ACCEL_CREATE_SHARED_ASIDS;
	v->policy = (struct smmuv3_batch_policy){
		.subsume = subsume,
		.merge = merge,
		.no_global = flags & SMMUV3_ACCEL_CREATE_NO_GLOBAL,
		.escalate = escalate,
	};
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_create);

/**
 * smmuv3_vsmmu_change_process() - Hand a virtual SMMU over to the calling process
 * @v: the vSMMU, both locks held
 * @iommufd: the iommufd, as the caller's descriptor
 * @reason: set if it fails
 *
 * The guest's memory is elsewhere in the new address space, so the memory table
 * is forgotten. All else stays, and DMA goes on.
 *
 * Return: 0, also if it is the caller's already, or an errno with nothing changed.
 */
int smmuv3_vsmmu_change_process(struct smmuv3_vsmmu *v, int iommufd, u32 *reason)
{
	enum smmuv3_accel_reason why = SMMUV3_ACCEL_REASON_NONE;
	bool ours = smmuv3_host_reachable(v->host);
	int rc;

	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	rc = v->host->ops->change_process(v->host, iommufd, &why);
	*reason = why;
	if (rc || ours)
		return rc;
	guest_mem_free(&v->mem);
	v->mem = (struct guest_mem){};
	smmuv3_cmdq_locate(v);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_change_process);

static void free_vsmmu(struct smmuv3_vsmmu *v)
{
	if (v->host)
		v->host->ops->close(v->host);
	guest_mem_free(&v->mem);
	kvfree(v->batch);
	kvfree(v->feed_cmds);
	xa_destroy(&v->streams);
	mutex_destroy(&v->lock);
	mutex_destroy(&v->queue_lock);
	kfree(v);
}

/*
 * A parent may live on, and with it the VMID, for the next user of its ASIDs.
 * smmuv3_stream_release_devs() has made this flush pending; if it fails or cannot be made,
 * it stays so.
 */
static void flush_all(struct smmuv3_vsmmu *v)
{
	struct smmuv3_phys *phys;

	/* Nobody else has the vSMMU any more; this is for lockdep. */
	guard(mutex)(&v->queue_lock);
	list_for_each_entry(phys, &v->phys, node)
		if (phys->stream_num)
			smmuv3_phys_flush(v, phys);
}

/* Forget all objects, having destroyed them if the host can be reached. */
static void drop_objects(struct smmuv3_vsmmu *v, bool destroy)
{
	struct smmuv3_phys *phys, *tmp;

	if (destroy)
		flush_all(v);
	smmuv3_stream_drop_all(v, destroy);
	list_for_each_entry_safe(phys, tmp, &v->phys, node) {
		list_del(&phys->node);
		phys_destroy(phys, destroy ? phys->host : NULL);
	}
}

/**
 * smmuv3_vsmmu_close() - Close a virtual SMMU
 * @v: the vSMMU; nobody else may use it any more
 *
 * DMA of all its devices is blocked when this returns and the VFIO files are let
 * go, whoever calls it; nothing of that waits for the VMM. Then its objects are
 * destroyed if the caller is in the VMM's address space; else these, inert now,
 * are left to the VMM's iommufd.
 */
void smmuv3_vsmmu_close(struct smmuv3_vsmmu *v)
{
	if (v->host)
		smmuv3_stream_release_devs(v);
	/* Waits for a read of the file, which may be stuck */
	smmuv3_debugfs_remove(v);
	if (v->host)
		drop_objects(v, smmuv3_host_owned(v->host));
	free_vsmmu(v);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_vsmmu_close);
