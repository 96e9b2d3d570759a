// SPDX-License-Identifier: GPL-2.0
/*
 * Table mode: the guest's registers, and streams evaluated from its own stream
 * table.
 */
#include <kunit/visibility.h>
#include <linux/export.h>

#include "arch.h"
#include "smmuv3-accel.h"

/**
 * struct mem_reader - The guest's memory as the stream table's reader
 * @reader: base
 * @mem: the memory
 */
struct mem_reader {
	struct smmuv3_reader reader;
	const struct guest_mem *mem;
};

static int mem_reader_read(struct smmuv3_reader *reader, u64 gpa, void *buf,
			   size_t len)
{
	return guest_mem_read(container_of(reader, struct mem_reader,
					   reader)->mem, gpa, buf, len);
}

/*
 * The stream table as far as the guest was offered it: FMT is RES0 without
 * 2-level tables, and LOG2SIZE is capped at SIDSIZE (6.3.25).
 */
static void table_decode(const struct vsmmu *v, const struct vsmmu_regs *regs,
			 struct smmuv3_strtab *strtab)
{
	u32 cfg = regs->strtab_base_cfg;

	if (v->idr_set) {
		u32 log2size = FIELD_GET(STRTAB_CFG_LOG2SIZE, cfg);
		u32 sid_size = FIELD_GET(IDR1_SIDSIZE, v->idr[1]);

		cfg &= ~STRTAB_CFG_LOG2SIZE;
		cfg |= FIELD_PREP(STRTAB_CFG_LOG2SIZE, min(log2size, sid_size));
		if (!(v->idr[0] & IDR0_ST_LEVEL))
			cfg &= ~STRTAB_CFG_FMT;
	}
	smmuv3_strtab_decode(strtab, regs->strtab_base, cfg);
}

/* What a stream has to do, by registers that may not be in force yet. */
static void table_evaluate(struct vsmmu *v, const struct vsmmu_regs *regs,
			   struct vsmmu_stream *stream, struct smmuv3_ste *ste)
{
	struct mem_reader reader = {
		.reader.read = mem_reader_read,
		.mem = &v->mem,
	};
	struct smmuv3_strtab strtab;
	u64 words[8];

	*ste = (struct smmuv3_ste){ .kind = SMMUV3_ACCEL_KIND_ABORT };
	if (!(regs->cr0 & CR0_SMMUEN)) {
		if (regs->gbpa & GBPA_ABORT)
			ste->reason = SMMUV3_ACCEL_REASON_GBPA_ABORT;
		else
			ste->kind = SMMUV3_ACCEL_KIND_BYPASS;
		return;
	}
	table_decode(v, regs, &strtab);
	ste->reason = smmuv3_strtab_read(&strtab, stream->vsid, &reader.reader,
					 words);
	if (!ste->reason)
		vsmmu_decode_ste(v, stream, words, ste);
}

/**
 * vsmmu_table_reread() - Read the guest's STEs of some streams anew
 * @v: the vSMMU in table mode, @queue_lock held
 * @first: the first StreamID
 * @last: the last
 * @bad: set where a stream has no legal STE
 * @failed: set to the StreamID where it fails
 * @reason: set where it fails
 *
 * With SMMUEN clear STEs have no effect.
 *
 * Return: 0, or an errno; done again it does what is left to do.
 */
int vsmmu_table_reread(struct vsmmu *v, u32 first, u32 last, bool *bad,
		       u32 *failed, u32 *reason)
{
	struct vsmmu_stream *stream;
	struct smmuv3_ste ste;
	unsigned long vsid;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (!(v->regs.cr0 & CR0_SMMUEN))
		return 0;
	xa_for_each_range(&v->streams, vsid, stream, first, last) {
		table_evaluate(v, &v->regs, stream, &ste);
		rc = vsmmu_set_ste(v, stream, &ste);
		if (rc) {
			*failed = vsid;
			*reason = vsmmu_host_reason(rc);
			return rc;
		}
		*bad |= smmuv3_ste_is_bad(ste.reason);
	}
	rc = vsmmu_flush_cds(v, first, last, failed);
	if (rc)
		*reason = vsmmu_host_reason(rc);
	return rc;
}

