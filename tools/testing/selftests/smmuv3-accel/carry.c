// SPDX-License-Identifier: GPL-2.0
/*
 * What outlives a guest's machine or its VMM: a reset, a VMM that ends and is
 * started again with what it saved, and one that hands its descriptors to the
 * next while DMA goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <linux/iommufd.h>
#include <linux/userfaultfd.h>

#include "harness.h"
#include "stress.h"

#define DEVICES		2
#define PAGES		5
#define ASID		5
#define VSID(i)		(0x21 + (i))
#define STRTAB_LOG2SIZE	8
#define RING_LOG2SIZE	6

/**
 * struct vm - A VMM with its guest, in table mode
 * @g: memory and descriptors
 * @memfd: the memory
 * @events: vEVENTQ
 * @events_id: its ID in the iommufd
 * @dev: devices, all of them translated by @cd
 * @index: which test devices those are
 * @num: how many
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @ring: the command queue; also the guest's SMMU_CMDQ_* registers
 * @strtab: the stream table; also the guest's SMMU_STRTAB_* registers
 * @cr0: SMMU_CR0
 * @gbpa: SMMU_GBPA
 * @pt: stage 1
 * @cd: its CD
 * @page: DMA is to page[0], so that this means something in each configuration;
 *	stage 1 leads to another one
 */
struct vm {
	struct guest g;
	int memfd;
	int events;
	__u32 events_id;
	struct dma_dev dev[DEVICES];
	int index[DEVICES];
	int num;
	__u32 idr[6];
	struct ring ring;
	struct strtab strtab;
	__u32 cr0;
	__u32 gbpa;
	struct pgtable pt;
	__u64 cd;
	__u64 page[PAGES];
};

static int set_regs(struct vm *vm)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = vm->cr0,
		.gbpa = vm->gbpa,
		.strtab_base = vm->strtab.base,
		.strtab_base_cfg = vm->strtab.base_cfg,
		.cmdq_base = vm->ring.base | vm->ring.log2size,
	};

	return ioctl(vm->g.accel, SMMUV3_ACCEL_SET_REGS, &arg) ? -errno : 0;
}

static void map_to(struct vm *vm, int page)
{
	pgtable_map(&vm->pt, vm->page[0], vm->page[page], PTE_NOT_GLOBAL);
}

static void write_ste(struct vm *vm, int i, unsigned int cfg)
{
	__u64 ste[8];

	ste_config(ste, cfg);
	if (cfg == STE_CFG_S1)
		ste_s1(ste, vm->cd);
	strtab_write(&vm->strtab, VSID(i), ste);
}

/* What the guest sets up when it boots */
static int boot(struct vm *vm)
{
	int i, rc;

	rc = ring_init(&vm->ring, &vm->g, RING_LOG2SIZE);
	if (!rc)
		rc = strtab_init(&vm->strtab, &vm->g, STRTAB_LOG2SIZE, 0);
	if (rc)
		return rc;
	pgtable_init(&vm->pt, &vm->g, GRANULE_4K);
	vm->cd = guest_alloc(&vm->g, 64);
	cd_write(&vm->g, vm->cd, &vm->pt, ASID);
	map_to(vm, 1);
	for (i = 0; i < vm->num; i++)
		write_ste(vm, i, STE_CFG_S1);
	vm->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	vm->gbpa = 0;
	return 0;
}

static void close_files(struct vm *vm)
{
	int i;

	for (i = 0; i < vm->num; i++)
		dma_close(&vm->dev[i]);
	if (vm->events >= 0)
		close(vm->events);
	if (vm->memfd >= 0)
		close(vm->memfd);
	if (vm->g.ram)
		guest_close(&vm->g);
}

static int new_memfd(void)
{
	return memfd_create("guest", MFD_CLOEXEC);
}

/* Offer all that the SMMU has but range invalidations, to see that it stays so */
static int find_idr(struct vm *vm)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys;
	__u32 reason;
	int rc;

	rc = accel_attach(&vm->g, vm->dev[0].fd, VSID(0), &attach);
	if (!rc)
		rc = accel_phys(&vm->g, 0, &phys);
	if (!rc)
		rc = accel_detach(&vm->g, VSID(0), &reason);
	idr_offer(phys.out_idr, vm->idr);
	vm->idr[3] &= ~IDR3_RIL;
	return rc;
}

static int attach_all(struct vm *vm, struct smmuv3_accel_attach *first)
{
	struct smmuv3_accel_attach attach;
	int i, rc = 0;

	for (i = vm->num - 1; !rc && i >= 0; i--)
		rc = accel_attach(&vm->g, vm->dev[i].fd, VSID(i), &attach);
	*first = attach;
	return rc;
}

static int open_devices(struct vm *vm)
{
	int i, rc = 0;

	for (i = 0; !rc && i < vm->num; i++)
		rc = dma_open(&vm->dev[i], vm->g.iommufd, DMA_TESTDEV, vm->index[i]);
	return rc;
}

