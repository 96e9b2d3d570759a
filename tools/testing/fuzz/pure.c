// SPDX-License-Identifier: GPL-2.0
/*
 * The module's pure parts, compiled as a program and driven by the bytes of libFuzzer
 * or of main.c. The expected results are written here independently, from Arm IHI
 * 0070, and each part's output has to be legal input for the next part.
 *
 * The first byte of an input selects the part.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/minmax.h>

#include "arch.h"
#include "batch.h"
#include "cdtab.h"
#include "pure.h"
#include "strtab.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define check(condition)						\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: not: %s\n", __FILE__,	\
				__LINE__, #condition);			\
			abort();					\
		}							\
	} while (0)

struct input {
	const u8 *data;
	size_t size;
};

static u64 take(struct input *in, size_t len)
{
	size_t part = min(len, in->size);
	u64 value = 0;

	memcpy(&value, in->data, part);
	in->data += part;
	in->size -= part;
	return value;
}

static void take_caps(struct input *in, struct smmuv3_caps *caps)
{
	u16 bits = take(in, 2);

	*caps = (struct smmuv3_caps){
		.sid_bits = 16,
		.ssid_bits = bits & 0x1f,
		.asid16 = bits & BIT(5),
		.cd2l = bits & BIT(6),
		.ats = bits & BIT(7),
		.ril = bits & BIT(8),
		.ds = bits & BIT(9),
		.stall_both = bits & BIT(10),
		.s1stalld = bits & BIT(11),
	};
}

/* Commands */

/* Take few different values, so that commands affect each other; sometimes any */
static void take_cmd(struct input *in, u64 cmd[2])
{
	static const u8 ops[] = {
		CMD_CFGI_CD, CMD_CFGI_CD_ALL, CMD_TLBI_NH_ALL, CMD_TLBI_NH_ASID,
		CMD_TLBI_NH_VA, CMD_TLBI_NH_VA, CMD_TLBI_NH_VA, CMD_TLBI_NH_VAA,
		CMD_TLBI_NSNH_ALL, CMD_ATC_INV, CMD_TLBI_NH_VA, CMD_TLBI_NH_VAA,
	};
	u64 bits = take(in, 6), page = bits >> 16 & 7, op;

	if ((bits & 0xf) >= ARRAY_SIZE(ops)) {
		cmd[0] = take(in, 8);
		cmd[1] = take(in, 8);
		return;
	}
	op = ops[bits & 0xf];
	cmd[0] = op;
	cmd[1] = 0;
	switch (op) {
	case CMD_CFGI_CD:
		cmd[0] |= (bits >> 4 & 3) << 12;
		cmd[1] |= bits >> 8 & 1;
		fallthrough;
	case CMD_CFGI_CD_ALL:
		cmd[0] |= (bits >> 6 & 3) << 32;
		break;
	case CMD_ATC_INV:
		cmd[0] |= (bits >> 6 & 3) << 32;
		cmd[1] |= page << 12 | (bits >> 8 & 7);
		break;
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
		cmd[1] |= page << (12 + 3 * (bits >> 22 & 3)) | (bits >> 8 & 1);
		/* A range */
		if (bits & BIT_ULL(9)) {
			cmd[1] |= (bits >> 10 & 3) << 10 | (bits >> 12 & 3) << 8;
			cmd[0] |= (bits >> 24 & 0x1f) << 12 | (bits >> 29 & 7) << 20;
		}
		fallthrough;
	case CMD_TLBI_NH_ASID:
		if (op != CMD_TLBI_NH_VAA)
			cmd[0] |= (bits >> 4 & 3) << 48;
		fallthrough;
	case CMD_TLBI_NH_ALL:
		cmd[0] |= (bits >> 32 & 1) << 32;
		break;
	}
}

/*
 * Bits that a command for the host must not set: RES0 always, or unless the SMMU has
 * an option (4.2 to 4.5)
 */
