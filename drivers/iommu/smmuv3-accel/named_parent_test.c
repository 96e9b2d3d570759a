// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of stage-2 parents that ATTACH names: which ones the module refuses, and
 * what happens to a parent and its vIOMMU when the SMMU's last stream leaves.
 */
#include "fixture.h"

/* The vSMMU's first physical SMMU: SMMU 0 in these tests */
static struct smmuv3_phys *phys_of(struct smmuv3_vsmmu *v)
{
	return list_first_entry(&v->phys, struct smmuv3_phys, node);
}

static void expect_parent(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u32 parent)
{
	KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream_of(v, vsid)), parent);
}

/* Expect a number of objects of the module at the host, none of them a parent. */
static void expect_live(struct kunit *test, u32 viommus, u32 vdevices, u32 nested)
{
	struct mock_state state = mock_state(mock_of(test));

	KUNIT_EXPECT_EQ(test, state.live[MOCK_PARENT], 0);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VIOMMU], viommus);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VDEVICE], vdevices);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_NESTED], nested);
}

/* Expect that the vSMMU knows SMMU 0, but has no object of it at the host. */
static void expect_released(struct kunit *test, struct smmuv3_vsmmu *v)
{
	struct smmuv3_phys *phys = phys_of(v);

	expect_live(test, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, v->phys_num, 1);
	KUNIT_EXPECT_NULL(test, phys->parent);
	KUNIT_EXPECT_EQ(test, phys->viommu_id, 0);
	KUNIT_EXPECT_EQ(test, phys->abort_hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, phys->bypass_hwpt_id, 0);
}

static void unusable_refused(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 plain = mock_vmm_parent(mock, 0), other = mock_vmm_parent(mock, 1);
	struct smmuv3_vsmmu *v = fx_open(test), *w = fx_open(test);

	mock_find(mock, plain)->plain = true;
	EXPECT_REFUSED(test, v, -EINVAL, PARENT_REJECTED, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = plain);
	EXPECT_REFUSED(test, v, -EINVAL, PARENT_REJECTED, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = other);
	EXPECT_REFUSED(test, v, -ENOENT, PARENT_REJECTED, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = ~0U);
	fx_must_attach(test, w, .fd = 1, .vsid = VSID);
	EXPECT_REFUSED(test, v, -ENOENT, PARENT_REJECTED, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = phys_of(w)->viommu_id);
	KUNIT_EXPECT_EQ(test, v->phys_num, 0);
	/* The parent is still free. */
	fx_must_attach(test, w, .fd = 4, .vsid = VSID_OTHER, .s2_hwpt_id = other);
	expect_parent(test, w, VSID_OTHER, other);
}

/* While a stream is attached, ATTACH takes only 0 or the parent's own ID. */
static void one_parent_per_smmu(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0), second = mock_vmm_parent(mock, 0), made;
	struct smmuv3_vsmmu *v = fx_open(test);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
	mock->log_num = 0;
	EXPECT_REFUSED(test, v, -EBUSY, PARENT_OTHER, .fd = 1, .vsid = VSID_NEXT,
		       .s2_hwpt_id = second);
	EXPECT_OPS(test, MOCK_GET, MOCK_PUT);
	fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
	expect_parent(test, v, VSID_NEXT, parent);
	fx_must_attach(test, v, .fd = 2, .vsid = VSID_LAST, .s2_hwpt_id = parent);
	expect_parent(test, v, VSID_LAST, parent);

	/* ATTACH can also name a parent that the module allocated. */
	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
	made = fx_parent_of(test, stream_of(v, VSID_OTHER));
	EXPECT_REFUSED(test, v, -EBUSY, PARENT_OTHER, .fd = 5, .vsid = VSID_HOSTLESS,
		       .s2_hwpt_id = parent);
	fx_must_attach(test, v, .fd = 5, .vsid = VSID_HOSTLESS, .s2_hwpt_id = made);
	expect_parent(test, v, VSID_HOSTLESS, made);
}

