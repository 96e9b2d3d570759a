// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of INSTALL_STE: from any STE to any other, with any host call failing,
 * and cached CDs.
 */
#include "fixture.h"

/* Fields that an STE may have, but the host must not see: SHCFG, STRW */
#define STE_1_IGNORED	(BIT_ULL(44) | GENMASK_ULL(31, 30))

static const struct transition {
	const char *name;
	u64 from;		/* 0: abort, as after ATTACH */
	u64 to;
	u32 calls;
} transitions[] = {
	{ "attached to abort", 0, STE_ABORT, .calls = 0 },
	{ "attached to bypass", 0, STE_BYPASS, .calls = 1 },
	{ "attached to stage 1", 0, STE_S1_AT(1), .calls = 2 },
	{ "abort to abort", STE_ABORT, STE_ABORT, .calls = 0 },
	{ "abort to bypass", STE_ABORT, STE_BYPASS, .calls = 1 },
	{ "abort to stage 1", STE_ABORT, STE_S1_AT(1), .calls = 2 },
	{ "bypass to abort", STE_BYPASS, STE_ABORT, .calls = 1 },
	{ "bypass to bypass", STE_BYPASS, STE_BYPASS, .calls = 0 },
	{ "bypass to stage 1", STE_BYPASS, STE_S1_AT(1), .calls = 2 },
	{ "stage 1 to abort", STE_S1, STE_ABORT, .calls = 1 },
	{ "stage 1 to bypass", STE_S1, STE_BYPASS, .calls = 1 },
	{ "stage 1 to stage 1", STE_S1, STE_S1_AT(1), .calls = 2 },
};

KUNIT_ARRAY_PARAM_DESC(transition, transitions, name);

/*
 * Expect that the new STE is installed, and that DMA was never blocked meanwhile. The
 * host invalidates cached CDs with the STE.
 */
static void expect_installed(struct kunit *test, struct smmuv3_vsmmu *v, u64 ste)
{
	struct mock *mock = mock_of(test);

	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
	fx_expect_domain(test, v, VSID, ste, 0);
	fx_expect_live(test, 1, 1, (ste & STE_S1) == STE_S1);
}

/* Let the n-th host call of a transition fail. Returns whether there is one. */
static bool try_transition(struct kunit *test, struct smmuv3_vsmmu *v, u32 n)
{
	const struct transition *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_stream *stream = fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	struct mock_state before;
	struct smmuv3_stream old;
	struct result r;
	u32 failed;

	fx_must_install(test, v, VSID, c->from, 0);
	old = *stream;
	before = mock_state(mock);

	mock->log_num = 0;
	mock_fail(mock, MOCK_ANY, n, 1, -ENOMEM);
	r = fx_install(v, VSID, c->to, 0);
	failed = mock_fail_stop(mock);
	if (!failed) {
		KUNIT_EXPECT_EQ(test, r.rc, 0);
		expect_installed(test, v, c->to);
	} else if (c->to == STE_ABORT) {
		/* An abort takes effect in any case, even without a domain. */
		KUNIT_EXPECT_EQ(test, r.rc, 0);
		KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
		fx_expect_aborts(test, v, VSID, REASON(STE_ABORT));
		fx_expect_live(test, 1, 1, 0);
	} else {
		EXPECT_RESULT(test, r, .rc = -ENOMEM, .reason = REASON(RETRY));
		EXPECT_UNCHANGED_MSG(test, before, "call %u", n);
		KUNIT_EXPECT_MEMEQ(test, &stream->ste, &old.ste, sizeof(old.ste));
	}
	KUNIT_EXPECT_EQ(test, stream->hwpt_id, mock->devs[0].hwpt_id);

	/* The same STE again is harmless, and now succeeds. */
	fx_must_install(test, v, VSID, c->to, 0);
	fx_expect_domain(test, v, VSID, c->to, 0);
	fx_expect_live(test, 1, 1, (c->to & STE_S1) == STE_S1);
	fx_must_detach(test, v, VSID);
	fx_expect_live(test, 1, 0, 0);
	return failed;
}

static void failed_ste_keeps_the_old_one(struct kunit *test)
{
	const struct transition *c = test->param_value;
	struct smmuv3_vsmmu *v = fx_open(test);
	u32 n;

	for (n = 1; try_transition(test, v, n); n++)
		;
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
}

