// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of streams without a StreamID, and of SET_VSIDS: all StreamIDs change at
 * once, a stream has the STE of its new one, and a failure leaves its DMA blocked.
 */
#include "fixture.h"

/* The STE of each StreamID is different, so that it shows which one a stream has. */
#define PAGE_OF(vsid)	(0x1000 + (vsid))

static const u32 all_vsids[] = {
	VSID, VSID_NEXT, VSID_OTHER, VSID_LAST, VSID_HOSTLESS, VSID_UNKNOWN,
};

static void put_own_stes(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(all_vsids); i++)
		fx_put_ste(test, all_vsids[i], STE_S1_AT(PAGE_OF(all_vsids[i])), 0);
}

/* All streams translate, each by its own STE. */
static void start(struct kunit *test)
{
	put_own_stes(test);
	fx_attach_all(test);
	fx_set_cmdq(test, 4);
	mock_of(test)->log_num = 0;
}

static struct mock_obj *vdevice_of(struct kunit *test, const struct mock_dev *dev)
{
	struct mock_obj *obj;

	list_for_each_entry(obj, &mock_of(test)->objs, node)
		if (obj->kind == MOCK_VDEVICE && obj->dev == dev)
			return obj;
	return NULL;
}

/*
 * Expect that a stream with a StreamID translates by the STE of that StreamID or is
 * blocked, and that a stream without one is blocked and has no vDEVICE. Returns whether
 * it translates.
 */
static bool expect_consistent(struct kunit *test, struct smmuv3_stream *stream)
{
	struct mock_dev *dev = mock_dev_of(stream);
	struct mock_obj *hwpt = mock_find(mock_of(test), dev->hwpt_id);
	struct mock_obj *vdevice = vdevice_of(test, dev);
	u32 vsid = stream->vsid;

	KUNIT_EXPECT_EQ_MSG(test, stream->hwpt_id, dev->hwpt_id, "StreamID %#x", vsid);
	KUNIT_EXPECT_FALSE(test, stream->renumbered);
	if (stream->live) {
		KUNIT_EXPECT_TRUE_MSG(test, smmuv3_vsid_is_set(vsid), "StreamID %#x", vsid);
		KUNIT_ASSERT_NOT_NULL_MSG(test, vdevice, "StreamID %#x", vsid);
		KUNIT_EXPECT_EQ(test, vdevice->vsid, vsid);
		KUNIT_EXPECT_EQ(test, vdevice->id, stream->vdevice_id);
	}
	if (hwpt && hwpt->id != stream->phys->abort_hwpt_id) {
		KUNIT_EXPECT_TRUE_MSG(test, stream->live, "StreamID %#x", vsid);
		fx_expect_s1(test, container_of(stream->phys->host, struct mock_host, host)->v,
			     vsid, PAGE_OF(vsid));
		return true;
	}
	KUNIT_EXPECT_EQ_MSG(test, stream->ste.kind, KIND(ABORT), "StreamID %#x", vsid);
	KUNIT_EXPECT_NE_MSG(test, stream->ste.reason, REASON(NONE), "StreamID %#x", vsid);
	return false;
}

/* The stream of a device, by the device */
static struct smmuv3_stream *stream_of_fd(struct smmuv3_vsmmu *v, u32 fd)
{
	struct smmuv3_stream *stream;
	unsigned long vsid;

	xa_for_each(&v->streams, vsid, stream)
		if (stream->dev && stream->dev->dev_id == MOCK_DEV_ID(fd))
			return stream;
	return NULL;
}

