// SPDX-License-Identifier: GPL-2.0
/*
 * The PCI host bridge, with one bus of passed-through functions.
 *
 * The guest sees the first 256 bytes of a function's config space as VFIO shows
 * them, except for the bytes that are emulated here: BARs, and all about MSI
 * and MSI-X. There are no extended capabilities: ATS, PASID and SR-IOV would
 * each need to be virtualised. The config space determines what a function
 * does: each write ends in update(), which brings KVM and VFIO in line with it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "vmm.h"

#define CONFIG_SIZE	256
#define BARS		6
#define NO_MSI		-1

/*
 * @size is a power of 2, and at least a page, so that no two BARs share a page.
 * The pages of the MSI-X table are trapped; those before and after are mapped.
 */
struct bar {
	uint64_t size;
	uint64_t region_size;
	uint64_t offset;	/* in the VFIO device's file */
	uint8_t *map;
	bool wide;		/* a 64-bit BAR */
	struct {
		uint64_t start;
		uint64_t end;
		uint64_t gpa;	/* 0: not mapped now */
	} part[2];
};

struct vector {
	int fd;
	bool connected;		/* VFIO signals the eventfd */
	bool live;		/* KVM takes the eventfd's signals */
	uint32_t entry[4];	/* as in an MSI-X table */
};

struct pci_dev {
	struct vfio_dev vfio;
	unsigned int slot;
	uint8_t value[CONFIG_SIZE];	/* values of the emulated bytes */
	uint8_t writable[CONFIG_SIZE];	/* bits of these that the guest can write */
	bool emulated[CONFIG_SIZE];
	uint16_t command;
	struct bar bar[BARS];
	unsigned int msi_cap;		/* 0: none */
	unsigned int msix_cap;
	unsigned int vector_num;	/* of the MSI-X table */
	unsigned int table_bar;
	uint64_t table_offset;
	int msi_index;			/* VFIO_PCI_MSI*_IRQ_INDEX, or NO_MSI */
	struct vector vector[MSI_PER_SLOT];
	unsigned int vector_fds;	/* how many have an eventfd */
	bool intx;			/* INTx is enabled */
	int intx_fd;			/* VFIO's signal; -1: the device has no INTx */
	int irqfd;
	int resample_fd;
	bool shown;			/* to the guest */
};

/*
 * Held for the guest's accesses, and to change what it finds. The main thread alone plugs
 * and unplugs; it does not hold the lock while the host attaches or detaches a device.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pci_dev *slots[PCI_SLOTS];

/* The device that the guest finds in a slot, or NULL */
static struct pci_dev *shown(unsigned int slot)
{
	return slots[slot] && slots[slot]->shown ? slots[slot] : NULL;
}

static void show(struct pci_dev *dev, bool to_guest)
{
	pthread_mutex_lock(&lock);
	dev->shown = to_guest;
	pthread_mutex_unlock(&lock);
}

/* Config space */

static uint64_t config_read(struct pci_dev *dev, unsigned int reg,
			    unsigned int len)
{
	uint8_t bytes[4] = { 0xff, 0xff, 0xff, 0xff };
	uint32_t value;
	unsigned int i;

	if (pread(dev->vfio.fd, bytes, len, dev->vfio.config + reg) != len)
		memset(bytes, 0xff, sizeof(bytes));
	for (i = 0; i < len; i++)
		if (dev->emulated[reg + i])
			bytes[i] = dev->value[reg + i];
	memcpy(&value, bytes, sizeof(value));
	return len == 4 ? value : value & ((1U << 8 * len) - 1);
}

static uint32_t emulated_get(const struct pci_dev *dev, unsigned int reg,
			     unsigned int len)
{
	uint32_t value = 0;

	memcpy(&value, dev->value + reg, len);
	return value;
}

static void emulate(struct pci_dev *dev, unsigned int reg, unsigned int len,
		    uint32_t value, uint32_t writable)
{
	memcpy(dev->value + reg, &value, len);
	memcpy(dev->writable + reg, &writable, len);
	memset(dev->emulated + reg, true, len);
}

/* BARs */

