/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Traces: what drivers of guests do to their SMMU, step by step, with the answer that
 * the architecture (Arm IHI 0070) gives at each step. They are played on a fake kernel
 * and on the real module.
 */
#ifndef _VSMMU_TEST_TRACE_H
#define _VSMMU_TEST_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include "vsmmu.h"

/* The guest's memory; a trace lays it out by itself. */
#define TRACE_RAM	0x80000000ULL
#define TRACE_RAM_SIZE	0x1000000ULL

/* The StreamID of the one device */
#define TRACE_SID	0x42

/* Registers (chapter 6) */
enum {
	R_IDR0 = 0x00, R_IDR1 = 0x04, R_IDR3 = 0x0c, R_IDR5 = 0x14,
	R_IIDR = 0x18, R_AIDR = 0x1c,
	R_CR0 = 0x20, R_CR0ACK = 0x24, R_CR1 = 0x28, R_CR2 = 0x2c,
	R_GBPA = 0x44,
	R_IRQ_CTRL = 0x50, R_IRQ_CTRLACK = 0x54,
	R_GERROR = 0x60, R_GERRORN = 0x64, R_GERROR_IRQ_CFG0 = 0x68,
	R_GERROR_IRQ_CFG1 = 0x70, R_GERROR_IRQ_CFG2 = 0x74,
	R_STRTAB_BASE = 0x80, R_STRTAB_BASE_CFG = 0x88,
	R_CMDQ_BASE = 0x90, R_CMDQ_PROD = 0x98, R_CMDQ_CONS = 0x9c,
	R_EVENTQ_BASE = 0xa0, R_EVENTQ_IRQ_CFG0 = 0xb0,
	R_EVENTQ_IRQ_CFG1 = 0xb8, R_EVENTQ_IRQ_CFG2 = 0xbc,
	R_EVENTQ_PROD = 0x100a8, R_EVENTQ_CONS = 0x100ac,
};

/**
 * enum trace_op - What a step does
 * @TRACE_LOAD: load 32 bits of a register; expect @value in the bits of @more
 * @TRACE_LOAD64: load 64 bits; expect @value
 * @TRACE_STORE: store 32 bits
 * @TRACE_STORE64: store 64 bits
 * @TRACE_ACK: store 32 bits; expect the same in the register at @more
 * @TRACE_MEMORY: write 64 bits to memory
 * @TRACE_PEEK: read 32 bits of memory; expect @value
 * @TRACE_COMMAND: write a command, @value and @more, at the end of the queue
 * @TRACE_SYNC_MSI: write a CMD_SYNC, @value, whose MSI goes to its own place in the queue
 * @TRACE_RING: store the end of the queue to CMDQ_PROD, which is read back
 * @TRACE_DONE: expect that CMDQ_CONS has come to the end of the queue, without an error
 * @TRACE_STOPPED: expect that the queue stopped @at commands before its end, with the
 *	CERROR of @value
 * @TRACE_BACK: take @at commands back from the end of the queue
 * @TRACE_FIX: overwrite the command that is @at before the end of the queue
 * @TRACE_SLOT: read the first 32 bits of the command that is @at before the end of the
 *	queue; expect @value
 * @TRACE_IRQS: expect @value edges of line @at since the last such step
 * @TRACE_DMA: a write to address @value lands in the page at @more
 * @TRACE_ABORT: a write to address @value aborts, and there is no event
 * @TRACE_FAULT: a write to address @value faults: EVENTQ_PROD comes to be @at
 * @TRACE_EVENT: expect event @value for the device in entry @at of the event queue; with
 *	F_TRANSLATION, at address @more
 */
enum trace_op {
	TRACE_LOAD,
	TRACE_LOAD64,
	TRACE_STORE,
	TRACE_STORE64,
	TRACE_ACK,
	TRACE_MEMORY,
	TRACE_PEEK,
	TRACE_COMMAND,
	TRACE_SYNC_MSI,
	TRACE_RING,
	TRACE_DONE,
	TRACE_STOPPED,
	TRACE_BACK,
	TRACE_FIX,
	TRACE_SLOT,
	TRACE_IRQS,
	TRACE_DMA,
	TRACE_ABORT,
	TRACE_FAULT,
	TRACE_EVENT,
};

#define EVENT_F_TRANSLATION	0x10

/**
 * struct trace_step - A step
 * @op: what it does
 * @line: where it stands
 * @at: a register, an address in memory or a distance
 * @value: what is stored or expected
 * @more: see enum trace_op
 */
struct trace_step {
	enum trace_op op;
	int line;
	uint64_t at;
	uint64_t value;
	uint64_t more;
};

/**
 * struct trace - What a driver does
 * @name: the driver and what it does
 * @after: what happens before it; NULL: a reset
 * @options: what the VMM offers
 * @steps: the steps
 * @step_num: how many there are
 * @unsaved: the virtual SMMU keeps something that vsmmu_save() does not save
 */
struct trace {
	const char *name;
	const struct trace *after;
	uint32_t options;
	const struct trace_step *steps;
	unsigned int step_num;
	bool unsaved;
};

extern const struct trace *const traces[];
extern const unsigned int trace_num;

/**
 * struct trace_player - A machine to play traces on
 * @v: the virtual SMMU
 * @ram: the guest's memory, TRACE_RAM_SIZE bytes
 * @irqs: edges of each line, VSMMU_IRQ_NUM of them; the player clears them
 * @dma: writes to an address as the device: 1: the write reached the page at @page; 0:
 *	it went elsewhere; -EFAULT: it was aborted. NULL: there is no device, and what it
 *	would do is taken for granted
 * @fault: makes the device fault at an address, and waits for EVENTQ_PROD to be @prod
 * @between: called between two steps; returns false if it fails; may be NULL
 * @opaque: for these functions
 * @base: address of the command queue
 * @log2size: log2 of its length
 * @prod: its end, with the wrap bit
 * @eventq: address of the event queue
 */
struct trace_player {
	struct vsmmu *v;
	char *ram;
	unsigned int *irqs;
	int (*dma)(void *opaque, uint64_t iova, uint64_t page);
	bool (*fault)(void *opaque, uint64_t iova, uint32_t prod);
	bool (*between)(void *opaque);
	void *opaque;
	uint64_t base;
	unsigned int log2size;
	uint32_t prod;
	uint64_t eventq;
};

bool trace_play(struct trace_player *p, const struct trace *trace, char *why,
		unsigned int len);

#endif
