// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of table mode: the module reads STEs from the guest's stream table, for
 * commands that name streams and for streams that are being attached.
 */
#include "fixture.h"

static u64 ste_of(struct kunit *test, u32 vsid)
{
	struct fixture *f = test->priv;

	return stream_of(f->v, vsid)->ste.data[0];
}

/* A CFGI_STE is carried out in order with the commands before and after it. */
static void cfgi_ste_splits_a_run(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	fx_put_ste(test, VSID, STE_S1_AT(2), 0);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), cfgi_ste(VSID), tlbi_va(2), sync()), 4);
	/* A TLBI on both SMMUs, the new domain, a TLBI on both again */
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_INVALIDATE, MOCK_ALLOC + MOCK_NESTED, MOCK_ATTACH,
		   MOCK_DESTROY, MOCK_INVALIDATE, MOCK_INVALIDATE);
	fx_expect_s1(test, f->v, VSID, 2);

	/* If the STE is the same, only its CDs. An unknown stream has no STE. */
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), cfgi_ste(VSID_UNKNOWN)), 2);
	EXPECT_OPS(test, MOCK_INVALIDATE);
	EXPECT_BATCH(test, 0, 0, cfgi_cd_all(VSID));
	/* Both CFGI_STEs of a batch read the STE that is in memory now. */
	fx_put_ste(test, VSID, STE_BYPASS, 0);
	fx_put_ste(test, VSID_OTHER, 0, 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), cfgi_cd(VSID, 1), cfgi_ste(VSID_OTHER)),
		    3);
	EXPECT_OPS(test, MOCK_ATTACH, MOCK_DESTROY, MOCK_INVALIDATE, MOCK_ATTACH, MOCK_DESTROY);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.kind, KIND(BYPASS));
	fx_expect_aborts(test, f->v, VSID_OTHER, REASON(STE_INVALID));
}

/* With SMMUEN clear STEs are not read; TLBIs are carried out. */
static void no_ste_read_when_disabled(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	f->regs.cr0 &= ~CR0_SMMUEN;
	fx_must_set_regs(test);
	fx_put_ste(test, VSID, STE_S1_AT(3), 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID), cfgi_all(), tlbi_va(1)), 3);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_INVALIDATE);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.kind, KIND(BYPASS));
}

/* A range names the streams in an aligned block of 2^(Range + 1), and no others. */
static void range_names_its_streams(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 round, range, sid, vsid, i, page = 2;

	fx_start(test);
	for (round = 0; round < 128; round++, page++) {
		range = round % 32;
		sid = fx_streams[dice(f, STREAMS)].vsid ^ (dice(f, 2) ? 0 : BIT(dice(f, 32)));
		fx_put_all_stes(test, STE_S1_AT(page), 0);
		EXPECT_DONE(test, RUN_CMDS(test, cfgi_range(sid, range)), 1);
		for (i = 0; i < STREAMS; i++) {
			vsid = fx_streams[i].vsid;
			KUNIT_ASSERT_EQ_MSG(test, ste_of(test, vsid) == STE_S1_AT(page),
					    (u64)sid >> (range + 1) == (u64)vsid >> (range + 1),
					    "StreamID %x range %u, stream %x", sid, range, vsid);
		}
	}
}

/* An illegal STE is reported for an event, and is no error of the call. */
static void bad_ste_aborts(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	fx_put_ste(test, VSID, STE_BAD_CONFIG, 0);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_ste(VSID), tlbi_va(1)), .done = 2,
		      .flags = BAD_STE_NO_ROOM);
	fx_expect_aborts(test, f->v, VSID, REASON(STE_CONFIG));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID_NEXT)), 1);

	/* The table is too short for one stream, then unreadable for all. */
	f->regs.strtab_base_cfg = 5;
	fx_must_set_regs(test);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID_NEXT)->ste.kind, KIND(S1));
	fx_expect_aborts(test, f->v, VSID_OTHER, REASON(STE_SID_RANGE));
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_ste(VSID_OTHER)), .done = 1,
		      .flags = BAD_STE_NO_ROOM);
	f->regs.strtab_base += 0x1000000;
	fx_must_set_regs(test);
	fx_expect_aborts(test, f->v, VSID_NEXT, REASON(STE_UNREADABLE));
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all()), .done = 1, .flags = BAD_STE_NO_ROOM);
}

static const struct ste_error {
	const char *name;
	enum mock_op op;
	int rc;
	u32 reason;
} ste_errors[] = {
	{ "no memory for a domain", MOCK_ALLOC + MOCK_NESTED, -ENOMEM, REASON(RETRY) },
	{ "domain refused", MOCK_ALLOC + MOCK_NESTED, -EINVAL, REASON(HOST_REJECT) },
	{ "device in reset", MOCK_ATTACH, -EBUSY, REASON(RETRY) },
	{ "device without power", MOCK_ATTACH, -ENODEV, REASON(NO_POWER) },
};

