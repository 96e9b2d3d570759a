// SPDX-License-Identifier: GPL-2.0
/*
 * Each part, and each look at a device, is a process of its own. One that fails leaves
 * the others their devices, memory and CPUs.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"

#define WHY_LEN		256

/* What such a process leaves to this one */
static struct ending {
	bool skipped;
	char why[WHY_LEN];
} *ending;

/* What was skipped, and what failed */
static struct list {
	const char *key;
	struct item {
		char *name;
		char *why;
	} *items;
	unsigned int num;
} skips = { .key = "skipped" }, failures = { .key = "failed" };

/**
 * shared_alloc() - Allocate memory that the processes share
 * @size: number of bytes
 *
 * Return: the memory, which is never freed.
 */
void *shared_alloc(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die(EXIT_TROUBLE, "out of memory");
	return memory;
}

__attribute__((__noreturn__))
static void end(bool skipped, const char *format, va_list args)
{
	static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;

	/* Several threads can fail. The first one says why. */
	pthread_mutex_lock(&first);
	ending->skipped = skipped;
	vsnprintf(ending->why, sizeof(ending->why), format, args);
	exit(EXIT_TROUBLE);
}

/**
 * skip() - End the process of a part that cannot be measured here
 * @format: why, as for printf()
 */
void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end(true, format, args);
}

/**
 * fail() - End the process of a part or of a look at a device that failed
 * @format: why, as for printf()
 */
void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end(false, format, args);
}

static void list_add(struct list *list, const char *name, const char *why)
{
	struct item *item;

	list->items = xgrow(list->items, list->num, sizeof(*item));
	item = &list->items[list->num++];
	item->name = strdup(name);
	item->why = strdup(why);
	if (!item->name || !item->why)
		die(EXIT_TROUBLE, "out of memory");
}

static void list_show(const struct list *list)
{
	unsigned int i;

	if (!json && !list->num)
		return;
	if (!json)
		putchar('\n');
	out_object(list->key);
	for (i = 0; i < list->num; i++)
		out_string(list->items[i].name, "%s", list->items[i].why);
	out_end();
}

/**
 * endings_show() - Print what was skipped and what failed
 *
 * Return: true if anything failed.
 */
bool endings_show(void)
{
	list_show(&skips);
	list_show(&failures);
	return failures.num;
}

__attribute__((__noreturn__))
static void child(const sigset_t *mask, void (*run)(unsigned int), unsigned int arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	run(arg);
	if (fflush(stdout) || ferror(stdout))
		fail("cannot write the result: %m");
	exit(0);
}

/* Wait for a process, and pass signals on to it. Return: the last signal, or 0 */
static int wait_for(pid_t pid, const sigset_t *signals, int *status)
{
	int sig, last = 0;

	while (!waitpid(pid, status, WNOHANG)) {
		sig = sigwaitinfo(signals, NULL);
		if (sig <= 0 || sig == SIGCHLD)
			continue;
		last = sig;
		kill(pid, sig);
	}
	return last;
}

static void tell(const char *name, int status)
{
	if (!ending->why[0] && WIFSIGNALED(status))
		snprintf(ending->why, WHY_LEN, "signal %d ended its process", WTERMSIG(status));
	else if (!ending->why[0])
		snprintf(ending->why, WHY_LEN, "its process ended with status %d",
			 WEXITSTATUS(status));
	list_add(ending->skipped ? &skips : &failures, name, ending->why);
	if (!ending->skipped)
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, name,
			ending->why);
}

/**
 * attempt() - Call a function in a process of its own
 * @name: the name of the part or of the device
 * @run: the function; it may call skip() or fail()
 * @arg: its argument
 * @clean_up: is called in this process in the end, or NULL
 *
 * A signal that ends this program ends that process before.
 *
 * Return: true if it did what it is for.
 */
bool attempt(const char *name, void (*run)(unsigned int), unsigned int arg,
	     void (*clean_up)(void))
{
	sigset_t signals, before;
	int status = 0, sig;
	pid_t pid;

	if (!ending)
		ending = shared_alloc(sizeof(*ending));
	memset(ending, 0, sizeof(*ending));
	/* If it were ignored there would be no status to wait for. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &before);
	fflush(stdout);
	pid = fork();
	if (!pid)
		child(&before, run, arg);
	if (pid < 0)
		die(EXIT_TROUBLE, "fork: %m");
	sig = wait_for(pid, &signals, &status);
	if (clean_up)
		clean_up();
	if (sig)
		raise(sig);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (status)
		tell(name, status);
	return !status;
}
