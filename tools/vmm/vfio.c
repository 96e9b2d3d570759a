// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "vmm.h"

int iommufd;
uint32_t ioas_id;

/* Create the IOAS: the guest's physical address space, for DMA. */
void iommu_init(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)ram,
		.length = config.mem,
		.iova = RAM_BASE,
	};

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		die("/dev/iommu: %s: the host's kernel has no IOMMUFD, or not for you",
		    strerror(errno));
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
		die("IOMMU_IOAS_ALLOC: %s", strerror(errno));
	ioas_id = alloc.out_ioas_id;
	map.ioas_id = ioas_id;
	if (ioctl(iommufd, IOMMU_IOAS_MAP, &map))
		die("cannot pin the guest's RAM: %s", strerror(errno));
}

/* Open the cdev of a PCI function, by the name in the function's sysfs folder. */
static int open_cdev(const char *bdf)
{
	char path[128], driver[128];
	struct dirent *entry;
	ssize_t n;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	if (access(path, F_OK))
		return fail("%s: no such PCI device", bdf);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	n = readlink(path, driver, sizeof(driver) - 1);
	driver[n < 0 ? 0 : n] = 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return fail("%s: bound to %s, not to vfio-pci", bdf,
			    n < 0 ? "no driver" : strrchr(driver, '/') + 1);
	path[0] = 0;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s",
				 entry->d_name);
	closedir(dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail("%s: %s: %s", bdf, path, strerror(errno));
	return fd;
}

/**
 * vfio_open - Open a device and bind it to the iommufd
 * @dev: the device; @bdf is set
 *
 * The device cannot do DMA yet.
 *
 * Return: 0, or -1 after fail()
 */
int vfio_open(struct vfio_dev *dev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	struct vfio_region_info region;

	dev->request_fd = -1;
	dev->fd = open_cdev(dev->bdf);
	if (dev->fd < 0)
		return -1;
	if (ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		fail("%s: VFIO_DEVICE_BIND_IOMMUFD: %s", dev->bdf, strerror(errno));
		goto err_close;
	}
	if (vfio_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region)) {
		fail("%s: not a PCI device", dev->bdf);
		goto err_close;
	}
	dev->config = region.offset;
	dev->request_fd = eventfd_make();
	if (dev->request_fd < 0) {
		fail("%s: no file descriptor: %s", dev->bdf, strerror(errno));
		goto err_close;
	}
	if (vfio_irq_set(dev, VFIO_PCI_REQ_IRQ_INDEX, 0,
			 VFIO_IRQ_SET_ACTION_TRIGGER, dev->request_fd))
		note("%s: the host will not be able to ask for it: %s", dev->bdf,
		     strerror(errno));
	return 0;
err_close:
	close(dev->fd);
	return -1;
}

void vfio_close(struct vfio_dev *dev)
{
	close(dev->fd);
	close(dev->request_fd);
}

/**
 * vfio_attach_ioas - Let a device use guest physical addresses for DMA
 * @dev: behind no virtual SMMU
 *
 * Return: 0, or -1 after fail()
 */
int vfio_attach_ioas(struct vfio_dev *dev)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = ioas_id,
	};

	if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail("%s: VFIO_DEVICE_ATTACH_IOMMUFD_PT: %s", dev->bdf,
			    strerror(errno));
	return 0;
}

/* A function without a reset of its own keeps its state, as on real machines. */
void vfio_reset(struct vfio_dev *dev)
{
	if (ioctl(dev->fd, VFIO_DEVICE_RESET))
		note("%s: VFIO_DEVICE_RESET: %s", dev->bdf, strerror(errno));
}

int vfio_region(struct vfio_dev *dev, unsigned int index,
		struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* Interrupts */

unsigned int vfio_irq_count(struct vfio_dev *dev, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	return ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) ? 0 : info.count;
}

/**
 * vfio_irq_enable - Enable MSI or MSI-X, with no vector connected
 * @dev: the device
 * @index: VFIO_PCI_MSI_IRQ_INDEX or VFIO_PCI_MSIX_IRQ_INDEX
 * @count: vectors, up to MSI_PER_SLOT
 *
 * Return: 0, or -1 with errno; ENOSPC: the host has fewer
 */
int vfio_irq_enable(struct vfio_dev *dev, unsigned int index,
		    unsigned int count)
{
	union {
		struct vfio_irq_set set;
		char room[sizeof(struct vfio_irq_set) + MSI_PER_SLOT * sizeof(int32_t)];
	} u;
	unsigned int size = count * sizeof(int32_t);
	int rc;

	u.set = (struct vfio_irq_set) {
		.argsz = sizeof(u.set) + size,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.count = count,
	};
	memset(u.set.data, 0xff, size);		/* all descriptors are -1 */
	rc = ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &u.set);
	if (rc > 0)
		errno = ENOSPC;
	return rc ? -1 : 0;
}

/* Connect vector @n to an eventfd. @action is VFIO_IRQ_SET_ACTION_* */
int vfio_irq_set(struct vfio_dev *dev, unsigned int index, unsigned int n,
		 uint32_t action, int fd)
{
	union {
		struct vfio_irq_set set;
		char room[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} u;

	u.set = (struct vfio_irq_set) {
		.argsz = sizeof(u.room),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
		.index = index,
		.start = n,
		.count = 1,
	};
	memcpy(u.set.data, &fd, sizeof(int32_t));
	return ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &u.set);
}

void vfio_irq_disable(struct vfio_dev *dev, unsigned int index)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
	};

	if (ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &set))
		note("%s: cannot disable interrupt %u: %s", dev->bdf, index,
		     strerror(errno));
}
