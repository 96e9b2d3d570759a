// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of batch.c. What a command has to invalidate is written down here
 * once more, from Arm IHI 0070, 4.3 to 4.5, by the fields' bit numbers (0 to 127
 * over both words): whatever was to go must still go after smmuv3_batch_reduce().
 *
 * The loops assert, where a test would usually expect: a rule that is broken is
 * broken for many batches, and the first of them says which.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/prandom.h>

#include "batch.h"
#include "pure.h"

#define BATCH_MAX		SMMUV3_HOST_MAX_BATCH
#define PHYS_NUM	2

struct cmd {
	u64 w[2];
};

/* Operands, by bit numbers */
#define SID(x)		((u64)(x) << 32)
#define SSID(x)		((u64)(x) << 12)
#define SSV		BIT_ULL(11)
#define VMID(x)		((u64)(x) << 32)
#define AS(x)		((u64)(x) << 48)	/* ASID */
#define NUM(x)		((u64)(x) << 12)
#define SCALE(x)	((u64)(x) << 20)
#define LEAF		BIT_ULL(0)
#define TTL(x)		((u64)(x) << 8)
#define TG(x)		((u64)(x) << 10)
#define PAGE(x)		((u64)(x) << 12)

enum {
	CFGI_CD = 0x05,
	CFGI_CD_ALL = 0x06,
	NH_ALL = 0x10,
	NH_ASID = 0x11,
	NH_VA = 0x12,
	NH_VAA = 0x13,
	NSNH_ALL = 0x30,
	ATC_INV = 0x40,
	SYNC = 0x46,
};

static u64 bits(const struct cmd *cmd, unsigned int hi, unsigned int lo)
{
	return (cmd->w[lo / 64] & GENMASK_ULL(hi % 64, lo % 64)) >> (lo % 64);
}

static u8 op(const struct cmd *cmd)
{
	return bits(cmd, 7, 0);
}

/* Something that an SMMU, or a device, may have cached */
struct entry {
	enum smmuv3_phase phase;	/* in which it goes */
	u32 asid;
	bool global;
	u8 tg;
	u8 level;
	bool table;			/* no leaf; of CDs: a level-1 descriptor */
	u64 addr;			/* aligned */
	u32 sid;
	u32 ssid;
	bool ssv;
};

static unsigned int level_shift(unsigned int tg, unsigned int level)
{
	unsigned int granule = 10 + 2 * tg;

	return granule + (3 - level) * (granule - 3);
}

static u64 level_mask(unsigned int tg, unsigned int level)
{
	return BIT_ULL(level_shift(tg, level)) - 1;
}

/* The last address that a range invalidation is for (4.4.1.1) */
static u64 range_last(const struct cmd *cmd)
{
	u64 addr = cmd->w[1] & GENMASK_ULL(63, 12);
	unsigned int scale = min(bits(cmd, 25, 20), 39ULL);
	u64 len = (bits(cmd, 16, 12) + 1) << scale << level_shift(bits(cmd, 75, 74), 3);

	/* It does not wrap. */
	return addr + len - 1 < addr ? U64_MAX : addr + len - 1;
}

/*
 * The range is UNPREDICTABLE where it is not aligned to the leaf's size: @may is
 * whether it counts then.
 */
static bool address_reaches(const struct cmd *cmd, const struct entry *e, bool may)
{
	u64 addr = cmd->w[1] & GENMASK_ULL(63, 12);
	u64 end = e->addr | level_mask(e->tg, e->level);
	u64 tg = bits(cmd, 75, 74), ttl = bits(cmd, 73, 72);

	if (bits(cmd, 64, 64) && e->table)
		return false;
	if (!tg)
		return e->addr <= addr && addr <= end;
	if (tg != e->tg)
		return false;
	if (!may && (addr & level_mask(tg, ttl ?: 3) & GENMASK_ULL(63, 12)))
		return false;
	if (ttl && (e->table ? e->level >= ttl : e->level != ttl))
		return false;
	return e->addr <= range_last(cmd) && addr <= end;
}

