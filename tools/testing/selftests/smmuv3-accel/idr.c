// SPDX-License-Identifier: GPL-2.0
/*
 * The ID registers: a virtual SMMU may offer no more than its physical SMMUs have
 *
 * Some tests need two iommu-testdevs behind each of two SMMUs.
 */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "machine.h"

#define VSID	9

/* A field in which a virtual SMMU may not exceed a physical SMMU */
struct idr_field {
	int reg;
	__u32 mask;
	bool number;	/* else each bit is a feature */
};

static const struct idr_field idr_fields[] = {
	{ 0, IDR0_TTF },
	{ 0, IDR0_ATS },
	{ 0, IDR0_ASID16 },
	{ 0, IDR0_CD2L },
	{ 1, IDR1_SIDSIZE, true },
	{ 1, IDR1_SSIDSIZE, true },
	{ 3, IDR3_HAD },
	{ 3, IDR3_RIL },
	{ 3, IDR3_BBML, true },
	{ 5, IDR5_OAS, true },
	{ 5, IDR5_GRAN },
	{ 5, IDR5_DS },
	{ 5, IDR5_VAX, true },
};

/* Offer more of a field than @idr does. false: there is no more */
static bool idr_exceed(const struct idr_field *f, __u32 idr[6])
{
	__u32 has = idr[f->reg] & f->mask;

	if (has == f->mask)
		return false;
	idr[f->reg] &= ~f->mask;
	idr[f->reg] |= f->number ? has + (f->mask & -f->mask) : f->mask;
	return true;
}

/* @host: the host SMMU's registers @idr: the most that a virtual SMMU may offer on it */
FIXTURE(idr)
{
	struct machine m;
	__u32 host[6];
	__u32 idr[6];
};

FIXTURE_SETUP(idr)
{
	struct smmuv3_accel_phys phys;
	struct machine *m = &self->m;

	ASSERT_EQ(0, machine_open(m, .stage = STAGE_CREATED, .devices = 1, .vsid = { VSID }));
	/* The physical SMMU is known until close */
	ASSERT_EQ(0, machine_find_idr(m, self->idr));
	ASSERT_EQ(0, accel_phys(&m->g, 0, &phys));
	memcpy(self->host, phys.out_idr, sizeof(self->host));
}

FIXTURE_TEARDOWN(idr)
{
	machine_close(&self->m);
}

/* Exactly these fields are named: @bad[6] */
static void expect_bad(struct __test_metadata *_metadata, const __u32 bad[6],
		       const __u32 out[6])
{
	int reg;

	for (reg = 0; reg < 6; reg++)
		EXPECT_EQ(bad[reg], out[reg]) TH_LOG("IDR%d", reg);
}

