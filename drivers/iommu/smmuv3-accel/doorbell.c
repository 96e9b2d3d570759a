// SPDX-License-Identifier: GPL-2.0
/*
 * The fast path for the commonest doorbell. When a driver unmaps, it invalidates pages
 * at a constant distance, or a range, and waits for that by a CMD_SYNC. This needs no
 * phases and no reduction, and only a few fields of the caller's struct. `make bench`
 * measures the gain.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "cmdq.h"
#include "doorbell.h"
#include "filter.h"
#include "ioctl.h"
#include "phys.h"
#include "trace.h"

/* Both words are loaded before the first branch. */
static __always_inline bool differs(const __le64 cmd[2], __le64 word0, u64 word1)
{
	bool differs0 = cmd[0] != word0, differs1 = le64_to_cpu(cmd[1]) != word1;

	return differs0 | differs1;
}

/* Whether commands differ only in addresses at a constant distance */
static __always_inline bool are_evenly_spaced(const __le64 (*cmds)[2], u32 num)
{
	const __le64 (*cmd)[2] = cmds + 1, (*end)[2] = cmds + num;
	const __le64 word0 = cmds[0][0];
	u64 addr = le64_to_cpu(cmds[0][1]);
	u64 step = le64_to_cpu((*cmd)[1]) - addr;
	u32 j;

	if (!step || (step & ~TLBI_1_ADDRESS))
		return false;
	/* One by one, until four at a time are left */
	for (; (end - cmd) % 4; cmd++) {
		addr += step;
		if (differs(*cmd, word0, addr))
			return false;
	}
	for (; cmd != end; cmd += 4) {
#pragma GCC unroll 4
		for (j = 0; j < 4; j++) {
			addr += step;
			if (differs(cmd[j], word0, addr))
				return false;
		}
	}
	return true;
}

/*
 * The bits that keep a command out of the fast path: those of @mask, and a difference from
 * the opcode
 */
static __always_inline u64 odd_bits(const __le64 cmd[2], u32 op, const u64 mask[2])
{
	return ((le64_to_cpu(cmd[0]) & mask[0]) - op) | (le64_to_cpu(cmd[1]) & mask[1]);
}

/*
 * Whether a command that is not simple is a TLBI_NH_VA that goes to the host as it is. With
 * range invalidation, Linux sends a range also for a single page.
 */
static noinline bool is_range(struct smmuv3_fast *fast, const __le64 from[2])
{
	const struct smmuv3_vsmmu *v = container_of(fast, struct smmuv3_vsmmu, fast);
	u64 cmd[2] = { le64_to_cpu(from[0]), le64_to_cpu(from[1]) };
	enum smmuv3_cmd_class class;

	if (FIELD_GET(CMD_0_OP, cmd[0]) != CMD_TLBI_NH_VA ||
	    smmuv3_cmd_check(cmd, &v->offer.caps, &class) ||
	    smmuv3_cmd_rewrite(cmd, &v->offer.caps))
		return false;
	fast->range[0] = from[0];
	fast->range[1] = from[1];
	return true;
}

/*
 * Whether commands fit the fast path: one or more simple TLBI_NH_VA that are evenly spaced,
 * or one of a range, and a CMD_SYNC, whose CS may still be reserved. A command that differs
 * from a legal one only in its address is legal, too, and none of these covers another.
 */
static __always_inline bool fits(struct smmuv3_fast *fast, const __le64 (*cmds)[2], u32 num)
{
	u64 sync = odd_bits(cmds[num], CMD_SYNC, fast->sync);

	/* One branch for all */
	if (odd_bits(cmds[0], CMD_TLBI_NH_VA, fast->tlbi) | sync) {
		if (num != 1 || sync)
			return false;
		return (cmds[0][0] == fast->range[0] &&
			!((cmds[0][1] ^ fast->range[1]) & ~cpu_to_le64(TLBI_1_ADDRESS))) ||
		       is_range(fast, cmds[0]);
	}
	return num == 1 || are_evenly_spaced(cmds, num);
}

