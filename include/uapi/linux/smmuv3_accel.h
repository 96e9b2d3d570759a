/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Accelerated virtual SMMUv3 for virtual machines: /dev/smmuv3-accel
 */
#ifndef _UAPI_LINUX_SMMUV3_ACCEL_H
#define _UAPI_LINUX_SMMUV3_ACCEL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: General ioctl format
 *
 * Each ioctl takes a pointer to a struct that starts with its size and its
 * flags. The size is the caller's sizeof(). If the caller's struct is shorter
 * than the kernel's, the kernel takes the missing fields as zero. If it is longer,
 * the call succeeds as long as the part that the kernel does not know is zero.
 *
 * The kernel ignores fields named out_* on input. It writes them whenever an ioctl
 * returns, also if it fails, unless the ioctl is unknown, or the kernel cannot read
 * its struct or refuses its size. out_reason is one of enum smmuv3_accel_reason.
 *
 * STEs, commands and register values have the architecture's layout (Arm IHI 0070,
 * SMMUv3). STEs and commands are little-endian.
 *
 * Besides the errors that an ioctl lists, any ioctl may return:
 *
 *  - ENOTTY: unknown ioctl number.
 *  - E2BIG: the struct is longer than the kernel's, and the part that the kernel
 *    does not know is not zero; or it is longer than a page.
 *  - EINVAL: the struct is shorter than its first version.
 *  - EOPNOTSUPP (FLAGS, RESERVED): an unknown flag, or a reserved field that is
 *    not zero.
 *  - EFAULT (BAD_POINTER): the kernel cannot read or write at a pointer. If that
 *    is the pointer to the struct itself, there is no reason.
 *  - EBADF (BAD_FD): a descriptor is not open.
 *  - ENXIO (NOT_CREATED): call SMMUV3_ACCEL_CREATE first.
 *  - EIO (FOREIGN_MM): the caller is not in the address space that owns the file.
 *  - EINTR: a signal came before the call could report any progress.
 *  - EACCES, EPERM (SECURITY): the module calls the iommufd or the VFIO device for
 *    the caller, and a security module refused that call.
 *  - ENOMEM (RETRY): out of memory. Nothing has changed, unless the ioctl says
 *    otherwise.
 */
#define SMMUV3_ACCEL_TYPE	0xA7

#define SMMUV3_ACCEL_API_VERSION	1

/**
 * enum smmuv3_accel_cmd - Numbers of the ioctls
 * @SMMUV3_ACCEL_CMD_GET_INFO: Describe the module
 * @SMMUV3_ACCEL_CMD_CREATE: Bind the file to an iommufd
 * @SMMUV3_ACCEL_CMD_SET_IDR: Set the ID registers that the guest sees
 * @SMMUV3_ACCEL_CMD_SET_MEM_TABLE: Set the table of guest memory
 * @SMMUV3_ACCEL_CMD_ATTACH: Attach a device to the virtual SMMU
 * @SMMUV3_ACCEL_CMD_DETACH: Detach a device
 * @SMMUV3_ACCEL_CMD_GET_PHYS: Describe a physical SMMU
 * @SMMUV3_ACCEL_CMD_GET_STREAM: Describe a stream
 * @SMMUV3_ACCEL_CMD_INSTALL_STE: Install STEs that the VMM has read
 * @SMMUV3_ACCEL_CMD_INVALIDATE: Carry out an array of commands
 * @SMMUV3_ACCEL_CMD_SET_REGS: Set the guest's registers
 * @SMMUV3_ACCEL_CMD_RUN_CMDQ: Run the guest's command queue
 * @SMMUV3_ACCEL_CMD_RESET: Reset the virtual SMMU
 * @SMMUV3_ACCEL_CMD_GET_STATS: Read the counters
 * @SMMUV3_ACCEL_CMD_CHANGE_PROCESS: Take the file over from another process
 * @SMMUV3_ACCEL_CMD_SET_VSIDS: Set or change virtual StreamIDs
 */
enum smmuv3_accel_cmd {
	SMMUV3_ACCEL_CMD_GET_INFO = 0x00,
	SMMUV3_ACCEL_CMD_CREATE = 0x01,
	SMMUV3_ACCEL_CMD_SET_IDR = 0x02,
	SMMUV3_ACCEL_CMD_SET_MEM_TABLE = 0x03,
	SMMUV3_ACCEL_CMD_ATTACH = 0x04,
	SMMUV3_ACCEL_CMD_DETACH = 0x05,
	SMMUV3_ACCEL_CMD_GET_PHYS = 0x06,
	SMMUV3_ACCEL_CMD_GET_STREAM = 0x07,
	SMMUV3_ACCEL_CMD_INSTALL_STE = 0x08,
	SMMUV3_ACCEL_CMD_INVALIDATE = 0x09,
	SMMUV3_ACCEL_CMD_SET_REGS = 0x0a,
	SMMUV3_ACCEL_CMD_RUN_CMDQ = 0x0b,
	SMMUV3_ACCEL_CMD_RESET = 0x0c,
	SMMUV3_ACCEL_CMD_GET_STATS = 0x0d,
	SMMUV3_ACCEL_CMD_CHANGE_PROCESS = 0x0e,
	SMMUV3_ACCEL_CMD_SET_VSIDS = 0x0f,
};

