// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls' arguments: sizes, flags, pointers, arrays, address spaces
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "calls.h"
#include "harness.h"
#include "machine.h"
#include "stress.h"

#define VSID	9

FIXTURE(args)
{
	struct machine m;
	char buf[256];
};

FIXTURE_SETUP(args)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED, .devices = 1,
				  .vsid = { VSID }));
}

FIXTURE_TEARDOWN(args)
{
	machine_close(&self->m);
}

static const struct smmuv3_accel_vsid same_vsid = { VSID, VSID };

/* The struct of a call that succeeds, or fails as expected() says */
static void *fill(struct machine *m, const struct accel_call *call, char *buf, __u32 size)
{
	memset(buf, 0, 256);
	*(__u32 *)buf = size;
	switch (call->cmd) {
	case SMMUV3_ACCEL_CREATE:
		((struct smmuv3_accel_create *)buf)->iommufd = m->g.iommufd;
		((struct smmuv3_accel_create *)buf)->ioas_id = m->g.ioas_id;
		break;
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		((struct smmuv3_accel_change_process *)buf)->iommufd = m->g.iommufd;
		break;
	case SMMUV3_ACCEL_SET_IDR:
		memcpy(((struct smmuv3_accel_set_idr *)buf)->idr, idr_least,
		       sizeof(idr_least));
		break;
	case SMMUV3_ACCEL_SET_REGS:
		((struct smmuv3_accel_set_regs *)buf)->cr0 = CR0_CMDQEN;
		break;
	case SMMUV3_ACCEL_ATTACH:
		((struct smmuv3_accel_attach *)buf)->vfio_fd = m->stream[0].dev.fd;
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
	case SMMUV3_ACCEL_SET_VSIDS:
		((struct smmuv3_accel_set_vsids *)buf)->entries_uptr =
			(__u64)(unsigned long)&same_vsid;
		((struct smmuv3_accel_set_vsids *)buf)->entry_num = 1;
		break;
	}
	return buf;
}

static int call_sized(struct machine *m, const struct accel_call *call, char *buf, __u32 size)
{
	return accel_ioctl(m->g.accel, call->cmd, fill(m, call, buf, size));
}

/* The result of a call with a correct struct */
static int expected(const struct accel_call *call)
{
	switch (call->cmd) {
	case SMMUV3_ACCEL_CREATE:
		return -EBUSY;
	case SMMUV3_ACCEL_DETACH:
	case SMMUV3_ACCEL_GET_STREAM:
	case SMMUV3_ACCEL_SET_VSIDS:
		return -ENOENT;
	/* GET_PHYS finds the SMMU of the ATTACH before, which stays until close */
	default:
		return 0;
	}
}

/* The result of a correct struct with a flag. BRIDGE and FEED exclude a device */
static int flagged(const struct accel_call *call, __u32 flag)
{
	if (call->cmd == SMMUV3_ACCEL_ATTACH && flag != SMMUV3_ACCEL_ATTACH_DRY_RUN)
		return -EINVAL;
	return expected(call);
}

static __u32 reason_in(const char *buf, const struct accel_call *call)
{
	__u32 reason;

	memcpy(&reason, buf + call->reason, sizeof(reason));
	return reason;
}

static void detach(struct machine *m, const struct accel_call *call)
{
	if (call->cmd == SMMUV3_ACCEL_ATTACH)
		machine_detach(m, 0);
}

TEST_F(args, struct_may_be_longer_but_not_shorter)
{
	static const char zeros[64];
	const struct accel_call *call;

	for_each_call(call) {
		__u32 first = call->first_size ?: call->size;
		int want = expected(call);

		EXPECT_EQ(want, call_sized(&self->m, call, self->buf, call->size))
			TH_LOG("%s", call->name);
		detach(&self->m, call);
		/* The first version, and shorter */
		EXPECT_EQ(want, call_sized(&self->m, call, self->buf, first))
			TH_LOG("%s", call->name);
		EXPECT_EQ(0, memcmp(self->buf + first, zeros, sizeof(zeros)))
			TH_LOG("%s", call->name);
		detach(&self->m, call);
		EXPECT_EQ(-EINVAL, call_sized(&self->m, call, self->buf, first - 4))
			TH_LOG("%s", call->name);
		EXPECT_EQ(-EINVAL, call_sized(&self->m, call, self->buf, 0))
			TH_LOG("%s", call->name);
		/* Longer, with nothing in it */
		EXPECT_EQ(want, call_sized(&self->m, call, self->buf, 256))
			TH_LOG("%s", call->name);
		detach(&self->m, call);
		/* Longer, with something in it */
		fill(&self->m, call, self->buf, 256);
		self->buf[255] = 1;
		EXPECT_EQ(-E2BIG, accel_ioctl(self->m.g.accel, call->cmd, self->buf))
			TH_LOG("%s", call->name);
	}
}

