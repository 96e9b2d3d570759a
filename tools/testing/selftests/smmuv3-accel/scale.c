// SPDX-License-Identifier: GPL-2.0
/*
 * A large machine: 64 streams spread over a 2-level table of 64K entries, as
 * many of them test devices as there are, the rest bridges and emulated
 * endpoints. Then all the test devices there are behind a guest that changes
 * their STEs all the time and fills the longest queue with CFGI_ALL.
 *
 * SMMUV3_ACCEL_DETACHES: how many devices are detached meanwhile, each of which
 * is measured
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
#define LOG2SIZE	16
#define SPLIT		8
#define IOVA		0x40000000ULL

struct stream {
	__u32 vsid;
	bool real;
	struct dma_dev dev;
	struct pgtable pt;
	__u64 cd;
	__u64 ste[8];
	__u64 page;
};

FIXTURE(scale)
{
	struct guest g;
	struct ring ring;
	struct strtab st;
	struct stream streams[STREAMS];
	unsigned int devices;
};

#define for_each_stream(s) \
	for (s = self->streams; s < self->streams + STREAMS; s++)
#define for_each_device(s) \
	for (s = self->streams; s < self->streams + self->devices; s++)

/* Without holes, but no two in a row */
static __u32 spread(unsigned int i)
{
	return i * 1021 & 0xffff;
}

static int attach(struct guest *g, struct stream *s)
{
	struct smmuv3_accel_attach out;

	if (s->real)
		return accel_attach(g, s->dev.fd, s->vsid, &out);
	return accel_attach_virtual(g, s->vsid, s->vsid & 1 ? SMMUV3_ACCEL_ATTACH_BRIDGE :
				    SMMUV3_ACCEL_ATTACH_FEED, &out);
}

FIXTURE_SETUP(scale)
{
	struct stream *s;
	unsigned int i;

	ASSERT_EQ(0, guest_open_memory(&self->g));
	ASSERT_EQ(0, guest_create_flags(&self->g, SMMUV3_ACCEL_CREATE_FEED));
	ASSERT_EQ(0, accel_mem_table(&self->g));
	ASSERT_EQ(0, ring_init(&self->ring, &self->g, 4));
	ASSERT_EQ(0, strtab_init(&self->st, &self->g, LOG2SIZE, SPLIT));
	for (i = 0; i < STREAMS; i++) {
		s = &self->streams[i];
		s->vsid = spread(i);
		if (self->devices == i &&
		    !dma_open(&s->dev, self->g.iommufd, DMA_TESTDEV, i)) {
			s->real = true;
			self->devices++;
		}
		pgtable_init(&s->pt, &self->g, GRANULE_4K);
		s->page = guest_alloc(&self->g, 4096);
		pgtable_map(&s->pt, IOVA, s->page, PTE_NOT_GLOBAL);
		s->cd = guest_alloc(&self->g, 64);
		cd_write(&self->g, s->cd, &s->pt, i + 1);
		ste_s1(s->ste, s->cd);
		ASSERT_EQ(0, attach(&self->g, s)) TH_LOG("stream %u", i);
	}
	ASSERT_NE(0, self->devices);
	TH_LOG("%u test devices, %u bridges and emulated endpoints", self->devices,
	       STREAMS - self->devices);
	ASSERT_EQ(0, accel_set_regs(&self->g, CR0_SMMUEN | CR0_CMDQEN, self->st.base,
				    self->st.base_cfg, &self->ring));
}

FIXTURE_TEARDOWN(scale)
{
	struct stream *s;

	close(self->g.accel);
	self->g.accel = -1;
	for_each_device(s)
		dma_close(&s->dev);
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
	guest_close(&self->g);
}

static bool run(struct ring *ring, struct cmd cmd)
{
	struct smmuv3_accel_run_cmdq out;

	ring_put(ring, cmd);
	ring_put(ring, cmd_sync());
	return !ring_run(ring, &out) && !out.out_error && ring->cons == ring->prod;
}

