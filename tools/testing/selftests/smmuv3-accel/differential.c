// SPDX-License-Identifier: GPL-2.0
/*
 * Compare what the module and the host's driver accept: both get commands and STEs that
 * differ from plain ones in a single bit.
 *
 * If the module accepted what the host refuses, a guest could make its VMM fail. If the
 * module refused what the host accepts, a guest could not use it. The tables below list the
 * intended differences and their reasons.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "harness.h"
#include "machine.h"

#define VSID		0x15
#define MAX_REPORTS	10	/* of differences, by test */

/* As GENMASK_ULL() */
#define BITS(high, low)	((~0ULL << (low)) & (~0ULL >> (63 - (high))))

#define OP_CFGI_CD	0x05
#define OP_CFGI_CD_ALL	0x06
#define OP_TLBI_NH_ALL	0x10
#define OP_TLBI_NH_VA	0x12
#define OP_TLBI_NH_VAA	0x13
#define OP_ATC_INV	0x40

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

/*
 * Commands that the host refuses. The module accepts them, and gives the host others that
 * invalidate at least as much
 */
enum kinder { SUBSTREAM, TG_ALONE, NO_TG, LEVEL_1, LONG_SCALE, KINDER_NUM };

static const char *const kinder_why[KINDER_NUM] = {
	[SUBSTREAM] = "without substreams SubstreamID, SSV and Global are ignored (4.3.3, 4.5.1)",
	[TG_ALONE] = "TG alone is reserved (4.4.1.1), and drivers mean one granule by it",
	[NO_TG] = "without TG the other fields of a range are reserved (4.4.1.1)",
	[LEVEL_1] = "TTL 1 for 16K is reserved without DS and acts as 0 (4.4.1.1)",
	[LONG_SCALE] = "SCALE over 31 is reserved without DS (4.4.1.1)",
};

/* TLBI_NH_ALL instead of a range, with all that is no operand of that range */
static void make_nh_all(__u64 w[2], const __u32 idr[6])
{
	__u64 operands = BITS(16, 12) | BITS(25, 20);

	if ((__u8)w[0] == OP_TLBI_NH_VA)
		operands |= idr[0] & IDR0_ASID16 ? BITS(63, 48) : BITS(55, 48);
	w[0] = OP_TLBI_NH_ALL | (w[0] & ~(operands | 0xff));
	w[1] &= BITS(7, 1);
}

static enum kinder instead_of_range(__u64 w[2], const __u32 idr[6])
{
	const __u64 size = w[0] & (BITS(16, 12) | BITS(25, 20));
	const unsigned int tg = w[1] >> 10 & 3, ttl = w[1] >> 8 & 3;
	const bool ds = idr[5] & IDR5_DS;

	if (size && !tg) {
		make_nh_all(w, idr);
		return NO_TG;
	}
	if ((w[0] & BITS(25, 25)) && !ds) {
		make_nh_all(w, idr);
		return LONG_SCALE;
	}
	if (tg == 2 && ttl == 1 && !ds) {
		w[1] &= size ? ~BITS(9, 8) : ~BITS(11, 8);
		return LEVEL_1;
	}
	if (size || (tg && ttl) || (!tg && !ttl))
		return KINDER_NUM;
	w[1] &= ~BITS(11, 8);
	return tg ? TG_ALONE : NO_TG;
}

/*
 * The cause, with the command that the host gets instead in @w. Other bits of the command
 * stay, so that the host refuses what is wrong for another cause too. KINDER_NUM: there is
 * no cause
 */
static enum kinder host_gets(__u64 w[2], const __u32 idr[6])
{
	__u64 ssid = 0;

	switch ((__u8)w[0]) {
	case OP_CFGI_CD:
		ssid = BITS(31, 12);
		break;
	case OP_ATC_INV:
		ssid = BITS(31, 11) | BITS(9, 9);
		break;
	case OP_TLBI_NH_VA:
	case OP_TLBI_NH_VAA:
		return idr[3] & IDR3_RIL ? instead_of_range(w, idr) : KINDER_NUM;
	}
	if ((idr[1] & IDR1_SSIDSIZE) || !(w[0] & ssid))
		return KINDER_NUM;
	w[0] &= ~ssid;
	return SUBSTREAM;
}

