/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TOOLS_KUNIT_VISIBILITY_H
#define _TOOLS_KUNIT_VISIBILITY_H

#include <assert.h>

#define EXPORT_SYMBOL_IF_KUNIT(symbol)	static_assert(1, #symbol)

#endif
