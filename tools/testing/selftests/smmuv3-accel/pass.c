// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile processes that pass descriptors among each other: accel files, iommufds
 * and VFIO devices go by fork(), by exec() and by SCM_RIGHTS, whoever has them uses
 * and closes them, and processes are killed at random. Nobody is stuck by that, no
 * device goes on doing DMA whose accel file is closed, no authority comes with the
 * accel file alone, and a well-behaved VMM beside does not notice.
 *
 * SMMUV3_ACCEL_ROUNDS: in each ten of them a process is killed
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
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
#include <sys/wait.h>
#include <linux/iommufd.h>
#include <linux/userfaultfd.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_ROUNDS	3000
#define DEFAULT_SEED	0x5eed
#define REPORTS		32	/* kinds of them, and */
#define MAX_REPORTS	3	/* how many of a kind */
#define BOUND_NS	10000000000ULL	/* longer than that is stuck */

#define DEVICES		3
#define FIRST_DEVICE	1	/* the neighbour has number 0 */
#define PLAYERS		4	/* there are this many, and by fork() up to */
#define SLOTS		6
#define ITEMS		20	/* descriptors of a player */
#define BOXES		3
#define LIFE		160	/* the most that they do between two kills */
#define IDLE_NS		50000000ULL	/* they wait for each other, or for a page */
#define SETTLE		25	/* kills, then all end and are looked at */
#define VSIDS		3
#define FIRST_VSID	0x20

#define IOVA		0x20000000ULL
#define ASID		3
#define RING_LOG2SIZE	6
#define STRTAB_LOG2SIZE	8
#define CANARY		0xc0c0c0c0U
#define TRAP_GPA	0x90000000ULL
#define TRAP_SIZE	8192UL
#define SCRATCH		"[smmuv3-accel]"

enum kind { NOTHING, ACCEL, IOMMUFD, CDEV, UFFD };

/**
 * struct tag - What is known of a descriptor; goes where that goes
 * @kind: enum kind
 * @dev: of a device: which
 * @serial: the number of an iommufd: itself, or that which it is bound to, which
 *	never changes. 0: not known
 * @ioas: of an iommufd: its IOAS
 */
struct tag {
	__u32 kind;
	__u32 dev;
	__u32 serial;
	__u32 ioas;
};

/**
 * struct item - A descriptor that a player has
 * @dev: what of it is a device, fd included
 * @tag: what it is
 * @mine: an accel file that this process bound or took over
 */
struct item {
	struct dma_dev dev;
	struct tag tag;
	bool mine;
};

/**
 * struct slot - Room for a player
 * @taken: not free
 * @pid: who is in it, or 0
 * @num: how many descriptors it takes through exec()
 * @fds: these
 * @tags: and what they are
 */
struct slot {
	atomic_bool taken;
	pid_t pid;
	unsigned int num;
	int fds[ITEMS];
	struct tag tags[ITEMS];
};

/* The ioctls, and what besides is counted: it happened, so the test means something */
enum count {
	CALLS = 16, DMAS, SENT, RECEIVED, FORKS, EXECS, TAKEOVERS, SCRATCHES, FAULTS,
	KILLS, HELD, CYCLES, COUNTS
};

static const char * const count_names[COUNTS] = {
	"GET_INFO", "CREATE", "SET_IDR", "SET_MEM_TABLE", "ATTACH", "DETACH", "GET_PHYS",
	"GET_STREAM", "INSTALL_STE", "INVALIDATE", "SET_REGS", "RUN_CMDQ", "RESET",
	"GET_STATS", "CHANGE_PROCESS",
	[CALLS] = "calls", [DMAS] = "DMAs", [SENT] = "sent", [RECEIVED] = "received",
	[FORKS] = "forks", [EXECS] = "execs", [TAKEOVERS] = "taken over",
	[SCRATCHES] = "scratch mappings spoilt", [FAULTS] = "faults answered",
	[KILLS] = "kills", [HELD] = "devices held after a close", [CYCLES] = "unbound",
};

/* All that processes share; a memfd, so that it outlives exec() */
struct arena {
	__u64 seed;
	__u64 rounds;
	bool meddle;
	int fd;
	int ram_fd;		/* of the one guest memory that all VMMs map */
	int box[BOXES][2];	/* sockets: to send to, to receive from */
	__u64 cd;
	__u64 page;		/* where IOVA leads to */
	struct strtab strtab;
	struct ring ring;
	__u64 canaries;
	__u64 canaries_len;
	char bdf[DEVICES][16];
	atomic_int failures;
	atomic_int reports[REPORTS];
	atomic_bool stuck;
	atomic_uint serial;	/* of the newest iommufd */
	atomic_uint actions;
	atomic_uint count[COUNTS];
	struct slot slot[SLOTS];
};

