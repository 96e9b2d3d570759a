// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of smmuv3_batch_reduce(), rule by rule: which commands are left out,
 * merged or replaced, and which are not.
 */
#include <linux/hash.h>
#include <linux/log2.h>

#include "batch_fixture.h"

#define SUBSUME		{ .subsume = true }
#define MERGE		{ .merge = true }
#define NO_GLOBAL	{ .subsume = true, .no_global = true }
#define ESCALATE(n)	{ .no_global = true, .escalate = (n) }
#define ALL_BUT_ESCALATE { .subsume = true, .merge = true, .no_global = true }

#define VA_LEAF(asid, page)	{ { NH_VA | AS(asid), PAGE(page) | LEAF } }
#define VAA(page)		{ { NH_VAA, PAGE(page) } }
#define VAA_LEAF(page)		{ { NH_VAA, PAGE(page) | LEAF } }
#define BY_ASID(asid)		{ { NH_ASID | AS(asid), 0 } }
#define ALL			{ { NH_ALL, 0 } }
#define CD(sid, ssid)		{ { CFGI_CD | SID(sid) | SSID(ssid), 0 } }
#define CD_LEAF(sid, ssid)	{ { CFGI_CD | SID(sid) | SSID(ssid), LEAF } }
#define CD_ALL(sid)		{ { CFGI_CD_ALL | SID(sid), 0 } }
#define ATC(sid, page, size)	{ { ATC_INV | SID(sid), PAGE(page) | (size) } }
/* A range of 4K granules */
#define RANGE(num, scale, page)	\
	{ { NH_VA | AS(1) | NUM((num) - 1) | SCALE(scale), PAGE(page) | TG(1) } }

