// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of stage-2 parents: which vSMMUs use, name or share one, and when it is
 * destroyed.
 */
#include "fixture.h"

/* Attach a device on a named parent, or 0. Returns the parent in use. */
static u32 attach_on(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid, u32 named)
{
	return fx_parent_of(test, fx_must_attach(test, v, .fd = fd, .vsid = vsid,
						 .s2_hwpt_id = named));
}

static u32 attach_parent(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid)
{
	return attach_on(test, v, fd, vsid, 0);
}

/* Guests that share a parent would hit each other's ASIDs. */
static void used_by_one_vsmmu(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0), own;
	struct smmuv3_vsmmu *v, *w;

	v = fx_open(test);
	KUNIT_EXPECT_EQ(test, attach_on(test, v, 0, VSID, parent), parent);
	own = attach_parent(test, v, 4, VSID_OTHER);
	KUNIT_EXPECT_NE(test, own, parent);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);

	/* Another vSMMU cannot name it, whether the VMM or the module allocated it. */
	w = fx_open(test);
	EXPECT_REFUSED(test, w, -EBUSY, PARENT_IN_USE, .fd = 5, .vsid = VSID, .s2_hwpt_id = own);
	EXPECT_REFUSED(test, w, -EBUSY, PARENT_IN_USE, .fd = 1, .vsid = VSID,
		       .s2_hwpt_id = parent);
	/* The module's own parent stays until close, a named one until the last DETACH. */
	fx_must_detach(test, v, VSID_OTHER);
	EXPECT_REFUSED(test, w, -EBUSY, PARENT_IN_USE, .fd = 5, .vsid = VSID, .s2_hwpt_id = own);
	fx_must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, attach_on(test, w, 1, VSID, parent), parent);

	/*
	 * Without a name, it is a new parent. On another iommufd, the same ID is another
	 * one.
	 */
	KUNIT_EXPECT_NE(test, attach_parent(test, v, 0, VSID), parent);
	v = fx_open(test);
	v->host->owner = test;
	KUNIT_EXPECT_EQ(test, attach_on(test, v, 2, VSID, parent), parent);
}

/* If the host rejects a parent, nothing has changed. */
static void rejected_by_the_host(struct kunit *test)
{
	u32 parent = mock_vmm_parent(mock_of(test), 0);
	struct smmuv3_vsmmu *v = fx_open(test);

	/* The parent belongs to another SMMU. */
	EXPECT_REFUSED(test, v, -EINVAL, PARENT_REJECTED, .fd = 4, .vsid = VSID_OTHER,
		       .s2_hwpt_id = parent);
	KUNIT_EXPECT_EQ(test, attach_on(test, v, 0, VSID, parent), parent);
	/* The module knows now that it does, and does not ask the host. */
	EXPECT_REFUSED(test, v, -EINVAL, PARENT_REJECTED, .fd = 4, .vsid = VSID_OTHER,
		       .s2_hwpt_id = parent);
	EXPECT_REFUSED(test, v, -ENOENT, PARENT_REJECTED, .fd = 4, .vsid = VSID_OTHER,
		       .s2_hwpt_id = ~0U);
}

/* vSMMUs with the flag share the module's parent of one iommufd, IOAS and SMMU. */
static void shared_with_the_flag(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	u32 first = attach_parent(test, v, 0, VSID);
	u32 second = attach_parent(test, v, 4, VSID_OTHER);

	KUNIT_EXPECT_NE(test, first, second);
	mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, attach_parent(test, w, 5, VSID_OTHER), second);
	KUNIT_EXPECT_EQ(test, attach_parent(test, w, 1, VSID), first);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
}

/*
 * The module does not know the IOAS of a parent that the VMM allocated, so only vSMMUs
 * that name it use it.
 */
static const struct stranger {
	const char *name;
	bool no_flag;
	bool other_iommufd;
	bool other_ioas;
	bool named;
} strangers[] = {
	{ "without the flag", .no_flag = true },
	{ "of another iommufd", .other_iommufd = true },
	{ "of another IOAS", .other_ioas = true },
	{ "with a parent of the VMM", .named = true },
};

KUNIT_ARRAY_PARAM_DESC(stranger, strangers, name);

