// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The mutexes of a virtual SMMU, and the callbacks that become due under them: for edges of
 * interrupt lines, for MSIs, and for command errors.
 *
 * @lock is for all state, and nobody holds it while the kernel carries out a call. So an
 * access that only needs state never waits for the host. The thread that works, which is to
 * make the kernel agree with the registers, holds @work as well, also during calls.
 */
#include <pthread.h>
#include <unistd.h>

#include "internal.h"

/* This thread is in a callback. */
static __thread bool in_callback;

void vsmmu__lock(struct vsmmu *v)
{
	pthread_mutex_lock(&v->turn);
	pthread_mutex_lock(&v->work);
	pthread_mutex_unlock(&v->turn);
	pthread_mutex_lock(&v->lock);
}

/*
 * Only for the state: the kernel may be carrying out a call of another thread. What is due
 * already is for that thread to call back.
 *
 * @kept has room for one caller, so until vsmmu__unlock_state() the caller keeps @lock: it
 * must not call the kernel, except by way of vsmmu__join().
 */
void vsmmu__lock_state(struct vsmmu *v)
{
	pthread_mutex_lock(&v->lock);
	v->kept = v->due;
	v->due = 0;
}

/*
 * Free @lock and make the callbacks. Only one caller at a time passes MSIs to the VMM,
 * so that they stay in order: @delivers says that it is this one. A caller that has added
 * none does not begin with it. Returns whether it has to go on.
 */
static bool unlock_once(struct vsmmu *v, bool delivers)
{
	const struct last_failure last = vsmmu__last;
	const struct vsmmu_cmd_error failed_cmd = v->failed_cmd;
	const unsigned int due = v->due;
	const bool nested = in_callback;
	struct msi msi = { 0 };
	enum vsmmu_irq line;

	if (delivers || ((due & DUE_MSIS) && !v->delivering)) {
		delivers = v->msi_num;
		v->delivering = delivers;
		if (delivers)
			msi = vsmmu__take_msi(v);
		else
			v->msi_taken = 0;
	}
	v->due = v->kept;
	v->kept = 0;
	pthread_mutex_unlock(&v->lock);
	if (!(due & ~DUE_MSIS) && !delivers)
		return false;
	in_callback = true;
	if (due & DUE_CMD_ERROR)
		v->cmd_error(v->opaque, &failed_cmd);
	for (line = 0; line < VSMMU_IRQ_NUM; line++)
		if (due & 1U << line)
			v->raise(v->opaque, line);
	if (delivers)
		v->msi(v->opaque, msi.address, msi.data);
	in_callback = nested;
	vsmmu__last = last;
	return delivers;
}

/*
 * Free @lock, then make the callbacks that became due under it. They may call the
 * library. A failure there does not replace that of the call that ends here.
 */
void vsmmu__unlock_state(struct vsmmu *v)
{
	bool delivers = unlock_once(v, false);

	while (delivers) {
		vsmmu__lock_state(v);
		delivers = unlock_once(v, true);
	}
}

void vsmmu__unlock(struct vsmmu *v)
{
	pthread_mutex_unlock(&v->work);
	vsmmu__unlock_state(v);
}

/*
 * Let a waiting caller in. It holds @turn, so no other thread gets @work before it.
 * Afterwards the virtual SMMU may be in any state. Also make the callbacks that are due:
 * the registers show already what they are about, and the rest of the queue can take long.
 *
 * A callback may have the rest of the queue run. Lines then wait until that call ends, or
 * callbacks would nest as deep as the queue is long.
 */
void vsmmu__let_in(struct vsmmu *v)
{
	unsigned int later;

	if (!v->due && !pthread_mutex_trylock(&v->turn)) {
		pthread_mutex_unlock(&v->turn);
		return;
	}
	later = in_callback ? v->due & DUE_LINES : 0;
	v->due &= ~later;
	vsmmu__unlock(v);
	vsmmu__lock(v);
	v->due |= later;
}

/* Get @work without waiting, unless somebody waits for it. The caller holds @lock. */
static bool try_work(struct vsmmu *v)
{
	bool got;

	if (pthread_mutex_trylock(&v->turn))
		return false;
	got = !pthread_mutex_trylock(&v->work);
	pthread_mutex_unlock(&v->turn);
	return got;
}

/*
 * Have the work done that a change of the state makes necessary: by a caller who is at it
 * and will look again, or by this one. Call this with @lock alone. Returns as vsmmu__work().
 */
int vsmmu__join(struct vsmmu *v)
{
	int rc;

	if (v->takes_work) {
		v->rung = true;
		return 0;
	}
	v->due |= v->kept;
	v->kept = 0;
	if (!try_work(v)) {
		v->heirs++;
		pthread_mutex_unlock(&v->lock);
		vsmmu__lock(v);
		v->heirs--;
	}
	rc = vsmmu__work(v);
	pthread_mutex_unlock(&v->work);
	return rc;
}

/*
 * Raise an edge on a line, after the registers show what it is about. Write an eventfd
 * under the lock, so that the VMM cannot exchange it meanwhile.
 */
void vsmmu__raise_irq(struct vsmmu *v, enum vsmmu_irq line)
{
	const uint64_t one = 1;

	if (v->irqfd[line] < 0)
		v->due |= v->raise ? 1U << line : 0;
	else if (write(v->irqfd[line], &one, sizeof(one)) < 0)
		return;		/* full: an earlier edge is still pending */
}
