// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of cmdq.c and table.c against the mock host: a guest's command
 * queue and stream table in user memory, wherever they wrap, are torn or end.
 */
#include <kunit/test.h>
#include <linux/minmax.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "arch.h"
#include "compat.h"
#include "host_mock.h"
#include "smmuv3-accel.h"

#define VSID		0x10	/* of device 0, behind SMMU 0 */
#define VSID_NEXT	0x11	/* of device 1, behind SMMU 0 */
#define VSID_OTHER	0x20	/* of device 4, behind SMMU 1 */
#define VSID_LAST	0x9f	/* of device 5, behind SMMU 1 */
#define STREAMS		4

#define CMD_LEN		sizeof(struct cmd)
#define RING_MAX	(CMD_LEN << CMDQS_MAX)
#define RING_GPA	0x80000000ULL
#define TABLE_GPA	0x10000000ULL
#define TABLE_LOG2	8
#define TABLE_LEN	(64UL << TABLE_LOG2)
#define MAX_RUN		5000
#define FEED_LEN	PAGE_ALIGN(MAX_RUN * CMD_LEN)
#define UMEM_LEN	(RING_MAX + TABLE_LEN + FEED_LEN)

#define KIND(name)	SMMUV3_ACCEL_KIND_##name
#define REASON(name)	SMMUV3_ACCEL_REASON_##name
#define ERRATUM		IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI

#define STE_BYPASS	(STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, STE_CONFIG_BYPASS))
#define STE_S1		(STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, STE_CONFIG_S1))
#define STE_S1_AT(page)	(STE_S1 | (u64)(page) << 12)
#define STE_ATS		FIELD_PREP_CONST(STE_1_EATS, STE_EATS_FULL)

struct cmd {
	__le64 w[2];
};

struct bench {
	struct mock *mock;
	struct smmuv3_vsmmu *v;
	void __user *umem;		/* the ring, the table, and room for a feed */
	struct smmuv3_regs regs;
	u32 log2size;
	struct cmd cmds[MAX_RUN];
	struct cmd seen[MAX_RUN];	/* by an SMMU, in this order */
	u32 seen_num;
	struct cmd fed[MAX_RUN];
	struct cmd want[MAX_RUN];	/* in it */
	struct rnd_state rnd;
};

static const u32 vsids[STREAMS] = { VSID, VSID_NEXT, VSID_OTHER, VSID_LAST };
static const int fds[STREAMS] = { 0, 1, 4, 5 };

static u32 dice(struct bench *b, u32 below)
{
	return prandom_u32_state(&b->rnd) % below;
}

static struct cmd cmd(u64 w0, u64 w1)
{
	return (struct cmd){ { cpu_to_le64(w0), cpu_to_le64(w1) } };
}

static struct cmd va(u64 page)
{
	return cmd(CMD_TLBI_NH_VA | FIELD_PREP(TLBI_0_ASID, 7), page << 12);
}

static struct cmd cd(u32 vsid, u32 ssid)
{
	return cmd(CMD_CFGI_CD | FIELD_PREP(CMD_0_SID, vsid) |
		   FIELD_PREP(CMD_0_SSID, ssid), CFGI_1_LEAF);
}

static struct cmd cd_all(u32 vsid)
{
	return cmd(CMD_CFGI_CD_ALL | FIELD_PREP(CMD_0_SID, vsid), 0);
}

static struct cmd atc(u32 vsid, u64 page)
{
	return cmd(CMD_ATC_INV | FIELD_PREP(CMD_0_SID, vsid), page << 12);
}

static struct cmd cfgi_ste(u32 vsid)
{
	return cmd(CMD_CFGI_STE | FIELD_PREP(CMD_0_SID, vsid), CFGI_1_LEAF);
}

static struct cmd cfgi_range(u32 vsid, u32 range)
{
	return cmd(CMD_CFGI_STE_RANGE | FIELD_PREP(CMD_0_SID, vsid), range);
}

static struct cmd sync(u32 cs)
{
	return cmd(CMD_SYNC | FIELD_PREP(SYNC_0_CS, cs), 0);
}

/* Opcodes that there are not, 0 among them: memory that nobody wrote to */
static struct cmd bad(u32 n)
{
	static const u8 opcodes[] = { 0, 0xff, 0x14, 0x47 };

	return cmd(opcodes[n % ARRAY_SIZE(opcodes)], 0);
}

/* Registers that name the same table and queue again change nothing else. */
static int set_regs(struct bench *b, u32 *failed, u32 *reason)
{
	guard(mutex)(&b->v->queue_lock);
	return smmuv3_vsmmu_set_regs(b->v, &b->regs, failed, reason);
}

static void must_set_regs(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 failed, reason;

	KUNIT_ASSERT_EQ(test, set_regs(b, &failed, &reason), 0);
}

static void set_cmdq(struct kunit *test, u32 log2size)
{
	struct bench *b = test->priv;

	b->log2size = log2size;
	b->regs.cmdq_base = RING_GPA | log2size;
	must_set_regs(test);
}

static void set_mem(struct kunit *test, const struct smmuv3_accel_mem_region *regions,
		    u32 num)
{
	struct bench *b = test->priv;

	kfree(b->v->mem.regions);
	b->v->mem.num = num;
	b->v->mem.regions = kmemdup_array(regions, num, sizeof(*regions), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->v->mem.regions);
	if (b->v->table_mode)
		must_set_regs(test);
}

static void set_whole_mem(struct kunit *test)
{
	struct bench *b = test->priv;
	const struct smmuv3_accel_mem_region regions[] = {
		{ TABLE_GPA, TABLE_LEN, (uintptr_t)b->umem + RING_MAX },
		{ RING_GPA, RING_MAX, (uintptr_t)b->umem },
	};

	set_mem(test, regions, ARRAY_SIZE(regions));
}

static int attach(struct bench *b, int at, struct smmuv3_refusal *why)
{
	*why = (struct smmuv3_refusal){};
	guard(mutex)(&b->v->lock);
	return smmuv3_vsmmu_attach(b->v, fds[at], vsids[at], 0, NULL, why);
}

static void detach(struct kunit *test, int at)
{
	struct bench *b = test->priv;
	u32 reason;

	guard(mutex)(&b->v->lock);
	KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_detach(b->v, vsids[at], &reason), 0);
}

static void attach_all(struct kunit *test)
{
	struct smmuv3_refusal why;
	int i;

	for (i = 0; i < STREAMS; i++)
		KUNIT_ASSERT_EQ(test, attach(test->priv, i, &why), 0);
}

static struct smmuv3_stream *stream_at(struct bench *b, int at)
{
	return xa_load(&b->v->streams, vsids[at]);
}

static void put_ste(struct kunit *test, u32 vsid, u64 w0, u64 w1)
{
	const __le64 ste[8] = { cpu_to_le64(w0), cpu_to_le64(w1) };
	struct bench *b = test->priv;

	KUNIT_ASSERT_EQ(test, copy_to_user(b->umem + RING_MAX + vsid * sizeof(ste),
					   ste, sizeof(ste)), 0);
}

static void put_all_stes(struct kunit *test, u64 w0, u64 w1)
{
	int i;

	for (i = 0; i < STREAMS; i++)
		put_ste(test, vsids[i], w0, w1);
}

static int cmdq_test_init(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct smmuv3_host *host;
	unsigned long addr;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, b);
	prandom_seed_state(&b->rnd, 0xc3d9);
	b->mock = mock_init(test);
	addr = kunit_vm_mmap(test, NULL, 0, UMEM_LEN, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, (unsigned long)TASK_SIZE);
	b->umem = (void __user *)addr;
	b->v = smmuv3_vsmmu_alloc();
	KUNIT_ASSERT_NOT_NULL(test, b->v);
	test->priv = b;
	host = mock_open(b->mock, b->v);
	scoped_guard(mutex, &b->v->lock)
		scoped_guard(mutex, &b->v->queue_lock)
			rc = smmuv3_vsmmu_create(b->v, host, 0, SMMUV3_ACCEL_CREATE_FEED);
	KUNIT_ASSERT_EQ(test, rc, 0);
	set_whole_mem(test);
	b->regs = (struct smmuv3_regs){
		.cr0 = CR0_SMMUEN | CR0_CMDQEN,
		.strtab_base = TABLE_GPA,
		.strtab_base_cfg = TABLE_LOG2,
		.cmdq_base = RING_GPA | 4,
	};
	b->log2size = 4;
	return 0;
}

static void cmdq_test_exit(struct kunit *test)
{
	struct bench *b = test->priv;

	if (!b)
		return;
	b->mock->hosts[0].v = NULL;
	smmuv3_vsmmu_close(b->v);
}

/* All streams are translated, with ATS, and the queue has 16 commands. */
static void start(struct kunit *test)
{
	struct bench *b = test->priv;

	put_all_stes(test, STE_S1_AT(1), STE_ATS);
	attach_all(test);
	set_cmdq(test, 4);
	b->mock->log_num = 0;
}

/* Write to guest memory, which may be in pieces. */
static void put_guest(struct kunit *test, u64 gpa, const void *from, size_t len)
{
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < b->v->mem.num; i++) {
		const struct smmuv3_accel_mem_region *region = &b->v->mem.regions[i];
		u64 first = max(gpa, region->gpa);
		u64 end = min(gpa + len, region->gpa + region->size);

		if (first >= end)
			continue;
		KUNIT_ASSERT_EQ(test, copy_to_user(u64_to_user_ptr(region->uaddr + first -
								   region->gpa),
						   from + (first - gpa), end - first), 0);
	}
}

static void put_ring(struct kunit *test, u32 cons, const struct cmd *cmds, u32 num)
{
	struct bench *b = test->priv;
	u32 size = 1U << b->log2size, index = cons & (size - 1);
	u32 part = min(num, size - index);

	put_guest(test, RING_GPA + index * CMD_LEN, cmds, part * CMD_LEN);
	if (part < num)
		put_guest(test, RING_GPA, cmds + part, (num - part) * CMD_LEN);
}

struct result {
	int rc;
	u32 done;
	u32 error;
	u32 reason;
	u32 flags;
	u32 feed_num;
	u32 vsid;
};

/* Run what is in the ring, with room for a feed. */
static struct result run_ring_feed(struct bench *b, u32 cons, u32 num, u32 max_cmds,
				   void __user *feed, u32 room)
{
	u32 mask = (2U << b->log2size) - 1;
	struct smmuv3_accel_run_cmdq run = {
		.prod = (cons + num) & mask,
		.cons = cons,
		.max_cmds = max_cmds,
		.feed_uptr = (uintptr_t)feed,
	};
	struct result r;

	b->mock->log_num = 0;
	scoped_guard(mutex, &b->v->queue_lock)
		r.rc = smmuv3_cmdq_run(b->v, &run, room);
	r.done = (run.cons - cons) & mask;
	r.error = run.out_error;
	r.reason = run.out_reason;
	r.flags = run.out_flags;
	r.feed_num = run.feed_num;
	r.vsid = run.out_vsid;
	return r;
}

static struct result run_ring(struct bench *b, u32 cons, u32 num, u32 max_cmds)
{
	return run_ring_feed(b, cons, num, max_cmds, NULL, 0);
}

static struct result run(struct kunit *test, u32 cons, const struct cmd *cmds, u32 num)
{
	put_ring(test, cons, cmds, num);
	return run_ring(test->priv, cons, num, 0);
}

#define RUN(test, ...) ({						\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	run(test, 0, __cmds, ARRAY_SIZE(__cmds));			\
})

#define EXPECT_RESULT(test, r, _rc, _done, _error, _reason, _flags) do { \
	struct kunit *__test = (test);					\
	struct result __r = (r);					\
									\
	KUNIT_EXPECT_EQ(__test, __r.rc, _rc);				\
	KUNIT_EXPECT_EQ(__test, __r.done, _done);			\
	KUNIT_EXPECT_EQ(__test, __r.error, SMMUV3_ACCEL_CERROR_##_error); \
	KUNIT_EXPECT_EQ(__test, __r.reason, REASON(_reason));		\
	KUNIT_EXPECT_EQ(__test, __r.flags, _flags);			\
} while (0)

#define EXPECT_DONE(test, r, _done)					\
	EXPECT_RESULT(test, r, 0, _done, NONE, NONE, 0)