/* Expect that the device has this StreamID or name, and the state that goes with it. */
static void expect_named(struct kunit *test, u32 fd, u32 vsid)
{
	struct fixture *f = test->priv;
	struct smmuv3_stream *stream = stream_of_fd(f->v, fd);

	KUNIT_ASSERT_NOT_NULL_MSG(test, stream, "device %u", fd);
	KUNIT_EXPECT_EQ_MSG(test, stream->vsid, vsid, "device %u", fd);
	KUNIT_EXPECT_PTR_EQ(test, stream_of(f->v, vsid), stream);
	KUNIT_EXPECT_EQ_MSG(test, expect_consistent(test, stream), smmuv3_vsid_is_set(vsid),
			    "device %u", fd);
	if (smmuv3_vsid_is_set(vsid))
		return;
	KUNIT_EXPECT_EQ(test, mock_dev_of(stream)->hwpt_id, 0);
	KUNIT_EXPECT_NULL(test, vdevice_of(test, mock_dev_of(stream)));
	KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(NO_VSID));
}

/* The result of ATTACH for a stream without a vDEVICE */
static int expect_no_vdevice(const struct smmuv3_accel_attach *cmd, void *arg)
{
	return cmd->out_vdevice_id || !cmd->out_viommu_id || !cmd->out_dev_id ? -EINVAL : 0;
}

/* In neither mode do STEs, or commands with its name as StreamID, have an effect on it. */
static void unset_stream_is_blocked(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 name = UNSET(VSID);
	const struct cmd cmds[] = { cfgi_cd(name, 0), cfgi_cd_all(name), sync() };
	struct smmuv3_accel_stream out;
	u64 installed;

	fx_must_attach(test, f->v, .fd = 1, .vsid = VSID_NEXT);
	EXPECT_OK(test, fx_attach(f->v, .fd = 0, .vsid = name, .answer = expect_no_vdevice));
	expect_named(test, 0, name);
	EXPECT_RESULT(test, fx_install(f->v, name, STE_BYPASS, 0), .rc = -EBUSY,
		      .reason = REASON(NO_VSID));
	EXPECT_DONE(test, fx_invalidate(test, f->v, cmds, 3), 3);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);

	put_own_stes(test);
	installed = f->v->stats.out_ste_installed;
	fx_set_cmdq(test, 4);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(name), cfgi_all(), cfgi_cd(name, 0), sync()), 4);
	expect_named(test, 0, name);
	expect_named(test, 1, VSID_NEXT);
	KUNIT_EXPECT_EQ(test, f->v->stats.out_ste_installed, installed + 1);
	EXPECT_OK(test, fx_reset(f->v));
	expect_named(test, 0, name);
	out = fx_describe(f->v, name);
	KUNIT_EXPECT_EQ(test, out.out_kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, out.out_reason, REASON(NO_VSID));
	KUNIT_EXPECT_EQ(test, out.out_vdevice_id, 0);
	KUNIT_EXPECT_EQ(test, out.out_hwpt_id, 0);
	fx_must_detach(test, f->v, name);
	KUNIT_EXPECT_EQ(test, f->v->stream_num, 1);
}

/* Attached in table mode, it counts as no STE. */
static void unset_stream_has_no_ste(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_accel_stats *stats = &f->v->stats;

	put_own_stes(test);
	fx_must_set_regs(test);
	fx_must_attach(test, f->v, .fd = 0, .vsid = UNSET(0));
	fx_must_attach(test, f->v, .fd = -1, .vsid = UNSET(1), .flags = BRIDGE);
	KUNIT_EXPECT_EQ(test, stats->out_ste_installed + stats->out_ste_unchanged, 0);
	KUNIT_EXPECT_FALSE(test, stream_of(f->v, UNSET(1))->live);
}

/* A name has one stream at a time, and SIDSIZE does not limit it. */
static void names_refused(struct kunit *test)
{
	struct fixture *f = test->priv;

	fx_must_attach(test, f->v, .fd = 0, .vsid = UNSET(S32_MAX));
	EXPECT_REFUSED(test, f->v, -EEXIST, VSID_IN_USE, .fd = 1, .vsid = UNSET(S32_MAX));
	EXPECT_REFUSED(test, f->v, -EBUSY, DEVICE_IN_USE, .fd = 0, .vsid = UNSET(0));
	fx_must_attach(test, f->v, .fd = 1, .vsid = S32_MAX & 0xffff);
	/* Its DMA would be blocked by the second one. */
	EXPECT_REFUSED(test, f->v, -EBUSY, DEVICE_IN_USE, .fd = 1, .vsid = UNSET(0));
	EXPECT_REFUSED(test, f->v, -EBUSY, DEVICE_IN_USE, .fd = 0, .vsid = VSID);
}

