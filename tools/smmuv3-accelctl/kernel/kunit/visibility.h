/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ACCELCTL_KERNEL_VISIBILITY_H
#define _ACCELCTL_KERNEL_VISIBILITY_H

#include <assert.h>

#define EXPORT_SYMBOL_IF_KUNIT(symbol)	static_assert(1, #symbol)

#endif
