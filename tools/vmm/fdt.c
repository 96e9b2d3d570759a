// SPDX-License-Identifier: GPL-2.0
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <linux/input-event-codes.h>
#include <sys/random.h>

#include "vmm.h"

#define GIC_SPI		0
#define GIC_PPI		1
#define EDGE_RISING	1
#define LEVEL_HIGH	4

#define PCI_MEM32	0x02000000
#define PCI_MEM64	0x43000000	/* prefetchable, or Linux warns above 4 GiB */

enum {
	PHANDLE_GIC = 1,
	PHANDLE_ITS,
	PHANDLE_MSI_WINDOW,
	PHANDLE_CLOCK,
	PHANDLE_SMMU,				/* and those after it */
	PHANDLE_SLOT = PHANDLE_SMMU + SMMU_MAX,	/* and those after it */
};

/* A 64-bit value takes two cells. */
#define HI32(x)		((uint32_t)((uint64_t)(x) >> 32))
#define LO32(x)		((uint32_t)(x))
#define CELLS64(x)	HI32(x), LO32(x)

#define put_cells(fdt, name, ...)					\
	put_cell_array(fdt, name, (const uint32_t[]){ __VA_ARGS__ },	\
		       ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ })))
#define put_string(fdt, name, string) check(fdt_property_string(fdt, name, string))
#define put_strings(fdt, name, strings) check(fdt_property(fdt, name, strings, sizeof(strings)))
#define put_flag(fdt, name) check(fdt_property(fdt, name, NULL, 0))

static void check(int rc)
{
	if (rc)
		die("cannot make the device tree: %s", fdt_strerror(rc));
}

/* @name and @unit_address make the node's name. */
static void open_node(void *fdt, const char *name, uint64_t unit_address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name,
		 (unsigned long long)unit_address);
	check(fdt_begin_node(fdt, full));
}

static void put_cell_array(void *fdt, const char *name,
			   const uint32_t *cells, unsigned int n)
{
	fdt32_t *be;
	unsigned int i;

	check(fdt_property_placeholder(fdt, name, n * sizeof(*be), (void **)&be));
	for (i = 0; i < n; i++)
		be[i] = cpu_to_fdt32(cells[i]);
}

static void cpus(void *fdt)
{
	unsigned int i;

	check(fdt_begin_node(fdt, "cpus"));
	put_cells(fdt, "#address-cells", 1);
	put_cells(fdt, "#size-cells", 0);
	for (i = 0; i < config.cpus; i++) {
		open_node(fdt, "cpu", i);
		put_string(fdt, "device_type", "cpu");
		put_string(fdt, "compatible", "arm,armv8");
		put_string(fdt, "enable-method", "psci");
		put_cells(fdt, "reg", i);
		check(fdt_end_node(fdt));
	}
	check(fdt_end_node(fdt));

	check(fdt_begin_node(fdt, "psci"));
	put_string(fdt, "compatible", "arm,psci-0.2");
	put_string(fdt, "method", "hvc");
	check(fdt_end_node(fdt));

	check(fdt_begin_node(fdt, "timer"));
	put_string(fdt, "compatible", "arm,armv8-timer");
	put_cells(fdt, "interrupts", GIC_PPI, 13, LEVEL_HIGH,
		  GIC_PPI, 14, LEVEL_HIGH, GIC_PPI, 11, LEVEL_HIGH,
		  GIC_PPI, 10, LEVEL_HIGH);
	put_flag(fdt, "always-on");
	check(fdt_end_node(fdt));
}

static void gic(void *fdt)
{
	open_node(fdt, "interrupt-controller", GICD_BASE);
	put_string(fdt, "compatible", "arm,gic-v3");
	put_flag(fdt, "interrupt-controller");
	put_cells(fdt, "#interrupt-cells", 3);
	put_cells(fdt, "#address-cells", 2);
	put_cells(fdt, "#size-cells", 2);
	put_flag(fdt, "ranges");
	put_cells(fdt, "reg", CELLS64(GICD_BASE), CELLS64(GICD_SIZE),
		  CELLS64(GICR_BASE), CELLS64(config.cpus * GICR_SIZE));
	put_cells(fdt, "phandle", PHANDLE_GIC);
	open_node(fdt, "msi-controller", ITS_BASE);
	put_string(fdt, "compatible", "arm,gic-v3-its");
	put_flag(fdt, "msi-controller");
	put_cells(fdt, "#msi-cells", 1);
	put_cells(fdt, "reg", CELLS64(ITS_BASE), CELLS64(ITS_SIZE));
	put_cells(fdt, "phandle", PHANDLE_ITS);
	check(fdt_end_node(fdt));
	check(fdt_end_node(fdt));
}

