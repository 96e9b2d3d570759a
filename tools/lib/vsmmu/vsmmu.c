// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One virtual SMMU: its registers, its command queue, its event queue.
 *
 * The registers are the state. A guest's write changes them, then work() makes
 * the kernel agree: it hands over what the kernel has to know (SET_REGS) and
 * runs the command queue up to PROD. What the kernel cannot do yet stays
 * visible in the registers, as on hardware that takes its time (CR0ACK behind
 * CR0, GBPA.UPDATE, CONS behind PROD), and is tried again by the next work().
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "arch.h"
#include "vsmmu.h"

/* How often an ioctl is repeated that signals interrupt before it does anything */
#define MAX_INTERRUPTED	100

#define MAX_PHYS	64

#define CONFIG_FLAGS	(VSMMU_CONFIG_CLEAN | VSMMU_CONFIG_CHANGE_PROCESS)
#define REGION_FLAGS	VSMMU_REGION_READONLY

/* Bits of CR0 that the kernel has a part in */
#define CR0_KERNEL	(CR0_SMMUEN | CR0_CMDQEN)

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
	REG_STRTAB_BASE,
	REG_STRTAB_BASE_CFG,
	REG_CMDQ_BASE,
	REG_CMDQ_PROD,
	REG_CMDQ_CONS,
	REG_EVENTQ_BASE,
	REG_EVENTQ_IRQ_CFG0,
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
 * @guard: bits of CR0 while any of which is set, in CR0 or CR0ACK, writes are
 *	ignored
 * @bits: what is implemented of it; all else is RES0. reg_bits() has less where
 *	it depends on what is offered
 */
struct reg_info {
	__u32 offset;
	__u8 size;
	bool read_only;
	__u8 guard;
	__u64 bits;
};

#define U32	0xffffffffULL
#define IRQS	(IRQ_CTRL_GERROR | IRQ_CTRL_EVENTQ)
#define ERRORS	(GERROR_CMDQ_ERR | GERROR_EVENTQ_ABT_ERR)
#define CR0_BITS (CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK)
#define STRTAB_CFG_BITS (STRTAB_CFG_FMT | STRTAB_CFG_SPLIT | STRTAB_CFG_LOG2SIZE)
#define QUEUE_BASE_BITS	(BASE_HINT | QUEUE_BASE_ADDR | QUEUE_BASE_LOG2SIZE)

/*
 * SMMU_IDR0.MSI is 0: the IRQ_CFG registers are RES0. The two of 64 bits have an
 * entry because drivers write them as such. CR2.PTM and E2H, IRQ_CTRL.PRIQ_IRQEN
 * and all of GBPA but ABORT are RES0 without BTM, HYP, PRI and attribute
 * overrides.
 */
static const struct reg_info regs[REG_NUM] = {
	[REG_IDR0] = { 0x00, 4, true, 0, U32 },
	[REG_IDR1] = { 0x04, 4, true, 0, U32 },
	[REG_IDR2] = { 0x08, 4, true, 0, U32 },
	[REG_IDR3] = { 0x0c, 4, true, 0, U32 },
	[REG_IDR4] = { 0x10, 4, true, 0, U32 },
	[REG_IDR5] = { 0x14, 4, true, 0, U32 },
	[REG_IIDR] = { 0x18, 4, true, 0, U32 },
	[REG_AIDR] = { 0x1c, 4, true, 0, U32 },
	[REG_CR0] = { 0x20, 4, false, 0, CR0_BITS },
	[REG_CR0ACK] = { 0x24, 4, true, 0, CR0_BITS },
	[REG_CR1] = { 0x28, 4, false, 0, CR1_TABLE | CR1_QUEUE },
	[REG_CR2] = { 0x2c, 4, false, CR0_SMMUEN, CR2_RECINVSID },
	[REG_GBPA] = { 0x44, 4, false, 0, GBPA_UPDATE | GBPA_ABORT },
	[REG_IRQ_CTRL] = { 0x50, 4, false, 0, IRQS },
	[REG_IRQ_CTRLACK] = { 0x54, 4, true, 0, IRQS },
	[REG_GERROR] = { 0x60, 4, true, 0, ERRORS },
	[REG_GERRORN] = { 0x64, 4, false, 0, ERRORS },
	[REG_GERROR_IRQ_CFG0] = { 0x68, 8, true, 0, 0 },
	[REG_STRTAB_BASE] = { 0x80, 8, false, CR0_SMMUEN,
			      BASE_HINT | STRTAB_BASE_ADDR },
	[REG_STRTAB_BASE_CFG] = { 0x88, 4, false, CR0_SMMUEN, STRTAB_CFG_BITS },
	[REG_CMDQ_BASE] = { 0x90, 8, false, CR0_CMDQEN, QUEUE_BASE_BITS },
	[REG_CMDQ_PROD] = { VSMMU_CMDQ_PROD, 4, false, 0, QUEUE_INDEX },
	[REG_CMDQ_CONS] = { 0x9c, 4, false, CR0_CMDQEN,
			    CMDQ_CONS_ERR | QUEUE_INDEX },
	[REG_EVENTQ_BASE] = { 0xa0, 8, false, CR0_EVENTQEN, QUEUE_BASE_BITS },
	[REG_EVENTQ_IRQ_CFG0] = { 0xb0, 8, true, 0, 0 },
	[REG_EVENTQ_PROD] = { 0x100a8, 4, false, CR0_EVENTQEN,
			      QUEUE_OVFLG | QUEUE_INDEX },
	[REG_EVENTQ_CONS] = { 0x100ac, 4, false, 0, QUEUE_OVFLG | QUEUE_INDEX },
};

/**
 * struct veventq - A source of events
 * @fd: of the vEVENTQ
 * @seen: @sequence is known
 * @sequence: of the last record
 */
struct veventq {
	int fd;
	bool seen;
	__u32 sequence;
};

/**
 * struct vsmmu - A virtual SMMU
 * @turn: who has it is the next to have @lock
 * @lock: for all below
 * @kernel: how to reach the kernel
 * @kernel_data: for @kernel
 * @flags: enum vsmmu_config_flags
 * @fd: /dev/smmuv3-accel
 * @own_fd: the library opened it
 * @own_page: the library mapped @page
 * @started: vsmmu_start() was called: the ID registers are fixed
 * @want_reset: the kernel is to be told of a reset
 * @want_regs: SET_REGS is to be called, even if CR0ACK is CR0
 * @sent_cr0: SMMU_CR0 of the last SET_REGS
 * @reg: values of the registers
 * @page: the register file, which guest and VMM can read. Written only: what
 *	counts is @reg
 * @reset_gbpa: SMMU_GBPA out of reset
 * @max_batch: most commands to run before CONS is published
 * @error: the last failure
 * @counters: for the VMM
 * @raise: the VMM's callback for interrupts
 * @feed: the VMM's callback for commands, or NULL
 * @opaque: for @raise and @feed
 * @feed_cmds: where the kernel writes commands for @feed
 * @feed_room: how many there is room for
 * @raised: lines to call @raise for, when @lock is free
 * @irqfd: eventfds of the lines, or -1
 * @vsid: the attached streams
 * @stream_num: how many there are
 * @stream_max: how many there can be
 * @region: the guest's memory
 * @region_num: how many regions there are
 * @table: the same, on its way to the kernel
 * @veventq: sources of events
 * @veventq_num: how many there are
 */
