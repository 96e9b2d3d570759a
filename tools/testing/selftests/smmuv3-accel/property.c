// SPDX-License-Identifier: GPL-2.0
/*
 * Random changes of stage 1, invalidated in random legal ways through the
 * guest's command queue, and DMA against a model: none may go where the guest
 * does not want it any more.
 *
 * SMMUV3_ACCEL_ROUNDS: how many rounds in all
 * SMMUV3_ACCEL_SEED: where the random numbers start
 * SMMUV3_ACCEL_BREAK: if not 0, leave out an invalidation in each round, to see
 *	it found
 *
 * All mappings are not-global (nG = 1), as a driver's are for DMA. The emulated
 * SMMU knows no global ones, so those would prove nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/syscall.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_ROUNDS	20000
#define DEFAULT_SEED	0x5eed

/*
 * DMA addresses, and what they lead to, are in one stretch of guest memory, so
 * that an address means something with stage 1 and without. Each region is a
 * block in size; in those of a table the first and last few pages are used.
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

static const unsigned int space_shift[] = {
	GRANULE_4K, GRANULE_4K, GRANULE_4K, GRANULE_16K, GRANULE_64K,
};

#define SPACES	ARRAY_LEN(space_shift)

static const unsigned int asid_value[ASIDS] = { 1, 2, 3, 0x40, 0x80, 0xff };

enum region_state { REGION_TABLE, REGION_EMPTY, REGION_BLOCK };

/**
 * struct space - A page table, and what is in it
 * @pt: the table
 * @state: what a region's level-2 entry is; with 4K only, else a table
 * @emptied: round in which it became empty. Not to be filled in the same, as a
 *	block and a table may not follow each other without an invalidation
 * @table: level-2 entry that leads to the region's level-3 table
 * @block: where the block leads to
 * @page: where each slot's page leads to, 0: it is not mapped
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

struct stream {
	struct dma_dev dev;
	__u32 vsid;
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

/* Something that the guest changed and has to invalidate */
struct need {
	enum need_kind kind;
	int stream;
	int asid;
	unsigned int shift;
	__u64 iova;
	bool done;
};

/* Pages cost most: a need for each ASID, and three commands for a need */
#define MAX_CHANGES	40
#define MAX_PAGES	6
#define MAX_NEEDS	(MAX_CHANGES * MAX_PAGES * CDS)
#define MAX_CMDS	(MAX_NEEDS * 4)

/**
 * struct run - A run of the property
 * @asid_space: the space that an ASID is bound to by some CD, or -1
 * @asid_dirty: there may be TLB entries of an ASID that is bound no more; it is
 *	to be invalidated by the time that it is used again
 * @ril: there are range invalidations
 * @leave_out: kind of need of which one in each round is not met
 * @why: what went wrong
 */
struct run {
	struct guest g;
	__u64 random;
	unsigned int round;
	__u64 pool;
	struct strtab strtab;
	struct ring ring;
	struct space spaces[SPACES];
	struct context cds[CDS];
	struct stream streams[STREAMS];
	unsigned int stream_num;
	__u32 first_vsid;
	__u32 vsid_step;
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

static struct run run;

/* xorshift64*: below @n */
static __u32 rnd(struct run *r, __u32 n)
{
	r->random ^= r->random >> 12;
	r->random ^= r->random << 25;
	r->random ^= r->random >> 27;
	return ((r->random * 0x2545f4914f6cdd1dULL) >> 32) % n;
}

static bool one_in(struct run *r, __u32 n)
{
	return !rnd(r, n);
}

/* With an omission nothing may stand in for it */
static bool careful(const struct run *r)
{
	return r->leave_out != NEED_NONE;
}

static __printf(2, 3) int fail(struct run *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->why, sizeof(r->why), format, args);
	va_end(args);
	return -EPROTO;
}

/* The model */

static __u64 slot_iova(const struct run *r, unsigned int shift, int region,
		       int slot)
{
	unsigned int index = slot;

	if (slot >= SLOTS_LOW)
		index += (REGION_SIZE >> shift) - SLOTS;
	return r->pool + region * REGION_SIZE + ((__u64)index << shift);
}