/* SET_IDR refuses @_idr because of these fields alone */
#define EXPECT_IDR_REFUSED(g, _idr, _reason, bad)			\
	do {								\
		struct smmuv3_accel_set_idr _out;			\
									\
		EXPECT_EQ(-EOPNOTSUPP, accel_set_idr(g, _idr, &_out));	\
		EXPECT_EQ(SMMUV3_ACCEL_REASON_##_reason, _out.out_reason); \
		expect_bad(_metadata, bad, _out.out_bad_idr);		\
	} while (0)

/* The same for one field */
#define EXPECT_FIELD_REFUSED(g, _idr, _reason, _reg, mask)		\
	do {								\
		__u32 _bad[6] = {};					\
									\
		_bad[_reg] = mask;					\
		EXPECT_IDR_REFUSED(g, _idr, _reason, _bad);		\
	} while (0)

TEST_F(idr, all_or_less_of_what_the_host_has_is_accepted)
{
	const __u32 none[6] = {};
	struct smmuv3_accel_set_idr out;
	__u32 idr[6];

	EXPECT_EQ(0, accel_set_idr(&self->m.g, self->idr, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NONE, out.out_reason);
	expect_bad(_metadata, none, out.out_bad_idr);
	EXPECT_EQ(0, accel_set_idr(&self->m.g, idr_least, &out));
	/* Smaller queues, a stream table of one level, VMIDs of any size, MSIs */
	memcpy(idr, self->idr, sizeof(idr));
	idr[0] &= ~IDR0_ST_LEVEL;
	idr[0] ^= IDR0_VMID16;
	idr[0] |= IDR0_MSI;
	idr[1] &= ~(IDR1_EVENTQS | IDR1_CMDQS | IDR1_SSIDSIZE);
	EXPECT_EQ(0, accel_set_idr(&self->m.g, idr, &out));
}

TEST_F(idr, bits_outside_of_known_fields_are_refused)
{
	const __u32 known[6] = {
		[0] = IDR0_S1P | IDR0_TTF | IDR0_COHACC | IDR0_ATS | IDR0_ASID16 |
		      IDR0_CD2L | IDR0_TTENDIAN | IDR0_STALL | IDR0_TERM |
		      IDR0_ST_LEVEL | IDR0_VMID16 | IDR0_MSI,
		[1] = IDR1_SIDSIZE | IDR1_SSIDSIZE | IDR1_EVENTQS | IDR1_CMDQS,
		[3] = IDR3_HAD | IDR3_RIL | IDR3_BBML,
		[5] = IDR5_OAS | IDR5_GRAN | IDR5_DS | IDR5_VAX,
	};
	__u32 idr[6];
	int reg, bit;

	for (reg = 0; reg < 6; reg++) {
		for (bit = 0; bit < 32; bit++) {
			if (known[reg] & 1U << bit)
				continue;
			memcpy(idr, self->idr, sizeof(idr));
			idr[reg] |= 1U << bit;
			EXPECT_FIELD_REFUSED(&self->m.g, idr, IDR_ILLEGAL, reg, 1U << bit);
		}
	}
}

TEST_F(idr, values_that_no_virtual_smmu_may_show_are_refused)
{
	static const struct {
		int reg;
		__u32 mask;
		__u32 value;
	} wrong[] = {
		{ 0, IDR0_S1P, 0 },
		{ 0, IDR0_TTF, 0 },
		{ 0, IDR0_COHACC, 0 },
		{ 0, IDR0_STALL, 0 },
		{ 0, IDR0_STALL, 2U << 24 },
		{ 0, IDR0_STALL, 3U << 24 },
		{ 0, IDR0_ST_LEVEL, 2U << 27 },
		{ 0, IDR0_TTENDIAN, 1U << 21 },
		{ 1, IDR1_SIDSIZE, 32 },
		{ 1, IDR1_EVENTQS, 20U << 16 },
		{ 1, IDR1_CMDQS, 20U << 21 },
		{ 5, IDR5_GRAN, 0 },
	};
	unsigned int i;
	__u32 idr[6];

	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		memcpy(idr, self->idr, sizeof(idr));
		idr[wrong[i].reg] &= ~wrong[i].mask;
		idr[wrong[i].reg] |= wrong[i].value;
		EXPECT_FIELD_REFUSED(&self->m.g, idr, IDR_ILLEGAL, wrong[i].reg, wrong[i].mask);
	}
}

/* In all registers. What the host lacks is not named along with them */
TEST_F(idr, all_illegal_fields_are_named_at_once)
{
	__u32 idr[6] = {
		[0] = IDR0_TTF64 | IDR0_ASID16 | 2U << 24 | 1U << 31,
		[1] = 40 | 31U << 21 | 1U << 30,
		[2] = 0x80000001,
		[3] = IDR3_HAD | IDR3_RIL | 1U << 0,
		[4] = 1,
		[5] = IDR5_VAX | 1U << 31,
	};
	const __u32 bad[6] = {
		[0] = IDR0_S1P | IDR0_COHACC | IDR0_STALL | 1U << 31,
		[1] = IDR1_SIDSIZE | IDR1_CMDQS | 1U << 30,
		[2] = 0x80000001,
		[3] = 1U << 0,
		[4] = 1,
		[5] = IDR5_GRAN | 1U << 31,
	};
	struct smmuv3_accel_set_idr out;

	EXPECT_IDR_REFUSED(&self->m.g, idr, IDR_ILLEGAL, bad);
	/* It changed nothing */
	EXPECT_EQ(0, accel_set_idr(&self->m.g, self->idr, &out));
}

/* A bit of a field that the host lacks names the field, not the bit */
TEST_F(idr, all_fields_that_the_host_lacks_are_named_at_once)
{
	__u32 idr[6], bad[6] = {};
	unsigned int i;

	memcpy(idr, self->idr, sizeof(idr));
	for (i = 0; i < ARRAY_LEN(idr_fields); i++)
		if (idr_exceed(&idr_fields[i], idr))
			bad[idr_fields[i].reg] |= idr_fields[i].mask;
	EXPECT_IDR_REFUSED(&self->m.g, idr, IDR_HOST, bad);
}

/* If the host demands something of guests, the ID registers must say so */
TEST_F(idr, demands_of_the_host_must_be_shown)
{
	static const __u32 demands[] = { IDR0_TERM, IDR0_TTENDIAN };
	unsigned int i;
	__u32 idr[6];

	for (i = 0; i < ARRAY_LEN(demands); i++) {
		if (!(self->host[0] & demands[i]))
			continue;
		memcpy(idr, self->idr, sizeof(idr));
		idr[0] &= ~demands[i];
		EXPECT_FIELD_REFUSED(&self->m.g, idr, IDR_HOST, 0, demands[i]);
	}
}

TEST_F(idr, a_stream_or_a_command_freezes_them)
{
	const struct cmd cmd = cmd_tlbi_nh_all();
	struct smmuv3_accel_invalidate done;
	struct smmuv3_accel_set_idr out;
	struct guest *g = &self->m.g;

	ASSERT_EQ(0, machine_attach(&self->m, 0));
	EXPECT_EQ(-EBUSY, accel_set_idr(g, self->idr, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, out.out_reason);
	ASSERT_EQ(0, machine_detach(&self->m, 0));
	EXPECT_EQ(0, accel_set_idr(g, self->idr, &out));
	ASSERT_EQ(0, accel_invalidate(g, &cmd, 1, &done));
	EXPECT_EQ(-EBUSY, accel_set_idr(g, self->idr, &out));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, out.out_reason);
	/* RESET is a reset of the machine, which keeps its SMMU */
	ASSERT_EQ(0, accel_reset(g));
	EXPECT_EQ(-EBUSY, accel_set_idr(g, self->idr, &out));
}

TEST_F(idr, command_of_a_feature_not_offered_is_illegal)
{
	const struct cmd range = cmd_range(cmd_tlbi_va(1, 0, true), 3, 0, 1, 0);
	const struct cmd asid = cmd_tlbi_asid(0x100);
	struct smmuv3_accel_invalidate done;
	struct smmuv3_accel_set_idr out;
	struct guest *g = &self->m.g;

	if (!(self->host[3] & IDR3_RIL) || !(self->host[0] & IDR0_ASID16))
		SKIP(return, "this SMMU has no such features");
	ASSERT_EQ(0, accel_set_idr(g, idr_least, &out));
	ASSERT_EQ(0, accel_invalidate(g, &range, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, done.out_error);
	ASSERT_EQ(0, accel_invalidate(g, &asid, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, done.out_error);
	ASSERT_EQ(0, accel_set_idr(g, self->idr, &out));
	ASSERT_EQ(0, accel_invalidate(g, &range, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, done.out_error);
	ASSERT_EQ(0, accel_invalidate(g, &asid, 1, &done));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, done.out_error);
}

/* What hosts lack, with one and two physical SMMUs */

FIXTURE(hosts)
{
	struct machine m;
	__u32 offer[6];
};

FIXTURE_VARIANT(hosts)
{
	unsigned int smmus;
};

FIXTURE_VARIANT_ADD(hosts, one_smmu) { .smmus = 1 };
FIXTURE_VARIANT_ADD(hosts, two_smmus) { .smmus = 2 };

/* What both have */
static void idr_common(const __u32 a[6], const __u32 b[6], __u32 idr[6])
{
	unsigned int i;

	memcpy(idr, a, 6 * sizeof(*a));
	for (i = 0; i < ARRAY_LEN(idr_fields); i++) {
		const struct idr_field *f = &idr_fields[i];
		__u32 x = a[f->reg] & f->mask, y = b[f->reg] & f->mask;

		idr[f->reg] &= ~f->mask;
		idr[f->reg] |= !f->number ? x & y : x < y ? x : y;
	}
}

FIXTURE_SETUP(hosts)
{
	struct smmuv3_accel_phys phys[2];
	struct machine *m = &self->m;
	__u32 common[6];
	unsigned int i;
	int rc;

	rc = machine_open(m, .stage = STAGE_ATTACHED, .devices = variant->smmus,
			  .smmus = variant->smmus);
	if (rc == -ENODEV)
		SKIP(return, "wants iommu-testdevs behind two SMMUs");
	ASSERT_EQ(0, rc);
	for (i = 0; i < m->num; i++) {
		ASSERT_EQ(0, accel_phys(&m->g, i, &phys[i]));
		ASSERT_EQ(0, machine_detach(m, i));
	}
	idr_common(phys[0].out_idr, phys[m->num - 1].out_idr, common);
	idr_offer(common, self->offer);
}

FIXTURE_TEARDOWN(hosts)
{
	guest_close_accel(&self->m.g);
	EXPECT_NOTHING_LEFT(&self->m.g);
	machine_close(&self->m);
}

TEST_F(hosts, common_features_are_accepted_before_and_after_attach)
{
	struct smmuv3_accel_set_idr out;
	struct machine *m = &self->m;
	unsigned int i;

	ASSERT_EQ(0, accel_set_idr(&m->g, self->offer, &out));
	guest_close_accel(&m->g);
	ASSERT_EQ(0, guest_create(&m->g));
	ASSERT_EQ(0, accel_set_idr(&m->g, self->offer, &out));
	for (i = 0; i < m->num; i++)
		EXPECT_EQ(0, machine_attach(m, i));
}

/* By SET_IDR if the SMMU is known, else by ATTACH */
TEST_F(hosts, features_that_a_host_lacks_are_refused)
{
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_attach attach;
	struct machine *m = &self->m;
	unsigned int i, smmu, tried = 0;

	for (i = 0; i < ARRAY_LEN(idr_fields); i++) {
		const struct idr_field *f = &idr_fields[i];
		struct guest later = m->g;
		__u32 idr[6], bad[6] = {};

		memcpy(idr, self->offer, sizeof(idr));
		if (!idr_exceed(f, idr))
			continue;
		tried++;
		bad[f->reg] = f->mask;
		EXPECT_FIELD_REFUSED(&m->g, idr, IDR_HOST, f->reg, f->mask);

		ASSERT_EQ(0, guest_create(&later));
		ASSERT_EQ(0, accel_set_idr(&later, idr, &out)) TH_LOG("field %u", i);
		for (smmu = 0; smmu < m->num; smmu++) {
			struct stream *s = &m->stream[smmu];

			EXPECT_EQ(-EOPNOTSUPP, accel_attach(&later, s->dev.fd, s->vsid, &attach));
			EXPECT_EQ(SMMUV3_ACCEL_REASON_IDR_HOST, attach.out_reason);
			expect_bad(_metadata, bad, attach.out_bad_idr);
			EXPECT_EQ(0, attach.out_viommu_id);
		}
		/* The failures have frozen nothing */
		ASSERT_EQ(0, accel_set_idr(&later, self->offer, &out));
		for (smmu = 0; smmu < m->num; smmu++)
			EXPECT_EQ(0, accel_attach(&later, m->stream[smmu].dev.fd,
						  m->stream[smmu].vsid, NULL));
		guest_close_accel(&later);
	}
	/* No SMMU has everything */
	EXPECT_LT(0, tried);
	/* Refusals change nothing */
	EXPECT_EQ(0, accel_set_idr(&m->g, self->offer, &out));
}

/* Of the ID registers that the guest sees, else of those that the host has */
TEST_F(hosts, streamid_beyond_sidsize_is_refused)
{
	struct smmuv3_accel_set_idr out;
	struct smmuv3_accel_attach attach;
	struct machine *m = &self->m;
	unsigned int bits = self->offer[1] & IDR1_SIDSIZE, smmu;
	int i;

	for (i = 0; i < 2; i++) {
		for (smmu = 0; smmu < m->num; smmu++) {
			int fd = m->stream[smmu].dev.fd;

			if (bits == 32)
				continue;
			EXPECT_EQ(-EINVAL, accel_attach(&m->g, fd, 1U << bits, &attach));
			EXPECT_EQ(SMMUV3_ACCEL_REASON_VSID_RANGE, attach.out_reason);
			EXPECT_EQ(-EINVAL, accel_attach(&m->g, fd, SMMUV3_ACCEL_VSID_UNSET - 1,
							NULL));
		}
		bits = 6;
		self->offer[1] = (self->offer[1] & ~IDR1_SIDSIZE) | bits;
		ASSERT_EQ(0, accel_set_idr(&m->g, self->offer, &out));
	}
	EXPECT_EQ(0, accel_attach(&m->g, m->stream[m->num - 1].dev.fd, (1U << bits) - 1, NULL));
}

TEST_HARNESS_MAIN
