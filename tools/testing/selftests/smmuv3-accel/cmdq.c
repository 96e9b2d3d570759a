// SPDX-License-Identifier: GPL-2.0
/*
 * Table mode: the guest's stream table is read when the guest says so, and its
 * command queue is run, with DMA to show what has taken effect and what not.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "guest.h"
#include "harness.h"

#define VSID	0x111
#define VSID_2	0x112
#define GUEST_ASID	5

#define STRTAB_LOG2SIZE	10
#define STREAMS	2
#define PAGES	4

/**
 * struct machine - A guest in table mode, with up to two devices
 * @cr0: SMMU_CR0 to begin with
 * @gbpa: SMMU_GBPA
 * @page: pages of memory. page[0] is used as IOVA as well, so that it means
 *	something in each configuration: with a stage 1 it leads to page[1]
 */
struct machine {
	struct guest g;
	struct ring ring;
	struct strtab strtab;
	__u32 cr0;
	__u32 gbpa;
	__u32 vsid[STREAMS];
	struct dma_dev dev[STREAMS];
	struct pgtable pt;
	__u64 cd;
	__u64 page[PAGES];
	__u64 s1[8];
};

static int set_regs(struct machine *m)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = m->cr0,
		.gbpa = m->gbpa,
		.strtab_base = m->strtab.base,
		.strtab_base_cfg = m->strtab.base_cfg,
		.cmdq_base = m->ring.base | m->ring.log2size,
	};

	return ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg) ? -errno : 0;
}

/* The first device translates, the others' STEs are zero */
static int machine_open(struct machine *m, unsigned int split,
			unsigned int ring_log2size, int devices, __u32 flags)
{
	struct smmuv3_accel_attach attach;
	int i, rc;

	memset(m, 0, sizeof(*m));
	m->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	m->vsid[0] = VSID;
	m->vsid[1] = VSID_2;
	for (i = 0; i < STREAMS; i++)
		m->dev[i].fd = -1;
	rc = guest_open_memory(&m->g);
	if (rc)
		return rc;
	m->g.accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	if (m->g.accel < 0)
		return -errno;
	rc = accel_create_flags(m->g.accel, m->g.iommufd, m->g.ioas_id, flags);
	if (!rc)
		rc = ring_init(&m->ring, &m->g, ring_log2size);
	if (!rc)
		rc = strtab_init(&m->strtab, &m->g, STRTAB_LOG2SIZE, split);
	if (!rc)
		rc = accel_mem_table(&m->g);
	if (rc)
		return rc;

	for (i = 0; i < PAGES; i++)
		m->page[i] = guest_alloc(&m->g, 4096);
	pgtable_init(&m->pt, &m->g, GRANULE_4K);
	pgtable_map(&m->pt, m->page[0], m->page[1], PTE_NOT_GLOBAL);
	m->cd = guest_alloc(&m->g, 64);
	cd_write(&m->g, m->cd, &m->pt, GUEST_ASID);
	ste_s1(m->s1, m->cd);
	strtab_write(&m->strtab, VSID, m->s1);
	for (i = 0; !rc && i < devices; i++) {
		rc = dma_open(&m->dev[i], m->g.iommufd, DMA_TESTDEV, i);
		if (!rc)
			rc = accel_attach(&m->g, m->dev[i].fd, m->vsid[i], &attach);
	}
	return rc ? rc : set_regs(m);
}

static void machine_close(struct machine *m)
{
	int i;

	for (i = 0; i < STREAMS; i++)
		dma_close(&m->dev[i]);
	if (m->g.ram)
		guest_close(&m->g);
}

/* Where a write to page[0] lands: number of a page, or -EFAULT */
static int dma_goes(struct machine *m, int dev)
{
	int i, rc;

	for (i = 0; i < PAGES; i++)
		*(volatile __u32 *)guest_ptr(&m->g, m->page[i]) = 0;
	rc = testdev_write(&m->dev[dev], m->page[0]);
	for (i = 0; !rc && i < PAGES; i++)
		if (*(volatile __u32 *)guest_ptr(&m->g, m->page[i]) == TESTDEV_PATTERN)
			return i;
	return rc ? rc : -ENOENT;
}

/* Lead page[0] somewhere else, without telling the SMMU */
static void remap(struct machine *m, int page)
{
	pgtable_map(&m->pt, m->page[0], m->page[page], PTE_NOT_GLOBAL);
}

static struct cmd tlbi_page(struct machine *m)
{
	return cmd_tlbi_va(GUEST_ASID, m->page[0], true);
}

static void start_at(struct ring *ring, __u32 index)
{
	index &= (2U << ring->log2size) - 1;
	ring->prod = index;
	ring->cons = index;
}

/* A command that does nothing here */
static struct cmd filler(unsigned int i)
{
	return cmd_tlbi_va(GUEST_ASID + 1, (i & 0xfffff) * 4096ULL, true);
}

static const struct cmd illegal = { { 0xff } };

static bool all_done(struct machine *m, struct smmuv3_accel_run_cmdq *out)
{
	return !ring_run(&m->ring, out) && !out->out_error && !out->out_reason &&
	       out->cons == out->prod;
}

/* Queue one command and a CMD_SYNC and run them; @flags: what comes of it */
static bool run_one(struct machine *m, struct cmd first, __u32 *flags)
{
	struct smmuv3_accel_run_cmdq out;

	ring_put(&m->ring, first);
	ring_put(&m->ring, cmd_sync());
	if (!all_done(m, &out))
		return false;
	*flags = out.out_flags;
	return true;
}

#define EXPECT_RUNS(m, cmd, want_flags)				\
	do {							\
		__u32 _flags = 0;				\
								\
		EXPECT_TRUE(run_one(m, cmd, &_flags));		\
		EXPECT_EQ(want_flags, _flags);			\
	} while (0)

static struct smmuv3_accel_stats stats_of(struct machine *m)
{
	struct smmuv3_accel_stats stats;

	accel_stats(&m->g, &stats);
	return stats;
}

static __u32 reason_of(struct machine *m, __u32 vsid)
{
	struct smmuv3_accel_stream stream;

	return accel_stream(&m->g, vsid, &stream) ? ~0U : stream.out_reason;
}

/* Stream tables of each form */

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
	ASSERT_EQ(0, machine_open(&self->m, variant->split, 5, 2, 0));
	ASSERT_EQ(1, dma_goes(&self->m, 0));
	ASSERT_EQ(-EFAULT, dma_goes(&self->m, 1));
}

FIXTURE_TEARDOWN(table)
{
	machine_close(&self->m);
}

