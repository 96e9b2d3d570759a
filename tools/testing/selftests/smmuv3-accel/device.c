// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "guest.h"

#define VFIO_PCI_DRIVER	"/sys/bus/pci/drivers/vfio-pci"

static int check(int rc)
{
	return rc < 0 ? -errno : 0;
}

static unsigned int sysfs_id(const char *bdf, const char *name)
{
	char path[128], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), VFIO_PCI_DRIVER "/%s/%s", bdf, name);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return strtoul(text, NULL, 16);
}

int sysfs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static bool is_function(const struct dirent *entry)
{
	return strlen(entry->d_name) == strlen("0000:00:00.0") &&
	       entry->d_name[4] == ':';
}

static int only_functions(const struct dirent *entry)
{
	return is_function(entry);
}

/* Number @index of its kind among vfio-pci's devices, in order of address */
int dma_find(enum dma_kind kind, int index, char bdf[16])
{
	static const unsigned int ids[][2] = {
		[DMA_TESTDEV] = { 0x1b36, 0x0005 },
		[DMA_EDU] = { 0x1234, 0x11e8 },
	};
	struct dirent **list;
	int i, n, rc = -ENODEV;

	n = scandir(VFIO_PCI_DRIVER, &list, only_functions, alphasort);
	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		if (rc && sysfs_id(list[i]->d_name, "vendor") == ids[kind][0] &&
		    sysfs_id(list[i]->d_name, "device") == ids[kind][1] &&
		    index-- == 0) {
			snprintf(bdf, 16, "%.15s", list[i]->d_name);
			rc = 0;
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

int dma_open_cdev(const char *bdf)
{
	char path[128];
	struct dirent *entry;
	int fd = -ENODEV;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s",
			 entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		break;
	}
	closedir(dir);
	return fd;
}

int dma_bind(struct dma_dev *dev, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	int rc = check(ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));

	dev->dev_id = bind.out_devid;
	return rc;
}

/* Map BAR 0 and let the device be bus master */
int dma_start(struct dma_dev *dev)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	__u16 command;

	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &config))
		return -errno;
	if (pread(dev->fd, &command, 2, config.offset + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(dev->fd, &command, 2, config.offset + PCI_COMMAND) != 2)
		return -EIO;
	dev->bar = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			dev->fd, bar.offset);
	if (dev->bar == MAP_FAILED) {
		dev->bar = NULL;
		return -errno;
	}
	dev->bar_size = bar.size;
	return 0;
}

int dma_open(struct dma_dev *dev, int iommufd, enum dma_kind kind, int index)
{
	int rc;

	memset(dev, 0, sizeof(*dev));
	dev->kind = kind;
	dev->fd = -1;
	rc = dma_find(kind, index, dev->bdf);
	if (rc)
		return rc;
	dev->fd = dma_open_cdev(dev->bdf);
	if (dev->fd < 0)
		return dev->fd;
	rc = dma_bind(dev, iommufd);
	if (!rc)
		rc = dma_start(dev);
	if (rc)
		dma_close(dev);
	return rc;
}

void dma_close(struct dma_dev *dev)
{
	if (dev->bar)
		munmap((void *)dev->bar, dev->bar_size);
	if (dev->fd >= 0)
		close(dev->fd);
	dev->bar = NULL;
	dev->fd = -1;
}

/* iommu-testdev's registers: indexes of 32-bit words */
enum {
	TESTDEV_RUN = 0x00 / 4,
	TESTDEV_IOVA_LO = 0x04 / 4,
	TESTDEV_IOVA_HI = 0x08 / 4,
	TESTDEV_LEN = 0x0c / 4,
	TESTDEV_RESULT = 0x10 / 4,
	TESTDEV_ARM = 0x14 / 4,
};

#define TESTDEV_FAULT	0xdead0002U
#define TESTDEV_WRITTEN	0xdead0004U	/* written; the check lacks a physical address */

