// SPDX-License-Identifier: GPL-2.0
/*
 * The forms of a kernel file. Input and output have exactly as many bytes as
 * they need, so that AddressSanitizer finds an access outside.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "test.h"

#define IMAGE_SIZE	5000	/* of the Image that the tests pack */
#define ZBOOT_HEADER	64
#define OFFSET_AT	8
#define SIZE_AT		12
#define TYPE_AT		24

#define GZIP		(16 + MAX_WBITS)

static uint8_t image[IMAGE_SIZE];

struct bytes {
	uint8_t *data;
	size_t size;
};

static void put32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static void put64(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static struct bytes gzip_part(size_t from, size_t size)
{
	struct bytes out = { .data = malloc(2 * IMAGE_SIZE) };
	z_stream z = {};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = image + from;
	z.avail_in = size;
	z.next_out = out.data;
	z.avail_out = 2 * IMAGE_SIZE;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.size = z.total_out;
	deflateEnd(&z);
	out.data = realloc(out.data, out.size);
	return out;
}

static struct bytes gzip(void)
{
	return gzip_part(0, IMAGE_SIZE);
}

/* Frees both. */
static struct bytes join(struct bytes a, struct bytes b)
{
	a.data = realloc(a.data, a.size + b.size);
	memcpy(a.data + a.size, b.data, b.size);
	a.size += b.size;
	free(b.data);
	return a;
}

static struct bytes constant(uint8_t value, size_t size)
{
	struct bytes out = { malloc(size), size };

	memset(out.data, value, size);
	return out;
}

/* With a checksum, as the program zstd does it */
static struct bytes zstd(void)
{
	struct bytes out = { .data = malloc(2 * IMAGE_SIZE) };
	ZSTD_CCtx *context = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	out.size = ZSTD_compress2(context, out.data, 2 * IMAGE_SIZE, image, sizeof(image));
	assert_false(ZSTD_isError(out.size));
	ZSTD_freeCCtx(context);
	out.data = realloc(out.data, out.size);
	return out;
}

/* The payload is followed by its size, as Linux builds it, and by code. */
static struct bytes zboot(const char *type, struct bytes payload)
{
	static const uint8_t after[100] = { 0xaa };
	struct bytes out = { .size = ZBOOT_HEADER + payload.size + sizeof(after) };

	out.data = calloc(1, out.size);
	memcpy(out.data, "MZ\0\0zimg", 8);
	put32(out.data + OFFSET_AT, ZBOOT_HEADER);
	put32(out.data + SIZE_AT, payload.size);
	strncpy((char *)out.data + TYPE_AT, type, 32);
	put32(out.data + 0x38, 0x818223cd);
	memcpy(out.data + ZBOOT_HEADER, payload.data, payload.size);
	memcpy(out.data + ZBOOT_HEADER + payload.size, after, sizeof(after));
	free(payload.data);
	return out;
}

/* Unpack to @room bytes, and compare with the Image if that succeeds. Frees @from. */
static int64_t unpack(struct bytes from, size_t room)
{
	uint8_t *to = malloc(room);
	int64_t size = image_unpack(from.data, from.size, to, room);

	if (size == IMAGE_SIZE)
		assert_memory_equal(to, image, IMAGE_SIZE);
	free(to);
	free(from.data);
	return size;
}

static void test_forms(void **state)
{
	struct bytes from;

	(void)state;
	assert_false(image_is_packed(image, IMAGE_SIZE));
	assert_false(image_is_packed(image, 0));
	from = gzip();
	assert_true(image_is_packed(from.data, from.size));
	assert_int_equal(unpack(from, IMAGE_SIZE), IMAGE_SIZE);
	from = zboot("gzip", gzip());
	assert_true(image_is_packed(from.data, from.size));
	assert_int_equal(unpack(from, IMAGE_SIZE), IMAGE_SIZE);
	assert_int_equal(unpack(zboot("zstd", zstd()), IMAGE_SIZE), IMAGE_SIZE);
	assert_int_equal(unpack(zboot("zstd22", zstd()), 2 * IMAGE_SIZE), IMAGE_SIZE);
	/* The header makes the payload longer: the rest is ignored. */
	from = zboot("gzip", gzip());
	put32(from.data + SIZE_AT, from.size - ZBOOT_HEADER);
	assert_int_equal(unpack(from, IMAGE_SIZE), IMAGE_SIZE);
	from = zboot("zstd", zstd());
	put32(from.data + SIZE_AT, from.size - ZBOOT_HEADER);
	assert_int_equal(unpack(from, IMAGE_SIZE), IMAGE_SIZE);
}

/* As "cat a.gz b.gz" makes it, and bgzip, which puts an empty member at the end */
static struct bytes gzip_members(void)
{
	return join(join(gzip_part(0, 1000), gzip_part(1000, IMAGE_SIZE - 1000)),
		    gzip_part(0, 0));
}

static void test_gzip_members(void **state)
{
	static const char refused[] = "its gzip data is followed by something else";
	struct bytes from;
	size_t cut;

	(void)state;
	assert_int_equal(unpack(gzip_members(), IMAGE_SIZE), IMAGE_SIZE);
	assert_int_equal(unpack(gzip_members(), 2 * IMAGE_SIZE), IMAGE_SIZE);
	assert_int_equal(unpack(gzip_members(), IMAGE_SIZE - 1), -1);
	assert_non_null(strstr(failure(), "too small"));
	assert_int_equal(unpack(gzip_members(), 1000), -1);
	assert_int_equal(unpack(join(gzip(), gzip()), 3 * IMAGE_SIZE), 2 * IMAGE_SIZE);

	/* Padding is accepted, and nothing else. */
	assert_int_equal(unpack(join(gzip(), constant(0, 512)), IMAGE_SIZE), IMAGE_SIZE);
	for (cut = 1; cut < 4; cut++) {
		assert_int_equal(unpack(join(gzip(), constant(1, cut)), IMAGE_SIZE), -1);
		assert_string_equal(failure(), refused);
	}
	from = join(constant(0, 7), gzip());
	assert_int_equal(unpack(join(gzip(), from), 2 * IMAGE_SIZE), -1);
	assert_string_equal(failure(), refused);

	/* The last member ends early, or is damaged. */
	for (cut = 1; cut < 20; cut++) {
		from = gzip_members();
		from.size -= cut;
		from.data = realloc(from.data, from.size);
		assert_int_equal(unpack(from, IMAGE_SIZE), -1);
	}
	from = join(gzip(), gzip());
	from.data[from.size - 5] ^= 1;
	assert_int_equal(unpack(from, 2 * IMAGE_SIZE), -1);
	assert_non_null(strstr(failure(), "damaged"));

	/* After the payload of EFI zboot there is code, whatever it looks like. */
	from = zboot("gzip", join(gzip(), gzip()));
	assert_int_equal(unpack(from, 2 * IMAGE_SIZE), IMAGE_SIZE);
}

static void test_no_room(void **state)
{
	(void)state;
	assert_int_equal(unpack(gzip(), IMAGE_SIZE - 1), -1);
	assert_non_null(strstr(failure(), "too small"));
	assert_int_equal(unpack(zboot("gzip", gzip()), 64), -1);
	assert_int_equal(unpack(zboot("zstd", zstd()), IMAGE_SIZE - 1), -1);
	assert_non_null(strstr(failure(), "too small"));
}

static void test_compressions_not_taken(void **state)
{
	static const char * const types[] = {
		"xzkern", "lz4", "lzma", "lzo", "", "gzip2", "zstd2",
		"gzipgzipgzipgzipgzipgzipgzipgzip",	/* without an end */
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(types); i++) {
		assert_int_equal(unpack(zboot(types[i], gzip()), IMAGE_SIZE), -1);
		assert_string_equal(failure(), "its compression is not gzip or zstd");
	}
}

/* Sizes that the header says and the file does not have */
static void test_zboot_header(void **state)
{
	static const struct {
		uint32_t offset;
		uint32_t size;
	} table[] = {
		{ ZBOOT_HEADER, UINT32_MAX },
		{ ZBOOT_HEADER, 5000000 },
		{ UINT32_MAX, 1 },
		{ UINT32_MAX, UINT32_MAX },
		{ UINT32_MAX - 10, 200 },
		{ 0x80000000, 0x80000000 },
	};
	struct bytes from;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		from = zboot(i % 2 ? "gzip" : "zstd", i % 2 ? gzip() : zstd());
		put32(from.data + OFFSET_AT, table[i].offset);
		put32(from.data + SIZE_AT, table[i].size);
		assert_int_equal(unpack(from, IMAGE_SIZE), -1);
		assert_string_equal(failure(), "its header says that it is longer than it is");
	}
	/* Just too long; at the end of the file; nothing */
	from = zboot("gzip", gzip());
	put32(from.data + SIZE_AT, from.size - ZBOOT_HEADER + 1);
	assert_int_equal(unpack(from, IMAGE_SIZE), -1);
	from = zboot("zstd", zstd());
	put32(from.data + OFFSET_AT, from.size);
	put32(from.data + SIZE_AT, 0);
	assert_int_equal(unpack(from, IMAGE_SIZE), -1);
	from = zboot("gzip", gzip());
	put32(from.data + SIZE_AT, 0);
	assert_int_equal(unpack(from, IMAGE_SIZE), -1);
	/* Any other EFI program */
	from = zboot("gzip", gzip());
	from.data[4] = 'p';
	assert_int_equal(unpack(from, IMAGE_SIZE), -1);
}