static u64 never(u32 op, int word, const struct smmuv3_caps *caps)
{
	const u64 ssid = caps->ssid_bits ? 0 : GENMASK_ULL(31, 12);
	const u64 asid = caps->asid16 ? 0 : GENMASK_ULL(63, 56);
	u64 range = GENMASK_ULL(19, 17) | GENMASK_ULL(31, 26);

	switch (op) {
	case CMD_CFGI_CD:
		return word ? ~1ULL : GENMASK_ULL(11, 8) | ssid;
	case CMD_CFGI_CD_ALL:
		return word ? ~0ULL : GENMASK_ULL(31, 8);
	case CMD_TLBI_NH_ALL:
		return word ? ~0ULL : GENMASK_ULL(31, 8) | GENMASK_ULL(63, 48);
	case CMD_TLBI_NH_ASID:
		return word ? ~0ULL : GENMASK_ULL(31, 8) | asid;
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
		if (word)
			return caps->ril ? GENMASK_ULL(7, 1) : GENMASK_ULL(11, 1);
		if (!caps->ril)
			range = GENMASK_ULL(31, 12);
		else if (!caps->ds)
			range |= BIT_ULL(25);
		return GENMASK_ULL(11, 8) | range |
		       (op == CMD_TLBI_NH_VAA ? GENMASK_ULL(63, 48) : asid);
	case CMD_TLBI_NSNH_ALL:
		return word ? ~0ULL : ~0xffULL;
	case CMD_ATC_INV:
		if (word)
			return GENMASK_ULL(11, 6);
		return BIT_ULL(8) | BIT_ULL(10) | ssid | (ssid ? BIT_ULL(9) | BIT_ULL(11) : 0);
	default:
		return 0;
	}
}

/* Range operands that are reserved together (4.4.1.1) */
static bool range_is_reserved(const u64 cmd[2], const struct smmuv3_caps *caps)
{
	u64 tg = cmd[1] >> 10 & 3, ttl = cmd[1] >> 8 & 3;
	u64 size = cmd[0] & (GENMASK_ULL(16, 12) | GENMASK_ULL(25, 20));

	if (!smmuv3_batch_is_by_address(cmd))
		return false;
	return tg ? (!size && !ttl) || (tg == 2 && ttl == 1 && !caps->ds) : size || ttl;
}

static bool host_refuses(const u64 cmd[2], const struct smmuv3_caps *caps)
{
	u32 op = cmd[0] & 0xff;

	return (cmd[0] & never(op, 0, caps)) || (cmd[1] & never(op, 1, caps)) ||
	       range_is_reserved(cmd, caps);
}

/* The host gets a legal command as it is, unless it refuses that. */
static void check_given(const u64 cmd[2], enum smmuv3_cmd_class class,
			const struct smmuv3_caps *caps)
{
	u64 given[2] = { cmd[0], cmd[1] }, again[2];
	enum smmuv3_cmd_class given_class;
	bool rewritten;
	u64 ignored = 0;

	check(never(cmd[0] & 0xff, 0, caps));
	rewritten = smmuv3_cmd_rewrite(given, caps);
	check(rewritten == host_refuses(cmd, caps));
	check(!host_refuses(given, caps));
	check(!smmuv3_cmd_check(given, caps, &given_class) && given_class == class);
	memcpy(again, given, sizeof(again));
	check(!smmuv3_cmd_rewrite(again, caps));
	/* Without substreams, their operands are left out, and nothing else. */
	if ((cmd[0] & 0xff) == CMD_CFGI_CD)
		ignored = GENMASK_ULL(31, 12);
	else if (class == SMMUV3_CMD_ATC)
		ignored = GENMASK_ULL(31, 11) | BIT_ULL(9);
	if (class != SMMUV3_CMD_TLBI)
		check(cmd[1] == given[1] &&
		      given[0] == (caps->ssid_bits ? cmd[0] : cmd[0] & ~ignored));
	check(class != SMMUV3_CMD_ATC || (caps->ats && (cmd[1] & 0x3f) <= 52));
}

static void fuzz_cmd(struct input *in)
{
	enum smmuv3_cmd_class class, wider_class, simple_class;
	struct smmuv3_cmd_rules rules;
	struct smmuv3_caps caps, wider;
	u64 cmd[2], same[2];

	take_caps(in, &caps);
	take_caps(in, &wider);
	wider.ssid_bits |= caps.ssid_bits;
	wider.asid16 |= caps.asid16;
	wider.ats |= caps.ats;
	wider.ril |= caps.ril;
	wider.ds |= caps.ds;
	smmuv3_cmd_make_rules(&rules, &caps);
	while (in->size) {
		enum smmuv3_accel_reason reason;
		bool simple;
		u8 flip;

		take_cmd(in, cmd);
		flip = take(in, 1);
		if (flip & 0x80)
			cmd[flip >> 6 & 1] ^= BIT_ULL(flip & 0x3f);
		reason = smmuv3_cmd_check(cmd, &caps, &class);
		simple = smmuv3_cmd_is_simple(&rules, cmd, &simple_class);
		if (reason) {
			check(!simple);
			continue;
		}
		if (simple) {
			check(simple_class == class);
			memcpy(same, cmd, sizeof(same));
			check(!smmuv3_cmd_rewrite(same, &caps));
		}
		/* An SMMU with more options accepts at least as much. */
		check(!smmuv3_cmd_check(cmd, &wider, &wider_class));
		check(wider_class == class);
		if (class == SMMUV3_CMD_CD || class == SMMUV3_CMD_TLBI || class == SMMUV3_CMD_ATC)
			check_given(cmd, class, &caps);
	}
}

