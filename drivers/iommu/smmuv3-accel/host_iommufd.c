// SPDX-License-Identifier: GPL-2.0
/*
 * The host's IOMMU through iommufd and VFIO, without changes to either.
 *
 * iommufd exports no function to allocate a vIOMMU, a vDEVICE or a nested HWPT, or to
 * invalidate. So the module calls the ioctls of the iommufd file that the VMM has, with
 * arguments in a scratch mapping in the VMM's address space. This can do nothing that
 * the VMM could not do itself with the same descriptors.
 *
 * The scratch mapping consists of pages that belong to the module. It accesses them by
 * their kernel address, so it never waits for the VMM's memory. Only iommufd uses the
 * VMM's address. If a VMM writes there, or maps something else there during a call,
 * it harms only itself: the module reads back IDs, which it passes only to iommufd,
 * and ID registers, which matter only to the VMM's own guest.
 *
 * Attaching and detaching a device go through its struct vfio_device and need no user
 * memory, so DMA can be blocked in any context.
 */
#include <linux/anon_inodes.h>
#include <linux/cdev.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "arch.h"
#include "batch.h"
#include "compat.h"
#include "host.h"

/*
 * Layout of a lane's scratch mapping: a struct and the data that it points to. The
 * queue's lane also has a struct prepared for invalidations, and their commands.
 */
#define SCRATCH_DATA	512
#define SCRATCH_INV	1024
#define SCRATCH_CMDS	SZ_4K

static const size_t scratch_size[SMMUV3_LANE_NUM] = {
	[SMMUV3_LANE_CONFIG] = PAGE_ALIGN(SCRATCH_CMDS),
	[SMMUV3_LANE_QUEUE] = PAGE_ALIGN(SCRATCH_CMDS + SMMUV3_HOST_MAX_BATCH *
							sizeof(__le64[2])),
};

/**
 * struct scratch - The pages of a scratch mapping; freed with its file
 * @kaddr: their kernel address
 * @size: their size in bytes
 * @vmas: how many times they are mapped; 0: not at all, or the VMM has unmapped them
 */
struct scratch {
	void *kaddr;
	size_t size;
	atomic_t vmas;
};

/**
 * struct host_lane - A lane's scratch mapping
 * @file: the file that is mapped, an anonymous inode; owns @scratch
 * @scratch: its pages
 * @addr: their address in the VMM, if they are mapped
 */
struct host_lane {
	struct file *file;
	struct scratch *scratch;
	unsigned long addr;
};

/**
 * struct host_iommufd - A VMM's iommufd
 * @host: base. Its mm is held by mmgrab(), so the address space may be gone
 * @file: the iommufd
 * @ictx: its context; @file keeps it alive
 * @lanes: the scratch mappings
 */
struct host_iommufd {
	struct smmuv3_host host;
	struct file *file;
	struct iommufd_ctx *ictx;
	struct host_lane lanes[SMMUV3_LANE_NUM];
};

/**
 * struct host_vfio_dev - A VFIO device
 * @dev: base
 * @file: the cdev file that bound it; keeps it bound
 * @vdev: the device
 * @domain: the domain after the module's last attach or detach. Only compared,
 *	because it may be freed by now
 */
struct host_vfio_dev {
	struct smmuv3_host_dev dev;
	struct file *file;
	struct vfio_device *vdev;
	const struct iommu_domain *domain;
};

static struct host_iommufd *to_iommufd(struct smmuv3_host *host)
{
	return container_of(host, struct host_iommufd, host);
}

static struct host_vfio_dev *to_vfio(struct smmuv3_host_dev *dev)
{
	return container_of(dev, struct host_vfio_dev, dev);
}

static void scratch_vma_open(struct vm_area_struct *vma)
{
	struct scratch *scratch = vma->vm_private_data;

	atomic_inc(&scratch->vmas);
}

/* mremap() calls this too, for a copy of the VMA, after scratch_vma_mremap() fails. */
static void scratch_vma_close(struct vm_area_struct *vma)
{
	struct scratch *scratch = vma->vm_private_data;

	atomic_dec(&scratch->vmas);
}

