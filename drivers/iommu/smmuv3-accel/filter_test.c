// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the filtered fan-out. The model has a TLB for each physical SMMU, and
 * SMMUs that fetch CDs and translate at any step. No device may get a translation that
 * the guest has invalidated.
 */
#include <linux/uaccess.h>

#include "filter.h"
#include "fixture.h"

#define ASIDS		4
#define ASID_OF(n)		(5 + (n))
#define PAGES		3
#define PAGE_GLOBAL	2	/* without NO_GLOBAL, this page is global */
#define TABLES		2	/* CD tables that a stream uses in turn */
#define CDS_LEN		(STREAMS * TABLES * SZ_4K)

/* What an SMMU has cached for a page */
struct entry {
	bool valid;
	u32 version;
};

/**
 * struct model - The guest, and what the SMMUs have cached
 * @no_global: no page is global
 * @rough: host calls fail, streams come and go, memory moves, and the guest boots again
 * @moved: the CDs are in the other memory
 * @attached: the stream is attached
 * @version: of each page's translation in the guest
 * @need: the oldest version that a device may get
 * @global_version: the same, for the global page
 * @global_need: the same, for the global page
 * @tlb: entries by ASID; the global page has entries in the first row only
 * @cd: the CD in memory, of each table of each stream: ASID number, or -1 for V = 0
 * @dirty: the CD was stored since the last CFGI for its stream
 * @table: the table that the STE in force names; -1: the stream aborts
 * @cached: ASID number of the CD that the SMMU has cached for the stream, or -1
 * @told: the guest has told of this ASID there, by a CFGI
 * @excused: a CD had this ASID between two looks of the module, and the guest did not
 *	tell. It may get stale translations until it does
 * @checks: how many hits were checked
 */
struct model {
	bool no_global;
	bool rough;
	bool moved;
	bool attached[STREAMS];
	u32 version[ASIDS][PAGES];
	u32 need[ASIDS][PAGES];
	u32 global_version;
	u32 global_need;
	struct entry tlb[MOCK_SMMUS][ASIDS][PAGES];
	int cd[STREAMS][TABLES];
	bool dirty[STREAMS];
	int table[STREAMS];
	int cached[STREAMS];
	bool told[MOCK_SMMUS][ASIDS];
	bool excused[MOCK_SMMUS][ASIDS];
	u32 checks;
};

static u32 smmu_of(u32 s)
{
	return fx_streams[s].fd / (MOCK_DEVS / MOCK_SMMUS);
}

static u64 table_gpa(u32 s, u32 table)
{
	return RING_GPA + CD_AREA + (s * TABLES + table) * SZ_4K;
}

/* Where the CDs are in the VMM */
static void __user *cds_at(const struct fixture *f, bool moved)
{
	return moved ? f->array : f->ring + CD_AREA;
}

static void put_cd(struct kunit *test, struct model *m, u32 s, u32 table, int asid)
{
	struct fixture *f = test->priv;
	__le64 word0 = cpu_to_le64(asid < 0 ? FIELD_PREP(CD_0_ASID, 1) :
				   CD_0_V | FIELD_PREP(CD_0_ASID, ASID_OF(asid)));

	KUNIT_ASSERT_EQ(test, copy_to_user(cds_at(f, m->moved) +
					   (table_gpa(s, table) - table_gpa(0, 0)), &word0,
					   sizeof(word0)), 0);
	m->cd[s][table] = asid;
}

static bool is_global(const struct model *m, u32 page)
{
	return !m->no_global && page == PAGE_GLOBAL;
}

/* An SMMU fetches a CD, if it wants to. */
static void speculate(struct model *m, u32 s)
{
	if (m->table[s] >= 0 && m->cached[s] < 0)
		m->cached[s] = m->cd[s][m->table[s]];
}

/* A device translates an address. */
static void translate(struct kunit *test, struct model *m, u32 s, u32 page, u32 step)
{
	u32 smmu = smmu_of(s), version, need;
	bool global = is_global(m, page);
	struct entry *e;
	int asid;

	speculate(m, s);
	asid = m->cached[s];
	if (m->table[s] < 0 || asid < 0)
		return;
	version = global ? m->global_version : m->version[asid][page];
	need = global ? m->global_need : m->need[asid][page];
	e = &m->tlb[smmu][global ? 0 : asid][page];
	if (!e->valid)
		*e = (struct entry){ true, version };
	m->checks++;
	if (!m->excused[smmu][asid] || global)
		KUNIT_ASSERT_GE_MSG(test, e->version, need,
				    "step %u: stream %u, ASID %u, page %u: stale", step, s,
				    asid, page);
}

