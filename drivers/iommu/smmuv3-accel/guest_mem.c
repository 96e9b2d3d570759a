// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory, read through the VMM's own mapping of it as vhost does. Going
 * through the IOAS costs as much for one access as a short doorbell in all.
 */
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "guest_mem.h"

static int region_cmp(const void *a, const void *b)
{
	const struct smmuv3_accel_mem_region *ra = a, *rb = b;

	return ra->gpa < rb->gpa ? -1 : ra->gpa > rb->gpa;
}

static bool region_is_sane(const struct smmuv3_accel_mem_region *region)
{
	u64 end;

	return region->size &&
	       !check_add_overflow(region->gpa, region->size - 1, &end) &&
	       !check_add_overflow(region->uaddr, region->size, &end) &&
	       access_ok(u64_to_user_ptr(region->uaddr), region->size);
}

/**
 * guest_mem_load() - Copy a table of memory regions and check it
 * @mem: the result; to be freed by guest_mem_free()
 * @uregions: array of struct smmuv3_accel_mem_region
 * @num: its length
 *
 * Return: 0, -EINVAL where a region is empty, wraps or overlaps another, or
 * there are too many, -EFAULT, -ENOMEM.
 */
int guest_mem_load(struct guest_mem *mem, const void __user *uregions, u32 num)
{
	struct smmuv3_accel_mem_region *regions;
	u32 i;

	mem->regions = NULL;
	mem->num = 0;
	if (num > SMMUV3_MAX_REGIONS)
		return -EINVAL;
	if (!num)
		return 0;

	regions = memdup_array_user(uregions, num, sizeof(*regions));
	if (IS_ERR(regions))
		return PTR_ERR(regions);
	sort(regions, num, sizeof(*regions), region_cmp, NULL);
	for (i = 0; i < num; i++) {
		if (region_is_sane(&regions[i]) &&
		    (!i || regions[i].gpa - regions[i - 1].gpa >=
				   regions[i - 1].size))
			continue;
		kfree(regions);
		return -EINVAL;
	}
	mem->regions = regions;
	mem->num = num;
	return 0;
}

/**
 * guest_mem_free() - Forget a table
 * @mem: the table
 */
void guest_mem_free(struct guest_mem *mem)
{
	kfree(mem->regions);
	mem->regions = NULL;
	mem->num = 0;
}

/**
 * guest_mem_find() - Find where the VMM has some of the guest's memory
 * @mem: the table
 * @gpa: guest physical address
 * @len: wanted length, reduced to what is contiguous for the VMM as well
 *
 * Return: the VMM's address, or NULL where there is no memory at @gpa.
 */
const void __user *guest_mem_find(const struct guest_mem *mem, u64 gpa,
				  size_t *len)
{
	u32 low = 0, high = mem->num;

	while (low < high) {
		u32 mid = (low + high) / 2;
		const struct smmuv3_accel_mem_region *region =
			&mem->regions[mid];

		if (gpa < region->gpa) {
			high = mid;
		} else if (gpa - region->gpa >= region->size) {
			low = mid + 1;
		} else {
			u64 offset = gpa - region->gpa;

			*len = min_t(u64, *len, region->size - offset);
			return u64_to_user_ptr(region->uaddr + offset);
		}
	}
	return NULL;
}

/**
 * guest_mem_read() - Read guest memory
 * @mem: the table
 * @gpa: guest physical address
 * @buf: takes what is read
 * @len: how much; may span regions
 *
 * Return: 0 or -EFAULT.
 */
int guest_mem_read(const struct guest_mem *mem, u64 gpa, void *buf, size_t len)
{
	while (len) {
		size_t part = len;
		const void __user *from = guest_mem_find(mem, gpa, &part);

		/*
		 * Twice: what is not there is the guest's mistake, but not where
		 * memory was short for a moment.
		 */
		if (!from || (copy_from_user(buf, from, part) &&
			      copy_from_user(buf, from, part)))
			return -EFAULT;
		gpa += part;
		buf += part;
		len -= part;
	}
	return 0;
}
