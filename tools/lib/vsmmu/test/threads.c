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
	bool irq;
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
	cmdq->out_flags = run->irq ? SMMUV3_ACCEL_RUN_SYNC_IRQ : 0;
	return 0;
}

/* Run a full queue, during which another thread makes its calls. */
static void run_interrupted(struct long_run *run)
{
	struct rig *rig = run->rig;
	void *failed;

	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	enable_cmdq(rig, 8);
	rig->fake.data = run;
	rig->fake.on_run = run_slowly;
	assert_put(rig, CMDQ_PROD, get(rig, CMDQ_PROD) ^ 256);
	assert_int_equal(pthread_join(run->detacher, &failed), 0);
	assert_null(failed);
	assert_in_range(run->runs_before_detach, 1, 255);
}

/* Another thread's call does not wait until a full queue is run. */
static void test_let_in(void **state)
{
	struct rig *rig = *state;
	struct long_run run;
	int irq;

	for (irq = 0; irq < 2; irq++) {
		run = (struct long_run){ .rig = rig, .irq = irq };
		run_interrupted(&run);
		assert_int_equal(run.runs, 256);
		assert_int_equal(get(rig, CMDQ_CONS), 256);

		/* A queue that is reset meanwhile is run no more. */
		run = (struct long_run){ .rig = rig, .irq = irq, .reset = true };
		run_interrupted(&run);
		assert_in_range(run.runs, 1, 255);
		assert_int_equal(get(rig, CMDQ_CONS), 0);
		assert_int_equal(get(rig, CR0ACK), 0);
	}
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

/* MSIs that become due in two threads */
#define MSI_RING_BITS	8
#define MSI_RING	(1U << MSI_RING_BITS)
#define MSI_BATCH	8
#define MSI_STEP	(MSI_RING / 4)
#define MSI_STEPS	200

/* What the callback got. One thread at a time is in it, in the order of the MSIs. */
static uint32_t msi_num;
static bool msi_disorder;

static void on_msi(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	(void)address;
	msi_disorder |= data != msi_num++ % MSI_RING;
	if (msi_num % MSI_BATCH == MSI_BATCH / 2)
		usleep(100);
}

static int run_syncs(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	const uint32_t num = (run->prod - run->cons) & (2 * MSI_RING - 1);

	(void)fake;
	run->cons += num < run->max_cmds ? num : run->max_cmds;
	run->out_flags = SMMUV3_ACCEL_RUN_SYNC_IRQ;
	return 0;
}

static int setup_msi(void **state)
{
	const struct vsmmu_options options = { .flags = VSMMU_OPT_MSI };
	struct vsmmu_config config;
	struct vsmmu_region region;
	struct rig *rig;

	rig_setup_off(state);
	rig = *state;
	vsmmu_free(rig->v);
	rig->fake.batch = MSI_BATCH;
	rig->fake.on_run = run_syncs;
	region = (struct vsmmu_region){
		RAM_BASE, RAM_HALF, (uintptr_t)rig->ram + RAM_HALF, 0, 0,
	};
	config = rig_config(rig);
	config.raise = NULL;
	config.msi = on_msi;
	config.regions = &region;
	config.region_num = 1;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	enable_cmdq(rig, MSI_RING_BITS);
	return 0;
}

/* As a guest does: wait until the ring has room for the commands before @end. */
static void wait_for_room(struct rig *rig, uint32_t end)
{
	uint64_t cons;

	/* Not by get(), which takes two looks: CONS moves meanwhile. */
	while (!vsmmu_read(rig->v, CMDQ_CONS, &cons, 4) &&
	       ((end - cons) & (2 * MSI_RING - 1)) > MSI_RING)
		vsmmu_kick(rig->v);
}

/* Until the thread that rings is done */
static void *kick_often(void *arg)
{
	struct rig *rig = arg;
	uint64_t prod = 0;
	int rc = 0;

	/* The other thread's last commands may be left to this one. */
	while (rc == -EAGAIN || (!rc && !vsmmu_read(rig->v, CMDQ_PROD, &prod, 4) &&
				 prod != (MSI_STEP * MSI_STEPS) % (2 * MSI_RING) + 1))
		rc = vsmmu_kick(rig->v);
	return rc ? arg : NULL;
}

static void test_msis(void **state)
{
	struct rig *rig = *state;
	pthread_t kicks;
	void *failed;
	uint32_t i;
	int rc;

	for (i = 0; i < MSI_RING; i++)
		put_cmd(rig, i, SYNC | 1 << 12 | (uint64_t)i << 32, 0x8090040);
	msi_num = 0;
	assert_int_equal(pthread_create(&kicks, NULL, kick_often, rig), 0);
	for (i = 1; i <= MSI_STEPS; i++) {
		wait_for_room(rig, MSI_STEP * i);
		rc = put(rig, CMDQ_PROD, MSI_STEP * i % (2 * MSI_RING));
		while (rc == -EAGAIN)
			rc = vsmmu_kick(rig->v);
		assert_int_equal(rc, 0);
	}
	wait_for_room(rig, MSI_STEP * MSI_STEPS + 1);
	do {
		rc = put(rig, CMDQ_PROD, MSI_STEP * MSI_STEPS % (2 * MSI_RING) + 1);
	} while (rc == -EAGAIN);
	assert_int_equal(rc, 0);
	assert_int_equal(pthread_join(kicks, &failed), 0);
	assert_null(failed);
	assert_int_equal(msi_num, MSI_STEP * MSI_STEPS + 1);
	assert_false(msi_disorder);
}

/* What another thread can do while the kernel carries out a call */
static void *act(void *arg)
{
	const uint64_t event[4] = { 0x10 };
	struct rig *rig = arg;
	struct fake *fake = &rig->fake;
	struct vsmmu_counters counters;

	assert_int_equal(get(rig, CMDQ_CONS), 0);
	assert_int_equal(get(rig, GERROR), 0);
	assert_put(rig, GERRORN, 0);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
	fake_event(fake, 0, 0, 0, event);
	assert_int_equal(vsmmu_poll_events(rig->v), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);
	assert_put(rig, EVENTQ_CONS, 2);
	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	assert_int_equal(vsmmu_detach(rig->v, 1), 0);
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(vsmmu_set_prod(rig->v, 3), 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	vsmmu_get_counters(rig->v, &counters);
	assert_int_equal(counters.runs, 1);
	assert_int_equal(fake_calls(fake, SMMUV3_ACCEL_RUN_CMDQ), 1);
	return NULL;
}

static void act_meanwhile(struct fake *fake, unsigned long request)
{
	pthread_t thread;

	if (request != SMMUV3_ACCEL_RUN_CMDQ)
		return;
	fake->on_call = NULL;
	assert_int_equal(pthread_create(&thread, NULL, act, fake->data), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* It does not wait for the call, and its commands are run by the thread that does. */
static void test_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_counters counters;

	enable_cmdq(rig, 8);
	enable_eventq(rig, RAM_BASE + 0x8000, 8);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	rig->fake.data = rig;
	rig->fake.on_call = act_meanwhile;
	assert_put(rig, CMDQ_PROD, 1);
	assert_null(rig->fake.on_call);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ), 1);
	vsmmu_get_counters(rig->v, &counters);
	assert_int_equal(counters.doorbells, 2);
	assert_int_equal(counters.cmds, 3);
}

static void ring_meanwhile(struct fake *fake, unsigned long request)
{
	struct rig *rig = fake->data;

	if (request == SMMUV3_ACCEL_ATTACH || request == SMMUV3_ACCEL_DETACH)
		assert_put(rig, CMDQ_PROD, get(rig, CMDQ_PROD) + 1);
}

/* The guest's queue is run while the kernel attaches or detaches a device. */
static void test_attach_meanwhile(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 8);
	rig->fake.data = rig;
	rig->fake.on_call = ring_meanwhile;
	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
	assert_int_equal(vsmmu_detach(rig->v, 1), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
}

static int run_sync(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct rig *rig = fake->data;

	assert_int_equal(get(rig, CMDQ_CONS), run->cons);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), !!run->cons);
	run->cons++;
	run->out_flags = SMMUV3_ACCEL_RUN_SYNC_IRQ;
	return 0;
}

