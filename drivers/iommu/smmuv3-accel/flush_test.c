// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of pending flushes: if the flush fails when a vSMMU leaves a shared
 * parent, the next ATTACH on that parent flushes first.
 */
#include "fixture.h"

/*
 * If the parent lives on, closing a vSMMU flushes the TLBs, because the guest may use
 * the ASIDs again for devices of another vSMMU.
 */
static void close_flushes_after_dma(struct kunit *test)
{
	const struct cmd flush = tlbi_all();
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v, *w = fx_open(test, .shared_asids = true);
	struct mock_call *call;
	u32 i, at, parent;

	parent = fx_parent_of(test, fx_must_attach(test, w, .fd = 1, .vsid = VSID));
	v = fx_open(test, .shared_asids = true);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	KUNIT_ASSERT_EQ(test, fx_parent_of(test, stream_of(v, VSID)), parent);
	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_close(v);

	/* The flush comes after DMA is blocked. */
	for (i = 0, at = mock->log_num; i < mock->log_num; i++) {
		call = &mock->log[i];
		if (call->op == MOCK_DETACH)
			at = i;
		if (call->op == MOCK_INVALIDATE && at < i &&
		    !memcmp(call->cmds, &flush, sizeof(flush)))
			break;
	}
	KUNIT_EXPECT_LT(test, i, mock->log_num);
}

/* Expect that an attach on SMMU 0 flushes once, before the device can use the TLBs. */
static void expect_attach_flushes(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid)
{
	struct mock *mock = mock_of(test);

	mock->log_num = 0;
	fx_must_attach(test, v, .fd = fd, .vsid = vsid);
	KUNIT_ASSERT_GE(test, mock->log_num, 2);
	KUNIT_EXPECT_EQ(test, mock->log[mock->log_num - 1].op, MOCK_ATTACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 1);
	EXPECT_BATCH(test, mock->log_num - 2, 0, tlbi_all());
}

static void expect_attach_does_not(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid)
{
	struct mock *mock = mock_of(test);

	mock->log_num = 0;
	fx_must_attach(test, v, .fd = fd, .vsid = vsid);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
}

/* Close from a task outside the VMM's address space. */
static void close_elsewhere(struct kunit *test, struct smmuv3_vsmmu *v)
{
	mock_set_reachable(mock_of(test), false);
	fx_close(v);
	mock_set_reachable(mock_of(test), true);
}

static const struct heir {
	const char *name;
	bool new;
} heirs[] = {
	{ "one that shares the parent already" },
	{ "one that comes later", .new = true },
};

KUNIT_ARRAY_PARAM_DESC(heir, heirs, name);

/* If another task closes a vSMMU, the flush is left to those that share its parent. */
static void close_elsewhere_leaves_flush(struct kunit *test)
{
	const struct heir *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *x = c->new ? fx_open(test, .shared_asids = true) : w;
	u32 parent;

	parent = fx_parent_of(test, fx_must_attach(test, w, .fd = 1, .vsid = VSID));
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	KUNIT_ASSERT_EQ(test, fx_parent_of(test, stream_of(v, VSID)), parent);
	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->left = true;
	close_elsewhere(test, v);
	expect_attach_flushes(test, x, 2, VSID_NEXT);
	fx_must_detach(test, x, VSID_NEXT);
	expect_attach_does_not(test, w, 2, VSID_NEXT);
	if (c->new)
		fx_close(x);
	fx_close(w);
	mock_iommufd_gone(mock);
}

/* A vSMMU without a stream has no entries in the TLBs, so no flush becomes pending. */
static void close_without_stream_leaves_none(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *x = fx_open(test, .shared_asids = true);

	fx_must_attach(test, w, .fd = 1, .vsid = VSID);
	fx_must_attach(test, x, .fd = 2, .vsid = VSID);
	fx_must_detach(test, x, VSID);
	mock->left = true;
	close_elsewhere(test, x);
	expect_attach_does_not(test, w, 2, VSID_NEXT);
	fx_close(w);
	mock_iommufd_gone(mock);
}

/* The last stream of v leaves, and its flush fails. */
static void leave_pending(struct kunit *test, struct smmuv3_vsmmu *v)
{
	struct mock *mock = mock_of(test);

	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -EIO);
	fx_must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(mock), 2);
}

/* The next attach on the parent flushes, whichever vSMMU it is for. */
static void failed_flush_stays_pending(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	struct mock_state before;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, w, .fd = 1, .vsid = VSID);
	leave_pending(test, v);

	/* If the flush fails again, the device is not attached. */
	before = mock_state(mock);
	mock->log_num = 0;
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, fx_attach(w, .fd = 2, .vsid = VSID_NEXT), .rc = -ENOMEM,
		      .reason = REASON(RETRY));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ATTACH), 0);
	EXPECT_UNCHANGED(test, before);

	expect_attach_flushes(test, w, 2, VSID_NEXT);
	expect_attach_does_not(test, v, 0, VSID);
	/* A flush for another reason also clears the pending one. */
	leave_pending(test, v);
	EXPECT_OK(test, fx_reset(w));
	expect_attach_does_not(test, v, 0, VSID);
}

