// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of RUN_CMDQ: command queues of any size, with wraps, pieces and
 * unreadable parts, and where a run ends.
 */
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "fixture.h"

/* Fill f->cmds[] with this many TLBIs, each for another page. */
static void make_tlbis(struct fixture *f, u32 num)
{
	u32 i;

	for (i = 0; i < num; i++)
		f->cmds[i] = tlbi_va(i);
}

/* Expect that @num commands of f->cmds[], from @cons, are all done in order. */
static void expect_all_run(struct kunit *test, u32 cons, u32 num)
{
	struct fixture *f = test->priv;

	EXPECT_DONE(test, fx_run(test, .cons = cons, .cmds = f->cmds, .num = num), num);
	fx_expect_both_given(test, f->cmds, num);
}

/* Each size, from the ring's start, across its end, and across the wrap bit */
static void sizes_and_wraps(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 log2size, size, num, cons, n;

	make_tlbis(f, MAX_RUN);
	fx_start(test);
	for (log2size = 0; log2size <= CMDQS_MAX; log2size++) {
		fx_set_cmdq(test, log2size);
		size = 1U << log2size;
		num = min(size, MAX_RUN);
		for (n = 0; n < 4; n++) {
			cons = (n * size - (n & 1) * (num / 2)) & (2 * size - 1);
			expect_all_run(test, cons, num);
		}
		EXPECT_DONE(test, fx_run(test, .cons = cons, .num = 0), 0);
		KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	}
}

static void more_than_a_lap_refused(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 log2size, size;

	fx_start(test);
	for (log2size = 1; log2size <= CMDQS_MAX; log2size++) {
		fx_set_cmdq(test, log2size);
		size = 1U << log2size;
		EXPECT_RESULT(test, fx_run(test, .cons = size / 2, .num = size + 1),
			      .rc = -EINVAL, .reason = REASON(CMDQ_INDEX));
		EXPECT_RESULT(test, fx_run(test, .cons = size / 2, .num = 2 * size - 1),
			      .rc = -EINVAL, .reason = REASON(CMDQ_INDEX));
		KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	}
}

/* A reserved size acts as the largest, and the base is aligned to the size. */
static void base_and_cons_as_the_architecture(struct kunit *test)
{
	struct fixture *f = test->priv;

	make_tlbis(f, 4);
	fx_start(test);
	fx_set_cmdq(test, CMDQS_MAX);
	f->regs.cmdq_base = RING_GPA | CMDQ_BASE_LOG2SIZE;
	fx_must_set_regs(test);
	expect_all_run(test, (1U << CMDQS_MAX) - 2, 4);

	f->regs.cmdq_base = (RING_GPA + 0x20) | 4;
	f->log2size = 4;
	fx_must_set_regs(test);
	fx_put_ring(test, 14, f->cmds, 4);
	/* ERR and reserved bits do not count as part of CONS. */
	EXPECT_DONE(test, fx_run(test, .cons = 14 | 0x7f00000, .num = 4), 4);
	fx_expect_both_given(test, f->cmds, 4);
}

static void max_cmds_bounds_a_run(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	make_tlbis(f, 16);
	fx_start(test);
	fx_put_ring(test, 20, f->cmds, 16);
	for (i = 1; i < 16; i++) {
		EXPECT_DONE(test, fx_run(test, .cons = 20, .num = 16, .max_cmds = i), i);
		fx_expect_both_given(test, f->cmds, i);
	}
	EXPECT_DONE(test, fx_run(test, .cons = 20, .num = 16, .max_cmds = 16), 16);
	EXPECT_DONE(test, fx_run(test, .cons = 20, .num = 16, .max_cmds = U32_MAX), 16);
	EXPECT_DONE(test, fx_run(test, .cons = 20, .num = 3, .max_cmds = 5), 3);
	fx_expect_both_given(test, f->cmds, 3);
}

#define NO_HOLE		U32_MAX
#define PIECE_GAP	4099	/* between pieces in the VMM's memory */