static const struct change {
	const char *name;
	u32 num;
	struct smmuv3_accel_vsid entries[4];
	u32 after[STREAMS];	/* of devices 0, 1, 4 and 5; 0: unchanged */
} changes[] = {
	{ "the same", 1, { { VSID, VSID } } },
	{ "to a free one", 1, { { VSID, VSID_UNKNOWN } }, { VSID_UNKNOWN } },
	{ "unset", 1, { { VSID, UNSET(1) } }, { UNSET(1) } },
	{ "two swap", 2, { { VSID, VSID_NEXT }, { VSID_NEXT, VSID } }, { VSID_NEXT, VSID } },
	{ "two swap across SMMUs", 2, { { VSID, VSID_OTHER }, { VSID_OTHER, VSID } },
	  { VSID_OTHER, 0, VSID } },
	{ "three in a cycle", 3,
	  { { VSID, VSID_NEXT }, { VSID_NEXT, VSID_LAST }, { VSID_LAST, VSID } },
	  { VSID_NEXT, VSID_LAST, 0, VSID } },
	{ "a chain to a free one", 3,
	  { { VSID, VSID_NEXT }, { VSID_NEXT, VSID_OTHER }, { VSID_OTHER, VSID_UNKNOWN } },
	  { VSID_NEXT, VSID_OTHER, VSID_UNKNOWN } },
	{ "one takes what another gives up", 2, { { VSID_LAST, UNSET(0) }, { VSID, VSID_LAST } },
	  { VSID_LAST, 0, 0, UNSET(0) } },
	{ "all swap", 4, { { VSID, VSID_LAST }, { VSID_NEXT, VSID_OTHER },
			   { VSID_OTHER, VSID_NEXT }, { VSID_LAST, VSID } },
	  { VSID_LAST, VSID_OTHER, VSID_NEXT, VSID } },
	{ "all unset", 4, { { VSID, UNSET(VSID) }, { VSID_NEXT, UNSET(VSID_NEXT) },
			    { VSID_OTHER, UNSET(VSID_OTHER) }, { VSID_LAST, UNSET(VSID_LAST) } },
	  { UNSET(VSID), UNSET(VSID_NEXT), UNSET(VSID_OTHER), UNSET(VSID_LAST) } },
};

KUNIT_ARRAY_PARAM_DESC(change, changes, name);

static struct result make_change(struct kunit *test)
{
	const struct change *c = test->param_value;
	struct fixture *f = test->priv;

	f->mock->log_num = 0;
	return fx_set_vsids(f->v, c->entries, c->num);
}

/* A call after the changes, for streams that have the new StreamIDs: keep them, or undo it */
static struct result change_again(struct kunit *test, bool undo)
{
	const struct change *c = test->param_value;
	struct smmuv3_accel_vsid entries[ARRAY_SIZE(c->entries)];
	struct fixture *f = test->priv;
	u32 i;

	for (i = 0; i < c->num; i++)
		entries[i] = (struct smmuv3_accel_vsid){
			c->entries[i].new_vsid,
			undo ? c->entries[i].old_vsid : c->entries[i].new_vsid,
		};
	return fx_set_vsids(f->v, entries, c->num);
}

/* Expect that each stream has its new or its old name, and the state that goes with it. */
static void expect_all_named(struct kunit *test, bool changed)
{
	const struct change *c = test->param_value;
	u32 i, vsid;

	for (i = 0; i < STREAMS; i++) {
		vsid = changed && c->after[i] ? c->after[i] : fx_streams[i].vsid;
		expect_named(test, fx_streams[i].fd, vsid);
	}
}

