// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Reset, save and restore.
 */
#include "rig.h"

/* A running guest: enabled, with an overflow, an error, and commands left */
static int one_then_error(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons += 1;
	run->out_error = 1;
	return 0;
}

static void make_busy(struct rig *rig)
{
	const uint64_t event[4] = { 0x10 };

	assert_int_equal(put64(rig, STRTAB_BASE, 1ULL << 62 | 0x80004000), 0);
	assert_put(rig, STRTAB_BASE_CFG, 0x10208);
	assert_put(rig, CR1, 0xd75);
	assert_put(rig, CR2, 2);
	assert_put(rig, GBPA, UPDATE | ABORT);
	enable_eventq(rig, RAM_BASE + 0x1000, 1);
	enable_cmdq(rig, 4);
	assert_put(rig, CR0, SMMUEN | EVENTQEN | CMDQEN | ATSCHK);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN | GERROR_IRQEN);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_put(rig, EVENTQ_CONS, 1);
	rig->fake.on_run = one_then_error;
	assert_put(rig, CMDQ_PROD, 3);
	rig->fake.on_run = NULL;
	memset(rig->irqs, 0, sizeof(rig->irqs));
}

static char before[VSMMU_PAGE_SIZE], after[VSMMU_PAGE_SIZE];

static void test_reset(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_state fresh, now;
	struct rig *rig = *state;

	assert_int_equal(vsmmu_save(rig->v, &fresh), 0);
	make_busy(rig);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	fake_event(&rig->fake, 0, 0, 0, event);
	fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS);
	assert_int_equal(vsmmu_reset(rig->v), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(rig->fake.regs.cr0, 0);
	assert_int_equal(rig->fake.regs.gbpa, 0);
	assert_int_equal(rig->fake.regs.strtab_base, 0);
	assert_int_equal(rig->fake.regs.cmdq_base, 0);
	assert_int_equal(vsmmu_save(rig->v, &now), 0);
	assert_memory_equal(&now, &fresh, sizeof(now));
	/* Events from before the reset are dropped. */
	assert_int_equal(rig->fake.queue_len[0], 0);
	enable_eventq(rig, RAM_BASE, 4);
	assert_int_equal(vsmmu_poll_events(rig->v), 0);
	assert_int_equal(get(rig, EVENTQ_PROD), 0);
}

static void test_reset_to_abort(void **state)
{
	const struct vsmmu_options options = { .flags = VSMMU_OPT_RESET_ABORT };
	struct rig *rig = *state;

	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	assert_int_equal(get(rig, GBPA), ABORT);
	assert_int_equal(rig->fake.regs.gbpa, ABORT);
	assert_put(rig, GBPA, UPDATE);
	assert_int_equal(get(rig, GBPA), 0);
	assert_int_equal(vsmmu_reset(rig->v), 0);
	assert_int_equal(get(rig, GBPA), ABORT);
	assert_int_equal(rig->fake.regs.gbpa, ABORT);
}

/* If RESET fails, the registers are reset, and the library repeats the call. */
static void test_reset_fails(void **state)
{
	struct vsmmu_error error;
	struct rig *rig = *state;

	make_busy(rig);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RESET, -ETIMEDOUT,
		  SMMUV3_ACCEL_REASON_RETRY, 2);
	fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS);
	assert_int_equal(vsmmu_reset(rig->v), -EAGAIN);
	assert_int_equal(get(rig, CR0), 0);
	assert_int_equal(get(rig, CR0ACK), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 0);
	assert_int_equal(put(rig, CR0, SMMUEN), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), 0);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.request, SMMUV3_ACCEL_RESET);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 3);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(rig->fake.regs.cr0, SMMUEN);
	assert_int_equal(get(rig, CR0ACK), SMMUEN);
}

/* Expect that SET_REGS was called once, with a state's registers. */
static void assert_kernel_has(struct rig *rig, const struct vsmmu_state *saved)
{
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(rig->fake.regs.cr0, saved->cr0);
	assert_int_equal(rig->fake.regs.gbpa, ABORT);
	assert_int_equal(rig->fake.regs.strtab_base, saved->strtab_base);
	assert_int_equal(rig->fake.regs.strtab_base_cfg, 0x10208);
	assert_int_equal(rig->fake.regs.cmdq_base, RAM_BASE | 4);
}

