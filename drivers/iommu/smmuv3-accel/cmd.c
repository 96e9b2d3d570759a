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
 * Replace a reserved combination of TG, TTL, NUM and SCALE (4.4.1.1), which the host
 * driver refuses, by one that invalidates at least as much. A guest does not mean an
 * error by it: some versions of Linux send TG alone for a single page.
 */
static void range_rewrite(u64 cmd[2], const struct smmuv3_caps *caps)
{
	bool range = cmd[0] & (TLBI_0_NUM | TLBI_0_SCALE);
	u64 tg = FIELD_GET(TLBI_1_TG, cmd[1]);

	/* It is uncertain how long a range without a granule is, or with that SCALE. */
	if (range && (!tg || (FIELD_GET(TLBI_0_SCALE, cmd[0]) > TLBI_SCALE_NO_DS &&
			      !caps->ds))) {
		cmd[0] = CMD_TLBI_NH_ALL | (cmd[0] & TLBI_0_VMID);
		cmd[1] = 0;
		return;
	}
	/* Without DS there are no level-1 blocks for 16K. This TTL acts as 0. */
	if (tg == TLBI_TG_16K && FIELD_GET(TLBI_1_TTL, cmd[1]) == 1 && !caps->ds)
		cmd[1] &= ~TLBI_1_TTL;
	/* A single granule. Its address, at any level, invalidates all of it. */
	if (!range && (!tg || !(cmd[1] & TLBI_1_TTL)))
		cmd[1] &= ~(TLBI_1_TG | TLBI_1_TTL);
}

/**
 * enum cmd_needs - Further checks that some commands need
 * @CMD_ASID: it has an ASID, whose width depends on the SMMU
 * @CMD_RANGE: it may be a range invalidation, if the SMMU has them
 * @CMD_ATS: it exists only if the SMMU has ATS
 * @CMD_CS: it has CS, of which one value is reserved
 */
enum cmd_needs {
	CMD_ASID = BIT(0),
	CMD_RANGE = BIT(1),
	CMD_ATS = BIT(2),
	CMD_CS = BIT(3),
};

/**
 * struct cmd_rule - A command
 * @class: what the module does for it
 * @needs: combination of enum cmd_needs
 * @allowed: bits that may be set, besides the opcode
 * @ssid: further bits of the first word that may be set. They are ignored if there are
 *	no substreams
 * @refused: why no guest may use it, if it exists
 * @known: a guest may use it
 */
struct cmd_rule {
	enum smmuv3_cmd_class class;
	u32 needs;
	u64 allowed[2];
	u64 ssid;
	enum smmuv3_accel_reason refused;
	bool known;
};

#define RULE(_op, _class, _needs, _allowed0, _allowed1, _ssid)		\
	[_op] = {							\
		.class = _class,					\
		.needs = _needs,					\
		.allowed = { _allowed0, _allowed1 },			\
		.ssid = _ssid,						\
		.known = true,						\
	}

