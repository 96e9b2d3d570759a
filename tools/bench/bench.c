// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of a doorbell: compares /dev/smmuv3-accel with direct use of iommufd, in
 * turn, on the same host, with the same device and commands.
 *
 *	bench DIRECTORY
 *
 * prints a table, writes DIRECTORY/bench.keys (lines of JSON) and DIRECTORY/bench.dat
 * (for the chart), and fails if a bar is missed. If the module was loaded with
 * fast=0, it measures only the doorbells that the fast path is for. If the devices are
 * behind several SMMUs, it measures only the fan-out. It appends to bench.keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "guest.h"

#define VSID	1
#define BENCH_ASID	3
#define REPETITIONS	31
#define RING_LOG2SIZE	15
#define MAX_FANOUT	4

static void die(const char *what, int rc)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-rc));
	exit(2);
}

static void must(int rc, const char *what)
{
	if (rc)
		die(what, rc < 0 ? rc : -EPROTO);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* A virtual SMMU with a device, a guest and its command queue */
struct side {
	struct guest g;
	struct dma_dev dev;
	struct dma_dev more[MAX_FANOUT - 1];
	__u64 more_cd[MAX_FANOUT - 1];
	int more_num;
	struct ring ring;
	struct smmuv3_accel_run_cmdq run;
	struct iommu_hwpt_invalidate inv;
	__u32 viommu_id;
	__u64 cd;
};

static void side_open(struct side *side, __u32 flags, int index)
{
	struct smmuv3_accel_attach attach;
	struct pgtable pt;

	must(guest_open_memory(&side->g), "guest memory");
	side->g.accel = open("/dev/smmuv3-accel", O_RDWR);
	if (side->g.accel < 0)
		die("/dev/smmuv3-accel", -errno);
	must(accel_create_flags(side->g.accel, side->g.iommufd, side->g.ioas_id,
				flags), "CREATE");
	must(dma_open(&side->dev, side->g.iommufd, DMA_TESTDEV, index),
	     "two iommu-testdevs are needed");
	must(accel_attach(&side->g, side->dev.fd, VSID, &attach), "ATTACH");
	side->viommu_id = attach.out_viommu_id;
	side->run.size = sizeof(side->run);
	side->inv.size = sizeof(side->inv);
	side->inv.hwpt_id = side->viommu_id;
	side->inv.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	side->inv.entry_len = sizeof(struct cmd);
	pgtable_init(&pt, &side->g, GRANULE_4K);
	side->cd = guest_alloc(&side->g, 64);
	cd_write(&side->g, side->cd, &pt, BENCH_ASID);
	must(ring_init(&side->ring, &side->g, RING_LOG2SIZE), "ring");
	must(accel_mem_table(&side->g), "SET_MEM_TABLE");
}

/* Attach one device more, with an ASID of its own */
static void side_add(struct side *side, int index)
{
	int n = side->more_num++;
	struct smmuv3_accel_attach attach;
	struct pgtable pt;

	must(dma_open(&side->more[n], side->g.iommufd, DMA_TESTDEV, index),
	     "iommu-testdev");
	must(accel_attach(&side->g, side->more[n].fd, VSID + 1 + n, &attach), "ATTACH");
	pgtable_init(&pt, &side->g, GRANULE_4K);
	side->more_cd[n] = guest_alloc(&side->g, 64);
	cd_write(&side->g, side->more_cd[n], &pt, BENCH_ASID + 1 + n);
}

static void side_table_mode(struct side *side)
{
	__u64 strtab = guest_alloc(&side->g, 64 << 4), *ste;
	int n;

	ste = guest_ptr(&side->g, strtab + 64 * VSID);
	ste_s1(ste, side->cd);
	for (n = 0; n < side->more_num; n++)
		ste_s1(ste + 8 * (n + 1), side->more_cd[n]);
	must(accel_set_regs(&side->g, CR0_SMMUEN | CR0_CMDQEN, strtab, 4,
			    &side->ring), "SET_REGS");
}

/* @num invalidations of different pages, as a driver makes them for a range */
static void fill(struct cmd *cmds, __u32 num)
{
	__u32 i;

	for (i = 0; i < num; i++)
		cmds[i] = cmd_tlbi_va(BENCH_ASID, 0x40000000ULL + i * 4096ULL, true);
}

static void doorbell(struct side *side, __u32 num)
{
	struct smmuv3_accel_run_cmdq *run = &side->run;

	/* The commands are the same each time, and the direct calls use the same array. */
	run->cons = 0;
	run->prod = num;
	if (ioctl(side->g.accel, SMMUV3_ACCEL_RUN_CMDQ, run))
		die("RUN_CMDQ", -errno);
	if (run->cons != run->prod)
		die("RUN_CMDQ did not do all", -EPROTO);
}

/* A ring that begins with @num TLBIs and a SYNC */
static void fill_ring(struct side *side, __u32 num)
{
	struct cmd *ring = guest_ptr(&side->g, side->ring.base);

	fill(ring, num);
	ring[num] = cmd_sync();
}

static void direct(struct side *side, const struct cmd *cmds, __u32 num)
{
	side->inv.data_uptr = (__u64)(unsigned long)cmds;
	side->inv.entry_num = num;
	if (ioctl(side->g.iommufd, IOMMU_HWPT_INVALIDATE, &side->inv))
		die("IOMMU_HWPT_INVALIDATE", -errno);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values)
{
	qsort(values, REPETITIONS, sizeof(*values), compare);
	return values[REPETITIONS / 2];
}

/* Results */

static FILE *keys;
static int missed;

static void put_key(const char *key, double value)
{
	fprintf(keys, "\"%s\": %.4g\n", key, value);
}

/* Record a figure that has no bar */
static void figure(const char *key, double value)
{
	put_key(key, value);
	printf("%-28s %10.3f\n", key, value);
}

static void result(const char *key, double value, const char *bar, double limit)
{
	bool at_least = !strcmp(bar, "at least");
	bool ok = at_least ? value >= limit : value <= limit;

	put_key(key, value);
	printf("%-28s %10.3f   %s %g%s\n", key, value, bar, limit,
	       ok ? "" : "   MISSED");
	missed += !ok;
}

/*
 * Doorbells of several sizes, and calls of iommufd with as many commands. All sizes
 * take turns in each repetition. A ratio compares two runs next to each other in
 * time, which other load on the machine slows down alike.
 */
static const struct {
	__u32 num;
	__u32 loops;
	double bar;		/* 0: none */
	const char *without;	/* the same ratio without the fast path */
} sizes[] = {
	{ 1, 100, 1.10, "doorbell1_without_fast_path" },
	{ 2, 50, 1.15, NULL },
	{ 3, 50, 1.15, NULL },
	{ 4, 50, 1.15, NULL },
	{ 8, 30, 1.15, NULL },
	{ 16, 30, 1.15, NULL },
	{ 32, 20, 1.15, NULL },
	{ 64, 20, 1.10, "doorbell64_without_fast_path" },
	{ 256, 10, 1.10, NULL },
	{ 1024, 5, 1.10, NULL },
	{ 4096, 2, 0, NULL },
	{ 16384, 1, 0, NULL },
};

enum { AT_1 = 0, AT_64 = 7, AT_1024 = 9, AT_16384 = 11 };

static void bench_doorbell(struct side *side, struct cmd *cmds, __u32 num,
			   __u32 loops, double *run, double *dir)
{
	double t;
	__u32 i;

	fill(cmds, num);
	fill_ring(side, num);
	*run = 0;
	*dir = 0;
	for (i = 0; i < loops; i++) {
		t = now();
		direct(side, cmds, num);
		*dir += now() - t;
		t = now();
		doorbell(side, num + 1);
		*run += now() - t;
	}
	*run /= (double)num * loops;
	*dir /= (double)num * loops;
}

static void bench_doorbells(struct side *side, struct cmd *cmds, FILE *dat)
{
	static double run[ARRAY_LEN(sizes)][REPETITIONS];
	static double dir[ARRAY_LEN(sizes)][REPETITIONS];
	static double ratio[ARRAY_LEN(sizes)][REPETITIONS];
	double singles[REPETITIONS], growth[REPETITIONS], single;
	unsigned int i;
	char key[32];
	int r;

	for (r = 0; r < REPETITIONS; r++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			bench_doorbell(side, cmds, sizes[i].num, sizes[i].loops,
				       &run[i][r], &dir[i][r]);
			ratio[i][r] = run[i][r] / dir[i][r];
		}
		singles[r] = dir[AT_1][r] / run[AT_64][r];
		growth[r] = run[AT_16384][r] / run[AT_1024][r];
	}

	printf("%10s %16s %16s %8s\n", "commands", "RUN_CMDQ ns/cmd",
	       "iommufd ns/cmd", "ratio");
	fprintf(dat, "# commands, RUN_CMDQ ns/command, IOMMU_HWPT_INVALIDATE ns/command, singly\n");
	single = median(dir[AT_1]);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		double run_ns = median(run[i]), dir_ns = median(dir[i]);
		double of_both = median(ratio[i]);

		printf("%10u %16.1f %16.1f %8.3f\n", sizes[i].num, run_ns, dir_ns,
		       of_both);
		fprintf(dat, "%u %.1f %.1f %.1f\n", sizes[i].num, run_ns, dir_ns,
			single);
		snprintf(key, sizeof(key), "doorbell%u_vs_batch", sizes[i].num);
		if (sizes[i].bar)
			result(key, of_both, "at most", sizes[i].bar);
	}
	put_key("doorbell1_vs_single", median(ratio[AT_1]));
	result("doorbell64_vs_singles", median(singles), "at least", 20);
	result("ring_growth", median(growth), "at most", 1.2);
}