KUNIT_ARRAY_PARAM_DESC(ste_error, ste_errors, name);

/*
 * If an STE cannot be installed, CONS is at the command. Running it again succeeds.
 */
static void failed_ste_keeps_the_old_one(struct kunit *test)
{
	const struct ste_error *c = test->param_value;
	struct fixture *f = test->priv;

	fx_start(test);
	fx_put_all_stes(test, STE_S1_AT(10), 0);
	mock_fail(f->mock, c->op, 1, 1, c->rc);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), cfgi_ste(VSID), tlbi_va(2)), .rc = c->rc,
		      .done = 1, .reason = c->reason, .vsid = VSID);
	fx_expect_s1(test, f->v, VSID, 1);
	EXPECT_GIVEN(test, 0, tlbi_va(1));
	EXPECT_GIVEN(test, 1, tlbi_va(1));
	EXPECT_DONE(test, fx_run(test, .cons = 1, .num = 2), 2);
	fx_expect_s1(test, f->v, VSID, 10);
}

/* The attach of each stream in a range fails in turn. */
static void failed_ste_holds_up_no_other(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 at, n, page;

	fx_start(test);
	for (at = 0; at < STREAMS; at++) {
		page = 20 + at;
		fx_put_all_stes(test, STE_S1_AT(page), 0);
		mock_fail(f->mock, MOCK_ATTACH, at + 1, 1, -EBUSY);
		EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all()), .rc = -EBUSY,
			      .reason = REASON(RETRY), .vsid = fx_streams[at].vsid);
		for (n = 0; n < STREAMS; n++)
			KUNIT_EXPECT_EQ(test, ste_of(test, fx_streams[n].vsid) == STE_S1_AT(page),
					n != at);
		EXPECT_DONE(test, fx_run(test, .num = 1), 1);
		for (n = 0; n < STREAMS; n++)
			fx_expect_s1(test, f->v, fx_streams[n].vsid, page);
	}
}

/*
 * If the caller is killed, no stream is named, and after some progress there is no
 * error.
 */
static void killed_caller_is_no_streams_fault(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	fx_put_all_stes(test, STE_S1_AT(2), 0);
	mock_fail(f->mock, MOCK_ATTACH, 1, 2, -EINTR);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all()), .rc = -EINTR);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
	EXPECT_DONE(test, fx_run(test, .cons = 1, .num = 1), 1);
	fx_expect_s1(test, f->v, VSID, 2);
}

/* How often and when ATTACH wrote its result to the caller; @rc lets that fail */
struct told {
	struct kunit *test;
	int rc;
	u32 num;		/* how many times */
	u32 log_num;		/* length of the host log then */
};

static int tell(const struct smmuv3_accel_attach *cmd, void *arg)
{
	struct told *told = arg;
	struct kunit *test = told->test;
	struct mock *mock = mock_of(test);
	struct mock_obj *viommu = mock_find(mock, cmd->out_viommu_id);
	struct mock_obj *vdevice = mock_find(mock, cmd->out_vdevice_id);

	told->num++;
	told->log_num = mock->log_num;
	KUNIT_EXPECT_EQ(test, cmd->out_reason, REASON(NONE));
	KUNIT_EXPECT_EQ(test, cmd->out_dev_id, MOCK_DEV_ID(0));
	KUNIT_EXPECT_EQ(test, cmd->out_phys, 0);
	KUNIT_ASSERT_NOT_NULL(test, viommu);
	KUNIT_EXPECT_EQ(test, viommu->kind, MOCK_VIOMMU);
	KUNIT_EXPECT_EQ(test, viommu->on->id, cmd->out_s2_hwpt_id);
	KUNIT_ASSERT_NOT_NULL(test, vdevice);
	KUNIT_EXPECT_EQ(test, vdevice->kind, MOCK_VDEVICE);
	KUNIT_EXPECT_PTR_EQ(test, vdevice->on, viommu);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, MOCK_VMM_HWPT);
	return told->rc;
}

static const struct failing_attach {
	const char *name;
	u32 calls;
	bool second_device;
	bool pending;		/* a flush is pending, because stream VSID_NEXT left */
} failing_attaches[] = {
	{ "first device", .calls = 9 },
	{ "second device", .calls = 4, .second_device = true },
	{ "pending flush", .calls = 5, .second_device = true, .pending = true },
};

KUNIT_ARRAY_PARAM_DESC(failing_attach, failing_attaches, name);

/* Set up the case, up to the attach that fails. */
static struct mock_state prepare_attach(struct kunit *test)
{
	const struct failing_attach *c = test->param_value;
	struct fixture *f = test->priv;

	if (c->second_device && !stream_of(f->v, VSID_NEXT))
		fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	if (c->pending) {
		mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -EIO);
		fx_must_detach(test, f->v, VSID_NEXT);
		KUNIT_ASSERT_EQ(test, mock_fail_stop(f->mock), 2);
	}
	return mock_state(f->mock);
}

