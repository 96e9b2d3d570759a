// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of cmd.c. They have their own table of each command's fields, by the bit
 * numbers of Arm IHI 0070, chapter 4 (0 to 127 over both words), so that they also
 * find a wrong mask in arch.h.
 *
 * The loops use assertions instead of expectations: a broken rule fails for thousands
 * of commands, and the first one is enough to find it.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/module.h>
#include <linux/prandom.h>

#include "pure.h"

#define CMD_BITS	128
#define FIRST_OPERAND	8
#define SSEC		10
#define NO_CLASS	((enum smmuv3_cmd_class)-1)

/* A set of capabilities for each number. Half of the sets have a given flag. */
#define CAPS_NUM	128

static void caps_of_number(struct smmuv3_caps *caps, unsigned int n)
{
	*caps = (struct smmuv3_caps){
		.ssid_bits = n & BIT(0) ? 1 + n % 20 : 0,
		.asid16 = n & BIT(1),
		.ril = n & BIT(2),
		.ds = n & BIT(3),
		.ats = n & BIT(4),
		.cd2l = n & BIT(5),
		.stall_both = n & BIT(6),
	};
}

enum need {
	ALWAYS,
	ASID16,
	RIL,
};

static bool is_met(enum need need, const struct smmuv3_caps *caps)
{
	switch (need) {
	case ASID16:
		return caps->asid16;
	case RIL:
		return caps->ril;
	default:
		return true;
	}
}

/* All opcodes that a guest may use, with all their operands */
static const struct cmd_op {
	const char *name;
	u8 op;
	enum smmuv3_cmd_class class;
	struct {
		u8 hi;
		u8 lo;
		enum need need;
	} fields[10];
} cmd_ops[] = {
	{ "PREFETCH_CONFIG", 0x01, SMMUV3_CMD_NOP, {
		{ 9, 8 }, { 127, 11 },		/* all but SSec */
	} },
	{ "PREFETCH_ADDR", 0x02, SMMUV3_CMD_NOP, {
		{ 9, 8 }, { 127, 11 },
	} },
	{ "CFGI_STE", 0x03, SMMUV3_CMD_STE, {
		{ 9, 8 }, { 127, 11 },		/* all but SSec, though most are reserved */
	} },
	{ "CFGI_STE_RANGE", 0x04, SMMUV3_CMD_STE, {
		{ 9, 8 }, { 127, 11 },
	} },
	{ "CFGI_CD", 0x05, SMMUV3_CMD_CD, {
		{ 31, 12 },			/* SubstreamID */
		{ 63, 32 },			/* StreamID */
		{ 64, 64 },			/* Leaf */
	} },
	{ "CFGI_CD_ALL", 0x06, SMMUV3_CMD_CD, {
		{ 63, 32 },			/* StreamID */
	} },
	{ "TLBI_NH_ALL", 0x10, SMMUV3_CMD_TLBI, {
		{ 47, 32 },			/* VMID */
	} },
	{ "TLBI_NH_ASID", 0x11, SMMUV3_CMD_TLBI, {
		{ 47, 32 },			/* VMID */
		{ 55, 48 }, { 63, 56, ASID16 },	/* ASID */
	} },
	{ "TLBI_NH_VA", 0x12, SMMUV3_CMD_TLBI, {
		{ 16, 12, RIL },		/* NUM */
		{ 25, 20, RIL },		/* SCALE */
		{ 47, 32 },			/* VMID */
		{ 55, 48 }, { 63, 56, ASID16 },	/* ASID */
		{ 64, 64 },			/* Leaf */
		{ 73, 72, RIL },		/* TTL */
		{ 75, 74, RIL },		/* TG */
		{ 127, 76 },			/* Address */
	} },
	{ "TLBI_NH_VAA", 0x13, SMMUV3_CMD_TLBI, {
		{ 16, 12, RIL },		/* NUM */
		{ 25, 20, RIL },		/* SCALE */
		{ 47, 32 },			/* VMID */
		{ 64, 64 },			/* Leaf */
		{ 73, 72, RIL },		/* TTL */
		{ 75, 74, RIL },		/* TG */
		{ 127, 76 },			/* Address */
	} },
	{ "TLBI_NSNH_ALL", 0x30, SMMUV3_CMD_TLBI },
	{ "ATC_INV", 0x40, SMMUV3_CMD_ATC, {
		{ 9, 9 },			/* Global */
		{ 11, 11 },			/* SSV */
		{ 31, 12 },			/* SubstreamID */
		{ 63, 32 },			/* StreamID */
		{ 69, 64 },			/* Size */
		{ 127, 76 },			/* Address */
	} },
	{ "SYNC", 0x46, SMMUV3_CMD_SYNC, {
		{ 9, 8 }, { 127, 11 },		/* CS, fields of an MSI, reserved ones */
	} },
};

