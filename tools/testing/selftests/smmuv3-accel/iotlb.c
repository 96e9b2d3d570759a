// SPDX-License-Identifier: GPL-2.0
/*
 * The feed from end to end: a VMM's software IOTLB depends on the feed alone, while the
 * guest changes its tables and invalidates its changes.
 *
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_SEED	0x50f7

#define VSID_DEV	0x10
#define VSID_FEED	0x20	/* of emulated endpoints: this and the next */
#define FEEDS		2

#define IOVA		0x10000000ULL

#define PAGES		12
#define CDS		3
#define CACHE_SIZE	256

/**
 * struct soft_iotlb - The software IOTLB of a VMM for its emulated endpoints
 * @config: by endpoint, the STE and CD that were read
 * @entry: translations, by ASID and page
 */
struct soft_iotlb {
	struct soft_config {
		bool valid;
		__u64 root;
		unsigned int asid;
	} config[FEEDS];
	struct {
		bool valid;
		unsigned int asid;
		__u64 iova;
		__u64 gpa;
	} entry[CACHE_SIZE];
	unsigned int next;
};

/* Walk the tables as they are now. 0: a fault */
static __u64 walk(struct guest *g, __u64 table, __u64 iova)
{
	__u64 entry;
	int level;

	for (level = 1; level <= 3; level++) {
		entry = ((volatile __u64 *)guest_ptr(g, table))
			[iova >> (12 + 9 * (3 - level)) & 511];
		if (!(entry & 1))
			return 0;
		table = entry & 0xfffffffff000ULL;
	}
	return table;
}

static bool read_config(struct machine *m, int i, struct soft_config *config)
{
	volatile __u64 *ste = strtab_ste(&m->strtab, VSID_FEED + i), *cd;

	if ((ste[0] & 0xf) != (STE_V | STE_CFG(STE_CFG_S1)))
		return false;
	cd = guest_ptr(&m->g, ste[0] & 0xfffffffffffc0ULL);
	config->valid = true;
	config->root = cd[1];
	config->asid = cd[0] >> 48;
	return true;
}

static __u64 truth(struct machine *m, int i, __u64 iova)
{
	struct soft_config config;

	return read_config(m, i, &config) ? walk(&m->g, config.root, iova) : 0;
}

static __u64 soft_translate(struct machine *m, struct soft_iotlb *tlb, int i,
			    __u64 iova)
{
	struct soft_config *config = &tlb->config[i];
	unsigned int n;
	__u64 gpa;

	if (!config->valid && !read_config(m, i, config))
		return 0;
	for (n = 0; n < CACHE_SIZE; n++)
		if (tlb->entry[n].valid && tlb->entry[n].asid == config->asid &&
		    tlb->entry[n].iova == iova)
			return tlb->entry[n].gpa;
	gpa = walk(&m->g, config->root, iova);
	if (gpa) {
		n = tlb->next++ % CACHE_SIZE;
		tlb->entry[n].valid = true;
		tlb->entry[n].asid = config->asid;
		tlb->entry[n].iova = iova;
		tlb->entry[n].gpa = gpa;
	}
	return gpa;
}

static void soft_config_drop(struct soft_iotlb *tlb, __u32 first, __u32 last)
{
	__u32 i;

	for (i = 0; i < FEEDS; i++)
		if (VSID_FEED + i >= first && VSID_FEED + i <= last)
			tlb->config[i].valid = false;
}

