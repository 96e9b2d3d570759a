// SPDX-License-Identifier: GPL-2.0
/*
 * What a hostile process must not be able to do: use a device or an iommufd that
 * nobody gave to it, have the module wait for its memory, write where the module
 * writes, or keep a processor busy.
 *
 * Several processes take part. A test that finds the module at fault lets go of
 * what holds it up, so that the next test can run.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define VSID		0x20
#define MS		1000000ULL

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

/* "At once", on a debug kernel and a busy machine too */
#define AT_ONCE_MS	5000

static void sleep_ms(unsigned int ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * MS };

	nanosleep(&t, NULL);
}

/**
 * struct machine - A VMM whose device bypasses stage 1
 * @g: its guest
 * @dev: its device
 * @ids: the objects that the module made for it
 * @page: where DMA of the device goes
 */
struct machine {
	struct guest g;
	struct dma_dev dev;
	struct smmuv3_accel_attach ids;
	__u64 page;
};

static int bypass(struct machine *m)
{
	__u64 ste[8];
	__u32 reason;
	int rc;

	rc = accel_attach(&m->g, m->dev.fd, VSID, &m->ids);
	if (rc)
		return rc;
	ste_config(ste, STE_CFG_BYPASS);
	return accel_install(&m->g, VSID, ste, &reason);
}

static void machine_close(struct machine *m)
{
	dma_close(&m->dev);
	if (m->g.ram)
		guest_close(&m->g);
}

/* With the iommu-testdev number @index. Nothing is attached yet */
static int machine_open(struct machine *m, int index)
{
	int rc;

	memset(m, 0, sizeof(*m));
	m->dev.fd = -1;
	rc = guest_open(&m->g);
	if (!rc)
		rc = dma_open(&m->dev, m->g.iommufd, DMA_TESTDEV, index);
	if (rc) {
		machine_close(m);
		return rc;
	}
	m->page = guest_alloc(&m->g, 4096);
	return 0;
}

static int machine_start(struct machine *m, int index)
{
	int rc = machine_open(m, index);

	if (!rc)
		rc = bypass(m);
	if (rc)
		machine_close(m);
	return rc;
}

static void close_accel(struct machine *m)
{
	close(m->g.accel);
	m->g.accel = -1;
}

/* All that the scratch mappings are used for. Returns the first error */
static int all_works(struct machine *m)
{
	const struct cmd cmds[] = { cmd_tlbi_nh_all(), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	__u64 ste[8];
	__u32 reason;
	int rc;

	rc = accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &out);
	if (rc)
		return rc;
	ste_config(ste, STE_CFG_ABORT);
	rc = accel_install(&m->g, VSID, ste, &reason);
	if (rc)
		return rc;
	if (testdev_write(&m->dev, m->page) != -EFAULT)
		return -EBADE;
	rc = accel_detach(&m->g, VSID, &reason);
	if (!rc)
		rc = bypass(m);
	return rc ? rc : testdev_write(&m->dev, m->page);
}

/* A child's exit status, or -1 if it does not end in time */
static int ends(pid_t pid, unsigned int ms)
{
	int status = 0;

	for (; waitpid(pid, &status, WNOHANG) == 0; ms--) {
		if (!ms)
			return -1;
		sleep_ms(1);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Authority: which descriptors a process has to have */

FIXTURE(authority)
{
	struct machine m;
};

FIXTURE_SETUP(authority)
{
	ASSERT_EQ(0, machine_open(&self->m, 0));
}

FIXTURE_TEARDOWN(authority)
{
	machine_close(&self->m);
}

/* VFIO gives access to the file that bound the device, and to no other one. */
TEST_F(authority, device_file_that_did_not_bind)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach out;
	int second = dma_open_cdev(m->dev.bdf);

	ASSERT_LE(0, second);
	EXPECT_EQ(-EINVAL, accel_attach(&m->g, second, VSID, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_BOUND, out.out_reason);
	EXPECT_EQ(0, out.out_vdevice_id);
	EXPECT_EQ(0, bypass(m));
	/* While it is attached too */
	EXPECT_EQ(-EINVAL, accel_attach(&m->g, second, VSID + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_BOUND, out.out_reason);
	EXPECT_EQ(0, testdev_write(&m->dev, m->page));
	close(second);
	EXPECT_EQ(0, testdev_write(&m->dev, m->page));
}

/* A process that binds a device to the iommufd and hands the file over */
TEST_F(authority, device_file_of_another_process)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach out;
	int socks[2], number, fd;
	struct dma_dev dev;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (dma_open(&dev, m->g.iommufd, DMA_TESTDEV, 1))
			_exit(1);
		_exit(fd_send(socks[1], dev.fd, dev.dev_id) ? 2 : 0);
	}
	fd = fd_receive(socks[0], &number);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ends(pid, AT_ONCE_MS));
	ASSERT_EQ(0, accel_attach(&m->g, fd, VSID, &out));
	EXPECT_EQ(number, out.out_dev_id);
	close(fd);
	close(socks[0]);
	close(socks[1]);
}

