// SPDX-License-Identifier: GPL-2.0
/*
 * DMA obeys what the guest says: devices write through the guest's stage-1
 * tables, and each test of an invalidation shows the stale translation first.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "guest.h"
#include "harness.h"

#define VSID	0x1234
#define VSID_2	0x77
#define GUEST_ASID	5
#define IOVA	0x10000000ULL

#define MAX_PAGES	16

static void clear(struct guest *g, __u64 gpa)
{
	*(volatile __u32 *)guest_ptr(g, gpa) = 0;
}

/* Whether a write to @iova lands in the page @gpa */
static bool lands(struct guest *g, struct dma_dev *dev, __u64 iova, __u64 gpa)
{
	clear(g, gpa);
	return !testdev_write(dev, iova) &&
	       *(volatile __u32 *)guest_ptr(g, gpa) == TESTDEV_PATTERN;
}

/* Carry out commands, all of them */
static int invalidate(struct guest *g, const struct cmd *cmds, __u32 num)
{
	struct smmuv3_accel_invalidate out;
	int rc = accel_invalidate(g, cmds, num, &out);

	if (rc)
		return rc;
	return out.cmd_num == num && !out.out_error ? 0 : -EPROTO;
}

#define INVALIDATE(g, ...)						\
	({								\
		const struct cmd _cmds[] = { __VA_ARGS__, cmd_sync() };	\
		invalidate(g, _cmds, ARRAY_LEN(_cmds));			\
	})

/* A device whose STE leads to a CD with an empty page table */
struct target {
	struct dma_dev dev;
	struct pgtable pt;
	__u64 cd;
	__u32 viommu_id;
	__u32 vsid;
};

static int target_open(struct target *t, struct guest *g, int index,
		       unsigned int shift, __u32 vsid, unsigned int asid)
{
	struct smmuv3_accel_attach attach;
	__u64 ste[8];
	__u32 reason;
	int rc;

	rc = dma_open(&t->dev, g->iommufd, DMA_TESTDEV, index);
	if (!rc)
		rc = accel_attach(g, t->dev.fd, vsid, &attach);
	if (rc)
		return rc;
	t->vsid = vsid;
	t->viommu_id = attach.out_viommu_id;
	pgtable_init(&t->pt, g, shift);
	t->cd = guest_alloc(g, 64);
	cd_write(g, t->cd, &t->pt, asid);
	ste_s1(ste, t->cd);
	return accel_install(g, vsid, ste, &reason);
}

/* What TLBIs do, for each granule */

enum tlbi {
	TLBI_VA, TLBI_VA_LEAF, TLBI_VAA, TLBI_VAA_LEAF, TLBI_ASID, TLBI_ALL,
	TLBI_NSNH, TLBI_RANGE_VA, TLBI_RANGE_VA_TTL, TLBI_RANGE_VA_SCALE,
	TLBI_RANGE_VAA_ONE,
};

FIXTURE(tlbi)
{
	struct guest g;
	struct target t;
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

FIXTURE_SETUP(tlbi)
{
	int i;

	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, target_open(&self->t, &self->g, 0, variant->shift, VSID, GUEST_ASID));
	self->size = 1ULL << variant->shift;
	for (i = 0; i < variant->pages; i++) {
		self->old[i] = guest_alloc(&self->g, self->size);
		self->new[i] = guest_alloc(&self->g, self->size);
		ASSERT_NE(0, self->new[i]);
		pgtable_map(&self->t.pt, IOVA + i * self->size, self->old[i],
			    PTE_NOT_GLOBAL);
	}
}

FIXTURE_TEARDOWN(tlbi)
{
	dma_close(&self->t.dev);
	guest_close(&self->g);
}

static struct cmd tlbi_command(enum tlbi kind, unsigned int shift)
{
	unsigned int tg = shift == GRANULE_4K ? 1 : shift == GRANULE_16K ? 2 : 3;

