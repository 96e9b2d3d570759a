// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

static __u64 dice_state;

void dice_seed(__u64 otherwise)
{
	dice_state = env_number("SMMUV3_ACCEL_SEED", otherwise);
}

__u32 dice(__u32 sides)
{
	return roll(&dice_state, sides);
}

__u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

static void nothing(int signal)
{
}

/* Have a signal interrupt system calls, and nothing else */
void interrupt_on(int signal)
{
	const struct sigaction action = { .sa_handler = nothing };

	sigaction(signal, &action, NULL);
}

/* A child's exit status, 128 + the signal that killed it, or -1 if it does not end in time */
int child_status(pid_t pid, unsigned int ms)
{
	int status = 0;

	for (; waitpid(pid, &status, WNOHANG) == 0; ms--) {
		if (!ms)
			return -1;
		sleep_ms(1);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Run @what in a child. Returns the child's status as child_status() does */
int in_child(struct machine *m, int (*what)(struct machine *m))
{
	pid_t pid = fork();

	if (!pid)
		_exit(what(m));
	return pid < 0 ? -1 : child_status(pid, AT_ONCE_MS);
}

/*
 * Let a child make the last close of the accel file, without any other descriptor. Until
 * then DMA of the first stream goes on
 */
int close_in_child(struct machine *m)
{
	struct stream *s = &m->stream[0];
	int go[2];
	char c;
	pid_t pid;

	if (pipe(go))
		return -1;
	pid = fork();
	if (!pid) {
		close(go[1]);
		close(s->dev.fd);
		close(m->g.iommufd);
		_exit(read(go[0], &c, 1) != 1 || close(m->g.accel));
	}
	guest_close_accel(&m->g);
	if (pid < 0 || testdev_write(&s->dev, s->s1.page[0]) || write(go[1], "", 1) != 1)
		return -1;
	close(go[0]);
	close(go[1]);
	return child_status(pid, AT_ONCE_MS);
}

/* Whether a new VMM can use the iommu-testdev number @index */
int next_vmm_works(int index)
{
	struct machine m;
	int rc;

	rc = machine_open(&m, .stage = STAGE_CREATED, .devices = 1, .first_device = index);
	if (rc)
		return rc;
	rc = machine_bypass(&m, 0) ?: machine_goes(&m, 0);
	machine_close(&m);
	return rc;
}

/* The path has the vSMMU's number, which fdinfo tells */
void debugfs_path(int accel, char path[64])
{
	unsigned int id = 0;
	char line[128];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", accel);
	f = fopen(line, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "vsmmu-id: %u", &id) == 1)
			break;
	if (f)
		fclose(f);
	snprintf(path, 64, DEBUGFS "/%u", id);
}

/* Fails if the module is in use */
int module_unload(void)
{
	return syscall(SYS_delete_module, "smmuv3_accel", O_NONBLOCK) ? -errno : 0;
}

/* In the form that module_load() takes. -ENOENT: the driver is no module here */
int module_parameters(char *to, size_t size)
{
	static const char * const names[] = {
		"fast", "subsume", "merge", "escalate", "filter",
	};
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

/* Unload the module, to load it again. Return: NULL, or why that is not possible */
const char *module_take_out(char *parameters, size_t size)
{
	if (module_parameters(parameters, size))
		return "smmuv3-accel is not a module here";
	if (access(MODULE, R_OK))
		return "no " MODULE " to load again";
	return module_unload() ? "the module is in use" : NULL;
}

/*
 * All mappings but stack, heap and the like: those grow, and have their names in
 * brackets. anon_inode:[smmuv3-accel] is not one of them. Without stdio, which may
 * map memory itself.
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

/* Page by page, since an anonymous mapping may have been merged with another one */
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

#define FDS_MAX	16

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int[FDS_MAX]))];
};

int fds_send(int sock, const int *fds, int num, const void *data, size_t len, int flags)
{
	union control control = {};
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = CMSG_SPACE(num * sizeof(int)),
	};

	control.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(num * sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	memcpy(CMSG_DATA(&control.header), fds, num * sizeof(int));
	return sendmsg(sock, &msg, flags) == (ssize_t)len ? 0 : -1;
}

int fds_receive(int sock, int *fds, int num, void *data, size_t len, int flags)
{
	union control control = {};
	struct iovec iov = { data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | flags) != (ssize_t)len ||
	    control.header.cmsg_len != CMSG_LEN(num * sizeof(int)))
		return -1;
	memcpy(fds, CMSG_DATA(&control.header), num * sizeof(int));
	return 0;
}

