// SPDX-License-Identifier: GPL-2.0
/*
 * DMA obeys the guest, in explicit mode: devices write through the guest's stage-1
 * tables. Each test of an invalidation first shows the stale translation.
 *
 * Needs two iommu-testdevs and an edu device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "harness.h"
#include "machine.h"
#include "stress.h"

#define VSID	MACHINE_VSID
#define IOVA	0x10000000ULL

#define MAX_PAGES	16

/* TLBIs, for each granule */

enum tlbi {
	TLBI_VA, TLBI_VA_LEAF, TLBI_VAA, TLBI_VAA_LEAF, TLBI_ASID, TLBI_ALL,
	TLBI_NSNH, TLBI_RANGE_VA, TLBI_RANGE_VA_TTL, TLBI_RANGE_VA_SCALE,
	TLBI_RANGE_VAA_ONE,
	/* Reserved combinations, of which the host gets something else */
	TLBI_TG_ALONE, TLBI_TTL_ALONE, TLBI_NUM_ALONE, TLBI_LEVEL_1, TLBI_LONG_SCALE,
};

FIXTURE(tlbi)
{
	struct machine m;
	__u64 old[MAX_PAGES];
	__u64 new[MAX_PAGES];
	__u64 size;
};

FIXTURE_VARIANT(tlbi)
{
	enum tlbi kind;
	unsigned int shift;
	int pages;
};

#define TLBI_VARIANT(_kind, _pages, _granule)			\
	FIXTURE_VARIANT_ADD(tlbi, _kind##_##_granule)		\
	{							\
		.kind = TLBI_##_kind,				\
		.shift = GRANULE_##_granule,			\
		.pages = _pages,				\
	}
#define TLBI_VARIANTS(_kind, _pages)				\
	TLBI_VARIANT(_kind, _pages, 4K);			\
	TLBI_VARIANT(_kind, _pages, 16K);			\
	TLBI_VARIANT(_kind, _pages, 64K)

TLBI_VARIANTS(VA, 1);
TLBI_VARIANTS(VA_LEAF, 1);
TLBI_VARIANTS(VAA, 1);
TLBI_VARIANTS(VAA_LEAF, 1);
TLBI_VARIANTS(ASID, 3);
TLBI_VARIANTS(ALL, 3);
TLBI_VARIANTS(NSNH, 3);
TLBI_VARIANTS(RANGE_VA, 8);
TLBI_VARIANTS(RANGE_VA_TTL, 1);
TLBI_VARIANTS(RANGE_VA_SCALE, 12);
TLBI_VARIANTS(RANGE_VAA_ONE, 2);
TLBI_VARIANTS(TG_ALONE, 1);
TLBI_VARIANTS(TTL_ALONE, 1);
TLBI_VARIANTS(NUM_ALONE, 8);
TLBI_VARIANT(LEVEL_1, 8, 16K);
TLBI_VARIANTS(LONG_SCALE, 3);

FIXTURE_SETUP(tlbi)
{
	int i;

	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_EXPLICIT, .devices = 1,
				  .granule = variant->shift));
	self->size = 1ULL << variant->shift;
	for (i = 0; i < variant->pages; i++) {
		self->old[i] = guest_alloc(&self->m.g, self->size);
		self->new[i] = guest_alloc(&self->m.g, self->size);
		ASSERT_NE(0, self->new[i]);
		pgtable_map(&self->m.stream[0].s1.pt, IOVA + i * self->size, self->old[i],
			    PTE_NOT_GLOBAL);
	}
}

FIXTURE_TEARDOWN(tlbi)
{
	machine_close(&self->m);
}

static struct cmd tlbi_command(enum tlbi kind, unsigned int shift)
{
	unsigned int tg = shift == GRANULE_4K ? 1 : shift == GRANULE_16K ? 2 : 3;