struct vsmmu {
	pthread_mutex_t turn;
	pthread_mutex_t lock;
	const struct vsmmu_kernel *kernel;
	void *kernel_data;
	__u32 flags;
	int fd;
	bool own_fd;
	bool own_page;
	bool started;
	bool want_reset;
	bool want_regs;
	__u32 sent_cr0;
	__u64 reg[REG_NUM];
	char *page;
	__u32 reset_gbpa;
	__u32 max_batch;
	struct vsmmu_error error;
	struct vsmmu_counters counters;
	void (*raise)(void *opaque, enum vsmmu_irq line);
	void (*feed)(void *opaque, const struct vsmmu_cmd *cmds, __u32 num,
		     bool flush);
	void *opaque;
	struct vsmmu_cmd *feed_cmds;
	__u32 feed_room;
	unsigned int raised;
	int irqfd[VSMMU_IRQ_NUM];
	__u32 *vsid;
	__u32 stream_num;
	__u32 stream_max;
	struct vsmmu_region region[VSMMU_MAX_REGIONS];
	__u32 region_num;
	struct smmuv3_accel_mem_region table[VSMMU_MAX_REGIONS];
	struct veventq veventq[VSMMU_MAX_VEVENTQS];
	unsigned int veventq_num;
};

static void lock(struct vsmmu *v)
{
	pthread_mutex_lock(&v->turn);
	pthread_mutex_lock(&v->lock);
	pthread_mutex_unlock(&v->turn);
}

/* Free the lock, then make the callbacks that became due under it. */
static void unlock(struct vsmmu *v)
{
	unsigned int raised = v->raised;
	enum vsmmu_irq line;

	v->raised = 0;
	pthread_mutex_unlock(&v->lock);
	for (line = 0; line < VSMMU_IRQ_NUM; line++)
		if (raised & 1U << line)
			v->raise(v->opaque, line);
}

/*
 * Let a caller in that waits. It has @turn, so that nobody gets the lock before it.
 * Afterwards the vSMMU may be in any state.
 */
static void let_in(struct vsmmu *v)
{
	if (!pthread_mutex_trylock(&v->turn)) {
		pthread_mutex_unlock(&v->turn);
		return;
	}
	unlock(v);
	lock(v);
}

/*
 * An edge on a line. What it is about has been published: an eventfd is written
 * at once, so that it cannot be closed or exchanged meanwhile.
 */
static void raise_irq(struct vsmmu *v, enum vsmmu_irq line)
{
	const __u64 one = 1;

	if (v->irqfd[line] < 0)
		v->raised |= v->raise ? 1U << line : 0;
	else if (write(v->irqfd[line], &one, sizeof(one)) < 0)
		return;		/* full: the edge before is still to be seen */
}

/* The kernel */

static int kernel_open(void *data, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	(void)data;
	return fd < 0 ? -errno : fd;
}

static void kernel_close(void *data, int fd)
{
	(void)data;
	close(fd);
}

static int kernel_ioctl(void *data, int fd, unsigned long request, void *arg)
{
	(void)data;
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static ssize_t kernel_read(void *data, int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	(void)data;
	return n < 0 ? -errno : n;
}

/*
 * A guest maps the SMMU as Device memory. Without FEAT_S2FWB that attribute
 * holds for a memory slot as well, so that the guest's loads do not see what is
 * in the caches only: push the line out to the point of coherency, and wait for
 * that. Pages that the guest has not touched yet are cleaned by KVM when it maps
 * them.
 */
static void kernel_clean(void *data, const volatile void *line)
{
	(void)data;
#ifdef __aarch64__
	asm volatile("dc cvac, %0\n\tdsb sy" : : "r" (line) : "memory");
#else
	(void)line;
#endif
}

static const struct vsmmu_kernel the_kernel = {
	.open = kernel_open,
	.close = kernel_close,
	.ioctl = kernel_ioctl,
	.read = kernel_read,
	.clean = kernel_clean,
};

static int fail(struct vsmmu *v, const struct vsmmu_error *error)
{
	v->error = *error;
	return error->error;
}

static int fail_plain(struct vsmmu *v, int rc)
{
	return fail(v, &(struct vsmmu_error){ .error = rc });
}

static int call(struct vsmmu *v, unsigned long request, void *arg)
{
	int tries = 0, rc;

	do {
		rc = v->kernel->ioctl(v->kernel_data, v->fd, request, arg);
	} while (rc == -EINTR && ++tries < MAX_INTERRUPTED);
	return rc;
}

/*
 * The host could not do what the guest asked for: -EAGAIN where it may be able
 * to later, -EIO where that is not to be expected.
 */
static int host_failed(struct vsmmu *v, unsigned long request, int rc,
		       __u32 reason, __u32 vsid)
{
	fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = request,
		.reason = reason,
		.vsid = vsid,
	});
	if (rc != -EINTR && rc != -ENOMEM &&
	    reason != SMMUV3_ACCEL_REASON_RETRY)
		return -EIO;
	v->counters.retries++;
	return -EAGAIN;
}

/* The guest's memory */

/*
 * Where the library may write at @gpa, and how much of @len follows in one piece;
 * NULL if there is no memory or the guest can only read it.
 */
static void *memory_find(struct vsmmu *v, __u64 gpa, size_t *len)
{
	__u32 i;

	for (i = 0; i < v->region_num; i++) {
		const struct vsmmu_region *region = &v->region[i];
		__u64 offset = gpa - region->gpa;

		if (gpa < region->gpa || offset >= region->size)
			continue;
		if (region->flags & VSMMU_REGION_READONLY)
			return NULL;
		if (*len > region->size - offset)
			*len = region->size - offset;
		return (void *)(uintptr_t)(region->uaddr + offset);
	}
	return NULL;
}

static bool memory_is_writable(struct vsmmu *v, __u64 gpa, size_t len)
{
	while (len) {
		size_t part = len;

		if (!memory_find(v, gpa, &part))
			return false;
		gpa += part;
		len -= part;
	}
	return true;
}

/*
 * All that the library ever does with guest memory: it writes event records, and
 * reads nothing. A record is written whole or not at all.
 */
static bool memory_write(struct vsmmu *v, __u64 gpa, const void *buf,
			 size_t len)
{
	const char *from = buf;

	if (!memory_is_writable(v, gpa, len))
		return false;
	while (len) {
		size_t part = len;
		void *to = memory_find(v, gpa, &part);

		memcpy(to, from, part);
		gpa += part;
		from += part;
		len -= part;
	}
	return true;
}

/* Registers */

