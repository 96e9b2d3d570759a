/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_BITFIELD_H
#define _TOOLS_LINUX_BITFIELD_H

#include <linux/build_bug.h>

#define FIELD_MAX(mask)		((mask) >> __builtin_ctzll(mask))
#define FIELD_GET(mask, word)	(((word) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_PREP(mask, value)	\
	(((__typeof__(mask))(value) << __builtin_ctzll(mask)) & (mask))

#endif
