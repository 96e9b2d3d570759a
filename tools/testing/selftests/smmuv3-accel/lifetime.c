// SPDX-License-Identifier: GPL-2.0
/*
 * Letting go, in every order: DMA is blocked when the last call returns, and
 * nothing of the vSMMU is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/iommufd.h>

#include "guest.h"
#include "harness.h"

#define VSID	0x20

/* A bypassing stream: its DMA reaches guest memory as long as it is attached */
FIXTURE(lifetime)
{
	struct guest g;
	struct dma_dev dev;
	__u64 page;
};

static int start(struct guest *g, struct dma_dev *dev, __u32 vsid)
{
	struct smmuv3_accel_attach attach;
	__u64 ste[8];
	__u32 reason;
	int rc;

	rc = accel_attach(g, dev->fd, vsid, &attach);
	if (rc)
		return rc;
	ste_config(ste, STE_CFG_BYPASS);
	return accel_install(g, vsid, ste, &reason);
}

FIXTURE_SETUP(lifetime)
{
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	self->page = guest_alloc(&self->g, 4096);
	ASSERT_EQ(0, start(&self->g, &self->dev, VSID));
	ASSERT_EQ(0, testdev_write(&self->dev, self->page));
}

FIXTURE_TEARDOWN(lifetime)
{
	dma_close(&self->dev);
	guest_close(&self->g);
}

TEST_F(lifetime, detach)
{
	__u32 reason;

	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	EXPECT_EQ(-ENOENT, accel_detach(&self->g, VSID, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, reason);
	/* And back again */
	ASSERT_EQ(0, start(&self->g, &self->dev, VSID));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
}

TEST_F(lifetime, detach_many_times)
{
	__u32 reason;
	int i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
		ASSERT_EQ(0, start(&self->g, &self->dev, VSID));
	}
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
}

TEST_F(lifetime, close)
{
	close(self->g.accel);
	self->g.accel = -1;
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
}

/* The VFIO file is held, so the device stays as it is until close */
TEST_F(lifetime, vfio_closed_first)
{
	struct dma_dev again;
	int fd = self->dev.fd;

	self->dev.fd = -1;
	close(fd);
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	/* Held, so nobody else can have it */
	EXPECT_NE(0, dma_open(&again, self->g.iommufd, DMA_TESTDEV, 0));
	munmap((void *)self->dev.bar, self->dev.bar_size);
	self->dev.bar = NULL;

	close(self->g.accel);
	self->g.accel = -1;
	ASSERT_EQ(0, dma_open(&again, self->g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(-EFAULT, testdev_write(&again, self->page));
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
	dma_close(&again);
}

TEST_F(lifetime, iommufd_closed_first)
{
	__u32 reason;

	close(self->g.iommufd);
	self->g.iommufd = -1;
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	ASSERT_EQ(0, start(&self->g, &self->dev, VSID));
	close(self->g.accel);
	self->g.accel = -1;
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
}

/* An event queue of the VMM's hangs on the vIOMMU beyond close */
TEST_F(lifetime, event_queue_left_open)
{
	struct smmuv3_accel_phys phys = { .size = sizeof(phys) };
	__u32 id;
	int fd;

	ASSERT_EQ(0, ioctl(self->g.accel, SMMUV3_ACCEL_GET_PHYS, &phys));
	EXPECT_EQ(1, phys.out_stream_num);
	fd = veventq_open(self->g.iommufd, phys.out_viommu_id, &id);
	ASSERT_LE(0, fd);
	close(self->g.accel);
	self->g.accel = -1;
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, phys.out_viommu_id));
	close(fd);
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, id));
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, phys.out_viommu_id));
}

/* The VMM has the vIOMMU invalidate, directly, a third of the time */

struct user {
	int iommufd;
	volatile __u32 viommu_id;
	volatile bool stop;
	volatile unsigned int calls;
};

