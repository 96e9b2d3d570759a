// SPDX-License-Identifier: GPL-2.0
/*
 * Devices, StreamIDs, STEs, registers and whole vSMMUs come and go while the command queue
 * runs and DMA goes on. Meanwhile VMMs are killed.
 *
 * SMMUV3_ACCEL_SEED: where the random numbers start
 *
 * Each device has its own pages and writes at its own offset, so that guest memory
 * shows afterwards whether DMA ever went elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_SEED	0x5eed

#define ENDPOINTS	MACHINE_STREAMS
#define TABLES		2	/* stage 1s of a device */
#define PAGES		4
#define VSID(i)		(0x40 + (i))
#define VSID_BRIDGE	0x30
#define VSID_FEED	0x38
#define VIRTUALS	4	/* bridges; as many emulated endpoints */
#define ASID(i, t)	(0x10 + (i) * TABLES + (t))
#define STRTAB_LOG2SIZE	8
#define RING_LOG2SIZE	8

enum said { SAID_A, SAID_B, SAID_BYPASS, SAID_ABORT, SAID_INVALID, SAID_S2, SAID_NUM };

/**
 * struct endpoint - What the guest wants of a device
 * @busy: held while its registers are in use
 * @attached: it is behind the vSMMU
 * @resets: it has VFIO_DEVICE_RESET
 * @said: what its STE says. SAID_A and SAID_B use the CD of that number
 * @pt: its stage 1s, which lead page[0] to another page
 * @to: the page that each stage 1 leads to
 * @cd: its CDs
 * @uses: the stage 1 that each CD names
 */
struct endpoint {
	pthread_mutex_t busy;
	bool attached;
	bool resets;
	enum said said;
	struct pgtable pt[TABLES];
	int to[TABLES];
	__u64 cd[TABLES];
	int uses[TABLES];
};

/**
 * struct load - A guest in table mode, and the threads that use it
 * @m: its machine
 * @ring_lock: held while the guest changes its tables and queues commands
 * @plug_lock: held while devices come and go or change StreamIDs
 * @ep: what the guest wants of the devices in @m
 * @plugged: bridges, then emulated endpoints, that are attached
 * @failed: something went wrong
 * @why: what went wrong first
 */
struct load {
	struct machine m;
	pthread_mutex_t ring_lock;
	pthread_mutex_t plug_lock;
	struct endpoint ep[ENDPOINTS];
	bool plugged[2 * VIRTUALS];
	int failed;
	char why[128];
};

static struct load load;

static __printf(2, 3) void fail(struct load *l, const char *format, ...)
{
	va_list args;

	if (__atomic_exchange_n(&l->failed, 1, __ATOMIC_SEQ_CST))
		return;
	va_start(args, format);
	vsnprintf(l->why, sizeof(l->why), format, args);
	va_end(args);
}

/* The address of a page at the offset of its device */
static __u64 page_of(struct load *l, int i, int page)
{
	return l->m.stream[i].s1.page[page] + 8 * i;
}

static __u64 iova_of(struct load *l, int i)
{
	return page_of(l, i, 0);
}

static void write_ste(struct load *l, int i, enum said said)
{
	struct endpoint *ep = &l->ep[i];
	__u64 ste[8] = {};

	switch (said) {
	case SAID_A:
	case SAID_B:
		ste_s1(ste, ep->cd[said]);
		break;
	case SAID_BYPASS:
		ste_config(ste, STE_CFG_BYPASS);
		break;
	case SAID_ABORT:
		ste_config(ste, STE_CFG_ABORT);
		break;
	case SAID_S2:
		ste_config(ste, STE_CFG_S2);
		break;
	default:
		break;
	}
	strtab_write(&l->m.strtab, VSID(i), ste);
	ep->said = said;
}

static void write_cd(struct load *l, int i, int cd, int table)
{
	struct endpoint *ep = &l->ep[i];

	cd_write(&l->m.g, ep->cd[cd], &ep->pt[table], ASID(i, cd));
	ep->uses[cd] = table;
}

