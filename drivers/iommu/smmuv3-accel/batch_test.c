// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of batch.c. Each command holds its own index, so that what is
 * picked tells where it is from: no second selection is needed to compare with.
 */
#include <kunit/test.h>
#include <linux/prandom.h>

#include "batch.h"

#define NUM		300
#define ROUNDS		200
#define UNTOUCHED	cpu_to_le64(~0ULL)

struct batch {
	__le64 cmds[NUM][2];
	__le64 out[NUM][2];
	struct smmuv3_batch_tag tags[NUM];
	u32 picked[NUM];	/* how many times */
	u32 num;
};

/* What one selection picks is in order, unchanged, and of that phase and SMMU. */
static void check_selection(struct kunit *test, struct batch *b,
			    enum smmuv3_phase phase, u32 phys)
{
	u32 picked, i, at, next = 0;

	memset(b->out, 0xff, sizeof(b->out));
	picked = smmuv3_batch_select(b->out, b->cmds, b->tags, b->num, phase, phys);
	KUNIT_ASSERT_LE(test, picked, b->num);
	for (i = 0; i < picked; i++) {
		at = le64_to_cpu(b->out[i][0]);
		KUNIT_ASSERT_GE(test, at, next);
		KUNIT_ASSERT_LT(test, at, b->num);
		KUNIT_ASSERT_MEMEQ(test, b->out[i], b->cmds[at], sizeof(*b->cmds));
		KUNIT_ASSERT_EQ(test, b->tags[at].phase, phase);
		if (b->tags[at].phys != SMMUV3_PHYS_ALL)
			KUNIT_ASSERT_EQ(test, b->tags[at].phys, phys);
		b->picked[at]++;
		next = at + 1;
	}
	for (; i < NUM; i++) {
		KUNIT_ASSERT_TRUE(test, b->out[i][0] == UNTOUCHED);
		KUNIT_ASSERT_TRUE(test, b->out[i][1] == UNTOUCHED);
	}
}

/* Over all phases and SMMUs each command is picked once for each it is for. */
static void batch_random(struct kunit *test)
{
	struct batch *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	enum smmuv3_phase phase;
	struct rnd_state rnd;
	u32 round, phys_num, phys, i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	prandom_seed_state(&rnd, 0x5e1ec7);
	for (round = 0; round < ROUNDS; round++) {
		phys_num = 1 + prandom_u32_state(&rnd) % 4;
		b->num = prandom_u32_state(&rnd) % (NUM + 1);
		for (i = 0; i < b->num; i++) {
			b->cmds[i][0] = cpu_to_le64(i);
			b->cmds[i][1] = cpu_to_le64(prandom_u32_state(&rnd));
			b->tags[i].phase = prandom_u32_state(&rnd) %
					   (SMMUV3_PHASE_NONE + 1);
			phys = prandom_u32_state(&rnd) % (phys_num + 1);
			b->tags[i].phys = phys < phys_num ? phys : SMMUV3_PHYS_ALL;
			b->picked[i] = 0;
		}

		for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++)
			for (phys = 0; phys < phys_num; phys++)
				check_selection(test, b, phase, phys);

		for (i = 0; i < b->num; i++) {
			u32 times = b->tags[i].phys == SMMUV3_PHYS_ALL ? phys_num : 1;

			if (b->tags[i].phase == SMMUV3_PHASE_NONE)
				times = 0;
			KUNIT_ASSERT_EQ_MSG(test, b->picked[i], times,
					    "round %u, command %u", round, i);
		}
	}
}

static struct kunit_case batch_cases[] = {
	KUNIT_CASE(batch_random),
	{}
};

static struct kunit_suite batch_suite = {
	.name = "smmuv3-accel-batch",
	.test_cases = batch_cases,
};

kunit_test_suites(&batch_suite);
