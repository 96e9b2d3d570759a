// SPDX-License-Identifier: GPL-2.0
/*
 * What the main thread waits for: events of descriptors, and requests to end the
 * VM that runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "vmm.h"

/*
 * Enough descriptors for a device with all its vectors in each slot. Devices do
 * not get the last FD_KEPT, which keep the monitor and the rest working.
 */
#define FD_PER_SLOT	(MSI_PER_SLOT + 8)
#define FD_MAX		(PCI_SLOTS * FD_PER_SLOT + 1024)
#define FD_KEPT		64

struct handler {
	void (*call)(void *arg);
	void *arg;
};

static int epoll_fd, request_fd;
static struct handler handlers[FD_MAX];	/* by descriptor */
static enum vm_request requested;

/**
 * event_add - Call a function whenever a descriptor is readable
 * @fd: the descriptor
 * @call: the function, called by the main thread
 * @arg: for @call
 *
 * Return: 0, or -1 after fail()
 */
int event_add(int fd, void (*call)(void *arg), void *arg)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || fd >= FD_MAX)
		return fail("too many files are open");
	handlers[fd] = (struct handler) { .call = call, .arg = arg };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return fail("epoll_ctl: %s", strerror(errno));
	return 0;
}

void event_del(int fd)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* Allow as many descriptors as all devices may need, up to the hard limit. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max < FD_MAX ? limit.rlim_max : FD_MAX;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/**
 * eventfd_make - Create an eventfd for a device
 *
 * The VMM calls this when it plugs the device, so that it cannot run out of
 * descriptors when the guest uses the interrupt.
 *
 * Return: a descriptor, or -1 with errno
 */
int eventfd_make(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct rlimit limit;

	if (fd >= 0 && !getrlimit(RLIMIT_NOFILE, &limit) &&
	    (rlim_t)fd + FD_KEPT >= limit.rlim_cur) {
		close(fd);
		errno = EMFILE;
		return -1;
	}
	return fd;
}

/* Clear the eventfd. Return: whether it was signalled. */
bool eventfd_clear(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void look(void *arg)
{
	(void)arg;
	eventfd_clear(request_fd);
}

/*
 * Serve events until the VM is to end. Fetch one at a time: a handler may close
 * the descriptor of another.
 */
void event_serve(void)
{
	struct epoll_event event;

	while (vm_requested() == VM_RUN)
		if (epoll_wait(epoll_fd, &event, 1, -1) == 1)
			handlers[event.data.fd].call(handlers[event.data.fd].arg);
}

void event_init(void)
{
	raise_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll_fd < 0 || request_fd < 0)
		die("no descriptor: %s", strerror(errno));
	if (event_add(request_fd, look, NULL))
		die("%s", failure());
}

/**
 * vm_request - Ask the main thread to end this VM
 * @request: what comes after it
 *
 * The first request counts, but a stop replaces a reset. Any thread and any
 * signal handler may call this.
 */
void vm_request(enum vm_request request)
{
	enum vm_request old = vm_requested();
	uint64_t one = 1;

	while (old == VM_RUN || (old == VM_RESET && request == VM_STOP))
		if (__atomic_compare_exchange_n(&requested, &old, request, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			break;
	if (write(request_fd, &one, sizeof(one)) < 0)
		abort();
}

enum vm_request vm_requested(void)
{
	return __atomic_load_n(&requested, __ATOMIC_ACQUIRE);
}

/**
 * vm_begin_reset - Accept a request to reset
 *
 * Requests after this are for the next VM, even if it has not started yet.
 *
 * Return: false if the last request is not a reset
 */
bool vm_begin_reset(void)
{
	enum vm_request old = VM_RESET;

	return __atomic_compare_exchange_n(&requested, &old, VM_RUN, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
