// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of adding commands to a batch, also many alike at once, and of selecting
 * those for a physical SMMU and phase.
 */
#include "batch_fixture.h"

/* A run of rising single addresses, as drivers issue it, with some other commands */
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
			bt_make_cmd(b, cmd, cmd);
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
		bt_put(batch, i, &b->in[i]);
	smmuv3_batch_start(batch);
	for (i = 0; i < num;) {
		if (smmuv3_cmd_check(b->in[i].w, &b->caps, &class))
			break;
		smmuv3_batch_add(batch, i, b->in[i].w, bt_phase_of(&b->in[i]),
				 bt_phys_of(&b->in[i]));
		if (extend && bt_phase_of(&b->in[i]) == SMMUV3_PHASE_TLBI)
			i = smmuv3_batch_extend(batch, i, num);
		else
			i++;
	}
	return i;
}

/* Extending a run has the same result as adding its commands one by one. */
static void run_is_as_single_commands(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 round, i, num, done, extended = 0;

	for (round = 0; round < 1500; round++) {
		bt_start_world(b);
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
		/* Each run must be extended as far as possible. */
		for (i = 0; i < done && bt_phase_of(&b->in[i]) == SMMUV3_PHASE_TLBI; i++)
			;
		extended += i > 4 && b->batch.tlbi_plain;
	}
	KUNIT_EXPECT_GT(test, extended, 100);
}

/* A plain run is added completely, but not beyond the given end. */
static void run_ends_where_told(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < 20; i++) {
		b->in[i] = (struct cmd)VA(1, 100 + i);
		bt_put(&b->batch, i, &b->in[i]);
	}
	smmuv3_batch_start(&b->batch);
	smmuv3_batch_add(&b->batch, 2, b->in[2].w, SMMUV3_PHASE_TLBI, SMMUV3_PHYS_ALL);
	b->batch.tags[12] = 0xa5;
	KUNIT_EXPECT_EQ(test, smmuv3_batch_extend(&b->batch, 2, 12), 12);
	KUNIT_EXPECT_EQ(test, b->batch.tags[12], 0xa5);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].num, 10);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].first, 2);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].last, 11);
	/* Continue from there. */
	smmuv3_batch_add(&b->batch, 12, b->in[12].w, SMMUV3_PHASE_TLBI, SMMUV3_PHYS_ALL);
	KUNIT_EXPECT_TRUE(test, b->batch.tlbi_plain);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_extend(&b->batch, 12, 13), 13);
	KUNIT_EXPECT_EQ(test, smmuv3_batch_extend(&b->batch, 12, 20), 20);
	KUNIT_EXPECT_EQ(test, b->batch.phases[SMMUV3_PHASE_TLBI].num, 18);
}

/* Selecting depends only on the tags. Each command holds its index. */
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

static void picks_by_phase_and_smmu(struct kunit *test)
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
			/* Stretches of one phase, so that smmuv3_batch_whole() can be true */
			bool same = i && dice(b, 8);
			struct cmd cmd = { { i, ~(u64)i } };

			phases[i] = same ? phases[i - 1] : dice(b, SMMUV3_PHASE_NONE + 1);
			phys = dice(b, phys_num + 1);
			phys = phys < phys_num ? phys : SMMUV3_PHYS_ALL;
			physes[i] = same && dice(b, 20) ? physes[i - 1] : phys;
			bt_put(&b->batch, i, &cmd);
			smmuv3_batch_add(&b->batch, i, cmd.w, phases[i], physes[i]);
		}
		for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++)
			for (phys = 0; phys < phys_num; phys++)
				check_picks(test, b, phases, physes, phase, phys);
	}
}

static struct kunit_case batch_cases[] = {
	KUNIT_CASE(run_is_as_single_commands),
	KUNIT_CASE(run_ends_where_told),
	KUNIT_CASE(picks_by_phase_and_smmu),
	{}
};

static struct kunit_suite batch_suite = {
	.name = "smmuv3-accel-batch",
	.init = bt_init,
	.test_cases = batch_cases,
};

kunit_test_suites(&batch_suite);