/* Whether a command has to invalidate an entry, or with @may is allowed to. */
static bool reaches(const struct cmd *cmd, const struct entry *e, bool may)
{
	u64 mask;

	switch (op(cmd)) {
	case CFGI_CD:
		return e->phase == SMMUV3_PHASE_CD && e->sid == bits(cmd, 63, 32) &&
		       (e->table ? !bits(cmd, 64, 64) &&
				   e->ssid >> 6 == bits(cmd, 31, 12) >> 6 :
				   e->ssid == bits(cmd, 31, 12));
	case CFGI_CD_ALL:
		return e->phase == SMMUV3_PHASE_CD && e->sid == bits(cmd, 63, 32);
	case NH_ALL:
	case NSNH_ALL:
		return e->phase == SMMUV3_PHASE_TLBI;
	case NH_ASID:
		return e->phase == SMMUV3_PHASE_TLBI && !e->global &&
		       e->asid == bits(cmd, 63, 48);
	case NH_VA:
		return e->phase == SMMUV3_PHASE_TLBI &&
		       (e->global || e->asid == bits(cmd, 63, 48)) &&
		       address_reaches(cmd, e, may);
	case NH_VAA:
		return e->phase == SMMUV3_PHASE_TLBI && address_reaches(cmd, e, may);
	case ATC_INV:
		if (e->phase != SMMUV3_PHASE_ATC || e->sid != bits(cmd, 63, 32) ||
		    e->ssv != bits(cmd, 11, 11))
			return false;
		if (e->ssv && e->ssid != bits(cmd, 31, 12) &&
		    !(bits(cmd, 9, 9) && e->global))
			return false;
		mask = bits(cmd, 69, 64) == 52 ? U64_MAX :
		       BIT_ULL(12 + bits(cmd, 69, 64)) - 1;
		return !((cmd->w[1] ^ e->addr) & ~mask);
	}
	return false;
}

static bool any_reaches(const struct cmd *cmds, u32 num, const struct entry *e, bool may)
{
	u32 i;

	for (i = 0; i < num; i++)
		if (reaches(&cmds[i], e, may))
			return true;
	return false;
}

static enum smmuv3_phase phase_of(const struct cmd *cmd)
{
	switch (op(cmd)) {
	case CFGI_CD:
	case CFGI_CD_ALL:
		return SMMUV3_PHASE_CD;
	case NH_ALL:
	case NH_ASID:
	case NH_VA:
	case NH_VAA:
	case NSNH_ALL:
		return SMMUV3_PHASE_TLBI;
	case ATC_INV:
		return SMMUV3_PHASE_ATC;
	default:
		return SMMUV3_PHASE_NONE;
	}
}

/* StreamIDs take turns. */
static u8 phys_of(const struct cmd *cmd)
{
	if (phase_of(cmd) == SMMUV3_PHASE_TLBI)
		return SMMUV3_PHYS_ALL;
	return bits(cmd, 63, 32) % PHYS_NUM;
}

/* What a batch is for one physical SMMU in one phase */
struct part {
	struct cmd cmds[BATCH_MAX];
	u32 num;
};

struct bench {
	struct smmuv3_batch batch;
	struct smmuv3_batch other;
	struct cmd in[BATCH_MAX];
	u32 start;			/* where in the batch they are */
	u32 num;
	struct part before;
	struct part after;

	struct rnd_state rnd;
	struct smmuv3_caps caps;
	u64 base;
	u8 tg;
	u8 ttl;
};

static int batch_test_init(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	prandom_seed_state(&b->rnd, 0x5e1ec7);
	test->priv = b;
	return 0;
}

/* A number below @below */
static u32 dice(struct bench *b, u32 below)
{
	return prandom_u32_state(&b->rnd) % below;
}

static void put(struct smmuv3_batch *batch, u32 index, const struct cmd *cmd)
{
	batch->cmds[index][0] = cpu_to_le64(cmd->w[0]);
	batch->cmds[index][1] = cpu_to_le64(cmd->w[1]);
}

/* Make a batch of what is in b->in. */
static void fill(struct bench *b)
{
	u32 i;

	smmuv3_batch_start(&b->batch);
	for (i = 0; i < b->num; i++) {
		put(&b->batch, b->start + i, &b->in[i]);
		smmuv3_batch_add(&b->batch, b->start + i, b->in[i].w,
				 phase_of(&b->in[i]), phys_of(&b->in[i]));
	}
}

static void part_add(struct part *part, u64 w0, u64 w1)
{
	part->cmds[part->num].w[0] = w0;
	part->cmds[part->num].w[1] = w1;
	part->num++;
}

static void pick_before(struct bench *b, enum smmuv3_phase phase, u8 phys)
{
	u32 i;

	b->before.num = 0;
	for (i = 0; i < b->num; i++)
		if (phase_of(&b->in[i]) == phase &&
		    (phys_of(&b->in[i]) == phys ||
		     phys_of(&b->in[i]) == SMMUV3_PHYS_ALL))
			part_add(&b->before, b->in[i].w[0], b->in[i].w[1]);
}

