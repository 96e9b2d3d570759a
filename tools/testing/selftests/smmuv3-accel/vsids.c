// SPDX-License-Identifier: GPL-2.0
/*
 * Streams without a StreamID, and SET_VSIDS, which gives, changes and takes StreamIDs.
 * DMA shows which STE each device has, and whether invalidations and events go by its
 * StreamID.
 *
 * Needs two iommu-testdevs behind one SMMU and one behind another.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "machine.h"

#define REASON(name)	SMMUV3_ACCEL_REASON_##name

#define STREAMS		3	/* the last one is not attached at first */
#define NAME		VSID_NAME(7)
#define VSID_FREE	0x222

/* A page table for each stream, which leads the same DMA address to page 1 + i */
FIXTURE(vsids)
{
	struct machine m;
};

/*
 * @queue: commands and STEs come through guest memory
 * @other_smmu: the second stream is behind another SMMU than the first, and the third
 *	is not; else the other way round
 */
FIXTURE_VARIANT(vsids)
{
	bool queue;
	bool other_smmu;
};

FIXTURE_VARIANT_ADD(vsids, explicit) { false, false };
FIXTURE_VARIANT_ADD(vsids, explicit_other_smmu) { false, true };
FIXTURE_VARIANT_ADD(vsids, table) { true, false };
FIXTURE_VARIANT_ADD(vsids, table_other_smmu) { true, true };

FIXTURE_SETUP(vsids)
{
	struct machine *m = &self->m;
	struct dma_dev dev;
	int rc, i;

	rc = machine_open(m, .stage = STAGE_MEMORY, .devices = STREAMS, .spare = 1,
			  .smmus = 2, .one_table = true);
	if (rc == -ENODEV)
		SKIP(return, "wants two iommu-testdevs behind one SMMU and one behind another");
	ASSERT_EQ(0, rc);
	dev = m->stream[1].dev;
	if (!variant->other_smmu) {
		m->stream[1].dev = m->stream[2].dev;
		m->stream[2].dev = dev;
	}
	for (i = 1; i < STREAMS; i++) {
		ASSERT_EQ(0, stage1_init(&m->stream[i].s1, &m->g, GRANULE_4K, MACHINE_ASID + i));
		stage1_lead(&m->stream[i].s1, 1 + i);
	}
	ASSERT_EQ(0, machine_reach(m, variant->queue ? STAGE_RUNNING : STAGE_EXPLICIT));
}

FIXTURE_TEARDOWN(vsids)
{
	guest_close_accel(&self->m.g);
	EXPECT_NOTHING_LEFT(&self->m.g);
	machine_close(&self->m);
}

/* The page that the stage 1 of a stream's StreamID leads to */
static int page_of(const struct machine *m, int i)
{
	return 1 + m->stream[i].s1.asid - MACHINE_ASID;
}

/* Attach a stream that has no StreamID yet, only a name */
static int attach_unset(struct machine *m, int i, __u32 name)
{
	return accel_attach(&m->g, m->stream[i].dev.fd, name, &m->stream[i].ids);
}

/*
 * Whether a stream that was given its StreamID follows its STE. In explicit mode it
 * aborts until it is given the STE as well
 */
static bool works(struct machine *m, int i)
{
	if (m->stage != STAGE_RUNNING &&
	    (machine_goes(m, i) != -EFAULT ||
	     machine_reason(m, m->stream[i].vsid) != REASON(NO_STE) ||
	     machine_install(m, i, STE_CFG_S1)))
		return false;
	return machine_goes(m, i) == page_of(m, i);
}

#define SET_VSIDS(m, out, ...)							\
	({									\
		const struct smmuv3_accel_vsid _vsids[] = { __VA_ARGS__ };	\
										\
		accel_set_vsids(&(m)->g, _vsids, ARRAY_LEN(_vsids), out);	\
	})

#define EXPECT_SET(m, ...)							\
	do {									\
		struct smmuv3_accel_set_vsids _out;				\
										\
		EXPECT_EQ(0, SET_VSIDS(m, &_out, __VA_ARGS__));			\
		EXPECT_EQ(REASON(NONE), _out.out_reason);			\
		EXPECT_EQ(0, _out.out_vsid);					\
	} while (0)

