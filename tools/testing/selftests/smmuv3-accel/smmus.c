// SPDX-License-Identifier: GPL-2.0
/*
 * One vSMMU over two physical SMMUs: each invalidation reaches the SMMUs that it must
 * reach. Each test ends with the vSMMU closed and nothing left of it.
 *
 * Needs two iommu-testdevs behind each of two SMMUs.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "machine.h"

#define SMMUS		2
#define VSID_SPARE	0x333

enum cds { ONE_CD, ONE_ASID, TWO_ASIDS };

/*
 * Streams 0 and 1 are attached, one behind each SMMU, with one page table. Devices
 * 2 and 3 are spare ones behind the same SMMUs
 */
FIXTURE(smmus)
{
	struct machine m;
};

/*
 * @queue: commands and STEs come through guest memory, not through INVALIDATE and
 *	INSTALL_STE
 * @cds: what leads to the page table
 */
FIXTURE_VARIANT(smmus)
{
	bool queue;
	enum cds cds;
};

FIXTURE_VARIANT_ADD(smmus, invalidate_one_cd) { false, ONE_CD };
FIXTURE_VARIANT_ADD(smmus, invalidate_one_asid) { false, ONE_ASID };
FIXTURE_VARIANT_ADD(smmus, invalidate_two_asids) { false, TWO_ASIDS };
FIXTURE_VARIANT_ADD(smmus, queue_one_cd) { true, ONE_CD };
FIXTURE_VARIANT_ADD(smmus, queue_one_asid) { true, ONE_ASID };
FIXTURE_VARIANT_ADD(smmus, queue_two_asids) { true, TWO_ASIDS };

FIXTURE_SETUP(smmus)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	int rc;

	rc = machine_open(m, .stage = STAGE_MEMORY, .devices = 2 * SMMUS, .spare = SMMUS,
			  .smmus = SMMUS, .one_table = true);
	if (rc == -ENODEV)
		SKIP(return, "wants two iommu-testdevs behind each of two SMMUs");
	ASSERT_EQ(0, rc);
	s[1].s1.asid += variant->cds == TWO_ASIDS;
	if (variant->cds != ONE_CD)
		s[1].s1.cd = cd_new(&m->g, &s[1].s1.pt, s[1].s1.asid);
	ste_s1(s[1].s1.ste, s[1].s1.cd);
	ASSERT_EQ(0, machine_reach(m, variant->queue ? STAGE_RUNNING : STAGE_EXPLICIT));
	ASSERT_EQ(0, s[0].ids.out_phys);
	ASSERT_EQ(1, s[1].ids.out_phys);
	ASSERT_NE(s[0].ids.out_viommu_id, s[1].ids.out_viommu_id);
	ASSERT_NE(s[0].ids.out_s2_hwpt_id, s[1].ids.out_s2_hwpt_id);
}

FIXTURE_TEARDOWN(smmus)
{
	guest_close_accel(&self->m.g);
	EXPECT_NOTHING_LEFT(&self->m.g);
	machine_close(&self->m);
}

/* Whether the DMA of both streams lands in that page */
static bool both_go(struct machine *m, int page)
{
	return machine_goes(m, 0) == page && machine_goes(m, 1) == page;
}

enum tlbi { VA, VAA, ASID, ALL, NSNH, RANGE_VA, RANGE_VAA, TLBIS };

static struct cmd tlbi(const struct stage1 *s1, enum tlbi kind)
{
	const struct cmd va = stage1_tlbi(s1), vaa = cmd_tlbi_vaa(s1->page[0], true);

	switch (kind) {
	case VA:
		return va;
	case VAA:
		return vaa;
	case ASID:
		return cmd_tlbi_asid(s1->asid);
	case ALL:
		return cmd_tlbi_nh_all();
	case NSNH:
		return cmd_tlbi_nsnh_all();
	case RANGE_VA:
		return cmd_range(va, 3, 0, 1, 0);
	default:
		return cmd_range(vaa, 3, 0, 1, 0);
	}
}

/* Alone, which takes the fast path, and with another command */
TEST_F(smmus, one_tlbi_reaches_both)
{
	const struct cmd prefetch = { { 0x01 } };
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	int i, rc, old = 1, new = 2;

	for (i = 0; i < 2 * TLBIS; i++, new = old, old = 3 - new) {
		struct cmd cmd[SMMUS] = { tlbi(&s[0].s1, i / 2), tlbi(&s[1].s1, i / 2) };

		if (i / 2 >= RANGE_VA && !machine_has(m, 3, IDR3_RIL))
			break;
		ASSERT_TRUE(both_go(m, old));
		machine_lead(m, 0, new);
		ASSERT_TRUE(both_go(m, old)) TH_LOG("no stale translations to end, %d", i);
		if (memcmp(&cmd[0], &cmd[1], sizeof(cmd[0])))
			rc = INVALIDATE(m, cmd[0], cmd[1]);
		else if (i & 1)
			rc = INVALIDATE(m, prefetch, cmd[0]);
		else
			rc = INVALIDATE(m, cmd[0]);
		ASSERT_EQ(0, rc);
		EXPECT_TRUE(both_go(m, new)) TH_LOG("a stale translation is left, %d", i);
	}
}