KUNIT_ARRAY_PARAM_DESC(cmd_op, cmd_ops, name);

#define OP_ATC_INV	0x40
#define OP_NH_VA	0x12
#define OP_NH_VAA	0x13
#define OP_SYNC		0x46

static bool is_forwarded(enum smmuv3_cmd_class class)
{
	return class == SMMUV3_CMD_CD || class == SMMUV3_CMD_TLBI ||
	       class == SMMUV3_CMD_ATC;
}

/* Put a value into the field with lowest bit @lo. */
static void put(u64 cmd[2], unsigned int lo, u64 val)
{
	cmd[lo / 64] |= val << (lo % 64);
}

static void flip(u64 cmd[2], unsigned int bit)
{
	cmd[bit / 64] ^= BIT_ULL(bit % 64);
}

/* Remove bits @hi to @lo from a command; they may not cross its middle. */
static u64 take(u64 cmd[2], unsigned int hi, unsigned int lo)
{
	u64 val = cmd[lo / 64] & GENMASK_ULL(hi % 64, lo % 64);

	cmd[lo / 64] ^= val;
	return val >> (lo % 64);
}

/* The operand bits that a command may have, if the others are legal */
static void legal_operands(const struct cmd_op *op,
			   const struct smmuv3_caps *caps, u64 mask[2])
{
	unsigned int i, bit;

	mask[0] = 0;
	mask[1] = 0;
	for (i = 0; i < ARRAY_SIZE(op->fields) && op->fields[i].hi; i++) {
		if (!is_met(op->fields[i].need, caps))
			continue;
		for (bit = op->fields[i].lo; bit <= op->fields[i].hi; bit++)
			mask[bit / 64] |= BIT_ULL(bit % 64);
	}
}

/* @what and @n are for the message of a failure. */
static void check(struct kunit *test, const u64 cmd[2],
		  const struct smmuv3_caps *caps,
		  enum smmuv3_accel_reason want,
		  enum smmuv3_cmd_class want_class,
		  const char *what, unsigned int n)
{
	enum smmuv3_cmd_class class = NO_CLASS;
	enum smmuv3_accel_reason got = smmuv3_cmd_check(cmd, caps, &class);

	KUNIT_ASSERT_EQ_MSG(test, got, want,
			    "opcode 0x%02x, %s %u: command %016llx %016llx, ssid_bits %u asid16 %d ril %d ds %d ats %d",
			    (u8)cmd[0], what, n, cmd[0], cmd[1],
			    caps->ssid_bits, caps->asid16, caps->ril, caps->ds,
			    caps->ats);
	if (want)
		return;
	KUNIT_ASSERT_EQ_MSG(test, class, want_class,
			    "class of opcode 0x%02x, %s %u: command %016llx %016llx",
			    (u8)cmd[0], what, n, cmd[0], cmd[1]);
}

static const struct cmd_op *find_op(u8 op)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmd_ops); i++)
		if (cmd_ops[i].op == op)
			return &cmd_ops[i];
	return NULL;
}

/* Commands for what a guest does not have */
static enum smmuv3_accel_reason why_refused(unsigned int op)
{
	switch (op) {
	case 0x20 ... 0x23:	/* TLBI_EL2_ALL, _ASID, _VA, _VAA */
		return SMMUV3_ACCEL_REASON_CMD_NO_HYP;
	case 0x28:		/* TLBI_S12_VMALL */
	case 0x2a:		/* TLBI_S2_IPA */
		return SMMUV3_ACCEL_REASON_CMD_NO_S2;
	default:
		return SMMUV3_ACCEL_REASON_CMD_OPCODE;
	}
}

