// SPDX-License-Identifier: GPL-2.0
/*
 * Table mode: the module reads the guest's stream table when the guest's commands say so.
 * DMA shows which STE is in force.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "harness.h"
#include "machine.h"
#include "stress.h"

#define VSID	MACHINE_VSID
#define VSID_2	(MACHINE_VSID + 1)

/* Stream tables of each format. The first stream translates, the second has no STE */

FIXTURE(table)
{
	struct machine m;
};

FIXTURE_VARIANT(table)
{
	unsigned int split;
};

FIXTURE_VARIANT_ADD(table, linear) { .split = 0 };
FIXTURE_VARIANT_ADD(table, split_6) { .split = 6 };
FIXTURE_VARIANT_ADD(table, split_8) { .split = 8 };
FIXTURE_VARIANT_ADD(table, split_10) { .split = 10 };

FIXTURE_SETUP(table)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 2, .idle = 1,
				  .split = variant->split));
	ASSERT_EQ(1, machine_goes(&self->m, 0));
	ASSERT_EQ(-EFAULT, machine_goes(&self->m, 1));
}

FIXTURE_TEARDOWN(table)
{
	machine_close(&self->m);
}

/* By each command that names the StreamID, and by nothing else */
TEST_F(table, ste_takes_effect_when_invalidated)
{
	struct machine *m = &self->m;
	const struct cmd cmds[] = {
		cmd_cfgi_ste(VSID, true), cmd_cfgi_ste(VSID, false),
		cmd_cfgi_ste_range(VSID, 0), cmd_cfgi_ste_range(VSID & ~7, 2),
		cmd_cfgi_ste_range(VSID, 30), cmd_cfgi_all(),
		cmd_cfgi_ste_range(12345, 31),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(cmds); i++) {
		machine_write_ste(m, 0, STE_CFG_BYPASS);
		EXPECT_EQ(1, machine_goes(m, 0));
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID_2, true), 0);
		EXPECT_RUNS(m, cmd_cfgi_cd_all(VSID), 0);
		EXPECT_EQ(0, machine_set_regs(m));	/* unchanged */
		EXPECT_EQ(1, machine_goes(m, 0)) TH_LOG("changed by itself, %u", i);
		EXPECT_RUNS(m, cmds[i], 0);
		EXPECT_EQ(0, machine_goes(m, 0)) TH_LOG("not changed, %u", i);

		machine_write_ste(m, 0, STE_CFG_S1);
		EXPECT_EQ(0, machine_goes(m, 0));
		EXPECT_RUNS(m, cmds[i], 0);
		EXPECT_EQ(1, machine_goes(m, 0));
	}
}

/* RUN_CMDQ and INVALIDATE have the same effect */
TEST_F(table, ste_takes_effect_by_invalidate_too)
{
	struct machine *m = &self->m;
	const struct cmd cmds[] = {
		cmd_cfgi_ste(VSID, true), cmd_cfgi_ste_range(VSID, 0), cmd_cfgi_all(),
	};
	struct smmuv3_accel_invalidate out;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(cmds); i++) {
		machine_write_ste(m, 0, i & 1 ? STE_CFG_S1 : STE_CFG_BYPASS);
		EXPECT_EQ(!(i & 1), machine_goes(m, 0));
		EXPECT_EQ(0, accel_invalidate(&m->g, &cmds[i], 1, &out));
		EXPECT_EQ(1, out.cmd_num);
		EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
		EXPECT_EQ(i & 1, machine_goes(m, 0)) TH_LOG("not changed, %u", i);
	}
}

/* 2^(Range + 1) StreamIDs, aligned */
TEST_F(table, range_names_no_more_than_its_streamids)
{
	struct machine *m = &self->m;

	machine_write_ste(m, 0, STE_CFG_BYPASS);
	machine_write_ste(m, 1, STE_CFG_BYPASS);
	EXPECT_RUNS(m, cmd_cfgi_ste_range(VSID - 1, 0), 0);
	EXPECT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(m, 1)) TH_LOG("a StreamID after the range was read");
	EXPECT_RUNS(m, cmd_cfgi_ste_range(VSID, 1), 0);
	EXPECT_EQ(0, machine_goes(m, 1));
}

