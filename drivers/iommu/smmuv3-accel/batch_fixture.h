/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixture of the KUnit tests of batch.c: commands, by the bit numbers of Arm IHI
 * 0070, 4.3 to 4.5 (0 to 127 over both words), batches of them, and a generator of
 * commands that often cover each other.
 *
 * The loops of the tests use assertions instead of expectations: a broken rule fails
 * for many batches, and the first one is enough to find it.
 */
#ifndef _SMMUV3_ACCEL_BATCH_FIXTURE_H
#define _SMMUV3_ACCEL_BATCH_FIXTURE_H

#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/prandom.h>

#include "batch.h"
#include "pure.h"

#define BATCH_MAX	SMMUV3_HOST_MAX_BATCH
#define PHYS_NUM	2

struct cmd {
	u64 w[2];
};

/* Operands, by bit numbers */
#define SID(x)		((u64)(x) << 32)
#define SSID(x)		((u64)(x) << 12)
#define SSV		BIT_ULL(11)
#define VMID(x)		((u64)(x) << 32)
#define AS(x)		((u64)(x) << 48)	/* ASID */
#define NUM(x)		((u64)(x) << 12)
#define SCALE(x)	((u64)(x) << 20)
#define LEAF		BIT_ULL(0)
#define TTL(x)		((u64)(x) << 8)
#define TG(x)		((u64)(x) << 10)
#define PAGE(x)		((u64)(x) << 12)

#define VA(asid, page)	{ { NH_VA | AS(asid), PAGE(page) } }

enum {
	CFGI_CD = 0x05,
	CFGI_CD_ALL = 0x06,
	NH_ALL = 0x10,
	NH_ASID = 0x11,
	NH_VA = 0x12,
	NH_VAA = 0x13,
	NSNH_ALL = 0x30,
	ATC_INV = 0x40,
	SYNC = 0x46,
};

static inline u64 bits(const struct cmd *cmd, unsigned int hi, unsigned int lo)
{
	return (cmd->w[lo / 64] & GENMASK_ULL(hi % 64, lo % 64)) >> (lo % 64);
}

static inline u8 op(const struct cmd *cmd)
{
	return bits(cmd, 7, 0);
}

static inline unsigned int level_shift(unsigned int tg, unsigned int level)
{
	unsigned int granule = 10 + 2 * tg;

	return granule + (3 - level) * (granule - 3);
}

/* The commands of a batch for one physical SMMU in one phase */
struct part {
	struct cmd cmds[BATCH_MAX];
	u32 num;
};

/**
 * struct bench - A test's data, in kunit.priv
 * @batch: a batch
 * @other: another one, to compare it with
 * @in: its commands
 * @start: index of the first in the batch
 * @num: how many
 * @before: what bt_pick_before() found in @in
 * @after: what bt_pick_after() found in @batch
 * @rnd: for dice()
 * @caps: the SMMU's capabilities, from bt_start_world()
 * @base: addresses are near this one
 * @tg: granule of ranges
 * @ttl: level of ranges
 */
struct bench {
	struct smmuv3_batch batch;
	struct smmuv3_batch other;
	struct cmd in[BATCH_MAX];
	u32 start;
	u32 num;
	struct part before;
	struct part after;

	struct rnd_state rnd;
	struct smmuv3_caps caps;
	u64 base;
	u8 tg;
	u8 ttl;
};

int bt_init(struct kunit *test);
void bt_put(struct smmuv3_batch *batch, u32 index, const struct cmd *cmd);
void bt_fill(struct bench *b);
void bt_pick_before(struct bench *b, enum smmuv3_phase phase, u8 phys);
void bt_pick_after(struct bench *b, enum smmuv3_phase phase, u8 phys);
u64 bt_range_last(const struct cmd *cmd);
enum smmuv3_phase bt_phase_of(const struct cmd *cmd);
u8 bt_phys_of(const struct cmd *cmd);
void bt_start_world(struct bench *b);
void bt_make_cmd(struct bench *b, const struct cmd *prev, struct cmd *cmd);

/* A number below @below */
static inline u32 dice(struct bench *b, u32 below)
{
	return prandom_u32_state(&b->rnd) % below;
}

#endif