static void cmd_each_opcode(struct kunit *test)
{
	enum smmuv3_accel_reason want;
	struct smmuv3_caps caps;
	unsigned int n, i;

	for (i = 0; i < 256; i++) {
		const struct cmd_op *op = find_op(i);

		for (n = 0; n < CAPS_NUM; n++) {
			u64 cmd[2] = { i };

			caps_of_number(&caps, n);
			if (op) {
				want = i == OP_ATC_INV && !caps.ats ?
					       SMMUV3_ACCEL_REASON_CMD_NO_ATS :
					       SMMUV3_ACCEL_REASON_NONE;
				check(test, cmd, &caps, want, op->class,
				      "capabilities", n);
				continue;
			}
			/* The opcode is the reason, whatever else is wrong. */
			check(test, cmd, &caps, why_refused(i), NO_CLASS, "capabilities", n);
			cmd[0] |= ~0xffULL;
			cmd[1] = ~0ULL;
			check(test, cmd, &caps, why_refused(i), NO_CLASS,
			      "all operands set, capabilities", n);
		}
	}
}

/*
 * Add each bit to a command that has only its opcode. Leave out the opcode's bits,
 * which would make it another command.
 */
static void cmd_each_bit(struct kunit *test)
{
	const struct cmd_op *op = test->param_value;
	enum smmuv3_accel_reason want;
	struct smmuv3_caps caps;
	unsigned int n, bit;
	u64 legal[2];

	for (n = 0; n < CAPS_NUM; n++) {
		caps_of_number(&caps, n);
		legal_operands(op, &caps, legal);
		for (bit = FIRST_OPERAND; bit < CMD_BITS; bit++) {
			u64 cmd[2] = { op->op };

			flip(cmd, bit);
			if (op->op == OP_ATC_INV && !caps.ats)
				want = SMMUV3_ACCEL_REASON_CMD_NO_ATS;
			else if (legal[bit / 64] & BIT_ULL(bit % 64))
				want = SMMUV3_ACCEL_REASON_NONE;
			else
				want = SMMUV3_ACCEL_REASON_CMD_RESERVED;
			check(test, cmd, &caps, want, op->class, "bit", bit);
		}
	}
}

/* A legal command with as many operand bits set as possible. */
static void full_command(const struct cmd_op *op, const u64 legal[2], u64 cmd[2])
{
	memcpy(cmd, legal, 2 * sizeof(*cmd));
	put(cmd, 0, op->op);
	if (op->op == OP_ATC_INV) {
		/* Size stays within 52 if any of its bits is flipped. */
		take(cmd, 69, 64);
		put(cmd, 64, 20);
	} else if (op->op == OP_SYNC) {
		take(cmd, 13, 12);
	}
}

static void cmd_each_bit_of_full(struct kunit *test)
{
	const struct cmd_op *op = test->param_value;
	enum smmuv3_accel_reason want;
	struct smmuv3_caps caps;
	u64 full[2], legal[2];
	unsigned int n, bit;

	for (n = 0; n < CAPS_NUM; n++) {
		caps_of_number(&caps, n);
		if (op->op == OP_ATC_INV && !caps.ats)
			continue;
		legal_operands(op, &caps, legal);
		full_command(op, legal, full);
		check(test, full, &caps, SMMUV3_ACCEL_REASON_NONE, op->class,
		      "full, capabilities", n);

		for (bit = FIRST_OPERAND; bit < CMD_BITS; bit++) {
			u64 cmd[2] = { full[0], full[1] };

			flip(cmd, bit);
			want = legal[bit / 64] & BIT_ULL(bit % 64) ?
				       SMMUV3_ACCEL_REASON_NONE :
				       SMMUV3_ACCEL_REASON_CMD_RESERVED;
			check(test, cmd, &caps, want, op->class,
			      "full but for bit", bit);
		}
	}
}

/*
 * 4.4.1.1 as a table, by TG and TTL: what the host gets.
 * 1: a single address, without a range or a hint. If NUM or SCALE is set, it is uncertain
 *    how long the range is, and the host gets TLBI_NH_ALL.
 * r: if NUM or SCALE is set, the range as it is, else a single address
 * d: the range as it is, with SMMU_IDR5.DS. Without, r, and TTL is 0.
 * *: the range as it is
 * Without DS, a range with a SCALE over 31 is uncertain too.
 */
