// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel file: an arm64 Image as it is, compressed by gzip, or as an EFI
 * program that unpacks itself (EFI zboot: drivers/firmware/efi/libstub in
 * Linux). A VMM without firmware unpacks it instead. All that the file says
 * about sizes is checked.
 */
#include <endian.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm.h"

/* The headers of an Image and of a zboot file have the magic in the same place. */
#define MAGIC_OFFSET	0x38
#define IMAGE_MAGIC	0x644d5241U	/* "ARM\x64" */
#define ZBOOT_MAGIC	0x818223cdU	/* LINUX_PE_MAGIC */

struct image_header {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t res[3];
	uint32_t magic;
	uint32_t res5;
};

struct zboot_header {
	char mz[4];
	char zimg[4];
	uint32_t offset;	/* of the payload */
	uint32_t size;		/* of the payload */
	uint32_t res[2];
	char type[32];
	uint32_t magic;
};

/* A part of the file */
struct part {
	const uint8_t *data;
	uint64_t size;
};

static uint32_t magic_of(const uint8_t *file, uint64_t size)
{
	uint32_t magic = 0;

	if (size >= sizeof(struct image_header))
		memcpy(&magic, file + MAGIC_OFFSET, sizeof(magic));
	return le32toh(magic);
}

/* zlib counts in 32 bits. What follows the end of the compressed data is ignored. */
static int64_t unpack_gzip(struct part from, uint8_t *to, uint64_t room)
{
	z_stream z = {};
	uint64_t done;
	int rc;

	if (from.size > UINT32_MAX)
		return fail("its compressed data has more than 4 GiB");
	if (room > UINT32_MAX)
		room = UINT32_MAX;
	z.next_in = (uint8_t *)from.data;
	z.avail_in = from.size;
	z.next_out = to;
	z.avail_out = room;
	/* 16: with the header and the checksum of gzip */
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return fail("no memory for zlib");
	rc = inflate(&z, Z_FINISH);
	done = room - z.avail_out;
	inflateEnd(&z);
	if (rc != Z_STREAM_END)
		return fail("its gzip data cannot be unpacked to guest RAM: %s",
			    rc != Z_BUF_ERROR ? "it is damaged" :
			    z.avail_out ? "it is incomplete" : "that is too small");
	return done;
}

static int64_t unpack_zstd(struct part from, uint8_t *to, uint64_t room)
{
	size_t done = ZSTD_findFrameCompressedSize(from.data, from.size);

	if (!ZSTD_isError(done))
		done = ZSTD_decompress(to, room, from.data, done);
	if (ZSTD_isError(done))
		return fail("its zstd data cannot be unpacked to guest RAM: %s",
			    ZSTD_getErrorName(done));
	return done;
}

static int64_t unpack_zboot(const uint8_t *file, uint64_t size, uint8_t *to, uint64_t room)
{
	struct zboot_header header;
	struct part payload;

	memcpy(&header, file, sizeof(header));
	if (memcmp(header.zimg, "zimg", sizeof(header.zimg)))
		return fail("it is an EFI program, but no kernel in EFI zboot form");
	payload.size = le32toh(header.size);
	if (le32toh(header.offset) > size || payload.size > size - le32toh(header.offset))
		return fail("its header says that it is longer than it is");
	payload.data = file + le32toh(header.offset);
	/* A type without an end is longer than these. */
	if (!strcmp(header.type, "gzip"))
		return unpack_gzip(payload, to, room);
	if (!strcmp(header.type, "zstd") || !strcmp(header.type, "zstd22"))
		return unpack_zstd(payload, to, room);
	return fail("its compression is not gzip or zstd");
}

/**
 * image_is_packed - Whether image_unpack() has something to do
 * @file: the kernel file
 * @size: its size
 */
bool image_is_packed(const uint8_t *file, uint64_t size)
{
	return (size > 2 && file[0] == 0x1f && file[1] == 0x8b) ||
	       magic_of(file, size) == ZBOOT_MAGIC;
}

/**
 * image_unpack - Uncompress a kernel
 * @file: a file of which image_is_packed() is true
 * @size: its size
 * @to: where the Image goes
 * @room: how large it may be
 *
 * Return: bytes of the Image, or -1 after fail(); then @to has no defined
 * content.
 */
int64_t image_unpack(const uint8_t *file, uint64_t size, uint8_t *to, uint64_t room)
{
	if (magic_of(file, size) == ZBOOT_MAGIC)
		return unpack_zboot(file, size, to, room);
	return unpack_gzip((struct part) { file, size }, to, room);
}

/**
 * image_parse - Read the header of an Image
 * @file: the Image
 * @size: its size
 * @room: bytes of guest RAM
 * @image: what the header says
 *
 * Return: 0, or -1 after fail()
 */
int image_parse(const uint8_t *file, uint64_t size, uint64_t room, struct image *image)
{
	struct image_header header;

	if (magic_of(file, size) != IMAGE_MAGIC)
		return fail("it is no arm64 Image, also not by gzip or in EFI zboot form");
	memcpy(&header, file, sizeof(header));
	image->offset = le64toh(header.text_offset);
	image->size = le64toh(header.image_size);
	if (image->offset >= IMAGE_ALIGN)
		return fail("its header asks for an offset of 2 MiB or more");
	if (image->size < size)
		return fail("its header says that it needs less memory than it has bytes");
	if (image->size > room - image->offset)
		return fail("it does not fit into guest RAM");
	return 0;
}
