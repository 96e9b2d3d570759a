// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The event queue: from vEVENTQs to the guest's memory.
 */
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "rig.h"

#define LOST	1U
#define QUEUE	(RAM_BASE + 0x2000)

static const uint64_t an_event[4] = { 0x4200000010, 0x11, 0x22, 0x33 };

static void inject(struct rig *rig, uint64_t word)
{
	const uint64_t event[4] = { word, word + 1, word + 2, word + 3 };

	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
}

static void assert_event(struct rig *rig, uint64_t gpa, uint64_t word)
{
	const uint64_t event[4] = { word, word + 1, word + 2, word + 3 };

	assert_memory_equal(rig_ptr(rig, gpa), event, sizeof(event));
}

static void test_fill_and_wrap(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	enable_eventq(rig, QUEUE, 2);
	for (i = 0; i < 20; i++) {
		inject(rig, i);
		assert_int_equal(get(rig, EVENTQ_PROD), (i + 1) & 7);
		assert_event(rig, QUEUE + i % 4 * 32, i);
		assert_put(rig, EVENTQ_CONS, (i + 1) & 7);
	}
	/* Nothing but the queue was written. */
	for (i = 0; i < RAM_SIZE; i++)
		if (rig->ram[i ^ RAM_HALF] && (i < 0x2000 || i >= 0x2080))
			fail_msg("memory was written at %#x", i);
}

static void test_disabled(void **state)
{
	struct rig *rig = *state;

	inject(rig, 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 0);
	assert_int_equal(put64(rig, EVENTQ_BASE, QUEUE | 3), 0);
	assert_put(rig, EVENTQ_PROD, 5);
	assert_put(rig, EVENTQ_CONS, 5);
	enable_eventq(rig, QUEUE, 3);
	inject(rig, 7);
	assert_int_equal(get(rig, EVENTQ_PROD), 6);
	assert_event(rig, QUEUE + 5 * 32, 7);
	assert_put(rig, CR0, 0);
	inject(rig, 8);
	assert_int_equal(get(rig, EVENTQ_PROD), 6);
}

/* The size that is in use is capped, and the base is aligned to it. */
static void test_base(void **state)
{
	const struct vsmmu_options options = { .eventq_bits = 2 };
	const struct vsmmu_region region = {
		RAM_BASE, RAM_HALF, 0,
	};
	struct vsmmu_region here = region;
	struct rig *rig = *state;

	here.uaddr = (uintptr_t)rig->ram + RAM_HALF;
	assert_int_equal(vsmmu_set_memory(rig->v, &here, 1), 0);
	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	enable_eventq(rig, QUEUE + 0x60, 9);
	inject(rig, 1);
	assert_event(rig, QUEUE, 1);
	inject(rig, 2);
	inject(rig, 3);
	inject(rig, 4);
	assert_int_equal(get(rig, EVENTQ_PROD), 4);
	inject(rig, 5);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 4);
}

/* Full: OVFLG toggles once, until it is acknowledged; events go on when they can */
static void test_overflow(void **state)
{
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 1);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	inject(rig, 1);
	inject(rig, 2);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);
	inject(rig, 3);
	inject(rig, 4);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 2);
	assert_event(rig, QUEUE, 1);
	assert_event(rig, QUEUE + 32, 2);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);

	/* Room, but the overflow is not acknowledged */
	assert_put(rig, EVENTQ_CONS, 1);
	inject(rig, 5);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 3);
	assert_event(rig, QUEUE, 5);
	inject(rig, 6);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 3);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);

	/* Acknowledged; and the next one toggles it back */
	assert_put(rig, EVENTQ_CONS, OVFLG | 3);
	inject(rig, 7);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
	inject(rig, 8);
	inject(rig, 9);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
}

/* If CONS is not within the queue, the queue counts as full. */
static void test_cons_astray(void **state)
{
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 3);
	assert_put(rig, EVENTQ_CONS, 3);
	inject(rig, 1);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG);
	assert_put(rig, EVENTQ_CONS, OVFLG | 0xffff0);
	inject(rig, 2);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 1);
}

static void test_irq(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct rig *rig = *state;
	uint64_t count;

	enable_eventq(rig, QUEUE, 3);
	inject(rig, 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN | GERROR_IRQEN);
	assert_int_equal(get(rig, IRQ_CTRLACK), EVENTQ_IRQEN | GERROR_IRQEN);
	inject(rig, 2);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_put(rig, EVENTQ_CONS, 2);
	inject(rig, 3);
	inject(rig, 4);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);

	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ, fd), 0);
	assert_put(rig, EVENTQ_CONS, 4);
	inject(rig, 5);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	close(fd);
}

