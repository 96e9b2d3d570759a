// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Streams: attached, detached, renamed. After an overflow the library asks for all
 * streams on its list, which shows what is on it.
 */
#include "rig.h"

/* The library passes on arguments that it does not use. */
static void test_passed_on(void **state)
{
	struct rig *rig = *state;
	struct smmuv3_accel_attach info;

	assert_int_equal(vsmmu_attach(rig->v, 33, 7, 0x80, 44, &info), 0);
	assert_int_equal(rig->fake.attach.flags, 0x80);
	assert_int_equal(rig->fake.attach.vfio_fd, 33);
	assert_int_equal(rig->fake.attach.vsid, 7);
	assert_int_equal(rig->fake.attach.s2_hwpt_id, 44);
	assert_memory_equal(&info, &rig->fake.attach, sizeof(info));
}

static void test_streams(void **state)
{
	struct vsmmu_error error;
	struct rig *rig = *state;
	uint32_t i;

	for (i = 0; i < FAKE_STREAMS; i++)
		assert_int_equal(vsmmu_attach(rig->v, 3, i, 0, 0, NULL), 0);
	fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH);
	assert_refused(rig->v, vsmmu_attach(rig->v, 3, i, 0, 0, NULL), -ENOSPC,
		       SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH), 0);

	fake_fail(&rig->fake, SMMUV3_ACCEL_DETACH, -ENOENT,
		  SMMUV3_ACCEL_REASON_NO_STREAM, 1);
	assert_int_equal(vsmmu_detach(rig->v, 99), -ENOENT);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.vsid, 99);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_NO_STREAM);
	assert_int_equal(vsmmu_detach(rig->v, 3), 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_ATTACH, -EEXIST,
		  SMMUV3_ACCEL_REASON_VSID_IN_USE, 1);
	assert_int_equal(vsmmu_attach(rig->v, 3, 4, 0, 0, NULL), -EEXIST);
	assert_int_equal(vsmmu_attach(rig->v, 3, 3, 0, 0, NULL), 0);
	assert_int_equal(vsmmu_attach(rig->v, 3, 9, 0, 0, NULL), -ENOSPC);
}

static int run_overflow(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons = run->prod;
	run->out_flags = SMMUV3_ACCEL_RUN_BAD_STE | SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	return 0;
}

/* The library asks for these streams, in any order, and for no others. */
static void assert_listed(struct rig *rig, const uint32_t *vsids, uint32_t num)
{
	uint64_t *event = rig_ptr(rig, RAM_BASE + 0x1000);
	uint32_t i, j, prod;

	for (i = 0; i < FAKE_STREAMS; i++)
		rig->fake.stream_reason[i] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	rig->fake.on_run = run_overflow;
	fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM);
	assert_int_equal(vsmmu_reset(rig->v), 0);
	enable_cmdq(rig, 4);
	fill_ring(rig, 4, CFGI_STE_RANGE(0), CFGI_ALL);
	enable_eventq(rig, RAM_BASE + 0x1000, 4);
	assert_put(rig, CMDQ_PROD, 1);
	prod = get(rig, EVENTQ_PROD);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM), num);
	assert_int_equal(prod, num);
	for (i = 0; i < num; i++) {
		for (j = 0; j < num; j++)
			if (event[4 * j] == (4 | (uint64_t)vsids[i] << 32))
				break;
		assert_int_not_equal(j, num);
	}
}

static void attach_all(struct rig *rig, const uint32_t *vsids, uint32_t num)
{
	uint32_t i;

	for (i = 0; i < num; i++)
		assert_int_equal(vsmmu_attach(rig->v, 3, vsids[i], 0, 0, NULL), 0);
}

static void test_list(void **state)
{
	static const uint32_t vsids[] = { 1, 2, 3 }, left[] = { 1, 3 };
	struct rig *rig = *state;

	assert_listed(rig, NULL, 0);
	attach_all(rig, vsids, ARRAY_LEN(vsids));
	assert_listed(rig, vsids, ARRAY_LEN(vsids));
	assert_int_equal(vsmmu_detach(rig->v, 2), 0);
	assert_listed(rig, left, ARRAY_LEN(left));
}