static struct arena *arena;

/* The player that this process is */
static struct {
	struct slot *slot;
	__u64 random;
	unsigned int num;
	struct item items[ITEMS];
	char *ram;
	char *trap;		/* memory that a userfaultfd gives */
} p;

static void __printf(1, 2) wrong(const char *format, ...)
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

static void tally(enum count what)
{
	atomic_fetch_add(&arena->count[what], 1);
}

static __u32 rolled(__u32 sides)
{
	return roll(&p.random, sides);
}

static bool one_in(__u32 sides)
{
	return !rolled(sides);
}

static void breathe(void)
{
	const struct timespec wait = { .tv_nsec = 200000 };

	nanosleep(&wait, NULL);
}

/* What is documented */

#define GENERAL	EINVAL, EOPNOTSUPP, EFAULT, ENXIO, EIO, ENOENT, EINTR, ENOMEM
#define STREAM	EBUSY, ENODEV

/* By number: what an ioctl may return, up to a 0, and where its out_reason is */
static const struct {
	int errnos[16];
	size_t reason;
} calls[] = {
#define CALL(_name, _struct, ...) \
	[_IOC_NR(SMMUV3_ACCEL_##_name)] = { { __VA_ARGS__ }, \
		offsetof(struct smmuv3_accel_##_struct, out_reason) }
	[_IOC_NR(SMMUV3_ACCEL_GET_INFO)] = { { GENERAL } },
	CALL(CREATE, create, GENERAL, EBADF, EBUSY),
	CALL(SET_IDR, set_idr, GENERAL, EBUSY),
	[_IOC_NR(SMMUV3_ACCEL_SET_MEM_TABLE)] = { { GENERAL } },
	CALL(ATTACH, attach, GENERAL, STREAM, EBADF, EEXIST, ENOSPC),
	CALL(DETACH, detach, GENERAL),
	[_IOC_NR(SMMUV3_ACCEL_GET_PHYS)] = { { GENERAL } },
	CALL(GET_STREAM, stream, GENERAL),
	CALL(INSTALL_STE, install_ste, GENERAL, STREAM),
	CALL(INVALIDATE, invalidate, GENERAL, ETIMEDOUT),
	CALL(SET_REGS, set_regs, GENERAL, STREAM),
	CALL(RUN_CMDQ, run_cmdq, GENERAL, STREAM, ETIMEDOUT),
	CALL(RESET, reset, GENERAL),
	[_IOC_NR(SMMUV3_ACCEL_GET_STATS)] = { { GENERAL } },
	CALL(CHANGE_PROCESS, change_process, EINVAL, EOPNOTSUPP, EFAULT, ENXIO, EINTR, ENOMEM,
	     EBADF),
};

static bool errno_is_documented(unsigned int nr, int error)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(calls[nr].errnos) && calls[nr].errnos[i]; i++)
		if (calls[nr].errnos[i] == error)
			return true;
	/* What the VMM did to the host's objects without the module */
	return arena->meddle && (error == EIO || error == ENODEV || error == EBUSY ||
				 error == ENOSPC || error == EEXIST);
}

/* Make a call that has nothing wrong but what it is made on. Returns its errno */
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
	if (calls[nr].reason)
		memcpy(&reason, (char *)arg + calls[nr].reason, sizeof(reason));
	if (!errno_is_documented(nr, error))
		wrong("%s: errno %d, reason %u: not documented", count_names[nr], error, reason);
	else if (error == EIO && !arena->meddle && calls[nr].reason &&
		 reason != SMMUV3_ACCEL_REASON_FOREIGN_MM)
		wrong("%s: EIO for reason %u", count_names[nr], reason);
	return error;
}

/* A player's descriptors */

static struct item *add_item(int fd, struct tag tag)
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

static void drop_item(struct item *item)
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

/* Mostly one that this process may call, if there is one */
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
	return FIRST_VSID + rolled(VSIDS);
}

/* Descriptors are made */

