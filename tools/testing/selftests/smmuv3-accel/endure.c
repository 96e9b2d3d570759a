// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks on the host: a guest that rings without end, files and VMs by the thousand, a VMM
 * that spoils its own scratch mappings. The host keeps its time, its memory and its other
 * VMs.
 *
 * SMMUV3_ACCEL_OPENS: how many times the file is opened
 * SMMUV3_ACCEL_VMS: how many VMs are killed
 * SMMUV3_ACCEL_ROUNDS: how often spoilt scratch mappings are used
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_OPENS	10000
#define DEFAULT_VMS	100
#define DEFAULT_ROUNDS	2000
#define DEFAULT_SEED	0x5eed

#define MS		1000000ULL

/* A guest that rings without end */

/* On an idle machine a call returns some ten milliseconds after a signal */
#define MAX_TO_RETURN	(2000 * MS)
#define MAX_TO_DIE	(5000 * MS)

#define MAX_LOG2SIZE	19
#define MANY_BRIDGES	4000
#define FIRST_BRIDGE	0x40
#define VSID		0x20
#define INTERRUPTIONS	10

FIXTURE(doorbell)
{
	struct machine m;
	struct neighbour n;
};

FIXTURE_VARIANT(doorbell)
{
	struct cmd (*cmd)(__u32 i);
	unsigned int bridges;
};

static struct cmd some_tlbi(__u32 i)
{
	return cmd_tlbi_va(i % 7, 4096ULL * i, true);
}

static struct cmd some_range(__u32 i)
{
	return cmd_range(cmd_tlbi_va(i % 7, 1ULL << 30, true), i % 31 + 1, i % 8, 1, 0);
}

static struct cmd some_cd(__u32 i)
{
	return cmd_cfgi_cd(VSID, 0, i & 1);
}

static struct cmd some_cfgi(__u32 i)
{
	return cmd_cfgi_all();
}

static struct cmd some_sync(__u32 i)
{
	return cmd_sync();
}

FIXTURE_VARIANT_ADD(doorbell, tlbi) { .cmd = some_tlbi };
FIXTURE_VARIANT_ADD(doorbell, range) { .cmd = some_range };
FIXTURE_VARIANT_ADD(doorbell, cfgi_cd) { .cmd = some_cd };
FIXTURE_VARIANT_ADD(doorbell, cfgi_all) { .cmd = some_cfgi, .bridges = MANY_BRIDGES };
FIXTURE_VARIANT_ADD(doorbell, sync) { .cmd = some_sync };

/* The longest queue, full of a command, and bridges for commands that name all streams */
static int ring_full(struct machine *m, struct cmd (*cmd)(__u32 i), unsigned int bridges)
{
	__u32 i;
	int rc;

	rc = machine_open(m, .stage = STAGE_ATTACHED, .devices = 1, .first_device = 1,
			  .vsid = { VSID }, .strtab_log2size = 13,
			  .ring_log2size = MAX_LOG2SIZE);
	if (rc)
		return rc;
	machine_write_ste(m, 0, STE_CFG_S1);
	for (i = 0; i < bridges && !rc; i++) {
		strtab_write(&m->strtab, FIRST_BRIDGE + i, m->stream[0].s1.ste);
		rc = accel_attach_virtual(&m->g, FIRST_BRIDGE + i, SMMUV3_ACCEL_ATTACH_BRIDGE,
					  NULL);
	}
	for (i = 0; i < 1U << MAX_LOG2SIZE; i++)
		ring_put(&m->ring, cmd(i));
	return rc ?: machine_set_regs(m);
}

FIXTURE_SETUP(doorbell)
{
	ASSERT_EQ(0, ring_full(&self->m, variant->cmd, variant->bridges));
	ASSERT_EQ(0, neighbour_open(&self->n, 0));
}

FIXTURE_TEARDOWN(doorbell)
{
	neighbour_close(&self->n);
	machine_close(&self->m);
}

/**
 * struct beside - Other threads: one with a vSMMU of its own, one that sends a signal
 * @n: that vSMMU
 * @ringer: the thread that gets the signal
 * @stop: ends the first thread
 * @sent: when the signal was sent
 * @rc: the first error of the vSMMU
 */
struct beside {
	struct neighbour *n;
	pthread_t ringer;
	atomic_bool stop;
	atomic_ullong sent;
	int rc;
};

static void *neighbour_load(void *arg)
{
	struct beside *b = arg;

	while (!atomic_load(&b->stop) && !b->rc)
		b->rc = neighbour_turn(b->n);
	return NULL;
}

