// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The register file.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "internal.h"

#define U32	0xffffffffULL
#define IRQS	(IRQ_CTRL_GERROR | IRQ_CTRL_EVENTQ)
#define MSI_ERRORS (GERROR_MSI_CMDQ_ABT_ERR | GERROR_MSI_EVENTQ_ABT_ERR | \
		    GERROR_MSI_GERROR_ABT_ERR)
#define ERRORS	(GERROR_CMDQ_ERR | GERROR_EVENTQ_ABT_ERR | MSI_ERRORS)
#define CR0_BITS (CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK)
#define STRTAB_CFG_BITS (STRTAB_CFG_FMT | STRTAB_CFG_SPLIT | STRTAB_CFG_LOG2SIZE)
#define QUEUE_BASE_BITS	(BASE_HINT | QUEUE_BASE_ADDR | QUEUE_BASE_LOG2SIZE)

/*
 * CR2.PTM and E2H, IRQ_CTRL.PRIQ_IRQEN and all of GBPA but ABORT are RES0 without BTM,
 * HYP, PRI and attribute overrides.
 */
const struct reg_info vsmmu__regs[REG_NUM] = {
	[REG_IDR0] = { 0x00, 4, true, 0, U32 },
	[REG_IDR1] = { 0x04, 4, true, 0, U32 },
	[REG_IDR2] = { 0x08, 4, true, 0, U32 },
	[REG_IDR3] = { 0x0c, 4, true, 0, U32 },
	[REG_IDR4] = { 0x10, 4, true, 0, U32 },
	[REG_IDR5] = { 0x14, 4, true, 0, U32 },
	[REG_IIDR] = { 0x18, 4, true, 0, U32 },
	[REG_AIDR] = { 0x1c, 4, true, 0, U32 },
	[REG_CR0] = { 0x20, 4, false, 0, CR0_BITS },
	[REG_CR0ACK] = { 0x24, 4, true, 0, CR0_BITS },
	[REG_CR1] = { 0x28, 4, false, 0, CR1_TABLE | CR1_QUEUE },
	[REG_CR2] = { 0x2c, 4, false, CR0_SMMUEN, CR2_RECINVSID },
	[REG_GBPA] = { 0x44, 4, false, 0, GBPA_UPDATE | GBPA_ABORT },
	[REG_IRQ_CTRL] = { 0x50, 4, false, 0, IRQS },
	[REG_IRQ_CTRLACK] = { 0x54, 4, true, 0, IRQS },
	[REG_GERROR] = { 0x60, 4, true, 0, ERRORS },
	[REG_GERRORN] = { 0x64, 4, false, 0, ERRORS },
	[REG_GERROR_IRQ_CFG0] = { 0x68, 8, false, 0, IRQ_CFG0_ADDR },
	[REG_GERROR_IRQ_CFG1] = { 0x70, 4, false, 0, IRQ_CFG1_DATA },
	[REG_GERROR_IRQ_CFG2] = { 0x74, 4, false, 0, IRQ_CFG2_ATTR },
	[REG_STRTAB_BASE] = { 0x80, 8, false, CR0_SMMUEN,
			      BASE_HINT | STRTAB_BASE_ADDR },
	[REG_STRTAB_BASE_CFG] = { 0x88, 4, false, CR0_SMMUEN, STRTAB_CFG_BITS },
	[REG_CMDQ_BASE] = { 0x90, 8, false, CR0_CMDQEN, QUEUE_BASE_BITS },
	[REG_CMDQ_PROD] = { VSMMU_CMDQ_PROD, 4, false, 0, QUEUE_INDEX },
	[REG_CMDQ_CONS] = { 0x9c, 4, false, CR0_CMDQEN,
			    CMDQ_CONS_ERR | QUEUE_INDEX },
	[REG_EVENTQ_BASE] = { 0xa0, 8, false, CR0_EVENTQEN, QUEUE_BASE_BITS },
	[REG_EVENTQ_IRQ_CFG0] = { 0xb0, 8, false, 0, IRQ_CFG0_ADDR },
	[REG_EVENTQ_IRQ_CFG1] = { 0xb8, 4, false, 0, IRQ_CFG1_DATA },
	[REG_EVENTQ_IRQ_CFG2] = { 0xbc, 4, false, 0, IRQ_CFG2_ATTR },
	[REG_EVENTQ_PROD] = { 0x100a8, 4, false, CR0_EVENTQEN,
			      QUEUE_OVFLG | QUEUE_INDEX },
	[REG_EVENTQ_CONS] = { 0x100ac, 4, false, 0, QUEUE_OVFLG | QUEUE_INDEX },
};

/* The bits of an address that an SMMU with this SMMU_IDR5 puts out */
static uint64_t oas_bits(uint32_t idr5)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return BITS(bits[FIELD_GET(IDR5_OAS, idr5)] - 1, 0);
}

