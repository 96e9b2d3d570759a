// SPDX-License-Identifier: GPL-2.0
/*
 * What is not attached, and why: each refusal has its errno and its reason, and
 * leaves no object behind.
 *
 * Needs, besides a test device behind each of two SMMUs, a pair of edu devices
 * that share an IOMMU group and the mtty sample driver; what is not there is
 * skipped.
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

#include "guest.h"
#include "harness.h"

#define VSID		3
#define VSID_BUSY	9
#define ASID		9
#define IOVA		0x40000000ULL

/* All is refused alike before the guest runs and while it does. */
FIXTURE(refuse)
{
	struct guest g;
	struct dma_dev dev;
	struct dma_dev busy;
	struct ring ring;
};

FIXTURE_VARIANT(refuse)
{
	bool hotplug;
};

FIXTURE_VARIANT_ADD(refuse, start) { .hotplug = false };
FIXTURE_VARIANT_ADD(refuse, hotplug) { .hotplug = true };

/* A guest at work: its command queue runs, its tables translate a device */
static int run_guest(struct guest *g, struct dma_dev *dev, struct ring *ring)
{
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	struct strtab st;
	__u64 ste[8], cd;
	int rc;

	rc = dma_open(dev, g->iommufd, DMA_TESTDEV, 2);
	if (rc)
		return rc;
	pgtable_init(&pt, g, GRANULE_4K);
	pgtable_map(&pt, IOVA, guest_alloc(g, 4096), PTE_NOT_GLOBAL);
	cd = guest_alloc(g, 64);
	cd_write(g, cd, &pt, ASID);
	ste_s1(ste, cd);
	rc = ring_init(ring, g, 4) ?: strtab_init(&st, g, 4, 0);
	if (rc)
		return rc;
	strtab_write(&st, VSID_BUSY, ste);
	return accel_mem_table(g) ?:
	       accel_attach(g, dev->fd, VSID_BUSY, &attach) ?:
	       accel_set_regs(g, CR0_SMMUEN | CR0_CMDQEN, st.base, st.base_cfg, ring);
}

static bool guest_runs(struct dma_dev *dev, struct ring *ring)
{
	struct smmuv3_accel_run_cmdq out;

	ring_put(ring, cmd_tlbi_va(ASID, IOVA, true));
	ring_put(ring, cmd_sync());
	return !ring_run(ring, &out) && ring->cons == ring->prod && !testdev_write(dev, IOVA);
}

FIXTURE_SETUP(refuse)
{
	self->busy.fd = -1;
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	if (!variant->hotplug)
		return;
	ASSERT_EQ(0, run_guest(&self->g, &self->busy, &self->ring));
	ASSERT_TRUE(guest_runs(&self->busy, &self->ring));
}