/* What is implemented of a register by an SMMU with these SMMU_IDR0 and IDR5 */
static __u64 bits_by_idr(enum reg_id reg, __u32 idr0, __u32 idr5)
{
	static const __u8 oas_bits[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	__u64 bits = regs[reg].bits;

	switch (reg) {
	case REG_CR0:
	case REG_CR0ACK:
		if (!(idr0 & IDR0_ATS))
			bits &= ~CR0_ATSCHK;
		break;
	case REG_STRTAB_BASE:
	case REG_CMDQ_BASE:
	case REG_EVENTQ_BASE:
		bits &= BITS(oas_bits[FIELD_GET(IDR5_OAS, idr5)] - 1, 0) |
			BASE_HINT;
		break;
	case REG_STRTAB_BASE_CFG:
		if (!(idr0 & IDR0_ST_LEVEL))
			bits &= ~(STRTAB_CFG_FMT | STRTAB_CFG_SPLIT);
		break;
	default:
		break;
	}
	return bits;
}

static __u64 reg_bits(struct vsmmu *v, enum reg_id reg)
{
	return bits_by_idr(reg, v->reg[REG_IDR0], v->reg[REG_IDR5]);
}

/*
 * Give a register a value and publish it: in one access, and behind all that was
 * done before.
 */
static void reg_set(struct vsmmu *v, enum reg_id reg, __u64 value)
{
	void *at = v->page + regs[reg].offset;

	v->reg[reg] = value;
	if (regs[reg].size == 8)
		__atomic_store_n((__u64 *)at, htole64(value), __ATOMIC_RELEASE);
	else
		__atomic_store_n((__u32 *)at, htole32(value), __ATOMIC_RELEASE);
	if (v->flags & VSMMU_CONFIG_CLEAN)
		v->kernel->clean(v->kernel_data, at);
}

/*
 * The register that an access of @size at @offset is to, and by how many bits
 * the access is shifted within it. -EINVAL: no such access (6.2).
 */
static int reg_find(__u64 offset, unsigned int size, enum reg_id *reg,
		    unsigned int *shift)
{
	enum reg_id i;

	if ((size != 4 && size != 8) || offset % size ||
	    offset >= VSMMU_REGS_SIZE)
		return -EINVAL;
	for (i = 0; i < REG_NUM; i++) {
		if (offset - regs[i].offset >= regs[i].size)
			continue;
		if (size > regs[i].size)
			return -EINVAL;
		*reg = i;
		*shift = (offset - regs[i].offset) * 8;
		return 0;
	}
	*reg = REG_RESERVED;
	return size == 4 ? 0 : -EINVAL;
}

/* What is enabled, or about to be, or not yet disabled */
static __u64 enabled(struct vsmmu *v)
{
	return v->reg[REG_CR0] | v->reg[REG_CR0ACK];
}

/* Errors that are reported and not acknowledged */
static __u64 active_errors(struct vsmmu *v)
{
	return v->reg[REG_GERROR] ^ v->reg[REG_GERRORN];
}

/* An error that is not active. What raises one, stops until it is acknowledged. */
static void raise_gerror(struct vsmmu *v, __u64 error)
{
	reg_set(v, REG_GERROR, v->reg[REG_GERROR] ^ error);
	if (v->reg[REG_IRQ_CTRL] & IRQ_CTRL_GERROR)
		raise_irq(v, VSMMU_IRQ_GERROR);
}

/*
 * Acknowledge errors. Toggling the bit of an error that is not active is
 * CONSTRAINED UNPREDICTABLE, here: ignored. CMDQ_CONS.ERR is 0 but while
 * CMDQ_ERR is active.
 */
static void write_gerrorn(struct vsmmu *v, __u64 value)
{
	__u64 acked = (value ^ v->reg[REG_GERRORN]) & active_errors(v);

	reg_set(v, REG_GERRORN, v->reg[REG_GERRORN] ^ acked);
	if (acked & GERROR_CMDQ_ERR)
		reg_set(v, REG_CMDQ_CONS, v->reg[REG_CMDQ_CONS] & QUEUE_INDEX);
}

/*
 * Each field is acknowledged by itself; some need nobody's help.
 *
 * A SET_REGS that failed has its registers in force nevertheless. If the guest
 * takes such a change back, CR0ACK shows that it was made, and the guest waits
 * until it is undone.
 */
static void write_cr0(struct vsmmu *v, __u64 value)
{
	__u64 undone = v->want_regs ? (value ^ v->sent_cr0) & CR0_KERNEL : 0;
	__u64 ack = v->reg[REG_CR0ACK] & CR0_KERNEL;

	reg_set(v, REG_CR0, value);
	reg_set(v, REG_CR0ACK, (ack & ~undone) | (v->sent_cr0 & undone) |
			       (value & ~CR0_KERNEL));
}

/* Fields of CR1 are guarded by what uses them. */
static __u64 cr1_guarded(struct vsmmu *v)
{
	__u64 bits = 0;

	if (enabled(v) & CR0_SMMUEN)
		bits |= CR1_TABLE;
	if (enabled(v) & (CR0_CMDQEN | CR0_EVENTQEN))
		bits |= CR1_QUEUE;
	return bits;
}

static void reg_write(struct vsmmu *v, enum reg_id reg, __u64 value,
		      __u64 written)
{
	__u64 bits = reg_bits(v, reg) & written, old = v->reg[reg];

	if (regs[reg].read_only || (enabled(v) & regs[reg].guard))
		return;
	if (reg == REG_CR1)
		bits &= ~cr1_guarded(v);
	else if (reg == REG_CMDQ_CONS)
		bits &= QUEUE_INDEX;
	value = (old & ~bits) | (value & bits);

	switch (reg) {
	case REG_CR0:
		write_cr0(v, value);
		break;
	case REG_GBPA:
		/* Without UPDATE, or with an update going on: no effect */
		if ((value & GBPA_UPDATE) && !(old & GBPA_UPDATE))
			reg_set(v, reg, value);
		break;
	case REG_IRQ_CTRL:
		reg_set(v, reg, value);
		reg_set(v, REG_IRQ_CTRLACK, value);
		break;
	case REG_GERRORN:
		write_gerrorn(v, value);
		break;
	default:
		reg_set(v, reg, value);
		break;
	}
}

static void regs_reset(struct vsmmu *v)
{
	enum reg_id reg;

	for (reg = REG_CR0; reg < REG_NUM; reg++)
		reg_set(v, reg, 0);
	reg_set(v, REG_GBPA, v->reset_gbpa);
	v->want_reset = true;
	v->want_regs = true;
	v->sent_cr0 = 0;
	if (v->feed)
		v->feed(v->opaque, NULL, 0, true);
}

/* The event queue (7.2 to 7.4) */

static __u32 queue_bits(__u64 base, __u32 offered)
{
	__u32 bits = FIELD_GET(QUEUE_BASE_LOG2SIZE, base);

	return bits < offered ? bits : offered;
}

/* An event is lost: say so, unless the guest has yet to see that of one before. */
static void eventq_overflow(struct vsmmu *v)
{
	__u64 prod = v->reg[REG_EVENTQ_PROD];

	if (!(v->reg[REG_CR0] & CR0_EVENTQEN) ||
	    ((prod ^ v->reg[REG_EVENTQ_CONS]) & QUEUE_OVFLG))
		return;
	reg_set(v, REG_EVENTQ_PROD, prod ^ QUEUE_OVFLG);
}

/*
 * A write that finds no memory, or memory that the guest can only read, aborts.
 * The event is lost, and EVENTQ_ABT_ERR (6.3.17) keeps the queue from being
 * written again until the guest acknowledges it.
 */
static void eventq_put(struct vsmmu *v, const void *event)
{
	__u32 bits = queue_bits(v->reg[REG_EVENTQ_BASE],
				FIELD_GET(IDR1_EVENTQS, v->reg[REG_IDR1]));
	__u64 prod = v->reg[REG_EVENTQ_PROD], size = 1U << bits;
	__u64 base, used;

	if (!(v->reg[REG_CR0] & CR0_EVENTQEN) ||
	    (active_errors(v) & GERROR_EVENTQ_ABT_ERR))
		return;
	used = (prod - v->reg[REG_EVENTQ_CONS]) & (2 * size - 1);
	if (used >= size) {
		eventq_overflow(v);
		return;
	}
	/* Aligned to the queue's size, by ignoring bits */
	base = v->reg[REG_EVENTQ_BASE] & QUEUE_BASE_ADDR;
	base &= ~(size * EVENT_SIZE - 1);
	if (!memory_write(v, base + (prod & (size - 1)) * EVENT_SIZE, event,
			  EVENT_SIZE)) {
		raise_gerror(v, GERROR_EVENTQ_ABT_ERR);
		return;
	}
	reg_set(v, REG_EVENTQ_PROD, ((prod + 1) & (2 * size - 1)) |
				    (prod & QUEUE_OVFLG));
	if (!used && (v->reg[REG_IRQ_CTRL] & IRQ_CTRL_EVENTQ))
		raise_irq(v, VSMMU_IRQ_EVENTQ);
}

/*
 * Tell the guest which streams abort because their STE cannot be. Hardware does
 * so when a transaction comes, which is not seen here: the host's STE aborts in
 * silence. The guest is told once each time that it has such an STE looked at.
 */
static void report_bad_stes(struct vsmmu *v)
{
	struct smmuv3_accel_stream stream;
	__u64 id;
	__u32 i;

	for (i = 0; i < v->stream_num; i++) {
		__le64 event[EVENT_SIZE / sizeof(__le64)] = { 0 };

		stream = (struct smmuv3_accel_stream){
			.size = sizeof(stream),
			.vsid = v->vsid[i],
		};
		if (call(v, SMMUV3_ACCEL_GET_STREAM, &stream))
			continue;
		switch (stream.out_reason) {
		case SMMUV3_ACCEL_REASON_STE_SID_RANGE:
		case SMMUV3_ACCEL_REASON_STE_L1_INVALID:
			/* Not recorded unless asked for */
			if (!(v->reg[REG_CR2] & CR2_RECINVSID))
				continue;
			id = EVT_C_BAD_STREAMID;
			break;
		case SMMUV3_ACCEL_REASON_STE_UNREADABLE:
			id = EVT_F_STE_FETCH;
			break;
		case SMMUV3_ACCEL_REASON_STE_CONFIG:
		case SMMUV3_ACCEL_REASON_STE_S1CDMAX:
		case SMMUV3_ACCEL_REASON_STE_S1FMT:
		case SMMUV3_ACCEL_REASON_STE_S1DSS:
		case SMMUV3_ACCEL_REASON_STE_EATS:
		case SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR:
			id = EVT_C_BAD_STE;
			break;
		default:
			continue;
		}
		event[0] = htole64(FIELD_PREP(EVT_0_ID, id) |
				   FIELD_PREP(EVT_0_SID, stream.vsid));
		eventq_put(v, event);
	}
}

/* The kernel's part */

static int send_reset(struct vsmmu *v)
{
	struct smmuv3_accel_reset arg = { .size = sizeof(arg) };
	int rc = call(v, SMMUV3_ACCEL_RESET, &arg);

	if (rc)
		return host_failed(v, SMMUV3_ACCEL_RESET, rc, arg.out_reason, 0);
	v->want_reset = false;
	return 0;
}

static bool regs_pending(struct vsmmu *v)
{
	return v->want_regs || (v->reg[REG_GBPA] & GBPA_UPDATE) ||
	       ((v->reg[REG_CR0] ^ v->reg[REG_CR0ACK]) & CR0_KERNEL);
}

/*
 * The base registers need no SET_REGS of their own: they can only be written
 * while nothing uses them. After a failure the registers are in force, but some
 * stream aborts that could not take them: repeat the call, even if the guest takes
 * its change back, and acknowledge nothing before.
 */
static int send_regs(struct vsmmu *v)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = v->reg[REG_CR0],
		.gbpa = v->reg[REG_GBPA] & GBPA_ABORT,
		.strtab_base_cfg = v->reg[REG_STRTAB_BASE_CFG],
		.strtab_base = v->reg[REG_STRTAB_BASE],
		.cmdq_base = v->reg[REG_CMDQ_BASE],
	};
	int rc = call(v, SMMUV3_ACCEL_SET_REGS, &arg);

	v->sent_cr0 = arg.cr0;
	v->want_regs = rc;
	if (rc)
		return host_failed(v, SMMUV3_ACCEL_SET_REGS, rc, arg.out_reason,
				   arg.out_vsid);
	reg_set(v, REG_GBPA, v->reg[REG_GBPA] & ~GBPA_UPDATE);
	reg_set(v, REG_CR0ACK, v->reg[REG_CR0]);
	return 0;
}