static void map_to(struct load *l, int i, int table, int page)
{
	struct stage1 *s1 = &l->m.stream[i].s1;
	struct endpoint *ep = &l->ep[i];

	pgtable_map(&ep->pt[table], s1->page[0], s1->page[page], PTE_NOT_GLOBAL);
	ep->to[table] = page;
}

static void breathe(void)
{
	const struct timespec wait = { .tv_nsec = 20000 };

	nanosleep(&wait, NULL);
}

/* Whether to repeat a call because a device, or the vSMMU, was reset meanwhile */
static bool again(int rc, __u32 reason)
{
	if ((rc == -EBUSY && reason == SMMUV3_ACCEL_REASON_RETRY) ||
	    (rc == -ENXIO && reason == SMMUV3_ACCEL_REASON_NO_REGS) ||
	    (rc == -EINVAL && reason == SMMUV3_ACCEL_REASON_CMDQ_DISABLED)) {
		breathe();
		return true;
	}
	return false;
}

static void set_regs(struct load *l, __u32 cr0, __u32 gbpa)
{
	struct smmuv3_accel_set_regs arg;
	int rc;

	l->m.cr0 = cr0;
	l->m.gbpa = gbpa;
	do {
		machine_regs(&l->m, &arg);
		rc = accel_ioctl(l->m.g.accel, SMMUV3_ACCEL_SET_REGS, &arg);
	} while (!l->failed && again(rc, arg.out_reason));
	if (rc)
		fail(l, "SET_REGS: %d, reason %u", rc, arg.out_reason);
}

/* Run what is queued, and a CMD_SYNC. The caller holds ring_lock */
static void run(struct load *l)
{
	struct smmuv3_accel_run_cmdq out;
	int rc;

	ring_put(&l->m.ring, cmd_sync());
	do
		rc = ring_run(&l->m.ring, &out);
	while (!l->failed && again(rc, out.out_reason));
	if (rc || out.out_error || l->m.ring.cons != l->m.ring.prod)
		fail(l, "RUN_CMDQ: %d, error %u, reason %u", rc, out.out_error, out.out_reason);
}

static void open_endpoint(struct load *l, int i)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct endpoint *ep = &l->ep[i];
	int t;

	pthread_mutex_init(&ep->busy, NULL);
	ep->resets = !ioctl(l->m.stream[i].dev.fd, VFIO_DEVICE_GET_INFO, &info) &&
		     (info.flags & VFIO_DEVICE_FLAGS_RESET);
	for (t = 0; t < TABLES; t++) {
		pgtable_init(&ep->pt[t], &l->m.g, GRANULE_4K);
		map_to(l, i, t, t + 1);
		ep->cd[t] = guest_alloc(&l->m.g, 64);
		write_cd(l, i, t, t);
	}
	write_ste(l, i, SAID_A);
}

/* Guest memory and tables, which outlive a vSMMU, and @devices or fewer devices */
static int open_guest(struct load *l, int devices)
{
	const __u32 vsid = VSID(0);
	unsigned int i;
	int rc;

	memset(l, 0, sizeof(*l));
	pthread_mutex_init(&l->ring_lock, NULL);
	pthread_mutex_init(&l->plug_lock, NULL);
	do
		rc = machine_open(&l->m, .stage = STAGE_MEMORY, .devices = devices, .split = 6,
				  .strtab_log2size = STRTAB_LOG2SIZE,
				  .ring_log2size = RING_LOG2SIZE,
				  .vsid = { vsid, vsid + 1, vsid + 2, vsid + 3 });
	while (rc == -ENODEV && --devices);
	for (i = 0; !rc && i < l->m.num; i++)
		open_endpoint(l, i);
	return rc;
}

/* A vSMMU that has all devices */
static int open_vsmmu(struct load *l, __u32 flags)
{
	unsigned int i;
	int rc;

	l->m.options.create_flags = flags;
	rc = machine_reach(&l->m, STAGE_ATTACHED);
	for (i = 0; i < l->m.num; i++)
		l->ep[i].attached = !rc;
	machine_ring_at(&l->m, 0);
	if (!rc)
		set_regs(l, CR0_SMMUEN | CR0_CMDQEN, 0);
	return rc;
}

