// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory is missing while the module reads it, as in a postcopy migration. A
 * signal ends the wait, and then the call can be repeated.
 *
 * With the filter the module also reads CDs, which takes two iommu-testdevs behind each
 * of two SMMUs.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "fanout.h"
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

static int call_start(struct call *c)
{
	atomic_store(&c->done, false);
	return -pthread_create(&c->thread, NULL, call_thread, c);
}

static int call_end(struct call *c)
{
	pthread_join(c->thread, NULL);
	return c->rc;
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
	if (call_start(c))
		return -EAGAIN;
	waited = uffd_waits(uffd, AT_ONCE_MS);
	began = now_ns();
	pthread_kill(c->thread, SIGUSR1);
	returned = call_returns(c, RETURN_MS);
	took = (now_ns() - began) / 1000;
	for (i = 0; !returned && i < size; i += page)
		uffd_give(uffd, (unsigned long)missing + i, NULL, page);
	call_end(c);
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

/* CDs that the filter reads */

/**
 * struct hold - A page that is held back. The module finds it in place of a page of guest
 * memory; the SMMU finds that page
 * @uffd: userfaultfd of the process that has the page
 * @size: its size
 * @page: its address
 * @gpa: guest physical address
 */
struct hold {
	int uffd;
	size_t size;
	char *page;
	__u64 gpa;
};

static int hold_open(struct hold *h)
{
	h->size = sysconf(_SC_PAGESIZE);
	h->uffd = uffd_open();
	if (h->uffd < 0)
		return h->uffd;
	h->page = mmap(NULL, h->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (h->page == MAP_FAILED)
		return -errno;
	return uffd_register(h->uffd, (unsigned long)h->page, h->size);
}

/* Hold back the page at @gpa, until hold_give() */
static int hold_back(struct machine *m, struct hold *h, __u64 gpa)
{
	const __u64 offset = gpa - GUEST_BASE, after = offset + h->size;
	const struct smmuv3_accel_mem_region regions[] = {
		{ GUEST_BASE, offset, (unsigned long)m->g.ram },
		{ gpa, h->size, (unsigned long)h->page },
		{ gpa + h->size, GUEST_SIZE - after, (unsigned long)m->g.ram + after },
	};

	h->gpa = gpa;
	return accel_mem_regions(&m->g, regions, ARRAY_LEN(regions));
}

/* Hold it back again, without telling the module */
static int hold_again(struct hold *h)
{
	return madvise(h->page, h->size, MADV_DONTNEED);
}

static int hold_give(struct machine *m, struct hold *h)
{
	return uffd_give(h->uffd, (unsigned long)h->page, guest_ptr(&m->g, h->gpa), h->size);
}

#define NEEDS	"userfaultfd, the filter, and two iommu-testdevs behind each of two SMMUs"

/* Both streams translate. The CD of stream 1 can be missing. -ENODEV: NEEDS is not there */
static int open_two(struct machine *m, struct hold *h, enum machine_stage stage)
{
	char parameters[128] = "";
	int rc;

	module_parameters(parameters, sizeof(parameters));
	if (strstr(parameters, "filter=N"))
		return -ENODEV;
	rc = hold_open(h);
	if (h->uffd < 0)
		return -ENODEV;
	rc = rc ?: fanout_open(m, stage, NO_GLOBAL, SPARE);
	rc = rc ?: use_stage1(m, 0) ?: cd_on_own_page(m);
	if (!rc && (machine_goes(m, 0) != 1 || machine_goes(m, 1) != 1))
		rc = -EBADE;
	return rc;
}

/*
 * The module knows that SMMU 1 uses @s1, and what else both use: a TLBI ends a stale
 * translation, and none goes where it is not needed
 */
#define EXPECT_KNOWN(m, s1, page)					\
	do {								\
		__u64 _seen = machine_stats(m).out_withheld;		\
									\
		MAKE_STALE(m, 1, s1, page);				\
		ASSERT_EQ(0, INVALIDATE(m, stage1_tlbi(s1)));		\
		EXPECT_EQ(page, goes(m, 1, s1)) TH_LOG("a stale translation is left"); \
		EXPECT_EQ(1, withheld(m, &_seen));			\
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));	\
		EXPECT_EQ(SMMUS, withheld(m, &_seen));			\
	} while (0)