/* Where a space leads to; 0: to a fault */
static __u64 space_where(const struct run *r, const struct space *s, __u64 iova)
{
	unsigned int shift = s->pt.shift;
	__u64 offset = iova - r->pool;
	int region = offset / REGION_SIZE;
	int index = offset % REGION_SIZE >> shift;
	int high = (REGION_SIZE >> shift) - SLOTS;
	__u64 page;

	switch (s->state[region]) {
	case REGION_EMPTY:
		return 0;
	case REGION_BLOCK:
		return s->block[region] + offset % REGION_SIZE;
	default:
		break;
	}
	if (index >= SLOTS_LOW)
		index -= high;
	if (index < 0 || index >= SLOTS ||
	    iova >> shift != slot_iova(r, shift, region, index) >> shift)
		return 0;
	page = s->page[region][index];
	return page ? page + (iova & ((1ULL << shift) - 1)) : 0;
}

static __u64 stream_where(const struct run *r, const struct stream *st,
			  __u64 iova)
{
	switch (st->kind) {
	case STREAM_S1:
		return space_where(r, &r->spaces[r->cds[st->cd].space], iova);
	case STREAM_BYPASS:
		return iova;
	default:
		return 0;
	}
}

static int check_dma(struct run *r, struct stream *st, __u64 iova)
{
	__u64 gpa = stream_where(r, st, iova);
	volatile __u32 *word = gpa ? guest_ptr(&r->g, gpa) : NULL;
	int rc;

	if (word)
		*word = 0;
	rc = testdev_write(&st->dev, iova);
	r->dmas++;
	if (!word && rc == -EFAULT)
		return 0;
	if (word && !rc && *word == TESTDEV_PATTERN)
		return 0;
	return fail(r, "StreamID %#x, IOVA %#llx: %s, wanted %s %#llx",
		    st->vsid, iova, rc == -EFAULT ? "faulted" :
		    rc ? "no answer" : "written elsewhere",
		    gpa ? "a write at" : "a fault", gpa);
}

/* An address that means something in a space */
static __u64 random_iova(struct run *r, const struct space *s)
{
	int region = rnd(r, REGIONS);
	unsigned int shift = s->pt.shift;

	if (s->state[region] == REGION_BLOCK || one_in(r, 16))
		return r->pool + region * REGION_SIZE +
		       rnd(r, REGION_SIZE / 4) * 4;
	return slot_iova(r, shift, region, rnd(r, SLOTS)) +
	       rnd(r, (1U << shift) / 4) * 4;
}

static __u64 stream_iova(struct run *r, const struct stream *st)
{
	return random_iova(r, &r->spaces[r->cds[st->cd].space]);
}

/* Have a translation cached, if it is not: each stream that has the space */
static void touch(struct run *r, int space, __u64 iova)
{
	unsigned int i;

	for (i = 0; i < r->stream_num; i++) {
		struct stream *st = &r->streams[i];

		if (st->kind != STREAM_S1 || r->cds[st->cd].space != space)
			continue;
		testdev_write(&st->dev, iova);
		r->dmas++;
	}
}

/* The guest changes something */

static void need(struct run *r, struct need n)
{
	r->needs[r->need_num++] = n;
}

/* The same under each ASID that leads to a space */
static void need_tlbi(struct run *r, enum need_kind kind, int space,
		      __u64 iova)
{
	int asid;

	for (asid = 0; asid < ASIDS; asid++)
		if (r->asid_space[asid] == space)
			need(r, (struct need){
				.kind = kind, .asid = asid, .iova = iova,
				.shift = r->spaces[space].pt.shift,
			});
}

/* More often one that a CD leads to */
static int random_space(struct run *r)
{
	return one_in(r, 8) ? rnd(r, SPACES) : r->cds[rnd(r, CDS)].space;
}

static __u64 random_page(struct run *r, unsigned int shift)
{
	return r->pool + ((__u64)rnd(r, POOL_SIZE >> shift) << shift);
}

static void change_page(struct run *r, int space, int region, int slot)
{
	struct space *s = &r->spaces[space];
	__u64 iova = slot_iova(r, s->pt.shift, region, slot);
	__u64 *page = &s->page[region][slot];

	if (*page) {
		if (careful(r) || one_in(r, 2))
			touch(r, space, iova);
		need_tlbi(r, NEED_PAGE, space, iova);
	}
	/* Where nothing was mapped nothing is cached */
	if (*page && one_in(r, 3)) {
		*page = 0;
		pgtable_unmap(&s->pt, iova);
	} else {
		*page = random_page(r, s->pt.shift);
		pgtable_map(&s->pt, iova, *page, PTE_NOT_GLOBAL);
	}
}

