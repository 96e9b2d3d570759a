// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SMMU: its lifetime, its physical SMMUs and their stage-2 parents.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "arch.h"
#include "smmuv3-accel.h"

/*
 * The host tags TLB entries with the stage-2 parent's VMID and the guest's
 * ASID. Two vSMMUs whose guests number their ASIDs each for themselves must
 * therefore never share a parent, or each would hit the other's entries. Lists
 * every parent in use, the VMMs' and our own.
 */
static LIST_HEAD(parents);
static DEFINE_MUTEX(parents_lock);

static struct workqueue_struct *close_wq;

static int parent_claim(struct vsmmu_phys *phys)
{
	struct vsmmu_phys *other;

	guard(mutex)(&parents_lock);
	list_for_each_entry(other, &parents, parent_node)
		if (other->host->owner == phys->host->owner &&
		    other->s2_hwpt_id == phys->s2_hwpt_id)
			return -EBUSY;
	list_add(&phys->parent_node, &parents);
	return 0;
}

static void parent_release(struct vsmmu_phys *phys)
{
	guard(mutex)(&parents_lock);
	list_del_init(&phys->parent_node);
}

/* The stage-2 parent: the VMM's own for the first physical SMMU, else a new one. */
static int phys_take_parent(struct vsmmu *v, struct vsmmu_phys *phys, u32 dev_id,
			    u32 *reason)
{
	int rc;

	if (v->s2_hwpt_id && !v->phys_num) {
		phys->s2_hwpt_id = v->s2_hwpt_id;
	} else {
		rc = v->host->ops->alloc_parent(v->host, dev_id,
						&phys->s2_hwpt_id);
		if (rc) {
			*reason = rc == -ENOMEM ?
					  SMMUV3_ACCEL_REASON_RETRY :
					  SMMUV3_ACCEL_REASON_PARENT_REJECTED;
			return rc;
		}
		phys->s2_is_ours = true;
	}

	rc = parent_claim(phys);
	if (rc)
		*reason = SMMUV3_ACCEL_REASON_PARENT_IN_USE;
	return rc;
}

static void phys_free(struct vsmmu_phys *phys)
{
	parent_release(phys);
	kfree(phys);
}

/* Whatever of a physical SMMU exists: the abort path is the destroy path. */
static void phys_destroy(struct vsmmu_phys *phys)
{
	struct smmuv3_host *host = phys->host;
	u32 ids[] = { phys->bypass_hwpt_id, phys->abort_hwpt_id,
		      phys->viommu_id, phys->s2_is_ours ? phys->s2_hwpt_id : 0 };
	int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i])
			host->ops->destroy(host, SMMUV3_LANE_CONFIG, ids[i]);
	phys_free(phys);
}

static int phys_alloc_objects(struct vsmmu_phys *phys, u32 dev_id, u32 *reason)
{
	static const u64 abort_ste[2] = { STE_0_V };
	static const u64 bypass_ste[2] = {
		STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, STE_CONFIG_BYPASS),
	};
	struct smmuv3_host *host = phys->host;
	int rc;

	rc = host->ops->alloc_viommu(host, dev_id, phys->s2_hwpt_id,
				     &phys->viommu_id);
	if (rc == -EOPNOTSUPP)
		*reason = SMMUV3_ACCEL_REASON_NO_NESTING;
	else if (rc == -EINVAL || rc == -ENOENT)
		*reason = SMMUV3_ACCEL_REASON_PARENT_REJECTED;
	if (rc)
		return rc;
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
				      struct smmuv3_host_dev *dev, u32 *reason)
{
	struct smmuv3_host *host = v->host;
	struct vsmmu_phys *phys;
	int rc;

