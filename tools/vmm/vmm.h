/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A reference VMM for arm64 KVM: one virtual machine in one process.
 *
 *	main.c		options, the machine's life
 *	event.c		what the main thread waits for
 *	output.c	standard output and error, messages
 *	number.c	numbers in options
 *	vm.c		KVM: memory slots, GIC, interrupts, vCPUs and their exits
 *	boot.c		guest RAM and the arm64 boot protocol
 *	image.c		the forms of a kernel file
 *	fdt.c		the device tree
 *	uart.c		the console
 *	board.c		a clock and a power button
 *	pci.c		the PCI host bridge: ECAM, BARs, INTx, MSI, MSI-X
 *	vfio.c		iommufd and VFIO
 *	smmu.c		the virtual SMMUs: all that a VMM needs for them
 *	poll.c		doorbells of vSMMUs without exits
 *	pace.c		when that pays
 *	monitor.c	commands from outside
 *
 * The main thread serves events. Each vCPU has a thread; so have standard
 * input, standard output, standard error, the polling of doorbells, and the
 * retries of each vSMMU. The main thread and the vCPUs never wait for another
 * process: the host may want a device back at any time. All that comes from the
 * guest is hostile: its accesses, its RAM, the queues and tables of its SMMUs.
 */
#ifndef VMM_H
#define VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define KIB(n)		((uint64_t)(n) << 10)
#define MIB(n)		((uint64_t)(n) << 20)
#define GIB(n)		((uint64_t)(n) << 30)
#define ALIGN_UP(x, a)	(((x) + (a) - 1) & ~((uint64_t)(a) - 1))

/*
 * The guest's physical addresses. The host reserves the first window in every
 * IOAS for its MSI doorbells (MSI_IOVA_BASE of its SMMU driver). So there is no
 * RAM there, and the guest's stage 1 has to map it one to one.
 */
#define MSI_WINDOW_BASE	0x08000000ULL
#define MSI_WINDOW_SIZE	MIB(1)
#define UART_BASE	0x09000000ULL
#define UART_SIZE	KIB(4)
#define RTC_BASE	0x09010000ULL
#define RTC_SIZE	KIB(4)
#define SMMU_BASE	0x0a000000ULL	/* an SMMU each 128 KiB */
#define SMMU_SIZE	KIB(128)
#define GICD_BASE	0x0c000000ULL
#define GICD_SIZE	KIB(64)
#define ITS_BASE	0x0c100000ULL
#define ITS_SIZE	KIB(128)
#define GICR_BASE	0x0d000000ULL	/* a redistributor each 128 KiB */
#define GICR_SIZE	KIB(128)
#define ECAM_BASE	0x10000000ULL	/* bus 0 */
#define ECAM_SIZE	MIB(1)
#define PCI32_BASE	0x20000000ULL
#define PCI32_SIZE	MIB(512)
#define RAM_BASE	0x40000000ULL
#define PCI64_BASE	GIB(512)
#define PCI64_SIZE	GIB(256)
#define RAM_MAX		(PCI64_BASE - RAM_BASE)

/*
 * PCI: one bus with single-function devices. The slot says which SMMU a device
 * is behind: SMMU n has SMMU_SLOTS of them from smmu_slot(n) on, and those from
 * smmu_slot(SMMU_NONE) on are behind none. A StreamID is a Requester ID.
 */
#define PCI_SLOTS	32
#define SMMU_SLOTS	8
#define SMMU_MAX	3

#define SMMU_NONE	-1

static inline int smmu_slot(int smmu)
{
	return SMMU_SLOTS * (smmu + 1);
}

static inline unsigned int slot_rid(unsigned int slot)
{
	return slot << 3;
}

