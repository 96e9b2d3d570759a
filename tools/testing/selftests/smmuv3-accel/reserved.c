// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory over addresses that the host reserves for a device, here its MSI window: no
 * call attaches a device to such an IOAS.
 *
 * Needs an iommu-testdev.
 */
#include <errno.h>

#include "harness.h"
#include "machine.h"

#define REASON	SMMUV3_ACCEL_REASON_RESERVED_IOVA

FIXTURE(reserved)
{
	struct machine m;
};

FIXTURE_SETUP(reserved)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED, .devices = 1));
}

FIXTURE_TEARDOWN(reserved)
{
	machine_close(&self->m);
}

/* Possible while no device is attached */
static int map(struct machine *m)
{
	return ioas_map(m->g.iommufd, m->g.ioas_id, HOST_MSI_BASE, m->g.ram, HOST_MSI_SIZE);
}

static int unmap(struct machine *m)
{
	return ioas_unmap(m->g.iommufd, m->g.ioas_id, HOST_MSI_BASE, HOST_MSI_SIZE);
}

/* A dry run does not find it, because it attaches nothing */
TEST_F(reserved, attach_is_refused)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[0];
	struct smmuv3_accel_attach arg = {
		.flags = SMMUV3_ACCEL_ATTACH_DRY_RUN,
		.vfio_fd = s->dev.fd,
		.vsid = s->vsid,
	};
	struct smmuv3_accel_phys phys;
	__u32 parent;

	ASSERT_EQ(0, iommufd_nest_parent(m->g.iommufd, s->dev.dev_id, m->g.ioas_id, &parent));
	ASSERT_EQ(0, map(m));
	EXPECT_EQ(0, accel_attach_arg(&m->g, arg, &s->ids));
	EXPECT_EQ(-EADDRINUSE, machine_attach(m, 0));
	EXPECT_EQ(REASON, s->ids.out_reason);
	EXPECT_EQ(0, s->ids.out_viommu_id);
	arg.flags = 0;
	arg.s2_hwpt_id = parent;
	EXPECT_EQ(-EADDRINUSE, accel_attach_arg(&m->g, arg, &s->ids));
	EXPECT_EQ(REASON, s->ids.out_reason);
	EXPECT_EQ(0, s->ids.out_viommu_id);

	EXPECT_EQ(-ENOENT, accel_phys(&m->g, 0, &phys));
	ASSERT_EQ(0, iommufd_destroy(m->g.iommufd, parent));
	ASSERT_EQ(0, unmap(m));
	ASSERT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, machine_goes(m, 0));
	/* From now on the IOAS keeps it free */
	EXPECT_NE(0, map(m));
}

TEST_F(reserved, set_vsids_blocks_the_stream)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[0];
	struct smmuv3_accel_vsid entry = { VSID_NAME(0), s->vsid };
	struct smmuv3_accel_set_vsids out;
	struct smmuv3_accel_stream stream;

	machine_write_ste(m, 0, STE_CFG_S1);
	ASSERT_EQ(0, machine_set_regs(m));
	ASSERT_EQ(0, accel_attach(&m->g, s->dev.fd, entry.old_vsid, &s->ids));
	ASSERT_EQ(0, map(m));
	EXPECT_EQ(-EADDRINUSE, accel_set_vsids(&m->g, &entry, 1, &out));
	EXPECT_EQ(REASON, out.out_reason);
	EXPECT_EQ(s->vsid, out.out_vsid);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	/* The StreamID is set */
	ASSERT_EQ(0, accel_stream(&m->g, s->vsid, &stream));
	EXPECT_EQ(SMMUV3_ACCEL_KIND_ABORT, stream.out_kind);
	EXPECT_EQ(REASON, stream.out_reason);

	ASSERT_EQ(0, unmap(m));
	entry.old_vsid = s->vsid;
	EXPECT_EQ(0, accel_set_vsids(&m->g, &entry, 1, &out));
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* The VMM has taken the device out of its domain meanwhile */

TEST_F(reserved, install_ste_is_refused)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[0];
	__u32 reason;

	ASSERT_EQ(0, machine_bypass(m, 0));
	ASSERT_EQ(0, dma_detach_pt(&s->dev));
	ASSERT_EQ(0, map(m));
	EXPECT_EQ(-EADDRINUSE, accel_install(&m->g, s->vsid, s->s1.ste, &reason));
	EXPECT_EQ(REASON, reason);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	ASSERT_EQ(0, unmap(m));
	EXPECT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	EXPECT_EQ(1, machine_goes(m, 0));
}

TEST_F(reserved, set_regs_blocks_the_stream)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_set_regs arg;

	machine_write_ste(m, 0, STE_CFG_S1);
	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, dma_detach_pt(&m->stream[0].dev));
	ASSERT_EQ(0, map(m));
	machine_regs(m, &arg);
	EXPECT_EQ(-EADDRINUSE, accel_ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg));
	EXPECT_EQ(REASON, arg.out_reason);
	EXPECT_EQ(m->stream[0].vsid, arg.out_vsid);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	ASSERT_EQ(0, unmap(m));
	EXPECT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(1, machine_goes(m, 0));
}

TEST_F(reserved, cfgi_ste_is_refused)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	ASSERT_EQ(0, machine_attach(m, 0));
	ASSERT_EQ(0, machine_set_regs(m));
	machine_write_ste(m, 0, STE_CFG_S1);
	ASSERT_EQ(0, dma_detach_pt(&m->stream[0].dev));
	ASSERT_EQ(0, map(m));
	ring_put(&m->ring, cmd_cfgi_ste(m->stream[0].vsid, true));
	EXPECT_EQ(-EADDRINUSE, ring_run(&m->ring, &out));
	EXPECT_EQ(REASON, out.out_reason);
	EXPECT_EQ(m->stream[0].vsid, out.out_vsid);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	ASSERT_EQ(0, unmap(m));
	EXPECT_TRUE(machine_run(m, &out));
	EXPECT_EQ(1, machine_goes(m, 0));
}

TEST_HARNESS_MAIN
