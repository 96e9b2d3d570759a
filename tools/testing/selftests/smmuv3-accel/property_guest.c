// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "property.h"
#include "stress.h"

static const unsigned int space_shift[SPACES] = {
	GRANULE_4K, GRANULE_4K, GRANULE_4K, GRANULE_16K, GRANULE_64K,
};

const unsigned int asid_value[ASIDS] = {
	1, 2, 3, 4, 5, 8, 0x10, 0x20, 0x40, 0x41, 0x80, 0xff,
};

/* Below @n */
__u32 rnd(struct run *r, __u32 n)
{
	return roll(&r->random, n);
}

bool one_in(struct run *r, __u32 n)
{
	return !rnd(r, n);
}

/* Whether a need is left unmet, so that nothing else may happen to meet it */
bool careful(const struct run *r)
{
	return r->leave_out != NEED_NONE;
}

int fail(struct run *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!r->rc)
		vsnprintf(r->why, sizeof(r->why), format, args);
	va_end(args);
	r->rc = -EPROTO;
	return r->rc;
}

__u64 slot_iova(const struct run *r, unsigned int shift, int region, int slot)
{
	unsigned int index = slot;

	if (slot >= SLOTS_LOW)
		index += (REGION_SIZE >> shift) - SLOTS;
	return r->pool + region * REGION_SIZE + ((__u64)index << shift);
}

/* Where a space leads to. 0: to a fault */
__u64 space_where(const struct run *r, const struct space *s, __u64 iova)
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

static __u64 stream_where(const struct run *r, const struct target *st,
			  __u64 iova)
{
	if (!st->attached)
		return 0;
	switch (st->kind) {
	case STREAM_S1:
		return !r->cds[st->cd].valid ? 0 :
		       space_where(r, &r->spaces[r->cds[st->cd].space], iova);
	case STREAM_BYPASS:
		return iova;
	default:
		return 0;
	}
}

int check_dma(struct run *r, struct target *st, __u64 iova)
{
	__u64 gpa = stream_where(r, st, iova);
	volatile __u32 *word = gpa ? guest_ptr(&r->m.g, gpa) : NULL;
	int rc;

	if (word)
		*word = 0;
	rc = testdev_write(&st->s->dev, iova);
	r->dmas++;
	if (!word && rc == -EFAULT)
		return 0;
	if (word && !rc && *word == TESTDEV_PATTERN)
		return 0;
	return fail(r, "StreamID %#x, IOVA %#llx: %s, wanted %s %#llx",
		    st->s->vsid, iova, rc == -EFAULT ? "faulted" :
		    rc ? "no answer" : "written elsewhere",
		    gpa ? "a write at" : "a fault", gpa);
}

/*
 * DMA while needs may be unmet: it must not use a translation that the guest has
 * invalidated
 */
void check_midway(struct run *r, struct target *st, __u64 iova)
{
	bool known = model_where(r, st, iova);
	unsigned int i;
	int rc;

	for (i = 0; i < r->where_num; i++)
		if (r->where[i])
			*(volatile __u32 *)guest_ptr(&r->m.g, r->where[i]) = 0;
	rc = testdev_write(&st->s->dev, iova);
	r->dmas++;
	if (!known) {
		r->anywhere++;
		return;
	}
	r->midway++;
	for (i = 0; i < r->where_num; i++) {
		volatile __u32 *word = guest_ptr(&r->m.g, r->where[i]);

		if (r->where[i] ? !rc && *word == TESTDEV_PATTERN : rc == -EFAULT)
			return;
	}
	fail(r, "StreamID %#x, IOVA %#llx, midway: %s; first of %u expected: %#llx",
	     st->s->vsid, iova, rc == -EFAULT ? "faulted" :
	     rc ? "no answer" : "written elsewhere", r->where_num, r->where[0]);
}

/* An address that a space may map */
__u64 random_iova(struct run *r, const struct space *s)
{
	int region = rnd(r, REGIONS);
	unsigned int shift = s->pt.shift;

	if (s->state[region] == REGION_BLOCK || one_in(r, 16))
		return r->pool + region * REGION_SIZE +
		       rnd(r, REGION_SIZE / 4) * 4;
	return slot_iova(r, shift, region, rnd(r, SLOTS)) +
	       rnd(r, (1U << shift) / 4) * 4;
}

