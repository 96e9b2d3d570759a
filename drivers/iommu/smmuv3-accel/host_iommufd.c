// SPDX-License-Identifier: GPL-2.0
/*
 * The host, reached through what it already offers.
 *
 * iommufd exports no call to make a vIOMMU, a vDEVICE or a nested HWPT, or to
 * invalidate, so these go through the VMM's own iommufd: its file's ioctl, with
 * arguments staged in a scratch mapping in the VMM's address space. This can do
 * nothing that the VMM could not do itself with the same descriptors, and what
 * is read back from the scratch mapping is only ever handed to iommufd again,
 * so a VMM that writes there harms itself alone.
 *
 * Attaching and detaching a device go through its struct vfio_device and need
 * no user memory, so DMA can be blocked in any context.
 */
#include <linux/cdev.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <uapi/linux/iommufd.h>

#include "host.h"

/*
 * A lane's scratch mapping: a struct, what it points to; for the queue a struct
 * that is kept ready for invalidations, and commands
 */
#define SCRATCH_DATA	512
#define SCRATCH_INV	1024
#define SCRATCH_CMDS	SZ_4K

static const size_t scratch_size[SMMUV3_LANE_NUM] = {
	[SMMUV3_LANE_CONFIG] = SCRATCH_CMDS,
	[SMMUV3_LANE_QUEUE] =
		SCRATCH_CMDS + SMMUV3_HOST_MAX_BATCH * sizeof(__le64[2]),
};

/**
 * struct host_iommufd - A VMM's iommufd
 * @host: base; its mm is held by mmgrab() and may be empty already
 * @file: the iommufd
 * @ictx: the same to the kernel's own users; kept alive by @file
 * @scratch: where each lane's scratch mapping is
 */
struct host_iommufd {
	struct smmuv3_host host;
	struct file *file;
	struct iommufd_ctx *ictx;
	unsigned long scratch[SMMUV3_LANE_NUM];
};

/**
 * struct host_vfio_dev - A VFIO device
 * @dev: base
 * @file: its cdev; keeps @vdev registered, and bound if it was bound by it
 * @vdev: the device
 */
struct host_vfio_dev {
	struct smmuv3_host_dev dev;
	struct file *file;
	struct vfio_device *vdev;
};

static struct host_iommufd *to_iommufd(struct smmuv3_host *host)
{
	return container_of(host, struct host_iommufd, host);
}

static struct host_vfio_dev *to_vfio(struct smmuv3_host_dev *dev)
{
	return container_of(dev, struct host_vfio_dev, dev);
}

static struct iommu_hwpt_invalidate __user *
scratch_inv(const struct host_iommufd *h)
{
	return (void __user *)(h->scratch[SMMUV3_LANE_QUEUE] + SCRATCH_INV);
}

static int scratch_map(struct host_iommufd *h, enum smmuv3_lane lane)
{
	const struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(__le64[2]),
	};
	unsigned long addr;

	addr = vm_mmap(NULL, 0, PAGE_ALIGN(scratch_size[lane]),
		       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(addr))
		return addr;
	h->scratch[lane] = addr;
	if (lane == SMMUV3_LANE_QUEUE && copy_to_user(scratch_inv(h), &inv, sizeof(inv))) {
		vm_munmap(addr, PAGE_ALIGN(scratch_size[lane]));
		h->scratch[lane] = 0;
		return -EFAULT;
	}
	return 0;
}

/*
 * A user access also fails where memory is short for a moment. What has to be
 * done whatever comes is therefore tried twice.
 */
#define TRIES	2

/*
 * An object that is busy is tried again after 10 us, 20, up to 1280: 33 ms in
 * all, but not by a task that is being killed, whose iommufd may go as well.
 */
#define DESTROY_TRIES	32
#define DESTROY_WAIT_US(i)	(10 << min(i, 7))

static bool scratch_copy(struct host_iommufd *h, enum smmuv3_lane lane,
			 unsigned long offset, const void *data, size_t len)
{
	int i;

	for (i = 0; h->scratch[lane] && i < TRIES; i++)
		if (!copy_to_user((void __user *)(h->scratch[lane] + offset),
				  data, len))
			return true;
	return false;
}