/* The kernel does not search gigabytes for a field that is set */
TEST_F(args, struct_is_at_most_a_page)
{
	const __u32 page = sysconf(_SC_PAGESIZE);
	const struct accel_call *call;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	for_each_call(call) {
		EXPECT_EQ(expected(call), call_sized(&self->m, call, map, page))
			TH_LOG("%s", call->name);
		detach(&self->m, call);
		EXPECT_EQ(-E2BIG, call_sized(&self->m, call, map, page + 8))
			TH_LOG("%s", call->name);
	}
	munmap(map, 2 * page);
}

TEST_F(args, unknown_flags_and_reserved_fields_are_refused)
{
	const struct accel_call *call;
	int bit;

	for_each_call(call) {
		for (bit = 0; bit < 32; bit++) {
			fill(&self->m, call, self->buf, call->size);
			((__u32 *)self->buf)[1] = 1U << bit;
			if (call->flags & 1U << bit) {
				EXPECT_EQ(flagged(call, 1U << bit),
					  accel_ioctl(self->m.g.accel, call->cmd, self->buf))
					TH_LOG("%s flag %d", call->name, bit);
				continue;
			}
			EXPECT_EQ(-EOPNOTSUPP,
				  accel_ioctl(self->m.g.accel, call->cmd, self->buf))
				TH_LOG("%s flag %d", call->name, bit);
			EXPECT_EQ(SMMUV3_ACCEL_REASON_FLAGS, reason_in(self->buf, call))
				TH_LOG("%s flag %d", call->name, bit);
		}
		if (!call->reserved)
			continue;
		fill(&self->m, call, self->buf, call->size);
		self->buf[call->reserved] = 1;
		EXPECT_EQ(-EOPNOTSUPP, accel_ioctl(self->m.g.accel, call->cmd, self->buf))
			TH_LOG("%s", call->name);
		EXPECT_EQ(SMMUV3_ACCEL_REASON_RESERVED, reason_in(self->buf, call))
			TH_LOG("%s", call->name);
	}
}

TEST_F(args, bad_pointer_is_efault)
{
	long page = sysconf(_SC_PAGESIZE);
	const struct accel_call *call;
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	for_each_call(call) {
		EXPECT_EQ(-EFAULT, accel_ioctl(self->m.g.accel, call->cmd, NULL));
		EXPECT_EQ(-EFAULT, accel_ioctl(self->m.g.accel, call->cmd, (void *)-4096UL));
		EXPECT_EQ(-EFAULT, accel_ioctl(self->m.g.accel, call->cmd, map + page));
		/* Only the size can be read */
		*(__u32 *)(map + page - 4) = call->size;
		EXPECT_EQ(-EFAULT, accel_ioctl(self->m.g.accel, call->cmd, map + page - 4))
			TH_LOG("%s", call->name);
	}
}

/* Whatever values they had before */
TEST_F(args, outputs_are_written_on_failure)
{
	const struct accel_call *call;
	__u32 i;

	for_each_call(call) {
		fill(&self->m, call, self->buf, call->size);
		((__u32 *)self->buf)[1] = 1U << 31;	/* flags */
		for (i = call->out; i < call->out_end; i++)
			self->buf[i] = 0xa5;
		/* GET_STATS has it amid its outputs */
		if (call->reserved)
			memset(self->buf + call->reserved, 0, sizeof(__u32));
		EXPECT_EQ(-EOPNOTSUPP, accel_ioctl(self->m.g.accel, call->cmd, self->buf));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_FLAGS, reason_in(self->buf, call));
		memset(self->buf + call->reason, 0, sizeof(__u32));
		for (i = call->out; i < call->out_end; i++)
			EXPECT_EQ(0, self->buf[i]) TH_LOG("%s, byte %u", call->name, i);
	}
}