__u64 stream_iova(struct run *r, const struct target *st)
{
	return random_iova(r, &r->spaces[r->cds[st->cd].space]);
}

/* Get a translation cached, by each stream that has the space */
static void touch(struct run *r, int space, __u64 iova)
{
	unsigned int i;

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];

		if (st->kind != STREAM_S1 || r->cds[st->cd].space != space)
			continue;
		check_midway(r, st, iova);
	}
}

/* The guest changes something */

static void need(struct run *r, struct need n)
{
	if (r->need_num == MAX_NEEDS)
		fail(r, "too many needs");
	else
		r->needs[r->need_num++] = n;
}

/* A need for each ASID that leads to a space */
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

/* Mostly one that a CD leads to */
static int random_space(struct run *r)
{
	return one_in(r, 8) ? rnd(r, SPACES) : r->cds[rnd(r, CDS)].space;
}

static __u64 random_page(struct run *r, unsigned int shift)
{
	return r->pool + ((__u64)rnd(r, POOL_SIZE >> shift) << shift);
}

void change_page(struct run *r, int space, int region, int slot)
{
	struct space *s = &r->spaces[space];
	__u64 iova = slot_iova(r, s->pt.shift, region, slot);
	__u64 *page = &s->page[region][slot];

	if (*page) {
		if (careful(r) || one_in(r, 2))
			touch(r, space, iova);
		need_tlbi(r, NEED_PAGE, space, iova);
		model_remap(r, space, iova, 1ULL << s->pt.shift, *page);
	}
	/* Nothing is cached of what was not mapped */
	if (*page && one_in(r, 3)) {
		*page = 0;
		pgtable_unmap(&s->pt, iova);
	} else {
		*page = random_page(r, s->pt.shift);
		pgtable_map(&s->pt, iova, *page, PTE_NOT_GLOBAL);
	}
}

void change_pages(struct run *r)
{
	int space = random_space(r), region = rnd(r, REGIONS);
	int slot = rnd(r, SLOTS), last = slot + rnd(r, MAX_PAGES);

	if (r->spaces[space].state[region] != REGION_TABLE)
		return;
	for (; slot <= last && slot < SLOTS; slot++)
		change_page(r, space, region, slot);
}

void change_region(struct run *r)
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
		for (slot = 0; slot < SLOTS; slot++)
			if (s->page[region][slot])
				model_remap(r, space, slot_iova(r, s->pt.shift, region, slot),
					    1ULL << s->pt.shift, s->page[region][slot]);
		s->state[region] = REGION_EMPTY;
		break;
	case REGION_BLOCK:
		touch(r, space, iova + rnd(r, REGION_SIZE / 4) * 4);
		need_tlbi(r, NEED_BLOCK, space, iova);
		model_remap(r, space, iova, REGION_SIZE, s->block[region]);
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

/* A CD that is not valid has an ASID, too */
static void store_cd(struct run *r, const struct context *cd)
{
	volatile __u64 *word = guest_ptr(&r->m.g, cd->gpa[cd->place]);

	cd_write(&r->m.g, cd->gpa[cd->place], &r->spaces[cd->space].pt,
		 asid_value[cd->asid]);
	if (!cd->valid)
		*word &= ~CD_V;
}

/*
 * Give a CD another ASID, another space or both, or another V. Two spaces never have
 * one ASID
 */
