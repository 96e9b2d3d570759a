/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * libvsmmu: enums and structs. Programs include vsmmu.h.
 */
#ifndef _VSMMU_TYPES_H
#define _VSMMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The register map (Arm IHI 0070, chapter 6): two pages of 64 KiB */
#define VSMMU_PAGE_SIZE		0x10000
#define VSMMU_REGS_SIZE		(2 * VSMMU_PAGE_SIZE)

/* The guest's doorbell, for a zone of coalesced MMIO; 32 bits wide */
#define VSMMU_CMDQ_PROD		0x98

#define VSMMU_MAX_REGIONS	512
#define VSMMU_MAX_VEVENTQS	64

struct vsmmu;

/**
 * enum vsmmu_irq - The interrupt lines, all of them edge triggered
 * @VSMMU_IRQ_EVENTQ: The event queue is no longer empty
 * @VSMMU_IRQ_GERROR: A bit of SMMU_GERROR became active
 * @VSMMU_IRQ_CMDQ_SYNC: A CMD_SYNC that asks for an interrupt is done
 * @VSMMU_IRQ_NUM: How many there are
 */
enum vsmmu_irq {
	VSMMU_IRQ_EVENTQ,
	VSMMU_IRQ_GERROR,
	VSMMU_IRQ_CMDQ_SYNC,
	VSMMU_IRQ_NUM,
};

/**
 * enum vsmmu_reason - What the library itself refuses, and why
 * @VSMMU_REASON_CONFIG: The struct vsmmu_config is not initialized, or belongs to
 *	another version of the library. Start with VSMMU_CONFIG_INIT or
 *	vsmmu_config_init().
 * @VSMMU_REASON_FLAGS: A flag in struct vsmmu_config is unknown to the library.
 * @VSMMU_REASON_ACCEL_FD: VSMMU_CONFIG_CHANGE_PROCESS takes over a virtual
 *	SMMU. Set accel_fd to the descriptor from the old process.
 * @VSMMU_REASON_IOMMUFD: There is no iommufd. Set iommufd to a descriptor of
 *	/dev/iommu.
 * @VSMMU_REASON_REGS_ALIGN: The memory for the register file is not aligned to
 *	VSMMU_PAGE_SIZE.
 * @VSMMU_REASON_OPEN: The library cannot open /dev/smmuv3-accel. Load the
 *	module, and give this user access to the device.
 * @VSMMU_REASON_TOO_MANY_REGIONS: There are more memory regions than
 *	VSMMU_MAX_REGIONS.
 * @VSMMU_REASON_REGION_FLAGS: A flag of a memory region is unknown to the
 *	library.
 * @VSMMU_REASON_REGION_RESERVED: A reserved field of a memory region is not
 *	zero.
 * @VSMMU_REASON_OPTION: A field of struct vsmmu_options has no such value.
 * @VSMMU_REASON_NO_PHYS: No physical SMMU is known yet. Call vsmmu_probe() for
 *	a device first, or give the ID registers with VSMMU_OPT_IDR.
 * @VSMMU_REASON_NOTHING_COMMON: The physical SMMUs have no table format,
 *	granule or endianness in common.
 * @VSMMU_REASON_NOT_STARTED: The virtual SMMU is not started. Call
 *	vsmmu_start() or vsmmu_resume() first.
 * @VSMMU_REASON_STARTED: The virtual SMMU is started already.
 * @VSMMU_REASON_NOT_TAKEN_OVER: The virtual SMMU was not taken over from
 *	another process. Call vsmmu_start() instead of vsmmu_resume().
 * @VSMMU_REASON_STATE: No virtual SMMU can be in this state: it is damaged, or
 *	of another version.
 * @VSMMU_REASON_STATE_IDR: The state is of a virtual SMMU with other ID
 *	registers. Start with VSMMU_OPT_IDR and the state's ID registers.
 * @VSMMU_REASON_ACCESS: The SMMU has no register access of this size at this
 *	offset.
 * @VSMMU_REASON_LINE: There is no such interrupt line.
 * @VSMMU_REASON_NOT_EVENTFD: The descriptor is no eventfd.
 * @VSMMU_REASON_IRQFD_TWICE: Another interrupt line has this eventfd already.
 * @VSMMU_REASON_NOT_VEVENTQ: The descriptor is no vEVENTQ. Pass the one that
 *	IOMMU_VEVENTQ_ALLOC returned.
 * @VSMMU_REASON_VEVENTQ_TWICE: The library takes events from this vEVENTQ
 *	already.
 * @VSMMU_REASON_TOO_MANY_VEVENTQS: There are VSMMU_MAX_VEVENTQS vEVENTQs
 *	already.
 * @VSMMU_REASON_NO_VEVENTQ: The library takes no events from this descriptor.
 * @VSMMU_REASON_VEVENTQ_READ: A vEVENTQ cannot be read. Remove it with
 *	vsmmu_remove_veventq().
 * @VSMMU_REASON_EVENT_RECORD: What was read from a vEVENTQ is no event record.
 * @VSMMU_REASON_KERNEL_ANSWER: The kernel returned what it never should. Report
 *	a bug.
 * @VSMMU_REASON_MSIS_PENDING: Another call still passes MSIs to the VMM, and there
 *	is no room for those of more commands. Call vsmmu_kick() in a while.
 *
 * They continue enum smmuv3_accel_reason, and share no number with it.
 */
