// SPDX-License-Identifier: GPL-2.0
/*
 * A large machine: 64 streams spread over a 2-level table of 64K entries, as
 * many of them test devices as there are, the rest bridges and emulated
 * endpoints.
 */
#include <errno.h>
#include <string.h>

#include "guest.h"
#include "harness.h"

#define STREAMS		64
#define LOG2SIZE	16
#define SPLIT		8
#define IOVA		0x40000000ULL

struct stream {
	__u32 vsid;
	bool real;
	struct dma_dev dev;
	struct pgtable pt;
	__u64 cd;
	__u64 ste[8];
	__u64 page;
};

FIXTURE(scale)
{
	struct guest g;
	struct ring ring;
	struct strtab st;
	struct stream streams[STREAMS];
	unsigned int devices;
};

#define for_each_stream(s) \
	for (s = self->streams; s < self->streams + STREAMS; s++)
#define for_each_device(s) \
	for (s = self->streams; s < self->streams + self->devices; s++)

/* Without holes, but no two in a row */
static __u32 spread(unsigned int i)
{
	return i * 1021 & 0xffff;
}

static int attach(struct guest *g, struct stream *s)
{
	struct smmuv3_accel_attach out;

	if (s->real)
		return accel_attach(g, s->dev.fd, s->vsid, &out);
	return accel_attach_virtual(g, s->vsid, s->vsid & 1 ? SMMUV3_ACCEL_ATTACH_BRIDGE :
				    SMMUV3_ACCEL_ATTACH_EMULATED, &out);
}

FIXTURE_SETUP(scale)
{
	struct stream *s;
	unsigned int i;

	ASSERT_EQ(0, guest_open_memory(&self->g));
	ASSERT_EQ(0, guest_create_flags(&self->g, SMMUV3_ACCEL_CREATE_ALLOW_EMULATED));
	ASSERT_EQ(0, accel_mem_table(&self->g));
	ASSERT_EQ(0, ring_init(&self->ring, &self->g, 4));
	ASSERT_EQ(0, strtab_init(&self->st, &self->g, LOG2SIZE, SPLIT));
	for (i = 0; i < STREAMS; i++) {
		s = &self->streams[i];
		s->vsid = spread(i);
		if (self->devices == i &&
		    !dma_open(&s->dev, self->g.iommufd, DMA_TESTDEV, i)) {
			s->real = true;
			self->devices++;
		}
		pgtable_init(&s->pt, &self->g, GRANULE_4K);
		s->page = guest_alloc(&self->g, 4096);
		pgtable_map(&s->pt, IOVA, s->page, PTE_NOT_GLOBAL);
		s->cd = guest_alloc(&self->g, 64);
		cd_write(&self->g, s->cd, &s->pt, i + 1);
		ste_s1(s->ste, s->cd);
		ASSERT_EQ(0, attach(&self->g, s)) TH_LOG("stream %u", i);
	}
	ASSERT_NE(0, self->devices);
	TH_LOG("%u test devices, %u bridges and emulated endpoints", self->devices,
	       STREAMS - self->devices);
	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_SMMUEN | CR0_CMDQEN, self->st.base,
				    self->st.base_cfg, &self->ring));
}

FIXTURE_TEARDOWN(scale)
{
	struct stream *s;

	close(self->g.accel);
	self->g.accel = -1;
	for_each_device(s)
		dma_close(&s->dev);
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
	guest_close(&self->g);
}

static bool run(struct ring *ring, struct cmd cmd)
{
	struct smmuv3_accel_run_cmdq out;

	ring_put(ring, cmd);
	ring_put(ring, cmd_sync());
	return !ring_run(ring, &out) && !out.out_error && ring->cons == ring->prod;
}

/* Whether a device's DMA lands on @gpa */
static bool reaches(struct guest *g, struct stream *s, __u64 iova, __u64 gpa)
{
	volatile __u32 *word = guest_ptr(g, gpa);

	*word = 0;
	return !testdev_write(&s->dev, iova) && *word == TESTDEV_PATTERN;
}

static __u32 kind_of(struct guest *g, __u32 vsid)
{
	struct smmuv3_accel_stream out;

	return accel_stream(g, vsid, &out) ? 0 : out.out_kind;
}

TEST_F(scale, cfgi_all)
{
	struct guest *g = &self->g;
	__u64 bypass[8];
	struct stream *s;

	/* A table with nothing in it yet */
	for_each_device(s)
		EXPECT_EQ(-EFAULT, testdev_write(&s->dev, IOVA));
	for_each_stream(s)
		strtab_write(&self->st, s->vsid, s->ste);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_stream(s)
		EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, kind_of(g, s->vsid)) TH_LOG("%#x", s->vsid);
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page)) TH_LOG("%#x", s->vsid);

	/* Every other one, and nothing else */
	ste_config(bypass, STE_CFG_BYPASS);
	for_each_stream(s)
		if ((s - self->streams) & 1)
			strtab_write(&self->st, s->vsid, bypass);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_stream(s)
		EXPECT_EQ((s - self->streams) & 1 ? SMMUV3_ACCEL_KIND_BYPASS :
			  SMMUV3_ACCEL_KIND_S1, kind_of(g, s->vsid));
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, (s - self->streams) & 1 ? s->page : IOVA, s->page));
}

/* STEs that stay, CDs that change: a call of the host for each physical SMMU */
TEST_F(scale, cfgi_all_flushes_cds)
{
	struct smmuv3_accel_stats before, after;
	struct smmuv3_accel_phys phys;
	struct guest *g = &self->g;
	__u32 smmus = 0, streams = 0;
	struct pgtable pt;
	struct stream *s;
	__u64 page;

	for_each_stream(s)
		strtab_write(&self->st, s->vsid, s->ste);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page));

	/* Other tables, under an ASID of which nothing is cached */
	page = guest_alloc(g, 4096);
	pgtable_init(&pt, g, GRANULE_4K);
	pgtable_map(&pt, IOVA, page, PTE_NOT_GLOBAL);
	for_each_stream(s)
		cd_write(g, s->cd, &pt, STREAMS + 1);
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page)) TH_LOG("%#x: no CD was cached", s->vsid);

	ASSERT_EQ(0, accel_stats(g, &before));
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	ASSERT_EQ(0, accel_stats(g, &after));
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, page)) TH_LOG("%#x", s->vsid);
	while (!accel_phys(g, smmus, &phys)) {
		streams += phys.out_dev_num;
		smmus++;
	}
	EXPECT_EQ(self->devices, streams);
	EXPECT_EQ(smmus, after.out_host_calls - before.out_host_calls);
	EXPECT_EQ(self->devices, after.out_issued - before.out_issued);
	EXPECT_EQ(STREAMS, after.out_ste_unchanged - before.out_ste_unchanged);
}

/* Each comes and goes amid all the others. */
TEST_F(scale, detach_and_attach)
{
	struct guest *g = &self->g;
	struct stream *s;
	__u32 reason;

	for_each_stream(s)
		strtab_write(&self->st, s->vsid, s->ste);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_stream(s) {
		ASSERT_EQ(0, accel_detach(g, s->vsid, &reason));
		if (s->real)
			EXPECT_EQ(-EFAULT, testdev_write(&s->dev, IOVA));
		EXPECT_EQ(0, kind_of(g, s->vsid));
		ASSERT_EQ(0, attach(g, s));
	}
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page));
	for_each_stream(s)
		EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, kind_of(g, s->vsid));
}

TEST_HARNESS_MAIN