/* Without callback and eventfd, the library drops edges. */
static void test_irq_nobody(void **state)
{
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	const struct vsmmu_region region = {
		RAM_BASE, RAM_HALF, (uintptr_t)rig->ram + RAM_HALF,
	};

	vsmmu_free(rig->v);
	config.raise = NULL;
	config.region_num = 1;
	config.regions = &region;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(vsmmu_start(rig->v, NULL), 0);
	enable_eventq(rig, QUEUE, 3);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	inject(rig, 1);
	assert_event(rig, QUEUE, 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
}

/* The queue is not in memory, all of it or part of an event */
static void test_abort(void **state)
{
	static const uint64_t bases[] = {
		0, RAM_BASE - 0x1000, RAM_BASE + RAM_SIZE, 1ULL << 51,
	};
	struct rig *rig = *state;
	uint32_t gerror = 0;
	size_t i;

	assert_put(rig, IRQ_CTRL, GERROR_IRQEN | EVENTQ_IRQEN);
	for (i = 0; i < ARRAY_LEN(bases); i++) {
		assert_put(rig, CR0, 0);
		enable_eventq(rig, bases[i], 4);
		inject(rig, 1);
		gerror ^= EVENTQ_ABT_ERR;
		assert_int_equal(get(rig, GERROR), gerror);
		assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 1);
		assert_int_equal(get(rig, EVENTQ_PROD), 0);

		/* Nothing is written until it is acknowledged. */
		assert_put(rig, CR0, 0);
		enable_eventq(rig, QUEUE, 4);
		inject(rig, 2);
		assert_int_equal(get(rig, EVENTQ_PROD), 0);
		assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
		assert_put(rig, GERRORN, gerror);
		inject(rig, 3);
		assert_int_equal(get(rig, EVENTQ_PROD), 1);
		assert_event(rig, QUEUE, 3);
		assert_put(rig, CR0, 0);
		assert_put(rig, EVENTQ_PROD, 0);
	}
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 4);
}

/* Records and the queue cross from a region to the next. */
static void test_regions(void **state)
{
	struct vsmmu_region regions[4] = {
		{ RAM_BASE + 0x1000, 0x10, 0 }, { RAM_BASE + 0x1010, 0x18, 0 },
		{ RAM_BASE + 0x1028, 0x38, 0 }, { RAM_BASE, 0x1000, 0 },
	};
	struct rig *rig = *state;
	char want[64];
	int i;

	for (i = 0; i < 4; i++)
		regions[i].uaddr = (uintptr_t)rig->ram + (3 - i) * 0x4000;
	assert_int_equal(vsmmu_set_memory(rig->v, regions, 4), 0);
	enable_eventq(rig, RAM_BASE + 0x1000, 1);
	inject(rig, 0x1111);
	inject(rig, 0x2222);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);
	memcpy(want, rig->ram + 0xc000, 0x10);
	memcpy(want + 0x10, rig->ram + 0x8000, 0x18);
	memcpy(want + 0x28, rig->ram + 0x4000, 0x18);
	for (i = 0; i < 8; i++)
		assert_int_equal(((uint64_t *)want)[i],
				 i < 4 ? 0x1111 + i : 0x2222 + i - 4);

	/* Half of a record is in memory. */
	assert_int_equal(vsmmu_set_memory(rig->v, regions, 1), 0);
	assert_put(rig, EVENTQ_CONS, 2);
	inject(rig, 0x3333);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);
	assert_int_equal(get(rig, GERROR), EVENTQ_ABT_ERR);
	assert_memory_equal(rig->ram + 0xc000, want, 0x10);
}

/* A queue at @base aborts, and goes on in memory once that is acknowledged. */
static void assert_aborts(struct rig *rig, uint64_t base)
{
	uint32_t prod = get(rig, EVENTQ_PROD), gerror = get(rig, GERROR);

	assert_put(rig, CR0, 0);
	enable_eventq(rig, base, 1);
	inject(rig, 0x7777);
	assert_int_equal(get(rig, GERROR), gerror ^ EVENTQ_ABT_ERR);
	assert_int_equal(get(rig, EVENTQ_PROD), prod);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_put(rig, GERRORN, gerror ^ EVENTQ_ABT_ERR);
}

