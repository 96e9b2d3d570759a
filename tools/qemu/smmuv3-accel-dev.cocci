// SPDX-License-Identifier: GPL-2.0-or-later
//
// Connects smmuv3-accel-dev.c to QEMU. apply.sh runs this and then counts the
// insertions, because spatch says nothing about a rule that matches nothing. "smmu" is
// hw/arm/smmuv3.c, which has to include another header first.

virtual smmu

@internal depends on smmu@
@@
#include "smmuv3-internal.h"
+ #include "hw/arm/smmuv3-accel-dev.h"

@osdep depends on !smmu@
@@
#include "qemu/osdep.h"
+ #include "hw/arm/smmuv3-accel-dev.h"

// The SMMU's state has the accelerated device, or NULL.
@state@
@@
struct SMMUv3State {
	...
+	struct SMMUv3AccelDev *accel_dev;
};

// The header declares both.
@trigger_irq@
typedef SMMUv3State, SMMUIrq, MemTxResult, Evt, DeviceState, Error, ObjectClass, Object, ResetType, GArray, BIOSLinker,
	VirtMachineState, Aml;
identifier s, irq, mask;
@@
- static
 void smmuv3_trigger_irq(SMMUv3State *s, SMMUIrq irq, uint32_t mask) { ... }

@write_eventq@
identifier s, evt;
@@
- static
 MemTxResult smmuv3_write_eventq(SMMUv3State *s, Evt *evt) { ... }

@gerror@
expression s;
@@
	s->gerror ^= ...;
+	smmuv3_accel_dev_gerror(s);

// The accelerated device runs the queue.
@consume@
expression s;
statement S;
@@
+	if (smmuv3_accel_dev_consume(s)) {
+		return 0;
+	}
	if (!smmuv3_cmdq_enabled(s)) S

@realize@
identifier s, d, errp;
@@
 smmu_realize(DeviceState *d, Error **errp)
{
	...
	smmu_init_irq(s, ...);
+	smmuv3_accel_dev_realize(s, errp);
}

@reset@
expression s;
@@
 smmu_reset_exit(...)
{
	...
	smmuv3_init_regs(s);
+	smmuv3_accel_dev_reset(s);
}

@class_init@
identifier klass;
@@
 smmuv3_class_init(ObjectClass *klass, ...)
{
	...
	device_class_set_props(...);
+	smmuv3_accel_dev_class_init(klass);
	...
}

// The stage-2 domain of a device behind an accelerated SMMU is a nesting parent.
@hwpt@
expression be, vbasedev, ioas, flags;
statement S;
@@
+	flags = smmuv3_accel_dev_hwpt_flags(vbasedev, flags);
	if (!iommufd_backend_alloc_hwpt(be, vbasedev->devid, ioas, flags, ...)) S

// ACPI: the MSI window of the host, and PCI bus numbers that are not changed
@iort@
identifier table_data, linker, vms, table;
@@
 build_iort(GArray *table_data, BIOSLinker *linker, VirtMachineState *vms)
{
	...
+	smmuv3_accel_dev_build_iort(table_data, table.table_offset);
	acpi_table_end(linker, &table);
	...
}

@dsm@
expression dev;
expression list args;
@@
	aml_append(dev,
-	build_pci_host_bridge_dsm_method(args)
+	smmuv3_accel_dev_host_bridge_dsm(build_pci_host_bridge_dsm_method(args))
	)

// QEMU 10.0 has the method in line.
@dsm_in_line depends on !dsm@
identifier dev, method;
@@
 acpi_dsdt_add_pci_osc(Aml *dev)
{
	...
	method = aml_method("_DSM", ...);
	...
	aml_append(dev,
-	method
+	smmuv3_accel_dev_host_bridge_dsm(method)
	);
}
