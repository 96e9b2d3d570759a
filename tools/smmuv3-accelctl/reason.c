// SPDX-License-Identifier: GPL-2.0
/*
 * enum smmuv3_accel_reason in the words of its kernel-doc. scripts/reasons.awk
 * generates reasons.inc from that.
 */
#include <stdio.h>

#include "accelctl.h"

static const struct {
	__u32 reason;
	const char *name;
	const char *text;
} reasons[] = {
#define REASON(_name, _text) { SMMUV3_ACCEL_REASON_##_name, #_name, _text },
#include "reasons.inc"
#undef REASON
};

/**
 * reason_name() - Name of a reason in the header
 * @reason: one of enum smmuv3_accel_reason
 *
 * Return: its name, or a number if this program does not know it.
 */
const char *reason_name(__u32 reason)
{
	static char number[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	snprintf(number, sizeof(number), "%u", reason);
	return number;
}

/**
 * reason_text() - What a reason means
 * @reason: one of enum smmuv3_accel_reason
 *
 * Return: a sentence or two.
 */
const char *reason_text(__u32 reason)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].text;
	return "The module is newer than this program, which does not know the reason.";
}