/* The edge of a batch does not wait for the next one. */
static void test_callbacks(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 8);
	rig->fake.data = rig;
	rig->fake.on_run = run_sync;
	assert_put(rig, CMDQ_PROD, 200);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 1);
}

static void *attach_one(void *arg)
{
	struct rig *rig = arg;

	return vsmmu_attach(rig->v, 3, 1, 0, 0, NULL) ? arg : NULL;
}

static void attach_meanwhile(struct fake *fake, unsigned long request)
{
	struct rig *rig = fake->data;
	pthread_t thread;
	void *failed;

	/* Another thread's access: it has nothing to do with what is due. */
	assert_int_equal(get(rig, GERROR), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	if (request != SMMUV3_ACCEL_GET_STREAM)
		return;
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	assert_int_equal(pthread_create(&thread, NULL, attach_one, rig), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
}

/*
 * The thread that runs the queue makes its callbacks, so that no other one is delayed: also
 * if a third thread makes an access during an attach.
 */
static void test_callbacks_attach(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 8);
	enable_bad(rig, RAM_BASE + 0x8000, 8);
	rig->fake.data = rig;
	rig->fake.on_run = fake_run_bad;
	rig->fake.on_call = attach_meanwhile;
	fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH), 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
}

static void ring_once(struct fake *fake, unsigned long request)
{
	struct rig *rig = fake->data;

	if (request != SMMUV3_ACCEL_RUN_CMDQ)
		return;
	fake->on_call = NULL;
	assert_put(rig, CMDQ_PROD, get(rig, CMDQ_PROD) + 1);
}