	switch (kind) {
	case TLBI_VA:
		return cmd_tlbi_va(MACHINE_ASID, IOVA, false);
	case TLBI_VA_LEAF:
		return cmd_tlbi_va(MACHINE_ASID, IOVA, true);
	case TLBI_VAA:
		return cmd_tlbi_vaa(IOVA, false);
	case TLBI_VAA_LEAF:
		return cmd_tlbi_vaa(IOVA, true);
	case TLBI_ASID:
		return cmd_tlbi_asid(MACHINE_ASID);
	case TLBI_ALL:
		return cmd_tlbi_nh_all();
	case TLBI_NSNH:
		return cmd_tlbi_nsnh_all();
	case TLBI_RANGE_VA:		/* 8 granules */
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, true), 7, 0, tg, 0);
	case TLBI_RANGE_VA_TTL:		/* 1 granule, at level 3 */
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, true), 0, 0, tg, 3);
	case TLBI_RANGE_VA_SCALE:	/* 3 << 2 granules */
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, false), 2, 2, tg, 0);
	case TLBI_RANGE_VAA_ONE:	/* 1 << 1 granules */
		return cmd_range(cmd_tlbi_vaa(IOVA, true), 0, 1, tg, 3);
	case TLBI_TG_ALONE:
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, false), 0, 0, tg, 0);
	case TLBI_TTL_ALONE:
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, true), 0, 0, 0, 3);
	case TLBI_NUM_ALONE:		/* 8 granules of some size */
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, true), 7, 0, 0, 0);
	case TLBI_LEVEL_1:		/* 8 granules, as if at any level */
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, true), 7, 0, tg, 1);
	case TLBI_LONG_SCALE:		/* needs SMMU_IDR5.DS */
		return cmd_range(cmd_tlbi_va(MACHINE_ASID, IOVA, true), 0, 33, tg, 0);
	}
	return cmd_sync();
}

TEST_F(tlbi, ends_stale_translation)
{
	struct guest *g = &self->m.g;
	struct dma_dev *dev = &self->m.stream[0].dev;
	int i;

	for (i = 0; i < variant->pages; i++)
		ASSERT_TRUE(dma_lands(g, dev, IOVA + i * self->size, self->old[i]));

	for (i = 0; i < variant->pages; i++)
		pgtable_map(&self->m.stream[0].s1.pt, IOVA + i * self->size, self->new[i],
			    PTE_NOT_GLOBAL);
	for (i = 0; i < variant->pages; i++)
		ASSERT_TRUE(dma_lands(g, dev, IOVA + i * self->size, self->old[i]))
			TH_LOG("no stale translation to end, page %d", i);

	ASSERT_EQ(0, INVALIDATE(&self->m, tlbi_command(variant->kind, variant->shift)));
	for (i = 0; i < variant->pages; i++)
		EXPECT_TRUE(dma_lands(g, dev, IOVA + i * self->size, self->new[i]))
			TH_LOG("stale translation left, page %d", i);
}

TEST_F(tlbi, ends_translation_of_an_unmapped_page)
{
	int i;

	for (i = 0; i < variant->pages; i++)
		ASSERT_TRUE(dma_lands(&self->m.g, &self->m.stream[0].dev,
				      IOVA + i * self->size, self->old[i]));
	for (i = 0; i < variant->pages; i++)
		pgtable_unmap(&self->m.stream[0].s1.pt, IOVA + i * self->size);
	ASSERT_TRUE(dma_lands(&self->m.g, &self->m.stream[0].dev, IOVA, self->old[0]));
	ASSERT_EQ(0, INVALIDATE(&self->m, tlbi_command(variant->kind, variant->shift)));
	for (i = 0; i < variant->pages; i++)
		EXPECT_EQ(-EFAULT, testdev_write(&self->m.stream[0].dev, IOVA + i * self->size));
}

/* One device */

FIXTURE(dma)
{
	struct machine m;
};

FIXTURE_SETUP(dma)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_EXPLICIT, .devices = 1));
}

FIXTURE_TEARDOWN(dma)
{
	machine_close(&self->m);
}

TEST_F(dma, commands_before_an_illegal_one_are_done)
{
	struct stage1 *s1 = &self->m.stream[0].s1;
	const __u64 iova = IOVA;
	const struct cmd cmds[] = {
		stage1_tlbi(s1), cmd_illegal(),
		cmd_tlbi_va(MACHINE_ASID, iova, true), cmd_sync(),
	};
	__u64 old = guest_alloc(&self->m.g, 4096), new = guest_alloc(&self->m.g, 4096);
	struct smmuv3_accel_invalidate out;
	struct guest *g = &self->m.g;
	struct dma_dev *dev = &self->m.stream[0].dev;

	pgtable_map(&s1->pt, iova, old, PTE_NOT_GLOBAL);
	ASSERT_EQ(1, machine_goes(&self->m, 0));
	ASSERT_TRUE(dma_lands(g, dev, iova, old));
	stage1_lead(s1, 2);
	pgtable_map(&s1->pt, iova, new, PTE_NOT_GLOBAL);

	ASSERT_EQ(0, accel_invalidate(g, cmds, ARRAY_LEN(cmds), &out));
	EXPECT_EQ(1, out.cmd_num);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_OPCODE, out.out_reason);
	EXPECT_EQ(2, machine_goes(&self->m, 0)) TH_LOG("a command counts as done and is not");
	EXPECT_TRUE(dma_lands(g, dev, iova, old))
		TH_LOG("a command after the illegal one was carried out");

	ASSERT_EQ(0, accel_invalidate(g, cmds + 2, 2, &out));
	EXPECT_EQ(2, out.cmd_num);
	EXPECT_TRUE(dma_lands(g, dev, iova, new));
}

