// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every user copy of each ioctl, of open() and of close()
 * is made to fail in turn, until none is left to fail. After each of them the
 * same call succeeds, DMA is as it should be, and in the end nothing is left.
 *
 * Needs CONFIG_FAULT_INJECTION with FAILSLAB, FAIL_PAGE_ALLOC and
 * FAULT_INJECTION_USERCOPY.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "guest.h"
#include "harness.h"

#define VSID		5
#define VSID_OTHER	6
#define IOVA		0x40000000ULL
#define MAX_POINTS	2000
#define FAULTS		"/sys/kernel/debug/"

/* A VMM and its guest: tables in memory, a device that is not attached yet */
struct machine {
	struct guest g;
	struct dma_dev dev;
	struct ring ring;
	struct strtab st;
	__u64 ste[8];
	__u64 page;
};

static int machine_open(struct machine *m)
{
	struct pgtable pt;
	__u64 cd;
	int rc;

	rc = guest_open_memory(&m->g);
	if (rc)
		return rc;
	rc = dma_open(&m->dev, m->g.iommufd, DMA_TESTDEV, 0);
	if (rc)
		return rc;
	pgtable_init(&pt, &m->g, GRANULE_4K);
	m->page = guest_alloc(&m->g, 4096);
	pgtable_map(&pt, IOVA, m->page, PTE_NOT_GLOBAL);
	cd = guest_alloc(&m->g, 64);
	cd_write(&m->g, cd, &pt, 3);
	ste_s1(m->ste, cd);
	rc = ring_init(&m->ring, &m->g, 6) ?: strtab_init(&m->st, &m->g, 8, 6);
	strtab_write(&m->st, VSID, m->ste);
	return rc;
}

static int set_regs(struct machine *m)
{
	return accel_set_regs(&m->g, CR0_SMMUEN | CR0_CMDQEN, m->st.base,
			      m->st.base_cfg, &m->ring);
}

static int attach(struct machine *m)
{
	struct smmuv3_accel_attach out;

	return accel_attach(&m->g, m->dev.fd, VSID, &out);
}

static int bridge(struct machine *m)
{
	struct smmuv3_accel_attach out;

	return accel_attach_virtual(&m->g, VSID_OTHER, SMMUV3_ACCEL_ATTACH_BRIDGE, &out);
}

static int install(struct machine *m)
{
	__u32 reason;

	return accel_install(&m->g, VSID, m->ste, &reason);
}

/* How far a vSMMU has come when the call is made */
enum stage {
	CLOSED,
	OPEN,
	CREATED,
	TABLE_MODE,	/* without a stream */
	ATTACHED,
	INSTALLED,	/* explicit mode: the STE of VSID */
	RUNNING,	/* table mode */
};

static int reach(struct machine *m, enum stage stage)
{
	int rc = 0;

	m->g.accel = -1;
	m->ring.cons = m->ring.prod;
	if (stage >= OPEN) {
		m->g.accel = open("/dev/smmuv3-accel", O_RDWR);
		rc = m->g.accel < 0 ? -errno : 0;
	}
	if (!rc && stage >= CREATED)
		rc = accel_create_flags(m->g.accel, m->g.iommufd, m->g.ioas_id,
					SMMUV3_ACCEL_CREATE_FEED) ?:
		     accel_mem_table(&m->g);
	if (!rc && stage == TABLE_MODE)
		rc = set_regs(m);
	if (!rc && stage >= ATTACHED)
		rc = attach(m);
	if (!rc && stage == INSTALLED)
		rc = install(m);
	if (!rc && stage == RUNNING)
		rc = set_regs(m);
	return rc;
}

/* The calls. Each can be made again after it failed, and then succeeds. */

static int do_open(struct machine *m)
{
	m->g.accel = open("/dev/smmuv3-accel", O_RDWR);
	return m->g.accel < 0 ? -errno : 0;
}

static int do_create(struct machine *m)
{
	return accel_create_flags(m->g.accel, m->g.iommufd, m->g.ioas_id,
				  SMMUV3_ACCEL_CREATE_SHARED_ASIDS |
				  SMMUV3_ACCEL_CREATE_FEED);
}

static int do_set_idr(struct machine *m)
{
	static const __u32 idr[6] = {
		[0] = IDR0_S1P | IDR0_TTF64 | IDR0_COHACC | IDR0_LITTLE |
		      IDR0_STALL_NOT | IDR0_TERM,
		[1] = 8,
		[5] = IDR5_GRAN4K,
	};
	struct smmuv3_accel_set_idr out;

	return accel_set_idr(&m->g, idr, &out);
}

