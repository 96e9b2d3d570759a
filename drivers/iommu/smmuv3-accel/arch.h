/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Encodings of the SMMUv3 architecture (Arm IHI 0070) that a Non-secure stage-1
 * guest uses. The names are the architecture's. The number after a structure's name
 * is the index of the 64-bit word that has the field.
 */
#ifndef _SMMUV3_ACCEL_ARCH_H
#define _SMMUV3_ACCEL_ARCH_H

#include <linux/bitfield.h>
#include <linux/bits.h>

/* 6.3.1 to 6.3.6: ID registers */
#define IDR0_S2P		BIT(0)
#define IDR0_S1P		BIT(1)
#define IDR0_TTF		GENMASK(3, 2)
#define IDR0_COHACC		BIT(4)
#define IDR0_ATS		BIT(10)
#define IDR0_ASID16		BIT(12)
#define IDR0_MSI		BIT(13)
#define IDR0_VMID16		BIT(18)
#define IDR0_CD2L		BIT(19)
#define IDR0_TTENDIAN		GENMASK(22, 21)
#define  TTENDIAN_RESERVED	1
#define IDR0_STALL_MODEL	GENMASK(25, 24)
#define  STALL_MODEL_BOTH	0	/* stalling and terminating */
#define  STALL_MODEL_TERMINATE	1
#define  STALL_MODEL_FORCED	2
#define IDR0_TERM_MODEL		BIT(26)
#define IDR0_ST_LEVEL		GENMASK(28, 27)
#define IDR1_SIDSIZE		GENMASK(5, 0)
#define  SIDSIZE_GUEST_MAX	31	/* bit 31 is SMMUV3_ACCEL_VSID_UNSET */
#define IDR1_SSIDSIZE		GENMASK(10, 6)
#define IDR1_EVENTQS		GENMASK(20, 16)
#define  EVENTQS_MAX		19
#define IDR1_CMDQS		GENMASK(25, 21)
#define  CMDQS_MAX		19
#define IDR3_HAD		BIT(2)
#define IDR3_FWB		BIT(8)
#define IDR3_RIL		BIT(10)
#define IDR3_BBML		GENMASK(12, 11)
#define IDR5_OAS		GENMASK(2, 0)
#define IDR5_GRAN		GENMASK(6, 4)
#define IDR5_DS			BIT(7)
#define IDR5_VAX		GENMASK(11, 10)

/* 6.3.9, 6.3.14, 6.3.24 to 6.3.26: registers that a guest sets */
#define CR0_SMMUEN		BIT(0)
#define CR0_CMDQEN		BIT(3)
#define GBPA_ABORT		BIT(20)
#define STRTAB_BASE_ADDR	GENMASK_ULL(51, 6)
#define STRTAB_CFG_LOG2SIZE	GENMASK(5, 0)
#define STRTAB_CFG_SPLIT	GENMASK(10, 6)
#define STRTAB_CFG_FMT		GENMASK(17, 16)
#define  STRTAB_FMT_2LEVEL	1
#define CMDQ_BASE_LOG2SIZE	GENMASK_ULL(4, 0)
#define CMDQ_BASE_ADDR		GENMASK_ULL(51, 5)

/* 5.1: level-1 stream table descriptor */
#define L1STD_SPAN		GENMASK_ULL(4, 0)
#define L1STD_L2PTR		GENMASK_ULL(51, 6)

