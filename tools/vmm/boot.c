// SPDX-License-Identifier: GPL-2.0
/* Guest RAM, and Linux's boot protocol for arm64 (Documentation/arch/arm64/booting.rst) */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm.h"

#define DTB_SIZE	MIB(1)

uint8_t *ram;

/*
 * RAM is a shared memfd, so that the pages pinned for DMA stay those that the
 * guest sees, and another process could be given them. It has huge pages if the
 * host permits (transparent_hugepage/shmem_enabled): they make the walks of
 * both stages 2, KVM's and the SMMU's, a level shorter.
 */
void boot_alloc_ram(void)
{
	int fd = memfd_create("guest-ram", MFD_CLOEXEC);
	uint8_t *room;

	if (fd < 0 || ftruncate(fd, config.mem))
		die("no memory for the guest: %s", strerror(errno));
	room = mmap(NULL, config.mem + IMAGE_ALIGN, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		die("no address space for the guest: %s", strerror(errno));
	room += -(uintptr_t)room & (IMAGE_ALIGN - 1);
	ram = mmap(room, config.mem, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (ram == MAP_FAILED)
		die("no memory for the guest: %s", strerror(errno));
	madvise(ram, config.mem, MADV_HUGEPAGE);
	close(fd);
}

/* Read a file to RAM at @offset and return its size. */
static uint64_t load_file(const char *path, uint64_t offset)
{
	/* Without O_NONBLOCK, opening a FIFO would block the main thread. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t done = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		die("%s is no regular file", path);
	if (offset > config.mem || (uint64_t)st.st_size > config.mem - offset)
		die("%s does not fit into the guest's RAM", path);
	while (done < (uint64_t)st.st_size) {
		n = read(fd, ram + offset + done, st.st_size - done);
		if (n <= 0)
			die("%s: %s", path, n ? strerror(errno) : "it shrank");
		done += n;
	}
	close(fd);
	return done;
}

/* Put the kernel at the beginning of RAM, uncompressed. Return: its size */
static uint64_t load_kernel(void)
{
	uint64_t size = load_file(config.kernel, 0);
	uint8_t *packed;
	int64_t unpacked;

	if (!image_is_packed(ram, size))
		return size;
	packed = malloc(size);
	if (!packed)
		die("%s: no memory to unpack it", config.kernel);
	memcpy(packed, ram, size);
	unpacked = image_unpack(packed, size, ram, config.mem);
	if (unpacked < 0)
		die("%s: %s", config.kernel, failure());
	free(packed);
	return unpacked;
}

/**
 * boot_load - Put kernel, device tree and initramfs in place, in this order
 * @entry: where the first vCPU starts
 * @dtb: guest physical address of the device tree, for x0
 */
void boot_load(uint64_t *entry, uint64_t *dtb)
{
	uint64_t size, dtb_at, initrd_at, initrd_size = 0;
	struct image image;

	size = load_kernel();
	if (image_parse(ram, size, config.mem, &image))
		die("%s: %s", config.kernel, failure());
	memmove(ram + image.offset, ram, size);
	dtb_at = ALIGN_UP(image.offset + image.size, IMAGE_ALIGN);
	initrd_at = dtb_at + IMAGE_ALIGN;
	if (initrd_at > config.mem)
		die("%s does not fit into the guest's RAM", config.kernel);
	if (config.initrd)
		initrd_size = load_file(config.initrd, initrd_at);
	fdt_build(ram + dtb_at, DTB_SIZE, RAM_BASE + initrd_at, initrd_size);
	*entry = RAM_BASE + image.offset;
	*dtb = RAM_BASE + dtb_at;
}
