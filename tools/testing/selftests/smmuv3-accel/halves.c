// SPDX-License-Identifier: GPL-2.0
/*
 * Half states: a VMM that destroys what the module has made, moves a device with
 * the device's own ioctls, or has no room. One stream suffers, the others do not,
 * and what the module says about it is true.
 *
 * Needs three iommu-testdevs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define STREAMS		3
#define VSID(i)		(0x20 + (i))
#define IOVA		0x40000000ULL
#define RING_LOG2SIZE	6
#define STRTAB_LOG2SIZE	8
#define VICTIM		1	/* neither the first stream nor the last */

/**
 * struct stream - A device behind the vSMMU
 * @dev: the device
 * @ids: the module's objects for it
 * @cd: two CDs, which lead to two pages
 * @page: those
 */
struct stream {
	struct dma_dev dev;
	struct smmuv3_accel_attach ids;
	__u64 cd[2];
	__u64 page[2];
};

/* Three devices that translate, by the guest's stream table */
FIXTURE(dead_vdevice)
{
	struct guest g;
	struct ring ring;
	struct strtab st[2];
	struct stream s[STREAMS];
};

#define for_each_stream(i) \
	for (i = 0; i < STREAMS; i++)

/* A page table and a CD for each of two pages, with an ASID for each */
static void stream_tables(struct guest *g, struct stream *s, unsigned int asid)
{
	struct pgtable pt;
	int i;

	for (i = 0; i < 2; i++) {
		s->page[i] = guest_alloc(g, 4096);
		pgtable_init(&pt, g, GRANULE_4K);
		pgtable_map(&pt, IOVA, s->page[i], PTE_NOT_GLOBAL);
		s->cd[i] = guest_alloc(g, 64);
		cd_write(g, s->cd[i], &pt, asid + i);
	}
}

/* Number of the page where DMA goes, or -EFAULT */
static int goes(struct guest *g, struct stream *s)
{
	volatile __u32 *word[2];
	int i, rc;

	for (i = 0; i < 2; i++) {
		word[i] = guest_ptr(g, s->page[i]);
		*word[i] = 0;
	}
	rc = testdev_write(&s->dev, IOVA);
	for (i = 0; !rc && i < 2; i++)
		if (*word[i] == TESTDEV_PATTERN)
			return i;
	return rc ? rc : -ENOENT;
}

FIXTURE_SETUP(dead_vdevice)
{
	struct guest *g = &self->g;
	__u64 ste[8];
	char bdf[16];
	int i, table;

	if (dma_find(DMA_TESTDEV, STREAMS - 1, bdf))
		SKIP(return, "wants %d iommu-testdevs", STREAMS);
	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, accel_mem_table(g));
	ASSERT_EQ(0, ring_init(&self->ring, g, RING_LOG2SIZE));
	for (table = 0; table < 2; table++)
		ASSERT_EQ(0, strtab_init(&self->st[table], g, STRTAB_LOG2SIZE, 0));
	for_each_stream(i) {
		ASSERT_EQ(0, dma_open(&self->s[i].dev, g->iommufd, DMA_TESTDEV, i));
		ASSERT_EQ(0, accel_attach(g, self->s[i].dev.fd, VSID(i), &self->s[i].ids));
		stream_tables(g, &self->s[i], 1 + 2 * i);
		for (table = 0; table < 2; table++) {
			ste_s1(ste, self->s[i].cd[table]);
			strtab_write(&self->st[table], VSID(i), ste);
		}
	}
	ASSERT_EQ(0, accel_set_regs(g, CR0_SMMUEN | CR0_CMDQEN, self->st[0].base,
				    self->st[0].base_cfg, &self->ring));
	for_each_stream(i)
		ASSERT_EQ(0, goes(g, &self->s[i]));
	ASSERT_EQ(0, iommufd_destroy(g->iommufd, self->s[VICTIM].ids.out_vdevice_id));
}

