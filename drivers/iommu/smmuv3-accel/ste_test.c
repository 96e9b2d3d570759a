// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of ste.c. They have their own table of the fields that have an effect,
 * by the bit numbers of Arm IHI 0070, 5.2 (0 to 511 over all words), so that they also
 * find a wrong mask in arch.h.
 *
 * The loops use assertions instead of expectations: a broken rule fails for thousands
 * of STEs, and the first one is enough to find it.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/prandom.h>

#include "pure.h"

#define STE_WORDS	8

#define V		BIT_ULL(0)
#define CONFIG(x)	((u64)(x) << 1)
#define S1		(V | CONFIG(5))
#define BYPASS		(V | CONFIG(4))
#define S1FMT(x)	((u64)(x) << 4)
#define S1CDMAX(x)	((u64)(x) << 59)
#define S1DSS(x)	((u64)(x) << 0)
#define S1STALLD	BIT_ULL(27)
#define EATS(x)		((u64)(x) << 28)

/* Capabilities for each number. Those that do not matter to STEs share a bit. */
#define CAPS_NUM	128

static void caps_of_number(struct smmuv3_caps *caps, unsigned int n)
{
	static const u8 ssid_bits[] = { 0, 1, 8, 20 };

	*caps = (struct smmuv3_caps){
		.ssid_bits = ssid_bits[n & 3],
		.cd2l = n & BIT(2),
		.ats = n & BIT(3),
		.stall_both = n & BIT(4),
		.asid16 = n & BIT(5),
		.ril = n & BIT(5),
		.ds = n & BIT(5),
		.s1stalld = n & BIT(6),
	};
}

static u64 field(const u64 *ste, unsigned int hi, unsigned int lo)
{
	return (ste[lo / 64] & GENMASK_ULL(hi % 64, lo % 64)) >> (lo % 64);
}

/* The fields that reach the host from an STE with Config = stage 1. */
enum when {
	ALWAYS,
	HAS_SUBSTREAMS,	/* SSIDSIZE is not 0 */
	SUBSTREAMS,	/* and S1CDMax is not 0 */
	ATS,
	NO_S1STALLD,	/* it would be illegal */
};

struct ste_bits {
	u8 hi;
	u8 lo;
	enum when when;
};

static const struct ste_bits s1_bits[] = {
	{ 0, 0 },		/* V */
	{ 3, 1 },		/* Config */
	{ 5, 4, SUBSTREAMS },	/* S1Fmt */
	{ 51, 6 },		/* S1ContextPtr */
	{ 55, 52 },		/* S1ContextPtr beyond 52 bits */
	{ 63, 59, HAS_SUBSTREAMS },	/* S1CDMax */
	{ 65, 64, SUBSTREAMS },	/* S1DSS */
	{ 67, 66 },		/* S1CIR */
	{ 69, 68 },		/* S1COR */
	{ 71, 70 },		/* S1CSH */
	{ 91, 91, NO_S1STALLD },	/* S1STALLD */
	{ 93, 92, ATS },	/* EATS */
	{}
};

static bool is_in_use(enum when when, const u64 *ste,
		      const struct smmuv3_caps *caps)
{
	switch (when) {
	case HAS_SUBSTREAMS:
		return caps->ssid_bits;
	case SUBSTREAMS:
		return caps->ssid_bits && field(ste, 63, 59);
	case ATS:
		return caps->ats;
	case NO_S1STALLD:
		return !caps->s1stalld;
	default:
		return true;
	}
}

/* The table ends at hi = 0, which only its first field may have. */
static void bits_in_use(const struct ste_bits *bits, const u64 *ste,
			const struct smmuv3_caps *caps, u64 mask[2])
{
	unsigned int i, bit;

	mask[0] = 0;
	mask[1] = 0;
	for (i = 0; !i || bits[i].hi; i++) {
		if (!is_in_use(bits[i].when, ste, caps))
			continue;
		for (bit = bits[i].lo; bit <= bits[i].hi; bit++)
			mask[bit / 64] |= BIT_ULL(bit % 64);
	}
}

