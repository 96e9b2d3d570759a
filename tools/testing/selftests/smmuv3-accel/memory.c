// SPDX-License-Identifier: GPL-2.0
/*
 * The memory table, and the order of SET_MEM_TABLE, SET_REGS and RUN_CMDQ
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "harness.h"
#include "machine.h"

#define VSID	9

FIXTURE(memory)
{
	struct machine m;
	struct smmuv3_accel_mem_region all;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED, .ring_log2size = 4));
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, NULL, 0));
	self->all = (struct smmuv3_accel_mem_region){
		.gpa = GUEST_BASE,
		.size = GUEST_SIZE,
		.uaddr = (__u64)(unsigned long)self->m.g.ram,
	};
}

FIXTURE_TEARDOWN(memory)
{
	machine_close(&self->m);
}

/* Whether a command can be read from the ring */
static bool ring_is_there(struct machine *m)
{
	m->ring.cons = m->ring.prod;
	return machine_sync(m);
}

static bool ring_is_unreadable(struct machine *m)
{
	struct ring *ring = &m->ring;
	struct smmuv3_accel_run_cmdq out;

	ring->cons = ring->prod;
	ring_put(ring, cmd_sync());
	return !ring_run(ring, &out) &&
	       out.out_error == SMMUV3_ACCEL_CERROR_ABT &&
	       out.out_reason == SMMUV3_ACCEL_REASON_CMD_UNREADABLE &&
	       out.cons != out.prod;
}

TEST_F(memory, table_is_replaced_as_a_whole)
{
	const struct smmuv3_accel_mem_region *all = &self->all;
	struct smmuv3_accel_mem_region two[2] = { *all, *all };

	self->m.cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	EXPECT_TRUE(ring_is_unreadable(&self->m));
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, all, 1));
	EXPECT_TRUE(ring_is_there(&self->m));
	/* In any order, here the higher region first */
	two[1].size = two[0].size /= 2;
	two[0].gpa += two[1].size;
	two[0].uaddr += two[1].size;
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, two, 2));
	EXPECT_TRUE(ring_is_there(&self->m));
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, two, 1));
	EXPECT_TRUE(ring_is_unreadable(&self->m));
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, all, 1));
	EXPECT_TRUE(ring_is_there(&self->m));
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, NULL, 0));
	EXPECT_TRUE(ring_is_unreadable(&self->m));
}

/* The old table stays in force */
TEST_F(memory, bad_regions_are_refused)
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
		/* Two regions may have the same memory */
		{ "same address", 0, { { end, GUEST_SIZE, uaddr } } },
	};
	struct smmuv3_accel_mem_region many[2];
	unsigned int i;

	self->m.cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		many[0] = cases[i].regions[0];
		many[1] = self->all;
		ASSERT_EQ(0, accel_mem_regions(&self->m.g, &self->all, 1));
		EXPECT_EQ(cases[i].rc, accel_mem_regions(&self->m.g, many, 2))
			TH_LOG("%s", cases[i].what);
		EXPECT_TRUE(ring_is_there(&self->m)) TH_LOG("%s", cases[i].what);
		many[1] = many[0];
		many[0] = self->all;
		EXPECT_EQ(cases[i].rc, accel_mem_regions(&self->m.g, many, 2))
			TH_LOG("%s, the other way round", cases[i].what);
	}
}

TEST_F(memory, array_of_regions_is_limited_and_must_be_readable)
{
	struct smmuv3_accel_mem_region many[513], *last;
	const __u64 end = GUEST_BASE + GUEST_SIZE;
	long page = sysconf(_SC_PAGESIZE);
	unsigned int i;
	char *map;

	self->m.cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	ASSERT_EQ(0, accel_mem_regions(&self->m.g, &self->all, 1));
	for (i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct smmuv3_accel_mem_region){
			end + i * 4096, 4096, self->all.uaddr
		};
	EXPECT_EQ(-EINVAL, accel_mem_regions(&self->m.g, many, 513));
	EXPECT_EQ(-EINVAL, accel_mem_regions(&self->m.g, many, 0xffffffff));
	EXPECT_EQ(-EFAULT, accel_mem_regions(&self->m.g, NULL, 1));
	EXPECT_EQ(-EFAULT, accel_mem_regions(&self->m.g, (void *)-4096UL, 1));
	/* Only the first region can be read */
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	last = (struct smmuv3_accel_mem_region *)(map + page) - 1;
	*last = many[0];
	EXPECT_EQ(-EFAULT, accel_mem_regions(&self->m.g, last, 2));
	EXPECT_TRUE(ring_is_there(&self->m));
	munmap(map, page);

	many[511] = self->all;
	EXPECT_EQ(0, accel_mem_regions(&self->m.g, many, 512));
	EXPECT_TRUE(ring_is_there(&self->m));
}

TEST_F(memory, run_cmdq_wants_registers_and_indices)
{
	struct ring *ring = &self->m.ring;
	struct smmuv3_accel_run_cmdq out;
	__u64 ste[8];
	__u32 reason;

	ASSERT_EQ(0, accel_mem_table(&self->m.g));
	EXPECT_EQ(-ENXIO, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

	self->m.cr0 = 0;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMDQ_DISABLED, out.out_reason);

	/* SMMUEN does not enable the queue */
	self->m.cr0 = CR0_SMMUEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	self->m.cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	EXPECT_EQ(0, ring_run(ring, &out));
	EXPECT_EQ(0, out.cons);

	/* One command more than a full queue. CONS stays */
	ring->prod = 17;
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMDQ_INDEX, out.out_reason);
	EXPECT_EQ(0, out.cons);
	/* PROD before CONS is more than a lap after it */
	ring->prod = 2;
	ring->cons = 3;
	EXPECT_EQ(-EINVAL, ring_run(ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMDQ_INDEX, out.out_reason);
	EXPECT_EQ(3, out.cons);

	ste_config(ste, STE_CFG_ABORT);
	EXPECT_EQ(-EBUSY, accel_install(&self->m.g, VSID, ste, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_TABLE_MODE, reason);
	ASSERT_EQ(0, accel_reset(&self->m.g));
	EXPECT_EQ(-ENOENT, accel_install(&self->m.g, VSID, ste, &reason));
	EXPECT_EQ(-ENXIO, ring_run(ring, &out));
}

/* The buffer is not touched without an emulated endpoint */
TEST_F(memory, run_cmdq_feeds_emulated_endpoints_only)
{
	struct smmuv3_accel_run_cmdq arg = {
		.size = sizeof(arg),
		.feed_num = 5,
		.feed_uptr = 1,
	};

	ASSERT_EQ(0, accel_mem_table(&self->m.g));
	self->m.cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	ring_put(&self->m.ring, cmd_tlbi_nh_all());
	arg.prod = self->m.ring.prod;
	EXPECT_EQ(0, accel_ioctl(self->m.g.accel, SMMUV3_ACCEL_RUN_CMDQ, &arg));
	EXPECT_EQ(arg.prod, arg.cons);
	EXPECT_EQ(0, arg.feed_num);
	EXPECT_EQ(0, arg.out_flags);
}

TEST_HARNESS_MAIN