/* Commands before a CFGI_STE take effect before it, commands after an error never */
TEST_F(table, ste_commands_keep_their_place_in_the_queue)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_write_ste(m, 1, STE_CFG_BYPASS);
	ring_put(&m->ring, machine_tlbi(m, 0));
	ring_put(&m->ring, cmd_cfgi_ste(VSID_2, true));
	ring_put(&m->ring, cmd_illegal());
	ring_put(&m->ring, cmd_cfgi_ste(VSID, true));
	machine_write_ste(m, 0, STE_CFG_BYPASS);
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(2, out.cons);
	EXPECT_EQ(2, machine_goes(m, 0));
	EXPECT_EQ(0, machine_goes(m, 1));
}

TEST_F(table, streamid_beyond_the_table_aborts)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats before = machine_stats(m), after;

	/* Shrink the table below the StreamID, then grow it again */
	m->strtab.base_cfg = (m->strtab.base_cfg & ~0x3f) | 8;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_SID_RANGE, machine_reason(m, VSID));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), SMMUV3_ACCEL_RUN_BAD_STE);
	after = machine_stats(m);
	EXPECT_LT(before.out_ste_bad, after.out_ste_bad);

	m->strtab.base_cfg = (m->strtab.base_cfg & ~0x3f) | 9;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(1, machine_goes(m, 0));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
}

TEST_F(table, table_outside_memory_aborts)
{
	struct machine *m = &self->m;
	__u64 base = m->strtab.base;

	m->strtab.base = GUEST_BASE + GUEST_SIZE;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_UNREADABLE, machine_reason(m, VSID));
	EXPECT_RUNS(m, cmd_cfgi_all(), SMMUV3_ACCEL_RUN_BAD_STE);
	m->strtab.base = base;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* An STE across two memory regions, which the VMM has at unrelated addresses */
TEST_F(table, ste_across_regions_is_read_whole)
{
	struct machine *m = &self->m;
	char *ste = (char *)strtab_ste(&m->strtab, VSID);
	__u64 offset = ste - m->g.ram + 32;
	char *copy = malloc(GUEST_SIZE - offset);
	const struct smmuv3_accel_mem_region regions[] = {
		{ GUEST_BASE + offset, GUEST_SIZE - offset, (__u64)(unsigned long)copy },
		{ GUEST_BASE, offset, (__u64)(unsigned long)m->g.ram },
	};

	ASSERT_NE(NULL, copy);
	memcpy(copy, m->g.ram + offset, GUEST_SIZE - offset);
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions, 2));
	machine_write_ste(m, 0, STE_CFG_BYPASS);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(0, machine_goes(m, 0));

	/* Half an STE is not readable */
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions + 1, 1));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), SMMUV3_ACCEL_RUN_BAD_STE);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_UNREADABLE, machine_reason(m, VSID));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	free(copy);
}

TEST_F(table, bad_level_1_descriptor_aborts)
{
	struct machine *m = &self->m;
	volatile __u64 *l1;
	__u64 good;
	int i;

	if (!variant->split)
		return;		/* a linear table has none */
	l1 = strtab_l1(&m->strtab, VSID);
	good = *l1;
	for (i = 0; i < 4; i++) {
		const struct {
			__u64 l1;
			__u32 reason;
		} bad[] = {
			{ good + 1, SMMUV3_ACCEL_REASON_STE_L1_INVALID },
			{ good | 0x1f, SMMUV3_ACCEL_REASON_STE_L1_INVALID },
			/* Span for one StreamID, the first */
			{ (good & ~0x1fULL) | 1, SMMUV3_ACCEL_REASON_STE_SID_RANGE },
			{ variant->split + 1, SMMUV3_ACCEL_REASON_STE_UNREADABLE },
		};

		*l1 = bad[i].l1;
		EXPECT_EQ(1, machine_goes(m, 0));
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID, false), SMMUV3_ACCEL_RUN_BAD_STE);
		EXPECT_EQ(bad[i].reason, machine_reason(m, VSID)) TH_LOG("%d", i);
		EXPECT_EQ(-EFAULT, machine_goes(m, 0));
		*l1 = good;
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID, false), 0);
	}
}

