/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * libvsmmu: the register front end of a virtual SMMUv3, on top of
 * /dev/smmuv3-accel in table mode. See Documentation/userspace-api/libvsmmu.rst and
 * vsmmu(7).
 *
 * Functions that return an int return 0 or more, or a negative errno. Any thread may
 * call any function on a virtual SMMU. While one of them runs the command queue, others
 * read registers, ring, take events, attach and detach devices without waiting for it.
 * vsmmu_free() comes last.
 *
 * -EAGAIN always means: the host failed temporarily, or the VMM has yet to take earlier
 * MSIs. Nothing is lost, and vsmmu_kick() tries again. After vsmmu_start() call that
 * again instead.
 */
#ifndef _VSMMU_H
#define _VSMMU_H

#include <string.h>
#include <linux/smmuv3_accel.h>
#include "vsmmu_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of this header. A new major version may change what exists. A new
 * minor version only adds: functions, flags, reasons, and fields at the end of
 * structs, which change nothing if they are zero. So a program that sets structs by
 * the names of their fields compiles with all later headers of the major version.
 * Header and library have to be of one version, as for any static library.
 */
#define VSMMU_VERSION_MAJOR	1
#define VSMMU_VERSION_MINOR	0
#define VSMMU_VERSION		(VSMMU_VERSION_MAJOR << 16 | VSMMU_VERSION_MINOR)

/* Creating a virtual SMMU, in this order */

/**
 * vsmmu_config_init() - Set a config to VSMMU_CONFIG_INIT
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
 * vsmmu_new() - Create a virtual SMMU
 * @config: what it needs
 * @out: set to the virtual SMMU, or NULL
 * @error: set to the failure; zeroed if there is none; may be NULL
 *
 * Opens /dev/smmuv3-accel, binds it to the iommufd (SMMUV3_ACCEL_CREATE) and tells it
 * where the guest's memory is. The library allocates memory here and nowhere else.
 *
 * With %VSMMU_CONFIG_CHANGE_PROCESS the library takes the open file over
 * (SMMUV3_ACCEL_CHANGE_PROCESS) instead of binding it. @iommufd of @config proves that
 * this process may act on the iommufd, so another one is refused. The library ignores
 * @ioas_id and @create_flags, because the virtual SMMU has them already. DMA goes on.
 *
 * The library checks @config before it does anything. If only
 * SMMUV3_ACCEL_SET_MEM_TABLE fails after a take-over, for instance because regions
 * overlap, the virtual SMMU belongs to this process already, without memory.
 *
 * Return: 0; -EINVAL: the library refuses @config; -ENOMEM; or the errno of what
 * failed.
 */
int vsmmu_new(const struct vsmmu_config *config, struct vsmmu **out,
	      struct vsmmu_error *error);

/**
 * vsmmu_probe() - Learn what the physical SMMU behind a device has
 * @v: the virtual SMMU, not started
 * @vfio_fd: the device's cdev, bound to the iommufd
 * @s2_hwpt_id: as for vsmmu_attach(), which has to name the same one
 *
 * Attaches the device and detaches it again, which leaves its DMA blocked. Probe a
 * device behind each physical SMMU that the guest may come to use: by default
 * vsmmu_start() offers what all of these have.
 *
 * Return: 0; -EBUSY: started already; or the errno of SMMUV3_ACCEL_ATTACH.
 */
int vsmmu_probe(struct vsmmu *v, int vfio_fd, uint32_t s2_hwpt_id);

/**
 * vsmmu_default_idr() - The ID registers that vsmmu_start() would offer
 * @v: the virtual SMMU
 * @options: the VMM's wishes; NULL: none
 * @idr: set to SMMU_IDR0 to SMMU_IDR5
 *
 * Return: 0; -EINVAL: an option is out of range; -ENODEV: no physical SMMU is known;
 * -EOPNOTSUPP: the physical SMMUs have nothing in common.
 */
int vsmmu_default_idr(struct vsmmu *v, const struct vsmmu_options *options,
		      uint32_t idr[6]);

/**
 * vsmmu_start() - Fix what the guest is offered, and come out of reset
 * @v: the virtual SMMU, without streams
 * @options: the VMM's wishes; NULL: none
 *
 * Return: 0; as vsmmu_default_idr(); -EBUSY: started already; -EAGAIN or -EIO as
 * vsmmu_write(), and still not started; or the errno of SMMUV3_ACCEL_SET_IDR.
 */
int vsmmu_start(struct vsmmu *v, const struct vsmmu_options *options);

