// SPDX-License-Identifier: GPL-2.0
/*
 * Devices, STEs, registers and whole vSMMUs that come and go while the command
 * queue runs and DMA goes on; VMMs that are killed in the middle of it; the
 * module's unloading.
 *
 * SMMUV3_ACCEL_SEED: where the random numbers start
 *
 * Every device has pages of its own and writes at an offset of its own, so that
 * memory shows afterwards whether any of its DMA ever went elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_SEED	0x5eed

#define ENDPOINTS	4
#define TABLES		2	/* stage 1s of a device */
#define PAGES		4
#define VSID(i)		(0x40 + (i))
#define VSID_BRIDGE	0x30
#define VSID_FEED	0x38
#define VIRTUALS	4	/* of either */
#define ASID(i, t)	(0x10 + (i) * TABLES + (t))
#define STRTAB_LOG2SIZE	8
#define RING_LOG2SIZE	8

enum said { SAID_A, SAID_B, SAID_BYPASS, SAID_ABORT, SAID_INVALID, SAID_S2, SAID_NUM };

/**
 * struct endpoint - A device, and what the guest wants of it
 * @dev: the device
 * @busy: held by who uses its registers
 * @attached: it is behind the vSMMU
 * @resets: it has VFIO_DEVICE_RESET
 * @said: what its STE says. SAID_A and SAID_B go by the CD of that number
 * @page: page[0] is also its only DMA address, so that it means something in each
 *	configuration; a stage 1 leads to one of the others
 * @pt: its stage 1s
 * @to: the page that each of those leads to
 * @cd: its CDs
 * @uses: the stage 1 that each of those names
 */
struct endpoint {
	struct dma_dev dev;
	pthread_mutex_t busy;
	bool attached;
	bool resets;
	enum said said;
	__u64 page[PAGES];
	struct pgtable pt[TABLES];
	int to[TABLES];
	__u64 cd[TABLES];
	int uses[TABLES];
};

/**
 * struct machine - A guest in table mode
 * @g: its memory and descriptors
 * @ring: its command queue
 * @ring_lock: held by who changes the guest's tables and queues commands
 * @strtab: its stream table
 * @cr0: SMMU_CR0, as last set
 * @gbpa: SMMU_GBPA, as last set
 * @ep: its devices
 * @num: how many there are
 * @plugged: bridges, then emulated endpoints, that are attached
 * @failed: something went wrong, and
 * @why: what
 */
struct machine {
	struct guest g;
	struct ring ring;
	pthread_mutex_t ring_lock;
	struct strtab strtab;
	__u32 cr0;
	__u32 gbpa;
	struct endpoint ep[ENDPOINTS];
	int num;
	bool plugged[2 * VIRTUALS];
	int failed;
	char why[128];
};

static struct machine machine;

static __printf(2, 3) void fail(struct machine *m, const char *format, ...)
{
	va_list args;

	if (__atomic_exchange_n(&m->failed, 1, __ATOMIC_SEQ_CST))
		return;
	va_start(args, format);
	vsnprintf(m->why, sizeof(m->why), format, args);
	va_end(args);
}

static __u64 iova_of(struct machine *m, int i)
{
	return m->ep[i].page[0] + 8 * i;
}

static void write_ste(struct machine *m, int i, enum said said)
{
	struct endpoint *ep = &m->ep[i];
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
	strtab_write(&m->strtab, VSID(i), ste);
	ep->said = said;
}

static void write_cd(struct machine *m, int i, int cd, int table)
{
	struct endpoint *ep = &m->ep[i];

	cd_write(&m->g, ep->cd[cd], &ep->pt[table], ASID(i, cd));
	ep->uses[cd] = table;
}

static void map_to(struct machine *m, int i, int table, int page)
{
	struct endpoint *ep = &m->ep[i];

	pgtable_map(&ep->pt[table], ep->page[0], ep->page[page], PTE_NOT_GLOBAL);
	ep->to[table] = page;
}

static void breathe(void)
{
	const struct timespec wait = { .tv_nsec = 20000 };

	nanosleep(&wait, NULL);
}

/* While another thread resets the vSMMU or a device is reset, calls are repeated */
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

