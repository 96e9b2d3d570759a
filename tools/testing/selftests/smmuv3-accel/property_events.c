// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest and its VMM do besides changes and invalidations: streams come and go, swap
 * StreamIDs, the guest boots again; and walks of which each step alone is rare
 */
#include <string.h>

#include "property.h"

static int attach(struct run *r, unsigned int i)
{
	struct target *st = &r->targets[i];
	int rc = machine_attach(&r->m, i);

	if (rc)
		return fail(r, "ATTACH: %d", rc);
	st->smmu = st->s->ids.out_phys;
	if (st->smmu >= SMMUS)
		return fail(r, "physical SMMU %u", st->smmu);
	model_install(r, st, st->kind, st->cd);
	return 0;
}

static int unplug_or_plug(struct run *r)
{
	unsigned int i = rnd(r, r->m.num);
	struct target *st = &r->targets[i];
	int rc;

	if (!st->attached)
		return attach(r, i);
	rc = machine_detach(&r->m, i);
	if (rc)
		return fail(r, "DETACH: %d", rc);
	model_detach(r, st);
	return 0;
}

/* Attach all streams */
int plug_all(struct run *r)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < r->m.num; i++)
		if (!r->targets[i].attached)
			rc = attach(r, i);
	return rc;
}

/* Two streams swap StreamIDs, and so their STEs */
static int swap_vsids(struct run *r)
{
	struct target *a = &r->targets[rnd(r, r->m.num)], *b = &r->targets[rnd(r, r->m.num)];
	const struct smmuv3_accel_vsid entries[] = {
		{ a->s->vsid, b->s->vsid }, { b->s->vsid, a->s->vsid },
	};
	const struct target old = *a;
	struct smmuv3_accel_set_vsids out;
	int rc;

	if (a == b || !a->attached || !b->attached)
		return 0;
	rc = accel_set_vsids(&r->m.g, entries, ARRAY_LEN(entries), &out);
	if (rc)
		return fail(r, "SET_VSIDS: %d, reason %u", rc, out.out_reason);
	a->s->vsid = entries[0].new_vsid;
	b->s->vsid = entries[1].new_vsid;
	a->kind = b->kind;
	a->cd = b->cd;
	b->kind = old.kind;
	b->cd = old.cd;
	model_install(r, a, a->kind, a->cd);
	model_install(r, b, b->kind, b->cd);
	return 0;
}

static int set_regs(struct run *r, __u32 cr0, bool stes)
{
	unsigned int i;
	int rc;

	r->m.cr0 = cr0;
	rc = machine_set_regs(&r->m);
	if (rc)
		return fail(r, "SET_REGS: %d", rc);
	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];

		if (st->attached)
			model_install(r, st, stes ? st->kind : STREAM_BYPASS, st->cd);
	}
	return 0;
}

/* DMA of all streams */
static void check_streams(struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->m.num; i++)
		check_midway(r, &r->targets[i], stream_iova(r, &r->targets[i]));
}

/* The guest's machine is reset, and boots */
static int reset(struct run *r)
{
	unsigned int i;
	int rc;

	rc = accel_reset(&r->m.g);
	if (rc)
		return fail(r, "RESET: %d", rc);
	for (i = 0; i < r->m.num; i++)
		if (r->targets[i].attached)
			model_install(r, &r->targets[i], STREAM_ABORT, 0);
	model_reset(r);
	check_streams(r);
	new_tables(r);
	return set_regs(r, CR0_SMMUEN | CR0_CMDQEN, true);
}

/* The guest boots without a reset. Before it invalidates all, old entries may be used */
static int boot_again(struct run *r)
{
	int rc = set_regs(r, CR0_CMDQEN, false);

	if (rc)
		return rc;
	check_streams(r);
	new_tables(r);
	rc = set_regs(r, CR0_SMMUEN | CR0_CMDQEN, true);
	if (rc)
		return rc;
	check_streams(r);
	r->cmd_num = 0;
	queue(r, cmd_cfgi_all());
	queue(r, one_in(r, 2) ? cmd_tlbi_nh_all() : cmd_tlbi_nsnh_all());
	queue(r, cmd_sync());
	return run_all(r);
}

/* Add the counters of the vSMMU to those of the ones before it */
int add_stats(struct run *r)
{
	struct smmuv3_accel_stats stats;
	int rc = accel_stats(&r->m.g, &stats);

	if (rc)
		return fail(r, "GET_STATS: %d", rc);
	r->stats.out_cmds += stats.out_cmds;
	r->stats.out_issued += stats.out_issued;
	r->stats.out_subsumed += stats.out_subsumed;
	r->stats.out_merged += stats.out_merged;
	r->stats.out_withheld += stats.out_withheld;
	return 0;
}

/* A stream is attached before SET_REGS, the others after it, all or some */
static int attach_streams(struct run *r, unsigned int first, unsigned int num)
{
	unsigned int i, at;
	int rc = 0;

	for (i = 0; !rc && i < num; i++) {
		at = (first + i) % r->m.num;
		rc = attach(r, at);
		if (!rc && !i)
			rc = set_regs(r, CR0_SMMUEN | CR0_CMDQEN, true);
		check_midway(r, &r->targets[at], stream_iova(r, &r->targets[at]));
		if (r->targets[at].smmu >= r->smmu_num)
			r->smmu_num = r->targets[at].smmu + 1;
	}
	return rc;
}

