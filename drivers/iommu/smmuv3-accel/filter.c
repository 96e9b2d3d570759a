// SPDX-License-Identifier: GPL-2.0
/*
 * Filtered fan-out: with several physical SMMUs, a TLBI by ASID goes only to those that
 * may hold entries of the ASID. Documentation/driver-api/smmuv3-accel.rst says why
 * nothing that is needed is withheld.
 */
#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "filter.h"
#include "phys.h"

/**
 * struct cd_reader - A reader of CDs in guest memory
 * @reader: base
 * @mem: the memory
 * @left: how many more reads it allows
 */
struct cd_reader {
	struct smmuv3_reader reader;
	const struct guest_mem *mem;
	u32 left;
};

static int read_cd(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct cd_reader *r = container_of(reader, struct cd_reader, reader);

	if (!r->left)
		return -E2BIG;
	r->left--;
	return guest_mem_read(r->mem, gpa, buf, len);
}

/* Read the first word of a CD, without waiting for a missing page. */
static bool peek_word(const __le64 __user *from, __le64 *word)
{
	return from && !copy_from_user_nofault(word, from, sizeof(*word));
}

/* The address of a CD's first word in the VMM, or NULL */
static const __le64 __user *find_cd(const struct guest_mem *mem, u64 gpa)
{
	size_t len = sizeof(__le64);
	const __le64 __user *from = guest_mem_find(mem, gpa, &len);

	return len == sizeof(__le64) ? from : NULL;
}

static int peek_cd(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct cd_reader *r = container_of(reader, struct cd_reader, reader);

	if (!r->left)
		return -E2BIG;
	r->left--;
	return peek_word(find_cd(r->mem, gpa), buf) ? 0 : -EFAULT;
}

/**
 * smmuv3_filter_look() - Note the ASIDs that a physical SMMU can use by an STE
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @ste: the STE
 *
 * Call this before the STE is attached, and before a CFGI_CD of such a stream is
 * issued. May wait for a missing page of guest memory, until a signal comes.
 *
 * Return: 0, or -EINTR for a signal. Then do neither.
 */
int smmuv3_filter_look(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
		       const struct smmuv3_ste *ste)
{
	struct cd_reader reader = {
		.reader.read = read_cd,
		.mem = &v->mem,
		.left = SMMUV3_MAX_CDS,
	};
	int rc = 0;

	KUNIT_STATIC_STUB_REDIRECT(smmuv3_filter_look, v, phys, ste);
	lockdep_assert_held(&v->queue_lock);

	if (!v->filter || ste->kind != SMMUV3_ACCEL_KIND_S1 || phys->asids.all)
		return 0;
	if (v->phys_num + list_empty(&phys->node) < 2) {
		/* Nothing was withheld yet, so nothing has to be flushed. */
		smmuv3_asids_add_all(&phys->asids);
		smmuv3_asids_flushed(&phys->asids);
	} else {
		/* The guest stored the CD before the command. */
		smp_rmb();
		rc = smmuv3_cdtab_collect(ste->data, phys->asid_mask, &reader.reader,
					  &phys->asids);
		if (rc && rc != -EINTR)
			smmuv3_asids_add_all(&phys->asids);
	}
	smmuv3_phys_update_gate(v, phys);
	return rc == -EINTR ? rc : 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_filter_look);

/**
 * smmuv3_filter_leave() - Note the ASIDs that a physical SMMU could use by an old STE
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @ste: the STE that a stream had
 *
 * Call this after the STE was replaced. The guest may have changed a CD and not told,
 * and smmuv3_filter_issue() reads the tables of STEs in force only. Does not wait
 * for a missing page, because an abort and DETACH must not.
 */
void smmuv3_filter_leave(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			 const struct smmuv3_ste *ste)
{
	struct cd_reader reader = {
		.reader.read = peek_cd,
		.mem = &v->mem,
		.left = SMMUV3_MAX_CDS,
	};

	lockdep_assert_held(&v->queue_lock);

	if (!v->filter || ste->kind != SMMUV3_ACCEL_KIND_S1 || phys->asids.all)
		return;
	if (smmuv3_cdtab_collect(ste->data, phys->asid_mask, &reader.reader,
				 &phys->asids))
		smmuv3_asids_add_all(&phys->asids);
	smmuv3_phys_update_gate(v, phys);
}