static int scratch_vma_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int scratch_vma_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static int scratch_vma_mprotect(struct vm_area_struct *vma, unsigned long start,
				unsigned long end, unsigned long newflags)
{
	return -EACCES;
}

/* Also called after the VMM has dropped the pages from its page tables by madvise(). */
static vm_fault_t scratch_vma_fault(struct vm_fault *vmf)
{
	struct scratch *scratch = vmf->vma->vm_private_data;
	struct page *page;

	if (vmf->pgoff >= scratch->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	page = vmalloc_to_page(scratch->kaddr + (vmf->pgoff << PAGE_SHIFT));
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct scratch_vm_ops = {
	.open = scratch_vma_open,
	.close = scratch_vma_close,
	.may_split = scratch_vma_may_split,
	.mremap = scratch_vma_mremap,
	.mprotect = scratch_vma_mprotect,
	.fault = scratch_vma_fault,
};

static int scratch_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct scratch *scratch = file->private_data;

	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != scratch->size ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/*
	 * VM_DONTCOPY: a forked child must not write its parent's arguments. VM_IO
	 * keeps the VMM from clearing that flag, and userfaultfd from delaying
	 * access to a page.
	 */
	vm_flags_set(vma, VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &scratch_vm_ops;
	vma->vm_private_data = scratch;
	atomic_inc(&scratch->vmas);
	return 0;
}

static void scratch_free(struct scratch *scratch)
{
	vfree(scratch->kaddr);
	kfree(scratch);
}

static int scratch_release(struct inode *inode, struct file *file)
{
	scratch_free(file->private_data);
	return 0;
}

/*
 * The scratch mapping has its own file, because a mapping holds its file: a mapping of
 * the accel file would delay the release of that file until the VMM ends.
 */
static const struct file_operations scratch_fops = {
	.owner = THIS_MODULE,
	.mmap = scratch_mmap,
	.release = scratch_release,
};

static int lane_open(struct host_lane *lane, size_t size)
{
	struct scratch *scratch;
	struct file *file;

	scratch = kzalloc_obj(*scratch, GFP_KERNEL_ACCOUNT);
	if (!scratch)
		return -ENOMEM;
	scratch->size = size;
	scratch->kaddr = __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!scratch->kaddr) {
		kfree(scratch);
		return -ENOMEM;
	}
	file = anon_inode_getfile("[smmuv3-accel]", &scratch_fops, scratch,
				  O_RDWR);
	if (IS_ERR(file)) {
		scratch_free(scratch);
		return PTR_ERR(file);
	}
	*lane = (struct host_lane){ .file = file, .scratch = scratch };
	return 0;
}

static bool lane_is_mapped(const struct host_lane *lane)
{
	return atomic_read(&lane->scratch->vmas);
}

/*
 * Map a lane's scratch pages that are not mapped: at first, and after the VMM has
 * unmapped them. vm_mmap() returns -EAGAIN if mlockall(MCL_FUTURE) is in force and
 * RLIMIT_MEMLOCK leaves no room.
 */
static noinline int lane_map(struct host_lane *lane)
{
	unsigned long addr;

	addr = vm_mmap(lane->file, 0, lane->scratch->size,
		       PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr))
		return addr == -EAGAIN ? -ENOMEM : addr;
	lane->addr = addr;
	return 0;
}

static void *lane_kaddr(const struct host_lane *lane, size_t offset)
{
	return lane->scratch->kaddr + offset;
}

static void __user *lane_uaddr(const struct host_lane *lane, size_t offset)
{
	return (void __user *)(lane->addr + offset);
}