/* A reason that an STE may have, as a bit. Any other reason has no bit. */
static u64 reason_bit(enum smmuv3_accel_reason reason)
{
	if (reason == SMMUV3_ACCEL_REASON_NONE)
		return BIT_ULL(0);
	if (reason < SMMUV3_ACCEL_REASON_NO_STE || reason > SMMUV3_ACCEL_REASON_STE_S1STALLD)
		return 0;
	return BIT_ULL(1 + reason - SMMUV3_ACCEL_REASON_NO_STE);
}

/*
 * The rules that an STE with Config = stage 1 breaks, as a bit for each reason: those
 * that make it ILLEGAL (5.2.2), and that of S1ContextPtr, which is the module's own. If
 * it breaks several, any of them may be reported.
 */
static u64 broken_rules(const u64 *ste, const struct smmuv3_caps *caps)
{
	u64 cdmax = field(ste, 63, 59), fmt = field(ste, 5, 4), rules = 0;

	if (field(ste, 55, 52))
		rules |= reason_bit(SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR);
	if (caps->ssid_bits && cdmax > caps->ssid_bits)
		rules |= reason_bit(SMMUV3_ACCEL_REASON_STE_S1CDMAX);
	if (caps->ssid_bits && cdmax && !caps->cd2l && (fmt == 1 || fmt == 2))
		rules |= reason_bit(SMMUV3_ACCEL_REASON_STE_S1FMT);
	if (caps->ats && field(ste, 93, 92) == 2)
		rules |= reason_bit(SMMUV3_ACCEL_REASON_STE_EATS);
	if (!caps->s1stalld && field(ste, 91, 91))
		rules |= reason_bit(SMMUV3_ACCEL_REASON_STE_S1STALLD);
	return rules;
}

/* Clear a field, bits @hi to @lo, that has the reserved value 3: it acts as 0. */
static void clear_reserved(u64 *ste, unsigned int hi, unsigned int lo)
{
	if (field(ste, hi, lo) == 3)
		ste[lo / 64] &= ~GENMASK_ULL(hi % 64, lo % 64);
}

/* What each Config does. S1 holds only if no further rule is broken. */
static const struct ste_config {
	const char *name;
	enum smmuv3_accel_kind kind;
	enum smmuv3_accel_reason reason;
} ste_configs[8] = {
	{ "abort", SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_ABORT },
	{ "reserved 1", SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_ABORT },
	{ "reserved 2", SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_ABORT },
	{ "reserved 3", SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_ABORT },
	{ "bypass", SMMUV3_ACCEL_KIND_BYPASS },
	{ "stage 1", SMMUV3_ACCEL_KIND_S1 },
	{ "stage 2", SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_CONFIG },
	{ "nested", SMMUV3_ACCEL_KIND_ABORT, SMMUV3_ACCEL_REASON_STE_CONFIG },
};

KUNIT_ARRAY_PARAM_DESC(ste_config, ste_configs, name);

