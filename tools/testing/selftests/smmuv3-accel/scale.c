// SPDX-License-Identifier: GPL-2.0
/*
 * A large machine: 64 streams spread over a 2-level table of 64K entries. The first ones
 * are all the iommu-testdevs, the rest bridges and emulated endpoints. Then a guest has all
 * iommu-testdevs, changes their STEs all the time and fills the longest queue with
 * CFGI_ALL.
 *
 * SMMUV3_ACCEL_DETACHES: how many DETACHes are measured meanwhile
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "harness.h"
#include "stress.h"

#define STREAMS		64

struct member {
	struct stream s;
	bool real;	/* it has a device */
};

FIXTURE(scale)
{
	struct machine m;
	struct member streams[STREAMS];
	unsigned int devices;
};

#define for_each_stream(s) \
	for (s = self->streams; s < self->streams + STREAMS; s++)
#define for_each_device(s) \
	for (s = self->streams; s < self->streams + self->devices; s++)

/* StreamIDs all over the table, no two in a row */
static __u32 spread(unsigned int i)
{
	return i * 1021 & 0xffff;
}

static int attach(struct guest *g, struct member *s)
{
	if (s->real)
		return accel_attach(g, s->s.dev.fd, s->s.vsid, NULL);
	return accel_attach_virtual(g, s->s.vsid, s->s.vsid & 1 ? SMMUV3_ACCEL_ATTACH_BRIDGE :
				    SMMUV3_ACCEL_ATTACH_FEED, NULL);
}

FIXTURE_SETUP(scale)
{
	struct member *s;
	unsigned int i;

	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_CREATED,
				  .create_flags = SMMUV3_ACCEL_CREATE_FEED,
				  .split = 8, .strtab_log2size = 16, .ring_log2size = 4));
	for (i = 0; i < STREAMS; i++) {
		s = &self->streams[i];
		s->s.vsid = spread(i);
		if (self->devices == i &&
		    !dma_open(&s->s.dev, self->m.g.iommufd, DMA_TESTDEV, i)) {
			s->real = true;
			self->devices++;
		}
		ASSERT_EQ(0, stage1_init(&s->s.s1, &self->m.g, GRANULE_4K, i + 1));
		ASSERT_EQ(0, attach(&self->m.g, s)) TH_LOG("stream %u", i);
	}
	ASSERT_NE(0, self->devices);
	TH_LOG("%u test devices, %u bridges and emulated endpoints", self->devices,
	       STREAMS - self->devices);
	ASSERT_EQ(0, machine_set_regs(&self->m));
}

FIXTURE_TEARDOWN(scale)
{
	struct member *s;

	guest_close_accel(&self->m.g);
	for_each_device(s)
		dma_close(&s->s.dev);
	EXPECT_NOTHING_LEFT(&self->m.g);
	machine_close(&self->m);
}

static __u32 kind_of(struct guest *g, __u32 vsid)
{
	struct smmuv3_accel_stream out;

	return accel_stream(g, vsid, &out) ? 0 : out.out_kind;
}

TEST_F(scale, cfgi_all_installs_each_ste)
{
	struct guest *g = &self->m.g;
	__u64 bypass[8];
	struct member *s;

	/* The table is empty so far */
	for_each_device(s)
		EXPECT_EQ(-EFAULT, stream_goes(&s->s));
	for_each_stream(s)
		strtab_write(&self->m.strtab, s->s.vsid, s->s.s1.ste);
	EXPECT_RUNS(&self->m, cmd_cfgi_all(), 0);
	for_each_stream(s)
		EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, kind_of(g, s->s.vsid)) TH_LOG("%#x", s->s.vsid);
	for_each_device(s)
		EXPECT_EQ(1, stream_goes(&s->s)) TH_LOG("%#x", s->s.vsid);

	/* Changes every other STE, and nothing else */
	ste_config(bypass, STE_CFG_BYPASS);
	for_each_stream(s)
		if ((s - self->streams) & 1)
			strtab_write(&self->m.strtab, s->s.vsid, bypass);
	EXPECT_RUNS(&self->m, cmd_cfgi_all(), 0);
	for_each_stream(s)
		EXPECT_EQ((s - self->streams) & 1 ? SMMUV3_ACCEL_KIND_BYPASS :
			  SMMUV3_ACCEL_KIND_S1, kind_of(g, s->s.vsid));
	for_each_device(s)
		EXPECT_EQ((s - self->streams) & 1 ? 0 : 1, stream_goes(&s->s));
}