/* Test both orders. */
static void not_shared_with_strangers(struct kunit *test)
{
	const struct stranger *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *x = fx_open(test, .shared_asids = !c->no_flag);
	u32 named = c->named ? mock_vmm_parent(mock, 0) : 0;
	u32 parent = attach_parent(test, v, 0, VSID);

	if (c->other_iommufd)
		x->host->owner = test;
	x->host->ioas_id += c->other_ioas;
	KUNIT_EXPECT_NE(test, attach_on(test, x, 2, VSID, named), parent);
	v = fx_open(test, .shared_asids = true);
	KUNIT_EXPECT_EQ(test, attach_parent(test, v, 1, VSID), parent);
	fx_close(x);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);
}

static void named_and_shared(struct kunit *test)
{
	u32 parent = mock_vmm_parent(mock_of(test), 0), made;
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *x = fx_open(test);

	made = attach_parent(test, v, 4, VSID_OTHER);
	KUNIT_EXPECT_EQ(test, attach_on(test, x, 0, VSID, parent), parent);
	EXPECT_REFUSED(test, v, -EBUSY, PARENT_IN_USE, .fd = 1, .vsid = VSID,
		       .s2_hwpt_id = parent);
	fx_close(x);

	KUNIT_EXPECT_EQ(test, attach_on(test, v, 0, VSID, parent), parent);
	KUNIT_EXPECT_EQ(test, attach_on(test, w, 1, VSID, parent), parent);
	KUNIT_EXPECT_EQ(test, attach_parent(test, w, 5, VSID_OTHER), made);
	x = fx_open(test);
	EXPECT_REFUSED(test, x, -EBUSY, PARENT_IN_USE, .fd = 2, .vsid = VSID,
		       .s2_hwpt_id = parent);
	fx_close(v);
	EXPECT_REFUSED(test, x, -EBUSY, PARENT_IN_USE, .fd = 2, .vsid = VSID,
		       .s2_hwpt_id = parent);
	fx_close(w);
	KUNIT_EXPECT_EQ(test, attach_on(test, x, 2, VSID, parent), parent);
}

/* A vSMMU without an IOAS shares only what it names. */
static void shared_without_an_ioas(struct kunit *test)
{
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	u32 named = mock_vmm_parent(mock_of(test), 0), made;

	made = attach_parent(test, v, 4, VSID_OTHER);
	KUNIT_EXPECT_EQ(test, attach_on(test, v, 0, VSID, named), named);
	w->host->ioas_id = 0;
	EXPECT_REFUSED(test, w, -ENOENT, NO_IOAS, .fd = 5, .vsid = VSID_OTHER);
	KUNIT_EXPECT_EQ(test, attach_on(test, w, 5, VSID_OTHER, made), made);
	KUNIT_EXPECT_EQ(test, attach_on(test, w, 1, VSID, named), named);
	fx_close(v);
	/* So another one shares neither with it. */
	v = fx_open(test, .shared_asids = true);
	v->host->ioas_id = 0;
	EXPECT_REFUSED(test, v, -ENOENT, NO_IOAS, .fd = 6, .vsid = VSID_OTHER);
	EXPECT_REFUSED(test, v, -ENOENT, NO_IOAS, .fd = 2, .vsid = VSID);
}

/* The last user destroys the module's parent, also if that user named it. */
static void made_then_named(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true), *w;
	u32 made = attach_parent(test, v, 0, VSID);

	w = fx_open(test, .shared_asids = true);
	KUNIT_EXPECT_EQ(test, attach_on(test, w, 1, VSID, made), made);
	fx_close(v);
	KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, made));
	fx_close(w);
	KUNIT_EXPECT_NULL(test, mock_find(mock, made));
}

/* These errors do not say that a named parent does not fit. */
static const struct named_error {
	const char *name;
	int rc;
	u32 reason;
} named_errors[] = {
	{ "no memory", -ENOMEM, REASON(RETRY) },
	{ "no such parent", -ENOENT, REASON(PARENT_REJECTED) },
	{ "no nesting", -EOPNOTSUPP, REASON(NO_NESTING) },
};

KUNIT_ARRAY_PARAM_DESC(named_error, named_errors, name);

static void error_is_no_misfit(struct kunit *test)
{
	const struct named_error *c = test->param_value;
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct mock_state before = mock_state(mock);

	mock_fail(mock, MOCK_ALLOC + MOCK_VIOMMU, 1, 1, c->rc);
	EXPECT_RESULT(test, fx_attach(v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent),
		      .rc = c->rc, .reason = c->reason);
	EXPECT_UNCHANGED(test, before);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
	KUNIT_EXPECT_EQ(test, attach_on(test, v, 0, VSID, parent), parent);
}