/* Of the VMM's descriptors it has the vSMMU's file and no iommufd, or another one. */
static int change_process(int accel, int iommufd, __u32 *reason)
{
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = iommufd,
	};
	int rc = ioctl(accel, SMMUV3_ACCEL_CHANGE_PROCESS, &arg) ? -errno : 0;

	*reason = arg.out_reason;
	return rc;
}

static int take_without_iommufd(struct machine *m)
{
	int other = open("/dev/iommu", O_RDWR), null = open("/dev/null", O_RDWR);
	__u32 reason;

	close(m->g.iommufd);
	close(m->dev.fd);
	if (change_process(m->g.accel, -1, &reason) != -EBADF ||
	    change_process(m->g.accel, m->g.iommufd, &reason) != -EBADF)
		return 1;
	if (change_process(m->g.accel, null, &reason) != -EINVAL ||
	    reason != SMMUV3_ACCEL_REASON_NOT_IOMMUFD ||
	    change_process(m->g.accel, m->g.accel, &reason) != -EINVAL ||
	    reason != SMMUV3_ACCEL_REASON_NOT_IOMMUFD)
		return 2;
	if (change_process(m->g.accel, other, &reason) != -EINVAL ||
	    reason != SMMUV3_ACCEL_REASON_OTHER_IOMMUFD)
		return 3;
	return 0;
}

TEST_F(authority, process_without_the_iommufd_takes_nothing_over)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats stats;
	pid_t pid;

	ASSERT_EQ(0, bypass(m));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(take_without_iommufd(m));
	EXPECT_EQ(0, ends(pid, AT_ONCE_MS));
	EXPECT_EQ(0, accel_stats(&m->g, &stats));
	EXPECT_EQ(0, all_works(m));
}

TEST_F(authority, process_that_shows_the_iommufd_takes_over)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats stats;
	pid_t pid;

	ASSERT_EQ(0, bypass(m));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(accel_stats(&m->g, &stats) != -EIO ||
		      accel_change_process(&m->g) || accel_stats(&m->g, &stats));
	EXPECT_EQ(0, ends(pid, AT_ONCE_MS));
	EXPECT_EQ(-EIO, accel_stats(&m->g, &stats));
	EXPECT_EQ(0, testdev_write(&m->dev, m->page));
	ASSERT_EQ(0, accel_change_process(&m->g));
	EXPECT_EQ(0, all_works(m));
}

/* The device stays with the vSMMU, whoever owns that. */
static int use_without_device_file(struct machine *m)
{
	__u64 ste[8];
	__u32 reason;

	close(m->dev.fd);
	if (accel_change_process(&m->g))
		return 1;
	ste_config(ste, STE_CFG_ABORT);
	if (accel_install(&m->g, VSID, ste, &reason) ||
	    testdev_write(&m->dev, m->page) != -EFAULT)
		return 2;
	ste_config(ste, STE_CFG_BYPASS);
	if (accel_install(&m->g, VSID, ste, &reason) || testdev_write(&m->dev, m->page))
		return 3;
	return accel_detach(&m->g, VSID, &reason) ? 4 : 0;
}

