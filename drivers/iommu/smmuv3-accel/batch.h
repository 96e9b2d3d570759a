/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A batch of commands: sort them into phases, and leave out those that others cover.
 * These functions have no state but the batch.
 */
#ifndef _SMMUV3_ACCEL_BATCH_H
#define _SMMUV3_ACCEL_BATCH_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/types.h>

#include "arch.h"

/* The host issues commands in blocks of this many, with interrupts off. */
#define SMMUV3_HOST_BLOCK	63
/* The most in one invalidation: the host allocates 16 bytes for each. */
#define SMMUV3_HOST_MAX_BATCH	(32 * SMMUV3_HOST_BLOCK)

/**
 * enum smmuv3_phase - When a command of a batch is carried out
 * @SMMUV3_PHASE_CD: first: invalidate cached CDs
 * @SMMUV3_PHASE_TLBI: second: invalidate TLB entries, which the SMMU could otherwise
 *	refill by a stale CD
 * @SMMUV3_PHASE_ATC: third: invalidate ATC entries, which a device could otherwise
 *	refill from a stale TLB entry
 * @SMMUV3_PHASE_NUM: how many phases there are
 * @SMMUV3_PHASE_NONE: never: there is nothing to do
 *
 * The host carries out the commands of one call in any order. So each phase takes
 * its own call, which starts when the one before has returned. A CMD_SYNC asks for no
 * more order than this, so the module issues none to the host.
 */
enum smmuv3_phase {
	SMMUV3_PHASE_CD,
	SMMUV3_PHASE_TLBI,
	SMMUV3_PHASE_ATC,
	SMMUV3_PHASE_NUM,
	SMMUV3_PHASE_NONE = SMMUV3_PHASE_NUM,
};

/* A command's tag: its phase, and the index of the physical SMMU that it is for */
#define SMMUV3_TAG_PHASE	GENMASK(1, 0)
#define SMMUV3_TAG_PHYS		GENMASK(7, 2)
/* No physical SMMU has this index. */
#define SMMUV3_PHYS_ALL		0x3f

/**
 * struct smmuv3_batch_policy - How a batch may be reduced
 * @subsume: leave out commands that others cover
 * @merge: merge adjacent range invalidations
 * @no_global: the guest maps nothing global, so a TLBI_NH_ASID covers each
 *	TLBI_NH_VA of its ASID
 * @escalate: with @no_global, replace more than this many TLBI_NH_VA of one ASID
 *	by one TLBI_NH_ASID; 0: never
 */
struct smmuv3_batch_policy {
	bool subsume;
	bool merge;
	bool no_global;
	u32 escalate;
};

/**
 * struct smmuv3_batch_stretch - A phase of a batch
 * @num: how many commands it has, before any are left out
 * @first: index of the first
 * @last: index of the last
 * @phys: physical SMMU of all its commands, if not @mixed
 * @mixed: its commands are for different physical SMMUs
 * @changed: some commands were left out or changed
 */
struct smmuv3_batch_stretch {
	u32 num;
	u32 first;
	u32 last;
	u8 phys;
	bool mixed;
	bool changed;
};

#define SMMUV3_BATCH_SLOTS	4096	/* more than twice SMMUV3_HOST_MAX_BATCH */

/**
 * struct smmuv3_batch - A batch, and room to work on it
 * @cmds: the commands, copied once from the guest. smmuv3_batch_replace() and
 *	smmuv3_batch_reduce() change them in place, and keep each one legal
 * @tags: the phase and physical SMMU of each command
 * @phases: the commands of each phase
 * @tlbi_plain: all TLBIs have the same first word and invalidate single addresses
 *	that increase, so that none covers another
 * @tlbi_all: there is a TLBI_NH_ALL or TLBI_NSNH_ALL
 * @tlbi_prev: the words of the last TLBI, while @tlbi_plain
 * @subsumed: commands left out, in all batches
 * @merged: range invalidations merged into another, in all batches
 * @generation: entries of @slots with another generation are empty
 * @slots: hash table: generation and index of a command
 * @stage: commands on their way to the host
 */
struct smmuv3_batch {
	__le64 cmds[SMMUV3_HOST_MAX_BATCH][2];
	u8 tags[SMMUV3_HOST_MAX_BATCH];
	struct smmuv3_batch_stretch phases[SMMUV3_PHASE_NUM];
	bool tlbi_plain;
	bool tlbi_all;
	u64 tlbi_prev[2];
	u64 subsumed;
	u64 merged;
	u16 generation;
	u32 slots[SMMUV3_BATCH_SLOTS];
	__le64 stage[SMMUV3_HOST_MAX_BATCH][2];
};

