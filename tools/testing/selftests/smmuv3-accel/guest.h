/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The surroundings of a virtual SMMU: guest memory with page tables, CDs, STEs and
 * commands, and devices that do DMA.
 *
 * Functions that return an int return 0 or a negative errno.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_GUEST_H
#define SELFTEST_SMMUV3_ACCEL_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/smmuv3_accel.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* Guest memory */

#define GUEST_BASE	0x80000000ULL	/* guest physical address of RAM */
#define GUEST_SIZE	(16ULL << 20)

/* The host maps MSIs there for each IOAS (Linux: MSI_IOVA_BASE) */
#define HOST_MSI_BASE	0x8000000ULL
#define HOST_MSI_SIZE	0x100000ULL

/**
 * struct guest - A VMM's view of one guest
 * @iommufd: /dev/iommu
 * @ioas_id: the guest's physical address space
 * @accel: /dev/smmuv3-accel
 * @ram: guest RAM
 * @next: first guest physical address that guest_alloc() has not handed out
 */
struct guest {
	int iommufd;
	__u32 ioas_id;
	int accel;
	char *ram;
	__u64 next;
};

int ioas_alloc(int iommufd, __u32 *id);
int ioas_map(int iommufd, __u32 ioas_id, __u64 iova, const void *memory, __u64 len);
int ioas_unmap(int iommufd, __u32 ioas_id, __u64 iova, __u64 len);

int guest_open_memory(struct guest *g);
int guest_open_accel(struct guest *g);
void guest_close_accel(struct guest *g);
int guest_create_flags(struct guest *g, __u32 flags);
int guest_create(struct guest *g);
int guest_open(struct guest *g);
void guest_close(struct guest *g);
__u64 guest_alloc(struct guest *g, __u64 size);
void *guest_ptr(struct guest *g, __u64 gpa);
char *guest_map_memfd(int memfd);
int guest_open_memfd(struct guest *g, int memfd);

/* Stage 1: AArch64 page tables, CDs, STEs */

#define GRANULE_4K	12
#define GRANULE_16K	14
#define GRANULE_64K	16

/**
 * struct pgtable - A stage-1 page table for 39-bit addresses
 * @g: the guest
 * @shift: log2 of the granule
 * @root: its first table
 */
struct pgtable {
	struct guest *g;
	unsigned int shift;
	__u64 root;
};

#define PTE_READ_ONLY	(1ULL << 7)
#define PTE_NOT_GLOBAL	(1ULL << 11)

void pgtable_init(struct pgtable *pt, struct guest *g, unsigned int shift);
__u64 *pgtable_entry(struct pgtable *pt, __u64 iova, int level);
void pgtable_map_block(struct pgtable *pt, __u64 iova, __u64 gpa, int level,
		       __u64 attr);
void pgtable_map(struct pgtable *pt, __u64 iova, __u64 gpa, __u64 attr);
void pgtable_unmap(struct pgtable *pt, __u64 iova);

#define CD_V		(1ULL << 31)

void cd_write(struct guest *g, __u64 cd, const struct pgtable *pt,
	      unsigned int asid);
__u64 cd_new(struct guest *g, const struct pgtable *pt, unsigned int asid);

#define STE_V		1ULL
#define STE_CFG(c)	((__u64)(c) << 1)
#define STE_CFG_ABORT	0
#define STE_CFG_BYPASS	4
#define STE_CFG_S1	5
#define STE_CFG_S2	6
#define STE_CFG_NESTED	7

void ste_s1(__u64 ste[8], __u64 cd);
void ste_config(__u64 ste[8], unsigned int cfg);

/* ID registers: the fields that may be offered to a guest */