/* Another vSMMU takes the place of this one */
static int replace_vsmmu(struct run *r)
{
	int rc = add_stats(r);
	unsigned int i;

	if (rc)
		return rc;
	guest_close_accel(&r->m.g);
	for (i = 0; i < r->m.num; i++)
		model_detach(r, &r->targets[i]);
	model_reset(r);
	check_streams(r);
	rc = guest_create_flags(&r->m.g, r->m.options.create_flags) ?:
	     accel_mem_table(&r->m.g);
	if (rc)
		return fail(r, "CREATE or SET_MEM_TABLE: %d", rc);
	new_tables(r);
	return attach_streams(r, rnd(r, r->m.num), 1 + rnd(r, r->m.num));
}

int any_event(struct run *r)
{
	switch (rnd(r, 9)) {
	case 0:
		return reset(r);
	case 1:
		return boot_again(r);
	case 8:
		return replace_vsmmu(r);
	case 2 ... 3:
		return swap_vsids(r);
	default:
		return unplug_or_plug(r);
	}
}

int start_streams(struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];

		st->s = &r->m.stream[i];
		st->kind = STREAM_S1;
		st->cd = i % CDS;
		st->in_force = STREAM_ABORT;
		write_ste(r, st);
	}
	return attach_streams(r, 0, r->m.num);
}

/**
 * struct walk - Steps that all concern one CD and one page
 * @st: a stream that uses the CD
 * @cd: the CD
 * @asid: the ASID that it has at first, and one that the stream's SMMU has not had lately
 * @space: where they lead
 * @iova: the page, in @space[1]
 * @region: its region. Its slot is 0, which has the same address in all spaces
 */
struct walk {
	struct target *st;
	int cd;
	int asid[2];
	int space[2];
	__u64 iova;
	int region;
};

static bool walk_start(struct run *r, struct walk *w)
{
	*w = (struct walk){ .st = &r->targets[rnd(r, r->m.num)], .region = rnd(r, REGIONS) };
	if (!w->st->attached || w->st->in_force != STREAM_S1 || w->st->kind != STREAM_S1 ||
	    w->st->in_force_cd != w->st->cd)
		return false;
	w->cd = w->st->cd;
	w->asid[0] = r->cds[w->cd].asid;
	w->space[0] = r->cds[w->cd].space;
	w->asid[1] = rnd(r, ASIDS);
	if (w->asid[1] == w->asid[0] || r->told[w->st->smmu][w->asid[1]])
		return false;
	w->space[1] = r->asid_space[w->asid[1]];
	if (w->space[1] < 0)
		w->space[1] = rnd(r, SPACES);
	w->iova = slot_iova(r, r->spaces[w->space[1]].pt.shift, w->region, 0);
	return r->spaces[w->space[1]].state[w->region] == REGION_TABLE;
}

static int walk_invalidate(struct run *r, struct walk *w, struct cmd cmd)
{
	r->cmd_num = 0;
	queue(r, cmd);
	queue(r, cmd_sync());
	return run_all(r);
}

static int walk_step(struct run *r, struct walk *w, char step)
{
	__u32 vsid = w->st->s->vsid;
	int other;

	switch (step) {
	case 'S':	/* the other ASID */
		other = r->cds[w->cd].asid != w->asid[1];
		set_cd(r, w->cd, w->asid[other], w->space[other], true);
		return r->rc;
	case 'V':	/* the same ASID, the other V */
		set_cd(r, w->cd, r->cds[w->cd].asid, r->cds[w->cd].space,
		       !r->cds[w->cd].valid);
		return r->rc;
	case 'F':
		return walk_invalidate(r, w, one_in(r, 2) ? cmd_cfgi_cd(vsid, 0, one_in(r, 2)) :
							    cmd_cfgi_cd_all(vsid));
	case 'T':
		return walk_invalidate(r, w, one_in(r, 2) ?
				       cmd_tlbi_asid(asid_value[w->asid[1]]) :
				       cmd_tlbi_va(asid_value[w->asid[1]], w->iova, true));
	case 'E':	/* another STE, and its CD from now on */
	case 'B':	/* bypass */
		if (step == 'E')
			w->cd = rnd(r, CDS);
		w->st->kind = step == 'E' ? STREAM_S1 : STREAM_BYPASS;
		w->st->cd = w->cd;
		write_ste(r, w->st);
		return walk_invalidate(r, w, cmd_cfgi_ste(vsid, one_in(r, 2)));
	case 'P':
		change_page(r, w->space[1], w->region, 0);
		return r->rc;
	default:
		check_midway(r, w->st, w->iova);
		return r->rc;
	}
}

/*
 * A stored CD is in use before its CFGI; after the next one was stored, until that
 * one's CFGI; an ASID comes back of which no CFGI has told; a CD gets valid; the STE
 * leaves a CD of which no CFGI has told; nothing has stage 1 for a while. Some steps are
 * left out, some others come in between
 */
int walk(struct run *r)
{
	static const char * const walks[] = {
		"PFSDPTD", "PSFDPSTD", "PFSDSFPTSFD", "PSVFVDPSTD", "PFSDEPTSD",
		"PFSFDBPTESD",
	};
	static const char any[] = "SVFTPD";
	const char *step = walks[rnd(r, ARRAY_LEN(walks))];
	struct walk w;
	int rc = 0;

	if (!walk_start(r, &w))
		return 0;
	for (; !rc && *step; step++) {
		if (one_in(r, 16))
			rc = walk_step(r, &w, any[rnd(r, sizeof(any) - 1)]);
		if (!rc && !one_in(r, 16))
			rc = walk_step(r, &w, *step);
	}
	return rc;
}