static void *use_viommu(void *arg)
{
	struct user *u = arg;
	struct cmd cmds[16];
	struct timespec start, end, pause = {};
	unsigned int i;

	while (!u->stop) {
		struct iommu_hwpt_invalidate inv = {
			.size = sizeof(inv),
			.hwpt_id = u->viommu_id,
			.data_uptr = (__u64)(unsigned long)cmds,
			.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
			.entry_len = sizeof(cmds[0]),
			.entry_num = ARRAY_LEN(cmds),
		};

		for (i = 0; i < ARRAY_LEN(cmds); i++)
			cmds[i] = cmd_tlbi_asid(i);
		clock_gettime(CLOCK_MONOTONIC, &start);
		u->calls += !ioctl(u->iommufd, IOMMU_HWPT_INVALIDATE, &inv);
		clock_gettime(CLOCK_MONOTONIC, &end);
		if (end.tv_sec == start.tv_sec)
			pause.tv_nsec = 2 * (end.tv_nsec - start.tv_nsec) % 1000000000;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

TEST_F(lifetime, viommu_in_use_for_a_moment)
{
	struct smmuv3_accel_phys phys;
	struct user u = { .iommufd = self->g.iommufd };
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, use_viommu, &u));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, accel_phys(&self->g, 0, &phys));
		u.viommu_id = phys.out_viommu_id;
		ASSERT_EQ(0, testdev_write(&self->dev, self->page));
		close(self->g.accel);
		ASSERT_EQ(0, guest_create(&self->g));
		ASSERT_EQ(0, start(&self->g, &self->dev, VSID));
	}
	u.stop = true;
	pthread_join(thread, NULL);
	close(self->g.accel);
	self->g.accel = -1;
	TH_LOG("%u calls", u.calls);
	EXPECT_LT(0, u.calls);
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
}

/*
 * The last reference is dropped by another process, the VMM lives on. Whoever
 * that is blocks DMA and lets go of the devices; the objects stay the iommufd's.
 */
