/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_OVERFLOW_H
#define _TOOLS_LINUX_OVERFLOW_H

#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)
#define check_shl_overflow(value, shift, to)	\
	(*(to) = (value) << (shift), *(to) >> (shift) != (value))

#endif
