// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the filtered fan-out: host calls that fail, and streams and processes
 * that come and go.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "filter.h"
#include "fixture.h"

#define FIRST_ASID	16	/* of those that a test gives to the first stream */
#define OTHER_ASID	3	/* the other streams have it */
#define VSID_FIRST	0x01	/* before all other StreamIDs */
#define SPARE_TABLE	STREAMS	/* of no stream at first */

static u64 table_gpa(u32 table)
{
	return RING_GPA + CD_AREA + table * SZ_4K;
}

static u64 ste_at(u32 table)
{
	return STE_S1_AT(table_gpa(table) >> 12);
}

static void put_cd(struct kunit *test, u32 table, u32 cd, u16 asid)
{
	fx_put_cd(test, table_gpa(table) + cd * 64, asid);
}

static void put_asid(struct kunit *test, u32 table, u16 asid)
{
	put_cd(test, table, 0, asid);
}

static struct cmd tlbi_of(u16 asid)
{
	return cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, asid), 0);
}

/* A vSMMU, and a CD table with one CD for each stream. No stream is attached. */
static void open_machine(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 s;

	fx_open_table_with(test, &(const struct open_options){ .filter = true });
	for (s = 0; s < STREAMS; s++) {
		put_asid(test, s, OTHER_ASID);
		fx_put_ste(test, fx_streams[s].vsid, ste_at(s), 0);
	}
	KUNIT_ASSERT_TRUE(test, f->v->filter);
}

static void start(struct kunit *test)
{
	struct fixture *f = test->priv;

	open_machine(test);
	fx_attach_all(test);
	fx_set_cmdq(test, 4);
	f->mock->log_num = 0;
}

/* Expect which SMMUs a TLBI goes to, and that nothing was pending before. */
static void expect_tlbi(struct kunit *test, u16 asid, bool to_first, bool to_other)
{
	struct fixture *f = test->priv;
	struct smmuv3_phys *phys;

	list_for_each_entry(phys, &f->v->phys, node)
		KUNIT_EXPECT_TRUE(test, smmuv3_asids_are_flushed(&phys->asids));
	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, sync()), 1);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(asid), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, to_first + to_other);
	if (to_first)
		EXPECT_GIVEN(test, 0, tlbi_of(asid));
	if (to_other)
		EXPECT_GIVEN(test, 1, tlbi_of(asid));
}

/* Calls that bring an ASID to the first SMMU. Each returns an errno. */

static int run_one(struct kunit *test, struct cmd c)
{
	const struct result r = RUN_CMDS(test, c, sync());

	/*
	 * A command is done with all that belongs to it, or not at all. A run that is killed
	 * may end after a CFGI_STE.
	 */
	KUNIT_EXPECT_TRUE_MSG(test, r.rc ? r.done < 2 : r.done == 2 ||
			      (r.done && fatal_signal_pending(current)), "%d, %u done", r.rc,
			      r.done);
	KUNIT_EXPECT_EQ(test, r.error, 0);
	return r.rc;
}

static void new_cd(struct kunit *test, u16 asid)
{
	put_asid(test, 0, asid);
}

static int by_cfgi_cd(struct kunit *test)
{
	return run_one(test, cfgi_cd(VSID, 0));
}

static int by_cfgi_cd_all(struct kunit *test)
{
	return run_one(test, cfgi_cd_all(VSID));
}

static int by_array(struct kunit *test)
{
	const struct cmd cmds[] = { cfgi_cd(VSID, 0), sync() };
	struct fixture *f = test->priv;

	return fx_invalidate(test, f->v, cmds, ARRAY_SIZE(cmds)).rc;
}

static int by_cfgi_ste(struct kunit *test)
{
	return run_one(test, cfgi_ste(VSID));
}

static int by_cfgi_all(struct kunit *test)
{
	return run_one(test, cfgi_all());
}

/* Two tables take turns. */
static void new_table(struct kunit *test, u16 asid)
{
	u32 table = SPARE_TABLE + asid % 2;

	put_asid(test, table, asid);
	fx_put_ste(test, VSID, ste_at(table), 0);
}