/* A ROM, which the VMM cannot write either, and a record that ends in it */
static void test_read_only(void **state)
{
	const size_t size = 0x1000;
	char *rom = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rig *rig = *state;
	struct vsmmu_region regions[] = {
		{ RAM_BASE, 0x30, (uintptr_t)rig->ram },
		{ RAM_BASE + 0x30, size, (uintptr_t)rom, VSMMU_REGION_READONLY },
		{ RAM_BASE + 0x30 + size, 0x40, (uintptr_t)rig->ram + 0x30 },
	};
	size_t i;

	assert_ptr_not_equal(rom, MAP_FAILED);
	assert_int_equal(vsmmu_set_memory(rig->v, regions, ARRAY_LEN(regions)), 0);
	assert_put(rig, IRQ_CTRL, GERROR_IRQEN | EVENTQ_IRQEN);
	assert_aborts(rig, RAM_BASE + 0x40);
	assert_aborts(rig, RAM_BASE + 0x1000);

	/* Half of it in memory, before and behind the ROM: nothing is written. */
	assert_put(rig, CR0, 0);
	assert_put(rig, EVENTQ_PROD, 1);
	assert_put(rig, EVENTQ_CONS, 1);
	assert_aborts(rig, RAM_BASE);
	assert_aborts(rig, RAM_BASE + 0x1000);
	for (i = 0; i < RAM_SIZE; i++)
		assert_int_equal(rig->ram[i], 0);

	/* The VMM lists other memory there; what is in memory is written. */
	regions[1].uaddr = (uintptr_t)rig->ram + 0x1000;
	regions[1].flags = 0;
	assert_int_equal(vsmmu_set_memory(rig->v, regions, ARRAY_LEN(regions)), 0);
	inject(rig, 0x4444);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);
	assert_int_equal(*(uint64_t *)(rig->ram + 0x1ff0), 0x4444);
	assert_int_equal(*(uint64_t *)(rig->ram + 0x30), 0x4446);
	munmap(rom, size);
}

static void test_veventq(void **state)
{
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 6);
	assert_int_equal(vsmmu_poll_events(rig->v), 0);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + 1), 0);
	assert_int_equal(vsmmu_poll_events(rig->v), 0);
	fake_event(&rig->fake, 0, 0, 7, an_event);
	fake_event(&rig->fake, 0, 0, 8, an_event);
	fake_event(&rig->fake, 1, 0, 0, an_event);
	assert_int_equal(vsmmu_poll_events(rig->v), 3);
	assert_int_equal(get(rig, EVENTQ_PROD), 3);
	assert_memory_equal(rig_ptr(rig, QUEUE), an_event, 32);
	assert_memory_equal(rig_ptr(rig, QUEUE + 64), an_event, 32);

	/* Nothing to read, as 0 or as EAGAIN; a signal */
	rig->fake.queue_rc[0] = -EAGAIN;
	rig->fake.queue_rc[1] = -EINTR;
	assert_int_equal(vsmmu_poll_events(rig->v), 0);

	assert_int_equal(vsmmu_remove_veventq(rig->v, FAKE_VEVENTQ), 0);
	assert_refused(rig->v, vsmmu_remove_veventq(rig->v, FAKE_VEVENTQ),
		       -ENOENT, VSMMU_REASON_NO_VEVENTQ);
	memset(rig->fake.queue_rc, 0, sizeof(rig->fake.queue_rc));
	fake_event(&rig->fake, 0, 0, 9, an_event);
	assert_int_equal(vsmmu_poll_events(rig->v), 0);
	fake_event(&rig->fake, 1, 0, 1, an_event);
	assert_int_equal(vsmmu_poll_events(rig->v), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 4);
}

