// SPDX-License-Identifier: GPL-2.0
/*
 * figure VALUE...: print the figure of these results as smmuv3-accel-bench does, for
 * figure-test.py.
 */
#include <stdlib.h>

#include "../bench.h"

unsigned int repetitions;

int main(int argc, char **argv)
{
	double values[REPETITIONS_MAX];

	for (; argv[repetitions + 1] && repetitions < REPETITIONS_MAX; repetitions++)
		values[repetitions] = strtod(argv[repetitions + 1], NULL);
	json = true;
	out_start();
	figure(values, "x");
	count(median(values), "median");
	out_finish();
	return argc < 2;
}
