// SPDX-License-Identifier: GPL-2.0
/*
 * Figures: the median of all repetitions, with the quartiles.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define KEY_LEN		64

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void show(const char *key, const double quartile[3], bool spread)
{
	char more[KEY_LEN + 4];

	if (!json) {
		printf("%-32s %12.6g", key, quartile[1]);
		if (spread)
			printf(" %12.6g %12.6g", quartile[0], quartile[2]);
		putchar('\n');
		return;
	}
	out_decimal(key, quartile[1]);
	if (!spread)
		return;
	snprintf(more, sizeof(more), "%s_q1", key);
	out_decimal(more, quartile[0]);
	snprintf(more, sizeof(more), "%s_q3", key);
	out_decimal(more, quartile[2]);
}

/**
 * heading_show() - Print the heading of the figures
 */
void heading_show(void)
{
	if (!json)
		printf("\n%-32s %12s %12s %12s\n", "", "median", "1st quartile",
		       "3rd quartile");
}

/* A quartile between two values is in proportion between them. */
static void quartiles(const double *values, double quartile[3])
{
	double sorted[REPETITIONS_MAX];
	unsigned int i, quarters, at;

	memcpy(sorted, values, repetitions * sizeof(*values));
	qsort(sorted, repetitions, sizeof(*sorted), compare);
	for (i = 0; i < 3; i++) {
		quarters = (repetitions - 1) * (i + 1);
		at = quarters / 4;
		quartile[i] = sorted[at];
		if (quarters % 4)
			quartile[i] += (sorted[at + 1] - sorted[at]) * (quarters % 4) / 4;
	}
}

/**
 * median() - Median of all repetitions
 * @values: the result of each repetition
 *
 * Return: the median.
 */
double median(const double *values)
{
	double quartile[3];

	quartiles(values, quartile);
	return quartile[1];
}

/**
 * figure() - Record what was measured several times
 * @values: the result of each repetition
 * @format: the figure's name, as for printf()
 */
void figure(const double *values, const char *format, ...)
{
	double quartile[3];
	char key[KEY_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(key, sizeof(key), format, args);
	va_end(args);
	quartiles(values, quartile);
	show(key, quartile, true);
}

/**
 * count() - Record a figure without quartiles, such as one that is the same each time
 * @value: the figure
 * @format: its name, as for printf()
 */
void count(double value, const char *format, ...)
{
	const double quartile[3] = { value, value, value };
	char key[KEY_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(key, sizeof(key), format, args);
	va_end(args);
	show(key, quartile, false);
}

/**
 * module_parameter() - Whether a parameter of the module is on
 * @name: the name of the parameter
 *
 * A part that depends on it is skipped if the module has no such parameter.
 *
 * Return: true if it is on.
 */
bool module_parameter(const char *name)
{
	char value[8];

	if (root_read(value, sizeof(value), "/sys/module/smmuv3_accel/parameters/%s", name) < 0)
		skip("cannot read the module's parameter '%s'", name);
	return value[0] == 'Y';
}