/*
 * Two fields of the caller's struct, as the word that they are in memory. To load four
 * words is cheaper than a call that copies the struct.
 */
static __always_inline u64 make_pair(u32 first, u32 second)
{
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? (u64)first << 32 | second :
						   (u64)second << 32 | first;
}

static __always_inline u32 pair_first(u64 pair)
{
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? pair >> 32 : pair;
}

static __always_inline u32 pair_second(u64 pair)
{
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? pair : pair >> 32;
}

/**
 * struct request - What the caller asks for: pairs of fields
 * @size_flags: size and flags
 * @prod_max: prod and max_cmds
 * @cons_feed: cons and feed_num
 * @bad_reserved: bad_num and __reserved
 */
struct request {
	u64 size_flags;
	u64 prod_max;
	u64 cons_feed;
	u64 bad_reserved;
};

/* Read the fields that matter to the fast path. Returns whether that succeeded. */
static __always_inline bool read_run(const struct smmuv3_accel_run_cmdq __user *run,
				     struct request *in)
{
	const u64 __user *from = (const u64 __user *)run;

	BUILD_BUG_ON(offsetof(typeof(*run), prod) != 24 || offsetof(typeof(*run), bad_num) != 40);
	if (!user_read_access_begin(run, sizeof(*run)))
		return false;
	unsafe_get_user(in->size_flags, &from[0], fault);
	unsafe_get_user(in->prod_max, &from[3], fault);
	unsafe_get_user(in->cons_feed, &from[4], fault);
	unsafe_get_user(in->bad_reserved, &from[5], fault);
	user_read_access_end();
	return true;

fault:
	user_read_access_end();
	return false;
}

/*
 * Write all fields that the kernel sets. Returns whether that succeeds. @cons is the last,
 * for if another field cannot be written, the doorbell must look as if nothing was done.
 */
static __always_inline bool write_run(struct smmuv3_accel_run_cmdq __user *run, u32 cons,
				      u32 flags)
{
	u64 __user *to = (u64 __user *)&run->cons;

	BUILD_BUG_ON(offsetof(typeof(*run), out_flags) - offsetof(typeof(*run), cons) != 24);
	if (!user_write_access_begin(run, sizeof(*run)))
		return false;
	/* out_flags and out_vsid */
	unsafe_put_user(make_pair(flags, 0), &to[3], fault);
	/* out_error and out_reason, bad_num and __reserved */
	unsafe_put_user(0, &to[2], fault);
	unsafe_put_user(0, &to[1], fault);
	/* cons and feed_num */
	unsafe_put_user(make_pair(cons, 0), &to[0], fault);
	user_write_access_end();
	return true;

fault:
	user_write_access_end();
	return false;
}

/**
 * struct doorbell - A doorbell that fits the fast path
 * @cons: index of its first command
 * @num: how many TLBIs it has
 * @from: their address in the VMM
 */
struct doorbell {
	u32 cons;
	u32 num;
	const void __user *from;
};

/*
 * Read the caller's struct and the commands, and write the struct as it is if all
 * succeeds. Returns whether the doorbell fits the fast path; if it does not, nothing is
 * done. Page faults are disabled, so this does not wait for a missing page.
 */
static __always_inline bool take(struct smmuv3_fast *fast,
				 struct smmuv3_accel_run_cmdq __user *run,
				 struct doorbell *db)
{
	const u32 mask = fast->mask, index_mask = mask / 2;
	__le64 (*cmds)[2] = fast->cmds;
	struct request in;
	u32 flags = 0;
	u64 sync;

