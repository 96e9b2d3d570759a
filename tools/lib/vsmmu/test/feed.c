// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The feed of commands for emulated endpoints.
 */
#include "rig.h"

#define BATCH	4

/**
 * struct feeder - The kernel that writes a feed, and the VMM that gets it
 * @feed_num: how many of the commands that are done concern the VMM, call by call
 * @flags: out_flags, call by call
 * @rc: what RUN_CMDQ returns, call by call
 * @done: how many commands are done, call by call; 0: all, up to max_cmds
 * @at: the next call
 * @written: commands written so far: each has its number
 * @fed: commands that came, in order
 * @fed_num: how many
 * @calls: how often the VMM function was called
 * @flushes: those that say so
 * @cons: CMDQ_CONS at the last one
 */
static struct feeder {
	uint32_t feed_num[8];
	uint32_t flags[8];
	int rc[8];
	uint32_t done[8];
	unsigned int at;
	uint32_t written;
	struct vsmmu_cmd fed[64];
	unsigned int fed_num;
	unsigned int calls;
	unsigned int flushes;
	uint32_t cons;
} feeder;

static uint32_t published_cons(struct rig *rig)
{
	uint32_t cons;

	memcpy(&cons, (char *)vsmmu_page(rig->v, 0) + CMDQ_CONS, sizeof(cons));
	return cons;
}

/* Read the register file, because the vSMMU's mutex is held. */
static void on_feed(void *opaque, const struct vsmmu_cmd *cmds, uint32_t num,
		    bool flush)
{
	struct rig *rig = opaque;

	feeder.calls++;
	feeder.flushes += flush;
	assert_true(feeder.fed_num + num <= ARRAY_LEN(feeder.fed));
	if (num)
		memcpy(feeder.fed + feeder.fed_num, cmds, num * sizeof(*cmds));
	feeder.fed_num += num;
	assert_int_equal(vsmmu_fd(rig->v), FAKE_FD);
	feeder.cons = published_cons(rig);
}

static int run_fed(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct vsmmu_cmd *feed = (void *)(uintptr_t)run->feed_uptr;
	unsigned int at = feeder.at++;
	uint32_t i, done;

	done = feeder.done[at] ? feeder.done[at] :
	       run->prod - run->cons < run->max_cmds ? run->prod - run->cons :
						       run->max_cmds;
	/* Write only as many as there is room for, whatever feed_num says. */
	for (i = 0; i < feeder.feed_num[at] && i < fake->run.feed_num; i++) {
		feed[i].dw[0] = ++feeder.written;
		feed[i].dw[1] = ~(uint64_t)feeder.written;
	}
	run->feed_num = feeder.feed_num[at];
	run->out_flags = feeder.flags[at];
	run->cons += done;
	return feeder.rc[at];
}

static int setup_feed(void **state)
{
	struct vsmmu_config config;
	struct rig *rig;

	rig_setup_off(state);
	rig = *state;
	vsmmu_free(rig->v);
	rig->fake.batch = BATCH;
	feeder = (struct feeder){};
	config = rig_config(rig);
	config.feed = on_feed;
	config.create_flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_start(rig->v, NULL), 0);
	rig->fake.on_run = run_fed;
	memset(rig->fake.calls, 0, sizeof(rig->fake.calls));
	feeder.calls = 0;
	feeder.flushes = 0;
	return 0;
}

static void assert_fed(uint32_t num)
{
	uint32_t i;

	assert_int_equal(feeder.fed_num, num);
	for (i = 0; i < num; i++) {
		assert_int_equal(feeder.fed[i].dw[0], i + 1);
		assert_int_equal(feeder.fed[i].dw[1], ~(uint64_t)(i + 1));
	}
}

/* Only with the callback, CREATE has the flag for emulated endpoints. */
static void test_create(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct smmuv3_accel_attach info;
	struct vsmmu *v;

	assert_int_equal(rig->fake.create.flags,
			 SMMUV3_ACCEL_CREATE_NO_GLOBAL |
			 SMMUV3_ACCEL_CREATE_FEED);
	assert_int_equal(vsmmu_new(&config, &v, NULL), 0);
	vsmmu_free(v);
	assert_int_equal(rig->fake.create.flags, 0);

	assert_int_equal(vsmmu_attach(rig->v, -1, 8,
				      SMMUV3_ACCEL_ATTACH_BRIDGE, 0, NULL), 0);
	assert_int_equal(rig->fake.attach.vfio_fd, -1);
	assert_int_equal(rig->fake.attach.flags, SMMUV3_ACCEL_ATTACH_BRIDGE);
	assert_int_equal(vsmmu_attach(rig->v, -1, 9,
				      SMMUV3_ACCEL_ATTACH_FEED, 0, &info), 0);
	assert_int_equal(rig->fake.attach.vfio_fd, -1);
	assert_int_equal(rig->fake.attach.flags, SMMUV3_ACCEL_ATTACH_FEED);
	assert_int_equal(rig->fake.attach.vsid, 9);
	assert_int_equal(vsmmu_detach(rig->v, 9), 0);
	assert_int_equal(rig->fake.attached, 1);
}