static const char range_rules[4][5] = {
	/* none */ "1111",
	/*   4K */ "r***",
	/*  16K */ "rd**",
	/*  64K */ "r***",
};

#define RANGE_0	(GENMASK_ULL(16, 12) | GENMASK_ULL(25, 20))	/* NUM, SCALE */
#define TTL_1	GENMASK_ULL(9, 8)
#define TG_1	GENMASK_ULL(11, 10)

static void want_range(const struct smmuv3_caps *caps, const u64 cmd[2], u64 want[2])
{
	unsigned int tg = (cmd[1] & TG_1) >> 10, ttl = (cmd[1] & TTL_1) >> 8;
	char rule = range_rules[tg][ttl];
	bool range = cmd[0] & RANGE_0;

	memcpy(want, cmd, 2 * sizeof(*cmd));
	if (range && (rule == '1' || (cmd[0] & BIT_ULL(25) && !caps->ds))) {
		want[0] = 0x10 | (cmd[0] & GENMASK_ULL(47, 32));
		want[1] = 0;
		return;
	}
	if (rule == 'd' && !caps->ds) {
		want[1] &= ~TTL_1;
		rule = 'r';
	}
	if (rule == '1' || (rule == 'r' && !range))
		want[1] &= ~(TTL_1 | TG_1);
}

/* All values of NUM, SCALE, TTL and TG, with and without RIL and DS. */
static void cmd_ranges(struct kunit *test)
{
	u64 cmd[2], want[2], other[2];
	unsigned int i, op;

	for (i = 0; i < BIT(17); i++) {
		unsigned int num = i >> 6 & 31, scale = i & 63;
		struct smmuv3_caps caps = {
			.ril = i >> 15 & 1,
			.ds = i >> 16 & 1,
		};

		for (op = OP_NH_VA; op <= OP_NH_VAA; op++) {
			cmd[0] = op | BIT_ULL(33);
			cmd[1] = 0x123456789a001;
			put(cmd, 12, num);
			put(cmd, 20, scale);
			put(cmd, 72, i >> 11 & 3);
			put(cmd, 74, i >> 13 & 3);
			/* Without range invalidation, the fields do not exist. */
			if (!caps.ril && i % BIT(15)) {
				check(test, cmd, &caps, SMMUV3_ACCEL_REASON_CMD_RESERVED,
				      NO_CLASS, "combination", i);
				continue;
			}
			check(test, cmd, &caps, SMMUV3_ACCEL_REASON_NONE, SMMUV3_CMD_TLBI,
			      "combination", i);
			want_range(&caps, cmd, want);
			memcpy(other, cmd, sizeof(cmd));
			KUNIT_ASSERT_EQ_MSG(test, smmuv3_cmd_rewrite(other, &caps),
					    !!memcmp(cmd, want, sizeof(cmd)),
					    "combination %u", i);
			KUNIT_ASSERT_MEMEQ_MSG(test, other, want, sizeof(want),
					       "combination %u: %016llx %016llx becomes %016llx %016llx",
					       i, cmd[0], cmd[1], other[0], other[1]);
		}
	}
}

/*
 * Without substreams, CFGI_CD has no SubstreamID and ATC_INV none of its operands for
 * one. With substreams both stay as they are, also without SSV.
 */
static void cmd_without_substreams(struct kunit *test)
{
	static const struct { u8 op; u64 ignored; } cmds[] = {
		{ 0x05, GENMASK_ULL(31, 12) },
		{ OP_ATC_INV, GENMASK_ULL(31, 12) | BIT_ULL(11) | BIT_ULL(9) },
	};
	unsigned int i, bit, ssid_bits;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		for (bit = 8; bit < 65; bit++) {
			for (ssid_bits = 0; ssid_bits <= 20; ssid_bits += 4) {
				struct smmuv3_caps caps = { .ssid_bits = ssid_bits, .ats = true };
				u64 cmd[2] = { cmds[i].op | 0x1500000000 }, before[2];
				enum smmuv3_cmd_class class;
				bool ignored;

				flip(cmd, bit);
				if (smmuv3_cmd_check(cmd, &caps, &class))
					continue;
				memcpy(before, cmd, sizeof(cmd));
				ignored = !ssid_bits && bit < 64 && cmds[i].ignored & BIT_ULL(bit);
				KUNIT_EXPECT_EQ_MSG(test, smmuv3_cmd_rewrite(cmd, &caps), ignored,
						    "opcode %02x bit %u SSIDSIZE %u", cmds[i].op,
						    bit, ssid_bits);
				if (ignored)
					flip(before, bit);
				KUNIT_EXPECT_MEMEQ(test, cmd, before, sizeof(cmd));
			}
		}
	}
}