/* Whether a device's DMA lands on @gpa */
static bool reaches(struct guest *g, struct stream *s, __u64 iova, __u64 gpa)
{
	volatile __u32 *word = guest_ptr(g, gpa);

	*word = 0;
	return !testdev_write(&s->dev, iova) && *word == TESTDEV_PATTERN;
}

static __u32 kind_of(struct guest *g, __u32 vsid)
{
	struct smmuv3_accel_stream out;

	return accel_stream(g, vsid, &out) ? 0 : out.out_kind;
}

TEST_F(scale, cfgi_all)
{
	struct guest *g = &self->g;
	__u64 bypass[8];
	struct stream *s;

	/* A table with nothing in it yet */
	for_each_device(s)
		EXPECT_EQ(-EFAULT, testdev_write(&s->dev, IOVA));
	for_each_stream(s)
		strtab_write(&self->st, s->vsid, s->ste);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_stream(s)
		EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, kind_of(g, s->vsid)) TH_LOG("%#x", s->vsid);
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page)) TH_LOG("%#x", s->vsid);

	/* Every other one, and nothing else */
	ste_config(bypass, STE_CFG_BYPASS);
	for_each_stream(s)
		if ((s - self->streams) & 1)
			strtab_write(&self->st, s->vsid, bypass);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_stream(s)
		EXPECT_EQ((s - self->streams) & 1 ? SMMUV3_ACCEL_KIND_BYPASS :
			  SMMUV3_ACCEL_KIND_S1, kind_of(g, s->vsid));
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, (s - self->streams) & 1 ? s->page : IOVA, s->page));
}

/* STEs that stay, CDs that change: a call of the host for each physical SMMU */
TEST_F(scale, cfgi_all_flushes_cds)
{
	struct smmuv3_accel_stats before, after;
	struct smmuv3_accel_phys phys;
	struct guest *g = &self->g;
	__u32 smmus = 0, streams = 0;
	struct pgtable pt;
	struct stream *s;
	__u64 page;

	for_each_stream(s)
		strtab_write(&self->st, s->vsid, s->ste);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page));

	/* Other tables, under an ASID of which nothing is cached */
	page = guest_alloc(g, 4096);
	pgtable_init(&pt, g, GRANULE_4K);
	pgtable_map(&pt, IOVA, page, PTE_NOT_GLOBAL);
	for_each_stream(s)
		cd_write(g, s->cd, &pt, STREAMS + 1);
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page)) TH_LOG("%#x: no CD was cached", s->vsid);

	ASSERT_EQ(0, accel_stats(g, &before));
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	ASSERT_EQ(0, accel_stats(g, &after));
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, page)) TH_LOG("%#x", s->vsid);
	while (!accel_phys(g, smmus, &phys)) {
		streams += phys.out_stream_num;
		smmus++;
	}
	EXPECT_EQ(self->devices, streams);
	EXPECT_EQ(smmus, after.out_host_calls - before.out_host_calls);
	EXPECT_EQ(self->devices, after.out_issued - before.out_issued);
	EXPECT_EQ(STREAMS, after.out_ste_unchanged - before.out_ste_unchanged);
}

/* Each comes and goes amid all the others. */
TEST_F(scale, detach_and_attach)
{
	struct guest *g = &self->g;
	struct stream *s;
	__u32 reason;

	for_each_stream(s)
		strtab_write(&self->st, s->vsid, s->ste);
	ASSERT_TRUE(run(&self->ring, cmd_cfgi_all()));
	for_each_stream(s) {
		ASSERT_EQ(0, accel_detach(g, s->vsid, &reason));
		if (s->real)
			EXPECT_EQ(-EFAULT, testdev_write(&s->dev, IOVA));
		EXPECT_EQ(0, kind_of(g, s->vsid));
		ASSERT_EQ(0, attach(g, s));
	}
	for_each_device(s)
		EXPECT_TRUE(reaches(g, s, IOVA, s->page));
	for_each_stream(s)
		EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, kind_of(g, s->vsid));
}

/* The longest queue, full of what costs most */

#define MAX_DEVICES	112
#define MAX_LOG2SIZE	19
#define LONG_LOG2SIZE	10
#define VSID(i)		(0x20 + (i))
#define DETACHES	20
#define MS		1000000ULL
/*
 * On an idle machine DETACH takes less than 100 ms. What is too much is what
 * lasts as long as the queue.
 */