/* SPIs. GSI n is SPI n; above them each slot has a block of GSIs for its MSIs. */
#define SPI_UART	0
#define SPI_POWER_BUTTON 1
#define SPI_SMMU(n)	(8 + 4 * (n))	/* in the order of enum vsmmu_irq */
#define SPI_INTX(slot)	(64 + (slot))
#define SPI_NUM		128
#define MSI_PER_SLOT	64
#define GSI_MSI(slot, n) (SPI_NUM + (slot) * MSI_PER_SLOT + (n))
#define GSI_NUM		GSI_MSI(PCI_SLOTS, 0)

/* KVM memory slots */
#define SLOT_RAM	0
#define SLOT_SMMU(n)	(1 + (n))
#define SLOT_BAR(slot, bar, part) (16 + ((slot) * 6 + (bar)) * 2 + (part))

#define CPUS_MAX	16	/* MPIDR is the CPU's number */

/**
 * struct config - The options of the command line
 * @kernel: an arm64 Image, which may be compressed
 * @initrd: an initramfs, or NULL
 * @append: the kernel's command line
 * @stats: a file for the counters at exit, or NULL
 * @mem: bytes of RAM
 * @cpus: vCPUs
 */
struct config {
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *stats;
	uint64_t mem;
	unsigned int cpus;
};

extern struct config config;

/* output.c */

#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __noreturn	__attribute__((noreturn))

void die(const char *fmt, ...) __printf(1, 2) __noreturn;
void say(const char *fmt, ...) __printf(1, 2);
void note(const char *fmt, ...) __printf(1, 2);
int fail(const char *fmt, ...) __printf(1, 2);
const char *failure(void);
void output_start(int console_fd, int messages_fd);
void output_console(uint8_t c);
void output_flush(void);

/* number.c */

bool number_parse(const char *text, const char *suffixes, uint64_t max,
		  uint64_t *value);

/* event.c */

enum vm_request {
	VM_RUN,
	VM_RESET,
	VM_STOP,
	VM_CRASH,
};

void event_init(void);
void event_serve(void);
int event_add(int fd, void (*call)(void *arg), void *arg);
void event_del(int fd);
int eventfd_make(void);
bool eventfd_clear(int fd);
void vm_request(enum vm_request request);
enum vm_request vm_requested(void);
bool vm_begin_reset(void);

/* vm.c */

/* Exits to userspace, by what the guest accessed */
enum exit_class {
	EXIT_SMMU,
	EXIT_UART,
	EXIT_PCI_CONFIG,
	EXIT_MSIX,
	EXIT_OTHER,
	EXIT_CLASSES
};

/**
 * struct access - A guest's access to a device
 * @offset: in the device's range, which contains the whole access
 * @len: 1 to 8 bytes
 * @write: a store
 * @value: the stored value, or 0 at first and the place for the loaded value
 */
struct access {
	uint64_t offset;
	unsigned int len;
	bool write;
	uint64_t value;
};

void vm_create(void);
bool vm_has_fwb(void);
void vm_start(uint64_t entry, uint64_t dtb);
void vm_interrupt(void);
void vm_stop(void);
void vm_destroy(void);
int vm_map(unsigned int slot, uint64_t gpa, uint64_t size, void *host,
	   bool readonly);
int vm_irqfd(int fd, int resample_fd, unsigned int gsi, bool assign);
void vm_route_msi(unsigned int gsi, uint32_t devid, uint32_t data);
void vm_irq_line(unsigned int spi, bool level);
int vm_coalesce(uint64_t gpa, uint32_t size, bool on);
void *vm_coalesced_ring(void);
uint64_t vm_exits(enum exit_class class);

#define OPTIONS_MAX	80	/* characters of the options of a device or a vSMMU */

/* image.c */

#define IMAGE_ALIGN	MIB(2)	/* of an Image in RAM; also the size of a huge page */

/**
 * struct image - What the header of an Image asks for
 * @offset: from a multiple of IMAGE_ALIGN to the Image, less than IMAGE_ALIGN
 * @size: bytes of RAM from there on
 */
struct image {
	uint64_t offset;
	uint64_t size;
};

