// SPDX-License-Identifier: GPL-2.0
/*
 * The stage-2 parent that ATTACH names: which parents it accepts, and when the module
 * releases them. Each test ends with nothing left of the vSMMU.
 *
 * Needs two iommu-testdevs behind each of two SMMUs.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "machine.h"

#define SMMUS		2

/* The VMM's parents: for the first and for the second SMMU, and one more for the first */
enum { FIRST, SECOND, OTHER, PARENTS };

/* Devices 0 and 2 are behind the first SMMU, 1 and 3 behind the second */
FIXTURE(parent)
{
	struct machine m;
	__u32 id[PARENTS];
};

FIXTURE_SETUP(parent)
{
	struct machine *m = &self->m;
	int rc, i;

	rc = machine_open(m, .stage = STAGE_CREATED, .devices = 2 * SMMUS, .smmus = SMMUS);
	if (rc == -ENODEV)
		SKIP(return, "wants two iommu-testdevs behind each of two SMMUs");
	ASSERT_EQ(0, rc);
	for (i = 0; i < PARENTS; i++)
		ASSERT_EQ(0, iommufd_nest_parent(m->g.iommufd, m->stream[i % SMMUS].dev.dev_id,
						 m->g.ioas_id, &self->id[i]));
}

/* A test may have destroyed a parent */
FIXTURE_TEARDOWN(parent)
{
	struct guest *g = &self->m.g;
	int rc, i;

	guest_close_accel(g);
	for (i = 0; i < PARENTS; i++) {
		rc = iommufd_destroy(g->iommufd, self->id[i]);
		EXPECT_TRUE(!rc || rc == -ENOENT) TH_LOG("parent %d: %d", i, rc);
	}
	EXPECT_NOTHING_LEFT(g);
	machine_close(&self->m);
}

/* @parent: an ID, or 0 */
static int attach(struct machine *m, unsigned int i, __u32 parent)
{
	struct stream *s = &m->stream[i];

	return accel_attach_arg(&m->g, (struct smmuv3_accel_attach){
		.vfio_fd = s->dev.fd, .vsid = s->vsid, .s2_hwpt_id = parent,
	}, &s->ids);
}

#define EXPECT_PARENT_REFUSED(m, i, parent, _errno, _reason)			\
	EXPECT_REFUSED(&(m)->g, _errno, _reason, .vfio_fd = (m)->stream[i].dev.fd, \
		       .vsid = (m)->stream[i].vsid, .s2_hwpt_id = parent)

/* Whether DMA of a stream with an STE follows its table, also after a change */
static bool follows(struct machine *m, unsigned int i)
{
	int old = machine_goes(m, i), new = 3 - old;

	machine_lead(m, i, new);
	return (old == 1 || old == 2) && machine_goes(m, i) == old &&
	       !INVALIDATE(m, machine_tlbi(m, i)) && machine_goes(m, i) == new;
}

/* The same, after giving the stream its STE */
static bool works(struct machine *m, unsigned int i)
{
	return !machine_install(m, i, STE_CFG_S1) && follows(m, i);
}

TEST_F(parent, named_one_is_used_on_its_smmu)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_phys phys;
	int i;

	for (i = 0; i < SMMUS; i++) {
		ASSERT_EQ(0, attach(m, i, self->id[i]));
		EXPECT_EQ(self->id[i], m->stream[i].ids.out_s2_hwpt_id);
		ASSERT_EQ(0, accel_phys(&m->g, i, &phys));
		EXPECT_EQ(self->id[i], phys.out_s2_hwpt_id);
		EXPECT_EQ(m->stream[i].ids.out_viommu_id, phys.out_viommu_id);
	}
	/* The next device names the same one, or none */
	ASSERT_EQ(0, attach(m, 2, self->id[FIRST]));
	ASSERT_EQ(0, attach(m, 3, 0));
	for (i = 0; i < 2 * SMMUS; i++) {
		EXPECT_EQ(self->id[i % SMMUS], m->stream[i].ids.out_s2_hwpt_id);
		EXPECT_EQ(m->stream[i % SMMUS].ids.out_viommu_id, m->stream[i].ids.out_viommu_id);
		EXPECT_TRUE(works(m, i));
	}
}

