// SPDX-License-Identifier: GPL-2.0
#include "test.h"

/* A @value of UINT64_MAX: the text is no number */
static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		const char *suffixes;
		uint64_t max;
		uint64_t value;
	} table[] = {
		{ "512M", "KMG", RAM_MAX, MIB(512) },
		{ "511G", "KMG", RAM_MAX, GIB(511) },
		{ "2097152", "KMG", RAM_MAX, MIB(2) },
		{ "512G", "KMG", RAM_MAX, UINT64_MAX },
		/* 2^34 + 1 GiB, 2^44 + 1 MiB, 2^54 + 1 KiB: modulo 2^64 they would fit */
		{ "17179869185G", "KMG", RAM_MAX, UINT64_MAX },
		{ "17592186044417M", "KMG", RAM_MAX, UINT64_MAX },
		{ "18014398509481985K", "KMG", RAM_MAX, UINT64_MAX },
		{ "18446744073709551617", "KMG", RAM_MAX, UINT64_MAX },
		{ "1MM", "KMG", RAM_MAX, UINT64_MAX },
		{ "1T", "KMG", RAM_MAX, UINT64_MAX },
		{ "G", "KMG", RAM_MAX, UINT64_MAX },
		{ "", "KMG", RAM_MAX, UINT64_MAX },
		{ "16", "", 16, 16 },
		{ "17", "", 16, UINT64_MAX },
		{ "1K", "", 2000, UINT64_MAX },
		{ " 1", "", 16, UINT64_MAX },
		{ "+1", "", 16, UINT64_MAX },
		{ "-1", "", 16, UINT64_MAX },
		/* 8, modulo 2^64 */
		{ "-18446744073709551608", "", 16, UINT64_MAX },
	};
	uint64_t value;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		if (!number_parse(table[i].text, table[i].suffixes, table[i].max, &value))
			value = UINT64_MAX;
		if (value != table[i].value)
			print_error("'%s'\n", table[i].text);
		assert_int_equal(value, table[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
