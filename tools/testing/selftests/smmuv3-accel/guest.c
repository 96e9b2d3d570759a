// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/iommufd.h>

#include "guest.h"

static int check(int rc)
{
	return rc < 0 ? -errno : 0;
}

/* Memory */

#define HUGE_PAGE	(2UL << 20)

/*
 * RAM is in huge pages: QEMU's nested walk translates the address of a stage-1
 * table through stage 2, but not the address of the entry, so a table must not
 * cross a stage-2 page. 16K and 64K tables would cross 4K pages.
 */
static char *alloc_ram(void)
{
	unsigned long addr;
	char *map;

	map = mmap(NULL, GUEST_SIZE + HUGE_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	addr = ((unsigned long)map + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	munmap(map, addr - (unsigned long)map);
	munmap((char *)addr + GUEST_SIZE,
	       HUGE_PAGE - (addr - (unsigned long)map));
	madvise((void *)addr, GUEST_SIZE, MADV_HUGEPAGE);
	return (char *)addr;
}

#define IOAS_MAP_FLAGS	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | \
			 IOMMU_IOAS_MAP_WRITEABLE)

int ioas_alloc(int iommufd, __u32 *id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = check(ioctl(iommufd, IOMMU_IOAS_ALLOC, &arg));

	*id = arg.out_ioas_id;
	return rc;
}

int ioas_map(int iommufd, __u32 ioas_id, __u64 iova, const void *memory, __u64 len)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOAS_MAP_FLAGS,
		.ioas_id = ioas_id,
		.user_va = (__u64)(unsigned long)memory,
		.length = len,
		.iova = iova,
	};

	return check(ioctl(iommufd, IOMMU_IOAS_MAP, &arg));
}

int ioas_unmap(int iommufd, __u32 ioas_id, __u64 iova, __u64 len)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = len,
	};

	return check(ioctl(iommufd, IOMMU_IOAS_UNMAP, &arg));
}

static int map_ram(struct guest *g, int memfd)
{
	struct iommu_ioas_map_file map_file = {
		.size = sizeof(map_file),
		.flags = IOAS_MAP_FLAGS,
		.ioas_id = g->ioas_id,
		.fd = memfd,
		.length = GUEST_SIZE,
		.iova = GUEST_BASE,
	};

	if (memfd < 0)
		return ioas_map(g->iommufd, g->ioas_id, GUEST_BASE, g->ram, GUEST_SIZE);
	return check(ioctl(g->iommufd, IOMMU_IOAS_MAP_FILE, &map_file));
}

static int open_with_ram(struct guest *g, char *ram, int memfd)
{
	int rc;

	memset(g, 0, sizeof(*g));
	g->accel = -1;
	g->next = GUEST_BASE;
	if (!ram)
		return -errno;
	g->ram = ram;
	g->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (g->iommufd < 0) {
		rc = -errno;
		goto err_unmap;
	}
	rc = ioas_alloc(g->iommufd, &g->ioas_id);
	if (!rc)
		rc = map_ram(g, memfd);
	if (!rc)
		return 0;
	close(g->iommufd);
err_unmap:
	munmap(g->ram, GUEST_SIZE);
	g->ram = NULL;
	return rc;
}

int guest_open_memory(struct guest *g)
{
	return open_with_ram(g, alloc_ram(), -1);
}

int guest_open_accel(struct guest *g)
{
	g->accel = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	return g->accel < 0 ? -errno : 0;
}

void guest_close_accel(struct guest *g)
{
	if (g->accel >= 0)
		close(g->accel);
	g->accel = -1;
}

int guest_create_flags(struct guest *g, __u32 flags)
{
	int rc = guest_open_accel(g);

	return rc ? rc : accel_create_flags(g->accel, g->iommufd, g->ioas_id, flags);
}

int guest_create(struct guest *g)
{
	return guest_create_flags(g, 0);
}

int guest_open(struct guest *g)
{
	int rc = guest_open_memory(g);

	return rc ? rc : guest_create(g);
}

void guest_close(struct guest *g)
{
	guest_close_accel(g);
	close(g->iommufd);
	munmap(g->ram, GUEST_SIZE);
}