#define IDR0_S1P	(1U << 1)
#define IDR0_TTF	(3U << 2)
#define IDR0_TTF64	(2U << 2)
#define IDR0_COHACC	(1U << 4)
#define IDR0_ATS	(1U << 10)
#define IDR0_ASID16	(1U << 12)
#define IDR0_MSI	(1U << 13)
#define IDR0_VMID16	(1U << 18)
#define IDR0_CD2L	(1U << 19)
#define IDR0_TTENDIAN	(3U << 21)
#define IDR0_LITTLE	(2U << 21)
#define IDR0_STALL	(3U << 24)
#define IDR0_STALL_NOT	(1U << 24)
#define IDR0_TERM	(1U << 26)
#define IDR0_TWO_LEVELS	(1U << 27)
#define IDR0_ST_LEVEL	(3U << 27)
#define IDR1_SIDSIZE	(0x3fU)
#define IDR1_SSIDSIZE	(0x1fU << 6)
#define IDR1_EVENTQS	(0x1fU << 16)
#define IDR1_CMDQS	(0x1fU << 21)
#define IDR3_HAD	(1U << 2)
#define IDR3_RIL	(1U << 10)
#define IDR3_BBML	(3U << 11)
#define IDR5_OAS	(7U)
#define IDR5_GRAN	(7U << 4)
#define IDR5_GRAN4K	(1U << 4)
#define IDR5_DS		(1U << 7)
#define IDR5_VAX	(3U << 10)

/* What any host with little-endian tables can honour */
extern const __u32 idr_least[6];

void idr_offer(const __u32 host[6], __u32 idr[6]);

/* Commands */

struct cmd {
	__u64 w[2];
};

struct cmd cmd_cfgi_cd(__u32 sid, __u32 ssid, bool leaf);
struct cmd cmd_cfgi_cd_all(__u32 sid);
struct cmd cmd_cfgi_ste(__u32 sid, bool leaf);
struct cmd cmd_cfgi_ste_range(__u32 sid, unsigned int range);
struct cmd cmd_cfgi_all(void);
struct cmd cmd_tlbi_nh_all(void);
struct cmd cmd_tlbi_nsnh_all(void);
struct cmd cmd_tlbi_asid(unsigned int asid);
struct cmd cmd_tlbi_va(unsigned int asid, __u64 iova, bool leaf);
struct cmd cmd_tlbi_vaa(__u64 iova, bool leaf);
struct cmd cmd_range(struct cmd cmd, unsigned int num, unsigned int scale,
		     unsigned int tg, unsigned int ttl);
struct cmd cmd_atc_inv(__u32 sid, __u64 iova, unsigned int size);
struct cmd cmd_sync(void);
struct cmd cmd_sync_irq(void);
struct cmd cmd_illegal(void);

/* The guest's side of table mode */

#define CR0_SMMUEN	(1U << 0)
#define CR0_CMDQEN	(1U << 3)
#define GBPA_ABORT	(1U << 20)

/**
 * struct ring - A guest's command queue
 * @g: the guest
 * @base: its guest physical address
 * @log2size: log2 of its length
 * @prod: SMMU_CMDQ_PROD, with its wrap bit
 * @cons: SMMU_CMDQ_CONS, with its wrap bit
 */
struct ring {
	struct guest *g;
	__u64 base;
	unsigned int log2size;
	__u32 prod;
	__u32 cons;
};

int ring_init(struct ring *ring, struct guest *g, unsigned int log2size);
struct cmd *ring_slot(struct ring *ring, __u32 index);
void ring_put(struct ring *ring, struct cmd cmd);
int ring_step(struct ring *ring, __u32 max_cmds,
	      struct smmuv3_accel_run_cmdq *out);
int ring_run(struct ring *ring, struct smmuv3_accel_run_cmdq *out);
__u32 ring_cfgi(struct ring *ring, __u32 cons, __u32 end);

/**
 * struct strtab - A guest's stream table
 * @g: the guest
 * @base: SMMU_STRTAB_BASE
 * @base_cfg: SMMU_STRTAB_BASE_CFG
 * @split: 0: linear, else 6, 8 or 10
 */
struct strtab {
	struct guest *g;
	__u64 base;
	__u32 base_cfg;
	unsigned int split;
};

int strtab_init(struct strtab *st, struct guest *g, unsigned int log2size,
		unsigned int split);
__u64 *strtab_l1(struct strtab *st, __u32 sid);
__u64 *strtab_ste(struct strtab *st, __u32 sid);
void strtab_write(struct strtab *st, __u32 sid, const __u64 ste[8]);

/*
 * /dev/smmuv3-accel. Each returns the ioctl's errno. @reason and an attach's @out may
 * be NULL
 */