static uint64_t bar_gpa(const struct pci_dev *dev, unsigned int i)
{
	unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
	uint64_t gpa = emulated_get(dev, reg, 4) & PCI_BASE_ADDRESS_MEM_MASK;

	if (dev->bar[i].wide)
		gpa |= (uint64_t)emulated_get(dev, reg + 4, 4) << 32;
	return gpa;
}

static bool in_window(uint64_t gpa, uint64_t size, uint64_t base,
		      uint64_t window)
{
	return gpa >= base && gpa - base < window && size <= window - (gpa - base);
}

/* The guest may put a BAR anywhere, but outside the windows it does not decode. */
static bool bar_decodes(const struct pci_dev *dev, unsigned int i)
{
	uint64_t gpa = bar_gpa(dev, i), size = dev->bar[i].size;

	return size && dev->command & PCI_COMMAND_MEMORY &&
	       (in_window(gpa, size, PCI32_BASE, PCI32_SIZE) ||
		in_window(gpa, size, PCI64_BASE, PCI64_SIZE));
}

/* KVM refuses a BAR that overlaps another; it stays unmapped. */
static void update_bar(struct pci_dev *dev, unsigned int i)
{
	uint64_t base = bar_decodes(dev, i) ? bar_gpa(dev, i) : 0, gpa;
	struct bar *bar = &dev->bar[i];
	unsigned int part, slot;

	for (part = 0; part < ARRAY_LEN(bar->part); part++) {
		if (bar->part[part].start == bar->part[part].end)
			continue;
		gpa = base ? base + bar->part[part].start : 0;
		if (gpa == bar->part[part].gpa)
			continue;
		slot = SLOT_BAR(dev->slot, i, part);
		if (bar->part[part].gpa)
			vm_map(slot, bar->part[part].gpa, 0, NULL, false);
		if (gpa && vm_map(slot, gpa, bar->part[part].end - bar->part[part].start,
				  bar->map + bar->part[part].start, false))
			gpa = 0;
		bar->part[part].gpa = gpa;
	}
}

/* MSI and MSI-X */

static bool msix_on(const struct pci_dev *dev)
{
	return dev->msix_cap && emulated_get(dev, dev->msix_cap + PCI_MSIX_FLAGS, 2) &
				PCI_MSIX_FLAGS_ENABLE;
}

static bool msi_on(const struct pci_dev *dev)
{
	return dev->msi_cap && emulated_get(dev, dev->msi_cap + PCI_MSI_FLAGS, 2) &
			       PCI_MSI_FLAGS_ENABLE;
}