/* Open and map all lanes in the calling process. */
static int lanes_open(struct host_lane lanes[SMMUV3_LANE_NUM])
{
	int i, rc;

	for (i = 0; i < SMMUV3_LANE_NUM; i++) {
		rc = lane_open(&lanes[i], scratch_size[i]);
		if (rc)
			return rc;
		rc = lane_map(&lanes[i]);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Close all lanes. @unmap: also unmap their pages from the calling process, if they
 * are still mapped.
 */
static void lanes_close(struct host_lane lanes[SMMUV3_LANE_NUM], bool unmap)
{
	int i;

	for (i = 0; i < SMMUV3_LANE_NUM; i++) {
		if (!lanes[i].file)
			continue;
		if (unmap && lane_is_mapped(&lanes[i]))
			vm_munmap(lanes[i].addr, lanes[i].scratch->size);
		fput(lanes[i].file);
	}
}

/*
 * If an object is busy, try to destroy it again after 10 us, 20 us and so on up to
 * 1280 us, 33 ms in all. A task that is being killed does not wait, because its iommufd
 * is probably about to be closed too.
 */
#define DESTROY_TRIES	32
#define DESTROY_WAIT_US(i)	(10 << min(i, 7))

/*
 * ENOENT means here that the VMM has destroyed an object of the module. The caller
 * did not name the object, so do not return ENOENT to it.
 */
static int object_error(int rc)
{
	return rc == -ENOENT ? -EIO : rc;
}

/*
 * EOPNOTSUPP of a vIOMMU that could do it means that the VMM has destroyed the vIOMMU,
 * and that another object has its ID by now.
 */
static int viommu_error(int rc)
{
	return rc == -EOPNOTSUPP ? -EIO : object_error(rc);
}

/* Prepare the call for invalidations in the queue's lane, which is mapped. */
static void prepare_call(struct host_iommufd *h)
{
	const struct host_lane *lane = &h->lanes[SMMUV3_LANE_QUEUE];
	struct iommu_hwpt_invalidate *inv = lane_kaddr(lane, SCRATCH_INV);

	*inv = (struct iommu_hwpt_invalidate){
		.size = sizeof(*inv),
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};
	h->host.call = (struct smmuv3_host_call){
		.inv = inv,
		.mapped = &lane->scratch->vmas,
		.file = h->file,
		.arg = lane_uaddr(lane, SCRATCH_INV),
	};
}

/*
 * Prepare a lane for a call. Its struct, at offset 0, and the data that this points to,
 * at SCRATCH_DATA, are written after that, and then lane_ioctl() makes the call.
 */
static __always_inline int lane_begin(struct host_iommufd *h, struct host_lane *lane)
{
	int rc;

	if (!smmuv3_host_reachable(&h->host))
		return -EIO;
	if (likely(lane_is_mapped(lane)))
		return 0;
	rc = lane_map(lane);
	if (!rc && lane == &h->lanes[SMMUV3_LANE_QUEUE])
		prepare_call(h);
	return rc;
}

static __always_inline int lane_ioctl(const struct host_lane *lane, struct file *file,
				      unsigned int cmd)
{
	return smmuv3_file_ioctl(file, cmd, lane_uaddr(lane, 0));
}

static void host_iommufd_close(struct smmuv3_host *host)
{
	struct host_iommufd *h = to_iommufd(host);

	lanes_close(h->lanes, smmuv3_host_owned(host));
	mmdrop(host->mm);
	fput(h->file);
	kfree(h);
}

/* Get the iommufd of a descriptor. The caller has to put the file. */
static struct file *iommufd_get(int fd, struct iommufd_ctx **ictx,
				enum smmuv3_accel_reason *reason)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	*ictx = iommufd_ctx_from_file(file);
	if (IS_ERR(*ictx)) {
		fput(file);
		*reason = SMMUV3_ACCEL_REASON_NOT_IOMMUFD;
		return ERR_PTR(-EINVAL);
	}
	/* The file keeps the context alive. */
	iommufd_ctx_put(*ictx);
	return file;
}

/*
 * The old process keeps its scratch mappings until it ends, but the module does not
 * use their pages any more.
 */
static int host_iommufd_change_process(struct smmuv3_host *host, int fd,
				       enum smmuv3_accel_reason *reason)
{
	struct host_lane lanes[SMMUV3_LANE_NUM] = {};
	struct host_iommufd *h = to_iommufd(host);
	struct iommufd_ctx *ictx;
	struct file *file;
	int rc;

	file = iommufd_get(fd, &ictx, reason);
	if (IS_ERR(file))
		return PTR_ERR(file);
	fput(file);
	if (ictx != h->ictx) {
		*reason = SMMUV3_ACCEL_REASON_OTHER_IOMMUFD;
		return -EINVAL;
	}
	if (smmuv3_host_reachable(host))
		return 0;

	rc = lanes_open(lanes);
	if (rc) {
		if (rc == -ENOMEM)
			*reason = SMMUV3_ACCEL_REASON_NO_ROOM;
		lanes_close(lanes, true);
		return rc;
	}
	lanes_close(h->lanes, false);
	memcpy(h->lanes, lanes, sizeof(lanes));
	prepare_call(h);
	mmgrab(current->mm);
	mmdrop(host->mm);
	host->mm = current->mm;
	return 0;
}

/*
 * Devices that are attached, indexed by struct vfio_device. They keep a second vSMMU
 * from attaching a device: iommufd would refuse that only if it has a vDEVICE.
 */
static DEFINE_XARRAY(attached_devs);

static int count_device(struct device *dev, void *data)
{
	++*(unsigned int *)data;
	return 0;
}

/* These checks need no lock: what they read does not change while the file is held. */
static int vfio_dev_identify(struct file *file, struct host_vfio_dev *vfio,
			     enum smmuv3_accel_reason *reason)
{
	struct inode *inode = file_inode(file);
	struct iommu_fwspec *fwspec;
	struct iommu_group *group;
	unsigned int devices = 0;
	struct device *dev;

	if (!vfio_file_is_valid(file)) {
		*reason = SMMUV3_ACCEL_REASON_NOT_VFIO;
		return -EINVAL;
	}
	/* A device opened through its group is an anonymous inode. */
	if (vfio_file_is_group(file) || !S_ISCHR(inode->i_mode)) {
		*reason = SMMUV3_ACCEL_REASON_VFIO_GROUP;
		return -EINVAL;
	}
	vfio->vdev = container_of(inode->i_cdev, struct vfio_device, cdev);
	dev = vfio->vdev->dev;
	if (!dev_is_pci(dev)) {
		*reason = SMMUV3_ACCEL_REASON_NOT_PCI;
		return -EINVAL;
	}

	group = iommu_group_get(dev);
	fwspec = dev_iommu_fwspec_get(dev);
	if (!group || !fwspec) {
		iommu_group_put(group);
		*reason = SMMUV3_ACCEL_REASON_NOT_SMMUV3;
		return -EOPNOTSUPP;
	}
	iommu_group_for_each_dev(group, &devices, count_device);
	iommu_group_put(group);
	if (devices != 1) {
		*reason = SMMUV3_ACCEL_REASON_GROUP_SHARED;
		return -EINVAL;
	}
	if (fwspec->num_ids != 1) {
		*reason = SMMUV3_ACCEL_REASON_MULTI_STREAM;
		return -EOPNOTSUPP;
	}
	vfio->dev.iommu = __iommu_get_iommu_dev(dev);
	vfio->dev.name = dev_name(dev);
	vfio->dev.canwbs = fwspec->flags & IOMMU_FWSPEC_PCI_RC_CANWBS;
	return 0;
}

/*
 * Check that a file is the one that bound its device. On any other file, VFIO refuses
 * every ioctl with EINVAL before it reads the argument. A device has one such file,
 * and stays bound until that file is released, so it is enough to hold the file.
 */
static int vfio_dev_granted(struct host_iommufd *h, struct file *file,
			    enum smmuv3_accel_reason *reason)
{
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_CONFIG];
	struct vfio_device_info *info = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*info = (struct vfio_device_info){
		.argsz = offsetofend(struct vfio_device_info, num_irqs),
	};
	rc = lane_ioctl(lane, file, VFIO_DEVICE_GET_INFO);
	if (rc == -EINVAL) {
		*reason = SMMUV3_ACCEL_REASON_NOT_BOUND;
	} else if (rc == -EIO) {
		*reason = SMMUV3_ACCEL_REASON_NO_POWER;
		rc = -ENODEV;
	}
	return rc;
}