/* Write TESTDEV_PATTERN at @iova. Return: 0, or -EFAULT if the SMMU aborted it */
int testdev_write(struct dma_dev *dev, __u64 iova)
{
	__u32 result;

	dev->bar[TESTDEV_IOVA_LO] = iova;
	dev->bar[TESTDEV_IOVA_HI] = iova >> 32;
	dev->bar[TESTDEV_LEN] = 4;
	dev->bar[TESTDEV_ARM] = 1;
	(void)dev->bar[TESTDEV_RUN];
	result = dev->bar[TESTDEV_RESULT];
	switch (result) {
	case 0:
	case TESTDEV_WRITTEN:
		return 0;
	case TESTDEV_FAULT:
		return -EFAULT;
	default:
		return -EIO;
	}
}

enum {
	EDU_SRC = 0x80 / 8,
	EDU_DST = 0x88 / 8,
	EDU_COUNT = 0x90 / 8,
	EDU_CMD = 0x98 / 8,
};

#define EDU_BUFFER	0x40000
#define EDU_RUN		1
#define EDU_TO_MEMORY	2

static int edu_run(struct dma_dev *dev, __u64 src, __u64 dst, __u32 len,
		   __u64 cmd)
{
	volatile __u64 *reg = (volatile __u64 *)dev->bar;
	const struct timespec wait = { .tv_nsec = 10000000 };
	int tries = 500;

	reg[EDU_SRC] = src;
	reg[EDU_DST] = dst;
	reg[EDU_COUNT] = len;
	reg[EDU_CMD] = cmd | EDU_RUN;
	while (reg[EDU_CMD] & EDU_RUN) {
		if (!tries--)
			return -ETIMEDOUT;
		nanosleep(&wait, NULL);
	}
	return 0;
}

/* Copy from the device's buffer to memory. The result does not show an abort. */
int edu_write(struct dma_dev *dev, __u64 iova, __u32 len)
{
	return edu_run(dev, EDU_BUFFER, iova, len, EDU_TO_MEMORY);
}

/* Copy from memory to the device's buffer. */
int edu_read(struct dma_dev *dev, __u64 iova, __u32 len)
{
	return edu_run(dev, iova, EDU_BUFFER, len, 0);
}

/* Give a device a domain without the module, as a VMM can */
int dma_attach_pt(struct dma_dev *dev, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = sizeof(arg),
		.pt_id = pt_id,
	};

	return check(ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg));
}

int dma_detach_pt(struct dma_dev *dev)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	return check(ioctl(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg));
}

int iommufd_destroy(int iommufd, __u32 id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return check(ioctl(iommufd, IOMMU_DESTROY, &arg));
}

int iommufd_hwpt(int iommufd, __u32 dev_id, __u32 ioas_id, __u32 flags, __u32 *id)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = dev_id,
		.pt_id = ioas_id,
	};
	int rc = check(ioctl(iommufd, IOMMU_HWPT_ALLOC, &arg));

	*id = arg.out_hwpt_id;
	return rc;
}

int iommufd_nest_parent(int iommufd, __u32 dev_id, __u32 ioas_id, __u32 *id)
{
	return iommufd_hwpt(iommufd, dev_id, ioas_id, IOMMU_HWPT_ALLOC_NEST_PARENT, id);
}

int iommufd_vdevice(int iommufd, __u32 viommu_id, __u32 dev_id, __u64 virt_id, __u32 *id)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu_id,
		.dev_id = dev_id,
		.virt_id = virt_id,
	};
	int rc = check(ioctl(iommufd, IOMMU_VDEVICE_ALLOC, &arg));

	*id = arg.out_vdevice_id;
	return rc;
}

int veventq_open(int iommufd, __u32 viommu_id, __u32 *id)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu_id,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 64,
	};

	if (ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &arg))
		return -errno;
	*id = arg.out_veventq_id;
	return arg.out_veventq_fd;
}

/* Read one event. Return: 0, -ETIMEDOUT, or -EOVERFLOW if events were lost */
int veventq_read(int fd, __u64 evt[4], int timeout_ms)
{
	struct {
		struct iommufd_vevent_header header;
		struct iommu_vevent_arm_smmuv3 event;
	} record;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&poll_fd, 1, timeout_ms) != 1)
		return -ETIMEDOUT;
	n = read(fd, &record, sizeof(record));
	if (n < 0)
		return -errno;
	if (record.header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS)
		return -EOVERFLOW;
	if (n != sizeof(record))
		return -EIO;
	memcpy(evt, record.event.evt, sizeof(record.event.evt));
	return 0;
}