static void change_pages(struct run *r)
{
	int space = random_space(r), region = rnd(r, REGIONS);
	int slot = rnd(r, SLOTS), last = slot + rnd(r, MAX_PAGES);

	if (r->spaces[space].state[region] != REGION_TABLE)
		return;
	for (; slot <= last && slot < SLOTS; slot++)
		change_page(r, space, region, slot);
}

static void change_region(struct run *r)
{
	int space = random_space(r), region = rnd(r, REGIONS);
	struct space *s = &r->spaces[space];
	__u64 iova = r->pool + region * REGION_SIZE;
	volatile __u64 *entry;
	int slot;

	if (s->pt.shift != GRANULE_4K)
		return;
	entry = pgtable_entry(&s->pt, iova, 2);
	switch (s->state[region]) {
	case REGION_EMPTY:
		if (s->emptied[region] == r->round)
			return;
		if (one_in(r, 2)) {
			s->state[region] = REGION_TABLE;
			*entry = s->table[region];
			return;
		}
		s->state[region] = REGION_BLOCK;
		break;
	case REGION_TABLE:
		for (slot = 0; slot < SLOTS; slot++)
			if (careful(r) || one_in(r, 4))
				touch(r, space, slot_iova(r, s->pt.shift, region, slot));
		need_tlbi(r, NEED_TABLE, space, iova);
		s->state[region] = REGION_EMPTY;
		break;
	case REGION_BLOCK:
		touch(r, space, iova + rnd(r, REGION_SIZE / 4) * 4);
		need_tlbi(r, NEED_BLOCK, space, iova);
		if (one_in(r, 2))
			s->state[region] = REGION_EMPTY;
		break;
	}
	if (s->state[region] == REGION_EMPTY) {
		s->emptied[region] = r->round;
		*entry = 0;
		return;
	}
	s->block[region] = r->pool + rnd(r, REGIONS) * REGION_SIZE;
	pgtable_map_block(&s->pt, iova, s->block[region], 2, PTE_NOT_GLOBAL);
}

static bool asid_in_use(const struct run *r, int asid, const struct context *but)
{
	int i;

	for (i = 0; i < CDS; i++)
		if (&r->cds[i] != but && r->cds[i].asid == asid)
			return true;
	return false;
}

/* Another ASID, another space or both: two spaces never have one ASID */
static void change_cd(struct run *r)
{
	int c = rnd(r, CDS), asid = rnd(r, ASIDS), space = rnd(r, SPACES);
	struct context *cd = &r->cds[c];
	bool shared = asid_in_use(r, asid, cd);
	int old = cd->asid;
	unsigned int i;

	if (shared)
		space = r->asid_space[asid];
	if (asid == cd->asid && space == cd->space)
		return;

	/* Entries of what it was; those of its ASID may be in the way later */
	touch(r, cd->space, random_iova(r, &r->spaces[cd->space]));
	if (!asid_in_use(r, old, cd)) {
		r->asid_space[old] = -1;
		r->asid_dirty[old] = true;
		if (one_in(r, 2))
			need(r, (struct need){ .kind = NEED_ASID, .asid = old });
	}
	if (r->asid_space[asid] < 0 && r->asid_dirty[asid])
		need(r, (struct need){ .kind = NEED_ASID, .asid = asid });
	r->asid_space[asid] = space;
	cd->asid = asid;
	cd->space = space;
	cd_write(&r->g, cd->gpa, &r->spaces[space].pt, asid_value[asid]);
	for (i = 0; i < r->stream_num; i++)
		if (r->streams[i].kind == STREAM_S1 && r->streams[i].cd == c)
			need(r, (struct need){ .kind = NEED_CD, .stream = i });
}

static void write_ste(struct run *r, struct stream *st)
{
	__u64 ste[8];

	switch (st->kind) {
	case STREAM_S1:
		ste_s1(ste, r->cds[st->cd].gpa);
		break;
	case STREAM_BYPASS:
		ste_config(ste, STE_CFG_BYPASS);
		break;
	case STREAM_ABORT:
		ste_config(ste, STE_CFG_ABORT);
		break;
	case STREAM_INVALID:
		memset(ste, 0, sizeof(ste));
		break;
	}
	strtab_write(&r->strtab, st->vsid, ste);
}

