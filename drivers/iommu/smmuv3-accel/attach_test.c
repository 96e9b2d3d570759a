// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of streams without table mode: the objects that ATTACH allocates, the
 * state after a host call fails, and the result of GET_STREAM.
 */
#include "fixture.h"

/* The objects of a physical SMMU are allocated once, a vDEVICE for each device. */
static void attach_allocates_once(struct kunit *test)
{
	struct smmuv3_vsmmu *v = fx_open(test);
	struct smmuv3_stream *stream;

	scoped_guard(mutex, &v->lock)
		scoped_guard(queue, v)
			KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_create(v, v->host, 0), -EBUSY);
	fx_expect_live(test, 0, 0, 0);
	stream = fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_expect_live(test, 1, 1, 0);
	fx_expect_domain(test, v, VSID, STE_ABORT, 0);
	KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(NO_STE));
	fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
	fx_expect_live(test, 1, 2, 0);
	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
	fx_expect_live(test, 2, 3, 0);
}

/* Then its objects are destroyed. The SMMU's last stream also flushes the TLBs. */
static void detach_blocks_dma_first(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);

	fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, mock->log[0].op, MOCK_DETACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
	KUNIT_EXPECT_EQ(test, mock->devs[0].held, 0);
	fx_expect_live(test, 2, 2, 0);

	mock->log_num = 0;
	fx_must_detach(test, v, VSID_NEXT);
	KUNIT_EXPECT_EQ(test, mock->log[0].op, MOCK_DETACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 1);
	EXPECT_BATCH(test, 1, 0, tlbi_all());
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[1].hwpt_id, 0);
	/* The vIOMMU stays, because the VMM may have a vEVENTQ on it. */
	fx_expect_live(test, 2, 1, 0);

	EXPECT_RESULT(test, fx_detach(v, VSID), .rc = -ENOENT, .reason = REASON(NO_STREAM));
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_expect_live(test, 2, 2, 0);
}

/* Close detaches and puts all devices before it destroys any object. */
static void close_blocks_dma_first(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);
	u32 i;

	fx_must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	fx_close(v);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, mock->log[i].op, i % 2 ? MOCK_PUT : MOCK_DETACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 2);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[4].hwpt_id, 0);
	/* A file that was never bound has no device or object. */
	smmuv3_vsmmu_close(smmuv3_vsmmu_alloc());
}

static const struct failing_attach {
	const char *name;
	bool vmm_parent;
	bool second_device;
	u32 calls;
} failing_attaches[] = {
	{ "own parent", .calls = 8 },
	{ "VMM's parent", .vmm_parent = true, .calls = 8 },	/* with a flush */
	{ "second device", .second_device = true, .calls = 3 },
};

KUNIT_ARRAY_PARAM_DESC(failing_attach, failing_attaches, name);

