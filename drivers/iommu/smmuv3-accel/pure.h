/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be said of STEs and commands without any state: these functions
 * look at their arguments alone, and take and give CPU-endian words.
 */
#ifndef _SMMUV3_ACCEL_PURE_H
#define _SMMUV3_ACCEL_PURE_H

#include <linux/types.h>
#include <uapi/linux/smmuv3_accel.h>

/**
 * struct smmuv3_caps - What an SMMU implements, where a guest can tell
 * @ssid_bits: SMMU_IDR1.SSIDSIZE
 * @asid16: ASIDs have 16 bits, not 8
 * @cd2l: 2-level CD tables
 * @ats: ATS
 * @ril: range invalidation
 * @ds: the encodings that come with 52-bit addresses in 4K and 16K granules
 * @stall_both: the stall model is chosen for each STE and CD
 */
struct smmuv3_caps {
	u8 ssid_bits;
	bool asid16 : 1;
	bool cd2l : 1;
	bool ats : 1;
	bool ril : 1;
	bool ds : 1;
	bool stall_both : 1;
};

/**
 * struct smmuv3_ste - An STE as this module understands it
 * @kind: what it makes of the stream
 * @reason: why the stream aborts, SMMUV3_ACCEL_REASON_NONE where it does not
 * @data: for %SMMUV3_ACCEL_KIND_S1 the words to hand to the host, else 0
 */
struct smmuv3_ste {
	enum smmuv3_accel_kind kind;
	enum smmuv3_accel_reason reason;
	u64 data[2];
};

/**
 * enum smmuv3_cmd_class - What is to be done for a command
 * @SMMUV3_CMD_NOP: nothing: a hint
 * @SMMUV3_CMD_SYNC: see to it that all before it is done
 * @SMMUV3_CMD_STE: read STEs anew
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

void smmuv3_caps_from_idr(struct smmuv3_caps *caps, const u32 idr[6]);
void smmuv3_caps_meet(struct smmuv3_caps *caps, const struct smmuv3_caps *with);
bool smmuv3_idr_can_nest(const u32 idr[6], bool canwbs);

void smmuv3_ste_decode(struct smmuv3_ste *out, const u64 ste[8],
		       const struct smmuv3_caps *caps);
bool smmuv3_ste_same(const struct smmuv3_ste *a, const struct smmuv3_ste *b);

enum smmuv3_accel_reason smmuv3_cmd_check(const u64 cmd[2],
					  const struct smmuv3_caps *caps,
					  enum smmuv3_cmd_class *class);
#endif