TEST_F(args, unknown_ioctl_is_enotty)
{
	const int accel = self->m.g.accel;
	unsigned int nr;
	const struct accel_call *call;

	for (nr = 0; nr < 256; nr++) {
		bool known = false;

		for_each_call(call)
			known |= call->cmd == (unsigned int)_IO(SMMUV3_ACCEL_TYPE, nr);
		if (known)
			continue;
		memset(self->buf, 0, sizeof(self->buf));
		*(__u32 *)self->buf = 128;
		EXPECT_EQ(-ENOTTY, accel_ioctl(accel, _IO(SMMUV3_ACCEL_TYPE, nr), self->buf))
			TH_LOG("nr %u", nr);
	}
	/* A known number, of another type or with a direction */
	EXPECT_EQ(-ENOTTY, accel_ioctl(accel, _IO(0x3b, 0), self->buf));
	EXPECT_EQ(-ENOTTY, accel_ioctl(accel, _IOW(SMMUV3_ACCEL_TYPE, 0, __u32), self->buf));
}

TEST_F(args, create_comes_first)
{
	int accel = open("/dev/smmuv3-accel", O_RDWR);
	const struct accel_call *call;

	ASSERT_LE(0, accel);
	for_each_call(call) {
		fill(&self->m, call, self->buf, call->size);
		if (!call->before_create)
			EXPECT_EQ(-ENXIO, accel_ioctl(accel, call->cmd, self->buf))
				TH_LOG("%s", call->name);
		if (!call->before_create)
			EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_CREATED, reason_in(self->buf, call))
				TH_LOG("%s", call->name);
	}
	close(accel);
}