static void smmuen_was_cleared(struct kunit *test, u16 asid)
{
	struct fixture *f = test->priv;

	f->regs.cr0 &= ~CR0_SMMUEN;
	fx_must_set_regs(test);
	f->regs.cr0 |= CR0_SMMUEN;
	put_asid(test, 0, asid);
}

static int by_set_regs(struct kunit *test)
{
	return fx_set_regs(test).rc;
}

static int by_set_vsids(struct kunit *test)
{
	struct fixture *f = test->priv;

	return SET_VSIDS(f->v, { VSID, VSID }).rc;
}

static void was_detached(struct kunit *test, u16 asid)
{
	struct fixture *f = test->priv;

	fx_must_detach(test, f->v, VSID);
	put_asid(test, 0, asid);
}

static int by_attach(struct kunit *test)
{
	struct fixture *f = test->priv;
	int rc = fx_attach(f->v, .fd = 0, .vsid = VSID).rc;

	KUNIT_EXPECT_EQ(test, !rc, !!stream_of(f->v, VSID));
	return rc;
}

static const struct new_case {
	const char *name;
	void (*prepare)(struct kunit *test, u16 asid);
	int (*call)(struct kunit *test);
} new_cases[] = {
	{ "CFGI_CD", new_cd, by_cfgi_cd },
	{ "CFGI_CD_ALL", new_cd, by_cfgi_cd_all },
	{ "INVALIDATE", new_cd, by_array },
	{ "CFGI_STE of the same STE", new_cd, by_cfgi_ste },
	{ "CFGI_STE of another STE", new_table, by_cfgi_ste },
	{ "CFGI_ALL", new_table, by_cfgi_all },
	{ "SET_REGS", smmuen_was_cleared, by_set_regs },
	{ "SET_VSIDS", new_cd, by_set_vsids },
	{ "ATTACH", was_detached, by_attach },
};

KUNIT_ARRAY_PARAM_DESC(new, new_cases, name);

static bool is_flush_of(u64 w0, u16 asid)
{
	return FIELD_GET(CMD_0_OP, w0) == CMD_TLBI_NH_ALL ||
	       (FIELD_GET(CMD_0_OP, w0) == CMD_TLBI_NH_ASID &&
		FIELD_GET(TLBI_0_ASID, w0) == asid);
}

/* What happened at the first SMMU since the guest stored a CD */
struct seen {
	bool cfgi;	/* it has no older CD of the first stream any more */
	bool flushed;	/* after that, the entries of the new ASID were flushed */
};

static void look_at_log(struct kunit *test, u16 asid, struct seen *seen)
{
	struct mock *mock = mock_of(test);
	u32 i, k;

	for (i = 0; i < mock->log_num; i++) {
		const struct mock_call *call = &mock->log[i];

		/* The host's own CFGI_STE */
		if (!call->rc && (call->op == MOCK_ATTACH || call->op == MOCK_DETACH))
			seen->cfgi = true;
		if (call->op != MOCK_INVALIDATE || call->rc || call->smmu)
			continue;
		for (k = 0; k < call->num; k++) {
			u64 w0 = le64_to_cpu(call->cmds[k][0]);

			if (is_flush_of(w0, asid))
				seen->flushed |= seen->cfgi;
			else if (FIELD_GET(CMD_0_SID, w0) == VSID)
				seen->cfgi = true;
		}
	}
	mock->log_num = 0;
}