/* STEs */

static void fuzz_ste(struct input *in)
{
	static const u64 kept[2] = {
		GENMASK_ULL(51, 0) | GENMASK_ULL(63, 59),
		GENMASK_ULL(7, 0) | GENMASK_ULL(29, 28),
	};
	u64 words[8], again[8] = {};
	struct smmuv3_caps caps;
	struct smmuv3_ste ste, other;
	int i;

	take_caps(in, &caps);
	for (i = 0; i < 8; i++)
		words[i] = take(in, 8);
	smmuv3_ste_decode(&ste, words, &caps);
	check((ste.kind == SMMUV3_ACCEL_KIND_ABORT) == (ste.reason != SMMUV3_ACCEL_REASON_NONE));
	check(!smmuv3_ste_is_bad(ste.reason) || (words[0] & 1));
	if (ste.kind != SMMUV3_ACCEL_KIND_S1) {
		check(!ste.data[0] && !ste.data[1]);
		check(ste.kind != SMMUV3_ACCEL_KIND_BYPASS || (words[0] & 0xf) == 0x9);
	} else {
		check((ste.data[0] & 0xf) == 0xb && (words[0] & 0xf) == 0xb);
		check(!(ste.data[0] & ~(words[0] & kept[0])));
		check(!(ste.data[1] & ~(words[1] & kept[1]) & ~BIT_ULL(27)));
		check(!!(ste.data[1] & BIT_ULL(27)) == caps.stall_both);
		check(ste.data[0] >> 59 <= caps.ssid_bits);
		check((ste.data[0] & GENMASK_ULL(51, 6)) == (words[0] & GENMASK_ULL(55, 6)));
		check((ste.data[1] >> 28 & 3) <= caps.ats);
		check(caps.s1stalld || !(words[1] & BIT_ULL(27)));
		/* Decoding the result gives the same, without the bit that the module sets. */
		memcpy(again, ste.data, sizeof(ste.data));
		again[1] &= ~BIT_ULL(27);
		smmuv3_ste_decode(&other, again, &caps);
		check(smmuv3_ste_same(&ste, &other) && other.reason == ste.reason);
	}
	for (i = 2; i < 8; i++)
		words[i] = ~words[i];
	smmuv3_ste_decode(&other, words, &caps);
	check(smmuv3_ste_same(&ste, &other) && other.reason == ste.reason);
}

/* Stream tables, in memory where an STE's first doubleword is its own address */

struct table {
	struct smmuv3_reader reader;
	u64 addr[2];
	size_t len[2];
	u32 reads;
	u64 l1;
	u32 fails;		/* number of the read that fails, from 1 */
};

static int table_read(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct table *table = (struct table *)reader;

	check(table->reads < 2);
	table->addr[table->reads] = gpa;
	table->len[table->reads] = len;
	if (++table->reads == table->fails)
		return -1;
	memset(buf, 0, len);
	if (len == 8)
		memcpy(buf, &table->l1, len);
	else
		memcpy(buf, &gpa, sizeof(gpa));
	return 0;
}

/* The size of the table, or of its first level, as a logarithm (6.3.24) */
static u32 strtab_size(bool two_level, u32 log2size, u32 split)
{
	if (!two_level)
		return 6 + log2size;
	return log2size > split + 3 ? 3 + log2size - split : 6;
}

/* Return: why the module reads no STE after a level-1 descriptor with this Span (5.1) */
static enum smmuv3_accel_reason l1_reason(u32 span, u32 split, u32 sid)
{
	if (!span)
		return SMMUV3_ACCEL_REASON_STE_L1_NONE;
	if (span > split + 1)
		return SMMUV3_ACCEL_REASON_STE_L1_INVALID;
	if ((sid & ((1U << split) - 1)) >> (span - 1))
		return SMMUV3_ACCEL_REASON_STE_SID_RANGE;
	return SMMUV3_ACCEL_REASON_NONE;
}

static void check_l2(const struct table *table, u32 split, u32 sid)
{
	u64 size = 64ULL << ((table->l1 & 0x1f) - 1);
	u64 l2 = table->l1 & GENMASK_ULL(51, 6) & ~(size - 1);

	check(table->reads == 2 && table->len[1] == 64);
	check(table->addr[1] == l2 + 64ULL * (sid & ((1U << split) - 1)));
	check(table->addr[1] - l2 <= size - 64);
}