/*
 * In a child: take the vSMMU over, and make a call that waits for the page at @gpa, which
 * the parent gets
 */
static int wait_there(struct call *c, __u64 gpa, int sock)
{
	const __u64 *cd = guest_ptr(&c->m->g, c->m->stream[1].s1.cd);
	struct hold h;

	if (accel_change_process(&c->m->g) || hold_open(&h) || hold_back(c->m, &h, gpa))
		return 1;
	/* A caller that is being killed does not get another page either */
	if (madvise((void *)cd, h.size, MADV_POPULATE_READ) || call_start(c))
		return 1;
	if (!uffd_waits(h.uffd, AT_ONCE_MS) || fds_send(sock, &h.uffd, 1, &h, sizeof(h), 0))
		return 2;
	call_end(c);
	return 3;
}

/*
 * A call by another process waits for the page at @gpa, and that process is killed. Returns
 * 0 if it ends at once
 */
static int kill_waiting(struct call *c, __u64 gpa)
{
	int socks[2], uffd, status, rc = 0;
	struct hold h;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks))
		return -errno;
	pid = fork();
	if (!pid) {
		close(socks[0]);
		_exit(wait_there(c, gpa, socks[1]));
	}
	close(socks[1]);
	if (pid < 0 || fds_receive(socks[0], &uffd, 1, &h, sizeof(h), MSG_WAITALL)) {
		close(socks[0]);
		return -EPIPE;
	}
	kill(pid, SIGKILL);
	status = child_status(pid, AT_ONCE_MS);
	if (status != 128 + SIGKILL)
		rc = -ETIMEDOUT;
	if (status < 0)
		uffd_give(uffd, (unsigned long)h.page, NULL, h.size);
	close(uffd);
	close(socks[0]);
	return rc ?: accel_change_process(&c->m->g) ?: accel_mem_table(&c->m->g);
}

/* Calls that read the CD of stream 1 */

/* Stream 1 bypasses stage 1 until the module gets, or reads, the next STE */
static int bypass_until(struct machine *m)
{
	int rc = machine_change_ste(m, 1, STE_CFG_BYPASS);

	if (m->stage == STAGE_RUNNING)
		machine_write_ste(m, 1, STE_CFG_S1);
	return rc;
}

static int put_cfgi_ste(struct machine *m)
{
	int rc = bypass_until(m);

	ring_put(&m->ring, cmd_cfgi_ste(m->stream[1].vsid, true));
	ring_put(&m->ring, cmd_sync());
	return rc;
}

static int put_cfgi_cd(struct machine *m)
{
	ring_put(&m->ring, cmd_cfgi_cd(m->stream[1].vsid, 0, true));
	ring_put(&m->ring, cmd_sync());
	return 0;
}

static int put_cfgi_cd_all(struct machine *m)
{
	ring_put(&m->ring, cmd_cfgi_cd_all(m->stream[1].vsid));
	ring_put(&m->ring, cmd_sync());
	return 0;
}

static int disable(struct machine *m)
{
	int rc;

	m->cr0 &= ~CR0_SMMUEN;
	rc = machine_set_regs(m);
	m->cr0 |= CR0_SMMUEN;
	return rc;
}

static int detach(struct machine *m)
{
	return machine_detach(m, 1);
}

static int nothing_before(struct machine *m)
{
	return 0;
}

static int make_vsids(struct call *c)
{
	const __u32 vsid = c->m->stream[1].vsid;
	const struct smmuv3_accel_vsid entry = { vsid, vsid };
	struct smmuv3_accel_set_vsids out;
	int rc = accel_set_vsids(&c->m->g, &entry, 1, &out);

	return rc == -EBUSY && out.out_reason != SMMUV3_ACCEL_REASON_RETRY ? -EPROTO : rc;
}

static int make_attach(struct call *c)
{
	return machine_attach(c->m, 1);
}

static int make_install(struct call *c)
{
	return machine_install(c->m, 1, STE_CFG_S1);
}

