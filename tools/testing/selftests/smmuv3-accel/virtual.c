// SPDX-License-Identifier: GPL-2.0
/*
 * Streams without a device: bridges, and endpoints that the VMM emulates. The host
 * knows nothing of them.
 *
 * Needs two iommu-testdevs.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "harness.h"
#include "machine.h"

#define BRIDGE		SMMUV3_ACCEL_ATTACH_BRIDGE
#define FEED		SMMUV3_ACCEL_ATTACH_FEED
#define REASON(name)	SMMUV3_ACCEL_REASON_##name
#define KIND(name)	SMMUV3_ACCEL_KIND_##name

#define VSID_DEV	0x10
#define VSID_BRIDGE	0x11
#define VSID_FEED	0x20	/* of emulated endpoints: this and the next */

#define STALLD		(1ULL << 27)	/* STE.S1STALLD, which the module sets */

FIXTURE(virtual)
{
	struct machine m;
};

FIXTURE_VARIANT(virtual)
{
	__u32 kind;
	bool beside_device;
};

FIXTURE_VARIANT_ADD(virtual, bridge) { BRIDGE, false };
FIXTURE_VARIANT_ADD(virtual, bridge_beside_device) { BRIDGE, true };
FIXTURE_VARIANT_ADD(virtual, feed) { FEED, false };
FIXTURE_VARIANT_ADD(virtual, feed_beside_device) { FEED, true };

FIXTURE_SETUP(virtual)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING,
				  .create_flags = SMMUV3_ACCEL_CREATE_FEED,
				  .devices = variant->beside_device, .vsid = { VSID_DEV },
				  .strtab_log2size = 8, .ring_log2size = 4));
}

/* The streams leave nothing, attached or not. A test may have destroyed the IOAS */
FIXTURE_TEARDOWN(virtual)
{
	struct guest *g = &self->m.g;
	int rc;

	guest_close_accel(g);
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

TEST_F(virtual, has_no_host_object)
{
	struct smmuv3_accel_attach out;
	struct guest *g = &self->m.g;
	struct smmuv3_accel_phys phys;

	if (variant->beside_device)
		ASSERT_EQ(0, accel_detach(g, VSID_DEV, NULL));
	memset(&out, 0xff, sizeof(out));
	ASSERT_EQ(0, accel_attach_virtual(g, VSID_FEED, variant->kind, &out));
	EXPECT_EQ(0, out.out_dev_id);
	EXPECT_EQ(0, out.out_viommu_id);
	EXPECT_EQ(0, out.out_vdevice_id);
	EXPECT_EQ(0, out.out_s2_hwpt_id);
	EXPECT_EQ(SMMUV3_ACCEL_NO_PHYS, out.out_phys);
	EXPECT_EQ(0, out.out_reason);
	if (variant->beside_device) {
		/* It is not behind the device's SMMU */
		ASSERT_EQ(0, accel_phys(g, 0, &phys));
		EXPECT_EQ(0, phys.out_stream_num);
		return;
	}
	EXPECT_EQ(-ENOENT, accel_phys(g, 0, &phys));
	/* Nothing was made from the IOAS */
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, g->ioas_id));
	EXPECT_RUNS(&self->m, cmd_tlbi_nh_all(), 0);
	EXPECT_EQ(0, accel_detach(g, VSID_FEED, NULL));
}

TEST_F(virtual, installed_ste_is_shown)
{
	struct guest *g = &self->m.g;
	__u64 cd, ste[8];
	__u32 reason;
	int i;

	/* RESET ends table mode */
	ASSERT_EQ(0, accel_reset(g));
	ASSERT_EQ(0, accel_attach_virtual(g, VSID_FEED, variant->kind, NULL));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(NO_STE), 0, 0);
	for (i = 0; i < 3; i++) {
		cd = guest_alloc(g, 64);
		ste_s1(ste, cd);
		ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, NULL));
		EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
		if (i == 1)
			ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, NULL));
	}
	ste_config(ste, STE_CFG_BYPASS);
	ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, NULL));
	EXPECT_STREAM(g, VSID_FEED, KIND(BYPASS), 0, 0, 0);
	ste_config(ste, STE_CFG_S2);
	ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, &reason));
	EXPECT_EQ(REASON(STE_CONFIG), reason);
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(STE_CONFIG), 0, 0);
	memset(ste, 0, sizeof(ste));
	ASSERT_EQ(0, accel_install(g, VSID_FEED, ste, NULL));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(STE_INVALID), 0, 0);
}

