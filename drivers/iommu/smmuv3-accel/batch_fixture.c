// SPDX-License-Identifier: GPL-2.0
#include "batch_fixture.h"

int bt_init(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	prandom_seed_state(&b->rnd, 0x5e1ec7);
	test->priv = b;
	return 0;
}

void bt_put(struct smmuv3_batch *batch, u32 index, const struct cmd *cmd)
{
	batch->cmds[index][0] = cpu_to_le64(cmd->w[0]);
	batch->cmds[index][1] = cpu_to_le64(cmd->w[1]);
}

/* The last address that a range invalidation covers (4.4.1.1) */
u64 bt_range_last(const struct cmd *cmd)
{
	u64 addr = cmd->w[1] & GENMASK_ULL(63, 12);
	unsigned int scale = min(bits(cmd, 25, 20), 39ULL);
	u64 len = (bits(cmd, 16, 12) + 1) << scale << level_shift(bits(cmd, 75, 74), 3);

	/* It does not wrap. */
	return addr + len - 1 < addr ? U64_MAX : addr + len - 1;
}

enum smmuv3_phase bt_phase_of(const struct cmd *cmd)
{
	switch (op(cmd)) {
	case CFGI_CD:
	case CFGI_CD_ALL:
		return SMMUV3_PHASE_CD;
	case NH_ALL:
	case NH_ASID:
	case NH_VA:
	case NH_VAA:
	case NSNH_ALL:
		return SMMUV3_PHASE_TLBI;
	case ATC_INV:
		return SMMUV3_PHASE_ATC;
	default:
		return SMMUV3_PHASE_NONE;
	}
}

/* StreamIDs alternate between the physical SMMUs. */
u8 bt_phys_of(const struct cmd *cmd)
{
	if (bt_phase_of(cmd) == SMMUV3_PHASE_TLBI)
		return SMMUV3_PHYS_ALL;
	return bits(cmd, 63, 32) % PHYS_NUM;
}

/* Make a batch of b->in. */
void bt_fill(struct bench *b)
{
	u32 i;

	smmuv3_batch_start(&b->batch);
	for (i = 0; i < b->num; i++) {
		bt_put(&b->batch, b->start + i, &b->in[i]);
		smmuv3_batch_add(&b->batch, b->start + i, b->in[i].w,
				 bt_phase_of(&b->in[i]), bt_phys_of(&b->in[i]));
	}
}

static void part_add(struct part *part, u64 w0, u64 w1)
{
	part->cmds[part->num].w[0] = w0;
	part->cmds[part->num].w[1] = w1;
	part->num++;
}

void bt_pick_before(struct bench *b, enum smmuv3_phase phase, u8 phys)
{
	u32 i;

	b->before.num = 0;
	for (i = 0; i < b->num; i++)
		if (bt_phase_of(&b->in[i]) == phase &&
		    (bt_phys_of(&b->in[i]) == phys ||
		     bt_phys_of(&b->in[i]) == SMMUV3_PHYS_ALL))
			part_add(&b->before, b->in[i].w[0], b->in[i].w[1]);
}

void bt_pick_after(struct bench *b, enum smmuv3_phase phase, u8 phys)
{
	u32 i, num = smmuv3_batch_select(&b->batch, phase, phys);

	b->after.num = 0;
	for (i = 0; i < num; i++)
		part_add(&b->after, le64_to_cpu(b->batch.stage[i][0]),
			 le64_to_cpu(b->batch.stage[i][1]));
}

/* Few ASIDs and addresses, so that commands often cover each other */
void bt_start_world(struct bench *b)
{
	static const u64 bases[] = { 0, 0x40000000, BIT_ULL(48) - PAGE(32), 0 - PAGE(0x100000) };

	b->base = bases[dice(b, ARRAY_SIZE(bases))];
	b->caps = (struct smmuv3_caps){
		.ssid_bits = dice(b, 2) ? 8 : 0,
		.asid16 = dice(b, 2),
		.ril = dice(b, 4),
		.ds = dice(b, 2),
		.ats = true,
	};
	b->tg = 1 + dice(b, 3);
	b->ttl = dice(b, 2) ? 0 : 2 + dice(b, 2);
}