/* What an SMMU was given, by calls that did not fail */
static void collect(struct kunit *test, u32 smmu)
{
	struct bench *b = test->priv;
	u32 i;

	b->seen_num = 0;
	for (i = 0; i < b->mock->log_num; i++) {
		struct mock_call *call = &b->mock->log[i];

		if (call->op != MOCK_INVALIDATE || call->smmu != smmu || call->rc)
			continue;
		KUNIT_ASSERT_LE(test, b->seen_num + call->num, MAX_RUN);
		memcpy(&b->seen[b->seen_num], call->cmds, call->num * CMD_LEN);
		b->seen_num += call->num;
	}
}

/* Both SMMUs were given just this. */
static void expect_seen(struct kunit *test, const struct cmd *cmds, u32 num)
{
	struct bench *b = test->priv;
	u32 smmu;

	for (smmu = 0; smmu < MOCK_SMMUS; smmu++) {
		collect(test, smmu);
		KUNIT_ASSERT_EQ(test, b->seen_num, num);
		KUNIT_ASSERT_MEMEQ(test, b->seen, cmds, num * CMD_LEN);
	}
}

static void ring_sizes(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 log2size, size, mask, num, cons, i, n;

	for (i = 0; i < MAX_RUN; i++)
		b->cmds[i] = va(i);
	start(test);
	for (log2size = 0; log2size <= CMDQS_MAX; log2size++) {
		set_cmdq(test, log2size);
		size = 1U << log2size;
		mask = 2 * size - 1;
		num = min(size, MAX_RUN);
		/* From the ring's start, and across its end and the wrap bit's */
		for (n = 0; n < 4; n++) {
			cons = (n * size - (n & 1) * (num / 2)) & mask;
			EXPECT_DONE(test, run(test, cons, b->cmds, num), num);
			expect_seen(test, b->cmds, num);
		}
		EXPECT_DONE(test, run_ring(b, cons, 0, 0), 0);
		KUNIT_EXPECT_EQ(test, b->mock->log_num, 0);
		if (!log2size)
			continue;
		/* More than a lap */
		EXPECT_RESULT(test, run_ring(b, cons, size + 1, 0), -EINVAL, 0, NONE,
			      CMDQ_INDEX, 0);
		EXPECT_RESULT(test, run_ring(b, cons, 2 * size - 1, 0), -EINVAL, 0, NONE,
			      CMDQ_INDEX, 0);
		KUNIT_EXPECT_EQ(test, b->mock->log_num, 0);
	}

	/* A size that is reserved acts as the largest. */
	set_cmdq(test, CMDQS_MAX);
	b->regs.cmdq_base = RING_GPA | CMDQ_BASE_LOG2SIZE;
	must_set_regs(test);
	EXPECT_DONE(test, run(test, size - 2, b->cmds, 4), 4);
	expect_seen(test, b->cmds, 4);
	/* The base is aligned to the size; ERR and what is reserved are not CONS. */
	b->regs.cmdq_base = (RING_GPA + 0x20) | 4;
	b->log2size = 4;
	must_set_regs(test);
	put_ring(test, 14, b->cmds, 4);
	EXPECT_DONE(test, run_ring(b, 14 | 0x7f00000, 4, 0), 4);
	expect_seen(test, b->cmds, 4);
}

static void ring_max_cmds(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < 16; i++)
		b->cmds[i] = va(i);
	start(test);
	put_ring(test, 20, b->cmds, 16);
	for (i = 1; i < 16; i++) {
		EXPECT_DONE(test, run_ring(b, 20, 16, i), i);
		expect_seen(test, b->cmds, i);
	}
	EXPECT_DONE(test, run_ring(b, 20, 16, 16), 16);
	EXPECT_DONE(test, run_ring(b, 20, 16, U32_MAX), 16);
	EXPECT_DONE(test, run_ring(b, 20, 3, 5), 3);
	expect_seen(test, b->cmds, 3);
}

/* Cut the ring into regions, anywhere, with gaps between them for the VMM. */
static void cut_ring(struct kunit *test, const u32 *cuts, u32 num, u32 hole)
{
	struct bench *b = test->priv;
	struct smmuv3_accel_mem_region regions[12];
	u32 i, at = 0, n = 0, end;

	regions[n++] = (struct smmuv3_accel_mem_region){
		TABLE_GPA, TABLE_LEN, (uintptr_t)b->umem + RING_MAX
	};
	for (i = 0; i <= num; i++, at = end) {
		end = i < num ? cuts[i] : CMD_LEN << b->log2size;
		if (at == end || i == hole)
			continue;
		regions[n++] = (struct smmuv3_accel_mem_region){
			RING_GPA + at, end - at, (uintptr_t)b->umem + at + i * 4099
		};
	}
	set_mem(test, regions, n);
}

/* A batch of many pieces, some of them smaller than a command */
static void ring_regions(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 round, cuts[8], num, cons, n, i;

	for (i = 0; i < 16; i++)
		b->cmds[i] = va(i);
	start(test);
	/* Each way to cut a command in two, also where the ring wraps */
	for (i = 1; i < 3 * CMD_LEN; i++) {
		cut_ring(test, &i, 1, U32_MAX);
		EXPECT_DONE(test, run(test, 15, b->cmds, 7), 7);
		expect_seen(test, b->cmds, 7);
	}
	for (round = 0; round < 200; round++) {
		n = 1 + dice(b, ARRAY_SIZE(cuts));
		for (i = 0; i < n; i++)
			cuts[i] = (i ? cuts[i - 1] : dice(b, 64)) +
				  (dice(b, 2) ? CMD_LEN * dice(b, 3) : dice(b, 24));
		cut_ring(test, cuts, n, U32_MAX);
		cons = dice(b, 32);
		num = 1 + dice(b, 16);
		EXPECT_DONE(test, run(test, cons, b->cmds, num), num);
		expect_seen(test, b->cmds, num);
	}
}

/* What can be read before the hole is done, and CONS is at the first that cannot. */
static void ring_unreadable(struct kunit *test)
{
	struct bench *b = test->priv;
	struct smmuv3_accel_mem_region regions[3];
	u32 at, len, cuts[2], i;

	for (i = 0; i < 16; i++)
		b->cmds[i] = va(i);
	b->cmds[15] = sync(SYNC_CS_IRQ);
	start(test);
	for (at = 0; at < 6 * CMD_LEN; at += 1 + dice(b, 7)) {
		for (len = 1; len < 20; len += 6) {
			cuts[0] = at;
			cuts[1] = at + len;
			cut_ring(test, cuts, 2, 1);
			EXPECT_RESULT(test, run(test, 0, b->cmds, 16), 0, at / CMD_LEN,
				      ABT, CMD_UNREADABLE, 0);
			expect_seen(test, b->cmds, at / CMD_LEN);
		}
	}
	/* After the wrap */
	cut_ring(test, cuts, 2, 0);
	EXPECT_RESULT(test, run(test, 29, b->cmds, 16), 0, 3, ABT, CMD_UNREADABLE, 0);
	expect_seen(test, b->cmds, 3);

	/* The VMM has nothing where it says that it has: after the second command */
	set_whole_mem(test);
	memcpy(regions, b->v->mem.regions, 2 * sizeof(*regions));
	regions[1].size = 16 * CMD_LEN;
	regions[1].uaddr = (uintptr_t)b->umem + UMEM_LEN - 40;
	KUNIT_ASSERT_EQ(test, copy_to_user(b->umem + UMEM_LEN - 40, b->cmds, 40), 0);
	set_mem(test, regions, 2);
	EXPECT_RESULT(test, run_ring(b, 0, 16, 0), 0, 2, ABT, CMD_UNREADABLE, 0);
	expect_seen(test, b->cmds, 2);
	EXPECT_RESULT(test, run_ring(b, 2, 4, 0), 0, 0, ABT, CMD_UNREADABLE, 0);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 0);
	/* Nothing at all */
	set_mem(test, regions, 1);
	EXPECT_RESULT(test, run_ring(b, 0, 1, 0), 0, 0, ABT, CMD_UNREADABLE, 0);
}

/* CONS is at the bad one, all before it is done and nothing behind it. */
static void ring_illegal(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i, at, syncs;

	start(test);
	/* With CMD_SYNCs from none to each second */
	for (syncs = 0; syncs < 4; syncs++) {
		for (at = 0; at < 8; at++) {
			struct cmd want[8];
			u32 num = 0, flags = 0;

			for (i = 0; i < 8; i++) {
				if (i == at) {
					b->cmds[i] = bad(at + syncs);
				} else if (syncs && i % (syncs + 1) == syncs) {
					b->cmds[i] = sync(SYNC_CS_IRQ);
					if (i < at)
						flags = SMMUV3_ACCEL_RUN_SYNC_IRQ;
				} else {
					b->cmds[i] = va(i);
					if (i < at)
						want[num++] = va(i);
				}
			}
			EXPECT_RESULT(test, run(test, 12, b->cmds, 8), 0, at, ILL, CMD_OPCODE,
				      flags);
			expect_seen(test, want, num);
		}
	}
}

/* Only a CMD_SYNC that is done, and that asks for it, wants its interrupt. */
static void ring_sync_irq(struct kunit *test)
{
	const u32 irq = SMMUV3_ACCEL_RUN_SYNC_IRQ;
	struct bench *b = test->priv;

	start(test);
	EXPECT_RESULT(test, RUN(test, sync(SYNC_CS_IRQ)), 0, 1, NONE, NONE, irq);
	EXPECT_RESULT(test, RUN(test, va(1), sync(SYNC_CS_IRQ)), 0, 2, NONE, NONE, irq);
	EXPECT_RESULT(test, RUN(test, va(1), va(2), sync(SYNC_CS_IRQ)), 0, 3, NONE, NONE, irq);
	EXPECT_RESULT(test, RUN(test, cd(VSID, 1), sync(SYNC_CS_IRQ), va(1), sync(0)), 0, 4,
		      NONE, NONE, irq);
	EXPECT_DONE(test, RUN(test, va(1), sync(0)), 2);
	EXPECT_DONE(test, RUN(test, va(1), cd(VSID, 1), sync(2)), 3);
	EXPECT_RESULT(test, RUN(test, va(1), sync(SYNC_CS_RESERVED)), 0, 1, ILL,
		      CMD_RESERVED, 0);

	/* The host fails: nothing of this segment is done. */
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 9, -EIO);
	EXPECT_RESULT(test, RUN(test, va(1), sync(SYNC_CS_IRQ)), -EIO, 0, NONE, HOST_REJECT, 0);
	EXPECT_RESULT(test, RUN(test, va(2), va(3), sync(SYNC_CS_IRQ)), -EIO, 0, NONE,
		      HOST_REJECT, 0);
	b->mock->fail_num = 0;
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 9, -ENOMEM);
	EXPECT_RESULT(test, RUN(test, sync(SYNC_CS_IRQ), cd(VSID, 1), sync(SYNC_CS_IRQ)), -ENOMEM,
		      0, NONE, RETRY, 0);
	/* But what is before an STE change is */
	mock_fail(b->mock, MOCK_ALLOC + MOCK_NESTED, 1, 1, -ENOMEM);
	put_ste(test, VSID, STE_S1_AT(2), 0);
	EXPECT_RESULT(test, RUN(test, va(1), sync(SYNC_CS_IRQ), cfgi_ste(VSID),
				sync(SYNC_CS_IRQ)), -ENOMEM, 2, NONE, RETRY, irq);
	b->mock->fail_num = 0;
}

