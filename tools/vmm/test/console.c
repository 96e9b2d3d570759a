// SPDX-License-Identifier: GPL-2.0
/*
 * The console and messages, with pipes in place of standard input, output and
 * error: a reader that stalls stops nobody else.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "test.h"

#define DR	0x00
#define FR	0x18
#define FR_RXFE	(1U << 4)
#define IMSC	0x38
#define INT_RX	(1U << 4)

#define PIPE_SIZE	KIB(64)
#define FLOOD		MIB(1)

static int in[2], out[2], err[2];

static uint64_t uart(uint64_t offset, bool write, uint64_t value)
{
	struct access a = { .offset = offset, .len = 4, .write = write, .value = value };

	uart_access(&a);
	return a.value;
}

/* The main thread */
static void *serve(void *arg)
{
	event_serve();
	return arg;
}

/* Read until nothing has come for a while. @last gets the last bytes. */
static size_t drain(int fd, char *last, size_t size)
{
	unsigned int tries = 0;
	char buf[4096];
	size_t sum = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (tries++ < 50) {
		while ((n = read(fd, buf, sizeof(buf))) > 0) {
			sum += n;
			tries = 0;
			if ((size_t)n >= size) {
				memcpy(last, buf + n - size, size);
			} else {
				memmove(last, last + n, size - n);
				memcpy(last + size - n, buf, n);
			}
		}
		sleep_ms(10);
	}
	return sum;
}

/* Whether a writer would have to wait */
static bool is_full(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };

	return !poll(&wait, 1, 0);
}

static void test_output(void **state)
{
	char last[5];

	(void)state;
	uart(DR, true, 'h');
	uart(DR, true, 'i');
	assert_int_equal(drain(out[0], last, 2), 2);
	assert_memory_equal(last, "hi", 2);
	say("%s", "five");
	assert_int_equal(drain(err[0], last, 5), strlen("vmm: five\n"));
	assert_memory_equal(last, "five\n", 5);
}

/* The guest writes more than the full pipe takes, and still gets its input. */
static void test_console_stalls(void **state)
{
	char last[128] = "", said[128], *lost;
	size_t num;

	(void)state;
	alarm(PATIENCE);
	for (num = 0; num < FLOOD; num++)
		uart(DR, true, 'x');
	wait_for(is_full(out[1]));
	assert_int_equal(write(in[1], "y", 1), 1);
	wait_for(!(uart(FR, false, 0) & FR_RXFE));
	uart(IMSC, true, INT_RX);
	assert_true(fake.irq_line);
	assert_int_equal(uart(DR, false, 0), 'y');
	assert_false(fake.irq_line);

	/* A message in place of the dropped text says how much, and output goes on. */
	num = drain(out[0], last, sizeof(last) - 1);
	lost = strstr(last, "\r\n[vmm: ");
	assert_non_null(lost);
	snprintf(said, sizeof(said), "\r\n[vmm: %zu bytes of output were dropped here]\r\n",
		 FLOOD - (num - strlen(lost)));
	assert_string_equal(lost, said);
	uart(DR, true, 'z');
	assert_int_equal(drain(out[0], last, 1), 1);
	assert_int_equal(last[0], 'z');
	alarm(0);
}

/* vCPUs call note() with locks held, so it must not wait. */
static void test_messages_stall(void **state)
{
	static char text[400];
	char last[200] = "";
	unsigned int i;

	(void)state;
	memset(text, 'n', sizeof(text) - 1);
	alarm(PATIENCE);
	for (i = 0; i < 2000; i++)
		note("%s", text);
	wait_for(is_full(err[1]));
	drain(err[0], last, sizeof(last) - 1);
	assert_non_null(strstr(last, "of output were dropped here"));
	/* Messages that the guest causes are limited, the others are not. */
	note("%s", text);
	assert_int_equal(drain(err[0], last, 1), 0);
	say("end");
	assert_int_equal(drain(err[0], last, 1), strlen("vmm: end\n"));
	alarm(0);
}

/* More input than the UART takes at a time arrives complete and in order. */
static void test_input(void **state)
{
	char text[1000];
	size_t i;

	(void)state;
	alarm(PATIENCE);
	for (i = 0; i < sizeof(text); i++)
		text[i] = ' ' + i % 90;
	assert_int_equal(write(in[1], text, sizeof(text)), sizeof(text));
	for (i = 0; i < sizeof(text); i++) {
		wait_for(!(uart(FR, false, 0) & FR_RXFE));
		assert_int_equal(uart(DR, false, 0), text[i]);
	}
	alarm(0);
}

/* Run this last: the end waits for readers for about a second, no longer. */
static void test_flush(void **state)
{
	size_t i;

	(void)state;
	alarm(PATIENCE);
	for (i = 0; i < 2 * PIPE_SIZE; i++)
		uart(DR, true, 'x');
	output_flush();
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_console_stalls),
		cmocka_unit_test(test_messages_stall),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_flush),
	};
	pthread_t thread;

	if (pipe(in) || pipe(out) || pipe(err) || dup2(in[0], STDIN_FILENO) < 0)
		return 1;
	output_start(out[1], err[1]);
	event_init();
	uart_init();
	if (pthread_create(&thread, NULL, serve, NULL))
		return 1;
	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
