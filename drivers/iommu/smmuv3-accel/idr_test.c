// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of idr.c against a model with its own table of the fields: the bit
 * numbers of Arm IHI 0070, 6.3.1 to 6.3.6, and the values that are legal.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/prandom.h>

#include "pure.h"

static bool caps_equal(const struct smmuv3_caps *a, const struct smmuv3_caps *b)
{
	return a->sid_bits == b->sid_bits && a->ssid_bits == b->ssid_bits &&
	       a->asid16 == b->asid16 &&
	       a->cd2l == b->cd2l && a->ats == b->ats && a->ril == b->ril &&
	       a->ds == b->ds && a->s1stalld == b->s1stalld &&
	       a->stall_both == b->stall_both;
}

static u32 bits(const u32 *idr, u32 reg, u32 hi, u32 lo)
{
	return (idr[reg] & GENMASK(hi, lo)) >> lo;
}

static struct smmuv3_caps caps_by_bits(const u32 *idr)
{
	return (struct smmuv3_caps){
		.sid_bits = bits(idr, 1, 5, 0),		/* SIDSIZE */
		.ssid_bits = bits(idr, 1, 10, 6),	/* SSIDSIZE */
		.asid16 = bits(idr, 0, 12, 12),
		.cd2l = bits(idr, 0, 19, 19),
		.ats = bits(idr, 0, 10, 10),
		.ril = bits(idr, 3, 10, 10),
		.ds = bits(idr, 5, 7, 7),
		.s1stalld = !bits(idr, 0, 25, 24),	/* STALL_MODEL */
		.stall_both = !bits(idr, 0, 25, 24),
	};
}

/* Each bit of the ID registers set alone, and missing alone */
static void caps_from_idr(struct kunit *test)
{
	struct smmuv3_caps got, want;
	u32 idr[6], reg, bit, all;

	for (all = 0; all < 2; all++) {
		for (reg = 0; reg < 6; reg++) {
			for (bit = 0; bit < 32; bit++) {
				memset(idr, all ? 0xff : 0, sizeof(idr));
				idr[reg] ^= BIT(bit);
				want = caps_by_bits(idr);
				memset(&got, 0xa5, sizeof(got));
				smmuv3_caps_from_idr(&got, idr);
				KUNIT_EXPECT_TRUE_MSG(test, caps_equal(&got, &want),
						      "IDR%u bit %u %s", reg, bit,
						      all ? "missing" : "alone");
			}
		}
	}
}

static void all_caps_of_number(struct smmuv3_caps *caps, unsigned int n)
{
	*caps = (struct smmuv3_caps){
		.asid16 = n & BIT(0),
		.cd2l = n & BIT(1),
		.ats = n & BIT(2),
		.ril = n & BIT(3),
		.ds = n & BIT(4),
		.stall_both = n & BIT(5),
		.s1stalld = n & BIT(6),
	};
}

static void caps_meet(struct kunit *test)
{
	unsigned int a, b, n;

	for (n = 0; n < 128 * 128; n++) {
		struct smmuv3_caps one, two, kept, there, back, want;

		a = n % 128;
		b = n / 128;
		all_caps_of_number(&one, a);
		all_caps_of_number(&two, b);
		/* Each pair of sizes comes up sixteen times */
		one.ssid_bits = a % 32;
		two.ssid_bits = b % 32;
		one.sid_bits = b % 33;
		two.sid_bits = a % 33;
		kept = two;
		/* The flags that both have, except for how to program the first */
		all_caps_of_number(&want, (a & b & ~BIT(5)) | (a & BIT(5)));
		want.ssid_bits = min(a % 32, b % 32);
		want.sid_bits = min(a % 33, b % 33);

		there = one;
		smmuv3_caps_meet(&there, &two);
		KUNIT_ASSERT_TRUE_MSG(test, caps_equal(&there, &want),
				      "%02x with %02x", a, b);
		KUNIT_ASSERT_TRUE_MSG(test, caps_equal(&two, &kept),
				      "%02x with %02x changes the second", a, b);

		back = two;
		smmuv3_caps_meet(&back, &one);
		KUNIT_ASSERT_TRUE_MSG(test, back.stall_both == two.stall_both,
				      "%02x with %02x", b, a);
		back.stall_both = there.stall_both;
		KUNIT_ASSERT_TRUE_MSG(test, caps_equal(&there, &back),
				      "%02x with %02x differs from %02x with %02x",
				      a, b, b, a);
	}
}

