// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of cached CDs in table mode: if a CFGI finds STEs unchanged, it
 * invalidates their CDs, with one host call for all streams of an SMMU.
 */
#include "fixture.h"

static void start(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* A stream that the host does not know */
	fx_must_attach(test, f->v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = BRIDGE);
	fx_put_ste(test, VSID_HOSTLESS, STE_S1_AT(1), 0);
	fx_start(test);
}

static void one_call_per_smmu(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	for (i = 0; i < 2; i++) {
		EXPECT_DONE(test, RUN_CMDS(test, cfgi_range(0, i ? CFGI_RANGE_ALL : 7)), 1);
		KUNIT_ASSERT_EQ(test, f->mock->log_num, 2);
		EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID), cfgi_cd_all(VSID_NEXT));
		EXPECT_GIVEN(test, 1, cfgi_cd_all(VSID_OTHER), cfgi_cd_all(VSID_LAST));
	}
}

/* CDs are not flushed if the STE changed or does not translate. */
static void unchanged_stage1_only(struct kunit *test)
{
	start(test);
	fx_put_ste(test, VSID, STE_S1_AT(2), STE_ATS);
	fx_put_ste(test, VSID_LAST, STE_BYPASS, 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_all()), 1);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID_NEXT));
	EXPECT_GIVEN(test, 1, cfgi_cd_all(VSID_OTHER));
}

/* If the flush of the second SMMU and its replay fail, the next CFGI flushes again. */
static void failed_flush_comes_with_next_cfgi(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 2, 2, -ENOMEM);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all()), .rc = -ENOMEM, .reason = REASON(RETRY),
		      .vsid = VSID_OTHER);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	KUNIT_ASSERT_EQ(test, f->mock->log_num, 2);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID));
	EXPECT_GIVEN(test, 1, cfgi_cd_all(VSID_OTHER), cfgi_cd_all(VSID_LAST));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 1);
}

/*
 * The same command again flushes all, except for a stream that was detached meanwhile.
 */
static void repeated_cfgi_flushes_all(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all()), .rc = -ENOMEM, .reason = REASON(RETRY),
		      .vsid = VSID);
	fx_must_detach(test, f->v, VSID_LAST);
	fx_put_ste(test, VSID, 0, 0);
	EXPECT_RESULT(test, fx_run(test, .num = 1), .done = 1);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID_NEXT));
	EXPECT_GIVEN(test, 1, cfgi_cd_all(VSID_OTHER));
}

static void erratum_repeats_each_call(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	for (i = 0; i < MOCK_SMMUS; i++)
		f->mock->smmu[i].flags = ERRATUM;
	start(test);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_all()), 1);
	KUNIT_ASSERT_EQ(test, f->mock->log_num, 4);
	for (i = 0; i < 2; i++) {
		EXPECT_BATCH(test, i, 0, cfgi_cd_all(VSID), cfgi_cd_all(VSID_NEXT));
		EXPECT_BATCH(test, 2 + i, 1, cfgi_cd_all(VSID_OTHER), cfgi_cd_all(VSID_LAST));
	}
}

static struct kunit_case cds_cases[] = {
	KUNIT_CASE(one_call_per_smmu),
	KUNIT_CASE(unchanged_stage1_only),
	KUNIT_CASE(failed_flush_comes_with_next_cfgi),
	KUNIT_CASE(repeated_cfgi_flushes_all),
	KUNIT_CASE(erratum_repeats_each_call),
	{}
};

static struct kunit_suite cds_suite = {
	.name = "smmuv3-accel-cds",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = cds_cases,
};

kunit_test_suites(&cds_suite);
