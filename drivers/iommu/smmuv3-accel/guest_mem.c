// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory, read through the VMM's own mapping, as vhost does. One access through
 * the IOAS would cost as much as a whole short doorbell.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "guest_mem.h"

static int region_cmp(const void *a, const void *b)
{
	const struct smmuv3_accel_mem_region *ra = a, *rb = b;

	return ra->gpa < rb->gpa ? -1 : ra->gpa > rb->gpa;
}

/* Check one region by itself. Returns the reason if it is refused. */
static u32 region_check(const struct smmuv3_accel_mem_region *region)
{
	u64 end;

	if (!region->size)
		return SMMUV3_ACCEL_REASON_REGION_EMPTY;
	if (check_add_overflow(region->gpa, region->size - 1, &end) ||
	    check_add_overflow(region->uaddr, region->size, &end) ||
	    !access_ok(u64_to_user_ptr(region->uaddr), region->size))
		return SMMUV3_ACCEL_REASON_REGION_RANGE;
	return SMMUV3_ACCEL_REASON_NONE;
}

/*
 * Sort regions that are legal by themselves. If one overlaps another, set @bad to its
 * index in the VMM's order.
 */
static int regions_sort(struct smmuv3_accel_mem_region *regions, u32 num, u32 *bad)
{
	struct smmuv3_accel_mem_region *sorted;
	u32 i, k;
	int rc = 0;

	sorted = kmemdup_array(regions, num, sizeof(*regions), GFP_KERNEL);
	if (!sorted)
		return -ENOMEM;
	sort(sorted, num, sizeof(*sorted), region_cmp, NULL);
	for (i = 1; !rc && i < num; i++) {
		if (sorted[i].gpa - sorted[i - 1].gpa >= sorted[i - 1].size)
			continue;
		for (k = 0; memcmp(&regions[k], &sorted[i], sizeof(*sorted)); k++)
			;
		*bad = k;
		rc = -EINVAL;
	}
	if (!rc)
		memcpy(regions, sorted, num * sizeof(*regions));
	kfree(sorted);
	return rc;
}

/**
 * guest_mem_load() - Copy a table of memory regions and check it
 * @mem: the result, for guest_mem_free()
 * @uregions: array of struct smmuv3_accel_mem_region
 * @num: its length
 * @bad: set to the index of the region that is refused
 * @reason: set if it fails
 *
 * Return: 0; -EINVAL if a region is refused or there are too many; -EFAULT; -ENOMEM.
 */
int guest_mem_load(struct guest_mem *mem, const void __user *uregions, u32 num,
		   u32 *bad, u32 *reason)
{
	struct smmuv3_accel_mem_region *regions;
	int rc = -EINVAL;
	u32 i;

	*mem = (struct guest_mem){ .known = true };
	if (num > SMMUV3_MAX_REGIONS) {
		*reason = SMMUV3_ACCEL_REASON_ARRAY;
		return -EINVAL;
	}
	if (!num)
		return 0;

	regions = kmalloc_objs(*regions, num, GFP_KERNEL_ACCOUNT);
	if (!regions)
		return -ENOMEM;
	if (copy_from_user(regions, uregions, num * sizeof(*regions))) {
		rc = -EFAULT;
		goto err_free;
	}
	for (i = 0; i < num; i++) {
		*reason = region_check(&regions[i]);
		if (*reason) {
			*bad = i;
			goto err_free;
		}
	}
	rc = regions_sort(regions, num, bad);
	if (rc == -EINVAL)
		*reason = SMMUV3_ACCEL_REASON_REGION_OVERLAP;
	if (rc)
		goto err_free;
	mem->regions = regions;
	mem->num = num;
	return 0;

err_free:
	kfree(regions);
	return rc;
}

/**
 * guest_mem_free() - Free a table's memory
 * @mem: the table
 */
void guest_mem_free(struct guest_mem *mem)
{
	kfree(mem->regions);
	mem->regions = NULL;
	mem->num = 0;
}

/**
 * guest_mem_find() - Translate a guest physical address to the VMM's address
 * @mem: the table
 * @gpa: guest physical address
 * @len: wanted length, reduced to what is contiguous in the VMM
 *
 * Return: the VMM's address, or NULL if there is no memory at @gpa.
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

/*
 * Copy from one page that may be missing. copy_from_user() would repeat the page fault
 * until the page is there, even if a signal comes. So use get_user_pages(), which
 * stops for a signal. It refuses mappings without pages (VM_IO, VM_PFNMAP). Read those
 * directly, because userfaultfd cannot delay them.
 */
static size_t copy_in_page(void *to, const void __user *from, size_t len)
{
	unsigned long addr = untagged_addr((unsigned long)from);
	struct page *page;
	void *kaddr;
	long rc;

	if (!access_ok(from, len))
		return 0;
	rc = get_user_pages_unlocked(addr, 1, &page, FOLL_INTERRUPTIBLE);
	/* The shortage may be temporary: try once more. */
	if (rc == -ENOMEM)
		rc = get_user_pages_unlocked(addr, 1, &page,
					     FOLL_INTERRUPTIBLE);
	if (rc == -EINTR || rc == -ERESTARTSYS)
		return 0;
	if (rc != 1)
		return len - copy_from_user(to, from, len);
	kaddr = kmap_local_page(page);
	memcpy(to, kaddr + offset_in_page(addr), len);
	kunmap_local(kaddr);
	put_page(page);
	return len;
}

/**
 * guest_mem_copy() - Copy from guest memory, as the VMM has mapped it
 * @to: the destination
 * @from: the VMM's address
 * @len: how many bytes
 *
 * Waits for a missing page, for instance during a postcopy migration, until a signal
 * comes.
 *
 * Return: how many bytes were copied. If fewer than @len, the rest cannot be read or
 * a signal is pending.
 */
size_t guest_mem_copy(void *to, const void __user *from, size_t len)
{
	size_t done = 0, want, part;

	while (done < len) {
		want = min(len - done,
			   PAGE_SIZE - offset_in_page(from + done));
		part = want;
		if (copy_from_user_nofault(to + done, from + done, want))
			part = copy_in_page(to + done, from + done, want);
		done += part;
		if (part < want)
			break;
	}
	return done;
}

/**
 * guest_mem_read() - Read guest memory
 * @mem: the table
 * @gpa: guest physical address
 * @buf: the destination
 * @len: how many bytes; may span regions
 *
 * Return: 0, -EFAULT, or -EINTR if a signal came while a page was missing.
 */
int guest_mem_read(const struct guest_mem *mem, u64 gpa, void *buf, size_t len)
{
	while (len) {
		size_t part = len;
		const void __user *from = guest_mem_find(mem, gpa, &part);

		if (!from)
			return -EFAULT;
		if (guest_mem_copy(buf, from, part) < part)
			return signal_pending(current) ? -EINTR : -EFAULT;
		gpa += part;
		buf += part;
		len -= part;
	}
	return 0;
}