/* Each write has the queue tried again, also one that comes while a call is failing. */
static void test_failure_meanwhile(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 8);
	rig->fake.data = rig;
	rig->fake.on_call = ring_once;
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -EIO, SMMUV3_ACCEL_REASON_HOST_REJECT, 1);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(get(rig, CMDQ_CONS), 2);

	rig->fake.on_call = ring_once;
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -EIO, SMMUV3_ACCEL_REASON_HOST_REJECT, 2);
	assert_int_equal(put(rig, CMDQ_PROD, 3), -EIO);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 4);
}

static void *unplug(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(vsmmu_detach(rig->v, 1), 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	return NULL;
}

static void unplug_once(struct fake *fake, unsigned long request)
{
	pthread_t thread;

	if (request != SMMUV3_ACCEL_RUN_CMDQ)
		return;
	fake->on_call = NULL;
	fake_fail(fake, SMMUV3_ACCEL_SET_REGS, 0, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, unplug, fake->data), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* The same for registers: the VMM detaches a dead device and kicks, once. */
static void test_registers_meanwhile(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	enable_cmdq(rig, 8);
	rig->fake.data = rig;
	rig->fake.on_call = unplug_once;
	assert_int_equal(vsmmu_set_prod(rig->v, 1), 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EIO, SMMUV3_ACCEL_REASON_HOST_REJECT,
		  ~0U);
	fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS);
	assert_put(rig, CR0, CMDQEN | SMMUEN);
	assert_null(rig->fake.on_call);
	assert_int_equal(get(rig, CR0ACK), CMDQEN | SMMUEN);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 2);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
}

/* A thread that rings each time that the queue is run, and what became of it */
struct heir {
	struct rig *rig;
	pthread_t first, thread;
	unsigned int asked;
	unsigned int rung;
	unsigned int by_first;
	unsigned int by_heir;
	bool left;		/* by the first thread */
};

#define HEIR_RINGS	40

static void wait_until(bool (*is_so)(struct heir *heir), struct heir *heir)
{
	while (!is_so(heir))
		usleep(10);
}

static bool is_asked(struct heir *heir)
{
	return __atomic_load_n(&heir->asked, __ATOMIC_ACQUIRE) > heir->rung;
}

static bool is_written(struct heir *heir)
{
	uint64_t prod;

	return !vsmmu_read(heir->rig->v, CMDQ_PROD, &prod, 4) && prod == heir->asked + 1;
}