/* The host reads from the ring itself what is one stretch of it, unchanged. */
static void ring_zero_copy(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 cut = 6 * CMD_LEN;
	int i;

	start(test);
	EXPECT_DONE(test, RUN(test, va(1), sync(0)), 2);
	EXPECT_DONE(test, RUN(test, sync(0), va(1), va(2), sync(0)), 4);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 2);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_PTR_EQ(test, (__force void *)b->mock->log[i].from,
				    (__force void *)b->umem + CMD_LEN);
	/* StreamIDs of one SMMU, and of two */
	EXPECT_DONE(test, RUN(test, cd(VSID, 1), cd(VSID_NEXT, 1)), 2);
	KUNIT_EXPECT_PTR_EQ(test, (__force void *)b->mock->log[0].from, (__force void *)b->umem);
	EXPECT_DONE(test, RUN(test, cd(VSID, 1), cd(VSID_OTHER, 1)), 2);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 2);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_NULL(test, (__force void *)b->mock->log[i].from);

	/* Not where the ring wraps, and not where it is in two pieces */
	for (i = 0; i < 4; i++)
		b->cmds[i] = va(i);
	EXPECT_DONE(test, run(test, 14, b->cmds, 4), 4);
	KUNIT_EXPECT_NULL(test, (__force void *)b->mock->log[0].from);
	cut_ring(test, &cut, 1, U32_MAX);
	EXPECT_DONE(test, run(test, 4, b->cmds, 4), 4);
	KUNIT_EXPECT_NULL(test, (__force void *)b->mock->log[0].from);
	EXPECT_DONE(test, run(test, 6, b->cmds, 4), 4);
	KUNIT_EXPECT_PTR_EQ(test, (__force void *)b->mock->log[0].from,
			    (__force void *)b->umem + cut + 4099);
	/* What the VMM does to it meanwhile is of no importance after an error. */
	b->cmds[0] = cd(VSID, 1);
	b->mock->scribble = true;
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 1, -EIO);
	EXPECT_DONE(test, run(test, 6, b->cmds, 1), 1);
	KUNIT_EXPECT_NOT_NULL(test, (__force void *)b->mock->log[0].from);
	KUNIT_EXPECT_NULL(test, (__force void *)b->mock->log[1].from);
	KUNIT_EXPECT_MEMEQ(test, b->mock->log[1].cmds, b->cmds, CMD_LEN);
	b->mock->scribble = false;
}

/* The host calls of a run, in order */
static void expect_ops(struct kunit *test, const enum mock_op *ops, u32 num)
{
	struct bench *b = test->priv;
	u32 i;

	KUNIT_ASSERT_EQ(test, b->mock->log_num, num);
	for (i = 0; i < num; i++)
		KUNIT_EXPECT_EQ_MSG(test, b->mock->log[i].op, ops[i], "call %u", i);
}

#define EXPECT_OPS(test, ...) do {					\
	static const enum mock_op __ops[] = { __VA_ARGS__ };		\
									\
	expect_ops(test, __ops, ARRAY_SIZE(__ops));			\
} while (0)

static void ste_order(struct kunit *test)
{
	const struct cmd all = cd_all(VSID);
	struct bench *b = test->priv;

	start(test);
	put_ste(test, VSID, STE_S1_AT(2), 0);
	EXPECT_DONE(test, RUN(test, va(1), cfgi_ste(VSID), va(2), sync(0)), 4);
	/* On both SMMUs, the new domain, on both again */
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_INVALIDATE, MOCK_ALLOC + MOCK_NESTED, MOCK_ATTACH,
		   MOCK_DESTROY, MOCK_INVALIDATE, MOCK_INVALIDATE);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.data[0], STE_S1_AT(2));

	/* Its CDs alone where it is the same; an unknown stream has no STE. */
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID), cfgi_ste(0x55)), 2);
	EXPECT_OPS(test, MOCK_INVALIDATE);
	KUNIT_EXPECT_MEMEQ(test, b->mock->log[0].cmds, &all, CMD_LEN);
	/* Both STEs of a batch are those in memory now. */
	put_ste(test, VSID, STE_BYPASS, 0);
	put_ste(test, VSID_OTHER, 0, 0);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID), cd(VSID, 1), cfgi_ste(VSID_OTHER)), 3);
	EXPECT_OPS(test, MOCK_ATTACH, MOCK_DESTROY, MOCK_INVALIDATE, MOCK_ATTACH, MOCK_DESTROY);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.kind, KIND(BYPASS));
	KUNIT_EXPECT_EQ(test, stream_at(b, 2)->ste.reason, REASON(STE_INVALID));

	/* With SMMUEN clear STEs are not looked at; TLBIs are carried out. */
	b->regs.cr0 &= ~CR0_SMMUEN;
	must_set_regs(test);
	put_ste(test, VSID, STE_S1_AT(3), 0);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID), cfgi_range(0, 31), va(1)), 3);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_INVALIDATE);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.kind, KIND(BYPASS));
}

/* The streams in an aligned range of 2^(Range + 1), and no other */
static void ste_range(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 round, range, sid, i, page = 2;

	start(test);
	for (round = 0; round < 128; round++, page++) {
		range = round % 32;
		sid = vsids[dice(b, STREAMS)] ^ (dice(b, 2) ? 0 : BIT(dice(b, 32)));
		put_all_stes(test, STE_S1_AT(page), 0);
		EXPECT_DONE(test, RUN(test, cfgi_range(sid, range)), 1);
		for (i = 0; i < STREAMS; i++)
			KUNIT_ASSERT_EQ_MSG(test, stream_at(b, i)->ste.data[0] == STE_S1_AT(page),
					    (u64)sid >> (range + 1) == (u64)vsids[i] >> (range + 1),
					    "StreamID %x range %u, stream %x", sid, range,
					    vsids[i]);
	}
}

/* The guest's fault is an event for it, and no error. */
static void ste_bad(struct kunit *test)
{
	const u32 bad_ste = SMMUV3_ACCEL_RUN_BAD_STE;
	struct bench *b = test->priv;

	start(test);
	put_ste(test, VSID, STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, 7), 0);
	EXPECT_RESULT(test, RUN(test, cfgi_ste(VSID), va(1)), 0, 2, NONE, NONE, bad_ste);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.reason, REASON(STE_CONFIG));
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID_NEXT)), 1);

	/* The table is too short for one, and then out of memory for all. */
	b->regs.strtab_base_cfg = 5;
	must_set_regs(test);
	KUNIT_EXPECT_EQ(test, stream_at(b, 1)->ste.kind, KIND(S1));
	KUNIT_EXPECT_EQ(test, stream_at(b, 2)->ste.reason, REASON(STE_SID_RANGE));
	EXPECT_RESULT(test, RUN(test, cfgi_ste(VSID_OTHER)), 0, 1, NONE, NONE, bad_ste);
	b->regs.strtab_base += 0x1000000;
	must_set_regs(test);
	KUNIT_EXPECT_EQ(test, stream_at(b, 1)->ste.reason, REASON(STE_UNREADABLE));
	EXPECT_RESULT(test, RUN(test, cfgi_range(0, 31)), 0, 1, NONE, NONE, bad_ste);
}

/* The old STE stays, CONS is at the command, and repeating it works. */
static void ste_fails(struct kunit *test)
{
	static const struct { enum mock_op op; int rc; u32 reason; } errors[] = {
		{ MOCK_ALLOC + MOCK_NESTED, -ENOMEM, REASON(RETRY) },
		{ MOCK_ATTACH, -EBUSY, REASON(RETRY) },
		{ MOCK_ATTACH, -ENODEV, REASON(NO_POWER) },
		{ MOCK_ALLOC + MOCK_NESTED, -EINVAL, REASON(HOST_REJECT) },
	};
	struct bench *b = test->priv;
	struct result r;
	u32 i, at, n;

	start(test);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		u64 old = stream_at(b, 0)->ste.data[0];

		put_all_stes(test, STE_S1_AT(10 + i), 0);
		mock_fail(b->mock, errors[i].op, 1, 1, errors[i].rc);
		b->cmds[0] = va(1);
		b->cmds[1] = cfgi_ste(VSID);
		b->cmds[2] = va(2);
		r = run(test, 0, b->cmds, 3);
		KUNIT_EXPECT_EQ(test, r.rc, errors[i].rc);
		KUNIT_EXPECT_EQ(test, r.done, 1);
		KUNIT_EXPECT_EQ(test, r.error, SMMUV3_ACCEL_CERROR_NONE);
		KUNIT_EXPECT_EQ(test, r.reason, errors[i].reason);
		KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.data[0], old);
		expect_seen(test, b->cmds, 1);
		EXPECT_DONE(test, run_ring(b, 1, 2, 0), 2);
		KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.data[0], STE_S1_AT(10 + i));
	}
	/* At each stream of a range: the others are not held up. */
	for (at = 0; at < STREAMS; at++) {
		put_all_stes(test, STE_S1_AT(20 + at), 0);
		mock_fail(b->mock, MOCK_ATTACH, at + 1, 1, -EBUSY);
		r = RUN(test, cfgi_range(0, 31));
		EXPECT_RESULT(test, r, -EBUSY, 0, NONE, RETRY, 0);
		KUNIT_EXPECT_EQ(test, r.vsid, vsids[at]);
		for (n = 0; n < STREAMS; n++)
			KUNIT_EXPECT_EQ(test, stream_at(b, n)->ste.data[0] == STE_S1_AT(20 + at),
					n != at);
		EXPECT_DONE(test, run_ring(b, 0, 1, 0), 1);
		KUNIT_EXPECT_EQ(test, stream_at(b, 3)->ste.data[0], STE_S1_AT(20 + at));
	}
}

/* To be killed is no stream's fault, and no failure after some progress. */
static void ste_killed(struct kunit *test)
{
	struct bench *b = test->priv;
	struct result r;

	start(test);
	put_all_stes(test, STE_S1_AT(2), 0);
	mock_fail(b->mock, MOCK_ATTACH, 1, 2, -EINTR);
	r = RUN(test, cfgi_range(0, CFGI_RANGE_ALL));
	EXPECT_RESULT(test, r, -EINTR, 0, NONE, NONE, 0);
	KUNIT_EXPECT_EQ(test, r.vsid, 0);
	r = RUN(test, va(1), cfgi_ste(VSID));
	EXPECT_DONE(test, r, 1);
	KUNIT_EXPECT_EQ(test, r.vsid, 0);
	KUNIT_EXPECT_EQ(test, b->mock->failed, 2);
	EXPECT_DONE(test, run_ring(b, 1, 1, 0), 1);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.data[0], STE_S1_AT(2));
}

/* Where a command was carried out: the first and the last of the host's calls */
static u32 find_calls(struct bench *b, const struct cmd *want, u32 *first, u32 *last)
{
	u32 i, n, num = 0;

	for (i = 0; i < b->mock->log_num; i++) {
		struct mock_call *call = &b->mock->log[i];

		for (n = 0; call->op == MOCK_INVALIDATE && n < call->num; n++) {
			if (memcmp(call->cmds[n], want, CMD_LEN))
				continue;
			if (!num++)
				*first = i;
			*last = i;
		}
	}
	return num;
}

static enum smmuv3_phase phase_of(const struct cmd *c)
{
	switch (FIELD_GET(CMD_0_OP, le64_to_cpu(c->w[0]))) {
	case CMD_CFGI_CD:
		return SMMUV3_PHASE_CD;
	case CMD_TLBI_NH_VA:
		return SMMUV3_PHASE_TLBI;
	case CMD_ATC_INV:
		return SMMUV3_PHASE_ATC;
	default:
		return SMMUV3_PHASE_NONE;
	}
}

/* A CMD_SYNC between a CFGI and a TLBI, or a TLBI and an ATC_INV, is kept. */
static void ring_random_order(struct kunit *test)
{
	u32 round, num, i, j, first[64], last[64], times, pairs = 0;
	struct bench *b = test->priv;
	bool synced;

	start(test);
	set_cmdq(test, 6);
	for (round = 0; round < 150; round++) {
		num = 1 + dice(b, 64);
		for (i = 0; i < num; i++) {
			u32 vsid = vsids[dice(b, STREAMS)];

			/* Each is the only one of its kind, so that none is left out. */
			switch (dice(b, IS_ENABLED(CONFIG_PCI_ATS) ? 12 : 10)) {
			case 0 ... 3:
				b->cmds[i] = va(dice(b, 2) ? 100 + i : 99 - i);
				break;
			case 4 ... 6:
				b->cmds[i] = cd(vsid, i);
				break;
			case 7 ... 8:
				b->cmds[i] = sync(0);
				break;
			case 9:
				b->cmds[i] = dice(b, 4) ? cmd(CMD_PREFETCH_ADDR, i) :
							  cfgi_ste(vsid);
				break;
			default:
				b->cmds[i] = atc(vsid, i);
			}
		}
		EXPECT_DONE(test, run(test, dice(b, 128), b->cmds, num), num);
		for (i = 0; i < num; i++) {
			if (phase_of(&b->cmds[i]) == SMMUV3_PHASE_NONE)
				continue;
			times = find_calls(b, &b->cmds[i], &first[i], &last[i]);
			KUNIT_ASSERT_EQ(test, times,
					phase_of(&b->cmds[i]) == SMMUV3_PHASE_TLBI ?
					MOCK_SMMUS : 1);
		}
		for (i = 0; i < num; i++) {
			synced = false;
			for (j = i + 1; j < num; j++) {
				synced |= (le64_to_cpu(b->cmds[j].w[0]) & CMD_0_OP) == CMD_SYNC;
				if (!synced || phase_of(&b->cmds[j]) == SMMUV3_PHASE_NONE ||
				    phase_of(&b->cmds[i]) >= phase_of(&b->cmds[j]))
					continue;
				KUNIT_ASSERT_LT_MSG(test, last[i], first[j],
						    "round %u, commands %u and %u", round, i, j);
				pairs++;
			}
		}
	}
	KUNIT_EXPECT_GT(test, pairs, 1000);
}

