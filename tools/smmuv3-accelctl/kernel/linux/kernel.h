/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ACCELCTL_KERNEL_KERNEL_H
#define _ACCELCTL_KERNEL_KERNEL_H

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define __ffs(word)		__builtin_ctz(word)

#endif
