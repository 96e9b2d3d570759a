// SPDX-License-Identifier: GPL-2.0
/*
 * A batch of commands: reduce a segment. The result may invalidate more than the
 * guest asked for, but never less. Documentation/driver-api/smmuv3-accel.rst says why
 * each rule is right.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "arch.h"
#include "batch.h"

static u32 opcode(const u64 cmd[2])
{
	return FIELD_GET(CMD_0_OP, cmd[0]);
}

static void load(const struct smmuv3_batch *batch, u32 index, u64 cmd[2])
{
	cmd[0] = le64_to_cpu(batch->cmds[index][0]);
	cmd[1] = le64_to_cpu(batch->cmds[index][1]);
}

static enum smmuv3_phase tag_phase(const struct smmuv3_batch *batch, u32 index)
{
	return FIELD_GET(SMMUV3_TAG_PHASE, batch->tags[index]);
}

static void store(struct smmuv3_batch *batch, u32 index, const u64 cmd[2])
{
	batch->cmds[index][0] = cpu_to_le64(cmd[0]);
	batch->cmds[index][1] = cpu_to_le64(cmd[1]);
	batch->phases[tag_phase(batch, index)].changed = true;
}

static void drop(struct smmuv3_batch *batch, u32 index)
{
	batch->phases[tag_phase(batch, index)].changed = true;
	batch->tags[index] = SMMUV3_PHASE_NONE;
}

static void subsume(struct smmuv3_batch *batch, u32 index)
{
	drop(batch, index);
	batch->subsumed++;
}

/**
 * smmuv3_batch_note_tlbi() - Update what the batch knows of its TLBIs
 * @batch: the batch
 * @cmd: the next TLBI
 * @first: it is the first TLBI
 */
void smmuv3_batch_note_tlbi(struct smmuv3_batch *batch, const u64 cmd[2],
			    bool first)
{
	if (batch->tlbi_plain) {
		batch->tlbi_plain =
			first ? smmuv3_batch_is_by_address(cmd) :
				cmd[0] == batch->tlbi_prev[0] &&
				(cmd[1] & TLBI_1_ADDRESS) >
					(batch->tlbi_prev[1] & TLBI_1_ADDRESS);
		batch->tlbi_plain &= !(cmd[1] & TLBI_1_TG);
		batch->tlbi_prev[0] = cmd[0];
		batch->tlbi_prev[1] = cmd[1];
	}
	if (opcode(cmd) == CMD_TLBI_NH_ALL || opcode(cmd) == CMD_TLBI_NSNH_ALL)
		batch->tlbi_all = true;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_batch_note_tlbi);

/**
 * smmuv3_batch_alike() - Count commands that differ only in rising addresses
 * @cmds: a TLBI_NH_VA or TLBI_NH_VAA of a single address, and the commands after it
 * @num: how many commands there are
 *
 * Drivers invalidate ranges page by page. A command that differs from a legal one
 * only in a higher address is legal too, and neither covers the other.
 *
 * Return: how many, the first included.
 */
u32 smmuv3_batch_alike(const __le64 (*cmds)[2], u32 num)
{
	const __le64 word0 = cmds[0][0];
	const u64 word1 = le64_to_cpu(cmds[0][1]);
	u64 prev = word1, next, diff1;
	__le64 diff0;
	bool falls;
	u32 i, j;

	/* Four at a time without a branch, then the rest one by one */
	for (i = 1; i + 4 <= num; i += 4) {
		next = prev;
		diff0 = 0;
		diff1 = 0;
		falls = false;
#pragma GCC unroll 4
		for (j = 0; j < 4; j++) {
			u64 last = next;

			next = le64_to_cpu(cmds[i + j][1]);
			diff0 |= cmds[i + j][0] ^ word0;
			diff1 |= next ^ word1;
			falls |= next <= last;
		}
		if (diff0 || (diff1 & ~TLBI_1_ADDRESS) || falls)
			break;
		prev = next;
	}
	for (; i < num; i++) {
		next = le64_to_cpu(cmds[i][1]);
		if (cmds[i][0] != word0 || next <= prev ||
		    ((next ^ word1) & ~TLBI_1_ADDRESS))
			break;
		prev = next;
	}
	return i;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_batch_alike);

