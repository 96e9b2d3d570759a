// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SMMU, and the same by direct use of iommufd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "bench.h"

struct bench_device *devices;
unsigned int device_num, same_smmu_num, smmu_num, first_of[SMMU_MAX];

/**
 * devices_add() - Take a device from the command line
 * @bdf: its PCI address
 */
void devices_add(const char *bdf)
{
	struct bench_device *dev;
	unsigned int i;

	devices = xgrow(devices, device_num, sizeof(*devices));
	dev = &devices[device_num];
	if (!copy_text(dev->bdf, sizeof(dev->bdf), bdf) || strchr(bdf, '/') ||
	    !root_exists(PCI_DEVICES "/%s/vendor", bdf))
		die(EXIT_USAGE, "there is no PCI device '%s'; an address is like 0000:01:00.0",
		    bdf);
	for (i = 0; i < device_num; i++)
		if (!strcmp(devices[i].bdf, bdf))
			die(EXIT_USAGE, "%s is named twice", bdf);
	device_num++;
	root_link_name(dev->smmu, sizeof(dev->smmu), PCI_DEVICES "/%s/iommu", bdf);
}

static struct smmuv3_accel_phys *tried;

/* The kernel shows the registers of an SMMU to a process that has a device behind it. */
static void device_try(unsigned int index)
{
	const struct bench_device *dev = &devices[index];
	static struct side side;

	if (!dev->smmu[0])
		fail("it is behind no SMMU");
	if (!root_exists(PCI_DEVICES "/%s/vfio-dev", dev->bdf))
		fail("it is not bound to vfio-pci, or VFIO has no cdevs here");
	side_open(&side, 0, index);
	must(accel_phys(&side.g, 0, tried), "GET_PHYS");
	side_close(&side);
}

/**
 * devices_try() - Leave out the devices that cannot be used
 */
void devices_try(void)
{
	unsigned int i, num = 0;

	tried = shared_alloc(sizeof(*tried));
	for (i = 0; i < device_num; i++) {
		if (!attempt(devices[i].bdf, device_try, i, NULL))
			continue;
		devices[i].phys = *tried;
		devices[num++] = devices[i];
	}
	device_num = num;
}

static unsigned int behind(const char *smmu)
{
	unsigned int i, num = 0;

	for (i = 0; i < device_num; i++)
		num += !strcmp(devices[i].smmu, smmu);
	return num;
}

static int by_smmu(const void *a, const void *b)
{
	const struct bench_device *x = a, *y = b;
	int more = behind(y->smmu) - behind(x->smmu);

	return more ?: strcmp(x->smmu, y->smmu) ?: strcmp(x->bdf, y->bdf);
}

/**
 * devices_sort() - Sort the devices by their SMMUs
 */
void devices_sort(void)
{
	struct bench_device *sorted;
	unsigned int i;

	if (!device_num)
		return;
	sorted = xcalloc(device_num, sizeof(*sorted));
	memcpy(sorted, devices, device_num * sizeof(*sorted));
	qsort(sorted, device_num, sizeof(*sorted), by_smmu);
	free(devices);
	devices = sorted;
	same_smmu_num = behind(devices[0].smmu);
	for (i = 0; i < device_num && smmu_num < SMMU_MAX; i++)
		if (!i || strcmp(devices[i].smmu, devices[i - 1].smmu))
			first_of[smmu_num++] = i;
}

/**
 * must() - Fail if a step failed
 * @rc: 0, or a negative errno
 * @format: the step, as for printf()
 */
void must(int rc, const char *format, ...)
{
	char what[128];
	va_list args;

	if (!rc)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fail("%s: %s", what, strerror(rc < 0 ? -rc : rc));
}

static void must_call(int rc, __u32 reason, const char *name)
{
	if (rc)
		fail("%s: %s (%s): %s", name, strerror(-rc), reason_name(reason),
		     reason_text(reason));
}