/* With the erratum all but ATC_INV is repeated, after the first call's return. */
static void ring_erratum(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i;

	for (i = 0; i < MOCK_SMMUS; i++)
		b->mock->smmu[i].flags = ERRATUM;
	start(test);
	EXPECT_DONE(test, RUN(test, va(1), sync(0)), 2);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 4);
	EXPECT_DONE(test, RUN(test, va(1), va(2), sync(0)), 3);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 4);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, b->mock->log[i].num, 2);
		KUNIT_EXPECT_EQ(test, b->mock->log[i].smmu, i / 2);
	}
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID), cd(VSID_OTHER, 1), va(1)), 3);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 8);
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		return;
	EXPECT_DONE(test, RUN(test, atc(VSID, 1), va(1), sync(0)), 3);
	KUNIT_ASSERT_EQ(test, b->mock->log_num, 5);
	KUNIT_EXPECT_EQ(test, phase_of((const struct cmd *)b->mock->log[4].cmds),
			SMMUV3_PHASE_ATC);
}

/* What is in force for all streams by registers: SMMUEN, GBPA.ABORT, the table */
static void regs_evaluate(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i, n, reason, failed;

	attach_all(test);
	put_all_stes(test, STE_S1_AT(1), 0);
	for (n = 0; n < 64; n++) {
		bool on = n ? dice(b, 2) : false, abort = dice(b, 2);
		u32 kind = on ? KIND(S1) : abort ? KIND(ABORT) : KIND(BYPASS);

		b->regs.cr0 = (on ? CR0_SMMUEN : 0) | (dice(b, 2) ? CR0_CMDQEN : 0);
		b->regs.gbpa = (abort ? GBPA_ABORT : 0) | dice(b, 0x1000);
		must_set_regs(test);
		for (i = 0; i < STREAMS; i++) {
			KUNIT_ASSERT_EQ(test, stream_at(b, i)->ste.kind, kind);
			KUNIT_ASSERT_EQ(test, stream_at(b, i)->ste.reason,
					kind == KIND(ABORT) ? REASON(GBPA_ABORT) : REASON(NONE));
		}
		/* What changes nothing for them is none of their business. */
		b->mock->log_num = 0;
		b->regs.cmdq_base ^= 1;
		b->regs.cr0 ^= CR0_CMDQEN;
		b->regs.gbpa ^= on ? GBPA_ABORT : 1;
		if (!on)
			b->regs.strtab_base ^= 0x1000;
		must_set_regs(test);
		KUNIT_ASSERT_EQ(test, b->mock->log_num, 0);
		b->regs.strtab_base = TABLE_GPA;
	}

	/* A table elsewhere is another table. */
	b->regs.cr0 = CR0_SMMUEN;
	must_set_regs(test);
	b->mock->log_num = 0;
	b->regs.strtab_base_cfg++;
	must_set_regs(test);
	/* It says the same, and CDs are flushed for all streams of an SMMU together. */
	KUNIT_EXPECT_EQ(test, b->mock->log_num, MOCK_SMMUS);
	put_all_stes(test, STE_S1_AT(2), 0);
	b->regs.strtab_base += 0x8000;
	KUNIT_EXPECT_EQ(test, set_regs(b, &failed, &reason), 0);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.reason, REASON(STE_UNREADABLE));
}

/* Registers are in force whatever fails, and a stream that could not take them aborts. */
static void regs_fail(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 at, i, failed, reason;
	u32 kind;

	start(test);
	for (at = 0; at < STREAMS; at++) {
		b->regs.cr0 ^= CR0_SMMUEN;
		kind = b->regs.cr0 & CR0_SMMUEN ? KIND(S1) : KIND(BYPASS);
		mock_fail(b->mock, MOCK_ATTACH, at + 1, 1, -EBUSY);
		KUNIT_EXPECT_EQ(test, set_regs(b, &failed, &reason), -EBUSY);
		KUNIT_EXPECT_EQ(test, failed, vsids[at]);
		KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
		KUNIT_EXPECT_MEMEQ(test, &b->v->regs, &b->regs, sizeof(b->regs));
		for (i = 0; i < STREAMS; i++)
			KUNIT_EXPECT_EQ(test, stream_at(b, i)->ste.kind,
					i == at ? KIND(ABORT) : kind);
		KUNIT_EXPECT_EQ(test, stream_at(b, at)->ste.reason, REASON(RETRY));
		/* The same again gives it what it lacks. */
		must_set_regs(test);
		for (i = 0; i < STREAMS; i++)
			KUNIT_EXPECT_EQ(test, stream_at(b, i)->ste.kind, kind);
	}
}

/* What a stream was given cannot be told from what it has. */
static void expect_aborts(struct kunit *test, int at, u32 reason)
{
	struct bench *b = test->priv;
	struct smmuv3_stream *stream = stream_at(b, at);

	KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, stream->ste.reason, reason);
	KUNIT_EXPECT_EQ(test, stream->hwpt_id, b->mock->devs[fds[at]].hwpt_id);
	if (stream->hwpt_id)
		KUNIT_EXPECT_EQ(test, stream->hwpt_id, stream->phys->abort_hwpt_id);
}

static void expect_s1(struct kunit *test, int at, u32 page)
{
	struct bench *b = test->priv;
	struct smmuv3_stream *stream = stream_at(b, at);
	struct mock_obj *hwpt = mock_find(b->mock, b->mock->devs[fds[at]].hwpt_id);

	KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(S1));
	KUNIT_EXPECT_EQ(test, stream->ste.data[0], STE_S1_AT(page));
	KUNIT_ASSERT_NOT_NULL(test, hwpt);
	KUNIT_EXPECT_EQ(test, hwpt->ste[0], STE_S1_AT(page));
}

/* A stream that cannot take a new table aborts, and does not keep the old one. */
static void regs_fail_table(struct kunit *test)
{
	static const struct { enum mock_op op; int rc; u32 reason; } errors[] = {
		{ MOCK_ALLOC + MOCK_NESTED, -ENOMEM, REASON(RETRY) },
		{ MOCK_ALLOC + MOCK_NESTED, -EINVAL, REASON(HOST_REJECT) },
		{ MOCK_ATTACH, -EBUSY, REASON(RETRY) },
		{ MOCK_ATTACH, -ENODEV, REASON(NO_POWER) },
	};
	struct bench *b = test->priv;
	u32 i, n, at, num, failed, reason, page = 2;

	start(test);
	b->cmds[0] = va(1);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		/* At each of them; then at the second and the third */
		for (at = 0; at <= STREAMS; at++, page++) {
			u32 first = at < STREAMS ? at : 1;

			num = at < STREAMS ? 1 : 2;
			/* An abort is an attach more. */
			if (num == 2 && errors[i].op == MOCK_ATTACH)
				break;
			put_all_stes(test, STE_S1_AT(page), 0);
			b->regs.strtab_base_cfg ^= 1;
			b->log2size ^= 1;
			b->regs.cmdq_base ^= 1;
			mock_fail(b->mock, errors[i].op, first + 1, num, errors[i].rc);
			KUNIT_EXPECT_EQ(test, set_regs(b, &failed, &reason), errors[i].rc);
			KUNIT_EXPECT_EQ(test, failed, vsids[first]);
			KUNIT_EXPECT_EQ(test, reason, errors[i].reason);
			for (n = 0; n < STREAMS; n++) {
				if (n >= first && n < first + num)
					expect_aborts(test, n, errors[i].reason);
				else
					expect_s1(test, n, page);
			}
			/* What does not concern streams is in force as well. */
			KUNIT_EXPECT_MEMEQ(test, &b->v->regs, &b->regs, sizeof(b->regs));
			EXPECT_DONE(test, run(test, (1U << b->log2size) - 1, b->cmds, 1), 1);
			/* The same again */
			must_set_regs(test);
			for (n = 0; n < STREAMS; n++)
				expect_s1(test, n, page);
			b->mock->log_num = 0;
			must_set_regs(test);
			KUNIT_EXPECT_EQ(test, b->mock->log_num, 0);
		}
	}
	/* It has a reason if the host's errno says nothing. */
	b->regs.strtab_base_cfg ^= 1;
	put_all_stes(test, STE_S1_AT(page), 0);
	mock_fail(b->mock, MOCK_ALLOC + MOCK_NESTED, 1, 1, -EACCES);
	KUNIT_EXPECT_EQ(test, set_regs(b, &failed, &reason), -EACCES);
	KUNIT_EXPECT_EQ(test, reason, REASON(NONE));
	expect_aborts(test, 0, REASON(HOST_REJECT));
	must_set_regs(test);
	/* The stream's next STE makes up for it as well. */
	b->regs.strtab_base_cfg ^= 1;
	put_all_stes(test, STE_S1_AT(1), 0);
	mock_fail(b->mock, MOCK_ATTACH, 1, 1, -EBUSY);
	KUNIT_EXPECT_EQ(test, set_regs(b, &failed, &reason), -EBUSY);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	expect_s1(test, 0, 1);
}

/* All abort, whatever fails: without its domain DMA is blocked. */
static void reset_fails(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 at, i, reason;
	int rc;

	start(test);
	for (at = 0; at < STREAMS; at++) {
		b->mock->log_num = 0;
		mock_fail(b->mock, MOCK_ATTACH, at + 1, 1, -EBUSY);
		scoped_guard(mutex, &b->v->queue_lock)
			rc = smmuv3_vsmmu_reset(b->v, &reason);
		KUNIT_EXPECT_EQ(test, rc, 0);
		KUNIT_EXPECT_EQ(test, b->mock->failed, 1);
		for (i = 0; i < STREAMS; i++) {
			expect_aborts(test, i, REASON(NO_STE));
			KUNIT_EXPECT_EQ(test, !stream_at(b, i)->hwpt_id, i == at);
		}
		must_set_regs(test);
		for (i = 0; i < STREAMS; i++)
			expect_s1(test, i, 1);
	}
}

struct told {
	struct kunit *test;
	int rc;
	u32 num;		/* how many times */
	u32 log_num;		/* when it was */
};

static int tell(const struct smmuv3_stream *stream, void *arg)
{
	struct told *told = arg;
	struct bench *b = told->test->priv;

	told->num++;
	told->log_num = b->mock->log_num;
	KUNIT_EXPECT_EQ(told->test, stream->dev->dev_id, MOCK_DEV_ID(0));
	KUNIT_EXPECT_NOT_NULL(told->test, mock_find(b->mock, stream->vdevice_id));
	KUNIT_EXPECT_NOT_NULL(told->test, mock_find(b->mock, stream->phys->viommu_id));
	KUNIT_EXPECT_EQ(told->test, b->mock->devs[0].hwpt_id, MOCK_VMM_HWPT);
	return told->rc;
}

static int attach_telling(struct bench *b, struct told *told, struct smmuv3_refusal *why)
{
	const struct smmuv3_answer answer = { tell, told };

	*why = (struct smmuv3_refusal){};
	guard(mutex)(&b->v->lock);
	return smmuv3_vsmmu_attach(b->v, fds[0], vsids[0], 0, &answer, why);
}

static const struct attach_case {
	const char *name;
	u32 calls;
	bool second_device;
	bool pending;
} attach_cases[] = {
	{ "first device", .calls = 9 },
	{ "second device", .calls = 4, .second_device = true },
	{ "pending flush", .calls = 5, .second_device = true, .pending = true },
};

KUNIT_ARRAY_PARAM_DESC(attach, attach_cases, name);

/* Stream 1 leaves, and what it flushes fails. */
static void make_pending(struct kunit *test)
{
	struct bench *b = test->priv;

	mock_fail(b->mock, MOCK_INVALIDATE, 1, 2, -EIO);
	detach(test, 1);
	KUNIT_ASSERT_EQ(test, b->mock->failed, 2);
}

/*
 * In table mode, with an STE that translates: whatever fails, the device keeps the
 * domain that the VMM gave it. Nothing can fail once the caller was told but the
 * attach itself.
 */
