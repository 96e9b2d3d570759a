// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>

#include "vmm.h"

struct vcpu {
	int fd;
	pthread_t thread;
	struct kvm_run *run;
};

static int kvm_fd = -1, vm_fd = -1, gic_fd, its_fd;
static struct vcpu vcpus[CPUS_MAX];
static int run_size;
static uint64_t exits[EXIT_CLASSES];

static pthread_mutex_t route_lock = PTHREAD_MUTEX_INITIALIZER;
static struct route {
	bool valid;
	uint32_t devid;
	uint32_t data;
} routes[GSI_NUM - SPI_NUM];

static int device_attr(int fd, uint32_t group, uint64_t attr, void *value)
{
	struct kvm_device_attr args = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &args);
}

static int create_device(uint32_t type, const char *name)
{
	struct kvm_create_device args = { .type = type };

	if (ioctl(vm_fd, KVM_CREATE_DEVICE, &args))
		die("KVM has no %s: %s", name, strerror(errno));
	return args.fd;
}

static void gic_create(void)
{
	uint64_t dist = GICD_BASE, redist = GICR_BASE, its = ITS_BASE;
	uint32_t irqs = 32 + SPI_NUM;

	gic_fd = create_device(KVM_DEV_TYPE_ARM_VGIC_V3, "virtual GICv3");
	if (device_attr(gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs) ||
	    device_attr(gic_fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			KVM_VGIC_V3_ADDR_TYPE_DIST, &dist) ||
	    device_attr(gic_fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist) ||
	    device_attr(gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			KVM_DEV_ARM_VGIC_CTRL_INIT, NULL))
		die("cannot set up the GIC: %s", strerror(errno));
	its_fd = create_device(KVM_DEV_TYPE_ARM_VGIC_ITS, "virtual ITS");
	if (device_attr(its_fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			KVM_VGIC_ITS_ADDR_TYPE, &its) ||
	    device_attr(its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			KVM_DEV_ARM_VGIC_CTRL_INIT, NULL))
		die("cannot set up the ITS: %s", strerror(errno));
}

static void vcpu_create(unsigned int i)
{
	struct vcpu *vcpu = &vcpus[i];
	struct kvm_vcpu_init init;

	vcpu->fd = ioctl(vm_fd, KVM_CREATE_VCPU, i);
	if (vcpu->fd < 0)
		die("cannot create vCPU %u: %s", i, strerror(errno));
	if (ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init))
		die("KVM_ARM_PREFERRED_TARGET: %s", strerror(errno));
	memset(init.features, 0, sizeof(init.features));
	init.features[0] = 1U << KVM_ARM_VCPU_PSCI_0_2;
	if (i)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		die("cannot set up vCPU %u: %s", i, strerror(errno));
	vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die("cannot map vCPU %u: %s", i, strerror(errno));
}

/**
 * vm_create - Make a VM without memory
 *
 * A reset machine gets a new VM, so that no state of the GIC or of a vCPU is
 * left.
 */
void vm_create(void)
{
	unsigned int i;

	if (kvm_fd < 0) {
		kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
		if (kvm_fd < 0)
			die("/dev/kvm: %s: this machine has no KVM, or not for you",
			    strerror(errno));
		if (ioctl(kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
			die("/dev/kvm has another API version");
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE) < 40)
			die("KVM has less than 40 bits of guest physical address");
		run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
		if (run_size < 0)
			die("KVM_GET_VCPU_MMAP_SIZE: %s", strerror(errno));
	}
	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(40));
	if (vm_fd < 0)
		die("KVM_CREATE_VM: %s", strerror(errno));
	for (i = 0; i < config.cpus; i++)
		vcpu_create(i);
	gic_create();
	memset(routes, 0, sizeof(routes));
	if (vm_map(SLOT_RAM, RAM_BASE, config.mem, ram, false))
		die("KVM does not take the guest's RAM: %s", strerror(errno));
}

/* Memory, interrupts */

/**
 * vm_has_fwb - Whether guests' loads always see what is in the host's caches
 *
 * KVM maps a device's memory cacheable for a guest only if FEAT_S2FWB overrides
 * the memory type that the guest chooses.
 *
 * Return: false if they may not, or if the VMM cannot find out.
 */
bool vm_has_fwb(void)
{
	return ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_CACHEABLE_PFNMAP_SUPPORTED) > 0;
}

