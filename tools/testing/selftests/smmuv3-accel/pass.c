// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile processes pass accel files, iommufds and VFIO devices to each other by fork(),
 * exec() and SCM_RIGHTS, use and close what they have, and are killed at random. No process
 * gets stuck, no device does DMA after its accel file is closed, the accel file alone gives
 * no authority, and a well-behaved VMM beside them does not notice.
 *
 * SMMUV3_ACCEL_ROUNDS: each tenth of them kills a process
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness.h"
#include "pass.h"
#include "stress.h"

#define DEFAULT_ROUNDS	3000
#define DEFAULT_SEED	0x5eed
#define BOUND_NS	10000000000ULL	/* a process that takes longer is stuck */
#define PLAYERS		4	/* as many are started; fork() makes more */
#define LIFE		160	/* the most actions between two kills */
#define IDLE_NS		50000000ULL	/* without an action: they wait for each other */
#define SETTLE		25	/* after so many kills, end and check all */
#define CANARY		0xc0c0c0c0U

static __u64 seed;
static __u64 rounds;
static bool meddle;

static int share(struct guest *g)
{
	int fd = memfd_create("arena", 0), i, rc;

	if (fd < 0 || ftruncate(fd, sizeof(*arena)))
		return -errno;
	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (arena == MAP_FAILED)
		return -errno;
	arena->fd = fd;
	arena->seed = seed;
	arena->rounds = rounds;
	arena->meddle = meddle;
	p.random = seed;
	arena->ram_fd = memfd_create("ram", 0);
	if (arena->ram_fd < 0 || ftruncate(arena->ram_fd, GUEST_SIZE))
		return -errno;
	for (i = 0; i < BOXES; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, arena->box[i]))
			return -errno;
	rc = guest_open_memfd(g, arena->ram_fd);
	for (i = 0; i < DEVICES && !rc; i++)
		rc = dma_find(DMA_TESTDEV, FIRST_DEVICE + i, arena->bdf[i]);
	return rc;
}

static int lay_out(struct guest *g)
{
	struct pgtable pt;
	unsigned int i;
	__u64 ste[8];
	int rc;

	rc = strtab_init(&arena->strtab, g, STRTAB_LOG2SIZE, 0);
	if (!rc)
		rc = ring_init(&arena->ring, g, RING_LOG2SIZE);
	if (rc)
		return rc;
	arena->page = guest_alloc(g, 4096);
	pgtable_init(&pt, g, GRANULE_4K);
	pgtable_map(&pt, IOVA, arena->page, PTE_NOT_GLOBAL);
	arena->cd = cd_new(g, &pt, ASID);
	ste_s1(ste, arena->cd);
	for (i = 0; i < VSIDS; i++)
		strtab_write(&arena->strtab, FIRST_VSID + i, ste);
	for (i = 0; i < 1U << RING_LOG2SIZE; i += 4) {
		*ring_slot(&arena->ring, i) = cmd_tlbi_va(ASID, IOVA, true);
		*ring_slot(&arena->ring, i + 1) = cmd_cfgi_ste(FIRST_VSID + i / 4 % VSIDS, true);
		*ring_slot(&arena->ring, i + 2) = i % 16 ? cmd_tlbi_asid(ASID) : cmd_cfgi_all();
		*ring_slot(&arena->ring, i + 3) = cmd_sync();
	}
	arena->canaries_len = 4ULL << 20;
	arena->canaries = guest_alloc(g, arena->canaries_len);
	if (!arena->canaries)
		return -ENOMEM;
	memset(guest_ptr(g, arena->canaries), CANARY & 0xff, arena->canaries_len);
	return 0;
}

static void check_canaries(struct guest *g)
{
	const __u32 *word = guest_ptr(g, arena->canaries);
	__u64 i;

	for (i = 0; i < arena->canaries_len / 4; i++)
		if (word[i] != CANARY)
			wrong("DMA reached %#llx, which no table maps", arena->canaries + 4 * i);
}

static void show(const char *file, pid_t pid)
{
	char path[64], text[2048];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	dprintf(STDERR_FILENO, "# %s: %s\n", path, text);
}

/* Frees the slot of a player that has ended */
static void player_ended(pid_t pid, int status)
{
	unsigned int i;

	/* SIGBUS: a reset, or the unbinding, of the device took its registers away */
	if (status && !(WIFSIGNALED(status) &&
			(WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS)))
		wrong("a player ended with status %#x", status);
	for (i = 0; i < SLOTS; i++) {
		if (arena->slot[i].pid == pid) {
			arena->slot[i].pid = 0;
			atomic_store(&arena->slot[i].taken, false);
		}
	}
}

