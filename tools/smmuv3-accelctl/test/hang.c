// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into smmuv3-accelctl: a stat of a path that starts with $HANG takes
 * $HANG_SECONDS, or without that never returns, as that of a file on a network filesystem
 * whose server is slow or gone. $HANG_LOG is a file that gets these paths. With $HANG_POLL,
 * a signal interrupts poll() after half a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void add_to_log(const char *path)
{
	const char *log = getenv("HANG_LOG");
	int fd = log ? open(log, O_WRONLY | O_APPEND) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s\n", path);
	close(fd);
}

int statx(int folder, const char *restrict path, int flags, unsigned int mask,
	  struct statx *restrict st)
{
	const char *hang = getenv("HANG"), *seconds = getenv("HANG_SECONDS");

	if (hang && !strncmp(path, hang, strlen(hang))) {
		add_to_log(path);
		do {
			sleep(seconds ? atoi(seconds) : 1000);
		} while (!seconds);
	}
	return syscall(SYS_statx, folder, path, flags, mask, st);
}

int poll(struct pollfd *fds, nfds_t num, int timeout)
{
	struct timespec end = { .tv_sec = timeout / 1000 };
	bool interrupt = getenv("HANG_POLL");
	int rc;

	if (interrupt)
		end = (struct timespec){ .tv_nsec = 500000000 };
	rc = syscall(SYS_ppoll, fds, num, timeout < 0 && !interrupt ? NULL : &end, NULL, 0);
	if (rc || !interrupt)
		return rc;
	errno = EINTR;
	return -1;
}