/**
 * device_open() - Open a device, and bind it to the iommufd of a guest
 * @dev: the device, to be closed by dma_close(). It cannot do DMA
 * @g: the guest
 * @index: its number in devices[]
 */
void device_open(struct dma_dev *dev, struct guest *g, unsigned int index)
{
	const char *bdf = devices[index].bdf;

	memset(dev, 0, sizeof(*dev));
	dev->fd = dma_open_cdev(bdf);
	must(dev->fd < 0 ? dev->fd : 0, "opening the VFIO device of %s", bdf);
	must(dma_bind(dev, g->iommufd), "binding %s to iommufd", bdf);
}

/**
 * device_attach() - Attach a device to the virtual SMMU of a guest
 * @g: the guest
 * @dev: the device
 * @vsid: its virtual StreamID
 * @out: the arguments with the results
 */
void device_attach(struct guest *g, const struct dma_dev *dev, __u32 vsid,
		   struct smmuv3_accel_attach *out)
{
	int rc = accel_attach(g, dev->fd, vsid, out);

	must_call(rc, out->out_reason, "ATTACH");
}

/**
 * side_open() - Create a virtual SMMU with one device
 * @side: to be closed by side_close()
 * @flags: for CREATE
 * @index: the device's number in devices[]
 */
void side_open(struct side *side, __u32 flags, unsigned int index)
{
	__u32 reason = 0;
	int rc;

	memset(side, 0, sizeof(*side));
	must(guest_open_memory(&side->g), "guest memory, by iommufd");
	must(guest_open_accel(&side->g), "/dev/smmuv3-accel");
	rc = accel_create(side->g.accel, side->g.iommufd, side->g.ioas_id, flags, &reason);
	must_call(rc, reason, "CREATE");
	rc = side_add(side, index, &reason);
	must_call(rc, reason, "ATTACH");
	side->run.size = sizeof(side->run);
	side->inv.size = sizeof(side->inv);
	side->inv.hwpt_id = side->viommu_id;
	side->inv.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	side->inv.entry_len = sizeof(struct cmd);
	must(ring_init(&side->ring, &side->g, RING_LOG2SIZE), "ring");
	must(accel_mem_table(&side->g), "SET_MEM_TABLE");
}

/**
 * side_add() - Attach a device, with an ASID of its own
 * @side: not in table mode yet
 * @index: the device's number in devices[]
 * @reason: set to the reason if ATTACH fails
 *
 * Return: 0, or a negative errno of ATTACH.
 */
int side_add(struct side *side, unsigned int index, __u32 *reason)
{
	unsigned int n = side->dev_num++;
	struct smmuv3_accel_attach attach;
	struct pgtable pt;
	int rc;

	device_open(&side->dev[n], &side->g, index);
	rc = accel_attach(&side->g, side->dev[n].fd, VSID + n, &attach);
	if (rc) {
		*reason = attach.out_reason;
		return rc;
	}
	if (!n)
		side->viommu_id = attach.out_viommu_id;
	pgtable_init(&pt, &side->g, GRANULE_4K);
	side->cd[n] = cd_new(&side->g, &pt, BENCH_ASID + n);
	return 0;
}

/**
 * side_table_mode() - Enable the virtual SMMU, as a guest does
 * @side: all devices get stage 1
 */
void side_table_mode(struct side *side)
{
	__u64 strtab = guest_alloc(&side->g, 64 << 6), *ste;
	unsigned int n;

	ste = guest_ptr(&side->g, strtab + 64 * VSID);
	for (n = 0; n < side->dev_num; n++)
		ste_s1(ste + 8 * n, side->cd[n]);
	must(accel_set_regs(&side->g, CR0_SMMUEN | CR0_CMDQEN, strtab, 6, &side->ring),
	     "SET_REGS");
}

/**
 * side_close() - Close a virtual SMMU and its devices
 * @side: from side_open()
 */
void side_close(struct side *side)
{
	guest_close_accel(&side->g);
	while (side->dev_num)
		dma_close(&side->dev[--side->dev_num]);
	guest_close(&side->g);
}

