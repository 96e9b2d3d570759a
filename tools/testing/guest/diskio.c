// SPDX-License-Identifier: GPL-2.0
/*
 * Direct I/O on a disk: each request is a DMA of its own.
 *
 *	diskio read DISK[,DISK...] SIZE COUNT DEPTH
 *						time COUNT reads of SIZE bytes, of which
 *						DEPTH are under way at a time; the disks
 *						take turns
 *	diskio verify DISK			write 1 MiB and read it back
 *
 * Offsets and contents are pseudo-random, and the same each time.
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
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define VERIFY_SIZE	(1 << 20)
#define DEPTH_MAX	64
#define DISKS_MAX	8
#define HUGE_PAGE	0x200000UL

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

/* Use huge pages, so that a request is one segment, as programs with much direct I/O do. */
static void *buffer(size_t size)
{
	void *p = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) & -HUGE_PAGE);

	if (!p)
		error(1, errno, "no memory");
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0, size);
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

static int open_disk(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDWR | O_DIRECT);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (end < 0)
		error(1, errno, "%s", path);
	*size = end;
	return fd;
}

struct disks {
	int fd[DISKS_MAX];
	unsigned int num;
	uint64_t size;		/* of the smallest one */
};

static void open_disks(struct disks *disks, char *paths)
{
	uint64_t size;
	char *path;

	*disks = (struct disks){ .size = UINT64_MAX };
	while ((path = strsep(&paths, ","))) {
		if (disks->num == DISKS_MAX)
			error(2, 0, "more than %d disks", DISKS_MAX);
		disks->fd[disks->num++] = open_disk(path, &size);
		if (size < disks->size)
			disks->size = size;
	}
}

/* The kernel's own asynchronous I/O: one thread keeps the disks busy. */
static void time_reads(const struct disks *disks, uint64_t size, uint64_t count, uint64_t depth)
{
	struct iocb requests[DEPTH_MAX];
	struct io_event done[DEPTH_MAX];
	uint64_t start, given = 0, taken = 0;
	aio_context_t context = 0;
	struct iocb *request;
	char *data;
	long i, n;

	if (size > disks->size)
		error(1, 0, "the disk is too small");
	if (depth > DEPTH_MAX || depth > count)
		error(2, 0, "not a depth: %llu", (unsigned long long)depth);
	data = buffer(depth * size);
	if (syscall(SYS_io_setup, depth, &context))
		error(1, errno, "io_setup");
	for (i = 0; i < (long)depth; i++) {
		requests[i] = (struct iocb){
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_buf = (uintptr_t)data + i * size,
			.aio_nbytes = size,
		};
		done[i].obj = (uintptr_t)&requests[i];
	}
	start = now_ns();
	for (n = depth; taken < count; taken += n) {
		for (i = 0; i < n && given < count; i++, given++) {
			request = (struct iocb *)(uintptr_t)done[i].obj;
			request->aio_fildes = disks->fd[given % disks->num];
			request->aio_offset = random_next() % (disks->size / size) * size;
			if (syscall(SYS_io_submit, context, 1, &request) != 1)
				error(1, errno, "io_submit");
		}
		n = syscall(SYS_io_getevents, context, 1, depth, done, NULL);
		if (n < 1)
			error(1, errno, "io_getevents");
		for (i = 0; i < n; i++)
			if (done[i].res != (int64_t)size)
				error(1, -done[i].res, "read");
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
	struct disks disks;
	uint64_t size;

	if (argc == 6 && !strcmp(argv[1], "read")) {
		open_disks(&disks, argv[2]);
		time_reads(&disks, number(argv[3]), number(argv[4]), number(argv[5]));
	} else if (argc == 3 && !strcmp(argv[1], "verify")) {
		verify(open_disk(argv[2], &size));
	} else {
		error(2, 0, "usage: diskio read DISK[,DISK...] SIZE COUNT DEPTH, or verify DISK");
	}
	return 0;
}
