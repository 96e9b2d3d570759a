// SPDX-License-Identifier: GPL-2.0
/*
 * The memory table, and the order of SET_MEM_TABLE, SET_REGS and RUN_CMDQ
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "harness.h"
#include "machine.h"

#define VSID	9
#define REASON(name)	SMMUV3_ACCEL_REASON_REGION_##name

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

static int set_regions(struct machine *m, const struct smmuv3_accel_mem_region *regions,
		       __u32 num, struct smmuv3_accel_mem_table *out)
{
	*out = (struct smmuv3_accel_mem_table){
		.size = sizeof(*out),
		.region_num = num,
		.regions_uptr = (__u64)(unsigned long)regions,
	};
	return accel_ioctl(m->g.accel, SMMUV3_ACCEL_SET_MEM_TABLE, out);
}

/* The old table stays in force */
TEST_F(memory, bad_regions_are_refused)
{
	const __u64 end = GUEST_BASE + GUEST_SIZE, uaddr = self->all.uaddr;
	const struct {
		const char *what;
		__u32 reason;
		struct smmuv3_accel_mem_region region;
	} cases[] = {
		{ "empty", REASON(EMPTY), { end, 0, uaddr } },
		{ "wraps", REASON(RANGE), { -4096ULL, 8192, uaddr } },
		{ "up to the end", 0, { -4096ULL, 4096, uaddr } },
		{ "address wraps", REASON(RANGE), { end, 8192, -4096ULL } },
		{ "kernel's address", REASON(RANGE), { end, 4096, 1ULL << 63 } },
		{ "same", REASON(OVERLAP), { GUEST_BASE, 4096, uaddr } },
		{ "inside", REASON(OVERLAP), { GUEST_BASE + 4096, 4096, uaddr } },
		{ "around", REASON(OVERLAP), { GUEST_BASE - 4096, 2 * GUEST_SIZE, uaddr } },
		{ "overlaps the start", REASON(OVERLAP), { GUEST_BASE - 4096, 4097, uaddr } },
		{ "meets the start", 0, { GUEST_BASE - 4096, 4096, uaddr } },
		{ "overlaps the end", REASON(OVERLAP), { end - 1, 4096, uaddr } },
		{ "meets the end", 0, { end, 4096, uaddr } },
		/* Two regions may have the same memory */
		{ "same address", 0, { end, GUEST_SIZE, uaddr } },
	};
	struct smmuv3_accel_mem_table out;
	unsigned int i, at;

	self->m.cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(&self->m));
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		/* The region comes first, then the memory that is already there */
		for (at = 0; at < 2; at++) {
			struct smmuv3_accel_mem_region two[2] = { self->all, self->all };
			__u32 reason = cases[i].reason;

			two[at] = cases[i].region;
			ASSERT_EQ(0, accel_mem_regions(&self->m.g, &self->all, 1));
			EXPECT_EQ(reason ? -EINVAL : 0, set_regions(&self->m, two, 2, &out))
				TH_LOG("%s, %u", cases[i].what, at);
			EXPECT_EQ(reason, out.out_reason) TH_LOG("%s, %u", cases[i].what, at);
			if (reason && reason != REASON(OVERLAP))
				EXPECT_EQ(at, out.out_bad_region) TH_LOG("%s", cases[i].what);
			EXPECT_TRUE(ring_is_there(&self->m)) TH_LOG("%s", cases[i].what);
		}
	}
}

