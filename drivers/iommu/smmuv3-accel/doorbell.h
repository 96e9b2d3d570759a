/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The entry of all ioctls, with the fast path of doorbells
 */
#ifndef _SMMUV3_ACCEL_DOORBELL_H
#define _SMMUV3_ACCEL_DOORBELL_H

struct file;

long smmuv3_accel_ioctl(struct file *file, unsigned int nr, unsigned long arg);

#endif
