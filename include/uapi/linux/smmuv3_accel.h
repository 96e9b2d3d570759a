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
 * flags. The size is the caller's sizeof(): a caller with an older, shorter
 * struct than the kernel's is served as if the rest were zero, and one with a
 * newer, longer struct as long as what the kernel does not know is zero.
 *
 * Fields named out_* are written by the kernel on every return from an ioctl
 * that it knows and whose struct it could read, failures included, and are
 * ignored on the way in. out_reason is one of enum smmuv3_accel_reason.
 * STEs, commands and register values are in the architecture's layout;
 * STEs and commands are little-endian (Arm IHI 0070, SMMUv3).
 *
 * Besides what each ioctl names, any of them may return:
 *
 *  - ENOTTY: the ioctl number is not known.
 *  - E2BIG: the struct is longer than the kernel's, and not zero where the
 *    kernel knows no fields.
 *  - EINVAL: the struct is shorter than the first version's, or a field has a
 *    wrong value.
 *  - EOPNOTSUPP: an unknown flag, or a reserved field that is not zero.
 *  - EFAULT: a user pointer cannot be read or written.
 *  - ENXIO: the file is not bound yet: SMMUV3_ACCEL_CREATE comes first.
 *  - EIO: the caller is not in the address space that bound the file
 *    (out_reason: SMMUV3_ACCEL_REASON_FOREIGN_MM).
 *  - ENOENT: no such ID or virtual StreamID.
 *  - EINTR: a signal came before anything was counted as done.
 *  - EACCES, EPERM: a security module refused a call to the iommufd or to the
 *    VFIO device that the ioctl makes for its caller.
 *  - ENOMEM: out of memory; nothing was changed, unless the ioctl says otherwise.
 */
#define SMMUV3_ACCEL_TYPE	0xA7

#define SMMUV3_ACCEL_API_VERSION	1