/**
 * vm_map - Map memory for the guest, or unmap it
 * @slot: KVM's number for it
 * @gpa: guest physical address
 * @size: bytes; 0: unmap
 * @host: its address in this process
 * @readonly: the guest's stores exit
 *
 * Return: 0, or -1 with errno
 */
int vm_map(unsigned int slot, uint64_t gpa, uint64_t size, void *host,
	   bool readonly)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/**
 * vm_irqfd - Let an eventfd raise an interrupt without an exit
 * @fd: the eventfd
 * @resample_fd: signalled when the guest has handled a level interrupt, or -1
 * @gsi: an SPI, or an MSI set with vm_route_msi()
 * @assign: true to connect the eventfd, false to disconnect it
 *
 * A signal from before the call is delivered now.
 *
 * Return: 0, or -1 with errno
 */
int vm_irqfd(int fd, int resample_fd, unsigned int gsi, bool assign)
{
	struct kvm_irqfd args = {
		.fd = fd,
		.gsi = gsi,
	};

	if (!assign)
		args.flags |= KVM_IRQFD_FLAG_DEASSIGN;
	if (resample_fd >= 0) {
		args.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		args.resamplefd = resample_fd;
	}
	return ioctl(vm_fd, KVM_IRQFD, &args);
}

/**
 * vm_route_msi - Set the MSI that a GSI delivers
 * @gsi: the GSI
 * @devid: the ITS's device ID
 * @data: the event ID
 *
 * The address is always the ITS's doorbell. The guest's driver may have written
 * another one into the device: behind an SMMU it is an IOVA.
 */
void vm_route_msi(unsigned int gsi, uint32_t devid, uint32_t data)
{
	static struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entries[GSI_NUM];
	} table;
	struct route *route = &routes[gsi - SPI_NUM];
	struct kvm_irq_routing_entry *e = table.entries;
	unsigned int i;

	pthread_mutex_lock(&route_lock);
	if (route->valid && route->devid == devid && route->data == data)
		goto out;
	*route = (struct route){ .valid = true, .devid = devid, .data = data };
	memset(&table, 0, sizeof(table));
	for (i = 0; i < SPI_NUM; i++, e++) {
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.pin = i;
	}
	for (i = 0; i < ARRAY_LEN(routes); i++) {
		if (!routes[i].valid)
			continue;
		e->gsi = SPI_NUM + i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->flags = KVM_MSI_VALID_DEVID;
		e->u.msi.address_lo = ITS_BASE + 0x10040;	/* GITS_TRANSLATER */
		e->u.msi.data = routes[i].data;
		e->u.msi.devid = routes[i].devid;
		e++;
	}
	table.header.nr = e - table.entries;
	if (ioctl(vm_fd, KVM_SET_GSI_ROUTING, &table))
		note("KVM_SET_GSI_ROUTING: %s", strerror(errno));
out:
	pthread_mutex_unlock(&route_lock);
}

void vm_irq_line(unsigned int spi, bool level)
{
	struct kvm_irq_level args = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (32 + spi),
		.level = level,
	};

	ioctl(vm_fd, KVM_IRQ_LINE, &args);
}

/* Have KVM gather the guest's stores of @size bytes at @gpa in a ring, or have them exit again. */
int vm_coalesce(uint64_t gpa, uint32_t size, bool on)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = gpa, .size = size };

	return ioctl(vm_fd, on ? KVM_REGISTER_COALESCED_MMIO :
				 KVM_UNREGISTER_COALESCED_MMIO, &zone);
}

/* The VM has one ring, which is mapped with each vCPU. */
void *vm_coalesced_ring(void)
{
	int page = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	return page <= 0 ? NULL : (char *)vcpus[0].run + page * sysconf(_SC_PAGESIZE);
}

/* vCPUs */

static bool in_range(uint64_t addr, unsigned int len, uint64_t base,
		     uint64_t size, struct access *a)
{
	a->offset = addr - base;
	return addr >= base && a->offset < size && len <= size - a->offset;
}

static enum exit_class dispatch(uint64_t addr, struct access *a)
{
	if (in_range(addr, a->len, SMMU_BASE, SMMU_MAX * SMMU_SIZE, a)) {
		smmu_access(a);
		return EXIT_SMMU;
	}
	if (in_range(addr, a->len, UART_BASE, UART_SIZE, a)) {
		uart_access(a);
		return EXIT_UART;
	}
	if (in_range(addr, a->len, RTC_BASE, RTC_SIZE, a)) {
		rtc_access(a);
		return EXIT_OTHER;
	}
	if (in_range(addr, a->len, ECAM_BASE, ECAM_SIZE, a)) {
		pci_ecam_access(a);
		return EXIT_PCI_CONFIG;
	}
	if (in_range(addr, a->len, PCI32_BASE, PCI32_SIZE, a) ||
	    in_range(addr, a->len, PCI64_BASE, PCI64_SIZE, a))
		return pci_mem_access(addr, a);
	return EXIT_OTHER;	/* nothing there: reads as 0 */
}