static void pick_after(struct bench *b, enum smmuv3_phase phase, u8 phys)
{
	u32 i, num = smmuv3_batch_select(&b->batch, phase, phys);

	b->after.num = 0;
	for (i = 0; i < num; i++)
		part_add(&b->after, le64_to_cpu(b->batch.stage[i][0]),
			 le64_to_cpu(b->batch.stage[i][1]));
}

static bool parts_equal(const struct part *a, const struct part *b)
{
	return a->num == b->num && !memcmp(a->cmds, b->cmds, a->num * sizeof(*a->cmds));
}

/* An entry at or near what a command is for, of the phase's kind */
static void make_entry(struct bench *b, const struct cmd *cmd, bool no_global,
		       struct entry *e)
{
	u64 addr = cmd->w[1] & GENMASK_ULL(63, 12), last;

	*e = (struct entry){ .phase = phase_of(cmd) };
	e->global = !no_global && !dice(b, 3);
	e->sid = dice(b, 4) ? bits(cmd, 63, 32) : dice(b, 4);
	e->ssid = dice(b, 4) ? bits(cmd, 31, 12) : dice(b, 4);
	if (e->phase != SMMUV3_PHASE_TLBI) {
		e->table = e->phase == SMMUV3_PHASE_CD && dice(b, 2);
		e->ssv = bits(cmd, 11, 11);
		e->addr = addr + PAGE(dice(b, 4));
		return;
	}
	e->asid = dice(b, 4) ? bits(cmd, 63, 48) : 1 + dice(b, 4);
	e->tg = bits(cmd, 75, 74) ?: b->tg;
	e->table = !dice(b, 3);
	e->level = e->table ? dice(b, 3) : 1 + dice(b, 3);
	if (!e->table && bits(cmd, 73, 72) && dice(b, 8))
		e->level = bits(cmd, 73, 72);
	last = bits(cmd, 75, 74) ? range_last(cmd) : addr;
	switch (dice(b, 4)) {
	case 0:
		addr = last;
		break;
	case 1:
		addr += PAGE(dice(b, 64)) % (last - addr + 1 ?: 1);
		break;
	case 2:
		addr = dice(b, 2) ? last + 1 : addr - 1;
		break;
	}
	e->addr = addr & ~level_mask(e->tg, e->level);
}

static const enum smmuv3_cmd_class class_of_phase[] = {
	[SMMUV3_PHASE_CD] = SMMUV3_CMD_CD,
	[SMMUV3_PHASE_TLBI] = SMMUV3_CMD_TLBI,
	[SMMUV3_PHASE_ATC] = SMMUV3_CMD_ATC,
};

static u32 count(const struct part *part, u64 op_asid)
{
	u32 i, num = 0;

	for (i = 0; i < part->num; i++)
		num += (part->cmds[i].w[0] & (AS(0xffff) | 0xff)) == op_asid;
	return num;
}

/* What does more than what was asked for has to be allowed. */
static void check_wide(struct kunit *test, struct bench *b,
		       const struct smmuv3_batch_policy *policy, u32 round)
{
	u64 key;
	u32 i;

	for (i = 0; i < b->after.num; i++) {
		const struct cmd *cmd = &b->after.cmds[i];

		key = cmd->w[0] & (AS(0xffff) | 0xff);
		if (op(cmd) != NH_ALL && op(cmd) != NSNH_ALL && op(cmd) != NH_ASID)
			continue;
		if (count(&b->before, key))
			continue;
		KUNIT_ASSERT_EQ_MSG(test, op(cmd), NH_ASID, "round %u", round);
		KUNIT_ASSERT_TRUE_MSG(test, policy->no_global && policy->escalate,
				      "round %u", round);
		key = (key & ~0xffULL) | NH_VA;
		KUNIT_ASSERT_GT_MSG(test, count(&b->before, key), policy->escalate,
				    "round %u", round);
	}
}

