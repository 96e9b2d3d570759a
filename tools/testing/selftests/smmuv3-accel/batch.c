// SPDX-License-Identifier: GPL-2.0
/* The module's counters show which commands of a batch it leaves out, merges and copies */
#include <string.h>

#include "harness.h"
#include "machine.h"
#include "stress.h"

#define VSID	MACHINE_VSID

FIXTURE(batch)
{
	struct machine m;
	struct smmuv3_accel_stats before;
	bool in_place;			/* the host may read the ring itself */
};

FIXTURE_VARIANT(batch)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(batch, global) { .flags = 0 };
FIXTURE_VARIANT_ADD(batch, no_global) { .flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL };

FIXTURE_SETUP(batch)
{
	char parameters[128];

	if (module_parameters(parameters, sizeof(parameters)) ||
	    !strstr(parameters, "subsume=Y merge=Y escalate=64 "))
		SKIP(return, "the module was loaded with other parameters");
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 1,
				  .ring_log2size = 8, .create_flags = variant->flags));
	ASSERT_EQ(1, machine_goes(&self->m, 0));
	self->in_place = machine_host_checks(&self->m);
	self->before = machine_stats(&self->m);
}

FIXTURE_TEARDOWN(batch)
{
	machine_close(&self->m);
}

#define EXPECT_COUNTS(_issued, _subsumed, _merged, _calls, _zero_copy)	\
	do {								\
		struct smmuv3_accel_run_cmdq _out;			\
		struct smmuv3_accel_stats _now;				\
									\
		ASSERT_TRUE(machine_run(&self->m, &_out));			\
		_now = machine_stats(&self->m);				\
		EXPECT_EQ(_issued, _now.out_issued - self->before.out_issued); \
		EXPECT_EQ(_subsumed, _now.out_subsumed - self->before.out_subsumed); \
		EXPECT_EQ(_merged, _now.out_merged - self->before.out_merged); \
		EXPECT_EQ(_calls, _now.out_host_calls - self->before.out_host_calls); \
		EXPECT_EQ(self->in_place ? _zero_copy : 0,		\
			  _now.out_zero_copy - self->before.out_zero_copy); \
		self->before = _now;					\
	} while (0)

TEST_F(batch, duplicates_are_issued_once)
{
	struct ring *ring = &self->m.ring;
	int i;

	for (i = 0; i < 10; i++)
		ring_put(ring, machine_tlbi(&self->m, 0));
	EXPECT_COUNTS(1, 9, 0, 1, 0);
	/* With CMD_SYNCs in between as well */
	for (i = 0; i < 10; i++) {
		ring_put(ring, machine_tlbi(&self->m, 0));
		ring_put(ring, cmd_sync());
	}
	EXPECT_COUNTS(1, 9, 0, 1, 0);
	for (i = 0; i < 10; i++)
		ring_put(ring, i == 5 ? cmd_cfgi_cd_all(VSID) : cmd_cfgi_cd(VSID, 0, true));
	EXPECT_COUNTS(1, 9, 0, 1, 0);
	for (i = 0; i < 10; i++)
		ring_put(ring, i == 5 ? cmd_tlbi_nh_all() : cmd_filler(i));
	EXPECT_COUNTS(1, 9, 0, 1, 0);
}

/* NH_ASID leaves global entries, so it replaces NH_VA only under NO_GLOBAL */
TEST_F(batch, asid_subsumes_addresses_if_nothing_is_global)
{
	bool no_global = variant->flags;
	int i;

	for (i = 0; i < 10; i++)
		ring_put(&self->m.ring, i == 5 ? cmd_tlbi_asid(FILLER_ASID) : cmd_filler(i));
	EXPECT_COUNTS(no_global ? 1 : 10, no_global ? 9 : 0, 0, 1, no_global ? 0 : 1);
}

TEST_F(batch, many_addresses_become_an_asid_if_nothing_is_global)
{
	bool no_global = variant->flags;
	int i;

	for (i = 0; i < 64; i++)
		ring_put(&self->m.ring, cmd_filler(i));
	EXPECT_COUNTS(64, 0, 0, 1, 1);
	for (i = 0; i < 65; i++)
		ring_put(&self->m.ring, cmd_filler(i));
	EXPECT_COUNTS(no_global ? 1 : 65, no_global ? 64 : 0, 0, 1, no_global ? 0 : 1);
}

TEST_F(batch, adjacent_ranges_become_one)
{
	struct smmuv3_accel_phys phys;
	int i;

	ASSERT_EQ(0, accel_phys(&self->m.g, 0, &phys));
	if (!(phys.out_idr[3] & IDR3_RIL))
		SKIP(return, "this SMMU has no range invalidations");
	/* Four times four adjacent granules */
	for (i = 0; i < 4; i++)
		ring_put(&self->m.ring,
			 cmd_range(cmd_tlbi_va(MACHINE_ASID, i * 0x4000, true), 3, 0, 1, 3));
	EXPECT_COUNTS(1, 0, 3, 1, 0);
	/* A hole of one granule between them */
	for (i = 0; i < 4; i++)
		ring_put(&self->m.ring,
			 cmd_range(cmd_tlbi_va(MACHINE_ASID, i * 0x4000, true), 2, 0, 1, 3));
	EXPECT_COUNTS(4, 0, 0, 1, 1);
	/* NUM and SCALE cannot express 33 granules */
	ring_put(&self->m.ring, cmd_range(cmd_tlbi_va(MACHINE_ASID, 0, true), 31, 0, 1, 3));
	ring_put(&self->m.ring, cmd_range(cmd_tlbi_va(MACHINE_ASID, 0x20000, true), 0, 0, 1, 3));
	EXPECT_COUNTS(2, 0, 0, 1, 1);
}

TEST_F(batch, host_reads_the_ring_itself)
{
	struct ring *ring = &self->m.ring;
	int i;

	for (i = 0; i < 20; i++)
		ring_put(ring, cmd_filler(i));
	ring_put(ring, cmd_sync());
	EXPECT_COUNTS(20, 0, 0, 1, 1);
	/* But not if they lie across the ring's end */
	machine_ring_at(&self->m, 250);
	for (i = 0; i < 20; i++)
		ring_put(ring, cmd_filler(i));
	EXPECT_COUNTS(20, 0, 0, 1, 0);
	/* Two phases, CDs first, take two calls */
	ring_put(ring, cmd_cfgi_cd(VSID, 0, true));
	ring_put(ring, cmd_sync());
	ring_put(ring, cmd_filler(0));
	ring_put(ring, cmd_filler(1));
	ring_put(ring, cmd_sync());
	EXPECT_COUNTS(3, 0, 0, 2, 2);
}

TEST_HARNESS_MAIN
