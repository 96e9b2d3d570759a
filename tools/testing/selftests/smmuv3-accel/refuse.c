// SPDX-License-Identifier: GPL-2.0
/*
 * What ATTACH refuses, and why: each refusal has its errno and its reason, and leaves no
 * object behind.
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

#define EXPECT_REFUSED(g, fd, vsid, _errno, _reason)			\
	do {								\
		struct smmuv3_accel_attach _out;			\
									\
		EXPECT_EQ(-(_errno), accel_attach(g, fd, vsid, &_out));	\
		EXPECT_EQ(SMMUV3_ACCEL_REASON_##_reason, _out.out_reason); \
		EXPECT_EQ(0, _out.out_viommu_id);			\
		EXPECT_EQ(0, _out.out_vdevice_id);			\
	} while (0)

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
	EXPECT_REFUSED(&self->m.g, -1, VSID, EBADF, NONE);
	EXPECT_REFUSED(&self->m.g, 1000, VSID, EBADF, NONE);
	EXPECT_NO_OBJECT(self);
}

TEST_F(refuse, descriptor_that_is_not_vfio)
{
	int null = open("/dev/null", O_RDWR);

	EXPECT_REFUSED(&self->m.g, null, VSID, EINVAL, NOT_VFIO);
	EXPECT_REFUSED(&self->m.g, self->m.g.iommufd, VSID, EINVAL, NOT_VFIO);
	EXPECT_REFUSED(&self->m.g, self->m.g.accel, VSID, EINVAL, NOT_VFIO);
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
	EXPECT_REFUSED(&self->m.g, group, VSID, EINVAL, VFIO_GROUP);

	/* A device opened through its group, with the same iommufd */
	ASSERT_EQ(0, ioctl(group, VFIO_GROUP_SET_CONTAINER, &self->m.g.iommufd));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	ASSERT_LE(0, device);
	EXPECT_REFUSED(&self->m.g, device, VSID, EINVAL, VFIO_GROUP);
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
	EXPECT_REFUSED(&self->m.g, fd, VSID, EINVAL, NOT_BOUND);
	EXPECT_NO_OBJECT(self);
	close(fd);
}

TEST_F(refuse, device_of_another_iommufd)
{
	struct dma_dev other;
	int iommufd = open("/dev/iommu", O_RDWR);

	ASSERT_LE(0, iommufd);
	ASSERT_EQ(0, dma_open(&other, iommufd, DMA_TESTDEV, 1));
	EXPECT_REFUSED(&self->m.g, other.fd, VSID, EINVAL, OTHER_IOMMUFD);
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
	EXPECT_REFUSED(&self->m.g, edu.fd, VSID, EINVAL, GROUP_SHARED);
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
	EXPECT_REFUSED(&self->m.g, mtty.fd, VSID, EINVAL, NOT_PCI);
	ASSERT_EQ(0, dma_bind(&mtty, self->m.g.iommufd));
	EXPECT_REFUSED(&self->m.g, mtty.fd, VSID, EINVAL, NOT_PCI);
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
	EXPECT_REFUSED(&self->m.g, other.fd, VSID, EEXIST, VSID_IN_USE);
	EXPECT_REFUSED(&self->m.g, dev_of(self)->fd, VSID, EEXIST, VSID_IN_USE);
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
	EXPECT_REFUSED(&self->m.g, dev_of(self)->fd, VSID + 1, EBUSY, DEVICE_IN_USE);
	EXPECT_REFUSED(&second, dev_of(self)->fd, VSID, EBUSY, DEVICE_IN_USE);
	/* The device is not disturbed */
	EXPECT_EQ(-EFAULT, testdev_write(dev_of(self), GUEST_BASE));
	ASSERT_EQ(0, accel_detach(&self->m.g, VSID, &reason));
	EXPECT_EQ(0, accel_attach(&second, dev_of(self)->fd, VSID, &attach));
	close(second.accel);
}

static int create_with_parent(struct guest *g, __u32 s2_hwpt_id)
{
	return guest_open_accel(g) ?:
	       accel_create(g->accel, g->iommufd, g->ioas_id, s2_hwpt_id, NULL);
}

TEST_F(refuse, parent_that_does_not_fit)
{
	struct smmuv3_accel_attach attach;
	struct guest own = self->m.g, second = self->m.g;
	struct dma_dev other;
	__u32 parent, reason;

	ASSERT_EQ(0, dma_open(&other, self->m.g.iommufd, DMA_TESTDEV, 1));

	/* No such object; not a parent */
	ASSERT_EQ(0, create_with_parent(&own, 999));
	EXPECT_REFUSED(&own, dev_of(self)->fd, VSID, ENOENT, PARENT_REJECTED);
	close(own.accel);
	ASSERT_EQ(0, create_with_parent(&own, self->m.g.ioas_id));
	EXPECT_REFUSED(&own, dev_of(self)->fd, VSID, ENOENT, PARENT_REJECTED);
	close(own.accel);

	/* One vSMMU uses the VMM's parent, so a second cannot */
	ASSERT_EQ(0, iommufd_nest_parent(self->m.g.iommufd, dev_of(self)->dev_id,
					 self->m.g.ioas_id, &parent));
	ASSERT_EQ(0, create_with_parent(&own, parent));
	ASSERT_EQ(0, create_with_parent(&second, parent));
	ASSERT_EQ(0, accel_attach(&own, dev_of(self)->fd, VSID, &attach));
	EXPECT_EQ(parent, attach.out_s2_hwpt_id);
	EXPECT_REFUSED(&second, other.fd, VSID, EBUSY, PARENT_IN_USE);
	/* Not even without streams, since the vIOMMU stays until close */
	ASSERT_EQ(0, accel_detach(&own, VSID, &reason));
	EXPECT_REFUSED(&second, dev_of(self)->fd, VSID, EBUSY, PARENT_IN_USE);
	close(own.accel);
	EXPECT_EQ(0, accel_attach(&second, dev_of(self)->fd, VSID, &attach));
	EXPECT_EQ(parent, attach.out_s2_hwpt_id);
	close(second.accel);

	/* The module does not destroy the VMM's parent */
	EXPECT_EQ(0, iommufd_destroy(self->m.g.iommufd, parent));
	EXPECT_NO_OBJECT(self);
	dma_close(&other);
}