/* Lost records show as an overflow, by their own record or by the sequence. */
static void test_lost(void **state)
{
	static const struct {
		uint32_t first;
		uint32_t second;
		uint32_t prod;
	} table[] = {
		{ 0, 1, 2 },
		{ 0, 2, OVFLG | 2 },
		{ 5, 5, OVFLG | 2 },
		{ 5, 4, OVFLG | 2 },
		{ 0x7fffffff, 0, 2 },
		{ 0x7fffffff, 1, OVFLG | 2 },
		{ 0x7ffffffe, 0x7fffffff, 2 },
	};
	struct rig *rig = *state;
	size_t i;

	enable_eventq(rig, QUEUE, 6);
	for (i = 0; i < ARRAY_LEN(table); i++) {
		assert_put(rig, CR0, 0);
		assert_put(rig, EVENTQ_PROD, 0);
		assert_put(rig, EVENTQ_CONS, 0);
		assert_put(rig, CR0, EVENTQEN);
		assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
		fake_event(&rig->fake, 0, 0, table[i].first, an_event);
		assert_int_equal(vsmmu_poll_events(rig->v), 1);
		fake_event(&rig->fake, 0, 0, table[i].second, an_event);
		assert_int_equal(vsmmu_poll_events(rig->v), 1);
		assert_int_equal(get(rig, EVENTQ_PROD), table[i].prod);
		assert_int_equal(vsmmu_remove_veventq(rig->v, FAKE_VEVENTQ), 0);
	}

	/* The record of the loss has a sequence number too. */
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	fake_event(&rig->fake, 0, LOST, 3, NULL);
	fake_event(&rig->fake, 0, 0, 4, an_event);
	fake_event(&rig->fake, 0, LOST, 5, NULL);
	assert_int_equal(vsmmu_poll_events(rig->v), 3);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 3);
	assert_put(rig, EVENTQ_CONS, OVFLG | 3);
	fake_event(&rig->fake, 0, 0, 6, an_event);
	assert_int_equal(vsmmu_poll_events(rig->v), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 4);

	/* A loss while the queue is disabled is not reported. */
	assert_put(rig, CR0, 0);
	fake_event(&rig->fake, 0, LOST, 7, NULL);
	assert_int_equal(vsmmu_poll_events(rig->v), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 4);
}

static void test_veventq_errors(void **state)
{
	struct rig *rig = *state;
	int i;

	enable_eventq(rig, QUEUE, 6);
	for (i = 0; i < 3; i++)
		assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + i), 0);

	/* One cannot be read, the others are. */
	rig->fake.queue_rc[1] = -ENODEV;
	fake_event(&rig->fake, 0, 0, 0, an_event);
	fake_event(&rig->fake, 2, 0, 0, an_event);
	assert_refused(rig->v, vsmmu_poll_events(rig->v), -ENODEV,
		       VSMMU_REASON_VEVENTQ_READ);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);

	/* Half a record, half a header: what is whole is taken. */
	rig->fake.queue_rc[1] = 0;
	fake_event(&rig->fake, 1, 0, 0, an_event);
	fake_event(&rig->fake, 1, 0, 1, an_event);
	rig->fake.queue_len[1] -= 1;
	assert_refused(rig->v, vsmmu_poll_events(rig->v), -EPROTO,
		       VSMMU_REASON_EVENT_RECORD);
	/* The guest sees that an event is lost, each time. */
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 3);
	assert_put(rig, EVENTQ_CONS, OVFLG);
	fake_event(&rig->fake, 1, LOST, 1, NULL);
	rig->fake.queue_len[1] -= 1;
	assert_int_equal(vsmmu_poll_events(rig->v), -EPROTO);
	assert_int_equal(get(rig, EVENTQ_PROD), 3);
}

/* Commands do not fail because of such a record, but the guest sees the loss. */
static void test_lost_with_cfgi(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 4);
	enable_eventq(rig, QUEUE, 6);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	fake_event(&rig->fake, 0, 0, 0, an_event);
	rig->fake.queue_len[0] -= 8;
	put_cmd(rig, 0, CFGI_STE(1), 1);
	put_cmd(rig, 1, SYNC, 0);
	assert_put(rig, CMDQ_PROD, 2);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
	assert_int_equal(rig->fake.queue_len[0], 0);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG);
}

/* One call reads a bounded number of events, so that others get a turn. */
static void test_bounded(void **state)
{
	struct rig *rig = *state;
	int i;

	enable_eventq(rig, QUEUE, 6);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	for (i = 0; i < 64; i++)
		fake_event(&rig->fake, 0, 0, i, an_event);
	rig->fake.queue_endless = true;
	assert_int_equal(vsmmu_poll_events(rig->v), 64 * 16);
	assert_int_equal(get(rig, EVENTQ_PROD), OVFLG | 64);
}

/* One command at a time */
static int run_one(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons++;
	return 0;
}

/* The events that are in the queue when CONS shows that a command is done */
static uint32_t prod_at_cons[16];

static void on_cons(struct fake *fake, const volatile void *line)
{
	struct rig *rig = fake->data;
	char *page = vsmmu_page(rig->v, 0);
	uint32_t cons, prod;

	if (line != page + CMDQ_CONS)
		return;
	memcpy(&cons, page + CMDQ_CONS, sizeof(cons));
	memcpy(&prod, page + EVENTQ_PROD, sizeof(prod));
	prod_at_cons[cons % 16] = prod;
}