/* The smallest files, and those that end early at each byte */
static void test_short_files(void **state)
{
	struct bytes from, all;
	size_t size;

	(void)state;
	all = gzip();
	for (size = 3; size < all.size; size++) {
		from.data = malloc(size);
		from.size = size;
		memcpy(from.data, all.data, size);
		assert_true(image_is_packed(from.data, size));
		assert_int_equal(unpack(from, IMAGE_SIZE), -1);
	}
	free(all.data);
	all = zboot("zstd", zstd());
	for (size = 0; size < all.size - 100; size++) {
		from.data = malloc(size);
		from.size = size;
		memcpy(from.data, all.data, size);
		if (image_is_packed(from.data, size))
			assert_int_equal(unpack(from, IMAGE_SIZE), -1);
		else
			free(from.data);
	}
	free(all.data);
}

/* A damaged file does not unpack, or unpacks to the same Image: it has a checksum. */
static void test_damaged(void **state)
{
	struct bytes from;
	unsigned int n, failed = 0;
	int64_t size;

	(void)state;
	srand(1);
	for (n = 0; n < 6000; n++) {
		if (n % 3 == 0)
			from = gzip();
		else
			from = n % 3 == 1 ? zboot("gzip", gzip()) : zboot("zstd", zstd());
		from.data[rand() % from.size] = rand();
		if (n % 2)
			from.data[rand() % 64] = rand();
		if (image_is_packed(from.data, from.size)) {
			size = unpack(from, IMAGE_SIZE);
			assert_true(size == -1 || size == IMAGE_SIZE);
			failed += size == -1;
		} else {
			free(from.data);
		}
	}
	assert_in_range(failed, 3000, 6000);
}

