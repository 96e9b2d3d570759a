// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The library on the real module, with a guest driver that knows nothing but
 * registers and memory, and DMA to show what came of it. Run in the emulated
 * host: tools/testing/vm/run.sh --testdev 2 --smmus 2 -- libvsmmu-dma
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/iommufd.h>

#include "guest.h"
#include "harness.h"
#include "vsmmu.h"

#define VSID	0x42
#define BRIDGE	0x80
#define VSID_FEED	0x81		/* an emulated endpoint */
#define IOVA	0x10000000ULL
#define ASID	5
#define EVENTQ_BITS	2

enum {
	REG_CR0 = 0x20, REG_CR0ACK = 0x24, REG_CR2 = 0x2c, REG_GBPA = 0x44,
	REG_IRQ_CTRL = 0x50, REG_IRQ_CTRLACK = 0x54,
	REG_GERROR = 0x60, REG_GERRORN = 0x64,
	REG_STRTAB_BASE = 0x80, REG_STRTAB_BASE_CFG = 0x88,
	REG_CMDQ_BASE = 0x90, REG_CMDQ_PROD = 0x98, REG_CMDQ_CONS = 0x9c,
	REG_EVENTQ_BASE = 0xa0, REG_EVENTQ_PROD = 0x100a8,
	REG_EVENTQ_CONS = 0x100ac,
};

#define EVENTQEN	(1U << 2)
#define GBPA_UPDATE	(1U << 31)
#define OVFLG		(1U << 31)
#define EVT_C_BAD_STE	0x04
#define DEVICES		2

/**
 * struct machine - A guest with a virtual SMMU, and its VMM
 * @g: iommufd and memory
 * @v: the virtual SMMU
 * @dev: devices
 * @queue: their SMMUs' vEVENTQs
 * @devices: how many there are
 * @ring: command queue
 * @strtab: stream table
 * @pt: stage 1
 * @eventq: event queue
 * @page: pages to write to
 * @s1: an STE for @pt
 * @irqs: edges that were seen
 * @fed: commands that were fed, the last ones
 * @fed_num: how many there were
 * @flushes: how often all was to be forgotten
 * @late: CONS showed a command before it was fed
 */
struct machine {
	struct guest g;
	struct vsmmu *v;
	struct dma_dev dev[DEVICES];
	int queue[DEVICES];
	int devices;
	struct ring ring;
	struct strtab strtab;
	struct pgtable pt;
	__u64 eventq;
	__u64 page[2];
	__u64 s1[8];
	unsigned int irqs[VSMMU_IRQ_NUM];
	struct vsmmu_cmd fed[8];
	unsigned int fed_num;
	unsigned int flushes;
	bool late;
};

FIXTURE(vsmmu) {
	struct machine m;
};

FIXTURE_VARIANT(vsmmu) {
	int devices;
};

FIXTURE_VARIANT_ADD(vsmmu, one_smmu) {
	.devices = 1,
};

/* The first device and the last one */
FIXTURE_VARIANT_ADD(vsmmu, two_smmus) {
	.devices = 2,
};

static void on_irq(void *opaque, enum vsmmu_irq line)
{
	struct machine *m = opaque;

	m->irqs[line]++;
}

static __u32 get(struct machine *m, __u32 offset)
{
	return *(volatile __u32 *)((char *)vsmmu_page(m->v, 0) + offset);
}

static void on_feed(void *opaque, const struct vsmmu_cmd *cmds, __u32 num,
		    bool flush)
{
	struct machine *m = opaque;
	__u32 i;

	m->flushes += flush;
	m->late |= num && get(m, REG_CMDQ_CONS) == m->ring.prod;
	for (i = 0; i < num; i++)
		m->fed[m->fed_num++ % ARRAY_LEN(m->fed)] = cmds[i];
}

/* The VMM */