/* Span 0: a driver that has not allocated the level-2 table yet */
TEST_F(table, missing_level_2_table_aborts_and_is_no_bad_ste)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats before = machine_stats(m);
	volatile __u64 *l1;
	__u64 good;

	if (!variant->split)
		return;		/* a linear table has none */
	l1 = strtab_l1(&m->strtab, VSID);
	good = *l1;
	*l1 = 0;
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_L1_NONE, machine_reason(m, VSID));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	/* Only Span counts */
	*l1 = good & ~0x1fULL;
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_L1_NONE, machine_reason(m, VSID));
	EXPECT_EQ(before.out_ste_bad, machine_stats(m).out_ste_bad);
	*l1 = good;
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* Without SMMUEN, GBPA decides */
TEST_F(table, gbpa_decides_while_the_smmu_is_off)
{
	struct machine *m = &self->m;

	m->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(0, machine_goes(m, 1));
	m->gbpa = GBPA_ABORT;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_GBPA_ABORT, machine_reason(m, VSID));
	/* CFGI_ALL reads no STE */
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_GBPA_ABORT, machine_reason(m, VSID));
	m->gbpa = ~GBPA_ABORT;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(0, machine_goes(m, 0));
	/* TLBIs take effect */
	machine_lead(m, 0, 2);
	EXPECT_RUNS(m, machine_tlbi(m, 0), 0);
	m->cr0 |= CR0_SMMUEN;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(2, machine_goes(m, 0));
	/* With SMMUEN, GBPA has no effect */
	m->gbpa = GBPA_ABORT;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(2, machine_goes(m, 0));
}

/* Its STEs are in force when SET_REGS returns */
TEST_F(table, new_table_takes_effect_with_its_registers)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, strtab_init(&m->strtab, &m->g, 10, variant->split));
	machine_write_ste(m, 0, STE_CFG_BYPASS);
	machine_write_ste(m, 1, STE_CFG_S1);
	EXPECT_EQ(1, machine_goes(m, 0));
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(1, machine_goes(m, 1));
}

/*
 * A guest cannot exceed its ID registers: the queue's length is capped (6.3.26), a 2-level
 * table counts as a linear one, and SIDSIZE caps the StreamIDs (6.3.25). But the table is
 * aligned by the literal LOG2SIZE (6.3.24).
 */
TEST(guest_gets_no_more_than_id_registers_offer)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_set_idr set;
	struct smmuv3_accel_phys phys;
	struct machine m;
	__u32 idr[6];
	unsigned int i;

	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_RUNNING, .devices = 1, .spare = 1,
				  .ring_log2size = 4));
	machine_write_ste(&m, 0, STE_CFG_S1);
	ASSERT_EQ(0, machine_attach(&m, 0));
	ASSERT_EQ(0, machine_detach(&m, 0));
	ASSERT_EQ(0, accel_phys(&m.g, 0, &phys));
	idr_offer(phys.out_idr, idr);
	idr[0] &= ~IDR0_ST_LEVEL;
	idr[1] &= ~(IDR1_SIDSIZE | IDR1_CMDQS);
	idr[1] |= 9 | 4 << 21;
	ASSERT_EQ(0, accel_set_idr(&m.g, idr, &set));

	/* 512 StreamIDs in one level, whatever STRTAB_BASE_CFG says, at the start of 1 MiB */
	ASSERT_EQ(0, strtab_init(&m.strtab, &m.g, 14, 0));
	machine_write_ste(&m, 0, STE_CFG_S1);
	strtab_write(&m.strtab, 511, m.stream[0].s1.ste);
	m.strtab.base |= 0x48000;
	m.strtab.base_cfg |= 6 << 6 | 1 << 16;
	ASSERT_EQ(0, machine_set_regs(&m));
	ASSERT_EQ(0, machine_attach(&m, 0));
	EXPECT_EQ(1, machine_goes(&m, 0)) TH_LOG("reason %u", machine_reason(&m, VSID));
	ASSERT_EQ(0, machine_detach(&m, 0));
	EXPECT_EQ(-EINVAL, accel_attach(&m.g, m.stream[0].dev.fd, 512, &attach));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_VSID_RANGE, attach.out_reason);
	ASSERT_EQ(0, accel_attach(&m.g, m.stream[0].dev.fd, 511, &attach));
	EXPECT_EQ(1, machine_goes(&m, 0)) TH_LOG("reason %u", machine_reason(&m, 511));

	/* 16 commands, whatever CMDQ_BASE says */
	m.ring.base |= 19;
	ASSERT_EQ(0, machine_set_regs(&m));
	m.ring.base &= ~31ULL;
	machine_ring_at(&m, 16 + 12);
	for (i = 0; i < 16; i++)
		ring_put(&m.ring, i ? cmd_sync() : machine_tlbi(&m, 0));
	EXPECT_TRUE(machine_run(&m, &out));
	EXPECT_EQ(12, out.cons);
	machine_close(&m);
}