/* The module blocks these streams, and no others, before the first vDEVICE changes. */
static void changes_at_once(struct kunit *test)
{
	const struct change *c = test->param_value;
	struct fixture *f = test->priv;
	u32 i, set = 0;

	start(test);
	EXPECT_OK(test, make_change(test));
	for (i = 0; i < c->num; i++)
		set += smmuv3_vsid_is_set(c->entries[i].new_vsid);
	KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_DETACH), c->num);
	KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_ATTACH), set);
	KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_INVALIDATE), 0);
	for (i = 0; i < f->mock->log_num; i++)
		if (f->mock->log[i].op == MOCK_ALLOC + MOCK_VDEVICE)
			break;
	for (; i < f->mock->log_num; i++)
		KUNIT_EXPECT_NE(test, f->mock->log[i].op, MOCK_DETACH);
	expect_all_named(test, true);
	KUNIT_EXPECT_EQ(test, f->v->stream_num, STREAMS);
	fx_expect_live(test, 2, mock_state(f->mock).live[MOCK_VDEVICE],
		       mock_state(f->mock).live[MOCK_VDEVICE]);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_all(), tlbi_va(1), sync()), 3);
	EXPECT_OK(test, change_again(test, true));
	expect_all_named(test, false);
}

/* Without table mode streams abort until their next STE. */
static void aborts_without_table(struct kunit *test)
{
	const struct change *c = test->param_value;
	struct fixture *f = test->priv;
	struct smmuv3_stream *stream;
	u32 i;

	fx_attach_all(test);
	for (i = 0; i < STREAMS; i++)
		fx_must_install(test, f->v, fx_streams[i].vsid, STE_S1, 0);
	EXPECT_OK(test, make_change(test));
	KUNIT_EXPECT_EQ(test, mock_count(f->mock, MOCK_ATTACH), 0);
	for (i = 0; i < c->num; i++) {
		stream = stream_of(f->v, c->entries[i].new_vsid);
		KUNIT_ASSERT_NOT_NULL(test, stream);
		KUNIT_EXPECT_FALSE(test, expect_consistent(test, stream));
		KUNIT_EXPECT_EQ(test, mock_dev_of(stream)->hwpt_id, 0);
		if (!smmuv3_vsid_is_set(stream->vsid))
			continue;
		KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(NO_STE));
		fx_must_install(test, f->v, stream->vsid, STE_S1_AT(PAGE_OF(stream->vsid)), 0);
		KUNIT_EXPECT_TRUE(test, expect_consistent(test, stream));
	}
}

/* The failed stream with the lowest new StreamID; 0: none failed */
static u32 first_failed(struct kunit *test)
{
	const struct change *c = test->param_value;
	struct fixture *f = test->priv;
	struct smmuv3_stream *stream;
	u32 i, first = 0;

	for (i = 0; i < c->num; i++) {
		stream = stream_of(f->v, c->entries[i].new_vsid);
		KUNIT_ASSERT_NOT_NULL(test, stream);
		if (expect_consistent(test, stream) || !smmuv3_vsid_is_set(stream->vsid))
			continue;
		KUNIT_EXPECT_EQ(test, mock_dev_of(stream)->hwpt_id, 0);
		KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(RETRY));
		if (!first || stream->vsid < first)
			first = stream->vsid;
	}
	return first;
}

/*
 * If host calls fail, one or several in a row, the StreamIDs have changed and the DMA
 * of failed streams is blocked. The same StreamIDs again set up what is missing.
 */
