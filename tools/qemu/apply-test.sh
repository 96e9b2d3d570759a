#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Show that apply.sh connects the device to a source that has QEMU's names, keeps the
# time of what did not change, and fails if any insertion has no place. The source here
# is of this test: it has the names and nothing else. Prints nothing if all is well.

set -euo pipefail
export LC_ALL=C

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

wrong() { echo "apply-test.sh: $*"; }

# $1: the folder to make
source_tree() {
	mkdir -p "$1"/{hw/arm,hw/vfio,hw/pci-host,include/hw/arm,linux-headers/linux}
	echo 0.0.0 >"$1/VERSION"
	cat >"$1/include/hw/arm/smmuv3.h" <<-'TEXT'
		struct SMMUv3State {
		    int reg;
		};
	TEXT
	cat >"$1/hw/arm/smmuv3.c" <<-'TEXT'
		#include "qemu/osdep.h"
		#include "smmuv3-internal.h"

		static void smmuv3_trigger_irq(SMMUv3State *s, SMMUIrq irq, uint32_t bits)
		{
		    s->gerror ^= bits;
		}

		static MemTxResult smmuv3_write_eventq(SMMUv3State *s, Evt *evt)
		{
		    return put(s, evt);
		}

		static int smmuv3_cmdq_consume(SMMUv3State *s)
		{
		    int n = 0;

		    if (!smmuv3_cmdq_enabled(s)) {
		        return 0;
		    }
		    return n;
		}

		static void smmu_reset_exit(Object *obj, ResetType type)
		{
		    SMMUv3State *s = state(obj);

		    smmuv3_init_regs(s);
		}

		static void smmu_realize(DeviceState *d, Error **errp)
		{
		    SMMUv3State *s = state(d);

		    smmu_init_irq(s, d);
		}

		static void smmuv3_class_init(ObjectClass *klass, const void *data)
		{
		    device_class_set_props(klass, props);
		}
	TEXT
	cat >"$1/hw/arm/meson.build" <<-'TEXT'
		arm_ss.add(when: 'X', if_true: files('smmuv3.c'))
	TEXT
	cat >"$1/hw/vfio/iommufd.c" <<-'TEXT'
		#include "qemu/osdep.h"

		static bool get(VFIODevice *vbasedev)
		{
		    uint32_t flags = 0;

		    if (!iommufd_backend_alloc_hwpt(be, vbasedev->devid, ioas, flags, id)) {
		        return false;
		    }
		    return true;
		}
	TEXT
	cat >"$1/hw/arm/virt-acpi-build.c" <<-'TEXT'
		#include "qemu/osdep.h"

		static void build_iort(GArray *table_data, BIOSLinker *linker, VirtMachineState *vms)
		{
		    AcpiTable table = { 0 };

		    acpi_table_end(linker, &table);
		}
	TEXT
	if [ "${2:-}" = in-line ]; then
		cat >"$1/hw/pci-host/gpex-acpi.c" <<-'TEXT'
			#include "qemu/osdep.h"

			static void acpi_dsdt_add_pci_osc(Aml *dev)
			{
			    Aml *method = aml_method("_OSC", 4, 0);

			    aml_append(dev, method);
			    method = aml_method("_DSM", 4, 0);
			    aml_append(method, more());
			    aml_append(dev, method);
			}
		TEXT
	else
		cat >"$1/hw/pci-host/gpex-acpi.c" <<-'TEXT'
			#include "qemu/osdep.h"

			static void methods(Aml *dev)
			{
			    aml_append(dev, build_pci_host_bridge_dsm_method());
			}
		TEXT
	fi
}

# $1: a file, $2: what is renamed in it, so that a rule has no place
must_fail() {
	rm -rf "$work/tree"
	source_tree "$work/tree"
	sed -i "s/$2/other_&/" "$work/tree/$1"
	if "$HERE/apply.sh" "$work/tree" >/dev/null 2>"$work/errors"; then
		wrong "a source without $2 is taken"
	elif ! grep -q "^$1: found 0 times" "$work/errors"; then
		wrong "a source without $2 is refused, but not for $1:"
		cat "$work/errors"
	elif grep -rq smmuv3_accel_dev "$work/tree/$1"; then
		wrong "a source without $2 is refused, but $1 was changed"
	fi
}

for kind in function in-line; do
	rm -rf "$work/tree"
	source_tree "$work/tree" "$kind"
	"$HERE/apply.sh" "$work/tree" >/dev/null || wrong "a source of kind $kind is refused"
done
grep -q 'aml_append(dev, smmuv3_accel_dev_host_bridge_dsm(method));' "$work/tree/hw/pci-host/gpex-acpi.c" &&
	grep -qx '    aml_append(dev, method);' "$work/tree/hw/pci-host/gpex-acpi.c" || wrong "_OSC was taken for _DSM"

# Again: nothing is written.
find "$work/tree" -exec touch -d '2000-01-01' {} +
"$HERE/apply.sh" "$work/tree" >/dev/null || wrong "a source is not taken twice"
find "$work/tree" -type f -newermt 2000-01-02 -printf 'apply-test.sh: %p was written again\n'

# Nothing is lost that somebody else changed since, and nothing is written then.
echo "/* another change */" >>"$work/tree/hw/vfio/iommufd.c"
rm "$work/tree/hw/arm/smmuv3-accel-dev.c"
! "$HERE/apply.sh" "$work/tree" >/dev/null 2>"$work/errors" || wrong "a change by somebody else was undone"
grep -q "hw/vfio/iommufd.c was changed after" "$work/errors" || wrong "a changed file is not named"
grep -q "another change" "$work/tree/hw/vfio/iommufd.c" || wrong "a change by somebody else is gone"
[ ! -e "$work/tree/hw/arm/smmuv3-accel-dev.c" ] || wrong "a file was written although another is refused"

# The original is as good as what became of it: a run that was cut short can go on.
cp "$work/tree/.smmuv3-accel/hw/vfio/iommufd.c" "$work/tree/hw/vfio/"
"$HERE/apply.sh" "$work/tree" >/dev/null || wrong "a source that is half connected is refused"
grep -q smmuv3_accel_dev_hwpt_flags "$work/tree/hw/vfio/iommufd.c" || wrong "a half connected source stays so"

must_fail include/hw/arm/smmuv3.h SMMUv3State
must_fail hw/arm/smmuv3.c smmuv3-internal
must_fail hw/arm/smmuv3.c smmuv3_trigger_irq
must_fail hw/arm/smmuv3.c gerror
must_fail hw/arm/smmuv3.c smmuv3_write_eventq
must_fail hw/arm/smmuv3.c smmuv3_cmdq_enabled
must_fail hw/arm/smmuv3.c smmuv3_init_regs
must_fail hw/arm/smmuv3.c smmu_init_irq
must_fail hw/arm/smmuv3.c device_class_set_props
must_fail hw/vfio/iommufd.c osdep
must_fail hw/vfio/iommufd.c iommufd_backend_alloc_hwpt
must_fail hw/arm/virt-acpi-build.c acpi_table_end
must_fail hw/pci-host/gpex-acpi.c build_pci_host_bridge_dsm_method
must_fail hw/arm/meson.build smmuv3
