// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the filtered fan-out: which CD tables count, and for how long.
 */
#include <kunit/static_stub.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "filter.h"
#include "fixture.h"

#define TEST_ASID	9	/* only the test's table has it */
#define OTHER_ASID	3	/* the other tables have it */
#define STE_CDS(log2)	FIELD_CONST(STE_0_S1CDMAX, log2)
#define STE_S1FMT(fmt)	FIELD_CONST(STE_0_S1FMT, fmt)

/* Table 0 is that of all streams. A table has room for 128 CDs. */
static u64 table_gpa(u32 table)
{
	return RING_GPA + CD_AREA + table * 2 * SZ_4K;
}

static u64 ste_at(u32 table)
{
	return STE_S1_AT(table_gpa(table) >> 12);
}

static void put_asid(struct kunit *test, u32 table, u32 cd, u16 asid)
{
	fx_put_cd(test, table_gpa(table) + cd * 64, asid);
}

static struct cmd tlbi_of(u16 asid)
{
	return cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, asid), 0);
}

static struct cmd tlbi_asid(void)
{
	return tlbi_of(TEST_ASID);
}

/* Two streams behind each SMMU, all with stage 1 and the ASID that is not of interest */
static void start(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_open_table_with(test, &(const struct open_options){
		.filter = true, .no_global = true });
	put_asid(test, 0, 0, OTHER_ASID);
	put_asid(test, 1, 0, OTHER_ASID);
	fx_put_all_stes(test, STE_ABORT, 0);
	fx_attach_all(test);
	fx_set_cmdq(test, 4);
	fx_put_all_stes(test, ste_at(0), 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_all(), sync()), 2);
	f->mock->log_num = 0;
}

/* The first stream gets another table, of which the first word is @ste. */
static void use_table(struct kunit *test, u64 ste)
{
	struct fixture *f = test->priv;

	fx_put_ste(test, VSID, ste, 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), sync()), 2);
	f->mock->log_num = 0;
}

/* A TLBI of an ASID goes to SMMU 0, and not to SMMU 1. */
static void expect_known(struct kunit *test, u16 asid)
{
	struct fixture *f = test->priv;

	/* A run of TLBIs flushes what is new first. */
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(asid), sync()), 2);
	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(asid), sync()), 2);
	EXPECT_GIVEN(test, 0, tlbi_of(asid));
	EXPECT_GIVEN(test, 1);
}

static void expect_unknown(struct kunit *test, u16 asid)
{
	struct fixture *f = test->priv;
	u64 withheld = f->v->stats.out_withheld;

	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(asid), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, withheld + MOCK_SMMUS);
}

static void leave_by_ste(struct kunit *test)
{
	use_table(test, ste_at(1));
}

static void leave_by_bypass(struct kunit *test)
{
	use_table(test, STE_BYPASS);
}

static void leave_by_abort(struct kunit *test)
{
	use_table(test, STE_ABORT);
}

static void leave_by_smmuen(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->regs.cr0 &= ~CR0_SMMUEN;
	fx_must_set_regs(test);
}

static void leave_by_strtab(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_put_ste(test, VSID, ste_at(1), 0);
	f->regs.strtab_base_cfg--;
	fx_must_set_regs(test);
}

static void leave_by_detach(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_must_detach(test, f->v, VSID);
}

static void leave_by_vsid(struct kunit *test)
{
	struct fixture *f = test->priv;

	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, UNSET(1) }));
}

/* Some bytes of table 2 are elsewhere in the VMM. */
static void move_table(struct kunit *test, size_t from, size_t len, void __user *to)
{
	struct fixture *f = test->priv;
	const u64 start = table_gpa(2) - RING_GPA + from, end = start + len;
	const struct smmuv3_accel_mem_region regions[] = {
		{ TABLE_GPA, TABLE_LEN, (uintptr_t)f->table },
		{ RING_GPA, start, (uintptr_t)f->ring },
		{ RING_GPA + start, len, (uintptr_t)to },
		{ RING_GPA + end, RING_MAX - end, (uintptr_t)f->ring + end },
	};

	fx_set_mem(test, regions, ARRAY_SIZE(regions));
}

static void leave_by_mem(struct kunit *test)
{
	const __le64 word0 = cpu_to_le64(CD_0_V | FIELD_PREP(CD_0_ASID, OTHER_ASID));
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, copy_to_user(f->array, &word0, sizeof(word0)), 0);
	move_table(test, 0, SZ_4K, f->array);
}

static void leave_by_no_mem(struct kunit *test)
{
	fx_take_cds_away(test);
	put_asid(test, 2, 0, OTHER_ASID);
	fx_set_whole_mem(test);
}