static void host_error_has_its_reason(struct kunit *test)
{
	static const struct { int rc; u32 reason; } errors[] = {
		{ -ENOMEM, REASON(RETRY) },
		{ -EBUSY, REASON(RETRY) },
		{ -ENODEV, REASON(NO_POWER) },
		{ -EIO, REASON(HOST_REJECT) },
		{ -EADDRINUSE, REASON(RESERVED_IOVA) },
		{ -EPERM, REASON(SECURITY) },
	};
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	int i;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		mock_fail(mock, MOCK_ATTACH, 1, 1, errors[i].rc);
		EXPECT_RESULT(test, fx_install(v, VSID, STE_BYPASS, 0), .rc = errors[i].rc,
			      .reason = errors[i].reason);
		fx_expect_domain(test, v, VSID, STE_ABORT, 0);
	}
	EXPECT_RESULT(test, fx_install(v, VSID_UNKNOWN, STE_BYPASS, 0), .rc = -ENOENT,
		      .reason = REASON(NO_STREAM));
}

/* An illegal STE is no error of the call: the stream aborts, with a reason. */
static void bad_ste_aborts(struct kunit *test)
{
	static const struct { u64 w0, w1; u32 reason; } bad[] = {
		{ 0, 0, REASON(STE_INVALID) },
		{ STE_ABORT, 0, REASON(STE_ABORT) },
		{ STE_BAD_CONFIG, 0, REASON(STE_CONFIG) },
		{ STE_S1 | FIELD_CONST(STE_0_S1CDMAX, 9), 0, REASON(STE_S1CDMAX) },
		{ STE_S1 | FIELD_CONST(STE_0_S1CONTEXTPTR_OVER, 1), 0,
		  REASON(STE_S1CONTEXTPTR) },
		{ STE_S1, STE_1_S1STALLD, REASON(STE_S1STALLD) },
	};
	struct smmuv3_vsmmu *v = fx_open(test);
	int i;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fx_must_install(test, v, VSID, STE_S1, 0);
		EXPECT_RESULT(test, fx_install(v, VSID, bad[i].w0, bad[i].w1),
			      .reason = bad[i].reason);
		fx_expect_aborts(test, v, VSID, bad[i].reason);
		fx_expect_domain(test, v, VSID, STE_ABORT, 0);
		fx_expect_live(test, 1, 1, 0);
	}
}

/* An unchanged STE needs no new domain, but its CDs may have changed. */
static void same_ste_invalidates_cds(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct smmuv3_stream *stream = fx_must_attach(test, v, .fd = 0, .vsid = VSID);

	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_must_install(test, v, VSID, STE_S1, STE_1_IGNORED);
	KUNIT_EXPECT_EQ(test, mock->log_num, 1);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));

	fx_must_install(test, v, VSID, STE_BYPASS, 0);
	mock->log_num = 0;
	fx_must_install(test, v, VSID, STE_BYPASS, STE_1_IGNORED);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);

	/* The invalidation of CDs and its replay fail. The same STE again repeats it. */
	fx_must_install(test, v, VSID, STE_S1, 0);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, fx_install(v, VSID, STE_S1, 0), .rc = -ENOMEM,
		      .reason = REASON(RETRY));
	fx_expect_domain(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_must_install(test, v, VSID, STE_S1, 0);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));

	fx_must_install(test, v, VSID, STE_ABORT, 0);
	mock->log_num = 0;
	EXPECT_RESULT(test, fx_install(v, VSID, 0, 0), .reason = REASON(STE_INVALID));
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(STE_INVALID));
}

/* A changed EATS is a new domain, because its effect depends on the device. */
static void eats_alone_is_a_change(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);

	need_ats(test);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_must_install(test, v, VSID, STE_S1, STE_ATS);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	EXPECT_BATCH(test, 3, 0, cfgi_cd_all(VSID));
	mock->log_num = 0;
	fx_must_install(test, v, VSID, STE_S1, FIELD_PREP(STE_1_S1CIR, 1));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
}

enum stale_next {
	OTHER_STREAMS_STE,
	SAME_STE,
	NEW_STE,
	ABORT_STE,
	GONE,
};

static const struct stale_case {
	const char *name;
	enum stale_next next;
} stale_cases[] = {
	{ "another stream's STE", OTHER_STREAMS_STE },
	{ "the same STE", SAME_STE },
	{ "a new STE, with which the host sends a CFGI_STE", NEW_STE },
	{ "an STE that aborts", ABORT_STE },
	{ "DETACH", GONE },
};

KUNIT_ARRAY_PARAM_DESC(stale, stale_cases, name);

/*
 * If a flush of CDs fails, it stays pending until the next STE of any stream, as long
 * as its stream has a stage 1.
 */
