// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/iommufd.h>

#include "machine.h"

#define DEFAULT_STRTAB_LOG2SIZE	10
#define DEFAULT_RING_LOG2SIZE	5

/* Stage 1 */

/* Set up a stage 1. Keeps the pages that @s1 had before, if any */
int stage1_init(struct stage1 *s1, struct guest *g, unsigned int granule,
		unsigned int asid)
{
	int i;

	for (i = 0; i < MACHINE_PAGES; i++)
		if (!s1->page[i])
			s1->page[i] = guest_alloc(g, 1ULL << granule);
	pgtable_init(&s1->pt, g, granule);
	s1->asid = asid;
	s1->cd = cd_new(g, &s1->pt, asid);
	if (!s1->cd)
		return -ENOMEM;
	ste_s1(s1->ste, s1->cd);
	stage1_lead(s1, 1);
	return 0;
}

/* Lead the DMA address to a page, without an invalidation */
void stage1_lead(struct stage1 *s1, int page)
{
	pgtable_map(&s1->pt, s1->page[0], s1->page[page], PTE_NOT_GLOBAL);
}

struct cmd stage1_tlbi(const struct stage1 *s1)
{
	return cmd_tlbi_va(s1->asid, s1->page[0], true);
}

/* DMA */

/* Whether a write to @iova lands in the page @gpa */
bool dma_lands(struct guest *g, struct dma_dev *dev, __u64 iova, __u64 gpa)
{
	volatile __u32 *word = guest_ptr(g, gpa);

	*word = 0;
	return !testdev_write(dev, iova) && *word == TESTDEV_PATTERN;
}

/* The number of the page that a write to page[0] lands in, or -EFAULT */
int stream_goes(struct stream *s)
{
	volatile __u32 *word[MACHINE_PAGES];
	int i, rc;

	for (i = 0; i < MACHINE_PAGES; i++) {
		word[i] = guest_ptr(s->s1.pt.g, s->s1.page[i]);
		*word[i] = 0;
	}
	rc = testdev_write(&s->dev, s->s1.page[0]);
	for (i = 0; !rc && i < MACHINE_PAGES; i++)
		if (*word[i] == TESTDEV_PATTERN)
			return i;
	return rc ? rc : -ENOENT;
}

/* Devices */

/* The name of the SMMU that a function is behind */
static int smmu_of(const char *bdf, char name[64])
{
	char path[64], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = 0;
	snprintf(name, 64, "%.63s", strrchr(link, '/') + 1);
	return 0;
}

/*
 * The number, among the iommu-testdevs, of number @nth behind physical SMMU
 * @which. SMMUs count in the order of their first device.
 */
static int find_behind(unsigned int which, unsigned int nth)
{
	char names[MACHINE_STREAMS][64] = {}, name[64], bdf[16];
	unsigned int smmu;
	int i, rc;

	for (i = 0; !dma_find(DMA_TESTDEV, i, bdf); i++) {
		rc = smmu_of(bdf, name);
		if (rc)
			return rc;
		for (smmu = 0; smmu < MACHINE_STREAMS; smmu++)
			if (!names[smmu][0] || !strcmp(names[smmu], name))
				break;
		if (smmu == MACHINE_STREAMS)
			continue;
		strcpy(names[smmu], name);
		if (smmu == which && nth-- == 0)
			return i;
	}
	return -ENODEV;
}

/* The devices of the options, on the iommufd of m->g */
int machine_open_devices(struct machine *m)
{
	const struct machine_options *o = &m->options;
	int index, rc;

	while (m->num < o->devices) {
		index = o->smmus ? find_behind(m->num % o->smmus, m->num / o->smmus) :
				   (int)(o->first_device + m->num);
		if (index < 0)
			return index;
		rc = dma_open(&m->stream[m->num].dev, m->g.iommufd, DMA_TESTDEV, index);
		if (rc)
			return rc;
		m->num++;
	}
	return 0;
}