static void set_regs(struct machine *m, __u32 cr0, __u32 gbpa)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = cr0,
		.gbpa = gbpa,
		.strtab_base = m->strtab.base,
		.strtab_base_cfg = m->strtab.base_cfg,
		.cmdq_base = m->ring.base | m->ring.log2size,
	};
	int rc;

	do
		rc = ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg) ? -errno : 0;
	while (!m->failed && again(rc, arg.out_reason));
	if (rc)
		fail(m, "SET_REGS: %d, reason %u", rc, arg.out_reason);
	m->cr0 = cr0;
	m->gbpa = gbpa;
}

/* Run what is queued. The ring is the caller's */
static void run(struct machine *m)
{
	struct smmuv3_accel_run_cmdq out;
	int rc;

	ring_put(&m->ring, cmd_sync());
	do
		rc = ring_run(&m->ring, &out);
	while (!m->failed && again(rc, out.out_reason));
	if (rc || out.out_error || m->ring.cons != m->ring.prod)
		fail(m, "RUN_CMDQ: %d, error %u, reason %u", rc, out.out_error, out.out_reason);
}

/* Memory and tables of the guest's, which stay when the vSMMU is made anew */
static int machine_open_guest(struct machine *m, int devices)
{
	int i, t, p, rc;

	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->ring_lock, NULL);
	rc = guest_open_memory(&m->g);
	if (!rc)
		rc = ring_init(&m->ring, &m->g, RING_LOG2SIZE);
	if (!rc)
		rc = strtab_init(&m->strtab, &m->g, STRTAB_LOG2SIZE, 6);
	for (i = 0; !rc && i < devices; i++) {
		struct vfio_device_info info = { .argsz = sizeof(info) };
		struct endpoint *ep = &m->ep[i];

		rc = dma_open(&ep->dev, m->g.iommufd, DMA_TESTDEV, i);
		if (rc == -ENODEV && i)
			return 0;
		if (rc)
			break;
		m->num++;
		pthread_mutex_init(&ep->busy, NULL);
		ep->resets = !ioctl(ep->dev.fd, VFIO_DEVICE_GET_INFO, &info) &&
			     (info.flags & VFIO_DEVICE_FLAGS_RESET);
		for (p = 0; p < PAGES; p++)
			ep->page[p] = guest_alloc(&m->g, 4096);
		for (t = 0; t < TABLES; t++) {
			pgtable_init(&ep->pt[t], &m->g, GRANULE_4K);
			map_to(m, i, t, t + 1);
			ep->cd[t] = guest_alloc(&m->g, 64);
			write_cd(m, i, t, t);
		}
		write_ste(m, i, SAID_A);
	}
	return rc;
}

static int machine_create(struct machine *m, __u32 flags)
{
	struct smmuv3_accel_attach attach;
	int i, rc;

	rc = guest_create_flags(&m->g, flags);
	if (!rc)
		rc = accel_mem_table(&m->g);
	for (i = 0; !rc && i < m->num; i++) {
		rc = accel_attach(&m->g, m->ep[i].dev.fd, VSID(i), &attach);
		m->ep[i].attached = !rc;
	}
	m->ring.prod = 0;
	m->ring.cons = 0;
	if (!rc)
		set_regs(m, CR0_SMMUEN | CR0_CMDQEN, 0);
	return rc;
}

#define DEBUGFS	"/sys/kernel/debug/smmuv3-accel"

/* A vSMMU's file in debugfs, by the number that fdinfo tells */
static void debugfs_path(int accel, char path[64])
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

static void machine_uncreate(struct machine *m)
{
	char path[64];
	int i;

	debugfs_path(m->g.accel, path);
	close(m->g.accel);
	m->g.accel = -1;
	if (!access(path, F_OK))
		fail(m, "%s is still there", path);
	memset(m->plugged, 0, sizeof(m->plugged));
	for (i = 0; i < m->num; i++)
		m->ep[i].attached = false;
}

static void machine_close_guest(struct machine *m)
{
	int i;

	for (i = 0; i < m->num; i++)
		dma_close(&m->ep[i].dev);
	if (m->g.ram)
		guest_close(&m->g);
}

