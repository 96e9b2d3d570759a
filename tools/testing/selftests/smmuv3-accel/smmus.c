// SPDX-License-Identifier: GPL-2.0
/*
 * One vSMMU over several physical SMMUs, and several vSMMUs over one. Each test
 * ends with the vSMMUs closed and nothing left of them.
 *
 * Needs two test devices behind each of two SMMUs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "guest.h"
#include "harness.h"

#define SMMUS		2
#define DEVS		2
#define STRTAB_LOG2SIZE	10
#define RING_LOG2SIZE	5
#define GUEST_ASID	5
#define IOVA		0x10000000ULL
#define NOWHERE		0x20000000ULL	/* mapped in no table */

static const __u32 vsids[SMMUS] = { 0x111, 0x222 };

#define SKIP_REASON	"two test devices behind each of two SMMUs are needed"

/* The name of the SMMU that a function is behind */
static int smmu_of(const char *bdf, char name[64])
{
	char path[64], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = 0;
	snprintf(name, 64, "%.63s", strrchr(link, '/') + 1);
	return 0;
}

/* -ENODEV: there are not enough */
static int devs_open(struct dma_dev dev[SMMUS][DEVS], int iommufd)
{
	char bdf[16], name[64], names[SMMUS][64] = {};
	int i, smmu, num[SMMUS] = {}, rc;

	for (i = 0; !dma_find(DMA_TESTDEV, i, bdf); i++) {
		rc = smmu_of(bdf, name);
		if (rc)
			return rc;
		for (smmu = 0; smmu < SMMUS; smmu++)
			if (!names[smmu][0] || !strcmp(names[smmu], name))
				break;
		if (smmu == SMMUS || num[smmu] == DEVS)
			continue;
		strcpy(names[smmu], name);
		rc = dma_open(&dev[smmu][num[smmu]++], iommufd, DMA_TESTDEV, i);
		if (rc)
			return rc;
	}
	return num[0] == DEVS && num[1] == DEVS ? 0 : -ENODEV;
}

static void devs_close(struct dma_dev dev[SMMUS][DEVS])
{
	int i;

	for (i = 0; i < SMMUS * DEVS; i++)
		dma_close(&dev[i / DEVS][i % DEVS]);
}

/* Whether a write to @iova lands in the page @gpa */
static bool lands(struct guest *g, struct dma_dev *dev, __u64 iova, __u64 gpa)
{
	volatile __u32 *word = guest_ptr(g, gpa);

	*word = 0;
	return !testdev_write(dev, iova) && *word == TESTDEV_PATTERN;
}

/* A parent, a vIOMMU or a domain that is left keeps the IOAS from being destroyed */
#define EXPECT_NOTHING_LEFT(g)						\
	EXPECT_EQ(0, iommufd_destroy((g)->iommufd, (g)->ioas_id))

static void accel_close(struct guest *g)
{
	close(g->accel);
	g->accel = -1;
}

/* A CD whose page table leads IOVA to a page */
static __u64 cd_to(struct guest *g, struct pgtable *pt, unsigned int asid,
		   __u64 gpa)
{
	__u64 cd = guest_alloc(g, 64);

	pgtable_init(pt, g, GRANULE_4K);
	pgtable_map(pt, IOVA, gpa, PTE_NOT_GLOBAL);
	cd_write(g, cd, pt, asid);
	return cd;
}

/* One vSMMU, a stream behind each SMMU, one page table */

enum { ONE_CD, ONE_ASID, TWO_ASIDS };

/**
 * struct smmus - A guest whose SMMU spans two
 * @queue: its commands and STEs come through its memory, not through
 *	SMMUV3_ACCEL_INVALIDATE and SMMUV3_ACCEL_INSTALL_STE
 * @dev: all devices; the first behind each SMMU is attached
 * @attach: what came of that
 * @pt: what both streams' CDs lead to
 */
struct smmus {
	struct guest g;
	bool queue;
	struct ring ring;
	struct strtab strtab;
	struct dma_dev dev[SMMUS][DEVS];
	struct smmuv3_accel_attach attach[SMMUS];
	struct pgtable pt;
	__u64 cd[SMMUS];
	unsigned int asid[SMMUS];
	__u64 page[2];
};

static int run(struct smmus *s, const struct cmd *cmds, __u32 num)
{
	struct smmuv3_accel_invalidate inv;
	struct smmuv3_accel_run_cmdq run;
	__u32 i;
	int rc;

	if (!s->queue) {
		rc = accel_invalidate(&s->g, cmds, num, &inv);
		return rc || inv.cmd_num != num || inv.out_error ? -EPROTO : 0;
	}
	for (i = 0; i < num; i++)
		ring_put(&s->ring, cmds[i]);
	rc = ring_run(&s->ring, &run);
	return rc || run.cons != run.prod || run.out_error ? -EPROTO : 0;
}

#define RUN(s, ...)							\
	({								\
		const struct cmd _cmds[] = { __VA_ARGS__, cmd_sync() };	\
		run(s, _cmds, ARRAY_LEN(_cmds));			\
	})

static int install(struct smmus *s, __u32 vsid, __u64 cd)
{
	__u64 ste[8];
	__u32 reason;

	ste_s1(ste, cd);
	if (!s->queue)
		return accel_install(&s->g, vsid, ste, &reason);
	strtab_write(&s->strtab, vsid, ste);
	return RUN(s, cmd_cfgi_ste(vsid, true));
}