/* With a huge batch, vsmmu_new() either fails or has room for it. */
static void test_no_memory(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_error error;

	vsmmu_free(rig->v);
	config.feed = on_feed;
	rig->fake.batch = ~0U;
	if (vsmmu_new(&config, &rig->v, &error)) {
		assert_int_equal(error.error, -ENOMEM);
		return;
	}
	assert_int_equal(vsmmu_start(rig->v, NULL), 0);
	enable_cmdq(rig, 4);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(rig->fake.run.feed_num, ~0U);
	assert_int_not_equal(rig->fake.run.feed_uptr, 0);
}

static void test_feed(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 5);
	/* Nothing that concerns the VMM: not called */
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(feeder.calls, 0);
	assert_int_equal(rig->fake.run.feed_num, BATCH);
	assert_int_not_equal(rig->fake.run.feed_uptr, 0);

	/* Three runs: each has the whole room, and is fed before CONS shows it. */
	feeder.at = 0;
	memcpy(feeder.feed_num, (uint32_t[]){ 4, 0, 1 }, 3 * sizeof(uint32_t));
	assert_put(rig, CMDQ_PROD, 12);
	assert_int_equal(feeder.at, 3);
	assert_int_equal(feeder.calls, 2);
	assert_int_equal(feeder.cons, 10);
	assert_int_equal(rig->fake.run.feed_num, BATCH);
	assert_int_equal(get(rig, CMDQ_CONS), 12);
	assert_fed(5);
	assert_int_equal(feeder.flushes, 0);
}

static void test_overflow(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 5);
	feeder.feed_num[0] = 2;
	feeder.flags[0] = SMMUV3_ACCEL_RUN_FEED_OVERFLOW;
	feeder.flags[1] = SMMUV3_ACCEL_RUN_FEED_OVERFLOW;
	assert_put(rig, CMDQ_PROD, 3);
	assert_int_equal(feeder.calls, 1);
	assert_int_equal(feeder.flushes, 1);
	assert_int_equal(feeder.cons, 0);
	assert_fed(2);
	/* With no room for any */
	assert_put(rig, CMDQ_PROD, 4);
	assert_int_equal(feeder.flushes, 2);
	assert_int_equal(feeder.cons, 3);
	assert_fed(2);
}

/* After a failure, the feed has the commands that are done, and only those. */
static void test_failures(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 5);
	feeder.feed_num[0] = 2;
	feeder.rc[0] = -ENOMEM;
	feeder.done[0] = 2;
	assert_int_equal(put(rig, CMDQ_PROD, 3), -EAGAIN);
	assert_int_equal(feeder.cons, 0);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
	assert_fed(2);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM, 0, 1);
	assert_int_equal(vsmmu_kick(rig->v), -EAGAIN);
	assert_int_equal(feeder.calls, 1);
	/* Interrupted, with feed_num written: the next call has room again. */
	feeder.feed_num[1] = 1;
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -EINTR, 0, 2);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(rig->fake.run.feed_num, BATCH);
	assert_int_equal(feeder.cons, 2);
	assert_fed(3);
}

/* The system refuses the call: the module has not written anything. */
static int run_refused(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	*run = fake->run;
	return -EPERM;
}

/* What the library has asked for is no answer. */
static void test_refused(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 5);
	rig->fake.on_run = run_refused;
	assert_int_equal(put(rig, CMDQ_PROD, 3), -EIO);
	assert_int_equal(feeder.calls, 0);
	rig->fake.on_run = run_fed;
	feeder.feed_num[0] = 1;
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_fed(1);
}

/* If feed_num exceeds what is done or the room, the call fails. */
static void test_senseless(void **state)
{
	static const struct {
		uint32_t feed_num;
		uint32_t done;
	} senseless[] = { { 3, 2 }, { 5, 5 }, { ~0U, 4 }, { 1U << 28, 4 } };
	struct vsmmu_error error;
	struct rig *rig = *state;
	size_t i;

	enable_cmdq(rig, 5);
	for (i = 0; i < ARRAY_LEN(senseless); i++) {
		feeder.at = 0;
		feeder.feed_num[0] = senseless[i].feed_num;
		feeder.done[0] = senseless[i].done;
		assert_int_equal(put(rig, CMDQ_PROD, 8), -EIO);
		vsmmu_last_error(rig->v, &error);
		assert_int_equal(error.error, -EPROTO);
		assert_int_equal(get(rig, CMDQ_CONS), 0);
		assert_int_equal(feeder.calls, 0);
	}
}

/* After reset, restore and resume, the VMM has to flush its cache. */
static void test_flush(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_state saved;

	enable_cmdq(rig, 5);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(vsmmu_reset(rig->v), 0);
	assert_int_equal(feeder.flushes, 1);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(feeder.flushes, 2);

	vsmmu_free(rig->v);
	config.feed = on_feed;
	config.flags = VSMMU_CONFIG_CHANGE_PROCESS;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_resume(rig->v, NULL, &saved, NULL, 0), 0);
	assert_int_equal(feeder.flushes, 3);
	assert_int_equal(feeder.calls, 3);
	feeder.feed_num[0] = 1;
	assert_put(rig, CMDQ_PROD, 1);
	assert_fed(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_feed, rig_teardown)
		TEST(test_create),
		TEST(test_no_memory),
		TEST(test_feed),
		TEST(test_overflow),
		TEST(test_failures),
		TEST(test_refused),
		TEST(test_senseless),
		TEST(test_flush),
	};

	return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