enum vsmmu_reason {
	VSMMU_REASON_CONFIG = 0x10000,
	VSMMU_REASON_FLAGS = 0x10001,
	VSMMU_REASON_ACCEL_FD = 0x10002,
	VSMMU_REASON_IOMMUFD = 0x10003,
	VSMMU_REASON_REGS_ALIGN = 0x10004,
	VSMMU_REASON_OPEN = 0x10005,
	VSMMU_REASON_TOO_MANY_REGIONS = 0x10006,
	VSMMU_REASON_REGION_FLAGS = 0x10007,
	VSMMU_REASON_REGION_RESERVED = 0x10008,
	VSMMU_REASON_OPTION = 0x10009,
	VSMMU_REASON_NO_PHYS = 0x1000a,
	VSMMU_REASON_NOTHING_COMMON = 0x1000b,
	VSMMU_REASON_NOT_STARTED = 0x1000c,
	VSMMU_REASON_STARTED = 0x1000d,
	VSMMU_REASON_NOT_TAKEN_OVER = 0x1000e,
	VSMMU_REASON_STATE = 0x1000f,
	VSMMU_REASON_STATE_IDR = 0x10010,
	VSMMU_REASON_ACCESS = 0x10011,
	VSMMU_REASON_LINE = 0x10012,
	VSMMU_REASON_NOT_EVENTFD = 0x10013,
	VSMMU_REASON_IRQFD_TWICE = 0x10014,
	VSMMU_REASON_NOT_VEVENTQ = 0x10015,
	VSMMU_REASON_VEVENTQ_TWICE = 0x10016,
	VSMMU_REASON_TOO_MANY_VEVENTQS = 0x10017,
	VSMMU_REASON_NO_VEVENTQ = 0x10018,
	VSMMU_REASON_VEVENTQ_READ = 0x10019,
	VSMMU_REASON_EVENT_RECORD = 0x1001a,
	VSMMU_REASON_KERNEL_ANSWER = 0x1001b,
	VSMMU_REASON_MSIS_PENDING = 0x1001c,
};