static void fuzz_strtab(struct input *in)
{
	u64 base = take(in, 8), l1 = take(in, 8), table_base, size, ste[8];
	u32 cfg = take(in, 4), sid = take(in, 4), fails = take(in, 1), sid_bits, i;
	struct table table = { { table_read }, .l1 = l1, .fails = fails % 4 };
	u32 log2size = cfg & 0x3f, split = cfg >> 6 & 0x1f;
	enum smmuv3_accel_reason reason, of_l1;
	bool two_level = (cfg >> 16 & 3) == 1;
	struct smmuv3_strtab strtab;

	sid_bits = 32 - min(fails / 4, 32U);
	fails %= 4;
	smmuv3_strtab_decode(&strtab, base, cfg, sid_bits);
	reason = smmuv3_strtab_read(&strtab, sid, &table.reader, ste);

	if ((u64)sid >> min(log2size, sid_bits)) {
		check(reason == SMMUV3_ACCEL_REASON_STE_SID_RANGE && !table.reads);
		return;
	}
	if (split != 8 && split != 10)
		split = 6;
	size = strtab_size(two_level, log2size, split);
	size = size < 52 ? 1ULL << size : 1ULL << 52;
	table_base = base & GENMASK_ULL(51, 6) & ~(size - 1);
	check(table.reads);
	check(table.addr[0] >= table_base && table.addr[0] - table_base <= size - table.len[0]);
	if (!two_level) {
		check(table.len[0] == 64 && table.addr[0] == table_base + 64ULL * sid);
	} else {
		check(table.len[0] == 8 && table.addr[0] == table_base + 8ULL * (sid >> split));
		of_l1 = l1_reason(l1 & 0x1f, split, sid);
		if (fails != 1 && of_l1) {
			check(reason == of_l1 && table.reads == 1);
			return;
		}
		if (fails != 1)
			check_l2(&table, split, sid);
	}
	check(table.reads == (fails == 1 ? 1U : 1U + two_level));
	if (fails == table.reads) {
		check(reason == SMMUV3_ACCEL_REASON_STE_UNREADABLE);
		return;
	}
	check(reason == SMMUV3_ACCEL_REASON_NONE && ste[0] == table.addr[two_level]);
	for (i = 1; i < 8; i++)
		check(!ste[i]);
}

/* Batches */

#define MAX_CMDS	192
#define PHYS_NUM	2

struct cmd {
	u64 w[2];
	enum smmuv3_phase phase;
	u8 phys;
};

/* A TLB entry: a leaf, or a table entry of some level */
struct entry {
	u64 addr;
	u32 asid;
	bool global;
	bool table;
	u32 tg;
	u32 level;
};

static u32 level_shift(u32 tg, u32 level)
{
	u32 granule = 10 + 2 * tg;

	return granule + (3 - level) * (granule - 3);
}

static u64 last_address(const u64 cmd[2])
{
	u64 first = cmd[1] & GENMASK_ULL(63, 12), tg = cmd[1] >> 10 & 3;
	u64 scale = cmd[0] >> 20 & 0x3f, num = cmd[0] >> 12 & 0x1f, last;

	if (!tg)
		return first;
	last = first + (((num + 1) << min(scale, 39ULL)) << (10 + 2 * tg)) - 1;
	return last < first ? ~0ULL : last;
}

/* Whether a TLBI must invalidate an entry (4.4.1, 4.4.2) */
static bool reaches(const u64 cmd[2], const struct entry *e)
{
	u64 first = cmd[1] & GENMASK_ULL(63, 12), tg = cmd[1] >> 10 & 3;
	u64 end = e->addr | (BIT_ULL(level_shift(e->tg, e->level)) - 1);
	u64 ttl = cmd[1] >> 8 & 3, op = cmd[0] & 0xff;

	if (op == CMD_TLBI_NH_ALL || op == CMD_TLBI_NSNH_ALL)
		return true;
	if (op != CMD_TLBI_NH_VAA && !(op == CMD_TLBI_NH_VA && e->global) &&
	    (e->global || cmd[0] >> 48 != e->asid))
		return false;
	if (op == CMD_TLBI_NH_ASID)
		return true;
	if ((cmd[1] & 1) && e->table)
		return false;
	if (!tg)
		return e->addr <= first && first <= end;
	if (tg != e->tg)
		return false;
	/* The address is not aligned for its level: UNPREDICTABLE */
	if (first & (BIT_ULL(level_shift(tg, ttl ?: 3)) - 1))
		return false;
	if (ttl && (e->table ? e->level >= ttl : e->level != ttl))
		return false;
	return e->addr <= last_address(cmd) && first <= end;
}

static bool some_reaches(const struct cmd *cmds, u32 num, const struct entry *e)
{
	u32 i;

	for (i = 0; i < num; i++)
		if (reaches(cmds[i].w, e))
			return true;
	return false;
}

