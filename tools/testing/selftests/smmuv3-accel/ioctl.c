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
#include "kselftest_harness.h"

#define VSID	9

/* An ioctl, so that a test can be written once for all of them */
struct op {
	const char *name;
	unsigned int cmd;
	size_t size;
	size_t reason;		/* offset of out_reason, 0: none */
	size_t reserved;	/* offset of __reserved, 0: none */
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
	OP(CREATE, create, REASON(create), .before_create = true),
	OP(ATTACH, attach, REASON(attach)),
	OP(DETACH, detach, REASON(detach)),
	OP(GET_PHYS, phys, RESERVED(phys)),
	OP(GET_STREAM, stream, REASON(stream), RESERVED(stream)),
	OP(INSTALL_STE, install_ste, REASON(install_ste), RESERVED(install_ste)),
	OP(INVALIDATE, invalidate, REASON(invalidate), RESERVED(invalidate)),
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
			EXPECT_EQ(-EOPNOTSUPP, call(self->g.accel, op->cmd, self->buf))
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
		((__u32 *)self->buf)[1] = 1;	/* flags */
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
			if (op->before_create)
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