/* A CFGI takes the events that there are before CONS shows it. Other commands do not. */
static void test_cfgi(void **state)
{
	static const struct {
		uint64_t dw0;
		uint32_t events;
	} cmds[] = {
		{ SYNC, 0 }, { TLBI_NH_ALL, 0 }, { SYNC, 0 },
		{ CFGI_STE(1), 1 }, { SYNC, 1 }, { SYNC, 1 },
		{ CFGI_STE_RANGE(1), 2 }, { TLBI_NH_ALL, 2 }, { SYNC, 2 },
		{ CFGI_CD(1), 3 }, { CFGI_CD_ALL(1), 4 }, { SYNC, 4 },
	};
	struct vsmmu_error error;
	struct rig *rig = *state;
	uint32_t i;

	enable_cmdq(rig, 4);
	enable_eventq(rig, QUEUE, 6);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	rig->fake.data = rig;
	rig->fake.on_clean = on_cons;
	rig->fake.on_run = run_one;
	for (i = 0; i < ARRAY_LEN(cmds); i++) {
		put_cmd(rig, i, cmds[i].dw0, 0);
		if (!rig->fake.queue_len[0])
			fake_event(&rig->fake, 0, 0, i, an_event);
		assert_put(rig, CMDQ_PROD, i + 1);
		assert_int_equal(prod_at_cons[i + 1] & ~OVFLG, cmds[i].events);
	}

	/* All of them in one batch, over the end of the ring; a vEVENTQ that fails */
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + 1), 0);
	assert_refused(rig->v, vsmmu_add_veventq(rig->v, FAKE_CLOSED), -EBADF,
		       SMMUV3_ACCEL_REASON_BAD_FD);
	rig->fake.queue_rc[1] = -ENODEV;
	rig->fake.on_run = NULL;
	for (i = 12; i < 18; i++)
		put_cmd(rig, i % 16, i == 14 ? CFGI_STE(1) : i == 16 ? SYNC :
			TLBI_NH_ALL, 0);
	fake_event(&rig->fake, 0, 0, i, an_event);
	assert_put(rig, CMDQ_PROD, 18);
	assert_int_equal(get(rig, CMDQ_CONS), 18);
	assert_int_equal(prod_at_cons[18 % 16] & ~OVFLG, 6);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, -EBADF);
}

/* The host fails behind a CFGI. */
static int run_one_and_fail(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	run_one(fake, run);
	run->out_reason = SMMUV3_ACCEL_REASON_RETRY;
	return -ENOMEM;
}

/* Also if the call fails, and once for each CFGI, whatever comes in a later call */
static void test_cfgi_with_failure(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 4);
	enable_eventq(rig, QUEUE, 6);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	put_cmd(rig, 0, CFGI_CD(1), 0);
	put_cmd(rig, 1, TLBI_NH_ALL, 0);
	put_cmd(rig, 2, SYNC, 0);
	rig->fake.on_run = run_one_and_fail;
	fake_event(&rig->fake, 0, 0, 0, an_event);
	assert_int_equal(put(rig, CMDQ_PROD, 3), -EAGAIN);
	assert_int_equal(get(rig, CMDQ_CONS), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
	fake_event(&rig->fake, 0, 0, 1, an_event);
	rig->fake.on_run = NULL;
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
}

/* Each command is an event. While it is run, another vCPU handles the last interrupt. */
static int run_handling(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	struct rig *rig = (struct rig *)fake;

	if (irqs(rig, VSMMU_IRQ_EVENTQ))
		assert_put(rig, EVENTQ_CONS, get(rig, EVENTQ_PROD));
	return fake_run_bad(fake, run);
}

/* A guest that takes its events at each interrupt loses none in a long run. */
static void test_long_run(void **state)
{
	struct rig *rig = *state;

	enable_cmdq(rig, 8);
	enable_eventq(rig, QUEUE, 1);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	rig->fake.on_run = run_handling;
	/* Not so many that the other vCPU would have to wait for its turn */
	assert_put(rig, CMDQ_PROD, 13);
	assert_int_equal(get(rig, EVENTQ_PROD), 13 & 3);
	assert_int_equal(get(rig, EVENTQ_CONS), 12 & 3);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
}