/**
 * enum smmuv3_accel_reason - What was wrong, more exactly than an errno says
 * @SMMUV3_ACCEL_REASON_NONE: Nothing
 * @SMMUV3_ACCEL_REASON_FOREIGN_MM: The caller's address space is not the one
 *	that bound the file, for instance after fork()
 * @SMMUV3_ACCEL_REASON_NOT_IOMMUFD: The descriptor is no iommufd
 * @SMMUV3_ACCEL_REASON_NO_IOAS: The iommufd has no such IOAS
 * @SMMUV3_ACCEL_REASON_NO_ROOM: The caller's address space has no room for
 *	the scratch mapping; after mlockall(MCL_FUTURE) it counts against
 *	RLIMIT_MEMLOCK
 * @SMMUV3_ACCEL_REASON_NOT_VFIO: The descriptor is no VFIO device
 * @SMMUV3_ACCEL_REASON_VFIO_GROUP: The descriptor is a VFIO group, or a device
 *	opened through one; the device's cdev (/dev/vfio/devices/) is wanted
 * @SMMUV3_ACCEL_REASON_NOT_PCI: The VFIO device is not a PCI function
 * @SMMUV3_ACCEL_REASON_NOT_BOUND: The VFIO device is not bound to an iommufd
 *	through this open file: VFIO_DEVICE_BIND_IOMMUFD comes first, and another
 *	open file of the same device does not count
 * @SMMUV3_ACCEL_REASON_OTHER_IOMMUFD: The VFIO device is bound to another
 *	iommufd, or SMMUV3_ACCEL_CHANGE_PROCESS names another one
 * @SMMUV3_ACCEL_REASON_GROUP_SHARED: The device shares its IOMMU group with
 *	other devices, and the host attaches by group
 * @SMMUV3_ACCEL_REASON_NOT_SMMUV3: The device is not behind an SMMUv3
 * @SMMUV3_ACCEL_REASON_NO_NESTING: The device's SMMU or root complex cannot
 *	nest: it takes both stages, a root complex that is declared CANWBS or an
 *	SMMU with S2FWB, and faults that need not stall
 * @SMMUV3_ACCEL_REASON_MULTI_STREAM: The device has more than one StreamID
 * @SMMUV3_ACCEL_REASON_PARENT_REJECTED: What SMMUV3_ACCEL_CREATE named as the
 *	stage-2 parent is no HWPT, or the host cannot make a parent
 * @SMMUV3_ACCEL_REASON_PARENT_IN_USE: Another vSMMU uses that stage-2 parent;
 *	without SMMUV3_ACCEL_CREATE_SHARED_ASIDS their ASIDs would mix
 * @SMMUV3_ACCEL_REASON_VSID_IN_USE: The virtual StreamID is attached already
 * @SMMUV3_ACCEL_REASON_DEVICE_IN_USE: The device has a vDEVICE already: it is
 *	attached under another virtual StreamID or to another vSMMU
 * @SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS: out_max_streams of
 *	SMMUV3_ACCEL_GET_INFO are attached, or devices behind 63 physical SMMUs
 * @SMMUV3_ACCEL_REASON_NO_FEED: An emulated endpoint, and SMMUV3_ACCEL_CREATE
 *	did not say that the VMM takes the feed that those need
 * @SMMUV3_ACCEL_REASON_HAS_DEVICE: A bridge or an emulated endpoint comes
 *	without a VFIO device: vfio_fd has to be -1
 * @SMMUV3_ACCEL_REASON_VSID_RANGE: The virtual StreamID has more bits than
 *	SMMU_IDR1.SIDSIZE, so no stream table can hold it
 * @SMMUV3_ACCEL_REASON_NO_STREAM: The virtual StreamID is not attached
 * @SMMUV3_ACCEL_REASON_NO_STE: Nothing was installed yet, the stream aborts
 * @SMMUV3_ACCEL_REASON_STE_INVALID: STE.V is 0, the stream aborts
 * @SMMUV3_ACCEL_REASON_STE_ABORT: STE.Config says abort
 * @SMMUV3_ACCEL_REASON_STE_CONFIG: STE.Config asks for stage 2, which the
 *	virtual SMMU does not have
 * @SMMUV3_ACCEL_REASON_STE_S1CDMAX: STE.S1CDMax is larger than the SMMU's
 *	SSIDSIZE
 * @SMMUV3_ACCEL_REASON_STE_S1FMT: STE.S1Fmt is reserved, or asks for a 2-level
 *	CD table that the SMMU does not have
 * @SMMUV3_ACCEL_REASON_STE_S1DSS: STE.S1DSS is reserved
 * @SMMUV3_ACCEL_REASON_STE_EATS: STE.EATS is reserved or asks for split-stage
 *	ATS, which needs a stage 2 of the guest's
 * @SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR: STE.S1ContextPtr has more than 52 bits
 * @SMMUV3_ACCEL_REASON_STE_SID_RANGE: The StreamID is beyond the guest's stream
 *	table, or beyond the span of its level-2 table
 * @SMMUV3_ACCEL_REASON_STE_L1_INVALID: The StreamID's level-1 descriptor has a
 *	Span of 0 or over SPLIT + 1
 * @SMMUV3_ACCEL_REASON_STE_UNREADABLE: The guest's stream table is not in memory
 * @SMMUV3_ACCEL_REASON_GBPA_ABORT: CR0.SMMUEN is 0 and GBPA.ABORT is 1
 * @SMMUV3_ACCEL_REASON_RETRY: Temporary failure: the device is in reset, memory is
 *	low, or another vSMMU is allocating or destroying the stage-2 parent. The
 *	same call may succeed later
 * @SMMUV3_ACCEL_REASON_HOST_REJECT: The host refused what this module found
 *	legal
 * @SMMUV3_ACCEL_REASON_DETACHED: The VMM detached the device, or attached it to
 *	another domain, with the VFIO device's own ioctls
 * @SMMUV3_ACCEL_REASON_NO_POWER: The device did not leave its low-power state
 * @SMMUV3_ACCEL_REASON_CMD_OPCODE: The opcode is unknown, or not one that a
 *	guest's Non-secure stage-1 command queue may use
 * @SMMUV3_ACCEL_REASON_CMD_RESERVED: A bit that must be zero is set
 * @SMMUV3_ACCEL_REASON_CMD_RANGE: A range invalidation's TG, TTL, NUM and
 *	SCALE form a reserved combination
 * @SMMUV3_ACCEL_REASON_CMD_ATC_SIZE: An ATC_INV's Size is over 52
 * @SMMUV3_ACCEL_REASON_CMD_NO_ATS: ATC_INV, but no attached SMMU has ATS
 * @SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE: CFGI_STE, CFGI_STE_RANGE or CFGI_ALL:
 *	the caller installs STEs itself and has to act on this command itself
 * @SMMUV3_ACCEL_REASON_CMD_UNREADABLE: The guest's command queue is not in
 *	memory
 * @SMMUV3_ACCEL_REASON_ATC_TIMEOUT: A device did not answer an ATC_INV in time.
 *	The streams whose ATC_INVs were in that call of the host abort
 * @SMMUV3_ACCEL_REASON_IDR: ID registers that a host SMMU cannot honour, or that
 *	no virtual SMMU may show; without SMMUV3_ACCEL_SET_IDR, an SMMU that lacks
 *	what a running guest was offered. out_bad_idr and out_bad_mask say which
 * @SMMUV3_ACCEL_REASON_FROZEN: The ID registers cannot change: a stream is
 *	attached, or, for good, a command ran
 * @SMMUV3_ACCEL_REASON_TABLE_MODE: The module reads the guest's stream table
 *	itself, since SMMUV3_ACCEL_SET_REGS
 * @SMMUV3_ACCEL_REASON_NO_REGS: SMMUV3_ACCEL_SET_REGS comes first
 * @SMMUV3_ACCEL_REASON_CMDQ_DISABLED: CR0.CMDQEN is 0
 * @SMMUV3_ACCEL_REASON_CMDQ_INDEX: PROD is more than a lap ahead of CONS
 */