/* If the SMMU has 8 ASID bits, a larger ASID would act as another one. */
static void cmd_asids(struct kunit *test)
{
	struct smmuv3_caps asid8 = {}, asid16 = { .asid16 = true };
	static const u8 ops[] = { 0x11, OP_NH_VA };
	unsigned int i, asid;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (asid = 0; asid < BIT(16); asid++) {
			u64 cmd[2] = { ops[i] };

			put(cmd, 48, asid);
			check(test, cmd, &asid16, SMMUV3_ACCEL_REASON_NONE,
			      SMMUV3_CMD_TLBI, "16-bit ASID", asid);
			check(test, cmd, &asid8,
			      asid < 256 ? SMMUV3_ACCEL_REASON_NONE :
					   SMMUV3_ACCEL_REASON_CMD_RESERVED,
			      SMMUV3_CMD_TLBI, "8-bit ASID", asid);
		}
	}
}

static void cmd_atc_sizes(struct kunit *test)
{
	struct smmuv3_caps ats = { .ats = true }, no_ats = {};
	unsigned int size;

	for (size = 0; size < 64; size++) {
		u64 cmd[2] = { OP_ATC_INV };

		put(cmd, 64, size);
		check(test, cmd, &ats,
		      size <= 52 ? SMMUV3_ACCEL_REASON_NONE :
				   SMMUV3_ACCEL_REASON_CMD_ATC_SIZE,
		      SMMUV3_CMD_ATC, "Size", size);
		check(test, cmd, &no_ats, SMMUV3_ACCEL_REASON_CMD_NO_ATS,
		      NO_CLASS, "without ATS, Size", size);
	}
}

static void cmd_sync_signals(struct kunit *test)
{
	struct smmuv3_caps caps = {};
	unsigned int cs;

	for (cs = 0; cs < 4; cs++) {
		u64 cmd[2] = { OP_SYNC };

		put(cmd, 12, cs);
		check(test, cmd, &caps,
		      cs < 3 ? SMMUV3_ACCEL_REASON_NONE :
			       SMMUV3_ACCEL_REASON_CMD_RESERVED,
		      SMMUV3_CMD_SYNC, "CS", cs);
		/* The fields of an MSI do not matter. */
		put(cmd, 22, 3);
		put(cmd, 24, 15);
		put(cmd, 32, 0xffffffff);
		put(cmd, 66, BIT_ULL(54) - 1);
		check(test, cmd, &caps,
		      cs < 3 ? SMMUV3_ACCEL_REASON_NONE :
			       SMMUV3_ACCEL_REASON_CMD_RESERVED,
		      SMMUV3_CMD_SYNC, "MSI fields set, CS", cs);
	}
}

static u64 random_u64(struct rnd_state *rnd)
{
	u64 hi = prandom_u32_state(rnd);

	return hi << 32 | prandom_u32_state(rnd);
}

/* A hint may have any operands, but a guest may not name a Secure stream. */
static void cmd_prefetch_operands(struct kunit *test)
{
	struct smmuv3_caps caps;
	struct rnd_state rnd;
	unsigned int i;
	u64 cmd[2];

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 4096; i++) {
		caps_of_number(&caps, i % CAPS_NUM);
		cmd[0] = random_u64(&rnd);
		cmd[1] = random_u64(&rnd);
		take(cmd, 7, 0);
		put(cmd, 0, 1 + i % 2);
		check(test, cmd, &caps,
		      cmd[0] & BIT_ULL(SSEC) ? SMMUV3_ACCEL_REASON_CMD_RESERVED :
					       SMMUV3_ACCEL_REASON_NONE,
		      SMMUV3_CMD_NOP, "random operands", i);
	}
}

