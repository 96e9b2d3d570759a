// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A guest, a kernel and a sender of events that do anything, driven by bytes from
 * libFuzzer or fuzz-main.c. The VMM has emulated endpoints. After each step, check
 * rules for the registers that no guest and no kernel can break.
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
#define BATCH		64
#define STREAMS		4

/**
 * struct fuzz - One run
 * @data: the bytes that are left
 * @size: how many
 * @v: the vSMMU
 * @ram: memory of the guest, each piece an allocation of its own
 * @was: what was in there when it was made read-only
 * @readonly: bits of the pieces that are read-only
 * @calls: into the kernel, since the step began
 * @cons: CMDQ_CONS when the queue ran last
 */
struct fuzz {
	const unsigned char *data;
	size_t size;
	struct vsmmu *v;
	char *ram[RAM_PIECES];
	char was[RAM_PIECES][RAM_PIECE];
	unsigned int readonly;
	unsigned int calls;
	uint32_t cons;
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

static uint64_t take(struct fuzz *f, size_t len)
{
	uint64_t value = 0;

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

/* What the guest can see at this time, from anywhere */
static uint32_t published(struct fuzz *f, uint64_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)vsmmu_page(f->v, 0) + offset, sizeof(value));
	return value;
}

/* Bits of the command queue's indices that count */
static uint32_t cmdq_mask(struct fuzz *f)
{
	uint32_t bits = published(f, 0x90) & 0x1f;

	return (2U << (bits < 19 ? bits : 19)) - 1;
}

