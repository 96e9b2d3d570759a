// SPDX-License-Identifier: GPL-2.0
/*
 * Random changes of stage 1, invalidated in random legal ways through the guest's command
 * queue. DMA is compared with a model: it must not use a translation that the guest has
 * invalidated. Streams come and go, swap StreamIDs, and the guest boots again.
 *
 * SMMUV3_ACCEL_ROUNDS: how many rounds in all
 * SMMUV3_ACCEL_SEED: where the random numbers start
 * SMMUV3_ACCEL_BREAK: if not 0, leave out an invalidation in each round, which the
 *	test must find
 *
 * All mappings are not-global (nG = 1), as a driver's are for DMA. The emulated
 * SMMU has no global entries, so global mappings would prove nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "property.h"
#include "stress.h"

#define DEFAULT_ROUNDS	20000
#define DEFAULT_SEED	0x5eed

static struct run run;

/* The guest queues the invalidations of its changes, and some noise */

void queue(struct run *r, struct cmd next)
{
	if (r->cmd_num == MAX_CMDS)
		fail(r, "too many commands");
	else
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
	case 2:	/* a command twice */
		i = rnd(r, r->cmd_num + 1);
		if (i < r->cmd_num)
			queue(r, r->cmds[i]);
		break;
	case 3:
		queue(r, cmd_cfgi_cd(rnd(r, 1 << STRTAB_LOG2SIZE), 0, one_in(r, 2)));
		break;
	case 4:
		queue(r, cmd_cfgi_cd_all(r->targets[rnd(r, r->m.num)].s->vsid));
		break;
	case 5:
		queue(r, cmd_tlbi_va(asid_value[rnd(r, ASIDS)],
				     random_iova(r, &r->spaces[rnd(r, SPACES)]),
				     one_in(r, 2)));
		break;
	case 6:
		queue(r, cmd_cfgi_ste(r->targets[rnd(r, r->m.num)].s->vsid,
				      one_in(r, 2)));
		break;
	case 7:
		queue(r, cmd_tlbi_asid(asid_value[rnd(r, ASIDS)]));
		break;
	}
}

static void queue_cfgi(struct run *r, const struct need *n)
{
	__u32 vsid = r->targets[n->stream].s->vsid;
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
 * A range of pages. A range of one granule without a TTL is reserved, and the host gets a
 * single address. One that NUM cannot express must be a multiple of 2 << SCALE.
 */
static void queue_range(struct run *r, struct cmd first, unsigned int num,
			unsigned int shift, unsigned int ttl)
{
	unsigned int scale = 0;

	while (num > 32 || (num % 2 == 0 && one_in(r, 3))) {
		num = (num + 1) / 2;
		scale++;
	}
	queue(r, cmd_range(first, num - 1, scale, tg(shift), ttl));
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
	case 2:	/* in one range, perhaps with pages around it */
		before = rnd(r, 3);
		queue_range(r, tlbi(first->asid, iova - before * size, any, leaf),
			    before + num + rnd(r, 3), first->shift, ttl);
		break;
	case 3:	/* in two adjacent ranges, the first of which begins long before */
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
	case 4:	/* after an adjacent range, perhaps with another granule */
		queue(r, cmd_range(tlbi(first->asid, iova - 0x4000, any, leaf),
				   3, 0, tg(GRANULE_4K), 3));
		queue_range(r, tlbi(first->asid, iova, any, leaf), num,
			    first->shift, 3);
		break;
	}
}

/* A region is 512 granules, which NUM and SCALE can express in several ways */
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
	else	/* any address in a block ends it */
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
		/* An ASID that has changed hands needs it after the CFGI */
		for (i = 0; !careful(r) && i < r->need_num; i++)
			r->needs[i].done |= r->needs[i].kind > NEED_ASID - !r->early &&
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
	 * A stale CD could bring back stale translations, so CDs go first. The order
	 * does not matter unless an ASID has changed hands.
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

/* Ring the doorbell until all is done, a few or many commands at a time */
int run_all(struct run *r)
{
	__u32 size = 1U << r->m.ring.log2size, mask = 2 * size - 1;
	struct smmuv3_accel_run_cmdq out;
	unsigned int next = 0, i;

	while (next < r->cmd_num || r->m.ring.cons != r->m.ring.prod) {
		__u32 queued = (r->m.ring.prod - r->m.ring.cons) & mask;
		__u32 num = size - queued, max = 0, cons = r->m.ring.cons;
		int rc;

		if (num > r->cmd_num - next)
			num = r->cmd_num - next;
		if (num && one_in(r, 4))
			num = 1 + rnd(r, num);
		for (queued += num; num; num--)
			ring_put(&r->m.ring, r->cmds[next++]);
		if (one_in(r, 4))
			max = 1 + rnd(r, queued);
		rc = ring_step(&r->m.ring, max, &out);
		if (rc || out.out_error || out.out_reason ||
		    out.out_flags != ring_cfgi(&r->m.ring, cons, out.cons))
			return fail(r, "RUN_CMDQ: %d, command error %u, reason %u, flags %#x",
				    rc, out.out_error, out.out_reason, out.out_flags);
		if (((out.cons - cons) & mask) != (max ? max : queued))
			return fail(r, "RUN_CMDQ did %u commands of %u, at most %u",
				    (out.cons - cons) & mask, queued, max);
	}
	for (i = 0; i < r->cmd_num; i++)
		model_run(r, &r->cmds[i]);
	return r->rc;
}

