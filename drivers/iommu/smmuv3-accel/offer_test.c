// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what a guest is offered, by SET_IDR or by its physical SMMUs.
 */
#include "fixture.h"

/* How the second SMMU differs from the first */
static const struct pair_case {
	const char *name;
	u32 reg;
	u32 first;
	u32 second;
	u32 mask;		/* the bits that it lacks; 0: none that the guest could use */
} pair_cases[] = {
	{ "as good" },
	{ "ASID16", 0, IDR0_ASID16, 0, IDR0_ASID16 },
	{ "CD2L", 0, IDR0_CD2L, 0, IDR0_CD2L },
	{ "SSIDSIZE", 1, FIELD_CONST(IDR1_SSIDSIZE, 8), FIELD_CONST(IDR1_SSIDSIZE, 7),
	  IDR1_SSIDSIZE },
	{ "SIDSIZE", 1, FIELD_CONST(IDR1_SIDSIZE, 16), FIELD_CONST(IDR1_SIDSIZE, 15),
	  IDR1_SIDSIZE },
	{ "RIL", 3, IDR3_RIL, 0, IDR3_RIL },
	{ "DS", 5, IDR5_DS, 0, IDR5_DS },
	{ "more features", 0, 0, IDR0_CD2L },
	{ "more StreamIDs", 1, FIELD_CONST(IDR1_SIDSIZE, 16), FIELD_CONST(IDR1_SIDSIZE, 17) },
	{ "ATS", 0, IDR0_ATS, 0 },
};

KUNIT_ARRAY_PARAM_DESC(pair, pair_cases, name);

/* Set up the two SMMUs for the case. */
static const struct pair_case *take_pair(struct kunit *test)
{
	const struct pair_case *c = test->param_value;
	struct mock *mock = mock_of(test);
	u32 *first = &mock->smmu[0].idr[c->reg], *second = &mock->smmu[1].idr[c->reg];

	*first = (*first & ~c->mask) | c->first;
	*second = (*second & ~(c->mask | c->first)) | c->second;
	return c;
}

/* Start the guest: a stream translates, or SMMUEN is set. */
enum start { BY_STE, BY_REGS, STARTS };

static void start(struct kunit *test, struct smmuv3_vsmmu *v, enum start by)
{
	const struct smmuv3_regs regs = { .cr0 = CR0_SMMUEN };
	const struct guest_mem nothing = { .known = true };
	u32 failed, reason;

	if (by == BY_STE) {
		fx_must_install(test, v, VSID, STE_S1, 0);
		return;
	}
	guard(queue)(v);
	smmuv3_vsmmu_set_mem(v, &nothing);
	KUNIT_ASSERT_EQ(test, smmuv3_vsmmu_set_regs(v, &regs, &failed, &reason), 0);
}

static void expect_worse_refused(struct kunit *test, struct smmuv3_vsmmu *v,
				 const struct pair_case *c)
{
	struct mock *mock = mock_of(test);
	struct mock_state before = mock_state(mock);
	struct smmuv3_caps caps = v->offer.caps;
	u32 bad_idr[6] = {};
	struct result r;

	mock->log_num = 0;
	r = fx_attach(v, .fd = 4, .vsid = VSID_OTHER);
	KUNIT_EXPECT_EQ(test, r.rc, -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, r.reason, REASON(IDR_OFFERED));
	bad_idr[c->reg] = c->mask;
	KUNIT_EXPECT_MEMEQ(test, r.bad_idr, bad_idr, sizeof(bad_idr));
	EXPECT_UNCHANGED(test, before);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ATTACH), 0);
	KUNIT_EXPECT_EQ(test, v->phys_num, 1);
	KUNIT_EXPECT_MEMEQ(test, &v->offer.caps, &caps, sizeof(caps));
}

/* A running guest does not lose what it was offered. */
static void running_guest_keeps_its_offer(struct kunit *test)
{
	const struct pair_case *c = take_pair(test);
	struct smmuv3_caps caps;
	struct smmuv3_vsmmu *v;
	enum start by;

	for (by = 0; by < STARTS; by++) {
		v = fx_open(test);
		fx_must_attach(test, v, .fd = 0, .vsid = VSID);
		/* Bypass and abort use nothing. */
		fx_must_install(test, v, VSID, STE_BYPASS, 0);
		start(test, v, by);
		caps = v->offer.caps;
		if (c->mask) {
			expect_worse_refused(test, v, c);
			/* After a reset, the guest reads the ID registers again. */
			EXPECT_OK(test, fx_reset(v));
			fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
			start(test, v, by);
		} else {
			fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
			KUNIT_EXPECT_MEMEQ(test, &v->offer.caps, &caps, sizeof(caps));
		}
		/* Another device on a known SMMU is always accepted. */
		fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
		fx_must_attach(test, v, .fd = 5, .vsid = VSID_LAST);
		fx_close(v);
	}
}

