/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm-smmuv3 on /dev/smmuv3-accel
 *
 * With the Linux module smmuv3-accel, the guest's SMMUv3 translates for devices that
 * vfio-pci passes through: the host's SMMUs walk the guest's tables. These are the
 * calls between the device and QEMU's model of the SMMUv3.
 */
#ifndef HW_ARM_SMMUV3_ACCEL_DEV_H
#define HW_ARM_SMMUV3_ACCEL_DEV_H

#include "hw/arm/smmuv3.h"

struct Aml;
struct Evt;
struct VFIODevice;

/* hw/arm/smmuv3.c calls these. Those with a state do nothing without accel-dev=. */

/* Add the properties. */
void smmuv3_accel_dev_class_init(ObjectClass *klass);
/* Open the device. All else of the SMMU is realized. */
void smmuv3_accel_dev_realize(SMMUv3State *s, Error **errp);
/* The registers have their reset values. */
void smmuv3_accel_dev_reset(SMMUv3State *s);
/*
 * The guest may have changed what the SMMU does: its registers are in force.
 * Run its command queue. Return false if QEMU's own loop has to.
 */
bool smmuv3_accel_dev_consume(SMMUv3State *s);
/* SMMU_GERROR has changed. */
void smmuv3_accel_dev_gerror(SMMUv3State *s);

/*
 * The accelerated SMMUs: the one after @s, or the first if that is NULL. NULL: there
 * are no more.
 */
SMMUv3State *smmuv3_accel_dev_next(SMMUv3State *s);

/* Tell the guest about the MSI window of the host. */
void smmuv3_accel_dev_firmware(void);

/* hw/arm/virt-acpi-build.c: add to the IORT that begins at @offset of @table. */
void smmuv3_accel_dev_build_iort(GArray *table, unsigned offset);

/* hw/pci-host/gpex-acpi.c: add to the _DSM of a host bridge. */
struct Aml *smmuv3_accel_dev_host_bridge_dsm(struct Aml *method);

/* hw/vfio/iommufd.c: flags for the HWPT that a device's container gets */
uint32_t smmuv3_accel_dev_hwpt_flags(struct VFIODevice *vbasedev,
                                     uint32_t flags);

/* hw/arm/smmuv3.c has these. */
void smmuv3_trigger_irq(SMMUv3State *s, SMMUIrq irq, uint32_t gerror_mask);
MemTxResult smmuv3_write_eventq(SMMUv3State *s, struct Evt *evt);

#endif