static void bench_without_fast_path(struct side *side, struct cmd *cmds)
{
	double ratio[ARRAY_LEN(sizes)][REPETITIONS], run, dir;
	unsigned int i;
	int r;

	for (r = 0; r < REPETITIONS; r++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			if (!sizes[i].without)
				continue;
			bench_doorbell(side, cmds, sizes[i].num, sizes[i].loops,
				       &run, &dir);
			ratio[i][r] = run / dir;
		}
	}
	for (i = 0; i < ARRAY_LEN(sizes); i++)
		if (sizes[i].without)
			figure(sizes[i].without, median(ratio[i]));
}

/*
 * Times without a bar, for the documentation of the design: commands by falling
 * address, which the module has to compare with each other; the cost of staging,
 * which is necessary if one of them is left out; the cost for iommufd of reading its
 * arguments.
 */

#define NO_IOCTL	_IO(0, 0)
#define NO_OBJECT	0x7fffffff

static double timed_doorbells(struct side *side, __u32 num)
{
	const int loops = 20;
	double t = now();
	int i;

	for (i = 0; i < loops; i++)
		doorbell(side, num);
	return (now() - t) / loops;
}

static double timed_failures(int fd, unsigned long request, void *arg)
{
	const int loops = 200;
	double t = now();
	int i;

	for (i = 0; i < loops; i++)
		if (!ioctl(fd, request, arg))
			die("an ioctl that cannot succeed", -EPROTO);
	return (now() - t) / loops;
}