static const struct leave_case {
	const char *name;
	void (*leave)(struct kunit *test);
} leave_cases[] = {
	{ "another table", leave_by_ste },
	{ "bypass", leave_by_bypass },
	{ "abort", leave_by_abort },
	{ "SMMUEN cleared", leave_by_smmuen },
	{ "another stream table", leave_by_strtab },
	{ "DETACH", leave_by_detach },
	{ "StreamID taken away", leave_by_vsid },
	{ "other memory", leave_by_mem },
	{ "no memory, and other memory", leave_by_no_mem },
};

KUNIT_ARRAY_PARAM_DESC(leave, leave_cases, name);

/*
 * The SMMU may have fetched a CD that the guest has not told of. Its entries stay when
 * the stream leaves the table or the table's memory, while another stream is behind the
 * SMMU.
 */
static void left_table_counts(struct kunit *test)
{
	const struct leave_case *c = test->param_value;

	start(test);
	put_asid(test, 2, 0, OTHER_ASID);
	use_table(test, ste_at(2));
	expect_unknown(test, TEST_ASID);
	put_asid(test, 2, 0, TEST_ASID);
	c->leave(test);
	expect_known(test, TEST_ASID);
}

/* A TLBI that comes while no CD can be read is sent this once. */
static void unreadable_table_counts_once(struct kunit *test)
{
	start(test);
	fx_take_cds_away(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	EXPECT_GIVEN(test, 0, tlbi_asid());
	EXPECT_GIVEN(test, 1, tlbi_asid());
	fx_set_whole_mem(test);
	expect_unknown(test, TEST_ASID);
}

/* The page of the CDs is not in memory. A TLBI is sent, and brings the page back. */
static void missing_page_is_fetched(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long page = (unsigned long)f->ring + CD_AREA;
	u32 cds;

	for (cds = 0; cds < 2; cds++) {
		start(test);
		fx_put_all_stes(test, ste_at(0) | STE_CDS(1) * cds, 0);
		EXPECT_DONE(test, RUN_CMDS(test, cfgi_all(), sync()), 2);
		expect_unknown(test, TEST_ASID);
		/* A new page of zeroes, which no one has touched */
		KUNIT_ASSERT_EQ(test, vm_mmap(NULL, page, PAGE_SIZE, PROT_READ | PROT_WRITE,
					      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0), page);
		f->mock->log_num = 0;
		EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
		EXPECT_GIVEN(test, 0, tlbi_asid());
		EXPECT_GIVEN(test, 1, tlbi_asid());
		expect_unknown(test, TEST_ASID);
		fx_close(f->v);
	}
}

/*
 * DETACH of the last device fails, and leaves a flush pending. When the next ATTACH does
 * it, the SMMU keeps its ASIDs, because its stream still uses them.
 */
static void flush_with_a_stream_empties_no_set(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 2, 0, TEST_ASID);
	use_table(test, ste_at(2));
	fx_must_detach(test, f->v, VSID_NEXT);
	mock_fail(f->mock, MOCK_DETACH, 1, 1, -EINTR);
	KUNIT_EXPECT_EQ(test, fx_detach(f->v, VSID).rc, -EINTR);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 1);
	f->mock->log_num = 0;
	fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	EXPECT_GIVEN(test, 0, tlbi_all());
	/* The SMMU may have the CD as it was. */
	put_asid(test, 2, 0, OTHER_ASID);
	expect_known(test, TEST_ASID);
}

/* The set is full, and a TLBI comes while a CD has one more ASID. */
static void one_asid_too_many(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_phys *phys;
	u32 i;

	start(test);
	phys = stream_of(f->v, VSID)->phys;
	for (i = 1; i < SMMUV3_MAX_ASIDS; i++) {
		put_asid(test, 2, 0, TEST_ASID + i);
		use_table(test, ste_at(2));
	}
	KUNIT_EXPECT_EQ(test, phys->asids.num, SMMUV3_MAX_ASIDS);
	KUNIT_EXPECT_FALSE(test, phys->asids.all);
	expect_unknown(test, TEST_ASID);
	/* After this, the SMMU may have any ASID. */
	put_asid(test, 2, 0, TEST_ASID + i);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	EXPECT_GIVEN(test, 0, tlbi_asid());
	EXPECT_GIVEN(test, 1);
	KUNIT_EXPECT_TRUE(test, phys->asids.all);
	expect_known(test, TEST_ASID);
}