static void soft_invalidate(struct soft_iotlb *tlb, struct cmd cmd)
{
	__u64 w0 = le64toh(cmd.w[0]), w1 = le64toh(cmd.w[1]);
	__u32 sid = w0 >> 32, op = w0 & 0xff, mask;
	unsigned int asid = w0 >> 48, n;
	__u64 from = w1 & ~0xfffULL, size = 4096;

	switch (op) {
	case 0x03:
	case 0x05:
	case 0x06:
		soft_config_drop(tlb, sid, sid);
		return;
	case 0x04:
		mask = (w1 & 31) == 31 ? ~0U : (2U << (w1 & 31)) - 1;
		soft_config_drop(tlb, sid & ~mask, sid | mask);
		return;
	}
	if (w1 >> 10 & 3)	/* TG: a range of (NUM + 1) << SCALE */
		size *= ((w0 >> 12 & 0x1f) + 1) << (w0 >> 20 & 0x1f);
	for (n = 0; n < CACHE_SIZE; n++) {
		if ((op == 0x11 || op == 0x12) && tlb->entry[n].asid != asid)
			continue;
		if ((op == 0x12 || op == 0x13) &&
		    (tlb->entry[n].iova < from || tlb->entry[n].iova >= from + size))
			continue;
		tlb->entry[n].valid = false;
	}
}

/* The guest */
struct soft_guest {
	struct pgtable pt[CDS];
	__u64 cd[CDS];
	unsigned int asid[CDS];
	int ste[FEEDS];
	__u64 page[PAGES];
};

static __u64 iova_of(int page)
{
	return IOVA + page * 4096ULL;
}

static struct cmd invalidate_page(struct machine *m, unsigned int asid, int page)
{
	switch (dice(16)) {
	case 0:
		return cmd_tlbi_nh_all();
	case 1:
		return cmd_tlbi_nsnh_all();
	case 2:
		return cmd_tlbi_asid(asid);
	case 3 ... 5:
		return cmd_tlbi_vaa(iova_of(page), dice(2));
	case 6 ... 9:
		if (machine_has(m, 3, IDR3_RIL))
			return cmd_range(cmd_tlbi_va(asid, iova_of(page), true),
					 dice(4), dice(2), 1, 3);
		break;
	}
	return cmd_tlbi_va(asid, iova_of(page), dice(2));
}

static struct cmd invalidate_ste(int i)
{
	switch (dice(4)) {
	case 0:
		return cmd_cfgi_all();
	case 1:
		return cmd_cfgi_ste_range(VSID_FEED + i, dice(8));
	default:
		return cmd_cfgi_ste(VSID_FEED + i, dice(2));
	}
}

/* Change something, and queue its invalidation */
static void guest_change(struct machine *m, struct soft_guest *sg)
{
	int c = dice(CDS), i = dice(FEEDS), page = dice(PAGES), old;
	__u64 ste[8];

	switch (dice(12)) {
	case 0:		/* give an endpoint another stage 1 */
		sg->ste[i] = c;
		ste_s1(ste, sg->cd[c]);
		strtab_write(&m->strtab, VSID_FEED + i, ste);
		ring_put(&m->ring, invalidate_ste(i));
		break;
	case 1:		/* give a table another ASID, which must have no entries left */
		old = sg->asid[c];
		sg->asid[c] = 1 + c + CDS * dice(3);
		cd_write(&m->g, sg->cd[c], &sg->pt[c], sg->asid[c]);
		for (i = 0; i < FEEDS; i++)
			if (sg->ste[i] == c)
				ring_put(&m->ring, dice(2) ? cmd_cfgi_cd(VSID_FEED + i, 0, true) :
							     cmd_cfgi_cd_all(VSID_FEED + i));
		ring_put(&m->ring, cmd_sync());
		ring_put(&m->ring, cmd_tlbi_asid(old));
		break;
	case 2 ... 4:
		pgtable_unmap(&sg->pt[c], iova_of(page));
		ring_put(&m->ring, invalidate_page(m, sg->asid[c], page));
		break;
	default:
		pgtable_map(&sg->pt[c], iova_of(page), sg->page[dice(PAGES)], PTE_NOT_GLOBAL);
		ring_put(&m->ring, invalidate_page(m, sg->asid[c], page));
		break;
	}
}

struct soft_result {
	unsigned int stale_before;	/* stale translations used before the CMD_SYNC */
	unsigned int stale_after;	/* and after it */
	int rc;
};