FIXTURE_TEARDOWN(dead_vdevice)
{
	int i;

	for_each_stream(i)
		dma_close(&self->s[i].dev);
	guest_close(&self->g);
}

/* The guest writes other CDs in place, which are not looked at before CFGI_CD. */
static int change_cds(struct guest *g, struct stream s[STREAMS])
{
	int i;

	for_each_stream(i) {
		memcpy(guest_ptr(g, s[i].cd[0]), guest_ptr(g, s[i].cd[1]), 64);
		if (goes(g, &s[i]))
			return -EBADE;
	}
	return 0;
}

static void expect_others_done(struct __test_metadata *_metadata, struct guest *g,
			       struct stream s[STREAMS])
{
	int i;

	for_each_stream(i)
		if (i != VICTIM)
			EXPECT_EQ(1, goes(g, &s[i])) TH_LOG("stream %d is stale", i);
}

TEST_F(dead_vdevice, does_not_fail_others_commands)
{
	struct smmuv3_accel_run_cmdq out;
	struct guest *g = &self->g;
	__u32 reason;
	int i;

	ASSERT_EQ(0, change_cds(g, self->s)) TH_LOG("no stale translation to end");
	for_each_stream(i)
		ring_put(&self->ring, cmd_cfgi_cd(VSID(i), 0, true));
	ring_put(&self->ring, cmd_sync());
	EXPECT_EQ(-EIO, ring_run(&self->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HOST_REJECT, out.out_reason);
	EXPECT_EQ(VSID(VICTIM), out.out_vsid);
	EXPECT_EQ(VICTIM, out.cons);
	expect_others_done(_metadata, g, self->s);

	/* Without it the rest runs. */
	EXPECT_EQ(0, accel_detach(g, VSID(VICTIM), &reason));
	EXPECT_EQ(-EFAULT, goes(g, &self->s[VICTIM]));
	EXPECT_EQ(0, ring_run(&self->ring, &out));
	EXPECT_EQ(0, out.out_vsid);
	EXPECT_EQ(self->ring.prod, self->ring.cons);
	expect_others_done(_metadata, g, self->s);
	/* And again with a vDEVICE of its own */
	EXPECT_EQ(0, accel_attach(g, self->s[VICTIM].dev.fd, VSID(VICTIM),
				  &self->s[VICTIM].ids));
	EXPECT_EQ(1, goes(g, &self->s[VICTIM]));
}

TEST_F(dead_vdevice, does_not_fail_others_commands_of_an_array)
{
	struct smmuv3_accel_invalidate out;
	struct cmd cmds[STREAMS + 1];
	struct guest *g = &self->g;
	__u32 reason;
	int i;

	ASSERT_EQ(0, change_cds(g, self->s)) TH_LOG("no stale translation to end");
	for_each_stream(i)
		cmds[i] = cmd_cfgi_cd_all(VSID(i));
	cmds[STREAMS] = cmd_sync();
	EXPECT_EQ(-EIO, accel_invalidate(g, cmds, STREAMS + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HOST_REJECT, out.out_reason);
	EXPECT_EQ(VSID(VICTIM), out.out_vsid);
	EXPECT_EQ(VICTIM, out.cmd_num);
	expect_others_done(_metadata, g, self->s);
	EXPECT_EQ(0, accel_detach(g, VSID(VICTIM), &reason));
	EXPECT_EQ(0, accel_invalidate(g, cmds + out.cmd_num, STREAMS + 1 - out.cmd_num, &out));
}

/* CFGI_ALL gives each stream its STE, whatever becomes of one of them. */
TEST_F(dead_vdevice, does_not_keep_others_from_their_stes)
{
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stream stream;
	struct guest *g = &self->g;
	__u64 ste[8];
	int i;

	for_each_stream(i) {
		ste_s1(ste, self->s[i].cd[1]);
		strtab_write(&self->st[0], VSID(i), ste);
	}
	ring_put(&self->ring, cmd_cfgi_all());
	EXPECT_GT(0, ring_run(&self->ring, &out));
	EXPECT_EQ(VSID(VICTIM), out.out_vsid);
	ASSERT_EQ(0, accel_stream(g, VSID(VICTIM), &stream));
	TH_LOG("the stream: kind %u, reason %u", stream.out_kind, stream.out_reason);
	expect_others_done(_metadata, g, self->s);
}

/* No stream keeps a table that the guest took away. */
TEST_F(dead_vdevice, keeps_no_old_stream_table_in_force)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = CR0_SMMUEN | CR0_CMDQEN,
		.strtab_base = self->st[1].base,
		.strtab_base_cfg = self->st[1].base_cfg,
	};
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stream stream;
	struct guest *g = &self->g;
	struct ring ring;
	__u32 reason;

	ASSERT_EQ(0, ring_init(&ring, g, RING_LOG2SIZE));
	arg.cmdq_base = ring.base | ring.log2size;
	EXPECT_NE(0, ioctl(g->accel, SMMUV3_ACCEL_SET_REGS, &arg));
	EXPECT_EQ(VSID(VICTIM), arg.out_vsid);
	EXPECT_NE(SMMUV3_ACCEL_REASON_NONE, arg.out_reason);
	TH_LOG("SET_REGS: errno %d, reason %u", errno, arg.out_reason);
	expect_others_done(_metadata, g, self->s);
	EXPECT_EQ(-EFAULT, goes(g, &self->s[VICTIM])) TH_LOG("the old table is in force");
	ASSERT_EQ(0, accel_stream(g, VSID(VICTIM), &stream));
	EXPECT_EQ(SMMUV3_ACCEL_KIND_ABORT, stream.out_kind);
	EXPECT_EQ(arg.out_reason, stream.out_reason);

	/* The new registers count, the queue's among them. */
	ring_put(&ring, cmd_tlbi_nh_all());
	ring_put(&ring, cmd_sync());
	EXPECT_EQ(0, ring_run(&ring, &out));
	EXPECT_EQ(0, out.out_error);
	EXPECT_EQ(ring.prod, ring.cons);

	/* The call can be made again, and then succeeds. */
	EXPECT_EQ(0, accel_detach(g, VSID(VICTIM), &reason));
	EXPECT_EQ(0, ioctl(g->accel, SMMUV3_ACCEL_SET_REGS, &arg));
	EXPECT_EQ(0, arg.out_vsid);
	EXPECT_EQ(0, accel_attach(g, self->s[VICTIM].dev.fd, VSID(VICTIM),
				  &self->s[VICTIM].ids));
	EXPECT_EQ(1, goes(g, &self->s[VICTIM]));
	expect_others_done(_metadata, g, self->s);
}