/* The bits of a register that an SMMU with these SMMU_IDR0 and IDR5 implements */
uint64_t vsmmu__bits_by_idr(enum reg_id reg, uint32_t idr0, uint32_t idr5)
{
	uint64_t bits = vsmmu__regs[reg].bits;

	switch (reg) {
	case REG_CR0:
	case REG_CR0ACK:
		return idr0 & IDR0_ATS ? bits : bits & ~CR0_ATSCHK;
	case REG_GERROR:
	case REG_GERRORN:
		return idr0 & IDR0_MSI ? bits : bits & ~MSI_ERRORS;
	case REG_GERROR_IRQ_CFG0:
	case REG_EVENTQ_IRQ_CFG0:
		return idr0 & IDR0_MSI ? bits & oas_bits(idr5) : 0;
	case REG_GERROR_IRQ_CFG1:
	case REG_GERROR_IRQ_CFG2:
	case REG_EVENTQ_IRQ_CFG1:
	case REG_EVENTQ_IRQ_CFG2:
		return idr0 & IDR0_MSI ? bits : 0;
	case REG_STRTAB_BASE:
	case REG_CMDQ_BASE:
	case REG_EVENTQ_BASE:
		return bits & (oas_bits(idr5) | BASE_HINT);
	case REG_STRTAB_BASE_CFG:
		return idr0 & IDR0_ST_LEVEL ? bits :
		       bits & ~(STRTAB_CFG_FMT | STRTAB_CFG_SPLIT);
	default:
		return bits;
	}
}

static uint64_t reg_bits(struct vsmmu *v, enum reg_id reg)
{
	return vsmmu__bits_by_idr(reg, v->reg[REG_IDR0], v->reg[REG_IDR5]);
}

uint32_t vsmmu__cmdq_mask(struct vsmmu *v)
{
	return queue_mask(v->reg[REG_CMDQ_BASE],
			  FIELD_GET(IDR1_CMDQS, v->reg[REG_IDR1]));
}

uint32_t vsmmu__eventq_mask(struct vsmmu *v)
{
	return queue_mask(v->reg[REG_EVENTQ_BASE],
			  FIELD_GET(IDR1_EVENTQS, v->reg[REG_IDR1]));
}

/*
 * Set a register and publish it, in one access that comes after all earlier ones.
 */
void vsmmu__reg_set(struct vsmmu *v, enum reg_id reg, uint64_t value)
{
	void *at = v->page + vsmmu__regs[reg].offset;

	v->reg[reg] = value;
	if (vsmmu__regs[reg].size == 8)
		__atomic_store_n((uint64_t *)at, htole64(value), __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint32_t *)at, htole32(value), __ATOMIC_RELEASE);
	if (v->flags & VSMMU_CONFIG_CLEAN)
		v->kernel->clean(v->kernel_data, at);
}

/* Whether there is such an access (6.2) */
static bool access_exists(uint64_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && !(offset % size) &&
	       offset < VSMMU_REGS_SIZE;
}

/* Find the register at an aligned word, and by how many bits the word is within it. */
static enum reg_id reg_at(uint64_t offset, unsigned int *shift)
{
	unsigned int low = 0, high = REG_NUM, i;

	while (low < high) {
		i = (low + high) / 2;
		if (offset < vsmmu__regs[i].offset) {
			high = i;
		} else if (offset - vsmmu__regs[i].offset >= vsmmu__regs[i].size) {
			low = i + 1;
		} else {
			*shift = (offset - vsmmu__regs[i].offset) * 8;
			return i;
		}
	}
	return REG_RESERVED;
}

/* CR0 bits that are set, about to be set, or not yet cleared */
static uint64_t enabled(struct vsmmu *v)
{
	return v->reg[REG_CR0] | v->reg[REG_CR0ACK];
}

/* Report an error that is not active. Its queue stops until the guest acknowledges it. */
void vsmmu__raise_gerror(struct vsmmu *v, uint64_t error)
{
	vsmmu__reg_set(v, REG_GERROR, v->reg[REG_GERROR] ^ error);
	if (v->reg[REG_IRQ_CTRL] & IRQ_CTRL_GERROR)
		vsmmu__signal(v, VSMMU_IRQ_GERROR, REG_GERROR_IRQ_CFG0,
			      GERROR_MSI_GERROR_ABT_ERR);
}

/*
 * Acknowledge errors. GERRORN reads as it was last written (6.3.20). If that toggles
 * the bit of an error that is not active, it is CONSTRAINED UNPREDICTABLE whether the
 * error becomes active. Here it does not: GERROR follows. CMDQ_CONS.ERR is 0 unless
 * CMDQ_ERR is active.
 */