static int vfio_dev_bound(struct host_iommufd *h, struct host_vfio_dev *vfio,
			  enum smmuv3_accel_reason *reason)
{
	int id, rc;

	rc = vfio_dev_granted(h, vfio->file, reason);
	if (rc)
		return rc;
	id = vfio_iommufd_get_dev_id(vfio->vdev, h->ictx);
	if (id < 0) {
		*reason = SMMUV3_ACCEL_REASON_OTHER_IOMMUFD;
		return -EINVAL;
	}
	vfio->dev.dev_id = id;
	return 0;
}

static struct smmuv3_host_dev *
host_iommufd_dev_get(struct smmuv3_host *host, int fd,
		     enum smmuv3_accel_reason *reason)
{
	struct host_vfio_dev *vfio;
	int rc;

	vfio = kzalloc_obj(*vfio, GFP_KERNEL_ACCOUNT);
	if (!vfio)
		return ERR_PTR(-ENOMEM);
	vfio->file = fget(fd);
	if (!vfio->file) {
		rc = -EBADF;
		goto err_free;
	}
	rc = vfio_dev_identify(vfio->file, vfio, reason);
	if (!rc)
		rc = vfio_dev_bound(to_iommufd(host), vfio, reason);
	if (rc)
		goto err_put;
	rc = xa_insert(&attached_devs, (unsigned long)vfio->vdev, vfio,
		       GFP_KERNEL_ACCOUNT);
	if (rc == -EBUSY)
		*reason = SMMUV3_ACCEL_REASON_DEVICE_IN_USE;
	if (rc)
		goto err_put;
	return &vfio->dev;

err_put:
	fput(vfio->file);
err_free:
	kfree(vfio);
	return ERR_PTR(rc);
}

