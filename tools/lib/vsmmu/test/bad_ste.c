// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Streams whose STE is not legal: which reports of the kernel become events.
 */
#include "rig.h"

#define QUEUE	(RAM_BASE + 0x1000)

/**
 * struct answer - What the next RUN_CMDQ says
 * @bad: streams whose STE is not legal
 * @bad_num: how many
 * @overflow: there were more than it had room for
 * @num: how many commands it runs; 0: one
 * @rc: what it returns
 */
static struct answer {
	struct smmuv3_accel_bad_ste bad[FAKE_STREAMS];
	uint32_t bad_num;
	bool overflow;
	uint32_t num;
	int rc;
} answer;

static int run_answer(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	uint32_t i;

	assert_int_equal(fake->run.bad_num, FAKE_STREAMS);
	for (i = 0; i < answer.bad_num; i++)
		fake_bad_ste(run, answer.bad[i].vsid, answer.bad[i].reason);
	if (answer.overflow)
		run->out_flags |= SMMUV3_ACCEL_RUN_BAD_STE |
				  SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	run->cons += answer.num ? answer.num : 1;
	return answer.rc;
}

static int setup_queues(void **state)
{
	struct rig *rig;

	rig_setup(state);
	rig = *state;
	answer = (struct answer){};
	rig->fake.on_run = run_answer;
	return 0;
}

/* A queue of CFGI_ALLs */
static void enable(struct rig *rig)
{
	fill_ring(rig, 8, CFGI_STE_RANGE(0), CFGI_ALL);
	enable_cmdq(rig, 8);
	enable_eventq(rig, QUEUE, 6);
}

/* Run commands, and expect events, beginning with number @at. */
static void assert_events_of(struct rig *rig, uint32_t cmds, uint32_t at,
			     const uint64_t *events, uint32_t num)
{
	const uint64_t *queue = rig_ptr(rig, QUEUE);
	uint32_t i;

	assert_put(rig, CMDQ_PROD, get(rig, CMDQ_PROD) + cmds);
	assert_int_equal(get(rig, EVENTQ_PROD), at + num);
	for (i = 0; i < num; i++, at++) {
		assert_int_equal(queue[at * 4], events[i]);
		assert_int_equal(queue[at * 4 + 1], 0);
		assert_int_equal(queue[at * 4 + 2], 0);
		assert_int_equal(queue[at * 4 + 3], 0);
	}
}

/* The same with one command */
static void assert_events(struct rig *rig, uint32_t at, const uint64_t *events,
			  uint32_t num)
{
	assert_events_of(rig, 1, at, events, num);
}

static const struct {
	uint32_t reason;
	uint32_t id;
} table[] = {
	{ SMMUV3_ACCEL_REASON_NONE, 0 },
	{ SMMUV3_ACCEL_REASON_NO_STE, 0 },
	{ SMMUV3_ACCEL_REASON_STE_INVALID, 0 },
	{ SMMUV3_ACCEL_REASON_STE_ABORT, 0 },
	{ SMMUV3_ACCEL_REASON_STE_CONFIG, 0x04 },
	{ SMMUV3_ACCEL_REASON_STE_S1CDMAX, 0x04 },
	{ SMMUV3_ACCEL_REASON_STE_S1FMT, 0x04 },
	{ SMMUV3_ACCEL_REASON_STE_S1STALLD, 0x04 },
	{ SMMUV3_ACCEL_REASON_STE_EATS, 0x04 },
	{ SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR, 0x04 },
	{ SMMUV3_ACCEL_REASON_STE_SID_RANGE, 0x02 },
	{ SMMUV3_ACCEL_REASON_STE_L1_INVALID, 0x02 },
	{ SMMUV3_ACCEL_REASON_STE_L1_NONE, 0 },
	{ SMMUV3_ACCEL_REASON_STE_UNREADABLE, 0x03 },
	{ SMMUV3_ACCEL_REASON_GBPA_ABORT, 0 },
	{ SMMUV3_ACCEL_REASON_NO_VSID, 0 },
	{ SMMUV3_ACCEL_REASON_DETACHED, 0 },
	{ SMMUV3_ACCEL_REASON_RETRY, 0 },
	{ SMMUV3_ACCEL_REASON_NO_POWER, 0 },
	{ SMMUV3_ACCEL_REASON_ATC_TIMEOUT, 0 },
};

