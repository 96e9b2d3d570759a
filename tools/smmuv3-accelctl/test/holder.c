// SPDX-License-Identifier: GPL-2.0
/*
 * A VMM for the tests of smmuv3-accelctl: it holds two vSMMUs until standard input
 * ends. The first has a bridge and two of four iommu-testdevs, the first and the third,
 * which are behind different SMMUs, and keeps sending invalidations. It has closed the
 * file of the other device. The second has no streams.
 *
 * With paths as arguments, it only opens these files, with O_PATH if it may not read
 * them. With "bind" and the path of a VFIO device, it binds that to an iommufd and says
 * how that went. With "group", the path of a VFIO group and a PCI function, it opens the
 * function through the group, and closes all but that.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "guest.h"

#define VSID	0x42

static void wait_for_end(void)
{
	char end;

	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
}

static void pretend(char **paths)
{
	for (; *paths; paths++)
		if (open(*paths, O_RDONLY) < 0 && open(*paths, O_PATH) < 0)
			err(1, "%s", *paths);
	wait_for_end();
}

static int bind_device(const char *path)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	int device = open(path, O_RDWR);

	bind.iommufd = open("/dev/iommu", O_RDWR);
	if (device < 0 || bind.iommufd < 0)
		err(1, "%s", path);
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		printf("%s: %s\n", path, strerrorname_np(errno));
	else
		printf("%s: bound\n", path);
	return 0;
}

static void open_through_group(const char *path, const char *bdf)
{
	int group = open(path, O_RDWR), iommufd = open("/dev/iommu", O_RDWR);

	if (group < 0 || iommufd < 0)
		err(1, "%s", path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommufd) ||
	    ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf) < 0)
		err(1, "%s", bdf);
	close(group);
	close(iommufd);
	wait_for_end();
}

int main(int argc, char **argv)
{
	struct smmuv3_accel_invalidate out;
	struct cmd batch[8];
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
	struct smmuv3_accel_attach attached;
	struct dma_dev devices[2];
	struct guest g, idle;
	struct pgtable table;
	__u64 ste[8], cd;
	__u32 reason;
	size_t i;
	int rc;

	if (argc == 3 && !strcmp(argv[1], "bind"))
		return bind_device(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "group")) {
		open_through_group(argv[2], argv[3]);
		return 0;
	}
	if (argc > 1) {
		pretend(argv + 1);
		return 0;
	}
	if (guest_open(&g) || guest_open(&idle))
		errx(1, "no vSMMU");
	for (i = 0; i < ARRAY_LEN(devices); i++) {
		if (dma_open(&devices[i], g.iommufd, DMA_TESTDEV, 2 * i) ||
		    accel_attach(&g, devices[i].fd, VSID + i, &attached))
			errx(1, "device %zu", i);
		printf("device %s\n", devices[i].bdf);
	}
	if (accel_attach_virtual(&g, VSID + i, SMMUV3_ACCEL_ATTACH_BRIDGE, &attached))
		errx(1, "bridge");

	pgtable_init(&table, &g, GRANULE_4K);
	cd = guest_alloc(&g, 64);
	cd_write(&g, cd, &table, 7);
	ste_s1(ste, cd);
	if (accel_install(&g, VSID, ste, &reason))
		errx(1, "STE: reason %u", reason);
	ste_config(ste, STE_CFG_S2);
	if (accel_install(&g, VSID + 1, ste, &reason))
		errx(1, "bad STE: reason %u", reason);
	/* The vSMMU keeps the device. */
	close(devices[1].fd);

	/* Seven of the eight commands are identical, so six are subsumed. */
	for (i = 0; i + 1 < ARRAY_LEN(batch); i++)
		batch[i] = cmd_tlbi_va(7, 0x10000000, true);
	batch[i] = cmd_sync();
	puts("ready");
	fflush(stdout);
	do {
		rc = accel_invalidate(&g, batch, ARRAY_LEN(batch), &out);
		if (rc || out.cmd_num != ARRAY_LEN(batch))
			errx(1, "INVALIDATE: %s", strerror(rc));
	} while (!poll(&end, 1, 10));
	return 0;
}
