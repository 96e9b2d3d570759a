// SPDX-License-Identifier: GPL-2.0
/* Doorbells from the ring of coalesced MMIO */
#include <stdlib.h>
#include <string.h>
#include <linux/kvm.h>

#include "test.h"

/* poll.c has a clock of this file. */
static int read_clock(clockid_t id, struct timespec *ts);
#define clock_gettime	read_clock
#include "../poll.c"
#undef clock_gettime

#define PROD	(SMMU_BASE + 0x98)
#define MS	1000000ULL

static uint64_t clock_ns = 1000 * MS;
static void (*at_tick)(void);	/* after each look at the coarse clock */

static int read_clock(clockid_t id, struct timespec *ts)
{
	uint64_t time = clock_ns;

	if (id == CLOCK_MONOTONIC_COARSE)
		time -= time % tick_length();
	ts->tv_sec = time / 1000000000;
	ts->tv_nsec = time % 1000000000;
	if (id == CLOCK_MONOTONIC_COARSE && at_tick)
		at_tick();
	return 0;
}

static void store(uint64_t addr, unsigned int len, uint64_t value)
{
	struct kvm_coalesced_mmio *at = &ring->coalesced_mmio[ring->last];

	at->phys_addr = addr;
	at->len = len;
	memcpy(at->data, &value, sizeof(at->data));
	ring->last = (ring->last + 1) % ring_size;
}

/* KVM switches a zone. The guest goes on meanwhile. */
static void (*at_switch)(bool on);

int vm_coalesce(uint64_t gpa, uint32_t size, bool on)
{
	assert_int_equal(gpa, PROD);
	assert_int_equal(size, 4);
	if (at_switch)
		at_switch(on);
	return 0;
}

/* KVM gathers any store that lies within the zone of 4 bytes. */
static void test_sizes(void **state)
{
	(void)state;
	store(PROD, 4, 0x11);
	poll_drain();
	assert_int_equal(fake.doorbells, 1);
	assert_int_equal(fake.prod, 0x11);

	store(PROD, 1, 0xffffff22);
	store(PROD, 2, 0xffff0022);
	store(PROD + 2, 2, 0x22);
	store(PROD + 3, 1, 0x22);
	poll_drain();
	assert_int_equal(ring->first, ring->last);
	assert_int_equal(fake.doorbells, 1);
	assert_int_equal(poll_count(), 1);

	/* Among doorbells they change nothing. */
	store(PROD, 4, 0x33);
	store(PROD, 2, 0x44);
	poll_drain();
	assert_int_equal(fake.doorbells, 2);
	assert_int_equal(fake.prod, 0x33);
}

/* While the host carries out commands, another vCPU does not wait to drain the ring. */
static void ring_again(void)
{
	fake.at_kick = NULL;
	store(PROD, 4, 0x66);
	poll_drain();
	poll_if_busy();
	assert_int_equal(fake.prod, 0x66);
}

static void test_no_wait(void **state)
{
	(void)state;
	fake.doorbells = 0;
	fake.kicks = 0;
	fake.at_kick = ring_again;
	store(PROD, 4, 0x55);
	poll_drain();
	assert_null(fake.at_kick);
	assert_int_equal(fake.doorbells, 2);
	assert_int_equal(fake.kicks, 2);
	/* Older stores come before newer ones. */
	assert_int_equal(fake.prod, 0x66);
}

/* Polling, in this thread. Each test ends it after 1000 looks at the latest. */
static unsigned int looks;

static void poll_now(void (*hook)(void))
{
	pace = (struct pace){ .exit_cost = 200000, .last = clock_ns, .saved = 32 * 32 * 200000 };
	fake.kicks = 0;
	fake.at_kick = NULL;
	looks = 0;
	at_tick = hook;
	stop = false;
	poll_while_it_pays();
	at_tick = NULL;
	stop = false;
}

static bool look(void)
{
	stop = ++looks >= 1000;
	return !stop;
}

static void pass_ticks(unsigned int num)
{
	clock_ns += num * tick_length();
}

/* Others have the CPU from the second look on, and the guest rings meanwhile. */
static void lose_cpu_ringing(void)
{
	if (look() && looks >= 2) {
		store(PROD, 4, 0x77);
		pass_ticks(10);
	}
}

static void lose_cpu(void)
{
	look();
	pass_ticks(10);
}

static void test_lost_cpu(void **state)
{
	(void)state;
	poll_now(lose_cpu);
	assert_int_equal(looks, 2);
	assert_true(pace.not_before > clock_ns);

	poll_now(lose_cpu_ringing);
	assert_int_equal(looks, 4);
	assert_true(pace.not_before > clock_ns - 10 * tick_length());
	/* The guest does not wait for it until KVM gathers no more. */
	assert_int_equal(fake.kicks, 1);
	assert_int_equal(fake.prod, 0x77);
}

/* The host takes long for the commands of each doorbell: that is no loss of the CPU. */
static void be_slow(void)
{
	pass_ticks(10);
}

static void ring_slow(void)
{
	if (!look())
		return;
	fake.at_kick = be_slow;
	if (looks < 300)
		store(PROD, 4, 0x88);
	else
		pass_ticks(1);
}

static void test_slow_host(void **state)
{
	(void)state;
	poll_now(ring_slow);
	assert_in_range(looks, 300, 999);
	assert_in_range(fake.kicks, 100, 299);
	assert_int_equal(pace.not_before, 0);
	fake.at_kick = NULL;
}

/* While KVM switches, which may take long, the thread for retries takes doorbells. */
static void take_meanwhile(bool on)
{
	assert_true(poll_is_switching());
	assert_int_equal(fake.retries, 1);
	store(PROD, 4, 0x90 + on);
	/* what smmu.c does then */
	poll_drain();
	assert_int_equal(fake.prod, 0x90 + on);
}

static void test_slow_switch(void **state)
{
	unsigned int on;

	(void)state;
	at_switch = take_meanwhile;
	for (on = 0; on < 2; on++) {
		fake.retries = 0;
		fake.prod = 0;
		set_zone(on);
		assert_int_equal(fake.prod, 0x90 + on);
		assert_false(poll_is_switching());
	}
	at_switch = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_wait),
		cmocka_unit_test(test_lost_cpu),
		cmocka_unit_test(test_slow_host),
		cmocka_unit_test(test_slow_switch),
	};

	fake.ring = calloc(1, sysconf(_SC_PAGESIZE));
	poll_add(0, PROD);
	/* A test that waits for ever has failed. */
	alarm(300);
	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
