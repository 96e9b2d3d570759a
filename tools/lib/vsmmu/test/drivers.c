// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Drivers, from reset until their device does DMA, faults, and afterwards. If a driver
 * cannot work, its trace ends with the answer that it stumbles over. The table of drivers
 * in Documentation/userspace-api/guest-drivers.rst has their versions.
 */
#include "steps.h"

#define IOVA		0x10000000ULL
#define FAULTING	(IOVA + 0x200000)
#define ASID		1
/* The entry of @IOVA in tables of level 2 and 3 */
#define ENTRY_2		(TABLE(2) + (IOVA >> 21 & 511) * 8)
#define ENTRY_3		TABLE(3)

/* Linux */

#define LINUX_IDENTIFY							\
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),			\
	LOAD(R_IDR1, IDR1_OFFERED),					\
	LOAD_BITS(R_IDR3, 1U << 10, 1U << 10),				\
	LOAD_BITS(R_IDR5, 1U << 4, 1U << 4)

/* How it waits: for CONS or, with MSIs, for the MSI in the queue. */
#define LINUX_SEV	COMMAND(SYNC_SEV), RING, DONE
#define LINUX_POLL	SYNC_MSI(SYNC_0_MSI), RING, SLOT(1, 0), DONE

/* Tables and queues, with the commands that make the SMMU forget what it knew */
#define LINUX_COMMAND_QUEUE(_where, _enabled, ...)			\
	STORE64(R_CMDQ_BASE, ALLOCATE | (CMDQ + (_where)) | CMDQS),	\
	STORE(R_CMDQ_PROD, 0),						\
	STORE(R_CMDQ_CONS, 0),						\
	ACK(R_CR0, R_CR0ACK, CMDQEN | (_enabled)),			\
	COMMAND(CFGI_ALL), __VA_ARGS__,					\
	COMMAND(TLBI_NSNH_ALL), __VA_ARGS__

#define LINUX_RESET(_where, ...)					\
	ACK(R_CR0, R_CR0ACK, 0),					\
	STORE(R_CR1, CR1_CACHED),					\
	STORE(R_CR2, CR2_PTM | CR2_RECINVSID),				\
	STORE64(R_STRTAB_BASE, ALLOCATE | (STRTAB + (_where))),		\
	STORE(R_STRTAB_BASE_CFG, STRTAB_CFG),				\
	LINUX_COMMAND_QUEUE(_where, 0, __VA_ARGS__),			\
	STORE64(R_EVENTQ_BASE, ALLOCATE | (EVENTQ + (_where)) | EVENTQS), \
	STORE(R_EVENTQ_PROD, 0),					\
	STORE(R_EVENTQ_CONS, 0),					\
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),			\
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, 0),				\
	STORE64(R_GERROR_IRQ_CFG0, 0),					\
	STORE64(R_EVENTQ_IRQ_CFG0, 0),					\
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ)

/* There are no level-2 tables yet: that is no event. */
#define LINUX_QUIET							\
	ABORT(IOVA),							\
	LOAD(R_EVENTQ_PROD, 0),						\
	LOAD(R_GERROR, 0),						\
	IRQS(EVENTQ, 0), IRQS(GERROR, 0), IRQS(CMDQ_SYNC, 0)

static const struct trace_step linux_probe_steps[] = {
	LINUX_IDENTIFY,
	LOAD(R_CR0, 0),
	LINUX_RESET(0, LINUX_SEV),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	LINUX_QUIET,
	/* A level-2 table whose STEs all abort */
	MEMORY(STRTAB_L2 + STE, STE_ABORT),
	MEMORY(STRTAB, L1_ENTRY(STRTAB_L2)),
};

static TRACE(linux_probe, "Linux, probe", NULL, 0);