/* STEs that the host accepts. The module refuses them, so that the guest is told */
static const struct {
	__u32 reason;
	const char *why;
} stricter[] = {
	{ SMMUV3_ACCEL_REASON_STE_S1CDMAX,
	  "ILLEGAL (5.2), which the SMMU would say and the driver does not check" },
	{ SMMUV3_ACCEL_REASON_STE_S1FMT,
	  "2-level without CD2L, which the driver does not check" },
	{ SMMUV3_ACCEL_REASON_STE_S1STALLD,
	  "ILLEGAL if the stall model is fixed, which the driver does not check" },
};

/*
 * STE bits that the host refuses, and that have no effect in a guest's stage-1 STE:
 * reserved bits, and attributes that the host chooses
 */
static const __u64 dropped[2] = {
	BITS(58, 56),
	BITS(26, 8) | BITS(63, 30),
};

#define STE_1_S1STALLD	(1ULL << 27)
#define STE_1_EATS	BITS(29, 28)

/**
 * struct both - A device that is behind the module, and that the host can judge directly
 * @m: the machine
 * @issued: how many commands the module has issued
 * @given: how many commands or STEs both got
 * @legal: how many of these were legal for the module
 * @kinder: by cause, how many of these the host refuses
 * @differ: about how many of these the two differ without a known cause
 * @idr: ID registers of the host SMMU
 */
struct both {
	struct machine m;
	__u64 issued;
	unsigned int given;
	unsigned int legal;
	unsigned int kinder[KINDER_NUM];
	unsigned int differ;
	__u32 idr[6];
};

static void both_close(struct both *b)
{
	unsigned int i;

	fprintf(stderr, "# %u given to both, %u legal, %u differ without a known cause\n",
		b->given, b->legal, b->differ);
	for (i = 0; i < KINDER_NUM; i++)
		if (b->kinder[i])
			fprintf(stderr, "# %u that the host refuses: %s\n", b->kinder[i],
				kinder_why[i]);
	machine_close(&b->m);
}

/* Count a difference without a known cause, and show the first few */
static void differ(struct both *b, const char *what, const __u64 w[2], int ours,
		   __u32 reason, int host)
{
	if (b->differ++ < MAX_REPORTS)
		fprintf(stderr, "# %s %#llx %#llx: ours %d, reason %u; the host's %d\n",
			what, w[0], w[1], ours, reason, host);
}

static int host_ste(struct both *b, __u64 word0, __u64 word1)
{
	struct iommu_hwpt_arm_smmuv3 data = {
		.ste = { htole64(word0), htole64(word1) },
	};
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = b->m.stream[0].ids.out_dev_id,
		.pt_id = b->m.stream[0].ids.out_viommu_id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (__u64)(unsigned long)&data,
	};

	if (ioctl(b->m.g.iommufd, IOMMU_HWPT_ALLOC, &alloc))
		return -errno;
	return iommufd_destroy(b->m.g.iommufd, alloc.out_hwpt_id);
}

