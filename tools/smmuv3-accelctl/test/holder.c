// SPDX-License-Identifier: GPL-2.0
/*
 * A VMM for the tests of smmuv3-accelctl: it holds two vSMMUs until standard input
 * ends. The first has a bridge and two of four iommu-testdevs, the first and the third,
 * which are behind different SMMUs, and keeps sending invalidations. The second has no
 * streams.
 *
 * With paths as arguments, it only opens these files, with O_PATH if it may not read
 * them.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define VSID	0x42

static void pretend(char **paths)
{
	char end;

	for (; *paths; paths++)
		if (open(*paths, O_RDONLY) < 0 && open(*paths, O_PATH) < 0)
			err(1, "%s", *paths);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
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