static void devices(struct kunit *test, struct model *m, u32 step)
{
	struct fixture *f = test->priv;
	u32 i, num = dice(f, 8);

	for (i = 0; i < num; i++) {
		if (dice(f, 2))
			speculate(m, dice(f, STREAMS));
		else
			translate(test, m, dice(f, STREAMS), dice(f, PAGES), step);
	}
}

static void model_tlbi(struct model *m, u32 smmu, u64 w0, u64 w1)
{
	u32 op = FIELD_GET(CMD_0_OP, w0), asid, page;

	for (asid = 0; asid < ASIDS; asid++) {
		for (page = 0; page < PAGES; page++) {
			bool global = is_global(m, page);
			bool tagged = FIELD_GET(TLBI_0_ASID, w0) == ASID_OF(asid);
			bool here = FIELD_GET(TLBI_1_ADDRESS, w1) == page;

			if (op == CMD_TLBI_NH_ALL ||
			    (op == CMD_TLBI_NH_ASID && tagged && !global) ||
			    (op == CMD_TLBI_NH_VA && here && (tagged || global)) ||
			    (op == CMD_TLBI_NH_VAA && here))
				m->tlb[smmu][asid][page].valid = false;
		}
	}
}

/* Find the table of the STE that the host has for a stream. -1: no stage 1 */
static int table_of(struct kunit *test, u32 s)
{
	struct mock *mock = mock_of(test);
	struct mock_obj *obj = mock_find(mock, mock->devs[fx_streams[s].fd].hwpt_id);
	u32 t;

	for (t = 0; obj && t < TABLES; t++)
		if (obj->kind == MOCK_NESTED &&
		    FIELD_GET(STE_0_CONFIG, obj->ste[0]) == STE_CONFIG_S1 &&
		    (obj->ste[0] & STE_0_S1CONTEXTPTR) == table_gpa(s, t))
			return t;
	return -1;
}

/* The host may have attached streams to other STEs, with a CFGI_STE. */
static void model_attached(struct kunit *test, struct model *m)
{
	u32 s;
	int t;

	for (s = 0; s < STREAMS; s++) {
		t = m->attached[s] ? table_of(test, s) : -1;
		if (t != m->table[s])
			m->cached[s] = -1;
		m->table[s] = t;
	}
}

/* Carry out what the host was given. Devices work in between. */
static void model_apply(struct kunit *test, struct model *m, u32 step)
{
	struct mock *mock = mock_of(test);
	u32 i, k, s;

	model_attached(test, m);
	for (i = 0; i < mock->log_num; i++) {
		struct mock_call *call = &mock->log[i];

		if (call->op != MOCK_INVALIDATE || call->rc)
			continue;
		for (k = 0; k < call->num; k++) {
			u64 w0 = le64_to_cpu(call->cmds[k][0]);
			u64 w1 = le64_to_cpu(call->cmds[k][1]);

			switch (FIELD_GET(CMD_0_OP, w0)) {
			case CMD_CFGI_CD:
			case CMD_CFGI_CD_ALL:
				for (s = 0; s < STREAMS; s++)
					if (fx_streams[s].vsid == FIELD_GET(CMD_0_SID, w0))
						m->cached[s] = -1;
				break;
			default:
				model_tlbi(m, call->smmu, w0, w1);
			}
		}
		if (i + 1 < mock->log_num)
			devices(test, m, step);
	}
	mock->log_num = 0;
}

/* The guest has told of a stream's CD in a table. */
static void model_told(struct model *m, u32 s, int table)
{
	int asid = table < 0 ? -1 : m->cd[s][table];

	m->dirty[s] = false;
	if (asid < 0)
		return;
	m->told[smmu_of(s)][asid] = true;
	m->excused[smmu_of(s)][asid] = false;
}

/* The stream leaves its table. The module reads it, and flushes at the next run. */
static void model_leaves(struct model *m, u32 s)
{
	if (m->table[s] >= 0 && m->cd[s][m->table[s]] >= 0)
		m->told[smmu_of(s)][m->cd[s][m->table[s]]] = true;
	m->dirty[s] = false;
}

/* Some host calls may fail. */
static void host_fails(struct kunit *test, struct model *m)
{
	struct fixture *f = test->priv;

	if (!m->rough || dice(f, 4))
		return;
	if (dice(f, 2))
		mock_fail(f->mock, MOCK_ANY, 1 + dice(f, 4), 1 + dice(f, 3), -ENOMEM);
	else
		mock_fail(f->mock, MOCK_INVALIDATE, 1 + dice(f, 2), 1 + dice(f, 3),
			  dice(f, 2) ? -ENOMEM : -EIO);
}

