// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel memory that virtual SMMUs are charged for: a process in a memory cgroup of its
 * own makes them and looks at the count of that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "bench.h"

#define CGROUPS		"/sys/fs/cgroup"
#define VSMMUS		64

/* What the process in the cgroup finds: bytes, or why there are none */
static struct results {
	double vsmmu;		/* for each vSMMU without a device */
	double device;		/* for each with one */
	double laps;
	char skipped[160];
} *results;

/* End that process. */
PRINTF(1, 2) static void give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(results->skipped, sizeof(results->skipped), format, args);
	va_end(args);
	_exit(0);
}

/* Kernel memory that the cgroup is charged for */
static double charged(const char *cgroup)
{
	/* The kernel adds up what its CPUs have counted every two seconds. */
	const struct timespec wait = { .tv_sec = 2, .tv_nsec = 500000000 };
	unsigned long long bytes;
	const char *line;
	ssize_t len;
	char *text;

	nanosleep(&wait, NULL);
	text = root_read_all(&len, "%s/memory.stat", cgroup);
	if (!text)
		give_up("cannot read %s/memory.stat: %s", cgroup, strerror(-len));
	line = strstr(text, "\nkernel ");
	if (!line || sscanf(line, "\nkernel %llu", &bytes) != 1)
		give_up("memory.stat of the cgroup lacks kernel memory");
	free(text);
	return bytes;
}

/* Enter the cgroup. Stay on one CPU, because each CPU keeps memory in store. */
static void enter_cgroup(const char *cgroup)
{
	char path[128];
	cpu_set_t cpus;
	int cpu = sched_getcpu(), rc;

	must(cpu < 0 ? -errno : 0, "the CPU");
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	must(sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0, "choosing a CPU");
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	rc = sysfs_write(path, "0");
	if (rc)
		give_up("the cgroup cannot be entered: %s", strerror(-rc));
}

/* A guest with another virtual SMMU, of the same memory */
static struct guest another(const struct guest *g)
{
	struct guest other = *g;

	must(guest_create_flags(&other, 0), "CREATE");
	return other;
}

/* A lap of the queue, in doorbells of @num commands that the module has to compare */
static void run_lap(struct ring *ring, unsigned int num)
{
	struct smmuv3_accel_run_cmdq run;
	unsigned int i;

	for (i = 1; i <= CMDS_MAX; i++) {
		if (i % num) {
			ring_put(ring, cmd_falling(i % num));
			continue;
		}
		ring_put(ring, cmd_sync());
		must(ring_run(ring, &run), "RUN_CMDQ");
	}
	if (ring->cons != ring->prod)
		die(EXIT_TROUBLE, "a lap was not done");
}

static void measure(const char *cgroup)
{
	unsigned int num = same_smmu_num < VSMMUS ? same_smmu_num : VSMMUS, i;
	static struct dma_dev devs[VSMMUS];
	static struct guest guests[VSMMUS];
	struct smmuv3_accel_attach attach;
	struct guest g;
	struct ring ring;
	double before;
	__u64 strtab;

	must(guest_open_memory(&g), "guest memory");
	for (i = 0; i < num; i++)
		device_open(&devs[i], &g, i);
	enter_cgroup(cgroup);

	before = charged(cgroup);
	for (i = 0; i < VSMMUS; i++) {
		guests[i] = another(&g);
		must(accel_attach_virtual(&guests[i], VSID, SMMUV3_ACCEL_ATTACH_BRIDGE, &attach),
		     "ATTACH of a bridge");
	}
	results->vsmmu = (charged(cgroup) - before) / VSMMUS;
	if (results->vsmmu <= 0)
		give_up("the kernel charges no cgroup for its own memory (cgroup.memory=nokmem)");

	before = charged(cgroup);
	for (i = 0; i < num; i++) {
		guests[i] = another(&g);
		device_attach(&guests[i], &devs[i], VSID, &attach);
	}
	results->device = (charged(cgroup) - before) / num;

	g = guests[0];
	must(ring_init(&ring, &g, 14), "ring");
	strtab = guest_alloc(&g, 64 << 4);
	must(accel_mem_table(&g), "SET_MEM_TABLE");
	must(accel_set_regs(&g, CR0_SMMUEN | CR0_CMDQEN, strtab, 4, &ring), "SET_REGS");
	before = charged(cgroup);
	run_lap(&ring, 64);
	run_lap(&ring, CMDS_MAX);
	results->laps = charged(cgroup) - before;
}

static bool can_measure(void)
{
	char controllers[256] = "";
	struct statfs fs;

	if (statfs(CGROUPS, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		skip("memory", CGROUPS " is not cgroup2");
		return false;
	}
	root_read(controllers, sizeof(controllers), CGROUPS "/cgroup.subtree_control");
	if (!strstr(controllers, "memory")) {
		skip("memory", CGROUPS "/cgroup.subtree_control lacks memory");
		return false;
	}
	return true;
}

/* Measure in a process in a cgroup. Return: its exit status, or a negative errno */
static int measure_in(const char *cgroup, const sigset_t *mask)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (!child) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		measure(cgroup);
		_exit(0);
	}
	return child < 0 || waitpid(child, &status, 0) < 0 ? -errno : status;
}

void bench_memory(void)
{
	sigset_t signals, before;
	char cgroup[64];
	int rc;

	if (!can_measure())
		return;
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(results == MAP_FAILED ? -errno : 0, "memory");
	snprintf(cgroup, sizeof(cgroup), CGROUPS "/smmuv3-accel-bench.%d", getpid());
	/* A signal that ends this program waits until the cgroup is removed. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (mkdir(cgroup, 0755)) {
		skip("memory", "no cgroup can be made: %s", strerror(errno));
		sigprocmask(SIG_SETMASK, &before, NULL);
		return;
	}
	rc = measure_in(cgroup, &before);
	rmdir(cgroup);
	sigprocmask(SIG_SETMASK, &before, NULL);
	must(rc < 0 ? rc : 0, "measuring the memory");
	if (rc)
		die(EXIT_TROUBLE, "the memory could not be measured");
	if (results->skipped[0]) {
		skip("memory", "%s", results->skipped);
		return;
	}
	count(results->vsmmu, "memory_vsmmu_bytes");
	count(results->device, "memory_vsmmu_device_bytes");
	count(results->laps, "memory_lap_bytes");
}
