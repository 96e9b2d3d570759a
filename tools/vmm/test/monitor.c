// SPDX-License-Identifier: GPL-2.0
/* A client of the monitor that misbehaves does not stop the VMM or other clients. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test.h"

#define CLIENTS	20

static char path[80];

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Send a command, read the answer. */
static const char *ask(int fd, const char *command)
{
	static char answer[4096];
	ssize_t n;

	assert_int_equal(write(fd, command, strlen(command)), strlen(command));
	n = read(fd, answer, sizeof(answer) - 1);
	assert_true(n > 0);
	answer[n] = 0;
	return answer;
}

static void *serve(void *arg)
{
	event_serve();
	return arg;
}

static void test_commands(void **state)
{
	int fd;

	(void)state;
	alarm(PATIENCE);
	fd = dial();
	assert_string_equal(ask(fd, "unplug 8\n"), "ok\n");
	assert_string_equal(ask(fd, "unplug 32\n"), "error: '32' is no slot\n");
	/* 8, modulo 2^64 */
	assert_string_equal(ask(fd, "unplug -18446744073709551608\n"),
			    "error: '-18446744073709551608' is no slot\n");
	fake.unplug_rc = -1;
	assert_string_equal(ask(fd, "unplug 8\n"), "error: slot 8 stays\n");
	fake.unplug_rc = 0;
	assert_string_equal(ask(fd, "plug x\n"), "error: x\n");
	assert_string_equal(ask(fd, "powerdown\n"), "ok\n");
	assert_int_equal(fake.irq_spi, SPI_POWER_BUTTON);
	assert_int_equal(fake.irq_edges, 1);
	assert_true(!strncmp(ask(fd, "stats\n"), "{\"exits\"", 8));
	close(fd);
	alarm(0);
}

/* The monitor hangs up on a client that reads no answers, and serves the next. */
static void test_client_does_not_read(void **state)
{
	int deaf, other;

	(void)state;
	alarm(PATIENCE);
	deaf = dial();
	while (send(deaf, "help\n", 5, MSG_NOSIGNAL) == 5)
		;
	other = dial();
	assert_string_equal(ask(other, "unplug 8\n"), "ok\n");
	close(other);
	close(deaf);
	alarm(0);
}

/* Silent clients do not keep others out, however many they are. */
static void test_clients_are_silent(void **state)
{
	int fds[CLIENTS], i;

	(void)state;
	alarm(PATIENCE);
	for (i = 0; i < CLIENTS; i++) {
		fds[i] = dial();
		assert_int_equal(write(fds[i], "unpl", 4), 4);
	}
	i = dial();
	assert_string_equal(ask(i, "unplug 8\n"), "ok\n");
	assert_string_equal(ask(fds[CLIENTS - 1], "ug 8\n"), "ok\n");
	close(i);
	for (i = 0; i < CLIENTS; i++)
		close(fds[i]);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_client_does_not_read),
		cmocka_unit_test(test_clients_are_silent),
	};
	char dir[] = "/tmp/vmm-monitor-XXXXXX";
	pthread_t thread;
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	output_start(STDOUT_FILENO, STDERR_FILENO);
	event_init();
	monitor_init(path);
	if (pthread_create(&thread, NULL, serve, NULL))
		return 1;
	rc = cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return rc;
}