/*
 * Whether IOMMU_HWPT_INVALIDATE accepts a command on a vIOMMU. struct
 * iommu_viommu_arm_smmuv3_invalidate lists the opcodes. It leaves the rest to "an
 * unsupported field, or a field value that the underlying SMMU hardware does not
 * implement"; the rules here are those of the host driver in 7.3. Unlike the driver
 * and cmd.c, this function removes known fields until nothing may be left.
 */
static bool host_takes(const u64 words[2], const struct smmuv3_caps *host)
{
	u64 cmd[2] = { words[0], words[1] };
	u64 num, scale, ttl, tg;
	u64 op = take(cmd, 7, 0);

	switch (op) {
	case 0x05: /* CFGI_CD */
		if (host->ssid_bits)
			take(cmd, 31, 12);
		take(cmd, 63, 32);
		take(cmd, 64, 64);
		break;
	case 0x06: /* CFGI_CD_ALL */
		take(cmd, 63, 32);
		break;
	case 0x10: /* TLBI_NH_ALL */
		take(cmd, 47, 32);
		break;
	case 0x11: /* TLBI_NH_ASID */
		take(cmd, 47, 32);
		take(cmd, host->asid16 ? 63 : 55, 48);
		break;
	case 0x12: /* TLBI_NH_VA */
	case 0x13: /* TLBI_NH_VAA */
		if (op == 0x12)
			take(cmd, host->asid16 ? 63 : 55, 48);
		take(cmd, 47, 32);
		take(cmd, 64, 64);
		take(cmd, 127, 76);
		if (!host->ril)
			break;
		num = take(cmd, 16, 12);
		scale = take(cmd, host->ds ? 25 : 24, 20);
		ttl = take(cmd, 73, 72);
		tg = take(cmd, 75, 74);
		if (tg ? !(num | scale | ttl) : (num | scale | ttl))
			return false;
		if (tg == 2 && ttl == 1 && !host->ds)
			return false;
		break;
	case 0x30: /* TLBI_NSNH_ALL */
		break;
	case 0x40: /* ATC_INV */
		if (!host->ats || take(cmd, 69, 64) > 52)
			return false;
		take(cmd, 63, 32);
		take(cmd, 127, 76);
		if (host->ssid_bits) {
			take(cmd, 9, 9);
			take(cmd, 11, 11);
			take(cmd, 31, 12);
		}
		break;
	default:
		return false;
	}
	return !cmd[0] && !cmd[1];
}

/* Make a command that is nearly legal. @legal has the operands of all cmd_ops. */
static void random_command(struct rnd_state *rnd,
			   const u64 (*legal)[2], u64 cmd[2])
{
	u32 dice = prandom_u32_state(rnd);
	unsigned int i = (dice >> 16) % ARRAY_SIZE(cmd_ops);
	unsigned int flips = dice >> 8 & 3;

	cmd[0] = 0;
	cmd[1] = 0;
	switch (dice & 3) {
	case 0: /* few bits */
		break;
	case 1: /* a quarter of the operands' bits */
		cmd[0] = random_u64(rnd) & legal[i][0];
		cmd[0] &= random_u64(rnd);
		cmd[1] = random_u64(rnd) & legal[i][1];
		cmd[1] &= random_u64(rnd);
		flips /= 3;
		break;
	default: /* any operands */
		cmd[0] = random_u64(rnd) & legal[i][0];
		cmd[1] = random_u64(rnd) & legal[i][1];
		flips /= 3;
		break;
	}
	while (flips--)
		flip(cmd, FIRST_OPERAND + prandom_u32_state(rnd) %
						  (CMD_BITS - FIRST_OPERAND));
	if ((dice >> 4 & 15) == 15)
		put(cmd, 0, dice >> 24);
	else
		put(cmd, 0, cmd_ops[i].op);
}

/* Whether the host gets a command; if so, @cmd is set to what it gets. */
static bool is_forwardable(u64 cmd[2], const struct smmuv3_caps *caps)
{
	enum smmuv3_cmd_class class = NO_CLASS;

	if (smmuv3_cmd_check(cmd, caps, &class) || !is_forwarded(class))
		return false;
	smmuv3_cmd_rewrite(cmd, caps);
	return true;
}

