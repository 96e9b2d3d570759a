// SPDX-License-Identifier: GPL-2.0
/*
 * smmuv3-accelctl decode
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"
#include "field.h"
#include "judge.h"

#define WORD_MAX	8
#define INPUT_MAX	(1 << 20)	/* words */
#define SEPARATORS	" ,\t\r\n"

static bool all_fields;

/* Input: words, or bytes in the order of memory */

struct input {
	__u64 *words;
	size_t num;
	size_t room;
	bool bytes;
	size_t byte_num;
};

static void add_word(struct input *in, __u64 word)
{
	if (in->num == INPUT_MAX)
		die(EXIT_USAGE, "that is too much input, 8 MiB are taken");
	if (in->num == in->room) {
		in->room = in->room ? 2 * in->room : 64;
		in->words = reallocarray(in->words, in->room, sizeof(word));
		if (!in->words)
			die(EXIT_TROUBLE, "out of memory");
	}
	in->words[in->num++] = word;
}

static void take_word(struct input *in, const char *token)
{
	size_t digits = strlen(token);
	__u64 word;

	if (!strncasecmp(token, "0x", 2))
		digits -= 2;
	if (digits > 16 || !parse_u64(token, 16, ~0ULL, &word))
		die(EXIT_USAGE, "'%.32s' is not a 64-bit word in hex%s", token,
		    digits > 16 ? "; for bytes use --bytes" : "");
	add_word(in, word);
}

static void take_bytes(struct input *in, const char *token)
{
	char pair[3] = "";
	__u64 byte;

	/* xxd and hexdump write an offset and a colon in front. */
	if (token[strlen(token) - 1] == ':')
		return;
	if (!strncasecmp(token, "0x", 2))
		token += 2;
	do {
		memcpy(pair, token, token[0] ? 2 : 1);
		if (strlen(pair) != 2 || !parse_u64(pair, 16, 0xff, &byte))
			die(EXIT_USAGE, "'%.32s' is not bytes in hex, two digits each",
			    token);
		if (in->byte_num % 8 == 0)
			add_word(in, 0);
		in->words[in->num - 1] |= byte << 8 * (in->byte_num % 8);
		in->byte_num++;
		token += 2;
	} while (*token);
}

static void take_text(struct input *in, char *text)
{
	char *token;

	for (token = strtok(text, SEPARATORS); token;
	     token = strtok(NULL, SEPARATORS)) {
		if (in->bytes)
			take_bytes(in, token);
		else
			take_word(in, token);
	}
}

static void take_stdin(struct input *in)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, stdin)) > 0) {
		if (strlen(line) != (size_t)len)
			die(EXIT_USAGE, "the input is not text; xxd -p makes hex of it, for --bytes");
		take_text(in, line);
	}
	free(line);
}

/* Output */

static void line(const char *key, const char *text)
{
	if (json)
		out_string(key, "%s", text);
	else
		printf("  %s: %s\n", key, text);
}

/**
 * struct view - How to show the fields of a structure
 * @judged: the module's judgement of the structure, or NULL if it makes none
 * @effect: describes what the module does with a field that has @bits set
 * @registers: count bits within each word
 */
struct view {
	const struct judgement *judged;
	const char *(*effect)(const struct judgement *judged,
			      const struct field *field, __u64 bits);
	bool registers;
};

/* Fields that matter also if the stream does not translate */
static bool decides(const struct field *field)
{
	return !strcmp(field->name, "V") || !strcmp(field->name, "Config");
}

/* An STE's reason is named after the field: STE_S1CDMAX. */
static bool is_blamed(const struct field *field, __u32 reason)
{
	const char *name = reason_name(reason);

	return !strncmp(name, "STE_", 4) && !strcasecmp(name + 4, field->name);
}

static const char *ste_effect(const struct judgement *judged,
			      const struct field *field, __u64 bits)
{
	unsigned int word = field->low / 64;
	__u64 host = word < 2 ? judged->host[word] & field_mask(field) : 0;

	if (is_blamed(field, judged->reason))
		return judged->legal ? "aborts" : "refused";
	if (judged->kind == SMMUV3_ACCEL_KIND_S1 && host && host == bits)
		return "to the host";
	if (host)
		return "set by the module";
	if (!bits || decides(field))
		return "";
	return judged->kind == SMMUV3_ACCEL_KIND_S1 ? "dropped" : "ignored";
}

