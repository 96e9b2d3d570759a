// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The command queue: doorbells, progress, guest errors and host errors.
 */
#include <unistd.h>
#include <sys/eventfd.h>

#include "rig.h"

#define CERROR(cons)	((cons) >> 24)

/**
 * struct script - What the kernel answers to RUN_CMDQ, call by call
 * @steps: the answers; beyond them all is done
 * @at: the next one
 */
struct script {
	struct {
		int rc;
		uint32_t done;
		uint32_t error;
		uint32_t reason;
		uint32_t flags;
		uint32_t feed_num;
		uint32_t bad_num;
	} steps[8];
	unsigned int at;
};

/* The stream because of which a call fails */
#define SCRIPT_VSID	0x42U

static int run_script(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct script *script = fake->data;
	unsigned int at = script->at++;

	if (at >= ARRAY_LEN(script->steps))
		at = ARRAY_LEN(script->steps) - 1;
	run->cons += script->steps[at].done;
	run->out_error = script->steps[at].error;
	run->out_reason = script->steps[at].reason;
	run->out_flags = script->steps[at].flags;
	run->feed_num = script->steps[at].feed_num;
	run->bad_num = script->steps[at].bad_num;
	run->out_vsid = script->steps[at].rc ? SCRIPT_VSID : 0;
	return script->steps[at].rc;
}

static void play(struct rig *rig, struct script *script)
{
	rig->fake.data = script;
	rig->fake.on_run = run_script;
}

/* As the module does it: at most max_cmds, within the ring */
static int run_slices(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	uint32_t mask = *(uint32_t *)fake->data;
	uint32_t num = (run->prod - run->cons) & mask;

	assert_true(num && num <= mask / 2 + 1);
	if (run->max_cmds && num > run->max_cmds)
		num = run->max_cmds;
	run->cons = (run->cons + num) & mask;
	return 0;
}

/* One command at a time */
static int run_one(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons++;
	return 0;
}

static unsigned int runs(struct rig *rig)
{
	return fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ);
}

static void test_doorbell(void **state)
{
	struct rig *rig = *state;

	assert_put(rig, CMDQ_PROD, 0);
	enable_cmdq(rig, 4);
	assert_int_equal(runs(rig), 0);
	assert_put(rig, CMDQ_PROD, 5);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(rig->fake.run.prod, 5);
	assert_int_equal(rig->fake.run.cons, 0);
	assert_int_equal(rig->fake.run.max_cmds, 64);
	assert_int_equal(rig->fake.run.feed_num, 0);
	assert_int_equal(get(rig, CMDQ_PROD), 5);
	assert_int_equal(get(rig, CMDQ_CONS), 5);
	/* The same again: nothing to do */
	assert_int_equal(vsmmu_doorbell(rig->v, 5), 0);
	assert_int_equal(runs(rig), 0);
	/* To a full lap and over the wrap bit */
	assert_int_equal(vsmmu_doorbell(rig->v, 5 + 16), 0);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(get(rig, CMDQ_CONS), 21);
	assert_int_equal(vsmmu_doorbell(rig->v, 2), 0);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(rig->fake.run.cons, 21);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
}

static void assert_counters(struct rig *rig, uint64_t doorbells, uint64_t runs,
			    uint64_t cmds, uint64_t retries)
{
	struct vsmmu_counters counters;

	vsmmu_get_counters(rig->v, &counters);
	assert_int_equal(counters.doorbells, doorbells);
	assert_int_equal(counters.runs, runs);
	assert_int_equal(counters.cmds, cmds);
	assert_int_equal(counters.retries, retries);
}

