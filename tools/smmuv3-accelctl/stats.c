// SPDX-License-Identifier: GPL-2.0
/*
 * smmuv3-accelctl stats
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "accelctl.h"

#define HEADING_EVERY	20

/*
 * Return: the number of commands except CMD_SYNCs, which the module never subsumes or
 * merges. The counters are not read at one moment, so syncs may exceed cmds.
 */
static __u64 work_of(const __u64 counters[COUNTER_NUM])
{
	return counters[CMDS] > counters[SYNCS] ?
	       counters[CMDS] - counters[SYNCS] : 0;
}

/* Return: the number of commands for physical SMMUs, issued or withheld */
static __u64 meant_for_host(const __u64 counters[COUNTER_NUM])
{
	return counters[ISSUED] + counters[WITHHELD];
}

/* @counters: since CREATE, or since they were last read */
static void print_derived(const __u64 counters[COUNTER_NUM])
{
	__u64 work = work_of(counters);

	out_ratio("cmds_per_host_call", counters[CMDS], counters[HOST_CALLS], 1);
	out_ratio("cmds_per_sync", counters[CMDS], counters[SYNCS], 1);
	out_ratio("issued_per_cmd", counters[ISSUED], counters[CMDS], 1);
	out_ratio("subsumed_percent", counters[SUBSUMED], work, 100);
	out_ratio("merged_percent", counters[MERGED], work, 100);
	out_ratio("withheld_percent", counters[WITHHELD], meant_for_host(counters), 100);
	out_ratio("zero_copy_percent", counters[ZERO_COPY], counters[HOST_CALLS], 100);
}

static void print_vsmmu(const struct vsmmu *v)
{
	size_t i;

	out_vsmmu(v);
	if (v->has_counters) {
		out_object("counters");
		for (i = 0; i < COUNTER_NUM; i++)
			out_number(counter_name[i], v->counters[i]);
		out_end();
		out_object("derived");
		print_derived(v->counters);
		out_end();
	} else {
		out_unknown("counters");
	}
	out_end();
}

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

static void print_percent(__u64 part, __u64 whole)
{
	if (whole)
		printf(" %6.1f%%", 100.0 * part / whole);
	else
		printf(" %7s", "-");
}

static void print_row(__u32 id, const __u64 counters[COUNTER_NUM], double seconds)
{
	__u64 work = work_of(counters);

	printf("%5u %11.0f %10.0f %11.0f %10.0f", id, counters[CMDS] / seconds,
	       counters[SYNCS] / seconds, counters[ISSUED] / seconds,
	       counters[HOST_CALLS] / seconds);
	if (counters[HOST_CALLS])
		printf(" %9.1f", (double)counters[CMDS] / counters[HOST_CALLS]);
	else
		printf(" %9s", "-");
	print_percent(counters[SUBSUMED], work);
	print_percent(counters[MERGED], work);
	print_percent(counters[WITHHELD], meant_for_host(counters));
	print_percent(counters[ZERO_COPY], counters[HOST_CALLS]);
	printf(" %7llu\n", counters[STE_BAD] + counters[CMD_ERRORS] +
	       counters[REPLAYS]);
}

static void print_rates(__u32 id, const __u64 counters[COUNTER_NUM], double seconds)
{
	size_t i;

	if (!json) {
		print_row(id, counters, seconds);
		return;
	}
	out_object(NULL);
	out_number("id", id);
	out_object("per_second");
	for (i = 0; i < COUNTER_NUM; i++)
		out_ratio(counter_name[i], counters[i] * 1000, seconds * 1000, 1);
	out_end();
	out_object("derived");
	print_derived(counters);
	out_end();
	out_end();
}

static void print_heading(void)
{
	printf("%5s %11s %10s %11s %10s %9s %7s %7s %7s %7s %7s\n", "vSMMU", "cmds/s",
	       "syncs/s", "issued/s", "calls/s", "cmds/call", "subsumd", "merged",
	       "withhld", "zerocpy", "errors");
}

/*
 * Print a line for each vSMMU that existed at both ends of the interval. If cmds has
 * fallen, another vSMMU has the number now.
 */
static void print_interval(const struct world *before, const struct world *after,
			   __u64 only, double seconds)
{
	__u64 counters[COUNTER_NUM];
	size_t i, j;

	for (i = 0; i < after->vsmmu_num; i++) {
		const struct vsmmu *v = &after->vsmmus[i];
		const struct vsmmu *old = world_vsmmu(before, v->id);

		if ((only && v->id != only) || !old || !v->has_counters ||
		    !old->has_counters || v->counters[CMDS] < old->counters[CMDS])
			continue;
		for (j = 0; j < COUNTER_NUM; j++)
			counters[j] = v->counters[j] - old->counters[j];
		print_rates(v->id, counters, seconds);
	}
}

static int watch(__u64 only, __u64 interval, __u64 count)
{
	struct world before, after;
	double start, end;
	__u64 round;

	world_look(&before, false);
	start = now();
	for (round = 0; !count || round < count; round++) {
		sleep(interval);
		world_look(&after, false);
		end = now();
		if (only && !world_vsmmu(&after, only)) {
			world_free(&before);
			world_free(&after);
			die(EXIT_TROUBLE, "vSMMU %llu is gone", only);
		}
		if (json) {
			out_start();
			out_ratio("seconds", (end - start) * 1000, 1000, 1);
			out_array("vsmmus");
		} else if (round % HEADING_EVERY == 0) {
			print_heading();
		}
		print_interval(&before, &after, only, end - start);
		if (json)
			out_end();
		out_finish();
		world_free(&before);
		before = after;
		start = end;
	}
	world_free(&before);
	return 0;
}

int cmd_stats(int argc, char **argv)
{
	static const struct option long_options[] = {
		JSON_OPTION,
		HELP_OPTION,
		{ "watch", optional_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'n' },
		{}
	};
	__u64 interval = 0, count = 0, only = 0;
	struct world world;
	bool found;
	int c;

	while ((c = getopt_long(argc, argv, "w::n:" COMMON_OPTIONS, long_options,
				NULL)) != -1) {
		switch (c) {
		case 'w':
			interval = 1;
			if (optarg && (!parse_u64(optarg, 10, 86400, &interval) || !interval))
				die(EXIT_USAGE, "--watch wants 1 to 86400 seconds, not '%s'",
				    optarg);
			break;
		case 'n':
			if (!parse_u64(optarg, 10, ~0U, &count) || !count)
				die(EXIT_USAGE, "--count wants a number over 0, not '%s'", optarg);
			break;
		default:
			common_option(c);
		}
	}
	if (count && !interval)
		die(EXIT_USAGE, "--count is for --watch");
	if (optind < argc && (!parse_u64(argv[optind], 10, ~0U, &only) || !only))
		die(EXIT_USAGE, "'%s' is not the number of a vSMMU; for an interval write --watch=SECONDS",
		    argv[optind]);
	if (optind + 1 < argc)
		die(EXIT_USAGE, "stats takes one vSMMU, or none for all");

	module_require();
	if (only) {
		world_look(&world, false);
		found = world_vsmmu(&world, only);
		world_free(&world);
		if (!found)
			die(EXIT_TROUBLE, "there is no vSMMU %llu%s: smmuv3-accelctl list shows them",
			    only, geteuid() ? ", or only root can see it" : "");
	}
	if (interval)
		return watch(only, interval, count);
	out_vsmmus(false, only, print_vsmmu);
	return 0;
}
