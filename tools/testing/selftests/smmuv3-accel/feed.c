// SPDX-License-Identifier: GPL-2.0
/*
 * Streams without a device: bridges, and endpoints that the VMM emulates. The
 * host knows nothing of them; what a software IOTLB has to see of the guest's
 * commands is compared with a model, and then one is run on it.
 *
 * SMMUV3_ACCEL_SEED: where the random numbers start
 * SMMUV3_ACCEL_FEEDS: how many rings the feed's overflow is tried with
 *
 * Needs a test device.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "harness.h"
#include "stress.h"

#define BRIDGE		SMMUV3_ACCEL_ATTACH_BRIDGE
#define FEED	SMMUV3_ACCEL_ATTACH_FEED
#define ALLOW		SMMUV3_ACCEL_CREATE_FEED
#define NO_GLOBAL	SMMUV3_ACCEL_CREATE_NO_GLOBAL

#define REASON(name)	SMMUV3_ACCEL_REASON_##name
#define KIND(name)	SMMUV3_ACCEL_KIND_##name

#define VSID_DEV	0x10
#define VSID_BRIDGE	0x11
#define VSID_FEED	0x20	/* emulated endpoints: this and the next */
#define SOFTS		2
#define VSID_UNKNOWN	0x33

#define STRTAB_LOG2SIZE	8
#define GUEST_ASID	5
#define IOVA		0x10000000ULL
#define STALLD		(1ULL << 27)	/* STE.S1STALLD: set by the module */

static __u64 random_state;

static __u32 dice(__u32 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % below;
}

static void seed(void)
{
	random_state = env_number("SMMUV3_ACCEL_SEED", 0x50f7);
}

/* Whether a write to @iova lands in the page @gpa */
static bool lands(struct guest *g, struct dma_dev *dev, __u64 iova, __u64 gpa)
{
	volatile __u32 *word = guest_ptr(g, gpa);

	*word = 0;
	return !testdev_write(dev, iova) && *word == TESTDEV_PATTERN;
}

/**
 * struct machine - A guest in table mode
 * @attached: VSID_DEV is, with a stage 1 of its own that leads IOVA to @page
 */
struct machine {
	struct guest g;
	struct ring ring;
	struct strtab strtab;
	struct dma_dev dev;
	bool attached;
	struct pgtable pt;
	__u64 page;
	bool ril;
	bool ats;
};

static int set_regs(struct machine *m, __u32 cr0, __u32 gbpa)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = cr0,
		.gbpa = gbpa,
		.strtab_base = m->strtab.base,
		.strtab_base_cfg = m->strtab.base_cfg,
		.cmdq_base = m->ring.base | m->ring.log2size,
	};

	return ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg) ? -errno : 0;
}

static int machine_open(struct machine *m, __u32 flags, bool beside,
			unsigned int ring_log2size)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys;
	struct guest *g = &m->g;
	__u64 cd, ste[8];
	int rc;

	seed();
	memset(m, 0, sizeof(*m));
	m->dev.fd = -1;
	rc = guest_open_memory(g);
	if (!rc)
		rc = guest_create_flags(g, flags);
	if (!rc)
		rc = accel_mem_table(g);
	if (!rc)
		rc = ring_init(&m->ring, g, ring_log2size);
	if (!rc)
		rc = strtab_init(&m->strtab, g, STRTAB_LOG2SIZE, 0);
	if (!rc)
		rc = set_regs(m, CR0_SMMUEN | CR0_CMDQEN, 0);
	if (rc || !beside)
		return rc;

	m->page = guest_alloc(g, 4096);
	pgtable_init(&m->pt, g, GRANULE_4K);
	pgtable_map(&m->pt, IOVA, m->page, PTE_NOT_GLOBAL);
	cd = guest_alloc(g, 64);
	cd_write(g, cd, &m->pt, GUEST_ASID);
	ste_s1(ste, cd);
	strtab_write(&m->strtab, VSID_DEV, ste);
	rc = dma_open(&m->dev, g->iommufd, DMA_TESTDEV, 0);
	if (!rc)
		rc = accel_attach(g, m->dev.fd, VSID_DEV, &attach);
	if (!rc)
		rc = accel_phys(g, 0, &phys);
	m->attached = !rc;
	m->ril = phys.out_idr[3] & IDR3_RIL;
	m->ats = phys.out_idr[0] & IDR0_ATS;
	return rc;
}

static void machine_close(struct machine *m)
{
	dma_close(&m->dev);
	guest_close(&m->g);
}

static int attach_feeds(struct machine *m)
{
	struct smmuv3_accel_attach out;
	int i, rc = 0;

	for (i = 0; !rc && i < SOFTS; i++)
		rc = accel_attach_virtual(&m->g, VSID_FEED + i, FEED, &out);
	return rc;
}

/* Ring the doorbell once, with room for the feed */
static int doorbell(struct machine *m, __u32 max_cmds, struct cmd *feed,
		    __u32 room, struct smmuv3_accel_run_cmdq *out)
{
	*out = (struct smmuv3_accel_run_cmdq){
		.size = sizeof(*out),
		.prod = m->ring.prod,
		.cons = m->ring.cons,
		.max_cmds = max_cmds,
		.feed_num = room,
		.feed_uptr = (__u64)(unsigned long)feed,
	};
	return ioctl(m->g.accel, SMMUV3_ACCEL_RUN_CMDQ, out) ? -errno : 0;
}

static bool runs(struct machine *m, struct cmd first, __u32 flags)
{
	struct smmuv3_accel_run_cmdq out;
	struct cmd feed[2];
	int rc;

	ring_put(&m->ring, first);
	ring_put(&m->ring, cmd_sync());
	rc = doorbell(m, 0, feed, 2, &out);
	m->ring.cons = out.cons;
	return !rc && out.cons == out.prod && !out.out_error && out.out_flags == flags;
}

/* What bridges and emulated endpoints are, and are not */