/**
 * enum smmuv3_accel_reason - Why a call failed or a stream aborts
 * @SMMUV3_ACCEL_REASON_NONE: No reason is given.
 * @SMMUV3_ACCEL_REASON_FOREIGN_MM: The caller is not in the address space that
 *	owns the file. Call from the process that called CREATE, or take the
 *	file over with CHANGE_PROCESS.
 * @SMMUV3_ACCEL_REASON_NOT_IOMMUFD: The descriptor is not an iommufd. Pass a
 *	descriptor of /dev/iommu.
 * @SMMUV3_ACCEL_REASON_NO_IOAS: The iommufd has no such IOAS. Allocate one with
 *	IOMMU_IOAS_ALLOC. ATTACH fails so if CREATE named no IOAS, or one that is
 *	gone: name a stage-2 parent in ATTACH.
 * @SMMUV3_ACCEL_REASON_NO_ROOM: The caller's address space has no room for the
 *	scratch mapping. After mlockall(MCL_FUTURE) it counts against
 *	RLIMIT_MEMLOCK.
 * @SMMUV3_ACCEL_REASON_NOT_CREATED: The file is not bound to an iommufd. Call
 *	CREATE first.
 * @SMMUV3_ACCEL_REASON_ALREADY_CREATED: The file is already bound to an
 *	iommufd. Open the device again for another virtual SMMU.
 * @SMMUV3_ACCEL_REASON_FLAGS: A flag is unknown, or excludes another one.
 *	GET_INFO says which flags this kernel has.
 * @SMMUV3_ACCEL_REASON_RESERVED: A reserved field is not zero. Clear the struct
 *	before setting its fields.
 * @SMMUV3_ACCEL_REASON_BAD_POINTER: The kernel cannot read or write at a pointer
 *	in the struct, or at guest memory that it names.
 * @SMMUV3_ACCEL_REASON_BAD_FD: The descriptor is not open.
 * @SMMUV3_ACCEL_REASON_ARRAY: The array is too long or empty, or its entries have
 *	a wrong size. GET_INFO has the limits.
 * @SMMUV3_ACCEL_REASON_SECURITY: A security module refused a call to the iommufd
 *	or to the VFIO device. Look for the denial in the host's audit log.
 * @SMMUV3_ACCEL_REASON_NO_PHYS: There is no physical SMMU with this index. The
 *	indices start at 0 and have no gaps.
 * @SMMUV3_ACCEL_REASON_NOT_VFIO: The descriptor is not a VFIO device.
 * @SMMUV3_ACCEL_REASON_VFIO_GROUP: The descriptor is a VFIO group, or a device
 *	opened through one. Open the device's cdev in /dev/vfio/devices/.
 * @SMMUV3_ACCEL_REASON_NOT_PCI: The VFIO device is not a PCI function.
 * @SMMUV3_ACCEL_REASON_NOT_BOUND: The VFIO device is not bound to an iommufd
 *	through this open file. Call VFIO_DEVICE_BIND_IOMMUFD first, and pass the
 *	descriptor of that call.
 * @SMMUV3_ACCEL_REASON_OTHER_IOMMUFD: The VFIO device or the descriptor does not
 *	belong to the iommufd of the virtual SMMU. Use the one that CREATE named.
 * @SMMUV3_ACCEL_REASON_GROUP_SHARED: The device shares its IOMMU group with
 *	other devices, and the host attaches whole groups. Only a device that is
 *	alone in its group can be attached.
 * @SMMUV3_ACCEL_REASON_NOT_SMMUV3: The device is not behind an SMMUv3.
 * @SMMUV3_ACCEL_REASON_NO_NESTING: The device's SMMU or root complex cannot
 *	nest. Nesting needs both stages, faults that do not have to stall, and
 *	either a root complex that is declared CANWBS or an SMMU with S2FWB.
 * @SMMUV3_ACCEL_REASON_MULTI_STREAM: The device has more than one StreamID, for
 *	instance because it is behind a PCI bridge.
 * @SMMUV3_ACCEL_REASON_PARENT_REJECTED: The host does not accept the stage-2
 *	parent for the device's SMMU, or cannot allocate one. A parent is an HWPT
 *	allocated with IOMMU_HWPT_ALLOC_NEST_PARENT for a device behind the same
 *	SMMU.
 * @SMMUV3_ACCEL_REASON_PARENT_IN_USE: Another virtual SMMU uses that stage-2
 *	parent, and without CREATE_SHARED_ASIDS their ASIDs would collide. Give
 *	each virtual SMMU a parent of its own.
 * @SMMUV3_ACCEL_REASON_PARENT_OTHER: The physical SMMU already has another
 *	stage-2 parent. Name the same parent, or detach its devices first. A parent
 *	that the module allocated stays until close.
 * @SMMUV3_ACCEL_REASON_VSID_IN_USE: The virtual StreamID is in use.
 *	Detach that stream first, or change both StreamIDs in one SET_VSIDS.
 * @SMMUV3_ACCEL_REASON_DEVICE_IN_USE: The device is already attached, under
 *	another virtual StreamID or to another virtual SMMU, or the VMM allocated a
 *	vDEVICE for it.
 * @SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS: The virtual SMMU has no room for
 *	another stream or another physical SMMU. GET_INFO has the limits.
 * @SMMUV3_ACCEL_REASON_NO_FEED: The endpoint needs a feed, but the virtual SMMU
 *	has none. Call CREATE with CREATE_FEED.
 * @SMMUV3_ACCEL_REASON_HAS_DEVICE: A bridge or an emulated endpoint has no VFIO
 *	device. Set vfio_fd to -1.
 * @SMMUV3_ACCEL_REASON_VSID_RANGE: The virtual StreamID has more bits than
 *	SMMU_IDR1.SIDSIZE, so no stream table can hold it.
 * @SMMUV3_ACCEL_REASON_RESERVED_IOVA: The IOAS maps guest memory at addresses
 *	that the host reserves for the device, for instance the MSI window. Place
 *	guest memory only where IOMMU_IOAS_IOVA_RANGES says that it may be.
 * @SMMUV3_ACCEL_REASON_NO_STREAM: The virtual StreamID is not attached.
 * @SMMUV3_ACCEL_REASON_NO_STE: The stream aborts: no STE has been installed yet.
 * @SMMUV3_ACCEL_REASON_STE_INVALID: The stream aborts: STE.V is 0.
 * @SMMUV3_ACCEL_REASON_STE_ABORT: The stream aborts: STE.Config says abort.
 * @SMMUV3_ACCEL_REASON_STE_CONFIG: The stream aborts: STE.Config asks for stage
 *	2, which the virtual SMMU does not have.
 * @SMMUV3_ACCEL_REASON_STE_S1CDMAX: The stream aborts: STE.S1CDMax is larger
 *	than SMMU_IDR1.SSIDSIZE.
 * @SMMUV3_ACCEL_REASON_STE_S1FMT: The stream aborts: STE.S1Fmt asks for a 2-level
 *	CD table without SMMU_IDR0.CD2L.
 * @SMMUV3_ACCEL_REASON_STE_S1DSS: The module does not return this. A reserved
 *	STE.S1DSS acts as 0.
 * @SMMUV3_ACCEL_REASON_STE_S1STALLD: The stream aborts: STE.S1STALLD is set, but
 *	SMMU_IDR0.STALL_MODEL does not let software choose whether faults stall.
 * @SMMUV3_ACCEL_REASON_STE_EATS: The stream aborts: STE.EATS asks for split-stage
 *	ATS, which needs a stage 2.
 * @SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR: The stream aborts: STE.S1ContextPtr has
 *	more than 52 bits.
 * @SMMUV3_ACCEL_REASON_STE_SID_RANGE: The stream aborts: its StreamID is beyond
 *	the stream table, or beyond the Span of its level-2 table.
 * @SMMUV3_ACCEL_REASON_STE_L1_INVALID: The stream aborts: its level-1 descriptor
 *	has a Span over SPLIT + 1.
 * @SMMUV3_ACCEL_REASON_STE_UNREADABLE: The stream aborts: the module cannot read
 *	the guest's stream table in guest memory.
 * @SMMUV3_ACCEL_REASON_GBPA_ABORT: The stream aborts: CR0.SMMUEN is 0 and
 *	GBPA.ABORT is 1.
 * @SMMUV3_ACCEL_REASON_STE_L1_NONE: The stream aborts: its level-1 descriptor
 *	has Span 0, so the guest has no level-2 table for it yet.
 * @SMMUV3_ACCEL_REASON_NO_VSID: The stream aborts: it has no virtual StreamID
 *	yet, or no vDEVICE after SET_VSIDS failed. Call SET_VSIDS.
 * @SMMUV3_ACCEL_REASON_RETRY: Temporary failure: the device is in reset, memory
 *	is low, or another virtual SMMU is allocating or destroying the stage-2
 *	parent. Repeat the call.
 * @SMMUV3_ACCEL_REASON_HOST_REJECT: The host refused a call that the module
 *	considers legal. Detach the stream that out_vsid names: its vDEVICE is
 *	gone. If the VMM did not destroy the vDEVICE, report a bug.
 * @SMMUV3_ACCEL_REASON_DETACHED: The VMM detached the device, or attached it to
 *	another domain, with the VFIO device's own ioctls. The stream's next STE
 *	puts the device back.
 * @SMMUV3_ACCEL_REASON_NO_POWER: The device did not leave its low-power state.
 *	Reset or detach it.
 * @SMMUV3_ACCEL_REASON_CMD_OPCODE: The opcode is unknown, or a Non-secure stage-1
 *	command queue may not use it.
 * @SMMUV3_ACCEL_REASON_CMD_RESERVED: A bit of the command that must be zero is
 *	set.
 * @SMMUV3_ACCEL_REASON_CMD_RANGE: The module does not return this. It replaces a
 *	range invalidation whose TG, TTL, NUM and SCALE form a reserved combination.
 * @SMMUV3_ACCEL_REASON_CMD_ATC_SIZE: The ATC_INV's Size is over 52.
 * @SMMUV3_ACCEL_REASON_CMD_NO_ATS: The command is an ATC_INV, but the virtual SMMU
 *	does not offer ATS.
 * @SMMUV3_ACCEL_REASON_CMD_NO_HYP: The command invalidates TLB entries of EL2, but the
 *	virtual SMMU has no EL2: SMMU_IDR0.Hyp is 0. The guest's driver is for a
 *	hypervisor, or does not look at Hyp.
 * @SMMUV3_ACCEL_REASON_CMD_NO_S2: The command invalidates TLB entries of stage 2, but
 *	the virtual SMMU has only stage 1: SMMU_IDR0.S2P is 0. The guest's driver needs
 *	an SMMU with stage 2.
 * @SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE: The command is a CFGI_STE,
 *	CFGI_STE_RANGE or CFGI_ALL, and the VMM installs STEs itself. Install the
 *	STEs, and continue after the command.
 * @SMMUV3_ACCEL_REASON_ATC_TIMEOUT: A device did not answer an ATC_INV in time.
 *	The streams whose ATC_INVs were in that host call abort until their next
 *	STE, DETACH or RESET.
 * @SMMUV3_ACCEL_REASON_CMD_UNREADABLE: The module cannot read the guest's command
 *	queue in guest memory.
 * @SMMUV3_ACCEL_REASON_IDR_ILLEGAL: No virtual SMMU may show these ID registers.
 *	out_bad_idr has the fields.
 * @SMMUV3_ACCEL_REASON_IDR_HOST: A host SMMU cannot honour these ID registers.
 *	Offer less: out_bad_idr has the fields.
 * @SMMUV3_ACCEL_REASON_IDR_OFFERED: The device's SMMU lacks a feature that the
 *	running guest already sees. out_bad_idr has the fields. To leave them out
 *	from the start, call SET_IDR before ATTACH.
 * @SMMUV3_ACCEL_REASON_FROZEN: The ID registers can no longer change: a stream is
 *	attached, or a command has run. Call SET_IDR before ATTACH.
 * @SMMUV3_ACCEL_REASON_TABLE_MODE: The module reads the guest's stream table
 *	itself, because the VMM called SET_REGS. Only a VMM that does not call
 *	SET_REGS may call INSTALL_STE.
 * @SMMUV3_ACCEL_REASON_NO_REGS: The registers are not set. Call SET_REGS first.
 * @SMMUV3_ACCEL_REASON_CMDQ_DISABLED: The guest has not enabled its command
 *	queue: CR0.CMDQEN is 0.
 * @SMMUV3_ACCEL_REASON_CMDQ_INDEX: PROD is more than a lap ahead of CONS.
 * @SMMUV3_ACCEL_REASON_NO_MEM_TABLE: The module does not know where the guest's
 *	memory is. Call SET_MEM_TABLE first, and again after CHANGE_PROCESS.
 * @SMMUV3_ACCEL_REASON_REGION_EMPTY: A memory region has size 0.
 *	out_bad_region is its index.
 * @SMMUV3_ACCEL_REASON_REGION_RANGE: A memory region does not fit into the address
 *	space of the guest or the caller. out_bad_region is its index.
 * @SMMUV3_ACCEL_REASON_REGION_OVERLAP: A memory region overlaps another one.
 *	out_bad_region is its index.
 * @SMMUV3_ACCEL_REASON_VSID_TWICE: The array names a virtual StreamID twice.
 */
