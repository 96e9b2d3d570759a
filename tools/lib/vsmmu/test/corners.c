// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the architecture allows and few drivers do.
 */
#include "steps.h"

/* A driver with a command queue of 2^@_log2size entries, an event queue, no table */
#define START(_log2size, _evt_log2size)					\
	STORE64(R_CMDQ_BASE, CMDQ | (_log2size)),			\
	STORE(R_CMDQ_PROD, 0),						\
	STORE(R_CMDQ_CONS, 0),						\
	STORE64(R_EVENTQ_BASE, EVENTQ | (_evt_log2size)),		\
	STORE(R_EVENTQ_PROD, 0),					\
	STORE(R_EVENTQ_CONS, 0),					\
	STORE(R_CR2, CR2_RECINVSID),					\
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ),	\
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN)

/* A table in which the device has a stage 1 without pages */
#define EMPTY_STAGE_1							\
	STORE64(R_STRTAB_BASE, STRTAB_L2),				\
	STORE(R_STRTAB_BASE_CFG, 8),					\
	MEMORY(CD + 8, TABLE(1)),					\
	MEMORY(CD + 24, MAIR_NORMAL),					\
	MEMORY(CD, CD_0(39, IPS_44, 1) | CD_CACHED),			\
	MEMORY(STRTAB_L2 + STE + 8, STE1_CACHED),			\
	MEMORY(STRTAB_L2 + STE, STE_S1(CD))

#define SYNCED	DONE, IRQS(CMDQ_SYNC, 1)

/* A driver gives up what it has queued behind a command in error, and that command. */
static const struct trace_step moved_back_steps[] = {
	START(4, 4),
	COMMAND(SYNC_IRQ), COMMAND(ILLEGAL), COMMAND(TLBI_NSNH_ALL), COMMAND(SYNC_IRQ),
	RING, STOPPED(3, CERROR_ILL),
	IRQS(GERROR, 1), IRQS(CMDQ_SYNC, 1),
	LOAD(R_GERROR, CMDQ_ERR),
	BACK(3), RING, STOPPED(0, CERROR_ILL),
	IRQS(GERROR, 0), IRQS(CMDQ_SYNC, 0),
	STORE(R_GERRORN, CMDQ_ERR),
	DONE,
	IRQS(GERROR, 0), IRQS(CMDQ_SYNC, 0),
	COMMAND(TLBI_NSNH_ALL), COMMAND(SYNC_IRQ), RING, SYNCED,
	/* Behind the command in error, with others in their place */
	COMMAND(SYNC_NONE), COMMAND(ILLEGAL), COMMAND(ILLEGAL), RING,
	STOPPED(2, CERROR_ILL),
	IRQS(GERROR, 1),
	LOAD(R_GERROR, 0),
	BACK(2), COMMAND(SYNC_IRQ), RING, STOPPED(1, CERROR_ILL),
	STORE(R_GERRORN, 0),
	SYNCED,
	LOAD(R_GERRORN, 0),
	IRQS(GERROR, 0),
};

TRACE(moved_back, "PROD moved back behind an error", NULL, 0);

/* A driver corrects a command in error, and acknowledges. */
static const struct trace_step fixed_in_place_steps[] = {
	START(4, 4),
	COMMAND(ILLEGAL), COMMAND(SYNC_IRQ), RING, STOPPED(2, CERROR_ILL),
	IRQS(GERROR, 1),
	/* Not before it acknowledges */
	FIX(2, TLBI_NSNH_ALL), RING, STOPPED(2, CERROR_ILL),
	COMMAND(TLBI_NSNH_ALL), RING, STOPPED(3, CERROR_ILL),
	IRQS(GERROR, 0), IRQS(CMDQ_SYNC, 0),
	STORE(R_GERRORN, CMDQ_ERR),
	SYNCED,
	/* Acknowledged without a correction */
	COMMAND(ILLEGAL), COMMAND(SYNC_IRQ), RING, STOPPED(2, CERROR_ILL),
	LOAD(R_GERROR, 0),
	STORE(R_GERRORN, 0),
	STOPPED(2, CERROR_ILL),
	LOAD(R_GERROR, CMDQ_ERR),
	IRQS(GERROR, 2),
	/* Two in error */
	COMMAND(ILLEGAL), RING,
	FIX(3, SYNC_NONE),
	STORE(R_GERRORN, CMDQ_ERR),
	STOPPED(1, CERROR_ILL),
	LOAD(R_GERROR, 0),
	IRQS(GERROR, 1), IRQS(CMDQ_SYNC, 1),
	FIX(1, SYNC_IRQ),
	STORE(R_GERRORN, 0),
	SYNCED,
};

TRACE(fixed_in_place, "a command corrected in place", NULL, 0);

