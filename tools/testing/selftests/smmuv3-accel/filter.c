// SPDX-License-Identifier: GPL-2.0
/*
 * Filtered fan-out over two physical SMMUs, with DMA: a TLBI reaches each SMMU that may
 * need it, and no other. Each test shows first that a stale translation is there.
 *
 * The module is loaded again with the parameter filter on, or off. QEMU's SMMU caches a
 * CD when a device first uses it, and does not cache one that is not valid. Streams have
 * one CD each, because it has no substreams; KUnit tests larger tables.
 *
 * Needs two iommu-testdevs behind each of two SMMUs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "fanout.h"
#include "harness.h"
#include "stress.h"
#include "vmm.h"

/*
 * Streams 0 and 1 are attached, one behind each SMMU, each with an ASID of its own.
 * @parameters: the module's, before the test
 * @loaded: it was loaded with others
 * @seen: out_withheld when withheld() last looked
 */
FIXTURE(filter)
{
	struct machine m;
	char parameters[128];
	bool loaded;
	__u64 seen;
};

/*
 * @on: the module parameter
 * @stage: STAGE_RUNNING: through the queue and the stream table
 */
FIXTURE_VARIANT(filter)
{
	bool on;
	enum machine_stage stage;
};

FIXTURE_VARIANT_ADD(filter, on_queue) { true, STAGE_RUNNING };
FIXTURE_VARIANT_ADD(filter, on_explicit) { true, STAGE_EXPLICIT };
FIXTURE_VARIANT_ADD(filter, off_queue) { false, STAGE_RUNNING };

static int load_with(const char *parameters, bool filter)
{
	char text[160];

	/* The last value counts */
	snprintf(text, sizeof(text), "%s filter=%d", parameters, filter);
	return module_load(text);
}

#define EXPECT_WITHHELD(num)						\
	EXPECT_EQ(variant->on ? (num) : 0, withheld(&self->m, &self->seen))

/* A TLBI ends a stale translation, and that many commands were withheld */
#define EXPECT_FRESH(m, i, s1, page, cmd, num)				\
	do {								\
		MAKE_STALE(m, i, s1, page);				\
		ASSERT_EQ(0, INVALIDATE(m, cmd));			\
		EXPECT_EQ(page, goes(m, i, s1)) TH_LOG("a stale translation is left"); \
		EXPECT_WITHHELD(num);					\
	} while (0)

static void clear_cd(struct machine *m, unsigned int i)
{
	*(volatile __u64 *)guest_ptr(&m->g, m->stream[i].s1.cd) = 0;
}

/* Attach a device that takes part from now on, with the StreamID and tables of another */
static int plug(struct machine *m, unsigned int i, unsigned int as)
{
	m->stream[i].vsid = m->stream[as].vsid;
	m->stream[i].s1 = m->stream[as].s1;
	if (m->stage != STAGE_RUNNING)
		return machine_attach(m, i) ?: use_stage1(m, i);
	machine_write_ste(m, i, STE_CFG_S1);
	return machine_attach(m, i);
}

FIXTURE_SETUP(filter)
{
	struct machine *m = &self->m;
	const char *why;
	int i, rc;

	why = module_take_out(self->parameters, sizeof(self->parameters));
	if (why)
		SKIP(return, "%s", why);
	self->loaded = true;
	ASSERT_EQ(0, load_with(self->parameters, variant->on));
	rc = fanout_open(m, variant->stage, NO_GLOBAL, SPARE);
	if (rc == -ENODEV)
		SKIP(return, "wants two iommu-testdevs behind each of two SMMUs");
	ASSERT_EQ(0, rc);
	for (i = 0; i < SMMUS; i++) {
		ASSERT_EQ(0, use_stage1(m, i));
		ASSERT_EQ(1, machine_goes(m, i));
	}
}

FIXTURE_TEARDOWN(filter)
{
	machine_close(&self->m);
	if (!self->loaded)
		return;
	EXPECT_EQ(0, module_unload());
	EXPECT_EQ(0, module_load(self->parameters));
}