/* Expect that the answer has the parent's ID. */
static int expect_told(const struct smmuv3_accel_attach *cmd, void *arg)
{
	const u32 *parent = arg;

	return cmd->out_s2_hwpt_id == *parent ? 0 : -EINVAL;
}

/* The last stream flushes. Then the VMM may use the parent elsewhere. */
static void released_with_the_last_stream(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test), *w = fx_open(test);

	EXPECT_OK(test, fx_attach(v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent,
				  .answer = expect_told, .arg = &parent));
	EXPECT_OK(test, fx_attach(v, .fd = 1, .vsid = VSID_NEXT, .answer = expect_told,
				  .arg = &parent));
	fx_must_install(test, v, VSID_NEXT, STE_S1, 0);
	fx_must_detach(test, v, VSID);
	expect_live(test, 1, 1, 3);

	mock->log_num = 0;
	fx_must_detach(test, v, VSID_NEXT);
	/* Its domain and vDEVICE, two domains and the vIOMMU of the SMMU */
	EXPECT_OPS(test, MOCK_DETACH, MOCK_INVALIDATE, MOCK_DESTROY, MOCK_DESTROY,
		   MOCK_DESTROY, MOCK_DESTROY, MOCK_DESTROY, MOCK_PUT);
	EXPECT_BATCH(test, 1, 0, tlbi_all());
	expect_released(test, v);
	fx_must_attach(test, w, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
	expect_parent(test, w, VSID, parent);
}

/* An SMMU without objects has nothing to invalidate, and is held to its ID registers. */
static void released_smmu_is_still_known(struct kunit *test)
{
	const struct cmd cmds[] = { tlbi_all(), cfgi_cd_all(VSID), sync() };
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = mock_vmm_parent(mock, 0));
	fx_must_detach(test, v, VSID);
	EXPECT_DONE(test, fx_invalidate(test, v, cmds, 3), 3);
	EXPECT_OK(test, fx_reset(v));
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	KUNIT_EXPECT_TRUE(test, v->offer.caps.asid16);
	expect_released(test, v);
}

static const struct next_parent {
	const char *name;
	bool same;
	bool other;
} next_parents[] = {
	{ "the same parent", .same = true },
	{ "another parent of the VMM", .other = true },
	{ "a parent that the module makes" },
};

KUNIT_ARRAY_PARAM_DESC(next_parent, next_parents, name);

/* The same SMMU, with index 0, gets objects again, on whatever parent. */
static void made_again(struct kunit *test)
{
	const struct next_parent *c = test->param_value;
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0), other = mock_vmm_parent(mock, 0);
	u32 next = c->same ? parent : c->other ? other : 0, round;
	struct smmuv3_vsmmu *v = fx_open(test);

	for (round = 0; round < 3; round++) {
		fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
		fx_must_detach(test, v, VSID);
		expect_released(test, v);
	}
	mock->log_num = 0;
	fx_must_attach(test, v, .fd = 1, .vsid = VSID, .s2_hwpt_id = next);
	if (next)
		expect_parent(test, v, VSID, next);
	else
		fx_expect_live(test, 1, 1, 0);
	/* The VMM's parent may have had another user since. */
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), !!next);
	KUNIT_EXPECT_EQ(test, v->phys_num, 1);
	KUNIT_EXPECT_EQ(test, stream_of(v, VSID)->phys->index, 0);
	fx_must_install(test, v, VSID, STE_S1, 0);
	fx_expect_domain(test, v, VSID, STE_S1, 0);
}

/* A parent that the module allocated stays until close. ATTACH refuses others. */
static void made_parent_stays(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_detach(test, v, VSID);
	fx_expect_live(test, 1, 0, 0);
	EXPECT_REFUSED(test, v, -EBUSY, PARENT_OTHER, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = parent);
	mock->log_num = 0;
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_VIOMMU), 0);
	fx_close(v);
	fx_expect_idle(test);
}