/* Where a device's DMA has to go: number of a page, or -EFAULT */
static int wanted(struct machine *m, int i)
{
	struct endpoint *ep = &m->ep[i];

	if (!ep->attached)
		return -EFAULT;
	if (!(m->cr0 & CR0_SMMUEN))
		return m->gbpa & GBPA_ABORT ? -EFAULT : 0;
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
static int goes(struct machine *m, int i)
{
	struct endpoint *ep = &m->ep[i];
	int p, rc;

	for (p = 0; p < PAGES; p++)
		*(volatile __u32 *)guest_ptr(&m->g, ep->page[p] + 8 * i) = 0;
	rc = testdev_write(&ep->dev, iova_of(m, i));
	for (p = 0; !rc && p < PAGES; p++)
		if (*(volatile __u32 *)guest_ptr(&m->g, ep->page[p] + 8 * i) == TESTDEV_PATTERN)
			return p;
	return rc ? rc : -ENOENT;
}

/* All DMA there ever was went to pages of the device's own */
static bool memory_is_clean(struct machine *m)
{
	volatile __u32 *ram = (volatile __u32 *)m->g.ram;
	__u64 at;
	int i, p;

	for (i = 0; i < m->num; i++)
		for (p = 0; p < PAGES; p++)
			*(volatile __u32 *)guest_ptr(&m->g, m->ep[i].page[p] + 8 * i) = 0;
	for (at = 0; at < m->g.next - GUEST_BASE; at += sizeof(*ram)) {
		if (ram[at / sizeof(*ram)] != TESTDEV_PATTERN)
			continue;
		fail(m, "DMA went to %#llx", GUEST_BASE + at);
		return false;
	}
	return true;
}

/* The operations, each in a thread of its own */

static int pick(unsigned int *seed, int num)
{
	return rand_r(seed) / 16 % num;
}

/* A translation or a CD changes, and is invalidated in one way or another */
static void op_unmap(struct machine *m, unsigned int *seed)
{
	int i = pick(seed, m->num), t = pick(seed, TABLES), cd, fill = pick(seed, 24);

	pthread_mutex_lock(&m->ring_lock);
	while (fill--)
		ring_put(&m->ring, pick(seed, 8) ?
			 cmd_tlbi_va(1, pick(seed, 4096) * 4096ULL, true) :
			 cmd_cfgi_cd_all(VSID(pick(seed, m->num))));
	if (!pick(seed, 4)) {
		write_cd(m, i, t, pick(seed, TABLES));
		ring_put(&m->ring, pick(seed, 2) ? cmd_cfgi_cd(VSID(i), 0, true) :
						   cmd_cfgi_cd_all(VSID(i)));
		ring_put(&m->ring, cmd_sync());
		ring_put(&m->ring, cmd_tlbi_asid(ASID(i, t)));
	} else {
		map_to(m, i, t, 1 + pick(seed, PAGES - 1));
		/* Both CDs may lead here */
		for (cd = 0; cd < TABLES; cd++)
			ring_put(&m->ring, !pick(seed, 6) ? cmd_tlbi_asid(ASID(i, cd)) :
				 !pick(seed, 6) ? cmd_tlbi_nh_all() :
				 !pick(seed, 6) ? cmd_tlbi_vaa(m->ep[i].page[0], true) :
				 cmd_tlbi_va(ASID(i, cd), m->ep[i].page[0], true));
	}
	run(m);
	pthread_mutex_unlock(&m->ring_lock);
}

static void op_ste(struct machine *m, unsigned int *seed)
{
	int i = pick(seed, m->num);

	pthread_mutex_lock(&m->ring_lock);
	write_ste(m, i, pick(seed, SAID_NUM));
	ring_put(&m->ring, pick(seed, 4) ? cmd_cfgi_ste(VSID(i), pick(seed, 2)) :
			   pick(seed, 2) ? cmd_cfgi_ste_range(VSID(i) & ~3, 1) :
					   cmd_cfgi_all());
	run(m);
	pthread_mutex_unlock(&m->ring_lock);
}

static void op_plug(struct machine *m, unsigned int *seed)
{
	int i = pick(seed, m->num + 1), v = pick(seed, 2 * VIRTUALS), rc;
	__u32 flags = v < VIRTUALS ? SMMUV3_ACCEL_ATTACH_BRIDGE : SMMUV3_ACCEL_ATTACH_FEED;
	bool *attached = i < m->num ? &m->ep[i].attached : &m->plugged[v];
	__u32 vsid = i < m->num ? VSID(i) :
		     v < VIRTUALS ? VSID_BRIDGE + v : VSID_FEED + v - VIRTUALS;
	struct smmuv3_accel_attach attach;
	__u32 reason;

	if (*attached) {
		rc = accel_detach(&m->g, vsid, &reason);
		if (rc)
			fail(m, "DETACH: %d, reason %u", rc, reason);
		*attached = false;
		return;
	}
	rc = i < m->num ? accel_attach(&m->g, m->ep[i].dev.fd, vsid, &attach) :
			  accel_attach_virtual(&m->g, vsid, flags, &attach);
	*attached = !rc;
	/* Another vSMMU may have it, or somebody resets it */
	if (!rc || (rc == -EBUSY && (attach.out_reason == SMMUV3_ACCEL_REASON_RETRY ||
				     attach.out_reason == SMMUV3_ACCEL_REASON_DEVICE_IN_USE)))
		return;
	if (rc == -EOPNOTSUPP && attach.out_reason == SMMUV3_ACCEL_REASON_NO_FEED)
		return;		/* unless CREATE said so */
	fail(m, "ATTACH: %d, reason %u", rc, attach.out_reason);
}

/* What a guest or its VMM does rarely. The queue stays enabled in the end */
static void op_regs(struct machine *m, unsigned int *seed)
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
		rc = accel_reset(&m->g);
		break;
	case 1:
		set_regs(m, cr0 & ~CR0_CMDQEN, gbpa);
		break;
	case 2:	/* The same memory, in pieces that cut commands in two */
		for (i = 0; i < ARRAY_LEN(regions); i++) {
			__u64 step = (m->ring.base - GUEST_BASE) + 0x48;

			regions[i] = (struct smmuv3_accel_mem_region){
				.gpa = GUEST_BASE + i * step,
				.size = i < 3 ? step : GUEST_SIZE - 3 * step,
				.uaddr = (__u64)(unsigned long)m->g.ram + i * step,
			};
		}
		rc = accel_mem_regions(&m->g, regions, ARRAY_LEN(regions));
		break;
	case 3:
		rc = accel_mem_table(&m->g);
		break;
	}
	if (rc)
		fail(m, "RESET or SET_MEM_TABLE: %d", rc);
	set_regs(m, cr0, gbpa);
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