static void test_counters(void **state)
{
	struct script script = {
		.steps = { { 0, 3, 0, 0, 0 }, { 0, 2, 0, 0, 0 },
			   { -ENOMEM, 1, 0, SMMUV3_ACCEL_REASON_RETRY, 0 },
			   { -EIO, 0, 0, SMMUV3_ACCEL_REASON_HOST_REJECT, 0 },
			   { 0, 9, 0, 0, 0 },
			   { 0, 4, 1, SMMUV3_ACCEL_REASON_CMD_OPCODE, 0 } },
	};
	struct rig *rig = *state;

	/* If the queue is disabled or empty, a doorbell does not count. */
	assert_put(rig, CMDQ_PROD, 0);
	enable_cmdq(rig, 6);
	assert_put(rig, CMDQ_PROD, 0);
	assert_counters(rig, 0, 0, 0, 0);
	play(rig, &script);
	assert_put(rig, CMDQ_PROD, 5);
	assert_counters(rig, 1, 2, 5, 0);
	assert_int_equal(vsmmu_doorbell(rig->v, 7), -EAGAIN);
	assert_counters(rig, 2, 3, 6, 1);
	/* Other writes that run the rest of the queue are no doorbells. */
	assert_int_equal(put(rig, IRQ_CTRL, 0), -EIO);
	assert_counters(rig, 2, 4, 6, 1);
	/* A result that makes no sense does not move CONS. */
	assert_int_equal(vsmmu_kick(rig->v), -EIO);
	assert_counters(rig, 2, 5, 6, 1);
	/* Commands that are done before an error count. */
	assert_put(rig, CMDQ_PROD, 11);
	assert_counters(rig, 3, 6, 10, 1);
	/* A signal's repetition is a call too. The registers' -EAGAIN is one. */
	rig->fake.on_run = NULL;
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -EINTR, 0, 2);
	assert_put(rig, GERRORN, CMDQ_ERR);
	assert_counters(rig, 3, 9, 11, 1);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM, 0, 1);
	assert_int_equal(put(rig, GBPA, UPDATE | ABORT), -EAGAIN);
	assert_counters(rig, 3, 9, 11, 2);
}

static void test_disabled(void **state)
{
	struct rig *rig = *state;

	assert_put(rig, CMDQ_PROD, 7);
	assert_int_equal(get(rig, CMDQ_PROD), 7);
	assert_int_equal(get(rig, CMDQ_CONS), 0);
	assert_int_equal(runs(rig), 0);
	/* Enabled with commands in it */
	enable_cmdq(rig, 4);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(get(rig, CMDQ_CONS), 7);
	/* Off and on elsewhere */
	assert_put(rig, CR0, 0);
	assert_put(rig, CMDQ_PROD, 0x1f);
	assert_put(rig, CMDQ_CONS, 0x1d);
	assert_int_equal(runs(rig), 0);
	assert_put(rig, CR0, CMDQEN);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(rig->fake.run.cons, 0x1d);
	assert_int_equal(get(rig, CMDQ_CONS), 0x1f);
}

/* Bits of an index above the wrap bit do not matter; LOG2SIZE is capped. */
static void test_index_bits(void **state)
{
	const struct vsmmu_options options = { .cmdq_bits = 3 };
	struct rig *rig = *state;

	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	enable_cmdq(rig, 9);
	assert_put(rig, CMDQ_PROD, 0xfff08);
	assert_int_equal(rig->fake.run.prod, 8);
	assert_int_equal(get(rig, CMDQ_PROD), 0xfff08);
	assert_int_equal(get(rig, CMDQ_CONS), 8);
	assert_int_equal(runs(rig), 1);
	assert_put(rig, CMDQ_PROD, 0x18);
	assert_int_equal(runs(rig), 0);
}

static void test_more_than_a_lap(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 4);
	assert_put(rig, CMDQ_PROD, 17);
	assert_int_equal(runs(rig), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 0);
	assert_int_equal(get(rig, GERROR), 0);
	assert_put(rig, CMDQ_PROD, 16);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(get(rig, CMDQ_CONS), 16);
}

static void test_slices(void **state)
{
	struct rig *rig = *state;
	uint32_t mask = 0x1ff;

	rig->fake.data = &mask;
	rig->fake.on_run = run_slices;
	enable_cmdq(rig, 8);
	assert_put(rig, CMDQ_PROD, 200);
	assert_int_equal(runs(rig), 4);		/* 64 each, and 8 */
	assert_int_equal(get(rig, CMDQ_CONS), 200);
	assert_put(rig, CMDQ_PROD, 456);
	assert_int_equal(runs(rig), 4);
	assert_int_equal(get(rig, CMDQ_CONS), 456);
}

/*
 * If RUN_CMDQ ends early, because another call waits or because it has evaluated many
 * STEs, the library runs the rest, each command once, and keeps what each call
 * reported.
 */