TEST_F(parent, named_one_on_an_smmu_leaves_the_other_smmu_to_the_module)
{
	struct machine *m = &self->m;
	int i;

	ASSERT_EQ(0, attach(m, 1, 0));
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	for (i = 0; i < PARENTS; i++)
		EXPECT_NE(self->id[i], m->stream[1].ids.out_s2_hwpt_id);
	EXPECT_EQ(self->id[FIRST], m->stream[0].ids.out_s2_hwpt_id);
	EXPECT_TRUE(works(m, 0));
	EXPECT_TRUE(works(m, 1));
}

/* That IOAS may differ from CREATE's */
TEST_F(parent, dma_goes_through_the_ioas_of_the_named_one)
{
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	struct stage1 *s1 = &m->stream[0].s1;
	__u32 ioas, id;

	/* A guest physical address that means another page than in the IOAS of CREATE */
	ASSERT_EQ(0, ioas_alloc(g->iommufd, &ioas));
	ASSERT_EQ(0, ioas_map(g->iommufd, ioas, s1->page[0], guest_ptr(g, s1->page[3]), 4096));
	ASSERT_EQ(0, iommufd_nest_parent(g->iommufd, m->stream[0].dev.dev_id, ioas, &id));
	ASSERT_EQ(0, attach(m, 0, id));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_BYPASS));
	EXPECT_EQ(3, machine_goes(m, 0));
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, id));
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, ioas));

	ASSERT_EQ(0, attach(m, 0, 0));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_BYPASS));
	EXPECT_EQ(0, machine_goes(m, 0));
}

TEST_F(parent, what_is_no_parent_of_that_smmu_is_refused)
{
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	__u32 dev_id = m->stream[0].dev.dev_id, plain;
	struct smmuv3_accel_phys phys;

	ASSERT_EQ(0, iommufd_hwpt(g->iommufd, dev_id, g->ioas_id, 0, &plain));
	EXPECT_PARENT_REFUSED(m, 0, 999, ENOENT, PARENT_REJECTED);
	EXPECT_PARENT_REFUSED(m, 0, ~0U, ENOENT, PARENT_REJECTED);
	EXPECT_PARENT_REFUSED(m, 0, g->ioas_id, ENOENT, PARENT_REJECTED);
	EXPECT_PARENT_REFUSED(m, 0, dev_id, ENOENT, PARENT_REJECTED);
	EXPECT_PARENT_REFUSED(m, 0, plain, EINVAL, PARENT_REJECTED);
	EXPECT_PARENT_REFUSED(m, 0, self->id[SECOND], EINVAL, PARENT_REJECTED);
	EXPECT_EQ(-ENOENT, accel_phys(g, 0, &phys));

	/* A nested HWPT; a parent that is in use on the other SMMU */
	ASSERT_EQ(0, attach(m, 1, self->id[SECOND]));
	ASSERT_EQ(0, accel_phys(g, 0, &phys));
	EXPECT_PARENT_REFUSED(m, 0, phys.out_abort_hwpt_id, ENOENT, PARENT_REJECTED);
	EXPECT_PARENT_REFUSED(m, 0, self->id[SECOND], EINVAL, PARENT_REJECTED);
	EXPECT_EQ(-ENOENT, accel_phys(g, 1, &phys));
	EXPECT_TRUE(works(m, 1));

	EXPECT_EQ(0, iommufd_destroy(g->iommufd, plain));
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	EXPECT_TRUE(works(m, 0));
}

TEST_F(parent, other_one_than_that_in_use_is_refused)
{
	struct machine *m = &self->m;
	__u32 own;

	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	EXPECT_PARENT_REFUSED(m, 2, self->id[OTHER], EBUSY, PARENT_OTHER);
	EXPECT_PARENT_REFUSED(m, 2, self->id[SECOND], EBUSY, PARENT_OTHER);
	EXPECT_PARENT_REFUSED(m, 2, 999, EBUSY, PARENT_OTHER);
	EXPECT_TRUE(works(m, 0));
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, self->id[OTHER]));

	/* The module's own lives until close */
	ASSERT_EQ(0, attach(m, 1, 0));
	own = m->stream[1].ids.out_s2_hwpt_id;
	EXPECT_PARENT_REFUSED(m, 3, self->id[SECOND], EBUSY, PARENT_OTHER);
	ASSERT_EQ(0, machine_detach(m, 1));
	EXPECT_PARENT_REFUSED(m, 1, self->id[SECOND], EBUSY, PARENT_OTHER);
	ASSERT_EQ(0, attach(m, 1, own));
	EXPECT_EQ(own, m->stream[1].ids.out_s2_hwpt_id);
	EXPECT_TRUE(works(m, 1));
}