static void host_iommufd_dev_put(struct smmuv3_host *host,
				 struct smmuv3_host_dev *dev)
{
	struct host_vfio_dev *vfio = to_vfio(dev);

	xa_erase(&attached_devs, (unsigned long)vfio->vdev);
	fput(vfio->file);
	kfree(vfio);
}

/* Whether VFIO manages the device's power */
static bool vfio_dev_has_pm(const struct vfio_device *vdev)
{
	return vdev->dev->driver && vdev->dev->driver->pm;
}

/*
 * Resume a device. Attaching and detaching access its configuration space and may
 * invalidate its ATC, so it must not be in a low-power state. Call this outside the
 * device set's lock, as VFIO does. Returns whether it worked.
 */
static __always_inline bool vfio_dev_resume(struct vfio_device *vdev)
{
	return !vfio_dev_has_pm(vdev) ||
	       pm_runtime_resume_and_get(vdev->dev) >= 0;
}

static void vfio_dev_suspend(struct vfio_device *vdev)
{
	if (vfio_dev_has_pm(vdev))
		pm_runtime_put(vdev->dev);
}

static int host_iommufd_dev_attach(struct smmuv3_host *host,
				   struct smmuv3_host_dev *dev, u32 hwpt_id)
{
	struct host_vfio_dev *vfio = to_vfio(dev);
	struct vfio_device *vdev = vfio->vdev;
	int rc;

	/* The VMM could do the same with this ioctl. */
	rc = security_file_ioctl(vfio->file, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0);
	if (rc)
		return rc;
	if (!vfio_dev_resume(vdev))
		return -ENODEV;
	rc = -EINTR;
	if (!mutex_lock_killable(&vdev->dev_set->lock)) {
		rc = object_error(vdev->ops->attach_ioas(vdev, &hwpt_id));
		if (!rc)
			vfio->domain = iommu_get_domain_for_dev(vdev->dev);
		mutex_unlock(&vdev->dev_set->lock);
	}
	vfio_dev_suspend(vdev);
	return rc;
}

/* Blocks DMA even if the device does not leave its low-power state. */
static int host_iommufd_dev_detach(struct smmuv3_host *host,
				   struct smmuv3_host_dev *dev, bool killable)
{
	struct host_vfio_dev *vfio = to_vfio(dev);
	struct vfio_device *vdev = vfio->vdev;
	bool awake = vfio_dev_resume(vdev);
	int rc = 0;

