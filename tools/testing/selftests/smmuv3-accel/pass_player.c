// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <linux/iommufd.h>
#include <linux/userfaultfd.h>
#include <linux/vfio.h>

#include "pass.h"
#include "stress.h"

#define MAX_REPORTS	3	/* of a kind */
#define TRAP_GPA	0x90000000ULL
#define TRAP_SIZE	8192UL
#define SCRATCH		"[smmuv3-accel]"

struct arena *arena;
struct player p;

const char * const count_names[COUNTS] = {
	"GET_INFO", "CREATE", "SET_IDR", "SET_MEM_TABLE", "ATTACH", "DETACH", "GET_PHYS",
	"GET_STREAM", "INSTALL_STE", "INVALIDATE", "SET_REGS", "RUN_CMDQ", "RESET",
	"GET_STATS", "CHANGE_PROCESS", "SET_VSIDS",
	[CALLS] = "calls", [DMAS] = "DMAs", [SENT] = "sent", [RECEIVED] = "received",
	[FORKS] = "forks", [EXECS] = "execs", [TAKEOVERS] = "taken over",
	[SCRATCHES] = "scratch mappings spoilt", [FAULTS] = "faults answered",
	[KILLS] = "kills", [HELD] = "devices held after a close", [CYCLES] = "unbound",
};

void wrong(const char *format, ...)
{
	unsigned int kind = 0;
	char text[256];
	const char *at;
	va_list args;

	for (at = format; *at; at++)
		kind = kind * 31 + *at;
	atomic_fetch_add(&arena->failures, 1);
	if (atomic_fetch_add(&arena->reports[kind % REPORTS], 1) >= MAX_REPORTS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "# seed %#llx: %s\n", arena->seed, text);
}

void tally(enum count what)
{
	atomic_fetch_add(&arena->count[what], 1);
}

__u32 rolled(__u32 sides)
{
	return roll(&p.random, sides);
}

bool one_in(__u32 sides)
{
	return !rolled(sides);
}

void breathe(void)
{
	const struct timespec wait = { .tv_nsec = 200000 };

	nanosleep(&wait, NULL);
}

static bool errno_is_documented(unsigned int nr, int error)
{
	if (call_may_return(&accel_calls[nr], error))
		return true;
	/* A VMM that meddles with the host's objects gets more errors */
	return arena->meddle && (error == EIO || error == ENODEV || error == EBUSY ||
				 error == ENOSPC || error == EEXIST);
}

/* Make a correct call, perhaps on the wrong file. Returns its errno */
static int call(int fd, unsigned long request, void *arg)
{
	unsigned int nr = _IOC_NR(request);
	__u32 reason = 0;
	int error;

	error = ioctl(fd, request, arg) ? errno : 0;
	tally(CALLS);
	if (!error) {
		tally(nr);
		return 0;
	}
	if (accel_calls[nr].reason)
		memcpy(&reason, (char *)arg + accel_calls[nr].reason, sizeof(reason));
	if (!errno_is_documented(nr, error))
		wrong("%s: errno %d, reason %u: not documented", count_names[nr], error, reason);
	else if (error == EIO && !arena->meddle && accel_calls[nr].reason &&
		 reason != SMMUV3_ACCEL_REASON_FOREIGN_MM)
		wrong("%s: EIO for reason %u", count_names[nr], reason);
	return error;
}

/* A player's descriptors */

struct item *add_item(int fd, struct tag tag)
{
	struct item *item = &p.items[p.num];

	if (fd < 0)
		return NULL;
	if (p.num == ITEMS) {
		close(fd);
		return NULL;
	}
	p.num++;
	memset(item, 0, sizeof(*item));
	item->tag = tag;
	item->dev.fd = fd;
	return item;
}

void drop_item(struct item *item)
{
	dma_close(&item->dev);
	*item = p.items[--p.num];
}

static struct item *any_item(void)
{
	return p.num ? &p.items[rolled(p.num)] : NULL;
}

static struct item *any_of(enum kind kind)
{
	unsigned int i, at = rolled(ITEMS);

	for (i = 0; i < p.num; i++)
		if (p.items[(at + i) % p.num].tag.kind == kind)
			return &p.items[(at + i) % p.num];
	return NULL;
}

/* Mostly one that this process owns, if there is one */
static struct item *any_vsmmu(void)
{
	unsigned int i, at = rolled(ITEMS);
	struct item *item;