static void attach_fails(struct kunit *test)
{
	const struct attach_case *c = test->param_value;
	struct bench *b = test->priv;
	struct mock_state before, after;
	struct smmuv3_refusal why;
	u32 n, phys_num, streams;
	struct told told;
	int rc;

	put_all_stes(test, STE_S1_AT(1), 0);
	must_set_regs(test);
	if (c->second_device)
		KUNIT_ASSERT_EQ(test, attach(b, 1, &why), 0);
	if (c->pending)
		make_pending(test);
	before = mock_state(b->mock);
	phys_num = b->v->phys_num;
	streams = b->v->stream_num;
	for (n = 0;; n++) {
		told = (struct told){ .test = test, .rc = n ? 0 : -EFAULT };
		b->mock->log_num = 0;
		/* Twice: an invalidation is made again after an error. */
		mock_fail(b->mock, MOCK_ANY, n, n ? 2 : 0, -ENOMEM);
		rc = attach_telling(b, &told, &why);
		b->mock->fail_num = 0;
		if (n && !b->mock->failed)
			break;
		KUNIT_EXPECT_EQ(test, rc, n ? -ENOMEM : -EFAULT);
		KUNIT_EXPECT_EQ(test, mock_count(b->mock, MOCK_DETACH), 0);
		KUNIT_EXPECT_EQ(test, mock_count(b->mock, MOCK_ATTACH), n == c->calls);
		KUNIT_EXPECT_EQ(test, told.num, !n || n == c->calls);
		after = mock_state(b->mock);
		KUNIT_EXPECT_MEMEQ_MSG(test, &before, &after, sizeof(after), "call %u", n);
		KUNIT_EXPECT_EQ(test, b->v->phys_num, phys_num);
		KUNIT_EXPECT_EQ(test, b->v->stream_num, streams);
		KUNIT_EXPECT_NULL(test, stream_at(b, 0));
		/* The flush may have been made up for all the same. */
		if (c->pending) {
			KUNIT_ASSERT_EQ(test, attach(b, 1, &why), 0);
			make_pending(test);
			before = mock_state(b->mock);
		}
	}
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
	KUNIT_EXPECT_EQ(test, told.num, 1);
	KUNIT_EXPECT_EQ(test, told.log_num + 1, b->mock->log_num);
	KUNIT_EXPECT_EQ(test, b->mock->log[told.log_num].op, MOCK_ATTACH);
	KUNIT_EXPECT_EQ(test, mock_count(b->mock, MOCK_INVALIDATE), c->pending);
	expect_s1(test, 0, 1);
}

static void modes(struct kunit *test)
{
	const u64 ste[8] = { STE_BYPASS };
	const struct cmd flush = cmd(CMD_TLBI_NH_ALL, 0);
	struct bench *b = test->priv;
	struct smmuv3_refusal why;
	u32 i, reason;
	int rc;

	attach_all(test);
	EXPECT_RESULT(test, run_ring(b, 0, 1, 0), -ENXIO, 0, NONE, NO_REGS, 0);
	scoped_guard(mutex, &b->v->queue_lock)
		KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_install_ste(b->v, VSID, ste, &reason), 0);
	b->regs.cr0 = CR0_SMMUEN;
	put_all_stes(test, STE_S1_AT(1), 0);
	must_set_regs(test);
	EXPECT_RESULT(test, run_ring(b, 0, 1, 0), -EINVAL, 0, NONE, CMDQ_DISABLED, 0);
	b->mock->log_num = 0;
	scoped_guard(mutex, &b->v->queue_lock)
		rc = smmuv3_vsmmu_install_ste(b->v, VSID, ste, &reason);
	KUNIT_EXPECT_EQ(test, rc, -EBUSY);
	KUNIT_EXPECT_EQ(test, reason, REASON(TABLE_MODE));
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.kind, KIND(S1));

	/* A stream that comes later has its STE at once, or does not come. */
	detach(test, 1);
	mock_fail(b->mock, MOCK_ATTACH, 1, 1, -EBUSY);
	KUNIT_EXPECT_EQ(test, attach(b, 1, &why), -EBUSY);
	KUNIT_EXPECT_EQ(test, why.reason, REASON(RETRY));
	KUNIT_EXPECT_NULL(test, stream_at(b, 1));
	KUNIT_EXPECT_EQ(test, attach(b, 1, &why), 0);
	KUNIT_EXPECT_EQ(test, stream_at(b, 1)->ste.kind, KIND(S1));

	/* All abort, and nothing of what the guest set is left; then a host that fails */
	for (i = 0; i < 2; i++) {
		b->mock->log_num = 0;
		mock_fail(b->mock, MOCK_INVALIDATE, 1, 2 * i, -ENOMEM);
		scoped_guard(mutex, &b->v->queue_lock)
			rc = smmuv3_vsmmu_reset(b->v, &reason);
		KUNIT_EXPECT_EQ(test, rc, i ? -ENOMEM : 0);
		b->mock->fail_num = 0;
		KUNIT_EXPECT_EQ(test, stream_at(b, 3)->ste.kind, KIND(ABORT));
		KUNIT_EXPECT_EQ(test, stream_at(b, 3)->ste.reason, REASON(NO_STE));
		if (!i)
			expect_seen(test, &flush, 1);
		EXPECT_RESULT(test, run_ring(b, 0, 1, 0), -ENXIO, 0, NONE, NO_REGS, 0);
		must_set_regs(test);
		KUNIT_EXPECT_EQ(test, stream_at(b, 3)->ste.kind, KIND(S1));
	}
	KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
	scoped_guard(mutex, &b->v->queue_lock)
		smmuv3_vsmmu_reset(b->v, &reason);
	scoped_guard(mutex, &b->v->queue_lock)
		KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_install_ste(b->v, VSID, ste, &reason), 0);
}

/* The least that a guest may be told, but for the sizes that these tests use */
static const u32 min_idr[6] = {
	IDR0_S1P | IDR0_COHACC | FIELD_PREP_CONST(IDR0_TTF, 2) |
	FIELD_PREP_CONST(IDR0_STALL_MODEL, STALL_MODEL_TERMINATE),
	FIELD_PREP_CONST(IDR1_CMDQS, CMDQS_MAX) |
	FIELD_PREP_CONST(IDR1_SIDSIZE, 32),
	0, 0, 0, BIT(4),
};

static int set_idr(struct bench *b, u32 reg, u32 flip, struct smmuv3_refusal *why)
{
	u32 idr[6];

	memcpy(idr, min_idr, sizeof(idr));
	idr[reg] ^= flip;
	*why = (struct smmuv3_refusal){};
	guard(mutex)(&b->v->lock);
	guard(mutex)(&b->v->queue_lock);
	return smmuv3_vsmmu_set_idr(b->v, idr, why);
}

static void idr_set(struct kunit *test)
{
	struct bench *b = test->priv;
	const struct cmd wide = cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, 0x100), 0);
	struct smmuv3_refusal why;
	int i;

	for (i = 0; i < MOCK_SMMUS; i++) {
		b->mock->smmu[i].idr[0] |= IDR0_TTF;
		b->mock->smmu[i].idr[1] |= FIELD_PREP(IDR1_SIDSIZE, 32);
		b->mock->smmu[i].idr[5] |= BIT(4);
	}
	b->mock->smmu[1].idr[0] &= ~IDR0_ASID16;

	/* Refused at once: nobody may be told, or no SMMU of this vSMMU can */
	KUNIT_EXPECT_EQ(test, set_idr(b, 0, IDR0_S2P, &why), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, why.reason, REASON(IDR));
	KUNIT_EXPECT_EQ(test, why.bad_idr, 0);
	KUNIT_EXPECT_EQ(test, why.bad_mask, IDR0_S2P);
	KUNIT_EXPECT_FALSE(test, b->v->idr_set);

	/* Later, when a device comes whose SMMU lacks it */
	KUNIT_EXPECT_EQ(test, set_idr(b, 0, IDR0_ASID16, &why), 0);
	KUNIT_EXPECT_EQ(test, attach(b, 2, &why), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, why.reason, REASON(IDR));
	KUNIT_EXPECT_EQ(test, why.bad_idr, 0);
	KUNIT_EXPECT_EQ(test, why.bad_mask, IDR0_ASID16);
	KUNIT_EXPECT_EQ(test, mock_state(b->mock).held[4], 0);
	KUNIT_EXPECT_EQ(test, attach(b, 0, &why), 0);
	set_cmdq(test, 4);
	EXPECT_DONE(test, run_ring(b, 0, 0, 0), 0);

	/* Fixed while a stream is attached, and for good once a command ran */
	KUNIT_EXPECT_EQ(test, set_idr(b, 0, 0, &why), -EBUSY);
	KUNIT_EXPECT_EQ(test, why.reason, REASON(FROZEN));
	KUNIT_EXPECT_TRUE(test, b->v->caps.asid16);
	detach(test, 0);
	KUNIT_EXPECT_EQ(test, set_idr(b, 1, FIELD_PREP_CONST(IDR1_SSIDSIZE, 9), &why),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, why.bad_idr, 1);
	KUNIT_EXPECT_EQ(test, why.bad_mask, IDR1_SSIDSIZE);
	KUNIT_EXPECT_EQ(test, set_idr(b, 1, FIELD_PREP_CONST(IDR1_SSIDSIZE, 4), &why), 0);
	KUNIT_EXPECT_EQ(test, attach(b, 0, &why), 0);
	KUNIT_EXPECT_EQ(test, attach(b, 2, &why), 0);

	/* It is what counts, whatever the SMMU has. */
	EXPECT_RESULT(test, RUN(test, wide), 0, 0, ILL, CMD_RESERVED, 0);
	EXPECT_RESULT(test, RUN(test, va(1), wide), 0, 1, ILL, CMD_RESERVED, 0);
	EXPECT_RESULT(test, RUN(test, atc(VSID, 1)), 0, 0, ILL, CMD_NO_ATS, 0);
	put_ste(test, VSID, STE_S1_AT(1) | FIELD_PREP(STE_0_S1CDMAX, 4), STE_ATS);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.data[1], 0);
	put_ste(test, VSID, STE_S1_AT(1) | FIELD_PREP(STE_0_S1CDMAX, 5), 0);
	EXPECT_RESULT(test, RUN(test, cfgi_ste(VSID)), 0, 1, NONE, NONE,
		      SMMUV3_ACCEL_RUN_BAD_STE);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->ste.reason, REASON(STE_S1CDMAX));
	detach(test, 0);
	detach(test, 2);
	KUNIT_EXPECT_EQ(test, set_idr(b, 0, 0, &why), -EBUSY);
	KUNIT_EXPECT_EQ(test, why.reason, REASON(FROZEN));
}

#define VSID_FEED	0x40	/* of no device of the host's */

static void attach_feed(struct kunit *test, u32 kind)
{
	struct smmuv3_refusal why = {};
	struct bench *b = test->priv;
	int rc;

	scoped_guard(mutex, &b->v->lock)
		rc = smmuv3_vsmmu_attach(b->v, -1, VSID_FEED, kind, NULL, &why);
	KUNIT_ASSERT_EQ(test, rc, 0);
}

static void detach_feed(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 reason;

	guard(mutex)(&b->v->lock);
	KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_detach(b->v, VSID_FEED, &reason), 0);
}

static bool concerns_feed(const struct cmd *c)
{
	u64 cmd0 = le64_to_cpu(c->w[0]);

	switch (FIELD_GET(CMD_0_OP, cmd0)) {
	case CMD_TLBI_NH_ALL:
	case CMD_TLBI_NH_ASID:
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
	case CMD_TLBI_NSNH_ALL:
	case CMD_CFGI_STE_RANGE:
		return true;
	case CMD_CFGI_STE:
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
	case CMD_ATC_INV:
		return FIELD_GET(CMD_0_SID, cmd0) == VSID_FEED;
	default:
		return false;
	}
}

/* The feed is what it must be of those commands that are done. */
static void expect_fed(struct kunit *test, struct result r, u32 room)
{
	struct bench *b = test->priv;
	u32 i, num = 0;

	for (i = 0; i < r.done; i++)
		if (concerns_feed(&b->cmds[i]))
			b->want[num++] = b->cmds[i];
	KUNIT_EXPECT_EQ(test, !!(r.flags & SMMUV3_ACCEL_RUN_FEED_OVERFLOW), num > room);
	KUNIT_ASSERT_EQ(test, r.feed_num, min(num, room));
	KUNIT_ASSERT_EQ(test, copy_from_user(b->fed, b->umem + RING_MAX + TABLE_LEN,
					     sizeof(b->fed)), 0);
	KUNIT_EXPECT_MEMEQ(test, b->fed, b->want, r.feed_num * CMD_LEN);
	/* Nothing is written behind it. */
	for (i = r.feed_num; i < MAX_RUN; i++)
		KUNIT_ASSERT_TRUE(test, !b->fed[i].w[0] && !b->fed[i].w[1]);
}