/* A VMM with a guest that runs in @memfd. @second: number of the second device */
static int vm_start(struct vm *vm, int memfd, int second)
{
	struct smmuv3_accel_set_idr set_idr;
	struct smmuv3_accel_attach attach;
	int i, rc;

	memset(vm, 0, sizeof(*vm));
	vm->g.accel = -1;
	vm->events = -1;
	vm->memfd = memfd;
	if (memfd < 0 || ftruncate(memfd, GUEST_SIZE))
		return -errno;
	rc = guest_open_memfd(&vm->g, memfd);
	if (rc)
		return rc;
	vm->num = DEVICES;
	vm->index[1] = second;
	for (i = 0; i < DEVICES; i++)
		vm->dev[i].fd = -1;
	rc = open_devices(vm);
	if (rc)
		return rc;
	for (i = 0; i < PAGES; i++)
		vm->page[i] = guest_alloc(&vm->g, 4096);
	rc = boot(vm);
	if (!rc)
		rc = guest_create(&vm->g);
	if (!rc)
		rc = accel_mem_table(&vm->g);
	if (!rc)
		rc = find_idr(vm);
	if (!rc)
		rc = accel_set_idr(&vm->g, vm->idr, &set_idr);
	if (!rc)
		rc = attach_all(vm, &attach);
	if (rc)
		return rc;
	vm->events = veventq_open(vm->g.iommufd, attach.out_viommu_id, &vm->events_id);
	if (vm->events < 0)
		return vm->events;
	return set_regs(vm);
}

/* What is by address in another process */
static void vm_moved(struct vm *vm)
{
	vm->ring.g = &vm->g;
	vm->strtab.g = &vm->g;
	vm->pt.g = &vm->g;
}

/* Take over the descriptors, which are in @vm */
static int vm_adopt(struct vm *vm)
{
	int i, rc = 0;

	vm_moved(vm);
	vm->g.ram = guest_map_memfd(vm->memfd);
	if (!vm->g.ram)
		return -ENOMEM;
	for (i = 0; !rc && i < vm->num; i++)
		rc = dma_start(&vm->dev[i]);
	return rc;
}

/* Where DMA of a device goes: number of a page, or -EFAULT */
static int goes(struct vm *vm, int dev)
{
	int i, rc;

	for (i = 0; i < PAGES; i++)
		*(volatile __u32 *)guest_ptr(&vm->g, vm->page[i]) = 0;
	rc = testdev_write(&vm->dev[dev], vm->page[0]);
	for (i = 0; !rc && i < PAGES; i++)
		if (*(volatile __u32 *)guest_ptr(&vm->g, vm->page[i]) == TESTDEV_PATTERN)
			return i;
	return rc ? rc : -ENOENT;
}

/* Run what is queued, and a CMD_SYNC */
static bool run(struct vm *vm)
{
	struct smmuv3_accel_run_cmdq out;

	ring_put(&vm->ring, cmd_sync());
	return !ring_run(&vm->ring, &out) && !out.out_error && vm->ring.cons == vm->ring.prod;
}

static struct cmd tlbi_page(struct vm *vm)
{
	return cmd_tlbi_va(ASID, vm->page[0], true);
}

/* Something is cached that is not true any more, and a command ends it */
static bool queue_works(struct vm *vm, int dev, int page)
{
	int stale = goes(vm, dev);

	map_to(vm, page);
	if (stale == page || goes(vm, dev) != stale)
		return false;
	ring_put(&vm->ring, tlbi_page(vm));
	return run(vm) && goes(vm, dev) == page;
}

/* It would keep the vIOMMU beyond the vSMMU */
static int close_events(struct vm *vm)
{
	close(vm->events);
	vm->events = -1;
	return iommufd_destroy(vm->g.iommufd, vm->events_id);
}

/* The guest's machine is reset and boots again */

FIXTURE(reboot)
{
	struct vm vm;
};

FIXTURE_SETUP(reboot)
{
	char bdf[16];

	/* On two SMMUs where there are so many */
	ASSERT_EQ(0, vm_start(&self->vm, new_memfd(), dma_find(DMA_TESTDEV, 2, bdf) ? 1 : 2));
}

FIXTURE_TEARDOWN(reboot)
{
	close_files(&self->vm);
}

TEST_F(reboot, old_translations_are_gone)
{
	struct vm *vm = &self->vm;
	struct smmuv3_accel_stream stream;
	int i;

	for (i = 0; i < vm->num; i++)
		ASSERT_EQ(1, goes(vm, i));
	map_to(vm, 2);
	/* Nothing but RESET ends them: switched off and on again they are there */
	vm->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, set_regs(vm));
	for (i = 0; i < vm->num; i++)
		ASSERT_EQ(0, goes(vm, i));
	vm->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	ASSERT_EQ(0, set_regs(vm));
	for (i = 0; i < vm->num; i++)
		ASSERT_EQ(1, goes(vm, i)) TH_LOG("no stale translation to end");

	ASSERT_EQ(0, accel_reset(&vm->g));
	for (i = 0; i < vm->num; i++) {
		EXPECT_EQ(-EFAULT, goes(vm, i));
		ASSERT_EQ(0, accel_stream(&vm->g, VSID(i), &stream));
		EXPECT_EQ(SMMUV3_ACCEL_KIND_ABORT, stream.out_kind);
		EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STE, stream.out_reason);
	}
	/* The same tables, ASID and address */
	ASSERT_EQ(0, set_regs(vm));
	for (i = 0; i < vm->num; i++)
		EXPECT_EQ(2, goes(vm, i)) TH_LOG("device %d", i);
}