/* A page for the device */
#define LINUX_MAP(_where, _page)					\
	MEMORY(TABLE(0) + (_where), (TABLE(1) + (_where)) | PTE_TABLE),	\
	MEMORY(TABLE(1) + (_where), (TABLE(2) + (_where)) | PTE_TABLE),	\
	MEMORY(ENTRY_2 + (_where), (TABLE(3) + (_where)) | PTE_TABLE),	\
	MEMORY(ENTRY_3 + (_where), (_page) | PTE_PAGE)

#define LINUX_STE(_table, _where, ...)					\
	MEMORY((_table) + STE + 8, STE1_CACHED | STE1_SSID0),		\
	COMMAND(CFGI_STE(TRACE_SID, 1)), __VA_ARGS__,			\
	MEMORY((_table) + STE, STE_S1(CD + (_where))),			\
	COMMAND(CFGI_STE(TRACE_SID, 1)), __VA_ARGS__,			\
	COMMAND(PREFETCH_CONFIG(TRACE_SID)), RING, DONE

#define LINUX_CD_0	(CD_0(48, IPS_44, ASID) | CD_CACHED)

/* The device gets a new page, then it faults. */
#define LINUX_USE							\
	DMA(IOVA, PAGE(0)),						\
	MEMORY(ENTRY_3, PAGE(1) | PTE_PAGE),				\
	COMMAND(TLBI_NH_RANGE(ASID, IOVA)), LINUX_SEV,			\
	DMA(IOVA, PAGE(1)),						\
	FAULT(FAULTING, 1),						\
	IRQS(EVENTQ, 1),						\
	EVENT(0, EVENT_F_TRANSLATION, FAULTING),			\
	STORE(R_EVENTQ_CONS, 1),					\
	FAULT(FAULTING + 0x1000, 2),					\
	IRQS(EVENTQ, 1),						\
	EVENT(1, EVENT_F_TRANSLATION, FAULTING + 0x1000),		\
	STORE(R_EVENTQ_CONS, 2)

static const struct trace_step linux_6_1_steps[] = {
	LINUX_MAP(0, PAGE(0)),
	/* The domain has no device when its CD is written: only a CMD_SYNC is sent. */
	MEMORY(CD + 8, TABLE(0)),
	MEMORY(CD + 24, MAIR_NORMAL),
	LINUX_SEV,
	MEMORY(CD, LINUX_CD_0),
	LINUX_SEV,
	LINUX_STE(STRTAB_L2, 0, LINUX_SEV),
	LINUX_USE,
};

static TRACE(linux_6_1, "Linux 6.1", &linux_probe, 0);

static const struct trace_step linux_7_3_steps[] = {
	LOAD(R_IIDR, 0),
	LINUX_MAP(0, PAGE(0)),
	MEMORY(CD + 8, TABLE(0)),
	MEMORY(CD + 24, MAIR_NORMAL),
	COMMAND(CFGI_CD(TRACE_SID)), LINUX_SEV,
	MEMORY(CD, LINUX_CD_0),
	COMMAND(CFGI_CD(TRACE_SID)), LINUX_SEV,
	LINUX_STE(STRTAB_L2, 0, LINUX_SEV),
	LINUX_USE,
};

static TRACE(linux_7_3, "Linux 7.3", &linux_probe, 0);

/* A command in error becomes a CMD_SYNC. */
static const struct trace_step linux_error_steps[] = {
	COMMAND(ILLEGAL), COMMAND(TLBI_NSNH_ALL), COMMAND(SYNC_SEV), RING,
	STOPPED(3, CERROR_ILL),
	IRQS(GERROR, 1),
	LOAD(R_GERROR, CMDQ_ERR),
	LOAD(R_GERRORN, 0),
	FIX(3, SYNC_SEV),
	STORE(R_GERRORN, CMDQ_ERR),
	DONE,
	LOAD(R_GERRORN, CMDQ_ERR),
	IRQS(GERROR, 0),
};

static TRACE(linux_error, "Linux 7.3, command error", &linux_7_3, 0);