TEST_F(memory, out_bad_region_names_a_wrong_region)
{
	const __u64 uaddr = self->all.uaddr;
	struct smmuv3_accel_mem_region regions[8];
	struct smmuv3_accel_mem_table out;
	unsigned int i, k;

	for (i = 0; i < 2 * ARRAY_LEN(regions); i++) {
		/* Downwards, so that the order is not that of the addresses */
		for (k = 0; k < ARRAY_LEN(regions); k++)
			regions[k] = (struct smmuv3_accel_mem_region){
				0x100000 - k * 0x10000, 0x10000, uaddr
			};
		if (i & 1)
			regions[i / 2].size = 0;
		else
			regions[i / 2].size++;
		/* The highest region can grow */
		if (!i) {
			EXPECT_EQ(0, set_regions(&self->m, regions, ARRAY_LEN(regions), &out));
			continue;
		}
		EXPECT_EQ(-EINVAL, set_regions(&self->m, regions, ARRAY_LEN(regions), &out));
		EXPECT_EQ(i & 1 ? REASON(EMPTY) : REASON(OVERLAP), out.out_reason);
		/* Of two that overlap, either */
		EXPECT_TRUE(out.out_bad_region == i / 2 ||
			    (!(i & 1) && out.out_bad_region == i / 2 - 1));
	}
}

TEST_F(memory, array_of_regions_is_limited_and_must_be_readable)
{
	struct smmuv3_accel_mem_region *many, *last;
	const __u64 end = GUEST_BASE + GUEST_SIZE;
	long page = sysconf(_SC_PAGESIZE);
	struct smmuv3_accel_mem_table out;
	struct smmuv3_accel_info info;
	struct machine *m = &self->m;
	unsigned int i;
	char *map;

	ASSERT_EQ(0, accel_info(m->g.accel, &info));
	many = calloc(info.out_max_regions + 1, sizeof(*many));
	ASSERT_NE(NULL, many);
	for (i = 0; i <= info.out_max_regions; i++)
		many[i] = (struct smmuv3_accel_mem_region){
			end + i * 4096, 4096, self->all.uaddr
		};
	m->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(m));
	ASSERT_EQ(0, accel_mem_regions(&m->g, &self->all, 1));
	EXPECT_EQ(-EINVAL, set_regions(m, many, info.out_max_regions + 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, out.out_reason);
	EXPECT_EQ(-EINVAL, set_regions(m, many, 0xffffffff, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_ARRAY, out.out_reason);
	EXPECT_EQ(-EFAULT, set_regions(m, NULL, 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, out.out_reason);
	EXPECT_EQ(-EFAULT, set_regions(m, (void *)-4096UL, 1, &out));
	/* Only the first region can be read */
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	last = (struct smmuv3_accel_mem_region *)(map + page) - 1;
	*last = many[0];
	EXPECT_EQ(-EFAULT, set_regions(m, last, 2, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_BAD_POINTER, out.out_reason);
	EXPECT_TRUE(ring_is_there(m));
	munmap(map, page);

	many[info.out_max_regions - 1] = self->all;
	EXPECT_EQ(0, set_regions(m, many, info.out_max_regions, &out));
	EXPECT_TRUE(ring_is_there(m));
	free(many);
}

/* Without one, nothing that reads guest memory works, and nothing changes */
TEST_F(memory, table_comes_before_what_reads_it)
{
	struct smmuv3_accel_set_regs regs;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stream stream;
	struct machine *m = &self->m;

	guest_close_accel(&m->g);
	ASSERT_EQ(0, guest_create(&m->g));
	ASSERT_EQ(0, accel_attach_virtual(&m->g, VSID, SMMUV3_ACCEL_ATTACH_BRIDGE, NULL));
	m->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	machine_regs(m, &regs);
	EXPECT_EQ(-ENXIO, accel_ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &regs));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_MEM_TABLE, regs.out_reason);
	ASSERT_EQ(0, accel_stream(&m->g, VSID, &stream));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STE, stream.out_reason);
	EXPECT_EQ(-ENXIO, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

	/* With SMMUEN clear, no stream table is read */
	m->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(m));
	ring_put(&m->ring, cmd_sync());
	EXPECT_EQ(-ENXIO, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_MEM_TABLE, out.out_reason);
	EXPECT_NE(out.prod, out.cons);
	ASSERT_EQ(0, accel_mem_regions(&m->g, &self->all, 1));
	EXPECT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(out.prod, out.cons);
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
