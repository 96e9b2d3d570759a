// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of idr.c. The fields are written down here once more, by the bit
 * numbers of Arm IHI 0070, 6.3.1 to 6.3.6, with each value that is legal.
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
	       a->ds == b->ds && a->stall_both == b->stall_both;
}

/* Each bit of the ID registers alone, and alone missing. */
static void caps_from_idr(struct kunit *test)
{
	unsigned int reg, bit;

	for (reg = 0; reg < 6; reg++) {
		for (bit = 0; bit < 32; bit++) {
			struct smmuv3_caps some = { .stall_both = true }, got;
			struct smmuv3_caps most = {
				.sid_bits = 63,
				.ssid_bits = 31,
				.asid16 = true,
				.cd2l = true,
				.ats = true,
				.ril = true,
				.ds = true,
			};
			u32 idr[6] = {};

			switch (reg << 8 | bit) {
			case 0x00a:	/* IDR0.ATS */
				some.ats = true;
				most.ats = false;
				break;
			case 0x00c:	/* IDR0.ASID16 */
				some.asid16 = true;
				most.asid16 = false;
				break;
			case 0x013:	/* IDR0.CD2L */
				some.cd2l = true;
				most.cd2l = false;
				break;
			case 0x018:	/* IDR0.STALL_MODEL */
			case 0x019:
				some.stall_both = false;
				break;
			case 0x100:	/* IDR1.SIDSIZE */
			case 0x101:
			case 0x102:
			case 0x103:
			case 0x104:
			case 0x105:
				some.sid_bits = 1 << bit;
				most.sid_bits = 63 - some.sid_bits;
				break;
			case 0x106:	/* IDR1.SSIDSIZE */
			case 0x107:
			case 0x108:
			case 0x109:
			case 0x10a:
				some.ssid_bits = 1 << (bit - 6);
				most.ssid_bits = 31 - some.ssid_bits;
				break;
			case 0x30a:	/* IDR3.RIL */
				some.ril = true;
				most.ril = false;
				break;
			case 0x507:	/* IDR5.DS */
				some.ds = true;
				most.ds = false;
				break;
			}

			idr[reg] = BIT(bit);
			memset(&got, 0xa5, sizeof(got));
			smmuv3_caps_from_idr(&got, idr);
			KUNIT_EXPECT_TRUE_MSG(test, caps_equal(&got, &some),
					      "IDR%u bit %u alone", reg, bit);

			memset(idr, 0xff, sizeof(idr));
			idr[reg] = ~BIT(bit);
			memset(&got, 0xa5, sizeof(got));
			smmuv3_caps_from_idr(&got, idr);
			KUNIT_EXPECT_TRUE_MSG(test, caps_equal(&got, &most),
					      "all but IDR%u bit %u", reg, bit);
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
	};
}

static void caps_meet(struct kunit *test)
{
	unsigned int a, b, n;

	for (n = 0; n < 64 * 64; n++) {
		struct smmuv3_caps one, two, kept, there, back, want;

		a = n % 64;
		b = n / 64;
		all_caps_of_number(&one, a);
		all_caps_of_number(&two, b);
		/* Each pair of sizes comes up four times */
		one.ssid_bits = a % 32;
		two.ssid_bits = b % 32;
		one.sid_bits = b % 33;
		two.sid_bits = a % 33;
		kept = two;
		/* The flags that both have, but for the stall model */
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

/* Both stages, a reason to think that DMA is coherent, faults that end. */
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

/* How a guest's value of a field has to be to a host's */
enum relation {
	ANY,
	AT_MOST,
	AT_LEAST,
	NO_BIT_MORE,
	SAME_UNLESS_MIXED,
};

/* All that a guest may be told; @legal has a bit for each value. */
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
	{ "CD2L", 0, 19, 19, 0b11, NO_BIT_MORE },
	{ "TTENDIAN", 0, 22, 21, 0b1101, SAME_UNLESS_MIXED },
	{ "STALL_MODEL", 0, 25, 24, 0b0010, ANY },
	{ "TERM_MODEL", 0, 26, 26, 0b11, AT_LEAST },
	{ "ST_LEVEL", 0, 28, 27, 0b0011, ANY },
	{ "SIDSIZE", 1, 5, 0, ~0ULL, AT_MOST },
	{ "SSIDSIZE", 1, 10, 6, 0xffffffff, AT_MOST },
	{ "EVENTQS", 1, 20, 16, 0xfffff, ANY },
	{ "CMDQS", 1, 25, 21, 0xfffff, ANY },
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

/* The first that is refused has to be this, or with @mask = 0 none. */
static void expect_check(struct kunit *test, const u32 *idr, u32 reg, u32 mask)
{
	u32 bad_idr = ~0U, bad_mask = ~0U;

	KUNIT_ASSERT_EQ_MSG(test, smmuv3_idr_check(idr, &bad_idr, &bad_mask), !mask,
			    "IDR%u %08x", reg, idr[reg]);
	if (!mask)
		return;
	KUNIT_ASSERT_EQ_MSG(test, bad_idr, reg, "IDR%u %08x", reg, idr[reg]);
	KUNIT_ASSERT_EQ_MSG(test, bad_mask, mask, "IDR%u %08x", reg, idr[reg]);
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

/* Each bit of the registers, flipped in the least that a guest may be told */
static void idr_each_bit(struct kunit *test)
{
	u32 idr[6], reg, bit, mask, value;

	expect_check(test, least_idr, 0, 0);
	for (reg = 0; reg < 6; reg++) {
		for (bit = 0; bit < 32; bit++) {
			const struct guest_field *field = find_field(reg, bit);

			memcpy(idr, least_idr, sizeof(idr));
			idr[reg] ^= BIT(bit);
			mask = BIT(bit);
			if (field) {
				mask = GENMASK(field->hi, field->lo);
				value = (idr[reg] & mask) >> field->lo;
				if (field->legal & BIT_ULL(value))
					mask = 0;
			}
			expect_check(test, idr, reg, mask);
		}
	}
}

/* Each value of a field alone, and against each of the host's */
static void idr_each_value(struct kunit *test)
{
	const struct guest_field *field = test->param_value;
	u32 mask = GENMASK(field->hi, field->lo), bad_idr, bad_mask, reg, bit;
	u32 values = 1U << (field->hi - field->lo + 1), guest, other;
	struct rnd_state rnd;
	u32 idr[6], host[6];

	prandom_seed_state(&rnd, 0x1d);
	memcpy(idr, least_idr, sizeof(idr));
	for (guest = 0; guest < values; guest++) {
		idr[field->reg] = put_field(idr[field->reg], field, guest);
		expect_check(test, idr, field->reg,
			     field->legal & BIT_ULL(guest) ? 0 : mask);
		for (other = 0; other < values; other++) {
			bool fits = is_related(field->relation, guest, other);

			/* What is no field of a guest's means nothing here. */
			memcpy(host, least_idr, sizeof(host));
			for (reg = 0; reg < 6; reg++)
				for (bit = 0; bit < 32; bit++)
					if (!find_field(reg, bit) &&
					    prandom_u32_state(&rnd) & 1)
						host[reg] |= BIT(bit);
			host[field->reg] = put_field(host[field->reg], field, other);
			bad_idr = ~0U;
			bad_mask = ~0U;
			KUNIT_ASSERT_EQ_MSG(test, smmuv3_idr_fits(idr, host, &bad_idr, &bad_mask),
					    fits, "%u with %u", guest, other);
			if (fits)
				continue;
			KUNIT_ASSERT_EQ(test, bad_idr, field->reg);
			KUNIT_ASSERT_EQ(test, bad_mask, mask);
		}
	}
}

/* Where one field does not fit it is that one, whatever the others are. */
static void idr_random(struct kunit *test)
{
	u32 round, i, bad_idr, bad_mask, fitted = 0, value, most;
	u32 idr[6], host[6], misfits[6];
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 0x1d2);
	for (round = 0; round < 20000; round++) {
		memset(idr, 0, sizeof(idr));
		memset(host, 0, sizeof(host));
		memset(misfits, 0, sizeof(misfits));
		for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
			const struct guest_field *field = &guest_fields[i];

			most = GENMASK(field->hi - field->lo, 0);
			value = prandom_u32_state(&rnd) & most;
			if (!(field->legal & BIT_ULL(value)))
				value = __ffs64(field->legal);
			idr[field->reg] = put_field(idr[field->reg], field, value);
			/* Mostly a host that has it */
			if (!(prandom_u32_state(&rnd) % 16))
				most = prandom_u32_state(&rnd) & most;
			else if (field->relation != AT_MOST && field->relation != NO_BIT_MORE)
				most = value;
			host[field->reg] = put_field(host[field->reg], field, most);
			if (!is_related(field->relation, value, most))
				misfits[field->reg] |= GENMASK(field->hi, field->lo);
		}
		expect_check(test, idr, 0, 0);
		if (smmuv3_idr_fits(idr, host, &bad_idr, &bad_mask)) {
			KUNIT_ASSERT_NULL_MSG(test, memchr_inv(misfits, 0, sizeof(misfits)),
					      "round %u", round);
			fitted++;
			continue;
		}
		KUNIT_ASSERT_LT(test, bad_idr, 6);
		KUNIT_ASSERT_NE_MSG(test, bad_mask & misfits[bad_idr], 0, "round %u", round);
	}
	KUNIT_EXPECT_GT(test, fitted, 1000);
	KUNIT_EXPECT_LT(test, fitted, 19000);
}

/* What two hosts both honour of a field, by what a guest is told of each */
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

/* Each pair of values of a field, beside other fields and bits that are random */
static void idr_meet(struct kunit *test)
{
	const struct guest_field *field = test->param_value;
	u32 values = 1U << (field->hi - field->lo + 1), a, b, i, value;
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
			for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
				const struct guest_field *f = &guest_fields[i];
				u32 mask = GENMASK(f->hi, f->lo);

				value = meet_of(f->relation, (idr[f->reg] & mask) >> f->lo,
						(with[f->reg] & mask) >> f->lo);
				want[f->reg] = put_field(want[f->reg], f, value);
			}
			smmuv3_idr_meet(idr, with);
			for (i = 0; i < 6; i++)
				KUNIT_ASSERT_EQ_MSG(test, idr[i], want[i], "IDR%u, %u with %u",
						    i, a, b);
			KUNIT_ASSERT_MEMEQ(test, with, kept, sizeof(kept));
		}
	}
}