TEST_F(virtual, ste_of_the_guests_table_is_shown)
{
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	__u64 cd = guest_alloc(g, 64), ste[8], bypass[8];

	ste_s1(ste, cd);
	strtab_write(&m->strtab, VSID_FEED, ste);
	ASSERT_EQ(0, accel_attach_virtual(g, VSID_FEED, variant->kind, NULL));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);

	ste_config(bypass, STE_CFG_BYPASS);
	strtab_write(&m->strtab, VSID_FEED, bypass);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID_FEED + 1, true), 0);
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	EXPECT_RUNS(m, cmd_cfgi_ste(VSID_FEED, true), 0);
	EXPECT_STREAM(g, VSID_FEED, KIND(BYPASS), 0, 0, 0);
	strtab_write(&m->strtab, VSID_FEED, ste);
	EXPECT_RUNS(m, cmd_cfgi_ste_range(VSID_FEED, 1), 0);
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	/* The same STE again, which ends stale CDs of a stream with a device */
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	EXPECT_RUNS(m, cmd_cfgi_cd(VSID_FEED, 0, true), 0);

	ste_config(bypass, STE_CFG_NESTED);
	strtab_write(&m->strtab, VSID_FEED, bypass);
	EXPECT_RUNS(m, cmd_cfgi_all(), SMMUV3_ACCEL_RUN_BAD_STE);
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(STE_CONFIG), 0, 0);
	strtab_write(&m->strtab, VSID_FEED, ste);

	m->cr0 = CR0_CMDQEN;
	m->gbpa = 0;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_STREAM(g, VSID_FEED, KIND(BYPASS), 0, 0, 0);
	m->cr0 = CR0_CMDQEN;
	m->gbpa = GBPA_ABORT;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(GBPA_ABORT), 0, 0);
	m->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	m->gbpa = 0;
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	ASSERT_EQ(0, accel_reset(g));
	EXPECT_STREAM(g, VSID_FEED, KIND(ABORT), REASON(NO_STE), 0, 0);
}

TEST_F(virtual, device_and_flags_are_refused)
{
	__u32 kind = variant->kind;
	struct guest *g = &self->m.g;
	struct dma_dev dev;
	int i, rc;

	ASSERT_EQ(0, dma_open(&dev, g->iommufd, DMA_TESTDEV, variant->beside_device));

	EXPECT_REFUSED(g, EBADF, BAD_FD, .vfio_fd = -1, .vsid = VSID_FEED);
	EXPECT_REFUSED(g, EINVAL, FLAGS, .vfio_fd = -1, .vsid = VSID_FEED,
		       .flags = BRIDGE | FEED);
	EXPECT_REFUSED(g, EOPNOTSUPP, FLAGS, .vfio_fd = -1, .vsid = VSID_FEED,
		       .flags = kind | 1 << 3);
	EXPECT_REFUSED(g, EOPNOTSUPP, FLAGS, .vfio_fd = -1, .vsid = VSID_FEED, .flags = 1U << 31);
	EXPECT_REFUSED(g, EINVAL, HAS_DEVICE, .vfio_fd = dev.fd, .vsid = VSID_FEED,
		       .flags = kind);
	EXPECT_REFUSED(g, EINVAL, HAS_DEVICE, .vfio_fd = 0, .vsid = VSID_FEED, .flags = kind);
	EXPECT_REFUSED(g, EINVAL, HAS_DEVICE, .vfio_fd = -2, .vsid = VSID_FEED, .flags = kind);
	EXPECT_EQ(-ENOENT, accel_detach(g, VSID_FEED, NULL));

	/* No two streams have the same StreamID */
	for (i = 0; i < 2; i++) {
		rc = i ? accel_attach_virtual(g, VSID_FEED, kind, NULL) :
			 accel_attach(g, dev.fd, VSID_FEED, NULL);
		ASSERT_EQ(0, rc);
		EXPECT_REFUSED(g, EEXIST, VSID_IN_USE, .vfio_fd = -1, .vsid = VSID_FEED,
			       .flags = BRIDGE);
		EXPECT_REFUSED(g, EEXIST, VSID_IN_USE, .vfio_fd = -1, .vsid = VSID_FEED,
			       .flags = FEED);
		EXPECT_REFUSED(g, EEXIST, VSID_IN_USE, .vfio_fd = dev.fd, .vsid = VSID_FEED);
		ASSERT_EQ(0, accel_detach(g, VSID_FEED, NULL));
		EXPECT_EQ(-ENOENT, accel_detach(g, VSID_FEED, NULL));
	}
	dma_close(&dev);
}