/* StreamIDs are even, so all commands are for the first physical SMMU. */
static const struct rule_case {
	const char *name;
	struct smmuv3_batch_policy policy;
	struct cmd in[6];
	struct cmd out[6];
} rule_cases[] = {
	{ "NH_ALL does all", SUBSUME,
	  { VA(1, 1), BY_ASID(1), ALL, VAA(2), RANGE(2, 0, 8), ALL }, { ALL } },
	{ "NSNH_ALL does all", SUBSUME,
	  { VA(1, 1), { { NSNH_ALL, 0 } }, ALL, BY_ASID(2) }, { { { NSNH_ALL, 0 } } } },
	{ "NH_ALL for nobody", MERGE, { VA(1, 1), ALL, ALL }, { VA(1, 1), ALL, ALL } },
	{ "NH_ALL in other phases", SUBSUME, { CD(2, 0), VA(1, 1), ATC(2, 1, 0), ALL },
	  { CD(2, 0), ALL, ATC(2, 1, 0) } },

	{ "NH_ASID twice", SUBSUME, { BY_ASID(1), BY_ASID(2), BY_ASID(1) },
	  { BY_ASID(1), BY_ASID(2) } },
	{ "NH_ASID and a VMID", SUBSUME, { BY_ASID(1), { { NH_ASID | AS(1) | VMID(7), 0 } } },
	  { BY_ASID(1) } },
	{ "NH_ASID leaves what is global", SUBSUME, { BY_ASID(1), VA(1, 1), VA(1, 0) },
	  { BY_ASID(1), VA(1, 1), VA(1, 0) } },
	{ "NH_ASID where nothing is global", NO_GLOBAL,
	  { VA(1, 2), VA(2, 1), BY_ASID(1), VA_LEAF(1, 1), RANGE(2, 0, 8) },
	  { VA(2, 1), BY_ASID(1) } },
	{ "NH_ASID leaves NH_VAA", NO_GLOBAL, { VAA(1), BY_ASID(1), VAA(0), BY_ASID(0) },
	  { VAA(1), BY_ASID(1), VAA(0), BY_ASID(0) } },

	{ "NH_VAA does NH_VA", SUBSUME, { VA(1, 1), VAA(1), VA(2, 1), VA(1, 2) },
	  { VAA(1), VA(1, 2) } },
	{ "NH_VAA with Leaf", SUBSUME, { VA_LEAF(1, 1), VA(2, 1), VAA_LEAF(1) },
	  { VA(2, 1), VAA_LEAF(1) } },
	{ "NH_VAA without Leaf", SUBSUME, { VA_LEAF(1, 1), VAA_LEAF(1), VA(2, 1), VAA(1) },
	  { VAA(1) } },
	{ "NH_VA does no NH_VAA", SUBSUME, { VA(0, 1), VAA_LEAF(1) },
	  { VA(0, 1), VAA_LEAF(1) } },
	{ "NH_VAA does no other range", SUBSUME,
	  { { { NH_VAA, PAGE(8) } }, RANGE(2, 0, 8), { { NH_VAA | NUM(1), PAGE(8) | TG(2) } } },
	  { { { NH_VAA, PAGE(8) } }, RANGE(2, 0, 8), { { NH_VAA | NUM(1), PAGE(8) | TG(2) } } } },
	{ "NH_VAA does the same range", SUBSUME,
	  { RANGE(2, 0, 8), { { NH_VAA | NUM(1), PAGE(8) | TG(1) } } },
	  { { { NH_VAA | NUM(1), PAGE(8) | TG(1) } } } },

	{ "no Leaf, then Leaf", SUBSUME, { VA(1, 1), VA_LEAF(1, 1) }, { VA(1, 1) } },
	{ "Leaf, then no Leaf", SUBSUME, { VA_LEAF(1, 1), VA(1, 1), VA_LEAF(1, 1) },
	  { VA(1, 1) } },
	{ "Leaf twice", SUBSUME, { VA_LEAF(1, 2), VA_LEAF(1, 1), VA_LEAF(1, 2) },
	  { VA_LEAF(1, 2), VA_LEAF(1, 1) } },
	{ "Leaf of CDs", SUBSUME, { CD_LEAF(2, 1), CD(2, 2), CD(2, 1), CD_LEAF(2, 2) },
	  { CD(2, 1), CD(2, 2) } },
	{ "TTL makes a difference", SUBSUME,
	  { RANGE(2, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(8) | TG(1) | TTL(3) } } },
	  { RANGE(2, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(8) | TG(1) | TTL(3) } } } },

	{ "CFGI_CD_ALL", SUBSUME, { CD(2, 1), CD_ALL(2), CD_LEAF(4, 1), CD(2, 0), CD_ALL(2) },
	  { CD_ALL(2), CD_LEAF(4, 1) } },
	{ "CFGI_CD_ALL for nobody", MERGE, { CD_ALL(2), CD(2, 1), CD(2, 1) },
	  { CD_ALL(2), CD(2, 1), CD(2, 1) } },
	{ "CFGI_CD_ALL does no ATC_INV", SUBSUME, { CD_ALL(2), ATC(2, 1, 0), CD(2, 0) },
	  { CD_ALL(2), ATC(2, 1, 0) } },

	{ "ATC_INV twice", SUBSUME,
	  { ATC(2, 1, 0), ATC(2, 0, 52), ATC(4, 1, 0), ATC(2, 1, 0), ATC(2, 1, 1) },
	  { ATC(2, 1, 0), ATC(2, 0, 52), ATC(4, 1, 0), ATC(2, 1, 1) } },
	{ "ATC_INV and substreams", SUBSUME,
	  { ATC(2, 0, 52), { { ATC_INV | SID(2) | SSV | SSID(1), 52 } },
	    { { ATC_INV | SID(2) | SSV | SSID(2), 52 } },
	    { { ATC_INV | SID(2) | SSV | SSID(1) | BIT(9), 52 } } },
	  { ATC(2, 0, 52), { { ATC_INV | SID(2) | SSV | SSID(1), 52 } },
	    { { ATC_INV | SID(2) | SSV | SSID(2), 52 } },
	    { { ATC_INV | SID(2) | SSV | SSID(1) | BIT(9), 52 } } } },

	{ "ranges", MERGE, { RANGE(2, 0, 8), RANGE(1, 1, 10), RANGE(4, 0, 12) },
	  { RANGE(8, 0, 8) } },
	{ "ranges that take a SCALE", MERGE, { RANGE(32, 0, 0), RANGE(16, 1, 32) },
	  { RANGE(32, 1, 0) } },
	{ "ranges that no NUM can express", MERGE, { RANGE(31, 0, 0), RANGE(2, 0, 31) },
	  { RANGE(31, 0, 0), RANGE(2, 0, 31) } },
	{ "ranges that overlap", MERGE, { RANGE(4, 0, 8), RANGE(4, 0, 11) },
	  { RANGE(4, 0, 8), RANGE(4, 0, 11) } },
	{ "ranges with a gap", MERGE, { RANGE(4, 0, 8), RANGE(4, 0, 13) },
	  { RANGE(4, 0, 8), RANGE(4, 0, 13) } },
	{ "ranges that fall", MERGE, { RANGE(4, 0, 8), RANGE(4, 0, 4) },
	  { RANGE(4, 0, 8), RANGE(4, 0, 4) } },
	{ "ranges of two ASIDs", MERGE,
	  { RANGE(2, 0, 8), { { NH_VA | AS(2) | NUM(1), PAGE(10) | TG(1) } } },
	  { RANGE(2, 0, 8), { { NH_VA | AS(2) | NUM(1), PAGE(10) | TG(1) } } } },
	{ "ranges of two opcodes", MERGE,
	  { { { NH_VA | NUM(1), PAGE(8) | TG(1) } }, { { NH_VAA | NUM(1), PAGE(10) | TG(1) } } },
	  { { { NH_VA | NUM(1), PAGE(8) | TG(1) } }, { { NH_VAA | NUM(1), PAGE(10) | TG(1) } } } },
	{ "ranges of two granules", MERGE,
	  { RANGE(8, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(16) | TG(2) } } },
	  { RANGE(8, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(16) | TG(2) } } } },
	{ "ranges of two TTLs", MERGE,
	  { RANGE(2, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(10) | TG(1) | TTL(3) } } },
	  { RANGE(2, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(10) | TG(1) | TTL(3) } } } },
	{ "ranges with and without Leaf", MERGE,
	  { RANGE(2, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(10) | TG(1) | LEAF } } },
	  { RANGE(2, 0, 8), { { NH_VA | AS(1) | NUM(1), PAGE(10) | TG(1) | LEAF } } } },
	{ "ranges of 16K granules", MERGE,
	  { { { NH_VAA | NUM(1), PAGE(0) | TG(2) } }, { { NH_VAA | NUM(1), PAGE(8) | TG(2) } } },
	  { { { NH_VAA | NUM(3), PAGE(0) | TG(2) } } } },
	{ "ranges of 64K granules", MERGE,
	  { { { NH_VAA | NUM(1), PAGE(16) | TG(3) } }, { { NH_VAA | SCALE(1), PAGE(48) | TG(3) } },
	    { { NH_VAA | NUM(1), PAGE(64) | TG(3) } } },
	  { { { NH_VAA | NUM(3), PAGE(16) | TG(3) } },
	    { { NH_VAA | NUM(1), PAGE(64) | TG(3) } } } },
	{ "a range up to the top", MERGE,
	  { RANGE(2, 0, U64_MAX - 1), RANGE(2, 0, 0) },
	  { RANGE(2, 0, U64_MAX - 1), RANGE(2, 0, 0) } },
	{ "ranges of which one is all", MERGE, { RANGE(2, 63, 8), RANGE(1, 1, 8) },
	  { RANGE(2, 63, 8), RANGE(1, 1, 8) } },
	{ "ranges of which the second is all", MERGE, { RANGE(2, 0, 6), RANGE(2, 63, 8) },
	  { RANGE(2, 0, 6), RANGE(2, 63, 8) } },
	{ "ranges that begin within a block", MERGE,
	  { { { NH_VA | AS(1), PAGE(511) | TG(1) | TTL(2) } },
	    { { NH_VA | AS(1), PAGE(512) | TG(1) | TTL(2) } } },
	  { { { NH_VA | AS(1), PAGE(511) | TG(1) | TTL(2) } },
	    { { NH_VA | AS(1), PAGE(512) | TG(1) | TTL(2) } } } },
	{ "ranges of blocks", MERGE,
	  { { { NH_VA | AS(1) | SCALE(9), PAGE(512) | TG(1) | TTL(2) } },
	    { { NH_VA | AS(1) | SCALE(9), PAGE(1024) | TG(1) | TTL(2) } } },
	  { { { NH_VA | AS(1) | NUM(31) | SCALE(5), PAGE(512) | TG(1) | TTL(2) } } } },
	{ "ranges for nobody", SUBSUME, { RANGE(2, 0, 8), RANGE(2, 0, 10) },
	  { RANGE(2, 0, 8), RANGE(2, 0, 10) } },
	{ "pages make no range", ALL_BUT_ESCALATE, { VA(1, 3), VA(1, 2), VA(1, 1), VA(1, 4) },
	  { VA(1, 3), VA(1, 2), VA(1, 1), VA(1, 4) } },

	{ "not more than the threshold", ESCALATE(2), { VA(1, 1), VA(2, 1), VA(1, 2), VAA(1) },
	  { VA(1, 1), VA(2, 1), VA(1, 2), VAA(1) } },
	{ "more than the threshold", ESCALATE(2),
	  { VA(2, 1), VA(1, 1), VA_LEAF(1, 2), VAA(1), RANGE(2, 0, 8) },
	  { VA(2, 1), BY_ASID(1), VAA(1) } },
	{ "a threshold of none", ESCALATE(0), { VA(1, 1), VA(1, 2), VA(1, 3) },
	  { VA(1, 1), VA(1, 2), VA(1, 3) } },
	{ "a threshold, but global ones", { .subsume = true, .merge = true, .escalate = 2 },
	  { VA(1, 1), VA(1, 2), VA(1, 3) }, { VA(1, 1), VA(1, 2), VA(1, 3) } },
};