/* Nesting needs both stages, coherent DMA, and faults that terminate. */
static void idr_can_nest(struct kunit *test)
{
	unsigned int n;

	for (n = 0; n < 4; n++) {
		u32 idr[6] = { 3 | n << 24 };

		KUNIT_EXPECT_EQ_MSG(test, smmuv3_idr_can_nest(idr, true), n != 2,
				    "STALL_MODEL %u", n);
	}

	for (n = 0; n < 32; n++) {
		bool s2p = n & BIT(0), s1p = n & BIT(1), fwb = n & BIT(2);
		bool canwbs = n & BIT(3);
		/* the other bits: none or all */
		u32 rest = n & BIT(4) ? ~0 : 0;
		u32 idr[6] = { rest, rest, rest, rest, rest, rest };
		/* by FWB and CANWBS: 0, 1, 1, 1 */
		bool want = s1p && s2p && (n & (BIT(2) | BIT(3)));

		idr[0] = (rest & ~(u32)(BIT(0) | BIT(1))) | (s1p ? BIT(1) : 0) |
			 (s2p ? BIT(0) : 0);
		idr[3] = (rest & ~(u32)BIT(8)) | (fwb ? BIT(8) : 0);
		KUNIT_EXPECT_EQ_MSG(test, smmuv3_idr_can_nest(idr, canwbs), want,
				    "S1P %d S2P %d FWB %d CANWBS %d, the rest %08x",
				    s1p, s2p, fwb, canwbs, rest);
	}
}

/* How a guest's value of a field must relate to the host's */
enum relation {
	ANY,
	AT_MOST,
	AT_LEAST,
	NO_BIT_MORE,
	SAME_UNLESS_MIXED,
};

/* All fields that a guest may see. @legal has a bit for each value. */
static const struct guest_field {
	const char *name;
	u8 reg;
	u8 hi;
	u8 lo;
	u64 legal;
	enum relation relation;
} guest_fields[] = {
	{ "S1P", 0, 1, 1, 0b10, ANY },
	{ "TTF", 0, 3, 2, 0b1110, NO_BIT_MORE },
	{ "COHACC", 0, 4, 4, 0b10, ANY },
	{ "ATS", 0, 10, 10, 0b11, NO_BIT_MORE },
	{ "ASID16", 0, 12, 12, 0b11, NO_BIT_MORE },
	{ "MSI", 0, 13, 13, 0b11, ANY },
	{ "VMID16", 0, 18, 18, 0b11, ANY },
	{ "CD2L", 0, 19, 19, 0b11, NO_BIT_MORE },
	{ "TTENDIAN", 0, 22, 21, 0b1101, SAME_UNLESS_MIXED },
	{ "STALL_MODEL", 0, 25, 24, 0b0010, ANY },
	{ "TERM_MODEL", 0, 26, 26, 0b11, AT_LEAST },
	{ "ST_LEVEL", 0, 28, 27, 0b0011, ANY },
	{ "SIDSIZE", 1, 5, 0, 0xffffffff, AT_MOST },
	{ "SSIDSIZE", 1, 10, 6, 0xffffffff, AT_MOST },
	{ "EVENTQS", 1, 20, 16, 0xfffff, ANY },
	{ "CMDQS", 1, 25, 21, 0xfffff, ANY },
	{ "HAD", 3, 2, 2, 0b11, NO_BIT_MORE },
	{ "RIL", 3, 10, 10, 0b11, NO_BIT_MORE },
	{ "BBML", 3, 12, 11, 0b1111, AT_MOST },
	{ "OAS", 5, 2, 0, 0xff, AT_MOST },
	{ "GRAN", 5, 6, 4, 0xfe, NO_BIT_MORE },
	{ "DS", 5, 7, 7, 0b11, NO_BIT_MORE },
	{ "VAX", 5, 11, 10, 0b1111, AT_MOST },
};

KUNIT_ARRAY_PARAM_DESC(guest_field, guest_fields, name);

