/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * libvsmmu: the register front end of a virtual SMMUv3, on top of
 * /dev/smmuv3-accel in table mode. See Documentation/userspace-api/libvsmmu.rst.
 *
 * Functions that return an int return 0 or more, or a negative errno. Those on
 * one vSMMU may be called from any thread but vsmmu_free(): each takes the
 * vSMMU's mutex, but for vsmmu_fd(), vsmmu_page() and vsmmu_last_error(). The
 * callbacks for interrupts and for command errors are made without it, so they may
 * call the library; that for the feed is made with it, and may not.
 *
 * The errno -EAGAIN has one meaning throughout: the host could not do it just
 * now, nothing is lost, and vsmmu_kick() tries again.
 */
#ifndef _VSMMU_H
#define _VSMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <linux/smmuv3_accel.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of this header. A new major version may change what exists. A new
 * minor version only adds: functions, flags, reasons, and fields at the end of
 * structs, for which zero means what was before. So a program that sets structs by
 * the names of their fields compiles with all later headers of the major version.
 * Header and library have to be of one version, as for any static library.
 */
#define VSMMU_VERSION_MAJOR	1
#define VSMMU_VERSION_MINOR	0
#define VSMMU_VERSION		(VSMMU_VERSION_MAJOR << 16 | VSMMU_VERSION_MINOR)

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
 *	SMMU. Set accel_fd to the descriptor from the process before.
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
};

/**
 * struct vsmmu_error - A failure
 * @error: Its negative errno; 0: nothing has failed yet
 * @request: The ioctl that failed, for instance SMMUV3_ACCEL_SET_REGS; 0: the
 *	library failed or refused by itself
 * @reason: One of enum smmuv3_accel_reason or enum vsmmu_reason
 * @vsid: The stream that it is about, if there is one: that of the call, or
 *	the one because of which SMMUV3_ACCEL_SET_REGS, SMMUV3_ACCEL_RUN_CMDQ or
 *	SMMUV3_ACCEL_SET_VSIDS failed. Else 0
 * @bad_region: Index of the memory region that is refused, if @reason is one of
 *	the REGION_* reasons
 * @bad_idr: For each of SMMU_IDR0 to SMMU_IDR5 the fields that are refused, if
 *	@reason is IDR_ILLEGAL, IDR_HOST or IDR_OFFERED
 */
struct vsmmu_error {
	int error;
	unsigned long request;
	uint32_t reason;
	uint32_t vsid;
	uint32_t bad_region;
	uint32_t bad_idr[6];
};

/**
 * struct vsmmu_cmd - A command of the guest's
 * @dw: its doublewords, in the architecture's layout (Arm IHI 0070, chapter 4)
 */
struct vsmmu_cmd {
	uint64_t dw[2];
};

/**
 * struct vsmmu_cmd_error - A command of the guest's that is in error
 * @cerror: What SMMU_CMDQ_CONS.ERR says: one of enum smmuv3_accel_cerror
 * @reason: Why, more exactly: one of enum smmuv3_accel_reason
 * @index: Where it is in the queue, without the wrap bit
 * @reserved: 0
 * @cmd: Its doublewords. 0 if the queue is not in memory. The guest may have changed
 *	them since
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
 * @VSMMU_REGION_READONLY: The guest can only read it, for instance a ROM, and
 *	the VMM may have it mapped without PROT_WRITE
 */
enum vsmmu_region_flags {
	VSMMU_REGION_READONLY = 1 << 0,
};

/**
 * struct vsmmu_region - Some of the guest's memory
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
 * @VSMMU_FD_UNKNOWN: It cannot be told, for instance without /proc
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
 * @identify: What a descriptor is: one of enum vsmmu_fd_kind
 * @clean: Clean a line of the register file to the point of coherency
 *
 * For tests, which put something else under the library. All return a negative
 * errno where they fail.
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
 * @VSMMU_CONFIG_CLEAN: The guest reads the register file by a memory slot, and
 *	the host has no FEAT_S2FWB, or may have none: clean each line to memory
 *	after it has changed, because the guest's loads go past the caches
 * @VSMMU_CONFIG_CHANGE_PROCESS: @accel_fd is a vSMMU already, of a process that
 *	this one replaces: take it over as it is, for vsmmu_resume()
 */