static void bench_detours(struct side *side)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = NO_OBJECT };
	double falling[REPETITIONS], staged[REPETITIONS], args[REPETITIONS];
	struct cmd *ring = guest_ptr(&side->g, side->ring.base);
	const __u32 num = 64;
	__u32 i;
	int r;

	for (i = 0; i < num; i++)
		ring[i] = cmd_tlbi_va(BENCH_ASID, 0x40000000ULL + (num - i) * 4096ULL, true);
	for (r = 0; r < REPETITIONS; r++) {
		ring[num] = cmd_sync();
		falling[r] = timed_doorbells(side, num + 1) / num;
		ring[num] = ring[0];
		ring[num + 1] = cmd_sync();
		staged[r] = timed_doorbells(side, num + 2) / num - falling[r];
		args[r] = timed_failures(side->g.iommufd, IOMMU_DESTROY, &destroy) -
			  timed_failures(side->g.iommufd, NO_IOCTL, &destroy);
	}
	figure("falling64_per_cmd", median(falling));
	figure("staged64_per_cmd", median(staged));
	figure("iommufd_args", median(args));
}

static void bench_asid_flood(struct side *side, struct cmd *cmds)
{
	const __u32 num = 512, loops = 10;
	double ratio[REPETITIONS], dir, t;
	struct smmuv3_accel_stats before, after;
	__u32 i;
	int r;

	fill(cmds, num);
	fill_ring(side, num);
	must(accel_stats(&side->g, &before), "GET_STATS");
	doorbell(side, num + 1);
	must(accel_stats(&side->g, &after), "GET_STATS");
	for (r = 0; r < REPETITIONS; r++) {
		t = now();
		for (i = 0; i < loops; i++)
			direct(side, cmds, num);
		dir = now() - t;
		t = now();
		for (i = 0; i < loops; i++)
			doorbell(side, num + 1);
		ratio[r] = (now() - t) / dir;
	}
	result("asid_flood_vs_batch", median(ratio), "at most", 0.3);
	result("asid_flood_issued", after.out_issued - before.out_issued,
	       "at most", 2);
}