/* Queues of one entry, whose index is nothing but the wrap bit */
static const struct trace_step one_entry_steps[] = {
	START(0, 0),
	COMMAND(SYNC_IRQ), RING, SYNCED,
	LOAD_BITS(R_CMDQ_CONS, 1, 1),
	COMMAND(SYNC_IRQ), RING, SYNCED,
	LOAD_BITS(R_CMDQ_CONS, 1, 0),
	COMMAND(ILLEGAL), RING, STOPPED(1, CERROR_ILL),
	FIX(1, SYNC_IRQ),
	STORE(R_GERRORN, CMDQ_ERR),
	SYNCED,
	/* An event queue that is full with one event */
	EMPTY_STAGE_1,
	COMMAND(CFGI_ALL), RING, DONE,
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	FAULT(0x1000, 1),
	IRQS(EVENTQ, 1),
	EVENT(0, EVENT_F_TRANSLATION, 0x1000),
	FAULT(0x2000, OVFLG | 1),
	IRQS(EVENTQ, 0),
	EVENT(0, EVENT_F_TRANSLATION, 0x1000),
	STORE(R_EVENTQ_CONS, OVFLG | 1),
	FAULT(0x3000, OVFLG | 0),
	IRQS(EVENTQ, 1),
	EVENT(0, EVENT_F_TRANSLATION, 0x3000),
	STORE(R_EVENTQ_CONS, OVFLG | 0),
};

TRACE(one_entry, "queues of one entry", NULL, 0);

/* A queue that is always full: it wraps at its end, wherever its base is. */
#define LAP								\
	COMMAND(SYNC_NONE), COMMAND(TLBI_NSNH_ALL), RING, DONE,		\
	COMMAND(SYNC_NONE), COMMAND(SYNC_IRQ), RING, SYNCED,		\
	COMMAND(SYNC_IRQ), RING, SYNCED

#define QUEUE(_base, _log2size)						\
	ACK(R_CR0, R_CR0ACK, 0),					\
	STORE64(R_CMDQ_BASE, (_base) | (_log2size)),			\
	STORE(R_CMDQ_PROD, 0),						\
	STORE(R_CMDQ_CONS, 0),						\
	ACK(R_CR0, R_CR0ACK, CMDQEN),					\
	LAP, LAP, LAP

static const struct trace_step few_entries_steps[] = {
	QUEUE(CMDQ, 1),
	QUEUE(CMDQ + 0x20, 1),
	QUEUE(CMDQ + 0x40, 2),
	QUEUE(CMDQ + 0x80, 3),
	QUEUE(CMDQ + 0x100, 4),
	LOAD(R_GERROR, 0),
};

TRACE(few_entries, "queues of 2 to 16 entries", NULL, 0);

/* Bits above an index are reserved: they may be stored, and have no effect. */
static const struct trace_step high_bits_steps[] = {
	STORE64(R_CMDQ_BASE, CMDQ | 4),
	STORE(R_CMDQ_PROD, 0xfff20 | 5),
	STORE(R_CMDQ_CONS, 0xffffffc0 | 5),
	LOAD_BITS(R_CMDQ_CONS, 0xff00001f, 5),
	ACK(R_CR0, R_CR0ACK, CMDQEN),
	LOAD_BITS(R_CMDQ_CONS, 0xff00001f, 5),
	LOAD(R_GERROR, 0),
	IRQS(CMDQ_SYNC, 0),
	COMMAND(SYNC_IRQ), RING, SYNCED,
	/* GERRORN: only the error that is active is acknowledged. */
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_GERROR),
	COMMAND(ILLEGAL), RING, STOPPED(1, CERROR_ILL),
	IRQS(GERROR, 1),
	FIX(1, SYNC_IRQ),
	STORE(R_GERRORN, ~0U),
	SYNCED,
	LOAD_BITS(R_GERRORN, CMDQ_ERR, CMDQ_ERR),
	IRQS(GERROR, 0),
	/* The event queue: bits above the index, below OVACKFLG */
	EMPTY_STAGE_1,
	COMMAND(CFGI_ALL), COMMAND(SYNC_IRQ), RING, SYNCED,
	STORE64(R_EVENTQ_BASE, EVENTQ | 1),
	STORE(R_EVENTQ_PROD, 0),
	STORE(R_EVENTQ_CONS, 0x7ffffffc),
	ACK(R_IRQ_CTRL, R_IRQ_CTRLACK, IRQ_EVENTQ),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	FAULT(0x1000, 1),
	IRQS(EVENTQ, 1),
	EVENT(0, EVENT_F_TRANSLATION, 0x1000),
	FAULT(0x2000, 2),
	IRQS(EVENTQ, 0),
	STORE(R_EVENTQ_CONS, 0x7ffffffc | 2),
	FAULT(0x3000, 3),
	IRQS(EVENTQ, 1),
	EVENT(0, EVENT_F_TRANSLATION, 0x3000),
};

