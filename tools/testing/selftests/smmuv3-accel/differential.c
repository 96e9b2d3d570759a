// SPDX-License-Identifier: GPL-2.0
/*
 * What the module takes for legal against what the host's driver does: commands
 * and STEs that differ from plain ones in a single bit are given to both.
 *
 * A command or STE that the module accepts and the host refuses would be a
 * guest's way to have its VMM fail; one that the module refuses and the host
 * accepts would be lost to guests. Where they differ, a table below says why.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "guest.h"
#include "harness.h"

#define VSID		0x15
#define ASID		5
#define IOVA		0x10000000ULL
#define MAX_REPORTS	10	/* of differences, by test */

/* As GENMASK_ULL() */
#define BITS(high, low)	((~0ULL << (low)) & (~0ULL >> (63 - (high))))

#define OP_CFGI_CD	0x05
#define OP_CFGI_CD_ALL	0x06
#define OP_TLBI_NH_VA	0x12
#define OP_TLBI_NH_VAA	0x13

/* Commands that are legal and that the host never sees */
static const struct {
	__u8 op;
	const char *why;
} kept[] = {
	{ 0x01, "PREFETCH_CONFIG is a hint" },
	{ 0x02, "PREFETCH_ADDR is a hint" },
	{ 0x03, "CFGI_STE: the STE becomes a domain" },
	{ 0x04, "CFGI_STE_RANGE: the STEs become domains" },
	{ 0x46, "CMD_SYNC is the return of the calls before it" },
};

/* Legal for the host, refused as STEs: a guest is better told than guessed at */
static const struct {
	__u32 reason;
	const char *why;
} stricter[] = {
	{ SMMUV3_ACCEL_REASON_STE_S1CDMAX,
	  "ILLEGAL (5.2), which the SMMU would say and the driver does not check" },
	{ SMMUV3_ACCEL_REASON_STE_S1FMT,
	  "reserved or without CD2L, which the driver does not check" },
	{ SMMUV3_ACCEL_REASON_STE_S1DSS,
	  "reserved, which the driver does not check" },
};

/*
 * STE bits that the host refuses, and that have no effect on a stage-1 STE of
 * the guest's: reserved ones, and attributes that are the host's to choose
 */
static const __u64 dropped[2] = {
	BITS(58, 56),
	BITS(26, 8) | BITS(63, 30),
};

#define STE_1_S1STALLD	(1ULL << 27)
#define STE_1_EATS	BITS(29, 28)

/**
 * struct both - A device behind the module, and the way around it
 * @ste: translates by @pt
 * @issued: how many commands the module has handed on
 * @given: how many commands or STEs both were given
 * @legal: how many of them were legal for the module
 * @differ: on how many they differ without a cause
 */
struct both {
	struct guest g;
	struct dma_dev dev;
	struct ring ring;
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	__u64 ste[8];
	__u64 issued;
	unsigned int given;
	unsigned int legal;
	unsigned int differ;
};

static int both_open(struct both *b)
{
	__u64 cd;
	int rc;

	rc = guest_open(&b->g);
	if (!rc)
		rc = dma_open(&b->dev, b->g.iommufd, DMA_TESTDEV, 0);
	if (!rc)
		rc = accel_attach(&b->g, b->dev.fd, VSID, &b->attach);
	if (!rc)
		rc = accel_mem_table(&b->g);
	if (!rc)
		rc = ring_init(&b->ring, &b->g, 4);
	if (rc)
		return rc;
	pgtable_init(&b->pt, &b->g, GRANULE_4K);
	pgtable_map(&b->pt, IOVA, guest_alloc(&b->g, 4096), PTE_NOT_GLOBAL);
	cd = guest_alloc(&b->g, 64);
	cd_write(&b->g, cd, &b->pt, ASID);
	ste_s1(b->ste, cd);
	return 0;
}

static void both_close(struct both *b)
{
	fprintf(stderr, "# %u given to both, %u legal, %u differ without a cause\n",
		b->given, b->legal, b->differ);
	dma_close(&b->dev);
	guest_close(&b->g);
}