/* If any host call of an attach fails, the parent's users do not change. */
static void failed_attach_is_no_user(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct mock_state before;
	struct smmuv3_vsmmu *v, *w;
	struct result r;
	u32 n;

	for (n = 1;; n++) {
		mock->devs[0].hwpt_id = MOCK_VMM_HWPT;
		v = fx_open(test, .shared_asids = true);
		w = fx_open(test, .shared_asids = true);
		fx_must_attach(test, v, .fd = 1, .vsid = VSID);
		before = mock_state(mock);
		mock->log_num = 0;
		mock_fail(mock, MOCK_ANY, n, 1, -ENOMEM);
		r = fx_attach(w, .fd = 0, .vsid = VSID);
		if (!mock_fail_stop(mock))
			break;
		KUNIT_EXPECT_EQ(test, r.rc, -ENOMEM);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
		EXPECT_UNCHANGED_MSG(test, before, "call %u", n);
		fx_close(v);
		KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 0);
		fx_close(w);
		fx_expect_idle(test);
	}
	EXPECT_OK(test, r);
	/* The calls for everything except the parent */
	KUNIT_EXPECT_EQ(test, n, 8);
}

/* Another vSMMU. It calls the host during a host call of the first, which is locked. */
static struct smmuv3_vsmmu *other;

static void other_has(struct kunit *test, u32 parent)
{
	other = fx_open(test, .shared_asids = true);
	fx_must_attach(test, other, .fd = 1, .vsid = VSID, .s2_hwpt_id = parent, .nested = true);
	KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream_of(other, VSID)), parent);
}

static void other_without_an_ioas_has(struct kunit *test, u32 parent)
{
	other = fx_open(test, .shared_asids = true);
	other->host->ioas_id = 0;
	fx_must_attach(test, other, .fd = 1, .vsid = VSID, .s2_hwpt_id = parent, .nested = true);
}

static void other_has_to_wait(struct kunit *test, u32 parent)
{
	other = fx_open(test, .shared_asids = true);
	EXPECT_RESULT(test, fx_attach(other, .fd = 2, .vsid = VSID, .s2_hwpt_id = parent,
				      .nested = true),
		      .rc = -EBUSY, .reason = REASON(RETRY));
}

/* The host reuses the ID at once. */
static void other_gets_the_id(struct kunit *test, u32 parent)
{
	mock_of(test)->last_id = parent - 1;
	other = fx_open(test, .shared_asids = true);
	fx_must_attach(test, other, .fd = 1, .vsid = VSID, .nested = true);
	KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream_of(other, VSID)), parent);
}

/*
 * The other vSMMU allocates a parent first. While the first one's surplus parent is
 * destroyed, a third vSMMU names it.
 */
static void other_is_faster(struct kunit *test, u32 parent)
{
	other = fx_open(test, .shared_asids = true);
	fx_must_attach(test, other, .fd = 1, .vsid = VSID, .nested = true);
	KUNIT_EXPECT_NE(test, fx_parent_of(test, stream_of(other, VSID)), parent);
	mock_meanwhile(mock_of(test), MOCK_DESTROY, other_has_to_wait);
}

/* Another vSMMU names the ID of a parent that is being allocated, and gets it. */
static void expect_other_has(struct kunit *test, bool shared)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = shared);
	u32 made;

	mock_meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, other_has);
	EXPECT_RESULT(test, fx_attach(v, .fd = 0, .vsid = VSID), .rc = -EBUSY,
		      .reason = REASON(RETRY));
	made = attach_parent(test, v, 0, VSID);
	KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream_of(other, VSID)) == made, shared);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], shared ? 1 : 2);
	fx_close(other);
	KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, made));
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);
}

static void named_while_made(struct kunit *test)
{
	expect_other_has(test, false);
}

static void named_while_made_to_share(struct kunit *test)
{
	expect_other_has(test, true);
}