enum smmuv3_accel_reason {
	SMMUV3_ACCEL_REASON_NONE = 0,
	SMMUV3_ACCEL_REASON_FOREIGN_MM = 1,
	SMMUV3_ACCEL_REASON_NOT_IOMMUFD = 2,
	SMMUV3_ACCEL_REASON_NO_IOAS = 3,
	SMMUV3_ACCEL_REASON_NO_ROOM = 4,
	SMMUV3_ACCEL_REASON_NOT_CREATED = 5,
	SMMUV3_ACCEL_REASON_ALREADY_CREATED = 6,
	SMMUV3_ACCEL_REASON_FLAGS = 7,
	SMMUV3_ACCEL_REASON_RESERVED = 8,
	SMMUV3_ACCEL_REASON_BAD_POINTER = 9,
	SMMUV3_ACCEL_REASON_BAD_FD = 10,
	SMMUV3_ACCEL_REASON_ARRAY = 11,
	SMMUV3_ACCEL_REASON_SECURITY = 12,
	SMMUV3_ACCEL_REASON_NO_PHYS = 13,

	SMMUV3_ACCEL_REASON_NOT_VFIO = 16,
	SMMUV3_ACCEL_REASON_VFIO_GROUP = 17,
	SMMUV3_ACCEL_REASON_NOT_PCI = 18,
	SMMUV3_ACCEL_REASON_NOT_BOUND = 19,
	SMMUV3_ACCEL_REASON_OTHER_IOMMUFD = 20,
	SMMUV3_ACCEL_REASON_GROUP_SHARED = 21,
	SMMUV3_ACCEL_REASON_NOT_SMMUV3 = 22,
	SMMUV3_ACCEL_REASON_NO_NESTING = 23,
	SMMUV3_ACCEL_REASON_MULTI_STREAM = 24,
	SMMUV3_ACCEL_REASON_PARENT_REJECTED = 25,
	SMMUV3_ACCEL_REASON_PARENT_IN_USE = 26,
	SMMUV3_ACCEL_REASON_VSID_IN_USE = 27,
	SMMUV3_ACCEL_REASON_DEVICE_IN_USE = 28,
	SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS = 29,
	SMMUV3_ACCEL_REASON_NO_FEED = 30,
	SMMUV3_ACCEL_REASON_HAS_DEVICE = 31,
	SMMUV3_ACCEL_REASON_VSID_RANGE = 32,
	SMMUV3_ACCEL_REASON_PARENT_OTHER = 33,
	SMMUV3_ACCEL_REASON_RESERVED_IOVA = 34,
	SMMUV3_ACCEL_REASON_VSID_TWICE = 35,

	SMMUV3_ACCEL_REASON_NO_STREAM = 48,
	SMMUV3_ACCEL_REASON_NO_STE = 49,
	SMMUV3_ACCEL_REASON_STE_INVALID = 50,
	SMMUV3_ACCEL_REASON_STE_ABORT = 51,
	SMMUV3_ACCEL_REASON_STE_CONFIG = 52,
	SMMUV3_ACCEL_REASON_STE_S1CDMAX = 53,
	SMMUV3_ACCEL_REASON_STE_S1FMT = 54,
	SMMUV3_ACCEL_REASON_STE_S1DSS = 55,
	SMMUV3_ACCEL_REASON_STE_EATS = 56,
	SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR = 57,
	SMMUV3_ACCEL_REASON_STE_SID_RANGE = 58,
	SMMUV3_ACCEL_REASON_STE_L1_INVALID = 59,
	SMMUV3_ACCEL_REASON_STE_UNREADABLE = 60,
	SMMUV3_ACCEL_REASON_GBPA_ABORT = 61,
	SMMUV3_ACCEL_REASON_STE_L1_NONE = 62,
	SMMUV3_ACCEL_REASON_NO_VSID = 63,
	SMMUV3_ACCEL_REASON_RETRY = 64,
	SMMUV3_ACCEL_REASON_HOST_REJECT = 65,
	SMMUV3_ACCEL_REASON_DETACHED = 66,
	SMMUV3_ACCEL_REASON_NO_POWER = 67,
	SMMUV3_ACCEL_REASON_STE_S1STALLD = 68,

	SMMUV3_ACCEL_REASON_CMD_OPCODE = 80,
	SMMUV3_ACCEL_REASON_CMD_RESERVED = 81,
	SMMUV3_ACCEL_REASON_CMD_RANGE = 82,
	SMMUV3_ACCEL_REASON_CMD_ATC_SIZE = 83,
	SMMUV3_ACCEL_REASON_CMD_NO_ATS = 84,
	SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE = 85,
	SMMUV3_ACCEL_REASON_ATC_TIMEOUT = 86,
	SMMUV3_ACCEL_REASON_CMD_UNREADABLE = 87,
	SMMUV3_ACCEL_REASON_CMD_NO_HYP = 88,
	SMMUV3_ACCEL_REASON_CMD_NO_S2 = 89,

	SMMUV3_ACCEL_REASON_IDR_ILLEGAL = 96,
	SMMUV3_ACCEL_REASON_FROZEN = 97,
	SMMUV3_ACCEL_REASON_TABLE_MODE = 98,
	SMMUV3_ACCEL_REASON_NO_REGS = 99,
	SMMUV3_ACCEL_REASON_CMDQ_DISABLED = 100,
	SMMUV3_ACCEL_REASON_CMDQ_INDEX = 101,
	SMMUV3_ACCEL_REASON_IDR_HOST = 102,
	SMMUV3_ACCEL_REASON_IDR_OFFERED = 103,
	SMMUV3_ACCEL_REASON_NO_MEM_TABLE = 104,
	SMMUV3_ACCEL_REASON_REGION_EMPTY = 105,
	SMMUV3_ACCEL_REASON_REGION_RANGE = 106,
	SMMUV3_ACCEL_REASON_REGION_OVERLAP = 107,
};

/**
 * enum smmuv3_accel_cerror - Command errors, as in SMMU_CMDQ_CONS.ERR
 * @SMMUV3_ACCEL_CERROR_NONE: No error
 * @SMMUV3_ACCEL_CERROR_ILL: Illegal command
 * @SMMUV3_ACCEL_CERROR_ABT: The module cannot read the command
 * @SMMUV3_ACCEL_CERROR_ATC_INV_SYNC: A CMD_SYNC found an ATC_INV that failed
 *
 * Arm IHI 0070, section 4.1.3 and SMMU_CMDQ_CONS.
 */