/* Check that @left invalidates whatever @cmd must invalidate, out of a few entries. */
static void check_tlbi(const struct cmd *cmd, const struct cmd *left, u32 num, bool no_global)
{
	u64 first = cmd->w[1] & GENMASK_ULL(63, 12), last = last_address(cmd->w);
	const u64 at[] = { first, last, first + (last - first) / 2 };
	struct entry e;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(at) * 72; i++) {
		e.tg = 1 + i / 24 % 3;
		e.level = 1 + i / 8 % 3;
		e.table = i & 1;
		e.global = i & 2;
		e.asid = cmd->w[0] >> 48 ^ !!(i & 4);
		e.addr = at[i / 72] & ~(BIT_ULL(level_shift(e.tg, e.level)) - 1);
		if ((e.table && e.level == 3) || (e.global && no_global))
			continue;
		if (reaches(cmd->w, &e))
			check(some_reaches(left, num, &e));
	}
}

/* Whether the CFGI_CD or ATC_INV @cmd may replace @of */
static bool does_work_of(const u64 cmd[2], const u64 of[2])
{
	if (cmd[0] == of[0] && cmd[1] == of[1])
		return true;
	if ((of[0] & 0xff) != CMD_CFGI_CD || cmd[0] >> 32 != of[0] >> 32)
		return false;
	return (cmd[0] & 0xff) == CMD_CFGI_CD_ALL || (cmd[0] == of[0] && !(cmd[1] & 1));
}

/* Write a legal command as the host accepts it. It must not lose an entry by that. */
static void rewrite(struct cmd *cmd, const struct smmuv3_caps *caps, enum smmuv3_cmd_class class)
{
	struct cmd meant = *cmd;

	if (!smmuv3_cmd_rewrite(cmd->w, caps) || class != SMMUV3_CMD_TLBI)
		return;
	/* This TTL acts as 0 (4.4.1.1). */
	if ((meant.w[1] >> 8 & 0xf) == 0x9 && !caps->ds)
		meant.w[1] ^= BIT(8);
	check_tlbi(&meant, cmd, 1, false);
}

static u32 take_cmds(struct input *in, const struct smmuv3_caps *caps, struct cmd *cmds)
{
	enum smmuv3_cmd_class class;
	u32 num = 0, repeat;
	struct cmd cmd;
	u64 stride;
	u8 how;

	while (in->size && num < MAX_CMDS) {
		take_cmd(in, cmd.w);
		how = take(in, 1);
		repeat = how & 0x80 ? how & 0x3f : 0;
		if (smmuv3_cmd_check(cmd.w, caps, &class))
			continue;
		rewrite(&cmd, caps, class);
		cmd.phys = cmd.w[0] >> 32 & 1;
		switch (class) {
		case SMMUV3_CMD_CD:
			cmd.phase = SMMUV3_PHASE_CD;
			break;
		case SMMUV3_CMD_TLBI:
			cmd.phase = SMMUV3_PHASE_TLBI;
			cmd.phys = SMMUV3_PHYS_ALL;
			break;
		case SMMUV3_CMD_ATC:
			cmd.phase = SMMUV3_PHASE_ATC;
			break;
		default:
			cmd.phase = SMMUV3_PHASE_NONE;
			break;
		}
		cmds[num++] = cmd;
		/* Unmap a range as a driver does, with or without gaps. */
		stride = (last_address(cmd.w) | 0xfff) + 1 - (cmd.w[1] & GENMASK_ULL(63, 12));
		stride <<= how >> 6 & 1;
		while (smmuv3_batch_is_by_address(cmd.w) && repeat-- && num < MAX_CMDS) {
			cmd.w[1] += stride;
			cmds[num++] = cmd;
		}
	}
	return num;
}

static void fill_batch(struct smmuv3_batch *batch, const struct cmd *cmds, u32 num, bool extend)
{
	u32 i;

	for (i = 0; i < num; i++) {
		batch->cmds[i][0] = cmds[i].w[0];
		batch->cmds[i][1] = cmds[i].w[1];
	}
	smmuv3_batch_start(batch);
	for (i = 0; i < num;) {
		smmuv3_batch_add(batch, i, cmds[i].w, cmds[i].phase, cmds[i].phys);
		if (extend && cmds[i].phase == SMMUV3_PHASE_TLBI)
			i = smmuv3_batch_extend(batch, i, num);
		else
			i++;
	}
}