/* Each command that makes an STE effective, and nothing before it */
TEST_F(table, ste_is_read_when_invalidated)
{
	struct machine *m = &self->m;
	const struct cmd cmds[] = {
		cmd_cfgi_ste(VSID, true), cmd_cfgi_ste(VSID, false),
		cmd_cfgi_ste_range(VSID, 0), cmd_cfgi_ste_range(VSID & ~7, 2),
		cmd_cfgi_ste_range(VSID, 30), cmd_cfgi_all(),
		cmd_cfgi_ste_range(12345, 31),
	};
	__u64 other[8];
	unsigned int i;

	ste_config(other, STE_CFG_BYPASS);
	for (i = 0; i < ARRAY_LEN(cmds); i++) {
		strtab_write(&m->strtab, VSID, other);
		EXPECT_EQ(1, dma_goes(m, 0));
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID_2, true), 0);
		EXPECT_RUNS(m, cmd_cfgi_cd_all(VSID), 0);
		EXPECT_EQ(0, set_regs(m));	/* nothing new in them */
		EXPECT_EQ(1, dma_goes(m, 0)) TH_LOG("changed by itself, %u", i);
		EXPECT_RUNS(m, cmds[i], 0);
		EXPECT_EQ(0, dma_goes(m, 0)) TH_LOG("not changed, %u", i);

		strtab_write(&m->strtab, VSID, m->s1);
		EXPECT_EQ(0, dma_goes(m, 0));
		EXPECT_RUNS(m, cmds[i], 0);
		EXPECT_EQ(1, dma_goes(m, 0));
	}
}

/* 2^(Range + 1) StreamIDs from an aligned one on */
TEST_F(table, range_ends_where_it_ends)
{
	struct machine *m = &self->m;
	__u64 bypass[8];

	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID, bypass);
	strtab_write(&m->strtab, VSID_2, bypass);
	EXPECT_RUNS(m, cmd_cfgi_ste_range(VSID - 1, 0), 0);
	EXPECT_EQ(0, dma_goes(m, 0));
	EXPECT_EQ(-EFAULT, dma_goes(m, 1)) TH_LOG("a StreamID behind the range was read");
	EXPECT_RUNS(m, cmd_cfgi_ste_range(VSID, 1), 0);
	EXPECT_EQ(0, dma_goes(m, 1));
}

/* In one doorbell: what is queued before an STE command comes before it */
TEST_F(table, order_with_other_commands)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u64 bypass[8];

	remap(m, 2);
	ASSERT_EQ(1, dma_goes(m, 0));
	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID_2, bypass);
	ring_put(&m->ring, tlbi_page(m));
	ring_put(&m->ring, cmd_cfgi_ste(VSID_2, true));
	ring_put(&m->ring, illegal);
	ring_put(&m->ring, cmd_cfgi_ste(VSID, true));
	strtab_write(&m->strtab, VSID, bypass);
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(2, out.cons);
	EXPECT_EQ(2, dma_goes(m, 0));
	EXPECT_EQ(0, dma_goes(m, 1));
}

TEST_F(table, streamid_beyond_the_table)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats before = stats_of(m), after;

	/* The table is made smaller under it, then larger again */
	m->strtab.base_cfg = (m->strtab.base_cfg & ~0x3f) | 8;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_SID_RANGE, reason_of(m, VSID));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), SMMUV3_ACCEL_RUN_BAD_STE);
	after = stats_of(m);
	EXPECT_LT(before.out_ste_bad, after.out_ste_bad);

	m->strtab.base_cfg = (m->strtab.base_cfg & ~0x3f) | 9;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(1, dma_goes(m, 0));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
}

TEST_F(table, outside_memory)
{
	struct machine *m = &self->m;
	__u64 base = m->strtab.base;

	m->strtab.base = GUEST_BASE + GUEST_SIZE;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_UNREADABLE, reason_of(m, VSID));
	EXPECT_RUNS(m, cmd_cfgi_all(), SMMUV3_ACCEL_RUN_BAD_STE);
	m->strtab.base = base;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(1, dma_goes(m, 0));
}

/*
 * The STE lies across two memory regions, which the VMM has at unrelated
 * addresses. Only what is at those counts.
 */
TEST_F(table, across_regions)
{
	struct machine *m = &self->m;
	char *ste = (char *)strtab_ste(&m->strtab, VSID);
	__u64 offset = ste - m->g.ram + 32;
	char *copy = malloc(GUEST_SIZE - offset);
	const struct smmuv3_accel_mem_region regions[] = {
		{ GUEST_BASE + offset, GUEST_SIZE - offset, (__u64)(unsigned long)copy },
		{ GUEST_BASE, offset, (__u64)(unsigned long)m->g.ram },
	};
	__u64 bypass[8];

	ASSERT_NE(NULL, copy);
	memcpy(copy, m->g.ram + offset, GUEST_SIZE - offset);
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions, 2));
	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID, bypass);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(0, dma_goes(m, 0));

	/* Half of it is no STE */
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions + 1, 1));
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), SMMUV3_ACCEL_RUN_BAD_STE);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_UNREADABLE, reason_of(m, VSID));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	free(copy);
}

TEST_F(table, level_1_descriptor)
{
	struct machine *m = &self->m;
	volatile __u64 *l1;
	__u64 good;
	int i;

	if (!variant->split)
		return;		/* A linear table has none */
	l1 = strtab_l1(&m->strtab, VSID);
	good = *l1;
	for (i = 0; i < 5; i++) {
		const struct {
			__u64 l1;
			__u32 reason;
		} bad[] = {
			{ good & ~0x1fULL, SMMUV3_ACCEL_REASON_STE_L1_INVALID },
			{ good + 1, SMMUV3_ACCEL_REASON_STE_L1_INVALID },
			{ good | 0x1f, SMMUV3_ACCEL_REASON_STE_L1_INVALID },
			/* One StreamID, the first */
			{ (good & ~0x1fULL) | 1, SMMUV3_ACCEL_REASON_STE_SID_RANGE },
			{ variant->split + 1, SMMUV3_ACCEL_REASON_STE_UNREADABLE },
		};

		*l1 = bad[i].l1;
		EXPECT_EQ(1, dma_goes(m, 0));
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID, false), SMMUV3_ACCEL_RUN_BAD_STE);
		EXPECT_EQ(bad[i].reason, reason_of(m, VSID)) TH_LOG("%d", i);
		EXPECT_EQ(-EFAULT, dma_goes(m, 0));
		*l1 = good;
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID, false), 0);
	}
}

