// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Reset, save, restore, resume.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "internal.h"

/* Reset the registers, and drop the events that the host has from before. */
static void start_over(struct vsmmu *v)
{
	const struct last_failure last = vsmmu__last;

	vsmmu__regs_reset(v);
	/* EVENTQEN is clear, so this drops them. */
	vsmmu__drain_all(v);
	/* A vEVENTQ that cannot be read does not fail the call. */
	vsmmu__last = last;
}

int vsmmu_reset(struct vsmmu *v)
{
	int rc;

	vsmmu__lock(v);
	rc = vsmmu__check_started(v);
	if (!rc) {
		start_over(v);
		rc = vsmmu__work(v);
	}
	vsmmu__unlock(v);
	return rc;
}

/* The field of struct vsmmu_state for each register, of the register's size */
#define SAVED(_reg, _field)	{ _reg, offsetof(struct vsmmu_state, _field) }

static const struct {
	uint8_t reg;
	uint16_t at;
} saved[] = {
	SAVED(REG_IDR0, idr[0]), SAVED(REG_IDR1, idr[1]),
	SAVED(REG_IDR2, idr[2]), SAVED(REG_IDR3, idr[3]),
	SAVED(REG_IDR4, idr[4]), SAVED(REG_IDR5, idr[5]),
	SAVED(REG_IIDR, iidr),
	SAVED(REG_AIDR, aidr),
	SAVED(REG_CR0, cr0),
	SAVED(REG_CR0ACK, cr0ack),
	SAVED(REG_CR1, cr1),
	SAVED(REG_CR2, cr2),
	SAVED(REG_GBPA, gbpa),
	SAVED(REG_IRQ_CTRL, irq_ctrl),
	SAVED(REG_GERROR, gerror),
	SAVED(REG_GERRORN, gerrorn),
	SAVED(REG_GERROR_IRQ_CFG0, gerror_irq_cfg0),
	SAVED(REG_GERROR_IRQ_CFG1, gerror_irq_cfg1),
	SAVED(REG_GERROR_IRQ_CFG2, gerror_irq_cfg2),
	SAVED(REG_STRTAB_BASE, strtab_base),
	SAVED(REG_STRTAB_BASE_CFG, strtab_base_cfg),
	SAVED(REG_CMDQ_BASE, cmdq_base),
	SAVED(REG_CMDQ_PROD, cmdq_prod),
	SAVED(REG_CMDQ_CONS, cmdq_cons),
	SAVED(REG_EVENTQ_BASE, eventq_base),
	SAVED(REG_EVENTQ_PROD, eventq_prod),
	SAVED(REG_EVENTQ_CONS, eventq_cons),
	SAVED(REG_EVENTQ_IRQ_CFG0, eventq_irq_cfg0),
	SAVED(REG_EVENTQ_IRQ_CFG1, eventq_irq_cfg1),
	SAVED(REG_EVENTQ_IRQ_CFG2, eventq_irq_cfg2),
};

static void state_put(struct vsmmu_state *state, unsigned int i, uint64_t value)
{
	char *at = (char *)state + saved[i].at;

	if (vsmmu__regs[saved[i].reg].size == sizeof(uint64_t))
		*(uint64_t *)at = value;
	else
		*(uint32_t *)at = value;
}

static uint64_t state_get(const struct vsmmu_state *state, unsigned int i)
{
	const char *at = (const char *)state + saved[i].at;

	if (vsmmu__regs[saved[i].reg].size == sizeof(uint64_t))
		return *(const uint64_t *)at;
	return *(const uint32_t *)at;
}

static_assert(sizeof(struct vsmmu_state) == 152, "it has padding, or has changed");

int vsmmu_save(struct vsmmu *v, struct vsmmu_state *state)
{
	unsigned int i;
	int rc;

	*state = (struct vsmmu_state){ .version = VSMMU_STATE_VERSION };
	vsmmu__lock(v);
	rc = vsmmu__check_started(v);
	for (i = 0; !rc && i < ARRAY_SIZE(saved); i++)
		state_put(state, i, v->reg[saved[i].reg]);
	vsmmu__unlock(v);
	return rc;
}

/* Version 1 ended before @gerror_irq_cfg0: SMMU_IDR0.MSI could not be offered. */
static bool version_is_known(const struct vsmmu_state *state)
{
	return state->version == VSMMU_STATE_VERSION ||
	       (state->version == 1 && !(state->idr[0] & IDR0_MSI));
}

/*
 * Whether a virtual SMMU with the state's ID registers can be in that state. The kernel
 * checks the ID registers themselves, except for the queue sizes, which the library
 * uses.
 */
static bool state_is_valid(const struct vsmmu_state *state)
{
	bool cmdq_err = (state->gerror ^ state->gerrorn) & GERROR_CMDQ_ERR;
	uint32_t cerror = FIELD_GET(CMDQ_CONS_ERR, state->cmdq_cons);
	unsigned int i;

	if (!version_is_known(state) || state->reserved || state->reserved2)
		return false;
	if (FIELD_GET(IDR1_CMDQS, state->idr[1]) > QUEUE_BITS_MAX ||
	    FIELD_GET(IDR1_EVENTQS, state->idr[1]) > QUEUE_BITS_MAX)
		return false;
	for (i = 0; i < ARRAY_SIZE(saved); i++)
		if (state_get(state, i) &
		    ~vsmmu__bits_by_idr(saved[i].reg, state->idr[0],
					state->idr[5]))
			return false;
	if ((state->cr0 ^ state->cr0ack) & ~CR0_KERNEL)
		return false;
	if (state->cmdq_cons & QUEUE_INDEX &
	    ~queue_mask(state->cmdq_base, FIELD_GET(IDR1_CMDQS, state->idr[1])))
		return false;
	if (state->eventq_prod & QUEUE_INDEX &
	    ~queue_mask(state->eventq_base,
			FIELD_GET(IDR1_EVENTQS, state->idr[1])))
		return false;
	return cerror <= CERROR_MAX && cmdq_err == (cerror != 0);
}

