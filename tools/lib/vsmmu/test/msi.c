// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Message-signaled interrupts: of CMD_SYNCs, the event queue and errors.
 */
#include <pthread.h>
#include <unistd.h>

#include "rig.h"

#define RING_BITS	7
#define RING		(1U << RING_BITS)
#define BATCH		64U			/* of the fake kernel */
#define QUEUE		(RAM_BASE + 0x2000)
#define TARGET		(RAM_BASE + 0x3000)
#define ITS		0x8090040ULL		/* no memory */
#define CS_IRQ		(1ULL << 12)
#define HEIR_PROD	30U			/* the library hands over before that */
#define ATTRIBUTES	(0xfULL << 24 | 3ULL << 22)

enum {
	GERROR_IRQ_CFG0 = 0x68, GERROR_IRQ_CFG1 = 0x70, GERROR_IRQ_CFG2 = 0x74,
	EVENTQ_IRQ_CFG0 = 0xb0, EVENTQ_IRQ_CFG1 = 0xb8, EVENTQ_IRQ_CFG2 = 0xbc,
};

#define MSI_CMDQ_ABT	(1U << 4)
#define MSI_EVENTQ_ABT	(1U << 5)
#define MSI_GERROR_ABT	(1U << 7)

/* What the callback got */
static struct {
	uint64_t address;
	uint32_t data;
} sent[256];

static unsigned int sent_num;

static void on_msi(void *opaque, uint64_t address, uint32_t data)
{
	struct rig *rig = opaque;
	uint64_t value;

	/* Without the mutex */
	assert_int_equal(vsmmu_read(rig->v, GERROR, &value, 4), 0);
	assert_in_range(sent_num, 0, ARRAY_LEN(sent) - 1);
	sent[sent_num].address = address;
	sent[sent_num++].data = data;
}

static void (*in_callback)(struct rig *rig);

/* Calls of the library from the callback, or from another thread meanwhile */
static void on_msi_calling(void *opaque, uint64_t address, uint32_t data)
{
	on_msi(opaque, address, data);
	if (in_callback)
		in_callback(opaque);
}

/* As the module does it: a batch, and whether a CMD_SYNC of it wants its interrupt */
static int run_syncs(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct rig *rig = (struct rig *)fake;
	uint32_t i, num = (run->prod - run->cons) & (2 * RING - 1);

	num = num < run->max_cmds ? num : run->max_cmds;
	for (i = 0; i < num; i++, run->cons++) {
		const uint64_t *cmd = rig_ptr(rig, RAM_BASE + run->cons % RING * 16);

		if ((cmd[0] & 0x30ff) == (SYNC | CS_IRQ))
			run->out_flags |= SMMUV3_ACCEL_RUN_SYNC_IRQ;
	}
	return 0;
}

static void exchange(struct rig *rig, uint32_t config_flags, bool callback)
{
	const struct vsmmu_region region = {
		RAM_BASE, RAM_HALF, (uintptr_t)rig->ram + RAM_HALF, 0, 0,
	};
	struct vsmmu_config config = rig_config(rig);

	vsmmu_free(rig->v);
	config.flags = VSMMU_CONFIG_CLEAN | config_flags;
	config.msi = callback ? on_msi_calling : NULL;
	config.regions = &region;
	config.region_num = 1;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
}

static int setup_flags(void **state, uint32_t options_flags, bool callback)
{
	const struct vsmmu_options options = { .flags = options_flags };
	struct rig *rig;

	rig_setup_off(state);
	rig = *state;
	exchange(rig, 0, callback);
	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	rig->fake.on_run = run_syncs;
	enable_cmdq(rig, RING_BITS);
	sent_num = 0;
	in_callback = NULL;
	return 0;
}

static int setup(void **state)
{
	return setup_flags(state, VSMMU_OPT_MSI, true);
}

static int setup_nobody(void **state)
{
	return setup_flags(state, VSMMU_OPT_MSI, false);
}

static int setup_none(void **state)
{
	return setup_flags(state, 0, true);
}