static void test_round_trip(void **state)
{
	struct vsmmu_state saved, again;
	struct rig *rig = *state;

	make_busy(rig);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(saved.version, 2);
	assert_int_equal(saved.cr0, SMMUEN | EVENTQEN | CMDQEN | ATSCHK);
	assert_int_equal(saved.cmdq_cons, 1 << 24 | 1);
	assert_int_equal(saved.eventq_prod, OVFLG | 2);
	assert_int_equal(saved.gerror, 1);
	assert_int_equal(saved.gerrorn, 0);
	memcpy(before, vsmmu_page(rig->v, 0), sizeof(before));

	rig_teardown(state);
	rig_setup(state);
	rig = *state;
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 1);
	assert_kernel_has(rig, &saved);
	/* An error is active: the rest of the queue waits for the guest. */
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 1);
	memcpy(after, vsmmu_page(rig->v, 0), sizeof(after));
	assert_memory_equal(after, before, sizeof(after));
	assert_int_equal(vsmmu_save(rig->v, &again), 0);
	assert_memory_equal(&again, &saved, sizeof(again));
	assert_put(rig, GERRORN, 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ), 1);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
}

/* Bits of an index that do not count make no queue look full of events. */
static void test_standing_irq(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;

	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
	enable_eventq(rig, RAM_BASE + 0x1000, 1);
	assert_put(rig, EVENTQ_CONS, 0xfffc);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_put(rig, EVENTQ_CONS, 0xfffd);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
}

/* An interrupt that is disabled is not signalled, whatever its queue has. */
static void test_standing_disabled(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_state saved;
	struct rig *rig = *state;

	make_busy(rig);
	assert_put(rig, IRQ_CTRL, 0);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_true((saved.gerror ^ saved.gerrorn) & CMDQ_ERR);
	assert_int_not_equal(saved.eventq_prod & 3, saved.eventq_cons & 3);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
}

/* Events of the guest that was there before are not for the one that is restored. */
static void test_restore_drops_events(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_state saved, again;
	struct vsmmu_error error;
	struct rig *rig = *state;

	enable_eventq(rig, RAM_BASE + 0x1000, 4);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ + 1), 0);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	fake_event(&rig->fake, 0, 0, 0, event);
	rig->fake.queue_rc[1] = -EIO;
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, 0);
	rig->fake.queue_rc[1] = 0;
	assert_int_equal(vsmmu_poll_events(rig->v), 0);
	assert_int_equal(get(rig, EVENTQ_PROD), 0);

	/* A state that is refused drops nothing. */
	fake_event(&rig->fake, 0, 0, 1, event);
	again = saved;
	again.reserved = 1;
	assert_refused(rig->v, vsmmu_restore(rig->v, &again), -EINVAL, VSMMU_REASON_STATE);
	assert_int_equal(vsmmu_poll_events(rig->v), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
}

/* Saved with changes and commands pending: restoring carries them out. */
static void test_pending(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;

	enable_cmdq(rig, 4);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 3);
	assert_int_equal(put(rig, CR0, CMDQEN | SMMUEN), -EAGAIN);
	assert_int_equal(put(rig, GBPA, UPDATE | ABORT), -EAGAIN);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(put(rig, CMDQ_PROD, 5), -EAGAIN);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	assert_int_equal(saved.cr0ack, CMDQEN);
	assert_int_equal(saved.gbpa, UPDATE | ABORT);

	/* To a vSMMU whose queue is enabled */
	rig_teardown(state);
	rig_setup(state);
	rig = *state;
	enable_cmdq(rig, 4);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EINTR, 0, 100);
	assert_int_equal(vsmmu_restore(rig->v, &saved), -EAGAIN);
	assert_int_equal(get(rig, CR0), CMDQEN | SMMUEN);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	assert_int_equal(get(rig, CMDQ_CONS), 0);
	/* CR0ACK shows CMDQEN, but the kernel has to have it again. */
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ), 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(vsmmu_kick(rig->v), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	assert_int_equal(get(rig, GBPA), UPDATE | ABORT);
	assert_int_equal(get(rig, CMDQ_CONS), 5);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CR0ACK), CMDQEN | SMMUEN);
	assert_int_equal(get(rig, GBPA), ABORT);
	assert_int_equal(get(rig, CMDQ_CONS), 5);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 0);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 0);
}

/*
 * With any one bit flipped, a state is either refused, with nothing changed, or the
 * vSMMU has exactly that state.
 */
