// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The fuzzer without libFuzzer: a bounded number of random inputs, the same for
 * the same seed.
 *
 *	fuzz [RUNS [SEED]]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define MAX_INPUT	1024

static char how[64];
static int how_len;

/* How to have the same again */
static void on_abort(int signal)
{
	ssize_t n = write(STDERR_FILENO, how, how_len);

	(void)n;
	(void)signal;
}

/* xorshift: a sequence of its own for each seed but 0 */
static unsigned long long next(unsigned long long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

int main(int argc, char **argv)
{
	unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1, i;
	unsigned char input[MAX_INPUT];

	signal(SIGABRT, on_abort);
	for (i = 0; i < runs; i++) {
		unsigned long long state = (seed + i) * 0x9e3779b97f4a7c15ULL | 1;
		size_t at, size = next(&state) % MAX_INPUT;

		how_len = snprintf(how, sizeof(how), "with: fuzz 1 %#lx\n",
				   seed + i);
		for (at = 0; at < size; at++)
			input[at] = next(&state);
		LLVMFuzzerTestOneInput(input, size);
	}
	printf("1..1\nok 1 - %lu random inputs from seed %#lx\n", runs, seed);
	return 0;
}