/* The parent is one of the IOAS that it was allocated from, whoever has it. */
static void named_without_an_ioas_while_made(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);

	mock_meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, other_without_an_ioas_has);
	EXPECT_RESULT(test, fx_attach(v, .fd = 0, .vsid = VSID), .rc = -EBUSY,
		      .reason = REASON(RETRY));
	w->host->ioas_id = 0;
	EXPECT_REFUSED(test, w, -ENOENT, NO_IOAS, .fd = 2, .vsid = VSID);
	KUNIT_EXPECT_EQ(test, attach_parent(test, v, 0, VSID),
			fx_parent_of(test, stream_of(other, VSID)));
}

/* No vSMMU can take a parent that is being destroyed. */
static void named_while_destroyed(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	u32 parent = attach_parent(test, v, 0, VSID);

	mock_meanwhile(mock, MOCK_DESTROY, other_has_to_wait);
	fx_close(v);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	EXPECT_REFUSED(test, other, -ENOENT, PARENT_REJECTED, .fd = 1, .vsid = VSID,
		       .s2_hwpt_id = parent);
}

/* The host may reuse an ID before the module has forgotten the parent. */
static void id_reused_while_destroyed(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	mock_meanwhile(mock, MOCK_DESTROYED, other_gets_the_id);
	fx_close(v);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	v = fx_open(test, .shared_asids = true);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = fx_parent_of(test, stream_of(other, VSID)));
}

/* No vSMMU can take a surplus parent either. */
static void named_while_given_up(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);

	mock_meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, other_is_faster);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);
}

static u32 times_destroyed(const struct mock *mock, u32 id)
{
	u32 i, num = 0;

	for (i = 0; i < mock->log_num; i++)
		num += mock->log[i].op == MOCK_DESTROY && mock->log[i].id == id;
	return num;
}

static const struct last_user_case {
	const char *name;
	u8 order[3];
	bool unreachable;
} last_user_cases[] = {
	{ "first to last", { 0, 1, 2 } },
	{ "last to first", { 2, 1, 0 } },
	{ "middle first", { 1, 0, 2 } },
	{ "elsewhere", { 2, 0, 1 }, .unreachable = true },
};

KUNIT_ARRAY_PARAM_DESC(last_user, last_user_cases, name);

static void last_user_destroys(struct kunit *test)
{
	const struct last_user_case *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v[3];
	u32 parent = 0;
	int i;

	for (i = 0; i < 3; i++) {
		v[i] = fx_open(test, .shared_asids = true);
		parent = attach_parent(test, v[i], i, VSID);
	}
	mock->log_num = 0;
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, parent));
		KUNIT_EXPECT_EQ(test, times_destroyed(mock, parent), 0);
		mock_set_reachable(mock, !c->unreachable);
		fx_close(v[c->order[i]]);
	}
	KUNIT_EXPECT_EQ(test, times_destroyed(mock, parent), !c->unreachable);
	if (c->unreachable) {
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DESTROY), 0);
		mock_iommufd_gone(mock);
	}
	fx_expect_idle(test);

	/* No vSMMU can share it any more, even if it could not be destroyed. */
	mock_set_reachable(mock, true);
	mock->log_num = 0;
	v[0] = fx_open(test, .shared_asids = true);
	fx_must_attach(test, v[0], .fd = 3, .vsid = VSID);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 1);
}

static struct kunit_case parent_cases[] = {
	KUNIT_CASE(used_by_one_vsmmu),
	KUNIT_CASE(rejected_by_the_host),
	KUNIT_CASE(shared_with_the_flag),
	KUNIT_CASE_PARAM(not_shared_with_strangers, stranger_gen_params),
	KUNIT_CASE(named_and_shared),
	KUNIT_CASE(shared_without_an_ioas),
	KUNIT_CASE(made_then_named),
	KUNIT_CASE_PARAM(error_is_no_misfit, named_error_gen_params),
	KUNIT_CASE(failed_attach_is_no_user),
	KUNIT_CASE(named_while_made),
	KUNIT_CASE(named_while_made_to_share),
	KUNIT_CASE(named_without_an_ioas_while_made),
	KUNIT_CASE(named_while_destroyed),
	KUNIT_CASE(id_reused_while_destroyed),
	KUNIT_CASE(named_while_given_up),
	KUNIT_CASE_PARAM(last_user_destroys, last_user_gen_params),
	{}
};

static struct kunit_suite parent_suite = {
	.name = "smmuv3-accel-parent",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = parent_cases,
};

kunit_test_suites(&parent_suite);