static void *signal_load(void *arg)
{
	struct beside *b = arg;

	sleep_ms(10);
	atomic_store(&b->sent, now_ns());
	pthread_kill(b->ringer, SIGUSR1);
	return NULL;
}

TEST_F(doorbell, leaves_time_for_others)
{
	struct beside b = { .n = &self->n, .ringer = pthread_self() };
	const __u32 full = self->m.ring.prod;
	struct smmuv3_accel_run_cmdq out;
	__u64 took, longest = 0, lap;
	unsigned int i, partly = 0;
	pthread_t neighbour, signals;
	int rc;

	interrupt_on(SIGUSR1);
	ASSERT_EQ(0, pthread_create(&neighbour, NULL, neighbour_load, &b));
	for (i = 0; i < INTERRUPTIONS && longest < MAX_TO_RETURN; i++) {
		ASSERT_EQ(0, pthread_create(&signals, NULL, signal_load, &b));
		/* One lap after the other */
		do {
			self->m.ring.cons = 0;
			lap = now_ns();
			rc = ring_run(&self->m.ring, &out);
			took = now_ns();
			/* -EINTR: the signal came first */
			EXPECT_TRUE(!rc || rc == -EINTR);
			EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
		} while (!atomic_load(&b.sent));
		lap = took - lap;
		took = took > b.sent ? took - b.sent : 0;
		if (took > longest)
			longest = took;
		partly += self->m.ring.cons != full;
		atomic_store(&b.sent, 0);
		ASSERT_EQ(0, pthread_join(signals, NULL));
	}
	atomic_store(&b.stop, true);
	ASSERT_EQ(0, pthread_join(neighbour, NULL));
	fprintf(stderr, "# %u of %u laps were cut short, the last after %llu us; %llu us from a signal to the return\n",
		partly, i, lap / 1000, longest / 1000);
	fprintf(stderr, "# the neighbour had %u turns, its longest doorbell took %llu us\n",
		self->n.turns, self->n.longest / 1000);
	EXPECT_LT(0, partly);
	EXPECT_GT(MAX_TO_RETURN, longest);
	EXPECT_EQ(0, b.rc);
	EXPECT_LT(2, self->n.turns);
	EXPECT_GT(MAX_TO_RETURN, self->n.longest);
}

TEST_F(doorbell, can_be_killed)
{
	struct smmuv3_accel_run_cmdq out;
	struct machine m;
	int ready[2], status;
	__u64 took;
	pid_t pid;
	char c;

	/* The device is for the child */
	machine_close(&self->m);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ring_full(&m, variant->cmd, variant->bridges) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;) {
			m.ring.cons = 0;
			ring_run(&m.ring, &out);
		}
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	sleep_ms(20);
	took = now_ns();
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	took = now_ns() - took;
	EXPECT_EQ(SIGKILL, status);
	fprintf(stderr, "# %llu us from SIGKILL to the end\n", took / 1000);
	EXPECT_GT(MAX_TO_DIE, took);
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_MEMORY, .devices = 1,
				  .first_device = 1));
	EXPECT_EQ(-EFAULT, machine_goes(&self->m, 0));
}

/* Memory and files of the whole host, which nothing else uses meanwhile */

struct usage {
	long memory_kb;
	long slab_kb;
	long files;
};

#define MAX_MEMORY_KB	2048
#define MAX_SLAB_KB	1024
#define MAX_FILES	256	/* the kernel's count is exact to some ten for each CPU */

/*
 * Whether the kernel keeps freed memory, to catch its use. Its counts do not show how much
 * memory is in use. Such kernels have kmemleak to find leaks.
 */
static bool usage_says_nothing(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

static long meminfo(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	return line ? strtol(line + strlen(key), NULL, 10) : 0;
}

static const char *read_text(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY);
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	return text;
}