/* A rewritten command must be legal, of the same class, and final. */
static void check_rewritten(struct kunit *test, const u64 cmd[2], const u64 given[2],
			    const struct smmuv3_caps *caps)
{
	enum smmuv3_cmd_class before = NO_CLASS, after = NO_CLASS;
	u64 again[2] = { given[0], given[1] };

	smmuv3_cmd_check(cmd, caps, &before);
	KUNIT_ASSERT_EQ_MSG(test, smmuv3_cmd_check(given, caps, &after),
			    SMMUV3_ACCEL_REASON_NONE, "%016llx %016llx becomes %016llx %016llx",
			    cmd[0], cmd[1], given[0], given[1]);
	KUNIT_ASSERT_EQ(test, before, after);
	KUNIT_ASSERT_FALSE(test, smmuv3_cmd_rewrite(again, caps));
	KUNIT_ASSERT_MEMEQ(test, again, given, sizeof(again));
}

/*
 * The host must accept whatever it gets. If it refuses a command in the middle of a
 * batch, others fail with it. If the module refuses a command that the host accepts, it
 * breaks a guest, and if it changes such a command, it invalidates more than it has to.
 */
static void cmd_as_the_host(struct kunit *test)
{
	unsigned int taken[ARRAY_SIZE(cmd_ops)] = {};
	unsigned int refused[ARRAY_SIZE(cmd_ops)] = {};
	u64 legal[ARRAY_SIZE(cmd_ops)][2], cmd[2], given[2];
	unsigned int n, i, rewritten = 0;
	struct smmuv3_caps caps;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 2);
	for (n = 0; n < CAPS_NUM; n++) {
		caps_of_number(&caps, n);
		for (i = 0; i < ARRAY_SIZE(cmd_ops); i++)
			legal_operands(&cmd_ops[i], &caps, legal[i]);

		for (i = 0; i < 1600; i++) {
			const struct cmd_op *op;
			bool ours, hosts, same;

			random_command(&rnd, legal, cmd);
			memcpy(given, cmd, sizeof(given));
			ours = is_forwardable(given, &caps);
			hosts = host_takes(cmd, &caps);
			same = !memcmp(given, cmd, sizeof(given));
			KUNIT_ASSERT_FALSE_MSG(test, ours && !host_takes(given, &caps),
					       "laxer than the host: opcode 0x%02x, capabilities %u, command %016llx %016llx, given %016llx %016llx",
					       (u8)cmd[0], n, cmd[0], cmd[1], given[0], given[1]);
			KUNIT_ASSERT_FALSE_MSG(test, hosts && !(ours && same),
					       "stricter than the host: opcode 0x%02x, capabilities %u, command %016llx %016llx",
					       (u8)cmd[0], n, cmd[0], cmd[1]);
			if (ours && !same) {
				check_rewritten(test, cmd, given, &caps);
				rewritten++;
			}
			op = find_op(cmd[0]);
			if (op && ours)
				taken[op - cmd_ops]++;
			else if (op)
				refused[op - cmd_ops]++;
		}
	}

	/* The loop shows something only if all cases came up often enough. */
	KUNIT_EXPECT_GT(test, rewritten, 1000);
	for (i = 0; i < ARRAY_SIZE(cmd_ops); i++) {
		if (!is_forwarded(cmd_ops[i].class))
			continue;
		KUNIT_EXPECT_GT_MSG(test, taken[i], 1000, "too few good %s",
				    cmd_ops[i].name);
		KUNIT_EXPECT_GT_MSG(test, refused[i], 1000, "too few bad %s",
				    cmd_ops[i].name);
	}
}

/*
 * One vSMMU may span different SMMUs, and its TLBIs go to each. A command that is legal
 * for the common capabilities must be legal for each SMMU.
 */
