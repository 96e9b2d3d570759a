/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A vSMMU on a fake kernel with a little guest memory, and what a guest driver does
 * with it.
 */
#ifndef _VSMMU_TEST_RIG_H
#define _VSMMU_TEST_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* Two regions that are contiguous for the guest, but not for the VMM */
#define RAM_BASE	0x80000000ULL
#define RAM_HALF	0x10000ULL
#define RAM_SIZE	(2 * RAM_HALF)

/* Registers (Arm IHI 0070, chapter 6) */
enum {
	IDR0 = 0x00, IDR1 = 0x04, IDR3 = 0x0c, IDR5 = 0x14,
	IIDR = 0x18, AIDR = 0x1c,
	CR0 = 0x20, CR0ACK = 0x24, CR1 = 0x28, CR2 = 0x2c,
	GBPA = 0x44,
	IRQ_CTRL = 0x50, IRQ_CTRLACK = 0x54,
	GERROR = 0x60, GERRORN = 0x64,
	STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88,
	CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c,
	EVENTQ_BASE = 0xa0, EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac,
};

#define SMMUEN		0x1U
#define EVENTQEN	0x4U
#define CMDQEN		0x8U
#define ATSCHK		0x10U
#define ABORT		(1U << 20)
#define UPDATE		(1U << 31)
#define OVFLG		(1U << 31)
#define CMDQ_ERR	0x1U
#define EVENTQ_ABT_ERR	0x4U
#define GERROR_IRQEN	0x1U
#define EVENTQ_IRQEN	0x4U

/* Commands (chapter 4) */
#define CFGI_STE(sid)		(0x03ULL | (uint64_t)(sid) << 32)
#define CFGI_STE_RANGE(sid)	(0x04ULL | (uint64_t)(sid) << 32)
#define CFGI_ALL		31	/* of CFGI_STE_RANGE, in the second doubleword */
#define CFGI_CD(sid)		(0x05ULL | (uint64_t)(sid) << 32)
#define CFGI_CD_ALL(sid)	(0x06ULL | (uint64_t)(sid) << 32)
#define TLBI_NH_ALL		0x10ULL
#define SYNC			0x46ULL

/**
 * struct rig - All of it
 * @fake: the kernel
 * @v: the vSMMU
 * @ram: the guest's memory as the VMM has it, the second half first
 * @irqs: edges of each line that were seen
 * @on_irq: called for each edge, or NULL
 */
struct rig {
	struct fake fake;
	struct vsmmu *v;
	char *ram;
	unsigned int irqs[VSMMU_IRQ_NUM];
	void (*on_irq)(struct rig *rig);
};

/* Edges that were raised in this thread */
extern __thread unsigned int thread_irqs;

struct vsmmu_config rig_config(struct rig *rig);
void rig_new(struct rig *rig);
void rig_free(struct rig *rig);
int rig_setup(void **state);
int rig_setup_clean(void **state);
int rig_setup_off(void **state);
int rig_teardown(void **state);

void *rig_ptr(struct rig *rig, uint64_t gpa);
uint32_t get(struct rig *rig, uint64_t offset);
uint64_t get64(struct rig *rig, uint64_t offset);
int put(struct rig *rig, uint64_t offset, uint32_t value);
int put64(struct rig *rig, uint64_t offset, uint64_t value);
void enable_cmdq(struct rig *rig, unsigned int log2size);
void put_cmd(struct rig *rig, unsigned int index, uint64_t dw0, uint64_t dw1);
void fill_ring(struct rig *rig, unsigned int log2size, uint64_t dw0, uint64_t dw1);
void enable_eventq(struct rig *rig, uint64_t base, unsigned int log2size);
void enable_bad(struct rig *rig, uint64_t eventq, unsigned int log2size);
unsigned int irqs(struct rig *rig, enum vsmmu_irq line);

#define assert_put(rig, offset, value)	\
	assert_int_equal(put(rig, offset, value), 0)

/* Expect that a call returns @_rc, with a reason of enum vsmmu_reason. */
#define assert_refused(_v, _call, _rc, _reason)				\
	do {								\
		struct vsmmu_error _error;				\
									\
		assert_int_equal(_call, _rc);				\
		vsmmu_last_error(_v, &_error);				\
		assert_int_equal(_error.error, _rc);			\
		assert_int_equal(_error.request, 0);			\
		assert_int_equal(_error.reason, _reason);		\
	} while (0)

#endif