TEST_F(filter, a_tlbi_goes_where_its_asid_is)
{
	const struct cmd prefetch = { { 0x01 } };
	struct machine *m = &self->m;
	int i, page = 1;

	for (i = 0; i < SMMUS; i++) {
		struct stage1 *s1 = &m->stream[i].s1;

		/* Alone, which takes the fast path, and with another command */
		EXPECT_FRESH(m, i, s1, 2, stage1_tlbi(s1), 1);
		MAKE_STALE(m, i, s1, 3);
		ASSERT_EQ(0, INVALIDATE(m, prefetch, stage1_tlbi(s1)));
		EXPECT_EQ(3, goes(m, i, s1));
		EXPECT_WITHHELD(1);
		EXPECT_FRESH(m, i, s1, 4, cmd_tlbi_asid(s1->asid), 1);
		if (machine_has(m, 3, IDR3_RIL))
			EXPECT_FRESH(m, i, s1, 1, cmd_range(stage1_tlbi(s1), 3, 0, 1, 0), 1);
		EXPECT_FRESH(m, i, s1, 2, cmd_tlbi_vaa(s1->page[0], true), 0);
	}
	for (i = 0; i < 3; i++, page = page % 4 + 1) {
		const struct cmd all[] = {
			i ? cmd_tlbi_nh_all() : machine_tlbi(m, 0),
			i ? cmd_tlbi_nsnh_all() : machine_tlbi(m, 1),
		};

		MAKE_STALE(m, 0, &m->stream[0].s1, page);
		MAKE_STALE(m, 1, &m->stream[1].s1, page);
		ASSERT_EQ(0, INVALIDATE(m, all[0], all[1]));
		EXPECT_EQ(page, machine_goes(m, 0));
		EXPECT_EQ(page, machine_goes(m, 1));
		EXPECT_WITHHELD(0);
	}
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(SMMUS);
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_va(NO_ASID, NOWHERE, true)));
	EXPECT_WITHHELD(SMMUS);
}

/* V from 0 to 1, with DMA and TLBIs before the CFGI, as Linux does it, or without one */
TEST_F(filter, a_valid_cd_counts_before_its_cfgi)
{
	struct machine *m = &self->m;
	struct stage1 s1;
	int told;

	for (told = 0; told < 2; told++) {
		ASSERT_EQ(0, other_table(m, &s1, &m->stream[1].s1, NEW_ASID + told, 3));
		clear_cd(m, 1);
		ASSERT_EQ(0, tell(m, 1));
		ASSERT_EQ(-EFAULT, goes(m, 1, &s1));
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(s1.asid)));
		EXPECT_WITHHELD(SMMUS);

		store_cd(m, 1, &s1);
		EXPECT_FRESH(m, 1, &s1, 2, stage1_tlbi(&s1), 1);
		EXPECT_FRESH(m, 1, &s1, 1, cmd_tlbi_asid(s1.asid), 1);
		if (told)
			ASSERT_EQ(0, tell(m, 1));
		EXPECT_FRESH(m, 1, &s1, 4, stage1_tlbi(&s1), 1);
	}
}

/* ASID A to N, likewise: the SMMU may use either */
TEST_F(filter, both_asids_count_before_the_cfgi)
{
	struct machine *m = &self->m;
	struct stage1 *a = &m->stream[1].s1, n;

	ASSERT_EQ(0, other_table(m, &n, a, NEW_ASID, 3));
	store_cd(m, 1, &n);
	ASSERT_EQ(1, goes(m, 1, a)) TH_LOG("the SMMU has not cached the CD");
	EXPECT_FRESH(m, 1, a, 2, stage1_tlbi(a), 1);
	ASSERT_EQ(0, evict(m, 1));
	ASSERT_EQ(3, goes(m, 1, &n)) TH_LOG("the SMMU has not fetched the CD");
	EXPECT_FRESH(m, 1, &n, 4, stage1_tlbi(&n), 1);
	EXPECT_FRESH(m, 1, &n, 3, cmd_tlbi_asid(n.asid), 1);
	ASSERT_EQ(0, tell(m, 1));
	EXPECT_FRESH(m, 1, &n, 2, stage1_tlbi(&n), 1);

	/* And back to A */
	store_cd(m, 1, a);
	ASSERT_EQ(0, evict(m, 1));
	EXPECT_FRESH(m, 1, a, 4, stage1_tlbi(a), 1);
}

