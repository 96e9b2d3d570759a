// SPDX-License-Identifier: GPL-2.0
/*
 * enum smmuv3_accel_reason in words.
 */
#include <stdio.h>

#include "accelctl.h"

static const struct {
	__u32 reason;
	const char *name;
	const char *text;
} reasons[] = {
#define REASON(_name, _text) { SMMUV3_ACCEL_REASON_##_name, #_name, _text }
	REASON(NONE, "nothing is wrong"),
	REASON(FOREIGN_MM, "the caller is not the process that created the vSMMU"),
	REASON(NOT_IOMMUFD, "the descriptor is no iommufd"),
	REASON(NO_IOAS, "the iommufd has no such IOAS"),
	REASON(NO_ROOM, "the process's address space is full, or RLIMIT_MEMLOCK is reached"),
	REASON(NOT_VFIO, "the descriptor is no VFIO device"),
	REASON(VFIO_GROUP, "a VFIO group; the device's cdev is wanted"),
	REASON(NOT_PCI, "not a PCI function"),
	REASON(NOT_BOUND, "the VFIO device is not bound to an iommufd through this open file"),
	REASON(OTHER_IOMMUFD, "the vSMMU has another iommufd than the device or the caller"),
	REASON(GROUP_SHARED, "the device shares its IOMMU group with others"),
	REASON(NOT_SMMUV3, "the device is not behind an SMMUv3"),
	REASON(NO_NESTING, "the device's SMMU or root complex cannot nest"),
	REASON(MULTI_STREAM, "the device has more than one StreamID"),
	REASON(PARENT_REJECTED, "the stage-2 parent is no HWPT, or the host cannot make one"),
	REASON(PARENT_IN_USE, "another vSMMU uses that stage-2 parent"),
	REASON(VSID_IN_USE, "the virtual StreamID is attached already"),
	REASON(DEVICE_IN_USE, "the device is attached already"),
	REASON(TOO_MANY_STREAMS, "the vSMMU is full"),
	REASON(NO_FEED, "the vSMMU was not created for emulated endpoints"),
	REASON(HAS_DEVICE, "a bridge or an emulated endpoint has no VFIO device"),
	REASON(VSID_RANGE, "the virtual StreamID has more bits than SMMU_IDR1.SIDSIZE"),
	REASON(NO_STREAM, "the virtual StreamID is not attached"),
	REASON(NO_STE, "the guest has installed nothing yet"),
	REASON(STE_INVALID, "STE.V is 0"),
	REASON(STE_ABORT, "STE.Config says abort"),
	REASON(STE_CONFIG, "STE.Config asks for stage 2, which is the host's"),
	REASON(STE_S1CDMAX, "STE.S1CDMax is larger than SMMU_IDR1.SSIDSIZE"),
	REASON(STE_S1FMT, "STE.S1Fmt is reserved, or needs SMMU_IDR0.CD2L"),
	REASON(STE_S1DSS, "STE.S1DSS is reserved"),
	REASON(STE_EATS, "STE.EATS is reserved, or needs a stage 2 of the guest's"),
	REASON(STE_S1CONTEXTPTR, "STE.S1ContextPtr has more than 52 bits"),
	REASON(STE_SID_RANGE, "the StreamID is beyond the guest's stream table"),
	REASON(STE_L1_INVALID, "the level-1 descriptor's Span is 0 or over SPLIT + 1"),
	REASON(STE_UNREADABLE, "the guest's stream table is not in memory"),
	REASON(GBPA_ABORT, "CR0.SMMUEN is 0 and GBPA.ABORT is 1"),
	REASON(RETRY, "the host cannot now; it may later"),
	REASON(HOST_REJECT, "the host refused what the module found legal"),
	REASON(DETACHED, "the VMM detached or attached the device with VFIO's own ioctls"),
	REASON(NO_POWER, "the device did not leave its low-power state"),
	REASON(CMD_OPCODE, "unknown, or not for a guest's stage-1 command queue"),
	REASON(CMD_RESERVED, "a bit that must be zero is set"),
	REASON(CMD_RANGE, "TG, TTL, NUM and SCALE form a reserved combination"),
	REASON(CMD_ATC_SIZE, "Size is over 52"),
	REASON(CMD_NO_ATS, "no attached SMMU has ATS"),
	REASON(CMD_NEEDS_TABLE, "the VMM installs STEs itself and acts on this command itself"),
	REASON(ATC_TIMEOUT, "a device did not answer an ATC_INV in time"),
	REASON(CMD_UNREADABLE, "the guest's command queue is not in memory"),
	REASON(IDR, "a host SMMU cannot honour the ID registers"),
	REASON(FROZEN, "the ID registers cannot change any more"),
	REASON(TABLE_MODE, "the module reads the guest's stream table itself"),
	REASON(NO_REGS, "the guest's registers were not given yet"),
	REASON(CMDQ_DISABLED, "CR0.CMDQEN is 0"),
	REASON(CMDQ_INDEX, "PROD is more than a lap ahead of CONS"),
#undef REASON
};

/**
 * reason_name() - What the header calls a reason
 * @reason: one of enum smmuv3_accel_reason
 *
 * Return: its name; a number where a newer module has one that is not known.
 */
const char *reason_name(__u32 reason)
{
	static char number[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	snprintf(number, sizeof(number), "%u", reason);
	return number;
}

/**
 * reason_text() - What a reason means
 * @reason: one of enum smmuv3_accel_reason
 *
 * Return: a short text.
 */
const char *reason_text(__u32 reason)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].text;
	return "unknown to this program, the module is newer";
}
