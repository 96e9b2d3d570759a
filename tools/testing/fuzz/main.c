// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer without libFuzzer: runs the inputs of a corpus, then a bounded number of
 * inputs derived from them. The same seed gives the same inputs.
 *
 *	pure CORPUS [RUNS [SEED]]
 *	pure -x CORPUS FOLDER		write the corpus as libFuzzer wants it
 *
 * A corpus is text: an input on each line, in hexadecimal. '#' begins a comment.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define MAX_SIZE	1024
#define MAX_INPUTS	256

struct input {
	size_t size;
	unsigned char data[MAX_SIZE];
};

static struct input inputs[MAX_INPUTS], current;
static size_t input_num;

/* Print the input that failed, as a line for the corpus */
static void show_current(int signal)
{
	static const char digits[] = "0123456789abcdef";
	static char text[2 * MAX_SIZE + 1];
	size_t i, len = 2 * current.size;

	for (i = 0; i < len; i++)
		text[i] = digits[current.data[i / 2] >> (i & 1 ? 0 : 4) & 15];
	text[len++] = '\n';
	if (write(STDERR_FILENO, text, len) < 0)
		_exit(2);
	(void)signal;
}

static int read_corpus(const char *path)
{
	char line[2 * MAX_SIZE + 128];
	FILE *f = fopen(path, "r");
	unsigned int byte;
	const char *at;

	if (!f) {
		perror(path);
		return -1;
	}
	while (input_num < MAX_INPUTS && fgets(line, sizeof(line), f)) {
		struct input *input = &inputs[input_num];

		for (at = line; isxdigit(*at) && input->size < MAX_SIZE; at += 2) {
			if (sscanf(at, "%2x", &byte) != 1)
				break;
			input->data[input->size++] = byte;
		}
		input_num += input->size > 0;
	}
	fclose(f);
	return 0;
}

static int write_corpus(const char *folder)
{
	char path[4096];
	size_t i;
	FILE *f;

	for (i = 0; i < input_num; i++) {
		snprintf(path, sizeof(path), "%s/%zu", folder, i);
		f = fopen(path, "w");
		if (!f || fwrite(inputs[i].data, 1, inputs[i].size, f) != inputs[i].size ||
		    fclose(f)) {
			perror(path);
			return -1;
		}
	}
	return 0;
}

/* xorshift: another sequence for each seed but 0 */
static unsigned long next(unsigned long long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

/* Make an input from a corpus input, a part of another one, and some flipped bits */
static void make(unsigned long long *state)
{
	const struct input *other;
	size_t at, from, len;

	current = inputs[next(state) % input_num];
	if (next(state) % 4 == 0) {
		len = next(state) % (MAX_SIZE / 4);
		for (current.size = 0; current.size <= len; current.size++)
			current.data[current.size] = next(state);
		current.data[0] = inputs[next(state) % input_num].data[0];
	}
	while (next(state) % 2) {
		other = &inputs[next(state) % input_num];
		at = next(state) % (current.size + 1);
		from = next(state) % other->size;
		len = next(state) % (other->size - from + 1);
		if (at + len > MAX_SIZE)
			continue;
		memcpy(current.data + at, other->data + from, len);
		if (at + len > current.size)
			current.size = at + len;
	}
	while (next(state) % 8)
		current.data[next(state) % current.size] ^= 1U << next(state) % 8;
	if (next(state) % 8 == 0)
		current.size = 1 + next(state) % current.size;
}

int main(int argc, char **argv)
{
	unsigned long runs = 0, seed = 1, i;

	if (argc == 4 && !strcmp(argv[1], "-x"))
		return read_corpus(argv[2]) || write_corpus(argv[3]);
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: pure CORPUS [RUNS [SEED]] | pure -x CORPUS FOLDER\n");
		return 2;
	}
	if (argc > 2)
		runs = strtoul(argv[2], NULL, 0);
	if (argc > 3)
		seed = strtoul(argv[3], NULL, 0);
	if (read_corpus(argv[1]))
		return 2;
	if (!input_num) {
		fprintf(stderr, "%s: no inputs\n", argv[1]);
		return 2;
	}
	signal(SIGABRT, show_current);
	for (i = 0; i < input_num; i++) {
		current = inputs[i];
		LLVMFuzzerTestOneInput(current.data, current.size);
	}
	for (i = 0; i < runs; i++) {
		unsigned long long state = (seed + i) * 0x9e3779b97f4a7c15ULL | 1;

		make(&state);
		LLVMFuzzerTestOneInput(current.data, current.size);
	}
	printf("1..1\nok 1 - %zu inputs of the corpus, %lu made of them from seed %#lx\n",
	       input_num, runs, seed);
	return 0;
}