enum smmuv3_accel_cerror {
	SMMUV3_ACCEL_CERROR_NONE = 0,
	SMMUV3_ACCEL_CERROR_ILL = 1,
	SMMUV3_ACCEL_CERROR_ABT = 2,
	SMMUV3_ACCEL_CERROR_ATC_INV_SYNC = 3,
};

/**
 * enum smmuv3_accel_kind - What is installed for a stream
 * @SMMUV3_ACCEL_KIND_ABORT: DMA aborts
 * @SMMUV3_ACCEL_KIND_BYPASS: Stage 1 is bypassed: DMA addresses are guest
 *	physical addresses
 * @SMMUV3_ACCEL_KIND_S1: The guest's stage 1 translates
 * @SMMUV3_ACCEL_KIND_OTHER: Something else: the VMM detached the device, or
 *	attached it to another domain, with the VFIO device's own ioctls
 */
enum smmuv3_accel_kind {
	SMMUV3_ACCEL_KIND_ABORT = 1,
	SMMUV3_ACCEL_KIND_BYPASS = 2,
	SMMUV3_ACCEL_KIND_S1 = 3,
	SMMUV3_ACCEL_KIND_OTHER = 4,
};

/**
 * struct smmuv3_accel_info - ioctl(SMMUV3_ACCEL_GET_INFO)
 * @size: sizeof(struct smmuv3_accel_info)
 * @flags: Must be 0
 * @out_reason: Why it failed
 * @out_api_version: SMMUV3_ACCEL_API_VERSION of the kernel
 * @out_max_streams: The most streams that a virtual SMMU can have
 * @out_max_phys: The most physical SMMUs that a virtual SMMU can span
 * @out_max_regions: The most memory regions of SMMUV3_ACCEL_SET_MEM_TABLE
 * @out_max_cmds: The most commands of SMMUV3_ACCEL_INVALIDATE
 * @out_max_batch: The most commands that the module hands to the host in one
 *	call. It splits longer arrays
 * @out_max_stes: When SMMUV3_ACCEL_RUN_CMDQ has evaluated this many STEs, it stops
 *	before the next command that reads STEs
 * @out_create_flags: The flags of SMMUV3_ACCEL_CREATE that this kernel has
 * @out_attach_flags: The flags of SMMUV3_ACCEL_ATTACH that this kernel has
 * @out_ioctls: The ioctls that this kernel has, one bit for each number of enum
 *	smmuv3_accel_cmd
 *
 * Describe the module. Works at any time and in any process, also before
 * SMMUV3_ACCEL_CREATE.
 */
struct smmuv3_accel_info {
	__u32 size;
	__u32 flags;
	__u32 out_reason;
	__u32 out_api_version;
	__u32 out_max_streams;
	__u32 out_max_phys;
	__u32 out_max_regions;
	__u32 out_max_cmds;
	__u32 out_max_batch;
	__u32 out_max_stes;
	__u32 out_create_flags;
	__u32 out_attach_flags;
	__aligned_u64 out_ioctls;
};
#define SMMUV3_ACCEL_GET_INFO \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_GET_INFO)

/**
 * enum smmuv3_accel_create_flags - Flags of SMMUV3_ACCEL_CREATE
 * @SMMUV3_ACCEL_CREATE_SHARED_ASIDS: The VMM asserts that the guest draws the
 *	ASIDs of all virtual SMMUs that have this flag from one pool, as Linux
 *	does. Virtual SMMUs of one iommufd and IOAS then share a stage-2 parent on
 *	each physical SMMU. If the assertion is wrong, a device can reach memory
 *	that only another device's tables map
 * @SMMUV3_ACCEL_CREATE_FEED: The VMM may attach emulated endpoints.
 *	SMMUV3_ACCEL_RUN_CMDQ writes commands for them to feed_uptr: the feed. The
 *	VMM applies them to the endpoints' software IOTLB
 * @SMMUV3_ACCEL_CREATE_NO_GLOBAL: The VMM asserts that its guest maps nothing
 *	global (nG = 0) in stage 1, as Linux does for DMA. An invalidation by ASID
 *	then covers all invalidations by address of that ASID, so the module may
 *	issue one by ASID instead of many by address. It also need not give one by
 *	address to a physical SMMU that cannot have entries of the ASID
 */
enum smmuv3_accel_create_flags {
	SMMUV3_ACCEL_CREATE_SHARED_ASIDS = 1 << 0,
	SMMUV3_ACCEL_CREATE_FEED = 1 << 1,
	SMMUV3_ACCEL_CREATE_NO_GLOBAL = 1 << 2,
};

/**
 * struct smmuv3_accel_create - ioctl(SMMUV3_ACCEL_CREATE)
 * @size: sizeof(struct smmuv3_accel_create)
 * @flags: Combination of enum smmuv3_accel_create_flags
 * @iommufd: File descriptor of an iommufd
 * @ioas_id: The IOAS that holds the guest's physical address space. The module
 *	allocates stage-2 parents from it. 0: none, so SMMUV3_ACCEL_ATTACH has to
 *	name the parents. A kernel that does not know this fails with ENOENT
 *	(NO_IOAS), as for any ID that does not exist
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * Make the file a virtual SMMU of that iommufd. The file keeps a reference to
 * the iommufd. From now on it belongs to the caller's address space, and all
 * other ioctls have to come from there. The module maps two small scratch areas
 * of its own pages into that address space. A forked child does not inherit them.
 * A process that writes there or unmaps them harms only itself.
 *
 * The file keeps no reference to the IOAS, but the stage-2 parents do. The VMM can
 * destroy the IOAS once they are gone, while the file stays open.
 *
 * Errors besides the general ones:
 *
 *  - EINVAL (NOT_IOMMUFD)
 *  - ENOENT (NO_IOAS)
 *  - ENOMEM (NO_ROOM)
 *  - EBUSY (ALREADY_CREATED)
 */
struct smmuv3_accel_create {
	__u32 size;
	__u32 flags;
	__s32 iommufd;
	__u32 ioas_id;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_CREATE _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_CREATE)

/**
 * struct smmuv3_accel_set_idr - ioctl(SMMUV3_ACCEL_SET_IDR)
 * @size: sizeof(struct smmuv3_accel_set_idr)
 * @flags: Must be 0
 * @idr: SMMU_IDR0 to SMMU_IDR5, as the guest sees them
 * @out_bad_idr: For each register, the fields that are refused. With IDR_ILLEGAL,
 *	no virtual SMMU may show these values. With IDR_HOST, some host SMMU cannot
 *	honour them
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * Set what the guest's SMMU offers. From then on, commands and STEs are illegal if
 * they use a feature that it does not offer, and ATTACH fails if the device's SMMU
 * lacks a feature that it offers. Without this call, a virtual SMMU offers what all
 * its physical SMMUs have, and ATS if one of them has it.
 *
 * These fields may be set, within what each host SMMU has: IDR0 ST_LEVEL (the
 * module walks either kind of table), TERM_MODEL, TTENDIAN, CD2L, ASID16, ATS,
 * TTF; IDR1 SIDSIZE up to 31, SSIDSIZE, and EVENTQS and CMDQS up to 19; IDR3
 * BBML, RIL, HAD; IDR5 VAX, GRAN64K, GRAN16K, GRAN4K, DS, OAS. IDR0 VMID16 has no
 * effect, because it belongs to stage 2. IDR0 MSI has none either, because the VMM
 * sends the MSIs, of CMD_SYNCs too. S1P and COHACC must be 1, STALL_MODEL must be
 * 0b01, and everything else must be 0.
 *
 * Errors besides the general ones: EOPNOTSUPP (IDR_ILLEGAL, IDR_HOST), EBUSY
 * (FROZEN).
 */
struct smmuv3_accel_set_idr {
	__u32 size;
	__u32 flags;
	__u32 idr[6];
	__u32 out_bad_idr[6];
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_SET_IDR _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_SET_IDR)

/**
 * struct smmuv3_accel_mem_region - A region of guest memory
 * @gpa: Guest physical address
 * @size: Length in bytes, not 0
 * @uaddr: Address in the caller's address space
 */
struct smmuv3_accel_mem_region {
	__aligned_u64 gpa;
	__aligned_u64 size;
	__aligned_u64 uaddr;
};