static int run_little(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	uint32_t *calls = fake->data, mask = 0x1ff;
	uint32_t num = (run->prod - run->cons) & mask;

	assert_int_equal(run->cons, *calls == 0 ? 0xfe : *calls == 1 ? 0xff :
			 (0x100 + (*calls - 2) * 3) & mask);
	run->cons = (run->cons + (*calls < 2 ? 1 : num < 3 ? num : 3)) & mask;
	run->out_flags = *calls % 2 ? SMMUV3_ACCEL_RUN_SYNC_IRQ : 0;
	++*calls;
	return 0;
}

static void test_less_done(void **state)
{
	struct rig *rig = *state;
	uint32_t calls = 0;

	assert_int_equal(put64(rig, CMDQ_BASE, RAM_BASE | 8), 0);
	assert_put(rig, CMDQ_PROD, 0xfe);
	assert_put(rig, CMDQ_CONS, 0xfe);
	enable_cmdq(rig, 8);
	rig->fake.data = &calls;
	rig->fake.on_run = run_little;
	assert_put(rig, CMDQ_PROD, 0x10a);
	assert_int_equal(calls, 6);
	assert_int_equal(runs(rig), 6);
	assert_int_equal(get(rig, CMDQ_CONS), 0x10a);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 3);
	assert_counters(rig, 1, 6, 12, 0);
}

/* The guest's mistakes: CONS and ERR, GERROR, the line; stopped until acknowledged */
static void test_cerror(void **state)
{
	struct script script = {};
	struct rig *rig = *state;
	uint32_t error, gerror = 0;

	enable_cmdq(rig, 6);
	assert_put(rig, IRQ_CTRL, GERROR_IRQEN);
	play(rig, &script);
	for (error = 1; error <= 3; error++) {
		script = (struct script){ .steps = { { 0, 2, error, 80, 0 },
						     { 0, 3, 0, 0, 0 } } };
		assert_put(rig, CMDQ_PROD, error * 5);
		assert_int_equal(runs(rig), 1);
		assert_int_equal(get(rig, CMDQ_CONS),
				 error << 24 | ((error - 1) * 5 + 2));
		gerror ^= CMDQ_ERR;
		assert_int_equal(get(rig, GERROR), gerror);
		assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 1);

		/* Neither a doorbell nor a wrong acknowledgment restarts the queue. */
		assert_put(rig, CMDQ_PROD, error * 5);
		assert_put(rig, GERRORN, (gerror ^ CMDQ_ERR) | EVENTQ_ABT_ERR);
		assert_int_equal(get(rig, GERRORN),
				 (gerror ^ CMDQ_ERR) | EVENTQ_ABT_ERR);
		assert_int_equal(get(rig, GERROR), gerror | EVENTQ_ABT_ERR);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_int_equal(runs(rig), 0);

		assert_put(rig, GERRORN, gerror);
		assert_int_equal(get(rig, GERRORN), gerror);
		assert_int_equal(runs(rig), 1);
		assert_int_equal(get(rig, CMDQ_CONS), error * 5);
		assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
	}
	/* No error is active, and a write of GERRORN activates none: GERROR follows. */
	assert_put(rig, GERRORN, gerror ^ CMDQ_ERR);
	assert_int_equal(get(rig, GERRORN), gerror ^ CMDQ_ERR);
	assert_int_equal(get(rig, GERROR), gerror ^ CMDQ_ERR);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
}

static void test_cerror_without_irq(void **state)
{
	struct script script = { .steps = { { 0, 0, 1, 80, 0 } } };
	struct rig *rig = *state;

	enable_cmdq(rig, 6);
	play(rig, &script);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(get(rig, GERROR), CMDQ_ERR);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);

	/* Off: the error and its code stay, only RD can be written; on: stopped. */
	assert_put(rig, CR0, 0);
	assert_put(rig, CMDQ_CONS, 1);
	assert_int_equal(get(rig, CMDQ_CONS), 1 << 24 | 1);
	assert_put(rig, CMDQ_CONS, 0);
	runs(rig);
	assert_put(rig, CR0, CMDQEN);
	assert_int_equal(runs(rig), 0);
	script = (struct script){ .steps = { { 0, 1, 0, 0, 0 } } };
	assert_put(rig, GERRORN, CMDQ_ERR);
	assert_int_equal(runs(rig), 1);
	assert_int_equal(get(rig, CMDQ_CONS), 1);

	/* Acknowledged while off: the code goes, nothing is run. */
	script = (struct script){ .steps = { { 0, 0, 2, 87, 0 } } };
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(get(rig, CMDQ_CONS), 2 << 24 | 1);
	assert_put(rig, CR0, 0);
	runs(rig);
	assert_put(rig, GERRORN, 0);
	assert_int_equal(runs(rig), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
}