enum vsmmu_config_flags {
	VSMMU_CONFIG_CLEAN = 1 << 0,
	VSMMU_CONFIG_CHANGE_PROCESS = 1 << 1,
};

/**
 * struct vsmmu_config - How to make a vSMMU
 * @size: sizeof(struct vsmmu_config). Set by VSMMU_CONFIG_INIT, which initializes a
 *	variable in C, and by vsmmu_config_init(): start with one of them
 * @flags: Combination of enum vsmmu_config_flags
 * @accel_fd: An open /dev/smmuv3-accel that goes on belonging to the VMM; -1:
 *	the library opens one, and closes it in vsmmu_free()
 * @iommufd: The VMM's iommufd. With %VSMMU_CONFIG_CHANGE_PROCESS this process
 *	has to have it too: the one that the vSMMU was created with
 * @ioas_id: The IOAS that holds the guest's physical address space
 * @create_flags: Flags of SMMUV3_ACCEL_CREATE. @feed adds
 *	SMMUV3_ACCEL_CREATE_FEED; a VMM that caches no translations may
 *	set that itself and do without
 * @region_num: How many regions @regions has
 * @regions: The guest's memory, as for vsmmu_set_memory()
 * @regs: Where to keep the register file: %VSMMU_REGS_SIZE bytes, aligned to
 *	%VSMMU_PAGE_SIZE; NULL: the library maps memory for it
 * @raise: Called for an edge of an interrupt line that has no eventfd, may be
 *	NULL
 * @feed: Called for commands that concern the VMM's emulated endpoints; NULL: it
 *	has none, or caches nothing for them
 * @cmd_error: Called for a command of the guest's that is in error, for the VMM's log;
 *	may be NULL
 * @opaque: For @raise, @feed and @cmd_error
 * @kernel: NULL: the kernel
 * @kernel_data: For @kernel
 *
 * @feed gets the commands that SMMUV3_ACCEL_RUN_CMDQ writes to feed_uptr, @num of
 * them in the guest's order, when the host has done them and before CONS shows
 * it. When it returns, the guest may take them as done: no access of an emulated
 * endpoint's may use any more what they invalidate, and no walk that is under way
 * may put it back. With @flush that goes for all that is cached: there were more
 * commands than @cmds or, with @num 0, the registers are reset, restored or
 * resumed. The same commands may come again.
 *
 * It is called with the vSMMU's mutex held, from any call that can run the command
 * queue. Of the library it may call vsmmu_fd() and vsmmu_page() for this vSMMU; it
 * may make ioctls on that descriptor, for instance SMMUV3_ACCEL_GET_STREAM. It may
 * take no lock that another thread holds while it calls the library for this vSMMU,
 * nor wait for a thread that does: a device that walks the tables reads the
 * registers before it takes its IOTLB's lock. @cmds is the library's, and means
 * nothing when the function has returned.
 *
 * @cmd_error is for a person who looks for the fault. The guest has its error without
 * it: in SMMU_CMDQ_CONS and SMMU_GERROR. Like @raise it is called without the mutex,
 * so it may call the library. A guest can have it called as often as it likes.
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
};

#ifndef __cplusplus
#define VSMMU_CONFIG_INIT						\
	{ .size = sizeof(struct vsmmu_config), .accel_fd = -1, .iommufd = -1 }
#endif

/**
 * vsmmu_config_init() - Set a config to what VSMMU_CONFIG_INIT is
 * @config: the config
 */
static inline void vsmmu_config_init(struct vsmmu_config *config)
{
	memset(config, 0, sizeof(*config));
	config->size = sizeof(*config);
	config->accel_fd = -1;
	config->iommufd = -1;
}

/**
 * enum vsmmu_option_flags - Flags of struct vsmmu_options
 * @VSMMU_OPT_NO_RIL: Do not offer range invalidation
 * @VSMMU_OPT_ATS: Offer ATS, where all physical SMMUs have it; for a VMM that
 *	also shows its devices' ATS capabilities to the guest
 * @VSMMU_OPT_LINEAR: Do not offer 2-level stream tables
 * @VSMMU_OPT_RESET_ABORT: Out of reset SMMU_GBPA.ABORT is 1: DMA is aborted
 *	until the guest enables the SMMU. Else it bypasses stage 1, as a firmware
 *	without a driver for the SMMU expects
 * @VSMMU_OPT_IDR: Offer @idr as it is, for instance what a vSMMU whose state is
 *	to be restored offered
 */