TEST_F(reboot, boots_with_tables_of_its_own)
{
	struct vm *vm = &self->vm;
	const struct cmd range = cmd_range(tlbi_page(vm), 1, 0, 1, 0);
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_set_idr set_idr;
	struct ring old = vm->ring;
	int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < vm->num; i++)
			ASSERT_TRUE(queue_works(vm, i, i + 2));
		ASSERT_EQ(0, accel_reset(&vm->g));
		EXPECT_EQ(-ENXIO, ring_run(&vm->ring, &out));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

		/* The firmware's way: a bypass while the SMMU is off */
		vm->cr0 = CR0_CMDQEN;
		ASSERT_EQ(0, set_regs(vm));
		EXPECT_EQ(0, goes(vm, 0));
		ASSERT_EQ(0, boot(vm));
		EXPECT_NE(old.base, vm->ring.base);
		/* Nobody says again where memory is, who is attached or what is offered */
		ASSERT_EQ(0, set_regs(vm));
		for (i = 0; i < vm->num; i++)
			EXPECT_EQ(1, goes(vm, i)) TH_LOG("round %d, device %d", round, i);
	}
	ring_put(&vm->ring, range);
	ASSERT_EQ(0, ring_run(&vm->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(-EBUSY, accel_set_idr(&vm->g, vm->idr, &set_idr));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, set_idr.out_reason);
}

TEST_F(reboot, explicit_mode_is_back)
{
	struct vm *vm = &self->vm;
	__u64 ste[8];
	__u32 reason;

	ste_s1(ste, vm->cd);
	EXPECT_EQ(-EBUSY, accel_install(&vm->g, VSID(0), ste, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_TABLE_MODE, reason);
	ASSERT_EQ(1, goes(vm, 0));
	map_to(vm, 2);
	ASSERT_EQ(1, goes(vm, 0)) TH_LOG("no stale translation to end");
	ASSERT_EQ(0, accel_reset(&vm->g));
	ASSERT_EQ(0, accel_install(&vm->g, VSID(0), ste, &reason));
	EXPECT_EQ(2, goes(vm, 0));
	EXPECT_EQ(-EFAULT, goes(vm, 1));

	/* RESET in explicit mode, too */
	map_to(vm, 3);
	ASSERT_EQ(2, goes(vm, 0)) TH_LOG("no stale translation to end");
	ASSERT_EQ(0, accel_reset(&vm->g));
	EXPECT_EQ(-EFAULT, goes(vm, 0));
	ASSERT_EQ(0, set_regs(vm));
	EXPECT_EQ(3, goes(vm, 0));
	EXPECT_EQ(3, goes(vm, 1));
}

/*
 * Programs that this one starts: itself, with the name of a role and the number
 * of a descriptor from which to read a struct vm
 */

static int role_failures;

static bool role_expect(bool holds, const char *what, int line)
{
	if (!holds) {
		fprintf(stderr, "# carry.c:%d: %s\n", line, what);
		role_failures++;
	}
	return holds;
}

#define ROLE_EXPECT(what)	role_expect(what, #what, __LINE__)

/* Does not return, unless it failed */
static void become(const char *role, const struct vm *vm)
{
	int fd = memfd_create("state", 0);
	char number[16];

	if (fd < 0 || write(fd, vm, sizeof(*vm)) != sizeof(*vm))
		return;
	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "carry", role, number, NULL);
}

