/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ACCELCTL_KERNEL_BITFIELD_H
#define _ACCELCTL_KERNEL_BITFIELD_H

#define FIELD_GET(mask, word)	(((word) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_PREP(mask, value)	\
	(((__typeof__(mask))(value) << __builtin_ctzll(mask)) & (mask))

#endif