static void put_sync(struct rig *rig, uint32_t index, uint64_t address, uint32_t data)
{
	put_cmd(rig, index % RING, SYNC | CS_IRQ | ATTRIBUTES | (uint64_t)data << 32,
		address);
}

static uint32_t word(struct rig *rig, uint64_t gpa)
{
	return *(uint32_t *)rig_ptr(rig, gpa);
}

/* When CONS is published, the MSI is not sent yet. */
static unsigned int published;

static void on_clean(struct fake *fake, const volatile void *line)
{
	struct rig *rig = (struct rig *)fake;

	if (line != (char *)vsmmu_page(rig->v, 0) + CMDQ_CONS)
		return;
	assert_int_equal(word(rig, RAM_BASE), (uint32_t)(SYNC | CS_IRQ | ATTRIBUTES));
	published++;
}

/* Drivers wait for the MSI in the CMD_SYNC's own place in the queue. */
static void test_poll(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(get(rig, IDR0) & 1 << 13, 1 << 13);
	put_sync(rig, 0, RAM_BASE, 0);
	published = 0;
	rig->fake.on_clean = on_clean;
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(published, 1);
	rig->fake.on_clean = NULL;
	assert_int_equal(get(rig, CMDQ_CONS), 1);
	assert_int_equal(word(rig, RAM_BASE), 0);
	assert_int_equal(word(rig, RAM_BASE + 4), 0);
	assert_int_equal(word(rig, RAM_BASE + 8), (uint32_t)RAM_BASE);
	/* The line is asserted as well. */
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 1);
	assert_int_equal(sent_num, 0);
	assert_int_equal(get(rig, GERROR), 0);
}

/* Each CMD_SYNC that is done and asks for it, in order, over the end of the ring */
static void test_syncs(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	assert_put(rig, CR0, 0);
	assert_put(rig, CMDQ_PROD, RING - 2);
	assert_put(rig, CMDQ_CONS, RING - 2);
	assert_put(rig, CR0, CMDQEN);
	put_sync(rig, RING - 2, TARGET, 1);
	put_sync(rig, RING - 1, TARGET, 2);
	put_cmd(rig, 0, TLBI_NH_ALL, TARGET + 4);
	put_cmd(rig, 1, SYNC | ATTRIBUTES | 7ULL << 32, TARGET + 8);		/* CS = 0 */
	put_cmd(rig, 2, SYNC | 2 * CS_IRQ | 7ULL << 32, TARGET + 12);	/* SEV */
	put_sync(rig, 3, 0, 7);
	put_sync(rig, 4, 1ULL << 54 | (TARGET + 16), 3);	/* above OAS: ignored */
	put_sync(rig, 5, TARGET + 20, 7);			/* not run */
	assert_put(rig, CMDQ_PROD, RING + 5);
	assert_int_equal(word(rig, TARGET), 2);
	for (i = 4; i < 16; i += 4)
		assert_int_equal(word(rig, TARGET + i), 0);
	assert_int_equal(word(rig, TARGET + 16), 3);
	assert_int_equal(word(rig, TARGET + 20), 0);
	assert_int_equal(get(rig, GERROR), 0);
	assert_int_equal(sent_num, 0);

	/* After an error, those before it only */
	put_sync(rig, 6, TARGET + 24, 7);
	put_sync(rig, 7, TARGET + 28, 7);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM, 0, 1);
	assert_int_equal(put(rig, CMDQ_PROD, RING + 8), -EAGAIN);
	assert_int_equal(word(rig, TARGET + 24), 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(word(rig, TARGET + 24), 7);

	/* With bits above OAS only, there is no address. */
	put_sync(rig, 8, 1ULL << 54, 7);
	assert_put(rig, CMDQ_PROD, RING + 9);
	assert_int_equal(get(rig, CMDQ_CONS), RING + 9);
	assert_int_equal(sent_num, 0);
}