/* Decode an STE, and compare the result with the tables above. */
static void check(struct kunit *test, const u64 *ste,
		  const struct smmuv3_caps *caps, struct smmuv3_ste *out,
		  const char *what, unsigned int n)
{
	const struct ste_config *config = &ste_configs[field(ste, 3, 1)];
	enum smmuv3_accel_kind kind = config->kind;
	u64 reasons = reason_bit(config->reason);
	u64 data[2] = {};

	if (!field(ste, 0, 0)) {
		kind = SMMUV3_ACCEL_KIND_ABORT;
		reasons = reason_bit(SMMUV3_ACCEL_REASON_STE_INVALID);
	} else if (kind == SMMUV3_ACCEL_KIND_S1) {
		u64 rules = broken_rules(ste, caps);

		if (rules) {
			kind = SMMUV3_ACCEL_KIND_ABORT;
			reasons = rules;
		} else {
			bits_in_use(s1_bits, ste, caps, data);
			data[0] &= ste[0];
			data[1] &= ste[1];
			clear_reserved(data, 5, 4);
			clear_reserved(data, 65, 64);
			clear_reserved(data, 93, 92);
			if (caps->stall_both)
				data[1] |= S1STALLD;
		}
	}

	memset(out, 0xa5, sizeof(*out));
	smmuv3_ste_decode(out, ste, caps);
	KUNIT_ASSERT_EQ_MSG(test, out->kind, kind,
			    "kind, %s %u: STE %016llx %016llx, ssid_bits %u cd2l %d ats %d",
			    what, n, ste[0], ste[1], caps->ssid_bits,
			    caps->cd2l, caps->ats);
	KUNIT_ASSERT_TRUE_MSG(test, reasons & reason_bit(out->reason),
			      "reason %u, %s %u: STE %016llx %016llx, ssid_bits %u cd2l %d ats %d",
			      out->reason, what, n, ste[0], ste[1],
			      caps->ssid_bits, caps->cd2l, caps->ats);
	KUNIT_ASSERT_EQ_MSG(test, out->data[0], data[0],
			    "word 0, %s %u: STE %016llx %016llx, ssid_bits %u cd2l %d ats %d",
			    what, n, ste[0], ste[1], caps->ssid_bits,
			    caps->cd2l, caps->ats);
	KUNIT_ASSERT_EQ_MSG(test, out->data[1], data[1],
			    "word 1, %s %u: STE %016llx %016llx, stall_both %d ats %d",
			    what, n, ste[0], ste[1], caps->stall_both,
			    caps->ats);
}

static u64 random_u64(struct rnd_state *rnd)
{
	u64 hi = prandom_u32_state(rnd);

	return hi << 32 | prandom_u32_state(rnd);
}

/* With V = 0, no other field matters. */
static void ste_invalid(struct kunit *test)
{
	struct smmuv3_caps caps = { .stall_both = true, .ats = true };
	struct smmuv3_ste out;
	unsigned int bit;
	u64 ste[STE_WORDS];

	for (bit = 1; bit < STE_WORDS * 64; bit++) {
		memset(ste, 0, sizeof(ste));
		ste[bit / 64] = BIT_ULL(bit % 64);
		check(test, ste, &caps, &out, "bit", bit);
		KUNIT_ASSERT_EQ_MSG(test, out.reason,
				    SMMUV3_ACCEL_REASON_STE_INVALID,
				    "bit %u", bit);
	}
	memset(ste, 0xff, sizeof(ste));
	ste[0] &= ~V;
	check(test, ste, &caps, &out, "all bits but", 0);
	KUNIT_EXPECT_EQ(test, out.reason, SMMUV3_ACCEL_REASON_STE_INVALID);
}

/* If Config is not stage 1, no other field matters. */
static void ste_each_config(struct kunit *test)
{
	const struct ste_config *config = test->param_value;
	u64 nr = config - ste_configs;
	u64 ste[STE_WORDS] = { V | CONFIG(nr) };
	struct smmuv3_caps caps;
	struct smmuv3_ste out;
	unsigned int n;

	for (n = 0; n < CAPS_NUM; n++) {
		caps_of_number(&caps, n);
		smmuv3_ste_decode(&out, ste, &caps);
		KUNIT_EXPECT_EQ_MSG(test, out.kind, config->kind,
				    "capabilities %u", n);
		KUNIT_EXPECT_EQ_MSG(test, out.reason, config->reason,
				    "capabilities %u", n);
		check(test, ste, &caps, &out, "capabilities", n);
	}
	if (config->kind == SMMUV3_ACCEL_KIND_S1)
		return;
	memset(ste, 0xff, sizeof(ste));
	ste[0] = ~CONFIG(7) | CONFIG(nr);
	for (n = 0; n < CAPS_NUM; n++) {
		caps_of_number(&caps, n);
		check(test, ste, &caps, &out, "all bits set, capabilities", n);
		KUNIT_EXPECT_EQ_MSG(test, out.reason, config->reason,
				    "all bits set, capabilities %u", n);
	}
}