static void change_ste(struct run *r)
{
	int i = rnd(r, r->stream_num);
	struct stream *st = &r->streams[i];

	testdev_write(&st->dev, stream_iova(r, st));
	st->kind = one_in(r, 4) ? 1 + rnd(r, 3) : STREAM_S1;
	st->cd = rnd(r, CDS);
	write_ste(r, st);
	need(r, (struct need){ .kind = NEED_STE, .stream = i });
}

/* The guest queues what invalidates its changes, and more */

static void queue(struct run *r, struct cmd next)
{
	r->cmds[r->cmd_num++] = next;
}

static void queue_noise(struct run *r)
{
	static const struct cmd prefetch = { { 1 } };
	unsigned int i;

	switch (rnd(r, 8)) {
	case 0:
		queue(r, cmd_sync());
		break;
	case 1:
		queue(r, prefetch);
		break;
	case 2:	/* Twice the same, one of them without Leaf perhaps */
		i = rnd(r, r->cmd_num + 1);
		if (i < r->cmd_num)
			queue(r, r->cmds[i]);
		break;
	case 3:
		queue(r, cmd_cfgi_cd(rnd(r, 1 << STRTAB_LOG2SIZE), 0, one_in(r, 2)));
		break;
	case 4:
		queue(r, cmd_cfgi_cd_all(r->streams[rnd(r, r->stream_num)].vsid));
		break;
	case 5:
		queue(r, cmd_tlbi_va(asid_value[rnd(r, ASIDS)],
				     random_iova(r, &r->spaces[rnd(r, SPACES)]),
				     one_in(r, 2)));
		break;
	case 6:
		queue(r, cmd_cfgi_ste(r->streams[rnd(r, r->stream_num)].vsid,
				      one_in(r, 2)));
		break;
	case 7:
		queue(r, cmd_tlbi_asid(asid_value[rnd(r, ASIDS)]));
		break;
	}
}

static void queue_cfgi(struct run *r, const struct need *n)
{
	__u32 vsid = r->streams[n->stream].vsid;
	bool leaf = one_in(r, 2);
	bool cd_is_enough = n->kind == NEED_CD && (careful(r) || !one_in(r, 3));

	if (cd_is_enough)
		queue(r, one_in(r, 2) ? cmd_cfgi_cd(vsid, 0, leaf) :
					cmd_cfgi_cd_all(vsid));
	else if (careful(r) || !one_in(r, 3))
		queue(r, cmd_cfgi_ste(vsid, leaf));
	else if (!one_in(r, 3))
		queue(r, cmd_cfgi_ste_range(vsid, rnd(r, STRTAB_LOG2SIZE)));
	else
		queue(r, cmd_cfgi_all());
}

static struct cmd tlbi(unsigned int asid, __u64 iova, bool any_asid, bool leaf)
{
	return any_asid ? cmd_tlbi_vaa(iova, leaf) :
			  cmd_tlbi_va(asid_value[asid], iova, leaf);
}

static unsigned int tg(unsigned int shift)
{
	return (shift - 10) / 2;
}

/*
 * A range of pages. One granule has to have a TTL; more than NUM can say have
 * to be a multiple of 2 << SCALE.
 */
static void queue_range(struct run *r, struct cmd first, unsigned int num,
			unsigned int shift, unsigned int ttl)
{
	unsigned int scale = 0;

	while (num > 32 || (num % 2 == 0 && one_in(r, 3))) {
		num = (num + 1) / 2;
		scale++;
	}
	queue(r, cmd_range(first, num - 1, scale, tg(shift),
			   num == 1 && !scale ? 3 : ttl));
}

