// SPDX-License-Identifier: GPL-2.0
/*
 * Direct I/O on a disk, so that each request is a DMA of its own:
 *
 *	diskio read DISK SIZE COUNT	time COUNT reads of SIZE bytes
 *	diskio verify DISK		write 1 MiB and read it back
 *
 * Places and contents are pseudo-random and the same each time.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>

#define VERIFY_SIZE	(1 << 20)

/* xorshift64 */
static uint64_t random_next(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void *buffer(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		error(1, errno, "no memory");
	return p;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (!n || *end)
		error(2, 0, "not a number: %s", text);
	return n;
}

static void time_reads(int fd, uint64_t disk_size, uint64_t size, uint64_t count)
{
	char *data = buffer(size);
	uint64_t start, i;

	if (size > disk_size)
		error(1, 0, "the disk is too small");
	start = now_ns();
	for (i = 0; i < count; i++) {
		off_t at = random_next() % (disk_size / size) * size;

		if (pread(fd, data, size, at) != (ssize_t)size)
			error(1, errno, "read at %lld", (long long)at);
	}
	printf("ns=%llu\n", (unsigned long long)(now_ns() - start));
}

static void verify(int fd)
{
	uint64_t *out = buffer(VERIFY_SIZE), *in = buffer(VERIFY_SIZE);
	size_t i;

	for (i = 0; i < VERIFY_SIZE / sizeof(*out); i++)
		out[i] = random_next();
	if (pwrite(fd, out, VERIFY_SIZE, 0) != VERIFY_SIZE)
		error(1, errno, "write");
	if (pread(fd, in, VERIFY_SIZE, 0) != VERIFY_SIZE)
		error(1, errno, "read");
	if (memcmp(out, in, VERIFY_SIZE))
		error(1, 0, "what was read is not what was written");
}

int main(int argc, char **argv)
{
	off_t size;
	int fd;

	if (argc < 3)
		error(2, 0, "usage: diskio read DISK SIZE COUNT, or verify DISK");
	fd = open(argv[2], O_RDWR | O_DIRECT);
	if (fd < 0)
		error(1, errno, "%s", argv[2]);
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		error(1, errno, "%s", argv[2]);
	if (!strcmp(argv[1], "read") && argc == 5)
		time_reads(fd, size, number(argv[3]), number(argv[4]));
	else if (!strcmp(argv[1], "verify") && argc == 3)
		verify(fd);
	else
		error(2, 0, "unknown command '%s'", argv[1]);
	return 0;
}