static struct result run_fed(struct kunit *test, u32 cons, u32 num, u32 room)
{
	struct bench *b = test->priv;
	void __user *feed = b->umem + RING_MAX + TABLE_LEN;

	KUNIT_ASSERT_EQ(test, clear_user(feed, FEED_LEN), 0);
	put_ring(test, cons, b->cmds, num);
	return run_ring_feed(b, cons, num, 0, feed, room);
}

static struct cmd random_cmd(struct bench *b)
{
	static const u32 sids[] = { VSID, VSID_OTHER, VSID_FEED, VSID_FEED, 0x77 };
	u32 sid = sids[dice(b, ARRAY_SIZE(sids))];

	switch (dice(b, IS_ENABLED(CONFIG_PCI_ATS) ? 16 : 14)) {
	case 0:
		return cmd(CMD_TLBI_NH_ALL, 0);
	case 1:
		return cmd(CMD_TLBI_NSNH_ALL, 0);
	case 2:
		return cmd(CMD_TLBI_NH_ASID | FIELD_PREP(TLBI_0_ASID, 7), 0);
	case 3:
		return cmd(CMD_TLBI_NH_VAA, dice(b, 8) << 12);
	case 4:
		return cfgi_ste(sid);
	case 5:
		return cfgi_range(sid, dice(b, 2) ? CFGI_RANGE_ALL : dice(b, 8));
	case 6:
		return cd(sid, dice(b, 4));
	case 7:
		return cd_all(sid);
	case 8:
		return sync(0);
	case 9:
		return cmd(CMD_PREFETCH_ADDR | FIELD_PREP(CMD_0_SID, sid), 0);
	case 14 ... 15:
		return atc(sid, dice(b, 4));
	default:
		return va(dice(b, 8));
	}
}

/* The mock's log is short, so a CFGI that reads many STEs comes seldom. */
static void feed(struct kunit *test)
{
	u32 round, num, i, need, room, errors = 0;
	struct bench *b = test->priv;
	struct result r;

	put_all_stes(test, STE_BYPASS, 0);
	put_ste(test, VSID_FEED, STE_S1_AT(1), 0);
	attach_all(test);
	set_cmdq(test, 13);
	/* Nobody to be fed yet */
	b->cmds[0] = va(1);
	r = run_fed(test, 0, 1, MAX_RUN);
	KUNIT_EXPECT_EQ(test, r.feed_num, 0);
	KUNIT_EXPECT_EQ(test, r.flags, 0);

	attach_feed(test, SMMUV3_ACCEL_ATTACH_FEED);
	for (round = 0; round < 200; round++) {
		bool plain = round % 50 == 0;

		num = plain ? MAX_RUN : 1 + dice(b, 40);
		for (i = 0; i < num; i++)
			b->cmds[i] = plain ? va(dice(b, 4)) : random_cmd(b);
		if (!(round % 5))
			b->cmds[dice(b, num)] = bad(round);
		r = run_fed(test, dice(b, 1 << 14), num, MAX_RUN);
		KUNIT_EXPECT_EQ(test, r.rc, 0);
		KUNIT_EXPECT_EQ(test, r.error == SMMUV3_ACCEL_CERROR_ILL, r.done < num);
		errors += r.done < num;
		expect_fed(test, r, MAX_RUN);

		need = r.feed_num;
		for (i = 0; i < 4; i++) {
			room = i ? need + i - 2 : 0;
			if (room > MAX_RUN)
				continue;
			expect_fed(test, run_fed(test, 3, num, room), room);
		}
	}
	KUNIT_EXPECT_GT(test, errors, 10);

	/* As soon as nobody is left */
	detach_feed(test);
	b->cmds[0] = va(1);
	r = run_fed(test, 0, 1, MAX_RUN);
	KUNIT_EXPECT_EQ(test, r.feed_num, 0);
}

/* Where the host or a device fails: what is done, and that only */
static void feed_fails(struct kunit *test)
{
	const struct cmd cmds[] = {
		va(1), cfgi_ste(VSID), va(2), cd(VSID_FEED, 0), sync(0), va(3), sync(1),
	};
	struct bench *b = test->priv;
	struct result r;
	u32 at;

	put_all_stes(test, STE_S1_AT(1), STE_ATS);
	put_ste(test, VSID_FEED, STE_S1_AT(1), 0);
	attach_all(test);
	set_cmdq(test, 4);
	attach_feed(test, SMMUV3_ACCEL_ATTACH_FEED);
	memcpy(b->cmds, cmds, sizeof(cmds));
	for (at = 1;; at++) {
		mock_fail(b->mock, MOCK_INVALIDATE, at, 2, -ENOMEM);
		r = run_fed(test, 12, ARRAY_SIZE(cmds), MAX_RUN);
		b->mock->fail_num = 0;
		expect_fed(test, r, MAX_RUN);
		if (!b->mock->failed)
			break;
		KUNIT_EXPECT_EQ(test, r.rc, -ENOMEM);
		KUNIT_EXPECT_LT(test, r.done, 3);
	}
	KUNIT_EXPECT_EQ(test, r.rc, 0);
	KUNIT_EXPECT_EQ(test, r.done, ARRAY_SIZE(cmds));
	/* The first segment and the second on two SMMUs, and the CDs between them */
	KUNIT_EXPECT_EQ(test, at, 6);

	if (!IS_ENABLED(CONFIG_PCI_ATS))
		return;
	b->cmds[3] = atc(VSID, 1);
	mock_fail(b->mock, MOCK_INVALIDATE, 6, 1, -ETIMEDOUT);
	r = run_fed(test, 12, ARRAY_SIZE(cmds), MAX_RUN);
	EXPECT_RESULT(test, r, 0, 4, ATC_INV_SYNC, ATC_TIMEOUT, 0);
	expect_fed(test, r, MAX_RUN);
}

/* What the VMM cannot be told of is not done, and nothing is said about it. */
static void feed_unwritable(struct kunit *test)
{
	struct bench *b = test->priv;
	void __user *bad_feed = (void __user *)16;
	u64 cmds;
	u32 i;

	attach_all(test);
	set_cmdq(test, 13);
	attach_feed(test, SMMUV3_ACCEL_ATTACH_FEED);
	EXPECT_DONE(test, RUN(test, sync(0), cd_all(VSID)), 2);
	put_ring(test, 0, (const struct cmd[]){ va(1), sync(1), bad(1) }, 3);
	/* Where nothing is to be written the address does not matter. */
	EXPECT_RESULT(test, run_ring_feed(b, 1, 1, 0, bad_feed, 9), 0, 1, NONE, NONE,
		      SMMUV3_ACCEL_RUN_SYNC_IRQ);
	EXPECT_RESULT(test, run_ring_feed(b, 0, 3, 0, bad_feed, 0), 0, 2, ILL, CMD_OPCODE,
		      SMMUV3_ACCEL_RUN_SYNC_IRQ | SMMUV3_ACCEL_RUN_FEED_OVERFLOW);
	cmds = b->v->stats.out_cmds;
	EXPECT_RESULT(test, run_ring_feed(b, 0, 2, 0, bad_feed, 9), -EFAULT, 0, NONE, NONE, 0);
	EXPECT_RESULT(test, run_ring_feed(b, 0, 3, 0, bad_feed, 9), -EFAULT, 0, NONE, NONE, 0);
	KUNIT_EXPECT_EQ(test, b->v->stats.out_cmds, cmds);
	KUNIT_EXPECT_EQ(test, b->v->stats.out_cmd_errors, 1);

	/* The first batch could be told, the second not. */
	for (i = 0; i < SMMUV3_HOST_MAX_BATCH + 9; i++)
		b->cmds[i] = i == 5 ? sync(1) : va(i);
	put_ring(test, 0, b->cmds, i);
	EXPECT_RESULT(test, run_ring_feed(b, 0, i, 0, b->umem + UMEM_LEN -
					  (SMMUV3_HOST_MAX_BATCH - 1) * CMD_LEN, MAX_RUN),
		      -EFAULT, SMMUV3_HOST_MAX_BATCH, NONE, NONE, SMMUV3_ACCEL_RUN_SYNC_IRQ);
}

/* Nor is it said which stream was refused. */
static void feed_unwritable_refused(struct kunit *test)
{
	struct bench *b = test->priv;
	struct result r;

	start(test);
	attach_feed(test, SMMUV3_ACCEL_ATTACH_FEED);
	mock_vmm_destroy(b->mock, stream_at(b, 0)->vdevice_id);
	put_ring(test, 0, (const struct cmd[]){ va(1), cd(VSID, 1), sync(0) }, 3);
	r = run_ring_feed(b, 0, 3, 0, (void __user *)16, 9);
	EXPECT_RESULT(test, r, -EFAULT, 0, NONE, NONE, 0);
	KUNIT_EXPECT_EQ(test, r.vsid, 0);
	r = run_ring_feed(b, 0, 3, 0, b->umem + UMEM_LEN - 9 * CMD_LEN, 9);
	EXPECT_RESULT(test, r, -EIO, 1, NONE, HOST_REJECT, 0);
	KUNIT_EXPECT_EQ(test, r.vsid, VSID);
	KUNIT_EXPECT_EQ(test, r.feed_num, 1);
}

/* What its CMD_SYNC says of an ATC_INV is said when the feed can be written. */
static void feed_unwritable_atc(struct kunit *test)
{
	struct bench *b = test->priv;

	if (!IS_ENABLED(CONFIG_PCI_ATS))
		kunit_skip(test, "no ATS");
	start(test);
	attach_feed(test, SMMUV3_ACCEL_ATTACH_FEED);
	put_ring(test, 0, (const struct cmd[]){ va(1), atc(VSID, 1), sync(0) }, 3);
	/* After the TLBI on both SMMUs */
	mock_fail(b->mock, MOCK_INVALIDATE, 3, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, run_ring_feed(b, 0, 3, 0, (void __user *)16, 9), -EFAULT, 0,
		      NONE, NONE, 0);
	KUNIT_EXPECT_EQ(test, b->mock->failed, 1);
	EXPECT_RESULT(test, run_ring_feed(b, 0, 3, 0, b->umem + UMEM_LEN - 9 * CMD_LEN, 9), 0, 2,
		      ATC_INV_SYNC, ATC_TIMEOUT, 0);
}