/*
 * Write to the scratch mapping; where the VMM unmapped it, make it anew once.
 * The offset is applied to the address that is in force afterwards.
 */
static int scratch_write(struct host_iommufd *h, enum smmuv3_lane lane,
			 unsigned long offset, const void *data, size_t len)
{
	int rc;

	if (scratch_copy(h, lane, offset, data, len))
		return 0;
	rc = scratch_map(h, lane);
	if (rc)
		return rc;
	return scratch_copy(h, lane, offset, data, len) ? 0 : -EFAULT;
}

static int iommufd_ioctl(struct host_iommufd *h, unsigned int cmd,
			 void __user *arg)
{
	int rc = security_file_ioctl(h->file, cmd, (unsigned long)arg);

	if (rc)
		return rc;
	return h->file->f_op->unlocked_ioctl(h->file, cmd, (unsigned long)arg);
}

/*
 * Call the iommufd with what is staged: a struct of @len bytes from @arg, which
 * is read back where the call succeeds. What the struct points to has to be
 * staged before, by scratch_write(), and @arg has to hold its address.
 */
static int iommufd_call(struct host_iommufd *h, enum smmuv3_lane lane,
			unsigned int cmd, void *arg, size_t len)
{
	void __user *uarg;
	int rc, i;

	if (!smmuv3_host_reachable(&h->host))
		return -EIO;

	rc = scratch_write(h, lane, 0, arg, len);
	if (rc)
		return rc;
	uarg = (void __user *)h->scratch[lane];
	rc = iommufd_ioctl(h, cmd, uarg);
	if (rc)
		return rc;
	/* An object whose ID cannot be read back would be lost. */
	for (i = 0; i < TRIES; i++)
		if (!copy_from_user(arg, uarg, len))
			return 0;
	return -EFAULT;
}

static bool host_iommufd_gone(struct smmuv3_host *host)
{
	return !atomic_read(&host->mm->mm_users);
}

static int host_iommufd_enter(struct smmuv3_host *host)
{
	if (!mmget_not_zero(host->mm))
		return -ESRCH;
	kthread_use_mm(host->mm);
	return 0;
}

/* The last chance to unmap what is in an address space that may live on */
static void scratch_unmap(struct host_iommufd *h)
{
	int lane;

	for (lane = 0; lane < SMMUV3_LANE_NUM; lane++) {
		if (h->scratch[lane])
			vm_munmap(h->scratch[lane],
				  PAGE_ALIGN(scratch_size[lane]));
		h->scratch[lane] = 0;
	}
}

static void host_iommufd_leave(struct smmuv3_host *host)
{
	scratch_unmap(to_iommufd(host));
	kthread_unuse_mm(host->mm);
	mmput(host->mm);
}

static void host_iommufd_close(struct smmuv3_host *host)
{
	struct host_iommufd *h = to_iommufd(host);

	if (smmuv3_host_reachable(host))
		scratch_unmap(h);
	mmdrop(host->mm);
	fput(h->file);
	kfree(h);
}

/* The scratch mappings of the process before stay there as long as it does. */
static int host_iommufd_change_process(struct smmuv3_host *host)
{
	struct host_iommufd *h = to_iommufd(host);
	unsigned long old[SMMUV3_LANE_NUM];
	int lane, rc;

	memcpy(old, h->scratch, sizeof(old));
	for (lane = 0; lane < SMMUV3_LANE_NUM; lane++) {
		rc = scratch_map(h, lane);
		if (rc)
			goto err_unmap;
	}
	mmgrab(current->mm);
	mmdrop(host->mm);
	host->mm = current->mm;
	return 0;

err_unmap:
	while (lane--)
		vm_munmap(h->scratch[lane], PAGE_ALIGN(scratch_size[lane]));
	memcpy(h->scratch, old, sizeof(old));
	return rc;
}

static int count_device(struct device *dev, void *data)
{
	++*(unsigned int *)data;
	return 0;
}

/* The rules that need no lock; what they look at is fixed while the file is held. */
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

