/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Shared between the library's files.
 *
 * The registers are the state. A guest's write changes them, then vsmmu__work()
 * makes the kernel agree: it hands over what the kernel has to know (SET_REGS) and
 * runs the command queue up to PROD. While the kernel is at it, accesses to other registers
 * go on, and so does a write of PROD, which the same vsmmu__work() sees before it ends. If
 * the kernel fails temporarily, the registers show it, as on hardware that takes its time
 * (CR0ACK behind CR0, GBPA.UPDATE, CONS behind PROD). The next vsmmu__work() tries again.
 *
 * A program that links with the static library sees all names that are not static here,
 * so they begin with vsmmu__.
 */
#ifndef _VSMMU_INTERNAL_H
#define _VSMMU_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "arch.h"
#include "vsmmu.h"

/* How often to call an ioctl that signals interrupt before it does anything */
#define MAX_INTERRUPTED	100

/* Bits of CR0 that the kernel has a part in */
#define CR0_KERNEL	(CR0_SMMUEN | CR0_CMDQEN)

/* By offset */
enum reg_id {
	REG_IDR0, REG_IDR1, REG_IDR2, REG_IDR3, REG_IDR4, REG_IDR5,
	REG_IIDR,
	REG_AIDR,
	REG_CR0,
	REG_CR0ACK,
	REG_CR1,
	REG_CR2,
	REG_GBPA,
	REG_IRQ_CTRL,
	REG_IRQ_CTRLACK,
	REG_GERROR,
	REG_GERRORN,
	REG_GERROR_IRQ_CFG0,
	REG_GERROR_IRQ_CFG1,
	REG_GERROR_IRQ_CFG2,
	REG_STRTAB_BASE,
	REG_STRTAB_BASE_CFG,
	REG_CMDQ_BASE,
	REG_CMDQ_PROD,
	REG_CMDQ_CONS,
	REG_EVENTQ_BASE,
	REG_EVENTQ_IRQ_CFG0,
	REG_EVENTQ_IRQ_CFG1,
	REG_EVENTQ_IRQ_CFG2,
	REG_EVENTQ_PROD,
	REG_EVENTQ_CONS,
	REG_NUM,
	REG_RESERVED = REG_NUM,
};

/**
 * struct reg_info - A register (chapter 6)
 * @offset: where it is
 * @size: 4 or 8 bytes; the latter are accessible by halves as well
 * @read_only: the guest cannot write it
 * @guard: bits of CR0. While one of them is set, in CR0 or CR0ACK, writes have no
 *	effect
 * @bits: its implemented bits; the others are RES0. vsmmu__bits_by_idr() returns
 *	those that the ID registers leave
 */
struct reg_info {
	uint32_t offset;
	uint8_t size;
	bool read_only;
	uint8_t guard;
	uint64_t bits;
};

extern const struct reg_info vsmmu__regs[REG_NUM];

/**
 * struct veventq - A source of events
 * @fd: of the vEVENTQ
 * @seen: @sequence is known
 * @sequence: of the last record
 */
struct veventq {
	int fd;
	bool seen;
	uint32_t sequence;
};

/**
 * struct msi - A message-signaled interrupt
 * @address: where to write
 * @data: what
 * @error: bit of SMMU_GERROR, active if the write aborts. Each source has one of its own
 */
struct msi {
	uint64_t address;
	uint32_t data;
	uint32_t error;
};

/**
 * enum due - Callbacks that became due under the lock
 * @DUE_LINES: call @raise of struct vsmmu, for each line that has a bit here
 * @DUE_CMD_ERROR: call @cmd_error for @failed_cmd
 * @DUE_MSIS: call @msi for @msis, unless another caller is doing that
 */
enum due {
	DUE_LINES = (1 << VSMMU_IRQ_NUM) - 1,
	DUE_CMD_ERROR = 1 << VSMMU_IRQ_NUM,
	DUE_MSIS = 2 << VSMMU_IRQ_NUM,
};

/* How many MSIs can be pending besides those of CMD_SYNCs: of events and of errors */
#define OTHER_MSIS	2