static int attach_all(struct machine *m)
{
	struct smmuv3_accel_attach info;
	__u32 id, phys[DEVICES];
	int i, rc;

	for (i = 0; i < m->devices; i++) {
		rc = vsmmu_attach(m->v, m->dev[i].fd, VSID + i, 0, 0, &info);
		if (rc)
			return rc;
		phys[i] = info.out_phys;
		if (i && phys[i] == phys[0])
			return -EXDEV;
		m->queue[i] = veventq_open(m->g.iommufd, info.out_viommu_id, &id);
		if (m->queue[i] < 0)
			return m->queue[i];
		rc = vsmmu_add_veventq(m->v, m->queue[i]);
		if (rc)
			return rc;
	}
	return 0;
}

static int make_vsmmu(struct machine *m, __u32 flags, int accel_fd)
{
	const struct vsmmu_region ram = {
		.gpa = GUEST_BASE,
		.size = GUEST_SIZE,
		.uaddr = (__u64)(unsigned long)m->g.ram,
	};
	struct vsmmu_config config = VSMMU_CONFIG_INIT;

	config.accel_fd = accel_fd;
	config.iommufd = m->g.iommufd;
	config.ioas_id = m->g.ioas_id;
	config.region_num = 1;
	config.regions = &ram;
	config.flags = VSMMU_CONFIG_CLEAN | flags;
	config.raise = on_irq;
	config.feed = on_feed;
	config.opaque = m;
	return vsmmu_new(&config, &m->v, NULL);
}

static int open_vsmmu(struct machine *m)
{
	int i, rc;

	rc = make_vsmmu(m, 0, -1);
	for (i = 0; !rc && i < m->devices; i++)
		rc = vsmmu_probe(m->v, m->dev[i].fd, 0);
	if (!rc)
		rc = vsmmu_start(m->v, NULL);
	return rc ? rc : attach_all(m);
}

static void close_vsmmu(struct machine *m)
{
	int i;

	for (i = 0; i < m->devices; i++)
		if (m->queue[i] > 0)
			close(m->queue[i]);
	vsmmu_free(m->v);
	m->v = NULL;
}

/* The guest's driver. It reads registers as the guest does: from the page. */

static int put(struct machine *m, __u32 offset, __u32 value)
{
	return vsmmu_write(m->v, offset, value, 4);
}

static int put64(struct machine *m, __u32 offset, __u64 value)
{
	return vsmmu_write(m->v, offset, value, 8);
}

/* Write CR0 and wait for it as a driver does */
static int enable(struct machine *m, __u32 bits)
{
	int rc = put(m, REG_CR0, bits);

	return rc ? rc : get(m, REG_CR0ACK) == bits ? 0 : -ETIMEDOUT;
}

static int driver_start(struct machine *m)
{
	if (put64(m, REG_STRTAB_BASE, m->strtab.base) ||
	    put(m, REG_STRTAB_BASE_CFG, m->strtab.base_cfg) ||
	    put64(m, REG_CMDQ_BASE, m->ring.base | m->ring.log2size) ||
	    put(m, REG_CMDQ_PROD, m->ring.prod) ||
	    put(m, REG_CMDQ_CONS, m->ring.prod) ||
	    put64(m, REG_EVENTQ_BASE, m->eventq | EVENTQ_BITS) ||
	    put(m, REG_EVENTQ_PROD, 0) || put(m, REG_EVENTQ_CONS, 0) ||
	    put(m, REG_CR2, 2) || put(m, REG_IRQ_CTRL, 5))
		return -EIO;
	return enable(m, CR0_CMDQEN | EVENTQEN | CR0_SMMUEN);
}

/* Queue a command and a CMD_SYNC, ring, and see that they are consumed. */
static int send(struct machine *m, struct cmd c)
{
	int rc;

	ring_put(&m->ring, c);
	ring_put(&m->ring, cmd_sync_irq());
	rc = vsmmu_doorbell(m->v, m->ring.prod);
	if (rc)
		return rc;
	return get(m, REG_CMDQ_CONS) == m->ring.prod ? 0 : -ETIMEDOUT;
}

static int set_ste(struct machine *m, __u32 vsid, const __u64 ste[8])
{
	strtab_write(&m->strtab, vsid, ste);
	return send(m, cmd_cfgi_ste(vsid, true));
}

