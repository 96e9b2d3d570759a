// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile guests: command queues and stream tables that change while they are run, and
 * a VMM that changes registers and memory table meanwhile
 *
 * SMMUV3_ACCEL_ROUNDS: how many rounds each thread does
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "fuzz.h"
#include "harness.h"
#include "machine.h"
#include "stress.h"

/* Each command may name all streams */
#define BAD_ROOM	(RING_SIZE * VSIDS)

static int run(struct smmuv3_accel_run_cmdq *out, __u32 cons, __u32 prod, __u32 max,
	       struct smmuv3_accel_bad_ste *bad)
{
	static struct cmd feed[RING_SIZE];

	*out = (struct smmuv3_accel_run_cmdq){
		.size = sizeof(*out),
		.prod = prod,
		.cons = cons,
		.max_cmds = max,
		.feed_num = RING_SIZE,
		.feed_uptr = (__u64)(unsigned long)feed,
		.bad_num = BAD_ROOM,
		.bad_uptr = (__u64)(unsigned long)bad,
	};
	return ioctl(s.g.accel, SMMUV3_ACCEL_RUN_CMDQ, out) ? -errno : 0;
}

static int set_regs(const struct strtab *st)
{
	return accel_set_regs(&s.g, CR0_SMMUEN | CR0_CMDQEN, st->base, st->base_cfg,
			      &s.ring);
}

/* If nobody changes queue and tables, a batch has the same result as single commands */
static void one_go_or_many(__u64 *r)
{
	static struct smmuv3_accel_bad_ste whole_bad[BAD_ROOM], step_bad[2 * BAD_ROOM];
	struct smmuv3_accel_run_cmdq whole, step;
	__u32 cons = roll(r, 2 * RING_SIZE), num = roll(r, RING_SIZE + 1), i;
	__u32 prod = (cons + num) & RING_MASK, flags = 0, bad_num = 0;
	int whole_rc, rc = 0;

	for (i = 0; i < RING_SIZE; i++)
		*ring_slot(&s.ring, i) = any_cmd(r);
	for (i = 0; i < 8; i++)
		scribble(r);
	whole_rc = run(&whole, cons, prod, 0, whole_bad);
	step.cons = cons;
	for (i = 0; i < num && !rc; i++) {
		rc = run(&step, step.cons, prod, 1, step_bad + bad_num);
		flags |= step.out_flags;
		bad_num += step.bad_num;
		if (step.out_error)
			break;
	}
	if (!num)
		return;
	if (rc != whole_rc || step.cons != whole.cons ||
	    step.out_error != whole.out_error || step.out_reason != whole.out_reason ||
	    flags != whole.out_flags)
		wrong("%#x to %#x: at once %d, %#x, %u, %u, %#x; by steps %d, %#x, %u, %u, %#x",
		      cons, prod, whole_rc, whole.cons, whole.out_error,
		      whole.out_reason, whole.out_flags, rc, step.cons,
		      step.out_error, step.out_reason, flags);
	if (bad_num != whole.bad_num || memcmp(step_bad, whole_bad, bad_num * sizeof(*whole_bad)))
		wrong("%#x to %#x: %u bad STEs at once, %u by steps, or others", cons, prod,
		      whole.bad_num, bad_num);
	if (!rc && !whole.out_error && whole.cons != prod)
		wrong("from %#x to %#x: ended at %#x without an error", cons, prod, whole.cons);
	atomic_fetch_add(&s.calls, 1 + i);
	atomic_fetch_add(&s.good[_IOC_NR(SMMUV3_ACCEL_RUN_CMDQ)], !rc);
}

static atomic_bool stop;

/* Another CPU of the guest */
static void *scribble_load(void *arg)
{
	__u64 r = *(__u64 *)arg;

	while (!atomic_load(&stop))
		scribble(&r);
	return NULL;
}