static int wait_for(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/*
 * A VMM that was started anew: guest memory, and what was saved, is all that it
 * has. The order of SET_REGS and ATTACH makes no difference.
 */
static int restored(struct vm *vm, bool regs_first)
{
	struct smmuv3_accel_set_idr set_idr;
	struct smmuv3_accel_attach attach;
	__u32 cons = vm->ring.cons;
	__u64 next = vm->g.next;
	int i;

	if (!ROLE_EXPECT(!guest_open_memfd(&vm->g, vm->memfd)) ||
	    !ROLE_EXPECT(!open_devices(vm)))
		return 1;
	vm->g.next = next;
	vm_moved(vm);
	vm->events = -1;
	ROLE_EXPECT(!guest_create(&vm->g));
	ROLE_EXPECT(!accel_mem_table(&vm->g));
	ROLE_EXPECT(!accel_set_idr(&vm->g, vm->idr, &set_idr));
	if (regs_first)
		ROLE_EXPECT(!set_regs(vm));
	ROLE_EXPECT(!attach_all(vm, &attach));
	if (!regs_first) {
		for (i = 0; i < vm->num; i++)
			ROLE_EXPECT(goes(vm, i) == -EFAULT);
		ROLE_EXPECT(!set_regs(vm));
	}

	/* The guest's own tables: an STE that it changed without CFGI_STE as well */
	ROLE_EXPECT(goes(vm, 0) == 2);
	ROLE_EXPECT(goes(vm, 1) == 0);
	ROLE_EXPECT(vm->ring.cons != vm->ring.prod);
	ROLE_EXPECT(run(vm));
	ROLE_EXPECT(goes(vm, 0) == 2);
	ROLE_EXPECT(queue_works(vm, 0, 3));
	ROLE_EXPECT(queue_works(vm, 0, 1));

	/* CONS as it was long ago */
	vm->ring.cons = cons;
	ROLE_EXPECT(run(vm));
	vm->ring.cons = (vm->ring.prod + 1) ^ (1U << RING_LOG2SIZE);
	ROLE_EXPECT(run(vm));
	ROLE_EXPECT(goes(vm, 0) == 1);
	ROLE_EXPECT(goes(vm, 1) == 0);
	write_ste(vm, 1, STE_CFG_S1);
	ring_put(&vm->ring, cmd_cfgi_ste(VSID(1), true));
	ROLE_EXPECT(run(vm));
	ROLE_EXPECT(goes(vm, 1) == 1);

	close(vm->g.accel);
	vm->g.accel = -1;
	ROLE_EXPECT(!iommufd_destroy(vm->g.iommufd, vm->g.ioas_id));
	return role_failures;
}

FIXTURE(restart)
{
	struct vm vm;
};

FIXTURE_VARIANT(restart)
{
	const char *role;
	bool killed;
};

FIXTURE_VARIANT_ADD(restart, attach_first) { .role = "restored", .killed = false };
FIXTURE_VARIANT_ADD(restart, regs_first) { .role = "restored-regs-first", .killed = false };
FIXTURE_VARIANT_ADD(restart, killed) { .role = "restored", .killed = true };

FIXTURE_SETUP(restart)
{
	memset(&self->vm, 0, sizeof(self->vm));
}

FIXTURE_TEARDOWN(restart)
{
}

/* The VMM before. Lets the guest queue what it does not run any more, and ends */
static int saved(struct vm *vm, int memfd, int to, bool killed)
{
	int i;

	if (!ROLE_EXPECT(!vm_start(vm, memfd, 1)))
		return 1;
	ROLE_EXPECT(goes(vm, 0) == 1);
	for (i = 0; i < 1 << RING_LOG2SIZE; i++) {
		ring_put(&vm->ring, cmd_tlbi_va(ASID + 1, i * 4096ULL, true));
		if (i % 7 == 6)
			ROLE_EXPECT(run(vm));
	}
	ROLE_EXPECT(queue_works(vm, 0, 3));
	map_to(vm, 2);
	ring_put(&vm->ring, tlbi_page(vm));
	ring_put(&vm->ring, cmd_sync());
	write_ste(vm, 1, STE_CFG_BYPASS);
	ring_put(&vm->ring, cmd_cfgi_ste(VSID(1), true));
	ROLE_EXPECT(goes(vm, 0) == 3);
	ROLE_EXPECT(goes(vm, 1) == 3);
	ROLE_EXPECT(write(to, vm, sizeof(*vm)) == sizeof(*vm));
	if (killed)
		pause();
	close_files(vm);
	return role_failures;
}

TEST_F(restart, from_what_was_saved)
{
	struct vm *vm = &self->vm;
	int memfd = memfd_create("guest", 0), from[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(from));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(saved(vm, memfd, from[1], variant->killed));
	close(from[1]);
	ASSERT_EQ(sizeof(*vm), read(from[0], vm, sizeof(*vm)));
	if (variant->killed)
		ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(variant->killed ? SIGKILL : 0, wait_for(pid));

	vm->memfd = memfd;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		become(variant->role, vm);
		_exit(127);
	}
	EXPECT_EQ(0, wait_for(pid));
}

/* Descriptors, handed to another process */

#define FDS	(4 + DEVICES)

static void fds_of(struct vm *vm, int *fds[FDS])
{
	int i;

	fds[0] = &vm->g.iommufd;
	fds[1] = &vm->g.accel;
	fds[2] = &vm->memfd;
	fds[3] = &vm->events;
	for (i = 0; i < DEVICES; i++)
		fds[4 + i] = &vm->dev[i].fd;
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int[FDS]))];
};

static bool send_vm(int sock, struct vm *vm)
{
	union control control = {};
	struct iovec iov = { vm, sizeof(*vm) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int *fds[FDS], i;

	control.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int[FDS])),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	fds_of(vm, fds);
	for (i = 0; i < FDS; i++)
		((int *)CMSG_DATA(&control.header))[i] = *fds[i];
	return sendmsg(sock, &msg, 0) == sizeof(*vm);
}

static bool receive_vm(int sock, struct vm *vm)
{
	union control control;
	struct iovec iov = { vm, sizeof(*vm) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int *fds[FDS], i;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(*vm) ||
	    control.header.cmsg_len != CMSG_LEN(sizeof(int[FDS])))
		return false;
	fds_of(vm, fds);
	for (i = 0; i < FDS; i++)
		*fds[i] = ((int *)CMSG_DATA(&control.header))[i];
	return !vm_adopt(vm);
}

/**
 * struct load - DMA without a pause
 * @dev: the device
 * @iova: where to
 * @stop: it is to end
 * @done: how often
 * @failed: how often it failed
 * @thread: who does it
 */
