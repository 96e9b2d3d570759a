// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how RUN_CMDQ reports streams whose STE is not legal, and of what the
 * module refuses without a memory table.
 */
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "fixture.h"

#define UNMAPPED	((void __user *)16)
#define BAD_LEN		sizeof(struct smmuv3_accel_bad_ste)
#define MAX_BAD		16

/* Bad STEs for all streams but VSID_NEXT, a bridge included */
static const struct smmuv3_accel_bad_ste bad_stes[] = {
	{ VSID, REASON(STE_CONFIG) },
	{ VSID_OTHER, REASON(STE_S1CDMAX) },
	{ VSID_HOSTLESS, REASON(STE_CONFIG) },
	{ VSID_LAST, REASON(STE_S1CONTEXTPTR) },
};

#define BADS	ARRAY_SIZE(bad_stes)

static void put_bad_stes(struct kunit *test)
{
	fx_put_ste(test, VSID, STE_BAD_CONFIG, 0);
	fx_put_ste(test, VSID_OTHER, STE_S1 | FIELD_PREP(STE_0_S1CDMAX, 31), 0);
	fx_put_ste(test, VSID_HOSTLESS, STE_BAD_CONFIG, 0);
	fx_put_ste(test, VSID_LAST, STE_S1 | STE_0_S1CONTEXTPTR_OVER, 0);
}

static void start(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_put_ste(test, VSID_HOSTLESS, STE_BYPASS, 0);
	fx_must_attach(test, f->v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = BRIDGE);
	fx_start(test);
	put_bad_stes(test);
}

/* Run commands with room for a number of bad STEs. */
#define RUN_BAD(test, room, ...) ({					\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	fx_run(test, .cmds = __cmds, .num = ARRAY_SIZE(__cmds),		\
	       .bad = ((struct fixture *)(test)->priv)->array,		\
	       .bad_room = room);					\
})

static void clear_reports(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, clear_user(f->array, ARRAY_LEN), 0);
}

/* Expect that the module reported exactly these streams. */
static void expect_reports(struct kunit *test, const struct smmuv3_accel_bad_ste *want, u32 num)
{
	struct smmuv3_accel_bad_ste got[MAX_BAD];
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, copy_from_user(got, f->array, sizeof(got)), 0);
	KUNIT_EXPECT_MEMEQ(test, got, want, num * BAD_LEN);
	KUNIT_EXPECT_NULL(test, memchr_inv(&got[num], 0, (MAX_BAD - num) * BAD_LEN));
}

/* The others abort all the same. Each run reports them, also if nothing has changed. */
static void as_many_as_there_is_room_for(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 room, i, num;

	start(test);
	for (room = 0; room <= BADS + 2; room++) {
		num = min_t(u32, room, BADS);
		clear_reports(test);
		EXPECT_RESULT(test, RUN_BAD(test, room, tlbi_va(1), cfgi_all(), sync_irq()),
			      .done = 3, .bad_num = num,
			      .flags = RUN(BAD_STE) | RUN(SYNC_IRQ) |
				       (room < BADS ? RUN(BAD_OVERFLOW) : 0));
		expect_reports(test, bad_stes, num);
		for (i = 0; i < BADS; i++)
			KUNIT_EXPECT_EQ(test, stream_of(f->v, bad_stes[i].vsid)->ste.reason,
					bad_stes[i].reason);
		KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID_NEXT)->ste.kind, KIND(S1));
	}
	KUNIT_EXPECT_EQ(test, f->v->stats.out_ste_bad, BADS * (BADS + 3));
}

/* In the order of the commands. A stream comes once for each command that names it. */
static void in_the_order_of_commands(struct kunit *test)
{
	const struct smmuv3_accel_bad_ste want[] = {
		bad_stes[1], bad_stes[0], bad_stes[1], bad_stes[3],
	};

	start(test);
	clear_reports(test);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_ste(VSID_OTHER), cfgi_ste(VSID_NEXT),
				    cfgi_ste(VSID), tlbi_va(1), cfgi_ste(VSID_OTHER),
				    cfgi_ste(VSID_UNKNOWN), cfgi_range(VSID_LAST, 1)),
		      .done = 7, .flags = RUN(BAD_STE), .bad_num = 4);
	expect_reports(test, want, 4);
	/* A run that names none of them reports none. */
	EXPECT_DONE(test, RUN_BAD(test, MAX_BAD, cfgi_ste(VSID_NEXT), tlbi_va(1)), 2);
}