static void bench_host_calls(struct side *side)
{
	struct smmuv3_accel_stats before, after;
	int i;

	fill_ring(side, 32);
	must(accel_stats(&side->g, &before), "GET_STATS");
	for (i = 0; i < 512; i++)
		doorbell(side, 33);
	must(accel_stats(&side->g, &after), "GET_STATS");
	result("host_calls_32x512", after.out_host_calls - before.out_host_calls,
	       "at most", 512);
}

/* Create and attach a domain for an STE. *@hwpt_id: the domain to replace, or 0 */
static void by_hand(struct guest *g, struct dma_dev *dev, __u32 viommu_id,
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
		die("IOMMU_HWPT_ALLOC", -errno);
	attach.pt_id = alloc.out_hwpt_id;
	if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		die("VFIO_DEVICE_ATTACH_IOMMUFD_PT", -errno);
	if (*hwpt_id)
		must(iommufd_destroy(g->iommufd, *hwpt_id), "IOMMU_DESTROY");
	*hwpt_id = alloc.out_hwpt_id;
}

static void bench_ste(struct side *side)
{
	const int loops = 60;
	double new[REPETITIONS], same[REPETITIONS], dir[REPETITIONS], t;
	double new_ratio[REPETITIONS], same_ratio[REPETITIONS];
	__u64 ste[2][8], bypass[8], other = guest_alloc(&side->g, 64);
	__u32 reason, hwpt_id = 0;
	int r, i;

	ste_config(bypass, STE_CFG_BYPASS);
	ste_s1(ste[0], side->cd);
	ste_s1(ste[1], other);
	for (r = 0; r < REPETITIONS; r++) {
		t = now();
		for (i = 0; i < loops; i++)
			by_hand(&side->g, &side->dev, side->viommu_id,
				ste[i & 1], &hwpt_id);
		dir[r] = now() - t;
		/* The module does not know this domain, and has to attach its own again. */
		must(accel_install(&side->g, VSID, bypass, &reason), "INSTALL_STE");
		must(iommufd_destroy(side->g.iommufd, hwpt_id), "IOMMU_DESTROY");
		hwpt_id = 0;
		t = now();
		for (i = 0; i < loops; i++)
			must(accel_install(&side->g, VSID, ste[i & 1], &reason),
			     "INSTALL_STE");
		new[r] = now() - t;
		t = now();
		for (i = 0; i < loops; i++)
			must(accel_install(&side->g, VSID, ste[1], &reason),
			     "INSTALL_STE");
		same[r] = now() - t;
		new_ratio[r] = new[r] / dir[r];
		same_ratio[r] = same[r] / dir[r];
	}
	printf("STE: new %.1f us, same %.1f us, by hand %.1f us\n",
	       median(new) / loops / 1e3, median(same) / loops / 1e3,
	       median(dir) / loops / 1e3);
	result("ste_new_vs_direct", median(new_ratio), "at most", 1.0);
	result("ste_same_vs_direct", median(same_ratio), "at most", 0.3);
}