/* Whoever fits both hosts fits what they have in common, and the reverse. */
static void idr_meet_fits(struct kunit *test)
{
	u32 round, i, bad_idr, bad_mask, value, host, fitted = 0;
	u32 idr[6], hosts[2][6], both[6];
	struct rnd_state rnd;
	bool fits[2];

	prandom_seed_state(&rnd, 0x3ef);
	for (round = 0; round < 20000; round++) {
		memset(idr, 0, sizeof(idr));
		memset(hosts, 0, sizeof(hosts));
		for (i = 0; i < ARRAY_SIZE(guest_fields); i++) {
			const struct guest_field *field = &guest_fields[i];
			u32 most = GENMASK(field->hi - field->lo, 0);

			/* A single TTENDIAN cannot say that there is none in common. */
			if (field->relation == SAME_UNLESS_MIXED)
				continue;
			value = prandom_u32_state(&rnd) & most;
			idr[field->reg] = put_field(idr[field->reg], field, value);
			for (host = 0; host < 2; host++) {
				/* Mostly one that has it */
				if (field->relation == AT_LEAST)
					most = 0;
				if (!(prandom_u32_state(&rnd) % 32))
					most = prandom_u32_state(&rnd) &
					       GENMASK(field->hi - field->lo, 0);
				hosts[host][field->reg] = put_field(hosts[host][field->reg],
								    field, most);
			}
		}
		for (host = 0; host < 2; host++)
			fits[host] = smmuv3_idr_fits(idr, hosts[host], &bad_idr, &bad_mask);
		memcpy(both, hosts[0], sizeof(both));
		smmuv3_idr_meet(both, hosts[1]);
		KUNIT_ASSERT_EQ_MSG(test, smmuv3_idr_fits(idr, both, &bad_idr, &bad_mask),
				    fits[0] && fits[1], "round %u", round);
		fitted += fits[0] && fits[1];
	}
	KUNIT_EXPECT_GT(test, fitted, 1000);
	KUNIT_EXPECT_LT(test, fitted, 19000);
}

static struct kunit_case idr_cases[] = {
	KUNIT_CASE(caps_from_idr),
	KUNIT_CASE(caps_meet),
	KUNIT_CASE(idr_can_nest),
	KUNIT_CASE(idr_each_bit),
	KUNIT_CASE_PARAM(idr_each_value, guest_field_gen_params),
	KUNIT_CASE(idr_random),
	KUNIT_CASE_PARAM(idr_meet, guest_field_gen_params),
	KUNIT_CASE(idr_meet_fits),
	{}
};

static struct kunit_suite idr_suite = {
	.name = "smmuv3-accel-idr",
	.test_cases = idr_cases,
};

kunit_test_suites(&idr_suite);