static void check_part(struct kunit *test, struct bench *b, enum smmuv3_phase phase,
		       u8 phys, const struct smmuv3_batch_policy *policy, u32 round)
{
	bool escalates = policy->no_global && policy->escalate;
	const struct smmuv3_batch_stretch *stretch = &b->batch.phases[phase];
	enum smmuv3_cmd_class class;
	struct entry e;
	u32 i;

	pick_before(b, phase, phys);
	pick_after(b, phase, phys);
	if (!policy->subsume && !policy->merge && !escalates)
		KUNIT_ASSERT_TRUE_MSG(test, parts_equal(&b->before, &b->after),
				      "round %u, phase %u", round, phase);
	if (smmuv3_batch_whole(&b->batch, phase, phys)) {
		KUNIT_ASSERT_TRUE_MSG(test, parts_equal(&b->before, &b->after),
				      "round %u, phase %u", round, phase);
		KUNIT_ASSERT_EQ(test, stretch->num, b->after.num);
		KUNIT_ASSERT_MEMEQ(test, b->batch.cmds[stretch->first], b->batch.stage,
				   stretch->num * sizeof(*b->batch.stage));
	}

	for (i = 0; i < b->after.num; i++) {
		KUNIT_ASSERT_EQ_MSG(test, smmuv3_cmd_check(b->after.cmds[i].w, &b->caps, &class),
				    SMMUV3_ACCEL_REASON_NONE, "round %u: %016llx %016llx",
				    round, b->after.cmds[i].w[0], b->after.cmds[i].w[1]);
		KUNIT_ASSERT_EQ(test, class, class_of_phase[phase]);
	}
	check_wide(test, b, policy, round);

	for (i = 0; b->before.num && i < 12; i++) {
		const struct cmd *cmd = &b->before.cmds[dice(b, b->before.num)];

		make_entry(b, cmd, policy->no_global, &e);
		if (any_reaches(b->before.cmds, b->before.num, &e, false))
			KUNIT_ASSERT_TRUE_MSG(test, any_reaches(b->after.cmds, b->after.num, &e,
								false),
					      "round %u loses an entry of %016llx %016llx: address %llx level %u table %d",
					      round, cmd->w[0], cmd->w[1], e.addr, e.level,
					      e.table);
		else if (!escalates &&
			 any_reaches(b->after.cmds, b->after.num, &e, true))
			KUNIT_ASSERT_TRUE_MSG(test, any_reaches(b->before.cmds, b->before.num,
								&e, true),
					      "round %u, near %016llx %016llx", round,
					      cmd->w[0], cmd->w[1]);
	}
}

/* Few ASIDs and addresses, so that commands have much to do with each other */
static void start_world(struct bench *b)
{
	static const u64 bases[] = { 0, 0x40000000, BIT_ULL(48) - PAGE(32), 0 - PAGE(0x100000) };

	b->base = bases[dice(b, ARRAY_SIZE(bases))];
	b->caps = (struct smmuv3_caps){
		.ssid_bits = dice(b, 2) ? 8 : 0,
		.asid16 = dice(b, 2),
		.ril = dice(b, 4),
		.ds = dice(b, 2),
		.ats = true,
	};
	b->tg = 1 + dice(b, 3);
	b->ttl = dice(b, 2) ? 0 : 2 + dice(b, 2);
}

/* Go on where a range ends, with more or less the same operands. */
static void continue_range(struct bench *b, const struct cmd *prev, struct cmd *cmd)
{
	*cmd = *prev;
	cmd->w[0] &= ~(NUM(31) | SCALE(63));
	cmd->w[0] |= NUM(dice(b, 4) ? dice(b, 4) : dice(b, 32)) |
		     SCALE(dice(b, 4) ? bits(prev, 25, 20) : dice(b, 3));
	cmd->w[1] = (range_last(prev) + 1) | (prev->w[1] & 0xfff);
	if (dice(b, 4))
		return;
	switch (dice(b, 6)) {
	case 0:
		cmd->w[0] ^= AS(3);
		break;
	case 1:
		cmd->w[1] ^= TTL(1 + dice(b, 3));
		break;
	case 2:
		cmd->w[1] ^= LEAF;
		break;
	case 3:
		cmd->w[1] ^= TG(1 + dice(b, 3));
		break;
	case 4:
		cmd->w[1] += (u64)(1 + dice(b, 2)) << level_shift(b->tg, 3);
		break;
	case 5:
		cmd->w[0] ^= NH_VA ^ NH_VAA;
		break;
	}
}