FIXTURE(virt)
{
	struct machine m;
};

FIXTURE_VARIANT(virt)
{
	__u32 kind;
	bool beside;	/* a device */
};

FIXTURE_VARIANT_ADD(virt, bridge) { BRIDGE, false };
FIXTURE_VARIANT_ADD(virt, bridge_beside_device) { BRIDGE, true };
FIXTURE_VARIANT_ADD(virt, feed) { FEED, false };
FIXTURE_VARIANT_ADD(virt, feed_beside_device) { FEED, true };

FIXTURE_SETUP(virt)
{
	ASSERT_EQ(0, machine_open(&self->m, ALLOW, variant->beside, 4));
}

/* Attached or not, they leave nothing; the IOAS may be gone already */
FIXTURE_TEARDOWN(virt)
{
	struct guest *g = &self->m.g;
	int rc;

	close(g->accel);
	g->accel = -1;
	rc = iommufd_destroy(g->iommufd, g->ioas_id);
	EXPECT_TRUE(!rc || rc == -ENOENT);
	machine_close(&self->m);
}

#define EXPECT_STREAM(g, vsid, _kind, _reason, w0, w1)			\
	do {								\
		struct smmuv3_accel_stream _s;				\
									\
		ASSERT_EQ(0, accel_stream(g, vsid, &_s));		\
		EXPECT_EQ(_kind, _s.out_kind);				\
		EXPECT_EQ(_reason, _s.out_reason);			\
		EXPECT_EQ(SMMUV3_ACCEL_NO_PHYS, _s.out_phys);		\
		EXPECT_EQ(0, _s.out_dev_id);				\
		EXPECT_EQ(0, _s.out_vdevice_id);			\
		EXPECT_EQ(0, _s.out_hwpt_id);				\
		EXPECT_EQ(w0, le64toh(_s.out_ste[0]));			\
		EXPECT_EQ(w1, le64toh(_s.out_ste[1]) & ~STALLD);	\
	} while (0)

static int attach(struct guest *g, __u32 vsid, __u32 kind)
{
	struct smmuv3_accel_attach out;

	return accel_attach_virtual(g, vsid, kind, &out);
}

static int detach(struct guest *g, __u32 vsid)
{
	__u32 reason;

	return accel_detach(g, vsid, &reason);
}

TEST_F(virt, no_host_object)
{
	struct smmuv3_accel_attach out;
	struct guest *g = &self->m.g;
	struct smmuv3_accel_phys phys;

	if (variant->beside)
		ASSERT_EQ(0, detach(g, VSID_DEV));
	memset(&out, 0xff, sizeof(out));
	ASSERT_EQ(0, accel_attach_virtual(g, VSID_FEED, variant->kind, &out));
	EXPECT_EQ(0, out.out_dev_id);
	EXPECT_EQ(0, out.out_viommu_id);
	EXPECT_EQ(0, out.out_vdevice_id);
	EXPECT_EQ(0, out.out_s2_hwpt_id);
	EXPECT_EQ(SMMUV3_ACCEL_NO_PHYS, out.out_phys);
	EXPECT_EQ(0, out.out_reason);
	if (variant->beside) {
		/* Behind none, whatever there is */
		ASSERT_EQ(0, accel_phys(g, 0, &phys));
		EXPECT_EQ(0, phys.out_stream_num);
		return;
	}
	EXPECT_EQ(-ENOENT, accel_phys(g, 0, &phys));
	/* No stage 2 was made of it */
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, g->ioas_id));
	EXPECT_TRUE(runs(&self->m, cmd_tlbi_nh_all(), 0));
	EXPECT_EQ(0, detach(g, VSID_FEED));
}

TEST_F(virt, install_ste)
{
	struct guest *g = &self->m.g;
	__u64 cd, ste[8];
	__u32 reason;
	int i;

	/* Out of table mode */
	ASSERT_EQ(0, accel_reset(g));
	ASSERT_EQ(0, attach(g, VSID_FEED, variant->kind));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(NO_STE), 0, 0);
	for (i = 0; i < 3; i++) {
		cd = guest_alloc(g, 64);
		ste_s1(ste, cd);
		ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, &reason));
		EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
		if (i == 1)
			ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, &reason));
	}
	ste_config(ste, STE_CFG_BYPASS);
	ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, &reason));
	EXPECT_STREAM(g, VSID_FEED, KIND(BYPASS), 0, 0, 0);
	ste_config(ste, STE_CFG_S2);
	ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, &reason));
	EXPECT_EQ(REASON(STE_CONFIG), reason);
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(STE_CONFIG), 0, 0);
	memset(ste, 0, sizeof(ste));
	ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, &reason));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(STE_INVALID), 0, 0);
}

TEST_F(virt, guests_table)
{
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	__u64 cd = guest_alloc(g, 64), ste[8], bypass[8];

	/* What the table says when it is attached is in force */
	ste_s1(ste, cd);
	strtab_write(&m->strtab, VSID_FEED, ste);
	ASSERT_EQ(0, attach(g, VSID_FEED, variant->kind));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);

	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID_FEED, bypass);
	EXPECT_TRUE(runs(m, cmd_cfgi_ste(VSID_FEED + 1, true), 0));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	EXPECT_TRUE(runs(m, cmd_cfgi_ste(VSID_FEED, true), 0));
	EXPECT_STREAM(g, VSID_FEED, KIND(BYPASS), 0, 0, 0);
	strtab_write(&m->strtab, VSID_FEED, ste);
	EXPECT_TRUE(runs(m, cmd_cfgi_ste_range(VSID_FEED, 1), 0));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	/* The same once more, which on a device's stream ends stale CDs */
	EXPECT_TRUE(runs(m, cmd_cfgi_all(), 0));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	EXPECT_TRUE(runs(m, cmd_cfgi_cd(VSID_FEED, 0, true), 0));

	ste_config(bypass, STE_CFG_NESTED);
	strtab_write(&m->strtab, VSID_FEED, bypass);
	EXPECT_TRUE(runs(m, cmd_cfgi_all(), SMMUV3_ACCEL_RUN_BAD_STE));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(STE_CONFIG), 0, 0);
	strtab_write(&m->strtab, VSID_FEED, ste);

	ASSERT_EQ(0, set_regs(m, CR0_CMDQEN, 0));
	EXPECT_STREAM(g, VSID_FEED, KIND(BYPASS), 0, 0, 0);
	ASSERT_EQ(0, set_regs(m, CR0_CMDQEN, GBPA_ABORT));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(GBPA_ABORT), 0, 0);
	ASSERT_EQ(0, set_regs(m, CR0_SMMUEN | CR0_CMDQEN, 0));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	ASSERT_EQ(0, accel_reset(g));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(NO_STE), 0, 0);
}

