// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SMMU: its lifetime and its physical SMMUs.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/atomic.h>
#include <linux/mm.h>
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

static struct workqueue_struct *close_wq;

/*
 * Whatever of a physical SMMU exists: the abort path is the destroy path. @host:
 * NULL where it cannot be reached.
 */
static void phys_destroy(struct vsmmu_phys *phys, struct smmuv3_host *host)
{
	u32 ids[] = { phys->bypass_hwpt_id, phys->abort_hwpt_id,
		      phys->viommu_id };
	int i;

	for (i = 0; host && i < ARRAY_SIZE(ids); i++)
		if (ids[i])
			host->ops->destroy(host, SMMUV3_LANE_CONFIG, ids[i]);
	if (phys->parent)
		vsmmu_parent_put(phys->parent, host, phys->unflushed);
	kfree(phys);
}

/* On a parent, which is the physical SMMU's where it succeeds */
static int phys_alloc_viommu(struct vsmmu_phys *phys,
			     const struct smmuv3_host_dev *dev,
			     struct vsmmu_parent *parent)
{
	struct smmuv3_host *host = phys->host;
	int rc;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	rc = host->ops->alloc_viommu(host, dev->dev_id,
				     vsmmu_parent_id(parent), &phys->viommu_id);
	if (rc) {
		vsmmu_parent_put(parent, host, false);
		return rc;
	}
	phys->parent = parent;
	phys->unflushed = vsmmu_parent_fits(parent, dev);
	return 0;
}

/*
 * The VMM's own parent is taken where it fits; the host refuses it with EINVAL
 * on a physical SMMU for which it was not made.
 */
static int phys_take_parent(struct vsmmu *v, struct vsmmu_phys *phys,
			    const struct smmuv3_host_dev *dev, u32 *reason)
{
	struct vsmmu_parent *parent = NULL;
	int rc = -EINVAL;

	if (v->s2_hwpt_id)
		parent = vsmmu_parent_named(v, dev, reason);
	if (parent)
		rc = phys_alloc_viommu(phys, dev, parent);
	if (rc == -EINVAL)
		rc = phys_alloc_viommu(phys, dev,
				       vsmmu_parent_make(v, dev, reason));
	if (*reason)
		return rc;
	if (rc == -EOPNOTSUPP)
		*reason = SMMUV3_ACCEL_REASON_NO_NESTING;
	else if (rc == -EINVAL || rc == -ENOENT)
		*reason = SMMUV3_ACCEL_REASON_PARENT_REJECTED;
	return rc;
}

static int phys_alloc_nested(struct vsmmu_phys *phys, u32 dev_id)
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

static struct vsmmu_phys *phys_create(struct vsmmu *v,
				      struct smmuv3_host_dev *dev,
				      struct vsmmu_refusal *why)
{
	struct smmuv3_host *host = v->host;
	struct vsmmu_phys *phys;
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
 * vsmmu_phys_get() - Find or make the physical SMMU that a device is behind
 * @v: the vSMMU, @lock held
 * @dev: the device
 * @why: set where it fails
 *
 * Return: the physical SMMU, for vsmmu_phys_publish() or vsmmu_phys_put(), or
 * an ERR_PTR.
 */
struct vsmmu_phys *vsmmu_phys_get(struct vsmmu *v, struct smmuv3_host_dev *dev,
				  struct vsmmu_refusal *why)
{
	struct vsmmu_phys *phys;

	lockdep_assert_held(&v->lock);