/* The guest has not noticed, and nothing is left of what was refused. */
FIXTURE_TEARDOWN(refuse)
{
	if (variant->hotplug) {
		EXPECT_TRUE(guest_runs(&self->busy, &self->ring));
		close(self->g.accel);
		self->g.accel = -1;
		dma_close(&self->busy);
		EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
	}
	dma_close(&self->dev);
	guest_close(&self->g);
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

/*
 * An IOAS can be destroyed where no stage 2 is made from it, and that only. The
 * guest that runs has one until the file is closed.
 */
#define EXPECT_NOTHING_LEFT(self)					\
	do {								\
		if (variant->hotplug) {					\
			EXPECT_TRUE(guest_runs(&(self)->busy, &(self)->ring)); \
			break;						\
		}							\
		EXPECT_EQ(0, iommufd_destroy((self)->g.iommufd,		\
					     (self)->g.ioas_id));	\
	} while (0)

TEST_F(refuse, bad_descriptor)
{
	EXPECT_REFUSED(&self->g, -1, VSID, EBADF, NONE);
	EXPECT_REFUSED(&self->g, 1000, VSID, EBADF, NONE);
	EXPECT_NOTHING_LEFT(self);
}

TEST_F(refuse, not_vfio)
{
	int null = open("/dev/null", O_RDWR);

	EXPECT_REFUSED(&self->g, null, VSID, EINVAL, NOT_VFIO);
	EXPECT_REFUSED(&self->g, self->g.iommufd, VSID, EINVAL, NOT_VFIO);
	EXPECT_REFUSED(&self->g, self->g.accel, VSID, EINVAL, NOT_VFIO);
	EXPECT_NOTHING_LEFT(self);
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

TEST_F(refuse, vfio_group)
{
	char bdf[16], path[32];
	int group, device;

	ASSERT_EQ(0, dma_find(DMA_TESTDEV, 1, bdf));
	snprintf(path, sizeof(path), "/dev/vfio/%d", iommu_group(bdf));
	group = open(path, O_RDWR);
	ASSERT_LE(0, group);
	EXPECT_REFUSED(&self->g, group, VSID, EINVAL, VFIO_GROUP);

	/* A device that was opened through its group, with the same iommufd */
	ASSERT_EQ(0, ioctl(group, VFIO_GROUP_SET_CONTAINER, &self->g.iommufd));
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	ASSERT_LE(0, device);
	EXPECT_REFUSED(&self->g, device, VSID, EINVAL, VFIO_GROUP);
	close(device);
	close(group);
	EXPECT_NOTHING_LEFT(self);
}

TEST_F(refuse, not_bound)
{
	char bdf[16];
	int fd;

	ASSERT_EQ(0, dma_find(DMA_TESTDEV, 1, bdf));
	fd = dma_open_cdev(bdf);
	ASSERT_LE(0, fd);
	EXPECT_REFUSED(&self->g, fd, VSID, EINVAL, NOT_BOUND);
	EXPECT_NOTHING_LEFT(self);
	close(fd);
}

TEST_F(refuse, other_iommufd)
{
	struct dma_dev other;
	int iommufd = open("/dev/iommu", O_RDWR);

	ASSERT_LE(0, iommufd);
	ASSERT_EQ(0, dma_open(&other, iommufd, DMA_TESTDEV, 1));
	EXPECT_REFUSED(&self->g, other.fd, VSID, EINVAL, OTHER_IOMMUFD);
	EXPECT_NOTHING_LEFT(self);
	dma_close(&other);
	close(iommufd);
}

TEST_F(refuse, shared_group)
{
	struct dma_dev edu = { .kind = DMA_EDU };
	char bdf[2][16];
	int i;

	/* Two neighbours in one group */
	ASSERT_EQ(0, dma_find(DMA_EDU, 0, bdf[0]));
	for (i = 1;; i++) {
		if (dma_find(DMA_EDU, i, bdf[i & 1]))
			SKIP(return, "no two edu devices share an IOMMU group");
		if (iommu_group(bdf[0]) == iommu_group(bdf[1]))
			break;
	}
	edu.fd = dma_open_cdev(bdf[0]);
	ASSERT_LE(0, edu.fd);
	ASSERT_EQ(0, dma_bind(&edu, self->g.iommufd));
	EXPECT_REFUSED(&self->g, edu.fd, VSID, EINVAL, GROUP_SHARED);
	EXPECT_NOTHING_LEFT(self);
	dma_close(&edu);
}

#define MTTY	"/sys/devices/virtual/mtty/mtty"
#define MTTY_UUID	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

TEST_F(refuse, not_pci)
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
	EXPECT_REFUSED(&self->g, mtty.fd, VSID, EINVAL, NOT_PCI);
	ASSERT_EQ(0, dma_bind(&mtty, self->g.iommufd));
	EXPECT_REFUSED(&self->g, mtty.fd, VSID, EINVAL, NOT_PCI);
	EXPECT_NOTHING_LEFT(self);
	close(mtty.fd);
	EXPECT_EQ(0, sysfs_write(MTTY "/" MTTY_UUID "/remove", "1"));
}

TEST_F(refuse, vsid_in_use)
{
	struct smmuv3_accel_attach attach;
	struct dma_dev other;
	__u32 reason;

	ASSERT_EQ(0, dma_open(&other, self->g.iommufd, DMA_TESTDEV, 1));
	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	EXPECT_REFUSED(&self->g, other.fd, VSID, EEXIST, VSID_IN_USE);
	EXPECT_REFUSED(&self->g, self->dev.fd, VSID, EEXIST, VSID_IN_USE);
	/* Free again after detaching */
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	EXPECT_EQ(0, accel_attach(&self->g, other.fd, VSID, &attach));
	EXPECT_EQ(-ENOENT, accel_detach(&self->g, VSID + 1, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, reason);
	dma_close(&other);
}

TEST_F(refuse, device_in_use)
{
	struct smmuv3_accel_attach attach;
	struct guest second = self->g;
	__u32 reason;

	ASSERT_EQ(0, guest_create(&second));
	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	EXPECT_REFUSED(&self->g, self->dev.fd, VSID + 1, EBUSY, DEVICE_IN_USE);
	EXPECT_REFUSED(&second, self->dev.fd, VSID, EBUSY, DEVICE_IN_USE);
	/* It was not disturbed */
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, GUEST_BASE));
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	EXPECT_EQ(0, accel_attach(&second, self->dev.fd, VSID, &attach));
	close(second.accel);
}