static void flip_bits(struct rig *rig, const struct vsmmu_state *good,
		      unsigned int *taken, unsigned int *refused)
{
	struct vsmmu_state mine, flipped, now;
	size_t bit;
	int rc;

	for (bit = 0; bit < sizeof(*good) * 8; bit++) {
		assert_int_equal(vsmmu_save(rig->v, &mine), 0);
		flipped = *good;
		((unsigned char *)&flipped)[bit / 8] ^= 1U << bit % 8;
		/* The host answers nothing, so that no state moves on. */
		fake_fail(&rig->fake, SMMUV3_ACCEL_RESET, -EIO,
			  SMMUV3_ACCEL_REASON_HOST_REJECT, 1);
		rc = vsmmu_restore(rig->v, &flipped);
		assert_int_equal(vsmmu_save(rig->v, &now), 0);
		if (rc == -EINVAL) {
			assert_memory_equal(&now, &mine, sizeof(now));
			++*refused;
		} else {
			assert_int_equal(rc, -EIO);
			assert_memory_equal(&now, &flipped, sizeof(now));
			++*taken;
		}
	}
}

static void test_flipped_bits(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;
	unsigned int taken = 0, refused = 0;

	make_busy(rig);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	flip_bits(rig, &saved, &taken, &refused);
	/*
	 * SMMUEN and CMDQEN of CR0 and CR0ACK 4, CR1 12, CR2 1, GBPA 2, IRQ_CTRL
	 * 2, EVENTQ_ABT_ERR 2, STRTAB_BASE 47 and CFG 13, CMDQ_BASE 53, PROD 20
	 * and CONS 5 and ERR 1 (to 3), EVENTQ_BASE 53 but for the size of one
	 * entry, PROD 3 and CONS 21
	 */
	assert_int_equal(taken, 238);
	assert_int_equal(refused, sizeof(saved) * 8 - taken);
}

static void test_hostile(void **state)
{
	struct vsmmu_state good, bad;
	struct rig *rig = *state;

	assert_int_equal(vsmmu_save(rig->v, &good), 0);
#define REFUSED(_field, _value, _reason)				\
	do {								\
		bad = good;						\
		bad._field = _value;					\
		assert_refused(rig->v, vsmmu_restore(rig->v, &bad), -EINVAL, \
			       _reason);				\
	} while (0)
#define INVALID(_field, _value) REFUSED(_field, _value, VSMMU_REASON_STATE)
#define OTHER_IDR(_field, _value) \
	REFUSED(_field, _value, VSMMU_REASON_STATE_IDR)
	INVALID(version, 0);
	INVALID(version, 3);
	INVALID(gerror_irq_cfg0, 4);		/* without SMMU_IDR0.MSI */
	INVALID(eventq_irq_cfg1, 1);
	INVALID(gerror, 1 << 4);
	INVALID(reserved, 1);
	INVALID(reserved2, 1);
	OTHER_IDR(idr[0], 0);
	OTHER_IDR(idr[5], good.idr[5] ^ 1);
	OTHER_IDR(iidr, 1);
	OTHER_IDR(aidr, 2);
	INVALID(cr0, 2);
	INVALID(cr0, EVENTQEN);			/* not acknowledged */
	INVALID(cr0ack, ATSCHK);
	INVALID(gerror, CMDQ_ERR);		/* without ERR */
	INVALID(gerrorn, CMDQ_ERR);
	INVALID(cmdq_cons, 1 << 24);		/* without CMDQ_ERR */
	INVALID(cmdq_base, 1ULL << 52);
	INVALID(eventq_cons, 1 << 20);
	INVALID(cmdq_cons, 2);			/* above the wrap bit of one entry */
	INVALID(eventq_prod, 2);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 0);

	bad = good;
	bad.gerror = CMDQ_ERR;
	bad.cmdq_cons = 4 << 24;		/* no such code */
	assert_int_equal(vsmmu_restore(rig->v, &bad), -EINVAL);
	bad.cmdq_cons = 3 << 24;
	assert_int_equal(vsmmu_restore(rig->v, &bad), 0);
}

/*
 * A state as the library saved it in version 1: SMMU_AIDR was 0 whatever else was
 * offered, and the indices kept all bits that were written, for any size of the queue.
 */
static void old_state(struct rig *rig, struct vsmmu_state *saved)
{
	make_busy(rig);
	assert_int_equal(vsmmu_save(rig->v, saved), 0);
	saved->version = 1;
	saved->aidr = 0;
	assert_int_equal(saved->idr[3] & 1 << 2, 1 << 2);
	saved->cmdq_cons |= 0xfffe0;
	saved->eventq_prod |= 0xffffc;
}