/* Looking at a vSMMU, which may always be done */
static void op_look(struct machine *m, unsigned int *seed)
{
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_stats stats;
	struct smmuv3_accel_phys phys;
	__u32 vsid = VSID(pick(seed, m->num + 1));
	char path[64];
	long rc = 0;

	switch (pick(seed, 5)) {
	case 0:
		rc = accel_stream(&m->g, vsid, &stream);
		if (rc == -ENOENT && stream.out_reason == SMMUV3_ACCEL_REASON_NO_STREAM)
			rc = 0;
		break;
	case 1:
		rc = accel_phys(&m->g, pick(seed, 3), &phys);
		if (rc == -ENOENT)
			rc = 0;
		break;
	case 2:
		rc = accel_stats(&m->g, &stats);
		break;
	case 3:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", m->g.accel);
		rc = read_all(path);
		break;
	case 4:
		debugfs_path(m->g.accel, path);
		rc = read_all(path);
		if (rc == -ENOENT && access(DEBUGFS, F_OK))
			rc = 0;
		break;
	}
	if (rc < 0)
		fail(m, "looking at the vSMMU: %ld", rc);
}

/* Another vSMMU of the same VMM, which takes a device that is free and ends */
static void op_other(struct machine *m, unsigned int *seed)
{
	static const __u32 flags[] = {
		0, SMMUV3_ACCEL_CREATE_SHARED_ASIDS, SMMUV3_ACCEL_CREATE_FEED,
	};
	struct guest other = m->g;
	struct smmuv3_accel_attach attach;
	int i = pick(seed, m->num), rc;
	__u64 bypass[8];
	__u32 reason;

	rc = guest_create_flags(&other, flags[pick(seed, ARRAY_LEN(flags))]);
	if (rc) {
		fail(m, "CREATE: %d", rc);
		return;
	}
	if (!pick(seed, 4))
		goto out;
	rc = accel_attach(&other, m->ep[i].dev.fd, VSID(i), &attach);
	if (rc) {
		if (rc != -EBUSY || (attach.out_reason != SMMUV3_ACCEL_REASON_DEVICE_IN_USE &&
				     attach.out_reason != SMMUV3_ACCEL_REASON_RETRY))
			fail(m, "the other ATTACH: %d, reason %u", rc, attach.out_reason);
		goto out;
	}
	ste_config(bypass, STE_CFG_BYPASS);
	rc = accel_install(&other, VSID(i), bypass, &reason);
	if (rc && !again(rc, reason))
		fail(m, "INSTALL_STE: %d, reason %u", rc, reason);
	if (pick(seed, 2) && accel_detach(&other, VSID(i), &reason))
		fail(m, "the other DETACH: reason %u", reason);
out:
	close(other.accel);
}