/* The CD has another ASID since, but the SMMU still uses that of the CFGI */
TEST_F(filter, an_asid_that_a_cfgi_told_of_stays)
{
	struct machine *m = &self->m;
	struct stage1 a, n;

	ASSERT_EQ(0, other_table(m, &a, &m->stream[1].s1, NEW_ASID, 1));
	ASSERT_EQ(0, other_table(m, &n, &a, NEW_ASID + 1, 3));
	store_cd(m, 1, &a);
	ASSERT_EQ(0, tell(m, 1));
	ASSERT_EQ(1, goes(m, 1, &a));
	store_cd(m, 1, &n);
	EXPECT_FRESH(m, 1, &a, 2, cmd_tlbi_asid(a.asid), 1);
}

/* The guest flushes all, and an unchanged CD fills the TLB again */
TEST_F(filter, an_nh_all_does_not_end_an_asid)
{
	struct machine *m = &self->m;
	struct stage1 *a = &m->stream[1].s1, n;

	ASSERT_EQ(0, other_table(m, &n, a, NEW_ASID, 3));
	store_cd(m, 1, &n);
	stage1_lead(a, 2);
	ASSERT_EQ(1, goes(m, 1, a));
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_nh_all()));
	ASSERT_EQ(2, goes(m, 1, a)) TH_LOG("the SMMU has not cached the CD");
	EXPECT_WITHHELD(0);
	EXPECT_FRESH(m, 1, a, 4, stage1_tlbi(a), 1);
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_nsnh_all()));
	EXPECT_FRESH(m, 1, a, 3, cmd_tlbi_asid(a->asid), 1);
}

/* A TLBI for the ASID was withheld, so it is flushed when the module sees it */
TEST_F(filter, a_new_asid_is_flushed)
{
	struct machine *m = &self->m;
	struct stage1 hidden;

	ASSERT_EQ(0, hide_asid(m, &hidden));
	ASSERT_EQ(0, INVALIDATE(m, stage1_tlbi(&hidden)));
	EXPECT_WITHHELD(SMMUS);
	store_cd(m, 1, &hidden);
	ASSERT_EQ(0, evict(m, 1));
	ASSERT_EQ(variant->on ? 3 : 2, goes(m, 1, &hidden));
	ASSERT_EQ(0, tell(m, 1));
	EXPECT_EQ(2, goes(m, 1, &hidden)) TH_LOG("a stale translation is left");
	EXPECT_FRESH(m, 1, &hidden, 4, stage1_tlbi(&hidden), 1);
}

/* By INSTALL_STE and CFGI_STE, by ATTACH, and by SET_VSIDS */
TEST_F(filter, a_new_asid_is_flushed_with_its_ste)
{
	struct machine *m = &self->m;
	struct stage1 hidden, own = m->stream[1].s1;
	struct smmuv3_accel_set_vsids out;
	struct smmuv3_accel_vsid entry;
	int way;

	for (way = 0; way < 3; way++) {
		ASSERT_EQ(0, hide_asid(m, &hidden));
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(hidden.asid)));
		m->stream[1].s1 = hidden;
		/* Another stream stays, because the SMMU is flushed when the last one goes */
		if (way)
			ASSERT_EQ(0, machine_attach(m, 3));
		if (!way) {
			ASSERT_EQ(0, use_stage1(m, 1));
		} else if (way == 1) {
			ASSERT_EQ(0, machine_detach(m, 1));
			ASSERT_EQ(0, plug(m, 1, 1));
		} else {
			entry.old_vsid = m->stream[1].vsid;
			entry.new_vsid = m->stream[1].vsid + 0x10;
			m->stream[1].vsid = entry.new_vsid;
			if (variant->stage == STAGE_RUNNING)
				machine_write_ste(m, 1, STE_CFG_S1);
			ASSERT_EQ(0, accel_set_vsids(&m->g, &entry, 1, &out));
			if (variant->stage == STAGE_EXPLICIT)
				ASSERT_EQ(0, use_stage1(m, 1));
		}
		EXPECT_EQ(2, goes(m, 1, &hidden)) TH_LOG("a stale translation is left, %d", way);
		withheld(m, &self->seen);
		EXPECT_FRESH(m, 1, &hidden, 4, stage1_tlbi(&hidden), 1);

		/* Forget the ASID */
		m->stream[1].s1 = own;
		ASSERT_EQ(0, use_stage1(m, 1));
		machine_detach(m, 3);
		ASSERT_EQ(0, machine_detach(m, 1));
		ASSERT_EQ(0, plug(m, 1, 1));
	}
}