	switch (kind) {
	case TLBI_VA:
		return cmd_tlbi_va(GUEST_ASID, IOVA, false);
	case TLBI_VA_LEAF:
		return cmd_tlbi_va(GUEST_ASID, IOVA, true);
	case TLBI_VAA:
		return cmd_tlbi_vaa(IOVA, false);
	case TLBI_VAA_LEAF:
		return cmd_tlbi_vaa(IOVA, true);
	case TLBI_ASID:
		return cmd_tlbi_asid(GUEST_ASID);
	case TLBI_ALL:
		return cmd_tlbi_nh_all();
	case TLBI_NSNH:
		return cmd_tlbi_nsnh_all();
	case TLBI_RANGE_VA:		/* 8 granules */
		return cmd_range(cmd_tlbi_va(GUEST_ASID, IOVA, true), 7, 0, tg, 0);
	case TLBI_RANGE_VA_TTL:		/* 1 granule, at level 3 */
		return cmd_range(cmd_tlbi_va(GUEST_ASID, IOVA, true), 0, 0, tg, 3);
	case TLBI_RANGE_VA_SCALE:	/* 3 << 2 granules */
		return cmd_range(cmd_tlbi_va(GUEST_ASID, IOVA, false), 2, 2, tg, 0);
	case TLBI_RANGE_VAA_ONE:	/* 1 << 1 granules */
		return cmd_range(cmd_tlbi_vaa(IOVA, true), 0, 1, tg, 3);
	}
	return cmd_sync();
}

TEST_F(tlbi, ends_stale_translation)
{
	struct guest *g = &self->g;
	struct dma_dev *dev = &self->t.dev;
	int i;

	for (i = 0; i < variant->pages; i++)
		ASSERT_TRUE(lands(g, dev, IOVA + i * self->size, self->old[i]));

	for (i = 0; i < variant->pages; i++)
		pgtable_map(&self->t.pt, IOVA + i * self->size, self->new[i],
			    PTE_NOT_GLOBAL);
	for (i = 0; i < variant->pages; i++)
		ASSERT_TRUE(lands(g, dev, IOVA + i * self->size, self->old[i]))
			TH_LOG("no stale translation to end, page %d", i);

	ASSERT_EQ(0, INVALIDATE(g, tlbi_command(variant->kind, variant->shift)));
	for (i = 0; i < variant->pages; i++)
		EXPECT_TRUE(lands(g, dev, IOVA + i * self->size, self->new[i]))
			TH_LOG("stale translation left, page %d", i);
}

TEST_F(tlbi, unmapped_page_faults)
{
	int i;

	for (i = 0; i < variant->pages; i++)
		ASSERT_TRUE(lands(&self->g, &self->t.dev, IOVA + i * self->size,
				  self->old[i]));
	for (i = 0; i < variant->pages; i++)
		pgtable_unmap(&self->t.pt, IOVA + i * self->size);
	ASSERT_TRUE(lands(&self->g, &self->t.dev, IOVA, self->old[0]));
	ASSERT_EQ(0, INVALIDATE(&self->g, tlbi_command(variant->kind, variant->shift)));
	for (i = 0; i < variant->pages; i++)
		EXPECT_EQ(-EFAULT, testdev_write(&self->t.dev, IOVA + i * self->size));
}

/* One device, 4K granule */

FIXTURE(dma)
{
	struct guest g;
	struct target t;
	__u64 page[2];
};

FIXTURE_SETUP(dma)
{
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, target_open(&self->t, &self->g, 0, GRANULE_4K, VSID, GUEST_ASID));
	self->page[0] = guest_alloc(&self->g, 4096);
	self->page[1] = guest_alloc(&self->g, 4096);
	pgtable_map(&self->t.pt, IOVA, self->page[0], PTE_NOT_GLOBAL);
}

FIXTURE_TEARDOWN(dma)
{
	dma_close(&self->t.dev);
	guest_close(&self->g);
}

static const struct cmd bad = { { 0xff } };

/* A command behind a bad one is not carried out, those before it are */
TEST_F(dma, bad_command_in_the_middle)
{
	const __u64 iova[2] = { IOVA, IOVA + 0x1000 };
	const struct cmd cmds[] = {
		cmd_tlbi_va(GUEST_ASID, iova[0], true), bad,
		cmd_tlbi_va(GUEST_ASID, iova[1], true), cmd_sync(),
	};
	__u64 old = guest_alloc(&self->g, 4096), new = guest_alloc(&self->g, 4096);
	struct smmuv3_accel_invalidate out;
	struct guest *g = &self->g;
	struct dma_dev *dev = &self->t.dev;

	pgtable_map(&self->t.pt, iova[1], old, PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(g, dev, iova[0], self->page[0]));
	ASSERT_TRUE(lands(g, dev, iova[1], old));
	pgtable_map(&self->t.pt, iova[0], self->page[1], PTE_NOT_GLOBAL);
	pgtable_map(&self->t.pt, iova[1], new, PTE_NOT_GLOBAL);

	ASSERT_EQ(0, accel_invalidate(g, cmds, ARRAY_LEN(cmds), &out));
	EXPECT_EQ(1, out.cmd_num);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_OPCODE, out.out_reason);
	EXPECT_TRUE(lands(g, dev, iova[0], self->page[1]))
		TH_LOG("a command that counts as done was not");
	EXPECT_TRUE(lands(g, dev, iova[1], old))
		TH_LOG("a command behind the bad one was carried out");

	ASSERT_EQ(0, accel_invalidate(g, cmds + 2, 2, &out));
	EXPECT_EQ(2, out.cmd_num);
	EXPECT_TRUE(lands(g, dev, iova[1], new));
}