TEST_F(authority, takes_over_without_the_device_file)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach out;
	pid_t pid;

	ASSERT_EQ(0, bypass(m));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(use_without_device_file(m));
	EXPECT_EQ(0, ends(pid, AT_ONCE_MS));
	EXPECT_EQ(-EFAULT, testdev_write(&m->dev, m->page));
	/* To attach it takes the file. */
	ASSERT_EQ(0, accel_change_process(&m->g));
	EXPECT_EQ(-EBADF, accel_attach(&m->g, -1, VSID, &out));
	EXPECT_EQ(0, bypass(m));
}

/* Close: by a process that is not the VMM, while the VMM's memory is missing */

enum trap {
	TRAP_NONE,
	TRAP_REGISTERED,	/* a userfaultfd on the scratch mappings */
	TRAP_REPLACED,		/* on memory that the VMM has put in their place */
};

/* Returns 0 if all of the scratch mappings are trapped, else the first errno */
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

/* The VMM: gives its vSMMU away and does what it is told, one letter at a time */
static int vmm(int sock, enum trap trap)
{
	int uffd = uffd_open();
	struct machine m;
	char what;
	int rc = 0;

	/* With all that libraries map in place, the next to map is the module. */
	if (machine_open(&m, 0))
		return 1;
	close_accel(&m);
	scratch_before();
	if (guest_create(&m.g) || bypass(&m) || testdev_write(&m.dev, m.page))
		return 2;
	if (trap != TRAP_NONE)
		rc = set_trap(trap, uffd);
	if (fd_send(sock, m.g.accel, rc) || fd_send(sock, uffd, 0))
		return 3;
	close_accel(&m);
	close(uffd);
	while (read(sock, &what, 1) == 1) {
		rc = 0;
		if (what == 'd')	/* DMA */
			rc = testdev_write(&m.dev, m.page);
		else if (what == 'v')	/* let go of the device */
			dma_close(&m.dev);
		if (write(sock, &rc, sizeof(rc)) != sizeof(rc))
			return 4;
	}
	return 0;
}

/* The host takes a device from vfio-pci and gives it back, in a process without @uffd */
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

/* The userfaultfd first: who waits for it goes on then. */
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

TEST_F(elsewhere, closed_while_the_vmm_lives)
{
	struct machine next;
	__u64 began, took;
	pid_t host;

	/* No userfaultfd holds the module's own pages. */
	EXPECT_EQ(variant->trap == TRAP_REGISTERED, !!self->trapped);
	ASSERT_EQ(0, tell(self->sock, 'd'));

	began = now_ns();
	close(self->accel);
	self->accel = -1;
	took = now_ns() - began;
	EXPECT_GT(AT_ONCE_MS * MS, took);
	EXPECT_EQ(-EFAULT, tell(self->sock, 'd'));

	/* The module has let go of the device, so the VMM's file was the last. */
	EXPECT_EQ(0, tell(self->sock, 'v'));
	EXPECT_EQ(0, machine_start(&next, 0)) TH_LOG("the device is held");
	if (next.dev.fd >= 0)
		machine_close(&next);

	kill(self->vmm, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, ends(self->vmm, AT_ONCE_MS));
	self->vmm = 0;
	host = fork();
	ASSERT_LE(0, host);
	if (!host)
		_exit(unbind(self->bdf, self->uffd));
	EXPECT_EQ(0, ends(host, AT_ONCE_MS)) TH_LOG("the host cannot unbind the device");
	/* If it is held up, this ends the waiting. */
	close(self->uffd);
	self->uffd = -1;
	ends(host, AT_ONCE_MS);
	ASSERT_EQ(0, machine_start(&next, 0));
	machine_close(&next);
	TH_LOG("close took %llu us", took / 1000);
}

TEST_F(elsewhere, closed_after_the_vmm_is_killed)
{
	struct machine next;
	pid_t host;

	kill(self->vmm, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, ends(self->vmm, AT_ONCE_MS));
	self->vmm = 0;
	close(self->accel);
	self->accel = -1;
	host = fork();
	ASSERT_LE(0, host);
	if (!host)
		_exit(unbind(self->bdf, self->uffd));
	EXPECT_EQ(0, ends(host, AT_ONCE_MS));
	ASSERT_EQ(0, machine_start(&next, 0));
	machine_close(&next);
}