static void test_sync_irq(void **state)
{
	struct script script = {
		.steps = { { 0, 2, 0, 0, SMMUV3_ACCEL_RUN_SYNC_IRQ },
			   { -ENOMEM, 1, 0, SMMUV3_ACCEL_REASON_RETRY,
			     SMMUV3_ACCEL_RUN_SYNC_IRQ },
			   { 0, 3, 0, 0, 0 } },
	};
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct rig *rig = *state;
	uint64_t count;

	enable_cmdq(rig, 6);
	play(rig, &script);
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 1);

	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_CMDQ_SYNC, fd), 0);
	assert_int_equal(put(rig, CMDQ_PROD, 6), -EAGAIN);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);

	/* In a full eventfd, an earlier edge is still pending. */
	count = ~0ULL - 1;
	assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
	script = (struct script){ .steps = { { 0, 1, 0, 0,
					       SMMUV3_ACCEL_RUN_SYNC_IRQ } } };
	assert_put(rig, CMDQ_PROD, 7);

	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_CMDQ_SYNC, -1), 0);
	script.at = 0;
	assert_put(rig, CMDQ_PROD, 8);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 1);
	close(fd);
}

/* If the host fails, CONS shows what is done, and the library tries the rest again. */
static void test_host_failures(void **state)
{
	struct script script = {
		.steps = { { -ENOMEM, 3, 0, SMMUV3_ACCEL_REASON_RETRY, 0 },
			   { -EBUSY, 0, 0, SMMUV3_ACCEL_REASON_RETRY, 0 },
			   { -EIO, 1, 0, SMMUV3_ACCEL_REASON_HOST_REJECT, 0 },
			   { -ENODEV, 0, 0, SMMUV3_ACCEL_REASON_DETACHED, 0 },
			   { 0, 6, 0, 0, 0 } },
	};
	struct vsmmu_error error;
	struct rig *rig = *state;

	enable_cmdq(rig, 6);
	play(rig, &script);
	assert_int_equal(put(rig, CMDQ_PROD, 8), -EAGAIN);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
	assert_int_equal(put(rig, CMDQ_PROD, 10), -EAGAIN);
	assert_int_equal(get(rig, CMDQ_PROD), 10);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
	assert_int_equal(vsmmu_kick(rig->v), -EIO);
	assert_int_equal(get(rig, CMDQ_CONS), 4);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, -EIO);
	assert_int_equal(error.request, SMMUV3_ACCEL_RUN_CMDQ);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_HOST_REJECT);
	assert_int_equal(error.vsid, SCRIPT_VSID);
	assert_int_equal(put(rig, IRQ_CTRL, 0), -EIO);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(runs(rig), 5);
	assert_int_equal(rig->fake.run.cons, 4);
	assert_int_equal(get(rig, CMDQ_CONS), 10);
	/* The guest sees no error. */
	assert_int_equal(get(rig, GERROR), 0);
}

/* A signal is no failure, unless too many come in a row. */
static void test_signals(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 6);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -EINTR, 0, 20);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(runs(rig), 21);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -EINTR, 0, ~0U);
	assert_int_equal(put(rig, CMDQ_PROD, 2), -EAGAIN);
	assert_int_equal(runs(rig), 100);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, 0, 0, 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
}

/* After EFAULT a result means nothing, even if it looks like progress. */
static void test_efault(void **state)
{
	struct script script = { .steps = {
		{ -EFAULT, 4, 0, 0, SMMUV3_ACCEL_RUN_SYNC_IRQ },
		{ -EFAULT, 2, SMMUV3_ACCEL_CERROR_ILL, SMMUV3_ACCEL_REASON_RETRY, 0 },
		{ 0, 4, 0, 0, 0 },
	} };
	struct vsmmu_error error;
	struct rig *rig = *state;
	int i;

	enable_cmdq(rig, 4);
	play(rig, &script);
	for (i = 0; i < 2; i++) {
		assert_int_equal(put(rig, CMDQ_PROD, 4), -EIO);
		assert_int_equal(get(rig, CMDQ_CONS), 0);
		assert_int_equal(get(rig, GERROR), 0);
		assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 0);
		vsmmu_last_error(rig->v, &error);
		assert_int_equal(error.error, -EFAULT);
		assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_BAD_POINTER);
		assert_int_equal(error.vsid, 0);
	}
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 4);
}