static int vfio_dev_bound(struct host_iommufd *h, struct host_vfio_dev *vfio,
			  enum smmuv3_accel_reason *reason)
{
	struct vfio_device *vdev = vfio->vdev;
	int id;

	guard(mutex)(&vdev->dev_set->lock);
	id = vfio_iommufd_get_dev_id(vdev, h->ictx);
	if (id < 0) {
		*reason = vfio_iommufd_device_ictx(vdev) ?
				  SMMUV3_ACCEL_REASON_OTHER_IOMMUFD :
				  SMMUV3_ACCEL_REASON_NOT_BOUND;
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

	fput(vfio->file);
	kfree(vfio);
}

/*
 * Another file of the same device may have bound it and be closed by now, so
 * that it is unbound, or bound anew by someone else, though this file is held.
 */
static bool vfio_dev_still_bound(struct host_iommufd *h,
				 struct host_vfio_dev *vfio)
{
	lockdep_assert_held(&vfio->vdev->dev_set->lock);
	return vfio_iommufd_get_dev_id(vfio->vdev, h->ictx) ==
	       (int)vfio->dev.dev_id;
}

static int host_iommufd_dev_attach(struct smmuv3_host *host,
				   struct smmuv3_host_dev *dev, u32 hwpt_id)
{
	struct host_vfio_dev *vfio = to_vfio(dev);
	struct vfio_device *vdev = vfio->vdev;

	guard(mutex)(&vdev->dev_set->lock);
	if (!vfio_dev_still_bound(to_iommufd(host), vfio))
		return -ENODEV;
	return vdev->ops->attach_ioas(vdev, &hwpt_id);
}

static void host_iommufd_dev_detach(struct smmuv3_host *host,
				    struct smmuv3_host_dev *dev)
{
	struct host_vfio_dev *vfio = to_vfio(dev);
	struct vfio_device *vdev = vfio->vdev;

	guard(mutex)(&vdev->dev_set->lock);
	if (vfio_dev_still_bound(to_iommufd(host), vfio))
		vdev->ops->detach_ioas(vdev);
}

static int host_iommufd_hw_info(struct smmuv3_host *host, u32 dev_id,
				struct smmuv3_hw_info *info)
{
	struct host_iommufd *h = to_iommufd(host);
	struct iommu_hw_info_arm_smmuv3 smmu = {};
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.data_len = sizeof(smmu),
	};
	int rc;

	rc = scratch_write(h, SMMUV3_LANE_CONFIG, SCRATCH_DATA, &smmu,
			   sizeof(smmu));
	if (rc)
		return rc;
	cmd.data_uptr = h->scratch[SMMUV3_LANE_CONFIG] + SCRATCH_DATA;
	rc = iommufd_call(h, SMMUV3_LANE_CONFIG, IOMMU_GET_HW_INFO, &cmd,
			  sizeof(cmd));
	if (rc)
		return rc;
	if (cmd.out_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return -EOPNOTSUPP;
	if (copy_from_user(&smmu, u64_to_user_ptr(cmd.data_uptr), sizeof(smmu)))
		return -EFAULT;

	info->flags = smmu.flags;
	memcpy(info->idr, smmu.idr, sizeof(info->idr));
	info->iidr = smmu.iidr;
	info->aidr = smmu.aidr;
	return 0;
}

static int host_iommufd_alloc_parent(struct smmuv3_host *host, u32 dev_id,
				     u32 *hwpt_id)
{
	struct host_iommufd *h = to_iommufd(host);
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = dev_id,
		.pt_id = h->host.ioas_id,
		.data_type = IOMMU_HWPT_DATA_NONE,
	};
	int rc;

	rc = iommufd_call(h, SMMUV3_LANE_CONFIG, IOMMU_HWPT_ALLOC, &cmd,
			  sizeof(cmd));
	*hwpt_id = cmd.out_hwpt_id;
	return rc;
}

