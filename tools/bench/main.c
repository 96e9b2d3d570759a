// SPDX-License-Identifier: GPL-2.0
/*
 * smmuv3-accel-bench: the cost of a doorbell and of other calls. Compares
 * /dev/smmuv3-accel with direct use of iommufd, in turn, on the same host, with the same
 * device and commands.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#ifndef VERSION
#define VERSION	"unreleased"
#endif

enum {
	EXIT_PARTLY = 3,	/* a device or a part failed */
};

unsigned int repetitions = 31;
bool counts_instructions;

static struct {
	const char *name;
	void (*run)(void);
	void (*clean_up)(void);
	bool chosen;
} parts[] = {
	{ "memory", bench_memory, memory_clean_up },
	{ "ste", bench_ste },
	{ "doorbells", bench_doorbells },
	{ "detours", bench_detours },
	{ "calls", bench_calls },
	{ "flood", bench_flood },
	{ "streams", bench_streams },
	{ "fanout", bench_fanout },
	{ "scaling", bench_scaling },
};

static const char usage[] =
	"usage: smmuv3-accel-bench [-j] [--only PART]... --device BDF...\n"
	"\n"
	"  -d, --device BDF       a PCI device bound to vfio-pci that nothing else uses;\n"
	"                         may be repeated, with devices behind several SMMUs, too\n"
	"  -j, --json             print JSON\n"
	"  -o, --only PART        only this part; may be repeated\n"
	"  -r, --repetitions N    how often each figure is measured (31)\n"
	"      --icount           the clock of this machine counts instructions\n"
	"  -h, --help             this text\n"
	"      --version          the version\n"
	"\n"
	"parts: memory ste doorbells detours calls flood streams fanout scaling\n"
	"More is in smmuv3-accel-bench(8).\n";

static void choose(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcmp(parts[i].name, name))
			continue;
		parts[i].chosen = true;
		return;
	}
	die(EXIT_USAGE, "there is no part '%s'", name);
}

static void options(int argc, char **argv)
{
	enum { OPTION_VERSION = 256, OPTION_ICOUNT };
	static const struct option long_options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "only", required_argument, NULL, 'o' },
		{ "repetitions", required_argument, NULL, 'r' },
		{ "icount", no_argument, NULL, OPTION_ICOUNT },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{}
	};
	__u64 number;
	int c;

	while ((c = getopt_long(argc, argv, "d:jo:r:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'd':
			devices_add(optarg);
			break;
		case 'j':
			json = true;
			break;
		case 'o':
			choose(optarg);
			break;
		case 'r':
			if (!parse_u64(optarg, 10, REPETITIONS_MAX, &number) || !number)
				die(EXIT_USAGE, "--repetitions wants 1 to %d, not '%s'",
				    REPETITIONS_MAX, optarg);
			repetitions = number;
			break;
		case OPTION_ICOUNT:
			counts_instructions = true;
			break;
		case OPTION_VERSION:
			printf("smmuv3-accel-bench %s\n", VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc)
		die(EXIT_USAGE, "'%s' is no option", argv[optind]);
	if (!device_num)
		die(EXIT_USAGE, "no --device");
}

static void run_part(unsigned int index)
{
	parts[index].run();
}

static void run_parts(void)
{
	bool all = true;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++)
		all = all && !parts[i].chosen;
	heading_show();
	for (i = 0; i < ARRAY_LEN(parts); i++)
		if (all || parts[i].chosen)
			attempt(parts[i].name, run_part, i, parts[i].clean_up);
}

int main(int argc, char **argv)
{
	bool failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options(argc, argv);
	module_require();
	devices_try();
	devices_sort();
	out_start();
	out_string("version", "%s", VERSION);
	host_show();
	if (device_num)
		run_parts();
	failed = endings_show();
	out_finish();
	if (!device_num)
		return EXIT_TROUBLE;
	return failed ? EXIT_PARTLY : 0;
}