/* Memory aligned to its size, as tables must be. 0: none is left. It is never freed */
__u64 guest_alloc(struct guest *g, __u64 size)
{
	__u64 gpa = (g->next + size - 1) & ~(size - 1);

	g->next = gpa + size;
	if (g->next > GUEST_BASE + GUEST_SIZE)
		return 0;
	memset(guest_ptr(g, gpa), 0, size);
	return gpa;
}

void *guest_ptr(struct guest *g, __u64 gpa)
{
	return g->ram + (gpa - GUEST_BASE);
}

/* GUEST_SIZE bytes of a memfd, or NULL */
char *guest_map_memfd(int memfd)
{
	char *map = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* As guest_open_memory(), but with RAM that another process can map */
int guest_open_memfd(struct guest *g, int memfd)
{
	return open_with_ram(g, guest_map_memfd(memfd), memfd);
}

/*
 * Stage 1 (Arm ARM, D8.3): a table has a granule's worth of 8-byte entries, so
 * each level translates shift - 3 bits. Level 3 is the last.
 */

#define VA_BITS		39

#define DESC_VALID	1ULL
#define DESC_TABLE	2ULL		/* also: a page, at level 3 */
#define DESC_AP_USER	(1ULL << 6)	/* PCI requests are unprivileged */
#define DESC_SH_INNER	(3ULL << 8)
#define DESC_AF		(1ULL << 10)
#define DESC_ADDR	0x0000fffffffff000ULL

static unsigned int level_shift(const struct pgtable *pt, int level)
{
	return pt->shift + (3 - level) * (pt->shift - 3);
}

static int start_level(const struct pgtable *pt)
{
	int level = 3;

	while (level_shift(pt, level) + pt->shift - 3 < VA_BITS)
		level--;
	return level;
}

void pgtable_init(struct pgtable *pt, struct guest *g, unsigned int shift)
{
	pt->g = g;
	pt->shift = shift;
	pt->root = guest_alloc(g, 1ULL << shift);
}

__u64 *pgtable_entry(struct pgtable *pt, __u64 iova, int level)
{
	__u64 table = pt->root, *entry;
	int l = start_level(pt);

	for (;; l++) {
		entry = guest_ptr(pt->g, table);
		entry += (iova >> level_shift(pt, l)) &
			 ((1ULL << (pt->shift - 3)) - 1);
		if (l == level)
			return entry;
		if (!(*entry & DESC_VALID))
			*entry = guest_alloc(pt->g, 1ULL << pt->shift) |
				 DESC_TABLE | DESC_VALID;
		table = *entry & DESC_ADDR & ~((1ULL << pt->shift) - 1);
	}
}

void pgtable_map_block(struct pgtable *pt, __u64 iova, __u64 gpa, int level,
		       __u64 attr)
{
	volatile __u64 *entry = pgtable_entry(pt, iova, level);

	*entry = gpa | attr | DESC_AP_USER | DESC_SH_INNER | DESC_AF |
		 (level == 3 ? DESC_TABLE : 0) | DESC_VALID;
}

void pgtable_map(struct pgtable *pt, __u64 iova, __u64 gpa, __u64 attr)
{
	pgtable_map_block(pt, iova, gpa, 3, attr);
}

void pgtable_unmap(struct pgtable *pt, __u64 iova)
{
	*(volatile __u64 *)pgtable_entry(pt, iova, 3) = 0;
}

/* Context Descriptor (SMMUv3, 5.4): TTB0 alone, 44-bit output, AArch64 */
void cd_write(struct guest *g, __u64 cd, const struct pgtable *pt,
	      unsigned int asid)
{
	static const __u64 tg0[] = {
		[GRANULE_4K] = 0, [GRANULE_16K] = 2, [GRANULE_64K] = 1,
	};
	volatile __u64 *w = guest_ptr(g, cd);

	w[1] = pt->root;
	w[3] = 0xff;			/* MAIR: Attr0 normal, write-back */
	w[0] = (64 - VA_BITS) | tg0[pt->shift] << 6 |
	       1ULL << 8 | 1ULL << 10 | 3ULL << 12 |	/* IR0, OR0, SH0 */
	       1ULL << 30 |		/* EPD1 */
	       CD_V |
	       4ULL << 32 |		/* IPS: 44 bits */
	       1ULL << 41 |		/* AA64 */
	       1ULL << 45 | 1ULL << 46 |	/* R, A: record, abort */
	       1ULL << 47 |		/* ASET: the ASID is not shared with CPUs */
	       (__u64)asid << 48;
}

/* A new CD */
__u64 cd_new(struct guest *g, const struct pgtable *pt, unsigned int asid)
{
	__u64 cd = guest_alloc(g, 64);

	if (cd)
		cd_write(g, cd, pt, asid);
	return cd;
}

/* Stream Table Entry (SMMUv3, 5.2), in CPU order */
void ste_config(__u64 ste[8], unsigned int cfg)
{
	memset(ste, 0, 8 * sizeof(*ste));
	ste[0] = STE_V | STE_CFG(cfg);
}

void ste_s1(__u64 ste[8], __u64 cd)
{
	ste_config(ste, STE_CFG_S1);
	ste[0] |= cd;
	ste[1] = 1ULL << 2 | 1ULL << 4 | 3ULL << 6;	/* S1CIR, S1COR, S1CSH */
}

const __u32 idr_least[6] = {
	[0] = IDR0_S1P | IDR0_TTF64 | IDR0_COHACC | IDR0_LITTLE |
	      IDR0_STALL_NOT | IDR0_TERM,
	[1] = 8,		/* SIDSIZE */
	[5] = IDR5_GRAN4K,
};

/* Set @idr to all features of a host SMMU that a virtual SMMU may offer */
void idr_offer(const __u32 host[6], __u32 idr[6])
{
	idr[0] = (host[0] & (IDR0_TTF | IDR0_ATS | IDR0_ASID16 | IDR0_CD2L |
			     IDR0_TTENDIAN | IDR0_VMID16)) |
		 IDR0_S1P | IDR0_COHACC | IDR0_STALL_NOT | IDR0_TERM |
		 IDR0_TWO_LEVELS;
	idr[1] = (host[1] & (IDR1_SIDSIZE | IDR1_SSIDSIZE)) |
		 19U << 16 | 19U << 21;		/* EVENTQS, CMDQS */
	idr[2] = 0;
	idr[3] = host[3] & (IDR3_HAD | IDR3_RIL | IDR3_BBML);
	idr[4] = 0;
	idr[5] = host[5] & (IDR5_OAS | IDR5_GRAN | IDR5_DS | IDR5_VAX);
}

/* Commands (SMMUv3, chapter 4) */

static struct cmd cmd(__u64 w0, __u64 w1)
{
	return (struct cmd){ { htole64(w0), htole64(w1) } };
}

struct cmd cmd_cfgi_cd(__u32 sid, __u32 ssid, bool leaf)
{
	return cmd(0x05 | (__u64)sid << 32 | (__u64)ssid << 12, leaf);
}

struct cmd cmd_cfgi_cd_all(__u32 sid)
{
	return cmd(0x06 | (__u64)sid << 32, 0);
}

struct cmd cmd_cfgi_ste(__u32 sid, bool leaf)
{
	return cmd(0x03 | (__u64)sid << 32, leaf);
}

/* 2 << range StreamIDs, which differ from @sid only in the low bits */
struct cmd cmd_cfgi_ste_range(__u32 sid, unsigned int range)
{
	return cmd(0x04 | (__u64)sid << 32, range);
}

struct cmd cmd_cfgi_all(void)
{
	return cmd_cfgi_ste_range(0, 31);
}

struct cmd cmd_tlbi_nh_all(void)
{
	return cmd(0x10, 0);
}

struct cmd cmd_tlbi_nsnh_all(void)
{
	return cmd(0x30, 0);
}

struct cmd cmd_tlbi_asid(unsigned int asid)
{
	return cmd(0x11 | (__u64)asid << 48, 0);
}

struct cmd cmd_tlbi_va(unsigned int asid, __u64 iova, bool leaf)
{
	return cmd(0x12 | (__u64)asid << 48, (iova & ~0xfffULL) | leaf);
}

struct cmd cmd_tlbi_vaa(__u64 iova, bool leaf)
{
	return cmd(0x13, (iova & ~0xfffULL) | leaf);
}

/* A range of (num + 1) << scale granules (4.4.1) */
struct cmd cmd_range(struct cmd c, unsigned int num, unsigned int scale,
		     unsigned int tg, unsigned int ttl)
{
	return cmd(le64toh(c.w[0]) | num << 12 | (__u64)scale << 20,
		   le64toh(c.w[1]) | ttl << 8 | tg << 10);
}

struct cmd cmd_atc_inv(__u32 sid, __u64 iova, unsigned int size)
{
	return cmd(0x40 | (__u64)sid << 32, (iova & ~0xfffULL) | size);
}

struct cmd cmd_sync(void)
{
	return cmd(0x46, 0);
}

/* CS = SIG_IRQ */
struct cmd cmd_sync_irq(void)
{
	return cmd(0x46 | 1 << 12, 0);
}

/* No such opcode */
struct cmd cmd_illegal(void)
{
	return cmd(0xff, 0);
}

/* Command queue */

int ring_init(struct ring *ring, struct guest *g, unsigned int log2size)
{
	ring->g = g;
	ring->log2size = log2size;
	ring->prod = 0;
	ring->cons = 0;
	ring->base = guest_alloc(g, 16ULL << log2size);
	return ring->base ? 0 : -ENOMEM;
}

struct cmd *ring_slot(struct ring *ring, __u32 index)
{
	__u32 mask = (1U << ring->log2size) - 1;

	return (struct cmd *)guest_ptr(ring->g, ring->base) + (index & mask);
}

void ring_put(struct ring *ring, struct cmd c)
{
	*(volatile struct cmd *)ring_slot(ring, ring->prod) = c;
	ring->prod = (ring->prod + 1) & ((2U << ring->log2size) - 1);
}

/* Ring the doorbell once, for at most @max_cmds commands; 0: no limit */
int ring_step(struct ring *ring, __u32 max_cmds,
	      struct smmuv3_accel_run_cmdq *out)
{
	int rc;

	*out = (struct smmuv3_accel_run_cmdq){
		.size = sizeof(*out),
		.prod = ring->prod,
		.cons = ring->cons,
		.max_cmds = max_cmds,
	};
	rc = accel_ioctl(ring->g->accel, SMMUV3_ACCEL_RUN_CMDQ, out);
	ring->cons = out->cons;
	return rc;
}

int ring_run(struct ring *ring, struct smmuv3_accel_run_cmdq *out)
{
	return ring_step(ring, 0, out);
}

/* What RUN_CMDQ says of CFGIs if the commands from @cons to @end are done: a flag, or 0 */
__u32 ring_cfgi(struct ring *ring, __u32 cons, __u32 end)
{
	for (; cons != end; cons = (cons + 1) & ((2U << ring->log2size) - 1)) {
		switch (le64toh(ring_slot(ring, cons)->w[0]) & 0xff) {
		case 0x03:	/* CFGI_STE */
		case 0x04:	/* CFGI_STE_RANGE, CFGI_ALL */
		case 0x05:	/* CFGI_CD */
		case 0x06:	/* CFGI_CD_ALL */
			return SMMUV3_ACCEL_RUN_CFGI;
		}
	}
	return 0;
}

/* Stream table (SMMUv3, 5.1). Level-2 tables are allocated on first use */

#define STE_SIZE	64
#define L1STD_ADDR	0x000fffffffffffc0ULL

int strtab_init(struct strtab *st, struct guest *g, unsigned int log2size,
		unsigned int split)
{
	st->g = g;
	st->split = split;
	st->base_cfg = log2size;
	if (split) {
		st->base_cfg |= split << 6 | 1 << 16;
		st->base = guest_alloc(g, log2size > split + 3 ?
					  8ULL << (log2size - split) : STE_SIZE);
	} else {
		st->base = guest_alloc(g, (__u64)STE_SIZE << log2size);
	}
	return st->base ? 0 : -ENOMEM;
}

__u64 *strtab_l1(struct strtab *st, __u32 sid)
{
	return (__u64 *)guest_ptr(st->g, st->base) + (sid >> st->split);
}

__u64 *strtab_ste(struct strtab *st, __u32 sid)
{
	__u64 table = st->base, *l1;

	if (st->split) {
		l1 = strtab_l1(st, sid);
		if (!*l1)
			*l1 = guest_alloc(st->g, (__u64)STE_SIZE << st->split) |
			      (st->split + 1);
		table = *l1 & L1STD_ADDR;
		sid &= (1U << st->split) - 1;
	}
	return guest_ptr(st->g, table + (__u64)sid * STE_SIZE);
}

void strtab_write(struct strtab *st, __u32 sid, const __u64 ste[8])
{
	volatile __u64 *words = strtab_ste(st, sid);
	int i;

	for (i = 7; i >= 0; i--)
		words[i] = htole64(ste[i]);
}

/* /dev/smmuv3-accel */

int accel_ioctl(int accel, unsigned int cmd, void *arg)
{
	return check(ioctl(accel, cmd, arg));
}

int accel_info(int accel, struct smmuv3_accel_info *out)
{
	*out = (struct smmuv3_accel_info){ .size = sizeof(*out) };
	return accel_ioctl(accel, SMMUV3_ACCEL_GET_INFO, out);
}

int accel_create(int accel, int iommufd, __u32 ioas_id, __u32 flags, __u32 *reason)
{
	struct smmuv3_accel_create arg = {
		.size = sizeof(arg),
		.flags = flags,
		.iommufd = iommufd,
		.ioas_id = ioas_id,
	};
	int rc = accel_ioctl(accel, SMMUV3_ACCEL_CREATE, &arg);

	if (reason)
		*reason = arg.out_reason;
	return rc;
}

int accel_create_flags(int accel, int iommufd, __u32 ioas_id, __u32 flags)
{
	return accel_create(accel, iommufd, ioas_id, flags, NULL);
}

int accel_set_idr(struct guest *g, const __u32 idr[6],
		  struct smmuv3_accel_set_idr *out)
{
	*out = (struct smmuv3_accel_set_idr){ .size = sizeof(*out) };
	memcpy(out->idr, idr, sizeof(out->idr));
	return accel_ioctl(g->accel, SMMUV3_ACCEL_SET_IDR, out);
}

int accel_mem_regions(struct guest *g,
		      const struct smmuv3_accel_mem_region *regions, __u32 num)
{
	struct smmuv3_accel_mem_table arg = {
		.size = sizeof(arg),
		.region_num = num,
		.regions_uptr = (__u64)(unsigned long)regions,
	};

	return accel_ioctl(g->accel, SMMUV3_ACCEL_SET_MEM_TABLE, &arg);
}

/* All of RAM, in one region */
int accel_mem_table(struct guest *g)
{
	const struct smmuv3_accel_mem_region region = {
		.gpa = GUEST_BASE,
		.size = GUEST_SIZE,
		.uaddr = (__u64)(unsigned long)g->ram,
	};

	return accel_mem_regions(g, &region, 1);
}

int accel_set_regs(struct guest *g, __u32 cr0, __u64 strtab_base,
		   __u32 strtab_base_cfg, const struct ring *ring)
{
	struct smmuv3_accel_set_regs arg = {
		.size = sizeof(arg),
		.cr0 = cr0,
		.strtab_base = strtab_base,
		.strtab_base_cfg = strtab_base_cfg,
		.cmdq_base = ring->base | ring->log2size,
	};

	return accel_ioctl(g->accel, SMMUV3_ACCEL_SET_REGS, &arg);
}

int accel_reset(struct guest *g)
{
	struct smmuv3_accel_reset arg = { .size = sizeof(arg) };

	return accel_ioctl(g->accel, SMMUV3_ACCEL_RESET, &arg);
}

int accel_change_process(struct guest *g)
{
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = g->iommufd,
	};

	return accel_ioctl(g->accel, SMMUV3_ACCEL_CHANGE_PROCESS, &arg);
}