/* An SMMU compares as many bits of an ASID as it has. */
static void asid_bits_count(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->smmu[0].idr[0] &= ~IDR0_ASID16;
	f->mock->smmu[1].idr[0] &= ~IDR0_ASID16;
	start(test);
	put_asid(test, 2, 0, 0x100 | TEST_ASID);
	use_table(test, ste_at(2));
	expect_known(test, TEST_ASID);
	put_asid(test, 2, 0, 0x200 | (TEST_ASID + 1));
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(TEST_ASID + 1), sync()), 2);
	EXPECT_BATCH(test, f->mock->log_num - 1, 0, tlbi_of(TEST_ASID + 1));
}

/* A run of TLBIs goes whole to an SMMU that may need one of them. */
static void one_asid_of_many_counts(struct kunit *test)
{
	const struct cmd other = tlbi_of(TEST_ASID + 1), known = tlbi_of(OTHER_ASID);
	struct fixture *f = test->priv;

	start(test);
	EXPECT_DONE(test, RUN_CMDS(test, other, tlbi_asid(), known, sync()), 4);
	EXPECT_GIVEN(test, 0, other, tlbi_asid(), known);
	EXPECT_GIVEN(test, 1, other, tlbi_asid(), known);
	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, other, tlbi_asid(), sync()), 3);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, 2 * MOCK_SMMUS);
}

/* If the table that a stream leaves cannot be read, its SMMU may have any ASID. */
static void left_table_is_unreadable(struct kunit *test)
{
	start(test);
	fx_take_cds_away(test);
	fx_put_ste(test, VSID, STE_ABORT, 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), sync()), 2);
	EXPECT_GIVEN(test, 0, tlbi_all());
	EXPECT_GIVEN(test, 1);
	fx_set_whole_mem(test);
	expect_known(test, TEST_ASID);
}

/* Its last stream's tables do not count after DETACH or RESET has flushed an SMMU. */
static void flushed_smmu_has_none(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 2, 0, TEST_ASID);
	use_table(test, ste_at(2));
	expect_known(test, TEST_ASID);
	fx_must_detach(test, f->v, VSID_NEXT);
	expect_known(test, TEST_ASID);
	fx_must_detach(test, f->v, VSID);
	put_asid(test, 2, 0, OTHER_ASID);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	expect_unknown(test, TEST_ASID);

	put_asid(test, 2, 0, TEST_ASID);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 0), sync()), 2);
	expect_known(test, TEST_ASID);
	EXPECT_OK(test, fx_reset(f->v));
	put_asid(test, 2, 0, OTHER_ASID);
	fx_must_set_regs(test);
	expect_unknown(test, TEST_ASID);
}

/* The guest flushes all. An SMMU still uses the CD that it has, which (c) cannot see. */
static void guest_empties_no_set(struct kunit *test)
{
	start(test);
	put_asid(test, 2, 0, TEST_ASID);
	use_table(test, ste_at(2));
	put_asid(test, 2, 0, OTHER_ASID);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_all(), sync()), 2);
	expect_known(test, TEST_ASID);
	EXPECT_DONE(test, RUN_CMDS(test, cmd(CMD_TLBI_NSNH_ALL, 0), sync()), 2);
	expect_known(test, TEST_ASID);
}

/* The table of a device that comes counts. Its ASID is flushed before it can be used. */
static void attached_table_counts(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	fx_must_detach(test, f->v, VSID);
	put_asid(test, 2, 0, TEST_ASID);
	fx_put_ste(test, VSID, ste_at(2), 0);
	expect_unknown(test, TEST_ASID);
	f->mock->log_num = 0;
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	for (i = 0; i < f->mock->log_num && f->mock->log[i].op != MOCK_INVALIDATE; i++)
		KUNIT_EXPECT_NE(test, f->mock->log[i].op, MOCK_ATTACH);
	EXPECT_GIVEN(test, 0, tlbi_asid());
	put_asid(test, 2, 0, OTHER_ASID);
	expect_known(test, TEST_ASID);
}

/* Nothing was withheld from the only SMMU, so it may have any ASID, and nothing to flush. */
static void lone_smmu_has_any_asid(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_open_table_with(test, &(const struct open_options){
		.filter = true, .no_global = true });
	put_asid(test, 0, 0, OTHER_ASID);
	fx_put_all_stes(test, ste_at(0), 0);
	fx_set_cmdq(test, 4);
	f->mock->log_num = 0;
	fx_must_attach(test, f->v, .fd = 4, .vsid = VSID_OTHER);
	EXPECT_GIVEN(test, 1);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	f->mock->log_num = 0;
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	EXPECT_GIVEN(test, 0);
	EXPECT_GIVEN(test, 1, tlbi_asid());
}

