// SPDX-License-Identifier: GPL-2.0
/*
 * What ATTACH refuses, and why: each refusal has its errno and its reason, also as a dry
 * run, and leaves no object behind.
 *
 * Needs three iommu-testdevs, two edu devices that share an IOMMU group, and the mtty
 * sample driver. Tests that lack something are skipped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "harness.h"
#include "machine.h"

#define VSID	3

/*
 * Before the guest runs, and while it runs with another device. The device to attach is
 * the last one of the machine
 */
FIXTURE(refuse)
{
	struct machine m;
};

FIXTURE_VARIANT(refuse)
{
	bool hotplug;
};

FIXTURE_VARIANT_ADD(refuse, start) { .hotplug = false };
FIXTURE_VARIANT_ADD(refuse, hotplug) { .hotplug = true };

#define dev_of(self)	(&(self)->m.stream[(self)->m.num - 1].dev)

static bool guest_runs(struct machine *m)
{
	return !INVALIDATE(m, machine_tlbi(m, 0)) && machine_goes(m, 0) == 1;
}

FIXTURE_SETUP(refuse)
{
	struct machine *m = &self->m;

	if (!variant->hotplug) {
		ASSERT_EQ(0, machine_open(m, .stage = STAGE_CREATED, .devices = 1));
		return;
	}
	ASSERT_EQ(0, machine_open(m, .stage = STAGE_RUNNING, .devices = 1, .first_device = 2));
	ASSERT_EQ(0, dma_open(&m->stream[1].dev, m->g.iommufd, DMA_TESTDEV, 0));
	m->num++;
	ASSERT_TRUE(guest_runs(m));
}

/* The guest has not noticed, and nothing is left */
FIXTURE_TEARDOWN(refuse)
{
	if (variant->hotplug) {
		EXPECT_TRUE(guest_runs(&self->m));
		guest_close_accel(&self->m.g);
		EXPECT_EQ(0, iommufd_destroy(self->m.g.iommufd, self->m.g.ioas_id));
	}
	machine_close(&self->m);
}

/* No stage 2 was made from the IOAS, unless the guest that runs has one */
#define EXPECT_NO_OBJECT(self)					\
	do {								\
		if (variant->hotplug) {					\
			EXPECT_TRUE(guest_runs(&(self)->m)); \
			break;						\
		}							\
		EXPECT_EQ(0, iommufd_destroy((self)->m.g.iommufd,		\
					     (self)->m.g.ioas_id));	\
	} while (0)

TEST_F(refuse, descriptor_that_is_not_open)
{
	EXPECT_REFUSED(&self->m.g, EBADF, BAD_FD, .vfio_fd = -1, .vsid = VSID);
	EXPECT_REFUSED(&self->m.g, EBADF, BAD_FD, .vfio_fd = 1000, .vsid = VSID);
	EXPECT_NO_OBJECT(self);
}

TEST_F(refuse, descriptor_that_is_not_vfio)
{
	int null = open("/dev/null", O_RDWR);

	EXPECT_REFUSED(&self->m.g, EINVAL, NOT_VFIO, .vfio_fd = null, .vsid = VSID);
	EXPECT_REFUSED(&self->m.g, EINVAL, NOT_VFIO, .vfio_fd = self->m.g.iommufd, .vsid = VSID);
	EXPECT_REFUSED(&self->m.g, EINVAL, NOT_VFIO, .vfio_fd = self->m.g.accel, .vsid = VSID);
	EXPECT_NO_OBJECT(self);
	close(null);
}

static int iommu_group(const char *bdf)
{
	char path[64], link[128] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return -errno;
	return atoi(strrchr(link, '/') + 1);
}

TEST_F(refuse, vfio_group_and_its_device)
{
	char bdf[16], path[32];
	int group, device;

	ASSERT_EQ(0, dma_find(DMA_TESTDEV, 1, bdf));
	snprintf(path, sizeof(path), "/dev/vfio/%d", iommu_group(bdf));
	group = open(path, O_RDWR);
	ASSERT_LE(0, group);
	EXPECT_REFUSED(&self->m.g, EINVAL, VFIO_GROUP, .vfio_fd = group, .vsid = VSID);

	/* A device opened through its group, with the same iommufd */
	ASSERT_EQ(0, ioctl(group, VFIO_GROUP_SET_CONTAINER, &self->m.g.iommufd));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	ASSERT_LE(0, device);
	EXPECT_REFUSED(&self->m.g, EINVAL, VFIO_GROUP, .vfio_fd = device, .vsid = VSID);
	close(device);
	close(group);
	EXPECT_NO_OBJECT(self);
}

