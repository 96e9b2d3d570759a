/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls
 */
#ifndef _SMMUV3_ACCEL_IOCTL_H
#define _SMMUV3_ACCEL_IOCTL_H

struct file;

long smmuv3_accel_ioctl(struct file *file, unsigned int nr, unsigned long arg);

#endif
