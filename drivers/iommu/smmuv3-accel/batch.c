// SPDX-License-Identifier: GPL-2.0
#include <kunit/visibility.h>
#include <linux/export.h>

#include "batch.h"

/**
 * smmuv3_batch_select() - Pick the commands of one phase for one physical SMMU
 * @out: takes up to @num commands
 * @cmds: the batch
 * @tags: what each of its commands is
 * @num: its length
 * @phase: the phase
 * @phys: index of the physical SMMU
 *
 * Return: how many were picked.
 */
u32 smmuv3_batch_select(__le64 (*out)[2], const __le64 (*cmds)[2],
			const struct smmuv3_batch_tag *tags, u32 num,
			enum smmuv3_phase phase, u32 phys)
{
	u32 i, picked = 0;

	for (i = 0; i < num; i++) {
		if (tags[i].phase != phase ||
		    (tags[i].phys != phys && tags[i].phys != SMMUV3_PHYS_ALL))
			continue;
		out[picked][0] = cmds[i][0];
		out[picked][1] = cmds[i][1];
		picked++;
	}
	return picked;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_batch_select);