/**
 * struct vsmmu_error - A failure
 * @error: Its negative errno; 0: nothing has failed yet
 * @request: The ioctl that failed, for instance SMMUV3_ACCEL_SET_REGS; 0: the
 *	library failed or refused by itself
 * @reason: One of enum smmuv3_accel_reason or enum vsmmu_reason
 * @vsid: If the failure is about one stream, its StreamID: that of the call, or the
 *	one that SMMUV3_ACCEL_SET_REGS, SMMUV3_ACCEL_RUN_CMDQ or
 *	SMMUV3_ACCEL_SET_VSIDS names. Else 0
 * @bad_region: Index of the refused memory region, if @reason is one of REGION_*
 * @bad_idr: The refused fields of SMMU_IDR0 to SMMU_IDR5, if @reason is IDR_ILLEGAL,
 *	IDR_HOST or IDR_OFFERED
 * @fd: The vEVENTQ, if @reason is %VSMMU_REASON_VEVENTQ_READ or
 *	%VSMMU_REASON_EVENT_RECORD
 */
struct vsmmu_error {
	int error;
	unsigned long request;
	uint32_t reason;
	uint32_t vsid;
	uint32_t bad_region;
	uint32_t bad_idr[6];
	int fd;
};

/**
 * struct vsmmu_cmd - A command of the guest
 * @dw: Its doublewords, little-endian as in memory (Arm IHI 0070, chapter 4)
 */
struct vsmmu_cmd {
	uint64_t dw[2];
};

/**
 * struct vsmmu_cmd_error - A command of the guest that is in error
 * @cerror: What SMMU_CMDQ_CONS.ERR says: one of enum smmuv3_accel_cerror
 * @reason: Which rule it broke: one of enum smmuv3_accel_reason
 * @index: Where it is in the queue, without the wrap bit
 * @reserved: 0
 * @cmd: Its doublewords, or 0 if it could not be fetched (CERROR_ABT). The library
 *	reads them after the error, so the guest may have changed them
 */
struct vsmmu_cmd_error {
	uint32_t cerror;
	uint32_t reason;
	uint32_t index;
	uint32_t reserved;
	struct vsmmu_cmd cmd;
};

/**
 * enum vsmmu_region_flags - Flags of struct vsmmu_region
 * @VSMMU_REGION_READONLY: The guest can only read the region, for instance a ROM.
 *	The VMM may have it mapped without PROT_WRITE
 */
enum vsmmu_region_flags {
	VSMMU_REGION_READONLY = 1 << 0,
};

/**
 * struct vsmmu_region - A part of guest memory
 * @gpa: Guest physical address
 * @size: Length in bytes, not 0
 * @uaddr: Where the VMM has it
 * @flags: Combination of enum vsmmu_region_flags
 * @reserved: 0
 */
struct vsmmu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uaddr;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * enum vsmmu_fd_kind - What a descriptor is
 * @VSMMU_FD_OTHER: Something that the library has no use for
 * @VSMMU_FD_EVENTFD: An eventfd
 * @VSMMU_FD_VEVENTQ: A vEVENTQ
 * @VSMMU_FD_UNKNOWN: The kernel does not say, for instance without /proc
 */
enum vsmmu_fd_kind {
	VSMMU_FD_OTHER,
	VSMMU_FD_EVENTFD,
	VSMMU_FD_VEVENTQ,
	VSMMU_FD_UNKNOWN,
};

/**
 * struct vsmmu_kernel - What the library needs of the kernel
 * @open: As open(path, O_RDWR | O_CLOEXEC)
 * @close: As close()
 * @ioctl: As ioctl(), on /dev/smmuv3-accel
 * @read: As read(), on a vEVENTQ
 * @identify: Tell what a descriptor is: one of enum vsmmu_fd_kind
 * @clean: Clean a line of the register file to the point of coherency
 *
 * For tests, which put something else under the library. If a function fails, it
 * returns a negative errno.
 */
struct vsmmu_kernel {
	int (*open)(void *data, const char *path);
	void (*close)(void *data, int fd);
	int (*ioctl)(void *data, int fd, unsigned long request, void *arg);
	ssize_t (*read)(void *data, int fd, void *buf, size_t len);
	int (*identify)(void *data, int fd);
	void (*clean)(void *data, const volatile void *line);
};