/* Before it starts, a guest is offered what both SMMUs have. */
static void idle_guest_takes_any_smmu(struct kunit *test)
{
	struct smmuv3_vsmmu *v;

	take_pair(test);
	v = fx_open(test);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_install(test, v, VSID, STE_BYPASS, 0);
	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
}

/* A better second SMMU is accepted, and does not raise what is offered. */
static void better_smmu_adds_nothing(struct kunit *test)
{
	const struct pair_case *c = take_pair(test);
	struct smmuv3_vsmmu *v;
	enum start by;

	for (by = 0; by < STARTS; by++) {
		v = fx_open(test);
		fx_must_attach(test, v, .fd = 4, .vsid = VSID);
		start(test, v, by);
		if (c->mask) {
			fx_must_attach(test, v, .fd = 0, .vsid = VSID_OTHER);
			KUNIT_EXPECT_EQ(test, v->offer.common[c->reg] & c->mask, c->second);
		}
		fx_close(v);
	}
}

/* The smallest SIDSIZE of all SMMUs limits StreamIDs. */
static void smallest_sidsize_bounds_vsids(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .feed = true);
	u32 kind;

	mock->smmu[0].idr[1] = FIELD_PREP(IDR1_SIDSIZE, 31);
	mock->smmu[1].idr[1] = FIELD_PREP(IDR1_SIDSIZE, 8);

	fx_must_attach(test, v, .fd = -1, .vsid = S32_MAX, .flags = BRIDGE);
	fx_must_detach(test, v, S32_MAX);
	EXPECT_REFUSED(test, v, -EINVAL, VSID_RANGE, .fd = 4, .vsid = 0x100);
	/* An SMMU of a refused ATTACH does not limit StreamIDs. */
	fx_must_attach(test, v, .fd = 0, .vsid = S32_MAX);
	fx_must_attach(test, v, .fd = 4, .vsid = 0xff);
	EXPECT_REFUSED(test, v, -EINVAL, VSID_RANGE, .fd = 1, .vsid = 0x100);
	EXPECT_REFUSED(test, v, -EINVAL, VSID_RANGE, .fd = 5, .vsid = 0x100);
	for (kind = 0; kind <= FEED; kind++) {
		int fd = kind ? -1 : 1;

		EXPECT_REFUSED(test, v, -EINVAL, VSID_RANGE, .fd = fd, .vsid = 0x100,
			       .flags = kind);
		fx_must_attach(test, v, .fd = fd, .vsid = 0xfe, .flags = kind);
		fx_must_detach(test, v, 0xfe);
	}
}

/* Minimal registers of a guest, except for the sizes that these tests use */
static const u32 least_idr[6] = {
	IDR0_S1P | IDR0_COHACC | FIELD_CONST(IDR0_TTF, 2) |
	FIELD_CONST(IDR0_STALL_MODEL, STALL_MODEL_TERMINATE),
	FIELD_CONST(IDR1_CMDQS, CMDQS_MAX) | FIELD_CONST(IDR1_SIDSIZE, 16),
	0, 0, 0, FIELD_CONST(IDR5_GRAN, 1),
};

/* Set up two SMMUs that honour least_idr. The second has no ASID16. */
static void start_idr(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	int i;

	for (i = 0; i < MOCK_SMMUS; i++) {
		mock->smmu[i].idr[0] |= IDR0_TTF;
		mock->smmu[i].idr[5] |= FIELD_PREP(IDR5_GRAN, 1);
	}
	mock->smmu[1].idr[0] &= ~IDR0_ASID16;
	fx_open_table(test);
}

/* Set least_idr with bits of one register flipped. */
static struct result set_idr(struct kunit *test, u32 reg, u32 flip)
{
	u32 idr[6];

	memcpy(idr, least_idr, sizeof(idr));
	idr[reg] ^= flip;
	return fx_set_idr(((struct fixture *)test->priv)->v, idr);
}