/* Wait for a child that must end soon. Returns its status, or -1 */
static int reap(pid_t pid, const char *what)
{
	__u64 began = now_ns();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ns() - began > BOUND_NS) {
			wrong("%s: does not end", what);
			show("stack", pid);
			show("wchan", pid);
			atomic_store(&arena->stuck, true);
			return -1;
		}
		breathe();
	}
	return status;
}

static void start_player(struct guest *g)
{
	struct slot *slot = free_slot();
	pid_t pid;

	if (!slot)
		return;
	random_next(&p.random);
	pid = fork();
	if (pid < 0) {
		wrong("fork: errno %d", errno);
		atomic_store(&slot->taken, false);
	}
	if (pid > 0)
		slot->pid = pid;
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(g->iommufd);
	p.slot = slot;
	play();
}

static void kill_one(void)
{
	unsigned int i, at = rolled(SLOTS);
	pid_t pid = 0;

	for (i = 0; i < SLOTS && !pid; i++)
		pid = arena->slot[(at + i) % SLOTS].pid;
	if (!pid)
		return;
	if (one_in(16)) {
		/* It keeps its descriptors, and does nothing any more */
		kill(pid, SIGSTOP);
		return;
	}
	kill(pid, SIGKILL);
	i = reap(pid, "a player that was killed");
	if ((int)i != -1)
		player_ended(pid, i);
	tally(KILLS);
}

/* Let the players act for a while, and start new ones for those that ended */
static void wait_and_start(struct guest *g)
{
	unsigned int now = atomic_load(&arena->actions), until = now + rolled(LIFE), last;
	__u64 began = now_ns();
	unsigned int i, num = 0;
	int status;
	pid_t pid;

	while ((int)(until - now) > 0 && now_ns() - began < IDLE_NS) {
		breathe();
		last = now;
		now = atomic_load(&arena->actions);
		if (now != last)
			began = now_ns();
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		player_ended(pid, status);
	for (i = 0; i < SLOTS; i++)
		num += !!arena->slot[i].pid;
	for (; num < PLAYERS; num++)
		start_player(g);
}

/* Kill all players, also those that are being forked */
static void kill_all(void)
{
	__u64 began = now_ns();
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) >= 0) {
		if (pid) {
			player_ended(pid, status);
			continue;
		}
		for (i = 0; i < SLOTS; i++)
			if (arena->slot[i].pid)
				kill(arena->slot[i].pid, SIGKILL);
		if (now_ns() - began > BOUND_NS) {
			for (i = 0; i < SLOTS; i++)
				if (arena->slot[i].pid)
					reap(arena->slot[i].pid, "one of all that were killed");
			return;
		}
		breathe();
	}
	for (i = 0; i < SLOTS; i++) {
		arena->slot[i].pid = 0;
		atomic_store(&arena->slot[i].taken, false);
	}
}

/*
 * The remaining descriptors are in the boxes. Once all accel files are closed, DMA of a
 * device that is still open is blocked.
 */
static void check_held(void)
{
	struct tag tag;
	int box, fd;
	unsigned int i;

	for (box = 0; box < BOXES; box++) {
		while ((fd = take_from(box, &tag)) >= 0) {
			if (tag.kind == ACCEL)
				close(fd);
			else
				add_item(fd, tag);
		}
	}
	for (i = 0; i < p.num && !arena->meddle; i++) {
		struct dma_dev *dev = &p.items[i].dev;

		if (p.items[i].tag.kind != CDEV || dma_start(dev))
			continue;
		if (testdev_write(dev, IOVA) != -EFAULT ||
		    testdev_write(dev, arena->page) != -EFAULT)
			wrong("device %u: goes on after the accel file was closed",
			      p.items[i].tag.dev);
		tally(HELD);
	}
	while (p.num)
		drop_item(&p.items[0]);
}

/* With all descriptors closed, a device is free and blocked, and works for a new VMM */
static void check_free(struct guest *g, unsigned int i)
{
	struct dma_dev dev = { .kind = DMA_TESTDEV, .fd = -1 };
	__u64 began = now_ns(), ste[8];
	int rc;

	while ((rc = dma_open(&dev, g->iommufd, DMA_TESTDEV, FIRST_DEVICE + i))) {
		if (now_ns() - began > BOUND_NS) {
			wrong("device %u: not free: %d", i, rc);
			atomic_store(&arena->stuck, true);
			return;
		}
		breathe();
	}
	if (testdev_write(&dev, arena->page) != -EFAULT)
		wrong("device %u: not blocked when it is bound", i);
	rc = guest_create(g);
	if (!rc)
		rc = accel_attach(g, dev.fd, FIRST_VSID, NULL);
	ste_config(ste, STE_CFG_BYPASS);
	if (!rc)
		rc = accel_install(g, FIRST_VSID, ste, NULL);
	if (!rc)
		rc = testdev_write(&dev, arena->page);
	if (rc)
		wrong("device %u: does not work for the next VMM: %d", i, rc);
	guest_close_accel(g);
	if (testdev_write(&dev, arena->page) != -EFAULT)
		wrong("device %u: not blocked when the file is closed", i);
	dma_close(&dev);
}