/* Each SMMU's unchanged streams in one call of the host, those and no others */
static void stale_cds(struct kunit *test)
{
	const struct cmd all[] = {
		cd_all(VSID), cd_all(VSID_NEXT), cd_all(VSID_OTHER), cd_all(VSID_LAST),
	};
	struct bench *b = test->priv;
	struct mock_call *call = b->mock->log;
	u32 i;

	attach_feed(test, SMMUV3_ACCEL_ATTACH_BRIDGE);
	put_ste(test, VSID_FEED, STE_S1_AT(1), 0);
	start(test);
	for (i = 0; i < 2; i++) {
		EXPECT_DONE(test, RUN(test, cfgi_range(0, i ? CFGI_RANGE_ALL : 7)), 1);
		KUNIT_ASSERT_EQ(test, b->mock->log_num, 2);
		collect(test, 0);
		KUNIT_ASSERT_EQ(test, b->seen_num, 2);
		KUNIT_EXPECT_MEMEQ(test, b->seen, all, 2 * CMD_LEN);
		collect(test, 1);
		KUNIT_ASSERT_EQ(test, b->seen_num, 2);
		KUNIT_EXPECT_MEMEQ(test, b->seen, all + 2, 2 * CMD_LEN);
	}

	/* Those that changed are not among them, nor those that do not translate. */
	put_ste(test, VSID, STE_S1_AT(2), STE_ATS);
	put_ste(test, VSID_LAST, STE_BYPASS, 0);
	EXPECT_DONE(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), 1);
	collect(test, 0);
	KUNIT_ASSERT_EQ(test, b->seen_num, 1);
	KUNIT_EXPECT_MEMEQ(test, b->seen, &all[1], CMD_LEN);
	collect(test, 1);
	KUNIT_ASSERT_EQ(test, b->seen_num, 1);
	KUNIT_EXPECT_MEMEQ(test, b->seen, &all[2], CMD_LEN);
	put_ste(test, VSID_LAST, STE_S1_AT(1), 0);
	EXPECT_DONE(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), 1);

	/* The second SMMU's fail, twice, and come with whatever CFGI is next. */
	mock_fail(b->mock, MOCK_INVALIDATE, 2, 2, -ENOMEM);
	EXPECT_RESULT(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), -ENOMEM, 0, NONE, RETRY, 0);
	KUNIT_EXPECT_EQ(test, b->mock->failed, 2);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	KUNIT_ASSERT_EQ(test, b->mock->log_num, 2);
	collect(test, 0);
	KUNIT_ASSERT_EQ(test, b->seen_num, 1);
	KUNIT_EXPECT_MEMEQ(test, b->seen, &all[0], CMD_LEN);
	collect(test, 1);
	KUNIT_ASSERT_EQ(test, b->seen_num, 2);
	KUNIT_EXPECT_MEMEQ(test, b->seen, all + 2, 2 * CMD_LEN);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 1);

	/* The same again does it all; a stream that is gone meanwhile is left out. */
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), -ENOMEM, 0, NONE,
		      RETRY, 0);
	detach(test, 3);
	put_ste(test, VSID, 0, 0);
	EXPECT_DONE(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), 1);
	collect(test, 0);
	KUNIT_ASSERT_EQ(test, b->seen_num, 1);
	KUNIT_EXPECT_MEMEQ(test, b->seen, &all[1], CMD_LEN);
	collect(test, 1);
	KUNIT_ASSERT_EQ(test, b->seen_num, 1);
	KUNIT_EXPECT_MEMEQ(test, b->seen, &all[2], CMD_LEN);

	/* With the erratum each call is made twice. */
	for (i = 0; i < STREAMS - 1; i++)
		stream_at(b, i)->phys->info.flags = ERRATUM;
	EXPECT_DONE(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), 1);
	KUNIT_ASSERT_EQ(test, b->mock->log_num, 4);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, call[i].smmu, i / 2);
}

static int change(struct smmuv3_vsmmu *v, int iommufd, u32 *reason)
{
	guard(mutex)(&v->lock);
	guard(mutex)(&v->queue_lock);
	return smmuv3_vsmmu_change_process(v, iommufd, reason);
}

/* Live update: the process that took the descriptors over has its own memory. */
static void change_process(struct kunit *test)
{
	struct bench *b = test->priv;
	struct smmuv3_vsmmu *v = b->v;
	u32 hwpt_id[STREAMS], i, num, reason;
	int rc;

	start(test);
	b->cmds[0] = va(1);
	b->cmds[1] = sync(1);
	put_ring(test, 0, b->cmds, 2);
	for (i = 0; i < STREAMS; i++)
		hwpt_id[i] = stream_at(b, i)->hwpt_id;

	/* To the process that has it nothing happens, whichever iommufd it shows. */
	num = v->mem.num;
	KUNIT_EXPECT_EQ(test, change(v, MOCK_IOMMUFD, &reason), 0);
	KUNIT_EXPECT_EQ(test, change(v, 0, &reason), -EINVAL);
	KUNIT_EXPECT_EQ(test, reason, REASON(OTHER_IOMMUFD));
	KUNIT_EXPECT_EQ(test, v->mem.num, num);
	/* Nor to another one that shows another iommufd, or lacks memory. */
	mock_set_reachable(b->mock, false);
	for (i = 0; i < 2; i++) {
		mock_fail(b->mock, MOCK_CHANGE_PROCESS, 1, i, -ENOMEM);
		rc = change(v, i ? MOCK_IOMMUFD : 0, &reason);
		b->mock->fail_num = 0;
		KUNIT_EXPECT_EQ(test, rc, i ? -ENOMEM : -EINVAL);
		KUNIT_EXPECT_EQ(test, reason, i ? REASON(NO_ROOM) : REASON(OTHER_IOMMUFD));
		KUNIT_EXPECT_EQ(test, v->mem.num, num);
		KUNIT_EXPECT_NOT_NULL(test, (__force void *)v->cmdq_uaddr);
		scoped_guard(mutex, &v->lock)
			KUNIT_EXPECT_EQ(test, smmuv3_check(v, &reason), -EIO);
	}
	/* Whose it was has all as it was. */
	mock_set_reachable(b->mock, true);
	EXPECT_RESULT(test, run_ring(b, 0, 2, 0), 0, 2, NONE, NONE, SMMUV3_ACCEL_RUN_SYNC_IRQ);

	mock_set_reachable(b->mock, false);
	b->mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, change(v, MOCK_IOMMUFD, &reason), 0);
	KUNIT_EXPECT_EQ(test, reason, REASON(NONE));
	KUNIT_EXPECT_EQ(test, b->mock->log_num, 1);
	KUNIT_EXPECT_EQ(test, mock_count(b->mock, MOCK_CHANGE_PROCESS), 1);
	for (i = 0; i < STREAMS; i++) {
		KUNIT_EXPECT_EQ(test, stream_at(b, i)->hwpt_id, hwpt_id[i]);
		KUNIT_EXPECT_EQ(test, stream_at(b, i)->ste.kind, KIND(S1));
		KUNIT_EXPECT_EQ(test, b->mock->devs[fds[i]].hwpt_id, hwpt_id[i]);
	}

	/* Addresses of the old process mean nothing here, the queue's included. */
	KUNIT_EXPECT_EQ(test, v->mem.num, 0);
	for (i = 1; i <= 2; i++) {
		EXPECT_RESULT(test, run_ring(b, 0, i, 0), 0, 0, ABT, CMD_UNREADABLE, 0);
		KUNIT_EXPECT_EQ(test, b->mock->log_num, 0);
	}
	set_whole_mem(test);
	EXPECT_RESULT(test, run_ring(b, 0, 2, 0), 0, 2, NONE, NONE, SMMUV3_ACCEL_RUN_SYNC_IRQ);
	expect_seen(test, b->cmds, 1);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->hwpt_id, hwpt_id[0]);
}

/* Somebody who waits is let in if there is much to do: between batches, or STEs. */
static void ring_waiters(struct kunit *test)
{
	const u32 stes = DIV_ROUND_UP(SMMUV3_MANY_STES, STREAMS);
	const u32 max = 8 * SMMUV3_HOST_MAX_BATCH;
	struct bench *b = test->priv;
	u32 i;

	start(test);
	set_cmdq(test, 16);
	for (i = 0; i < MAX_RUN; i++)
		b->cmds[i] = va(i);
	for (i = 0; i < 4; i++)
		put_ring(test, i * MAX_RUN, b->cmds, MAX_RUN);
	KUNIT_ASSERT_GT(test, 4 * MAX_RUN, max);
	EXPECT_DONE(test, run_ring(b, 0, 4 * MAX_RUN, 0), 4 * MAX_RUN);
	atomic_set(&b->v->waiters, 1);
	EXPECT_DONE(test, run_ring(b, 0, 4 * MAX_RUN, 0), max);
	EXPECT_DONE(test, run_ring(b, max, 4 * MAX_RUN - max, 0), 4 * MAX_RUN - max);

	for (i = 0; i < 2 * stes; i++)
		b->cmds[i] = cfgi_range(0, CFGI_RANGE_ALL);
	b->cmds[2 * stes] = sync(SYNC_CS_IRQ);
	put_ring(test, 0, b->cmds, 2 * stes + 1);
	EXPECT_DONE(test, run_ring(b, 0, stes - 1, 0), stes - 1);
	EXPECT_DONE(test, run_ring(b, 0, 2 * stes + 1, 0), stes);
	EXPECT_RESULT(test, run_ring(b, stes + 1, stes, 0), 0, stes, NONE, NONE,
		      SMMUV3_ACCEL_RUN_SYNC_IRQ);
	/* A failure is reported all the same. */
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, run_ring(b, 0, 2 * stes, 0), -ENOMEM, 0, NONE, RETRY, 0);
	put_ring(test, stes, (const struct cmd[]){ bad(1) }, 1);
	EXPECT_DONE(test, run_ring(b, 0, 2 * stes, 0), stes);
	EXPECT_RESULT(test, run_ring(b, stes, stes, 0), 0, 0, ILL, CMD_OPCODE, 0);
	atomic_set(&b->v->waiters, 0);
	EXPECT_RESULT(test, run_ring(b, 0, 2 * stes, 0), 0, stes, ILL, CMD_OPCODE, 0);
}

/* A run that has evaluated so many STEs ends before a command that asks for more. */
static void ring_ste_budget(struct kunit *test)
{
	const u32 budget = DIV_ROUND_UP(SMMUV3_MAX_STES, STREAMS);
	struct bench *b = test->priv;
	u32 i;

	put_all_stes(test, STE_BYPASS, 0);
	attach_all(test);
	set_cmdq(test, 13);
	KUNIT_ASSERT_GT(test, MAX_RUN, 3 * budget);
	for (i = 0; i < MAX_RUN; i++)
		b->cmds[i] = cfgi_range(0, CFGI_RANGE_ALL);
	EXPECT_DONE(test, run(test, 0, b->cmds, budget - 1), budget - 1);
	EXPECT_DONE(test, run(test, 0, b->cmds, budget + 1), budget);
	/* Each run starts at none, and any STE command counts. */
	EXPECT_DONE(test, run(test, 0, b->cmds, MAX_RUN), budget);
	for (i = 0; i < 3; i++)
		b->cmds[i] = cfgi_ste(VSID);
	EXPECT_DONE(test, run(test, 0, b->cmds, MAX_RUN), budget + 3);
	b->cmds[0] = va(1);
	for (i = 1; i < 3; i++)
		b->cmds[i] = cfgi_ste(0x55);
	EXPECT_DONE(test, run(test, 0, b->cmds, MAX_RUN), budget + 3);
	/* With SMMUEN clear none is read. */
	b->regs.cr0 = CR0_CMDQEN;
	must_set_regs(test);
	EXPECT_DONE(test, run(test, 0, b->cmds, MAX_RUN), MAX_RUN);
}

/* Table mode with ATS for all streams and a long queue */
static void start_ats(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		kunit_skip(test, "no ATS");
	start(test);
	set_cmdq(test, 12);
}

/*
 * A device that does not answer costs one call of the host. Its streams abort, and
 * those that were not in that call go on.
 */
static void atc_timeout(struct kunit *test)
{
	const u32 num = SMMUV3_HOST_MAX_BATCH;
	struct bench *b = test->priv;
	struct cmd *cmds = b->cmds;
	u32 i;

	start_ats(test);
	for (i = 0; i < num - 2; i++)
		cmds[i] = atc(VSID, i);
	cmds[num - 2] = atc(VSID_OTHER, 1);
	cmds[num - 1] = sync(SYNC_CS_IRQ);
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, run(test, 0, cmds, num), 0, num - 1, ATC_INV_SYNC, ATC_TIMEOUT, 0);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_ATTACH, MOCK_DESTROY, MOCK_INVALIDATE);
	KUNIT_EXPECT_EQ(test, b->mock->log[0].num, num - 2);
	KUNIT_EXPECT_EQ(test, b->mock->log[3].smmu, 1);
	KUNIT_EXPECT_EQ(test, b->mock->log[3].num, 1);
	expect_aborts(test, 0, REASON(ATC_TIMEOUT));
	for (i = 1; i < STREAMS; i++)
		expect_s1(test, i, 1);

	/* Once. What aborts has no ATC entries. */
	EXPECT_RESULT(test, run_ring(b, num - 1, 1, 0), 0, 1, NONE, NONE,
		      SMMUV3_ACCEL_RUN_SYNC_IRQ);
	EXPECT_DONE(test, RUN(test, atc(VSID, 1), atc(VSID_NEXT, 1), sync(0)), 3);
	EXPECT_OPS(test, MOCK_INVALIDATE);
	KUNIT_EXPECT_EQ(test, b->mock->log[0].num, 1);
	/* Its next STE, the same as before, brings it back. */
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID), atc(VSID, 1), sync(0)), 3);
	EXPECT_OPS(test, MOCK_ALLOC + MOCK_NESTED, MOCK_ATTACH, MOCK_INVALIDATE);
	expect_s1(test, 0, 1);

	/* Both of a call; it is said when there is a CMD_SYNC. */
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_DONE(test, RUN(test, atc(VSID, 1), atc(VSID_NEXT, 1), atc(VSID, 2)), 3);
	expect_aborts(test, 0, REASON(ATC_TIMEOUT));
	expect_aborts(test, 1, REASON(ATC_TIMEOUT));
	expect_s1(test, 2, 1);
	EXPECT_DONE(test, RUN(test, va(1)), 1);
	EXPECT_RESULT(test, RUN(test, va(1), sync(0)), 0, 1, ATC_INV_SYNC, ATC_TIMEOUT, 0);
	EXPECT_DONE(test, RUN(test, va(1), sync(0)), 2);
	/* Registers that say the same are no STE. */
	must_set_regs(test);
	expect_aborts(test, 0, REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), 1);
	for (i = 0; i < STREAMS; i++)
		expect_s1(test, i, 1);
}