/* A dry run attaches nothing, and needs no room. */
static void test_dry_run(void **state)
{
	static const uint32_t vsids[FAKE_STREAMS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct smmuv3_accel_attach info;
	struct rig *rig = *state;

#define DRY_RUN(_vsid)							\
	vsmmu_attach(rig->v, 3, _vsid, SMMUV3_ACCEL_ATTACH_DRY_RUN, 9, &info)
	assert_int_equal(DRY_RUN(1), 0);
	assert_int_equal(rig->fake.attach.flags, SMMUV3_ACCEL_ATTACH_DRY_RUN);
	assert_int_equal(rig->fake.attach.s2_hwpt_id, 9);
	assert_memory_equal(&info, &rig->fake.attach, sizeof(info));
	assert_listed(rig, NULL, 0);
	attach_all(rig, vsids, FAKE_STREAMS);
	assert_int_equal(DRY_RUN(8), 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_ATTACH, -EBUSY,
		  SMMUV3_ACCEL_REASON_DEVICE_IN_USE, 1);
	assert_int_equal(DRY_RUN(1), -EBUSY);
	assert_listed(rig, vsids, FAKE_STREAMS);
}

/* StreamIDs that the guest sets later, changes and swaps, all at once */
static void test_set_vsids(void **state)
{
	static const uint32_t unset[] = {
		SMMUV3_ACCEL_VSID_UNSET | 5, SMMUV3_ACCEL_VSID_UNSET | 6, 7,
	};
	static const struct smmuv3_accel_vsid set[] = {
		{ SMMUV3_ACCEL_VSID_UNSET | 5, 1 },
		{ SMMUV3_ACCEL_VSID_UNSET | 6, 2 },
	}, swap[] = {
		{ 1, 2 }, { 2, 1 },
	}, chain[] = {
		{ 7, 1 }, { 1, 2 }, { 2, 3 },
	};
	static const uint32_t after_set[] = { 1, 2, 7 }, after_chain[] = { 1, 2, 3 };
	struct rig *rig = *state;

	attach_all(rig, unset, ARRAY_LEN(unset));
	assert_int_equal(vsmmu_set_vsids(rig->v, set, 2), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_VSIDS), 1);
	assert_listed(rig, after_set, 3);
	assert_int_equal(vsmmu_set_vsids(rig->v, swap, 2), 0);
	assert_listed(rig, after_set, 3);
	assert_int_equal(vsmmu_set_vsids(rig->v, chain, 3), 0);
	assert_listed(rig, after_chain, 3);
	assert_int_equal(vsmmu_detach(rig->v, 3), 0);
	assert_listed(rig, after_set, 2);
}

/* Failures that set no StreamID, and failures that set all of them */
static void test_set_vsids_fails(void **state)
{
	static const uint32_t vsids[] = { 1, 2 }, after[] = { 1, 4 };
	static const struct smmuv3_accel_vsid entries[] = { { 1, 4 }, { 2, 1 } };
	static const struct smmuv3_accel_vsid swap[] = { { 1, 4 }, { 4, 1 } };
	struct vsmmu_error error;
	struct rig *rig = *state;

	attach_all(rig, vsids, 2);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_VSIDS, -EEXIST,
		  SMMUV3_ACCEL_REASON_VSID_IN_USE, 1);
	rig->fake.fail_vsid = 2;
	assert_int_equal(vsmmu_set_vsids(rig->v, entries, 2), -EEXIST);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.request, SMMUV3_ACCEL_SET_VSIDS);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_VSID_IN_USE);
	assert_int_equal(error.vsid, 2);
	assert_listed(rig, vsids, 2);

	/* A signal before anything is done is repeated. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_VSIDS, -EINTR, 0, ~0U);
	assert_int_equal(vsmmu_set_vsids(rig->v, entries, 2), -EINTR);
	assert_listed(rig, vsids, 2);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_VSIDS, 0, 0, 0);

	rig->fake.vsids_rc = -ENODEV;
	rig->fake.fail_vsid = 4;
	assert_int_equal(vsmmu_set_vsids(rig->v, entries, 2), -ENODEV);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.vsid, 4);
	assert_listed(rig, after, 2);
	assert_int_equal(vsmmu_set_vsids(rig->v, swap, 2), -ENODEV);
	assert_listed(rig, after, 2);
	rig->fake.vsids_rc = 0;
	assert_int_equal(vsmmu_set_vsids(rig->v, swap, 2), 0);
	assert_listed(rig, after, 2);
}

static void test_set_vsids_early(void **state)
{
	static const struct smmuv3_accel_vsid entry = { 1, 2 };
	struct rig *rig = *state;

	assert_refused(rig->v, vsmmu_set_vsids(rig->v, &entry, 1), -ENXIO,
		       VSMMU_REASON_NOT_STARTED);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_VSIDS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_passed_on, rig_setup),
		TEST(test_streams, rig_setup),
		TEST(test_list, rig_setup),
		TEST(test_dry_run, rig_setup),
		TEST(test_set_vsids, rig_setup),
		TEST(test_set_vsids_fails, rig_setup),
		TEST(test_set_vsids_early, rig_setup_off),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
