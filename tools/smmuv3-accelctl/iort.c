// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O Remapping Table (Arm DEN 0049): the firmware's statement on whether a
 * PCI root complex is cacheable, write-back and shareable (CANWBS), without
 * which the host nests only on an SMMU with S2FWB.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

#define HEADER_LEN		36
#define NODE_COUNT		36
#define NODE_OFFSET		40

#define NODE_TYPE		0	/* u8 */
#define NODE_LENGTH		1	/* u16 */
#define NODE_MAPPING_COUNT	8	/* u32 */
#define NODE_MAPPING_OFFSET	12	/* u32 */
#define NODE_DATA		16

#define TYPE_ROOT_COMPLEX	2
#define ROOT_COMPLEX_FLAGS	23	/* u8: memory access flags */
#define  FLAGS_CANWBS		(1 << 2)
#define ROOT_COMPLEX_LEN	32

#define TYPE_SMMU_V3		4
#define SMMU_V3_BASE		16	/* u64 */
#define SMMU_V3_LEN		24

#define MAPPING_LEN		20
#define MAPPING_REFERENCE	12	/* u32 */

void iort_read(struct iort *iort)
{
	ssize_t len;

	*iort = (struct iort){};
	iort->data = (unsigned char *)
		root_read_all(&len, "/sys/firmware/acpi/tables/IORT");
	if (iort->data)
		iort->len = len;
	else
		iort->why = len;
}

void iort_free(struct iort *iort)
{
	free(iort->data);
}

static __u32 get32(const struct iort *iort, size_t at)
{
	__le32 value;

	memcpy(&value, iort->data + at, sizeof(value));
	return le32toh(value);
}

static __u64 get64(const struct iort *iort, size_t at)
{
	__le64 value;

	memcpy(&value, iort->data + at, sizeof(value));
	return le64toh(value);
}

/* Length of the node at @at; 0 if there is no whole node */
static size_t node_len(const struct iort *iort, size_t at)
{
	size_t len;

	if (at < HEADER_LEN || at > iort->len || iort->len - at < NODE_DATA)
		return 0;
	len = iort->data[at + NODE_LENGTH] | iort->data[at + NODE_LENGTH + 1] << 8;
	return len >= NODE_DATA && len <= iort->len - at ? len : 0;
}

static bool is_smmu(const struct iort *iort, size_t at, __u64 address)
{
	return node_len(iort, at) >= SMMU_V3_LEN &&
	       iort->data[at + NODE_TYPE] == TYPE_SMMU_V3 &&
	       get64(iort, at + SMMU_V3_BASE) == address;
}

/* Whether the root complex at @at, a whole node, maps IDs to an SMMU */
static bool maps_to(const struct iort *iort, size_t at, size_t len,
		    __u64 address)
{
	__u32 count = get32(iort, at + NODE_MAPPING_COUNT);
	__u32 offset = get32(iort, at + NODE_MAPPING_OFFSET);

	for (; count && offset <= len && len - offset >= MAPPING_LEN;
	     count--, offset += MAPPING_LEN)
		if (is_smmu(iort, get32(iort, at + offset + MAPPING_REFERENCE),
			    address))
			return true;
	return false;
}

/**
 * iort_canwbs() - Whether the root complexes behind an SMMU are CANWBS
 * @iort: the table
 * @smmu_address: the SMMU's base address
 *
 * Return: YES, NO, PARTLY if only some are, UNKNOWN if there is no table or no root
 * complex in it that maps to the SMMU.
 */
enum answer iort_canwbs(const struct iort *iort, __u64 smmu_address)
{
	bool yes = false, no = false;
	size_t at, len;
	__u32 count;

	if (!iort->data || iort->len < NODE_OFFSET + 4 ||
	    memcmp(iort->data, "IORT", 4))
		return UNKNOWN;
	count = get32(iort, NODE_COUNT);
	for (at = get32(iort, NODE_OFFSET); count; count--, at += len) {
		len = node_len(iort, at);
		if (!len)
			break;
		if (iort->data[at + NODE_TYPE] != TYPE_ROOT_COMPLEX ||
		    len < ROOT_COMPLEX_LEN ||
		    !maps_to(iort, at, len, smmu_address))
			continue;
		if (iort->data[at + ROOT_COMPLEX_FLAGS] & FLAGS_CANWBS)
			yes = true;
		else
			no = true;
	}
	if (yes && no)
		return PARTLY;
	return yes ? YES : no ? NO : UNKNOWN;
}
