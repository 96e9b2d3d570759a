// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of SET_REGS and RESET: registers take effect on all streams, and a
 * stream that cannot be configured aborts.
 */
#include "fixture.h"

static void expect_all_s1(struct kunit *test, u64 page)
{
	struct fixture *f = test->priv;
	int i;

	for (i = 0; i < STREAMS; i++)
		fx_expect_s1(test, f->v, fx_streams[i].vsid, page);
}

/* Of CR0 and GBPA, only SMMUEN and ABORT affect streams. */
static void smmuen_and_abort_decide(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i, n;

	fx_attach_all(test);
	fx_put_all_stes(test, STE_S1_AT(1), 0);
	for (n = 0; n < 64; n++) {
		bool on = n ? dice(f, 2) : false, abort = dice(f, 2);
		u32 kind = on ? KIND(S1) : abort ? KIND(ABORT) : KIND(BYPASS);

		f->regs.cr0 = (on ? CR0_SMMUEN : 0) | (dice(f, 2) ? CR0_CMDQEN : 0);
		f->regs.gbpa = (abort ? GBPA_ABORT : 0) | dice(f, 0x1000);
		fx_must_set_regs(test);
		for (i = 0; i < STREAMS; i++) {
			struct smmuv3_ste *ste = &stream_of(f->v, fx_streams[i].vsid)->ste;

			KUNIT_ASSERT_EQ(test, ste->kind, kind);
			KUNIT_ASSERT_EQ(test, ste->reason, kind == KIND(ABORT) ?
					REASON(GBPA_ABORT) : REASON(NONE));
		}
		f->mock->log_num = 0;
		f->regs.cmdq_base ^= 1;
		f->regs.cr0 ^= CR0_CMDQEN;
		f->regs.gbpa ^= on ? GBPA_ABORT : 1;
		if (!on)
			f->regs.strtab_base ^= 0x1000;
		fx_must_set_regs(test);
		KUNIT_ASSERT_EQ(test, f->mock->log_num, 0);
		f->regs.strtab_base = TABLE_GPA;
	}
}

/* If the STEs are the same, one host call flushes the CDs of all streams of an SMMU. */
static void table_elsewhere_is_another(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	fx_start(test);
	f->regs.strtab_base_cfg++;
	fx_must_set_regs(test);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, MOCK_SMMUS);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID), cfgi_cd_all(VSID_NEXT));
	EXPECT_BATCH(test, 1, 1, cfgi_cd_all(VSID_OTHER), cfgi_cd_all(VSID_LAST));
	f->regs.strtab_base += 0x8000;
	EXPECT_OK(test, fx_set_regs(test));
	for (i = 0; i < STREAMS; i++)
		fx_expect_aborts(test, f->v, fx_streams[i].vsid, REASON(STE_UNREADABLE));
}

/* Each stream in turn fails. The same registers again configure it. */
static void stream_that_cannot_switch_aborts(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 at, i, vsid, kind;

	fx_start(test);
	for (at = 0; at < STREAMS; at++) {
		f->regs.cr0 ^= CR0_SMMUEN;
		kind = f->regs.cr0 & CR0_SMMUEN ? KIND(S1) : KIND(BYPASS);
		mock_fail(f->mock, MOCK_ATTACH, at + 1, 1, -EBUSY);
		EXPECT_RESULT(test, fx_set_regs(test), .rc = -EBUSY, .reason = REASON(RETRY),
			      .vsid = fx_streams[at].vsid);
		KUNIT_EXPECT_MEMEQ(test, &f->v->table.regs, &f->regs, sizeof(f->regs));
		for (i = 0; i < STREAMS; i++) {
			vsid = fx_streams[i].vsid;
			if (i == at)
				fx_expect_aborts(test, f->v, vsid, REASON(RETRY));
			else
				KUNIT_EXPECT_EQ(test, stream_of(f->v, vsid)->ste.kind, kind);
		}
		fx_must_set_regs(test);
		for (i = 0; i < STREAMS; i++)
			KUNIT_EXPECT_EQ(test, stream_of(f->v, fx_streams[i].vsid)->ste.kind, kind);
	}
}

static const struct regs_error {
	const char *name;
	enum mock_op op;
	int rc;
	u32 reason;
	u32 num;	/* how many streams fail */
} regs_errors[] = {
	{ "no memory for a domain", MOCK_ALLOC + MOCK_NESTED, -ENOMEM, REASON(RETRY), 1 },
	{ "no memory for two domains", MOCK_ALLOC + MOCK_NESTED, -ENOMEM, REASON(RETRY), 2 },
	{ "domain refused", MOCK_ALLOC + MOCK_NESTED, -EINVAL, REASON(HOST_REJECT), 1 },
	{ "two domains refused", MOCK_ALLOC + MOCK_NESTED, -EINVAL, REASON(HOST_REJECT), 2 },
	/* Only one: a second failure in a row would be that of the abort domain. */
	{ "device in reset", MOCK_ATTACH, -EBUSY, REASON(RETRY), 1 },
	{ "device without power", MOCK_ATTACH, -ENODEV, REASON(NO_POWER), 1 },
};

KUNIT_ARRAY_PARAM_DESC(regs_error, regs_errors, name);

/* Change the table, and also registers that do not affect streams. */
static void change_regs(struct kunit *test, u64 page)
{
	struct fixture *f = test->priv;

	fx_put_all_stes(test, STE_S1_AT(page), 0);
	f->regs.strtab_base_cfg ^= 1;
	f->log2size ^= 1;
	f->regs.cmdq_base ^= 1;
}