/* Meet some needs early */
static int run_early(struct run *r)
{
	unsigned int i;

	r->cmd_num = 0;
	r->early = true;
	for (i = 0; i < r->need_num; i++) {
		struct need *n = &r->needs[i];

		if (n->done || n->kind == NEED_ASID || one_in(r, 2))
			continue;
		if (n->kind > NEED_ASID)
			queue_tlbi(r, n);
		else
			queue_cfgi(r, n);
		n->done = true;
	}
	r->early = false;
	if (one_in(r, 3))
		queue_noise(r);
	if (one_in(r, 2))
		shuffle(r, 0);
	queue(r, cmd_sync());
	return run_all(r);
}

/* Compare what was changed, and something else */
static void check_changes(struct run *r)
{
	unsigned int i, k;

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];

		if (one_in(r, 2))
			check_midway(r, st, stream_iova(r, st));
		for (k = 0; k < r->need_num; k++)
			if (r->needs[k].kind > NEED_ASID && one_in(r, 4))
				check_midway(r, st, r->needs[k].iova);
	}
}

/* Some of what was changed; all of it if a need is unmet */
static int check_some(struct run *r)
{
	unsigned int i, k;
	int rc = 0;

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];

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

	for (i = 0; i < r->m.num; i++) {
		struct target *st = &r->targets[i];
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

/* Between two rounds, all needs are met */
static int run_event(struct run *r)
{
	int rc = any_event(r);

	r->need_num = 0;
	return rc ? rc : check_some(r);
}

static int run_round(struct run *r)
{
	unsigned int changes = 1 + rnd(r, one_in(r, 16) ? MAX_CHANGES : 6), i;
	int rc;

	r->need_num = 0;
	while (changes--) {
		if (!careful(r) && one_in(r, 3)) {
			rc = run_early(r);
			if (rc)
				return rc;
			check_changes(r);
		}
		switch (rnd(r, 12)) {
		case 0:
			change_region(r);
			break;
		case 1 ... 2:
			change_cd(r);
			break;
		case 3:
			change_ste(r);
			break;
		case 4:
			rc = careful(r) ? 0 : walk(r);
			if (rc)
				return rc;
			break;
		default:
			change_pages(r);
			break;
		}
	}
	for (i = 0; i < r->m.num; i++)
		if (one_in(r, 8))
			check_midway(r, &r->targets[i], stream_iova(r, &r->targets[i]));
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

	while (!rc && r->round < rounds) {
		if (!careful(r) && one_in(r, 16))
			rc = run_event(r);
		if (!rc)
			rc = run_round(r);
	}
	return rc ? rc : check_all(r);
}

static int start_guest(struct run *r, __u64 seed, __u32 flags, unsigned int smmus)
{
	static const unsigned int splits[] = { 0, 6, 8, 10 };
	struct smmuv3_accel_phys phys;
	struct machine_options options = {
		.stage = STAGE_CREATED,
		.create_flags = flags,
		.devices = STREAMS,
		.smmus = smmus,
		.strtab_log2size = STRTAB_LOG2SIZE,
	};
	__u32 vsid, step;
	unsigned int i;
	int rc;

	memset(r, 0, sizeof(*r));
	r->random = seed ? seed : 1;
	r->leave_out = NEED_NONE;
	/* StreamIDs that differ in one bit, which may be any */
	step = 1 << rnd(r, STRTAB_LOG2SIZE - 2);
	vsid = rnd(r, 1 << (STRTAB_LOG2SIZE - 1));
	for (i = 0; i < STREAMS; i++)
		options.vsid[i] = vsid + i * step;
	options.split = splits[rnd(r, ARRAY_LEN(splits))];
	options.ring_log2size = 4 + rnd(r, 5);
	rc = machine_open_options(&r->m, &options);
	if (rc == -ENODEV && !smmus) {
		options.devices = 2;	/* are enough */
		rc = machine_open_options(&r->m, &options);
	}
	if (rc)
		return rc;
	r->pool = guest_alloc(&r->m.g, REGION_SIZE);
	for (i = 1; i < REGIONS; i++)
		guest_alloc(&r->m.g, REGION_SIZE);
	start_spaces(r);
	start_cds(r);
	rc = start_streams(r);
	r->ril = true;
	for (i = 0; !rc && !accel_phys(&r->m.g, i, &phys); i++)
		r->ril &= !!(phys.out_idr[3] & IDR3_RIL);
	return rc;
}

/* The module with other parameters */

static int unload(void)
{
	int tries = 100, rc;

	while ((rc = module_unload()) == -EWOULDBLOCK && tries--)
		sleep_ms(10);
	return rc;
}

FIXTURE(property)
{
	bool reloaded;
	char loaded[128];		/* the parameters as the module was loaded */
	__u64 seed;
	unsigned int rounds;
};

FIXTURE_VARIANT(property)
{
	const char *parameters;		/* NULL: as the module was loaded */
	__u32 create_flags;
	unsigned int smmus;		/* 0: any */
	unsigned int share;		/* of the rounds, in percent */
	bool reduces;			/* must leave out commands */
	bool withholds;			/* must withhold commands from SMMUs */
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

FIXTURE_VARIANT_ADD(property, filter_2_smmus) {
	.parameters = "filter=1",
	.smmus = 2,
	.share = 25,
	.reduces = true,
	.withholds = true,
};

FIXTURE_VARIANT_ADD(property, filter_2_smmus_no_global) {
	.parameters = "filter=1",
	.create_flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL,
	.smmus = 2,
	.share = 25,
	.reduces = true,
	.withholds = true,
};

FIXTURE_VARIANT_ADD(property, filter_4_smmus) {
	.parameters = "filter=1",
	.smmus = 4,
	.share = 25,
	.reduces = true,
	.withholds = true,
};

/* Each command goes to an SMMU or is withheld as it is */
FIXTURE_VARIANT_ADD(property, filter_4_smmus_no_global) {
	.parameters = "filter=1 subsume=0 merge=0 escalate=0",
	.create_flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL,
	.smmus = 4,
	.share = 25,
	.withholds = true,
};

FIXTURE_VARIANT_ADD(property, no_filter_4_smmus) {
	.parameters = "filter=0",
	.create_flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL,
	.smmus = 4,
	.share = 20,
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
		ASSERT_EQ(0, module_parameters(self->loaded, sizeof(self->loaded)));
		rc = unload();
		if (rc)
			SKIP(return, "the module cannot be unloaded: %s", strerror(-rc));
		self->reloaded = true;
		ASSERT_EQ(0, module_load(variant->parameters));
	}
	self->seed += variant->share + 100 * variant->smmus + 1000 * variant->create_flags;
	rc = start_guest(&run, self->seed, variant->create_flags, variant->smmus);
	if (rc == -ENODEV && variant->smmus)
		SKIP(return, "wants four iommu-testdevs behind %u SMMUs, and as many behind each",
		     variant->smmus);
	ASSERT_EQ(0, rc) TH_LOG("%s", run.why);
}

FIXTURE_TEARDOWN(property)
{
	machine_close(&run.m);
	if (self->reloaded) {
		EXPECT_EQ(0, unload());
		EXPECT_EQ(0, module_load(self->loaded));
	}
}

TEST_F_TIMEOUT(property, no_stale_translation, 3600)
{
	const struct smmuv3_accel_stats *stats = &run.stats;
	__u64 began = now_ns();

	TH_LOG("seed %#llx, %u rounds, %u SMMUs", self->seed, self->rounds, run.smmu_num);
	if (env_number("SMMUV3_ACCEL_BREAK", 0))
		run.leave_out = NEED_PAGE;
	EXPECT_EQ(0, run_rounds(&run, self->rounds))
		TH_LOG("seed %#llx, round %u: %s", self->seed, run.round, run.why);

	ASSERT_EQ(0, add_stats(&run)) TH_LOG("%s", run.why);
	TH_LOG("%u rounds, %.1f s, %lu DMAs, %lu of them midway; %lu could go anywhere",
	       run.round, (now_ns() - began) / 1e9, run.dmas, run.midway, run.anywhere);
	TH_LOG("%llu commands, %llu issued, %llu subsumed, %llu merged, %llu withheld",
	       stats->out_cmds, stats->out_issued, stats->out_subsumed, stats->out_merged,
	       stats->out_withheld);
	if (variant->reduces && self->rounds >= 1000) {
		EXPECT_LT(0, stats->out_subsumed);
		EXPECT_LT(0, stats->out_merged);
	}
	if (variant->parameters && strstr(variant->parameters, "merge=0")) {
		EXPECT_EQ(0, stats->out_subsumed);
		EXPECT_EQ(0, stats->out_merged);
	}
	/* A run in which nothing is withheld proves nothing */
	if (variant->withholds && self->rounds >= 1000)
		EXPECT_LT(self->rounds / 4, stats->out_withheld);
	if (variant->parameters && strstr(variant->parameters, "filter=0"))
		EXPECT_EQ(0, stats->out_withheld);
}

/* An invalidation that is left out is found. One need in each round is left unmet */

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
	ASSERT_EQ(0, start_guest(&run, self->seed, 0, 0));
}

FIXTURE_TEARDOWN(omission)
{
	machine_close(&run.m);
}

TEST_F(omission, is_found)
{
	/* Correct rounds first fill the caches */
	ASSERT_EQ(0, run_rounds(&run, 100)) TH_LOG("%s", run.why);
	ASSERT_EQ(0, plug_all(&run)) TH_LOG("%s", run.why);
	run.leave_out = variant->kind;
	EXPECT_NE(0, run_rounds(&run, 3000))
		TH_LOG("seed %#llx: not found in %u rounds", self->seed, run.round);
	TH_LOG("found in round %u: %s", run.round, run.why);
}

TEST_HARNESS_MAIN