/* An ASID that comes with a StreamID is flushed. If that fails, the same call repeats it. */
static void new_asid_of_a_vsid_is_flushed(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 2, 0, TEST_ASID);
	fx_put_ste(test, VSID + 0x30, ste_at(2), 0);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID + 0x30 }));
	EXPECT_GIVEN(test, 0, tlbi_asid());
	EXPECT_GIVEN(test, 1);

	put_asid(test, 1, 0, TEST_ASID + 1);
	fx_put_ste(test, VSID, ste_at(1), 0);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID + 0x30, VSID }), .rc = -EBUSY,
		      .reason = REASON(RETRY), .vsid = VSID);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	f->mock->log_num = 0;
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID }));
	EXPECT_GIVEN(test, 0, tlbi_of(TEST_ASID + 1));
	EXPECT_GIVEN(test, 1);
}

static const struct format_case {
	const char *name;
	u64 ste;
	u32 cd;
	bool all;
} format_cases[] = {
	{ "one CD", 0, 0, false },
	{ "one CD, its format does not matter", STE_S1FMT(2), 0, false },
	{ "two CDs", STE_CDS(1), 1, false },
	{ "64 CDs", STE_CDS(6), 63, false },
	{ "128 CDs", STE_CDS(7), 127, true },
	{ "reserved format", STE_CDS(3) | STE_S1FMT(STE_S1FMT_RESERVED), 7, false },
	{ "two levels, 4 KiB", STE_CDS(1) | STE_S1FMT(1), 0, true },
	{ "two levels, 64 KiB", STE_CDS(1) | STE_S1FMT(2), 0, true },
	{ "not aligned", STE_CDS(6) | 64, 1, true },
};

KUNIT_ARRAY_PARAM_DESC(format, format_cases, name);

/* Each CD that the STE reaches counts. A table that is not followed has any ASID. */
static void each_cd_counts(struct kunit *test)
{
	const struct format_case *c = test->param_value;
	struct fixture *f = test->priv;
	u32 i;

	for (i = 0; i < MOCK_SMMUS; i++)
		f->mock->smmu[i].idr[0] |= IDR0_CD2L;
	start(test);
	put_asid(test, 2, c->cd, TEST_ASID);
	fx_put_ste(test, VSID, ste_at(2) | c->ste, 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), sync()), 2);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.kind, KIND(S1));
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->phys->asids.all, c->all);
	expect_known(test, TEST_ASID);

	/* The same is found by a TLBI, before the guest tells. */
	if (c->all)
		return;
	put_asid(test, 2, c->cd, TEST_ASID + 1);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_of(TEST_ASID + 1), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 1);
}

/* With another memory table, the same CD is elsewhere in the VMM. */
static void table_elsewhere_in_the_vmm(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_mem_region regions[] = {
		{ TABLE_GPA, TABLE_LEN, (uintptr_t)f->table },
		{ RING_GPA, CD_AREA, (uintptr_t)f->ring },
		{ RING_GPA + CD_AREA, PAGE_SIZE, (uintptr_t)f->array },
	};
	const __le64 word0 = cpu_to_le64(CD_0_V | FIELD_PREP(CD_0_ASID, TEST_ASID));

	start(test);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	KUNIT_ASSERT_EQ(test, copy_to_user(f->array, &word0, sizeof(word0)), 0);
	fx_set_mem(test, regions, ARRAY_SIZE(regions));
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	EXPECT_BATCH(test, 0, 0, tlbi_asid());
	EXPECT_BATCH(test, 1, 1, tlbi_asid());
}

/* Store a CD that is elsewhere in the VMM. */
static void put_at(struct kunit *test, void __user *to, u16 asid)
{
	const __le64 word0 = cpu_to_le64(CD_0_V | FIELD_PREP(CD_0_ASID, asid));

	KUNIT_ASSERT_EQ(test, copy_to_user(to, &word0, sizeof(word0)), 0);
}

/*
 * The second CD is elsewhere, and then elsewhere again. Each time, the SMMU may have
 * cached what it was.
 */
static void one_cd_elsewhere_in_the_vmm(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	put_asid(test, 2, 0, OTHER_ASID);
	put_asid(test, 2, 1, OTHER_ASID);
	use_table(test, ste_at(2) | STE_CDS(1));
	expect_unknown(test, TEST_ASID);
	put_asid(test, 2, 1, TEST_ASID);
	for (i = 0; i < 2; i++) {
		put_at(test, f->array + i * SZ_4K, OTHER_ASID);
		move_table(test, 64, 64, f->array + i * SZ_4K);
		expect_known(test, TEST_ASID + i);
		expect_unknown(test, TEST_ASID + i + 1);
		put_at(test, f->array + i * SZ_4K, TEST_ASID + i + 1);
	}
}