static void uart(void *fdt)
{
	open_node(fdt, "serial", UART_BASE);
	put_string(fdt, "compatible", "arm,sbsa-uart");
	put_cells(fdt, "reg", CELLS64(UART_BASE), CELLS64(UART_SIZE));
	put_cells(fdt, "interrupts", GIC_SPI, SPI_UART, LEVEL_HIGH);
	put_cells(fdt, "current-speed", 115200);
	check(fdt_end_node(fdt));
}

/* Linux's bus for Arm's PrimeCells wants a clock by this name, of whatever rate. */
static void rtc(void *fdt)
{
	check(fdt_begin_node(fdt, "clock"));
	put_string(fdt, "compatible", "fixed-clock");
	put_cells(fdt, "#clock-cells", 0);
	put_cells(fdt, "clock-frequency", 24000000);
	put_cells(fdt, "phandle", PHANDLE_CLOCK);
	check(fdt_end_node(fdt));

	open_node(fdt, "rtc", RTC_BASE);
	put_strings(fdt, "compatible", "arm,pl031\0arm,primecell");
	put_cells(fdt, "reg", CELLS64(RTC_BASE), CELLS64(RTC_SIZE));
	put_cells(fdt, "clocks", PHANDLE_CLOCK);
	put_string(fdt, "clock-names", "apb_pclk");
	check(fdt_end_node(fdt));
}

static void power_button(void *fdt)
{
	check(fdt_begin_node(fdt, "gpio-keys"));
	put_string(fdt, "compatible", "gpio-keys");
	check(fdt_begin_node(fdt, "power"));
	put_string(fdt, "label", "Power Button");
	put_cells(fdt, "linux,code", KEY_POWER);
	put_cells(fdt, "interrupts", GIC_SPI, SPI_POWER_BUTTON, EDGE_RISING);
	check(fdt_end_node(fdt));
	check(fdt_end_node(fdt));
}

/*
 * The host programs the MSIs of a passed-through device with an address in its
 * MSI window. The guest's stage 1 has to map that window one to one, for each
 * function that may ever be plugged. Linux does so for a region that is
 * reserved at the same place in both address spaces.
 */
static void msi_window(void *fdt)
{
	uint32_t cells[SMMU_MAX * SMMU_SLOTS * 6];
	unsigned int n, i, num = 0;

	for (n = 0; n < SMMU_MAX; n++) {
		for (i = 0; smmu_exists(n) && i < SMMU_SLOTS; i++) {
			const uint32_t entry[] = {
				PHANDLE_SLOT + smmu_slot(n) + i,
				PCI_MEM32, CELLS64(MSI_WINDOW_BASE),
				CELLS64(MSI_WINDOW_SIZE),
			};

			memcpy(&cells[num], entry, sizeof(entry));
			num += ARRAY_LEN(entry);
		}
	}
	check(fdt_begin_node(fdt, "reserved-memory"));
	put_cells(fdt, "#address-cells", 2);
	put_cells(fdt, "#size-cells", 2);
	put_flag(fdt, "ranges");
	open_node(fdt, "msi-window", MSI_WINDOW_BASE);
	put_cells(fdt, "reg", CELLS64(MSI_WINDOW_BASE), CELLS64(MSI_WINDOW_SIZE));
	put_flag(fdt, "no-map");
	put_cells(fdt, "phandle", PHANDLE_MSI_WINDOW);
	put_cell_array(fdt, "iommu-addresses", cells, num);
	check(fdt_end_node(fdt));
	check(fdt_end_node(fdt));
}

static void smmus(void *fdt)
{
	unsigned int n, spi;
	bool any = false;

	for (n = 0; n < SMMU_MAX; n++) {
		if (!smmu_exists(n))
			continue;
		any = true;
		spi = SPI_SMMU(n);
		open_node(fdt, "iommu", SMMU_BASE + n * SMMU_SIZE);
		put_string(fdt, "compatible", "arm,smmu-v3");
		put_cells(fdt, "reg", CELLS64(SMMU_BASE + n * SMMU_SIZE), CELLS64(SMMU_SIZE));
		put_cells(fdt, "interrupts", GIC_SPI, spi, EDGE_RISING,
			  GIC_SPI, spi + 1, EDGE_RISING, GIC_SPI, spi + 2, EDGE_RISING);
		put_strings(fdt, "interrupt-names", "eventq\0gerror\0cmdq-sync");
		put_cells(fdt, "#iommu-cells", 1);
		put_flag(fdt, "dma-coherent");
		put_cells(fdt, "phandle", PHANDLE_SMMU + n);
		check(fdt_end_node(fdt));
	}
	if (any)
		msi_window(fdt);
}

