// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of smmuv3_batch_reduce() against a model, which has its own definition
 * of what each command invalidates. The reduced batch must still invalidate all that
 * the original invalidates.
 */
#include "batch_fixture.h"

/* An entry that an SMMU or a device may have cached */
struct entry {
	enum smmuv3_phase phase;	/* that invalidates it */
	u32 asid;
	bool global;
	u8 tg;
	u8 level;
	bool table;			/* not a leaf; for CDs: a level-1 descriptor */
	u64 addr;			/* aligned */
	u32 sid;
	u32 ssid;
	bool ssv;
};

static u64 level_mask(unsigned int tg, unsigned int level)
{
	return BIT_ULL(level_shift(tg, level)) - 1;
}

/*
 * If a range is not aligned to the leaf's size, it is UNPREDICTABLE whether the entry
 * is in it: return @may then.
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
	return e->addr <= bt_range_last(cmd) && addr <= end;
}

/* Whether a command has to invalidate an entry, or with @may, whether it may. */
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

static bool parts_equal(const struct part *a, const struct part *b)
{
	return a->num == b->num && !memcmp(a->cmds, b->cmds, a->num * sizeof(*a->cmds));
}

/* Make an entry of the phase's kind, in or near a command's range. */
static void make_entry(struct bench *b, const struct cmd *cmd, bool no_global,
		       struct entry *e)
{
	u64 addr = cmd->w[1] & GENMASK_ULL(63, 12), last;

	*e = (struct entry){ .phase = bt_phase_of(cmd) };
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
	last = bits(cmd, 75, 74) ? bt_range_last(cmd) : addr;
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

/* Commands may invalidate more than the original only if the policy allows it. */
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

	bt_pick_before(b, phase, phys);
	bt_pick_after(b, phase, phys);
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
		KUNIT_ASSERT_FALSE(test, smmuv3_cmd_rewrite(b->after.cmds[i].w, &b->caps));
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

static void make_batch(struct bench *b, u32 num)
{
	const struct cmd none = {};
	enum smmuv3_cmd_class class;

	b->start = dice(b, min(4U, BATCH_MAX - num + 1));
	for (b->num = 0; b->num < num;) {
		struct cmd *cmd = &b->in[b->num];

		/* Now and then repeat an earlier command. */
		if (b->num && !dice(b, 12)) {
			*cmd = b->in[dice(b, b->num)];
			if (op(cmd) == NH_VA || op(cmd) == NH_VAA || op(cmd) == CFGI_CD)
				cmd->w[1] ^= dice(b, 2);
		} else {
			bt_make_cmd(b, b->num ? cmd - 1 : &none, cmd);
		}
		b->num += !smmuv3_cmd_check(cmd->w, &b->caps, &class) &&
			  !smmuv3_cmd_rewrite(cmd->w, &b->caps);
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

/* The reduced batch invalidates all that it must, and little else. */
static void loses_nothing(struct kunit *test)
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
		bt_start_world(b);
		make_batch(b, round % 100 ? 1 + dice(b, 40) : 150 + dice(b, 200));
		bt_fill(b);
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

	/* The test shows something only if each case came up often enough. */
	if (policy->subsume)
		KUNIT_EXPECT_GT(test, b->batch.subsumed, 300);
	if (policy->merge)
		KUNIT_EXPECT_GT(test, b->batch.merged, escalates ? 20 : 100);
	if (escalates && !policy->subsume)
		KUNIT_EXPECT_GT(test, escalated, 100);
}

/* A TLBI by address, with any operands of a range */
static void make_any_range(struct bench *b, struct cmd *cmd)
{
	bt_start_world(b);
	b->caps.ril = true;
	cmd->w[0] = dice(b, 2) ? NH_VA | AS(1 + dice(b, 3)) : NH_VAA;
	cmd->w[0] |= NUM(dice(b, 2) ? 0 : dice(b, 32)) | SCALE(dice(b, 2) ? 0 : dice(b, 64));
	cmd->w[1] = (b->base + ((u64)dice(b, 8) << level_shift(b->tg, 3))) | dice(b, 2);
	cmd->w[1] |= TG(dice(b, 4) ? b->tg : 0) | TTL(dice(b, 4));
}

/* The replacement of a reserved combination invalidates as much as the guest means. */
static void rewritten_loses_nothing(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 round, reached = 0, i;
	struct cmd cmd, given;
	struct entry e;

	for (round = 0; round < 20000; round++) {
		make_any_range(b, &cmd);
		given = cmd;
		if (!smmuv3_cmd_rewrite(given.w, &b->caps))
			continue;
		/* This TTL acts as 0. */
		if (bits(&cmd, 75, 74) == 2 && bits(&cmd, 73, 72) == 1)
			cmd.w[1] ^= TTL(1);
		for (i = 0; i < 8; i++) {
			make_entry(b, &cmd, false, &e);
			if (!reaches(&cmd, &e, false))
				continue;
			reached++;
			KUNIT_ASSERT_TRUE_MSG(test, reaches(&given, &e, false),
					      "%016llx %016llx becomes %016llx %016llx and loses address %llx level %u table %d",
					      cmd.w[0], cmd.w[1], given.w[0], given.w[1],
					      e.addr, e.level, e.table);
		}
	}
	KUNIT_EXPECT_GT(test, reached, 10000);
}

static struct kunit_case batch_model_cases[] = {
	KUNIT_CASE_PARAM(loses_nothing, policy_gen_params),
	KUNIT_CASE(rewritten_loses_nothing),
	{}
};

static struct kunit_suite batch_model_suite = {
	.name = "smmuv3-accel-batch-model",
	.init = bt_init,
	.test_cases = batch_model_cases,
};

kunit_test_suites(&batch_model_suite);
