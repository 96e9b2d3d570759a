// SPDX-License-Identifier: GPL-2.0
/*
 * The last close of an accel file by a process that is not its VMM: DMA is blocked
 * and the device free at once, whatever the VMM does with its memory, and the objects
 * stay in the iommufd.
 *
 * A test that finds a waiting process ends the wait, so that the next test can run.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness.h"
#include "stress.h"

#define MS	1000000ULL

enum trap {
	TRAP_NONE,
	TRAP_REGISTERED,	/* a userfaultfd on the scratch mappings */
	TRAP_REPLACED,		/* on memory that the VMM has put in their place */
};

/* 0: all scratch mappings are trapped; else the first errno */
static int set_trap(enum trap trap, int uffd)
{
	struct range scratch[SCRATCH_MAX];
	int num = scratch_find(scratch), i, rc = num ? 0 : -ENOENT;

	for (i = 0; i < num && !rc; i++) {
		unsigned long start = scratch[i].start, len = scratch[i].end - start;

		if (trap == TRAP_REPLACED &&
		    (munmap((void *)start, len) ||
		     mmap((void *)start, len, PROT_READ | PROT_WRITE,
			  MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		     MAP_FAILED))
			return -errno;
		if (trap == TRAP_REGISTERED)
			madvise((void *)start, len, MADV_DONTNEED);
		rc = uffd_register(uffd, start, len);
	}
	return rc;
}

/* The VMM gives its accel file away and obeys orders, a letter each */
static int vmm(int sock, enum trap trap)
{
	int uffd = uffd_open();
	struct machine m;
	char what;
	int rc;

	/* Libraries have mapped all that they need, so the module's mappings come next */
	rc = machine_open(&m, .stage = STAGE_CREATED, .devices = 1);
	if (rc)
		return 1;
	guest_close_accel(&m.g);
	scratch_before();
	if (guest_create(&m.g) || machine_bypass(&m, 0) || machine_goes(&m, 0))
		return 2;
	if (trap != TRAP_NONE)
		rc = set_trap(trap, uffd);
	if (fd_send(sock, m.g.accel, rc) || fd_send(sock, uffd, 0))
		return 3;
	guest_close_accel(&m.g);
	close(uffd);
	while (read(sock, &what, 1) == 1) {
		rc = 0;
		if (what == 'd')	/* DMA */
			rc = machine_goes(&m, 0);
		else if (what == 'v')	/* let go of the device */
			dma_close(&m.stream[0].dev);
		if (write(sock, &rc, sizeof(rc)) != sizeof(rc))
			return 4;
	}
	return 0;
}

/* Take a device from vfio-pci and give it back, as the host does. @uffd is not for this process */
static int unbind(const char *bdf, int uffd)
{
	close(uffd);
	return sysfs_write("/sys/bus/pci/drivers/vfio-pci/unbind", bdf) ||
	       sysfs_write("/sys/bus/pci/drivers_probe", bdf);
}

FIXTURE(elsewhere)
{
	char bdf[16];
	pid_t vmm;
	int sock;
	int accel;
	int uffd;
	int trapped;
};

FIXTURE_VARIANT(elsewhere)
{
	enum trap trap;
};

FIXTURE_VARIANT_ADD(elsewhere, untouched) { .trap = TRAP_NONE };
FIXTURE_VARIANT_ADD(elsewhere, registered) { .trap = TRAP_REGISTERED };
FIXTURE_VARIANT_ADD(elsewhere, replaced) { .trap = TRAP_REPLACED };

FIXTURE_SETUP(elsewhere)
{
	int socks[2], unused;

	ASSERT_EQ(0, dma_find(DMA_TESTDEV, 0, self->bdf));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	self->vmm = fork();
	ASSERT_LE(0, self->vmm);
	if (!self->vmm) {
		close(socks[0]);
		_exit(vmm(socks[1], variant->trap));
	}
	close(socks[1]);
	self->sock = socks[0];
	self->accel = fd_receive(self->sock, &self->trapped);
	ASSERT_LE(0, self->accel);
	self->uffd = fd_receive(self->sock, &unused);
	ASSERT_LE(0, self->uffd);
}

/* Close the userfaultfd first, which wakes up its waiters */
FIXTURE_TEARDOWN(elsewhere)
{
	close(self->uffd);
	if (self->accel >= 0)
		close(self->accel);
	if (self->vmm) {
		kill(self->vmm, SIGKILL);
		waitpid(self->vmm, NULL, 0);
	}
	close(self->sock);
}

static int tell(int sock, char what)
{
	int answer;

	if (write(sock, &what, 1) != 1 || read(sock, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	return answer;
}

TEST_F(elsewhere, close_blocks_dma_while_the_vmm_lives)
{
	__u64 began, took;
	pid_t host;

	/* A userfaultfd cannot trap the module's own pages */
	EXPECT_EQ(variant->trap == TRAP_REGISTERED, !!self->trapped);
	ASSERT_EQ(0, tell(self->sock, 'd'));

	began = now_ns();
	close(self->accel);
	self->accel = -1;
	took = now_ns() - began;
	EXPECT_GT(AT_ONCE_MS * MS, took);
	EXPECT_EQ(-EFAULT, tell(self->sock, 'd'));

	/* The module does not hold the device any more */
	EXPECT_EQ(0, tell(self->sock, 'v'));
	EXPECT_EQ(0, next_vmm_works(0)) TH_LOG("the device is held");

	kill(self->vmm, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, child_status(self->vmm, AT_ONCE_MS));
	self->vmm = 0;
	host = fork();
	ASSERT_LE(0, host);
	if (!host)
		_exit(unbind(self->bdf, self->uffd));
	EXPECT_EQ(0, child_status(host, AT_ONCE_MS)) TH_LOG("the host cannot unbind the device");
	/* If it waits, this ends the wait */
	close(self->uffd);
	self->uffd = -1;
	child_status(host, AT_ONCE_MS);
	EXPECT_EQ(0, next_vmm_works(0));
	TH_LOG("close took %llu us", took / 1000);
}

TEST_F(elsewhere, close_frees_the_device_after_the_vmm_is_killed)
{
	pid_t host;

	kill(self->vmm, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, child_status(self->vmm, AT_ONCE_MS));
	self->vmm = 0;
	close(self->accel);
	self->accel = -1;
	host = fork();
	ASSERT_LE(0, host);
	if (!host)
		_exit(unbind(self->bdf, self->uffd));
	EXPECT_EQ(0, child_status(host, AT_ONCE_MS));
	EXPECT_EQ(0, next_vmm_works(0));
}

/* The objects that a close by another process leaves in the iommufd */

FIXTURE(left)
{
	struct machine m;
	struct smmuv3_accel_phys phys;
	__u32 nested_id;
};

FIXTURE_SETUP(left)
{
	struct smmuv3_accel_stream stream;
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_open(m, .stage = STAGE_EXPLICIT, .devices = 1));
	ASSERT_EQ(0, accel_phys(&m->g, 0, &self->phys));
	ASSERT_EQ(0, accel_stream(&m->g, MACHINE_VSID, &stream));
	self->nested_id = stream.out_hwpt_id;
	ASSERT_EQ(1, machine_goes(m, 0));
}

FIXTURE_TEARDOWN(left)
{
	machine_close(&self->m);
}

/* In the order that the documentation gives */
TEST_F(left, holder_of_the_iommufd_can_destroy_the_objects)
{
	struct machine *m = &self->m;
	int iommufd = m->g.iommufd;

	ASSERT_EQ(0, close_in_child(m));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, m->g.ioas_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, m->stream[0].ids.out_s2_hwpt_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, m->stream[0].ids.out_viommu_id));

	EXPECT_EQ(0, iommufd_destroy(iommufd, m->stream[0].ids.out_vdevice_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, self->nested_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, self->phys.out_abort_hwpt_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, self->phys.out_bypass_hwpt_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, m->stream[0].ids.out_viommu_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, m->stream[0].ids.out_s2_hwpt_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, m->g.ioas_id));
}

TEST_F(left, objects_hinder_no_other_vsmmu)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, close_in_child(m));
	ASSERT_EQ(0, guest_create(&m->g));
	/* The device has its old vDEVICE until that is destroyed or the device is unbound */
	EXPECT_EQ(-EBUSY, machine_attach(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_DEVICE_IN_USE, m->stream[0].ids.out_reason);
	dma_close(&m->stream[0].dev);
	ASSERT_EQ(0, dma_open(&m->stream[0].dev, m->g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, machine_goes(m, 0));
}

TEST_F(left, objects_go_with_the_iommufd)
{
	ASSERT_EQ(0, close_in_child(&self->m));
	machine_close(&self->m);
	EXPECT_EQ(0, next_vmm_works(0));
}

TEST_HARNESS_MAIN