KUNIT_ARRAY_PARAM_DESC(rule, rule_cases, name);

static void reduces_by_rule(struct kunit *test)
{
	const struct rule_case *c = test->param_value;
	struct bench *b = test->priv;
	enum smmuv3_phase phase;
	u32 i, num = 0;

	for (b->num = 0; b->num < ARRAY_SIZE(c->in) && op(&c->in[b->num]); b->num++)
		b->in[b->num] = c->in[b->num];
	bt_fill(b);
	smmuv3_batch_reduce(&b->batch, &c->policy);
	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++) {
		bt_pick_after(b, phase, 0);
		for (i = 0; i < b->after.num; i++, num++) {
			KUNIT_ASSERT_LT(test, num, ARRAY_SIZE(c->out));
			KUNIT_EXPECT_EQ_MSG(test, b->after.cmds[i].w[0], c->out[num].w[0],
					    "command %u", num);
			KUNIT_EXPECT_EQ_MSG(test, b->after.cmds[i].w[1], c->out[num].w[1],
					    "command %u", num);
		}
	}
	KUNIT_EXPECT_TRUE(test, num == ARRAY_SIZE(c->out) || !op(&c->out[num]));
	KUNIT_EXPECT_EQ(test, b->batch.subsumed + b->batch.merged + num, b->num);
}