static int smmus_open(struct smmus *s, bool queue, int cds)
{
	struct guest *g = &s->g;
	int i, rc;

	memset(s, 0, sizeof(*s));
	s->queue = queue;
	rc = guest_open(g);
	if (rc)
		return rc;
	rc = devs_open(s->dev, g->iommufd);
	if (rc)
		return rc;
	rc = accel_mem_table(g);
	if (!rc)
		rc = ring_init(&s->ring, g, RING_LOG2SIZE);
	if (!rc)
		rc = strtab_init(&s->strtab, g, STRTAB_LOG2SIZE, 0);
	if (!rc && queue)
		rc = accel_set_regs(g, CR0_SMMUEN | CR0_CMDQEN, s->strtab.base,
				    s->strtab.base_cfg, &s->ring);
	for (i = 0; i < 2; i++)
		s->page[i] = guest_alloc(g, 4096);
	for (i = 0; !rc && i < SMMUS; i++) {
		s->asid[i] = GUEST_ASID + (cds == TWO_ASIDS ? i : 0);
		if (!i) {
			s->cd[i] = cd_to(g, &s->pt, s->asid[i], s->page[0]);
		} else if (cds == ONE_CD) {
			s->cd[i] = s->cd[0];
		} else {
			s->cd[i] = guest_alloc(g, 64);
			cd_write(g, s->cd[i], &s->pt, s->asid[i]);
		}
		rc = accel_attach(g, s->dev[i][0].fd, vsids[i], &s->attach[i]);
		if (!rc)
			rc = install(s, vsids[i], s->cd[i]);
	}
	return rc;
}

/* Whether what streams do with IOVA lands in these pages */
static bool both_land(struct smmus *s, __u64 first, __u64 second)
{
	return lands(&s->g, &s->dev[0][0], IOVA, first) &&
	       lands(&s->g, &s->dev[1][0], IOVA, second);
}

FIXTURE(smmus)
{
	struct smmus s;
};

FIXTURE_VARIANT(smmus)
{
	bool queue;
	int cds;
};

FIXTURE_VARIANT_ADD(smmus, invalidate_one_cd) { false, ONE_CD };
FIXTURE_VARIANT_ADD(smmus, invalidate_one_asid) { false, ONE_ASID };
FIXTURE_VARIANT_ADD(smmus, invalidate_two_asids) { false, TWO_ASIDS };
FIXTURE_VARIANT_ADD(smmus, queue_one_cd) { true, ONE_CD };
FIXTURE_VARIANT_ADD(smmus, queue_one_asid) { true, ONE_ASID };
FIXTURE_VARIANT_ADD(smmus, queue_two_asids) { true, TWO_ASIDS };

FIXTURE_SETUP(smmus)
{
	int rc = smmus_open(&self->s, variant->queue, variant->cds);

	if (rc == -ENODEV)
		SKIP(return, SKIP_REASON);
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, self->s.attach[0].out_phys);
	ASSERT_EQ(1, self->s.attach[1].out_phys);
	ASSERT_NE(self->s.attach[0].out_viommu_id, self->s.attach[1].out_viommu_id);
	ASSERT_NE(self->s.attach[0].out_s2_hwpt_id, self->s.attach[1].out_s2_hwpt_id);
}

FIXTURE_TEARDOWN(smmus)
{
	accel_close(&self->s.g);
	EXPECT_NOTHING_LEFT(&self->s.g);
	devs_close(self->s.dev);
	guest_close(&self->s.g);
}

enum { VA, VAA, ASID, ALL, NSNH, RANGE_VA, RANGE_VAA, TLBIS };

static struct cmd tlbi(int kind, unsigned int asid)
{
	switch (kind) {
	case VA:
		return cmd_tlbi_va(asid, IOVA, true);
	case VAA:
		return cmd_tlbi_vaa(IOVA, true);
	case ASID:
		return cmd_tlbi_asid(asid);
	case ALL:
		return cmd_tlbi_nh_all();
	case NSNH:
		return cmd_tlbi_nsnh_all();
	case RANGE_VA:
		return cmd_range(cmd_tlbi_va(asid, IOVA, true), 3, 0, 1, 0);
	default:
		return cmd_range(cmd_tlbi_vaa(IOVA, true), 3, 0, 1, 0);
	}
}

/* A single TLBI has ways of its own to the host, so also with company */
TEST_F(smmus, one_tlbi_reaches_both)
{
	const struct cmd prefetch = { { 0x01 } };
	struct smmus *s = &self->s;
	struct smmuv3_accel_phys phys;
	int i, rc, at = 0;

	ASSERT_EQ(0, accel_phys(&s->g, 0, &phys));
	for (i = 0; i < 2 * TLBIS; i++) {
		int kind = i / 2;
		struct cmd cmd[SMMUS] = { tlbi(kind, s->asid[0]), tlbi(kind, s->asid[1]) };
		__u64 old = s->page[at], new = s->page[!at];

		if (kind >= RANGE_VA && !(phys.out_idr[3] & IDR3_RIL))
			continue;
		ASSERT_TRUE(both_land(s, old, old));
		pgtable_map(&s->pt, IOVA, new, PTE_NOT_GLOBAL);
		ASSERT_TRUE(both_land(s, old, old))
			TH_LOG("no stale translations to end, %d", i);
		if (memcmp(&cmd[0], &cmd[1], sizeof(cmd[0])))
			rc = RUN(s, cmd[0], cmd[1]);
		else if (i & 1)
			rc = RUN(s, prefetch, cmd[0]);
		else
			rc = RUN(s, cmd[0]);
		ASSERT_EQ(0, rc);
		EXPECT_TRUE(both_land(s, new, new))
			TH_LOG("a stale translation is left, %d", i);
		at = !at;
	}
}