static void failed_cd_flush_stays_pending(struct kunit *test)
{
	const struct stale_case *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);

	fx_must_install(test, v, VSID, STE_S1, 0);
	fx_must_install(test, v, VSID_OTHER, STE_S1, 0);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, fx_install(v, VSID, STE_S1, 0), .rc = -ENOMEM,
		      .reason = REASON(RETRY));
	mock->log_num = 0;
	switch (c->next) {
	case OTHER_STREAMS_STE:
		fx_must_install(test, v, VSID_OTHER, STE_S1_AT(1), 0);
		EXPECT_BATCH(test, mock->log_num - 1, 0, cfgi_cd_all(VSID));
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 1);
		break;
	case SAME_STE:		/* still listed only once */
		fx_must_install(test, v, VSID, STE_S1, 0);
		EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));
		KUNIT_EXPECT_EQ(test, mock->log_num, 1);
		break;
	case NEW_STE:
	case ABORT_STE:
		fx_must_install(test, v, VSID, c->next == NEW_STE ? STE_S1_AT(2) : STE_ABORT, 0);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
		break;
	case GONE:
		fx_must_detach(test, v, VSID);
		break;
	}
	/* No flush is pending any more. */
	KUNIT_EXPECT_TRUE(test, list_empty(&v->stale_cds));
	mock->log_num = 0;
	fx_must_install(test, v, VSID_OTHER, STE_BYPASS, 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
}

/* A failed flush does not fail another stream's call, and stays pending. */
static void failed_cd_flush_is_no_other_streams(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);

	fx_must_install(test, v, VSID, STE_S1, 0);
	fx_must_install(test, v, VSID_OTHER, STE_S1, 0);
	mock_fail(mock, MOCK_INVALIDATE, 1, 4, -EIO);
	EXPECT_RESULT(test, fx_install(v, VSID, STE_S1, 0), .rc = -EIO,
		      .reason = REASON(HOST_REJECT));
	mock_fail(mock, MOCK_INVALIDATE, 1, 4, -EIO);
	mock->log_num = 0;
	fx_must_install(test, v, VSID_OTHER, STE_S1, 0);
	KUNIT_EXPECT_EQ(test, mock->log_num, 5);
	EXPECT_BATCH(test, 4, 1, cfgi_cd_all(VSID_OTHER));

	mock->log_num = 0;
	fx_must_install(test, v, VSID_OTHER, STE_BYPASS, 0);
	EXPECT_BATCH(test, mock->log_num - 1, 0, cfgi_cd_all(VSID));
	KUNIT_EXPECT_TRUE(test, list_empty(&v->stale_cds));
}

/* The module remembers the stream that it found last. */
static void detached_stream_is_not_found(struct kunit *test)
{
	struct smmuv3_vsmmu *v = fx_open(test);
	struct smmuv3_stream *stream;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_install(test, v, VSID, STE_S1, 0);
	fx_must_detach(test, v, VSID);
	EXPECT_RESULT(test, fx_install(v, VSID, STE_S1, 0), .rc = -ENOENT,
		      .reason = REASON(NO_STREAM));

	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
	stream = fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_install(test, v, VSID_OTHER, STE_BYPASS, 0);
	fx_must_install(test, v, VSID, STE_S1, 0);
	KUNIT_EXPECT_EQ(test, stream->ste.kind, SMMUV3_ACCEL_KIND_S1);
	EXPECT_RESULT(test, fx_install(v, VSID_UNKNOWN, STE_S1, 0), .rc = -ENOENT,
		      .reason = REASON(NO_STREAM));
	fx_must_install(test, v, VSID, STE_BYPASS, 0);
	KUNIT_EXPECT_EQ(test, stream->ste.kind, SMMUV3_ACCEL_KIND_BYPASS);
}

static struct kunit_case install_cases[] = {
	KUNIT_CASE_PARAM(failed_ste_keeps_the_old_one, transition_gen_params),
	KUNIT_CASE(host_error_has_its_reason),
	KUNIT_CASE(bad_ste_aborts),
	KUNIT_CASE(same_ste_invalidates_cds),
	KUNIT_CASE(eats_alone_is_a_change),
	KUNIT_CASE_PARAM(failed_cd_flush_stays_pending, stale_gen_params),
	KUNIT_CASE(failed_cd_flush_is_no_other_streams),
	KUNIT_CASE(detached_stream_is_not_found),
	{}
};

static struct kunit_suite install_suite = {
	.name = "smmuv3-accel-install",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = install_cases,
};

kunit_test_suites(&install_suite);