enum vsmmu_option_flags {
	VSMMU_OPT_NO_RIL = 1 << 0,
	VSMMU_OPT_ATS = 1 << 1,
	VSMMU_OPT_LINEAR = 1 << 2,
	VSMMU_OPT_RESET_ABORT = 1 << 3,
	VSMMU_OPT_IDR = 1 << 4,
};

/**
 * struct vsmmu_options - What to offer to the guest; 0 is a sane default
 * @flags: Combination of enum vsmmu_option_flags
 * @oas: Most bits of an output address: 32, 36, 40, 42, 44, 48, 52; 0: as many
 *	as the host has
 * @sid_bits: Most bits of a StreamID, up to 31; 0: 16, as many as a PCI segment needs
 * @ssid_bits: Most bits of a SubstreamID; 0: no substreams
 * @cmdq_bits: log2 of the largest command queue, up to 19; 0: 19. Linux wants 7
 * @eventq_bits: log2 of the largest event queue, up to 19; 0: 19
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR; 0: SMMUv3.2 with range invalidation, else SMMUv3.0
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

#define VSMMU_STATE_VERSION	1

/**
 * struct vsmmu_state - All that has to be kept of a vSMMU whose guest is stopped
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
 *
 * CPU-endian, without padding: it can be sent as it is to a host of the same
 * endianness.
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
};

/**
 * struct vsmmu_counters - What a vSMMU did since vsmmu_new()
 * @doorbells: Writes of SMMU_CMDQ_PROD that made the command queue run
 * @runs: Calls of SMMUV3_ACCEL_RUN_CMDQ, whatever came of them
 * @cmds: Commands by which CONS moved
 * @retries: How often the host could not just now: -EAGAIN
 *
 * SMMUV3_ACCEL_GET_STATS of vsmmu_fd() has what the kernel counts.
 */
struct vsmmu_counters {
	uint64_t doorbells;
	uint64_t runs;
	uint64_t cmds;
	uint64_t retries;
};

/* Making one, in this order */

/**
 * vsmmu_new() - Make a vSMMU
 * @config: how
 * @out: set to the vSMMU, or NULL
 * @error: set where it fails; may be NULL
 *
 * Opens /dev/smmuv3-accel, binds it to the iommufd (SMMUV3_ACCEL_CREATE) and
 * tells it where the guest's memory is. All that the library ever allocates, it
 * allocates here.
 *
 * With %VSMMU_CONFIG_CHANGE_PROCESS the open file is given, and taken over
 * (SMMUV3_ACCEL_CHANGE_PROCESS) instead of bound. @iommufd of @config shows that
 * this process may act on the iommufd: it is refused if it is another one.
 * @ioas_id and @create_flags are ignored, because the vSMMU has them already. DMA
 * goes on.
 *
 * @config is checked before anything is done. If only SMMUV3_ACCEL_SET_MEM_TABLE
 * fails, for instance because regions overlap, the vSMMU belongs to this process
 * already, without memory.
 *
 * Return: 0; -EINVAL: @config has no such flag, asks for %VSMMU_CONFIG_CHANGE_PROCESS
 * without @accel_fd or @iommufd, or has regions that vsmmu_set_memory() refuses; or
 * the errno of what failed.
 */
int vsmmu_new(const struct vsmmu_config *config, struct vsmmu **out,
	      struct vsmmu_error *error);

/**
 * vsmmu_probe() - Learn what the physical SMMU behind a device has
 * @v: the vSMMU, not started
 * @vfio_fd: the device's cdev, bound to the iommufd
 * @s2_hwpt_id: as for vsmmu_attach()
 *
 * Attaches the device and detaches it again; its DMA is blocked from here on. To
 * be called for a device behind each physical SMMU that the guest may come to
 * use: what vsmmu_start() offers by default is what all of these have.
 *
 * Return: 0, or the errno of SMMUV3_ACCEL_ATTACH.
 */
int vsmmu_probe(struct vsmmu *v, int vfio_fd, uint32_t s2_hwpt_id);

/**
 * vsmmu_default_idr() - The ID registers that vsmmu_start() would offer
 * @v: the vSMMU
 * @options: the VMM's wishes; NULL: none
 * @idr: set to SMMU_IDR0 to SMMU_IDR5
 *
 * Return: 0; -EINVAL: an option has no such value; -ENODEV: no physical SMMU is
 * known; -EOPNOTSUPP: those that are have nothing in common.
 */