/* An SMMU whose last stream is gone keeps no TLBI from the other one */
TEST_F(smmus, tlbi_without_the_first_stream)
{
	struct smmus *s = &self->s;
	__u32 reason;

	ASSERT_TRUE(both_land(s, s->page[0], s->page[0]));
	ASSERT_EQ(0, accel_detach(&s->g, vsids[0], &reason));
	pgtable_map(&s->pt, IOVA, s->page[1], PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(&s->g, &s->dev[1][0], IOVA, s->page[0]));
	ASSERT_EQ(0, RUN(s, cmd_tlbi_va(s->asid[1], IOVA, true)));
	EXPECT_TRUE(lands(&s->g, &s->dev[1][0], IOVA, s->page[1]));
}

/* Lead the CDs elsewhere, with ASIDs that no TLB knows, and not tell anybody */
static void change_cds(struct smmus *s, struct pgtable *pt, __u64 gpa)
{
	static unsigned int asid = GUEST_ASID + 10;
	int i;

	pgtable_init(pt, &s->g, GRANULE_4K);
	pgtable_map(pt, IOVA, gpa, PTE_NOT_GLOBAL);
	asid++;
	for (i = 0; i < SMMUS; i++)
		cd_write(&s->g, s->cd[i], pt, asid);
}

/* CFGI_CD is for the stream that it names, also where both have the same CD */
TEST_F(smmus, cfgi_cd_reaches_its_stream)
{
	struct smmus *s = &self->s;
	struct pgtable pt;
	int kind, i, at = 0;

	for (kind = 0; kind < 3; kind++) {
		for (i = 0; i < SMMUS; i++, at = !at) {
			__u64 old = s->page[at], new = s->page[!at];
			const __u32 sids[2] = { vsids[i], vsids[!i] };
			int n;

			ASSERT_TRUE(both_land(s, old, old));
			change_cds(s, &pt, new);
			ASSERT_TRUE(both_land(s, old, old))
				TH_LOG("no stale CDs to end");
			for (n = 0; n < 2; n++) {
				switch (kind) {
				case 0:
					ASSERT_EQ(0, RUN(s, cmd_cfgi_cd(sids[n], 0, true)));
					break;
				case 1:
					ASSERT_EQ(0, RUN(s, cmd_cfgi_cd_all(sids[n])));
					break;
				default:	/* as it was */
					ASSERT_EQ(0, install(s, sids[n],
							     s->cd[n ? !i : i]));
				}
				EXPECT_TRUE(lands(&s->g, &s->dev[i][0], IOVA, new))
					TH_LOG("a stale CD is left, %d", kind);
				EXPECT_TRUE(lands(&s->g, &s->dev[!i][0], IOVA,
						  n ? new : old))
					TH_LOG("another stream was reached, or not, %d", kind);
			}
		}
	}
}

/* Unchanged STEs: the CDs behind them may have changed, on each SMMU */
TEST_F(smmus, cfgi_all_reaches_both)
{
	struct smmus *s = &self->s;
	struct pgtable pt;

	if (!s->queue)
		return;		/* CFGI_ALL is the VMM's business then */
	ASSERT_TRUE(both_land(s, s->page[0], s->page[0]));
	change_cds(s, &pt, s->page[1]);
	ASSERT_TRUE(both_land(s, s->page[0], s->page[0]));
	ASSERT_EQ(0, RUN(s, cmd_cfgi_all()));
	EXPECT_TRUE(both_land(s, s->page[1], s->page[1]));
}

TEST_F(smmus, get_phys)
{
	struct smmus *s = &self->s;
	struct smmuv3_accel_phys phys;
	struct smmuv3_accel_attach more;
	__u32 reason;
	int i;

	ASSERT_EQ(0, accel_attach(&s->g, s->dev[0][1].fd, 0x333, &more));
	EXPECT_EQ(0, more.out_phys);
	EXPECT_EQ(s->attach[0].out_viommu_id, more.out_viommu_id);
	EXPECT_EQ(s->attach[0].out_s2_hwpt_id, more.out_s2_hwpt_id);
	for (i = 0; i < SMMUS; i++) {
		ASSERT_EQ(0, accel_phys(&s->g, i, &phys));
		EXPECT_EQ(s->attach[i].out_viommu_id, phys.out_viommu_id);
		EXPECT_EQ(s->attach[i].out_s2_hwpt_id, phys.out_s2_hwpt_id);
		EXPECT_EQ(i ? 1 : 2, phys.out_stream_num);
		/* What nesting takes */
		EXPECT_TRUE(phys.out_idr[0] & IDR0_S1P);
		EXPECT_TRUE(phys.out_idr[0] & 1);	/* S2P */
		EXPECT_TRUE(phys.out_idr[0] & IDR0_TTF64);
		EXPECT_NE(0, phys.out_idr[1] & IDR1_SIDSIZE);
		EXPECT_NE(0, phys.out_idr[5] & IDR5_GRAN);
	}
	EXPECT_EQ(-ENOENT, accel_phys(&s->g, SMMUS, &phys));
	EXPECT_EQ(-ENOENT, accel_phys(&s->g, ~0U, &phys));

	/* It stays without streams */
	ASSERT_EQ(0, accel_detach(&s->g, vsids[1], &reason));
	ASSERT_EQ(0, accel_phys(&s->g, 1, &phys));
	EXPECT_EQ(0, phys.out_stream_num);
	EXPECT_EQ(s->attach[1].out_viommu_id, phys.out_viommu_id);
	ASSERT_EQ(0, accel_detach(&s->g, 0x333, &reason));
	ASSERT_EQ(0, accel_phys(&s->g, 0, &phys));
	EXPECT_EQ(1, phys.out_stream_num);
}