/*
 * This is why the module checks each command before it calls the host: the host reports
 * commands as handled that it has not issued. If hosts stop doing so, the check is
 * unnecessary.
 */
TEST_F(dma, host_loses_commands_of_a_rejected_batch)
{
	const struct cmd cmds[] = { machine_tlbi(&self->m, 0), cmd_illegal() };
	struct iommu_hwpt_invalidate direct = {
		.size = sizeof(direct),
		.hwpt_id = self->m.stream[0].ids.out_viommu_id,
		.data_uptr = (__u64)(unsigned long)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(cmds[0]),
		.entry_num = ARRAY_LEN(cmds),
	};

	ASSERT_EQ(1, machine_goes(&self->m, 0));
	machine_lead(&self->m, 0, 2);
	ASSERT_EQ(-1, ioctl(self->m.g.iommufd, IOMMU_HWPT_INVALIDATE, &direct));
	ASSERT_EQ(EIO, errno);
	EXPECT_EQ(1, direct.entry_num);
	if (machine_goes(&self->m, 0) != 1)
		SKIP(return, "this host issues what it reports as handled");
	ASSERT_EQ(0, INVALIDATE(&self->m, cmds[0]));
	EXPECT_EQ(2, machine_goes(&self->m, 0));
}

/* More commands than one host call takes. Only the last one has an effect */
TEST_F(dma, long_array_is_done_to_its_end)
{
	const int num = 5000;
	struct cmd *cmds = calloc(num, sizeof(*cmds));
	int i;

	ASSERT_NE(NULL, cmds);
	for (i = 0; i < num - 2; i++)
		cmds[i] = cmd_tlbi_va(MACHINE_ASID + 1, i * 4096ULL, true);
	cmds[num - 2] = machine_tlbi(&self->m, 0);
	cmds[num - 1] = cmd_sync();
	ASSERT_EQ(1, machine_goes(&self->m, 0));
	machine_lead(&self->m, 0, 2);
	ASSERT_EQ(1, machine_goes(&self->m, 0));
	EXPECT_EQ(0, machine_invalidate(&self->m, cmds, num));
	EXPECT_EQ(2, machine_goes(&self->m, 0));
	free(cmds);
}

/* A 2 MiB block that is remapped, then split into pages */
TEST_F(dma, tlbi_ends_translation_of_a_block)
{
	const __u64 iova = 0x40000000, size = 2 << 20, off = 0x123000;
	struct guest *g = &self->m.g;
	struct dma_dev *dev = &self->m.stream[0].dev;
	struct pgtable *pt = &self->m.stream[0].s1.pt;
	__u64 a = guest_alloc(g, size), b = guest_alloc(g, size);
	volatile __u64 *block = pgtable_entry(pt, iova, 2);

	ASSERT_NE(0, b);
	pgtable_map_block(pt, iova, a, 2, PTE_NOT_GLOBAL);
	ASSERT_TRUE(dma_lands(g, dev, iova + off, a + off));
	pgtable_map_block(pt, iova, b, 2, PTE_NOT_GLOBAL);
	ASSERT_TRUE(dma_lands(g, dev, iova + off, a + off));
	ASSERT_EQ(0, INVALIDATE(&self->m, cmd_tlbi_va(MACHINE_ASID, iova + off, true)));
	ASSERT_TRUE(dma_lands(g, dev, iova + off, b + off));

	*block = 0;
	pgtable_map(pt, iova + off, a, PTE_NOT_GLOBAL);
	ASSERT_TRUE(dma_lands(g, dev, iova + off, b + off));
	/* An invalidation of any address in the block ends all of it */
	ASSERT_EQ(0, INVALIDATE(&self->m, cmd_tlbi_va(MACHINE_ASID, iova, false)));
	EXPECT_TRUE(dma_lands(g, dev, iova + off, a));
	EXPECT_EQ(-EFAULT, testdev_write(dev, iova));
}