/* What a close by another process leaves in the iommufd, whose holder destroys it */

FIXTURE(left)
{
	struct machine m;
	__u32 abort_id;
	__u32 bypass_id;
	__u32 nested_id;
};

FIXTURE_SETUP(left)
{
	struct smmuv3_accel_stream stream;
	struct machine *m = &self->m;
	struct pgtable pt;
	__u64 ste[8], cd;
	__u32 reason;

	ASSERT_EQ(0, machine_open(m, 0));
	ASSERT_EQ(0, accel_attach(&m->g, m->dev.fd, VSID, &m->ids));
	/* The only ways to learn which domains the module has made */
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &stream));
	self->abort_id = stream.out_hwpt_id;
	ste_config(ste, STE_CFG_BYPASS);
	ASSERT_EQ(0, accel_install(&m->g, VSID, ste, &reason));
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &stream));
	self->bypass_id = stream.out_hwpt_id;
	pgtable_init(&pt, &m->g, GRANULE_4K);
	pgtable_map(&pt, m->page, m->page, PTE_NOT_GLOBAL);
	cd = guest_alloc(&m->g, 64);
	cd_write(&m->g, cd, &pt, 1);
	ste_s1(ste, cd);
	ASSERT_EQ(0, accel_install(&m->g, VSID, ste, &reason));
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &stream));
	self->nested_id = stream.out_hwpt_id;
	ASSERT_EQ(0, testdev_write(&m->dev, m->page));
}

FIXTURE_TEARDOWN(left)
{
	machine_close(&self->m);
}

/* The last close is a child's, which has nothing else. */
static int close_in_child(struct machine *m)
{
	int go[2];
	char c;
	pid_t pid;

	if (pipe(go))
		return -1;
	pid = fork();
	if (!pid) {
		close(go[1]);
		close(m->dev.fd);
		close(m->g.iommufd);
		_exit(read(go[0], &c, 1) != 1 || close(m->g.accel));
	}
	close_accel(m);
	if (pid < 0 || write(go[1], "", 1) != 1)
		return -1;
	close(go[0]);
	close(go[1]);
	return ends(pid, AT_ONCE_MS);
}

/*
 * Domains before what they are made on, and before the stage-2 parent what is
 * made on that: the order of the documentation.
 */
TEST_F(left, objects_can_be_destroyed_by_the_holder_of_the_iommufd)
{
	struct machine *m = &self->m;
	int iommufd = m->g.iommufd;

	ASSERT_EQ(0, close_in_child(m));
	EXPECT_EQ(-EFAULT, testdev_write(&m->dev, m->page));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, m->g.ioas_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, m->ids.out_s2_hwpt_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, m->ids.out_viommu_id));

	EXPECT_EQ(0, iommufd_destroy(iommufd, m->ids.out_vdevice_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, self->nested_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, self->abort_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, self->bypass_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, m->ids.out_viommu_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, m->ids.out_s2_hwpt_id));
	EXPECT_EQ(0, iommufd_destroy(iommufd, m->g.ioas_id));
}

/* Another vSMMU of the same iommufd is not in their way. */
TEST_F(left, objects_are_not_in_the_way)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, close_in_child(m));
	ASSERT_EQ(0, guest_create(&m->g));
	/* The device still has the vDEVICE of before, unless it is destroyed. */
	EXPECT_EQ(-EBUSY, accel_attach(&m->g, m->dev.fd, VSID, &m->ids));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_DEVICE_IN_USE, m->ids.out_reason);
	dma_close(&m->dev);
	ASSERT_EQ(0, dma_open(&m->dev, m->g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(0, bypass(m));
	EXPECT_EQ(0, testdev_write(&m->dev, m->page));
}

/* The VMM is gone, a process that it gave the iommufd to lives on */
TEST_F(left, objects_go_with_the_iommufd)
{
	struct machine next;

	ASSERT_EQ(0, close_in_child(&self->m));
	machine_close(&self->m);
	memset(&self->m, 0, sizeof(self->m));
	self->m.dev.fd = -1;
	ASSERT_EQ(0, machine_start(&next, 0));
	EXPECT_EQ(0, testdev_write(&next.dev, next.page));
	machine_close(&next);
}

/* The scratch mappings */

FIXTURE(scratch)
{
	struct machine m;
	struct range at[SCRATCH_MAX];
	int num;
};

FIXTURE_SETUP(scratch)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_open(m, 0));
	close_accel(m);
	scratch_before();
	ASSERT_EQ(0, guest_create(&m->g));
	self->num = scratch_find(self->at);
	ASSERT_LT(0, self->num);
	ASSERT_EQ(0, bypass(m));
	ASSERT_EQ(0, all_works(m));
}

