// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The callback for commands that are in error.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "rig.h"

/**
 * struct heard - Calls of the callback
 * @calls: how often
 * @error: the last time
 */
static struct heard {
	unsigned int calls;
	struct vsmmu_cmd_error error;
} heard;

/* Without the mutex: it may call the library, and finds the error there. */
static void on_cmd_error(void *opaque, const struct vsmmu_cmd_error *error)
{
	struct rig *rig = opaque;

	assert_int_equal(get(rig, CMDQ_CONS) >> 24, error->cerror);
	heard.calls++;
	heard.error = *error;
	assert_int_equal(vsmmu_kick(rig->v), 0);
}

/**
 * struct answer - What RUN_CMDQ answers
 * @done: how many commands are done
 * @error: out_error
 * @reason: out_reason
 * @rc: what it returns
 */
static struct answer {
	uint32_t done;
	uint32_t error;
	uint32_t reason;
	int rc;
} answer;

static int run_answer(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons += answer.done;
	run->out_error = answer.error;
	run->out_reason = answer.reason;
	return answer.rc;
}

static int setup(void **state)
{
	struct vsmmu_region regions[2];
	struct vsmmu_config config;
	struct rig *rig;

	rig_setup_off(state);
	rig = *state;
	vsmmu_free(rig->v);
	config = rig_config(rig);
	config.cmd_error = on_cmd_error;
	/* The second half is a ROM. */
	regions[0] = (struct vsmmu_region){
		RAM_BASE, RAM_HALF, (uintptr_t)rig->ram + RAM_HALF, 0, 0,
	};
	regions[1] = (struct vsmmu_region){
		RAM_BASE + RAM_HALF, RAM_HALF, (uintptr_t)rig->ram,
		VSMMU_REGION_READONLY, 0,
	};
	config.regions = regions;
	config.region_num = 2;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_start(rig->v, NULL), 0);
	rig->fake.on_run = run_answer;
	heard = (struct heard){};
	return 0;
}

static void start_at(struct rig *rig, uint64_t base, uint32_t log2size,
		     uint32_t index)
{
	assert_put(rig, CR0, 0);
	assert_int_equal(put64(rig, CMDQ_BASE, base | log2size), 0);
	assert_put(rig, CMDQ_PROD, index);
	assert_put(rig, CMDQ_CONS, index);
	assert_put(rig, CR0, CMDQEN);
}

static void set_command(struct rig *rig, uint64_t gpa, uint64_t dw0, uint64_t dw1)
{
	uint64_t *command = rig_ptr(rig, gpa);

	command[0] = dw0;
	command[1] = dw1;
}

static void assert_heard(unsigned int calls, uint32_t index, uint64_t dw0,
			 uint64_t dw1)
{
	assert_int_equal(heard.calls, calls);
	assert_int_equal(heard.error.cerror, answer.error);
	assert_int_equal(heard.error.reason, answer.reason);
	assert_int_equal(heard.error.index, index);
	assert_int_equal(heard.error.cmd.dw[0], dw0);
	assert_int_equal(heard.error.cmd.dw[1], dw1);
}

static void test_heard(void **state)
{
	struct rig *rig = *state;

	start_at(rig, RAM_BASE + 0x1000, 4, 0);
	set_command(rig, RAM_BASE + 0x1020, 0x11, 0x22);
	answer = (struct answer){
		2, SMMUV3_ACCEL_CERROR_ILL, SMMUV3_ACCEL_REASON_CMD_OPCODE, 0,
	};
	assert_put(rig, CMDQ_PROD, 5);
	assert_heard(1, 2, 0x11, 0x22);
	/* Once, not at each doorbell */
	assert_put(rig, CMDQ_PROD, 6);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(heard.calls, 1);
	/* The guest acknowledges it without fixing it: it fails again. */
	answer.done = 0;
	set_command(rig, RAM_BASE + 0x1020, 0x33, 0x44);
	assert_put(rig, GERRORN, CMDQ_ERR);
	assert_heard(2, 2, 0x33, 0x44);
}

/* After the wrap; in a ROM; with a base that is not aligned to the queue's size */
static void test_where(void **state)
{
	struct rig *rig = *state;

	answer = (struct answer){
		0, SMMUV3_ACCEL_CERROR_ATC_INV_SYNC,
		SMMUV3_ACCEL_REASON_ATC_TIMEOUT, 0,
	};
	start_at(rig, RAM_BASE + 0x2000, 4, 0x1f);
	set_command(rig, RAM_BASE + 0x20f0, 1, 2);
	assert_put(rig, CMDQ_PROD, 0);
	assert_heard(1, 15, 1, 2);

	assert_put(rig, CR0, 0);
	assert_put(rig, GERRORN, CMDQ_ERR);
	start_at(rig, RAM_BASE + RAM_HALF + 0x20, 4, 1);
	set_command(rig, RAM_BASE + RAM_HALF + 0x10, 3, 4);
	assert_put(rig, CMDQ_PROD, 2);
	assert_heard(2, 1, 3, 4);
}

