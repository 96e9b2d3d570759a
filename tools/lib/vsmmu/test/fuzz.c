// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A guest, a kernel and a sender of events that do anything, driven by bytes:
 * libFuzzer's, or those of fuzz-main.c. After each step the registers have to be
 * what no guest and no kernel can make them not be.
 */
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vsmmu.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

#define RAM_BASE	0x80000000ULL
#define RAM_PIECE	0x300
#define RAM_PIECES	3

/**
 * struct fuzz - One run
 * @data: the bytes that are left
 * @size: how many
 * @v: the vSMMU
 * @ram: memory of the guest, each piece an allocation of its own
 * @calls: into the kernel, since the step began
 */
struct fuzz {
	const unsigned char *data;
	size_t size;
	struct vsmmu *v;
	char *ram[RAM_PIECES];
	unsigned int calls;
};

#define check(condition)						\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: not: %s\n", __FILE__,	\
				__LINE__, #condition);			\
			abort();					\
		}							\
	} while (0)

static void take_bytes(struct fuzz *f, void *to, size_t len)
{
	size_t part = len < f->size ? len : f->size;

	memset(to, 0, len);
	if (part)
		memcpy(to, f->data, part);
	f->data += part;
	f->size -= part;
}

static __u64 take(struct fuzz *f, size_t len)
{
	__u64 value = 0;

	take_bytes(f, &value, len);
	return value;
}

/* The kernel. Without bytes left it does as it is told. */

static int fuzz_rc(struct fuzz *f)
{
	static const int errnos[] = {
		0, 0, 0, 0, 0, -EINTR, -ENOMEM, -EIO, -EBUSY, -ENODEV, -EINVAL,
	};

	return errnos[take(f, 1) % ARRAY_LEN(errnos)];
}

static int fuzz_run(struct fuzz *f, struct smmuv3_accel_run_cmdq *run)
{
	unsigned char how = take(f, 1);
	int rc = fuzz_rc(f);

	run->out_reason = take(f, 1);
	if (how < 0x40) {
		run->cons = run->prod;
	} else if (how < 0xf0) {
		run->cons += how & 7;
		run->out_error = how >> 3 & 3;
		run->out_flags = how >> 5 & 3;
	} else {
		run->cons = take(f, 4);
		run->out_error = take(f, 2);
		run->out_flags = take(f, 1);
	}
	return rc;
}

static int fuzz_ioctl(void *data, int fd, unsigned long request, void *arg)
{
	struct smmuv3_accel_stream *stream = arg;
	struct smmuv3_accel_reset *reset = arg;
	struct smmuv3_accel_set_regs *regs = arg;
	struct smmuv3_accel_info *info = arg;
	struct fuzz *f = data;

	(void)fd;
	/* Each ioctl makes progress, is interrupted for a while, or is the last. */
	check(++f->calls < 1000000);
	switch (request) {
	case SMMUV3_ACCEL_GET_INFO:
		info->out_max_streams = 4;
		info->out_max_batch = 16;
		return 0;
	case SMMUV3_ACCEL_GET_STREAM:
		stream->out_reason = take(f, 1);
		return fuzz_rc(f);
	case SMMUV3_ACCEL_RESET:
		reset->out_reason = take(f, 1);
		return fuzz_rc(f);
	case SMMUV3_ACCEL_SET_REGS:
		regs->out_reason = take(f, 1);
		return fuzz_rc(f);
	case SMMUV3_ACCEL_RUN_CMDQ:
		return fuzz_run(f, arg);
	case SMMUV3_ACCEL_ATTACH:
	case SMMUV3_ACCEL_DETACH:
		return fuzz_rc(f);
	default:
		return 0;
	}
}

static int fuzz_open(void *data, const char *path)
{
	(void)data;
	(void)path;
	return 0;
}

static void fuzz_close(void *data, int fd)
{
	(void)data;
	(void)fd;
}

static ssize_t fuzz_read(void *data, int fd, void *buf, size_t len)
{
	struct fuzz *f = data;
	size_t n = take(f, 1) * 8;

	(void)fd;
	if (n > len)
		return fuzz_rc(f);
	take_bytes(f, buf, n);
	return n;
}

static void fuzz_clean(void *data, const volatile void *line)
{
	(void)data;
	(void)*(const volatile char *)line;
}

static const struct vsmmu_kernel fuzz_kernel = {
	.open = fuzz_open,
	.close = fuzz_close,
	.ioctl = fuzz_ioctl,
	.read = fuzz_read,
	.clean = fuzz_clean,
};

/* Registers, and what holds for them */

static const __u32 offsets[] = {
	0x20, 0x28, 0x2c, 0x44, 0x50, 0x60, 0x64, 0x68, 0x80, 0x84, 0x88, 0x90,
	0x94, 0x98, 0x9c, 0xa0, 0xa4, 0xb0, 0x100a8, 0x100ac, 0x00, 0x24,
};

#define CMDQEN		8U
#define EVENTQEN	4U
#define KERNEL		9U	/* SMMUEN, CMDQEN */
#define CMDQ_ERR	1U

static __u32 reg(struct fuzz *f, __u64 offset)
{
	const char *page = vsmmu_page(f->v, 0);
	__u32 published;
	__u64 value;

	check(!vsmmu_read(f->v, offset, &value, 4));
	memcpy(&published, page + offset, sizeof(published));
	check(published == value);
	return value;
}