static int make_array(struct call *c)
{
	const struct cmd cmds[] = { cmd_cfgi_cd(c->m->stream[1].vsid, 0, true), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	int rc = accel_invalidate(&c->m->g, cmds, ARRAY_LEN(cmds), &out);

	return rc == -EINTR && out.cmd_num ? -EPROTO : rc;
}

/*
 * @n: what the CD of stream 1 leads to. The module has not read it yet
 */
FIXTURE(cd)
{
	struct machine m;
	struct hold hold;
	struct stage1 n;
};

/*
 * @prepare: what happens before the page is missing
 * @make: the call
 * @rc: what it returns for a signal
 * @until: where DMA of stream 1 goes until the call succeeds
 */
FIXTURE_VARIANT(cd)
{
	enum machine_stage stage;
	int (*prepare)(struct machine *m);
	int (*make)(struct call *c);
	int rc;
	int until;
};

FIXTURE_VARIANT_ADD(cd, cfgi_ste) {
	STAGE_RUNNING, put_cfgi_ste, make_run, -EINTR, 0
};

FIXTURE_VARIANT_ADD(cd, cfgi_cd) {
	STAGE_RUNNING, put_cfgi_cd, make_run, -EINTR, 1
};

FIXTURE_VARIANT_ADD(cd, cfgi_cd_all) {
	STAGE_RUNNING, put_cfgi_cd_all, make_run, -EINTR, 1
};

FIXTURE_VARIANT_ADD(cd, set_regs) {
	STAGE_RUNNING, disable, make_set_regs, -EINTR, 0
};

FIXTURE_VARIANT_ADD(cd, attach) {
	STAGE_RUNNING, detach, make_attach, -EINTR, -EFAULT
};

/* The device is blocked by then, which EINTR would not say */
FIXTURE_VARIANT_ADD(cd, set_vsids) {
	STAGE_RUNNING, bypass_until, make_vsids, -EBUSY, -EFAULT
};

FIXTURE_VARIANT_ADD(cd, install_ste) {
	STAGE_EXPLICIT, bypass_until, make_install, -EINTR, 0
};

FIXTURE_VARIANT_ADD(cd, invalidate) {
	STAGE_EXPLICIT, nothing_before, make_array, -EINTR, 1
};

FIXTURE_SETUP(cd)
{
	struct machine *m = &self->m;
	int rc;

	rc = open_two(m, &self->hold, variant->stage);
	if (rc == -ENODEV)
		SKIP(return, "wants " NEEDS);
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, other_table(m, &self->n, &m->stream[1].s1, NEW_ASID, 3));
	ASSERT_EQ(0, variant->prepare(m));
	store_cd(m, 1, &self->n);
}

/* Close the userfaultfd first, which wakes up its waiters */
FIXTURE_TEARDOWN(cd)
{
	close(self->hold.uffd);
	machine_close(&self->m);
}

TEST_F(cd, signal_ends_a_wait)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = variant->make };
	struct hold *h = &self->hold;
	const __u32 cons = m->ring.cons;
	int i;

	ASSERT_EQ(0, hold_back(m, h, m->stream[1].s1.cd));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(variant->rc, interrupted(&c, h->uffd, h->page, h->size));
		EXPECT_EQ(cons, m->ring.cons);
		EXPECT_EQ(variant->until, goes(m, 1, &self->n));
		EXPECT_EQ(variant->until, machine_goes(m, 1));
	}
	ASSERT_EQ(0, hold_give(m, h));
	ASSERT_EQ(0, c.make(&c));
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	EXPECT_EQ(3, goes(m, 1, &self->n));
	EXPECT_KNOWN(m, &self->n, 2);
}

TEST_F(cd, kill_ends_a_wait)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = variant->make };

	ASSERT_EQ(0, kill_waiting(&c, m->stream[1].s1.cd));
	EXPECT_EQ(variant->until, goes(m, 1, &self->n));
	ASSERT_EQ(0, c.make(&c));
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	EXPECT_EQ(3, goes(m, 1, &self->n));
	EXPECT_KNOWN(m, &self->n, 2);
}

/* Two entries of one call: stream 0 bypasses, stream 1 translates */
static int make_install_two(struct call *c)
{
	struct smmuv3_accel_ste entries[2] = {};
	struct smmuv3_accel_install_ste arg = {
		.size = sizeof(arg),
		.entry_num = ARRAY_LEN(entries),
		.entry_len = sizeof(entries[0]),
		.entries_uptr = (__u64)(unsigned long)entries,
	};
	__u64 ste[8];
	int i, rc;

	ste_config(ste, STE_CFG_BYPASS);
	entries[0].vsid = c->m->stream[0].vsid;
	entries[1].vsid = c->m->stream[1].vsid;
	for (i = 0; i < 8; i++) {
		entries[0].ste[i] = htole64(ste[i]);
		entries[1].ste[i] = htole64(c->m->stream[1].s1.ste[i]);
	}
	rc = accel_ioctl(c->m->g.accel, SMMUV3_ACCEL_INSTALL_STE, &arg);
	c->num = arg.entry_num;
	return rc;
}