	for (i = 0; i < p.num && !one_in(5); i++) {
		item = &p.items[(at + i) % p.num];
		if (item->tag.kind == ACCEL && item->mine)
			return item;
	}
	return any_of(ACCEL);
}

/* Mostly one that belongs to iommufd number @serial, if there is one */
static struct item *any_for(enum kind kind, __u32 serial)
{
	unsigned int i, at = rolled(ITEMS);
	struct item *item;

	if (one_in(5))
		return any_of(kind);
	for (i = 0; i < p.num; i++) {
		item = &p.items[(at + i) % p.num];
		if (item->tag.kind == kind && item->tag.serial == serial)
			return item;
	}
	return any_of(kind);
}

static __u32 any_vsid(void)
{
	return one_in(8) ? VSID_NAME(rolled(VSIDS)) : FIRST_VSID + rolled(VSIDS);
}

/* Players open descriptors */

static void open_iommufd(void)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.fd = arena->ram_fd,
		.length = GUEST_SIZE,
		.iova = GUEST_BASE,
	};
	struct tag tag = { .kind = IOMMUFD };
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioas_alloc(fd, &map.ioas_id)) {
		close(fd);
		return;
	}
	ioctl(fd, IOMMU_IOAS_MAP_FILE, &map);
	tag.ioas = map.ioas_id;
	tag.serial = atomic_fetch_add(&arena->serial, 1) + 1;
	add_item(fd, tag);
}

static void create(struct item *accel)
{
	struct smmuv3_accel_create arg = { .size = sizeof(arg) };
	struct item *iommufd = any_of(IOMMUFD);

	if (!accel || !iommufd)
		return;
	arg.flags = one_in(3) ? SMMUV3_ACCEL_CREATE_SHARED_ASIDS : 0;
	arg.iommufd = iommufd->dev.fd;
	arg.ioas_id = iommufd->tag.ioas;
	if (call(accel->dev.fd, SMMUV3_ACCEL_CREATE, &arg))
		return;
	if (accel->tag.serial)
		wrong("CREATE: bound a second time");
	accel->tag.serial = iommufd->tag.serial;
	accel->mine = true;
}

static void open_accel(void)
{
	int fd = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	struct item *accel;

	if (fd < 0)
		wrong("open: errno %d", errno);
	accel = add_item(fd, (struct tag){ .kind = ACCEL });
	if (accel && !one_in(8))
		create(accel);
}

static void create_some(void)
{
	create(any_of(ACCEL));
}

static void bind_some(void)
{
	struct item *cdev = any_of(CDEV), *iommufd = any_of(IOMMUFD);

	if (cdev && iommufd && !dma_bind(&cdev->dev, iommufd->dev.fd))
		cdev->tag.serial = iommufd->tag.serial;
}

/* A few stay without access; more of these would leave the test too little to do */
static struct item *open_cdev(void)
{
	struct tag tag = { .kind = CDEV, .dev = rolled(DEVICES) };
	struct item *cdev = add_item(dma_open_cdev(arena->bdf[tag.dev]), tag);
	struct item *iommufd = any_of(IOMMUFD);

	if (!cdev)
		return NULL;
	if (iommufd && !one_in(16) && !dma_bind(&cdev->dev, iommufd->dev.fd)) {
		cdev->tag.serial = iommufd->tag.serial;
	} else if (!one_in(8)) {
		drop_item(cdev);
		return NULL;
	}
	return cdev;
}

static void open_cdev_some(void)
{
	open_cdev();
}

/* Players use descriptors */

/* VFIO answers only through a file that has bound the device */
static bool has_access(struct item *cdev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !ioctl(cdev->dev.fd, VFIO_DEVICE_GET_INFO, &info);
}

static void attach(struct item *accel, struct item *cdev, __u32 vsid)
{
	struct smmuv3_accel_attach arg = { .size = sizeof(arg), .vsid = vsid };

	if (!accel || !cdev)
		return;
	arg.vfio_fd = one_in(16) ? any_item()->dev.fd : cdev->dev.fd;
	if (one_in(16)) {
		arg.vfio_fd = -1;
		arg.flags = SMMUV3_ACCEL_ATTACH_BRIDGE;
	}
	if (one_in(8))
		arg.flags |= SMMUV3_ACCEL_ATTACH_DRY_RUN;
	if (call(accel->dev.fd, SMMUV3_ACCEL_ATTACH, &arg) || arg.vfio_fd != cdev->dev.fd)
		return;
	if (!has_access(cdev))
		wrong("ATTACH: takes a file that has not bound the device");
	if (accel->tag.serial && cdev->tag.serial && accel->tag.serial != cdev->tag.serial)
		wrong("ATTACH: takes another iommufd's device");
}

