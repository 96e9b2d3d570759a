/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SMMUV3_ACCEL_COMPAT_H
#define _SMMUV3_ACCEL_COMPAT_H

/*
 * Definitions that older kernels lack. The code is written for the newest kernel, and
 * asks the headers, not the version: a stable kernel may have a definition of a later
 * series.
 */
#include <linux/bits.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

/* Allocation by type is younger than Linux 6.19. */
#ifndef kmalloc_objs
#define kmalloc_objs(obj, count, gfp)	kmalloc_array(count, sizeof(obj), gfp)
#endif
#ifndef kzalloc_obj
#define kzalloc_obj(obj, gfp)		kzalloc(sizeof(obj), gfp)
#endif
#ifndef kvzalloc_obj
#define kvzalloc_obj(obj, gfp)		kvzalloc(sizeof(obj), gfp)
#endif
#ifndef kvmalloc_objs
#define kvmalloc_objs(obj, count, gfp)	kvmalloc_array(count, sizeof(obj), gfp)
#endif

/* Before Linux 7.3 the host does not know T264-SMMU-3, and never sets the flag. */
#ifdef NO_ERRATA_REPEAT_TLBI_CFGI
#define IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI	BIT(0)
#endif

#endif