static bool regs_affect_streams(const struct vsmmu *v,
				const struct vsmmu_regs *regs)
{
	if (!v->table_mode || v->regs_mixed ||
	    ((v->regs.cr0 ^ regs->cr0) & CR0_SMMUEN))
		return true;
	if (!(regs->cr0 & CR0_SMMUEN))
		return (v->regs.gbpa ^ regs->gbpa) & GBPA_ABORT;
	return v->regs.strtab_base != regs->strtab_base ||
	       v->regs.strtab_base_cfg != regs->strtab_base_cfg;
}

/**
 * vsmmu_find_cmdq() - Find the command queue, after what says where it is changed
 * @v: the vSMMU, @queue_lock held
 */
void vsmmu_find_cmdq(struct vsmmu *v)
{
	u32 log2size = FIELD_GET(CMDQ_BASE_LOG2SIZE, v->regs.cmdq_base);
	u32 cmdqs = CMDQS_MAX;
	size_t size, len;

	lockdep_assert_held(&v->queue_lock);

	/* Capped at what was offered (6.3.26) */
	if (v->idr_set)
		cmdqs = FIELD_GET(IDR1_CMDQS, v->idr[1]);
	v->cmdq_log2size = min(log2size, cmdqs);
	/* Aligned to the queue's size, which is 16 bytes a command */
	size = 16UL << v->cmdq_log2size;
	v->cmdq_base = v->regs.cmdq_base & CMDQ_BASE_ADDR & ~(u64)(size - 1);

	len = size;
	v->cmdq_uaddr = guest_mem_find(&v->mem, v->cmdq_base, &len);
	if (len < size)
		v->cmdq_uaddr = NULL;
}

/**
 * vsmmu_set_regs() - Take over the guest's registers
 * @v: the vSMMU, @queue_lock held
 * @regs: the registers
 * @failed: set to the first stream that could not take them
 * @reason: set where it fails
 *
 * Return: 0, or an errno with the old registers in force.
 */
int vsmmu_set_regs(struct vsmmu *v, const struct vsmmu_regs *regs, u32 *failed,
		   u32 *reason)
{
	struct vsmmu_stream *stream;
	struct smmuv3_ste ste;
	unsigned long vsid;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (regs_affect_streams(v, regs)) {
		v->regs_mixed = true;
		xa_for_each(&v->streams, vsid, stream) {
			table_evaluate(v, regs, stream, &ste);
			rc = vsmmu_set_ste(v, stream, &ste);
			if (rc) {
				*failed = vsid;
				*reason = vsmmu_host_reason(rc);
				return rc;
			}
		}
		rc = vsmmu_flush_cds(v, 0, U32_MAX, failed);
		if (rc) {
			*reason = vsmmu_host_reason(rc);
			return rc;
		}
	}

	v->table_mode = true;
	v->regs_mixed = false;
	v->regs = *regs;
	vsmmu_find_cmdq(v);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_set_regs);

/**
 * vsmmu_attach_ste() - What a stream has to do when it is attached
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream, aborting
 *
 * In table mode the guest's registers and table are in force for it at once.
 *
 * Return: 0 or an errno.
 */
int vsmmu_attach_ste(struct vsmmu *v, struct vsmmu_stream *stream)
{
	struct smmuv3_ste ste;

	lockdep_assert_held(&v->queue_lock);

	if (!v->table_mode)
		return 0;
	table_evaluate(v, &v->regs, stream, &ste);
	return vsmmu_set_ste(v, stream, &ste);
}

/**
 * vsmmu_reset() - The guest's machine is reset
 * @v: the vSMMU, @queue_lock held
 * @reason: set where it fails
 *
 * Return: 0, or the errno of the flush; all streams abort in any case.
 */
int vsmmu_reset(struct vsmmu *v, u32 *reason)
{
	const struct smmuv3_ste abort = {
		.kind = SMMUV3_ACCEL_KIND_ABORT,
		.reason = SMMUV3_ACCEL_REASON_NO_STE,
	};
	struct vsmmu_stream *stream;
	struct vsmmu_phys *phys;
	unsigned long vsid;
	int rc, first = 0;

	lockdep_assert_held(&v->queue_lock);

	/* An abort cannot fail. */
	xa_for_each(&v->streams, vsid, stream)
		vsmmu_set_ste(v, stream, &abort);
	v->table_mode = false;
	v->regs_mixed = false;
	v->atc_failed = false;
	v->regs = (struct vsmmu_regs){};
	list_for_each_entry(phys, &v->phys, node) {
		rc = vsmmu_flush_phys(v, phys);
		if (rc && !first)
			first = rc;
	}
	if (first)
		*reason = vsmmu_host_reason(first);
	return first;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_reset);