TEST_F(args, foreign_address_space_is_refused)
{
	const struct accel_call *call;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for_each_call(call) {
			/* CHANGE_PROCESS is for such a process */
			if (call->before_create ||
			    call->cmd == SMMUV3_ACCEL_CHANGE_PROCESS)
				continue;
			fill(&self->m, call, self->buf, call->size);
			if (accel_ioctl(self->m.g.accel, call->cmd, self->buf) != -EIO)
				_exit(1);
			if (reason_in(self->buf, call) != SMMUV3_ACCEL_REASON_FOREIGN_MM)
				_exit(2);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(args, get_info_describes_the_module)
{
	const struct accel_call *call;
	struct smmuv3_accel_info info;
	int accel = open("/dev/smmuv3-accel", O_RDWR);
	__u64 ioctls = 0;

	for_each_call(call)
		ioctls |= 1ULL << _IOC_NR(call->cmd);
	ASSERT_EQ(0, accel_info(accel, &info));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NONE, info.out_reason);
	EXPECT_EQ(SMMUV3_ACCEL_API_VERSION, info.out_api_version);
	EXPECT_EQ(ioctls, info.out_ioctls);
	EXPECT_EQ(accel_call(SMMUV3_ACCEL_CREATE)->flags, info.out_create_flags);
	EXPECT_EQ(accel_call(SMMUV3_ACCEL_ATTACH)->flags, info.out_attach_flags);
	EXPECT_LT(0, info.out_max_streams);
	EXPECT_LT(0, info.out_max_phys);
	EXPECT_LT(0, info.out_max_regions);
	EXPECT_LE(info.out_max_batch, info.out_max_cmds);
	EXPECT_LT(0, info.out_max_batch);
	EXPECT_LT(0, info.out_max_stes);
	close(accel);
}

static int child_info(struct machine *m)
{
	struct smmuv3_accel_info info;

	return accel_info(m->g.accel, &info) || !info.out_api_version;
}

TEST_F(args, get_info_works_in_any_process)
{
	EXPECT_EQ(0, in_child(&self->m, child_info));
}

TEST_F(args, create_wants_an_iommufd_and_an_ioas)
{
	int accel = open("/dev/smmuv3-accel", O_RDWR);
	int null = open("/dev/null", O_RDWR);
	__u32 reason;

	ASSERT_LE(0, accel);
	EXPECT_EQ(-EBADF, accel_create(accel, -1, self->m.g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_FD, reason);
	EXPECT_EQ(-EBADF, accel_create(accel, 1000, self->m.g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_FD, reason);
	EXPECT_EQ(-EINVAL, accel_create(accel, null, self->m.g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_IOMMUFD, reason);
	EXPECT_EQ(-EINVAL, accel_create(accel, accel, self->m.g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NOT_IOMMUFD, reason);
	EXPECT_EQ(-ENOENT, accel_create(accel, self->m.g.iommufd, 999, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_IOAS, reason);
	/* The ID of a device */
	EXPECT_EQ(-ENOENT, accel_create(accel, self->m.g.iommufd, self->m.stream[0].dev.dev_id, 0,
					&reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_IOAS, reason);
	/* Failures have not bound the file */
	EXPECT_EQ(0, accel_create(accel, self->m.g.iommufd, self->m.g.ioas_id, 0, &reason));
	EXPECT_EQ(-EBUSY, accel_create(accel, self->m.g.iommufd, self->m.g.ioas_id, 0, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ALREADY_CREATED, reason);
	close(accel);
	close(null);
}

/* If the answer cannot be written */
TEST_F(args, attach_and_create_are_rolled_back)
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
	attach->vfio_fd = self->m.stream[0].dev.fd;
	attach->vsid = VSID;
	ASSERT_EQ(0, mprotect(attach, page, PROT_READ));
	EXPECT_EQ(-EFAULT, accel_ioctl(self->m.g.accel, SMMUV3_ACCEL_ATTACH, attach));
	EXPECT_EQ(-ENOENT, accel_stream(&self->m.g, VSID, &stream));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, stream.out_reason);
	ASSERT_EQ(0, mprotect(attach, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, accel_ioctl(self->m.g.accel, SMMUV3_ACCEL_ATTACH, attach));

	create = (void *)attach;
	memset(create, 0, sizeof(*create));
	create->size = sizeof(*create);
	create->iommufd = self->m.g.iommufd;
	create->ioas_id = self->m.g.ioas_id;
	ASSERT_EQ(0, mprotect(create, page, PROT_READ));
	EXPECT_EQ(-EFAULT, accel_ioctl(accel, SMMUV3_ACCEL_CREATE, create));
	ASSERT_EQ(0, mprotect(create, page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, accel_ioctl(accel, SMMUV3_ACCEL_CREATE, create));
	munmap(create, page);
	close(accel);
}

TEST_F(args, array_of_stes_is_checked)
{
	const int accel = self->m.g.accel;
	struct smmuv3_accel_install_ste arg;
	struct smmuv3_accel_ste entry;
	static const __u32 bad_lens[] = { 0, sizeof(entry) - 1, 0x10000 };
	char wide[2][256];
	unsigned int i;

	fill(&self->m, accel_call(SMMUV3_ACCEL_INSTALL_STE), self->buf, sizeof(arg));
	arg = *(struct smmuv3_accel_install_ste *)self->buf;

	/* No entries */
	EXPECT_EQ(0, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	arg.entry_num = 1;
	EXPECT_EQ(-EFAULT, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, arg.out_reason);
	EXPECT_EQ(0, arg.entry_num);
	arg.entry_num = 0xffffffff;
	EXPECT_EQ(-EINVAL, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, arg.out_reason);
	arg.entry_num = 0;
	for (i = 0; i < ARRAY_LEN(bad_lens); i++) {
		arg.entry_len = bad_lens[i];
		EXPECT_EQ(-EINVAL, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, arg.out_reason);
	}

	/* Entries of a later version, whose new fields must be 0 */
	ASSERT_EQ(0, machine_attach(&self->m, 0));
	memset(wide, 0, sizeof(wide));
	((struct smmuv3_accel_ste *)wide[0])->vsid = VSID;
	((struct smmuv3_accel_ste *)wide[1])->vsid = VSID;
	arg.entry_len = sizeof(wide[0]);
	arg.entry_num = 2;
	arg.entries_uptr = (__u64)(unsigned long)wide;
	EXPECT_EQ(0, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(2, arg.entry_num);
	wide[1][255] = 1;
	EXPECT_EQ(-E2BIG, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(1, arg.entry_num);

	memset(&entry, 0, sizeof(entry));
	entry.vsid = VSID;
	entry.__reserved = 1;
	arg.entry_num = 1;
	arg.entry_len = sizeof(entry);
	arg.entries_uptr = (__u64)(unsigned long)&entry;
	EXPECT_EQ(-EOPNOTSUPP, accel_ioctl(accel, SMMUV3_ACCEL_INSTALL_STE, &arg));
	EXPECT_EQ(-EOPNOTSUPP, entry.out_errno);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_RESERVED, entry.out_reason);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_RESERVED, arg.out_reason);
}

TEST_F(args, array_of_commands_is_checked)
{
	struct guest *g = &self->m.g;
	struct smmuv3_accel_invalidate out;
	struct smmuv3_accel_info info;
	long page = sysconf(_SC_PAGESIZE);
	struct cmd *cmds;
	__u32 chunk, i;
	size_t len;

	ASSERT_EQ(0, accel_info(g->accel, &info));
	chunk = info.out_max_batch;
	len = (chunk * sizeof(*cmds) + page - 1) / page * page;
	EXPECT_EQ(0, accel_invalidate(g, NULL, 0, &out));
	EXPECT_EQ(-EFAULT, accel_invalidate(g, NULL, 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, out.out_reason);
	EXPECT_EQ(0, out.cmd_num);
	EXPECT_EQ(-EFAULT, accel_invalidate(g, NULL, info.out_max_cmds, &out));
	EXPECT_EQ(-EINVAL, accel_invalidate(g, NULL, info.out_max_cmds + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, out.out_reason);
	EXPECT_EQ(0, out.cmd_num);
	EXPECT_EQ(-EINVAL, accel_invalidate(g, NULL, 0xffffffff, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, out.out_reason);

	/* The array ends at an unmapped page. The commands before it are done */
	cmds = mmap(NULL, len + page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmds);
	ASSERT_EQ(0, munmap((char *)cmds + len, page));
	cmds = (void *)((char *)cmds + len - chunk * sizeof(*cmds));
	for (i = 0; i < chunk; i++)
		cmds[i] = cmd_tlbi_nh_all();
	EXPECT_EQ(0, accel_invalidate(&self->m.g, cmds, chunk, &out));
	EXPECT_EQ(chunk, out.cmd_num);
	EXPECT_EQ(-EFAULT, accel_invalidate(&self->m.g, cmds, chunk + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, out.out_reason);
	EXPECT_EQ(chunk, out.cmd_num);
}

TEST_F(args, array_of_streamids_is_checked)
{
	struct guest *g = &self->m.g;
	struct smmuv3_accel_set_vsids out;
	struct smmuv3_accel_info info;

	ASSERT_EQ(0, accel_info(g->accel, &info));
	EXPECT_EQ(-EINVAL, accel_set_vsids(g, &same_vsid, 0, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, out.out_reason);
	EXPECT_EQ(-EINVAL, accel_set_vsids(g, &same_vsid, info.out_max_streams + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, out.out_reason);
	EXPECT_EQ(-EFAULT, accel_set_vsids(g, NULL, 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, out.out_reason);
	EXPECT_EQ(-ENOENT, accel_set_vsids(g, &same_vsid, 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STREAM, out.out_reason);
	EXPECT_EQ(VSID, out.out_vsid);
}

TEST_F(args, index_without_a_physical_smmu)
{
	struct smmuv3_accel_phys phys;

	EXPECT_EQ(-ENOENT, accel_phys(&self->m.g, 0, &phys));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_PHYS, phys.out_reason);
	ASSERT_EQ(0, machine_attach(&self->m, 0));
	EXPECT_EQ(0, accel_phys(&self->m.g, 0, &phys));
	EXPECT_EQ(-ENOENT, accel_phys(&self->m.g, 1, &phys));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_PHYS, phys.out_reason);
}

TEST_HARNESS_MAIN