/* Adjacent pages */
static void queue_pages(struct run *r, const struct need *first, unsigned int num)
{
	bool leaf = one_in(r, 2), any = !careful(r) && one_in(r, 4);
	unsigned int ttl = one_in(r, 2) ? 0 : 3, before, part, i;
	const __u64 size = 1ULL << first->shift;
	__u64 iova = first->iova;

	switch (careful(r) || !r->ril ? 0 : rnd(r, 5)) {
	case 0:
		for (i = 0; i < num; i++)
			queue(r, tlbi(first->asid, iova + i * size, any, leaf));
		break;
	case 1:	/* one by one */
		for (i = 0; i < num; i++)
			queue_range(r, tlbi(first->asid, iova + i * size, any, leaf),
				    1, first->shift, ttl);
		break;
	case 2:	/* in one, and perhaps some more around */
		before = rnd(r, 3);
		queue_range(r, tlbi(first->asid, iova - before * size, any, leaf),
			    before + num + rnd(r, 3), first->shift, ttl);
		break;
	case 3:	/* in two that meet, the first of which begins long before */
		before = rnd(r, 32);
		part = before + rnd(r, num);
		if (part > 0 && part <= 32)
			queue(r, cmd_range(tlbi(first->asid, iova - before * size,
						any, leaf),
					   part - 1, 0, tg(first->shift), 3));
		else
			part = before;
		iova += (part - before) * size;
		queue_range(r, tlbi(first->asid, iova, any, leaf),
			    num - (part - before), first->shift, 3);
		break;
	case 4:	/* behind one that meets it, but perhaps with another granule */
		queue(r, cmd_range(tlbi(first->asid, iova - 0x4000, any, leaf),
				   3, 0, tg(GRANULE_4K), 3));
		queue_range(r, tlbi(first->asid, iova, any, leaf), num,
			    first->shift, 3);
		break;
	}
}

/* A region: 512 granules, which NUM and SCALE express in several ways */
static struct cmd region_range(struct run *r, struct cmd single,
			       unsigned int ttl)
{
	unsigned int bits = rnd(r, 6);

	return cmd_range(single, (1 << bits) - 1, 9 - bits, tg(GRANULE_4K), ttl);
}

static void queue_region(struct run *r, const struct need *n)
{
	bool any = !careful(r) && one_in(r, 4), table = n->kind == NEED_TABLE;
	bool range = r->ril && one_in(r, 2);
	int region = (n->iova - r->pool) / REGION_SIZE, slot;

	if (range)
		queue(r, region_range(r, tlbi(n->asid, n->iova, any, !table && one_in(r, 2)),
				      !table && one_in(r, 2) ? 2 : 0));
	else if (table)
		for (slot = 0; slot < SLOTS; slot++)
			queue(r, tlbi(n->asid, slot_iova(r, GRANULE_4K, region, slot),
				      any, false));
	else	/* Any address in a block ends it */
		queue(r, tlbi(n->asid, n->iova + rnd(r, REGION_SIZE), any, one_in(r, 2)));
}

static struct need *find_page(struct run *r, int asid, unsigned int shift,
			      __u64 iova)
{
	unsigned int i;

	for (i = 0; i < r->need_num; i++) {
		struct need *n = &r->needs[i];

		if (n->kind == NEED_PAGE && !n->done && n->asid == asid &&
		    n->shift == shift && n->iova == iova)
			return n;
	}
	return NULL;
}

static void queue_tlbi(struct run *r, struct need *n)
{
	struct need first = *n;
	unsigned int num, i;

	n->done = true;
	if (n->kind == NEED_ASID || (!careful(r) && one_in(r, 8))) {
		queue(r, cmd_tlbi_asid(asid_value[n->asid]));
		for (i = 0; !careful(r) && i < r->need_num; i++)
			r->needs[i].done |= r->needs[i].kind >= NEED_ASID &&
					    r->needs[i].asid == n->asid;
		return;
	}
	if (n->kind != NEED_PAGE) {
		queue_region(r, n);
		return;
	}
	for (num = 1;; num++) {
		n = find_page(r, first.asid, first.shift,
			      first.iova + ((__u64)num << first.shift));
		if (!n || one_in(r, 16))
			break;
		n->done = true;
	}
	queue_pages(r, &first, num);
}

static void shuffle(struct run *r, unsigned int first)
{
	unsigned int i;

	for (i = r->cmd_num; i > first + 1; i--) {
		unsigned int other = first + rnd(r, i - first);
		struct cmd last = r->cmds[i - 1];

		r->cmds[i - 1] = r->cmds[other];
		r->cmds[other] = last;
	}
}

static void leave_one_out(struct run *r)
{
	unsigned int i, start = r->need_num ? rnd(r, r->need_num) : 0;

	for (i = 0; i < r->need_num; i++) {
		struct need *n = &r->needs[(start + i) % r->need_num];

		if (n->kind == r->leave_out) {
			n->done = true;
			break;
		}
	}
}

