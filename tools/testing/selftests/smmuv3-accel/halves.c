// SPDX-License-Identifier: GPL-2.0
/*
 * Half states: a VMM destroys the module's objects, moves a device with the device's own
 * ioctls, or has no room. Only one stream suffers, and the module reports the truth about
 * it.
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
#include <linux/capability.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define STREAMS		3
#define VSID(i)		(MACHINE_VSID + (i))
#define VICTIM		1	/* neither the first stream nor the last */

/*
 * Three devices translate, by the guest's stream table, and one of them has lost its
 * vDEVICE
 * @other: stage 1s that no STE names yet, which lead to page 2
 */
FIXTURE(dead_vdevice)
{
	struct machine m;
	struct stage1 other[STREAMS];
};

#define for_each_stream(i) \
	for (i = 0; i < STREAMS; i++)

FIXTURE_SETUP(dead_vdevice)
{
	struct machine *m = &self->m;
	int i, rc;

	rc = machine_open(m, .stage = STAGE_RUNNING, .devices = STREAMS);
	if (rc == -ENODEV)
		SKIP(return, "wants %d iommu-testdevs", STREAMS);
	ASSERT_EQ(0, rc);
	for_each_stream(i) {
		self->other[i] = m->stream[i].s1;
		ASSERT_EQ(0, stage1_init(&self->other[i], &m->g, GRANULE_4K,
					 MACHINE_ASID + STREAMS + i));
		stage1_lead(&self->other[i], 2);
		ASSERT_EQ(1, machine_goes(m, i));
	}
	ASSERT_EQ(0, iommufd_destroy(m->g.iommufd, m->stream[VICTIM].ids.out_vdevice_id));
}

FIXTURE_TEARDOWN(dead_vdevice)
{
	machine_close(&self->m);
}

/* The guest overwrites its CDs, which the SMMU does not notice before a CFGI_CD */
static int change_cds(struct machine *m, const struct stage1 other[STREAMS])
{
	int i;

	for_each_stream(i) {
		memcpy(guest_ptr(&m->g, m->stream[i].s1.cd), guest_ptr(&m->g, other[i].cd), 64);
		if (machine_goes(m, i) != 1)
			return -EBADE;
	}
	return 0;
}

static void expect_others_done(struct __test_metadata *_metadata, struct machine *m)
{
	int i;

	for_each_stream(i)
		if (i != VICTIM)
			EXPECT_EQ(2, machine_goes(m, i)) TH_LOG("stream %d is stale", i);
}

TEST_F(dead_vdevice, does_not_fail_commands_of_other_streams)
{
	struct smmuv3_accel_run_cmdq out;
	struct machine *m = &self->m;
	int i;

	ASSERT_EQ(0, change_cds(m, self->other)) TH_LOG("no stale translation to end");
	for_each_stream(i)
		ring_put(&m->ring, cmd_cfgi_cd(VSID(i), 0, true));
	ring_put(&m->ring, cmd_sync());
	EXPECT_EQ(-EIO, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HOST_REJECT, out.out_reason);
	EXPECT_EQ(VSID(VICTIM), out.out_vsid);
	EXPECT_EQ(VICTIM, out.cons);
	expect_others_done(_metadata, m);

	/* Without the stream the rest runs */
	EXPECT_EQ(0, machine_detach(m, VICTIM));
	EXPECT_EQ(-EFAULT, machine_goes(m, VICTIM));
	EXPECT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(0, out.out_vsid);
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	expect_others_done(_metadata, m);
	/* Attached again, it has a vDEVICE */
	EXPECT_EQ(0, machine_attach(m, VICTIM));
	EXPECT_EQ(2, machine_goes(m, VICTIM));
}

