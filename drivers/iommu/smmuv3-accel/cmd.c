// SPDX-License-Identifier: GPL-2.0
/*
 * Command queue entries: decode, validate, classify.
 */
#include <kunit/visibility.h>
#include <linux/build_bug.h>
#include <linux/export.h>

#include "arch.h"
#include "pure.h"

static u64 asid_mask(const struct smmuv3_caps *caps)
{
	return FIELD_PREP(TLBI_0_ASID,
			  caps->asid16 ? TLBI_ASID_16BIT : TLBI_ASID_8BIT);
}

/*
 * 4.4.1: TG = 0 says that the command is no range invalidation, NUM, SCALE and
 * TTL are RES0 then. With a TG, NUM = SCALE = TTL = 0 is reserved. TTL = 1 for
 * 16K has no meaning without SMMU_IDR5.DS, as there are no level-1 blocks; it
 * would act as TTL = 0, but the host's driver refuses it.
 */
static bool range_is_legal(const u64 cmd[2], const struct smmuv3_caps *caps)
{
	bool range = cmd[0] & (TLBI_0_NUM | TLBI_0_SCALE);
	u64 ttl = FIELD_GET(TLBI_1_TTL, cmd[1]);
	u64 tg = FIELD_GET(TLBI_1_TG, cmd[1]);

	if (!tg)
		return !range && !ttl;
	if (tg == TLBI_TG_16K && ttl == 1 && !caps->ds)
		return false;
	return range || ttl;
}

/**
 * smmuv3_cmd_check() - Whether a guest may use a command, and what for
 * @cmd: the command's two words
 * @caps: what the virtual SMMU offers
 * @class: what is to be done for it; set where the command is legal
 *
 * Legal is what can be carried out exactly: for a command that goes on to the
 * host, each bit is one that the host's driver accepts as well, so that it
 * never meets a bad command in the middle of a batch. VMIDs are accepted,
 * though RES0 for an SMMU without stage 2: they mean nothing, the host puts in
 * its own.
 *
 * Return: %SMMUV3_ACCEL_REASON_NONE or the rule that the command breaks, which
 * is a CERROR_ILL for the guest.
 */
enum smmuv3_accel_reason smmuv3_cmd_check(const u64 cmd[2],
					  const struct smmuv3_caps *caps,
					  enum smmuv3_cmd_class *class)
{
	u64 allowed[2] = { CMD_0_OP, 0 };