TEST_F(lifetime, last_close_elsewhere)
{
	struct smmuv3_accel_phys phys;
	int status, pipe_fd[2];
	struct dma_dev again;
	char go;
	pid_t pid;

	ASSERT_EQ(0, accel_phys(&self->g, 0, &phys));
	ASSERT_EQ(0, pipe(pipe_fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* All but the vSMMU's own file */
		close(pipe_fd[1]);
		close(self->dev.fd);
		close(self->g.iommufd);
		if (read(pipe_fd[0], &go, 1) != 1)
			_exit(1);
		_exit(close(self->g.accel) ? 2 : 0);
	}
	close(self->g.accel);
	self->g.accel = -1;
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	ASSERT_EQ(1, write(pipe_fd[1], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	dma_close(&self->dev);
	ASSERT_EQ(0, dma_open(&again, self->g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(-EFAULT, testdev_write(&again, self->page));
	dma_close(&again);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, phys.out_s2_hwpt_id));
}

/* A process that ends, or is ended, in the middle of everything */

FIXTURE(process)
{
	struct guest g;
};

FIXTURE_VARIANT(process)
{
	int signal;
	bool busy;
};

FIXTURE_VARIANT_ADD(process, exit) { .signal = 0, .busy = false };
FIXTURE_VARIANT_ADD(process, kill) { .signal = SIGKILL, .busy = false };
FIXTURE_VARIANT_ADD(process, kill_busy) { .signal = SIGKILL, .busy = true };

FIXTURE_SETUP(process)
{
}

FIXTURE_TEARDOWN(process)
{
}

static void *ste_load(void *arg)
{
	struct guest *g = arg;
	__u64 ste[8];
	__u32 reason;
	int i;

	for (i = 0;; i++) {
		ste_config(ste, i & 1 ? STE_CFG_BYPASS : STE_CFG_ABORT);
		accel_install(g, VSID, ste, &reason);
	}
	return NULL;
}

static void *invalidate_load(void *arg)
{
	static struct cmd cmds[3000];
	struct smmuv3_accel_invalidate out;
	int i;

	for (i = 0; i < 3000; i++)
		cmds[i] = cmd_tlbi_va(1, i * 4096ULL, true);
	for (;;)
		accel_invalidate(arg, cmds, 3000, &out);
	return NULL;
}

static void *attach_load(void *arg)
{
	struct smmuv3_accel_attach attach;
	struct guest *g = arg;
	struct dma_dev dev;
	__u32 reason;

	if (dma_open(&dev, g->iommufd, DMA_TESTDEV, 1))
		return NULL;
	for (;;) {
		accel_attach(g, dev.fd, VSID + 1, &attach);
		accel_detach(g, VSID + 1, &reason);
	}
	return NULL;
}

static void child(bool busy, int ready)
{
	static void *(*const loads[])(void *) = {
		ste_load, invalidate_load, attach_load,
	};
	pthread_t thread;
	struct guest g;
	struct dma_dev dev;
	unsigned int i;

	if (guest_open(&g) || dma_open(&dev, g.iommufd, DMA_TESTDEV, 0) ||
	    start(&g, &dev, VSID))
		_exit(1);
	for (i = 0; busy && i < ARRAY_LEN(loads); i++)
		pthread_create(&thread, NULL, loads[i], &g);
	if (write(ready, "", 1) != 1)
		_exit(2);
	if (!busy)
		return;
	for (;;)
		testdev_write(&dev, GUEST_BASE);
}

TEST_F(process, ends)
{
	const struct timespec wait = { .tv_nsec = 100000000 };
	int status, ready[2], round;
	struct dma_dev dev;
	struct guest g;
	pid_t pid;
	char c;

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			child(variant->busy, ready[1]);
			if (variant->signal)
				pause();
			_exit(0);
		}
		ASSERT_EQ(1, read(ready[0], &c, 1));
		if (variant->signal) {
			if (variant->busy)
				nanosleep(&wait, NULL);
			kill(pid, variant->signal);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		/* What waitpid() gives is the signal that ended it, or 0 */
		EXPECT_EQ(variant->signal, status);
		close(ready[0]);
		close(ready[1]);

		/* At once, everything is there for the next one, and blocked */
		ASSERT_EQ(0, guest_open(&g));
		ASSERT_EQ(0, dma_open(&dev, g.iommufd, DMA_TESTDEV, 0));
		EXPECT_EQ(-EFAULT, testdev_write(&dev, GUEST_BASE));
		ASSERT_EQ(0, start(&g, &dev, VSID));
		EXPECT_EQ(0, testdev_write(&dev, GUEST_BASE));
		dma_close(&dev);
		guest_close(&g);
	}
}

/* The host unbinds an attached device: it waits, and goes on after DETACH */

struct unbind {
	const char *bdf;
	volatile bool done;
	int rc;
};

static void *unbind(void *arg)
{
	struct unbind *u = arg;

	u->rc = sysfs_write("/sys/bus/pci/drivers/vfio-pci/unbind", u->bdf);
	u->done = true;
	return NULL;
}

TEST_F(lifetime, host_unbinds)
{
	const struct timespec wait = { .tv_nsec = 300000000 };
	struct unbind u = { .bdf = self->dev.bdf };
	pthread_t thread;
	__u32 reason;

	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind, &u));
	nanosleep(&wait, NULL);
	EXPECT_FALSE(u.done);
	/* The VMM's own descriptor is closed, and still it waits */
	munmap((void *)self->dev.bar, self->dev.bar_size);
	close(self->dev.fd);
	self->dev.bar = NULL;
	self->dev.fd = -1;
	nanosleep(&wait, NULL);
	EXPECT_FALSE(u.done);
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_TRUE(u.done);
	EXPECT_EQ(0, u.rc);

	ASSERT_EQ(0, sysfs_write("/sys/bus/pci/drivers_probe", self->dev.bdf));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(0, start(&self->g, &self->dev, VSID));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
}

TEST_HARNESS_MAIN
