// SPDX-License-Identifier: GPL-2.0
/*
 * The feed: the commands that the software IOTLB of an emulated endpoint must see,
 * against a model of it.
 *
 * SMMUV3_ACCEL_SEED: where the random numbers start
 * SMMUV3_ACCEL_FEEDS: how many rings the feed's overflow is tried with
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_SEED	0x50f7

#define VSID_DEV	0x10
#define VSID_BRIDGE	0x11
#define VSID_FEED	0x20	/* of emulated endpoints: this and the next */
#define FEEDS		2
#define VSID_UNKNOWN	0x33

#define IOVA		0x10000000ULL

#define RING_LOG2SIZE	13
#define RING_SIZE	(1U << RING_LOG2SIZE)
#define BATCH		2016	/* info.out_max_batch */
#define GUARD		0xa5

FIXTURE(feed)
{
	struct machine m;
	struct cmd *feed;	/* RING_SIZE, and one more as a guard */
	struct cmd *want;
};

FIXTURE_VARIANT(feed)
{
	__u32 flags;
	bool beside_device;
	bool torn;	/* the ring lies in two memory regions, split within a command */
};

FIXTURE_VARIANT_ADD(feed, alone) {};
FIXTURE_VARIANT_ADD(feed, beside_device) { .beside_device = true };
FIXTURE_VARIANT_ADD(feed, no_global) {
	.flags = SMMUV3_ACCEL_CREATE_NO_GLOBAL, .beside_device = true,
};

FIXTURE_VARIANT_ADD(feed, regions) { .beside_device = true, .torn = true };

FIXTURE_SETUP(feed)
{
	struct machine *m = &self->m;

	dice_seed(DEFAULT_SEED);
	ASSERT_EQ(0, machine_open(m, .stage = STAGE_RUNNING,
				  .create_flags = SMMUV3_ACCEL_CREATE_FEED | variant->flags,
				  .devices = variant->beside_device, .vsid = { VSID_DEV },
				  .strtab_log2size = 8, .ring_log2size = RING_LOG2SIZE));
	if (variant->torn) {
		__u64 cut = m->ring.base - GUEST_BASE + 1000 * sizeof(struct cmd) + 8;
		const struct smmuv3_accel_mem_region regions[] = {
			{ GUEST_BASE, cut, (__u64)(unsigned long)m->g.ram },
			{ GUEST_BASE + cut, GUEST_SIZE - cut,
			  (__u64)(unsigned long)m->g.ram + cut },
		};

		ASSERT_EQ(0, accel_mem_regions(&m->g, regions, 2));
	}
	ASSERT_EQ(0, accel_attach_virtual(&m->g, VSID_BRIDGE,
					  SMMUV3_ACCEL_ATTACH_BRIDGE, NULL));
	ASSERT_EQ(0, machine_attach_feeds(m, VSID_FEED, FEEDS));
	self->feed = calloc(RING_SIZE + 1, sizeof(struct cmd));
	self->want = calloc(RING_SIZE + 1, sizeof(struct cmd));
	ASSERT_NE(NULL, self->feed);
	ASSERT_NE(NULL, self->want);
}

FIXTURE_TEARDOWN(feed)
{
	machine_close(&self->m);
	free(self->feed);
	free(self->want);
}

static struct cmd random_cmd(struct machine *m)
{
	static const __u32 sids[] = {
		VSID_DEV, VSID_BRIDGE, VSID_FEED, VSID_FEED + 1, VSID_UNKNOWN, ~0U,
	};
	unsigned int asid = MACHINE_ASID + dice(4);
	__u32 sid = sids[dice(ARRAY_LEN(sids))];
	/* Neighbours and duplicates, which the module leaves out of batches */
	__u64 iova = IOVA + dice(16) * 4096ULL;
	struct cmd cmd;