static void close_vsmmu(struct load *l)
{
	char path[64];
	unsigned int i;

	debugfs_path(l->m.g.accel, path);
	guest_close_accel(&l->m.g);
	if (!access(path, F_OK))
		fail(l, "%s is still there", path);
	memset(l->plugged, 0, sizeof(l->plugged));
	for (i = 0; i < l->m.num; i++)
		l->ep[i].attached = false;
}

/* Where the DMA of a device must go: number of a page, or -EFAULT */
static int wanted(struct load *l, int i)
{
	struct endpoint *ep = &l->ep[i];

	if (!ep->attached)
		return -EFAULT;
	if (!(l->m.cr0 & CR0_SMMUEN))
		return l->m.gbpa & GBPA_ABORT ? -EFAULT : 0;
	switch (ep->said) {
	case SAID_A:
	case SAID_B:
		return ep->to[ep->uses[ep->said]];
	case SAID_BYPASS:
		return 0;
	default:
		return -EFAULT;
	}
}

/* Where it goes */
static int goes(struct load *l, int i)
{
	int p, rc;

	for (p = 0; p < PAGES; p++)
		*(volatile __u32 *)guest_ptr(&l->m.g, page_of(l, i, p)) = 0;
	rc = testdev_write(&l->m.stream[i].dev, iova_of(l, i));
	for (p = 0; !rc && p < PAGES; p++)
		if (*(volatile __u32 *)guest_ptr(&l->m.g, page_of(l, i, p)) == TESTDEV_PATTERN)
			return p;
	return rc ? rc : -ENOENT;
}

/* Whether each device has only ever written to its own pages */
static bool memory_is_clean(struct load *l)
{
	volatile __u32 *ram = (volatile __u32 *)l->m.g.ram;
	__u64 at;
	int i, p;

	for (i = 0; i < l->m.num; i++)
		for (p = 0; p < PAGES; p++)
			*(volatile __u32 *)guest_ptr(&l->m.g, page_of(l, i, p)) = 0;
	for (at = 0; at < l->m.g.next - GUEST_BASE; at += sizeof(*ram)) {
		if (ram[at / sizeof(*ram)] != TESTDEV_PATTERN)
			continue;
		fail(l, "DMA went to %#llx", GUEST_BASE + at);
		return false;
	}
	return true;
}

/* The operations, a thread for each */

static int pick(unsigned int *seed, int num)
{
	return rand_r(seed) / 16 % num;
}

/* Change a translation or a CD, and invalidate it in one way or another */
static void op_unmap(struct load *l, unsigned int *seed)
{
	int i = pick(seed, l->m.num), t = pick(seed, TABLES), cd, fill = pick(seed, 24);

	pthread_mutex_lock(&l->ring_lock);
	while (fill--)
		ring_put(&l->m.ring, pick(seed, 8) ?
			 cmd_tlbi_va(1, pick(seed, 4096) * 4096ULL, true) :
			 cmd_cfgi_cd_all(VSID(pick(seed, l->m.num))));
	if (!pick(seed, 4)) {
		write_cd(l, i, t, pick(seed, TABLES));
		ring_put(&l->m.ring, pick(seed, 2) ? cmd_cfgi_cd(VSID(i), 0, true) :
						   cmd_cfgi_cd_all(VSID(i)));
		ring_put(&l->m.ring, cmd_sync());
		ring_put(&l->m.ring, cmd_tlbi_asid(ASID(i, t)));
	} else {
		map_to(l, i, t, 1 + pick(seed, PAGES - 1));
		/* Both CDs may lead here */
		for (cd = 0; cd < TABLES; cd++)
			ring_put(&l->m.ring, !pick(seed, 6) ? cmd_tlbi_asid(ASID(i, cd)) :
				 !pick(seed, 6) ? cmd_tlbi_nh_all() :
				 !pick(seed, 6) ? cmd_tlbi_vaa(l->m.stream[i].s1.page[0], true) :
				 cmd_tlbi_va(ASID(i, cd), l->m.stream[i].s1.page[0], true));
	}
	run(l);
	pthread_mutex_unlock(&l->ring_lock);
}