static void make_tlbi(struct bench *b, const struct cmd *prev, struct cmd *cmd)
{
	u64 asid = AS(1 + dice(b, 3));
	u32 unit = level_shift(b->tg, b->ttl ?: 3);

	switch (dice(b, 64)) {
	case 0:
		cmd->w[0] = dice(b, 2) ? NH_ALL : NSNH_ALL;
		cmd->w[1] = 0;
		return;
	case 1 ... 3:
		cmd->w[0] = NH_ASID | asid | VMID(dice(b, 2));
		cmd->w[1] = 0;
		return;
	case 4 ... 40:
		if (op(prev) != NH_VA && op(prev) != NH_VAA)
			break;
		if (bits(prev, 75, 74)) {
			continue_range(b, prev, cmd);
			return;
		}
		*cmd = *prev;
		cmd->w[1] += PAGE(dice(b, 3));
		cmd->w[1] ^= dice(b, 3) ? 0 : LEAF;
		return;
	}
	cmd->w[0] = dice(b, 4) ? NH_VA | asid : NH_VAA;
	cmd->w[0] |= VMID(dice(b, 8) ? 0 : dice(b, 3));
	cmd->w[1] = (b->base + ((u64)dice(b, 8) << unit)) | dice(b, 2);
	if (!b->caps.ril || dice(b, 2))
		return;
	/* Whole leaves, as they have to be with a TTL */
	cmd->w[0] |= NUM(dice(b, 4)) | SCALE(dice(b, 8) ? unit - level_shift(b->tg, 3) :
					     dice(b, 64));
	if (!dice(b, 16))
		cmd->w[1] -= PAGE(dice(b, 64));
	cmd->w[1] |= TG(b->tg) | TTL(b->ttl);
}

static void make_cmd(struct bench *b, const struct cmd *prev, struct cmd *cmd)
{
	u64 sid = SID(dice(b, 4)), ssid = b->caps.ssid_bits ? SSID(dice(b, 3)) : 0;

	switch (dice(b, 16)) {
	case 0 ... 10:
		make_tlbi(b, prev, cmd);
		break;
	case 11 ... 12:
		cmd->w[0] = dice(b, 8) ? CFGI_CD | sid | ssid : CFGI_CD_ALL | sid;
		cmd->w[1] = op(cmd) == CFGI_CD ? dice(b, 2) : 0;
		break;
	case 13 ... 14:
		cmd->w[0] = ATC_INV | sid;
		if (ssid)
			cmd->w[0] |= SSV | ssid | (dice(b, 2) ? BIT_ULL(9) : 0);
		cmd->w[1] = PAGE(dice(b, 4)) | (dice(b, 4) ? dice(b, 3) : 52);
		break;
	default:
		cmd->w[0] = SYNC;
		cmd->w[1] = 0;
	}
}

static void make_batch(struct bench *b, u32 num)
{
	const struct cmd none = {};
	enum smmuv3_cmd_class class;

	b->start = dice(b, min(4U, BATCH_MAX - num + 1));
	for (b->num = 0; b->num < num;) {
		struct cmd *cmd = &b->in[b->num];

		/* Here and there one that was there before */
		if (b->num && !dice(b, 12)) {
			*cmd = b->in[dice(b, b->num)];
			if (op(cmd) == NH_VA || op(cmd) == NH_VAA || op(cmd) == CFGI_CD)
				cmd->w[1] ^= dice(b, 2);
		} else {
			make_cmd(b, b->num ? cmd - 1 : &none, cmd);
		}
		b->num += !smmuv3_cmd_check(cmd->w, &b->caps, &class);
	}
}

static u32 tags_in_use(const struct bench *b)
{
	u32 i, num = 0;

	for (i = 0; i < b->num; i++)
		num += (b->batch.tags[b->start + i] & SMMUV3_TAG_PHASE) != SMMUV3_PHASE_NONE;
	return num;
}

static const struct policy_case {
	const char *name;
	struct smmuv3_batch_policy policy;
} policy_cases[] = {
	{ "off", { false, false, false, 64 } },
	{ "off, nothing global", { false, false, true, 0 } },
	{ "subsume", { true, false, false, 4 } },
	{ "merge", { false, true, false, 4 } },
	{ "subsume and merge", { true, true, false, 1 } },
	{ "subsume, nothing global", { true, false, true, 0 } },
	{ "subsume and merge, nothing global", { true, true, true, 0 } },
	{ "escalate from 1", { true, true, true, 1 } },
	{ "escalate from 4", { true, true, true, 4 } },
	{ "escalate from 64", { true, true, true, 64 } },
	{ "escalate alone", { false, false, true, 4 } },
	{ "escalate and merge", { false, true, true, 4 } },
};

KUNIT_ARRAY_PARAM_DESC(policy, policy_cases, name);