/* Each stream in turn fails, and does not keep its STE from the old table. */
static void stream_that_cannot_take_table_aborts(struct kunit *test)
{
	const struct regs_error *c = test->param_value;
	struct fixture *f = test->priv;
	struct cmd tlbi = tlbi_va(1);
	u32 n, first, vsid;

	fx_start(test);
	for (first = 0; first + c->num <= STREAMS; first++) {
		change_regs(test, 2 + first);
		mock_fail(f->mock, c->op, first + 1, c->num, c->rc);
		EXPECT_RESULT(test, fx_set_regs(test), .rc = c->rc, .reason = c->reason,
			      .vsid = fx_streams[first].vsid);
		for (n = 0; n < STREAMS; n++) {
			vsid = fx_streams[n].vsid;
			if (n >= first && n < first + c->num)
				fx_expect_aborts(test, f->v, vsid, c->reason);
			else
				fx_expect_s1(test, f->v, vsid, 2 + first);
		}
		/* Registers that do not affect streams are in force as well. */
		KUNIT_EXPECT_MEMEQ(test, &f->v->table.regs, &f->regs, sizeof(f->regs));
		EXPECT_DONE(test, fx_run(test, .cons = (1U << f->log2size) - 1, .cmds = &tlbi,
					 .num = 1), 1);
		/* The same registers again */
		fx_must_set_regs(test);
		expect_all_s1(test, 2 + first);
		f->mock->log_num = 0;
		fx_must_set_regs(test);
		KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	}
}

/* A stream that aborts has a reason, even if the host's errno has none. */
static void abort_has_a_reason(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	change_regs(test, 2);
	mock_fail(f->mock, MOCK_ALLOC + MOCK_NESTED, 1, 1, -ENOSPC);
	EXPECT_RESULT(test, fx_set_regs(test), .rc = -ENOSPC, .vsid = VSID);
	fx_expect_aborts(test, f->v, VSID, REASON(HOST_REJECT));
	fx_must_set_regs(test);
	expect_all_s1(test, 2);
}

/* The stream's next STE ends the abort. */
static void next_ste_makes_up(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	change_regs(test, 2);
	mock_fail(f->mock, MOCK_ATTACH, 1, 1, -EBUSY);
	EXPECT_RESULT(test, fx_set_regs(test), .rc = -EBUSY, .reason = REASON(RETRY),
		      .vsid = VSID);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	expect_all_s1(test, 2);
}

/* If a stream's domain cannot be attached, its DMA is blocked without one. */
static void reset_aborts_whatever_fails(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 at, i, vsid;

	fx_start(test);
	for (at = 0; at < STREAMS; at++) {
		mock_fail(f->mock, MOCK_ATTACH, at + 1, 1, -EBUSY);
		EXPECT_OK(test, fx_reset(f->v));
		KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 1);
		for (i = 0; i < STREAMS; i++) {
			vsid = fx_streams[i].vsid;
			fx_expect_aborts(test, f->v, vsid, REASON(NO_STE));
			KUNIT_EXPECT_EQ(test, !stream_of(f->v, vsid)->hwpt_id, i == at);
		}
		fx_must_set_regs(test);
		expect_all_s1(test, 1);
	}
}

static const struct reset_case {
	const char *name;
	int rc;
	u32 reason;
} reset_cases[] = {
	{ "a flush that succeeds" },
	{ "a flush that fails", -ENOMEM, REASON(RETRY) },
};

KUNIT_ARRAY_PARAM_DESC(reset, reset_cases, name);

/* RESET aborts all streams, flushes the TLBs and forgets the guest's registers. */
static void reset_forgets_registers(struct kunit *test)
{
	const struct reset_case *c = test->param_value;
	struct fixture *f = test->priv;
	struct cmd flush = tlbi_all();
	u32 i;

	fx_start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, c->rc ? 2 : 0, c->rc);
	EXPECT_RESULT(test, fx_reset(f->v), .rc = c->rc, .reason = c->reason);
	mock_fail_stop(f->mock);
	for (i = 0; i < STREAMS; i++)
		fx_expect_aborts(test, f->v, fx_streams[i].vsid, REASON(NO_STE));
	if (!c->rc)
		fx_expect_both_given(test, &flush, 1);
	EXPECT_RESULT(test, fx_run(test, .num = 1), .rc = -ENXIO, .reason = REASON(NO_REGS));
	fx_must_set_regs(test);
	expect_all_s1(test, 1);
}

static struct kunit_case regs_cases[] = {
	KUNIT_CASE(smmuen_and_abort_decide),
	KUNIT_CASE(table_elsewhere_is_another),
	KUNIT_CASE(stream_that_cannot_switch_aborts),
	KUNIT_CASE_PARAM(stream_that_cannot_take_table_aborts, regs_error_gen_params),
	KUNIT_CASE(abort_has_a_reason),
	KUNIT_CASE(next_ste_makes_up),
	KUNIT_CASE(reset_aborts_whatever_fails),
	KUNIT_CASE_PARAM(reset_forgets_registers, reset_gen_params),
	{}
};

static struct kunit_suite regs_suite = {
	.name = "smmuv3-accel-regs",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = regs_cases,
};

kunit_test_suites(&regs_suite);