/* To the VMM what is no memory: all of them, in order; the same twice is one edge */
static void test_callback(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	for (i = 0; i < RING; i++)
		put_sync(rig, i, ITS, i / 2);
	assert_put(rig, CMDQ_PROD, RING);
	assert_int_equal(sent_num, RING / 2);
	for (i = 0; i < sent_num; i++) {
		assert_int_equal(sent[i].address, ITS);
		assert_int_equal(sent[i].data, i);
	}
	/* Memory that crosses its region's end, and is none for 4 bytes */
	put_sync(rig, 0, RAM_BASE + RAM_HALF, 9);
	assert_put(rig, CMDQ_PROD, RING + 1);
	assert_int_equal(sent_num, RING / 2 + 1);
	assert_int_equal(get(rig, GERROR), 0);
}

static void ring_again(struct rig *rig)
{
	in_callback = NULL;
	assert_refused(rig->v, put(rig, CMDQ_PROD, BATCH + RING), -EAGAIN,
		       VSMMU_REASON_MSIS_PENDING);
	assert_int_equal(get(rig, CMDQ_CONS), 2 * BATCH);
	assert_int_equal(sent_num, 1);
}

/*
 * No MSI is lost, and they stay in order, if the queue is run while the VMM takes MSIs.
 * When there is no room for more, the commands wait.
 */
static void test_room(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	for (i = 0; i < RING; i++)
		put_sync(rig, i, ITS, i);
	in_callback = ring_again;
	assert_put(rig, CMDQ_PROD, BATCH);
	assert_int_equal(get(rig, CMDQ_CONS), BATCH + RING);
	assert_int_equal(sent_num, BATCH + RING);
	for (i = 0; i < sent_num; i++)
		assert_int_equal(sent[i].data, i % RING);
}

static void reset_at_third(struct rig *rig)
{
	if (sent_num == 3)
		assert_int_equal(vsmmu_reset(rig->v), 0);
}

/* A reset drops those that the VMM has not got yet. */
static void test_reset(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	for (i = 0; i < RING; i++)
		put_sync(rig, i, ITS, i);
	in_callback = reset_at_third;
	assert_put(rig, CMDQ_PROD, BATCH);
	assert_int_equal(sent_num, 3);
	enable_cmdq(rig, RING_BITS);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(sent_num, 4);
	assert_int_equal(sent[3].data, 0);
}

static void interrupt_often(struct rig *rig)
{
	const uint64_t event[4] = { 0x10 };
	uint32_t i;

	in_callback = NULL;
	for (i = 1; i <= 1000; i++) {
		assert_put(rig, IRQ_CTRL, 0);
		assert_put(rig, EVENTQ_IRQ_CFG1, i);
		assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
		assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
		assert_put(rig, EVENTQ_CONS, get(rig, EVENTQ_PROD));
	}
	assert_int_equal(sent_num, 1);
}

/* An edge that the VMM has not got yet is one, however often it becomes due. */
static void test_merged(void **state)
{
	struct rig *rig = *state;
	uint32_t i, events = 0;

	for (i = 0; i < RING; i++)
		put_sync(rig, i, ITS, i);
	enable_eventq(rig, QUEUE, 4);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, ITS + 4), 0);
	in_callback = interrupt_often;
	assert_put(rig, CMDQ_PROD, BATCH);
	assert_int_equal(sent_num, BATCH + 1);
	for (i = 0; i < sent_num; i++) {
		if (sent[i].address == ITS) {
			assert_int_equal(sent[i].data, i - events);
			continue;
		}
		assert_int_equal(sent[i].address, ITS + 4);
		assert_int_equal(sent[i].data, 1000);
		events++;
	}
	assert_int_equal(events, 1);
}

