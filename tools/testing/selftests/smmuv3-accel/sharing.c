// SPDX-License-Identifier: GPL-2.0
/*
 * Several vSMMUs of one VM over the same physical SMMUs: when they share a stage-2 parent,
 * and when it is destroyed. Each test ends with nothing left of them.
 *
 * Needs two iommu-testdevs behind each of two SMMUs.
 */
#include <errno.h>
#include <unistd.h>

#include "harness.h"
#include "machine.h"

#define SMMUS		2
#define DEVS		2
#define VSID(smmu)	(0x111 * (1 + (smmu)))
#define IOVA		0x10000000ULL

/* Device number @nth behind a physical SMMU */
static struct dma_dev *dev_of(struct machine *m, int smmu, int nth)
{
	return &m->stream[nth * SMMUS + smmu].dev;
}

/**
 * struct user - One of the vSMMUs, and a device behind it
 * @g: a copy of the VM, with its own accel file. Memory comes from the VM itself
 * @dev: the device
 * @attach: the results of ATTACH
 * @pt: its stage 1
 * @page: IOVA leads there
 */
struct user {
	struct guest g;
	struct dma_dev *dev;
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	__u64 page;
};

/* With a page table. @parent: an ID, or 0 */
static int user_attach_to(struct user *u, struct guest *mem, struct dma_dev *dev,
			  unsigned int asid, __u32 parent)
{
	__u64 ste[8];
	int rc;

	u->dev = dev;
	rc = accel_attach_arg(&u->g, (struct smmuv3_accel_attach){
		.vfio_fd = dev->fd, .vsid = VSID(0), .s2_hwpt_id = parent,
	}, &u->attach);
	if (rc)
		return rc;
	u->page = guest_alloc(mem, 4096);
	pgtable_init(&u->pt, mem, GRANULE_4K);
	pgtable_map(&u->pt, IOVA, u->page, PTE_NOT_GLOBAL);
	ste_s1(ste, cd_new(mem, &u->pt, asid));
	return accel_install(&u->g, VSID(0), ste, NULL);
}

static int user_attach(struct user *u, struct guest *mem, struct dma_dev *dev,
		       unsigned int asid)
{
	return user_attach_to(u, mem, dev, asid, 0);
}