static void open_iommufd(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
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

	if (fd < 0 || ioctl(fd, IOMMU_IOAS_ALLOC, &alloc)) {
		close(fd);
		return;
	}
	map.ioas_id = alloc.out_ioas_id;
	ioctl(fd, IOMMU_IOAS_MAP_FILE, &map);
	tag.ioas = alloc.out_ioas_id;
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

/* Some stay without access, but most of those would be in the way. */
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

/* They are used */

/* VFIO answers nothing through a file that it has not granted the device. */
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

/* Several may use a device at once: where it writes, all of them want it to. */
static void dma(struct item *cdev)
{
	if (!cdev || (!cdev->dev.bar && dma_start(&cdev->dev)))
		return;
	if (!testdev_write(&cdev->dev, one_in(2) ? IOVA : arena->page))
		tally(DMAS);
}

/* What a VMM does at first, as otherwise too little would ever fit together */
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

/*
 * The one who shows the iommufd takes the file over, and nobody else. To its owner
 * nothing happens anyway.
 */
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

/* They go elsewhere */

static void send_item(struct item *item)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec data = { .iov_base = &item->tag, .iov_len = sizeof(item->tag) };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &item->dev.fd, sizeof(int));
	if (sendmsg(arena->box[rolled(BOXES)][0], &msg, MSG_DONTWAIT) < 0)
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

/* What lies in a box, or -1 */
static int take_from(int box, struct tag *tag)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec data = { .iov_base = tag, .iov_len = sizeof(*tag) };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(arena->box[box][1], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*tag) ||
	    msg.msg_controllen < CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
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

static struct slot *free_slot(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (!atomic_exchange(&arena->slot[i].taken, true))
			return &arena->slot[i];
	return NULL;
}

/* A scratch mapping of this process, 0: none */
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

/* Each player is a child of the one who kills them. */
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

/* The other end is player() */
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

/* Memory is taken away */

/* Memory in which a missing page is somebody else's to give, or nobody's */
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

/* Let the module go there. */
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

/* Guest memory goes elsewhere, and the module is not told. */
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

/* No userfaultfd may come between the module and its own memory. */
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

