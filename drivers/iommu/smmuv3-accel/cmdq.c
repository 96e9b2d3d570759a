// SPDX-License-Identifier: GPL-2.0
/*
 * Run a guest's commands: fetch, check, put in order, have them carried out.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "smmuv3-accel.h"

/* What there is to do for a legal command of one StreamID, if anything. */
static struct smmuv3_batch_tag stream_tag(struct vsmmu *v, u64 cmd0,
					  enum smmuv3_phase phase)
{
	struct vsmmu_stream *stream;

	stream = xa_load(&v->streams, FIELD_GET(CMD_0_SID, cmd0));
	if (!stream)
		goto none;
	/*
	 * Without EATS the device has no ATC entries of this stream's, and the
	 * host would refuse.
	 */
	if (phase == SMMUV3_PHASE_ATC &&
	    !FIELD_GET(STE_1_EATS, stream->ste.data[1]))
		goto none;
	return (struct smmuv3_batch_tag){ stream->phys->index, phase };
none:
	return (struct smmuv3_batch_tag){ .phase = SMMUV3_PHASE_NONE };
}

/*
 * Check a chunk of v->snapshot and tag what is to be done for each command.
 * Returns how many are good; the one behind them breaks the rule in @reason.
 */
static u32 cmdq_classify(struct vsmmu *v, u32 num,
			 enum smmuv3_accel_reason *reason)
{
	struct smmuv3_batch_tag tag;
	enum smmuv3_cmd_class class;
	u32 i;

	*reason = SMMUV3_ACCEL_REASON_NONE;
	for (i = 0; i < num; i++) {
		const u64 cmd[2] = { le64_to_cpu(v->snapshot[i][0]),
				     le64_to_cpu(v->snapshot[i][1]) };

		*reason = smmuv3_cmd_check(cmd, &v->caps, &class);
		if (!*reason && class == SMMUV3_CMD_STE)
			*reason = SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE;
		if (*reason)
			break;

		switch (class) {
		case SMMUV3_CMD_CD:
			tag = stream_tag(v, cmd[0], SMMUV3_PHASE_CD);
			break;
		case SMMUV3_CMD_TLBI:
			tag = (struct smmuv3_batch_tag){ SMMUV3_PHYS_ALL,
							 SMMUV3_PHASE_TLBI };
			break;
		case SMMUV3_CMD_ATC:
			tag = stream_tag(v, cmd[0], SMMUV3_PHASE_ATC);
			break;
		default:
			tag.phase = SMMUV3_PHASE_NONE;
		}
		v->tags[i] = tag;
	}
	return i;
}

/*
 * ATC_INVs. Where a device does not answer, the host stops at that block of its
 * own, so the rest is given to it block by block: all must have been tried when
 * the guest learns of the failure.
 */
static int cmdq_issue_atc(struct vsmmu_phys *phys, const __le64 (*cmds)[2],
			  u32 num)
{
	int rc, first;
	u32 i;

	first = vsmmu_invalidate_phys(phys, cmds, num, false);
	if (first != -ETIMEDOUT || num <= SMMUV3_HOST_BLOCK)
		return first;
	for (i = 0; i < num; i += SMMUV3_HOST_BLOCK) {
		rc = vsmmu_invalidate_phys(phys, cmds + i,
					   min(num - i, (u32)SMMUV3_HOST_BLOCK),
					   false);
		if (rc && rc != -ETIMEDOUT)
			return rc;
	}
	return first;
}

static int cmdq_issue_phase(struct vsmmu *v, u32 num, enum smmuv3_phase phase)
{
	struct vsmmu_phys *phys;
	u32 picked;
	int rc;

	list_for_each_entry(phys, &v->phys, node) {
		picked = smmuv3_batch_select(v->stage, v->snapshot, v->tags,
					     num, phase, phys->index);
		if (!picked)
			continue;
		if (phase != SMMUV3_PHASE_ATC) {
			rc = vsmmu_invalidate_phys(phys, v->stage, picked, true);
		} else {
			rc = cmdq_issue_atc(phys, v->stage, picked);
			if (rc == -ETIMEDOUT) {
				v->atc_failed = true;
				rc = 0;
			}
		}
		if (rc)
			return rc;
	}
	return 0;
}