/* Whether its DMA goes where its table leads, and its invalidations take effect */
static bool user_works(struct user *u, struct guest *mem, unsigned int asid)
{
	const struct cmd cmds[] = { cmd_tlbi_va(asid, IOVA, true), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	__u64 old = u->page;

	if (!dma_lands(mem, u->dev, IOVA, old))
		return false;
	u->page = guest_alloc(mem, 4096);
	pgtable_map(&u->pt, IOVA, u->page, PTE_NOT_GLOBAL);
	return dma_lands(mem, u->dev, IOVA, old) &&
	       !accel_invalidate(&u->g, cmds, 2, &out) && out.cmd_num == 2 &&
	       dma_lands(mem, u->dev, IOVA, u->page);
}

#define USERS	3

static int users_open(struct machine *m, struct user u[USERS])
{
	int i, rc;

	rc = machine_open(m, .stage = STAGE_MEMORY, .devices = DEVS * SMMUS, .smmus = SMMUS);
	for (i = 0; i < USERS; i++)
		u[i].g = m->g;
	return rc;
}

FIXTURE(users)
{
	struct machine m;
	struct user u[USERS];
};

FIXTURE_VARIANT(users)
{
	__u32 flags[2];
};

#define SHARED	SMMUV3_ACCEL_CREATE_SHARED_ASIDS

FIXTURE_VARIANT_ADD(users, neither_shares) { { 0, 0 } };
FIXTURE_VARIANT_ADD(users, first_shares) { { SHARED, 0 } };
FIXTURE_VARIANT_ADD(users, second_shares) { { 0, SHARED } };
FIXTURE_VARIANT_ADD(users, both_share) { { SHARED, SHARED } };

FIXTURE_SETUP(users)
{
	int rc = users_open(&self->m, self->u);

	if (rc == -ENODEV)
		SKIP(return, "wants two iommu-testdevs behind each of two SMMUs");
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(users)
{
	int i;

	for (i = 0; i < USERS; i++)
		guest_close_accel(&self->u[i].g);
	EXPECT_NOTHING_LEFT(&self->m.g);
	machine_close(&self->m);
}

static bool share(const __u32 flags[2])
{
	return flags[0] & flags[1] & SHARED;
}

/*
 * Two tables have the same ASID, which breaks the promise of SHARED_ASIDS. With that flag
 * the second device finds the translation of the first one; without it does not.
 */
TEST_F(users, same_asid_is_one_only_with_shared_asids)
{
	struct machine *m = &self->m;
	struct user *u = self->u;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, guest_create_flags(&u[i].g, variant->flags[i]));
		ASSERT_EQ(0, user_attach(&u[i], &m->g, dev_of(m, 0, i), MACHINE_ASID));
	}
	EXPECT_NE(u[0].attach.out_viommu_id, u[1].attach.out_viommu_id);
	ASSERT_TRUE(dma_lands(&m->g, u[0].dev, IOVA, u[0].page));
	if (share(variant->flags)) {
		EXPECT_EQ(u[0].attach.out_s2_hwpt_id, u[1].attach.out_s2_hwpt_id);
		EXPECT_TRUE(dma_lands(&m->g, u[1].dev, IOVA, u[0].page));
	} else {
		EXPECT_NE(u[0].attach.out_s2_hwpt_id, u[1].attach.out_s2_hwpt_id);
		EXPECT_TRUE(dma_lands(&m->g, u[1].dev, IOVA, u[1].page));
	}
}

TEST_F(users, parents_are_shared_for_each_smmu_and_ioas)
{
	struct smmuv3_accel_attach attach[SMMUS];
	struct machine *m = &self->m;
	struct user *u = self->u;
	struct guest other = m->g;
	__u32 first[SMMUS];
	int i, smmu;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, guest_create_flags(&u[i].g, variant->flags[i]));
		for (smmu = 0; smmu < SMMUS; smmu++)
			ASSERT_EQ(0, accel_attach(&u[i].g, dev_of(m, smmu, i)->fd,
						  VSID(smmu), &attach[smmu]));
		EXPECT_NE(attach[0].out_s2_hwpt_id, attach[1].out_s2_hwpt_id);
		for (smmu = 0; smmu < SMMUS; smmu++) {
			if (!i)
				first[smmu] = attach[smmu].out_s2_hwpt_id;
			EXPECT_EQ(!i || share(variant->flags),
				  first[smmu] == attach[smmu].out_s2_hwpt_id);
		}
	}

	/* The same devices, another IOAS of that iommufd */
	guest_close_accel(&u[1].g);
	ASSERT_EQ(0, ioas_alloc(other.iommufd, &other.ioas_id));
	ASSERT_EQ(0, guest_create_flags(&other, variant->flags[1]));
	ASSERT_EQ(0, accel_attach(&other, dev_of(m, 0, 1)->fd, VSID(0), &attach[0]));
	EXPECT_NE(first[0], attach[0].out_s2_hwpt_id);
	guest_close_accel(&other);
	EXPECT_NOTHING_LEFT(&other);
}