/**
 * smmuv3_batch_extend() - Add the commands that are like the last one
 * @batch: the batch
 * @index: index of the last command added, which is legal
 * @end: index after the last command that may be added
 *
 * Return: index after the last command added.
 */
u32 smmuv3_batch_extend(struct smmuv3_batch *batch, u32 index, u32 end)
{
	struct smmuv3_batch_stretch *stretch =
		&batch->phases[SMMUV3_PHASE_TLBI];
	u32 more;

	if (!batch->tlbi_plain || !stretch->num || stretch->last != index)
		return index + 1;
	more = smmuv3_batch_alike(&batch->cmds[index], end - index) - 1;
	if (more) {
		memset(&batch->tags[index + 1], batch->tags[index], more);
		stretch->num += more;
		stretch->last += more;
		batch->tlbi_prev[1] =
			le64_to_cpu(batch->cmds[index + more][1]);
	}
	return index + more + 1;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_batch_extend);

/*
 * Commands with the same key do the same, except for Leaf: a command without Leaf
 * covers the same command with Leaf.
 */
static void key_of(const u64 cmd[2], u64 key[2])
{
	key[0] = cmd[0];
	key[1] = cmd[1];
	switch (opcode(cmd)) {
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
		key[1] &= ~TLBI_1_LEAF;
		fallthrough;
	case CMD_TLBI_NH_ASID:
		key[0] &= ~TLBI_0_VMID;
		break;
	case CMD_CFGI_CD:
		key[1] &= ~CFGI_1_LEAF;
		break;
	}
}

static bool has_leaf(const u64 cmd[2])
{
	u32 op = opcode(cmd);

	BUILD_BUG_ON(TLBI_1_LEAF != CFGI_1_LEAF);
	return (smmuv3_batch_is_by_address(cmd) || op == CMD_CFGI_CD) &&
	       (cmd[1] & TLBI_1_LEAF);
}

#define SLOT_INDEX	GENMASK(15, 0)
#define SLOT_GENERATION	GENMASK(31, 16)

/* Empty the hash table: bump the generation; clear the slots only on wraparound. */
static void slots_clear(struct smmuv3_batch *batch)
{
	if (++batch->generation)
		return;
	memset(batch->slots, 0, sizeof(batch->slots));
	batch->generation = 1;
}

/*
 * A guest can choose keys that all begin their search in the same slot, so a search ends
 * after this many slots. Other keys hardly ever need them.
 */
#define SLOT_TRIES	32

/*
 * Find the command with a key. Returns its index. If there is none, returns -1 and
 * sets @slot to the slot for it. If that is not free, its command is forgotten: then
 * commands that it covers stay.
 */
static int slots_find(const struct smmuv3_batch *batch, const u64 key[2],
		      u32 *slot)
{
	u32 i = hash_64(key[0] ^ hash_64(key[1], 64), ilog2(SMMUV3_BATCH_SLOTS));
	u32 tries = SLOT_TRIES;

	for (;; i = (i + 1) % SMMUV3_BATCH_SLOTS) {
		u32 entry = batch->slots[i];
		u64 cmd[2], other[2];

		*slot = i;
		if (FIELD_GET(SLOT_GENERATION, entry) != batch->generation)
			return -1;
		load(batch, FIELD_GET(SLOT_INDEX, entry), cmd);
		key_of(cmd, other);
		if (other[0] == key[0] && other[1] == key[1])
			return FIELD_GET(SLOT_INDEX, entry);
		if (!--tries)
			return -1;
	}
}

/* Whether the table has a command with this key, and with @all one without Leaf */
static bool slots_have(const struct smmuv3_batch *batch, u64 key0, u64 key1,
		       bool all)
{
	const u64 key[2] = { key0, key1 };
	u64 cmd[2];
	int index;
	u32 slot;

	index = slots_find(batch, key, &slot);
	if (index < 0)
		return false;
	load(batch, index, cmd);
	return !all || !has_leaf(cmd);
}

/*
 * Leave a command out if the table has one with the same key. If only that one has
 * Leaf, clear it there, so that it covers both.
 */