TEST_F(dma, write_to_a_read_only_page_faults)
{
	struct stage1 *s1 = &self->m.stream[0].s1;

	pgtable_map(&s1->pt, s1->page[0], s1->page[1], PTE_NOT_GLOBAL | PTE_READ_ONLY);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
}

/* PREFETCH is a hint, so its operands do not matter */
TEST_F(dma, prefetch_is_accepted)
{
	const struct cmd prefetch[] = {
		{ { 0x01 | (__u64)VSID << 32, ~0ULL } },
		{ { 0x02 | (__u64)VSID << 32, 0x12345 } },
	};

	EXPECT_EQ(0, machine_invalidate(&self->m, prefetch, ARRAY_LEN(prefetch)));
}

TEST_F(dma, command_for_an_unknown_streamid_is_done)
{
	EXPECT_EQ(0, INVALIDATE(&self->m, cmd_cfgi_cd(VSID + 1, 0, true),
				cmd_cfgi_cd_all(0xffffffff)));
}

TEST_F(dma, cfgi_ste_is_for_the_vmm_in_explicit_mode)
{
	const struct cmd cmds[] = { cmd_tlbi_nh_all(), cmd_cfgi_ste(VSID, true) };
	struct smmuv3_accel_invalidate out;

	EXPECT_EQ(-EINVAL, accel_invalidate(&self->m.g, cmds, 2, &out));
	EXPECT_EQ(1, out.cmd_num);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE, out.out_reason);
}

/* A CD is cached until CFGI_CD or CFGI_CD_ALL */

FIXTURE(cd)
{
	struct machine m;
};

FIXTURE_VARIANT(cd)
{
	enum { CFGI_CD_LEAF, CFGI_CD, CFGI_CD_ALL, SAME_STE } kind;
};

FIXTURE_VARIANT_ADD(cd, cfgi_cd_leaf) { .kind = CFGI_CD_LEAF };
FIXTURE_VARIANT_ADD(cd, cfgi_cd) { .kind = CFGI_CD };
FIXTURE_VARIANT_ADD(cd, cfgi_cd_all) { .kind = CFGI_CD_ALL };
FIXTURE_VARIANT_ADD(cd, same_ste_again) { .kind = SAME_STE };

FIXTURE_SETUP(cd)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_EXPLICIT, .devices = 1));
}

FIXTURE_TEARDOWN(cd)
{
	machine_close(&self->m);
}

TEST_F(cd, change_takes_effect)
{
	struct machine *m = &self->m;
	struct stage1 *s1 = &m->stream[0].s1;
	struct smmuv3_accel_stream before, after;
	struct pgtable other;

	pgtable_init(&other, &m->g, GRANULE_4K);
	pgtable_map(&other, s1->page[0], s1->page[2], PTE_NOT_GLOBAL);
	ASSERT_EQ(1, machine_goes(m, 0));
	cd_write(&m->g, s1->cd, &other, MACHINE_ASID + 1);
	ASSERT_EQ(1, machine_goes(m, 0)) TH_LOG("no stale CD to end");

	switch (variant->kind) {
	case CFGI_CD_LEAF:
		ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(VSID, 0, true)));
		break;
	case CFGI_CD:
		ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(VSID, 0, false)));
		break;
	case CFGI_CD_ALL:
		ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd_all(VSID)));
		break;
	case SAME_STE:
		ASSERT_EQ(0, accel_stream(&m->g, VSID, &before));
		ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
		ASSERT_EQ(0, accel_stream(&m->g, VSID, &after));
		EXPECT_EQ(before.out_hwpt_id, after.out_hwpt_id)
			TH_LOG("an unchanged STE cost a domain");
	}
	EXPECT_EQ(2, machine_goes(m, 0));
}

/* From each STE to each other one, with DMA in between */

FIXTURE(ste)
{
	struct machine m;
	struct stage1 other;	/* leads to page 2 */
};

FIXTURE_SETUP(ste)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_open(m, .stage = STAGE_EXPLICIT, .devices = 1));
	self->other = m->stream[0].s1;
	ASSERT_EQ(0, stage1_init(&self->other, &m->g, GRANULE_4K, MACHINE_ASID + 1));
	stage1_lead(&self->other, 2);
}

FIXTURE_TEARDOWN(ste)
{
	machine_close(&self->m);
}

enum { TO_S1, TO_OTHER_S1, TO_BYPASS, TO_ABORT, TO_INVALID, TO_S2, TO_NUM };