/* Let a call fail at each host call in turn, once or more, until it does not reach it. */
static u32 fail_each(struct kunit *test, const struct new_case *c, u16 *asid, u32 num, int rc)
{
	struct fixture *f = test->priv;
	u32 at, failed = 1;
	struct seen seen;
	int got;

	for (at = 1; failed; at++) {
		c->prepare(test, ++*asid);
		f->mock->log_num = 0;
		mock_fail(f->mock, MOCK_ANY, at, num, rc);
		got = c->call(test);
		failed = mock_fail_stop(f->mock);
		seen = (struct seen){ .cfgi = c->prepare != new_cd && c->prepare != new_table };
		look_at_log(test, *asid, &seen);
		if (got) {
			KUNIT_EXPECT_TRUE(test, failed);
			KUNIT_ASSERT_EQ(test, c->call(test), 0);
			look_at_log(test, *asid, &seen);
		}
		KUNIT_EXPECT_TRUE_MSG(test, seen.flushed, "host call %u of %u: %d: not flushed", at,
				      num, rc);
		expect_tlbi(test, *asid, true, false);
	}
	return at - 2;
}

/*
 * An ASID that is new to an SMMU is flushed there though a host call fails: the call
 * fails, or the next one does it again.
 */
static void new_asid_is_flushed_in_the_end(struct kunit *test)
{
	static const struct {
		u32 num;
		int rc;
	} failures[] = {
		{ 1, -ENOMEM }, { 2, -ENOMEM }, { 1, -EINTR }, { 2, -EIO },
		{ 4, -EIO },
	};
	const struct new_case *c = test->param_value;
	struct fixture *f = test->priv;
	u16 asid = FIRST_ASID;
	u32 i;

	start(test);
	for (i = 0; i < ARRAY_SIZE(failures); i++)
		KUNIT_EXPECT_GT(test, fail_each(test, c, &asid, failures[i].num,
						failures[i].rc), 0);
	/* A set that had become that of all ASIDs would hide what is tested. */
	KUNIT_EXPECT_FALSE(test, stream_of(f->v, VSID)->phys->asids.all);
}

/* Set whether a SIGKILL is pending. Nobody else sends a signal to a test's thread. */
static void set_killed(bool killed)
{
	if (killed)
		sigaddset(&current->pending.signal, SIGKILL);
	else
		sigdelset(&current->pending.signal, SIGKILL);
	update_thread_flag(TIF_SIGPENDING, killed);
}

static u32 kill_in;	/* at which invalidation */

static void maybe_kill(struct kunit *test, u32 parent)
{
	if (--kill_in)
		mock_meanwhile(mock_of(test), MOCK_INVALIDATE, maybe_kill);
	else
		set_killed(true);
}

/*
 * A caller is killed before the call, or at each invalidation in turn. It does not flush
 * any more: the next call does.
 */
static void new_asid_is_flushed_after_a_kill(struct kunit *test)
{
	const struct new_case *c = test->param_value;
	struct fixture *f = test->priv;
	u16 asid = FIRST_ASID;
	struct seen seen;
	bool killed;
	u32 at;
	int rc;

	start(test);
	for (at = 0, killed = true; killed; at++) {
		c->prepare(test, ++asid);
		f->mock->log_num = 0;
		kill_in = at;
		if (at)
			mock_meanwhile(f->mock, MOCK_INVALIDATE, maybe_kill);
		else
			set_killed(true);
		rc = c->call(test);
		killed = !kill_in;
		f->mock->meanwhile = NULL;
		set_killed(false);
		seen = (struct seen){ .cfgi = c->prepare != new_cd && c->prepare != new_table };
		look_at_log(test, asid, &seen);
		KUNIT_EXPECT_EQ_MSG(test, rc, seen.flushed ? 0 : -EINTR, "invalidation %u", at);
		if (rc) {
			KUNIT_ASSERT_EQ(test, c->call(test), 0);
			look_at_log(test, asid, &seen);
		}
		KUNIT_EXPECT_TRUE_MSG(test, seen.flushed, "invalidation %u: not flushed", at);
		expect_tlbi(test, asid, true, false);
	}
	KUNIT_EXPECT_GT(test, at, 2);
	KUNIT_EXPECT_FALSE(test, stream_of(f->v, VSID)->phys->asids.all);
}