static void subsume_same(struct smmuv3_batch *batch, u32 index,
			 const u64 cmd[2])
{
	u64 key[2], other[2];
	u32 slot;
	int same;

	key_of(cmd, key);
	same = slots_find(batch, key, &slot);
	if (same < 0) {
		batch->slots[slot] =
			FIELD_PREP(SLOT_GENERATION, batch->generation) |
			FIELD_PREP(SLOT_INDEX, index);
		return;
	}
	load(batch, same, other);
	if (has_leaf(other) && !has_leaf(cmd)) {
		other[1] &= ~TLBI_1_LEAF;
		store(batch, same, other);
	}
	subsume(batch, index);
}

/* Commands that also cover other opcodes go into the table first. */
static bool is_wide(u32 op)
{
	return op == CMD_TLBI_NH_ASID || op == CMD_TLBI_NH_VAA ||
	       op == CMD_CFGI_CD_ALL;
}

static bool is_covered(const struct smmuv3_batch *batch, const u64 cmd[2],
		       bool no_global)
{
	u64 key[2];

	key_of(cmd, key);
	switch (opcode(cmd)) {
	case CMD_TLBI_NH_VA:
		/* TLBI_NH_ASID does not invalidate global entries (4.4.2). */
		if (no_global &&
		    slots_have(batch, CMD_TLBI_NH_ASID | (key[0] & TLBI_0_ASID),
			       0, false))
			return true;
		key[0] &= ~(CMD_0_OP | TLBI_0_ASID);
		return slots_have(batch, key[0] | CMD_TLBI_NH_VAA, key[1],
				  !has_leaf(cmd));
	case CMD_CFGI_CD:
		return slots_have(batch, CMD_CFGI_CD_ALL | (key[0] & CMD_0_SID),
				  0, false);
	}
	return false;
}

static void phase_subsume(struct smmuv3_batch *batch, enum smmuv3_phase phase,
			  bool no_global)
{
	const struct smmuv3_batch_stretch *stretch = &batch->phases[phase];
	bool wide;
	u32 i;

	slots_clear(batch);
	for (wide = true;; wide = false) {
		for (i = stretch->first; i <= stretch->last; i++) {
			u64 cmd[2];

			if (tag_phase(batch, i) != phase)
				continue;
			load(batch, i, cmd);
			if (is_wide(opcode(cmd)) != wide)
				continue;
			if (!wide && is_covered(batch, cmd, no_global))
				subsume(batch, i);
			else
				subsume_same(batch, i, cmd);
		}
		if (!wide)
			break;
	}
}

/* TLBI_NH_ALL and TLBI_NSNH_ALL cover every TLBI of a guest, so keep only one. */
static void tlbi_keep_all(struct smmuv3_batch *batch)
{
	const struct smmuv3_batch_stretch *stretch =
		&batch->phases[SMMUV3_PHASE_TLBI];
	bool kept = false;
	u32 i;

	for (i = stretch->first; i <= stretch->last; i++) {
		u64 cmd[2];

		if (tag_phase(batch, i) != SMMUV3_PHASE_TLBI)
			continue;
		load(batch, i, cmd);
		if (!kept && (opcode(cmd) == CMD_TLBI_NH_ALL ||
			      opcode(cmd) == CMD_TLBI_NSNH_ALL))
			kept = true;
		else
			subsume(batch, i);
	}
}

/*
 * If there are more than @threshold TLBI_NH_VA of one ASID, replace them by one
 * TLBI_NH_ASID. Only the first few ASIDs in a batch are considered.
 */