#define EXPECT_REFUSED(g, fd, _vsid, _flags, _errno, _reason)		\
	do {								\
		struct smmuv3_accel_attach _a = {			\
			.size = sizeof(_a),				\
			.flags = _flags,				\
			.vfio_fd = fd,					\
			.vsid = _vsid,					\
		};							\
									\
		ASSERT_EQ(-1, ioctl((g)->accel, SMMUV3_ACCEL_ATTACH, &_a)); \
		EXPECT_EQ(_errno, errno);				\
		EXPECT_EQ(SMMUV3_ACCEL_REASON_##_reason, _a.out_reason); \
	} while (0)

TEST_F(virt, refusals)
{
	__u32 kind = variant->kind;
	struct smmuv3_accel_attach out;
	struct guest *g = &self->m.g;
	struct dma_dev dev;
	int i, rc;

	ASSERT_EQ(0, dma_open(&dev, g->iommufd, DMA_TESTDEV, variant->beside));

	EXPECT_REFUSED(g, -1, VSID_FEED, 0, EBADF, NONE);
	EXPECT_REFUSED(g, -1, VSID_FEED, BRIDGE | FEED, EINVAL, NONE);
	EXPECT_REFUSED(g, -1, VSID_FEED, kind | 1 << 2, EOPNOTSUPP, NONE);
	EXPECT_REFUSED(g, -1, VSID_FEED, 1U << 31, EOPNOTSUPP, NONE);
	EXPECT_REFUSED(g, dev.fd, VSID_FEED, kind, EINVAL, HAS_DEVICE);
	EXPECT_REFUSED(g, 0, VSID_FEED, kind, EINVAL, HAS_DEVICE);
	EXPECT_REFUSED(g, -2, VSID_FEED, kind, EINVAL, HAS_DEVICE);
	EXPECT_EQ(-ENOENT, detach(g, VSID_FEED));

	/* Each holds its StreamID against each other */
	for (i = 0; i < 2; i++) {
		rc = i ? attach(g, VSID_FEED, kind) :
			 accel_attach(g, dev.fd, VSID_FEED, &out);
		ASSERT_EQ(0, rc);
		EXPECT_REFUSED(g, -1, VSID_FEED, BRIDGE, EEXIST, VSID_IN_USE);
		EXPECT_REFUSED(g, -1, VSID_FEED, FEED, EEXIST, VSID_IN_USE);
		EXPECT_REFUSED(g, dev.fd, VSID_FEED, 0, EEXIST, VSID_IN_USE);
		ASSERT_EQ(0, detach(g, VSID_FEED));
		EXPECT_EQ(-ENOENT, detach(g, VSID_FEED));
	}
	dma_close(&dev);
}

/* Without what takes the feed there are bridges, but no emulated endpoints */
TEST_F(virt, not_allowed)
{
	struct guest other = self->m.g;

	ASSERT_EQ(0, guest_create_flags(&other, NO_GLOBAL));
	EXPECT_REFUSED(&other, -1, VSID_FEED, FEED, EOPNOTSUPP, NO_FEED);
	EXPECT_EQ(0, attach(&other, VSID_FEED, BRIDGE));
	EXPECT_REFUSED(&other, 0, VSID_BRIDGE, variant->kind, EINVAL, HAS_DEVICE);
	close(other.accel);
}

/* No StreamID is too large until it is known how large they are */
TEST_F(virt, vsid_range)
{
	__u32 idr[6] = {
		IDR0_S1P | IDR0_TTF64 | IDR0_COHACC | IDR0_STALL_NOT | IDR0_TERM,
		7, 0, 0, 0, IDR5_GRAN4K,
	};
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_phys phys;
	struct guest *g = &self->m.g;
	unsigned int bits;

	if (variant->beside) {
		ASSERT_EQ(0, accel_phys(g, 0, &phys));
		idr[0] |= phys.out_idr[0] & IDR0_TTENDIAN;
		bits = phys.out_idr[1] & IDR1_SIDSIZE;
		if (bits < 32)
			EXPECT_REFUSED(g, -1, 1U << bits, variant->kind, EINVAL, VSID_RANGE);
		EXPECT_EQ(0, attach(g, (1ULL << bits) - 1, variant->kind));
		ASSERT_EQ(0, detach(g, (1ULL << bits) - 1));
		ASSERT_EQ(0, detach(g, VSID_DEV));
	} else {
		EXPECT_EQ(0, attach(g, ~0U, variant->kind));
		/* A stream without a device is a stream */
		EXPECT_EQ(-EBUSY, accel_set_idr(g, idr, &out));
		EXPECT_EQ(REASON(FROZEN), out.out_reason);
		ASSERT_EQ(0, detach(g, ~0U));
	}
	ASSERT_EQ(0, accel_set_idr(g, idr, &out))
		TH_LOG("IDR%u, %#x", out.out_bad_idr, out.out_bad_mask);
	EXPECT_REFUSED(g, -1, 1 << 7, variant->kind, EINVAL, VSID_RANGE);
	EXPECT_REFUSED(g, -1, ~0U, variant->kind, EINVAL, VSID_RANGE);
	EXPECT_EQ(0, attach(g, (1 << 7) - 1, variant->kind));
	EXPECT_EQ(0, attach(g, 0, variant->kind));
}

TEST_F(virt, too_many)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	struct guest *g = &self->m.g;
	struct dma_dev dev;
	__u32 i;

	ASSERT_EQ(0, ioctl(g->accel, SMMUV3_ACCEL_GET_INFO, &info));
	ASSERT_EQ(4096, info.out_max_streams);
	ASSERT_EQ(0, dma_open(&dev, g->iommufd, DMA_TESTDEV, variant->beside));
	for (i = variant->beside; i < info.out_max_streams; i++)
		ASSERT_EQ(0, attach(g, 0x1000 + i, variant->kind));
	EXPECT_REFUSED(g, -1, 0x100, BRIDGE, ENOSPC, TOO_MANY_STREAMS);
	EXPECT_REFUSED(g, -1, 0x100, FEED, ENOSPC, TOO_MANY_STREAMS);
	EXPECT_REFUSED(g, dev.fd, 0x100, 0, ENOSPC, TOO_MANY_STREAMS);
	EXPECT_TRUE(runs(&self->m, cmd_cfgi_all(), SMMUV3_ACCEL_RUN_BAD_STE));
	ASSERT_EQ(0, detach(g, 0x1000 + 99));
	EXPECT_EQ(0, attach(g, 0x100, variant->kind));
	EXPECT_REFUSED(g, -1, 0x101, BRIDGE, ENOSPC, TOO_MANY_STREAMS);
	ASSERT_EQ(0, detach(g, 0x100));
	EXPECT_EQ(0, accel_attach(g, dev.fd, 0x100, &(struct smmuv3_accel_attach){}));
	dma_close(&dev);
}