int vsmmu_default_idr(struct vsmmu *v, const struct vsmmu_options *options,
		      uint32_t idr[6]);

/**
 * vsmmu_start() - Fix what the guest is offered, and come out of reset
 * @v: the vSMMU, without streams
 * @options: the VMM's wishes; NULL: none
 *
 * Return: 0; as vsmmu_default_idr(); -EBUSY: it is started already; or the errno
 * of SMMUV3_ACCEL_SET_IDR.
 */
int vsmmu_start(struct vsmmu *v, const struct vsmmu_options *options);

/**
 * vsmmu_attach() - Put a device behind the vSMMU
 * @v: the vSMMU, started
 * @vfio_fd: the device's cdev, bound to the iommufd; -1 for a bridge or an endpoint
 *	that the VMM emulates
 * @vsid: the StreamID under which the guest knows it; with SMMUV3_ACCEL_VSID_UNSET a
 *	name, by which the other functions know the stream until vsmmu_set_vsids()
 * @flags: of SMMUV3_ACCEL_ATTACH
 * @s2_hwpt_id: a stage-2 parent for the device's SMMU, as for SMMUV3_ACCEL_ATTACH;
 *	0: the one in use there, else one that the module allocates
 * @info: set to the IDs of the iommufd's objects; may be NULL
 *
 * At any time. What the guest's registers and stream table say is in force for
 * the device at once. With SMMUV3_ACCEL_ATTACH_DRY_RUN nothing is attached: the call
 * says whether it would succeed.
 *
 * Return: 0; -ENXIO: not started; -ENOSPC: too many streams; or the errno of
 * SMMUV3_ACCEL_ATTACH.
 */
int vsmmu_attach(struct vsmmu *v, int vfio_fd, uint32_t vsid, uint32_t flags,
		 uint32_t s2_hwpt_id, struct smmuv3_accel_attach *info);

/**
 * vsmmu_detach() - Take a device away; its DMA is blocked
 * @v: the vSMMU
 * @vsid: its StreamID or name
 *
 * Return: 0, or the errno of SMMUV3_ACCEL_DETACH.
 */
int vsmmu_detach(struct vsmmu *v, uint32_t vsid);

/**
 * vsmmu_set_vsids() - Set or change StreamIDs, when the guest numbers its buses
 * @v: the vSMMU, started
 * @entries: old and new StreamIDs; all change at once, so two streams can swap
 * @num: how many
 *
 * The guest's STEs are in force for the streams under their new StreamIDs at once.
 *
 * If the call fails because a stream could not be given what it needs, the new
 * StreamIDs are set, and the DMA of that stream is blocked: vsmmu_last_error() has
 * its new StreamID. Repeat the call with the new StreamIDs on both sides. After any
 * other failure nothing has changed.
 *
 * Return: 0; -ENXIO: not started; or the errno of SMMUV3_ACCEL_SET_VSIDS.
 */
int vsmmu_set_vsids(struct vsmmu *v, const struct smmuv3_accel_vsid *entries,
		    uint32_t num);

/**
 * vsmmu_set_memory() - Say where the guest's memory is
 * @v: the vSMMU
 * @regions: its regions, which are copied
 * @num: how many, up to %VSMMU_MAX_REGIONS
 *
 * Replaces what was said before; on failure that stays. What is removed has to
 * stay mapped until this returns.
 *
 * The module reads the stream table and the command queue from any region. The
 * library writes the event queue, and nothing else: to a region without
 * %VSMMU_REGION_READONLY, which must be mapped writable. An event queue in any
 * other place is not written; the guest gets GERROR.EVENTQ_ABT_ERR.
 *
 * Return: 0; -EINVAL: too many regions, or an unknown flag; else as
 * SMMUV3_ACCEL_SET_MEM_TABLE.
 */
int vsmmu_set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		     uint32_t num);

/**
 * vsmmu_set_irqfd() - Have an eventfd written for each edge of a line
 * @v: the vSMMU
 * @line: the line
 * @fd: the eventfd, another for each line; it goes on belonging to the VMM and should
 *	not block; -1: call the VMM's function instead
 *
 * Return: 0; -EBADF: @fd is not open; -EINVAL: there is no such line, or @fd is no
 * eventfd; -EEXIST: another line has it. Whether it is an eventfd is not checked
 * without /proc.
 */