/* The host takes a device from vfio-pci and gives it back */
static void cycle(const char *bdf)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (sysfs_write("/sys/bus/pci/drivers/vfio-pci/unbind", bdf))
			_exit(1);
		_exit(sysfs_write("/sys/bus/pci/drivers_probe", bdf) ? 2 : 0);
	}
	status = reap(pid, "the host's unbinding of a device");
	if (status > 0)
		wrong("%s: cannot be unbound and bound again: status %#x", bdf, status);
	tally(CYCLES);
}

static void settle(struct guest *g)
{
	unsigned int i;

	kill_all();
	if (arena->stuck)
		return;
	check_held();
	i = rolled(DEVICES);
	if (one_in(4))
		cycle(arena->bdf[i]);
	for (i = 0; i < DEVICES && !arena->stuck; i++)
		check_free(g, i);
	check_canaries(g);
}

static void report(void)
{
	unsigned int i;

	fprintf(stderr, "# %u actions", arena->actions);
	for (i = 0; i < COUNTS; i++)
		if (count_names[i])
			fprintf(stderr, ", %u %s", arena->count[i], count_names[i]);
	fprintf(stderr, "\n");
}

/* Each kind of action happened, unless there were only a few rounds */
static void check_coverage(void)
{
	static const unsigned int wanted[] = {
		_IOC_NR(SMMUV3_ACCEL_ATTACH), _IOC_NR(SMMUV3_ACCEL_DETACH),
		_IOC_NR(SMMUV3_ACCEL_INSTALL_STE), _IOC_NR(SMMUV3_ACCEL_RUN_CMDQ),
		DMAS, RECEIVED, FORKS, EXECS, TAKEOVERS, FAULTS, KILLS, CYCLES,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(wanted) && arena->rounds >= DEFAULT_ROUNDS; i++)
		if (!arena->count[wanted[i]])
			wrong("this never happened: %s", count_names[wanted[i]]);
}

static int hostile(void)
{
	struct guest g;
	__u64 i;
	int rc;

	rc = share(&g);
	if (!rc)
		rc = lay_out(&g);
	if (rc) {
		fprintf(stderr, "# set-up: %d\n", rc);
		return 1;
	}
	for (i = 0; i < rounds / 10 && !arena->stuck; i++) {
		wait_and_start(&g);
		kill_one();
		if (i % SETTLE == SETTLE - 1)
			settle(&g);
	}
	settle(&g);
	for (i = 0; i < DEVICES && !arena->stuck; i++)
		cycle(arena->bdf[i]);
	report();
	if (!arena->stuck)
		check_coverage();
	return !!arena->failures;
}

/* A well-behaved VMM, which must not notice the players */

FIXTURE(pass)
{
	struct neighbour n;
};

FIXTURE_VARIANT(pass)
{
	bool meddle;
};

FIXTURE_VARIANT_ADD(pass, descriptors) {};
FIXTURE_VARIANT_ADD(pass, descriptors_and_meddling) { .meddle = true };

FIXTURE_SETUP(pass)
{
	char bdf[16];

	if (dma_find(DMA_TESTDEV, FIRST_DEVICE + DEVICES - 1, bdf))
		SKIP(return, "wants %u iommu-testdevs", FIRST_DEVICE + DEVICES);
	seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	rounds = env_number("SMMUV3_ACCEL_ROUNDS", DEFAULT_ROUNDS);
	meddle = variant->meddle;
}

FIXTURE_TEARDOWN(pass)
{
}

static int all_work(void)
{
	int i, rc = 0;

	for (i = 0; !rc && i < FIRST_DEVICE + DEVICES; i++)
		rc = neighbour_works(i);
	return rc;
}

TEST_F_TIMEOUT(pass, harms_nobody, 7200)
{
	char parameters[128];

	EXPECT_EQ(0, neighbour_beside(&self->n, hostile));
	EXPECT_LT(10, self->n.turns);
	EXPECT_GT(BOUND_NS, self->n.longest);
	EXPECT_EQ(0, all_work());

	if (module_parameters(parameters, sizeof(parameters)) || access(MODULE, R_OK))
		return;
	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load(parameters));
	EXPECT_EQ(0, all_work());
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--player"))
		return player(atoi(argv[2]), atoi(argv[3]));
	return test_harness_run(argc, argv);
}