/* Without SMMUEN, GBPA alone counts */
TEST_F(table, smmu_off)
{
	struct machine *m = &self->m;

	m->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(0, dma_goes(m, 0));
	EXPECT_EQ(0, dma_goes(m, 1));
	m->gbpa = GBPA_ABORT;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_GBPA_ABORT, reason_of(m, VSID));
	/* No STE is looked at */
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_GBPA_ABORT, reason_of(m, VSID));
	m->gbpa = ~GBPA_ABORT;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(0, dma_goes(m, 0));
	/* TLBIs work all the same */
	remap(m, 2);
	EXPECT_RUNS(m, tlbi_page(m), 0);
	m->cr0 |= CR0_SMMUEN;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(2, dma_goes(m, 0));
	/* And with it, GBPA has no say */
	m->gbpa = GBPA_ABORT;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(2, dma_goes(m, 0));
}

/* A table elsewhere is in force when SET_REGS returns */
TEST_F(table, another_table)
{
	struct machine *m = &self->m;
	__u64 bypass[8];

	ASSERT_EQ(0, strtab_init(&m->strtab, &m->g, STRTAB_LOG2SIZE, variant->split));
	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID, bypass);
	strtab_write(&m->strtab, VSID_2, m->s1);
	EXPECT_EQ(1, dma_goes(m, 0));
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(0, dma_goes(m, 0));
	EXPECT_EQ(1, dma_goes(m, 1));
}

/*
 * What the guest was not offered it cannot ask for: the queue is capped (6.3.26),
 * and a table of two levels is a linear one (6.3.25).
 */
TEST(sizes_that_are_offered)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_set_idr set;
	struct smmuv3_accel_phys phys;
	struct machine m;
	__u32 idr[6], reason;
	unsigned int i;

	ASSERT_EQ(0, machine_open(&m, 0, 4, 0, 0));
	ASSERT_EQ(0, dma_open(&m.dev[0], m.g.iommufd, DMA_TESTDEV, 0));
	ASSERT_EQ(0, accel_attach(&m.g, m.dev[0].fd, VSID, &attach));
	ASSERT_EQ(0, accel_detach(&m.g, VSID, &reason));
	ASSERT_EQ(0, accel_phys(&m.g, 0, &phys));
	idr_offer(phys.out_idr, idr);
	idr[0] &= ~IDR0_ST_LEVEL;
	idr[1] &= ~(IDR1_SIDSIZE | IDR1_CMDQS);
	idr[1] |= 9 | 4 << 21;
	ASSERT_EQ(0, accel_set_idr(&m.g, idr, &set));

	/* 512 StreamIDs, in one level, whatever the guest says */
	m.strtab.base_cfg |= 0x3f | 6 << 6 | 1 << 16;
	ASSERT_EQ(0, set_regs(&m));
	ASSERT_EQ(0, accel_attach(&m.g, m.dev[0].fd, VSID, &attach));
	EXPECT_EQ(1, dma_goes(&m, 0)) TH_LOG("reason %u", reason_of(&m, VSID));
	ASSERT_EQ(0, accel_detach(&m.g, VSID, &reason));
	EXPECT_EQ(-EINVAL, accel_attach(&m.g, m.dev[0].fd, 512, &attach));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_VSID_RANGE, attach.out_reason);
	strtab_write(&m.strtab, 511, m.s1);
	ASSERT_EQ(0, accel_attach(&m.g, m.dev[0].fd, 511, &attach));
	EXPECT_EQ(1, dma_goes(&m, 0)) TH_LOG("reason %u", reason_of(&m, 511));

	/* And 16 commands */
	m.ring.base |= 19;
	ASSERT_EQ(0, set_regs(&m));
	m.ring.base &= ~31ULL;
	start_at(&m.ring, 16 + 12);
	for (i = 0; i < 16; i++)
		ring_put(&m.ring, i ? cmd_sync() : tlbi_page(&m));
	EXPECT_TRUE(all_done(&m, &out));
	EXPECT_EQ(12, out.cons);
	machine_close(&m);
}

/* Registers first: they mean what they would have, had it been the other way */
TEST(sizes_that_are_offered_later)
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

	ASSERT_EQ(0, machine_open(&m, 0, 5, 0, 0));
	rc = accel_set_idr(&m.g, idr, &set);
	/* It may be too late as well */
	if (rc == -EBUSY) {
		EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, set.out_reason);
	} else {
		ASSERT_EQ(0, rc);
		m.ring.log2size = 4;
		start_at(&m.ring, 16 + 12);
		for (i = 0; i < 16; i++)
			ring_put(&m.ring, cmd_sync());
		EXPECT_TRUE(all_done(&m, &out));
		EXPECT_EQ(12, out.cons);
	}
	machine_close(&m);
}

/* STEs, good and bad, in a linear table */

FIXTURE(ste)
{
	struct machine m;
};

FIXTURE_SETUP(ste)
{
	ASSERT_EQ(0, machine_open(&self->m, 0, 5, 1, 0));
	ASSERT_EQ(1, dma_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(ste)
{
	machine_close(&self->m);
}

/* No new domain, but its CDs are read anew */
TEST_F(ste, unchanged)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stats before, after;
	struct smmuv3_accel_stream was, is;
	struct pgtable other;

	pgtable_init(&other, &m->g, GRANULE_4K);
	pgtable_map(&other, m->page[0], m->page[3], PTE_NOT_GLOBAL);
	cd_write(&m->g, m->cd, &other, GUEST_ASID + 1);
	ASSERT_EQ(1, dma_goes(m, 0)) TH_LOG("no stale CD to end");
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &was));
	before = stats_of(m);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(3, dma_goes(m, 0)) TH_LOG("stale CD left");
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &is));
	after = stats_of(m);
	EXPECT_EQ(was.out_hwpt_id, is.out_hwpt_id);
	EXPECT_EQ(before.out_ste_unchanged + 1, after.out_ste_unchanged);
	EXPECT_EQ(before.out_ste_installed, after.out_ste_installed);

	/* One of which only what has no effect is changed */
	m->s1[1] |= 1ULL << 44;
	m->s1[4] = ~0ULL;
	strtab_write(&m->strtab, VSID, m->s1);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(before.out_ste_installed, stats_of(m).out_ste_installed);
}

TEST_F(ste, reasons)
{
	const struct {
		__u64 w0;
		__u32 reason;
		__u32 flags;
	} stes[] = {
		{ 0, SMMUV3_ACCEL_REASON_STE_INVALID, 0 },
		{ STE_V, SMMUV3_ACCEL_REASON_STE_ABORT, 0 },
		{ STE_V | STE_CFG(STE_CFG_S2), SMMUV3_ACCEL_REASON_STE_CONFIG,
		  SMMUV3_ACCEL_RUN_BAD_STE },
		{ STE_V | STE_CFG(STE_CFG_NESTED), SMMUV3_ACCEL_REASON_STE_CONFIG,
		  SMMUV3_ACCEL_RUN_BAD_STE },
		{ STE_V | STE_CFG(STE_CFG_S1) | 31ULL << 59,
		  SMMUV3_ACCEL_REASON_STE_S1CDMAX, SMMUV3_ACCEL_RUN_BAD_STE },
		{ STE_V | STE_CFG(STE_CFG_S1) | 1ULL << 52,
		  SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR, SMMUV3_ACCEL_RUN_BAD_STE },
	};
	struct machine *m = &self->m;
	__u64 words[8] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(stes); i++) {
		words[0] = stes[i].w0;
		strtab_write(&m->strtab, VSID, words);
		EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), stes[i].flags);
		EXPECT_EQ(stes[i].reason, reason_of(m, VSID)) TH_LOG("%u", i);
		EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	}
	strtab_write(&m->strtab, VSID, m->s1);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID, true), 0);
	EXPECT_EQ(1, dma_goes(m, 0));
}

