// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of ATTACH_DRY_RUN: it says what the attach would say, and leaves
 * nothing behind, at the host or in the vSMMU.
 */
#include "fixture.h"

static const struct trial {
	const char *name;
	struct attach_options options;
	u32 calls;		/* that can fail */
	bool named;		/* a parent of the VMM, which asks for a flush */
	bool released;		/* SMMU 0 had streams, on a parent of the VMM */
	bool second;		/* device 1 is attached */
	bool table;		/* in table mode, with a stage 1 for all */
} trials[] = {
	/* GET, HW_INFO, parent, vIOMMU, two domains, vDEVICE */
	{ "first device", { .fd = 0, .vsid = VSID }, .calls = 7 },
	{ "first device in table mode", { .fd = 0, .vsid = VSID }, .calls = 8, .table = true },
	{ "first device without a StreamID", { .fd = 0, .vsid = UNSET(3) }, .calls = 6,
	  .table = true },
	{ "parent of the VMM", { .fd = 0, .vsid = VSID }, .calls = 7, .named = true },
	{ "second device", { .fd = 0, .vsid = VSID }, .calls = 2, .second = true },
	{ "second device in table mode", { .fd = 0, .vsid = VSID }, .calls = 3, .second = true,
	  .table = true },
	{ "known SMMU without objects", { .fd = 0, .vsid = VSID }, .calls = 6, .released = true },
	{ "known SMMU, parent named again", { .fd = 0, .vsid = VSID }, .calls = 6, .named = true,
	  .released = true },
	{ "another SMMU", { .fd = 4, .vsid = VSID_OTHER }, .calls = 7, .second = true },
	{ "bridge", { .fd = -1, .vsid = VSID_HOSTLESS, .flags = BRIDGE } },
	{ "emulated endpoint in table mode", { .fd = -1, .vsid = VSID_HOSTLESS, .flags = FEED },
	  .table = true },
};

KUNIT_ARRAY_PARAM_DESC(trial, trials, name);

/* Set up the state before the dry run. Returns what the dry run tries. */
static struct attach_options prepare(struct kunit *test)
{
	const struct trial *c = test->param_value;
	struct attach_options options = c->options;
	struct fixture *f = test->priv;
	u32 parent = mock_vmm_parent(f->mock, 0);

	if (c->released) {
		fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT, .s2_hwpt_id = parent);
		fx_must_detach(test, f->v, VSID_NEXT);
	}
	if (c->second)
		fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	if (c->table) {
		fx_put_all_stes(test, STE_S1_AT(1), 0);
		fx_put_ste(test, VSID_HOSTLESS, STE_S1_AT(1), 0);
		fx_must_set_regs(test);
	}
	if (c->named)
		options.s2_hwpt_id = parent;
	return options;
}

/* State of a vSMMU that a dry run may not change. It may count host calls. */
struct snapshot {
	struct mock_state host;
	struct smmuv3_offer offer;
	u32 phys_num;
	u32 stream_num;
	u32 feed_stream_num;
	u64 ste_installed;
	u64 ste_unchanged;
	u32 viommu_id;
};

static void take_snapshot(struct fixture *f, struct snapshot *s)
{
	struct smmuv3_phys *phys;

	memset(s, 0, sizeof(*s));
	s->host = mock_state(f->mock);
	memcpy(&s->offer, &f->v->offer, sizeof(s->offer));
	s->phys_num = f->v->phys_num;
	s->stream_num = f->v->stream_num;
	s->feed_stream_num = f->v->feed_stream_num;
	s->ste_installed = f->v->stats.out_ste_installed;
	s->ste_unchanged = f->v->stats.out_ste_unchanged;
	list_for_each_entry(phys, &f->v->phys, node)
		s->viommu_id += phys->viommu_id;
}