/* A stream under its name */
#define EXPECT_UNSET(m, i, name)						\
	do {									\
		struct smmuv3_accel_stream _s;					\
										\
		EXPECT_EQ(-EFAULT, machine_goes(m, i));				\
		ASSERT_EQ(0, accel_stream(&(m)->g, name, &_s));			\
		EXPECT_EQ(SMMUV3_ACCEL_KIND_ABORT, _s.out_kind);		\
		EXPECT_EQ(REASON(NO_VSID), _s.out_reason);			\
		EXPECT_EQ((m)->stream[i].dev.dev_id, _s.out_dev_id);		\
		EXPECT_EQ(0, _s.out_vdevice_id);				\
		EXPECT_EQ(0, _s.out_hwpt_id);					\
	} while (0)

static __u32 vdevice_of(struct machine *m, __u32 vsid)
{
	struct smmuv3_accel_stream stream;

	return accel_stream(&m->g, vsid, &stream) ? 0 : stream.out_vdevice_id;
}

TEST_F(vsids, stream_without_one_is_blocked)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[2];
	struct smmuv3_accel_phys phys;
	__u32 reason;

	ASSERT_EQ(0, dma_attach_pt(&s->dev, m->g.ioas_id));
	ASSERT_EQ(0, machine_goes(m, 2));
	machine_write_ste(m, 2, STE_CFG_BYPASS);
	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	EXPECT_EQ(s->dev.dev_id, s->ids.out_dev_id);
	EXPECT_EQ(0, s->ids.out_vdevice_id);
	ASSERT_EQ(0, accel_phys(&m->g, s->ids.out_phys, &phys));
	EXPECT_EQ(s->ids.out_viommu_id, phys.out_viommu_id);
	EXPECT_EQ(1 + variant->other_smmu, phys.out_stream_num);
	EXPECT_UNSET(m, 2, NAME);
	/* The name is taken, and the device too */
	EXPECT_REFUSED(&m->g, EEXIST, VSID_IN_USE, .vfio_fd = s->dev.fd, .vsid = NAME);

	EXPECT_EQ(-EBUSY, accel_install(&m->g, NAME, s->s1.ste, &reason));
	EXPECT_EQ(variant->queue ? REASON(TABLE_MODE) : REASON(NO_VSID), reason);
	if (variant->queue) {
		EXPECT_RUNS(m, cmd_cfgi_all(), 0);
		/* Not even bypassed, as the other streams are then */
		m->cr0 = CR0_CMDQEN;
		ASSERT_EQ(0, machine_set_regs(m));
		EXPECT_EQ(0, machine_goes(m, 0));
	}
	EXPECT_UNSET(m, 2, NAME);
	ASSERT_EQ(0, accel_reset(&m->g));
	EXPECT_UNSET(m, 2, NAME);
	EXPECT_EQ(0, accel_detach(&m->g, NAME, NULL));
	EXPECT_EQ(-ENOENT, accel_detach(&m->g, NAME, NULL));
	EXPECT_EQ(-EFAULT, machine_goes(m, 2));
}

TEST_F(vsids, set_one_takes_the_device_back_from_the_vmm)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[2];

	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	ASSERT_EQ(0, dma_attach_pt(&s->dev, m->g.ioas_id));
	EXPECT_EQ(0, machine_goes(m, 2));
	machine_write_ste(m, 2, STE_CFG_S1);
	EXPECT_SET(m, { NAME, s->vsid });
	EXPECT_TRUE(works(m, 2));
}

TEST_F(vsids, set_one_puts_the_ste_in_force)
{
	struct machine *m = &self->m;
	struct stream *s = &m->stream[2];
	struct smmuv3_accel_stream stream;
	__u32 queue_id;
	int queue;

	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	machine_write_ste(m, 2, STE_CFG_S1);
	EXPECT_UNSET(m, 2, NAME);
	EXPECT_SET(m, { NAME, s->vsid });
	EXPECT_EQ(-ENOENT, accel_stream(&m->g, NAME, &stream));
	EXPECT_NE(0, vdevice_of(m, s->vsid));
	EXPECT_TRUE(works(m, 2));

	/* The guest's commands and events are the stream's */
	queue = veventq_open(m->g.iommufd, s->ids.out_viommu_id, &queue_id);
	ASSERT_LE(0, queue);
	EXPECT_FAULT(s, queue);
	stage1_lead(&s->s1, 4);
	EXPECT_EQ(page_of(m, 2), machine_goes(m, 2));
	EXPECT_EQ(0, INVALIDATE(m, machine_tlbi(m, 2)));
	EXPECT_EQ(4, machine_goes(m, 2));
	EXPECT_EQ(0, machine_detach(m, 2));
	EXPECT_EQ(-EFAULT, machine_goes(m, 2));
	close(queue);
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, queue_id));
}