/* Nothing that has to go stays, and little else goes. */
static void batch_model(struct kunit *test)
{
	const struct policy_case *c = test->param_value;
	const struct smmuv3_batch_policy *policy = &c->policy;
	bool escalates = policy->no_global && policy->escalate;
	u32 round, before, escalated = 0;
	struct bench *b = test->priv;
	enum smmuv3_phase phase;
	u64 subsumed, merged;
	u8 phys;

	prandom_seed_state(&b->rnd, 0xba7c4 + (c - policy_cases));
	for (round = 0; round < 500; round++) {
		start_world(b);
		make_batch(b, round % 100 ? 1 + dice(b, 40) : 150 + dice(b, 200));
		fill(b);
		before = tags_in_use(b);
		subsumed = b->batch.subsumed;
		merged = b->batch.merged;
		smmuv3_batch_reduce(&b->batch, policy);

		subsumed = b->batch.subsumed - subsumed;
		merged = b->batch.merged - merged;
		KUNIT_ASSERT_EQ_MSG(test, subsumed + merged + tags_in_use(b), before,
				    "round %u", round);
		if (!policy->subsume && !escalates)
			KUNIT_ASSERT_EQ(test, subsumed, 0);
		if (!policy->merge)
			KUNIT_ASSERT_EQ(test, merged, 0);
		escalated += subsumed && !policy->subsume;
		for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++)
			for (phys = 0; phys < PHYS_NUM; phys++)
				check_part(test, b, phase, phys, policy, round);
	}

	/* The above means nothing unless it met everything often enough. */
	if (policy->subsume)
		KUNIT_EXPECT_GT(test, b->batch.subsumed, 300);
	if (policy->merge)
		KUNIT_EXPECT_GT(test, b->batch.merged, escalates ? 20 : 100);
	if (escalates && !policy->subsume)
		KUNIT_EXPECT_GT(test, escalated, 100);
}

#define SUBSUME		{ .subsume = true }
#define MERGE		{ .merge = true }
#define NO_GLOBAL	{ .subsume = true, .no_global = true }
#define ESCALATE(n)	{ .no_global = true, .escalate = (n) }
#define ALL_BUT_ESCALATE { .subsume = true, .merge = true, .no_global = true }

#define VA(asid, page)		{ { NH_VA | AS(asid), PAGE(page) } }
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

/* StreamIDs are even, so that all is for the first physical SMMU. */
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