static void op_dma(struct machine *m, unsigned int *seed)
{
	int i = pick(seed, m->num), rc;

	pthread_mutex_lock(&m->ep[i].busy);
	rc = testdev_write(&m->ep[i].dev, iova_of(m, i));
	pthread_mutex_unlock(&m->ep[i].busy);
	if (rc && rc != -EFAULT)
		fail(m, "DMA: %d", rc);
}

/* DMA and reset of one device do not go together: it would forget the address */
static void op_reset(struct machine *m, unsigned int *seed)
{
	int i = pick(seed, m->num), k, rc;

	for (k = 0; k < m->num && !m->ep[i].resets; k++)
		i = (i + 1) % m->num;
	if (!m->ep[i].resets)
		return;
	pthread_mutex_lock(&m->ep[i].busy);
	rc = ioctl(m->ep[i].dev.fd, VFIO_DEVICE_RESET) ? -errno : 0;
	pthread_mutex_unlock(&m->ep[i].busy);
	if (rc && rc != -EAGAIN)
		fail(m, "VFIO_DEVICE_RESET: %d", rc);
}

/**
 * struct worker - A thread that does one operation again and again
 * @op: the operation
 * @num: how often in one phase
 * @seed: of its random numbers
 * @thread: the thread
 */
struct worker {
	void (*op)(struct machine *m, unsigned int *seed);
	unsigned int num;
	unsigned int seed;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < w->num && !machine.failed; i++)
		w->op(&machine, &w->seed);
	return NULL;
}

static struct worker workers[] = {
	{ op_unmap, 400 }, { op_ste, 270 }, { op_plug, 230 }, { op_regs, 70 },
	{ op_look, 200 }, { op_other, 50 }, { op_dma, 500 }, { op_reset, 1 },
};

/* Returns how many operations that is; in @endless work, none */
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

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

FIXTURE(hotplug)
{
	unsigned int seed;
};

FIXTURE_SETUP(hotplug)
{
	self->seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	ASSERT_EQ(0, machine_open_guest(&machine, ENDPOINTS));
}

FIXTURE_TEARDOWN(hotplug)
{
	machine_close_guest(&machine);
}

/* Each device does what its last STE says, as the registers have it */
static void expect_as_wanted(struct __test_metadata *_metadata)
{
	struct machine *m = &machine;
	struct smmuv3_accel_stream stream;
	int i;

	for (i = 0; i < m->num; i++) {
		int want = wanted(m, i), rc = accel_stream(&m->g, VSID(i), &stream);

		EXPECT_EQ(m->ep[i].attached ? 0 : -ENOENT, rc);
		if (!rc)
			EXPECT_EQ(want < 0 ? SMMUV3_ACCEL_KIND_ABORT :
				  want ? SMMUV3_ACCEL_KIND_S1 : SMMUV3_ACCEL_KIND_BYPASS,
				  stream.out_kind);
		EXPECT_EQ(want, goes(m, i))
			TH_LOG("device %d: attached %d, CR0 %#x, GBPA %#x, STE %d", i,
			       m->ep[i].attached, m->cr0, m->gbpa, m->ep[i].said);
	}
}

#define PHASES	7