static void attach_some(void)
{
	struct item *accel = any_vsmmu();

	attach(accel, accel ? any_for(CDEV, accel->tag.serial) : NULL, any_vsid());
}

static void detach_some(void)
{
	struct smmuv3_accel_detach arg = { .size = sizeof(arg), .vsid = any_vsid() };
	struct item *accel = any_vsmmu();

	if (accel)
		call(accel->dev.fd, SMMUV3_ACCEL_DETACH, &arg);
}

static void vsids_some(void)
{
	struct smmuv3_accel_vsid entries[2] = {
		{ any_vsid(), any_vsid() }, { any_vsid(), any_vsid() },
	};
	struct smmuv3_accel_set_vsids arg = {
		.size = sizeof(arg),
		.entry_num = 1 + rolled(2),
		.entries_uptr = (__u64)(unsigned long)entries,
	};
	struct item *accel = any_vsmmu();

	if (accel)
		call(accel->dev.fd, SMMUV3_ACCEL_SET_VSIDS, &arg);
}

static void install(struct item *accel, __u32 vsid)
{
	struct smmuv3_accel_ste entry = { .vsid = vsid };
	struct smmuv3_accel_install_ste arg = {
		.size = sizeof(arg),
		.entry_num = 1,
		.entry_len = sizeof(entry),
		.entries_uptr = (__u64)(unsigned long)&entry,
	};
	__u64 ste[8];

	if (!accel)
		return;
	if (one_in(2))
		ste_s1(ste, arena->cd);
	else
		ste_config(ste, one_in(3) ? STE_CFG_ABORT : STE_CFG_BYPASS);
	memcpy(entry.ste, ste, sizeof(ste));
	call(accel->dev.fd, SMMUV3_ACCEL_INSTALL_STE, &arg);
}

static void install_some(void)
{
	install(any_vsmmu(), any_vsid());
}

/* Several players may use a device at once, so all let it write to the same page */
static void dma(struct item *cdev)
{
	if (!cdev || (!cdev->dev.bar && dma_start(&cdev->dev)))
		return;
	if (!testdev_write(&cdev->dev, one_in(2) ? IOVA : arena->page))
		tally(DMAS);
}

/* Start as a VMM does. Purely random calls would rarely fit together */
static void start_some(void)
{
	__u32 vsid = any_vsid();
	struct item *accel, *cdev;

	if (!any_of(IOMMUFD))
		open_iommufd();
	open_cdev();
	cdev = any_of(CDEV);
	if (!cdev || !has_access(cdev))
		return;
	accel = any_for(ACCEL, cdev->tag.serial);
	if (!accel || !accel->mine) {
		open_accel();
		accel = any_for(ACCEL, cdev->tag.serial);
	}
	attach(accel, cdev, vsid);
	install(accel, vsid);
	dma(cdev);
}

/* Only a process that shows the iommufd can take the file over. The owner always may */
static void change_process_some(void)
{
	struct smmuv3_accel_change_process arg = { .size = sizeof(arg), .iommufd = -1 };
	struct item *accel = any_of(ACCEL), *shown;
	bool right = false;

	if (!accel)
		return;
	shown = any_for(IOMMUFD, accel->tag.serial);
	if (one_in(8))
		shown = any_item();
	if (shown && !one_in(16)) {
		arg.iommufd = shown->dev.fd;
		right = shown->tag.kind == IOMMUFD && shown->tag.serial == accel->tag.serial;
	}
	if (call(accel->dev.fd, SMMUV3_ACCEL_CHANGE_PROCESS, &arg))
		return;
	if (!accel->mine && accel->tag.serial) {
		if (!right)
			wrong("CHANGE_PROCESS: taken over without its iommufd");
		tally(TAKEOVERS);
	}
	accel->mine = true;
}