struct load {
	struct dma_dev *dev;
	__u64 iova;
	volatile bool stop;
	volatile unsigned long done;
	volatile unsigned long failed;
	pthread_t thread;
};

static void *load_thread(void *arg)
{
	struct load *load = arg;

	while (!load->stop) {
		if (testdev_write(load->dev, load->iova))
			load->failed++;
		load->done++;
	}
	return NULL;
}

static int load_start(struct load *load, struct vm *vm)
{
	load->stop = false;
	load->dev = &vm->dev[0];
	load->iova = vm->page[0] + 0x800;
	return pthread_create(&load->thread, NULL, load_thread, load);
}

static void load_stop(struct load *load)
{
	load->stop = true;
	pthread_join(load->thread, NULL);
}

/* What each ioctl of a vSMMU's returns to those that it is not for */
static bool all_foreign(struct vm *vm)
{
	struct smmuv3_accel_invalidate invalidate;
	const struct cmd flush = cmd_tlbi_nh_all();
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_stats stats;
	struct ring ring = vm->ring;
	__u64 ste[8] = {};
	__u32 reason;

#define FOREIGN(rc, reason) \
	((rc) == -EIO && (reason) == SMMUV3_ACCEL_REASON_FOREIGN_MM)
	return FOREIGN(ring_run(&ring, &out), out.out_reason) &&
	       FOREIGN(accel_detach(&vm->g, VSID(0), &reason), reason) &&
	       FOREIGN(accel_attach(&vm->g, vm->dev[0].fd, VSID(7), &attach), attach.out_reason) &&
	       FOREIGN(accel_stream(&vm->g, VSID(0), &stream), stream.out_reason) &&
	       FOREIGN(accel_invalidate(&vm->g, &flush, 1, &invalidate), invalidate.out_reason) &&
	       accel_install(&vm->g, VSID(0), ste, &reason) == -EIO &&
	       set_regs(vm) == -EIO && accel_reset(&vm->g) == -EIO &&
	       accel_mem_table(&vm->g) == -EIO && accel_stats(&vm->g, &stats) == -EIO;
#undef FOREIGN
}

/**
 * struct stuck - A thread that the module waits for, with the vSMMU's queue locked
 * @vm: its VMM
 * @uffd: whom the module asks for the memory where the command is
 * @page: that memory
 * @error: what became of the command, or -1
 * @thread: who gives it
 */
struct stuck {
	struct vm *vm;
	int uffd;
	void *page;
	int error;
	pthread_t thread;
};

static void *stuck_thread(void *arg)
{
	struct stuck *stuck = arg;
	struct smmuv3_accel_invalidate out;

	stuck->error = accel_invalidate(&stuck->vm->g, stuck->page, 1, &out) ? -1 : out.out_error;
	return NULL;
}

static bool stuck_start(struct stuck *stuck, struct vm *vm)
{
	const long size = sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.len = size,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct pollfd poll_fd = { .events = POLLIN };

	stuck->vm = vm;
	stuck->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	stuck->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (unsigned long)stuck->page;
	poll_fd.fd = stuck->uffd;
	return stuck->uffd >= 0 && stuck->page != MAP_FAILED &&
	       !ioctl(stuck->uffd, UFFDIO_API, &api) &&
	       !ioctl(stuck->uffd, UFFDIO_REGISTER, &range) &&
	       !pthread_create(&stuck->thread, NULL, stuck_thread, stuck) &&
	       poll(&poll_fd, 1, 5000) == 1;
}

/* What comes is no command */
static bool stuck_end(struct stuck *stuck)
{
	struct uffdio_zeropage zero = {
		.range = { (unsigned long)stuck->page, sysconf(_SC_PAGESIZE) },
	};

	return !ioctl(stuck->uffd, UFFDIO_ZEROPAGE, &zero) && !pthread_join(stuck->thread, NULL) &&
	       stuck->error == SMMUV3_ACCEL_CERROR_ILL;
}

/*
 * The VMM before: does DMA all the time and what it is told, one letter at a
 * time, until it is to close everything. Answers with 0 or 1.
 */
static int before(int sock, struct load *load)
{
	static struct vm vm;
	static struct stuck stuck;
	char what, answer;

	if (!ROLE_EXPECT(!vm_start(&vm, new_memfd(), 1)) || !ROLE_EXPECT(goes(&vm, 0) == 1) ||
	    !ROLE_EXPECT(goes(&vm, 1) == 1) || !ROLE_EXPECT(!load_start(load, &vm)) ||
	    !ROLE_EXPECT(send_vm(sock, &vm)))
		return 1;
	while (read(sock, &what, 1) == 1) {
		answer = 0;
		switch (what) {
		case 's':	/* stop DMA */
			load_stop(load);
			break;
		case 'f':	/* all is foreign */
			answer = !all_foreign(&vm);
			break;
		case 't':	/* take it back */
			answer = accel_change_process(&vm.g) || accel_mem_table(&vm.g);
			break;
		case 'o':	/* it is the owner */
			answer = !!accel_mem_table(&vm.g);
			break;
		case 'e':	/* close the vEVENTQ's descriptor */
			close(vm.events);
			vm.events = -1;
			break;
		case 'h':	/* have the module wait */
			answer = !stuck_start(&stuck, &vm);
			break;
		case 'r':	/* no longer */
			answer = !stuck_end(&stuck);
			break;
		case 'c':	/* close all */
			close_files(&vm);
			break;
		}
		if (write(sock, &answer, 1) != 1)
			return 1;
		if (what == 'c')
			break;
	}
	pause();
	return 0;
}