int vsmmu_set_irqfd(struct vsmmu *v, enum vsmmu_irq line, int fd);

/**
 * vsmmu_free() - Unmake a vSMMU
 * @v: the vSMMU, or NULL; nobody else may use it any more, and the register file
 *	that the library mapped must not be in a memory slot
 *
 * If the library opened /dev/smmuv3-accel, and no other process has it too, DMA
 * of all its devices is blocked.
 */
void vsmmu_free(struct vsmmu *v);

/* The guest's accesses */

/**
 * vsmmu_read() - The guest reads a register
 * @v: the vSMMU
 * @offset: from the start of page 0
 * @value: set to the value, 0 where there is none
 * @size: of the access, in bytes
 *
 * Return: 0, or -EINVAL: there is no access of that size there.
 */
int vsmmu_read(struct vsmmu *v, uint64_t offset, uint64_t *value, unsigned int size);

/**
 * vsmmu_write() - The guest writes a register
 * @v: the vSMMU
 * @offset: from the start of page 0
 * @value: the value
 * @size: of the access, in bytes
 *
 * Carries out what follows from it, and whatever was not possible earlier.
 *
 * Return: 0; -EINVAL: there is no access of that size there, so nothing was
 * done; -EAGAIN: the host cannot now, so vsmmu_kick() is to be called in a
 * while; -EIO: it does not, for a reason that vsmmu_last_error() has. In both of
 * the last cases the register has its value, the guest sees that the change is
 * under way, and nothing is lost: each later write and vsmmu_kick() try again.
 */
int vsmmu_write(struct vsmmu *v, uint64_t offset, uint64_t value, unsigned int size);

/**
 * vsmmu_doorbell() - The guest wrote SMMU_CMDQ_PROD
 * @v: the vSMMU
 * @prod: the value
 *
 * For a VMM that has got it without an exit, by coalesced MMIO.
 *
 * Return: as vsmmu_write().
 */
int vsmmu_doorbell(struct vsmmu *v, uint32_t prod);

/**
 * vsmmu_kick() - Try again what was not possible earlier
 * @v: the vSMMU
 *
 * Return: 0: nothing is left; else as vsmmu_write().
 */
int vsmmu_kick(struct vsmmu *v);

/**
 * vsmmu_page() - Where a page of the register file is
 * @v: the vSMMU
 * @page: 0 or 1
 *
 * It has the current value of each register at its offset, for a memory slot
 * that the guest can only read.
 *
 * Return: its address, aligned to %VSMMU_PAGE_SIZE, or NULL.
 */
void *vsmmu_page(struct vsmmu *v, unsigned int page);

/* Events */

/**
 * vsmmu_add_veventq() - Take events from a vEVENTQ
 * @v: the vSMMU
 * @fd: of the vEVENTQ of a physical SMMU's vIOMMU. It is still the VMM's to close,
 *	after vsmmu_remove_veventq()
 *
 * Return: 0; -EBADF: @fd is not open; -EINVAL: it is no vEVENTQ, which is not checked
 * without /proc; -EEXIST: it was added already; -ENOSPC: there are
 * %VSMMU_MAX_VEVENTQS.
 */
int vsmmu_add_veventq(struct vsmmu *v, int fd);

/**
 * vsmmu_remove_veventq() - Do not take events from there any more
 * @v: the vSMMU
 * @fd: the vEVENTQ
 *
 * Return: 0, or -ENOENT.
 */
int vsmmu_remove_veventq(struct vsmmu *v, int fd);

/**
 * vsmmu_poll_events() - Move events to the guest's queue
 * @v: the vSMMU
 *
 * To be called when a vEVENTQ is readable. Takes a bounded number at a time.
 *
 * Return: how many records were read, or the errno of the first vEVENTQ that
 * cannot be read; the others have been read nevertheless.
 */
int vsmmu_poll_events(struct vsmmu *v);

/**
 * vsmmu_inject_event() - Put an event record into the guest's queue
 * @v: the vSMMU
 * @event: the record, in the architecture's layout
 *
 * Return: 0. Whether it was recorded or lost is for the guest to see.
 */
int vsmmu_inject_event(struct vsmmu *v, const uint64_t event[4]);

/* The machine's life */

/**
 * vsmmu_reset() - The guest's machine is reset
 * @v: the vSMMU
 *
 * Return: 0, or as vsmmu_write(); the registers are reset in any case.
 */
