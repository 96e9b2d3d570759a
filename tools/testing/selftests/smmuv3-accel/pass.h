/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that pass descriptors to each other, the players, and the memory that they
 * share with the process that starts and kills them
 */
#ifndef SELFTEST_SMMUV3_ACCEL_PASS_H
#define SELFTEST_SMMUV3_ACCEL_PASS_H

#include <stdatomic.h>

#include "calls.h"
#include "machine.h"

#define REPORTS		32

#define DEVICES		3
#define FIRST_DEVICE	1	/* the neighbour has number 0 */
#define SLOTS		6	/* the most players */
#define ITEMS		20	/* the most descriptors of a player */
#define BOXES		3
#define VSIDS		3
#define FIRST_VSID	0x20

#define IOVA		0x20000000ULL
#define ASID		3
#define RING_LOG2SIZE	6
#define STRTAB_LOG2SIZE	8

enum kind { NOTHING, ACCEL, IOMMUFD, CDEV, UFFD };

/**
 * struct tag - What is known about a descriptor. A message with a descriptor has its tag
 * @kind: enum kind
 * @dev: number of a device
 * @serial: number of an iommufd, or of the one that the descriptor is bound to, which
 *	never changes. 0: unknown
 * @ioas: the IOAS of an iommufd
 */
struct tag {
	__u32 kind;
	__u32 dev;
	__u32 serial;
	__u32 ioas;
};

/**
 * struct item - A descriptor that a player has
 * @dev: the descriptor, and the rest of a device
 * @tag: what it is
 * @mine: an accel file that this process bound or took over
 */
struct item {
	struct dma_dev dev;
	struct tag tag;
	bool mine;
};

/**
 * struct slot - Room for a player
 * @taken: not free
 * @pid: the player, or 0
 * @num: how many descriptors the player takes through exec()
 * @fds: these descriptors
 * @tags: what they are
 */
struct slot {
	atomic_bool taken;
	pid_t pid;
	unsigned int num;
	int fds[ITEMS];
	struct tag tags[ITEMS];
};

/* Counted besides the ioctls, so that the test can show that it did something */
enum count {
	CALLS = ACCEL_CALLS, DMAS, SENT, RECEIVED, FORKS, EXECS, TAKEOVERS, SCRATCHES, FAULTS,
	KILLS, HELD, CYCLES, COUNTS
};

/* What all processes share. In a memfd, so that it outlives exec() */
struct arena {
	__u64 seed;
	__u64 rounds;
	bool meddle;
	int fd;
	int ram_fd;		/* the guest memory that all VMMs map */
	int box[BOXES][2];	/* sockets: one to send, one to receive */
	__u64 cd;
	__u64 page;		/* IOVA leads there */
	struct strtab strtab;
	struct ring ring;
	__u64 canaries;
	__u64 canaries_len;
	char bdf[DEVICES][16];
	atomic_int failures;
	atomic_int reports[REPORTS];
	atomic_bool stuck;
	atomic_uint serial;	/* of the newest iommufd */
	atomic_uint actions;
	atomic_uint count[COUNTS];
	struct slot slot[SLOTS];
};

extern struct arena *arena;
extern const char * const count_names[COUNTS];

/**
 * struct player - The player that this process is
 * @slot: its slot
 * @random: state of its random numbers
 * @num: how many descriptors it has
 * @items: its descriptors
 * @ram: guest memory
 * @trap: memory behind a userfaultfd
 */
struct player {
	struct slot *slot;
	__u64 random;
	unsigned int num;
	struct item items[ITEMS];
	char *ram;
	char *trap;
};

extern struct player p;

__attribute__((format(printf, 1, 2)))
void wrong(const char *format, ...);
void tally(enum count what);
__u32 rolled(__u32 sides);
bool one_in(__u32 sides);
void breathe(void);

struct item *add_item(int fd, struct tag tag);
void drop_item(struct item *item);
int take_from(int box, struct tag *tag);
struct slot *free_slot(void);

__attribute__((noreturn)) void play(void);
int player(int fd, int slot);

#endif