static int tell(int sock, char what)
{
	char answer;

	if (write(sock, &what, 1) != 1 || read(sock, &answer, 1) != 1)
		return -1;
	return answer;
}

FIXTURE(handover)
{
	struct vm vm;
	struct load *load;	/* the process before's */
	struct load here;
	int sock;
	pid_t pid;
};

FIXTURE_SETUP(handover)
{
	int socks[2];

	self->load = mmap(NULL, sizeof(*self->load), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->load);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		close(socks[0]);
		_exit(before(socks[1], self->load));
	}
	close(socks[1]);
	self->sock = socks[0];
	ASSERT_TRUE(receive_vm(self->sock, &self->vm));
}

static void end(pid_t *pid)
{
	if (*pid) {
		kill(*pid, SIGKILL);
		wait_for(*pid);
	}
	*pid = 0;
}

FIXTURE_TEARDOWN(handover)
{
	end(&self->pid);
	close_files(&self->vm);
}

static int change_ioas(struct vm *vm)
{
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };

	return ioctl(vm->g.iommufd, IOMMU_IOAS_CHANGE_PROCESS, &arg) ? -errno : 0;
}

static int take_over(struct vm *vm)
{
	int rc = change_ioas(vm);

	if (!rc)
		rc = accel_change_process(&vm->g);
	return rc ? rc : accel_mem_table(&vm->g);
}

/* All that a VMM does, with the second device */
static void expect_all_works(struct __test_metadata *_metadata, struct vm *vm)
{
	struct smmuv3_accel_attach attach;
	__u32 reason;
	__u64 evt[4];
	int page = goes(vm, 1);

	ASSERT_LT(0, page);
	page = page % (PAGES - 1) + 1;
	EXPECT_TRUE(queue_works(vm, 1, page));
	write_ste(vm, 1, STE_CFG_BYPASS);
	EXPECT_EQ(page, goes(vm, 1));
	ring_put(&vm->ring, cmd_cfgi_ste(VSID(1), true));
	EXPECT_TRUE(run(vm));
	EXPECT_EQ(0, goes(vm, 1));
	write_ste(vm, 1, STE_CFG_S1);
	ring_put(&vm->ring, cmd_cfgi_all());
	EXPECT_TRUE(run(vm));
	EXPECT_EQ(page, goes(vm, 1));

	EXPECT_EQ(-EFAULT, testdev_write(&vm->dev[1], 0x40000000));
	EXPECT_EQ(0, veventq_read(vm->events, evt, 5000));
	EXPECT_EQ(EVT_F_TRANSLATION, evt[0] & 0xff);
	EXPECT_EQ(VSID(1), evt[0] >> 32);
	EXPECT_EQ(0x40000000, evt[2]);

	EXPECT_EQ(0, accel_detach(&vm->g, VSID(1), &reason));
	EXPECT_EQ(-EFAULT, goes(vm, 1));
	EXPECT_EQ(0, accel_attach(&vm->g, vm->dev[1].fd, VSID(1), &attach));
	EXPECT_EQ(page, goes(vm, 1));
}

/* Of a vSMMU that this process has, when it is closed for the last time */
static void expect_closes(struct __test_metadata *_metadata, struct vm *vm)
{
	EXPECT_EQ(0, close_events(vm));
	close(vm->g.accel);
	vm->g.accel = -1;
	EXPECT_EQ(-EFAULT, goes(vm, 0));
	EXPECT_EQ(-EFAULT, goes(vm, 1));
}

