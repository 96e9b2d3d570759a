/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest of the property test, a model of where its DMA must go, and what it has
 * to invalidate
 */
#ifndef SELFTEST_SMMUV3_ACCEL_PROPERTY_H
#define SELFTEST_SMMUV3_ACCEL_PROPERTY_H

#include "machine.h"

/*
 * DMA addresses and the pages that they lead to are in one pool of guest memory, so that an
 * address is valid with stage 1 and without. A region has the size of a block. If it has a
 * table, the test uses its first and last few pages.
 */
#define REGIONS		3
#define REGION_SIZE	(2ULL << 20)
#define POOL_SIZE	(REGIONS * REGION_SIZE)
#define SLOTS		12
#define SLOTS_LOW	8

#define STREAMS		3
#define CDS		4
#define ASIDS		6
#define STRTAB_LOG2SIZE	10

#define SPACES	5

extern const unsigned int asid_value[ASIDS];

enum region_state { REGION_TABLE, REGION_EMPTY, REGION_BLOCK };

/**
 * struct space - A page table, and what is in it
 * @pt: the table
 * @state: what a region's level-2 entry is. Always a table, unless the granule is 4K
 * @emptied: the round in which the region became empty. It stays empty in that round,
 *	since a block and a table must not follow each other without an invalidation
 * @table: the level-2 entry that leads to the region's level-3 table
 * @block: where the block leads to
 * @page: where each slot's page leads to; 0: not mapped
 */
struct space {
	struct pgtable pt;
	enum region_state state[REGIONS];
	unsigned int emptied[REGIONS];
	__u64 table[REGIONS];
	__u64 block[REGIONS];
	__u64 page[REGIONS][SLOTS];
};

struct context {
	__u64 gpa;
	int space;
	int asid;
};

enum stream_kind { STREAM_S1, STREAM_BYPASS, STREAM_ABORT, STREAM_INVALID };

/* What the guest wants of a stream */
struct target {
	struct stream *s;
	enum stream_kind kind;
	int cd;
};

enum need_kind {
	NEED_STE,	/* of a stream */
	NEED_CD,	/* of a stream */
	NEED_ASID,	/* all of an ASID */
	NEED_PAGE,	/* a page under an ASID */
	NEED_BLOCK,	/* a block under an ASID */
	NEED_TABLE,	/* a level-3 table under an ASID, and all pages in it */
	NEED_NONE,
};

/* A change that the guest must invalidate */
struct need {
	enum need_kind kind;
	int stream;
	int asid;
	unsigned int shift;
	__u64 iova;
	bool done;
};

/* Pages need most: a need for each ASID, and three commands for a need */
#define MAX_CHANGES	40
#define MAX_PAGES	6
#define MAX_NEEDS	(MAX_CHANGES * MAX_PAGES * CDS)
#define MAX_CMDS	(MAX_NEEDS * 4)

/**
 * struct run - A run of the property
 * @m: the machine
 * @asid_space: the space that CDs bind an ASID to, or -1
 * @asid_dirty: the TLB may have entries of an ASID that no CD has any more. It must be
 *	invalidated before it is used again
 * @ril: the SMMUs have range invalidations
 * @leave_out: the kind of need of which one is left unmet in each round
 * @why: what went wrong
 */
struct run {
	struct machine m;
	__u64 random;
	unsigned int round;
	__u64 pool;
	struct space spaces[SPACES];
	struct context cds[CDS];
	struct target targets[STREAMS];
	int asid_space[ASIDS];
	bool asid_dirty[ASIDS];
	bool ril;
	enum need_kind leave_out;
	struct need needs[MAX_NEEDS];
	unsigned int need_num;
	struct cmd cmds[MAX_CMDS];
	unsigned int cmd_num;
	unsigned long dmas;
	char why[256];
};

__u32 rnd(struct run *r, __u32 n);
bool one_in(struct run *r, __u32 n);
bool careful(const struct run *r);
__attribute__((format(printf, 2, 3)))
int fail(struct run *r, const char *format, ...);

__u64 slot_iova(const struct run *r, unsigned int shift, int region, int slot);
__u64 random_iova(struct run *r, const struct space *s);
__u64 stream_iova(struct run *r, const struct target *st);
int check_dma(struct run *r, struct target *st, __u64 iova);

void start_spaces(struct run *r);
void start_cds(struct run *r);
void write_ste(struct run *r, struct target *st);

void change_pages(struct run *r);
void change_region(struct run *r);
void change_cd(struct run *r);
void change_ste(struct run *r);

#endif