/* Count a difference without a cause, and show the first few */
static void differ(struct both *b, const char *what, const __u64 w[2], int ours,
		   __u32 reason, int host)
{
	if (b->differ++ < MAX_REPORTS)
		fprintf(stderr, "# %s %#llx %#llx: ours %d, reason %u; the host's %d\n",
			what, w[0], w[1], ours, reason, host);
}

/* As any VMM can */
static int host_cmd(struct both *b, const struct cmd *cmd)
{
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = b->attach.out_viommu_id,
		.data_uptr = (__u64)(unsigned long)cmd,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*cmd),
		.entry_num = 1,
	};

	return ioctl(b->g.iommufd, IOMMU_HWPT_INVALIDATE, &inv) ? -errno : 0;
}

static int host_ste(struct both *b, __u64 word0, __u64 word1)
{
	struct iommu_hwpt_arm_smmuv3 data = {
		.ste = { htole64(word0), htole64(word1) },
	};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = b->attach.out_dev_id,
		.pt_id = b->attach.out_viommu_id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (__u64)(unsigned long)&data,
	};

	if (ioctl(b->g.iommufd, IOMMU_HWPT_ALLOC, &alloc))
		return -errno;
	return iommufd_destroy(b->g.iommufd, alloc.out_hwpt_id);
}

/* Commands. Each way into the module knows by itself what is legal at sight. */

enum entrance {
	BY_ARRAY,
	BY_ARRAY_SYNC,
	BY_RING,
};

FIXTURE(command)
{
	struct both b;
};

FIXTURE_VARIANT(command)
{
	enum entrance way;
};

FIXTURE_VARIANT_ADD(command, array) { .way = BY_ARRAY };
FIXTURE_VARIANT_ADD(command, array_and_sync) { .way = BY_ARRAY_SYNC };
FIXTURE_VARIANT_ADD(command, ring) { .way = BY_RING };

FIXTURE_SETUP(command)
{
	struct smmuv3_accel_stats stats;
	struct strtab strtab;
	__u32 reason;

	ASSERT_EQ(0, both_open(&self->b));
	if (variant->way == BY_RING) {
		ASSERT_EQ(0, strtab_init(&strtab, &self->b.g, 8, 0));
		strtab_write(&strtab, VSID, self->b.ste);
		ASSERT_EQ(0, accel_set_regs(&self->b.g, CR0_SMMUEN | CR0_CMDQEN,
					    strtab.base, strtab.base_cfg,
					    &self->b.ring));
	} else {
		ASSERT_EQ(0, accel_install(&self->b.g, VSID, self->b.ste, &reason));
		ASSERT_EQ(SMMUV3_ACCEL_REASON_NONE, reason);
	}
	ASSERT_EQ(0, accel_stats(&self->b.g, &stats));
	self->b.issued = stats.out_issued;
}

FIXTURE_TEARDOWN(command)
{
	both_close(&self->b);
}

struct verdict {
	int rc;
	__u32 error;
	__u32 reason;
	__u64 issued;
};

static int our_cmd(struct both *b, enum entrance way, const struct cmd *cmd,
		   struct verdict *out)
{
	const struct cmd cmds[2] = { *cmd, cmd_sync() };
	struct smmuv3_accel_invalidate inv;
	struct smmuv3_accel_stats stats;
	struct smmuv3_accel_run_cmdq run;
	int rc;

	if (way == BY_RING) {
		ring_put(&b->ring, cmds[0]);
		ring_put(&b->ring, cmds[1]);
		out->rc = ring_run(&b->ring, &run);
		out->error = run.out_error;
		out->reason = run.out_reason;
		/* A bad command is stepped over. */
		b->ring.cons = b->ring.prod;
	} else {
		out->rc = accel_invalidate(&b->g, cmds,
					   way == BY_ARRAY_SYNC ? 2 : 1, &inv);
		out->error = inv.out_error;
		out->reason = inv.out_reason;
	}
	rc = accel_stats(&b->g, &stats);
	out->issued = stats.out_issued - b->issued;
	b->issued = stats.out_issued;
	return rc;
}

