// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each user copy of each ioctl, of open() and of close() fails in
 * turn. After that the same call succeeds, DMA goes where it should, and at the end
 * nothing is left.
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

#include "harness.h"
#include "machine.h"

#define VSID		MACHINE_VSID
#define VSID_BRIDGE	6
#define MAX_POINTS	2000
#define FAULTS		"/sys/kernel/debug/"

/* The state of the vSMMU when the call is made */
enum stage {
	CLOSED,
	OPEN,
	CREATED,
	TABLE_MODE,	/* without a stream */
	ATTACHED,
	INSTALLED,	/* explicit mode */
	RUNNING,	/* table mode */
};

static int reach(struct machine *m, enum stage stage)
{
	static const enum machine_stage stages[] = {
		[CLOSED] = STAGE_MEMORY,
		[OPEN] = STAGE_OPEN,
		[CREATED] = STAGE_CREATED,
		[TABLE_MODE] = STAGE_CREATED,
		[ATTACHED] = STAGE_ATTACHED,
		[INSTALLED] = STAGE_EXPLICIT,
		[RUNNING] = STAGE_RUNNING,
	};
	int rc;

	m->ring.cons = m->ring.prod;
	rc = machine_reach(m, stages[stage]);
	return rc ?: stage == TABLE_MODE ? machine_set_regs(m) : 0;
}

/* The calls. Each can be repeated after it failed, and then succeeds */

static int do_open(struct machine *m)
{
	return guest_open_accel(&m->g);
}

static int do_create(struct machine *m)
{
	return accel_create_flags(m->g.accel, m->g.iommufd, m->g.ioas_id,
				  SMMUV3_ACCEL_CREATE_SHARED_ASIDS |
				  SMMUV3_ACCEL_CREATE_FEED);
}

static int do_set_idr(struct machine *m)
{
	struct smmuv3_accel_set_idr out;

	return accel_set_idr(&m->g, idr_least, &out);
}

static int do_detach(struct machine *m)
{
	int rc = machine_detach(m, 0);

	/* The call did its work, but the answer could not be written */
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
	struct smmuv3_accel_info out;

	return accel_info(m->g.accel, &out);
}

static int do_invalidate(struct machine *m)
{
	struct smmuv3_accel_invalidate out;
	struct cmd cmds[40];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(cmds); i++)
		cmds[i] = i & 1 ? cmd_filler(i) : cmd_cfgi_cd_all(VSID);
	return accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &out);
}

static int run_queue(struct machine *m)
{
	struct smmuv3_accel_run_cmdq out;
	int rc = ring_run(&m->ring, &out);

	/* The failure is ours, and the guest must not hear of it */
	if (!rc && out.out_error)
		rc = -EBADMSG;
	return rc ?: m->ring.cons == m->ring.prod ? 0 : -EINPROGRESS;
}

static int do_run_cmdq(struct machine *m)
{
	if (m->ring.cons == m->ring.prod) {
		ring_put(&m->ring, machine_tlbi(m, 0));
		ring_put(&m->ring, cmd_cfgi_all());
		ring_put(&m->ring, cmd_cfgi_cd_all(VSID));
		ring_put(&m->ring, cmd_tlbi_asid(MACHINE_ASID));
		ring_put(&m->ring, cmd_sync());
	}
	return run_queue(m);
}

/* The shortest doorbell, which takes the fast path */
static int do_run_unmap(struct machine *m)
{
	if (m->ring.cons == m->ring.prod) {
		ring_put(&m->ring, machine_tlbi(m, 0));
		ring_put(&m->ring, cmd_sync());
	}
	return run_queue(m);
}

static int do_attach_dry_run(struct machine *m)
{
	return accel_attach_arg(&m->g, (struct smmuv3_accel_attach){
		.flags = SMMUV3_ACCEL_ATTACH_DRY_RUN,
		.vfio_fd = m->stream[0].dev.fd,
		.vsid = VSID,
	}, NULL);
}

static int do_attach_unset(struct machine *m)
{
	return accel_attach(&m->g, m->stream[0].dev.fd, VSID_NAME(0), NULL);
}

/* The same StreamID on both sides, as after a failure, which may have set it */
static int do_set_vsids(struct machine *m)
{
	const struct smmuv3_accel_vsid same = { VSID, VSID };
	struct smmuv3_accel_set_vsids out;

	return accel_set_vsids(&m->g, &same, 1, &out);
}

static int do_mem_table(struct machine *m)
{
	return accel_mem_table(&m->g);
}

static int do_reset(struct machine *m)
{
	return accel_reset(&m->g);
}

/* close() cannot report a failure, and must leave nothing */
static int do_close(struct machine *m)
{
	guest_close_accel(&m->g);
	return 0;
}