TEST_F(vsids, one_can_be_unset_again)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	__u32 vdevice = vdevice_of(m, s[0].vsid), vsid = s[0].vsid;

	ASSERT_EQ(page_of(m, 0), machine_goes(m, 0));
	ASSERT_NE(0, vdevice);
	EXPECT_SET(m, { vsid, NAME });
	EXPECT_UNSET(m, 0, NAME);
	EXPECT_EQ(page_of(m, 1), machine_goes(m, 1));
	EXPECT_EQ(-ENOENT, iommufd_destroy(m->g.iommufd, vdevice));

	/* Another device may have the StreamID meanwhile */
	s[2].vsid = vsid;
	s[2].s1 = s[0].s1;
	ASSERT_EQ(0, machine_attach(m, 2));
	EXPECT_TRUE(works(m, 2));
	EXPECT_UNSET(m, 0, NAME);
	ASSERT_EQ(0, machine_detach(m, 2));
	EXPECT_SET(m, { NAME, vsid });
	EXPECT_TRUE(works(m, 0));
}

/* A new name in place of another */
TEST_F(vsids, name_can_change)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stream stream;

	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	EXPECT_SET(m, { NAME, NAME + 1 });
	EXPECT_EQ(-ENOENT, accel_stream(&m->g, NAME, &stream));
	EXPECT_UNSET(m, 2, NAME + 1);
	EXPECT_SET(m, { NAME + 1, NAME + 1 });
	EXPECT_UNSET(m, 2, NAME + 1);
}

TEST_F(vsids, same_one_again_is_set_again)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;

	EXPECT_SET(m, { s[0].vsid, s[0].vsid });
	EXPECT_NE(0, vdevice_of(m, s[0].vsid));
	EXPECT_TRUE(works(m, 0));
	EXPECT_EQ(page_of(m, 1), machine_goes(m, 1));
}

/* Stream number i has the StreamID and the stage 1 that number from[i] had */
static void move(struct machine *m, const int from[STREAMS])
{
	struct stream old[STREAMS];
	int i;

	memcpy(old, m->stream, sizeof(old));
	for (i = 0; i < STREAMS; i++) {
		m->stream[i].vsid = old[from[i]].vsid;
		m->stream[i].s1 = old[from[i]].s1;
	}
}

/* Another ASID, which no TLB has, and page: a change of the CD alone */
static void change_cd(struct machine *m, int i, struct pgtable *pt, int page)
{
	static unsigned int asid = MACHINE_ASID + 10;
	struct stage1 *s1 = &m->stream[i].s1;

	pgtable_init(pt, &m->g, GRANULE_4K);
	pgtable_map(pt, s1->page[0], s1->page[page], PTE_NOT_GLOBAL);
	cd_write(&m->g, s1->cd, pt, asid++);
}

TEST_F(vsids, two_streams_can_swap)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	struct pgtable pt;
	__u32 queue_id[2];
	int queue[2], i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(page_of(m, i), machine_goes(m, i));
	queue[0] = veventq_open(m->g.iommufd, s[0].ids.out_viommu_id, &queue_id[0]);
	ASSERT_LE(0, queue[0]);
	queue[1] = queue[0];
	if (variant->other_smmu)
		queue[1] = veventq_open(m->g.iommufd, s[1].ids.out_viommu_id, &queue_id[1]);
	ASSERT_LE(0, queue[1]);

	EXPECT_SET(m, { s[0].vsid, s[1].vsid }, { s[1].vsid, s[0].vsid });
	move(m, (const int[]){ 1, 0, 2 });
	for (i = 0; i < 2; i++) {
		EXPECT_TRUE(works(m, i)) TH_LOG("stream %d does not follow its new STE", i);
		EXPECT_FAULT(&s[i], queue[i]);
	}
	/* Commands reach the stream that has the StreamID now */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(page_of(m, i), machine_goes(m, i));
		change_cd(m, i, &pt, 4);
		ASSERT_EQ(page_of(m, i), machine_goes(m, i)) TH_LOG("no stale CD to end");
		ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(s[!i].vsid, 0, true)));
		EXPECT_EQ(page_of(m, i), machine_goes(m, i)) TH_LOG("reached another stream");
		ASSERT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(s[i].vsid, 0, true)));
		EXPECT_EQ(4, machine_goes(m, i)) TH_LOG("a stale CD is left");
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, machine_change_ste(m, i, STE_CFG_BYPASS));
		EXPECT_EQ(0, machine_goes(m, i));
		EXPECT_EQ(i ? 0 : 4, machine_goes(m, !i));
	}
	for (i = 0; i <= variant->other_smmu; i++) {
		close(queue[i]);
		EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, queue_id[i]));
	}
}

