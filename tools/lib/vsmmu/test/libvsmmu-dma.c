// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The library on the real module, with DMA to show what came of it. Run in the
 * emulated host: tools/testing/vm/run.sh --testdev 2 --smmus 2 -- libvsmmu-dma
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/iommufd.h>

#include "harness.h"
#include "machine.h"

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

/* From reset to stage 1 and back, for each device */
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
	uint64_t both;
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
	/* PROD and CONS in one access */
	EXPECT_EQ(0, vsmmu_read(m->v, REG_EVENTQ_PROD, &both, 8));
	EXPECT_EQ(4, both);
	EXPECT_EQ(0, put64(m, REG_EVENTQ_PROD, 3ULL << 32));
	EXPECT_EQ(0, vsmmu_read(m->v, REG_EVENTQ_PROD, &both, 8));
	EXPECT_EQ(3ULL << 32 | 4, both);
	EXPECT_EQ(0, put(m, REG_EVENTQ_CONS, 0));
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
	/* A missing level-2 table is no event. */
	ASSERT_EQ(0, send(m, cmd_cfgi_ste(VSID, true)));
	ASSERT_EQ(0, send(m, cmd_cfgi_all()));
	EXPECT_EQ(0, get(m, REG_EVENTQ_PROD));
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	EXPECT_EQ(0, get(m, REG_EVENTQ_PROD));
	ste_config(ste, STE_CFG_S2);
	ASSERT_EQ(0, set_ste(m, VSID, ste));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, IOVA));
	ASSERT_EQ(1, get(m, REG_EVENTQ_PROD));
	EXPECT_EQ(EVT_C_BAD_STE, event_at(m, 0)[0] & 0xff);
	EXPECT_EQ(VSID, event_at(m, 0)[0] >> 32);
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
}

/* A bad STE that is named before the SMMU is enabled: one event when it is */
TEST_F(vsmmu, bad_ste_before_smmuen)
{
	struct machine *m = &self->m;
	__u64 ste[8];

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, enable(m, CR0_CMDQEN | EVENTQEN));
	ste_config(ste, STE_CFG_S2);
	ASSERT_EQ(0, set_ste(m, VSID, ste));
	EXPECT_EQ(0, get(m, REG_EVENTQ_PROD));
	ASSERT_EQ(0, enable(m, CR0_CMDQEN | EVENTQEN | CR0_SMMUEN));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, IOVA));
	ASSERT_EQ(1, get(m, REG_EVENTQ_PROD));
	EXPECT_EQ(EVT_C_BAD_STE, event_at(m, 0)[0] & 0xff);
	EXPECT_EQ(VSID, event_at(m, 0)[0] >> 32);

	/* Enabled again, after a CFGI_ALL: none */
	ASSERT_EQ(0, enable(m, CR0_CMDQEN | EVENTQEN));
	ASSERT_EQ(0, send(m, cmd_cfgi_all()));
	ASSERT_EQ(0, enable(m, CR0_CMDQEN | EVENTQEN | CR0_SMMUEN));
	EXPECT_EQ(1, get(m, REG_EVENTQ_PROD));
}

/*
 * A driver that waits for the MSI of a CMD_SYNC in the command's own place: when it
 * comes, the TLBI before it is done.
 */
TEST_F(vsmmu, sync_by_msi)
{
	struct machine *m = &self->m;
	struct cmd sync = cmd_sync_irq();
	__u32 at, i;

	close_vsmmu(m);
	m->options.flags = VSMMU_OPT_MSI;
	ASSERT_EQ(0, open_vsmmu(m));
	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	for (i = 0; i < 100; i++) {
		pgtable_map(&m->pt, IOVA, m->page[i & 1], PTE_NOT_GLOBAL);
		ring_put(&m->ring, cmd_tlbi_va(ASID, IOVA, true));
		at = m->ring.prod & ((1U << m->ring.log2size) - 1);
		sync.w[1] = m->ring.base + 16 * at;
		ring_put(&m->ring, sync);
		ASSERT_EQ(0, vsmmu_doorbell(m->v, m->ring.prod));
		EXPECT_EQ(0, *(volatile __u32 *)guest_ptr(&m->g, sync.w[1]));
		EXPECT_EQ(m->ring.prod, get(m, REG_CMDQ_CONS));
		EXPECT_EQ((int)(i & 1), dma_goes(m, 0, IOVA));
	}
	EXPECT_EQ(0, get(m, REG_GERROR));
}

