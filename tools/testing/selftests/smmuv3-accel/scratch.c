// SPDX-License-Identifier: GPL-2.0
/*
 * The module's scratch mappings in the VMM: which processes see them, what the VMM can do
 * to them, and that the module writes nowhere else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "harness.h"
#include "stress.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

FIXTURE(scratch)
{
	struct machine m;
	struct range at[SCRATCH_MAX];
	int num;
};

FIXTURE_SETUP(scratch)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_open(m, .stage = STAGE_CREATED, .devices = 1));
	guest_close_accel(&m->g);
	scratch_before();
	ASSERT_EQ(0, guest_create(&m->g));
	self->num = scratch_find(self->at);
	ASSERT_LT(0, self->num);
	ASSERT_EQ(0, machine_bypass(m, 0));
	ASSERT_EQ(0, machine_exercise(m));
}

FIXTURE_TEARDOWN(scratch)
{
	machine_close(&self->m);
}

#define for_each_scratch(r) \
	for (r = self->at; r < self->at + self->num; r++)
#define SIZE(r)	((r)->end - (r)->start)
#define PTR(r)	((void *)(r)->start)

/* How many mappings have the module's name. @shared: whether all are shared */
static int named(bool *shared)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256], mode[5];
	int num = 0;

	*shared = true;
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "anon_inode:[smmuv3-accel]"))
			continue;
		num++;
		if (sscanf(line, "%*x-%*x %4s", mode) != 1 || strcmp(mode, "rw-s"))
			*shared = false;
	}
	if (f)
		fclose(f);
	return num;
}

TEST_F(scratch, has_a_name)
{
	bool shared;

	EXPECT_EQ(2, named(&shared));
	EXPECT_TRUE(shared);
	guest_close_accel(&self->m.g);
	EXPECT_EQ(0, named(&shared)) TH_LOG("left after a close by the VMM");
}

/* Whether this process can read there */
static bool readable(unsigned long addr)
{
	int fd[2];
	bool can;

	if (pipe(fd))
		return false;
	can = write(fd[1], (void *)addr, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return can;
}

TEST_F(scratch, is_not_in_a_child)
{
	struct range *r;
	pid_t pid;

	for_each_scratch(r) {
		EXPECT_TRUE(readable(r->start));
		EXPECT_NE(0, madvise(PTR(r), SIZE(r), MADV_DOFORK));
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for_each_scratch(r)
			if (readable(r->start))
				_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid, AT_ONCE_MS)) TH_LOG("a child can read the parent's arguments");
	EXPECT_EQ(0, machine_exercise(&self->m));
}

TEST_F(scratch, cannot_be_moved_or_split)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	struct range *r;
	void *other;

	for_each_scratch(r) {
		other = mmap(NULL, SIZE(r), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, other);
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), SIZE(r),
					     MREMAP_MAYMOVE | MREMAP_FIXED, other));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), 2 * SIZE(r), MREMAP_MAYMOVE));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), SIZE(r),
					     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), 0, SIZE(r), MREMAP_MAYMOVE));
		EXPECT_NE(0, mprotect(PTR(r), SIZE(r), PROT_READ));
		EXPECT_NE(0, mprotect(PTR(r), SIZE(r), PROT_NONE));
		EXPECT_NE(0, mprotect(PTR(r), SIZE(r), PROT_READ | PROT_WRITE | PROT_EXEC));
		if (SIZE(r) == page)
			continue;
		EXPECT_NE(0, munmap(PTR(r), page));
		EXPECT_NE(0, munmap((char *)PTR(r) + page, page));
		EXPECT_NE(0, mprotect((char *)PTR(r) + page, page, PROT_READ));
		EXPECT_EQ(MAP_FAILED, mremap(PTR(r), SIZE(r), page, 0));
		EXPECT_EQ(MAP_FAILED, mmap(PTR(r), page, PROT_READ | PROT_WRITE,
					   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	}
	EXPECT_EQ(0, machine_exercise(&self->m));
}

/* Whether madvise() succeeds or not */
TEST_F(scratch, works_after_any_advice)
{
	struct range *r;
	int advice, rc;

	for (advice = 0; advice < 128; advice++) {
		/* These make hardware errors */
		if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE)
			continue;
		for_each_scratch(r)
			madvise(PTR(r), SIZE(r), advice);
		rc = machine_exercise(&self->m);
		EXPECT_EQ(0, rc) TH_LOG("after advice %d", advice);
		if (rc)
			break;
	}
	for_each_scratch(r)
		mlock(PTR(r), SIZE(r));
	EXPECT_EQ(0, machine_exercise(&self->m));
}

TEST_F(scratch, cannot_be_held_by_userfaultfd)
{
	int uffd = uffd_open();
	struct range *r;

	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	for_each_scratch(r)
		EXPECT_NE(0, uffd_register(uffd, r->start, SIZE(r)));
	EXPECT_EQ(0, machine_exercise(&self->m));
	close(uffd);
}