#define MAX_WAIT	(3000 * MS)
#define MAX_TO_DIE	(10000 * MS)

/**
 * struct busy - A guest that keeps its SMMU busy
 * @g: the guest
 * @dev: its devices
 * @num: how many
 * @ste: the two STEs that each has by turns: stage 1, and an abort
 * @ring: the longest command queue
 * @st: its stream table
 * @stop: end the threads
 * @runs: how many calls the queue has taken
 * @rc: what went wrong with one of them first
 * @most: the most commands that one of them did
 * @ringer: the thread that runs the queue
 * @flipper: the thread that changes STEs
 */
struct busy {
	struct guest g;
	struct dma_dev dev[MAX_DEVICES];
	unsigned int num;
	__u64 ste[2][8];
	__u64 page;
	struct ring ring;
	struct strtab st;
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
		strtab_write(&b->st, VSID(i), b->ste[which]);
}

static int busy_open(struct busy *b)
{
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	__u64 cd;
	__u32 i;
	int rc;

	memset(b, 0, sizeof(*b));
	rc = guest_open(&b->g) ?: accel_mem_table(&b->g) ?:
	     ring_init(&b->ring, &b->g, MAX_LOG2SIZE) ?:
	     strtab_init(&b->st, &b->g, LONG_LOG2SIZE, 0);
	if (rc)
		return rc;
	for (i = 0; i < 1U << MAX_LOG2SIZE; i++)
		ring_put(&b->ring, cmd_cfgi_all());
	b->page = guest_alloc(&b->g, 4096);
	pgtable_init(&pt, &b->g, GRANULE_4K);
	pgtable_map(&pt, IOVA, b->page, PTE_NOT_GLOBAL);
	cd = guest_alloc(&b->g, 64);
	cd_write(&b->g, cd, &pt, 1);
	ste_s1(b->ste[0], cd);
	ste_config(b->ste[1], STE_CFG_ABORT);
	while (b->num < MAX_DEVICES &&
	       !dma_open(&b->dev[b->num], b->g.iommufd, DMA_TESTDEV, b->num)) {
		rc = accel_attach(&b->g, b->dev[b->num].fd, VSID(b->num), &attach);
		if (rc)
			return rc;
		b->num++;
	}
	write_stes(b, 0);
	return b->num ? accel_set_regs(&b->g, CR0_SMMUEN | CR0_CMDQEN, b->st.base,
				       b->st.base_cfg, &b->ring) : -ENODEV;
}

static void busy_close(struct busy *b)
{
	if (b->g.accel >= 0)
		close(b->g.accel);
	b->g.accel = -1;
	while (b->num)
		dma_close(&b->dev[--b->num]);
	guest_close(&b->g);
}

/* Each time that CFGI_ALL looks, all of the STEs are others, or some of them. */
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

/* A call after the other, until the queue is empty or it is told to stop */
static void *ringer(void *arg)
{
	struct busy *b = arg;
	struct smmuv3_accel_run_cmdq out;
	__u32 cons, done;
	int rc;

	while (!atomic_load(&b->stop) && b->ring.cons != b->ring.prod) {
		cons = b->ring.cons;
		rc = ring_run(&b->ring, &out);
		done = ring_distance(&b->ring, cons, b->ring.cons);
		b->most = done > b->most ? done : b->most;
		b->runs++;
		/* Less done than asked for is no error, nothing done is one. */
		if (!rc && (out.out_error || !done))
			rc = -EPROTO;
		if (rc && !b->rc)
			b->rc = rc;
	}
	return NULL;
}

