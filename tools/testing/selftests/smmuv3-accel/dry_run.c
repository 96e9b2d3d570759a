// SPDX-License-Identifier: GPL-2.0
/*
 * ATTACH as a dry run has the result that the real call would have, and leaves nothing
 * behind. For refusals, each test that uses EXPECT_REFUSED() shows the same.
 *
 * Needs two iommu-testdevs.
 */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "machine.h"

#define VSID	MACHINE_VSID

#define FREE_IDS	16	/* more than an ATTACH allocates */

/* The next IDs that an iommufd gives out: the same ones if no object was added */
static int free_ids(int iommufd, __u32 ids[FREE_IDS])
{
	int i, rc = 0;

	for (i = 0; i < FREE_IDS && !rc; i++)
		rc = ioas_alloc(iommufd, &ids[i]);
	while (i--)
		iommufd_destroy(iommufd, ids[i]);
	return rc;
}

/* The VMM has attached the devices to the IOAS by itself */
FIXTURE(dry_run)
{
	struct machine m;
	__u32 ids[FREE_IDS];
};

FIXTURE_SETUP(dry_run)
{
	struct machine *m = &self->m;
	int i;

	ASSERT_EQ(0, machine_open(m, .stage = STAGE_CREATED, .devices = 2));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, dma_attach_pt(&m->stream[i].dev, m->g.ioas_id));
}

FIXTURE_TEARDOWN(dry_run)
{
	machine_close(&self->m);
}

static int dry_run(struct machine *m, unsigned int i, __u32 vsid, __u32 parent)
{
	return accel_attach_arg(&m->g, (struct smmuv3_accel_attach){
		.flags = SMMUV3_ACCEL_ATTACH_DRY_RUN, .vfio_fd = m->stream[i].dev.fd,
		.vsid = vsid, .s2_hwpt_id = parent,
	}, &m->stream[i].ids);
}

/* Succeeds, without a result */
#define EXPECT_SUCCESS(m, i, vsid, parent)					\
	do {									\
		struct smmuv3_accel_attach _none = {}, *_ids = &(m)->stream[i].ids; \
										\
		EXPECT_EQ(0, dry_run(m, i, vsid, parent));			\
		EXPECT_EQ(0, memcmp(&_ids->out_reason, &_none.out_reason,	\
				    sizeof(_none) -				\
				    offsetof(struct smmuv3_accel_attach, out_reason))); \
	} while (0)

/* Nothing of the vSMMU is in the iommufd */
#define EXPECT_NO_OBJECT(self)							\
	do {									\
		struct guest *_g = &(self)->m.g;				\
		__u32 _ids[FREE_IDS];						\
										\
		ASSERT_EQ(0, free_ids(_g->iommufd, _ids));			\
		EXPECT_EQ(0, memcmp((self)->ids, _ids, sizeof(_ids)));		\
	} while (0)

TEST_F(dry_run, success_leaves_nothing)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_phys phys;
	__u32 parent;
	int i;

	ASSERT_EQ(0, iommufd_nest_parent(m->g.iommufd, m->stream[0].dev.dev_id, m->g.ioas_id,
					 &parent));
	ASSERT_EQ(0, free_ids(m->g.iommufd, self->ids));
	for (i = 0; i < 3; i++) {
		EXPECT_SUCCESS(m, 0, VSID, i == 1 ? parent : 0);
		EXPECT_EQ(-ENOENT, accel_stream(&m->g, VSID, &stream));
		EXPECT_EQ(-ENOENT, accel_phys(&m->g, 0, &phys));
		EXPECT_NO_OBJECT(self);
	}
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, parent));
	/* Only objects of the VMM hold the IOAS */
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, dma_detach_pt(&m->stream[i].dev));
	EXPECT_NOTHING_LEFT(&m->g);
}

TEST_F(dry_run, device_keeps_its_domain)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_goes(m, 0));
	EXPECT_SUCCESS(m, 0, VSID, 0);
	EXPECT_EQ(0, machine_goes(m, 0));
	/* Or if it is attached to none */
	ASSERT_EQ(0, dma_detach_pt(&m->stream[0].dev));
	EXPECT_SUCCESS(m, 0, VSID, 0);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(0, dma_attach_pt(&m->stream[0].dev, m->g.ioas_id));
	EXPECT_EQ(0, machine_goes(m, 0));
}