/* At the same time only if they share. Neither destroys it */
TEST_F(users, parent_of_the_vmm_serves_both)
{
	struct machine *m = &self->m;
	struct user *u = self->u;
	__u32 parent;
	int i;

	ASSERT_EQ(0, iommufd_nest_parent(m->g.iommufd, dev_of(m, 0, 0)->dev_id, m->g.ioas_id,
					 &parent));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, guest_create_flags(&u[i].g, variant->flags[i]));
	ASSERT_EQ(0, user_attach_to(&u[0], &m->g, dev_of(m, 0, 0), MACHINE_ASID, parent));
	if (!share(variant->flags)) {
		EXPECT_REFUSED(&u[1].g, EBUSY, PARENT_IN_USE, .vfio_fd = dev_of(m, 0, 1)->fd,
			       .vsid = VSID(0), .s2_hwpt_id = parent);
		EXPECT_TRUE(user_works(&u[0], &m->g, MACHINE_ASID));
		guest_close_accel(&u[0].g);
	}
	ASSERT_EQ(0, user_attach_to(&u[1], &m->g, dev_of(m, 0, 1), MACHINE_ASID + 1, parent));
	EXPECT_EQ(parent, u[1].attach.out_s2_hwpt_id);
	if (share(variant->flags)) {
		EXPECT_TRUE(user_works(&u[0], &m->g, MACHINE_ASID));
		/* The last stream of the first goes, and then the first */
		ASSERT_EQ(0, accel_detach(&u[0].g, VSID(0), NULL));
		EXPECT_TRUE(user_works(&u[1], &m->g, MACHINE_ASID + 1));
		guest_close_accel(&u[0].g);
	}
	EXPECT_TRUE(user_works(&u[1], &m->g, MACHINE_ASID + 1));
	EXPECT_EQ(-EBUSY, iommufd_destroy(m->g.iommufd, parent));
	ASSERT_EQ(0, accel_detach(&u[1].g, VSID(0), NULL));
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, parent));
}

/* The module allocated it for the first vSMMU */
TEST_F(users, second_vsmmu_names_the_parent_of_the_first)
{
	struct machine *m = &self->m;
	struct user *u = self->u;
	__u32 parent;

	ASSERT_EQ(0, guest_create_flags(&u[0].g, variant->flags[0]));
	ASSERT_EQ(0, user_attach(&u[0], &m->g, dev_of(m, 0, 0), MACHINE_ASID));
	parent = u[0].attach.out_s2_hwpt_id;
	ASSERT_EQ(0, guest_create_flags(&u[1].g, variant->flags[1]));
	if (!share(variant->flags)) {
		EXPECT_REFUSED(&u[1].g, EBUSY, PARENT_IN_USE, .vfio_fd = dev_of(m, 0, 1)->fd,
			       .vsid = VSID(0), .s2_hwpt_id = parent);
		return;
	}
	ASSERT_EQ(0, user_attach_to(&u[1], &m->g, dev_of(m, 0, 1), MACHINE_ASID + 1, parent));
	EXPECT_EQ(parent, u[1].attach.out_s2_hwpt_id);
	/* It lives until its last user is closed */
	guest_close_accel(&u[0].g);
	EXPECT_TRUE(user_works(&u[1], &m->g, MACHINE_ASID + 1));
	EXPECT_EQ(-EBUSY, iommufd_destroy(m->g.iommufd, m->g.ioas_id));
}

TEST_F(users, close_of_one_does_not_disturb_the_other)
{
	struct machine *m = &self->m;
	struct user *u = self->u;
	int first, i;

	for (first = 0; first < 2; first++) {
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, guest_create_flags(&u[i].g, variant->flags[i]));
			ASSERT_EQ(0, user_attach(&u[i], &m->g, dev_of(m, 0, i),
						 MACHINE_ASID + i));
			ASSERT_TRUE(dma_lands(&m->g, u[i].dev, IOVA, u[i].page));
		}
		guest_close_accel(&u[first].g);
		EXPECT_EQ(-EFAULT, testdev_write(u[first].dev, IOVA));
		EXPECT_TRUE(user_works(&u[!first], &m->g, MACHINE_ASID + !first));
		EXPECT_EQ(-EBUSY, iommufd_destroy(m->g.iommufd, m->g.ioas_id));
		guest_close_accel(&u[!first].g);
		EXPECT_EQ(-ENOENT, iommufd_destroy(m->g.iommufd,
						   u[0].attach.out_s2_hwpt_id));
		EXPECT_EQ(-ENOENT, iommufd_destroy(m->g.iommufd,
						   u[1].attach.out_s2_hwpt_id));
	}
}

