/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MSI window of the host, in the guest firmware tables
 *
 * Linux on the host programs the MSIs of a device that it passes through with
 * an address in a window of its own, and maps that window in stage 2. The
 * guest's stage 1 must map it one to one. A guest does so for memory that its
 * firmware reserves for a function: by an RMR node of ACPI's table IORT (Arm
 * DEN 0049, 3.1.1.5), or by the property "iommu-addresses" of a device tree.
 *
 * A function is named whether or not it is there, if it can be plugged.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/acpi/aml-build.h"
#include "hw/arm/boot.h"
#include "hw/arm/virt.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/arm/smmuv3-accel-dev.h"
#include "system/device_tree.h"

/* MSI_IOVA_BASE and MSI_IOVA_LENGTH of the Linux driver arm-smmu-v3 */
#define MSI_WINDOW_BASE 0x08000000
#define MSI_WINDOW_SIZE MiB

/* The table IORT */
#define IORT_REVISION_RMR 5
#define IORT_REVISION_AT 8
#define IORT_NUM_NODES_AT 36
#define IORT_NODES_AT 40
#define IORT_NODE_HEADER_SIZE 16
#define IORT_SMMUV3 4
#define IORT_SMMUV3_BASE_AT 16
#define IORT_SMMUV3_SIZE 68
#define IORT_RMR 6
#define IORT_RMR_SIZE 28
#define IORT_RMR_DESC_SIZE 20
#define IORT_MAPPING_SIZE 20

/* The binding of PCI for device trees */
#define FDT_PCI_MEM32 0x02000000
#define FDT_PCI_DEVFN(devfn) ((uint32_t)(devfn) << 8)

/* Functions of a bus, and their StreamIDs */
typedef struct IdRange {
    uint32_t first;
    uint32_t num;
} IdRange;

/* A device tree that gets its nodes */
typedef struct Tree {
    void *fdt;
    uint32_t window;
    /* The cells of "iommu-addresses" */
    GArray *addresses;
} Tree;

/* A function that passes a host device through, now or once it is plugged */
static bool may_pass(PCIBus *bus, int devfn)
{
    PCIDevice *pdev = bus->devices[devfn];

    if (pdev && object_dynamic_cast(OBJECT(pdev), "vfio-pci")) {
        return true;
    }
    if ((pdev && IS_PCI_BRIDGE(pdev)) || !qbus_is_hotpluggable(BUS(bus))) {
        return false;
    }
    /* A PCI Express link has one device. */
    return !pci_bus_is_express(bus) || pci_bus_is_root(bus) ||
           PCI_SLOT(devfn) == 0;
}

/* ACPI */

static void bus_ranges(PCIBus *bus, void *opaque)
{
    GArray *ranges = opaque;
    uint32_t rid = pci_bus_num(bus) << 8;
    IdRange *last;
    int devfn;

    /* The guest's firmware has not numbered it yet: this table is not final. */
    if (!rid && !pci_bus_is_root(bus)) {
        return;
    }
    for (devfn = 0; devfn < PCI_DEVFN_MAX; devfn++) {
        if (!may_pass(bus, devfn)) {
            continue;
        }
        last = ranges->len ?
               &g_array_index(ranges, IdRange, ranges->len - 1) : NULL;
        if (last && last->first + last->num == (rid | devfn)) {
            last->num++;
        } else {
            IdRange range = { .first = rid | devfn, .num = 1 };

            g_array_append_val(ranges, range);
        }
    }
}

static void rmr_node(GArray *table, uint32_t id, uint32_t smmu_at,
                     GArray *ranges)
{
    unsigned int i;

    build_append_int_noprefix(table, IORT_RMR, 1);
    build_append_int_noprefix(table, IORT_RMR_SIZE + IORT_RMR_DESC_SIZE +
                              ranges->len * IORT_MAPPING_SIZE, 2);
    build_append_int_noprefix(table, 3, 1); /* revision */
    build_append_int_noprefix(table, id, 4);
    build_append_int_noprefix(table, ranges->len, 4);
    build_append_int_noprefix(table, IORT_RMR_SIZE + IORT_RMR_DESC_SIZE, 4);
    /* Remapping is not permitted, for any privilege. Device-nGnRnE. */
    build_append_int_noprefix(table, 0, 4);
    build_append_int_noprefix(table, 1, 4); /* descriptors */
    build_append_int_noprefix(table, IORT_RMR_SIZE, 4);

    build_append_int_noprefix(table, MSI_WINDOW_BASE, 8);
    build_append_int_noprefix(table, MSI_WINDOW_SIZE, 8);
    build_append_int_noprefix(table, 0, 4);

    for (i = 0; i < ranges->len; i++) {
        IdRange *range = &g_array_index(ranges, IdRange, i);

        build_append_int_noprefix(table, range->first, 4);
        build_append_int_noprefix(table, range->num - 1, 4);
        build_append_int_noprefix(table, range->first, 4);
        build_append_int_noprefix(table, smmu_at, 4);
        build_append_int_noprefix(table, 0, 4);
    }
}