/**
 * struct vsmmu - A virtual SMMU
 * @id: not 0; no other virtual SMMU of the process has or had it
 * @streams: held by calls that change the list of streams. Outside of the others
 * @turn: its holder is the next to get @work
 * @work: held by the thread that works, see vsmmu__work(), and by calls that must not come
 *	meanwhile
 * @lock: for all below. Free during calls of the kernel
 * @takes_work: the thread that works is in a call of the kernel, looks at the state again
 *	after it, and so does the work of others
 * @rung: somebody has left work since the last look
 * @heirs: callers who wait for @work, and will do all that is left
 * @kernel: how to reach the kernel
 * @kernel_data: for @kernel
 * @flags: enum vsmmu_config_flags
 * @fd: /dev/smmuv3-accel
 * @own_fd: the library opened it
 * @own_page: the library mapped @page
 * @started: vsmmu_start() was called: the ID registers are fixed
 * @want_reset: a call of RESET is pending
 * @want_regs: a call of SET_REGS is pending, even if CR0ACK equals CR0
 * @sent_cr0: SMMU_CR0 that the kernel may have: of the last SET_REGS that was not refused
 *	as a whole
 * @in_force_cr0: SMMU_CR0 of the last SET_REGS that is known to have put it in force
 * @reg: values of the registers
 * @page: the register file, for guest and VMM to read. The library itself reads
 *	only @reg
 * @reset_gbpa: SMMU_GBPA out of reset
 * @max_batch: most commands to run before CONS is published
 * @counters: for the VMM
 * @raise: the VMM's callback for interrupts
 * @feed: the VMM's callback for commands, or NULL
 * @cmd_error: the VMM's callback for commands in error, or NULL
 * @msi: the VMM's callback for MSIs that do not go to memory, or NULL
 * @opaque: for @raise, @feed, @cmd_error and @msi
 * @feed_cmds: where the kernel writes commands for @feed
 * @feed_room: how many there is room for
 * @due: callbacks to make when @lock is free: bits of enum due
 * @kept: what was due before vsmmu__lock_state(); nothing while @lock is free
 * @syncs: MSIs of the CMD_SYNCs of a batch, to send when CONS is published
 * @sync_num: how many there are
 * @delivering: a caller passes MSIs to @msi. It goes on until there are none
 * @msis: MSIs to call @msi for, when @lock is free: a ring
 * @msi_first: index of the oldest one
 * @msi_num: how many there are
 * @msi_taken: how many that caller has taken so far
 * @msi_max: how many there is room for: those of two batches and %OTHER_MSIS
 * @failed_cmd: the command that is in error. The next unlock takes it for @cmd_error, so
 *	there is one at a time
 * @irqfd: eventfds of the lines, or -1
 * @bad: where the kernel writes streams whose STE is not legal, @stream_max of them
 * @vsid: the attached streams
 * @named: for each of them, a CFGI_STE* named it while SMMUEN was 0. Then its STE may
 *	be illegal, and the kernel says so only when it is asked
 * @ask_named: the kernel has yet to be asked about @named, though SMMUEN is 1
 * @stream_num: how many there are
 * @stream_max: how many there can be
 * @region: the guest's memory
 * @region_num: how many regions there are
 * @table: the same, on its way to the kernel
 * @veventq: sources of events
 * @veventq_num: how many there are
 */
struct vsmmu {
	uint64_t id;
	pthread_mutex_t streams;
	pthread_mutex_t turn;
	pthread_mutex_t work;
	pthread_mutex_t lock;
	bool takes_work;
	bool rung;
	unsigned int heirs;
	const struct vsmmu_kernel *kernel;
	void *kernel_data;
	uint32_t flags;
	int fd;
	bool own_fd;
	bool own_page;
	bool started;
	bool want_reset;
	bool want_regs;
	uint32_t sent_cr0;
	uint32_t in_force_cr0;
	uint64_t reg[REG_NUM];
	char *page;
	uint32_t reset_gbpa;
	uint32_t max_batch;
	struct vsmmu_counters counters;
	void (*raise)(void *opaque, enum vsmmu_irq line);
	void (*feed)(void *opaque, const struct vsmmu_cmd *cmds, uint32_t num,
		     bool flush);
	void (*cmd_error)(void *opaque, const struct vsmmu_cmd_error *error);
	void (*msi)(void *opaque, uint64_t address, uint32_t data);
	void *opaque;
	struct vsmmu_cmd *feed_cmds;
	uint32_t feed_room;
	unsigned int due;
	unsigned int kept;
	struct msi *syncs;
	uint32_t sync_num;
	bool delivering;
	struct msi *msis;
	uint32_t msi_first;
	uint32_t msi_num;
	uint32_t msi_taken;
	uint32_t msi_max;
	struct vsmmu_cmd_error failed_cmd;
	int irqfd[VSMMU_IRQ_NUM];
	struct smmuv3_accel_bad_ste *bad;
	uint32_t *vsid;
	bool *named;
	bool ask_named;
	uint32_t stream_num;
	uint32_t stream_max;
	struct vsmmu_region region[VSMMU_MAX_REGIONS];
	uint32_t region_num;
	struct smmuv3_accel_mem_region table[VSMMU_MAX_REGIONS];
	struct veventq veventq[VSMMU_MAX_VEVENTQS];
	unsigned int veventq_num;
};

/**
 * struct look - What vsmmu__ring_look() looks for
 * @msi: put the MSIs of CMD_SYNCs into @syncs of struct vsmmu
 * @named: set @named of struct vsmmu for the streams that a CFGI_STE* names
 * @all: CFGI_ALL names streams too
 */
struct look {
	bool msi;
	bool named;
	bool all;
};

