// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What went wrong, in words.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* The words are those of the comments in linux/smmuv3_accel.h and vsmmu_types.h. */
static const struct {
	uint32_t reason;
	const char *text;
} reasons[] = {
#define REASON(_name, _text) { SMMUV3_ACCEL_REASON_##_name, _text },
#include "reasons.inc"
#undef REASON
#define REASON(_name, _text) { VSMMU_REASON_##_name, _text },
#include "own-reasons.inc"
#undef REASON
};

const char *vsmmu_reason_string(uint32_t reason)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].text;
	return "This version of the library does not know the reason.";
}

static const char *request_name(unsigned long request)
{
	switch (request) {
	case SMMUV3_ACCEL_GET_INFO:
		return "GET_INFO: ";
	case SMMUV3_ACCEL_CREATE:
		return "CREATE: ";
	case SMMUV3_ACCEL_SET_IDR:
		return "SET_IDR: ";
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		return "SET_MEM_TABLE: ";
	case SMMUV3_ACCEL_ATTACH:
		return "ATTACH: ";
	case SMMUV3_ACCEL_DETACH:
		return "DETACH: ";
	case SMMUV3_ACCEL_GET_PHYS:
		return "GET_PHYS: ";
	case SMMUV3_ACCEL_GET_STREAM:
		return "GET_STREAM: ";
	case SMMUV3_ACCEL_SET_REGS:
		return "SET_REGS: ";
	case SMMUV3_ACCEL_RUN_CMDQ:
		return "RUN_CMDQ: ";
	case SMMUV3_ACCEL_RESET:
		return "RESET: ";
	case SMMUV3_ACCEL_SET_VSIDS:
		return "SET_VSIDS: ";
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		return "CHANGE_PROCESS: ";
	default:
		return "";
	}
}

/* Fields of SMMU_IDR0 to SMMU_IDR5 (6.3.1 to 6.3.6); IDR4 has none */
static const struct {
	uint8_t reg;
	uint8_t hi;
	uint8_t lo;
	const char *name;
} fields[] = {
	{ 0, 0, 0, "S2P" }, { 0, 1, 1, "S1P" }, { 0, 3, 2, "TTF" },
	{ 0, 4, 4, "COHACC" }, { 0, 5, 5, "BTM" }, { 0, 7, 6, "HTTU" },
	{ 0, 8, 8, "DORMHINT" }, { 0, 9, 9, "HYP" }, { 0, 10, 10, "ATS" },
	{ 0, 11, 11, "NS1ATS" }, { 0, 12, 12, "ASID16" }, { 0, 13, 13, "MSI" },
	{ 0, 14, 14, "SEV" }, { 0, 15, 15, "ATOS" }, { 0, 16, 16, "PRI" },
	{ 0, 17, 17, "VMW" }, { 0, 18, 18, "VMID16" }, { 0, 19, 19, "CD2L" },
	{ 0, 20, 20, "VATOS" }, { 0, 22, 21, "TTENDIAN" },
	{ 0, 23, 23, "ATSRECERR" }, { 0, 25, 24, "STALL_MODEL" },
	{ 0, 26, 26, "TERM_MODEL" }, { 0, 28, 27, "ST_LEVEL" },
	{ 0, 30, 30, "RME_IMPL" },
	{ 1, 5, 0, "SIDSIZE" }, { 1, 10, 6, "SSIDSIZE" }, { 1, 15, 11, "PRIQS" },
	{ 1, 20, 16, "EVENTQS" }, { 1, 25, 21, "CMDQS" },
	{ 1, 26, 26, "ATTR_PERMS_OVR" }, { 1, 27, 27, "ATTR_TYPES_OVR" },
	{ 1, 28, 28, "REL" }, { 1, 29, 29, "QUEUES_PRESET" },
	{ 1, 30, 30, "TABLES_PRESET" }, { 1, 31, 31, "ECMDQ" },
	{ 2, 9, 0, "BA_VATOS" },
	{ 3, 2, 2, "HAD" }, { 3, 3, 3, "PBHA" }, { 3, 4, 4, "XNX" },
	{ 3, 5, 5, "PPS" }, { 3, 7, 7, "MPAM" }, { 3, 8, 8, "FWB" },
	{ 3, 9, 9, "STT" }, { 3, 10, 10, "RIL" }, { 3, 12, 11, "BBML" },
	{ 3, 13, 13, "E0PD" }, { 3, 14, 14, "PTWNNC" }, { 3, 15, 15, "DPT" },
	{ 5, 2, 0, "OAS" }, { 5, 4, 4, "GRAN4K" }, { 5, 5, 5, "GRAN16K" },
	{ 5, 6, 6, "GRAN64K" }, { 5, 7, 7, "DS" }, { 5, 8, 8, "D128" },
	{ 5, 11, 10, "VAX" }, { 5, 31, 16, "STALL_MAX" },
};