FIXTURE_TEARDOWN(scratch)
{
	machine_close(&self->m);
}

#define for_each_scratch(r) \
	for (r = self->at; r < self->at + self->num; r++)
#define SIZE(r)	((r)->end - (r)->start)
#define PTR(r)	((void *)(r)->start)

/* How many mappings have the module's name, and whether they are shared */
static int named(bool *shared)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256], mode[5];
	int num = 0;

	*shared = true;
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "anon_inode:[smmuv3-accel]"))
			continue;
		num++;
		if (sscanf(line, "%*x-%*x %4s", mode) != 1 || strcmp(mode, "rw-s"))
			*shared = false;
	}
	if (f)
		fclose(f);
	return num;
}

TEST_F(scratch, has_a_name)
{
	bool shared;

	EXPECT_EQ(2, named(&shared));
	EXPECT_TRUE(shared);
	close_accel(&self->m);
	EXPECT_EQ(0, named(&shared)) TH_LOG("closed by the VMM, they are left");
}

/* Whether a process can read there */
static bool readable(unsigned long addr)
{
	int fd[2];
	bool can;

	if (pipe(fd))
		return false;
	can = write(fd[1], (void *)addr, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return can;
}

TEST_F(scratch, is_not_in_a_child)
{
	struct range *r;
	pid_t pid;

	for_each_scratch(r) {
		EXPECT_TRUE(readable(r->start));
		EXPECT_NE(0, madvise(PTR(r), SIZE(r), MADV_DOFORK));
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for_each_scratch(r)
			if (readable(r->start))
				_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, ends(pid, AT_ONCE_MS)) TH_LOG("a child has the parent's arguments");
	EXPECT_EQ(0, all_works(&self->m));
}

TEST_F(scratch, cannot_be_moved_or_split)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	struct range *r;
	void *other;

	for_each_scratch(r) {
		other = mmap(NULL, SIZE(r), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, other);
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), SIZE(r),
					     MREMAP_MAYMOVE | MREMAP_FIXED, other));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), 2 * SIZE(r), MREMAP_MAYMOVE));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), SIZE(r),
					     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), 0, SIZE(r), MREMAP_MAYMOVE));
		EXPECT_NE(0, mprotect(PTR(r), SIZE(r), PROT_READ));
		EXPECT_NE(0, mprotect(PTR(r), SIZE(r), PROT_NONE));
		EXPECT_NE(0, mprotect(PTR(r), SIZE(r), PROT_READ | PROT_WRITE | PROT_EXEC));
		if (SIZE(r) == page)
			continue;
		EXPECT_NE(0, munmap(PTR(r), page));
		EXPECT_NE(0, munmap((char *)PTR(r) + page, page));
		EXPECT_NE(0, mprotect((char *)PTR(r) + page, page, PROT_READ));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), page, 0));
		EXPECT_EQ(MAP_FAILED, mmap(PTR(r), page, PROT_READ | PROT_WRITE,
					   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	}
	EXPECT_EQ(0, all_works(&self->m));
}

/* Whatever becomes of the advice, the module does not depend on it. */
TEST_F(scratch, takes_no_advice)
{
	struct range *r;
	int advice, rc;

	for (advice = 0; advice < 128; advice++) {
		/* Hardware errors are not for a test to make. */
		if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE)
			continue;
		for_each_scratch(r)
			madvise(PTR(r), SIZE(r), advice);
		rc = all_works(&self->m);
		EXPECT_EQ(0, rc) TH_LOG("after advice %d", advice);
		if (rc)
			break;
	}
	for_each_scratch(r)
		mlock(PTR(r), SIZE(r));
	EXPECT_EQ(0, all_works(&self->m));
}