/* What a VMM can do to the module's objects without the module */
static void meddle_some(void)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct item *iommufd = any_of(IOMMUFD), *cdev = any_of(CDEV);
	__u32 id = 1 + rolled(24);

	if (!arena->meddle || !iommufd || !cdev)
		return;
	switch (rolled(4)) {
	case 0:
		attach.pt_id = one_in(2) ? iommufd->tag.ioas : id;
		ioctl(cdev->dev.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
		break;
	case 1:
		ioctl(cdev->dev.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
		break;
	default:
		if (id != iommufd->tag.ioas)
			iommufd_destroy(iommufd->dev.fd, id);
		break;
	}
}

/* A player's life */

static const struct {
	void (*act)(void);
	unsigned int weight;
} acts[] = {
	{ start_some, 10 }, { open_iommufd, 1 }, { open_accel, 3 }, { create_some, 3 },
	{ open_cdev_some, 4 }, { bind_some, 3 }, { attach_some, 12 }, { detach_some, 4 },
	{ install_some, 12 }, { change_process_some, 8 }, { regs_some, 6 },
	{ run_some, 10 }, { invalidate_some, 6 }, { look_some, 4 }, { reset_some, 1 },
	{ dma_some, 12 }, { send_some, 14 }, { receive_some, 14 }, { close_some, 8 },
	{ dup_some, 2 }, { fork_some, 3 }, { exec_some, 1 }, { trap_some, 2 },
	{ fault_some, 8 }, { memory_moves, 2 }, { scratch_some, 3 }, { meddle_some, 4 },
};

static void nothing(int signal)
{
}

/* Until it is killed, or for some time */
static void __attribute__((noreturn)) play(void)
{
	const struct sigaction action = { .sa_handler = nothing };
	unsigned int i, total = 0, at;

	sigaction(SIGALRM, &action, NULL);
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

/* A player goes on after exec() with the descriptors that it has been left. */
static int player(int fd, int slot)
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

/* The process that starts and kills them */

static int share(__u64 seed, __u64 rounds, bool meddle, struct guest *g)
{
	int fd = memfd_create("arena", 0), i, rc;

	if (fd < 0 || ftruncate(fd, sizeof(*arena)))
		return -errno;
	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (arena == MAP_FAILED)
		return -errno;
	arena->fd = fd;
	arena->seed = seed;
	arena->rounds = rounds;
	arena->meddle = meddle;
	p.random = seed;
	arena->ram_fd = memfd_create("ram", 0);
	if (arena->ram_fd < 0 || ftruncate(arena->ram_fd, GUEST_SIZE))
		return -errno;
	for (i = 0; i < BOXES; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, arena->box[i]))
			return -errno;
	rc = guest_open_memfd(g, arena->ram_fd);
	for (i = 0; i < DEVICES && !rc; i++)
		rc = dma_find(DMA_TESTDEV, FIRST_DEVICE + i, arena->bdf[i]);
	return rc;
}

static int lay_out(struct guest *g)
{
	struct pgtable pt;
	unsigned int i;
	__u64 ste[8];
	int rc;

	rc = strtab_init(&arena->strtab, g, STRTAB_LOG2SIZE, 0);
	if (!rc)
		rc = ring_init(&arena->ring, g, RING_LOG2SIZE);
	if (rc)
		return rc;
	arena->page = guest_alloc(g, 4096);
	arena->cd = guest_alloc(g, 64);
	pgtable_init(&pt, g, GRANULE_4K);
	pgtable_map(&pt, IOVA, arena->page, PTE_NOT_GLOBAL);
	cd_write(g, arena->cd, &pt, ASID);
	ste_s1(ste, arena->cd);
	for (i = 0; i < VSIDS; i++)
		strtab_write(&arena->strtab, FIRST_VSID + i, ste);
	for (i = 0; i < 1U << RING_LOG2SIZE; i += 4) {
		*ring_slot(&arena->ring, i) = cmd_tlbi_va(ASID, IOVA, true);
		*ring_slot(&arena->ring, i + 1) = cmd_cfgi_ste(FIRST_VSID + i / 4 % VSIDS, true);
		*ring_slot(&arena->ring, i + 2) = i % 16 ? cmd_tlbi_asid(ASID) : cmd_cfgi_all();
		*ring_slot(&arena->ring, i + 3) = cmd_sync();
	}
	arena->canaries_len = 4ULL << 20;
	arena->canaries = guest_alloc(g, arena->canaries_len);
	if (!arena->canaries)
		return -ENOMEM;
	memset(guest_ptr(g, arena->canaries), CANARY & 0xff, arena->canaries_len);
	return 0;
}

static void check_canaries(struct guest *g)
{
	const __u32 *word = guest_ptr(g, arena->canaries);
	__u64 i;

	for (i = 0; i < arena->canaries_len / 4; i++)
		if (word[i] != CANARY)
			wrong("DMA reached %#llx, which no table maps", arena->canaries + 4 * i);
}

static void show(const char *file, pid_t pid)
{
	char path[64], text[2048];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	dprintf(STDERR_FILENO, "# %s: %s\n", path, text);
}

/* Frees the slot of a player that has ended */
static void player_ended(pid_t pid, int status)
{
	unsigned int i;

	/* A device that is reset, or goes, takes its registers away. */
	if (status && !(WIFSIGNALED(status) &&
			(WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS)))
		wrong("a player ended with status %#x", status);
	for (i = 0; i < SLOTS; i++) {
		if (arena->slot[i].pid == pid) {
			arena->slot[i].pid = 0;
			atomic_store(&arena->slot[i].taken, false);
		}
	}
}

/* Wait for a child that has been killed, or has little to do. Its status, or -1 */
static int reap(pid_t pid, const char *what)
{
	__u64 began = now_ns();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ns() - began > BOUND_NS) {
			wrong("%s: does not end", what);
			show("stack", pid);
			show("wchan", pid);
			atomic_store(&arena->stuck, true);
			return -1;
		}
		breathe();
	}
	return status;
}

static void start_player(struct guest *g)
{
	struct slot *slot = free_slot();
	pid_t pid;

	if (!slot)
		return;
	random_next(&p.random);
	pid = fork();
	if (pid < 0) {
		wrong("fork: errno %d", errno);
		atomic_store(&slot->taken, false);
	}
	if (pid > 0)
		slot->pid = pid;
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(g->iommufd);
	p.slot = slot;
	play();
}

static void kill_one(void)
{
	unsigned int i, at = rolled(SLOTS);
	pid_t pid = 0;

	for (i = 0; i < SLOTS && !pid; i++)
		pid = arena->slot[(at + i) % SLOTS].pid;
	if (!pid)
		return;
	if (one_in(16)) {
		/* It has what it has, and does nothing any more. */
		kill(pid, SIGSTOP);
		return;
	}
	kill(pid, SIGKILL);
	i = reap(pid, "a player that was killed");
	if ((int)i != -1)
		player_ended(pid, i);
	tally(KILLS);
}