/* The flush of all ASIDs stays pending in the same way. */
static void all_is_flushed_in_the_end(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	fx_take_cds_away(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 2, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, by_cfgi_cd(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	f->mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, by_cfgi_cd(test), 0);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0), tlbi_all());
	fx_set_whole_mem(test);
	expect_tlbi(test, FIRST_ASID, true, false);
}

/* An SMMU that fails to flush does not keep the other one from its flush. */
static void other_smmu_is_flushed(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 0, FIRST_ASID);
	put_asid(test, 2, FIRST_ASID);
	/* Two CFGIs, then two attempts of the first flush */
	mock_fail(f->mock, MOCK_INVALIDATE, 3, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, RUN_CMDS(test, cfgi_cd(VSID, 0), cfgi_cd(VSID_OTHER, 0),
				       sync()).rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	EXPECT_GIVEN(test, 1, cfgi_cd(VSID_OTHER, 0), tlbi_of(FIRST_ASID));
	f->mock->log_num = 0;
	EXPECT_DONE(test, fx_run(test, .num = 3), 3);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0), tlbi_of(FIRST_ASID));
	EXPECT_GIVEN(test, 1, cfgi_cd(VSID_OTHER, 0));
}

/* Let the first host calls of a call fail. Expect how many host calls it makes. */
static void fail_first(struct kunit *test, int (*call)(struct kunit *test), u32 num, int fail_rc,
		       u32 calls, int rc)
{
	struct fixture *f = test->priv;

	f->mock->log_num = 0;
	mock_fail(f->mock, MOCK_INVALIDATE, 1, num, fail_rc);
	KUNIT_EXPECT_EQ(test, call(test), rc);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), num);
	KUNIT_EXPECT_EQ_MSG(test, f->mock->log_num, calls, "%d", fail_rc);
	f->mock->log_num = 0;
}

/* A TLBI that the first SMMU does not need */
static int by_tlbi(struct kunit *test)
{
	return run_one(test, tlbi_of(FIRST_ASID - 1));
}

/*
 * A flush while a CD is stale does not count, because the CD brings entries back. The
 * next runs invalidate the stream's CDs first. A run waits for no second time-out.
 */
static void flush_counts_after_the_cfgi(struct kunit *test)
{
	static const struct {
		int rc;
		u32 num;
		bool refused;	/* then the run goes on, with the flush */
	} failures[] = { { -ENOMEM, 2 }, { -ETIMEDOUT, 1 }, { -EIO, 4, true } };
	struct fixture *f = test->priv;
	u16 asid = FIRST_ASID;
	u32 i;

	start(test);
	for (i = 0; i < ARRAY_SIZE(failures); i++, asid++) {
		const u32 num = failures[i].num, calls = num + failures[i].refused;
		const int rc = failures[i].rc;

		put_asid(test, 0, asid);
		fail_first(test, by_cfgi_cd, num, rc, calls, rc);
		fail_first(test, by_tlbi, num, rc, calls, failures[i].refused ? 0 : rc);
		fail_first(test, by_cfgi_cd, num, rc, calls, rc);
		KUNIT_EXPECT_EQ(test, by_cfgi_cd(test), 0);
		EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0), cfgi_cd_all(VSID), tlbi_of(asid));
		expect_tlbi(test, asid, true, false);

		/* The same without the guest's command again */
		put_asid(test, 0, ++asid);
		fail_first(test, by_cfgi_cd, num, rc, calls, rc);
		KUNIT_EXPECT_EQ(test, by_tlbi(test), 0);
		EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID), tlbi_of(asid));
		expect_tlbi(test, asid, true, false);
		KUNIT_EXPECT_TRUE(test, list_empty(&f->v->stale_cds));
	}
}

/*
 * The host fails for one of several CDs. A CFGI_CD of another one does not make up for it,
 * and after all CDs were invalidated, the flush does not come again.
 */
