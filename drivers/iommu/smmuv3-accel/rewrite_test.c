// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of legal commands that the host would refuse. It gets others in their
 * place, from the batch and not from the guest's memory; cmd_test.c tests which ones.
 */
#include <linux/uaccess.h>

#include "fixture.h"

static struct cmd range(u64 page, u32 num, u32 tg, u32 ttl)
{
	return tlbi_range(page, num, 0, tg, ttl);
}

/* SMMUs with range invalidation, and without substreams */
static void start(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	int i;

	mock_offer_ril(mock);
	for (i = 0; i < MOCK_SMMUS; i++)
		mock->smmu[i].idr[1] &= ~IDR1_SSIDSIZE;
	fx_start(test);
}

/* Each of the @num host calls gave an SMMU a copy. */
static void expect_copies(struct kunit *test, u32 num)
{
	u32 i;

	KUNIT_ASSERT_EQ(test, mock_of(test)->log_num, num);
	for (i = 0; i < num; i++)
		fx_expect_from(test, i, NULL);
}

static void expect_both(struct kunit *test, struct cmd want)
{
	expect_copies(test, 2);
	EXPECT_GIVEN(test, 0, want);
	EXPECT_GIVEN(test, 1, want);
}

static void reserved_range(struct kunit *test)
{
	const struct cmd legal = range(4, 3, 2, 2);
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	/* Alone, in the form of the fast path */
	EXPECT_DONE(test, RUN_CMDS(test, range(1, 0, 1, 0), sync()), 2);
	expect_both(test, tlbi_va(1));
	EXPECT_DONE(test, RUN_CMDS(test, range(4, 0, 2, 1), sync()), 2);
	expect_both(test, tlbi_va(4));
	EXPECT_DONE(test, RUN_CMDS(test, range(4, 3, 2, 1)), 1);
	expect_both(test, range(4, 3, 2, 0));
	EXPECT_DONE(test, RUN_CMDS(test, range(4, 3, 0, 0)), 1);
	expect_both(test, tlbi_all());
	f->cmds[0] = range(1, 0, 3, 0);
	EXPECT_DONE(test, fx_invalidate(test, f->v, f->cmds, 1), 1);
	expect_both(test, tlbi_va(1));

	/* A legal range is not changed, and not copied. */
	EXPECT_DONE(test, RUN_CMDS(test, legal, sync()), 2);
	for (i = 0; i < 2; i++) {
		EXPECT_BATCH(test, i, i, legal);
		fx_expect_from(test, i, f->ring);
	}
}

/* The others are what the guest wrote. The next segment is not copied. */
static void reserved_among_others(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), tlbi_va(2), range(3, 0, 1, 0), tlbi_va(4),
				   tlbi_va(5), sync()), 6);
	expect_copies(test, 2);
	for (i = 0; i < 2; i++)
		EXPECT_GIVEN(test, i, tlbi_va(1), tlbi_va(2), tlbi_va(3), tlbi_va(4), tlbi_va(5));

	fx_put_ste(test, VSID, STE_S1_AT(2), 0);
	EXPECT_DONE(test, RUN_CMDS(test, range(1, 0, 1, 0), cfgi_ste(VSID), tlbi_va(2),
				   tlbi_va(3), sync()), 5);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_INVALIDATE, MOCK_ALLOC + MOCK_NESTED, MOCK_ATTACH,
		   MOCK_DESTROY, MOCK_INVALIDATE, MOCK_INVALIDATE);
	for (i = 0; i < 2; i++) {
		fx_expect_from(test, i, NULL);
		EXPECT_BATCH(test, i, i, tlbi_va(1));
		fx_expect_from(test, 5 + i, f->ring + 2 * CMD_LEN);
		EXPECT_BATCH(test, 5 + i, i, tlbi_va(2), tlbi_va(3));
	}

	/* The commands before an illegal one are carried out. */
	EXPECT_RESULT(test, RUN_CMDS(test, range(1, 0, 1, 0), bad_cmd(1), range(2, 0, 1, 0)),
		      .done = 1, .error = CERROR(ILL), .reason = REASON(CMD_OPCODE));
	expect_both(test, tlbi_va(1));
}

/* Without substreams there is one CD, whatever the SubstreamID. */
static void ignored_substream(struct kunit *test)
{
	const struct cmd atc = atc_inv(VSID, 1);
	const u64 ssv = CMD_0_SSV | FIELD_PREP(CMD_0_SSID, 5) | ATC_INV_0_GLOBAL;

	start(test);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 3), sync()), 2);
	expect_copies(test, 1);
	EXPECT_BATCH(test, 0, 0, cfgi_cd(VSID, 0));
	need_ats(test);
	EXPECT_DONE(test, RUN_CMDS(test, cmd(le64_to_cpu(atc.w[0]) | ssv, le64_to_cpu(atc.w[1])),
				   sync()), 2);
	expect_copies(test, 1);
	EXPECT_BATCH(test, 0, 0, atc);
}