/* The first CMD_SYNC of a chunk behind what is tagged for a phase. */
static u32 cmdq_find_sync(struct vsmmu *v, u32 num, enum smmuv3_phase phase)
{
	bool behind = phase == SMMUV3_PHASE_NONE;
	u32 i;

	for (i = 0; i < num; i++) {
		if (v->tags[i].phase == phase)
			behind = true;
		if (behind && FIELD_GET(CMD_0_OP,
					le64_to_cpu(v->snapshot[i][0])) == CMD_SYNC)
			break;
	}
	return i;
}

/*
 * Carry out a chunk. Returns how many commands are done: all, or none with an
 * errno, or those before the CMD_SYNC at which the guest learns that an ATC_INV
 * failed, be it of this chunk or of an earlier one.
 */
static u32 cmdq_issue(struct vsmmu *v, u32 num, u32 *error, u32 *reason,
		      int *errno)
{
	enum smmuv3_phase behind =
		v->atc_failed ? SMMUV3_PHASE_NONE : SMMUV3_PHASE_ATC;
	enum smmuv3_phase phase;
	u32 sync;
	int rc;

	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++) {
		rc = cmdq_issue_phase(v, num, phase);
		if (rc) {
			*errno = rc;
			*reason = vsmmu_host_reason(rc);
			return 0;
		}
	}
	if (!v->atc_failed)
		return num;
	sync = cmdq_find_sync(v, num, behind);
	if (sync == num)
		return num;
	v->atc_failed = false;
	*error = SMMUV3_ACCEL_CERROR_ATC_INV_SYNC;
	*reason = SMMUV3_ACCEL_REASON_ATC_TIMEOUT;
	return sync;
}

/**
 * vsmmu_invalidate() - Carry out an array of commands
 * @v: the vSMMU, @queue_lock held
 * @cmds: the array
 * @cmd_num: how many there are, set to how many are done
 * @error: set to the guest's command error, if any
 * @reason: set where not all is done
 *
 * Each command is copied once and checked before anything of its chunk goes to
 * the host: there a bad command in the middle of a batch would leave earlier
 * ones undone that are reported as done.
 *
 * Return: 0 or an errno; see SMMUV3_ACCEL_INVALIDATE.
 */
int vsmmu_invalidate(struct vsmmu *v, const void __user *cmds, u32 *cmd_num,
		     u32 *error, u32 *reason)
{
	enum smmuv3_accel_reason rule;
	u32 num = *cmd_num, done = 0;
	u32 chunk, good, issued;
	int errno = 0;

	lockdep_assert_held(&v->queue_lock);

	*cmd_num = 0;
	if (num > SMMUV3_MAX_CMDS)
		return -EINVAL;

	while (done < num) {
		if (signal_pending(current))
			return done ? 0 : -EINTR;

		chunk = min(num - done, (u32)SMMUV3_HOST_MAX_BATCH);
		if (copy_from_user(v->snapshot,
				   cmds + (size_t)done * sizeof(*v->snapshot),
				   chunk * sizeof(*v->snapshot)))
			return -EFAULT;

		good = cmdq_classify(v, chunk, &rule);
		issued = cmdq_issue(v, good, error, reason, &errno);
		done += issued;
		*cmd_num = done;
		if (issued < good || *error || errno)
			return errno;

		if (rule) {
			*reason = rule;
			/* Not the guest's fault, so not an error to report to it. */
			if (rule == SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE)
				return -EINVAL;
			*error = SMMUV3_ACCEL_CERROR_ILL;
			return 0;
		}
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsmmu_invalidate);