/*
 * How many commands there are to run. A PROD more than a lap ahead of CONS is
 * CONSTRAINED UNPREDICTABLE, here: nothing is run.
 */
static __u32 cmdq_pending(struct vsmmu *v, __u32 mask)
{
	__u32 num = (v->reg[REG_CMDQ_PROD] - v->reg[REG_CMDQ_CONS]) & mask;

	if (!(v->reg[REG_CR0ACK] & CR0_CMDQEN) ||
	    (active_errors(v) & GERROR_CMDQ_ERR) || num > mask / 2 + 1)
		return 0;
	return num;
}

/*
 * As call(), but for feed_num: what comes out of a call that a signal interrupted
 * is not what the next one is to be told.
 */
static int call_run_cmdq(struct vsmmu *v, struct smmuv3_accel_run_cmdq *arg)
{
	int tries = 0, rc;

	do {
		arg->feed_num = v->feed_room;
		v->counters.runs++;
		rc = v->kernel->ioctl(v->kernel_data, v->fd,
				      SMMUV3_ACCEL_RUN_CMDQ, arg);
	} while (rc == -EINTR && ++tries < MAX_INTERRUPTED);
	return rc;
}

/*
 * With room for as many commands as a run has at most, the kernel has no reason
 * for an overflow. Whether there was one is up to it nevertheless.
 */
static void feed(struct vsmmu *v, const struct smmuv3_accel_run_cmdq *run)
{
	bool overflow = run->out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW;

	if (v->feed && (run->feed_num || overflow))
		v->feed(v->opaque, v->feed_cmds, run->feed_num, overflow);
}

/*
 * Run a batch of the host's, so that CONS is seen to move. The module may do less
 * than that, because another ioctl waits for the vSMMU or because it has evaluated
 * many STEs, but at least one command.
 *
 * Return: 1 if a batch was run, 0 if there is nothing to run, or a negative errno.
 */