/* With MSIs, of its queue of commands as well. Doorbells are words of memory here. */
#define EVENTQ_MSI	PAGE(3)
#define GERROR_MSI	(PAGE(3) + 8)

static const struct trace_step linux_msi_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED | IDR0_MSI),
	LOAD(R_CR0, 0),
	LINUX_RESET(0, LINUX_POLL),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, 0),
	STORE64(R_EVENTQ_IRQ_CFG0, EVENTQ_MSI),
	STORE(R_EVENTQ_IRQ_CFG1, 0x11),
	STORE(R_EVENTQ_IRQ_CFG2, 1),
	STORE64(R_GERROR_IRQ_CFG0, GERROR_MSI),
	STORE(R_GERROR_IRQ_CFG1, 0x12),
	STORE(R_GERROR_IRQ_CFG2, 1),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	MEMORY(STRTAB, L1_ENTRY(STRTAB_L2)),
	LINUX_MAP(0, PAGE(0)),
	MEMORY(CD + 8, TABLE(0)),
	MEMORY(CD + 24, MAIR_NORMAL),
	MEMORY(CD, LINUX_CD_0),
	COMMAND(CFGI_CD(TRACE_SID)), LINUX_POLL,
	LINUX_STE(STRTAB_L2, 0, LINUX_POLL),
	DMA(IOVA, PAGE(0)),
	MEMORY(ENTRY_3, PAGE(1) | PTE_PAGE),
	COMMAND(TLBI_NH_RANGE(ASID, IOVA)), LINUX_POLL,
	DMA(IOVA, PAGE(1)),
	PEEK(EVENTQ_MSI, 0),
	FAULT(FAULTING, 1),
	PEEK(EVENTQ_MSI, 0x11),
	STORE(R_EVENTQ_CONS, 1),
	MEMORY(EVENTQ_MSI, 0),
	FAULT(FAULTING, 2),
	PEEK(EVENTQ_MSI, 0x11),
	STORE(R_EVENTQ_CONS, 2),
	/* A CMD_SYNC behind an error is not done. */
	PEEK(GERROR_MSI, 0),
	COMMAND(ILLEGAL), SYNC_MSI(SYNC_0_MSI), RING,
	STOPPED(2, CERROR_ILL),
	SLOT(1, SYNC_0_MSI),
	PEEK(GERROR_MSI, 0x12),
	LOAD(R_GERROR, CMDQ_ERR),
	FIX(2, SYNC_SEV),
	STORE(R_GERRORN, CMDQ_ERR),
	SLOT(1, 0),
	DONE,
};

static TRACE(linux_msi, "Linux 7.3, MSIs", NULL, VSMMU_OPT_MSI);

/* kdump: a kernel that finds the SMMU as the crashed one left it */
static const struct trace_step linux_kdump_steps[] = {
	LINUX_IDENTIFY,
	LOAD(R_CR0, SMMUEN | CMDQEN | EVENTQEN),
	LOAD(R_GBPA, 0),
	STORE(R_GBPA, GBPA_UPDATE | GBPA_ABORT),
	LOAD(R_GBPA, GBPA_ABORT),
	DMA(IOVA, PAGE(1)),
	LINUX_RESET(SECOND, LINUX_SEV),
	ABORT(IOVA),
	/* Without events */
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN),
	LINUX_QUIET,
	MEMORY(STRTAB_L2 + SECOND + STE, STE_ABORT),
	MEMORY(STRTAB + SECOND, L1_ENTRY(STRTAB_L2 + SECOND)),
	LINUX_MAP(SECOND, PAGE(2)),
	MEMORY(CD + SECOND + 8, TABLE(0) + SECOND),
	MEMORY(CD + SECOND + 24, MAIR_NORMAL),
	MEMORY(CD + SECOND, LINUX_CD_0),
	COMMAND(CFGI_CD(TRACE_SID)), LINUX_SEV,
	LINUX_STE(STRTAB_L2 + SECOND, SECOND, LINUX_SEV),
	DMA(IOVA, PAGE(2)),
	ABORT(FAULTING),
	LOAD(R_EVENTQ_PROD, 0),
	IRQS(EVENTQ, 0),
};