/* Whether another memory table has CDs of an STE elsewhere in the VMM */
static bool are_moved(const struct guest_mem *mem, const struct guest_mem *to,
		      const u64 ste[2])
{
	u64 gpa = ste[0] & STE_0_S1CONTEXTPTR, end = gpa + smmuv3_cdtab_len(ste);
	const void __user *from;
	size_t len;

	/* The regions of both tables may begin and end between the CDs. */
	for (; gpa < end; gpa += 1 << SMMUV3_CD_SHIFT) {
		len = sizeof(__le64);
		from = guest_mem_find(mem, gpa, &len);
		if (from && (len < sizeof(__le64) || find_cd(to, gpa) != from))
			return true;
	}
	return false;
}

/**
 * smmuv3_filter_set_mem() - Note the ASIDs that SMMUs could use by the old memory table
 * @v: the vSMMU, @queue_lock held, with the old table
 * @mem: the new table
 *
 * The memory at the address of a CD may be another one than before, and the SMMU may have
 * the old CD cached. A memory table that leaves the CDs in place has no effect, so that a
 * VMM may set it often. CHANGE_PROCESS, after which the table is not known, does not
 * change the memory, and the new process cannot read the old addresses. Does not wait for
 * a missing page.
 */
void smmuv3_filter_set_mem(struct smmuv3_vsmmu *v, const struct guest_mem *mem)
{
	struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;

	lockdep_assert_held(&v->queue_lock);

	list_for_each_entry(phys, &v->phys, node) {
		list_for_each_entry(stream, &phys->s1_streams, s1_node) {
			stream->cd = NULL;
			if (mem->known && v->filter && !phys->asids.all &&
			    are_moved(&v->mem, mem, stream->ste.data))
				smmuv3_filter_leave(v, phys, &stream->ste);
		}
	}
}

/* Whether an invalidation of CDs that a physical SMMU has cached is still to be done */
static bool has_stale_cds(const struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys)
{
	const struct smmuv3_stream *stream;

	list_for_each_entry(stream, &v->stale_cds, stale_node)
		if (stream->phys == phys)
			return true;
	return false;
}

/**
 * smmuv3_filter_flush() - Flush the entries of ASIDs that are new to a physical SMMU
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 *
 * Call this after cached CDs were invalidated: while a stale CD could bring the entries
 * back, the flush stays pending. It also does if it fails.
 *
 * Return: 0, the host's errno, or -EINTR if the caller is being killed.
 */
int smmuv3_filter_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	__le64 (*stage)[2] = v->queue.batch->stage;
	u32 num = smmuv3_asids_new(&phys->asids, stage);
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (!num)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	rc = smmuv3_phys_invalidate(v, phys, stage, NULL, num, true);
	if (!rc && !has_stale_cds(v, phys))
		smmuv3_asids_flushed(&phys->asids);
	return rc;
}

/* Whether a TLBI invalidates entries of its ASID only */
static bool is_by_asid(const struct smmuv3_vsmmu *v, __le64 word0)
{
	switch (FIELD_GET(CMD_0_OP, le64_to_cpu(word0))) {
	case CMD_TLBI_NH_VA:
		/* Without NO_GLOBAL also global entries, of any ASID (4.4.2) */
		return v->policy.no_global;
	case CMD_TLBI_NH_ASID:
		return true;
	default:
		return false;
	}
}

/* Whether a physical SMMU may hold an entry with an ASID of these TLBIs */
static __always_inline bool may_hold(const struct smmuv3_phys *phys,
				     const __le64 (*cmds)[2], u32 num)
{
	u32 i;

	for (i = 0; i < num; i++)
		if (smmuv3_asids_have(&phys->asids,
				      FIELD_GET(TLBI_0_ASID, le64_to_cpu(cmds[i][0])) &
				      phys->asid_mask))
			return true;
	return false;
}

/* A CD was missing for look_again(): the next TLBIs take the way that can wait for it. */
static noinline void note_missing(struct smmuv3_vsmmu *v)
{
	v->cd_missing = true;
	v->fast.mm = ERR_PTR(-EPERM);
}

/* Read all CDs that a stream reaches, up to @left. Returns how many may be read then, or 0. */
static noinline u32 look_at_table(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
				  struct smmuv3_stream *stream, u32 left)
{
	struct cd_reader reader = {
		.reader.read = peek_cd,
		.mem = &v->mem,
		.left = left - 1,
	};
	u64 addr;
	int rc;

	if (smmuv3_cdtab_is_single(stream->ste.data, &addr))
		stream->cd = find_cd(&v->mem, addr);
	rc = smmuv3_cdtab_collect(stream->ste.data, phys->asid_mask, &reader.reader,
				  &phys->asids);
	if (rc == -EFAULT)
		note_missing(v);
	return rc ? 0 : reader.left + 1;
}