TEST_F(dead_vdevice, does_not_fail_arrays_for_other_streams)
{
	struct smmuv3_accel_invalidate out;
	struct cmd cmds[STREAMS + 1];
	struct machine *m = &self->m;
	int i;

	ASSERT_EQ(0, change_cds(m, self->other)) TH_LOG("no stale translation to end");
	for_each_stream(i)
		cmds[i] = cmd_cfgi_cd_all(VSID(i));
	cmds[STREAMS] = cmd_sync();
	EXPECT_EQ(-EIO, accel_invalidate(&m->g, cmds, STREAMS + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HOST_REJECT, out.out_reason);
	EXPECT_EQ(VSID(VICTIM), out.out_vsid);
	EXPECT_EQ(VICTIM, out.cmd_num);
	expect_others_done(_metadata, m);
	EXPECT_EQ(0, machine_detach(m, VICTIM));
	EXPECT_EQ(0, accel_invalidate(&m->g, cmds + out.cmd_num, STREAMS + 1 - out.cmd_num, &out));
}

TEST_F(dead_vdevice, does_not_keep_other_streams_from_their_stes)
{
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stream stream;
	struct machine *m = &self->m;
	int i;

	for_each_stream(i)
		strtab_write(&m->strtab, VSID(i), self->other[i].ste);
	ring_put(&m->ring, cmd_cfgi_all());
	EXPECT_GT(0, ring_run(&m->ring, &out));
	EXPECT_EQ(VSID(VICTIM), out.out_vsid);
	ASSERT_EQ(0, accel_stream(&m->g, VSID(VICTIM), &stream));
	TH_LOG("the stream: kind %u, reason %u", stream.out_kind, stream.out_reason);
	expect_others_done(_metadata, m);
}

/* The stream aborts, the others have the new table */
TEST_F(dead_vdevice, does_not_keep_an_old_stream_table_in_force)
{
	struct smmuv3_accel_set_regs arg;
	struct smmuv3_accel_stream stream;
	struct machine *m = &self->m;
	int i;

	ASSERT_EQ(0, ring_init(&m->ring, &m->g, 6));
	ASSERT_EQ(0, strtab_init(&m->strtab, &m->g, 10, 0));
	for_each_stream(i)
		strtab_write(&m->strtab, VSID(i), self->other[i].ste);
	machine_regs(m, &arg);
	EXPECT_NE(0, ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg));
	EXPECT_EQ(VSID(VICTIM), arg.out_vsid);
	EXPECT_NE(SMMUV3_ACCEL_REASON_NONE, arg.out_reason);
	TH_LOG("SET_REGS: errno %d, reason %u", errno, arg.out_reason);
	expect_others_done(_metadata, m);
	EXPECT_EQ(-EFAULT, machine_goes(m, VICTIM)) TH_LOG("the old table is in force");
	ASSERT_EQ(0, accel_stream(&m->g, VSID(VICTIM), &stream));
	EXPECT_EQ(SMMUV3_ACCEL_KIND_ABORT, stream.out_kind);
	EXPECT_EQ(arg.out_reason, stream.out_reason);

	/* The registers are in force, also those of the queue */
	ring_put(&m->ring, cmd_tlbi_nh_all());
	EXPECT_TRUE(machine_sync(m));

	/* The repeated call succeeds */
	EXPECT_EQ(0, machine_detach(m, VICTIM));
	EXPECT_EQ(0, accel_ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg));
	EXPECT_EQ(0, arg.out_vsid);
	EXPECT_EQ(0, machine_attach(m, VICTIM));
	EXPECT_EQ(2, machine_goes(m, VICTIM));
	expect_others_done(_metadata, m);
}

/* The VMM moves the device with the VFIO device's own ioctls */

FIXTURE(moved)
{
	struct machine m;
};

FIXTURE_SETUP(moved)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED, .devices = 1));
}

FIXTURE_TEARDOWN(moved)
{
	machine_close(&self->m);
}

static void expect_kind(struct __test_metadata *_metadata, struct machine *m, __u32 kind)
{
	struct smmuv3_accel_stream stream;

	ASSERT_EQ(0, accel_stream(&m->g, VSID(0), &stream));
	EXPECT_EQ(kind, stream.out_kind);
	if (kind != SMMUV3_ACCEL_KIND_OTHER)
		return;
	EXPECT_EQ(SMMUV3_ACCEL_REASON_DETACHED, stream.out_reason);
	EXPECT_EQ(0, stream.out_hwpt_id);
}

TEST_F(moved, same_ste_puts_a_detached_device_back)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_BYPASS));
	expect_kind(_metadata, m, SMMUV3_ACCEL_KIND_BYPASS);
	ASSERT_EQ(0, dma_detach_pt(&m->stream[0].dev));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	expect_kind(_metadata, m, SMMUV3_ACCEL_KIND_OTHER);
	EXPECT_EQ(0, machine_install(m, 0, STE_CFG_BYPASS));
	EXPECT_EQ(0, machine_goes(m, 0));
	expect_kind(_metadata, m, SMMUV3_ACCEL_KIND_BYPASS);
}

