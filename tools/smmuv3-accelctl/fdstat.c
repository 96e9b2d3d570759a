// SPDX-License-Identifier: GPL-2.0
/*
 * Stat the files behind descriptors of other processes, and do not hang with them.
 *
 * A file can be on a network filesystem whose server is gone. Then stat() waits, whatever
 * its flags: the kernel follows the link in /proc, and asks the filesystem whether the
 * file is still valid. So a child process does it, and is killed if it takes too long.
 * Such a filesystem is not asked again.
 *
 * There can be many such filesystems, and many files on a slow one. So all waits together
 * have a limit, beyond which only filesystems in memory are asked: device nodes and sysfs
 * are there. A process can replace a file meanwhile, so that has a limit, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "accelctl.h"

#define PATIENCE	5000	/* ms, for a file */
#define BUDGET		10000	/* ms, for all files */
#define LAST_BUDGET	20000	/* ms, for all files, those in memory included */

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

/* How long this process has waited, in ms, since stat_fds_start() */
static __u64 waited;

/**
 * stat_fds_start() - Start to look at descriptors
 *
 * The limit of all waits is for one look. A filesystem that did not answer is not asked
 * again in a later look.
 */
void stat_fds_start(void)
{
	waited = 0;
}

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

static __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static int wait_for_child(void)
{
	struct pollfd answer = { .fd = channel, .events = POLLIN };
	__u64 start = now_ms(), before = waited;
	__u64 limit = before < BUDGET ? BUDGET : LAST_BUDGET;
	int rc;

	do {
		rc = poll(&answer, 1, PATIENCE);
		if (rc > 0)
			rc = 0;
		else if (rc < 0)
			rc = -errno;
		else
			rc = child_is_runnable() ? -EBUSY : -ETIMEDOUT;
		waited = before + now_ms() - start;
	} while ((rc == -EINTR || rc == -EBUSY) && waited < limit);
	return rc;
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
	rc = wait_for_child();
	if (rc) {
		drop_child();
		return rc;
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

/* Whether a line of mountinfo is that of a mount of a filesystem in memory */
static bool is_memory_mount(const char *line, __u64 mount)
{
	static const char * const types[] = { "devtmpfs", "sysfs", "tmpfs" };
	char type[16];
	size_t i;

	if (strtoull(line, NULL, 10) != mount)
		return false;
	/* Blanks in the fields before are escaped. */
	line = strstr(line, " - ");
	if (!line || sscanf(line, " - %15s", type) != 1)
		return false;
	for (i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

/* Reading mountinfo asks no filesystem either. */
static bool is_in_memory(const struct question *question)
{
	char *text, *line, *rest;
	bool found = false;
	__u64 mount;
	ssize_t len;

	if (!mount_of(question, &mount))
		return false;
	text = root_read_all(&len, "/proc/%u/mountinfo", question->pid);
	if (!text)
		return false;
	for (line = strtok_r(text, "\n", &rest); line && !found;
	     line = strtok_r(NULL, "\n", &rest))
		found = is_memory_mount(line, mount);
	free(text);
	return found;
}

static void note_limit(void)
{
	static bool noted;

	if (!noted)
		note("it took too long to look at the files of processes: from then on only device nodes on devtmpfs and tmpfs were looked at");
	noted = true;
}

static bool may_ask(const struct question *question)
{
	if (is_silent(question))
		return false;
	if (waited < BUDGET || (waited < LAST_BUDGET && is_in_memory(question)))
		return true;
	note_limit();
	return false;
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
 * Return: 0, or a negative errno; ETIMEDOUT if the file does not answer, or was not asked.
 */
int root_stat_fd(struct statx *st, __u32 pid, __u32 fd)
{
	struct question question = { .pid = pid, .fd = fd };
	int rc;

	if (*root_dir)
		return stat_in_copy(st, pid, fd);
	if (!may_ask(&question))
		return -ETIMEDOUT;
	rc = ask_child(st, &question);
	if (rc == -ETIMEDOUT)
		add_silent(&question);
	else if (rc == -EBUSY)
		note_limit();
	return rc;
}