/*
 * The guest may have changed a CD and not told yet, but the SMMU may have fetched it.
 * So read all CDs that the physical SMMU reaches. Returns false if they are too many,
 * or one cannot be read without waiting. Page faults are disabled.
 */
static __always_inline bool look_again(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	struct smmuv3_stream *stream;
	u32 left = SMMUV3_MAX_CDS + 1;
	__le64 word0;
	u16 asid;

	/* The guest stored the CD before the TLBI. */
	smp_rmb();
	pagefault_disable();
	list_for_each_entry(stream, &phys->s1_streams, s1_node) {
		if (unlikely(!stream->cd ||
			     !user_read_access_begin(stream->cd, sizeof(word0)))) {
			left = look_at_table(v, phys, stream, left);
			if (!left)
				break;
			continue;
		}
		/* Most streams have one CD, with an ASID that the set has. */
		unsafe_get_user(word0, stream->cd, fault);
		user_read_access_end();
		if (!--left)
			break;
		asid = smmuv3_cd_asid(word0) & phys->asid_mask;
		if (unlikely(!smmuv3_asids_have(&phys->asids, asid)))
			smmuv3_asids_add(&phys->asids, asid);
	}
	pagefault_enable();
	return left;

fault:
	user_read_access_end();
	pagefault_enable();
	note_missing(v);
	return false;
}

/**
 * smmuv3_filter_fetch() - Fetch the pages of CDs that were missing
 * @v: the vSMMU, @queue_lock held
 *
 * Call this after smmuv3_filter_issue(), if smmuv3_vsmmu.cd_missing is set: nothing else
 * might bring the pages back, and TLBIs would not be withheld any more. Waits for them,
 * until a signal comes.
 */
void smmuv3_filter_fetch(struct smmuv3_vsmmu *v)
{
	struct cd_reader reader = { .reader.read = read_cd, .mem = &v->mem };
	struct smmuv3_asids ignored = {};
	struct smmuv3_stream *stream;
	struct smmuv3_phys *phys;

	lockdep_assert_held(&v->queue_lock);

	v->cd_missing = false;
	list_for_each_entry(phys, &v->phys, node) {
		/* look_again() reads no more of them. */
		reader.left = SMMUV3_MAX_CDS;
		list_for_each_entry(stream, &phys->s1_streams, s1_node)
			if (phys->asids.all ||
			    smmuv3_cdtab_collect(stream->ste.data, phys->asid_mask,
						 &reader.reader, &ignored))
				break;
	}
}

/*
 * Whether a physical SMMU needs none of the TLBIs, if smmuv3_phys.gated is set. Arguments
 * as for smmuv3_filter_issue(). @by_asid: each TLBI is for one ASID
 */
static __always_inline bool withholds(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
				      const __le64 (*cmds)[2], u32 look_at, u32 num,
				      bool by_asid)
{
	u32 known = phys->asids.num;

	if (unlikely(!phys->stream_num)) {
		/* Its TLBs were flushed when the last stream left. */
		if (!phys->unflushed)
			return true;
		if (!v->filter || v->phys_num < 2)
			return false;
	}
	/* If it has no ASID, stage 1 has not translated since the last flush. */
	if (known) {
		if (!by_asid || may_hold(phys, cmds, look_at) || !look_again(v, phys))
			return false;
		if (unlikely(phys->asids.num != known) && may_hold(phys, cmds, look_at))
			return false;
	}
	if (phys->asids.all)
		return false;
	v->stats.out_withheld += num;
	return true;
}

/**
 * smmuv3_filter_issue() - Give TLBIs to the physical SMMUs that need them
 * @v: the vSMMU, @queue_lock held
 * @cmds: validated TLBIs
 * @ucmds: the same TLBIs in the VMM's memory, or NULL
 * @look_at: how many of them to look at; the others have the same first word
 * @num: how many there are
 *
 * They go to a physical SMMU either all or not at all, so that the host can read them in
 * the VMM's memory.
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_filter_issue(struct smmuv3_vsmmu *v, const __le64 (*cmds)[2],
			const void __user *ucmds, u32 look_at, u32 num)
{
	struct smmuv3_phys *phys;
	bool by_asid = true;
	u32 i;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	for (i = 0; i < look_at; i++)
		by_asid &= is_by_asid(v, cmds[i][0]);
	list_for_each_entry(phys, &v->phys, node) {
		if (phys->gated && withholds(v, phys, cmds, look_at, num, by_asid))
			continue;
		rc = smmuv3_phys_invalidate(v, phys, cmds, ucmds, num, true);
		if (rc)
			return rc;
	}
	return 0;
}