/* The VMM repeats what fails. Each call is followed by work of the devices. */
#define REPEAT(test, m, step, call) do {				\
	u32 _tries = 0;							\
									\
	host_fails(test, m);						\
	while (!(call)) {						\
		KUNIT_ASSERT_TRUE(test, (m)->rough && _tries++ < 8);	\
		model_apply(test, m, step);				\
		devices(test, m, step);					\
	}								\
	mock_fail_stop(mock_of(test));					\
} while (0)

/* Run a command and a CMD_SYNC. */
static void guest_runs(struct kunit *test, struct model *m, u32 step, struct cmd c)
{
	REPEAT(test, m, step, RUN_CMDS(test, c, sync()).done == 2);
	model_apply(test, m, step);
}

static void guest_stores_cd(struct kunit *test, struct model *m, u32 s)
{
	struct fixture *f = test->priv;
	int old = m->table[s] < 0 ? -1 : m->cd[s][m->table[s]];

	/* It replaces an ASID of which it has not told. */
	if (m->dirty[s] && old >= 0 && !m->told[smmu_of(s)][old])
		m->excused[smmu_of(s)][old] = true;
	put_cd(test, m, s, m->table[s] < 0 ? 0 : m->table[s], (int)dice(f, ASIDS + 1) - 1);
	m->dirty[s] = true;
}

static void guest_sets_ste(struct kunit *test, struct model *m, u32 s, u32 step)
{
	struct fixture *f = test->priv;
	int table = (int)dice(f, TABLES + 1) - 1, old = m->table[s];

	fx_put_ste(test, fx_streams[s].vsid,
		   table < 0 ? STE_ABORT : STE_S1_AT(table_gpa(s, table) >> 12), 0);
	guest_runs(test, m, step, cfgi_ste(fx_streams[s].vsid));
	if (m->attached[s])
		KUNIT_ASSERT_EQ(test, m->table[s], table);
	else
		table = -1;
	/* It has told of the table that the stream leaves as well. */
	model_told(m, s, old);
	model_told(m, s, table);
}

static void guest_invalidates(struct kunit *test, struct model *m, u32 step)
{
	struct fixture *f = test->priv;
	u32 asid = dice(f, ASIDS), page = dice(f, PAGES), what = dice(f, 12), a, p;
	u64 tag = FIELD_PREP(TLBI_0_ASID, ASID_OF(asid));
	struct cmd tlbi = what < 7 ? cmd(CMD_TLBI_NH_VA | tag, page << 12) :
			  what < 10 ? cmd(CMD_TLBI_NH_ASID | tag, 0) :
			  what < 11 ? cmd(CMD_TLBI_NH_VAA, page << 12) : tlbi_all();

	guest_runs(test, m, step, tlbi);
	for (a = 0; a < ASIDS; a++)
		for (p = 0; p < PAGES; p++)
			if (what == 11 || (what == 10 && p == page) ||
			    (what < 10 && a == asid && (what >= 7 || p == page)))
				m->need[a][p] = m->version[a][p];
	if (what >= 10 || what < 7)
		if (what == 11 || page == PAGE_GLOBAL)
			m->global_need = m->global_version;
}

/* A device is unplugged, or plugged again. */
static void device_moves(struct kunit *test, struct model *m, u32 s, u32 step)
{
	struct fixture *f = test->priv;
	u32 smmu = smmu_of(s), i, left = 0;

	if (!m->attached[s]) {
		REPEAT(test, m, step, !fx_attach_with(f->v, &fx_streams[s]).rc);
		/* The flush came before the device was attached. */
		model_apply(test, m, step);
		m->attached[s] = true;
		model_attached(test, m);
		model_told(m, s, m->table[s]);
		return;
	}
	model_leaves(m, s);
	m->attached[s] = false;
	host_fails(test, m);
	KUNIT_ASSERT_EQ(test, fx_detach(f->v, fx_streams[s].vsid).rc, 0);
	mock_fail_stop(f->mock);
	model_apply(test, m, step);
	for (i = 0; i < STREAMS; i++)
		left += m->attached[i] && smmu_of(i) == smmu;
	if (left)
		return;
	memset(m->told[smmu], 0, sizeof(m->told[smmu]));
	memset(m->excused[smmu], 0, sizeof(m->excused[smmu]));
}