/*
 * A large machine: streams all over a 2-level table of 64K entries. As many of them
 * as possible are devices, the rest bridges and emulated endpoints.
 */

#define MANY		64
#define FEW		16

struct many {
	struct guest g;
	struct ring ring;
	struct strtab st;
	struct dma_dev devs[MANY];
	__u64 ste[8];
	__u32 viommu_id;
	__u32 devices;
	__u32 streams;
};

static __u32 many_vsid(__u32 i)
{
	return i * 1021 & 0xffff;
}

/* The device of stream @i, or NULL. Devices are spread evenly over the streams. */
static struct dma_dev *many_device(struct many *m, __u32 i)
{
	__u32 device = i * m->devices / MANY;

	return (i + 1) * m->devices / MANY > device ? &m->devs[device] : NULL;
}

static void many_attach(struct many *m, __u32 i)
{
	struct dma_dev *dev = many_device(m, i);
	struct smmuv3_accel_attach attach;

	if (dev) {
		must(accel_attach(&m->g, dev->fd, many_vsid(i), &attach), "ATTACH");
		m->viommu_id = attach.out_viommu_id;
		return;
	}
	must(accel_attach_virtual(&m->g, many_vsid(i),
				  i & 1 ? SMMUV3_ACCEL_ATTACH_BRIDGE :
				  SMMUV3_ACCEL_ATTACH_FEED, &attach),
	     "ATTACH of a bridge or an emulated endpoint");
}

static void many_detach(struct many *m, __u32 i)
{
	__u32 reason;

	must(accel_detach(&m->g, many_vsid(i), &reason), "DETACH");
}

static void many_grow(struct many *m, __u32 streams)
{
	for (; m->streams < streams; m->streams++)
		many_attach(m, m->streams);
}

static void many_open(struct many *m, int first)
{
	struct pgtable pt;
	__u64 cd;
	__u32 i;

	must(guest_open_memory(&m->g), "guest memory");
	must(guest_create_flags(&m->g, SMMUV3_ACCEL_CREATE_FEED), "CREATE");
	must(accel_mem_table(&m->g), "SET_MEM_TABLE");
	must(ring_init(&m->ring, &m->g, 4), "ring");
	must(strtab_init(&m->st, &m->g, 16, 8), "stream table");
	while (m->devices < MANY &&
	       !dma_open(&m->devs[m->devices], m->g.iommufd, DMA_TESTDEV,
			 first + m->devices))
		m->devices++;
	if (m->devices < FEW)
		die("more iommu-testdevs are needed", -ENODEV);
	pgtable_init(&pt, &m->g, GRANULE_4K);
	cd = guest_alloc(&m->g, 64);
	cd_write(&m->g, cd, &pt, BENCH_ASID);
	ste_s1(m->ste, cd);
	for (i = 0; i < MANY; i++)
		strtab_write(&m->st, many_vsid(i), m->ste);
	must(accel_set_regs(&m->g, CR0_SMMUEN | CR0_CMDQEN, m->st.base,
			    m->st.base_cfg, &m->ring), "SET_REGS");
}

static void cfgi_all(struct many *m)
{
	struct smmuv3_accel_run_cmdq run;

	ring_put(&m->ring, cmd_cfgi_all());
	ring_put(&m->ring, cmd_sync());
	must(ring_run(&m->ring, &run), "RUN_CMDQ");
	if (m->ring.cons != m->ring.prod)
		die("CFGI_ALL was not done", -EPROTO);
}

static double timed_cfgi_all(struct many *m, const __u64 ste[8])
{
	double t;
	__u32 i;

	for (i = 0; i < m->streams; i++)
		strtab_write(&m->st, many_vsid(i), ste);
	t = now();
	cfgi_all(m);
	return now() - t;
}

/* Return: ns for each stream, for a CFGI_ALL that changes all STEs */
static double bench_cfgi_all(struct many *m)
{
	__u64 bypass[8];

	ste_config(bypass, STE_CFG_BYPASS);
	return (timed_cfgi_all(m, bypass) + timed_cfgi_all(m, m->ste)) / 2 / m->streams;
}