static void cmd_on_each_smmu(struct kunit *test)
{
	u64 legal[ARRAY_SIZE(cmd_ops)][2], cmd[2];
	struct smmuv3_caps one, two, both;
	unsigned int n, i, taken = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 3);
	for (n = 0; n < 512; n++) {
		caps_of_number(&one, prandom_u32_state(&rnd) % CAPS_NUM);
		caps_of_number(&two, prandom_u32_state(&rnd) % CAPS_NUM);
		both = one;
		smmuv3_caps_meet(&both, &two);
		for (i = 0; i < ARRAY_SIZE(cmd_ops); i++)
			legal_operands(&cmd_ops[i], n & 1 ? &one : &both, legal[i]);

		for (i = 0; i < 64; i++) {
			random_command(&rnd, legal, cmd);
			/* From here on @cmd is what the SMMUs get. */
			if (!is_forwardable(cmd, &both))
				continue;
			taken++;
			KUNIT_ASSERT_TRUE_MSG(test,
					      host_takes(cmd, &one) && host_takes(cmd, &two),
					      "opcode 0x%02x, round %u: command %016llx %016llx",
					      (u8)cmd[0], n, cmd[0], cmd[1]);
		}
	}
	KUNIT_EXPECT_GT(test, taken, 4096);
}

/*
 * If a command is simple, the full check accepts it, with the same class, and the host
 * gets it as it is.
 */
static void cmd_simple(struct kunit *test)
{
	unsigned int n, i, simple[ARRAY_SIZE(cmd_ops)] = {};
	u64 legal[ARRAY_SIZE(cmd_ops)][2], cmd[2];
	struct smmuv3_cmd_rules *rules;
	struct smmuv3_caps caps;
	struct rnd_state rnd;

	rules = kunit_kmalloc(test, sizeof(*rules), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rules);
	memset(rules, 0xa5, sizeof(*rules));
	prandom_seed_state(&rnd, 3);
	for (n = 0; n < CAPS_NUM; n++) {
		caps_of_number(&caps, n);
		smmuv3_cmd_make_rules(rules, &caps);
		for (i = 0; i < ARRAY_SIZE(cmd_ops); i++)
			legal_operands(&cmd_ops[i], &caps, legal[i]);

		for (i = 0; i < 1600; i++) {
			enum smmuv3_cmd_class first = NO_CLASS, second = NO_CLASS;
			const struct cmd_op *op;

			random_command(&rnd, legal, cmd);
			if (!smmuv3_cmd_is_simple(rules, cmd, &first))
				continue;
			KUNIT_ASSERT_EQ_MSG(test, smmuv3_cmd_check(cmd, &caps, &second),
					    SMMUV3_ACCEL_REASON_NONE,
					    "capabilities %u, command %016llx %016llx",
					    n, cmd[0], cmd[1]);
			KUNIT_ASSERT_EQ_MSG(test, first, second,
					    "capabilities %u, command %016llx %016llx",
					    n, cmd[0], cmd[1]);
			KUNIT_ASSERT_FALSE_MSG(test, smmuv3_cmd_rewrite(cmd, &caps),
					       "capabilities %u, becomes %016llx %016llx",
					       n, cmd[0], cmd[1]);
			op = find_op(cmd[0]);
			KUNIT_ASSERT_NOT_NULL(test, op);
			simple[op - cmd_ops]++;
		}
	}
	/* Commands that are frequent must be simple. */
	for (i = 0; i < ARRAY_SIZE(cmd_ops); i++)
		KUNIT_EXPECT_GT_MSG(test, simple[i], 200, "too few %s", cmd_ops[i].name);
}

static struct kunit_case cmd_cases[] = {
	KUNIT_CASE(cmd_each_opcode),
	KUNIT_CASE_PARAM(cmd_each_bit, cmd_op_gen_params),
	KUNIT_CASE_PARAM(cmd_each_bit_of_full, cmd_op_gen_params),
	KUNIT_CASE(cmd_ranges),
	KUNIT_CASE(cmd_without_substreams),
	KUNIT_CASE(cmd_asids),
	KUNIT_CASE(cmd_atc_sizes),
	KUNIT_CASE(cmd_sync_signals),
	KUNIT_CASE(cmd_prefetch_operands),
	KUNIT_CASE(cmd_as_the_host),
	KUNIT_CASE(cmd_on_each_smmu),
	KUNIT_CASE(cmd_simple),
	{}
};

static struct kunit_suite cmd_suite = {
	.name = "smmuv3-accel-cmd",
	.test_cases = cmd_cases,
};

kunit_test_suites(&cmd_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of smmuv3-accel");
MODULE_LICENSE("GPL");
