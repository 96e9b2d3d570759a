// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The guest's memory.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "internal.h"

#define REGION_FLAGS	VSMMU_REGION_READONLY

/*
 * Where the VMM has the memory at @gpa. Reduces @len to what follows in one piece.
 * Returns NULL if there is no memory, or with @write if the guest cannot write it.
 */
static void *memory_find(struct vsmmu *v, uint64_t gpa, size_t *len, bool write)
{
	uint32_t i;

	for (i = 0; i < v->region_num; i++) {
		const struct vsmmu_region *region = &v->region[i];
		uint64_t offset = gpa - region->gpa;

		if (gpa < region->gpa || offset >= region->size)
			continue;
		if (write && (region->flags & VSMMU_REGION_READONLY))
			return NULL;
		if (*len > region->size - offset)
			*len = region->size - offset;
		return (void *)(uintptr_t)(region->uaddr + offset);
	}
	return NULL;
}

static bool memory_exists(struct vsmmu *v, uint64_t gpa, size_t len, bool write)
{
	while (len) {
		size_t part = len;

		if (!memory_find(v, gpa, &part, write))
			return false;
		gpa += part;
		len -= part;
	}
	return true;
}

/* The library reads nothing but commands that are done, and one that is in error. */
bool vsmmu__memory_read(struct vsmmu *v, uint64_t gpa, void *buf, size_t len)
{
	char *to = buf;

	if (!memory_exists(v, gpa, len, false))
		return false;
	while (len) {
		size_t part = len;
		const void *from = memory_find(v, gpa, &part, false);

		memcpy(to, from, part);
		gpa += part;
		to += part;
		len -= part;
	}
	return true;
}

/* The library writes nothing but event records and MSIs: each whole, or not at all. */
bool vsmmu__memory_write(struct vsmmu *v, uint64_t gpa, const void *buf,
			 size_t len)
{
	const char *from = buf;

	if (!memory_exists(v, gpa, len, true))
		return false;
	while (len) {
		size_t part = len;
		void *to = memory_find(v, gpa, &part, true);

		memcpy(to, from, part);
		gpa += part;
		from += part;
		len -= part;
	}
	return true;
}

/*
 * Write an MSI: in one access, after all earlier ones. No memory that the guest can
 * write: nothing is written.
 */
bool vsmmu__memory_write32(struct vsmmu *v, uint64_t gpa, uint32_t value)
{
	const uint32_t le = htole32(value);
	size_t len = sizeof(le);
	void *to = memory_find(v, gpa, &len, true);

	/* The VMM may have the memory in pieces of any alignment. */
	if (!to || len < sizeof(le) || (uintptr_t)to % sizeof(le))
		return vsmmu__memory_write(v, gpa, &le, sizeof(le));
	__atomic_store_n((uint32_t *)to, le, __ATOMIC_RELEASE);
	return true;
}

static int refuse_region(struct vsmmu *v, uint32_t i, uint32_t reason)
{
	return vsmmu__fail(v, &(struct vsmmu_error){
		.error = -EINVAL,
		.reason = reason,
		.bad_region = i,
	});
}

int vsmmu__check_regions(struct vsmmu *v, const struct vsmmu_region *regions,
			 uint32_t num)
{
	uint32_t i;

	if (num > VSMMU_MAX_REGIONS)
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_TOO_MANY_REGIONS);
	for (i = 0; i < num; i++) {
		if (regions[i].flags & ~REGION_FLAGS)
			return refuse_region(v, i, VSMMU_REASON_REGION_FLAGS);
		if (regions[i].reserved)
			return refuse_region(v, i, VSMMU_REASON_REGION_RESERVED);
	}
	return 0;
}

int vsmmu__set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		      uint32_t num)
{
	struct smmuv3_accel_mem_table arg = {
		.size = sizeof(arg),
		.region_num = num,
		.regions_uptr = (uintptr_t)v->table,
	};
	uint32_t i;
	int rc = vsmmu__check_regions(v, regions, num);

	if (rc)
		return rc;
	/* The kernel only reads guest memory, so its regions have no flags. */
	for (i = 0; i < num; i++)
		v->table[i] = (struct smmuv3_accel_mem_region){
			.gpa = regions[i].gpa,
			.size = regions[i].size,
			.uaddr = regions[i].uaddr,
		};
	rc = vsmmu__call(v, SMMUV3_ACCEL_SET_MEM_TABLE, &arg);
	if (rc)
		return vsmmu__fail(v, &(struct vsmmu_error){
			.error = rc,
			.request = SMMUV3_ACCEL_SET_MEM_TABLE,
			.reason = arg.out_reason,
			.bad_region = arg.out_bad_region,
		});
	if (num)
		memcpy(v->region, regions, num * sizeof(*regions));
	v->region_num = num;
	return 0;
}

int vsmmu_set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		     uint32_t num)
{
	int rc;

	vsmmu__lock(v);
	rc = vsmmu__set_memory(v, regions, num);
	vsmmu__unlock(v);
	return rc;
}