#define EXPECT_RELEASED(g, index, _idr)						\
	do {									\
		struct smmuv3_accel_phys _phys;					\
										\
		ASSERT_EQ(0, accel_phys(g, index, &_phys));			\
		EXPECT_EQ(0, _phys.out_viommu_id);				\
		EXPECT_EQ(0, _phys.out_s2_hwpt_id);				\
		EXPECT_EQ(0, _phys.out_abort_hwpt_id);				\
		EXPECT_EQ(0, _phys.out_bypass_hwpt_id);				\
		EXPECT_EQ(0, _phys.out_stream_num);				\
		EXPECT_EQ(0, memcmp(_idr, _phys.out_idr, sizeof(_phys.out_idr))); \
	} while (0)

/* The VMM may destroy it then, and the next one may be another */
TEST_F(parent, named_one_is_released_with_the_last_stream)
{
	struct smmuv3_accel_phys phys;
	struct machine *m = &self->m;
	struct guest *g = &m->g;

	ASSERT_EQ(0, attach(m, 1, self->id[SECOND]));
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	ASSERT_EQ(0, attach(m, 2, 0));
	ASSERT_EQ(0, accel_phys(g, 1, &phys));
	EXPECT_NE(0, phys.out_abort_hwpt_id);
	EXPECT_NE(0, phys.out_bypass_hwpt_id);
	EXPECT_TRUE(works(m, 2));
	EXPECT_EQ(-EBUSY, iommufd_destroy(g->iommufd, self->id[FIRST]));
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_EQ(-EBUSY, iommufd_destroy(g->iommufd, self->id[FIRST]));
	EXPECT_TRUE(follows(m, 2));
	ASSERT_EQ(0, machine_detach(m, 2));
	EXPECT_RELEASED(g, 1, phys.out_idr);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, self->id[FIRST]));

	/* The SMMU keeps its number */
	ASSERT_EQ(0, attach(m, 2, self->id[OTHER]));
	EXPECT_EQ(1, m->stream[2].ids.out_phys);
	EXPECT_EQ(self->id[OTHER], m->stream[2].ids.out_s2_hwpt_id);
	EXPECT_TRUE(works(m, 2));
	ASSERT_EQ(0, machine_detach(m, 2));
	EXPECT_RELEASED(g, 1, phys.out_idr);
	ASSERT_EQ(0, attach(m, 0, 0));
	EXPECT_NE(self->id[OTHER], m->stream[0].ids.out_s2_hwpt_id);
	EXPECT_TRUE(works(m, 0));
	EXPECT_TRUE(works(m, 1));
}

/* Translations of its old streams do not serve its new ones */
TEST_F(parent, released_one_has_no_translations)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 0)) TH_LOG("no stale translation to end");
	ASSERT_EQ(0, machine_detach(m, 0));
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	EXPECT_EQ(2, machine_goes(m, 0));
}

/* After a failed call, the SMMU does not have the stage-2 parent that the call allocated */
TEST_F(parent, attach_that_fails_leaves_a_released_smmu_released)
{
	struct smmuv3_accel_phys phys;
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	int fd = m->stream[0].dev.fd;

	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	ASSERT_EQ(0, accel_phys(g, 0, &phys));
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_RELEASED(g, 0, phys.out_idr);
	EXPECT_REFUSED(g, EINVAL, VSID_RANGE, .vfio_fd = fd, .vsid = VSID_MAX);
	EXPECT_RELEASED(g, 0, phys.out_idr);
	EXPECT_REFUSED(g, EINVAL, VSID_RANGE, .vfio_fd = fd, .vsid = VSID_MAX,
		       .s2_hwpt_id = self->id[FIRST]);
	EXPECT_RELEASED(g, 0, phys.out_idr);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, self->id[FIRST]));
	ASSERT_EQ(0, attach(m, 0, self->id[OTHER]));
	EXPECT_TRUE(works(m, 0));
}

