// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm.h"

/**
 * number_parse - Parse a text that is a decimal number and nothing else
 * @text: digits, without a sign or spaces
 * @suffixes: letters that may follow: 1024, 1024^2 and so on; "" for none
 * @max: the largest number
 * @value: set to the number
 *
 * Return: true if the text is a number from 0 to @max
 */
bool number_parse(const char *text, const char *suffixes, uint64_t max,
		  uint64_t *value)
{
	const char *suffix;
	unsigned int shift;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end);
		if (!suffix || end[1])
			return false;
		shift = 10 * (suffix - suffixes + 1);
		if (*value > UINT64_MAX >> shift)
			return false;
		*value <<= shift;
	}
	return *value <= max;
}