	phys = kzalloc_obj(*phys, GFP_KERNEL_ACCOUNT);
	if (!phys)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&phys->node);
	INIT_LIST_HEAD(&phys->parent_node);
	phys->host = host;
	phys->iommu = dev->iommu;
	phys->index = v->phys_num;

	rc = host->ops->hw_info(host, dev->dev_id, &phys->info);
	if (rc) {
		if (rc == -EOPNOTSUPP)
			*reason = SMMUV3_ACCEL_REASON_NOT_SMMUV3;
		goto err_destroy;
	}
	if (!smmuv3_idr_can_nest(phys->info.idr, dev->canwbs)) {
		*reason = SMMUV3_ACCEL_REASON_NO_NESTING;
		rc = -EOPNOTSUPP;
		goto err_destroy;
	}
	smmuv3_caps_from_idr(&phys->caps, phys->info.idr);
	/* As for the host driver, ATS is there only where the kernel has it. */
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		phys->caps.ats = false;

	rc = phys_take_parent(v, phys, dev->dev_id, reason);
	if (!rc)
		rc = phys_alloc_objects(phys, dev->dev_id, reason);
	if (rc)
		goto err_destroy;
	return phys;

err_destroy:
	phys_destroy(phys);
	return ERR_PTR(rc);
}

/**
 * vsmmu_phys_get() - Find or make the physical SMMU that a device is behind
 * @v: the vSMMU, @lock held
 * @dev: the device
 * @reason: set where it fails
 *
 * Return: the physical SMMU, for vsmmu_phys_publish() or vsmmu_phys_put(), or
 * an ERR_PTR.
 */
struct vsmmu_phys *vsmmu_phys_get(struct vsmmu *v, struct smmuv3_host_dev *dev,
				  u32 *reason)
{
	struct vsmmu_phys *phys;

	lockdep_assert_held(&v->lock);

	list_for_each_entry(phys, &v->phys, node)
		if (phys->iommu == dev->iommu)
			return phys;
	return phys_create(v, dev, reason);
}

/**
 * vsmmu_phys_put() - Undo vsmmu_phys_get() where the attach failed
 * @phys: the physical SMMU, destroyed if it was made for that attach
 */
void vsmmu_phys_put(struct vsmmu_phys *phys)
{
	if (list_empty(&phys->node))
		phys_destroy(phys);
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
	if (v->phys_num++) {
		/* ATC_INV is for one stream, so it is enough if that one's has it. */
		bool ats = v->caps.ats || phys->caps.ats;

		smmuv3_caps_meet(&v->caps, &phys->caps);
		v->caps.ats = ats;
	} else {
		v->caps = phys->caps;
	}
	list_add_tail(&phys->node, &v->phys);
}

static bool phys_wants_repeat(const struct vsmmu_phys *phys)
{
	return phys->info.flags &
	       IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI;
}

/**
 * vsmmu_invalidate_phys() - Have a physical SMMU carry out commands
 * @phys: the physical SMMU
 * @cmds: validated commands that need no order among them
 * @num: how many, up to %SMMUV3_HOST_MAX_BATCH
 * @repeat: they are TLBIs or CFGIs, to be issued twice with erratum
 *	T264-SMMU-3, the second time after the first has returned
 *
 * After an error the host counts commands as done that it never issued, so a
 * batch is never resumed but replayed whole, once. Not where the host timed
 * out: it would for as long again, with interrupts off.
 *
 * Return: 0 or the host's errno.
 */
int vsmmu_invalidate_phys(struct vsmmu_phys *phys, const __le64 (*cmds)[2],
			  u32 num, bool repeat)
{
	struct smmuv3_host *host = phys->host;
	int times = repeat && phys_wants_repeat(phys) ? 2 : 1;
	int rc = 0;

	while (!rc && times--) {
		rc = host->ops->invalidate(host, phys->viommu_id, cmds, num);
		if (rc && rc != -ETIMEDOUT)
			rc = host->ops->invalidate(host, phys->viommu_id, cmds,
						   num);
	}
	return rc;
}

/**
 * vsmmu_alloc() - Make a virtual SMMU that is not bound to a host yet
 *
 * Return: the vSMMU, to be closed by vsmmu_close(), or NULL.
 */
struct vsmmu *vsmmu_alloc(void)
{
	struct vsmmu *v;