static int ste_go(struct machine *m, const struct stage1 *other, int to, __u32 *reason)
{
	__u64 ste[8] = {};

	switch (to) {
	case TO_S1:
		memcpy(ste, m->stream[0].s1.ste, sizeof(ste));
		break;
	case TO_OTHER_S1:
		memcpy(ste, other->ste, sizeof(ste));
		break;
	case TO_BYPASS:
		ste_config(ste, STE_CFG_BYPASS);
		break;
	case TO_ABORT:
		ste_config(ste, STE_CFG_ABORT);
		break;
	case TO_S2:
		ste_config(ste, STE_CFG_S2);
		break;
	}
	return accel_install(&m->g, VSID, ste, reason);
}

static const struct {
	enum smmuv3_accel_kind kind;
	enum smmuv3_accel_reason reason;
	int goes;	/* what stream_goes() returns */
} ste_means[TO_NUM] = {
	[TO_S1] = { SMMUV3_ACCEL_KIND_S1, 0, 1 },
	[TO_OTHER_S1] = { SMMUV3_ACCEL_KIND_S1, 0, 2 },
	[TO_BYPASS] = { SMMUV3_ACCEL_KIND_BYPASS, 0, 0 },
	[TO_ABORT] = { SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_ABORT, -EFAULT },
	[TO_INVALID] = { SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_INVALID, -EFAULT },
	[TO_S2] = { SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_CONFIG, -EFAULT },
};

TEST_F(ste, each_transition_takes_effect)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stream stream;
	int i, to;
	__u32 reason;

	for (i = 0; i < 2 * TO_NUM * TO_NUM; i++) {
		to = i & 1 ? i / 2 % TO_NUM : i / 2 / TO_NUM;
		ASSERT_EQ(0, ste_go(m, &self->other, to, &reason));
		EXPECT_EQ(ste_means[to].reason, reason);
		ASSERT_EQ(0, accel_stream(&m->g, VSID, &stream));
		EXPECT_EQ(ste_means[to].kind, stream.out_kind);
		EXPECT_EQ(ste_means[to].reason, stream.out_reason);
		EXPECT_NE(0, stream.out_hwpt_id);
		ASSERT_EQ(ste_means[to].goes, machine_goes(m, 0)) TH_LOG("step %d", i);
	}
}

TEST_F(ste, transitions_during_dma_take_effect)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[0];
	struct dma_load load;
	int i, to;

	ASSERT_EQ(0, dma_load_start(&load, &s->dev, s->s1.page[0]));
	for (i = 0; i < 600; i++)
		ASSERT_EQ(0, ste_go(m, &self->other, i * 7 % TO_NUM, NULL));
	dma_load_stop(&load);
	EXPECT_EQ(0, load.failed);
	EXPECT_GT(load.done, 0);

	for (to = 0; to < TO_NUM; to++) {
		ASSERT_EQ(0, ste_go(m, &self->other, to, NULL));
		EXPECT_EQ(ste_means[to].goes, machine_goes(m, 0));
	}
}

TEST_F(ste, array_stops_at_the_first_failure)
{
	struct smmuv3_accel_ste entries[3] = {
		{ .vsid = VSID }, { .vsid = VSID + 1 }, { .vsid = VSID, .out_errno = 99 },
	};
	struct smmuv3_accel_install_ste arg = {
		.size = sizeof(arg),
		.entry_num = 3,
		.entry_len = sizeof(entries[0]),
		.entries_uptr = (__u64)(unsigned long)entries,
	};

	memcpy(entries[0].ste, self->other.ste, sizeof(self->other.ste));
	ASSERT_EQ(-ENOENT, accel_ioctl(self->m.g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(1, arg.entry_num);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, arg.out_reason);
	EXPECT_EQ(0, entries[0].out_errno);
	EXPECT_EQ(-ENOENT, entries[1].out_errno);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, entries[1].out_reason);
	EXPECT_EQ(99, entries[2].out_errno);
	EXPECT_EQ(2, machine_goes(&self->m, 0));
}

/* The words are masked, and S1STALLD follows the host's stall model */
TEST_F(ste, get_stream_shows_what_the_host_was_given)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stream stream;
	const __u64 *s1 = m->stream[0].s1.ste;
	struct smmuv3_accel_phys phys;
	__u64 ste[8];
	bool stall_both;

	ASSERT_EQ(0, accel_phys(&m->g, 0, &phys));
	stall_both = !(phys.out_idr[0] & IDR0_STALL);
	memcpy(ste, s1, sizeof(ste));
	ste[1] |= 1ULL << 19 | 1ULL << 44;	/* MEV, SHCFG: the host chooses these */
	memset(&ste[2], 0xff, 6 * sizeof(ste[0]));
	ASSERT_EQ(0, accel_install(&m->g, VSID, ste, NULL));
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &stream));
	EXPECT_EQ(s1[0], stream.out_ste[0]);
	EXPECT_EQ(s1[1] | (__u64)stall_both << 27, stream.out_ste[1]);
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* Two devices, the second with the lower StreamID */