/* RESET flushes too. If that fails, the next attach on the parent flushes. */
static void failed_reset_stays_pending(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, w, .fd = 1, .vsid = VSID);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, fx_reset(v), .rc = -ENOMEM, .reason = REASON(RETRY));
	KUNIT_EXPECT_EQ(test, mock_fail_stop(mock), 2);
	expect_attach_flushes(test, w, 2, VSID_NEXT);
	expect_attach_does_not(test, v, 3, VSID_NEXT);
}

static struct smmuv3_vsmmu *other;

/* Another vSMMU leaves the parent, and its flush fails. */
static void other_leaves(struct kunit *test, u32 parent)
{
	struct smmuv3_stream *stream = stream_of(other, VSID);

	KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream), parent);
	smmuv3_parent_set_pending(stream->phys->parent);
}

static const struct flush_case {
	const char *name;
	bool fails;
} flush_cases[] = {
	{ "a flush that succeeds" },
	{ "a flush that fails", .fails = true },
};

KUNIT_ARRAY_PARAM_DESC(flush, flush_cases, name);

/* A flush does not cover flushes that become pending while it runs. */
static void pending_during_attach(struct kunit *test)
{
	const struct flush_case *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);

	other = fx_open(test, .shared_asids = true);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, other, .fd = 1, .vsid = VSID);
	leave_pending(test, v);
	mock_meanwhile(mock, MOCK_INVALIDATE, other_leaves);
	mock_fail(mock, MOCK_INVALIDATE, 1, c->fails ? 2 : 0, -EIO);
	KUNIT_EXPECT_EQ(test, fx_attach(v, .fd = 0, .vsid = VSID).rc, c->fails ? -EIO : 0);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	expect_attach_flushes(test, v, 2, VSID_NEXT);
	expect_attach_does_not(test, v, 3, VSID_OTHER);
}

/* This holds also if no flush was pending when it began. */
static void pending_during_reset(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);

	other = fx_open(test, .shared_asids = true);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, other, .fd = 1, .vsid = VSID);
	mock_meanwhile(mock, MOCK_INVALIDATE, other_leaves);
	EXPECT_OK(test, fx_reset(v));
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	expect_attach_flushes(test, v, 2, VSID_NEXT);
	expect_attach_does_not(test, v, 3, VSID_OTHER);
}

/* RESET skips an SMMU without a stream: the last detach has flushed its TLBs. */
static void reset_flushes_where_streams_are(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);

	fx_must_detach(test, v, VSID);
	mock->log_num = 0;
	EXPECT_OK(test, fx_reset(v));
	EXPECT_OPS(test, MOCK_INVALIDATE);
	EXPECT_BATCH(test, 0, 1, tlbi_all());
	expect_attach_does_not(test, v, 0, VSID);
}

static void expect_pending(struct kunit *test, u32 parent)
{
	struct smmuv3_stream *stream = stream_of(other, VSID);
	u32 ticket;

	KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream), parent);
	KUNIT_EXPECT_TRUE(test, smmuv3_parent_pending(stream->phys->parent, &ticket));
}

/* A vSMMU that attaches while the one that leaves flushes does not rely on that. */
static void pending_until_flushed(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	u32 round;

	other = fx_open(test, .shared_asids = true);
	fx_must_attach(test, other, .fd = 1, .vsid = VSID);
	for (round = 0; round < 2; round++) {
		fx_must_attach(test, v, .fd = 0, .vsid = VSID);
		mock_meanwhile(mock, MOCK_INVALIDATE, expect_pending);
		if (!round)
			fx_must_detach(test, v, VSID);
		else
			fx_close(v);
		KUNIT_EXPECT_NULL(test, mock->meanwhile);
		expect_attach_does_not(test, other, 2, VSID_NEXT);
		fx_must_detach(test, other, VSID_NEXT);
	}
}

static struct kunit_case flush_kunit_cases[] = {
	KUNIT_CASE(close_flushes_after_dma),
	KUNIT_CASE_PARAM(close_elsewhere_leaves_flush, heir_gen_params),
	KUNIT_CASE(close_without_stream_leaves_none),
	KUNIT_CASE(failed_flush_stays_pending),
	KUNIT_CASE(failed_reset_stays_pending),
	KUNIT_CASE_PARAM(pending_during_attach, flush_gen_params),
	KUNIT_CASE(pending_during_reset),
	KUNIT_CASE(pending_until_flushed),
	KUNIT_CASE(reset_flushes_where_streams_are),
	{}
};

static struct kunit_suite flush_suite = {
	.name = "smmuv3-accel-flush",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = flush_kunit_cases,
};

kunit_test_suites(&flush_suite);