/* Parents of the VMM's own */

static int create_with_parent(struct guest *g, __u32 s2_hwpt_id)
{
	__u32 reason;

	g->accel = open("/dev/smmuv3-accel", O_RDWR);
	return accel_create(g->accel, g->iommufd, g->ioas_id, s2_hwpt_id, &reason);
}

TEST_F(refuse, parent)
{
	struct smmuv3_accel_attach attach;
	struct guest own = self->g, second = self->g;
	struct dma_dev other;
	__u32 parent, reason;

	ASSERT_EQ(0, dma_open(&other, self->g.iommufd, DMA_TESTDEV, 1));

	/* No such object; not a parent */
	ASSERT_EQ(0, create_with_parent(&own, 999));
	EXPECT_REFUSED(&own, self->dev.fd, VSID, ENOENT, PARENT_REJECTED);
	close(own.accel);
	ASSERT_EQ(0, create_with_parent(&own, self->g.ioas_id));
	EXPECT_REFUSED(&own, self->dev.fd, VSID, ENOENT, PARENT_REJECTED);
	close(own.accel);

	/* The VMM's own is used, and no second vSMMU can have it */
	ASSERT_EQ(0, iommufd_nest_parent(self->g.iommufd, self->dev.dev_id,
					 self->g.ioas_id, &parent));
	ASSERT_EQ(0, create_with_parent(&own, parent));
	ASSERT_EQ(0, create_with_parent(&second, parent));
	ASSERT_EQ(0, accel_attach(&own, self->dev.fd, VSID, &attach));
	EXPECT_EQ(parent, attach.out_s2_hwpt_id);
	EXPECT_REFUSED(&second, other.fd, VSID, EBUSY, PARENT_IN_USE);
	/* Not even after the stream is gone: the vIOMMU stays until close */
	ASSERT_EQ(0, accel_detach(&own, VSID, &reason));
	EXPECT_REFUSED(&second, self->dev.fd, VSID, EBUSY, PARENT_IN_USE);
	close(own.accel);
	EXPECT_EQ(0, accel_attach(&second, self->dev.fd, VSID, &attach));
	EXPECT_EQ(parent, attach.out_s2_hwpt_id);
	close(second.accel);

	/* The VMM's own stays the VMM's own */
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, parent));
	EXPECT_NOTHING_LEFT(self);
	dma_close(&other);
}

/* A parent that was made for one vSMMU is no more to be had than the VMM's */
TEST_F(refuse, parent_of_another_vsmmu)
{
	struct smmuv3_accel_attach attach;
	struct guest second = self->g;
	struct dma_dev other;

	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	ASSERT_EQ(0, create_with_parent(&second, attach.out_s2_hwpt_id));
	ASSERT_EQ(0, dma_open(&other, self->g.iommufd, DMA_TESTDEV, 1));
	EXPECT_REFUSED(&second, other.fd, VSID, EBUSY, PARENT_IN_USE);
	dma_close(&other);
	close(second.accel);
}

