/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_LOG2_H
#define _TOOLS_LINUX_LOG2_H

#define ilog2(value)		(63 - __builtin_clzll(value))

#endif
