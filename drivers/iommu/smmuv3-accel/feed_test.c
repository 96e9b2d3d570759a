// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the feed: it has the commands that are done and concern emulated
 * endpoints. Commands that cannot be written to the feed do not count as done.
 */
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "fixture.h"

static void attach_endpoint(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_must_attach(test, f->v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = FEED);
}

static bool concerns_endpoint(const struct cmd *c)
{
	switch (opcode_of(c)) {
	case CMD_TLBI_NH_ALL:
	case CMD_TLBI_NH_ASID:
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
	case CMD_TLBI_NSNH_ALL:
	case CMD_CFGI_STE_RANGE:
		return true;
	case CMD_CFGI_STE:
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
	case CMD_ATC_INV:
		return FIELD_GET(CMD_0_SID, le64_to_cpu(c->w[0])) == VSID_HOSTLESS;
	default:
		return false;
	}
}

/* Expect a feed of those commands that are done and concern the endpoint. */
static void expect_fed(struct kunit *test, struct result r, u32 room)
{
	struct fixture *f = test->priv;
	struct cmd *fed = f->seen, *end = fed;
	u32 i, num = 0;

	KUNIT_ASSERT_EQ(test, copy_from_user(fed, f->array, MAX_RUN * CMD_LEN), 0);
	for (i = 0; i < r.done; i++) {
		if (!concerns_endpoint(&f->cmds[i]))
			continue;
		if (num++ < room)
			KUNIT_ASSERT_MEMEQ(test, end++, &f->cmds[i], CMD_LEN);
	}
	KUNIT_EXPECT_EQ(test, !!(r.flags & RUN(FEED_OVERFLOW)), num > room);
	KUNIT_ASSERT_EQ(test, r.feed_num, min(num, room));
	/* Nothing is written after it. */
	KUNIT_ASSERT_NULL(test, memchr_inv(end, 0, (fed + MAX_RUN - end) * CMD_LEN));
}

/* Run f->cmds[], with room for @room commands in the feed. */
static struct result run_fed(struct kunit *test, u32 cons, u32 num, u32 room)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, clear_user(f->array, ARRAY_LEN), 0);
	return fx_run(test, .cons = cons, .cmds = f->cmds, .num = num, .feed = f->array,
		      .feed_room = room);
}

static struct cmd random_cmd(struct fixture *f)
{
	static const u32 sids[] = {
		VSID, VSID_OTHER, VSID_HOSTLESS, VSID_HOSTLESS, VSID_UNKNOWN,
	};
	u32 sid = sids[dice(f, ARRAY_SIZE(sids))];

	switch (dice(f, IS_ENABLED(CONFIG_PCI_ATS) ? 16 : 14)) {
	case 0:
		return tlbi_all();
	case 1:
		return cmd(CMD_TLBI_NSNH_ALL, 0);
	case 2:
		return cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, 7), 0);
	case 3:
		return cmd(CMD_TLBI_NH_VAA, dice(f, 8) << 12);
	case 4:
		return cfgi_ste(sid);
	case 5:
		return cfgi_range(sid, dice(f, 2) ? CFGI_RANGE_ALL : dice(f, 8));
	case 6:
		return cfgi_cd(sid, dice(f, 4));
	case 7:
		return cfgi_cd_all(sid);
	case 8:
		return sync();
	case 9:
		return prefetch_addr(sid);
	case 14 ... 15:
		return atc_inv(sid, dice(f, 4));
	default:
		return tlbi_va(dice(f, 8));
	}
}

/*
 * f->cmds[] is many TLBIs or a mix of commands, in a fifth of the rounds with a bad one.
 */
static u32 make_random_cmds(struct fixture *f, u32 round)
{
	/* A CFGI that reads many STEs is rare, because the mock's log is short. */
	bool plain = round % 50 == 0;
	u32 i, num = plain ? MAX_RUN : 1 + dice(f, 40);

	for (i = 0; i < num; i++)
		f->cmds[i] = plain ? tlbi_va(dice(f, 4)) : random_cmd(f);
	if (!(round % 5))
		f->cmds[dice(f, num)] = bad_cmd(round);
	return num;
}