static TRACE(linux_kdump, "Linux 7.3, kdump", &linux_7_3, 0);

/*
 * kdump that adopts the crashed kernel's stream table: DMA goes on. The crashed kernel
 * left a command in error.
 */
static const struct trace_step linux_adopt_steps[] = {
	COMMAND(ILLEGAL), COMMAND(SYNC_SEV), RING,
	STOPPED(2, CERROR_ILL),
	IRQS(GERROR, 1),
	/* The next kernel */
	LINUX_IDENTIFY,
	LOAD(R_CR0, SMMUEN | CMDQEN | EVENTQEN),
	LOAD_BITS(R_GERROR, 1U << 8, 0),
	LOAD(R_STRTAB_BASE_CFG, STRTAB_CFG),
	LOAD64(R_STRTAB_BASE, ALLOCATE | STRTAB),
	ACK(R_CR0, R_CR0ACK, SMMUEN),
	DMA(IOVA, PAGE(1)),
	LOAD(R_GERROR, CMDQ_ERR),
	LOAD(R_GERRORN, 0),
	STORE(R_GERRORN, CMDQ_ERR),
	LINUX_COMMAND_QUEUE(SECOND, SMMUEN, LINUX_SEV),
	DMA(IOVA, PAGE(1)),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, 0),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN),
	DMA(IOVA, PAGE(1)),
	/* The device's driver comes: a new CD under the old STE's place */
	LINUX_MAP(SECOND, PAGE(2)),
	MEMORY(CD + SECOND + 8, TABLE(0) + SECOND),
	MEMORY(CD + SECOND + 24, MAIR_NORMAL),
	MEMORY(CD + SECOND, CD_0(48, IPS_44, ASID + 1) | CD_CACHED),
	COMMAND(CFGI_CD(TRACE_SID)), LINUX_SEV,
	MEMORY(STRTAB_L2 + STE, 0),
	COMMAND(CFGI_STE(TRACE_SID, 1)), LINUX_SEV,
	ABORT(IOVA),
	LINUX_STE(STRTAB_L2, SECOND, LINUX_SEV),
	DMA(IOVA, PAGE(2)),
	IRQS(GERROR, 0),
};

static TRACE(linux_adopt, "Linux, kdump that adopts tables", &linux_7_3, 0);

/* Both BSDs, up to the first command */
#define BSD_START							\
	STORE(R_CR1, CR1_CACHED),					\
	STORE(R_CR2, CR2_PTM | CR2_RECINVSID | CR2_E2H),		\
	STORE64(R_STRTAB_BASE, ALLOCATE | STRTAB),			\
	STORE(R_STRTAB_BASE_CFG, STRTAB_CFG),				\
	STORE64(R_CMDQ_BASE, ALLOCATE | CMDQ | CMDQS),			\
	STORE(R_CMDQ_PROD, 0),						\
	STORE(R_CMDQ_CONS, 0),						\
	ACK(R_CR0, R_CR0ACK, CMDQEN)

/* FreeBSD: rings for each command. It asks for MSIs into the queue whatever IDR0 says. */

#define FREEBSD_SYNC	SYNC_MSI(SYNC_0_MSI), RING, DONE

/* It leaves a byte of CFGI_STE as it was on the stack. */
#define FREEBSD_STE	COMMAND(CFGI_STE(TRACE_SID, 0x5a)), RING, FREEBSD_SYNC