/* With each host call failing, and with none failing */
static void leaves_nothing(struct kunit *test)
{
	const struct trial *c = test->param_value;
	struct attach_options options = prepare(test), dry;
	struct snapshot *before, *after;
	struct fixture *f = test->priv;
	struct result r;
	u32 n, failed;

	before = kunit_kzalloc(test, 2 * sizeof(*before), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);
	after = before + 1;
	dry = options;
	dry.flags |= DRY_RUN;
	take_snapshot(f, before);
	for (n = 1;; n++) {
		f->mock->log_num = 0;
		mock_fail(f->mock, MOCK_ANY, n, 2, -ENOMEM);
		r = fx_attach_with(f->v, &dry);
		failed = mock_fail_stop(f->mock);
		take_snapshot(f, after);
		KUNIT_EXPECT_MEMEQ_MSG(test, after, before, sizeof(*before), "call %u", n);
		KUNIT_EXPECT_NULL(test, stream_of(f->v, options.vsid));
		KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_ATTACH), 0);
		KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_DETACH), 0);
		if (!failed)
			break;
		EXPECT_RESULT(test, r, .rc = -ENOMEM, .reason = REASON(RETRY));
	}
	EXPECT_OK(test, r);
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
	fx_must_attach_with(test, f->v, &options);
}

static int count_answers(const struct smmuv3_accel_attach *cmd, void *arg)
{
	++*(u32 *)arg;
	return 0;
}

/* A dry run does not call the answer function. */
static void not_answered(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 n, answers = 0;

	for (n = 0; n < 3; n++)
		EXPECT_OK(test, fx_attach(f->v, .fd = n, .vsid = VSID, .flags = DRY_RUN,
					  .answer = count_answers, .arg = &answers));
	KUNIT_EXPECT_EQ(test, answers, 0);
	KUNIT_EXPECT_TRUE(test, xa_empty(&f->v->streams));
	EXPECT_OK(test, fx_attach(f->v, .fd = 0, .vsid = VSID, .answer = count_answers,
				  .arg = &answers));
	KUNIT_EXPECT_EQ(test, answers, 1);
}

/* SMMU 1 lacks what a running guest was offered, and a device of SMMU 0 cannot nest. */
static void start_picky(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->smmu[1].idr[0] &= ~IDR0_ASID16;
	f->mock->devs[3].dev.canwbs = false;
	fx_put_all_stes(test, STE_S1_AT(1), 0);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	fx_must_set_regs(test);
}

/* The same errno, reason and fields as the attach that would follow */
static void refused_as_the_attach(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mock *mock = f->mock;
	u32 other = mock_vmm_parent(mock, 0), i;
	const struct attach_options refused[] = {
		{ .fd = MOCK_DEVS, .vsid = VSID_NEXT },
		{ .fd = 1, .vsid = VSID },
		{ .fd = 0, .vsid = VSID_NEXT },
		{ .fd = 0, .vsid = UNSET(1) },
		{ .fd = 3, .vsid = VSID_NEXT },
		{ .fd = 1, .vsid = 1 << 16 },
		{ .fd = 1, .vsid = VSID_NEXT, .s2_hwpt_id = other },
		{ .fd = 4, .vsid = VSID_OTHER },
		{ .fd = 1, .vsid = VSID_NEXT, .flags = BRIDGE },
		{ .fd = -1, .vsid = 1 << 16, .flags = FEED },
	};
	struct attach_options dry;
	struct mock_state before;
	struct result r, want;

	start_picky(test);
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		before = mock_state(mock);
		want = fx_attach_with(f->v, &refused[i]);
		KUNIT_EXPECT_LT_MSG(test, want.rc, 0, "case %u", i);
		KUNIT_EXPECT_NE_MSG(test, want.reason, REASON(NONE), "case %u", i);
		dry = refused[i];
		dry.flags |= DRY_RUN;
		r = fx_attach_with(f->v, &dry);
		KUNIT_EXPECT_MEMEQ_MSG(test, &r, &want, sizeof(r), "case %u", i);
		EXPECT_UNCHANGED_MSG(test, before, "case %u", i);
	}
}

static struct kunit_case dry_run_cases[] = {
	KUNIT_CASE_PARAM(leaves_nothing, trial_gen_params),
	KUNIT_CASE(not_answered),
	KUNIT_CASE(refused_as_the_attach),
	{}
};

static struct kunit_suite dry_run_suite = {
	.name = "smmuv3-accel-dry-run",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = dry_run_cases,
};

kunit_test_suites(&dry_run_suite);