static void failure_blocks_until_repeated(struct kunit *test, enum mock_op op, u32 in_a_row,
					  int rc)
{
	struct fixture *f = test->priv;
	struct result r;
	u32 n, failed;

	start(test);
	for (n = 1;; n++) {
		mock_fail(f->mock, op, n, in_a_row, rc);
		r = make_change(test);
		failed = mock_fail_stop(f->mock);
		if (!failed)
			break;
		/* ENOMEM would tell that nothing has changed. */
		EXPECT_RESULT(test, r, .rc = -EBUSY, .reason = REASON(RETRY),
			      .vsid = first_failed(test));
		KUNIT_EXPECT_NE_MSG(test, r.vsid, 0, "call %u", n);
		EXPECT_OK(test, change_again(test, false));
		expect_all_named(test, true);
		EXPECT_OK(test, change_again(test, true));
		expect_all_named(test, false);
	}
	EXPECT_OK(test, r);
	expect_all_named(test, true);
	KUNIT_EXPECT_LE(test, n, 3 * STREAMS + 1);
}

static void no_memory_blocks(struct kunit *test)
{
	failure_blocks_until_repeated(test, MOCK_ANY, 1, -ENOMEM);
}

static void no_memory_twice_blocks(struct kunit *test)
{
	failure_blocks_until_repeated(test, MOCK_ANY, 2, -ENOMEM);
}

static void device_in_reset_blocks(struct kunit *test)
{
	failure_blocks_until_repeated(test, MOCK_ATTACH, 2, -EBUSY);
}

/* After the call has changed something, a signal does not end it. */
static void signal_is_no_end(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_ATTACH, 1, 1, -EINTR);
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID, VSID_NEXT }, { VSID_NEXT, VSID }),
		      .rc = -EBUSY, .reason = REASON(RETRY), .vsid = VSID);
	expect_named(test, 0, VSID_NEXT);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID }));
	expect_named(test, 1, VSID);
}

/* If the caller is killed at a DETACH, no StreamID changes. Repeat the call. */
static void killed_caller_changes_no_vsid(struct kunit *test)
{
	const struct change *c = test->param_value;
	struct fixture *f = test->priv;
	u32 n, i, blocked;

	start(test);
	for (n = 1; n <= c->num; n++) {
		mock_fail(f->mock, MOCK_DETACH, n, 1, -EINTR);
		EXPECT_RESULT(test, make_change(test), .rc = -EINTR);
		KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 1);
		for (i = 0, blocked = 0; i < STREAMS; i++) {
			KUNIT_ASSERT_NOT_NULL(test, stream_of(f->v, fx_streams[i].vsid));
			blocked += !expect_consistent(test, stream_of(f->v, fx_streams[i].vsid));
		}
		KUNIT_EXPECT_EQ(test, blocked, n - 1);
		/* No StreamID is reserved. */
		EXPECT_OK(test, fx_attach(f->v, .fd = 2, .vsid = VSID_UNKNOWN, .flags = DRY_RUN));
		EXPECT_OK(test, make_change(test));
		expect_all_named(test, true);
		EXPECT_OK(test, change_again(test, true));
		expect_all_named(test, false);
	}
}

static const struct refused_change {
	const char *name;
	int rc;
	u32 reason;
	u32 vsid;
	u32 num;
	struct smmuv3_accel_vsid entries[3];
} refused_changes[] = {
	{ "no such stream", -ENOENT, REASON(NO_STREAM), VSID_UNKNOWN, 2,
	  { { VSID, VSID_HOSTLESS }, { VSID_UNKNOWN, VSID_NEXT } } },
	{ "no such name", -ENOENT, REASON(NO_STREAM), UNSET(VSID), 1, { { UNSET(VSID), VSID } } },
	{ "a stream twice", -EINVAL, REASON(VSID_TWICE), VSID, 3,
	  { { VSID, VSID_UNKNOWN }, { VSID_NEXT, VSID }, { VSID, VSID_HOSTLESS } } },
	/* Either entry may be named. */
	{ "a new StreamID twice", -EINVAL, REASON(VSID_TWICE), 0, 2,
	  { { VSID, VSID_UNKNOWN }, { VSID_NEXT, VSID_UNKNOWN } } },
	{ "another stream's", -EEXIST, REASON(VSID_IN_USE), VSID, 2,
	  { { VSID, VSID_OTHER }, { VSID_NEXT, VSID } } },
	{ "too large", -EINVAL, REASON(VSID_RANGE), VSID_NEXT, 2,
	  { { VSID, UNSET(1) }, { VSID_NEXT, 1 << 16 } } },
};