void smmuv3_batch_note_tlbi(struct smmuv3_batch *batch, const u64 cmd[2],
			    bool first);

static inline bool smmuv3_batch_is_by_address(const u64 cmd[2])
{
	u32 op = FIELD_GET(CMD_0_OP, cmd[0]);

	return op == CMD_TLBI_NH_VA || op == CMD_TLBI_NH_VAA;
}

/**
 * smmuv3_batch_start() - Start a batch
 * @batch: the batch; its commands are in place already or will be
 */
static inline void smmuv3_batch_start(struct smmuv3_batch *batch)
{
	enum smmuv3_phase phase;

	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++) {
		batch->phases[phase].num = 0;
		batch->phases[phase].mixed = false;
		batch->phases[phase].changed = false;
	}
	batch->tlbi_plain = true;
	batch->tlbi_all = false;
}

/**
 * smmuv3_batch_add() - Put the next command into a phase
 * @batch: the batch
 * @index: the command's index, larger than those before
 * @cmd: the command, CPU-endian
 * @phase: the phase
 * @phys: the physical SMMU that it is for, or %SMMUV3_PHYS_ALL
 */
static inline void smmuv3_batch_add(struct smmuv3_batch *batch, u32 index,
				    const u64 cmd[2], enum smmuv3_phase phase,
				    u8 phys)
{
	struct smmuv3_batch_stretch *stretch;

	batch->tags[index] = FIELD_PREP(SMMUV3_TAG_PHASE, phase) |
			     FIELD_PREP(SMMUV3_TAG_PHYS, phys);
	if (phase == SMMUV3_PHASE_NONE)
		return;

	stretch = &batch->phases[phase];
	if (phase == SMMUV3_PHASE_TLBI)
		smmuv3_batch_note_tlbi(batch, cmd, !stretch->num);
	if (!stretch->num++) {
		stretch->first = index;
		stretch->phys = phys;
	} else if (stretch->phys != phys) {
		stretch->mixed = true;
	}
	stretch->last = index;
}

/**
 * smmuv3_batch_replace() - Replace a guest command by another one
 * @batch: the batch
 * @index: the command's index
 * @cmd: the other command, CPU-endian
 *
 * The host has to use the batch, not the guest's memory.
 */
static inline void smmuv3_batch_replace(struct smmuv3_batch *batch, u32 index,
					const u64 cmd[2])
{
	enum smmuv3_phase phase;

	batch->cmds[index][0] = cpu_to_le64(cmd[0]);
	batch->cmds[index][1] = cpu_to_le64(cmd[1]);
	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++)
		batch->phases[phase].changed = true;
}

/**
 * smmuv3_batch_whole() - Whether a phase is one unchanged stretch of the batch
 * @batch: the batch
 * @phase: the phase
 * @phys: index of the physical SMMU in question
 *
 * Return: true if this physical SMMU has to carry out exactly the commands from the
 * phase's first to its last, as the guest wrote them.
 */
static inline bool smmuv3_batch_whole(const struct smmuv3_batch *batch,
				      enum smmuv3_phase phase, u8 phys)
{
	const struct smmuv3_batch_stretch *stretch = &batch->phases[phase];

	return stretch->num && !stretch->changed && !stretch->mixed &&
	       (stretch->phys == phys || stretch->phys == SMMUV3_PHYS_ALL) &&
	       stretch->last - stretch->first + 1 == stretch->num;
}

/**
 * smmuv3_batch_escalates() - Whether a TLBI_NH_ASID replaces many TLBI_NH_VA
 * @policy: how batches may be reduced
 * @num: how many TLBI_NH_VA of one ASID there are
 *
 * Return: true if it does.
 */
static inline bool smmuv3_batch_escalates(const struct smmuv3_batch_policy *policy,
					  u32 num)
{
	return policy->no_global && policy->escalate && num > policy->escalate;
}

u32 smmuv3_batch_alike(const __le64 (*cmds)[2], u32 num);
u32 smmuv3_batch_extend(struct smmuv3_batch *batch, u32 index, u32 end);
void smmuv3_batch_reduce(struct smmuv3_batch *batch,
			 const struct smmuv3_batch_policy *policy);
u32 smmuv3_batch_select(struct smmuv3_batch *batch, enum smmuv3_phase phase,
			u8 phys);

#endif