/* Cut the ring into regions; piece number @hole is missing. */
static void cut_ring(struct kunit *test, const u32 *cuts, u32 num, u32 hole)
{
	struct fixture *f = test->priv;
	struct smmuv3_accel_mem_region regions[12];
	u32 i, at = 0, n = 0, end;

	regions[n++] = (struct smmuv3_accel_mem_region){
		TABLE_GPA, TABLE_LEN, (uintptr_t)f->table
	};
	for (i = 0; i <= num; i++, at = end) {
		end = i < num ? cuts[i] : CMD_LEN << f->log2size;
		if (at == end || i == hole)
			continue;
		regions[n++] = (struct smmuv3_accel_mem_region){
			RING_GPA + at, end - at, (uintptr_t)f->ring + at + i * PIECE_GAP
		};
	}
	fx_set_mem(test, regions, n);
}

/* Each way to cut a command in two, also at the wrap of the ring */
static void command_in_two_regions(struct kunit *test)
{
	u32 i;

	make_tlbis(test->priv, 7);
	fx_start(test);
	for (i = 1; i < 3 * CMD_LEN; i++) {
		cut_ring(test, &i, 1, NO_HOLE);
		expect_all_run(test, 15, 7);
	}
}

/* A batch of many pieces, some of them smaller than a command */
static void random_regions(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 round, cuts[8], cons, n, i;

	make_tlbis(f, 16);
	fx_start(test);
	for (round = 0; round < 200; round++) {
		n = 1 + dice(f, ARRAY_SIZE(cuts));
		for (i = 0; i < n; i++)
			cuts[i] = (i ? cuts[i - 1] : dice(f, 64)) +
				  (dice(f, 2) ? CMD_LEN * dice(f, 3) : dice(f, 24));
		cut_ring(test, cuts, n, NO_HOLE);
		cons = dice(f, 32);
		expect_all_run(test, cons, 1 + dice(f, 16));
	}
}

/* Expect that @num commands are done, and CONS is at one that cannot be read. */
#define EXPECT_UNREADABLE(test, call, num)				\
	EXPECT_RESULT(test, call, .done = num, .error = CERROR(ABT),	\
		      .reason = REASON(CMD_UNREADABLE))

static void hole_stops_there(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 at, len, cuts[2];

	make_tlbis(f, 15);
	f->cmds[15] = sync_irq();
	fx_start(test);
	for (at = 0; at < 6 * CMD_LEN; at += 1 + dice(f, 7)) {
		for (len = 1; len < 20; len += 6) {
			cuts[0] = at;
			cuts[1] = at + len;
			cut_ring(test, cuts, 2, 1);
			EXPECT_UNREADABLE(test, fx_run(test, .cmds = f->cmds, .num = 16),
					  at / CMD_LEN);
			fx_expect_both_given(test, f->cmds, at / CMD_LEN);
		}
	}
	/* After the wrap */
	cut_ring(test, cuts, 2, 0);
	EXPECT_UNREADABLE(test, fx_run(test, .cons = 29, .cmds = f->cmds, .num = 16), 3);
	fx_expect_both_given(test, f->cmds, 3);
}

/* The memory table is wrong: nothing is mapped after the second command. */
static void unmapped_memory_stops_there(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_mem_region regions[] = {
		{ TABLE_GPA, TABLE_LEN, (uintptr_t)f->table },
		{ RING_GPA, 16 * CMD_LEN, (uintptr_t)f->umem_end - 40 },
	};

	make_tlbis(f, 3);
	fx_start(test);
	KUNIT_ASSERT_EQ(test, copy_to_user(f->umem_end - 40, f->cmds, 40), 0);
	fx_set_mem(test, regions, 2);
	EXPECT_UNREADABLE(test, fx_run(test, .num = 16), 2);
	fx_expect_both_given(test, f->cmds, 2);
	EXPECT_UNREADABLE(test, fx_run(test, .cons = 2, .num = 4), 0);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	/* No region at all */
	fx_set_mem(test, regions, 1);
	EXPECT_UNREADABLE(test, fx_run(test, .num = 1), 0);
}