/*
 * Why each command is checked before any goes to the host: it counts as handled
 * what it never issued. Where a host no longer does, this is of interest to
 * whoever maintains the check.
 */
TEST_F(dma, host_loses_commands_of_a_rejected_batch)
{
	const struct cmd cmds[] = { cmd_tlbi_va(GUEST_ASID, IOVA, true), bad };
	struct iommu_hwpt_invalidate direct = {
		.size = sizeof(direct),
		.hwpt_id = self->t.viommu_id,
		.data_uptr = (__u64)(unsigned long)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(cmds[0]),
		.entry_num = ARRAY_LEN(cmds),
	};

	ASSERT_TRUE(lands(&self->g, &self->t.dev, IOVA, self->page[0]));
	pgtable_map(&self->t.pt, IOVA, self->page[1], PTE_NOT_GLOBAL);
	ASSERT_EQ(-1, ioctl(self->g.iommufd, IOMMU_HWPT_INVALIDATE, &direct));
	ASSERT_EQ(EIO, errno);
	EXPECT_EQ(1, direct.entry_num);
	if (!lands(&self->g, &self->t.dev, IOVA, self->page[0]))
		SKIP(return, "this host issues what it counts as handled");
	ASSERT_EQ(0, INVALIDATE(&self->g, cmds[0]));
	EXPECT_TRUE(lands(&self->g, &self->t.dev, IOVA, self->page[1]));
}

/* More commands than the host is given at once, the one that matters last */
TEST_F(dma, long_batch)
{
	const int num = 5000;
	struct cmd *cmds = calloc(num, sizeof(*cmds));
	int i;

	ASSERT_NE(NULL, cmds);
	for (i = 0; i < num - 2; i++)
		cmds[i] = cmd_tlbi_va(GUEST_ASID + 1, i * 4096ULL, true);
	cmds[num - 2] = cmd_tlbi_va(GUEST_ASID, IOVA, true);
	cmds[num - 1] = cmd_sync();
	ASSERT_TRUE(lands(&self->g, &self->t.dev, IOVA, self->page[0]));
	pgtable_map(&self->t.pt, IOVA, self->page[1], PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(&self->g, &self->t.dev, IOVA, self->page[0]));
	EXPECT_EQ(0, invalidate(&self->g, cmds, num));
	EXPECT_TRUE(lands(&self->g, &self->t.dev, IOVA, self->page[1]));
	free(cmds);
}

/* A 2 MiB block, remapped, then split into pages */
TEST_F(dma, block)
{
	const __u64 iova = 0x40000000, size = 2 << 20, off = 0x123000;
	struct guest *g = &self->g;
	struct dma_dev *dev = &self->t.dev;
	struct pgtable *pt = &self->t.pt;
	__u64 a = guest_alloc(g, size), b = guest_alloc(g, size);
	volatile __u64 *block = pgtable_entry(pt, iova, 2);

	ASSERT_NE(0, b);
	pgtable_map_block(pt, iova, a, 2, PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(g, dev, iova + off, a + off));
	pgtable_map_block(pt, iova, b, 2, PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(g, dev, iova + off, a + off));
	ASSERT_EQ(0, INVALIDATE(g, cmd_tlbi_va(GUEST_ASID, iova + off, true)));
	ASSERT_TRUE(lands(g, dev, iova + off, b + off));

	*block = 0;
	pgtable_map(pt, iova + off, a, PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(g, dev, iova + off, b + off));
	/* Any address in the block ends all of it */
	ASSERT_EQ(0, INVALIDATE(g, cmd_tlbi_va(GUEST_ASID, iova, false)));
	EXPECT_TRUE(lands(g, dev, iova + off, a));
	EXPECT_EQ(-EFAULT, testdev_write(dev, iova));
}