/* A VMM that moves the device with the device's own ioctls */

FIXTURE(moved)
{
	struct guest g;
	struct dma_dev dev;
	struct smmuv3_accel_attach ids;
	__u64 page;
};

FIXTURE_SETUP(moved)
{
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	self->page = guest_alloc(&self->g, 4096);
}

FIXTURE_TEARDOWN(moved)
{
	dma_close(&self->dev);
	guest_close(&self->g);
}

static int vfio_detach(struct dma_dev *dev)
{
	struct vfio_device_detach_iommufd_pt arg = { .argsz = sizeof(arg) };

	return ioctl(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg) ? -errno : 0;
}

static int vfio_attach(struct dma_dev *dev, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = sizeof(arg),
		.pt_id = pt_id,
	};

	return ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg) ? -errno : 0;
}

static int install(struct guest *g, unsigned int cfg)
{
	__u64 ste[8];
	__u32 reason;

	ste_config(ste, cfg);
	return accel_install(g, VSID(0), ste, &reason);
}

static void expect_kind(struct __test_metadata *_metadata, struct guest *g, __u32 kind)
{
	struct smmuv3_accel_stream stream;

	ASSERT_EQ(0, accel_stream(g, VSID(0), &stream));
	EXPECT_EQ(kind, stream.out_kind);
	if (kind != SMMUV3_ACCEL_KIND_OTHER)
		return;
	EXPECT_EQ(SMMUV3_ACCEL_REASON_DETACHED, stream.out_reason);
	EXPECT_EQ(0, stream.out_hwpt_id);
}