static int do_detach(struct machine *m)
{
	__u32 reason;
	int rc = accel_detach(&m->g, VSID, &reason);

	/* It was done, and the caller could not be told */
	return rc == -ENOENT ? 0 : rc;
}

static int do_get_phys(struct machine *m)
{
	struct smmuv3_accel_phys out;

	return accel_phys(&m->g, 0, &out);
}

static int do_get_stream(struct machine *m)
{
	struct smmuv3_accel_stream out;

	return accel_stream(&m->g, VSID, &out);
}

static int do_get_stats(struct machine *m)
{
	struct smmuv3_accel_stats out;

	return accel_stats(&m->g, &out);
}

static int do_get_info(struct machine *m)
{
	struct smmuv3_accel_info out = { .size = sizeof(out) };

	return ioctl(m->g.accel, SMMUV3_ACCEL_GET_INFO, &out) ? -errno : 0;
}

static int do_invalidate(struct machine *m)
{
	struct smmuv3_accel_invalidate out;
	struct cmd cmds[40];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(cmds); i++)
		cmds[i] = i & 1 ? cmd_tlbi_va(3, IOVA + i * 4096ULL, true) :
				  cmd_cfgi_cd_all(VSID);
	return accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &out);
}

static int run_queue(struct machine *m)
{
	struct smmuv3_accel_run_cmdq out;
	int rc = ring_run(&m->ring, &out);

	/* The guest's error, but it was ours: the VMM would report what is not */
	if (!rc && out.out_error)
		rc = -EBADMSG;
	return rc ?: m->ring.cons == m->ring.prod ? 0 : -EINPROGRESS;
}

static int do_run_cmdq(struct machine *m)
{
	if (m->ring.cons == m->ring.prod) {
		ring_put(&m->ring, cmd_tlbi_va(3, IOVA, true));
		ring_put(&m->ring, cmd_cfgi_all());
		ring_put(&m->ring, cmd_cfgi_cd_all(VSID));
		ring_put(&m->ring, cmd_tlbi_asid(3));
		ring_put(&m->ring, cmd_sync());
	}
	return run_queue(m);
}

/* The shortest doorbell, which takes a way of its own */
static int do_run_unmap(struct machine *m)
{
	if (m->ring.cons == m->ring.prod) {
		ring_put(&m->ring, cmd_tlbi_va(3, IOVA, true));
		ring_put(&m->ring, cmd_sync());
	}
	return run_queue(m);
}

static int do_mem_table(struct machine *m)
{
	return accel_mem_table(&m->g);
}

static int do_reset(struct machine *m)
{
	return accel_reset(&m->g);
}

/* It cannot report anything: whatever fails, nothing may be left. */
static int do_close(struct machine *m)
{
	close(m->g.accel);
	m->g.accel = -1;
	return 0;
}

/* By another process, and back */
static int do_change_process(struct machine *m)
{
	return accel_change_process(&m->g);
}

FIXTURE(fail_nth)
{
	struct machine m;
	int fail_nth;
};

FIXTURE_VARIANT(fail_nth)
{
	enum stage stage;
	int (*call)(struct machine *m);
	__u64 reaches;		/* where DMA goes after the call, 0: nowhere */
	bool child;		/* made by a child */
};

#define CALL(_name, _stage, ...)					\
	FIXTURE_VARIANT_ADD(fail_nth, _name)				\
	{								\
		.stage = _stage, .call = do_##_name, __VA_ARGS__	\
	}

static int do_attach(struct machine *m) { return attach(m); }
static int do_attach_bridge(struct machine *m) { return bridge(m); }
static int do_attach_running(struct machine *m) { return attach(m); }
static int do_install_ste(struct machine *m) { return install(m); }
static int do_install_ste_same(struct machine *m) { return install(m); }
static int do_set_regs(struct machine *m) { return set_regs(m); }
static int do_close_running(struct machine *m) { return do_close(m); }

CALL(open, CLOSED);
CALL(get_info, OPEN);
CALL(create, OPEN);
CALL(set_idr, CREATED);
CALL(mem_table, CREATED);
CALL(attach, CREATED);
CALL(attach_running, TABLE_MODE, .reaches = IOVA);
CALL(attach_bridge, CREATED);
CALL(detach, INSTALLED);
CALL(get_phys, ATTACHED);
CALL(get_stream, ATTACHED, .reaches = 0);
CALL(get_stats, ATTACHED);
CALL(install_ste, ATTACHED, .reaches = IOVA);
CALL(install_ste_same, INSTALLED, .reaches = IOVA);
CALL(invalidate, INSTALLED, .reaches = IOVA);
CALL(set_regs, ATTACHED, .reaches = IOVA);
CALL(run_cmdq, RUNNING, .reaches = IOVA);
CALL(run_unmap, RUNNING, .reaches = IOVA);
CALL(reset, RUNNING);
CALL(change_process, INSTALLED, .reaches = IOVA, .child = true);
CALL(close, INSTALLED);
CALL(close_running, RUNNING);