static int fuzz_run(struct fuzz *f, struct smmuv3_accel_run_cmdq *run)
{
	unsigned char how = take(f, 1);
	const uint32_t cons = run->cons;
	const uint32_t num = (run->prod - cons) & cmdq_mask(f);
	int rc = fuzz_rc(f);

	check(run->max_cmds && run->max_cmds <= BATCH);
	check(run->feed_num == BATCH && run->bad_num == STREAMS);
	take_bytes(f, (void *)(unsigned long)run->bad_uptr,
		   take(f, 1) % (STREAMS * sizeof(struct smmuv3_accel_bad_ste)));
	run->bad_num = 0;
	memset((void *)(unsigned long)run->feed_uptr, how, BATCH * sizeof(struct vsmmu_cmd));
	run->feed_num = 0;
	f->cons = published(f, 0x9c);
	run->out_reason = take(f, 1);
	if (how < 0x40) {
		run->cons += num < run->max_cmds ? num : run->max_cmds;
		run->feed_num = how & 1 ? run->cons - cons : 0;
	} else if (how < 0xf0) {
		run->cons += how & 7;
		run->out_error = how >> 3 & 3;
		run->out_flags = take(f, 1) & 31;
		run->feed_num = take(f, 1) & 7;
		run->bad_num = take(f, 1) % (STREAMS + 2);
	} else {
		run->cons = how & 1 ? run->cons + take(f, 1) : take(f, 4);
		run->out_error = how & 2 ? 0 : take(f, 2);
		run->out_flags = take(f, 1);
		run->feed_num = how & 4 ? run->cons - cons : take(f, 4);
		run->bad_num = take(f, 4);
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
		info->out_max_streams = STREAMS;
		info->out_max_batch = BATCH;
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
	case SMMUV3_ACCEL_SET_VSIDS:
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

static int fuzz_identify(void *data, int fd)
{
	(void)data;
	(void)fd;
	return VSMMU_FD_VEVENTQ;
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
	.identify = fuzz_identify,
	.clean = fuzz_clean,
};

/* Registers, and what holds for them */

static const uint32_t offsets[] = {
	0x20, 0x28, 0x2c, 0x44, 0x50, 0x60, 0x64, 0x68, 0x70, 0x74, 0x80, 0x84,
	0x88, 0x90, 0x94, 0x98, 0x9c, 0xa0, 0xa4, 0xb0, 0xb8, 0xbc, 0x100a8,
	0x100ac, 0x00, 0x24,
};

#define CMDQEN		8U
#define EVENTQEN	4U
#define KERNEL		9U	/* SMMUEN, CMDQEN */
#define CMDQ_ERR	1U

static uint32_t reg(struct fuzz *f, uint64_t offset)
{
	uint64_t value;

	check(!vsmmu_read(f->v, offset, &value, 4));
	check(published(f, offset) == value);
	return value;
}

static void check_invariants(struct fuzz *f)
{
	uint32_t cr0 = reg(f, 0x20), ack = reg(f, 0x24), cons = reg(f, 0x9c);
	uint32_t mask, num;
	size_t i;

	for (i = 0; i < ARRAY_LEN(offsets); i++)
		reg(f, offsets[i]);
	check(!((cr0 ^ ack) & ~KERNEL));
	check(reg(f, 0x50) == reg(f, 0x54));
	check(((reg(f, 0x60) ^ reg(f, 0x64)) & CMDQ_ERR) == (cons >> 24 != 0));
	check(cons >> 24 <= 3);
	check(!(reg(f, 0x60) & ~0xb5U));
	for (i = 0; i < RAM_PIECES; i++)
		check(!(f->readonly & 1U << i) ||
		      !memcmp(f->ram[i], f->was[i], RAM_PIECE));

	/* With no bytes left the kernel is willing: nothing is left to do. */
	if (f->size)
		return;
	f->calls = 0;
	check(!vsmmu_kick(f->v));
	check(reg(f, 0x20) == reg(f, 0x24));
	check(!(reg(f, 0x44) & 1U << 31));
	cons = reg(f, 0x9c);
	mask = cmdq_mask(f);
	num = (reg(f, 0x98) - cons) & mask;
	check(!(reg(f, 0x20) & CMDQEN) || cons >> 24 || !num ||
	      num > mask / 2 + 1);
}

/* @which: bits of the pieces that there are, then of those that are read-only */
static void set_memory(struct fuzz *f, unsigned int which)
{
	struct vsmmu_region regions[RAM_PIECES];
	unsigned int i, num = 0;

	f->readonly = which >> RAM_PIECES;
	for (i = 0; i < RAM_PIECES; i++) {
		memcpy(f->was[i], f->ram[i], RAM_PIECE);
		if (!(which & 1U << i))
			continue;
		regions[num++] = (struct vsmmu_region){
			.gpa = RAM_BASE + i * RAM_PIECE,
			.size = RAM_PIECE,
			.uaddr = (uint64_t)(unsigned long)f->ram[i],
			.flags = f->readonly & 1U << i ?
				 VSMMU_REGION_READONLY : 0,
		};
	}
	check(!vsmmu_set_memory(f->v, regions, num));
}

/* Commands, as far as the library looks at them */
static void put_commands(struct fuzz *f)
{
	static const uint64_t kinds[] = { 0x1046, 0x46, 0x3, 0x4, 0x5, 0x11 };
	unsigned int piece = take(f, 1) % RAM_PIECES, i;
	uint64_t cmd[2];

	if (f->readonly & 1U << piece)
		return;
	for (i = 0; f->size && i < RAM_PIECE / sizeof(cmd); i++) {
		cmd[0] = kinds[take(f, 1) % ARRAY_LEN(kinds)] | take(f, 1) << 32;
		cmd[1] = take(f, 1) & 1 ? take(f, 8) << (take(f, 1) & 63) :
					  RAM_BASE - RAM_PIECE + take(f, 2);
		memcpy(f->ram[piece] + i * sizeof(cmd), cmd, sizeof(cmd));
	}
}

/* A value that means something, often */
static uint64_t take_value(struct fuzz *f)
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

/* All that is fed has been written, and the guest does not know of it yet. */
static void on_feed(void *opaque, const struct vsmmu_cmd *cmds, uint32_t num,
		    bool flush)
{
	struct fuzz *f = opaque;
	uint32_t i;

	check(num || flush);
	check(!num || published(f, 0x9c) == f->cons);
	for (i = 0; i < num; i++)
		check(cmds[i].dw[0] == cmds->dw[0] &&
		      cmds[i].dw[1] == cmds->dw[0]);
}

static void on_irq(void *opaque, enum vsmmu_irq line)
{
	struct fuzz *f = opaque;
	uint64_t value;

	check(line < VSMMU_IRQ_NUM);
	check(!vsmmu_read(f->v, 0x60, &value, 4));
}

static void on_cmd_error(void *opaque, const struct vsmmu_cmd_error *error)
{
	struct fuzz *f = opaque;
	uint64_t value;

	check(error->cerror && error->cerror <= 3);
	check(!vsmmu_read(f->v, 0x9c, &value, 4));
	check(value >> 24 == error->cerror);
}

/* Not for memory that the guest can write */
static void on_msi(void *opaque, uint64_t address, uint32_t data)
{
	struct fuzz *f = opaque;
	uint64_t value;

	(void)data;
	check(address && !(address & 3) && address < 1ULL << 44);
	check(!vsmmu_read(f->v, 0x60, &value, 4));
}

static alignas(VSMMU_PAGE_SIZE) char pages[VSMMU_REGS_SIZE];

static void make(struct fuzz *f, uint32_t flags)
{
	struct vsmmu_config config = VSMMU_CONFIG_INIT;

	config.accel_fd = 0;
	config.iommufd = 0;
	config.regs = pages;
	config.flags = VSMMU_CONFIG_CLEAN | flags;
	config.kernel = &fuzz_kernel;
	config.kernel_data = f;
	config.raise = on_irq;
	config.feed = on_feed;
	config.cmd_error = on_cmd_error;
	config.msi = flags & VSMMU_CONFIG_CHANGE_PROCESS ? NULL : on_msi;
	config.opaque = f;
	check(!vsmmu_new(&config, &f->v, NULL));
	check(!vsmmu_add_veventq(f->v, 1));
}

/* Another process goes on with the saved state, or with a damaged one. */
static void take_over(struct fuzz *f)
{
	static const uint32_t vsids[] = { 0, 1, 2, 3 };
	const uint32_t num = take(f, 1) % (ARRAY_LEN(vsids) + 1);
	struct vsmmu_state state, bad, after;
	int rc;

	check(!vsmmu_save(f->v, &state));
	vsmmu_free(f->v);
	make(f, VSMMU_CONFIG_CHANGE_PROCESS);
	set_memory(f, 7);
	bad = state;
	((unsigned char *)&bad)[take(f, 1) % sizeof(bad)] ^= take(f, 1);
	/* ID registers are for the kernel to check, when it is given them. */
	memcpy(bad.idr, state.idr, sizeof(bad.idr));
	if (vsmmu_resume(f->v, NULL, &bad, vsids, num) != -EINVAL)
		return;
	rc = vsmmu_resume(f->v, NULL, &state, vsids, num);
	check(!rc || rc == -EAGAIN || rc == -EIO);
	check(!vsmmu_save(f->v, &after));
	check(rc || !memcmp(state.idr, after.idr, sizeof(after.idr)));
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
	/* A state that was saved is valid. */
	check(rc != -EINVAL || flips);
	check(rc != -EINVAL || !memcmp(&before, &after, sizeof(after)));
}

static void change_streams(struct fuzz *f)
{
	struct smmuv3_accel_vsid entries[3];
	unsigned int i, num = take(f, 1) % (ARRAY_LEN(entries) + 1);
	unsigned char how = take(f, 1);

	switch (how % 3) {
	case 0:
		vsmmu_attach(f->v, -1, take(f, 1) % 8,
			     SMMUV3_ACCEL_ATTACH_FEED |
			     (how & 0x80 ? SMMUV3_ACCEL_ATTACH_DRY_RUN : 0),
			     0, NULL);
		break;
	case 1:
		vsmmu_detach(f->v, take(f, 1) % 8);
		break;
	default:
		for (i = 0; i < num; i++) {
			entries[i].old_vsid = take(f, 1) % 8;
			entries[i].new_vsid = take(f, 1) % 8;
		}
		vsmmu_set_vsids(f->v, entries, num);
		break;
	}
}

static void step(struct fuzz *f)
{
	uint64_t event[4];
	uint64_t value;
	uint32_t offset;

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
		if (take(f, 1) & 1)
			vsmmu_set_prod(f->v, take(f, 1));
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
		if (take(f, 1) & 1)
			restore(f);
		else
			take_over(f);
		break;
	case 13:
		if (take(f, 1) & 1)
			set_memory(f, take(f, 1));
		else
			put_commands(f);
		break;
	case 14:
		change_streams(f);
		break;
	default:
		if (take(f, 1) < 16)
			vsmmu_reset(f->v);
		break;
	}
}

/* A guest that has set up its queues: commands can be in any piece. */
static void enable_queues(struct fuzz *f)
{
	check(!vsmmu_write(f->v, 0x90, RAM_BASE | 7, 8));
	check(!vsmmu_write(f->v, 0xa0, RAM_BASE | 2, 8));
	check(!vsmmu_write(f->v, 0x20, CMDQEN | EVENTQEN, 4));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct vsmmu_options options = {
		.flags = VSMMU_OPT_IDR,
		/* MSIs, ATS and 2-level tables; queues up to 2^19; 44 bits */
		.idr = { 0x0d48341a, 19 << 21 | 19 << 16 | 16, 0, 0x1c00, 0, 0x74 },
	};
	struct fuzz f = { .data = data, .size = 0 };
	int i;

	make(&f, 0);
	for (i = 0; i < RAM_PIECES; i++) {
		f.ram[i] = calloc(1, RAM_PIECE);
		check(f.ram[i]);
	}
	check(!vsmmu_start(f.v, &options));
	set_memory(&f, 7);
	if (size & 1)
		enable_queues(&f);

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