static bool vector_wanted(const struct pci_dev *dev, const struct vector *vector)
{
	if (dev->msi_index == VFIO_PCI_MSI_IRQ_INDEX)
		return vector == dev->vector;
	return dev->msi_index == VFIO_PCI_MSIX_IRQ_INDEX &&
	       !(emulated_get(dev, dev->msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL) &&
	       !(vector->entry[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static uint32_t vector_data(const struct pci_dev *dev,
			    const struct vector *vector)
{
	unsigned int flags;

	if (dev->msi_index == VFIO_PCI_MSIX_IRQ_INDEX)
		return vector->entry[2];
	flags = emulated_get(dev, dev->msi_cap + PCI_MSI_FLAGS, 2);
	return emulated_get(dev, dev->msi_cap + (flags & PCI_MSI_FLAGS_64BIT ?
			    PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2);
}

/*
 * A vector that the guest masks stays connected in the host. Its eventfd keeps
 * a pending interrupt, and vm_irqfd() delivers that when the guest unmasks the
 * vector.
 */
static void update_vector(struct pci_dev *dev, unsigned int n)
{
	struct vector *vector = &dev->vector[n];
	unsigned int gsi = GSI_MSI(dev->slot, n);
	bool want = vector_wanted(dev, vector);

	if (want && !vector->connected) {
		vector->connected = true;
		if (vfio_irq_set(&dev->vfio, dev->msi_index, n,
				 VFIO_IRQ_SET_ACTION_TRIGGER, vector->fd))
			note("%s: no vector %u: %s", dev->vfio.bdf, n, strerror(errno));
	}
	if (want)
		vm_route_msi(gsi, dev->vfio.rid, vector_data(dev, vector));
	if (want == vector->live)
		return;
	vector->live = want;
	if (vm_irqfd(vector->fd, -1, gsi, want))
		note("%s: KVM_IRQFD: %s", dev->vfio.bdf, strerror(errno));
}

static void msi_switch(struct pci_dev *dev, int index)
{
	unsigned int i, old = dev->msi_index;

	if (index == dev->msi_index)
		return;
	dev->msi_index = NO_MSI;
	for (i = 0; i < dev->vector_fds; i++)
		update_vector(dev, i);
	if ((int)old != NO_MSI)
		vfio_irq_disable(&dev->vfio, old);
	for (i = 0; i < dev->vector_fds; i++) {
		eventfd_clear(dev->vector[i].fd);
		dev->vector[i].connected = false;
	}
	if (index == NO_MSI)
		return;
	if (vfio_irq_enable(&dev->vfio, index, index == VFIO_PCI_MSI_IRQ_INDEX ?
			    1 : dev->vector_num))
		note("%s: cannot enable MSIs: %s", dev->vfio.bdf, strerror(errno));
	else
		dev->msi_index = index;
}

static void update_msi(struct pci_dev *dev)
{
	unsigned int i, num;

	msi_switch(dev, msix_on(dev) ? VFIO_PCI_MSIX_IRQ_INDEX :
			msi_on(dev) ? VFIO_PCI_MSI_IRQ_INDEX : NO_MSI);
	num = dev->msi_index == VFIO_PCI_MSIX_IRQ_INDEX ? dev->vector_num :
	      dev->msi_index == VFIO_PCI_MSI_IRQ_INDEX;
	for (i = 0; i < num; i++)
		update_vector(dev, i);
}

/*
 * INTx is level triggered: VFIO masks it, and the main thread raises the SPI.
 * When the guest has handled the interrupt, KVM lowers the SPI and has VFIO
 * unmask INTx. KVM could also raise it, by the irqfd, but Linux 7.3 then kicks
 * all vCPUs in hard interrupt context, and warns that this can deadlock.
 */
static void intx_ready(void *arg)
{
	struct pci_dev *dev = arg;

	pthread_mutex_lock(&lock);
	if (eventfd_clear(dev->intx_fd) && dev->intx)
		vm_irq_line(SPI_INTX(dev->slot), true);
	pthread_mutex_unlock(&lock);
}

static void intx_off(struct pci_dev *dev)
{
	if (!dev->intx)
		return;
	vfio_irq_disable(&dev->vfio, VFIO_PCI_INTX_IRQ_INDEX);
	vm_irqfd(dev->irqfd, -1, SPI_INTX(dev->slot), false);
	vm_irq_line(SPI_INTX(dev->slot), false);
	eventfd_clear(dev->intx_fd);
	eventfd_clear(dev->resample_fd);
	dev->intx = false;
}

static void intx_on(struct pci_dev *dev)
{
	if (dev->intx)
		return;
	dev->intx = true;
	if (vm_irqfd(dev->irqfd, dev->resample_fd, SPI_INTX(dev->slot), true) ||
	    vfio_irq_set(&dev->vfio, VFIO_PCI_INTX_IRQ_INDEX, 0,
			 VFIO_IRQ_SET_ACTION_TRIGGER, dev->intx_fd) ||
	    vfio_irq_set(&dev->vfio, VFIO_PCI_INTX_IRQ_INDEX, 0,
			 VFIO_IRQ_SET_ACTION_UNMASK, dev->resample_fd))
		note("%s: no INTx: %s", dev->vfio.bdf, strerror(errno));
}

static bool intx_wanted(struct pci_dev *dev)
{
	return dev->msi_index == NO_MSI && dev->command & PCI_COMMAND_MEMORY &&
	       !(dev->command & PCI_COMMAND_INTX_DISABLE) && dev->intx_fd >= 0;
}

/*
 * Bring KVM and VFIO in line with the config space. VFIO enables one kind of
 * interrupt at a time.
 */
static void update(struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < BARS; i++)
		update_bar(dev, i);
	if (msi_on(dev) || msix_on(dev) || !intx_wanted(dev))
		intx_off(dev);
	update_msi(dev);
	if (intx_wanted(dev))
		intx_on(dev);
}

static void config_write(struct pci_dev *dev, unsigned int reg,
			 unsigned int len, uint32_t value)
{
	const uint8_t *byte = (const uint8_t *)&value;
	unsigned int i, emulated = 0;

	/* Unmap BARs before decoding ends: VFIO takes the memory away at once. */
	if (reg == PCI_COMMAND && !(value & PCI_COMMAND_MEMORY)) {
		dev->command &= ~PCI_COMMAND_MEMORY;
		update(dev);
	}
	for (i = 0; i < len; i++)
		emulated += dev->emulated[reg + i];
	if (!emulated &&
	    pwrite(dev->vfio.fd, &value, len, dev->vfio.config + reg) != len)
		note("%s: config space, write to %#x failed", dev->vfio.bdf, reg);
	for (i = 0; emulated && i < len; i++) {
		if (!dev->emulated[reg + i]) {
			if (pwrite(dev->vfio.fd, &byte[i], 1, dev->vfio.config + reg + i) != 1)
				note("%s: config space, write to %#x failed",
				     dev->vfio.bdf, reg + i);
			continue;
		}
		dev->value[reg + i] &= ~dev->writable[reg + i];
		dev->value[reg + i] |= byte[i] & dev->writable[reg + i];
	}
	if ((reg & ~3U) == PCI_COMMAND)
		dev->command = config_read(dev, PCI_COMMAND, 2);
	update(dev);
}

void pci_ecam_access(struct access *a)
{
	unsigned int slot = a->offset >> 15, reg = a->offset & 0xfff;
	struct pci_dev *dev = NULL;

	pthread_mutex_lock(&lock);
	if (!(a->offset >> 12 & 7))
		dev = shown(slot);
	if (!dev || a->len > 4 || reg % a->len)
		a->value = ~0ULL;
	else if (reg >= CONFIG_SIZE)
		a->value = 0;	/* the end of the extended capabilities */
	else if (a->write)
		config_write(dev, reg, a->len, a->value);
	else
		a->value = config_read(dev, reg, a->len);
	pthread_mutex_unlock(&lock);
}

/* Access memory that is not mapped: the pages of the MSI-X table, or a whole BAR. */

static void table_access(struct pci_dev *dev, uint64_t offset,
			 struct access *a)
{
	unsigned int n = offset / PCI_MSIX_ENTRY_SIZE;
	uint8_t *entry;

	if (a->len < 4 || offset % a->len || n >= dev->vector_num) {
		a->value = 0;
		return;
	}
	entry = (uint8_t *)dev->vector[n].entry + offset % PCI_MSIX_ENTRY_SIZE;
	if (!a->write) {
		memcpy(&a->value, entry, a->len);
		return;
	}
	memcpy(entry, &a->value, a->len);
	if (dev->msi_index == VFIO_PCI_MSIX_IRQ_INDEX)
		update_vector(dev, n);
}

static enum exit_class bar_access(struct pci_dev *dev, unsigned int i,
				  uint64_t offset, struct access *a)
{
	struct bar *bar = &dev->bar[i];
	uint64_t table_size = dev->vector_num * PCI_MSIX_ENTRY_SIZE;
	ssize_t n;

	if (i == dev->table_bar && offset >= dev->table_offset &&
	    offset - dev->table_offset < table_size) {
		table_access(dev, offset - dev->table_offset, a);
		return EXIT_MSIX;
	}
	if (!a->write)
		a->value = ~0ULL;
	if (offset > bar->region_size || a->len > bar->region_size - offset)
		return EXIT_OTHER;
	if (a->write)
		n = pwrite(dev->vfio.fd, &a->value, a->len, bar->offset + offset);
	else
		n = pread(dev->vfio.fd, &a->value, a->len, bar->offset + offset);
	(void)n;	/* no function there: loads are all ones, stores are lost */
	return EXIT_OTHER;
}

enum exit_class pci_mem_access(uint64_t addr, struct access *a)
{
	enum exit_class class = EXIT_OTHER;
	struct pci_dev *dev;
	unsigned int slot, i;
	uint64_t gpa;

	if (!a->write)
		a->value = ~0ULL;
	pthread_mutex_lock(&lock);
	for (slot = 0; slot < PCI_SLOTS; slot++) {
		dev = shown(slot);
		for (i = 0; dev && i < BARS; i++) {
			gpa = bar_gpa(dev, i);
			if (!bar_decodes(dev, i) || addr < gpa ||
			    addr - gpa >= dev->bar[i].size)
				continue;
			class = bar_access(dev, i, addr - gpa, a);
			goto out;
		}
	}
out:
	pthread_mutex_unlock(&lock);
	return class;
}

/* Plugging in */

static unsigned int find_cap(struct pci_dev *dev, unsigned int id)
{
	unsigned int pos = PCI_CAPABILITY_LIST, tries = 48;

	if (!(config_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	while (tries--) {
		pos = config_read(dev, pos, 1) & ~3U;
		if (pos < PCI_STD_HEADER_SIZEOF)
			return 0;
		if (config_read(dev, pos + PCI_CAP_LIST_ID, 1) == id)
			return pos;
		pos += PCI_CAP_LIST_NEXT;
	}
	return 0;
}

static void setup_msi(struct pci_dev *dev)
{
	unsigned int flags, len;

	dev->msi_cap = find_cap(dev, PCI_CAP_ID_MSI);
	if (!dev->msi_cap)
		return;
	/* One vector, not maskable */
	flags = config_read(dev, dev->msi_cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT;
	len = flags ? PCI_MSI_DATA_64 + 4 : PCI_MSI_DATA_32 + 4;
	if (dev->msi_cap + len > CONFIG_SIZE) {
		dev->msi_cap = 0;
		return;
	}
	emulate(dev, dev->msi_cap + PCI_MSI_FLAGS, 2, flags, PCI_MSI_FLAGS_ENABLE);
	emulate(dev, dev->msi_cap + PCI_MSI_ADDRESS_LO, 4, 0, ~3U);
	if (flags)
		emulate(dev, dev->msi_cap + PCI_MSI_ADDRESS_HI, 4, 0, ~0U);
	emulate(dev, dev->msi_cap + len - 4, 4, 0, 0xffff);
}

static void setup_msix(struct pci_dev *dev)
{
	uint32_t table;

	dev->msix_cap = find_cap(dev, PCI_CAP_ID_MSIX);
	dev->vector_num = vfio_irq_count(&dev->vfio, VFIO_PCI_MSIX_IRQ_INDEX);
	if (!dev->msix_cap || dev->msix_cap + PCI_CAP_MSIX_SIZEOF > CONFIG_SIZE ||
	    !dev->vector_num) {
		dev->msix_cap = 0;
		dev->vector_num = 0;
		return;
	}
	if (dev->vector_num > MSI_PER_SLOT)
		dev->vector_num = MSI_PER_SLOT;
	emulate(dev, dev->msix_cap + PCI_MSIX_FLAGS, 2, dev->vector_num - 1,
		PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	table = config_read(dev, dev->msix_cap + PCI_MSIX_TABLE, 4);
	dev->table_bar = table & PCI_MSIX_TABLE_BIR;
	dev->table_offset = table & PCI_MSIX_TABLE_OFFSET;
}

static int setup_bar(struct pci_dev *dev, unsigned int i)
{
	unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
	uint64_t page = sysconf(_SC_PAGESIZE), table_end;
	uint32_t type = config_read(dev, reg, 4);
	struct vfio_region_info info;
	struct bar *bar = &dev->bar[i];

	emulate(dev, reg, 4, 0, 0);
	if (vfio_region(&dev->vfio, i, &info) || !info.size ||
	    type & PCI_BASE_ADDRESS_SPACE_IO)
		return 0;
	bar->region_size = info.size;
	bar->offset = info.offset;
	bar->size = page;
	while (bar->size < info.size)
		bar->size <<= 1;
	bar->wide = type & PCI_BASE_ADDRESS_MEM_TYPE_64 && i + 1 < BARS;
	emulate(dev, reg, 4, type & ~PCI_BASE_ADDRESS_MEM_MASK, -bar->size);
	if (bar->wide)
		emulate(dev, reg + 4, 4, 0, -bar->size >> 32);
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return bar->wide;
	bar->map = mmap(NULL, ALIGN_UP(info.size, page), PROT_READ | PROT_WRITE,
			MAP_SHARED, dev->vfio.fd, info.offset);
	if (bar->map == MAP_FAILED) {
		bar->map = NULL;	/* each access will exit */
		return bar->wide;
	}
	bar->part[0].end = ALIGN_UP(info.size, page);
	if (dev->msix_cap && i == dev->table_bar && dev->table_offset < info.size) {
		table_end = ALIGN_UP(dev->table_offset +
				     dev->vector_num * PCI_MSIX_ENTRY_SIZE, page);
		if (table_end < bar->part[0].end) {
			bar->part[1].start = table_end;
			bar->part[1].end = bar->part[0].end;
		}
		bar->part[0].end = dev->table_offset & ~(page - 1);
	}
	return bar->wide;
}

/*
 * Put the config space back to its state after reset. The function decodes
 * nothing and does no DMA then, even if it has no reset of its own; VFIO keeps
 * that over a reset. BARs are unmapped first, as in config_write().
 */
static void reset_config(struct pci_dev *dev)
{
	const uint16_t command = 0;
	unsigned int i;

	for (i = 0; i < CONFIG_SIZE; i++)
		dev->value[i] &= ~dev->writable[i];
	for (i = 0; i < MSI_PER_SLOT; i++) {
		memset(dev->vector[i].entry, 0, sizeof(dev->vector[i].entry));
		dev->vector[i].entry[3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	dev->command = command;
	update(dev);
	if (pwrite(dev->vfio.fd, &command, sizeof(command),
		   dev->vfio.config + PCI_COMMAND) != sizeof(command))
		say("%s: its command register cannot be reset", dev->vfio.bdf);
}

static void close_events(struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->vector_fds; i++)
		close(dev->vector[i].fd);
	if (dev->intx_fd < 0)
		return;
	event_del(dev->intx_fd);
	close(dev->intx_fd);
	close(dev->irqfd);
	close(dev->resample_fd);
}

/* Open all eventfds that the guest may ever need now: later there may be no descriptors. */
static int open_events(struct pci_dev *dev)
{
	unsigned int num = dev->vector_num;
	int fd;

	if (!num && dev->msi_cap)
		num = 1;
	while (dev->vector_fds < num) {
		fd = eventfd_make();
		if (fd < 0)
			goto err;
		dev->vector[dev->vector_fds++].fd = fd;
	}
	if (!config_read(dev, PCI_INTERRUPT_PIN, 1))
		return 0;
	dev->irqfd = eventfd_make();
	dev->resample_fd = eventfd_make();
	dev->intx_fd = eventfd_make();
	if (dev->irqfd >= 0 && dev->resample_fd >= 0 && dev->intx_fd >= 0 &&
	    !event_add(dev->intx_fd, intx_ready, dev))
		return 0;
	close(dev->irqfd);
	close(dev->resample_fd);
	close(dev->intx_fd);
	dev->intx_fd = -1;
err:
	close_events(dev);
	return fail("%s: not enough file descriptors for %u interrupt vectors (ulimit -n)",
		    dev->vfio.bdf, num);
}

static int setup(struct pci_dev *dev)
{
	unsigned int i, header;

	dev->msi_index = NO_MSI;
	dev->intx_fd = -1;
	header = config_read(dev, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK;
	if (header != PCI_HEADER_TYPE_NORMAL)
		return fail("%s: a bridge cannot be passed through", dev->vfio.bdf);
	emulate(dev, PCI_HEADER_TYPE, 1, header, 0);
	emulate(dev, PCI_ROM_ADDRESS, 4, 0, 0);
	emulate(dev, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	if (!vfio_irq_count(&dev->vfio, VFIO_PCI_INTX_IRQ_INDEX))
		emulate(dev, PCI_INTERRUPT_PIN, 1, 0, 0);
	setup_msi(dev);
	setup_msix(dev);
	if (open_events(dev))
		return -1;
	for (i = 0; i < BARS; i++)
		i += setup_bar(dev, i);
	reset_config(dev);
	return 0;
}

static void host_wants_it_back(void *arg)
{
	const struct pci_dev *dev = arg;
	unsigned int slot = dev->slot;
	char bdf[sizeof(dev->vfio.bdf)];

	/* If the device stays, the host asks again. */
	eventfd_clear(dev->vfio.request_fd);
	strcpy(bdf, dev->vfio.bdf);
	if (pci_unplug(slot))
		say("%s: the host wants it back, but it stays in slot %u: %s", bdf, slot,
		    failure());
	else
		say("%s: the host wants it back, unplugged from slot %u", bdf, slot);
}

/* Return: a number below @max, or -1 */
static int parse_number(const char *text, int max)
{
	uint64_t value;

	return number_parse(text, "", max - 1, &value) ? (int)value : -1;
}

#define SMMU_UNSAID	-2

/* Choose the vSMMU that the option names, else that of the slot, else the first. */
static int choose_slot(struct vfio_dev *vfio, int smmu, int slot)
{
	int first, end;

	if (smmu == SMMU_UNSAID)
		smmu = slot < 0 ? smmu_first() : slot / SMMU_SLOTS - 1;
	if (smmu != SMMU_NONE && !smmu_exists(smmu))
		return fail("%s: there is no vSMMU %d", vfio->bdf, smmu);
	first = smmu_slot(smmu);
	end = first + SMMU_SLOTS;
	if (slot < 0)
		for (slot = first; slot < end && slots[slot]; slot++)
			;
	if (slot < first || slot >= end)
		return fail("%s: it needs a free slot, one of %d to %d", vfio->bdf,
			    first, end - 1);
	if (slots[slot])
		return fail("slot %d is taken by %s", slot, slots[slot]->vfio.bdf);
	vfio->smmu = smmu;
	return slot;
}

static int parse(const char *options, struct pci_dev *dev)
{
	unsigned int domain, bus, device, function, i;
	int len = 0, smmu = SMMU_UNSAID, slot = -1;
	char text[OPTIONS_MAX], *option, *rest = text;

	if ((size_t)snprintf(text, sizeof(text), "%s", options) >= sizeof(text))
		return fail("a device's options are too long");
	option = strsep(&rest, ",");
	if (sscanf(option, "%4x:%2x:%2x.%1u%n", &domain, &bus, &device, &function,
		   &len) != 4 || option[len])
		return fail("'%s' is no PCI address like 0000:00:01.0", option);
	snprintf(dev->vfio.bdf, sizeof(dev->vfio.bdf), "%04x:%02x:%02x.%u",
		 domain, bus, device, function);
	while ((option = strsep(&rest, ","))) {
		if (!strcmp(option, "vsmmu=none")) {
			smmu = SMMU_NONE;
		} else if (!strncmp(option, "vsmmu=", 6)) {
			smmu = parse_number(option + 6, SMMU_MAX);
			if (smmu < 0)
				return fail("'%s': 0 to %u, or none", option, SMMU_MAX - 1);
		} else if (!strncmp(option, "slot=", 5)) {
			slot = parse_number(option + 5, PCI_SLOTS);
			if (slot < 0)
				return fail("'%s': 0 to %u", option, PCI_SLOTS - 1);
		} else {
			return fail("a device has no option '%s'", option);
		}
	}
	for (i = 0; i < PCI_SLOTS; i++)
		if (slots[i] && !strcmp(slots[i]->vfio.bdf, dev->vfio.bdf))
			return fail("%s is in slot %u already", dev->vfio.bdf, i);
	slot = choose_slot(&dev->vfio, smmu, slot);
	if (slot < 0)
		return -1;
	dev->slot = slot;
	dev->vfio.rid = slot_rid(slot);
	return 0;
}

static void set_slot(unsigned int slot, struct pci_dev *dev)
{
	pthread_mutex_lock(&lock);
	slots[slot] = dev;
	pthread_mutex_unlock(&lock);
}

/**
 * pci_add - Open a device and give it a slot
 * @options: BDF[,vsmmu=N|none][,slot=S]
 *
 * Return: the slot, for pci_connect(), or -1 after fail()
 */
int pci_add(const char *options)
{
	struct pci_dev *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return fail("no memory");
	if (parse(options, dev) || vfio_open(&dev->vfio))
		goto err_free;
	if (dev->vfio.smmu != SMMU_NONE && smmu_probe(&dev->vfio))
		goto err_close;
	set_slot(dev->slot, dev);
	return dev->slot;
err_close:
	vfio_close(&dev->vfio);
err_free:
	free(dev);
	return -1;
}

static void remove_dev(struct pci_dev *dev)
{
	set_slot(dev->slot, NULL);
	vfio_close(&dev->vfio);
	free(dev);
}

static void unmap_bars(struct pci_dev *dev)
{
	unsigned int i;

	for (i = 0; i < BARS; i++)
		if (dev->bar[i].map)
			munmap(dev->bar[i].map,
			       ALIGN_UP(dev->bar[i].region_size, sysconf(_SC_PAGESIZE)));
}

/* pci_connect() has failed. Its reason stays the monitor's answer. */
static void undo_attach(struct pci_dev *dev)
{
	char why[512];

	snprintf(why, sizeof(why), "%s", failure());
	if (dev->vfio.smmu != SMMU_NONE && smmu_detach(&dev->vfio))
		say("%s: it cannot be detached: %s", dev->vfio.bdf, failure());
	fail("%s", why);
}

/**
 * pci_connect - Attach an added device to its SMMU and show it to the guest
 * @slot: from pci_add()
 *
 * On failure the slot is empty again.
 *
 * Return: 0, or -1 after fail()
 */
int pci_connect(unsigned int slot)
{
	struct pci_dev *dev = slots[slot];

	/* Before any interrupt is set up: MSIs are DMA. */
	if (dev->vfio.smmu != SMMU_NONE ? smmu_attach(&dev->vfio) : vfio_attach_ioas(&dev->vfio))
		goto err_remove;
	if (setup(dev))
		goto err_detach;
	if (event_add(dev->vfio.request_fd, host_wants_it_back, dev))
		goto err_unset;
	show(dev, true);
	return 0;
err_unset:
	unmap_bars(dev);
	close_events(dev);
err_detach:
	undo_attach(dev);
err_remove:
	remove_dev(dev);
	return -1;
}

/* Plug a device into the running machine. The guest finds it on a rescan. */
int pci_plug(const char *options)
{
	int slot = pci_add(options);

	return slot < 0 || pci_connect(slot) ? -1 : slot;
}

/**
 * pci_unplug - Take a device away
 * @slot: where it is
 *
 * Never waits for the guest: its later loads from there return all ones. If the
 * device cannot be detached it stays in its slot, reset and with bus mastering
 * off; the caller may try again.
 *
 * Return: 0, or -1 after fail()
 */
int pci_unplug(unsigned int slot)
{
	struct pci_dev *dev = slot < PCI_SLOTS ? slots[slot] : NULL;

	if (!dev)
		return fail("slot %u is empty", slot);
	pthread_mutex_lock(&lock);
	reset_config(dev);
	dev->shown = false;
	pthread_mutex_unlock(&lock);
	if (dev->vfio.smmu != SMMU_NONE && smmu_detach(&dev->vfio)) {
		show(dev, true);
		return -1;
	}
	event_del(dev->vfio.request_fd);
	unmap_bars(dev);
	close_events(dev);
	remove_dev(dev);
	return 0;
}

/* Reset all devices with the machine. The caller has stopped the vCPUs. */
void pci_reset(void)
{
	unsigned int slot;

	for (slot = 0; slot < PCI_SLOTS; slot++) {
		if (!slots[slot])
			continue;
		reset_config(slots[slot]);
		vfio_reset(&slots[slot]->vfio);
	}
}