/* Random commands; the room is near to the needed room, or none. */
static void endpoint_sees_what_is_done(struct kunit *test)
{
	u32 round, num, i, need, room, errors = 0;
	struct fixture *f = test->priv;
	struct result r;

	fx_put_ste(test, VSID_HOSTLESS, STE_S1_AT(1), 0);
	fx_start(test, .ste = { STE_BYPASS }, .log2size = 13);
	attach_endpoint(test);
	for (round = 0; round < 200; round++) {
		num = make_random_cmds(f, round);
		r = run_fed(test, dice(f, 1 << 14), num, MAX_RUN);
		KUNIT_EXPECT_EQ(test, r.rc, 0);
		KUNIT_EXPECT_EQ(test, r.error == CERROR(ILL), r.done < num);
		errors += r.done < num;
		expect_fed(test, r, MAX_RUN);

		need = r.feed_num;
		for (i = 0; i < 4; i++) {
			room = i ? need + i - 2 : 0;
			if (room <= MAX_RUN)
				expect_fed(test, run_fed(test, 3, num, room), room);
		}
	}
	KUNIT_EXPECT_GT(test, errors, 10);
}

static void nobody_to_be_fed(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	f->cmds[0] = tlbi_va(1);
	EXPECT_DONE(test, run_fed(test, 0, 1, MAX_RUN), 1);
	attach_endpoint(test);
	EXPECT_RESULT(test, run_fed(test, 0, 1, MAX_RUN), .done = 1, .feed_num = 1);
	fx_must_detach(test, f->v, VSID_HOSTLESS);
	EXPECT_DONE(test, run_fed(test, 0, 1, MAX_RUN), 1);
}

/* If the host fails, the feed has only the commands that are done. */
static void fed_up_to_a_host_error(struct kunit *test)
{
	const struct cmd cmds[] = {
		tlbi_va(1), cfgi_ste(VSID), tlbi_va(2), cfgi_cd(VSID_HOSTLESS, 0), sync(),
		tlbi_va(3), sync_irq(),
	};
	struct fixture *f = test->priv;
	struct result r;
	u32 at;

	fx_put_ste(test, VSID_HOSTLESS, STE_S1_AT(1), 0);
	fx_start(test);
	attach_endpoint(test);
	memcpy(f->cmds, cmds, sizeof(cmds));
	for (at = 1;; at++) {
		mock_fail(f->mock, MOCK_INVALIDATE, at, 2, -ENOMEM);
		r = run_fed(test, 12, ARRAY_SIZE(cmds), MAX_RUN);
		expect_fed(test, r, MAX_RUN);
		if (!mock_fail_stop(f->mock))
			break;
		KUNIT_EXPECT_EQ(test, r.rc, -ENOMEM);
		KUNIT_EXPECT_LT(test, r.done, 3);
	}
	KUNIT_EXPECT_EQ(test, r.rc, 0);
	KUNIT_EXPECT_EQ(test, r.done, ARRAY_SIZE(cmds));
	/* Two segments on two SMMUs, and a flush of CDs between them */
	KUNIT_EXPECT_EQ(test, at, 6);
}

/* If a device does not answer, the feed ends at the CMD_SYNC that reports it. */
static void fed_up_to_a_timeout(struct kunit *test)
{
	const struct cmd cmds[] = {
		tlbi_va(1), cfgi_ste(VSID), tlbi_va(2), atc_inv(VSID, 1), sync(), tlbi_va(3),
		sync_irq(),
	};
	struct fixture *f = test->priv;
	struct result r;

	need_ats(test);
	fx_start(test);
	attach_endpoint(test);
	memcpy(f->cmds, cmds, sizeof(cmds));
	mock_fail(f->mock, MOCK_INVALIDATE, 6, 1, -ETIMEDOUT);
	r = run_fed(test, 12, ARRAY_SIZE(cmds), MAX_RUN);
	EXPECT_RESULT(test, r, .done = 4, .error = CERROR(ATC_INV_SYNC),
		      .reason = REASON(ATC_TIMEOUT), .feed_num = 2);
	expect_fed(test, r, MAX_RUN);
}

#define UNMAPPED	((void __user *)16)

/* If there is nothing to write or no room, the feed's address is not used. */
static void unwritable_but_unused(struct kunit *test)
{
	fx_start(test);
	attach_endpoint(test);
	EXPECT_DONE(test, RUN_CMDS(test, sync(), cfgi_cd_all(VSID)), 2);
	PUT_CMDS(test, tlbi_va(1), sync_irq(), bad_cmd(1));
	EXPECT_RESULT(test, fx_run(test, .cons = 1, .num = 1, .feed = UNMAPPED, .feed_room = 9),
		      .done = 1, .flags = RUN(SYNC_IRQ));
	EXPECT_RESULT(test, fx_run(test, .num = 3, .feed = UNMAPPED, .feed_room = 0),
		      .done = 2, .error = CERROR(ILL), .reason = REASON(CMD_OPCODE),
		      .flags = RUN(SYNC_IRQ) | RUN(FEED_OVERFLOW));
}