/* Free pages in the lists of the CPUs, which MemFree leaves out */
static long cpus_free_kb(void)
{
	const char *at = read_text("/proc/zoneinfo");
	long pages = 0;

	while ((at = strstr(at, " count:"))) {
		at += strlen(" count:");
		pages += strtol(at, NULL, 10);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void usage_read(struct usage *u)
{
	const char *text = read_text("/proc/meminfo");

	u->memory_kb = meminfo(text, "MemTotal:") - meminfo(text, "MemFree:") -
		       meminfo(text, "\nBuffers:") - meminfo(text, "\nCached:") -
		       meminfo(text, "SReclaimable:");
	u->slab_kb = meminfo(text, "SUnreclaim:");
	u->memory_kb -= cpus_free_kb();
	u->files = strtol(read_text("/proc/sys/fs/file-nr"), NULL, 10);
}

/* What is in use once delayed frees are done */
static void usage_settle(struct usage *u)
{
	struct usage before;
	int tries = 50;

	usage_read(u);
	do {
		before = *u;
		sleep_ms(100);
		usage_read(u);
	} while (before.memory_kb - u->memory_kb > MAX_MEMORY_KB / 8 && tries--);
}

/* Whether no more is in use than before, once delayed frees are done */
static bool usage_is_back(const struct usage *before, unsigned int num)
{
	struct usage now;
	int tries = 100;
	bool back;

	do {
		usage_settle(&now);
		back = now.memory_kb - before->memory_kb < MAX_MEMORY_KB &&
		       now.slab_kb - before->slab_kb < MAX_SLAB_KB &&
		       now.files - before->files < MAX_FILES;
	} while (!back && tries--);
	fprintf(stderr, "# after %u: memory %+ld kB, slab %+ld kB, files %+ld\n", num,
		now.memory_kb - before->memory_kb, now.slab_kb - before->slab_kb,
		now.files - before->files);
	return back;
}

FIXTURE(opens)
{
	struct guest g;
};

FIXTURE_VARIANT(opens)
{
	bool create;
};

FIXTURE_VARIANT_ADD(opens, only) { .create = false };
FIXTURE_VARIANT_ADD(opens, and_create) { .create = true };

FIXTURE_SETUP(opens)
{
	if (usage_says_nothing())
		SKIP(return, "this kernel keeps freed memory");
	ASSERT_EQ(0, guest_open_memory(&self->g));
}

FIXTURE_TEARDOWN(opens)
{
	guest_close(&self->g);
}

TEST_F_TIMEOUT(opens, leave_nothing, 3600)
{
	const unsigned int num = env_number("SMMUV3_ACCEL_OPENS", DEFAULT_OPENS);
	unsigned int i, warm_up = num / 10;
	struct usage before;
	int fd;

	for (i = 0; i < num + warm_up; i++) {
		if (i == warm_up)
			usage_settle(&before);
		fd = open("/dev/smmuv3-accel", O_RDWR);
		ASSERT_LE(0, fd);
		if (variant->create)
			ASSERT_EQ(0, accel_create_flags(fd, self->g.iommufd,
							self->g.ioas_id, 0));
		close(fd);
	}
	EXPECT_TRUE(usage_is_back(&before, num));
	EXPECT_EQ(0, iommufd_destroy(self->g.iommufd, self->g.ioas_id));
}

/* Open, run and close a VM again and again, until killed */
static void vm_life(__u64 *random)
{
	struct neighbour n;
	__u32 turns;

	for (;;) {
		if (neighbour_open(&n, roll(random, 2)))
			_exit(1);
		for (turns = roll(random, 64); turns; turns--)
			if (neighbour_turn(&n))
				_exit(2);
		neighbour_close(&n);
	}
}

FIXTURE(vms)
{
};

FIXTURE_SETUP(vms)
{
}

FIXTURE_TEARDOWN(vms)
{
}

TEST_F_TIMEOUT(vms, killed_leave_nothing, 3600)
{
	const unsigned int num = env_number("SMMUV3_ACCEL_VMS", DEFAULT_VMS);
	__u64 random = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED), most;
	unsigned int i, warm_up = num / 10;
	struct usage before;
	int status;
	pid_t pid;

	/* Measure how long it takes to make a VM, here and now */
	most = now_ns();
	ASSERT_EQ(0, neighbour_works(0));
	most = 3 * (now_ns() - most) / 1000;
	for (i = 0; i < num + warm_up; i++) {
		if (i == warm_up)
			usage_settle(&before);
		random_next(&random);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			vm_life(&random);
		usleep(roll(&random, most));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(SIGKILL, status);
	}
	if (!usage_says_nothing())
		EXPECT_TRUE(usage_is_back(&before, num));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, neighbour_works(i));
}

/* The VMM spoils its scratch mappings while the module uses them */

#define PAGE		4096UL
#define MAX_RANGES	512

static struct range known[MAX_RANGES];
static int known_num;

/* The pages that the module has mapped, whatever they are now */
static unsigned int scratch_pages(unsigned long *pages, unsigned int max)
{
	static struct range now[MAX_RANGES];
	int num = maps_read(now, MAX_RANGES), i;
	unsigned int found = 0;
	unsigned long page;

	for (i = 0; i < num; i++)
		for (page = now[i].start; page < now[i].end; page += PAGE)
			if (found < max && !range_has(known, known_num, page))
				pages[found++] = page;
	return found;
}