/* Two vSMMUs share nothing, unless they are told to */
TEST_F(refuse, no_sharing_by_default)
{
	struct smmuv3_accel_attach attach[2];
	struct guest first = self->g, second = self->g;
	struct dma_dev other;

	ASSERT_EQ(0, dma_open(&other, self->g.iommufd, DMA_TESTDEV, 1));
	ASSERT_EQ(0, guest_create(&first));
	ASSERT_EQ(0, guest_create(&second));
	ASSERT_EQ(0, accel_attach(&first, self->dev.fd, VSID, &attach[0]));
	ASSERT_EQ(0, accel_attach(&second, other.fd, VSID, &attach[1]));
	EXPECT_NE(attach[0].out_s2_hwpt_id, attach[1].out_s2_hwpt_id);
	EXPECT_NE(attach[0].out_viommu_id, attach[1].out_viommu_id);
	close(second.accel);
	close(first.accel);
	EXPECT_NOTHING_LEFT(self);
	dma_close(&other);
}

/* Without a device */

#define EXPECT_VIRTUAL_REFUSED(g, vsid, flags, _errno, _reason)		\
	do {								\
		struct smmuv3_accel_attach _out;			\
									\
		EXPECT_EQ(-(_errno), accel_attach_virtual(g, vsid, flags, &_out)); \
		EXPECT_EQ(SMMUV3_ACCEL_REASON_##_reason, _out.out_reason); \
	} while (0)

TEST_F(refuse, emulated)
{
	EXPECT_VIRTUAL_REFUSED(&self->g, VSID, SMMUV3_ACCEL_ATTACH_FEED,
			       EOPNOTSUPP, NO_FEED);
	EXPECT_NOTHING_LEFT(self);
}

TEST_F(refuse, bridge_with_device)
{
	struct smmuv3_accel_attach arg = {
		.size = sizeof(arg),
		.flags = SMMUV3_ACCEL_ATTACH_BRIDGE,
		.vfio_fd = self->dev.fd,
		.vsid = VSID,
	};

	EXPECT_NE(0, ioctl(self->g.accel, SMMUV3_ACCEL_ATTACH, &arg));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HAS_DEVICE, arg.out_reason);
	EXPECT_NOTHING_LEFT(self);
}

/* SIDSIZE is the host's where nothing else was offered. */
TEST_F(refuse, vsid_beyond_table)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys;
	__u32 size, reason;

	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	ASSERT_EQ(0, accel_phys(&self->g, attach.out_phys, &phys));
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	size = 1U << (phys.out_idr[1] & IDR1_SIDSIZE);
	EXPECT_REFUSED(&self->g, self->dev.fd, size, EINVAL, VSID_RANGE);
	EXPECT_REFUSED(&self->g, self->dev.fd, ~0U, EINVAL, VSID_RANGE);
	EXPECT_VIRTUAL_REFUSED(&self->g, size, SMMUV3_ACCEL_ATTACH_BRIDGE, EINVAL, VSID_RANGE);
	EXPECT_EQ(0, accel_attach(&self->g, self->dev.fd, size - 1, &attach));
}

TEST_F(refuse, too_many_streams)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	struct smmuv3_accel_attach attach;
	__u32 i, reason;

	ASSERT_EQ(0, ioctl(self->g.accel, SMMUV3_ACCEL_GET_INFO, &info));
	for (i = variant->hotplug; i < info.out_max_streams; i++)
		ASSERT_EQ(0, accel_attach_virtual(&self->g, 0x1000 + i,
						  SMMUV3_ACCEL_ATTACH_BRIDGE, &attach));
	EXPECT_REFUSED(&self->g, self->dev.fd, VSID, ENOSPC, TOO_MANY_STREAMS);
	EXPECT_VIRTUAL_REFUSED(&self->g, VSID, SMMUV3_ACCEL_ATTACH_BRIDGE,
			       ENOSPC, TOO_MANY_STREAMS);
	ASSERT_EQ(0, accel_detach(&self->g, 0x1001, &reason));
	EXPECT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
}

TEST_HARNESS_MAIN