/* Which page a write to @iova lands in; a negative errno where in none */
static int dma_goes(struct machine *m, int device, __u64 iova)
{
	int i, rc, landed = -ENOENT;

	for (i = 0; i < 2; i++)
		*(volatile __u32 *)guest_ptr(&m->g, m->page[i]) = 0;
	rc = testdev_write(&m->dev[device], iova);
	for (i = 0; !rc && i < 2; i++)
		if (*(volatile __u32 *)guest_ptr(&m->g, m->page[i]) ==
		    TESTDEV_PATTERN)
			landed = i;
	return rc ? rc : landed;
}

/* Events come by an interrupt thread of the host's: wait for @prod. */
static bool events_until(struct machine *m, __u32 prod)
{
	int i;

	for (i = 0; i < 500 && get(m, REG_EVENTQ_PROD) != prod; i++) {
		if (vsmmu_poll_events(m->v) < 0)
			return false;
		usleep(10000);
	}
	return get(m, REG_EVENTQ_PROD) == prod;
}

static const __u64 *event_at(struct machine *m, int i)
{
	return (const __u64 *)guest_ptr(&m->g, m->eventq) + 4 * i;
}

static int last_device(void)
{
	char bdf[16];
	int i = 0;

	while (!dma_find(DMA_TESTDEV, i, bdf))
		i++;
	return i - 1;
}

FIXTURE_SETUP(vsmmu)
{
	struct machine *m = &self->m;
	int i, memfd = memfd_create("guest", MFD_CLOEXEC);
	__u64 cd;

	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, GUEST_SIZE));
	ASSERT_EQ(0, guest_open_memfd(&m->g, memfd));
	close(memfd);
	m->devices = variant->devices;
	for (i = 0; i < m->devices; i++)
		if (dma_open(&m->dev[i], m->g.iommufd, DMA_TESTDEV, i ? last_device() : 0))
			SKIP(return, "no iommu-testdev number %d", i);
	ASSERT_EQ(0, ring_init(&m->ring, &m->g, 6));
	ASSERT_EQ(0, strtab_init(&m->strtab, &m->g, 8, 6));
	m->eventq = guest_alloc(&m->g, 32 << EVENTQ_BITS);
	m->page[0] = guest_alloc(&m->g, 4096);
	m->page[1] = guest_alloc(&m->g, 4096);
	pgtable_init(&m->pt, &m->g, GRANULE_4K);
	pgtable_map(&m->pt, IOVA, m->page[0], PTE_NOT_GLOBAL);
	cd = guest_alloc(&m->g, 64);
	cd_write(&m->g, cd, &m->pt, ASID);
	ste_s1(m->s1, cd);
	i = open_vsmmu(m);
	if (i == -EXDEV)
		SKIP(return, "the devices are behind one SMMU");
	ASSERT_EQ(0, i);
}

FIXTURE_TEARDOWN(vsmmu)
{
	struct machine *m = &self->m;
	int i;

	close_vsmmu(m);
	for (i = 0; i < m->devices; i++)
		dma_close(&m->dev[i]);
	close(m->g.iommufd);
}

/* From reset to stage 1 and back, seen by each device */
TEST_F(vsmmu, translates)
{
	struct machine *m = &self->m;
	int i;

	for (i = 0; i < m->devices; i++)
		EXPECT_EQ(0, dma_goes(m, i, m->page[0]));
	ASSERT_EQ(0, driver_start(m));
	for (i = 0; i < m->devices; i++) {
		EXPECT_EQ(-EFAULT, dma_goes(m, i, m->page[0]));
		ASSERT_EQ(0, set_ste(m, VSID + i, m->s1));
		EXPECT_EQ(0, dma_goes(m, i, IOVA));
	}
	EXPECT_EQ((unsigned int)m->devices, m->irqs[VSMMU_IRQ_CMDQ_SYNC]);

	/* Stale until invalidated: then on all SMMUs */
	pgtable_map(&m->pt, IOVA, m->page[1], PTE_NOT_GLOBAL);
	for (i = 0; i < m->devices; i++)
		EXPECT_EQ(0, dma_goes(m, i, IOVA));
	ASSERT_EQ(0, send(m, cmd_tlbi_va(ASID, IOVA, true)));
	for (i = 0; i < m->devices; i++)
		EXPECT_EQ(1, dma_goes(m, i, IOVA));

	ASSERT_EQ(0, enable(m, CR0_CMDQEN | EVENTQEN));
	EXPECT_EQ(0, dma_goes(m, 0, m->page[0]));
	EXPECT_EQ(0, put(m, REG_GBPA, GBPA_UPDATE | GBPA_ABORT));
	EXPECT_EQ(GBPA_ABORT, get(m, REG_GBPA));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, m->page[0]));
	ASSERT_EQ(0, vsmmu_reset(m->v));
	EXPECT_EQ(0, dma_goes(m, 0, m->page[0]));
	EXPECT_EQ(0, get(m, REG_GBPA));
	ASSERT_EQ(0, driver_start(m));
	EXPECT_EQ(1, dma_goes(m, 0, IOVA));
}

