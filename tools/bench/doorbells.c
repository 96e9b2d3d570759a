// SPDX-License-Identifier: GPL-2.0
/*
 * What RUN_CMDQ costs.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "bench.h"

static struct cmd cmds[CMDS_MAX];

/*
 * Doorbells of several sizes, and calls of iommufd with as many commands. All sizes
 * take turns in each repetition. A ratio to iommufd compares two runs next to each other
 * in time, which other load on the machine slows down alike.
 */
static const struct {
	__u32 num;
	__u32 loops;
} sizes[] = {
	{ 1, 100 }, { 2, 50 }, { 3, 50 }, { 4, 50 }, { 8, 30 }, { 16, 30 }, { 32, 20 },
	{ 64, 20 }, { 256, 10 }, { 1024, 5 }, { 4096, 2 }, { 16384, 1 },
};

#define SIZES	ARRAY_LEN(sizes)
enum { AT_1 = 0, AT_1024 = 9, AT_16384 = 11 };

/* Set @run and @dir to the time for one call each */
static void doorbells_of(struct side *side, __u32 num, __u32 loops, double *run, double *dir)
{
	double t;
	__u32 i;

	fill(cmds, num);
	fill_ring(side, num);
	t = now();
	for (i = 0; i < loops; i++)
		direct(side, cmds, num);
	*dir = (now() - t) / loops;
	t = now();
	for (i = 0; i < loops; i++)
		doorbell(side, num + 1);
	*run = (now() - t) / loops;
}

/* A page by a range invalidation, which is what Linux sends if the SMMU has these */
static double range_vs_batch(struct side *side)
{
	struct cmd *ring = guest_ptr(&side->g, side->ring.base);
	const int loops = 100;
	double t, dir;
	int i;

	fill(cmds, 1);
	cmds[0] = cmd_range(cmds[0], 0, 0, 1, 3);
	ring[0] = cmds[0];
	ring[1] = cmd_sync();
	t = now();
	for (i = 0; i < loops; i++)
		direct(side, cmds, 1);
	dir = now() - t;
	t = now();
	for (i = 0; i < loops; i++)
		doorbell(side, 2);
	return (now() - t) / dir;
}

/* Return: the time for 64 single calls of iommufd, over that for a doorbell of 64 */
static double singles_vs_doorbell(struct side *side)
{
	const __u32 num = 64, loops = 20;
	double t, dir;
	__u32 i;

	fill(cmds, num);
	fill_ring(side, num);
	t = now();
	for (i = 0; i < loops * num; i++)
		direct(side, &cmds[i % num], 1);
	dir = (now() - t) / loops;
	return dir / timed_doorbells(side, num + 1);
}

void bench_doorbells(void)
{
	static double run[SIZES][REPETITIONS_MAX], dir[SIZES][REPETITIONS_MAX];
	static double ratio[SIZES][REPETITIONS_MAX];
	double singles[REPETITIONS_MAX], growth[REPETITIONS_MAX], range[REPETITIONS_MAX];
	const bool ril = devices[0].phys.out_idr[3] & IDR3_RIL;
	static struct side side;
	const bool fast = module_parameter("fast");
	unsigned int i, r;

	side_open(&side, 0, 0);
	side_table_mode(&side);
	for (r = 0; r < repetitions; r++) {
		for (i = 0; i < SIZES; i++) {
			doorbells_of(&side, sizes[i].num, sizes[i].loops, &run[i][r],
				     &dir[i][r]);
			ratio[i][r] = run[i][r] / dir[i][r];
		}
		if (ril)
			range[r] = range_vs_batch(&side);
		if (fast)
			singles[r] = singles_vs_doorbell(&side);
		growth[r] = run[AT_16384][r] / sizes[AT_16384].num /
			    (run[AT_1024][r] / sizes[AT_1024].num);
	}
	side_close(&side);
	for (i = 0; i < SIZES; i++) {
		if (!fast) {
			figure(ratio[i], "doorbell%u_without_fast_path", sizes[i].num);
			continue;
		}
		figure(ratio[i], "doorbell%u_vs_batch", sizes[i].num);
		figure(run[i], "doorbell%u_ns", sizes[i].num);
		figure(dir[i], "batch%u_ns", sizes[i].num);
	}
	if (ril)
		figure(range, fast ? "range1_vs_batch" : "range1_without_fast_path");
	if (!fast)
		return;
	figure(ratio[AT_1], "doorbell1_vs_single");
	figure(singles, "doorbell64_vs_singles");
	figure(growth, "ring_growth");
}