/* CONS is at the bad command. All before it are done, none after it. */
static void illegal_stops_there(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i, at, syncs;

	fx_start(test);
	/* From no CMD_SYNC to every second command */
	for (syncs = 0; syncs < 4; syncs++) {
		for (at = 0; at < 8; at++) {
			struct cmd want[8];
			u32 num = 0, flags = 0;

			for (i = 0; i < 8; i++) {
				bool is_sync = syncs && i % (syncs + 1) == syncs;

				f->cmds[i] = i == at ? bad_cmd(at + syncs) :
					     is_sync ? sync_irq() : tlbi_va(i);
				if (i < at && is_sync)
					flags = RUN(SYNC_IRQ);
				else if (i < at)
					want[num++] = tlbi_va(i);
			}
			EXPECT_RESULT(test, fx_run(test, .cons = 12, .cmds = f->cmds, .num = 8),
				      .done = at, .error = CERROR(ILL),
				      .reason = REASON(CMD_OPCODE), .flags = flags);
			fx_expect_both_given(test, want, num);
		}
	}
}

/* Only a CMD_SYNC that is done and asks for its interrupt sets RUN_SYNC_IRQ. */
static void sync_irq_if_done(struct kunit *test)
{
	const u32 irq = RUN(SYNC_IRQ);

	fx_start(test);
	EXPECT_RESULT(test, RUN_CMDS(test, sync_irq()), .done = 1, .flags = irq);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_irq()), .done = 2, .flags = irq);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), tlbi_va(2), sync_irq()), .done = 3,
		      .flags = irq);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_cd(VSID, 1), sync_irq(), tlbi_va(1), sync()),
		      .done = 4, .flags = irq);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_msi(1, 0xfffffffffffffc, ~0)),
		      .done = 2, .flags = irq);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_msi(3, 0x1000, 0)), .done = 1,
		      .error = CERROR(ILL), .reason = REASON(CMD_RESERVED));
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync_msi(2, 0x1000, 1)), 2);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd(VSID, 1), sync_cs(2)), 3);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_cs(SYNC_CS_RESERVED)), .done = 1,
		      .error = CERROR(ILL), .reason = REASON(CMD_RESERVED));
}

/* If the host fails, no command of the segment is done, but those before it are. */
static void no_sync_irq_of_a_failed_segment(struct kunit *test)
{
	struct mock *mock = mock_of(test);

	fx_start(test);
	mock_fail(mock, MOCK_INVALIDATE, 1, 9, -EIO);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_irq()), .rc = -EIO,
		      .reason = REASON(HOST_REJECT));
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(2), tlbi_va(3), sync_irq()), .rc = -EIO,
		      .reason = REASON(HOST_REJECT));
	mock_fail(mock, MOCK_INVALIDATE, 1, 9, -ENOMEM);
	EXPECT_RESULT(test, RUN_CMDS(test, sync_irq(), cfgi_cd(VSID, 1), sync_irq()),
		      .rc = -ENOMEM, .reason = REASON(RETRY));

	mock_fail(mock, MOCK_ALLOC + MOCK_NESTED, 1, 1, -ENOMEM);
	fx_put_ste(test, VSID, STE_S1_AT(2), 0);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_irq(), cfgi_ste(VSID), sync_irq()),
		      .rc = -ENOMEM, .done = 2, .reason = REASON(RETRY),
		      .flags = RUN(SYNC_IRQ), .vsid = VSID);
}

/* Expect of a call of fx_run() how many commands are done, and whether it sets RUN_CFGI. */
#define EXPECT_CFGI(test, call, _done, _cfgi) do {			\
	const struct result __run = (call);				\
									\
	KUNIT_EXPECT_EQ(test, __run.done, _done);			\
	KUNIT_EXPECT_EQ(test, __run.cfgi, _cfgi);			\
} while (0)