static bool host_never_sees(const __u64 w[2])
{
	__u8 op = w[0];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(kept); i++)
		if (kept[i].op == op)
			return true;
	/* A StreamID that is not attached: done at once */
	return (op == OP_CFGI_CD || op == OP_CFGI_CD_ALL) && w[0] >> 32 != VSID;
}

static int compare_cmd(struct both *b, enum entrance way, const __u64 w[2])
{
	const struct cmd cmd = { { htole64(w[0]), htole64(w[1]) } };
	struct verdict ours;
	bool legal;
	int host, rc;

	rc = our_cmd(b, way, &cmd, &ours);
	if (rc)
		return rc;
	host = host_cmd(b, &cmd);
	b->given++;

	/* The explicit mode's way to say that it is the VMM's to act on */
	if (ours.rc == -EINVAL &&
	    ours.reason == SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE)
		ours.rc = 0;
	legal = !ours.rc && ours.error == SMMUV3_ACCEL_CERROR_NONE;
	b->legal += legal;
	if (ours.rc || (host && host != -EIO) ||
	    (!legal && (ours.error != SMMUV3_ACCEL_CERROR_ILL || ours.issued)))
		differ(b, "failed:", w, ours.rc, ours.reason, host);
	else if (legal && host_never_sees(w) ? !host : legal != !host)
		differ(b, "legal for one alone:", w, legal, ours.reason, host);
	else if (legal && !host && !ours.issued)
		differ(b, "not handed on:", w, legal, ours.reason, host);
	return 0;
}

/* A command and what differs from it in one bit */
static int compare_flips(struct both *b, enum entrance way, __u64 word0, __u64 word1)
{
	int bit, rc;

	for (bit = -1; bit < 128; bit++) {
		__u64 w[2] = { word0, word1 };

		if (bit >= 0)
			w[bit / 64] ^= 1ULL << bit % 64;
		rc = compare_cmd(b, way, w);
		if (rc)
			return rc;
	}
	return 0;
}

TEST_F(command, one_bit)
{
	const __u64 sid = (__u64)VSID << 32, asid = (__u64)ASID << 48;
	__u64 op;

	for (op = 0; op < 256; op++) {
		unsigned int legal = self->b.legal;

		ASSERT_EQ(0, compare_flips(&self->b, variant->way, op, 0));
		/* Operands make no other opcode legal */
		if (self->b.legal == legal)
			continue;
		ASSERT_EQ(0, compare_flips(&self->b, variant->way, op | sid, 0));
		ASSERT_EQ(0, compare_flips(&self->b, variant->way, op | sid | asid,
					   IOVA | 1));
	}
	EXPECT_EQ(0, self->b.differ);
	/* All that is legal was seen to be, and the SMMU still does its work. */
	EXPECT_LT(1000, self->b.legal);
	EXPECT_EQ(0, testdev_write(&self->b.dev, IOVA));
}

TEST_F(command, one_bit_of_a_range)
{
	static const unsigned int nums[] = { 0, 31 }, scales[] = { 0, 31, 32 };
	struct smmuv3_accel_phys phys;
	unsigned int n, s, tg, ttl;
	__u64 op, word0, word1;

	ASSERT_EQ(0, accel_phys(&self->b.g, 0, &phys));
	if (!(phys.out_idr[3] & IDR3_RIL))
		SKIP(return, "the SMMU has no range invalidation");
	for (op = OP_TLBI_NH_VA; op <= OP_TLBI_NH_VAA; op++) {
		for (n = 0; n < ARRAY_LEN(nums) * ARRAY_LEN(scales) * 16; n++) {
			s = n / 16 % ARRAY_LEN(scales);
			tg = n % 4;
			ttl = n / 4 % 4;
			word0 = op | nums[n / 16 / ARRAY_LEN(scales)] << 12 |
				(__u64)scales[s] << 20;
			word1 = IOVA | ttl << 8 | tg << 10;
			ASSERT_EQ(0, compare_flips(&self->b, variant->way, word0,
						   word1));
		}
	}
	EXPECT_EQ(0, self->b.differ);
	EXPECT_LT(1000, self->b.legal);
	EXPECT_EQ(0, testdev_write(&self->b.dev, IOVA));
}