static void check_phase(struct smmuv3_batch *batch, enum smmuv3_phase phase, u8 phys,
			const struct smmuv3_caps *caps, const struct cmd *cmds, u32 num,
			bool no_global)
{
	static struct cmd left[MAX_CMDS];
	u32 left_num = smmuv3_batch_select(batch, phase, phys), i, j;
	enum smmuv3_cmd_class class;

	check(left_num <= num);
	for (i = 0; i < left_num; i++) {
		left[i].w[0] = batch->stage[i][0];
		left[i].w[1] = batch->stage[i][1];
		check(!smmuv3_cmd_check(left[i].w, caps, &class));
		check(!host_refuses(left[i].w, caps));
		check(class == (phase == SMMUV3_PHASE_CD ? SMMUV3_CMD_CD :
				phase == SMMUV3_PHASE_TLBI ? SMMUV3_CMD_TLBI : SMMUV3_CMD_ATC));
		check(phase == SMMUV3_PHASE_TLBI || (left[i].w[0] >> 32 & 1) == phys);
	}
	if (smmuv3_batch_whole(batch, phase, phys)) {
		check(left_num == batch->phases[phase].num);
		for (i = 0; i < left_num; i++) {
			const struct cmd *cmd = &cmds[batch->phases[phase].first + i];

			check(cmd->w[0] == left[i].w[0] && cmd->w[1] == left[i].w[1]);
		}
	}
	for (i = 0; i < num; i++) {
		if (cmds[i].phase != phase ||
		    (cmds[i].phys != phys && cmds[i].phys != SMMUV3_PHYS_ALL))
			continue;
		if (phase == SMMUV3_PHASE_TLBI) {
			check_tlbi(&cmds[i], left, left_num, no_global);
			continue;
		}
		for (j = 0; j < left_num; j++)
			if (does_work_of(left[j].w, cmds[i].w))
				break;
		check(j < left_num);
	}
}

static void fuzz_batch(struct input *in)
{
	static struct smmuv3_batch batch;
	static struct cmd cmds[MAX_CMDS];
	struct smmuv3_batch_policy policy;
	u64 subsumed = batch.subsumed, merged = batch.merged;
	struct smmuv3_caps caps;
	enum smmuv3_phase phase;
	u32 num, i, had = 0, have = 0;
	u8 bits, phys;

	take_caps(in, &caps);
	bits = take(in, 1);
	policy = (struct smmuv3_batch_policy){
		.subsume = bits & 1,
		.merge = bits & 2,
		.no_global = bits & 4,
		.escalate = bits >> 4,
	};
	num = take_cmds(in, &caps, cmds);
	fill_batch(&batch, cmds, num, bits & 8);
	for (i = 0; i < num; i++)
		had += cmds[i].phase != SMMUV3_PHASE_NONE;
	smmuv3_batch_reduce(&batch, &policy);
	for (i = 0; i < num; i++) {
		u32 tag = FIELD_GET(SMMUV3_TAG_PHASE, batch.tags[i]);

		/* A command keeps its phase, or is left out. */
		check(tag == cmds[i].phase || tag == SMMUV3_PHASE_NONE);
		have += tag != SMMUV3_PHASE_NONE;
	}
	check(have + (batch.subsumed - subsumed) + (batch.merged - merged) == had);
	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++)
		for (phys = 0; phys < PHYS_NUM; phys++)
			check_phase(&batch, phase, phys, &caps, cmds, num, policy.no_global);
}

/* ID registers */

static const u32 legal_idr[6] = { 0x0d40101a, 0x02730010, 0, 0x400, 0, 0x74 };

/* @legal_idr, with some bits flipped */
static void take_idr(struct input *in, u32 idr[6])
{
	u32 flips = take(in, 1) % 8;

	memcpy(idr, legal_idr, sizeof(legal_idr));
	while (flips--) {
		u32 reg = take(in, 1) % 6;

		idr[reg] ^= BIT(take(in, 1) % 32);
	}
}

static u32 idr_field(const u32 idr[6], int reg, int high, int low)
{
	return (idr[reg] & GENMASK(high, low)) >> low;
}

/* Whether a guest may see these, as SMMUV3_ACCEL_SET_IDR documents (6.3.1 to 6.3.6) */
static bool idr_is_legal(const u32 idr[6])
{
	static const u32 offered[6] = {
		BIT(1) | GENMASK(4, 2) | BIT(10) | GENMASK(13, 12) | GENMASK(19, 18) |
		GENMASK(22, 21) | GENMASK(28, 24),
		GENMASK(10, 0) | GENMASK(25, 16),
		0,
		BIT(2) | GENMASK(12, 10),
		0,
		GENMASK(2, 0) | GENMASK(7, 4) | GENMASK(11, 10),
	};
	int i;

	for (i = 0; i < 6; i++)
		if (idr[i] & ~offered[i])
			return false;
	return (idr[0] & BIT(1)) && (idr[0] & BIT(4)) && (idr[0] & GENMASK(3, 2)) &&
	       idr_field(idr, 0, 25, 24) == 1 && idr_field(idr, 0, 22, 21) != 1 &&
	       idr_field(idr, 0, 28, 27) <= 1 && idr_field(idr, 1, 5, 0) <= 31 &&
	       idr_field(idr, 1, 20, 16) <= 19 && idr_field(idr, 1, 25, 21) <= 19 &&
	       (idr[5] & GENMASK(6, 4));
}

