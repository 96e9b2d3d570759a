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
	uint32_t pe_offset;	/* of the header of an EFI program, if it is one */
};

/* The headers of an EFI program (Microsoft's PE format), as far as they matter here */
struct pe_header {
	char magic[4];
	uint16_t machine;
	uint16_t section_num;
	uint32_t res[3];
	uint16_t optional_size;	/* of the optional header, which is next */
	uint16_t flags;
};

struct pe_section {
	char name[8];
	uint32_t res[2];
	uint32_t size;		/* in the file */
	uint32_t offset;	/* in the file */
	uint32_t res2[4];
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

/*
 * Unpack one member of a gzip file. zlib counts in 32 bits.
 *
 * Return: as image_unpack(). Then @from has what follows the member.
 */
static int64_t unpack_member(struct part *from, uint8_t *to, uint64_t room)
{
	z_stream z = {};
	uint64_t done;
	int rc;

	if (from->size > UINT32_MAX)
		return fail("its compressed data has more than 4 GiB");
	if (room > UINT32_MAX)
		room = UINT32_MAX;
	z.next_in = (uint8_t *)from->data;
	z.avail_in = from->size;
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
	from->data += from->size - z.avail_in;
	from->size = z.avail_in;
	return done;
}

static bool is_gzip(struct part file)
{
	return file.size > 2 && file.data[0] == 0x1f && file.data[1] == 0x8b;
}

/* Unpack all members of a gzip file (RFC 1952, 2.2). Zeros may follow, as padding. */
static int64_t unpack_gzip(struct part from, uint8_t *to, uint64_t room)
{
	uint64_t done = 0;
	int64_t size;

	do {
		size = unpack_member(&from, to + done, room - done);
		if (size < 0)
			return -1;
		done += size;
	} while (is_gzip(from));
	for (; from.size; from.data++, from.size--)
		if (*from.data)
			return fail("its gzip data is followed by something else");
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
	/* A type without an end is longer than these. The rest of the payload is ignored. */
	if (!strcmp(header.type, "gzip"))
		return unpack_member(&payload, to, room);
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
	return is_gzip((struct part) { file, size }) ||
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

/*
 * Whether an Image that is an EFI program, too, lacks a part of its sections. Nothing
 * says how many bytes any other Image has: image_size includes its BSS.
 */
static bool is_cut(const uint8_t *file, uint64_t size)
{
	struct image_header image;
	struct pe_section section;
	struct pe_header pe;
	uint64_t at, end;
	uint16_t n;

	if (memcmp(file, "MZ", 2))
		return false;
	memcpy(&image, file, sizeof(image));
	at = le32toh(image.pe_offset);
	if (at > size || size - at < sizeof(pe))
		return true;
	memcpy(&pe, file + at, sizeof(pe));
	if (memcmp(pe.magic, "PE\0", sizeof(pe.magic)))
		return false;
	at += sizeof(pe) + le16toh(pe.optional_size);
	for (n = le16toh(pe.section_num); n; n--, at += sizeof(section)) {
		if (at > size || size - at < sizeof(section))
			return true;
		memcpy(&section, file + at, sizeof(section));
		end = (uint64_t)le32toh(section.offset) + le32toh(section.size);
		if (section.size && end > size)
			return true;
	}
	return false;
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
	if (is_cut(file, size))
		return fail("it ends within a section that its header names");
	if (image->size < size)
		return fail("its header says that it needs less memory than it has bytes");
	if (image->size > room - image->offset)
		return fail("it does not fit into guest RAM");
	return 0;
}