/* The STEs stay, the CDs change: one host call for each physical SMMU */
TEST_F(scale, cfgi_all_flushes_cds)
{
	struct smmuv3_accel_stats before, after;
	struct smmuv3_accel_phys phys;
	struct guest *g = &self->m.g;
	__u32 smmus = 0, streams = 0, flushes = 0;
	char parameters[128] = "";
	struct pgtable pt;
	struct member *s;

	module_parameters(parameters, sizeof(parameters));
	for_each_stream(s)
		strtab_write(&self->m.strtab, s->s.vsid, s->s.s1.ste);
	EXPECT_RUNS(&self->m, cmd_cfgi_all(), 0);
	for_each_device(s)
		EXPECT_EQ(1, stream_goes(&s->s));

	/* Other tables, with an ASID of which nothing is cached */
	for_each_stream(s) {
		pgtable_init(&pt, g, GRANULE_4K);
		pgtable_map(&pt, s->s.s1.page[0], s->s.s1.page[2], PTE_NOT_GLOBAL);
		cd_write(g, s->s.s1.cd, &pt, STREAMS + 1);
	}
	for_each_device(s)
		EXPECT_EQ(1, stream_goes(&s->s)) TH_LOG("%#x: no stale CD", s->s.vsid);

	ASSERT_EQ(0, accel_stats(g, &before));
	EXPECT_RUNS(&self->m, cmd_cfgi_all(), 0);
	ASSERT_EQ(0, accel_stats(g, &after));
	for_each_device(s)
		EXPECT_EQ(2, stream_goes(&s->s)) TH_LOG("%#x", s->s.vsid);
	while (!accel_phys(g, smmus, &phys)) {
		streams += phys.out_stream_num;
		smmus++;
	}
	EXPECT_EQ(self->devices, streams);
	/* The filter flushes an ASID that is new to an SMMU. */
	if (smmus > 1 && strstr(parameters, "filter=Y"))
		flushes = smmus;
	EXPECT_EQ(smmus + flushes, after.out_host_calls - before.out_host_calls);
	EXPECT_EQ(self->devices + flushes, after.out_issued - before.out_issued);
	EXPECT_EQ(STREAMS, after.out_ste_unchanged - before.out_ste_unchanged);
}

TEST_F(scale, each_stream_can_be_attached_again)
{
	struct guest *g = &self->m.g;
	struct member *s;

	for_each_stream(s)
		strtab_write(&self->m.strtab, s->s.vsid, s->s.s1.ste);
	EXPECT_RUNS(&self->m, cmd_cfgi_all(), 0);
	for_each_stream(s) {
		ASSERT_EQ(0, accel_detach(g, s->s.vsid, NULL));
		if (s->real)
			EXPECT_EQ(-EFAULT, stream_goes(&s->s));
		EXPECT_EQ(0, kind_of(g, s->s.vsid));
		ASSERT_EQ(0, attach(g, s));
	}
	for_each_device(s)
		EXPECT_EQ(1, stream_goes(&s->s));
	for_each_stream(s)
		EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, kind_of(g, s->s.vsid));
}

/* The longest queue, full of the command that costs most */

#define MAX_DEVICES	112
#define MAX_LOG2SIZE	19
#define VSID(i)		(0x20 + (i))
#define DETACHES	20
#define MS		1000000ULL
/* On an idle machine DETACH takes less than 100 ms. It must not last as long as the queue */
#define MAX_WAIT	(3000 * MS)
#define MAX_TO_DIE	(10000 * MS)

/**
 * struct busy - A guest that keeps its SMMU busy
 * @m: its machine, with the longest command queue
 * @dev: its devices
 * @num: how many
 * @ste: the two STEs that each device has by turns: stage 1 and abort
 * @s1: that stage 1
 * @stop: ends the threads
 * @runs: how many RUN_CMDQs there were
 * @rc: the first error of these
 * @most: the most commands that one of them did
 * @ringer: the thread that runs the queue
 * @flipper: the thread that changes STEs
 */
struct busy {
	struct machine m;
	struct dma_dev dev[MAX_DEVICES];
	unsigned int num;
	__u64 ste[2][8];
	struct stage1 s1;
	atomic_bool stop;
	unsigned int runs;
	int rc;
	__u32 most;
	pthread_t ringer;
	pthread_t flipper;
};

