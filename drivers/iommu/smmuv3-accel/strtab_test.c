// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of strtab.c over a guest memory that checks each read. The tests have
 * their own model of the walk, by Arm IHI 0070, 3.3.2, 5.1, 6.3.24 and 6.3.25, with
 * numbers of bytes and entries instead of masks.
 */
#include <kunit/test.h>
#include <linux/minmax.h>
#include <linux/prandom.h>

#include "strtab.h"

#define REASON(name)	SMMUV3_ACCEL_REASON_##name

/* SMMU_STRTAB_BASE_CFG */
#define LOG2SIZE(x)	(x)
#define SPLIT(x)	((x) << 6)
#define FMT(x)		((x) << 16)
#define LINEAR		0
#define TWO_LEVEL	1

/* SMMU_STRTAB_BASE.RA, which the module ignores */
#define RA		BIT_ULL(62)

/**
 * struct memory - Guest memory during one walk
 * @reader: base
 * @desc: value of every level-1 descriptor
 * @fail_at: number of the read that fails, from 1
 * @reads: how many reads there were
 * @gpa: address of each
 * @len: length of each in bytes
 */
struct memory {
	struct smmuv3_reader reader;
	u64 desc;
	u32 fail_at;
	u32 reads;
	u64 gpa[2];
	size_t len[2];
};

/* The content of an STE is derived from its address. */
static u64 word_at(u64 gpa, u32 i)
{
	return gpa * 0x9e3779b97f4a7c15ULL + i;
}

static int memory_read(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct memory *mem = container_of(reader, struct memory, reader);
	__le64 *out = buf;
	u32 i;

	if (mem->reads < ARRAY_SIZE(mem->gpa)) {
		mem->gpa[mem->reads] = gpa;
		mem->len[mem->reads] = len;
	}
	if (++mem->reads == mem->fail_at)
		return -EFAULT;
	if (len == sizeof(u64))
		*out = cpu_to_le64(mem->desc);
	else
		for (i = 0; i < len / sizeof(u64); i++)
			out[i] = cpu_to_le64(word_at(gpa, i));
	return 0;
}

/* The expected walk for a StreamID */
struct walk {
	enum smmuv3_accel_reason reason;
	u32 reads;
	u64 gpa[2];
	size_t len[2];
};

static void walk_read(struct walk *walk, u64 gpa, size_t len)
{
	walk->gpa[walk->reads] = gpa;
	walk->len[walk->reads++] = len;
}

/* Tables are aligned to their size: lower bits of their address are ignored. */
static u64 aligned(u64 addr, u64 size)
{
	addr &= GENMASK_ULL(51, 6);
	return addr - addr % size;
}

/*
 * The same for a size that may be more than an address has bits for. LOG2SIZE alone
 * gives the size, even if SIDSIZE makes a part of the table unreachable.
 */
static u64 aligned_log2(u64 addr, u32 size_log2)
{
	return size_log2 > 51 ? 0 : aligned(addr, 1ULL << size_log2);
}

static struct walk make_walk(u64 base, u32 cfg, u32 sid_bits, u32 sid, u64 desc)
{
	u64 log2size = cfg % 64, split = cfg / 64 % 32, span = desc % 32;
	u64 sids = 1ULL << min(log2size, sid_bits), per_desc, stes;
	struct walk walk = {};

	if (sid >= sids) {
		walk.reason = REASON(STE_SID_RANGE);
		return walk;
	}
	if (cfg / 0x10000 % 4 != TWO_LEVEL) {
		walk_read(&walk, aligned_log2(base, 6 + log2size) + 64ULL * sid, 64);
		return walk;
	}

	if (split != 8 && split != 10)
		split = 6;
	per_desc = 1ULL << split;
	walk_read(&walk, aligned_log2(base, max(6ULL, log2size + 3 - min(split, log2size))) +
		  8 * (sid / per_desc), 8);
	if (!span) {
		walk.reason = REASON(STE_L1_NONE);
		return walk;
	}
	if (span > split + 1) {
		walk.reason = REASON(STE_L1_INVALID);
		return walk;
	}
	stes = 1ULL << (span - 1);
	if (sid % per_desc >= stes) {
		walk.reason = REASON(STE_SID_RANGE);
		return walk;
	}
	walk_read(&walk, aligned(desc, 64 * stes) + 64 * (sid % per_desc), 64);
	return walk;
}