/**
 * vsmmu_attach() - Put a device behind the virtual SMMU
 * @v: the virtual SMMU, started
 * @vfio_fd: the device's cdev, bound to the iommufd; -1 for a bridge or an endpoint
 *	that the VMM emulates
 * @vsid: the StreamID under which the guest knows the device; with
 *	SMMUV3_ACCEL_VSID_UNSET a name, by which the other functions know the stream
 *	until vsmmu_set_vsids()
 * @flags: of SMMUV3_ACCEL_ATTACH
 * @s2_hwpt_id: a stage-2 parent for the device's SMMU, as for SMMUV3_ACCEL_ATTACH;
 *	0: the one in use there, else one that the module allocates from @ioas_id of
 *	struct vsmmu_config
 * @info: set to the IDs of the iommufd's objects; may be NULL
 *
 * Works at any time. The guest's registers and stream table apply to the device at
 * once. With SMMUV3_ACCEL_ATTACH_DRY_RUN the call only finds out whether it would
 * succeed, as far as the module can tell beforehand.
 *
 * Return: 0; -ENXIO: not started; -ENOSPC: too many streams; or the errno of
 * SMMUV3_ACCEL_ATTACH.
 */
int vsmmu_attach(struct vsmmu *v, int vfio_fd, uint32_t vsid, uint32_t flags,
		 uint32_t s2_hwpt_id, struct smmuv3_accel_attach *info);

/**
 * vsmmu_detach() - Take a device away, and block its DMA
 * @v: the virtual SMMU
 * @vsid: its StreamID or name
 *
 * Return: 0, or the errno of SMMUV3_ACCEL_DETACH.
 */
int vsmmu_detach(struct vsmmu *v, uint32_t vsid);

/**
 * vsmmu_set_vsids() - Set or change StreamIDs, when the guest numbers its buses
 * @v: the virtual SMMU, started
 * @entries: old and new StreamIDs. All change at once, so two streams can swap
 * @num: how many
 *
 * The guest's stream table applies to the streams under their new StreamIDs at once.
 *
 * If the call fails because the module could not set up a stream's vDEVICE or STE, the
 * new StreamIDs are set, and the DMA of that stream is blocked. vsmmu_last_error() has
 * its new StreamID. Repeat the call with the new StreamIDs on both sides. After any
 * other failure nothing has changed.
 *
 * Return: 0; -ENXIO: not started; or the errno of SMMUV3_ACCEL_SET_VSIDS.
 */
int vsmmu_set_vsids(struct vsmmu *v, const struct smmuv3_accel_vsid *entries,
		    uint32_t num);

/**
 * vsmmu_set_memory() - Say where the guest's memory is
 * @v: the virtual SMMU
 * @regions: its regions, which are copied
 * @num: how many, up to %VSMMU_MAX_REGIONS
 *
 * Replaces all regions. If it fails, the old ones stay. Memory that is removed has to
 * stay mapped until the call returns.
 *
 * The module reads the stream table and the command queue from any region. The
 * library writes event records and MSIs to regions without %VSMMU_REGION_READONLY,
 * which have to be mapped writable. It writes nothing else. If the event queue is in
 * any other place, the guest gets GERROR.EVENTQ_ABT_ERR. The library reads commands
 * that are done, and one that is in error.
 *
 * Return: 0; -EINVAL: the library or the module refuses a region; or the errno of
 * SMMUV3_ACCEL_SET_MEM_TABLE.
 */
int vsmmu_set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		     uint32_t num);

/**
 * vsmmu_set_irqfd() - Have an eventfd written for each edge of a line
 * @v: the virtual SMMU
 * @line: the line
 * @fd: the eventfd, another one for each line. It still belongs to the VMM, and
 *	should not block; -1: call @raise of struct vsmmu_config instead
 *
 * Without /proc the library cannot check that @fd is an eventfd.
 *
 * Return: 0; -EBADF: @fd is not open; -EINVAL: there is no such line, or @fd is no
 * eventfd; -EEXIST: another line has @fd.
 */
int vsmmu_set_irqfd(struct vsmmu *v, enum vsmmu_irq line, int fd);

/**
 * vsmmu_free() - Destroy a virtual SMMU
 * @v: the virtual SMMU, or NULL. No other thread may use it any more. If the library
 *	mapped the register file, no memory slot may have it any more
 *
 * If the library opened /dev/smmuv3-accel, and no other process has that file, this
 * blocks the DMA of all its devices.
 */
void vsmmu_free(struct vsmmu *v);

/* The guest's accesses */

/**
 * vsmmu_read() - The guest reads a register
 * @v: the virtual SMMU
 * @offset: from the start of page 0
 * @value: set to the value; 0 if there is no such access
 * @size: of the access, in bytes: 4 or 8
 *
 * An aligned read of 8 bytes over two 32-bit registers reads both.
 *
 * Return: 0, or -EINVAL: there is no access of that size at that offset.
 */