static int module_users(void)
{
	FILE *f = fopen("/sys/module/smmuv3_accel/refcnt", "r");
	int num = -1;

	if (f && fscanf(f, "%d", &num) != 1)
		num = -1;
	if (f)
		fclose(f);
	return num;
}

/* Another process closes the file. Then only the owner's mappings hold the module */
TEST_F(scratch, outlives_the_accel_file)
{
	int users = module_users(), with_file;
	struct machine *m = &self->m;
	struct range *r;

	if (users < 0)
		SKIP(return, "smmuv3-accel is not a module here");
	with_file = users;
	ASSERT_EQ(0, close_in_child(m));
	users = module_users();
	EXPECT_GT(with_file, users);
	for_each_scratch(r)
		EXPECT_TRUE(readable(r->start));
	dma_close(&m->stream[0].dev);
	EXPECT_EQ(0, next_vmm_works(0));
	EXPECT_EQ(users, module_users());
	for_each_scratch(r) {
		EXPECT_EQ(0, munmap(PTR(r), SIZE(r)));
		EXPECT_EQ(--users, module_users());
	}
}

#ifndef __NR_mseal
#define __NR_mseal	462
#endif

/* A sealed mapping, which cannot be unmapped, stays until the process ends */
TEST_F(scratch, may_be_sealed)
{
	struct range *r;

	for_each_scratch(r)
		if (syscall(__NR_mseal, r->start, SIZE(r), 0))
			SKIP(return, "no mseal()");
	EXPECT_EQ(0, machine_exercise(&self->m));
	guest_close_accel(&self->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->m.g.iommufd, self->m.stream[0].ids.out_s2_hwpt_id))
		TH_LOG("the objects are left");
	ASSERT_EQ(0, guest_create(&self->m.g));
	EXPECT_EQ(0, machine_bypass(&self->m, 0));
	EXPECT_EQ(0, machine_exercise(&self->m));
}

#define PATTERN	0xa5

/* Replace a scratch mapping with memory of the VMM */
static bool put_own_memory(const struct range *r)
{
	if (mmap(PTR(r), SIZE(r), PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != PTR(r))
		return false;
	memset(PTR(r), PATTERN, SIZE(r));
	return true;
}

static bool own_memory_is_intact(const struct range *r)
{
	unsigned long i;

	if (!readable(r->start))
		return false;
	for (i = 0; i < SIZE(r); i++)
		if (((unsigned char *)PTR(r))[i] != PATTERN)
			return false;
	return true;
}

TEST_F(scratch, is_mapped_elsewhere_if_unmapped)
{
	struct range *r;

	for_each_scratch(r) {
		ASSERT_EQ(0, munmap(PTR(r), SIZE(r)));
		ASSERT_TRUE(put_own_memory(r));
	}
	EXPECT_EQ(0, machine_exercise(&self->m));
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r));
	guest_close_accel(&self->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r)) TH_LOG("after close");
	EXPECT_NOTHING_LEFT(&self->m.g);
}

/* Of the calls that use the mapping of the command queue, not only an invalidation maps it. */
TEST_F(scratch, is_used_where_another_call_mapped_it)
{
	struct machine *m = &self->m;
	struct range *r;
	__u64 replays;

	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	machine_lead(m, 0, 1);
	ASSERT_EQ(0, INVALIDATE(m, machine_tlbi(m, 0)));
	for_each_scratch(r)
		ASSERT_TRUE(put_own_memory(r));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_ABORT));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_lead(m, 0, 2);
	EXPECT_EQ(1, machine_goes(m, 0));
	replays = machine_stats(m).out_replays;
	ASSERT_EQ(0, INVALIDATE(m, machine_tlbi(m, 0)));
	EXPECT_EQ(2, machine_goes(m, 0));
	EXPECT_EQ(replays, machine_stats(m).out_replays);
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r));
}

TEST_F(scratch, may_be_unmapped_before_attach)
{
	struct machine *m = &self->m;
	struct range *r;

	guest_close_accel(&m->g);
	scratch_before();
	ASSERT_EQ(0, guest_create(&m->g));
	self->num = scratch_find(self->at);
	ASSERT_LT(0, self->num);
	for_each_scratch(r)
		ASSERT_EQ(0, munmap(PTR(r), SIZE(r)));
	EXPECT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, machine_exercise(m));
}

/* No ioctl comes between, and the mapping is replaced, not only unmapped */
TEST_F(scratch, may_be_unmapped_before_the_close)
{
	struct range *r;

	for_each_scratch(r)
		ASSERT_TRUE(put_own_memory(r));
	guest_close_accel(&self->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
	for_each_scratch(r)
		EXPECT_TRUE(own_memory_is_intact(r));
}

TEST_HARNESS_MAIN
