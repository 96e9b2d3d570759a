// SPDX-License-Identifier: GPL-2.0
/*
 * Files in /sys, /proc and /dev, or in a copy of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/sysmacros.h>

#include "accelctl.h"

const char *root_dir = "";

void die(int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

void *xcalloc(size_t num, size_t size)
{
	void *memory = calloc(num, size);

	if (!memory)
		die(EXIT_TROUBLE, "out of memory");
	return memory;
}

/**
 * xgrow() - Add an element of zeros to an array
 * @array: the array, or NULL
 * @num: number of elements
 * @size: size of an element
 *
 * Return: the array.
 */
void *xgrow(void *array, size_t num, size_t size)
{
	char *grown = reallocarray(array, num + 1, size);

	if (!grown)
		die(EXIT_TROUBLE, "out of memory");
	memset(grown + num * size, 0, size);
	return grown;
}

static int make_path(char path[PATH_MAX], const char *format, va_list args)
{
	int root = snprintf(path, PATH_MAX, "%s", root_dir);
	int len;

	if (root >= PATH_MAX)
		return -ENAMETOOLONG;
	len = vsnprintf(path + root, PATH_MAX - root, format, args);
	return len < PATH_MAX - root ? 0 : -ENAMETOOLONG;
}

/**
 * root_exists() - Whether a file exists
 * @format: its path, below the root
 *
 * Return: true if it does.
 */
bool root_exists(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	int rc;

	va_start(args, format);
	rc = make_path(path, format, args);
	va_end(args);
	return !rc && !faccessat(AT_FDCWD, path, F_OK, AT_EACCESS);
}

static int open_path(int flags, const char *format, va_list args)
{
	char path[PATH_MAX];
	int rc, fd;

	rc = make_path(path, format, args);
	if (rc)
		return rc;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int root_open(int flags, const char *format, ...)
{
	va_list args;
	int fd;

	va_start(args, format);
	fd = open_path(flags, format, args);
	va_end(args);
	return fd;
}

static ssize_t read_fd(int fd, char *text, size_t size)
{
	size_t done = 0;
	ssize_t len;

	while (done < size) {
		len = read(fd, text + done, size - done);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		if (!len)
			break;
		done += len;
	}
	return done;
}

/**
 * root_read() - Read the first line of a small file
 * @text: buffer for the line, without its newline; empty on failure
 * @size: size of the buffer
 * @format: the file's path
 *
 * Return: its length, or a negative errno.
 */
int root_read(char *text, size_t size, const char *format, ...)
{
	va_list args;
	ssize_t len;
	int fd;

	text[0] = '\0';
	va_start(args, format);
	fd = open_path(O_RDONLY, format, args);
	va_end(args);
	if (fd < 0)
		return fd;
	len = read_fd(fd, text, size - 1);
	close(fd);
	if (len < 0) {
		text[0] = '\0';
		return len;
	}
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strlen(text);
}

/**
 * root_read_all() - Read a file of any length
 * @len: set to its length, or to a negative errno
 * @format: its path
 *
 * Return: its contents and a null byte, which the caller frees; or NULL.
 */
char *root_read_all(ssize_t *len, const char *format, ...)
{
	size_t room = 4096, done = 0;
	ssize_t more = 0;
	char *text = NULL;
	va_list args;
	int fd;

	va_start(args, format);
	fd = open_path(O_RDONLY, format, args);
	va_end(args);
	if (fd < 0) {
		*len = fd;
		return NULL;
	}
	do {
		room *= 2;
		text = realloc(text, room);
		if (!text)
			die(EXIT_TROUBLE, "out of memory");
		more = read_fd(fd, text + done, room - 1 - done);
		if (more < 0)
			break;
		done += more;
	} while (done == room - 1);
	close(fd);
	if (more < 0) {
		free(text);
		*len = more;
		return NULL;
	}
	text[done] = '\0';
	*len = done;
	/* Shrink it, so that a sanitizer sees reads beyond the end. */
	return realloc(text, done + 1) ?: text;
}

/* @name: only the last part of the target */
static int read_link(char *to, size_t size, bool name, const char *format, va_list args)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t len;
	int rc;

	to[0] = '\0';
	rc = make_path(path, format, args);
	if (rc)
		return rc;
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	last = name ? strrchr(target, '/') : NULL;
	return copy_text(to, size, last ? last + 1 : target) ? 0 : -ENAMETOOLONG;
}

/**
 * root_link() - Read a symbolic link
 * @target: buffer for its target; empty on failure
 * @size: size of the buffer
 * @format: the link's path
 *
 * Return: 0, or a negative errno.
 */
int root_link(char *target, size_t size, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = read_link(target, size, false, format, args);
	va_end(args);
	return rc;
}

/**
 * root_link_name() - Read the last part of a symbolic link's target
 * @name: buffer for it; empty on failure
 * @size: size of the buffer
 * @format: the link's path
 *
 * Return: 0, or a negative errno.
 */
int root_link_name(char *name, size_t size, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = read_link(name, size, true, format, args);
	va_end(args);
	return rc;
}

/**
 * root_dev() - Read a device number from a file in sysfs
 * @format: the file's path
 *
 * Return: the number, or 0 if there is none.
 */
dev_t root_dev(const char *format, ...)
{
	unsigned int major, minor;
	char text[32] = "";
	va_list args;
	int fd;

	va_start(args, format);
	fd = open_path(O_RDONLY, format, args);
	va_end(args);
	if (fd < 0)
		return 0;
	if (read_fd(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/**
 * root_scan() - List a folder, with numbers in numerical order
 * @entries: set to the list; the caller frees it with scan_free()
 * @format: the folder's path
 *
 * Return: number of entries, or a negative errno.
 */
int root_scan(struct dirent ***entries, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	int rc;

	*entries = NULL;
	va_start(args, format);
	rc = make_path(path, format, args);
	va_end(args);
	if (rc)
		return rc;
	rc = scandir(path, entries, not_hidden, versionsort);
	return rc < 0 ? -errno : rc;
}

void scan_free(struct dirent **entries, int num)
{
	while (num-- > 0)
		free(entries[num]);
	free(entries);
}

/**
 * copy_text() - Copy a string if there is room for all of it
 * @to: buffer
 * @size: size of the buffer
 * @from: the string
 *
 * Return: true if there was room.
 */
bool copy_text(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

/**
 * parse_u64() - Parse a string that is a number and nothing else
 * @text: the string
 * @base: 10 or 16; with 16, the string may start with "0x"
 * @max: the largest number that is accepted
 * @value: set to the number
 *
 * Return: true if it is one.
 */
bool parse_u64(const char *text, int base, __u64 max, __u64 *value)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	__u64 number;
	char *end;

	if (base == 16 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	/* strtoull() takes blanks, signs and "0x0x1" as well. */
	if (!text[0] || text[strspn(text, digits)])
		return false;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno || *end || number > max)
		return false;
	*value = number;
	return true;
}
