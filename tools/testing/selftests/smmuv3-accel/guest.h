/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a VMM and its guest have when the virtual SMMU comes in: memory, page
 * tables, CDs, STEs and commands in it, and devices that do DMA.
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

/**
 * struct guest - A VMM's view of one guest
 * @iommufd: /dev/iommu
 * @ioas_id: the guest's physical address space
 * @accel: /dev/smmuv3-accel
 * @ram: guest RAM
 * @next: first guest physical address that guest_alloc() has not given away
 */
struct guest {
	int iommufd;
	__u32 ioas_id;
	int accel;
	char *ram;
	__u64 next;
};

int guest_open_memory(struct guest *g);
int guest_create(struct guest *g);
int guest_open(struct guest *g);
void guest_close(struct guest *g);
__u64 guest_alloc(struct guest *g, __u64 size);
void *guest_ptr(struct guest *g, __u64 gpa);

/* Stage 1: AArch64 page tables, CDs, STEs */

#define GRANULE_4K	12
#define GRANULE_16K	14
#define GRANULE_64K	16

/**
 * struct pgtable - A stage-1 page table for 39-bit addresses
 * @g: whose memory it is in
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

void cd_write(struct guest *g, __u64 cd, const struct pgtable *pt,
	      unsigned int asid);

#define STE_V		1ULL
#define STE_CFG(c)	((__u64)(c) << 1)
#define STE_CFG_ABORT	0
#define STE_CFG_BYPASS	4
#define STE_CFG_S1	5
#define STE_CFG_S2	6
#define STE_CFG_NESTED	7

void ste_s1(__u64 ste[8], __u64 cd);
void ste_config(__u64 ste[8], unsigned int cfg);

/* Commands */

struct cmd {
	__u64 w[2];
};

struct cmd cmd_cfgi_cd(__u32 sid, __u32 ssid, bool leaf);
struct cmd cmd_cfgi_cd_all(__u32 sid);
struct cmd cmd_cfgi_ste(__u32 sid);
struct cmd cmd_tlbi_nh_all(void);
struct cmd cmd_tlbi_nsnh_all(void);
struct cmd cmd_tlbi_asid(unsigned int asid);
struct cmd cmd_tlbi_va(unsigned int asid, __u64 iova, bool leaf);
struct cmd cmd_tlbi_vaa(__u64 iova, bool leaf);
struct cmd cmd_range(struct cmd cmd, unsigned int num, unsigned int scale,
		     unsigned int tg, unsigned int ttl);
struct cmd cmd_atc_inv(__u32 sid, __u64 iova, unsigned int size);
struct cmd cmd_sync(void);

/* /dev/smmuv3-accel: each returns the ioctl's errno and, by pointers, the rest */

int accel_create(int accel, int iommufd, __u32 ioas_id, __u32 s2_hwpt_id,
		 __u32 *reason);
int accel_attach(struct guest *g, int vfio_fd, __u32 vsid,
		 struct smmuv3_accel_attach *out);
int accel_detach(struct guest *g, __u32 vsid, __u32 *reason);
int accel_install(struct guest *g, __u32 vsid, const __u64 ste[8],
		  __u32 *reason);
int accel_stream(struct guest *g, __u32 vsid, struct smmuv3_accel_stream *out);
int accel_invalidate(struct guest *g, const struct cmd *cmds, __u32 num,
		     struct smmuv3_accel_invalidate *out);

/* Devices */

enum dma_kind {
	DMA_TESTDEV,	/* QEMU's iommu-testdev: writes a pattern, at once */
	DMA_EDU,	/* QEMU's edu: copies both ways, 100 ms each */
};

#define TESTDEV_PATTERN	0x12345678U

/**
 * struct dma_dev - A device bound to an iommufd through its VFIO cdev
 * @kind: what it is
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

int dma_find(enum dma_kind kind, int index, char bdf[16]);
int dma_open_cdev(const char *bdf);
int dma_bind(struct dma_dev *dev, int iommufd);
int dma_start(struct dma_dev *dev);
int dma_open(struct dma_dev *dev, int iommufd, enum dma_kind kind, int index);
void dma_close(struct dma_dev *dev);

int testdev_write(struct dma_dev *dev, __u64 iova);
int edu_write(struct dma_dev *dev, __u64 iova, __u32 len);
int edu_read(struct dma_dev *dev, __u64 iova, __u32 len);

/* iommufd */

int iommufd_destroy(int iommufd, __u32 id);
int iommufd_nest_parent(int iommufd, __u32 dev_id, __u32 ioas_id, __u32 *id);
int veventq_open(int iommufd, __u32 viommu_id, __u32 *id);
int veventq_read(int fd, __u64 evt[4], int timeout_ms);

#define EVT_F_TRANSLATION	0x10

#endif