/* Nobody takes it: the write aborts. So does that of the error's own MSI. */
static void test_abort(void **state)
{
	struct rig *rig = *state;

	put_sync(rig, 0, ITS, 1);
	put_sync(rig, 1, ITS, 1);
	put_sync(rig, 2, ITS, 1);
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
	assert_int_equal(get(rig, GERROR), MSI_CMDQ_ABT);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
	/* Active: nothing toggles. Acknowledged: it is reported again. */
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(get(rig, GERROR), MSI_CMDQ_ABT);
	assert_int_equal(put64(rig, GERROR_IRQ_CFG0, ITS), 0);
	assert_put(rig, IRQ_CTRL, GERROR_IRQEN);
	assert_put(rig, GERRORN, MSI_CMDQ_ABT);
	assert_put(rig, CMDQ_PROD, 3);
	assert_int_equal(get(rig, GERROR), MSI_GERROR_ABT);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
	assert_true(irqs(rig, VSMMU_IRQ_GERROR) >= 1);
}

/* The event queue's and GERROR's MSIs, with their registers and enable bits */
static void test_sources(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 4);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, TARGET | 3), 0);
	assert_int_equal(get64(rig, EVENTQ_IRQ_CFG0), TARGET);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG1, ~0ULL << 32 | 0x1234), 0);
	assert_int_equal(get64(rig, EVENTQ_IRQ_CFG1), 0x3fULL << 32 | 0x1234);
	assert_int_equal(put64(rig, GERROR_IRQ_CFG0, ITS), 0);
	assert_put(rig, GERROR_IRQ_CFG1, 0x5678);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(word(rig, TARGET), 0);		/* not enabled */

	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN | GERROR_IRQEN);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, ITS), 0);
	assert_put(rig, EVENTQ_IRQ_CFG1, 1);
	assert_put(rig, EVENTQ_IRQ_CFG2, 0);
	assert_int_equal(put64(rig, GERROR_IRQ_CFG0, TARGET), 0);
	assert_put(rig, GERROR_IRQ_CFG1, 1);
	assert_put(rig, GERROR_IRQ_CFG2, 1);
	assert_int_equal(get64(rig, EVENTQ_IRQ_CFG0), TARGET);
	assert_int_equal(get64(rig, EVENTQ_IRQ_CFG1), 0x3fULL << 32 | 0x1234);
	assert_int_equal(get64(rig, GERROR_IRQ_CFG0), ITS);
	assert_int_equal(get64(rig, GERROR_IRQ_CFG1), 0x5678);

	assert_put(rig, EVENTQ_CONS, 1);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(word(rig, TARGET), 0x1234);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
	assert_int_equal(sent_num, 0);
	/* The event queue is in no memory: an error, whose MSI goes to the VMM */
	assert_put(rig, CR0, CMDQEN);
	enable_eventq(rig, 0, 4);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(get(rig, GERROR), EVENTQ_ABT_ERR);
	assert_int_equal(sent_num, 1);
	assert_int_equal(sent[0].address, ITS);
	assert_int_equal(sent[0].data, 0x5678);
}

static void test_eventq_abort(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 4);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, ITS), 0);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	assert_int_equal(get(rig, GERROR), MSI_EVENTQ_ABT);
}

/* Not offered: the registers are RES0, and CMD_SYNCs write nothing. */
static void test_not_offered(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct rig *rig = *state;

	assert_int_equal(get(rig, IDR0) & 1 << 13, 0);
	put_sync(rig, 0, TARGET, 7);
	put_sync(rig, 1, ITS, 7);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, ITS), 0);
	assert_int_equal(get64(rig, EVENTQ_IRQ_CFG0), 0);
	enable_eventq(rig, QUEUE, 4);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 1);
	assert_int_equal(word(rig, TARGET), 0);
	assert_int_equal(sent_num, 0);
	assert_put(rig, GERRORN, ~0U);
	assert_int_equal(get(rig, GERRORN), 0x5);
}