/* A stream that comes later has its STE at once */
TEST_F(ste, attach_in_table_mode)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach attach;
	__u32 reason;

	ASSERT_EQ(0, accel_detach(&m->g, VSID, &reason));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	ASSERT_EQ(0, accel_attach(&m->g, m->dev[0].fd, VSID, &attach));
	EXPECT_EQ(1, dma_goes(m, 0));
	/* Without a legal one it is attached as well, and aborts */
	ASSERT_EQ(0, accel_detach(&m->g, VSID, &reason));
	ASSERT_EQ(0, accel_attach(&m->g, m->dev[0].fd, 1 << STRTAB_LOG2SIZE, &attach));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_STE_SID_RANGE, reason_of(m, 1 << STRTAB_LOG2SIZE));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
}

/* An array of commands can have CFGI_STE in it now */
TEST_F(ste, invalidate_in_table_mode)
{
	struct machine *m = &self->m;
	const struct cmd cmds[] = { cmd_cfgi_ste(VSID, true), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	__u64 bypass[8];

	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID, bypass);
	ASSERT_EQ(0, accel_invalidate(&m->g, cmds, 2, &out));
	EXPECT_EQ(2, out.cmd_num);
	EXPECT_EQ(0, dma_goes(m, 0));
}

TEST_F(ste, reset)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 reason;

	ASSERT_EQ(0, accel_reset(&m->g));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STE, reason_of(m, VSID));
	EXPECT_EQ(-ENXIO, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

	/* Table mode is over */
	ASSERT_EQ(0, accel_install(&m->g, VSID, m->s1, &reason));
	EXPECT_EQ(1, dma_goes(m, 0));

	/* The next guest knows nothing of what the last one had cached */
	ASSERT_EQ(0, accel_reset(&m->g));
	remap(m, 2);
	m->ring.prod = 0;
	m->ring.cons = 0;
	ASSERT_EQ(0, set_regs(m));
	EXPECT_EQ(2, dma_goes(m, 0));
	remap(m, 3);
	EXPECT_EQ(2, dma_goes(m, 0));
	EXPECT_RUNS(m, tlbi_page(m), 0);
	EXPECT_EQ(3, dma_goes(m, 0));
}

/* Command queues of each size */

FIXTURE(ring)
{
	struct machine m;
	__u32 size;
};

FIXTURE_VARIANT(ring)
{
	unsigned int log2size;
};

FIXTURE_VARIANT_ADD(ring, size_2) { .log2size = 1 };
FIXTURE_VARIANT_ADD(ring, size_8) { .log2size = 3 };
FIXTURE_VARIANT_ADD(ring, size_256) { .log2size = 8 };
FIXTURE_VARIANT_ADD(ring, size_2_to_19) { .log2size = 19 };

FIXTURE_SETUP(ring)
{
	self->size = 1 << variant->log2size;
	ASSERT_EQ(0, machine_open(&self->m, 6, variant->log2size, 1, 0));
	ASSERT_EQ(1, dma_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(ring)
{
	machine_close(&self->m);
}

TEST_F(ring, nothing_to_do)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stats before = stats_of(m);

	start_at(&m->ring, self->size + 1);
	*(volatile struct cmd *)ring_slot(&m->ring, 1) = illegal;
	EXPECT_TRUE(all_done(m, &out));
	EXPECT_EQ(self->size + 1, out.cons);
	EXPECT_EQ(before.out_host_calls, stats_of(m).out_host_calls);
}

/* One command of a whole lap matters, wherever it is and the lap begins */
TEST_F(ring, full)
{
	struct machine *m = &self->m;
	__u32 start = 0, size = self->size, where, i, lap;
	struct smmuv3_accel_run_cmdq out;
	int page = 1;

	for (lap = 0; lap < 8; lap++) {
		/* Also across the end, from either half */
		start = lap % 4 == 0 ? 0 : lap % 4 == 1 ? size - 1 :
			lap % 4 == 2 ? size + size / 2 : 2 * size - 1;
		where = lap & 1 ? size - 1 : lap * 7 % size;
		start_at(&m->ring, start);
		for (i = 0; i < size; i++)
			ring_put(&m->ring, i == where ? tlbi_page(m) : filler(i));
		remap(m, page % 3 + 1);
		ASSERT_EQ(page, dma_goes(m, 0));
		page = page % 3 + 1;
		ASSERT_TRUE(all_done(m, &out));
		EXPECT_EQ((start + size) % (2 * size), out.cons);
		EXPECT_EQ(page, dma_goes(m, 0))
			TH_LOG("lap from %u, command %u", start, where);
	}
	EXPECT_EQ(8ULL * size, stats_of(m).out_cmds);
}

/* As much as is asked for, no more: what is behind is not yet in force */
TEST_F(ring, max_cmds)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 size = self->size, done, step, num = size < 12 ? size : 12;
	__u32 mask = 2 * size - 1, start = size - num / 2, i;

	for (step = 1; step <= num + 1; step++) {
		remap(m, 1);
		ASSERT_EQ(0, ring_run(&m->ring, &out));
		start_at(&m->ring, start);
		ring_put(&m->ring, tlbi_page(m));
		ASSERT_TRUE(all_done(m, &out));
		ASSERT_EQ(1, dma_goes(m, 0));

		remap(m, 2);
		start_at(&m->ring, start);
		for (i = 0; i < num - 1; i++)
			ring_put(&m->ring, filler(i));
		ring_put(&m->ring, tlbi_page(m));
		for (done = 0; done < num; done += step) {
			ASSERT_EQ(1, dma_goes(m, 0));
			ASSERT_EQ(0, ring_step(&m->ring, step, &out));
			i = done + step < num ? done + step : num;
			EXPECT_EQ((start + i) & mask, out.cons);
		}
		EXPECT_EQ(2, dma_goes(m, 0));
	}
}