TEST_F(dma, read_only_page)
{
	pgtable_map(&self->t.pt, IOVA, self->page[0], PTE_NOT_GLOBAL | PTE_READ_ONLY);
	EXPECT_EQ(-EFAULT, testdev_write(&self->t.dev, IOVA));
}

/* PREFETCH is a hint, and must not be an error whatever it says */
TEST_F(dma, prefetch)
{
	const struct cmd prefetch[] = {
		{ { 0x01 | (__u64)VSID << 32, ~0ULL } },
		{ { 0x02 | (__u64)VSID << 32, 0x12345 } },
	};

	EXPECT_EQ(0, invalidate(&self->g, prefetch, ARRAY_LEN(prefetch)));
}

/* Nothing is known of these StreamIDs, so there is nothing to do */
TEST_F(dma, unknown_streamid)
{
	EXPECT_EQ(0, INVALIDATE(&self->g, cmd_cfgi_cd(VSID + 1, 0, true),
				cmd_cfgi_cd_all(0xffffffff)));
}

TEST_F(dma, cfgi_ste_is_for_the_vmm)
{
	const struct cmd cmds[] = { cmd_tlbi_nh_all(), cmd_cfgi_ste(VSID, true) };
	struct smmuv3_accel_invalidate out;

	EXPECT_EQ(-EINVAL, accel_invalidate(&self->g, cmds, 2, &out));
	EXPECT_EQ(1, out.cmd_num);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE, out.out_reason);
}

/* Changes of the CD: cached until CFGI_CD or CFGI_CD_ALL */

FIXTURE(cd)
{
	struct guest g;
	struct target t;
	__u64 page[2];
};

FIXTURE_VARIANT(cd)
{
	int kind;
};

FIXTURE_VARIANT_ADD(cd, cfgi_cd_leaf) { .kind = 0 };
FIXTURE_VARIANT_ADD(cd, cfgi_cd) { .kind = 1 };
FIXTURE_VARIANT_ADD(cd, cfgi_cd_all) { .kind = 2 };
FIXTURE_VARIANT_ADD(cd, same_ste_again) { .kind = 3 };

FIXTURE_SETUP(cd)
{
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, target_open(&self->t, &self->g, 0, GRANULE_4K, VSID, GUEST_ASID));
	self->page[0] = guest_alloc(&self->g, 4096);
	self->page[1] = guest_alloc(&self->g, 4096);
	pgtable_map(&self->t.pt, IOVA, self->page[0], PTE_NOT_GLOBAL);
}

FIXTURE_TEARDOWN(cd)
{
	dma_close(&self->t.dev);
	guest_close(&self->g);
}

TEST_F(cd, change_is_seen)
{
	struct guest *g = &self->g;
	struct dma_dev *dev = &self->t.dev;
	struct smmuv3_accel_stream before, after;
	struct pgtable other;
	__u64 ste[8];
	__u32 reason;

	pgtable_init(&other, g, GRANULE_4K);
	pgtable_map(&other, IOVA, self->page[1], PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(g, dev, IOVA, self->page[0]));
	cd_write(g, self->t.cd, &other, GUEST_ASID + 1);
	ASSERT_TRUE(lands(g, dev, IOVA, self->page[0]))
		TH_LOG("no stale CD to end");

	switch (variant->kind) {
	case 0:
		ASSERT_EQ(0, INVALIDATE(g, cmd_cfgi_cd(VSID, 0, true)));
		break;
	case 1:
		ASSERT_EQ(0, INVALIDATE(g, cmd_cfgi_cd(VSID, 0, false)));
		break;
	case 2:
		ASSERT_EQ(0, INVALIDATE(g, cmd_cfgi_cd_all(VSID)));
		break;
	default:
		ASSERT_EQ(0, accel_stream(g, VSID, &before));
		ste_s1(ste, self->t.cd);
		ASSERT_EQ(0, accel_install(g, VSID, ste, &reason));
		ASSERT_EQ(0, accel_stream(g, VSID, &after));
		EXPECT_EQ(before.out_hwpt_id, after.out_hwpt_id)
			TH_LOG("an unchanged STE cost a domain");
	}
	EXPECT_TRUE(lands(g, dev, IOVA, self->page[1]));
}

