// SPDX-License-Identifier: GPL-2.0
/*
 * Stage-2 parents, and which vSMMUs may share them.
 *
 * The host tags TLB entries with the stage-2 parent's VMID and the guest's ASID. Two
 * vSMMUs must not share a parent if they choose their ASIDs independently: each
 * would hit the other's entries. vSMMUs with SMMUV3_ACCEL_CREATE_SHARED_ASIDS may
 * share one. Those of one iommufd and IOAS share the parents that the module
 * allocates.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/slab.h>

#include "compat.h"
#include "parent.h"

/**
 * struct smmuv3_parent - A stage-2 parent in use, the VMM's own or the module's
 * @node: in @parents
 * @owner: smmuv3_host.owner, the context in which @hwpt_id is valid
 * @iommu: the physical SMMU that it is used on; NULL: the host has not accepted it
 *	for one yet
 * @ioas_id: the IOAS that it was allocated from, if @ours
 * @hwpt_id: its ID
 * @users: how many vSMMUs use it; 0: it is being destroyed
 * @shared: all of them have SHARED_ASIDS
 * @ours: the module allocated it, and destroys it with its last user
 * @pending: how many times a flush of its TLB entries became necessary
 * @flushed: value of @pending at the start of the last flush that succeeded. A flush
 *	is pending while the two differ
 */
struct smmuv3_parent {
	struct list_head node;
	const void *owner;
	const void *iommu;
	u32 ioas_id;
	u32 hwpt_id;
	u32 users;
	bool shared;
	bool ours;
	u32 pending;
	u32 flushed;
};

static LIST_HEAD(parents);
static DEFINE_MUTEX(parents_lock);

static struct smmuv3_parent *parent_new(struct smmuv3_vsmmu *v,
					const struct smmuv3_host_dev *dev,
					u32 hwpt_id, bool ours)
{
	struct smmuv3_parent *parent = kzalloc_obj(*parent, GFP_KERNEL_ACCOUNT);

	if (!parent)
		return NULL;
	parent->owner = v->host->owner;
	parent->iommu = ours ? dev->iommu : NULL;
	parent->ioas_id = v->host->ioas_id;
	parent->hwpt_id = hwpt_id;
	parent->users = 1;
	parent->shared = v->shared_asids;
	parent->ours = ours;
	/* A parent supplied by the VMM starts pending: its earlier users are unknown. */
	parent->pending = !ours;
	return parent;
}

static struct smmuv3_parent *parent_find_id(const struct smmuv3_vsmmu *v, u32 hwpt_id)
{
	struct smmuv3_parent *parent;

	lockdep_assert_held(&parents_lock);

	list_for_each_entry(parent, &parents, node)
		if (parent->owner == v->host->owner &&
		    parent->hwpt_id == hwpt_id)
			return parent;
	return NULL;
}

/* Take a parent that the module allocated for a similar vSMMU. */
static struct smmuv3_parent *parent_share(const struct smmuv3_vsmmu *v,
					  const struct smmuv3_host_dev *dev)
{
	struct smmuv3_parent *parent;

	lockdep_assert_held(&parents_lock);

	if (!v->shared_asids)
		return NULL;
	list_for_each_entry(parent, &parents, node) {
		if (parent->ours && parent->shared && parent->users &&
		    parent->owner == v->host->owner &&
		    parent->ioas_id == v->host->ioas_id &&
		    parent->iommu == dev->iommu) {
			parent->users++;
			return parent;
		}
	}
	return NULL;
}

/**
 * smmuv3_parent_named() - Take a parent that the VMM named
 * @v: the vSMMU, @lock held
 * @dev: a device behind the physical SMMU
 * @hwpt_id: the parent's ID
 * @reason: set if it fails
 *
 * Return: the parent, or an ERR_PTR: -EINVAL if it belongs to another physical SMMU;
 * -EBUSY if another vSMMU uses it, is just trying it or is just destroying it;
 * -ENOMEM.
 */
struct smmuv3_parent *smmuv3_parent_named(struct smmuv3_vsmmu *v,
					  const struct smmuv3_host_dev *dev,
					  u32 hwpt_id, u32 *reason)
{
	struct smmuv3_parent *parent, *new;
	int rc = -EBUSY;

	new = parent_new(v, dev, hwpt_id, false);
	if (!new)
		return ERR_PTR(-ENOMEM);
	guard(mutex)(&parents_lock);
	parent = parent_find_id(v, hwpt_id);
	if (!parent) {
		list_add(&new->node, &parents);
		return new;
	}
	kfree(new);
	if (!parent->iommu || !parent->users) {
		*reason = SMMUV3_ACCEL_REASON_RETRY;
	} else if (parent->iommu != dev->iommu) {
		*reason = SMMUV3_ACCEL_REASON_PARENT_REJECTED;
		rc = -EINVAL;
	} else if (!parent->shared || !v->shared_asids) {
		*reason = SMMUV3_ACCEL_REASON_PARENT_IN_USE;
	} else {
		parent->users++;
		return parent;
	}
	return ERR_PTR(rc);
}

/*
 * Destroy a parent that the module allocated. Keep it listed until it is destroyed;
 * otherwise a vSMMU that names the ID meanwhile would take it for the VMM's.
 */