/* Commands. Each entrance of the module has its own quick check for legal ones */

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
	const bool ring = variant->way == BY_RING;
	struct smmuv3_accel_phys phys;

	ASSERT_EQ(0, machine_open(&self->b.m, .stage = ring ? STAGE_RUNNING : STAGE_EXPLICIT,
				  .devices = 1, .vsid = { VSID }));
	ASSERT_EQ(1, machine_goes(&self->b.m, 0));
	if (!machine_host_checks(&self->b.m))
		SKIP(return, "the host checks no commands, so it has no opinion");
	ASSERT_EQ(0, accel_phys(&self->b.m.g, 0, &phys));
	memcpy(self->b.idr, phys.out_idr, sizeof(self->b.idr));
	self->b.issued = machine_stats(&self->b.m).out_issued;
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
		ring_put(&b->m.ring, cmds[0]);
		ring_put(&b->m.ring, cmds[1]);
		out->rc = ring_run(&b->m.ring, &run);
		out->error = run.out_error;
		out->reason = run.out_reason;
		/* Step over an illegal command */
		b->m.ring.cons = b->m.ring.prod;
	} else {
		out->rc = accel_invalidate(&b->m.g, cmds,
					   way == BY_ARRAY_SYNC ? 2 : 1, &inv);
		out->error = inv.out_error;
		out->reason = inv.out_reason;
	}
	rc = accel_stats(&b->m.g, &stats);
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
	/* Commands for a StreamID that is not attached are done at once */
	return (op == OP_CFGI_CD || op == OP_CFGI_CD_ALL) && w[0] >> 32 != VSID;
}

/*
 * Whether the host accepts what it gets instead of a command that it refuses. Count the
 * cause
 */
static bool is_kinder(struct both *b, const __u64 w[2])
{
	__u64 instead[2] = { w[0], w[1] };
	const enum kinder why = host_gets(instead, b->idr);
	struct cmd cmd;

	if (why == KINDER_NUM)
		return false;
	cmd = (struct cmd){ { htole64(instead[0]), htole64(instead[1]) } };
	if (machine_host_cmd(&b->m, 0, &cmd))
		return false;
	b->kinder[why]++;
	return true;
}

static int compare_cmd(struct both *b, enum entrance way, const __u64 w[2])
{
	const struct cmd cmd = { { htole64(w[0]), htole64(w[1]) } };
	bool legal, kinder, elsewhere = host_never_sees(w);
	struct verdict ours;
	int host, rc;

	rc = our_cmd(b, way, &cmd, &ours);
	if (rc)
		return rc;
	host = machine_host_cmd(&b->m, 0, &cmd);
	b->given++;

	/* In explicit mode CFGI_STE is legal, but for the VMM */
	if (ours.rc == -EINVAL &&
	    ours.reason == SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE)
		ours.rc = 0;
	legal = !ours.rc && ours.error == SMMUV3_ACCEL_CERROR_NONE;
	b->legal += legal;
	kinder = legal && host && !elsewhere && is_kinder(b, w);
	if (ours.rc || (host && host != -EIO) ||
	    (!legal && (ours.error != SMMUV3_ACCEL_CERROR_ILL || ours.issued)))
		differ(b, "failed:", w, ours.rc, ours.reason, host);
	else if (!kinder && (legal && elsewhere ? !host : legal != !host))
		differ(b, "legal for one alone:", w, legal, ours.reason, host);
	else if (legal && !elsewhere && !ours.issued)
		differ(b, "not handed on:", w, legal, ours.reason, host);
	return 0;
}

/* A command, and all that differ from it in one bit */
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

TEST_F(command, module_and_host_agree_on_each_bit)
{
	const __u64 iova = self->b.m.stream[0].s1.page[0];
	const __u64 sid = (__u64)VSID << 32, asid = (__u64)MACHINE_ASID << 48;
	__u64 op;

	for (op = 0; op < 256; op++) {
		unsigned int legal = self->b.legal;

		ASSERT_EQ(0, compare_flips(&self->b, variant->way, op, 0));
		/* Operands do not make an illegal opcode legal */
		if (self->b.legal == legal)
			continue;
		ASSERT_EQ(0, compare_flips(&self->b, variant->way, op | sid, 0));
		ASSERT_EQ(0, compare_flips(&self->b, variant->way, op | sid | asid,
					   iova | 1));
	}
	EXPECT_EQ(0, self->b.differ);
	/* Legal commands were among them, and the SMMU still works */
	EXPECT_LT(1000, self->b.legal);
	EXPECT_LT(self->b.idr[1] & IDR1_SSIDSIZE ? -1 : 10, (int)self->b.kinder[SUBSTREAM]);
	EXPECT_EQ(1, machine_goes(&self->b.m, 0));
}