/* Each reason has an event or none, whether RUN_CMDQ or GET_STREAM reports it. */
static void by_reason(struct rig *rig, bool recinvsid, bool overflow)
{
	uint32_t at = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		uint64_t event = table[i].id | 5ULL << 32;
		uint32_t num = table[i].id && (table[i].id != 2 || recinvsid);

		answer = (struct answer){ .overflow = overflow };
		rig->fake.stream_reason[5] = table[i].reason;
		if (!overflow) {
			answer.bad_num = 1;
			answer.bad[0].vsid = 5;
			answer.bad[0].reason = table[i].reason;
		}
		assert_events(rig, at, &event, num);
		at += num;
	}
}

static void test_reasons(void **state)
{
	struct rig *rig = *state;
	int way;

	assert_int_equal(vsmmu_attach(rig->v, 3, 5, 0, 0, NULL), 0);
	for (way = 0; way < 4; way++) {
		assert_int_equal(vsmmu_reset(rig->v), 0);
		assert_put(rig, CR2, way & 1 ? 2 : 0);
		enable(rig);
		by_reason(rig, way & 1, way & 2);
	}
}

/* Listed streams become events, in order. The library asks for no other stream. */
static void test_listed(void **state)
{
	static const uint64_t events[] = {
		4 | 7ULL << 32, 3 | 0x1234567ULL << 32, 4 | 7ULL << 32,
	};
	struct rig *rig = *state;

	enable(rig);
	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	rig->fake.stream_reason[1] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	assert_events(rig, 0, NULL, 0);
	answer.bad_num = 3;
	answer.bad[0] = (struct smmuv3_accel_bad_ste){
		7, SMMUV3_ACCEL_REASON_STE_EATS
	};
	answer.bad[1] = (struct smmuv3_accel_bad_ste){
		0x1234567, SMMUV3_ACCEL_REASON_STE_UNREADABLE
	};
	answer.bad[2] = answer.bad[0];
	assert_events(rig, 0, events, 3);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM), 0);
}

/* After an overflow, the library asks for each other attached stream, once. */
static void test_overflow(void **state)
{
	static const uint64_t events[] = { 3 | 2ULL << 32, 4 | 3ULL << 32 };
	static const uint64_t after = 4 | 3ULL << 32;
	struct rig *rig = *state;
	uint32_t i;

	enable(rig);
	for (i = 1; i <= 3; i++)
		assert_int_equal(vsmmu_attach(rig->v, 3, i, 0, 0, NULL), 0);
	/* One that the kernel does not know */
	assert_int_equal(vsmmu_attach(rig->v, 3, 99, 0, 0, NULL), 0);
	rig->fake.stream_reason[2] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	rig->fake.stream_reason[3] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	rig->fake.stream_reason[4] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	answer.overflow = true;
	answer.bad_num = 1;
	answer.bad[0] = (struct smmuv3_accel_bad_ste){
		2, SMMUV3_ACCEL_REASON_STE_UNREADABLE
	};
	assert_events(rig, 0, events, 2);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM), 3);

	/* The library does not ask for a detached stream. */
	assert_int_equal(vsmmu_detach(rig->v, 2), 0);
	answer.bad_num = 0;
	assert_events(rig, 2, &after, 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM), 3);
}

/* After an overflow, the library asks for streams that the commands named alone. */
static void test_overflow_named(void **state)
{
	static const uint64_t events[] = {
		4 | 2ULL << 32, 4 | 4ULL << 32, 4 | 5ULL << 32,
	};
	struct rig *rig = *state;
	uint32_t i;

	enable(rig);
	for (i = 1; i <= 7; i++) {
		assert_int_equal(vsmmu_attach(rig->v, 3, i, 0, 0, NULL), 0);
		rig->fake.stream_reason[i] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	}
	put_cmd(rig, 0, CFGI_STE(2), 1);
	put_cmd(rig, 1, CFGI_CD(1), 0);
	put_cmd(rig, 2, CFGI_STE_RANGE(5), 0);		/* 4 and 5 */
	put_cmd(rig, 3, SYNC, 0);
	put_cmd(rig, 4, CFGI_STE(3), 1);		/* not run yet */
	answer.overflow = true;
	answer.num = 4;
	assert_events_of(rig, 4, 0, events, 3);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM), 3);

	/* Names of one batch do not count for the next one. */
	answer.num = 1;
	assert_events(rig, 3, (const uint64_t[]){ 4 | 3ULL << 32 }, 1);
}