#define REFUSED(_op, _reason)						\
	[_op] = { .refused = SMMUV3_ACCEL_REASON_CMD_##_reason }

/*
 * Accept VMIDs, though they are RES0 for an SMMU without stage 2: the host replaces
 * them by its own. Ignore reserved bits of the commands that the module keeps, as 4.1.5
 * allows, except SSec, which is ILLEGAL (4.1.6): drivers leave some of them undefined.
 * Check those of the commands for the host, which refuses them. PREFETCH is a hint, so
 * its operands do not matter. The MSI of a CMD_SYNC is for the VMM to send, and its
 * fields are IGNORED without SMMU_IDR0.MSI (4.7.3).
 */
static const struct cmd_rule cmd_rules[SMMUV3_CMD_OPCODES] = {
	RULE(CMD_PREFETCH_CONFIG, SMMUV3_CMD_NOP, 0, ~CMD_0_SSEC, ~0ULL, 0),
	RULE(CMD_PREFETCH_ADDR, SMMUV3_CMD_NOP, 0, ~CMD_0_SSEC, ~0ULL, 0),
	RULE(CMD_CFGI_STE, SMMUV3_CMD_STE, 0, ~CMD_0_SSEC, ~0ULL, 0),
	RULE(CMD_CFGI_STE_RANGE, SMMUV3_CMD_STE, 0, ~CMD_0_SSEC, ~0ULL, 0),
	RULE(CMD_CFGI_CD, SMMUV3_CMD_CD, 0, CMD_0_SID, CFGI_1_LEAF,
	     CMD_0_SSID),
	RULE(CMD_CFGI_CD_ALL, SMMUV3_CMD_CD, 0, CMD_0_SID, 0, 0),
	RULE(CMD_TLBI_NH_ALL, SMMUV3_CMD_TLBI, 0, TLBI_0_VMID, 0, 0),
	RULE(CMD_TLBI_NH_ASID, SMMUV3_CMD_TLBI, CMD_ASID, TLBI_0_VMID, 0, 0),
	RULE(CMD_TLBI_NH_VA, SMMUV3_CMD_TLBI, CMD_ASID | CMD_RANGE, TLBI_0_VMID,
	     TLBI_1_LEAF | TLBI_1_ADDRESS, 0),
	RULE(CMD_TLBI_NH_VAA, SMMUV3_CMD_TLBI, CMD_RANGE, TLBI_0_VMID,
	     TLBI_1_LEAF | TLBI_1_ADDRESS, 0),
	REFUSED(CMD_TLBI_EL2_ALL, NO_HYP),
	REFUSED(CMD_TLBI_EL2_ASID, NO_HYP),
	REFUSED(CMD_TLBI_EL2_VA, NO_HYP),
	REFUSED(CMD_TLBI_EL2_VAA, NO_HYP),
	REFUSED(CMD_TLBI_S12_VMALL, NO_S2),
	REFUSED(CMD_TLBI_S2_IPA, NO_S2),
	RULE(CMD_TLBI_NSNH_ALL, SMMUV3_CMD_TLBI, 0, 0, 0, 0),
	RULE(CMD_ATC_INV, SMMUV3_CMD_ATC, CMD_ATS, CMD_0_SID,
	     ATC_INV_1_SIZE | ATC_INV_1_ADDRESS,
	     CMD_0_SSV | CMD_0_SSID | ATC_INV_0_GLOBAL),
	RULE(CMD_SYNC, SMMUV3_CMD_SYNC, CMD_CS, ~CMD_0_SSEC, ~0ULL, 0),
};

/* Find the rule for a command. Returns NULL if its opcode is too large for the table. */
static const struct cmd_rule *cmd_find_rule(const u64 cmd[2])
{
	u64 op = FIELD_GET(CMD_0_OP, cmd[0]);

	if (op >= SMMUV3_CMD_OPCODES)
		return NULL;
	return &cmd_rules[array_index_nospec(op, SMMUV3_CMD_OPCODES)];
}

/* Check the fields of a command, apart from bits that must be zero. */
static enum smmuv3_accel_reason cmd_check_fields(const u64 cmd[2], u32 needs,
						 const struct smmuv3_caps *caps)
{
	if ((needs & CMD_CS) && FIELD_GET(SYNC_0_CS, cmd[0]) == SYNC_CS_RESERVED)
		return SMMUV3_ACCEL_REASON_CMD_RESERVED;
	if ((needs & CMD_ATS) && !caps->ats)
		return SMMUV3_ACCEL_REASON_CMD_NO_ATS;
	if ((needs & CMD_ATS) &&
	    FIELD_GET(ATC_INV_1_SIZE, cmd[1]) > ATC_INV_SIZE_ALL)
		return SMMUV3_ACCEL_REASON_CMD_ATC_SIZE;
	return SMMUV3_ACCEL_REASON_NONE;
}

/**
 * smmuv3_cmd_check() - Whether a guest may use a command
 * @cmd: the command's two words
 * @caps: what the virtual SMMU offers
 * @class: set to what the module does for the command, if the opcode is known
 *
 * The check accepts only commands that the module can carry out, and that the host
 * driver accepts too, once smmuv3_cmd_rewrite() has seen them. So the host driver never
 * finds a bad command in the middle of a batch.
 *
 * Return: %SMMUV3_ACCEL_REASON_NONE, or the rule that the command breaks: a
 * CERROR_ILL for the guest.
 */
enum smmuv3_accel_reason smmuv3_cmd_check(const u64 cmd[2],
					  const struct smmuv3_caps *caps,
					  enum smmuv3_cmd_class *class)
{
	const struct cmd_rule *rule = cmd_find_rule(cmd);
	enum smmuv3_accel_reason reason;
	u64 allowed0, allowed1;

	if (!rule || !rule->known)
		return rule && rule->refused ? rule->refused :
					       SMMUV3_ACCEL_REASON_CMD_OPCODE;
	*class = rule->class;
	reason = cmd_check_fields(cmd, rule->needs, caps);
	if (reason)
		return reason;

	allowed0 = CMD_0_OP | rule->allowed[0] | rule->ssid;
	allowed1 = rule->allowed[1];
	if (rule->needs & CMD_ASID)
		allowed0 |= asid_mask(caps);
	if ((rule->needs & CMD_RANGE) && caps->ril) {
		allowed0 |= TLBI_0_NUM | TLBI_0_SCALE;
		allowed1 |= TLBI_1_TG | TLBI_1_TTL;
	}
	if ((cmd[0] & ~allowed0) || (cmd[1] & ~allowed1))
		return SMMUV3_ACCEL_REASON_CMD_RESERVED;
	return SMMUV3_ACCEL_REASON_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmd_check);

/**
 * smmuv3_cmd_rewrite() - Write a legal command as the host driver accepts it
 * @cmd: the command's two words, which smmuv3_cmd_check() accepts. If the host driver
 *	does not, set to a legal command that invalidates at least as much
 * @caps: what the virtual SMMU offers
 *
 * Without substreams SubstreamIDs are ignored (4.3.3, 4.5.1).
 *
 * Return: true if @cmd has changed.
 */
bool smmuv3_cmd_rewrite(u64 cmd[2], const struct smmuv3_caps *caps)
{
	const struct cmd_rule *rule = cmd_find_rule(cmd);
	const u64 before[2] = { cmd[0], cmd[1] };

	if (!caps->ssid_bits)
		cmd[0] &= ~rule->ssid;
	if (rule->needs & CMD_RANGE)
		range_rewrite(cmd, caps);
	return cmd[0] != before[0] || cmd[1] != before[1];
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmd_rewrite);

/* Fields in which each bit alone may be legal, but not all together. */
static u64 joint_bits(u32 op, int word)
{
	if (op == CMD_SYNC && word == 0)
		return SYNC_0_CS & ~FIELD_PREP(SYNC_0_CS, SYNC_CS_IRQ);
	if (op == CMD_ATC_INV && word == 1)
		return ATC_INV_1_SIZE;
	return 0;
}

/**
 * smmuv3_cmd_make_rules() - Prepare the rules for smmuv3_cmd_is_simple()
 * @rules: the result
 * @caps: what the virtual SMMU offers
 *
 * A command is simple if each of its bits is legal without the others, and the host
 * driver accepts it as it is. Range invalidations are not simple.
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
			if (!smmuv3_cmd_check(cmd, caps, &class) &&
			    !smmuv3_cmd_rewrite(cmd, caps))
				unusual[bit / 64] &= ~BIT_ULL(bit % 64);
		}
		unusual[0] |= joint_bits(op, 0);
		unusual[1] |= joint_bits(op, 1);
	}
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmd_make_rules);