static void check_of(struct kunit *test, u64 base, u32 cfg, u32 sid_bits, u32 sid, u64 desc)
{
	const struct walk walk = make_walk(base, cfg, sid_bits, sid, desc);
	struct memory mem = { .reader.read = memory_read, .desc = desc };
	struct smmuv3_strtab strtab;
	u32 i, fail;
	u64 ste[8];

	smmuv3_strtab_decode(&strtab, base, cfg, sid_bits);
	KUNIT_ASSERT_EQ_MSG(test, smmuv3_strtab_read(&strtab, sid, &mem.reader, ste),
			    walk.reason, "base %llx cfg %x SIDSIZE %u StreamID %x descriptor %llx",
			    base, cfg, sid_bits, sid, desc);
	KUNIT_ASSERT_EQ_MSG(test, mem.reads, walk.reads,
			    "base %llx cfg %x StreamID %x descriptor %llx", base, cfg, sid, desc);
	for (i = 0; i < walk.reads; i++) {
		KUNIT_ASSERT_EQ_MSG(test, mem.gpa[i], walk.gpa[i],
				    "read %u, base %llx cfg %x SIDSIZE %u StreamID %x descriptor %llx",
				    i, base, cfg, sid_bits, sid, desc);
		KUNIT_ASSERT_EQ(test, mem.len[i], walk.len[i]);
	}
	for (i = 0; !walk.reason && i < ARRAY_SIZE(ste); i++)
		KUNIT_ASSERT_EQ(test, ste[i], word_at(walk.gpa[walk.reads - 1], i));

	/* A read that fails ends the walk. */
	for (fail = 1; fail <= walk.reads; fail++) {
		mem.fail_at = fail;
		mem.reads = 0;
		KUNIT_ASSERT_EQ(test, smmuv3_strtab_read(&strtab, sid, &mem.reader, ste),
				REASON(STE_UNREADABLE));
		KUNIT_ASSERT_EQ(test, mem.reads, fail);
	}
}

static void check(struct kunit *test, u64 base, u32 cfg, u32 sid, u64 desc)
{
	check_of(test, base, cfg, 32, sid, desc);
}

static u64 random_u64(struct rnd_state *rnd)
{
	u64 hi = prandom_u32_state(rnd);

	return hi << 32 | prandom_u32_state(rnd);
}

/* Any address within an OAS of 52 bits, aligned or not */
static u64 random_addr(struct rnd_state *rnd)
{
	return random_u64(rnd) & (GENMASK_ULL(51, 0) | RA);
}

/* StreamIDs around a power of two, the largest one, and a random one below @below */
#define EDGES	6

static u32 edge_sid(struct rnd_state *rnd, u32 edge, u32 log2)
{
	const u64 power = 1ULL << log2;

	switch (edge) {
	case 0:
		return 0;
	case 1:
		return power - 1;
	case 2:
		return power;
	case 3:
		return power + 1;
	case 4:
		return U32_MAX;
	default:
		return random_u64(rnd) % power;
	}
}

/* Every size, also over 32, and each FMT that is not 2-level */
static void strtab_linear(struct kunit *test)
{
	u32 log2, fmt, edge, cfg;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 0x57ab);
	for (log2 = 0; log2 < 64; log2++) {
		for (fmt = 0; fmt < 4; fmt++) {
			if (fmt == TWO_LEVEL)
				continue;
			cfg = FMT(fmt) | LOG2SIZE(log2) | SPLIT(prandom_u32_state(&rnd) % 32);
			for (edge = 0; edge < EDGES; edge++)
				check(test, random_addr(&rnd), cfg,
				      edge_sid(&rnd, edge, min(log2, 32U)), random_u64(&rnd));
		}
	}
}