/* The feed, by a model of which commands are in it */

#define RING_LOG2SIZE	13
#define RING_SIZE	(1U << RING_LOG2SIZE)
#define BATCH		2016	/* info.out_max_batch */
#define GUARD		0xa5

FIXTURE(feed)
{
	struct machine m;
	struct cmd *feed;	/* RING_SIZE, and one more as a guard */
	struct cmd *want;
};

FIXTURE_VARIANT(feed)
{
	__u32 flags;
	bool beside;
	bool torn;	/* the ring lies across memory regions, also within a command */
};

FIXTURE_VARIANT_ADD(feed, alone) { ALLOW, false, false };
FIXTURE_VARIANT_ADD(feed, beside_device) { ALLOW, true, false };
FIXTURE_VARIANT_ADD(feed, no_global) { ALLOW | NO_GLOBAL, true, false };
FIXTURE_VARIANT_ADD(feed, regions) { ALLOW, true, true };

FIXTURE_SETUP(feed)
{
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_open(m, variant->flags, variant->beside, RING_LOG2SIZE));
	if (variant->torn) {
		__u64 cut = m->ring.base - GUEST_BASE + 1000 * sizeof(struct cmd) + 8;
		const struct smmuv3_accel_mem_region regions[] = {
			{ GUEST_BASE, cut, (__u64)(unsigned long)m->g.ram },
			{ GUEST_BASE + cut, GUEST_SIZE - cut,
			  (__u64)(unsigned long)m->g.ram + cut },
		};

		ASSERT_EQ(0, accel_mem_regions(&m->g, regions, 2));
	}
	ASSERT_EQ(0, attach(&m->g, VSID_BRIDGE, BRIDGE));
	ASSERT_EQ(0, attach_feeds(m));
	self->feed = calloc(RING_SIZE + 1, sizeof(struct cmd));
	self->want = calloc(RING_SIZE + 1, sizeof(struct cmd));
	ASSERT_NE(NULL, self->feed);
	ASSERT_NE(NULL, self->want);
}

FIXTURE_TEARDOWN(feed)
{
	machine_close(&self->m);
	free(self->feed);
	free(self->want);
}

static struct cmd random_cmd(struct machine *m)
{
	static const __u32 sids[] = {
		VSID_DEV, VSID_BRIDGE, VSID_FEED, VSID_FEED + 1, VSID_UNKNOWN, ~0U,
	};
	unsigned int asid = GUEST_ASID + dice(4);
	__u32 sid = sids[dice(ARRAY_LEN(sids))];
	/* Neighbours and duplicates, which batches are rid of */
	__u64 iova = IOVA + dice(16) * 4096ULL;
	struct cmd cmd;

	switch (dice(40)) {
	case 0:
		return cmd_tlbi_nh_all();
	case 1:
		return cmd_tlbi_nsnh_all();
	case 2 ... 3:
		return cmd_tlbi_asid(asid);
	case 4 ... 6:
		return cmd_tlbi_vaa(iova, dice(2));
	case 7:
		return cmd_cfgi_all();
	case 8:
		return cmd_cfgi_ste_range(sid, dice(31));
	case 9 ... 10:
		return cmd_cfgi_ste(sid, dice(2));
	case 11 ... 12:
		return cmd_cfgi_cd(sid, 0, dice(2));
	case 13 ... 14:
		return cmd_cfgi_cd_all(sid);
	case 15 ... 17:
		return cmd_sync();
	case 18:
		return cmd_sync_irq();
	case 19:	/* PREFETCH_CONFIG, PREFETCH_ADDR */
		cmd.w[0] = htole64((1 + dice(2)) | (__u64)sid << 32);
		cmd.w[1] = htole64(dice(1000));
		return cmd;
	case 20 ... 21:
		if (m->ats)
			return cmd_atc_inv(sid, iova, 12);
		return cmd_tlbi_va(asid, iova, true);
	case 22 ... 27:
		if (m->ril)
			return cmd_range(cmd_tlbi_va(asid, iova, true), dice(4), dice(2), 1, 3);
		return cmd_tlbi_vaa(iova, true);
	default:
		return cmd_tlbi_va(asid, iova, dice(2));
	}
}

