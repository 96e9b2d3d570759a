// SPDX-License-Identifier: GPL-2.0
/*
 * Run the guest's commands, from its command queue or from an array: fetch them in
 * batches, check them, carry them out in segments, and count them.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "cmdq.h"
#include "filter.h"
#include "phys.h"
#include "stream.h"
#include "table.h"
#include "trace.h"

static bool fast = true;
module_param(fast, bool, 0444);
MODULE_PARM_DESC(fast, "Use the fast path for doorbells of TLBIs and a CMD_SYNC (0: off, to measure its gain)");

#define CMD_SIZE	sizeof(__le64[2])
/* After this many batches, a run ends early if another call waits. */
#define MANY_BATCHES	8

/**
 * smmuv3_cmdq_locate() - Find the command queue
 * @v: the vSMMU, @queue_lock held
 *
 * Call this whenever the registers, the ID registers or the memory table change.
 */
void smmuv3_cmdq_locate(struct smmuv3_vsmmu *v)
{
	u32 log2size = FIELD_GET(CMDQ_BASE_LOG2SIZE, v->table.regs.cmdq_base);
	struct smmuv3_queue *queue = &v->queue;
	u32 cmdqs = CMDQS_MAX;
	size_t size, len;

	lockdep_assert_held(&v->queue_lock);

	/* LOG2SIZE is capped at IDR1.CMDQS (6.3.26). */
	if (v->offer.idr_set)
		cmdqs = FIELD_GET(IDR1_CMDQS, v->offer.idr[1]);
	queue->lap = 1U << min(log2size, cmdqs);
	/* The base is aligned to the queue's size. */
	size = queue->lap * CMD_SIZE;
	queue->base = v->table.regs.cmdq_base & CMDQ_BASE_ADDR & ~(u64)(size - 1);

	len = size;
	queue->uaddr = guest_mem_find(&v->mem, queue->base, &len);
	if (len < size)
		queue->uaddr = NULL;
}

/**
 * smmuv3_cmdq_update_fast() - Find out whether doorbells may take the fast path
 * @v: the vSMMU, @queue_lock held
 *
 * Call this after any change of the vSMMU.
 */
void smmuv3_cmdq_update_fast(struct smmuv3_vsmmu *v)
{
	const struct smmuv3_cmd_rules *rules = &v->offer.rules;
	struct smmuv3_fast *f = &v->fast;
	struct smmuv3_phys *phys;

	lockdep_assert_held(&v->queue_lock);

	f->mm = ERR_PTR(-EPERM);
	if (!fast || !v->queue.uaddr || !v->table.enabled || !v->mem.known || !v->offer.fixed ||
	    !(v->table.regs.cr0 & CR0_CMDQEN) || v->queue.atc_failed || v->cd_missing ||
	    v->feed_stream_num)
		return;
	f->mm = v->host->mm ?: current->mm;
	f->cmds = v->queue.batch->cmds;
	f->uaddr = v->queue.uaddr;
	f->mask = 2 * v->queue.lap - 1;
	f->max_num = SMMUV3_HOST_MAX_BATCH - 1;
	if (v->policy.no_global && v->policy.escalate)
		f->max_num = min(f->max_num, v->policy.escalate);
	phys = list_first_entry_or_null(&v->phys, struct smmuv3_phys, node);
	f->phys = v->phys_num == 1 && !phys->gated && phys->host_checks && !phys->repeats ?
			  phys : NULL;
	f->tlbi[0] = CMD_0_OP | rules->op[CMD_TLBI_NH_VA].unusual[0];
	f->tlbi[1] = rules->op[CMD_TLBI_NH_VA].unusual[1];
	f->sync[0] = CMD_0_OP | (rules->op[CMD_SYNC].unusual[0] & ~SYNC_0_CS);
	f->sync[1] = rules->op[CMD_SYNC].unusual[1];
	f->range[0] = cpu_to_le64(CMD_TLBI_NH_VA);
	f->range[1] = 0;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmdq_update_fast);

/* Fetch */

/*
 * Append commands to the batch. Returns false if not all could be copied. If a page
 * was missing, it may go missing again, and the host would wait for it without
 * checking for signals. So the host then has to use the copy.
 */
static bool fetch_copy(struct smmuv3_vsmmu *v, const void __user *uaddr, u32 num)
{
	struct smmuv3_run *run = &v->queue.run;
	__le64 (*to)[2] = &v->queue.batch->cmds[run->num];
	bool missing = copy_from_user_nofault(to, uaddr, num * CMD_SIZE);
	u32 copied = num;

	if (unlikely(missing))
		copied = guest_mem_copy(to, uaddr, num * CMD_SIZE) / CMD_SIZE;
	if (copied) {
		run->pieces[run->piece_num++] =
			(struct smmuv3_piece){ run->num, copied,
					       missing ? NULL : uaddr };
		run->num += copied;
	}
	return copied == num;
}