static int run_batch(struct vsmmu *v)
{
	__u32 mask = (2U << queue_bits(v->reg[REG_CMDQ_BASE],
				       FIELD_GET(IDR1_CMDQS,
						 v->reg[REG_IDR1]))) - 1;
	__u32 num = cmdq_pending(v, mask), done;
	struct smmuv3_accel_run_cmdq arg = {
		.size = sizeof(arg),
		.prod = v->reg[REG_CMDQ_PROD] & mask,
		.cons = v->reg[REG_CMDQ_CONS] & mask,
		.max_cmds = v->max_batch,
		.feed_uptr = (uintptr_t)v->feed_cmds,
	};
	int rc;

	if (!num)
		return 0;
	rc = call_run_cmdq(v, &arg);
	done = (arg.cons - v->reg[REG_CMDQ_CONS]) & mask;
	/* The kernel never returns this; fail rather than loop forever. */
	if (done > num || (!done && !rc && !arg.out_error) ||
	    arg.out_error > CERROR_MAX ||
	    (done && (arg.feed_num > done || arg.feed_num > v->feed_room)))
		return host_failed(v, SMMUV3_ACCEL_RUN_CMDQ, -EPROTO,
				   SMMUV3_ACCEL_REASON_NONE, 0);

	/* What the VMM has to do and events come before a CMD_SYNC is done. */
	if (done)
		feed(v, &arg);
	if (arg.out_flags & SMMUV3_ACCEL_RUN_BAD_STE)
		report_bad_stes(v);
	reg_set(v, REG_CMDQ_CONS,
		FIELD_PREP(CMDQ_CONS_ERR, arg.out_error) | (arg.cons & mask));
	v->counters.cmds += done;
	if (arg.out_flags & SMMUV3_ACCEL_RUN_SYNC_IRQ)
		raise_irq(v, VSMMU_IRQ_CMDQ_SYNC);
	if (arg.out_error)
		raise_gerror(v, GERROR_CMDQ_ERR);
	if (rc)
		return host_failed(v, SMMUV3_ACCEL_RUN_CMDQ, rc, arg.out_reason,
				   arg.out_vsid);
	return 1;
}

/*
 * Do all that there is to do. A guest can make that long: other callers get in
 * between batches, for instance to detach a device that the host wants back. As
 * they may reset the vSMMU, each round looks at everything.
 */
static int work(struct vsmmu *v)
{
	int rc;

	for (;;) {
		rc = v->want_reset ? send_reset(v) : 0;
		if (!rc && regs_pending(v))
			rc = send_regs(v);
		if (!rc)
			rc = run_batch(v);
		if (rc <= 0)
			return rc;
		let_in(v);
	}
}

/* The guest's accesses */

int vsmmu_read(struct vsmmu *v, __u64 offset, __u64 *value, unsigned int size)
{
	unsigned int shift;
	enum reg_id reg;
	int rc;

	*value = 0;
	rc = reg_find(offset, size, &reg, &shift);
	if (rc || reg == REG_RESERVED)
		return rc;
	lock(v);
	*value = v->reg[reg] >> shift;
	if (size == 4)
		*value &= U32;
	unlock(v);
	return 0;
}

int vsmmu_write(struct vsmmu *v, __u64 offset, __u64 value, unsigned int size)
{
	__u64 written = size == 8 ? ~0ULL : U32;
	unsigned int shift;
	enum reg_id reg;
	__u64 runs;
	int rc;

	rc = reg_find(offset, size, &reg, &shift);
	if (rc || reg == REG_RESERVED)
		return rc;
	lock(v);
	if (!v->started) {
		rc = -ENXIO;
	} else {
		runs = v->counters.runs;
		reg_write(v, reg, value << shift, written << shift);
		rc = work(v);
		if (reg == REG_CMDQ_PROD && v->counters.runs != runs)
			v->counters.doorbells++;
	}
	unlock(v);
	return rc;
}

int vsmmu_doorbell(struct vsmmu *v, __u32 prod)
{
	return vsmmu_write(v, VSMMU_CMDQ_PROD, prod, 4);
}

int vsmmu_kick(struct vsmmu *v)
{
	int rc;

	lock(v);
	rc = v->started ? work(v) : -ENXIO;
	unlock(v);
	return rc;
}

void *vsmmu_page(struct vsmmu *v, unsigned int page)
{
	return page < VSMMU_REGS_SIZE / VSMMU_PAGE_SIZE ?
	       v->page + page * VSMMU_PAGE_SIZE : NULL;
}

/* Events */

int vsmmu_add_veventq(struct vsmmu *v, int fd)
{
	int rc = 0;

	lock(v);
	if (v->veventq_num == ARRAY_SIZE(v->veventq))
		rc = fail_plain(v, -ENOSPC);
	else
		v->veventq[v->veventq_num++] = (struct veventq){ .fd = fd };
	unlock(v);
	return rc;
}

int vsmmu_remove_veventq(struct vsmmu *v, int fd)
{
	unsigned int i;
	int rc = -ENOENT;

	lock(v);
	for (i = 0; rc && i < v->veventq_num; i++) {
		if (v->veventq[i].fd != fd)
			continue;
		v->veventq[i] = v->veventq[--v->veventq_num];
		rc = 0;
	}
	if (rc)
		fail_plain(v, rc);
	unlock(v);
	return rc;
}

/*
 * What a vEVENTQ reads as: struct iommufd_vevent_header, then unless it has
 * IOMMU_VEVENTQ_FLAG_LOST_EVENTS struct iommu_vevent_arm_smmuv3. The headers of
 * the C library may be older than linux/iommufd.h with these.
 */
struct vevent_header {
	__u32 flags;
	__u32 sequence;
};

#define VEVENT_LOST	(1U << 0)
#define VEVENT_SEQUENCE	0x7fffffffU
#define VEVENT_SIZE	(sizeof(struct vevent_header) + EVENT_SIZE)

/* What is read in one go, and in how many, before other callers get a turn */
#define READ_EVENTS	64
#define READ_TIMES	16

/* One record: its length, or 0 where it is not all there */
static size_t take_record(struct vsmmu *v, struct veventq *q, const char *buf,
			  size_t len)
{
	struct vevent_header header;
	bool lost;

	if (len < sizeof(header))
		return 0;
	memcpy(&header, buf, sizeof(header));
	lost = header.flags & VEVENT_LOST;
	if (!lost && len < VEVENT_SIZE)
		return 0;

	/* Where records were lost amid others, only the sequence shows it. */
	if (lost || (q->seen && ((header.sequence - q->sequence) &
				 VEVENT_SEQUENCE) != 1))
		eventq_overflow(v);
	q->seen = true;
	q->sequence = header.sequence;
	if (lost)
		return sizeof(header);
	eventq_put(v, buf + sizeof(header));
	return VEVENT_SIZE;
}

/* Returns how many records were taken, or a negative errno. */
static int veventq_drain(struct vsmmu *v, struct veventq *q)
{
	char buf[READ_EVENTS * VEVENT_SIZE];
	int times, taken = 0;
	ssize_t n, at;
	size_t len;

	for (times = 0; times < READ_TIMES; times++) {
		n = v->kernel->read(v->kernel_data, q->fd, buf, sizeof(buf));
		if (!n || n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0)
			return n;
		for (at = 0; at < n; at += len) {
			len = take_record(v, q, buf + at, n - at);
			if (!len)
				return -EPROTO;
			taken++;
		}
	}
	return taken;
}

static int drain_all(struct vsmmu *v)
{
	int taken = 0, first = 0, rc;
	unsigned int i;

	for (i = 0; i < v->veventq_num; i++) {
		rc = veventq_drain(v, &v->veventq[i]);
		if (rc >= 0)
			taken += rc;
		else if (!first)
			first = fail_plain(v, rc);
	}
	return first ? first : taken;
}

