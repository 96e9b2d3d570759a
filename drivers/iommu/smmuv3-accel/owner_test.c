// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the address space that owns a file: another task closes the file,
 * another process takes it over.
 */
#include "fixture.h"

/* Devices are detached and put, but the host objects are left. */
static void closed_by_a_stranger(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct mock_state state;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
	fx_must_install(test, v, VSID, STE_S1, 0);

	/* It does not matter that the closing task is being killed. */
	mock->log_num = 0;
	mock_fail(mock, MOCK_DETACH, 1, 2, -EINTR);
	mock_set_reachable(mock, false);
	fx_close(v);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(mock), 2);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[4].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 2);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_PUT), 2);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	state = mock_state(mock);
	KUNIT_EXPECT_EQ(test, state.held[0] + state.held[4], 0);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VDEVICE], 2);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_NESTED], 5);
	mock_iommufd_gone(mock);
	mock->last_id = parent - 1;
	KUNIT_ASSERT_EQ(test, mock_vmm_parent(mock, 0), parent);
	fx_expect_idle(test);

	/* No vSMMU uses the parent any more. */
	mock_set_reachable(mock, true);
	v = fx_open(test);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
}

/* Set up a queue of one TLBI and a CMD_SYNC that asks for an interrupt. */
static void start_with_queue(struct kunit *test)
{
	fx_open_table(test);
	fx_start(test);
	PUT_CMDS(test, tlbi_va(1), sync_irq());
}

#define EXPECT_QUEUE_RUNS(test)						\
	EXPECT_RESULT(test, fx_run(test, .num = 2), .done = 2, .flags = RUN(SYNC_IRQ))

/* If the caller already owns the file, nothing changes, whichever iommufd it names. */
static void taken_over_by_its_owner(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 num;

	start_with_queue(test);
	num = f->v->mem.num;
	EXPECT_OK(test, fx_change_process(f->v, MOCK_IOMMUFD));
	EXPECT_RESULT(test, fx_change_process(f->v, 0), .rc = -EINVAL,
		      .reason = REASON(OTHER_IOMMUFD));
	KUNIT_EXPECT_EQ(test, f->v->mem.num, num);
	EXPECT_QUEUE_RUNS(test);
}

static const struct take_over {
	const char *name;
	int iommufd;
	int host_rc;
	int rc;
	u32 reason;
} take_overs[] = {
	{ "another iommufd", 0, 0, -EINVAL, REASON(OTHER_IOMMUFD) },
	{ "no memory", MOCK_IOMMUFD, -ENOMEM, -ENOMEM, REASON(NO_ROOM) },
};

KUNIT_ARRAY_PARAM_DESC(take_over, take_overs, name);

static void failed_take_over_changes_nothing(struct kunit *test)
{
	const struct take_over *c = test->param_value;
	struct fixture *f = test->priv;
	u32 num;

	start_with_queue(test);
	num = f->v->mem.num;
	mock_set_reachable(f->mock, false);
	mock_fail(f->mock, MOCK_CHANGE_PROCESS, 1, !!c->host_rc, c->host_rc);
	EXPECT_RESULT(test, fx_change_process(f->v, c->iommufd), .rc = c->rc,
		      .reason = c->reason);
	mock_fail_stop(f->mock);
	KUNIT_EXPECT_EQ(test, f->v->mem.num, num);
	KUNIT_EXPECT_NOT_NULL(test, (__force void *)f->v->queue.uaddr);
	KUNIT_EXPECT_FALSE(test, smmuv3_host_reachable(f->v->host));
	/* For its owner, nothing has changed. */
	mock_set_reachable(f->mock, true);
	EXPECT_QUEUE_RUNS(test);
}

/* Live update: the new process sets its own memory table. Streams stay, DMA goes on. */
static void taken_over_without_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 hwpt_id[STREAMS], i;
	struct smmuv3_vsmmu *v;

	start_with_queue(test);
	v = f->v;
	for (i = 0; i < STREAMS; i++)
		hwpt_id[i] = stream_of(v, fx_streams[i].vsid)->hwpt_id;
	mock_set_reachable(f->mock, false);
	f->mock->log_num = 0;
	EXPECT_OK(test, fx_change_process(v, MOCK_IOMMUFD));
	EXPECT_OPS(test, MOCK_CHANGE_PROCESS);
	for (i = 0; i < STREAMS; i++) {
		fx_expect_s1(test, v, fx_streams[i].vsid, 1);
		KUNIT_EXPECT_EQ(test, stream_of(v, fx_streams[i].vsid)->hwpt_id, hwpt_id[i]);
		KUNIT_EXPECT_EQ(test, f->mock->devs[fx_streams[i].fd].hwpt_id, hwpt_id[i]);
	}

	/* Addresses of the old process are forgotten, also that of the queue. */
	KUNIT_EXPECT_EQ(test, v->mem.num, 0);
	for (i = 1; i <= 2; i++) {
		EXPECT_RESULT(test, fx_run(test, .num = i), .rc = -ENXIO,
			      .reason = REASON(NO_MEM_TABLE));
		KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	}
	fx_set_whole_mem(test);
	EXPECT_QUEUE_RUNS(test);
	EXPECT_GIVEN(test, 0, tlbi_va(1));
	EXPECT_GIVEN(test, 1, tlbi_va(1));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, stream_of(v, VSID)->hwpt_id, hwpt_id[0]);
}

static struct kunit_case owner_cases[] = {
	KUNIT_CASE(closed_by_a_stranger),
	KUNIT_CASE(taken_over_by_its_owner),
	KUNIT_CASE_PARAM(failed_take_over_changes_nothing, take_over_gen_params),
	KUNIT_CASE(taken_over_without_memory),
	{}
};

static struct kunit_suite owner_suite = {
	.name = "smmuv3-accel-owner",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = owner_cases,
};

kunit_test_suites(&owner_suite);