TEST_F(command, module_and_host_agree_on_each_bit_of_a_range)
{
	static const unsigned int nums[] = { 0, 31 }, scales[] = { 0, 31, 32 };
	unsigned int n, s, tg, ttl;
	__u64 op, word0, word1;

	if (!machine_has(&self->b.m, 3, IDR3_RIL))
		SKIP(return, "the SMMU has no range invalidation");
	for (op = OP_TLBI_NH_VA; op <= OP_TLBI_NH_VAA; op++) {
		for (n = 0; n < ARRAY_LEN(nums) * ARRAY_LEN(scales) * 16; n++) {
			s = n / 16 % ARRAY_LEN(scales);
			tg = n % 4;
			ttl = n / 4 % 4;
			word0 = op | nums[n / 16 / ARRAY_LEN(scales)] << 12 |
				(__u64)scales[s] << 20;
			word1 = self->b.m.stream[0].s1.page[0] | ttl << 8 | tg << 10;
			ASSERT_EQ(0, compare_flips(&self->b, variant->way, word0,
						   word1));
		}
	}
	EXPECT_EQ(0, self->b.differ);
	EXPECT_LT(1000, self->b.legal);
	for (n = TG_ALONE; n < KINDER_NUM; n++)
		EXPECT_LT(self->b.idr[5] & IDR5_DS && n >= LEVEL_1 ? -1 : 10,
			  (int)self->b.kinder[n]) TH_LOG("cause %u", n);
	EXPECT_EQ(1, machine_goes(&self->b.m, 0));
}

/* STEs */

FIXTURE(entry)
{
	struct both b;
};

FIXTURE_SETUP(entry)
{
	ASSERT_EQ(0, machine_open(&self->b.m, .stage = STAGE_ATTACHED, .devices = 1,
				  .vsid = { VSID }));
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

/* Give an STE to both. @out: what the module says is installed */
static int compare_ste(struct both *b, const __u64 ste[8],
		       struct smmuv3_accel_stream *out)
{
	__u64 given[2], lost[2], more[2];
	__u32 reason = 0;
	int rc, host;

	rc = accel_install(&b->m.g, VSID, ste, &reason);
	b->given++;
	if (rc) {
		differ(b, "not installed:", ste, rc, reason, 0);
		return 0;
	}
	rc = accel_stream(&b->m.g, VSID, out);
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

	/* The host got legal words, without bits that the guest did not set */
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

TEST_F(entry, module_and_host_agree_on_each_bit)
{
	struct smmuv3_accel_stream plain, out;
	unsigned int config, bit;
	__u64 ste[8];

	for (config = 0; config < 8; config++) {
		memcpy(ste, self->b.m.stream[0].s1.ste, sizeof(ste));
		ste[0] &= ~STE_CFG(7);
		ste[0] |= STE_CFG(config);
		ASSERT_EQ(0, compare_ste(&self->b, ste, &plain));
		for (bit = 0; bit < 512; bit++) {
			ste[bit / 64] ^= 1ULL << bit % 64;
			ASSERT_EQ(0, compare_ste(&self->b, ste, &out));
			ste[bit / 64] ^= 1ULL << bit % 64;
			/* Words 2 to 7 are for stage 2, which the guest does not have */
			if (bit < 128)
				continue;
			EXPECT_EQ(plain.out_kind, out.out_kind);
			EXPECT_EQ(plain.out_reason, out.out_reason);
			EXPECT_EQ(plain.out_ste[0], out.out_ste[0]);
			EXPECT_EQ(plain.out_ste[1], out.out_ste[1]);
		}
	}
	EXPECT_EQ(0, self->b.differ);
	ASSERT_EQ(0, compare_ste(&self->b, self->b.m.stream[0].s1.ste, &out));
	EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, out.out_kind);
	EXPECT_EQ(1, machine_goes(&self->b.m, 0));
}

TEST_HARNESS_MAIN
