/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The architecture's structures as tables: Arm IHI 0070, chapters 4 to 7.
 */
#ifndef ACCELCTL_FIELD_H
#define ACCELCTL_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/**
 * struct field - A field of a structure
 * @name: the architecture's name; NULL ends a table
 * @high: its last bit, counted from the structure's first
 * @low: its first bit, in the same 64-bit word
 * @kind: how its value is written
 * @always: shown even if it is 0
 * @values: meaning of each value, for %FIELD_NAMED; NULL: a reserved value
 * @effect: what the module does with it in a legal command, if not the usual
 */
struct field {
	const char *name;
	unsigned short high;
	unsigned short low;
	enum {
		FIELD_PLAIN,
		FIELD_ADDRESS,	/* bits of an address, in their places */
		FIELD_NAMED,
	} kind;
	bool always;
	const char * const *values;
	const char *effect;
};

/**
 * struct shape - A command or an event record
 * @number: the opcode or event number
 * @name: the architecture's name
 * @text: what it means
 * @fields: its fields
 */
struct shape {
	unsigned char number;
	const char *name;
	const char *text;
	const struct field *fields;
};

extern const struct field ste_fields[];
extern const struct field idr_fields[];
extern const struct shape cmd_shapes[];
extern const size_t cmd_shape_num;
extern const struct shape event_shapes[];
extern const size_t event_shape_num;

/**
 * field_mask() - Mask of a field
 * @field: the field
 *
 * Return: its bits in word @low / 64.
 */
static inline __u64 field_mask(const struct field *field)
{
	unsigned int high = field->high % 64, low = field->low % 64;

	return (~0ULL << low) & (~0ULL >> (63 - high));
}

#endif
