// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel memory that virtual SMMUs are charged for: a process in a memory cgroup of its
 * own makes them and looks at the count of that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "bench.h"

#define CGROUPS		"/sys/fs/cgroup"
#define VSMMUS		64

/* The cgroup of this program, @pid */
static void cgroup_path(char *path, size_t size, pid_t pid)
{
	snprintf(path, size, CGROUPS "/smmuv3-accel-bench.%d", pid);
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
		skip("cannot read %s/memory.stat: %s", cgroup, strerror(-len));
	line = strstr(text, "\nkernel ");
	if (!line || sscanf(line, "\nkernel %llu", &bytes) != 1)
		skip("memory.stat of the cgroup lacks kernel memory");
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
		skip("the cgroup cannot be entered: %s", strerror(-rc));
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
		fail("a lap was not done");
}

static void measure(const char *cgroup)
{
	unsigned int num = same_smmu_num < VSMMUS ? same_smmu_num : VSMMUS, i;
	static struct dma_dev devs[VSMMUS];
	static struct guest guests[VSMMUS];
	struct smmuv3_accel_attach attach;
	struct guest g;
	struct ring ring;
	double before, vsmmu, device, laps;
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
	vsmmu = (charged(cgroup) - before) / VSMMUS;
	if (vsmmu <= 0)
		skip("the kernel charges no cgroup for its own memory (cgroup.memory=nokmem)");

	before = charged(cgroup);
	for (i = 0; i < num; i++) {
		guests[i] = another(&g);
		device_attach(&guests[i], &devs[i], VSID, &attach);
	}
	device = (charged(cgroup) - before) / num;

	g = guests[0];
	must(ring_init(&ring, &g, 14), "ring");
	strtab = guest_alloc(&g, 64 << 4);
	must(accel_mem_table(&g), "SET_MEM_TABLE");
	must(accel_set_regs(&g, CR0_SMMUEN | CR0_CMDQEN, strtab, 4, &ring), "SET_REGS");
	before = charged(cgroup);
	run_lap(&ring, 64);
	run_lap(&ring, CMDS_MAX);
	laps = charged(cgroup) - before;
	count(vsmmu, "memory_vsmmu_bytes");
	count(device, "memory_vsmmu_device_bytes");
	count(laps, "memory_lap_bytes");
}

static void require_cgroups(void)
{
	char controllers[256] = "";
	struct statfs fs;

	if (statfs(CGROUPS, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		skip(CGROUPS " is not cgroup2");
	root_read(controllers, sizeof(controllers), CGROUPS "/cgroup.subtree_control");
	if (!strstr(controllers, "memory"))
		skip(CGROUPS "/cgroup.subtree_control lacks memory");
}

void bench_memory(void)
{
	char cgroup[64];

	require_cgroups();
	cgroup_path(cgroup, sizeof(cgroup), getppid());
	if (mkdir(cgroup, 0755))
		skip("no cgroup can be made: %m");
	measure(cgroup);
}

/**
 * memory_clean_up() - Remove the cgroup, which is empty after the process of bench_memory()
 */
void memory_clean_up(void)
{
	char cgroup[64];

	cgroup_path(cgroup, sizeof(cgroup), getpid());
	rmdir(cgroup);
}