/* The model: whether a software IOTLB has to see a legal command */
static bool concerns_feed(struct cmd cmd)
{
	__u64 w0 = le64toh(cmd.w[0]);
	__u32 sid = w0 >> 32;

	switch (w0 & 0xff) {
	case 0x03:	/* CFGI_STE */
	case 0x05:	/* CFGI_CD */
	case 0x06:	/* CFGI_CD_ALL */
	case 0x40:	/* ATC_INV */
		return sid >= VSID_FEED && sid < VSID_FEED + SOFTS;
	case 0x04:	/* CFGI_STE_RANGE, CFGI_ALL */
	case 0x10:	/* TLBI_NH_ALL */
	case 0x11:	/* TLBI_NH_ASID */
	case 0x12:	/* TLBI_NH_VA */
	case 0x13:	/* TLBI_NH_VAA */
	case 0x30:	/* TLBI_NSNH_ALL */
		return true;
	default:
		return false;
	}
}

/* What is in the feed of the ring from @cons to @end */
static __u32 model(struct machine *m, __u32 cons, __u32 end, struct cmd *want)
{
	__u32 mask = 2 * RING_SIZE - 1, num = 0;

	for (; cons != end; cons = (cons + 1) & mask)
		if (concerns_feed(*ring_slot(&m->ring, cons)))
			want[num++] = *ring_slot(&m->ring, cons);
	return num;
}

/* And whether a CMD_SYNC in it wants an interrupt */
static bool model_irq(struct machine *m, __u32 cons, __u32 end)
{
	const struct cmd irq = cmd_sync_irq();

	for (; cons != end; cons = (cons + 1) & (2 * RING_SIZE - 1))
		if (!memcmp(ring_slot(&m->ring, cons), &irq, sizeof(irq)))
			return true;
	return false;
}

static void fill(struct machine *m, __u32 start, __u32 num)
{
	m->ring.prod = start & (2 * RING_SIZE - 1);
	m->ring.cons = m->ring.prod;
	while (num--)
		ring_put(&m->ring, random_cmd(m));
}

static bool is_guard(const struct cmd *cmd, __u32 num)
{
	const unsigned char *p = (const unsigned char *)cmd;
	size_t i;

	for (i = 0; i < num * sizeof(*cmd); i++)
		if (p[i] != GUARD)
			return false;
	return true;
}

/*
 * Run up to @max_cmds with that room and check what was fed against where CONS
 * is now. @illegal: index of a bad command, or of PROD
 */
static void expect_feed(struct __test_metadata *_metadata,
			struct _test_data_feed *self, __u32 max_cmds, __u32 room,
			__u32 illegal)
{
	struct machine *m = &self->m;
	__u32 mask = 2 * RING_SIZE - 1, cons = m->ring.cons, end, need;
	struct smmuv3_accel_run_cmdq out;

	memset(self->feed, GUARD, (RING_SIZE + 1) * sizeof(struct cmd));
	ASSERT_EQ(0, doorbell(m, max_cmds, self->feed, room, &out));
	end = cons + ((illegal - cons) & mask);
	if (max_cmds && end - cons > max_cmds)
		end = cons + max_cmds;
	EXPECT_EQ(end & mask, out.cons);
	EXPECT_EQ(out.cons == illegal && illegal != m->ring.prod &&
		  (!max_cmds || max_cmds > end - cons), out.out_error == SMMUV3_ACCEL_CERROR_ILL);
	need = model(m, cons, out.cons, self->want);
	EXPECT_EQ(need > room, !!(out.out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW));
	EXPECT_EQ(model_irq(m, cons, out.cons), out.out_flags & SMMUV3_ACCEL_RUN_SYNC_IRQ);
	ASSERT_EQ(need < room ? need : room, out.feed_num);
	EXPECT_EQ(0, memcmp(self->feed, self->want, out.feed_num * sizeof(struct cmd)));
	EXPECT_TRUE(is_guard(self->feed + out.feed_num, RING_SIZE + 1 - out.feed_num));
	m->ring.cons = out.cons;
}

/* Rings of each length, from anywhere, whole and in parts */
TEST_F(feed, random_rings)
{
	struct machine *m = &self->m;
	__u32 num, bad;
	int round;

	for (round = 0; round < 120; round++) {
		num = round % 4 ? 1 + dice(60) : dice(RING_SIZE + 1);
		fill(m, dice(2 * RING_SIZE), num);
		bad = m->ring.prod;
		if (num && !dice(3)) {
			bad = (m->ring.cons + dice(num)) & (2 * RING_SIZE - 1);
			*ring_slot(&m->ring, bad) = (struct cmd){ { htole64(0xff) } };
		}
		while (m->ring.cons != bad)
			expect_feed(_metadata, self, dice(2) ? 0 : 1 + dice(num + 1),
				    RING_SIZE, bad);
		expect_feed(_metadata, self, 0, RING_SIZE, bad);
		if (!__test_passed(_metadata))
			ASSERT_TRUE(false) TH_LOG("round %d, %u commands", round, num);
	}
}

/* Feeds of several calls are together that of one. */
TEST_F(feed, concatenated)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 start = dice(2 * RING_SIZE), need, num = 0;
	int round;

	for (round = 0; round < 10; round++) {
		fill(m, start, RING_SIZE - dice(100));
		need = model(m, m->ring.cons, m->ring.prod, self->want);
		for (num = 0; m->ring.cons != m->ring.prod; num += out.feed_num) {
			ASSERT_EQ(0, doorbell(m, 1 + dice(3 * BATCH), self->feed + num,
					      RING_SIZE - num, &out));
			m->ring.cons = out.cons;
		}
		ASSERT_EQ(need, num);
		EXPECT_EQ(0, memcmp(self->feed, self->want, num * sizeof(struct cmd)));
		start = m->ring.prod;
	}
}