	switch (FIELD_GET(CMD_0_OP, cmd[0])) {
	case CMD_PREFETCH_CONFIG:
	case CMD_PREFETCH_ADDR:
		/* A hint. Its operands are not used, so they are not judged. */
		*class = SMMUV3_CMD_NOP;
		allowed[0] = ~CMD_0_SSEC;
		allowed[1] = ~0ULL;
		break;
	case CMD_SYNC:
		*class = SMMUV3_CMD_SYNC;
		if (FIELD_GET(SYNC_0_CS, cmd[0]) == SYNC_CS_RESERVED)
			return SMMUV3_ACCEL_REASON_CMD_RESERVED;
		/* The MSI fields are IGNORED without SMMU_IDR0.MSI (4.7.3) */
		allowed[0] |= SYNC_0_CS | SYNC_0_MSH | SYNC_0_MSIATTR |
			      SYNC_0_MSIDATA;
		allowed[1] |= SYNC_1_MSIADDRESS;
		break;
	case CMD_CFGI_STE:
		*class = SMMUV3_CMD_STE;
		allowed[0] |= CMD_0_SID;
		allowed[1] |= CFGI_1_LEAF;
		break;
	case CMD_CFGI_STE_RANGE:
		*class = SMMUV3_CMD_STE;
		allowed[0] |= CMD_0_SID;
		allowed[1] |= CFGI_1_RANGE;
		break;
	case CMD_CFGI_CD:
		*class = SMMUV3_CMD_CD;
		allowed[0] |= CMD_0_SID;
		if (caps->ssid_bits)
			allowed[0] |= CMD_0_SSID;
		allowed[1] |= CFGI_1_LEAF;
		break;
	case CMD_CFGI_CD_ALL:
		*class = SMMUV3_CMD_CD;
		allowed[0] |= CMD_0_SID;
		break;
	case CMD_TLBI_NH_ALL:
		*class = SMMUV3_CMD_TLBI;
		allowed[0] |= TLBI_0_VMID;
		break;
	case CMD_TLBI_NH_ASID:
		*class = SMMUV3_CMD_TLBI;
		allowed[0] |= TLBI_0_VMID | asid_mask(caps);
		break;
	case CMD_TLBI_NH_VA:
		allowed[0] |= asid_mask(caps);
		fallthrough;
	case CMD_TLBI_NH_VAA:
		*class = SMMUV3_CMD_TLBI;
		if (caps->ril) {
			if (!range_is_legal(cmd, caps))
				return SMMUV3_ACCEL_REASON_CMD_RANGE;
			allowed[0] |= TLBI_0_NUM;
			allowed[0] |= caps->ds ? TLBI_0_SCALE :
					FIELD_PREP(TLBI_0_SCALE, TLBI_SCALE_NO_DS);
			allowed[1] |= TLBI_1_TG | TLBI_1_TTL;
		}
		allowed[0] |= TLBI_0_VMID;
		allowed[1] |= TLBI_1_LEAF | TLBI_1_ADDRESS;
		break;
	case CMD_TLBI_NSNH_ALL:
		*class = SMMUV3_CMD_TLBI;
		break;
	case CMD_ATC_INV:
		*class = SMMUV3_CMD_ATC;
		if (!caps->ats)
			return SMMUV3_ACCEL_REASON_CMD_NO_ATS;
		if (FIELD_GET(ATC_INV_1_SIZE, cmd[1]) > ATC_INV_SIZE_ALL)
			return SMMUV3_ACCEL_REASON_CMD_ATC_SIZE;
		allowed[0] |= CMD_0_SID;
		if (caps->ssid_bits)
			allowed[0] |= CMD_0_SSV | CMD_0_SSID | ATC_INV_0_GLOBAL;
		allowed[1] |= ATC_INV_1_SIZE | ATC_INV_1_ADDRESS;
		break;
	default:
		return SMMUV3_ACCEL_REASON_CMD_OPCODE;
	}

	if ((cmd[0] & ~allowed[0]) || (cmd[1] & ~allowed[1]))
		return SMMUV3_ACCEL_REASON_CMD_RESERVED;
	return SMMUV3_ACCEL_REASON_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmd_check);

/* Fields in which bits that are legal one by one may not be together. */
static u64 joint_bits(u32 op, int word)
{
	if (op == CMD_SYNC && word == 0)
		return SYNC_0_CS & ~FIELD_PREP(SYNC_0_CS, SYNC_CS_IRQ);
	if (op == CMD_ATC_INV && word == 1)
		return ATC_INV_1_SIZE;
	return 0;
}

/**
 * smmuv3_cmd_make_rules() - Find out which commands are legal at first sight
 * @rules: the result
 * @caps: what the virtual SMMU offers
 *
 * A command is simple if it has only bits that are legal on their own. Range
 * invalidations are not: none of their bits is legal without others.
 */
void smmuv3_cmd_make_rules(struct smmuv3_cmd_rules *rules,
			   const struct smmuv3_caps *caps)
{
	enum smmuv3_cmd_class class;
	u32 op, bit;

	BUILD_BUG_ON(CMD_SYNC + 1 != SMMUV3_CMD_OPCODES);
	for (op = 0; op < SMMUV3_CMD_OPCODES; op++) {
		u64 *unusual = rules->op[op].unusual;
		u64 cmd[2] = { op, 0 };

		unusual[0] = ~0ULL;
		unusual[1] = ~0ULL;
		rules->op[op].class = SMMUV3_CMD_NOP;
		if (smmuv3_cmd_check(cmd, caps, &class))
			continue;
		rules->op[op].class = class;
		unusual[0] &= ~CMD_0_OP;
		for (bit = 8; bit < 128; bit++) {
			cmd[0] = op;
			cmd[1] = 0;
			cmd[bit / 64] |= BIT_ULL(bit % 64);
			if (!smmuv3_cmd_check(cmd, caps, &class))
				unusual[bit / 64] &= ~BIT_ULL(bit % 64);
		}
		unusual[0] |= joint_bits(op, 0);
		unusual[1] |= joint_bits(op, 1);
	}
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmd_make_rules);