KUNIT_ARRAY_PARAM_DESC(refused_change, refused_changes, name);

static void refusal_changes_nothing(struct kunit *test)
{
	const struct refused_change *c = test->param_value;
	struct fixture *f = test->priv;
	struct mock_state before;
	struct result r;
	u32 i;

	start(test);
	before = mock_state(f->mock);
	r = fx_set_vsids(f->v, c->entries, c->num);
	EXPECT_RESULT(test, r, .rc = c->rc, .reason = c->reason, .vsid = c->vsid ?: r.vsid);
	KUNIT_EXPECT_NE(test, r.vsid, 0);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
	EXPECT_UNCHANGED(test, before);
	for (i = 0; i < STREAMS; i++)
		expect_named(test, fx_streams[i].fd, fx_streams[i].vsid);
	/* No StreamID is reserved. */
	KUNIT_EXPECT_NULL(test, stream_of(f->v, VSID_UNKNOWN));
	fx_must_attach(test, f->v, .fd = 2, .vsid = VSID_UNKNOWN);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID_HOSTLESS }));
}

/* A vDEVICE that stays busy keeps its StreamID from others, until the call is repeated. */
static void busy_vdevice_is_tried_again(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mock_obj *vdevice;

	start(test);
	vdevice = vdevice_of(test, &f->mock->devs[0]);
	vdevice->busy = true;
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID, VSID_UNKNOWN }), .rc = -EBUSY,
		      .reason = REASON(RETRY), .vsid = VSID_UNKNOWN);
	KUNIT_EXPECT_FALSE(test, expect_consistent(test, stream_of(f->v, VSID_UNKNOWN)));
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID_UNKNOWN, UNSET(1) }), .rc = -EBUSY,
		      .reason = REASON(RETRY), .vsid = UNSET(1));
	KUNIT_EXPECT_EQ(test, f->mock->devs[0].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, fx_describe(f->v, UNSET(1)).out_vdevice_id, 0);
	EXPECT_RESULT(test, SET_VSIDS(f->v, { VSID_NEXT, VSID }), .rc = -EBUSY,
		      .reason = REASON(DEVICE_IN_USE), .vsid = VSID);
	KUNIT_EXPECT_FALSE(test, expect_consistent(test, stream_of(f->v, VSID)));

	vdevice->busy = false;
	EXPECT_OK(test, SET_VSIDS(f->v, { UNSET(1), UNSET(1) }, { VSID, VSID }));
	expect_named(test, 0, UNSET(1));
	expect_named(test, 1, VSID);
}

/* A stream whose vDEVICE the VMM has destroyed gets a new one. */
static void dead_vdevice_is_replaced(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_vmm_destroy(f->mock, stream_of(f->v, VSID)->vdevice_id);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_cd(VSID, 0)), .rc = -EIO,
		      .reason = REASON(HOST_REJECT), .vsid = VSID);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID }));
	expect_named(test, 0, VSID);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 0)), 1);
}

/* A StreamID's commands reach the stream that has it now, on its SMMU. */
static void commands_follow_the_vsid(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID_OTHER }, { VSID_OTHER, VSID },
				  { VSID_NEXT, UNSET(7) }));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_cd(VSID, 1), cfgi_cd(VSID_OTHER, 2),
				   cfgi_cd(VSID_NEXT, 3), cfgi_cd(VSID_LAST, 4)), 4);
	EXPECT_GIVEN(test, 0, cfgi_cd(VSID_OTHER, 2));
	EXPECT_GIVEN(test, 1, cfgi_cd(VSID, 1), cfgi_cd(VSID_LAST, 4));
	/* So do its STEs. */
	fx_put_ste(test, VSID, STE_S1_AT(9), 0);
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_PTR_EQ(test, stream_of(f->v, VSID)->dev, &f->mock->devs[4].dev);
	fx_expect_s1(test, f->v, VSID, 9);
}