/* SET_REGS before SET_IDR has the same effect as after it, if SET_IDR still works */
TEST(id_registers_limit_earlier_registers)
{
	const __u32 idr[6] = {
		[0] = IDR0_S1P | IDR0_TTF64 | IDR0_COHACC | IDR0_LITTLE |
		      IDR0_STALL_NOT | IDR0_TERM,
		[1] = 10 | 4 << 21,
		[5] = IDR5_GRAN4K,
	};
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_set_idr set;
	struct machine m;
	unsigned int i;
	int rc;

	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_RUNNING));
	rc = accel_set_idr(&m.g, idr, &set);
	if (rc == -EBUSY) {
		EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, set.out_reason);
	} else {
		ASSERT_EQ(0, rc);
		m.ring.log2size = 4;
		machine_ring_at(&m, 16 + 12);
		for (i = 0; i < 16; i++)
			ring_put(&m.ring, cmd_sync());
		EXPECT_TRUE(machine_run(&m, &out));
		EXPECT_EQ(12, out.cons);
	}
	machine_close(&m);
}

/* Whether the messages since the last call have @what. @text: one that has it, or the last */
static bool kmsg_has(int kmsg, const char *what, char *text, size_t size)
{
	ssize_t n;

	text[0] = 0;
	while ((n = read(kmsg, text, size - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		text[n > 0 ? n : 0] = 0;
		if (strstr(text, what))
			return true;
	}
	return false;
}

/* STEs in a linear table */

FIXTURE(ste)
{
	struct machine m;
};

FIXTURE_SETUP(ste)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 1));
	ASSERT_EQ(1, machine_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(ste)
{
	machine_close(&self->m);
}

TEST_F(ste, unchanged_ste_costs_no_domain_but_rereads_cds)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats before, after;
	struct stage1 *s1 = &m->stream[0].s1;
	struct smmuv3_accel_stream was, is;
	struct pgtable other;

	pgtable_init(&other, &m->g, GRANULE_4K);
	pgtable_map(&other, s1->page[0], s1->page[3], PTE_NOT_GLOBAL);
	cd_write(&m->g, s1->cd, &other, MACHINE_ASID + 1);
	ASSERT_EQ(1, machine_goes(m, 0)) TH_LOG("no stale CD to end");
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &was));
	before = machine_stats(m);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(3, machine_goes(m, 0)) TH_LOG("stale CD left");
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &is));
	after = machine_stats(m);
	EXPECT_EQ(was.out_hwpt_id, is.out_hwpt_id);
	EXPECT_EQ(before.out_ste_unchanged + 1, after.out_ste_unchanged);
	EXPECT_EQ(before.out_ste_installed, after.out_ste_installed);

	/* Changes without an effect are no changes */
	s1->ste[1] |= 1ULL << 44;
	s1->ste[4] = ~0ULL;
	machine_write_ste(m, 0, STE_CFG_S1);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(before.out_ste_installed, machine_stats(m).out_ste_installed);
}

