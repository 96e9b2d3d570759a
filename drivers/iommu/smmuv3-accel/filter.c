// SPDX-License-Identifier: GPL-2.0
/*
 * Filtered fan-out: with several physical SMMUs, a TLBI by ASID goes only to those that
 * may hold entries of the ASID. Documentation/driver-api/smmuv3-accel.rst says why
 * nothing that is needed is withheld.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "filter.h"
#include "phys.h"

/**
 * struct cd_reader - A reader of CDs in guest memory
 * @reader: base
 * @mem: the memory
 * @left: how many more reads it allows, if it must not sleep
 */
struct cd_reader {
	struct smmuv3_reader reader;
	const struct guest_mem *mem;
	u32 left;
};

static int read_cd(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct cd_reader *r = container_of(reader, struct cd_reader, reader);

	return guest_mem_read(r->mem, gpa, buf, len);
}

/* The same, without waiting for a missing page */
static int peek_cd(struct smmuv3_reader *reader, u64 gpa, void *buf, size_t len)
{
	struct cd_reader *r = container_of(reader, struct cd_reader, reader);
	const void __user *from;
	size_t part = len;

	if (!r->left)
		return -E2BIG;
	r->left--;
	from = guest_mem_find(r->mem, gpa, &part);
	if (!from || part < len || copy_from_user_nofault(buf, from, len))
		return -EFAULT;
	return 0;
}

/* The bits of an ASID that a physical SMMU compares */
static u16 asid_mask(const struct smmuv3_phys *phys)
{
	return phys->caps.asid16 ? TLBI_ASID_16BIT : TLBI_ASID_8BIT;
}

/**
 * smmuv3_filter_look() - Note the ASIDs that a physical SMMU can use by an STE
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @ste: the STE
 *
 * Call this before the STE is attached, and before a CFGI_CD of such a stream is
 * issued. May wait for a missing page of guest memory, until a signal comes.
 */
void smmuv3_filter_look(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			const struct smmuv3_ste *ste)
{
	struct cd_reader reader = { .reader.read = read_cd, .mem = &v->mem };

	lockdep_assert_held(&v->queue_lock);

	if (!v->filter || ste->kind != SMMUV3_ACCEL_KIND_S1 || phys->asids.all)
		return;
	if (v->phys_num + list_empty(&phys->node) < 2) {
		/* Nothing was withheld yet, so nothing has to be flushed. */
		smmuv3_asids_add_all(&phys->asids);
		smmuv3_asids_flushed(&phys->asids);
	} else {
		/* The guest stored the CD before the command. */
		smp_rmb();
		if (smmuv3_cdtab_collect(ste->data, asid_mask(phys), &reader.reader,
					 &phys->asids))
			smmuv3_asids_add_all(&phys->asids);
	}
	smmuv3_phys_update_gate(v, phys);
}

/**
 * smmuv3_filter_leave() - Note the ASIDs that a physical SMMU could use by an old STE
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @ste: the STE that a stream had
 *
 * Call this after the STE was replaced. The guest may have changed a CD and not told,
 * and smmuv3_filter_withholds() reads the tables of STEs in force only. Does not wait
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
	if (smmuv3_cdtab_collect(ste->data, asid_mask(phys), &reader.reader,
				 &phys->asids))
		smmuv3_asids_add_all(&phys->asids);
	smmuv3_phys_update_gate(v, phys);
}

/**
 * smmuv3_filter_flush() - Flush the entries of ASIDs that are new to a physical SMMU
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 *
 * If it fails, the flush stays pending.
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_filter_flush(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	__le64 (*stage)[2] = v->queue.batch->stage;
	u32 num = smmuv3_asids_new(&phys->asids, stage);
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (!num)
		return 0;
	rc = smmuv3_phys_invalidate(v, phys, stage, NULL, num, true);
	if (!rc)
		smmuv3_asids_flushed(&phys->asids);
	return rc;
}

/**
 * smmuv3_filter_flush_all() - Flush the entries of new ASIDs on each physical SMMU
 * @v: the vSMMU, @queue_lock held
 * @failed: set to the first physical SMMU for which it fails
 *
 * Call this after cached CDs were invalidated: a stale CD could bring entries back.
 *
 * Return: 0 or the first errno.
 */
int smmuv3_filter_flush_all(struct smmuv3_vsmmu *v, struct smmuv3_phys **failed)
{
	struct smmuv3_phys *phys;
	int rc, first_rc = 0;

	if (!v->filter)
		return 0;
	list_for_each_entry(phys, &v->phys, node) {
		rc = smmuv3_phys_idle(phys) ? 0 : smmuv3_filter_flush(v, phys);
		if (rc && !first_rc) {
			first_rc = rc;
			*failed = phys;
		}
	}
	return first_rc;
}

/* Whether a physical SMMU may hold an entry that one of these TLBIs is for */
static bool may_hold(const struct smmuv3_vsmmu *v, const struct smmuv3_phys *phys,
		     const __le64 (*cmds)[2], u32 num)
{
	u64 cmd0;
	u32 i;

	for (i = 0; i < num; i++) {
		cmd0 = le64_to_cpu(cmds[i][0]);
		switch (FIELD_GET(CMD_0_OP, cmd0)) {
		case CMD_TLBI_NH_VA:
			/* It also invalidates global entries, of any ASID (4.4.2). */
			if (!v->policy.no_global)
				return true;
			fallthrough;
		case CMD_TLBI_NH_ASID:
			if (!smmuv3_asids_have(&phys->asids,
					       FIELD_GET(TLBI_0_ASID, cmd0) &
					       asid_mask(phys)))
				continue;
			return true;
		default:
			return true;
		}
	}
	return false;
}

/*
 * The guest may have changed a CD and not told yet, but the SMMU may have fetched it.
 * So read all CDs that the physical SMMU reaches. Returns false if they are too many,
 * or one cannot be read without waiting.
 */
static bool look_again(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	struct cd_reader reader = {
		.reader.read = peek_cd,
		.mem = &v->mem,
		.left = SMMUV3_MAX_CDS,
	};
	const struct smmuv3_stream *stream;

	/* The guest stored the CD before the TLBI. */
	smp_rmb();
	list_for_each_entry(stream, &phys->s1_streams, s1_node)
		if (smmuv3_cdtab_collect(stream->ste.data, asid_mask(phys),
					 &reader.reader, &phys->asids))
			return false;
	return true;
}

/**
 * smmuv3_filter_withholds() - Whether a physical SMMU does not need TLBIs
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @cmds: validated TLBIs
 * @look_at: how many of them to look at; the others have the same first word
 * @num: how many there are
 *
 * Call this if &smmuv3_phys.gated is set. The TLBIs go to a physical SMMU either all
 * or not at all, so that the host can read them in the VMM's memory.
 *
 * Return: true if it needs none of them.
 */
bool smmuv3_filter_withholds(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			     const __le64 (*cmds)[2], u32 look_at, u32 num)
{
	u32 known = phys->asids.num;

	lockdep_assert_held(&v->queue_lock);

	/* Its TLBs were flushed when the last stream left. */
	if (smmuv3_phys_idle(phys))
		return true;
	if (!v->filter || v->phys_num < 2 || phys->asids.all)
		return false;
	/* If it has no ASID, stage 1 has not translated since the last flush. */
	if (known && (may_hold(v, phys, cmds, look_at) || !look_again(v, phys) ||
		      (phys->asids.num != known && may_hold(v, phys, cmds, look_at)) ||
		      phys->asids.all))
		return false;
	v->stats.out_withheld += num;
	return true;
}