/* Let them do something, and see that there are enough of them. */
static void wait_and_start(struct guest *g)
{
	unsigned int now = atomic_load(&arena->actions), until = now + rolled(LIFE), last;
	__u64 began = now_ns();
	unsigned int i, num = 0;
	int status;
	pid_t pid;

	while ((int)(until - now) > 0 && now_ns() - began < IDLE_NS) {
		breathe();
		last = now;
		now = atomic_load(&arena->actions);
		if (now != last)
			began = now_ns();
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		player_ended(pid, status);
	for (i = 0; i < SLOTS; i++)
		num += !!arena->slot[i].pid;
	for (; num < PLAYERS; num++)
		start_player(g);
}

/* Nobody is left, also not who was being forked. */
static void kill_all(void)
{
	__u64 began = now_ns();
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) >= 0) {
		if (pid) {
			player_ended(pid, status);
			continue;
		}
		for (i = 0; i < SLOTS; i++)
			if (arena->slot[i].pid)
				kill(arena->slot[i].pid, SIGKILL);
		if (now_ns() - began > BOUND_NS) {
			for (i = 0; i < SLOTS; i++)
				if (arena->slot[i].pid)
					reap(arena->slot[i].pid, "one of all that were killed");
			return;
		}
		breathe();
	}
	for (i = 0; i < SLOTS; i++) {
		arena->slot[i].pid = 0;
		atomic_store(&arena->slot[i].taken, false);
	}
}

/*
 * With all accel files closed, a device that somebody still has does nothing. In
 * the boxes is what is left of all files.
 */
static void check_held(void)
{
	struct tag tag;
	int box, fd;
	unsigned int i;

	for (box = 0; box < BOXES; box++) {
		while ((fd = take_from(box, &tag)) >= 0) {
			if (tag.kind == ACCEL)
				close(fd);
			else
				add_item(fd, tag);
		}
	}
	for (i = 0; i < p.num && !arena->meddle; i++) {
		struct dma_dev *dev = &p.items[i].dev;

		if (p.items[i].tag.kind != CDEV || dma_start(dev))
			continue;
		if (testdev_write(dev, IOVA) != -EFAULT ||
		    testdev_write(dev, arena->page) != -EFAULT)
			wrong("device %u: goes on after the accel file was closed",
			      p.items[i].tag.dev);
		tally(HELD);
	}
	while (p.num)
		drop_item(&p.items[0]);
}

/* A device is free as soon as all descriptors are closed, blocked, and works. */
static void check_free(struct guest *g, unsigned int i)
{
	struct dma_dev dev = { .kind = DMA_TESTDEV, .fd = -1 };
	struct smmuv3_accel_attach attach;
	__u64 began = now_ns(), ste[8];
	__u32 reason;
	int rc;

	while ((rc = dma_open(&dev, g->iommufd, DMA_TESTDEV, FIRST_DEVICE + i))) {
		if (now_ns() - began > BOUND_NS) {
			wrong("device %u: not free: %d", i, rc);
			atomic_store(&arena->stuck, true);
			return;
		}
		breathe();
	}
	if (testdev_write(&dev, arena->page) != -EFAULT)
		wrong("device %u: not blocked when it is bound", i);
	rc = guest_create(g);
	if (!rc)
		rc = accel_attach(g, dev.fd, FIRST_VSID, &attach);
	ste_config(ste, STE_CFG_BYPASS);
	if (!rc)
		rc = accel_install(g, FIRST_VSID, ste, &reason);
	if (!rc)
		rc = testdev_write(&dev, arena->page);
	if (rc)
		wrong("device %u: does not work for the next VMM: %d", i, rc);
	close(g->accel);
	g->accel = -1;
	if (testdev_write(&dev, arena->page) != -EFAULT)
		wrong("device %u: not blocked when the file is closed", i);
	dma_close(&dev);
}

/* The host takes a device from vfio-pci, and gives it back. */
static void cycle(const char *bdf)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (sysfs_write("/sys/bus/pci/drivers/vfio-pci/unbind", bdf))
			_exit(1);
		_exit(sysfs_write("/sys/bus/pci/drivers_probe", bdf) ? 2 : 0);
	}
	status = reap(pid, "the host's unbinding of a device");
	if (status > 0)
		wrong("%s: cannot be unbound and bound again: status %#x", bdf, status);
	tally(CYCLES);
}