/* An address may be that of a global entry, of any ASID, unless the VMM says NO_GLOBAL */
TEST_F(filter, an_address_goes_to_all_without_no_global)
{
	struct machine *m = &self->m;
	struct stage1 hidden, *s1;
	int i;

	machine_close(m);
	ASSERT_EQ(0, fanout_open(m, variant->stage, 0, SPARE));
	for (i = 0; i < SMMUS; i++)
		ASSERT_EQ(0, use_stage1(m, i));
	self->seen = 0;
	for (i = 0; i < SMMUS; i++) {
		s1 = &m->stream[i].s1;
		EXPECT_FRESH(m, i, s1, 2, stage1_tlbi(s1), 0);
		if (machine_has(m, 3, IDR3_RIL))
			EXPECT_FRESH(m, i, s1, 3, cmd_range(stage1_tlbi(s1), 3, 0, 1, 0), 0);
		EXPECT_FRESH(m, i, s1, 4, cmd_tlbi_asid(s1->asid), 1);
		EXPECT_FRESH(m, i, s1, 1, cmd_tlbi_vaa(s1->page[0], true), 0);
	}
	/* Any ASID: also one that the module has not seen there */
	ASSERT_EQ(0, hide_asid(m, &hidden));
	ASSERT_EQ(0, INVALIDATE(m, stage1_tlbi(&hidden)));
	EXPECT_WITHHELD(0);
	store_cd(m, 1, &hidden);
	ASSERT_EQ(0, evict(m, 1));
	EXPECT_EQ(2, goes(m, 1, &hidden)) TH_LOG("a stale translation is left");
}

/* The guest frees an ASID behind one SMMU, and uses it behind the other, and back */
TEST_F(filter, an_asid_is_used_again_elsewhere)
{
	struct machine *m = &self->m;
	const struct stage1 first = m->stream[0].s1;
	struct stage1 again, idle[SMMUS];
	int i, round, page = 1;

	for (i = 0; i < SMMUS; i++)
		ASSERT_EQ(0, other_table(m, &idle[i], &first, NEW_ASID + i, 4));
	store_cd(m, 0, &idle[0]);
	ASSERT_EQ(0, tell(m, 0));
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(first.asid)));
	EXPECT_WITHHELD(1);
	for (round = 0; round < 4; round++) {
		i = round % SMMUS;
		page = page % 3 + 1;
		/* Same ASID and address as all rounds before, other table and page */
		ASSERT_EQ(0, other_table(m, &again, &first, first.asid, page));
		store_cd(m, i, &again);
		ASSERT_EQ(0, tell(m, i));
		ASSERT_EQ(page, goes(m, i, &again)) TH_LOG("stale, round %d", round);
		page = page % 3 + 1;
		EXPECT_FRESH(m, i, &again, page, stage1_tlbi(&again), !round);

		store_cd(m, i, &idle[i]);
		ASSERT_EQ(0, tell(m, i));
		ASSERT_EQ(4, goes(m, i, &idle[i]));
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(first.asid)));
		EXPECT_WITHHELD(!round);
	}
}