static void nothing(int signal)
{
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

/* What would wait without end is helped by a signal, which ends the run. */
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

/* Detach and attach devices while the queue runs; returns the longest of each */
static int detach_some(struct busy *b, struct watchdog *w, __u64 longest[2])
{
	unsigned int num = env_number("SMMUV3_ACCEL_DETACHES", DETACHES), i;
	struct smmuv3_accel_attach attach;
	__u64 took[2];
	__u32 reason;
	int rc = 0, j;

	for (i = 0; i < num && !rc && !atomic_load(&w->bites); i++) {
		usleep(20000);
		atomic_store(&w->deadline, now_ns() + 2 * MAX_WAIT);
		took[0] = now_ns();
		rc = accel_detach(&b->g, VSID(i % b->num), &reason);
		took[0] = ns_since(took[0]);
		took[1] = now_ns();
		if (!rc)
			rc = accel_attach(&b->g, b->dev[i % b->num].fd, VSID(i % b->num),
					  &attach);
		took[1] = ns_since(took[1]);
		atomic_store(&w->deadline, 0);
		for (j = 0; j < 2; j++)
			if (took[j] > longest[j])
				longest[j] = took[j];
	}
	return rc;
}

TEST_F(longest_queue, lets_others_in_between)
{
	const struct sigaction action = { .sa_handler = nothing };
	struct watchdog w = {};
	struct busy *b = self->b;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stats stats;
	__u64 longest[2] = {};
	unsigned int i;

	ASSERT_EQ(0, busy_open(b));
	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, pthread_create(&b->flipper, NULL, flipper, b));
	ASSERT_EQ(0, pthread_create(&b->ringer, NULL, ringer, b));
	w.ringer = b->ringer;
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, watchdog, &w));
	EXPECT_EQ(0, detach_some(b, &w, longest));
	atomic_store(&b->stop, true);
	/* What goes on for as long as the queue lasts is ended. */
	atomic_store(&w.deadline, now_ns() + MAX_WAIT);
	pthread_join(b->ringer, NULL);
	atomic_store(&w.stop, true);
	pthread_join(w.thread, NULL);
	pthread_join(b->flipper, NULL);
	ASSERT_EQ(0, accel_stats(&b->g, &stats));
	TH_LOG("%u devices: DETACH took up to %llu us, ATTACH %llu us; %u calls, up to %u commands in one; %llu of %llu STEs were new",
	       b->num, longest[0] / 1000, longest[1] / 1000, b->runs, b->most,
	       stats.out_ste_installed, stats.out_ste_installed + stats.out_ste_unchanged);
	EXPECT_GT(MAX_WAIT, longest[0]);
	EXPECT_EQ(0, atomic_load(&w.bites)) TH_LOG("a signal had to end the run");
	EXPECT_EQ(0, b->rc);
	EXPECT_LT(0, ring_distance(&b->ring, 0, b->ring.cons));

	/* Nothing is lost: what the guest says now is in force after what it queues now. */
	write_stes(b, 0);
	b->ring.prod = b->ring.cons;
	ring_put(&b->ring, cmd_cfgi_all());
	ring_put(&b->ring, cmd_tlbi_nh_all());
	ring_put(&b->ring, cmd_sync());
	while (b->ring.cons != b->ring.prod) {
		ASSERT_EQ(0, ring_run(&b->ring, &out));
		ASSERT_EQ(0, out.out_error);
	}
	for (i = 0; i < b->num; i++)
		EXPECT_EQ(0, testdev_write(&b->dev[i], IOVA)) TH_LOG("device %u", i);
	busy_close(b);
}

/* Nobody waits: the call ends by itself once it has evaluated so many STEs. */
TEST_F(longest_queue, ends_after_so_many_stes)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	struct busy *b = self->b;
	struct smmuv3_accel_run_cmdq out;
	__u32 cons, most;
	int i;

	ASSERT_EQ(0, busy_open(b));
	ASSERT_EQ(0, ioctl(b->g.accel, SMMUV3_ACCEL_GET_INFO, &info));
	EXPECT_NE(0, info.out_max_stes);
	/* Without a limit the whole queue would be run. */
	most = info.out_max_stes ? (info.out_max_stes + b->num - 1) / b->num : 100;
	for (i = 0; i < 3; i++) {
		cons = b->ring.cons;
		ASSERT_EQ(0, ring_step(&b->ring, 2 * most, &out));
		EXPECT_EQ(0, out.out_error);
		EXPECT_EQ(most, ring_distance(&b->ring, cons, b->ring.cons));
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