/* For the next vSMMU with the same ASIDs, also if the parent lives on */
TEST_F(users, close_leaves_no_translation)
{
	struct machine *m = &self->m;
	struct user *u = self->u, old = {};
	int round;

	ASSERT_EQ(0, guest_create_flags(&u[1].g, variant->flags[1]));
	ASSERT_EQ(0, user_attach(&u[1], &m->g, dev_of(m, 0, 1), MACHINE_ASID + 1));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, guest_create_flags(&u[0].g, variant->flags[0]));
		ASSERT_EQ(0, user_attach(&u[0], &m->g, dev_of(m, 0, 0), MACHINE_ASID));
		EXPECT_TRUE(dma_lands(&m->g, u[0].dev, IOVA, u[0].page))
			TH_LOG("DMA goes %s", round && dma_lands(&m->g, u[0].dev, IOVA, old.page) ?
			       "where the closed vSMMU led it" : "nowhere");
		old = u[0];
		guest_close_accel(&u[0].g);
	}
}

/* Three that share, closed in each order */

FIXTURE(three)
{
	struct machine m;
	struct user u[USERS];
};

FIXTURE_VARIANT(three)
{
	int order[USERS];
};

FIXTURE_VARIANT_ADD(three, abc) { { 0, 1, 2 } };
FIXTURE_VARIANT_ADD(three, acb) { { 0, 2, 1 } };
FIXTURE_VARIANT_ADD(three, bac) { { 1, 0, 2 } };
FIXTURE_VARIANT_ADD(three, bca) { { 1, 2, 0 } };
FIXTURE_VARIANT_ADD(three, cab) { { 2, 0, 1 } };
FIXTURE_VARIANT_ADD(three, cba) { { 2, 1, 0 } };

FIXTURE_SETUP(three)
{
	int rc = users_open(&self->m, self->u);

	if (rc == -ENODEV)
		SKIP(return, "wants two iommu-testdevs behind each of two SMMUs");
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(three)
{
	EXPECT_NOTHING_LEFT(&self->m.g);
	machine_close(&self->m);
}

TEST_F(three, parent_lives_until_the_last_close)
{
	struct machine *m = &self->m;
	struct user *u = self->u;
	__u32 parent;
	int i, n;

	/* The third has no stream any more, but its vIOMMU is on the parent until close */
	for (i = USERS - 1; i >= 0; i--) {
		ASSERT_EQ(0, guest_create_flags(&u[i].g, SHARED));
		ASSERT_EQ(0, user_attach(&u[i], &m->g, dev_of(m, 0, i % DEVS),
					 MACHINE_ASID + i));
		EXPECT_EQ(u[USERS - 1].attach.out_s2_hwpt_id, u[i].attach.out_s2_hwpt_id);
		if (i == USERS - 1)
			ASSERT_EQ(0, accel_detach(&u[i].g, VSID(0), NULL));
	}
	parent = u[0].attach.out_s2_hwpt_id;
	for (n = 0; n < USERS; n++) {
		EXPECT_EQ(-EBUSY, iommufd_destroy(m->g.iommufd, parent));
		guest_close_accel(&u[variant->order[n]].g);
		for (i = 0; i < DEVS; i++) {
			bool closed = u[i].g.accel < 0;

			EXPECT_EQ(!closed, user_works(&u[i], &m->g, MACHINE_ASID + i));
			EXPECT_EQ(closed ? -EFAULT : 0, testdev_write(u[i].dev, IOVA));
		}
	}
	EXPECT_EQ(-ENOENT, iommufd_destroy(m->g.iommufd, parent));
}

TEST_HARNESS_MAIN