/**
 * struct text - A text that grows in a buffer
 * @buf: where
 * @len: how much room there is
 * @at: how long it is
 * @names: how many field names it has
 */
struct text {
	char *buf;
	size_t len;
	size_t at;
	unsigned int names;
};

static void append(struct text *text, const char *more)
{
	int n;

	if (text->at >= text->len)
		return;
	n = snprintf(text->buf + text->at, text->len - text->at, "%s", more);
	text->at += n > 0 ? n : 0;
}

/* Append a name, or "..." if there is no room for it and @reserve: returns false. */
static bool append_name(struct text *text, const char *name, size_t reserve)
{
	static const char more[] = ", ...";

	if (text->names &&
	    text->at + 2 + strlen(name) + sizeof(more) + reserve > text->len) {
		append(text, more);
		return false;
	}
	if (text->names++)
		append(text, ", ");
	append(text, name);
	return true;
}

/* Append the names of refused fields, as many as leave room for @reserve bytes. */
static void append_fields(struct text *text, const uint32_t bad_idr[6],
			  size_t reserve)
{
	uint32_t left[6];
	char name[40];
	unsigned int i;

	memcpy(left, bad_idr, sizeof(left));
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		uint32_t mask = BITS(fields[i].hi, fields[i].lo);

		if (!(left[fields[i].reg] & mask))
			continue;
		left[fields[i].reg] &= ~mask;
		snprintf(name, sizeof(name), "SMMU_IDR%u.%s", fields[i].reg,
			 fields[i].name);
		if (!append_name(text, name, reserve))
			return;
	}
	for (i = 0; i < ARRAY_SIZE(left); i++) {
		if (!left[i])
			continue;
		snprintf(name, sizeof(name), "SMMU_IDR%u bits %#x", i, left[i]);
		if (!append_name(text, name, reserve))
			return;
	}
}

static bool is_about_region(uint32_t reason)
{
	switch (reason) {
	case SMMUV3_ACCEL_REASON_REGION_EMPTY:
	case SMMUV3_ACCEL_REASON_REGION_RANGE:
	case SMMUV3_ACCEL_REASON_REGION_OVERLAP:
	case VSMMU_REASON_REGION_FLAGS:
	case VSMMU_REASON_REGION_RESERVED:
		return true;
	default:
		return false;
	}
}

static bool is_about_idr(uint32_t reason)
{
	return reason == SMMUV3_ACCEL_REASON_IDR_ILLEGAL ||
	       reason == SMMUV3_ACCEL_REASON_IDR_HOST ||
	       reason == SMMUV3_ACCEL_REASON_IDR_OFFERED;
}

const char *vsmmu_strerror(const struct vsmmu_error *error, char *buf,
			   size_t len)
{
	struct text text = { .buf = buf, .len = len };
	char sentence[384], region[24];

	if (error->reason)
		snprintf(sentence, sizeof(sentence), "%s (%s)",
			 vsmmu_reason_string(error->reason),
			 strerror(-error->error));
	else
		snprintf(sentence, sizeof(sentence), "%s",
			 strerror(-error->error));
	append(&text, request_name(error->request));
	if (is_about_idr(error->reason))
		append_fields(&text, error->bad_idr, strlen(sentence) + 2);
	if (text.names)
		append(&text, ": ");
	if (is_about_region(error->reason)) {
		snprintf(region, sizeof(region), "region %u: ", error->bad_region);
		append(&text, region);
	}
	append(&text, sentence);
	return buf;
}