/* If any host call fails, nothing changes, and the next attempt works. */
static void failed_attach_leaves_nothing(struct kunit *test)
{
	const struct failing_attach *c = test->param_value;
	struct mock *mock = mock_of(test);
	u32 parent = c->vmm_parent ? mock_vmm_parent(mock, 0) : 0;
	struct mock_state before;
	struct smmuv3_vsmmu *v;
	struct result r;
	u32 n;

	for (n = 1;; n++) {
		mock->log_num = 0;
		mock->devs[0].hwpt_id = MOCK_VMM_HWPT;
		v = fx_open(test);
		if (c->second_device)
			fx_must_attach(test, v, .fd = 1, .vsid = VSID_NEXT);
		before = mock_state(mock);

		/* Fail it twice, because an invalidation is replayed after an error. */
		mock_fail(mock, MOCK_ANY, n, 2, -ENOMEM);
		r = fx_attach(v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
		if (!mock_fail_stop(mock))
			break;
		EXPECT_RESULT(test, r, .rc = -ENOMEM, .reason = REASON(RETRY));
		EXPECT_UNCHANGED_MSG(test, before, "call %u", n);
		KUNIT_EXPECT_EQ(test, v->phys_num, c->second_device);
		KUNIT_EXPECT_EQ(test, list_count_nodes(&v->phys), c->second_device);
		KUNIT_EXPECT_EQ(test, v->stream_num, c->second_device);
		KUNIT_EXPECT_EQ(test, xa_empty(&v->streams), !c->second_device);

		fx_must_attach(test, v, .fd = 0, .vsid = VSID, .s2_hwpt_id = parent);
		fx_close(v);
		fx_expect_idle(test);
	}
	EXPECT_OK(test, r);
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
	if (parent)
		KUNIT_EXPECT_EQ(test, fx_parent_of(test, stream_of(v, VSID)), parent);
}

static const struct host_error {
	const char *name;
	enum mock_op op;
	int host_rc;
	int rc;
	u32 reason;
} host_errors[] = {
	{ "no SMMUv3", MOCK_HW_INFO, -EOPNOTSUPP, -EOPNOTSUPP, REASON(NOT_SMMUV3) },
	{ "no parent", MOCK_ALLOC + MOCK_PARENT, -EINVAL, -EINVAL, REASON(PARENT_REJECTED) },
	{ "no IOAS", MOCK_ALLOC + MOCK_PARENT, -ENOENT, -ENOENT, REASON(NO_IOAS) },
	{ "no vIOMMU", MOCK_ALLOC + MOCK_VIOMMU, -EOPNOTSUPP, -EOPNOTSUPP, REASON(NO_NESTING) },
	{ "no vDEVICE", MOCK_ALLOC + MOCK_VDEVICE, -EOPNOTSUPP, -EOPNOTSUPP,
	  REASON(MULTI_STREAM) },
	{ "vDEVICE exists", MOCK_ALLOC + MOCK_VDEVICE, -EEXIST, -EBUSY, REASON(DEVICE_IN_USE) },
	{ "vIOMMU is gone", MOCK_ALLOC + MOCK_VDEVICE, -EIO, -EIO, REASON(HOST_REJECT) },
	{ "device in reset", MOCK_ATTACH, -EBUSY, -EBUSY, REASON(RETRY) },
	{ "reserved IOVA", MOCK_ATTACH, -EADDRINUSE, -EADDRINUSE, REASON(RESERVED_IOVA) },
	{ "security module", MOCK_ATTACH, -EACCES, -EACCES, REASON(SECURITY) },
	{ "device without power", MOCK_ATTACH, -ENODEV, -ENODEV, REASON(NO_POWER) },
};

KUNIT_ARRAY_PARAM_DESC(host_error, host_errors, name);

static void host_error_has_its_reason(struct kunit *test)
{
	const struct host_error *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct mock_state before = mock_state(mock);

	mock_fail(mock, c->op, 1, 1, c->host_rc);
	EXPECT_RESULT(test, fx_attach(v, .fd = 0, .vsid = VSID), .rc = c->rc,
		      .reason = c->reason);
	KUNIT_EXPECT_EQ(test, mock->failed, 1);
	EXPECT_UNCHANGED(test, before);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
}

/* If the SMMU cannot nest, no object is allocated. */
static void no_nesting_refused_early(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	u32 *idr = mock->smmu[0].idr;

	mock->devs[0].dev.canwbs = false;
	EXPECT_REFUSED(test, v, -EOPNOTSUPP, NO_NESTING, .fd = 0, .vsid = VSID);
	idr[3] |= IDR3_FWB;
	idr[0] &= ~IDR0_S2P;
	EXPECT_REFUSED(test, v, -EOPNOTSUPP, NO_NESTING, .fd = 0, .vsid = VSID);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
	idr[0] |= IDR0_S2P;
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
}

static void names_and_limits_refused(struct kunit *test)
{
	struct smmuv3_vsmmu *v = fx_open(test);

	EXPECT_REFUSED(test, v, -EINVAL, NOT_VFIO, .fd = MOCK_DEVS, .vsid = VSID);
	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	EXPECT_REFUSED(test, v, -EEXIST, VSID_IN_USE, .fd = 1, .vsid = VSID);
	EXPECT_REFUSED(test, v, -EBUSY, DEVICE_IN_USE, .fd = 0, .vsid = VSID_NEXT);
	v->stream_num += SMMUV3_MAX_STREAMS - 1;
	EXPECT_REFUSED(test, v, -ENOSPC, TOO_MANY_STREAMS, .fd = 1, .vsid = VSID_NEXT);
	v->stream_num -= SMMUV3_MAX_STREAMS - 1;
}

static void killed_detach_changes_nothing(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open_two(test);
	struct mock_state before;

	fx_must_install(test, v, VSID, STE_S1, 0);
	before = mock_state(mock);
	mock->log_num = 0;
	mock_fail(mock, MOCK_DETACH, 1, 1, -EINTR);
	EXPECT_RESULT(test, fx_detach(v, VSID), .rc = -EINTR);
	EXPECT_UNCHANGED(test, before);
	KUNIT_EXPECT_EQ(test, mock->log_num, 1);
	KUNIT_EXPECT_EQ(test, v->stream_num, 2);
	KUNIT_EXPECT_NOT_NULL(test, stream_of(v, VSID));
	fx_must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, v->stream_num, 1);
	fx_expect_live(test, 2, 1, 0);
}