static void settle(struct guest *g)
{
	unsigned int i;

	kill_all();
	if (arena->stuck)
		return;
	check_held();
	i = rolled(DEVICES);
	if (one_in(4))
		cycle(arena->bdf[i]);
	for (i = 0; i < DEVICES && !arena->stuck; i++)
		check_free(g, i);
	check_canaries(g);
}

static void report(void)
{
	unsigned int i;

	fprintf(stderr, "# %u actions", arena->actions);
	for (i = 0; i < COUNTS; i++)
		if (count_names[i])
			fprintf(stderr, ", %u %s", arena->count[i], count_names[i]);
	fprintf(stderr, "\n");
}

/* Few rounds may by chance miss something. */
static void check_coverage(void)
{
	static const unsigned int wanted[] = {
		_IOC_NR(SMMUV3_ACCEL_ATTACH), _IOC_NR(SMMUV3_ACCEL_DETACH),
		_IOC_NR(SMMUV3_ACCEL_INSTALL_STE), _IOC_NR(SMMUV3_ACCEL_RUN_CMDQ),
		DMAS, RECEIVED, FORKS, EXECS, TAKEOVERS, FAULTS, KILLS, CYCLES,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(wanted) && arena->rounds >= DEFAULT_ROUNDS; i++)
		if (!arena->count[wanted[i]])
			wrong("it never came to this: %s", count_names[wanted[i]]);
}

static int hostile(__u64 seed, __u64 rounds, bool meddle)
{
	struct guest g;
	__u64 i;
	int rc;

	rc = share(seed, rounds, meddle, &g);
	if (!rc)
		rc = lay_out(&g);
	if (rc) {
		fprintf(stderr, "# set-up: %d\n", rc);
		return 1;
	}
	for (i = 0; i < rounds / 10 && !arena->stuck; i++) {
		wait_and_start(&g);
		kill_one();
		if (i % SETTLE == SETTLE - 1)
			settle(&g);
	}
	settle(&g);
	for (i = 0; i < DEVICES && !arena->stuck; i++)
		cycle(arena->bdf[i]);
	report();
	if (!arena->stuck)
		check_coverage();
	return !!arena->failures;
}

/* This process has a vSMMU that is none of their business. */

FIXTURE(pass)
{
	__u64 seed;
	__u64 rounds;
};

FIXTURE_VARIANT(pass)
{
	bool meddle;
};

FIXTURE_VARIANT_ADD(pass, descriptors) {};
FIXTURE_VARIANT_ADD(pass, descriptors_and_meddling) { .meddle = true };

FIXTURE_SETUP(pass)
{
	char bdf[16];

	if (dma_find(DMA_TESTDEV, FIRST_DEVICE + DEVICES - 1, bdf))
		SKIP(return, "wants %u iommu-testdevs", FIRST_DEVICE + DEVICES);
	self->seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	self->rounds = env_number("SMMUV3_ACCEL_ROUNDS", DEFAULT_ROUNDS);
}

FIXTURE_TEARDOWN(pass)
{
}

/* Each device, for the VMM that comes next */
static int all_work(void)
{
	struct neighbour n;
	int i, rc;

	for (i = 0; i < FIRST_DEVICE + DEVICES; i++) {
		rc = neighbour_open(&n, i);
		if (rc)
			return rc;
		rc = neighbour_turn(&n);
		neighbour_close(&n);
		if (rc)
			return rc;
	}
	return 0;
}

TEST_F_TIMEOUT(pass, harms_nobody, 7200)
{
	char parameters[128];
	struct neighbour n;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(hostile(self->seed, self->rounds, variant->meddle));
	ASSERT_EQ(0, neighbour_open(&n, 0));
	EXPECT_EQ(0, neighbour_watch(&n, pid, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, neighbour_turn(&n));
	fprintf(stderr, "# the neighbour had %u turns, its longest doorbell took %llu us\n",
		n.turns, n.longest / 1000);
	EXPECT_LT(10, n.turns);
	EXPECT_GT(BOUND_NS, n.longest);
	neighbour_close(&n);
	EXPECT_EQ(0, all_work());

	if (module_parameters(parameters, sizeof(parameters)) || access(MODULE, R_OK))
		return;
	ASSERT_EQ(0, module_unload());
	ASSERT_EQ(0, module_load(parameters));
	EXPECT_EQ(0, all_work());
}

#define main harness_main
TEST_HARNESS_MAIN
#undef main

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--player"))
		return player(atoi(argv[2]), atoi(argv[3]));
	return harness_main(argc, argv);
}