/* STEs, and the bits that change the result when they are flipped */
static const struct ste_base {
	const char *name;
	u64 ste[2];
	const struct ste_bits *bits;
} ste_bases[] = {
	{ "stage 1", { S1 }, s1_bits },
	{ "stage 1 with substreams", { S1 | S1CDMAX(1) }, s1_bits },
	{ "bypass", { BYPASS }, (const struct ste_bits[]){
		{ 0, 0 }, { 3, 1 }, {}
	} },
	/* Reserved values act as abort */
	{ "abort", { V }, (const struct ste_bits[]){
		{ 0, 0 }, { 3, 3 }, {}
	} },
	/* Nested is refused like stage 2 */
	{ "stage 2", { V | CONFIG(6) }, (const struct ste_bits[]){
		{ 0, 0 }, { 3, 2 }, {}
	} },
	{ "invalid", { S1 & ~V }, (const struct ste_bits[]){
		{ 0, 0 }, {}
	} },
};

KUNIT_ARRAY_PARAM_DESC(ste_base, ste_bases, name);

static void ste_each_bit(struct kunit *test)
{
	const struct ste_base *base = test->param_value;
	struct smmuv3_ste before, after;
	struct smmuv3_caps caps;
	unsigned int n, bit;
	bool changes;
	u64 mask[2];

	for (n = 0; n < CAPS_NUM; n++) {
		u64 ste[STE_WORDS] = { base->ste[0], base->ste[1] };

		caps_of_number(&caps, n);
		check(test, ste, &caps, &before, "capabilities", n);
		bits_in_use(base->bits, ste, &caps, mask);

		for (bit = 0; bit < STE_WORDS * 64; bit++) {
			ste[bit / 64] ^= BIT_ULL(bit % 64);
			check(test, ste, &caps, &after, "bit", bit);
			ste[bit / 64] ^= BIT_ULL(bit % 64);

			changes = bit < 128 && mask[bit / 64] & BIT_ULL(bit % 64);
			KUNIT_ASSERT_EQ_MSG(test, changes,
					    after.kind != before.kind ||
					    after.reason != before.reason ||
					    after.data[0] != before.data[0] ||
					    after.data[1] != before.data[1],
					    "bit %u, capabilities %u", bit, n);
		}
	}
}

/* Words 2 to 7 configure stage 2 and attributes, which are the host's. */
static void ste_upper_words(struct kunit *test)
{
	const struct ste_base *base = test->param_value;
	struct smmuv3_ste without, with;
	struct smmuv3_caps caps;
	unsigned int n;

	for (n = 0; n < CAPS_NUM; n++) {
		u64 ste[STE_WORDS] = { base->ste[0], base->ste[1] };

		caps_of_number(&caps, n);
		smmuv3_ste_decode(&without, ste, &caps);
		memset(ste + 2, 0xff, sizeof(ste) - 2 * sizeof(*ste));
		smmuv3_ste_decode(&with, ste, &caps);
		KUNIT_EXPECT_EQ_MSG(test, with.reason, without.reason,
				    "capabilities %u", n);
		KUNIT_EXPECT_TRUE_MSG(test, smmuv3_ste_same(&with, &without),
				      "capabilities %u", n);
	}
}

/*
 * A CD table with more SubstreamIDs than the SMMU has. If it has none, S1CDMax is
 * ignored.
 */
static void ste_s1cdmax(struct kunit *test)
{
	unsigned int ssid_bits, cdmax;
	struct smmuv3_ste out;

	for (ssid_bits = 0; ssid_bits < 32; ssid_bits++) {
		struct smmuv3_caps caps = { .ssid_bits = ssid_bits };

		for (cdmax = 0; cdmax < 32; cdmax++) {
			u64 ste[STE_WORDS] = { S1 | S1CDMAX(cdmax) };
			bool legal = !ssid_bits || cdmax <= ssid_bits;

			check(test, ste, &caps, &out, "S1CDMax", cdmax);
			KUNIT_ASSERT_EQ_MSG(test, out.reason,
					    legal ? SMMUV3_ACCEL_REASON_NONE :
						    SMMUV3_ACCEL_REASON_STE_S1CDMAX,
					    "S1CDMax %u of %u", cdmax, ssid_bits);
			KUNIT_ASSERT_EQ_MSG(test, out.data[0],
					    !legal ? 0 : ssid_bits ? ste[0] : S1,
					    "S1CDMax %u of %u", cdmax, ssid_bits);
		}
	}
}

