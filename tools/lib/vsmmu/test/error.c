// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Failures: vsmmu_last_error() and the texts.
 */
#include <stdio.h>

#include "rig.h"

static const struct {
	uint32_t value;
	const char *name;
	const char *text;
} all_reasons[] = {
#define REASON(_name, _text) \
	{ SMMUV3_ACCEL_REASON_##_name, #_name, _text },
#include "reasons.inc"		/* from the comments in linux/smmuv3_accel.h */
#undef REASON
#define REASON(_name, _text) \
	{ VSMMU_REASON_##_name, #_name, _text },
#include "own-reasons.inc"	/* and in vsmmu_types.h */
#undef REASON
};

static void test_reasons(void **state)
{
	const char *unknown = vsmmu_reason_string(~0U);
	const char *text;
	size_t i, j;

	(void)state;
	assert_true(ARRAY_LEN(all_reasons) >= 90);
	assert_string_equal(vsmmu_reason_string(14), unknown);
	assert_string_equal(vsmmu_reason_string(0xffff), unknown);
	for (i = 0; i < ARRAY_LEN(all_reasons); i++) {
		text = vsmmu_reason_string(all_reasons[i].value);
		if (!strcmp(text, unknown))
			fail_msg("%s has no sentence", all_reasons[i].name);
		assert_string_equal(text, all_reasons[i].text);
		if (text[strlen(text) - 1] != '.' || text[0] < 'A')
			fail_msg("%s: '%s' is no sentence", all_reasons[i].name,
				 text);
		for (j = 0; j < i; j++)
			if (all_reasons[i].value == all_reasons[j].value)
				fail_msg("%s has the number of %s",
					 all_reasons[i].name,
					 all_reasons[j].name);
			else if (!strcmp(text, vsmmu_reason_string(all_reasons[j].value)))
				fail_msg("%s is told like %s", all_reasons[i].name,
					 all_reasons[j].name);
	}
}

static void test_strerror(void **state)
{
	static const struct {
		unsigned long request;
		const char *name;
	} requests[] = {
#define REQUEST(_name)	{ SMMUV3_ACCEL_##_name, #_name ": " }
		REQUEST(GET_INFO), REQUEST(CREATE), REQUEST(SET_IDR),
		REQUEST(SET_MEM_TABLE), REQUEST(ATTACH), REQUEST(DETACH),
		REQUEST(GET_PHYS), REQUEST(GET_STREAM), REQUEST(SET_REGS),
		REQUEST(RUN_CMDQ), REQUEST(RESET), REQUEST(CHANGE_PROCESS),
		REQUEST(SET_VSIDS), { 0, "" },
	};
	struct vsmmu_error error = { .error = -ENOENT };
	char text[512], want[512], small[8];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(requests); i++) {
		error.request = requests[i].request;
		error.reason = 0;
		snprintf(want, sizeof(want), "%sNo such file or directory",
			 requests[i].name);
		assert_string_equal(vsmmu_strerror(&error, text, sizeof(text)),
				    want);
		error.reason = SMMUV3_ACCEL_REASON_RETRY;
		snprintf(want, sizeof(want), "%s%s (No such file or directory)",
			 requests[i].name,
			 vsmmu_reason_string(SMMUV3_ACCEL_REASON_RETRY));
		assert_string_equal(vsmmu_strerror(&error, text, sizeof(text)),
				    want);
	}
	vsmmu_strerror(&error, small, sizeof(small));
	assert_int_equal(strlen(small), sizeof(small) - 1);
}

/* Refused fields of ID registers, by name */

static void test_fields(void **state)
{
	static const uint32_t reasons[] = {
		SMMUV3_ACCEL_REASON_IDR_ILLEGAL, SMMUV3_ACCEL_REASON_IDR_HOST,
		SMMUV3_ACCEL_REASON_IDR_OFFERED,
	};
	struct vsmmu_error error = {
		.error = -EOPNOTSUPP,
		.request = SMMUV3_ACCEL_SET_IDR,
		/* Part of TTENDIAN, two whole fields, two unknown bits, one field */
		.bad_idr = { 1 << 21, 0x7ff, 0, 0x3, 1U << 31, 7 },
	};
	char text[512], want[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(reasons); i++) {
		error.reason = reasons[i];
		snprintf(want, sizeof(want), "SET_IDR: %s, %s, %s, %s, %s, %s: %s (%s)",
			 "SMMU_IDR0.TTENDIAN", "SMMU_IDR1.SIDSIZE",
			 "SMMU_IDR1.SSIDSIZE", "SMMU_IDR5.OAS",
			 "SMMU_IDR3 bits 0x3", "SMMU_IDR4 bits 0x80000000",
			 vsmmu_reason_string(reasons[i]),
			 "Operation not supported");
		assert_string_equal(vsmmu_strerror(&error, text, sizeof(text)),
				    want);
	}
	/* Without fields, and where they mean nothing */
	error.reason = SMMUV3_ACCEL_REASON_FROZEN;
	assert_null(strstr(vsmmu_strerror(&error, text, sizeof(text)), "IDR0"));
	error.reason = SMMUV3_ACCEL_REASON_IDR_HOST;
	memset(error.bad_idr, 0, sizeof(error.bad_idr));
	snprintf(want, sizeof(want), "SET_IDR: %s (Operation not supported)",
		 vsmmu_reason_string(error.reason));
	assert_string_equal(vsmmu_strerror(&error, text, sizeof(text)), want);
}

/* As many field names as leave room for the sentence after them */
static void test_many_fields(void **state)
{
	struct vsmmu_error error = {
		.error = -EOPNOTSUPP,
		.request = SMMUV3_ACCEL_SET_IDR,
		.reason = SMMUV3_ACCEL_REASON_IDR_ILLEGAL,
		.bad_idr = { ~0U, ~0U, ~0U, ~0U, ~0U, ~0U },
	};
	const char *sentence = vsmmu_reason_string(error.reason);
	char *text = malloc(4096), *small;
	size_t len;

	(void)state;
	assert_non_null(text);
	vsmmu_strerror(&error, text, 4096);
	assert_null(strstr(text, "..."));
	assert_non_null(strstr(text, "SMMU_IDR0.S2P, SMMU_IDR0.S1P, SMMU_IDR0.TTF, "));
	assert_non_null(strstr(text, "SMMU_IDR5.STALL_MAX, "));
	/* No two fields have a bit in common. */
	assert_null(strstr(strstr(text, "SMMU_IDR5.VAX") + 1, "SMMU_IDR5.VAX"));
	assert_non_null(strstr(text, "SMMU_IDR4 bits 0xffffffff"));
	assert_non_null(strstr(text, sentence));
	free(text);
	for (len = 0; len < 600; len++) {
		/* Each of its own size, so that the sanitizer sees its end */
		small = malloc(len);
		if (len)
			small[0] = 0;
		assert_ptr_equal(vsmmu_strerror(&error, small, len), small);
		if (len)
			assert_true(strlen(small) < len);
		if (len > 200) {
			assert_non_null(strstr(small, "SMMU_IDR0.S1P, "));
			assert_non_null(strstr(small, ", ...: "));
			assert_non_null(strstr(small, sentence));
			assert_int_equal(small[strlen(small) - 1], ')');
		}
		free(small);
	}
}

static void test_region(void **state)
{
	static const uint32_t reasons[] = {
		SMMUV3_ACCEL_REASON_REGION_EMPTY,
		SMMUV3_ACCEL_REASON_REGION_RANGE,
		SMMUV3_ACCEL_REASON_REGION_OVERLAP,
		VSMMU_REASON_REGION_FLAGS,
		VSMMU_REASON_REGION_RESERVED,
	};
	struct vsmmu_error error = {
		.error = -EINVAL,
		.request = SMMUV3_ACCEL_SET_MEM_TABLE,
		.bad_region = 17,
	};
	static const char want[] = "SET_MEM_TABLE: region 17: A ";
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(reasons); i++) {
		error.reason = reasons[i];
		vsmmu_strerror(&error, text, sizeof(text));
		assert_int_equal(strncmp(text, want, strlen(want)), 0);
	}
	error.reason = SMMUV3_ACCEL_REASON_ARRAY;
	assert_null(strstr(vsmmu_strerror(&error, text, sizeof(text)), "region 17"));
}

