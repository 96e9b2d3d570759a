// SPDX-License-Identifier: GPL-2.0
/*
 * The fast path for the commonest doorbell. When a driver unmaps, it invalidates pages
 * at a constant distance, and waits for that by a CMD_SYNC. This needs no phases and no
 * reduction, and only a few fields of the caller's struct. `make bench` measures the gain.
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

/* Whether a command has an opcode, and none of the other bits in @mask */
static __always_inline bool is_simple(const __le64 cmd[2], u32 op, const u64 mask[2])
{
	return (le64_to_cpu(cmd[0]) & mask[0]) == op && !(le64_to_cpu(cmd[1]) & mask[1]);
}

/* Both words are loaded before the first branch. */
static __always_inline bool differs(const __le64 cmd[2], __le64 word0, u64 word1)
{
	bool differs0 = cmd[0] != word0, differs1 = le64_to_cpu(cmd[1]) != word1;

	return differs0 | differs1;
}

/*
 * Whether a doorbell's commands fit the fast path: one or more TLBI_NH_VA that differ only
 * in addresses at a constant distance, and a CMD_SYNC. A command that differs from a legal
 * one only in its address is legal, too, and none of these covers another.
 */
static __always_inline bool fits(const struct smmuv3_fast *fast, const __le64 (*cmds)[2],
				 u32 num)
{
	const __le64 (*cmd)[2] = cmds + 1, (*end)[2] = cmds + num;
	const __le64 word0 = cmds[0][0];
	u64 addr = le64_to_cpu(cmds[0][1]), step;
	u32 j;

	/* A CMD_SYNC may ask for an interrupt, by line or by MSI. */
	if (!is_simple(cmds[0], CMD_TLBI_NH_VA, fast->tlbi) ||
	    !is_simple(*end, CMD_SYNC, fast->sync) ||
	    FIELD_GET(SYNC_0_CS, le64_to_cpu((*end)[0])) == SYNC_CS_RESERVED)
		return false;
	if (num == 1)
		return true;
	step = le64_to_cpu((*cmd)[1]) - addr;
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

/**
 * struct doorbell - A doorbell that fits the fast path
 * @run: the caller's struct, except for what the kernel sets
 * @num: how many TLBIs it has
 * @from: their address in the VMM
 */
struct doorbell {
	struct smmuv3_accel_run_cmdq run;
	u32 num;
	const void __user *from;
};

/* A field and 0 in the field after it, as one word in memory */
static __always_inline u64 with_zero(u32 field)
{
	return IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? (u64)field << 32 : field;
}

/* Write all fields that the kernel sets. Returns whether that succeeds. */
static __always_inline bool write_run(struct smmuv3_accel_run_cmdq __user *run, u32 cons,
				      u32 flags)
{
	u64 __user *to = (u64 __user *)&run->cons;

	BUILD_BUG_ON(offsetof(typeof(*run), out_flags) - offsetof(typeof(*run), cons) != 24);
	if (!user_write_access_begin(to, 4 * sizeof(*to)))
		return false;
	/* cons and feed_num */
	unsafe_put_user(with_zero(cons), &to[0], fault);
	/* bad_num and __reserved, out_error and out_reason */
	unsafe_put_user(0, &to[1], fault);
	unsafe_put_user(0, &to[2], fault);
	/* out_flags and out_vsid */
	unsafe_put_user(with_zero(flags), &to[3], fault);
	user_write_access_end();
	return true;

fault:
	user_write_access_end();
	return false;
}

/*
 * Read the caller's struct and the commands, and write the struct as it is if all
 * succeeds, without waiting for a missing page. Returns whether the doorbell fits the fast
 * path; if it does not, nothing is done.
 */
static __always_inline bool take(struct smmuv3_vsmmu *v, struct doorbell *db,
				 struct smmuv3_accel_run_cmdq __user *run)
{
	const struct smmuv3_queue *queue = &v->queue;
	const u32 index_mask = queue->lap - 1, mask = 2 * queue->lap - 1;
	__le64 (*cmds)[2] = queue->batch->cmds;
	bool taken = false;
	u64 sync;

	pagefault_disable();
	if (!access_ok(run, sizeof(*run)) ||
	    __copy_from_user_inatomic(&db->run, run, sizeof(db->run)) ||
	    db->run.size != sizeof(db->run) || db->run.flags || db->run.__reserved ||
	    db->run.max_cmds)
		goto out;
	db->num = ((db->run.prod - db->run.cons) & mask) - 1;
	db->from = queue->uaddr + (db->run.cons & index_mask) * sizeof(*cmds);
	if (db->num - 1 >= queue->fast.max_num ||
	    (db->run.cons & index_mask) + db->num > index_mask ||
	    __copy_from_user_inatomic(cmds, db->from, (db->num + 1) * sizeof(*cmds)) ||
	    !fits(&queue->fast, cmds, db->num))
		goto out;
	sync = le64_to_cpu(cmds[db->num][0]);
	taken = write_run(run, db->run.prod & mask,
			  FIELD_GET(SYNC_0_CS, sync) == SYNC_CS_IRQ ?
				  SMMUV3_ACCEL_RUN_SYNC_IRQ : 0);
out:
	pagefault_enable();
	return taken;
}

static __always_inline int issue(struct smmuv3_vsmmu *v, const struct doorbell *db)
{
	struct smmuv3_phys *phys = v->queue.fast.phys;
	int rc;

	if (unlikely(!phys || !smmuv3_host_can_read(phys->host))) {
		rc = smmuv3_filter_issue(v, v->queue.batch->cmds, db->from, 1, db->num);
	} else {
		rc = smmuv3_phys_call_user(v, phys, db->from, db->num);
		if (unlikely(rc))
			rc = smmuv3_phys_call_again(v, phys, v->queue.batch->cmds,
						    db->from, db->num, false, rc);
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

	if (unlikely(nr != SMMUV3_ACCEL_RUN_CMDQ || trace_smmuv3_accel_run_enabled() ||
		     mutex_lock_interruptible(&v->queue_lock)))
		return smmuv3_ioctl_dispatch(v, nr, uarg);
	if (unlikely(v->queue.fast.mm != current->mm || !take(v, &db, run))) {
		mutex_unlock(&v->queue_lock);
		return smmuv3_ioctl_dispatch(v, nr, uarg);
	}
	rc = issue(v, &db);
	if (unlikely(rc))
		db.run.cons &= 2 * v->queue.lap - 1;
	mutex_unlock(&v->queue_lock);
	return likely(!rc) ? 0 : report(run, db.run.cons, rc);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_accel_ioctl);