/*
 * Append commands of a ring that is not contiguous in the VMM. @index and @want do
 * not cross the end of the ring.
 */
static bool fetch_pieces(struct smmuv3_vsmmu *v, u32 index, u32 want)
{
	struct smmuv3_run *run = &v->queue.run;
	u64 gpa = v->queue.base + (u64)index * CMD_SIZE;
	size_t len = want * CMD_SIZE;
	const void __user *uaddr = guest_mem_find(&v->mem, gpa, &len);

	if (uaddr && len >= CMD_SIZE)
		return fetch_copy(v, uaddr, len / CMD_SIZE);

	/* A command that crosses memory regions */
	if (guest_mem_read(&v->mem, gpa, v->queue.batch->cmds[run->num], CMD_SIZE))
		return false;
	run->pieces[run->piece_num++] = (struct smmuv3_piece){ run->num, 1, NULL };
	run->num++;
	return true;
}

/* Fill the batch with the next commands. Returns false if none can be read. */
static bool fetch_batch(struct smmuv3_vsmmu *v)
{
	struct smmuv3_queue *queue = &v->queue;
	struct smmuv3_run *run = &queue->run;
	u32 num = min_t(u32, run->total - run->done, SMMUV3_HOST_MAX_BATCH);
	u32 index, want;
	bool more = true;

	run->num = 0;
	run->piece_num = 0;
	if (!run->ring) {
		fetch_copy(v, run->array + (size_t)run->done * CMD_SIZE, num);
		return run->num;
	}
	while (more && run->num < num && run->piece_num < SMMUV3_MAX_PIECES) {
		index = (run->cons + run->done + run->num) & (queue->lap - 1);
		want = min(num - run->num, queue->lap - index);
		if (likely(queue->uaddr))
			more = fetch_copy(v, queue->uaddr + index * CMD_SIZE, want);
		else
			more = fetch_pieces(v, index, want);
	}
	return run->num;
}

/*
 * Whether a run that has made progress has to end early: because of a signal, or,
 * if the run is long, because another call waits for the vSMMU.
 */
static bool run_is_long(struct smmuv3_vsmmu *v)
{
	const struct smmuv3_run *run = &v->queue.run;

	return signal_pending(current) ||
	       (unlikely(atomic_read(&v->waiters)) &&
		(run->ste_num >= SMMUV3_MANY_STES ||
		 run->batch_num >= MANY_BATCHES));
}

/* Fetch the next batch. Returns false if there is none, or the run has to end. */
static bool run_fetch(struct smmuv3_vsmmu *v)
{
	struct smmuv3_queue *queue = &v->queue;
	struct smmuv3_run *run = &queue->run;

	if (run->ended || run->done == run->total ||
	    (run->batch_num && run_is_long(v)))
		return false;
	if (!run->batch_num++ && signal_pending(current)) {
		run->rc = -EINTR;
		return false;
	}
	run->delta = (struct smmuv3_delta){ .bad = run->bad };
	if (likely(fetch_batch(v))) {
		if (run->feed)
			memcpy(queue->feed_cmds, queue->batch->cmds,
			       run->num * CMD_SIZE);
		return true;
	}
	/* An unreadable array is the VMM's error, an unreadable queue the guest's. */
	if (signal_pending(current)) {
		run->rc = -EINTR;
	} else if (!run->ring) {
		run->rc = -EFAULT;
		run->reason = SMMUV3_ACCEL_REASON_BAD_POINTER;
	} else {
		run->error = SMMUV3_ACCEL_CERROR_ABT;
		run->reason = SMMUV3_ACCEL_REASON_CMD_UNREADABLE;
		v->stats.out_cmd_errors++;
	}
	return false;
}

/* The address of commands of the batch in the VMM. Returns NULL to use the copy. */
static const void __user *run_uaddr(const struct smmuv3_run *run, u32 first,
				    u32 num)
{
	u32 i;

	for (i = 0; i < run->piece_num; i++) {
		const struct smmuv3_piece *piece = &run->pieces[i];

		if (first < piece->first || first - piece->first >= piece->num)
			continue;
		if (!piece->uaddr || num > piece->num - (first - piece->first))
			return NULL;
		return piece->uaddr + (first - piece->first) * CMD_SIZE;
	}
	return NULL;
}

/* Segments */

static u32 cmd_op(const __le64 cmd[2])
{
	return FIELD_GET(CMD_0_OP, le64_to_cpu(cmd[0]));
}

static u32 cmd_sid(const __le64 cmd[2])
{
	return FIELD_GET(CMD_0_SID, le64_to_cpu(cmd[0]));
}

static u32 sync_flag(u64 cmd0)
{
	return FIELD_GET(SYNC_0_CS, cmd0) == SYNC_CS_IRQ ?
		       SMMUV3_ACCEL_RUN_SYNC_IRQ : 0;
}