/* Bridges need no feed */
TEST_F(virtual, emulated_endpoint_needs_a_feed)
{
	struct guest other = self->m.g;

	ASSERT_EQ(0, guest_create_flags(&other, SMMUV3_ACCEL_CREATE_NO_GLOBAL));
	EXPECT_REFUSED(&other, EOPNOTSUPP, NO_FEED, .vfio_fd = -1, .vsid = VSID_FEED,
		       .flags = FEED);
	EXPECT_EQ(0, accel_attach_virtual(&other, VSID_FEED, BRIDGE, NULL));
	EXPECT_REFUSED(&other, EINVAL, HAS_DEVICE, .vfio_fd = 0, .vsid = VSID_BRIDGE,
		       .flags = variant->kind);
	close(other.accel);
}

/* As soon as SIDSIZE is known */
TEST_F(virtual, streamid_has_no_more_than_sidsize_bits)
{
	__u32 idr[6] = {
		IDR0_S1P | IDR0_TTF64 | IDR0_COHACC | IDR0_STALL_NOT | IDR0_TERM,
		7, 0, 0, 0, IDR5_GRAN4K,
	};
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_phys phys;
	struct guest *g = &self->m.g;
	unsigned int bits;

	if (variant->beside_device) {
		ASSERT_EQ(0, accel_phys(g, 0, &phys));
		idr[0] |= phys.out_idr[0] & IDR0_TTENDIAN;
		bits = phys.out_idr[1] & IDR1_SIDSIZE;
		if (bits < 32)
			EXPECT_REFUSED(g, EINVAL, VSID_RANGE, .vfio_fd = -1, .vsid = 1U << bits,
				       .flags = variant->kind);
		EXPECT_EQ(0, accel_attach_virtual(g, (1ULL << bits) - 1, variant->kind, NULL));
		ASSERT_EQ(0, accel_detach(g, (1ULL << bits) - 1, NULL));
		ASSERT_EQ(0, accel_detach(g, VSID_DEV, NULL));
	} else {
		EXPECT_EQ(0, accel_attach_virtual(g, VSID_MAX, variant->kind, NULL));
		/* A stream without a device freezes the ID registers too */
		EXPECT_EQ(-EBUSY, accel_set_idr(g, idr, &out));
		EXPECT_EQ(REASON(FROZEN), out.out_reason);
		ASSERT_EQ(0, accel_detach(g, VSID_MAX, NULL));
	}
	ASSERT_EQ(0, accel_set_idr(g, idr, &out))
		TH_LOG("IDR0 %#x, IDR1 %#x", out.out_bad_idr[0], out.out_bad_idr[1]);
	EXPECT_REFUSED(g, EINVAL, VSID_RANGE, .vfio_fd = -1, .vsid = 1 << 7,
		       .flags = variant->kind);
	EXPECT_REFUSED(g, EINVAL, VSID_RANGE, .vfio_fd = -1, .vsid = VSID_MAX,
		       .flags = variant->kind);
	EXPECT_EQ(0, accel_attach_virtual(g, (1 << 7) - 1, variant->kind, NULL));
	EXPECT_EQ(0, accel_attach_virtual(g, 0, variant->kind, NULL));
}

/* No stream is left, and no StreamID is taken */
TEST_F(virtual, dry_run_leaves_nothing)
{
	__u32 kind = variant->kind | SMMUV3_ACCEL_ATTACH_DRY_RUN;
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_attach out;
	struct guest *g = &self->m.g;

	ASSERT_EQ(0, accel_attach_virtual(g, VSID_FEED, kind, &out));
	EXPECT_EQ(REASON(NONE), out.out_reason);
	EXPECT_EQ(-ENOENT, accel_stream(g, VSID_FEED, &stream));
	EXPECT_REFUSED(g, EINVAL, HAS_DEVICE, .vfio_fd = 0, .vsid = VSID_FEED, .flags = kind);
	ASSERT_EQ(0, accel_attach_virtual(g, VSID_FEED, variant->kind, NULL));
	EXPECT_REFUSED(g, EEXIST, VSID_IN_USE, .vfio_fd = -1, .vsid = VSID_FEED, .flags = kind);
	EXPECT_EQ(0, accel_detach(g, VSID_FEED, NULL));
}

