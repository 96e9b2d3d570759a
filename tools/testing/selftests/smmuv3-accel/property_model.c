// SPDX-License-Identifier: GPL-2.0
/*
 * What the SMMUs may do at any time, between a change and its invalidation too: use a
 * CD as it was since the last CFGI for the stream, and a translation as it was since the
 * last TLBI for its ASID.
 */
#include <endian.h>
#include <string.h>

#include "property.h"
#include "stress.h"

/* STREAM_S1 and a space: translates; STREAM_S1 and -1: the CD has V = 0 */
static struct config config_now(const struct run *r, const struct target *st)
{
	struct config now = { .kind = st->in_force, .space = -1 };

	if (st->in_force == STREAM_S1) {
		now.asid = r->cds[st->in_force_cd].asid;
		if (r->cds[st->in_force_cd].valid)
			now.space = r->cds[st->in_force_cd].space;
	}
	return now;
}

static bool config_same(const struct config *a, const struct config *b)
{
	return a->kind == b->kind && a->asid == b->asid && a->space == b->space;
}

static bool config_has(const struct target *st, const struct config *c)
{
	unsigned int i;

	for (i = 0; i < st->config_num; i++)
		if (config_same(&st->config[i], c))
			return true;
	return false;
}

/* Whether an SMMU may walk a space to find translations for an ASID */
static bool may_walk(const struct run *r, int asid, int space)
{
	const struct config c = { STREAM_S1, asid, space };
	unsigned int i;

	for (i = 0; i < r->m.num; i++)
		if (config_has(&r->targets[i], &c))
			return true;
	return false;
}

static void add_stale(struct run *r, int asid, const struct stale *add)
{
	struct stale_list *list = &r->stale[asid];
	unsigned int i;

	for (i = 0; i < list->num; i++)
		if (list->stale[i].iova == add->iova && list->stale[i].size == add->size &&
		    list->stale[i].gpa == add->gpa)
			return;
	if (list->num == MAX_STALE)
		list->unknown = true;
	else
		list->stale[list->num++] = *add;
}

/* A translation of a space is about to change */
void model_remap(struct run *r, int space, __u64 iova, __u64 size, __u64 gpa)
{
	const struct stale old = { iova, size, gpa };
	int asid;

	for (asid = 0; asid < ASIDS; asid++)
		if (may_walk(r, asid, space))
			add_stale(r, asid, &old);
}

/* No SMMU walks a space for an ASID any more, but its translations may be cached */
static void leave_space(struct run *r, int asid, int space)
{
	const struct space *s = &r->spaces[space];
	int region, slot;

	for (region = 0; region < REGIONS; region++) {
		if (s->state[region] == REGION_BLOCK)
			add_stale(r, asid, &(struct stale){
				r->pool + region * REGION_SIZE, REGION_SIZE,
				s->block[region] });
		for (slot = 0; slot < SLOTS && s->state[region] == REGION_TABLE; slot++)
			if (s->page[region][slot])
				add_stale(r, asid, &(struct stale){
					slot_iova(r, s->pt.shift, region, slot),
					1ULL << s->pt.shift, s->page[region][slot] });
	}
}

/* From now on, a stream's SMMU uses its STE and its CD as they are in memory */
static void use_current(struct run *r, struct target *st)
{
	struct config old[MAX_CONFIGS];
	unsigned int num = st->config_num, i;

	memcpy(old, st->config, num * sizeof(old[0]));
	st->config[0] = config_now(r, st);
	st->config_num = 1;
	for (i = 0; i < num; i++)
		if (old[i].kind == STREAM_S1 && old[i].space >= 0 &&
		    !may_walk(r, old[i].asid, old[i].space))
			leave_space(r, old[i].asid, old[i].space);
	if (st->in_force == STREAM_S1) {
		r->told[st->smmu][st->config[0].asid] = true;
		r->excused[st->smmu][st->config[0].asid] = false;
	}
}

/*
 * A CD is about to be stored. If the guest has not told of the ASID that it had, the
 * module may not know of it, and withhold invalidations for it.
 */
void model_cd_changes(struct run *r, int cd)
{
	int asid = r->cds[cd].asid;
	unsigned int i;

	for (i = 0; i < r->m.num; i++) {
		const struct target *st = &r->targets[i];

		if (st->attached && st->in_force == STREAM_S1 && st->in_force_cd == cd &&
		    !r->told[st->smmu][asid])
			r->excused[st->smmu][asid] = true;
	}
}

/* A CD was stored. An SMMU may fetch it at once */
void model_cd_changed(struct run *r, int cd)
{
	unsigned int i;

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];
		struct config now = config_now(r, st);

		if (!st->attached || st->in_force != STREAM_S1 || st->in_force_cd != cd ||
		    config_has(st, &now))
			continue;
		st->config[st->config_num++] = now;
	}
}

/* The module has given the device of a stream an STE */
void model_install(struct run *r, struct target *st, enum stream_kind kind, int cd)
{
	/* The module reads the CD when the stream leaves its table, too */
	if (st->attached && st->in_force == STREAM_S1)
		r->told[st->smmu][r->cds[st->in_force_cd].asid] = true;
	st->attached = true;
	st->in_force = kind;
	st->in_force_cd = cd;
	use_current(r, st);
}

/* The TLBs of an SMMU were flushed, and nothing can refill them */
static void forget_smmu(struct run *r, unsigned int smmu)
{
	memset(r->told[smmu], 0, sizeof(r->told[smmu]));
	memset(r->excused[smmu], 0, sizeof(r->excused[smmu]));
}