/* The module allocated it */
TEST_F(refuse, parent_of_another_vsmmu)
{
	struct smmuv3_accel_attach attach;
	struct guest second = self->m.g;
	struct dma_dev other;

	ASSERT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, VSID, &attach));
	ASSERT_EQ(0, create_with_parent(&second, attach.out_s2_hwpt_id));
	ASSERT_EQ(0, dma_open(&other, self->m.g.iommufd, DMA_TESTDEV, 1));
	EXPECT_REFUSED(&second, other.fd, VSID, EBUSY, PARENT_IN_USE);
	dma_close(&other);
	close(second.accel);
}

/* Without SHARED_ASIDS */
TEST_F(refuse, to_share_a_parent_by_default)
{
	struct smmuv3_accel_attach attach[2];
	struct guest first = self->m.g, second = self->m.g;
	struct dma_dev other;

	ASSERT_EQ(0, dma_open(&other, self->m.g.iommufd, DMA_TESTDEV, 1));
	ASSERT_EQ(0, guest_create(&first));
	ASSERT_EQ(0, guest_create(&second));
	ASSERT_EQ(0, accel_attach(&first, dev_of(self)->fd, VSID, &attach[0]));
	ASSERT_EQ(0, accel_attach(&second, other.fd, VSID, &attach[1]));
	EXPECT_NE(attach[0].out_s2_hwpt_id, attach[1].out_s2_hwpt_id);
	EXPECT_NE(attach[0].out_viommu_id, attach[1].out_viommu_id);
	close(second.accel);
	close(first.accel);
	EXPECT_NO_OBJECT(self);
	dma_close(&other);
}

#define EXPECT_VIRTUAL_REFUSED(g, vsid, flags, _errno, _reason)		\
	do {								\
		struct smmuv3_accel_attach _out;			\
									\
		EXPECT_EQ(-(_errno), accel_attach_virtual(g, vsid, flags, &_out)); \
		EXPECT_EQ(SMMUV3_ACCEL_REASON_##_reason, _out.out_reason); \
	} while (0)

TEST_F(refuse, emulated_endpoint_without_feed)
{
	EXPECT_VIRTUAL_REFUSED(&self->m.g, VSID, SMMUV3_ACCEL_ATTACH_FEED,
			       EOPNOTSUPP, NO_FEED);
	EXPECT_NO_OBJECT(self);
}

TEST_F(refuse, bridge_with_a_device)
{
	struct smmuv3_accel_attach arg = {
		.size = sizeof(arg),
		.flags = SMMUV3_ACCEL_ATTACH_BRIDGE,
		.vfio_fd = dev_of(self)->fd,
		.vsid = VSID,
	};

	EXPECT_EQ(-EINVAL, accel_ioctl(self->m.g.accel, SMMUV3_ACCEL_ATTACH, &arg));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HAS_DEVICE, arg.out_reason);
	EXPECT_NO_OBJECT(self);
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
	EXPECT_REFUSED(&self->m.g, dev_of(self)->fd, size, EINVAL, VSID_RANGE);
	EXPECT_REFUSED(&self->m.g, dev_of(self)->fd, ~0U, EINVAL, VSID_RANGE);
	EXPECT_VIRTUAL_REFUSED(&self->m.g, size, SMMUV3_ACCEL_ATTACH_BRIDGE, EINVAL, VSID_RANGE);
	EXPECT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, size - 1, &attach));
}

TEST_F(refuse, too_many_streams)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	struct smmuv3_accel_attach attach;
	__u32 i, reason;

	ASSERT_EQ(0, ioctl(self->m.g.accel, SMMUV3_ACCEL_GET_INFO, &info));
	for (i = variant->hotplug; i < info.out_max_streams; i++)
		ASSERT_EQ(0, accel_attach_virtual(&self->m.g, 0x1000 + i,
						  SMMUV3_ACCEL_ATTACH_BRIDGE, &attach));
	EXPECT_REFUSED(&self->m.g, dev_of(self)->fd, VSID, ENOSPC, TOO_MANY_STREAMS);
	EXPECT_VIRTUAL_REFUSED(&self->m.g, VSID, SMMUV3_ACCEL_ATTACH_BRIDGE,
			       ENOSPC, TOO_MANY_STREAMS);
	ASSERT_EQ(0, accel_detach(&self->m.g, 0x1001, &reason));
	EXPECT_EQ(0, accel_attach(&self->m.g, dev_of(self)->fd, VSID, &attach));
}

TEST_HARNESS_MAIN
