/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Filtered fan-out: a vSMMU over two physical SMMUs, the CDs of its streams, and stale
 * translations. Stream 0 is behind SMMU 0, stream 1 behind SMMU 1.
 *
 * Functions that return an int return 0 or a negative errno, unless they say otherwise.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_FANOUT_H
#define SELFTEST_SMMUV3_ACCEL_FANOUT_H

#include "machine.h"

#define SMMUS		2
#define SPARE		2	/* stream 2 is a spare one behind SMMU 0, 3 behind SMMU 1 */
#define NEW_ASID	(FILLER_ASID + 1)
#define NO_ASID		(FILLER_ASID + 2)	/* no CD ever has it */
#define NO_GLOBAL	SMMUV3_ACCEL_CREATE_NO_GLOBAL

int fanout_open(struct machine *m, enum machine_stage stage, __u32 flags, unsigned int spare);
__u64 withheld(struct machine *m, __u64 *seen);
int use_stage1(struct machine *m, unsigned int i);
int goes(struct machine *m, unsigned int i, const struct stage1 *s1);
int other_table(struct machine *m, struct stage1 *to, const struct stage1 *from,
		unsigned int asid, int page);
int cd_on_own_page(struct machine *m);
void store_cd(struct machine *m, unsigned int i, const struct stage1 *s1);
int tell(struct machine *m, unsigned int i);
int evict(struct machine *m, unsigned int i);
int hide_asid(struct machine *m, struct stage1 *hidden);

/* Change a page table. The SMMU of stream @i still has the translation from before */
#define MAKE_STALE(m, i, s1, page)					\
	do {								\
		int _old = goes(m, i, s1);				\
									\
		ASSERT_LE(0, _old);					\
		ASSERT_NE(page, _old);					\
		stage1_lead(s1, page);					\
		ASSERT_EQ(_old, goes(m, i, s1)) TH_LOG("no stale translation");	\
	} while (0)

#endif