/*
 * In version 1, CMDQ_CONS and EVENTQ_PROD kept the bits above the wrap bit, without any
 * effect.
 */
static struct vsmmu_state upgraded(const struct vsmmu_state *state)
{
	struct vsmmu_state now = *state;

	if (state->version != 1)
		return now;
	now.cmdq_cons &= ~QUEUE_INDEX |
			 queue_mask(state->cmdq_base,
				    FIELD_GET(IDR1_CMDQS, state->idr[1]));
	now.eventq_prod &= ~QUEUE_INDEX |
			   queue_mask(state->eventq_base,
				      FIELD_GET(IDR1_EVENTQS, state->idr[1]));
	return now;
}

/* Whether the state is of a virtual SMMU that offers what this one offers */
static bool ids_match(struct vsmmu *v, const struct vsmmu_state *state)
{
	unsigned int i;

	for (i = 0; saved[i].reg < REG_CR0; i++)
		if (state_get(state, i) != v->reg[saved[i].reg])
			return false;
	return true;
}

/*
 * Signal the interrupts again, when the registers are in force: the migration may have
 * lost an edge, and an edge too many does no harm.
 */
static void raise_standing(struct vsmmu *v)
{
	uint64_t irqs = v->reg[REG_IRQ_CTRL];

	if ((irqs & IRQ_CTRL_EVENTQ) &&
	    ((v->reg[REG_EVENTQ_PROD] ^ v->reg[REG_EVENTQ_CONS]) &
	     vsmmu__eventq_mask(v)))
		vsmmu__signal_again(v, VSMMU_IRQ_EVENTQ, REG_EVENTQ_IRQ_CFG0,
				    GERROR_MSI_EVENTQ_ABT_ERR);
	if ((irqs & IRQ_CTRL_GERROR) && active_errors(v))
		vsmmu__signal_again(v, VSMMU_IRQ_GERROR, REG_GERROR_IRQ_CFG0,
				    GERROR_MSI_GERROR_ABT_ERR);
}

/* Take over a valid state, after vsmmu__regs_reset() */
static void load_state(struct vsmmu *v, const struct vsmmu_state *state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(saved); i++)
		vsmmu__reg_set(v, saved[i].reg, state_get(state, i));
	vsmmu__reg_set(v, REG_IRQ_CTRLACK, state->irq_ctrl);
}

static int restore(struct vsmmu *v, const struct vsmmu_state *saved_state)
{
	const struct vsmmu_state state = upgraded(saved_state);
	int rc = vsmmu__check_started(v);

	if (rc)
		return rc;
	if (!state_is_valid(&state))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_STATE);
	if (!ids_match(v, &state))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_STATE_IDR);
	start_over(v);
	load_state(v, &state);
	rc = vsmmu__work(v);
	raise_standing(v);
	return rc;
}

int vsmmu_restore(struct vsmmu *v, const struct vsmmu_state *state)
{
	int rc;

	vsmmu__lock(v);
	rc = restore(v, state);
	vsmmu__unlock(v);
	return rc;
}

/* Take over the state and the list of streams */
static int load_resumed(struct vsmmu *v, const struct vsmmu_options *options,
			const struct vsmmu_state *saved_state, const uint32_t *vsids,
			uint32_t num)
{
	const struct vsmmu_state state = upgraded(saved_state);

	if (v->started)
		return vsmmu__refuse(v, -EBUSY, VSMMU_REASON_STARTED);
	if (!(v->flags & VSMMU_CONFIG_CHANGE_PROCESS))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_NOT_TAKEN_OVER);
	if (!state_is_valid(&state))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_STATE);
	if (num > v->stream_max)
		return vsmmu__refuse(v, -ENOSPC,
				     SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS);
	if (num)
		memcpy(v->vsid, vsids, num * sizeof(*vsids));
	v->stream_num = num;
	v->reset_gbpa = reset_gbpa(options);
	/* Events that the host has are for this guest. */
	vsmmu__regs_reset(v);
	load_state(v, &state);
	v->want_reset = false;
	v->started = true;
	return 0;
}

/*
 * The kernel has the registers already. If it gets them again, that only carries out
 * a change that was pending. This work makes callbacks, which may attach devices: so
 * nobody holds @streams meanwhile.
 */
int vsmmu_resume(struct vsmmu *v, const struct vsmmu_options *options,
		 const struct vsmmu_state *state, const uint32_t *vsids, uint32_t num)
{
	int rc;

	pthread_mutex_lock(&v->streams);
	vsmmu__lock(v);
	rc = load_resumed(v, options ? options : &vsmmu__no_options, state, vsids, num);
	pthread_mutex_unlock(&v->streams);
	if (!rc) {
		rc = vsmmu__work(v);
		raise_standing(v);
	}
	vsmmu__unlock(v);
	return rc;
}