/* Faults in the guest's queue, until it is full and after that */
TEST_F(vsmmu, faults)
{
	struct machine *m = &self->m;
	int device = m->devices - 1;
	__u32 i;

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, set_ste(m, VSID + device, m->s1));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EFAULT, dma_goes(m, device, IOVA + 0x10000 + i * 4096));
		ASSERT_TRUE(events_until(m, i + 1));
		EXPECT_EQ(EVT_F_TRANSLATION, event_at(m, i)[0] & 0xff);
		EXPECT_EQ(VSID + device, event_at(m, i)[0] >> 32);
		EXPECT_EQ(IOVA + 0x10000 + i * 4096, event_at(m, i)[2]);
	}
	EXPECT_EQ(1, m->irqs[VSMMU_IRQ_EVENTQ]);
	EXPECT_EQ(-EFAULT, dma_goes(m, device, IOVA + 0x20000));
	ASSERT_TRUE(events_until(m, OVFLG | 4));
	EXPECT_EQ(1, m->irqs[VSMMU_IRQ_EVENTQ]);

	/* The driver catches up and acknowledges. */
	EXPECT_EQ(0, put(m, REG_EVENTQ_CONS, OVFLG | 4));
	EXPECT_EQ(-EFAULT, dma_goes(m, device, IOVA + 0x30000));
	ASSERT_TRUE(events_until(m, OVFLG | 5));
	EXPECT_EQ(IOVA + 0x30000, event_at(m, 0)[2]);
	EXPECT_EQ(2, m->irqs[VSMMU_IRQ_EVENTQ]);
}

TEST_F(vsmmu, bad_ste)
{
	struct machine *m = &self->m;
	__u64 ste[8];

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	EXPECT_EQ(0, get(m, REG_EVENTQ_PROD));
	ste_config(ste, STE_CFG_S2);
	ASSERT_EQ(0, set_ste(m, VSID, ste));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, IOVA));
	ASSERT_GE(get(m, REG_EVENTQ_PROD), 1);
	EXPECT_EQ(EVT_C_BAD_STE, event_at(m, 0)[0] & 0xff);
	EXPECT_EQ(VSID, event_at(m, 0)[0] >> 32);
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
}

/* A bad command: reported, mended, acknowledged */
TEST_F(vsmmu, bad_command)
{
	struct machine *m = &self->m;
	__u32 at;

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
	pgtable_map(&m->pt, IOVA, m->page[1], PTE_NOT_GLOBAL);
	ring_put(&m->ring, cmd_sync());
	at = m->ring.prod;
	ring_put(&m->ring, (struct cmd){ { 0xff } });
	ring_put(&m->ring, cmd_tlbi_va(ASID, IOVA, true));
	ring_put(&m->ring, cmd_sync());
	EXPECT_EQ(0, put(m, REG_CMDQ_PROD, m->ring.prod));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL << 24 | at, get(m, REG_CMDQ_CONS));
	EXPECT_EQ(1, get(m, REG_GERROR));
	EXPECT_EQ(1, m->irqs[VSMMU_IRQ_GERROR]);
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
	*ring_slot(&m->ring, at) = cmd_sync();
	EXPECT_EQ(0, put(m, REG_GERRORN, 1));
	EXPECT_EQ(m->ring.prod, get(m, REG_CMDQ_CONS));
	EXPECT_EQ(1, dma_goes(m, 0, IOVA));
}