/* What a command that is done sets in the flags of the run */
static u32 cmd_flag(u64 cmd0)
{
	switch (FIELD_GET(CMD_0_OP, cmd0)) {
	case CMD_SYNC:
		return sync_flag(cmd0);
	case CMD_CFGI_STE:
	case CMD_CFGI_STE_RANGE:
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
		return SMMUV3_ACCEL_RUN_CFGI;
	default:
		return 0;
	}
}

static bool is_refusal(int rc)
{
	return smmuv3_host_reason(rc) == SMMUV3_ACCEL_REASON_HOST_REJECT;
}

/*
 * A device did not answer an ATC_INV. The host stops in the middle of the call, so the
 * module cannot know which of the call's ATC_INVs are done. It does not issue them
 * again: each block of them could take a second, on a queue that all guests share. A
 * stale ATC entry must not go on translating, so the streams abort until their next
 * STE.
 */
static int run_atc_timeout(struct smmuv3_vsmmu *v, const __le64 (*cmds)[2], u32 num)
{
	struct smmuv3_stream *stream;
	int rc;
	u32 i;

	v->queue.atc_failed = true;
	for (i = 0; i < num; i++) {
		stream = smmuv3_find_stream(v, cmd_sid(cmds[i]));
		if (!stream || stream->ste.kind == SMMUV3_ACCEL_KIND_ABORT)
			continue;
		/* To disable ATS, the host issues another ATC_INV and waits for it. */
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
 * The host refuses the commands of a stream, for instance because the VMM has
 * destroyed its vDEVICE. The module still carries out the segment's other commands.
 * Commands count as done up to the first one of such a stream.
 */
static void run_note_refusal(struct smmuv3_vsmmu *v, u32 vsid, int rc)
{
	struct smmuv3_run *run = &v->queue.run;
	const __le64 (*cmds)[2] = v->queue.batch->cmds;
	u32 i;

	for (i = run->first; i < run->refused; i++) {
		switch (cmd_op(cmds[i])) {
		case CMD_CFGI_CD:
		case CMD_CFGI_CD_ALL:
		case CMD_ATC_INV:
			if (cmd_sid(cmds[i]) != vsid)
				continue;
			run->refused = i;
			run->vsid = vsid;
			run->rc = rc;
			return;
		}
	}
}

/*
 * The CD that a CFGI_CD names stays cached. So the flush of new ASIDs stays pending until
 * all CDs of the stream are invalidated.
 */
static int keep_stale(struct smmuv3_vsmmu *v, u32 vsid)
{
	struct smmuv3_stream *stream = smmuv3_find_stream(v, vsid);

	if (v->filter && stream && stream->dev && stream->ste.kind == SMMUV3_ACCEL_KIND_S1)
		list_move_tail(&stream->stale_node, &v->stale_cds);
	return 0;
}

/*
 * Issue commands with a StreamID, all in one call. If the host refuses that, issue
 * them stream by stream.
 */
static int run_streams(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys,
		       const __le64 (*cmds)[2], const void __user *ucmds,
		       u32 num, bool atc)
{
	u32 i, part;
	int rc;

	rc = smmuv3_phys_invalidate(v, phys, cmds, ucmds, num, !atc);
	if (rc == -ETIMEDOUT && atc)
		return run_atc_timeout(v, cmds, num);
	if (!is_refusal(rc))
		return rc;
	for (i = 0; i < num; i += part) {
		for (part = 1; i + part < num; part++)
			if (cmd_sid(cmds[i + part]) != cmd_sid(cmds[i]))
				break;
		if (fatal_signal_pending(current))
			return -EINTR;
		rc = smmuv3_phys_invalidate(v, phys, cmds + i, NULL, part, !atc);
		/* Stop at the first time-out. */
		if (rc == -ETIMEDOUT && atc)
			return run_atc_timeout(v, cmds + i, num - i);
		if (is_refusal(rc)) {
			run_note_refusal(v, cmd_sid(cmds[i]), rc);
			if (!atc)
				keep_stale(v, cmd_sid(cmds[i]));
		} else if (rc) {
			return rc;
		}
	}
	return 0;
}

/* Find the commands of a phase for physical SMMU @phys. Returns how many there are. */
static u32 run_select(struct smmuv3_vsmmu *v, enum smmuv3_phase phase, u8 phys,
		      const __le64 (**cmds)[2], const void __user **ucmds)
{
	struct smmuv3_batch *batch = v->queue.batch;
	const struct smmuv3_batch_stretch *stretch = &batch->phases[phase];

	if (smmuv3_batch_whole(batch, phase, phys)) {
		*cmds = &batch->cmds[stretch->first];
		*ucmds = run_uaddr(&v->queue.run, stretch->first, stretch->num);
		return stretch->num;
	}
	*cmds = batch->stage;
	*ucmds = NULL;
	return smmuv3_batch_select(batch, phase, phys);
}

/*
 * An ATC_INV has failed, in this segment or, if @before, in an earlier one. The next
 * CMD_SYNC reports it. Returns the index before which commands are done: that of this
 * CMD_SYNC, or run->refused if that comes first.
 */
static u32 run_report_atc(struct smmuv3_vsmmu *v, bool before)
{
	struct smmuv3_run *run = &v->queue.run;
	struct smmuv3_batch *batch = v->queue.batch;
	u32 i = before ? run->first : batch->phases[SMMUV3_PHASE_ATC].first;

	for (i = min(i, run->refused); i < run->refused; i++)
		if (cmd_op(batch->cmds[i]) == CMD_SYNC)
			break;
	if (i == run->refused)
		return i;
	v->queue.atc_failed = false;
	run->rc = 0;	/* A refusal comes again when the rest is run. */
	run->vsid = 0;
	run->error = SMMUV3_ACCEL_CERROR_ATC_INV_SYNC;
	run->reason = SMMUV3_ACCEL_REASON_ATC_TIMEOUT;
	return i;
}

/* Call @what for the stream of each CFGI_CD of the segment, until it fails. */
static int run_each_cd(struct smmuv3_vsmmu *v, int (*what)(struct smmuv3_vsmmu *v, u32 vsid))
{
	struct smmuv3_batch *batch = v->queue.batch;
	const struct smmuv3_batch_stretch *stretch = &batch->phases[SMMUV3_PHASE_CD];
	int rc = 0;
	u32 i;

	if (!stretch->num || !v->filter)
		return 0;
	for (i = stretch->first; !rc && i <= stretch->last; i++)
		if (FIELD_GET(SMMUV3_TAG_PHASE, batch->tags[i]) == SMMUV3_PHASE_CD)
			rc = what(v, cmd_sid(batch->cmds[i]));
	return rc;
}

/*
 * Note the ASIDs of a stream that a CFGI_CD names, before this is issued: then the SMMU
 * may use a CD as it is now. Once for each segment: a guest may name the stream often, and
 * it may have many CDs.
 */
static int look_cds(struct smmuv3_vsmmu *v, u32 vsid)
{
	struct smmuv3_stream *stream = smmuv3_find_stream(v, vsid);

	if (!stream || !stream->dev || stream->looked == v->queue.segment)
		return 0;
	stream->looked = v->queue.segment;
	return smmuv3_filter_look(v, stream->phys, &stream->ste);
}

/* Issue a phase's commands with StreamIDs, each to the physical SMMU of its stream. */
static int run_phase(struct smmuv3_vsmmu *v, enum smmuv3_phase phase)
{
	const void __user *ucmds;
	const __le64 (*cmds)[2];
	struct smmuv3_phys *phys;
	int rc = 0;
	u32 num;

	if (!v->queue.batch->phases[phase].num)
		return 0;
	list_for_each_entry(phys, &v->phys, node) {
		num = run_select(v, phase, phys->index, &cmds, &ucmds);
		if (num)
			rc = run_streams(v, phys, cmds, ucmds, num,
					 phase == SMMUV3_PHASE_ATC);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Flush the entries of new ASIDs on a physical SMMU. This does not count while stale CDs
 * are cached there, so invalidate them first. Not after a refusal in this segment: it
 * would come again. A refusal must not stop commands of other streams.
 */
static int run_flush_phys(struct smmuv3_vsmmu *v, struct smmuv3_phys *phys)
{
	u32 ignored;
	int rc = 0;

	if (unlikely(!list_empty(&v->stale_cds)) && !v->queue.run.rc &&
	    !fatal_signal_pending(current))
		rc = smmuv3_stream_flush_stale(v, phys, 0, U32_MAX, &ignored);
	if (rc && !is_refusal(rc))
		return rc;
	return smmuv3_filter_flush(v, phys);
}

/*
 * Flush the entries of new ASIDs on the physical SMMUs that the segment concerns: TLBIs
 * concern all. Another one, which may have failed, must not stop the run.
 */
static int run_flush(struct smmuv3_vsmmu *v)
{
	const struct smmuv3_batch *batch = v->queue.batch;
	bool tlbis = batch->phases[SMMUV3_PHASE_TLBI].num;
	struct smmuv3_phys *phys;
	const void __user *ucmds;
	const __le64 (*cmds)[2];
	int rc, first_rc = 0;

	if (!v->filter || (!tlbis && !batch->phases[SMMUV3_PHASE_CD].num))
		return 0;
	list_for_each_entry(phys, &v->phys, node) {
		if (smmuv3_asids_are_flushed(&phys->asids))
			continue;
		if (tlbis ? smmuv3_phys_idle(phys) :
			    !run_select(v, SMMUV3_PHASE_CD, phys->index, &cmds, &ucmds))
			continue;
		rc = run_flush_phys(v, phys);
		first_rc = first_rc ?: rc;
	}
	return first_rc;
}

/* Issue TLBIs. They name no physical SMMU. */
static int run_tlbis(struct smmuv3_vsmmu *v)
{
	const struct smmuv3_batch *batch = v->queue.batch;
	const void __user *ucmds;
	const __le64 (*cmds)[2];
	u32 num;
	int rc;

	rc = run_flush(v);
	if (rc || !batch->phases[SMMUV3_PHASE_TLBI].num)
		return rc;
	num = run_select(v, SMMUV3_PHASE_TLBI, SMMUV3_PHYS_ALL, &cmds, &ucmds);
	if (num)
		rc = smmuv3_filter_issue(v, cmds, ucmds, batch->tlbi_plain ? 1 : num, num);
	if (unlikely(v->cd_missing))
		smmuv3_filter_fetch(v);
	return rc;
}

/*
 * Carry out a segment: the commands from @start to before @end. Returns the index
 * before which commands are done: @end; @start if the host failed; the first command
 * that the host refused; or the CMD_SYNC that reports a failed ATC_INV.
 */
static u32 run_segment(struct smmuv3_vsmmu *v, u32 start, u32 end)
{
	bool atc_failed = v->queue.atc_failed;
	struct smmuv3_batch *batch = v->queue.batch;
	struct smmuv3_run *run = &v->queue.run;
	int rc;

	v->queue.segment++;
	run->first = start;
	run->refused = end;
	smmuv3_batch_reduce(batch, &v->policy);
	v->stats.out_subsumed = batch->subsumed;
	v->stats.out_merged = batch->merged;
	rc = run_each_cd(v, look_cds);
	if (!rc)
		rc = run_phase(v, SMMUV3_PHASE_CD);
	if (unlikely(rc))
		run_each_cd(v, keep_stale);
	else
		rc = run_tlbis(v);
	if (!rc)
		rc = run_phase(v, SMMUV3_PHASE_ATC);
	if (rc) {
		run->rc = rc;
		run->vsid = 0;
		run->reason = smmuv3_host_reason(rc);
		return start;
	}
	run->reason = smmuv3_host_reason(run->rc);	/* if a stream was refused */
	if (unlikely(v->queue.atc_failed))
		return run_report_atc(v, atc_failed);
	return run->refused;
}

/* Batches */

/* Add a legal command of one StreamID to the batch. */
static void run_add_stream(struct smmuv3_vsmmu *v, u32 index, const u64 cmd[2],
			   enum smmuv3_phase phase)
{
	struct smmuv3_stream *stream;

	stream = smmuv3_find_stream(v, FIELD_GET(CMD_0_SID, cmd[0]));
	/*
	 * Without EATS the device has no ATC entries of this stream, and the host
	 * would refuse an ATC_INV.
	 */
	if (!stream || !stream->dev || !stream->live ||
	    (phase == SMMUV3_PHASE_ATC &&
	     !FIELD_GET(STE_1_EATS, stream->ste.data[1])))
		smmuv3_batch_add(v->queue.batch, index, cmd, SMMUV3_PHASE_NONE, 0);
	else
		smmuv3_batch_add(v->queue.batch, index, cmd, phase,
				 stream->phys->index);
}

/* Read the STEs that a command names again. Returns whether that succeeded. */
static bool run_cfgi_ste(struct smmuv3_vsmmu *v, const u64 cmd[2])
{
	u32 sid = FIELD_GET(CMD_0_SID, cmd[0]);
	struct smmuv3_run *run = &v->queue.run;
	const struct smmuv3_bad_list bad = run->bad;
	struct smmuv3_reread reread = {
		.first = sid,
		.last = sid,
		.bad = &run->bad,
	};

	if (!v->table.enabled) {
		/* The VMM's error: the guest does not get a command error. */
		run->reason = SMMUV3_ACCEL_REASON_CMD_NEEDS_TABLE;
		run->rc = -EINVAL;
		return false;
	}
	run->rc = smmuv3_table_check_mem(v, &run->reason);
	if (run->rc)
		return false;
	if (FIELD_GET(CMD_0_OP, cmd[0]) == CMD_CFGI_STE_RANGE) {
		u32 range = FIELD_GET(CFGI_1_RANGE, cmd[1]);
		u32 mask = range == CFGI_RANGE_ALL ? U32_MAX :
						     (2U << range) - 1;

		reread.first = sid & ~mask;
		reread.last = sid | mask;
	}
	run->rc = smmuv3_table_reread(v, &reread);
	run->ste_num += reread.num;
	if (!run->rc)
		return true;
	/* The command is not done. If it is run again, it reports its streams then. */
	run->bad = bad;
	run->vsid = reread.failed;
	run->reason = reread.reason;
	return false;
}

/* Carry out a segment, and report the illegal command after it. */
static u32 run_illegal(struct smmuv3_vsmmu *v, u32 start, u32 index, u32 rule)
{
	struct smmuv3_run *run = &v->queue.run;
	u32 done = run_segment(v, start, index);

	if (done == index && !run->error && !run->rc) {
		run->error = SMMUV3_ACCEL_CERROR_ILL;
		run->reason = rule;
	}
	return done;
}

/*
 * Carry out a command for STEs, if all commands before it are done. @done is the index
 * before which commands are done; it moves past the command if that succeeds. Returns
 * whether the run goes on.
 */
static bool run_ste(struct smmuv3_vsmmu *v, const u64 cmd[2], u32 index, u32 *done)
{
	struct smmuv3_run *run = &v->queue.run;

	if (*done != index || run->error || run->rc ||
	    run->ste_num >= SMMUV3_MAX_STES || !run_cfgi_ste(v, cmd))
		return false;
	*done = index + 1;
	run->delta.cmd_flags |= SMMUV3_ACCEL_RUN_CFGI;
	smmuv3_batch_start(v->queue.batch);
	/* The command may have read the STEs of many streams. */
	cond_resched();
	return !run_is_long(v);
}

/* Not all is done after all: a command that is not done does not count or set a flag. */
static void count_again(struct smmuv3_vsmmu *v)
{
	const __le64 (*cmds)[2] = v->queue.batch->cmds;
	struct smmuv3_delta *delta = &v->queue.run.delta;
	u32 i;

	delta->syncs = 0;
	delta->cmd_flags = 0;
	for (i = 0; i < delta->done; i++) {
		delta->syncs += cmd_op(cmds[i]) == CMD_SYNC;
		delta->cmd_flags |= cmd_flag(le64_to_cpu(cmds[i][0]));
	}
}

/*
 * Check a command that is not simple, and write it as the host driver accepts it. The
 * feed gets it like that too, so that a VMM needs to know no reserved forms. feed_put()
 * does the same for commands that the host never gets.
 */
static enum smmuv3_accel_reason run_check(struct smmuv3_vsmmu *v, u32 index, u64 cmd[2],
					  enum smmuv3_cmd_class *class)
{
	struct smmuv3_batch *batch = v->queue.batch;
	enum smmuv3_accel_reason rule;

	rule = smmuv3_cmd_check(cmd, &v->offer.caps, class);
	if (rule || !smmuv3_cmd_rewrite(cmd, &v->offer.caps))
		return rule;
	smmuv3_batch_replace(batch, index, cmd);
	if (v->queue.run.feed)
		memcpy(v->queue.feed_cmds[index], batch->cmds[index], CMD_SIZE);
	return SMMUV3_ACCEL_REASON_NONE;
}

/*
 * Run the batch. STEs change in order with the commands around them. The commands
 * between two STE changes form a segment, which the module carries out phase by phase.
 * It checks all commands of a segment before it issues any, because the phases change
 * their order: if one is illegal, those before it have to be done, and none after it.
 *
 * Sets run->delta. If not all commands are done, run->error or run->rc says why; if
 * neither is set, the run has to end early.
 */
static void run_batch(struct smmuv3_vsmmu *v)
{
	struct smmuv3_batch *batch = v->queue.batch;
	struct smmuv3_run *run = &v->queue.run;
	enum smmuv3_accel_reason rule;
	enum smmuv3_cmd_class class;
	u32 i = 0, start = 0, done;

	smmuv3_batch_start(batch);
	while (i < run->num) {
		u64 cmd[2] = { le64_to_cpu(batch->cmds[i][0]),
			       le64_to_cpu(batch->cmds[i][1]) };

		rule = smmuv3_cmd_is_simple(&v->offer.rules, cmd, &class) ?
			       SMMUV3_ACCEL_REASON_NONE :
			       run_check(v, i, cmd, &class);
		if (unlikely(rule)) {
			done = run_illegal(v, start, i, rule);
			goto out;
		}
		switch (class) {
		case SMMUV3_CMD_TLBI:
			smmuv3_batch_add(batch, i, cmd, SMMUV3_PHASE_TLBI,
					 SMMUV3_PHYS_ALL);
			i = smmuv3_batch_extend(batch, i, run->num);
			continue;
		case SMMUV3_CMD_CD:
			run->delta.cmd_flags |= SMMUV3_ACCEL_RUN_CFGI;
			run_add_stream(v, i, cmd, SMMUV3_PHASE_CD);
			break;
		case SMMUV3_CMD_ATC:
			run_add_stream(v, i, cmd, SMMUV3_PHASE_ATC);
			break;
		case SMMUV3_CMD_STE:
			done = run_segment(v, start, i);
			if (!run_ste(v, cmd, i, &done))
				goto out;
			start = done;
			break;
		case SMMUV3_CMD_SYNC:
			run->delta.syncs++;
			run->delta.cmd_flags |= sync_flag(cmd[0]);
			fallthrough;
		case SMMUV3_CMD_NOP:
			batch->tags[i] = SMMUV3_PHASE_NONE;
			break;
		}
		i++;
	}
	done = run_segment(v, start, i);
out:
	run->delta.done = done;
	if (done < i)
		count_again(v);
}

/* The feed */

/* Whether emulated endpoints have to see a command */
static bool feed_concerns(struct smmuv3_vsmmu *v, const __le64 cmd[2])
{
	struct smmuv3_stream *stream;

	switch (cmd_op(cmd)) {
	case CMD_SYNC:
	case CMD_PREFETCH_CONFIG:
	case CMD_PREFETCH_ADDR:
		return false;
	case CMD_CFGI_STE:
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
	case CMD_ATC_INV:
		stream = smmuv3_find_stream(v, cmd_sid(cmd));
		return stream && stream->feed;
	default:
		return true;
	}
}

/*
 * Put a command into the feed. The check ignores reserved bits of commands that the host
 * never gets, so clear them here.
 */
static void feed_put(__le64 to[2], const __le64 cmd[2])
{
	u64 known[2] = { ~0ULL, ~0ULL };

	switch (cmd_op(cmd)) {
	case CMD_CFGI_STE:
		known[0] = CMD_0_OP | CMD_0_SID;
		known[1] = CFGI_1_LEAF;
		break;
	case CMD_CFGI_STE_RANGE:
		known[0] = CMD_0_OP | CMD_0_SID;
		known[1] = CFGI_1_RANGE;
		break;
	}
	to[0] = cmd[0] & cpu_to_le64(known[0]);
	to[1] = cmd[1] & cpu_to_le64(known[1]);
}

/*
 * Write to the VMM, as run_check() left them, the batch's commands that are done and
 * that emulated endpoints have to see. After an overflow no room is left, so the feed
 * never has a gap.
 */
static int run_feed(struct smmuv3_vsmmu *v)
{
	__le64 (*cmds)[2] = v->queue.feed_cmds;
	struct smmuv3_run *run = &v->queue.run;
	u32 i, num = 0;

	for (i = 0; i < run->delta.done; i++)
		if (feed_concerns(v, cmds[i]))
			feed_put(cmds[num++], cmds[i]);
	if (num > run->feed_room - run->feed_num) {
		run->delta.flags |= SMMUV3_ACCEL_RUN_FEED_OVERFLOW;
		num = run->feed_room - run->feed_num;
	}
	if (copy_to_user(run->feed_uptr + (size_t)run->feed_num * CMD_SIZE,
			 cmds, num * CMD_SIZE))
		return -EFAULT;
	run->feed_num += num;
	return 0;
}

/* Counting, and the run as a whole */

/* The one place that counts commands as done */
static void count_done(struct smmuv3_vsmmu *v, u32 done, u32 syncs)
{
	v->stats.out_cmds += done;
	v->stats.out_syncs += syncs;
	if (done)
		v->offer.fixed = true;
}

/* Commit what a batch did. Commits nothing if the feed cannot be written. */
static void run_commit(struct smmuv3_vsmmu *v)
{
	struct smmuv3_run *run = &v->queue.run;

	if (run->feed && run_feed(v)) {
		v->queue.atc_failed |= run->error ==
				       SMMUV3_ACCEL_CERROR_ATC_INV_SYNC;
		run->error = SMMUV3_ACCEL_CERROR_NONE;
		run->reason = SMMUV3_ACCEL_REASON_BAD_POINTER;
		run->vsid = 0;
		run->bad = run->delta.bad;
		run->rc = -EFAULT;
		run->ended = true;
		return;
	}
	count_done(v, run->delta.done, run->delta.syncs);
	v->stats.out_cmd_errors += run->error != SMMUV3_ACCEL_CERROR_NONE;
	run->done += run->delta.done;
	run->flags |= run->delta.flags | run->delta.cmd_flags;
	run->ended = run->delta.done < run->num || run->error || run->rc;
}

static struct smmuv3_run *run_begin(struct smmuv3_vsmmu *v, u32 total)
{
	struct smmuv3_run *run = &v->queue.run;

	/* The callers and run_fetch() set the other fields. */
	run->total = total;
	run->done = 0;
	run->ended = false;
	run->batch_num = 0;
	run->ste_num = 0;
	run->flags = 0;
	run->rc = 0;
	run->error = SMMUV3_ACCEL_CERROR_NONE;
	run->reason = SMMUV3_ACCEL_REASON_NONE;
	run->vsid = 0;
	run->ring = false;
	run->feed = false;
	run->feed_num = 0;
	run->bad = (struct smmuv3_bad_list){};
	run->began = 0;
	if (trace_smmuv3_accel_run_enabled()) {
		run->before = v->stats;
		run->began = ktime_get_ns();
	}
	return run;
}

static void run_end(struct smmuv3_vsmmu *v)
{
	const struct smmuv3_accel_stats *stats = &v->stats;
	struct smmuv3_run *run = &v->queue.run;

	/* A signal is not about a stream. After some progress it is no error. */
	if (run->rc == -EINTR) {
		run->vsid = 0;
		run->reason = SMMUV3_ACCEL_REASON_NONE;
		if (run->done)
			run->rc = 0;
	}
	if (!run->began)
		return;
	trace_smmuv3_accel_run(v, run->total, run->done,
			       stats->out_issued - run->before.out_issued,
			       stats->out_subsumed - run->before.out_subsumed,
			       stats->out_merged - run->before.out_merged,
			       stats->out_withheld - run->before.out_withheld,
			       ktime_get_ns() - run->began, run->error,
			       run->reason, run->vsid, run->rc);
}

/**
 * smmuv3_cmdq_invalidate() - Carry out an array of commands
 * @v: the vSMMU, @queue_lock held
 * @arg: struct smmuv3_accel_invalidate: the array, and the result
 *
 * Return: 0 or an errno.
 */
int smmuv3_cmdq_invalidate(struct smmuv3_vsmmu *v, void *arg)
{
	struct smmuv3_accel_invalidate *cmd = arg;
	struct smmuv3_run *run;
	u32 num = cmd->cmd_num;

	lockdep_assert_held(&v->queue_lock);

	cmd->cmd_num = 0;
	if (num > SMMUV3_MAX_CMDS) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_ARRAY;
		return -EINVAL;
	}
	run = run_begin(v, num);
	run->array = u64_to_user_ptr(cmd->cmds_uptr);
	while (run_fetch(v)) {
		run_batch(v);
		run_commit(v);
	}
	run_end(v);
	cmd->cmd_num = run->done;
	cmd->out_error = run->error;
	cmd->out_reason = run->reason;
	cmd->out_vsid = run->vsid;
	return run->rc;
}
EXPORT_SYMBOL_IF_KUNIT(smmuv3_cmdq_invalidate);

/* Check that the queue can run. Returns how many commands to run, or an errno. */
static int cmdq_check(struct smmuv3_vsmmu *v, struct smmuv3_accel_run_cmdq *cmd)
{
	u32 lap = v->queue.lap;
	u32 num = (cmd->prod - cmd->cons) & (2 * lap - 1);

	if (unlikely(!v->table.enabled)) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_NO_REGS;
		return -ENXIO;
	}
	if (unlikely(!v->mem.known)) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_NO_MEM_TABLE;
		return -ENXIO;
	}
	if (unlikely(!(v->table.regs.cr0 & CR0_CMDQEN))) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_CMDQ_DISABLED;
		return -EINVAL;
	}
	if (unlikely(num > lap)) {
		cmd->out_reason = SMMUV3_ACCEL_REASON_CMDQ_INDEX;
		return -EINVAL;
	}
	return cmd->max_cmds ? min(num, cmd->max_cmds) : num;
}