/* A StreamID moves to a device behind the other SMMU, and back */
TEST_F(filter, a_stream_moves_to_the_other_smmu)
{
	struct machine *m = &self->m;
	struct stage1 *s1 = &m->stream[0].s1;
	unsigned int stays;

	/* Without another stream the SMMU that it leaves is flushed */
	for (stays = 0; stays < 2; stays++) {
		EXPECT_FRESH(m, 0, s1, 2, stage1_tlbi(s1), !stays);
		if (stays)
			ASSERT_EQ(0, machine_attach(m, 2));
		ASSERT_EQ(0, machine_detach(m, 0));
		stage1_lead(s1, 3);
		ASSERT_EQ(0, plug(m, 3, 0));
		ASSERT_EQ(1, m->stream[3].ids.out_phys);
		ASSERT_EQ(3, goes(m, 3, s1));
		EXPECT_FRESH(m, 3, s1, 4, stage1_tlbi(s1), 0);
		EXPECT_FRESH(m, 3, s1, 2, cmd_tlbi_asid(s1->asid), 0);

		ASSERT_EQ(0, machine_detach(m, 3));
		ASSERT_EQ(0, plug(m, 0, 0));
		ASSERT_EQ(2, goes(m, 0, s1)) TH_LOG("stale translation of the old SMMU");
		EXPECT_FRESH(m, 0, s1, 1, stage1_tlbi(s1), 0);
		EXPECT_FRESH(m, 1, &m->stream[1].s1, 2 + stays, machine_tlbi(m, 1), 1);
	}
}

/* Two devices swap their StreamIDs and tables */
TEST_F(filter, set_vsids_swaps_streams)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	const struct smmuv3_accel_vsid entries[] = {
		{ s[0].vsid, s[1].vsid }, { s[1].vsid, s[0].vsid },
	};
	struct smmuv3_accel_set_vsids out;
	struct stage1 s1 = s[0].s1;
	__u32 vsid = s[0].vsid;
	int i;

	ASSERT_EQ(0, accel_set_vsids(&m->g, entries, SMMUS, &out));
	s[0].vsid = s[1].vsid;
	s[1].vsid = vsid;
	s[0].s1 = s[1].s1;
	s[1].s1 = s1;
	for (i = 0; i < SMMUS; i++) {
		if (variant->stage == STAGE_EXPLICIT)
			ASSERT_EQ(0, use_stage1(m, i));
		ASSERT_EQ(1, machine_goes(m, i));
	}
	withheld(m, &self->seen);
	for (i = 0; i < SMMUS; i++) {
		EXPECT_FRESH(m, i, &s[i].s1, 2, machine_tlbi(m, i), 0);
		EXPECT_FRESH(m, i, &s[i].s1, 3, cmd_tlbi_asid(s[i].s1.asid), 0);
	}
}

/* The guest swaps two CDs. Only the second time does it tell */
TEST_F(filter, a_guest_swaps_cds)
{
	struct machine *m = &self->m;
	struct stage1 *s1[] = { &m->stream[0].s1, &m->stream[1].s1 };
	int told, i;

	for (told = 0; told < 2; told++) {
		for (i = 0; i < SMMUS; i++)
			store_cd(m, i, s1[!told ^ i]);
		for (i = 0; i < SMMUS; i++)
			ASSERT_EQ(0, told ? tell(m, i) : evict(m, i));
		for (i = 0; i < SMMUS; i++) {
			struct stage1 *now = s1[!told ^ i];

			ASSERT_EQ(told ? 2 : 1, goes(m, i, now));
			EXPECT_FRESH(m, i, now, 3, stage1_tlbi(now), 0);
			EXPECT_FRESH(m, i, now, 2, cmd_tlbi_asid(now->asid), 0);
		}
	}
}

