// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of a dead stream: the VMM has destroyed its vDEVICE. The host refuses
 * its commands, but those of other streams are carried out.
 */
#include "fixture.h"

#define EXPECT_REFUSED_AT(test, call, num, _vsid)			\
	EXPECT_RESULT(test, call, .rc = -EIO, .done = num,		\
		      .reason = REASON(HOST_REJECT), .vsid = _vsid)

static void kill_vdevice(struct kunit *test, u32 vsid)
{
	struct fixture *f = test->priv;

	mock_vmm_destroy(f->mock, stream_of(f->v, vsid)->vdevice_id);
}

static void start_with_dead(struct kunit *test, u32 vsid)
{
	fx_start(test);
	kill_vdevice(test, vsid);
}

/* The segment is carried out except for the dead stream. No later segment begins. */
static void rest_of_its_segment_is_done(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_with_dead(test, VSID);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd(VSID_NEXT, 1), sync(),
					 cfgi_cd(VSID, 1), cfgi_cd(VSID_OTHER, 1),
					 cfgi_cd(VSID_NEXT, 2), tlbi_va(2), sync()), 3, VSID);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID_NEXT, 1), cfgi_cd(VSID_NEXT, 2), tlbi_va(1),
		     tlbi_va(2));
	EXPECT_GIVEN(test, 1, cfgi_cd(VSID_OTHER, 1), tlbi_va(1), tlbi_va(2));
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, cfgi_cd_all(VSID_NEXT), cfgi_cd(VSID, 1)), 1, VSID);

	fx_put_ste(test, VSID_OTHER, STE_S1_AT(2), 0);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd_all(VSID),
					 cfgi_ste(VSID_OTHER)), 1, VSID);
	fx_expect_s1(test, f->v, VSID_OTHER, 1);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, cfgi_cd(VSID, 1), bad_cmd(1)), 0, VSID);
	/* Commands before a command for STEs are done. */
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, tlbi_va(1), cfgi_ste(VSID_OTHER), tlbi_va(2),
					 cfgi_cd(VSID, 1), tlbi_va(3)), 3, VSID);
	fx_expect_s1(test, f->v, VSID_OTHER, 2);
}

/* Of several dead streams, the one with the first command is reported. */
static void first_refused_command_is_named(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_with_dead(test, VSID);
	kill_vdevice(test, VSID_NEXT);
	kill_vdevice(test, VSID_LAST);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd(VSID_OTHER, 1),
					 cfgi_cd(VSID_NEXT, 1), cfgi_cd(VSID, 1),
					 cfgi_cd(VSID_LAST, 1), cfgi_cd(VSID_OTHER, 2)),
			  2, VSID_NEXT);
	EXPECT_GIVEN(test, 0, tlbi_va(1));
	EXPECT_GIVEN(test, 1, cfgi_cd(VSID_OTHER, 1), cfgi_cd(VSID_OTHER, 2), tlbi_va(1));
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd(VSID_LAST, 1),
					 cfgi_cd(VSID, 1), cfgi_cd(VSID_NEXT, 1)), 1, VSID_LAST);

	/* When they are detached, the rest runs. */
	fx_must_detach(test, f->v, VSID);
	fx_must_detach(test, f->v, VSID_NEXT);
	EXPECT_REFUSED_AT(test, fx_run(test, .num = 4), 1, VSID_LAST);
	fx_must_detach(test, f->v, VSID_LAST);
	EXPECT_DONE(test, fx_run(test, .num = 4), 4);
}

static void start_with_dead_ats(struct kunit *test)
{
	need_ats(test);
	start_with_dead(test, VSID);
}

static void other_atc_invs_are_done(struct kunit *test)
{
	start_with_dead_ats(test);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, atc_inv(VSID_NEXT, 1), tlbi_va(1),
					 atc_inv(VSID, 1), atc_inv(VSID_OTHER, 1), sync()),
			  2, VSID);
	EXPECT_GIVEN(test, 0, tlbi_va(1), atc_inv(VSID_NEXT, 1));
	EXPECT_GIVEN(test, 1, tlbi_va(1), atc_inv(VSID_OTHER, 1));
}