TRACE(high_bits, "bits above an index", NULL, 0);

/* Tables that do not reach the device's StreamID, and one that just does */
static const struct trace_step small_table_steps[] = {
	START(4, 4),
	MEMORY(STRTAB_L2 + STE, STE_BYPASS),
	STORE64(R_STRTAB_BASE, STRTAB_L2),
	STORE(R_STRTAB_BASE_CFG, 6),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	ABORT(PAGE(0)),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	STORE(R_STRTAB_BASE_CFG, 7),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	DMA(PAGE(0), PAGE(0)),
	/* 2 levels, with one entry in the first: a LOG2SIZE below 5, below SPLIT */
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	MEMORY(STRTAB, L1_ENTRY(STRTAB_L2)),
	STORE64(R_STRTAB_BASE, STRTAB),
	STORE(R_STRTAB_BASE_CFG, 1U << 16 | 8 << 6 | 4),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	ABORT(PAGE(0)),
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	STORE(R_STRTAB_BASE_CFG, 1U << 16 | 8 << 6 | 7),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	DMA(PAGE(0), PAGE(0)),
	LOAD(R_EVENTQ_PROD, 0),
	LOAD(R_GERROR, 0),
};

TRACE(small_table, "small stream tables", NULL, 0);

/*
 * A table for more StreamIDs than there are: SIDSIZE limits them, and the base is aligned
 * to the size that LOG2SIZE says.
 */
static const struct trace_step large_table_steps[] = {
	START(4, 4),
	MEMORY(TRACE_RAM + STE, STE_BYPASS),
	MEMORY(STRTAB_ALL + STE, STE_ABORT),
	STORE64(R_STRTAB_BASE, STRTAB_ALL),
	STORE(R_STRTAB_BASE_CFG, 18),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	LOAD64(R_STRTAB_BASE, STRTAB_ALL),
	LOAD(R_STRTAB_BASE_CFG, 18),
	COMMAND(CFGI_STE(TRACE_SID, 1)), COMMAND(SYNC_IRQ), RING, SYNCED,
	DMA(PAGE(0), PAGE(0)),
	LOAD(R_EVENTQ_PROD, 0),
};

TRACE(large_table, "a stream table beyond SIDSIZE", NULL, 0);

/*
 * An STE that is illegal: an event when a command names it and it is in use, once. Real
 * hardware has one for each transaction.
 */
static const struct trace_step bad_ste_steps[] = {
	START(4, 4),
	STORE64(R_STRTAB_BASE, STRTAB_L2),
	STORE(R_STRTAB_BASE_CFG, 8),
	MEMORY(STRTAB_L2 + STE, STE_S2),
	/* A driver invalidates all before it enables the SMMU, whatever is in its table. */
	COMMAND(CFGI_ALL), COMMAND(SYNC_IRQ), RING, SYNCED,
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	LOAD(R_EVENTQ_PROD, 0),
	ABORT(PAGE(0)),
	/* Named before it is in use */
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	COMMAND(CFGI_STE(TRACE_SID, 1)), COMMAND(SYNC_IRQ), RING, SYNCED,
	LOAD(R_EVENTQ_PROD, 0),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	LOAD(R_EVENTQ_PROD, 1),
	IRQS(EVENTQ, 1),
	EVENT(0, EVENT_C_BAD_STE, 0),
	STORE(R_EVENTQ_CONS, 1),
	ABORT(PAGE(0)),
	/* Enabled again: nothing new is named. */
	ACK(R_CR0, R_CR0ACK, CMDQEN | EVENTQEN),
	ACK(R_CR0, R_CR0ACK, SMMUEN | CMDQEN | EVENTQEN),
	LOAD(R_EVENTQ_PROD, 1),
	/* Named while it is in use */
	COMMAND(CFGI_STE(TRACE_SID, 1)), COMMAND(SYNC_IRQ), RING, SYNCED,
	LOAD(R_EVENTQ_PROD, 2),
	IRQS(EVENTQ, 1),
	EVENT(1, EVENT_C_BAD_STE, 0),
	STORE(R_EVENTQ_CONS, 2),
	/* Legal */
	MEMORY(STRTAB_L2 + STE, STE_BYPASS),
	COMMAND(CFGI_STE(TRACE_SID, 1)), COMMAND(SYNC_IRQ), RING, SYNCED,
	DMA(PAGE(0), PAGE(0)),
	LOAD(R_EVENTQ_PROD, 2),
	IRQS(EVENTQ, 0),
};

/* It is not saved that a command named the stream before the STE was in use. */
const struct trace bad_ste = {
	.name = "an illegal STE",
	.steps = bad_ste_steps,
	.step_num = ARRAY_LEN(bad_ste_steps),
	.unsaved = true,
};