/* Each CFGI_* that is done sets RUN_CFGI, wherever it is in the run. */
static void cfgi_if_done(struct kunit *test)
{
	const struct cmd cfgi[] = {
		cfgi_ste(VSID), cfgi_range(VSID, 3), cfgi_all(), cfgi_cd(VSID, 1),
		cfgi_cd_all(VSID), cfgi_ste(VSID_UNKNOWN), cfgi_cd_all(VSID_UNKNOWN),
	};
	const u32 batch = SMMUV3_HOST_MAX_BATCH;
	struct fixture *f = test->priv;
	u32 i;

	make_tlbis(f, batch + 2);
	fx_start(test, .log2size = 13);
	fx_put_ring(test, 0, f->cmds, batch + 2);
	EXPECT_CFGI(test, fx_run(test, .num = batch + 2), batch + 2, false);
	EXPECT_CFGI(test, RUN_CMDS(test, prefetch_addr(VSID), tlbi_va(1), sync()), 3, false);
	for (i = 0; i < ARRAY_SIZE(cfgi); i++) {
		EXPECT_CFGI(test, RUN_CMDS(test, tlbi_va(1), cfgi[i], tlbi_va(2), sync()), 4,
			    true);
		EXPECT_CFGI(test, RUN_CMDS(test, cfgi[i], bad_cmd(1)), 1, true);
		EXPECT_CFGI(test, RUN_CMDS(test, bad_cmd(1), cfgi[i]), 0, false);
		EXPECT_CFGI(test, RUN_CMDS(test, tlbi_va(1), bad_cmd(1), cfgi[i]), 1, false);
		/* In the first of two batches, in the second one, and behind max_cmds */
		EXPECT_CFGI(test, RUN_CMDS(test, cfgi[i]), 1, true);
		fx_put_ring(test, 1, &f->cmds[1], batch + 1);
		EXPECT_CFGI(test, fx_run(test, .num = batch + 2), batch + 2, true);
		fx_put_ring(test, 0, f->cmds, batch + 2);
		fx_put_ring(test, batch + 1, &cfgi[i], 1);
		EXPECT_CFGI(test, fx_run(test, .num = batch + 2), batch + 2, true);
		EXPECT_CFGI(test, fx_run(test, .num = batch + 2, .max_cmds = batch + 1),
			    batch + 1, false);
	}
	/* Also with SMMUEN clear, although no STE is read */
	f->regs.cr0 = CR0_CMDQEN;
	fx_must_set_regs(test);
	for (i = 0; i < ARRAY_SIZE(cfgi); i++)
		EXPECT_CFGI(test, RUN_CMDS(test, cfgi[i]), 1, true);
}

/* A CFGI_* that the host fails is not done, and those before it are. */
static void no_cfgi_of_a_failure(struct kunit *test)
{
	const struct cmd first[] = {
		tlbi_va(1), sync(), cfgi_ste(VSID_NEXT), cfgi_cd(VSID_NEXT, 1),
	};
	struct mock *mock = mock_of(test);
	u32 i;

	fx_start(test);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_CFGI(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd(VSID, 1), sync()), 0, false);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_CFGI(test, RUN_CMDS(test, cfgi_cd_all(VSID), cfgi_ste(VSID_NEXT)), 0, false);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_CFGI(test, RUN_CMDS(test, cfgi_range(VSID_UNKNOWN, 0), tlbi_va(1), sync()), 1, true);

	/* An STE for which the host has no domain, behind each kind of command */
	for (i = 0; i < ARRAY_SIZE(first); i++) {
		fx_put_ste(test, VSID, STE_S1_AT(2 + i), 0);
		mock_fail(mock, MOCK_ALLOC + MOCK_NESTED, 1, 1, -ENOMEM);
		EXPECT_CFGI(test, RUN_CMDS(test, first[i], cfgi_ste(VSID), cfgi_cd(VSID, 1)), 1,
			    i > 1);
	}
}

