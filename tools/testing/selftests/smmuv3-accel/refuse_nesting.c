// SPDX-License-Identifier: GPL-2.0
/*
 * A host that cannot nest: to be run where the root complex is not declared
 * CANWBS and the SMMU has no S2FWB.
 */
#include <errno.h>

#include "guest.h"
#include "kselftest_harness.h"

TEST(no_nesting)
{
	struct smmuv3_accel_attach attach;
	struct dma_dev dev;
	struct guest g;
	int rc;

	ASSERT_EQ(0, guest_open(&g));
	ASSERT_EQ(0, dma_open(&dev, g.iommufd, DMA_TESTDEV, 0));
	rc = accel_attach(&g, dev.fd, 1, &attach);
	if (!rc)
		SKIP(return, "this host nests");
	EXPECT_EQ(-EOPNOTSUPP, rc);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_NESTING, attach.out_reason);
	/* Nothing is left of the attempt */
	EXPECT_EQ(0, iommufd_destroy(g.iommufd, g.ioas_id));
	dma_close(&dev);
	guest_close(&g);
}

TEST_HARNESS_MAIN