/* An SMMU without streams does not keep a TLBI from the other SMMU */
TEST_F(smmus, tlbi_reaches_the_second_without_the_first)
{
	struct machine *m = &self->m;

	ASSERT_TRUE(both_go(m, 1));
	ASSERT_EQ(0, machine_detach(m, 0));
	machine_lead(m, 1, 2);
	ASSERT_EQ(1, machine_goes(m, 1));
	ASSERT_EQ(0, INVALIDATE(m, machine_tlbi(m, 1)));
	EXPECT_EQ(2, machine_goes(m, 1));
}

/* Change both CDs, without an invalidation: another ASID, which no TLB has, and page */
static void change_cds(struct machine *m, struct pgtable *pt, int page)
{
	static unsigned int asid = MACHINE_ASID + 10;
	struct stage1 *s1 = &m->stream[0].s1;
	int i;

	pgtable_init(pt, &m->g, GRANULE_4K);
	pgtable_map(pt, s1->page[0], s1->page[page], PTE_NOT_GLOBAL);
	asid++;
	for (i = 0; i < SMMUS; i++)
		cd_write(&m->g, m->stream[i].s1.cd, pt, asid);
}

enum cfgi { CFGI_CD, CFGI_CD_ALL, SAME_STE, CFGIS };

static int invalidate_cd(struct machine *m, int i, enum cfgi kind)
{
	const __u32 vsid = m->stream[i].vsid;

	switch (kind) {
	case CFGI_CD:
		return INVALIDATE(m, cmd_cfgi_cd(vsid, 0, true));
	case CFGI_CD_ALL:
		return INVALIDATE(m, cmd_cfgi_cd_all(vsid));
	default:
		return machine_change_ste(m, i, STE_CFG_S1);
	}
}

/* Also if both have the same CD */
TEST_F(smmus, cfgi_cd_reaches_the_stream_that_it_names)
{
	struct machine *m = &self->m;
	int kind, i, old = 1, new = 2;
	struct pgtable pt;

	for (kind = 0; kind < CFGIS; kind++) {
		for (i = 0; i < SMMUS; i++, new = old, old = 3 - new) {
			ASSERT_TRUE(both_go(m, old));
			change_cds(m, &pt, new);
			ASSERT_TRUE(both_go(m, old)) TH_LOG("no stale CDs to end");
			ASSERT_EQ(0, invalidate_cd(m, i, kind));
			EXPECT_EQ(new, machine_goes(m, i)) TH_LOG("a stale CD is left, %d", kind);
			EXPECT_EQ(old, machine_goes(m, !i)) TH_LOG("reached another, %d", kind);
			ASSERT_EQ(0, invalidate_cd(m, !i, kind));
			EXPECT_TRUE(both_go(m, new)) TH_LOG("a stale CD is left, %d", kind);
		}
	}
}

/* The STEs are the same, but the CDs may have changed */
TEST_F(smmus, cfgi_all_reaches_both)
{
	struct machine *m = &self->m;
	struct pgtable pt;

	if (!variant->queue)
		return;		/* only table mode has CFGI_ALL */
	ASSERT_TRUE(both_go(m, 1));
	change_cds(m, &pt, 2);
	ASSERT_TRUE(both_go(m, 1));
	ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_all()));
	EXPECT_TRUE(both_go(m, 2));
}

