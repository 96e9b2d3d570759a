/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_TYPES_H
#define _TOOLS_LINUX_TYPES_H

/*
 * This folder has as much of the kernel headers as the module's pure parts need to
 * be compiled as a program.
 */
#include_next <linux/types.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define U8_MAX		UINT8_MAX
#define U32_MAX		UINT32_MAX
#define __user

/* Definitions that the kernel's compiler options and central headers provide everywhere */
#define fallthrough	__attribute__((__fallthrough__))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* The program must be little-endian, as the SMMU is. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian");
#define le64_to_cpu(value)	((u64)(value))
#define cpu_to_le64(value)	((__le64)(value))

#endif
