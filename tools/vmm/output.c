// SPDX-License-Identifier: GPL-2.0
/*
 * Standard output and standard error. Their readers may stall, and neither a
 * vCPU nor the main thread may wait for them. So text goes to a buffer, and
 * each of the two has a thread that writes it out, without holding a lock in
 * write(). If the buffer is full, text is dropped; once there is room, a
 * message in its place says how much.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm.h"

#define BUFFER_SIZE	KIB(256)
#define CHUNK		4096
#define FLUSH_TRIES	100
#define FLUSH_WAIT_US	10000

/**
 * struct stream - Standard output or standard error
 * @name: name of its thread
 * @fd: its descriptor
 * @lock: protects all members below
 * @work: signalled when @used or @lost is not 0 any more
 * @started: the thread exists
 * @busy: the thread is in write()
 * @first: where in @buffer the text begins
 * @used: how many bytes of text there are
 * @lost: how many bytes were dropped after them
 * @buffer: a ring of BUFFER_SIZE bytes
 */
struct stream {
	const char *name;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool started;
	bool busy;
	size_t first;
	size_t used;
	size_t lost;
	char *buffer;
};

static char console_buffer[BUFFER_SIZE], messages_buffer[BUFFER_SIZE];

static struct stream console = {
	.name = "console",
	.buffer = console_buffer,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
};

static struct stream messages = {
	.name = "messages",
	.buffer = messages_buffer,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
};

/* After a drop, drop all that follows until the buffer is empty. */
static void put(struct stream *s, const char *text, size_t len)
{
	size_t at, part;

	pthread_mutex_lock(&s->lock);
	if (s->lost || len > BUFFER_SIZE - s->used) {
		s->lost += len;
	} else {
		at = (s->first + s->used) % BUFFER_SIZE;
		part = BUFFER_SIZE - at < len ? BUFFER_SIZE - at : len;
		memcpy(s->buffer + at, text, part);
		memcpy(s->buffer, text + part, len - part);
		s->used += len;
	}
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

/* Take what to write next. The caller holds the lock. */
static size_t take(struct stream *s, char *chunk)
{
	size_t len = s->used < CHUNK ? s->used : CHUNK;

	if (!s->used) {
		len = snprintf(chunk, CHUNK, "\r\n[vmm: %zu bytes of output were dropped here]\r\n",
			       s->lost);
		s->lost = 0;
		return len;
	}
	if (len > BUFFER_SIZE - s->first)
		len = BUFFER_SIZE - s->first;
	memcpy(chunk, s->buffer + s->first, len);
	s->first = (s->first + len) % BUFFER_SIZE;
	s->used -= len;
	return len;
}

/* If nobody reads a stream any more, its output is lost and the guest runs on. */
static void write_out(int fd, const char *text, size_t len)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EAGAIN) {
			poll(&wait, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return;
		} else if (n > 0) {
			text += n;
			len -= n;
		}
	}
}

static void *stream_thread(void *arg)
{
	struct stream *s = arg;
	char chunk[CHUNK];
	size_t len;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->used && !s->lost)
			pthread_cond_wait(&s->work, &s->lock);
		len = take(s, chunk);
		s->busy = true;
		pthread_mutex_unlock(&s->lock);
		write_out(s->fd, chunk, len);
		pthread_mutex_lock(&s->lock);
		s->busy = false;
	}
	return NULL;
}

static void start(struct stream *s, int fd)
{
	pthread_t thread;

	s->fd = fd;
	if (pthread_create(&thread, NULL, stream_thread, s))
		die("cannot start a thread for output");
	pthread_setname_np(thread, s->name);
	pthread_detach(thread);
	s->started = true;
}

/**
 * output_start - Start the threads that write
 * @console_fd: where the guest's console goes
 * @messages_fd: where this VMM's messages go
 */
void output_start(int console_fd, int messages_fd)
{
	start(&console, console_fd);
	start(&messages, messages_fd);
}

/* Print a character of the guest console. Never waits. */
void output_console(uint8_t c)
{
	put(&console, (const char *)&c, 1);
}

static bool is_empty(struct stream *s)
{
	bool empty;

	pthread_mutex_lock(&s->lock);
	empty = !s->started || (!s->used && !s->lost && !s->busy);
	pthread_mutex_unlock(&s->lock);
	return empty;
}

/* Give readers a second for the rest, before the process ends. */
void output_flush(void)
{
	unsigned int tries = 0;

	while (!(is_empty(&console) && is_empty(&messages)) && tries++ < FLUSH_TRIES)
		usleep(FLUSH_WAIT_US);
}

/* Messages */

#define NOTES_MAX	1000

static void message(const char *fmt, va_list args)
{
	char text[640] = "vmm: ";
	size_t len = strlen(text);

	vsnprintf(text + len, sizeof(text) - len - 1, fmt, args);
	len = strlen(text);
	text[len++] = '\n';
	if (messages.started)
		put(&messages, text, len);
	else
		write_out(STDERR_FILENO, text, len);
}

/* Print a message about something that the host or the VMM's user caused. */
void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
}

/* Print a message that the guest can cause. Their number is limited. */
void note(const char *fmt, ...)
{
	static unsigned int count;
	unsigned int n = __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
	va_list args;

	if (n > NOTES_MAX) {
		__atomic_store_n(&count, NOTES_MAX + 1, __ATOMIC_RELAXED);
		return;
	}
	if (n == NOTES_MAX) {
		say("messages that the guest can cause are not shown any more");
		return;
	}
	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
	output_flush();
	exit(1);
}

static char failed[512];

/**
 * fail - Say why the main thread cannot do what it was asked to do
 * @fmt: as for printf()
 *
 * At start this ends the process; later the text is the monitor's answer.
 *
 * Return: -1
 */
int fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(failed, sizeof(failed), fmt, args);
	va_end(args);
	return -1;
}

const char *failure(void)
{
	return failed;
}
