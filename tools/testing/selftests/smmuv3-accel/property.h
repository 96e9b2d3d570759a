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

#define STREAMS		4
#define SMMUS		4
#define CDS		6
#define ASIDS		12
#define STRTAB_LOG2SIZE	10

#define SPACES	5

/* A walk needs most: each step a need for each ASID, and three commands for a need */
#define MAX_CHANGES	40
#define MAX_PAGES	6
#define MAX_STEPS	24
#define MAX_NEEDS	(MAX_CHANGES * MAX_STEPS * CDS)
#define MAX_CMDS	(MAX_NEEDS * 4)

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

/**
 * struct context - A CD
 * @gpa: where it is. It has two places, which a guest that boots again uses in turn
 * @place: which of them
 * @space: the page table that it leads to
 * @asid: its ASID
 * @valid: V = 1
 */
struct context {
	__u64 gpa[2];
	int place;
	int space;
	int asid;
	bool valid;
};

enum stream_kind { STREAM_S1, STREAM_BYPASS, STREAM_ABORT, STREAM_INVALID };

/**
 * struct config - A way in which an SMMU may translate for a stream
 * @kind: STREAM_S1 or what the STE says else
 * @asid: the ASID
 * @space: the page table; -1: the CD is not valid
 */
struct config {
	enum stream_kind kind;
	int asid;
	int space;
};

/* There are no more that differ */
#define MAX_CONFIGS	(ASIDS * (SPACES + 1) + STREAM_INVALID)

/**
 * struct target - A stream
 * @s: the machine's stream
 * @kind: what the guest wants of it: the STE in memory
 * @cd: the CD that this STE leads to
 * @attached: it is attached
 * @smmu: its physical SMMU
 * @in_force: the STE that the module has given it
 * @in_force_cd: the CD that this STE leads to
 * @config: what its SMMU may use: all that the CD was since the last CFGI
 * @config_num: how many there are
 */
struct target {
	struct stream *s;
	enum stream_kind kind;
	int cd;
	bool attached;
	unsigned int smmu;
	enum stream_kind in_force;
	int in_force_cd;
	struct config config[MAX_CONFIGS];
	unsigned int config_num;
};

/* A translation that the guest has changed, but a TLB may still have */
struct stale {
	__u64 iova;
	__u64 size;
	__u64 gpa;
};

#define MAX_STALE	512

/* @unknown: there are more than that */
struct stale_list {
	struct stale stale[MAX_STALE];
	unsigned int num;
	bool unknown;
};

#define MAX_WHERE	64

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

/**
 * struct run - A run of the property
 * @m: the machine
 * @asid_space: the space that CDs bind an ASID to, or -1
 * @asid_dirty: the TLB may have entries of an ASID that no CD has any more. It must be
 *	invalidated before it is used again
 * @smmu_num: how many SMMUs the streams are behind
 * @ril: the SMMUs have range invalidations
 * @leave_out: the kind of need of which one is left unmet in each round
 * @early: needs are met before the end of a round
 * @stale: translations that TLBs may have, by ASID
 * @told: a CFGI has told of an ASID on an SMMU since its TLBs were flushed
 * @excused: an SMMU could use an ASID of which no CFGI told, and no CD there has it
 *	any more
 * @where: addresses that DMA may reach; 0: it may fault
 * @where_num: how many there are
 * @dmas: how often a device did DMA
 * @midway: how often the result was compared while needs were unmet
 * @anywhere: how often it was not, because any was possible
 * @stats: counters of all vSMMUs, only those that the test looks at
 * @rc: not 0: something went wrong
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
	unsigned int smmu_num;
	bool ril;
	enum need_kind leave_out;
	bool early;
	struct stale_list stale[ASIDS];
	bool told[SMMUS][ASIDS];
	bool excused[SMMUS][ASIDS];
	__u64 where[MAX_WHERE];
	unsigned int where_num;
	struct need needs[MAX_NEEDS];
	unsigned int need_num;
	struct cmd cmds[MAX_CMDS];
	unsigned int cmd_num;
	unsigned long dmas;
	unsigned long midway;
	unsigned long anywhere;
	struct smmuv3_accel_stats stats;
	int rc;
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
__u64 space_where(const struct run *r, const struct space *s, __u64 iova);
int check_dma(struct run *r, struct target *st, __u64 iova);
void check_midway(struct run *r, struct target *st, __u64 iova);

void start_spaces(struct run *r);
void start_cds(struct run *r);
void new_tables(struct run *r);
void write_ste(struct run *r, struct target *st);

void change_pages(struct run *r);
void change_region(struct run *r);
void change_cd(struct run *r);
void change_ste(struct run *r);
void change_page(struct run *r, int space, int region, int slot);
void set_cd(struct run *r, int c, int asid, int space, bool valid);

void queue(struct run *r, struct cmd next);
int run_all(struct run *r);

int any_event(struct run *r);
int plug_all(struct run *r);
int add_stats(struct run *r);
int start_streams(struct run *r);
int walk(struct run *r);

void model_remap(struct run *r, int space, __u64 iova, __u64 size, __u64 gpa);
void model_cd_changes(struct run *r, int cd);
void model_cd_changed(struct run *r, int cd);
void model_install(struct run *r, struct target *st, enum stream_kind kind, int cd);
void model_detach(struct run *r, struct target *st);
void model_reset(struct run *r);
void model_run(struct run *r, const struct cmd *le);
bool model_where(struct run *r, const struct target *st, __u64 iova);

#endif