	switch (dice(40)) {
	case 0:
		return cmd_tlbi_nh_all();
	case 1:
		return cmd_tlbi_nsnh_all();
	case 2 ... 3:
		return cmd_tlbi_asid(asid);
	case 4 ... 6:
		return cmd_tlbi_vaa(iova, dice(2));
	case 7:
		return cmd_cfgi_all();
	case 8:
		return cmd_cfgi_ste_range(sid, dice(31));
	case 9 ... 10:
		return cmd_cfgi_ste(sid, dice(2));
	case 11 ... 12:
		return cmd_cfgi_cd(sid, 0, dice(2));
	case 13 ... 14:
		return cmd_cfgi_cd_all(sid);
	case 15 ... 17:
		return cmd_sync();
	case 18:
		return cmd_sync_irq();
	case 19:	/* PREFETCH_CONFIG, PREFETCH_ADDR */
		cmd.w[0] = htole64((1 + dice(2)) | (__u64)sid << 32);
		cmd.w[1] = htole64(dice(1000));
		return cmd;
	case 20 ... 21:
		if (machine_has(m, 0, IDR0_ATS))
			return cmd_atc_inv(sid, iova, 12);
		return cmd_tlbi_va(asid, iova, true);
	case 22 ... 27:
		if (machine_has(m, 3, IDR3_RIL))
			return cmd_range(cmd_tlbi_va(asid, iova, true), dice(4), dice(2), 1, 3);
		return cmd_tlbi_vaa(iova, true);
	default:
		return cmd_tlbi_va(asid, iova, dice(2));
	}
}

/* The model: whether a software IOTLB must see a legal command */
static bool concerns_feed(struct cmd cmd)
{
	__u64 w0 = le64toh(cmd.w[0]);
	__u32 sid = w0 >> 32;

	switch (w0 & 0xff) {
	case 0x03:	/* CFGI_STE */
	case 0x05:	/* CFGI_CD */
	case 0x06:	/* CFGI_CD_ALL */
	case 0x40:	/* ATC_INV */
		return sid >= VSID_FEED && sid < VSID_FEED + FEEDS;
	case 0x04:	/* CFGI_STE_RANGE, CFGI_ALL */
	case 0x10:	/* TLBI_NH_ALL */
	case 0x11:	/* TLBI_NH_ASID */
	case 0x12:	/* TLBI_NH_VA */
	case 0x13:	/* TLBI_NH_VAA */
	case 0x30:	/* TLBI_NSNH_ALL */
		return true;
	default:
		return false;
	}
}

/* The model: the feed of the ring from @cons to @end */
static __u32 model(struct machine *m, __u32 cons, __u32 end, struct cmd *want)
{
	__u32 mask = 2 * RING_SIZE - 1, num = 0;

	for (; cons != end; cons = (cons + 1) & mask)
		if (concerns_feed(*ring_slot(&m->ring, cons)))
			want[num++] = *ring_slot(&m->ring, cons);
	return num;
}

#define MODEL_FLAGS	(SMMUV3_ACCEL_RUN_SYNC_IRQ | SMMUV3_ACCEL_RUN_CFGI)

/* The model: the flags of a run of these, except the feed's overflow */
static __u32 model_flags(struct machine *m, __u32 cons, __u32 end)
{
	__u32 flags = ring_cfgi(&m->ring, cons, end);
	const struct cmd irq = cmd_sync_irq();

	for (; cons != end; cons = (cons + 1) & (2 * RING_SIZE - 1))
		if (!memcmp(ring_slot(&m->ring, cons), &irq, sizeof(irq)))
			flags |= SMMUV3_ACCEL_RUN_SYNC_IRQ;
	return flags;
}

static void fill(struct machine *m, __u32 start, __u32 num)
{
	m->ring.prod = start & (2 * RING_SIZE - 1);
	m->ring.cons = m->ring.prod;
	while (num--)
		ring_put(&m->ring, random_cmd(m));
}

static bool is_guard(const struct cmd *cmd, __u32 num)
{
	const unsigned char *p = (const unsigned char *)cmd;
	size_t i;

	for (i = 0; i < num * sizeof(*cmd); i++)
		if (p[i] != GUARD)
			return false;
	return true;
}

/*
 * Run up to @max_cmds with room for @room, and compare the feed with the model up to
 * CONS. @illegal: index of the illegal command, else PROD
 */
static void expect_feed(struct __test_metadata *_metadata,
			struct _test_data_feed *self, __u32 max_cmds, __u32 room,
			__u32 illegal)
{
	struct machine *m = &self->m;
	__u32 mask = 2 * RING_SIZE - 1, cons = m->ring.cons, end, need;
	struct smmuv3_accel_run_cmdq out;

	memset(self->feed, GUARD, (RING_SIZE + 1) * sizeof(struct cmd));
	ASSERT_EQ(0, machine_doorbell(m, &out, .max_cmds = max_cmds, .feed = self->feed,
				      .feed_room = room));
	end = cons + ((illegal - cons) & mask);
	if (max_cmds && end - cons > max_cmds)
		end = cons + max_cmds;
	EXPECT_EQ(end & mask, out.cons);
	EXPECT_EQ(out.cons == illegal && illegal != m->ring.prod &&
		  (!max_cmds || max_cmds > end - cons), out.out_error == SMMUV3_ACCEL_CERROR_ILL);
	need = model(m, cons, out.cons, self->want);
	EXPECT_EQ(need > room, !!(out.out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW));
	EXPECT_EQ(model_flags(m, cons, out.cons), out.out_flags & MODEL_FLAGS);
	ASSERT_EQ(need < room ? need : room, out.feed_num);
	EXPECT_EQ(0, memcmp(self->feed, self->want, out.feed_num * sizeof(struct cmd)));
	EXPECT_TRUE(is_guard(self->feed + out.feed_num, RING_SIZE + 1 - out.feed_num));
	m->ring.cons = out.cons;
}