/* The guest boots: new tables, which lead to the same pages as those before */
int machine_boot(struct machine *m)
{
	const struct machine_options *o = &m->options;
	unsigned int i;
	int rc;

	m->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	m->gbpa = 0;
	rc = ring_init(&m->ring, &m->g, o->ring_log2size ?: DEFAULT_RING_LOG2SIZE);
	if (!rc)
		rc = strtab_init(&m->strtab, &m->g,
				 o->strtab_log2size ?: DEFAULT_STRTAB_LOG2SIZE, o->split);
	for (i = 0; !rc && i < o->devices; i++) {
		m->stream[i].vsid = o->vsid[i] ?: MACHINE_VSID + i;
		if (i && o->one_table)
			m->stream[i].s1 = m->stream[0].s1;
		else
			rc = stage1_init(&m->stream[i].s1, &m->g, o->granule ?: GRANULE_4K,
					 MACHINE_ASID + i);
	}
	return rc;
}

int machine_open_options(struct machine *m, const struct machine_options *options)
{
	unsigned int i;
	int rc;

	memset(m, 0, sizeof(*m));
	m->options = *options;
	for (i = 0; i < MACHINE_STREAMS; i++)
		m->stream[i].dev.fd = -1;
	rc = options->memfd ? guest_open_memfd(&m->g, options->memfd) :
			      guest_open_memory(&m->g);
	if (!rc)
		rc = machine_boot(m);
	if (!rc)
		rc = machine_open_devices(m);
	if (!rc)
		rc = machine_reach(m, options->stage);
	if (rc)
		machine_close(m);
	return rc;
}

/* Set up a vSMMU, from guest memory and devices on */
int machine_reach(struct machine *m, enum machine_stage stage)
{
	const struct machine_options *o = &m->options;
	unsigned int attached = stage >= STAGE_ATTACHED ? m->num - o->spare : 0, i;
	int rc = 0;

	m->stage = stage;
	if (stage == STAGE_OPEN)
		return guest_open_accel(&m->g);
	if (stage >= STAGE_CREATED)
		rc = guest_create_flags(&m->g, o->create_flags) ?: accel_mem_table(&m->g);
	for (i = 0; !rc && i < attached; i++) {
		rc = machine_attach(m, i);
		if (rc || i + o->idle >= attached)
			continue;
		if (stage == STAGE_EXPLICIT)
			rc = machine_install(m, i, STE_CFG_S1);
		else if (stage == STAGE_RUNNING)
			machine_write_ste(m, i, STE_CFG_S1);
	}
	if (!rc && stage == STAGE_RUNNING)
		rc = machine_set_regs(m);
	return rc;
}

void machine_close(struct machine *m)
{
	unsigned int i;

	for (i = 0; i < m->num; i++)
		dma_close(&m->stream[i].dev);
	m->num = 0;
	if (m->g.ram)
		guest_close(&m->g);
	m->g.ram = NULL;
}

/* The streams' stage 1, by number of the stream */

int machine_goes(struct machine *m, unsigned int i)
{
	return stream_goes(&m->stream[i]);
}

void machine_lead(struct machine *m, unsigned int i, int page)
{
	stage1_lead(&m->stream[i].s1, page);
}

struct cmd machine_tlbi(struct machine *m, unsigned int i)
{
	return stage1_tlbi(&m->stream[i].s1);
}

/* The vSMMU */

int machine_attach(struct machine *m, unsigned int i)
{
	struct stream *s = &m->stream[i];

	return accel_attach(&m->g, s->dev.fd, s->vsid, &s->ids);
}

int machine_detach(struct machine *m, unsigned int i)
{
	return accel_detach(&m->g, m->stream[i].vsid, NULL);
}

/* Emulated endpoints, with StreamIDs from @vsid on */
int machine_attach_feeds(struct machine *m, __u32 vsid, unsigned int num)
{
	int rc = 0;

	for (; !rc && num; num--)
		rc = accel_attach_virtual(&m->g, vsid++, SMMUV3_ACCEL_ATTACH_FEED, NULL);
	return rc;
}

void machine_regs(struct machine *m, struct smmuv3_accel_set_regs *arg)
{
	*arg = (struct smmuv3_accel_set_regs){
		.size = sizeof(*arg),
		.cr0 = m->cr0,
		.gbpa = m->gbpa,
		.strtab_base = m->strtab.base,
		.strtab_base_cfg = m->strtab.base_cfg,
		.cmdq_base = m->ring.base | m->ring.log2size,
	};
}