static int host_iommufd_alloc_viommu(struct smmuv3_host *host, u32 dev_id,
				     u32 hwpt_id, u32 *viommu_id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = dev_id,
		.hwpt_id = hwpt_id,
	};
	int rc;

	rc = iommufd_call(to_iommufd(host), SMMUV3_LANE_CONFIG,
			  IOMMU_VIOMMU_ALLOC, &cmd, sizeof(cmd));
	*viommu_id = cmd.out_viommu_id;
	return rc;
}

static int host_iommufd_alloc_vdevice(struct smmuv3_host *host, u32 dev_id,
				      u32 viommu_id, u32 vsid, u32 *vdevice_id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu_id,
		.dev_id = dev_id,
		.virt_id = vsid,
	};
	int rc;

	rc = iommufd_call(to_iommufd(host), SMMUV3_LANE_CONFIG,
			  IOMMU_VDEVICE_ALLOC, &cmd, sizeof(cmd));
	*vdevice_id = cmd.out_vdevice_id;
	return rc;
}

static int host_iommufd_alloc_nested(struct smmuv3_host *host,
				     enum smmuv3_lane lane, u32 dev_id,
				     u32 viommu_id, const u64 ste[2],
				     u32 *hwpt_id)
{
	struct host_iommufd *h = to_iommufd(host);
	struct iommu_hwpt_arm_smmuv3 data = {
		.ste = { cpu_to_le64(ste[0]), cpu_to_le64(ste[1]) },
	};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.pt_id = viommu_id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
	};
	int rc;

	rc = scratch_write(h, lane, SCRATCH_DATA, &data, sizeof(data));
	if (rc)
		return rc;
	cmd.data_uptr = h->scratch[lane] + SCRATCH_DATA;
	rc = iommufd_call(h, lane, IOMMU_HWPT_ALLOC, &cmd, sizeof(cmd));
	*hwpt_id = cmd.out_hwpt_id;
	return rc;
}

static void host_iommufd_destroy(struct smmuv3_host *host,
				 enum smmuv3_lane lane, u32 id)
{
	struct iommu_destroy cmd = {
		.size = sizeof(cmd),
		.id = id,
	};
	struct host_iommufd *h = to_iommufd(host);
	int i, rc;

	/*
	 * Any call of the VMM's that names an object has hold of it, and so it
	 * is busy for as long as that takes. Can else only fail where the VMM
	 * uses, or has destroyed, what is not its own. What is left goes with
	 * the iommufd.
	 */
	for (i = 0; smmuv3_host_reachable(host) && i < DESTROY_TRIES; i++) {
		rc = -EFAULT;
		if (!scratch_write(h, lane, 0, &cmd, sizeof(cmd)))
			rc = iommufd_ioctl(h, IOMMU_DESTROY,
					   (void __user *)h->scratch[lane]);
		if (rc == -EBUSY && !fatal_signal_pending(current))
			fsleep(DESTROY_WAIT_US(i));
		else if (rc != -EFAULT)
			break;
	}
}

/*
 * Commands at an address of the VMM's. Only what differs from one call to the
 * next is written; where the VMM has tampered with the rest iommufd refuses, and
 * the replay that follows writes it all.
 */
static int host_iommufd_invalidate_user(struct smmuv3_host *host, u32 viommu_id,
					const void __user *cmds, u32 num)
{
	struct host_iommufd *h = to_iommufd(host);
	struct iommu_hwpt_invalidate __user *inv = scratch_inv(h);

	if (!user_write_access_begin(inv, sizeof(*inv)))
		return -EFAULT;
	unsafe_put_user(viommu_id, &inv->hwpt_id, fault);
	unsafe_put_user((uintptr_t)cmds, &inv->data_uptr, fault);
	unsafe_put_user(num, &inv->entry_num, fault);
	user_write_access_end();
	return iommufd_ioctl(h, IOMMU_HWPT_INVALIDATE, inv);

fault:
	user_write_access_end();
	return -EFAULT;
}