TEST_F(moved, detached_by_the_vmm)
{
	struct guest *g = &self->g;

	ASSERT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &self->ids));
	ASSERT_EQ(0, install(g, STE_CFG_BYPASS));
	expect_kind(_metadata, g, SMMUV3_ACCEL_KIND_BYPASS);
	ASSERT_EQ(0, vfio_detach(&self->dev));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	expect_kind(_metadata, g, SMMUV3_ACCEL_KIND_OTHER);
	/* The same STE */
	EXPECT_EQ(0, install(g, STE_CFG_BYPASS));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	expect_kind(_metadata, g, SMMUV3_ACCEL_KIND_BYPASS);
}

TEST_F(moved, attached_elsewhere_by_the_vmm)
{
	struct guest *g = &self->g;
	__u32 reason;

	ASSERT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &self->ids));
	ASSERT_EQ(0, vfio_attach(&self->dev, g->ioas_id));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	expect_kind(_metadata, g, SMMUV3_ACCEL_KIND_OTHER);
	/* The guest's STE says abort, as before. */
	EXPECT_EQ(0, install(g, STE_CFG_ABORT));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page))
		TH_LOG("an abort is not in force");
	expect_kind(_metadata, g, SMMUV3_ACCEL_KIND_ABORT);

	ASSERT_EQ(0, vfio_attach(&self->dev, g->ioas_id));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	EXPECT_EQ(0, accel_detach(g, VSID(0), &reason));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
}

/* By the guest's stream table, RESET and close */
TEST_F(moved, put_back_by_the_guest)
{
	struct smmuv3_accel_run_cmdq out;
	struct guest *g = &self->g;
	struct strtab st;
	struct ring ring;
	__u64 ste[8];

	ASSERT_EQ(0, accel_mem_table(g));
	ASSERT_EQ(0, ring_init(&ring, g, RING_LOG2SIZE));
	ASSERT_EQ(0, strtab_init(&st, g, STRTAB_LOG2SIZE, 0));
	ste_config(ste, STE_CFG_ABORT);
	strtab_write(&st, VSID(0), ste);
	ASSERT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &self->ids));
	ASSERT_EQ(0, accel_set_regs(g, CR0_SMMUEN | CR0_CMDQEN, st.base, st.base_cfg, &ring));
	ASSERT_EQ(0, vfio_attach(&self->dev, g->ioas_id));
	ASSERT_EQ(0, testdev_write(&self->dev, self->page));
	ring_put(&ring, cmd_cfgi_ste(VSID(0), true));
	EXPECT_EQ(0, ring_run(&ring, &out));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));

	ASSERT_EQ(0, vfio_attach(&self->dev, g->ioas_id));
	ASSERT_EQ(0, testdev_write(&self->dev, self->page));
	EXPECT_EQ(0, accel_reset(g));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page)) TH_LOG("after RESET");

	ASSERT_EQ(0, vfio_attach(&self->dev, g->ioas_id));
	ASSERT_EQ(0, testdev_write(&self->dev, self->page));
	close(g->accel);
	g->accel = -1;
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page)) TH_LOG("after close");
}