static const char *cmd_effect(const struct judgement *judged,
			      const struct field *field, __u64 bits)
{
	if (bits & judged->wrong[field->low / 64])
		return "must be zero";
	if (!judged->legal || !bits)
		return "";
	if (judged->hint)
		return "ignored";
	return field->effect ?: "";
}

static const char *idr_effect(const struct judgement *judged,
			      const struct field *field, __u64 bits)
{
	(void)bits;
	if (!(judged->wrong[field->low / 64] & field_mask(field)))
		return "";
	return judged->reason == SMMUV3_ACCEL_REASON_IDR_HOST ?
	       "not within the host's" : "refused";
}

static void print_field(const struct field *field, const __u64 *words,
			const struct view *view)
{
	__u64 bits = words[field->low / 64] & field_mask(field);
	__u64 value = bits >> (field->low % 64);
	int width = field->high - field->low + 1, len, i;
	int low = view->registers ? field->low % 64 : field->low;
	const char *meaning = "", *does = "";
	char where[16], text[24];

	if (view->judged)
		does = view->effect(view->judged, field, bits);
	if (!bits && !field->always && !all_fields && !*does)
		return;

	if (width == 1)
		snprintf(where, sizeof(where), "[%u]", low);
	else
		snprintf(where, sizeof(where), "[%u:%u]", low + width - 1, low);
	if (field->kind == FIELD_ADDRESS) {
		snprintf(text, sizeof(text), "%#llx", bits);
	} else if (width > 4) {
		snprintf(text, sizeof(text), "%#llx", value);
	} else if (width == 1) {
		snprintf(text, sizeof(text), "%llu", value);
	} else {
		len = snprintf(text, sizeof(text), "0b");
		for (i = width - 1; i >= 0; i--)
			text[len++] = '0' + (value >> i & 1);
		text[len] = '\0';
	}
	if (field->kind == FIELD_NAMED)
		meaning = field->values[value] ?: "reserved";

	if (json) {
		out_object(NULL);
		out_string("bits", "%s", where);
		out_string("name", "%s", field->name);
		out_string("value", "%s", text);
		if (*meaning)
			out_string("meaning", "%s", meaning);
		if (*does)
			out_string("module", "%s", does);
		out_end();
	} else {
		printf("  %-9s %-*s %s", where, view->registers ? 19 : 14,
		       field->name, text);
		if (*meaning || *does)
			printf("%*s", 18 - (int)strlen(text), "");
		if (*meaning)
			printf(" %s", meaning);
		if (*does)
			printf(" (%s)", does);
		putchar('\n');
	}
}

/* Bits as "0x600 in word 0, 0x1 in word 1" */
static void print_bits(const char *key, const __u64 *bits, unsigned int num)
{
	char text[WORD_MAX * 40] = "";
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < num; i++)
		if (bits[i])
			len += snprintf(text + len, sizeof(text) - len,
					"%s%#llx in word %u", len ? ", " : "",
					bits[i], i);
	if (len)
		line(key, text);
}

/* Print bits that are in no field. @first: bits of word 0 with the opcode or number */
static void print_rest(const struct field *fields, const __u64 *words,
		       unsigned int num, __u64 first)
{
	__u64 rest[WORD_MAX];

	memcpy(rest, words, num * sizeof(*words));
	rest[0] &= ~first;
	for (; fields && fields->name; fields++)
		rest[fields->low / 64] &= ~field_mask(fields);
	print_bits("in_no_known_field", rest, num);
}

static void print_fields(const struct field *fields, const __u64 *words,
			 const struct view *view)
{
	if (json)
		out_array("fields");
	for (; fields && fields->name; fields++)
		print_field(fields, words, view);
	if (json)
		out_end();
}

static void start_entry(const char *name, const char *text, const __u64 *words,
			unsigned int num)
{
	unsigned int i;

	if (json) {
		out_object(NULL);
		out_string("name", "%s", name);
		out_string("text", "%s", text);
		out_array("words");
		for (i = 0; i < num; i++)
			out_string(NULL, "0x%016llx", words[i]);
		out_end();
	} else {
		printf("%s: %s\n", name, text);
	}
}

static void end_entry(void)
{
	if (json)
		out_end();
}

static void print_reason(const struct judgement *judged)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", reason_name(judged->reason),
		 reason_text(judged->reason));
	line("reason", text);
}

static void print_given(const struct judgement *judged)
{
	char text[64];

	snprintf(text, sizeof(text), "0x%016llx 0x%016llx", judged->host[0], judged->host[1]);
	line("host_is_given", text);
}