static void queue_all(struct run *r)
{
	bool order = false;
	unsigned int i, start;

	r->cmd_num = 0;
	leave_one_out(r);
	for (i = 0; i < r->need_num; i++) {
		struct need *n = &r->needs[i];

		if (n->kind == NEED_ASID) {
			r->asid_dirty[n->asid] = false;
			order = true;
		}
		if (!n->done && n->kind < NEED_ASID)
			queue_cfgi(r, n);
	}
	if (!careful(r) && one_in(r, 3))
		queue_noise(r);
	if (one_in(r, 3))
		shuffle(r, 0);
	/*
	 * What a stale CD could bring back has to go after it. Where no ASID
	 * has changed hands the order does not matter.
	 */
	start = r->cmd_num;
	if (order)
		queue(r, cmd_sync());
	else if (one_in(r, 2))
		start = 0;
	if (!careful(r) && one_in(r, 16)) {
		queue(r, one_in(r, 2) ? cmd_tlbi_nh_all() : cmd_tlbi_nsnh_all());
		for (i = 0; one_in(r, 2) && i < r->need_num; i++)
			r->needs[i].done = true;
	}
	if (order)
		start = r->cmd_num;
	for (i = 0; i < r->need_num; i++) {
		struct need *n = &r->needs[i];

		if (!n->done && n->kind >= NEED_ASID)
			queue_tlbi(r, n);
		if (!careful(r) && one_in(r, 8))
			queue_noise(r);
	}
	if (one_in(r, 2))
		shuffle(r, start);
	queue(r, cmd_sync());
}

/* Ring the doorbell until all is done, in few or many pieces */
static int run_all(struct run *r)
{
	__u32 size = 1U << r->ring.log2size, mask = 2 * size - 1;
	struct smmuv3_accel_run_cmdq out;
	unsigned int next = 0;

	while (next < r->cmd_num || r->ring.cons != r->ring.prod) {
		__u32 queued = (r->ring.prod - r->ring.cons) & mask;
		__u32 num = size - queued, max = 0, cons = r->ring.cons;
		int rc;

		if (num > r->cmd_num - next)
			num = r->cmd_num - next;
		if (num && one_in(r, 4))
			num = 1 + rnd(r, num);
		for (queued += num; num; num--)
			ring_put(&r->ring, r->cmds[next++]);
		if (one_in(r, 4))
			max = 1 + rnd(r, queued);
		rc = ring_step(&r->ring, max, &out);
		if (rc || out.out_error || out.out_flags || out.out_reason)
			return fail(r, "RUN_CMDQ: %d, command error %u, reason %u, flags %#x",
				    rc, out.out_error, out.out_reason, out.out_flags);
		if (((out.cons - cons) & mask) != (max ? max : queued))
			return fail(r, "RUN_CMDQ did %u commands of %u, at most %u",
				    (out.cons - cons) & mask, queued, max);
	}
	return 0;
}

/* Everything that was changed, under an omission, else something of it */
static int check_some(struct run *r)
{
	unsigned int i, k;
	int rc = 0;

	for (i = 0; i < r->stream_num; i++) {
		struct stream *st = &r->streams[i];

		for (k = 0; !rc && k < 2; k++)
			rc = check_dma(r, st, stream_iova(r, st));
		for (k = 0; !rc && k < r->need_num; k++) {
			const struct need *n = &r->needs[k];

			if (n->kind >= NEED_PAGE && (careful(r) || one_in(r, 4)))
				rc = check_dma(r, st, n->iova);
		}
	}
	return rc;
}

static int check_all(struct run *r)
{
	int region, slot, rc;
	unsigned int i;

	for (i = 0; i < r->stream_num; i++) {
		struct stream *st = &r->streams[i];
		unsigned int shift = r->spaces[r->cds[st->cd].space].pt.shift;

		for (region = 0; region < REGIONS; region++) {
			for (slot = 0; slot < SLOTS; slot++) {
				rc = check_dma(r, st, slot_iova(r, shift, region, slot));
				if (rc)
					return rc;
			}
		}
	}
	return 0;
}

static int run_round(struct run *r)
{
	unsigned int changes = 1 + rnd(r, one_in(r, 16) ? MAX_CHANGES : 6), i;
	int rc;

	r->need_num = 0;
	while (changes--) {
		switch (rnd(r, 12)) {
		case 0:
			change_region(r);
			break;
		case 1:
			change_cd(r);
			break;
		case 2:
			change_ste(r);
			break;
		default:
			change_pages(r);
			break;
		}
	}
	for (i = 0; i < r->stream_num; i++)
		if (one_in(r, 8))
			testdev_write(&r->streams[i].dev, stream_iova(r, &r->streams[i]));
	queue_all(r);
	rc = run_all(r);
	if (!rc)
		rc = check_some(r);
	r->round++;
	return rc;
}