int machine_set_regs(struct machine *m)
{
	struct smmuv3_accel_set_regs arg;

	machine_regs(m, &arg);
	return accel_ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &arg);
}

static void make_ste(struct machine *m, unsigned int i, unsigned int cfg, __u64 ste[8])
{
	ste_config(ste, cfg);
	if (cfg == STE_CFG_S1)
		memcpy(ste, m->stream[i].s1.ste, sizeof(m->stream[i].s1.ste));
}

/* Write an STE to the guest's stream table. STE_CFG_S1 uses the stream's own stage 1 */
void machine_write_ste(struct machine *m, unsigned int i, unsigned int cfg)
{
	__u64 ste[8];

	make_ste(m, i, cfg, ste);
	strtab_write(&m->strtab, m->stream[i].vsid, ste);
}

/* Install an STE by INSTALL_STE */
int machine_install(struct machine *m, unsigned int i, unsigned int cfg)
{
	__u64 ste[8];

	make_ste(m, i, cfg, ste);
	return accel_install(&m->g, m->stream[i].vsid, ste, NULL);
}

/* Attach a device, whose stream bypasses stage 1 */
int machine_bypass(struct machine *m, unsigned int i)
{
	return machine_attach(m, i) ?: machine_install(m, i, STE_CFG_BYPASS);
}

/* Change an STE: by the guest's table and a CFGI_STE in table mode, else by INSTALL_STE */
int machine_change_ste(struct machine *m, unsigned int i, unsigned int cfg)
{
	if (m->stage != STAGE_RUNNING)
		return machine_install(m, i, cfg);
	machine_write_ste(m, i, cfg);
	return INVALIDATE(m, cmd_cfgi_ste(m->stream[i].vsid, true));
}

/* Make the module use each kind of host call, on a stream that bypasses stage 1 */
int machine_exercise(struct machine *m)
{
	const struct cmd cmds[] = { cmd_tlbi_nh_all(), cmd_sync() };
	struct smmuv3_accel_invalidate out;
	int rc;

	rc = accel_invalidate(&m->g, cmds, ARRAY_LEN(cmds), &out);
	if (!rc)
		rc = machine_install(m, 0, STE_CFG_ABORT);
	if (rc)
		return rc;
	if (machine_goes(m, 0) != -EFAULT)
		return -EBADE;
	return machine_detach(m, 0) ?: machine_bypass(m, 0) ?: machine_goes(m, 0);
}

/* All that the virtual SMMU may offer on the first device's SMMU */
int machine_find_idr(struct machine *m, __u32 idr[6])
{
	struct smmuv3_accel_phys phys;
	int rc;

	rc = machine_attach(m, 0);
	if (!rc)
		rc = accel_phys(&m->g, 0, &phys);
	if (!rc)
		rc = machine_detach(m, 0);
	if (!rc)
		idr_offer(phys.out_idr, idr);
	return rc;
}

/* Whether the first physical SMMU, if there is one, has a bit of SMMU_IDR@reg */
bool machine_has(struct machine *m, int reg, __u32 bit)
{
	struct smmuv3_accel_phys phys;

	return !accel_phys(&m->g, 0, &phys) && phys.out_idr[reg] & bit;
}

/* Give a command to a stream's SMMU, as any VMM can, past the module */
int machine_host_cmd(struct machine *m, unsigned int i, const struct cmd *cmd)
{
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = m->stream[i].ids.out_viommu_id,
		.data_uptr = (__u64)(unsigned long)cmd,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*cmd),
		.entry_num = 1,
	};

	return ioctl(m->g.iommufd, IOMMU_HWPT_INVALIDATE, &inv) ? -errno : 0;
}

/*
 * Whether the host checks commands, as Linux 7.3 does. Older ones hand on what they are
 * given, so an illegal command would reach the SMMU. A bit that is set in TLBI_NSNH_ALL
 * does not: the host puts TLBI_NH_ALL in its place.
 */