/* If the queue is not in memory, the command's words are 0. */
static void test_unreadable(void **state)
{
	struct rig *rig = *state;

	answer = (struct answer){
		0, SMMUV3_ACCEL_CERROR_ABT, SMMUV3_ACCEL_REASON_CMD_UNREADABLE, 0,
	};
	start_at(rig, RAM_BASE + RAM_SIZE, 4, 0);
	assert_put(rig, CMDQ_PROD, 1);
	assert_heard(1, 0, 0, 0);
}

/* A region may have pages that nobody can read. The library does not read them. */
static void test_region_with_a_hole(void **state)
{
	struct rig *rig = *state;
	void *hole = mmap(NULL, 0x10000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct vsmmu_region region = {
		.gpa = RAM_BASE, .size = 0x10000, .uaddr = (uintptr_t)hole,
	};

	assert_ptr_not_equal(hole, MAP_FAILED);
	answer = (struct answer){
		0, SMMUV3_ACCEL_CERROR_ABT, SMMUV3_ACCEL_REASON_CMD_UNREADABLE, 0,
	};
	assert_int_equal(vsmmu_set_memory(rig->v, &region, 1), 0);
	start_at(rig, RAM_BASE, 4, 0);
	assert_put(rig, CMDQ_PROD, 1);
	assert_heard(1, 0, 0, 0);
	munmap(hole, 0x10000);
}

/* A failure of the host is no error of the guest. */
static void test_not_heard(void **state)
{
	struct rig *rig = *state;

	start_at(rig, RAM_BASE, 4, 0);
	answer = (struct answer){
		1, 0, SMMUV3_ACCEL_REASON_HOST_REJECT, -EIO,
	};
	assert_int_equal(put(rig, CMDQ_PROD, 2), -EIO);
	answer = (struct answer){ 1, 0, 0, 0 };
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(heard.calls, 0);
}

/* An error, and all is well once the guest has acknowledged it */
static int run_error_once(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	fake->on_run = NULL;
	run->out_error = SMMUV3_ACCEL_CERROR_ILL;
	return 0;
}

/*
 * A write of two registers is two writes: the first one, here of a read-only register,
 * runs what is left, and its error is heard before the second one acknowledges it.
 */
static void test_pair(void **state)
{
	struct rig *rig = *state;

	start_at(rig, RAM_BASE, 4, 0);
	answer = (struct answer){ 0, 0, SMMUV3_ACCEL_REASON_RETRY, -EBUSY };
	assert_int_equal(put(rig, CMDQ_PROD, 1), -EAGAIN);
	rig->fake.on_run = run_error_once;
	assert_int_equal(put64(rig, GERROR, (uint64_t)CMDQ_ERR << 32), 0);
	assert_int_equal(heard.calls, 1);
	assert_int_equal(get(rig, GERRORN), CMDQ_ERR);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
}

static unsigned int errors;

/* Commands 1 and 2 are in error, each of them once. */
static int run_two_errors(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	if (errors < 2 && run->cons == errors + 1) {
		errors++;
		run->out_error = SMMUV3_ACCEL_CERROR_ILL;
	} else {
		run->cons++;
	}
	return 0;
}

static void *acknowledge(void *arg)
{
	assert_put(arg, GERRORN, get(arg, GERROR));
	return NULL;
}

/* Another vCPU acknowledges an error while the kernel is asked about a stream. */
static void acknowledge_meanwhile(struct fake *fake, unsigned long request)
{
	struct rig *rig = (struct rig *)fake;
	pthread_t vcpu;

	if (request != SMMUV3_ACCEL_GET_STREAM || get(rig, GERROR) == get(rig, GERRORN))
		return;
	fake->on_call = NULL;
	assert_int_equal(heard.calls, 1);
	assert_int_equal(heard.error.index, 1);
	assert_int_equal(pthread_create(&vcpu, NULL, acknowledge, rig), 0);
	assert_int_equal(pthread_join(vcpu, NULL), 0);
}

/* Each error is heard, also if the next one comes while the same call runs the queue. */
static void test_two(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	start_at(rig, RAM_BASE, 4, 0);
	set_command(rig, RAM_BASE, CFGI_STE(1), 0);
	answer = (struct answer){ 1, 0, 0, 0 };
	assert_put(rig, CMDQ_PROD, 1);
	/* The kernel cannot say now what became of the stream. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_GET_STREAM, -ENOMEM, 0, 3);
	assert_put(rig, CR0, SMMUEN | CMDQEN);
	errors = 0;
	rig->fake.on_run = run_two_errors;
	rig->fake.on_call = acknowledge_meanwhile;
	assert_put(rig, CMDQ_PROD, 6);
	assert_null(rig->fake.on_call);
	assert_int_equal(heard.calls, 2);
	assert_int_equal(heard.error.index, 2);
	assert_int_equal(get(rig, CMDQ_CONS), SMMUV3_ACCEL_CERROR_ILL << 24 | 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_heard),
		TEST(test_where),
		TEST(test_unreadable),
		TEST(test_region_with_a_hole),
		TEST(test_not_heard),
		TEST(test_pair),
		TEST(test_two),
	};

	return cmocka_run_group_tests_name("cmd_error", tests, NULL, NULL);
}