/* Saved, restored, and signaled again: the registers are part of the state. */
static void test_state(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_state saved, again;
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 4);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, ITS), 0);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG1, 0x1500000001ULL), 0);
	assert_int_equal(put64(rig, GERROR_IRQ_CFG0, ITS + 4), 0);
	assert_int_equal(put64(rig, GERROR_IRQ_CFG1, 0x2a00000002ULL), 0);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(sent_num, 1);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(saved.eventq_irq_cfg0, ITS);
	assert_int_equal(saved.eventq_irq_cfg1, 1);
	assert_int_equal(saved.eventq_irq_cfg2, 0x15);
	assert_int_equal(saved.gerror_irq_cfg0, ITS + 4);
	assert_int_equal(saved.gerror_irq_cfg1, 2);
	assert_int_equal(saved.gerror_irq_cfg2, 0x2a);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(sent_num, 2);
	assert_int_equal(sent[1].address, ITS);
	assert_int_equal(vsmmu_save(rig->v, &again), 0);
	assert_memory_equal(&again, &saved, sizeof(again));
	saved.version = 1;
	assert_refused(rig->v, vsmmu_restore(rig->v, &saved), -EINVAL,
		       VSMMU_REASON_STATE);
}

/* Until the registers are in force, the MSI is not sent. */
static void on_restore(struct fake *fake, const volatile void *line)
{
	struct rig *rig = (struct rig *)fake;

	(void)line;
	assert_int_equal(word(rig, TARGET), 0);
	published++;
}

/*
 * Restored interrupts come when all else is done. One that nobody takes, because the VMM
 * has not set the memory, is no error of the guest.
 */
static void test_standing(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_state saved, again;
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 4);
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, TARGET), 0);
	assert_put(rig, EVENTQ_IRQ_CFG1, 7);
	assert_int_equal(put64(rig, GERROR_IRQ_CFG0, TARGET + 4), 0);
	assert_put(rig, GERROR_IRQ_CFG1, 8);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN | GERROR_IRQEN);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	saved.gerror ^= EVENTQ_ABT_ERR;
	memset(rig_ptr(rig, TARGET), 0, 8);
	published = 0;
	rig->fake.on_clean = on_restore;
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	rig->fake.on_clean = NULL;
	assert_true(published);
	assert_int_equal(word(rig, TARGET), 7);
	assert_int_equal(word(rig, TARGET + 4), 8);

	assert_int_equal(vsmmu_set_memory(rig->v, NULL, 0), 0);
	irqs(rig, VSMMU_IRQ_EVENTQ);
	irqs(rig, VSMMU_IRQ_GERROR);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(get(rig, GERROR), EVENTQ_ABT_ERR);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 1);
	assert_int_equal(vsmmu_save(rig->v, &again), 0);
	assert_memory_equal(&again, &saved, sizeof(again));
}

/* A state of version 1, which has none of them */
static void test_state_1(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;

	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(saved.version, VSMMU_STATE_VERSION);
	saved.version = 1;
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	saved.eventq_irq_cfg0 = TARGET;
	assert_refused(rig->v, vsmmu_restore(rig->v, &saved), -EINVAL,
		       VSMMU_REASON_STATE);
}