TEST(signal_after_an_ste_is_no_error)
{
	struct machine m;
	struct call c = { .m = &m, .make = make_install_two };
	struct hold h;
	int rc;

	rc = open_two(&m, &h, STAGE_EXPLICIT);
	if (rc == -ENODEV)
		SKIP(return, "wants " NEEDS);
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, bypass_until(&m));
	ASSERT_EQ(0, hold_back(&m, &h, m.stream[1].s1.cd));
	EXPECT_EQ(0, interrupted(&c, h.uffd, h.page, h.size));
	EXPECT_EQ(1, c.num);
	EXPECT_EQ(0, machine_goes(&m, 0));
	EXPECT_EQ(0, machine_goes(&m, 1));
	ASSERT_EQ(0, hold_give(&m, &h));
	EXPECT_EQ(0, make_install_two(&c));
	EXPECT_EQ(2, c.num);
	EXPECT_EQ(1, machine_goes(&m, 1));
	machine_close(&m);
	close(h.uffd);
}

/* The number of a device among the iommu-testdevs */
static int testdev_number(const struct dma_dev *dev)
{
	char bdf[16];
	int i;

	for (i = 0; !dma_find(DMA_TESTDEV, i, bdf); i++)
		if (!strcmp(bdf, dev->bdf))
			return i;
	return -ENODEV;
}

/* What other processes do: a VMM behind each of the two SMMUs, and the administrator's tool */
static int others_work(struct machine *m)
{
	char path[64], line[128] = "";
	struct neighbour n;
	FILE *f;
	int i;

	for (i = SMMUS; i < 2 * SMMUS; i++) {
		if (neighbour_open(&n, testdev_number(&m->stream[i].dev)) || neighbour_turn(&n))
			return 1;
		debugfs_path(n.m.g.accel, path);
		f = fopen(path, "re");
		if (!f || !fgets(line, sizeof(line), f) || fclose(f))
			return 2;
		neighbour_close(&n);
	}
	/* The tool reads the counters here */
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", getppid(), m->g.accel);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "vsmmu-withheld:", 15))
			return fclose(f);
	return 3;
}

/* The vSMMU's own file in debugfs waits, until a signal comes */
static int read_debugfs(struct machine *m)
{
	char path[64], c;
	int fd;

	debugfs_path(m->g.accel, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? 1 : read(fd, &c, 1) != 1;
}

FIXTURE(queue)
{
	struct machine m;
	struct hold hold;
};

FIXTURE_SETUP(queue)
{
	int rc = open_two(&self->m, &self->hold, STAGE_RUNNING);

	if (rc == -ENODEV)
		SKIP(return, "wants " NEEDS);
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(queue)
{
	close(self->hold.uffd);
	machine_close(&self->m);
}

TEST_F(queue, nobody_else_waits_for_a_cd)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_run };
	struct hold *h = &self->hold;
	pid_t pid;

	dma_close(&m->stream[2].dev);
	dma_close(&m->stream[3].dev);
	ASSERT_EQ(0, put_cfgi_ste(m));
	ASSERT_EQ(0, hold_back(m, h, m->stream[1].s1.cd));
	ASSERT_EQ(0, call_start(&c));
	EXPECT_TRUE(uffd_waits(h->uffd, AT_ONCE_MS));
	pid = fork();
	if (!pid)
		_exit(others_work(m));
	EXPECT_EQ(0, child_status(pid, 4 * AT_ONCE_MS));
	pid = fork();
	if (!pid)
		_exit(read_debugfs(m));
	EXPECT_EQ(-1, child_status(pid, 100));
	kill(pid, SIGTERM);
	EXPECT_EQ(128 + SIGTERM, child_status(pid, AT_ONCE_MS));

	EXPECT_FALSE(atomic_load(&c.done));
	ASSERT_EQ(0, hold_give(m, h));
	EXPECT_EQ(0, call_end(&c));
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	EXPECT_EQ(1, machine_goes(m, 1));
	EXPECT_EQ(0, in_child(m, read_debugfs));
}