/* Continue where a range ends, with the same or slightly different operands. */
static void continue_range(struct bench *b, const struct cmd *prev, struct cmd *cmd)
{
	*cmd = *prev;
	cmd->w[0] &= ~(NUM(31) | SCALE(63));
	cmd->w[0] |= NUM(dice(b, 4) ? dice(b, 4) : dice(b, 32)) |
		     SCALE(dice(b, 4) ? bits(prev, 25, 20) : dice(b, 3));
	cmd->w[1] = (bt_range_last(prev) + 1) | (prev->w[1] & 0xfff);
	if (dice(b, 4))
		return;
	switch (dice(b, 6)) {
	case 0:
		cmd->w[0] ^= AS(3);
		break;
	case 1:
		cmd->w[1] ^= TTL(1 + dice(b, 3));
		break;
	case 2:
		cmd->w[1] ^= LEAF;
		break;
	case 3:
		cmd->w[1] ^= TG(1 + dice(b, 3));
		break;
	case 4:
		cmd->w[1] += (u64)(1 + dice(b, 2)) << level_shift(b->tg, 3);
		break;
	case 5:
		cmd->w[0] ^= NH_VA ^ NH_VAA;
		break;
	}
}

static void make_tlbi(struct bench *b, const struct cmd *prev, struct cmd *cmd)
{
	u64 asid = AS(1 + dice(b, 3));
	u32 unit = level_shift(b->tg, b->ttl ?: 3);

	switch (dice(b, 64)) {
	case 0:
		cmd->w[0] = dice(b, 2) ? NH_ALL : NSNH_ALL;
		cmd->w[1] = 0;
		return;
	case 1 ... 3:
		cmd->w[0] = NH_ASID | asid | VMID(dice(b, 2));
		cmd->w[1] = 0;
		return;
	case 4 ... 40:
		if (op(prev) != NH_VA && op(prev) != NH_VAA)
			break;
		if (bits(prev, 75, 74)) {
			continue_range(b, prev, cmd);
			return;
		}
		*cmd = *prev;
		cmd->w[1] += PAGE(dice(b, 3));
		cmd->w[1] ^= dice(b, 3) ? 0 : LEAF;
		return;
	}
	cmd->w[0] = dice(b, 4) ? NH_VA | asid : NH_VAA;
	cmd->w[0] |= VMID(dice(b, 8) ? 0 : dice(b, 3));
	cmd->w[1] = (b->base + ((u64)dice(b, 8) << unit)) | dice(b, 2);
	if (!b->caps.ril || dice(b, 2))
		return;
	/* A TTL requires whole leaves. */
	cmd->w[0] |= NUM(dice(b, 4)) | SCALE(dice(b, 8) ? unit - level_shift(b->tg, 3) :
					     dice(b, 64));
	if (!dice(b, 16))
		cmd->w[1] -= PAGE(dice(b, 64));
	cmd->w[1] |= TG(b->tg) | TTL(b->ttl);
}

void bt_make_cmd(struct bench *b, const struct cmd *prev, struct cmd *cmd)
{
	u64 sid = SID(dice(b, 4)), ssid = b->caps.ssid_bits ? SSID(dice(b, 3)) : 0;

	switch (dice(b, 16)) {
	case 0 ... 10:
		make_tlbi(b, prev, cmd);
		break;
	case 11 ... 12:
		cmd->w[0] = dice(b, 8) ? CFGI_CD | sid | ssid : CFGI_CD_ALL | sid;
		cmd->w[1] = op(cmd) == CFGI_CD ? dice(b, 2) : 0;
		break;
	case 13 ... 14:
		cmd->w[0] = ATC_INV | sid;
		if (ssid)
			cmd->w[0] |= SSV | ssid | (dice(b, 2) ? BIT_ULL(9) : 0);
		cmd->w[1] = PAGE(dice(b, 4)) | (dice(b, 4) ? dice(b, 3) : 52);
		break;
	default:
		cmd->w[0] = SYNC;
		cmd->w[1] = 0;
	}
}
