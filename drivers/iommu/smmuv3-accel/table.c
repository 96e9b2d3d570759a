// SPDX-License-Identifier: GPL-2.0
/*
 * Table mode: the guest's registers, and the STEs in the guest's stream table.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "filter.h"
#include "stream.h"
#include "table.h"

/**
 * struct mem_reader - A reader of the stream table in guest memory
 * @reader: base
 * @mem: the memory
 * @rc: what the last read returned
 */
struct mem_reader {
	struct smmuv3_reader reader;
	const struct guest_mem *mem;
	int rc;
};

static int mem_reader_read(struct smmuv3_reader *reader, u64 gpa, void *buf,
			   size_t len)
{
	struct mem_reader *r = container_of(reader, struct mem_reader, reader);

	r->rc = guest_mem_read(r->mem, gpa, buf, len);
	return r->rc;
}

/*
 * Decode the table's registers within the ID registers that the guest sees: FMT is
 * RES0 without 2-level tables (6.3.25).
 */
static void table_decode(const struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			 struct smmuv3_strtab *strtab)
{
	u32 cfg = regs->strtab_base_cfg, sid_bits = 32;

	if (v->offer.idr_set) {
		sid_bits = FIELD_GET(IDR1_SIDSIZE, v->offer.idr[1]);
		if (!(v->offer.idr[0] & IDR0_ST_LEVEL))
			cfg &= ~STRTAB_CFG_FMT;
	}
	smmuv3_strtab_decode(strtab, regs->strtab_base, cfg, sid_bits);
}

/*
 * Evaluate a stream by registers that may not be in force yet. Returns 0, or -EINTR
 * if a signal came while a page of the table was missing.
 */
static int table_evaluate(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			  struct smmuv3_stream *stream, struct smmuv3_ste *ste)
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
		return 0;
	}
	table_decode(v, regs, &strtab);
	ste->reason = smmuv3_strtab_read(&strtab, stream->vsid, &reader.reader,
					 words);
	if (!ste->reason)
		smmuv3_ste_decode(ste, words, smmuv3_stream_caps(v, stream));
	return reader.rc == -EINTR ? -EINTR : 0;
}

/* Report to the VMM a stream whose STE is not legal. */
static int bad_list_add(struct smmuv3_bad_list *list,
			const struct smmuv3_stream *stream)
{
	const struct smmuv3_accel_bad_ste bad = {
		.vsid = stream->vsid,
		.reason = stream->ste.reason,
	};

	list->found = true;
	if (list->num == list->room) {
		list->overflow = true;
		return 0;
	}
	if (copy_to_user(&list->uptr[list->num], &bad, sizeof(bad)))
		return -EFAULT;
	list->num++;
	return 0;
}

/**
 * smmuv3_table_apply() - Configure a stream by the guest's registers and table
 * @v: the vSMMU in table mode, @queue_lock held
 * @stream: the stream
 * @list: takes the stream if its STE is not legal; may be NULL
 *
 * If the STE cannot be installed, the stream is as it was. If only the list cannot be
 * written, the call returns -EFAULT with the STE installed.
 *
 * Return: 0 or an errno; -EINTR for a signal.
 */
int smmuv3_table_apply(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		       struct smmuv3_bad_list *list)
{
	struct smmuv3_ste ste;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (!stream->live)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	rc = table_evaluate(v, &v->table.regs, stream, &ste);
	if (!rc)
		rc = smmuv3_stream_set_ste(v, stream, &ste);
	if (!rc && list && smmuv3_ste_is_bad(ste.reason))
		rc = bad_list_add(list, stream);
	return rc;
}

/**
 * smmuv3_table_reread() - Read the guest's STEs of some streams again
 * @v: the vSMMU in table mode, @queue_lock held
 * @reread: the range, and the result
 *
 * While SMMUEN is clear, STEs have no effect. If the module cannot install a stream's
 * new STE, the stream keeps its old one, and the call continues with the other
 * streams. It returns at once only if a signal came. The same call again does what is
 * left.
 *
 * Return: 0; the errno of the first stream that failed; or -EINTR.
 */
int smmuv3_table_reread(struct smmuv3_vsmmu *v, struct smmuv3_reread *reread)
{
	struct smmuv3_stream *stream;
	int rc, first_rc = 0;
	unsigned long vsid;
	u32 failed;

	lockdep_assert_held(&v->queue_lock);

	if (!(v->table.regs.cr0 & CR0_SMMUEN))
		return 0;
	xa_for_each_range(&v->streams, vsid, stream, reread->first,
			  reread->last) {
		rc = smmuv3_table_apply(v, stream, reread->bad);
		reread->num++;
		if (rc == -EINTR) {
			reread->failed = 0;	/* not because of a stream */
			return rc;
		}
		if (rc && !first_rc) {
			first_rc = rc;
			reread->failed = vsid;
		}
	}
	rc = smmuv3_stream_flush_cds(v, reread->first, reread->last, &failed);
	if (rc && !first_rc) {
		first_rc = rc;
		reread->failed = failed;
	}
	reread->reason = smmuv3_host_reason(first_rc);
	return first_rc;
}

