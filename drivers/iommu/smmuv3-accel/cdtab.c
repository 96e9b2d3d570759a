// SPDX-License-Identifier: GPL-2.0
/*
 * The ASIDs that an SMMU may use: those in the CDs that an STE reaches. The module
 * reads CDs each time and keeps no copy, because the SMMU may fetch one at any time
 * (Arm IHI 0070, 3.21.3).
 */
#include <kunit/visibility.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/string.h>

#include "arch.h"
#include "cdtab.h"

/**
 * smmuv3_asids_clear() - Empty a set
 * @set: the set
 */
void smmuv3_asids_clear(struct smmuv3_asids *set)
{
	set->all = false;
	set->all_flushed = false;
	set->num = 0;
	set->flushed = 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_asids_clear);

/**
 * smmuv3_asids_add_all() - Add all ASIDs to a set
 * @set: the set
 */
void smmuv3_asids_add_all(struct smmuv3_asids *set)
{
	set->all = true;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_asids_add_all);

/**
 * smmuv3_asids_add() - Add an ASID to a set
 * @set: the set
 * @asid: the ASID
 */
void smmuv3_asids_add(struct smmuv3_asids *set, u16 asid)
{
	if (smmuv3_asids_have(set, asid))
		return;
	if (set->num == SMMUV3_MAX_ASIDS)
		smmuv3_asids_add_all(set);
	else
		set->asids[set->num++] = asid;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_asids_add);

/**
 * smmuv3_asids_new() - Make the TLBIs that new ASIDs need
 * @set: the set
 * @cmds: room for %SMMUV3_MAX_ASIDS commands
 *
 * Return: how many there are.
 */
u32 smmuv3_asids_new(const struct smmuv3_asids *set, __le64 (*cmds)[2])
{
	u32 i, num = 0;

	if (set->all) {
		cmds[0][0] = cpu_to_le64(CMD_TLBI_NH_ALL);
		cmds[0][1] = 0;
		return !set->all_flushed;
	}
	for (i = set->flushed; i < set->num; i++, num++) {
		cmds[num][0] = cpu_to_le64(CMD_TLBI_NH_ASID |
					   FIELD_PREP(TLBI_0_ASID, set->asids[i]));
		cmds[num][1] = 0;
	}
	return num;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_asids_new);

/**
 * smmuv3_asids_flushed() - Note that the host has carried out smmuv3_asids_new()
 * @set: the set
 */
void smmuv3_asids_flushed(struct smmuv3_asids *set)
{
	set->all_flushed = set->all;
	set->flushed = set->num;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_asids_flushed);

/**
 * smmuv3_cdtab_collect() - Add the ASIDs of all CDs that an STE reaches
 * @ste: words 0 and 1 of an STE with stage 1, from smmuv3_ste_decode()
 * @mask: the bits of an ASID that the SMMU has
 * @reader: reads guest memory
 * @set: the set
 *
 * CDs with V = 0 count too. V and ASID are in one word, so an SMMU that fetches the
 * CD later finds both as one store left them.
 *
 * Return: 0; -E2BIG if the module does not follow this table; -EINVAL if its address
 * is not aligned; or the reader's errno. Some ASIDs may have been added even then.
 */
int smmuv3_cdtab_collect(const u64 ste[2], u16 mask, struct smmuv3_reader *reader,
			 struct smmuv3_asids *set)
{
	u32 cdmax = FIELD_GET(STE_0_S1CDMAX, ste[0]), i;
	u64 addr = ste[0] & STE_0_S1CONTEXTPTR;
	__le64 word0;
	int rc;

	if (cdmax > ilog2(SMMUV3_MAX_CDS) ||
	    (cdmax && FIELD_GET(STE_0_S1FMT, ste[0]) != STE_S1FMT_LINEAR))
		return -E2BIG;
	if (addr & (smmuv3_cdtab_len(ste) - 1))
		return -EINVAL;
	for (i = 0; i < 1U << cdmax; i++) {
		rc = reader->read(reader, addr + ((u64)i << SMMUV3_CD_SHIFT), &word0,
				  sizeof(word0));
		if (rc)
			return rc;
		smmuv3_asids_add(set, smmuv3_cd_asid(word0) & mask);
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cdtab_collect);