/*
 * Times for the documentation of the design: commands that the module has to compare with
 * each other; the cost of staging, which is necessary if one of them is left out; the cost
 * for iommufd of reading its arguments; a call that does nothing.
 */

#define NO_IOCTL	_IO(0, 0)
#define NO_OBJECT	0x7fffffff

static double timed_failures(int fd, unsigned long request, void *arg)
{
	const int loops = 200;
	double t = now();
	int i;

	for (i = 0; i < loops; i++)
		if (!ioctl(fd, request, arg))
			fail("an ioctl succeeds that cannot");
	return (now() - t) / loops;
}

void bench_detours(void)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = NO_OBJECT };
	double falling[REPETITIONS_MAX], staged[REPETITIONS_MAX];
	double args[REPETITIONS_MAX], nothing[REPETITIONS_MAX];
	static struct side side;
	const __u32 num = 64;
	struct cmd *ring;
	unsigned int r;
	__u32 i;

	side_open(&side, 0, 0);
	side_table_mode(&side);
	ring = guest_ptr(&side.g, side.ring.base);
	for (i = 0; i < num; i++)
		ring[i] = cmd_falling(i);
	for (r = 0; r < repetitions; r++) {
		ring[num] = cmd_sync();
		falling[r] = timed_doorbells(&side, num + 1) / num;
		ring[num] = ring[0];
		ring[num + 1] = cmd_sync();
		staged[r] = timed_doorbells(&side, num + 2) / num - falling[r];
		nothing[r] = timed_failures(side.g.iommufd, NO_IOCTL, &destroy);
		args[r] = timed_failures(side.g.iommufd, IOMMU_DESTROY, &destroy) - nothing[r];
	}
	side_close(&side);
	figure(falling, "falling64_per_cmd");
	figure(staged, "staged64_per_cmd");
	figure(args, "iommufd_args");
	figure(nothing, "ioctl_ns");
}

/* Host calls for 512 doorbells of 32 TLBIs */
void bench_calls(void)
{
	static struct side side;
	__u64 before;
	int i;

	side_open(&side, 0, 0);
	side_table_mode(&side);
	fill_ring(&side, 32);
	before = host_calls(&side);
	for (i = 0; i < 512; i++)
		doorbell(&side, 33);
	count(host_calls(&side) - before, "host_calls_32x512");
	side_close(&side);
}

/* With NO_GLOBAL, many invalidations by address become one by ASID. */
void bench_flood(void)
{
	struct smmuv3_accel_stats before, after;
	const __u32 num = 512, loops = 10;
	double ratio[REPETITIONS_MAX], dir, t;
	static struct side side;
	unsigned int r;
	__u32 i;

	side_open(&side, SMMUV3_ACCEL_CREATE_NO_GLOBAL, 0);
	side_table_mode(&side);
	fill(cmds, num);
	fill_ring(&side, num);
	must(accel_stats(&side.g, &before), "GET_STATS");
	doorbell(&side, num + 1);
	must(accel_stats(&side.g, &after), "GET_STATS");
	for (r = 0; r < repetitions; r++) {
		t = now();
		for (i = 0; i < loops; i++)
			direct(&side, cmds, num);
		dir = now() - t;
		t = now();
		for (i = 0; i < loops; i++)
			doorbell(&side, num + 1);
		ratio[r] = (now() - t) / dir;
	}
	side_close(&side);
	figure(ratio, "asid_flood_vs_batch");
	count(after.out_issued - before.out_issued, "asid_flood_issued");
}