static void parent_destroy(struct smmuv3_parent *parent,
			   struct smmuv3_host *host)
{
	host->ops->destroy(host, SMMUV3_LANE_CONFIG, parent->hwpt_id);
	scoped_guard(mutex, &parents_lock)
		list_del(&parent->node);
	kfree(parent);
}

/**
 * smmuv3_parent_make() - Allocate a parent, or share one that the module allocated
 * @v: the vSMMU, @lock held
 * @dev: a device behind the physical SMMU
 * @reason: set if it fails
 *
 * Return: the parent, or an ERR_PTR with the host's errno, which is -ENOENT if the
 * vSMMU has no IOAS; -EBUSY if another vSMMU has meanwhile taken the new parent for
 * the VMM's own.
 */
struct smmuv3_parent *smmuv3_parent_make(struct smmuv3_vsmmu *v,
					 const struct smmuv3_host_dev *dev,
					 u32 *reason)
{
	struct smmuv3_parent *parent, *new;
	struct smmuv3_host *host = v->host;
	int rc;

	scoped_guard(mutex, &parents_lock) {
		parent = parent_share(v, dev);
		if (parent)
			return parent;
	}

	new = parent_new(v, dev, 0, true);
	if (!new)
		return ERR_PTR(-ENOMEM);
	rc = host->ops->alloc_parent(host, dev->dev_id, &new->hwpt_id);
	if (rc) {
		kfree(new);
		if (rc == -ENOMEM)
			*reason = SMMUV3_ACCEL_REASON_RETRY;
		else if (rc == -ENOENT)
			*reason = SMMUV3_ACCEL_REASON_NO_IOAS;
		return ERR_PTR(rc);
	}

	/* Look again, because the lock was not held during the host call. */
	scoped_guard(mutex, &parents_lock) {
		/*
		 * Another vSMMU may already use the new ID, because the VMM has
		 * named it there. An entry without users is an older parent that
		 * had the ID before and is destroyed by now.
		 */
		parent = parent_find_id(v, new->hwpt_id);
		if (parent && parent->users) {
			parent->ours = true;
			parent->ioas_id = host->ioas_id;
			kfree(new);
			*reason = SMMUV3_ACCEL_REASON_RETRY;
			return ERR_PTR(-EBUSY);
		}
		/* Another vSMMU may have listed one in the meantime. */
		parent = parent_share(v, dev);
		new->users = !parent;
		list_add(&new->node, &parents);
	}
	if (!parent)
		return new;
	parent_destroy(new, host);
	return parent;
}

/**
 * smmuv3_parent_fits() - Record that the host accepted a parent for an SMMU
 * @parent: the parent
 * @dev: a device behind the physical SMMU
 */
void smmuv3_parent_fits(struct smmuv3_parent *parent,
			const struct smmuv3_host_dev *dev)
{
	guard(mutex)(&parents_lock);
	parent->iommu = dev->iommu;
}

/**
 * smmuv3_parent_pending() - Whether a flush of a parent's TLB entries is pending
 * @parent: the parent
 * @ticket: set, for smmuv3_parent_flushed()
 *
 * Return: true if the next user could hit entries of an earlier one.
 */
bool smmuv3_parent_pending(struct smmuv3_parent *parent, u32 *ticket)
{
	guard(mutex)(&parents_lock);
	*ticket = parent->pending;
	return parent->pending != parent->flushed;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_parent_pending);

/**
 * smmuv3_parent_flushed() - Record that a flush of a parent's TLB entries succeeded
 * @parent: the parent
 * @ticket: from smmuv3_parent_pending(), before the flush. Flushes that became
 *	pending since then stay pending
 */
void smmuv3_parent_flushed(struct smmuv3_parent *parent, u32 ticket)
{
	guard(mutex)(&parents_lock);
	if ((s32)(ticket - parent->flushed) > 0)
		parent->flushed = ticket;
}

/**
 * smmuv3_parent_set_pending() - Make a flush of a parent's TLB entries pending
 * @parent: the parent
 */
void smmuv3_parent_set_pending(struct smmuv3_parent *parent)
{
	guard(mutex)(&parents_lock);
	parent->pending++;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_parent_set_pending);

/**
 * smmuv3_parent_put() - Release a parent
 * @parent: the parent
 * @host: the host; NULL: it cannot be reached, so leave the parent to the VMM's
 *	iommufd
 *
 * The last user's release destroys a parent that the module allocated.
 */
void smmuv3_parent_put(struct smmuv3_parent *parent, struct smmuv3_host *host)
{
	scoped_guard(mutex, &parents_lock) {
		if (--parent->users)
			return;
		if (!parent->ours || !host) {
			list_del(&parent->node);
			kfree(parent);
			return;
		}
	}
	parent_destroy(parent, host);
}

/**
 * smmuv3_parent_id() - A parent's ID at the host
 * @parent: the parent
 *
 * Return: the HWPT ID.
 */
u32 smmuv3_parent_id(const struct smmuv3_parent *parent)
{
	return parent->hwpt_id;
}

/**
 * smmuv3_parent_is_named() - Whether the VMM allocated a parent
 * @parent: the parent
 *
 * Return: true if it did, false if the module did.
 */
bool smmuv3_parent_is_named(struct smmuv3_parent *parent)
{
	guard(mutex)(&parents_lock);
	return !parent->ours;
}
