// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The player of traces. It does what a driver does, and reads registers as the guest
 * does: by vsmmu_read() and from the register file, which have to agree.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace.h"

#define COMMAND_SIZE	16
#define EVENT_BYTES	32
#define ADDRESS		0xfffffffffffe0ULL
#define LOG2SIZE	0x1fU

/**
 * struct mismatch - Why a step failed
 * @got: what was found
 * @want: what had to be there
 */
struct mismatch {
	uint64_t got;
	uint64_t want;
};

static bool expect(struct mismatch *m, uint64_t got, uint64_t want)
{
	m->got = got;
	m->want = want;
	return got == want;
}

/* Memory that a trace names is in RAM. */
static char *memory(struct trace_player *p, uint64_t gpa)
{
	return p->ram + (gpa - TRACE_RAM) % TRACE_RAM_SIZE;
}

static uint32_t word(struct trace_player *p, uint64_t gpa)
{
	return le32toh(__atomic_load_n((uint32_t *)memory(p, gpa), __ATOMIC_ACQUIRE));
}

static void write_memory(struct trace_player *p, uint64_t gpa, uint64_t value)
{
	__atomic_store_n((uint64_t *)memory(p, gpa), htole64(value), __ATOMIC_RELEASE);
}

static bool load(struct trace_player *p, uint64_t at, unsigned int size,
		 uint64_t *value)
{
	const char *page = vsmmu_page(p->v, at / VSMMU_PAGE_SIZE);
	uint64_t published = 0;

	if (vsmmu_read(p->v, at, value, size))
		return false;
	memcpy(&published, page + at % VSMMU_PAGE_SIZE, size);
	return le64toh(published) == *value;
}

static uint32_t index_mask(struct trace_player *p)
{
	return (2U << p->log2size) - 1;
}

/* A driver keeps where its queues are, and where its command queue ends. */
static bool store(struct trace_player *p, uint64_t at, uint64_t value,
		  unsigned int size)
{
	if (at == R_CMDQ_BASE) {
		p->base = value & ADDRESS;
		p->log2size = value & LOG2SIZE;
	} else if (at == R_CMDQ_PROD) {
		p->prod = value & index_mask(p);
	} else if (at == R_EVENTQ_BASE) {
		p->eventq = value & ADDRESS;
	}
	return !vsmmu_write(p->v, at, value, size);
}

/* Where the command is that is @back before the end of the queue */
static uint64_t slot(struct trace_player *p, uint64_t back)
{
	return p->base + ((p->prod - back) & (index_mask(p) >> 1)) * COMMAND_SIZE;
}

static void write_command(struct trace_player *p, uint64_t back, uint64_t dw0,
			  uint64_t dw1)
{
	write_memory(p, slot(p, back), dw0);
	write_memory(p, slot(p, back) + 8, dw1);
}

/* CMDQ_CONS: an error code, and an index whose bits above the wrap bit mean nothing */
static bool consumed(struct trace_player *p, uint32_t error, uint64_t back,
		     struct mismatch *m)
{
	uint64_t cons;

	return load(p, R_CMDQ_CONS, 4, &cons) &&
	       expect(m, cons & (0x7fU << 24 | index_mask(p)),
		      (uint64_t)error << 24 | ((p->prod - back) & index_mask(p)));
}

static bool ring(struct trace_player *p, struct mismatch *m)
{
	uint64_t prod;

	return store(p, R_CMDQ_PROD, p->prod & index_mask(p), 4) &&
	       load(p, R_CMDQ_PROD, 4, &prod) && expect(m, prod, p->prod);
}

static bool registers(struct trace_player *p, const struct trace_step *step,
		      struct mismatch *m)
{
	uint64_t value;

	switch (step->op) {
	case TRACE_LOAD:
		return load(p, step->at, 4, &value) &&
		       expect(m, value & step->more, step->value);
	case TRACE_LOAD64:
		return load(p, step->at, 8, &value) && expect(m, value, step->value);
	case TRACE_STORE:
		return store(p, step->at, step->value, 4);
	case TRACE_STORE64:
		return store(p, step->at, step->value, 8);
	default:
		return store(p, step->at, step->value, 4) &&
		       load(p, step->more, 4, &value) && expect(m, value, step->value);
	}
}

static bool queue(struct trace_player *p, const struct trace_step *step,
		  struct mismatch *m)
{
	switch (step->op) {
	case TRACE_COMMAND:
	case TRACE_SYNC_MSI:
		write_command(p, 0, step->value, step->op == TRACE_COMMAND ?
			      step->more : slot(p, 0));
		p->prod = (p->prod + 1) & index_mask(p);
		return true;
	case TRACE_FIX:
		write_command(p, step->at, step->value, step->more);
		return true;
	case TRACE_BACK:
		p->prod = (p->prod - step->at) & index_mask(p);
		return true;
	case TRACE_RING:
		return ring(p, m);
	case TRACE_SLOT:
		return expect(m, word(p, slot(p, step->at)), step->value);
	default:
		return consumed(p, step->value, step->at, m);
	}
}

static bool event(struct trace_player *p, const struct trace_step *step,
		  struct mismatch *m)
{
	uint64_t gpa = p->eventq + step->at * EVENT_BYTES;

	return expect(m, word(p, gpa) & 0xff, step->value) &&
	       expect(m, word(p, gpa + 4), TRACE_SID) &&
	       (step->value != EVENT_F_TRANSLATION ||
		expect(m, word(p, gpa + 16) | (uint64_t)word(p, gpa + 20) << 32,
		       step->more));
}

static bool device(struct trace_player *p, const struct trace_step *step,
		   struct mismatch *m)
{
	if (step->op == TRACE_FAULT)
		return p->fault(p->opaque, step->value, step->at);
	if (!p->dma)
		return true;
	return expect(m, p->dma(p->opaque, step->value, step->more),
		      step->op == TRACE_ABORT ? -EFAULT : 1);
}

static bool irqs(struct trace_player *p, const struct trace_step *step,
		 struct mismatch *m)
{
	unsigned int n = p->irqs[step->at];

	p->irqs[step->at] = 0;
	return expect(m, n, step->value);
}

static bool play(struct trace_player *p, const struct trace_step *step,
		 struct mismatch *m)
{
	switch (step->op) {
	case TRACE_LOAD ... TRACE_ACK:
		return registers(p, step, m);
	case TRACE_MEMORY:
		write_memory(p, step->at, step->value);
		return true;
	case TRACE_PEEK:
		return expect(m, word(p, step->at), step->value);
	case TRACE_IRQS:
		return irqs(p, step, m);
	case TRACE_EVENT:
		return event(p, step, m);
	case TRACE_DMA:
	case TRACE_ABORT:
	case TRACE_FAULT:
		return device(p, step, m);
	default:
		return queue(p, step, m);
	}
}

/* Returns false with the step that failed in @why. */
bool trace_play(struct trace_player *p, const struct trace *trace, char *why,
		unsigned int len)
{
	struct mismatch m;
	unsigned int i;

	if (trace->after && !trace_play(p, trace->after, why, len))
		return false;
	for (i = 0; i < trace->step_num; i++) {
		const struct trace_step *step = &trace->steps[i];

		m = (struct mismatch){};
		if (play(p, step, &m) && (!p->between || p->between(p->opaque)))
			continue;
		snprintf(why, len, "%s: step %u in line %d, at %#llx: %#llx in place of %#llx%s",
			 trace->name, i + 1, step->line, (unsigned long long)step->at,
			 (unsigned long long)m.got, (unsigned long long)m.want,
			 m.got == m.want ? ": the access failed" : "");
		return false;
	}
	return true;
}