/*
 * While SMMUEN is 0, STEs have no effect. When it becomes 1, there is one event for
 * each stream whose STE is not legal and that a CFGI_STE named meanwhile. CFGI_ALL, as
 * drivers begin with, names none.
 */
static void test_enable(void **state)
{
	const uint64_t *queue;
	struct rig *rig = *state;
	uint32_t i, way;

	queue = rig_ptr(rig, QUEUE);
	for (i = 1; i <= 6; i++) {
		assert_int_equal(vsmmu_attach(rig->v, 3, i, 0, 0, NULL), 0);
		rig->fake.stream_reason[i] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	}
	rig->fake.stream_reason[3] = SMMUV3_ACCEL_REASON_STE_ABORT;
	for (way = 0; way < 3; way++) {
		assert_int_equal(vsmmu_reset(rig->v), 0);
		enable(rig);
		put_cmd(rig, 1, CFGI_STE(2), 1);
		put_cmd(rig, 2, CFGI_STE(3), 1);
		put_cmd(rig, 3, CFGI_STE_RANGE(0x24), 5);	/* 0 to 63 */
		put_cmd(rig, 4, CFGI_STE(2), 1);
		put_cmd(rig, 5, CFGI_STE(99), 1);
		answer.num = 1;
		assert_put(rig, CMDQ_PROD, way ? way == 1 ? 3 : 6 : 1);
		assert_int_equal(get(rig, EVENTQ_PROD), 0);

		fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM);
		fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
			  SMMUV3_ACCEL_REASON_RETRY, 1);
		assert_int_equal(put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN), -EAGAIN);
		assert_int_equal(get(rig, EVENTQ_PROD), 0);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM),
				 way ? way == 1 ? 2 : 6 : 0);
		assert_int_equal(get(rig, EVENTQ_PROD), way ? way == 1 ? 1 : 5 : 0);
		if (way)
			assert_int_equal(queue[way == 1 ? 0 : 4],
					 4 | 2ULL << 32);

		/* Once, not each time it is enabled; with it on, RUN_CMDQ reports them. */
		assert_put(rig, EVENTQ_CONS, get(rig, EVENTQ_PROD));
		put_cmd(rig, 6, CFGI_STE(4), 1);
		put_cmd(rig, 7, CFGI_STE(4), 1);
		assert_put(rig, CMDQ_PROD, 8);
		assert_put(rig, CR0, CMDQEN | EVENTQEN);
		assert_put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN);
		assert_int_equal(get(rig, EVENTQ_PROD), get(rig, EVENTQ_CONS));
	}
}

/* If SMMUEN waits for another stream, the kernel has it already and reports bad STEs. */
static void test_enable_pending(void **state)
{
	static const uint64_t events[] = { 4 | 2ULL << 32 };
	struct rig *rig = *state;

	assert_int_equal(vsmmu_attach(rig->v, 3, 2, 0, 0, NULL), 0);
	rig->fake.stream_reason[2] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	enable(rig);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
		  SMMUV3_ACCEL_REASON_RETRY, 2);
	assert_int_equal(put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN), -EAGAIN);
	put_cmd(rig, 0, CFGI_STE(2), 1);
	answer.bad_num = 1;
	answer.bad[0] = (struct smmuv3_accel_bad_ste){
		2, SMMUV3_ACCEL_REASON_STE_CONFIG
	};
	assert_int_equal(put(rig, CMDQ_PROD, 1), -EAGAIN);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_events_of(rig, 0, 0, events, 1);
}