/* The host reads one stretch of the ring itself. */
static void zero_copy_of_one_stretch(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 cut = 6 * CMD_LEN;
	int i;

	make_tlbis(f, 4);
	fx_start(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	EXPECT_DONE(test, RUN_CMDS(test, sync(), tlbi_va(1), tlbi_va(2), sync()), 4);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 2);
	for (i = 0; i < 2; i++)
		fx_expect_from(test, i, f->ring + CMD_LEN);
	/* StreamIDs on one SMMU, and on two */
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1), cfgi_cd(VSID_NEXT, 1)), 2);
	fx_expect_from(test, 0, f->ring);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1), cfgi_cd(VSID_OTHER, 1)), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 2);
	for (i = 0; i < 2; i++)
		fx_expect_from(test, i, NULL);

	/* Not if the commands wrap, and not if they are in two pieces */
	expect_all_run(test, 14, 4);
	fx_expect_from(test, 0, NULL);
	cut_ring(test, &cut, 1, NO_HOLE);
	expect_all_run(test, 4, 4);
	fx_expect_from(test, 0, NULL);
	expect_all_run(test, 6, 4);
	fx_expect_from(test, 0, f->ring + cut + PIECE_GAP);
}

/* A host that checks no command gets copies, which the guest cannot change. */
static void only_copies_for_a_host_that_does_not_check(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->unchecked = true;
	fx_start(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	EXPECT_DONE(test, RUN_CMDS(test, sync(), tlbi_va(1), tlbi_va(2), sync()), 4);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1)), 1);
	EXPECT_DONE(test, RUN_CMDS(test, atc_inv(VSID, 1), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_zero_copy, 0);
	fx_expect_from(test, 0, NULL);
	EXPECT_BATCH(test, 0, 0, atc_inv(VSID, 1));
}

/* If the host cannot say whether it checks, each ATTACH asks again until it can. */
static void host_is_asked_until_it_answers(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->probe_rc = -ENOMEM;
	fx_start(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), tlbi_va(2), sync()), 3);
	fx_expect_from(test, 0, NULL);
	fx_expect_from(test, 1, NULL);

	f->mock->probe_rc = 0;
	f->mock->probes = 0;
	fx_must_detach(test, f->v, VSID_NEXT);
	fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), tlbi_va(2), sync()), 3);
	fx_expect_from(test, 0, f->ring);
	fx_expect_from(test, 1, NULL);
	fx_must_detach(test, f->v, VSID_NEXT);
	fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	KUNIT_EXPECT_EQ(test, f->mock->probes, 1);
}

/* An answer is final, also if it is no. */
static void host_answers_once(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->unchecked = true;
	fx_start(test);
	KUNIT_EXPECT_EQ(test, f->mock->probes, MOCK_SMMUS);
	fx_must_detach(test, f->v, VSID_NEXT);
	fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	KUNIT_EXPECT_EQ(test, f->mock->probes, MOCK_SMMUS);
}

/* After an error, changes that the VMM makes to the ring do not matter. */
static void replay_from_checked_copy(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	f->mock->scribble = true;
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -EIO);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1)), 1);
	fx_expect_from(test, 0, f->ring);
	fx_expect_from(test, 1, NULL);
	EXPECT_BATCH(test, 1, 0, cfgi_cd(VSID, 1));
	f->mock->scribble = false;
}

/*
 * Hosts differ in where they stop at an error, and in what they count as handled then.
 * The module issues the whole call again, whichever it was.
 */
static void replay_is_whole(struct kunit *test)
{
	static const int errors[] = { -EIO, -EINVAL, -EFAULT, -ENOMEM };
	struct mock *mock = mock_of(test);
	const struct mock_call *call;
	u32 at, i, n;

	fx_start(test);
	/* One call for CDs, one for TLBIs on each SMMU, one for the ATC */
	for (n = 0; n < 4 * ARRAY_SIZE(errors); n++) {
		at = n % 4;
		mock_fail(mock, MOCK_INVALIDATE, at + 1, 1, errors[n / 4]);
		EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1), cfgi_cd(VSID, 2), tlbi_va(1),
					   tlbi_va(2), tlbi_va(3), atc_inv(VSID, 1),
					   atc_inv(VSID, 2), sync()), 8);
		KUNIT_EXPECT_EQ(test, mock_fail_stop(mock), 1);
		KUNIT_ASSERT_EQ(test, mock->log_num, 5);
		for (i = 0; i < 5; i++)
			KUNIT_EXPECT_EQ(test, !!mock->log[i].rc, i == at);
		call = &mock->log[at];
		KUNIT_EXPECT_EQ(test, call[1].smmu, call[0].smmu);
		KUNIT_ASSERT_EQ(test, call[1].num, call[0].num);
		KUNIT_EXPECT_MEMEQ(test, call[1].cmds, call[0].cmds, call[0].num * CMD_LEN);
		KUNIT_EXPECT_NULL(test, (__force void *)call[1].from);
	}
}