/* Faults */

static void expect_fault(struct __test_metadata *_metadata, struct smmus *s,
			 int smmu, const int queue[SMMUS], __u32 vsid)
{
	__u64 evt[4];

	ASSERT_EQ(-EFAULT, testdev_write(&s->dev[smmu][0], NOWHERE));
	ASSERT_EQ(0, veventq_read(queue[smmu], evt, 5000));
	EXPECT_EQ(EVT_F_TRANSLATION, evt[0] & 0xff);
	EXPECT_EQ(vsid, evt[0] >> 32);
	EXPECT_EQ(NOWHERE, evt[2]);
	EXPECT_EQ(-ETIMEDOUT, veventq_read(queue[!smmu], evt, 50));
}

TEST_F(smmus, faults_and_hotplug)
{
	struct smmus *s = &self->s;
	struct smmuv3_accel_attach attach;
	__u32 id[SMMUS], reason;
	int queue[SMMUS], i;

	for (i = 0; i < SMMUS; i++) {
		queue[i] = veventq_open(s->g.iommufd, s->attach[i].out_viommu_id, &id[i]);
		ASSERT_LE(0, queue[i]);
	}
	for (i = 0; i < SMMUS; i++)
		expect_fault(_metadata, s, i, queue, vsids[i]);

	/* The last stream goes and comes again, elsewhere in the guest */
	for (i = 0; i < SMMUS; i++) {
		ASSERT_EQ(0, accel_detach(&s->g, vsids[i], &reason));
		expect_fault(_metadata, s, !i, queue,
			     i ? vsids[0] + 1 : vsids[1]);
		ASSERT_EQ(0, accel_attach(&s->g, s->dev[i][0].fd, vsids[i] + 1, &attach));
		EXPECT_EQ(s->attach[i].out_viommu_id, attach.out_viommu_id);
		EXPECT_EQ(s->attach[i].out_s2_hwpt_id, attach.out_s2_hwpt_id);
		EXPECT_EQ(i, attach.out_phys);
		ASSERT_EQ(0, install(s, vsids[i] + 1, s->cd[i]));
		EXPECT_TRUE(lands(&s->g, &s->dev[i][0], IOVA, s->page[0]));
		expect_fault(_metadata, s, i, queue, vsids[i] + 1);
	}
	for (i = 0; i < SMMUS; i++) {
		close(queue[i]);
		EXPECT_EQ(0, iommufd_destroy(s->g.iommufd, id[i]));
	}
}

/*
 * With the last stream of an SMMU what its TLBs hold goes as well. That there is
 * something to go is seen where a second stream is left.
 */
TEST_F(smmus, last_detach_flushes)
{
	struct smmus *s = &self->s;
	struct smmuv3_accel_attach attach;
	__u32 reason;
	int i;

	for (i = 0; i < SMMUS; i++) {
		struct dma_dev *dev = &s->dev[i][0];

		pgtable_map(&s->pt, IOVA, s->page[0], PTE_NOT_GLOBAL);
		ASSERT_EQ(0, RUN(s, cmd_tlbi_nh_all()));
		ASSERT_TRUE(lands(&s->g, dev, IOVA, s->page[0]));
		pgtable_map(&s->pt, IOVA, s->page[1], PTE_NOT_GLOBAL);

		ASSERT_EQ(0, accel_attach(&s->g, s->dev[i][1].fd, 0x333, &attach));
		ASSERT_EQ(0, accel_detach(&s->g, vsids[i], &reason));
		ASSERT_EQ(0, accel_attach(&s->g, dev->fd, vsids[i], &attach));
		ASSERT_EQ(0, install(s, vsids[i], s->cd[i]));
		ASSERT_TRUE(lands(&s->g, dev, IOVA, s->page[0]))
			TH_LOG("no stale translation to flush");

		ASSERT_EQ(0, accel_detach(&s->g, 0x333, &reason));
		ASSERT_EQ(0, accel_detach(&s->g, vsids[i], &reason));
		ASSERT_EQ(0, accel_attach(&s->g, dev->fd, vsids[i], &attach));
		ASSERT_EQ(0, install(s, vsids[i], s->cd[i]));
		EXPECT_TRUE(lands(&s->g, dev, IOVA, s->page[1]))
			TH_LOG("a stale translation outlived the last stream");
	}
}