	list_for_each_entry(phys, &v->phys, node)
		if (phys->iommu == dev->iommu)
			return phys;
	return phys_create(v, dev, why);
}

/**
 * vsmmu_phys_put() - Undo vsmmu_phys_get() where the attach failed
 * @phys: the physical SMMU, destroyed if it was made for that attach
 */
void vsmmu_phys_put(struct vsmmu_phys *phys)
{
	if (list_empty(&phys->node))
		phys_destroy(phys, phys->host);
}

static void vsmmu_update_caps(struct vsmmu *v)
{
	struct vsmmu_phys *phys;

	if (v->idr_set)
		smmuv3_caps_from_idr(&v->caps, v->idr);
	list_for_each_entry(phys, &v->phys, node) {
		if (v->idr_set)
			break;
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
 * vsmmu_phys_publish() - Make a physical SMMU one of the vSMMU's
 * @v: the vSMMU, both locks held
 * @phys: from vsmmu_phys_get(); lives until close from now on, because a
 *	vEVENTQ of the VMM's may hang on its vIOMMU
 */
void vsmmu_phys_publish(struct vsmmu *v, struct vsmmu_phys *phys)
{
	lockdep_assert_held(&v->lock);
	lockdep_assert_held(&v->queue_lock);

	if (!list_empty(&phys->node))
		return;
	list_add_tail(&phys->node, &v->phys);
	v->phys_num++;
	vsmmu_update_caps(v);
}

/**
 * vsmmu_set_idr() - Set what the guest is offered
 * @v: the vSMMU, @lock held
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @why: set where it fails
 *
 * Return: 0, -EOPNOTSUPP, -EBUSY where it is too late.
 */
int vsmmu_set_idr(struct vsmmu *v, const u32 idr[6], struct vsmmu_refusal *why)
{
	struct vsmmu_phys *phys;

	lockdep_assert_held(&v->lock);

	guard(mutex)(&v->queue_lock);
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
	vsmmu_update_caps(v);
	vsmmu_find_cmdq(v);
	return 0;

refuse:
	why->reason = SMMUV3_ACCEL_REASON_IDR;
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_set_idr);

/**
 * vsmmu_flush_phys() - Flush a physical SMMU's TLBs of all that is the guest's
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 *
 * Return: 0 or the host's errno.
 */
int vsmmu_flush_phys(struct vsmmu *v, struct vsmmu_phys *phys)
{
	const __le64 flush[][2] = { { cpu_to_le64(CMD_TLBI_NH_ALL), 0 } };

	return vsmmu_invalidate_phys(v, phys, flush, NULL, ARRAY_SIZE(flush),
				     true);
}

/**
 * vsmmu_alloc() - Make a virtual SMMU that is not bound to a host yet
 *
 * Return: the vSMMU, to be closed by vsmmu_close(), or NULL.
 */
struct vsmmu *vsmmu_alloc(void)
{
	static atomic_t last_id;
	struct vsmmu *v;

	v = kzalloc_obj(*v, GFP_KERNEL_ACCOUNT);
	if (!v)
		return NULL;
	v->id = atomic_inc_return(&last_id);
	mutex_init(&v->lock);
	mutex_init(&v->queue_lock);
	INIT_LIST_HEAD(&v->phys);
	INIT_LIST_HEAD(&v->stale_cds);
	xa_init_flags(&v->streams, XA_FLAGS_ACCOUNT);
	vsmmu_update_caps(v);
	return v;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_alloc);

/**
 * vsmmu_create() - Bind a virtual SMMU to a host
 * @v: the vSMMU, @lock held
 * @host: the host; the vSMMU's where it succeeds
 * @s2_hwpt_id: the VMM's own stage-2 parent, or 0
 * @flags: combination of enum smmuv3_accel_create_flags
 *
 * Return: 0, -EBUSY where it is bound already, -ENOMEM.
 */
int vsmmu_create(struct vsmmu *v, struct smmuv3_host *host, u32 s2_hwpt_id,
		 u32 flags)
{
	lockdep_assert_held(&v->lock);

	if (v->host)
		return -EBUSY;

	v->batch = kvzalloc_obj(*v->batch, GFP_KERNEL_ACCOUNT);
	if (!v->batch)
		return -ENOMEM;
	if (flags & SMMUV3_ACCEL_CREATE_ALLOW_EMULATED) {
		v->soft = kvmalloc_objs(*v->soft, SMMUV3_HOST_MAX_BATCH,
					GFP_KERNEL_ACCOUNT);
		if (!v->soft) {
			kvfree(v->batch);
			v->batch = NULL;
			return -ENOMEM;
		}
	}
	guard(mutex)(&v->queue_lock);
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
EXPORT_SYMBOL_IF_KUNIT(vsmmu_create);

/**
 * vsmmu_uncreate() - Undo vsmmu_create() and close the host
 * @v: the vSMMU, @lock held, without a physical SMMU and without streams
 */
void vsmmu_uncreate(struct vsmmu *v)
{
	lockdep_assert_held(&v->lock);

	guard(mutex)(&v->queue_lock);
	v->host->ops->close(v->host);
	v->host = NULL;
	kvfree(v->batch);
	v->batch = NULL;
	kvfree(v->soft);
	v->soft = NULL;
}

/**
 * vsmmu_change_process() - Hand a virtual SMMU over to the calling process
 * @v: the vSMMU, @lock held
 *
 * The guest's memory is elsewhere in the new address space, so the memory table
 * is forgotten. All else stays, and DMA goes on.
 *
 * Return: 0, where it is the caller's already too, or an errno with nothing
 * changed: -EINTR, as the process before may keep the lock for long, -ENOMEM,
 * -EFAULT.
 */
int vsmmu_change_process(struct vsmmu *v)
{
	int rc;

	lockdep_assert_held(&v->lock);

	ACQUIRE(mutex_intr, queue_lock)(&v->queue_lock);
	if (ACQUIRE_ERR(mutex_intr, &queue_lock))
		return -EINTR;
	if (smmuv3_host_reachable(v->host))
		return 0;
	rc = v->host->ops->change_process(v->host);
	if (rc)
		return rc;
	guest_mem_free(&v->mem);
	v->mem = (struct guest_mem){};
	vsmmu_find_cmdq(v);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_change_process);

static void vsmmu_free(struct vsmmu *v)
{
	if (v->host)
		v->host->ops->close(v->host);
	guest_mem_free(&v->mem);
	kvfree(v->batch);
	kvfree(v->soft);
	xa_destroy(&v->streams);
	mutex_destroy(&v->lock);
	mutex_destroy(&v->queue_lock);
	kfree(v);
}

/*
 * A parent may live on, and with it the VMID, for the next user of its ASIDs.
 * What cannot be flushed is the parent's to remember.
 */
static void vsmmu_flush(struct vsmmu *v, bool reachable)
{
	struct vsmmu_phys *phys;

	guard(mutex)(&v->queue_lock);
	list_for_each_entry(phys, &v->phys, node)
		if (phys->stream_num || phys->unflushed)
			phys->unflushed = !reachable ||
					  vsmmu_flush_phys(v, phys);
}

/* Forget all objects, having destroyed them where the host can be reached. */
static void vsmmu_drop(struct vsmmu *v, bool destroy)
{
	struct vsmmu_phys *phys, *tmp;

	vsmmu_flush(v, destroy);
	vsmmu_drop_streams(v, destroy);
	list_for_each_entry_safe(phys, tmp, &v->phys, node) {
		list_del(&phys->node);
		phys_destroy(phys, destroy ? phys->host : NULL);
	}
}

static void vsmmu_close_work(struct work_struct *work)
{
	struct vsmmu *v = container_of(work, struct vsmmu, close_work);
	struct smmuv3_host *host = v->host;

	if (host->ops->enter(host)) {
		vsmmu_drop(v, false);
	} else {
		vsmmu_drop(v, true);
		host->ops->leave(host);
	}
	vsmmu_free(v);
}

/**
 * vsmmu_close() - Close a virtual SMMU
 * @v: the vSMMU; nobody else may use it any more
 *
 * DMA of all its devices is blocked when this returns, whoever calls it. Its
 * objects are destroyed at once where the VMM's address space is at hand, else
 * by a work item if it still exists, else with the VMM's iommufd.
 */
void vsmmu_close(struct vsmmu *v)
{
	struct smmuv3_host *host = v->host;

	if (host) {
		vsmmu_block_streams(v);
		if (!smmuv3_host_reachable(host) && !host->ops->gone(host)) {
			INIT_WORK(&v->close_work, vsmmu_close_work);
			queue_work(close_wq, &v->close_work);
			return;
		}
		vsmmu_drop(v, smmuv3_host_reachable(host));
	}
	vsmmu_free(v);
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_close);

/**
 * smmuv3_vsmmu_init() - Prepare what all virtual SMMUs share
 *
 * Return: 0 or -ENOMEM.
 */
int smmuv3_vsmmu_init(void)
{
	close_wq = alloc_workqueue("smmuv3-accel", WQ_UNBOUND, 0);
	return close_wq ? 0 : -ENOMEM;
}

/**
 * smmuv3_vsmmu_exit() - Wait for what is still being destroyed
 */
void smmuv3_vsmmu_exit(void)
{
	destroy_workqueue(close_wq);
}