/**
 * struct smmuv3_accel_mem_table - ioctl(SMMUV3_ACCEL_SET_MEM_TABLE)
 * @size: sizeof(struct smmuv3_accel_mem_table)
 * @flags: Must be 0
 * @regions_uptr: Pointer to an array of struct smmuv3_accel_mem_region, in any
 *	order
 * @region_num: How many regions there are, up to out_max_regions of
 *	SMMUV3_ACCEL_GET_INFO
 * @out_bad_region: Index of the region that is refused
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * Set the table of guest memory. The module reads the guest's stream table
 * and command queue through it. The call replaces the whole table. If it fails, the
 * old table stays.
 *
 * Errors besides the general ones: EINVAL (ARRAY, REGION_EMPTY, REGION_RANGE,
 * REGION_OVERLAP).
 */
struct smmuv3_accel_mem_table {
	__u32 size;
	__u32 flags;
	__aligned_u64 regions_uptr;
	__u32 region_num;
	__u32 out_bad_region;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_SET_MEM_TABLE \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_SET_MEM_TABLE)

/**
 * enum smmuv3_accel_attach_flags - Flags of SMMUV3_ACCEL_ATTACH
 * @SMMUV3_ACCEL_ATTACH_BRIDGE: A bridge or root port that the VMM emulates, which
 *	does no DMA of its own
 * @SMMUV3_ACCEL_ATTACH_FEED: An endpoint that the VMM emulates. The VMM walks the
 *	guest's tables for it, and gets its invalidations from the feed; see
 *	SMMUV3_ACCEL_CREATE_FEED
 * @SMMUV3_ACCEL_ATTACH_DRY_RUN: Find out whether the call would succeed, and
 *	leave nothing behind. The device keeps its domain. A dry run does not find
 *	what the host checks only when it attaches the device: NO_POWER,
 *	RESERVED_IOVA, RETRY
 *
 * BRIDGE and FEED exclude each other.
 */
enum smmuv3_accel_attach_flags {
	SMMUV3_ACCEL_ATTACH_BRIDGE = 1 << 0,
	SMMUV3_ACCEL_ATTACH_FEED = 1 << 1,
	SMMUV3_ACCEL_ATTACH_DRY_RUN = 1 << 2,
};

/**
 * define SMMUV3_ACCEL_NO_PHYS - No physical SMMU
 *
 * Stands for the index of the physical SMMU, if the stream is a bridge or an
 * emulated endpoint.
 */
#define SMMUV3_ACCEL_NO_PHYS	(~(__u32)0)

/**
 * define SMMUV3_ACCEL_VSID_UNSET - A stream without a StreamID
 *
 * A flag in place of a virtual StreamID: the guest has not numbered the stream's
 * bus yet. The VMM chooses the other bits freely. The value is a name, by which the
 * other ioctls know the stream until SMMUV3_ACCEL_SET_VSIDS.
 */
#define SMMUV3_ACCEL_VSID_UNSET	(1U << 31)

/**
 * struct smmuv3_accel_attach - ioctl(SMMUV3_ACCEL_ATTACH)
 * @size: sizeof(struct smmuv3_accel_attach)
 * @flags: Combination of enum smmuv3_accel_attach_flags
 * @vfio_fd: File descriptor of a VFIO device cdev. It must be the open file that
 *	bound the device to the virtual SMMU's iommufd. -1 with BRIDGE or FEED
 * @vsid: The StreamID under which the guest knows the device, or a name with
 *	SMMUV3_ACCEL_VSID_UNSET
 * @s2_hwpt_id: ID of a stage-2 parent for the device's SMMU, allocated with
 *	IOMMU_HWPT_ALLOC_NEST_PARENT. 0: use the parent that is in use there, or
 *	allocate one from the IOAS of SMMUV3_ACCEL_CREATE
 * @out_reason: Why it failed
 * @out_dev_id: The device's ID in the iommufd
 * @out_viommu_id: The vIOMMU that stands for the device's SMMU. Allocate a vEVENTQ
 *	on it to receive the guest's events
 * @out_vdevice_id: The vDEVICE of the device; 0: none, because the StreamID is not
 *	set
 * @out_s2_hwpt_id: The stage-2 parent in use on the device's SMMU
 * @out_phys: Index of that SMMU for SMMUV3_ACCEL_GET_PHYS, or
 *	SMMUV3_ACCEL_NO_PHYS
 * @out_bad_idr: With IDR_HOST and IDR_OFFERED, for each of SMMU_IDR0 to SMMU_IDR5
 *	the fields that the device's SMMU cannot honour
 * @__reserved: Must be 0
 *
 * Attach a device to the virtual SMMU. From now on its DMA aborts, MSIs included,
 * until an STE says otherwise. In table mode the guest's STE takes effect at once.
 * Attach the device before its interrupts are enabled. The module holds the VFIO
 * file until SMMUV3_ACCEL_DETACH or close, so the device stays bound.
 *
 * If the stream's StreamID is not set, it has no vDEVICE, and its DMA is blocked.
 *
 * A bridge or an emulated endpoint has no host object. It has a virtual StreamID
 * and an STE, which SMMUV3_ACCEL_GET_STREAM shows.
 *
 * The vIOMMU, and a stage-2 parent that the module allocated, live until the file
 * is closed. If the VMM named the parent, the module releases vIOMMU and parent
 * when the VMM detaches the last device behind that SMMU. If a vEVENTQ still uses
 * the vIOMMU then, the module releases them later: when the VMM has attached a device
 * there again and detaches it, when ATTACH names another parent, or at close. The VMM
 * may use the IDs, but must not destroy the objects.
 *
 * If the VMM uses VFIO_DEVICE_ATTACH_IOMMUFD_PT or VFIO_DEVICE_DETACH_IOMMUFD_PT
 * on the device, it takes the device from the module until the stream's next STE.
 *
 * The call fails with NO_IOAS if the module has to allocate a parent, and the IOAS
 * of SMMUV3_ACCEL_CREATE is 0 or does not exist any more.
 *
 * If the call fails, nothing has changed: the device keeps its domain.
 *
 * Errors besides the general ones:
 *
 *  - EINVAL (NOT_VFIO, VFIO_GROUP, NOT_PCI, NOT_BOUND, OTHER_IOMMUFD,
 *    GROUP_SHARED, PARENT_REJECTED, HAS_DEVICE, VSID_RANGE, FLAGS, HOST_REJECT)
 *  - EOPNOTSUPP (NOT_SMMUV3, NO_NESTING, MULTI_STREAM, IDR_HOST, IDR_OFFERED,
 *    NO_FEED)
 *  - ENOENT (PARENT_REJECTED, NO_IOAS)
 *  - EEXIST (VSID_IN_USE)
 *  - EBUSY (DEVICE_IN_USE, PARENT_IN_USE, PARENT_OTHER, RETRY)
 *  - ENOSPC (TOO_MANY_STREAMS)
 *  - EADDRINUSE (RESERVED_IOVA)
 *  - ENXIO (NO_MEM_TABLE)
 *  - ENODEV (NO_POWER)
 *  - ENOMEM, ETIMEDOUT (RETRY)
 *  - EIO (HOST_REJECT)
 */
struct smmuv3_accel_attach {
	__u32 size;
	__u32 flags;
	__s32 vfio_fd;
	__u32 vsid;
	__u32 s2_hwpt_id;
	__u32 out_reason;
	__u32 out_dev_id;
	__u32 out_viommu_id;
	__u32 out_vdevice_id;
	__u32 out_s2_hwpt_id;
	__u32 out_phys;
	__u32 out_bad_idr[6];
	__u32 __reserved;
};
#define SMMUV3_ACCEL_ATTACH _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_ATTACH)

/**
 * struct smmuv3_accel_detach - ioctl(SMMUV3_ACCEL_DETACH)
 * @size: sizeof(struct smmuv3_accel_detach)
 * @flags: Must be 0
 * @vsid: The stream to detach
 * @out_reason: Why it failed
 *
 * Block the device's DMA, destroy its nested domain and vDEVICE, and release the
 * VFIO file. If the stream is attached, the call fails only with EINTR, before it
 * has done anything, or with EFAULT if the struct cannot be written back.
 *
 * Errors besides the general ones: ENOENT (NO_STREAM).
 */
struct smmuv3_accel_detach {
	__u32 size;
	__u32 flags;
	__u32 vsid;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_DETACH _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_DETACH)