static void cfgi_of_one_cd_is_not_enough(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 all;

	for (all = 0; all < 2; all++) {
		start(test);
		put_cd(test, 0, 1, OTHER_ASID);
		fx_put_ste(test, VSID, ste_at(0) | FIELD_PREP(STE_0_S1CDMAX, 1), 0);
		KUNIT_ASSERT_EQ(test, by_cfgi_ste(test), 0);
		put_asid(test, 0, FIRST_ASID);
		if (all)
			fx_take_cds_away(test);
		fail_first(test, by_cfgi_cd, 2, -ENOMEM, 2, -ENOMEM);
		EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1), sync()), 2);
		EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 1), cfgi_cd_all(VSID),
			     all ? tlbi_all() : tlbi_of(FIRST_ASID));
		fx_set_whole_mem(test);
		expect_tlbi(test, FIRST_ASID, true, false);
		fx_close(f->v);
	}
}

/* The CFGI_CDs of two streams go to the host one by one. One of them is refused. */
static void refused_stream_is_stale(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 0, FIRST_ASID);
	put_asid(test, 1, FIRST_ASID);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 4, -EIO);
	KUNIT_EXPECT_EQ(test, RUN_CMDS(test, cfgi_cd(VSID, 0), cfgi_cd(VSID_NEXT, 0),
				       sync()).rc, -EIO);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 4);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID_NEXT, 0), tlbi_of(FIRST_ASID));
	f->mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, by_tlbi(test), 0);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID), tlbi_of(FIRST_ASID));
	expect_tlbi(test, FIRST_ASID, true, false);
}

/* Stale CDs on one SMMU concern no CFGI_CD on the other one. */
static void stale_cds_concern_one_smmu(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 0, FIRST_ASID);
	put_asid(test, 2, FIRST_ASID);
	fail_first(test, by_cfgi_cd, 2, -ENOMEM, 2, -ENOMEM);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID_OTHER, 0), sync()), 2);
	EXPECT_GIVEN(test, 0);
	EXPECT_GIVEN(test, 1, cfgi_cd(VSID_OTHER, 0), tlbi_of(FIRST_ASID));
	f->mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, by_tlbi(test), 0);
	EXPECT_GIVEN(test, 0, cfgi_cd_all(VSID), tlbi_of(FIRST_ASID));
	EXPECT_GIVEN(test, 1);
	expect_tlbi(test, FIRST_ASID, true, true);
}

/* A caller that is killed leaves stale CDs to the next call. */
static void stale_cds_are_left_by_a_kill(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 0, FIRST_ASID);
	fail_first(test, by_cfgi_cd, 2, -ENOMEM, 2, -ENOMEM);
	kill_in = 1;
	mock_meanwhile(f->mock, MOCK_INVALIDATE, maybe_kill);
	KUNIT_EXPECT_EQ(test, by_cfgi_cd(test), -EINTR);
	set_killed(false);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0));
	f->mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, by_cfgi_cd(test), 0);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0), cfgi_cd_all(VSID), tlbi_of(FIRST_ASID));
	expect_tlbi(test, FIRST_ASID, true, false);
}

/* A flush that fails on one SMMU does not stop commands for the other one. */
static void broken_smmu_stops_no_other(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_phys *phys;

	start(test);
	phys = stream_of(f->v, VSID)->phys;
	put_asid(test, 0, FIRST_ASID);
	mock_fail(f->mock, MOCK_INVALIDATE, 2, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, by_cfgi_cd(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	KUNIT_EXPECT_FALSE(test, smmuv3_asids_are_flushed(&phys->asids));

	/* The command's own host call succeeds. */
	mock_fail(f->mock, MOCK_INVALIDATE, 2, MOCK_LOG, -ENOMEM);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID_OTHER), sync()), 2);
	mock_fail(f->mock, MOCK_INVALIDATE, 2, MOCK_LOG, -ENOMEM);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID_OTHER, 0), sync()), 2);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, MOCK_LOG, -ENOMEM);
	EXPECT_DONE(test, RUN_CMDS(test, sync()), 1);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID_OTHER, VSID_OTHER }));
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, UNSET(1) }));
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 0);

	/* SET_VSIDS fails for a stream that translates behind the SMMU. */
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID_OTHER, VSID_FIRST }, { UNSET(1), VSID }),
		      .rc = -EBUSY, .reason = REASON(RETRY), .vsid = VSID);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID_FIRST, VSID_OTHER }));

	/* One that concerns the SMMU fails for one of its streams in the range. */
	mock_fail(f->mock, MOCK_INVALIDATE, 3, MOCK_LOG, -ENOMEM);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all(), sync()), .rc = -ENOMEM,
		      .reason = REASON(RETRY), .vsid = VSID);
	mock_fail_stop(f->mock);
	KUNIT_EXPECT_EQ(test, by_cfgi_ste(test), 0);
	expect_tlbi(test, FIRST_ASID, true, false);
}