/* A vEVENTQ keeps the vIOMMU, and the vIOMMU keeps its parent */
TEST_F(parent, named_one_stays_while_a_veventq_is_on_the_viommu)
{
	struct smmuv3_accel_phys phys;
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	__u32 viommu, queue_id;
	int queue;

	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	viommu = m->stream[0].ids.out_viommu_id;
	queue = veventq_open(g->iommufd, viommu, &queue_id);
	ASSERT_LE(0, queue);
	ASSERT_EQ(0, machine_detach(m, 0));
	ASSERT_EQ(0, accel_phys(g, 0, &phys));
	EXPECT_EQ(viommu, phys.out_viommu_id);
	EXPECT_EQ(self->id[FIRST], phys.out_s2_hwpt_id);
	EXPECT_EQ(0, phys.out_stream_num);
	EXPECT_EQ(-EBUSY, iommufd_destroy(g->iommufd, self->id[FIRST]));
	EXPECT_PARENT_REFUSED(m, 0, self->id[OTHER], EBUSY, PARENT_OTHER);

	/* The queue is still the device's */
	ASSERT_EQ(0, attach(m, 2, 0));
	EXPECT_EQ(viommu, m->stream[2].ids.out_viommu_id);
	EXPECT_EQ(self->id[FIRST], m->stream[2].ids.out_s2_hwpt_id);
	EXPECT_TRUE(works(m, 2));
	EXPECT_FAULT(&m->stream[2], queue);

	/* Without it they go with the last stream, as ever */
	close(queue);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, queue_id));
	ASSERT_EQ(0, machine_detach(m, 2));
	EXPECT_RELEASED(g, 0, phys.out_idr);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, self->id[FIRST]));
}

/* A parent outlives its last stream because of a vEVENTQ, which is gone now */
static void keep_parent(struct __test_metadata *_metadata, struct machine *m, __u32 parent)
{
	struct guest *g = &m->g;
	__u32 queue_id;
	int queue;

	ASSERT_EQ(0, attach(m, 0, parent));
	queue = veventq_open(g->iommufd, m->stream[0].ids.out_viommu_id, &queue_id);
	ASSERT_LE(0, queue);
	ASSERT_EQ(0, machine_detach(m, 0));
	close(queue);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, queue_id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(g->iommufd, parent));
}

TEST_F(parent, named_one_that_a_veventq_kept_goes_with_close)
{
	struct guest *g = &self->m.g;

	keep_parent(_metadata, &self->m, self->id[FIRST]);
	guest_close_accel(g);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, self->id[FIRST]));
}

TEST_F(parent, named_one_that_a_veventq_kept_goes_for_another)
{
	struct machine *m = &self->m;

	keep_parent(_metadata, m, self->id[FIRST]);
	ASSERT_EQ(0, attach(m, 0, self->id[OTHER]));
	EXPECT_EQ(self->id[OTHER], m->stream[0].ids.out_s2_hwpt_id);
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, self->id[FIRST]));
	EXPECT_TRUE(works(m, 0));
}

/* This holds for vSMMUs that do not share ASIDs */
TEST_F(parent, one_serves_one_vsmmu_at_a_time)
{
	struct machine *m = &self->m, second = self->m;
	__u32 own;

	ASSERT_EQ(0, guest_create(&second.g));
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	EXPECT_PARENT_REFUSED(&second, 2, self->id[FIRST], EBUSY, PARENT_IN_USE);
	/* The last stream releases it */
	ASSERT_EQ(0, machine_detach(m, 0));
	ASSERT_EQ(0, attach(&second, 2, self->id[FIRST]));
	EXPECT_TRUE(works(&second, 2));
	EXPECT_PARENT_REFUSED(m, 0, self->id[FIRST], EBUSY, PARENT_IN_USE);
	/* So does close, but the parent is the VMM's */
	guest_close_accel(&second.g);
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	EXPECT_TRUE(works(m, 0));

	/* A parent that the module allocated serves no other vSMMU, and close destroys it */
	ASSERT_EQ(0, attach(m, 1, 0));
	own = m->stream[1].ids.out_s2_hwpt_id;
	ASSERT_EQ(0, guest_create(&second.g));
	EXPECT_PARENT_REFUSED(&second, 3, own, EBUSY, PARENT_IN_USE);
	ASSERT_EQ(0, machine_detach(m, 1));
	EXPECT_PARENT_REFUSED(&second, 3, own, EBUSY, PARENT_IN_USE);
	guest_close_accel(&m->g);
	EXPECT_PARENT_REFUSED(&second, 3, own, ENOENT, PARENT_REJECTED);
	ASSERT_EQ(0, attach(&second, 3, self->id[SECOND]));
	EXPECT_TRUE(works(&second, 3));
	guest_close_accel(&second.g);
}

/* A new file, with CREATE's IOAS 0 */
static int create_without_ioas(struct guest *g)
{
	int rc;

	guest_close_accel(g);
	rc = guest_open_accel(g);
	return rc ? rc : accel_create_flags(g->accel, g->iommufd, 0, 0);
}