/* A bad command: reported, fixed, acknowledged */
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
	EXPECT_EQ(1, m->cmd_errors);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, m->cmd_error.cerror);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_OPCODE, m->cmd_error.reason);
	EXPECT_EQ(at, m->cmd_error.index);
	EXPECT_EQ(0xff, m->cmd_error.cmd.dw[0]);
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

/* The feed has what an emulated endpoint has to see, and nothing else. */
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

/* The harness does not see failures in a child: the parent checks its status. */
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

	/* The file does not belong to this process yet. */
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
	/* A doorbell that the old process did not handle */
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

/* A stream without a StreamID, which gets one, another one, and swaps it */
TEST_F(vsmmu, stream_ids)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_vsid ids[] = {
		{ SMMUV3_ACCEL_VSID_UNSET | 7, VSID + 1 }, { VSID + 1, VSID },
	};
	struct smmuv3_accel_attach info;
	int last = m->devices - 1;

	ASSERT_EQ(0, driver_start(m));
	ASSERT_EQ(0, set_ste(m, VSID, m->s1));
	ASSERT_EQ(0, vsmmu_detach(m->v, VSID + last));
	ASSERT_EQ(0, vsmmu_attach(m->v, m->dev[last].fd, ids[0].old_vsid, 0, 0, &info));
	EXPECT_EQ(0, info.out_vdevice_id);
	EXPECT_EQ(-EFAULT, dma_goes(m, last, IOVA));
	EXPECT_EQ(-EFAULT, dma_goes(m, last, m->page[0]));

	/* The guest has no STE for the first, and one for the second. */
	ASSERT_EQ(0, vsmmu_set_vsids(m->v, ids, 1));
	EXPECT_EQ(-EFAULT, dma_goes(m, last, IOVA));
	if (last) {
		ids[0] = (struct smmuv3_accel_vsid){ VSID, VSID + 1 };
		EXPECT_EQ(-EEXIST, vsmmu_set_vsids(m->v, ids + 1, 1));
		ASSERT_EQ(0, vsmmu_set_vsids(m->v, ids, 2));
		EXPECT_EQ(-EFAULT, dma_goes(m, 0, IOVA));
	} else {
		ASSERT_EQ(0, vsmmu_set_vsids(m->v, ids + 1, 1));
	}
	EXPECT_EQ(0, dma_goes(m, last, IOVA));
	ASSERT_EQ(0, set_ste(m, VSID + 1, m->s1));
	EXPECT_EQ(0, dma_goes(m, 0, IOVA));
	EXPECT_EQ(0, vsmmu_detach(m->v, VSID));
	EXPECT_EQ(-EFAULT, dma_goes(m, last, IOVA));
}

/* A dry run leaves nothing behind. */
TEST_F(vsmmu, dry_run)
{
	struct machine *m = &self->m;

#define DRY_RUN(_vsid) vsmmu_attach(m->v, m->dev[0].fd, _vsid, SMMUV3_ACCEL_ATTACH_DRY_RUN, 0, NULL)
	EXPECT_EQ(-EEXIST, DRY_RUN(VSID));
	EXPECT_EQ(-EBUSY, DRY_RUN(VSID + 8));
	EXPECT_EQ(0, dma_goes(m, 0, m->page[0]));
	ASSERT_EQ(0, vsmmu_detach(m->v, VSID));
	EXPECT_EQ(0, DRY_RUN(VSID));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, m->page[0]));
	EXPECT_EQ(-ENOENT, vsmmu_detach(m->v, VSID));
	EXPECT_EQ(0, vsmmu_attach(m->v, m->dev[0].fd, VSID, 0, 0, NULL));
	EXPECT_EQ(0, dma_goes(m, 0, m->page[0]));
}