static void batch_rule(struct kunit *test)
{
	const struct rule_case *c = test->param_value;
	struct bench *b = test->priv;
	enum smmuv3_phase phase;
	u32 i, num = 0;

	for (b->num = 0; b->num < ARRAY_SIZE(c->in) && op(&c->in[b->num]); b->num++)
		b->in[b->num] = c->in[b->num];
	fill(b);
	smmuv3_batch_reduce(&b->batch, &c->policy);
	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++) {
		pick_after(b, phase, 0);
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

/* ASIDs past the first few are left alone, and nothing is written past those. */
static void batch_many_asids(struct kunit *test)
{
	static const struct smmuv3_batch_policy policy = ESCALATE(2);
	const u32 asids = 20, replaced = 8;
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < 3 * asids; i++)
		b->in[i] = (struct cmd)VA(i % asids, i);
	b->num = i;
	fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	pick_after(b, SMMUV3_PHASE_TLBI, 0);
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

/* A rising run of single addresses, as drivers write it, with this and that in it */
static void make_runs(struct bench *b, u32 num)
{
	u64 page = dice(b, 4) ? dice(b, 1000) : U64_MAX >> 12;
	struct cmd *cmd = b->in;
	u32 i;

	for (i = 0; i < num; i++, cmd++) {
		cmd->w[0] = NH_VA | AS(1);
		cmd->w[1] = PAGE(page) | LEAF;
		page += dice(b, 30) ? 1 : dice(b, 3);
		if (dice(b, 12))
			continue;
		switch (dice(b, 10)) {
		case 0:
			cmd->w[0] = NH_VAA;
			break;
		case 1:
			cmd->w[0] = NH_VA | AS(dice(b, 3));
			break;
		case 2:
			cmd->w[1] ^= LEAF;
			break;
		case 3:
			make_cmd(b, cmd, cmd);
			break;
		case 4:
			cmd->w[1] -= PAGE(dice(b, 3));
			break;
		case 5 ... 6:
			cmd->w[dice(b, 2)] ^= BIT_ULL(dice(b, 64));
			break;
		case 7:
			cmd->w[0] |= NUM(dice(b, 4));
			cmd->w[1] |= TG(dice(b, 4)) | TTL(dice(b, 4));
			break;
		case 8:
			if (i)
				*cmd = cmd[-1];
			break;
		case 9:
			cmd->w[0] = SYNC;
			cmd->w[1] = 0;
			break;
		}
	}
}

/* Add commands up to the first that is not legal, as cmdq.c does. */
static u32 add_legal(struct bench *b, struct smmuv3_batch *batch, u32 num, bool extend)
{
	enum smmuv3_cmd_class class;
	u32 i;

	memset(batch->tags, 0xa5, sizeof(batch->tags));
	for (i = 0; i < num; i++)
		put(batch, i, &b->in[i]);
	smmuv3_batch_start(batch);
	for (i = 0; i < num;) {
		if (smmuv3_cmd_check(b->in[i].w, &b->caps, &class))
			break;
		smmuv3_batch_add(batch, i, b->in[i].w, phase_of(&b->in[i]),
				 phys_of(&b->in[i]));
		if (extend && phase_of(&b->in[i]) == SMMUV3_PHASE_TLBI)
			i = smmuv3_batch_extend(batch, i, num);
		else
			i++;
	}
	return i;
}

/* Extending a run is adding its commands one by one, and none that is not legal. */
static void batch_extend(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 round, i, num, done, extended = 0;

	for (round = 0; round < 1500; round++) {
		start_world(b);
		num = 1 + dice(b, 60);
		make_runs(b, num);
		done = add_legal(b, &b->batch, num, false);
		KUNIT_ASSERT_EQ_MSG(test, add_legal(b, &b->other, num, true), done,
				    "round %u", round);
		KUNIT_ASSERT_MEMEQ_MSG(test, b->other.tags, b->batch.tags, num,
				       "round %u", round);
		KUNIT_ASSERT_MEMEQ_MSG(test, b->other.phases, b->batch.phases,
				       sizeof(b->batch.phases), "round %u", round);
		KUNIT_ASSERT_EQ_MSG(test, b->other.tlbi_plain, b->batch.tlbi_plain,
				    "round %u", round);
		KUNIT_ASSERT_EQ_MSG(test, b->other.tlbi_all, b->batch.tlbi_all,
				    "round %u", round);
		if (b->batch.tlbi_plain && b->batch.phases[SMMUV3_PHASE_TLBI].num)
			KUNIT_ASSERT_MEMEQ_MSG(test, b->other.tlbi_prev, b->batch.tlbi_prev,
					       sizeof(b->batch.tlbi_prev), "round %u", round);
		/* A run is extended as far as possible: that is what it is for. */
		for (i = 0; i < done && phase_of(&b->in[i]) == SMMUV3_PHASE_TLBI; i++)
			;
		extended += i > 4 && b->batch.tlbi_plain;
	}
	KUNIT_EXPECT_GT(test, extended, 100);
}

/* All of a plain run, to the end that is given and not beyond */
static void batch_extend_end(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < 20; i++) {
		b->in[i] = (struct cmd)VA(1, 100 + i);
		put(&b->batch, i, &b->in[i]);
	}
	smmuv3_batch_start(&b->batch);
	smmuv3_batch_add(&b->batch, 2, b->in[2].w, SMMUV3_PHASE_TLBI, SMMUV3_PHYS_ALL);
	b->batch.tags[12] = 0xa5;
	KUNIT_EXPECT_EQ(test, smmuv3_batch_extend(&b->batch, 2, 12), 12);
	KUNIT_EXPECT_EQ(test, b->batch.tags[12], 0xa5);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].num, 10);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].first, 2);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].last, 11);
	/* And on from there */
	smmuv3_batch_add(&b->batch, 12, b->in[12].w, SMMUV3_PHASE_TLBI, SMMUV3_PHYS_ALL);
	KUNIT_EXPECT_TRUE(test, b->batch.tlbi_plain);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_extend(&b->batch, 12, 13), 13);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_extend(&b->batch, 12, 20), 20);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].num, 18);
}