/* Fields with illegal and reserved values, if the fields are in use */
static void ste_values(struct kunit *test)
{
	unsigned int n, val;
	struct smmuv3_ste out;

	for (n = 0; n < 8; n++) {
		struct smmuv3_caps caps = {
			.ssid_bits = 20,
			.cd2l = n & BIT(0),
			.ats = n & BIT(1),
		};
		u64 cdmax = n & BIT(2) ? S1CDMAX(4) : 0;

		for (val = 0; val < 4; val++) {
			u64 fmt[STE_WORDS] = { S1 | cdmax | S1FMT(val) };
			u64 dss[STE_WORDS] = { S1 | cdmax, S1DSS(val) };
			u64 eats[STE_WORDS] = { S1 | cdmax, EATS(val) };
			bool bad;

			check(test, fmt, &caps, &out, "S1Fmt", val);
			bad = cdmax && !caps.cd2l && (val == 1 || val == 2);
			KUNIT_EXPECT_EQ_MSG(test, out.reason,
					    bad ? SMMUV3_ACCEL_REASON_STE_S1FMT :
						  SMMUV3_ACCEL_REASON_NONE,
					    "S1Fmt %u, round %u", val, n);

			check(test, dss, &caps, &out, "S1DSS", val);
			KUNIT_EXPECT_EQ_MSG(test, out.reason, SMMUV3_ACCEL_REASON_NONE,
					    "S1DSS %u, round %u", val, n);
			KUNIT_EXPECT_EQ_MSG(test, out.data[1], cdmax && val < 3 ? val : 0,
					    "S1DSS %u, round %u", val, n);

			check(test, eats, &caps, &out, "EATS", val);
			bad = caps.ats && val == 2;
			KUNIT_EXPECT_EQ_MSG(test, out.reason,
					    bad ? SMMUV3_ACCEL_REASON_STE_EATS :
						  SMMUV3_ACCEL_REASON_NONE,
					    "EATS %u, round %u", val, n);
			KUNIT_EXPECT_EQ_MSG(test, out.data[1],
					    caps.ats && val == 1 ? EATS(1) : 0,
					    "EATS %u, round %u", val, n);
		}
	}
}

/*
 * No guest can stall the host's SMMU, whatever its S1STALLD says. It may set that only
 * on an SMMU that lets it choose.
 */
static void ste_s1stalld(struct kunit *test)
{
	struct smmuv3_ste out;
	unsigned int n;

	for (n = 0; n < 8; n++) {
		struct smmuv3_caps caps = { .stall_both = n & 1, .s1stalld = n & 4 };
		u64 ste[STE_WORDS] = { S1, n & 2 ? S1STALLD : 0 };
		bool bad = (n & 2) && !caps.s1stalld;

		smmuv3_ste_decode(&out, ste, &caps);
		KUNIT_EXPECT_EQ_MSG(test, out.reason,
				    bad ? SMMUV3_ACCEL_REASON_STE_S1STALLD :
					  SMMUV3_ACCEL_REASON_NONE, "round %u", n);
		KUNIT_EXPECT_EQ_MSG(test, out.kind, bad ? SMMUV3_ACCEL_KIND_ABORT :
							  SMMUV3_ACCEL_KIND_S1, "round %u", n);
		KUNIT_EXPECT_EQ_MSG(test, out.data[1],
				    caps.stall_both && !bad ? S1STALLD : 0,
				    "stall_both %d, guest's S1STALLD %d",
				    caps.stall_both, !!(n & 2));
		/* With stage 1 bypassed, it is IGNORED. */
		ste[0] = BYPASS;
		smmuv3_ste_decode(&out, ste, &caps);
		KUNIT_EXPECT_EQ(test, out.kind, SMMUV3_ACCEL_KIND_BYPASS);
		KUNIT_EXPECT_EQ_MSG(test, out.data[1], 0,
				    "bypass, stall_both %d", caps.stall_both);
	}
}

