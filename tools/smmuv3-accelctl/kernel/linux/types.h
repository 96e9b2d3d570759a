/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In this folder: as much of the kernel's headers as the module's pure parts
 * need, so that this tool judges by the module's own code.
 */
#ifndef _ACCELCTL_KERNEL_TYPES_H
#define _ACCELCTL_KERNEL_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

/* The kernel's compiler options make this known everywhere. */
#define fallthrough	__attribute__((__fallthrough__))

#endif