/* DMA is blocked even if the domain that aborts cannot be attached. */
static void atc_timeout_abort_fails(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 reason;

	start_ats(test);
	mock_fail(b->mock, MOCK_ANY, 1, 2, -ETIMEDOUT);
	EXPECT_RESULT(test, RUN(test, atc(VSID, 1), sync(0)), 0, 1, ATC_INV_SYNC, ATC_TIMEOUT, 0);
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_ATTACH, MOCK_DETACH, MOCK_DESTROY);
	KUNIT_EXPECT_EQ(test, stream_at(b, 0)->hwpt_id, 0);
	expect_aborts(test, 0, REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	expect_s1(test, 0, 1);

	/* A reset guest is told nothing of it. */
	mock_fail(b->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_DONE(test, RUN(test, atc(VSID, 1)), 1);
	scoped_guard(mutex, &b->v->queue_lock)
		KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_reset(b->v, &reason), 0);
	expect_aborts(test, 0, REASON(NO_STE));
	must_set_regs(test);
	EXPECT_DONE(test, RUN(test, sync(0)), 1);
	expect_s1(test, 0, 1);
}

/* Other commands that time out are for the VMM to try again: nobody aborts. */
static void other_timeout(struct kunit *test)
{
	struct bench *b = test->priv;
	u32 i, n;

	start_ats(test);
	for (n = 0; n < 3; n++) {
		const struct cmd cmds[] = {
			n ? cd(VSID, 1) : va(1), n ? va(1) : va(2), atc(VSID, 1), sync(0),
		};

		/* TLBIs, CDs, and TLBIs again on the second SMMU */
		mock_fail(b->mock, MOCK_INVALIDATE, n == 2 ? 3 : 1, 1, -ETIMEDOUT);
		EXPECT_RESULT(test, run(test, 0, cmds, 4), -ETIMEDOUT, 0, NONE, RETRY, 0);
		KUNIT_EXPECT_EQ(test, b->mock->log_num, n == 2 ? 3 : 1);
		for (i = 0; i < STREAMS; i++)
			expect_s1(test, i, 1);
		EXPECT_DONE(test, run_ring(b, 0, 4, 0), 4);
	}
}

/* The VMM destroys the vDEVICE of stream number @at. */
static void kill_vdevice(struct kunit *test, int at)
{
	struct bench *b = test->priv;

	mock_vmm_destroy(b->mock, stream_at(b, at)->vdevice_id);
}

#define EXPECT_GIVEN(test, smmu, ...) do {				\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
	struct bench *__b = (test)->priv;				\
									\
	collect(test, smmu);						\
	KUNIT_ASSERT_EQ(test, __b->seen_num, ARRAY_SIZE(__cmds));	\
	KUNIT_EXPECT_MEMEQ(test, __b->seen, __cmds, sizeof(__cmds));	\
} while (0)

#define EXPECT_REFUSED(test, r, _done, _vsid) do {			\
	struct result __refused = (r);					\
									\
	EXPECT_RESULT(test, __refused, -EIO, _done, NONE, HOST_REJECT, 0); \
	KUNIT_EXPECT_EQ(test, __refused.vsid, _vsid);			\
} while (0)

/* What the host refuses of one stream does not hold up the others'. */
static void dead_stream(struct kunit *test)
{
	struct bench *b = test->priv;
	struct result r;

	start(test);
	kill_vdevice(test, 0);
	EXPECT_REFUSED(test, RUN(test, va(1), cd(VSID_NEXT, 1), sync(0), cd(VSID, 1),
				 cd(VSID_OTHER, 1), cd(VSID_NEXT, 2), va(2), sync(0)), 3, VSID);
	EXPECT_GIVEN(test, 0, cd(VSID_NEXT, 1), cd(VSID_NEXT, 2), va(1), va(2));
	EXPECT_GIVEN(test, 1, cd(VSID_OTHER, 1), va(1), va(2));
	/* It is refused in its own right as well, and no later segment is begun. */
	put_ste(test, VSID_OTHER, STE_S1_AT(2), 0);
	EXPECT_REFUSED(test, RUN(test, va(1), cd_all(VSID), cfgi_ste(VSID_OTHER)), 1, VSID);
	expect_s1(test, 2, 1);
	EXPECT_REFUSED(test, RUN(test, cd(VSID, 1), bad(1)), 0, VSID);
	/* What is before an STE command is done. */
	r = RUN(test, va(1), cfgi_ste(VSID_OTHER), va(2), cd(VSID, 1), va(3));
	EXPECT_REFUSED(test, r, 3, VSID);
	expect_s1(test, 2, 2);

	/* Two of them: the first command of either, whichever the host is asked for first */
	kill_vdevice(test, 1);
	kill_vdevice(test, 3);
	EXPECT_REFUSED(test, RUN(test, va(1), cd(VSID_OTHER, 1), cd(VSID_NEXT, 1), cd(VSID, 1),
				 cd(VSID_LAST, 1), cd(VSID_OTHER, 2)), 2, VSID_NEXT);
	EXPECT_GIVEN(test, 0, va(1));
	EXPECT_GIVEN(test, 1, cd(VSID_OTHER, 1), cd(VSID_OTHER, 2), va(1));
	EXPECT_REFUSED(test, RUN(test, va(1), cd(VSID_LAST, 1), cd(VSID, 1), cd(VSID_NEXT, 1)), 1,
		       VSID_LAST);

	/* Without them the rest runs. */
	detach(test, 0);
	detach(test, 1);
	EXPECT_REFUSED(test, run_ring(b, 0, 4, 0), 1, VSID_LAST);
	detach(test, 3);
	EXPECT_DONE(test, run_ring(b, 0, 4, 0), 4);
}

static void dead_stream_atc(struct kunit *test)
{
	struct bench *b = test->priv;

	start_ats(test);
	kill_vdevice(test, 0);
	/* Refused alone, by ATC_INVs alone */
	EXPECT_REFUSED(test, RUN(test, atc(VSID_NEXT, 1), va(1), atc(VSID, 1), atc(VSID_OTHER, 1),
				 sync(0)), 2, VSID);
	EXPECT_GIVEN(test, 0, va(1), atc(VSID_NEXT, 1));
	EXPECT_GIVEN(test, 1, va(1), atc(VSID_OTHER, 1));

	/* Another one, behind it, does not answer: calls 1 to 4 are refused. */
	mock_fail(b->mock, MOCK_INVALIDATE, 5, 1, -ETIMEDOUT);
	EXPECT_REFUSED(test, RUN(test, atc(VSID, 1), atc(VSID_NEXT, 1), sync(0)), 0, VSID);
	KUNIT_EXPECT_EQ(test, b->mock->failed, 1);
	expect_aborts(test, 1, REASON(ATC_TIMEOUT));
	expect_s1(test, 0, 1);
	/* The guest is told at the next CMD_SYNC that is carried out, once. */
	EXPECT_RESULT(test, RUN(test, sync(0)), 0, 0, ATC_INV_SYNC, ATC_TIMEOUT, 0);
	EXPECT_DONE(test, run_ring(b, 0, 1, 0), 1);
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID_NEXT)), 1);

	/* In front of it: the rest is not tried, so both abort. */
	mock_fail(b->mock, MOCK_INVALIDATE, 3, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, RUN(test, atc(VSID_NEXT, 1), sync(0), atc(VSID, 1)), 0, 1,
		      ATC_INV_SYNC, ATC_TIMEOUT, 0);
	expect_aborts(test, 0, REASON(ATC_TIMEOUT));
	expect_aborts(test, 1, REASON(ATC_TIMEOUT));
	EXPECT_DONE(test, run_ring(b, 1, 2, 0), 2);
}

/* CFGI_ALL over STEs that did not change: each stream's CDs but the dead one's */
static void dead_stream_ste(struct kunit *test)
{
	struct bench *b = test->priv;
	struct result r;

	start(test);
	kill_vdevice(test, 1);
	EXPECT_REFUSED(test, RUN(test, va(1), cfgi_range(0, CFGI_RANGE_ALL), va(2)), 1, VSID_NEXT);
	EXPECT_GIVEN(test, 0, va(1), cd_all(VSID));
	EXPECT_GIVEN(test, 1, va(1), cd_all(VSID_OTHER), cd_all(VSID_LAST));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&b->v->stale_cds), 1);

	/* It is nobody else's failure, though it is tried with whatever is next. */
	EXPECT_DONE(test, RUN(test, cfgi_ste(VSID)), 1);
	EXPECT_GIVEN(test, 0, cd_all(VSID));
	EXPECT_REFUSED(test, RUN(test, cfgi_ste(VSID_NEXT)), 0, VSID_NEXT);
	/* No STE that translates can be attached without one. */
	put_ste(test, VSID_NEXT, STE_S1_AT(2), 0);
	r = RUN(test, cfgi_ste(VSID_NEXT));
	EXPECT_RESULT(test, r, -EIO, 0, NONE, HOST_REJECT, 0);
	KUNIT_EXPECT_EQ(test, r.vsid, VSID_NEXT);
	expect_s1(test, 1, 1);
	put_ste(test, VSID_NEXT, STE_S1_AT(1), STE_ATS);
	/* Two of them, on two SMMUs */
	kill_vdevice(test, 2);
	EXPECT_REFUSED(test, RUN(test, cfgi_range(0, CFGI_RANGE_ALL)), 0, VSID_NEXT);
	EXPECT_GIVEN(test, 0, cd_all(VSID));
	EXPECT_GIVEN(test, 1, cd_all(VSID_LAST));
	detach(test, 1);
	detach(test, 2);
	EXPECT_DONE(test, RUN(test, va(1), cfgi_range(0, CFGI_RANGE_ALL), va(2)), 3);
	KUNIT_EXPECT_TRUE(test, list_empty(&b->v->stale_cds));
}

static struct kunit_case cmdq_cases[] = {
	KUNIT_CASE(ring_sizes),
	KUNIT_CASE(ring_max_cmds),
	KUNIT_CASE(ring_regions),
	KUNIT_CASE(ring_unreadable),
	KUNIT_CASE(ring_illegal),
	KUNIT_CASE(ring_sync_irq),
	KUNIT_CASE(ring_zero_copy),
	KUNIT_CASE(ring_random_order),
	KUNIT_CASE(ring_erratum),
	KUNIT_CASE(ste_order),
	KUNIT_CASE(ste_range),
	KUNIT_CASE(ste_bad),
	KUNIT_CASE(ste_fails),
	KUNIT_CASE(ste_killed),
	KUNIT_CASE(regs_evaluate),
	KUNIT_CASE(regs_fail),
	KUNIT_CASE(regs_fail_table),
	KUNIT_CASE(reset_fails),
	KUNIT_CASE_PARAM(attach_fails, attach_gen_params),
	KUNIT_CASE(modes),
	KUNIT_CASE(idr_set),
	KUNIT_CASE(feed),
	KUNIT_CASE(feed_fails),
	KUNIT_CASE(feed_unwritable),
	KUNIT_CASE(feed_unwritable_atc),
	KUNIT_CASE(feed_unwritable_refused),
	KUNIT_CASE(stale_cds),
	KUNIT_CASE(change_process),
	KUNIT_CASE(ring_waiters),
	KUNIT_CASE(ring_ste_budget),
	KUNIT_CASE(atc_timeout),
	KUNIT_CASE(atc_timeout_abort_fails),
	KUNIT_CASE(other_timeout),
	KUNIT_CASE(dead_stream),
	KUNIT_CASE(dead_stream_atc),
	KUNIT_CASE(dead_stream_ste),
	{}
};

static struct kunit_suite cmdq_suite = {
	.name = "smmuv3-accel-cmdq",
	.init = cmdq_test_init,
	.exit = cmdq_test_exit,
	.test_cases = cmdq_cases,
};

kunit_test_suites(&cmdq_suite);