/* CONS is the VMM's: the same again does no harm, and has its effect again */
TEST_F(ring, again)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	ring_put(&m->ring, tlbi_page(m));
	ring_put(&m->ring, cmd_sync());
	ASSERT_TRUE(all_done(m, &out));
	ASSERT_EQ(1, dma_goes(m, 0));
	remap(m, 2);
	ASSERT_EQ(1, dma_goes(m, 0));
	m->ring.cons = 0;
	ASSERT_TRUE(all_done(m, &out));
	EXPECT_EQ(2, dma_goes(m, 0));
}

/* Errors, interrupts, memory regions: one size will do */

FIXTURE(queue)
{
	struct machine m;
};

FIXTURE_SETUP(queue)
{
	ASSERT_EQ(0, machine_open(&self->m, 0, 5, 1, 0));
	ASSERT_EQ(1, dma_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(queue)
{
	machine_close(&self->m);
}

TEST_F(queue, illegal_command)
{
	struct machine *m = &self->m;
	struct ring *ring = &m->ring;
	struct smmuv3_accel_stats before = stats_of(m), after;
	struct smmuv3_accel_run_cmdq out;

	start_at(ring, 30);		/* it is beyond the end of the queue */
	ring_put(ring, filler(0));
	ring_put(ring, tlbi_page(m));
	ring_put(ring, filler(1));
	ring_put(ring, illegal);
	ring_put(ring, cmd_tlbi_nh_all());
	ring_put(ring, cmd_sync_irq());
	remap(m, 2);
	ASSERT_EQ(0, ring_run(ring, &out));
	EXPECT_EQ(33, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_OPCODE, out.out_reason);
	EXPECT_EQ(0, out.out_flags) TH_LOG("a CMD_SYNC that is not done wants no interrupt");
	EXPECT_EQ(2, dma_goes(m, 0)) TH_LOG("a command that counts as done was not");

	/* Still there */
	remap(m, 3);
	ASSERT_EQ(0, ring_run(ring, &out));
	EXPECT_EQ(33, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(2, dma_goes(m, 0)) TH_LOG("a command behind the bad one was carried out");

	/* What a guest does: it makes it a CMD_SYNC and goes on */
	*(volatile struct cmd *)ring_slot(ring, 33) = cmd_sync();
	ASSERT_TRUE(all_done(m, &out));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
	EXPECT_EQ(3, dma_goes(m, 0));
	after = stats_of(m);
	EXPECT_EQ(before.out_cmd_errors + 2, after.out_cmd_errors);
	EXPECT_EQ(before.out_cmds + 6, after.out_cmds);
	EXPECT_EQ(before.out_syncs + 2, after.out_syncs);
}

/* One that differs in a single bit from those around it, at each place */
TEST_F(queue, illegal_among_its_like)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 where, bit;

	for (where = 0; where < 16; where++) {
		/* Opcode 0x92, SSEC, and in word 1 what is reserved */
		for (bit = 0; bit < 3; bit++) {
			struct cmd *slot = ring_slot(&m->ring, where);
			__u32 i;

			start_at(&m->ring, 0);
			for (i = 0; i < 16; i++)
				ring_put(&m->ring, filler(i));
			ring_put(&m->ring, cmd_sync());
			slot->w[bit / 2] ^= bit == 0 ? 0x80 : bit == 1 ? 1 << 10 : 1 << 1;
			ASSERT_EQ(0, ring_run(&m->ring, &out));
			EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
			EXPECT_EQ(where, out.cons);
		}
	}
}

/* What lies behind the ring is no part of it, however it looks */
TEST_F(queue, behind_the_end)
{
	struct machine *m = &self->m;
	struct cmd *behind = ring_slot(&m->ring, 0) + 32;
	struct smmuv3_accel_run_cmdq out;

	*(volatile struct cmd *)behind = cmd_sync();
	start_at(&m->ring, 31);
	ring_put(&m->ring, filler(0));
	ring_put(&m->ring, tlbi_page(m));
	remap(m, 2);
	ASSERT_EQ(1, dma_goes(m, 0));
	EXPECT_TRUE(all_done(m, &out));
	EXPECT_EQ(2, dma_goes(m, 0));
}

TEST_F(queue, sync_irq)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	EXPECT_RUNS(m, cmd_sync(), 0);
	EXPECT_RUNS(m, cmd_sync_irq(), SMMUV3_ACCEL_RUN_SYNC_IRQ);
	/* When it is done, not before */
	ring_put(&m->ring, filler(0));
	ring_put(&m->ring, cmd_sync_irq());
	ASSERT_EQ(0, ring_step(&m->ring, 1, &out));
	EXPECT_EQ(0, out.out_flags);
	ASSERT_EQ(0, ring_step(&m->ring, 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
	/* With an error behind it, it was done */
	ring_put(&m->ring, cmd_sync_irq());
	ring_put(&m->ring, illegal);
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
}

/* The ring's end is in no memory, up to there it is run */
TEST_F(queue, unreadable)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_mem_region region = {
		.gpa = GUEST_BASE,
		.size = m->ring.base + 16 * 16 + 8 - GUEST_BASE,
		.uaddr = (__u64)(unsigned long)m->g.ram,
	};
	struct smmuv3_accel_run_cmdq out;
	int i;

	/* Half of command 16 is there */
	ASSERT_EQ(0, accel_mem_regions(&m->g, &region, 1));
	for (i = 0; i < 16; i++)
		ring_put(&m->ring, i == 15 ? tlbi_page(m) : filler(i));
	ring_put(&m->ring, cmd_sync());
	remap(m, 2);
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(16, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ABT, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_UNREADABLE, out.out_reason);
	EXPECT_EQ(2, dma_goes(m, 0));
	ASSERT_EQ(0, accel_mem_table(&m->g));
	EXPECT_TRUE(all_done(m, &out));

	/* There is a region, but nothing of the VMM's behind it */
	region.gpa = GUEST_BASE;
	region.size = GUEST_SIZE;
	region.uaddr = 0;
	ASSERT_EQ(0, accel_mem_regions(&m->g, &region, 1));
	ring_put(&m->ring, cmd_sync());
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ABT, out.out_error);
	EXPECT_EQ(17, out.cons);
}

/*
 * What was done cannot be told: it stays with the guest to take it as not done,
 * so the VMM's next call does it again. Each size has a way of its own.
 */
TEST_F(queue, answer_cannot_be_written)
{
	struct machine *m = &self->m;
	struct {
		struct smmuv3_accel_run_cmdq run;
		__u64 more;
	} *arg;
	const long page = sysconf(_SC_PAGESIZE);
	struct smmuv3_accel_run_cmdq out;
	unsigned int i;

	arg = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	for (i = 0; i < 2; i++) {
		ring_put(&m->ring, tlbi_page(m));
		ring_put(&m->ring, cmd_sync_irq());
		ASSERT_EQ(0, mprotect(arg, page, PROT_READ | PROT_WRITE));
		arg->run = (struct smmuv3_accel_run_cmdq){
			.size = i ? sizeof(*arg) : sizeof(arg->run),
			.prod = m->ring.prod,
			.cons = m->ring.cons,
		};
		ASSERT_EQ(0, mprotect(arg, page, PROT_READ));
		remap(m, 2);
		EXPECT_EQ(-1, ioctl(m->g.accel, SMMUV3_ACCEL_RUN_CMDQ, arg));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(m->ring.cons, arg->run.cons);
		EXPECT_EQ(2, dma_goes(m, 0));
		remap(m, 3);
		EXPECT_EQ(2, dma_goes(m, 0));
		ASSERT_TRUE(all_done(m, &out));
		EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
		EXPECT_EQ(3, dma_goes(m, 0));
	}
	munmap(arg, page);
}

/*
 * The ring is in many regions, the last of which the VMM has elsewhere; the
 * boundaries are between commands and within them.
 */
TEST_F(queue, across_regions)
{
	struct machine *m = &self->m;
	__u64 ring = m->ring.base - GUEST_BASE;
	struct smmuv3_accel_mem_region regions[9];
	struct smmuv3_accel_run_cmdq out;
	__u64 from = 0, to;
	char *copy = malloc(GUEST_SIZE);
	unsigned int i;
	int page;

	ASSERT_NE(NULL, copy);
	for (i = 0; i < ARRAY_LEN(regions); i++) {
		/* One command each, then one and a half */
		to = i == ARRAY_LEN(regions) - 1 ? GUEST_SIZE :
		     i < 4 ? ring + (i + 1) * 16 : ring + 4 * 16 + (i - 3) * 24;
		regions[i] = (struct smmuv3_accel_mem_region){
			.gpa = GUEST_BASE + from,
			.size = to - from,
			.uaddr = (__u64)(unsigned long)m->g.ram + from,
		};
		from = to;
	}
	regions[8].uaddr = (__u64)(unsigned long)copy;
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions, ARRAY_LEN(regions)));

	/* Each command in turn is the one that matters */
	for (i = 0; i < 32; i++) {
		unsigned int k;

		start_at(&m->ring, i % 2 ? 32 : 16);
		for (k = 0; k < 32; k++)
			ring_put(&m->ring, k == i ? tlbi_page(m) : filler(k));
		memcpy(copy, m->g.ram + (regions[8].gpa - GUEST_BASE), 32 * 16);
		/* What is not looked at any more, in the ring's own memory */
		memset(m->g.ram + (regions[8].gpa - GUEST_BASE) + 16, 0xff, 16);
		page = i % 2 + 2;
		remap(m, page);
		ASSERT_NE(page, dma_goes(m, 0));
		ASSERT_TRUE(all_done(m, &out)) TH_LOG("%u: CONS %u, error %u", i, out.cons,
						      out.out_error);
		EXPECT_EQ(page, dma_goes(m, 0)) TH_LOG("command %u", i);
	}
	free(copy);
}

