// SPDX-License-Identifier: GPL-2.0
/*
 * A host that cannot nest: to be run where the root complex is not declared
 * CANWBS and the SMMU has no S2FWB.
 */
#include <errno.h>

#include "guest.h"
#include "harness.h"

static int attach_fails(struct guest *g, struct dma_dev *dev, __u32 *reason)
{
	struct smmuv3_accel_attach attach;
	int rc = accel_attach(g, dev->fd, 1, &attach);

	*reason = attach.out_reason;
	return rc;
}

TEST(no_nesting)
{
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_attach attach;
	struct dma_dev dev;
	struct ring ring;
	struct guest g;
	__u32 reason;
	int rc;

	ASSERT_EQ(0, guest_open(&g));
	ASSERT_EQ(0, dma_open(&dev, g.iommufd, DMA_TESTDEV, 0));
	rc = attach_fails(&g, &dev, &reason);
	if (!rc)
		SKIP(return, "this host nests");
	EXPECT_EQ(-EOPNOTSUPP, rc);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_NESTING, reason);

	/* Nor while a guest is at work */
	ASSERT_EQ(0, ring_init(&ring, &g, 4));
	ASSERT_EQ(0, accel_mem_table(&g));
	ASSERT_EQ(0, accel_attach_virtual(&g, 2, SMMUV3_ACCEL_ATTACH_BRIDGE, &attach));
	ASSERT_EQ(0, accel_set_regs(&g, CR0_CMDQEN, 0, 0, &ring));
	EXPECT_EQ(-EOPNOTSUPP, attach_fails(&g, &dev, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_NESTING, reason);
	ring_put(&ring, cmd_sync());
	EXPECT_EQ(0, ring_run(&ring, &out));
	EXPECT_EQ(ring.prod, ring.cons);

	/* Nothing is left of the attempts */
	EXPECT_EQ(0, iommufd_destroy(g.iommufd, g.ioas_id));
	dma_close(&dev);
	guest_close(&g);
}

TEST_HARNESS_MAIN