static void assert_old_restored(struct rig *rig, const struct vsmmu_state *saved)
{
	struct vsmmu_state now, want = *saved;

	want.version = 2;
	want.cmdq_cons &= ~0xfffe0U;
	want.eventq_prod &= ~0xffffcU;
	assert_int_equal(vsmmu_save(rig->v, &now), 0);
	assert_memory_equal(&now, &want, sizeof(now));
	assert_int_equal(get(rig, AIDR), 0);
	assert_put(rig, GERRORN, 1);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
}

static void test_old_state(void **state)
{
	struct vsmmu_options options = { .flags = VSMMU_OPT_IDR };
	struct vsmmu_state saved, bad;
	struct rig *rig = *state;

	old_state(rig, &saved);
	rig_teardown(state);
	rig_setup_off(state);
	rig = *state;
	memcpy(options.idr, saved.idr, sizeof(options.idr));
	options.iidr = saved.iidr;
	options.aidr = saved.aidr;
	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	bad = saved;
	bad.version = 2;
	assert_refused(rig->v, vsmmu_restore(rig->v, &bad), -EINVAL, VSMMU_REASON_STATE);
	bad = saved;
	bad.eventq_prod |= 1 << 20;		/* in no version */
	assert_refused(rig->v, vsmmu_restore(rig->v, &bad), -EINVAL, VSMMU_REASON_STATE);
	assert_int_equal(vsmmu_restore(rig->v, &saved), 0);
	assert_old_restored(rig, &saved);
}

/* Live update */

static void take_over(struct rig *rig);

static void test_old_resume(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;

	old_state(rig, &saved);
	take_over(rig);
	assert_int_equal(vsmmu_resume(rig->v, NULL, &saved, NULL, 0), 0);
	assert_old_restored(rig, &saved);
}

static const uint32_t vsids[FAKE_STREAMS + 1] = { 1, 5 };

/* What a new process has of @rig's vSMMU: the same kernel, an object of its own */
static void take_over(struct rig *rig)
{
	const struct vsmmu_region region = {
		RAM_BASE, RAM_SIZE, (uintptr_t)rig->ram,
	};
	struct vsmmu_config config = rig_config(rig);

	vsmmu_free(rig->v);
	memset(rig->fake.calls, 0, sizeof(rig->fake.calls));
	config.flags = VSMMU_CONFIG_CHANGE_PROCESS;
	config.region_num = 1;
	config.regions = &region;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_CHANGE_PROCESS), 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_MEM_TABLE), 1);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_CREATE), 0);
	assert_int_equal(rig->fake.change.iommufd, FAKE_IOMMUFD);
}

static void test_resume(void **state)
{
	struct vsmmu_state saved, again;
	struct rig *rig = *state;

	make_busy(rig);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	memcpy(before, vsmmu_page(rig->v, 0), sizeof(before));
	take_over(rig);
	assert_int_equal(put(rig, CR0, 0), -ENXIO);
	assert_int_equal(vsmmu_resume(rig->v, NULL, &saved, vsids, 2), 0);
	memcpy(after, vsmmu_page(rig->v, 0), sizeof(after));
	assert_memory_equal(after, before, sizeof(after));
	assert_int_equal(vsmmu_save(rig->v, &again), 0);
	assert_memory_equal(&again, &saved, sizeof(again));
	assert_refused(rig->v, vsmmu_resume(rig->v, NULL, &saved, vsids, 2),
		       -EBUSY, VSMMU_REASON_STARTED);

	/* DMA goes on: the kernel gets the registers that it has, and no more. */
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_IDR), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH), 0);
	assert_kernel_has(rig, &saved);
	assert_int_equal(irqs(rig, VSMMU_IRQ_EVENTQ), 1);
	assert_int_equal(irqs(rig, VSMMU_IRQ_GERROR), 1);
	/* The guest fixes its command: the queue goes on from where it stopped. */
	assert_put(rig, GERRORN, 1);
	assert_int_equal(rig->fake.run.cons, 1);
	assert_int_equal(get(rig, CMDQ_CONS), 3);
	/* A reset is one. */
	assert_int_equal(vsmmu_reset(rig->v), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 1);
	assert_int_equal(get(rig, GBPA), 0);
}