TEST_F(scratch, cannot_be_held_by_userfaultfd)
{
	int uffd = uffd_open();
	struct range *r;

	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	for_each_scratch(r)
		EXPECT_NE(0, uffd_register(uffd, r->start, SIZE(r)));
	EXPECT_EQ(0, all_works(&self->m));
	close(uffd);
}

static int module_users(void)
{
	FILE *f = fopen("/sys/module/smmuv3_accel/refcnt", "r");
	int num = -1;

	if (f && fscanf(f, "%d", &num) != 1)
		num = -1;
	if (f)
		fclose(f);
	return num;
}

/* Another process closes the file: the owner's mappings keep the module, nothing else. */
TEST_F(scratch, outlives_the_accel_file)
{
	int users = module_users(), with_file;
	struct machine *m = &self->m, next;
	struct range *r;

	if (users < 0)
		SKIP(return, "smmuv3-accel is not a module here");
	with_file = users;
	ASSERT_EQ(0, close_in_child(m));
	users = module_users();
	EXPECT_GT(with_file, users);
	for_each_scratch(r)
		EXPECT_TRUE(readable(r->start));
	dma_close(&m->dev);
	ASSERT_EQ(0, machine_start(&next, 0));
	EXPECT_EQ(0, testdev_write(&next.dev, next.page));
	machine_close(&next);
	EXPECT_EQ(users, module_users());
	for_each_scratch(r) {
		EXPECT_EQ(0, munmap(PTR(r), SIZE(r)));
		EXPECT_EQ(--users, module_users());
	}
}

#ifndef __NR_mseal
#define __NR_mseal	462
#endif

/* A mapping that nobody can unmap stays until the process ends, and harms nobody. */
TEST_F(scratch, may_be_sealed)
{
	struct range *r;

	for_each_scratch(r)
		if (syscall(__NR_mseal, r->start, SIZE(r), 0))
			SKIP(return, "no mseal()");
	EXPECT_EQ(0, all_works(&self->m));
	close_accel(&self->m);
	EXPECT_EQ(-EFAULT, testdev_write(&self->m.dev, self->m.page));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->m.g.iommufd, self->m.ids.out_s2_hwpt_id))
		TH_LOG("the objects are left");
	ASSERT_EQ(0, guest_create(&self->m.g));
	EXPECT_EQ(0, bypass(&self->m));
	EXPECT_EQ(0, all_works(&self->m));
}

/* What the VMM has at the address afterwards is its own */

#define PATTERN	0xa5

/* In place of what is there */
static bool put_own_memory(const struct range *r)
{
	if (mmap(PTR(r), SIZE(r), PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != PTR(r))
		return false;
	memset(PTR(r), PATTERN, SIZE(r));
	return true;
}

static bool own_memory_is_intact(const struct range *r)
{
	unsigned long i;

	if (!readable(r->start))
		return false;
	for (i = 0; i < SIZE(r); i++)
		if (((unsigned char *)PTR(r))[i] != PATTERN)
			return false;
	return true;
}

TEST_F(scratch, unmapped_is_mapped_elsewhere)
{
	struct range *r;

	for_each_scratch(r) {
		ASSERT_EQ(0, munmap(PTR(r), SIZE(r)));
		ASSERT_TRUE(put_own_memory(r));
	}
	EXPECT_EQ(0, all_works(&self->m));
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r));
	close_accel(&self->m);
	EXPECT_EQ(-EFAULT, testdev_write(&self->m.dev, self->m.page));
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r)) TH_LOG("after close");
	EXPECT_EQ(0, iommufd_destroy(self->m.g.iommufd, self->m.g.ioas_id));
}

/* By another mapping, and without an ioctl before the close */
TEST_F(scratch, unmapped_before_close)
{
	struct range *r;

	for_each_scratch(r)
		ASSERT_TRUE(put_own_memory(r));
	close_accel(&self->m);
	EXPECT_EQ(-EFAULT, testdev_write(&self->m.dev, self->m.page));
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r));
}

/*
 * Postcopy: guest memory that is missing while the module reads it. A signal ends
 * the waiting, and after that the call can be made again.
 */