bool machine_host_checks(struct machine *m)
{
	struct cmd cmd = cmd_tlbi_nsnh_all();

	cmd.w[1] = htole64(1);
	return machine_host_cmd(m, 0, &cmd) == -EIO;
}

/* A legal command without an effect: no stream has its ASID */
struct cmd cmd_filler(unsigned int i)
{
	return cmd_tlbi_va(FILLER_ASID, (i & 0xfffff) * 4096ULL, true);
}

/* Let the empty command queue begin at @index, wrap bit included */
void machine_ring_at(struct machine *m, __u32 index)
{
	index &= (2U << m->ring.log2size) - 1;
	m->ring.prod = index;
	m->ring.cons = index;
}

/* Run the queued commands. Return: whether all are done, without an error */
bool machine_run(struct machine *m, struct smmuv3_accel_run_cmdq *out)
{
	return !ring_run(&m->ring, out) && !out->out_error && !out->out_reason &&
	       out->cons == out->prod;
}

/* Run the queued commands, and a CMD_SYNC */
bool machine_sync(struct machine *m)
{
	struct smmuv3_accel_run_cmdq out;

	ring_put(&m->ring, cmd_sync());
	return machine_run(m, &out);
}

/* Carry out all commands: by the queue in table mode, else by INVALIDATE */
int machine_invalidate(struct machine *m, const struct cmd *cmds, __u32 num)
{
	struct smmuv3_accel_invalidate inv;
	struct smmuv3_accel_run_cmdq out;
	__u32 i;
	int rc;

	if (m->stage == STAGE_RUNNING) {
		for (i = 0; i < num; i++)
			ring_put(&m->ring, cmds[i]);
		return machine_run(m, &out) ? 0 : -EPROTO;
	}
	rc = accel_invalidate(&m->g, cmds, num, &inv);
	return rc ?: inv.cmd_num != num || inv.out_error ? -EPROTO : 0;
}

int machine_doorbell_options(struct machine *m, struct smmuv3_accel_run_cmdq *out,
			     const struct doorbell_options *options)
{
	*out = (struct smmuv3_accel_run_cmdq){
		.size = sizeof(*out),
		.prod = m->ring.prod,
		.cons = m->ring.cons,
		.max_cmds = options->max_cmds,
		.feed_num = options->feed_room,
		.feed_uptr = (__u64)(unsigned long)options->feed,
		.bad_num = options->bad_room,
		.bad_uptr = (__u64)(unsigned long)options->bad,
	};
	return accel_ioctl(m->g.accel, SMMUV3_ACCEL_RUN_CMDQ, out);
}

/*
 * Queue @first and a CMD_SYNC and run them. @flags: out_flags without RUN_CFGI. Returns
 * whether all is done, and RUN_CFGI is right.
 */
bool machine_run_cmd(struct machine *m, struct cmd first, __u32 *flags)
{
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_bad_ste bad[16];
	__u32 cons = m->ring.cons, cfgi;
	struct cmd feed[2];
	int rc;

	ring_put(&m->ring, first);
	ring_put(&m->ring, cmd_sync());
	rc = machine_doorbell(m, &out, .feed = feed, .feed_room = ARRAY_LEN(feed),
			      .bad = bad, .bad_room = ARRAY_LEN(bad));
	m->ring.cons = out.cons;
	cfgi = ring_cfgi(&m->ring, cons, out.cons);
	*flags = out.out_flags & ~SMMUV3_ACCEL_RUN_CFGI;
	return !rc && !out.out_error && !out.out_reason && out.cons == out.prod &&
	       (out.out_flags & SMMUV3_ACCEL_RUN_CFGI) == cfgi;
}

struct smmuv3_accel_stats machine_stats(struct machine *m)
{
	struct smmuv3_accel_stats stats;

	accel_stats(&m->g, &stats);
	return stats;
}

/* Why a stream aborts */
__u32 machine_reason(struct machine *m, __u32 vsid)
{
	struct smmuv3_accel_stream stream;

	return accel_stream(&m->g, vsid, &stream) ? ~0U : stream.out_reason;
}