/**
 * struct smmuv3_accel_phys - ioctl(SMMUV3_ACCEL_GET_PHYS)
 * @size: sizeof(struct smmuv3_accel_phys)
 * @flags: Must be 0
 * @index: Which of the virtual SMMU's physical SMMUs, from 0
 * @out_reason: Why it failed
 * @out_viommu_id: Its vIOMMU; 0: none, because no stream is left
 * @out_s2_hwpt_id: Its stage-2 parent; 0: none
 * @out_stream_num: How many streams are attached behind it
 * @out_idr: SMMU_IDR0 to SMMU_IDR5. Only the fields that struct
 *	iommu_hw_info_arm_smmuv3 lists are meaningful
 * @out_iidr: SMMU_IIDR
 * @out_aidr: SMMU_AIDR
 * @out_hw_flags: Combination of enum iommu_hw_info_arm_smmuv3_flags
 * @out_abort_hwpt_id: The nested HWPT of its streams that abort; 0: none
 * @out_bypass_hwpt_id: The nested HWPT of its streams that bypass stage 1; 0: none
 *
 * Describe a physical SMMU. A virtual SMMU keeps it from the first ATTACH of a
 * device behind it until close.
 *
 * Errors besides the general ones: ENOENT (NO_PHYS).
 */
struct smmuv3_accel_phys {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 out_reason;
	__u32 out_viommu_id;
	__u32 out_s2_hwpt_id;
	__u32 out_stream_num;
	__u32 out_idr[6];
	__u32 out_iidr;
	__u32 out_aidr;
	__u32 out_hw_flags;
	__u32 out_abort_hwpt_id;
	__u32 out_bypass_hwpt_id;
};
#define SMMUV3_ACCEL_GET_PHYS _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_GET_PHYS)

/**
 * struct smmuv3_accel_stream - ioctl(SMMUV3_ACCEL_GET_STREAM)
 * @size: sizeof(struct smmuv3_accel_stream)
 * @flags: Must be 0
 * @vsid: The stream to describe
 * @__reserved: Must be 0
 * @out_reason: Why the stream aborts, DETACHED, or why the call failed
 * @out_kind: One of enum smmuv3_accel_kind
 * @out_phys: Index of its physical SMMU, or SMMUV3_ACCEL_NO_PHYS
 * @out_dev_id: The device's ID in the iommufd
 * @out_vdevice_id: Its vDEVICE; 0: none
 * @out_hwpt_id: The nested HWPT that is attached. 0: DMA is blocked without one,
 *	there is no device, or @out_kind is SMMUV3_ACCEL_KIND_OTHER
 * @out_ste: The first two doublewords of the STE that the module gave to the host, 0
 *	if the stream does not translate
 *
 * Describe what is installed for a stream.
 *
 * Errors besides the general ones: ENOENT (NO_STREAM).
 */
struct smmuv3_accel_stream {
	__u32 size;
	__u32 flags;
	__u32 vsid;
	__u32 __reserved;
	__u32 out_reason;
	__u32 out_kind;
	__u32 out_phys;
	__u32 out_dev_id;
	__u32 out_vdevice_id;
	__u32 out_hwpt_id;
	__aligned_le64 out_ste[2];
};
#define SMMUV3_ACCEL_GET_STREAM \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_GET_STREAM)

/**
 * struct smmuv3_accel_ste - One entry of SMMUV3_ACCEL_INSTALL_STE
 * @vsid: The stream
 * @out_errno: 0, or the negative errno of the entry that failed
 * @out_reason: Why it failed, or why the stream aborts
 * @__reserved: Must be 0
 * @ste: The guest's Stream Table Entry, all 64 bytes (Arm IHI 0070, section 5.2)
 */
struct smmuv3_accel_ste {
	__u32 vsid;
	__s32 out_errno;
	__u32 out_reason;
	__u32 __reserved;
	__aligned_le64 ste[8];
};

/**
 * struct smmuv3_accel_install_ste - ioctl(SMMUV3_ACCEL_INSTALL_STE)
 * @size: sizeof(struct smmuv3_accel_install_ste)
 * @flags: Must be 0
 * @entries_uptr: Pointer to an array of struct smmuv3_accel_ste
 * @entry_len: sizeof(struct smmuv3_accel_ste)
 * @entry_num: In: how many entries there are; out: how many were installed
 * @out_reason: The reason of the entry that failed
 * @__reserved: Must be 0
 *
 * For a VMM that walks the guest's stream table itself: install the guest's STEs
 * when the guest issues a CFGI_STE. With V = 0 or Config = abort, the stream's DMA
 * aborts. With Config = bypass, it passes through stage 2 only. With Config = stage
 * 1, the guest's CD table translates it. Only V, Config, S1Fmt, S1ContextPtr,
 * S1CDMax, S1DSS, S1CIR, S1COR, S1CSH and EATS have an effect. If the architecture
 * calls an STE illegal, or the STE asks for stage 2, the module installs an abort
 * and reports the reason. The entry counts as installed: the ioctl succeeds, and the
 * VMM delivers an event to the guest.
 *
 * The call stops at the first entry that fails. That stream keeps its old STE, with
 * one exception: if the module cannot invalidate the stream's cached CDs, the new
 * STE is installed. Repeat the entry to invalidate the CDs. The module does not
 * write to the entries after the one that failed.
 *
 * After some progress, the call also returns early, with 0, if a signal is pending.
 * After 64 entries it does so as well if another call waits for the virtual SMMU,
 * unless that is a RUN_CMDQ or an INVALIDATE.
 *
 * Errors besides the general ones:
 *
 *  - EINVAL (ARRAY)
 *  - ENOENT (NO_STREAM)
 *  - EBUSY (TABLE_MODE, NO_VSID, RETRY)
 *  - ENOMEM, ETIMEDOUT (RETRY)
 *  - EIO, EINVAL (HOST_REJECT)
 *  - EADDRINUSE (RESERVED_IOVA)
 *  - ENODEV (NO_POWER)
 */
struct smmuv3_accel_install_ste {
	__u32 size;
	__u32 flags;
	__aligned_u64 entries_uptr;
	__u32 entry_len;
	__u32 entry_num;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_INSTALL_STE \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_INSTALL_STE)

/**
 * struct smmuv3_accel_invalidate - ioctl(SMMUV3_ACCEL_INVALIDATE)
 * @size: sizeof(struct smmuv3_accel_invalidate)
 * @flags: Must be 0
 * @cmds_uptr: Pointer to an array of 16-byte commands (Arm IHI 0070, chapter 4)
 * @cmd_num: In: how many commands there are; out: how many are done
 * @out_error: One of enum smmuv3_accel_cerror
 * @out_reason: What is wrong with the command at @cmd_num
 * @out_vsid: If the ioctl fails because of one stream, its StreamID, else 0
 *
 * Carry out an array of guest commands: CFGI_CD, CFGI_CD_ALL, TLBI_NH_ALL,
 * TLBI_NH_ASID, TLBI_NH_VA, TLBI_NH_VAA, TLBI_NSNH_ALL, ATC_INV. PREFETCH_CONFIG,
 * PREFETCH_ADDR and CMD_SYNC are accepted. The commands that are counted as done
 * have taken effect when the ioctl returns. TLBIs reach each physical SMMU behind
 * which a stream is attached and that may hold what they remove. A command with a
 * StreamID reaches that stream. If the stream is not attached, there is nothing to do.
 * In table mode CFGI_STE, CFGI_STE_RANGE and CFGI_ALL work as in SMMUV3_ACCEL_RUN_CMDQ.
 *
 * A command that the guest may not use is the guest's error. The ioctl returns 0,
 * the commands before it are done, @cmd_num is its index, @out_error is
 * CERROR_ILL, and @out_reason says which rule it broke.
 *
 * If a device does not answer an ATC_INV, the next CMD_SYNC, in this array or a
 * later one, ends in CERROR_ATC_INV_SYNC. The streams whose ATC_INVs were in the
 * same host call abort (ATC_TIMEOUT), because a stale entry in a device's ATC must
 * not go on translating. They abort until their next STE, SMMUV3_ACCEL_DETACH or
 * SMMUV3_ACCEL_RESET.
 *
 * If the host fails, the ioctl returns the host's error, with @cmd_num commands
 * done. Repeating the rest is harmless. The host may refuse the commands of one
 * stream, for instance because the VMM destroyed its vDEVICE. Then @out_vsid names
 * the stream, @cmd_num is the index of its first command, and commands of other
 * streams after that may be done already. Detach the stream and repeat the rest.
 *
 * After some progress, the call also returns early, with 0, if a signal is pending.
 * In a long array it does so as well if another call waits for the virtual SMMU,
 * unless that is a RUN_CMDQ or an INVALIDATE.
 *
 * Errors besides the general ones:
 *
 *  - EINVAL (CMD_NEEDS_TABLE, at @cmd_num; ARRAY)
 *  - ENXIO (NO_MEM_TABLE)
 *  - EIO, EINVAL (HOST_REJECT)
 *  - ENOMEM, ETIMEDOUT (RETRY)
 *  - in table mode those of a stream, as for SMMUV3_ACCEL_SET_REGS
 */