/* The first device of the second SMMU comes under a running guest, goes, and comes again */
TEST_F(filter, an_smmu_comes_under_a_running_guest)
{
	struct machine *m = &self->m;
	struct stage1 *s1[] = { &m->stream[0].s1, &m->stream[1].s1 }, old;

	machine_close(m);
	ASSERT_EQ(0, fanout_open(m, variant->stage, NO_GLOBAL, 2 * SMMUS - 1));
	self->seen = 0;
	ASSERT_EQ(0, use_stage1(m, 0));
	EXPECT_FRESH(m, 0, s1[0], 2, stage1_tlbi(s1[0]), 0);
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(0);

	/* An SMMU that was alone may have any ASID */
	ASSERT_EQ(0, machine_attach(m, 1));
	ASSERT_EQ(0, use_stage1(m, 1));
	EXPECT_FRESH(m, 1, s1[1], 2, stage1_tlbi(s1[1]), 0);
	EXPECT_FRESH(m, 0, s1[0], 3, stage1_tlbi(s1[0]), 1);
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(1);

	/* The last stream takes the SMMU's ASIDs along */
	ASSERT_EQ(0, machine_detach(m, 1));
	old = *s1[1];
	ASSERT_EQ(0, other_table(m, s1[1], &old, NEW_ASID, 3));
	EXPECT_FRESH(m, 0, s1[0], 4, stage1_tlbi(s1[0]), 0);
	ASSERT_EQ(0, plug(m, 1, 1));
	ASSERT_EQ(3, machine_goes(m, 1));
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(old.asid)));
	EXPECT_WITHHELD(1);
	EXPECT_FRESH(m, 1, s1[1], 4, stage1_tlbi(s1[1]), 0);

	/* So does RESET, with a flush of its own */
	ASSERT_EQ(0, accel_reset(&m->g));
	if (variant->stage == STAGE_RUNNING) {
		ASSERT_EQ(0, machine_set_regs(m));
	} else {
		ASSERT_EQ(0, use_stage1(m, 0));
		ASSERT_EQ(0, use_stage1(m, 1));
	}
	EXPECT_FRESH(m, 0, s1[0], 1, stage1_tlbi(s1[0]), 1);
	EXPECT_FRESH(m, 1, s1[1], 1, stage1_tlbi(s1[1]), 1);
}

/* A stream gets another table or goes, and the guest has not told of the CD that it had */
TEST_F(filter, the_table_that_a_stream_leaves_counts)
{
	struct machine *m = &self->m;
	struct stage1 a, own = m->stream[1].s1;
	int way;

	for (way = 0; way < 3; way++) {
		ASSERT_EQ(0, other_table(m, &a, &own, NEW_ASID + way, 3));
		store_cd(m, 1, &a);
		ASSERT_EQ(0, evict(m, 1));
		MAKE_STALE(m, 1, &a, 2);
		ASSERT_EQ(0, other_table(m, &m->stream[1].s1, &own, own.asid, 1));
		if (way == 1) {
			ASSERT_EQ(0, machine_change_ste(m, 1, STE_CFG_BYPASS));
		} else if (way == 2) {
			ASSERT_EQ(0, machine_attach(m, 3));
			ASSERT_EQ(0, machine_detach(m, 1));
			ASSERT_EQ(0, machine_attach(m, 1));
		}
		ASSERT_EQ(0, use_stage1(m, 1));
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(a.asid)));
		EXPECT_WITHHELD(1);
		store_cd(m, 1, &a);
		ASSERT_EQ(0, evict(m, 1));
		EXPECT_EQ(2, goes(m, 1, &a)) TH_LOG("a stale translation is left, %d", way);
	}
}

/* Another kernel boots: the old one leaves its streams translating. Or the machine is reset */
TEST_F(filter, another_kernel_uses_the_same_asids)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	int way, i, swap;

	if (variant->stage != STAGE_RUNNING)
		return;
	for (way = 0; way < 3; way++) {
		swap = way == 1;
		for (i = 0; i < SMMUS; i++)
			MAKE_STALE(m, i, &s[i].s1, way % 2 ? 4 : 2);
		if (way == 2) {
			ASSERT_EQ(0, accel_reset(&m->g));
		} else {
			m->cr0 = CR0_CMDQEN;
			ASSERT_EQ(0, machine_set_regs(m));
		}
		ASSERT_EQ(0, machine_boot(m));
		for (i = 0; i < SMMUS; i++) {
			ASSERT_EQ(0, stage1_init(&s[i].s1, &m->g, GRANULE_4K,
						 MACHINE_ASID + (i ^ swap)));
			stage1_lead(&s[i].s1, 3);
			machine_write_ste(m, i, STE_CFG_S1);
		}
		m->cr0 = CR0_CMDQEN;
		ASSERT_EQ(0, machine_set_regs(m));
		ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_all(), cmd_sync(), cmd_tlbi_nsnh_all()));
		m->cr0 = CR0_SMMUEN | CR0_CMDQEN;
		ASSERT_EQ(0, machine_set_regs(m));
		for (i = 0; i < SMMUS; i++)
			EXPECT_EQ(3, machine_goes(m, i)) TH_LOG("stale, %d", way);
		withheld(m, &self->seen);
		for (i = 0; i < SMMUS; i++) {
			/* Without a RESET, both may have entries of both kernels */
			EXPECT_FRESH(m, i, &s[i].s1, 2, machine_tlbi(m, i), !swap);
			EXPECT_FRESH(m, i, &s[i].s1, 1, cmd_tlbi_asid(s[i].s1.asid), !swap);
		}
	}
}