/* The module reports streams of commands before one that is not done. */
static void told_up_to_a_failure(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	clear_reports(test);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_ste(VSID), bad_cmd(1),
				    cfgi_ste(VSID_OTHER)),
		      .done = 1, .error = CERROR(ILL), .reason = REASON(CMD_OPCODE),
		      .flags = RUN(BAD_STE), .bad_num = 1);
	expect_reports(test, bad_stes, 1);
	clear_reports(test);
	fx_put_ste(test, VSID_NEXT, STE_S1_AT(5), 0);
	mock_fail(f->mock, MOCK_ALLOC + MOCK_NESTED, 1, 1, -ENOMEM);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_ste(VSID), cfgi_ste(VSID_NEXT),
				    cfgi_ste(VSID_OTHER)),
		      .rc = -ENOMEM, .done = 1, .reason = REASON(RETRY), .vsid = VSID_NEXT,
		      .flags = RUN(BAD_STE), .bad_num = 1);
	expect_reports(test, bad_stes, 1);
}

/* The command is not done, but its streams abort. It matters only if there is room. */
static void unwritable_list(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cmd cmds[] = { tlbi_va(1), cfgi_all(), sync() };

	start(test);
	EXPECT_RESULT(test, fx_run(test, .cmds = cmds, .num = 3, .bad = UNMAPPED, .bad_room = 1),
		      .rc = -EFAULT, .done = 1, .reason = REASON(BAD_POINTER),
		      .vsid = VSID);
	fx_expect_aborts(test, f->v, VSID, REASON(STE_CONFIG));
	fx_expect_aborts(test, f->v, VSID_LAST, REASON(STE_S1CONTEXTPTR));
	EXPECT_RESULT(test, fx_run(test, .cmds = cmds, .num = 3, .bad = UNMAPPED),
		      .done = 3, .flags = BAD_STE_NO_ROOM);
	EXPECT_DONE(test, fx_run(test, .cmds = cmds, .num = 1, .bad = UNMAPPED, .bad_room = 9), 1);
	clear_reports(test);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_all()), .done = 1,
		      .flags = RUN(BAD_STE), .bad_num = BADS);
	expect_reports(test, bad_stes, BADS);
}

/* Room for two and a half: the third cannot be written. */
static void unwritable_at_its_end(struct kunit *test)
{
	struct fixture *f = test->priv;
	void __user *at = f->umem_end - 2 * BAD_LEN - BAD_LEN / 2;
	struct smmuv3_accel_bad_ste got[2];
	const struct cmd all = cfgi_all();

	start(test);
	EXPECT_RESULT(test, fx_run(test, .cmds = &all, .num = 1, .bad = at, .bad_room = 9),
		      .rc = -EFAULT, .reason = REASON(BAD_POINTER),
		      .vsid = bad_stes[2].vsid);
	KUNIT_ASSERT_EQ(test, copy_from_user(got, at, sizeof(got)), 0);
	KUNIT_EXPECT_MEMEQ(test, got, bad_stes, sizeof(got));
}

/* A command that fails for one stream comes again, and must not report others twice. */
static void failed_command_reports_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	fx_put_ste(test, VSID_NEXT, STE_BYPASS, 0);
	mock_fail(f->mock, MOCK_ATTACH, 2, 1, -EIO);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_all()), .rc = -EIO,
		      .reason = REASON(HOST_REJECT), .vsid = VSID_NEXT);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_all()), .done = 1,
		      .flags = RUN(BAD_STE), .bad_num = BADS);
	expect_reports(test, bad_stes, BADS);
}

/* A batch that counts for nothing, because its feed cannot be written, reports nothing. */
static void unwritable_feed_reports_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cmd cmds[] = { cfgi_ste(VSID), cfgi_ste(VSID_OTHER), tlbi_va(1) };

	start(test);
	fx_must_attach(test, f->v, .fd = -1, .vsid = VSID_UNKNOWN, .flags = FEED);
	EXPECT_RESULT(test, fx_run(test, .cmds = cmds, .num = 3, .bad = f->array, .bad_room = 1,
				   .feed = UNMAPPED, .feed_room = 9),
		      .rc = -EFAULT, .reason = REASON(BAD_POINTER));
	EXPECT_RESULT(test, fx_run(test, .cmds = cmds, .num = 3, .bad = f->array, .bad_room = 1,
				   .feed = f->array + PAGE_SIZE, .feed_room = 9),
		      .done = 3, .flags = BAD_STE_NO_ROOM, .bad_num = 1, .feed_num = 1);
	expect_reports(test, bad_stes, 1);
}