static bool fault_injection(void)
{
	static const char * const off[] = {
		FAULTS "failslab/ignore-gfp-wait",
		FAULTS "fail_page_alloc/ignore-gfp-wait",
		FAULTS "fail_page_alloc/ignore-gfp-highmem",
		FAULTS "failslab/verbose",
		FAULTS "fail_page_alloc/verbose",
		FAULTS "fail_usercopy/verbose",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(off); i++)
		if (sysfs_write(off[i], "0"))
			return false;
	/* Small pages as well */
	return !sysfs_write(FAULTS "fail_page_alloc/min-order", "0");
}

FIXTURE_SETUP(fail_nth)
{
	self->fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (self->fail_nth < 0 || !fault_injection())
		SKIP(return, "the kernel has no fault injection");
	ASSERT_EQ(0, machine_open(&self->m));
}

FIXTURE_TEARDOWN(fail_nth)
{
}

/* Make the call with its @nth point failing. Sets whether there was one. */
static int injected(int fail_nth, int nth, int (*call)(struct machine *m),
		    struct machine *m, bool *failed)
{
	char text[16] = "";
	int rc;

	snprintf(text, sizeof(text), "%d", nth);
	if (write(fail_nth, text, strlen(text)) < 0)
		return -errno;
	rc = call(m);
	/* What is left of the count. To read or to write it may be the point. */
	memset(text, 0, sizeof(text));
	*failed = false;
	if (pread(fail_nth, text, sizeof(text) - 1, 0) < 0)
		return errno == EFAULT ? rc : -errno;
	*failed = !atoi(text);
	while (!*failed && write(fail_nth, "0", 1) < 0)
		if (errno != EFAULT)
			return -errno;
	return rc;
}

/* The same in a child, which ends with whether there was one */
static int injected_child(int nth, int (*call)(struct machine *m),
			  struct machine *m, bool *failed)
{
	int status, rc, fail_nth;
	pid_t pid = fork();

	if (!pid) {
		fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
		rc = injected(fail_nth, nth, call, m, failed);
		/* Refused once, it can be had all the same */
		if (call(m))
			_exit(2);
		_exit(rc && !*failed ? 3 : *failed);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) > 1)
		return -ECHILD;
	*failed = WEXITSTATUS(status);
	return 0;
}

static bool reaches(struct machine *m, __u64 iova)
{
	volatile __u32 *word = guest_ptr(&m->g, m->page);
	int rc;

	*word = 0;
	rc = testdev_write(&m->dev, iova ?: m->page);
	return iova ? !rc && *word == TESTDEV_PATTERN : rc == -EFAULT && !*word;
}

TEST_F(fail_nth, each)
{
	struct machine *m = &self->m;
	bool failed = true;
	int nth, rc, errors = 0;

	for (nth = 1; failed; nth++) {
		ASSERT_GT(MAX_POINTS, nth);
		ASSERT_EQ(0, reach(m, variant->stage)) TH_LOG("point %d", nth);
		if (variant->child)
			rc = injected_child(nth, variant->call, m, &failed);
		else
			rc = injected(self->fail_nth, nth, variant->call, m, &failed);
		if (!failed || variant->child)
			ASSERT_EQ(0, rc) TH_LOG("point %d", nth);
		errors += rc != 0;
		ASSERT_NE(-EBADMSG, rc) TH_LOG("point %d: told the guest", nth);
		if (rc)
			ASSERT_EQ(0, variant->call(m)) TH_LOG("point %d, after %d", nth, rc);
		if (variant->child)
			ASSERT_EQ(0, do_change_process(m)) TH_LOG("point %d", nth);
		ASSERT_TRUE(reaches(m, variant->reaches)) TH_LOG("point %d, after %d", nth, rc);
		if (m->g.accel >= 0)
			close(m->g.accel);
		m->g.accel = -1;
		ASSERT_TRUE(reaches(m, 0)) TH_LOG("point %d: closed", nth);
	}
	TH_LOG("%d points, %d of them made it fail", nth - 2, errors);
	ASSERT_LT(0, nth - 2);
	dma_close(&m->dev);
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, m->g.ioas_id)) TH_LOG("something is left");
	guest_close(&m->g);
}

TEST_HARNESS_MAIN