/* The same domains by iommufd alone */
static double bench_direct(struct many *m)
{
	__u32 hwpt_ids[MANY] = {}, i;
	struct dma_dev *dev;
	double t;

	t = now();
	for (i = 0; i < m->streams; i++) {
		dev = many_device(m, i);
		if (dev)
			by_hand(&m->g, dev, m->viommu_id, m->ste, &hwpt_ids[i]);
	}
	t = now() - t;
	/* The module does not know these domains, and has to attach its own again. */
	bench_cfgi_all(m);
	for (i = 0; i < m->streams; i++)
		if (hwpt_ids[i])
			must(iommufd_destroy(m->g.iommufd, hwpt_ids[i]), "IOMMU_DESTROY");
	return t / m->streams;
}

/* The same for a CFGI_ALL that changes no STE: only CDs are invalidated */
static double bench_cfgi_all_same(struct many *m)
{
	double t0 = now();

	cfgi_all(m);
	return (now() - t0) / m->streams;
}

/* ATTACH of one device beside all the others, with its STE */
static double bench_attach(struct many *m)
{
	__u32 i = 0;
	double t0;

	while (!many_device(m, i))
		i++;
	many_detach(m, i);
	t0 = now();
	many_attach(m, i);
	return now() - t0;
}

/* The host's share of the time grows with the devices behind an SMMU. The module's must not. */
static void bench_many(struct many *m)
{
	static double (*const figures[])(struct many *) = {
		bench_direct, bench_cfgi_all, bench_cfgi_all_same, bench_attach,
	};
	enum { DIRECT, ALL, SAME, ATTACH, FIGURES };
	static const __u32 streams[] = { FEW, MANY };
	double us[ARRAY_LEN(streams)][FIGURES][REPETITIONS], growth[FIGURES];
	unsigned int n;
	int r, i;

	for (n = 0; n < ARRAY_LEN(streams); n++) {
		many_grow(m, streams[n]);
		for (r = 0; r < REPETITIONS; r++)
			for (i = 0; i < FIGURES; i++)
				us[n][i][r] = figures[i](m) / 1e3;
	}
	for (i = 0; i < FIGURES; i++)
		growth[i] = median(us[1][i]) / median(us[0][i]);
	printf("%u streams (%u devices) against %u: the host's part grows by %.2f a stream\n",
	       MANY, m->devices, FEW, growth[DIRECT]);
	figure("cfgi_all_per_stream", median(us[1][ALL]));
	figure("cfgi_all_same_per_stream", median(us[1][SAME]));
	figure("attach_us", median(us[1][ATTACH]));
	result("cfgi_all_growth", growth[ALL] / growth[DIRECT], "at most", 1.2);
	result("cfgi_all_same_growth", growth[SAME], "at most", 1.2);
	result("attach_growth", growth[ATTACH] / growth[DIRECT], "at most", 1.2);
}

static bool module_has(const char *parameter)
{
	char path[128];
	int value;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/smmuv3_accel/parameters/%s", parameter);
	f = fopen(path, "r");
	value = f ? fgetc(f) : EOF;
	if (value != 'Y' && value != 'N')
		die(path, f ? -EPROTO : -errno);
	fclose(f);
	return value == 'Y';
}

/*
 * Filtered fan-out: a vSMMU with a device behind each of several physical SMMUs, of
 * which one may hold the ASID of the TLBIs, and a vSMMU with one device there.
 */

#define FANOUT_CMDS	64
#define FANOUT_CALLS	512

static void smmu_of(int index, char name[256])
{
	char bdf[16], path[64];
	ssize_t len;

	must(dma_find(DMA_TESTDEV, index, bdf), "iommu-testdev");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", bdf);
	len = readlink(path, name, 255);
	if (len < 0)
		die(path, -errno);
	name[len] = 0;
}

/*
 * Set @first to the number of the first device behind each physical SMMU. Return: how
 * many physical SMMUs there are.
 */
