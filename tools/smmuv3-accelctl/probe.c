// SPDX-License-Identifier: GPL-2.0
/*
 * Open a device that nobody uses, which resets it, and close it at once. This is
 * necessary because only the VFIO device gives access to the SMMU's ID registers, and
 * only ATTACH tells whether the SMMU can nest. ATTACH is a dry run here, so the device
 * keeps its domain.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "arch.h"
#include "pure.h"

#include "accelctl.h"

/* IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI, which older headers lack */
#define HW_FLAG_REPEAT_TLBI_CFGI	0x1

static int failed(struct probe *probe, const char *step)
{
	probe->step = step;
	probe->rc = -errno;
	return -1;
}

static int read_idr(struct probe *probe, int iommufd, __u32 dev_id)
{
	struct iommu_hw_info_arm_smmuv3 smmu = {};
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = dev_id,
		.data_len = sizeof(smmu),
		.data_uptr = (uintptr_t)&smmu,
	};

	if (ioctl(iommufd, IOMMU_GET_HW_INFO, &info))
		return failed(probe, "IOMMU_GET_HW_INFO");
	if (info.out_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
		errno = EOPNOTSUPP;
		return failed(probe, "IOMMU_GET_HW_INFO");
	}
	memcpy(probe->idr, smmu.idr, sizeof(probe->idr));
	probe->iidr = smmu.iidr;
	probe->aidr = smmu.aidr;
	probe->repeats = smmu.flags &
			 HW_FLAG_REPEAT_TLBI_CFGI;
	probe->has_idr = true;
	return 0;
}

static int try_attach(struct probe *probe, int iommufd, int accel, int device)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct smmuv3_accel_create create = {
		.size = sizeof(create),
		.iommufd = iommufd,
	};
	struct smmuv3_accel_attach attach = {
		.size = sizeof(attach),
		.flags = SMMUV3_ACCEL_ATTACH_DRY_RUN,
		.vfio_fd = device,
	};

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas))
		return failed(probe, "IOMMU_IOAS_ALLOC");
	create.ioas_id = ioas.out_ioas_id;
	if (ioctl(accel, SMMUV3_ACCEL_CREATE, &create)) {
		probe->reason = create.out_reason;
		return failed(probe, "SMMUV3_ACCEL_CREATE");
	}
	probe->tried = true;
	if (ioctl(accel, SMMUV3_ACCEL_ATTACH, &attach)) {
		probe->reason = attach.out_reason;
		return failed(probe, "SMMUV3_ACCEL_ATTACH");
	}
	return 0;
}

static int probe_bound(struct probe *probe, int iommufd, int device)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	int accel, rc;

	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return failed(probe, "VFIO_DEVICE_BIND_IOMMUFD");
	rc = read_idr(probe, iommufd, bind.out_devid);
	if (rc || !module_loaded())
		return rc;
	accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	if (accel < 0)
		return failed(probe, "/dev/smmuv3-accel");
	rc = try_attach(probe, iommufd, accel, device);
	close(accel);
	return rc;
}

/**
 * probe_device() - Find out about an SMMU through a device
 * @probe: the result
 * @dev: the device; ready, and free as far as this process can see
 */
void probe_device(struct probe *probe, const struct device *dev)
{
	char path[64];
	int iommufd, device;

	*probe = (struct probe){ .device = dev->bdf };
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0) {
		failed(probe, "/dev/iommu");
		return;
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", dev->vfio);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0) {
		failed(probe, "the cdev");
	} else {
		probe_bound(probe, iommufd, device);
		close(device);
	}
	close(iommufd);
}

/**
 * probe_lacks() - Describe what an SMMU lacks for nesting, by its ID registers
 * @probe: has the ID registers
 * @canwbs: what the firmware says about the SMMU's root complexes
 * @why: buffer for the text
 * @size: size of the buffer
 */
void probe_lacks(const struct probe *probe, enum answer canwbs, char *why,
		 size_t size)
{
	const __u32 *idr = probe->idr;
	bool s1p = idr[0] & IDR0_S1P, s2p = idr[0] & IDR0_S2P;

	if (smmuv3_idr_can_nest(idr, canwbs == YES || canwbs == PARTLY))
		snprintf(why, size, "it lacks nothing");
	else if (!s1p || !s2p)
		snprintf(why, size, "the SMMU lacks stage %d (IDR0.S%dP)",
			 s1p ? 2 : 1, s1p ? 2 : 1);
	else if (FIELD_GET(IDR0_STALL_MODEL, idr[0]) == STALL_MODEL_FORCED)
		snprintf(why, size, "faults can only stall on this SMMU (IDR0.STALL_MODEL)");
	else
		snprintf(why, size, "%s, and the SMMU has no S2FWB (IDR3.FWB)",
			 canwbs == NO ?
			 "the firmware's IORT does not declare the root complex CANWBS" :
			 "CANWBS is unknown");
}
