// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Several threads in calls on one vSMMU. Also built with ThreadSanitizer.
 */
#include <pthread.h>
#include <unistd.h>

#include "rig.h"

/* A vCPU, a polling thread and one for events, all at once */
#define ROUNDS	3000

static void *ring_bells(void *arg)
{
	struct rig *rig = arg;
	uint32_t i;

	for (i = 1; i <= ROUNDS; i++)
		if (vsmmu_doorbell(rig->v, i & 0x1ff))
			return arg;
	return NULL;
}

static void *inject(void *arg)
{
	const uint64_t event[4] = { 0x10 };
	struct rig *rig = arg;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++)
		if (vsmmu_inject_event(rig->v, event) ||
		    vsmmu_poll_events(rig->v) < 0)
			return arg;
	return NULL;
}

static void test_threads(void **state)
{
	struct rig *rig = *state;
	pthread_t bells, events;
	void *failed;
	uint64_t value;
	uint32_t i;

	enable_cmdq(rig, 8);
	enable_eventq(rig, RAM_BASE + 0x8000, 8);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	assert_int_equal(pthread_create(&bells, NULL, ring_bells, rig), 0);
	assert_int_equal(pthread_create(&events, NULL, inject, rig), 0);
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(vsmmu_read(rig->v, EVENTQ_PROD, &value, 4), 0);
		assert_put(rig, EVENTQ_CONS, value);
	}
	assert_int_equal(pthread_join(bells, &failed), 0);
	assert_null(failed);
	assert_int_equal(pthread_join(events, &failed), 0);
	assert_null(failed);
	assert_int_equal(get(rig, CMDQ_CONS), ROUNDS & 0x1ff);
}

/* A long run, and what another thread's calls saw of it */
struct long_run {
	struct rig *rig;
	pthread_t detacher;
	unsigned int runs;
	unsigned int runs_before_detach;
	bool reset;
};

static void *interrupt_run(void *arg)
{
	struct long_run *run = arg;
	uint64_t value;

	if (vsmmu_read(run->rig->v, CMDQ_CONS, &value, 4) ||
	    vsmmu_detach(run->rig->v, 1))
		return arg;
	run->runs_before_detach = __atomic_load_n(&run->runs, __ATOMIC_RELAXED);
	if (run->reset && vsmmu_reset(run->rig->v))
		return arg;
	/* The thread that runs the queue makes the callback. */
	return thread_irqs ? arg : NULL;
}

static int run_slowly(struct fake *fake, struct smmuv3_accel_run_cmdq *cmdq)
{
	struct long_run *run = fake->data;

	if (!__atomic_fetch_add(&run->runs, 1, __ATOMIC_RELAXED))
		assert_int_equal(pthread_create(&run->detacher, NULL,
						interrupt_run, run), 0);
	usleep(2000);
	cmdq->cons += 1;
	cmdq->out_flags = SMMUV3_ACCEL_RUN_SYNC_IRQ;
	return 0;
}

/* Another thread's call does not wait until a full queue is run. */
static void test_let_in(void **state)
{
	struct long_run run = { .rig = *state };
	struct rig *rig = *state;
	void *failed;

	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	enable_cmdq(rig, 8);
	rig->fake.data = &run;
	rig->fake.on_run = run_slowly;
	assert_put(rig, CMDQ_PROD, 256);
	assert_int_equal(pthread_join(run.detacher, &failed), 0);
	assert_null(failed);
	assert_int_equal(get(rig, CMDQ_CONS), 256);
	assert_int_equal(run.runs, 256);
	assert_in_range(run.runs_before_detach, 1, 255);

	/* A queue that is reset meanwhile is run no more. */
	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	run = (struct long_run){ .rig = rig, .reset = true };
	assert_put(rig, CMDQ_PROD, 0);
	assert_int_equal(pthread_join(run.detacher, &failed), 0);
	assert_null(failed);
	assert_in_range(run.runs, 1, 255);
	assert_int_equal(get(rig, CMDQ_CONS), 0);
	assert_int_equal(get(rig, CR0ACK), 0);
}

/* Each thread has its own last failure. */
#define FAILURES	1000
#define WORKERS		4

struct worker {
	struct rig *rig;
	pthread_t thread;
	uint32_t vsid;
};

static void *fail_often(void *arg)
{
	struct worker *worker = arg;
	struct vsmmu_error error;
	int i;

	vsmmu_last_error(worker->rig->v, &error);
	if (error.error)
		return arg;
	for (i = 0; i < FAILURES; i++) {
		if (vsmmu_attach(worker->rig->v, 3, worker->vsid, 0, 0, NULL) !=
		    -EEXIST)
			return arg;
		vsmmu_last_error(worker->rig->v, &error);
		if (error.error != -EEXIST || error.vsid != worker->vsid ||
		    error.request != SMMUV3_ACCEL_ATTACH)
			return arg;
	}
	return NULL;
}

static void test_last_error(void **state)
{
	struct worker workers[WORKERS];
	struct vsmmu_error error;
	struct rig *rig = *state;
	void *failed;
	uint32_t i;

	fake_fail(&rig->fake, SMMUV3_ACCEL_ATTACH, -EEXIST,
		  SMMUV3_ACCEL_REASON_VSID_IN_USE, WORKERS * FAILURES);
	for (i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .rig = rig, .vsid = 100 + i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL,
						fail_often, &workers[i]), 0);
	}
	for (i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH),
			 WORKERS * FAILURES);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		TEST(test_threads),
		TEST(test_let_in),
		TEST(test_last_error),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
