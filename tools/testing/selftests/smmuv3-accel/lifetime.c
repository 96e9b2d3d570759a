// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors are closed in every order, and processes end at any time: DMA is blocked
 * when the last call returns, and nothing of the vSMMU is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/iommufd.h>

#include "harness.h"
#include "machine.h"
#include "stress.h"

#define VSID	MACHINE_VSID

/* A stream that bypasses, so its DMA reaches guest memory while it is attached */
FIXTURE(lifetime)
{
	struct machine m;
};

FIXTURE_SETUP(lifetime)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED, .devices = 1));
	ASSERT_EQ(0, machine_bypass(&self->m, 0));
	ASSERT_EQ(0, machine_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(lifetime)
{
	machine_close(&self->m);
}

TEST_F(lifetime, detach_blocks_dma)
{
	__u32 reason;

	ASSERT_EQ(0, machine_detach(&self->m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	EXPECT_EQ(-ENOENT, accel_detach(&self->m.g, VSID, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, reason);
	ASSERT_EQ(0, machine_bypass(&self->m, 0));
	EXPECT_EQ(0, machine_goes(&self->m, 0));
}

TEST_F(lifetime, device_can_be_attached_many_times)
{
	int i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, machine_detach(&self->m, 0));
		ASSERT_EQ(0, machine_bypass(&self->m, 0));
	}
	EXPECT_EQ(0, machine_goes(&self->m, 0));
}

TEST_F(lifetime, close_blocks_dma)
{
	guest_close_accel(&self->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	EXPECT_NOTHING_LEFT(&self->m.g);
}

/* The module holds the VFIO file, so the device goes on until the accel file is closed */
TEST_F(lifetime, vfio_file_may_be_closed_first)
{
	struct dma_dev again;
	int fd = self->m.stream[0].dev.fd;

	self->m.stream[0].dev.fd = -1;
	close(fd);
	EXPECT_EQ(0, machine_goes(&self->m, 0));
	/* No other VMM can open the device */
	EXPECT_NE(0, dma_open(&again, self->m.g.iommufd, DMA_TESTDEV, 0));
	munmap((void *)self->m.stream[0].dev.bar, self->m.stream[0].dev.bar_size);
	self->m.stream[0].dev.bar = NULL;

	guest_close_accel(&self->m.g);
	ASSERT_EQ(0, dma_open(&again, self->m.g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(-EFAULT, testdev_write(&again, self->m.stream[0].s1.page[0]));
	EXPECT_NOTHING_LEFT(&self->m.g);
	dma_close(&again);
}

TEST_F(lifetime, iommufd_may_be_closed_first)
{
	close(self->m.g.iommufd);
	self->m.g.iommufd = -1;
	EXPECT_EQ(0, machine_goes(&self->m, 0));
	ASSERT_EQ(0, machine_detach(&self->m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	ASSERT_EQ(0, machine_bypass(&self->m, 0));
	guest_close_accel(&self->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
}

/* An open vEVENTQ keeps the vIOMMU */
TEST_F(lifetime, veventq_may_be_closed_last)
{
	struct smmuv3_accel_phys phys;
	__u32 id;
	int fd;

	ASSERT_EQ(0, accel_phys(&self->m.g, 0, &phys));
	EXPECT_EQ(1, phys.out_stream_num);
	fd = veventq_open(self->m.g.iommufd, phys.out_viommu_id, &id);
	ASSERT_LE(0, fd);
	guest_close_accel(&self->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->m.g.iommufd, phys.out_viommu_id));
	close(fd);
	EXPECT_EQ(0, iommufd_destroy(self->m.g.iommufd, id));
	EXPECT_EQ(0, iommufd_destroy(self->m.g.iommufd, phys.out_viommu_id));
}

/* A thread that uses the vIOMMU for its own invalidations a third of the time */
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

TEST_F(lifetime, close_waits_while_the_vmm_uses_the_viommu)
{
	struct smmuv3_accel_phys phys;
	struct user u = { .iommufd = self->m.g.iommufd };
	pthread_t thread;
	int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, use_viommu, &u));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, accel_phys(&self->m.g, 0, &phys));
		u.viommu_id = phys.out_viommu_id;
		ASSERT_EQ(0, machine_goes(&self->m, 0));
		close(self->m.g.accel);
		ASSERT_EQ(0, guest_create(&self->m.g));
		ASSERT_EQ(0, machine_bypass(&self->m, 0));
	}
	u.stop = true;
	pthread_join(thread, NULL);
	guest_close_accel(&self->m.g);
	TH_LOG("%u calls", u.calls);
	EXPECT_LT(0, u.calls);
	EXPECT_NOTHING_LEFT(&self->m.g);
}

/* The VMM lives on. The devices are free, and the objects stay in the iommufd */
TEST_F(lifetime, last_close_by_another_process_blocks_dma)
{
	struct smmuv3_accel_phys phys;
	struct dma_dev again;

	ASSERT_EQ(0, accel_phys(&self->m.g, 0, &phys));
	ASSERT_EQ(0, close_in_child(&self->m));
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	dma_close(&self->m.stream[0].dev);
	ASSERT_EQ(0, dma_open(&again, self->m.g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(-EFAULT, testdev_write(&again, self->m.stream[0].s1.page[0]));
	dma_close(&again);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->m.g.iommufd, self->m.g.ioas_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->m.g.iommufd, phys.out_s2_hwpt_id));
}

/* A process ends or is killed, whatever it is doing */

FIXTURE(process)
{
	struct machine m;
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
	struct machine *m = arg;
	int i;

	for (i = 0;; i++)
		machine_install(m, 0, i & 1 ? STE_CFG_BYPASS : STE_CFG_ABORT);
	return NULL;
}

static void *invalidate_load(void *arg)
{
	static struct cmd cmds[3000];
	struct smmuv3_accel_invalidate out;
	struct machine *m = arg;
	int i;

	for (i = 0; i < 3000; i++)
		cmds[i] = cmd_tlbi_va(1, i * 4096ULL, true);
	for (;;)
		accel_invalidate(&m->g, cmds, 3000, &out);
	return NULL;
}

static void *attach_load(void *arg)
{
	struct machine *m = arg;
	struct dma_dev dev;

	if (dma_open(&dev, m->g.iommufd, DMA_TESTDEV, 1))
		return NULL;
	for (;;) {
		accel_attach(&m->g, dev.fd, VSID + 1, NULL);
		accel_detach(&m->g, VSID + 1, NULL);
	}
	return NULL;
}

static void child(bool busy, int ready)
{
	static void *(*const loads[])(void *) = {
		ste_load, invalidate_load, attach_load,
	};
	static struct machine m;
	pthread_t thread;
	unsigned int i;
	int rc;

	rc = machine_open(&m, .stage = STAGE_CREATED, .devices = 1) ?: machine_bypass(&m, 0);
	if (rc)
		_exit(1);
	for (i = 0; busy && i < ARRAY_LEN(loads); i++)
		pthread_create(&thread, NULL, loads[i], &m);
	if (write(ready, "", 1) != 1)
		_exit(2);
	if (!busy)
		return;
	for (;;)
		testdev_write(&m.stream[0].dev, GUEST_BASE);
}

TEST_F(process, end_leaves_devices_blocked_and_free)
{
	const struct timespec wait = { .tv_nsec = 100000000 };
	int status, ready[2], round;
	struct machine *m = &self->m;
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
		EXPECT_EQ(variant->signal, status);
		close(ready[0]);
		close(ready[1]);

		ASSERT_EQ(0, machine_open(m, .stage = STAGE_CREATED, .devices = 1));
		EXPECT_EQ(-EFAULT, machine_goes(m, 0));
		ASSERT_EQ(0, machine_bypass(m, 0));
		EXPECT_EQ(0, machine_goes(m, 0));
		machine_close(m);
	}
}

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

TEST_F(lifetime, unbinding_by_the_host_waits_for_detach)
{
	const struct timespec wait = { .tv_nsec = 300000000 };
	struct unbind u = { .bdf = self->m.stream[0].dev.bdf };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, unbind, &u));
	nanosleep(&wait, NULL);
	EXPECT_FALSE(u.done);
	/* It waits for the module's reference, not for the VMM's descriptor */
	munmap((void *)self->m.stream[0].dev.bar, self->m.stream[0].dev.bar_size);
	close(self->m.stream[0].dev.fd);
	self->m.stream[0].dev.bar = NULL;
	self->m.stream[0].dev.fd = -1;
	nanosleep(&wait, NULL);
	EXPECT_FALSE(u.done);
	ASSERT_EQ(0, machine_detach(&self->m, 0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_TRUE(u.done);
	EXPECT_EQ(0, u.rc);

	ASSERT_EQ(0, sysfs_write("/sys/bus/pci/drivers_probe", self->m.stream[0].dev.bdf));
	ASSERT_EQ(0, dma_open(&self->m.stream[0].dev, self->m.g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(0, machine_bypass(&self->m, 0));
	EXPECT_EQ(0, machine_goes(&self->m, 0));
}

TEST_HARNESS_MAIN