	if (!killable)
		mutex_lock(&vdev->dev_set->lock);
	else
		rc = mutex_lock_killable(&vdev->dev_set->lock);
	if (!rc) {
		vdev->ops->detach_ioas(vdev);
		vfio->domain = iommu_get_domain_for_dev(vdev->dev);
		mutex_unlock(&vdev->dev_set->lock);
	}
	if (awake)
		vfio_dev_suspend(vdev);
	return rc;
}

/*
 * Takes a snapshot, without the device set's lock: the lock would make it no more than
 * a snapshot, and other processes may hold it for long.
 */
static bool host_iommufd_dev_in_force(struct smmuv3_host *host,
				      struct smmuv3_host_dev *dev)
{
	struct host_vfio_dev *vfio = to_vfio(dev);

	/* The VMM may be attaching the device to another domain right now. */
	return data_race(iommu_get_domain_for_dev(vfio->vdev->dev)) ==
	       vfio->domain;
}

static int host_iommufd_hw_info(struct smmuv3_host *host, u32 dev_id,
				struct smmuv3_hw_info *info)
{
	struct host_iommufd *h = to_iommufd(host);
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_CONFIG];
	struct iommu_hw_info_arm_smmuv3 *smmu = lane_kaddr(lane, SCRATCH_DATA);
	struct iommu_hw_info *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*smmu = (struct iommu_hw_info_arm_smmuv3){};
	*cmd = (struct iommu_hw_info){
		.size = sizeof(*cmd),
		.dev_id = dev_id,
		.data_len = sizeof(*smmu),
		.data_uptr = (uintptr_t)lane_uaddr(lane, SCRATCH_DATA),
	};
	rc = lane_ioctl(lane, h->file, IOMMU_GET_HW_INFO);
	if (rc)
		return rc;
	if (cmd->out_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return -EOPNOTSUPP;
	info->flags = smmu->flags;
	memcpy(info->idr, smmu->idr, sizeof(info->idr));
	info->iidr = smmu->iidr;
	info->aidr = smmu->aidr;
	return 0;
}

/* An IOAS exists if IOMMU_IOAS_IOVA_RANGES fails only because there is no room. */
static int ioas_exists(struct host_iommufd *h)
{
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_CONFIG];
	struct iommu_ioas_iova_ranges *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*cmd = (struct iommu_ioas_iova_ranges){
		.size = sizeof(*cmd),
		.ioas_id = h->host.ioas_id,
	};
	rc = lane_ioctl(lane, h->file, IOMMU_IOAS_IOVA_RANGES);
	return rc == -EMSGSIZE ? 0 : rc;
}

static int host_iommufd_alloc_parent(struct smmuv3_host *host, u32 dev_id,
				     u32 *hwpt_id)
{
	struct host_iommufd *h = to_iommufd(host);
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_CONFIG];
	struct iommu_hwpt_alloc *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*cmd = (struct iommu_hwpt_alloc){
		.size = sizeof(*cmd),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = dev_id,
		.pt_id = h->host.ioas_id,
		.data_type = IOMMU_HWPT_DATA_NONE,
	};
	rc = lane_ioctl(lane, h->file, IOMMU_HWPT_ALLOC);
	if (!rc)
		*hwpt_id = cmd->out_hwpt_id;
	/* The errno does not tell: another object may have the ID by now. */
	else if (ioas_exists(h) == -ENOENT)
		rc = -ENOENT;
	return rc;
}

static int host_iommufd_alloc_viommu(struct smmuv3_host *host, u32 dev_id,
				     u32 hwpt_id, u32 *viommu_id)
{
	struct host_iommufd *h = to_iommufd(host);
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_CONFIG];
	struct iommu_viommu_alloc *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*cmd = (struct iommu_viommu_alloc){
		.size = sizeof(*cmd),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = dev_id,
		.hwpt_id = hwpt_id,
	};
	rc = lane_ioctl(lane, h->file, IOMMU_VIOMMU_ALLOC);
	if (!rc)
		*viommu_id = cmd->out_viommu_id;
	return rc;
}

