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
	__atomic_store_n(&ring->last, (ring->last + 1) % ring_size, __ATOMIC_RELEASE);
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

/* The newest of several doorbells counts. The ring wraps around among them. */
static void test_several(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3 * ring_size; i++) {
		fake.doorbells = 0;
		fake.kicks = 0;
		store(PROD, 4, 2 * i + 1);
		store(PROD, 4, 2 * i);
		poll_drain();
		assert_int_equal(fake.prod, 2 * i);
		assert_int_equal(fake.doorbells, 1);
		assert_int_equal(fake.kicks, 1);
	}
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

/*
 * The polling thread itself, with KVM's answers. Its clock stands still until the guest rings
 * no more.
 */
static struct {
	unsigned int starts, ends;	/* zones set and removed */
	bool paused;			/* the guest rings no more */
	uint32_t last;			/* doorbell before the zone is gone, 0: none */
} kvm;

static void switch_zone(bool on)
{
	if (on) {
		__atomic_fetch_add(&kvm.starts, 1, __ATOMIC_ACQ_REL);
		return;
	}
	if (kvm.last)
		store(PROD, 4, kvm.last);
	__atomic_fetch_add(&kvm.ends, 1, __ATOMIC_ACQ_REL);
}

static void pause_guest(void)
{
	if (__atomic_load_n(&kvm.paused, __ATOMIC_ACQUIRE))
		pass_ticks(1);
}

static bool is(const unsigned int *value, unsigned int want)
{
	return __atomic_load_n(value, __ATOMIC_ACQUIRE) == want;
}

static bool is_idle(void)
{
	bool idle;

	pthread_mutex_lock(&lock);
	idle = !wanted;
	pthread_mutex_unlock(&lock);
	return idle;
}

/* Doorbells that exit make the thread poll, and it takes one from the ring. */
static void start_polling(unsigned int starts, uint32_t prod)
{
	unsigned int i;

	kvm.paused = false;
	fake.kicks = 0;
	for (i = 0; i < 100 && is_idle(); i++) {
		assert_true(is(&kvm.starts, starts));
		poll_if_busy();
	}
	assert_in_range(i, 2, 99);
	wait_for(is(&kvm.starts, starts + 1));
	assert_true(is(&kvm.ends, starts));
	store(PROD, 4, prod);
	wait_for(is(&fake.kicks, 1));
	assert_int_equal(fake.prod, prod);
}

/* Without doorbells polling ends. The last one comes while KVM removes the zone. */
static void end_polling(unsigned int starts, uint32_t prod)
{
	kvm.last = prod;
	__atomic_store_n(&kvm.paused, true, __ATOMIC_RELEASE);
	wait_for(is(&kvm.ends, starts + 1));
	wait_for(is(&fake.kicks, prod ? 2 : 1));
	assert_true(!prod || fake.prod == prod);
	wait_for(is_idle());
	/* A thread that went on would begin by itself. */
	assert_true(is(&kvm.starts, starts + 1));
	assert_int_equal(ring->first, ring->last);
}

static void test_thread(void **state)
{
	unsigned int round;

	(void)state;
	assert_true(is_idle());
	pace = (struct pace){ .exit_cost = 3000, .last = clock_ns };
	at_switch = switch_zone;
	at_tick = pause_guest;
	for (round = 0; round < 3; round++) {
		start_polling(round, 0xa0 + round);
		end_polling(round, round == 1 ? 0 : 0xb0 + round);
	}
	/* The machine ends while the thread polls. */
	kvm.last = 0xd0;
	start_polling(round, 0xc0);
	poll_stop();
	assert_int_equal(kvm.ends, round + 1);
	assert_int_equal(fake.prod, 0xd0);
	assert_int_equal(fake.kicks, 2);
	/* The thread for retries, which stays, finds no ring. */
	poll_drain();
	at_switch = NULL;
	at_tick = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_no_wait),
		cmocka_unit_test(test_lost_cpu),
		cmocka_unit_test(test_slow_host),
		cmocka_unit_test(test_slow_switch),
		cmocka_unit_test(test_thread),
	};

	fake.ring = calloc(1, sysconf(_SC_PAGESIZE));
	poll_add(0, PROD);
	/* A test that waits for ever has failed. */
	alarm(300);
	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