/* The page of the first stream's CD is not mapped in the VMM any more. */
static void take_page_away(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, vm_munmap((unsigned long)f->ring + CD_AREA, PAGE_SIZE), 0);
}

static void bring_page_back(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long page = (unsigned long)f->ring + CD_AREA;
	u32 s;

	KUNIT_ASSERT_EQ(test, vm_mmap(NULL, page, PAGE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0), page);
	for (s = 0; s < STREAMS; s++)
		put_asid(test, s, OTHER_ASID);
}

/*
 * A signal while a CD cannot be read ends the call. It does not make the set that of all
 * ASIDs.
 */
static void signal_adds_no_asid(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_phys *phys;
	int rc;

	start(test);
	fx_put_ste(test, VSID, STE_ABORT, 0);
	KUNIT_ASSERT_EQ(test, by_cfgi_ste(test), 0);
	phys = stream_of(f->v, VSID)->phys;
	fx_put_ste(test, VSID, ste_at(0), 0);
	take_page_away(test);

	/* It comes with the TLBI, so the run has made progress. */
	f->mock->signal = true;
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(OTHER_ASID), cfgi_ste(VSID), sync()), 1);
	f->mock->signal = false;
	clear_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_FALSE(test, phys->asids.all);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.kind, KIND(ABORT));

	fx_must_detach(test, f->v, VSID);
	set_thread_flag(TIF_SIGPENDING);
	rc = fx_attach(f->v, .fd = 0, .vsid = VSID).rc;
	clear_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_EQ(test, rc, -EINTR);

	f->regs.strtab_base_cfg--;
	bring_page_back(test);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	take_page_away(test);
	set_thread_flag(TIF_SIGPENDING);
	rc = fx_set_regs(test).rc;
	clear_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	KUNIT_EXPECT_FALSE(test, phys->asids.all);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.kind, KIND(S1));
	bring_page_back(test);
	fx_must_set_regs(test);
	expect_tlbi(test, FIRST_ASID, false, false);
}

/* Two streams of different SMMUs swap StreamIDs. Each SMMU may have both ASIDs then. */
static void moved_stream(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 0, FIRST_ASID);
	KUNIT_ASSERT_EQ(test, by_cfgi_cd(test), 0);
	expect_tlbi(test, FIRST_ASID, true, false);
	f->mock->log_num = 0;
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID_OTHER }, { VSID_OTHER, VSID }));
	EXPECT_GIVEN(test, 1, tlbi_of(FIRST_ASID));
	expect_tlbi(test, FIRST_ASID, true, true);
}

/* The guest starts again without a reset, and uses the same ASIDs elsewhere. */
static void guest_boots_again(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 0, FIRST_ASID);
	KUNIT_ASSERT_EQ(test, by_cfgi_cd(test), 0);
	f->regs.cr0 &= ~CR0_SMMUEN;
	fx_must_set_regs(test);
	put_asid(test, SPARE_TABLE, FIRST_ASID);
	fx_put_ste(test, VSID, ste_at(1), 0);
	fx_put_ste(test, VSID_OTHER, ste_at(SPARE_TABLE), 0);
	f->regs.cr0 |= CR0_SMMUEN;
	f->mock->log_num = 0;
	fx_must_set_regs(test);
	/* The first SMMU may have entries from before. */
	EXPECT_GIVEN(test, 1, tlbi_of(FIRST_ASID));
	expect_tlbi(test, FIRST_ASID, true, true);
	EXPECT_OK(test, fx_reset(f->v));
	fx_must_set_regs(test);
	expect_tlbi(test, FIRST_ASID, false, true);
}