/* If a result makes no sense, the call fails and CONS does not move. */
static void test_senseless_kernel(void **state)
{
	static const struct script senseless[] = {
		{ .steps = { { 0, 0, 0, 0, 0 } } },
		{ .steps = { { 0, 5, 0, 0, 0 } } },
		{ .steps = { { -ENOMEM, 5, 0, SMMUV3_ACCEL_REASON_RETRY, 0 } } },
		{ .steps = { { 0, 1, 4, 0, 0 } } },
		{ .steps = { { 0, 1, 0x101, 0, 0 } } },
		/* A command for the feed, without a feed */
		{ .steps = { { 0, 1, 0, 0, 0, 1 } } },
		/* More bad STEs than there is room for, with and without progress */
		{ .steps = { { 0, 1, 0, 0, 0, 0, FAKE_STREAMS + 1 } } },
		{ .steps = { { -ENOMEM, 0, 0, 0, 0, 0, ~0U } } },
	};
	struct script script;
	struct vsmmu_error error;
	struct rig *rig = *state;
	size_t i;

	enable_cmdq(rig, 4);
	play(rig, &script);
	for (i = 0; i < ARRAY_LEN(senseless); i++) {
		script = senseless[i];
		assert_int_equal(put(rig, CMDQ_PROD, 4), -EIO);
		assert_int_equal(runs(rig), 1);
		assert_int_equal(get(rig, CMDQ_CONS), 0);
		assert_int_equal(get(rig, GERROR), 0);
		vsmmu_last_error(rig->v, &error);
		assert_int_equal(error.error, -EPROTO);
		assert_int_equal(error.reason, VSMMU_REASON_KERNEL_ANSWER);
	}
}

/* The guest clears CMDQEN after the host failed: the commands stay in the queue. */
static void test_disable_while_stuck(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 6);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(put(rig, CMDQ_PROD, 4), -EAGAIN);
	runs(rig);
	assert_put(rig, CR0, 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(runs(rig), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 0);
	assert_put(rig, CR0, CMDQEN);
	assert_int_equal(get(rig, CMDQ_CONS), 4);
}

/* Until the kernel has CMDQEN, the library does not run the queue. */
static void test_enable_pending(void **state)
{
	static const struct {
		int rc;
		uint32_t reason;
		unsigned int times;
		int want;
	} refusals[] = {
		{ -EINTR, 0, 200, -EAGAIN },
		{ -ENXIO, SMMUV3_ACCEL_REASON_NO_MEM_TABLE, 2, -EIO },
		{ -EIO, SMMUV3_ACCEL_REASON_FOREIGN_MM, 2, -EIO },
		{ -ENXIO, SMMUV3_ACCEL_REASON_NOT_CREATED, 2, -EIO },
		{ -EFAULT, SMMUV3_ACCEL_REASON_BAD_POINTER, 2, -EIO },
		/* Not from the module: it gives a reason. */
		{ -EPERM, 0, 2, -EIO },
		{ -EACCES, 0, 2, -EIO },
		{ -EINVAL, 0, 2, -EIO },
		{ -EIO, 0, 2, -EIO },
		{ -ENOMEM, 0, 2, -EAGAIN },
	};
	struct rig *rig = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(refusals); i++) {
		assert_int_equal(vsmmu_reset(rig->v), 0);
		assert_put(rig, CMDQ_PROD, 1);
		assert_int_equal(put64(rig, CMDQ_BASE, RAM_BASE | 4), 0);
		fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, refusals[i].rc,
			  refusals[i].reason, refusals[i].times);
		assert_int_equal(put(rig, CR0, CMDQEN), refusals[i].want);
		assert_int_equal(get(rig, CR0ACK), 0);
		assert_int_equal(put(rig, CMDQ_PROD, 2), refusals[i].want);
		assert_int_equal(runs(rig), 0);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_int_equal(runs(rig), 1);
		assert_int_equal(get(rig, CMDQ_CONS), 2);
		assert_int_equal(get(rig, CR0ACK), CMDQEN);
	}
}