int vsmmu_reset(struct vsmmu *v);

/**
 * vsmmu_save() - Save the registers
 * @v: the vSMMU; the guest is stopped, no other thread is in a call, and
 *	vsmmu_poll_events() was called
 * @state: set to them
 *
 * Return: 0, or -ENXIO: not started.
 */
int vsmmu_save(struct vsmmu *v, struct vsmmu_state *state);

/**
 * vsmmu_restore() - Restore the registers
 * @v: the vSMMU, started with the same ID registers; guest memory is restored
 * @state: from anywhere: it is checked
 *
 * Return: 0; -EINVAL: no such vSMMU can be in that state, so nothing was done;
 * -ENXIO: not started; else as vsmmu_write(), with the state restored.
 */
int vsmmu_restore(struct vsmmu *v, const struct vsmmu_state *state);

/**
 * vsmmu_resume() - Go on where the process before stopped, for a live update
 * @v: the vSMMU, of %VSMMU_CONFIG_CHANGE_PROCESS, not started
 * @options: as they were for vsmmu_start(); only %VSMMU_OPT_RESET_ABORT matters,
 *	as @state has the ID registers; NULL: none
 * @state: of vsmmu_save() in the process before, where no vsmmu_reset() is left
 *	that the host could not do
 * @vsids: the attached streams, which are copied
 * @num: how many
 *
 * In place of vsmmu_start(), vsmmu_attach() and vsmmu_restore(): nothing is reset,
 * and DMA goes on. Runs what is left in the command queue.
 *
 * Return: 0; -EINVAL: not a vSMMU that was taken over, or no vSMMU can be in that
 * state; -EBUSY: it is started already; -ENOSPC: too many streams; and nothing was
 * done. Else as vsmmu_write(), with the state resumed.
 */
int vsmmu_resume(struct vsmmu *v, const struct vsmmu_options *options,
		 const struct vsmmu_state *state, const uint32_t *vsids, uint32_t num);

/* Asking */

/**
 * vsmmu_version() - The version of the library
 *
 * Return: VSMMU_VERSION of the header that it was compiled with.
 */
uint32_t vsmmu_version(void);

/**
 * vsmmu_fd() - The open /dev/smmuv3-accel, for instance for GET_STATS
 * @v: the vSMMU
 *
 * Return: the descriptor.
 */
int vsmmu_fd(struct vsmmu *v);

/**
 * vsmmu_get_counters() - What the library counted
 * @v: the vSMMU
 * @counters: set to it
 */
void vsmmu_get_counters(struct vsmmu *v, struct vsmmu_counters *counters);

/**
 * vsmmu_last_error() - What failed last in this thread
 * @v: the vSMMU
 * @error: set to the last failure of a call that the calling thread made; zeroed if
 *	there was none, or if it was a call for another vSMMU
 *
 * As with errno, a call that succeeds changes nothing. Threads do not see each
 * other's failures. What fails in a callback's own calls is forgotten when the
 * callback returns.
 */
void vsmmu_last_error(struct vsmmu *v, struct vsmmu_error *error);

/**
 * vsmmu_reason_string() - A reason in words
 * @reason: one of enum smmuv3_accel_reason or enum vsmmu_reason
 *
 * Return: one sentence or more, constant.
 */
const char *vsmmu_reason_string(uint32_t reason);

/**
 * vsmmu_strerror() - A failure in words
 * @error: the failure
 * @buf: where to put them
 * @len: how much room there is; 512 bytes suffice
 *
 * The text has the ioctl, the refused fields of ID registers by name or the refused
 * memory region, the reason and the errno. Field names that do not fit are left
 * out, and "..." stands for them.
 *
 * Return: @buf.
 */
const char *vsmmu_strerror(const struct vsmmu_error *error, char *buf,
			   size_t len);

/**
 * vsmmu_compute_idr() - How vsmmu_default_idr() computes
 * @phys: physical SMMUs
 * @num: how many
 * @options: the VMM's wishes
 * @idr: set to SMMU_IDR0 to SMMU_IDR5
 *
 * Return: as vsmmu_default_idr().
 */
int vsmmu_compute_idr(const struct smmuv3_accel_phys *phys, uint32_t num,
		      const struct vsmmu_options *options, uint32_t idr[6]);

#ifdef __cplusplus
}
#endif

#endif
