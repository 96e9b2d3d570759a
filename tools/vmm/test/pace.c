// SPDX-License-Identifier: GPL-2.0
/* When polling pays */
#include <stdlib.h>

#include "test.h"

#define US	1000ULL
#define MS	1000000ULL

static struct pace pace;
static uint64_t clock_ns;

static int set_up(void **state)
{
	(void)state;
	pace = (struct pace){};
	clock_ns = 1000 * MS;
	pace_exit_cost(&pace, 3 * US);
	return 0;
}

/* Return: how many doorbells it takes until polling pays, or @max + 1 */
static unsigned int ring(uint64_t gap, unsigned int max)
{
	unsigned int n;

	for (n = 1; n <= max; n++) {
		clock_ns += gap;
		if (pace_doorbell(&pace, clock_ns))
			break;
	}
	return n;
}

/* Return: for how long polling goes on without a doorbell, in us */
static uint64_t patience(void)
{
	uint64_t us;

	for (us = 0; us < 1000000; us++)
		if (pace_is_over(&pace, clock_ns + us * US))
			break;
	return us;
}

/* 16 doorbells without gaps, more with gaps of up to 32 times an exit, then never */
static void test_start(void **state)
{
	const struct {
		uint64_t gap;
		unsigned int want;
	} cases[] = {
		{ 0, 16 },
		{ 15 * US, 19 },
		{ 48 * US, 31 },
		{ 90 * US, 241 },
		{ 96 * US, 10001 },
		{ 1 * MS, 10001 },
		{ 10 * MS, 10001 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		pace.saved = 0;
		assert_int_equal(ring(cases[i].gap, 10000), cases[i].want);
	}
}

/* An emulated host, on which an exit takes long */
static void test_exit_cost(void **state)
{
	(void)state;
	assert_int_equal(ring(1 * MS, 1000), 1001);
	pace.exit_cost = 0;
	pace_exit_cost(&pace, 1000 * MS);
	assert_int_equal(pace.exit_cost, 200 * US);
	pace_exit_cost(&pace, 300 * US);
	assert_int_equal(pace.exit_cost, 200 * US);
	pace_exit_cost(&pace, 100 * US);
	pace_exit_cost(&pace, 200 * US);
	assert_int_equal(pace.exit_cost, 100 * US);
	pace.saved = 0;
	assert_int_equal(ring(1 * MS, 1000), 23);
}

/* As long as no exit was seen, or if the clock is too coarse */
static void test_no_cost(void **state)
{
	(void)state;
	pace.exit_cost = 0;
	assert_int_equal(ring(0, 1000), 1001);
	pace_exit_cost(&pace, 0);
	assert_int_equal(pace.exit_cost, 1);
}

/* However many doorbells there were, polling ends soon after the last one. */
static void test_pause(void **state)
{
	(void)state;
	ring(15 * US, 100);
	assert_false(pace_is_over(&pace, clock_ns));
	assert_in_range(patience(), 1500, 1600);
	for (int i = 0; i < 100000; i++)
		ring(15 * US, 1);
	assert_int_equal(patience(), 3072);
}

/* The guest becomes lazy while it is polled: its doorbells do not keep polling up. */
static void test_lazy(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n < 1000; n++)
		ring(15 * US, 1);
	for (n = 0; n < 100 && !pace_is_over(&pace, clock_ns + 500 * US); n++)
		ring(500 * US, 1);
	assert_in_range(n, 1, 8);
	assert_int_equal(ring(500 * US, 1000), 1001);
}

/* A host whose CPUs are all busy is left alone, the longer the more often it happens. */
static void test_lost_cpu(void **state)
{
	uint64_t start = clock_ns, longest = 0;
	unsigned int n;

	(void)state;
	for (n = 0; clock_ns - start < 60000 * MS; n++) {
		uint64_t exits = clock_ns;

		assert_in_range(ring(15 * US, 1000000), 1, 1000000);
		if (clock_ns - exits > longest)
			longest = clock_ns - exits;
		clock_ns += 20 * MS;
		pace_lost_cpu(&pace, clock_ns);
	}
	assert_in_range(n, 8, 12);
	assert_in_range(longest, 12800 * MS, 12801 * MS);

	/* Each polling that ends by itself halves that. */
	for (n = 0; pace.back_off && n < 100; n++)
		assert_true(pace_is_over(&pace, clock_ns + 100 * MS));
	assert_in_range(n, 30, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_start, set_up),
		cmocka_unit_test_setup(test_exit_cost, set_up),
		cmocka_unit_test_setup(test_no_cost, set_up),
		cmocka_unit_test_setup(test_pause, set_up),
		cmocka_unit_test_setup(test_lazy, set_up),
		cmocka_unit_test_setup(test_lost_cpu, set_up),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
