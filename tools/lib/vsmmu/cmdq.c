// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The command queue, and the other ioctls that make the kernel agree with the registers.
 */
#include <endian.h>
#include <errno.h>

#include "internal.h"

/* The event for a stream that aborts; 0: there is none */
static uint64_t event_of_reason(struct vsmmu *v, uint32_t reason)
{
	switch (reason) {
	case SMMUV3_ACCEL_REASON_STE_SID_RANGE:
	case SMMUV3_ACCEL_REASON_STE_L1_INVALID:
		/* Not recorded unless the guest asks for it */
		return v->reg[REG_CR2] & CR2_RECINVSID ? EVT_C_BAD_STREAMID : 0;
	case SMMUV3_ACCEL_REASON_STE_UNREADABLE:
		return EVT_F_STE_FETCH;
	case SMMUV3_ACCEL_REASON_STE_CONFIG:
	case SMMUV3_ACCEL_REASON_STE_S1CDMAX:
	case SMMUV3_ACCEL_REASON_STE_S1FMT:
	case SMMUV3_ACCEL_REASON_STE_S1STALLD:
	case SMMUV3_ACCEL_REASON_STE_EATS:
	case SMMUV3_ACCEL_REASON_STE_S1CONTEXTPTR:
		return EVT_C_BAD_STE;
	default:
		return 0;
	}
}

static void report_bad_ste(struct vsmmu *v, uint32_t vsid, uint32_t reason)
{
	uint64_t event[EVENT_SIZE / sizeof(uint64_t)] = { 0 };
	uint64_t id = event_of_reason(v, reason);

	if (!id)
		return;
	event[0] = htole64(FIELD_PREP(EVT_0_ID, id) |
			   FIELD_PREP(EVT_0_SID, vsid));
	vsmmu__eventq_put(v, event);
}

/*
 * Ask the kernel about a stream that commands named. If it fails, the stream stays named. One
 * that the kernel does not know is gone.
 */
static void report_stream(struct vsmmu *v, uint32_t vsid)
{
	struct smmuv3_accel_stream stream = { .size = sizeof(stream), .vsid = vsid };
	int rc = vsmmu__call(v, SMMUV3_ACCEL_GET_STREAM, &stream);
	/* The list may have changed meanwhile. */
	uint32_t i = vsmmu__find_stream(v, vsid);

	if (i < v->stream_num)
		v->named[i] = rc && rc != -ENOENT;
	if (!rc)
		report_bad_ste(v, vsid, stream.out_reason);
}

/* Those for which the kernel fails, or that a detach has moved, come with the next work. */
static void report_named(struct vsmmu *v)
{
	uint32_t i;

	for (i = 0; i < v->stream_num; i++)
		if (v->named[i])
			report_stream(v, v->vsid[i]);
	v->ask_named = false;
	for (i = 0; i < v->stream_num; i++)
		v->ask_named |= v->named[i];
}

/* The kernel itself has reported a stream: do not ask about it. */
static void forget_named(struct vsmmu *v, uint32_t vsid)
{
	uint32_t i;

	for (i = 0; i < v->stream_num; i++)
		if (v->vsid[i] == vsid)
			v->named[i] = false;
}

/*
 * Tell the guest which streams abort because their STE is not legal. Hardware does so
 * when a transaction comes. Here the host's STE aborts without an event, so the library
 * puts one into the queue when a command names the stream.
 *
 * If the list has no room for all of them, ask the kernel about the other streams that
 * the commands named.
 */
static void report_bad_stes(struct vsmmu *v,
			    const struct smmuv3_accel_run_cmdq *run)
{
	uint32_t i;

	for (i = 0; i < run->bad_num; i++) {
		report_bad_ste(v, v->bad[i].vsid, v->bad[i].reason);
		forget_named(v, v->bad[i].vsid);
	}
	if (run->out_flags & SMMUV3_ACCEL_RUN_BAD_OVERFLOW)
		report_named(v);
}

static int send_reset(struct vsmmu *v)
{
	struct smmuv3_accel_reset arg = { .size = sizeof(arg) };
	int rc = vsmmu__call(v, SMMUV3_ACCEL_RESET, &arg);

	if (rc)
		return vsmmu__host_failed(v, SMMUV3_ACCEL_RESET, rc, arg.out_reason, 0);
	v->want_reset = false;
	return 0;
}