int vsmmu_poll_events(struct vsmmu *v)
{
	int rc;

	lock(v);
	rc = drain_all(v);
	unlock(v);
	return rc;
}

int vsmmu_inject_event(struct vsmmu *v, const __le64 event[4])
{
	lock(v);
	eventq_put(v, event);
	unlock(v);
	return 0;
}

/* The machine's life */

int vsmmu_reset(struct vsmmu *v)
{
	int rc = -ENXIO;

	lock(v);
	if (v->started) {
		regs_reset(v);
		/* With EVENTQEN clear: what was for the guest before is dropped. */
		drain_all(v);
		rc = work(v);
	}
	unlock(v);
	return rc;
}

/* Where struct vsmmu_state has which register, in a field of the register's size */
#define SAVED(_reg, _field)	{ _reg, offsetof(struct vsmmu_state, _field) }

static const struct {
	__u8 reg;
	__u16 at;
} saved[] = {
	SAVED(REG_IDR0, idr[0]), SAVED(REG_IDR1, idr[1]),
	SAVED(REG_IDR2, idr[2]), SAVED(REG_IDR3, idr[3]),
	SAVED(REG_IDR4, idr[4]), SAVED(REG_IDR5, idr[5]),
	SAVED(REG_IIDR, iidr),
	SAVED(REG_AIDR, aidr),
	SAVED(REG_CR0, cr0),
	SAVED(REG_CR0ACK, cr0ack),
	SAVED(REG_CR1, cr1),
	SAVED(REG_CR2, cr2),
	SAVED(REG_GBPA, gbpa),
	SAVED(REG_IRQ_CTRL, irq_ctrl),
	SAVED(REG_GERROR, gerror),
	SAVED(REG_GERRORN, gerrorn),
	SAVED(REG_STRTAB_BASE, strtab_base),
	SAVED(REG_STRTAB_BASE_CFG, strtab_base_cfg),
	SAVED(REG_CMDQ_BASE, cmdq_base),
	SAVED(REG_CMDQ_PROD, cmdq_prod),
	SAVED(REG_CMDQ_CONS, cmdq_cons),
	SAVED(REG_EVENTQ_BASE, eventq_base),
	SAVED(REG_EVENTQ_PROD, eventq_prod),
	SAVED(REG_EVENTQ_CONS, eventq_cons),
};

static void state_put(struct vsmmu_state *state, unsigned int i, __u64 value)
{
	char *at = (char *)state + saved[i].at;

	if (regs[saved[i].reg].size == sizeof(__u64))
		*(__u64 *)at = value;
	else
		*(__u32 *)at = value;
}

static __u64 state_get(const struct vsmmu_state *state, unsigned int i)
{
	const char *at = (const char *)state + saved[i].at;

	if (regs[saved[i].reg].size == sizeof(__u64))
		return *(const __u64 *)at;
	return *(const __u32 *)at;
}

static_assert(sizeof(struct vsmmu_state) == 120, "it has padding, or has changed");

int vsmmu_save(struct vsmmu *v, struct vsmmu_state *state)
{
	int rc = -ENXIO;
	unsigned int i;

	*state = (struct vsmmu_state){ .version = VSMMU_STATE_VERSION };
	lock(v);
	if (v->started) {
		for (i = 0; i < ARRAY_SIZE(saved); i++)
			state_put(state, i, v->reg[saved[i].reg]);
		rc = 0;
	}
	unlock(v);
	return rc;
}

/*
 * Whether a vSMMU with the state's ID registers can be in that state. The ID
 * registers themselves are for the kernel to judge, except for the sizes of
 * queues, with which the library counts.
 */
static bool state_is_valid(const struct vsmmu_state *state)
{
	bool cmdq_err = (state->gerror ^ state->gerrorn) & GERROR_CMDQ_ERR;
	__u32 cerror = FIELD_GET(CMDQ_CONS_ERR, state->cmdq_cons);
	unsigned int i;

	if (state->version != VSMMU_STATE_VERSION || state->__reserved ||
	    state->__reserved2)
		return false;
	if (FIELD_GET(IDR1_CMDQS, state->idr[1]) > QUEUE_BITS_MAX ||
	    FIELD_GET(IDR1_EVENTQS, state->idr[1]) > QUEUE_BITS_MAX)
		return false;
	for (i = 0; i < ARRAY_SIZE(saved); i++)
		if (state_get(state, i) & ~bits_by_idr(saved[i].reg, state->idr[0],
						       state->idr[5]))
			return false;
	if ((state->cr0 ^ state->cr0ack) & ~CR0_KERNEL)
		return false;
	return cerror <= CERROR_MAX && cmdq_err == (cerror != 0);
}

/* Whether a state is one of a vSMMU that offers what this one offers */
static bool ids_match(struct vsmmu *v, const struct vsmmu_state *state)
{
	unsigned int i;

	for (i = 0; saved[i].reg < REG_CR0; i++)
		if (state_get(state, i) != v->reg[saved[i].reg])
			return false;
	return true;
}

/*
 * The edge for what stands in the registers may have been lost on the way here;
 * one too many does no harm.
 */
static void raise_standing(struct vsmmu *v)
{
	__u64 irqs = v->reg[REG_IRQ_CTRL];

	if ((irqs & IRQ_CTRL_EVENTQ) &&
	    ((v->reg[REG_EVENTQ_PROD] ^ v->reg[REG_EVENTQ_CONS]) & QUEUE_INDEX))
		raise_irq(v, VSMMU_IRQ_EVENTQ);
	if ((irqs & IRQ_CTRL_GERROR) && active_errors(v))
		raise_irq(v, VSMMU_IRQ_GERROR);
}

/* A state that is valid becomes the vSMMU's. */
static void load_state(struct vsmmu *v, const struct vsmmu_state *state)
{
	unsigned int i;

	regs_reset(v);
	for (i = 0; i < ARRAY_SIZE(saved); i++)
		reg_set(v, saved[i].reg, state_get(state, i));
	reg_set(v, REG_IRQ_CTRLACK, state->irq_ctrl);
	raise_standing(v);
}

int vsmmu_restore(struct vsmmu *v, const struct vsmmu_state *state)
{
	int rc;

	lock(v);
	if (!v->started) {
		rc = -ENXIO;
	} else if (!state_is_valid(state) || !ids_match(v, state)) {
		rc = fail_plain(v, -EINVAL);
	} else {
		load_state(v, state);
		rc = work(v);
	}
	unlock(v);
	return rc;
}

/* Streams */

static int attach(struct vsmmu *v, int vfio_fd, __u32 vsid, __u32 flags,
		  __u32 s2_hwpt_id, struct smmuv3_accel_attach *info)
{
	struct vsmmu_error error;
	int rc;

	*info = (struct smmuv3_accel_attach){
		.size = sizeof(*info),
		.flags = flags,
		.vfio_fd = vfio_fd,
		.vsid = vsid,
		.s2_hwpt_id = s2_hwpt_id,
	};
	rc = call(v, SMMUV3_ACCEL_ATTACH, info);
	if (!rc)
		return 0;
	error = (struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_ATTACH,
		.reason = info->out_reason,
		.vsid = vsid,
	};
	memcpy(error.bad_idr, info->out_bad_idr, sizeof(error.bad_idr));
	return fail(v, &error);
}