/*
 * What does not fit is said, and what is given has no gap: also where the room
 * ends in one batch and a later one has little to tell.
 */
TEST_F(feed, overflow)
{
	const __u32 rings = env_number("SMMUV3_ACCEL_FEEDS", 40);
	struct machine *m = &self->m;
	__u32 need, i, start;

	for (i = 0; i < rings; i++) {
		fill(m, dice(2 * RING_SIZE), i & 1 ? RING_SIZE : 1 + dice(100));
		start = m->ring.cons;
		need = model(m, m->ring.cons, m->ring.prod, self->want);
		const __u32 rooms[] = { 0, 1, need ? need - 1 : 0, need, need + 1, dice(need + 1) };
		unsigned int r;

		for (r = 0; r < ARRAY_LEN(rooms); r++) {
			m->ring.cons = start;
			expect_feed(_metadata, self, 0, rooms[r], m->ring.prod);
		}
	}
}

/* Without room no address is wanted */
TEST_F(feed, no_buffer)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	fill(m, 0, 0);
	ring_put(&m->ring, cmd_sync());
	ASSERT_EQ(0, doorbell(m, 0, NULL, 0, &out));
	EXPECT_EQ(0, out.out_flags);
	ring_put(&m->ring, cmd_tlbi_nh_all());
	ASSERT_EQ(0, doorbell(m, 0, NULL, 0, &out));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_FEED_OVERFLOW, out.out_flags);
	EXPECT_EQ(m->ring.prod, out.cons);
	EXPECT_EQ(0, out.feed_num);
}

/* The doorbells that have a way of their own: a TLBI or more, and a CMD_SYNC */
TEST_F(feed, plain)
{
	struct machine *m = &self->m;
	__u32 num;

	fill(m, RING_SIZE - 3, 0);
	for (num = 1; num < 20; num++) {
		__u32 i;

		for (i = 0; i < num; i++)
			ring_put(&m->ring, cmd_tlbi_va(GUEST_ASID, IOVA + i * 4096, true));
		ring_put(&m->ring, num & 1 ? cmd_sync() : cmd_sync_irq());
		expect_feed(_metadata, self, 0, RING_SIZE, m->ring.prod);
	}
	ring_put(&m->ring, cmd_tlbi_nh_all());
	ring_put(&m->ring, cmd_sync());
	expect_feed(_metadata, self, 0, RING_SIZE, m->ring.prod);
}

/* Commands of which the VMM cannot be told are not done */
TEST_F(feed, unwritable)
{
	struct machine *m = &self->m;
	const size_t page = 4096, len = 64 * page;
	struct smmuv3_accel_run_cmdq out;
	__u32 start, need, fits, num, done = 0;
	struct cmd *feed;
	char *map;
	int round;

	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, mprotect(map + len / 2, len / 2, PROT_READ));

	for (round = 0; round < 60; round++) {
		/* So many can be written, from none to all */
		fits = round % 3 ? dice(RING_SIZE) : dice(4);
		feed = (struct cmd *)(map + len / 2) - fits;
		fill(m, dice(2 * RING_SIZE), round & 1 ? RING_SIZE : 1 + dice(200));
		if (round % 3 == 2)
			*ring_slot(&m->ring, m->ring.prod - 1) =
				(struct cmd){ { htole64(0xff) } };
		start = m->ring.cons;
		int rc = doorbell(m, 0, feed, RING_SIZE, &out);

		num = model(m, start, out.cons, self->want);
		ASSERT_EQ(num, out.feed_num);
		ASSERT_LE(num, fits);
		EXPECT_EQ(0, memcmp(feed, self->want, num * sizeof(struct cmd)));
		done += num;
		if (rc) {
			ASSERT_EQ(-EFAULT, rc);
			EXPECT_NE(m->ring.prod, out.cons);
			/* Nothing is said of what is not done */
			EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
			EXPECT_FALSE(out.out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW);
		}
		EXPECT_EQ(model_irq(m, start, out.cons),
			  out.out_flags & SMMUV3_ACCEL_RUN_SYNC_IRQ);
		/* The rest, with what can be written to */
		m->ring.cons = out.cons;
		need = model(m, out.cons, m->ring.prod, self->want);
		ASSERT_EQ(0, doorbell(m, 0, self->feed, RING_SIZE, &out));
		ASSERT_EQ(need, out.feed_num);
		EXPECT_EQ(0, memcmp(self->feed, self->want, need * sizeof(struct cmd)));
	}
	/* Some of it came in parts */
	EXPECT_LT(0, done);
	munmap(map, len);
}

/* Nobody to be fed: nothing is written, as soon as it is so */
TEST_F(feed, no_endpoint)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < SOFTS; i++) {
			fill(m, dice(2 * RING_SIZE), 100);
			ring_put(&m->ring, cmd_tlbi_nh_all());
			ASSERT_EQ(0, doorbell(m, 0, self->feed, RING_SIZE, &out));
			EXPECT_NE(0, out.feed_num);
			ASSERT_EQ(0, detach(&m->g, VSID_FEED + i));
		}
		for (i = 0; i < 2; i++) {
			fill(m, dice(2 * RING_SIZE), i ? RING_SIZE : 5);
			memset(self->feed, GUARD, RING_SIZE * sizeof(struct cmd));
			/* Not even an address that faults is looked at */
			ASSERT_EQ(0, doorbell(m, 0, i ? self->feed : (void *)16, RING_SIZE, &out));
			EXPECT_EQ(0, out.feed_num);
			EXPECT_EQ(0, out.out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW);
			EXPECT_EQ(m->ring.prod, out.cons);
			EXPECT_TRUE(is_guard(self->feed, RING_SIZE));
		}
		ASSERT_EQ(0, attach_feeds(m));
	}
}