/* ASIDs after the first few do not change, and the array of ASIDs does not overflow. */
static void escalates_few_asids(struct kunit *test)
{
	static const struct smmuv3_batch_policy policy = ESCALATE(2);
	const u32 asids = 20, replaced = 8;
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < 3 * asids; i++)
		b->in[i] = (struct cmd)VA(i % asids, i);
	b->num = i;
	bt_fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	bt_pick_after(b, SMMUV3_PHASE_TLBI, 0);
	KUNIT_ASSERT_EQ(test, b->after.num, replaced + 3 * (asids - replaced));
	for (i = 0; i < b->after.num; i++) {
		const struct cmd *cmd = &b->after.cmds[i];
		const struct cmd by_asid = BY_ASID(i), va = VA(replaced + (i - replaced) %
							       (asids - replaced), 0);

		KUNIT_EXPECT_EQ_MSG(test, cmd->w[0], (i < replaced ? by_asid : va).w[0],
				    "command %u", i);
	}
	KUNIT_EXPECT_EQ(test, b->batch.subsumed, 3 * asids - b->after.num);
}

/* Reduce a batch of three commands of which none covers another. */
static void reduce_three(struct kunit *test, u32 asid)
{
	static const struct smmuv3_batch_policy policy = SUBSUME;
	struct bench *b = test->priv;
	u32 i;

	b->num = 3;
	for (i = 0; i < b->num; i++)
		b->in[i] = (struct cmd)VA(asid, 3 - i);
	bt_fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_ASSERT_EQ_MSG(test, b->batch.subsumed, 0, "generation %u",
			    b->batch.generation);
}