static int host_iommufd_alloc_vdevice(struct smmuv3_host *host, u32 dev_id,
				      u32 viommu_id, u32 vsid, u32 *vdevice_id)
{
	struct host_iommufd *h = to_iommufd(host);
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_CONFIG];
	struct iommu_vdevice_alloc *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*cmd = (struct iommu_vdevice_alloc){
		.size = sizeof(*cmd),
		.viommu_id = viommu_id,
		.dev_id = dev_id,
		.virt_id = vsid,
	};
	rc = lane_ioctl(lane, h->file, IOMMU_VDEVICE_ALLOC);
	if (rc)
		return object_error(rc);
	*vdevice_id = cmd->out_vdevice_id;
	return 0;
}

static int host_iommufd_alloc_nested(struct smmuv3_host *host,
				     enum smmuv3_lane lane_index, u32 dev_id,
				     u32 viommu_id, const u64 ste[2],
				     u32 *hwpt_id)
{
	struct host_iommufd *h = to_iommufd(host);
	struct host_lane *lane = &h->lanes[lane_index];
	struct iommu_hwpt_arm_smmuv3 *data = lane_kaddr(lane, SCRATCH_DATA);
	struct iommu_hwpt_alloc *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	data->ste[0] = cpu_to_le64(ste[0]);
	data->ste[1] = cpu_to_le64(ste[1]);
	*cmd = (struct iommu_hwpt_alloc){
		.size = sizeof(*cmd),
		.dev_id = dev_id,
		.pt_id = viommu_id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(*data),
		.data_uptr = (uintptr_t)lane_uaddr(lane, SCRATCH_DATA),
	};
	rc = lane_ioctl(lane, h->file, IOMMU_HWPT_ALLOC);
	if (unlikely(rc))
		return viommu_error(rc);
	*hwpt_id = cmd->out_hwpt_id;
	return 0;
}

static int try_to_destroy(struct host_iommufd *h, enum smmuv3_lane lane_index, u32 id)
{
	struct host_lane *lane = &h->lanes[lane_index];
	struct iommu_destroy *cmd = lane_kaddr(lane, 0);
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	*cmd = (struct iommu_destroy){ .size = sizeof(*cmd), .id = id };
	return lane_ioctl(lane, h->file, IOMMU_DESTROY);
}

/* @rc: why the first try failed */
static noinline int destroy_again(struct host_iommufd *h, enum smmuv3_lane lane, u32 id,
				  int rc)
{
	int i;

	for (i = 0; i < DESTROY_TRIES; i++) {
		/* iommufd may have failed to access the lane only temporarily. */
		if (rc != -EFAULT) {
			if (rc != -EBUSY || fatal_signal_pending(current))
				break;
			fsleep(DESTROY_WAIT_US(i));
		}
		rc = try_to_destroy(h, lane, id);
	}
	return rc == -ENOENT ? 0 : rc;
}

/*
 * A concurrent VMM ioctl that names the object holds a reference, so destroying
 * returns EBUSY until that ioctl ends. Otherwise it fails only if the VMM uses the
 * module's object or has destroyed it. iommufd destroys leftovers at close.
 */
static int host_iommufd_destroy(struct smmuv3_host *host,
				enum smmuv3_lane lane, u32 id)
{
	int rc = try_to_destroy(to_iommufd(host), lane, id);

	return likely(!rc) ? 0 : destroy_again(to_iommufd(host), lane, id, rc);
}

static int invalidate_staged(struct smmuv3_host *host, u32 viommu_id,
			     const __le64 (*cmds)[2], u32 num)
{
	struct host_iommufd *h = to_iommufd(host);
	struct host_lane *lane = &h->lanes[SMMUV3_LANE_QUEUE];
	int rc = lane_begin(h, lane);

	if (rc)
		return rc;
	/* The VMM may have changed the argument. */
	prepare_call(h);
	memcpy(lane_kaddr(lane, SCRATCH_CMDS), cmds, num * sizeof(*cmds));
	return smmuv3_host_invalidate_user(host, viommu_id, lane_uaddr(lane, SCRATCH_CMDS),
					   num);
}

