/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_LINUX_NOSPEC_H
#define _TOOLS_LINUX_NOSPEC_H

/* There is no secret of somebody else's to speculate about. */
#define array_index_nospec(index, size)	((void)(size), (index))

#endif