/* Stage 2 of a vSMMU that is live, and DMA of the first device goes on throughout */
TEST_F(handover, while_dma_goes_on)
{
	struct vm *vm = &self->vm;
	struct smmuv3_accel_run_cmdq out;
	unsigned long done = self->load->done;
	__u32 cons = vm->ring.cons;

	EXPECT_TRUE(all_foreign(vm));
	ASSERT_EQ(0, change_ioas(vm));
	EXPECT_TRUE(all_foreign(vm));
	ASSERT_EQ(0, accel_change_process(&vm->g));
	EXPECT_EQ(0, tell(self->sock, 'f'));

	/* The memory table's addresses were another process's */
	map_to(vm, 2);
	ASSERT_EQ(1, goes(vm, 1));
	ring_put(&vm->ring, tlbi_page(vm));
	ring_put(&vm->ring, cmd_sync());
	ASSERT_EQ(0, ring_run(&vm->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ABT, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_UNREADABLE, out.out_reason);
	EXPECT_EQ(cons, out.cons);
	EXPECT_EQ(1, goes(vm, 1));
	ASSERT_EQ(0, accel_mem_table(&vm->g));
	ASSERT_TRUE(run(vm));
	EXPECT_EQ(2, goes(vm, 1));
	expect_all_works(_metadata, vm);

	/* The device's own hand-over is the VMM's: only one can use its registers */
	EXPECT_EQ(0, tell(self->sock, 's'));
	ASSERT_EQ(0, load_start(&self->here, vm));
	EXPECT_LT(done, self->load->done);
	EXPECT_EQ(0, self->load->failed);
	EXPECT_EQ(0, tell(self->sock, 'f'));
	EXPECT_EQ(0, tell(self->sock, 'c'));
	expect_all_works(_metadata, vm);
	end(&self->pid);
	expect_all_works(_metadata, vm);
	load_stop(&self->here);
	EXPECT_EQ(0, self->here.failed);
	TH_LOG("%lu and %lu DMAs", self->load->done, self->here.done);
	expect_closes(_metadata, vm);
	EXPECT_EQ(0, iommufd_destroy(vm->g.iommufd, vm->g.ioas_id)) TH_LOG("not at once");
}

/* The process before ends first, so that its address space is no more */
TEST_F(handover, from_one_that_ended)
{
	struct vm *vm = &self->vm;

	end(&self->pid);
	ASSERT_EQ(0, load_start(&self->here, vm));
	EXPECT_TRUE(all_foreign(vm));
	ASSERT_EQ(0, take_over(vm));
	expect_all_works(_metadata, vm);
	load_stop(&self->here);
	EXPECT_EQ(0, self->here.failed);
	expect_closes(_metadata, vm);
	EXPECT_EQ(0, iommufd_destroy(vm->g.iommufd, vm->g.ioas_id)) TH_LOG("not at once");
}

TEST_F(handover, killed_afterwards)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, take_over(vm));
	end(&self->pid);
	EXPECT_EQ(0, self->load->failed);
	expect_all_works(_metadata, vm);
	expect_closes(_metadata, vm);
	EXPECT_EQ(0, iommufd_destroy(vm->g.iommufd, vm->g.ioas_id)) TH_LOG("not at once");
}

/* Never taken over, its VMM gone: DMA goes on until the last close, wherever it is */
TEST_F(handover, never_taken)
{
	struct vm *vm = &self->vm;

	end(&self->pid);
	EXPECT_EQ(1, goes(vm, 0));
	expect_closes(_metadata, vm);
}

/* The last close is the process before's, in whose address space nothing can be done */
TEST_F(handover, last_close_is_the_old_one)
{
	struct vm *vm = &self->vm;

	EXPECT_EQ(0, tell(self->sock, 'e'));
	EXPECT_EQ(0, tell(self->sock, 's'));
	ASSERT_EQ(0, take_over(vm));
	EXPECT_EQ(0, close_events(vm));
	close(vm->g.accel);
	vm->g.accel = -1;
	EXPECT_EQ(1, goes(vm, 0));
	EXPECT_EQ(0, tell(self->sock, 'c'));
	EXPECT_EQ(-EFAULT, goes(vm, 0));
	EXPECT_EQ(-EFAULT, goes(vm, 1));
	/* The objects are left to the iommufd. */
	EXPECT_EQ(-EBUSY, iommufd_destroy(vm->g.iommufd, vm->g.ioas_id));
}

/* Nothing changes where there is no room for the scratch mappings */
TEST_F(handover, no_room)
{
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = self->vm.g.iommufd,
	};
	struct vm *vm = &self->vm;
	struct rlimit limit, none;

	arg.iommufd = vm->g.iommufd;
	ASSERT_EQ(0, change_ioas(vm));
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &none));
	EXPECT_EQ(-1, ioctl(vm->g.accel, SMMUV3_ACCEL_CHANGE_PROCESS, &arg));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_ROOM, arg.out_reason);
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	EXPECT_TRUE(all_foreign(vm));
	EXPECT_EQ(0, tell(self->sock, 'o'));
	ASSERT_EQ(0, take_over(vm));
	expect_all_works(_metadata, vm);
}

/* And back again, as after an update that failed */
TEST_F(handover, there_and_back)
{
	struct vm *vm = &self->vm;
	int round;

	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, take_over(vm));
		ASSERT_TRUE(queue_works(vm, 1, round % 2 + 2));
		ASSERT_EQ(0, tell(self->sock, 't'));
		ASSERT_TRUE(all_foreign(vm));
	}
	EXPECT_EQ(0, self->load->failed);
	ASSERT_EQ(0, take_over(vm));
	expect_all_works(_metadata, vm);
}

/* Its own already: nothing happens */
TEST_F(handover, to_oneself)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, take_over(vm));
	ASSERT_EQ(0, accel_change_process(&vm->g));
	expect_all_works(_metadata, vm);
}

/* The process before is in a call that waits for its memory: a signal ends the waiting */

static void on_alarm(int signal)
{
}

static void expect_interrupted(struct __test_metadata *_metadata, struct vm *vm)
{
	const struct itimerval timer = { { 0, 100000 }, { 0, 100000 } }, off = { };
	struct sigaction action = { .sa_handler = on_alarm };

	ASSERT_EQ(0, change_ioas(vm));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	EXPECT_EQ(-EINTR, accel_change_process(&vm->g));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, NULL));
	EXPECT_EQ(1, goes(vm, 1));
}