/* A TLBI and a CMD_SYNC. @fast: alone, which takes the fast path */
static void put_tlbi(struct machine *m, const struct stage1 *s1, bool fast)
{
	const struct cmd prefetch = { { 0x01 } };

	if (!fast)
		ring_put(&m->ring, prefetch);
	ring_put(&m->ring, stage1_tlbi(s1));
	ring_put(&m->ring, cmd_sync());
}

/* An ASID that the module has not seen, because the page of the CD is missing */
static int store_new(struct machine *m, struct stage1 *n, unsigned int asid)
{
	int rc = other_table(m, n, &m->stream[1].s1, asid, 3);

	store_cd(m, 1, n);
	return rc ?: evict(m, 1);
}

/*
 * The fast path sends the TLBI and does not wait. The next TLBI is sent, too, and fetches
 * the page. Then TLBIs are withheld as before.
 */
TEST_F(queue, fast_path_does_not_wait_for_a_cd)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_run };
	struct smmuv3_accel_stats before, now;
	struct hold *h = &self->hold;
	struct stage1 n;
	int round;

	ASSERT_EQ(0, hold_back(m, h, m->stream[1].s1.cd));
	for (round = 0; round < 4; round++) {
		/* From the second round on, the module knows the address of the CD */
		ASSERT_EQ(0, hold_again(h));
		ASSERT_EQ(0, store_new(m, &n, NEW_ASID + 2 + round));
		MAKE_STALE(m, 1, &n, 2);
		before = machine_stats(m);
		put_tlbi(m, &n, true);
		ASSERT_EQ(0, call_start(&c));
		EXPECT_TRUE(call_returns(&c, AT_ONCE_MS));
		EXPECT_FALSE(uffd_waits(h->uffd, 0)) TH_LOG("it waits");
		if (!atomic_load(&c.done))
			hold_give(m, h);
		EXPECT_EQ(0, call_end(&c));
		EXPECT_EQ(m->ring.prod, m->ring.cons);
		EXPECT_EQ(2, goes(m, 1, &n)) TH_LOG("a stale translation is left");
		/* In every second round, another call comes between the two */
		if (round % 2)
			EXPECT_EQ(1, machine_stats(m).out_host_calls - before.out_host_calls);

		MAKE_STALE(m, 1, &n, 4);
		put_tlbi(m, &n, true);
		ASSERT_EQ(0, call_start(&c));
		EXPECT_TRUE(uffd_waits(h->uffd, AT_ONCE_MS)) TH_LOG("it is not fetched");
		EXPECT_EQ(4, goes(m, 1, &n)) TH_LOG("a stale translation is left");
		EXPECT_FALSE(atomic_load(&c.done));
		EXPECT_EQ(0, hold_give(m, h));
		EXPECT_EQ(0, call_end(&c));
		EXPECT_EQ(m->ring.prod, m->ring.cons);
		now = machine_stats(m);
		EXPECT_EQ(2, now.out_host_calls - before.out_host_calls);
		EXPECT_EQ(2, now.out_withheld - before.out_withheld);

		/* This finds the new ASID, and the next one, by the general route, flushes it */
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_va(NO_ASID, NOWHERE, true)));
		EXPECT_EQ(2, machine_stats(m).out_host_calls - before.out_host_calls);
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
		EXPECT_EQ(3, machine_stats(m).out_host_calls - before.out_host_calls);
		EXPECT_KNOWN(m, &n, 3);
	}
}

TEST_F(queue, signal_ends_the_fetch_of_a_cd)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_run };
	struct hold *h = &self->hold;
	struct stage1 n;
	int i;

	ASSERT_EQ(0, hold_back(m, h, m->stream[1].s1.cd));
	ASSERT_EQ(0, store_new(m, &n, NEW_ASID));
	for (i = 0; i < 2; i++) {
		MAKE_STALE(m, 1, &n, i ? 4 : 2);
		put_tlbi(m, &n, false);
		/* The TLBI is done, so this is no EINTR */
		EXPECT_EQ(0, interrupted(&c, h->uffd, h->page, h->size));
		EXPECT_EQ(m->ring.prod, m->ring.cons);
		EXPECT_EQ(i ? 4 : 2, goes(m, 1, &n)) TH_LOG("a stale translation is left");
	}
	ASSERT_EQ(0, hold_give(m, h));
	EXPECT_KNOWN(m, &n, 3);
}