/* @leave_out: ignore a command of each feed */
static struct soft_result soft_rounds(struct machine *m, int rounds, bool leave_out)
{
	struct soft_iotlb *tlb = calloc(1, sizeof(*tlb));
	struct soft_result result = {};
	struct smmuv3_accel_run_cmdq out;
	struct soft_guest sg = {};
	struct cmd feed[64];
	int round, n, i, page;
	__u64 ste[8];

	for (i = 0; i < PAGES; i++)
		sg.page[i] = guest_alloc(&m->g, 4096);
	for (i = 0; i < CDS; i++) {
		pgtable_init(&sg.pt[i], &m->g, GRANULE_4K);
		sg.asid[i] = 1 + i;
		sg.cd[i] = cd_new(&m->g, &sg.pt[i], sg.asid[i]);
	}
	for (i = 0; i < FEEDS; i++) {
		sg.ste[i] = i;
		ste_s1(ste, sg.cd[i]);
		strtab_write(&m->strtab, VSID_FEED + i, ste);
	}
	for (round = 0; round < rounds; round++) {
		for (n = 1 + dice(6); n; n--)
			guest_change(m, &sg);
		ring_put(&m->ring, cmd_sync());
		/* Until the CMD_SYNC is done, endpoints may use stale translations */
		for (n = dice(10); n; n--) {
			i = dice(FEEDS);
			page = dice(PAGES);
			result.stale_before += soft_translate(m, tlb, i, iova_of(page)) !=
					       truth(m, i, iova_of(page));
		}
		do {
			result.rc = machine_doorbell(m, &out, .feed = feed, .feed_room = 64,
						     .max_cmds = dice(3) ? 0 : 1 + dice(5));
			if (result.rc || out.out_error ||
			    out.out_flags != ring_cfgi(&m->ring, m->ring.cons, out.cons))
				goto out;
			m->ring.cons = out.cons;
			for (n = leave_out; n < (int)out.feed_num; n++)
				soft_invalidate(tlb, feed[n]);
		} while (m->ring.cons != m->ring.prod);
		/* The CMD_SYNC is done */
		for (i = 0; i < FEEDS; i++)
			for (page = 0; page < PAGES; page++)
				result.stale_after += soft_translate(m, tlb, i, iova_of(page)) !=
						      truth(m, i, iova_of(page));
	}
out:
	free(tlb);
	return result;
}

FIXTURE(iotlb)
{
	struct machine m;
};

FIXTURE_VARIANT(iotlb)
{
	__u32 flags;
	bool beside_device;
};

FIXTURE_VARIANT_ADD(iotlb, alone) {};
FIXTURE_VARIANT_ADD(iotlb, beside_device) { .beside_device = true };
FIXTURE_VARIANT_ADD(iotlb, no_global) {
	.flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL, .beside_device = true,
};

FIXTURE_SETUP(iotlb)
{
	dice_seed(DEFAULT_SEED);
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING,
				  .create_flags = SMMUV3_ACCEL_CREATE_FEED | variant->flags,
				  .devices = variant->beside_device, .vsid = { VSID_DEV },
				  .strtab_log2size = 8, .ring_log2size = 6));
	ASSERT_EQ(0, machine_attach_feeds(&self->m, VSID_FEED, FEEDS));
}

FIXTURE_TEARDOWN(iotlb)
{
	machine_close(&self->m);
}

TEST_F(iotlb, is_never_stale_after_a_sync)
{
	struct soft_result result = soft_rounds(&self->m, 3000, false);

	ASSERT_EQ(0, result.rc);
	EXPECT_LT(100, result.stale_before);
	EXPECT_EQ(0, result.stale_after);
}

/* Shows that the test above can fail */
TEST_F(iotlb, is_stale_with_one_command_less)
{
	struct soft_result result = soft_rounds(&self->m, 300, true);

	ASSERT_EQ(0, result.rc);
	EXPECT_LT(0, result.stale_after);
}

TEST_HARNESS_MAIN