static int run_rounds(struct run *r, unsigned int rounds)
{
	int rc = 0;

	while (!rc && r->round < rounds)
		rc = run_round(r);
	return rc ? rc : check_all(r);
}

/* Beginning and end */

static void start_spaces(struct run *r)
{
	unsigned int i, region;

	for (i = 0; i < SPACES; i++) {
		struct space *s = &r->spaces[i];

		pgtable_init(&s->pt, &r->g, space_shift[i]);
		for (region = 0; region < REGIONS; region++) {
			__u64 iova = r->pool + region * REGION_SIZE;

			pgtable_entry(&s->pt, iova, 3);
			s->table[region] = *pgtable_entry(&s->pt, iova, 2);
		}
	}
}

static void start_cds(struct run *r)
{
	int i;

	for (i = 0; i < ASIDS; i++)
		r->asid_space[i] = -1;
	for (i = 0; i < CDS; i++) {
		r->cds[i] = (struct context){ guest_alloc(&r->g, 64), i, i };
		r->asid_space[i] = i;
		cd_write(&r->g, r->cds[i].gpa, &r->spaces[i].pt, asid_value[i]);
	}
}

static int start_stream(struct run *r, unsigned int i)
{
	struct smmuv3_accel_attach attach;
	struct stream *st = &r->streams[i];
	int rc;

	rc = dma_open(&st->dev, r->g.iommufd, DMA_TESTDEV, i);
	if (rc)
		return rc;
	r->stream_num++;
	st->kind = STREAM_S1;
	st->cd = i % CDS;
	st->vsid = r->first_vsid + i * r->vsid_step;
	write_ste(r, st);
	return accel_attach(&r->g, st->dev.fd, st->vsid, &attach);
}

static int start_guest(struct run *r, __u64 seed, __u32 flags)
{
	static const unsigned int splits[] = { 0, 6, 8, 10 };
	struct smmuv3_accel_phys phys;
	unsigned int i;
	int rc;

	memset(r, 0, sizeof(*r));
	r->random = seed ? seed : 1;
	r->leave_out = NEED_NONE;
	rc = guest_open_memory(&r->g);
	if (rc)
		return rc;
	r->g.accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	if (r->g.accel < 0)
		return -errno;
	rc = accel_create_flags(r->g.accel, r->g.iommufd, r->g.ioas_id, flags);
	if (rc)
		return rc;

	/* StreamIDs that differ in any one bit, so that each counts */
	r->vsid_step = 1 << rnd(r, STRTAB_LOG2SIZE - 2);
	r->first_vsid = rnd(r, 1 << (STRTAB_LOG2SIZE - 1));
	r->pool = guest_alloc(&r->g, REGION_SIZE);
	for (i = 1; i < REGIONS; i++)
		guest_alloc(&r->g, REGION_SIZE);
	start_spaces(r);
	start_cds(r);
	rc = strtab_init(&r->strtab, &r->g, STRTAB_LOG2SIZE, splits[rnd(r, ARRAY_LEN(splits))]);
	if (!rc)
		rc = ring_init(&r->ring, &r->g, 4 + rnd(r, 5));
	if (!rc)
		rc = accel_mem_table(&r->g);
	/* One stream before there are registers, the rest behind */
	if (!rc)
		rc = start_stream(r, 0);
	if (!rc)
		rc = accel_set_regs(&r->g, CR0_SMMUEN | CR0_CMDQEN, r->strtab.base,
				    r->strtab.base_cfg, &r->ring);
	for (i = 1; !rc && i < STREAMS; i++) {
		rc = start_stream(r, i);
		if (rc == -ENODEV && i > 1)
			rc = 0;		/* Two are enough */
	}
	r->ril = true;
	for (i = 0; !rc && !accel_phys(&r->g, i, &phys); i++)
		r->ril &= phys.out_idr[3] >> 10 & 1;
	return rc;
}

static void end_guest(struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->stream_num; i++)
		dma_close(&r->streams[i].dev);
	if (r->g.ram)
		guest_close(&r->g);
}

/* The module with other parameters */

static int unload(void)
{
	const struct timespec wait = { .tv_nsec = 10000000 };
	int tries = 100, rc;

	while ((rc = module_unload()) == -EWOULDBLOCK && tries--)
		nanosleep(&wait, NULL);
	return rc;
}