static int host_iommufd_invalidate(struct smmuv3_host *host, u32 viommu_id,
				   const __le64 (*cmds)[2], u32 num)
{
	return viommu_error(invalidate_staged(host, viommu_id, cmds, num));
}

/*
 * Before Linux 7.3 the host driver checks the opcode and the StreamID, and hands on
 * all other bits. Of TLBI_NSNH_ALL it hands on no bit, but makes another command of
 * it. So a reserved bit there shows whether the host checks, and never reaches an
 * SMMU. A host that checks bits is taken to check ranges, too: one that does not would
 * give a reserved range to an SMMU, so that is not tried out.
 */
static int host_iommufd_checks_commands(struct smmuv3_host *host, u32 viommu_id)
{
	const __le64 reserved[][2] = {
		{ cpu_to_le64(CMD_TLBI_NSNH_ALL), cpu_to_le64(1) },
	};
	int rc;

	/* This error would look like that of a check. */
	if (!smmuv3_host_reachable(host))
		return -ENXIO;
	rc = invalidate_staged(host, viommu_id, reserved, ARRAY_SIZE(reserved));
	if (rc == -EIO)
		return 1;
	return rc < 0 ? rc : 0;
}

static const struct smmuv3_host_ops host_iommufd_ops = {
	.close = host_iommufd_close,
	.change_process = host_iommufd_change_process,
	.dev_get = host_iommufd_dev_get,
	.dev_put = host_iommufd_dev_put,
	.dev_attach = host_iommufd_dev_attach,
	.dev_detach = host_iommufd_dev_detach,
	.dev_in_force = host_iommufd_dev_in_force,
	.hw_info = host_iommufd_hw_info,
	.alloc_parent = host_iommufd_alloc_parent,
	.alloc_viommu = host_iommufd_alloc_viommu,
	.alloc_vdevice = host_iommufd_alloc_vdevice,
	.alloc_nested = host_iommufd_alloc_nested,
	.destroy = host_iommufd_destroy,
	.invalidate = host_iommufd_invalidate,
	.checks_commands = host_iommufd_checks_commands,
};

/**
 * smmuv3_host_iommufd_open() - Open the host behind an iommufd
 * @fd: the iommufd
 * @ioas_id: the IOAS that holds the guest's physical address space; 0: none
 * @reason: set if it fails
 *
 * From now on, all calls have to come from the calling process's address space.
 *
 * Return: the host, for its close(), or an ERR_PTR: -EBADF, -EINVAL, -ENOENT,
 * -ENOMEM.
 */
struct smmuv3_host *smmuv3_host_iommufd_open(int fd, u32 ioas_id,
					     enum smmuv3_accel_reason *reason)
{
	struct host_iommufd *h;
	int rc;

	h = kzalloc_obj(*h, GFP_KERNEL_ACCOUNT);
	if (!h)
		return ERR_PTR(-ENOMEM);
	h->host.ops = &host_iommufd_ops;
	h->host.ioas_id = ioas_id;

	h->file = iommufd_get(fd, &h->ictx, reason);
	if (IS_ERR(h->file)) {
		rc = PTR_ERR(h->file);
		kfree(h);
		return ERR_PTR(rc);
	}
	h->host.owner = h->ictx;
	h->host.mm = current->mm;
	mmgrab(h->host.mm);

	rc = lanes_open(h->lanes);
	if (rc == -ENOMEM)
		*reason = SMMUV3_ACCEL_REASON_NO_ROOM;
	if (!rc)
		prepare_call(h);
	if (!rc && ioas_id)
		rc = ioas_exists(h);
	if (rc == -ENOENT)
		*reason = SMMUV3_ACCEL_REASON_NO_IOAS;
	if (rc) {
		host_iommufd_close(&h->host);
		return ERR_PTR(rc);
	}
	return &h->host;
}

MODULE_IMPORT_NS("IOMMUFD");
