// SPDX-License-Identifier: GPL-2.0
/*
 * Direct reads and writes of several disks by several CPUs at once, checked.
 *
 *	diskstress PROCESSES ROUNDS DISK...
 *
 * The processes are spread over the CPUs, and each has 2 MiB of a disk of its own. It writes
 * and reads it in pieces of any size, from pages that change, and compares all that it reads
 * with what it has written. Contents are pseudo-random, and the same each time.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK		4096
#define AREA		(2 << 20)
#define PIECE_MAX	(128 << 10)
#define BUFFERS		16
#define PROCESSES_MAX	64

struct stress {
	unsigned int number;	/* of the process */
	int fd;
	off_t start;		/* of its area on the disk */
	uint64_t random;
	char *area;		/* what the area has to have */
	char *buffers;
};

/* xorshift64 */
static uint64_t random_next(struct stress *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static char *pages(size_t size)
{
	char *p = aligned_alloc(BLOCK, size);

	if (!p)
		error(1, errno, "no memory");
	return p;
}

static void write_piece(struct stress *s, size_t at, size_t size, char *buffer)
{
	size_t i;

	for (i = 0; i < size; i += sizeof(uint64_t))
		*(uint64_t *)(s->area + at + i) = random_next(s);
	memcpy(buffer, s->area + at, size);
	if (pwrite(s->fd, buffer, size, s->start + at) != (ssize_t)size)
		error(1, errno, "process %u: write", s->number);
}

static void read_piece(struct stress *s, size_t at, size_t size, char *buffer)
{
	/* Overwrite what an earlier read has left, so that it does not pass for this one's. */
	memset(buffer, random_next(s), size);
	if (pread(s->fd, buffer, size, s->start + at) != (ssize_t)size)
		error(1, errno, "process %u: read", s->number);
	if (memcmp(buffer, s->area + at, size))
		error(1, 0, "process %u: %zu bytes at %llu are wrong", s->number, size,
		      (unsigned long long)s->start + at);
}

static void run(struct stress *s, unsigned long rounds)
{
	size_t at, size;
	char *buffer;

	for (at = 0; at < AREA; at += PIECE_MAX)
		write_piece(s, at, PIECE_MAX, s->buffers);
	while (rounds--) {
		size = (random_next(s) % (PIECE_MAX / BLOCK) + 1) * BLOCK;
		/* Mostly small ones, for more invalidations */
		if (random_next(s) % 4)
			size = BLOCK;
		at = random_next(s) % ((AREA - size) / BLOCK + 1) * BLOCK;
		buffer = s->buffers + random_next(s) % BUFFERS * PIECE_MAX;
		if (random_next(s) % 2)
			write_piece(s, at, size, buffer);
		else
			read_piece(s, at, size, buffer);
	}
	for (at = 0; at < AREA; at += PIECE_MAX)
		read_piece(s, at, PIECE_MAX, s->buffers + at / PIECE_MAX % BUFFERS * PIECE_MAX);
}

static void use_cpu(unsigned int number)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number % cpus, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		error(1, errno, "CPU %ld", number % cpus);
}

static void process(unsigned int number, unsigned long rounds, char **disks, int disk_num)
{
	const char *disk = disks[number % disk_num];
	struct stress s = {
		.number = number,
		.fd = open(disk, O_RDWR | O_DIRECT),
		.start = (off_t)(number / disk_num) * AREA,
		.random = 0x9e3779b97f4a7c15 + number,
	};

	if (s.fd < 0 || lseek(s.fd, 0, SEEK_END) < s.start + AREA)
		error(1, errno, "%s: cannot be opened, or is too small", disk);
	/* The processes of a disk run on all CPUs. */
	use_cpu(number / disk_num);
	s.area = pages(AREA);
	s.buffers = pages(BUFFERS * PIECE_MAX);
	run(&s, rounds);
	exit(0);
}

int main(int argc, char **argv)
{
	unsigned long processes, rounds, i;
	int status, failed = 0;

	if (argc < 4)
		error(2, 0, "usage: diskstress PROCESSES ROUNDS DISK...");
	processes = strtoul(argv[1], NULL, 10);
	rounds = strtoul(argv[2], NULL, 10);
	if (!processes || processes > PROCESSES_MAX || !rounds)
		error(2, 0, "not numbers: %s, %s", argv[1], argv[2]);
	for (i = 0; i < processes; i++) {
		switch (fork()) {
		case -1:
			error(1, errno, "fork");
			break;
		case 0:
			process(i, rounds, argv + 3, argc - 3);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