/* Reserved bits of commands that the host does not get: they are what memory had. */
static void ignored_bits(struct kunit *test)
{
	const u64 junk0 = GENMASK_ULL(31, 11) | GENMASK_ULL(9, 8), ones = ~0ULL;
	struct fixture *f = test->priv;

	start(test);
	fx_put_all_stes(test, STE_S1_AT(2), 0);
	EXPECT_DONE(test, RUN_CMDS(test, cmd(CMD_CFGI_STE | junk0 | FIELD_PREP(CMD_0_SID, VSID),
					     ones)), 1);
	fx_expect_s1(test, f->v, VSID, 2);
	fx_expect_s1(test, f->v, VSID_OTHER, 1);
	EXPECT_DONE(test, RUN_CMDS(test, cmd(CMD_CFGI_STE_RANGE | junk0, ones)), 1);
	fx_expect_s1(test, f->v, VSID_OTHER, 2);
	EXPECT_RESULT(test, RUN_CMDS(test, cmd(CMD_SYNC | FIELD_PREP(SYNC_0_CS, SYNC_CS_IRQ) |
					       ~(SYNC_0_CS | CMD_0_SSEC | CMD_0_OP), ones)),
		      .done = 1, .flags = RUN(SYNC_IRQ));
	EXPECT_RESULT(test, RUN_CMDS(test, cmd(CMD_CFGI_STE | CMD_0_SSEC, 0)),
		      .error = CERROR(ILL), .reason = REASON(CMD_RESERVED));
}

/* The feed gets what the host gets, so the VMM need not know the reserved forms. */
static void fed_like_the_host(struct kunit *test)
{
	const struct cmd want[] = { tlbi_va(1), tlbi_all(), cfgi_cd(VSID_HOSTLESS, 0) };
	struct fixture *f = test->priv;
	struct cmd fed[ARRAY_SIZE(want)];

	start(test);
	fx_must_attach(test, f->v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = FEED);
	PUT_CMDS(test, range(1, 0, 1, 0), range(4, 3, 0, 0), cfgi_cd(VSID_HOSTLESS, 3), sync());
	EXPECT_RESULT(test, fx_run(test, .num = 4, .feed = f->array, .feed_room = 9),
		      .done = 4, .feed_num = ARRAY_SIZE(want));
	KUNIT_ASSERT_EQ(test, copy_from_user(fed, f->array, sizeof(fed)), 0);
	KUNIT_EXPECT_MEMEQ(test, fed, want, sizeof(fed));
}

/* The host never gets these, and the module ignores their reserved bits. */
static void fed_without_reserved_bits(struct kunit *test)
{
	const u64 junk = GENMASK_ULL(31, 11) | GENMASK_ULL(9, 8), ones = ~0ULL;
	const struct cmd want[] = {
		cmd(CMD_CFGI_STE | FIELD_PREP(CMD_0_SID, VSID_HOSTLESS), 1),
		cmd(CMD_CFGI_STE | FIELD_PREP(CMD_0_SID, VSID_HOSTLESS), 0),
		cmd(CMD_CFGI_STE_RANGE | FIELD_PREP(CMD_0_SID, VSID_HOSTLESS), 3),
		cmd(CMD_CFGI_STE_RANGE, 31),
	};
	struct fixture *f = test->priv;
	struct cmd fed[ARRAY_SIZE(want)];

	start(test);
	fx_must_attach(test, f->v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = FEED);
	PUT_CMDS(test, cmd(le64_to_cpu(want[0].w[0]) | junk, ones),
		 cmd(le64_to_cpu(want[1].w[0]) | junk, ones << 1),
		 cmd(le64_to_cpu(want[2].w[0]) | junk, ones << 5 | 3),
		 cmd(CMD_CFGI_STE_RANGE | junk, ones));
	EXPECT_RESULT(test, fx_run(test, .num = 4, .feed = f->array, .feed_room = 9),
		      .done = 4, .feed_num = ARRAY_SIZE(want));
	KUNIT_ASSERT_EQ(test, copy_from_user(fed, f->array, sizeof(fed)), 0);
	KUNIT_EXPECT_MEMEQ(test, fed, want, sizeof(fed));
}

static struct kunit_case rewrite_cases[] = {
	KUNIT_CASE(reserved_range),
	KUNIT_CASE(reserved_among_others),
	KUNIT_CASE(ignored_substream),
	KUNIT_CASE(ignored_bits),
	KUNIT_CASE(fed_like_the_host),
	KUNIT_CASE(fed_without_reserved_bits),
	{}
};

static struct kunit_suite rewrite_suite = {
	.name = "smmuv3-accel-rewrite",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = rewrite_cases,
};

kunit_test_suites(&rewrite_suite);
