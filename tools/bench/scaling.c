// SPDX-License-Identifier: GPL-2.0
/*
 * Several vSMMUs with devices behind one SMMU, each on a CPU of its own. They share the
 * SMMU's command queue, so the same by iommufd does not scale well either.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "bench.h"

#define THREADS_MAX	4
#define SCALING_CMDS	64

static struct worker {
	struct side side;
	pthread_t thread;
	int cpu;
	bool direct;
	double begin, end;
} workers[THREADS_MAX];

static struct cmd cmds[SCALING_CMDS];
static pthread_barrier_t barrier;

static void *work(void *arg)
{
	struct worker *w = arg;
	const int loops = 1000;
	cpu_set_t cpus;
	int i;

	CPU_ZERO(&cpus);
	CPU_SET(w->cpu, &cpus);
	must(pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus), "choosing a CPU");
	pthread_barrier_wait(&barrier);
	w->begin = now();
	for (i = 0; i < loops; i++) {
		if (w->direct)
			direct(&w->side, cmds, SCALING_CMDS);
		else
			doorbell(&w->side, SCALING_CMDS + 1);
	}
	w->end = now();
	return NULL;
}

/*
 * Time in which each of @num threads does its loops. The threads take it, since this one
 * may have to wait for a CPU of theirs.
 */
static double timed(unsigned int num, bool directly)
{
	double begin, end;
	unsigned int i;

	must(pthread_barrier_init(&barrier, NULL, num), "barrier");
	for (i = 0; i < num; i++) {
		workers[i].direct = directly;
		must(pthread_create(&workers[i].thread, NULL, work, &workers[i]), "thread");
	}
	for (i = 0; i < num; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	begin = workers[0].begin;
	end = workers[0].end;
	for (i = 1; i < num; i++) {
		if (workers[i].begin < begin)
			begin = workers[i].begin;
		if (workers[i].end > end)
			end = workers[i].end;
	}
	return end - begin;
}

/* Give each thread a CPU that this process may use. Return: how many threads there are */
static unsigned int choose_cpus(void)
{
	unsigned int num = 0;
	cpu_set_t cpus;
	int cpu;

	must(sched_getaffinity(0, sizeof(cpus), &cpus) ? -errno : 0, "the CPUs");
	for (cpu = 0; cpu < CPU_SETSIZE && num < THREADS_MAX; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			workers[num++].cpu = cpu;
	return num < same_smmu_num ? num : same_smmu_num;
}

void bench_scaling(void)
{
	double run[REPETITIONS_MAX], dir[REPETITIONS_MAX], ratio[REPETITIONS_MAX];
	unsigned int num = choose_cpus(), i, r;

	if (counts_instructions)
		skip("the clock counts instructions, of all CPUs in turn");
	if (num < 2)
		skip("it wants two CPUs, and two devices behind one SMMU");
	fill(cmds, SCALING_CMDS);
	for (i = 0; i < num; i++) {
		side_open(&workers[i].side, 0, i);
		side_table_mode(&workers[i].side);
		fill_ring(&workers[i].side, SCALING_CMDS);
	}
	for (r = 0; r < repetitions; r++) {
		dir[r] = num * timed(1, true) / timed(num, true);
		run[r] = num * timed(1, false) / timed(num, false);
		ratio[r] = run[r] / dir[r];
	}
	for (i = 0; i < num; i++)
		side_close(&workers[i].side);
	figure(run, "scaling%u_run_cmdq", num);
	figure(dir, "scaling%u_direct", num);
	figure(ratio, "scaling%u_vs_direct", num);
}