/* A device that works on the VMM's IOAS goes on to if ATTACH fails. */
TEST_F(moved, not_by_an_attach_that_fails)
{
	struct smmuv3_accel_attach *arg, out;
	const long page = sysconf(_SC_PAGESIZE);
	struct guest *g = &self->g;

	ASSERT_EQ(0, vfio_attach(&self->dev, g->ioas_id));
	ASSERT_EQ(0, testdev_write(&self->dev, self->page));
	EXPECT_EQ(-EINVAL, accel_attach(g, self->dev.fd, ~0U, &out));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));

	arg = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	*arg = (struct smmuv3_accel_attach){
		.size = sizeof(*arg),
		.vfio_fd = self->dev.fd,
		.vsid = VSID(0),
	};
	ASSERT_EQ(0, mprotect(arg, page, PROT_READ));
	EXPECT_NE(0, ioctl(g->accel, SMMUV3_ACCEL_ATTACH, arg));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, testdev_write(&self->dev, self->page)) TH_LOG("the device was taken away");
	munmap(arg, page);
	EXPECT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &out));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
}

/* A device in a low-power state, into which the VMM has put it */

#define TRACING	"/sys/kernel/tracing/"

static int low_power(struct dma_dev *dev, __u32 feature)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return ioctl(dev->fd, VFIO_DEVICE_FEATURE, &arg) ? -errno : 0;
}

static bool suspended(const struct dma_dev *dev)
{
	char path[96], status[16] = "";
	int tries = 2000;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status", dev->bdf);
	do {
		f = fopen(path, "r");
		if (!f)
			return false;
		if (!fgets(status, sizeof(status), f))
			status[0] = 0;
		fclose(f);
		if (!strcmp(status, "suspended\n"))
			return true;
		usleep(1000);
	} while (tries--);
	return false;
}

/* How many times the device was to resume since the last time that this was asked */
static int resumes(const struct dma_dev *dev)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[256];
	int num = 0;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		num += strstr(line, "rpm_resume:") && strstr(line, dev->bdf);
	fclose(f);
	f = fopen(TRACING "trace", "w");	/* which empties it */
	if (f)
		fclose(f);
	return num;
}

FIXTURE(asleep)
{
	struct guest g;
	struct dma_dev dev;
	__u64 page;
};

FIXTURE_SETUP(asleep)
{
	if (access(TRACING "events/rpm/rpm_resume", F_OK))
		SKIP(return, "this kernel has no runtime power management");
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	self->page = guest_alloc(&self->g, 4096);
	if (low_power(&self->dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) || !suspended(&self->dev)) {
		dma_close(&self->dev);
		guest_close(&self->g);
		SKIP(return, "the device does not enter a low-power state");
	}
	ASSERT_EQ(0, sysfs_write(TRACING "events/rpm/rpm_resume/enable", "1"));
}

FIXTURE_TEARDOWN(asleep)
{
	sysfs_write(TRACING "events/rpm/rpm_resume/enable", "0");
	dma_close(&self->dev);
	guest_close(&self->g);
}

/* Before and after each call it sleeps, and during the call it does not. */
TEST_F(asleep, is_awake_while_its_domain_changes)
{
	struct smmuv3_accel_attach ids;
	struct guest *g = &self->g;
	__u32 reason;

	resumes(&self->dev);
	ASSERT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &ids));
	EXPECT_LT(0, resumes(&self->dev)) TH_LOG("ATTACH");
	ASSERT_TRUE(suspended(&self->dev));
	ASSERT_EQ(0, install(g, STE_CFG_BYPASS));
	EXPECT_LT(0, resumes(&self->dev)) TH_LOG("INSTALL_STE");
	ASSERT_TRUE(suspended(&self->dev));
	ASSERT_EQ(0, low_power(&self->dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));

	ASSERT_EQ(0, low_power(&self->dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	ASSERT_TRUE(suspended(&self->dev));
	resumes(&self->dev);
	ASSERT_EQ(0, accel_detach(g, VSID(0), &reason));
	EXPECT_LT(0, resumes(&self->dev)) TH_LOG("DETACH");
	ASSERT_TRUE(suspended(&self->dev));

	ASSERT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &ids));
	ASSERT_TRUE(suspended(&self->dev));
	resumes(&self->dev);
	close(g->accel);
	g->accel = -1;
	EXPECT_LT(0, resumes(&self->dev)) TH_LOG("close");
	EXPECT_TRUE(suspended(&self->dev));
}