int accel_ioctl(int accel, unsigned int cmd, void *arg);
int accel_info(int accel, struct smmuv3_accel_info *out);
int accel_create(int accel, int iommufd, __u32 ioas_id, __u32 flags, __u32 *reason);
int accel_create_flags(int accel, int iommufd, __u32 ioas_id, __u32 flags);
int accel_set_idr(struct guest *g, const __u32 idr[6],
		  struct smmuv3_accel_set_idr *out);
int accel_mem_regions(struct guest *g,
		      const struct smmuv3_accel_mem_region *regions, __u32 num);
int accel_mem_table(struct guest *g);
int accel_set_regs(struct guest *g, __u32 cr0, __u64 strtab_base,
		   __u32 strtab_base_cfg, const struct ring *ring);
int accel_reset(struct guest *g);
int accel_change_process(struct guest *g);
int accel_stats(struct guest *g, struct smmuv3_accel_stats *out);
int accel_phys(struct guest *g, __u32 index, struct smmuv3_accel_phys *out);
int accel_attach(struct guest *g, int vfio_fd, __u32 vsid,
		 struct smmuv3_accel_attach *out);
int accel_attach_arg(struct guest *g, struct smmuv3_accel_attach arg,
		     struct smmuv3_accel_attach *out);
int accel_attach_virtual(struct guest *g, __u32 vsid, __u32 flags,
			 struct smmuv3_accel_attach *out);
int accel_detach(struct guest *g, __u32 vsid, __u32 *reason);
int accel_install(struct guest *g, __u32 vsid, const __u64 ste[8],
		  __u32 *reason);
int accel_set_vsids(struct guest *g, const struct smmuv3_accel_vsid *entries, __u32 num,
		    struct smmuv3_accel_set_vsids *out);
int accel_stream(struct guest *g, __u32 vsid, struct smmuv3_accel_stream *out);
int accel_invalidate(struct guest *g, const struct cmd *cmds, __u32 num,
		     struct smmuv3_accel_invalidate *out);

/* The largest virtual StreamID, and names in place of one that is not set */
#define VSID_MAX	(SMMUV3_ACCEL_VSID_UNSET - 1)
#define VSID_NAME(n)	(SMMUV3_ACCEL_VSID_UNSET | (n))

/* Devices */

enum dma_kind {
	DMA_TESTDEV,	/* QEMU's iommu-testdev: writes a pattern at once */
	DMA_EDU,	/* QEMU's edu: copies both ways, 100 ms each time */
};

#define TESTDEV_PATTERN	0x12345678U

/**
 * struct dma_dev - A device bound to an iommufd through its VFIO cdev
 * @kind: the kind of device
 * @fd: the cdev
 * @dev_id: its ID in the iommufd
 * @bar: BAR 0
 * @bar_size: its size
 * @bdf: its PCI address
 */
struct dma_dev {
	enum dma_kind kind;
	int fd;
	__u32 dev_id;
	volatile __u32 *bar;
	size_t bar_size;
	char bdf[16];
};

int sysfs_write(const char *path, const char *text);
int dma_find(enum dma_kind kind, int index, char bdf[16]);
int dma_open_cdev(const char *bdf);
int dma_bind(struct dma_dev *dev, int iommufd);
int dma_start(struct dma_dev *dev);
int dma_open(struct dma_dev *dev, int iommufd, enum dma_kind kind, int index);
void dma_close(struct dma_dev *dev);
int dma_attach_pt(struct dma_dev *dev, __u32 pt_id);
int dma_detach_pt(struct dma_dev *dev);

int testdev_write(struct dma_dev *dev, __u64 iova);
int edu_write(struct dma_dev *dev, __u64 iova, __u32 len);
int edu_read(struct dma_dev *dev, __u64 iova, __u32 len);

/* iommufd */

int iommufd_destroy(int iommufd, __u32 id);
int iommufd_hwpt(int iommufd, __u32 dev_id, __u32 ioas_id, __u32 flags, __u32 *id);
int iommufd_nest_parent(int iommufd, __u32 dev_id, __u32 ioas_id, __u32 *id);
int iommufd_vdevice(int iommufd, __u32 viommu_id, __u32 dev_id, __u64 virt_id, __u32 *id);
int veventq_open(int iommufd, __u32 viommu_id, __u32 *id);
int veventq_read(int fd, __u64 evt[4], int timeout_ms);

#define EVT_F_TRANSLATION	0x10

#endif