static bool regs_pending(struct vsmmu *v)
{
	return v->want_regs || (v->reg[REG_GBPA] & GBPA_UPDATE) ||
	       ((v->reg[REG_CR0] ^ v->reg[REG_CR0ACK]) & CR0_KERNEL);
}

/*
 * Whether SET_REGS put the registers in force, though it failed. Then it failed for a
 * stream, or for the host, and the module says why. Anything else may have come from
 * elsewhere, for instance from a filter of system calls.
 */
static bool regs_in_force(uint32_t reason)
{
	switch (reason) {
	case SMMUV3_ACCEL_REASON_RETRY:
	case SMMUV3_ACCEL_REASON_HOST_REJECT:
	case SMMUV3_ACCEL_REASON_NO_POWER:
	case SMMUV3_ACCEL_REASON_RESERVED_IOVA:
	case SMMUV3_ACCEL_REASON_SECURITY:
		return true;
	default:
		return false;
	}
}

/* Whether SET_REGS was refused as a whole, so that nothing has changed */
static bool regs_refused(int rc, uint32_t reason)
{
	switch (reason) {
	case SMMUV3_ACCEL_REASON_NO_MEM_TABLE:
	case SMMUV3_ACCEL_REASON_NOT_CREATED:
	case SMMUV3_ACCEL_REASON_FOREIGN_MM:
		return true;
	}
	switch (rc) {
	case -EINTR:
	case -EFAULT:
	case -E2BIG:
	case -EOPNOTSUPP:
	case -ENOTTY:
	case -EBADF:
		return true;
	}
	return false;
}

/*
 * The base registers need no SET_REGS of their own, because they can only be written
 * while nothing uses them. After most failures the registers are in force, but a stream
 * that the kernel could not configure aborts. So repeat the call, even if the guest
 * takes its change back, and acknowledge what concerns streams when it succeeds. The
 * command queue is no stream: acknowledge CMDQEN when it is in force.
 */
static int send_regs(struct vsmmu *v)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = v->reg[REG_CR0],
		.gbpa = v->reg[REG_GBPA] & GBPA_ABORT,
		.strtab_base_cfg = v->reg[REG_STRTAB_BASE_CFG],
		.strtab_base = v->reg[REG_STRTAB_BASE],
		.cmdq_base = v->reg[REG_CMDQ_BASE],
	};
	int rc = vsmmu__call(v, SMMUV3_ACCEL_SET_REGS, &arg);
	uint64_t acked = rc ? CR0_CMDQEN : CR0_KERNEL;

	v->want_regs = rc;
	/* STEs that a CFGI named while they had no effect have one now. */
	if (!rc && (arg.cr0 & ~v->reg[REG_CR0ACK] & CR0_SMMUEN))
		report_named(v);
	if (!rc || !regs_refused(rc, arg.out_reason))
		v->sent_cr0 = arg.cr0;
	if (!rc || regs_in_force(arg.out_reason)) {
		v->in_force_cr0 = arg.cr0;
		vsmmu__reg_set(v, REG_CR0ACK, (v->reg[REG_CR0ACK] & ~acked) |
					      (v->reg[REG_CR0] & acked));
	}
	if (rc)
		return vsmmu__host_failed(v, SMMUV3_ACCEL_SET_REGS, rc, arg.out_reason,
					  arg.out_vsid);
	vsmmu__reg_set(v, REG_GBPA, v->reg[REG_GBPA] & ~GBPA_UPDATE);
	return 0;
}

/*
 * How many commands there are to run. A PROD more than a lap ahead of CONS is
 * CONSTRAINED UNPREDICTABLE. Here nothing is run.
 */
static uint32_t pending_num(struct vsmmu *v, uint32_t mask)
{
	uint32_t num = (v->reg[REG_CMDQ_PROD] - v->reg[REG_CMDQ_CONS]) & mask;

	/* The guest enables the queue, sees it enabled, and the kernel has it enabled. */
	if (!(v->reg[REG_CR0] & v->reg[REG_CR0ACK] & v->in_force_cr0 & CR0_CMDQEN) ||
	    (active_errors(v) & GERROR_CMDQ_ERR) || num > mask / 2 + 1)
		return 0;
	return num;
}

bool vsmmu__cmdq_pending(struct vsmmu *v)
{
	return pending_num(v, vsmmu__cmdq_mask(v));
}