static void write_gerrorn(struct vsmmu *v, uint64_t value)
{
	uint64_t toggled = value ^ v->reg[REG_GERRORN], active = active_errors(v);

	if (toggled & ~active)
		vsmmu__reg_set(v, REG_GERROR,
			       v->reg[REG_GERROR] ^ (toggled & ~active));
	vsmmu__reg_set(v, REG_GERRORN, value);
	if (toggled & active & GERROR_CMDQ_ERR)
		vsmmu__reg_set(v, REG_CMDQ_CONS, v->reg[REG_CMDQ_CONS] & QUEUE_INDEX);
}

/*
 * CR0ACK follows CR0 field by field. Fields in which the kernel has no part follow at
 * once.
 *
 * Registers may be in force even after a SET_REGS that failed. If the guest takes such a
 * change back, CR0ACK shows that it was made, and the guest waits until it is undone.
 */
static void write_cr0(struct vsmmu *v, uint64_t value)
{
	uint64_t undone = v->want_regs ? (value ^ v->sent_cr0) & CR0_KERNEL : 0;
	uint64_t ack = v->reg[REG_CR0ACK] & CR0_KERNEL;

	vsmmu__reg_set(v, REG_CR0, value);
	vsmmu__reg_set(v, REG_CR0ACK, (ack & ~undone) | (v->sent_cr0 & undone) |
				      (value & ~CR0_KERNEL));
}

/* While something uses a field of CR1, writes do not change that field. */
static uint64_t cr1_guarded(struct vsmmu *v)
{
	uint64_t bits = 0;

	if (enabled(v) & CR0_SMMUEN)
		bits |= CR1_TABLE;
	if (enabled(v) & (CR0_CMDQEN | CR0_EVENTQEN))
		bits |= CR1_QUEUE;
	return bits;
}

/*
 * Set a queue's base. Bits above the wrap bit of the index that the SMMU moves read 0
 * (6.3.28), so a smaller queue truncates that index.
 */
static void write_queue_base(struct vsmmu *v, enum reg_id reg, uint64_t value)
{
	vsmmu__reg_set(v, reg, value);
	if (reg == REG_CMDQ_BASE)
		vsmmu__reg_set(v, REG_CMDQ_CONS, v->reg[REG_CMDQ_CONS] &
			       (CMDQ_CONS_ERR | vsmmu__cmdq_mask(v)));
	else
		vsmmu__reg_set(v, REG_EVENTQ_PROD, v->reg[REG_EVENTQ_PROD] &
			       (QUEUE_OVFLG | vsmmu__eventq_mask(v)));
}

/* The bits that a write can change now */
static uint64_t writable(struct vsmmu *v, enum reg_id reg)
{
	if (vsmmu__regs[reg].read_only || (enabled(v) & vsmmu__regs[reg].guard))
		return 0;
	switch (reg) {
	case REG_CR1:
		return reg_bits(v, reg) & ~cr1_guarded(v);
	case REG_GERROR_IRQ_CFG0:
	case REG_GERROR_IRQ_CFG1:
	case REG_GERROR_IRQ_CFG2:
		return v->reg[REG_IRQ_CTRL] & IRQ_CTRL_GERROR ? 0 : reg_bits(v, reg);
	case REG_EVENTQ_IRQ_CFG0:
	case REG_EVENTQ_IRQ_CFG1:
	case REG_EVENTQ_IRQ_CFG2:
		return v->reg[REG_IRQ_CTRL] & IRQ_CTRL_EVENTQ ? 0 : reg_bits(v, reg);
	case REG_CMDQ_CONS:
		return vsmmu__cmdq_mask(v);
	case REG_EVENTQ_PROD:
		return QUEUE_OVFLG | vsmmu__eventq_mask(v);
	default:
		return reg_bits(v, reg);
	}
}

static void reg_write(struct vsmmu *v, enum reg_id reg, uint64_t value,
		      uint64_t written)
{
	uint64_t bits = writable(v, reg) & written, old = v->reg[reg];

	if (!bits)
		return;
	value = (old & ~bits) | (value & bits);

	switch (reg) {
	case REG_CR0:
		write_cr0(v, value);
		break;
	case REG_GBPA:
		/* Without UPDATE, or with an update going on: no effect */
		if ((value & GBPA_UPDATE) && !(old & GBPA_UPDATE))
			vsmmu__reg_set(v, reg, value);
		break;
	case REG_IRQ_CTRL:
		vsmmu__reg_set(v, reg, value);
		vsmmu__reg_set(v, REG_IRQ_CTRLACK, value);
		break;
	case REG_GERRORN:
		write_gerrorn(v, value);
		break;
	case REG_CMDQ_BASE:
	case REG_EVENTQ_BASE:
		write_queue_base(v, reg, value);
		break;
	default:
		vsmmu__reg_set(v, reg, value);
		break;
	}
}