/**
 * struct last_failure - The last failure in a thread
 * @id: of the virtual SMMU; 0: nothing has failed yet
 * @error: the failure
 */
struct last_failure {
	uint64_t id;
	struct vsmmu_error error;
};

extern const struct vsmmu_options vsmmu__no_options;

/* Errors that are reported and not acknowledged */
static inline uint64_t active_errors(struct vsmmu *v)
{
	return v->reg[REG_GERROR] ^ v->reg[REG_GERRORN];
}

/* The bits of a queue's indices that count: up to the wrap bit */
static inline uint32_t queue_mask(uint64_t base, uint32_t offered)
{
	uint32_t bits = FIELD_GET(QUEUE_BASE_LOG2SIZE, base);

	return (2U << (bits < offered ? bits : offered)) - 1;
}

/*
 * The address of a queue's entry; @mask as of queue_mask(). The SMMU ignores bits of
 * the base below its size.
 */
static inline uint64_t queue_entry(uint64_t base, uint32_t mask,
				   uint32_t entry_size, uint64_t index)
{
	uint64_t size = (uint64_t)mask / 2 + 1;

	return (base & QUEUE_BASE_ADDR & ~(size * entry_size - 1)) +
	       (index & (size - 1)) * entry_size;
}

static inline uint32_t reset_gbpa(const struct vsmmu_options *options)
{
	return options->flags & VSMMU_OPT_RESET_ABORT ? GBPA_ABORT : 0;
}

/* lock.c */
void vsmmu__lock(struct vsmmu *v);
void vsmmu__unlock(struct vsmmu *v);
void vsmmu__lock_state(struct vsmmu *v);
void vsmmu__unlock_state(struct vsmmu *v);
void vsmmu__let_in(struct vsmmu *v);
int vsmmu__join(struct vsmmu *v);
void vsmmu__raise_irq(struct vsmmu *v, enum vsmmu_irq line);

/* kernel.c */
extern const struct vsmmu_kernel vsmmu__kernel;

extern __thread struct last_failure vsmmu__last;

int vsmmu__fail(struct vsmmu *v, const struct vsmmu_error *error);
int vsmmu__refuse(struct vsmmu *v, int rc, uint32_t reason);
int vsmmu__fail_plain(struct vsmmu *v, int rc);
int vsmmu__ioctl_failed(struct vsmmu *v, unsigned long request, int rc,
			uint32_t reason);
int vsmmu__check_fd(struct vsmmu *v, int fd, enum vsmmu_fd_kind kind,
		    uint32_t reason);
int vsmmu__check_started(struct vsmmu *v);
int vsmmu__call_once(struct vsmmu *v, unsigned long request, void *arg);
int vsmmu__call(struct vsmmu *v, unsigned long request, void *arg);
int vsmmu__host_failed(struct vsmmu *v, unsigned long request, int rc,
		       uint32_t reason, uint32_t vsid);

/* memory.c */
bool vsmmu__memory_read(struct vsmmu *v, uint64_t gpa, void *buf, size_t len);
bool vsmmu__memory_write(struct vsmmu *v, uint64_t gpa, const void *buf,
			 size_t len);
bool vsmmu__memory_write32(struct vsmmu *v, uint64_t gpa, uint32_t value);
int vsmmu__check_regions(struct vsmmu *v, const struct vsmmu_region *regions,
			 uint32_t num);
int vsmmu__set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		      uint32_t num);

/* regs.c */
uint64_t vsmmu__bits_by_idr(enum reg_id reg, uint32_t idr0, uint32_t idr5);
uint32_t vsmmu__cmdq_mask(struct vsmmu *v);
uint32_t vsmmu__eventq_mask(struct vsmmu *v);
void vsmmu__reg_set(struct vsmmu *v, enum reg_id reg, uint64_t value);
void vsmmu__raise_gerror(struct vsmmu *v, uint64_t error);
void vsmmu__regs_reset(struct vsmmu *v);

/* msi.c */
struct msi vsmmu__take_msi(struct vsmmu *v);
uint32_t vsmmu__msi_room(struct vsmmu *v);
void vsmmu__send_msi(struct vsmmu *v, const struct msi *msi);
void vsmmu__signal(struct vsmmu *v, enum vsmmu_irq line, enum reg_id cfg0,
		   uint32_t error);
void vsmmu__signal_again(struct vsmmu *v, enum vsmmu_irq line, enum reg_id cfg0,
			 uint32_t error);

/* eventq.c */
void vsmmu__eventq_put(struct vsmmu *v, const void *event);
int vsmmu__drain_all(struct vsmmu *v);

/* ring.c */
void vsmmu__ring_look(struct vsmmu *v, uint32_t num, const struct look *look);

/* stream.c */
uint32_t vsmmu__find_stream(struct vsmmu *v, uint32_t vsid);

/* cmdq.c */
bool vsmmu__cmdq_pending(struct vsmmu *v);
int vsmmu__work(struct vsmmu *v);

#endif