int accel_phys(struct guest *g, __u32 index, struct smmuv3_accel_phys *out)
{
	*out = (struct smmuv3_accel_phys){
		.size = sizeof(*out),
		.index = index,
	};
	return accel_ioctl(g->accel, SMMUV3_ACCEL_GET_PHYS, out);
}

int accel_stats(struct guest *g, struct smmuv3_accel_stats *out)
{
	*out = (struct smmuv3_accel_stats){ .size = sizeof(*out) };
	return accel_ioctl(g->accel, SMMUV3_ACCEL_GET_STATS, out);
}

int accel_attach_arg(struct guest *g, struct smmuv3_accel_attach arg,
		     struct smmuv3_accel_attach *out)
{
	int rc;

	arg.size = sizeof(arg);
	rc = accel_ioctl(g->accel, SMMUV3_ACCEL_ATTACH, &arg);
	if (out)
		*out = arg;
	return rc;
}

int accel_attach(struct guest *g, int vfio_fd, __u32 vsid,
		 struct smmuv3_accel_attach *out)
{
	return accel_attach_arg(g, (struct smmuv3_accel_attach){
		.vfio_fd = vfio_fd, .vsid = vsid,
	}, out);
}

/* A bridge or an emulated endpoint */
int accel_attach_virtual(struct guest *g, __u32 vsid, __u32 flags,
			 struct smmuv3_accel_attach *out)
{
	return accel_attach_arg(g, (struct smmuv3_accel_attach){
		.flags = flags, .vfio_fd = -1, .vsid = vsid,
	}, out);
}