static const struct trace_step freebsd_attach_steps[] = {
	LOAD(R_IDR1, IDR1_OFFERED),
	LOAD_BITS(R_IDR3, 1U << 10, 1U << 10),
	LOAD_BITS(R_IDR5, 1U << 4, 1U << 4),
	LOAD(R_CR0, 0),
	ACK(R_CR0, R_CR0ACK, 0),
	STORE64(R_GERROR_IRQ_CFG0, 0),
	STORE(R_GERROR_IRQ_CFG1, 0),
	STORE(R_GERROR_IRQ_CFG2, 0),
	STORE64(R_EVENTQ_IRQ_CFG0, 0),
	STORE(R_EVENTQ_IRQ_CFG1, 0),
	STORE(R_EVENTQ_IRQ_CFG2, 0),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, 0),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ),
	BSD_START,
	COMMAND(CFGI_ALL), RING, FREEBSD_SYNC,
	COMMAND(TLBI_NSNH_ALL), RING, FREEBSD_SYNC,
	STORE64(R_EVENTQ_BASE, ALLOCATE | EVENTQ | EVENTQS),
	STORE(R_EVENTQ_PROD, 0),
	STORE(R_EVENTQ_CONS, 0),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	/* A domain, and a device in it */
	MEMORY(CD + 8, TABLE(0)),
	MEMORY(CD + 24, MAIR_NORMAL << 8),
	MEMORY(CD, CD_0(40, IPS_48, ASID)),
	COMMAND(TLBI_NH_ASID(ASID)), RING, FREEBSD_SYNC,
	MEMORY(STRTAB, L1_ENTRY(STRTAB_L2)),
	MEMORY(STRTAB_L2 + STE + 8, STE1_EATS | STE1_CACHED),
	FREEBSD_STE,
	MEMORY(STRTAB_L2 + STE, STE_S1(CD)),
	FREEBSD_STE,
	COMMAND(CFGI_CD(TRACE_SID)), RING,
	FREEBSD_STE,
	COMMAND(PREFETCH_CONFIG(TRACE_SID)), RING, FREEBSD_SYNC,
	FREEBSD_SYNC,
	/* A page is mapped, then another one in its place. */
	MEMORY(TABLE(0), TABLE(1) | PTE_TABLE),
	MEMORY(TABLE(1), TABLE(2) | PTE_TABLE),
	MEMORY(ENTRY_2, TABLE(3) | PTE_TABLE),
	MEMORY(ENTRY_3, PAGE(0) | PTE_PAGE | 1 << 2),
	COMMAND(TLBI_NH_VA(ASID, IOVA)), RING, FREEBSD_SYNC,
	DMA(IOVA, PAGE(0)),
	MEMORY(ENTRY_3, PAGE(1) | PTE_PAGE | 1 << 2),
	COMMAND(TLBI_NH_VA(ASID, IOVA)), RING, FREEBSD_SYNC,
	DMA(IOVA, PAGE(1)),
	/* The interrupt filter loads PROD and CONS by one access. */
	FAULT(FAULTING, 1),
	IRQS(EVENTQ, 1),
	LOAD64(R_EVENTQ_PROD, 1),
	EVENT(0, EVENT_F_TRANSLATION, FAULTING),
	STORE(R_EVENTQ_CONS, 1),
	LOAD64(R_EVENTQ_PROD, 1ULL << 32 | 1),
	FAULT(FAULTING + 0x1000, 2),
	IRQS(EVENTQ, 1),
	LOAD64(R_EVENTQ_PROD, 1ULL << 32 | 2),
	EVENT(1, EVENT_F_TRANSLATION, FAULTING + 0x1000),
	STORE(R_EVENTQ_CONS, 2),
	LOAD64(R_EVENTQ_PROD, 2ULL << 32 | 2),
};

static TRACE(freebsd_attach, "FreeBSD, attach", NULL, 0);

/* Without MSIs it waits until its patience ends: the CMD_SYNC stays as it is. */
static const struct trace_step freebsd_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),
	PEEK(CMDQ + 16, SYNC_0_MSI),
	SLOT(1, SYNC_0_MSI),
	/* It gives up the device. */
	MEMORY(STRTAB_L2 + STE, 0),
	FREEBSD_STE,
	ABORT(IOVA),
};

static TRACE(freebsd, "FreeBSD", &freebsd_attach, 0);