static void tlbi_escalate(struct smmuv3_batch *batch, u32 threshold)
{
	const struct smmuv3_batch_stretch *stretch =
		&batch->phases[SMMUV3_PHASE_TLBI];
	struct {
		u64 asid;
		u32 num;
		bool done;
	} asids[8];
	u32 i, a, asid_num = 0;
	bool replace;

	for (replace = false;; replace = true) {
		for (i = stretch->first; i <= stretch->last; i++) {
			u64 cmd[2];

			if (tag_phase(batch, i) != SMMUV3_PHASE_TLBI)
				continue;
			load(batch, i, cmd);
			if (opcode(cmd) != CMD_TLBI_NH_VA)
				continue;
			for (a = 0; a < asid_num; a++)
				if (asids[a].asid == (cmd[0] & TLBI_0_ASID))
					break;
			if (!replace) {
				if (a == ARRAY_SIZE(asids))
					continue;
				if (a == asid_num) {
					asids[a].asid = cmd[0] & TLBI_0_ASID;
					asids[a].num = 0;
					asids[a].done = false;
					asid_num++;
				}
				asids[a].num++;
				continue;
			}
			if (a == asid_num || asids[a].num <= threshold)
				continue;
			if (asids[a].done) {
				subsume(batch, i);
				continue;
			}
			cmd[0] = CMD_TLBI_NH_ASID | asids[a].asid;
			cmd[1] = 0;
			store(batch, i, cmd);
			asids[a].done = true;
		}
		if (replace)
			break;
	}
}

/* A range invalidation covers this many granules of 1 << range_shift() (4.4.1). */
static u64 range_granules(const u64 cmd[2])
{
	return (FIELD_GET(TLBI_0_NUM, cmd[0]) + 1)
	       << FIELD_GET(TLBI_0_SCALE, cmd[0]);
}

static unsigned int range_shift(const u64 cmd[2])
{
	return 10 + 2 * FIELD_GET(TLBI_1_TG, cmd[1]);
}

/* Encode a number of granules, if NUM and SCALE can express it exactly. */
static bool range_encode(u64 granules, u64 *cmd0)
{
	unsigned int scale;

	for (scale = 0; scale <= TLBI_SCALE_NO_DS; scale++) {
		u64 num = granules >> scale;

		if (num << scale != granules)
			return false;
		if (num - 1 <= FIELD_MAX(TLBI_0_NUM)) {
			*cmd0 &= ~(TLBI_0_NUM | TLBI_0_SCALE);
			*cmd0 |= FIELD_PREP(TLBI_0_NUM, num - 1) |
				 FIELD_PREP(TLBI_0_SCALE, scale);
			return true;
		}
	}
	return false;
}

/* A range is well defined only if its address has this alignment. */
static u64 range_alignment(const u64 cmd[2])
{
	unsigned int shift = range_shift(cmd), ttl = FIELD_GET(TLBI_1_TTL, cmd[1]);

	if (ttl)
		shift += (3 - ttl) * (shift - 3);
	return 1ULL << shift;
}

/*
 * Extend @to by @cmd if @cmd begins exactly where @to ends. Refuse if @to is
 * misaligned or one of them has a SCALE that needs DS, because it is uncertain then
 * what they cover.
 */
static bool range_merge(u64 to[2], const u64 cmd[2])
{
	const u64 differ0 = ~(TLBI_0_NUM | TLBI_0_SCALE | TLBI_0_VMID);
	const u64 differ1 = ~TLBI_1_ADDRESS;
	u64 bytes, end;

	if (((to[0] ^ cmd[0]) & differ0) || ((to[1] ^ cmd[1]) & differ1))
		return false;
	if (FIELD_GET(TLBI_0_SCALE, to[0]) > TLBI_SCALE_NO_DS ||
	    FIELD_GET(TLBI_0_SCALE, cmd[0]) > TLBI_SCALE_NO_DS ||
	    (to[1] & TLBI_1_ADDRESS & (range_alignment(to) - 1)))
		return false;
	if (check_shl_overflow(range_granules(to), range_shift(to), &bytes) ||
	    check_add_overflow(to[1] & TLBI_1_ADDRESS, bytes, &end) ||
	    end != (cmd[1] & TLBI_1_ADDRESS))
		return false;
	return range_encode(range_granules(to) + range_granules(cmd), &to[0]);
}

static void tlbi_merge(struct smmuv3_batch *batch)
{
	const struct smmuv3_batch_stretch *stretch =
		&batch->phases[SMMUV3_PHASE_TLBI];
	u64 prev[2], cmd[2];
	int prev_index = -1;
	u32 i;

	for (i = stretch->first; i <= stretch->last; i++) {
		if (tag_phase(batch, i) != SMMUV3_PHASE_TLBI)
			continue;
		load(batch, i, cmd);
		if (!smmuv3_batch_is_by_address(cmd) || !(cmd[1] & TLBI_1_TG))
			continue;
		if (prev_index >= 0 && range_merge(prev, cmd)) {
			store(batch, prev_index, prev);
			drop(batch, i);
			batch->merged++;
			continue;
		}
		prev_index = i;
		prev[0] = cmd[0];
		prev[1] = cmd[1];
	}
}