TEST_F(moved, same_ste_puts_a_device_back_from_elsewhere)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	EXPECT_EQ(0, machine_goes(m, 0));
	expect_kind(_metadata, m, SMMUV3_ACCEL_KIND_OTHER);
	/* The stream aborted before, too */
	EXPECT_EQ(0, machine_install(m, 0, STE_CFG_ABORT));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0))
		TH_LOG("the abort is not in force");
	expect_kind(_metadata, m, SMMUV3_ACCEL_KIND_ABORT);

	ASSERT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	EXPECT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(0, machine_detach(m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
}

TEST_F(moved, cfgi_ste_reset_and_close_put_a_device_back)
{
	struct machine *m = &self->m;

	machine_write_ste(m, 0, STE_CFG_ABORT);
	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, machine_set_regs(m));
	ASSERT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	ASSERT_EQ(0, machine_goes(m, 0));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID(0), true), 0);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));

	ASSERT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	ASSERT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(0, accel_reset(&m->g));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0)) TH_LOG("after RESET");

	ASSERT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	ASSERT_EQ(0, machine_goes(m, 0));
	guest_close_accel(&m->g);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0)) TH_LOG("after close");
}

TEST_F(moved, attach_that_fails_leaves_the_device_where_it_is)
{
	struct smmuv3_accel_attach *arg;
	const long page = sysconf(_SC_PAGESIZE);
	struct machine *m = &self->m;

	ASSERT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	ASSERT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(-EINVAL, accel_attach(&m->g, m->stream[0].dev.fd, VSID_MAX, NULL));
	EXPECT_EQ(0, machine_goes(m, 0));

	arg = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	*arg = (struct smmuv3_accel_attach){
		.size = sizeof(*arg),
		.vfio_fd = m->stream[0].dev.fd,
		.vsid = VSID(0),
	};
	ASSERT_EQ(0, mprotect(arg, page, PROT_READ));
	EXPECT_EQ(-EFAULT, accel_ioctl(m->g.accel, SMMUV3_ACCEL_ATTACH, arg));
	EXPECT_EQ(0, machine_goes(m, 0)) TH_LOG("the device was taken away");
	munmap(arg, page);
	EXPECT_EQ(0, machine_attach(m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
}

/* Destroy the module's objects for the only stream, and let a parent get the vIOMMU's ID. */
static int replace_viommu(struct machine *m)
{
	const struct smmuv3_accel_attach *ids = &m->stream[0].ids;
	struct smmuv3_accel_phys phys;
	int tries = 8, rc;
	__u32 id;

	rc = accel_phys(&m->g, 0, &phys) ?: dma_detach_pt(&m->stream[0].dev) ?:
	     iommufd_destroy(m->g.iommufd, phys.out_abort_hwpt_id) ?:
	     iommufd_destroy(m->g.iommufd, phys.out_bypass_hwpt_id) ?:
	     iommufd_destroy(m->g.iommufd, ids->out_vdevice_id) ?:
	     iommufd_destroy(m->g.iommufd, ids->out_viommu_id);
	do {
		rc = rc ?: iommufd_nest_parent(m->g.iommufd, ids->out_dev_id, m->g.ioas_id, &id);
	} while (!rc && id != ids->out_viommu_id && --tries);
	return rc ?: tries ? 0 : -ESTALE;
}

/* All errors of iommufd are those of the host: the VMM named no object. */
TEST_F(moved, other_object_with_the_id_of_the_viommu_is_refused)
{
	const struct cmd cmds[] = { cmd_tlbi_nh_all(), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	struct machine *m = &self->m;
	__u32 reason;

	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, replace_viommu(m));
	EXPECT_EQ(-EINVAL, accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HOST_REJECT, out.out_reason);
	EXPECT_EQ(-EIO, accel_install(&m->g, VSID(0), m->stream[0].s1.ste, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_HOST_REJECT, reason);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
}

/* The VMM has put a device into a low-power state */

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

/* How many times the device was told to resume since the last call */
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
	f = fopen(TRACING "trace", "w");	/* empties it */
	if (f)
		fclose(f);
	return num;
}

FIXTURE(asleep)
{
	struct machine m;
};

FIXTURE_SETUP(asleep)
{
	struct machine *m = &self->m;

	if (access(TRACING "events/rpm/rpm_resume", F_OK))
		SKIP(return, "this kernel has no runtime power management");
	ASSERT_EQ(0, machine_open(m, .stage = STAGE_CREATED, .devices = 1));
	if (low_power(&m->stream[0].dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) ||
	    !suspended(&m->stream[0].dev)) {
		machine_close(m);
		SKIP(return, "the device does not enter a low-power state");
	}
	ASSERT_EQ(0, sysfs_write(TRACING "events/rpm/rpm_resume/enable", "1"));
}

FIXTURE_TEARDOWN(asleep)
{
	sysfs_write(TRACING "events/rpm/rpm_resume/enable", "0");
	machine_close(&self->m);
}

/* It sleeps before and after each call */
TEST_F(asleep, is_awake_while_its_domain_changes)
{
	struct machine *m = &self->m;

	resumes(&m->stream[0].dev);
	ASSERT_EQ(0, machine_attach(m, 0));
	EXPECT_LT(0, resumes(&m->stream[0].dev)) TH_LOG("ATTACH");
	ASSERT_TRUE(suspended(&m->stream[0].dev));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_BYPASS));
	EXPECT_LT(0, resumes(&m->stream[0].dev)) TH_LOG("INSTALL_STE");
	ASSERT_TRUE(suspended(&m->stream[0].dev));
	ASSERT_EQ(0, low_power(&m->stream[0].dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	EXPECT_EQ(0, machine_goes(m, 0));

	ASSERT_EQ(0, low_power(&m->stream[0].dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	ASSERT_TRUE(suspended(&m->stream[0].dev));
	resumes(&m->stream[0].dev);
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_LT(0, resumes(&m->stream[0].dev)) TH_LOG("DETACH");
	ASSERT_TRUE(suspended(&m->stream[0].dev));

	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_TRUE(suspended(&m->stream[0].dev));
	resumes(&m->stream[0].dev);
	guest_close_accel(&m->g);
	EXPECT_LT(0, resumes(&m->stream[0].dev)) TH_LOG("close");
	EXPECT_TRUE(suspended(&m->stream[0].dev));
}

/* The VMM locks all its memory, and may lock nearly nothing */

static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int create_locked(struct machine *m)
{
	struct rlimit limit = { .rlim_cur = 16384, .rlim_max = 16384 };
	int accel = open("/dev/smmuv3-accel", O_RDWR), rc;
	__u32 reason;

	if (accel < 0 || drop_ipc_lock() || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    mlockall(MCL_FUTURE))
		return 1;
	/* CREATE may succeed or fail, but must not ask for a retry */
	rc = accel_create(accel, m->g.iommufd, m->g.ioas_id, 0, &reason);
	fprintf(stderr, "# CREATE: %d, reason %u\n", rc, reason);
	if (rc && (rc != -ENOMEM || reason != SMMUV3_ACCEL_REASON_NO_ROOM))
		return 2;
	munlockall();
	rc = rc ? accel_create(accel, m->g.iommufd, m->g.ioas_id, 0, &reason) : 0;
	return rc ? 3 : 0;
}

TEST_F(moved, create_with_all_memory_locked_is_no_case_for_retry)
{
	EXPECT_EQ(0, in_child(&self->m, create_locked));
}

/* A process reads the vSMMU's file in debugfs into memory that is missing */

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

TEST_F(moved, close_blocks_dma_while_a_reader_of_debugfs_is_stuck)
{
	struct reader r = { .size = sysconf(_SC_PAGESIZE) };
	struct machine *m = &self->m;
	struct closer c = {};
	int uffd = uffd_open(), tries = 2000, rc;

	if (uffd < 0 || access(DEBUGFS, F_OK))
		SKIP(return, "no userfaultfd or no debugfs");
	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_BYPASS));
	ASSERT_EQ(0, machine_goes(m, 0));
	debugfs_path(m->g.accel, r.path);
	r.to = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, r.to);
	ASSERT_EQ(0, uffd_register(uffd, (unsigned long)r.to, r.size));
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, reader_thread, &r));
	ASSERT_TRUE(uffd_waits(uffd, 5000)) TH_LOG("nobody reads %s", r.path);

	c.accel = m->g.accel;
	m->g.accel = -1;
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, closer_thread, &c));
	while ((rc = machine_goes(m, 0)) == 0 && tries--)
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