/* How many commands the feed gets, or a negative errno */
static int fed(struct machine *m, struct cmd cmd)
{
	struct smmuv3_accel_run_cmdq out;
	struct cmd feed[2];
	int rc;

	ring_put(&m->ring, cmd);
	rc = machine_doorbell(m, &out, .feed = feed, .feed_room = ARRAY_LEN(feed));
	m->ring.cons = out.cons;
	return rc ?: (int)out.feed_num;
}

/* With a name in place of a StreamID, STEs and commands have no effect */
TEST_F(virtual, stream_without_a_streamid_aborts)
{
	const __u32 name = VSID_NAME(5);
	const struct smmuv3_accel_vsid set = { name, VSID_FEED }, unset = { VSID_FEED, name };
	struct smmuv3_accel_set_vsids out;
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	__u64 ste[8];

	ste_s1(ste, guest_alloc(g, 64));
	strtab_write(&m->strtab, VSID_FEED, ste);
	ASSERT_EQ(0, accel_attach_virtual(g, name, variant->kind, NULL));
	EXPECT_STREAM(g, name, KIND(ABORT), REASON(NO_VSID), 0, 0);
	EXPECT_RUNS(m, cmd_cfgi_all(), 0);
	EXPECT_STREAM(g, name, KIND(ABORT), REASON(NO_VSID), 0, 0);
	EXPECT_EQ(0, fed(m, cmd_cfgi_cd(name, 0, true)));
	ASSERT_EQ(0, accel_set_vsids(g, &set, 1, &out));
	EXPECT_STREAM(g, VSID_FEED, KIND(S1), 0, ste[0], ste[1]);
	EXPECT_EQ(variant->kind == FEED, fed(m, cmd_cfgi_cd(VSID_FEED, 0, true)));
	ASSERT_EQ(0, accel_set_vsids(g, &unset, 1, &out));
	EXPECT_STREAM(g, name, KIND(ABORT), REASON(NO_VSID), 0, 0);
	EXPECT_EQ(0, accel_detach(g, name, NULL));
}

TEST_F(virtual, streams_are_limited_in_number)
{
	struct smmuv3_accel_info info;
	struct guest *g = &self->m.g;
	struct dma_dev dev;
	__u32 i;

	ASSERT_EQ(0, accel_info(g->accel, &info));
	ASSERT_EQ(0, dma_open(&dev, g->iommufd, DMA_TESTDEV, variant->beside_device));
	for (i = variant->beside_device; i < info.out_max_streams; i++)
		ASSERT_EQ(0, accel_attach_virtual(g, 0x1000 + i, variant->kind, NULL));
	EXPECT_REFUSED(g, ENOSPC, TOO_MANY_STREAMS, .vfio_fd = -1, .vsid = 0x100,
		       .flags = BRIDGE);
	EXPECT_REFUSED(g, ENOSPC, TOO_MANY_STREAMS, .vfio_fd = -1, .vsid = 0x100, .flags = FEED);
	EXPECT_REFUSED(g, ENOSPC, TOO_MANY_STREAMS, .vfio_fd = dev.fd, .vsid = 0x100);
	EXPECT_RUNS(&self->m, cmd_cfgi_all(),
		    SMMUV3_ACCEL_RUN_BAD_STE | SMMUV3_ACCEL_RUN_BAD_OVERFLOW);
	ASSERT_EQ(0, accel_detach(g, 0x1000 + 99, NULL));
	EXPECT_EQ(0, accel_attach_virtual(g, 0x100, variant->kind, NULL));
	EXPECT_REFUSED(g, ENOSPC, TOO_MANY_STREAMS, .vfio_fd = -1, .vsid = 0x101,
		       .flags = BRIDGE);
	ASSERT_EQ(0, accel_detach(g, 0x100, NULL));
	EXPECT_EQ(0, accel_attach(g, dev.fd, 0x100, NULL));
	dma_close(&dev);
}

TEST_HARNESS_MAIN
