// SPDX-License-Identifier: GPL-2.0
/* Requests to end the VM, and descriptors. */
#include "../event.c"
#include "test.h"

static void test_first_request_counts(void **state)
{
	(void)state;
	requested = VM_RUN;
	vm_request(VM_RESET);
	vm_request(VM_CRASH);
	assert_int_equal(vm_requested(), VM_RESET);
	assert_true(vm_begin_reset());
	assert_int_equal(vm_requested(), VM_RUN);

	vm_request(VM_CRASH);
	vm_request(VM_RESET);
	vm_request(VM_STOP);
	assert_int_equal(vm_requested(), VM_CRASH);
	assert_false(vm_begin_reset());
}

/* SIGTERM after the guest has asked for a reset, and before the reset begins */
static void test_stop_before_reset(void **state)
{
	(void)state;
	requested = VM_RUN;
	vm_request(VM_RESET);
	vm_request(VM_STOP);
	vm_request(VM_RESET);
	assert_false(vm_begin_reset());
	assert_int_equal(vm_requested(), VM_STOP);
}

/* SIGTERM while the machine is being reset: the next VM ends at once. */
static void test_stop_amid_reset(void **state)
{
	(void)state;
	requested = VM_RUN;
	vm_request(VM_RESET);
	assert_true(vm_begin_reset());
	vm_request(VM_STOP);
	alarm(PATIENCE);
	event_serve();
	alarm(0);
	assert_false(vm_begin_reset());
	assert_int_equal(vm_requested(), VM_STOP);
}

/* Devices do not get the last descriptors: they are refused instead. */
static void test_descriptors(void **state)
{
	int fds[FD_KEPT + 32], num = 0, fd;
	struct rlimit before, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(before.rlim_cur >= FD_MAX || before.rlim_cur == before.rlim_max);
	few = before;
	few.rlim_cur = FD_KEPT + 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (num < FD_KEPT + 32 && (fd = eventfd_make()) >= 0)
		fds[num++] = fd;
	assert_in_range(num, 1, 32);
	fd = dup(0);
	assert_true(fd >= 0);
	close(fd);
	while (num)
		close(fds[--num]);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(event_add(-1, look, NULL), -1);
	assert_int_equal(event_add(FD_MAX, look, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_request_counts),
		cmocka_unit_test(test_stop_before_reset),
		cmocka_unit_test(test_stop_amid_reset),
		cmocka_unit_test(test_descriptors),
	};

	event_init();
	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
