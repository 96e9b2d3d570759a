// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The mutex of a virtual SMMU, and the callbacks that become due under it: for edges of
 * interrupt lines, for MSIs, and for command errors.
 */
#include <pthread.h>
#include <unistd.h>

#include "internal.h"

void vsmmu__lock(struct vsmmu *v)
{
	pthread_mutex_lock(&v->turn);
	pthread_mutex_lock(&v->lock);
	pthread_mutex_unlock(&v->turn);
}

/*
 * Free the lock and make the callbacks. Only one caller at a time passes MSIs to the VMM,
 * so that they stay in order: @delivers says that it is this one. Returns whether it has
 * to go on.
 */
static bool unlock_once(struct vsmmu *v, bool delivers)
{
	const struct last_failure last = vsmmu__last;
	const struct vsmmu_cmd_error failed_cmd = v->failed_cmd;
	bool cmd_failed = v->cmd_failed;
	unsigned int raised = v->raised;
	struct msi msi = { 0 };
	enum vsmmu_irq line;

	if (delivers || !v->delivering) {
		delivers = v->msi_num;
		v->delivering = delivers;
		if (delivers)
			msi = vsmmu__take_msi(v);
		else
			v->msi_taken = 0;
	}
	v->cmd_failed = false;
	v->raised = 0;
	pthread_mutex_unlock(&v->lock);
	if (!raised && !cmd_failed && !delivers)
		return false;
	if (cmd_failed)
		v->cmd_error(v->opaque, &failed_cmd);
	for (line = 0; line < VSMMU_IRQ_NUM; line++)
		if (raised & 1U << line)
			v->raise(v->opaque, line);
	if (delivers)
		v->msi(v->opaque, msi.address, msi.data);
	vsmmu__last = last;
	return delivers;
}

/*
 * Free the lock, then make the callbacks that became due under it. They may call the
 * library. A failure there does not replace that of the call that ends here.
 */
void vsmmu__unlock(struct vsmmu *v)
{
	bool delivers = unlock_once(v, false);

	while (delivers) {
		vsmmu__lock(v);
		delivers = unlock_once(v, true);
	}
}

/*
 * Let a waiting caller in. It holds @turn, so no other thread gets the lock before it.
 * Afterwards the virtual SMMU may be in any state. Also make the callbacks for MSIs, of
 * which there can be as many as commands.
 */
void vsmmu__let_in(struct vsmmu *v)
{
	if (!v->msi_num && !pthread_mutex_trylock(&v->turn)) {
		pthread_mutex_unlock(&v->turn);
		return;
	}
	vsmmu__unlock(v);
	vsmmu__lock(v);
}

/*
 * Raise an edge on a line, after the registers show what it is about. Write an eventfd
 * under the lock, so that the VMM cannot exchange it meanwhile.
 */
void vsmmu__raise_irq(struct vsmmu *v, enum vsmmu_irq line)
{
	const uint64_t one = 1;

	if (v->irqfd[line] < 0)
		v->raised |= v->raise ? 1U << line : 0;
	else if (write(v->irqfd[line], &one, sizeof(one)) < 0)
		return;		/* full: an earlier edge is still pending */
}