/* ID registers */

struct idr_field {
	int reg;
	__u32 mask;
	bool number;	/* else bits, each on its own */
};

static const struct idr_field idr_fields[] = {
	{ 0, IDR0_TTF, false },
	{ 0, IDR0_ATS, false },
	{ 0, IDR0_ASID16, false },
	{ 0, IDR0_CD2L, false },
	{ 1, IDR1_SIDSIZE, true },
	{ 1, IDR1_SSIDSIZE, true },
	{ 3, IDR3_RIL, false },
	{ 3, IDR3_BBML, true },
	{ 5, IDR5_OAS, true },
	{ 5, IDR5_GRAN, false },
	{ 5, IDR5_DS, false },
	{ 5, IDR5_VAX, true },
};

/* What both have */
static void idr_common(const __u32 a[6], const __u32 b[6], __u32 idr[6])
{
	unsigned int i;

	memcpy(idr, a, 6 * sizeof(*a));
	for (i = 0; i < ARRAY_LEN(idr_fields); i++) {
		const struct idr_field *f = &idr_fields[i];
		__u32 x = a[f->reg] & f->mask, y = b[f->reg] & f->mask;

		idr[f->reg] &= ~f->mask;
		idr[f->reg] |= !f->number ? x & y : x < y ? x : y;
	}
}

/* More of a field than @idr has: false where there is no more */
static bool idr_exceed(const struct idr_field *f, __u32 idr[6])
{
	__u32 has = idr[f->reg] & f->mask;

	if (has == f->mask)
		return false;
	idr[f->reg] &= ~f->mask;
	idr[f->reg] |= f->number ? has + (f->mask & -f->mask) : f->mask;
	return true;
}

FIXTURE(idr)
{
	struct guest g;
	struct dma_dev dev[SMMUS][DEVS];
	__u32 offer[6];
};

FIXTURE_SETUP(idr)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys[SMMUS];
	__u32 common[6], reason;
	int i, rc;

	ASSERT_EQ(0, guest_open(&self->g));
	rc = devs_open(self->dev, self->g.iommufd);
	if (rc == -ENODEV)
		SKIP(return, SKIP_REASON);
	ASSERT_EQ(0, rc);
	for (i = 0; i < SMMUS; i++) {
		ASSERT_EQ(0, accel_attach(&self->g, self->dev[i][0].fd, vsids[i], &attach));
		ASSERT_EQ(0, accel_phys(&self->g, i, &phys[i]));
	}
	for (i = 0; i < SMMUS; i++)
		ASSERT_EQ(0, accel_detach(&self->g, vsids[i], &reason));
	idr_common(phys[0].out_idr, phys[1].out_idr, common);
	idr_offer(common, self->offer);
}

FIXTURE_TEARDOWN(idr)
{
	accel_close(&self->g);
	EXPECT_NOTHING_LEFT(&self->g);
	devs_close(self->dev);
	guest_close(&self->g);
}

/* What both SMMUs have is accepted before they are known and after */
TEST_F(idr, common_denominator)
{
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_attach attach;
	int i;

	ASSERT_EQ(0, accel_set_idr(&self->g, self->offer, &out))
		TH_LOG("IDR%u, %#x", out.out_bad_idr, out.out_bad_mask);
	accel_close(&self->g);
	ASSERT_EQ(0, guest_create(&self->g));
	ASSERT_EQ(0, accel_set_idr(&self->g, self->offer, &out));
	for (i = 0; i < SMMUS; i++)
		EXPECT_EQ(0, accel_attach(&self->g, self->dev[i][0].fd, vsids[i], &attach));
}

/* One field more than it has: refused as soon as the SMMU is known */
TEST_F(idr, beyond_the_host)
{
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_attach attach;
	unsigned int i, tried = 0;

	for (i = 0; i < ARRAY_LEN(idr_fields); i++) {
		const struct idr_field *f = &idr_fields[i];
		struct guest later = self->g;
		__u32 idr[6];
		int smmu;

		memcpy(idr, self->offer, sizeof(idr));
		if (!idr_exceed(f, idr))
			continue;
		tried++;
		EXPECT_EQ(-EOPNOTSUPP, accel_set_idr(&self->g, idr, &out));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_IDR, out.out_reason);
		EXPECT_EQ(f->reg, out.out_bad_idr);
		EXPECT_EQ(f->mask, out.out_bad_mask);

		ASSERT_EQ(0, guest_create(&later));
		ASSERT_EQ(0, accel_set_idr(&later, idr, &out))
			TH_LOG("field %u is legal, the host is not known", i);
		for (smmu = 0; smmu < SMMUS; smmu++) {
			EXPECT_EQ(-EOPNOTSUPP, accel_attach(&later, self->dev[smmu][0].fd,
							    vsids[smmu], &attach));
			EXPECT_EQ(SMMUV3_ACCEL_REASON_IDR, attach.out_reason);
			EXPECT_EQ(f->reg, attach.out_bad_idr);
			EXPECT_EQ(f->mask, attach.out_bad_mask);
			EXPECT_EQ(0, attach.out_viommu_id);
		}
		/* Nothing is frozen by that */
		ASSERT_EQ(0, accel_set_idr(&later, self->offer, &out));
		for (smmu = 0; smmu < SMMUS; smmu++)
			EXPECT_EQ(0, accel_attach(&later, self->dev[smmu][0].fd,
						  vsids[smmu], &attach));
		accel_close(&later);
	}
	/* No SMMU has all there is */
	EXPECT_LT(0, tried);
	/* What was refused changed nothing */
	EXPECT_EQ(0, accel_set_idr(&self->g, self->offer, &out));
}