struct smmuv3_accel_invalidate {
	__u32 size;
	__u32 flags;
	__aligned_u64 cmds_uptr;
	__u32 cmd_num;
	__u32 out_error;
	__u32 out_reason;
	__u32 out_vsid;
};
#define SMMUV3_ACCEL_INVALIDATE \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_INVALIDATE)

/**
 * struct smmuv3_accel_set_regs - ioctl(SMMUV3_ACCEL_SET_REGS)
 * @size: sizeof(struct smmuv3_accel_set_regs)
 * @flags: Must be 0
 * @cr0: SMMU_CR0. Only SMMUEN and CMDQEN have an effect
 * @gbpa: SMMU_GBPA. Only ABORT has an effect
 * @strtab_base_cfg: SMMU_STRTAB_BASE_CFG
 * @__reserved: Must be 0
 * @strtab_base: SMMU_STRTAB_BASE
 * @cmdq_base: SMMU_CMDQ_BASE
 * @out_vsid: The first stream that the module could not configure
 * @out_reason: Why it failed
 *
 * Set the guest's registers, raw, whenever the guest has written one of them. The
 * first call starts table mode: until SMMUV3_ACCEL_RESET, the module reads the
 * guest's stream table itself. It evaluates each stream again if SMMUEN, GBPA.ABORT
 * or the table changes.
 *
 * If the call is malformed or fails with NO_MEM_TABLE, nothing has changed. After
 * EINTR nothing has changed either, unless the caller is being killed. After any
 * other error the registers are in force. A stream that the module could not
 * configure by them aborts, with the reason, so that it does not keep a
 * configuration that the guest has replaced. Repeat the call to configure it.
 *
 * Errors besides the general ones:
 *
 *  - ENXIO (NO_MEM_TABLE, with SMMUEN)
 *  - EBUSY, ENOMEM, ETIMEDOUT (RETRY)
 *  - EIO, EINVAL (HOST_REJECT)
 *  - EADDRINUSE (RESERVED_IOVA)
 *  - ENODEV (NO_POWER)
 */
struct smmuv3_accel_set_regs {
	__u32 size;
	__u32 flags;
	__u32 cr0;
	__u32 gbpa;
	__u32 strtab_base_cfg;
	__u32 __reserved;
	__aligned_u64 strtab_base;
	__aligned_u64 cmdq_base;
	__u32 out_vsid;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_SET_REGS _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_SET_REGS)

/**
 * struct smmuv3_accel_bad_ste - A stream whose STE is not legal
 * @vsid: Its StreamID
 * @reason: Why it aborts
 */
struct smmuv3_accel_bad_ste {
	__u32 vsid;
	__u32 reason;
};

/**
 * enum smmuv3_accel_run_flags - What SMMUV3_ACCEL_RUN_CMDQ found in the queue
 * @SMMUV3_ACCEL_RUN_SYNC_IRQ: A CMD_SYNC with CS = SIG_IRQ: the guest wants its
 *	CMD_SYNC interrupt and, if the VMM offers IDR0.MSI, the MSI in the command. The
 *	VMM finds these commands between the old and the new @cons. It reads them before
 *	it shows CONS to the guest, and sends the MSIs after that
 * @SMMUV3_ACCEL_RUN_BAD_STE: A command named a stream whose STE is not legal, or
 *	cannot be read. The stream aborts, and bad_uptr names it
 * @SMMUV3_ACCEL_RUN_BAD_OVERFLOW: bad_uptr has no room for all such streams.
 *	SMMUV3_ACCEL_GET_STREAM has the reason of each stream
 * @SMMUV3_ACCEL_RUN_CFGI: A CFGI_* command is done. Before the guest sees @cons, the
 *	VMM passes on the events that its vEVENTQs have: a CMD_SYNC behind a CFGI_*
 *	promises that earlier faults are in the guest's queue (Arm IHI 0070, 4.7.3)
 * @SMMUV3_ACCEL_RUN_FEED_OVERFLOW: feed_uptr has no room for all commands. The VMM
 *	has to invalidate its software IOTLBs completely
 */
enum smmuv3_accel_run_flags {
	SMMUV3_ACCEL_RUN_SYNC_IRQ = 1 << 0,
	SMMUV3_ACCEL_RUN_BAD_STE = 1 << 1,
	SMMUV3_ACCEL_RUN_FEED_OVERFLOW = 1 << 2,
	SMMUV3_ACCEL_RUN_BAD_OVERFLOW = 1 << 3,
	SMMUV3_ACCEL_RUN_CFGI = 1 << 4,
};

/**
 * struct smmuv3_accel_run_cmdq - ioctl(SMMUV3_ACCEL_RUN_CMDQ)
 * @size: sizeof(struct smmuv3_accel_run_cmdq)
 * @flags: Must be 0
 * @feed_uptr: Pointer to an array of 16-byte commands
 * @bad_uptr: Pointer to an array of struct smmuv3_accel_bad_ste
 * @prod: SMMU_CMDQ_PROD, index and wrap bit. Bits above, which the guest can write, are
 *	ignored
 * @max_cmds: The most commands to run; 0: a lap of the queue. Each CFGI_ALL
 *	reads an STE for each stream, so a lap of them can take long
 * @cons: In: SMMU_CMDQ_CONS, index and wrap bit; out: the same, after what is
 *	done
 * @feed_num: In: for how many commands @feed_uptr has room; out: how many were
 *	written
 * @bad_num: In: for how many entries @bad_uptr has room; out: how many were
 *	written
 * @__reserved: Must be 0
 * @out_error: One of enum smmuv3_accel_cerror, for SMMU_CMDQ_CONS.ERR
 * @out_reason: What is wrong with the command at @cons
 * @out_flags: Combination of enum smmuv3_accel_run_flags
 * @out_vsid: If the ioctl fails because of one stream, its StreamID, else 0
 *
 * Run the guest's command queue from @cons to @prod. CONS belongs to the VMM:
 * running the same commands again is harmless. Errors are reported as for
 * SMMUV3_ACCEL_INVALIDATE, and @cons points to the command. If the module cannot
 * read the command, the error is CERROR_ABT.
 *
 * The call may return 0 before it has reached @prod: for a signal; if there is much
 * to do and another call waits, unless that is a RUN_CMDQ or an INVALIDATE; or after
 * out_max_stes of SMMUV3_ACCEL_GET_INFO. It has run one command at least then. Call
 * again, as long as @cons is not @prod without the bits above the wrap bit, and there
 * is no @out_error.
 *
 * CFGI_STE, CFGI_STE_RANGE and CFGI_ALL read the guest's stream table again for
 * the attached streams that they name, in order with the commands around them. If
 * the module cannot install a stream's new STE, the stream keeps its old one and
 * @out_vsid names it. The other streams get theirs.
 *
 * If a command that is done named a stream whose STE is not legal or cannot be read,
 * the module writes the stream and the reason to @bad_uptr, so that the VMM can record an
 * event. A stream for which the guest has no level-2 table yet (Span 0) aborts too,
 * but is not written there: Linux allocates these tables as it finds devices.
 *
 * While an emulated endpoint is attached, the module writes to @feed_uptr the
 * commands that the endpoint's software IOTLB must see. These are all TLBIs,
 * CFGI_STE_RANGEs and CFGI_ALLs, and the CFGI_STEs, CFGI_CDs, CFGI_CD_ALLs and
 * ATC_INVs that name an emulated endpoint. The module writes only commands that are
 * done, in order and as the guest wrote them, except that it replaces reserved forms by
 * others as it does for the host, and clears the reserved bits of CFGI_STEs,
 * CFGI_STE_RANGEs and CFGI_ALLs. The VMM applies them before it shows @cons to the
 * guest. If the module cannot write to @feed_uptr (EFAULT), it counts none of these
 * commands as done.
 *
 * Errors besides the general ones: EINVAL (CMDQ_INDEX, CMDQ_DISABLED), ENXIO
 * (NO_REGS, NO_MEM_TABLE), and those of a stream, as for SMMUV3_ACCEL_SET_REGS. After
 * EFAULT the fields that the kernel sets, @cons among them, mean nothing.
 */