/* Events that the host had during the take-over are for the guest. */
static void test_resume_events(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct vsmmu_state saved;
	struct rig *rig = *state;

	enable_eventq(rig, RAM_BASE + 0x1000, 4);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	take_over(rig);
	assert_int_equal(vsmmu_add_veventq(rig->v, FAKE_VEVENTQ), 0);
	fake_event(&rig->fake, 0, 0, 0, event);
	assert_int_equal(vsmmu_resume(rig->v, NULL, &saved, NULL, 0), 0);
	assert_int_equal(vsmmu_poll_events(rig->v), 1);
	assert_int_equal(get(rig, EVENTQ_PROD), 1);
}

static int all_bad(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons = run->prod;
	run->out_flags = SMMUV3_ACCEL_RUN_BAD_STE |
			 SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	return 0;
}

/* After resuming, the library knows the streams and the reset value of GBPA. */
static void test_resume_streams(void **state)
{
	const struct vsmmu_options options = { .flags = VSMMU_OPT_RESET_ABORT };
	struct vsmmu_state saved;
	struct rig *rig = *state;
	uint64_t *cmds = (uint64_t *)rig->ram;
	unsigned int i;

	assert_int_equal(vsmmu_attach(rig->v, 3, vsids[0], 0, 0, NULL), 0);
	assert_int_equal(vsmmu_attach(rig->v, 3, 4, 0, 0, NULL), 0);
	assert_int_equal(vsmmu_attach(rig->v, 3, vsids[1], 0, 0, NULL), 0);
	enable_cmdq(rig, 4);
	enable_eventq(rig, RAM_BASE + 0x1000, 4);
	fake_fail(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ, -ENOMEM, 0, 1);
	assert_int_equal(put(rig, CMDQ_PROD, 2), -EAGAIN);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	take_over(rig);
	/* The new process has the memory in one piece. */
	for (i = 0; i < 16; i++) {
		cmds[2 * i] = CFGI_STE_RANGE(0);
		cmds[2 * i + 1] = CFGI_ALL;
	}
	rig->fake.stream_reason[1] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	rig->fake.stream_reason[4] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	rig->fake.stream_reason[5] = SMMUV3_ACCEL_REASON_STE_CONFIG;
	rig->fake.on_run = all_bad;
	/* The rest of the queue is run, with the memory that is given now. */
	assert_int_equal(vsmmu_resume(rig->v, &options, &saved, vsids, 2), 0);
	assert_int_equal(get(rig, CMDQ_CONS), 2);
	assert_int_equal(get(rig, EVENTQ_PROD), 2);
	assert_int_equal(*(uint64_t *)(rig->ram + 0x1000), 4 | 1ULL << 32);
	assert_int_equal(*(uint64_t *)(rig->ram + 0x1020), 4 | 5ULL << 32);
	assert_int_equal(vsmmu_detach(rig->v, 1), 0);
	assert_put(rig, CMDQ_PROD, 3);
	assert_int_equal(get(rig, EVENTQ_PROD), 3);
	assert_int_equal(*(uint64_t *)(rig->ram + 0x1040), 4 | 5ULL << 32);
	assert_int_equal(vsmmu_reset(rig->v), 0);
	assert_int_equal(get(rig, GBPA), ABORT);
}

/* No register changed since @before, and the kernel was not asked. */
static void assert_not_resumed(struct rig *rig)
{
	assert_memory_equal(vsmmu_page(rig->v, 0), before, sizeof(before));
	assert_int_equal(put(rig, CR0, 0), -ENXIO);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 0);
}

/*
 * A new process that fails early has not taken the vSMMU over, nor touched the
 * registers, which are still the guest's.
 */
static void test_take_over_fails(void **state)
{
	char *pages = aligned_alloc(VSMMU_PAGE_SIZE, VSMMU_REGS_SIZE);
	struct rig *rig = *state;
	struct vsmmu_config config = rig_config(rig);
	struct vsmmu_error error;
	struct vsmmu *v;

	assert_non_null(pages);
	memset(pages, 0xa5, VSMMU_REGS_SIZE);
	config.flags = VSMMU_CONFIG_CHANGE_PROCESS;
	config.regs = pages;
	config.iommufd = -1;
	assert_int_equal(vsmmu_new(&config, &v, &error), -EINVAL);
	assert_int_equal(error.reason, VSMMU_REASON_IOMMUFD);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_CHANGE_PROCESS), 0);

	config.iommufd = FAKE_IOMMUFD;
	fake_fail(&rig->fake, SMMUV3_ACCEL_CHANGE_PROCESS, -EINVAL,
		  SMMUV3_ACCEL_REASON_OTHER_IOMMUFD, 1);
	assert_int_equal(vsmmu_new(&config, &v, &error), -EINVAL);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_OTHER_IOMMUFD);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_MEM_TABLE), 0);
	memset(before, 0xa5, sizeof(before));
	assert_memory_equal(pages, before, sizeof(before));
	assert_int_equal(vsmmu_new(&config, &v, &error), 0);
	assert_int_equal(pages[0], 0);
	vsmmu_free(v);
	free(pages);
}