static void op_ste(struct load *l, unsigned int *seed)
{
	int i = pick(seed, l->m.num);

	pthread_mutex_lock(&l->ring_lock);
	write_ste(l, i, pick(seed, SAID_NUM));
	ring_put(&l->m.ring, pick(seed, 4) ? cmd_cfgi_ste(VSID(i), pick(seed, 2)) :
			   pick(seed, 2) ? cmd_cfgi_ste_range(VSID(i) & ~3, 1) :
					   cmd_cfgi_all());
	run(l);
	pthread_mutex_unlock(&l->ring_lock);
}

static void plug(struct load *l, unsigned int *seed)
{
	int i = pick(seed, l->m.num + 1), v = pick(seed, 2 * VIRTUALS), rc;
	__u32 flags = v < VIRTUALS ? SMMUV3_ACCEL_ATTACH_BRIDGE : SMMUV3_ACCEL_ATTACH_FEED;
	bool *attached = i < l->m.num ? &l->ep[i].attached : &l->plugged[v];
	__u32 vsid = i < l->m.num ? VSID(i) :
		     v < VIRTUALS ? VSID_BRIDGE + v : VSID_FEED + v - VIRTUALS;
	struct smmuv3_accel_attach attach;
	__u32 reason;

	if (*attached) {
		rc = accel_detach(&l->m.g, vsid, &reason);
		if (rc)
			fail(l, "DETACH: %d, reason %u", rc, reason);
		*attached = false;
		return;
	}
	rc = i < l->m.num ? accel_attach(&l->m.g, l->m.stream[i].dev.fd, vsid, &attach) :
			  accel_attach_virtual(&l->m.g, vsid, flags, &attach);
	*attached = !rc;
	/* The device may be in another vSMMU, or in reset */
	if (!rc || (rc == -EBUSY && (attach.out_reason == SMMUV3_ACCEL_REASON_RETRY ||
				     attach.out_reason == SMMUV3_ACCEL_REASON_DEVICE_IN_USE)))
		return;
	if (rc == -EOPNOTSUPP && attach.out_reason == SMMUV3_ACCEL_REASON_NO_FEED)
		return;		/* CREATE did not say so */
	fail(l, "ATTACH: %d, reason %u", rc, attach.out_reason);
}

static void op_plug(struct load *l, unsigned int *seed)
{
	pthread_mutex_lock(&l->plug_lock);
	plug(l, seed);
	pthread_mutex_unlock(&l->plug_lock);
}

/* Give two streams, or the same one twice, new StreamIDs */
static void set_vsids(struct load *l, const __u32 from[2], const __u32 to[2])
{
	struct smmuv3_accel_vsid entries[] = { { from[0], to[0] }, { from[1], to[1] } };
	__u32 num = from[0] == from[1] ? 1 : 2, i;
	struct smmuv3_accel_set_vsids out;
	int rc;

	rc = accel_set_vsids(&l->m.g, entries, num, &out);
	/* They are set, but a stream may lack its STE */
	while (!l->failed && again(rc, out.out_reason)) {
		for (i = 0; i < num; i++)
			entries[i].old_vsid = entries[i].new_vsid;
		rc = accel_set_vsids(&l->m.g, entries, num, &out);
	}
	if (rc)
		fail(l, "SET_VSIDS: %d, reason %u", rc, out.out_reason);
}

/* Streams swap StreamIDs, or have none, for a while */
static void op_vsids(struct load *l, unsigned int *seed)
{
	int a = pick(seed, l->m.num), b = pick(seed, l->m.num);
	const __u32 own[2] = { VSID(a), VSID(b) }, swapped[2] = { VSID(b), VSID(a) };
	const __u32 names[2] = { VSID_NAME(a), VSID_NAME(b) };
	const __u32 *other = pick(seed, 2) ? swapped : names;

	pthread_mutex_lock(&l->plug_lock);
	if (l->ep[a].attached && l->ep[b].attached) {
		set_vsids(l, own, other);
		set_vsids(l, other, own);
	}
	pthread_mutex_unlock(&l->plug_lock);
}

