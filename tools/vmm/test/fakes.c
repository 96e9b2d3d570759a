// SPDX-License-Identifier: GPL-2.0
/*
 * What is around the file under test: a weak version of each VMM function,
 * which the real one replaces if it is in the program.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <linux/vfio.h>

#include "test.h"

#define __weak	__attribute__((weak))

struct fake fake;

/* vm.c */

__weak void vm_irq_line(unsigned int spi, bool level)
{
	fake.irq_edges += level && !fake.irq_line;
	fake.irq_spi = spi;
	fake.irq_line = level;
}

__weak int vm_map(unsigned int slot, uint64_t gpa, uint64_t size, void *host,
		  bool readonly)
{
	(void)slot;
	(void)gpa;
	(void)host;
	(void)readonly;
	fake.maps += size ? 1 : -1;
	return 0;
}

__weak int vm_irqfd(int fd, int resample_fd, unsigned int gsi, bool assign)
{
	(void)resample_fd;
	(void)gsi;
	(void)assign;
	return fd < 0 ? -1 : 0;
}

__weak void vm_route_msi(unsigned int gsi, uint32_t devid, uint32_t data)
{
	(void)gsi;
	(void)devid;
	(void)data;
}

__weak int vm_coalesce(uint64_t gpa, uint32_t size, bool on)
{
	(void)gpa;
	(void)size;
	(void)on;
	return 0;
}

__weak void *vm_coalesced_ring(void)
{
	return fake.ring;
}

__weak uint64_t vm_exits(enum exit_class class)
{
	return class;
}

/* vfio.c: config space and one BAR are in a memfd, one after the other. */

#define CONFIG_SIZE	4096
#define BAR_SIZE	0x4000

__weak int vfio_open(struct vfio_dev *dev)
{
	dev->fd = memfd_create("device", MFD_CLOEXEC);
	if (dev->fd < 0 || ftruncate(dev->fd, CONFIG_SIZE + BAR_SIZE))
		abort();
	dev->config = 0;
	dev->request_fd = eventfd_make();
	return 0;
}

__weak void vfio_close(struct vfio_dev *dev)
{
	close(dev->fd);
	close(dev->request_fd);
}

__weak int vfio_attach_ioas(struct vfio_dev *dev)
{
	(void)dev;
	return 0;
}

__weak void vfio_reset(struct vfio_dev *dev)
{
	fake.resets++;
	if (fake.at_reset)
		fake.at_reset(dev);
}

__weak int vfio_region(struct vfio_dev *dev, unsigned int index,
		       struct vfio_region_info *info)
{
	(void)dev;
	*info = (struct vfio_region_info) {
		.size = index ? 0 : BAR_SIZE,
		.offset = CONFIG_SIZE,
		.flags = VFIO_REGION_INFO_FLAG_MMAP,
	};
	return 0;
}

__weak unsigned int vfio_irq_count(struct vfio_dev *dev, unsigned int index)
{
	(void)dev;
	return index == VFIO_PCI_MSIX_IRQ_INDEX ? fake.vectors : 1;
}

__weak int vfio_irq_enable(struct vfio_dev *dev, unsigned int index,
			   unsigned int count)
{
	(void)dev;
	(void)index;
	(void)count;
	return 0;
}

__weak int vfio_irq_set(struct vfio_dev *dev, unsigned int index, unsigned int n,
			uint32_t action, int fd)
{
	(void)dev;
	(void)index;
	(void)n;
	(void)action;
	return fd < 0 ? -1 : 0;
}

__weak void vfio_irq_disable(struct vfio_dev *dev, unsigned int index)
{
	(void)dev;
	(void)index;
}

/* smmu.c */

__weak bool smmu_exists(unsigned int smmu)
{
	return !smmu;
}

__weak int smmu_first(void)
{
	return 0;
}

__weak int smmu_probe(struct vfio_dev *dev)
{
	(void)dev;
	return 0;
}

__weak int smmu_attach(struct vfio_dev *dev)
{
	(void)dev;
	if (fake.at_attach)
		fake.at_attach();
	return 0;
}

__weak int smmu_detach(struct vfio_dev *dev)
{
	(void)dev;
	fake.detaches++;
	if (fake.at_attach)
		fake.at_attach();
	return fake.detach_rc ? fail("the module says no") : 0;
}

__weak void smmu_set_prod(unsigned int n, uint32_t prod)
{
	(void)n;
	fake.doorbells++;
	fake.prod = prod;
}

__weak void smmu_kick(unsigned int n)
{
	(void)n;
	__atomic_fetch_add(&fake.kicks, 1, __ATOMIC_RELEASE);
	if (fake.at_kick)
		fake.at_kick();
}

__weak void smmu_retry(unsigned int n)
{
	(void)n;
	fake.retries++;
}

__weak void smmu_stats(FILE *out)
{
	(void)out;
}

/* pci.c */

__weak int pci_plug(const char *options)
{
	return fail("%s", options);
}

__weak int pci_unplug(unsigned int slot)
{
	return fake.unplug_rc ? fail("slot %u stays", slot) : 0;
}

/* poll.c */

__weak void poll_add(unsigned int n, uint64_t gpa)
{
	(void)n;
	(void)gpa;
}

__weak void poll_drain(void)
{
	fake.drains++;
}

__weak bool poll_is_switching(void)
{
	return fake.switching;
}

__weak void poll_if_busy(void)
{
	fake.busy++;
}

__weak uint64_t poll_count(void)
{
	return 0;
}
