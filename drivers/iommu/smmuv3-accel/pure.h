/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks of STEs, commands and ID registers that need no state: these functions
 * depend only on their arguments. Words are CPU-endian.
 */
#ifndef _SMMUV3_ACCEL_PURE_H
#define _SMMUV3_ACCEL_PURE_H

#include <linux/nospec.h>
#include <linux/types.h>
#include <uapi/linux/smmuv3_accel.h>

/* One more than the highest opcode that a guest may use: CMD_SYNC */
#define SMMUV3_CMD_OPCODES	0x47

/**
 * struct smmuv3_caps - Features of an SMMU that matter to STEs and commands
 * @sid_bits: SMMU_IDR1.SIDSIZE
 * @ssid_bits: SMMU_IDR1.SSIDSIZE
 * @asid16: ASIDs have 16 bits, not 8
 * @cd2l: 2-level CD tables
 * @ats: ATS
 * @ril: range invalidation
 * @ds: the encodings that come with 52-bit addresses in 4K and 16K granules
 * @s1stalld: STE.S1STALLD may be set
 * @stall_both: each STE and CD chooses whether faults stall or terminate
 */
struct smmuv3_caps {
	u8 sid_bits;
	u8 ssid_bits;
	bool asid16 : 1;
	bool cd2l : 1;
	bool ats : 1;
	bool ril : 1;
	bool ds : 1;
	bool s1stalld : 1;
	bool stall_both : 1;
};

/**
 * struct smmuv3_ste - A decoded STE
 * @kind: what the stream does
 * @reason: why the stream aborts; %SMMUV3_ACCEL_REASON_NONE if it does not
 * @data: for %SMMUV3_ACCEL_KIND_S1, the words for the host; otherwise 0
 */
struct smmuv3_ste {
	enum smmuv3_accel_kind kind;
	enum smmuv3_accel_reason reason;
	u64 data[2];
};

/**
 * enum smmuv3_cmd_class - What the module does for a command
 * @SMMUV3_CMD_NOP: nothing, because the command is a hint
 * @SMMUV3_CMD_SYNC: complete all commands before it
 * @SMMUV3_CMD_STE: read STEs again
 * @SMMUV3_CMD_CD: invalidate cached CDs, for one StreamID
 * @SMMUV3_CMD_TLBI: invalidate TLB entries, on each SMMU
 * @SMMUV3_CMD_ATC: invalidate a device's ATC, for one StreamID
 */
enum smmuv3_cmd_class {
	SMMUV3_CMD_NOP,
	SMMUV3_CMD_SYNC,
	SMMUV3_CMD_STE,
	SMMUV3_CMD_CD,
	SMMUV3_CMD_TLBI,
	SMMUV3_CMD_ATC,
};

/**
 * struct smmuv3_cmd_rules - Results of smmuv3_cmd_check() for simple commands
 * @op: for each opcode, the class, and the bits that a simple command must not have
 */
struct smmuv3_cmd_rules {
	struct {
		u64 unusual[2];
		enum smmuv3_cmd_class class;
	} op[SMMUV3_CMD_OPCODES];
};

void smmuv3_caps_from_idr(struct smmuv3_caps *caps, const u32 idr[6]);
void smmuv3_caps_meet(struct smmuv3_caps *caps, const struct smmuv3_caps *with);
bool smmuv3_idr_can_nest(const u32 idr[6], bool canwbs);
bool smmuv3_idr_check(const u32 idr[6], u32 bad[6]);
void smmuv3_idr_meet(u32 idr[6], const u32 with[6]);
bool smmuv3_idr_fits(const u32 idr[6], const u32 host[6], u32 bad[6]);

void smmuv3_ste_decode(struct smmuv3_ste *out, const u64 ste[8],
		       const struct smmuv3_caps *caps);

/**
 * smmuv3_ste_same() - Whether two STEs need the same domain
 * @a: one STE
 * @b: the other
 *
 * Return: true if they do.
 */
static inline bool smmuv3_ste_same(const struct smmuv3_ste *a, const struct smmuv3_ste *b)
{
	return a->kind == b->kind && a->data[0] == b->data[0] &&
	       a->data[1] == b->data[1];
}

/**
 * smmuv3_ste_is_bad() - Whether a stream aborts by a mistake in the guest
 * @reason: why it aborts
 *
 * V = 0, Config = abort and a missing level-2 table are no mistake: that is how a
 * driver disables a stream.
 *
 * Return: true if the VMM has to deliver C_BAD_STE or C_BAD_STREAMID to the guest.
 */
static inline bool smmuv3_ste_is_bad(enum smmuv3_accel_reason reason)
{
	return (reason >= SMMUV3_ACCEL_REASON_STE_CONFIG &&
		reason <= SMMUV3_ACCEL_REASON_STE_UNREADABLE) ||
	       reason == SMMUV3_ACCEL_REASON_STE_S1STALLD;
}

void smmuv3_cmd_make_rules(struct smmuv3_cmd_rules *rules,
			   const struct smmuv3_caps *caps);

/**
 * smmuv3_cmd_is_simple() - Whether a command is legal by the prepared rules
 * @rules: from smmuv3_cmd_make_rules(), for the vSMMU's capabilities
 * @cmd: the command's two words
 * @class: set to what the module does for the command, if it is simple
 *
 * Return: true if smmuv3_cmd_check() would accept the command, and smmuv3_cmd_rewrite()
 * would not change it. If false, they have to decide.
 */
static inline bool smmuv3_cmd_is_simple(const struct smmuv3_cmd_rules *rules,
					const u64 cmd[2],
					enum smmuv3_cmd_class *class)
{
	u8 op = cmd[0];

	/* A command of zeros is illegal, but has no bit that could be unusual. */
	if (!op || op >= SMMUV3_CMD_OPCODES)
		return false;
	op = array_index_nospec(op, SMMUV3_CMD_OPCODES);
	*class = rules->op[op].class;
	return !((cmd[0] & rules->op[op].unusual[0]) |
		 (cmd[1] & rules->op[op].unusual[1]));
}

enum smmuv3_accel_reason smmuv3_cmd_check(const u64 cmd[2],
					  const struct smmuv3_caps *caps,
					  enum smmuv3_cmd_class *class);
bool smmuv3_cmd_rewrite(u64 cmd[2], const struct smmuv3_caps *caps);
#endif