/* So another VMM can have the device */
TEST_F(dry_run, vfio_file_is_not_held)
{
	struct machine *m = &self->m;

	EXPECT_SUCCESS(m, 0, VSID, 0);
	dma_close(&m->stream[0].dev);
	ASSERT_EQ(0, dma_open(&m->stream[0].dev, m->g.iommufd, DMA_TESTDEV, 0));
	EXPECT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, machine_goes(m, 0));
}

TEST_F(dry_run, call_can_follow)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_set_idr idr;
	__u32 offer[6];
	int i;

	ASSERT_EQ(0, machine_find_idr(m, offer));
	EXPECT_SUCCESS(m, 0, VSID, 0);
	EXPECT_SUCCESS(m, 0, VSID_NAME(1), 0);
	/* The ID registers are not frozen, and the StreamID is not taken */
	EXPECT_EQ(0, accel_set_idr(&m->g, offer, &idr));
	m->stream[1].vsid = VSID;
	m->stream[0].vsid = VSID + 1;
	for (i = 1; i >= 0; i--) {
		ASSERT_EQ(0, machine_attach(m, i));
		EXPECT_NE(0, m->stream[i].ids.out_dev_id);
		EXPECT_NE(0, m->stream[i].ids.out_viommu_id);
		EXPECT_NE(0, m->stream[i].ids.out_vdevice_id);
		EXPECT_NE(0, m->stream[i].ids.out_s2_hwpt_id);
		ASSERT_EQ(0, machine_install(m, i, STE_CFG_S1));
		EXPECT_EQ(1, machine_goes(m, i));
	}
}

/* For hotplug */
TEST_F(dry_run, running_guest_does_not_notice)
{
	struct smmuv3_accel_phys before, after;
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_attach(m, 0));
	machine_write_ste(m, 0, STE_CFG_S1);
	/* An STE that a real ATTACH would put in force */
	machine_write_ste(m, 1, STE_CFG_S1);
	ASSERT_EQ(0, machine_set_regs(m));
	ASSERT_EQ(0, accel_phys(&m->g, 0, &before));
	ASSERT_EQ(0, free_ids(m->g.iommufd, self->ids));
	EXPECT_SUCCESS(m, 1, VSID + 1, 0);
	EXPECT_EQ(1, machine_goes(m, 0));
	EXPECT_EQ(0, machine_goes(m, 1));
	ASSERT_EQ(0, accel_phys(&m->g, 0, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_NO_OBJECT(self);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID + 1, true), 0);
	EXPECT_EQ(0, machine_goes(m, 1));

	ASSERT_EQ(0, machine_attach(m, 1));
	EXPECT_EQ(1, machine_goes(m, 1));
}

/* The SMMU had a parent that the VMM allocated, and released it with the last stream */
TEST_F(dry_run, released_smmu_stays_released)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[0];
	struct smmuv3_accel_phys phys;
	__u32 parent;

	ASSERT_EQ(0, iommufd_nest_parent(m->g.iommufd, s->dev.dev_id, m->g.ioas_id, &parent));
	ASSERT_EQ(0, free_ids(m->g.iommufd, self->ids));
	ASSERT_EQ(0, accel_attach_arg(&m->g, (struct smmuv3_accel_attach){
		.vfio_fd = s->dev.fd, .vsid = VSID, .s2_hwpt_id = parent,
	}, &s->ids));
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_NO_OBJECT(self);
	EXPECT_SUCCESS(m, 0, VSID, 0);
	EXPECT_NO_OBJECT(self);
	ASSERT_EQ(0, accel_phys(&m->g, 0, &phys));
	EXPECT_EQ(0, phys.out_viommu_id);
	EXPECT_EQ(0, phys.out_s2_hwpt_id);
	EXPECT_SUCCESS(m, 0, VSID, parent);
	EXPECT_NO_OBJECT(self);
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, parent));
}

TEST_HARNESS_MAIN