/* With the erratum, all but ATC_INV is repeated, after the first call has returned. */
static void erratum_repeats_all_but_atc_inv(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 i;

	for (i = 0; i < MOCK_SMMUS; i++)
		mock->smmu[i].flags = ERRATUM;
	fx_start(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), tlbi_va(2), sync()), 3);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	for (i = 0; i < 4; i++)
		EXPECT_BATCH(test, i, i / 2, tlbi_va(1), tlbi_va(2));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), cfgi_cd(VSID_OTHER, 1), tlbi_va(1)), 3);
	KUNIT_EXPECT_EQ(test, mock->log_num, 8);
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		return;
	EXPECT_DONE(test, RUN_CMDS(test, atc_inv(VSID, 1), tlbi_va(1), sync()), 3);
	KUNIT_ASSERT_EQ(test, mock->log_num, 5);
	EXPECT_BATCH(test, 4, 0, atc_inv(VSID, 1));
}

/* Each command is unique, so that none is left out. */
static void make_random_cmds(struct fixture *f, u32 num)
{
	u32 i;

	for (i = 0; i < num; i++) {
		u32 vsid = fx_streams[dice(f, STREAMS)].vsid;

		switch (dice(f, IS_ENABLED(CONFIG_PCI_ATS) ? 12 : 10)) {
		case 0 ... 3:
			f->cmds[i] = tlbi_va(dice(f, 2) ? 100 + i : 99 - i);
			break;
		case 4 ... 6:
			f->cmds[i] = cfgi_cd(vsid, i);
			break;
		case 7 ... 8:
			f->cmds[i] = sync();
			break;
		case 9:
			f->cmds[i] = dice(f, 4) ? prefetch_addr(i) : cfgi_ste(vsid);
			break;
		default:
			f->cmds[i] = atc_inv(vsid, i);
		}
	}
}

static enum smmuv3_phase phase_of(const struct cmd *c)
{
	switch (opcode_of(c)) {
	case CMD_CFGI_CD:
		return SMMUV3_PHASE_CD;
	case CMD_TLBI_NH_VA:
		return SMMUV3_PHASE_TLBI;
	case CMD_ATC_INV:
		return SMMUV3_PHASE_ATC;
	default:
		return SMMUV3_PHASE_NONE;
	}
}

/* The host calls that carried out a command: how many, the first and the last */
struct carried {
	u32 num;
	u32 first;
	u32 last;
};

static struct carried find_calls(struct mock *mock, const struct cmd *want)
{
	struct carried found = {};
	u32 i, n;

	for (i = 0; i < mock->log_num; i++) {
		struct mock_call *call = &mock->log[i];

		for (n = 0; call->op == MOCK_INVALIDATE && n < call->num; n++) {
			if (memcmp(call->cmds[n], want, CMD_LEN))
				continue;
			if (!found.num++)
				found.first = i;
			found.last = i;
		}
	}
	return found;
}