TEST_F(hotplug, everything_at_once)
{
	static const __u32 flags[] = {
		SMMUV3_ACCEL_CREATE_FEED,
		SMMUV3_ACCEL_CREATE_NO_GLOBAL,
		SMMUV3_ACCEL_CREATE_SHARED_ASIDS | SMMUV3_ACCEL_CREATE_FEED,
	};
	struct machine *m = &machine;
	struct smmuv3_accel_attach attach;
	unsigned int phase, sum = 0;
	double start, took = 0;
	int i;

	for (phase = 0; phase < PHASES; phase++) {
		ASSERT_EQ(0, machine_create(m, flags[phase % ARRAY_LEN(flags)]));
		expect_as_wanted(_metadata);
		start = seconds();
		sum += start_workers(self->seed + phase * 1000, false);
		join_workers();
		took += seconds() - start;
		ASSERT_FALSE(m->failed) TH_LOG("phase %u: %s", phase, m->why);
		expect_as_wanted(_metadata);

		/* And from there on as if nothing had been */
		set_regs(m, CR0_SMMUEN | CR0_CMDQEN, 0);
		for (i = 0; i < m->num; i++) {
			if (!m->ep[i].attached)
				ASSERT_EQ(0, accel_attach(&m->g, m->ep[i].dev.fd, VSID(i),
							  &attach));
			m->ep[i].attached = true;
			write_ste(m, i, i % 2 ? SAID_A : SAID_B);
			ring_put(&m->ring, cmd_cfgi_ste(VSID(i), true));
		}
		run(m);
		expect_as_wanted(_metadata);
		for (i = 0; i < m->num; i++) {
			int table = m->ep[i].uses[m->ep[i].said], stale = wanted(m, i);

			map_to(m, i, table, stale % (PAGES - 1) + 1);
			EXPECT_EQ(stale, goes(m, i)) TH_LOG("nothing stale to end");
			ring_put(&m->ring, cmd_tlbi_va(ASID(i, m->ep[i].said),
						       m->ep[i].page[0], true));
		}
		run(m);
		expect_as_wanted(_metadata);

		machine_uncreate(m);
		for (i = 0; i < m->num; i++)
			EXPECT_EQ(-EFAULT, goes(m, i)) TH_LOG("device %d after close", i);
		EXPECT_TRUE(memory_is_clean(m));
		ASSERT_FALSE(m->failed) TH_LOG("phase %u: %s", phase, m->why);
	}
	TH_LOG("seed %#x: %u operations, %.0f a second", self->seed, sum, sum / took);
	EXPECT_LE(10000, sum);
	/* Nothing of any vSMMU is left that would use it */
	EXPECT_EQ(0, iommufd_destroy(m->g.iommufd, m->g.ioas_id));
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
		if (ioctl(machine.ep[r->index].dev.fd, VFIO_DEVICE_RESET))
			r->rc = -errno;
	return NULL;
}

/*
 * One device is reset while its STE changes. Where it has ATS the host refuses
 * to attach it meanwhile: then nothing counts as done, but an abort always is.
 */
