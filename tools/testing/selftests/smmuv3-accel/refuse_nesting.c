// SPDX-License-Identifier: GPL-2.0
/*
 * A host that cannot nest: its root complexes are not declared CANWBS, and its SMMU has
 * no S2FWB.
 */
#include <errno.h>

#include "harness.h"
#include "machine.h"

TEST(host_without_nesting_is_refused)
{
	struct machine m;
	int rc;

	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_CREATED, .devices = 1));
	rc = machine_attach(&m, 0);
	if (!rc)
		SKIP(return, "this host nests");
	EXPECT_EQ(-EOPNOTSUPP, rc);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_NESTING, m.stream[0].ids.out_reason);

	/* While a guest runs, too */
	ASSERT_EQ(0, accel_attach_virtual(&m.g, 2, SMMUV3_ACCEL_ATTACH_BRIDGE, NULL));
	ASSERT_EQ(0, machine_set_regs(&m));
	EXPECT_EQ(-EOPNOTSUPP, machine_attach(&m, 0));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_NESTING, m.stream[0].ids.out_reason);
	EXPECT_TRUE(machine_sync(&m));

	EXPECT_NOTHING_LEFT(&m.g);
	machine_close(&m);
}

TEST_HARNESS_MAIN