void set_cd(struct run *r, int c, int asid, int space, bool valid)
{
	struct context *cd = &r->cds[c];
	bool shared = asid_in_use(r, asid, cd);
	int old = cd->asid;
	unsigned int i;

	if (shared)
		space = r->asid_space[asid];
	if (asid == cd->asid && space == cd->space && valid == cd->valid)
		return;
	if (!asid_in_use(r, old, cd)) {
		r->asid_space[old] = -1;
		r->asid_dirty[old] = true;
		if (one_in(r, 2))
			need(r, (struct need){ .kind = NEED_ASID, .asid = old });
	}
	if (r->asid_space[asid] < 0 && r->asid_dirty[asid])
		need(r, (struct need){ .kind = NEED_ASID, .asid = asid });
	model_cd_changes(r, c);
	r->asid_space[asid] = space;
	cd->asid = asid;
	cd->space = space;
	cd->valid = valid;
	store_cd(r, cd);
	model_cd_changed(r, c);
	for (i = 0; i < r->m.num; i++)
		if (r->targets[i].kind == STREAM_S1 && r->targets[i].cd == c)
			need(r, (struct need){ .kind = NEED_CD, .stream = i });
}

static void set_any_cd(struct run *r, int c)
{
	set_cd(r, c, rnd(r, ASIDS), rnd(r, SPACES), !one_in(r, 6));
}

/* Sometimes twice, without a CFGI in between, but with DMA */
void change_cd(struct run *r)
{
	int c = rnd(r, CDS), space = r->cds[c].space;
	unsigned int i;

	/* Get an entry of the old ASID cached, which must not turn up later */
	if (careful(r) || one_in(r, 2))
		touch(r, space, random_iova(r, &r->spaces[space]));
	set_any_cd(r, c);
	if (careful(r) || !one_in(r, 3))
		return;
	for (i = 0; i < r->m.num; i++)
		if (r->targets[i].cd == c)
			check_midway(r, &r->targets[i], stream_iova(r, &r->targets[i]));
	set_any_cd(r, c);
}

void write_ste(struct run *r, struct target *st)
{
	__u64 ste[8];

	switch (st->kind) {
	case STREAM_S1:
		ste_s1(ste, r->cds[st->cd].gpa[r->cds[st->cd].place]);
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
	strtab_write(&r->m.strtab, st->s->vsid, ste);
}

static void any_ste(struct run *r, struct target *st)
{
	st->kind = one_in(r, 4) ? 1 + rnd(r, 3) : STREAM_S1;
	st->cd = rnd(r, CDS);
	write_ste(r, st);
}

void change_ste(struct run *r)
{
	int i = rnd(r, r->m.num);
	struct target *st = &r->targets[i];

	check_midway(r, st, stream_iova(r, st));
	any_ste(r, st);
	need(r, (struct need){ .kind = NEED_STE, .stream = i });
}

/* Set up */

void start_spaces(struct run *r)
{
	unsigned int i, region;

	for (i = 0; i < SPACES; i++) {
		struct space *s = &r->spaces[i];

		pgtable_init(&s->pt, &r->m.g, space_shift[i]);
		for (region = 0; region < REGIONS; region++) {
			__u64 iova = r->pool + region * REGION_SIZE;

			pgtable_entry(&s->pt, iova, 3);
			s->table[region] = *pgtable_entry(&s->pt, iova, 2);
		}
	}
}

/* Each CD is elsewhere than before, and no SMMU knows of any */
static void new_cds(struct run *r, bool any)
{
	int i, asid;

	for (i = 0; i < ASIDS; i++) {
		r->asid_space[i] = -1;
		r->asid_dirty[i] = false;
	}
	for (i = 0; i < CDS; i++) {
		struct context *cd = &r->cds[i];

		asid = any ? rnd(r, ASIDS) : i;
		if (r->asid_space[asid] < 0)
			r->asid_space[asid] = any ? rnd(r, SPACES) : i % SPACES;
		cd->asid = asid;
		cd->space = r->asid_space[asid];
		cd->valid = true;
		cd->place ^= 1;
		store_cd(r, cd);
	}
}

/* A guest that boots: other CDs and STEs */
void new_tables(struct run *r)
{
	unsigned int i;

	new_cds(r, true);
	for (i = 0; i < r->m.num; i++)
		any_ste(r, &r->targets[i]);
}

void start_cds(struct run *r)
{
	int i, k;

	for (i = 0; i < CDS; i++)
		for (k = 0; k < 2; k++)
			r->cds[i].gpa[k] = guest_alloc(&r->m.g, 64);
	new_cds(r, false);
}