/* If the kernel cannot be asked, the event comes later. */
static void test_ask_again(void **state)
{
	static const int errnos[] = { -EINTR, -ENOMEM, -EIO };
	static const uint64_t event = 4 | 2ULL << 32;
	struct rig *rig = *state;
	size_t i;

	assert_int_equal(vsmmu_attach(rig->v, 3, 2, 0, 0, NULL), 0);
	/* One that the kernel does not know: no use to ask again */
	assert_int_equal(vsmmu_attach(rig->v, 3, 7, 0, 0, NULL), 0);
	rig->fake.attached--;
	rig->fake.stream_reason[2] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	for (i = 0; i < ARRAY_LEN(errnos); i++) {
		assert_int_equal(vsmmu_reset(rig->v), 0);
		enable(rig);
		put_cmd(rig, 0, CFGI_STE_RANGE(0), 2);		/* 0 to 7 */
		assert_put(rig, CMDQ_PROD, 1);
		fake_fail(&rig->fake, SMMUV3_ACCEL_GET_STREAM, errnos[i], 0,
			  errnos[i] == -EINTR ? 100 : 1);
		assert_put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN);
		assert_int_equal(get(rig, CR0ACK), CMDQEN | EVENTQEN | SMMUEN);
		assert_int_equal(get(rig, EVENTQ_PROD), 0);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_events_of(rig, 0, 0, &event, 1);
		fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_GET_STREAM), 0);
	}
}

/* A stream that the kernel reports while SMMUEN is pending is not reported again. */
static void test_reported_pending(void **state)
{
	static const uint64_t event = 4 | 2ULL << 32;
	struct rig *rig = *state;

	assert_int_equal(vsmmu_attach(rig->v, 3, 2, 0, 0, NULL), 0);
	rig->fake.stream_reason[2] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	enable(rig);
	put_cmd(rig, 0, CFGI_STE(2), 1);
	put_cmd(rig, 1, CFGI_STE(2), 1);
	assert_put(rig, CMDQ_PROD, 1);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
		  SMMUV3_ACCEL_REASON_RETRY, 2);
	assert_int_equal(put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN), -EAGAIN);
	answer.bad_num = 1;
	answer.bad[0] = (struct smmuv3_accel_bad_ste){
		2, SMMUV3_ACCEL_REASON_STE_CONFIG
	};
	assert_int_equal(put(rig, CMDQ_PROD, 2), -EAGAIN);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_events_of(rig, 0, 0, &event, 1);
}

/* What the guest named before a reset is not for the next one. */
static void test_enable_reset(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	rig->fake.stream_reason[1] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	enable(rig);
	put_cmd(rig, 0, CFGI_STE(1), 1);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(vsmmu_reset(rig->v), 0);
	enable(rig);
	assert_put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN);
	assert_int_equal(get(rig, EVENTQ_PROD), 0);
}

/* A stream that is attached or gets its StreamID later was not named. */
static void test_enable_others(void **state)
{
	const struct smmuv3_accel_vsid entry = { 2, 5 };
	struct rig *rig = *state;
	uint32_t i;

	for (i = 1; i <= 3; i++)
		assert_int_equal(vsmmu_attach(rig->v, 3, i, 0, 0, NULL), 0);
	for (i = 0; i < FAKE_STREAMS; i++)
		rig->fake.stream_reason[i] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	enable(rig);
	for (i = 2; i <= 5; i++)
		put_cmd(rig, i, CFGI_STE(i), 1);
	answer.num = 1;
	assert_put(rig, CMDQ_PROD, 6);
	/* No command named this one, and another one takes its place in the list. */
	assert_int_equal(vsmmu_detach(rig->v, 1), 0);
	assert_int_equal(vsmmu_attach(rig->v, 3, 4, 0, 0, NULL), 0);
	assert_int_equal(vsmmu_set_vsids(rig->v, &entry, 1), 0);
	assert_put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	assert_int_equal(*(uint64_t *)rig_ptr(rig, QUEUE), 4 | 3ULL << 32);
}

/* They become events even if the call fails for another reason. */
static void test_with_failure(void **state)
{
	struct rig *rig = *state;

	enable(rig);
	answer.bad_num = 1;
	answer.bad[0] = (struct smmuv3_accel_bad_ste){
		6, SMMUV3_ACCEL_REASON_STE_S1FMT
	};
	answer.rc = -EIO;
	assert_int_equal(put(rig, CMDQ_PROD, 1), -EIO);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	assert_int_equal(*(uint64_t *)rig_ptr(rig, QUEUE), 4 | 6ULL << 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_queues, rig_teardown)
		TEST(test_reasons),
		TEST(test_listed),
		TEST(test_overflow),
		TEST(test_overflow_named),
		TEST(test_enable),
		TEST(test_enable_pending),
		TEST(test_ask_again),
		TEST(test_reported_pending),
		TEST(test_enable_reset),
		TEST(test_enable_others),
		TEST(test_with_failure),
	};

	return cmocka_run_group_tests_name("bad_ste", tests, NULL, NULL);
}
