/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls
 */
#ifndef _SMMUV3_ACCEL_IOCTL_H
#define _SMMUV3_ACCEL_IOCTL_H

struct smmuv3_vsmmu;

long smmuv3_ioctl_dispatch(struct smmuv3_vsmmu *v, unsigned int nr, unsigned long arg);

#endif
