// SPDX-License-Identifier: GPL-2.0
/*
 * smmuv3-accelctl: what is behind /dev/smmuv3-accel, for administrators.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

#ifndef VERSION
#define VERSION	"unreleased"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "info", cmd_info },
	{ "list", cmd_list },
	{ "stats", cmd_stats },
	{ "decode", cmd_decode },
};

static const char usage[] =
	"usage: smmuv3-accelctl [-j] [--root DIR] COMMAND ...\n"
	"\n"
	"  info [-a] [--probe]             the module, the kernel, SMMUs and devices\n"
	"  list                            virtual SMMUs, their holders and streams\n"
	"  stats [ID] [-w[SECONDS]] [-n N] their counters; with -w as rates, N times\n"
	"  decode [-a] [-b] [-i IDRS] ste|cmd|event|idr HEX...\n"
	"                                  an STE, a command, an event record, ID registers\n"
	"\n"
	"  -j, --json       print JSON, also behind the command\n"
	"  -r, --root DIR   look at a copy of /sys, /proc and /dev below DIR\n"
	"  -h, --help       this text, also behind the command\n"
	"      --version    the version\n"
	"\n"
	"More is in smmuv3-accelctl(8).\n";

/**
 * common_option() - Handle an option that all commands have
 * @c: from getopt_long(), which has printed a message if the option is unknown
 */
void common_option(int c)
{
	switch (c) {
	case 'j':
		json = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		exit(EXIT_USAGE);
	}
}

int main(int argc, char **argv)
{
	enum { OPTION_VERSION = 256 };
	static const struct option long_options[] = {
		JSON_OPTION,
		HELP_OPTION,
		{ "root", required_argument, NULL, 'r' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{}
	};
	size_t i;
	int c;

	/* '+': options after the command belong to the command. */
	while ((c = getopt_long(argc, argv, "+r:" COMMON_OPTIONS, long_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			root_dir = optarg;
			break;
		case OPTION_VERSION:
			printf("smmuv3-accelctl %s, API version %d\n", VERSION,
			       SMMUV3_ACCEL_API_VERSION);
			return 0;
		default:
			common_option(c);
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	argc -= optind;
	argv += optind;
	for (i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		optind = 0;
		return commands[i].run(argc, argv);
	}
	die(EXIT_USAGE, "no command '%s': info, list, stats or decode", argv[0]);
}
