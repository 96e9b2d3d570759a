// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/userfaultfd.h>

#include "stress.h"

#define IOVA	0x20000000ULL
#define ASID	9

__u64 env_number(const char *name, __u64 otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

/* xorshift64*: the same sequence from the same state, which is not 0 */
__u64 random_next(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

/* 0 to @sides - 1 */
__u32 roll(__u64 *state, __u32 sides)
{
	return (random_next(state) >> 32) % sides;
}

__u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Without waiting */
int module_unload(void)
{
	return syscall(SYS_delete_module, "smmuv3_accel", O_NONBLOCK) ? -errno : 0;
}

/* As module_load() wants them. -ENOENT: it is no module here */
int module_parameters(char *to, size_t size)
{
	static const char * const names[] = { "subsume", "merge", "escalate" };
	size_t used = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		char path[64], value[16] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/sys/module/smmuv3_accel/parameters/%s", names[i]);
		f = fopen(path, "re");
		if (!f)
			return -errno;
		if (!fgets(value, sizeof(value), f))
			value[0] = 0;
		fclose(f);
		value[strcspn(value, "\n")] = 0;
		used += snprintf(to + used, size - used, "%s=%s ", names[i], value);
	}
	return 0;
}

int module_load(const char *parameters)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, parameters, 0))
		rc = -errno;
	close(fd);
	return rc;
}

/*
 * What is mapped but for stack, heap and the like, which are named in brackets
 * and grow. Not by stdio, which may map memory of its own. A name such as
 * anon_inode:[smmuv3-accel] counts.
 */
int maps_read(struct range *to, int max)
{
	static char text[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY), num = 0;
	size_t len = 0;
	char *line, *end;
	ssize_t n;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	for (line = text; num < max && *line; line = end) {
		to[num].start = strtoul(line, &end, 16);
		to[num].end = strtoul(end + 1, &end, 16);
		line = end;
		end = strchrnul(line, '\n');
		end += *end == '\n';
		num += !memmem(line, end - line, " [", 2);
	}
	return num;
}

bool range_has(const struct range *ranges, int num, unsigned long addr)
{
	while (num--)
		if (addr >= ranges[num].start && addr < ranges[num].end)
			return true;
	return false;
}

static struct range before[512];
static int before_num;

void scratch_before(void)
{
	before_num = maps_read(before, ARRAY_LEN(before));
}