#define MISSING_PAGES	4
#define MISSING_GPA	(GUEST_BASE + GUEST_SIZE)
#define RING_LOG2SIZE	10
#define STRTAB_LOG2SIZE	8

FIXTURE(postcopy)
{
	struct machine m;
	int uffd;
	char *missing;
	size_t size;
	struct ring ring;
	struct strtab strtab;
	__u32 cr0;
};

FIXTURE_SETUP(postcopy)
{
	struct smmuv3_accel_mem_region regions[2];
	struct machine *m = &self->m;
	__u64 ste[8];

	self->uffd = uffd_open();
	if (self->uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, machine_open(m, 0));
	ASSERT_EQ(0, accel_attach(&m->g, m->dev.fd, VSID, &m->ids));
	self->size = MISSING_PAGES * sysconf(_SC_PAGESIZE);
	self->missing = mmap(NULL, self->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->missing);
	madvise(self->missing, self->size, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, uffd_register(self->uffd, (unsigned long)self->missing, self->size));
	regions[0] = (struct smmuv3_accel_mem_region){
		GUEST_BASE, GUEST_SIZE, (unsigned long)m->g.ram
	};
	regions[1] = (struct smmuv3_accel_mem_region){
		MISSING_GPA, self->size, (unsigned long)self->missing
	};
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions, 2));
	ASSERT_EQ(0, ring_init(&self->ring, &m->g, RING_LOG2SIZE));
	ASSERT_EQ(0, strtab_init(&self->strtab, &m->g, STRTAB_LOG2SIZE, 0));
	ste_config(ste, STE_CFG_BYPASS);
	strtab_write(&self->strtab, VSID, ste);
	self->cr0 = CR0_SMMUEN | CR0_CMDQEN;
}

FIXTURE_TEARDOWN(postcopy)
{
	machine_close(&self->m);
	close(self->uffd);
}

/**
 * struct call - A call that a thread makes
 * @g: on which vSMMU
 * @make: the call
 * @ring: the command queue
 * @strtab: the stream table
 * @cmds: commands of an array
 * @num: how many, and how many of them were done
 * @rc: what it returned
 * @done: it has returned
 * @thread: who makes it
 */
struct call {
	struct guest *g;
	int (*make)(struct call *c);
	struct ring *ring;
	struct strtab *strtab;
	struct cmd *cmds;
	__u32 num;
	int rc;
	atomic_bool done;
	pthread_t thread;
};

static int make_run(struct call *c)
{
	struct smmuv3_accel_run_cmdq out;
	int rc = ring_run(c->ring, &out);

	return rc ? rc : -(int)out.out_error;
}

static int make_invalidate(struct call *c)
{
	struct smmuv3_accel_invalidate out;
	int rc = accel_invalidate(c->g, c->cmds, c->num, &out);

	c->num = out.cmd_num;
	return rc ? rc : -(int)out.out_error;
}

static int make_set_regs(struct call *c)
{
	return accel_set_regs(c->g, CR0_SMMUEN | CR0_CMDQEN, c->strtab->base,
			      c->strtab->base_cfg, c->ring);
}

static void *call_thread(void *arg)
{
	struct call *c = arg;

	c->rc = c->make(c);
	atomic_store(&c->done, true);
	return NULL;
}

static bool call_returns(struct call *c, unsigned int ms)
{
	for (; !atomic_load(&c->done); ms--) {
		if (!ms)
			return false;
		sleep_ms(1);
	}
	return true;
}

static __u64 cpu_time_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ULL +
	       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void nothing(int signal)
{
}

#define RETURN_MS	1000
#define MAX_CPU_US	(RETURN_MS * 1000 / 2)

/*
 * Make a call that waits for missing memory, and send a signal. Returns what the
 * call returned, -ETIMEDOUT if the signal did not end the waiting, -EDOM if the
 * call did not wait at all.
 */