TEST_F(hotplug, device_reset)
{
	struct machine *m = &machine;
	struct resets resets = { .left = 5 };
	unsigned int n = 0, delayed = 0;
	struct smmuv3_accel_run_cmdq out;
	pthread_t thread;
	int i;

	for (i = 0; i < m->num && !m->ep[i].resets; i++)
		;
	if (i == m->num)
		SKIP(return, "no test device can be reset");
	ASSERT_EQ(0, machine_create(m, 0));
	resets.index = i;
	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_some, &resets));
	for (; __atomic_load_n(&resets.left, __ATOMIC_SEQ_CST); n++) {
		int rc, tries = 0;

		write_ste(m, i, n % SAID_NUM);
		ring_put(&m->ring, cmd_cfgi_ste(VSID(i), true));
		ring_put(&m->ring, cmd_sync());
		while ((rc = ring_run(&m->ring, &out)) == -EBUSY) {
			ASSERT_EQ(SMMUV3_ACCEL_REASON_RETRY, out.out_reason);
			ASSERT_EQ(2, (m->ring.prod - m->ring.cons) & ((2 << RING_LOG2SIZE) - 1))
				TH_LOG("a CFGI_STE that failed counts as done");
			tries++;
		}
		ASSERT_EQ(0, rc);
		if (wanted(m, i) == -EFAULT)
			ASSERT_EQ(0, tries) TH_LOG("an abort had to wait for a reset");
		delayed += tries > 0;
	}
	pthread_join(thread, NULL);
	ASSERT_EQ(0, resets.rc);
	EXPECT_LT(0, n);
	TH_LOG("%u STEs, %u had to wait", n, delayed);
	EXPECT_EQ(wanted(m, i), goes(m, i));

	/* Nor does a reset change what is there */
	for (n = 0; n < SAID_NUM; n++) {
		write_ste(m, i, n);
		ring_put(&m->ring, cmd_cfgi_ste(VSID(i), true));
		run(m);
		EXPECT_EQ(wanted(m, i), goes(m, i)) TH_LOG("STE %u", n);
		ASSERT_EQ(0, ioctl(m->ep[i].dev.fd, VFIO_DEVICE_RESET));
		EXPECT_EQ(wanted(m, i), goes(m, i)) TH_LOG("STE %u after a reset", n);
	}
	machine_uncreate(m);
	EXPECT_EQ(-EFAULT, goes(m, i));
	ASSERT_EQ(0, ioctl(m->ep[i].dev.fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(-EFAULT, goes(m, i));
	ASSERT_FALSE(m->failed) TH_LOG("%s", m->why);
}

/* A VMM is killed at any time: at once all is there for the next, and blocked */

#define KILLS		50
#define KILL_DEVICES	2

/* The VMM that is to be killed */
static int doomed(unsigned int seed, int ready)
{
	if (machine_open_guest(&machine, KILL_DEVICES) ||
	    machine_create(&machine, SMMUV3_ACCEL_CREATE_FEED))
		return 1;
	start_workers(seed, true);
	if (write(ready, "", 1) != 1)
		return 2;
	join_workers();
	fprintf(stderr, "# %s\n", machine.why);
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

TEST_F(vmm, killed)
{
	unsigned int seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	struct smmuv3_accel_attach attach;
	struct dma_dev dev[KILL_DEVICES];
	int ready[2], status, round, i;
	struct timespec wait = {};
	struct guest g;
	__u64 bypass[8];
	__u32 reason;
	pid_t pid;
	char c;

	ste_config(bypass, STE_CFG_BYPASS);
	ASSERT_EQ(0, guest_open_memory(&g));
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

		for (i = 0; i < KILL_DEVICES; i++) {
			ASSERT_EQ(0, dma_open(&dev[i], g.iommufd, DMA_TESTDEV, i))
				TH_LOG("round %d: device %d is not free", round, i);
			ASSERT_EQ(-EFAULT, testdev_write(&dev[i], GUEST_BASE))
				TH_LOG("round %d: device %d is not blocked", round, i);
		}
		ASSERT_EQ(0, guest_create(&g));
		for (i = 0; i < KILL_DEVICES; i++) {
			ASSERT_EQ(0, accel_attach(&g, dev[i].fd, VSID(i), &attach));
			ASSERT_EQ(-EFAULT, testdev_write(&dev[i], GUEST_BASE));
			ASSERT_EQ(0, accel_install(&g, VSID(i), bypass, &reason));
			ASSERT_EQ(0, testdev_write(&dev[i], GUEST_BASE));
		}
		close(g.accel);
		g.accel = -1;
		for (i = 0; i < KILL_DEVICES; i++)
			dma_close(&dev[i]);
	}
	EXPECT_EQ(0, iommufd_destroy(g.iommufd, g.ioas_id));
	guest_close(&g);
}

/* The module's unloading */

FIXTURE(module)
{
	struct guest g;
	struct dma_dev dev;
	__u64 page;
	char parameters[128];
};

FIXTURE_SETUP(module)
{
	if (module_parameters(self->parameters, sizeof(self->parameters)))
		SKIP(return, "smmuv3-accel is not a module here");
	if (access(MODULE, R_OK))
		SKIP(return, "no " MODULE " to load again");
	if (module_unload())
		SKIP(return, "the module is in use: %s", strerror(errno));
	ASSERT_EQ(0, module_load(self->parameters));
	ASSERT_EQ(0, guest_open_memory(&self->g));
	ASSERT_EQ(0, dma_open(&self->dev, self->g.iommufd, DMA_TESTDEV, 0));
	self->page = guest_alloc(&self->g, 4096);
}

/* What runs after this wants the module */
FIXTURE_TEARDOWN(module)
{
	dma_close(&self->dev);
	if (self->g.ram)
		guest_close(&self->g);
	if (access("/sys/module/smmuv3_accel", F_OK))
		EXPECT_EQ(0, module_load(self->parameters));
}

static int attach_bypass(struct guest *g, struct dma_dev *dev, struct smmuv3_accel_attach *attach)
{
	__u64 ste[8];
	__u32 reason;
	int rc;

	rc = accel_attach(g, dev->fd, VSID(0), attach);
	if (rc)
		return rc;
	ste_config(ste, STE_CFG_BYPASS);
	return accel_install(g, VSID(0), ste, &reason);
}

TEST_F(module, stays_while_it_is_in_use)
{
	struct guest *g = &self->g;
	struct smmuv3_accel_attach attach;
	__u32 reason;
	int again;

	g->accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, g->accel);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	ASSERT_EQ(0, accel_create_flags(g->accel, g->iommufd, g->ioas_id, 0));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	ASSERT_EQ(0, attach_bypass(g, &self->dev, &attach));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
	ASSERT_EQ(0, accel_detach(g, VSID(0), &reason));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	ASSERT_EQ(0, attach_bypass(g, &self->dev, &attach));
	again = dup(g->accel);
	close(g->accel);
	g->accel = -1;
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));

	close(again);
	EXPECT_EQ(0, module_unload());
	EXPECT_GT(0, open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC));
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	EXPECT_EQ(-ENOENT, iommufd_destroy(g->iommufd, attach.out_viommu_id));

	ASSERT_EQ(0, module_load(self->parameters));
	ASSERT_EQ(0, guest_create(g));
	ASSERT_EQ(0, attach_bypass(g, &self->dev, &attach));
	EXPECT_EQ(0, testdev_write(&self->dev, self->page));
}