void vsmmu__regs_reset(struct vsmmu *v)
{
	enum reg_id reg;

	for (reg = REG_CR0; reg < REG_NUM; reg++)
		vsmmu__reg_set(v, reg, 0);
	vsmmu__reg_set(v, REG_GBPA, v->reset_gbpa);
	v->want_reset = true;
	v->want_regs = true;
	v->sent_cr0 = 0;
	v->in_force_cr0 = 0;
	v->ask_named = false;
	v->msi_num = 0;
	memset(v->named, 0, v->stream_num * sizeof(*v->named));
	if (v->feed)
		v->feed(v->opaque, NULL, 0, true);
}

static uint64_t read_word(struct vsmmu *v, uint64_t offset)
{
	unsigned int shift;
	enum reg_id reg = reg_at(offset, &shift);

	return reg == REG_RESERVED ? 0 : (v->reg[reg] >> shift) & U32;
}

int vsmmu_read(struct vsmmu *v, uint64_t offset, uint64_t *value,
	       unsigned int size)
{
	*value = 0;
	if (!access_exists(offset, size))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_ACCESS);
	vsmmu__lock_state(v);
	*value = read_word(v, offset);
	if (size == 8)
		*value |= read_word(v, offset + 4) << 32;
	vsmmu__unlock_state(v);
	return 0;
}

/*
 * Write a register that the guest may write while the kernel carries out a call. The caller
 * who waits for that call may be left with the work that the write asks for.
 */
static int write_state(struct vsmmu *v, enum reg_id reg, uint64_t value, uint64_t written)
{
	uint64_t runs;
	bool left;
	int rc;

	vsmmu__lock_state(v);
	rc = vsmmu__check_started(v);
	if (!rc) {
		runs = v->counters.runs;
		reg_write(v, reg, value, written);
		left = v->takes_work && vsmmu__cmdq_pending(v);
		rc = vsmmu__join(v);
		if (reg == REG_CMDQ_PROD && (left || v->counters.runs != runs))
			v->counters.doorbells++;
	}
	vsmmu__unlock_state(v);
	return rc;
}

/* Write a word or a 64-bit register, and do what it asks for. */
static int write_one(struct vsmmu *v, enum reg_id reg, unsigned int shift,
		     uint64_t value, unsigned int size)
{
	uint64_t written = size == 8 ? ~0ULL : U32;
	int rc;

	if (reg == REG_CMDQ_PROD || reg == REG_GERRORN || reg == REG_EVENTQ_CONS)
		return write_state(v, reg, value << shift, written << shift);
	vsmmu__lock(v);
	rc = vsmmu__check_started(v);
	if (!rc) {
		reg_write(v, reg, value << shift, written << shift);
		rc = vsmmu__work(v);
	}
	vsmmu__unlock(v);
	return rc;
}

/*
 * A write of two words is two writes, the lower one first. The architecture leaves this
 * open. Return the result of the second one: it also does the work that the first one
 * could not do.
 */
int vsmmu_write(struct vsmmu *v, uint64_t offset, uint64_t value,
		unsigned int size)
{
	unsigned int shift, at;
	enum reg_id reg;
	int rc = 0;

	if (!access_exists(offset, size))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_ACCESS);
	reg = reg_at(offset, &shift);
	if (reg != REG_RESERVED && size <= vsmmu__regs[reg].size)
		return write_one(v, reg, shift, value, size);
	for (at = 0; at < size; at += 4) {
		reg = reg_at(offset + at, &shift);
		if (reg != REG_RESERVED)
			rc = write_one(v, reg, shift, value >> at * 8, 4);
	}
	return rc;
}

int vsmmu_doorbell(struct vsmmu *v, uint32_t prod)
{
	return vsmmu_write(v, VSMMU_CMDQ_PROD, prod, 4);
}

int vsmmu_set_prod(struct vsmmu *v, uint32_t prod)
{
	int rc;

	vsmmu__lock_state(v);
	rc = vsmmu__check_started(v);
	if (!rc)
		reg_write(v, REG_CMDQ_PROD, prod, U32);
	vsmmu__unlock_state(v);
	return rc;
}

int vsmmu_kick(struct vsmmu *v)
{
	int rc;

	vsmmu__lock_state(v);
	rc = vsmmu__check_started(v);
	if (!rc)
		rc = vsmmu__join(v);
	vsmmu__unlock_state(v);
	return rc;
}

void *vsmmu_page(struct vsmmu *v, unsigned int page)
{
	return page < VSMMU_REGS_SIZE / VSMMU_PAGE_SIZE ?
	       v->page + page * VSMMU_PAGE_SIZE : NULL;
}