enum smmuv3_accel_reason {
	SMMUV3_ACCEL_REASON_NONE = 0,
	SMMUV3_ACCEL_REASON_FOREIGN_MM = 1,
	SMMUV3_ACCEL_REASON_NOT_IOMMUFD = 2,
	SMMUV3_ACCEL_REASON_NO_IOAS = 3,
	SMMUV3_ACCEL_REASON_NO_ROOM = 4,

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
	SMMUV3_ACCEL_REASON_RETRY = 64,
	SMMUV3_ACCEL_REASON_HOST_REJECT = 65,
	SMMUV3_ACCEL_REASON_DETACHED = 66,
	SMMUV3_ACCEL_REASON_NO_POWER = 67,

	SMMUV3_ACCEL_REASON_CMD_OPCODE = 80,
	SMMUV3_ACCEL_REASON_CMD_RESERVED = 81,
	SMMUV3_ACCEL_REASON_CMD_RANGE = 82,
	SMMUV3_ACCEL_REASON_CMD_ATC_SIZE = 83,
	SMMUV3_ACCEL_REASON_CMD_NO_ATS = 84,
	SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE = 85,
	SMMUV3_ACCEL_REASON_ATC_TIMEOUT = 86,
	SMMUV3_ACCEL_REASON_CMD_UNREADABLE = 87,

	SMMUV3_ACCEL_REASON_IDR = 96,
	SMMUV3_ACCEL_REASON_FROZEN = 97,
	SMMUV3_ACCEL_REASON_TABLE_MODE = 98,
	SMMUV3_ACCEL_REASON_NO_REGS = 99,
	SMMUV3_ACCEL_REASON_CMDQ_DISABLED = 100,
	SMMUV3_ACCEL_REASON_CMDQ_INDEX = 101,
};

/**
 * enum smmuv3_accel_cerror - Command errors, as in SMMU_CMDQ_CONS.ERR
 * @SMMUV3_ACCEL_CERROR_NONE: No error
 * @SMMUV3_ACCEL_CERROR_ILL: Illegal command
 * @SMMUV3_ACCEL_CERROR_ABT: The command could not be fetched
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
 * @SMMUV3_ACCEL_KIND_ABORT: DMA is aborted
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
 * @out_api_version: SMMUV3_ACCEL_API_VERSION of the kernel
 * @out_features: 0; optional parts will have a bit each
 * @out_max_streams: How many streams a vSMMU can have
 * @out_max_batch: The most commands that are handed to the host in one call;
 *	longer arrays are split
 * @out_max_stes: SMMUV3_ACCEL_RUN_CMDQ that has evaluated this many STEs ends,
 *	with less done than asked for, before a command that asks for more
 *
 * Describe the module. Works at any time, before SMMUV3_ACCEL_CREATE and in
 * any process too.
 */
struct smmuv3_accel_info {
	__u32 size;
	__u32 flags;
	__u32 out_api_version;
	__u32 out_features;
	__u32 out_max_streams;
	__u32 out_max_batch;
	__u32 out_max_stes;
};
#define SMMUV3_ACCEL_GET_INFO _IO(SMMUV3_ACCEL_TYPE, 0x00)

/**
 * enum smmuv3_accel_create_flags - Flags of SMMUV3_ACCEL_CREATE
 * @SMMUV3_ACCEL_CREATE_SHARED_ASIDS: The VMM asserts that the guest draws the
 *	ASIDs of all vSMMUs that have this flag from one pool, as Linux does. Then
 *	those of one iommufd and IOAS share a stage-2 parent on each physical
 *	SMMU. Where it is not so, a device reaches what another one's tables map
 * @SMMUV3_ACCEL_CREATE_FEED: The VMM may attach emulated endpoints, and
 *	feeds what SMMUV3_ACCEL_RUN_CMDQ writes to feed_uptr to their software
 *	IOTLB
 * @SMMUV3_ACCEL_CREATE_NO_GLOBAL: The VMM asserts that its guest maps nothing
 *	global in stage 1 (nG = 0), as Linux does for DMA. Then an invalidation
 *	by ASID reaches all that one by address would have, and many of the
 *	latter can be replaced by one of the former
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
 * @iommufd: File descriptor of the VMM's iommufd
 * @ioas_id: The IOAS that holds the guest's physical address space
 * @s2_hwpt_id: ID of a stage-2 HWPT, allocated with IOMMU_HWPT_ALLOC_NEST_PARENT,
 *	to be used on the physical SMMU for which it was made; 0, and on all
 *	physical SMMUs on which the host does not take it: one is allocated from
 *	@ioas_id. out_s2_hwpt_id of SMMUV3_ACCEL_ATTACH says which is in use
 * @out_reason: Why it failed
 *
 * Make the file a virtual SMMU of that iommufd. The file keeps a reference to
 * the iommufd and belongs to the caller's address space from now on: all other
 * ioctls have to come from there. Two small scratch mappings of the module's own
 * pages are made in it, which a forked child does not inherit. A process that
 * writes there or unmaps them harms itself alone.
 *
 * Errors besides the general ones: EBADF, EINVAL (NOT_IOMMUFD), ENOENT
 * (NO_IOAS), ENOMEM (NO_ROOM), EBUSY (the file is bound already).
 */