/* A stream that the kernel cannot configure does not stop the command queue. */
static void test_stream_pending(void **state)
{
	struct rig *rig = *state;

	/* Enabled together with SMMUEN */
	assert_int_equal(put64(rig, CMDQ_BASE, RAM_BASE | 4), 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
		  SMMUV3_ACCEL_REASON_RETRY, ~0U);
	assert_int_equal(put(rig, CR0, SMMUEN | CMDQEN), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	assert_int_equal(put(rig, CMDQ_PROD, 2), -EAGAIN);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);

	/* The same with an update of GBPA, whose failure is not temporary */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENODEV,
		  SMMUV3_ACCEL_REASON_NO_POWER, ~0U);
	assert_int_equal(put(rig, GBPA, UPDATE | ABORT), -EIO);
	assert_int_equal(put(rig, CMDQ_PROD, 5), -EIO);
	assert_int_equal(get(rig, CMDQ_CONS), 5);
	assert_int_equal(get(rig, GBPA), UPDATE | ABORT);

	/* A temporary failure of the queue lets the VMM try again. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(put(rig, CMDQ_PROD, 6), -EAGAIN);
	assert_int_equal(get(rig, CMDQ_CONS), 5);

	/* Each call tries SET_REGS once, however many batches it runs. */
	fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS);
	rig->fake.on_run = run_one;
	assert_int_equal(put(rig, CMDQ_PROD, 10), -EIO);
	assert_int_equal(get(rig, CMDQ_CONS), 10);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);

	/* Disabled, the queue stops, and its base can change. */
	assert_int_equal(put(rig, CR0, SMMUEN), -EIO);
	assert_int_equal(get(rig, CR0ACK), 0);
	assert_int_equal(put64(rig, CMDQ_BASE, RAM_BASE | 3), -EIO);
	assert_int_equal(get64(rig, CMDQ_BASE), RAM_BASE | 3);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, 0, 0, 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CR0ACK), SMMUEN);
	assert_int_equal(get(rig, GBPA), ABORT);
}

/* Where CONS and GERROR are published, in order */
struct order {
	struct rig *rig;
	char log[16];
	unsigned int at;
};

static void on_clean(struct fake *fake, const volatile void *line)
{
	struct order *order = fake->data;
	uint32_t offset = (const volatile char *)line -
		       (const volatile char *)vsmmu_page(order->rig->v, 0);
	char c = offset == CMDQ_CONS ? 'c' : offset == GERROR ? 'g' :
		 offset == CMDQ_PROD ? 'p' : offset == EVENTQ_PROD ? 'e' : '?';

	if (order->at < sizeof(order->log) - 1)
		order->log[order->at++] = c;
}

static int run_logged(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct order *order = fake->data;

	on_clean(fake, (char *)vsmmu_page(order->rig->v, 0) + CR0);
	run->cons++;
	run->out_error = 1;
	fake_bad_ste(run, 1, SMMUV3_ACCEL_REASON_STE_CONFIG);
	return 0;
}

/* PROD first, then the work, then the events it led to, CONS with ERR, GERROR */
static void test_order(void **state)
{
	struct order order = { .rig = *state };
	struct rig *rig = *state;

	enable_cmdq(rig, 4);
	enable_eventq(rig, RAM_BASE + 0x1000, 4);
	rig->fake.data = &order;
	rig->fake.on_clean = on_clean;
	rig->fake.on_run = run_logged;
	assert_put(rig, CMDQ_PROD, 2);
	assert_string_equal(order.log, "p?ecg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_doorbell, rig_setup),
		TEST(test_counters, rig_setup),
		TEST(test_disabled, rig_setup),
		TEST(test_index_bits, rig_setup_off),
		TEST(test_more_than_a_lap, rig_setup),
		TEST(test_slices, rig_setup),
		TEST(test_less_done, rig_setup),
		TEST(test_cerror, rig_setup),
		TEST(test_cerror_without_irq, rig_setup),
		TEST(test_sync_irq, rig_setup),
		TEST(test_host_failures, rig_setup),
		TEST(test_signals, rig_setup),
		TEST(test_efault, rig_setup),
		TEST(test_senseless_kernel, rig_setup),
		TEST(test_disable_while_stuck, rig_setup),
		TEST(test_enable_pending, rig_setup),
		TEST(test_stream_pending, rig_setup),
		TEST(test_order, rig_setup_clean),
	};

	return cmocka_run_group_tests_name("cmdq", tests, NULL, NULL);
}