/* What batches are reduced to, by the counters */

FIXTURE(batch)
{
	struct machine m;
	struct smmuv3_accel_stats before;
};

FIXTURE_VARIANT(batch)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(batch, global) { .flags = 0 };
FIXTURE_VARIANT_ADD(batch, no_global) { .flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL };

static char parameter(const char *name)
{
	char path[128], value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/smmuv3_accel/parameters/%s", name);
	f = fopen(path, "r");
	if (f) {
		value = fgetc(f);
		fclose(f);
	}
	return value;
}

FIXTURE_SETUP(batch)
{
	if (parameter("subsume") != 'Y' || parameter("merge") != 'Y' ||
	    parameter("escalate") != '6')
		SKIP(return, "the module was loaded to do otherwise");
	ASSERT_EQ(0, machine_open(&self->m, 0, 8, 1, variant->flags));
	ASSERT_EQ(1, dma_goes(&self->m, 0));
	self->before = stats_of(&self->m);
}

FIXTURE_TEARDOWN(batch)
{
	machine_close(&self->m);
}

#define EXPECT_COUNTS(_issued, _subsumed, _merged, _calls, _zero_copy)	\
	do {								\
		struct smmuv3_accel_run_cmdq _out;			\
		struct smmuv3_accel_stats _now;				\
									\
		ASSERT_TRUE(all_done(&self->m, &_out));			\
		_now = stats_of(&self->m);				\
		EXPECT_EQ(_issued, _now.out_issued - self->before.out_issued); \
		EXPECT_EQ(_subsumed, _now.out_subsumed - self->before.out_subsumed); \
		EXPECT_EQ(_merged, _now.out_merged - self->before.out_merged); \
		EXPECT_EQ(_calls, _now.out_host_calls - self->before.out_host_calls); \
		EXPECT_EQ(_zero_copy, _now.out_zero_copy - self->before.out_zero_copy); \
		self->before = _now;					\
	} while (0)

TEST_F(batch, duplicates)
{
	struct ring *ring = &self->m.ring;
	int i;

	for (i = 0; i < 10; i++)
		ring_put(ring, tlbi_page(&self->m));
	EXPECT_COUNTS(1, 9, 0, 1, 0);
	/* CMD_SYNCs in between change nothing */
	for (i = 0; i < 10; i++) {
		ring_put(ring, tlbi_page(&self->m));
		ring_put(ring, cmd_sync());
	}
	EXPECT_COUNTS(1, 9, 0, 1, 0);
	for (i = 0; i < 10; i++)
		ring_put(ring, i == 5 ? cmd_cfgi_cd_all(VSID) : cmd_cfgi_cd(VSID, 0, true));
	EXPECT_COUNTS(1, 9, 0, 1, 0);
	for (i = 0; i < 10; i++)
		ring_put(ring, i == 5 ? cmd_tlbi_nh_all() : filler(i));
	EXPECT_COUNTS(1, 9, 0, 1, 0);
}

/* NH_ASID stands in for NH_VA only where nothing is global */
TEST_F(batch, asid_and_addresses)
{
	bool no_global = variant->flags;
	int i;

	for (i = 0; i < 10; i++)
		ring_put(&self->m.ring, i == 5 ? cmd_tlbi_asid(GUEST_ASID + 1) : filler(i));
	EXPECT_COUNTS(no_global ? 1 : 10, no_global ? 9 : 0, 0, 1, no_global ? 0 : 1);
}

TEST_F(batch, escalation)
{
	bool no_global = variant->flags;
	int i;

	for (i = 0; i < 64; i++)
		ring_put(&self->m.ring, filler(i));
	EXPECT_COUNTS(64, 0, 0, 1, 1);
	for (i = 0; i < 65; i++)
		ring_put(&self->m.ring, filler(i));
	EXPECT_COUNTS(no_global ? 1 : 65, no_global ? 64 : 0, 0, 1, no_global ? 0 : 1);
}