struct smmuv3_accel_create {
	__u32 size;
	__u32 flags;
	__s32 iommufd;
	__u32 ioas_id;
	__u32 s2_hwpt_id;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_CREATE _IO(SMMUV3_ACCEL_TYPE, 0x01)

/**
 * struct smmuv3_accel_set_idr - ioctl(SMMUV3_ACCEL_SET_IDR)
 * @size: sizeof(struct smmuv3_accel_set_idr)
 * @flags: Must be 0
 * @idr: SMMU_IDR0 to SMMU_IDR5, as the guest sees them
 * @out_bad_idr: Number of the register that is refused
 * @out_bad_mask: The field of it
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * Say what the guest's SMMU offers. Commands and STEs that use what is not
 * offered are illegal then, and devices whose SMMU lacks some of it are not
 * attached. Without this call a vSMMU offers what its physical SMMUs have.
 *
 * These fields may be set, within what each host SMMU has: IDR0 ST_LEVEL (the
 * module walks either kind of table), TERM_MODEL, TTENDIAN, CD2L, ASID16, ATS,
 * TTF; IDR1 SIDSIZE, SSIDSIZE, and EVENTQS and CMDQS up to 19; IDR3 BBML, RIL;
 * IDR5 VAX, GRAN64K, GRAN16K, GRAN4K, DS, OAS. S1P and COHACC must be 1,
 * STALL_MODEL 0b01, and everything else 0.
 *
 * Errors besides the general ones: EOPNOTSUPP (IDR), EBUSY (FROZEN).
 */
struct smmuv3_accel_set_idr {
	__u32 size;
	__u32 flags;
	__u32 idr[6];
	__u32 out_bad_idr;
	__u32 out_bad_mask;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_SET_IDR _IO(SMMUV3_ACCEL_TYPE, 0x02)

/**
 * struct smmuv3_accel_mem_region - Some of the guest's memory
 * @gpa: Guest physical address
 * @size: Length in bytes, not 0
 * @uaddr: Where the VMM has it
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
 * @region_num: How many regions there are, up to 512
 * @__reserved: Must be 0
 * @regions_uptr: Pointer to an array of struct smmuv3_accel_mem_region, in any
 *	order
 *
 * Say where the guest's memory is, to read its stream table and command queue
 * in. Replaces the table whole; on failure the old one stays. EINVAL: a region
 * is empty, wraps or overlaps another, or there are too many.
 */
struct smmuv3_accel_mem_table {
	__u32 size;
	__u32 flags;
	__u32 region_num;
	__u32 __reserved;
	__aligned_u64 regions_uptr;
};
#define SMMUV3_ACCEL_SET_MEM_TABLE _IO(SMMUV3_ACCEL_TYPE, 0x03)

/**
 * enum smmuv3_accel_attach_flags - What is attached, if not a VFIO device
 * @SMMUV3_ACCEL_ATTACH_BRIDGE: A bridge or root port of the VMM's, which does no
 *	DMA of its own
 * @SMMUV3_ACCEL_ATTACH_FEED: A device that the VMM emulates. The VMM walks
 *	the guest's tables for it; see SMMUV3_ACCEL_CREATE_FEED
 */
enum smmuv3_accel_attach_flags {
	SMMUV3_ACCEL_ATTACH_BRIDGE = 1 << 0,
	SMMUV3_ACCEL_ATTACH_FEED = 1 << 1,
};

/* No physical SMMU: what a bridge or an emulated endpoint is behind */
#define SMMUV3_ACCEL_NO_PHYS	(~(__u32)0)

/**
 * struct smmuv3_accel_attach - ioctl(SMMUV3_ACCEL_ATTACH)
 * @size: sizeof(struct smmuv3_accel_attach)
 * @flags: 0, or one of enum smmuv3_accel_attach_flags
 * @vfio_fd: File descriptor of a VFIO device cdev: of the open file that bound the
 *	device to the vSMMU's iommufd; -1 with a flag
 * @vsid: The StreamID under which the guest knows the device
 * @out_dev_id: The device's ID in the iommufd
 * @out_viommu_id: The vIOMMU that stands for the device's SMMU: allocate a
 *	vEVENTQ on it to receive the guest's events
 * @out_vdevice_id: The vDEVICE made for the device
 * @out_s2_hwpt_id: The stage-2 parent in use on the device's SMMU
 * @out_phys: Index of that SMMU for SMMUV3_ACCEL_GET_PHYS, or
 *	SMMUV3_ACCEL_NO_PHYS
 * @out_bad_idr: With IDR, the number of the register that the SMMU cannot honour
 * @out_bad_mask: The field of it
 * @out_reason: Why it failed
 *
 * Put a device behind the virtual SMMU. From here on its DMA is aborted, MSIs
 * included, until an STE says otherwise: attach it before its interrupts are
 * enabled. The VFIO file is held until SMMUV3_ACCEL_DETACH or close, and with it
 * the device stays bound.
 *
 * A bridge or an emulated endpoint owns no host object: it has a virtual
 * StreamID and an STE, which SMMUV3_ACCEL_GET_STREAM shows.
 *
 * The vIOMMU and the stage-2 parent are made with the first device of an SMMU
 * and live until the file is closed. The IDs are reported for use, not for
 * IOMMU_DESTROY. A VMM that uses VFIO_DEVICE_ATTACH_IOMMUFD_PT or
 * VFIO_DEVICE_DETACH_IOMMUFD_PT on the device takes it from the module, until the
 * stream's next STE puts it back.
 *
 * Errors besides the general ones: EBADF, EINVAL (NOT_VFIO, VFIO_GROUP,
 * NOT_PCI, NOT_BOUND, OTHER_IOMMUFD, GROUP_SHARED, PARENT_REJECTED, HAS_DEVICE,
 * VSID_RANGE), EOPNOTSUPP (NOT_SMMUV3, NO_NESTING, MULTI_STREAM, IDR, NO_FEED),
 * ENOENT (PARENT_REJECTED),
 * EEXIST (VSID_IN_USE), EBUSY (DEVICE_IN_USE, PARENT_IN_USE, RETRY), ENOSPC
 * (TOO_MANY_STREAMS), ENODEV (NO_POWER), ENOMEM and ETIMEDOUT (RETRY), EIO
 * (HOST_REJECT). If it fails nothing is changed: the
 * device keeps the domain that it had.
 */
struct smmuv3_accel_attach {
	__u32 size;
	__u32 flags;
	__s32 vfio_fd;
	__u32 vsid;
	__u32 out_dev_id;
	__u32 out_viommu_id;
	__u32 out_vdevice_id;
	__u32 out_s2_hwpt_id;
	__u32 out_phys;
	__u32 out_bad_idr;
	__u32 out_bad_mask;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_ATTACH _IO(SMMUV3_ACCEL_TYPE, 0x04)

/**
 * struct smmuv3_accel_detach - ioctl(SMMUV3_ACCEL_DETACH)
 * @size: sizeof(struct smmuv3_accel_detach)
 * @flags: Must be 0
 * @vsid: The stream to detach
 * @out_reason: Why it failed: NO_STREAM
 *
 * Block the device's DMA, free its nested domain and vDEVICE and drop the VFIO
 * file. For a stream that is attached it fails only with EINTR, before it has
 * done anything.
 */
struct smmuv3_accel_detach {
	__u32 size;
	__u32 flags;
	__u32 vsid;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_DETACH _IO(SMMUV3_ACCEL_TYPE, 0x05)

/**
 * struct smmuv3_accel_phys - ioctl(SMMUV3_ACCEL_GET_PHYS)
 * @size: sizeof(struct smmuv3_accel_phys)
 * @flags: Must be 0
 * @index: Which of the vSMMU's physical SMMUs, from 0
 * @out_viommu_id: Its vIOMMU
 * @out_s2_hwpt_id: Its stage-2 parent
 * @out_stream_num: How many streams are attached behind it
 * @out_idr: SMMU_IDR0 to SMMU_IDR5. Only the fields that struct
 *	iommu_hw_info_arm_smmuv3 lists mean anything
 * @out_iidr: SMMU_IIDR
 * @out_aidr: SMMU_AIDR
 * @out_hw_flags: Combination of enum iommu_hw_info_arm_smmuv3_flags
 * @__reserved: Must be 0
 * @out_abort_hwpt_id: The nested HWPT of its streams that abort
 * @out_bypass_hwpt_id: The nested HWPT of its streams that bypass stage 1
 *
 * Describe a physical SMMU. Fails with ENOENT past the last one.
 */
struct smmuv3_accel_phys {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 out_viommu_id;
	__u32 out_s2_hwpt_id;
	__u32 out_stream_num;
	__u32 out_idr[6];
	__u32 out_iidr;
	__u32 out_aidr;
	__u32 out_hw_flags;
	__u32 __reserved;
	__u32 out_abort_hwpt_id;
	__u32 out_bypass_hwpt_id;
};
#define SMMUV3_ACCEL_GET_PHYS _IO(SMMUV3_ACCEL_TYPE, 0x06)

/**
 * struct smmuv3_accel_stream - ioctl(SMMUV3_ACCEL_GET_STREAM)
 * @size: sizeof(struct smmuv3_accel_stream)
 * @flags: Must be 0
 * @vsid: The stream to describe
 * @out_kind: One of enum smmuv3_accel_kind
 * @out_phys: Index of its physical SMMU, or SMMUV3_ACCEL_NO_PHYS
 * @out_dev_id: The device's ID in the iommufd
 * @out_vdevice_id: Its vDEVICE
 * @out_hwpt_id: The nested HWPT that is attached; 0: DMA is blocked without one,
 *	there is no device, or @out_kind is SMMUV3_ACCEL_KIND_OTHER
 * @out_reason: Why the stream aborts, DETACHED or NO_STREAM
 * @__reserved: Must be 0
 * @out_ste: The first two doublewords of the STE that the host was given,
 *	0 if the stream does not translate
 *
 * Say what is installed for a stream.
 */
struct smmuv3_accel_stream {
	__u32 size;
	__u32 flags;
	__u32 vsid;
	__u32 out_kind;
	__u32 out_phys;
	__u32 out_dev_id;
	__u32 out_vdevice_id;
	__u32 out_hwpt_id;
	__u32 out_reason;
	__u32 __reserved;
	__aligned_le64 out_ste[2];
};
#define SMMUV3_ACCEL_GET_STREAM _IO(SMMUV3_ACCEL_TYPE, 0x07)

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
 * @entry_num: In: how many entries there are; out: how many were installed
 * @entry_len: sizeof(struct smmuv3_accel_ste)
 * @out_reason: The reason of the entry that failed
 * @__reserved: Must be 0
 * @entries_uptr: Pointer to an array of struct smmuv3_accel_ste
 *
 * For a VMM that walks its guest's stream table itself: install what the guest
 * wrote, when the guest says so (CFGI_STE). With V = 0 or Config = abort the
 * stream's DMA is aborted; Config = bypass lets it through stage 2 alone; Config
 * = stage 1 makes the guest's CD table translate it. Only V, Config, S1Fmt,
 * S1ContextPtr, S1CDMax, S1DSS, S1CIR, S1COR, S1CSH and EATS have an effect.
 * An STE that the architecture calls illegal, or that asks for stage 2, is
 * installed as an abort with its reason, and counts as installed: the guest is
 * owed an event, not the caller an error.
 *
 * Stops at the first entry that fails; that stream keeps what it had, unless only
 * its cached CDs could not be invalidated: then it has the STE, and the same
 * entry again makes up for that. Entries that were not reached are not written.
 * After some progress a signal, or after 64 entries a call that waits for the vSMMU
 * (but RUN_CMDQ and INVALIDATE), ends it with 0 and less done than asked for.
 *
 * Errors besides the general ones: ENOENT (NO_STREAM), EBUSY (TABLE_MODE, RETRY),
 * ENOMEM and ETIMEDOUT (RETRY), EIO and EINVAL (HOST_REJECT), ENODEV (NO_POWER).
 */
struct smmuv3_accel_install_ste {
	__u32 size;
	__u32 flags;
	__u32 entry_num;
	__u32 entry_len;
	__u32 out_reason;
	__u32 __reserved;
	__aligned_u64 entries_uptr;
};
#define SMMUV3_ACCEL_INSTALL_STE _IO(SMMUV3_ACCEL_TYPE, 0x08)

/**
 * struct smmuv3_accel_invalidate - ioctl(SMMUV3_ACCEL_INVALIDATE)
 * @size: sizeof(struct smmuv3_accel_invalidate)
 * @flags: Must be 0
 * @cmd_num: In: how many commands there are; out: how many are done
 * @out_error: One of enum smmuv3_accel_cerror
 * @out_reason: What is wrong with the command at @cmd_num
 * @out_vsid: If the ioctl fails because of one stream, its StreamID, else 0
 * @cmds_uptr: Pointer to an array of 16-byte commands (Arm IHI 0070, chapter 4)
 *
 * Carry out a batch of the guest's commands: CFGI_CD, CFGI_CD_ALL, TLBI_NH_ALL,
 * TLBI_NH_ASID, TLBI_NH_VA, TLBI_NH_VAA, TLBI_NSNH_ALL, ATC_INV; PREFETCH_CONFIG,
 * PREFETCH_ADDR and CMD_SYNC are accepted. All that is counted as done has
 * taken effect when the ioctl returns. TLBIs reach each physical SMMU of the
 * vSMMU; commands with a StreamID reach that stream, and are done at once where
 * it is not attached.
 *
 * A command that the guest may not use is the guest's fault, and no error of
 * the ioctl's: it returns 0, the commands before it are done, @cmd_num is its
 * index, @out_error is CERROR_ILL and @out_reason says which rule it broke. An
 * ATC_INV that a device did not answer ends in CERROR_ATC_INV_SYNC at the next
 * CMD_SYNC, in this array or a later one.
 *
 * If a device does not answer an ATC_INV, the streams whose ATC_INVs were in the
 * same call of the host abort (ATC_TIMEOUT) until their next STE,
 * SMMUV3_ACCEL_DETACH or SMMUV3_ACCEL_RESET, since a stale entry in a device's
 * ATC must not go on translating.
 *
 * On a host error the ioctl returns it, @cmd_num commands are done, and repeating
 * the rest is harmless. If the host refuses the commands of one stream, as when
 * the VMM has destroyed its vDEVICE, @out_vsid names it, @cmd_num is the index of
 * its first command, and the commands of other streams around that were carried
 * out: detach it and repeat the rest. After some progress a signal, or in a long
 * array a call that waits for the vSMMU (but RUN_CMDQ and INVALIDATE), ends it with
 * 0 and less done than asked for.
 *
 * Errors besides the general ones: EINVAL (CMD_NEEDS_TABLE, at @cmd_num; or
 * more than 2^19 commands), EIO (HOST_REJECT), ENOMEM and ETIMEDOUT (RETRY).
 */
struct smmuv3_accel_invalidate {
	__u32 size;
	__u32 flags;
	__u32 cmd_num;
	__u32 out_error;
	__u32 out_reason;
	__u32 out_vsid;
	__aligned_u64 cmds_uptr;
};
#define SMMUV3_ACCEL_INVALIDATE _IO(SMMUV3_ACCEL_TYPE, 0x09)

/**
 * struct smmuv3_accel_set_regs - ioctl(SMMUV3_ACCEL_SET_REGS)
 * @size: sizeof(struct smmuv3_accel_set_regs)
 * @flags: Must be 0
 * @cr0: SMMU_CR0. SMMUEN and CMDQEN have effect
 * @gbpa: SMMU_GBPA. ABORT has effect
 * @strtab_base_cfg: SMMU_STRTAB_BASE_CFG
 * @out_vsid: The first stream that could not be given what they say
 * @strtab_base: SMMU_STRTAB_BASE
 * @cmdq_base: SMMU_CMDQ_BASE
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * Hand over the guest's registers, raw, whenever the guest wrote one of them.
 * From the first time on the module reads the guest's stream table itself
 * (table mode), until SMMUV3_ACCEL_RESET. Each stream is evaluated again if
 * SMMUEN, GBPA.ABORT or the table changes. EINTR, unless the caller is killed, and
 * the errors of a malformed call change nothing. After any other error the
 * registers are in force: a stream that could not be given what they say aborts,
 * with the reason, rather than keep what the guest took away. Repeat the call to
 * give it what it lacks.
 *
 * Errors besides the general ones: EBUSY, ENOMEM and ETIMEDOUT (RETRY), EIO and
 * EINVAL (HOST_REJECT), ENODEV (NO_POWER).
 */
struct smmuv3_accel_set_regs {
	__u32 size;
	__u32 flags;
	__u32 cr0;
	__u32 gbpa;
	__u32 strtab_base_cfg;
	__u32 out_vsid;
	__aligned_u64 strtab_base;
	__aligned_u64 cmdq_base;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_SET_REGS _IO(SMMUV3_ACCEL_TYPE, 0x0a)

/**
 * enum smmuv3_accel_run_flags - What a run of the command queue came upon
 * @SMMUV3_ACCEL_RUN_SYNC_IRQ: A CMD_SYNC with CS = SIG_IRQ: the guest wants its
 *	CMD_SYNC interrupt
 * @SMMUV3_ACCEL_RUN_BAD_STE: A stream got an STE that is not legal, or has none;
 *	it aborts. SMMUV3_ACCEL_GET_STREAM has its reason
 * @SMMUV3_ACCEL_RUN_FEED_OVERFLOW: There was no room at feed_uptr for all
 *	commands: software IOTLBs have to forget everything
 */
enum smmuv3_accel_run_flags {
	SMMUV3_ACCEL_RUN_SYNC_IRQ = 1 << 0,
	SMMUV3_ACCEL_RUN_BAD_STE = 1 << 1,
	SMMUV3_ACCEL_RUN_FEED_OVERFLOW = 1 << 2,
};

/**
 * struct smmuv3_accel_run_cmdq - ioctl(SMMUV3_ACCEL_RUN_CMDQ)
 * @size: sizeof(struct smmuv3_accel_run_cmdq)
 * @flags: Must be 0
 * @prod: SMMU_CMDQ_PROD, raw with its wrap bit
 * @cons: In: SMMU_CMDQ_CONS, index and wrap bit; out: the same, after what is
 *	done
 * @max_cmds: The most commands to run; 0: a lap of the queue. Each CFGI_ALL
 *	reads an STE for each stream, so a lap of them can take long
 * @out_error: One of enum smmuv3_accel_cerror, for SMMU_CMDQ_CONS.ERR
 * @out_reason: What is wrong with the command at @cons
 * @out_flags: Combination of enum smmuv3_accel_run_flags
 * @feed_num: In: how many commands there is room for at @feed_uptr; out: how many
 *	were written
 * @out_vsid: If the ioctl fails because of one stream, its StreamID, else 0
 * @feed_uptr: Pointer to an array of 16-byte commands
 *
 * Run the guest's command queue from @cons to @prod. CONS belongs to the VMM:
 * running a stretch again is harmless. Errors are told apart as for
 * SMMUV3_ACCEL_INVALIDATE, with @cons at the command. A queue or a command that
 * cannot be read is CERROR_ABT.
 *
 * The call may end with 0 before @prod is reached: for a signal, for a call (but
 * RUN_CMDQ and INVALIDATE) that waits while there is much to do, or with out_max_stes
 * of SMMUV3_ACCEL_GET_INFO. Call again, as long as @cons is not @prod and there
 * is no @out_error.
 *
 * CFGI_STE, CFGI_STE_RANGE and CFGI_ALL read the guest's stream table again for
 * the attached streams that they name, in order with the commands around them. A
 * stream that cannot be given its STE keeps what it had, does not hold up the
 * others, and is named by @out_vsid.
 *
 * While an emulated endpoint is attached, what its software IOTLB must see is
 * written to @feed_uptr: of the commands that are done, in order and as the guest
 * wrote them, the TLBIs, CFGI_STE_RANGEs and CFGI_ALLs, and those with the
 * StreamID of an emulated endpoint, but for CMD_SYNC and PREFETCH_*. The VMM acts
 * on them before it shows @cons to the guest. Where they cannot be written
 * (EFAULT), nothing of theirs is counted as done.
 *
 * Errors besides the general ones: EINVAL (CMDQ_INDEX, CMDQ_DISABLED), ENXIO
 * (NO_REGS), and those of a stream, as for SMMUV3_ACCEL_SET_REGS.
 */
struct smmuv3_accel_run_cmdq {
	__u32 size;
	__u32 flags;
	__u32 prod;
	__u32 cons;
	__u32 max_cmds;
	__u32 out_error;
	__u32 out_reason;
	__u32 out_flags;
	__u32 feed_num;
	__u32 out_vsid;
	__aligned_u64 feed_uptr;
};
#define SMMUV3_ACCEL_RUN_CMDQ _IO(SMMUV3_ACCEL_TYPE, 0x0b)

/**
 * struct smmuv3_accel_reset - ioctl(SMMUV3_ACCEL_RESET)
 * @size: sizeof(struct smmuv3_accel_reset)
 * @flags: Must be 0
 * @out_reason: Why it failed
 * @__reserved: Must be 0
 *
 * The guest's machine is reset: all streams abort, the registers are forgotten,
 * which ends table mode, and the TLBs are flushed. Streams, memory table and ID
 * registers stay.
 *
 * Errors besides the general ones, with all streams aborted, of a flush that failed:
 * ENOMEM and ETIMEDOUT (RETRY), EIO (HOST_REJECT). A caller that is killed may leave
 * some streams as they were.
 */
struct smmuv3_accel_reset {
	__u32 size;
	__u32 flags;
	__u32 out_reason;
	__u32 __reserved;
};
#define SMMUV3_ACCEL_RESET _IO(SMMUV3_ACCEL_TYPE, 0x0c)

/**
 * struct smmuv3_accel_stats - ioctl(SMMUV3_ACCEL_GET_STATS)
 * @size: sizeof(struct smmuv3_accel_stats)
 * @flags: Must be 0
 * @out_cmds: Commands that are done
 * @out_syncs: CMD_SYNCs among them
 * @out_issued: Commands given to the host, counted for each physical SMMU and
 *	repetition
 * @out_subsumed: Commands that were left out, as others did their work
 * @out_merged: Range invalidations that became part of another
 * @out_host_calls: Calls of the host for invalidations
 * @out_zero_copy: Those that the host read from the VMM's memory directly
 * @out_ste_installed: STEs that made another domain the stream's
 * @out_ste_unchanged: STEs that asked for what was there
 * @out_ste_bad: STEs that were not legal, or could not be read
 * @out_cmd_errors: Command errors of the guest's
 * @out_replays: Calls of the host that were made again after an error
 *
 * Counters since SMMUV3_ACCEL_CREATE.
 */
struct smmuv3_accel_stats {
	__u32 size;
	__u32 flags;
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
};
#define SMMUV3_ACCEL_GET_STATS _IO(SMMUV3_ACCEL_TYPE, 0x0d)

/**
 * struct smmuv3_accel_change_process - ioctl(SMMUV3_ACCEL_CHANGE_PROCESS)
 * @size: sizeof(struct smmuv3_accel_change_process)
 * @flags: Must be 0
 * @iommufd: The iommufd that SMMUV3_ACCEL_CREATE named, as a file descriptor of
 *	the caller's
 * @out_reason: Why it failed
 *
 * Called by the process that took the descriptors over, for a live update of the
 * VMM: the file belongs to its address space from now on. It has to show the
 * iommufd, because the module acts on it for whoever owns the file. Streams and
 * registers stay as they are and DMA goes on. The memory table is forgotten, as
 * its addresses meant the old process: SMMUV3_ACCEL_SET_MEM_TABLE comes before
 * the next SMMUV3_ACCEL_RUN_CMDQ. If the file belongs to the caller already,
 * nothing changes. The old process keeps its scratch mapping until it ends; the
 * module no longer uses it. If the old process was killed in SMMUV3_ACCEL_SET_REGS
 * or SMMUV3_ACCEL_RESET, some streams may not have what that call said: repeat it.
 *
 * Errors besides the general ones, without EIO: EBADF, EINVAL (NOT_IOMMUFD,
 * OTHER_IOMMUFD), ENOMEM (NO_ROOM).
 */
struct smmuv3_accel_change_process {
	__u32 size;
	__u32 flags;
	__s32 iommufd;
	__u32 out_reason;
};
#define SMMUV3_ACCEL_CHANGE_PROCESS _IO(SMMUV3_ACCEL_TYPE, 0x0e)

#endif /* _UAPI_LINUX_SMMUV3_ACCEL_H */