void model_detach(struct run *r, struct target *st)
{
	unsigned int i;

	model_install(r, st, STREAM_ABORT, 0);
	st->attached = false;
	for (i = 0; i < r->m.num; i++)
		if (r->targets[i].attached && r->targets[i].smmu == st->smmu)
			return;
	forget_smmu(r, st->smmu);
}

/* Whether a TLBI by address certainly invalidates an entry */
static bool invalidates(const struct cmd *cmd, const struct stale *e)
{
	__u64 addr = cmd->w[1] & ~0xfffULL, size;
	unsigned int num = (cmd->w[0] >> 12 & 31) + 1, scale = cmd->w[0] >> 20 & 31;
	unsigned int ttl = cmd->w[1] >> 8 & 3, tg = cmd->w[1] >> 10 & 3;
	bool block = e->size == REGION_SIZE;

	if (!tg)
		return addr - e->iova < e->size;
	if ((ttl && ttl != (block ? 2 : 3)) ||
	    e->size != (block ? REGION_SIZE : 1ULL << (10 + 2 * tg)))
		return false;
	size = (__u64)num << scale << (10 + 2 * tg);
	return addr <= e->iova && e->iova + e->size <= addr + size;
}

/* @match: by address; NULL: all of them */
static void drop_stale(struct stale_list *list, const struct cmd *match)
{
	unsigned int i = 0;

	if (!match) {
		list->num = 0;
		list->unknown = false;
	}
	while (i < list->num)
		if (invalidates(match, &list->stale[i]))
			list->stale[i] = list->stale[--list->num];
		else
			i++;
}

/* The same for all SMMUs: no stream has stage 1 */
void model_reset(struct run *r)
{
	unsigned int i;

	for (i = 0; i < SMMUS; i++)
		forget_smmu(r, i);
	for (i = 0; i < ASIDS; i++)
		drop_stale(&r->stale[i], NULL);
}

static void run_tlbi(struct run *r, const struct cmd *cmd)
{
	int asid;

	for (asid = 0; asid < ASIDS; asid++) {
		bool tagged = cmd->w[0] >> 48 == asid_value[asid];

		switch (cmd->w[0] & 0xff) {
		case 0x10:	/* NH_ALL, NSNH_ALL */
		case 0x30:
			drop_stale(&r->stale[asid], NULL);
			break;
		case 0x11:	/* NH_ASID */
			if (tagged)
				drop_stale(&r->stale[asid], NULL);
			break;
		case 0x12:	/* NH_VA */
			if (tagged)
				drop_stale(&r->stale[asid], cmd);
			break;
		case 0x13:	/* NH_VAA */
			drop_stale(&r->stale[asid], cmd);
			break;
		}
	}
}

/* The module has carried out a command */
void model_run(struct run *r, const struct cmd *le)
{
	const struct cmd cmd = { { le64toh(le->w[0]), le64toh(le->w[1]) } };
	unsigned int op = cmd.w[0] & 0xff, range = op == 4 ? cmd.w[1] & 31 : 0, i;
	__u32 sid = cmd.w[0] >> 32;

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];
		__u64 others = (st->s->vsid ^ sid) >> (op == 4 ? 1 : 0);

		if (!st->attached || op < 3 || op > 6 || others >> range)
			continue;
		if (op <= 4)	/* CFGI_STE, CFGI_STE_RANGE, CFGI_ALL */
			model_install(r, st, st->kind, st->cd);
		else		/* CFGI_CD, CFGI_CD_ALL */
			use_current(r, st);
	}
	run_tlbi(r, &cmd);
}

/* Add an address that DMA may reach; 0: it may fault */
static void add_where(struct run *r, __u64 gpa)
{
	unsigned int i;

	for (i = 0; i < r->where_num; i++)
		if (r->where[i] == gpa)
			return;
	if (r->where_num == MAX_WHERE)
		fail(r, "DMA may reach too many addresses");
	else
		r->where[r->where_num++] = gpa;
}

static bool translations(struct run *r, const struct target *st, const struct config *c,
			 __u64 iova)
{
	const struct stale_list *list = &r->stale[c->asid];
	unsigned int i;
	__u64 gpa;

	if (list->unknown || r->excused[st->smmu][c->asid])
		return false;
	add_where(r, space_where(r, &r->spaces[c->space], iova));
	for (i = 0; i < SPACES; i++) {
		gpa = space_where(r, &r->spaces[i], iova);
		if (gpa && may_walk(r, c->asid, i))
			add_where(r, gpa);
	}
	for (i = 0; i < list->num; i++)
		if (iova - list->stale[i].iova < list->stale[i].size)
			add_where(r, list->stale[i].gpa + iova - list->stale[i].iova);
	return true;
}

/*
 * Find out which addresses DMA may reach. Returns false if it may reach any: the
 * guest has used an ASID of which it has not told.
 */
bool model_where(struct run *r, const struct target *st, __u64 iova)
{
	unsigned int i;

	r->where_num = 0;
	for (i = 0; i < st->config_num; i++) {
		const struct config *c = &st->config[i];

		if (c->kind == STREAM_BYPASS)
			add_where(r, iova);
		else if (c->kind != STREAM_S1 || c->space < 0)
			add_where(r, 0);
		else if (!translations(r, st, c, iova))
			return false;
	}
	return true;
}
