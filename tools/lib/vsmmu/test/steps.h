/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The words in which traces are written.
 */
#ifndef _VSMMU_TEST_STEPS_H
#define _VSMMU_TEST_STEPS_H

#include "trace.h"

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* The traces of corners.c */
extern const struct trace moved_back, fixed_in_place, one_entry, few_entries, high_bits,
	small_table, large_table, bad_ste;

#define STEP(_op, _at, _value, _more) \
	{ TRACE_##_op, __LINE__, (_at), (_value), (_more) }

#define LOAD(_at, _value)		STEP(LOAD, _at, _value, ~0U)
#define LOAD_BITS(_at, _bits, _value)	STEP(LOAD, _at, _value, _bits)
#define LOAD64(_at, _value)		STEP(LOAD64, _at, _value, 0)
#define STORE(_at, _value)		STEP(STORE, _at, _value, 0)
#define STORE64(_at, _value)		STEP(STORE64, _at, _value, 0)
#define ACK(_at, _ack, _value)		STEP(ACK, _at, _value, _ack)
#define MEMORY(_gpa, _value)		STEP(MEMORY, _gpa, _value, 0)
#define PEEK(_gpa, _value)		STEP(PEEK, _gpa, _value, 0)
#define COMMAND(...)			STEP(COMMAND, 0, __VA_ARGS__)
#define SYNC_MSI(_dw0)			STEP(SYNC_MSI, 0, _dw0, 0)
#define RING				STEP(RING, 0, 0, 0)
#define DONE				STEP(DONE, 0, 0, 0)
#define STOPPED(_back, _cerror)		STEP(STOPPED, _back, _cerror, 0)
#define BACK(_num)			STEP(BACK, _num, 0, 0)
#define FIX(_back, ...)			STEP(FIX, _back, __VA_ARGS__)
#define SLOT(_back, _value)		STEP(SLOT, _back, _value, 0)
#define IRQS(_line, _num)		STEP(IRQS, VSMMU_IRQ_##_line, _num, 0)
#define DMA(_iova, _page)		STEP(DMA, 0, _iova, _page)
#define ABORT(_iova)			STEP(ABORT, 0, _iova, 0)
#define FAULT(_iova, _prod)		STEP(FAULT, _prod, _iova, 0)
#define EVENT(_i, _id, _address)	STEP(EVENT, _i, _id, _address)

#define TRACE(_symbol, _name, _after, _options)				\
	const struct trace _symbol = {					\
		.name = _name, .after = _after, .options = _options,	\
		.steps = _symbol##_steps,				\
		.step_num = ARRAY_LEN(_symbol##_steps),			\
	}

/* Where a driver has its structures; SECOND is where a second one has its own. */
#define CMDQ		(TRACE_RAM + 0x10000)
#define EVENTQ		(TRACE_RAM + 0x20000)
#define STRTAB		(TRACE_RAM + 0x30000)
#define STRTAB_L2	(TRACE_RAM + 0x34000)
#define CD		(TRACE_RAM + 0x38000)
#define TABLE(_level)	(TRACE_RAM + 0x40000 + 0x1000 * (_level))
#define PAGE(_n)	(TRACE_RAM + 0x50000 + 0x1000 * (_n))
#define SECOND		0x100000
/* A linear table of 65,536 STEs */
#define STRTAB_ALL	(TRACE_RAM + 0x400000)
/* The place of the STE in a level-2 table or a linear one */
#define STE		(TRACE_SID * 64)

/* Register fields */
#define SMMUEN		(1U << 0)
#define EVENTQEN	(1U << 2)
#define CMDQEN		(1U << 3)
#define ATSCHK		(1U << 4)
#define CR1_CACHED	0xd75		/* inner shareable, write-back */
#define CR2_E2H		(1U << 0)
#define CR2_RECINVSID	(1U << 1)
#define CR2_PTM		(1U << 2)
#define GBPA_ABORT	(1U << 20)
#define GBPA_UPDATE	(1U << 31)
#define IRQ_GERROR	(1U << 0)
#define IRQ_EVENTQ	(1U << 2)
#define CMDQ_ERR	(1U << 0)
#define OVFLG		(1U << 31)
#define ALLOCATE	(1ULL << 62)	/* of base registers: a hint */

/* What each guest finds in SMMU_IDR0 and IDR1: stage 1 alone, wired interrupts */
#define IDR0_S2P	(1U << 0)
#define IDR0_HYP	(1U << 9)
#define IDR0_MSI	(1U << 13)
#define IDR0_FIELDS	(3U << 27 | 3U << 24 | 3U << 21 | 1U << 16 | 3U << 13 | \
			 1U << 9 | 0xffU)
#define IDR0_OFFERED	(1U << 27 | 1U << 24 | 2U << 21 | 1U << 4 | 2U << 2 | 1U << 1)
#define CMDQS		12		/* queues of 64 KiB */
#define EVENTQS		11
#define IDR1_OFFERED	(CMDQS << 21 | EVENTQS << 16 | 16)

/* 2 levels of 256 entries */
#define STRTAB_CFG	(1U << 16 | 8U << 6 | 16)
#define L1_ENTRY(_l2)	((_l2) | 9)

/* STEs and CDs; page tables */
#define STE_ABORT	1ULL
#define STE_BYPASS	(1ULL | 4 << 1)
#define STE_S1(_cd)	(1ULL | 5 << 1 | (_cd))
#define STE_S2		(1ULL | 6 << 1)
#define STE1_CACHED	(1ULL << 2 | 1ULL << 4 | 3ULL << 6)
#define STE1_SSID0	2ULL
#define STE1_EATS	(1ULL << 28)
#define STE1_STRW_EL2	(2ULL << 30)
#define CD_BITS		(1ULL << 30 | 1ULL << 31 | 1ULL << 41 | 7ULL << 45)
#define CD_CACHED	(1ULL << 8 | 1ULL << 10 | 3ULL << 12)
#define CD_0(_bits, _ips, _asid) \
	((64 - (_bits)) | (uint64_t)(_ips) << 32 | CD_BITS | (uint64_t)(_asid) << 48)
#define IPS_44		4
#define IPS_48		5
#define MAIR_NORMAL	0xffULL
#define PTE_TABLE	3ULL
/* AF, inner shareable, not privileged, not global */
#define PTE_PAGE	(3ULL | 1ULL << 6 | 3ULL << 8 | 1ULL << 10 | 1ULL << 11)

/* Commands */
#define PREFETCH_CONFIG(_sid)	(0x01 | (uint64_t)(_sid) << 32), 0
#define CFGI_STE(_sid, _leaf)	(0x03 | (uint64_t)(_sid) << 32), (_leaf)
#define CFGI_ALL		0x04, 31
#define CFGI_CD(_sid)		(0x05 | (uint64_t)(_sid) << 32), 1
#define TLBI_NH_ASID(_asid)	(0x11 | (uint64_t)(_asid) << 48), 0
#define TLBI_NH_VA(_asid, _va)	(0x12 | (uint64_t)(_asid) << 48), ((_va) | 1)
/* One page of 4 KiB as a range: TG and TTL say what it is */
#define TLBI_NH_RANGE(_asid, _va) \
	(0x12 | (uint64_t)(_asid) << 48), ((_va) | 1 << 10 | 3 << 8 | 1)
#define TLBI_EL2_ALL		0x20, 0
#define TLBI_NSNH_ALL		0x30, 0
#define SYNC_NONE		0x46, 0
#define SYNC_IRQ		(0x46 | 1 << 12), 0
/* CS, MSH and MSIAttr */
#define SYNC_SEV		(0x46 | 2 << 12 | 3 << 22 | 0xf << 24), 0
#define SYNC_0_MSI		(0x46 | 1 << 12 | 3 << 22 | 0xf << 24)
#define ILLEGAL			0xff, 0
#define CERROR_ILL		1

#define EVENT_C_BAD_STE		0x04

#endif
