// SPDX-License-Identifier: GPL-2.0
/*
 * A lesson in table mode, step by step: what a VMM does with libvsmmu, and what a
 * guest's SMMUv3 driver does, which knows only registers and memory. The guest's tables
 * and the device come from guest.h of the selftests. Run it with make demo.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest.h"
#include "vsmmu.h"

#define VSID	0x42
#define OUR_ASID	7
#define IOVA	0x10000000ULL

/* Registers (Arm IHI 0070, chapter 6) */
enum {
	CR0 = 0x20, CR0ACK = 0x24, IRQ_CTRL = 0x50, GERROR = 0x60, GERRORN = 0x64,
	STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, CMDQ_PROD = 0x98,
	CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0, EVENTQ_PROD = 0x100a8,
	CR0_EVENTQEN = 1 << 2,
};

static struct guest g;
static struct dma_dev dev;
static struct vsmmu *v;
static struct ring ring;
static struct strtab strtab;
static struct pgtable table;
static struct pollfd veventq = { .events = POLLIN };
static __u64 page[2], eventq;
static unsigned int irqs[VSMMU_IRQ_NUM], steps;
#define step(...) (printf("%2u. ", ++steps), printf(__VA_ARGS__), printf("\n"))

#define require(condition, ...)						\
	do {								\
		if (!(condition)) {					\
			printf("FAIL: " __VA_ARGS__);			\
			printf("\n");					\
			exit(1);					\
		}							\
	} while (0)

/* Check a library call that has to succeed. If it failed, the library says why. */
static void check(int rc, const char *what)
{
	struct vsmmu_error error;
	char text[512];

	vsmmu_last_error(v, &error);
	require(!rc, "%s: %s", what, vsmmu_strerror(&error, text, sizeof(text)));
}

#define call(what) check(what, #what)

/* The VMM: an edge of an interrupt line. A real one calls its interrupt controller. */
static void on_irq(void *opaque, enum vsmmu_irq line)
{
	((unsigned int *)opaque)[line]++;
}

/* The VMM: a command that is in error, for its log */
static void on_cmd_error(void *opaque, const struct vsmmu_cmd_error *error)
{
	(void)opaque;
	printf("    the VMM's log: command %u, %#llx: %s\n", error->index,
	       (unsigned long long)error->cmd.dw[0], vsmmu_reason_string(error->reason));
}

/* The guest: a store exits to the VMM, a load finds the register file in memory. */
static void put(__u32 offset, __u64 value, unsigned int size)
{
	call(vsmmu_write(v, offset, value, size));
}

static __u32 get(__u32 offset)
{
	return *(volatile __u32 *)((char *)vsmmu_page(v, 0) + offset);
}

/* The guest's driver queues a command and a CMD_SYNC, rings the doorbell and waits. */
static void send(struct cmd cmd)
{
	ring_put(&ring, cmd);
	ring_put(&ring, cmd_sync_irq());
	put(CMDQ_PROD, ring.prod, 4);
	require(get(CMDQ_CONS) == ring.prod, "CMDQ_CONS is %#x", get(CMDQ_CONS));
}

/* Let the device write at @iova. Returns in which of two pages it arrived, or -EFAULT */
static int dma(__u64 iova)
{
	volatile __u32 *at[2] = { guest_ptr(&g, page[0]), guest_ptr(&g, page[1]) };
	int rc;

	*at[0] = 0;
	*at[1] = 0;
	rc = testdev_write(&dev, iova);
	return rc ? rc : *at[0] == TESTDEV_PATTERN ? 0 : *at[1] == TESTDEV_PATTERN ? 1 : -EIO;
}

static void vmm_starts(void)
{
	struct vsmmu_region ram = { GUEST_BASE, GUEST_SIZE, (uintptr_t)g.ram, 0, 0 };
	struct vsmmu_config config = VSMMU_CONFIG_INIT;
	struct smmuv3_accel_attach info;
	__u32 id;

	config.iommufd = g.iommufd;
	config.ioas_id = g.ioas_id;
	config.regions = &ram;
	config.region_num = 1;
	config.raise = on_irq;
	config.cmd_error = on_cmd_error;
	config.opaque = irqs;
	require(!vsmmu_new(&config, &v, NULL), "there is no virtual SMMU");
	step("vsmmu_new: a virtual SMMU of iommufd %d, with the guest's memory", g.iommufd);
	call(vsmmu_probe(v, dev.fd, 0));
	call(vsmmu_start(v, NULL));
	step("vsmmu_probe, vsmmu_start: the guest reads IDR0 %#x, IDR1 %#x", get(0), get(4));
	call(vsmmu_attach(v, dev.fd, VSID, 0, 0, &info));
	require(dma(page[0]) == 0, "DMA did not bypass stage 1");
	step("vsmmu_attach: StreamID %#x; out of reset its DMA bypasses stage 1", VSID);
	veventq.fd = veventq_open(g.iommufd, info.out_viommu_id, &id);
	call(vsmmu_add_veventq(v, veventq.fd));
	step("vsmmu_add_veventq: what iommufd reports becomes events of the guest");
}

