// SPDX-License-Identifier: GPL-2.0
/* Where kernel, device tree and initramfs are in RAM, whatever the form of the kernel file */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <sys/wait.h>

#include "test.h"

#define KERNEL_SIZE	3000
#define INITRD_SIZE	MIB(3)
#define GZIP		(16 + MAX_WBITS)

struct config config = { .mem = MIB(16) };

static char dir[32] = "/tmp/vmm-boot-XXXXXX";
static char kernel_path[64], initrd_path[64];
static uint8_t kernel[KERNEL_SIZE], initrd[INITRD_SIZE];
static void *dtb_at;
static uint64_t initrd_at, initrd_size;

void fdt_build(void *buf, int size, uint64_t where, uint64_t bytes)
{
	memset(buf, 0xdd, size);
	dtb_at = buf;
	initrd_at = where;
	initrd_size = bytes;
}

static void write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

/* The kernel wants to be @offset after a multiple of 2 MiB, and @size bytes there. */
static void make_kernel(uint64_t offset, uint64_t size)
{
	memcpy(kernel + 8, &offset, sizeof(offset));
	memcpy(kernel + 16, &size, sizeof(size));
	memcpy(kernel + 0x38, "ARMd", 4);
	write_file(kernel_path, kernel, sizeof(kernel));
}

static void check_layout(uint64_t offset, uint64_t size)
{
	uint64_t entry, dtb, want = ALIGN_UP(offset + size, MIB(2));

	memset(ram, 0, config.mem);
	boot_load(&entry, &dtb);
	assert_int_equal(entry, RAM_BASE + offset);
	assert_memory_equal(ram + offset, kernel, KERNEL_SIZE);
	assert_int_equal(dtb, RAM_BASE + want);
	assert_ptr_equal(dtb_at, ram + want);
	assert_int_equal(initrd_at, RAM_BASE + want + MIB(2));
	assert_int_equal(initrd_size, INITRD_SIZE);
	assert_memory_equal(ram + want + MIB(2), initrd, INITRD_SIZE);
}

static void test_layout(void **state)
{
	uint8_t packed[2 * KERNEL_SIZE];
	z_stream z = {};

	(void)state;
	make_kernel(0, KERNEL_SIZE);
	check_layout(0, KERNEL_SIZE);
	make_kernel(0x80000, MIB(5));
	check_layout(0x80000, MIB(5));
	/* So that the last byte of the initramfs is that of the RAM */
	make_kernel(1024, MIB(10));
	config.mem = MIB(12) + MIB(2) + INITRD_SIZE;
	check_layout(1024, MIB(10));
	config.mem = MIB(16);

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY), Z_OK);
	make_kernel(0x80000, MIB(1));
	z.next_in = kernel;
	z.avail_in = sizeof(kernel);
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	write_file(kernel_path, packed, z.total_out);
	deflateEnd(&z);
	check_layout(0x80000, MIB(1));
}

/* boot_load() ends the process with a message. */
static void expect_end(void)
{
	uint64_t entry, dtb;
	int status;

	if (!fork()) {
		close(STDERR_FILENO);
		boot_load(&entry, &dtb);
		_exit(0);
	}
	assert_true(wait(&status) > 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void test_refusals(void **state)
{
	uint64_t entry, dtb;

	(void)state;
	write_file(kernel_path, "", 0);
	expect_end();
	write_file(kernel_path, "\x1f\x8b\x08", 3);
	expect_end();
	write_file(kernel_path, initrd, sizeof(initrd));
	expect_end();
	make_kernel(0, MIB(12));	/* leaves nothing for the initramfs */
	expect_end();
	config.initrd = NULL;
	make_kernel(0, MIB(16));	/* leaves nothing for the device tree */
	expect_end();
	make_kernel(0, MIB(14) + 1);
	expect_end();
	make_kernel(0, UINT64_MAX);
	expect_end();
	make_kernel(0, KERNEL_SIZE);
	config.initrd = dir;		/* is no file */
	expect_end();
	config.initrd = NULL;
	make_kernel(0, MIB(14));	/* leaves just enough for the device tree */
	boot_load(&entry, &dtb);
	assert_int_equal(initrd_size, 0);
	config.initrd = initrd_path;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_refusals),
	};
	unsigned int i;
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", dir);
	snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", dir);
	for (i = 64; i < sizeof(kernel); i++)
		kernel[i] = rand();
	for (i = 0; i < sizeof(initrd); i++)
		initrd[i] = rand();
	write_file(initrd_path, initrd, sizeof(initrd));
	config.kernel = kernel_path;
	config.initrd = initrd_path;
	config.mem = MIB(32);
	boot_alloc_ram();
	config.mem = MIB(16);
	alarm(PATIENCE);
	rc = cmocka_run_group_tests_name("boot", tests, NULL, NULL);
	unlink(kernel_path);
	unlink(initrd_path);
	rmdir(dir);
	return rc;
}