TEST_F(smmus, get_phys_describes_both)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	struct smmuv3_accel_phys phys;
	struct smmuv3_accel_attach more;
	int i;

	ASSERT_EQ(0, accel_attach(&m->g, s[SMMUS].dev.fd, VSID_SPARE, &more));
	EXPECT_EQ(0, more.out_phys);
	EXPECT_EQ(s[0].ids.out_viommu_id, more.out_viommu_id);
	EXPECT_EQ(s[0].ids.out_s2_hwpt_id, more.out_s2_hwpt_id);
	for (i = 0; i < SMMUS; i++) {
		ASSERT_EQ(0, accel_phys(&m->g, i, &phys));
		EXPECT_EQ(s[i].ids.out_viommu_id, phys.out_viommu_id);
		EXPECT_EQ(s[i].ids.out_s2_hwpt_id, phys.out_s2_hwpt_id);
		EXPECT_EQ(i ? 1 : 2, phys.out_stream_num);
		/* What nesting needs */
		EXPECT_TRUE(phys.out_idr[0] & IDR0_S1P);
		EXPECT_TRUE(phys.out_idr[0] & 1);	/* S2P */
		EXPECT_TRUE(phys.out_idr[0] & IDR0_TTF64);
		EXPECT_NE(0, phys.out_idr[1] & IDR1_SIDSIZE);
		EXPECT_NE(0, phys.out_idr[5] & IDR5_GRAN);
	}
	EXPECT_EQ(-ENOENT, accel_phys(&m->g, SMMUS, &phys));
	EXPECT_EQ(-ENOENT, accel_phys(&m->g, ~0U, &phys));

	/* The SMMU stays without streams */
	ASSERT_EQ(0, machine_detach(m, 1));
	ASSERT_EQ(0, accel_phys(&m->g, 1, &phys));
	EXPECT_EQ(0, phys.out_stream_num);
	EXPECT_EQ(s[1].ids.out_viommu_id, phys.out_viommu_id);
	ASSERT_EQ(0, accel_detach(&m->g, VSID_SPARE, NULL));
	ASSERT_EQ(0, accel_phys(&m->g, 0, &phys));
	EXPECT_EQ(1, phys.out_stream_num);
}

/* A device faults, and the vEVENTQ of its SMMU alone gets the event */
static void expect_fault(struct __test_metadata *_metadata, struct machine *m, int smmu,
			 const int queue[SMMUS])
{
	__u64 evt[4];

	EXPECT_FAULT(&m->stream[smmu], queue[smmu]);
	EXPECT_EQ(-ETIMEDOUT, veventq_read(queue[!smmu], evt, 50));
}

TEST_F(smmus, faults_are_reported_after_hotplug_too)
{
	struct machine *m = &self->m;
	__u32 id[SMMUS];
	int queue[SMMUS], i;

	for (i = 0; i < SMMUS; i++) {
		queue[i] = veventq_open(m->g.iommufd, m->stream[i].ids.out_viommu_id, &id[i]);
		ASSERT_LE(0, queue[i]);
	}
	for (i = 0; i < SMMUS; i++)
		expect_fault(_metadata, m, i, queue);

	/* The only stream of an SMMU goes and comes again, with another StreamID */
	for (i = 0; i < SMMUS; i++) {
		struct stream *s = &m->stream[i], old = *s;

		ASSERT_EQ(0, machine_detach(m, i));
		expect_fault(_metadata, m, !i, queue);
		s->vsid += 0x10;
		ASSERT_EQ(0, machine_attach(m, i));
		EXPECT_EQ(old.ids.out_viommu_id, s->ids.out_viommu_id);
		EXPECT_EQ(old.ids.out_s2_hwpt_id, s->ids.out_s2_hwpt_id);
		EXPECT_EQ(i, s->ids.out_phys);
		ASSERT_EQ(0, machine_change_ste(m, i, STE_CFG_S1));
		EXPECT_EQ(1, machine_goes(m, i));
		expect_fault(_metadata, m, i, queue);
	}
	for (i = 0; i < SMMUS; i++) {
		close(queue[i]);
		EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, id[i]));
	}
}

/* A second stream shows first that there is something to flush */
TEST_F(smmus, detach_of_the_last_stream_flushes)
{
	struct machine *m = &self->m;
	int i;

	for (i = 0; i < SMMUS; i++) {
		machine_lead(m, i, 1);
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_nh_all()));
		ASSERT_EQ(1, machine_goes(m, i));
		machine_lead(m, i, 2);

		ASSERT_EQ(0, accel_attach(&m->g, m->stream[SMMUS + i].dev.fd, VSID_SPARE, NULL));
		ASSERT_EQ(0, machine_detach(m, i));
		ASSERT_EQ(0, machine_attach(m, i));
		ASSERT_EQ(0, machine_change_ste(m, i, STE_CFG_S1));
		ASSERT_EQ(1, machine_goes(m, i)) TH_LOG("no stale translation to flush");

		ASSERT_EQ(0, accel_detach(&m->g, VSID_SPARE, NULL));
		ASSERT_EQ(0, machine_detach(m, i));
		ASSERT_EQ(0, machine_attach(m, i));
		ASSERT_EQ(0, machine_change_ste(m, i, STE_CFG_S1));
		EXPECT_EQ(2, machine_goes(m, i))
			TH_LOG("a stale translation outlived the last stream");
	}
}

TEST_HARNESS_MAIN
