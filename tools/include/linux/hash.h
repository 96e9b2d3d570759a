/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_HASH_H
#define _TOOLS_LINUX_HASH_H

/* Not the kernel's function: any good hash will do. */
#define hash_64(value, bits)	\
	(((u64)(value) * 0x9e3779b97f4a7c15ULL) >> (64 - (bits)))

#endif