/* A TLBI does not wait for a CD. It is sent this once, and brings the page back */
TEST_F(filter, a_missing_cd_may_have_any_asid)
{
	struct machine *m = &self->m;
	struct stage1 a;
	int i;

	ASSERT_EQ(0, cd_on_own_page(m));
	ASSERT_EQ(0, other_table(m, &a, &m->stream[1].s1, NEW_ASID, 3));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
		EXPECT_WITHHELD(SMMUS);
		store_cd(m, 1, &a);
		ASSERT_EQ(0, evict(m, 1));
		MAKE_STALE(m, 1, &a, 2 + 2 * i);
		ASSERT_EQ(0, madvise(guest_ptr(&m->g, m->stream[1].s1.cd), 4096, MADV_DONTNEED));
		ASSERT_EQ(0, INVALIDATE(m, i ? cmd_tlbi_asid(a.asid) : stage1_tlbi(&a)));
		EXPECT_EQ(2 + 2 * i, goes(m, 1, &a)) TH_LOG("a stale translation is left");
		EXPECT_WITHHELD(1);
		/* This also brings the page back */
		store_cd(m, 1, &m->stream[1].s1);
		ASSERT_EQ(0, evict(m, 1));
	}
	ASSERT_EQ(0, madvise(guest_ptr(&m->g, m->stream[1].s1.cd), 4096, MADV_DONTNEED));
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(1);
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(SMMUS);
}

/* At a CFGI it counts as any ASID, until the SMMU was flushed without a stream */
TEST_F(filter, an_unreadable_cd_has_any_asid)
{
	struct machine *m = &self->m;
	struct stage1 *s1 = &m->stream[1].s1, a;
	struct smmuv3_accel_mem_region part[2];

	ASSERT_EQ(0, cd_on_own_page(m));
	ASSERT_EQ(0, other_table(m, &a, s1, NEW_ASID, 3));
	part[0] = (struct smmuv3_accel_mem_region){
		GUEST_BASE, s1->cd - GUEST_BASE, (__u64)(unsigned long)m->g.ram };
	part[1] = (struct smmuv3_accel_mem_region){
		s1->cd + 4096, GUEST_BASE + GUEST_SIZE - s1->cd - 4096,
		(__u64)(unsigned long)guest_ptr(&m->g, s1->cd + 4096) };
	ASSERT_EQ(0, accel_mem_regions(&m->g, part, ARRAY_LEN(part)));
	store_cd(m, 1, &a);
	ASSERT_EQ(0, evict(m, 1));
	EXPECT_FRESH(m, 1, &a, 2, stage1_tlbi(&a), 1);	/* this once */
	ASSERT_EQ(0, tell(m, 1));
	EXPECT_FRESH(m, 1, &a, 4, stage1_tlbi(&a), 1);
	ASSERT_EQ(0, accel_mem_table(&m->g));
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(1);

	ASSERT_EQ(0, machine_detach(m, 1));
	ASSERT_EQ(0, plug(m, 1, 1));
	ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
	EXPECT_WITHHELD(SMMUS);
}