/* Rings of each length, run at once and in parts */
TEST_F(feed, has_what_the_model_has)
{
	struct machine *m = &self->m;
	__u32 num, bad;
	int round;

	for (round = 0; round < 120; round++) {
		num = round % 4 ? 1 + dice(60) : dice(RING_SIZE + 1);
		fill(m, dice(2 * RING_SIZE), num);
		bad = m->ring.prod;
		if (num && !dice(3)) {
			bad = (m->ring.cons + dice(num)) & (2 * RING_SIZE - 1);
			*ring_slot(&m->ring, bad) = (struct cmd){ { htole64(0xff) } };
		}
		while (m->ring.cons != bad)
			expect_feed(_metadata, self, dice(2) ? 0 : 1 + dice(num + 1),
				    RING_SIZE, bad);
		expect_feed(_metadata, self, 0, RING_SIZE, bad);
		if (!__test_passed(_metadata))
			ASSERT_TRUE(false) TH_LOG("round %d, %u commands", round, num);
	}
}

TEST_F(feed, feeds_of_several_calls_add_up)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 start = dice(2 * RING_SIZE), need, num = 0;
	int round;

	for (round = 0; round < 10; round++) {
		fill(m, start, RING_SIZE - dice(100));
		need = model(m, m->ring.cons, m->ring.prod, self->want);
		for (num = 0; m->ring.cons != m->ring.prod; num += out.feed_num) {
			ASSERT_EQ(0, machine_doorbell(m, &out, .max_cmds = 1 + dice(3 * BATCH),
						      .feed = self->feed + num,
						      .feed_room = RING_SIZE - num));
			m->ring.cons = out.cons;
		}
		ASSERT_EQ(need, num);
		EXPECT_EQ(0, memcmp(self->feed, self->want, num * sizeof(struct cmd)));
		start = m->ring.prod;
	}
}

/*
 * Also if the room ends in one batch, and a later batch would need little: the feed
 * has no gap.
 */
TEST_F(feed, overflow_is_reported)
{
	const __u32 rings = env_number("SMMUV3_ACCEL_FEEDS", 40);
	struct machine *m = &self->m;
	__u32 need, i, start;

	for (i = 0; i < rings; i++) {
		fill(m, dice(2 * RING_SIZE), i & 1 ? RING_SIZE : 1 + dice(100));
		start = m->ring.cons;
		need = model(m, m->ring.cons, m->ring.prod, self->want);
		const __u32 rooms[] = { 0, 1, need ? need - 1 : 0, need, need + 1, dice(need + 1) };
		unsigned int r;

		for (r = 0; r < ARRAY_LEN(rooms); r++) {
			m->ring.cons = start;
			expect_feed(_metadata, self, 0, rooms[r], m->ring.prod);
		}
	}
}

TEST_F(feed, room_for_nothing_needs_no_buffer)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	fill(m, 0, 0);
	ring_put(&m->ring, cmd_sync());
	ASSERT_EQ(0, machine_doorbell(m, &out));
	EXPECT_EQ(0, out.out_flags);
	ring_put(&m->ring, cmd_tlbi_nh_all());
	ASSERT_EQ(0, machine_doorbell(m, &out));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_FEED_OVERFLOW, out.out_flags);
	EXPECT_EQ(m->ring.prod, out.cons);
	EXPECT_EQ(0, out.feed_num);
}