/* S1Fmt and S1DSS, and S1CDMax without substreams. STRW too, since Hyp is 0 */
TEST_F(ste, reserved_and_ignored_fields_do_no_harm)
{
	struct machine *m = &self->m;
	struct stage1 *s1 = &m->stream[0].s1;
	const __u64 plain[2] = { s1->ste[0], s1->ste[1] };

	s1->ste[0] |= 3ULL << 4;
	if (!machine_has(m, 1, IDR1_SSIDSIZE))
		s1->ste[0] |= 31ULL << 59;
	s1->ste[1] |= 3ULL << 0 | 2ULL << 30;
	machine_write_ste(m, 0, STE_CFG_ABORT);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	machine_write_ste(m, 0, STE_CFG_S1);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(1, machine_goes(m, 0)) TH_LOG("reason %u", machine_reason(m, VSID));
	s1->ste[0] = plain[0];
	s1->ste[1] = plain[1];
}

TEST_F(ste, each_aborting_ste_has_its_reason)
{
	struct machine *m = &self->m;
	const struct {
		__u64 w0;
		__u32 reason;
		__u32 flags;
		__u64 w1;
		bool legal;	/* on this SMMU */
	} stes[] = {
		{ 0, SMMUV3_ACCEL_REASON_STE_INVALID, 0 },
		{ STE_V, SMMUV3_ACCEL_REASON_STE_ABORT, 0 },
		{ STE_V | STE_CFG(STE_CFG_S2), SMMUV3_ACCEL_REASON_STE_CONFIG,
		  SMMUV3_ACCEL_RUN_BAD_STE },
		{ STE_V | STE_CFG(STE_CFG_NESTED), SMMUV3_ACCEL_REASON_STE_CONFIG,
		  SMMUV3_ACCEL_RUN_BAD_STE },
		{ STE_V | STE_CFG(STE_CFG_S1) | 1ULL << 52,
		  SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR, SMMUV3_ACCEL_RUN_BAD_STE },
		/* Ignored without substreams */
		{ STE_V | STE_CFG(STE_CFG_S1) | 31ULL << 59,
		  SMMUV3_ACCEL_REASON_STE_S1CDMAX, SMMUV3_ACCEL_RUN_BAD_STE, 0,
		  .legal = !machine_has(m, 1, IDR1_SSIDSIZE) },
		/* Only if the stall model is fixed */
		{ STE_V | STE_CFG(STE_CFG_S1), SMMUV3_ACCEL_REASON_STE_S1STALLD,
		  SMMUV3_ACCEL_RUN_BAD_STE, 1ULL << 27,
		  .legal = !machine_has(m, 0, IDR0_STALL) },
	};
	__u64 words[8] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(stes); i++) {
		if (stes[i].legal)
			continue;
		words[0] = stes[i].w0;
		words[1] = stes[i].w1;
		strtab_write(&m->strtab, VSID, words);
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), stes[i].flags);
		EXPECT_EQ(stes[i].reason, machine_reason(m, VSID)) TH_LOG("%u", i);
		EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	}
	machine_write_ste(m, 0, STE_CFG_S1);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* In the host's log as well, which gets no more than ten messages in five seconds */
TEST(log_names_streams_with_a_bad_ste_only)
{
	struct machine m;
	char text[1024];
	volatile __u64 *l1;
	int kmsg;

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");
	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_RUNNING, .devices = 1, .split = 6));
	sleep_ms(5500);
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	machine_write_ste(&m, 0, STE_CFG_S2);
	EXPECT_RUNS(&m, cmd_cfgi_ste(VSID, true), SMMUV3_ACCEL_RUN_BAD_STE);
	EXPECT_TRUE(kmsg_has(kmsg, "StreamID 0x111 has no legal STE", text, sizeof(text)))
		TH_LOG("%s", text);

	l1 = strtab_l1(&m.strtab, VSID);
	*l1 = 0;
	EXPECT_RUNS(&m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_L1_NONE, machine_reason(&m, VSID));
	EXPECT_FALSE(kmsg_has(kmsg, "StreamID", text, sizeof(text))) TH_LOG("%s", text);
	close(kmsg);
	machine_close(&m);
}