/* A device beside them is served as ever */
TEST_F(feed, device_is_served)
{
	struct machine *m = &self->m;
	__u64 new = guest_alloc(&m->g, 4096);

	if (!m->attached)
		return;
	ASSERT_TRUE(lands(&m->g, &m->dev, IOVA, m->page));
	pgtable_map(&m->pt, IOVA, new, PTE_NOT_GLOBAL);
	ASSERT_TRUE(lands(&m->g, &m->dev, IOVA, m->page));
	ASSERT_TRUE(runs(m, cmd_tlbi_va(GUEST_ASID + 1, IOVA, true), 0));
	ASSERT_TRUE(lands(&m->g, &m->dev, IOVA, m->page));
	ASSERT_TRUE(runs(m, cmd_tlbi_va(GUEST_ASID, IOVA, true), 0));
	EXPECT_TRUE(lands(&m->g, &m->dev, IOVA, new));
}

/*
 * From end to end: the software IOTLB of a VMM that acts on the feed alone, and a
 * guest that changes its tables and invalidates what it changed.
 */

#define PAGES		12
#define CDS		3
#define CACHE_SIZE	256

/**
 * struct soft_iotlb - What a VMM keeps for its emulated endpoints
 * @config: by endpoint, the STE and CD that were read
 * @entry: translations, by ASID and page
 */
struct soft_iotlb {
	struct soft_config {
		bool valid;
		__u64 root;
		unsigned int asid;
	} config[SOFTS];
	struct {
		bool valid;
		unsigned int asid;
		__u64 iova;
		__u64 gpa;
	} entry[CACHE_SIZE];
	unsigned int next;
};

/* As hardware would, and as no cache does: 0 where it faults */
static __u64 walk(struct guest *g, __u64 table, __u64 iova)
{
	__u64 entry;
	int level;

	for (level = 1; level <= 3; level++) {
		entry = ((volatile __u64 *)guest_ptr(g, table))
			[iova >> (12 + 9 * (3 - level)) & 511];
		if (!(entry & 1))
			return 0;
		table = entry & 0xfffffffff000ULL;
	}
	return table;
}

static bool read_config(struct machine *m, int i, struct soft_config *config)
{
	volatile __u64 *ste = strtab_ste(&m->strtab, VSID_FEED + i), *cd;

	if ((ste[0] & 0xf) != (STE_V | STE_CFG(STE_CFG_S1)))
		return false;
	cd = guest_ptr(&m->g, ste[0] & 0xfffffffffffc0ULL);
	config->valid = true;
	config->root = cd[1];
	config->asid = cd[0] >> 48;
	return true;
}

static __u64 truth(struct machine *m, int i, __u64 iova)
{
	struct soft_config config;

	return read_config(m, i, &config) ? walk(&m->g, config.root, iova) : 0;
}

static __u64 soft_translate(struct machine *m, struct soft_iotlb *tlb, int i,
			    __u64 iova)
{
	struct soft_config *config = &tlb->config[i];
	unsigned int n;
	__u64 gpa;

	if (!config->valid && !read_config(m, i, config))
		return 0;
	for (n = 0; n < CACHE_SIZE; n++)
		if (tlb->entry[n].valid && tlb->entry[n].asid == config->asid &&
		    tlb->entry[n].iova == iova)
			return tlb->entry[n].gpa;
	gpa = walk(&m->g, config->root, iova);
	if (gpa) {
		n = tlb->next++ % CACHE_SIZE;
		tlb->entry[n].valid = true;
		tlb->entry[n].asid = config->asid;
		tlb->entry[n].iova = iova;
		tlb->entry[n].gpa = gpa;
	}
	return gpa;
}

static void soft_config_drop(struct soft_iotlb *tlb, __u32 first, __u32 last)
{
	__u32 i;

	for (i = 0; i < SOFTS; i++)
		if (VSID_FEED + i >= first && VSID_FEED + i <= last)
			tlb->config[i].valid = false;
}

static void soft_invalidate(struct soft_iotlb *tlb, struct cmd cmd)
{
	__u64 w0 = le64toh(cmd.w[0]), w1 = le64toh(cmd.w[1]);
	__u32 sid = w0 >> 32, op = w0 & 0xff, mask;
	unsigned int asid = w0 >> 48, n;
	__u64 from = w1 & ~0xfffULL, size = 4096;

	switch (op) {
	case 0x03:
	case 0x05:
	case 0x06:
		soft_config_drop(tlb, sid, sid);
		return;
	case 0x04:
		mask = (w1 & 31) == 31 ? ~0U : (2U << (w1 & 31)) - 1;
		soft_config_drop(tlb, sid & ~mask, sid | mask);
		return;
	}
	if (w1 >> 10 & 3)	/* TG: a range of (NUM + 1) << SCALE */
		size *= ((w0 >> 12 & 0x1f) + 1) << (w0 >> 20 & 0x1f);
	for (n = 0; n < CACHE_SIZE; n++) {
		if ((op == 0x11 || op == 0x12) && tlb->entry[n].asid != asid)
			continue;
		if ((op == 0x12 || op == 0x13) &&
		    (tlb->entry[n].iova < from || tlb->entry[n].iova >= from + size))
			continue;
		tlb->entry[n].valid = false;
	}
}

/* The guest */
struct soft_guest {
	struct pgtable pt[CDS];
	__u64 cd[CDS];
	unsigned int asid[CDS];
	int ste[SOFTS];
	__u64 page[PAGES];
};

static __u64 iova_of(int page)
{
	return IOVA + page * 4096ULL;
}

static struct cmd invalidate_page(struct machine *m, unsigned int asid, int page)
{
	switch (dice(16)) {
	case 0:
		return cmd_tlbi_nh_all();
	case 1:
		return cmd_tlbi_nsnh_all();
	case 2:
		return cmd_tlbi_asid(asid);
	case 3 ... 5:
		return cmd_tlbi_vaa(iova_of(page), dice(2));
	case 6 ... 9:
		if (m->ril)
			return cmd_range(cmd_tlbi_va(asid, iova_of(page), true),
					 dice(4), dice(2), 1, 3);
		break;
	}
	return cmd_tlbi_va(asid, iova_of(page), dice(2));
}