/*
 * The last close is another process's. What is left of the module in the VMM are
 * its scratch mappings, which keep it.
 */
TEST_F(module, stays_while_its_pages_are_mapped)
{
	struct range scratch[SCRATCH_MAX];
	struct guest *g = &self->g;
	struct smmuv3_accel_attach attach;
	int num, status, pipe_fd[2];
	pid_t pid;
	char go;

	scratch_before();
	ASSERT_EQ(0, guest_create(g));
	ASSERT_EQ(0, attach_bypass(g, &self->dev, &attach));
	ASSERT_EQ(0, pipe(pipe_fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(pipe_fd[0], &go, 1) != 1)
			_exit(1);
		close(g->accel);
		_exit(module_unload() == -EWOULDBLOCK ? 0 : 2);
	}
	close(g->accel);
	g->accel = -1;
	ASSERT_EQ(1, write(pipe_fd[1], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	EXPECT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
	num = scratch_find(scratch);
	EXPECT_LT(0, num);
	while (num-- > 0)
		EXPECT_EQ(0, munmap((void *)scratch[num].start,
				    scratch[num].end - scratch[num].start));
	EXPECT_EQ(0, module_unload());
}

struct reload {
	const char *parameters;
	int times;
	int refused;
	int rc;
	volatile bool done;
};

#define RELOADS	15

static void *reload(void *arg)
{
	struct reload *r = arg;
	int rc;

	while (!r->rc && r->times < RELOADS) {
		rc = module_unload();
		if (!rc) {
			r->rc = module_load(r->parameters);
			r->times++;
		} else if (rc == -EWOULDBLOCK) {
			r->refused++;
			breathe();
		} else {
			r->rc = rc;
		}
	}
	r->done = true;
	return NULL;
}

TEST_F(module, unloaded_at_any_time)
{
	struct reload r = { .parameters = self->parameters };
	struct guest *g = &self->g;
	struct smmuv3_accel_attach attach;
	unsigned int opened = 0, none = 0, seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	struct timespec wait = {};
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reload, &r));
	while (!r.done) {
		int rc = guest_create(g);

		if (g->accel < 0) {
			ASSERT_TRUE(rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
				TH_LOG("open: %d", rc);
			none++;
			breathe();
			continue;
		}
		ASSERT_EQ(0, rc);
		ASSERT_EQ(0, attach_bypass(g, &self->dev, &attach));
		ASSERT_EQ(0, testdev_write(&self->dev, self->page));
		close(g->accel);
		g->accel = -1;
		ASSERT_EQ(-EFAULT, testdev_write(&self->dev, self->page));
		opened++;
		wait.tv_nsec = pick(&seed, 300) * 1000L;
		nanosleep(&wait, NULL);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.rc);
	TH_LOG("%d times loaded anew, %d times refused; %u files, %u times there was no module",
	       r.times, r.refused, opened, none);
	EXPECT_LT(0, opened);
	EXPECT_EQ(0, iommufd_destroy(g->iommufd, g->ioas_id));
}

TEST_HARNESS_MAIN