static void set_memory(struct item *accel)
{
	struct smmuv3_accel_mem_region region[2] = {
		{ GUEST_BASE, GUEST_SIZE, (__u64)(unsigned long)p.ram },
		{ TRAP_GPA, TRAP_SIZE, (__u64)(unsigned long)p.trap },
	};
	struct smmuv3_accel_mem_table arg = {
		.size = sizeof(arg),
		.region_num = p.trap ? 2 : 1,
		.regions_uptr = (__u64)(unsigned long)region,
	};

	if (one_in(16))
		region[0].uaddr = 1UL << 40;
	call(accel->dev.fd, SMMUV3_ACCEL_SET_MEM_TABLE, &arg);
}

static void set_regs(struct item *accel, __u64 cmdq_base, __u64 strtab_base)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = CR0_SMMUEN | CR0_CMDQEN,
		.strtab_base = strtab_base,
		.strtab_base_cfg = arena->strtab.base_cfg,
		.cmdq_base = cmdq_base,
	};

	if (one_in(16))
		arg.cr0 = rolled(16);
	call(accel->dev.fd, SMMUV3_ACCEL_SET_REGS, &arg);
}

static void run(struct item *accel)
{
	struct smmuv3_accel_run_cmdq arg = {
		.size = sizeof(arg),
		.cons = rolled(2U << RING_LOG2SIZE),
	};

	arg.prod = (arg.cons + rolled(1U << RING_LOG2SIZE)) & ((2U << RING_LOG2SIZE) - 1);
	call(accel->dev.fd, SMMUV3_ACCEL_RUN_CMDQ, &arg);
}

static void regs_some(void)
{
	struct item *accel = any_vsmmu();

	if (!accel)
		return;
	if (!one_in(4))
		set_memory(accel);
	set_regs(accel, arena->ring.base | arena->ring.log2size, arena->strtab.base);
}

static void run_some(void)
{
	struct item *accel = any_vsmmu();

	if (accel)
		run(accel);
}

static void invalidate_some(void)
{
	struct cmd cmds[3] = {
		cmd_tlbi_va(ASID, IOVA, true), cmd_cfgi_cd_all(any_vsid()), cmd_sync(),
	};
	struct smmuv3_accel_invalidate arg = {
		.size = sizeof(arg),
		.cmd_num = ARRAY_LEN(cmds),
		.cmds_uptr = (__u64)(unsigned long)cmds,
	};
	struct item *accel = any_vsmmu();

	if (accel)
		call(accel->dev.fd, SMMUV3_ACCEL_INVALIDATE, &arg);
}

static void look_some(void)
{
	struct smmuv3_accel_stream stream = { .size = sizeof(stream), .vsid = any_vsid() };
	struct smmuv3_accel_phys phys = { .size = sizeof(phys), .index = rolled(3) };
	struct smmuv3_accel_stats stats = { .size = sizeof(stats) };
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	struct item *accel = any_vsmmu();

	if (!accel)
		return;
	switch (rolled(4)) {
	case 0:
		call(accel->dev.fd, SMMUV3_ACCEL_GET_INFO, &info);
		break;
	case 1:
		call(accel->dev.fd, SMMUV3_ACCEL_GET_PHYS, &phys);
		break;
	case 2:
		call(accel->dev.fd, SMMUV3_ACCEL_GET_STATS, &stats);
		break;
	default:
		call(accel->dev.fd, SMMUV3_ACCEL_GET_STREAM, &stream);
		break;
	}
}

static void reset_some(void)
{
	struct smmuv3_accel_reset arg = { .size = sizeof(arg) };
	struct item *accel = any_vsmmu(), *cdev = any_of(CDEV);

	if (accel && one_in(2))
		call(accel->dev.fd, SMMUV3_ACCEL_RESET, &arg);
	else if (cdev)
		ioctl(cdev->dev.fd, VFIO_DEVICE_RESET);
}

static void dma_some(void)
{
	dma(any_of(CDEV));
}

/* Players pass descriptors on */

static void send_item(struct item *item)
{
	if (fds_send(arena->box[rolled(BOXES)][0], &item->dev.fd, 1, &item->tag,
		     sizeof(item->tag), MSG_DONTWAIT))
		return;
	tally(SENT);
	if (one_in(2))
		drop_item(item);
}

static void send_some(void)
{
	struct item *item = any_item();

	if (item)
		send_item(item);
}

/* A descriptor from a box, or -1 */
int take_from(int box, struct tag *tag)
{
	int fd;

	return fds_receive(arena->box[box][1], &fd, 1, tag, sizeof(*tag), MSG_DONTWAIT) ? -1 : fd;
}