static struct cmd invalidate_ste(int i)
{
	switch (dice(4)) {
	case 0:
		return cmd_cfgi_all();
	case 1:
		return cmd_cfgi_ste_range(VSID_FEED + i, dice(8));
	default:
		return cmd_cfgi_ste(VSID_FEED + i, dice(2));
	}
}

/* Change something, and queue what says so */
static void guest_change(struct machine *m, struct soft_guest *sg)
{
	int c = dice(CDS), i = dice(SOFTS), page = dice(PAGES), old;
	__u64 ste[8];

	switch (dice(12)) {
	case 0:		/* another stage 1 for an endpoint */
		sg->ste[i] = c;
		ste_s1(ste, sg->cd[c]);
		strtab_write(&m->strtab, VSID_FEED + i, ste);
		ring_put(&m->ring, invalidate_ste(i));
		break;
	case 1:		/* another ASID for a table, from a few: no old entry may be left */
		old = sg->asid[c];
		sg->asid[c] = 1 + c + CDS * dice(3);
		cd_write(&m->g, sg->cd[c], &sg->pt[c], sg->asid[c]);
		for (i = 0; i < SOFTS; i++)
			if (sg->ste[i] == c)
				ring_put(&m->ring, dice(2) ? cmd_cfgi_cd(VSID_FEED + i, 0, true) :
							     cmd_cfgi_cd_all(VSID_FEED + i));
		ring_put(&m->ring, cmd_sync());
		ring_put(&m->ring, cmd_tlbi_asid(old));
		break;
	case 2 ... 4:
		pgtable_unmap(&sg->pt[c], iova_of(page));
		ring_put(&m->ring, invalidate_page(m, sg->asid[c], page));
		break;
	default:
		pgtable_map(&sg->pt[c], iova_of(page), sg->page[dice(PAGES)], PTE_NOT_GLOBAL);
		ring_put(&m->ring, invalidate_page(m, sg->asid[c], page));
		break;
	}
}

struct soft_result {
	unsigned int stale_before;	/* translations that had to go, and were used */
	unsigned int stale_after;
	int rc;
};

/* @leave_out: a command in each feed, as if it had not been in it */
static struct soft_result soft_rounds(struct machine *m, int rounds, bool leave_out)
{
	struct soft_iotlb *tlb = calloc(1, sizeof(*tlb));
	struct soft_result result = {};
	struct smmuv3_accel_run_cmdq out;
	struct soft_guest sg = {};
	struct cmd feed[64];
	int round, n, i, page;
	__u64 ste[8];

	for (i = 0; i < PAGES; i++)
		sg.page[i] = guest_alloc(&m->g, 4096);
	for (i = 0; i < CDS; i++) {
		pgtable_init(&sg.pt[i], &m->g, GRANULE_4K);
		sg.cd[i] = guest_alloc(&m->g, 64);
		sg.asid[i] = 1 + i;
		cd_write(&m->g, sg.cd[i], &sg.pt[i], sg.asid[i]);
	}
	for (i = 0; i < SOFTS; i++) {
		sg.ste[i] = i;
		ste_s1(ste, sg.cd[i]);
		strtab_write(&m->strtab, VSID_FEED + i, ste);
	}
	for (round = 0; round < rounds; round++) {
		for (n = 1 + dice(6); n; n--)
			guest_change(m, &sg);
		ring_put(&m->ring, cmd_sync());
		/* Meanwhile the endpoints go on, as they may */
		for (n = dice(10); n; n--) {
			i = dice(SOFTS);
			page = dice(PAGES);
			result.stale_before += soft_translate(m, tlb, i, iova_of(page)) !=
					       truth(m, i, iova_of(page));
		}
		do {
			result.rc = doorbell(m, dice(3) ? 0 : 1 + dice(5), feed, 64, &out);
			if (result.rc || out.out_flags || out.out_error)
				goto out;
			m->ring.cons = out.cons;
			for (n = leave_out; n < (int)out.feed_num; n++)
				soft_invalidate(tlb, feed[n]);
		} while (m->ring.cons != m->ring.prod);
		/* CMD_SYNC is done */
		for (i = 0; i < SOFTS; i++)
			for (page = 0; page < PAGES; page++)
				result.stale_after += soft_translate(m, tlb, i, iova_of(page)) !=
						      truth(m, i, iova_of(page));
	}
out:
	free(tlb);
	return result;
}

FIXTURE(iotlb)
{
	struct machine m;
};

FIXTURE_VARIANT(iotlb)
{
	__u32 flags;
	bool beside;
};

FIXTURE_VARIANT_ADD(iotlb, alone) { ALLOW, false };
FIXTURE_VARIANT_ADD(iotlb, beside_device) { ALLOW, true };
FIXTURE_VARIANT_ADD(iotlb, no_global) { ALLOW | NO_GLOBAL, true };

FIXTURE_SETUP(iotlb)
{
	ASSERT_EQ(0, machine_open(&self->m, variant->flags, variant->beside, 6));
	ASSERT_EQ(0, attach_feeds(&self->m));
}

FIXTURE_TEARDOWN(iotlb)
{
	machine_close(&self->m);
}

TEST_F(iotlb, never_stale)
{
	struct soft_result result = soft_rounds(&self->m, 3000, false);

	ASSERT_EQ(0, result.rc);
	EXPECT_LT(100, result.stale_before);
	EXPECT_EQ(0, result.stale_after);
}

/* The test of the test */
TEST_F(iotlb, stale_with_one_command_less)
{
	struct soft_result result = soft_rounds(&self->m, 300, true);

	ASSERT_EQ(0, result.rc);
	EXPECT_LT(0, result.stale_after);
}

TEST_HARNESS_MAIN