static int host_iommufd_invalidate(struct smmuv3_host *host, u32 viommu_id,
				   const __le64 (*cmds)[2], u32 num)
{
	struct host_iommufd *h = to_iommufd(host);
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = viommu_id,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*cmds),
		.entry_num = num,
	};
	int rc;

	if (!smmuv3_host_reachable(&h->host))
		return -EIO;
	rc = scratch_write(h, SMMUV3_LANE_QUEUE, SCRATCH_CMDS, cmds,
			   num * sizeof(*cmds));
	if (rc)
		return rc;
	inv.data_uptr = h->scratch[SMMUV3_LANE_QUEUE] + SCRATCH_CMDS;
	rc = scratch_write(h, SMMUV3_LANE_QUEUE, SCRATCH_INV, &inv, sizeof(inv));
	if (rc)
		return rc;
	return iommufd_ioctl(h, IOMMU_HWPT_INVALIDATE, scratch_inv(h));
}

static const struct smmuv3_host_ops host_iommufd_ops = {
	.close = host_iommufd_close,
	.gone = host_iommufd_gone,
	.enter = host_iommufd_enter,
	.leave = host_iommufd_leave,
	.change_process = host_iommufd_change_process,
	.dev_get = host_iommufd_dev_get,
	.dev_put = host_iommufd_dev_put,
	.dev_attach = host_iommufd_dev_attach,
	.dev_detach = host_iommufd_dev_detach,
	.hw_info = host_iommufd_hw_info,
	.alloc_parent = host_iommufd_alloc_parent,
	.alloc_viommu = host_iommufd_alloc_viommu,
	.alloc_vdevice = host_iommufd_alloc_vdevice,
	.alloc_nested = host_iommufd_alloc_nested,
	.destroy = host_iommufd_destroy,
	.invalidate = host_iommufd_invalidate,
	.invalidate_user = host_iommufd_invalidate_user,
};

/* An IOAS exists where asking for its ranges fails for want of room only. */
static int ioas_exists(struct host_iommufd *h)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = h->host.ioas_id,
	};
	int rc;

	rc = iommufd_call(h, SMMUV3_LANE_CONFIG, IOMMU_IOAS_IOVA_RANGES, &cmd,
			  sizeof(cmd));
	return rc == -EMSGSIZE ? 0 : rc;
}

/**
 * smmuv3_host_iommufd_open() - Reach the host through a VMM's iommufd
 * @fd: the iommufd
 * @ioas_id: the IOAS that holds the guest's physical address space
 * @reason: set where it fails
 *
 * The calling process becomes the one that all calls have to come from.
 *
 * Return: the host, to be closed by its close(), or an ERR_PTR: -EBADF,
 * -EINVAL, -ENOENT, -ENOMEM.
 */
struct smmuv3_host *smmuv3_host_iommufd_open(int fd, u32 ioas_id,
					     enum smmuv3_accel_reason *reason)
{
	struct host_iommufd *h;
	int lane, rc;

	h = kzalloc_obj(*h, GFP_KERNEL_ACCOUNT);
	if (!h)
		return ERR_PTR(-ENOMEM);
	h->host.ops = &host_iommufd_ops;
	h->host.ioas_id = ioas_id;

	h->file = fget(fd);
	if (!h->file) {
		rc = -EBADF;
		goto err_free;
	}
	h->ictx = iommufd_ctx_from_file(h->file);
	if (IS_ERR(h->ictx)) {
		*reason = SMMUV3_ACCEL_REASON_NOT_IOMMUFD;
		rc = -EINVAL;
		goto err_put;
	}
	iommufd_ctx_put(h->ictx);
	h->host.owner = h->ictx;
	h->host.mm = current->mm;
	mmgrab(h->host.mm);

	for (lane = 0; lane < SMMUV3_LANE_NUM; lane++) {
		rc = scratch_map(h, lane);
		if (rc) {
			*reason = SMMUV3_ACCEL_REASON_NO_ROOM;
			goto err_close;
		}
	}
	rc = ioas_exists(h);
	if (rc) {
		if (rc == -ENOENT)
			*reason = SMMUV3_ACCEL_REASON_NO_IOAS;
		goto err_close;
	}
	return &h->host;

err_close:
	host_iommufd_close(&h->host);
	return ERR_PTR(rc);
err_put:
	fput(h->file);
err_free:
	kfree(h);
	return ERR_PTR(rc);
}

MODULE_IMPORT_NS("IOMMUFD");
