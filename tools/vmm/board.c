// SPDX-License-Identifier: GPL-2.0
/*
 * The small devices that a distribution expects of a machine: a clock (PL031)
 * and a power button.
 */
#include <pthread.h>
#include <time.h>

#include "vmm.h"

/*
 * The clock counts seconds since 1970. The guest may set it; that lasts as long
 * as the VMM. There is no alarm, and the device tree gives the clock no
 * interrupt, so that Linux offers none. The match register only keeps its value.
 */
#define RTC_DR		0x00
#define RTC_MR		0x04
#define RTC_LR		0x08
#define RTC_CR		0x0c
#define RTC_CR_START	1U
#define RTC_ID		0xfe0

/* PrimeCell ID and peripheral ID: Linux asks for them before it takes a driver. */
static const uint8_t rtc_ids[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

static pthread_mutex_t rtc_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t rtc_ahead;	/* of the host clock, modulo 2^32 */
static uint32_t rtc_load;
static uint32_t rtc_match;

static uint32_t rtc_now(void)
{
	return (uint32_t)time(NULL) + rtc_ahead;
}

static void rtc_write(uint64_t offset, uint32_t value)
{
	if (offset == RTC_LR) {
		rtc_ahead += value - rtc_now();
		rtc_load = value;
	} else if (offset == RTC_MR) {
		rtc_match = value;
	}
}

static uint32_t rtc_read(uint64_t offset)
{
	switch (offset) {
	case RTC_DR:
		return rtc_now();
	case RTC_MR:
		return rtc_match;
	case RTC_LR:
		return rtc_load;
	case RTC_CR:
		return RTC_CR_START;
	}
	if (offset >= RTC_ID && offset % 4 == 0 && offset < RTC_ID + 4 * ARRAY_LEN(rtc_ids))
		return rtc_ids[(offset - RTC_ID) / 4];
	return 0;
}

void rtc_access(struct access *a)
{
	pthread_mutex_lock(&rtc_lock);
	if (a->write)
		rtc_write(a->offset, a->value);
	else
		a->value = rtc_read(a->offset);
	pthread_mutex_unlock(&rtc_lock);
}

/*
 * A button without a GPIO is an edge of an interrupt. The guest takes one press
 * and one release for it, or nothing if it has no driver for the button yet.
 */
void power_button_press(void)
{
	vm_irq_line(SPI_POWER_BUTTON, true);
	vm_irq_line(SPI_POWER_BUTTON, false);
}