/* A VMM whose memory is locked, with next to nothing that it may lock */

static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int create_locked(struct guest *g)
{
	struct rlimit limit = { .rlim_cur = 16384, .rlim_max = 16384 };
	int accel = open("/dev/smmuv3-accel", O_RDWR), rc;
	__u32 reason;

	if (accel < 0 || drop_ipc_lock() || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    mlockall(MCL_FUTURE))
		return 1;
	/* Both are right; that it can be tried again would be wrong. */
	rc = accel_create(accel, g->iommufd, g->ioas_id, 0, &reason);
	fprintf(stderr, "# CREATE: %d, reason %u\n", rc, reason);
	if (rc && (rc != -ENOMEM || reason != SMMUV3_ACCEL_REASON_NO_ROOM))
		return 2;
	munlockall();
	rc = rc ? accel_create(accel, g->iommufd, g->ioas_id, 0, &reason) : 0;
	return rc ? 3 : 0;
}

TEST_F(moved, no_room_as_memory_is_locked)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(create_locked(&self->g));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Somebody reads the vSMMU's file in debugfs, into memory that is missing */

#define DEBUGFS	"/sys/kernel/debug/smmuv3-accel"

struct reader {
	char path[64];
	char *to;
	size_t size;
	ssize_t got;
	pthread_t thread;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	int fd = open(r->path, O_RDONLY);

	r->got = read(fd, r->to, r->size);
	close(fd);
	return NULL;
}

struct closer {
	int accel;
	atomic_bool done;
	pthread_t thread;
};

static void *closer_thread(void *arg)
{
	struct closer *c = arg;

	close(c->accel);
	atomic_store(&c->done, true);
	return NULL;
}

static unsigned int vsmmu_id(int accel)
{
	char path[64], line[64];
	unsigned int id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", accel);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "vsmmu-id: %u", &id) == 1)
			break;
	if (f)
		fclose(f);
	return id;
}

TEST_F(moved, dma_is_blocked_though_a_reader_of_debugfs_is_stuck)
{
	struct reader r = { .size = sysconf(_SC_PAGESIZE) };
	struct guest *g = &self->g;
	struct closer c = {};
	int uffd = uffd_open(), tries = 2000, rc;

	if (uffd < 0 || access(DEBUGFS, F_OK))
		SKIP(return, "no userfaultfd or no debugfs");
	ASSERT_EQ(0, accel_attach(g, self->dev.fd, VSID(0), &self->ids));
	ASSERT_EQ(0, install(g, STE_CFG_BYPASS));
	ASSERT_EQ(0, testdev_write(&self->dev, self->page));
	snprintf(r.path, sizeof(r.path), DEBUGFS "/%u", vsmmu_id(g->accel));
	r.to = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, r.to);
	ASSERT_EQ(0, uffd_register(uffd, (unsigned long)r.to, r.size));
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, reader_thread, &r));
	ASSERT_TRUE(uffd_waits(uffd, 5000)) TH_LOG("nobody reads %s", r.path);

	c.accel = g->accel;
	g->accel = -1;
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, closer_thread, &c));
	while ((rc = testdev_write(&self->dev, self->page)) == 0 && tries--)
		usleep(1000);
	EXPECT_EQ(-EFAULT, rc) TH_LOG("DMA goes on while the reader is stuck");
	TH_LOG("close has %sreturned", atomic_load(&c.done) ? "" : "not ");
	EXPECT_EQ(0, uffd_give(uffd, (unsigned long)r.to, NULL, r.size));
	pthread_join(c.thread, NULL);
	pthread_join(r.thread, NULL);
	EXPECT_LT(0, r.got);
	close(uffd);
}

TEST_HARNESS_MAIN