int vsmmu_read(struct vsmmu *v, uint64_t offset, uint64_t *value,
	       unsigned int size);

/**
 * vsmmu_write() - The guest writes a register
 * @v: the virtual SMMU
 * @offset: from the start of page 0
 * @value: the value
 * @size: of the access, in bytes: 4 or 8
 *
 * Carries out what the write asks for, and what the host failed to do earlier. An
 * aligned write of 8 bytes over two 32-bit registers acts as two writes, first of the
 * register at the lower offset.
 *
 * After -EAGAIN and -EIO the register has its new value, and to the guest the change
 * takes time, as on hardware. Nothing is lost: each later write and vsmmu_kick() try
 * again.
 *
 * If another call is running the command queue, a write of SMMU_CMDQ_PROD, SMMU_GERRORN or
 * SMMU_EVENTQ_CONS returns 0 at once, and the other call does what the write asks for. It
 * then also returns the failure, if there is one. After some batches it takes no more work,
 * and the next write waits for it.
 *
 * Return: 0; -EINVAL: there is no access of that size at that offset, and nothing was
 * done; -ENXIO: not started; -EAGAIN: the host failed temporarily, or another call
 * still passes MSIs to the VMM: call vsmmu_kick() in a while; -EIO: the host failed, for
 * the reason that vsmmu_last_error() has.
 */
int vsmmu_write(struct vsmmu *v, uint64_t offset, uint64_t value,
		unsigned int size);

/**
 * vsmmu_doorbell() - The guest wrote SMMU_CMDQ_PROD
 * @v: the virtual SMMU
 * @prod: the value
 *
 * For a VMM that gets the write without an exit, by coalesced MMIO.
 *
 * Return: as vsmmu_write().
 */
int vsmmu_doorbell(struct vsmmu *v, uint32_t prod);

/**
 * vsmmu_set_prod() - The guest wrote SMMU_CMDQ_PROD, and the commands can wait
 * @v: the virtual SMMU
 * @prod: the value
 *
 * Sets the register without running the command queue. Makes no callback, and never waits
 * for the host, unless config.feed does. Call vsmmu_kick() afterwards. So a VMM can keep
 * the order of writes under a lock of its own, and run the commands without it.
 *
 * Return: 0, or -ENXIO: not started.
 */
int vsmmu_set_prod(struct vsmmu *v, uint32_t prod);

/**
 * vsmmu_kick() - Do what is left to do
 * @v: the virtual SMMU
 *
 * That is what failed earlier, and commands after vsmmu_set_prod().
 *
 * Return: 0: nothing is left to do, or another call does it; else as vsmmu_write().
 */
int vsmmu_kick(struct vsmmu *v);

/**
 * vsmmu_page() - Where a page of the register file is
 * @v: the virtual SMMU
 * @page: 0 or 1
 *
 * The page has the current value of each register at its offset, for a memory slot
 * that the guest can only read.
 *
 * Return: its address, aligned to %VSMMU_PAGE_SIZE, or NULL if there is no such page.
 */
void *vsmmu_page(struct vsmmu *v, unsigned int page);

/* Events */

/**
 * vsmmu_add_veventq() - Take events from a vEVENTQ
 * @v: the virtual SMMU
 * @fd: the vEVENTQ of a physical SMMU's vIOMMU. It still belongs to the VMM, which
 *	calls vsmmu_remove_veventq() before it closes it
 *
 * Without /proc the library cannot check that @fd is a vEVENTQ.
 *
 * Return: 0; -EBADF: @fd is not open; -EINVAL: it is no vEVENTQ; -EEXIST: it was added
 * already; -ENOSPC: there are %VSMMU_MAX_VEVENTQS.
 */
int vsmmu_add_veventq(struct vsmmu *v, int fd);

/**
 * vsmmu_remove_veventq() - Take no more events from a vEVENTQ
 * @v: the virtual SMMU
 * @fd: the vEVENTQ
 *
 * Return: 0, or -ENOENT: it was not added.
 */
int vsmmu_remove_veventq(struct vsmmu *v, int fd);

/**
 * vsmmu_poll_events() - Move events to the guest's queue
 * @v: the virtual SMMU
 *
 * Call it when a vEVENTQ is readable. It takes a bounded number of records. The library
 * does the same before CMDQ_CONS shows that a CFGI is done.
 *
 * Return: how many records were read; or the errno of the first vEVENTQ that cannot
 * be read. The others were read nevertheless.
 */
int vsmmu_poll_events(struct vsmmu *v);

/**
 * vsmmu_inject_event() - Put an event record into the guest's queue
 * @v: the virtual SMMU
 * @event: the record, little-endian as in memory (Arm IHI 0070, 7.3)
 *
 * Return: 0, also if the event is lost.
 */
