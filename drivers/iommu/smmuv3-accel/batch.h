/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A batch of commands: in which order the host may carry them out, and which of
 * them it need not. Pure.
 */
#ifndef _SMMUV3_ACCEL_BATCH_H
#define _SMMUV3_ACCEL_BATCH_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/types.h>

#include "arch.h"
#include "host.h"

/**
 * enum smmuv3_phase - When a command of a batch is carried out
 * @SMMUV3_PHASE_CD: first cached CDs go,
 * @SMMUV3_PHASE_TLBI: then TLB entries, which a stale CD could bring back,
 * @SMMUV3_PHASE_ATC: then ATC entries, which a stale TLB entry could bring back
 * @SMMUV3_PHASE_NUM: how many phases there are
 * @SMMUV3_PHASE_NONE: never: there is nothing to do
 *
 * The host carries out the commands of one call in any order, so each phase
 * takes a call of its own and starts when the one before has returned. This is
 * more order than a guest can ask for with CMD_SYNCs, so they need no command.
 */
enum smmuv3_phase {
	SMMUV3_PHASE_CD,
	SMMUV3_PHASE_TLBI,
	SMMUV3_PHASE_ATC,
	SMMUV3_PHASE_NUM,
	SMMUV3_PHASE_NONE = SMMUV3_PHASE_NUM,
};

/*
 * What is to be done for a command, in a byte: the phase, and the index of the
 * physical SMMU that it is for.
 */
#define SMMUV3_TAG_PHASE	GENMASK(1, 0)
#define SMMUV3_TAG_PHYS		GENMASK(7, 2)
/* A vSMMU has fewer physical SMMUs than this. */
#define SMMUV3_PHYS_ALL		0x3f

/**
 * struct smmuv3_batch_policy - What may be done to a batch
 * @subsume: leave out commands whose work others do
 * @merge: make one range invalidation of adjacent ones
 * @no_global: the guest maps nothing global, so that TLBI_NH_ASID does all that
 *	TLBI_NH_VA of its ASID would
 * @escalate: with @no_global, more TLBI_NH_VA of one ASID than this become one
 *	TLBI_NH_ASID; 0: never
 */
struct smmuv3_batch_policy {
	bool subsume;
	bool merge;
	bool no_global;
	u32 escalate;
};

/**
 * struct smmuv3_batch_stretch - A phase of a batch
 * @num: how many commands there are, before any are left out
 * @first: index of the first
 * @last: index of the last
 * @phys: physical SMMU of all of them, if not @mixed
 * @mixed: they are for different physical SMMUs
 * @changed: some were left out or changed
 */
struct smmuv3_batch_stretch {
	u32 num;
	u32 first;
	u32 last;
	u8 phys;
	bool mixed;
	bool changed;
};

#define SMMUV3_BATCH_SLOTS	4096	/* over twice the commands */

/**
 * struct smmuv3_batch - A batch, and room to work on it
 * @cmds: the commands, copied once from the guest; changed in place by
 *	smmuv3_batch_reduce(), each still legal
 * @tags: what is to be done for each
 * @phases: the commands of each phase
 * @tlbi_plain: all TLBIs have the same first word and are for single addresses
 *	that increase, so that none can do another's work
 * @tlbi_all: there is a TLBI_NH_ALL or TLBI_NSNH_ALL
 * @tlbi_prev: the last TLBI's words, while @tlbi_plain
 * @subsumed: commands that were left out, since ever
 * @merged: range invalidations that became part of another, since ever
 * @generation: which entries of @slots are in use
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
 * smmuv3_batch_add() - Say what is to be done for the next command
 * @batch: the batch
 * @index: the command's index, larger than those before
 * @cmd: the command, CPU-endian
 * @phase: when it is to be carried out
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
 * smmuv3_batch_whole() - Whether a phase is one unchanged stretch of the batch
 * @batch: the batch
 * @phase: the phase
 * @phys: index of the physical SMMU that it is asked for
 *
 * Return: true where the commands from the phase's first to its last are, as
 * the guest wrote them, what this physical SMMU has to do.
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
 * smmuv3_batch_escalates() - Whether TLBI_NH_VA of one ASID become a TLBI_NH_ASID
 * @policy: what may be done
 * @num: how many there are
 *
 * Return: true if they do.
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
