/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory, through the VMM's memory table
 */
#ifndef _SMMUV3_ACCEL_GUEST_MEM_H
#define _SMMUV3_ACCEL_GUEST_MEM_H

#include <linux/types.h>
#include <uapi/linux/smmuv3_accel.h>

/* Far more than a machine has regions of RAM */
#define SMMUV3_MAX_REGIONS	512

/**
 * struct guest_mem - Guest memory
 * @regions: sorted by guest physical address, none overlapping
 * @num: how many
 * @known: the VMM has set the table, which may be empty
 */
struct guest_mem {
	struct smmuv3_accel_mem_region *regions;
	u32 num;
	bool known;
};

int guest_mem_load(struct guest_mem *mem, const void __user *uregions, u32 num,
		   u32 *bad, u32 *reason);
void guest_mem_free(struct guest_mem *mem);
const void __user *guest_mem_find(const struct guest_mem *mem, u64 gpa,
				  size_t *len);
size_t guest_mem_copy(void *to, const void __user *from, size_t len);
int guest_mem_read(const struct guest_mem *mem, u64 gpa, void *buf, size_t len);

#endif