TEST_F(parent, one_has_to_be_named_on_each_smmu_without_an_ioas)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_phys phys;
	int i, j;

	ASSERT_EQ(0, create_without_ioas(&m->g));
	for (j = 0; j < 2; j++) {
		EXPECT_PARENT_REFUSED(m, 0, 0, ENOENT, NO_IOAS);
		ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
		ASSERT_EQ(0, attach(m, 2, 0));
		EXPECT_EQ(self->id[FIRST], m->stream[2].ids.out_s2_hwpt_id);
		EXPECT_TRUE(works(m, 0));
		EXPECT_TRUE(works(m, 2));
		for (i = 0; i <= 2; i += 2)
			ASSERT_EQ(0, machine_detach(m, i));
	}
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
	EXPECT_PARENT_REFUSED(m, 1, 0, ENOENT, NO_IOAS);
	EXPECT_EQ(-ENOENT, accel_phys(&m->g, 1, &phys));
	ASSERT_EQ(0, attach(m, 1, self->id[SECOND]));
	EXPECT_TRUE(works(m, 0));
	EXPECT_TRUE(works(m, 1));
}

/*
 * A VMM unplugs its last device, destroys all that it has in the iommufd, and plugs the
 * device in again, with one open file
 */
static void unplug_and_plug(struct __test_metadata *_metadata, struct machine *m, __u32 *ids)
{
	struct guest *g = &m->g;
	__u32 queue_id;
	int queue, i;

	ASSERT_EQ(0, attach(m, 0, ids[FIRST]));
	queue = veventq_open(g->iommufd, m->stream[0].ids.out_viommu_id, &queue_id);
	ASSERT_LE(0, queue);
	EXPECT_TRUE(works(m, 0));
	close(queue);
	ASSERT_EQ(0, iommufd_destroy(g->iommufd, queue_id));
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	for (i = 0; i < PARENTS; i++)
		ASSERT_EQ(0, iommufd_destroy(g->iommufd, ids[i]));
	ASSERT_EQ(0, iommufd_destroy(g->iommufd, g->ioas_id));
	EXPECT_PARENT_REFUSED(m, 0, 0, ENOENT, NO_IOAS);
	EXPECT_PARENT_REFUSED(m, 0, ids[FIRST], ENOENT, PARENT_REJECTED);

	ASSERT_EQ(0, ioas_alloc(g->iommufd, &g->ioas_id));
	ASSERT_EQ(0, ioas_map(g->iommufd, g->ioas_id, GUEST_BASE, g->ram, GUEST_SIZE));
	for (i = 0; i < PARENTS; i++)
		ASSERT_EQ(0, iommufd_nest_parent(g->iommufd, m->stream[i % SMMUS].dev.dev_id,
						 g->ioas_id, &ids[i]));
	ASSERT_EQ(0, attach(m, 0, ids[FIRST]));
	EXPECT_TRUE(works(m, 0));
	ASSERT_EQ(0, machine_detach(m, 0));
}

TEST_F(parent, file_without_an_ioas_outlives_all_parents)
{
	int i;

	ASSERT_EQ(0, create_without_ioas(&self->m.g));
	for (i = 0; i < 2; i++)
		unplug_and_plug(_metadata, &self->m, self->id);
}

/* A file that CREATE gave an IOAS outlives the IOAS, too */
TEST_F(parent, file_outlives_its_ioas)
{
	unplug_and_plug(_metadata, &self->m, self->id);
}

/* The module does not take an object for the IOAS that had its ID before */
TEST_F(parent, other_object_with_the_id_of_the_ioas_is_none)
{
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	__u32 old = g->ioas_id;
	int i;

	for (i = 0; i < PARENTS; i++)
		ASSERT_EQ(0, iommufd_destroy(g->iommufd, self->id[i]));
	ASSERT_EQ(0, ioas_alloc(g->iommufd, &g->ioas_id));
	ASSERT_EQ(0, iommufd_destroy(g->iommufd, old));
	ASSERT_EQ(0, iommufd_nest_parent(g->iommufd, m->stream[0].dev.dev_id, g->ioas_id,
					 &self->id[FIRST]));
	ASSERT_EQ(old, self->id[FIRST]);
	EXPECT_PARENT_REFUSED(m, 0, 0, ENOENT, NO_IOAS);
	ASSERT_EQ(0, attach(m, 0, self->id[FIRST]));
}

TEST_HARNESS_MAIN