/*
 * SET_IDR refuses illegal registers and those that an SMMU of the vSMMU cannot honour.
 * ATTACH refuses an SMMU that cannot honour them.
 */
static void idr_refused_when_known(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_idr(test);
	EXPECT_RESULT(test, set_idr(test, 0, IDR0_S2P), .rc = -EOPNOTSUPP,
		      .reason = REASON(IDR_ILLEGAL), .bad_idr[0] = IDR0_S2P);
	KUNIT_EXPECT_FALSE(test, f->v->offer.idr_set);

	EXPECT_OK(test, set_idr(test, 0, IDR0_ASID16));
	EXPECT_RESULT(test, fx_attach(f->v, .fd = 4, .vsid = VSID_OTHER), .rc = -EOPNOTSUPP,
		      .reason = REASON(IDR_HOST), .bad_idr[0] = IDR0_ASID16);
	KUNIT_EXPECT_EQ(test, mock_state(f->mock).held[4], 0);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	KUNIT_EXPECT_TRUE(test, f->v->offer.caps.asid16);
	fx_must_detach(test, f->v, VSID);
	EXPECT_RESULT(test, set_idr(test, 1, FIELD_PREP(IDR1_SSIDSIZE, 9)), .rc = -EOPNOTSUPP,
		      .reason = REASON(IDR_HOST), .bad_idr[1] = IDR1_SSIDSIZE);
}

/*
 * SET_IDR is refused while a stream is attached, and forever after a command has run.
 */
static void idr_frozen(struct kunit *test)
{
	struct fixture *f = test->priv;

	start_idr(test);
	EXPECT_OK(test, set_idr(test, 0, IDR0_ASID16));
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	fx_set_cmdq(test, 4);
	EXPECT_DONE(test, fx_run(test, .num = 0), 0);
	EXPECT_RESULT(test, set_idr(test, 0, 0), .rc = -EBUSY, .reason = REASON(FROZEN));
	fx_must_detach(test, f->v, VSID);
	EXPECT_OK(test, set_idr(test, 0, 0));
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1)), 1);
	EXPECT_RESULT(test, set_idr(test, 0, 0), .rc = -EBUSY, .reason = REASON(FROZEN));
}

/* Commands and STEs are checked against the guest's ID registers, not the SMMU's. */
static void idr_decides_what_is_legal(struct kunit *test)
{
	const struct cmd wide = cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, 0x100), 0);
	struct fixture *f = test->priv;

	start_idr(test);
	EXPECT_OK(test, set_idr(test, 1, FIELD_PREP(IDR1_SSIDSIZE, 4)));
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, f->v, .fd = 4, .vsid = VSID_OTHER);
	fx_set_cmdq(test, 4);

	EXPECT_RESULT(test, RUN_CMDS(test, wide), .error = CERROR(ILL),
		      .reason = REASON(CMD_RESERVED));
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), wide), .done = 1, .error = CERROR(ILL),
		      .reason = REASON(CMD_RESERVED));
	EXPECT_RESULT(test, RUN_CMDS(test, atc_inv(VSID, 1)), .error = CERROR(ILL),
		      .reason = REASON(CMD_NO_ATS));
	fx_put_ste(test, VSID, STE_S1_AT(1) | FIELD_PREP(STE_0_S1CDMAX, 4), STE_ATS);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.data[1], 0);
	fx_put_ste(test, VSID, STE_S1_AT(1) | FIELD_PREP(STE_0_S1CDMAX, 5), 0);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_ste(VSID)), .done = 1, .flags = BAD_STE_NO_ROOM);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.reason, REASON(STE_S1CDMAX));
}

static struct kunit_case offer_cases[] = {
	KUNIT_CASE_PARAM(running_guest_keeps_its_offer, pair_gen_params),
	KUNIT_CASE_PARAM(idle_guest_takes_any_smmu, pair_gen_params),
	KUNIT_CASE_PARAM(better_smmu_adds_nothing, pair_gen_params),
	KUNIT_CASE(smallest_sidsize_bounds_vsids),
	KUNIT_CASE(idr_refused_when_known),
	KUNIT_CASE(idr_frozen),
	KUNIT_CASE(idr_decides_what_is_legal),
	{}
};

static struct kunit_suite offer_suite = {
	.name = "smmuv3-accel-offer",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = offer_cases,
};

kunit_test_suites(&offer_suite);
