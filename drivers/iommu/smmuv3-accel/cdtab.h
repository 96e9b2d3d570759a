/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ASIDs in a guest's table of Context Descriptors (CDs), and a set of ASIDs. These
 * functions depend only on their arguments, and on what a reader reads.
 */
#ifndef _SMMUV3_ACCEL_CDTAB_H
#define _SMMUV3_ACCEL_CDTAB_H

#include <linux/bitfield.h>
#include <linux/types.h>

#include "arch.h"
#include "strtab.h"

/* The module follows tables of up to this many CDs. */
#define SMMUV3_MAX_CDS		64
/* A set with more ASIDs becomes the set of all. */
#define SMMUV3_MAX_ASIDS	64

#define SMMUV3_CD_SHIFT		6	/* 64 bytes */

/**
 * struct smmuv3_asids - A set of ASIDs that only grows, until it is cleared
 * @all: all ASIDs are in it
 * @num: without @all, how many there are
 * @flushed: the first @flushed of them had their TLBI_NH_ASID
 * @all_flushed: with @all, the TLBI_NH_ALL was issued
 * @asids: the ASIDs, in the order in which they came
 *
 * A new ASID needs a TLBI_NH_ASID, because invalidations by this ASID may have been
 * withheld before. For the same reason, a set that becomes the set of all needs a
 * TLBI_NH_ALL.
 */
struct smmuv3_asids {
	bool all;
	bool all_flushed;
	u8 num;
	u8 flushed;
	u16 asids[SMMUV3_MAX_ASIDS];
};

void smmuv3_asids_clear(struct smmuv3_asids *set);
void smmuv3_asids_add(struct smmuv3_asids *set, u16 asid);
void smmuv3_asids_add_all(struct smmuv3_asids *set);
u32 smmuv3_asids_new(const struct smmuv3_asids *set, __le64 (*cmds)[2]);
void smmuv3_asids_flushed(struct smmuv3_asids *set);

/**
 * smmuv3_asids_have() - Whether a set has an ASID
 * @set: the set
 * @asid: the ASID
 *
 * Return: true if it has.
 */
static inline bool smmuv3_asids_have(const struct smmuv3_asids *set, u16 asid)
{
	u32 i;

	/* The newest one first: it is the likeliest. */
	for (i = set->num; i--;)
		if (set->asids[i] == asid)
			return true;
	return set->all;
}

/**
 * smmuv3_cd_asid() - The ASID in a CD
 * @word0: the CD's first word
 *
 * Return: the ASID.
 */
static inline u16 smmuv3_cd_asid(__le64 word0)
{
	return FIELD_GET(CD_0_ASID, le64_to_cpu(word0));
}

/**
 * smmuv3_cdtab_is_single() - Whether an STE reaches one CD
 * @ste: words 0 and 1 of an STE with stage 1
 * @addr: the CD's guest physical address, if it does
 *
 * Return: true if it does.
 */
static inline bool smmuv3_cdtab_is_single(const u64 ste[2], u64 *addr)
{
	*addr = ste[0] & STE_0_S1CONTEXTPTR;
	return !FIELD_GET(STE_0_S1CDMAX, ste[0]);
}

/**
 * smmuv3_cdtab_len() - The length of a linear table of CDs
 * @ste: words 0 and 1 of an STE with stage 1
 *
 * Return: the length in bytes.
 */
static inline size_t smmuv3_cdtab_len(const u64 ste[2])
{
	return (size_t)1 << (SMMUV3_CD_SHIFT + FIELD_GET(STE_0_S1CDMAX, ste[0]));
}

/**
 * smmuv3_asids_are_flushed() - Whether no ASID needs a TLBI
 * @set: the set
 *
 * Return: true if smmuv3_asids_new() would make no command.
 */
static inline bool smmuv3_asids_are_flushed(const struct smmuv3_asids *set)
{
	return set->all ? set->all_flushed : set->flushed == set->num;
}

int smmuv3_cdtab_collect(const u64 ste[2], u16 mask, struct smmuv3_reader *reader,
			 struct smmuv3_asids *set);

#endif