TEST_F(handover, from_one_that_is_stuck)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, tell(self->sock, 'h'));
	expect_interrupted(_metadata, vm);
	EXPECT_EQ(0, tell(self->sock, 'r'));
	EXPECT_EQ(0, tell(self->sock, 'o'));
	ASSERT_EQ(0, take_over(vm));
	EXPECT_EQ(0, self->load->failed);
	expect_all_works(_metadata, vm);
}

TEST_F(handover, from_one_that_is_killed_when_stuck)
{
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, tell(self->sock, 'h'));
	expect_interrupted(_metadata, vm);
	end(&self->pid);
	ASSERT_EQ(0, take_over(vm));
	EXPECT_EQ(0, self->load->failed);
	expect_all_works(_metadata, vm);
}

TEST(handover_before_create)
{
	struct guest g = { .accel = open("/dev/smmuv3-accel", O_RDWR) };

	ASSERT_LE(0, g.accel);
	EXPECT_EQ(-ENXIO, accel_change_process(&g));
	close(g.accel);
}

TEST_F(handover, scratch_is_made_anew)
{
	struct range scratch[SCRATCH_MAX];
	struct vm *vm = &self->vm;
	int num;

	scratch_before();
	ASSERT_EQ(0, take_over(vm));
	num = scratch_find(scratch);
	EXPECT_LT(0, num);
	while (num-- > 0)
		EXPECT_EQ(0, munmap((void *)scratch[num].start,
				    scratch[num].end - scratch[num].start));
	expect_all_works(_metadata, vm);
	EXPECT_EQ(0, tell(self->sock, 's'));
	EXPECT_EQ(0, tell(self->sock, 'c'));
	expect_closes(_metadata, vm);
	EXPECT_EQ(0, iommufd_destroy(vm->g.iommufd, vm->g.ioas_id));
}

/* More than one process wants it at a time: each call is by the owner or is not */

#define GRABS	300

/* Returns how often this was the owner's process throughout, or -1 */
static int grab(struct vm *vm)
{
	const struct cmd flush = cmd_tlbi_nh_all();
	struct smmuv3_accel_invalidate out;
	int i, rc, owned = 0;

	for (i = 0; i < GRABS; i++) {
		if (accel_change_process(&vm->g))
			return -1;
		rc = accel_mem_table(&vm->g);
		if (rc && rc != -EIO)
			return -1;
		rc = accel_invalidate(&vm->g, &flush, 1, &out);
		if (rc && (rc != -EIO || out.out_reason != SMMUV3_ACCEL_REASON_FOREIGN_MM))
			return -1;
		owned += !rc;
	}
	return owned;
}

TEST_F(handover, wanted_by_several)
{
	struct vm *vm = &self->vm;
	int owned, i;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(grab(vm) <= 0);
	}
	owned = grab(vm);
	EXPECT_LT(0, owned);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, wait_for(pid[i]));
	/* The last that had it may have ended */
	ASSERT_EQ(0, take_over(vm));
	expect_all_works(_metadata, vm);
	EXPECT_EQ(0, self->load->failed);
	end(&self->pid);
	expect_closes(_metadata, vm);
	EXPECT_EQ(0, iommufd_destroy(vm->g.iommufd, vm->g.ioas_id));
}

/* A VMM that executes its new version, with its descriptors */
static int executed(struct vm *vm)
{
	if (!ROLE_EXPECT(!vm_adopt(vm)))
		return 1;
	ROLE_EXPECT(goes(vm, 0) == 1);
	ROLE_EXPECT(all_foreign(vm));
	ROLE_EXPECT(!take_over(vm));
	ROLE_EXPECT(queue_works(vm, 0, 2));
	ROLE_EXPECT(queue_works(vm, 1, 3));
	ROLE_EXPECT(!close_events(vm));
	close(vm->g.accel);
	vm->g.accel = -1;
	ROLE_EXPECT(goes(vm, 0) == -EFAULT);
	ROLE_EXPECT(goes(vm, 1) == -EFAULT);
	ROLE_EXPECT(!iommufd_destroy(vm->g.iommufd, vm->g.ioas_id));
	return role_failures;
}

TEST(executes_its_new_version)
{
	static struct vm vm;
	int *fds[FDS], i;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (vm_start(&vm, new_memfd(), 1) || goes(&vm, 0) != 1)
			_exit(2);
		fds_of(&vm, fds);
		for (i = 0; i < FDS; i++)
			fcntl(*fds[i], F_SETFD, 0);	/* not close-on-exec */
		become("executed", &vm);
		_exit(127);
	}
	EXPECT_EQ(0, wait_for(pid));
}

int main(int argc, char **argv)
{
	static struct vm vm;
	const char *role = argv[1];

	/* Options of the harness begin otherwise */
	if (argc != 3 || *role == '-')
		return test_harness_run(argc, argv);
	if (pread(atoi(argv[2]), &vm, sizeof(vm), 0) != sizeof(vm))
		return 2;
	if (!strcmp(role, "restored"))
		return restored(&vm, false);
	if (!strcmp(role, "restored-regs-first"))
		return restored(&vm, true);
	if (!strcmp(role, "executed"))
		return executed(&vm);
	return 2;
}