/* The feed has commands for an emulated endpoint while it has a StreamID. */
static void feed_follows_the_vsid(struct kunit *test)
{
	const struct cmd cmds[] = {
		cfgi_cd(VSID_HOSTLESS, 0), cfgi_cd(VSID_UNKNOWN, 0), cfgi_cd(UNSET(0), 0),
	};
	struct fixture *f = test->priv;
	u32 i;

	start(test);
	fx_must_attach(test, f->v, .fd = -1, .vsid = UNSET(0), .flags = FEED);
	for (i = 0; i < 3; i++) {
		u32 from = i == 1 ? VSID_HOSTLESS : i ? VSID_UNKNOWN : UNSET(0);
		u32 to = i == 0 ? VSID_HOSTLESS : i == 1 ? VSID_UNKNOWN : UNSET(0);
		struct cmd fed = {};

		EXPECT_OK(test, SET_VSIDS(f->v, { from, to }));
		KUNIT_EXPECT_EQ(test, stream_of(f->v, to)->live, i < 2);
		EXPECT_RESULT(test, fx_run(test, .cmds = cmds, .num = 3, .feed = f->array,
					   .feed_room = 3), .done = 3, .feed_num = i < 2);
		if (i == 2)
			continue;
		KUNIT_EXPECT_EQ(test, stream_of(f->v, to)->ste.kind, KIND(S1));
		KUNIT_ASSERT_EQ(test, copy_from_user(&fed, f->array, CMD_LEN), 0);
		KUNIT_EXPECT_MEMEQ(test, &fed, &cmds[i], CMD_LEN);
	}
	KUNIT_EXPECT_EQ(test, f->v->feed_stream_num, 1);
}

/* A changed stream needs no flush of CDs any more. Other streams' flushes stay pending. */
static void stale_cds_do_not_follow(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test);
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 4, -ENOMEM);
	EXPECT_RESULT(test, RUN_CMDS(test, cfgi_all()), .rc = -ENOMEM, .reason = REASON(RETRY),
		      .vsid = VSID);
	KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 4);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&f->v->stale_cds), 4);
	/* This call does not change the others, so it does not report their failure. */
	mock_fail(f->mock, MOCK_INVALIDATE, 1, 4, -ENOMEM);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID, VSID_NEXT }, { VSID_NEXT, VSID }));
	mock_fail_stop(f->mock);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&f->v->stale_cds), 2);
	EXPECT_OK(test, SET_VSIDS(f->v, { VSID_OTHER, UNSET(1) }));
	EXPECT_DONE(test, RUN_CMDS(test, cfgi_ste(VSID_UNKNOWN)), 1);
	EXPECT_GIVEN(test, 0);
	EXPECT_GIVEN(test, 1, cfgi_cd_all(VSID_LAST));
}

/* What the random changes below expect: the names of the devices */
struct model {
	u32 names[STREAMS];
	u32 num;
	struct smmuv3_accel_vsid entries[5];
	bool legal;
};

static u32 *model_find(u32 names[STREAMS], u32 name)
{
	int i;

	for (i = 0; i < STREAMS; i++)
		if (names[i] == name)
			return &names[i];
	return NULL;
}