/* The same as tlbi_escalate(), if all TLBIs are TLBI_NH_VA of one ASID. */
static void tlbi_escalate_plain(struct smmuv3_batch *batch)
{
	struct smmuv3_batch_stretch *stretch =
		&batch->phases[SMMUV3_PHASE_TLBI];
	u32 first = stretch->first, i;
	u64 cmd[2];

	load(batch, first, cmd);
	cmd[0] = CMD_TLBI_NH_ASID | (cmd[0] & TLBI_0_ASID);
	cmd[1] = 0;
	store(batch, first, cmd);
	if (stretch->last - first + 1 == stretch->num) {
		memset(&batch->tags[first + 1], SMMUV3_PHASE_NONE,
		       stretch->num - 1);
	} else {
		for (i = first + 1; i <= stretch->last; i++)
			if (tag_phase(batch, i) == SMMUV3_PHASE_TLBI)
				batch->tags[i] = SMMUV3_PHASE_NONE;
	}
	batch->subsumed += stretch->num - 1;
	/* Only the first is left. */
	stretch->last = first;
}

static void tlbi_reduce(struct smmuv3_batch *batch,
			const struct smmuv3_batch_policy *policy)
{
	const struct smmuv3_batch_stretch *stretch =
		&batch->phases[SMMUV3_PHASE_TLBI];

	if (policy->subsume && batch->tlbi_all) {
		tlbi_keep_all(batch);
		return;
	}
	if (policy->subsume && !batch->tlbi_plain)
		phase_subsume(batch, SMMUV3_PHASE_TLBI, policy->no_global);
	if (smmuv3_batch_escalates(policy, stretch->num)) {
		if (!batch->tlbi_plain)
			tlbi_escalate(batch, policy->escalate);
		else if ((batch->tlbi_prev[0] & CMD_0_OP) == CMD_TLBI_NH_VA)
			tlbi_escalate_plain(batch);
	}
	if (policy->merge && !batch->tlbi_plain)
		tlbi_merge(batch);
}

/**
 * smmuv3_batch_reduce() - Leave out commands that others cover, and merge ranges
 * @batch: the batch, complete
 * @policy: how it may be reduced
 */
void smmuv3_batch_reduce(struct smmuv3_batch *batch,
			 const struct smmuv3_batch_policy *policy)
{
	if (batch->phases[SMMUV3_PHASE_TLBI].num > 1)
		tlbi_reduce(batch, policy);
	if (!policy->subsume)
		return;
	if (batch->phases[SMMUV3_PHASE_CD].num > 1)
		phase_subsume(batch, SMMUV3_PHASE_CD, false);
	if (batch->phases[SMMUV3_PHASE_ATC].num > 1)
		phase_subsume(batch, SMMUV3_PHASE_ATC, false);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_batch_reduce);

/**
 * smmuv3_batch_select() - Copy one phase's commands for one physical SMMU
 * @batch: the batch; the commands go to its @stage
 * @phase: the phase
 * @phys: index of the physical SMMU
 *
 * Return: how many there are.
 */
u32 smmuv3_batch_select(struct smmuv3_batch *batch, enum smmuv3_phase phase,
			u8 phys)
{
	const struct smmuv3_batch_stretch *stretch = &batch->phases[phase];
	u32 i, num = 0;

	if (!stretch->num)
		return 0;
	for (i = stretch->first; i <= stretch->last; i++) {
		u8 tag_phys = FIELD_GET(SMMUV3_TAG_PHYS, batch->tags[i]);

		if (tag_phase(batch, i) != phase ||
		    (tag_phys != phys && tag_phys != SMMUV3_PHYS_ALL))
			continue;
		batch->stage[num][0] = batch->cmds[i][0];
		batch->stage[num][1] = batch->cmds[i][1];
		num++;
	}
	return num;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_batch_select);