/* If the feed cannot be written, neither commands nor their errors count. */
static void unwritable_counts_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_accel_stats *stats = &f->v->stats;
	u64 cmds;

	fx_start(test);
	attach_endpoint(test);
	EXPECT_DONE(test, RUN_CMDS(test, sync(), cfgi_cd_all(VSID)), 2);
	PUT_CMDS(test, tlbi_va(1), sync_irq(), bad_cmd(1));
	cmds = stats->out_cmds;
	EXPECT_RESULT(test, fx_run(test, .num = 2, .feed = UNMAPPED, .feed_room = 9),
		      .rc = -EFAULT, .reason = REASON(BAD_POINTER));
	EXPECT_RESULT(test, fx_run(test, .num = 3, .feed = UNMAPPED, .feed_room = 9),
		      .rc = -EFAULT, .reason = REASON(BAD_POINTER));
	KUNIT_EXPECT_EQ(test, stats->out_cmds, cmds);
	KUNIT_EXPECT_EQ(test, stats->out_cmd_errors, 0);
}

/* The feed of the first batch can be written, that of the second cannot. */
static void unwritable_after_a_batch(struct kunit *test)
{
	const u32 num = SMMUV3_HOST_MAX_BATCH + 9;
	struct fixture *f = test->priv;
	u32 i;

	fx_start(test, .log2size = 13);
	attach_endpoint(test);
	for (i = 0; i < num; i++)
		f->cmds[i] = i == 5 ? sync_irq() : tlbi_va(i);
	EXPECT_RESULT(test, fx_run(test, .cmds = f->cmds, .num = num, .feed_room = MAX_RUN,
				   .feed = f->umem_end - (SMMUV3_HOST_MAX_BATCH - 1) * CMD_LEN),
		      .rc = -EFAULT, .done = SMMUV3_HOST_MAX_BATCH,
		      .reason = REASON(BAD_POINTER), .flags = RUN(SYNC_IRQ),
		      .feed_num = SMMUV3_HOST_MAX_BATCH - 1);
}

/* The run does not name the refused stream either. */
static void unwritable_hides_refused_stream(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	attach_endpoint(test);
	mock_vmm_destroy(f->mock, stream_of(f->v, VSID)->vdevice_id);
	PUT_CMDS(test, tlbi_va(1), cfgi_cd(VSID, 1), sync());
	EXPECT_RESULT(test, fx_run(test, .num = 3, .feed = UNMAPPED, .feed_room = 9),
		      .rc = -EFAULT, .reason = REASON(BAD_POINTER));
	EXPECT_RESULT(test, fx_run(test, .num = 3, .feed = f->array, .feed_room = 9),
		      .rc = -EIO, .done = 1, .reason = REASON(HOST_REJECT), .vsid = VSID,
		      .feed_num = 1);
}

/* A CMD_SYNC reports a failed ATC_INV as soon as the feed can be written. */
static void unwritable_keeps_timeout(struct kunit *test)
{
	struct fixture *f = test->priv;

	need_ats(test);
	fx_start(test);
	attach_endpoint(test);
	PUT_CMDS(test, tlbi_va(1), atc_inv(VSID, 1), sync());
	/* After the TLBI on both SMMUs */
	mock_fail(f->mock, MOCK_INVALIDATE, 3, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, fx_run(test, .num = 3, .feed = UNMAPPED, .feed_room = 9),
		      .rc = -EFAULT, .reason = REASON(BAD_POINTER));
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 1);
	EXPECT_RESULT(test, fx_run(test, .num = 3, .feed = f->array, .feed_room = 9),
		      .done = 2, .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT),
		      .feed_num = 1);
}

static struct kunit_case feed_cases[] = {
	KUNIT_CASE(endpoint_sees_what_is_done),
	KUNIT_CASE(nobody_to_be_fed),
	KUNIT_CASE(fed_up_to_a_host_error),
	KUNIT_CASE(fed_up_to_a_timeout),
	KUNIT_CASE(unwritable_but_unused),
	KUNIT_CASE(unwritable_counts_nothing),
	KUNIT_CASE(unwritable_after_a_batch),
	KUNIT_CASE(unwritable_hides_refused_stream),
	KUNIT_CASE(unwritable_keeps_timeout),
	{}
};

static struct kunit_suite feed_suite = {
	.name = "smmuv3-accel-feed",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = feed_cases,
};

kunit_test_suites(&feed_suite);