/* A second SMMU comes to a running guest. It is not known what the first one has. */
static void second_smmu_comes(struct kunit *test)
{
	struct fixture *f = test->priv;

	open_machine(test);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	fx_set_cmdq(test, 4);
	put_asid(test, 0, FIRST_ASID);
	expect_tlbi(test, FIRST_ASID, true, false);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, 0);
	put_asid(test, 0, OTHER_ASID);
	fx_must_attach(test, f->v, .fd = 4, .vsid = VSID_OTHER);
	expect_tlbi(test, FIRST_ASID, true, false);
	expect_tlbi(test, FIRST_ASID + 1, true, false);

	/* After its last device has left and come back, it is known. */
	fx_must_detach(test, f->v, VSID);
	expect_tlbi(test, FIRST_ASID, false, false);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	expect_tlbi(test, FIRST_ASID, false, false);
	expect_tlbi(test, OTHER_ASID, true, true);
}

/* An SMMU that is first without stage 1, and alone, needs no TLBI when another one comes. */
static void second_smmu_translates(struct kunit *test)
{
	struct fixture *f = test->priv;

	open_machine(test);
	fx_put_ste(test, VSID, STE_BYPASS, 0);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	fx_set_cmdq(test, 4);
	fx_must_attach(test, f->v, .fd = 4, .vsid = VSID_OTHER);
	expect_tlbi(test, OTHER_ASID, false, true);
}

/* An ATTACH fails to flush. The SMMU has no stream, so the flush is not repeated. */
static void idle_smmu_is_not_flushed(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	fx_must_detach(test, f->v, VSID);
	fx_must_detach(test, f->v, VSID_NEXT);
	put_asid(test, 0, FIRST_ASID);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, by_attach(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(FIRST_ASID), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
}

/*
 * An ATTACH of an SMMU's first device fails, with a CD that cannot be read. The SMMU does
 * not have all ASIDs after the next ATTACH, with a StreamID or without one.
 */
static void failed_attach_adds_no_asid(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_phys *phys;
	u32 unset;

	for (unset = 0; unset < 2; unset++) {
		start(test);
		phys = stream_of(f->v, VSID)->phys;
		fx_must_detach(test, f->v, VSID);
		fx_must_detach(test, f->v, VSID_NEXT);
		fx_put_ste(test, VSID, STE_S1_AT(1), 0);
		mock_fail(f->mock, MOCK_ATTACH, 1, 1, -ENOMEM);
		KUNIT_EXPECT_EQ(test, by_attach(test), -ENOMEM);
		KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 1);
		KUNIT_EXPECT_TRUE(test, phys->asids.all);
		fx_put_ste(test, VSID, ste_at(0), 0);
		if (unset) {
			fx_must_attach(test, f->v, .fd = 0, .vsid = UNSET(1));
			EXPECT_OK(test, SET_VSIDS(f->v, { UNSET(1), VSID }));
		} else {
			KUNIT_EXPECT_EQ(test, by_attach(test), 0);
		}
		expect_tlbi(test, FIRST_ASID, false, false);
		expect_tlbi(test, OTHER_ASID, true, true);
		fx_close(f->v);
	}
}

/*
 * A TLBI that one SMMU did not need counts again, as one that was issued does, if the
 * guest's command runs again. It counts as done once.
 */