	v = kzalloc_obj(*v, GFP_KERNEL_ACCOUNT);
	if (!v)
		return NULL;
	mutex_init(&v->lock);
	mutex_init(&v->queue_lock);
	INIT_LIST_HEAD(&v->phys);
	xa_init_flags(&v->streams, XA_FLAGS_ACCOUNT);
	return v;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_alloc);

static void vsmmu_free_buffers(struct vsmmu *v)
{
	kvfree(v->snapshot);
	kvfree(v->tags);
	kvfree(v->stage);
	v->snapshot = NULL;
	v->tags = NULL;
	v->stage = NULL;
}

/**
 * vsmmu_create() - Bind a virtual SMMU to a host
 * @v: the vSMMU, @lock held
 * @host: the host; the vSMMU's where it succeeds
 * @s2_hwpt_id: stage-2 parent for the first physical SMMU, or 0
 *
 * Return: 0, -EBUSY where it is bound already, -ENOMEM.
 */
int vsmmu_create(struct vsmmu *v, struct smmuv3_host *host, u32 s2_hwpt_id)
{
	lockdep_assert_held(&v->lock);

	if (v->host)
		return -EBUSY;

	v->snapshot = kvmalloc_array(SMMUV3_HOST_MAX_BATCH,
				     sizeof(*v->snapshot), GFP_KERNEL_ACCOUNT);
	v->tags = kvmalloc_array(SMMUV3_HOST_MAX_BATCH, sizeof(*v->tags),
				 GFP_KERNEL_ACCOUNT);
	v->stage = kvmalloc_array(SMMUV3_HOST_MAX_BATCH, sizeof(*v->stage),
				  GFP_KERNEL_ACCOUNT);
	if (!v->snapshot || !v->tags || !v->stage) {
		vsmmu_free_buffers(v);
		return -ENOMEM;
	}
	guard(mutex)(&v->queue_lock);
	v->host = host;
	v->s2_hwpt_id = s2_hwpt_id;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_create);

/**
 * vsmmu_uncreate() - Undo vsmmu_create() and close the host
 * @v: the vSMMU, @lock held; left alone if it is in use already
 */
void vsmmu_uncreate(struct vsmmu *v)
{
	lockdep_assert_held(&v->lock);

	guard(mutex)(&v->queue_lock);
	if (v->phys_num)
		return;
	v->host->ops->close(v->host);
	v->host = NULL;
	vsmmu_free_buffers(v);
}

/**
 * vsmmu_check() - Whether an ioctl can be served
 * @v: the vSMMU, one of its locks held
 * @reason: set where it cannot
 *
 * Return: 0, -ENXIO before SMMUV3_ACCEL_CREATE, -EIO from a foreign address
 * space.
 */
int vsmmu_check(struct vsmmu *v, u32 *reason)
{
	if (!v->host)
		return -ENXIO;
	if (!v->host->ops->reachable(v->host)) {
		*reason = SMMUV3_ACCEL_REASON_FOREIGN_MM;
		return -EIO;
	}
	return 0;
}

static void vsmmu_free(struct vsmmu *v)
{
	if (v->host)
		v->host->ops->close(v->host);
	vsmmu_free_buffers(v);
	xa_destroy(&v->streams);
	mutex_destroy(&v->lock);
	mutex_destroy(&v->queue_lock);
	kfree(v);
}

/* Forget all objects, having destroyed them where the host can be reached. */
static void vsmmu_drop(struct vsmmu *v, bool destroy)
{
	struct vsmmu_phys *phys, *tmp;

	vsmmu_drop_streams(v, destroy);
	list_for_each_entry_safe(phys, tmp, &v->phys, node) {
		list_del(&phys->node);
		if (destroy)
			phys_destroy(phys);
		else
			phys_free(phys);
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
		if (!host->ops->reachable(host) && !host->ops->gone(host)) {
			INIT_WORK(&v->close_work, vsmmu_close_work);
			queue_work(close_wq, &v->close_work);
			return;
		}
		vsmmu_drop(v, host->ops->reachable(host));
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