/*
 * The hash table must never find an entry of an earlier batch, even after the 16-bit
 * generation wraps around: it would leave out a command that nothing covers.
 */
static void earlier_batch_is_forgotten(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 between, i;

	for (between = 0; between < 4; between++) {
		memset(b->batch.slots, 0, sizeof(b->batch.slots));
		b->batch.generation = 0;
		reduce_three(test, 1);
		reduce_three(test, 2);
		b->batch.generation = U16_MAX - 1;
		for (i = 0; i < between + 1; i++)
			reduce_three(test, 3 + i);
		reduce_three(test, 1);
		reduce_three(test, 2);
		KUNIT_EXPECT_LT(test, b->batch.generation, 10);
	}
}

/* A full batch with as many keys as possible, each twice */
static void full_batch(struct kunit *test)
{
	static const struct smmuv3_batch_policy policy = ALL_BUT_ESCALATE;
	struct bench *b = test->priv;
	u32 i;

	b->num = BATCH_MAX;
	for (i = 0; i < BATCH_MAX; i++)
		b->in[i] = (struct cmd)VA(1, BATCH_MAX - i);
	bt_fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_EXPECT_EQ(test, b->batch.subsumed, 0);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_select(&b->batch, SMMUV3_PHASE_TLBI, 0), BATCH_MAX);

	for (i = 0; i < BATCH_MAX; i++)
		b->in[i] = (struct cmd)VA_LEAF(1, i % (BATCH_MAX / 2));
	bt_fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_EXPECT_EQ(test, b->batch.subsumed, BATCH_MAX / 2);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_select(&b->batch, SMMUV3_PHASE_TLBI, 0), BATCH_MAX / 2);
	for (i = 0; i < BATCH_MAX / 2; i++)
		KUNIT_ASSERT_EQ(test, le64_to_cpu(b->batch.stage[i][1]), PAGE(i) | LEAF);
}

/* The slot in which the search for a TLBI_NH_VA begins */
static u32 slot_of(const struct cmd *cmd)
{
	return hash_64(cmd->w[0] ^ hash_64(cmd->w[1], 64), ilog2(SMMUV3_BATCH_SLOTS));
}

/*
 * A guest chooses addresses that share a slot. A search that went through all of them
 * would find each address that comes twice. It must end before; but no address is lost.
 */
static void search_is_short(struct kunit *test)
{
	static const struct smmuv3_batch_policy policy = SUBSUME;
	const u32 half = BATCH_MAX / 2;
	struct bench *b = test->priv;
	u32 page = 0, i, num;

	for (i = half; i--;) {
		do
			b->in[i] = (struct cmd)VA(1, page++);
		while (slot_of(&b->in[i]));
		b->in[i + half] = b->in[i];
	}
	b->num = BATCH_MAX;
	bt_fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_EXPECT_GT(test, b->batch.subsumed, 0);
	KUNIT_EXPECT_LT(test, b->batch.subsumed, half / 8);
	num = smmuv3_batch_select(&b->batch, SMMUV3_PHASE_TLBI, 0);
	KUNIT_ASSERT_EQ(test, num, BATCH_MAX - b->batch.subsumed);
	for (i = 0; i < half; i++)
		KUNIT_ASSERT_EQ(test, le64_to_cpu(b->batch.stage[i][1]), b->in[i].w[1]);
}

static struct kunit_case batch_rule_cases[] = {
	KUNIT_CASE_PARAM(reduces_by_rule, rule_gen_params),
	KUNIT_CASE(escalates_few_asids),
	KUNIT_CASE(earlier_batch_is_forgotten),
	KUNIT_CASE(full_batch),
	KUNIT_CASE(search_is_short),
	{}
};

static struct kunit_suite batch_rule_suite = {
	.name = "smmuv3-accel-batch-rule",
	.init = bt_init,
	.test_cases = batch_rule_cases,
};

kunit_test_suites(&batch_rule_suite);