/* S1P, AArch64 tables, COHACC, faults that terminate; 4K granules */
static const u32 least_idr[6] = { 0x0100001a, 0, 0, 0, 0, 0x10 };

static u32 put_field(u32 reg, const struct guest_field *field, u32 value)
{
	return (reg & ~GENMASK(field->hi, field->lo)) | value << field->lo;
}

static bool is_related(enum relation relation, u32 guest, u32 host)
{
	switch (relation) {
	case AT_MOST:
		return guest <= host;
	case AT_LEAST:
		return guest >= host;
	case NO_BIT_MORE:
		return (guest | host) == host;
	case SAME_UNLESS_MIXED:
		return !host || guest == host;
	default:
		return true;
	}
}

static u32 mask_of(const struct guest_field *field)
{
	return GENMASK(field->hi, field->lo);
}

static u32 value_of(const u32 *idr, const struct guest_field *field)
{
	return bits(idr, field->reg, field->hi, field->lo);
}

/* The model's verdict on ID registers, and the module's */
struct verdict {
	u32 want[6];
	u32 bad[6];
};

/* Bits of @bad that are already set must stay. */
static struct verdict verdict_with(u32 noise)
{
	struct verdict v;
	int i;

	for (i = 0; i < 6; i++)
		v.want[i] = noise << i;
	memcpy(v.bad, v.want, sizeof(v.bad));
	return v;
}

static void expect_verdict(struct kunit *test, const struct verdict *v)
{
	int i;

	for (i = 0; i < 6; i++)
		KUNIT_ASSERT_EQ_MSG(test, v->bad[i], v->want[i], "IDR%d", i);
}

/* Expect that the check finds all illegal fields. Returns whether there are none. */
static bool expect_check(struct kunit *test, const u32 *idr, u32 noise)
{
	struct verdict v = verdict_with(noise);
	u32 illegal[6], i;

	memcpy(illegal, idr, sizeof(illegal));
	for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
		const struct guest_field *field = &guest_fields[i];

		illegal[field->reg] &= ~mask_of(field);
		if (!(field->legal & BIT_ULL(value_of(idr, field))))
			illegal[field->reg] |= mask_of(field);
	}
	for (i = 0; i < 6; i++)
		v.want[i] |= illegal[i];
	KUNIT_ASSERT_EQ(test, smmuv3_idr_check(idr, v.bad),
			!memchr_inv(illegal, 0, sizeof(illegal)));
	expect_verdict(test, &v);
	return !memchr_inv(illegal, 0, sizeof(illegal));
}

/* Expect all fields that a host cannot honour. Returns whether there are none. */
static bool expect_fits(struct kunit *test, const u32 *idr, const u32 *host,
			struct verdict *v)
{
	bool fits = true;
	int i;

	for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
		const struct guest_field *field = &guest_fields[i];

		if (is_related(field->relation, value_of(idr, field), value_of(host, field)))
			continue;
		v->want[field->reg] |= mask_of(field);
		fits = false;
	}
	KUNIT_ASSERT_EQ(test, smmuv3_idr_fits(idr, host, v->bad), fits);
	expect_verdict(test, v);
	return fits;
}

static const struct guest_field *find_field(u32 reg, u32 bit)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(guest_fields); i++)
		if (guest_fields[i].reg == reg && guest_fields[i].lo <= bit &&
		    bit <= guest_fields[i].hi)
			return &guest_fields[i];
	return NULL;
}

/* Each bit of the registers, flipped in the minimal registers of a guest */
static void check_each_bit(struct kunit *test)
{
	u32 idr[6], reg, bit, refused = 0;

	KUNIT_ASSERT_TRUE(test, expect_check(test, least_idr, 0));
	for (reg = 0; reg < 6; reg++) {
		for (bit = 0; bit < 32; bit++) {
			memcpy(idr, least_idr, sizeof(idr));
			idr[reg] ^= BIT(bit);
			refused += !expect_check(test, idr, 0);
		}
	}
	KUNIT_EXPECT_GT(test, refused, 100);
}