static uint64_t smmu_base(SMMUv3State *s)
{
    MemoryRegion *mr;
    uint64_t base = 0;

    for (mr = &s->smmu_state.iomem; mr; mr = mr->container) {
        base += mr->addr;
    }
    return base;
}

/* The accelerated SMMU that has a node, or NULL */
static SMMUv3State *smmu_of_node(const uint8_t *node, unsigned int len)
{
    SMMUv3State *s = NULL;

    if (node[0] != IORT_SMMUV3 || len < IORT_SMMUV3_SIZE) {
        return NULL;
    }
    while ((s = smmuv3_accel_dev_next(s))) {
        if (smmu_base(s) == ldq_le_p(node + IORT_SMMUV3_BASE_AT)) {
            return s;
        }
    }
    return NULL;
}

void smmuv3_accel_dev_build_iort(GArray *table, unsigned int offset)
{
    uint8_t *start = (uint8_t *)table->data + offset;
    unsigned int size = table->len - offset;
    unsigned int num = ldl_le_p(start + IORT_NUM_NODES_AT);
    unsigned int at = ldl_le_p(start + IORT_NODES_AT);
    unsigned int added = 0, i, len;

    if (!smmuv3_accel_dev_next(NULL)) {
        return;
    }
    for (i = 0; i < num; i++, at += len) {
        g_autoptr(GArray) ranges = g_array_new(false, false, sizeof(IdRange));
        SMMUv3State *s;

        g_assert(at + IORT_NODE_HEADER_SIZE <= size);
        /* The array moves when it grows. */
        start = (uint8_t *)table->data + offset;
        len = lduw_le_p(start + at + 1);
        g_assert(len >= IORT_NODE_HEADER_SIZE && at + len <= size);
        s = smmu_of_node(start + at, len);
        if (!s) {
            continue;
        }
        pci_for_each_bus(s->smmu_state.primary_bus, bus_ranges, ranges);
        if (ranges->len) {
            rmr_node(table, num + added++, at, ranges);
        }
    }
    start = (uint8_t *)table->data + offset;
    stl_le_p(start + IORT_NUM_NODES_AT, num + added);
    start[IORT_REVISION_AT] = MAX(start[IORT_REVISION_AT], IORT_REVISION_RMR);
}

/*
 * Function 5 of _DSM (PCI Firmware Specification 3.3, 4.6.5) says that the guest
 * must not number buses or place BARs again: RMR nodes have StreamIDs, which
 * contain the bus numbers that the firmware chose.
 */
struct Aml *smmuv3_accel_dev_host_bridge_dsm(struct Aml *method)
{
    uint8_t functions = 1 << 0 | 1 << 5, none = 0;
    Aml *dsm, *pci, *function, *uuid;

    if (!smmuv3_accel_dev_next(NULL)) {
        return method;
    }
    dsm = aml_method("_DSM", 4, AML_NOTSERIALIZED);
    uuid = aml_touuid("E5C937D0-3553-4D7A-9117-EA4D19C3434D");
    pci = aml_if(aml_equal(aml_arg(0), uuid));
    function = aml_if(aml_equal(aml_arg(2), aml_int(0)));
    aml_append(function, aml_return(aml_buffer(1, &functions)));
    aml_append(pci, function);
    function = aml_if(aml_equal(aml_arg(2), aml_int(5)));
    aml_append(function, aml_return(aml_int(0)));
    aml_append(pci, function);
    aml_append(dsm, pci);
    aml_append(dsm, aml_return(aml_buffer(1, &none)));
    return dsm;
}

/* Device trees */

static uint32_t phandle_of(void *fdt, const char *node)
{
    int len;
    const void *cell = qemu_fdt_getprop(fdt, node, "phandle", &len, NULL);
    uint32_t phandle;

    if (cell) {
        return ldl_be_p(cell);
    }
    phandle = qemu_fdt_alloc_phandle(fdt);
    qemu_fdt_setprop_cell(fdt, node, "phandle", phandle);
    return phandle;
}

static void add_cells(GArray *cells, const uint32_t *values, unsigned int num)
{
    unsigned int i;

    for (i = 0; i < num; i++) {
        uint32_t value = cpu_to_be32(values[i]);

        g_array_append_val(cells, value);
    }
}

static char *function_node(Tree *tree, const char *parent, int devfn)
{
    char *node = g_strdup_printf("%s/pci@%x,%x", parent, PCI_SLOT(devfn),
                                 PCI_FUNC(devfn));

    qemu_fdt_add_subnode(tree->fdt, node);
    qemu_fdt_setprop_cells(tree->fdt, node, "reg", FDT_PCI_DEVFN(devfn), 0, 0,
                           0, 0);
    return node;
}