FIXTURE(two)
{
	struct machine m;
};

FIXTURE_SETUP(two)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_EXPLICIT, .devices = 2,
				  .vsid = { VSID, VSID - 0x10 }));
}

FIXTURE_TEARDOWN(two)
{
	machine_close(&self->m);
}

TEST_F(two, devices_have_their_own_tables)
{
	struct machine *m = &self->m;
	int round;

	for (round = 0; round < 20; round++) {
		ASSERT_EQ(1, machine_goes(m, 0));
		ASSERT_EQ(1, machine_goes(m, 1));
	}
	machine_lead(m, 1, 2);
	ASSERT_EQ(1, machine_goes(m, 1));
	ASSERT_EQ(0, INVALIDATE(m, machine_tlbi(m, 1)));
	EXPECT_EQ(2, machine_goes(m, 1));
	EXPECT_EQ(1, machine_goes(m, 0));
}

TEST_F(two, abort_and_cfgi_cd_concern_one_stream)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	struct pgtable other;

	ASSERT_EQ(1, machine_goes(m, 1));
	pgtable_init(&other, &m->g, GRANULE_4K);
	pgtable_map(&other, s[1].s1.page[0], s[1].s1.page[2], PTE_NOT_GLOBAL);
	cd_write(&m->g, s[1].s1.cd, &other, MACHINE_ASID + 2);
	ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(s[0].vsid, 0, true)));
	EXPECT_EQ(1, machine_goes(m, 1)) TH_LOG("a CFGI_CD reached another StreamID");
	ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(s[1].vsid, 0, true)));
	EXPECT_EQ(2, machine_goes(m, 1));

	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_ABORT));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(2, machine_goes(m, 1));
}

TEST_F(two, events_have_the_virtual_streamid)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	struct smmuv3_accel_phys phys;
	int queue[2], i;
	__u32 id;

	for (i = 0; i < 2; i++) {
		if (i && s[1].ids.out_viommu_id == s[0].ids.out_viommu_id) {
			queue[1] = queue[0];
			break;
		}
		queue[i] = veventq_open(m->g.iommufd, s[i].ids.out_viommu_id, &id);
		ASSERT_LE(0, queue[i]);
		ASSERT_EQ(0, accel_phys(&m->g, i, &phys));
		EXPECT_EQ(s[i].ids.out_viommu_id, phys.out_viommu_id);
	}
	for (i = 0; i < 2; i++)
		EXPECT_FAULT(&s[i], queue[i]);
	/* A vEVENTQ outlives a stream */
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_FAULT(&s[1], queue[1]);
}

/* edu copies both ways */
TEST(data_goes_in_and_out)
{
	struct machine m;
	struct stage1 s1 = {};
	struct dma_dev edu;
	__u64 in, out;
	int i;

	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_CREATED));
	ASSERT_EQ(0, dma_open(&edu, m.g.iommufd, DMA_EDU, 0));
	ASSERT_EQ(0, accel_attach(&m.g, edu.fd, VSID, NULL));
	ASSERT_EQ(0, stage1_init(&s1, &m.g, GRANULE_4K, MACHINE_ASID));
	in = s1.page[1];
	out = s1.page[2];
	pgtable_map(&s1.pt, IOVA, in, PTE_NOT_GLOBAL | PTE_READ_ONLY);
	pgtable_map(&s1.pt, IOVA + 0x1000, out, PTE_NOT_GLOBAL);
	ASSERT_EQ(0, accel_install(&m.g, VSID, s1.ste, NULL));

	for (i = 0; i < 1024; i++)
		((__u32 *)guest_ptr(&m.g, in))[i] = i * 2654435761U;
	ASSERT_EQ(0, edu_read(&edu, IOVA, 4096));
	ASSERT_EQ(0, edu_write(&edu, IOVA + 0x1000, 4096));
	EXPECT_EQ(0, memcmp(guest_ptr(&m.g, in), guest_ptr(&m.g, out), 4096));
	dma_close(&edu);
	machine_close(&m);
}

TEST_HARNESS_MAIN