/* With MSIs each CMD_SYNC is over at once; these are the first and the last one. */
static const struct trace_step freebsd_msi_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED | IDR0_MSI),
	PEEK(CMDQ + 16, 0),
	SLOT(1, 0),
	MEMORY(STRTAB_L2 + STE, 0),
	FREEBSD_STE,
	SLOT(1, 0),
	ABORT(IOVA),
};

static TRACE(freebsd_msi, "FreeBSD, MSIs", &freebsd_attach, VSMMU_OPT_MSI);

/*
 * OpenBSD takes each SMMU for one with EL2 (E2H): it invalidates by TLBI_EL2_*, which are
 * illegal without IDR0.Hyp, and does not come further.
 */
static const struct trace_step openbsd_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),
	LOAD(R_IDR1, IDR1_OFFERED),
	LOAD_BITS(R_IDR5, 1U << 4, 1U << 4),
	LOAD_BITS(R_IDR3, 1U << 9, 0),
	LOAD_BITS(R_CR0, SMMUEN, 0),
	ACK(R_CR0, R_CR0ACK, 0),
	BSD_START,
	COMMAND(CFGI_ALL), RING,
	COMMAND(SYNC_SEV), RING, DONE,
	COMMAND(TLBI_EL2_ALL), RING,
	COMMAND(SYNC_SEV), RING,
	STOPPED(2, CERROR_ILL),
	LOAD(R_GERROR, CMDQ_ERR),
};

static TRACE(openbsd, "OpenBSD", NULL, 0);

/* edk2 for NVIDIA's machines reads CMDQ_PROD back, and needs EL2 and stage 2. */
static const struct trace_step nvidia_steps[] = {
	STORE(R_GBPA, GBPA_UPDATE | 1 << 12),
	LOAD_BITS(R_GBPA, GBPA_UPDATE | GBPA_ABORT, 0),
	LOAD(R_CR0, 0),
	ACK(R_CR0, R_CR0ACK, 0),
	LOAD_BITS(R_AIDR, ~3U, 0),
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),
	STORE(R_CR1, CR1_CACHED),
	LOAD(R_CR2, 0),
	STORE(R_CR2, CR2_PTM | CR2_RECINVSID),
	LOAD(R_IDR1, IDR1_OFFERED),
	STORE(R_IDR1, IDR1_OFFERED),
	STORE64(R_CMDQ_BASE, ALLOCATE | CMDQ | CMDQS),
	STORE(R_CMDQ_CONS, 0),
	STORE(R_CMDQ_PROD, 0),
	STORE64(R_EVENTQ_BASE, ALLOCATE | EVENTQ | EVENTQS),
	STORE(R_EVENTQ_CONS, 0),
	STORE(R_EVENTQ_PROD, 0),
	STORE(R_STRTAB_BASE_CFG, 16),
	STORE64(R_STRTAB_BASE, ALLOCATE | STRTAB_ALL),
	LOAD(R_CR0, 0),
	ACK(R_CR0, R_CR0ACK, CMDQEN),
	LOAD(R_CR0, CMDQEN),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	LOAD(R_CMDQ_PROD, 0),
	COMMAND(CFGI_ALL), RING, LOAD(R_CMDQ_PROD, 1),
	COMMAND(SYNC_NONE), RING, LOAD(R_CMDQ_PROD, 2), DONE,
	COMMAND(TLBI_EL2_ALL), RING, LOAD(R_CMDQ_PROD, 3),
	STOPPED(1, CERROR_ILL),
	/* Acknowledged before each command, and not fixed: it comes again. */
	LOAD(R_GERROR, CMDQ_ERR),
	LOAD(R_GERRORN, 0),
	STORE(R_GERRORN, CMDQ_ERR),
	COMMAND(TLBI_NSNH_ALL), RING, LOAD(R_CMDQ_PROD, 4),
	STOPPED(2, CERROR_ILL),
	LOAD(R_GERROR, 0),
	LOAD(R_GERRORN, CMDQ_ERR),
};