static void write_stes(struct busy *b, unsigned int which)
{
	unsigned int i;

	for (i = 0; i < b->num; i++)
		strtab_write(&b->m.strtab, VSID(i), b->ste[which]);
}

static int busy_open(struct busy *b)
{
	__u32 i;
	int rc;

	memset(b, 0, sizeof(*b));
	rc = machine_open(&b->m, .stage = STAGE_CREATED, .ring_log2size = MAX_LOG2SIZE) ?:
	     stage1_init(&b->s1, &b->m.g, GRANULE_4K, 1);
	if (rc)
		return rc;
	for (i = 0; i < 1U << MAX_LOG2SIZE; i++)
		ring_put(&b->m.ring, cmd_cfgi_all());
	memcpy(b->ste[0], b->s1.ste, sizeof(b->ste[0]));
	ste_config(b->ste[1], STE_CFG_ABORT);
	while (b->num < MAX_DEVICES &&
	       !dma_open(&b->dev[b->num], b->m.g.iommufd, DMA_TESTDEV, b->num)) {
		rc = accel_attach(&b->m.g, b->dev[b->num].fd, VSID(b->num), NULL);
		if (rc)
			return rc;
		b->num++;
	}
	write_stes(b, 0);
	return b->num ? machine_set_regs(&b->m) : -ENODEV;
}

static void busy_close(struct busy *b)
{
	guest_close_accel(&b->m.g);
	while (b->num)
		dma_close(&b->dev[--b->num]);
	machine_close(&b->m);
}

/* CFGI_ALL finds changed STEs each time */
static void *flipper(void *arg)
{
	struct busy *b = arg;
	unsigned int which = 0;

	while (!atomic_load(&b->stop))
		write_stes(b, which ^= 1);
	return NULL;
}

static __u32 ring_distance(const struct ring *ring, __u32 from, __u32 to)
{
	return (to - from) & ((2U << ring->log2size) - 1);
}

/* One call after the other, until the queue is empty */
static void *ringer(void *arg)
{
	struct busy *b = arg;
	struct smmuv3_accel_run_cmdq out;
	__u32 cons, done;
	int rc;

	while (!atomic_load(&b->stop) && b->m.ring.cons != b->m.ring.prod) {
		cons = b->m.ring.cons;
		rc = ring_run(&b->m.ring, &out);
		done = ring_distance(&b->m.ring, cons, b->m.ring.cons);
		b->most = done > b->most ? done : b->most;
		b->runs++;
		/* A call may do less than asked, but not nothing */
		if (!rc && (out.out_error || !done))
			rc = -EPROTO;
		if (rc && !b->rc)
			b->rc = rc;
	}
	return NULL;
}

FIXTURE(longest_queue)
{
	struct busy *b;
};

FIXTURE_SETUP(longest_queue)
{
	self->b = calloc(1, sizeof(*self->b));
	ASSERT_NE(NULL, self->b);
}

FIXTURE_TEARDOWN(longest_queue)
{
	free(self->b);
}

/* Ends the run by a signal if somebody waits too long */
struct watchdog {
	pthread_t ringer;
	atomic_ullong deadline;
	atomic_bool stop;
	atomic_uint bites;
	pthread_t thread;
};

static void *watchdog(void *arg)
{
	struct watchdog *w = arg;

	while (!atomic_load(&w->stop)) {
		__u64 deadline = atomic_load(&w->deadline);

		if (deadline && now_ns() > deadline) {
			atomic_fetch_add(&w->bites, 1);
			pthread_kill(w->ringer, SIGUSR1);
		}
		usleep(1000);
	}
	return NULL;
}

static __u64 ns_since(__u64 began)
{
	return now_ns() - began;
}

/* Detach and attach devices while the queue runs. @longest: DETACH, ATTACH */
static int detach_some(struct busy *b, struct watchdog *w, __u64 longest[2])
{
	unsigned int num = env_number("SMMUV3_ACCEL_DETACHES", DETACHES), i;
	__u64 took[2];
	int rc = 0, j;

	for (i = 0; i < num && !rc && !atomic_load(&w->bites); i++) {
		usleep(20000);
		atomic_store(&w->deadline, now_ns() + 2 * MAX_WAIT);
		took[0] = now_ns();
		rc = accel_detach(&b->m.g, VSID(i % b->num), NULL);
		took[0] = ns_since(took[0]);
		took[1] = now_ns();
		if (!rc)
			rc = accel_attach(&b->m.g, b->dev[i % b->num].fd, VSID(i % b->num),
					  NULL);
		took[1] = ns_since(took[1]);
		atomic_store(&w->deadline, 0);
		for (j = 0; j < 2; j++)
			if (took[j] > longest[j])
				longest[j] = took[j];
	}
	return rc;
}