/* Expect order as the architecture demands. Returns how many pairs need it. */
static u32 expect_order(struct kunit *test, u32 num)
{
	struct fixture *f = test->priv;
	struct carried calls[64];
	u32 i, j, pairs = 0;
	bool synced;

	for (i = 0; i < num; i++) {
		enum smmuv3_phase phase = phase_of(&f->cmds[i]);

		if (phase == SMMUV3_PHASE_NONE)
			continue;
		calls[i] = find_calls(f->mock, &f->cmds[i]);
		KUNIT_ASSERT_EQ(test, calls[i].num,
				phase == SMMUV3_PHASE_TLBI ? MOCK_SMMUS : 1);
	}
	for (i = 0; i < num; i++) {
		synced = false;
		for (j = i + 1; j < num; j++) {
			synced |= opcode_of(&f->cmds[j]) == CMD_SYNC;
			if (!synced || phase_of(&f->cmds[j]) == SMMUV3_PHASE_NONE ||
			    phase_of(&f->cmds[i]) >= phase_of(&f->cmds[j]))
				continue;
			KUNIT_ASSERT_LT_MSG(test, calls[i].last, calls[j].first,
					    "commands %u and %u", i, j);
			pairs++;
		}
	}
	return pairs;
}

/* CMD_SYNCs keep CFGIs, TLBIs and ATC_INVs in order. */
static void sync_keeps_phases_in_order(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 round, num, pairs = 0;

	fx_start(test, .log2size = 6);
	for (round = 0; round < 150; round++) {
		num = 1 + dice(f, 64);
		make_random_cmds(f, num);
		EXPECT_DONE(test, fx_run(test, .cons = dice(f, 128), .cmds = f->cmds,
					 .num = num), num);
		pairs += expect_order(test, num);
	}
	KUNIT_EXPECT_GT(test, pairs, 1000);
}

/* A long run ends between batches if another call waits. */
static void waiter_let_in_between_batches(struct kunit *test)
{
	const u32 max = 8 * SMMUV3_HOST_MAX_BATCH, num = 4 * MAX_RUN;
	struct fixture *f = test->priv;
	u32 i;

	make_tlbis(f, MAX_RUN);
	fx_start(test, .log2size = 16);
	for (i = 0; i < 4; i++)
		fx_put_ring(test, i * MAX_RUN, f->cmds, MAX_RUN);
	KUNIT_ASSERT_GT(test, num, max);
	EXPECT_DONE(test, fx_run(test, .num = num), num);
	atomic_set(&f->v->waiters, 1);
	EXPECT_DONE(test, fx_run(test, .num = num), max);
	EXPECT_DONE(test, fx_run(test, .cons = max, .num = num - max), num - max);
	atomic_set(&f->v->waiters, 0);
}

/* It also ends between STEs. A failure or a bad command is still reported. */
static void waiter_let_in_between_stes(struct kunit *test)
{
	const u32 stes = DIV_ROUND_UP(SMMUV3_MANY_STES, STREAMS);
	struct fixture *f = test->priv;
	struct cmd bad = bad_cmd(1);
	u32 i;

	fx_start(test, .log2size = 16);
	for (i = 0; i < 2 * stes; i++)
		f->cmds[i] = cfgi_all();
	f->cmds[2 * stes] = sync_irq();
	fx_put_ring(test, 0, f->cmds, 2 * stes + 1);
	atomic_set(&f->v->waiters, 1);
	EXPECT_DONE(test, fx_run(test, .num = stes - 1), stes - 1);
	EXPECT_DONE(test, fx_run(test, .num = 2 * stes + 1), stes);
	EXPECT_RESULT(test, fx_run(test, .cons = stes + 1, .num = stes), .done = stes,
		      .flags = RUN(SYNC_IRQ));

	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, fx_run(test, .num = 2 * stes), .rc = -ENOMEM,
		      .reason = REASON(RETRY), .vsid = VSID);
	fx_put_ring(test, stes, &bad, 1);
	EXPECT_DONE(test, fx_run(test, .num = 2 * stes), stes);
	EXPECT_RESULT(test, fx_run(test, .cons = stes, .num = stes), .error = CERROR(ILL),
		      .reason = REASON(CMD_OPCODE));
	atomic_set(&f->v->waiters, 0);
	EXPECT_RESULT(test, fx_run(test, .num = 2 * stes), .done = stes, .error = CERROR(ILL),
		      .reason = REASON(CMD_OPCODE));
}