static void decode_ste(const __u64 *words)
{
	static const char * const kinds[] = {
		[SMMUV3_ACCEL_KIND_ABORT] = "aborts",
		[SMMUV3_ACCEL_KIND_BYPASS] = "bypasses stage 1",
		[SMMUV3_ACCEL_KIND_S1] = "is translated by the guest's stage 1",
	};
	struct judgement judged;
	char needs[160];

	judge_ste(&judged, words);
	judge_ste_needs(words, needs, sizeof(needs));
	start_entry("STE", "Stream Table Entry", words, 8);
	print_fields(ste_fields, words, &(struct view){ &judged, ste_effect });
	print_rest(ste_fields, words, 8, 0);
	if (json)
		out_bool("legal", judged.legal);
	line("stream", kinds[judged.kind]);
	if (judged.reason)
		print_reason(&judged);
	if (!judged.legal)
		line("guest", "gets C_BAD_STE from the VMM");
	if (judged.kind == SMMUV3_ACCEL_KIND_S1)
		print_given(&judged);
	if (needs[0])
		line("needs", needs);
	end_entry();
}

static __u64 get_field(const struct field *fields, const __u64 *words,
		       const char *name)
{
	for (; fields->name; fields++)
		if (!strcmp(fields->name, name))
			return (words[fields->low / 64] & field_mask(fields)) >>
			       (fields->low % 64);
	return 0;
}

/* The addresses or StreamIDs that a legal command names */
static void print_reach(const struct shape *shape, const __u64 *words)
{
	static const unsigned int granule[4] = { 0, 4, 16, 64 };
	const struct field *f = shape->fields;
	__u64 tg = get_field(f, words, "TG");
	__u64 sid = get_field(f, words, "StreamID");
	__u64 address = words[1] & ~0xfffULL, size;
	char text[96];

	if (tg) {
		snprintf(text, sizeof(text), "%llu * 2^%llu pages of %uKB from %#llx",
			 get_field(f, words, "NUM") + 1,
			 get_field(f, words, "SCALE"), granule[tg], address);
	} else if (!strcmp(shape->name, "CMD_CFGI_STE_RANGE")) {
		size = get_field(f, words, "Range");
		if (size == 31)
			snprintf(text, sizeof(text), "all StreamIDs (CMD_CFGI_ALL)");
		else
			snprintf(text, sizeof(text), "StreamIDs %#llx to %#llx",
				 sid & ~((2ULL << size) - 1),
				 sid | ((2ULL << size) - 1));
	} else if (!strcmp(shape->name, "CMD_ATC_INV")) {
		size = get_field(f, words, "Size");
		if (size == 52)
			snprintf(text, sizeof(text), "all addresses");
		else
			snprintf(text, sizeof(text), "2^%llu pages of 4KB from %#llx",
				 size, address & ~((4096ULL << size) - 1));
	} else {
		return;
	}
	line("reaches", text);
}

static void decode_cmd(const __u64 *words)
{
	const struct shape *shape = NULL;
	struct judgement judged;
	char needs[160];
	__u8 op = words[0];
	size_t i;

	for (i = 0; i < cmd_shape_num; i++)
		if (cmd_shapes[i].number == op)
			shape = &cmd_shapes[i];
	judge_cmd(&judged, words);
	judge_cmd_needs(words, needs, sizeof(needs));
	if (shape) {
		start_entry(shape->name, shape->text, words, 2);
	} else {
		char text[32];

		snprintf(text, sizeof(text), "opcode 0x%02x", op);
		start_entry("unknown command", text, words, 2);
	}
	print_fields(shape ? shape->fields : NULL, words,
		     &(struct view){ &judged, cmd_effect });
	print_rest(shape ? shape->fields : NULL, words, 2, 0xff);
	if (json)
		out_bool("legal", judged.legal);
	if (judged.legal) {
		if (shape)
			print_reach(shape, words);
		line("module", judged.what);
		if (judged.rewritten)
			print_given(&judged);
	} else {
		line("module", "refuses it: CERROR_ILL");
		print_reason(&judged);
		print_bits("must_be_zero", judged.wrong, 2);
	}
	if (needs[0])
		line("needs", needs);
	end_entry();
}

