// SPDX-License-Identifier: GPL-2.0
/*
 * The module's judgement of STEs, commands and ID registers, by its own code: the
 * module's ste.c, cmd.c and idr.c are linked into this program.
 */
#include <stdio.h>
#include <string.h>

#include "arch.h"
#include "pure.h"

#include "judge.h"

#define SSID_BITS_MAX	20

/*
 * All that a guest may be offered, except stall_both: the guest does not choose
 * STE.S1STALLD in the host's STE. The words that "list" shows may have it.
 */
static struct smmuv3_caps caps = {
	.sid_bits = 32,
	.ssid_bits = SSID_BITS_MAX,
	.asid16 = true,
	.cd2l = true,
	.ats = true,
	.ril = true,
	.ds = true,
	.s1stalld = true,
};

static bool given;	/* @caps are those of the SMMU with @given_idr */
static __u32 given_idr[6];

/**
 * judge_by() - Judge for the given SMMU, not for one that has all options
 * @idr: its SMMU_IDR0 to SMMU_IDR5
 */
void judge_by(const __u32 idr[6])
{
	smmuv3_caps_from_idr(&caps, idr);
	memcpy(given_idr, idr, sizeof(given_idr));
	given = true;
}

void judge_ste(struct judgement *result, const __u64 ste[8])
{
	struct smmuv3_ste decoded;

	smmuv3_ste_decode(&decoded, ste, &caps);
	*result = (struct judgement){
		.reason = decoded.reason,
		.legal = !smmuv3_ste_is_bad(decoded.reason),
		.kind = decoded.kind,
		.host = { decoded.data[0], decoded.data[1] },
	};
}

static const char *class_text(enum smmuv3_cmd_class class)
{
	switch (class) {
	case SMMUV3_CMD_NOP:
		return "does nothing: it is a hint";
	case SMMUV3_CMD_SYNC:
		return "completes it after the commands before it";
	case SMMUV3_CMD_STE:
		return "reads the STEs again in table mode; else the VMM does (CMD_NEEDS_TABLE)";
	case SMMUV3_CMD_CD:
		return "sends it to the stream's physical SMMU";
	case SMMUV3_CMD_TLBI:
		return "sends it to each physical SMMU of the vSMMU that may hold what it removes";
	case SMMUV3_CMD_ATC:
		return "sends it to the stream, if its STE has EATS";
	}
	return "";
}

/* Find the bits that are refused regardless of the others: try each alone. */
static void find_wrong(struct judgement *result, const __u64 cmd[2])
{
	enum smmuv3_cmd_class class;
	int bit;

	for (bit = 8; bit < 128; bit++) {
		__u64 one = cmd[bit / 64] & BIT_ULL(bit % 64);
		__u64 alone[2] = { cmd[0] & CMD_0_OP, 0 };

		alone[bit / 64] |= one;
		if (one && smmuv3_cmd_check(alone, &caps, &class) ==
			   SMMUV3_ACCEL_REASON_CMD_RESERVED)
			result->wrong[bit / 64] |= one;
	}
}

void judge_cmd(struct judgement *result, const __u64 cmd[2])
{
	enum smmuv3_cmd_class class = SMMUV3_CMD_NOP;

	*result = (struct judgement){
		.reason = smmuv3_cmd_check(cmd, &caps, &class),
	};
	result->legal = !result->reason;
	if (result->legal) {
		result->what = class_text(class);
		result->hint = class == SMMUV3_CMD_NOP;
		result->host[0] = cmd[0];
		result->host[1] = cmd[1];
		result->rewritten = smmuv3_cmd_rewrite(result->host, &caps);
	} else if (result->reason == SMMUV3_ACCEL_REASON_CMD_RESERVED) {
		find_wrong(result, cmd);
	}
}

void judge_idr(struct judgement *result, const __u64 idr[6])
{
	__u32 guest[6], bad[6] = {};
	int i;

	for (i = 0; i < 6; i++)
		guest[i] = idr[i];
	*result = (struct judgement){};
	if (!smmuv3_idr_check(guest, bad))
		result->reason = SMMUV3_ACCEL_REASON_IDR_ILLEGAL;
	else if (given && !smmuv3_idr_fits(guest, given_idr, bad))
		result->reason = SMMUV3_ACCEL_REASON_IDR_HOST;
	result->legal = !result->reason;
	for (i = 0; i < 6; i++)
		result->wrong[i] = bad[i];
}

/* Whether an STE is legal, and does for an SMMU with less what it does with all options */
static bool ste_is_same(const __u64 *ste, const struct smmuv3_caps *with)
{
	struct smmuv3_ste decoded, full;

	smmuv3_ste_decode(&full, ste, &caps);
	smmuv3_ste_decode(&decoded, ste, with);
	return !smmuv3_ste_is_bad(decoded.reason) && smmuv3_ste_same(&decoded, &full);
}

static bool cmd_is_same(const __u64 *cmd, const struct smmuv3_caps *with)
{
	__u64 less[2] = { cmd[0], cmd[1] }, full[2] = { cmd[0], cmd[1] };
	enum smmuv3_cmd_class class;

	if (smmuv3_cmd_check(cmd, with, &class))
		return false;
	smmuv3_cmd_rewrite(full, &caps);
	smmuv3_cmd_rewrite(less, with);
	return less[0] == full[0] && less[1] == full[1];
}

static void add(char *needs, size_t size, const char *name, unsigned int least)
{
	size_t len = strlen(needs);

	if (least > 1)
		snprintf(needs + len, size - len, "%s%s >= %u", len ? ", " : "",
			 name, least);
	else
		snprintf(needs + len, size - len, "%s%s", len ? ", " : "", name);
}

/* Take each option away in turn: if that makes a difference, it needs the option. */
static void find_needs(const __u64 *words,
		       bool (*is_same)(const __u64 *words,
				       const struct smmuv3_caps *with),
		       char *needs, size_t size)
{
	struct smmuv3_caps less;

	needs[0] = '\0';
	if (given || !is_same(words, &caps))
		return;

#define NEEDS(_cap, _name) do {					\
		less = caps;					\
		less._cap = false;				\
		if (!is_same(words, &less))			\
			add(needs, size, _name, 1);		\
	} while (0)
	NEEDS(cd2l, "SMMU_IDR0.CD2L");
	NEEDS(asid16, "SMMU_IDR0.ASID16");
	NEEDS(ats, "SMMU_IDR0.ATS");
	NEEDS(ril, "SMMU_IDR3.RIL");
	NEEDS(ds, "SMMU_IDR5.DS");
	NEEDS(s1stalld, "SMMU_IDR0.STALL_MODEL 0b00");
#undef NEEDS

	less = caps;
	less.ssid_bits = 0;
	while (!is_same(words, &less))
		less.ssid_bits++;
	if (less.ssid_bits)
		add(needs, size, "SMMU_IDR1.SSIDSIZE", less.ssid_bits);
}

void judge_ste_needs(const __u64 ste[8], char *needs, size_t size)
{
	find_needs(ste, ste_is_same, needs, size);
}

void judge_cmd_needs(const __u64 cmd[2], char *needs, size_t size)
{
	find_needs(cmd, cmd_is_same, needs, size);
}
