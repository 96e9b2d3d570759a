// SPDX-License-Identifier: GPL-2.0
/*
 * Run a guest's commands, from its command queue or from an array of the VMM's:
 * fetch, check, batch, have them carried out.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "arch.h"
#include "compat.h"
#include "smmuv3-accel.h"
#include "trace.h"

#define CMD_SIZE	sizeof(__le64[2])
/* From here on a run lets others in between batches. */
#define MANY_BATCHES	8

static bool phys_wants_repeat(const struct smmuv3_phys *phys)
{
	return phys->info.flags &
	       IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI;
}

static __always_inline int invalidate_once(struct smmuv3_vsmmu *v,
					   struct smmuv3_phys *phys,
					   const __le64 (*cmds)[2],
					   const void __user *ucmds, u32 num)
{
	struct smmuv3_host *host = phys->host;
	int rc;

	v->stats.out_host_calls++;
	v->stats.out_issued += num;
	if (ucmds) {
		v->stats.out_zero_copy++;
		rc = host->ops->invalidate_user(host, phys->viommu_id, ucmds,
						num);
	} else {
		rc = host->ops->invalidate(host, phys->viommu_id, cmds, num);
	}
	if (likely(!rc) || rc == -ETIMEDOUT)
		return rc;

	v->stats.out_host_calls++;
	v->stats.out_issued += num;
	v->stats.out_replays++;
	return host->ops->invalidate(host, phys->viommu_id, cmds, num);
}

/**
 * smmuv3_phys_invalidate() - Have a physical SMMU carry out commands
 * @v: the vSMMU, @queue_lock held
 * @phys: the physical SMMU
 * @cmds: validated commands that need no order among them
 * @ucmds: the same in the VMM's memory, to be read from there, or NULL
 * @num: how many, up to %SMMUV3_HOST_MAX_BATCH
 * @repeat: they are TLBIs or CFGIs, to be issued twice with erratum
 *	T264-SMMU-3, the second time after the first has returned
 *
 * After an error the host counts commands as done that it never issued, so a
 * batch is never resumed but replayed whole, once, from @cmds: what is at
 * @ucmds may have changed. Not where the host timed out: it would for as long
 * again, with interrupts off.
 *
 * Return: 0 or the host's errno.
 */
int smmuv3_phys_invalidate(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
			   const __le64 (*cmds)[2], const void __user *ucmds,
			   u32 num, bool repeat)
{
	int rc;

	lockdep_assert_held(&v->queue_lock);

	rc = invalidate_once(v, phys, cmds, ucmds, num);
	if (!rc && unlikely(phys_wants_repeat(phys)) && repeat)
		rc = invalidate_once(v, phys, cmds, ucmds, num);
	return rc;
}

/* Few commands are copied faster word by word than by a call. */
#define FEW_CMDS	8

/*
 * Copy commands from the VMM's memory, as far as that needs no page fault.
 * Returns how many were copied.
 */
static __always_inline u32 copy_cmds(__le64 (*to)[2], const __le64 (__user *from)[2], u32 num)
{
	u32 i = 0;

	if (num > FEW_CMDS)
		return copy_from_user_nofault(to, from, num * CMD_SIZE) ? 0 : num;
	pagefault_disable();
	if (user_read_access_begin(from, num * CMD_SIZE)) {
#pragma GCC unroll 2
		for (; i < num; i++) {
			unsafe_get_user(to[i][0], &from[i][0], fault);
			unsafe_get_user(to[i][1], &from[i][1], fault);
		}
fault:
		user_read_access_end();
	}
	pagefault_enable();
	return i;
}

/*
 * Append commands to the batch: false if not all could be copied. Where a page
 * was missing the host is to use the copy, as it would wait for the page without
 * heeding signals if that went away again.
 */
static __always_inline bool run_copy(struct cmdq_run *run,
				     const void __user *uaddr, u32 num)
{
	__le64 (*to)[2] = &run->batch->cmds[run->num];
	u32 copied = copy_cmds(to, uaddr, num);
	bool missing = copied < num;

	if (unlikely(missing))
		copied = guest_mem_copy(to, uaddr, num * CMD_SIZE) / CMD_SIZE;
	if (copied) {
		run->pieces[run->piece_num++] =
			(struct cmdq_piece){ run->num, copied,
					     missing ? NULL : uaddr };
		run->num += copied;
	}
	return copied == num;
}

