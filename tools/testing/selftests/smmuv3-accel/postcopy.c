// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory is missing while the module reads it, as in a postcopy migration. A
 * signal ends the wait, and then the call can be repeated.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>

#include "harness.h"
#include "stress.h"

#define VSID	0x20

#define MISSING_PAGES	4
#define MISSING_GPA	(GUEST_BASE + GUEST_SIZE)

FIXTURE(postcopy)
{
	struct machine m;
	int uffd;
	char *missing;
	size_t size;
};

FIXTURE_SETUP(postcopy)
{
	struct smmuv3_accel_mem_region regions[2];
	struct machine *m = &self->m;

	self->uffd = uffd_open();
	if (self->uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, machine_open(m, .stage = STAGE_ATTACHED, .devices = 1,
				  .vsid = { VSID }, .strtab_log2size = 8, .ring_log2size = 10));
	self->size = MISSING_PAGES * sysconf(_SC_PAGESIZE);
	self->missing = mmap(NULL, self->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->missing);
	madvise(self->missing, self->size, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, uffd_register(self->uffd, (unsigned long)self->missing, self->size));
	regions[0] = (struct smmuv3_accel_mem_region){
		GUEST_BASE, GUEST_SIZE, (unsigned long)m->g.ram
	};
	regions[1] = (struct smmuv3_accel_mem_region){
		MISSING_GPA, self->size, (unsigned long)self->missing
	};
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions, 2));
	machine_write_ste(m, 0, STE_CFG_BYPASS);
}

FIXTURE_TEARDOWN(postcopy)
{
	machine_close(&self->m);
	close(self->uffd);
}

/**
 * struct call - A call that a thread makes
 * @m: the machine
 * @make: makes the call
 * @cmds: an array of commands
 * @num: how many these are; then how many are done
 * @rc: what the call returned
 * @cpu_us: the CPU time that it took
 * @done: it has returned
 * @thread: the thread
 */
struct call {
	struct machine *m;
	int (*make)(struct call *c);
	struct cmd *cmds;
	__u32 num;
	int rc;
	__u64 cpu_us;
	atomic_bool done;
	pthread_t thread;
};

static int make_run(struct call *c)
{
	struct smmuv3_accel_run_cmdq out;
	int rc = ring_run(&c->m->ring, &out);

	return rc ? rc : -(int)out.out_error;
}

static int make_invalidate(struct call *c)
{
	struct smmuv3_accel_invalidate out;
	int rc = accel_invalidate(&c->m->g, c->cmds, c->num, &out);

	c->num = out.cmd_num;
	return rc ? rc : -(int)out.out_error;
}

static int make_set_regs(struct call *c)
{
	return machine_set_regs(c->m);
}

static void *call_thread(void *arg)
{
	struct call *c = arg;
	struct timespec cpu;

	c->rc = c->make(c);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	c->cpu_us = cpu.tv_sec * 1000000ULL + cpu.tv_nsec / 1000;
	atomic_store(&c->done, true);
	return NULL;
}

static bool call_returns(struct call *c, unsigned int ms)
{
	for (; !atomic_load(&c->done); ms--) {
		if (!ms)
			return false;
		sleep_ms(1);
	}
	return true;
}

#define RETURN_MS	1000
#define MAX_CPU_US	(RETURN_MS * 1000 / 2)

/*
 * Send a signal to a call that waits for missing memory. Returns what the call
 * returned, -ETIMEDOUT if the signal did not end the wait, -EDOM if the call did not
 * wait.
 */
static int interrupted(struct call *c, int uffd, char *missing, size_t size)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	__u64 began, took;
	bool waited, returned;
	size_t i;

	interrupt_on(SIGUSR1);
	atomic_store(&c->done, false);
	if (pthread_create(&c->thread, NULL, call_thread, c))
		return -EAGAIN;
	waited = uffd_waits(uffd, AT_ONCE_MS);
	began = now_ns();
	pthread_kill(c->thread, SIGUSR1);
	returned = call_returns(c, RETURN_MS);
	took = (now_ns() - began) / 1000;
	for (i = 0; !returned && i < size; i += page)
		uffd_give(uffd, (unsigned long)missing + i, NULL, page);
	pthread_join(c->thread, NULL);
	fprintf(stderr, "# %s %llu us after the signal, %llu us of CPU time in all\n",
		returned ? "returned" : "did not return", took, c->cpu_us);
	if (!waited)
		return -EDOM;
	return returned && c->cpu_us < MAX_CPU_US ? c->rc : -ETIMEDOUT;
}

TEST_F(postcopy, signal_ends_a_wait_for_the_command_queue)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_run };
	const size_t page = sysconf(_SC_PAGESIZE);
	struct smmuv3_accel_run_cmdq out;
	static struct cmd cmds[4096];
	__u32 per_page = page / sizeof(cmds[0]), i;

	for (i = 0; i < per_page; i++)
		cmds[i] = cmd_tlbi_va(i % 3, i * 4096ULL, true);
	m->ring.base = MISSING_GPA;
	ASSERT_EQ(0, machine_set_regs(m));
	m->ring.prod = 2 * per_page;
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(0, m->ring.cons);

	/* The commands on the first page are done, once it is there */
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing, cmds, page));
	EXPECT_EQ(0, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(per_page, m->ring.cons);

	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing + page, cmds, page));
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(0, out.out_error);
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	EXPECT_EQ(0, machine_goes(m, 0));
}

TEST_F(postcopy, signal_ends_a_wait_for_an_array_of_commands)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	struct call c = { .m = &self->m, .make = make_invalidate };
	static struct cmd cmds[4096];
	__u32 per_page = page / sizeof(cmds[0]), i;

	for (i = 0; i < per_page; i++)
		cmds[i] = cmd_tlbi_va(i % 3, i * 4096ULL, true);
	c.cmds = (struct cmd *)self->missing;
	c.num = 2 * per_page;
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(0, c.num);
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing, cmds, page));
	c.num = 2 * per_page;
	EXPECT_EQ(0, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(per_page, c.num);
}

TEST_F(postcopy, signal_ends_a_wait_for_the_stream_table)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_set_regs };
	const size_t page = sysconf(_SC_PAGESIZE), at = VSID * 64 / page * page;
	char *table = guest_ptr(&m->g, m->strtab.base);
	struct smmuv3_accel_run_cmdq out;

	m->strtab.base = MISSING_GPA;
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing + at, table + at, page));
	EXPECT_EQ(0, make_set_regs(&c));
	EXPECT_EQ(0, machine_goes(m, 0));

	/* With CFGI_STE as well. The command before it is done */
	ASSERT_EQ(0, madvise(self->missing, self->size, MADV_DONTNEED));
	c.make = make_run;
	ring_put(&m->ring, cmd_tlbi_nh_all());
	ring_put(&m->ring, cmd_cfgi_ste(VSID, true));
	ring_put(&m->ring, cmd_sync());
	EXPECT_EQ(0, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(1, m->ring.cons);
	EXPECT_EQ(-EINTR, interrupted(&c, self->uffd, self->missing, self->size));
	EXPECT_EQ(1, m->ring.cons);
	ASSERT_EQ(0, uffd_give(self->uffd, (unsigned long)self->missing + at, table + at, page));
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	EXPECT_EQ(0, machine_goes(m, 0));
}

TEST_HARNESS_MAIN
