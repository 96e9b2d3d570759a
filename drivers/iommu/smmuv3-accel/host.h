/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface to the host's IOMMU. host_iommufd.c implements it with iommufd and
 * VFIO. The KUnit tests have a mock host that records calls and fails on demand.
 */
#ifndef _SMMUV3_ACCEL_HOST_H
#define _SMMUV3_ACCEL_HOST_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/types.h>
#include <uapi/linux/iommufd.h>
#include <uapi/linux/smmuv3_accel.h>

struct smmuv3_host_ops;

/**
 * enum smmuv3_lane - The two ways to the host. Each has its own staging memory, so
 *	that allocating a stage 2 does not delay the command queue
 * @SMMUV3_LANE_CONFIG: used under smmuv3_vsmmu.lock
 * @SMMUV3_LANE_QUEUE: used under smmuv3_vsmmu.queue_lock
 * @SMMUV3_LANE_NUM: how many there are
 */
enum smmuv3_lane {
	SMMUV3_LANE_CONFIG,
	SMMUV3_LANE_QUEUE,
	SMMUV3_LANE_NUM,
};

/**
 * struct smmuv3_host_call - The prepared call for commands in the VMM's memory
 * @inv: its argument, with all fields set that are the same in each call
 * @mapped: how many times @inv is mapped in the VMM; 0: the call cannot be made
 * @file: the iommufd
 * @arg: address of @inv in the VMM; right as long as @mapped is not 0
 */
struct smmuv3_host_call {
	struct iommu_hwpt_invalidate *inv;
	const atomic_t *mapped;
	struct file *file;
	void __user *arg;
};

/**
 * struct smmuv3_host - The host as one vSMMU sees it
 * @ops: how to reach it
 * @call: how to reach it without an operation
 * @owner: the host context in which object IDs are valid; only compared
 * @ioas_id: the guest's physical address space there; 0: none, so the VMM names the
 *	stage-2 parents
 * @mm: the VMM's address space, from which the host is called; NULL: any
 */
struct smmuv3_host {
	const struct smmuv3_host_ops *ops;
	struct smmuv3_host_call call;
	const void *owner;
	u32 ioas_id;
	struct mm_struct *mm;
};

/**
 * smmuv3_host_reachable() - Whether the calling task can call the host
 * @host: the host
 *
 * Return: true in the VMM's address space.
 */
static inline bool smmuv3_host_reachable(const struct smmuv3_host *host)
{
	return !host->mm || host->mm == current->mm;
}

/**
 * smmuv3_host_owned() - Whether the calling task can call the host at close
 * @host: the host
 *
 * Any task may close a file, also kernel threads and workers, which may be in the
 * VMM's address space. A security module would see their credentials instead of the
 * VMM's.
 *
 * Return: true for a VMM task.
 */
static inline bool smmuv3_host_owned(const struct smmuv3_host *host)
{
	return !host->mm ||
	       (host->mm == current->mm &&
		!(current->flags & (PF_KTHREAD | PF_USER_WORKER)));
}

/**
 * struct smmuv3_host_dev - A device from the VMM, held until dev_put
 * @iommu: identifies its physical SMMU; only compared
 * @name: the device's name
 * @dev_id: its ID at the host
 * @canwbs: its root complex is declared cacheable, write-back, shareable
 */
struct smmuv3_host_dev {
	const void *iommu;
	const char *name;
	u32 dev_id;
	bool canwbs;
};

/**
 * struct smmuv3_hw_info - A physical SMMU's ID registers
 * @flags: combination of enum iommu_hw_info_arm_smmuv3_flags
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR
 */
struct smmuv3_hw_info {
	u32 flags;
	u32 idr[6];
	u32 iidr;
	u32 aidr;
};

/**
 * struct smmuv3_host_ops - What a host can do
 * @close: forget the host; all devices are put, objects may be left. This,
 *	@dev_put, @dev_detach and @dev_in_force work in any context. The others,
 *	except for @change_process, work only if smmuv3_host_reachable() says so
 * @change_process: check that the descriptor is of the same iommufd. From now on
 *	the host belongs to the caller's address space. Sets the reason if it
 *	fails, with nothing changed
 * @dev_get: identify a VFIO descriptor. Sets the reason if it fails, for instance
 *	because a vSMMU already has the device
 * @dev_put: release the device
 * @dev_attach: attach it to a domain, in place of the one it has. -ENODEV: it
 *	did not leave its low-power state; -EINTR: the caller is being killed
 * @dev_detach: block its DMA. Fails only if @killable, with -EINTR if the caller
 *	is being killed
 * @dev_in_force: whether the device still has what @dev_attach or @dev_detach
 *	left; false if the VMM changed it. Waits for no lock
 * @hw_info: read the ID registers of its SMMU. -EOPNOTSUPP: it is not an SMMUv3
 * @alloc_parent: allocate a stage-2 parent. -ENOENT: there is no IOAS
 * @alloc_viommu: allocate a vIOMMU on a parent
 * @alloc_vdevice: allocate a vDEVICE: a device's StreamID on a vIOMMU
 * @alloc_nested: allocate a nested domain from the first two words of an STE
 * @destroy: destroy any of these objects. If it fails, the object stays. -EBUSY:
 *	the VMM uses it, for instance a vIOMMU through a vEVENTQ
 * @invalidate: carry out up to %SMMUV3_HOST_MAX_BATCH commands, in any order.
 *	After an error, any of them may be done
 * @checks_commands: whether the host refuses commands that are illegal: 1 or 0. An
 *	errno: the host cannot say so now. It uses the lane of @invalidate
 *
 * Operations that return an int return 0 or a negative errno. -EIO: the host
 * refuses, for instance because the VMM has destroyed an object of the module.
 */
