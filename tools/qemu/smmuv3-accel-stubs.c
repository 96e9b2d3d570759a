/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For targets that have no SMMUv3 */
#include "qemu/osdep.h"
#include "hw/arm/smmuv3-accel-dev.h"

uint32_t smmuv3_accel_dev_hwpt_flags(struct VFIODevice *vbasedev,
                                     uint32_t flags)
{
    return flags;
}

struct Aml *smmuv3_accel_dev_host_bridge_dsm(struct Aml *method)
{
    return method;
}
