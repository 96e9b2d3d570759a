// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of streams without a device, that is, bridges and emulated endpoints:
 * they cause no host call.
 */
#include "fixture.h"

static const struct hostless_case {
	const char *name;
	u32 kind;
	bool beside;		/* there is a device as well */
} hostless_cases[] = {
	{ "bridge", BRIDGE },
	{ "emulated endpoint", FEED },
	{ "bridge beside a device", BRIDGE, .beside = true },
	{ "emulated endpoint beside a device", FEED, .beside = true },
};

KUNIT_ARRAY_PARAM_DESC(hostless, hostless_cases, name);

static void no_host_call(struct kunit *test)
{
	static const u64 stes[] = { STE_S1, STE_S1_AT(1), STE_S1_AT(1), STE_BYPASS, 0, STE_S1 };
	const struct cmd cmds[] = {
		cfgi_cd_all(VSID_HOSTLESS), cfgi_cd(VSID_HOSTLESS, 0), cfgi_cd_all(VSID_UNKNOWN),
		sync(),
	};
	const struct cmd ats[] = { atc_inv_all(VSID_HOSTLESS), sync() };
	const struct hostless_case *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .feed = true);
	struct smmuv3_stream *stream;
	u32 i;

	if (c->beside)
		fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	mock->log_num = 0;
	stream = fx_must_attach(test, v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = c->kind);
	KUNIT_EXPECT_EQ(test, v->stream_num, c->beside + 1);
	KUNIT_EXPECT_EQ(test, v->feed_stream_num, c->kind == FEED);
	KUNIT_EXPECT_NULL(test, stream->phys);
	KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(NO_STE));
	for (i = 0; i < ARRAY_SIZE(stes); i++) {
		fx_must_install(test, v, VSID_HOSTLESS, stes[i], 0);
		KUNIT_EXPECT_EQ(test, stream->ste.data[0],
				(stes[i] & STE_S1) == STE_S1 ? stes[i] : 0);
		KUNIT_EXPECT_TRUE(test, list_empty(&v->stale_cds));
	}
	/* One STE was the same as the one before it. */
	KUNIT_EXPECT_EQ(test, v->stats.out_ste_unchanged, 1);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, ARRAY_SIZE(cmds)), 4);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	if (c->beside && IS_ENABLED(CONFIG_PCI_ATS)) {
		EXPECT_DONE(test, fx_invalidate(test, v, ats, ARRAY_SIZE(ats)), 2);
		KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	}
	fx_must_detach(test, v, VSID_HOSTLESS);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, v->stream_num, c->beside);
	KUNIT_EXPECT_EQ(test, v->feed_stream_num, 0);
}

static void close_detaches_devices_only(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .feed = true);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = FEED);
	fx_must_attach(test, v, .fd = -1, .vsid = VSID_HOSTLESS + 1, .flags = BRIDGE);
	mock->log_num = 0;
	fx_close(v);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 1);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_PUT), 1);
}

static void names_and_limits_refused(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .feed = true);
	u32 kind;

	for (kind = BRIDGE; kind <= FEED; kind++) {
		EXPECT_REFUSED(test, v, -EINVAL, HAS_DEVICE, .fd = 0, .vsid = VSID,
			       .flags = kind);
		EXPECT_REFUSED(test, v, -EINVAL, HAS_DEVICE, .fd = -2, .vsid = VSID,
			       .flags = kind);
		fx_must_attach(test, v, .fd = -1, .vsid = VSID, .flags = kind);
		EXPECT_REFUSED(test, v, -EEXIST, VSID_IN_USE, .fd = 0, .vsid = VSID);
		EXPECT_REFUSED(test, v, -EEXIST, VSID_IN_USE, .fd = -1, .vsid = VSID,
			       .flags = kind);
		v->stream_num += SMMUV3_MAX_STREAMS - 1;
		EXPECT_REFUSED(test, v, -ENOSPC, TOO_MANY_STREAMS, .fd = -1,
			       .vsid = VSID_NEXT, .flags = kind);
		v->stream_num -= SMMUV3_MAX_STREAMS - 1;
		fx_must_detach(test, v, VSID);
	}
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_GET), 0);
}

/* An emulated endpoint needs CREATE_FEED, a bridge does not. */
static void endpoint_needs_feed(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);

	EXPECT_REFUSED(test, v, -EOPNOTSUPP, NO_FEED, .fd = -1, .vsid = VSID, .flags = FEED);
	EXPECT_OK(test, fx_attach(v, .fd = -1, .vsid = VSID, .flags = BRIDGE));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_GET), 0);
}

static void described_without_host(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);
	struct smmuv3_accel_stream out;

	fx_must_attach(test, v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = BRIDGE);
	mock->log_num = 0;
	out = fx_describe(v, VSID_HOSTLESS);
	KUNIT_EXPECT_EQ(test, out.out_kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, out.out_phys, SMMUV3_ACCEL_NO_PHYS);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

static struct kunit_case hostless_kunit_cases[] = {
	KUNIT_CASE_PARAM(no_host_call, hostless_gen_params),
	KUNIT_CASE(close_detaches_devices_only),
	KUNIT_CASE(names_and_limits_refused),
	KUNIT_CASE(endpoint_needs_feed),
	KUNIT_CASE(described_without_host),
	{}
};

static struct kunit_suite hostless_suite = {
	.name = "smmuv3-accel-hostless",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = hostless_kunit_cases,
};

kunit_test_suites(&hostless_suite);
