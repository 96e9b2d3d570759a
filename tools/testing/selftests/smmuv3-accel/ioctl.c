// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls' arguments: sizes, flags, pointers, order, address spaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "guest.h"
#include "harness.h"

#define VSID	9

/* An ioctl, so that a test can be written once for all of them */
struct op {
	const char *name;
	unsigned int cmd;
	size_t size;
	size_t reason;		/* offset of out_reason, 0: none */
	size_t reserved;	/* offset of __reserved, 0: none */
	__u32 flags;		/* those that are known */
	bool before_create;	/* works on a file that is not bound */
};

#define OP(_cmd, _struct, ...)						\
	{								\
		.name = #_cmd, .cmd = SMMUV3_ACCEL_##_cmd,		\
		.size = sizeof(struct smmuv3_accel_##_struct), __VA_ARGS__ \
	}
#define REASON(_struct)							\
	.reason = offsetof(struct smmuv3_accel_##_struct, out_reason)
#define RESERVED(_struct)						\
	.reserved = offsetof(struct smmuv3_accel_##_struct, __reserved)

static const struct op ops[] = {
	OP(GET_INFO, info, .before_create = true),
	OP(CREATE, create, REASON(create), .before_create = true,
	   .flags = SMMUV3_ACCEL_CREATE_SHARED_ASIDS |
		    SMMUV3_ACCEL_CREATE_FEED |
		    SMMUV3_ACCEL_CREATE_NO_GLOBAL),
	OP(SET_IDR, set_idr, REASON(set_idr), RESERVED(set_idr)),
	OP(SET_MEM_TABLE, mem_table, RESERVED(mem_table)),
	OP(ATTACH, attach, REASON(attach),
	   .flags = SMMUV3_ACCEL_ATTACH_BRIDGE | SMMUV3_ACCEL_ATTACH_FEED),
	OP(DETACH, detach, REASON(detach)),
	OP(GET_PHYS, phys, RESERVED(phys)),
	OP(GET_STREAM, stream, REASON(stream), RESERVED(stream)),
	OP(INSTALL_STE, install_ste, REASON(install_ste), RESERVED(install_ste)),
	OP(INVALIDATE, invalidate, REASON(invalidate)),
	/* In this order: RUN_CMDQ needs registers */
	OP(SET_REGS, set_regs, REASON(set_regs), RESERVED(set_regs)),
	OP(RUN_CMDQ, run_cmdq, REASON(run_cmdq)),
	OP(RESET, reset, REASON(reset), RESERVED(reset)),
	OP(GET_STATS, stats),
	OP(CHANGE_PROCESS, change_process, REASON(change_process)),
};

#define for_each_op(op)	\
	for (op = ops; op < ops + ARRAY_LEN(ops); op++)

static const struct op *op_of(unsigned int cmd)
{
	const struct op *op;

	for_each_op(op)
		if (op->cmd == cmd)
			break;
	return op;
}

FIXTURE(args)
{
	struct guest g;
	struct dma_dev dev;
	char buf[256];
};

FIXTURE_SETUP(args)
{
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
}

FIXTURE_TEARDOWN(args)
{
	dma_close(&self->dev);
	guest_close(&self->g);
}

/* What any host can honour that has little-endian tables */
static const __u32 idr_least[6] = {
	[0] = IDR0_S1P | IDR0_TTF64 | IDR0_COHACC | IDR0_LITTLE |
	      IDR0_STALL_NOT | IDR0_TERM,
	[1] = 8,		/* SIDSIZE */
	[5] = IDR5_GRAN4K,
};

/* A struct that would succeed, or fail for a known reason, with some size */
static void *fill(struct guest *g, struct dma_dev *dev, const struct op *op,
		  char *buf, __u32 size)
{
	memset(buf, 0, 256);
	*(__u32 *)buf = size;
	switch (op->cmd) {
	case SMMUV3_ACCEL_CREATE:
		((struct smmuv3_accel_create *)buf)->iommufd = g->iommufd;
		((struct smmuv3_accel_create *)buf)->ioas_id = g->ioas_id;
		break;
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		((struct smmuv3_accel_change_process *)buf)->iommufd = g->iommufd;
		break;
	case SMMUV3_ACCEL_SET_IDR:
		memcpy(((struct smmuv3_accel_set_idr *)buf)->idr, idr_least,
		       sizeof(idr_least));
		break;
	case SMMUV3_ACCEL_SET_REGS:
		((struct smmuv3_accel_set_regs *)buf)->cr0 = CR0_CMDQEN;
		break;
	case SMMUV3_ACCEL_ATTACH:
		((struct smmuv3_accel_attach *)buf)->vfio_fd = dev->fd;
		((struct smmuv3_accel_attach *)buf)->vsid = VSID;
		break;
	case SMMUV3_ACCEL_DETACH:
	case SMMUV3_ACCEL_GET_STREAM:
		((struct smmuv3_accel_detach *)buf)->vsid = VSID;
		break;
	case SMMUV3_ACCEL_INSTALL_STE:
		((struct smmuv3_accel_install_ste *)buf)->entry_len =
			sizeof(struct smmuv3_accel_ste);
		break;
	}
	return buf;
}

static int call(int fd, unsigned int cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

/* What each ioctl answers here to a correct struct */
static int expected(const struct op *op)
{
	switch (op->cmd) {
	case SMMUV3_ACCEL_CREATE:
		return -EBUSY;
	case SMMUV3_ACCEL_DETACH:
	case SMMUV3_ACCEL_GET_STREAM:
		return -ENOENT;
	/* GET_PHYS finds what ATTACH has left: an SMMU stays until close */
	default:
		return 0;
	}
}

/* And to the same with a flag: without a device there is none to hand over */
static int flagged(const struct op *op)
{
	return op->cmd == SMMUV3_ACCEL_ATTACH ? -EINVAL : expected(op);
}

static void detach(struct guest *g, const struct op *op)
{
	__u32 reason;

	if (op->cmd == SMMUV3_ACCEL_ATTACH)
		accel_detach(g, VSID, &reason);
}

TEST_F(args, size)
{
	const struct op *op;

	for_each_op(op) {
		int want = expected(op);

		EXPECT_EQ(want, call(self->g.accel, op->cmd,
				     fill(&self->g, &self->dev, op, self->buf, op->size)))
			TH_LOG("%s", op->name);
		detach(&self->g, op);
		/* Shorter than the first version */
		EXPECT_EQ(-EINVAL, call(self->g.accel, op->cmd,
					fill(&self->g, &self->dev, op, self->buf, op->size - 4)))
			TH_LOG("%s", op->name);
		EXPECT_EQ(-EINVAL, call(self->g.accel, op->cmd,
					fill(&self->g, &self->dev, op, self->buf, 0)))
			TH_LOG("%s", op->name);
		/* Longer, with nothing in it */
		EXPECT_EQ(want, call(self->g.accel, op->cmd,
				     fill(&self->g, &self->dev, op, self->buf, 256)))
			TH_LOG("%s", op->name);
		detach(&self->g, op);
		/* Longer, with something in it */
		fill(&self->g, &self->dev, op, self->buf, 256);
		self->buf[255] = 1;
		EXPECT_EQ(-E2BIG, call(self->g.accel, op->cmd, self->buf))
			TH_LOG("%s", op->name);
	}
}

TEST_F(args, flags)
{
	const struct op *op;
	int bit;

	for_each_op(op) {
		for (bit = 0; bit < 32; bit++) {
			fill(&self->g, &self->dev, op, self->buf, op->size);
			((__u32 *)self->buf)[1] = 1U << bit;
			EXPECT_EQ(op->flags & 1U << bit ? flagged(op) : -EOPNOTSUPP,
				  call(self->g.accel, op->cmd, self->buf))
				TH_LOG("%s flag %d", op->name, bit);
		}
		if (!op->reserved)
			continue;
		fill(&self->g, &self->dev, op, self->buf, op->size);
		self->buf[op->reserved] = 1;
		EXPECT_EQ(-EOPNOTSUPP, call(self->g.accel, op->cmd, self->buf))
			TH_LOG("%s", op->name);
	}
}

TEST_F(args, pointers)
{
	long page = sysconf(_SC_PAGESIZE);
	const struct op *op;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	for_each_op(op) {
		EXPECT_EQ(-EFAULT, call(self->g.accel, op->cmd, NULL));
		EXPECT_EQ(-EFAULT, call(self->g.accel, op->cmd, (void *)-4096UL));
		EXPECT_EQ(-EFAULT, call(self->g.accel, op->cmd, map + page));
		/* The size is there, the rest is not */
		*(__u32 *)(map + page - 4) = op->size;
		EXPECT_EQ(-EFAULT, call(self->g.accel, op->cmd, map + page - 4))
			TH_LOG("%s", op->name);
	}
}

/* out_* are written on failure too, and what comes in them is ignored */
TEST_F(args, outputs)
{
	const struct op *op;

	for_each_op(op) {
		if (!op->reason)
			continue;
		fill(&self->g, &self->dev, op, self->buf, op->size);
		((__u32 *)self->buf)[1] = 1U << 31;	/* flags */
		*(__u32 *)(self->buf + op->reason) = 0xffffffff;
		EXPECT_EQ(-EOPNOTSUPP, call(self->g.accel, op->cmd, self->buf));
		EXPECT_EQ(0, *(__u32 *)(self->buf + op->reason)) TH_LOG("%s", op->name);
	}
}

TEST_F(args, unknown_ioctl)
{
	unsigned int nr;
	const struct op *op;

	for (nr = 0; nr < 256; nr++) {
		bool known = false;

		for_each_op(op)
			known |= op->cmd == (unsigned int)_IO(SMMUV3_ACCEL_TYPE, nr);
		if (known)
			continue;
		memset(self->buf, 0, sizeof(self->buf));
		*(__u32 *)self->buf = 128;
		EXPECT_EQ(-ENOTTY, call(self->g.accel, _IO(SMMUV3_ACCEL_TYPE, nr), self->buf))
			TH_LOG("nr %u", nr);
	}
	/* The right number, of another type or with a direction */
	EXPECT_EQ(-ENOTTY, call(self->g.accel, _IO(0x3b, 0), self->buf));
	EXPECT_EQ(-ENOTTY, call(self->g.accel, _IOW(SMMUV3_ACCEL_TYPE, 0, __u32), self->buf));
}

TEST_F(args, before_create)
{
	int accel = open("/dev/smmuv3-accel", O_RDWR);
	const struct op *op;

	ASSERT_LE(0, accel);
	for_each_op(op) {
		fill(&self->g, &self->dev, op, self->buf, op->size);
		if (!op->before_create)
			EXPECT_EQ(-ENXIO, call(accel, op->cmd, self->buf))
				TH_LOG("%s", op->name);
	}
	close(accel);
}

TEST_F(args, foreign_address_space)
{
	const struct op *op;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for_each_op(op) {
			/* CHANGE_PROCESS is what it is for */
			if (op->before_create ||
			    op->cmd == SMMUV3_ACCEL_CHANGE_PROCESS)
				continue;
			fill(&self->g, &self->dev, op, self->buf, op->size);
			if (call(self->g.accel, op->cmd, self->buf) != -EIO)
				_exit(1);
			if (op->reason && *(__u32 *)(self->buf + op->reason) !=
			    SMMUV3_ACCEL_REASON_FOREIGN_MM)
				_exit(2);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(args, get_info)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	int accel = open("/dev/smmuv3-accel", O_RDWR);

	ASSERT_EQ(0, call(accel, SMMUV3_ACCEL_GET_INFO, &info));
	EXPECT_EQ(SMMUV3_ACCEL_API_VERSION, info.out_api_version);
	EXPECT_EQ(0, info.out_features);
	EXPECT_LT(0, info.out_max_streams);
	EXPECT_LT(0, info.out_max_batch);
	EXPECT_LT(0, info.out_max_stes);
	close(accel);
}

TEST_F(args, create)
{
	int accel = open("/dev/smmuv3-accel", O_RDWR);
	int null = open("/dev/null", O_RDWR);
	__u32 reason;

	ASSERT_LE(0, accel);
	EXPECT_EQ(-EBADF, accel_create(accel, -1, self->g.ioas_id, 0, &reason));
	EXPECT_EQ(-EBADF, accel_create(accel, 1000, self->g.ioas_id, 0, &reason));
	EXPECT_EQ(-EINVAL, accel_create(accel, null, self->g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_IOMMUFD, reason);
	EXPECT_EQ(-EINVAL, accel_create(accel, accel, self->g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_IOMMUFD, reason);
	EXPECT_EQ(-ENOENT, accel_create(accel, self->g.iommufd, 999, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_IOAS, reason);
	/* A device is no IOAS */
	EXPECT_EQ(-ENOENT, accel_create(accel, self->g.iommufd, self->dev.dev_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_IOAS, reason);
	/* None of it has bound the file, and once is enough */
	EXPECT_EQ(0, accel_create(accel, self->g.iommufd, self->g.ioas_id, 0, &reason));
	EXPECT_EQ(-EBUSY, accel_create(accel, self->g.iommufd, self->g.ioas_id, 0, &reason));
	close(accel);
	close(null);
}

/* A success that cannot be told to the caller has not been one */
TEST_F(args, nothing_behind_the_callers_back)
{
	struct smmuv3_accel_attach *attach;
	struct smmuv3_accel_create *create;
	struct smmuv3_accel_stream stream;
	int accel = open("/dev/smmuv3-accel", O_RDWR);
	long page = sysconf(_SC_PAGESIZE);

	attach = mmap(NULL, page, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, attach);
	attach->size = sizeof(*attach);
	attach->vfio_fd = self->dev.fd;
	attach->vsid = VSID;
	ASSERT_EQ(0, mprotect(attach, page, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->g.accel, SMMUV3_ACCEL_ATTACH, attach));
	EXPECT_EQ(-ENOENT, accel_stream(&self->g, VSID, &stream));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, stream.out_reason);
	ASSERT_EQ(0, mprotect(attach, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, call(self->g.accel, SMMUV3_ACCEL_ATTACH, attach));

	create = (void *)attach;
	memset(create, 0, sizeof(*create));
	create->size = sizeof(*create);
	create->iommufd = self->g.iommufd;
	create->ioas_id = self->g.ioas_id;
	ASSERT_EQ(0, mprotect(create, page, PROT_READ));
	EXPECT_EQ(-EFAULT, call(accel, SMMUV3_ACCEL_CREATE, create));
	ASSERT_EQ(0, mprotect(create, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, call(accel, SMMUV3_ACCEL_CREATE, create));
	munmap(create, page);
	close(accel);
}

TEST_F(args, install_ste)
{
	struct smmuv3_accel_install_ste arg;
	struct smmuv3_accel_ste entry;
	char wide[2][256];

	fill(&self->g, &self->dev, op_of(SMMUV3_ACCEL_INSTALL_STE), self->buf, sizeof(arg));
	arg = *(struct smmuv3_accel_install_ste *)self->buf;

	/* No entries is nothing to do */
	EXPECT_EQ(0, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	arg.entry_num = 1;
	EXPECT_EQ(-EFAULT, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(0, arg.entry_num);
	arg.entry_num = 0xffffffff;
	EXPECT_EQ(-EINVAL, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	arg.entry_num = 0;
	arg.entry_len = sizeof(entry) - 1;
	EXPECT_EQ(-EINVAL, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	arg.entry_len = 0x10000;
	EXPECT_EQ(-EINVAL, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	arg.entry_len = 0;
	EXPECT_EQ(-EINVAL, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));

	/* Entries of a later version: what is new in them must be 0 */
	ASSERT_EQ(0, call(self->g.accel, SMMUV3_ACCEL_ATTACH,
			  fill(&self->g, &self->dev, op_of(SMMUV3_ACCEL_ATTACH), self->buf,
			       sizeof(struct smmuv3_accel_attach))));
	memset(wide, 0, sizeof(wide));
	((struct smmuv3_accel_ste *)wide[0])->vsid = VSID;
	((struct smmuv3_accel_ste *)wide[1])->vsid = VSID;
	arg.entry_len = sizeof(wide[0]);
	arg.entry_num = 2;
	arg.entries_uptr = (__u64)(unsigned long)wide;
	EXPECT_EQ(0, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(2, arg.entry_num);
	wide[1][255] = 1;
	EXPECT_EQ(-E2BIG, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(1, arg.entry_num);

	memset(&entry, 0, sizeof(entry));
	entry.vsid = VSID;
	entry.__reserved = 1;
	arg.entry_num = 1;
	arg.entry_len = sizeof(entry);
	arg.entries_uptr = (__u64)(unsigned long)&entry;
	EXPECT_EQ(-EOPNOTSUPP, call(self->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(-EOPNOTSUPP, entry.out_errno);
}

TEST_F(args, invalidate)
{
	struct smmuv3_accel_invalidate out;
	long page = sysconf(_SC_PAGESIZE);
	const __u32 chunk = 2016;
	struct cmd *cmds;
	size_t len = (chunk * sizeof(*cmds) + page - 1) / page * page;
	__u32 i;

	EXPECT_EQ(0, accel_invalidate(&self->g, NULL, 0, &out));
	EXPECT_EQ(-EFAULT, accel_invalidate(&self->g, NULL, 1, &out));
	EXPECT_EQ(0, out.cmd_num);
	EXPECT_EQ(-EINVAL, accel_invalidate(&self->g, NULL, (1 << 19) + 1, &out));
	EXPECT_EQ(0, out.cmd_num);
	EXPECT_EQ(-EINVAL, accel_invalidate(&self->g, NULL, 0xffffffff, &out));

	/* The array ends at an unmapped page: what was done is told */
	cmds = mmap(NULL, len + page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmds);
	ASSERT_EQ(0, munmap((char *)cmds + len, page));
	cmds = (void *)((char *)cmds + len - chunk * sizeof(*cmds));
	for (i = 0; i < chunk; i++)
		cmds[i] = cmd_tlbi_nh_all();
	EXPECT_EQ(0, accel_invalidate(&self->g, cmds, chunk, &out));
	EXPECT_EQ(chunk, out.cmd_num);
	EXPECT_EQ(-EFAULT, accel_invalidate(&self->g, cmds, chunk + 1, &out));
	EXPECT_EQ(chunk, out.cmd_num);
}

/* Each rule of a bad command has its reason */
TEST_F(args, bad_commands)
{
	static const struct {
		struct cmd cmd;
		__u32 reason;
	} bad[] = {
		{ { { 0x00 } }, SMMUV3_ACCEL_REASON_CMD_OPCODE },
		{ { { 0x20 } }, SMMUV3_ACCEL_REASON_CMD_OPCODE },	/* EL2_ALL */
		{ { { 0x28 } }, SMMUV3_ACCEL_REASON_CMD_OPCODE },	/* S12_VMALL */
		{ { { 0x41 } }, SMMUV3_ACCEL_REASON_CMD_OPCODE },	/* PRI_RESP */
		{ { { 0x44 } }, SMMUV3_ACCEL_REASON_CMD_OPCODE },	/* RESUME */
		{ { { 0x10 | 1 << 10 } }, SMMUV3_ACCEL_REASON_CMD_RESERVED },
		{ { { 0x12, 2 } }, SMMUV3_ACCEL_REASON_CMD_RESERVED },
		{ { { 0x46 | 3 << 12 } }, SMMUV3_ACCEL_REASON_CMD_RESERVED },
		{ { { 0x12 | 1 << 12 } }, SMMUV3_ACCEL_REASON_CMD_RANGE },
		{ { { 0x12, 1 << 10 } }, SMMUV3_ACCEL_REASON_CMD_RANGE },
	};
	struct smmuv3_accel_invalidate out;
	struct smmuv3_accel_attach attach;
	unsigned int i;

	/* What is legal depends on the SMMU */
	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_EQ(0, accel_invalidate(&self->g, &bad[i].cmd, 1, &out));
		EXPECT_EQ(0, out.cmd_num);
		EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error) TH_LOG("%u", i);
		EXPECT_EQ(bad[i].reason, out.out_reason) TH_LOG("%u", i);
	}
}

/* Guest memory */

FIXTURE(mem)
{
	struct guest g;
	struct ring ring;
	struct smmuv3_accel_mem_region all;
};

FIXTURE_SETUP(mem)
{
	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, ring_init(&self->ring, &self->g, 4));
	self->all = (struct smmuv3_accel_mem_region){
		.gpa = GUEST_BASE,
		.size = GUEST_SIZE,
		.uaddr = (__u64)(unsigned long)self->g.ram,
	};
}

FIXTURE_TEARDOWN(mem)
{
	guest_close(&self->g);
}

/* Whether a command can be read from the ring */
static bool ring_is_there(struct ring *ring)
{
	struct smmuv3_accel_run_cmdq out;

	ring->cons = ring->prod;
	ring_put(ring, cmd_sync());
	return !ring_run(ring, &out) && !out.out_error && out.cons == out.prod;
}

static bool ring_is_unreadable(struct ring *ring)
{
	struct smmuv3_accel_run_cmdq out;

	ring->cons = ring->prod;
	ring_put(ring, cmd_sync());
	return !ring_run(ring, &out) &&
	       out.out_error == SMMUV3_ACCEL_CERROR_ABT &&
	       out.out_reason == SMMUV3_ACCEL_REASON_CMD_UNREADABLE &&
	       out.cons != out.prod;
}

TEST_F(mem, replaced_whole)
{
	const struct smmuv3_accel_mem_region *all = &self->all;
	struct smmuv3_accel_mem_region two[2] = { *all, *all };

	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_CMDQEN, 0, 0, &self->ring));
	EXPECT_TRUE(ring_is_unreadable(&self->ring));
	ASSERT_EQ(0, accel_mem_regions(&self->g, all, 1));
	EXPECT_TRUE(ring_is_there(&self->ring));
	/* The higher one first: any order will do */
	two[1].size = two[0].size /= 2;
	two[0].gpa += two[1].size;
	two[0].uaddr += two[1].size;
	ASSERT_EQ(0, accel_mem_regions(&self->g, two, 2));
	EXPECT_TRUE(ring_is_there(&self->ring));
	ASSERT_EQ(0, accel_mem_regions(&self->g, two, 1));
	EXPECT_TRUE(ring_is_unreadable(&self->ring));
	ASSERT_EQ(0, accel_mem_regions(&self->g, all, 1));
	EXPECT_TRUE(ring_is_there(&self->ring));
	ASSERT_EQ(0, accel_mem_regions(&self->g, NULL, 0));
	EXPECT_TRUE(ring_is_unreadable(&self->ring));
}

/* Refused, each with the old table left in force */
TEST_F(mem, refused)
{
	const __u64 end = GUEST_BASE + GUEST_SIZE, uaddr = self->all.uaddr;
	const struct {
		const char *what;
		int rc;
		struct smmuv3_accel_mem_region regions[2];
	} cases[] = {
		{ "empty", -EINVAL, { { end, 0, uaddr } } },
		{ "wraps", -EINVAL, { { -4096ULL, 8192, uaddr } } },
		{ "up to the end", 0, { { -4096ULL, 4096, uaddr } } },
		{ "address wraps", -EINVAL, { { end, 8192, -4096ULL } } },
		{ "kernel's address", -EINVAL, { { end, 4096, 1ULL << 63 } } },
		{ "same", -EINVAL, { { GUEST_BASE, 4096, uaddr } } },
		{ "inside", -EINVAL, { { GUEST_BASE + 4096, 4096, uaddr } } },
		{ "around", -EINVAL, { { GUEST_BASE - 4096, 2 * GUEST_SIZE, uaddr } } },
		{ "overlaps the start", -EINVAL, { { GUEST_BASE - 4096, 4097, uaddr } } },
		{ "meets the start", 0, { { GUEST_BASE - 4096, 4096, uaddr } } },
		{ "overlaps the end", -EINVAL, { { end - 1, 4096, uaddr } } },
		{ "meets the end", 0, { { end, 4096, uaddr } } },
		/* Guest memory may be twice in the VMM's, and the other way round */
		{ "same address", 0, { { end, GUEST_SIZE, uaddr } } },
	};
	struct smmuv3_accel_mem_region many[513];
	long page = sysconf(_SC_PAGESIZE);
	unsigned int i;
	char *map;

	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_CMDQEN, 0, 0, &self->ring));
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		many[0] = cases[i].regions[0];
		many[1] = self->all;
		ASSERT_EQ(0, accel_mem_regions(&self->g, &self->all, 1));
		EXPECT_EQ(cases[i].rc, accel_mem_regions(&self->g, many, 2))
			TH_LOG("%s", cases[i].what);
		EXPECT_TRUE(ring_is_there(&self->ring)) TH_LOG("%s", cases[i].what);
		many[1] = many[0];
		many[0] = self->all;
		EXPECT_EQ(cases[i].rc, accel_mem_regions(&self->g, many, 2))
			TH_LOG("%s, the other way round", cases[i].what);
	}

	for (i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct smmuv3_accel_mem_region){ end + i * 4096, 4096, uaddr };
	EXPECT_EQ(-EINVAL, accel_mem_regions(&self->g, many, 513));
	EXPECT_EQ(-EINVAL, accel_mem_regions(&self->g, many, 0xffffffff));
	EXPECT_EQ(-EFAULT, accel_mem_regions(&self->g, NULL, 1));
	EXPECT_EQ(-EFAULT, accel_mem_regions(&self->g, (void *)-4096UL, 1));
	/* The first region is there, the second is not */
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	memcpy(map + page - sizeof(many[0]), many, sizeof(many[0]));
	EXPECT_EQ(-EFAULT, accel_mem_regions(&self->g, (void *)(map + page - sizeof(many[0])), 2));
	EXPECT_TRUE(ring_is_there(&self->ring));
	munmap(map, page);

	many[511] = self->all;
	EXPECT_EQ(0, accel_mem_regions(&self->g, many, 512));
	EXPECT_TRUE(ring_is_there(&self->ring));
}

/* Command queue and registers, before and after each other */

TEST_F(mem, run_cmdq)
{
	struct ring *ring = &self->ring;
	struct smmuv3_accel_run_cmdq out;
	__u64 ste[8];
	__u32 reason;

	ASSERT_EQ(0, accel_mem_table(&self->g));
	EXPECT_EQ(-ENXIO, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

	ASSERT_EQ(0, accel_set_regs(&self->g, 0, 0, 0, ring));
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMDQ_DISABLED, out.out_reason);

	/* SMMUEN is another thing */
	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_SMMUEN, 0, 0, ring));
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_CMDQEN, 0, 0, ring));
	EXPECT_EQ(0, ring_run(ring, &out));
	EXPECT_EQ(0, out.cons);

	/* One more than a full queue; CONS stays as it was given */
	ring->prod = 17;
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMDQ_INDEX, out.out_reason);
	EXPECT_EQ(0, out.cons);
	/* Behind CONS is far ahead of it */
	ring->prod = 2;
	ring->cons = 3;
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMDQ_INDEX, out.out_reason);
	EXPECT_EQ(3, out.cons);

	ste_config(ste, STE_CFG_ABORT);
	EXPECT_EQ(-EBUSY, accel_install(&self->g, VSID, ste, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_TABLE_MODE, reason);
	ASSERT_EQ(0, accel_reset(&self->g));
	EXPECT_EQ(-ENOENT, accel_install(&self->g, VSID, ste, &reason));
	EXPECT_EQ(-ENXIO, ring_run(ring, &out));
}

/* Without an emulated endpoint there is nothing to feed it */
TEST_F(mem, run_cmdq_without_feed)
{
	struct smmuv3_accel_run_cmdq arg = {
		.size = sizeof(arg),
		.feed_num = 5,
		.feed_uptr = 1,
	};

	ASSERT_EQ(0, accel_mem_table(&self->g));
	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_CMDQEN, 0, 0, &self->ring));
	ring_put(&self->ring, cmd_tlbi_nh_all());
	arg.prod = self->ring.prod;
	EXPECT_EQ(0, call(self->g.accel, SMMUV3_ACCEL_RUN_CMDQ, &arg));
	EXPECT_EQ(arg.prod, arg.cons);
	EXPECT_EQ(0, arg.feed_num);
	EXPECT_EQ(0, arg.out_flags);
}

/* ID registers */

FIXTURE(idr)
{
	struct guest g;
	struct dma_dev dev;
	__u32 host[6];
	__u32 idr[6];		/* all that may be offered */
};

FIXTURE_SETUP(idr)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys;
	__u32 reason;

	ASSERT_EQ(0, guest_open(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	/* An SMMU stays until close, so what it has is known from now on */
	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	ASSERT_EQ(0, accel_phys(&self->g, 0, &phys));
	memcpy(self->host, phys.out_idr, sizeof(self->host));
	idr_offer(self->host, self->idr);
}

FIXTURE_TEARDOWN(idr)
{
	dma_close(&self->dev);
	guest_close(&self->g);
}

#define EXPECT_IDR_REFUSED(reg, bits)					\
	do {								\
		struct smmuv3_accel_set_idr _out;			\
									\
		EXPECT_EQ(-EOPNOTSUPP, accel_set_idr(&self->g, idr, &_out)); \
		EXPECT_EQ(SMMUV3_ACCEL_REASON_IDR, _out.out_reason);	\
		EXPECT_EQ(reg, _out.out_bad_idr)			\
			TH_LOG("IDR%u %#x", reg, bits);			\
		EXPECT_NE(0, _out.out_bad_mask & (bits))		\
			TH_LOG("IDR%u %#x", reg, bits);			\
	} while (0)

TEST_F(idr, accepted)
{
	struct smmuv3_accel_set_idr out;
	__u32 idr[6];

	EXPECT_EQ(0, accel_set_idr(&self->g, self->idr, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NONE, out.out_reason);
	EXPECT_EQ(0, out.out_bad_mask);
	EXPECT_EQ(0, accel_set_idr(&self->g, idr_least, &out));
	/* Smaller queues and one level of stream table are the VMM's choice */
	memcpy(idr, self->idr, sizeof(idr));
	idr[0] &= ~IDR0_ST_LEVEL;
	idr[1] &= ~(IDR1_EVENTQS | IDR1_CMDQS | IDR1_SSIDSIZE);
	EXPECT_EQ(0, accel_set_idr(&self->g, idr, &out));
}

/* Each bit that belongs to no field which may be offered */
TEST_F(idr, unknown_bits)
{
	const __u32 known[6] = {
		[0] = IDR0_S1P | IDR0_TTF | IDR0_COHACC | IDR0_ATS | IDR0_ASID16 |
		      IDR0_CD2L | IDR0_TTENDIAN | IDR0_STALL | IDR0_TERM |
		      IDR0_ST_LEVEL,
		[1] = IDR1_SIDSIZE | IDR1_SSIDSIZE | IDR1_EVENTQS | IDR1_CMDQS,
		[3] = IDR3_RIL | IDR3_BBML,
		[5] = IDR5_OAS | IDR5_GRAN | IDR5_DS | IDR5_VAX,
	};
	__u32 idr[6];
	int reg, bit;

	for (reg = 0; reg < 6; reg++) {
		for (bit = 0; bit < 32; bit++) {
			if (known[reg] & 1U << bit)
				continue;
			memcpy(idr, self->idr, sizeof(idr));
			idr[reg] |= 1U << bit;
			EXPECT_IDR_REFUSED(reg, 1U << bit);
		}
	}
}

/* Fields with a value that no virtual SMMU may show */
TEST_F(idr, wrong_values)
{
	static const struct {
		int reg;
		__u32 mask;
		__u32 value;
	} wrong[] = {
		{ 0, IDR0_S1P, 0 },
		{ 0, IDR0_TTF, 0 },
		{ 0, IDR0_COHACC, 0 },
		{ 0, IDR0_STALL, 0 },
		{ 0, IDR0_STALL, 2U << 24 },
		{ 0, IDR0_STALL, 3U << 24 },
		{ 0, IDR0_ST_LEVEL, 2U << 27 },
		{ 1, IDR1_EVENTQS, 20U << 16 },
		{ 1, IDR1_CMDQS, 20U << 21 },
		{ 5, IDR5_GRAN, 0 },
	};
	unsigned int i;
	__u32 idr[6];

	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		memcpy(idr, self->idr, sizeof(idr));
		idr[wrong[i].reg] &= ~wrong[i].mask;
		idr[wrong[i].reg] |= wrong[i].value;
		EXPECT_IDR_REFUSED(wrong[i].reg, wrong[i].mask);
	}
}

/* What the host has not, a bit or one more of a number; 0: all are there */
static __u32 beyond(__u32 host, __u32 mask, bool number)
{
	__u32 lowest = mask & -mask;

	if (!number)
		return ~host & mask;
	return (host & mask) == mask ? 0 : (host & mask) + lowest;
}

static const struct {
	int reg;
	__u32 mask;
	bool number;
} host_fields[] = {
	{ 0, IDR0_TTF },
	{ 0, IDR0_ATS },
	{ 0, IDR0_ASID16 },
	{ 0, IDR0_CD2L },
	{ 1, IDR1_SIDSIZE, true },
	{ 1, IDR1_SSIDSIZE, true },
	{ 3, IDR3_RIL },
	{ 3, IDR3_BBML, true },
	{ 5, IDR5_OAS, true },
	{ 5, IDR5_GRAN },
	{ 5, IDR5_DS },
	{ 5, IDR5_VAX, true },
};

/* Set now or, in a file that knows no SMMU yet, found out at ATTACH */
TEST_F(idr, beyond_the_host)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_set_idr out;
	unsigned int i, tried = 0;
	__u32 idr[6], more, reason;
	struct guest later;

	ASSERT_EQ(0, guest_open_memory(&later));
	ASSERT_EQ(0, guest_create(&later));
	/* The device is bound to the first one's iommufd */
	close(later.accel);
	later.accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, accel_create(later.accel, self->g.iommufd, self->g.ioas_id, 0, &reason));

	for (i = 0; i < ARRAY_LEN(host_fields); i++) {
		int reg = host_fields[i].reg;
		__u32 mask = host_fields[i].mask;

		more = beyond(self->host[reg], mask, host_fields[i].number);
		if (!more)
			continue;
		tried++;
		memcpy(idr, self->idr, sizeof(idr));
		if (host_fields[i].number)
			idr[reg] &= ~mask;
		idr[reg] |= more;
		EXPECT_IDR_REFUSED(reg, mask);

		EXPECT_EQ(0, accel_set_idr(&later, idr, &out));
		EXPECT_EQ(-EOPNOTSUPP, accel_attach(&later, self->dev.fd, VSID, &attach));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_IDR, attach.out_reason);
		EXPECT_EQ(reg, attach.out_bad_idr);
		EXPECT_EQ(mask, attach.out_bad_mask) TH_LOG("IDR%d %#x", reg, mask);
		EXPECT_EQ(0, attach.out_viommu_id);
	}
	EXPECT_LT(0, tried);

	/* Where the host demands something, the guest has to be told */
	memcpy(idr, self->idr, sizeof(idr));
	if (self->host[0] & IDR0_TERM) {
		idr[0] &= ~IDR0_TERM;
		EXPECT_IDR_REFUSED(0, IDR0_TERM);
	}
	memcpy(idr, self->idr, sizeof(idr));
	if (self->host[0] & IDR0_TTENDIAN) {
		idr[0] &= ~IDR0_TTENDIAN;
		EXPECT_IDR_REFUSED(0, IDR0_TTENDIAN);
	}

	/* None of it stands in the way of what the host can do */
	EXPECT_EQ(0, accel_set_idr(&later, self->idr, &out));
	EXPECT_EQ(0, accel_attach(&later, self->dev.fd, VSID, &attach));
	EXPECT_EQ(0, accel_detach(&later, VSID, &reason));
	guest_close(&later);
}

TEST_F(idr, frozen)
{
	const struct cmd cmd = cmd_tlbi_nh_all();
	struct smmuv3_accel_invalidate done;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_set_idr out;
	__u32 reason;

	ASSERT_EQ(0, accel_attach(&self->g, self->dev.fd, VSID, &attach));
	EXPECT_EQ(-EBUSY, accel_set_idr(&self->g, self->idr, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, out.out_reason);
	ASSERT_EQ(0, accel_detach(&self->g, VSID, &reason));
	EXPECT_EQ(0, accel_set_idr(&self->g, self->idr, &out));
	ASSERT_EQ(0, accel_invalidate(&self->g, &cmd, 1, &done));
	EXPECT_EQ(-EBUSY, accel_set_idr(&self->g, self->idr, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, out.out_reason);
	/* Not even by a reset: the guest's driver is another, its SMMU is not */
	ASSERT_EQ(0, accel_reset(&self->g));
	EXPECT_EQ(-EBUSY, accel_set_idr(&self->g, self->idr, &out));
}

/* A command that uses what is not offered is illegal */
TEST_F(idr, not_offered)
{
	const struct cmd range = cmd_range(cmd_tlbi_va(1, 0, true), 3, 0, 1, 0);
	const struct cmd asid = cmd_tlbi_asid(0x100);
	struct smmuv3_accel_invalidate done;
	struct smmuv3_accel_set_idr out;

	if (!(self->host[3] & IDR3_RIL) || !(self->host[0] & IDR0_ASID16))
		SKIP(return, "this SMMU has neither to begin with");
	ASSERT_EQ(0, accel_set_idr(&self->g, idr_least, &out));
	ASSERT_EQ(0, accel_invalidate(&self->g, &range, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, done.out_error);
	ASSERT_EQ(0, accel_invalidate(&self->g, &asid, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, done.out_error);
	ASSERT_EQ(0, accel_set_idr(&self->g, self->idr, &out));
	ASSERT_EQ(0, accel_invalidate(&self->g, &range, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, done.out_error);
	ASSERT_EQ(0, accel_invalidate(&self->g, &asid, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, done.out_error);
}

/* The scratch mappings are the VMM's to break, and made anew where they are gone */

struct mappings {
	unsigned long start[256];
	unsigned long end[256];
	int num;
};

static void read_mappings(struct mappings *maps)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256];

	maps->num = 0;
	while (f && maps->num < 256 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &maps->start[maps->num],
			   &maps->end[maps->num]) == 2)
			maps->num++;
	if (f)
		fclose(f);
}

static bool has_mapping(const struct mappings *maps, unsigned long start)
{
	int i;

	for (i = 0; i < maps->num; i++)
		if (maps->start[i] == start)
			return true;
	return false;
}

TEST(scratch_is_made_anew)
{
	static struct mappings before, after;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_invalidate out;
	const struct cmd cmds[] = { cmd_tlbi_nh_all(), cmd_sync() };
	struct dma_dev dev;
	struct guest g;
	__u64 ste[8];
	__u32 reason;
	int i, found = 0;

	ASSERT_EQ(0, guest_open_memory(&g));
	ASSERT_EQ(0, dma_open(&dev, g.iommufd, DMA_TESTDEV, 0));
	read_mappings(&before);
	ASSERT_EQ(0, guest_create(&g));
	read_mappings(&after);
	for (i = 0; i < after.num; i++) {
		if (has_mapping(&before, after.start[i]))
			continue;
		found++;
		ASSERT_EQ(0, munmap((void *)after.start[i],
				    after.end[i] - after.start[i]));
	}
	ASSERT_LT(0, found);

	EXPECT_EQ(0, accel_attach(&g, dev.fd, VSID, &attach));
	ste_config(ste, STE_CFG_BYPASS);
	EXPECT_EQ(0, accel_install(&g, VSID, ste, &reason));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, accel_invalidate(&g, cmds, 2, &out));
		EXPECT_EQ(2, out.cmd_num);
	}
	EXPECT_EQ(0, testdev_write(&dev, GUEST_BASE));
	EXPECT_EQ(0, accel_detach(&g, VSID, &reason));
	dma_close(&dev);
	guest_close(&g);
}

TEST_HARNESS_MAIN