static void endpoint_node(Tree *tree, const char *parent, int devfn)
{
    g_autofree char *node = function_node(tree, parent, devfn);
    const uint32_t address[] = {
        phandle_of(tree->fdt, node),
        FDT_PCI_MEM32, 0, MSI_WINDOW_BASE, 0, MSI_WINDOW_SIZE,
    };

    qemu_fdt_setprop_cell(tree->fdt, node, "memory-region", tree->window);
    add_cells(tree->addresses, address, ARRAY_SIZE(address));
}

/*
 * A bridge with a node takes part in the routing of INTx. @parent is the node of
 * the bus that it is on.
 */
static char *bridge_node(Tree *tree, const char *parent, int devfn)
{
    char *node = function_node(tree, parent, devfn);
    uint32_t controller = phandle_of(tree->fdt, parent);
    g_autoptr(GArray) map = g_array_new(false, false, sizeof(uint32_t));
    unsigned int slot, pin;

    for (slot = 0; slot < PCI_NUM_PINS; slot++) {
        for (pin = 0; pin < PCI_NUM_PINS; pin++) {
            const uint32_t entry[] = {
                FDT_PCI_DEVFN(PCI_DEVFN(slot, 0)), 0, 0, pin + 1,
                controller, FDT_PCI_DEVFN(devfn), 0, 0,
                (slot + pin) % PCI_NUM_PINS + 1,
            };

            add_cells(map, entry, ARRAY_SIZE(entry));
        }
    }
    qemu_fdt_setprop_string(tree->fdt, node, "device_type", "pci");
    qemu_fdt_setprop_cell(tree->fdt, node, "#address-cells", 3);
    qemu_fdt_setprop_cell(tree->fdt, node, "#size-cells", 2);
    qemu_fdt_setprop(tree->fdt, node, "ranges", NULL, 0);
    qemu_fdt_setprop_cell(tree->fdt, node, "#interrupt-cells", 1);
    qemu_fdt_setprop_cells(tree->fdt, node, "interrupt-map-mask",
                           FDT_PCI_DEVFN(PCI_DEVFN(PCI_NUM_PINS - 1, 0)), 0, 0,
                           7);
    qemu_fdt_setprop(tree->fdt, node, "interrupt-map", map->data,
                     map->len * sizeof(uint32_t));
    return node;
}

static void bus_nodes(Tree *tree, const char *parent, PCIBus *bus)
{
    int devfn;

    for (devfn = 0; devfn < PCI_DEVFN_MAX; devfn++) {
        PCIDevice *pdev = bus->devices[devfn];

        if (may_pass(bus, devfn)) {
            endpoint_node(tree, parent, devfn);
        } else if (pdev && IS_PCI_BRIDGE(pdev)) {
            g_autofree char *node = bridge_node(tree, parent, devfn);

            bus_nodes(tree, node, pci_bridge_get_sec_bus(PCI_BRIDGE(pdev)));
        }
    }
}

static void modify_dtb(const struct arm_boot_info *info, void *fdt)
{
    VirtMachineState *vms = VIRT_MACHINE(qdev_get_machine());
    g_autofree char *window = g_strdup_printf("/reserved-memory/msi-window@%x",
                                              MSI_WINDOW_BASE);
    Tree tree = { .fdt = fdt };
    SMMUv3State *s = NULL;

    /* A tree of the user is left alone. */
    if (info->dtb_filename) {
        return;
    }
    qemu_fdt_add_path(fdt, window);
    qemu_fdt_setprop_cell(fdt, "/reserved-memory", "#address-cells", 2);
    qemu_fdt_setprop_cell(fdt, "/reserved-memory", "#size-cells", 2);
    qemu_fdt_setprop(fdt, "/reserved-memory", "ranges", NULL, 0);
    qemu_fdt_setprop_cells(fdt, window, "reg", 0, MSI_WINDOW_BASE,
                           0, MSI_WINDOW_SIZE);
    qemu_fdt_setprop(fdt, window, "no-map", NULL, 0);
    tree.window = phandle_of(fdt, window);
    tree.addresses = g_array_new(false, false, sizeof(uint32_t));
    while ((s = smmuv3_accel_dev_next(s))) {
        /* virt describes no other bus by a device tree. */
        if (s->smmu_state.primary_bus == vms->bus) {
            bus_nodes(&tree, vms->pciehb_nodename, vms->bus);
        }
    }
    qemu_fdt_setprop(fdt, window, "iommu-addresses", tree.addresses->data,
                     tree.addresses->len * sizeof(uint32_t));
    g_array_free(tree.addresses, true);
}

void smmuv3_accel_dev_firmware(void)
{
    Object *machine = qdev_get_machine();

    if (object_dynamic_cast(machine, TYPE_VIRT_MACHINE)) {
        VIRT_MACHINE(machine)->bootinfo.modify_dtb = modify_dtb;
    }
}