/* STE to STE, each with DMA before and after */

FIXTURE(ste)
{
	struct guest g;
	struct target t;
	__u64 page[3];
	__u64 s1[2][8];
};

FIXTURE_SETUP(ste)
{
	struct pgtable other;
	__u64 cd;
	int i;

	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, target_open(&self->t, &self->g, 0, GRANULE_4K, VSID, GUEST_ASID));
	for (i = 0; i < 3; i++)
		self->page[i] = guest_alloc(&self->g, 4096);
	/*
	 * The same IOVA in two tables. It is a guest physical address as well,
	 * of the third page, so that it means something in each configuration.
	 */
	pgtable_init(&other, &self->g, GRANULE_4K);
	cd = guest_alloc(&self->g, 64);
	cd_write(&self->g, cd, &other, GUEST_ASID + 1);
	pgtable_map(&self->t.pt, self->page[2], self->page[0], PTE_NOT_GLOBAL);
	pgtable_map(&other, self->page[2], self->page[1], PTE_NOT_GLOBAL);
	ste_s1(self->s1[0], self->t.cd);
	ste_s1(self->s1[1], cd);
}

FIXTURE_TEARDOWN(ste)
{
	dma_close(&self->t.dev);
	guest_close(&self->g);
}

enum { TO_S1, TO_OTHER_S1, TO_BYPASS, TO_ABORT, TO_INVALID, TO_S2, TO_NUM };

static int ste_go(struct guest *g, __u64 s1[2][8], int to, __u32 *reason)
{
	__u64 ste[8];

	switch (to) {
	case TO_S1:
	case TO_OTHER_S1:
		return accel_install(g, VSID, s1[to - TO_S1], reason);
	case TO_BYPASS:
		ste_config(ste, STE_CFG_BYPASS);
		break;
	case TO_ABORT:
		ste_config(ste, STE_CFG_ABORT);
		break;
	case TO_INVALID:
		memset(ste, 0, sizeof(ste));
		break;
	case TO_S2:
		ste_config(ste, STE_CFG_S2);
		break;
	}
	return accel_install(g, VSID, ste, reason);
}

static const struct {
	enum smmuv3_accel_kind kind;
	enum smmuv3_accel_reason reason;
	int page;	/* -1: none, DMA aborts */
} ste_means[TO_NUM] = {
	[TO_S1] = { SMMUV3_ACCEL_KIND_S1, 0, 0 },
	[TO_OTHER_S1] = { SMMUV3_ACCEL_KIND_S1, 0, 1 },
	[TO_BYPASS] = { SMMUV3_ACCEL_KIND_BYPASS, 0, 2 },
	[TO_ABORT] = { SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_ABORT, -1 },
	[TO_INVALID] = { SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_INVALID, -1 },
	[TO_S2] = { SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_CONFIG, -1 },
};

TEST_F(ste, every_transition)
{
	struct smmuv3_accel_stream stream;
	int from, to, i, seq[TO_NUM * TO_NUM * 2], n = 0;
	__u32 reason;

	for (from = 0; from < TO_NUM; from++) {
		for (to = 0; to < TO_NUM; to++) {
			seq[n++] = from;
			seq[n++] = to;
		}
	}
	for (i = 0; i < n; i++) {
		to = seq[i];
		ASSERT_EQ(0, ste_go(&self->g, self->s1, to, &reason));
		EXPECT_EQ(ste_means[to].reason, reason);
		ASSERT_EQ(0, accel_stream(&self->g, VSID, &stream));
		EXPECT_EQ(ste_means[to].kind, stream.out_kind);
		EXPECT_EQ(ste_means[to].reason, stream.out_reason);
		EXPECT_NE(0, stream.out_hwpt_id);
		if (ste_means[to].page < 0) {
			ASSERT_EQ(-EFAULT, testdev_write(&self->t.dev, self->page[2]))
				TH_LOG("step %d: DMA in an aborting stream", i);
		} else {
			ASSERT_TRUE(lands(&self->g, &self->t.dev, self->page[2],
					  self->page[ste_means[to].page]))
				TH_LOG("step %d: DMA went elsewhere", i);
		}
	}
}

struct dma_load {
	struct dma_dev *dev;
	__u64 iova;
	volatile bool stop;
	unsigned long done;
	int error;
};