/* A StreamID beyond SIDSIZE, of the guest's ID registers or of the SMMU's */
TEST_F(idr, vsid_range)
{
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_attach attach;
	unsigned int bits = self->offer[1] & IDR1_SIDSIZE;
	int smmu, i;

	for (i = 0; i < 2; i++) {
		for (smmu = 0; smmu < SMMUS; smmu++) {
			if (bits == 32)
				continue;
			EXPECT_EQ(-EINVAL, accel_attach(&self->g, self->dev[smmu][0].fd,
							1U << bits, &attach));
			EXPECT_EQ(SMMUV3_ACCEL_REASON_VSID_RANGE, attach.out_reason);
			EXPECT_EQ(-EINVAL, accel_attach(&self->g, self->dev[smmu][0].fd,
							~0U, &attach));
		}
		bits = 6;
		self->offer[1] = (self->offer[1] & ~IDR1_SIDSIZE) | bits;
		ASSERT_EQ(0, accel_set_idr(&self->g, self->offer, &out));
	}
	EXPECT_EQ(0, accel_attach(&self->g, self->dev[1][0].fd, (1U << bits) - 1, &attach));
}

/* Several vSMMUs in one VM */

/**
 * struct user - One of the vSMMUs of a VM, and a device behind it
 * @g: the VM, with a vSMMU of its own. All allocate from the first one's memory
 */
struct user {
	struct guest g;
	struct dma_dev *dev;
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	__u64 page;
};

static int create(struct guest *g, __u32 flags, __u32 s2_hwpt_id)
{
	struct smmuv3_accel_create arg = {
		.size = sizeof(arg),
		.flags = flags,
		.iommufd = g->iommufd,
		.ioas_id = g->ioas_id,
		.s2_hwpt_id = s2_hwpt_id,
	};

	g->accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	if (g->accel < 0)
		return -errno;
	return ioctl(g->accel, SMMUV3_ACCEL_CREATE, &arg) ? -errno : 0;
}

static int user_attach(struct user *u, struct guest *mem, struct dma_dev *dev,
		       unsigned int asid)
{
	__u64 ste[8];
	__u32 reason;
	int rc;

	u->dev = dev;
	rc = accel_attach(&u->g, dev->fd, vsids[0], &u->attach);
	if (rc)
		return rc;
	u->page = guest_alloc(mem, 4096);
	ste_s1(ste, cd_to(mem, &u->pt, asid, u->page));
	return accel_install(&u->g, vsids[0], ste, &reason);
}

/* Its DMA is served, and so are its invalidations */
static bool user_works(struct user *u, struct guest *mem, unsigned int asid)
{
	const struct cmd cmds[] = { cmd_tlbi_va(asid, IOVA, true), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	__u64 old = u->page;

	if (!lands(mem, u->dev, IOVA, old))
		return false;
	u->page = guest_alloc(mem, 4096);
	pgtable_map(&u->pt, IOVA, u->page, PTE_NOT_GLOBAL);
	return lands(mem, u->dev, IOVA, old) &&
	       !accel_invalidate(&u->g, cmds, 2, &out) && out.cmd_num == 2 &&
	       lands(mem, u->dev, IOVA, u->page);
}

#define USERS	3

/* Several VMMs' worth of vSMMUs on the memory of one guest */
static int users_open(struct guest *g, struct dma_dev dev[SMMUS][DEVS], struct user *u)
{
	int i, rc;

	rc = guest_open_memory(g);
	if (rc)
		return rc;
	rc = devs_open(dev, g->iommufd);
	for (i = 0; i < USERS; i++)
		u[i].g = *g;
	return rc;
}

FIXTURE(users)
{
	struct guest g;
	struct dma_dev dev[SMMUS][DEVS];
	struct user u[USERS];
};

FIXTURE_VARIANT(users)
{
	__u32 flags[2];
};

#define SHARED	SMMUV3_ACCEL_CREATE_SHARED_ASIDS

FIXTURE_VARIANT_ADD(users, neither_shares) { { 0, 0 } };
FIXTURE_VARIANT_ADD(users, first_shares) { { SHARED, 0 } };
FIXTURE_VARIANT_ADD(users, second_shares) { { 0, SHARED } };
FIXTURE_VARIANT_ADD(users, both_share) { { SHARED, SHARED } };

FIXTURE_SETUP(users)
{
	int rc = users_open(&self->g, self->dev, self->u);

	if (rc == -ENODEV)
		SKIP(return, SKIP_REASON);
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(users)
{
	int i;

	for (i = 0; i < USERS; i++)
		if (self->u[i].g.accel >= 0)
			close(self->u[i].g.accel);
	EXPECT_NOTHING_LEFT(&self->g);
	devs_close(self->dev);
	guest_close(&self->g);
}

static bool share(const __u32 flags[2])
{
	return flags[0] & flags[1] & SHARED;
}

/*
 * One ASID in two tables, which SHARED_ASIDS promises not to be: with it the
 * second device finds the first one's translation, without it does not.
 */
TEST_F(users, alias)
{
	struct user *u = self->u;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, create(&u[i].g, variant->flags[i], 0));
		ASSERT_EQ(0, user_attach(&u[i], &self->g, &self->dev[0][i], GUEST_ASID));
	}
	EXPECT_NE(u[0].attach.out_viommu_id, u[1].attach.out_viommu_id);
	ASSERT_TRUE(lands(&self->g, u[0].dev, IOVA, u[0].page));
	if (share(variant->flags)) {
		EXPECT_EQ(u[0].attach.out_s2_hwpt_id, u[1].attach.out_s2_hwpt_id);
		EXPECT_TRUE(lands(&self->g, u[1].dev, IOVA, u[0].page));
	} else {
		EXPECT_NE(u[0].attach.out_s2_hwpt_id, u[1].attach.out_s2_hwpt_id);
		EXPECT_TRUE(lands(&self->g, u[1].dev, IOVA, u[1].page));
	}
}