/* Entries, most of them legal, and the expected result */
static void model_draw(struct fixture *f, struct model *m)
{
	bool taken[STREAMS] = {};
	u32 i, *name, old, new, names[STREAMS];

	m->num = 1 + dice(f, STREAMS);
	m->legal = true;
	memcpy(names, m->names, sizeof(names));
	for (i = 0; i < m->num; i++) {
		old = dice(f, 30) ? m->names[dice(f, STREAMS)] : VSID_HOSTLESS + 1;
		new = dice(f, 3) ? all_vsids[dice(f, ARRAY_SIZE(all_vsids))] : UNSET(dice(f, 4));
		m->entries[i] = (struct smmuv3_accel_vsid){ old, dice(f, 40) ? new : 1 << 16 };
		m->legal &= m->entries[i].new_vsid != 1 << 16;
		name = model_find(m->names, old);
		if (!name || taken[name - m->names]) {
			m->legal = false;
			continue;
		}
		taken[name - m->names] = true;
		names[name - m->names] = m->entries[i].new_vsid;
	}
	for (i = 0; i < STREAMS; i++)
		if (model_find(names, names[i]) != &names[i])
			m->legal = false;
	if (m->legal)
		memcpy(m->names, names, sizeof(names));
}

/* Any changes and failures: each name is right, and DMA is right or blocked. */
static void random_changes(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 round, i, failed, fails = 0, changes = 0;
	struct model m = {};
	struct result r;

	start(test);
	for (i = 0; i < STREAMS; i++)
		m.names[i] = fx_streams[i].vsid;
	for (round = 0; round < 2000; round++) {
		f->mock->log_num = 0;
		model_draw(f, &m);
		mock_fail(f->mock, dice(f, 2) ? MOCK_ANY : MOCK_ALLOC + MOCK_VDEVICE,
			  1 + dice(f, 6), dice(f, 3), -ENOMEM);
		r = fx_set_vsids(f->v, m.entries, m.num);
		failed = mock_fail_stop(f->mock);
		KUNIT_ASSERT_EQ_MSG(test, !r.rc, m.legal && !failed, "round %u", round);
		changes += m.legal;
		fails += !!failed;
		for (i = 0; i < STREAMS; i++) {
			struct smmuv3_stream *stream = stream_of_fd(f->v, fx_streams[i].fd);

			KUNIT_ASSERT_NOT_NULL(test, stream);
			KUNIT_ASSERT_EQ_MSG(test, stream->vsid, m.names[i], "round %u", round);
			expect_consistent(test, stream);
		}
		for (i = 0; failed && i < m.num; i++)
			m.entries[i].old_vsid = m.entries[i].new_vsid;
		if (failed)
			EXPECT_OK(test, fx_set_vsids(f->v, m.entries, m.num));
		for (i = 0; i < STREAMS; i++)
			expect_named(test, fx_streams[i].fd, m.names[i]);
	}
	KUNIT_EXPECT_GT(test, changes, 300);
	KUNIT_EXPECT_GT(test, fails, 100);
}

static struct kunit_case vsids_cases[] = {
	KUNIT_CASE(unset_stream_is_blocked),
	KUNIT_CASE(unset_stream_has_no_ste),
	KUNIT_CASE(names_refused),
	KUNIT_CASE_PARAM(changes_at_once, change_gen_params),
	KUNIT_CASE_PARAM(aborts_without_table, change_gen_params),
	KUNIT_CASE_PARAM(no_memory_blocks, change_gen_params),
	KUNIT_CASE_PARAM(no_memory_twice_blocks, change_gen_params),
	KUNIT_CASE_PARAM(device_in_reset_blocks, change_gen_params),
	KUNIT_CASE(signal_is_no_end),
	KUNIT_CASE_PARAM(killed_caller_changes_no_vsid, change_gen_params),
	KUNIT_CASE_PARAM(refusal_changes_nothing, refused_change_gen_params),
	KUNIT_CASE(busy_vdevice_is_tried_again),
	KUNIT_CASE(dead_vdevice_is_replaced),
	KUNIT_CASE(commands_follow_the_vsid),
	KUNIT_CASE(feed_follows_the_vsid),
	KUNIT_CASE(stale_cds_do_not_follow),
	KUNIT_CASE(random_changes),
	{}
};

static struct kunit_suite vsids_suite = {
	.name = "smmuv3-accel-vsids",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = vsids_cases,
};

kunit_test_suites(&vsids_suite);