static void guest_enables(void)
{
	require(!ring_init(&ring, &g, 6) && !strtab_init(&strtab, &g, 8, 6), "no memory");
	eventq = guest_alloc(&g, 4096);
	put(STRTAB_BASE, strtab.base, 8);
	put(STRTAB_BASE_CFG, strtab.base_cfg, 4);
	put(CMDQ_BASE, ring.base | ring.log2size, 8);
	put(EVENTQ_BASE, eventq | 6, 8);
	put(IRQ_CTRL, 5, 4);
	put(CR0, CR0_SMMUEN | CR0_CMDQEN | CR0_EVENTQEN, 4);
	require(get(CR0ACK) == get(CR0) && dma(page[0]) == -EFAULT, "SMMUEN has no effect");
	step("the guest enables its SMMU: CR0ACK %#x, DMA without an STE aborts", get(CR0ACK));
}

static void guest_translates(void)
{
	__u64 cd = guest_alloc(&g, 64), ste[8];

	pgtable_init(&table, &g, GRANULE_4K);
	pgtable_map(&table, IOVA, page[0], PTE_NOT_GLOBAL);
	cd_write(&g, cd, &table, OUR_ASID);
	ste_s1(ste, cd);
	strtab_write(&strtab, VSID, ste);
	send(cmd_cfgi_ste(VSID, true));
	require(irqs[VSMMU_IRQ_CMDQ_SYNC] == 1 && dma(IOVA) == 0, "the STE has no effect");
	step("STE, CFGI_STE, CMD_SYNC, doorbell: DMA to %#llx lands at %#llx", IOVA, page[0]);
	pgtable_map(&table, IOVA, page[1], PTE_NOT_GLOBAL);
	send(cmd_tlbi_va(OUR_ASID, IOVA, true));
	require(dma(IOVA) == 1, "the stale translation is left");
	step("another page, TLBI_NH_VA, CMD_SYNC, doorbell: DMA lands at %#llx", page[1]);
}

static void guest_faults(void)
{
	__u64 *event = guest_ptr(&g, eventq);
	__u32 at = ring.prod;

	require(dma(IOVA + 0x5000) == -EFAULT, "DMA to an unmapped address got through");
	require(poll(&veventq, 1, 5000) == 1 && vsmmu_poll_events(v) == 1, "no event");
	require(get(EVENTQ_PROD) == 1 && irqs[VSMMU_IRQ_EVENTQ] == 1 && event[0] >> 32 == VSID &&
		(event[0] & 0xff) == EVT_F_TRANSLATION, "the event is %#llx", event[0]);
	step("vsmmu_poll_events: the guest has F_TRANSLATION at %#llx, and an interrupt", event[2]);
	ring_put(&ring, (struct cmd){ { 0xff } });
	put(CMDQ_PROD, ring.prod, 4);
	require(get(CMDQ_CONS) >> 24 == 1 && get(GERROR) == 1, "an unknown opcode was taken");
	step("an unknown opcode: CMDQ_CONS %#x has CERROR_ILL, GERROR is 1", get(CMDQ_CONS));
	*ring_slot(&ring, at) = cmd_sync();
	put(GERRORN, 1, 4);
	require(get(CMDQ_CONS) == ring.prod, "the queue did not go on");
	step("the guest fixes the command and acknowledges the error: the queue goes on");
}

int main(void)
{
	require(!guest_open_memory(&g), "there is no IOAS with the guest's memory");
	require(!dma_open(&dev, g.iommufd, DMA_TESTDEV, 0), "there is no iommu-testdev");
	page[0] = guest_alloc(&g, 4096);
	page[1] = guest_alloc(&g, 4096);
	vmm_starts();
	guest_enables();
	guest_translates();
	guest_faults();
	call(vsmmu_detach(v, VSID));
	require(dma(IOVA) == -EFAULT, "DMA was not blocked");
	step("vsmmu_detach: DMA is blocked, the device can go");
	vsmmu_free(v);
	printf("\nPASS\n");
	return 0;
}