static void test_image_header(void **state)
{
	static const struct {
		uint64_t offset;
		uint64_t size;
		int rc;
	} table[] = {
		{ 0, IMAGE_SIZE, 0 },
		{ 0x80000, MIB(1), 0 },
		{ 0x80000, MIB(4) - 0x80000, 0 },
		{ 0x80000, MIB(4) - 0x80000 + 1, -1 },
		{ MIB(2) - 1, IMAGE_SIZE, 0 },
		{ MIB(2), IMAGE_SIZE, -1 },
		{ UINT64_MAX, IMAGE_SIZE, -1 },
		{ 0, 0, -1 },			/* before Linux 3.17 */
		{ 0, IMAGE_SIZE - 1, -1 },
		{ 0, UINT64_MAX, -1 },
		{ MIB(1), UINT64_MAX - MIB(1) + 1, -1 },
	};
	struct image header;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		put64(image + 8, table[i].offset);
		put64(image + 16, table[i].size);
		assert_int_equal(image_parse(image, IMAGE_SIZE, MIB(4), &header), table[i].rc);
		if (table[i].rc)
			continue;
		assert_int_equal(header.offset, table[i].offset);
		assert_int_equal(header.size, table[i].size);
	}
	put64(image + 8, 0);
	put64(image + 16, IMAGE_SIZE);
	assert_int_equal(image_parse(image, 63, MIB(4), &header), -1);
	assert_int_equal(image_parse(image, 0, MIB(4), &header), -1);
	image[0x38] ^= 1;
	assert_int_equal(image_parse(image, IMAGE_SIZE, MIB(4), &header), -1);
	image[0x38] ^= 1;
}