static void repeats_count(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_stats *now;
	struct smmuv3_accel_stats before;
	u32 run;

	start(test);
	now = &f->v->stats;
	put_asid(test, 2, FIRST_ASID);
	KUNIT_ASSERT_EQ(test, run_one(test, cfgi_cd(VSID_OTHER, 0)), 0);
	before = *now;
	/* Both attempts of the second SMMU */
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, RUN_CMDS(test, tlbi_of(FIRST_ASID), tlbi_of(FIRST_ASID),
				       sync()).rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	EXPECT_GIVEN(test, 0);
	for (run = 1; run <= 2; run++) {
		KUNIT_EXPECT_EQ(test, now->out_withheld - before.out_withheld, run);
		KUNIT_EXPECT_EQ(test, now->out_subsumed - before.out_subsumed, run);
		KUNIT_EXPECT_EQ(test, now->out_issued - before.out_issued, 1 + run);
		KUNIT_EXPECT_EQ(test, now->out_cmds - before.out_cmds, (run - 1) * 3);
		if (run == 1)
			EXPECT_DONE(test, fx_run(test, .num = 3), 3);
	}
}

/* An SMMU that has no stream counts only while its flush is pending. */
static void idle_smmu_does_not_count(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	fx_must_detach(test, f->v, VSID);
	fx_must_detach(test, f->v, VSID_NEXT);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(FIRST_ASID), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, 1);

	fx_put_ste(test, VSID, STE_BYPASS, 0);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	fx_must_detach(test, f->v, VSID);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(FIRST_ASID), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, 3);
}

/* A live update keeps the sets. While the CDs cannot be read, nothing is withheld. */
static void another_process(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_mem_region table = {
		TABLE_GPA, TABLE_LEN, (uintptr_t)f->table
	};
	const struct cmd tlbi = tlbi_of(FIRST_ASID);

	start(test);
	put_asid(test, 0, FIRST_ASID);
	KUNIT_ASSERT_EQ(test, by_cfgi_cd(test), 0);
	/* The new process has something else at the old address of the CD. */
	put_asid(test, 0, FIRST_ASID + 1);
	mock_set_reachable(f->mock, false);
	EXPECT_OK(test, fx_change_process(f->v, MOCK_IOMMUFD));
	put_asid(test, 0, OTHER_ASID);
	fx_set_mem(test, &table, 1);
	f->mock->log_num = 0;
	EXPECT_DONE(test, fx_invalidate(test, f->v, &tlbi, 1), 1);
	EXPECT_GIVEN(test, 0, tlbi);
	EXPECT_GIVEN(test, 1, tlbi);
	fx_set_whole_mem(test);
	expect_tlbi(test, FIRST_ASID, true, false);
	expect_tlbi(test, FIRST_ASID + 1, false, false);
}

static struct kunit_case filter_host_cases[] = {
	KUNIT_CASE_PARAM(new_asid_is_flushed_in_the_end, new_gen_params),
	KUNIT_CASE_PARAM(new_asid_is_flushed_after_a_kill, new_gen_params),
	KUNIT_CASE(all_is_flushed_in_the_end),
	KUNIT_CASE(other_smmu_is_flushed),
	KUNIT_CASE(flush_counts_after_the_cfgi),
	KUNIT_CASE(cfgi_of_one_cd_is_not_enough),
	KUNIT_CASE(refused_stream_is_stale),
	KUNIT_CASE(stale_cds_concern_one_smmu),
	KUNIT_CASE(stale_cds_are_left_by_a_kill),
	KUNIT_CASE(broken_smmu_stops_no_other),
	KUNIT_CASE(signal_adds_no_asid),
	KUNIT_CASE(moved_stream),
	KUNIT_CASE(guest_boots_again),
	KUNIT_CASE(second_smmu_comes),
	KUNIT_CASE(second_smmu_translates),
	KUNIT_CASE(idle_smmu_is_not_flushed),
	KUNIT_CASE(failed_attach_adds_no_asid),
	KUNIT_CASE(repeats_count),
	KUNIT_CASE(idle_smmu_does_not_count),
	KUNIT_CASE(another_process),
	{}
};

static struct kunit_suite filter_host_suite = {
	.name = "smmuv3-accel-filter-host",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = filter_host_cases,
};

kunit_test_suites(&filter_host_suite);