/* The VMM may hold a lock of its own that its callback takes, too. */
static void access_meanwhile(struct fake *fake, unsigned long request)
{
	struct rig *rig = (struct rig *)fake;

	if (request != SMMUV3_ACCEL_GET_STREAM)
		return;
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	assert_int_equal(vsmmu_set_prod(rig->v, 1), 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(sent_num, 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	published++;
}

static void set_up_bad(struct rig *rig)
{
	assert_int_equal(put64(rig, EVENTQ_IRQ_CFG0, ITS), 0);
	enable_bad(rig, QUEUE, RING_BITS);
}

/* An access does not make the callbacks of the thread that runs the queue. */
static void test_meanwhile(void **state)
{
	struct rig *rig = *state;

	set_up_bad(rig);
	rig->fake.on_run = fake_run_bad;
	rig->fake.on_call = access_meanwhile;
	published = 0;
	assert_put(rig, CMDQ_PROD, 1);
	assert_int_equal(published, 1);
	assert_int_equal(sent_num, 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
}

static void *ring_one_more(void *arg)
{
	return put(arg, CMDQ_PROD, HEIR_PROD + 1) ? arg : NULL;
}

static pthread_t heir;

/* Another vCPU rings, and waits to inherit the queue. */
static void inherit(struct fake *fake, unsigned long request)
{
	struct rig *rig = (struct rig *)fake;
	uint64_t prod = 0;

	if (request != SMMUV3_ACCEL_GET_STREAM)
		return;
	fake->on_call = NULL;
	assert_int_equal(pthread_create(&heir, NULL, ring_one_more, rig), 0);
	/* Not by get(), which takes two looks */
	while (!vsmmu_read(rig->v, CMDQ_PROD, &prod, 4) && prod != HEIR_PROD + 1)
		usleep(10);
	published++;
}

static int run_bad_late(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	if (run->cons == HEIR_PROD - 2)
		return fake_run_bad(fake, run);
	run->cons++;
	return 0;
}

/* No callback is lost if another caller waits to take over the queue. */
static void test_heir(void **state)
{
	struct rig *rig = *state;
	void *failed;

	set_up_bad(rig);
	rig->fake.on_run = run_bad_late;
	rig->fake.on_call = inherit;
	published = 0;
	assert_put(rig, CMDQ_PROD, HEIR_PROD);
	assert_int_equal(published, 1);
	assert_int_equal(pthread_join(heir, &failed), 0);
	assert_null(failed);
	assert_int_equal(get(rig, CMDQ_CONS), HEIR_PROD + 1);
	assert_int_equal(sent_num, 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
}

/* The module may run as little as one command. */
static int run_one_sync(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	run->max_cmds = 1;
	return run_syncs(fake, run);
}

static unsigned int depth, deepest;

static void kick(struct rig *rig)
{
	if (++depth > deepest)
		deepest = depth;
	assert_int_equal(vsmmu_kick(rig->v), 0);
	depth--;
}

/* Callbacks that run the queue do not nest as deep as a guest wants. */
static void test_nested(void **state)
{
	struct rig *rig = *state;

	fill_ring(rig, RING_BITS, SYNC | CS_IRQ, ITS);
	rig->fake.on_run = run_one_sync;
	rig->on_irq = kick;
	depth = 0;
	deepest = 0;
	assert_put(rig, CMDQ_PROD, RING);
	assert_int_equal(get(rig, CMDQ_CONS), RING);
	assert_in_range(deepest, 1, 2);
	/* None is lost: one from the first batch, and one when the inner call ends */
	assert_int_equal(irqs(rig, VSMMU_IRQ_CMDQ_SYNC), 2);
}

static void attach_once(struct rig *rig)
{
	in_callback = NULL;
	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	assert_int_equal(vsmmu_detach(rig->v, 1), 0);
}

/* A callback may attach a device, also while vsmmu_resume() runs the queue. */
static void test_resume(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;

	put_sync(rig, 0, ITS, 7);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM, 0, 1);
	assert_int_equal(put(rig, CMDQ_PROD, 1), -EAGAIN);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	exchange(rig, VSMMU_CONFIG_CHANGE_PROCESS, true);
	in_callback = attach_once;
	assert_int_equal(vsmmu_resume(rig->v, NULL, &saved, NULL, 0), 0);
	assert_null(in_callback);
	assert_int_equal(sent_num, 1);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_poll, setup),
		TEST(test_syncs, setup),
		TEST(test_callback, setup),
		TEST(test_room, setup),
		TEST(test_reset, setup),
		TEST(test_merged, setup),
		TEST(test_abort, setup_nobody),
		TEST(test_sources, setup),
		TEST(test_eventq_abort, setup_nobody),
		TEST(test_not_offered, setup_none),
		TEST(test_state, setup),
		TEST(test_standing, setup_nobody),
		TEST(test_state_1, setup_none),
		TEST(test_meanwhile, setup),
		TEST(test_heir, setup),
		TEST(test_nested, setup),
		TEST(test_nested, setup_none),
		TEST(test_resume, setup),
	};

	/* A test that waits for ever has failed. */
	alarm(300);
	return cmocka_run_group_tests_name("msi", tests, NULL, NULL);
}