/* The guest disables its SMMU, and enables it with other tables. */
static void guest_boots(struct kunit *test, struct model *m, u32 step)
{
	struct fixture *f = test->priv;
	u32 s, t;

	for (s = 0; s < STREAMS; s++)
		model_leaves(m, s);
	f->regs.cr0 &= ~CR0_SMMUEN;
	REPEAT(test, m, step, !fx_set_regs(test).rc);
	model_apply(test, m, step);
	for (s = 0; s < STREAMS; s++) {
		for (t = 0; t < TABLES; t++)
			put_cd(test, m, s, t, (int)dice(f, ASIDS + 1) - 1);
		fx_put_ste(test, fx_streams[s].vsid, dice(f, 4) ?
			   STE_S1_AT(table_gpa(s, dice(f, TABLES)) >> 12) : STE_ABORT, 0);
	}
	f->regs.cr0 |= CR0_SMMUEN;
	REPEAT(test, m, step, !fx_set_regs(test).rc);
	model_apply(test, m, step);
	for (s = 0; s < STREAMS; s++)
		model_told(m, s, m->table[s]);
}

/* The VMM puts other memory, with other CDs, at the address of the CDs. */
static void memory_moves(struct kunit *test, struct model *m)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_mem_region regions[] = {
		{ TABLE_GPA, TABLE_LEN, (uintptr_t)f->table },
		{ RING_GPA, CD_AREA, (uintptr_t)f->ring },
		{ RING_GPA + CD_AREA, CDS_LEN, (uintptr_t)cds_at(f, !m->moved) },
	};
	u32 s, t;

	for (s = 0; s < STREAMS; s++)
		model_leaves(m, s);
	fx_set_mem(test, regions, ARRAY_SIZE(regions));
	m->moved = !m->moved;
	for (s = 0; s < STREAMS; s++) {
		for (t = 0; t < TABLES; t++)
			put_cd(test, m, s, t, (int)dice(f, ASIDS + 1) - 1);
		m->dirty[s] = true;
	}
}

static void guest_step(struct kunit *test, struct model *m, u32 step)
{
	struct fixture *f = test->priv;
	u32 s = dice(f, STREAMS);

	switch (dice(f, m->rough ? 19 : 16)) {
	case 0 ... 1:
		guest_stores_cd(test, m, s);
		break;
	case 2 ... 3:
		guest_runs(test, m, step, cfgi_cd(fx_streams[s].vsid, 0));
		model_told(m, s, m->table[s]);
		break;
	case 4:
		guest_sets_ste(test, m, s, step);
		break;
	case 16:
		device_moves(test, m, s, step);
		break;
	case 17:
		guest_boots(test, m, step);
		break;
	case 18:
		memory_moves(test, m);
		break;
	case 5 ... 9:
		m->version[dice(f, ASIDS)][dice(f, PAGES)]++;
		if (!dice(f, 2))
			m->global_version++;
		break;
	default:
		guest_invalidates(test, m, step);
	}
}

/* The guest's machine is reset: nothing is cached, and the module starts again. */
static void model_reset(struct kunit *test, struct model *m)
{
	struct fixture *f = test->priv;
	u32 s, t;

	KUNIT_ASSERT_EQ(test, fx_reset(f->v).rc, 0);
	memset(m->tlb, 0, sizeof(m->tlb));
	memset(m->told, 0, sizeof(m->told));
	memset(m->excused, 0, sizeof(m->excused));
	for (s = 0; s < STREAMS; s++) {
		for (t = 0; t < TABLES; t++)
			put_cd(test, m, s, t, -1);
		m->dirty[s] = false;
		m->cached[s] = -1;
		fx_put_ste(test, fx_streams[s].vsid, STE_S1_AT(table_gpa(s, 0) >> 12), 0);
	}
	fx_must_set_regs(test);
	f->mock->log_num = 0;
	model_attached(test, m);
}

static const struct filter_case {
	const char *name;
	bool no_global;
	bool rough;
} filter_cases[] = {
	{ "pages may be global", false, false },
	{ "nothing global", true, false },
	{ "pages may be global, and the host fails", false, true },
	{ "nothing global, and the host fails", true, true },
};

KUNIT_ARRAY_PARAM_DESC(filter, filter_cases, name);

/* No device gets what the guest has invalidated, and much is withheld. */
static void loses_nothing(struct kunit *test)
{
	const struct filter_case *c = test->param_value;
	struct fixture *f = test->priv;
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	u32 step;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->no_global = c->no_global;
	m->rough = c->rough;
	memset(m->attached, true, sizeof(m->attached));
	fx_open_table_with(test, &(const struct open_options){
		.filter = true, .no_global = c->no_global });
	KUNIT_ASSERT_TRUE(test, f->v->filter);
	fx_put_all_stes(test, STE_ABORT, 0);
	fx_attach_all(test);
	fx_set_cmdq(test, 4);
	for (step = 0; step < 12000; step++) {
		if (!(step % 40))
			model_reset(test, m);
		guest_step(test, m, step);
		devices(test, m, step);
	}
	/* The test shows something only if this happened often. */
	KUNIT_EXPECT_GT(test, m->checks, 2000);
	KUNIT_EXPECT_GT(test, f->v->stats.out_withheld, 100);
}

