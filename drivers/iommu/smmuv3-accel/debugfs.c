// SPDX-License-Identifier: GPL-2.0
/*
 * Counters in fdinfo, and a file in debugfs for each virtual SMMU.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "cmdq.h"
#include "debugfs.h"
#include "parent.h"
#include "stream.h"

static struct dentry *root;

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNTER(_name) { #_name, offsetof(struct smmuv3_accel_stats, out_##_name) }
	COUNTER(cmds),
	COUNTER(syncs),
	COUNTER(issued),
	COUNTER(subsumed),
	COUNTER(merged),
	COUNTER(host_calls),
	COUNTER(zero_copy),
	COUNTER(ste_installed),
	COUNTER(ste_unchanged),
	COUNTER(ste_bad),
	COUNTER(cmd_errors),
	COUNTER(replays),
	COUNTER(withheld),
#undef COUNTER
};

/**
 * smmuv3_debugfs_counters() - Print a vSMMU's counters, one per line
 * @v: the vSMMU
 * @seq: where to print
 * @prefix: printed before each name
 *
 * Takes no lock, so that a VMM's long call does not delay a reader of fdinfo.
 */
void smmuv3_debugfs_counters(struct smmuv3_vsmmu *v, struct seq_file *seq,
			     const char *prefix)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		const u64 *counter = (void *)&v->stats + counters[i].offset;

		seq_printf(seq, "%s%s:\t%llu\n", prefix, counters[i].name,
			   READ_ONCE(*counter));
	}
}

static const char *kind_name(enum smmuv3_accel_kind kind)
{
	switch (kind) {
	case SMMUV3_ACCEL_KIND_ABORT:
		return "abort";
	case SMMUV3_ACCEL_KIND_BYPASS:
		return "bypass";
	case SMMUV3_ACCEL_KIND_S1:
		return "s1";
	case SMMUV3_ACCEL_KIND_OTHER:
		return "other";
	}
	return "?";
}

static void show_stream(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
			struct seq_file *seq)
{
	struct smmuv3_accel_stream now = { .vsid = stream->vsid };

	smmuv3_stream_describe(v, stream, &now);
	seq_printf(seq, "stream %#x:\t", stream->vsid);
	if (stream->dev)
		seq_printf(seq, "%s phys %u dev_id %u vdevice %u hwpt %u",
			   stream->dev->name, now.out_phys, now.out_dev_id,
			   now.out_vdevice_id, now.out_hwpt_id);
	else if (stream->phys)
		seq_puts(seq, "closed");
	else
		seq_puts(seq, stream->feed ? "emulated" : "bridge");
	seq_printf(seq, " %s reason %u ste %#llx %#llx\n",
		   kind_name(now.out_kind), now.out_reason,
		   le64_to_cpu(now.out_ste[0]), le64_to_cpu(now.out_ste[1]));
}

static void show_locked(struct smmuv3_vsmmu *v, struct seq_file *seq)
{
	struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;
	unsigned long vsid;

	seq_printf(seq, "mode:\t%s\n", v->table.enabled ? "table" : "explicit");
	if (v->table.enabled)
		seq_printf(seq, "cr0:\t%#x\ngbpa:\t%#x\nstrtab_base:\t%#llx\nstrtab_base_cfg:\t%#x\ncmdq_base:\t%#llx\n",
			   v->table.regs.cr0, v->table.regs.gbpa, v->table.regs.strtab_base,
			   v->table.regs.strtab_base_cfg, v->table.regs.cmdq_base);
	list_for_each_entry(phys, &v->phys, node)
		seq_printf(seq, "phys %u:\tviommu %u s2_hwpt %u streams %u\n",
			   phys->index, phys->viommu_id,
			   phys->parent ? smmuv3_parent_id(phys->parent) : 0,
			   phys->stream_num);
	xa_for_each(&v->streams, vsid, stream)
		show_stream(v, stream, seq);
	smmuv3_debugfs_counters(v, seq, "");
}

static int debugfs_vsmmu_show(struct seq_file *seq, void *unused)
{
	struct smmuv3_vsmmu *v = seq->private;
	int rc;

	rc = mutex_lock_interruptible(&v->lock);
	if (rc)
		return rc;
	rc = smmuv3_lock_queue(v);
	if (!rc) {
		show_locked(v, seq);
		smmuv3_unlock_queue(v);
	}
	mutex_unlock(&v->lock);
	return rc;
}
DEFINE_SHOW_ATTRIBUTE(debugfs_vsmmu);

/**
 * smmuv3_debugfs_add() - Show a vSMMU in debugfs
 * @v: the vSMMU, bound to a host
 */
void smmuv3_debugfs_add(struct smmuv3_vsmmu *v)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", v->id);
	v->dentry = debugfs_create_file(name, 0400, root, v, &debugfs_vsmmu_fops);
}

/**
 * smmuv3_debugfs_remove() - Remove a vSMMU from debugfs
 * @v: the vSMMU, @queue_lock not held
 *
 * Waits until all reads that have begun are over. No read starts afterwards.
 */
void smmuv3_debugfs_remove(struct smmuv3_vsmmu *v)
{
	debugfs_remove(v->dentry);
	v->dentry = NULL;
}

/**
 * smmuv3_debugfs_init() - Create the module's directory in debugfs
 */
void smmuv3_debugfs_init(void)
{
	root = debugfs_create_dir("smmuv3-accel", NULL);
}

/**
 * smmuv3_debugfs_exit() - Remove the directory
 */
void smmuv3_debugfs_exit(void)
{
	debugfs_remove(root);
}