static void receive_some(void)
{
	struct tag tag;
	int fd;

	if (p.num == ITEMS)
		return;
	fd = take_from(rolled(BOXES), &tag);
	if (fd < 0)
		return;
	add_item(fd, tag);
	tally(RECEIVED);
}

static void close_some(void)
{
	struct item *item = any_item();

	if (item && (p.num > ITEMS / 2 || one_in(2)))
		drop_item(item);
}

static void dup_some(void)
{
	struct item *item = any_item();

	if (item && p.num < ITEMS)
		add_item(fcntl(item->dev.fd, F_DUPFD_CLOEXEC, 0), item->tag);
}

struct slot *free_slot(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (!atomic_exchange(&arena->slot[i].taken, true))
			return &arena->slot[i];
	return NULL;
}

/* A scratch mapping of this process; 0: none */
static unsigned long find_scratch(unsigned long *len)
{
	unsigned long found = 0, start, end;
	unsigned int seen = 0;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, SCRATCH) || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (one_in(++seen)) {
			found = start;
			*len = end - start;
		}
	}
	if (f)
		fclose(f);
	return found;
}

/* The new player is a child of the process that kills players */
static void fork_some(void)
{
	struct slot *slot = free_slot();
	unsigned long len;
	unsigned int i;
	long pid;

	if (!slot)
		return;
	slot->num = 0;
	pid = syscall(SYS_clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, 0, &slot->pid, 0, 0);
	if (pid < 0)
		atomic_store(&slot->taken, false);
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tally(FORKS);
	p.slot = slot;
	p.random ^= (slot->pid + 1) * 0x9e3779b97f4a7c15ULL;
	if (find_scratch(&len))
		wrong("fork: the child has a scratch mapping");
	for (i = 0; i < p.num; i++)
		p.items[i].mine = false;
	while (p.num && one_in(2))
		drop_item(&p.items[rolled(p.num)]);
}