/* STEs */

FIXTURE(entry)
{
	struct both b;
};

FIXTURE_SETUP(entry)
{
	ASSERT_EQ(0, both_open(&self->b));
}

FIXTURE_TEARDOWN(entry)
{
	both_close(&self->b);
}

static bool module_is_stricter(__u32 reason)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(stricter); i++)
		if (stricter[i].reason == reason)
			return true;
	return false;
}

/* What becomes of an STE. *@out: what the module says is installed */
static int compare_ste(struct both *b, const __u64 ste[8],
		       struct smmuv3_accel_stream *out)
{
	__u64 given[2], lost[2], more[2];
	__u32 reason = 0;
	int rc, host;

	rc = accel_install(&b->g, VSID, ste, &reason);
	b->given++;
	if (rc) {
		differ(b, "not installed:", ste, rc, reason, 0);
		return 0;
	}
	rc = accel_stream(&b->g, VSID, out);
	if (rc)
		return rc;
	b->legal += out->out_kind != SMMUV3_ACCEL_KIND_ABORT;
	host = host_ste(b, ste[0], ste[1]);
	if (out->out_kind != SMMUV3_ACCEL_KIND_S1) {
		if (reason >= SMMUV3_ACCEL_REASON_STE_CONFIG && !host &&
		    !module_is_stricter(reason))
			differ(b, "refused:", ste, 0, reason, host);
		return 0;
	}

	/* What is given to the host is legal there, and the guest's own */
	given[0] = le64toh(out->out_ste[0]);
	given[1] = le64toh(out->out_ste[1]);
	lost[0] = ste[0] & ~given[0];
	lost[1] = ste[1] & ~given[1];
	more[0] = given[0] & ~ste[0];
	more[1] = given[1] & ~ste[1] & ~STE_1_S1STALLD;
	if (host_ste(b, given[0], given[1]))
		differ(b, "given to the host:", given, 0, reason, -EIO);
	if (more[0] || more[1])
		differ(b, "more than the guest's:", more, 0, reason, host);
	if (host && !(lost[0] & dropped[0]) && !(lost[1] & dropped[1]) &&
	    !(lost[1] & STE_1_EATS))
		differ(b, "accepted:", ste, 0, reason, host);
	return 0;
}

TEST_F(entry, one_bit)
{
	struct smmuv3_accel_stream plain, out;
	unsigned int config, bit;
	__u64 ste[8];

	for (config = 0; config < 8; config++) {
		memcpy(ste, self->b.ste, sizeof(ste));
		ste[0] &= ~STE_CFG(7);
		ste[0] |= STE_CFG(config);
		ASSERT_EQ(0, compare_ste(&self->b, ste, &plain));
		for (bit = 0; bit < 512; bit++) {
			ste[bit / 64] ^= 1ULL << bit % 64;
			ASSERT_EQ(0, compare_ste(&self->b, ste, &out));
			ste[bit / 64] ^= 1ULL << bit % 64;
			/* Words 2 to 7 are stage 2's, and the guest has none */
			if (bit < 128)
				continue;
			EXPECT_EQ(plain.out_kind, out.out_kind);
			EXPECT_EQ(plain.out_reason, out.out_reason);
			EXPECT_EQ(plain.out_ste[0], out.out_ste[0]);
			EXPECT_EQ(plain.out_ste[1], out.out_ste[1]);
		}
	}
	EXPECT_EQ(0, self->b.differ);
	ASSERT_EQ(0, compare_ste(&self->b, self->b.ste, &out));
	EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, out.out_kind);
	EXPECT_EQ(0, testdev_write(&self->b.dev, IOVA));
}

TEST_HARNESS_MAIN