/* 5.2: Stream Table Entry */
#define STE_0_V			BIT_ULL(0)
#define STE_0_CONFIG		GENMASK_ULL(3, 1)
#define  STE_CONFIG_TRAFFIC	4	/* clear: DMA aborts without an event */
#define  STE_CONFIG_BYPASS	4
#define  STE_CONFIG_S1		5
#define STE_0_S1FMT		GENMASK_ULL(5, 4)
#define  STE_S1FMT_LINEAR	0
#define  STE_S1FMT_RESERVED	3	/* acts as linear */
#define STE_0_S1CONTEXTPTR	GENMASK_ULL(51, 6)
#define STE_0_S1CONTEXTPTR_OVER	GENMASK_ULL(55, 52)
#define STE_0_S1CDMAX		GENMASK_ULL(63, 59)
#define STE_1_S1DSS		GENMASK_ULL(1, 0)
#define  STE_S1DSS_TERMINATE	0
#define  STE_S1DSS_RESERVED	3	/* acts as 0 */
#define STE_1_S1CIR		GENMASK_ULL(3, 2)
#define STE_1_S1COR		GENMASK_ULL(5, 4)
#define STE_1_S1CSH		GENMASK_ULL(7, 6)
#define STE_1_S1STALLD		BIT_ULL(27)
#define STE_1_EATS		GENMASK_ULL(29, 28)
#define  STE_EATS_ABORT		0
#define  STE_EATS_FULL		1
#define  STE_EATS_SPLIT		2
#define  STE_EATS_RESERVED	3	/* acts as 0, without SMMU_IDR3.DPT */

/* 5.4: Context Descriptor */
#define CD_0_V			BIT_ULL(31)
#define CD_0_ASID		GENMASK_ULL(63, 48)

/* 4.2 to 4.7: commands */
#define CMD_0_OP		GENMASK_ULL(7, 0)
#define CMD_0_SSEC		BIT_ULL(10)
#define CMD_0_SSV		BIT_ULL(11)
#define CMD_0_SSID		GENMASK_ULL(31, 12)
#define CMD_0_SID		GENMASK_ULL(63, 32)

#define CMD_PREFETCH_CONFIG	0x01
#define CMD_PREFETCH_ADDR	0x02

#define CMD_CFGI_STE		0x03
#define CMD_CFGI_STE_RANGE	0x04
#define CMD_CFGI_CD		0x05
#define CMD_CFGI_CD_ALL		0x06
#define CFGI_1_LEAF		BIT_ULL(0)
#define CFGI_1_RANGE		GENMASK_ULL(4, 0)
#define  CFGI_RANGE_ALL		31

#define CMD_TLBI_NH_ALL		0x10
#define CMD_TLBI_NH_ASID	0x11
#define CMD_TLBI_NH_VA		0x12
#define CMD_TLBI_NH_VAA		0x13
#define CMD_TLBI_EL2_ALL	0x20
#define CMD_TLBI_EL2_ASID	0x21
#define CMD_TLBI_EL2_VA		0x22
#define CMD_TLBI_EL2_VAA	0x23
#define CMD_TLBI_S12_VMALL	0x28
#define CMD_TLBI_S2_IPA		0x2a
#define CMD_TLBI_NSNH_ALL	0x30
#define TLBI_0_NUM		GENMASK_ULL(16, 12)
#define TLBI_0_SCALE		GENMASK_ULL(25, 20)
#define  TLBI_SCALE_NO_DS	0x1f	/* larger ones need SMMU_IDR5.DS */
#define TLBI_0_VMID		GENMASK_ULL(47, 32)
#define TLBI_0_ASID		GENMASK_ULL(63, 48)
#define  TLBI_ASID_8BIT		0xff
#define  TLBI_ASID_16BIT	0xffff
#define TLBI_1_LEAF		BIT_ULL(0)
#define TLBI_1_TTL		GENMASK_ULL(9, 8)
#define TLBI_1_TG		GENMASK_ULL(11, 10)
#define  TLBI_TG_16K		2
#define TLBI_1_ADDRESS		GENMASK_ULL(63, 12)

#define CMD_ATC_INV		0x40
#define ATC_INV_0_GLOBAL	BIT_ULL(9)
#define ATC_INV_1_SIZE		GENMASK_ULL(5, 0)
#define  ATC_INV_SIZE_ALL	52
#define ATC_INV_1_ADDRESS	GENMASK_ULL(63, 12)

#define CMD_SYNC		0x46
#define SYNC_0_CS		GENMASK_ULL(13, 12)
#define  SYNC_CS_IRQ		1
#define  SYNC_CS_RESERVED	3
#define SYNC_0_MSH		GENMASK_ULL(23, 22)
#define SYNC_0_MSIATTR		GENMASK_ULL(27, 24)
#define SYNC_0_MSIDATA		GENMASK_ULL(63, 32)

#endif