/* A device of another stream, after it, does not answer. Calls 1 to 4 are refused. */
static void timeout_behind_it(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_with_dead_ats(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 5, 1, -ETIMEDOUT);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, atc_inv(VSID, 1), atc_inv(VSID_NEXT, 1), sync()),
			  0, VSID);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 1);
	fx_expect_aborts(test, f->v, VSID_NEXT, REASON(ATC_TIMEOUT));
	fx_expect_s1(test, f->v, VSID, 1);
	/* The next CMD_SYNC that is carried out reports it, once. */
	EXPECT_RESULT(test, RUN_CMDS(test, sync()), .error = CERROR(ATC_INV_SYNC),
		      .reason = REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, fx_run(test, .num = 1), 1);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID_NEXT)), 1);
}

/* The same, but before it: the rest is not tried, so both streams abort. */
static void timeout_before_it(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_with_dead_ats(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 3, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, RUN_CMDS(test, atc_inv(VSID_NEXT, 1), sync(), atc_inv(VSID, 1)),
		      .done = 1, .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT));
	fx_expect_aborts(test, f->v, VSID, REASON(ATC_TIMEOUT));
	fx_expect_aborts(test, f->v, VSID_NEXT, REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, fx_run(test, .cons = 1, .num = 2), 2);
}

/* CFGI_ALL with unchanged STEs flushes the CDs of all streams but the dead one. */
static void other_cds_are_invalidated(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_with_dead(test, VSID_NEXT);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, tlbi_va(1), cfgi_all(), tlbi_va(2)), 1, VSID_NEXT);
	EXPECT_GIVEN(test, 0, tlbi_va(1), cfgi_cd_all(VSID));
	EXPECT_GIVEN(test, 1, tlbi_va(1), cfgi_cd_all(VSID_OTHER), cfgi_cd_all(VSID_LAST));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&f->v->stale_cds), 1);

	/* No other stream's call fails, though it tries the dead stream's flush too. */
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID));
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, cfgi_ste(VSID_NEXT)), 0, VSID_NEXT);
	/* Without a vDEVICE, an STE that translates cannot be attached. */
	fx_put_ste(test, VSID_NEXT, STE_S1_AT(2), 0);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, cfgi_ste(VSID_NEXT)), 0, VSID_NEXT);
	fx_expect_s1(test, f->v, VSID_NEXT, 1);
}

/* Two dead streams, on two SMMUs */
static void first_refused_flush_is_named(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_with_dead(test, VSID_NEXT);
	kill_vdevice(test, VSID_OTHER);
	EXPECT_REFUSED_AT(test, RUN_CMDS(test, cfgi_all()), 0, VSID_NEXT);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID));
	EXPECT_GIVEN(test, 1, cfgi_cd_all(VSID_LAST));
	fx_must_detach(test, f->v, VSID_NEXT);
	fx_must_detach(test, f->v, VSID_OTHER);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), cfgi_all(), tlbi_va(2)), 3);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->v->stale_cds));
}

static struct kunit_case dead_stream_cases[] = {
	KUNIT_CASE(rest_of_its_segment_is_done),
	KUNIT_CASE(first_refused_command_is_named),
	KUNIT_CASE(other_atc_invs_are_done),
	KUNIT_CASE(timeout_behind_it),
	KUNIT_CASE(timeout_before_it),
	KUNIT_CASE(other_cds_are_invalidated),
	KUNIT_CASE(first_refused_flush_is_named),
	{}
};

static struct kunit_suite dead_stream_suite = {
	.name = "smmuv3-accel-dead-stream",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = dead_stream_cases,
};

kunit_test_suites(&dead_stream_suite);