static int find_smmus(int first[MAX_FANOUT])
{
	char names[MAX_FANOUT][256], bdf[16];
	int n = 0, i, k;

	for (i = 0; n < MAX_FANOUT && !dma_find(DMA_TESTDEV, i, bdf); i++) {
		smmu_of(i, names[n]);
		for (k = 0; k < n && strcmp(names[k], names[n]); k++)
			;
		if (k == n)
			first[n++] = i;
	}
	return n;
}

static void bench_fanout(void)
{
	struct smmuv3_accel_stats before, after;
	double ratio[REPETITIONS], one_ns, t;
	static struct side one, all;
	const int loops = 20;
	int first[MAX_FANOUT], n = find_smmus(first), r, i;
	char key[48];

	side_open(&all, SMMUV3_ACCEL_CREATE_NO_GLOBAL, first[0]);
	for (i = 1; i < n; i++)
		side_add(&all, first[i]);
	side_table_mode(&all);
	side_open(&one, SMMUV3_ACCEL_CREATE_NO_GLOBAL, first[0] + 1);
	side_table_mode(&one);
	fill_ring(&all, FANOUT_CMDS);
	fill_ring(&one, FANOUT_CMDS);
	for (r = 0; r < REPETITIONS; r++) {
		t = now();
		for (i = 0; i < loops; i++)
			doorbell(&one, FANOUT_CMDS + 1);
		one_ns = now() - t;
		t = now();
		for (i = 0; i < loops; i++)
			doorbell(&all, FANOUT_CMDS + 1);
		ratio[r] = (now() - t) / one_ns;
	}
	must(accel_stats(&all.g, &before), "GET_STATS");
	for (i = 0; i < FANOUT_CALLS; i++)
		doorbell(&all, FANOUT_CMDS + 1);
	must(accel_stats(&all.g, &after), "GET_STATS");
	if (!module_has("filter")) {
		snprintf(key, sizeof(key), "fanout%d_unfiltered_vs_1", n);
		figure(key, median(ratio));
		snprintf(key, sizeof(key), "fanout%d_unfiltered_calls", n);
		figure(key, after.out_host_calls - before.out_host_calls);
		return;
	}
	snprintf(key, sizeof(key), "fanout%d_vs_1", n);
	result(key, median(ratio), "at most", 1.05);
	snprintf(key, sizeof(key), "fanout%d_calls", n);
	result(key, after.out_host_calls - before.out_host_calls, "at most", FANOUT_CALLS);
}

static FILE *open_result(const char *dir, const char *name, const char *mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, mode);
	if (!f)
		die(path, -errno);
	return f;
}

static void bench_all(struct side *plain, struct cmd *cmds, FILE *dat)
{
	static struct side no_global;
	static struct many many;

	bench_ste(plain);
	side_table_mode(plain);
	bench_doorbells(plain, cmds, dat);
	bench_detours(plain);
	bench_host_calls(plain);
	side_open(&no_global, SMMUV3_ACCEL_CREATE_NO_GLOBAL, 1);
	side_table_mode(&no_global);
	bench_asid_flood(&no_global, cmds);
	many_open(&many, 2);
	bench_many(&many);
}

static int finish(void)
{
	if (fclose(keys))
		die("writing bench.keys", -errno);
	if (missed)
		printf("%d bars missed\n", missed);
	return missed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct cmd cmds[1 << 14];
	static struct side plain;
	int first[MAX_FANOUT];
	bool fast;
	FILE *dat;

	if (argc != 2) {
		fprintf(stderr, "usage: bench DIRECTORY\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	fast = module_has("fast");
	keys = open_result(argv[1], "bench.keys", "a");
	if (find_smmus(first) > 1) {
		bench_fanout();
		return finish();
	}
	side_open(&plain, 0, 0);
	if (fast) {
		dat = open_result(argv[1], "bench.dat", "w");
		bench_all(&plain, cmds, dat);
		if (fclose(dat))
			die("writing bench.dat", -errno);
	} else {
		side_table_mode(&plain);
		bench_without_fast_path(&plain, cmds);
	}
	return finish();
}