static const struct failing_again {
	const char *name;
	bool named;
	u32 calls;
} failing_agains[] = {
	/* GET, vIOMMU, two domains, vDEVICE, flush, ATTACH */
	{ "named again", .named = true, .calls = 7 },
	/* The parent as well, but no flush */
	{ "made now", .calls = 7 },
};

KUNIT_ARRAY_PARAM_DESC(failing_again, failing_agains, name);

/* If any host call fails, an SMMU whose objects were released still has none. */
static void failed_attach_after_release_leaves_nothing(struct kunit *test)
{
	const struct failing_again *c = test->param_value;
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0), n;
	struct smmuv3_vsmmu *v = fx_open(test);
	struct mock_state before;
	struct result r;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
	fx_must_detach(test, v, VSID);
	before = mock_state(mock);
	for (n = 1;; n++) {
		mock->log_num = 0;
		mock_fail(mock, MOCK_ANY, n, 2, -ENOMEM);
		r = fx_attach(v, .fd = 0, .vsid = VSID, .s2_hwpt_id = c->named ? parent : 0);
		if (!mock_fail_stop(mock))
			break;
		EXPECT_RESULT(test, r, .rc = -ENOMEM, .reason = REASON(RETRY));
		EXPECT_UNCHANGED_MSG(test, before, "call %u", n);
		expect_released(test, v);
	}
	EXPECT_OK(test, r);
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
}

/* v's SMMU 0 without a stream, but with a vIOMMU on which the VMM has a vEVENTQ */
static struct mock_obj *start_busy(struct kunit *test, struct smmuv3_vsmmu *v, u32 parent)
{
	struct mock_obj *viommu;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
	viommu = mock_find(mock_of(test), phys_of(v)->viommu_id);
	KUNIT_ASSERT_NOT_NULL(test, viommu);
	viommu->busy = true;
	fx_must_detach(test, v, VSID);
	expect_live(test, 1, 0, 0);
	KUNIT_EXPECT_EQ(test, phys_of(v)->viommu_id, viommu->id);
	return viommu;
}

/* It stays, and with it the parent; the next stream gets both. */
static void busy_viommu_is_used_again(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0), second = mock_vmm_parent(mock, 0), n;
	struct smmuv3_vsmmu *v = fx_open(test), *w = fx_open(test);
	struct mock_obj *viommu = start_busy(test, v, parent);

	EXPECT_REFUSED(test, w, -EBUSY, PARENT_IN_USE, .fd = 1, .vsid = VSID,
		       .s2_hwpt_id = parent);
	EXPECT_REFUSED(test, v, -EBUSY, PARENT_OTHER, .fd = 1, .vsid = VSID,
		       .s2_hwpt_id = second);
	for (n = 0; n < 2; n++) {
		mock->log_num = 0;
		fx_must_attach(test, v, .fd = n, .vsid = VSID, .s2_hwpt_id = n ? 0 : parent);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_VIOMMU), 0);
		KUNIT_EXPECT_EQ(test, stream_of(v, VSID)->phys->viommu_id, viommu->id);
		expect_live(test, 1, 1, 2);
		viommu->busy = !n;
		fx_must_detach(test, v, VSID);
	}
	expect_released(test, v);
	fx_must_attach(test, w, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
}

/* Close leaves the vIOMMU to the iommufd, and the parent is free. */
static void busy_viommu_given_up_at_close(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct mock_obj *viommu = start_busy(test, v, parent);

	fx_close(v);
	expect_live(test, 1, 0, 0);
	KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, viommu->id));
	v = fx_open(test);
	fx_must_attach(test, v, .fd = 1, .vsid = VSID, .s2_hwpt_id = parent);
	fx_close(v);
	expect_live(test, 1, 0, 0);
	mock_iommufd_gone(mock);
}

/* The same with a parent that the module allocated: close leaves both. */
static void busy_viommu_on_made_parent_given_up(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	mock_find(mock, phys_of(v)->viommu_id)->busy = true;
	mock->left = true;
	fx_close(v);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_VIOMMU], 1);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_NESTED], 0);
	mock_iommufd_gone(mock);
	v = fx_open(test);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
}