/* One of them has only a name before the call, another one after it */
TEST_F(vsids, three_streams_can_change_places)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;

	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	machine_write_ste(m, 2, STE_CFG_S1);
	EXPECT_SET(m, { NAME, s[0].vsid }, { s[0].vsid, s[1].vsid }, { s[1].vsid, NAME });
	move(m, (const int[]){ 1, 2, 0 });
	EXPECT_TRUE(works(m, 0));
	EXPECT_UNSET(m, 1, NAME);
	EXPECT_TRUE(works(m, 2));
	EXPECT_SET(m, { s[0].vsid, s[1].vsid }, { NAME, s[0].vsid });
	move(m, (const int[]){ 1, 0, 2 });
	EXPECT_TRUE(works(m, 0));
	EXPECT_TRUE(works(m, 1));
	EXPECT_EQ(page_of(m, 2), machine_goes(m, 2));
}

/* Nothing has changed, not even for the entry before the one that is refused */
#define EXPECT_SET_REFUSED(m, _errno, _reason, bad, ...)			\
	do {									\
		__u32 _vdevice = vdevice_of(m, (m)->stream[0].vsid);		\
		struct smmuv3_accel_set_vsids _out;				\
										\
		EXPECT_EQ(-(_errno), SET_VSIDS(m, &_out, __VA_ARGS__));		\
		EXPECT_EQ(REASON(_reason), _out.out_reason);			\
		EXPECT_EQ(bad, _out.out_vsid);					\
		EXPECT_EQ(page_of(m, 0), machine_goes(m, 0));			\
		EXPECT_EQ(page_of(m, 1), machine_goes(m, 1));			\
		EXPECT_EQ(_vdevice, vdevice_of(m, (m)->stream[0].vsid));	\
	} while (0)

TEST_F(vsids, refusal_changes_nothing)
{
	struct machine *m = &self->m;
	const __u32 a = m->stream[0].vsid, b = m->stream[1].vsid, bridge = 0x300;
	struct smmuv3_accel_set_vsids out;
	struct smmuv3_accel_stream stream;

	ASSERT_EQ(0, accel_attach_virtual(&m->g, bridge, SMMUV3_ACCEL_ATTACH_BRIDGE, NULL));
	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	EXPECT_SET_REFUSED(m, ENOENT, NO_STREAM, 0x999, { a, VSID_FREE }, { 0x999, VSID_FREE + 1 });
	EXPECT_SET_REFUSED(m, ENOENT, NO_STREAM, NAME + 1, { a, VSID_FREE },
			   { NAME + 1, VSID_FREE + 1 });
	EXPECT_SET_REFUSED(m, EINVAL, VSID_RANGE, b, { a, VSID_FREE }, { b, VSID_MAX });
	EXPECT_SET_REFUSED(m, EINVAL, VSID_RANGE, NAME, { a, b }, { b, a }, { NAME, VSID_MAX });
	EXPECT_SET_REFUSED(m, EINVAL, VSID_TWICE, a, { a, VSID_FREE }, { a, VSID_FREE + 1 });
	EXPECT_SET_REFUSED(m, EEXIST, VSID_IN_USE, a, { a, b });
	EXPECT_SET_REFUSED(m, EEXIST, VSID_IN_USE, b, { a, VSID_FREE }, { b, bridge });
	EXPECT_SET_REFUSED(m, EEXIST, VSID_IN_USE, b, { a, VSID_FREE }, { b, NAME });
	EXPECT_EQ(-ENOENT, accel_stream(&m->g, VSID_FREE, &stream));
	EXPECT_UNSET(m, 2, NAME);

	/* The same new StreamID twice: either entry may be named */
	EXPECT_EQ(-EINVAL, SET_VSIDS(m, &out, { a, VSID_FREE }, { b, VSID_FREE }));
	EXPECT_EQ(REASON(VSID_TWICE), out.out_reason);
	EXPECT_TRUE(out.out_vsid == a || out.out_vsid == b);
	EXPECT_EQ(page_of(m, 0), machine_goes(m, 0));
	EXPECT_EQ(page_of(m, 1), machine_goes(m, 1));
}