/* For each phase and physical SMMU, by tags alone: each command holds its index. */
static void check_picks(struct kunit *test, struct bench *b, const u8 *phases,
			const u8 *physes, enum smmuv3_phase phase, u8 phys)
{
	u32 i, num = 0, first = 0, last = 0, all = 0, picked;
	bool mixed = false;

	picked = smmuv3_batch_select(&b->batch, phase, phys);
	for (i = 0; i < b->num; i++) {
		if (phases[i] != phase)
			continue;
		if (!all++)
			first = i;
		last = i;
		mixed |= physes[i] != physes[first];
		if (physes[i] != phys && physes[i] != SMMUV3_PHYS_ALL)
			continue;
		KUNIT_ASSERT_LT(test, num, picked);
		KUNIT_ASSERT_EQ(test, le64_to_cpu(b->batch.stage[num][0]), i);
		KUNIT_ASSERT_EQ(test, le64_to_cpu(b->batch.stage[num][1]), ~(u64)i);
		num++;
	}
	KUNIT_ASSERT_EQ(test, picked, num);
	KUNIT_ASSERT_EQ(test, smmuv3_batch_whole(&b->batch, phase, phys),
			num && !mixed && all == last - first + 1);
}

static void batch_picks(struct kunit *test)
{
	struct bench *b = test->priv;
	enum smmuv3_phase phase;
	u8 phases[64], physes[64], phys, phys_num;
	u32 round, i;

	for (round = 0; round < 600; round++) {
		phys_num = 1 + dice(b, 4);
		b->num = dice(b, ARRAY_SIZE(phases) + 1);
		smmuv3_batch_start(&b->batch);
		for (i = 0; i < b->num; i++) {
			/* Stretches, so that some phases are one */
			bool same = i && dice(b, 8);
			struct cmd cmd = { { i, ~(u64)i } };

			phases[i] = same ? phases[i - 1] : dice(b, SMMUV3_PHASE_NONE + 1);
			phys = dice(b, phys_num + 1);
			phys = phys < phys_num ? phys : SMMUV3_PHYS_ALL;
			physes[i] = same && dice(b, 20) ? physes[i - 1] : phys;
			put(&b->batch, i, &cmd);
			smmuv3_batch_add(&b->batch, i, cmd.w, phases[i], physes[i]);
		}
		for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++)
			for (phys = 0; phys < phys_num; phys++)
				check_picks(test, b, phases, physes, phase, phys);
	}
}

/* Reduce a batch of three commands in which there is nothing to leave out. */
static void reduce_three(struct kunit *test, u32 asid)
{
	static const struct smmuv3_batch_policy policy = SUBSUME;
	struct bench *b = test->priv;
	u32 i;

	b->num = 3;
	for (i = 0; i < b->num; i++)
		b->in[i] = (struct cmd)VA(asid, 3 - i);
	fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_ASSERT_EQ_MSG(test, b->batch.subsumed, 0, "generation %u",
			    b->batch.generation);
}

/*
 * What an earlier batch left in the hash table must never be found again, also
 * when the 16 bits of a generation come round: a command would do its own work.
 */
static void batch_generations(struct kunit *test)
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

/* A full batch: as many keys as there can be, and each twice */
static void batch_full(struct kunit *test)
{
	static const struct smmuv3_batch_policy policy = ALL_BUT_ESCALATE;
	struct bench *b = test->priv;
	u32 i;

	b->num = BATCH_MAX;
	for (i = 0; i < BATCH_MAX; i++)
		b->in[i] = (struct cmd)VA(1, BATCH_MAX - i);
	fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_EXPECT_EQ(test, b->batch.subsumed, 0);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_select(&b->batch, SMMUV3_PHASE_TLBI, 0), BATCH_MAX);

	for (i = 0; i < BATCH_MAX; i++)
		b->in[i] = (struct cmd)VA_LEAF(1, i % (BATCH_MAX / 2));
	fill(b);
	smmuv3_batch_reduce(&b->batch, &policy);
	KUNIT_EXPECT_EQ(test, b->batch.subsumed, BATCH_MAX / 2);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_select(&b->batch, SMMUV3_PHASE_TLBI, 0), BATCH_MAX / 2);
	for (i = 0; i < BATCH_MAX / 2; i++)
		KUNIT_ASSERT_EQ(test, le64_to_cpu(b->batch.stage[i][1]), PAGE(i) | LEAF);
}

static struct kunit_case batch_cases[] = {
	KUNIT_CASE_PARAM(batch_model, policy_gen_params),
	KUNIT_CASE_PARAM(batch_rule, rule_gen_params),
	KUNIT_CASE(batch_many_asids),
	KUNIT_CASE(batch_extend),
	KUNIT_CASE(batch_extend_end),
	KUNIT_CASE(batch_picks),
	KUNIT_CASE(batch_generations),
	KUNIT_CASE(batch_full),
	{}
};

static struct kunit_suite batch_suite = {
	.name = "smmuv3-accel-batch",
	.init = batch_test_init,
	.test_cases = batch_cases,
};

kunit_test_suites(&batch_suite);
