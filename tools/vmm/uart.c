// SPDX-License-Identifier: GPL-2.0
/*
 * The console: a PL011 cut down to Arm's Generic UART (Server Base System
 * Architecture), which Linux's PL011 driver knows as "arm,sbsa-uart". Output is
 * never full; input is standard input's, if there is any.
 */
#include <pthread.h>
#include <unistd.h>

#include "vmm.h"

#define DR		0x00
#define FR		0x18
#define FR_RXFE		(1U << 4)
#define FR_TXFE		(1U << 7)
#define IMSC		0x38
#define RIS		0x3c
#define MIS		0x40
#define INT_RX		(1U << 4)
#define INT_TX		(1U << 5)
#define INT_ALL		0x7ff

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t input[64];
static unsigned int input_len, input_pos;
static uint32_t mask;

static uint32_t raw_status(void)
{
	return INT_TX | (input_pos < input_len ? INT_RX : 0);
}

static void update_irq(void)
{
	static bool level;
	bool want = raw_status() & mask;

	if (want == level)
		return;
	level = want;
	vm_irq_line(SPI_UART, level);
}

/* More input is taken when the guest has read what there is. */
static void stdin_ready(void *arg)
{
	ssize_t n;

	(void)arg;
	pthread_mutex_lock(&lock);
	event_del(STDIN_FILENO);
	n = read(STDIN_FILENO, input, sizeof(input));
	if (n > 0) {
		input_pos = 0;
		input_len = n;
		update_irq();
	}
	pthread_mutex_unlock(&lock);
}

static void listen_to_input(void)
{
	event_add(STDIN_FILENO, stdin_ready, NULL);
}

void uart_init(void)
{
	listen_to_input();
}

void uart_reset(void)
{
	pthread_mutex_lock(&lock);
	mask = 0;
	update_irq();
	pthread_mutex_unlock(&lock);
}

static void put_char(uint8_t c)
{
	/* A console that is gone loses its output; the guest runs on. */
	if (write(STDOUT_FILENO, &c, 1) != 1)
		return;
}

static uint8_t get_char(void)
{
	uint8_t c;

	if (input_pos == input_len)
		return 0;
	c = input[input_pos++];
	if (input_pos == input_len)
		listen_to_input();
	return c;
}

void uart_access(struct access *a)
{
	pthread_mutex_lock(&lock);
	if (a->write) {
		if (a->offset == DR)
			put_char(a->value);
		else if (a->offset == IMSC)
			mask = a->value & INT_ALL;
	} else if (a->offset == DR) {
		a->value = get_char();
	} else if (a->offset == FR) {
		a->value = FR_TXFE | (input_pos == input_len ? FR_RXFE : 0);
	} else if (a->offset == IMSC) {
		a->value = mask;
	} else if (a->offset == RIS) {
		a->value = raw_status();
	} else if (a->offset == MIS) {
		a->value = raw_status() & mask;
	}
	update_irq();
	pthread_mutex_unlock(&lock);
}