/* ATTACH, SET_REGS and SET_VSIDS report nothing: GET_STREAM has the reason. */
static void reported_for_commands_alone(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	fx_must_detach(test, f->v, VSID);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	fx_expect_aborts(test, f->v, VSID, REASON(STE_CONFIG));
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID_NEXT, VSID_OTHER }, { VSID_OTHER, VSID_NEXT }));
	fx_expect_aborts(test, f->v, VSID_OTHER, REASON(STE_S1CDMAX));
	f->regs.strtab_base_cfg ^= 1;
	fx_must_set_regs(test);
	EXPECT_DONE(test, RUN_BAD(test, MAX_BAD, tlbi_va(1)), 1);
}

/* A 2-level table whose level-1 descriptors are behind the command queue */
#define L1_OFFSET	(RING_MAX / 2)
#define L2_SIDS		64

static void put_l1(struct kunit *test, u32 vsid, u64 desc)
{
	struct fixture *f = test->priv;
	__le64 raw = cpu_to_le64(desc);

	KUNIT_ASSERT_EQ(test, copy_to_user(f->ring + L1_OFFSET + vsid / L2_SIDS * sizeof(raw), &raw,
					   sizeof(raw)), 0);
}

/* Level-2 tables are where the linear table has the same STEs. */
static u64 l1_desc(u32 vsid, u32 span)
{
	return (TABLE_GPA + vsid / L2_SIDS * L2_SIDS * 64) | span;
}

static const struct l1_case {
	const char *name;
	u32 span;
	u32 reason;
} l1_cases[] = {
	{ "no level-2 table", 0, REASON(STE_L1_NONE) },
	{ "Span reserved", 8, REASON(STE_L1_INVALID) },
	{ "Span too short", 1, REASON(STE_SID_RANGE) },
	{ "whole", 7, REASON(NONE) },
};

KUNIT_ARRAY_PARAM_DESC(l1, l1_cases, name);

/* Linux allocates a level-2 table when it finds a device, so to have none is no fault. */
static void level2_table_may_be_missing(struct kunit *test)
{
	const struct l1_case *c = test->param_value;
	const struct smmuv3_accel_bad_ste bad = { VSID_LAST, c->reason };
	bool is_bad = c->reason && c->reason != REASON(STE_L1_NONE);
	struct fixture *f = test->priv;
	u32 i;

	fx_start(test);
	for (i = 0; i < 4; i++)
		put_l1(test, i * L2_SIDS, l1_desc(i * L2_SIDS, 7));
	put_l1(test, VSID_LAST, l1_desc(VSID_LAST, c->span));
	f->regs.strtab_base = RING_GPA + L1_OFFSET;
	f->regs.strtab_base_cfg = TABLE_LOG2 | FIELD_PREP(STRTAB_CFG_SPLIT, 6) |
				  FIELD_PREP(STRTAB_CFG_FMT, STRTAB_FMT_2LEVEL);
	fx_must_set_regs(test);
	clear_reports(test);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_all()), .done = 1, .bad_num = is_bad,
		      .flags = is_bad ? RUN(BAD_STE) : 0);
	expect_reports(test, &bad, is_bad);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_ste_bad, 2 * is_bad);
	fx_expect_s1(test, f->v, VSID, 1);
	if (!c->reason) {
		fx_expect_s1(test, f->v, VSID_LAST, 1);
		return;
	}
	fx_expect_aborts(test, f->v, VSID_LAST, c->reason);

	/* The guest allocates it, and issues a CFGI_STE. */
	put_l1(test, VSID_LAST, l1_desc(VSID_LAST, 7));
	EXPECT_DONE(test, RUN_BAD(test, MAX_BAD, cfgi_ste(VSID_LAST)), 1);
	fx_expect_s1(test, f->v, VSID_LAST, 1);
}

/* If a driver disables a stream, that is no bad STE. */
static void disabled_stream_is_not_bad(struct kunit *test)
{
	start(test);
	fx_put_ste(test, VSID, 0, 0);
	fx_put_ste(test, VSID_OTHER, STE_ABORT, 0);
	EXPECT_DONE(test, RUN_BAD(test, MAX_BAD, cfgi_ste(VSID), cfgi_ste(VSID_OTHER)), 2);
}

/* Another process has taken the file over, so there is no memory table. */
static void start_without_memory(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_set_reachable(f->mock, false);
	EXPECT_OK(test, fx_change_process(f->v, MOCK_IOMMUFD));
	f->mock->log_num = 0;
}

