/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Putting commands in the order in which the host may carry them out. Pure.
 */
#ifndef _SMMUV3_ACCEL_BATCH_H
#define _SMMUV3_ACCEL_BATCH_H

#include <linux/limits.h>
#include <linux/types.h>

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

#define SMMUV3_PHYS_ALL		U32_MAX

/**
 * struct smmuv3_batch_tag - What is to be done for a command
 * @phys: index of the physical SMMU that it is for, or %SMMUV3_PHYS_ALL
 * @phase: when
 */
struct smmuv3_batch_tag {
	u32 phys;
	enum smmuv3_phase phase;
};

u32 smmuv3_batch_select(__le64 (*out)[2], const __le64 (*cmds)[2],
			const struct smmuv3_batch_tag *tags, u32 num,
			enum smmuv3_phase phase, u32 phys);

#endif
