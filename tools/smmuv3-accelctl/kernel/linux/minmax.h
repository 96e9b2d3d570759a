/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ACCELCTL_KERNEL_MINMAX_H
#define _ACCELCTL_KERNEL_MINMAX_H

#define min(a, b)	((a) < (b) ? (a) : (b))

#endif