TEST_F(queue, kill_ends_the_fetch_of_a_cd)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_run };
	struct stage1 n;

	ASSERT_EQ(0, store_new(m, &n, NEW_ASID));
	MAKE_STALE(m, 1, &n, 2);
	put_tlbi(m, &n, false);
	ASSERT_EQ(0, kill_waiting(&c, m->stream[1].s1.cd));
	EXPECT_EQ(2, goes(m, 1, &n)) TH_LOG("a stale translation is left");
	ASSERT_EQ(0, make_run(&c));
	EXPECT_EQ(m->ring.prod, m->ring.cons);
	EXPECT_KNOWN(m, &n, 3);
}

static int make_abort(struct call *c)
{
	return machine_change_ste(c->m, 1, STE_CFG_ABORT);
}

static int make_detach(struct call *c)
{
	return machine_detach(c->m, 1);
}

static int make_reset(struct call *c)
{
	return accel_reset(&c->m->g);
}

/* A stream leaves its CD, which may have any ASID then. This must not wait */
TEST_F(queue, abort_detach_and_reset_do_not_wait_for_a_cd)
{
	static int (*const make[])(struct call *c) = { make_abort, make_detach, make_reset };
	struct machine *m = &self->m;
	struct hold *h = &self->hold;
	__u64 seen = 0;
	unsigned int i;

	/* SMMU 1 keeps a stream, so it is not flushed as a whole */
	machine_write_ste(m, 3, STE_CFG_S1);
	ASSERT_EQ(0, machine_attach(m, 3));
	ASSERT_EQ(0, hold_back(m, h, m->stream[1].s1.cd));
	for (i = 0; i < ARRAY_LEN(make); i++) {
		struct call c = { .m = m, .make = make[i] };

		ASSERT_EQ(0, hold_again(h));
		ASSERT_EQ(0, call_start(&c));
		EXPECT_TRUE(call_returns(&c, AT_ONCE_MS));
		EXPECT_FALSE(uffd_waits(h->uffd, 0));
		if (!atomic_load(&c.done))
			hold_give(m, h);
		EXPECT_EQ(0, call_end(&c));
		EXPECT_EQ(-EFAULT, machine_goes(m, 1));
		if (make[i] == make_reset)
			break;

		withheld(m, &seen);
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
		EXPECT_EQ(1, withheld(m, &seen));
		/* Forget that */
		if (make[i] == make_abort)
			ASSERT_EQ(0, machine_detach(m, 1));
		ASSERT_EQ(0, machine_detach(m, 3));
		hold_give(m, h);
		machine_write_ste(m, 1, STE_CFG_S1);
		ASSERT_EQ(0, machine_attach(m, 1));
		ASSERT_EQ(0, machine_attach(m, 3));
		EXPECT_EQ(1, machine_goes(m, 1));
		ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
		EXPECT_EQ(SMMUS, withheld(m, &seen));
	}
}

/* New ASIDs that a call had seen before it ended are flushed later */

/* The CD of stream 3, behind SMMU 1 as well, can be missing */
static int attach_third(struct machine *m)
{
	struct stage1 *s1 = &m->stream[3].s1;

	s1->cd = guest_alloc(&m->g, sysconf(_SC_PAGESIZE));
	if (!s1->cd)
		return -ENOMEM;
	store_cd(m, 3, s1);
	ste_s1(s1->ste, s1->cd);
	machine_write_ste(m, 3, STE_CFG_S1);
	return machine_attach(m, 3);
}

/* SMMU 1 has no stream for a moment, and is flushed. So the module forgets its ASIDs */
static int forget_asids(struct machine *m)
{
	machine_detach(m, 3);
	store_cd(m, 1, &m->stream[1].s1);
	return machine_detach(m, 1) ?: machine_attach(m, 1);
}

static int put_two_cfgi_cd(struct machine *m)
{
	ring_put(&m->ring, cmd_cfgi_cd(m->stream[1].vsid, 0, true));
	ring_put(&m->ring, cmd_cfgi_cd(m->stream[3].vsid, 0, true));
	ring_put(&m->ring, cmd_sync());
	return 0;
}