bool image_is_packed(const uint8_t *file, uint64_t size);
int64_t image_unpack(const uint8_t *file, uint64_t size, uint8_t *to, uint64_t room);
int image_parse(const uint8_t *file, uint64_t size, uint64_t room, struct image *image);

/* boot.c, fdt.c */

extern uint8_t *ram;

void boot_alloc_ram(void);
void boot_load(uint64_t *entry, uint64_t *dtb);
void fdt_build(void *buf, int size, uint64_t initrd, uint64_t initrd_size);

/* uart.c */

void uart_init(void);
void uart_reset(void);
void uart_access(struct access *a);

/* board.c */

void rtc_access(struct access *a);
void power_button_press(void);

/* pci.c */

int pci_add(const char *options);
int pci_connect(unsigned int slot);
int pci_plug(const char *options);
int pci_unplug(unsigned int slot);
void pci_reset(void);
void pci_ecam_access(struct access *a);
enum exit_class pci_mem_access(uint64_t addr, struct access *a);

/* vfio.c */

/**
 * struct vfio_dev - A device's VFIO cdev
 * @bdf: the host's PCI address
 * @fd: the cdev
 * @smmu: the virtual SMMU that it is behind, or SMMU_NONE
 * @rid: Requester ID in the guest, which is its StreamID
 * @config: offset of the config space in @fd
 * @request_fd: eventfd that the host signals to get the device back
 */
struct vfio_dev {
	char bdf[16];
	int fd;
	int smmu;
	uint32_t rid;
	uint64_t config;
	int request_fd;
};

struct vfio_region_info;

extern int iommufd;
extern uint32_t ioas_id;

void iommu_init(void);
int vfio_open(struct vfio_dev *dev);
void vfio_close(struct vfio_dev *dev);
int vfio_attach_ioas(struct vfio_dev *dev);
void vfio_reset(struct vfio_dev *dev);
int vfio_region(struct vfio_dev *dev, unsigned int index,
		struct vfio_region_info *info);
unsigned int vfio_irq_count(struct vfio_dev *dev, unsigned int index);
int vfio_irq_enable(struct vfio_dev *dev, unsigned int index,
		    unsigned int count);
int vfio_irq_set(struct vfio_dev *dev, unsigned int index, unsigned int n,
		 uint32_t action, int fd);
void vfio_irq_disable(struct vfio_dev *dev, unsigned int index);

/* smmu.c */

int smmu_option(const char *options);
bool smmu_exists(unsigned int smmu);
int smmu_first(void);
void smmu_create(void);
int smmu_probe(struct vfio_dev *dev);
void smmu_start(void);
int smmu_attach(struct vfio_dev *dev);
int smmu_detach(struct vfio_dev *dev);
void smmu_vm_create(void);
void smmu_reset(void);
void smmu_set_prod(unsigned int n, uint32_t prod);
void smmu_kick(unsigned int n);
void smmu_retry(unsigned int n);
void smmu_access(struct access *a);
void smmu_stats(FILE *out);

/* poll.c */

void poll_add(unsigned int n, uint64_t gpa);
void poll_stop(void);
void poll_drain(void);
bool poll_is_switching(void);
void poll_if_busy(void);
uint64_t poll_entry(void);
void poll_exit_cost(uint64_t entry);
uint64_t poll_count(void);

/* pace.c */

struct pace {
	uint64_t exit_cost;		/* ns; 0: not known yet */
	uint64_t last;			/* when the last doorbell came */
	uint64_t saved;			/* ns to spend on polling, then */
	uint64_t back_off;
	uint64_t not_before;		/* when polling may start again */
};

void pace_exit_cost(struct pace *p, uint64_t ns);
bool pace_doorbell(struct pace *p, uint64_t now);
bool pace_is_over(struct pace *p, uint64_t now);
void pace_lost_cpu(struct pace *p, uint64_t now);

/* monitor.c */

void monitor_init(const char *path);
bool monitor_send(const char *path, const char *text);
void stats_print(FILE *out);

#endif