FIXTURE(property)
{
	bool reloaded;
	__u64 seed;
	unsigned int rounds;
};

FIXTURE_VARIANT(property)
{
	const char *parameters;		/* NULL: as the module was loaded */
	__u32 create_flags;
	unsigned int share;		/* of the rounds, in percent */
	bool reduces;			/* has to leave out commands */
};

FIXTURE_VARIANT_ADD(property, as_loaded) {
	.share = 50,
};

FIXTURE_VARIANT_ADD(property, every_command) {
	.parameters = "subsume=0 merge=0 escalate=0",
	.share = 20,
};

FIXTURE_VARIANT_ADD(property, no_global) {
	.parameters = "escalate=2",
	.create_flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL,
	.share = 30,
	.reduces = true,
};

FIXTURE_SETUP(property)
{
	int rc;

	self->seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	self->rounds = env_number("SMMUV3_ACCEL_ROUNDS", DEFAULT_ROUNDS) *
		       variant->share / 100;
	if (variant->parameters) {
		if (access(MODULE, R_OK))
			SKIP(return, "no " MODULE " to load with other parameters");
		rc = unload();
		if (rc)
			SKIP(return, "the module cannot be unloaded: %s", strerror(-rc));
		self->reloaded = true;
		ASSERT_EQ(0, module_load(variant->parameters));
	}
	ASSERT_EQ(0, start_guest(&run, self->seed + variant->share, variant->create_flags));
}

FIXTURE_TEARDOWN(property)
{
	end_guest(&run);
	if (self->reloaded) {
		EXPECT_EQ(0, unload());
		EXPECT_EQ(0, module_load(""));
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

TEST_F_TIMEOUT(property, no_stale_translation, 3600)
{
	struct smmuv3_accel_stats stats;
	double began = seconds();

	TH_LOG("seed %#llx, %u rounds", self->seed, self->rounds);
	if (env_number("SMMUV3_ACCEL_BREAK", 0))
		run.leave_out = NEED_PAGE;
	EXPECT_EQ(0, run_rounds(&run, self->rounds))
		TH_LOG("seed %#llx, round %u: %s", self->seed, run.round, run.why);

	ASSERT_EQ(0, accel_stats(&run.g, &stats));
	TH_LOG("%u rounds, %.1f s, %lu DMAs", run.round, seconds() - began, run.dmas);
	TH_LOG("%llu commands, %llu issued, %llu subsumed, %llu merged",
	       stats.out_cmds, stats.out_issued, stats.out_subsumed, stats.out_merged);
	if (variant->reduces && self->rounds >= 1000) {
		EXPECT_LT(0, stats.out_subsumed);
		EXPECT_LT(0, stats.out_merged);
	}
	if (variant->parameters && !variant->reduces) {
		EXPECT_EQ(0, stats.out_subsumed);
		EXPECT_EQ(0, stats.out_merged);
	}
}

/* Would it be seen? One need a round is not met, until it is. */

FIXTURE(omission)
{
	__u64 seed;
};

FIXTURE_VARIANT(omission)
{
	enum need_kind kind;
};

FIXTURE_VARIANT_ADD(omission, ste) { .kind = NEED_STE };
FIXTURE_VARIANT_ADD(omission, cd) { .kind = NEED_CD };
FIXTURE_VARIANT_ADD(omission, asid) { .kind = NEED_ASID };
FIXTURE_VARIANT_ADD(omission, page) { .kind = NEED_PAGE };
FIXTURE_VARIANT_ADD(omission, block) { .kind = NEED_BLOCK };
FIXTURE_VARIANT_ADD(omission, table) { .kind = NEED_TABLE };

FIXTURE_SETUP(omission)
{
	self->seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	ASSERT_EQ(0, start_guest(&run, self->seed, 0));
}

FIXTURE_TEARDOWN(omission)
{
	end_guest(&run);
}

TEST_F(omission, is_found)
{
	/* Some rounds as they should be, so that caches are filled */
	ASSERT_EQ(0, run_rounds(&run, 100)) TH_LOG("%s", run.why);
	run.leave_out = variant->kind;
	EXPECT_NE(0, run_rounds(&run, 3000))
		TH_LOG("seed %#llx: not found in %u rounds", self->seed, run.round);
	TH_LOG("found in round %u: %s", run.round, run.why);
}

TEST_HARNESS_MAIN