static void *dma_load(void *arg)
{
	struct dma_load *load = arg;
	int rc;

	while (!load->stop) {
		rc = testdev_write(load->dev, load->iova);
		if (rc && rc != -EFAULT)
			load->error = rc;
		load->done++;
	}
	return NULL;
}

TEST_F(ste, transitions_under_dma)
{
	struct dma_load load = { &self->t.dev, self->page[2], false, 0, 0 };
	pthread_t thread;
	__u32 reason;
	int i, to;

	ASSERT_EQ(0, pthread_create(&thread, NULL, dma_load, &load));
	for (i = 0; i < 600; i++)
		ASSERT_EQ(0, ste_go(&self->g, self->s1, i * 7 % TO_NUM, &reason));
	load.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, load.error);
	EXPECT_GT(load.done, 0);

	for (to = 0; to < TO_NUM; to++) {
		ASSERT_EQ(0, ste_go(&self->g, self->s1, to, &reason));
		if (ste_means[to].page >= 0) {
			EXPECT_TRUE(lands(&self->g, &self->t.dev, self->page[2],
					  self->page[ste_means[to].page]));
		} else {
			EXPECT_EQ(-EFAULT, testdev_write(&self->t.dev, self->page[2]));
		}
	}
}

/* Several STEs in one call: in order, up to the first that fails */
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

	memcpy(entries[0].ste, self->s1[1], sizeof(self->s1[1]));
	ASSERT_EQ(-1, ioctl(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(1, arg.entry_num);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, arg.out_reason);
	EXPECT_EQ(0, entries[0].out_errno);
	EXPECT_EQ(-ENOENT, entries[1].out_errno);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, entries[1].out_reason);
	EXPECT_EQ(99, entries[2].out_errno);
	EXPECT_TRUE(lands(&self->g, &self->t.dev, self->page[2], self->page[1]));
}

/* GET_STREAM tells what the host was given: the masked words, no stall */
TEST_F(ste, masked_words)
{
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_phys phys = { .size = sizeof(phys) };
	__u64 ste[8];
	__u32 reason;
	bool stall_both;

	ASSERT_EQ(0, ioctl(self->g.accel, SMMUV3_ACCEL_GET_PHYS, &phys));
	stall_both = !(phys.out_idr[0] >> 24 & 3);
	memcpy(ste, self->s1[0], sizeof(ste));
	ste[1] |= 1ULL << 19 | 1ULL << 44;	/* MEV, SHCFG: the host's business */
	memset(&ste[2], 0xff, 6 * sizeof(ste[0]));
	ASSERT_EQ(0, accel_install(&self->g, VSID, ste, &reason));
	ASSERT_EQ(0, accel_stream(&self->g, VSID, &stream));
	EXPECT_EQ(self->s1[0][0], stream.out_ste[0]);
	EXPECT_EQ(self->s1[0][1] | (__u64)stall_both << 27, stream.out_ste[1]);
	EXPECT_TRUE(lands(&self->g, &self->t.dev, self->page[2], self->page[0]));
}

/* Two devices at once */

FIXTURE(two)
{
	struct guest g;
	struct target t[2];
	__u64 page[2];
};

FIXTURE_SETUP(two)
{
	int i;

	ASSERT_EQ(0, guest_open(&self->g));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, target_open(&self->t[i], &self->g, i, GRANULE_4K,
					 i ? VSID_2 : VSID, GUEST_ASID + i));
		self->page[i] = guest_alloc(&self->g, 4096);
		pgtable_map(&self->t[i].pt, IOVA, self->page[i], PTE_NOT_GLOBAL);
	}
}

FIXTURE_TEARDOWN(two)
{
	dma_close(&self->t[0].dev);
	dma_close(&self->t[1].dev);
	guest_close(&self->g);
}

TEST_F(two, tables_of_their_own)
{
	__u64 new = guest_alloc(&self->g, 4096);
	int round;

	for (round = 0; round < 20; round++) {
		ASSERT_TRUE(lands(&self->g, &self->t[0].dev, IOVA, self->page[0]));
		ASSERT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, self->page[1]));
	}
	pgtable_map(&self->t[1].pt, IOVA, new, PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, self->page[1]));
	ASSERT_EQ(0, INVALIDATE(&self->g, cmd_tlbi_va(GUEST_ASID + 1, IOVA, true)));
	EXPECT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, new));
	EXPECT_TRUE(lands(&self->g, &self->t[0].dev, IOVA, self->page[0]));
}