static void decode_event(const __u64 *words)
{
	const struct shape *shape = NULL;
	__u8 number = words[0];
	size_t i;

	if (number >= 0xe0 && number <= 0xef)
		number = 0xe0;
	for (i = 0; i < event_shape_num; i++)
		if (event_shapes[i].number == number)
			shape = &event_shapes[i];
	if (shape) {
		start_entry(shape->name, shape->text, words, 4);
	} else {
		char text[32];

		snprintf(text, sizeof(text), "event number 0x%02x", number);
		start_entry("unknown event", text, words, 4);
	}
	print_fields(shape ? shape->fields : NULL, words, &(struct view){});
	print_rest(shape ? shape->fields : NULL, words, 4,
		   shape && shape->number == 0xe0 ? 0 : 0xff);
	end_entry();
}

static void decode_idr(const __u64 *words)
{
	struct judgement judged;

	judge_idr(&judged, words);
	start_entry("SMMU_IDR0-5", "ID registers", words, 6);
	print_fields(idr_fields, words, &(struct view){
		&judged, idr_effect, .registers = true,
	});
	print_rest(idr_fields, words, 6, 0);
	if (json)
		out_bool("legal", judged.legal);
	if (judged.legal)
		line("guest", "may see these");
	else
		print_reason(&judged);
	end_entry();
}

static void check_registers(const struct input *in)
{
	size_t i;

	if (in->bytes)
		die(EXIT_USAGE, "--bytes is for what lies in memory, not for registers");
	for (i = 0; i < in->num; i++)
		if (in->words[i] > ~0U)
			die(EXIT_USAGE, "%#llx has more than 32 bits", in->words[i]);
}

static const struct thing {
	const char *name;
	unsigned int words;
	void (*decode)(const __u64 *words);
} things[] = {
	{ "ste", 8, decode_ste },
	{ "cmd", 2, decode_cmd },
	{ "event", 4, decode_event },
	{ "idr", 6, decode_idr },
};

static const struct thing *find_thing(const char *name)
{
	size_t i;

	for (i = 0; name && i < ARRAY_LEN(things); i++)
		if (!strcmp(things[i].name, name))
			return &things[i];
	die(EXIT_USAGE, "decode what? ste, cmd, event or idr");
}

static void take_idr(char *text)
{
	__u32 idr[6];
	size_t num = 0;
	__u64 value;
	char *token;

	for (token = strtok(text, SEPARATORS); token;
	     token = strtok(NULL, SEPARATORS)) {
		if (num == ARRAY_LEN(idr) || !parse_u64(token, 16, ~0U, &value))
			break;
		idr[num++] = value;
	}
	if (token || num != ARRAY_LEN(idr))
		die(EXIT_USAGE, "--idr wants SMMU_IDR0 to SMMU_IDR5, six numbers in hex with commas");
	judge_by(idr);
}

static void take_input(struct input *in, const struct thing *thing, char **args)
{
	for (; *args; args++) {
		if (!strcmp(*args, "-"))
			take_stdin(in);
		else
			take_text(in, *args);
	}
	if (thing->decode == decode_idr)
		check_registers(in);
	if (in->byte_num % 8)
		die(EXIT_USAGE, "%zu bytes are no whole words of 8", in->byte_num);
	/* debugfs and GET_STREAM show two words of an STE. */
	if (thing->words == WORD_MAX && in->num == 2 && !in->bytes)
		while (in->num < WORD_MAX)
			add_word(in, 0);
	if (!in->num || in->num % thing->words)
		die(EXIT_USAGE, "%zu words were given, but one %s has %u",
		    in->num, thing->name, thing->words);
}

int cmd_decode(int argc, char **argv)
{
	static const struct option long_options[] = {
		JSON_OPTION,
		HELP_OPTION,
		{ "all", no_argument, NULL, 'a' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "idr", required_argument, NULL, 'i' },
		{}
	};
	const struct thing *thing;
	struct input in = {};
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "abi:" COMMON_OPTIONS, long_options,
				NULL)) != -1) {
		switch (c) {
		case 'a':
			all_fields = true;
			break;
		case 'b':
			in.bytes = true;
			break;
		case 'i':
			take_idr(optarg);
			break;
		default:
			common_option(c);
		}
	}
	thing = find_thing(argv[optind]);
	take_input(&in, thing, argv + optind + 1);

	if (json) {
		out_start();
		out_array("entries");
	}
	for (i = 0; i < in.num; i += thing->words)
		thing->decode(in.words + i);
	if (json)
		out_end();
	out_finish();
	free(in.words);
	return 0;
}