TEST_F(refuse, device_that_is_not_bound)
{
	char bdf[16];
	int fd;

	ASSERT_EQ(0, dma_find(DMA_TESTDEV, 1, bdf));
	fd = dma_open_cdev(bdf);
	ASSERT_LE(0, fd);
	EXPECT_REFUSED(&self->m.g, EINVAL, NOT_BOUND, .vfio_fd = fd, .vsid = VSID);
	EXPECT_NO_OBJECT(self);
	close(fd);
}

TEST_F(refuse, device_of_another_iommufd)
{
	struct dma_dev other;
	int iommufd = open("/dev/iommu", O_RDWR);

	ASSERT_LE(0, iommufd);
	ASSERT_EQ(0, dma_open(&other, iommufd, DMA_TESTDEV, 1));
	EXPECT_REFUSED(&self->m.g, EINVAL, OTHER_IOMMUFD, .vfio_fd = other.fd, .vsid = VSID);
	EXPECT_NO_OBJECT(self);
	dma_close(&other);
	close(iommufd);
}

TEST_F(refuse, device_that_shares_its_group)
{
	struct dma_dev edu = { .kind = DMA_EDU };
	char bdf[2][16];
	int i;

	ASSERT_EQ(0, dma_find(DMA_EDU, 0, bdf[0]));
	for (i = 1;; i++) {
		if (dma_find(DMA_EDU, i, bdf[i & 1]))
			SKIP(return, "no two edu devices share an IOMMU group");
		if (iommu_group(bdf[0]) == iommu_group(bdf[1]))
			break;
	}
	edu.fd = dma_open_cdev(bdf[0]);
	ASSERT_LE(0, edu.fd);
	ASSERT_EQ(0, dma_bind(&edu, self->m.g.iommufd));
	EXPECT_REFUSED(&self->m.g, EINVAL, GROUP_SHARED, .vfio_fd = edu.fd, .vsid = VSID);
	EXPECT_NO_OBJECT(self);
	dma_close(&edu);
}

#define MTTY	"/sys/devices/virtual/mtty/mtty"
#define MTTY_UUID	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

TEST_F(refuse, device_that_is_not_pci)
{
	char path[128] = "";
	struct dirent *entry;
	struct dma_dev mtty;
	DIR *dir;

	if (access(MTTY, F_OK) &&
	    system("insmod /opt/mdev.ko; insmod /opt/mtty.ko"))
		SKIP(return, "no mtty sample driver");
	ASSERT_EQ(0, sysfs_write(MTTY "/mdev_supported_types/mtty-1/create", MTTY_UUID));
	dir = opendir(MTTY "/" MTTY_UUID "/vfio-dev");
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] == 'v')
			snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s", entry->d_name);
	closedir(dir);
	mtty.fd = open(path, O_RDWR);
	ASSERT_LE(0, mtty.fd) TH_LOG("%s", path);
	EXPECT_REFUSED(&self->m.g, EINVAL, NOT_PCI, .vfio_fd = mtty.fd, .vsid = VSID);
	ASSERT_EQ(0, dma_bind(&mtty, self->m.g.iommufd));
	EXPECT_REFUSED(&self->m.g, EINVAL, NOT_PCI, .vfio_fd = mtty.fd, .vsid = VSID);
	EXPECT_NO_OBJECT(self);
	close(mtty.fd);
	EXPECT_EQ(0, sysfs_write(MTTY "/" MTTY_UUID "/remove", "1"));
}

TEST_F(refuse, streamid_in_use)
{
	struct smmuv3_accel_attach attach;
	struct dma_dev other;
	__u32 reason;

	ASSERT_EQ(0, dma_open(&other, self->m.g.iommufd, DMA_TESTDEV, 1));
	ASSERT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, VSID, &attach));
	EXPECT_REFUSED(&self->m.g, EEXIST, VSID_IN_USE, .vfio_fd = other.fd, .vsid = VSID);
	EXPECT_REFUSED(&self->m.g, EEXIST, VSID_IN_USE, .vfio_fd = dev_of(self)->fd,
		       .vsid = VSID);
	/* DETACH frees it */
	ASSERT_EQ(0, accel_detach(&self->m.g, VSID, &reason));
	EXPECT_EQ(0, accel_attach(&self->m.g, other.fd, VSID, &attach));
	EXPECT_EQ(-ENOENT, accel_detach(&self->m.g, VSID + 1, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, reason);
	dma_close(&other);
}