/*
 * As vsmmu__call(), but before each repetition set again the fields that the kernel
 * overwrites.
 */
static int call_run_cmdq(struct vsmmu *v, struct smmuv3_accel_run_cmdq *arg)
{
	int tries = 0, rc;

	do {
		arg->feed_num = v->feed_room;
		arg->bad_num = v->stream_max;
		v->counters.runs++;
		rc = vsmmu__call_once(v, SMMUV3_ACCEL_RUN_CMDQ, arg);
	} while (rc == -EINTR && ++tries < MAX_INTERRUPTED);
	return rc;
}

/*
 * There is room for as many commands as a batch has, so the kernel has no reason for an
 * overflow. It may report one nevertheless.
 */
static void feed(struct vsmmu *v, const struct smmuv3_accel_run_cmdq *run)
{
	bool overflow = run->out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW;

	if (v->feed && (run->feed_num || overflow))
		v->feed(v->opaque, v->feed_cmds, run->feed_num, overflow);
}

/* Tell the guest that the command at CONS is in error, and the VMM if it wants to know. */
static void command_failed(struct vsmmu *v,
			   const struct smmuv3_accel_run_cmdq *run, uint32_t mask)
{
	struct vsmmu_cmd cmd = { { 0 } };

	vsmmu__raise_gerror(v, GERROR_CMDQ_ERR);
	if (!v->cmd_error)
		return;
	/* Here it would be a fault to read what the module could not read. */
	if (run->out_error != SMMUV3_ACCEL_CERROR_ABT)
		vsmmu__memory_read(v, queue_entry(v->reg[REG_CMDQ_BASE], mask,
						  CMD_SIZE, run->cons),
				   &cmd, sizeof(cmd));
	v->due |= DUE_CMD_ERROR;
	v->failed_cmd = (struct vsmmu_cmd_error){
		.cerror = run->out_error,
		.reason = run->out_reason,
		.index = run->cons & (mask / 2),
		.cmd = cmd,
	};
}

/*
 * Do all that has to come before CONS shows that commands are done: the feed, faults that
 * were recorded before a CFGI (4.7.3: as far as the host has them), and records of bad
 * STEs.
 */
static void before_cons(struct vsmmu *v, const struct smmuv3_accel_run_cmdq *run,
			uint32_t done)
{
	const struct last_failure last = vsmmu__last;
	bool overflow = run->out_flags & SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	const struct look look = {
		.msi = (v->reg[REG_IDR0] & IDR0_MSI) &&
		       (run->out_flags & SMMUV3_ACCEL_RUN_SYNC_IRQ),
		/* While the kernel has SMMUEN, it reports bad STEs itself. */
		.named = overflow || !(v->in_force_cr0 & CR0_SMMUEN),
		.all = overflow,
	};

	if (done)
		feed(v, run);
	v->sync_num = 0;
	if (look.named || look.msi)
		vsmmu__ring_look(v, done, &look);
	if (run->out_flags & SMMUV3_ACCEL_RUN_CFGI) {
		vsmmu__drain_all(v);
		/*
		 * A vEVENTQ that cannot be read does not fail the commands.
		 * vsmmu_poll_events() fails too, and the guest sees lost events.
		 */
		vsmmu__last = last;
	}
	if (run->out_flags & SMMUV3_ACCEL_RUN_BAD_STE)
		report_bad_stes(v, run);
}

/* The line, and the MSIs in the order of the CMD_SYNCs (4.7.3) */
static void signal_syncs(struct vsmmu *v)
{
	uint32_t i;

	vsmmu__raise_irq(v, VSMMU_IRQ_CMDQ_SYNC);
	for (i = 0; i < v->sync_num; i++)
		vsmmu__send_msi(v, &v->syncs[i]);
}

/* Whether the kernel's answer to a run of up to @num commands makes sense */
static bool is_sane(struct vsmmu *v, const struct smmuv3_accel_run_cmdq *run,
		    int rc, uint32_t num, uint32_t done)
{
	if (done > num || (!done && !rc && !run->out_error))
		return false;
	if (done && (run->feed_num > done || run->feed_num > v->feed_room))
		return false;
	return run->out_error <= CERROR_MAX && run->bad_num <= v->stream_max;
}