/* The VMM's address of commands in the batch, where they are contiguous there. */
static const void __user *run_uaddr(const struct cmdq_run *run, u32 first,
				    u32 num)
{
	u32 i;

	for (i = 0; i < run->piece_num; i++) {
		const struct cmdq_piece *piece = &run->pieces[i];

		if (first < piece->first || first - piece->first >= piece->num)
			continue;
		if (!piece->uaddr || num > piece->num - (first - piece->first))
			return NULL;
		return piece->uaddr + (first - piece->first) * CMD_SIZE;
	}
	return NULL;
}

static u32 stream_id(const __le64 cmd[2])
{
	return FIELD_GET(CMD_0_SID, le64_to_cpu(cmd[0]));
}

/*
 * A device did not answer an ATC_INV. The host stops at that block of a call, so
 * none of the call's ATC_INVs is known to be done, and issuing the rest would
 * take a second for each block, on a queue that all share. A stale ATC entry
 * must not go on translating: the streams abort until their next STE.
 */
static int run_atc_timeout(struct cmdq_run *run, const __le64 (*cmds)[2],
			   u32 num)
{
	struct smmuv3_vsmmu *v = run->v;
	struct smmuv3_stream *stream;
	int rc;
	u32 i;

	v->atc_failed = true;
	for (i = 0; i < num; i++) {
		stream = xa_load(&v->streams, stream_id(cmds[i]));
		if (!stream || stream->ste.kind == SMMUV3_ACCEL_KIND_ABORT)
			continue;
		/* The host switches ATS off by another ATC_INV, and waits. */
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = smmuv3_stream_abort(v, stream,
					 SMMUV3_ACCEL_REASON_ATC_TIMEOUT);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * The host refuses commands of a stream, as when the VMM has destroyed its
 * vDEVICE. All others of the segment are carried out, so what is done ends at the
 * first command of such a stream.
 */
static void run_note_refusal(struct cmdq_run *run, u32 vsid, int rc)
{
	u32 i;

	for (i = run->first; i < run->refused; i++) {
		switch (FIELD_GET(CMD_0_OP,
				  le64_to_cpu(run->batch->cmds[i][0]))) {
		case CMD_CFGI_CD:
		case CMD_CFGI_CD_ALL:
		case CMD_ATC_INV:
			if (stream_id(run->batch->cmds[i]) != vsid)
				continue;
			run->refused = i;
			run->vsid = vsid;
			run->rc = rc;
			return;
		}
	}
}

static bool is_refusal(int rc)
{
	return smmuv3_host_reason(rc) == SMMUV3_ACCEL_REASON_HOST_REJECT;
}

/* Commands with a StreamID, in one call, or if that is refused stream by stream */
static int run_streams(struct cmdq_run *run, struct smmuv3_phys *phys,
		       const __le64 (*cmds)[2], const void __user *ucmds,
		       u32 num, bool atc)
{
	struct smmuv3_vsmmu *v = run->v;
	u32 i, part;
	int rc;

	rc = smmuv3_phys_invalidate(v, phys, cmds, ucmds, num, !atc);
	if (rc == -ETIMEDOUT && atc)
		return run_atc_timeout(run, cmds, num);
	if (!is_refusal(rc))
		return rc;
	for (i = 0; i < num; i += part) {
		for (part = 1; i + part < num; part++)
			if (stream_id(cmds[i + part]) != stream_id(cmds[i]))
				break;
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = smmuv3_phys_invalidate(v, phys, cmds + i, NULL, part, !atc);
		/* Stop at the first time-out. */
		if (rc == -ETIMEDOUT && atc)
			return run_atc_timeout(run, cmds + i, num - i);
		if (is_refusal(rc))
			run_note_refusal(run, stream_id(cmds[i]), rc);
		else if (rc)
			return rc;
	}
	return 0;
}

static int run_phase(struct cmdq_run *run, enum smmuv3_phase phase)
{
	struct smmuv3_batch *batch = run->batch;
	const __le64 (*cmds)[2];
	const void __user *ucmds;
	struct smmuv3_phys *phys;
	u32 num;
	int rc;

	list_for_each_entry(phys, &run->v->phys, node) {
		if (smmuv3_batch_whole(batch, phase, phys->index)) {
			u32 first = batch->phases[phase].first;

			num = batch->phases[phase].num;
			cmds = &batch->cmds[first];
			ucmds = run_uaddr(run, first, num);
		} else {
			num = smmuv3_batch_select(batch, phase, phys->index);
			if (!num)
				continue;
			cmds = batch->stage;
			ucmds = NULL;
		}
		if (phase == SMMUV3_PHASE_TLBI)
			rc = smmuv3_phys_invalidate(run->v, phys, cmds, ucmds,
						    num, true);
		else
			rc = run_streams(run, phys, cmds, ucmds, num,
					 phase == SMMUV3_PHASE_ATC);
		if (rc)
			return rc;
	}
	return 0;
}

static u32 sync_flag(u64 cmd0)
{
	return FIELD_GET(CMD_0_OP, cmd0) == CMD_SYNC &&
	       FIELD_GET(SYNC_0_CS, cmd0) == SYNC_CS_IRQ ?
			SMMUV3_ACCEL_RUN_SYNC_IRQ : 0;
}

/* The first CMD_SYNC from @start on, or @end. */
static u32 run_find_sync(struct cmdq_run *run, u32 start, u32 end)
{
	for (; start < end; start++)
		if (FIELD_GET(CMD_0_OP,
			      le64_to_cpu(run->batch->cmds[start][0])) == CMD_SYNC)
			break;
	return start;
}

/*
 * Carry out a segment: what was added to the batch from @start to @end. Returns
 * up to where commands are done: @end, @start if the host failed, the first
 * command of a stream whose commands it refuses, or the CMD_SYNC at which the
 * guest learns that an ATC_INV failed, be it of this segment or of an earlier
 * one.
 */
static u32 run_segment(struct cmdq_run *run, u32 start, u32 end)
{
	bool failed_before = run->v->atc_failed;
	struct smmuv3_vsmmu *v = run->v;
	enum smmuv3_phase phase;
	u32 sync;
	int rc;

	run->first = start;
	run->refused = end;
	smmuv3_batch_reduce(run->batch, &v->policy);
	v->stats.out_subsumed = run->batch->subsumed;
	v->stats.out_merged = run->batch->merged;
	for (phase = 0; phase < SMMUV3_PHASE_NUM; phase++) {
		if (!run->batch->phases[phase].num)
			continue;
		rc = run_phase(run, phase);
		if (rc) {
			run->rc = rc;
			run->vsid = 0;
			run->reason = smmuv3_host_reason(rc);
			return start;
		}
	}
	if (unlikely(run->rc))
		run->reason = smmuv3_host_reason(run->rc);
	if (likely(!v->atc_failed))
		return run->refused;
	if (!failed_before)
		start = run->batch->phases[SMMUV3_PHASE_ATC].first;
	sync = run_find_sync(run, min(start, run->refused), run->refused);
	if (sync == run->refused)
		return sync;
	v->atc_failed = false;
	run->rc = 0;	/* Found again when the rest is run */
	run->vsid = 0;
	run->error = SMMUV3_ACCEL_CERROR_ATC_INV_SYNC;
	run->reason = SMMUV3_ACCEL_REASON_ATC_TIMEOUT;
	return sync;
}

/* What there is to do for a legal command of one StreamID, if anything. */
static void run_add_stream(struct cmdq_run *run, u32 index, const u64 cmd[2],
			   enum smmuv3_phase phase)
{
	struct smmuv3_stream *stream;

	stream = xa_load(&run->v->streams, FIELD_GET(CMD_0_SID, cmd[0]));
	/*
	 * Without EATS the device has no ATC entries of this stream's, and the
	 * host would refuse.
	 */
	if (!stream || !stream->dev ||
	    (phase == SMMUV3_PHASE_ATC &&
	     !FIELD_GET(STE_1_EATS, stream->ste.data[1])))
		smmuv3_batch_add(run->batch, index, cmd, SMMUV3_PHASE_NONE, 0);
	else
		smmuv3_batch_add(run->batch, index, cmd, phase,
				 stream->phys->index);
}

/* Whether the STE command at hand was carried out. */
static bool run_cfgi_ste(struct cmdq_run *run, const u64 cmd[2])
{
	u32 sid = FIELD_GET(CMD_0_SID, cmd[0]);
	struct smmuv3_reread reread = { .first = sid, .last = sid };

	if (!run->v->table_mode) {
		/* Not the guest's fault, so not an error to report to it. */
		run->reason = SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE;
		run->rc = -EINVAL;
		return false;
	}
	if (FIELD_GET(CMD_0_OP, cmd[0]) == CMD_CFGI_STE_RANGE) {
		u32 range = FIELD_GET(CFGI_1_RANGE, cmd[1]);
		u32 mask = range == CFGI_RANGE_ALL ? U32_MAX :
						     (2U << range) - 1;

		reread.first = sid & ~mask;
		reread.last = sid | mask;
	}
	run->rc = smmuv3_table_reread(run->v, &reread);
	run->ste_num += reread.num;
	if (reread.bad)
		run->flags |= SMMUV3_ACCEL_RUN_BAD_STE;
	if (!run->rc)
		return true;
	run->vsid = reread.failed;
	run->reason = reread.reason;
	return false;
}

/*
 * Whether a run that has done something is to end: for a signal or, if it has
 * had much to do, for somebody who waits for the vSMMU.
 */
static bool run_is_long(const struct cmdq_run *run)
{
	return signal_pending(current) ||
	       (unlikely(atomic_read(&run->v->waiters)) &&
		(run->ste_num >= SMMUV3_MANY_STES ||
		 run->batch_num >= MANY_BATCHES));
}

/* The same between batches: a signal ends it before it has done anything, too. */
static bool run_must_end(struct cmdq_run *run)
{
	if (run->batch_num && run_is_long(run))
		return true;
	if (!run->batch_num++ && signal_pending(current))
		run->rc = -EINTR;
	return run->rc;
}

/* Count again the CMD_SYNCs among the first @num commands, and what they want. */
static void count_syncs(const struct smmuv3_batch *batch, u32 num, u32 *syncs,
			u32 *flags)
{
	u32 i;

	*syncs = 0;
	*flags = 0;
	for (i = 0; i < num; i++) {
		u64 cmd0 = le64_to_cpu(batch->cmds[i][0]);

		*syncs += FIELD_GET(CMD_0_OP, cmd0) == CMD_SYNC;
		*flags |= sync_flag(cmd0);
	}
}

/* A segment, and the illegal command behind it */
static u32 run_illegal(struct cmdq_run *run, u32 start, u32 index, u32 rule)
{
	u32 done = run_segment(run, start, index);

	if (done == index && !run->error && !run->rc) {
		run->error = SMMUV3_ACCEL_CERROR_ILL;
		run->reason = rule;
	}
	return done;
}

/*
 * An STE command, after the segment before it, which is done up to @done. Returns
 * whether to go on behind it.
 */
static bool run_ste(struct cmdq_run *run, const u64 cmd[2], u32 index, u32 *done)
{
	if (*done != index || run->error || run->rc ||
	    run->ste_num >= SMMUV3_MAX_STES || !run_cfgi_ste(run, cmd))
		return false;
	*done = index + 1;
	smmuv3_batch_start(run->batch);
	/* It may have cost a walk for each of many streams. */
	cond_resched();
	return !run_is_long(run);
}

/*
 * Run what is in the batch. STEs change in order with the commands around them:
 * those form segments, within which the order is the phases'. Each command is
 * checked before anything of its segment goes to the host, where a bad one in
 * the middle would leave earlier ones undone that are reported as done.
 *
 * Returns how many commands are done; if that is not all, run->error or run->rc
 * says why, or neither is set and the run is to end.
 */
static u32 run_batch(struct cmdq_run *run)
{
	struct smmuv3_batch *batch = run->batch;
	struct smmuv3_vsmmu *v = run->v;
	u32 i, start = 0, done, syncs = 0, flags = 0;

	smmuv3_batch_start(batch);
	for (i = 0; i < run->num;) {
		const u64 cmd[2] = { le64_to_cpu(batch->cmds[i][0]),
				     le64_to_cpu(batch->cmds[i][1]) };
		enum smmuv3_accel_reason rule;
		enum smmuv3_cmd_class class;

		rule = smmuv3_cmd_is_simple(&v->rules, cmd, &class) ?
			       SMMUV3_ACCEL_REASON_NONE :
			       smmuv3_cmd_check(cmd, &v->caps, &class);
		if (unlikely(rule)) {
			done = run_illegal(run, start, i, rule);
			goto out;
		}
		switch (class) {
		case SMMUV3_CMD_TLBI:
			smmuv3_batch_add(batch, i, cmd, SMMUV3_PHASE_TLBI,
					 SMMUV3_PHYS_ALL);
			i = smmuv3_batch_extend(batch, i, run->num);
			continue;
		case SMMUV3_CMD_CD:
		case SMMUV3_CMD_ATC:
			run_add_stream(run, i, cmd,
				       class == SMMUV3_CMD_CD ?
					       SMMUV3_PHASE_CD : SMMUV3_PHASE_ATC);
			break;
		case SMMUV3_CMD_STE:
			done = run_segment(run, start, i);
			if (!run_ste(run, cmd, i, &done)) {
				i = max(i, done);
				goto out;
			}
			start = done;
			break;
		case SMMUV3_CMD_SYNC:
			syncs++;
			flags |= sync_flag(cmd[0]);
			fallthrough;
		case SMMUV3_CMD_NOP:
			batch->tags[i] = SMMUV3_PHASE_NONE;
			break;
		}
		i++;
	}
	done = run_segment(run, start, i);
out:
	/* A CMD_SYNC that is not done wants no interrupt yet. */
	if (done < i)
		count_syncs(batch, done, &syncs, &flags);
	run->flags |= flags;
	v->stats.out_cmds += done;
	v->stats.out_syncs += syncs;
	v->stats.out_cmd_errors += run->error != SMMUV3_ACCEL_CERROR_NONE;
	if (done)
		v->cmds_ran = true;
	return done;
}

/* Have each physical SMMU carry out the TLBIs at the batch's beginning. */
static int issue_tlbis(struct smmuv3_vsmmu *v, const void __user *uaddr, u32 num)
{
	struct smmuv3_phys *phys;
	int rc;

	list_for_each_entry(phys, &v->phys, node) {
		rc = invalidate_once(v, phys, v->batch->cmds, uaddr, num);
		if (!rc && unlikely(phys_wants_repeat(phys)))
			rc = invalidate_once(v, phys, v->batch->cmds, uaddr,
					     num);
		if (rc)
			return rc;
	}
	v->cmds_ran = true;
	return 0;
}

/*
 * What a driver's unmapping of a range comes to: TLBIs by address that differ in
 * nothing but that, or a single TLBI of any kind, and a CMD_SYNC. There is
 * nothing to put in order or to leave out. Returns false, with nothing done,
 * where it is something else, else sets how many commands are done.
 */
static bool run_plain(struct cmdq_run *run, u32 *done)
{
	const __le64 (*cmds)[2] = run->batch->cmds;
	struct smmuv3_vsmmu *v = run->v;
	enum smmuv3_cmd_class class;
	u32 num = run->num - 1, flag;
	u64 cmd[2];

	if (!num || run->piece_num != 1 || v->atc_failed)
		return false;
	cmd[0] = le64_to_cpu(cmds[num][0]);
	cmd[1] = le64_to_cpu(cmds[num][1]);
	if (!smmuv3_cmd_is_simple(&v->rules, cmd, &class) ||
	    class != SMMUV3_CMD_SYNC)
		return false;
	flag = sync_flag(cmd[0]);
	cmd[0] = le64_to_cpu(cmds[0][0]);
	cmd[1] = le64_to_cpu(cmds[0][1]);
	if (!smmuv3_cmd_is_simple(&v->rules, cmd, &class) ||
	    class != SMMUV3_CMD_TLBI)
		return false;
	if (num > 1 && (!smmuv3_batch_is_by_address(cmd) ||
			(v->policy.no_global && v->policy.escalate &&
			 num > v->policy.escalate) ||
			smmuv3_batch_alike(cmds, num) != num))
		return false;

	*done = 0;
	run->rc = issue_tlbis(v, run->pieces[0].uaddr, num);
	if (run->rc) {
		run->reason = smmuv3_host_reason(run->rc);
		return true;
	}
	v->stats.out_cmds += num + 1;
	v->stats.out_syncs++;
	run->flags |= flag;
	*done = num + 1;
	return true;
}

static struct cmdq_run *run_begin(struct smmuv3_vsmmu *v)
{
	struct cmdq_run *run = &v->run;

	/* Not the pieces: they are set as they come. */
	run->v = v;
	run->batch = v->batch;
	run->error = SMMUV3_ACCEL_CERROR_NONE;
	run->reason = SMMUV3_ACCEL_REASON_NONE;
	run->flags = 0;
	run->rc = 0;
	run->vsid = 0;
	run->ste_num = 0;
	run->batch_num = 0;
	run->feed = false;
	run->feed_num = 0;
	run->began = 0;
	if (trace_smmuv3_accel_run_enabled()) {
		run->before = v->stats;
		run->began = ktime_get_ns();
	}
	return run;
}

static void run_trace(const struct cmdq_run *run, u32 asked, u32 done)
{
	const struct smmuv3_accel_stats *stats = &run->v->stats;

	if (!run->began)
		return;
	trace_smmuv3_accel_run(run->v, asked, done,
			       stats->out_issued - run->before.out_issued,
			       stats->out_subsumed - run->before.out_subsumed,
			       stats->out_merged - run->before.out_merged,
			       ktime_get_ns() - run->began, run->error,
			       run->reason, run->vsid, run->rc);
}

/* A signal is nobody's fault, and after some progress no error but an end. */
static void run_end(struct cmdq_run *run, u32 done)
{
	if (run->rc != -EINTR)
		return;
	run->vsid = 0;
	run->reason = SMMUV3_ACCEL_REASON_NONE;
	if (done)
		run->rc = 0;
}

/**
 * smmuv3_cmdq_invalidate() - Carry out an array of commands
 * @v: the vSMMU, @queue_lock held
 * @cmd: the array, and what came of it; see SMMUV3_ACCEL_INVALIDATE
 *
 * Return: 0 or an errno.
 */
int smmuv3_cmdq_invalidate(struct smmuv3_vsmmu *v, struct smmuv3_accel_invalidate *cmd)
{
	const void __user *cmds = u64_to_user_ptr(cmd->cmds_uptr);
	u32 num = cmd->cmd_num, done = 0, part;
	struct cmdq_run *run;

	lockdep_assert_held(&v->queue_lock);

	cmd->cmd_num = 0;
	if (num > SMMUV3_MAX_CMDS)
		return -EINVAL;

	run = run_begin(v);
	while (done < num) {
		if (run_must_end(run))
			break;
		run->num = 0;
		run->piece_num = 0;
		run_copy(run, cmds + (size_t)done * CMD_SIZE,
			 min_t(u32, num - done, SMMUV3_HOST_MAX_BATCH));
		if (!run->num) {
			run->rc = signal_pending(current) ? -EINTR : -EFAULT;
			break;
		}
		if (!run_plain(run, &part))
			part = run_batch(run);
		done += part;
		if (part < run->num || run->error || run->rc)
			break;
	}
	run_end(run, done);
	cmd->cmd_num = done;
	cmd->out_error = run->error;
	cmd->out_reason = run->reason;
	cmd->out_vsid = run->vsid;
	run_trace(run, num, done);
	return run->rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmdq_invalidate);

/*
 * Append commands of the ring, from @index on and not beyond its end, where it
 * is not in one piece of the VMM's memory.
 */
static bool run_copy_pieces(struct cmdq_run *run, u32 index, u32 want)
{
	struct smmuv3_vsmmu *v = run->v;
	u64 gpa = v->cmdq_base + (u64)index * CMD_SIZE;
	size_t len = want * CMD_SIZE;
	const void __user *uaddr = guest_mem_find(&v->mem, gpa, &len);

	if (uaddr && len >= CMD_SIZE)
		return run_copy(run, uaddr, len / CMD_SIZE);

	/* A command that crosses memory regions */
	if (guest_mem_read(&v->mem, gpa, run->batch->cmds[run->num], CMD_SIZE))
		return false;
	run->pieces[run->piece_num++] =
		(struct cmdq_piece){ run->num, 1, NULL };
	run->num++;
	return true;
}

/* Fill the batch from the ring. False where the first command is not there. */
static bool run_fetch(struct cmdq_run *run, u32 cons, u32 num)
{
	struct smmuv3_vsmmu *v = run->v;
	u32 size = 1U << v->cmdq_log2size;
	bool more = true;

	run->num = 0;
	run->piece_num = 0;
	num = min_t(u32, num, SMMUV3_HOST_MAX_BATCH);
	while (more && run->num < num && run->piece_num < CMDQ_MAX_PIECES) {
		u32 index = (cons + run->num) & (size - 1);
		u32 want = min(num - run->num, size - index);

		if (likely(v->cmdq_uaddr))
			more = run_copy(run, v->cmdq_uaddr + index * CMD_SIZE,
					want);
		else
			more = run_copy_pieces(run, index, want);
	}
	return run->num;
}

/*
 * As run_plain(), for what is rung most: a TLBI_NH_VA and a CMD_SYNC, the
 * doorbell of a guest that unmaps a page. Nothing of a run is set up for it.
 */
static bool run_unmap(struct smmuv3_vsmmu *v, struct smmuv3_accel_run_cmdq *cmd,
		      int *rc)
{
	const u64 *unusual = v->rules.op[CMD_TLBI_NH_VA].unusual;
	u32 index = cmd->cons & ((1U << v->cmdq_log2size) - 1);
	const __le64 (__user *from)[2] = v->cmdq_uaddr + index * CMD_SIZE;
	__le64 (*cmds)[2] = v->batch->cmds;
	u64 tlbi, sync;

	if (!v->cmdq_uaddr || (index + 1) >> v->cmdq_log2size ||
	    v->atc_failed || v->feed_stream_num || trace_smmuv3_accel_run_enabled() ||
	    copy_cmds(cmds, from, 2) != 2)
		return false;
	sync = le64_to_cpu(cmds[1][0]);
	tlbi = le64_to_cpu(cmds[0][0]);
	if ((sync & ~FIELD_PREP(SYNC_0_CS, SYNC_CS_IRQ)) != CMD_SYNC ||
	    cmds[1][1] || FIELD_GET(CMD_0_OP, tlbi) != CMD_TLBI_NH_VA ||
	    (tlbi & unusual[0]) || (le64_to_cpu(cmds[0][1]) & unusual[1]))
		return false;

	*rc = issue_tlbis(v, from, 1);
	if (*rc) {
		cmd->out_reason = smmuv3_host_reason(*rc);
		return true;
	}
	v->stats.out_cmds += 2;
	v->stats.out_syncs++;
	cmd->out_flags = sync_flag(sync);
	cmd->cons = (cmd->cons + 2) & ((2U << v->cmdq_log2size) - 1);
	return true;
}

/* Whether an emulated endpoint has to see a command that is done. */
static bool feed_concerns(struct smmuv3_vsmmu *v, const __le64 cmd[2])
{
	u64 cmd0 = le64_to_cpu(cmd[0]);
	struct smmuv3_stream *stream;

	switch (FIELD_GET(CMD_0_OP, cmd0)) {
	case CMD_SYNC:
	case CMD_PREFETCH_CONFIG:
	case CMD_PREFETCH_ADDR:
		return false;
	case CMD_CFGI_STE:
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
	case CMD_ATC_INV:
		stream = xa_load(&v->streams, FIELD_GET(CMD_0_SID, cmd0));
		return stream && stream->feed;
	default:
		return true;
	}
}

/*
 * Give the VMM, of the first @done commands of the batch as the guest wrote
 * them, those that emulated endpoints have to see. After an overflow there is no
 * room any more, so what was given has no gap.
 */
static int run_feed(struct cmdq_run *run, u32 done)
{
	__le64 (*feed_cmds)[2] = run->v->feed_cmds;
	u32 i, num = 0;

	for (i = 0; i < done; i++)
		if (feed_concerns(run->v, feed_cmds[i]))
			memmove(feed_cmds[num++], feed_cmds[i], CMD_SIZE);
	if (num > run->feed_room - run->feed_num) {
		run->flags |= SMMUV3_ACCEL_RUN_FEED_OVERFLOW;
		num = run->feed_room - run->feed_num;
	}
	if (copy_to_user(run->feed_uptr + (size_t)run->feed_num * CMD_SIZE,
			 feed_cmds, num * CMD_SIZE))
		return -EFAULT;
	run->feed_num += num;
	return 0;
}

/* Any stretch. Not inline, to keep what run_unmap() does small. */
static noinline int run_ring(struct smmuv3_vsmmu *v, struct smmuv3_accel_run_cmdq *cmd,
			     u32 num, u32 feed_room)
{
	struct smmuv3_accel_stats *stats = &v->stats;
	u32 cons = cmd->cons, done = 0, part, flags;
	struct cmdq_run *run = run_begin(v);
	u64 cmds, syncs, errors;

	run->feed = v->feed_stream_num;
	run->feed_uptr = u64_to_user_ptr(cmd->feed_uptr);
	run->feed_room = feed_room;
	while (done < num) {
		if (run_must_end(run))
			break;
		if (!run_fetch(run, cons + done, num - done)) {
			if (signal_pending(current)) {
				run->rc = -EINTR;
				break;
			}
			run->error = SMMUV3_ACCEL_CERROR_ABT;
			run->reason = SMMUV3_ACCEL_REASON_CMD_UNREADABLE;
			stats->out_cmd_errors++;
			break;
		}
		flags = run->flags;
		cmds = stats->out_cmds;
		syncs = stats->out_syncs;
		errors = stats->out_cmd_errors;
		if (run->feed)
			memcpy(v->feed_cmds, run->batch->cmds, run->num * CMD_SIZE);
		if (!run_plain(run, &part))
			part = run_batch(run);
		if (run->feed && run_feed(run, part)) {
			/* What the VMM was not told of is not done. */
			v->atc_failed |= run->error ==
					 SMMUV3_ACCEL_CERROR_ATC_INV_SYNC;
			run->error = SMMUV3_ACCEL_CERROR_NONE;
			run->reason = SMMUV3_ACCEL_REASON_NONE;
			run->flags = flags;
			run->rc = -EFAULT;
			run->vsid = 0;
			stats->out_cmds = cmds;
			stats->out_syncs = syncs;
			stats->out_cmd_errors = errors;
			break;
		}
		done += part;
		if (part < run->num || run->error || run->rc)
			break;
	}
	run_end(run, done);
	cmd->cons = (cons + done) & ((2U << v->cmdq_log2size) - 1);
	cmd->out_error = run->error;
	cmd->out_reason = run->reason;
	cmd->out_flags = run->flags;
	cmd->feed_num = run->feed_num;
	cmd->out_vsid = run->vsid;
	run_trace(run, num, done);
	return run->rc;
}

/**
 * smmuv3_cmdq_run() - Run the guest's command queue
 * @v: the vSMMU, @queue_lock held
 * @cmd: which stretch, and what came of it; see SMMUV3_ACCEL_RUN_CMDQ
 * @feed_room: how many commands fit at its @feed_uptr
 *
 * Return: 0 or an errno.
 */
int smmuv3_cmdq_run(struct smmuv3_vsmmu *v, struct smmuv3_accel_run_cmdq *cmd,
		    u32 feed_room)
{
	u32 num;
	int rc;

	lockdep_assert_held(&v->queue_lock);

	if (!v->table_mode) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_NO_REGS;
		return -ENXIO;
	}
	if (!(v->regs.cr0 & CR0_CMDQEN)) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_CMDQ_DISABLED;
		return -EINVAL;
	}
	num = (cmd->prod - cmd->cons) & ((2U << v->cmdq_log2size) - 1);
	if (num > 1U << v->cmdq_log2size) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_CMDQ_INDEX;
		return -EINVAL;
	}
	if (cmd->max_cmds)
		num = min(num, cmd->max_cmds);
	if (num == 2 && run_unmap(v, cmd, &rc))
		return rc;
	return run_ring(v, cmd, num, feed_room);
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmdq_run);