static int interrupted(struct call *c, int uffd, char *missing, size_t size)
{
	const struct sigaction action = { .sa_handler = nothing };
	const size_t page = sysconf(_SC_PAGESIZE);
	__u64 cpu, began, took;
	bool waited, returned;
	size_t i;

	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&c->done, false);
	if (pthread_create(&c->thread, NULL, call_thread, c))
		return -EAGAIN;
	waited = uffd_waits(uffd, AT_ONCE_MS);
	cpu = cpu_time_us();
	began = now_ns();
	pthread_kill(c->thread, SIGUSR1);
	returned = call_returns(c, RETURN_MS);
	took = (now_ns() - began) / 1000;
	cpu = cpu_time_us() - cpu;
	fprintf(stderr, "# %s %llu us after the signal, %llu us of CPU time\n",
		returned ? "returned" : "did not return", took, cpu);
	for (i = 0; !returned && i < size; i += page)
		uffd_give(uffd, (unsigned long)missing + i, NULL, page);
	pthread_join(c->thread, NULL);
	if (!waited)
		return -EDOM;
	return returned && cpu < MAX_CPU_US ? c->rc : -ETIMEDOUT;
}

TEST_F(postcopy, command_queue)
{
	struct call c = { .g = &self->m.g, .make = make_run, .ring = &self->ring };
	const size_t page = sysconf(_SC_PAGESIZE);
	struct smmuv3_accel_run_cmdq out;
	static struct cmd cmds[4096];
	__u32 per_page = page / sizeof(cmds[0]), i;

	for (i = 0; i < per_page; i++)
		cmds[i] = cmd_tlbi_va(i % 3, i * 4096ULL, true);
	self->ring.base = MISSING_GPA;
	ASSERT_EQ(0, accel_set_regs(&self->m.g, self->cr0, self->strtab.base,
				    self->strtab.base_cfg, &self->ring));
	self->ring.prod = 2 * per_page;
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(0, self->ring.cons);

	/* The first page is there: what is on it is done. */
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing, cmds, page));
	EXPECT_EQ(0, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(per_page, self->ring.cons);

	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing + page, cmds, page));
	ASSERT_EQ(0, ring_run(&self->ring, &out));
	EXPECT_EQ(0, out.out_error);
	EXPECT_EQ(self->ring.prod, self->ring.cons);
	EXPECT_EQ(0, testdev_write(&self->m.dev, self->m.page));
}

TEST_F(postcopy, array_of_commands)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	struct call c = { .g = &self->m.g, .make = make_invalidate };
	static struct cmd cmds[4096];
	__u32 per_page = page / sizeof(cmds[0]), i;

	for (i = 0; i < per_page; i++)
		cmds[i] = cmd_tlbi_va(i % 3, i * 4096ULL, true);
	c.cmds = (struct cmd *)self->missing;
	c.num = 2 * per_page;
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(0, c.num);
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing, cmds, page));
	c.num = 2 * per_page;
	EXPECT_EQ(0, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(per_page, c.num);
}

TEST_F(postcopy, stream_table)
{
	struct call c = { .g = &self->m.g, .make = make_set_regs, .ring = &self->ring,
			  .strtab = &self->strtab };
	const size_t page = sysconf(_SC_PAGESIZE), at = VSID * 64 / page * page;
	char *table = guest_ptr(&self->m.g, self->strtab.base);
	struct smmuv3_accel_run_cmdq out;

	self->strtab.base = MISSING_GPA;
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(-EFAULT, testdev_write(&self->m.dev, self->m.page));
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing + at, table + at, page));
	EXPECT_EQ(0, make_set_regs(&c));
	EXPECT_EQ(0, testdev_write(&self->m.dev, self->m.page));

	/* And at the guest's command; what was before it is done. */
	ASSERT_EQ(0, madvise(self->missing, self->size, MADV_DONTNEED));
	c.make = make_run;
	ring_put(&self->ring, cmd_tlbi_nh_all());
	ring_put(&self->ring, cmd_cfgi_ste(VSID, true));
	ring_put(&self->ring, cmd_sync());
	EXPECT_EQ(0, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(1, self->ring.cons);
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(1, self->ring.cons);
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing + at, table + at, page));
	ASSERT_EQ(0, ring_run(&self->ring, &out));
	EXPECT_EQ(self->ring.prod, self->ring.cons);
	EXPECT_EQ(0, testdev_write(&self->m.dev, self->m.page));
}

TEST_HARNESS_MAIN