/**
 * smmuv3_cmdq_run() - Run the guest's command queue
 * @v: the vSMMU, @queue_lock held
 * @arg: struct smmuv3_accel_run_cmdq: which commands, and the result
 *
 * Return: 0 or an errno.
 */
int smmuv3_cmdq_run(struct smmuv3_vsmmu *v, void *arg)
{
	u32 feed_room, bad_room, mask = 2 * v->queue.lap - 1;
	struct smmuv3_accel_run_cmdq *cmd = arg;
	struct smmuv3_run *run;
	int num;

	lockdep_assert_held(&v->queue_lock);

	feed_room = cmd->feed_num;
	bad_room = cmd->bad_num;
	cmd->feed_num = 0;
	cmd->bad_num = 0;
	num = cmdq_check(v, cmd);
	if (unlikely(num < 0))
		return num;
	run = run_begin(v, num);
	run->ring = true;
	run->cons = cmd->cons;
	run->feed = v->feed_stream_num;
	run->feed_uptr = u64_to_user_ptr(cmd->feed_uptr);
	run->feed_room = feed_room;
	run->bad.uptr = u64_to_user_ptr(cmd->bad_uptr);
	run->bad.room = bad_room;
	while (run_fetch(v)) {
		run_batch(v);
		run_commit(v);
	}
	run_end(v);
	cmd->cons = (cmd->cons + run->done) & mask;
	cmd->out_error = run->error;
	cmd->out_reason = run->reason;
	cmd->out_flags = run->flags;
	if (run->bad.found)
		cmd->out_flags |= SMMUV3_ACCEL_RUN_BAD_STE;
	if (run->bad.overflow)
		cmd->out_flags |= SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	cmd->feed_num = run->feed_num;
	cmd->bad_num = run->bad.num;
	cmd->out_vsid = run->vsid;
	return run->rc;
}