int vsmmu_inject_event(struct vsmmu *v, const uint64_t event[4]);

/* Reset, migration, live update */

/**
 * vsmmu_reset() - The guest's machine is reset
 * @v: the virtual SMMU
 *
 * Drops the events that the vEVENTQs have.
 *
 * Return: 0, or as vsmmu_write(). The registers are reset in any case.
 */
int vsmmu_reset(struct vsmmu *v);

/**
 * vsmmu_save() - Save the registers
 * @v: the virtual SMMU. The guest is stopped, no other thread is in a call, and
 *	vsmmu_poll_events() was called
 * @state: set to them
 *
 * Return: 0, or -ENXIO: not started.
 */
int vsmmu_save(struct vsmmu *v, struct vsmmu_state *state);

/**
 * vsmmu_restore() - Restore the registers
 * @v: the virtual SMMU, started with %VSMMU_OPT_IDR and @idr, @iidr and @aidr of @state.
 *	Guest memory is restored and set
 * @state: the state. It may come from anywhere, because the library checks it
 *
 * Drops the events that the vEVENTQs have from before.
 *
 * Return: 0; -EINVAL: no virtual SMMU with these ID registers can be in that state,
 * and nothing was done; -ENXIO: not started; else as vsmmu_write(), with the state
 * restored.
 */
int vsmmu_restore(struct vsmmu *v, const struct vsmmu_state *state);

/**
 * vsmmu_resume() - Continue where the old process stopped, for a live update
 * @v: the virtual SMMU, of %VSMMU_CONFIG_CHANGE_PROCESS, not started
 * @options: as for vsmmu_start() in the old process. Only %VSMMU_OPT_RESET_ABORT
 *	matters, because @state has the ID registers; NULL: none
 * @state: of vsmmu_save() in the old process. If a vsmmu_reset() had failed there,
 *	vsmmu_kick() has to succeed before
 * @vsids: the attached streams' StreamIDs or names, which are copied
 * @num: how many
 *
 * Takes the place of vsmmu_start(), vsmmu_attach() and vsmmu_restore(): nothing is
 * reset, and DMA goes on. Runs what is left in the command queue.
 *
 * Return: 0; -EINVAL: the virtual SMMU was not taken over, or none can be in that
 * state; -EBUSY: started already; -ENOSPC: too many streams. After these nothing was
 * done. Else as vsmmu_write(), with the state resumed.
 */
int vsmmu_resume(struct vsmmu *v, const struct vsmmu_options *options,
		 const struct vsmmu_state *state, const uint32_t *vsids,
		 uint32_t num);

/* Information */

/**
 * vsmmu_version() - The version of the library
 *
 * Return: VSMMU_VERSION of the header that it was compiled with.
 */
uint32_t vsmmu_version(void);

/**
 * vsmmu_fd() - The open /dev/smmuv3-accel, for instance for SMMUV3_ACCEL_GET_STATS
 * @v: the virtual SMMU
 *
 * Return: the descriptor.
 */
int vsmmu_fd(struct vsmmu *v);

/**
 * vsmmu_get_counters() - What the library counted
 * @v: the virtual SMMU
 * @counters: set to it
 */
void vsmmu_get_counters(struct vsmmu *v, struct vsmmu_counters *counters);

/**
 * vsmmu_last_error() - What failed last in this thread
 * @v: the virtual SMMU
 * @error: set to the last failure of a call that the calling thread made; zeroed if
 *	there was none, or if that call was for another virtual SMMU
 *
 * As with errno, a call that succeeds changes nothing, and threads do not see each
 * other's failures. If @raise, @cmd_error or @msi of struct vsmmu_config makes a call
 * that fails, the library forgets that failure when the callback returns.
 */
void vsmmu_last_error(struct vsmmu *v, struct vsmmu_error *error);

/**
 * vsmmu_reason_string() - A reason in words
 * @reason: one of enum smmuv3_accel_reason or enum vsmmu_reason
 *
 * Return: one sentence or more, which are constant.
 */
const char *vsmmu_reason_string(uint32_t reason);

/**
 * vsmmu_strerror() - A failure in words
 * @error: the failure
 * @buf: where to put them
 * @len: how much room there is; 512 bytes are enough, except for a long list of fields
 *
 * The text has the ioctl, the refused fields of ID registers by name or the refused
 * memory region, the reason and the errno. If there is no room for all fields, "..."
 * stands for the rest.
 *
 * Return: @buf.
 */
const char *vsmmu_strerror(const struct vsmmu_error *error, char *buf,
			   size_t len);

/**
 * vsmmu_compute_idr() - Compute ID registers as vsmmu_default_idr() does
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
