// SPDX-License-Identifier: GPL-2.0
/*
 * Results: objects, arrays and values, as indented text or as JSON (RFC 8259) with
 * one line for each result.
 *
 * Any user can choose the name of a process. Its bytes must neither break JSON, which
 * is UTF-8, nor reach a terminal as control characters.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

#define DEPTH_MAX	8
#define NOTE_MAX	16

bool json;

static struct level {
	bool array;
	bool empty;
} levels[DEPTH_MAX];
static int depth;
static bool dash;	/* the next line is the first of an element of an array */

static char *notes[NOTE_MAX];
static int note_num;

/* Length of the UTF-8 sequence at the start of @text; 0: there is none */
static size_t utf8_len(const unsigned char *text, size_t room)
{
	static const struct {
		unsigned char mask, lead;
		__u32 least;
	} form[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};
	size_t i, len;
	__u32 code;

	for (len = 1; len <= ARRAY_LEN(form); len++)
		if ((text[0] & form[len - 1].mask) == form[len - 1].lead)
			break;
	if (len > ARRAY_LEN(form) || len > room)
		return 0;
	code = text[0] & ~form[len - 1].mask & 0xff;
	for (i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	/* No overlong forms, no surrogates, no C1 controls */
	if (code < form[len - 1].least || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff) || (code >= 0x80 && code < 0xa0))
		return 0;
	return len;
}

/**
 * print_clean() - Print text of unknown origin
 * @text: the text
 * @len: how long it is
 */
void print_clean(const char *text, size_t len)
{
	size_t i, step;

	for (i = 0; i < len; i += step) {
		unsigned char c = text[i];

		step = utf8_len((const unsigned char *)text + i, len - i);
		if (!step) {
			step = 1;
			fputs("\357\277\275", stdout);	/* U+FFFD */
		} else if (c < 0x20 || c == 0x7f) {
			printf(json ? "\\u%04x" : "\\x%02x", c);
		} else if (json && (c == '"' || c == '\\')) {
			printf("\\%c", c);
		} else {
			fwrite(text + i, 1, step, stdout);
		}
	}
}

static void print_json_string(const char *text)
{
	putchar('"');
	print_clean(text, strlen(text));
	putchar('"');
}

static void start_member(const char *key)
{
	struct level *level = &levels[depth];
	int i;

	if (json) {
		if (!level->empty)
			putchar(',');
		if (key) {
			print_json_string(key);
			putchar(':');
		}
	} else {
		if (level->array && level->empty)
			putchar('\n');
		for (i = 1; i < depth; i++)
			fputs(dash && i == depth - 1 ? "- " : "  ", stdout);
		dash = false;
		if (level->array)
			fputs("- ", stdout);
		if (key)
			printf("%s:", key);
	}
	level->empty = false;
}

static void enter(bool array)
{
	if (depth + 1 >= DEPTH_MAX)
		abort();
	levels[++depth] = (struct level){ .array = array, .empty = true };
}

/**
 * out_object() - Start an object
 * @key: its name, NULL in an array
 */
void out_object(const char *key)
{
	if (json) {
		start_member(key);
		putchar('{');
	} else if (key) {
		start_member(key);
		putchar('\n');
	} else {
		if (levels[depth].empty)
			putchar('\n');
		levels[depth].empty = false;
		dash = true;
	}
	enter(false);
}

/**
 * out_array() - Start an array
 * @key: its name
 */
void out_array(const char *key)
{
	start_member(key);
	if (json)
		putchar('[');
	enter(true);
}

/**
 * out_end() - End the innermost object or array
 */
void out_end(void)
{
	struct level *level = &levels[depth--];

	if (json)
		putchar(level->array ? ']' : '}');
	else if (level->array && level->empty)
		fputs(" none\n", stdout);
}

static void print_value(const char *key, const char *text)
{
	start_member(key);
	if (key && !json)
		putchar(' ');
	fputs(text, stdout);
	if (!json)
		putchar('\n');
}

/**
 * out_string() - A string
 * @key: its name, NULL in an array
 * @format: as for printf()
 */
void out_string(const char *key, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		die(EXIT_TROUBLE, "out of memory");
	va_end(args);
	start_member(key);
	if (json) {
		print_json_string(text);
	} else {
		if (key)
			putchar(' ');
		print_clean(text, strlen(text));
		putchar('\n');
	}
	free(text);
}

void out_number(const char *key, __u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", value);
	print_value(key, text);
}

/**
 * out_ratio() - The ratio of two numbers
 * @key: the ratio's name
 * @part: the numerator
 * @whole: the denominator; if it is 0 the ratio is unknown
 * @scale: 1, or 100 for percent
 */
void out_ratio(const char *key, __u64 part, __u64 whole, unsigned int scale)
{
	char text[64];

	if (!whole) {
		out_unknown(key);
		return;
	}
	snprintf(text, sizeof(text), "%.*f", scale == 1 ? 3 : 1,
		 (double)scale * part / whole);
	print_value(key, text);
}

void out_decimal(const char *key, double value)
{
	char text[32];

	/* JSON has no infinity. */
	if (!isfinite(value)) {
		out_unknown(key);
		return;
	}
	snprintf(text, sizeof(text), "%.6g", value);
	print_value(key, text);
}

void out_bool(const char *key, bool value)
{
	if (json)
		print_value(key, value ? "true" : "false");
	else
		print_value(key, value ? "yes" : "no");
}

void out_unknown(const char *key)
{
	print_value(key, json ? "null" : "unknown");
}

/**
 * note() - Add a note that says what the result lacks, and why
 * @format: as for printf()
 *
 * Notes are part of a JSON result. Without JSON they go to standard error.
 */
void note(const char *format, ...)
{
	va_list args;

	if (note_num == NOTE_MAX)
		return;
	va_start(args, format);
	if (vasprintf(&notes[note_num], format, args) < 0)
		die(EXIT_TROUBLE, "out of memory");
	va_end(args);
	note_num++;
}

/**
 * out_start() - Start a result
 */
void out_start(void)
{
	if (json)
		putchar('{');
	depth = 1;
	levels[1] = (struct level){ .empty = true };
}

/**
 * out_finish() - End a result, and exit if it could not be written
 */
void out_finish(void)
{
	int i;

	if (json) {
		out_array("notes");
		for (i = 0; i < note_num; i++)
			out_string(NULL, "%s", notes[i]);
		out_end();
		fputs("}\n", stdout);
	}
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_TROUBLE, "cannot write the result: %m");
	for (i = 0; i < note_num; i++) {
		if (!json)
			fprintf(stderr, "note: %s\n", notes[i]);
		free(notes[i]);
	}
	note_num = 0;
}