/*
 * Run one batch, as many commands as the module hands to the host in one call, so that
 * the guest sees CONS move, but no more than there is room for MSIs. The module may do
 * less, because another ioctl waits or because it has evaluated many STEs, but it does at
 * least one command.
 *
 * Return: 1 if a batch was run, 0 if there is nothing to run, or a negative errno.
 */
static int run_batch(struct vsmmu *v)
{
	uint32_t mask = vsmmu__cmdq_mask(v), room = vsmmu__msi_room(v);
	uint32_t num = pending_num(v, mask), done;
	struct smmuv3_accel_run_cmdq arg = {
		.size = sizeof(arg),
		.prod = v->reg[REG_CMDQ_PROD] & mask,
		.cons = v->reg[REG_CMDQ_CONS] & mask,
		.max_cmds = room,
		.feed_uptr = (uintptr_t)v->feed_cmds,
		.bad_uptr = (uintptr_t)v->bad,
	};
	int rc;

	if (!num)
		return 0;
	if (!room)
		return vsmmu__refuse(v, -EAGAIN, VSMMU_REASON_MSIS_PENDING);
	rc = call_run_cmdq(v, &arg);
	/* Then what the kernel returned means nothing, so nothing is done. */
	if (rc == -EFAULT)
		return vsmmu__host_failed(v, SMMUV3_ACCEL_RUN_CMDQ, rc,
					  SMMUV3_ACCEL_REASON_BAD_POINTER, 0);
	done = (arg.cons - v->reg[REG_CMDQ_CONS]) & mask;
	/* The kernel never returns this; fail rather than loop forever. */
	if (!is_sane(v, &arg, rc, num < room ? num : room, done))
		return vsmmu__host_failed(v, SMMUV3_ACCEL_RUN_CMDQ, -EPROTO,
					  VSMMU_REASON_KERNEL_ANSWER, 0);

	before_cons(v, &arg, done);
	vsmmu__reg_set(v, REG_CMDQ_CONS,
		       FIELD_PREP(CMDQ_CONS_ERR, arg.out_error) | (arg.cons & mask));
	v->counters.cmds += done;
	if (arg.out_flags & SMMUV3_ACCEL_RUN_SYNC_IRQ)
		signal_syncs(v);
	if (arg.out_error)
		command_failed(v, &arg, mask);
	if (rc)
		return vsmmu__host_failed(v, SMMUV3_ACCEL_RUN_CMDQ, rc, arg.out_reason,
					  arg.out_vsid);
	return 1;
}

/*
 * One round of work. @regs_rc: of SET_REGS, which is not called again after a failure,
 * because the kernel looks at all streams. If it cannot configure one, commands are run all
 * the same.
 *
 * Return: 1 if a batch was run, 0 if nothing is left, or a negative errno.
 */
static int work_round(struct vsmmu *v, int *regs_rc)
{
	int rc = v->want_reset ? send_reset(v) : 0;

	if (rc)
		return rc;
	if (regs_pending(v) && !*regs_rc)
		*regs_rc = send_regs(v);
	else if (v->ask_named && (v->in_force_cr0 & CR0_SMMUEN))
		report_named(v);
	return run_batch(v);
}

/*
 * Rounds in which a caller also does the work that others leave to it. A vCPU must not be
 * kept out of the guest for as long as others ring.
 */
#define ROUNDS	16

/*
 * Do all pending work. A guest can make that long, so let other callers in between
 * batches. They may reset the virtual SMMU, so each round looks at everything.
 *
 * Other callers may leave their work to this one: vsmmu__join(). After some rounds they may
 * not, so the next one waits, and inherits all that is left.
 */
int vsmmu__work(struct vsmmu *v)
{
	int regs_rc = 0, rounds, rc;

	for (rounds = 1;; rounds++) {
		v->rung = false;
		v->takes_work = rounds <= ROUNDS;
		rc = work_round(v, &regs_rc);
		v->takes_work = false;
		if ((rc <= 0 && !v->rung) || (rounds >= ROUNDS && v->heirs))
			break;
		/* A ring or a kick asks for SET_REGS too: the cause of its failure may be gone. */
		if (v->rung)
			regs_rc = 0;
		vsmmu__let_in(v);
	}
	if (rc > 0)
		rc = 0;
	if (v->want_reset || !regs_pending(v))
		return rc;
	/* The VMM tries again after -EAGAIN. */
	return rc == -EAGAIN || !regs_rc ? -EAGAIN : regs_rc;
}