static void test_too_many(void **state)
{
	struct rig *rig = *state;
	int i;

	for (i = 0; i < VSMMU_MAX_VEVENTQS; i++)
		assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + i), 0);
	assert_refused(rig->v, vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + i),
		       -ENOSPC, VSMMU_REASON_TOO_MANY_VEVENTQS);
	assert_int_equal(vsmmu_remove_veventq(rig->v, FAKE_VEVENTQ + 7), 0);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + i), 0);
}

/* Descriptors of other kinds, and the same one twice */
static void test_bad_veventqs(void **state)
{
	struct rig *rig = *state;

	assert_refused(rig->v, vsmmu_add_veventq(rig->v, FAKE_OTHER), -EINVAL,
		       VSMMU_REASON_NOT_VEVENTQ);
	assert_refused(rig->v, vsmmu_add_veventq(rig->v, 0), -EINVAL,
		       VSMMU_REASON_NOT_VEVENTQ);
	assert_refused(rig->v, vsmmu_add_veventq(rig->v, FAKE_CLOSED), -EBADF,
		       SMMUV3_ACCEL_REASON_BAD_FD);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	assert_refused(rig->v, vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), -EEXIST,
		       VSMMU_REASON_VEVENTQ_TWICE);
	/* It was added once. */
	assert_int_equal(vsmmu_remove_veventq(rig->v, FAKE_VEVENTQ), 0);
	assert_refused(rig->v, vsmmu_remove_veventq(rig->v, FAKE_VEVENTQ),
		       -ENOENT, VSMMU_REASON_NO_VEVENTQ);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	/* Without /proc the library cannot check the descriptor, and takes it. */
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_UNKNOWN), 0);
}

static void test_bad_irqfds(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct rig *rig = *state;

	assert_refused(rig->v, vsmmu_set_irqfd(rig->v, VSMMU_IRQ_NUM, fd),
		       -EINVAL, VSMMU_REASON_LINE);
	assert_refused(rig->v, vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ,
					       FAKE_OTHER), -EINVAL,
		       VSMMU_REASON_NOT_EVENTFD);
	assert_refused(rig->v, vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ,
					       FAKE_CLOSED), -EBADF,
		       SMMUV3_ACCEL_REASON_BAD_FD);
	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ, fd), 0);
	assert_refused(rig->v, vsmmu_set_irqfd(rig->v, VSMMU_IRQ_GERROR, fd),
		       -EEXIST, VSMMU_REASON_IRQFD_TWICE);
	/* Again for the same line; for the other when it is free */
	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ, fd), 0);
	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ, -1), 0);
	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_GERROR, fd), 0);
	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ, -1), 0);
	assert_int_equal(vsmmu_set_irqfd(rig->v, VSMMU_IRQ_EVENTQ, FAKE_UNKNOWN),
			 0);
	close(fd);
}

/* The record is in memory before PROD says so. */
static void on_clean(struct fake *fake, const volatile void *line)
{
	struct rig *rig = fake->data;

	if (line == (char *)vsmmu_page(rig->v, 0) + EVENTQ_PROD) {
		assert_event(rig, QUEUE, 5);
		fake->data = NULL;
		fake->on_clean = NULL;
	}
}

static void test_order(void **state)
{
	struct rig *rig = *state;

	enable_eventq(rig, QUEUE, 6);
	rig->fake.data = rig;
	rig->fake.on_clean = on_clean;
	inject(rig, 5);
	assert_null(rig->fake.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_fill_and_wrap, rig_setup),
		TEST(test_disabled, rig_setup),
		TEST(test_base, rig_setup_off),
		TEST(test_overflow, rig_setup),
		TEST(test_cons_astray, rig_setup),
		TEST(test_irq, rig_setup),
		TEST(test_irq_nobody, rig_setup_off),
		TEST(test_abort, rig_setup),
		TEST(test_regions, rig_setup),
		TEST(test_read_only, rig_setup),
		TEST(test_veventq, rig_setup),
		TEST(test_lost, rig_setup),
		TEST(test_veventq_errors, rig_setup),
		TEST(test_bounded, rig_setup),
		TEST(test_cfgi, rig_setup_clean),
		TEST(test_cfgi_with_failure, rig_setup),
		TEST(test_lost_with_cfgi, rig_setup_clean),
		TEST(test_long_run, rig_setup),
		TEST(test_too_many, rig_setup),
		TEST(test_bad_veventqs, rig_setup),
		TEST(test_bad_irqfds, rig_setup),
		TEST(test_order, rig_setup_clean),
	};

	return cmocka_run_group_tests_name("eventq", tests, NULL, NULL);
}