TEST_F(longest_queue, lets_other_calls_in_between)
{
	struct watchdog w = {};
	struct busy *b = self->b;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stats stats;
	__u64 longest[2] = {};
	unsigned int i;

	ASSERT_EQ(0, busy_open(b));
	interrupt_on(SIGUSR1);
	ASSERT_EQ(0, pthread_create(&b->flipper, NULL, flipper, b));
	ASSERT_EQ(0, pthread_create(&b->ringer, NULL, ringer, b));
	w.ringer = b->ringer;
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, watchdog, &w));
	EXPECT_EQ(0, detach_some(b, &w, longest));
	atomic_store(&b->stop, true);
	/* If the run goes on for as long as the queue lasts, end it */
	atomic_store(&w.deadline, now_ns() + MAX_WAIT);
	pthread_join(b->ringer, NULL);
	atomic_store(&w.stop, true);
	pthread_join(w.thread, NULL);
	pthread_join(b->flipper, NULL);
	ASSERT_EQ(0, accel_stats(&b->m.g, &stats));
	TH_LOG("%u devices: DETACH took up to %llu us, ATTACH %llu us; %u calls, up to %u commands in one; %llu of %llu STEs were new",
	       b->num, longest[0] / 1000, longest[1] / 1000, b->runs, b->most,
	       stats.out_ste_installed, stats.out_ste_installed + stats.out_ste_unchanged);
	EXPECT_GT(MAX_WAIT, longest[0]);
	EXPECT_EQ(0, atomic_load(&w.bites)) TH_LOG("a signal had to end the run");
	EXPECT_EQ(0, b->rc);
	EXPECT_LT(0, ring_distance(&b->m.ring, 0, b->m.ring.cons));

	/* Nothing is lost: what the guest says and queues now takes effect */
	write_stes(b, 0);
	b->m.ring.prod = b->m.ring.cons;
	ring_put(&b->m.ring, cmd_cfgi_all());
	ring_put(&b->m.ring, cmd_tlbi_nh_all());
	ring_put(&b->m.ring, cmd_sync());
	while (b->m.ring.cons != b->m.ring.prod) {
		ASSERT_EQ(0, ring_run(&b->m.ring, &out));
		ASSERT_EQ(0, out.out_error);
	}
	for (i = 0; i < b->num; i++)
		EXPECT_EQ(0, testdev_write(&b->dev[i], b->s1.page[0])) TH_LOG("device %u", i);
	busy_close(b);
}

/* Also if no call waits for the lock */
TEST_F(longest_queue, run_ends_after_out_max_stes)
{
	struct smmuv3_accel_info info;
	struct busy *b = self->b;
	struct smmuv3_accel_run_cmdq out;
	__u32 cons, most;
	int i;

	ASSERT_EQ(0, busy_open(b));
	ASSERT_EQ(0, accel_info(b->m.g.accel, &info));
	EXPECT_NE(0, info.out_max_stes);
	most = info.out_max_stes ? (info.out_max_stes + b->num - 1) / b->num : 100;
	for (i = 0; i < 3; i++) {
		cons = b->m.ring.cons;
		ASSERT_EQ(0, ring_step(&b->m.ring, 2 * most, &out));
		EXPECT_EQ(0, out.out_error);
		EXPECT_EQ(most, ring_distance(&b->m.ring, cons, b->m.ring.cons));
	}
	busy_close(b);
}

TEST_F(longest_queue, can_be_killed)
{
	struct busy *b = self->b;
	int ready[2], status;
	__u64 took;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (busy_open(b) || pthread_create(&b->flipper, NULL, flipper, b) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		ringer(b);
		_exit(2);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	usleep(100000);
	took = now_ns();
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	took = ns_since(took);
	EXPECT_EQ(SIGKILL, status);
	TH_LOG("%llu us from SIGKILL to the end", took / 1000);
	EXPECT_GT(MAX_TO_DIE, took);
	ASSERT_EQ(0, busy_open(b));
	busy_close(b);
}

TEST_HARNESS_MAIN