/* Start a machine of which all streams have stage 1, with CDs that are not valid. */
static struct model *directed(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct fixture *f = test->priv;
	u32 s;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->no_global = true;
	fx_open_table_with(test, &(const struct open_options){
		.filter = true, .no_global = true });
	for (s = 0; s < STREAMS; s++) {
		put_cd(test, m, s, 0, -1);
		fx_put_ste(test, fx_streams[s].vsid, STE_S1_AT(table_gpa(s, 0) >> 12), 0);
	}
	fx_attach_all(test);
	fx_set_cmdq(test, 4);
	f->mock->log_num = 0;
	return m;
}

static struct cmd tlbi_asid(int asid)
{
	return cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, ASID_OF(asid)), 0);
}

/* An ASID that a CFGI_CD told of counts, though the CD in memory has another since. */
static void told_asid_stays(struct kunit *test)
{
	struct model *m = directed(test);

	put_cd(test, m, 0, 0, 2);
	RUN_CMDS(test, cfgi_cd(VSID, 0), sync());
	put_cd(test, m, 0, 0, 3);
	RUN_CMDS(test, tlbi_asid(2), sync());
	EXPECT_GIVEN(test, 0, tlbi_asid(2));
	EXPECT_GIVEN(test, 1);
}

/* An ASID that is new to an SMMU is flushed there, after the CFGI, and only there. */
static void new_asid_is_flushed(struct kunit *test)
{
	struct model *m = directed(test);
	struct fixture *f = test->priv;

	RUN_CMDS(test, tlbi_asid(2), sync());
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, 2);
	put_cd(test, m, 0, 0, 2);
	RUN_CMDS(test, cfgi_cd(VSID, 0), sync());
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0), tlbi_asid(2));
	EXPECT_GIVEN(test, 1);
	RUN_CMDS(test, cfgi_cd(VSID, 0), sync());
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0));
}

/* A flush that fails stays pending, and the CFGI_CD is not done. */
static void failed_flush_is_repeated(struct kunit *test)
{
	struct model *m = directed(test);
	struct fixture *f = test->priv;

	put_cd(test, m, 0, 0, 2);
	mock_fail(f->mock, MOCK_INVALIDATE, 2, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, RUN_CMDS(test, cfgi_cd(VSID, 0), sync()).rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 0), sync()), 2);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID, 0), tlbi_asid(2));
}

/* A table that cannot be read has any ASID. */
static void unknown_is_all(struct kunit *test)
{
	struct fixture *f = test->priv;

	directed(test);
	fx_put_ste(test, VSID, STE_S1_AT(1), 0);
	RUN_CMDS(test, cfgi_ste(VSID), sync());
	EXPECT_GIVEN(test, 0, tlbi_all());
	RUN_CMDS(test, tlbi_asid(2), sync());
	EXPECT_GIVEN(test, 0, tlbi_asid(2));
	EXPECT_GIVEN(test, 1);
	KUNIT_EXPECT_TRUE(test, f->v->stats.out_withheld);
}

/* With SHARED_ASIDS nothing is withheld, whatever the parameter says. */
static void not_with_shared_asids(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_open_table_with(test, &(const struct open_options){
		.filter = true, .shared_asids = true });
	fx_put_all_stes(test, STE_ABORT, 0);
	fx_attach_all(test);
	fx_set_cmdq(test, 4);
	RUN_CMDS(test, tlbi_asid(2), sync());
	EXPECT_GIVEN(test, 0, tlbi_asid(2));
	EXPECT_GIVEN(test, 1, tlbi_asid(2));
	KUNIT_EXPECT_EQ(test, f->v->stats.out_withheld, 0);
}

static struct kunit_case filter_cases_list[] = {
	KUNIT_CASE_PARAM(loses_nothing, filter_gen_params),
	KUNIT_CASE(told_asid_stays),
	KUNIT_CASE(new_asid_is_flushed),
	KUNIT_CASE(failed_flush_is_repeated),
	KUNIT_CASE(unknown_is_all),
	KUNIT_CASE(not_with_shared_asids),
	{}
};

static struct kunit_suite filter_suite = {
	.name = "smmuv3-accel-filter",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = filter_cases_list,
};

kunit_test_suites(&filter_suite);