/* Do what a guest or its VMM does rarely. The queue is enabled at the end */
static void op_regs(struct load *l, unsigned int *seed)
{
	struct smmuv3_accel_mem_region regions[4];
	__u32 cr0 = CR0_CMDQEN, gbpa = 0;
	unsigned int i;
	int rc = 0;

	if (pick(seed, 2))
		cr0 |= CR0_SMMUEN;
	if (pick(seed, 2))
		gbpa |= GBPA_ABORT;
	switch (pick(seed, 4)) {
	case 0:
		rc = accel_reset(&l->m.g);
		break;
	case 1:
		set_regs(l, cr0 & ~CR0_CMDQEN, gbpa);
		break;
	case 2:	/* the same memory, in regions that cut commands in two */
		for (i = 0; i < ARRAY_LEN(regions); i++) {
			__u64 step = (l->m.ring.base - GUEST_BASE) + 0x48;

			regions[i] = (struct smmuv3_accel_mem_region){
				.gpa = GUEST_BASE + i * step,
				.size = i < 3 ? step : GUEST_SIZE - 3 * step,
				.uaddr = (__u64)(unsigned long)l->m.g.ram + i * step,
			};
		}
		rc = accel_mem_regions(&l->m.g, regions, ARRAY_LEN(regions));
		break;
	case 3:
		rc = accel_mem_table(&l->m.g);
		break;
	}
	if (rc)
		fail(l, "RESET or SET_MEM_TABLE: %d", rc);
	set_regs(l, cr0, gbpa);
}

static long read_all(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	long n, sum = 0;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sum += n;
	close(fd);
	return n < 0 ? -errno : sum;
}

/* Look at the vSMMU, which is always allowed */
static void op_look(struct load *l, unsigned int *seed)
{
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_stats stats;
	struct smmuv3_accel_phys phys;
	__u32 vsid = VSID(pick(seed, l->m.num + 1));
	char path[64];
	long rc = 0;

	switch (pick(seed, 5)) {
	case 0:
		rc = accel_stream(&l->m.g, vsid, &stream);
		if (rc == -ENOENT && stream.out_reason == SMMUV3_ACCEL_REASON_NO_STREAM)
			rc = 0;
		break;
	case 1:
		rc = accel_phys(&l->m.g, pick(seed, 3), &phys);
		if (rc == -ENOENT)
			rc = 0;
		break;
	case 2:
		rc = accel_stats(&l->m.g, &stats);
		break;
	case 3:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", l->m.g.accel);
		rc = read_all(path);
		break;
	case 4:
		debugfs_path(l->m.g.accel, path);
		rc = read_all(path);
		if (rc == -ENOENT && access(DEBUGFS, F_OK))
			rc = 0;
		break;
	}
	if (rc < 0)
		fail(l, "looking at the vSMMU: %ld", rc);
}

/* Another vSMMU of the same VMM attaches a free device, and is closed */
static void op_other(struct load *l, unsigned int *seed)
{
	static const __u32 flags[] = {
		0, SMMUV3_ACCEL_CREATE_SHARED_ASIDS, SMMUV3_ACCEL_CREATE_FEED,
	};
	struct guest other = l->m.g;
	struct smmuv3_accel_attach attach;
	int i = pick(seed, l->m.num), rc;
	__u64 bypass[8];
	__u32 reason;

	rc = guest_create_flags(&other, flags[pick(seed, ARRAY_LEN(flags))]);
	if (rc) {
		fail(l, "CREATE: %d", rc);
		return;
	}
	if (!pick(seed, 4))
		goto out;
	rc = accel_attach(&other, l->m.stream[i].dev.fd, VSID(i), &attach);
	if (rc) {
		if (rc != -EBUSY || (attach.out_reason != SMMUV3_ACCEL_REASON_DEVICE_IN_USE &&
				     attach.out_reason != SMMUV3_ACCEL_REASON_RETRY))
			fail(l, "the other ATTACH: %d, reason %u", rc, attach.out_reason);
		goto out;
	}
	ste_config(bypass, STE_CFG_BYPASS);
	rc = accel_install(&other, VSID(i), bypass, &reason);
	if (rc && !again(rc, reason))
		fail(l, "INSTALL_STE: %d, reason %u", rc, reason);
	if (pick(seed, 2) && accel_detach(&other, VSID(i), &reason))
		fail(l, "the other DETACH: reason %u", reason);
out:
	close(other.accel);
}