/**
 * enum vsmmu_config_flags - Flags of struct vsmmu_config
 * @VSMMU_CONFIG_CLEAN: The guest reads the register file through a memory slot, and
 *	the host lacks FEAT_S2FWB or may lack it. The guest's loads then bypass the
 *	caches, so the library cleans each line to memory after a change
 * @VSMMU_CONFIG_CHANGE_PROCESS: @accel_fd is the virtual SMMU of a process that this
 *	one replaces. Take it over as it is, for vsmmu_resume()
 */
enum vsmmu_config_flags {
	VSMMU_CONFIG_CLEAN = 1 << 0,
	VSMMU_CONFIG_CHANGE_PROCESS = 1 << 1,
};

/**
 * struct vsmmu_config - What vsmmu_new() needs
 * @size: sizeof(struct vsmmu_config). VSMMU_CONFIG_INIT, an initializer for C, and
 *	vsmmu_config_init() set it: start with one of them
 * @flags: Combination of enum vsmmu_config_flags
 * @accel_fd: An open /dev/smmuv3-accel, which still belongs to the VMM; -1: the
 *	library opens one, and vsmmu_free() closes it
 * @iommufd: The VMM's iommufd. With %VSMMU_CONFIG_CHANGE_PROCESS it is the one that
 *	the virtual SMMU was created with, as this process has it
 * @ioas_id: The IOAS that holds the guest's physical address space; 0: none, so
 *	vsmmu_probe() and vsmmu_attach() name the stage-2 parents
 * @create_flags: Flags of SMMUV3_ACCEL_CREATE. @feed adds SMMUV3_ACCEL_CREATE_FEED;
 *	a VMM that caches no translations may set that flag without @feed
 * @region_num: How many regions @regions has
 * @regions: The guest's memory, as for vsmmu_set_memory()
 * @regs: Where to keep the register file: %VSMMU_REGS_SIZE bytes, aligned to
 *	%VSMMU_PAGE_SIZE; NULL: the library maps memory for it
 * @raise: Called for an edge of an interrupt line that has no eventfd; may be NULL
 * @feed: Called for commands that concern emulated endpoints; NULL if the VMM has no
 *	such endpoint, or caches nothing for them
 * @cmd_error: Called for a command of the guest that is in error; may be NULL
 * @opaque: First argument of @raise, @feed, @cmd_error and @msi
 * @kernel: NULL: the kernel
 * @kernel_data: First argument of the functions of @kernel
 * @msi: Called for an MSI to an address that is no memory that the guest can write,
 *	for instance of its interrupt controller: @data is what the SMMU writes there.
 *	NULL: such a write aborts, and the guest finds that in SMMU_GERROR
 *
 * The library calls @raise, @cmd_error and @msi without a mutex of its own, so
 * they may call the library. A call that runs the command queue makes these callbacks
 * after each SMMUV3_ACCEL_RUN_CMDQ. One that a callback makes calls @raise only when it
 * ends. @cmd_error is for a log: the guest finds its error in
 * SMMU_CMDQ_CONS and SMMU_GERROR without it. A guest can cause as many such calls as
 * it likes.
 *
 * vsmmu_read(), vsmmu_set_prod() and vsmmu_get_counters() call none of these, so the VMM
 * may hold a lock that they take.
 *
 * One call at a time passes MSIs to @msi, so they come in order. Other calls do not wait
 * for it. If they find no room for the MSIs of more commands, they return -EAGAIN, also
 * those that @msi makes. vsmmu_reset() and vsmmu_restore() drop the MSIs that are left.
 *
 * @feed gets the commands that SMMUV3_ACCEL_RUN_CMDQ writes to feed_uptr, @num of
 * them in the guest's order. The host has done them, and CONS does not show it yet.
 * When @feed returns, the guest may take them as done. From then on no access of an
 * emulated endpoint may use what they invalidate, and no walk that is under way may
 * put it back. With @flush, that holds for everything cached: there were more
 * commands than @cmds or, with @num 0, the registers were reset, restored or resumed.
 * The same commands may come again.
 *
 * The library calls @feed with its mutex of the registers held, from any call that can
 * run the command queue. @feed may call vsmmu_fd() and vsmmu_page() for this virtual SMMU and make
 * ioctls on that descriptor, for instance SMMUV3_ACCEL_GET_STREAM. It must not take a
 * lock that another thread holds while that thread calls the library for this virtual
 * SMMU, nor wait for such a thread. So a walk reads the registers before it takes the
 * IOTLB's lock. @cmds is only valid until @feed returns.
 */
