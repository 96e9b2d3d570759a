// SPDX-License-Identifier: GPL-2.0
/*
 * A first lesson in /dev/smmuv3-accel.
 *
 * One device behind a virtual SMMU, from attach to detach, told step by step.
 * Here the program plays both parts: the guest, which writes page tables, a CD
 * and an STE into its memory, and the VMM, which hands the guest's STE and
 * commands to the module. This file has all calls of the module. guest.h of the
 * selftests has what any VMM needs before: an iommufd with the guest's memory in
 * an IOAS, and a VFIO device bound to it. It also has page tables and CDs, for
 * the guest's part.
 *
 * The device is QEMU's iommu-testdev, which writes a pattern to any address. Run
 * it in the emulated host: make demo.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/smmuv3_accel.h>

#include "guest.h"

/* The guest's StreamID for the device, and the guest's ASID */
#define VSID	0x42
#define OUR_ASID	7

/* Where the guest's driver maps its buffer for the device */
#define IOVA	0x10000000ULL

static int step_number;

static void step(const char *text, ...)
{
	va_list args;

	printf("%2d. ", ++step_number);
	va_start(args, text);
	vprintf(text, args);
	va_end(args);
	printf("\n");
}

#define require(condition, ...)						\
	do {								\
		if (!(condition)) {					\
			printf("FAIL: ");				\
			printf(__VA_ARGS__);				\
			printf("\n");					\
			exit(1);					\
		}							\
	} while (0)

/* An ioctl that has to succeed. Each struct starts with its size. */
#define call(fd, request, arg)						\
	do {								\
		(arg)->size = sizeof(*(arg));				\
		require(!ioctl(fd, request, arg), #request ": %s, reason %u", \
			strerror(errno), (arg)->out_reason);		\
	} while (0)

/* Let the device write at @iova. Returns in which of two pages it arrived: 0, 1, -1 */
static int where_dma_lands(struct guest *g, struct dma_dev *dev, __u64 iova,
			   const __u64 page[2])
{
	int i, landed = -1;

	for (i = 0; i < 2; i++)
		*(volatile __u32 *)guest_ptr(g, page[i]) = 0;
	if (testdev_write(dev, iova))
		return -1;
	for (i = 0; i < 2; i++)
		if (*(volatile __u32 *)guest_ptr(g, page[i]) == TESTDEV_PATTERN)
			landed = i;
	return landed;
}

static void install_ste(int accel, const __u64 words[8], __u32 want_reason)
{
	struct smmuv3_accel_ste entry = { .vsid = VSID };
	struct smmuv3_accel_install_ste install = {
		.entry_num = 1,
		.entry_len = sizeof(entry),
		.entries_uptr = (__u64)(unsigned long)&entry,
	};

	memcpy(entry.ste, words, sizeof(entry.ste));
	call(accel, SMMUV3_ACCEL_INSTALL_STE, &install);
	require(entry.out_reason == want_reason, "the STE's reason is %u, not %u",
		entry.out_reason, want_reason);
}