static TRACE(nvidia, "edk2-nvidia, SmmuV3Dxe", NULL, 0);

/* edk2's SmmuDxe wants stage 2. Without it, it makes the SMMU abort all DMA. */
static const struct trace_step smmu_dxe_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_S2P | 1U << 4, 1U << 4),
	LOAD_BITS(R_CR0, SMMUEN | CMDQEN | EVENTQEN, 0),
	DMA(PAGE(0), PAGE(0)),
	LOAD_BITS(R_GBPA, GBPA_UPDATE, 0),
	STORE(R_GBPA, GBPA_UPDATE | GBPA_ABORT),
	LOAD_BITS(R_GBPA, GBPA_UPDATE, 0),
	LOAD_BITS(R_GBPA, GBPA_ABORT, GBPA_ABORT),
	ABORT(PAGE(0)),
};

static TRACE(smmu_dxe, "edk2, SmmuDxe", NULL, 0);

/* Xen wants stage 2, and leaves the SMMU alone without it. */
static const struct trace_step xen_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_S2P, 0),
	DMA(PAGE(0), PAGE(0)),
};

static TRACE(xen, "Xen", NULL, 0);

/*
 * Zephyr's driver for stage 1: queues of 8 entries. It waits for ATSCHK in CR0ACK, even
 * without ATS, and does not come further. It means CR2 by a store to IDR0.
 */
static const struct trace_step zephyr_start_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),
	LOAD(R_IDR1, IDR1_OFFERED),
	LOAD_BITS(R_IDR5, 1U << 4, 1U << 4),
	STORE(R_CR1, CR1_CACHED),
	STORE(R_IDR0, CR2_PTM | CR2_RECINVSID | CR2_E2H),
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),
	LOAD(R_CR2, 0),
	STORE64(R_CMDQ_BASE, ALLOCATE | CMDQ | 3),
	STORE(R_CMDQ_CONS, 0),
	STORE(R_CMDQ_PROD, 0),
	STORE64(R_STRTAB_BASE, ALLOCATE | STRTAB),
	/* log2 of the level-1 table, in place of the whole one */
	STORE(R_STRTAB_BASE_CFG, 1U << 16 | 8U << 6 | 8),
	ACK(R_CR0, R_CR0ACK, CMDQEN),
	COMMAND(CFGI_ALL), RING, COMMAND(SYNC_SEV), RING, DONE,
	COMMAND(TLBI_NSNH_ALL), RING, COMMAND(SYNC_SEV), RING, DONE,
	LOAD(R_GERROR, 0),
	STORE64(R_EVENTQ_BASE, ALLOCATE | EVENTQ | 3),
	STORE(R_EVENTQ_CONS, 0),
	STORE(R_EVENTQ_PROD, 0),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
};

static TRACE(zephyr_start, "Zephyr, start", NULL, 0);

static const struct trace_step zephyr_steps[] = {
	STORE(R_CR0, CMDQEN | EVENTQEN | ATSCHK),
	LOAD(R_CR0ACK, CMDQEN | EVENTQEN),
};

static TRACE(zephyr, "Zephyr, stage 1", &zephyr_start, 0);

/* With ATS it comes to the end, and its device has a StreamID that its table has. */
static const struct trace_step zephyr_ats_steps[] = {
	LOAD_BITS(R_IDR0, 1U << 10, 1U << 10),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN | ATSCHK),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN | ATSCHK),
	MEMORY(CD + 8, TABLE(1)),
	MEMORY(CD + 24, MAIR_NORMAL),
	MEMORY(CD, CD_0(39, IPS_44, 0)),
	MEMORY(STRTAB, L1_ENTRY(STRTAB_L2)),
	MEMORY(STRTAB_L2 + STE + 8, STE1_EATS | STE1_CACHED),
	COMMAND(CFGI_STE(TRACE_SID, 1)), RING, COMMAND(SYNC_SEV), RING, DONE,
	MEMORY(STRTAB_L2 + STE, STE_S1(CD)),
	COMMAND(CFGI_STE(TRACE_SID, 1)), RING, COMMAND(SYNC_SEV), RING, DONE,
	COMMAND(PREFETCH_CONFIG(TRACE_SID)), RING, COMMAND(SYNC_SEV), RING, DONE,
	COMMAND(TLBI_NH_VA(0, IOVA)), RING, COMMAND(SYNC_SEV), RING, DONE,
	FAULT(IOVA, 1),
	EVENT(0, EVENT_F_TRANSLATION, IOVA),
	LOAD(R_GERROR, 0),
};

