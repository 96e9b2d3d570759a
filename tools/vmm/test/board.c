// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "test.h"

#define DR	0x00
#define MR	0x04
#define LR	0x08
#define CR	0x0c
#define IMSC	0x10
#define RIS	0x14

static uint64_t rtc(uint64_t offset, bool write, uint64_t value)
{
	struct access a = { .offset = offset, .len = 4, .write = write, .value = value };

	rtc_access(&a);
	return a.value;
}

/* The RTC's time is @want, or that of a moment later. */
static bool is_time(uint32_t want)
{
	return (uint32_t)rtc(DR, false, 0) - want <= 2;
}

static void test_clock(void **state)
{
	static const uint32_t times[] = { 0, 1, 1000000000, 0x7fffffff, 0x80000000, 0xfffffffe };
	unsigned int i;

	(void)state;
	assert_true(is_time(time(NULL)));
	for (i = 0; i < ARRAY_LEN(times); i++) {
		rtc(LR, true, times[i]);
		assert_true(is_time(times[i]));
		assert_int_equal(rtc(LR, false, 0), times[i]);
	}
	/* It goes on, and over the end of 32 bits. */
	wait_for((uint32_t)rtc(DR, false, 0) < 0x80000000);
	/* Upper bits of a wide store do not count. */
	rtc(LR, true, 0x1234567800000010);
	assert_true(is_time(0x10));
	rtc(LR, true, time(NULL));
	assert_true(is_time(time(NULL)));
}

static void test_registers(void **state)
{
	uint64_t offset;

	(void)state;
	rtc(MR, true, 0x55);
	assert_int_equal(rtc(MR, false, 0), 0x55);
	rtc(CR, true, 0);
	assert_int_equal(rtc(CR, false, 0), 1);
	/* No alarm */
	rtc(IMSC, true, 1);
	rtc(MR, true, rtc(DR, false, 0));
	assert_int_equal(rtc(RIS, false, 0), 0);
	assert_false(fake.irq_line);
	/* No access reads or writes outside. */
	for (offset = 0; offset < RTC_SIZE; offset++)
		if (offset != LR)
			rtc(offset, true, ~0ULL);
	for (offset = 0; offset < RTC_SIZE; offset++)
		assert_true(rtc(offset, false, 0) <= UINT32_MAX);
}

/* The ID is that of a PL031 by ARM (0x41), a PrimeCell. */
static void test_id(void **state)
{
	uint32_t id = 0, cell = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		id |= rtc(0xfe0 + 4 * i, false, 0) << 8 * i;
		cell |= rtc(0xff0 + 4 * i, false, 0) << 8 * i;
	}
	assert_int_equal(id & 0xfffff, 0x41031);
	assert_int_equal(cell, 0xb105f00d);
}

/* One rising edge, and the line is low after it. */
static void test_power_button(void **state)
{
	unsigned int edges = fake.irq_edges;

	(void)state;
	power_button_press();
	assert_int_equal(fake.irq_edges, edges + 1);
	assert_int_equal(fake.irq_spi, SPI_POWER_BUTTON);
	assert_false(fake.irq_line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_power_button),
	};

	alarm(PATIENCE);
	return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
