/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands of the guest
 */
#ifndef _SMMUV3_ACCEL_CMDQ_H
#define _SMMUV3_ACCEL_CMDQ_H

#include "smmuv3-accel.h"

void smmuv3_cmdq_locate(struct smmuv3_vsmmu *v);
void smmuv3_cmdq_update_fast(struct smmuv3_vsmmu *v);
int smmuv3_cmdq_invalidate(struct smmuv3_vsmmu *v, void *arg);
int smmuv3_cmdq_run(struct smmuv3_vsmmu *v, void *arg);

/**
 * smmuv3_lock_queue() - Take the inner lock, for anything but a run
 * @v: the vSMMU
 *
 * While a caller waits here, a long run ends early.
 *
 * Return: 0 or -EINTR.
 */
static inline int smmuv3_lock_queue(struct smmuv3_vsmmu *v)
{
	int rc;

	atomic_inc(&v->waiters);
	rc = mutex_lock_interruptible(&v->queue_lock);
	atomic_dec(&v->waiters);
	return rc;
}

static inline void smmuv3_unlock_queue(struct smmuv3_vsmmu *v)
{
	smmuv3_cmdq_update_fast(v);
	mutex_unlock(&v->queue_lock);
}

#endif
