/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's stream table, linear or 2-level. These functions depend only on their
 * arguments, and on what a reader reads.
 */
#ifndef _SMMUV3_ACCEL_STRTAB_H
#define _SMMUV3_ACCEL_STRTAB_H

#include <linux/types.h>
#include <uapi/linux/smmuv3_accel.h>

/**
 * struct smmuv3_reader - A way to read guest memory
 * @read: read @len bytes at a guest physical address; 0 or a negative errno
 */
struct smmuv3_reader {
	int (*read)(struct smmuv3_reader *reader, u64 gpa, void *buf,
		    size_t len);
};

/**
 * struct smmuv3_strtab - Place and form of a stream table
 * @base: guest physical address, without the bits that the architecture ignores
 * @log2size: log2 of the number of StreamIDs
 * @split: StreamID bits that a level-2 table resolves; 0: the table is linear
 */
struct smmuv3_strtab {
	u64 base;
	u8 log2size;
	u8 split;
};

void smmuv3_strtab_decode(struct smmuv3_strtab *strtab, u64 strtab_base,
			  u32 strtab_base_cfg, u32 sid_bits);
enum smmuv3_accel_reason smmuv3_strtab_read(const struct smmuv3_strtab *strtab,
					    u32 sid,
					    struct smmuv3_reader *reader,
					    u64 ste[8]);

#endif
