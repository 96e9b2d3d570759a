/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The architecture's encodings (Arm IHI 0070), as far as the register file of a
 * Non-secure stage-1 guest uses them, under the architecture's names.
 */
#ifndef _VSMMU_ARCH_H
#define _VSMMU_ARCH_H

#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Bits @hi to @lo of a 64-bit register, or of a 32-bit one if @hi is below 32 */
#define BITS(hi, lo)	((~0ULL >> (63 - (hi))) & (~0ULL << (lo)))

/* A field's value, and a value in a field's place; @mask is a constant */
#define FIELD_SHIFT(mask)	__builtin_ctzll(mask)
#define FIELD_GET(mask, reg)	(((reg) & (mask)) >> FIELD_SHIFT(mask))
#define FIELD_PREP(mask, val)	(((uint64_t)(val) << FIELD_SHIFT(mask)) & (mask))

/* 6.3.1 to 6.3.6: ID registers */
#define IDR0_S1P		BITS(1, 1)
#define IDR0_TTF		BITS(3, 2)
#define  TTF_AARCH64		2
#define IDR0_COHACC		BITS(4, 4)
#define IDR0_ATS		BITS(10, 10)
#define IDR0_ASID16		BITS(12, 12)
#define IDR0_MSI		BITS(13, 13)
#define IDR0_CD2L		BITS(19, 19)
#define IDR0_TTENDIAN		BITS(22, 21)
#define  TTENDIAN_MIXED		0
#define IDR0_STALL_MODEL	BITS(25, 24)
#define  STALL_MODEL_TERMINATE	1
#define IDR0_TERM_MODEL		BITS(26, 26)
#define IDR0_ST_LEVEL		BITS(28, 27)
#define IDR1_SIDSIZE		BITS(5, 0)
#define  SIDSIZE_MAX		31	/* the module's: SMMUV3_ACCEL_VSID_UNSET */
#define IDR1_SSIDSIZE		BITS(10, 6)
#define  SSIDSIZE_MAX		20
#define IDR1_EVENTQS		BITS(20, 16)
#define IDR1_CMDQS		BITS(25, 21)
#define  QUEUE_BITS_MAX		19
#define  CMDQS_64K		12	/* of commands of 16 bytes */
#define  EVENTQS_64K		11	/* of records of 32 bytes */
#define IDR3_HAD		BITS(2, 2)
#define IDR3_RIL		BITS(10, 10)
#define IDR3_BBML		BITS(12, 11)
#define IDR5_OAS		BITS(2, 0)
#define  OAS_48			5
#define IDR5_GRAN		BITS(6, 4)
#define IDR5_GRAN64K		BITS(6, 6)
#define IDR5_VAX		BITS(11, 10)
#define  VAX_48			0
#define  VAX_52			1

/* 6.3.8: SMMU_AIDR */
#define AIDR_SMMUV3_0		0
#define AIDR_SMMUV3_1		1

/* 6.3.9 to 6.3.19: control, interrupts, errors */
#define CR0_SMMUEN		BITS(0, 0)
#define CR0_EVENTQEN		BITS(2, 2)
#define CR0_CMDQEN		BITS(3, 3)
#define CR0_ATSCHK		BITS(4, 4)
#define CR1_QUEUE		BITS(5, 0)
#define CR1_TABLE		BITS(11, 6)
#define CR2_RECINVSID		BITS(1, 1)
#define GBPA_ABORT		BITS(20, 20)
#define GBPA_UPDATE		BITS(31, 31)
#define IRQ_CTRL_GERROR		BITS(0, 0)
#define IRQ_CTRL_EVENTQ		BITS(2, 2)
#define GERROR_CMDQ_ERR		BITS(0, 0)
#define GERROR_EVENTQ_ABT_ERR	BITS(2, 2)
#define GERROR_MSI_CMDQ_ABT_ERR	BITS(4, 4)
#define GERROR_MSI_EVENTQ_ABT_ERR BITS(5, 5)
#define GERROR_MSI_GERROR_ABT_ERR BITS(7, 7)
#define IRQ_CFG0_ADDR		BITS(51, 2)
#define IRQ_CFG1_DATA		BITS(31, 0)
#define IRQ_CFG2_ATTR		BITS(5, 0)	/* SH and MemAttr, without effect */

/* 6.3.24 to 6.3.30: the stream table and the queues */
#define BASE_HINT		BITS(62, 62)	/* read or write allocate */
#define STRTAB_BASE_ADDR	BITS(51, 6)
#define STRTAB_CFG_LOG2SIZE	BITS(5, 0)
#define STRTAB_CFG_SPLIT	BITS(10, 6)
#define STRTAB_CFG_FMT		BITS(17, 16)
#define QUEUE_BASE_LOG2SIZE	BITS(4, 0)
#define QUEUE_BASE_ADDR		BITS(51, 5)
#define QUEUE_INDEX		BITS(19, 0)	/* with the wrap bit */
#define QUEUE_OVFLG		BITS(31, 31)	/* OVACKFLG in CONS */
#define CMDQ_CONS_ERR		BITS(30, 24)
#define  CERROR_MAX		3

/* 4.1 to 4.7: commands */
#define CMD_SIZE		16
#define CMD_0_OP		BITS(7, 0)
#define CMD_0_SID		BITS(63, 32)
#define CMD_CFGI_STE		0x03
#define CMD_CFGI_STE_RANGE	0x04
#define CFGI_1_RANGE		BITS(4, 0)
#define  CFGI_RANGE_ALL		31
#define CMD_SYNC		0x46
#define SYNC_0_CS		BITS(13, 12)
#define  SYNC_CS_IRQ		1
#define SYNC_0_MSIDATA		BITS(63, 32)

/* 7.3: event records */
#define EVENT_SIZE		32
#define EVT_0_ID		BITS(7, 0)
#define  EVT_C_BAD_STREAMID	0x02
#define  EVT_F_STE_FETCH	0x03
#define  EVT_C_BAD_STE		0x04
#define EVT_0_SID		BITS(63, 32)

#endif