static void test_resume_fails(void **state)
{
	struct vsmmu_config config;
	struct vsmmu_state saved, bad;
	struct vsmmu_error error;
	struct rig *rig = *state;
	struct vsmmu *v;

	/* Taking the vSMMU over fails, so the new process has none. */
	config = rig_config(rig);
	config.flags = VSMMU_CONFIG_CHANGE_PROCESS;
	config.accel_fd = -1;
	assert_int_equal(vsmmu_new(&config, &v, &error), -EINVAL);
	config.accel_fd = FAKE_FD;
	fake_fail(&rig->fake, SMMUV3_ACCEL_CHANGE_PROCESS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_NO_ROOM, 1);
	assert_int_equal(vsmmu_new(&config, &v, &error), -ENOMEM);
	assert_int_equal(error.request, SMMUV3_ACCEL_CHANGE_PROCESS);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_NO_ROOM);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_MEM_TABLE), 0);

	make_busy(rig);
	assert_int_equal(vsmmu_save(rig->v, &saved), 0);
	config.flags = 0;
	assert_int_equal(vsmmu_new(&config, &v, NULL), 0);
	assert_refused(v, vsmmu_resume(v, NULL, &saved, NULL, 0), -EINVAL,
		       VSMMU_REASON_NOT_TAKEN_OVER);
	vsmmu_free(v);

	take_over(rig);
	memcpy(before, vsmmu_page(rig->v, 0), sizeof(before));
	fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS);
	assert_refused(rig->v, vsmmu_resume(rig->v, NULL, &saved, vsids,
					    FAKE_STREAMS + 1), -ENOSPC,
		       SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS);
	assert_not_resumed(rig);
	bad = saved;
	bad.version++;
	assert_refused(rig->v, vsmmu_resume(rig->v, NULL, &bad, vsids, 2),
		       -EINVAL, VSMMU_REASON_STATE);
	assert_not_resumed(rig);
	bad = saved;
	bad.cmdq_cons = 4 << 24;
	assert_int_equal(vsmmu_resume(rig->v, NULL, &bad, vsids, 2), -EINVAL);
	assert_not_resumed(rig);
	bad = saved;
	bad.idr[0] &= ~(1U << 10);		/* ATSCHK without ATS */
	assert_int_equal(vsmmu_resume(rig->v, NULL, &bad, vsids, 2), -EINVAL);
	assert_not_resumed(rig);
	bad = saved;
	bad.idr[1] |= 0x1f << 21;		/* queues larger than an index */
	assert_int_equal(vsmmu_resume(rig->v, NULL, &bad, vsids, 2), -EINVAL);
	assert_not_resumed(rig);

	/* The host fails temporarily: resumed nevertheless, and tried again later */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(vsmmu_resume(rig->v, NULL, &saved, NULL, 0), -EAGAIN);
	assert_int_equal(get(rig, CR0), saved.cr0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 2);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RESET), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_reset, rig_setup),
		TEST(test_reset_to_abort, rig_setup_off),
		TEST(test_reset_fails, rig_setup),
		TEST(test_round_trip, rig_setup),
		TEST(test_standing_irq, rig_setup),
		TEST(test_standing_disabled, rig_setup),
		TEST(test_restore_drops_events, rig_setup),
		TEST(test_pending, rig_setup),
		TEST(test_flipped_bits, rig_setup),
		TEST(test_hostile, rig_setup),
		TEST(test_old_state, rig_setup),
		TEST(test_old_resume, rig_setup),
		TEST(test_resume, rig_setup),
		TEST(test_resume_events, rig_setup),
		TEST(test_resume_streams, rig_setup),
		TEST(test_take_over_fails, rig_setup),
		TEST(test_resume_fails, rig_setup),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