struct smmuv3_accel_run_cmdq {
	__u32 size;
	__u32 flags;
	__aligned_u64 feed_uptr;
	__aligned_u64 bad_uptr;
	__u32 prod;
	__u32 max_cmds;
	__u32 cons;
	__u32 feed_num;
	__u32 bad_num;
	__u32 __reserved;
	__u32 out_error;
	__u32 out_reason;
	__u32 out_flags;
	__u32 out_vsid;
};
#define SMMUV3_ACCEL_RUN_CMDQ _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_RUN_CMDQ)

/**
 * struct smmuv3_accel_reset - ioctl(SMMUV3_ACCEL_RESET)
 * @size: sizeof(struct smmuv3_accel_reset)
 * @flags: Must be 0
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * For a reset of the virtual machine: abort all streams, forget the registers, which
 * ends table mode, and flush the TLBs. The streams with their StreamIDs, the memory
 * table and the ID registers stay.
 *
 * Errors besides the general ones: ENOMEM and ETIMEDOUT (RETRY), EIO
 * and EINVAL (HOST_REJECT).
 * Even then, all streams abort: only a flush failed. If the caller is being killed,
 * some streams may stay as they were.
 */
struct smmuv3_accel_reset {
	__u32 size;
	__u32 flags;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_RESET _IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_RESET)

/**
 * struct smmuv3_accel_stats - ioctl(SMMUV3_ACCEL_GET_STATS)
 * @size: sizeof(struct smmuv3_accel_stats)
 * @flags: Must be 0
 * @__reserved: Must be 0
 * @out_reason: Why it failed
 * @out_cmds: Commands that are done
 * @out_syncs: CMD_SYNCs among them
 * @out_issued: Commands given to the host. A command counts once for each physical
 *	SMMU and each repetition
 * @out_subsumed: Commands left out because other commands do their work
 * @out_merged: Range invalidations merged into another one
 * @out_host_calls: Host calls for invalidations
 * @out_zero_copy: Host calls that read the commands from the VMM's memory directly
 * @out_ste_installed: STEs that changed the stream's domain
 * @out_ste_unchanged: STEs that asked for what was already installed
 * @out_ste_bad: STEs that were not legal, or could not be read
 * @out_cmd_errors: Command errors of the guest
 * @out_replays: Host calls that were repeated after an error
 * @out_withheld: Invalidations not given to a physical SMMU that has streams, or a
 *	pending flush of an earlier stream, but no entry they could hit. A command counts
 *	once for each such physical SMMU
 *
 * Counters since SMMUV3_ACCEL_CREATE. @out_cmds and @out_syncs count what is done. The
 * others count each attempt: a command that is not done, because the host failed,
 * counts again when it runs again.
 */
struct smmuv3_accel_stats {
	__u32 size;
	__u32 flags;
	__u32 __reserved;
	__u32 out_reason;
	__aligned_u64 out_cmds;
	__aligned_u64 out_syncs;
	__aligned_u64 out_issued;
	__aligned_u64 out_subsumed;
	__aligned_u64 out_merged;
	__aligned_u64 out_host_calls;
	__aligned_u64 out_zero_copy;
	__aligned_u64 out_ste_installed;
	__aligned_u64 out_ste_unchanged;
	__aligned_u64 out_ste_bad;
	__aligned_u64 out_cmd_errors;
	__aligned_u64 out_replays;
	__aligned_u64 out_withheld;
};
#define SMMUV3_ACCEL_GET_STATS \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_GET_STATS)

/**
 * struct smmuv3_accel_change_process - ioctl(SMMUV3_ACCEL_CHANGE_PROCESS)
 * @size: sizeof(struct smmuv3_accel_change_process)
 * @flags: Must be 0
 * @iommufd: The iommufd that SMMUV3_ACCEL_CREATE named, as the caller's file
 *	descriptor
 * @out_reason: Why it failed
 *
 * For a live update of the VMM: the process that received the descriptors calls
 * this, and the file belongs to its address space from now on. The process has to
 * name the iommufd, because the module acts on the iommufd for the file's owner.
 *
 * Streams and registers stay as they are, and DMA goes on. The module forgets the
 * memory table, because its addresses belong to the old process: call
 * SMMUV3_ACCEL_SET_MEM_TABLE before the next SMMUV3_ACCEL_RUN_CMDQ. If the file
 * already belongs to the caller, nothing changes. The old process keeps its scratch
 * mapping until it ends, but the module no longer uses it. If the old process was
 * killed in SMMUV3_ACCEL_SET_REGS, SMMUV3_ACCEL_SET_VSIDS or SMMUV3_ACCEL_RESET,
 * repeat that call: it may not have reached all streams.
 *
 * Errors besides the general ones, without EIO: EINVAL (NOT_IOMMUFD,
 * OTHER_IOMMUFD), ENOMEM (NO_ROOM).
 */
struct smmuv3_accel_change_process {
	__u32 size;
	__u32 flags;
	__s32 iommufd;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_CHANGE_PROCESS \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_CHANGE_PROCESS)

/**
 * struct smmuv3_accel_vsid - One entry of SMMUV3_ACCEL_SET_VSIDS
 * @old_vsid: The stream's present StreamID, or its name with
 *	SMMUV3_ACCEL_VSID_UNSET
 * @new_vsid: Its new StreamID or name; may be the same
 */
struct smmuv3_accel_vsid {
	__u32 old_vsid;
	__u32 new_vsid;
};

/**
 * struct smmuv3_accel_set_vsids - ioctl(SMMUV3_ACCEL_SET_VSIDS)
 * @size: sizeof(struct smmuv3_accel_set_vsids)
 * @flags: Must be 0
 * @entries_uptr: Pointer to an array of struct smmuv3_accel_vsid
 * @entry_num: How many entries there are
 * @out_vsid: The old_vsid of the entry that is refused, or the new_vsid of the first
 *	stream whose vDEVICE or STE the module could not set up
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * Set or change the virtual StreamIDs of streams, when the guest numbers its buses.
 * All entries change at once, so two streams can swap. The module blocks the DMA of
 * all these streams, destroys their vDEVICEs and allocates new ones. In table mode
 * it then installs the guest's STEs for the new StreamIDs. Otherwise the streams
 * abort until the next SMMUV3_ACCEL_INSTALL_STE. If the new StreamID is unset, the
 * stream has no vDEVICE, and its DMA stays blocked.
 *
 * If the call is malformed or fails with NO_MEM_TABLE or ENOMEM, nothing has changed.
 * After EINTR nothing has changed either, unless the caller is being killed. After
 * any other error the StreamIDs are set. If the module could not set up a
 * stream's vDEVICE or STE, the stream's DMA is blocked. Repeat the call with the new
 * StreamIDs on both sides to set up what is missing.
 *
 * Errors besides the general ones:
 *
 *  - EINVAL (ARRAY, VSID_RANGE, VSID_TWICE)
 *  - ENOENT (NO_STREAM)
 *  - EEXIST (VSID_IN_USE)
 *  - ENXIO (NO_MEM_TABLE)
 *  - EBUSY (DEVICE_IN_USE, RETRY)
 *  - ETIMEDOUT (RETRY)
 *  - EIO, EINVAL (HOST_REJECT)
 *  - EADDRINUSE (RESERVED_IOVA)
 *  - ENODEV (NO_POWER)
 */
struct smmuv3_accel_set_vsids {
	__u32 size;
	__u32 flags;
	__aligned_u64 entries_uptr;
	__u32 entry_num;
	__u32 out_vsid;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_SET_VSIDS \
	_IO(SMMUV3_ACCEL_TYPE, SMMUV3_ACCEL_CMD_SET_VSIDS)

#endif /* _UAPI_LINUX_SMMUV3_ACCEL_H */
