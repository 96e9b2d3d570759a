/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_NOSPEC_H
#define _TOOLS_LINUX_NOSPEC_H

/* A no-op: this process has no secrets of other users. */
#define array_index_nospec(index, size)	((void)(size), (index))

#endif
