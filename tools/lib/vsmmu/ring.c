// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The commands that the kernel has run, as far as the registers depend on them.
 *
 * The guest may change them meanwhile: nothing here does harm if it does. Each command is
 * read once.
 */
#include <endian.h>

#include "internal.h"

/* How many commands to copy at a time */
#define PART	32

/* Whether a CFGI_STE or CFGI_STE_RANGE names a stream */
static bool is_named(uint64_t dw0, uint64_t dw1, uint32_t vsid)
{
	uint64_t mask = 0;

	if (FIELD_GET(CMD_0_OP, dw0) == CMD_CFGI_STE_RANGE)
		mask = (2ULL << FIELD_GET(CFGI_1_RANGE, dw1)) - 1;
	return !((FIELD_GET(CMD_0_SID, dw0) ^ vsid) & ~mask);
}

static bool is_cfgi_all(uint64_t dw0, uint64_t dw1)
{
	return FIELD_GET(CMD_0_OP, dw0) == CMD_CFGI_STE_RANGE &&
	       FIELD_GET(CFGI_1_RANGE, dw1) == CFGI_RANGE_ALL;
}

/* Mark the streams that a command names. */
static void mark_named(struct vsmmu *v, uint64_t dw0, uint64_t dw1, bool all)
{
	uint32_t i;

	if (!all && is_cfgi_all(dw0, dw1))
		return;
	for (i = 0; i < v->stream_num; i++)
		v->named[i] |= is_named(dw0, dw1, v->vsid[i]);
}

/* Keep the MSI of a CMD_SYNC, which is due when CONS is published. */
static void keep_msi(struct vsmmu *v, uint64_t dw0, uint64_t dw1)
{
	/* Cut to OAS, as an address in a register (3.4.3) */
	uint64_t address = dw1 & vsmmu__bits_by_idr(REG_GERROR_IRQ_CFG0, v->reg[REG_IDR0],
						    v->reg[REG_IDR5]);

	if (FIELD_GET(SYNC_0_CS, dw0) != SYNC_CS_IRQ || !address)
		return;
	v->syncs[v->sync_num++] = (struct msi){
		.address = address,
		.data = FIELD_GET(SYNC_0_MSIDATA, dw0),
		.error = GERROR_MSI_CMDQ_ABT_ERR,
	};
}

static void look_at(struct vsmmu *v, const struct vsmmu_cmd *cmd,
		    const struct look *look)
{
	uint64_t dw0 = le64toh(cmd->dw[0]), dw1 = le64toh(cmd->dw[1]);

	switch (FIELD_GET(CMD_0_OP, dw0)) {
	case CMD_CFGI_STE:
	case CMD_CFGI_STE_RANGE:
		if (look->named)
			mark_named(v, dw0, dw1, look->all);
		break;
	case CMD_SYNC:
		if (look->msi)
			keep_msi(v, dw0, dw1);
		break;
	}
}

/* Look at the next @num commands from CMDQ_CONS on, which are done. */
void vsmmu__ring_look(struct vsmmu *v, uint32_t num, const struct look *look)
{
	uint32_t mask = vsmmu__cmdq_mask(v), at = v->reg[REG_CMDQ_CONS], i, part;
	struct vsmmu_cmd cmds[PART];

	for (; num; num -= part, at += part) {
		/* Up to the end of the ring */
		part = mask / 2 + 1 - (at & mask / 2);
		part = num < part ? num : part;
		part = part < PART ? part : PART;
		if (!vsmmu__memory_read(v, queue_entry(v->reg[REG_CMDQ_BASE], mask,
						       CMD_SIZE, at),
					cmds, part * sizeof(cmds[0])))
			return;
		for (i = 0; i < part; i++)
			look_at(v, &cmds[i], look);
	}
}
