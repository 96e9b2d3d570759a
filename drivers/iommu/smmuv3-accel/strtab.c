// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's stream table. The module reads it each time and keeps no copy, which it
 * would have to invalidate like a cache.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "arch.h"
#include "strtab.h"

#define STE_SHIFT	6	/* 64 bytes */
#define L1STD_SHIFT	3	/* 8 bytes */

/* The SMMU aligns a table's address to the table's size, by ignoring low bits. */
static u64 align_to(u64 addr, unsigned int shift)
{
	return shift < 64 ? addr & ~((1ULL << shift) - 1) : 0;
}

/**
 * smmuv3_strtab_decode() - Decode SMMU_STRTAB_BASE and SMMU_STRTAB_BASE_CFG
 * @strtab: the result
 * @strtab_base: raw SMMU_STRTAB_BASE
 * @strtab_base_cfg: raw SMMU_STRTAB_BASE_CFG
 * @sid_bits: SMMU_IDR1.SIDSIZE; no more than 32
 *
 * Arm IHI 0070, 6.3.24 and 6.3.25. A reserved FMT acts as linear, a reserved SPLIT
 * as 6. SIDSIZE caps the number of StreamIDs, but the address is aligned by the
 * literal LOG2SIZE.
 */
void smmuv3_strtab_decode(struct smmuv3_strtab *strtab, u64 strtab_base,
			  u32 strtab_base_cfg, u32 sid_bits)
{
	u32 log2size = FIELD_GET(STRTAB_CFG_LOG2SIZE, strtab_base_cfg);
	u32 split = FIELD_GET(STRTAB_CFG_SPLIT, strtab_base_cfg);
	u32 shift;

	strtab->log2size = min(log2size, sid_bits);
	if (FIELD_GET(STRTAB_CFG_FMT, strtab_base_cfg) == STRTAB_FMT_2LEVEL) {
		strtab->split = split == 8 || split == 10 ? split : 6;
		shift = L1STD_SHIFT;
		if (log2size > strtab->split)
			shift += log2size - strtab->split;
		shift = max_t(u32, shift, STE_SHIFT);
	} else {
		strtab->split = 0;
		shift = STE_SHIFT + log2size;
	}
	strtab->base = align_to(strtab_base & STRTAB_BASE_ADDR, shift);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_strtab_decode);

/* Find the address of a StreamID's STE by its level-1 descriptor (5.1). */
static enum smmuv3_accel_reason strtab_l2(const struct smmuv3_strtab *strtab,
					  u32 sid, struct smmuv3_reader *reader,
					  u64 *addr)
{
	u64 l1 = strtab->base + ((u64)(sid >> strtab->split) << L1STD_SHIFT);
	u32 index = sid & ((1U << strtab->split) - 1);
	unsigned int span;
	__le64 raw;
	u64 desc;

	if (reader->read(reader, l1, &raw, sizeof(raw)))
		return SMMUV3_ACCEL_REASON_STE_UNREADABLE;
	desc = le64_to_cpu(raw);
	span = FIELD_GET(L1STD_SPAN, desc);
	if (!span)
		return SMMUV3_ACCEL_REASON_STE_L1_NONE;
	if (span > strtab->split + 1)
		return SMMUV3_ACCEL_REASON_STE_L1_INVALID;
	if (index >= 1U << (span - 1))
		return SMMUV3_ACCEL_REASON_STE_SID_RANGE;
	*addr = align_to(desc & L1STD_L2PTR, STE_SHIFT + span - 1) +
		((u64)index << STE_SHIFT);
	return SMMUV3_ACCEL_REASON_NONE;
}

/**
 * smmuv3_strtab_read() - Read the STE of a StreamID
 * @strtab: the stream table
 * @sid: the StreamID
 * @reader: reads guest memory
 * @ste: set to the STE, CPU-endian
 *
 * Return: %SMMUV3_ACCEL_REASON_NONE, or the reason: the StreamID is beyond the table,
 * its level-1 descriptor is not valid, or memory cannot be read.
 */
enum smmuv3_accel_reason smmuv3_strtab_read(const struct smmuv3_strtab *strtab,
					    u32 sid,
					    struct smmuv3_reader *reader,
					    u64 ste[8])
{
	enum smmuv3_accel_reason reason;
	u64 addr = strtab->base + ((u64)sid << STE_SHIFT);
	__le64 raw[8];
	int i;

	if ((u64)sid >> strtab->log2size)
		return SMMUV3_ACCEL_REASON_STE_SID_RANGE;
	if (strtab->split) {
		reason = strtab_l2(strtab, sid, reader, &addr);
		if (reason)
			return reason;
	}
	if (reader->read(reader, addr, raw, sizeof(raw)))
		return SMMUV3_ACCEL_REASON_STE_UNREADABLE;
	for (i = 0; i < ARRAY_SIZE(raw); i++)
		ste[i] = le64_to_cpu(raw[i]);
	return SMMUV3_ACCEL_REASON_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_strtab_read);