int accel_detach(struct guest *g, __u32 vsid, __u32 *reason)
{
	struct smmuv3_accel_detach arg = {
		.size = sizeof(arg),
		.vsid = vsid,
	};
	int rc = accel_ioctl(g->accel, SMMUV3_ACCEL_DETACH, &arg);

	if (reason)
		*reason = arg.out_reason;
	return rc;
}

int accel_install(struct guest *g, __u32 vsid, const __u64 ste[8],
		  __u32 *reason)
{
	struct smmuv3_accel_ste entry = { .vsid = vsid };
	struct smmuv3_accel_install_ste arg = {
		.size = sizeof(arg),
		.entry_num = 1,
		.entry_len = sizeof(entry),
		.entries_uptr = (__u64)(unsigned long)&entry,
	};
	int i, rc;

	for (i = 0; i < 8; i++)
		entry.ste[i] = htole64(ste[i]);
	rc = accel_ioctl(g->accel, SMMUV3_ACCEL_INSTALL_STE, &arg);
	if (reason)
		*reason = entry.out_reason;
	return rc;
}

int accel_set_vsids(struct guest *g, const struct smmuv3_accel_vsid *entries, __u32 num,
		    struct smmuv3_accel_set_vsids *out)
{
	*out = (struct smmuv3_accel_set_vsids){
		.size = sizeof(*out),
		.entries_uptr = (__u64)(unsigned long)entries,
		.entry_num = num,
	};
	return accel_ioctl(g->accel, SMMUV3_ACCEL_SET_VSIDS, out);
}

int accel_stream(struct guest *g, __u32 vsid, struct smmuv3_accel_stream *out)
{
	*out = (struct smmuv3_accel_stream){
		.size = sizeof(*out),
		.vsid = vsid,
	};
	return accel_ioctl(g->accel, SMMUV3_ACCEL_GET_STREAM, out);
}

int accel_invalidate(struct guest *g, const struct cmd *cmds, __u32 num,
		     struct smmuv3_accel_invalidate *out)
{
	*out = (struct smmuv3_accel_invalidate){
		.size = sizeof(*out),
		.cmd_num = num,
		.cmds_uptr = (__u64)(unsigned long)cmds,
	};
	return accel_ioctl(g->accel, SMMUV3_ACCEL_INVALIDATE, out);
}
