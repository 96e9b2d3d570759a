/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SMMUV3_ACCEL_COMPAT_H
#define _SMMUV3_ACCEL_COMPAT_H

/* What some kernels' headers lack: Kbuild looks for it there. */
#include <linux/bits.h>
#include <uapi/linux/iommufd.h>

/* Before Linux 7.3 the host knew nothing of T264-SMMU-3: no flag is ever set. */
#ifdef NO_ERRATA_REPEAT_TLBI_CFGI
#define IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI	BIT(0)
#endif

#endif
