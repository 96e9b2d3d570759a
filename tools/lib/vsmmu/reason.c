// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What went wrong, in words.
 */
#include <stdio.h>
#include <string.h>

#include "arch.h"
#include "vsmmu.h"

#define REASON(_name, _text) \
	[SMMUV3_ACCEL_REASON_##_name] = _text

static const char *const reasons[] = {
	REASON(NONE, "No reason is given."),
	REASON(FOREIGN_MM,
	       "The caller is not in the address space that bound the file."),
	REASON(NOT_IOMMUFD, "The descriptor is no iommufd."),
	REASON(NO_IOAS, "The iommufd has no such IOAS."),
	REASON(NO_ROOM,
	       "The scratch mapping exceeds the address space, or RLIMIT_MEMLOCK."),

	REASON(NOT_VFIO, "The descriptor is no VFIO device."),
	REASON(VFIO_GROUP,
	       "The descriptor belongs to a VFIO group; the device's cdev is wanted."),
	REASON(NOT_PCI, "The VFIO device is not a PCI function."),
	REASON(NOT_BOUND,
	       "The VFIO device is not bound to an iommufd through this open file."),
	REASON(OTHER_IOMMUFD,
	       "The vSMMU has another iommufd than the VFIO device, or than the descriptor given."),
	REASON(GROUP_SHARED,
	       "The device shares its IOMMU group with other devices."),
	REASON(NOT_SMMUV3, "The device is not behind an SMMUv3."),
	REASON(NO_NESTING,
	       "The device's SMMU or root complex cannot nest translations."),
	REASON(MULTI_STREAM, "The device has more than one StreamID."),
	REASON(PARENT_REJECTED,
	       "The host does not take the stage-2 parent for the device's SMMU."),
	REASON(PARENT_IN_USE, "Another vSMMU uses that stage-2 parent."),
	REASON(VSID_IN_USE, "The virtual StreamID is attached already."),
	REASON(DEVICE_IN_USE,
	       "The device is attached already, under another StreamID or elsewhere."),
	REASON(TOO_MANY_STREAMS, "No more streams can be attached."),
	REASON(NO_FEED,
	       "Emulated endpoints need SMMUV3_ACCEL_CREATE_FEED and the command feed."),
	REASON(HAS_DEVICE, "A bridge or an emulated endpoint comes without a VFIO device."),
	REASON(VSID_RANGE, "The virtual StreamID has more bits than SMMU_IDR1.SIDSIZE."),

	REASON(NO_STREAM, "The virtual StreamID is not attached."),
	REASON(NO_STE, "The stream aborts: it has been given no STE yet."),
	REASON(STE_INVALID, "The stream aborts: STE.V is 0."),
	REASON(STE_ABORT, "The stream aborts: STE.Config says so."),
	REASON(STE_CONFIG,
	       "The stream aborts: STE.Config asks for a stage 2 of the guest's."),
	REASON(STE_S1CDMAX,
	       "The stream aborts: STE.S1CDMax is larger than SSIDSIZE."),
	REASON(STE_S1FMT,
	       "The stream aborts: STE.S1Fmt is reserved or not offered."),
	REASON(STE_S1DSS, "The stream aborts: STE.S1DSS is reserved."),
	REASON(STE_EATS,
	       "The stream aborts: STE.EATS is reserved or not offered."),
	REASON(STE_S1CONTEXTPTR,
	       "The stream aborts: STE.S1ContextPtr has more than 52 bits."),
	REASON(STE_SID_RANGE,
	       "The stream aborts: its StreamID is beyond the guest's stream table."),
	REASON(STE_L1_INVALID,
	       "The stream aborts: its level-1 descriptor is not valid."),
	REASON(STE_UNREADABLE,
	       "The stream aborts: the guest's stream table is not in memory."),
	REASON(GBPA_ABORT,
	       "The stream aborts: the SMMU is disabled and GBPA.ABORT is 1."),
	REASON(RETRY, "The host cannot do it now, but may later."),
	REASON(HOST_REJECT, "The host refused what the module found legal."),
	REASON(DETACHED,
	       "The VMM detached or attached the device with VFIO's own ioctls."),
	REASON(NO_POWER, "The device did not leave its low-power state."),

	REASON(CMD_OPCODE,
	       "The command's opcode is not one that this guest may use."),
	REASON(CMD_RESERVED, "The command has a reserved bit set."),
	REASON(CMD_RANGE, "The command's range is a reserved combination."),
	REASON(CMD_ATC_SIZE, "The ATC_INV's Size is over 52."),
	REASON(CMD_NO_ATS, "ATC_INV, but no attached SMMU has ATS."),
	REASON(CMD_NEEDS_TABLE,
	       "The command is for who reads the guest's stream table."),
	REASON(ATC_TIMEOUT,
	       "A device did not answer an ATC_INV in time: the streams concerned abort."),
	REASON(CMD_UNREADABLE, "The guest's command queue is not in memory."),

	REASON(IDR, "An ID register offers what a host SMMU does not have."),
	REASON(FROZEN, "It is too late to change the ID registers."),
	REASON(TABLE_MODE,
	       "The module reads the guest's stream table itself."),
	REASON(NO_REGS, "The guest's registers have not been handed over."),
	REASON(CMDQ_DISABLED, "The guest's command queue is disabled."),
	REASON(CMDQ_INDEX, "PROD is more than a lap ahead of CONS."),
};

const char *vsmmu_reason_string(__u32 reason)
{
	if (reason >= ARRAY_SIZE(reasons) || !reasons[reason])
		return "The reason is not known to this version of the library.";
	return reasons[reason];
}

static const char *request_name(unsigned long request)
{
	switch (request) {
	case SMMUV3_ACCEL_GET_INFO:
		return "GET_INFO: ";
	case SMMUV3_ACCEL_CREATE:
		return "CREATE: ";
	case SMMUV3_ACCEL_SET_IDR:
		return "SET_IDR: ";
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		return "SET_MEM_TABLE: ";
	case SMMUV3_ACCEL_ATTACH:
		return "ATTACH: ";
	case SMMUV3_ACCEL_DETACH:
		return "DETACH: ";
	case SMMUV3_ACCEL_GET_PHYS:
		return "GET_PHYS: ";
	case SMMUV3_ACCEL_SET_REGS:
		return "SET_REGS: ";
	case SMMUV3_ACCEL_RUN_CMDQ:
		return "RUN_CMDQ: ";
	case SMMUV3_ACCEL_RESET:
		return "RESET: ";
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		return "CHANGE_PROCESS: ";
	default:
		return "";
	}
}

const char *vsmmu_strerror(const struct vsmmu_error *error, char *buf,
			   size_t len)
{
	const char *name = request_name(error->request);

	if (error->reason == SMMUV3_ACCEL_REASON_IDR && error->bad_mask)
		snprintf(buf, len, "%sIDR%u field %#x: %s (%s)", name,
			 error->bad_idr, error->bad_mask,
			 vsmmu_reason_string(error->reason),
			 strerror(-error->error));
	else if (error->reason)
		snprintf(buf, len, "%s%s (%s)", name,
			 vsmmu_reason_string(error->reason),
			 strerror(-error->error));
	else
		snprintf(buf, len, "%s%s", name, strerror(-error->error));
	return buf;
}