/* Nothing is withheld with SHARED_ASIDS, or with one SMMU */
TEST_F(filter, nothing_is_withheld_without_need)
{
	struct machine *m = &self->m;
	unsigned int i, one;
	int rc;

	for (one = 0; one < 2; one++) {
		machine_close(m);
		if (one)
			rc = machine_open(m, .stage = variant->stage, .create_flags = NO_GLOBAL,
					  .devices = 2, .idle = 2, .smmus = 1);
		else
			rc = fanout_open(m, variant->stage, NO_GLOBAL |
					 SMMUV3_ACCEL_CREATE_SHARED_ASIDS, SPARE);
		ASSERT_EQ(0, rc);
		self->seen = 0;
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, use_stage1(m, i));
			EXPECT_FRESH(m, i, &m->stream[i].s1, 2, machine_tlbi(m, i), 0);
			EXPECT_FRESH(m, i, &m->stream[i].s1, 3,
				     cmd_tlbi_asid(MACHINE_ASID + i), 0);
		}
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
		EXPECT_WITHHELD(0);
	}
}

/* A live update: the next VMM, which has guest memory at another address */

static bool role_filter;	/* whether the filter is on */

/* Whether a TLBI ends a stale translation, and that many commands were withheld */
static bool role_fresh(struct machine *m, int i, struct stage1 *s1, int page, __u64 num)
{
	__u64 before = machine_stats(m).out_withheld;
	int old = goes(m, i, s1);

	stage1_lead(s1, page);
	return old != page && goes(m, i, s1) == old && !INVALIDATE(m, stage1_tlbi(s1)) &&
	       goes(m, i, s1) == page &&
	       machine_stats(m).out_withheld - before == (role_filter ? num : 0);
}

static int next_vmm(struct machine *m)
{
	const struct cmd unknown = cmd_tlbi_asid(NO_ASID);
	struct smmuv3_accel_invalidate out;
	struct stage1 n;
	__u64 before;

	ROLE_EXPECT(!accel_change_process(&m->g));
	before = machine_stats(m).out_withheld;
	/* Without a memory table, no CD can be read */
	ROLE_EXPECT(!accel_invalidate(&m->g, &unknown, 1, &out));
	ROLE_EXPECT(machine_stats(m).out_withheld == before);
	m->g.ram = guest_map_memfd(m->options.memfd);
	if (!ROLE_EXPECT(m->g.ram && !accel_mem_table(&m->g)))
		return role_failures;

	ROLE_EXPECT(role_fresh(m, 0, &m->stream[0].s1, 2, 1));
	ROLE_EXPECT(role_fresh(m, 1, &m->stream[1].s1, 2, 1));
	ROLE_EXPECT(!other_table(m, &n, &m->stream[1].s1, NEW_ASID, 3));
	store_cd(m, 1, &n);
	ROLE_EXPECT(!evict(m, 1));
	ROLE_EXPECT(role_fresh(m, 1, &n, 4, 1));
	ROLE_EXPECT(!tell(m, 1));
	ROLE_EXPECT(role_fresh(m, 1, &n, 1, 1));
	ROLE_EXPECT(role_fresh(m, 0, &m->stream[0].s1, 3, 1));
	return role_failures;
}

/* The old VMM, which ends with a CD that the guest has not told of */
static int old_vmm(struct machine *m)
{
	struct stage1 *a = &m->stream[1].s1, n;
	int i;

	if (!ROLE_EXPECT(!fanout_open(m, m->stage, NO_GLOBAL, SPARE)))
		return role_failures;
	for (i = 0; i < SMMUS; i++)
		ROLE_EXPECT(!use_stage1(m, i) && machine_goes(m, i) == 1);
	ROLE_EXPECT(!other_table(m, &n, a, NEW_ASID + 1, 3));
	store_cd(m, 1, &n);
	ROLE_EXPECT(goes(m, 1, a) == 1);
	ROLE_EXPECT(!in_child(m, next_vmm));
	return role_failures;
}

/* In children: its scratch mappings in the old VMM would keep the module loaded */
TEST_F(filter, asids_survive_a_live_update)
{
	role_filter = variant->on;
	machine_close(&self->m);
	EXPECT_EQ(0, in_child(&self->m, old_vmm));
}

TEST_HARNESS_MAIN