struct vandal {
	__u64 random;
	int file;
	atomic_bool go;
	atomic_bool stop;
	unsigned int deeds;
};

static void spoil_page(struct vandal *v, char *page)
{
	size_t len;

	switch (roll(&v->random, 8)) {
	case 0:
		munmap(page, PAGE);
		break;
	case 1:
		mprotect(page, PAGE, PROT_READ);
		break;
	case 2:
		mprotect(page, PAGE, PROT_NONE);
		break;
	case 3:
		mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, v->file, 0);
		break;
	case 4:
		mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, v->file, 0);
		break;
	case 5:
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		break;
	default:
		/* Random words, if the page can be written */
		len = 8 * roll(&v->random, PAGE / 8);
		if (pread(v->file, page + PAGE - len, len, 0) < 0)
			return;
		break;
	}
	v->deeds++;
}

static void *vandal_load(void *arg)
{
	static unsigned long pages[MAX_RANGES];
	struct vandal *v = arg;
	unsigned int num, i;

	while (!atomic_load(&v->stop)) {
		if (!atomic_load(&v->go))
			continue;
		num = scratch_pages(pages, MAX_RANGES);
		/* The module has mapped others in place of useless ones */
		for (i = 0; num > MAX_RANGES / 4 && i < num; i++)
			munmap((void *)pages[i], PAGE);
		for (i = 0; num && num <= MAX_RANGES / 4 && i < 8; i++)
			spoil_page(v, (char *)pages[roll(&v->random, num)]);
	}
	return NULL;
}

/* Make calls that use the scratch mappings. Any of them may fail */
static unsigned int use_scratch(struct neighbour *n, __u64 rounds)
{
	struct smmuv3_accel_run_cmdq run;
	unsigned int good = 0;
	__u64 i;

	for (i = 0; i < rounds; i++) {
		machine_ring_at(&n->m, 0);
		ring_put(&n->m.ring, cmd_cfgi_all());
		ring_put(&n->m.ring, cmd_tlbi_va(1, 0, true));
		ring_put(&n->m.ring, cmd_tlbi_asid(1));
		ring_put(&n->m.ring, cmd_sync());
		good += !ring_run(&n->m.ring, &run);
		if (i % 8 == 0) {
			machine_detach(&n->m, 0);
			good += !machine_attach(&n->m, 0);
		}
	}
	return good;
}

static int spoil(void)
{
	struct vandal v = { .random = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED) };
	const __u64 rounds = env_number("SMMUV3_ACCEL_ROUNDS", DEFAULT_ROUNDS);
	static __u64 words[2 * PAGE / 8];
	unsigned int i, good;
	struct neighbour n;
	pthread_t thread;

	v.file = memfd_create("random", MFD_CLOEXEC);
	for (i = 0; i < ARRAY_LEN(words); i++)
		words[i] = random_next(&v.random) >> roll(&v.random, 64);
	if (write(v.file, words, sizeof(words)) != sizeof(words) || neighbour_open(&n, 2))
		return 1;

	/* Libraries have mapped all that they need, so the module's mappings come next */
	guest_close_accel(&n.m.g);
	if (pthread_create(&thread, NULL, vandal_load, &v))
		return 2;
	known_num = maps_read(known, MAX_RANGES);
	if (machine_reach(&n.m, STAGE_RUNNING))
		return 3;
	atomic_store(&v.go, true);
	good = use_scratch(&n, rounds);
	atomic_store(&v.stop, true);
	pthread_join(thread, NULL);
	fprintf(stderr, "# %u deeds against %u calls that went well\n", v.deeds, good);
	if (!v.deeds || !good)
		return 4;
	neighbour_close(&n);

	/* The process and the device can go on */
	return neighbour_works(2) ? 5 : 0;
}

FIXTURE(scratch)
{
	struct neighbour n;
};

FIXTURE_SETUP(scratch)
{
	char bdf[16];

	if (dma_find(DMA_TESTDEV, 2, bdf))
		SKIP(return, "wants 3 iommu-testdevs");
}

FIXTURE_TEARDOWN(scratch)
{
}

TEST_F(scratch, spoilt_by_its_owner)
{
	EXPECT_EQ(0, neighbour_beside(&self->n, spoil));
	EXPECT_EQ(0, neighbour_works(2));
}

TEST_HARNESS_MAIN
