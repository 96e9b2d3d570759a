/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_KERNEL_H
#define _TOOLS_LINUX_KERNEL_H

#include <linux/types.h>

#define __ffs(word)	__builtin_ctz(word)

#endif
