// SPDX-License-Identifier: GPL-2.0
/*
 * Stat the files behind descriptors of other processes, and do not hang with them.
 *
 * A file can be on a network filesystem whose server is gone. Then stat() waits, whatever
 * its flags: the kernel follows the link in /proc, and asks the filesystem whether the
 * file is still valid. So a child process does it, and is killed if it takes too long.
 * Such a filesystem is not asked again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "accelctl.h"

#define PATIENCE	5000	/* ms */

struct question {
	__u32 pid;
	__u32 fd;
};

struct reply {
	int rc;
	struct statx st;
};

static pid_t child;
static int channel = -1;

/* The mounts that did not answer */
static __u64 *silent;
static size_t silent_num;

static int stat_path(struct statx *st, const char *path)
{
	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC,
		     STATX_TYPE | STATX_INO | STATX_MNT_ID, st) ? -errno : 0;
}

static void serve(int fd)
{
	struct question question;
	struct reply reply;
	char path[64];

	while (read(fd, &question, sizeof(question)) == sizeof(question)) {
		snprintf(path, sizeof(path), "/proc/%u/fd/%u", question.pid,
			 question.fd);
		reply = (struct reply){};
		reply.rc = stat_path(&reply.st, path);
		if (write(fd, &reply, sizeof(reply)) != sizeof(reply))
			break;
	}
}

static int start_child(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child = fork();
	if (child < 0) {
		close(pair[0]);
		close(pair[1]);
		return -errno;
	}
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		serve(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	channel = pair[0];
	return 0;
}

/* The child may need long to die, so nobody waits for it. */
static void drop_child(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, WNOHANG);
	close(channel);
	channel = -1;
}

/* On a busy machine, the child may just not get to run. */
static bool child_is_runnable(void)
{
	char text[128];
	const char *name_end;

	if (root_read(text, sizeof(text), "/proc/%d/stat", child) < 0)
		return false;
	name_end = strrchr(text, ')');
	return name_end && name_end[1] == ' ' && name_end[2] == 'R';
}

static bool child_answers(void)
{
	struct pollfd answer = { .fd = channel, .events = POLLIN };

	while (poll(&answer, 1, PATIENCE) <= 0)
		if (!child_is_runnable())
			return false;
	return true;
}

static int ask_child(struct statx *st, const struct question *question)
{
	struct reply reply;
	int rc;

	rc = channel < 0 ? start_child() : 0;
	if (rc)
		return rc;
	if (send(channel, question, sizeof(*question), MSG_NOSIGNAL) != sizeof(*question)) {
		drop_child();
		return -EIO;
	}
	if (!child_answers()) {
		drop_child();
		return -ETIMEDOUT;
	}
	if (recv(channel, &reply, sizeof(reply), 0) != sizeof(reply)) {
		drop_child();
		return -EIO;
	}
	*st = reply.st;
	return reply.rc;
}

/* Reading fdinfo asks no filesystem. */
static bool mount_of(const struct question *question, __u64 *mount)
{
	ssize_t len;
	bool found;
	char *text;

	text = root_read_all(&len, "/proc/%u/fdinfo/%u", question->pid,
			     question->fd);
	if (!text)
		return false;
	found = fdinfo_number(text, "mnt_id:", 10, mount);
	free(text);
	return found;
}

static bool is_silent(const struct question *question)
{
	__u64 mount;
	size_t i;

	if (!silent_num || !mount_of(question, &mount))
		return false;
	for (i = 0; i < silent_num; i++)
		if (silent[i] == mount)
			return true;
	return false;
}

static void add_silent(const struct question *question)
{
	__u64 mount;

	note("process %u: the file of descriptor %u does not answer; files on its filesystem were not looked at",
	     question->pid, question->fd);
	if (!mount_of(question, &mount))
		return;
	silent = xgrow(silent, silent_num, sizeof(*silent));
	silent[silent_num++] = mount;
}

/* In a copy, look the file up by its name below the root. */
static int stat_in_copy(struct statx *st, __u32 pid, __u32 fd)
{
	char path[PATH_MAX], target[PATH_MAX];
	int rc;

	rc = root_link(target, sizeof(target), "/proc/%u/fd/%u", pid, fd);
	if (rc)
		return rc;
	if (target[0] != '/')
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s%s", root_dir, target) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return stat_path(st, path);
}

/**
 * root_stat_fd() - Stat the file behind a descriptor of a process
 * @st: set to its type and numbers
 * @pid: the process
 * @fd: its descriptor
 *
 * Return: 0, or a negative errno; ETIMEDOUT if the file does not answer.
 */
int root_stat_fd(struct statx *st, __u32 pid, __u32 fd)
{
	struct question question = { .pid = pid, .fd = fd };
	int rc;

	if (*root_dir)
		return stat_in_copy(st, pid, fd);
	if (is_silent(&question))
		return -ETIMEDOUT;
	rc = ask_child(st, &question);
	if (rc == -ETIMEDOUT)
		add_silent(&question);
	return rc;
}