/* An Image that is an EFI program says how many bytes its sections have in the file. */
static void test_cut_image(void **state)
{
	enum { PE = 0x80, OPTIONAL = 0x20, SECTIONS = PE + 24 + OPTIONAL, SECTION = 40 };
	struct image header;
	uint8_t *file;
	size_t size;

	(void)state;
	file = calloc(1, IMAGE_SIZE);
	memcpy(file, "MZ", 2);
	put64(file + 16, 2 * IMAGE_SIZE);
	put32(file + 0x38, 0x644d5241);
	/* No EFI program: nothing can be told. */
	assert_int_equal(image_parse(file, IMAGE_SIZE - 1, MIB(4), &header), 0);
	put32(file + 0x3c, PE);
	assert_int_equal(image_parse(file, IMAGE_SIZE - 1, MIB(4), &header), 0);

	memcpy(file + PE, "PE\0\0\x64\xaa\2", 7);
	file[PE + 20] = OPTIONAL;
	put32(file + SECTIONS + 16, 1000);
	put32(file + SECTIONS + 20, 1000);
	put32(file + SECTIONS + SECTION + 16, IMAGE_SIZE - 2000);
	put32(file + SECTIONS + SECTION + 20, 2000);
	/* Nothing that is read is outside. */
	for (size = 64; size <= IMAGE_SIZE; size++) {
		uint8_t *part = malloc(size);

		memcpy(part, file, size);
		assert_int_equal(image_parse(part, size, MIB(4), &header),
				 size < IMAGE_SIZE ? -1 : 0);
		free(part);
	}
	assert_int_equal(image_parse(file, IMAGE_SIZE - 1, MIB(4), &header), -1);
	assert_string_equal(failure(), "it ends within a section that its header names");

	/* A section without bytes in the file may be anywhere. */
	put32(file + SECTIONS + SECTION + 16, 0);
	put32(file + SECTIONS + SECTION + 20, UINT32_MAX);
	assert_int_equal(image_parse(file, IMAGE_SIZE, MIB(4), &header), 0);
	put32(file + SECTIONS + SECTION + 16, UINT32_MAX);
	assert_int_equal(image_parse(file, IMAGE_SIZE, MIB(4), &header), -1);
	put32(file + SECTIONS + SECTION + 16, 0);
	memset(file + PE + 6, 0xff, 2);
	assert_int_equal(image_parse(file, IMAGE_SIZE, MIB(4), &header), -1);
	put32(file + 0x3c, UINT32_MAX);
	assert_int_equal(image_parse(file, IMAGE_SIZE, MIB(4), &header), -1);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_gzip_members),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_compressions_not_taken),
		cmocka_unit_test(test_zboot_header),
		cmocka_unit_test(test_short_files),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_image_header),
		cmocka_unit_test(test_cut_image),
	};
	unsigned int i;

	/* Half of it compresses well. */
	for (i = 64; i < IMAGE_SIZE; i++)
		image[i] = i % 2 ? rand() : 7;
	memcpy(image, "MZ", 2);
	put64(image + 16, IMAGE_SIZE);
	put32(image + 0x38, 0x644d5241);
	alarm(10 * PATIENCE);
	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