struct vsmmu_config {
	size_t size;
	uint32_t flags;
	int accel_fd;
	int iommufd;
	uint32_t ioas_id;
	uint32_t create_flags;
	uint32_t region_num;
	const struct vsmmu_region *regions;
	void *regs;
	void (*raise)(void *opaque, enum vsmmu_irq line);
	void (*feed)(void *opaque, const struct vsmmu_cmd *cmds, uint32_t num,
		     bool flush);
	void (*cmd_error)(void *opaque, const struct vsmmu_cmd_error *error);
	void *opaque;
	const struct vsmmu_kernel *kernel;
	void *kernel_data;
	void (*msi)(void *opaque, uint64_t address, uint32_t data);
};

#ifndef __cplusplus
#define VSMMU_CONFIG_INIT						\
	{ .size = sizeof(struct vsmmu_config), .accel_fd = -1, .iommufd = -1 }
#endif

/**
 * enum vsmmu_option_flags - Flags of struct vsmmu_options
 * @VSMMU_OPT_NO_RIL: Do not offer range invalidation
 * @VSMMU_OPT_ATS: Offer ATS if all physical SMMUs have it. For a VMM that also shows
 *	the ATS capabilities of its devices to the guest
 * @VSMMU_OPT_LINEAR: Do not offer 2-level stream tables
 * @VSMMU_OPT_RESET_ABORT: Out of reset SMMU_GBPA.ABORT is 1, so DMA is aborted until
 *	the guest enables the SMMU. Without it DMA bypasses stage 1, as a firmware
 *	without a driver for the SMMU expects
 * @VSMMU_OPT_MSI: Offer message-signaled interrupts (SMMU_IDR0.MSI): for a CMD_SYNC,
 *	the event queue and errors. For drivers that wait for the MSI of a CMD_SYNC in
 *	memory. A VMM that connects its interrupt controller sets @msi of struct
 *	vsmmu_config
 * @VSMMU_OPT_IDR: Offer @idr as it is, for instance what another host offered to a
 *	guest that is migrated
 */
enum vsmmu_option_flags {
	VSMMU_OPT_NO_RIL = 1 << 0,
	VSMMU_OPT_ATS = 1 << 1,
	VSMMU_OPT_LINEAR = 1 << 2,
	VSMMU_OPT_RESET_ABORT = 1 << 3,
	VSMMU_OPT_IDR = 1 << 4,
	VSMMU_OPT_MSI = 1 << 5,
};

/**
 * struct vsmmu_options - What to offer to the guest; 0 is a sane default
 * @flags: Combination of enum vsmmu_option_flags
 * @oas: Most bits of an output address: 32, 36, 40, 42, 44, 48 or 52; 0: as many as
 *	the physical SMMUs have
 * @sid_bits: Most bits of a StreamID, up to 31; 0: 16, as many as a PCI segment needs
 * @ssid_bits: Most bits of a SubstreamID, up to 20; 0: no substreams
 * @cmdq_bits: log2 of the largest command queue, up to 19; 0: 12, which are 64 KiB.
 *	Linux wants 7
 * @eventq_bits: log2 of the largest event queue, up to 19; 0: 11, which are 64 KiB
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR. With %VSMMU_OPT_IDR it is offered as it is, so for a guest that is
 *	migrated it comes from the state. Else 0 means SMMUv3.1 if SMMU_IDR3.HAD is
 *	offered, and SMMUv3.0 if not
 * @idr: SMMU_IDR0 to SMMU_IDR5, with %VSMMU_OPT_IDR
 */