/* The ASID of the second CD is elsewhere, and then back. Its first word was in two parts. */
static void one_asid_elsewhere_in_the_vmm(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	put_asid(test, 2, 0, OTHER_ASID);
	put_asid(test, 2, 1, OTHER_ASID);
	put_at(test, f->array, OTHER_ASID);
	move_table(test, 68, 4, f->array + 4);
	use_table(test, ste_at(2) | STE_CDS(1));
	put_at(test, f->array, TEST_ASID);
	fx_set_whole_mem(test);
	expect_known(test, TEST_ASID);
}

/* A VMM sets its memory table for other reasons, while the page of the CDs is missing. */
static void same_memory_has_no_effect(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long page = (unsigned long)f->ring + CD_AREA;
	struct smmuv3_phys *phys;

	start(test);
	KUNIT_ASSERT_EQ(test, vm_mmap(NULL, page, PAGE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0), page);
	move_table(test, SZ_4K, SZ_4K, f->array);
	list_for_each_entry(phys, &f->v->phys, node)
		KUNIT_EXPECT_FALSE(test, phys->asids.all);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	expect_unknown(test, TEST_ASID);
}

/* A dry run of ATTACH notes no ASID. */
static void dry_run_notes_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	fx_must_detach(test, f->v, VSID);
	/* This table cannot be read. */
	fx_put_ste(test, VSID, STE_S1_AT(1), 0);
	f->mock->log_num = 0;
	EXPECT_OK(test, fx_attach(f->v, .fd = fx_streams[0].fd, .vsid = VSID,
				  .flags = SMMUV3_ACCEL_ATTACH_DRY_RUN));
	KUNIT_EXPECT_FALSE(test, stream_of(f->v, VSID_NEXT)->phys->asids.all);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_asid(), sync()), 2);
	EXPECT_GIVEN(test, 0);
	EXPECT_GIVEN(test, 1);
}

static u32 looks;

static int count_looks(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
		       const struct smmuv3_ste *ste)
{
	looks++;
	return 0;
}

/* The module reads the CDs of a stream once for many CFGI_CDs, in whichever order. */
static void cds_are_read_once(struct kunit *test)
{
	const u32 num = SMMUV3_HOST_MAX_BATCH;
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	fx_put_ste(test, VSID, ste_at(2) | STE_CDS(6), 0);
	fx_put_ste(test, VSID_OTHER, ste_at(2) | STE_CDS(6), 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_all(), sync()), 2);
	for (i = 0; i < num; i++)
		f->cmds[i] = cfgi_cd(i % 2 ? VSID : VSID_OTHER, i / 2);
	kunit_activate_static_stub(test, smmuv3_filter_look, count_looks);
	for (i = 1; i <= 2; i++) {
		f->mock->log_num = 0;
		looks = 0;
		EXPECT_DONE(test, fx_invalidate(test, f->v, f->cmds, num), num);
		KUNIT_EXPECT_EQ(test, looks, 2);
	}
}

static struct kunit_case filter_tables_cases[] = {
	KUNIT_CASE_PARAM(left_table_counts, leave_gen_params),
	KUNIT_CASE(left_table_is_unreadable),
	KUNIT_CASE(unreadable_table_counts_once),
	KUNIT_CASE(missing_page_is_fetched),
	KUNIT_CASE(flush_with_a_stream_empties_no_set),
	KUNIT_CASE(one_asid_too_many),
	KUNIT_CASE(asid_bits_count),
	KUNIT_CASE(one_asid_of_many_counts),
	KUNIT_CASE(flushed_smmu_has_none),
	KUNIT_CASE(guest_empties_no_set),
	KUNIT_CASE(attached_table_counts),
	KUNIT_CASE(lone_smmu_has_any_asid),
	KUNIT_CASE(new_asid_of_a_vsid_is_flushed),
	KUNIT_CASE_PARAM(each_cd_counts, format_gen_params),
	KUNIT_CASE(table_elsewhere_in_the_vmm),
	KUNIT_CASE(one_cd_elsewhere_in_the_vmm),
	KUNIT_CASE(one_asid_elsewhere_in_the_vmm),
	KUNIT_CASE(same_memory_has_no_effect),
	KUNIT_CASE(dry_run_notes_nothing),
	KUNIT_CASE(cds_are_read_once),
	{}
};

static struct kunit_suite filter_tables_suite = {
	.name = "smmuv3-accel-filter-tables",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = filter_tables_cases,
};

kunit_test_suites(&filter_tables_suite);