static const struct vmm_move {
	const char *name;
	bool moves;
	u32 hwpt_id;
} vmm_moves[] = {
	{ "left alone" },
	{ "detached by the VMM", .moves = true, .hwpt_id = 0 },
	{ "attached elsewhere by the VMM", .moves = true, .hwpt_id = MOCK_VMM_HWPT },
};

KUNIT_ARRAY_PARAM_DESC(vmm_move, vmm_moves, name);

/* If the VMM moves the device with VFIO's ioctls, the next STE takes it back. */
static void describes_what_is_in_force(struct kunit *test)
{
	const struct vmm_move *c = test->param_value;
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct smmuv3_stream *stream = fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	struct smmuv3_accel_stream out;
	u32 n;

	for (n = 0; n < 2; n++) {
		fx_must_install(test, v, VSID, STE_S1_AT(n), 0);
		out = fx_describe(v, VSID);
		KUNIT_EXPECT_EQ(test, out.out_kind, KIND(S1));
		KUNIT_EXPECT_EQ(test, out.out_reason, REASON(NONE));
		KUNIT_EXPECT_EQ(test, out.out_hwpt_id, stream->hwpt_id);
		KUNIT_EXPECT_EQ(test, le64_to_cpu(out.out_ste[0]), STE_S1_AT(n));
		if (!c->moves)
			continue;
		mock_vmm_attach(mock, 0, c->hwpt_id);
		out = fx_describe(v, VSID);
		KUNIT_EXPECT_EQ(test, out.out_kind, KIND(OTHER));
		KUNIT_EXPECT_EQ(test, out.out_reason, REASON(DETACHED));
		KUNIT_EXPECT_EQ(test, out.out_hwpt_id, 0);
		KUNIT_EXPECT_EQ(test, le64_to_cpu(out.out_ste[0]), 0);
	}
	KUNIT_EXPECT_EQ(test, out.out_phys, 0);
	KUNIT_EXPECT_EQ(test, out.out_dev_id, MOCK_DEV_ID(0));
	KUNIT_EXPECT_EQ(test, out.out_vdevice_id, stream->vdevice_id);
}

/* A device that the module itself has blocked is not reported as moved. */
static void describes_blocked_as_abort(struct kunit *test)
{
	struct mock *mock = mock_of(test);
	struct smmuv3_vsmmu *v = fx_open(test);
	struct smmuv3_accel_stream out;

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_install(test, v, VSID, STE_S1, 0);
	mock_fail(mock, MOCK_ATTACH, 1, 1, -EBUSY);
	fx_must_install(test, v, VSID, STE_ABORT, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	out = fx_describe(v, VSID);
	KUNIT_EXPECT_EQ(test, out.out_kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, out.out_reason, REASON(STE_ABORT));
}

static struct kunit_case attach_cases[] = {
	KUNIT_CASE(attach_allocates_once),
	KUNIT_CASE(detach_blocks_dma_first),
	KUNIT_CASE(close_blocks_dma_first),
	KUNIT_CASE_PARAM(failed_attach_leaves_nothing, failing_attach_gen_params),
	KUNIT_CASE_PARAM(host_error_has_its_reason, host_error_gen_params),
	KUNIT_CASE(no_nesting_refused_early),
	KUNIT_CASE(names_and_limits_refused),
	KUNIT_CASE(killed_detach_changes_nothing),
	KUNIT_CASE_PARAM(describes_what_is_in_force, vmm_move_gen_params),
	KUNIT_CASE(describes_blocked_as_abort),
	{}
};

static struct kunit_suite attach_suite = {
	.name = "smmuv3-accel-attach",
	.init = fx_init,
	.exit = fx_exit,
	.test_cases = attach_cases,
};

kunit_test_suites(&attach_suite);