/* Another thread of the VMM */
static void *config_load(void *arg)
{
	const struct accel_call *const set_regs_call = accel_call(SMMUV3_ACCEL_SET_REGS);
	const struct accel_call *const table_call = accel_call(SMMUV3_ACCEL_SET_MEM_TABLE);
	struct smmuv3_accel_mem_region regions[4];
	struct smmuv3_accel_vsid swap[2];
	struct smmuv3_accel_set_vsids out;
	union arg in, at;
	__u64 r = *(__u64 *)arg;
	__u32 vsid;

	while (!atomic_load(&stop)) {
		memset(&in, 0, sizeof(in));
		switch (roll(&r, 9)) {
		case 0 ... 2:
			in.size = set_regs_call->size;
			any_regs(&r, &in.set_regs);
			call_at(set_regs_call, s.g.accel, &in, &at);
			break;
		case 3 ... 5:
			in.size = table_call->size;
			in.mem_table.region_num = any_regions(&r, regions);
			in.mem_table.regions_uptr = (__u64)(unsigned long)regions;
			call_at(table_call, s.g.accel, &in, &at);
			break;
		case 6:
			vsid = FIRST_VSID + roll(&r, DEVICES);
			accel_detach(&s.g, vsid, NULL);
			accel_attach(&s.g, s.dev[vsid - FIRST_VSID].fd, vsid, NULL);
			break;
		case 7:
			accel_reset(&s.g);
			break;
		case 8:
			swap[0] = (struct smmuv3_accel_vsid){ any_vsid(&r), any_vsid(&r) };
			swap[1] = (struct smmuv3_accel_vsid){ swap[0].new_vsid, swap[0].old_vsid };
			accel_set_vsids(&s.g, swap, 1 + roll(&r, 2), &out);
			break;
		}
		one_dma(&r);
	}
	return NULL;
}

static void runs(__u64 *r)
{
	const struct accel_call *const call = accel_call(SMMUV3_ACCEL_RUN_CMDQ);
	static struct smmuv3_accel_bad_ste bad[VSIDS];
	static struct cmd feed[RING_SIZE];
	union arg in, at;
	__u32 lap, asked, done;
	int error;

	memset(&in, 0, sizeof(in));
	in.size = call->size;
	in.run_cmdq.cons = roll(r, 2 * RING_SIZE);
	in.run_cmdq.prod = roll(r, 8) ? (in.run_cmdq.cons + roll(r, RING_SIZE + 1)) & RING_MASK :
					roll(r, 2 * RING_SIZE);
	in.run_cmdq.max_cmds = roll(r, 2) ? 0 : roll(r, RING_SIZE);
	in.run_cmdq.feed_num = roll(r, RING_SIZE + 1);
	in.run_cmdq.feed_uptr = (__u64)(unsigned long)feed;
	in.run_cmdq.bad_num = roll(r, ARRAY_LEN(bad) + 1);
	in.run_cmdq.bad_uptr = (__u64)(unsigned long)bad;
	error = call_at(call, s.g.accel, &in, &at);

	lap = (in.run_cmdq.prod - in.run_cmdq.cons) & RING_MASK;
	done = (at.run_cmdq.cons - in.run_cmdq.cons) & RING_MASK;
	asked = in.run_cmdq.max_cmds && in.run_cmdq.max_cmds < lap ? in.run_cmdq.max_cmds : lap;
	if (lap > RING_SIZE ? done || !error : done > asked)
		wrong("RUN_CMDQ: %u of %u done, errno %d", done, asked, error);
	if (!error && !at.run_cmdq.out_error && done != asked)
		wrong("RUN_CMDQ: %u of %u done and no reason", done, asked);
}