/*
 * With an STE that translates: if the attach fails, the device keeps the domain that
 * the VMM gave it. After the result is written, only the attach itself can fail.
 */
static void failed_attach_leaves_nothing(struct kunit *test)
{
	const struct failing_attach *c = test->param_value;
	struct fixture *f = test->priv;
	struct told told;
	struct mock_state before;
	struct result r;
	u32 n;

	fx_put_all_stes(test, STE_S1_AT(1), 0);
	fx_must_set_regs(test);
	for (n = 0;; n++) {
		before = prepare_attach(test);
		/* First the write fails, then the host: twice, because of the replay. */
		told = (struct told){ .test = test, .rc = n ? 0 : -EFAULT };
		f->mock->log_num = 0;
		mock_fail(f->mock, MOCK_ANY, n, n ? 2 : 0, -ENOMEM);
		r = fx_attach(f->v, .fd = 0, .vsid = VSID, .answer = tell, .arg = &told);
		if (!mock_fail_stop(f->mock) && n)
			break;
		KUNIT_EXPECT_EQ(test, r.rc, n ? -ENOMEM : -EFAULT);
		KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_DETACH), 0);
		KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_ATTACH), n == c->calls);
		KUNIT_EXPECT_EQ(test, told.num, !n || n == c->calls);
		EXPECT_UNCHANGED_MSG(test, before, "call %u", n);
		KUNIT_EXPECT_EQ(test, f->v->phys_num, c->second_device);
		KUNIT_EXPECT_EQ(test, f->v->stream_num, c->second_device && !c->pending);
		KUNIT_EXPECT_NULL(test, stream_of(f->v, VSID));
	}
	EXPECT_OK(test, r);
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
	KUNIT_EXPECT_EQ(test, told.num, 1);
	KUNIT_EXPECT_EQ(test, told.log_num + 1, f->mock->log_num);
	KUNIT_EXPECT_EQ(test, f->mock->log[told.log_num].op, MOCK_ATTACH);
	KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_INVALIDATE), c->pending);
	fx_expect_s1(test, f->v, VSID, 1);
}

/* A stream attached later has its STE at once, or is not attached. */
static void late_stream_has_its_ste(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_start(test);
	fx_must_detach(test, f->v, VSID_NEXT);
	mock_fail(f->mock, MOCK_ATTACH, 1, 1, -EBUSY);
	EXPECT_RESULT(test, fx_attach(f->v, .fd = 1, .vsid = VSID_NEXT), .rc = -EBUSY,
		      .reason = REASON(RETRY));
	KUNIT_EXPECT_NULL(test, stream_of(f->v, VSID_NEXT));
	fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	fx_expect_s1(test, f->v, VSID_NEXT, 1);
}

/* Table mode excludes INSTALL_STE, from the first SET_REGS to RESET. */
static void modes_exclude_each_other(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_attach_all(test);
	EXPECT_RESULT(test, fx_run(test, .num = 1), .rc = -ENXIO, .reason = REASON(NO_REGS));
	EXPECT_OK(test, fx_install(f->v, VSID, STE_BYPASS, 0));
	f->regs.cr0 = CR0_SMMUEN;
	fx_put_all_stes(test, STE_S1_AT(1), 0);
	fx_must_set_regs(test);
	EXPECT_RESULT(test, fx_run(test, .num = 1), .rc = -EINVAL,
		      .reason = REASON(CMDQ_DISABLED));
	f->mock->log_num = 0;
	EXPECT_RESULT(test, fx_install(f->v, VSID, STE_BYPASS, 0), .rc = -EBUSY,
		      .reason = REASON(TABLE_MODE));
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, stream_of(f->v, VSID)->ste.kind, KIND(S1));
	EXPECT_OK(test, fx_reset(f->v));
	EXPECT_RESULT(test, fx_run(test, .num = 1), .rc = -ENXIO, .reason = REASON(NO_REGS));
	EXPECT_OK(test, fx_install(f->v, VSID, STE_BYPASS, 0));
}

static struct kunit_case table_cases[] = {
	KUNIT_CASE(cfgi_ste_splits_a_run),
	KUNIT_CASE(no_ste_read_when_disabled),
	KUNIT_CASE(range_names_its_streams),
	KUNIT_CASE(bad_ste_aborts),
	KUNIT_CASE_PARAM(failed_ste_keeps_the_old_one, ste_error_gen_params),
	KUNIT_CASE(failed_ste_holds_up_no_other),
	KUNIT_CASE(killed_caller_is_no_streams_fault),
	KUNIT_CASE_PARAM(failed_attach_leaves_nothing, failing_attach_gen_params),
	KUNIT_CASE(late_stream_has_its_ste),
	KUNIT_CASE(modes_exclude_each_other),
	{}
};

static struct kunit_suite table_suite = {
	.name = "smmuv3-accel-table",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = table_cases,
};

kunit_test_suites(&table_suite);