struct smmuv3_host_ops {
	void (*close)(struct smmuv3_host *host);
	int (*change_process)(struct smmuv3_host *host, int fd,
			      enum smmuv3_accel_reason *reason);

	struct smmuv3_host_dev *(*dev_get)(struct smmuv3_host *host, int fd,
					   enum smmuv3_accel_reason *reason);
	void (*dev_put)(struct smmuv3_host *host, struct smmuv3_host_dev *dev);
	int (*dev_attach)(struct smmuv3_host *host, struct smmuv3_host_dev *dev,
			  u32 hwpt_id);
	int (*dev_detach)(struct smmuv3_host *host, struct smmuv3_host_dev *dev,
			  bool killable);
	bool (*dev_in_force)(struct smmuv3_host *host,
			     struct smmuv3_host_dev *dev);

	int (*hw_info)(struct smmuv3_host *host, u32 dev_id,
		       struct smmuv3_hw_info *info);
	int (*alloc_parent)(struct smmuv3_host *host, u32 dev_id, u32 *hwpt_id);
	int (*alloc_viommu)(struct smmuv3_host *host, u32 dev_id, u32 hwpt_id,
			    u32 *viommu_id);
	int (*alloc_vdevice)(struct smmuv3_host *host, u32 dev_id,
			     u32 viommu_id, u32 vsid, u32 *vdevice_id);
	int (*alloc_nested)(struct smmuv3_host *host, enum smmuv3_lane lane,
			    u32 dev_id, u32 viommu_id, const u64 ste[2],
			    u32 *hwpt_id);
	int (*destroy)(struct smmuv3_host *host, enum smmuv3_lane lane, u32 id);
	int (*invalidate)(struct smmuv3_host *host, u32 viommu_id,
			  const __le64 (*cmds)[2], u32 num);
	int (*checks_commands)(struct smmuv3_host *host, u32 viommu_id);
};

/**
 * smmuv3_host_reason() - The reason for a host's errno
 * @rc: the errno
 *
 * Return: an enum smmuv3_accel_reason.
 */
static inline u32 smmuv3_host_reason(int rc)
{
	switch (rc) {
	case -ENOMEM:
	case -ETIMEDOUT:
	case -EBUSY:	/* during a function reset */
		return SMMUV3_ACCEL_REASON_RETRY;
	case -ENODEV:
		return SMMUV3_ACCEL_REASON_NO_POWER;
	case -EADDRINUSE:
		return SMMUV3_ACCEL_REASON_RESERVED_IOVA;
	case -EACCES:
	case -EPERM:
		return SMMUV3_ACCEL_REASON_SECURITY;
	case -EBADF:
		return SMMUV3_ACCEL_REASON_BAD_FD;
	case -EFAULT:
		return SMMUV3_ACCEL_REASON_BAD_POINTER;
	case -EIO:
	case -EINVAL:
		return SMMUV3_ACCEL_REASON_HOST_REJECT;
	default:
		return SMMUV3_ACCEL_REASON_NONE;
	}
}

struct smmuv3_host *smmuv3_host_iommufd_open(int fd, u32 ioas_id,
					     enum smmuv3_accel_reason *reason);

/**
 * smmuv3_file_ioctl() - Call a file's ioctl
 * @file: the file
 * @cmd: the ioctl
 * @arg: its argument in the VMM
 *
 * Security modules check it like a call of the VMM.
 *
 * Return: 0 or an errno.
 */
static __always_inline int smmuv3_file_ioctl(struct file *file, unsigned int cmd,
					     void __user *arg)
{
	int rc = security_file_ioctl(file, cmd, (unsigned long)arg);

	return rc ?: file->f_op->unlocked_ioctl(file, cmd, (unsigned long)arg);
}

/**
 * smmuv3_host_can_read() - Whether the prepared call can be made
 * @host: the host
 *
 * Return: false if the VMM has unmapped the argument. The operation @invalidate maps it
 * again.
 */
static __always_inline bool smmuv3_host_can_read(const struct smmuv3_host *host)
{
	return atomic_read(host->call.mapped);
}

/**
 * smmuv3_host_invalidate_user() - Have the host read commands itself and carry them out
 * @host: the host, for which smmuv3_host_reachable() and smmuv3_host_can_read() say true
 * @viommu_id: the vIOMMU
 * @cmds: up to %SMMUV3_HOST_MAX_BATCH commands in the VMM's memory. The guest may
 *	change them meanwhile, so this is only for a host that checks commands
 * @num: how many
 *
 * This writes the fields that differ between calls, and the entries' length: with a
 * length that the VMM has changed, the host would read other commands. If the VMM has
 * changed other fields, the host refuses the call.
 *
 * Return: 0, -ETIMEDOUT, or another errno, after which only the operation @invalidate
 * can tell the reason. After an error, any of the commands may be done.
 */
static __always_inline int smmuv3_host_invalidate_user(struct smmuv3_host *host,
						       u32 viommu_id,
						       const void __user *cmds, u32 num)
{
	struct iommu_hwpt_invalidate *inv = host->call.inv;
	struct file *file = host->call.file;
	void __user *arg = host->call.arg;

	inv->hwpt_id = viommu_id;
	inv->data_uptr = (uintptr_t)cmds;
	inv->entry_len = sizeof(__le64[2]);
	inv->entry_num = num;
	return smmuv3_file_ioctl(file, IOMMU_HWPT_INVALIDATE, arg);
}

#endif