TEST_F(refuse, device_in_use)
{
	struct smmuv3_accel_attach attach;
	struct guest second = self->m.g;
	__u32 reason;

	ASSERT_EQ(0, guest_create(&second));
	ASSERT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, VSID, &attach));
	EXPECT_REFUSED(&self->m.g, EBUSY, DEVICE_IN_USE, .vfio_fd = dev_of(self)->fd,
		       .vsid = VSID + 1);
	EXPECT_REFUSED(&second, EBUSY, DEVICE_IN_USE, .vfio_fd = dev_of(self)->fd, .vsid = VSID);
	/* The device is not disturbed */
	EXPECT_EQ(-EFAULT, testdev_write(dev_of(self), GUEST_BASE));
	ASSERT_EQ(0, accel_detach(&self->m.g, VSID, &reason));
	EXPECT_EQ(0, accel_attach(&second, dev_of(self)->fd, VSID, &attach));
	close(second.accel);
}

TEST_F(refuse, emulated_endpoint_without_feed)
{
	EXPECT_REFUSED(&self->m.g, EOPNOTSUPP, NO_FEED, .vfio_fd = -1, .vsid = VSID,
		       .flags = SMMUV3_ACCEL_ATTACH_FEED);
	EXPECT_NO_OBJECT(self);
}

TEST_F(refuse, bridge_with_a_device)
{
	EXPECT_REFUSED(&self->m.g, EINVAL, HAS_DEVICE, .vfio_fd = dev_of(self)->fd, .vsid = VSID,
		       .flags = SMMUV3_ACCEL_ATTACH_BRIDGE);
	EXPECT_NO_OBJECT(self);
}

/* The VMM allocated it, on the module's vIOMMU */
TEST_F(refuse, device_with_a_vdevice_of_the_vmm)
{
	struct smmuv3_accel_attach attach;
	struct guest *g = &self->m.g;
	int fd = dev_of(self)->fd;
	__u32 vdevice;

	ASSERT_EQ(0, accel_attach(g, fd, VSID, &attach));
	ASSERT_EQ(0, accel_detach(g, VSID, NULL));
	ASSERT_EQ(0, iommufd_vdevice(g->iommufd, attach.out_viommu_id, dev_of(self)->dev_id,
				     VSID, &vdevice));
	EXPECT_REFUSED(g, EBUSY, DEVICE_IN_USE, .vfio_fd = fd, .vsid = VSID);
	/* A stream without a StreamID needs no vDEVICE */
	EXPECT_EQ(0, accel_attach(g, fd, VSID_NAME(0), NULL));
	EXPECT_EQ(0, accel_detach(g, VSID_NAME(0), NULL));
	ASSERT_EQ(0, iommufd_destroy(g->iommufd, vdevice));
	EXPECT_EQ(0, accel_attach(g, fd, VSID, NULL));
}

/* The host's SIDSIZE counts, unless SET_IDR set one */
TEST_F(refuse, streamid_beyond_sidsize)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys;
	__u32 size, reason;

	ASSERT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, VSID, &attach));
	ASSERT_EQ(0, accel_phys(&self->m.g, attach.out_phys, &phys));
	ASSERT_EQ(0, accel_detach(&self->m.g, VSID, &reason));
	size = 1U << (phys.out_idr[1] & IDR1_SIDSIZE);
	EXPECT_REFUSED(&self->m.g, EINVAL, VSID_RANGE, .vfio_fd = dev_of(self)->fd, .vsid = size);
	EXPECT_REFUSED(&self->m.g, EINVAL, VSID_RANGE, .vfio_fd = dev_of(self)->fd,
		       .vsid = VSID_MAX);
	EXPECT_REFUSED(&self->m.g, EINVAL, VSID_RANGE, .vfio_fd = -1, .vsid = size,
		       .flags = SMMUV3_ACCEL_ATTACH_BRIDGE);
	EXPECT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, size - 1, &attach));
}

TEST_F(refuse, too_many_streams)
{
	struct smmuv3_accel_info info;
	struct smmuv3_accel_attach attach;
	__u32 i, reason;

	ASSERT_EQ(0, accel_info(self->m.g.accel, &info));
	for (i = variant->hotplug; i < info.out_max_streams; i++)
		ASSERT_EQ(0, accel_attach_virtual(&self->m.g, 0x1000 + i,
						  SMMUV3_ACCEL_ATTACH_BRIDGE, &attach));
	EXPECT_REFUSED(&self->m.g, ENOSPC, TOO_MANY_STREAMS, .vfio_fd = dev_of(self)->fd,
		       .vsid = VSID);
	EXPECT_REFUSED(&self->m.g, ENOSPC, TOO_MANY_STREAMS, .vfio_fd = -1, .vsid = VSID,
		       .flags = SMMUV3_ACCEL_ATTACH_BRIDGE);
	ASSERT_EQ(0, accel_detach(&self->m.g, 0x1001, &reason));
	EXPECT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, VSID, &attach));
}

TEST_HARNESS_MAIN