/* Page by page, as an anonymous mapping may have become part of another one */
int scratch_find(struct range scratch[SCRATCH_MAX])
{
	static struct range now[ARRAY_LEN(before)];
	const unsigned long page = sysconf(_SC_PAGESIZE);
	int num = maps_read(now, ARRAY_LEN(now)), found = 0, i;
	unsigned long addr;
	bool open;

	for (i = 0; i < num; i++) {
		open = false;
		for (addr = now[i].start; addr < now[i].end; addr += page) {
			if (range_has(before, before_num, addr)) {
				open = false;
				continue;
			}
			if (!open && found == SCRATCH_MAX)
				return found;
			if (!open)
				scratch[found++].start = addr;
			scratch[found - 1].end = addr + page;
			open = true;
		}
	}
	return found;
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int fd_send(int sock, int fd, int number)
{
	union control control = {};
	struct iovec iov = { &number, sizeof(number) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == sizeof(number) ? 0 : -1;
}

int fd_receive(int sock, int *number)
{
	union control control = {};
	struct iovec iov = { number, sizeof(*number) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(*number) ||
	    control.header.cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

int uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		return -errno;
	return ioctl(uffd, UFFDIO_API, &api) ? -errno : uffd;
}

/* For what is not there yet */
int uffd_register(int uffd, unsigned long addr, unsigned long len)
{
	struct uffdio_register arg = {
		.range = { addr, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &arg) ? -errno : 0;
}

/* Whether somebody waits for memory within that time; takes the message */
bool uffd_waits(int uffd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&poll_fd, 1, timeout_ms) == 1 &&
	       read(uffd, &msg, sizeof(msg)) == sizeof(msg);
}

/* Fill @len bytes at @addr from @page, or with zeroes if that is NULL */
int uffd_give(int uffd, unsigned long addr, const void *page, unsigned long len)
{
	struct uffdio_zeropage zero = { .range = { addr, len } };
	struct uffdio_copy copy = {
		.dst = addr, .src = (unsigned long)page, .len = len,
	};

	if (!page)
		return ioctl(uffd, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
	return ioctl(uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

/* With the iommu-testdev number @index */
int neighbour_open(struct neighbour *n, int index)
{
	struct smmuv3_accel_attach attach;
	__u64 ste[8];
	int i, rc;

	memset(n, 0, sizeof(*n));
	n->dev.fd = -1;
	rc = guest_open(&n->g);
	if (rc)
		return rc;
	rc = dma_open(&n->dev, n->g.iommufd, DMA_TESTDEV, index);
	if (!rc)
		rc = accel_mem_table(&n->g);
	if (!rc)
		rc = ring_init(&n->ring, &n->g, 4);
	if (!rc)
		rc = strtab_init(&n->strtab, &n->g, 8, 0);
	if (rc)
		goto err;
	for (i = 0; i < 2; i++)
		n->pages[i] = guest_alloc(&n->g, 4096);
	pgtable_init(&n->pt, &n->g, GRANULE_4K);
	pgtable_map(&n->pt, IOVA, n->pages[0], PTE_NOT_GLOBAL);
	n->cd = guest_alloc(&n->g, 64);
	cd_write(&n->g, n->cd, &n->pt, ASID);
	ste_s1(ste, n->cd);
	strtab_write(&n->strtab, NEIGHBOUR_VSID, ste);
	rc = accel_set_regs(&n->g, CR0_SMMUEN | CR0_CMDQEN, n->strtab.base,
			    n->strtab.base_cfg, &n->ring);
	if (!rc)
		rc = accel_attach(&n->g, n->dev.fd, NEIGHBOUR_VSID, &attach);
	if (!rc)
		return 0;
err:
	neighbour_close(n);
	return rc;
}

void neighbour_close(struct neighbour *n)
{
	dma_close(&n->dev);
	guest_close(&n->g);
}

static int neighbour_run(struct neighbour *n)
{
	struct smmuv3_accel_run_cmdq run;
	__u64 began = now_ns(), took;
	int rc;

	rc = ring_run(&n->ring, &run);
	took = now_ns() - began;
	if (took > n->longest)
		n->longest = took;
	if (rc)
		return rc;
	return run.out_error || n->ring.cons != n->ring.prod ? -EPROTO : 0;
}

/*
 * Map another page, invalidate, DMA. In some turns the device is taken away and
 * given back by its STE too. -EBADE: DMA did not go where the guest wants it.
 */
int neighbour_turn(struct neighbour *n)
{
	unsigned int to = ++n->turns & 1;
	volatile __u32 *word[2];
	__u64 ste[8];
	int i, rc;

	for (i = 0; i < 2; i++) {
		word[i] = guest_ptr(&n->g, n->pages[i]);
		*word[i] = 0;
	}
	if (!(n->turns & 15)) {
		ste_config(ste, STE_CFG_ABORT);
		strtab_write(&n->strtab, NEIGHBOUR_VSID, ste);
		ring_put(&n->ring, cmd_cfgi_ste(NEIGHBOUR_VSID, true));
		ring_put(&n->ring, cmd_sync());
		rc = neighbour_run(n);
		if (rc)
			return rc;
		if (testdev_write(&n->dev, IOVA) != -EFAULT)
			return -EBADE;
		ste_s1(ste, n->cd);
		strtab_write(&n->strtab, NEIGHBOUR_VSID, ste);
		ring_put(&n->ring, cmd_cfgi_ste(NEIGHBOUR_VSID, true));
	}
	pgtable_unmap(&n->pt, IOVA);
	ring_put(&n->ring, cmd_tlbi_va(ASID, IOVA, true));
	ring_put(&n->ring, cmd_sync());
	rc = neighbour_run(n);
	if (rc)
		return rc;
	if (testdev_write(&n->dev, IOVA) != -EFAULT)
		return -EBADE;
	pgtable_map(&n->pt, IOVA, n->pages[to], PTE_NOT_GLOBAL);
	rc = testdev_write(&n->dev, IOVA);
	if (rc)
		return rc;
	return *word[to] == TESTDEV_PATTERN && !*word[!to] ? 0 : -EBADE;
}

/* Go on until a child of this process ends. Returns what went wrong first. */
int neighbour_watch(struct neighbour *n, pid_t pid, int *status)
{
	int rc = 0;

	while (waitpid(pid, status, WNOHANG) == 0)
		if (!rc)
			rc = neighbour_turn(n);
	return rc;
}