TEST_F(batch, ranges)
{
	struct smmuv3_accel_phys phys;
	int i;

	ASSERT_EQ(0, accel_phys(&self->m.g, 0, &phys));
	if (!(phys.out_idr[3] >> 10 & 1))
		SKIP(return, "this SMMU has no range invalidations");
	/* Four times four adjacent granules */
	for (i = 0; i < 4; i++)
		ring_put(&self->m.ring,
			 cmd_range(cmd_tlbi_va(GUEST_ASID, i * 0x4000, true), 3, 0, 1, 3));
	EXPECT_COUNTS(1, 0, 3, 1, 0);
	/* With a hole of one granule between them */
	for (i = 0; i < 4; i++)
		ring_put(&self->m.ring,
			 cmd_range(cmd_tlbi_va(GUEST_ASID, i * 0x4000, true), 2, 0, 1, 3));
	EXPECT_COUNTS(4, 0, 0, 1, 1);
	/* 33 granules, which NUM and SCALE cannot express */
	ring_put(&self->m.ring, cmd_range(cmd_tlbi_va(GUEST_ASID, 0, true), 31, 0, 1, 3));
	ring_put(&self->m.ring, cmd_range(cmd_tlbi_va(GUEST_ASID, 0x20000, true), 0, 0, 1, 3));
	EXPECT_COUNTS(2, 0, 0, 1, 1);
}

/* A doorbell is one call of the host, which reads the ring itself */
TEST_F(batch, zero_copy)
{
	struct ring *ring = &self->m.ring;
	int i;

	for (i = 0; i < 20; i++)
		ring_put(ring, filler(i));
	ring_put(ring, cmd_sync());
	EXPECT_COUNTS(20, 0, 0, 1, 1);
	/* Not across the end of the ring */
	start_at(ring, 250);
	for (i = 0; i < 20; i++)
		ring_put(ring, filler(i));
	EXPECT_COUNTS(20, 0, 0, 1, 0);
	/* CDs first, then TLBs: two calls */
	ring_put(ring, cmd_cfgi_cd(VSID, 0, true));
	ring_put(ring, cmd_sync());
	ring_put(ring, filler(0));
	ring_put(ring, filler(1));
	ring_put(ring, cmd_sync());
	EXPECT_COUNTS(3, 0, 0, 2, 2);
}

/* A hostile guest: the ring and the stream table change while they are read */

struct rewriter {
	struct machine *m;
	volatile bool stop;
	unsigned long done;
};

static void *rewrite(void *arg)
{
	struct rewriter *r = arg;
	struct ring *ring = &r->m->ring;
	static const __u8 opcodes[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x30, 0x46,
	};
	volatile __u64 *ste = strtab_ste(&r->m->strtab, VSID);
	unsigned int seed = 1;

	while (!r->stop) {
		volatile struct cmd *slot = ring_slot(ring, rand_r(&seed));
		unsigned int how = rand_r(&seed) % 64;
		__u64 garbage = (__u64)rand_r(&seed) << 33 ^ (__u64)rand_r(&seed) << 11 ^
				rand_r(&seed);

		if (how == 0) {
			slot->w[0] = garbage;
			slot->w[1] = garbage * 3;
		} else if (how == 1) {
			ste[0] = garbage | STE_V;
		} else if (how == 2) {
			strtab_write(&r->m->strtab, VSID, r->m->s1);
		} else if (how < 8) {
			slot->w[0] = cmd_cfgi_ste(VSID, true).w[0];
			slot->w[1] = 0;
		} else if (how < 36) {
			/* Legal, one word at a time */
			slot->w[0] = filler(0).w[0];
			slot->w[1] = garbage & ~0xfffULL;
		} else {
			slot->w[0] = opcodes[garbage % sizeof(opcodes)];
			slot->w[1] = 0;
		}
		r->done++;
	}
	return NULL;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

TEST(rewritten_while_it_runs)
{
	struct smmuv3_accel_run_cmdq out;
	unsigned long laps = 0, stops = 0;
	struct machine m;
	struct rewriter rewriter = { .m = &m };
	pthread_t thread;
	double end;
	__u32 i;

	ASSERT_EQ(0, machine_open(&m, 6, 8, 1, 0));
	ASSERT_EQ(1, dma_goes(&m, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, rewrite, &rewriter));
	for (end = seconds() + 3; seconds() < end; laps++) {
		/* Short stretches too: there are short cuts for them */
		__u32 num = laps % 2 ? 256 : laps % 4 ? 2 : laps % 20;
		__u32 cons = laps * 37 % 512, done;

		m.ring.cons = cons;
		m.ring.prod = (cons + num) % 512;
		ASSERT_EQ(0, ring_run(&m.ring, &out)) TH_LOG("reason %u", out.out_reason);
		done = (out.cons - cons) & 511;
		ASSERT_GE(num, done);
		ASSERT_EQ(out.out_error ? SMMUV3_ACCEL_CERROR_ILL : 0, out.out_error);
		/* Where it stopped, and why, agree */
		ASSERT_EQ(done < num, !!out.out_error);
		ASSERT_EQ(!!out.out_error, !!out.out_reason);
		stops += done < num;
	}
	rewriter.stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%lu laps, %lu stopped, %lu commands rewritten, %llu host calls made again",
	       laps, stops, rewriter.done, stats_of(&m).out_replays);
	EXPECT_LT(0, stops);

	/* And then as if nothing had been */
	strtab_write(&m.strtab, VSID, m.s1);
	start_at(&m.ring, 0);
	EXPECT_RUNS(&m, cmd_cfgi_all(), 0);
	EXPECT_RUNS(&m, cmd_tlbi_nh_all(), 0);
	EXPECT_EQ(1, dma_goes(&m, 0));
	for (i = 2; i < PAGES; i++) {
		remap(&m, i);
		EXPECT_EQ(i - 1, dma_goes(&m, 0));
		EXPECT_RUNS(&m, tlbi_page(&m), 0);
		EXPECT_EQ(i, dma_goes(&m, 0));
	}
	machine_close(&m);
}

/* A signal ends a long run early; what was done is told, and nothing is lost */

static volatile int signals;

static void on_signal(int signal)
{
	signals++;
}