static bool regs_affect_streams(const struct smmuv3_vsmmu *v,
				const struct smmuv3_regs *regs)
{
	if (!v->table.enabled || v->table.mixed ||
	    ((v->table.regs.cr0 ^ regs->cr0) & CR0_SMMUEN))
		return true;
	if (!(regs->cr0 & CR0_SMMUEN))
		return (v->table.regs.gbpa ^ regs->gbpa) & GBPA_ABORT;
	return v->table.regs.strtab_base != regs->strtab_base ||
	       v->table.regs.strtab_base_cfg != regs->strtab_base_cfg;
}

/*
 * Read all STEs once, and the CDs that matter, so that missing pages are in memory before
 * anything changes. If a signal ends the wait for one, nothing has changed yet.
 */
static int table_look(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs)
{
	struct smmuv3_stream *stream;
	struct smmuv3_ste ste;
	unsigned long vsid;
	int rc = 0;

	xa_for_each(&v->streams, vsid, stream) {
		if (stream->live)
			rc = table_evaluate(v, regs, stream, &ste);
		if (!rc && stream->live && stream->dev)
			rc = smmuv3_filter_look(v, stream->phys, &ste);
		if (rc)
			break;
	}
	return rc;
}

/*
 * Configure all streams by the registers in force. If that fails for a stream, abort
 * it, because it must not keep a configuration that the guest has replaced. If
 * the caller is being killed, stop at once: its guest no longer runs, and a process
 * that takes over the vSMMU sets the registers again.
 */
static int table_apply_all(struct smmuv3_vsmmu *v, u32 *failed)
{
	struct smmuv3_stream *stream;
	unsigned long vsid;
	int rc, first_rc = 0;
	u32 stale;

	xa_for_each(&v->streams, vsid, stream) {
		rc = smmuv3_table_apply(v, stream, NULL);
		if (!rc)
			continue;
		if (fatal_signal_pending(current))
			return -EINTR;
		/* EINTR would tell the caller that nothing has changed. */
		if (rc == -EINTR)
			rc = -EBUSY;
		if (!first_rc) {
			first_rc = rc;
			*failed = vsid;
		}
		smmuv3_stream_abort(v, stream,
				    smmuv3_host_reason(rc) ?:
					   SMMUV3_ACCEL_REASON_HOST_REJECT);
	}
	rc = smmuv3_stream_flush_cds(v, 0, U32_MAX, &stale);
	if (rc && !first_rc) {
		first_rc = rc;
		*failed = stale;
	}
	return first_rc;
}

/* Check that the module knows where to read the stream table. */
static int table_check_mem(const struct smmuv3_vsmmu *v,
			   const struct smmuv3_regs *regs, u32 *reason)
{
	if (v->mem.known || !(regs->cr0 & CR0_SMMUEN))
		return 0;
	*reason = SMMUV3_ACCEL_REASON_NO_MEM_TABLE;
	return -ENXIO;
}

/**
 * smmuv3_table_set_regs() - Set the guest's registers
 * @v: the vSMMU, @queue_lock held
 * @regs: the registers
 * @failed: set to the first stream that could not be configured
 * @reason: set if it fails
 *
 * After -ENXIO nothing has changed. After -EINTR nothing has changed either, unless
 * the caller is being killed. After any other errno the registers are in force, and
 * the streams that the module could not configure abort. The same call again
 * configures them.
 *
 * Return: 0 or an errno.
 */
int smmuv3_table_set_regs(struct smmuv3_vsmmu *v, const struct smmuv3_regs *regs,
			  u32 *failed, u32 *reason)
{
	bool affects = regs_affect_streams(v, regs);
	int rc;

	lockdep_assert_held(&v->queue_lock);

	rc = table_check_mem(v, regs, reason);
	if (!rc && affects)
		rc = table_look(v, regs);
	if (rc)
		return rc;
	v->table.enabled = true;
	v->offer.started |= regs->cr0 & CR0_SMMUEN;
	v->table.regs = *regs;
	if (affects) {
		rc = table_apply_all(v, failed);
		*reason = smmuv3_host_reason(rc);
		v->table.mixed = rc;
	}
	return rc;
}

/**
 * smmuv3_table_ste() - Evaluate a stream that is being attached
 * @v: the vSMMU, @queue_lock held
 * @stream: the stream
 * @ste: in table mode, set to what the guest's registers and table say
 * @reason: set if there is no memory table
 *
 * Return: 0, -ENXIO, or -EINTR if a signal came while a page of the table was
 * missing.
 */
int smmuv3_table_ste(struct smmuv3_vsmmu *v, struct smmuv3_stream *stream,
		     struct smmuv3_ste *ste, u32 *reason)
{
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (!v->table.enabled || !stream->live)
		return 0;
	rc = table_check_mem(v, &v->table.regs, reason);
	return rc ?: table_evaluate(v, &v->table.regs, stream, ste);
}

/**
 * smmuv3_table_check_mem() - Check that there is a memory table, if one is needed
 * @v: the vSMMU, @queue_lock held
 * @reason: set if not
 *
 * Return: 0 or -ENXIO.
 */
int smmuv3_table_check_mem(struct smmuv3_vsmmu *v, u32 *reason)
{
	return v->table.enabled ? table_check_mem(v, &v->table.regs, reason) : 0;
}