/* They share on each SMMU, and where the IOAS is the same */
TEST_F(users, share_what)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct smmuv3_accel_attach attach[SMMUS];
	struct guest other = self->g;
	struct user *u = self->u;
	__u32 first[SMMUS];
	int i, smmu;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, create(&u[i].g, variant->flags[i], 0));
		for (smmu = 0; smmu < SMMUS; smmu++)
			ASSERT_EQ(0, accel_attach(&u[i].g, self->dev[smmu][i].fd,
						  vsids[smmu], &attach[smmu]));
		EXPECT_NE(attach[0].out_s2_hwpt_id, attach[1].out_s2_hwpt_id);
		for (smmu = 0; smmu < SMMUS; smmu++) {
			if (!i)
				first[smmu] = attach[smmu].out_s2_hwpt_id;
			EXPECT_EQ(!i || share(variant->flags),
				  first[smmu] == attach[smmu].out_s2_hwpt_id);
		}
	}

	/* The same devices, another IOAS of that iommufd */
	accel_close(&u[1].g);
	ASSERT_EQ(0, ioctl(other.iommufd, IOMMU_IOAS_ALLOC, &ioas));
	other.ioas_id = ioas.out_ioas_id;
	ASSERT_EQ(0, create(&other, variant->flags[1], 0));
	ASSERT_EQ(0, accel_attach(&other, self->dev[0][1].fd, vsids[0], &attach[0]));
	EXPECT_NE(first[0], attach[0].out_s2_hwpt_id);
	accel_close(&other);
	EXPECT_NOTHING_LEFT(&other);
}

/* The VMM's parent is taken where it fits, whichever SMMU comes first */
TEST_F(users, own_parent)
{
	struct smmuv3_accel_attach attach[SMMUS];
	struct user *u = self->u;
	int first, i, smmu;
	__u32 parent;

	for (first = 0; first < SMMUS; first++) {
		ASSERT_EQ(0, iommufd_nest_parent(self->g.iommufd, self->dev[0][0].dev_id,
						 self->g.ioas_id, &parent));
		ASSERT_EQ(0, create(&u[0].g, variant->flags[0], parent));
		for (i = 0; i < SMMUS; i++) {
			smmu = i ^ first;
			ASSERT_EQ(0, accel_attach(&u[0].g, self->dev[smmu][0].fd,
						  vsids[smmu], &attach[smmu]));
			EXPECT_EQ(i, attach[smmu].out_phys);
		}
		EXPECT_EQ(parent, attach[0].out_s2_hwpt_id);
		EXPECT_NE(parent, attach[1].out_s2_hwpt_id);

		/* A second vSMMU that names it */
		ASSERT_EQ(0, create(&u[1].g, variant->flags[1], parent));
		EXPECT_EQ(0, accel_attach(&u[1].g, self->dev[1][1].fd, vsids[1], &attach[1]));
		EXPECT_NE(parent, attach[1].out_s2_hwpt_id);
		if (share(variant->flags)) {
			EXPECT_EQ(0, accel_attach(&u[1].g, self->dev[0][1].fd, vsids[0],
						  &attach[0]));
			EXPECT_EQ(parent, attach[0].out_s2_hwpt_id);
			/* The first goes, its parent is in use all the same */
			accel_close(&u[0].g);
			EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, parent));
		} else {
			EXPECT_EQ(-EBUSY, accel_attach(&u[1].g, self->dev[0][1].fd,
						       vsids[0], &attach[0]));
			EXPECT_EQ(SMMUV3_ACCEL_REASON_PARENT_IN_USE, attach[0].out_reason);
			EXPECT_EQ(0, attach[0].out_viommu_id);
			accel_close(&u[0].g);
			/* Now it is to be had */
			EXPECT_EQ(0, accel_attach(&u[1].g, self->dev[0][1].fd, vsids[0],
						  &attach[0]));
			EXPECT_EQ(parent, attach[0].out_s2_hwpt_id);
		}
		accel_close(&u[1].g);
		/* What is the VMM's is left to the VMM */
		EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, parent));
	}
}