TEST_F(ste, attach_puts_the_guests_ste_in_force)
{
	struct machine *m = &self->m;
	const __u32 beyond = 1 << 10;

	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	ASSERT_EQ(0, machine_attach(m, 0));
	EXPECT_EQ(1, machine_goes(m, 0));
	/* If the STE cannot be read, ATTACH succeeds and the stream aborts */
	ASSERT_EQ(0, machine_detach(m, 0));
	m->stream[0].vsid = beyond;
	ASSERT_EQ(0, machine_attach(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_SID_RANGE, machine_reason(m, beyond));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
}

TEST_F(ste, reset_ends_table_mode_and_flushes)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	ASSERT_EQ(0, accel_reset(&m->g));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STE, machine_reason(m, VSID));
	EXPECT_EQ(-ENXIO, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

	/* INSTALL_STE is for the explicit mode */
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	EXPECT_EQ(1, machine_goes(m, 0));

	/* The next guest meets no translation that the last one had cached */
	ASSERT_EQ(0, accel_reset(&m->g));
	machine_lead(m, 0, 2);
	machine_ring_at(m, 0);
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(2, machine_goes(m, 0));
	machine_lead(m, 0, 3);
	EXPECT_EQ(2, machine_goes(m, 0));
	EXPECT_RUNS(m, machine_tlbi(m, 0), 0);
	EXPECT_EQ(3, machine_goes(m, 0));
}

/* Several streams with bad STEs, in a 2-level table */

#define BRIDGES		8

FIXTURE(bad)
{
	struct machine m;
	struct smmuv3_accel_bad_ste bad[BRIDGES + 2];
};

#define BAD_VSID(i)	(0x41 + 0x40 * (i))

FIXTURE_SETUP(bad)
{
	__u64 ste[8];
	int i;

	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 1, .split = 6));
	ASSERT_EQ(1, machine_goes(&self->m, 0));
	ste_config(ste, STE_CFG_S2);
	for (i = 0; i < BRIDGES; i++) {
		ASSERT_EQ(0, accel_attach_virtual(&self->m.g, BAD_VSID(i),
						  SMMUV3_ACCEL_ATTACH_BRIDGE, NULL));
		if (i & 1)
			strtab_write(&self->m.strtab, BAD_VSID(i), ste);
		else
			/* In no memory */
			*strtab_l1(&self->m.strtab, BAD_VSID(i)) = 7;
	}
	memset(self->bad, 0xa5, sizeof(self->bad));
}

FIXTURE_TEARDOWN(bad)
{
	machine_close(&self->m);
}

static __u32 bad_reason(int i)
{
	return i & 1 ? SMMUV3_ACCEL_REASON_STE_CONFIG : SMMUV3_ACCEL_REASON_STE_UNREADABLE;
}