#define NO_MEM_TABLE	.rc = -ENXIO, .reason = REASON(NO_MEM_TABLE)

/* DMA goes on by the STEs that were read before. */
static void nothing_read_from_unknown_memory(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cmd cmds[] = { tlbi_va(1), cfgi_all(), sync() };
	struct smmuv3_regs regs = f->regs;
	struct mock_state before;

	start_without_memory(test);
	regs = f->v->table.regs;
	before = mock_state(f->mock);
	EXPECT_RESULT(test, fx_run(test, .num = 1), NO_MEM_TABLE);
	EXPECT_RESULT(test, fx_attach(f->v, .fd = 2, .vsid = VSID_UNKNOWN), NO_MEM_TABLE);
	EXPECT_RESULT(test, fx_attach(f->v, .fd = 2, .vsid = VSID_UNKNOWN, .flags = DRY_RUN),
		      NO_MEM_TABLE);
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID, VSID_NEXT }, { VSID_NEXT, VSID }),
		      NO_MEM_TABLE);
	f->regs.strtab_base += 0x1000;
	EXPECT_RESULT(test, fx_set_regs(test), NO_MEM_TABLE);
	KUNIT_EXPECT_MEMEQ(test, &f->v->table.regs, &regs, sizeof(regs));
	/* INVALIDATE reads no queue, but its commands may name STEs. */
	EXPECT_RESULT(test, fx_invalidate(test, f->v, cmds, 3), .done = 1, NO_MEM_TABLE);
	EXPECT_UNCHANGED(test, before);
	fx_expect_s1(test, f->v, VSID, 1);
	f->regs.strtab_base -= 0x1000;
	fx_set_whole_mem(test);
	EXPECT_RESULT(test, RUN_BAD(test, MAX_BAD, cfgi_all()), .done = 1, .flags = RUN(BAD_STE),
		      .bad_num = BADS);
}

/* Nothing fails that reads no STE. */
static void memory_may_be_unknown(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cmd cmds[] = { tlbi_va(1), cfgi_all(), sync() };

	start_without_memory(test);
	EXPECT_DONE(test, fx_invalidate(test, f->v, cmds, 1), 1);
	EXPECT_OK(test, fx_reset(f->v));
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID_NEXT }, { VSID_NEXT, VSID }));
	f->regs.cr0 = CR0_CMDQEN;
	fx_must_set_regs(test);
	fx_must_attach(test, f->v, .fd = 2, .vsid = VSID_UNKNOWN);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID_UNKNOWN)->ste.kind, KIND(BYPASS));
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID_UNKNOWN, UNSET(0) }));
	EXPECT_DONE(test, fx_invalidate(test, f->v, cmds, 3), 3);
	/* The queue is in memory, so that needs the table. */
	EXPECT_RESULT(test, fx_run(test, .num = 0), NO_MEM_TABLE);
}

/* A table without regions is a table: there is no memory. */
static void no_region_is_known_memory(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_without_memory(test);
	fx_set_mem(test, &(const struct smmuv3_accel_mem_region){}, 0);
	EXPECT_RESULT(test, fx_run(test, .num = 1), .error = CERROR(ABT),
		      .reason = REASON(CMD_UNREADABLE));
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID_NEXT }, { VSID_NEXT, VSID }));
	fx_expect_aborts(test, f->v, VSID, REASON(STE_UNREADABLE));
}

static struct kunit_case bad_ste_cases[] = {
	KUNIT_CASE(as_many_as_there_is_room_for),
	KUNIT_CASE(in_the_order_of_commands),
	KUNIT_CASE(told_up_to_a_failure),
	KUNIT_CASE(unwritable_list),
	KUNIT_CASE(unwritable_at_its_end),
	KUNIT_CASE(failed_command_reports_nothing),
	KUNIT_CASE(unwritable_feed_reports_nothing),
	KUNIT_CASE(reported_for_commands_alone),
	KUNIT_CASE_PARAM(level2_table_may_be_missing, l1_gen_params),
	KUNIT_CASE(disabled_stream_is_not_bad),
	KUNIT_CASE(nothing_read_from_unknown_memory),
	KUNIT_CASE(memory_may_be_unknown),
	KUNIT_CASE(no_region_is_known_memory),
	{}
};

static struct kunit_suite bad_ste_suite = {
	.name = "smmuv3-accel-bad-ste",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = bad_ste_cases,
};

kunit_test_suites(&bad_ste_suite);