/* The last failure stays until the next, and is that of one vSMMU. */
static void test_last_error(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_error error;
	struct vsmmu *other;

	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_DETACH, -ENOENT,
		  SMMUV3_ACCEL_REASON_NO_STREAM, 1);
	assert_int_equal(vsmmu_detach(rig->v, 7), -ENOENT);
	assert_put(rig, CMDQ_PROD, 0);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, -ENOENT);
	assert_int_equal(error.vsid, 7);

	assert_int_equal(vsmmu_new(&config, &other, NULL), 0);
	vsmmu_last_error(other, &error);
	assert_int_equal(error.error, 0);
	assert_refused(other, vsmmu_kick(other), -ENXIO,
		       VSMMU_REASON_NOT_STARTED);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, 0);
	vsmmu_free(other);
}

/* A callback makes a call that fails. */
static void fail_in_callback(void *opaque, enum vsmmu_irq line)
{
	struct rig *rig = opaque;

	assert_refused(rig->v, vsmmu_remove_veventq(rig->v, -1), -ENOENT,
		       VSMMU_REASON_NO_VEVENTQ);
	rig->irqs[line]++;
}

static int sync_then_fail(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons++;
	run->out_flags = SMMUV3_ACCEL_RUN_SYNC_IRQ;
	run->out_reason = SMMUV3_ACCEL_REASON_HOST_REJECT;
	return -EIO;
}

static void test_callback_fails(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_error error;

	vsmmu_free(rig->v);
	config.raise = fail_in_callback;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_start(rig->v, NULL), 0);
	enable_cmdq(rig, 4);
	rig->fake.on_run = sync_then_fail;
	assert_int_equal(put(rig, CMDQ_PROD, 2), -EIO);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 1);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, -EIO);
	assert_int_equal(error.request, SMMUV3_ACCEL_RUN_CMDQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		TEST(test_reasons),
		TEST(test_strerror),
		TEST(test_fields),
		TEST(test_many_fields),
		TEST(test_region),
		TEST(test_last_error),
		TEST(test_callback_fails),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