	if (!read_run(run, &in))
		return false;
	db->cons = pair_first(in.cons_feed);
	db->num = (pair_first(in.prod_max) - db->cons - 1) & mask;
	db->from = fast->uaddr + (db->cons & index_mask) * sizeof(*cmds);
	/* A store to an address that is not a multiple of its size may be done in part. */
	if (in.size_flags != make_pair(sizeof(*run), 0) || pair_second(in.bad_reserved) ||
	    (uintptr_t)run % sizeof(u64) ||
	    /* 0 is no limit */
	    pair_second(in.prod_max) - 1 < db->num ||
	    db->num - 1 >= fast->max_num || (db->cons & index_mask) + db->num > index_mask ||
	    __copy_from_user_inatomic(cmds, db->from, (db->num + 1) * sizeof(*cmds)) ||
	    !fits(fast, cmds, db->num))
		return false;
	/* By line or by MSI */
	sync = le64_to_cpu(cmds[db->num][0]);
	if (unlikely(sync & FIELD_PREP(SYNC_0_CS, SYNC_CS_IRQ))) {
		if (FIELD_GET(SYNC_0_CS, sync) == SYNC_CS_RESERVED)
			return false;
		flags = SMMUV3_ACCEL_RUN_SYNC_IRQ;
	}
	return write_run(run, (db->cons + db->num + 1) & mask, flags);
}

static __always_inline int issue(struct smmuv3_vsmmu *v, const struct doorbell *db)
{
	struct smmuv3_phys *phys = v->fast.phys;
	int rc;

	if (unlikely(!phys || !smmuv3_host_can_read(phys->host))) {
		rc = smmuv3_filter_issue(v, v->fast.cmds, db->from, 1, db->num);
	} else {
		rc = smmuv3_phys_call_user(v, phys, db->from, db->num);
		if (unlikely(rc))
			rc = smmuv3_phys_call_again(v, phys, v->fast.cmds, db->from,
						    db->num, false, rc);
	}
	if (likely(!rc)) {
		v->stats.out_cmds += db->num + 1;
		v->stats.out_syncs++;
	}
	return rc;
}

/* Write the caller's struct after a host error. */
static noinline int report(struct smmuv3_accel_run_cmdq __user *run, u32 cons, int rc)
{
	if (put_user(cons, &run->cons) || put_user(0, &run->out_flags) ||
	    put_user(smmuv3_host_reason(rc), &run->out_reason))
		return -EFAULT;
	return rc;
}

/* The doorbell does not fit the fast path. */
static noinline long run_generally(struct smmuv3_vsmmu *v, unsigned long uarg)
{
	mutex_unlock(&v->queue_lock);
	return smmuv3_ioctl_dispatch(v, SMMUV3_ACCEL_RUN_CMDQ, uarg);
}

/**
 * smmuv3_accel_ioctl() - The entry of all ioctls
 * @file: the file
 * @nr: the ioctl
 * @uarg: address of the caller's struct
 *
 * Return: 0 or an errno.
 */
long smmuv3_accel_ioctl(struct file *file, unsigned int nr, unsigned long uarg)
{
	struct smmuv3_accel_run_cmdq __user *run = (void __user *)uarg;
	struct smmuv3_vsmmu *v = file->private_data;
	struct doorbell db __uninitialized;
	int rc;

	if (unlikely(nr != SMMUV3_ACCEL_RUN_CMDQ || trace_smmuv3_accel_run_enabled()))
		return smmuv3_ioctl_dispatch(v, nr, uarg);
	if (unlikely(mutex_lock_interruptible(&v->queue_lock)))
		return smmuv3_ioctl_dispatch(v, SMMUV3_ACCEL_RUN_CMDQ, uarg);
	if (unlikely(v->fast.mm != current->mm))
		return run_generally(v, uarg);
	pagefault_disable();
	if (unlikely(!take(&v->fast, run, &db))) {
		pagefault_enable();
		return run_generally(v, uarg);
	}
	pagefault_enable();
	rc = issue(v, &db);
	if (unlikely(rc))
		db.cons &= v->fast.mask;
	mutex_unlock(&v->queue_lock);
	return likely(!rc) ? 0 : report(run, db.cons, rc);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_accel_ioctl);
