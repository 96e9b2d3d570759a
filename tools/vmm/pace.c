// SPDX-License-Identifier: GPL-2.0
/*
 * When polling pays: a doorbell that is polled saves the guest the time of an exit,
 * and until the next one comes a host CPU spins. The latency is worth that CPU time
 * as long as the time between doorbells is at most WORTH times that of an exit. So
 * each doorbell earns that much time, and time spends it. Polling starts when START
 * doorbells' worth has been saved up, and ends when nothing is left.
 *
 * The cost of an exit depends on the host: some microseconds, or hundreds of them
 * on an emulated one. The shortest run of a vCPU between two exits is an upper
 * bound that is close, because guests make many exits in a row when they probe
 * their devices.
 *
 * On a host that has too few CPUs for its threads, spinning delays the vCPUs that
 * it is for. The thread that polls sees that by losing its own CPU. Then polling
 * ends, too, and after that doorbells exit for a while, longer each time.
 */
#include "vmm.h"

#define WORTH		32
#define START		16
#define MOST		32
#define EXIT_MAX_NS	200000ULL	/* else a guest that rarely exits is polled for long */
#define BACK_OFF_MIN_NS	100000000ULL
#define BACK_OFF_MAX_NS	12800000000ULL

static uint64_t spend(const struct pace *p, uint64_t now)
{
	uint64_t spent = now - p->last;

	return p->saved > spent ? p->saved - spent : 0;
}

/**
 * pace_exit_cost - Take note of the time from a vCPU's entry to its next exit
 * @p: zeroed at first
 * @ns: that time
 */
void pace_exit_cost(struct pace *p, uint64_t ns)
{
	uint64_t least = __atomic_load_n(&p->exit_cost, __ATOMIC_RELAXED);

	if (ns > EXIT_MAX_NS)
		ns = EXIT_MAX_NS;
	while ((!least || ns < least) &&
	       !__atomic_compare_exchange_n(&p->exit_cost, &least, ns ?: 1, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/**
 * pace_doorbell - Take note of a doorbell, by exit or polled
 * @p: one caller at a time
 * @now: the time in ns
 *
 * Return: whether polling pays
 */
bool pace_doorbell(struct pace *p, uint64_t now)
{
	uint64_t worth = WORTH * __atomic_load_n(&p->exit_cost, __ATOMIC_RELAXED);

	p->saved = spend(p, now) + worth;
	if (p->saved > MOST * worth)
		p->saved = MOST * worth;
	p->last = now;
	return worth && p->saved >= START * worth && now >= p->not_before;
}

/* Whether to poll no longer, because doorbells come too seldom */
bool pace_is_over(struct pace *p, uint64_t now)
{
	if (spend(p, now))
		return false;
	p->back_off /= 2;
	return true;
}

/* Polling ended, because the thread has lost its CPU to others. */
void pace_lost_cpu(struct pace *p, uint64_t now)
{
	p->back_off = p->back_off < BACK_OFF_MIN_NS ? BACK_OFF_MIN_NS : 2 * p->back_off;
	if (p->back_off > BACK_OFF_MAX_NS)
		p->back_off = BACK_OFF_MAX_NS;
	p->not_before = now + p->back_off;
}