static void op_dma(struct load *l, unsigned int *seed)
{
	int i = pick(seed, l->m.num), rc;

	pthread_mutex_lock(&l->ep[i].busy);
	rc = testdev_write(&l->m.stream[i].dev, iova_of(l, i));
	pthread_mutex_unlock(&l->ep[i].busy);
	if (rc && rc != -EFAULT)
		fail(l, "DMA: %d", rc);
}

/* Reset a device. There is no DMA meanwhile: a reset device forgets the address */
static void op_reset(struct load *l, unsigned int *seed)
{
	int i = pick(seed, l->m.num), k, rc;

	for (k = 0; k < l->m.num && !l->ep[i].resets; k++)
		i = (i + 1) % l->m.num;
	if (!l->ep[i].resets)
		return;
	pthread_mutex_lock(&l->ep[i].busy);
	rc = ioctl(l->m.stream[i].dev.fd, VFIO_DEVICE_RESET) ? -errno : 0;
	pthread_mutex_unlock(&l->ep[i].busy);
	if (rc && rc != -EAGAIN)
		fail(l, "VFIO_DEVICE_RESET: %d", rc);
}

/**
 * struct worker - A thread that repeats an operation
 * @op: the operation
 * @num: how often in a phase
 * @seed: state of its random numbers
 * @thread: the thread
 */
struct worker {
	void (*op)(struct load *l, unsigned int *seed);
	unsigned int num;
	unsigned int seed;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < w->num && !load.failed; i++)
		w->op(&load, &w->seed);
	return NULL;
}

static struct worker workers[] = {
	{ op_unmap, 400 }, { op_ste, 270 }, { op_plug, 230 }, { op_regs, 70 },
	{ op_vsids, 100 }, { op_look, 200 }, { op_other, 50 }, { op_dma, 500 },
	{ op_reset, 1 },
};

/* Returns how many operations that is, unless the work is @endless */
static unsigned int start_workers(unsigned int seed, bool endless)
{
	unsigned int i, sum = 0;

	for (i = 0; i < ARRAY_LEN(workers); i++) {
		sum += workers[i].num;
		if (endless)
			workers[i].num = ~0U;
		workers[i].seed = seed + i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	return sum;
}

static void join_workers(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(workers); i++)
		pthread_join(workers[i].thread, NULL);
}

FIXTURE(hotplug)
{
	unsigned int seed;
};

FIXTURE_SETUP(hotplug)
{
	self->seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	ASSERT_EQ(0, open_guest(&load, ENDPOINTS));
}

FIXTURE_TEARDOWN(hotplug)
{
	machine_close(&load.m);
}

/* Each device does what its last STE and the registers say */
static void expect_as_wanted(struct __test_metadata *_metadata)
{
	struct load *l = &load;
	struct smmuv3_accel_stream stream;
	int i;

	for (i = 0; i < l->m.num; i++) {
		int want = wanted(l, i), rc = accel_stream(&l->m.g, VSID(i), &stream);

		EXPECT_EQ(l->ep[i].attached ? 0 : -ENOENT, rc);
		if (!rc)
			EXPECT_EQ(want < 0 ? SMMUV3_ACCEL_KIND_ABORT :
				  want ? SMMUV3_ACCEL_KIND_S1 : SMMUV3_ACCEL_KIND_BYPASS,
				  stream.out_kind);
		EXPECT_EQ(want, goes(l, i))
			TH_LOG("device %d: attached %d, CR0 %#x, GBPA %#x, STE %d", i,
			       l->ep[i].attached, l->m.cr0, l->m.gbpa, l->ep[i].said);
	}
}