/* A parent that was made for the first, named by the second */
TEST_F(users, made_parent_named)
{
	struct smmuv3_accel_attach attach;
	struct user *u = self->u;

	ASSERT_EQ(0, create(&u[0].g, variant->flags[0], 0));
	ASSERT_EQ(0, user_attach(&u[0], &self->g, &self->dev[0][0], GUEST_ASID));
	ASSERT_EQ(0, create(&u[1].g, variant->flags[1], u[0].attach.out_s2_hwpt_id));
	if (!share(variant->flags)) {
		EXPECT_EQ(-EBUSY, accel_attach(&u[1].g, self->dev[0][1].fd, vsids[0],
					       &attach));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_PARENT_IN_USE, attach.out_reason);
		return;
	}
	ASSERT_EQ(0, user_attach(&u[1], &self->g, &self->dev[0][1], GUEST_ASID + 1));
	EXPECT_EQ(u[0].attach.out_s2_hwpt_id, u[1].attach.out_s2_hwpt_id);
	/* It goes with its last user, who did not make it */
	accel_close(&u[0].g);
	EXPECT_TRUE(user_works(&u[1], &self->g, GUEST_ASID + 1));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
}

/* Either goes first, the other one's DMA goes on */
TEST_F(users, close_one)
{
	struct user *u = self->u;
	int first, i;

	for (first = 0; first < 2; first++) {
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, create(&u[i].g, variant->flags[i], 0));
			ASSERT_EQ(0, user_attach(&u[i], &self->g, &self->dev[0][i],
						 GUEST_ASID + i));
			ASSERT_TRUE(lands(&self->g, u[i].dev, IOVA, u[i].page));
		}
		accel_close(&u[first].g);
		EXPECT_EQ(-EFAULT, testdev_write(u[first].dev, IOVA));
		EXPECT_TRUE(user_works(&u[!first], &self->g, GUEST_ASID + !first));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
		accel_close(&u[!first].g);
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->g.iommufd,
						   u[0].attach.out_s2_hwpt_id));
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->g.iommufd,
						   u[1].attach.out_s2_hwpt_id));
	}
}

/*
 * A vSMMU that was closed, streams and all, leaves none of its translations to
 * whoever has its ASIDs next, also where its parent lives on.
 */
TEST_F(users, close_forgets)
{
	struct user *u = self->u, old;
	int round;

	ASSERT_EQ(0, create(&u[1].g, variant->flags[1], 0));
	ASSERT_EQ(0, user_attach(&u[1], &self->g, &self->dev[0][1], GUEST_ASID + 1));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, create(&u[0].g, variant->flags[0], 0));
		ASSERT_EQ(0, user_attach(&u[0], &self->g, &self->dev[0][0], GUEST_ASID));
		EXPECT_TRUE(lands(&self->g, u[0].dev, IOVA, u[0].page))
			TH_LOG("DMA goes %s", round && lands(&self->g, u[0].dev, IOVA, old.page) ?
			       "where the closed vSMMU led it" : "nowhere");
		old = u[0];
		accel_close(&u[0].g);
	}
}

/* Three that share, closed in each order */

FIXTURE(three)
{
	struct guest g;
	struct dma_dev dev[SMMUS][DEVS];
	struct user u[USERS];
};

FIXTURE_VARIANT(three)
{
	int order[USERS];
};

FIXTURE_VARIANT_ADD(three, abc) { { 0, 1, 2 } };
FIXTURE_VARIANT_ADD(three, acb) { { 0, 2, 1 } };
FIXTURE_VARIANT_ADD(three, bac) { { 1, 0, 2 } };
FIXTURE_VARIANT_ADD(three, bca) { { 1, 2, 0 } };
FIXTURE_VARIANT_ADD(three, cab) { { 2, 0, 1 } };
FIXTURE_VARIANT_ADD(three, cba) { { 2, 1, 0 } };

FIXTURE_SETUP(three)
{
	int rc = users_open(&self->g, self->dev, self->u);

	if (rc == -ENODEV)
		SKIP(return, SKIP_REASON);
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(three)
{
	EXPECT_NOTHING_LEFT(&self->g);
	devs_close(self->dev);
	guest_close(&self->g);
}

TEST_F(three, close_in_order)
{
	struct user *u = self->u;
	__u32 parent, reason;
	int i, n;

	/* The third has had a device; its vIOMMU stays on the parent until close */
	for (i = USERS - 1; i >= 0; i--) {
		ASSERT_EQ(0, create(&u[i].g, SHARED, 0));
		ASSERT_EQ(0, user_attach(&u[i], &self->g, &self->dev[0][i % DEVS],
					 GUEST_ASID + i));
		EXPECT_EQ(u[USERS - 1].attach.out_s2_hwpt_id, u[i].attach.out_s2_hwpt_id);
		if (i == USERS - 1)
			ASSERT_EQ(0, accel_detach(&u[i].g, vsids[0], &reason));
	}
	parent = u[0].attach.out_s2_hwpt_id;
	for (n = 0; n < USERS; n++) {
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->g.iommufd, parent));
		accel_close(&u[variant->order[n]].g);
		for (i = 0; i < DEVS; i++) {
			bool closed = u[i].g.accel < 0;

			EXPECT_EQ(!closed, user_works(&u[i], &self->g, GUEST_ASID + i));
			EXPECT_EQ(closed ? -EFAULT : 0, testdev_write(u[i].dev, IOVA));
		}
	}
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->g.iommufd, parent));
}

TEST_HARNESS_MAIN