/* TLBIs and a CMD_SYNC */
TEST_F(feed, fast_path_feeds_too)
{
	struct machine *m = &self->m;
	__u32 num;

	fill(m, RING_SIZE - 3, 0);
	for (num = 1; num < 20; num++) {
		__u32 i;

		for (i = 0; i < num; i++)
			ring_put(&m->ring, cmd_tlbi_va(MACHINE_ASID, IOVA + i * 4096, true));
		ring_put(&m->ring, num & 1 ? cmd_sync() : cmd_sync_irq());
		expect_feed(_metadata, self, 0, RING_SIZE, m->ring.prod);
	}
	ring_put(&m->ring, cmd_tlbi_nh_all());
	ring_put(&m->ring, cmd_sync());
	expect_feed(_metadata, self, 0, RING_SIZE, m->ring.prod);
}

TEST_F(feed, commands_that_cannot_be_fed_are_not_done)
{
	struct machine *m = &self->m;
	const size_t page = 4096, len = 64 * page;
	struct smmuv3_accel_run_cmdq out;
	__u32 start, need, fits, num, done = 0;
	struct cmd *feed;
	char *map;
	int round;

	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, mprotect(map + len / 2, len / 2, PROT_READ));

	for (round = 0; round < 60; round++) {
		/* How many commands can be written, from none to all */
		fits = round % 3 ? dice(RING_SIZE) : dice(4);
		feed = (struct cmd *)(map + len / 2) - fits;
		fill(m, dice(2 * RING_SIZE), round & 1 ? RING_SIZE : 1 + dice(200));
		if (round % 3 == 2)
			*ring_slot(&m->ring, m->ring.prod - 1) =
				(struct cmd){ { htole64(0xff) } };
		start = m->ring.cons;
		int rc = machine_doorbell(m, &out, .feed = feed, .feed_room = RING_SIZE);

		num = model(m, start, out.cons, self->want);
		ASSERT_EQ(num, out.feed_num);
		ASSERT_LE(num, fits);
		EXPECT_EQ(0, memcmp(feed, self->want, num * sizeof(struct cmd)));
		done += num;
		if (rc) {
			ASSERT_EQ(-EFAULT, rc);
			EXPECT_NE(m->ring.prod, out.cons);
			/* No report about commands that are not done */
			EXPECT_EQ(SMMUV3_ACCEL_CERROR_NONE, out.out_error);
			EXPECT_FALSE(out.out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW);
		}
		EXPECT_EQ(model_flags(m, start, out.cons), out.out_flags & MODEL_FLAGS);
		/* The rest, into a buffer that can be written */
		m->ring.cons = out.cons;
		need = model(m, out.cons, m->ring.prod, self->want);
		ASSERT_EQ(0, machine_doorbell(m, &out, .feed = self->feed,
					      .feed_room = RING_SIZE));
		ASSERT_EQ(need, out.feed_num);
		EXPECT_EQ(0, memcmp(self->feed, self->want, need * sizeof(struct cmd)));
	}
	/* Some feeds came in parts */
	EXPECT_LT(0, done);
	munmap(map, len);
}

TEST_F(feed, ends_with_the_last_endpoint)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < FEEDS; i++) {
			fill(m, dice(2 * RING_SIZE), 100);
			ring_put(&m->ring, cmd_tlbi_nh_all());
			ASSERT_EQ(0, machine_doorbell(m, &out, .feed = self->feed,
						      .feed_room = RING_SIZE));
			EXPECT_NE(0, out.feed_num);
			ASSERT_EQ(0, accel_detach(&m->g, VSID_FEED + i, NULL));
		}
		for (i = 0; i < 2; i++) {
			fill(m, dice(2 * RING_SIZE), i ? RING_SIZE : 5);
			memset(self->feed, GUARD, RING_SIZE * sizeof(struct cmd));
			/* The module does not touch the buffer, so its address may be bad */
			ASSERT_EQ(0, machine_doorbell(m, &out, .feed = i ? self->feed : (void *)16,
						      .feed_room = RING_SIZE));
			EXPECT_EQ(0, out.feed_num);
			EXPECT_EQ(0, out.out_flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW);
			EXPECT_EQ(m->ring.prod, out.cons);
			EXPECT_TRUE(is_guard(self->feed, RING_SIZE));
		}
		ASSERT_EQ(0, machine_attach_feeds(m, VSID_FEED, FEEDS));
	}
}

TEST_F(feed, device_beside_endpoints_is_served)
{
	struct machine *m = &self->m;

	if (!m->num)
		return;
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 0));
	EXPECT_RUNS(m, cmd_filler(0), 0);
	ASSERT_EQ(1, machine_goes(m, 0));
	EXPECT_RUNS(m, machine_tlbi(m, 0), 0);
	EXPECT_EQ(2, machine_goes(m, 0));
}

TEST_HARNESS_MAIN