/* Whether a host has what a legal @idr offers */
static bool host_has(const u32 host[6], const u32 idr[6])
{
	/* Fields of which the host must have each bit */
	static const u32 subset[6] = {
		GENMASK(3, 2) | BIT(10) | BIT(12) | BIT(19), 0, 0,
		BIT(2) | BIT(10), 0, GENMASK(7, 4),
	};
	/* Fields of which the host's number must be at least as large */
	static const struct { int reg, high, low; } number[] = {
		{ 1, 5, 0 }, { 1, 10, 6 }, { 3, 12, 11 }, { 5, 2, 0 }, { 5, 11, 10 },
	};
	u32 endian = idr_field(host, 0, 22, 21), i;

	for (i = 0; i < 6; i++)
		if (idr[i] & subset[i] & ~host[i])
			return false;
	for (i = 0; i < ARRAY_SIZE(number); i++)
		if (idr_field(idr, number[i].reg, number[i].high, number[i].low) >
		    idr_field(host, number[i].reg, number[i].high, number[i].low))
			return false;
	/* If faults always abort on the host, the guest must be told. */
	return (idr[0] & BIT(26) || !(host[0] & BIT(26))) &&
	       (!endian || idr_field(idr, 0, 22, 21) == endian);
}

static bool idr_fits(const u32 idr[6], const u32 host[6])
{
	u32 bad[6] = {}, fixed[6];
	bool fits, none = true;
	int i;

	fits = smmuv3_idr_fits(idr, host, bad);
	check(fits == host_has(host, idr));
	for (i = 0; i < 6; i++) {
		none &= !bad[i];
		fixed[i] = (idr[i] & ~bad[i]) | (host[i] & bad[i]);
	}
	check(fits == none);
	/* @bad had all fields that do not fit. */
	check(smmuv3_idr_fits(fixed, host, bad));
	return fits;
}

static void fuzz_idr(struct input *in)
{
	u32 idr[6], hosts[2][6], both[6], bad[6] = {}, endian[2];
	bool legal, none = true, fits;
	int i;

	take_idr(in, idr);
	take_idr(in, hosts[0]);
	take_idr(in, hosts[1]);
	legal = smmuv3_idr_check(idr, bad);
	check(legal == idr_is_legal(idr));
	for (i = 0; i < 6; i++) {
		none &= !bad[i];
		idr[i] = (idr[i] & ~bad[i]) | (legal_idr[i] & bad[i]);
	}
	check(legal == none);
	/* @bad had all illegal fields. */
	check(smmuv3_idr_check(idr, bad));
	check(idr_fits(idr, idr));

	/* ID registers fit two hosts if and only if they fit what the hosts have in common. */
	memcpy(both, hosts[0], sizeof(both));
	smmuv3_idr_meet(both, hosts[1]);
	fits = idr_fits(idr, hosts[0]) & idr_fits(idr, hosts[1]);
	for (i = 0; i < 2; i++)
		endian[i] = idr_field(hosts[i], 0, 22, 21);
	if (fits || !endian[0] || !endian[1] || endian[0] == endian[1])
		check(fits == idr_fits(idr, both));
}

/* ASIDs of CDs */

#define ASID_NUM	65536

/* What a set of ASIDs has to have, and which of them had their TLBI */
struct asid_model {
	bool has[ASID_NUM];
	bool flushed[ASID_NUM];
	u32 num;
	bool all;
	bool all_flushed;
};

static void model_add(struct asid_model *m, u16 asid)
{
	if (m->all || m->has[asid])
		return;
	m->has[asid] = true;
	m->all = ++m->num > 64;
}

static void check_have(const struct asid_model *m, const struct smmuv3_asids *set, u16 asid)
{
	check(smmuv3_asids_have(set, asid) == (m->all || m->has[asid]));
}