/* Every size, SPLIT and Span, with StreamIDs at the edges of the table and the span */
static void strtab_two_level(struct kunit *test)
{
	u32 log2, split, span, edge, cfg;
	struct rnd_state rnd;
	u64 base, desc;

	prandom_seed_state(&rnd, 0x57ab2);
	for (log2 = 0; log2 < 64; log2++) {
		for (split = 0; split < 32; split++) {
			cfg = FMT(TWO_LEVEL) | SPLIT(split) | LOG2SIZE(log2);
			/* Reserved SPLITs share a sample of Spans. */
			span = split == 6 || split == 8 || split == 10 ? 0 :
			       prandom_u32_state(&rnd) % 8;
			for (; span < 32; span += span < 12 ? 1 + (log2 > 34) : 7) {
				base = random_addr(&rnd);
				desc = (random_addr(&rnd) & GENMASK_ULL(51, 5)) | span;
				for (edge = 0; edge < EDGES; edge++) {
					check(test, base, cfg,
					      edge_sid(&rnd, edge, min(log2, 32U)), desc);
					if (!span || span > 11)
						continue;
					/* Within the span of some descriptor */
					check(test, base, cfg, edge_sid(&rnd, edge, span - 1) ^
					      (prandom_u32_state(&rnd) & ~0x3ff), desc);
				}
			}
		}
	}
}

/* Each bit of both registers, with a table of either form */
static void strtab_each_bit(struct kunit *test)
{
	const u32 cfgs[] = {
		FMT(LINEAR) | LOG2SIZE(12), FMT(TWO_LEVEL) | SPLIT(8) | LOG2SIZE(20),
	};
	const u64 base = 0x8000000000000;
	u32 i, bit;

	for (i = 0; i < ARRAY_SIZE(cfgs); i++) {
		for (bit = 0; bit < 52; bit++) {
			check(test, base ^ BIT_ULL(bit), cfgs[i], 0x321, 9);
			check(test, base, cfgs[i], 0x321, BIT_ULL(bit) ^ 9);
		}
		for (bit = 0; bit < 32; bit++)
			check(test, base, cfgs[i] ^ BIT(bit), 0x321, 9);
	}
}

/*
 * A LOG2SIZE over SIDSIZE, of each form. The first table is at 0x40000000: with 2^20
 * StreamIDs it is 64 MiB long, of which 2^16 StreamIDs use 4 MiB.
 */
static void strtab_larger_than_sidsize(struct kunit *test)
{
	const u32 forms[] = {
		FMT(LINEAR), FMT(TWO_LEVEL) | SPLIT(6), FMT(TWO_LEVEL) | SPLIT(8),
		FMT(TWO_LEVEL) | SPLIT(10),
	};
	struct smmuv3_strtab strtab;
	u32 i, log2, sid_bits, edge, sid;
	struct rnd_state rnd;

	smmuv3_strtab_decode(&strtab, 0x40400000, FMT(LINEAR) | LOG2SIZE(20), 16);
	KUNIT_EXPECT_EQ(test, strtab.base, 0x40000000);
	KUNIT_EXPECT_EQ(test, strtab.log2size, 16);

	prandom_seed_state(&rnd, 0x57ab3);
	for (i = 0; i < 64 * ARRAY_SIZE(forms); i++) {
		log2 = i % 64;
		for (sid_bits = 0; sid_bits <= 32; sid_bits++) {
			for (edge = 0; edge < EDGES; edge++) {
				sid = edge_sid(&rnd, edge, min(log2, sid_bits));
				check_of(test, random_addr(&rnd), forms[i / 64] | LOG2SIZE(log2),
					 sid_bits, sid, 9);
			}
		}
	}
}

static struct kunit_case strtab_cases[] = {
	KUNIT_CASE(strtab_linear),
	KUNIT_CASE(strtab_two_level),
	KUNIT_CASE(strtab_each_bit),
	KUNIT_CASE(strtab_larger_than_sidsize),
	{}
};

static struct kunit_suite strtab_suite = {
	.name = "smmuv3-accel-strtab",
	.test_cases = strtab_cases,
};

kunit_test_suites(&strtab_suite);