static int detach(struct vsmmu *v, __u32 vsid)
{
	struct smmuv3_accel_detach arg = { .size = sizeof(arg), .vsid = vsid };
	int rc = call(v, SMMUV3_ACCEL_DETACH, &arg);

	if (!rc)
		return 0;
	return fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_DETACH,
		.reason = arg.out_reason,
		.vsid = vsid,
	});
}

/*
 * A physical SMMU is known from the first ATTACH behind it on, and the ID
 * registers can be set only while no stream is attached.
 */
int vsmmu_probe(struct vsmmu *v, int vfio_fd, __u32 s2_hwpt_id)
{
	struct smmuv3_accel_attach info;
	int rc;

	lock(v);
	if (v->started) {
		rc = fail_plain(v, -EBUSY);
	} else {
		rc = attach(v, vfio_fd, 0, 0, s2_hwpt_id, &info);
		if (!rc)
			rc = detach(v, 0);
	}
	unlock(v);
	return rc;
}

int vsmmu_attach(struct vsmmu *v, int vfio_fd, __u32 vsid, __u32 flags,
		 __u32 s2_hwpt_id, struct smmuv3_accel_attach *info)
{
	struct smmuv3_accel_attach scratch;
	int rc;

	lock(v);
	if (!v->started) {
		rc = fail_plain(v, -ENXIO);
	} else if (v->stream_num == v->stream_max) {
		rc = fail(v, &(struct vsmmu_error){
			.error = -ENOSPC,
			.reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS,
			.vsid = vsid,
		});
	} else {
		rc = attach(v, vfio_fd, vsid, flags, s2_hwpt_id,
			    info ? info : &scratch);
		if (!rc)
			v->vsid[v->stream_num++] = vsid;
	}
	unlock(v);
	return rc;
}

int vsmmu_detach(struct vsmmu *v, __u32 vsid)
{
	__u32 i;
	int rc;

	lock(v);
	rc = detach(v, vsid);
	for (i = 0; !rc && i < v->stream_num; i++) {
		if (v->vsid[i] != vsid)
			continue;
		v->vsid[i] = v->vsid[--v->stream_num];
		break;
	}
	unlock(v);
	return rc;
}

/* ID registers */

static int default_idr(struct vsmmu *v, const struct vsmmu_options *options,
		       __u32 idr[6])
{
	struct smmuv3_accel_phys phys[MAX_PHYS];
	__u32 num;
	int rc;

	for (num = 0; num < MAX_PHYS; num++) {
		phys[num] = (struct smmuv3_accel_phys){
			.size = sizeof(phys[num]),
			.index = num,
		};
		rc = call(v, SMMUV3_ACCEL_GET_PHYS, &phys[num]);
		if (rc == -ENOENT)
			break;
		if (rc)
			return fail(v, &(struct vsmmu_error){
				.error = rc,
				.request = SMMUV3_ACCEL_GET_PHYS,
			});
	}
	rc = vsmmu_compute_idr(phys, num, options, idr);
	return rc ? fail_plain(v, rc) : 0;
}

static const struct vsmmu_options no_options;

int vsmmu_default_idr(struct vsmmu *v, const struct vsmmu_options *options,
		      __u32 idr[6])
{
	int rc;

	lock(v);
	rc = default_idr(v, options ? options : &no_options, idr);
	unlock(v);
	return rc;
}

static int set_idr(struct vsmmu *v, const __u32 idr[6])
{
	struct smmuv3_accel_set_idr arg = { .size = sizeof(arg) };
	struct vsmmu_error error;
	int rc;

	memcpy(arg.idr, idr, sizeof(arg.idr));
	rc = call(v, SMMUV3_ACCEL_SET_IDR, &arg);
	if (!rc)
		return 0;
	error = (struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_SET_IDR,
		.reason = arg.out_reason,
	};
	memcpy(error.bad_idr, arg.out_bad_idr, sizeof(error.bad_idr));
	return fail(v, &error);
}

static __u32 reset_gbpa(const struct vsmmu_options *options)
{
	return options->flags & VSMMU_OPT_RESET_ABORT ? GBPA_ABORT : 0;
}

static int start(struct vsmmu *v, const struct vsmmu_options *options)
{
	__u32 idr[6];
	int i, rc;

	if (v->started)
		return fail_plain(v, -EBUSY);
	rc = default_idr(v, options, idr);
	if (!rc)
		rc = set_idr(v, idr);
	if (rc)
		return rc;
	for (i = 0; i < 6; i++)
		reg_set(v, REG_IDR0 + i, idr[i]);
	reg_set(v, REG_IIDR, options->iidr);
	reg_set(v, REG_AIDR, options->aidr ? options->aidr :
			     idr[3] & IDR3_RIL ? AIDR_SMMUV3_2 : 0);
	v->reset_gbpa = reset_gbpa(options);
	regs_reset(v);
	rc = work(v);
	v->started = !rc;
	return rc;
}

int vsmmu_start(struct vsmmu *v, const struct vsmmu_options *options)
{
	int rc;

	lock(v);
	rc = start(v, options ? options : &no_options);
	unlock(v);
	return rc;
}

/*
 * The kernel has the registers already, and takes them again without a change
 * for any stream; what it does not have is the change that was under way.
 */
static int resume(struct vsmmu *v, const struct vsmmu_options *options,
		  const struct vsmmu_state *state, const __u32 *vsids,
		  __u32 num)
{
	if (v->started)
		return fail_plain(v, -EBUSY);
	if (!(v->flags & VSMMU_CONFIG_CHANGE_PROCESS) || !state_is_valid(state))
		return fail_plain(v, -EINVAL);
	if (num > v->stream_max)
		return fail_plain(v, -ENOSPC);
	if (num)
		memcpy(v->vsid, vsids, num * sizeof(*vsids));
	v->stream_num = num;
	v->reset_gbpa = reset_gbpa(options);
	load_state(v, state);
	v->want_reset = false;
	v->started = true;
	return work(v);
}

int vsmmu_resume(struct vsmmu *v, const struct vsmmu_options *options,
		 const struct vsmmu_state *state, const __u32 *vsids, __u32 num)
{
	int rc;

	lock(v);
	rc = resume(v, options ? options : &no_options, state, vsids, num);
	unlock(v);
	return rc;
}

/* Making and unmaking */

static bool regions_are_valid(const struct vsmmu_region *regions, __u32 num)
{
	__u32 i;

	if (num > VSMMU_MAX_REGIONS)
		return false;
	for (i = 0; i < num; i++)
		if ((regions[i].flags & ~REGION_FLAGS) || regions[i].__reserved)
			return false;
	return true;
}

static int set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		      __u32 num)
{
	struct smmuv3_accel_mem_table arg = {
		.size = sizeof(arg),
		.region_num = num,
		.regions_uptr = (uintptr_t)v->table,
	};
	__u32 i;
	int rc;

	if (!regions_are_valid(regions, num))
		return fail_plain(v, -EINVAL);
	/* The kernel only reads guest memory, so it has no such flag. */
	for (i = 0; i < num; i++)
		v->table[i] = (struct smmuv3_accel_mem_region){
			.gpa = regions[i].gpa,
			.size = regions[i].size,
			.uaddr = regions[i].uaddr,
		};
	rc = call(v, SMMUV3_ACCEL_SET_MEM_TABLE, &arg);
	if (rc)
		return fail(v, &(struct vsmmu_error){
			.error = rc,
			.request = SMMUV3_ACCEL_SET_MEM_TABLE,
		});
	if (num)
		memcpy(v->region, regions, num * sizeof(*regions));
	v->region_num = num;
	return 0;
}

