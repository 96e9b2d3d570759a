/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SMMUV3_ACCEL_COMPAT_H
#define _SMMUV3_ACCEL_COMPAT_H

/* Definitions that older kernels lack. Kbuild checks their headers. */
#include <linux/bits.h>
#include <uapi/linux/iommufd.h>

/* Before Linux 7.3 the host does not know T264-SMMU-3, and never sets the flag. */
#ifdef NO_ERRATA_REPEAT_TLBI_CFGI
#define IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI	BIT(0)
#endif

#endif