/* A child calls it first, then this process */
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
	int reaches;		/* the page that DMA goes to after the call; 0: none */
	bool child;		/* a child makes the call */
};

#define CALL(_name, _stage, ...)					\
	FIXTURE_VARIANT_ADD(fail_nth, _name)				\
	{								\
		.stage = _stage, .call = do_##_name, __VA_ARGS__	\
	}

static int do_attach(struct machine *m) { return machine_attach(m, 0); }
static int do_attach_running(struct machine *m) { return machine_attach(m, 0); }
static int do_set_vsids_explicit(struct machine *m) { return do_set_vsids(m); }
static int do_install_ste(struct machine *m) { return machine_install(m, 0, STE_CFG_S1); }
static int do_install_ste_same(struct machine *m) { return do_install_ste(m); }
static int do_set_regs(struct machine *m) { return machine_set_regs(m); }
static int do_close_running(struct machine *m) { return do_close(m); }

static int do_attach_bridge(struct machine *m)
{
	return accel_attach_virtual(&m->g, VSID_BRIDGE, SMMUV3_ACCEL_ATTACH_BRIDGE, NULL);
}

CALL(open, CLOSED);
CALL(get_info, OPEN);
CALL(create, OPEN);
CALL(set_idr, CREATED);
CALL(mem_table, CREATED);
CALL(attach, CREATED);
CALL(attach_running, TABLE_MODE, .reaches = 1);
CALL(attach_bridge, CREATED);
CALL(attach_dry_run, CREATED);
CALL(attach_unset, TABLE_MODE);
CALL(set_vsids, RUNNING, .reaches = 1);
CALL(set_vsids_explicit, INSTALLED);
CALL(detach, INSTALLED);
CALL(get_phys, ATTACHED);
CALL(get_stream, ATTACHED, .reaches = 0);
CALL(get_stats, ATTACHED);
CALL(install_ste, ATTACHED, .reaches = 1);
CALL(install_ste_same, INSTALLED, .reaches = 1);
CALL(invalidate, INSTALLED, .reaches = 1);
CALL(set_regs, ATTACHED, .reaches = 1);
CALL(run_cmdq, RUNNING, .reaches = 1);
CALL(run_unmap, RUNNING, .reaches = 1);
CALL(reset, RUNNING);
CALL(change_process, INSTALLED, .reaches = 1, .child = true);
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
	/* Allocations of single pages, too */
	return !sysfs_write(FAULTS "fail_page_alloc/min-order", "0");
}

FIXTURE_SETUP(fail_nth)
{
	self->fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (self->fail_nth < 0 || !fault_injection())
		SKIP(return, "the kernel has no fault injection");
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_MEMORY, .devices = 1, .split = 6,
				  .create_flags = SMMUV3_ACCEL_CREATE_FEED));
	machine_write_ste(&self->m, 0, STE_CFG_S1);
}

FIXTURE_TEARDOWN(fail_nth)
{
}

/* Make the call and let its @nth point fail. @failed: whether there is such a point */
static int injected(int fail_nth, int nth, int (*call)(struct machine *m),
		    struct machine *m, bool *failed)
{
	char text[16] = "";
	int rc;

	snprintf(text, sizeof(text), "%d", nth);
	if (write(fail_nth, text, strlen(text)) < 0)
		return -errno;
	rc = call(m);
	/* Read and clear what is left of the count, which may be the point that fails */
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

/* The same in a child, whose exit status is @failed */
static int injected_child(int nth, int (*call)(struct machine *m),
			  struct machine *m, bool *failed)
{
	int status, rc, fail_nth;
	pid_t pid = fork();

	if (!pid) {
		fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
		rc = injected(fail_nth, nth, call, m, failed);
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

static bool reaches(struct machine *m, int page)
{
	return machine_goes(m, 0) == (page ?: -EFAULT);
}

TEST_F(fail_nth, each_point_may_fail)
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
		ASSERT_NE(-EBADMSG, rc) TH_LOG("point %d: a command error", nth);
		if (rc)
			ASSERT_EQ(0, variant->call(m)) TH_LOG("point %d, after %d", nth, rc);
		if (variant->child)
			ASSERT_EQ(0, do_change_process(m)) TH_LOG("point %d", nth);
		ASSERT_TRUE(reaches(m, variant->reaches)) TH_LOG("point %d, after %d", nth, rc);
		guest_close_accel(&m->g);
		ASSERT_TRUE(reaches(m, 0)) TH_LOG("point %d: closed", nth);
	}
	TH_LOG("%d points, %d of them made it fail", nth - 2, errors);
	ASSERT_LT(0, nth - 2);
	EXPECT_NOTHING_LEFT(&m->g);
	machine_close(m);
}

TEST_HARNESS_MAIN
