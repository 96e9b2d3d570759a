// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of INVALIDATE: the host calls for an array of commands, and the
 * difference between host errors, guest errors and time-outs.
 */
#include <linux/sched/signal.h>

#include "fixture.h"

#define ARRAY_CMDS	((u32)(ARRAY_LEN / CMD_LEN))

/* Three phases on the SMMUs concerned, each in the guest's order */
static void fans_out_in_phases(struct kunit *test)
{
	const struct cmd cmds[] = {
		tlbi_va(1), cfgi_cd_all(VSID_UNKNOWN), cfgi_cd_all(VSID_OTHER), sync(),
		tlbi_va(2), cfgi_cd_all(VSID), prefetch_addr(0), tlbi_va(3), sync(),
	};
	const u32 num = ARRAY_SIZE(cmds);
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);
	u32 i;

	EXPECT_DONE(test, fx_invalidate(test, v, cmds, num), num);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));
	EXPECT_BATCH(test, 1, 1, cfgi_cd_all(VSID_OTHER));
	EXPECT_BATCH(test, 2, 0, tlbi_va(1), tlbi_va(2), tlbi_va(3));
	EXPECT_BATCH(test, 3, 1, tlbi_va(1), tlbi_va(2), tlbi_va(3));
	/* No phase is one stretch of the array. */
	for (i = 0; i < mock->log_num; i++)
		fx_expect_from(test, i, NULL);

	/* An SMMU without a stream gets no TLBI: the last detach has flushed its TLBs. */
	fx_must_detach(test, v, VSID);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, num), num);
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	EXPECT_BATCH(test, 0, 1, cfgi_cd_all(VSID_OTHER));
	EXPECT_BATCH(test, 1, 1, tlbi_va(1), tlbi_va(2), tlbi_va(3));
	fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 1), 1);
	EXPECT_BATCH(test, 0, 0, tlbi_va(1));
	EXPECT_BATCH(test, 1, 1, tlbi_va(1));

	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 0), 0);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

/* One SMMU has the erratum: it gets CFGIs and TLBIs twice, ATC_INVs once. */
static void erratum_spares_atc_inv(struct kunit *test)
{
	const struct cmd cmds[] = {
		atc_inv_all(VSID), tlbi_va(1), atc_inv_all(VSID_OTHER),
		atc_inv_all(VSID_UNKNOWN), cfgi_cd_all(VSID), sync(),
	};
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v;

	mock->smmu[0].flags = ERRATUM;
	v = fx_open_ats(test);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 6), 6);
	KUNIT_EXPECT_EQ(test, mock->log_num, 6);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));
	EXPECT_BATCH(test, 1, 0, cfgi_cd_all(VSID));
	EXPECT_BATCH(test, 2, 0, tlbi_va(1));
	EXPECT_BATCH(test, 3, 0, tlbi_va(1));
	EXPECT_BATCH(test, 4, 1, tlbi_va(1));
	EXPECT_BATCH(test, 5, 0, atc_inv_all(VSID));

	/* Nothing to do without EATS */
	fx_must_install(test, v, VSID, STE_BYPASS, 0);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 1), 1);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

/* Both SMMUs have the erratum, which matters to every call that invalidates. */
static void erratum_repeats_each_call(struct kunit *test)
{
	const struct cmd cmds[] = { tlbi_va(1), cfgi_cd_all(VSID) };
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v;
	int i;

	for (i = 0; i < MOCK_SMMUS; i++)
		mock->smmu[i].flags = ERRATUM;
	v = fx_open_two(test);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 2), 2);
	KUNIT_EXPECT_EQ(test, mock->log_num, 6);
	for (i = 0; i < 2; i++) {
		EXPECT_BATCH(test, i, 0, cfgi_cd_all(VSID));
		EXPECT_BATCH(test, 2 + i, 0, tlbi_va(1));
		EXPECT_BATCH(test, 4 + i, 1, tlbi_va(1));
	}
	/* A call that failed does not count as one of the two. */
	mock_fail(mock, MOCK_INVALIDATE, 1, 1, -EIO);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 1), 1);
	KUNIT_EXPECT_EQ(test, mock->log_num, 5);

	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_must_install(test, v, VSID, STE_S1, 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 2);
	mock->log_num = 0;
	fx_must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 2);
}

/* An ATC_INV is legal even if another stream's SMMU has no ATS. */
static void atc_inv_needs_one_smmu_with_ats(struct kunit *test)
{
	const struct cmd cmds[] = { atc_inv_all(VSID), sync() };
	struct smmuv3_vsmmu *v;

	mock_of(test)->smmu[1].idr[0] &= ~IDR0_ATS;
	v = fx_open_ats(test);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 2), 2);
}