int main(void)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	struct smmuv3_accel_create create = {};
	struct smmuv3_accel_attach attach = {};
	struct smmuv3_accel_phys phys = { .size = sizeof(phys) };
	struct smmuv3_accel_invalidate invalidate = {};
	struct smmuv3_accel_detach detach = {};
	struct pgtable table;
	struct dma_dev dev;
	struct guest g;
	__u64 page[2], cd, ste[8], event[4];
	__u32 queue_id;
	int accel, queue, rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("What a VMM has before: guest memory in an IOAS, a bound VFIO device\n");
	rc = guest_open_memory(&g);
	require(!rc, "guest memory: %s", strerror(-rc));
	rc = dma_open(&dev, g.iommufd, DMA_TESTDEV, 0);
	require(!rc, "no iommu-testdev bound to vfio-pci: %s", strerror(-rc));
	printf("    iommufd %d, IOAS %u, device %s with ID %u\n\n", g.iommufd,
	       g.ioas_id, dev.bdf, dev.dev_id);

	accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	require(accel >= 0, "/dev/smmuv3-accel: %s", strerror(errno));
	rc = ioctl(accel, SMMUV3_ACCEL_GET_INFO, &info);
	require(!rc, "GET_INFO: %s", strerror(errno));
	step("open: API version %u, up to %u streams and %u commands a host call",
	     info.out_api_version, info.out_max_streams, info.out_max_batch);

	create.iommufd = g.iommufd;
	create.ioas_id = g.ioas_id;
	call(accel, SMMUV3_ACCEL_CREATE, &create);
	step("CREATE: this file is a virtual SMMU of that iommufd now");

	attach.vfio_fd = dev.fd;
	attach.vsid = VSID;
	call(accel, SMMUV3_ACCEL_ATTACH, &attach);
	step("ATTACH: the device is StreamID %#x; vIOMMU %u, vDEVICE %u, stage-2 parent %u",
	     VSID, attach.out_viommu_id, attach.out_vdevice_id,
	     attach.out_s2_hwpt_id);
	require(testdev_write(&dev, GUEST_BASE) == -EFAULT, "DMA was not aborted");
	printf("    its DMA is aborted until the guest says otherwise\n");

	phys.index = attach.out_phys;
	rc = ioctl(accel, SMMUV3_ACCEL_GET_PHYS, &phys);
	require(!rc, "GET_PHYS: %s", strerror(errno));
	step("GET_PHYS: IDR0 %#x, IDR1 %#x, IDR3 %#x, IDR5 %#x limit what the guest is offered",
	     phys.out_idr[0], phys.out_idr[1], phys.out_idr[3], phys.out_idr[5]);

	queue = veventq_open(g.iommufd, attach.out_viommu_id, &queue_id);
	require(queue >= 0, "IOMMU_VEVENTQ_ALLOC: %s", strerror(-queue));
	step("an event queue on that vIOMMU, by iommufd itself: faults will arrive there");

	/*
	 * The guest's driver writes a page table, a Context Descriptor that
	 * points to it, and an STE that points to the CD, all in guest memory
	 * with guest physical addresses, and sends CFGI_STE.
	 */
	page[0] = guest_alloc(&g, 4096);
	page[1] = guest_alloc(&g, 4096);
	pgtable_init(&table, &g, GRANULE_4K);
	pgtable_map(&table, IOVA, page[0], PTE_NOT_GLOBAL);
	cd = guest_alloc(&g, 64);
	cd_write(&g, cd, &table, OUR_ASID);
	ste_s1(ste, cd);
	/* The VMM reads the STE from the guest's stream table and installs it. */
	install_ste(accel, ste, SMMUV3_ACCEL_REASON_NONE);
	step("INSTALL_STE: the guest's stage 1 translates, its CD is at %#llx", cd);

	require(where_dma_lands(&g, &dev, IOVA, page) == 0, "DMA went astray");
	printf("    DMA to %#llx landed in the page at %#llx\n", IOVA, page[0]);

	pgtable_map(&table, IOVA, page[1], PTE_NOT_GLOBAL);
	step("the guest maps %#llx to the page at %#llx, and does not invalidate",
	     IOVA, page[1]);
	require(where_dma_lands(&g, &dev, IOVA, page) == 0,
		"the SMMU did not cache the old translation");
	printf("    DMA still lands in the old page: the SMMU has it cached\n");

	/* What the guest's driver then puts in its command queue */
	const struct cmd batch[] = {
		cmd_tlbi_va(OUR_ASID, IOVA, true),
		cmd_tlbi_va(OUR_ASID, IOVA + 0x1000, true),
		cmd_tlbi_va(OUR_ASID, IOVA + 0x2000, true),
		cmd_sync(),
	};
	invalidate.cmd_num = ARRAY_LEN(batch);
	invalidate.cmds_uptr = (__u64)(unsigned long)batch;
	call(accel, SMMUV3_ACCEL_INVALIDATE, &invalidate);
	step("INVALIDATE: %u of %zu commands done in one call", invalidate.cmd_num,
	     ARRAY_LEN(batch));
	require(where_dma_lands(&g, &dev, IOVA, page) == 1, "stale translation left");
	printf("    DMA lands in the new page\n");

	/* If the guest makes a mistake, the ioctl still succeeds. */
	const struct cmd wrong[] = {
		cmd_tlbi_va(OUR_ASID, IOVA, true),
		{ { 0xff } },
	};
	invalidate.cmd_num = ARRAY_LEN(wrong);
	invalidate.cmds_uptr = (__u64)(unsigned long)wrong;
	call(accel, SMMUV3_ACCEL_INVALIDATE, &invalidate);
	require(invalidate.cmd_num == 1 &&
		invalidate.out_error == SMMUV3_ACCEL_CERROR_ILL &&
		invalidate.out_reason == SMMUV3_ACCEL_REASON_CMD_OPCODE,
		"an unknown opcode was taken");
	step("an unknown opcode: %u done, then CERROR_ILL for SMMU_CMDQ_CONS, reason %u",
	     invalidate.cmd_num, invalidate.out_reason);

	rc = testdev_write(&dev, IOVA + 0x5000);
	require(rc == -EFAULT, "DMA to an unmapped address got through");
	rc = veventq_read(queue, event, 5000);
	require(!rc, "no event for the fault: %s", strerror(-rc));
	require((event[0] & 0xff) == EVT_F_TRANSLATION && event[0] >> 32 == VSID,
		"the event is %#llx", event[0]);
	step("DMA to %#llx: F_TRANSLATION with StreamID %#llx, for the guest's event queue",
	     event[2], event[0] >> 32);

	ste_config(ste, STE_CFG_BYPASS);
	install_ste(accel, ste, SMMUV3_ACCEL_REASON_NONE);
	require(where_dma_lands(&g, &dev, page[0], page) == 0, "DMA went astray");
	step("INSTALL_STE, bypass: DMA addresses are guest physical addresses");

	ste_config(ste, STE_CFG_S2);
	install_ste(accel, ste, SMMUV3_ACCEL_REASON_STE_CONFIG);
	require(testdev_write(&dev, page[0]) == -EFAULT, "DMA was not aborted");
	step("INSTALL_STE, stage 2: a guest has none, so DMA aborts, and the reason says why");

	detach.vsid = VSID;
	call(accel, SMMUV3_ACCEL_DETACH, &detach);
	require(testdev_write(&dev, page[0]) == -EFAULT, "DMA was not blocked");
	step("DETACH: DMA is blocked, the device can go");

	close(queue);
	close(accel);
	dma_close(&dev);
	close(g.iommufd);
	printf("\nPASS\n");
	return 0;
}