static bool is_left(struct heir *heir)
{
	return __atomic_load_n(&heir->left, __ATOMIC_ACQUIRE);
}

static void *ring_when_asked(void *arg)
{
	struct heir *heir = arg;

	while (heir->rung < HEIR_RINGS) {
		wait_until(is_asked, heir);
		heir->rung++;
		if (put(heir->rig, CMDQ_PROD, heir->rung + 1))
			return arg;
		if (heir->by_heir)
			break;
	}
	return NULL;
}

/* While the first thread runs the queue, the other one rings. */
static int run_asking(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct heir *heir = fake->data;

	run->cons = run->prod;
	if (!pthread_equal(pthread_self(), heir->first)) {
		heir->by_heir++;
		wait_until(is_left, heir);
		return 0;
	}
	heir->by_first++;
	__atomic_add_fetch(&heir->asked, 1, __ATOMIC_RELEASE);
	wait_until(is_written, heir);
	return 0;
}

/* A vCPU does not run the commands of others for ever: another one takes over. */
static void test_heir(void **state)
{
	struct heir heir = { .rig = *state, .first = pthread_self() };
	struct rig *rig = *state;
	void *failed;

	enable_cmdq(rig, 8);
	rig->fake.data = &heir;
	rig->fake.on_run = run_asking;
	assert_int_equal(pthread_create(&heir.thread, NULL, ring_when_asked, &heir), 0);
	assert_put(rig, CMDQ_PROD, 1);
	__atomic_store_n(&heir.left, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(heir.thread, &failed), 0);
	assert_null(failed);
	assert_in_range(heir.by_first, 10, HEIR_RINGS / 2);
	assert_int_equal(heir.by_heir, 1);
	assert_int_equal(get(rig, CMDQ_CONS), heir.by_first + 1);
}

/* A guest with several CPUs: each puts a command into the queue, and waits until it is done. */
#define VCPUS		4
#define VCPU_ROUNDS	1000

struct vcpus {
	struct rig *rig;
	pthread_mutex_t owner;
	uint64_t num;		/* commands put so far */
};

static void *vcpu(void *arg)
{
	struct vcpus *vcpus = arg;
	struct vsmmu_counters counters;
	uint64_t num;
	int i, rc;

	for (i = 0; i < VCPU_ROUNDS; i++) {
		pthread_mutex_lock(&vcpus->owner);
		num = ++vcpus->num;
		rc = put(vcpus->rig, CMDQ_PROD, num & 0x1ff);
		pthread_mutex_unlock(&vcpus->owner);
		if (rc)
			return arg;
		for (;;) {
			vsmmu_get_counters(vcpus->rig->v, &counters);
			if (counters.cmds >= num)
				break;
			usleep(1);
		}
	}
	return NULL;
}

static void test_vcpus(void **state)
{
	struct vcpus vcpus = { .rig = *state, .owner = PTHREAD_MUTEX_INITIALIZER };
	struct vsmmu_counters counters;
	struct rig *rig = *state;
	pthread_t threads[VCPUS];
	void *failed;
	int i;

	enable_cmdq(rig, 8);
	for (i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, vcpu, &vcpus), 0);
	for (i = 0; i < VCPUS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	vsmmu_get_counters(rig->v, &counters);
	assert_int_equal(counters.cmds, VCPUS * VCPU_ROUNDS);
	assert_int_equal(get(rig, CMDQ_CONS), VCPUS * VCPU_ROUNDS & 0x1ff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_threads, rig_setup),
		TEST(test_let_in, rig_setup),
		TEST(test_last_error, rig_setup),
		TEST(test_msis, setup_msi),
		TEST(test_meanwhile, rig_setup),
		TEST(test_attach_meanwhile, rig_setup),
		TEST(test_callbacks, rig_setup),
		TEST(test_callbacks_attach, rig_setup),
		TEST(test_failure_meanwhile, rig_setup),
		TEST(test_registers_meanwhile, rig_setup),
		TEST(test_heir, rig_setup),
		TEST(test_vcpus, rig_setup),
	};

	/* A test that waits for ever has failed. */
	alarm(600);
	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