/* One's abort does not touch the other; CFGI_CD reaches the one it names */
TEST_F(two, streams_of_their_own)
{
	__u64 abort[8], new = guest_alloc(&self->g, 4096);
	struct pgtable other;
	__u32 reason;

	ASSERT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, self->page[1]));
	pgtable_init(&other, &self->g, GRANULE_4K);
	pgtable_map(&other, IOVA, new, PTE_NOT_GLOBAL);
	cd_write(&self->g, self->t[1].cd, &other, GUEST_ASID + 2);
	ASSERT_EQ(0, INVALIDATE(&self->g, cmd_cfgi_cd(VSID, 0, true)));
	EXPECT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, self->page[1]))
		TH_LOG("a CFGI_CD reached a StreamID that it does not name");
	ASSERT_EQ(0, INVALIDATE(&self->g, cmd_cfgi_cd(VSID_2, 0, true)));
	EXPECT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, new));

	ste_config(abort, STE_CFG_ABORT);
	ASSERT_EQ(0, accel_install(&self->g, VSID, abort, &reason));
	EXPECT_EQ(-EFAULT, testdev_write(&self->t[0].dev, IOVA));
	EXPECT_TRUE(lands(&self->g, &self->t[1].dev, IOVA, new));
}

static void expect_fault(struct __test_metadata *_metadata, struct target *t,
			 int queue)
{
	__u64 evt[4];

	ASSERT_EQ(-EFAULT, testdev_write(&t->dev, IOVA + 0x5000));
	ASSERT_EQ(0, veventq_read(queue, evt, 5000));
	EXPECT_EQ(EVT_F_TRANSLATION, evt[0] & 0xff);
	EXPECT_EQ(t->vsid, evt[0] >> 32);
	EXPECT_EQ(IOVA + 0x5000, evt[2]);
}

TEST_F(two, faults_name_the_virtual_streamid)
{
	struct smmuv3_accel_phys phys = { .size = sizeof(phys) };
	int queue[2], i;
	__u32 id;

	for (i = 0; i < 2; i++) {
		if (i && self->t[1].viommu_id == self->t[0].viommu_id) {
			queue[1] = queue[0];
			break;
		}
		queue[i] = veventq_open(self->g.iommufd, self->t[i].viommu_id, &id);
		ASSERT_LE(0, queue[i]);
		phys.index = i;
		ASSERT_EQ(0, ioctl(self->g.accel, SMMUV3_ACCEL_GET_PHYS, &phys));
		EXPECT_EQ(self->t[i].viommu_id, phys.out_viommu_id);
	}
	for (i = 0; i < 2; i++)
		expect_fault(_metadata, &self->t[i], queue[i]);
	/* A vEVENTQ holds its vIOMMU, and outlives the streams */
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &id));
	expect_fault(_metadata, &self->t[1], queue[1]);
}

/* edu copies both ways */
TEST(both_ways)
{
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	struct dma_dev edu;
	struct guest g;
	__u64 in, out, cd, ste[8];
	__u32 reason;
	int i;

	ASSERT_EQ(0, guest_open(&g));
	ASSERT_EQ(0, dma_open(&edu, g.iommufd, DMA_EDU, 0));
	ASSERT_EQ(0, accel_attach(&g, edu.fd, VSID, &attach));
	in = guest_alloc(&g, 4096);
	out = guest_alloc(&g, 4096);
	pgtable_init(&pt, &g, GRANULE_4K);
	pgtable_map(&pt, IOVA, in, PTE_NOT_GLOBAL | PTE_READ_ONLY);
	pgtable_map(&pt, IOVA + 0x1000, out, PTE_NOT_GLOBAL);
	cd = guest_alloc(&g, 64);
	cd_write(&g, cd, &pt, GUEST_ASID);
	ste_s1(ste, cd);
	ASSERT_EQ(0, accel_install(&g, VSID, ste, &reason));

	for (i = 0; i < 1024; i++)
		((__u32 *)guest_ptr(&g, in))[i] = i * 2654435761U;
	ASSERT_EQ(0, edu_read(&edu, IOVA, 4096));
	ASSERT_EQ(0, edu_write(&edu, IOVA + 0x1000, 4096));
	EXPECT_EQ(0, memcmp(guest_ptr(&g, in), guest_ptr(&g, out), 4096));
	dma_close(&edu);
	guest_close(&g);
}

TEST_HARNESS_MAIN