/**
 * fill() - Invalidations of different pages, as a driver makes them for a range
 * @cmds: the commands
 * @num: how many
 */
void fill(struct cmd *cmds, __u32 num)
{
	__u32 i;

	for (i = 0; i < num; i++)
		cmds[i] = cmd_tlbi_va(BENCH_ASID, 0x40000000ULL + i * 4096ULL, true);
}

/**
 * cmd_falling() - An invalidation of a doorbell that does not take the fast path
 * @i: its number in the doorbell, below CMDS_MAX
 *
 * The addresses fall, and the distance between them grows. So the module has to compare
 * all commands with each other, and finds nothing to leave out or to merge.
 *
 * Return: the command.
 */
struct cmd cmd_falling(__u32 i)
{
	return cmd_tlbi_va(BENCH_ASID, (1ULL << 40) - i * (i + 1ULL) / 2 * 4096, true);
}

/**
 * fill_ring() - A ring that begins with TLBIs and a SYNC
 * @side: whose ring
 * @num: how many TLBIs
 */
void fill_ring(struct side *side, __u32 num)
{
	struct cmd *ring = guest_ptr(&side->g, side->ring.base);

	fill(ring, num);
	ring[num] = cmd_sync();
}

/**
 * doorbell() - Run the first commands of the ring
 * @side: whose ring. Its commands are the same each time
 * @num: how many commands
 */
void doorbell(struct side *side, __u32 num)
{
	struct smmuv3_accel_run_cmdq *run = &side->run;

	run->cons = 0;
	run->prod = num;
	if (ioctl(side->g.accel, SMMUV3_ACCEL_RUN_CMDQ, run))
		fail("RUN_CMDQ: %m");
	if (run->cons != run->prod)
		fail("RUN_CMDQ did not do all commands");
}

/**
 * timed_doorbells() - Run the first commands of the ring many times
 * @side: whose ring
 * @num: how many commands
 *
 * Return: ns for a doorbell.
 */
double timed_doorbells(struct side *side, __u32 num)
{
	const int loops = 20;
	double t = now();
	int i;

	for (i = 0; i < loops; i++)
		doorbell(side, num);
	return (now() - t) / loops;
}

/**
 * direct() - Give commands to iommufd in one call
 * @side: its first device
 * @cmds: the commands
 * @num: how many
 */
void direct(struct side *side, const struct cmd *cmds, __u32 num)
{
	side->inv.data_uptr = (__u64)(unsigned long)cmds;
	side->inv.entry_num = num;
	if (ioctl(side->g.iommufd, IOMMU_HWPT_INVALIDATE, &side->inv))
		fail("IOMMU_HWPT_INVALIDATE: %m");
}

/**
 * host_calls() - Count of host calls for invalidations
 * @side: the virtual SMMU
 *
 * Return: the count since CREATE.
 */
__u64 host_calls(struct side *side)
{
	struct smmuv3_accel_stats stats;

	must(accel_stats(&side->g, &stats), "GET_STATS");
	return stats.out_host_calls;
}

/**
 * by_hand() - Create and attach a nested domain, without the module
 * @g: the guest
 * @dev: the device
 * @viommu_id: its vIOMMU
 * @ste: the STE
 * @hwpt_id: the domain to replace, or 0; set to the new one
 */
void by_hand(struct guest *g, const struct dma_dev *dev, __u32 viommu_id,
	     const __u64 ste[8], __u32 *hwpt_id)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { ste[0], ste[1] } };
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = dev->dev_id,
		.pt_id = viommu_id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (__u64)(unsigned long)&data,
	};
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

	if (ioctl(g->iommufd, IOMMU_HWPT_ALLOC, &alloc))
		fail("IOMMU_HWPT_ALLOC: %m");
	attach.pt_id = alloc.out_hwpt_id;
	if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT: %m");
	if (*hwpt_id)
		must(iommufd_destroy(g->iommufd, *hwpt_id), "IOMMU_DESTROY");
	*hwpt_id = alloc.out_hwpt_id;
}