static int put_cfgi_all(struct machine *m)
{
	ring_put(&m->ring, cmd_cfgi_all());
	ring_put(&m->ring, cmd_sync());
	return 0;
}

/* Each call reads the CD of stream 1, and then waits for that of stream 3 */
TEST_F(queue, an_asid_is_flushed_after_a_signal)
{
	static const struct {
		int (*prepare)(struct machine *m);
		int (*make)(struct call *c);
	} ways[] = {
		{ put_two_cfgi_cd, make_run },
		{ put_cfgi_all, make_run },
		{ disable, make_set_regs },
	};
	struct machine *m = &self->m;
	struct hold *h = &self->hold;
	struct stage1 hidden;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(ways); i++) {
		struct call c = { .m = m, .make = ways[i].make };

		ASSERT_EQ(0, attach_third(m));
		ASSERT_EQ(0, hide_asid(m, &hidden));
		ASSERT_EQ(0, INVALIDATE(m, stage1_tlbi(&hidden)));
		ASSERT_EQ(0, ways[i].prepare(m));
		store_cd(m, 1, &hidden);
		ASSERT_EQ(0, hold_again(h));
		ASSERT_EQ(0, hold_back(m, h, m->stream[3].s1.cd));
		EXPECT_EQ(-EINTR, interrupted(&c, h->uffd, h->page, h->size));
		if (ways[i].make == make_run) {
			ASSERT_EQ(0, evict(m, 1));
			ASSERT_EQ(3, goes(m, 1, &hidden)) TH_LOG("no stale translation, %u", i);
		}
		ASSERT_EQ(0, hold_give(m, h));
		ASSERT_EQ(0, c.make(&c));
		EXPECT_EQ(m->ring.prod, m->ring.cons);
		EXPECT_EQ(2, goes(m, 1, &hidden)) TH_LOG("a stale translation is left, %u", i);
		EXPECT_KNOWN(m, &hidden, 4);
		ASSERT_EQ(0, accel_mem_table(&m->g));
		ASSERT_EQ(0, forget_asids(m));
	}
}

/* The queue's first page ends with a CFGI_CD. The caller is killed while the next is missing */
static int kill_in_queue(struct machine *m, struct hold *h)
{
	struct call c = { .m = m, .make = make_run };

	machine_ring_at(m, h->size / sizeof(struct cmd) - 1);
	put_cfgi_cd(m);
	return kill_waiting(&c, m->ring.base + h->size);
}

/*
 * A caller that is being killed does not flush: the SMMU may not answer for a second. The
 * next process flushes before its CFGI_CD or TLBI is done, or a device is attached.
 */
TEST_F(queue, an_asid_is_flushed_after_a_kill)
{
	struct machine *m = &self->m;
	struct call c = { .m = m, .make = make_run };
	struct stage1 hidden;
	__u64 calls;
	int way;

	ASSERT_EQ(0, ring_init(&m->ring, &m->g, 13));
	ASSERT_EQ(0, machine_set_regs(m));
	machine_write_ste(m, 3, STE_CFG_S1);
	for (way = 0; way < 3; way++) {
		ASSERT_EQ(0, hide_asid(m, &hidden));
		ASSERT_EQ(0, INVALIDATE(m, stage1_tlbi(&hidden)));
		store_cd(m, 1, &hidden);
		calls = machine_stats(m).out_host_calls;
		ASSERT_EQ(0, kill_in_queue(m, &self->hold));
		EXPECT_EQ(1, machine_stats(m).out_host_calls - calls);
		ASSERT_EQ(3, goes(m, 1, &hidden)) TH_LOG("no stale translation");
		if (!way) {
			ASSERT_EQ(0, make_run(&c));
		} else if (way == 1) {
			ASSERT_EQ(0, machine_attach(m, 3));
		} else {
			machine_ring_at(m, 0);
			ASSERT_EQ(0, INVALIDATE(m, cmd_tlbi_asid(NO_ASID)));
		}
		EXPECT_EQ(2, goes(m, 1, &hidden)) TH_LOG("a stale translation is left, %d", way);
		machine_ring_at(m, 0);
		EXPECT_KNOWN(m, &hidden, 4);

		ASSERT_EQ(0, forget_asids(m));
	}
}

TEST_HARNESS_MAIN
