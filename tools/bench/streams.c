// SPDX-License-Identifier: GPL-2.0
/*
 * What STEs cost, and machines with many streams.
 */
#include "bench.h"

void bench_ste(void)
{
	double new[REPETITIONS_MAX], same[REPETITIONS_MAX], dir[REPETITIONS_MAX], t;
	double new_ratio[REPETITIONS_MAX], same_ratio[REPETITIONS_MAX];
	__u64 ste[2][8], bypass[8];
	__u32 reason, hwpt_id = 0;
	static struct side side;
	const int loops = 60;
	unsigned int r;
	int i;

	side_open(&side, 0, 0);
	ste_config(bypass, STE_CFG_BYPASS);
	ste_s1(ste[0], side.cd[0]);
	ste_s1(ste[1], guest_alloc(&side.g, 64));
	for (r = 0; r < repetitions; r++) {
		t = now();
		for (i = 0; i < loops; i++)
			by_hand(&side.g, &side.dev[0], side.viommu_id, ste[i & 1], &hwpt_id);
		dir[r] = (now() - t) / loops / 1e3;
		/* The module does not know this domain, and has to attach its own again. */
		must(accel_install(&side.g, VSID, bypass, &reason), "INSTALL_STE");
		must(iommufd_destroy(side.g.iommufd, hwpt_id), "IOMMU_DESTROY");
		hwpt_id = 0;
		t = now();
		for (i = 0; i < loops; i++)
			must(accel_install(&side.g, VSID, ste[i & 1], &reason), "INSTALL_STE");
		new[r] = (now() - t) / loops / 1e3;
		t = now();
		for (i = 0; i < loops; i++)
			must(accel_install(&side.g, VSID, ste[1], &reason), "INSTALL_STE");
		same[r] = (now() - t) / loops / 1e3;
		new_ratio[r] = new[r] / dir[r];
		same_ratio[r] = same[r] / dir[r];
	}
	side_close(&side);
	figure(new, "ste_new_us");
	figure(same, "ste_same_us");
	figure(dir, "ste_direct_us");
	figure(new_ratio, "ste_new_vs_direct");
	figure(same_ratio, "ste_same_vs_direct");
}

/*
 * A large machine: streams all over a 2-level table of 64K entries. As many of them
 * as possible are devices, the rest bridges and emulated endpoints.
 */

#define MANY		64
#define FEW		16

static struct many {
	struct guest g;
	struct ring ring;
	struct strtab st;
	struct dma_dev devs[MANY];
	__u64 ste[8];
	__u32 viommu_id;
	__u32 devices;
	__u32 streams;
} many;

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
		device_attach(&m->g, dev, many_vsid(i), &attach);
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

static void many_open(struct many *m)
{
	struct pgtable pt;
	__u32 i;

	must(guest_open_memory(&m->g), "guest memory");
	must(guest_create_flags(&m->g, SMMUV3_ACCEL_CREATE_FEED), "CREATE");
	must(accel_mem_table(&m->g), "SET_MEM_TABLE");
	must(ring_init(&m->ring, &m->g, 4), "ring");
	must(strtab_init(&m->st, &m->g, 16, 8), "stream table");
	for (; m->devices < MANY && m->devices < same_smmu_num; m->devices++)
		device_open(&m->devs[m->devices], &m->g, m->devices);
	pgtable_init(&pt, &m->g, GRANULE_4K);
	ste_s1(m->ste, cd_new(&m->g, &pt, BENCH_ASID));
	for (i = 0; i < MANY; i++)
		strtab_write(&m->st, many_vsid(i), m->ste);
	must(accel_set_regs(&m->g, CR0_SMMUEN | CR0_CMDQEN, m->st.base,
			    m->st.base_cfg, &m->ring), "SET_REGS");
}

static void many_close(struct many *m)
{
	guest_close_accel(&m->g);
	while (m->devices)
		dma_close(&m->devs[--m->devices]);
	guest_close(&m->g);
}

static void cfgi_all(struct many *m)
{
	struct smmuv3_accel_run_cmdq run;

	ring_put(&m->ring, cmd_cfgi_all());
	ring_put(&m->ring, cmd_sync());
	must(ring_run(&m->ring, &run), "RUN_CMDQ");
	if (m->ring.cons != m->ring.prod)
		fail("CFGI_ALL was not done");
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
static double timed_all(struct many *m)
{
	__u64 bypass[8];

	ste_config(bypass, STE_CFG_BYPASS);
	return (timed_cfgi_all(m, bypass) + timed_cfgi_all(m, m->ste)) / 2 / m->streams;
}

/* The same domains by iommufd alone */
static double timed_direct(struct many *m)
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
	timed_all(m);
	for (i = 0; i < m->streams; i++)
		if (hwpt_ids[i])
			must(iommufd_destroy(m->g.iommufd, hwpt_ids[i]), "IOMMU_DESTROY");
	return t / m->streams;
}

/* The same for a CFGI_ALL that changes no STE: only CDs are invalidated */
static double timed_all_same(struct many *m)
{
	double t = now();

	cfgi_all(m);
	return (now() - t) / m->streams;
}

/* ATTACH of one device beside all the others, with its STE */
static double timed_attach(struct many *m)
{
	__u32 i = 0;
	double t;

	while (!many_device(m, i))
		i++;
	many_detach(m, i);
	t = now();
	many_attach(m, i);
	return now() - t;
}

/*
 * What the host takes to replace domains grows with the devices behind an SMMU. The module's
 * own share must not, so take off what the same costs by iommufd.
 */
void bench_streams(void)
{
	static double (*const timed[])(struct many *) = {
		timed_direct, timed_all, timed_all_same, timed_attach,
	};
	enum { DIRECT, ALL, SAME, ATTACH, FIGURES };
	static const __u32 streams[] = { FEW, MANY };
	static double us[ARRAY_LEN(streams)][FIGURES][REPETITIONS_MAX];
	static double own[ARRAY_LEN(streams)][REPETITIONS_MAX];
	double growth[FIGURES];
	unsigned int n, r;
	int i;

	if (same_smmu_num < FEW)
		skip("it wants %d devices behind one SMMU", FEW);
	many_open(&many);
	for (n = 0; n < ARRAY_LEN(streams); n++) {
		many_grow(&many, streams[n]);
		for (r = 0; r < repetitions; r++) {
			for (i = 0; i < FIGURES; i++)
				us[n][i][r] = timed[i](&many) / 1e3;
			own[n][r] = us[n][ALL][r] - us[n][DIRECT][r];
		}
	}
	count(many.devices, "streams_devices");
	many_close(&many);
	/* No pairs: all repetitions with few streams ran before those with many. */
	for (i = 0; i < FIGURES; i++)
		growth[i] = median(us[1][i]) / median(us[0][i]);
	figure(us[1][DIRECT], "direct_per_stream");
	figure(us[1][ALL], "cfgi_all_per_stream");
	figure(us[1][SAME], "cfgi_all_same_per_stream");
	figure(us[1][ATTACH], "attach_us");
	count(growth[DIRECT], "direct_growth");
	count(median(own[1]) / median(own[0]), "cfgi_all_growth");
	count(growth[SAME], "cfgi_all_same_growth");
	count(growth[ATTACH], "attach_growth");
}