/* To a new vSMMU with the same memory, as after a migration */
TEST_F(vsmmu, save_restore)
{
	struct machine *m = &self->m;
	struct vsmmu_state state, again;
	int i;

	ASSERT_EQ(0, driver_start(m));
	for (i = 0; i < m->devices; i++)
		ASSERT_EQ(0, set_ste(m, VSID + i, m->s1));
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
	ASSERT_EQ(0, vsmmu_save(m->v, &state));
	close_vsmmu(m);
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, IOVA));

	ASSERT_EQ(0, open_vsmmu(m));
	EXPECT_EQ(0, dma_goes(m, 0, m->page[0]));
	ASSERT_EQ(0, vsmmu_restore(m->v, &state));
	for (i = 0; i < m->devices; i++)
		EXPECT_EQ(0, dma_goes(m, i, IOVA));
	pgtable_map(&m->pt, IOVA, m->page[1], PTE_NOT_GLOBAL);
	ASSERT_EQ(0, send(m, cmd_tlbi_asid(ASID)));
	for (i = 0; i < m->devices; i++)
		EXPECT_EQ(1, dma_goes(m, i, IOVA));
	ASSERT_EQ(0, vsmmu_save(m->v, &again));
	state.cmdq_prod = m->ring.prod;
	state.cmdq_cons = m->ring.prod;
	EXPECT_EQ(0, memcmp(&state, &again, sizeof(state)));
}

static bool was_fed(struct machine *m, unsigned int at, struct cmd c)
{
	return at < m->fed_num && !memcmp(&m->fed[at], &c, sizeof(c));
}

/* What an emulated endpoint beside the devices has to see, and nothing else */
TEST_F(vsmmu, feed)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_stream stream = { .size = sizeof(stream), .vsid = VSID_FEED };

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	ASSERT_EQ(0, send(m, cmd_tlbi_asid(ASID)));
	EXPECT_EQ(0, m->fed_num);

	ASSERT_EQ(0, vsmmu_attach(m->v, -1, BRIDGE, SMMUV3_ACCEL_ATTACH_BRIDGE, 0, NULL));
	ASSERT_EQ(0, send(m, cmd_tlbi_asid(ASID)));
	EXPECT_EQ(0, m->fed_num);
	ASSERT_EQ(0, vsmmu_attach(m->v, -1, VSID_FEED, SMMUV3_ACCEL_ATTACH_FEED, 0, NULL));
	ASSERT_EQ(0, set_ste(m, VSID_FEED, m->s1));
	ASSERT_EQ(0, ioctl(vsmmu_fd(m->v), SMMUV3_ACCEL_GET_STREAM, &stream));
	EXPECT_EQ(SMMUV3_ACCEL_KIND_S1, stream.out_kind);
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	pgtable_map(&m->pt, IOVA, m->page[1], PTE_NOT_GLOBAL);
	ASSERT_EQ(0, send(m, cmd_tlbi_va(ASID, IOVA, true)));
	EXPECT_EQ(1, dma_goes(m, 0, IOVA));
	ASSERT_EQ(2, m->fed_num);
	EXPECT_TRUE(was_fed(m, 0, cmd_cfgi_ste(VSID_FEED, true)));
	EXPECT_TRUE(was_fed(m, 1, cmd_tlbi_va(ASID, IOVA, true)));
	EXPECT_FALSE(m->late);

	ASSERT_EQ(0, vsmmu_detach(m->v, VSID_FEED));
	ASSERT_EQ(0, send(m, cmd_tlbi_asid(ASID)));
	EXPECT_EQ(2, m->fed_num);
	m->flushes = 0;
	EXPECT_EQ(0, vsmmu_reset(m->v));
	EXPECT_EQ(1, m->flushes);
}

/* In a child, what the harness does not see: the parent looks at the status. */
static int child_failed;

static void child_expect(bool holds, const char *what, int line)
{
	if (!holds)
		fprintf(stderr, "# %d: not: %s\n", line, what);
	child_failed |= !holds;
}