static void set_alarm(long us)
{
	const struct itimerval timer = { { 0, us }, { 0, us } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Continues in player() */
static void exec_some(void)
{
	char arena_fd[16], slot[16];
	struct slot *to = p.slot;
	unsigned int i;

	to->num = 0;
	for (i = 0; i < p.num; i++) {
		if (one_in(4))
			continue;
		fcntl(p.items[i].dev.fd, F_SETFD, 0);
		to->fds[to->num] = p.items[i].dev.fd;
		to->tags[to->num++] = p.items[i].tag;
	}
	snprintf(arena_fd, sizeof(arena_fd), "%d", arena->fd);
	snprintf(slot, sizeof(slot), "%d", (int)(to - arena->slot));
	set_alarm(0);
	execl("/proc/self/exe", "pass", "--player", arena_fd, slot, NULL);
	wrong("exec: errno %d", errno);
	_exit(1);
}

/* Players take memory away */

/* Memory whose missing pages another process provides, or none */
static void trap_open(void)
{
	int fd = uffd_open();
	struct item *uffd;
	char *trap;

	if (fd < 0)
		return;
	trap = mmap(NULL, TRAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (trap == MAP_FAILED || uffd_register(fd, (unsigned long)trap, TRAP_SIZE)) {
		close(fd);
		return;
	}
	p.trap = trap;
	uffd = add_item(fd, (struct tag){ .kind = UFFD });
	if (uffd)
		send_item(uffd);
}

/* Have the module read there */
static void trap_some(void)
{
	struct item *accel = any_vsmmu();

	if (!p.trap)
		trap_open();
	if (!p.trap || !accel || !accel->mine)
		return;
	madvise(p.trap, TRAP_SIZE, MADV_DONTNEED);
	set_memory(accel);
	set_regs(accel, TRAP_GPA | RING_LOG2SIZE, one_in(4) ? TRAP_GPA : arena->strtab.base);
	run(accel);
}

static void fault_some(void)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	struct item *uffd = any_of(UFFD);
	struct uffd_msg msg;

	if (!uffd || read(uffd->dev.fd, &msg, sizeof(msg)) != sizeof(msg))
		return;
	if (!uffd_give(uffd->dev.fd, msg.arg.pagefault.address & -page, NULL, page))
		tally(FAULTS);
}

/* Map guest memory elsewhere, without SET_MEM_TABLE */
static void memory_moves(void)
{
	if (!p.ram || one_in(2)) {
		if (p.ram)
			munmap(p.ram, GUEST_SIZE);
		p.ram = guest_map_memfd(arena->ram_fd);
	} else {
		munmap(p.ram, GUEST_SIZE);
		p.ram = NULL;
	}
}

/* A userfaultfd must not get hold of the scratch mappings */
static void scratch_faults(unsigned long start, unsigned long len)
{
	int fd = uffd_open();

	if (fd < 0)
		return;
	if (!uffd_register(fd, start, len))
		wrong("userfaultfd: takes the scratch mapping");
	close(fd);
}

static void scratch_some(void)
{
	unsigned long len = 0, page = sysconf(_SC_PAGESIZE);
	char *start = (char *)find_scratch(&len);

	if (!start)
		return;
	tally(SCRATCHES);
	switch (rolled(8)) {
	case 0:
		munmap(start, len);
		break;
	case 1:
		if (len > page && !munmap(start, page))
			wrong("munmap: takes a part of the scratch mapping");
		break;
	case 2:
		if (mremap(start, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, start + (1UL << 30)) !=
		    MAP_FAILED)
			wrong("mremap: moves the scratch mapping");
		break;
	case 3:
		if (len > page && !mprotect(start, page, PROT_NONE))
			wrong("mprotect: takes a part of the scratch mapping");
		break;
	case 4:
		mmap(start, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0);
		break;
	case 5:
		madvise(start, len, MADV_DONTNEED);
		break;
	case 6:
		scratch_faults((unsigned long)start, len);
		break;
	default:
		memset(start, rolled(256), len);
		break;
	}
}

/* What a VMM can do to the module's objects behind its back */
static void meddle_some(void)
{
	struct item *iommufd = any_of(IOMMUFD), *cdev = any_of(CDEV);
	__u32 id = 1 + rolled(24);

	if (!arena->meddle || !iommufd || !cdev)
		return;
	switch (rolled(4)) {
	case 0:
		dma_attach_pt(&cdev->dev, one_in(2) ? iommufd->tag.ioas : id);
		break;
	case 1:
		dma_detach_pt(&cdev->dev);
		break;
	default:
		if (id != iommufd->tag.ioas)
			iommufd_destroy(iommufd->dev.fd, id);
		break;
	}
}

static const struct {
	void (*act)(void);
	unsigned int weight;
} acts[] = {
	{ start_some, 10 }, { open_iommufd, 1 }, { open_accel, 3 }, { create_some, 3 },
	{ open_cdev_some, 4 }, { bind_some, 3 }, { attach_some, 12 }, { detach_some, 4 },
	{ vsids_some, 4 }, { install_some, 12 }, { change_process_some, 8 }, { regs_some, 6 },
	{ run_some, 10 }, { invalidate_some, 6 }, { look_some, 4 }, { reset_some, 1 },
	{ dma_some, 12 }, { send_some, 14 }, { receive_some, 14 }, { close_some, 8 },
	{ dup_some, 2 }, { fork_some, 3 }, { exec_some, 1 }, { trap_some, 2 },
	{ fault_some, 8 }, { memory_moves, 2 }, { scratch_some, 3 }, { meddle_some, 4 },
};

/* Until the player is killed, or for some time */
void play(void)
{
	unsigned int i, total = 0, at;

	interrupt_on(SIGALRM);
	if (one_in(2))
		set_alarm(1000 + rolled(5000));
	p.ram = guest_map_memfd(arena->ram_fd);
	for (i = 0; i < ARRAY_LEN(acts); i++)
		total += acts[i].weight;
	while (!one_in(2000)) {
		at = rolled(total);
		for (i = 0; at >= acts[i].weight; i++)
			at -= acts[i].weight;
		acts[i].act();
		atomic_fetch_add(&arena->actions, 1);
	}
	_exit(0);
}

/* A player after exec(), with the descriptors that it took through it */
int player(int fd, int slot)
{
	unsigned int i;

	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (arena == MAP_FAILED)
		return 1;
	tally(EXECS);
	p.slot = &arena->slot[slot];
	p.random = (arena->seed + now_ns()) | 1;
	for (i = 0; i < p.slot->num; i++) {
		fcntl(p.slot->fds[i], F_SETFD, FD_CLOEXEC);
		add_item(p.slot->fds[i], p.slot->tags[i]);
	}
	play();
}
