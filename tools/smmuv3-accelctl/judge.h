/* SPDX-License-Identifier: GPL-2.0 */
/* The module's judgement of STEs, commands and ID registers, by its own code. */
#ifndef ACCELCTL_JUDGE_H
#define ACCELCTL_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/**
 * struct judgement - The judgement of an STE, a command or a guest's ID registers
 * @reason: one of enum smmuv3_accel_reason
 * @legal: nothing is wrong
 * @kind: of an STE, one of enum smmuv3_accel_kind
 * @host: of an STE that translates, or of a legal command, what the host is given
 * @rewritten: of a command, that is not the command itself
 * @what: of a legal command, what the module does
 * @hint: of a legal command, its operands are not used
 * @wrong: of a command, the bits that must be zero; of each ID register, the fields
 *	that are refused
 */
struct judgement {
	__u32 reason;
	bool legal;
	__u32 kind;
	__u64 host[2];
	bool rewritten;
	const char *what;
	bool hint;
	__u64 wrong[6];
};

void judge_by(const __u32 idr[6]);
void judge_ste(struct judgement *result, const __u64 ste[8]);
void judge_cmd(struct judgement *result, const __u64 cmd[2]);
void judge_idr(struct judgement *result, const __u64 idr[6]);

/*
 * @needs: set to the SMMU options without which the STE or command is illegal or means
 * something else, or to ""
 */
void judge_ste_needs(const __u64 ste[8], char *needs, size_t size);
void judge_cmd_needs(const __u64 cmd[2], char *needs, size_t size);

#endif