/* Several bits at once, also if other bits of @bad are already set */
static void check_random(struct kunit *test)
{
	u32 idr[6], round, i, legal = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 0x1dc);
	for (round = 0; round < 20000; round++) {
		memcpy(idr, least_idr, sizeof(idr));
		for (i = 0; i < round % 5; i++)
			idr[prandom_u32_state(&rnd) % 6] ^= BIT(prandom_u32_state(&rnd) % 32);
		legal += expect_check(test, idr, prandom_u32_state(&rnd));
		for (i = 0; i < 6; i++)
			idr[i] = prandom_u32_state(&rnd);
		expect_check(test, idr, prandom_u32_state(&rnd));
	}
	KUNIT_EXPECT_GT(test, legal, 5000);
	KUNIT_EXPECT_LT(test, legal, 15000);
}

/* Each value of a field alone, and against each host value */
static void each_value(struct kunit *test)
{
	const struct guest_field *field = test->param_value;
	u32 values = 1U << (field->hi - field->lo + 1), guest, other, reg, bit;
	struct rnd_state rnd;
	u32 idr[6], host[6];

	prandom_seed_state(&rnd, 0x1d);
	memcpy(idr, least_idr, sizeof(idr));
	for (guest = 0; guest < values; guest++) {
		idr[field->reg] = put_field(idr[field->reg], field, guest);
		KUNIT_ASSERT_EQ(test, expect_check(test, idr, 0),
				!!(field->legal & BIT_ULL(guest)));
		for (other = 0; other < values; other++) {
			struct verdict v = verdict_with(0);

			/* Bits that belong to no guest field do not matter here. */
			memcpy(host, least_idr, sizeof(host));
			for (reg = 0; reg < 6; reg++)
				for (bit = 0; bit < 32; bit++)
					if (!find_field(reg, bit) &&
					    prandom_u32_state(&rnd) & 1)
						host[reg] |= BIT(bit);
			host[field->reg] = put_field(host[field->reg], field, other);
			KUNIT_ASSERT_EQ_MSG(test, expect_fits(test, idr, host, &v),
					    is_related(field->relation, guest, other),
					    "%u with %u", guest, other);
		}
	}
}

/* Legal registers of a guest, and a host that honours most fields */
static void make_pair(struct rnd_state *rnd, u32 *idr, u32 *host)
{
	int i;

	memset(idr, 0, 6 * sizeof(*idr));
	memset(host, 0, 6 * sizeof(*host));
	for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
		const struct guest_field *field = &guest_fields[i];
		u32 most = GENMASK(field->hi - field->lo, 0);
		u32 value = prandom_u32_state(rnd) & most;

		if (!(field->legal & BIT_ULL(value)))
			value = __ffs64(field->legal);
		idr[field->reg] = put_field(idr[field->reg], field, value);
		if (!(prandom_u32_state(rnd) % 16))
			most = prandom_u32_state(rnd) & most;
		else if (field->relation != AT_MOST && field->relation != NO_BIT_MORE)
			most = value;
		host[field->reg] = put_field(host[field->reg], field, most);
	}
}

/* If one host, or one of two, cannot honour several fields, all are reported. */
static void fits_random(struct kunit *test)
{
	u32 idr[6], other[6], hosts[2][6], round, i, fitted = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 0x1d2);
	for (round = 0; round < 20000; round++) {
		struct verdict v = verdict_with(prandom_u32_state(&rnd));

		make_pair(&rnd, other, hosts[1]);
		make_pair(&rnd, idr, hosts[0]);
		KUNIT_ASSERT_TRUE(test, expect_check(test, idr, 0));
		for (i = 0; i < 2; i++)
			fitted += expect_fits(test, idr, hosts[i], &v);
	}
	KUNIT_EXPECT_GT(test, fitted, 1000);
	KUNIT_EXPECT_LT(test, fitted, 39000);
}

/* The model of smmuv3_idr_meet(): a field's value that two hosts both honour */
static u32 meet_of(enum relation relation, u32 a, u32 b)
{
	switch (relation) {
	case AT_MOST:
		return min(a, b);
	case AT_LEAST:
		return max(a, b);
	case NO_BIT_MORE:
		return a & b;
	case SAME_UNLESS_MIXED:
		return a ? a : b;
	default:
		return a;
	}
}