/* The TLBIs of a set are one by each new ASID, or one of all (4.4.2) */
static void check_new(struct asid_model *m, struct smmuv3_asids *set, bool flush)
{
	u32 num, want = 0, i;
	__le64 cmds[64][2];

	num = smmuv3_asids_new(set, cmds);
	for (i = 0; i < ASID_NUM; i++)
		want += m->has[i] && !m->flushed[i];
	if (m->all)
		want = !m->all_flushed;
	check(num == want);
	for (i = 0; i < num; i++) {
		u64 w0 = le64_to_cpu(cmds[i][0]);
		u16 asid = w0 >> 48;

		check(!cmds[i][1]);
		if (m->all) {
			check(w0 == 0x10);
			continue;
		}
		check((w0 & GENMASK_ULL(47, 0)) == 0x11);
		check(m->has[asid] && !m->flushed[asid]);
		/* No other TLBI has this one. */
		m->flushed[asid] = true;
	}
	if (flush) {
		smmuv3_asids_flushed(set);
		m->all_flushed = m->all;
		check(!smmuv3_asids_new(set, cmds));
		return;
	}
	for (i = 0; !m->all && i < num; i++)
		m->flushed[le64_to_cpu(cmds[i][0]) >> 48] = false;
}

/* CDs in guest memory. The reader reads the words of one table, in order */
struct cds {
	struct smmuv3_reader reader;
	struct asid_model *m;
	struct input *in;
	u64 base;
	u32 num;
	u16 mask;
	u32 reads;
	u32 fails;		/* number of the read that fails, from 1 */
};

static int cd_read(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct cds *cds = (struct cds *)reader;
	__le64 word;

	check(len == 8 && cds->reads < cds->num && gpa == cds->base + 64ULL * cds->reads);
	if (++cds->reads == cds->fails)
		return -EFAULT;
	word = cpu_to_le64((u64)(cds->reads + take(cds->in, 1)) << 48 | take(cds->in, 4));
	memcpy(buf, &word, len);
	model_add(cds->m, le64_to_cpu(word) >> 48 & cds->mask);
	return 0;
}

static void check_collect(struct input *in, struct asid_model *m, struct smmuv3_asids *set)
{
	u32 log2 = take(in, 1) % 16, format = take(in, 1) % 4, i;
	u64 addr = take(in, 7) & GENMASK_ULL(51, 6);
	bool aligned = take(in, 1) % 8;
	struct cds cds = {
		.reader.read = cd_read,
		.m = m,
		.in = in,
		.fails = take(in, 1),
		.mask = take(in, 1) % 2 ? 0xffff : 0xff,
	};
	u64 ste[2] = { 0xb | format << 4, 0 };
	int rc, want = 0;

	/* Mostly short tables, linear or not */
	if (log2 > 8)
		log2 -= 8;
	cds.num = 1U << log2;
	if (aligned)
		addr &= ~((64ULL << log2) - 1);
	cds.base = addr;
	ste[0] |= addr | (u64)log2 << 59;
	if (log2 > 6 || (log2 && format))
		want = -E2BIG;
	else if (addr & ((64ULL << log2) - 1))
		want = -EINVAL;
	else if (cds.fails && cds.fails <= cds.num)
		want = -EFAULT;
	rc = smmuv3_cdtab_collect(ste, cds.mask, &cds.reader, set);
	check(rc == want);
	check(cds.reads == (!rc ? cds.num : rc == -EFAULT ? cds.fails : 0));
	for (i = 0; i < 64; i++)
		check_have(m, set, i);
}

static void fuzz_cdtab(struct input *in)
{
	static struct asid_model m;
	struct smmuv3_asids set;
	u32 i;

	memset(&m, 0, sizeof(m));
	smmuv3_asids_clear(&set);
	while (in->size) {
		u8 what = take(in, 1);
		u16 asid = take(in, what & 0x80 ? 2 : 1);

		switch (what % 8) {
		case 0 ... 2:
			check_collect(in, &m, &set);
			break;
		case 3:
			smmuv3_asids_add(&set, asid);
			model_add(&m, asid);
			break;
		case 4 ... 5:
			check_new(&m, &set, what % 2);
			break;
		case 6:
			if (asid < 8)
				smmuv3_asids_add_all(&set);
			m.all |= asid < 8;
			break;
		default:
			if (asid < 64) {
				smmuv3_asids_clear(&set);
				memset(&m, 0, sizeof(m));
			}
		}
		check_have(&m, &set, asid);
		check(set.num <= 64 && set.flushed <= set.num);
	}
	for (i = 0; i < ASID_NUM; i++)
		check_have(&m, &set, i);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static void (*const parts[])(struct input *in) = {
		fuzz_cmd, fuzz_ste, fuzz_strtab, fuzz_batch, fuzz_idr, fuzz_cdtab,
	};
	struct input in = { data, size };

	parts[take(&in, 1) % ARRAY_SIZE(parts)](&in);
	return 0;
}