/*
 * Whether IOMMU_HWPT_ALLOC accepts a translating STE: struct iommu_hwpt_arm_smmuv3
 * lists the fields. The host driver also demands that EATS is 0 or 1.
 */
static bool host_takes_s1(const u64 data[2])
{
	return !(data[0] & ~(GENMASK_ULL(63, 59) | GENMASK_ULL(51, 0))) &&
	       !(data[1] & ~(GENMASK_ULL(29, 27) | GENMASK_ULL(7, 0))) &&
	       field(data, 0, 0) == 1 && field(data, 3, 1) == 5 &&
	       field(data, 93, 92) <= 1;
}

static void random_ste(struct rnd_state *rnd, u64 ste[STE_WORDS])
{
	u32 dice = prandom_u32_state(rnd);
	unsigned int i;

	for (i = 0; i < STE_WORDS; i++)
		ste[i] = random_u64(rnd);
	/* By chance, only one STE in 16 would have stage 1, and few of these be legal. */
	if (dice & 15)
		ste[0] |= V;
	if (dice & 0x70)
		ste[0] = (ste[0] & ~CONFIG(7)) | CONFIG(5);
	if (dice & 0x100)
		ste[0] &= ~S1CDMAX(dice & 0x200 ? 31 : 28);
	if (dice & 0xf000)
		ste[0] &= ~GENMASK_ULL(55, 52);
	if (dice & 0x400)
		ste[0] &= ~S1FMT(3);
	if (dice & 0x800)
		ste[1] &= ~EATS(2);
	if (dice & 0x30000)
		ste[1] &= ~S1STALLD;
}

/* Why an STE aborts, if the module can read it */
static const enum smmuv3_accel_reason ste_reasons[] = {
	SMMUV3_ACCEL_REASON_STE_INVALID,
	SMMUV3_ACCEL_REASON_STE_ABORT,
	SMMUV3_ACCEL_REASON_STE_CONFIG,
	SMMUV3_ACCEL_REASON_STE_S1CDMAX,
	SMMUV3_ACCEL_REASON_STE_S1FMT,
	SMMUV3_ACCEL_REASON_STE_S1STALLD,
	SMMUV3_ACCEL_REASON_STE_EATS,
	SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR,
};

static void ste_random(struct kunit *test)
{
	unsigned int reasons[SMMUV3_ACCEL_REASON_STE_S1STALLD + 1] = {};
	unsigned int kinds[SMMUV3_ACCEL_KIND_S1 + 1] = {};
	u64 ste[STE_WORDS];
	struct smmuv3_ste out, again;
	struct smmuv3_caps caps;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 4);
	for (i = 0; i < 40000; i++) {
		random_ste(&rnd, ste);
		caps_of_number(&caps, prandom_u32_state(&rnd) % CAPS_NUM);
		check(test, ste, &caps, &out, "random STE", i);
		kinds[out.kind]++;
		reasons[out.reason]++;

		KUNIT_ASSERT_EQ_MSG(test, out.kind == SMMUV3_ACCEL_KIND_ABORT,
				    out.reason != SMMUV3_ACCEL_REASON_NONE,
				    "random STE %u: %016llx %016llx", i,
				    ste[0], ste[1]);
		if (out.kind != SMMUV3_ACCEL_KIND_S1) {
			KUNIT_ASSERT_TRUE_MSG(test, !out.data[0] && !out.data[1],
					      "random STE %u: %016llx %016llx",
					      i, ste[0], ste[1]);
			continue;
		}
		KUNIT_ASSERT_TRUE_MSG(test, host_takes_s1(out.data),
				      "random STE %u: %016llx %016llx gives %016llx %016llx",
				      i, ste[0], ste[1], out.data[0], out.data[1]);
		KUNIT_ASSERT_TRUE_MSG(test,
				      caps.stall_both == !!(out.data[1] & S1STALLD),
				      "random STE %u", i);

		memset(ste, 0, sizeof(ste));
		memcpy(ste, out.data, sizeof(out.data));
		ste[1] &= ~S1STALLD;	/* which the module has set */
		smmuv3_ste_decode(&again, ste, &caps);
		KUNIT_ASSERT_TRUE_MSG(test, smmuv3_ste_same(&again, &out),
				      "random STE %u: %016llx %016llx decodes to %016llx %016llx",
				      i, ste[0], ste[1], again.data[0], again.data[1]);
	}

	/* The loop shows something only if each case came up often enough. */
	for (i = SMMUV3_ACCEL_KIND_ABORT; i < ARRAY_SIZE(kinds); i++)
		KUNIT_EXPECT_GT_MSG(test, kinds[i], 100, "too few of kind %u", i);
	for (i = 0; i < ARRAY_SIZE(ste_reasons); i++)
		KUNIT_EXPECT_GT_MSG(test, reasons[ste_reasons[i]], 100,
				    "too few of reason %u", ste_reasons[i]);
}

