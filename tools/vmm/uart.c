// SPDX-License-Identifier: GPL-2.0
/*
 * The console: a PL011 cut down to Arm's Generic UART (Server Base System
 * Architecture), which Linux's PL011 driver knows as "arm,sbsa-uart". Output is
 * never full. Input comes from standard input.
 *
 * A thread of its own reads standard input, because read() may block even after
 * poll(): another process that reads the same pipe or terminal may take the
 * data first.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
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

struct input {
	uint8_t data[64];
	size_t len;
	size_t pos;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t taken = PTHREAD_COND_INITIALIZER;
static struct input input;	/* the guest reads from it */
static struct input next;	/* filled by the thread, to be read next */
static int input_fd;		/* eventfd: there is something in @next */
static uint32_t mask;

static bool is_empty(const struct input *in)
{
	return in->pos == in->len;
}

static uint32_t raw_status(void)
{
	return INT_TX | (is_empty(&input) ? 0 : INT_RX);
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

/* Take more input once the guest has read all of @input. */
static void refill(void)
{
	if (!is_empty(&input) || is_empty(&next))
		return;
	input = next;
	next.pos = next.len;
	pthread_cond_signal(&taken);
}

/* In the main thread, because the VM may be replaced while the input thread runs */
static void input_ready(void *arg)
{
	(void)arg;
	eventfd_clear(input_fd);
	pthread_mutex_lock(&lock);
	refill();
	update_irq();
	pthread_mutex_unlock(&lock);
}

/* Ends at the end of input, or if the terminal refuses a VMM in the background. */
static void *input_thread(void *arg)
{
	struct pollfd wait = { .fd = STDIN_FILENO, .events = POLLIN };
	struct input in = {};
	const uint64_t one = 1;
	ssize_t n;

	for (;;) {
		poll(&wait, 1, -1);
		n = read(STDIN_FILENO, in.data, sizeof(in.data));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return arg;
		in.len = n;
		pthread_mutex_lock(&lock);
		while (!is_empty(&next))
			pthread_cond_wait(&taken, &lock);
		next = in;
		pthread_mutex_unlock(&lock);
		if (write(input_fd, &one, sizeof(one)) < 0)
			return arg;
	}
}

void uart_init(void)
{
	pthread_t thread;

	input_fd = eventfd_make();
	if (input_fd < 0 || event_add(input_fd, input_ready, NULL) ||
	    pthread_create(&thread, NULL, input_thread, NULL))
		die("cannot wait for standard input");
	pthread_setname_np(thread, "input");
	pthread_detach(thread);
}

void uart_reset(void)
{
	pthread_mutex_lock(&lock);
	mask = 0;
	update_irq();
	pthread_mutex_unlock(&lock);
}

static uint8_t get_char(void)
{
	uint8_t c;

	if (is_empty(&input))
		return 0;
	c = input.data[input.pos++];
	refill();
	return c;
}

void uart_access(struct access *a)
{
	pthread_mutex_lock(&lock);
	if (a->write) {
		if (a->offset == DR)
			output_console(a->value);
		else if (a->offset == IMSC)
			mask = a->value & INT_ALL;
	} else if (a->offset == DR) {
		a->value = get_char();
	} else if (a->offset == FR) {
		a->value = FR_TXFE | (is_empty(&input) ? FR_RXFE : 0);
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