/* A time-out of an ATC_INV is a guest error, any other error is a host error. */
static void atc_timeout_ends_at_sync(struct kunit *test)
{
	const struct cmd cmds[] = {
		sync(), tlbi_va(1), atc_inv_all(VSID), tlbi_va(2), sync(), cfgi_cd_all(VSID),
		sync(),
	};
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_ats(test);

	mock_fail(mock, MOCK_INVALIDATE, 4, 9, -ETIMEDOUT);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, 7), .done = 4,
		      .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT));
	KUNIT_EXPECT_EQ(test, mock->failed, 1);

	fx_must_install(test, v, VSID, STE_S1, STE_ATS);
	mock_fail(mock, MOCK_INVALIDATE, 4, 9, -ENOMEM);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, 7), .rc = -ENOMEM,
		      .reason = REASON(RETRY));
	EXPECT_BATCH(test, 3, 0, atc_inv_all(VSID));
	EXPECT_BATCH(test, 4, 0, atc_inv_all(VSID));
	KUNIT_EXPECT_EQ(test, mock_fail_stop(mock), 2);
}

/* If a device does not answer, no other device may keep a stale ATC either. */
static void atc_timeout_spares_other_smmu(struct kunit *test)
{
	const struct cmd cmds[] = { atc_inv_all(VSID), atc_inv_all(VSID_OTHER), sync() };
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_ats(test);

	fx_must_install(test, v, VSID_OTHER, STE_S1, STE_ATS);
	mock_fail(mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, 3), .done = 2,
		      .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 2);
	EXPECT_BATCH(test, 0, 0, atc_inv_all(VSID));
	EXPECT_BATCH(test, mock->log_num - 1, 1, atc_inv_all(VSID_OTHER));
}

/* The next CMD_SYNC reports a time-out, even in a later array. */
static void atc_timeout_reaches_far_sync(struct kunit *test)
{
	const u32 num = SMMUV3_HOST_MAX_BATCH + 5;
	struct fixture *f = test->priv;
	struct smmuv3_vsmmu *v = fx_open_ats(test);
	u32 i;

	for (i = 0; i < num; i++)
		f->cmds[i] = tlbi_va(i);
	f->cmds[0] = atc_inv_all(VSID);
	f->cmds[num - 1] = sync();
	mock_fail(f->mock, MOCK_INVALIDATE, 3, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, fx_invalidate(test, v, f->cmds, num), .done = num - 1,
		      .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT));
}

/*
 * After a host error, the module replays the whole batch once, from the copy that it
 * checked: the VMM's memory may have changed.
 */
static void error_replays_checked_copy(struct kunit *test)
{
	const struct cmd cmds[] = {
		tlbi_va(1), tlbi_va(2), cfgi_cd(VSID, 1), cfgi_cd(VSID, 2), sync(),
	};
	struct fixture *f = test->priv;
	struct smmuv3_vsmmu *v = fx_open_two(test);

	mock_fail(f->mock, MOCK_INVALIDATE, 2, 1, -EIO);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 5), 5);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 4);
	EXPECT_BATCH(test, 0, 0, cfgi_cd(VSID, 1), cfgi_cd(VSID, 2));
	EXPECT_BATCH(test, 1, 0, tlbi_va(1), tlbi_va(2));
	EXPECT_BATCH(test, 2, 0, tlbi_va(1), tlbi_va(2));
	EXPECT_BATCH(test, 3, 1, tlbi_va(1), tlbi_va(2));
	fx_expect_from(test, 0, f->array + 2 * CMD_LEN);
	fx_expect_from(test, 1, f->array);
	fx_expect_from(test, 2, NULL);
	fx_expect_from(test, 3, f->array);

	f->mock->scribble = true;
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -EIO);
	EXPECT_DONE(test, fx_invalidate(test, v, &cmds[2], 2), 2);
	EXPECT_BATCH(test, 1, 0, cfgi_cd(VSID, 1), cfgi_cd(VSID, 2));
	fx_expect_from(test, 1, NULL);
	f->mock->scribble = false;
}

/* If the replay fails too, no later phase begins. A time-out is not replayed. */
static void second_error_ends_the_call(struct kunit *test)
{
	const struct cmd cmds[] = {
		tlbi_va(1), tlbi_va(2), cfgi_cd(VSID, 1), cfgi_cd(VSID, 2), sync(),
	};
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);

	mock_fail(mock, MOCK_INVALIDATE, 1, 9, -ENOMEM);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, 5), .rc = -ENOMEM,
		      .reason = REASON(RETRY));
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	EXPECT_BATCH(test, 1, 0, cfgi_cd(VSID, 1), cfgi_cd(VSID, 2));

	mock_fail(mock, MOCK_INVALIDATE, 2, 9, -EIO);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, 5), .rc = -EIO,
		      .reason = REASON(HOST_REJECT));
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	EXPECT_BATCH(test, 2, 0, tlbi_va(1), tlbi_va(2));

	mock_fail(mock, MOCK_INVALIDATE, 1, 9, -ETIMEDOUT);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, 5), .rc = -ETIMEDOUT,
		      .reason = REASON(RETRY));
	KUNIT_EXPECT_EQ(test, mock->log_num, 1);
	mock_fail_stop(mock);
}

