// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory, read through the VMM's own mapping of it as vhost does. Going
 * through the IOAS costs as much for one access as a short doorbell in all.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
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

	regions = kmalloc_objs(*regions, num, GFP_KERNEL_ACCOUNT);
	if (!regions)
		return -ENOMEM;
	if (copy_from_user(regions, uregions, num * sizeof(*regions))) {
		kfree(regions);
		return -EFAULT;
	}
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

/*
 * Copy what is in one page, having it brought in. A page fault of ours would be
 * repeated until the page is there, whatever signal comes, so leave it to
 * get_user_pages(). It refuses mappings without pages, VM_IO and VM_PFNMAP.
 * userfaultfd cannot hold back those either, so read them directly.
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
	/* Memory may be short for a moment. */
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
 * guest_mem_copy() - Copy from the VMM's mapping of the guest's memory
 * @to: takes what is read
 * @from: the VMM's address
 * @len: how much
 *
 * Waits for a page that is missing, as while a guest is moved by postcopy, but
 * not beyond a signal.
 *
 * Return: how much was copied. If that is not all, the rest cannot be read, or a
 * signal is pending.
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
 * @buf: takes what is read
 * @len: how much; may span regions
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