static void mmio_exit(struct kvm_run *run)
{
	struct access a = {
		.len = run->mmio.len,
		.write = run->mmio.is_write,
	};
	enum exit_class class;

	if (a.len > sizeof(a.value))
		return;
	if (a.write)
		memcpy(&a.value, run->mmio.data, a.len);
	class = dispatch(run->mmio.phys_addr, &a);
	if (!a.write)
		memcpy(run->mmio.data, &a.value, a.len);
	__atomic_fetch_add(&exits[class], 1, __ATOMIC_RELAXED);
}

static void system_event(const struct kvm_run *run)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_RESET:
		vm_request(VM_RESET);
		break;
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_request(VM_STOP);
		break;
	default:
		note("the guest ended with system event %u", run->system_event.type);
		vm_request(VM_CRASH);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	uint64_t entry;

	while (vm_requested() == VM_RUN) {
		entry = poll_entry();
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			/*
			 * The guest caused this, for example by executing code
			 * in a device's memory.
			 */
			note("vCPU %d: KVM_RUN: %s", (int)(vcpu - vcpus), strerror(errno));
			vm_request(VM_CRASH);
			break;
		}
		if (vcpu->run->exit_reason == KVM_EXIT_MMIO) {
			poll_exit_cost(entry);
			mmio_exit(vcpu->run);
			continue;
		}
		__atomic_fetch_add(&exits[EXIT_OTHER], 1, __ATOMIC_RELAXED);
		if (vcpu->run->exit_reason == KVM_EXIT_SYSTEM_EVENT) {
			system_event(vcpu->run);
		} else {
			note("vCPU %d: exit for reason %u", (int)(vcpu - vcpus),
			     vcpu->run->exit_reason);
			vm_request(VM_CRASH);
		}
	}
	return NULL;
}

static void set_reg(struct vcpu *vcpu, uint64_t offset, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		      offset / sizeof(uint32_t),
		.addr = (uintptr_t)&value,
	};

	if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg))
		die("KVM_SET_ONE_REG: %s", strerror(errno));
}

static void kick(int sig)
{
	(void)sig;
}

void vm_start(uint64_t entry, uint64_t dtb)
{
	struct sigaction action = { .sa_handler = kick };
	char name[16];
	unsigned int i;

	sigaction(SIGUSR1, &action, NULL);
	set_reg(&vcpus[0], offsetof(struct kvm_regs, regs.pc), entry);
	set_reg(&vcpus[0], offsetof(struct kvm_regs, regs.regs[0]), dtb);
	for (i = 0; i < config.cpus; i++) {
		if (pthread_create(&vcpus[i].thread, NULL, vcpu_thread, &vcpus[i]))
			die("cannot start a thread for vCPU %u", i);
		snprintf(name, sizeof(name), "vcpu%u", i);
		pthread_setname_np(vcpus[i].thread, name);
	}
}

/**
 * vm_interrupt - Make all vCPUs leave the guest
 *
 * Each vCPU thread ends after it has handled its last exit. vm_stop() waits for
 * them.
 */
void vm_interrupt(void)
{
	unsigned int i;

	for (i = 0; i < config.cpus; i++) {
		/* The flag ends a KVM_RUN that starts later, the signal one that is running. */
		__atomic_store_n(&vcpus[i].run->immediate_exit, 1, __ATOMIC_RELEASE);
		pthread_kill(vcpus[i].thread, SIGUSR1);
	}
}

/* Wait until all vCPU threads have ended. Call vm_interrupt() first. */
void vm_stop(void)
{
	unsigned int i;

	for (i = 0; i < config.cpus; i++)
		pthread_join(vcpus[i].thread, NULL);
}

void vm_destroy(void)
{
	unsigned int i;

	for (i = 0; i < config.cpus; i++) {
		munmap(vcpus[i].run, run_size);
		close(vcpus[i].fd);
	}
	close(its_fd);
	close(gic_fd);
	close(vm_fd);
}

uint64_t vm_exits(enum exit_class class)
{
	return __atomic_load_n(&exits[class], __ATOMIC_RELAXED);
}