/* The VMM's stage-2 parents, one for each SMMU, named for a probe and at ATTACH */
TEST_F(vsmmu, named_parent)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_phys phys = { .size = sizeof(phys) };
	int i;

	close_vsmmu(m);
	for (i = 0; i < m->devices; i++)
		ASSERT_EQ(0, iommufd_nest_parent(m->g.iommufd, m->dev[i].dev_id, m->g.ioas_id,
						 &m->parent[i]));
	ASSERT_EQ(0, open_vsmmu(m));
	for (i = 0; i < m->devices; i++) {
		phys.index = i;
		ASSERT_EQ(0, ioctl(vsmmu_fd(m->v), SMMUV3_ACCEL_GET_PHYS, &phys));
		EXPECT_EQ(m->parent[i], phys.out_s2_hwpt_id);
		EXPECT_EQ(0, dma_goes(m, i, m->page[0]));
	}
}

/* Descriptors of other kinds, as the real kernel names them */
TEST_F(vsmmu, descriptors)
{
	struct machine *m = &self->m;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	EXPECT_EQ(-EEXIST, vsmmu_add_veventq(m->v, m->queue[0]));
	EXPECT_EQ(-EINVAL, vsmmu_add_veventq(m->v, m->g.iommufd));
	EXPECT_EQ(-EINVAL, vsmmu_add_veventq(m->v, event));
	EXPECT_EQ(-EINVAL, vsmmu_set_irqfd(m->v, VSMMU_IRQ_GERROR, m->queue[0]));
	EXPECT_EQ(0, vsmmu_set_irqfd(m->v, VSMMU_IRQ_GERROR, event));
	EXPECT_EQ(0, vsmmu_set_irqfd(m->v, VSMMU_IRQ_GERROR, -1));
	close(event);
}

/* ID registers that are refused have names. */
TEST_F(vsmmu, refused_idr)
{
	struct machine *m = &self->m;
	struct vsmmu_options options = {};
	struct vsmmu_error error;
	char text[512];

	close_vsmmu(m);
	ASSERT_EQ(0, make_vsmmu(m, 0, -1));
	ASSERT_EQ(0, vsmmu_probe(m->v, m->dev[0].fd, 0));
	ASSERT_EQ(0, vsmmu_default_idr(m->v, NULL, options.idr));
	options.flags = VSMMU_OPT_IDR;
	/* No guest may see HTTU and BTM. */
	options.idr[0] |= 3 << 6 | 1 << 5;
	EXPECT_EQ(-EOPNOTSUPP, vsmmu_start(m->v, &options));
	vsmmu_last_error(m->v, &error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_IDR_ILLEGAL, error.reason);
	vsmmu_strerror(&error, text, sizeof(text));
	EXPECT_NE(NULL, strstr(text, "SMMU_IDR0.BTM, SMMU_IDR0.HTTU: "));
	options.idr[0] &= ~(3 << 6 | 1 << 5);
	EXPECT_EQ(0, vsmmu_start(m->v, &options));
}

/* A failure has its reason in words. */
TEST_F(vsmmu, says_why)
{
	struct machine *m = &self->m;
	struct vsmmu_error error;
	char text[512];

	EXPECT_EQ(-EEXIST, vsmmu_attach(m->v, m->dev[0].fd, VSID, 0, 0, NULL));
	vsmmu_last_error(m->v, &error);
	vsmmu_strerror(&error, text, sizeof(text));
	EXPECT_NE(NULL, strstr(text, "ATTACH: The virtual StreamID is in use"));
	EXPECT_EQ(-ENOENT, vsmmu_detach(m->v, 99));
	EXPECT_EQ(0, vsmmu_detach(m->v, VSID));
	EXPECT_EQ(-EFAULT, dma_goes(m, 0, m->page[0]));
}

TEST_HARNESS_MAIN