static TRACE(zephyr_ats, "Zephyr, stage 1, with ATS", &zephyr_start, VSMMU_OPT_ATS);

/*
 * Zephyr's driver for Intel's SoCs: it takes PROD and the queue's size from the registers,
 * and has an STE with stage 2, which is illegal without IDR0.S2P.
 */
static const struct trace_step zephyr_intel_steps[] = {
	LOAD_BITS(R_IDR0, IDR0_FIELDS, IDR0_OFFERED),
	LOAD(R_IDR1, IDR1_OFFERED),
	LOAD(R_CR0, 0),
	ACK(R_CR0, R_CR0ACK, 0),
	STORE(R_CR1, CR1_CACHED),
	STORE(R_CR2, CR2_PTM | CR2_RECINVSID),
	MEMORY(STRTAB_L2 + STE + 8, 1ULL << 44),
	MEMORY(STRTAB_L2 + STE + 16, 1ULL << 51),
	MEMORY(STRTAB_L2 + STE + 24, TABLE(0)),
	MEMORY(STRTAB_L2 + STE, STE_S2),
	STORE64(R_STRTAB_BASE, ALLOCATE | STRTAB_L2),
	STORE(R_STRTAB_BASE_CFG, 8),
	STORE64(R_CMDQ_BASE, ALLOCATE | CMDQ | 4),
	STORE(R_CMDQ_PROD, 0),
	STORE(R_CMDQ_CONS, 0),
	LOAD(R_CR0, 0),
	ACK(R_CR0, R_CR0ACK, CMDQEN),
	LOAD(R_CMDQ_PROD, 0), LOAD(R_CMDQ_CONS, 0),
	LOAD64(R_CMDQ_BASE, ALLOCATE | CMDQ | 4),
	COMMAND(CFGI_ALL), COMMAND(SYNC_SEV), RING,
	LOAD(R_CMDQ_PROD, 2), LOAD(R_CMDQ_CONS, 2),
	COMMAND(TLBI_NSNH_ALL), COMMAND(SYNC_SEV), RING,
	LOAD(R_CMDQ_PROD, 4), LOAD(R_CMDQ_CONS, 4),
	STORE64(R_EVENTQ_BASE, ALLOCATE | EVENTQ | 4),
	STORE(R_EVENTQ_PROD, 0),
	STORE(R_EVENTQ_CONS, 0),
	LOAD(R_CR0, CMDQEN),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	LOAD(R_IRQ_CTRL, 0),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ),
	LOAD(R_CR0, CMDQEN | EVENTQEN),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	ABORT(PAGE(0)),
	LOAD(R_GERROR, 0),
};

static TRACE(zephyr_intel, "Zephyr, Intel", NULL, 0);

const struct trace *const traces[] = {
	&linux_6_1, &linux_7_3, &linux_error, &linux_msi, &linux_kdump, &linux_adopt,
	&freebsd, &freebsd_msi,
	&openbsd, &nvidia, &smmu_dxe, &xen, &zephyr, &zephyr_ats, &zephyr_intel,
	&moved_back, &fixed_in_place, &one_entry, &few_entries, &high_bits, &small_table,
	&large_table, &bad_ste,
};

const unsigned int trace_num = ARRAY_LEN(traces);