#define CHILD_EXPECT(_condition) child_expect(_condition, #_condition, __LINE__)

/* The process that takes the vSMMU over; a command is left in its queue. */
static int new_process(struct machine *m, const struct vsmmu_state *state)
{
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	const __u32 vsids[] = { VSID, VSID + 1, VSID_FEED };
	int other = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int i, fd = vsmmu_fd(m->v), iommufd = m->g.iommufd;
	struct vsmmu_state again;

	/* Not its own yet */
	CHILD_EXPECT(vsmmu_doorbell(m->v, m->ring.prod) == -EIO);
	/* Nor without the iommufd that the module acts on for it */
	CHILD_EXPECT(other >= 0);
	m->g.iommufd = other;
	CHILD_EXPECT(make_vsmmu(m, VSMMU_CONFIG_CHANGE_PROCESS, fd) == -EINVAL);
	m->g.iommufd = iommufd;
	CHILD_EXPECT(!ioctl(iommufd, IOMMU_IOAS_CHANGE_PROCESS, &change));
	CHILD_EXPECT(!make_vsmmu(m, VSMMU_CONFIG_CHANGE_PROCESS, fd));
	CHILD_EXPECT(dma_goes(m, 0, IOVA) == 0);
	CHILD_EXPECT(!vsmmu_resume(m->v, NULL, state, vsids, ARRAY_LEN(vsids)));
	/* DMA went on; the command that was left is done. */
	CHILD_EXPECT(get(m, REG_CMDQ_CONS) == m->ring.prod);
	for (i = 0; i < m->devices; i++)
		CHILD_EXPECT(dma_goes(m, i, IOVA) == 1);
	CHILD_EXPECT(m->fed_num == 1 && !m->late);
	pgtable_map(&m->pt, IOVA, m->page[0], PTE_NOT_GLOBAL);
	CHILD_EXPECT(!send(m, cmd_tlbi_va(ASID, IOVA, true)));
	for (i = 0; i < m->devices; i++)
		CHILD_EXPECT(dma_goes(m, i, IOVA) == 0);
	CHILD_EXPECT(!vsmmu_detach(m->v, VSID_FEED));
	CHILD_EXPECT(!vsmmu_save(m->v, &again));
	CHILD_EXPECT(again.cr0 == state->cr0);
	CHILD_EXPECT(!memcmp(again.idr, state->idr, sizeof(again.idr)));
	return child_failed;
}

TEST_F(vsmmu, live_update)
{
	struct machine *m = &self->m;
	struct vsmmu_state state;
	int i, status;
	pid_t pid;

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, vsmmu_attach(m->v, -1, VSID_FEED, SMMUV3_ACCEL_ATTACH_FEED, 0, NULL));
	for (i = 0; i < m->devices; i++)
		ASSERT_EQ(0, set_ste(m, VSID + i, m->s1));
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
	ASSERT_EQ(0, vsmmu_save(m->v, &state));
	/* A doorbell that the old process did not get to */
	pgtable_map(&m->pt, IOVA, m->page[1], PTE_NOT_GLOBAL);
	ring_put(&m->ring, cmd_tlbi_asid(ASID));
	ring_put(&m->ring, cmd_sync());
	state.cmdq_prod = m->ring.prod;
	m->fed_num = 0;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(new_process(m, &state));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-EIO, send(m, cmd_tlbi_asid(ASID)));
}

/* A failure has its reason in words. */
TEST_F(vsmmu, says_why)
{
	struct machine *m = &self->m;
	struct vsmmu_error error;
	char text[200];

	EXPECT_EQ(-EEXIST, vsmmu_attach(m->v, m->dev[0].fd, VSID, 0, 0, NULL));
	vsmmu_last_error(m->v, &error);
	vsmmu_strerror(&error, text, sizeof(text));
	EXPECT_NE(NULL, strstr(text, "ATTACH: The virtual StreamID is in use"));
	EXPECT_EQ(-ENOENT, vsmmu_detach(m->v, 99));
	EXPECT_EQ(0, vsmmu_detach(m->v, VSID));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, m->page[0]));
}

TEST_HARNESS_MAIN