static void check_invariants(struct fuzz *f)
{
	__u32 cr0 = reg(f, 0x20), ack = reg(f, 0x24), cons = reg(f, 0x9c);
	__u32 mask, num, bits = reg(f, 0x90) & 0x1f;
	size_t i;

	for (i = 0; i < ARRAY_LEN(offsets); i++)
		reg(f, offsets[i]);
	check(!((cr0 ^ ack) & ~KERNEL));
	check(reg(f, 0x50) == reg(f, 0x54));
	check(((reg(f, 0x60) ^ reg(f, 0x64)) & CMDQ_ERR) == (cons >> 24 != 0));
	check(cons >> 24 <= 3);
	check(!(reg(f, 0x60) & ~0x5U));

	/* With no bytes left the kernel is willing: nothing is left to do. */
	if (f->size)
		return;
	f->calls = 0;
	check(!vsmmu_kick(f->v));
	check(reg(f, 0x20) == reg(f, 0x24));
	check(!(reg(f, 0x44) & 1U << 31));
	cons = reg(f, 0x9c);
	mask = (2U << (bits < 19 ? bits : 19)) - 1;
	num = (reg(f, 0x98) - cons) & mask;
	check(!(reg(f, 0x20) & CMDQEN) || cons >> 24 || !num ||
	      num > mask / 2 + 1);
}

static void set_memory(struct fuzz *f, unsigned int which)
{
	struct smmuv3_accel_mem_region regions[RAM_PIECES];
	unsigned int i, num = 0;

	for (i = 0; i < RAM_PIECES; i++) {
		if (!(which & 1U << i))
			continue;
		regions[num++] = (struct smmuv3_accel_mem_region){
			.gpa = RAM_BASE + i * RAM_PIECE,
			.size = RAM_PIECE,
			.uaddr = (__u64)(unsigned long)f->ram[i],
		};
	}
	check(!vsmmu_set_memory(f->v, regions, num));
}

/* A value that means something, often */
static __u64 take_value(struct fuzz *f)
{
	switch (take(f, 1) & 3) {
	case 0:
		return take(f, 8);
	case 1:
		return RAM_BASE | take(f, 2);
	default:
		return take(f, 1);
	}
}

static void restore(struct fuzz *f)
{
	struct vsmmu_state before, state, after;
	unsigned int i, flips = take(f, 1) % 4;
	int rc;

	check(!vsmmu_save(f->v, &before));
	state = before;
	for (i = 0; i < flips; i++)
		((unsigned char *)&state)[take(f, 1) % sizeof(state)] =
			take(f, 1);
	rc = vsmmu_restore(f->v, &state);
	check(!vsmmu_save(f->v, &after));
	/* What was a state once is one for ever. */
	check(rc != -EINVAL || flips);
	check(rc != -EINVAL || !memcmp(&before, &after, sizeof(after)));
}

static void step(struct fuzz *f)
{
	__le64 event[4];
	__u64 value;
	__u32 offset;

	f->calls = 0;
	switch (take(f, 1) % 16) {
	case 0 ... 5:
		offset = offsets[take(f, 1) % ARRAY_LEN(offsets)];
		value = take_value(f);
		vsmmu_write(f->v, offset, value, take(f, 1) & 1 ? 8 : 4);
		break;
	case 6:
		vsmmu_write(f->v, take(f, 3), take_value(f), take(f, 1));
		break;
	case 7:
		vsmmu_read(f->v, take(f, 8), &value, take(f, 1));
		break;
	case 8:
		vsmmu_doorbell(f->v, take(f, 1));
		break;
	case 9:
		vsmmu_kick(f->v);
		break;
	case 10:
		take_bytes(f, event, sizeof(event));
		check(!vsmmu_inject_event(f->v, event));
		break;
	case 11:
		vsmmu_poll_events(f->v);
		break;
	case 12:
		restore(f);
		break;
	case 13:
		set_memory(f, take(f, 1));
		break;
	case 14:
		if (take(f, 1) & 1)
			vsmmu_attach(f->v, 3, take(f, 1) % 8, 0, NULL);
		else
			vsmmu_detach(f->v, take(f, 1) % 8);
		break;
	default:
		if (take(f, 1) < 16)
			vsmmu_reset(f->v);
		break;
	}
}

static void on_irq(void *opaque, enum vsmmu_irq line)
{
	struct fuzz *f = opaque;
	__u64 value;

	check(line < VSMMU_IRQ_NUM);
	check(!vsmmu_read(f->v, 0x60, &value, 4));
}

static alignas(VSMMU_PAGE_SIZE) char pages[VSMMU_REGS_SIZE];

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct vsmmu_options options = {
		.flags = VSMMU_OPT_IDR,
		/* ATS and 2-level tables; queues up to 2^19; 44 bits */
		.idr = { 0x0d48141a, 19 << 21 | 19 << 16 | 16, 0, 0x1c00, 0, 0x74 },
	};
	struct vsmmu_config config = VSMMU_CONFIG_INIT;
	struct fuzz f = { .data = data, .size = 0 };
	int i;

	config.regs = pages;
	config.flags = VSMMU_CONFIG_CLEAN;
	config.kernel = &fuzz_kernel;
	config.kernel_data = &f;
	config.raise = on_irq;
	config.opaque = &f;
	check(!vsmmu_new(&config, &f.v, NULL));
	for (i = 0; i < RAM_PIECES; i++) {
		f.ram[i] = malloc(RAM_PIECE);
		check(f.ram[i]);
	}
	check(!vsmmu_start(f.v, &options));
	set_memory(&f, 7);
	check(!vsmmu_add_veventq(f.v, 1));

	f.size = size;
	do {
		step(&f);
		check_invariants(&f);
	} while (f.size);

	vsmmu_free(f.v);
	for (i = 0; i < RAM_PIECES; i++)
		free(f.ram[i]);
	return 0;
}
