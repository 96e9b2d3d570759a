// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of devices that do not answer an ATC_INV, in table mode: there is one
 * host call, their streams abort, and the next CMD_SYNC reports the failure.
 */
#include "fixture.h"

#define EXPECT_TIMEOUT(test, call, num)				\
	EXPECT_RESULT(test, call, .done = num,			\
		      .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT))

static void start(struct kunit *test)
{
	need_ats(test);
	fx_start(test, .log2size = 12);
}

/* Streams that were not in that call continue. */
static void timeout_costs_one_call(struct kunit *test)
{
	const u32 num = SMMUV3_HOST_MAX_BATCH;
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	for (i = 0; i < num - 2; i++)
		f->cmds[i] = atc_inv(VSID, i);
	f->cmds[num - 2] = atc_inv(VSID_OTHER, 1);
	f->cmds[num - 1] = sync_irq();
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_TIMEOUT(test, fx_run(test, .cmds = f->cmds, .num = num), num - 1);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_ATTACH, MOCK_DESTROY, MOCK_INVALIDATE);
	fx_expect_batch(test, 0, 0, f->cmds, num - 2);
	EXPECT_BATCH(test, 3, 1, atc_inv(VSID_OTHER, 1));
	fx_expect_aborts(test, f->v, VSID, REASON(ATC_TIMEOUT));
	for (i = 1; i < STREAMS; i++)
		fx_expect_s1(test, f->v, fx_streams[i].vsid, 1);
	/* It is reported only once. */
	EXPECT_RESULT(test, fx_run(test, .cons = num - 1, .num = 1), .done = 1,
		      .flags = RUN(SYNC_IRQ));
}

/* A stream that aborts gets no ATC_INV. The same STE again ends the abort. */
static void next_ste_brings_it_back(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_TIMEOUT(test, RUN_CMDS(test, atc_inv(VSID, 1), sync()), 1);
	EXPECT_DONE(test, RUN_CMDS(test, atc_inv(VSID, 1), atc_inv(VSID_NEXT, 1), sync()), 3);
	EXPECT_OPS(test, MOCK_INVALIDATE);
	EXPECT_BATCH(test, 0, 0, atc_inv(VSID_NEXT, 1));

	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), atc_inv(VSID, 1), sync()), 3);
	EXPECT_OPS(test, MOCK_ALLOC + MOCK_NESTED, MOCK_ATTACH, MOCK_INVALIDATE);
	fx_expect_s1(test, f->v, VSID, 1);
}

/* All streams of the call abort. The next CMD_SYNC reports it. */
static void said_at_a_later_sync(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_DONE(test, RUN_CMDS(test, atc_inv(VSID, 1), atc_inv(VSID_NEXT, 1),
				   atc_inv(VSID, 2)), 3);
	fx_expect_aborts(test, f->v, VSID, REASON(ATC_TIMEOUT));
	fx_expect_aborts(test, f->v, VSID_NEXT, REASON(ATC_TIMEOUT));
	fx_expect_s1(test, f->v, VSID_OTHER, 1);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1)), 1);
	EXPECT_TIMEOUT(test, RUN_CMDS(test, tlbi_va(1), sync()), 1);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);

	/* Setting the same registers does not count as an STE. */
	fx_must_set_regs(test);
	fx_expect_aborts(test, f->v, VSID, REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_all()), 1);
	for (i = 0; i < STREAMS; i++)
		fx_expect_s1(test, f->v, fx_streams[i].vsid, 1);
}

/* If the abort domain cannot be attached, DMA is blocked without a domain. */
static void failed_abort_blocks_dma(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_ANY, 1, 2, -ETIMEDOUT);
	EXPECT_TIMEOUT(test, RUN_CMDS(test, atc_inv(VSID, 1), sync()), 1);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_ATTACH, MOCK_DETACH, MOCK_DESTROY);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->hwpt_id, 0);
	fx_expect_aborts(test, f->v, VSID, REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	fx_expect_s1(test, f->v, VSID, 1);
}

/* After a reset, no CMD_SYNC reports the failure. */
static void reset_forgets_timeout(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_DONE(test, RUN_CMDS(test, atc_inv(VSID, 1)), 1);
	EXPECT_OK(test, fx_reset(f->v));
	fx_expect_aborts(test, f->v, VSID, REASON(NO_STE));
	fx_must_set_regs(test);
	EXPECT_DONE(test, RUN_CMDS(test, sync()), 1);
	fx_expect_s1(test, f->v, VSID, 1);
}

static const struct other_timeout {
	const char *name;
	bool cd;
	u32 calls;	/* up to the time-out */
} other_timeouts[] = {
	{ "TLBIs", .calls = 1 },
	{ "CDs", .cd = true, .calls = 1 },
	{ "TLBIs on the second SMMU", .cd = true, .calls = 3 },
};

KUNIT_ARRAY_PARAM_DESC(other_timeout, other_timeouts, name);

/* If other commands time out, no stream aborts, and the VMM repeats them. */
static void other_timeout_is_a_host_error(struct kunit *test)
{
	const struct other_timeout *c = test->param_value;
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, c->calls, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, RUN_CMDS(test, c->cd ? cfgi_cd(VSID, 1) : tlbi_va(1), tlbi_va(2),
				     atc_inv(VSID, 1), sync()),
		      .rc = -ETIMEDOUT, .reason = REASON(RETRY));
	KUNIT_EXPECT_EQ(test, f->mock->log_num, c->calls);
	for (i = 0; i < STREAMS; i++)
		fx_expect_s1(test, f->v, fx_streams[i].vsid, 1);
	EXPECT_DONE(test, fx_run(test, .num = 4), 4);
}

static struct kunit_case atc_cases[] = {
	KUNIT_CASE(timeout_costs_one_call),
	KUNIT_CASE(next_ste_brings_it_back),
	KUNIT_CASE(said_at_a_later_sync),
	KUNIT_CASE(failed_abort_blocks_dma),
	KUNIT_CASE(reset_forgets_timeout),
	KUNIT_CASE_PARAM(other_timeout_is_a_host_error, other_timeout_gen_params),
	{}
};

static struct kunit_suite atc_suite = {
	.name = "smmuv3-accel-atc",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = atc_cases,
};

kunit_test_suites(&atc_suite);