int fd_send(int sock, int fd, int number)
{
	return fds_send(sock, &fd, 1, &number, sizeof(number), 0);
}

int fd_receive(int sock, int *number)
{
	int fd;

	return fds_receive(sock, &fd, 1, number, sizeof(*number), MSG_WAITALL) ? -1 : fd;
}

int uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		return -errno;
	return ioctl(uffd, UFFDIO_API, &api) ? -errno : uffd;
}

/* Trap accesses to pages that are missing */
int uffd_register(int uffd, unsigned long addr, unsigned long len)
{
	struct uffdio_register arg = {
		.range = { addr, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &arg) ? -errno : 0;
}

/* Whether a thread waits for memory within that time */
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

static void *dma_load_thread(void *arg)
{
	struct dma_load *load = arg;
	int rc;

	while (!load->stop) {
		rc = testdev_write(load->dev, load->iova);
		load->done++;
		load->aborted += rc == -EFAULT;
		load->failed += rc && rc != -EFAULT;
	}
	return NULL;
}

/* Returns when there has been DMA */
int dma_load_start(struct dma_load *load, struct dma_dev *dev, __u64 iova)
{
	int rc, tries = 10000;

	*load = (struct dma_load){ .dev = dev, .iova = iova };
	rc = pthread_create(&load->thread, NULL, dma_load_thread, load);
	while (!rc && !load->done && tries--)
		sleep_ms(1);
	return rc;
}

void dma_load_stop(struct dma_load *load)
{
	load->stop = true;
	pthread_join(load->thread, NULL);
}

/* With the iommu-testdev number @index */
int neighbour_open(struct neighbour *n, int index)
{
	n->turns = 0;
	n->longest = 0;
	return machine_open(&n->m, .stage = STAGE_RUNNING, .devices = 1, .first_device = index);
}

void neighbour_close(struct neighbour *n)
{
	machine_close(&n->m);
}

static int neighbour_run(struct neighbour *n)
{
	__u64 began = now_ns(), took;
	bool done = machine_sync(&n->m);

	took = now_ns() - began;
	if (took > n->longest)
		n->longest = took;
	return done ? 0 : -EPROTO;
}

/*
 * Map another page, invalidate, do DMA. In some turns an STE takes the device away
 * and gives it back. -EBADE: DMA did not go where the guest wants it.
 */
int neighbour_turn(struct neighbour *n)
{
	struct machine *m = &n->m;
	struct stage1 *s1 = &m->stream[0].s1;
	int to = 1 + (++n->turns & 1), rc;

	if (!(n->turns & 15)) {
		machine_write_ste(m, 0, STE_CFG_ABORT);
		ring_put(&m->ring, cmd_cfgi_ste(MACHINE_VSID, true));
		rc = neighbour_run(n);
		if (rc)
			return rc;
		if (machine_goes(m, 0) != -EFAULT)
			return -EBADE;
		machine_write_ste(m, 0, STE_CFG_S1);
		ring_put(&m->ring, cmd_cfgi_ste(MACHINE_VSID, true));
	}
	pgtable_unmap(&s1->pt, s1->page[0]);
	ring_put(&m->ring, stage1_tlbi(s1));
	rc = neighbour_run(n);
	if (rc)
		return rc;
	if (machine_goes(m, 0) != -EFAULT)
		return -EBADE;
	stage1_lead(s1, to);
	rc = machine_goes(m, 0);
	return rc == to ? 0 : rc < 0 ? rc : -EBADE;
}

/*
 * Run @hostile in a child, whose exit status should be 0, while the neighbour takes
 * turns with iommu-testdev number 0
 */
int neighbour_beside(struct neighbour *n, int (*hostile)(void))
{
	int status, rc, error = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(hostile());
	rc = pid < 0 ? -errno : neighbour_open(n, 0);
	if (rc)
		return rc;
	while (waitpid(pid, &status, WNOHANG) == 0)
		if (!error)
			error = neighbour_turn(n);
	if (!error)
		error = neighbour_turn(n);
	neighbour_close(n);
	fprintf(stderr, "# the neighbour had %u turns, its longest doorbell took %llu us\n",
		n->turns, n->longest / 1000);
	if (status)
		fprintf(stderr, "# the hostile process ended with status %#x\n", status);
	return error ?: status ? -ECHILD : 0;
}

/* Whether a new VMM can use the iommu-testdev number @index in table mode */
int neighbour_works(int index)
{
	struct neighbour n;
	int rc = neighbour_open(&n, index);

	if (rc)
		return rc;
	rc = neighbour_turn(&n);
	neighbour_close(&n);
	return rc;
}
