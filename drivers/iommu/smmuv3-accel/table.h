/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Table mode
 */
#ifndef _SMMUV3_ACCEL_TABLE_H
#define _SMMUV3_ACCEL_TABLE_H

#include "smmuv3-accel.h"

/**
 * struct smmuv3_reread - A range of streams whose STEs are evaluated again
 * @first: the first StreamID
 * @last: the last
 * @num: how many streams were evaluated
 * @bad: takes the streams whose STEs are not legal
 * @failed: if the call fails, the first stream for which it failed; 0: a signal came
 * @reason: if the call fails, why
 */
struct smmuv3_reread {
	u32 first;
	u32 last;
	u32 num;
	struct smmuv3_bad_list *bad;
	u32 failed;
	u32 reason;
};

int smmuv3_table_apply(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		       struct smmuv3_bad_list *list);
int smmuv3_table_reread(struct smmuv3_vsmmu *v, struct smmuv3_reread *reread);
int smmuv3_table_set_regs(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			  u32 *failed, u32 *reason);
int smmuv3_table_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		     struct smmuv3_ste *ste, u32 *reason);
int smmuv3_table_check_mem(struct smmuv3_vsmmu *v, u32 *reason);

#endif