/* Commands before a bad one are done. If they fail, that is reported first. */
static void bad_command_stops_there(struct kunit *test)
{
	const struct cmd ill[] = {
		tlbi_va(1), cfgi_cd_all(VSID), bad_cmd(1), cfgi_cd_all(VSID), tlbi_va(2),
	};
	const struct cmd ste[] = { tlbi_va(1), cfgi_ste(0), tlbi_va(2) };
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);

	EXPECT_RESULT(test, fx_invalidate(test, v, ill, 5), .done = 2, .error = CERROR(ILL),
		      .reason = REASON(CMD_OPCODE));
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));
	EXPECT_BATCH(test, 1, 0, tlbi_va(1));
	EXPECT_BATCH(test, 2, 1, tlbi_va(1));
	EXPECT_RESULT(test, fx_invalidate(test, v, &ill[2], 3), .error = CERROR(ILL),
		      .reason = REASON(CMD_OPCODE));
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);

	EXPECT_RESULT(test, fx_invalidate(test, v, ste, 3), .rc = -EINVAL, .done = 1,
		      .reason = REASON(CMD_NEEDS_TABLE));
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	EXPECT_BATCH(test, 1, 1, tlbi_va(1));

	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, fx_invalidate(test, v, ill, 5), .rc = -ENOMEM,
		      .reason = REASON(RETRY));
}

/* An array needs three host calls. A signal ends it between two of them. */
static void long_array_in_batches(struct kunit *test)
{
	const u32 max = SMMUV3_HOST_MAX_BATCH, num = 2 * max + 5;
	struct fixture *f = test->priv;
	struct mock *mock = f->mock;
	struct smmuv3_vsmmu *v = fx_open(test);
	u32 i;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	for (i = 0; i < num; i++)
		f->cmds[i] = tlbi_va(i);
	EXPECT_DONE(test, fx_invalidate(test, v, f->cmds, num), num);
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	fx_expect_batch(test, 0, 0, f->cmds, max);
	fx_expect_batch(test, 1, 0, f->cmds + max, max);
	fx_expect_batch(test, 2, 0, f->cmds + 2 * max, num - 2 * max);
	for (i = 0; i < 3; i++)
		fx_expect_from(test, i, f->array + i * max * CMD_LEN);

	mock_fail(mock, MOCK_INVALIDATE, 2, 2, -EIO);
	EXPECT_RESULT(test, fx_invalidate(test, v, f->cmds, num), .rc = -EIO, .done = max,
		      .reason = REASON(HOST_REJECT));
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	fx_expect_batch(test, 2, 0, f->cmds + max, max);

	mock->signal = true;
	EXPECT_DONE(test, fx_invalidate(test, v, f->cmds, num), max);
	EXPECT_RESULT(test, fx_invalidate(test, v, f->cmds, num), .rc = -EINTR);
	mock->signal = false;
	clear_thread_flag(TIF_SIGPENDING);

	f->cmds[max + 7] = bad_cmd(1);
	EXPECT_RESULT(test, fx_invalidate(test, v, f->cmds, num), .done = max + 7,
		      .error = CERROR(ILL), .reason = REASON(CMD_OPCODE));
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	fx_expect_batch(test, 1, 0, f->cmds + max, 7);
}

/* The readable part of an array is done. An array that is too long is refused. */
static void unreadable_array_in_part(struct kunit *test)
{
	const u32 num = 3 * SMMUV3_HOST_MAX_BATCH;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct cmd *cmds = kunit_kmalloc_array(test, num, sizeof(*cmds), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, cmds);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	for (i = 0; i < num; i++)
		cmds[i] = tlbi_va(i);
	KUNIT_ASSERT_LT(test, ARRAY_CMDS, num);
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, num), .rc = -EFAULT,
		      .done = ARRAY_CMDS, .reason = REASON(BAD_POINTER));
	EXPECT_RESULT(test, fx_invalidate(test, v, cmds, SMMUV3_MAX_CMDS + 1), .rc = -EINVAL,
		      .reason = REASON(ARRAY));
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

static struct kunit_case array_cases[] = {
	KUNIT_CASE(fans_out_in_phases),
	KUNIT_CASE(erratum_spares_atc_inv),
	KUNIT_CASE(erratum_repeats_each_call),
	KUNIT_CASE(atc_inv_needs_one_smmu_with_ats),
	KUNIT_CASE(atc_timeout_ends_at_sync),
	KUNIT_CASE(atc_timeout_spares_other_smmu),
	KUNIT_CASE(atc_timeout_reaches_far_sync),
	KUNIT_CASE(error_replays_checked_copy),
	KUNIT_CASE(second_error_ends_the_call),
	KUNIT_CASE(bad_command_stops_there),
	KUNIT_CASE(long_array_in_batches),
	KUNIT_CASE(unreadable_array_in_part),
	{}
};

static struct kunit_suite array_suite = {
	.name = "smmuv3-accel-array",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = array_cases,
};

kunit_test_suites(&array_suite);