static void ste_same(struct kunit *test)
{
	const struct smmuv3_ste ste = {
		.kind = SMMUV3_ACCEL_KIND_S1,
		.data = { S1, S1STALLD },
	};
	struct smmuv3_ste other = ste;
	unsigned int bit;

	KUNIT_EXPECT_TRUE(test, smmuv3_ste_same(&ste, &other));
	/* Another reason for an abort does not need another domain. */
	other.reason = SMMUV3_ACCEL_REASON_STE_EATS;
	KUNIT_EXPECT_TRUE(test, smmuv3_ste_same(&ste, &other));
	other.kind = SMMUV3_ACCEL_KIND_BYPASS;
	KUNIT_EXPECT_FALSE(test, smmuv3_ste_same(&ste, &other));
	for (bit = 0; bit < 128; bit++) {
		other = ste;
		other.data[bit / 64] ^= BIT_ULL(bit % 64);
		KUNIT_EXPECT_FALSE_MSG(test, smmuv3_ste_same(&ste, &other),
				       "bit %u", bit);
		KUNIT_EXPECT_FALSE_MSG(test, smmuv3_ste_same(&other, &ste),
				       "bit %u", bit);
	}
}

/* Only a guest's mistakes are bad STEs. An unknown reason is none. */
static void ste_bad_reasons(struct kunit *test)
{
	static const enum smmuv3_accel_reason bad[] = {
		SMMUV3_ACCEL_REASON_STE_CONFIG,
		SMMUV3_ACCEL_REASON_STE_S1CDMAX,
		SMMUV3_ACCEL_REASON_STE_S1FMT,
		SMMUV3_ACCEL_REASON_STE_S1DSS,
		SMMUV3_ACCEL_REASON_STE_S1STALLD,
		SMMUV3_ACCEL_REASON_STE_EATS,
		SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR,
		SMMUV3_ACCEL_REASON_STE_SID_RANGE,
		SMMUV3_ACCEL_REASON_STE_L1_INVALID,
		SMMUV3_ACCEL_REASON_STE_UNREADABLE,
	};
	unsigned int reason, i;
	bool want;

	for (reason = 0; reason < 256; reason++) {
		want = false;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			want |= bad[i] == reason;
		KUNIT_EXPECT_EQ_MSG(test, smmuv3_ste_is_bad(reason), want, "reason %u", reason);
	}
}

static struct kunit_case ste_cases[] = {
	KUNIT_CASE(ste_invalid),
	KUNIT_CASE_PARAM(ste_each_config, ste_config_gen_params),
	KUNIT_CASE_PARAM(ste_each_bit, ste_base_gen_params),
	KUNIT_CASE_PARAM(ste_upper_words, ste_base_gen_params),
	KUNIT_CASE(ste_s1cdmax),
	KUNIT_CASE(ste_values),
	KUNIT_CASE(ste_s1stalld),
	KUNIT_CASE(ste_bad_reasons),
	KUNIT_CASE(ste_random),
	KUNIT_CASE(ste_same),
	{}
};

static struct kunit_suite ste_suite = {
	.name = "smmuv3-accel-ste",
	.test_cases = ste_cases,
};

kunit_test_suites(&ste_suite);