/* Attach what is not attached, and change tables, with one thread */
static void expect_all_works(struct __test_metadata *_metadata)
{
	struct load *l = &load;
	int i;

	set_regs(l, CR0_SMMUEN | CR0_CMDQEN, 0);
	for (i = 0; i < l->m.num; i++) {
		if (!l->ep[i].attached)
			ASSERT_EQ(0, machine_attach(&l->m, i));
		l->ep[i].attached = true;
		write_ste(l, i, i % 2 ? SAID_A : SAID_B);
		ring_put(&l->m.ring, cmd_cfgi_ste(VSID(i), true));
	}
	run(l);
	expect_as_wanted(_metadata);
	for (i = 0; i < l->m.num; i++) {
		int table = l->ep[i].uses[l->ep[i].said], stale = wanted(l, i);

		map_to(l, i, table, stale % (PAGES - 1) + 1);
		EXPECT_EQ(stale, goes(l, i)) TH_LOG("no stale translation to end");
		ring_put(&l->m.ring, cmd_tlbi_va(ASID(i, l->ep[i].said),
						 l->m.stream[i].s1.page[0], true));
	}
	run(l);
	expect_as_wanted(_metadata);
}

#define PHASES	7

TEST_F(hotplug, all_operations_at_once)
{
	static const __u32 flags[] = {
		SMMUV3_ACCEL_CREATE_FEED,
		SMMUV3_ACCEL_CREATE_NO_GLOBAL,
		SMMUV3_ACCEL_CREATE_SHARED_ASIDS | SMMUV3_ACCEL_CREATE_FEED,
	};
	struct load *l = &load;
	unsigned int phase, sum = 0;
	__u64 start, took = 0;
	int i;

	for (phase = 0; phase < PHASES; phase++) {
		ASSERT_EQ(0, open_vsmmu(l, flags[phase % ARRAY_LEN(flags)]));
		expect_as_wanted(_metadata);
		start = now_ns();
		sum += start_workers(self->seed + phase * 1000, false);
		join_workers();
		took += now_ns() - start;
		ASSERT_FALSE(l->failed) TH_LOG("phase %u: %s", phase, l->why);
		expect_as_wanted(_metadata);

		expect_all_works(_metadata);
		close_vsmmu(l);
		for (i = 0; i < l->m.num; i++)
			EXPECT_EQ(-EFAULT, goes(l, i)) TH_LOG("device %d after close", i);
		EXPECT_TRUE(memory_is_clean(l));
		ASSERT_FALSE(l->failed) TH_LOG("phase %u: %s", phase, l->why);
	}
	TH_LOG("seed %#x: %u operations, %.0f a second", self->seed, sum, sum * 1e9 / took);
	EXPECT_LE(10000, sum);
	EXPECT_NOTHING_LEFT(&l->m.g);
}

struct resets {
	int index;
	int left;
	int rc;
};

static void *reset_some(void *arg)
{
	struct resets *r = arg;

	for (; r->left; __atomic_sub_fetch(&r->left, 1, __ATOMIC_SEQ_CST))
		if (ioctl(load.m.stream[r->index].dev.fd, VFIO_DEVICE_RESET))
			r->rc = -errno;
	return NULL;
}

/*
 * A device is reset while its STE changes. If it has ATS, the host refuses to attach it
 * meanwhile. Then the command does not count as done. An abort always takes effect.
 */