struct vsmmu_options {
	uint32_t flags;
	uint8_t oas;
	uint8_t sid_bits;
	uint8_t ssid_bits;
	uint8_t cmdq_bits;
	uint8_t eventq_bits;
	uint32_t iidr;
	uint32_t aidr;
	uint32_t idr[6];
};

#define VSMMU_STATE_VERSION	2

/**
 * struct vsmmu_state - What to keep of a virtual SMMU whose guest is stopped
 * @version: %VSMMU_STATE_VERSION
 * @reserved: 0
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR
 * @cr0: SMMU_CR0
 * @cr0ack: SMMU_CR0ACK
 * @cr1: SMMU_CR1
 * @cr2: SMMU_CR2
 * @gbpa: SMMU_GBPA
 * @irq_ctrl: SMMU_IRQ_CTRL
 * @gerror: SMMU_GERROR
 * @gerrorn: SMMU_GERRORN
 * @strtab_base: SMMU_STRTAB_BASE
 * @strtab_base_cfg: SMMU_STRTAB_BASE_CFG
 * @cmdq_prod: SMMU_CMDQ_PROD
 * @cmdq_base: SMMU_CMDQ_BASE
 * @cmdq_cons: SMMU_CMDQ_CONS
 * @eventq_prod: SMMU_EVENTQ_PROD
 * @eventq_base: SMMU_EVENTQ_BASE
 * @eventq_cons: SMMU_EVENTQ_CONS
 * @reserved2: 0
 * @gerror_irq_cfg0: SMMU_GERROR_IRQ_CFG0
 * @gerror_irq_cfg1: SMMU_GERROR_IRQ_CFG1
 * @gerror_irq_cfg2: SMMU_GERROR_IRQ_CFG2
 * @eventq_irq_cfg0: SMMU_EVENTQ_IRQ_CFG0
 * @eventq_irq_cfg1: SMMU_EVENTQ_IRQ_CFG1
 * @eventq_irq_cfg2: SMMU_EVENTQ_IRQ_CFG2
 *
 * A state of version 1 ends before @gerror_irq_cfg0. It is accepted with 0 in what
 * follows, and restored without bits of @cmdq_cons and @eventq_prod above the wrap bit of
 * the queue, which have no effect. CPU-endian and without padding. It can be sent as it is
 * to a host of the same endianness.
 */
struct vsmmu_state {
	uint32_t version;
	uint32_t reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
	uint32_t cr0;
	uint32_t cr0ack;
	uint32_t cr1;
	uint32_t cr2;
	uint32_t gbpa;
	uint32_t irq_ctrl;
	uint32_t gerror;
	uint32_t gerrorn;
	uint64_t strtab_base;
	uint32_t strtab_base_cfg;
	uint32_t cmdq_prod;
	uint64_t cmdq_base;
	uint32_t cmdq_cons;
	uint32_t eventq_prod;
	uint64_t eventq_base;
	uint32_t eventq_cons;
	uint32_t reserved2;
	uint64_t gerror_irq_cfg0;
	uint32_t gerror_irq_cfg1;
	uint32_t gerror_irq_cfg2;
	uint64_t eventq_irq_cfg0;
	uint32_t eventq_irq_cfg1;
	uint32_t eventq_irq_cfg2;
};

/**
 * struct vsmmu_counters - What a virtual SMMU did since vsmmu_new()
 * @doorbells: Writes of SMMU_CMDQ_PROD that made the command queue run
 * @runs: Calls of SMMUV3_ACCEL_RUN_CMDQ, also those that failed
 * @cmds: Commands by which CONS moved
 * @retries: How often the library returned -EAGAIN for the host
 *
 * SMMUV3_ACCEL_GET_STATS of vsmmu_fd() has what the kernel counts.
 */
struct vsmmu_counters {
	uint64_t doorbells;
	uint64_t runs;
	uint64_t cmds;
	uint64_t retries;
};

#ifdef __cplusplus
}
#endif

#endif