/* The host knows no stream by them */
TEST_F(vsids, commands_with_a_name_reach_nothing)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, attach_unset(m, 2, NAME));
	EXPECT_EQ(0, INVALIDATE(m, cmd_cfgi_cd(NAME, 0, true), cmd_cfgi_cd_all(NAME)));
	if (variant->queue) {
		EXPECT_RUNS(m, cmd_cfgi_ste(NAME, true), 0);
		EXPECT_RUNS(m, cmd_cfgi_ste_range(NAME, 3), 0);
	}
	if (machine_has(m, 0, IDR0_ATS))
		EXPECT_EQ(0, INVALIDATE(m, cmd_atc_inv(NAME, 0, 52)));
	EXPECT_UNSET(m, 2, NAME);
}

/* The StreamIDs are set all the same, and the same call again gives what was missing */
TEST_F(vsids, stream_that_gets_no_vdevice_is_blocked)
{
	struct machine *m = &self->m;
	struct stream *s = m->stream;
	const __u32 a = s[0].vsid, b = s[1].vsid;
	struct smmuv3_accel_set_vsids out;
	__u32 vdevice;

	EXPECT_SET(m, { b, NAME });
	ASSERT_EQ(0, iommufd_vdevice(m->g.iommufd, s[1].ids.out_viommu_id, s[1].dev.dev_id,
				     0x123, &vdevice));
	EXPECT_EQ(-EBUSY, SET_VSIDS(m, &out, { a, VSID_FREE }, { NAME, a }));
	EXPECT_EQ(REASON(DEVICE_IN_USE), out.out_reason);
	EXPECT_EQ(a, out.out_vsid);
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));
	EXPECT_EQ(REASON(DEVICE_IN_USE), machine_reason(m, a));
	EXPECT_EQ(0, vdevice_of(m, a));
	EXPECT_NE(0, vdevice_of(m, VSID_FREE));

	ASSERT_EQ(0, iommufd_destroy(m->g.iommufd, vdevice));
	s[1].vsid = a;
	s[1].s1 = s[0].s1;
	EXPECT_SET(m, { a, a });
	EXPECT_TRUE(works(m, 1));
}

/* One device has an STE, the other one a name and no STE */
FIXTURE(unset)
{
	struct machine m;
};

FIXTURE_SETUP(unset)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 2, .spare = 1));
	ASSERT_EQ(0, attach_unset(&self->m, 1, NAME));
}

FIXTURE_TEARDOWN(unset)
{
	machine_close(&self->m);
}

/* The guest's errors are no errors of the call */
TEST_F(unset, set_one_may_have_no_legal_ste)
{
	struct machine *m = &self->m;
	const __u32 vsid = m->stream[1].vsid, beyond = 1 << 10;
	__u64 ste[8];

	EXPECT_SET(m, { NAME, VSID_FREE });
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));
	EXPECT_EQ(REASON(STE_INVALID), machine_reason(m, VSID_FREE));
	ste_config(ste, STE_CFG_S2);
	strtab_write(&m->strtab, vsid, ste);
	EXPECT_SET(m, { VSID_FREE, vsid });
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));
	EXPECT_EQ(REASON(STE_CONFIG), machine_reason(m, vsid));
	EXPECT_SET(m, { vsid, beyond });
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));
	EXPECT_EQ(REASON(STE_SID_RANGE), machine_reason(m, beyond));
	machine_write_ste(m, 1, STE_CFG_S1);
	EXPECT_SET(m, { beyond, vsid });
	EXPECT_EQ(1, machine_goes(m, 1));
}

TEST_F(unset, set_one_bypasses_while_the_smmu_is_disabled)
{
	struct machine *m = &self->m;
	const __u32 a = m->stream[0].vsid, b = m->stream[1].vsid;

	m->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));
	EXPECT_SET(m, { NAME, b });
	EXPECT_EQ(0, machine_goes(m, 1));
	EXPECT_SET(m, { a, b }, { b, a });
	EXPECT_EQ(0, machine_goes(m, 0));
	EXPECT_EQ(0, machine_goes(m, 1));
}

TEST_HARNESS_MAIN