/* After out_max_stes STEs, a run ends before the next command that reads STEs. */
static void ste_budget_ends_a_run(struct kunit *test)
{
	const u32 budget = DIV_ROUND_UP(SMMUV3_MAX_STES, STREAMS);
	const struct run_options all = {
		.cmds = ((struct fixture *)test->priv)->cmds,
		.num = MAX_RUN,
	};
	struct fixture *f = test->priv;
	u32 i;

	fx_start(test, .ste = { STE_BYPASS }, .log2size = 13);
	KUNIT_ASSERT_GT(test, MAX_RUN, 3 * budget);
	for (i = 0; i < MAX_RUN; i++)
		f->cmds[i] = cfgi_all();
	EXPECT_DONE(test, fx_run(test, .cmds = f->cmds, .num = budget - 1), budget - 1);
	EXPECT_DONE(test, fx_run(test, .cmds = f->cmds, .num = budget + 1), budget);
	/* Each run counts from 0, and every command for STEs counts. */
	EXPECT_DONE(test, fx_run_with(test, &all), budget);
	for (i = 0; i < 3; i++)
		f->cmds[i] = cfgi_ste(VSID);
	EXPECT_DONE(test, fx_run_with(test, &all), budget + 3);
	f->cmds[0] = tlbi_va(1);
	for (i = 1; i < 3; i++)
		f->cmds[i] = cfgi_ste(VSID_UNKNOWN);
	EXPECT_DONE(test, fx_run_with(test, &all), budget + 3);
	/* With SMMUEN clear, no STE is read. */
	f->regs.cr0 = CR0_CMDQEN;
	fx_must_set_regs(test);
	EXPECT_DONE(test, fx_run_with(test, &all), MAX_RUN);
}

/* Its TLBs were flushed when the last stream left. On the fast path and beside it */
static void smmu_without_stream_is_spared(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	fx_must_detach(test, f->v, VSID);
	fx_must_detach(test, f->v, VSID_NEXT);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	EXPECT_OPS(test, MOCK_INVALIDATE);
	EXPECT_BATCH(test, 0, 1, tlbi_va(1));
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), cfgi_cd(VSID, 1), tlbi_va(2)), 3);
	EXPECT_OPS(test, MOCK_INVALIDATE);
	EXPECT_BATCH(test, 0, 1, tlbi_va(1), tlbi_va(2));
	fx_must_detach(test, f->v, VSID_OTHER);
	fx_must_detach(test, f->v, VSID_LAST);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(sizes_and_wraps),
	KUNIT_CASE(more_than_a_lap_refused),
	KUNIT_CASE(base_and_cons_as_the_architecture),
	KUNIT_CASE(max_cmds_bounds_a_run),
	KUNIT_CASE(command_in_two_regions),
	KUNIT_CASE(random_regions),
	KUNIT_CASE(hole_stops_there),
	KUNIT_CASE(unmapped_memory_stops_there),
	KUNIT_CASE(illegal_stops_there),
	KUNIT_CASE(sync_irq_if_done),
	KUNIT_CASE(no_sync_irq_of_a_failed_segment),
	KUNIT_CASE(cfgi_if_done),
	KUNIT_CASE(no_cfgi_of_a_failure),
	KUNIT_CASE(zero_copy_of_one_stretch),
	KUNIT_CASE(only_copies_for_a_host_that_does_not_check),
	KUNIT_CASE(host_is_asked_until_it_answers),
	KUNIT_CASE(host_answers_once),
	KUNIT_CASE(replay_from_checked_copy),
	KUNIT_CASE(replay_is_whole),
	KUNIT_CASE(smmu_without_stream_is_spared),
	KUNIT_CASE(erratum_repeats_all_but_atc_inv),
	KUNIT_CASE(sync_keeps_phases_in_order),
	KUNIT_CASE(waiter_let_in_between_batches),
	KUNIT_CASE(waiter_let_in_between_stes),
	KUNIT_CASE(ste_budget_ends_a_run),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "smmuv3-accel-ring",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = ring_cases,
};

kunit_test_suites(&ring_suite);