TEST_F(hotplug, ste_may_change_during_a_reset)
{
	struct load *l = &load;
	struct resets resets = { .left = 5 };
	unsigned int n = 0, delayed = 0;
	struct smmuv3_accel_run_cmdq out;
	pthread_t thread;
	int i;

	for (i = 0; i < l->m.num && !l->ep[i].resets; i++)
		;
	if (i == l->m.num)
		SKIP(return, "no test device can be reset");
	ASSERT_EQ(0, open_vsmmu(l, 0));
	resets.index = i;
	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_some, &resets));
	for (; __atomic_load_n(&resets.left, __ATOMIC_SEQ_CST); n++) {
		int rc, tries = 0;

		write_ste(l, i, n % SAID_NUM);
		ring_put(&l->m.ring, cmd_cfgi_ste(VSID(i), true));
		ring_put(&l->m.ring, cmd_sync());
		while ((rc = ring_run(&l->m.ring, &out)) == -EBUSY) {
			ASSERT_EQ(SMMUV3_ACCEL_REASON_RETRY, out.out_reason);
			ASSERT_EQ(2, (l->m.ring.prod - l->m.ring.cons) & ((2 << RING_LOG2SIZE) - 1))
				TH_LOG("a CFGI_STE that failed counts as done");
			tries++;
		}
		ASSERT_EQ(0, rc);
		if (wanted(l, i) == -EFAULT)
			ASSERT_EQ(0, tries) TH_LOG("an abort had to wait for a reset");
		delayed += tries > 0;
	}
	pthread_join(thread, NULL);
	ASSERT_EQ(0, resets.rc);
	EXPECT_LT(0, n);
	TH_LOG("%u STEs, %u had to wait", n, delayed);
	EXPECT_EQ(wanted(l, i), goes(l, i));

	/* A reset does not change what is installed */
	for (n = 0; n < SAID_NUM; n++) {
		write_ste(l, i, n);
		ring_put(&l->m.ring, cmd_cfgi_ste(VSID(i), true));
		run(l);
		EXPECT_EQ(wanted(l, i), goes(l, i)) TH_LOG("STE %u", n);
		ASSERT_EQ(0, ioctl(l->m.stream[i].dev.fd, VFIO_DEVICE_RESET));
		EXPECT_EQ(wanted(l, i), goes(l, i)) TH_LOG("STE %u after a reset", n);
	}
	close_vsmmu(l);
	EXPECT_EQ(-EFAULT, goes(l, i));
	ASSERT_EQ(0, ioctl(l->m.stream[i].dev.fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(-EFAULT, goes(l, i));
	ASSERT_FALSE(l->failed) TH_LOG("%s", l->why);
}

/* A VMM is killed at any time. Its devices are blocked, and free for the next VMM */

#define KILLS		50
#define KILL_DEVICES	2

/* The VMM that will be killed */
static int doomed(unsigned int seed, int ready)
{
	if (open_guest(&load, KILL_DEVICES) ||
	    open_vsmmu(&load, SMMUV3_ACCEL_CREATE_FEED))
		return 1;
	start_workers(seed, true);
	if (write(ready, "", 1) != 1)
		return 2;
	join_workers();
	fprintf(stderr, "# %s\n", load.why);
	return 3;
}

FIXTURE(vmm)
{
};

FIXTURE_SETUP(vmm)
{
}

FIXTURE_TEARDOWN(vmm)
{
}

TEST_F(vmm, killed_vmm_leaves_devices_blocked_and_free)
{
	unsigned int seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	int ready[2], status, round, i;
	struct timespec wait = {};
	struct machine m;
	pid_t pid;
	char c;

	for (round = 0; round < KILLS; round++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(doomed(seed + round * 100, ready[1]));
		close(ready[1]);
		ASSERT_EQ(1, read(ready[0], &c, 1));
		close(ready[0]);
		wait.tv_nsec = pick(&seed, 20000) * 1000L;
		nanosleep(&wait, NULL);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status)) TH_LOG("round %d: status %#x", round, status);

		ASSERT_EQ(0, machine_open(&m, .stage = STAGE_MEMORY, .devices = KILL_DEVICES))
			TH_LOG("round %d: a device is not free", round);
		for (i = 0; i < KILL_DEVICES; i++)
			ASSERT_EQ(-EFAULT, machine_goes(&m, i))
				TH_LOG("round %d: device %d is not blocked", round, i);
		ASSERT_EQ(0, machine_reach(&m, STAGE_ATTACHED));
		for (i = 0; i < KILL_DEVICES; i++) {
			ASSERT_EQ(-EFAULT, machine_goes(&m, i));
			ASSERT_EQ(0, machine_install(&m, i, STE_CFG_BYPASS));
			ASSERT_EQ(0, machine_goes(&m, i));
		}
		guest_close_accel(&m.g);
		EXPECT_NOTHING_LEFT(&m.g);
		machine_close(&m);
	}
}

TEST_HARNESS_MAIN