/* If a vSMMU leaves a shared parent and its flush fails, the other user flushes. */
static void shared_parent_outlives_its_first_user(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);

	fx_must_attach(test, w, .fd = 1, .vsid = VSID, .s2_hwpt_id = parent);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
	fx_must_detach(test, v, VSID);
	expect_live(test, 1, 1, 2);
	KUNIT_EXPECT_NULL(test, phys_of(v)->parent);
	v = fx_open(test);
	EXPECT_REFUSED(test, v, -EBUSY, PARENT_IN_USE, .fd = 0, .vsid = VSID,
		       .s2_hwpt_id = parent);
	fx_must_detach(test, w, VSID);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
}

/*
 * If the last flush failed, the TLB holds entries of the VMID that the other vSMMU
 * uses. The guest may use their ASID again there, so its TLBIs must still reach them.
 */
static void tlbis_after_a_failed_flush(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = fx_open(test, .shared_asids = true);
	struct smmuv3_vsmmu *w = fx_open(test, .shared_asids = true);
	const struct cmd cmds[] = { tlbi_va(1) };
	bool fails;

	fx_must_attach(test, w, .fd = 1, .vsid = VSID, .s2_hwpt_id = parent);
	for (fails = false;; fails = true) {
		fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
		if (fails)
			mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
		fx_must_detach(test, v, VSID);
		mock_fail_stop(mock);
		mock->log_num = 0;
		EXPECT_DONE(test, fx_invalidate(test, v, cmds, 1), 1);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), fails);
		if (fails)
			break;
	}
}

/* Without an IOAS, ATTACH names a parent, or uses the one that is in use on the SMMU. */
static void no_ioas(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	u32 parent = mock_vmm_parent(mock, 0), far = mock_vmm_parent(mock, 1), round;
	struct smmuv3_vsmmu *v = fx_open(test);

	v->host->ioas_id = 0;
	for (round = 0; round < 2; round++) {
		EXPECT_REFUSED(test, v, -ENOENT, NO_IOAS, .fd = 0, .vsid = VSID);
		EXPECT_REFUSED(test, v, -ENOENT, NO_IOAS, .fd = 0, .vsid = VSID,
			       .flags = DRY_RUN);
		fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
		fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
		expect_parent(test, v, VSID_NEXT, parent);
		/* The parent of another SMMU */
		EXPECT_REFUSED(test, v, -ENOENT, NO_IOAS, .fd = 4, .vsid = VSID_OTHER);
		fx_must_detach(test, v, VSID);
		fx_must_detach(test, v, VSID_NEXT);
		expect_released(test, v);
	}
	start_busy(test, v, parent)->busy = false;
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	expect_parent(test, v, VSID, parent);
	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER, .s2_hwpt_id = far);
	expect_parent(test, v, VSID_OTHER, far);
}

static struct kunit_case named_parent_cases[] = {
	KUNIT_CASE(unusable_refused),
	KUNIT_CASE(one_parent_per_smmu),
	KUNIT_CASE(released_with_the_last_stream),
	KUNIT_CASE(released_smmu_is_still_known),
	KUNIT_CASE_PARAM(made_again, next_parent_gen_params),
	KUNIT_CASE(made_parent_stays),
	KUNIT_CASE_PARAM(failed_attach_after_release_leaves_nothing, failing_again_gen_params),
	KUNIT_CASE(busy_viommu_is_used_again),
	KUNIT_CASE(busy_viommu_given_up_at_close),
	KUNIT_CASE(busy_viommu_on_made_parent_given_up),
	KUNIT_CASE(shared_parent_outlives_its_first_user),
	KUNIT_CASE(tlbis_after_a_failed_flush),
	KUNIT_CASE(no_ioas),
	{}
};

static struct kunit_suite named_parent_suite = {
	.name = "smmuv3-accel-named-parent",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = named_parent_cases,
};

kunit_test_suites(&named_parent_suite);