static void meet_by_fields(u32 *idr, const u32 *with)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
		const struct guest_field *f = &guest_fields[i];

		idr[f->reg] = put_field(idr[f->reg], f,
					meet_of(f->relation, value_of(idr, f), value_of(with, f)));
	}
}

/* Each pair of values of a field; other fields and bits are random */
static void meet_each_pair(struct kunit *test)
{
	const struct guest_field *field = test->param_value;
	u32 values = 1U << (field->hi - field->lo + 1), a, b, i;
	u32 idr[6], with[6], want[6], kept[6];
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 0x3e);
	for (a = 0; a < values; a++) {
		for (b = 0; b < values; b++) {
			for (i = 0; i < 6; i++) {
				idr[i] = prandom_u32_state(&rnd);
				with[i] = prandom_u32_state(&rnd);
			}
			idr[field->reg] = put_field(idr[field->reg], field, a);
			with[field->reg] = put_field(with[field->reg], field, b);
			memcpy(kept, with, sizeof(kept));
			memcpy(want, idr, sizeof(want));
			meet_by_fields(want, with);
			smmuv3_idr_meet(idr, with);
			for (i = 0; i < 6; i++)
				KUNIT_ASSERT_EQ_MSG(test, idr[i], want[i], "IDR%u, %u with %u",
						    i, a, b);
			KUNIT_ASSERT_MEMEQ(test, with, kept, sizeof(kept));
		}
	}
}

/* A host that has the largest value of most fields; TTENDIAN is 0. */
static void make_host(struct rnd_state *rnd, u32 *host)
{
	int i;

	memset(host, 0, 6 * sizeof(*host));
	for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
		const struct guest_field *field = &guest_fields[i];
		u32 most = GENMASK(field->hi - field->lo, 0);
		u32 value = field->relation == AT_LEAST ? 0 : most;

		if (field->relation == SAME_UNLESS_MIXED)
			continue;
		if (!(prandom_u32_state(rnd) % 32))
			value = prandom_u32_state(rnd) & most;
		host[field->reg] = put_field(host[field->reg], field, value);
	}
}

/*
 * A guest fits the common registers of two hosts exactly if it fits both hosts.
 * TTENDIAN is left out, because no value of it means that two hosts have none in
 * common.
 */
static void meet_fits(struct kunit *test)
{
	u32 round, i, host, idr[6], hosts[2][6], both[6], fitted = 0;
	struct rnd_state rnd;
	bool fits;

	prandom_seed_state(&rnd, 0x3ef);
	for (round = 0; round < 20000; round++) {
		struct verdict each = verdict_with(0), met = verdict_with(0);

		for (i = 0; i < 6; i++)
			idr[i] = prandom_u32_state(&rnd);
		idr[0] &= ~GENMASK(22, 21);
		fits = true;
		for (host = 0; host < 2; host++) {
			make_host(&rnd, hosts[host]);
			fits &= expect_fits(test, idr, hosts[host], &each);
		}
		memcpy(both, hosts[0], sizeof(both));
		smmuv3_idr_meet(both, hosts[1]);
		KUNIT_ASSERT_EQ_MSG(test, expect_fits(test, idr, both, &met), fits,
				    "round %u", round);
		KUNIT_ASSERT_MEMEQ(test, met.bad, each.bad, sizeof(met.bad));
		fitted += fits;
	}
	KUNIT_EXPECT_GT(test, fitted, 1000);
	KUNIT_EXPECT_LT(test, fitted, 19000);
}

static struct kunit_case idr_cases[] = {
	KUNIT_CASE(caps_from_idr),
	KUNIT_CASE(caps_meet),
	KUNIT_CASE(idr_can_nest),
	KUNIT_CASE(check_each_bit),
	KUNIT_CASE(check_random),
	KUNIT_CASE_PARAM(each_value, guest_field_gen_params),
	KUNIT_CASE(fits_random),
	KUNIT_CASE_PARAM(meet_each_pair, guest_field_gen_params),
	KUNIT_CASE(meet_fits),
	{}
};

static struct kunit_suite idr_suite = {
	.name = "smmuv3-accel-idr",
	.test_cases = idr_cases,
};

kunit_test_suites(&idr_suite);