/* In the order in which the command names them */
TEST_F(bad, each_stream_is_named_with_its_reason)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 i;

	ring_put(&m->ring, cmd_cfgi_all());
	ring_put(&m->ring, cmd_cfgi_ste(BAD_VSID(3), true));
	ring_put(&m->ring, cmd_cfgi_ste(VSID, true));
	ASSERT_EQ(0, machine_doorbell(m, &out, .bad = self->bad, .bad_room = BRIDGES + 1));
	EXPECT_EQ(m->ring.prod, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_RUN_BAD_STE | SMMUV3_ACCEL_RUN_CFGI, out.out_flags);
	ASSERT_EQ(BRIDGES + 1, out.bad_num);
	for (i = 0; i < BRIDGES; i++) {
		EXPECT_EQ(BAD_VSID(i), self->bad[i].vsid);
		EXPECT_EQ(bad_reason(i), self->bad[i].reason);
		EXPECT_EQ(bad_reason(i), machine_reason(m, BAD_VSID(i)));
	}
	EXPECT_EQ(BAD_VSID(3), self->bad[BRIDGES].vsid);
	EXPECT_EQ(bad_reason(3), self->bad[BRIDGES].reason);
	EXPECT_EQ(0xa5a5a5a5, self->bad[BRIDGES + 1].vsid);
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* All commands are done, and GET_STREAM has the reasons */
TEST_F(bad, overflow_is_reported)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 room, i;

	for (room = 0; room < BRIDGES + 2; room++) {
		memset(self->bad, 0xa5, sizeof(self->bad));
		ring_put(&m->ring, cmd_cfgi_all());
		ring_put(&m->ring, cmd_sync());
		ASSERT_EQ(0, machine_doorbell(m, &out, .bad = room ? self->bad : NULL,
					      .bad_room = room));
		m->ring.cons = out.cons;
		EXPECT_EQ(m->ring.prod, out.cons);
		EXPECT_EQ(SMMUV3_ACCEL_RUN_BAD_STE | SMMUV3_ACCEL_RUN_CFGI |
			  (room < BRIDGES ? SMMUV3_ACCEL_RUN_BAD_OVERFLOW : 0), out.out_flags);
		ASSERT_EQ(room < BRIDGES ? room : BRIDGES, out.bad_num);
		for (i = 0; i < out.bad_num; i++)
			EXPECT_EQ(BAD_VSID(i), self->bad[i].vsid);
		EXPECT_EQ(0xa5a5a5a5, self->bad[out.bad_num].vsid);
		EXPECT_EQ(bad_reason(BRIDGES - 1), machine_reason(m, BAD_VSID(BRIDGES - 1)));
	}
}

/* An STE that the guest has not finished is no bad one */
TEST_F(bad, streams_that_abort_rightly_are_not_named)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	int i;

	for (i = 0; i < BRIDGES; i++)
		*strtab_l1(&m->strtab, BAD_VSID(i)) = 0;
	machine_write_ste(m, 0, STE_CFG_ABORT);
	ring_put(&m->ring, cmd_cfgi_all());
	ASSERT_EQ(0, machine_doorbell(m, &out, .bad = self->bad, .bad_room = BRIDGES));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_CFGI, out.out_flags);
	EXPECT_EQ(0, out.bad_num);
	EXPECT_EQ(0xa5a5a5a5, self->bad[0].vsid);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
}

/* The command is not done, so the VMM can repeat it and hears of each stream */
TEST_F(bad, list_that_cannot_be_written_is_efault)
{
	struct machine *m = &self->m;
	const long page = sysconf(_SC_PAGESIZE);
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_bad_ste *end;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	end = (struct smmuv3_accel_bad_ste *)(map + page);
	ring_put(&m->ring, cmd_filler(0));
	ring_put(&m->ring, cmd_cfgi_all());
	EXPECT_EQ(-EFAULT, machine_doorbell(m, &out, .bad = end - 3, .bad_room = BRIDGES));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, out.out_reason);
	EXPECT_EQ(1, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
	m->ring.cons = out.cons;
	ASSERT_EQ(0, machine_doorbell(m, &out, .bad = self->bad, .bad_room = BRIDGES));
	EXPECT_EQ(m->ring.prod, out.cons);
	EXPECT_EQ(BRIDGES, out.bad_num);
	munmap(map, page);
}

/* INVALIDATE has no list */
TEST_F(bad, array_of_commands_does_not_name_streams)
{
	const struct cmd cmds[] = { cmd_cfgi_all(), cmd_sync() };
	struct smmuv3_accel_invalidate out;

	ASSERT_EQ(0, accel_invalidate(&self->m.g, cmds, 2, &out));
	EXPECT_EQ(2, out.cmd_num);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NONE, out.out_reason);
	EXPECT_EQ(bad_reason(0), machine_reason(&self->m, BAD_VSID(0)));
}

TEST_HARNESS_MAIN