TEST(signal_during_a_run)
{
	const struct itimerval timer = { { 0, 3000 }, { 0, 3000 } }, off = { };
	struct sigaction action = { .sa_handler = on_signal };
	const __u32 size = 1 << 19;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stats before;
	unsigned int calls = 0, none = 0;
	struct machine m;
	__u32 cons = 0, i;
	int rc;

	ASSERT_EQ(0, machine_open(&m, 0, 19, 1, 0));
	ASSERT_EQ(1, dma_goes(&m, 0));
	before = stats_of(&m);
	/* All different, so that each goes to the host */
	for (i = 0; i < size; i++)
		ring_put(&m.ring, i == size - 1 ? tlbi_page(&m) : filler(i));
	remap(&m, 2);
	ASSERT_EQ(1, dma_goes(&m, 0));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	while (m.ring.cons != m.ring.prod && calls++ < 1000000) {
		rc = ring_run(&m.ring, &out);
		if (rc == -EINTR) {
			none++;
			ASSERT_EQ(cons, out.cons) TH_LOG("EINTR with some progress");
			continue;
		}
		ASSERT_EQ(0, rc);
		ASSERT_EQ(0, out.out_error);
		ASSERT_LT(cons, out.cons);
		cons = out.cons;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	TH_LOG("%d signals, %u calls, %u without progress", signals, calls, none);
	EXPECT_EQ(size, cons);
	EXPECT_LT(1, calls);
	EXPECT_EQ(2, dma_goes(&m, 0));
	EXPECT_EQ(before.out_cmds + size, stats_of(&m).out_cmds);
	machine_close(&m);
}

/* What the tracepoints tell, which turn the shortcuts of a run off */

#define TRACE	"/sys/kernel/tracing/instances/smmuv3-accel-cmdq"

FIXTURE(trace)
{
	struct machine m;
	__u32 id;
	char text[4096];
};

/* All events since the last call, a line each, with neither when, who nor how long */
static const char *trace_take(char *text, size_t size)
{
	FILE *trace = fopen(TRACE "/trace", "r");
	char line[512], *event, *ns, *rest;
	size_t len = 0;

	text[0] = 0;
	while (trace && fgets(line, sizeof(line), trace)) {
		event = strstr(line, "smmuv3_accel_");
		if (line[0] == '#' || !event)
			continue;
		ns = strstr(event, " ns=");
		if (ns) {
			rest = ns + 4 + strspn(ns + 4, "0123456789");
			memmove(ns, rest, strlen(rest) + 1);
		}
		if (len < size)
			len += snprintf(text + len, size - len, "%s", event);
	}
	if (trace)
		fclose(trace);
	trace = fopen(TRACE "/trace", "w");	/* which empties it */
	if (trace)
		fclose(trace);
	return text;
}

#define EXPECT_TRACED(...)							\
	do {									\
		char _want[1024];						\
										\
		snprintf(_want, sizeof(_want), __VA_ARGS__);			\
		EXPECT_STREQ(_want, trace_take(self->text, sizeof(self->text)));	\
	} while (0)

/* asked, done, issued, cerror, reason */
#define TRACED_RUN								\
	"smmuv3_accel_run: vsmmu=%u asked=%u done=%u issued=%u subsumed=0 "	\
	"merged=0 cerror=%u reason=%u vsid=0x0 error=0\n"

FIXTURE_SETUP(trace)
{
	static const char first[] = "smmuv3_accel_attach: vsmmu=";
	const char *text;

	rmdir(TRACE);		/* of a run that was ended */
	if (access("/sys/kernel/tracing/events/smmuv3_accel", F_OK))
		SKIP(return, "no tracefs");
	ASSERT_EQ(0, mkdir(TRACE, 0700));
	ASSERT_EQ(0, sysfs_write(TRACE "/events/smmuv3_accel/enable", "1"));
	ASSERT_EQ(0, machine_open(&self->m, 0, 5, 1, 0));
	text = trace_take(self->text, sizeof(self->text));
	ASSERT_EQ(0, strncmp(text, first, strlen(first))) TH_LOG("%s", text);
	self->id = strtoul(text + strlen(first), NULL, 10);
}

FIXTURE_TEARDOWN(trace)
{
	machine_close(&self->m);
	rmdir(TRACE);
}

TEST_F(trace, stream)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_attach out;
	__u32 reason;

	EXPECT_EQ(-EEXIST, accel_attach(&m->g, m->dev[0].fd, VSID, &out));
	EXPECT_TRACED("smmuv3_accel_attach: vsmmu=%u vsid=0x%x dev_id=0 error=%d reason=%u\n",
		      self->id, VSID, -EEXIST, out.out_reason);
	ASSERT_EQ(0, accel_detach(&m->g, VSID, &reason));
	EXPECT_TRACED("smmuv3_accel_detach: vsmmu=%u vsid=0x%x\n", self->id, VSID);
	ASSERT_EQ(0, accel_attach(&m->g, m->dev[0].fd, VSID, &out));
	EXPECT_TRACED("smmuv3_accel_ste: vsmmu=%u vsid=0x%x abort -> s1 reason=0 error=0\n"
		      "smmuv3_accel_attach: vsmmu=%u vsid=0x%x dev_id=%u error=0 reason=0\n",
		      self->id, VSID, self->id, VSID, m->dev[0].dev_id);
}

TEST_F(trace, run)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_invalidate inv;
	struct cmd cmds[] = { tlbi_page(m), cmd_sync() };
	__u64 ste[8];
	__u32 flags;

	/* A doorbell that has a shorter way otherwise */
	ASSERT_EQ(1, dma_goes(m, 0));
	remap(m, 2);
	EXPECT_RUNS(m, tlbi_page(m), 0);
	EXPECT_TRACED(TRACED_RUN, self->id, 2, 2, 1, 0, 0);
	EXPECT_EQ(2, dma_goes(m, 0));

	/* With an STE that is not legal */
	ste_config(ste, STE_CFG_S2);
	strtab_write(&m->strtab, VSID, ste);
	ASSERT_TRUE(run_one(m, cmd_cfgi_ste(VSID, true), &flags));
	EXPECT_TRACED("smmuv3_accel_ste: vsmmu=%u vsid=0x%x s1 -> abort reason=%u error=0\n"
		      TRACED_RUN, self->id, VSID, reason_of(m, VSID), self->id, 2, 2, 0, 0, 0);

	/* With an error of the guest's */
	ring_put(&m->ring, filler(0));
	ring_put(&m->ring, illegal);
	ring_put(&m->ring, filler(1));
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_TRACED(TRACED_RUN, self->id, 3, 1, 1, SMMUV3_ACCEL_CERROR_ILL, out.out_reason);
	EXPECT_NE(0, out.out_reason);

	/* Without a queue */
	ASSERT_EQ(0, accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &inv));
	EXPECT_TRACED(TRACED_RUN, self->id, 2, 2, 1, 0, 0);

	ASSERT_EQ(0, sysfs_write(TRACE "/events/smmuv3_accel/enable", "0"));
	ASSERT_EQ(0, accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &inv));
	EXPECT_STREQ("", trace_take(self->text, sizeof(self->text)));
}

TEST_HARNESS_MAIN