/* Say in the host bridge's node which functions are behind which vSMMU. */
static void iommu_map(void *fdt)
{
	uint32_t map[SMMU_MAX][4];
	unsigned int n, slot, i, num = 0;

	for (n = 0; n < SMMU_MAX; n++) {
		const uint32_t rid = slot_rid(smmu_slot(n));
		const uint32_t entry[] = { rid, PHANDLE_SMMU + n, rid, slot_rid(SMMU_SLOTS) };

		if (smmu_exists(n))
			memcpy(map[num++], entry, sizeof(entry));
	}
	if (num)
		put_cell_array(fdt, "iommu-map", map[0], 4 * num);
	for (n = 0; n < SMMU_MAX; n++) {
		for (i = 0; smmu_exists(n) && i < SMMU_SLOTS; i++) {
			slot = smmu_slot(n) + i;
			open_node(fdt, "dev", slot);
			put_cells(fdt, "reg", slot_rid(slot) << 8, 0, 0, 0, 0);
			put_cells(fdt, "memory-region", PHANDLE_MSI_WINDOW);
			put_cells(fdt, "phandle", PHANDLE_SLOT + slot);
			check(fdt_end_node(fdt));
		}
	}
}

static void pci(void *fdt)
{
	uint32_t map[PCI_SLOTS][10];
	unsigned int slot;

	open_node(fdt, "pcie", ECAM_BASE);
	put_string(fdt, "compatible", "pci-host-ecam-generic");
	put_string(fdt, "device_type", "pci");
	put_cells(fdt, "#address-cells", 3);
	put_cells(fdt, "#size-cells", 2);
	put_cells(fdt, "bus-range", 0, 0);
	put_cells(fdt, "reg", CELLS64(ECAM_BASE), CELLS64(ECAM_SIZE));
	put_cells(fdt, "ranges",
		  PCI_MEM32, CELLS64(PCI32_BASE), CELLS64(PCI32_BASE), CELLS64(PCI32_SIZE),
		  PCI_MEM64, CELLS64(PCI64_BASE), CELLS64(PCI64_BASE), CELLS64(PCI64_SIZE));
	put_flag(fdt, "dma-coherent");
	put_cells(fdt, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
	put_cells(fdt, "#interrupt-cells", 1);
	/* The slot selects the interrupt; the pin does not matter. */
	put_cells(fdt, "interrupt-map-mask", 0xf800, 0, 0, 0);
	for (slot = 0; slot < PCI_SLOTS; slot++) {
		const uint32_t entry[] = {
			slot << 11, 0, 0, 0, PHANDLE_GIC, 0, 0,
			GIC_SPI, SPI_INTX(slot), LEVEL_HIGH,
		};

		memcpy(map[slot], entry, sizeof(entry));
	}
	put_cell_array(fdt, "interrupt-map", map[0], sizeof(map) / sizeof(uint32_t));
	iommu_map(fdt);
	check(fdt_end_node(fdt));
}

/**
 * fdt_build - Write the device tree of the machine
 * @buf: where
 * @size: bytes in @buf
 * @initrd: guest physical address of the initramfs
 * @initrd_size: its size, or 0
 */
void fdt_build(void *buf, int size, uint64_t initrd, uint64_t initrd_size)
{
	void *fdt = buf, *seed;

	check(fdt_create(fdt, size));
	check(fdt_finish_reservemap(fdt));
	check(fdt_begin_node(fdt, ""));
	put_string(fdt, "compatible", "linux,dummy-virt");
	put_string(fdt, "model", "smmuv3-accel reference VMM");
	put_cells(fdt, "#address-cells", 2);
	put_cells(fdt, "#size-cells", 2);
	put_cells(fdt, "interrupt-parent", PHANDLE_GIC);

	check(fdt_begin_node(fdt, "chosen"));
	put_string(fdt, "bootargs", config.append);
	if (initrd_size) {
		put_cells(fdt, "linux,initrd-start", CELLS64(initrd));
		put_cells(fdt, "linux,initrd-end", CELLS64(initrd + initrd_size));
	}
	check(fdt_property_placeholder(fdt, "rng-seed", 64, &seed));
	if (getrandom(seed, 64, 0) != 64)
		die("no random numbers for the guest");
	check(fdt_end_node(fdt));

	open_node(fdt, "memory", RAM_BASE);
	put_string(fdt, "device_type", "memory");
	put_cells(fdt, "reg", CELLS64(RAM_BASE), CELLS64(config.mem));
	check(fdt_end_node(fdt));

	cpus(fdt);
	gic(fdt);
	uart(fdt);
	rtc(fdt);
	power_button(fdt);
	smmus(fdt);
	pci(fdt);
	check(fdt_end_node(fdt));
	check(fdt_finish(fdt));
}