/* All streams under their own StreamIDs, whatever they have now */
static int attach_again(void)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < VSIDS; i++) {
		accel_detach(&s.g, FIRST_VSID + i, NULL);
		accel_detach(&s.g, VSID_NAME(i), NULL);
	}
	for (i = 0; i < DEVICES && !rc; i++)
		rc = accel_attach(&s.g, s.dev[i].fd, FIRST_VSID + i, NULL);
	return rc ?: accel_attach_virtual(&s.g, FIRST_VSID + 2, SMMUV3_ACCEL_ATTACH_BRIDGE, NULL) ?:
	       accel_attach_virtual(&s.g, FIRST_VSID + 4, SMMUV3_ACCEL_ATTACH_FEED, NULL);
}

/* A guest that sets up its SMMU again can use it, whatever was before */
static int recovers(void)
{
	struct smmuv3_accel_run_cmdq out;
	unsigned int i;
	__u64 ste[8];
	int rc;

	rc = accel_reset(&s.g);
	if (!rc)
		rc = accel_mem_table(&s.g);
	for (i = 0; i < 2; i++)
		*strtab_l1(&s.strtab[1], FIRST_VSID + i * VSIDS) = s.l1[i];
	for (i = 0; i < DEVICES; i++) {
		ste_s1(ste, s.cds[i % CDS]);
		strtab_write(&s.strtab[1], FIRST_VSID + i, ste);
	}
	s.ring.prod = 0;
	s.ring.cons = 0;
	ring_put(&s.ring, cmd_cfgi_all());
	ring_put(&s.ring, cmd_tlbi_nsnh_all());
	ring_put(&s.ring, cmd_sync());
	if (!rc)
		rc = set_regs(&s.strtab[1]);
	if (!rc)
		rc = attach_again();
	if (!rc)
		rc = ring_run(&s.ring, &out);
	if (rc || out.out_error || s.ring.cons != s.ring.prod) {
		wrong("does not recover: %d", rc);
		return -1;
	}
	for (i = 0; i < DEVICES; i++)
		if (!dma_lands(&s.g, &s.dev[i], IOVA, s.pages[i % CDS]))
			wrong("device %u does not write where it should", i);
	return 0;
}

static int fuzz_rings(void)
{
	__u64 random[3] = { s.seed + 1, s.seed + 2, s.seed + 3 }, i;
	pthread_t scribbler, config;
	int rc;

	rc = setting_open();
	close(s.g.accel);
	if (!rc)
		rc = guest_create_flags(&s.g, SMMUV3_ACCEL_CREATE_FEED);
	if (rc) {
		wrong("set-up: %d", rc);
		return 1;
	}
	recovers();
	for (i = 0; i < s.rounds / 4; i++) {
		if (!(i % 32) && set_regs(&s.strtab[roll(random, 2)]))
			wrong("SET_REGS: errno %d", errno);
		one_go_or_many(random);
		one_dma(random);
	}
	pthread_create(&scribbler, NULL, scribble_load, &random[1]);
	pthread_create(&config, NULL, config_load, &random[2]);
	for (i = 0; i < s.rounds; i++)
		runs(random);
	atomic_store(&stop, true);
	pthread_join(scribbler, NULL);
	pthread_join(config, NULL);
	recovers();
	close(s.g.accel);
	return setting_close();
}

/* A hostile process, and a well-behaved VMM that must not notice it */

FIXTURE(fuzz)
{
	struct neighbour n;
};

FIXTURE_SETUP(fuzz)
{
	if (fuzz_start())
		SKIP(return, "wants %u iommu-testdevs", FIRST_DEVICE + DEVICES);
}

FIXTURE_TEARDOWN(fuzz)
{
}

TEST_F_TIMEOUT(fuzz, harms_nobody, 3600)
{
	int i;

	EXPECT_EQ(0, neighbour_beside(&self->n, fuzz_rings));
	EXPECT_LT(10, self->n.turns);
	for (i = 0; i < DEVICES; i++)
		EXPECT_EQ(0, neighbour_works(FIRST_DEVICE + i));
}

TEST_HARNESS_MAIN