int vsmmu_set_memory(struct vsmmu *v, const struct vsmmu_region *regions,
		     __u32 num)
{
	int rc;

	lock(v);
	rc = set_memory(v, regions, num);
	unlock(v);
	return rc;
}

int vsmmu_set_irqfd(struct vsmmu *v, enum vsmmu_irq line, int fd)
{
	if ((unsigned int)line >= VSMMU_IRQ_NUM)
		return -EINVAL;
	lock(v);
	v->irqfd[line] = fd;
	unlock(v);
	return 0;
}

/* Shared memory at a multiple of the guest's largest page, for a memory slot. */
static int map_page(struct vsmmu *v)
{
	const size_t room = VSMMU_REGS_SIZE + VSMMU_PAGE_SIZE;
	int rc = 0, memfd;
	char *map, *at;

	map = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	at = map + (-(uintptr_t)map & (VSMMU_PAGE_SIZE - 1));
	memfd = memfd_create("vsmmu", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, VSMMU_REGS_SIZE) ||
	    mmap(at, VSMMU_REGS_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, memfd, 0) == MAP_FAILED)
		rc = -errno;
	if (memfd >= 0)
		close(memfd);
	if (rc) {
		munmap(map, room);
		return rc;
	}
	if (at != map)
		munmap(map, at - map);
	if (at + VSMMU_REGS_SIZE != map + room)
		munmap(at + VSMMU_REGS_SIZE, map + room - at - VSMMU_REGS_SIZE);
	v->page = at;
	v->own_page = true;
	return 0;
}

static int get_page(struct vsmmu *v, void *regs_memory)
{
	int rc;

	v->page = regs_memory;
	if (regs_memory)
		return 0;
	rc = map_page(v);
	return rc ? fail_plain(v, rc) : 0;
}

static int get_accel(struct vsmmu *v, int accel_fd)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	int rc;

	v->fd = accel_fd;
	if (v->fd < 0) {
		v->fd = v->kernel->open(v->kernel_data, "/dev/smmuv3-accel");
		if (v->fd < 0)
			return fail_plain(v, v->fd);
		v->own_fd = true;
	}
	rc = call(v, SMMUV3_ACCEL_GET_INFO, &info);
	if (rc)
		return fail(v, &(struct vsmmu_error){
			.error = rc,
			.request = SMMUV3_ACCEL_GET_INFO,
		});
	v->max_batch = info.out_max_batch;
	v->stream_max = info.out_max_streams;
	v->vsid = calloc(v->stream_max, sizeof(*v->vsid));
	if (v->feed) {
		v->feed_room = v->max_batch;
		v->feed_cmds = calloc(v->feed_room, sizeof(*v->feed_cmds));
	}
	return v->vsid && (v->feed_cmds || !v->feed) ? 0 : fail_plain(v, -ENOMEM);
}

static int change_process(struct vsmmu *v, int iommufd)
{
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = iommufd,
	};
	int rc = call(v, SMMUV3_ACCEL_CHANGE_PROCESS, &arg);

	if (!rc)
		return 0;
	return fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_CHANGE_PROCESS,
		.reason = arg.out_reason,
	});
}

static int create(struct vsmmu *v, const struct vsmmu_config *config)
{
	struct smmuv3_accel_create arg = {
		.size = sizeof(arg),
		.flags = config->create_flags |
			 (v->feed ? SMMUV3_ACCEL_CREATE_FEED : 0),
		.iommufd = config->iommufd,
		.ioas_id = config->ioas_id,
	};
	int rc = call(v, SMMUV3_ACCEL_CREATE, &arg);

	if (!rc)
		return 0;
	return fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_CREATE,
		.reason = arg.out_reason,
	});
}

/*
 * Before anything is done: after CHANGE_PROCESS the process that had the vSMMU
 * has it no longer.
 */
static int check_config(struct vsmmu *v, const struct vsmmu_config *config)
{
	bool take_over = config->flags & VSMMU_CONFIG_CHANGE_PROCESS;

	if ((config->flags & ~CONFIG_FLAGS) ||
	    (take_over && config->accel_fd < 0) ||
	    (uintptr_t)config->regs % VSMMU_PAGE_SIZE ||
	    !regions_are_valid(config->regions, config->region_num))
		return fail_plain(v, -EINVAL);
	if (take_over && config->iommufd < 0)
		return fail(v, &(struct vsmmu_error){
			.error = -EINVAL,
			.request = SMMUV3_ACCEL_CHANGE_PROCESS,
			.reason = SMMUV3_ACCEL_REASON_NOT_IOMMUFD,
		});
	return 0;
}

/* Make the kernel's part: a vSMMU of this process, with memory */
static int bind_accel(struct vsmmu *v, const struct vsmmu_config *config)
{
	int rc;

	if (config->flags & VSMMU_CONFIG_CHANGE_PROCESS)
		rc = change_process(v, config->iommufd);
	else
		rc = create(v, config);
	return rc ? rc : set_memory(v, config->regions, config->region_num);
}

int vsmmu_new(const struct vsmmu_config *config, struct vsmmu **out,
	      struct vsmmu_error *error)
{
	struct vsmmu *v;
	int i, rc;

	*out = NULL;
	if (error)
		*error = (struct vsmmu_error){ .error = -ENOMEM };
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->turn, NULL);
	pthread_mutex_init(&v->lock, NULL);
	v->kernel = config->kernel ? config->kernel : &the_kernel;
	v->kernel_data = config->kernel_data;
	v->flags = config->flags;
	v->raise = config->raise;
	v->feed = config->feed;
	v->opaque = config->opaque;
	v->fd = -1;
	for (i = 0; i < VSMMU_IRQ_NUM; i++)
		v->irqfd[i] = -1;

	rc = check_config(v, config);
	if (!rc)
		rc = get_page(v, config->regs);
	if (!rc)
		rc = get_accel(v, config->accel_fd);
	if (!rc)
		rc = bind_accel(v, config);
	if (error)
		*error = v->error;
	if (rc) {
		vsmmu_free(v);
		return rc;
	}
	/* Not before: the VMM's memory may still be the guest's registers. */
	if (config->regs)
		memset(config->regs, 0, VSMMU_REGS_SIZE);
	*out = v;
	return 0;
}

void vsmmu_free(struct vsmmu *v)
{
	if (!v)
		return;
	if (v->own_fd)
		v->kernel->close(v->kernel_data, v->fd);
	if (v->own_page)
		munmap(v->page, VSMMU_REGS_SIZE);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->turn);
	free(v->feed_cmds);
	free(v->vsid);
	free(v);
}

int vsmmu_fd(struct vsmmu *v)
{
	return v->fd;
}

void vsmmu_get_counters(struct vsmmu *v, struct vsmmu_counters *counters)
{
	lock(v);
	*counters = v->counters;
	unlock(v);
}

void vsmmu_last_error(struct vsmmu *v, struct vsmmu_error *error)
{
	lock(v);
	*error = v->error;
	unlock(v);
}
