// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the fast path of doorbells: which doorbells take it, and that it does the
 * same as the general way.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "fixture.h"

#define QUEUE_LOG2	7
#define CD_GPA		(RING_GPA + CD_AREA)

/* Whether the last doorbell took the fast path: the general way counts its batches. */
static bool was_fast(struct fixture *f)
{
	bool is_fast = f->v->queue.run.batch_num == U32_MAX;

	f->v->queue.run.batch_num = U32_MAX;
	return is_fast;
}

/* Start with a device behind each of two physical SMMUs, or with one device only. */
static void start(struct kunit *test, bool both)
{
	struct fixture *f = test->priv;

	fx_put_all_stes(test, STE_S1_AT(CD_GPA >> 12), STE_ATS);
	fx_must_attach(test, f->v, .fd = 0, .vsid = VSID);
	if (both)
		fx_must_attach(test, f->v, .fd = 4, .vsid = VSID_OTHER);
	fx_set_cmdq(test, QUEUE_LOG2);
	if (f->v->offer.fixed)
		return;
	/* The first command fixes what the guest is offered: not by the fast path. */
	was_fast(f);
	EXPECT_DONE(test, RUN_CMDS(test, tlbi_va(1), sync()), 2);
	KUNIT_EXPECT_FALSE(test, was_fast(f));
}

#define EXPECT_FAST(test, fast, ...) do {				\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	was_fast((test)->priv);						\
	EXPECT_DONE(test, fx_run(test, .cmds = __cmds,			\
				 .num = ARRAY_SIZE(__cmds)), ARRAY_SIZE(__cmds)); \
	KUNIT_EXPECT_EQ(test, was_fast((test)->priv), fast);		\
} while (0)

static struct cmd with(struct cmd c, u64 word0, u64 word1)
{
	c.w[0] |= cpu_to_le64(word0);
	c.w[1] |= cpu_to_le64(word1);
	return c;
}

static void doorbells_that_fit(struct kunit *test)
{
	struct fixture *f = test->priv;
	int both;

	for (both = 0; both < 2; both++) {
		start(test, both);
		EXPECT_FAST(test, true, tlbi_va(1), sync());
		EXPECT_FAST(test, true, tlbi_va(1), sync_cs(2));
		EXPECT_FAST(test, true, tlbi_va(1), tlbi_va(2), sync());
		EXPECT_FAST(test, true, tlbi_va(5), tlbi_va(3), tlbi_va(1), sync());
		EXPECT_FAST(test, true, with(tlbi_va(0), 0, 1), with(tlbi_va(16), 0, 1), sync());
		/* What a driver sends with MSIs */
		EXPECT_FAST(test, true, tlbi_va(1), sync_msi(0, 0x1000, 5));

		EXPECT_FAST(test, false, sync());
		EXPECT_FAST(test, false, tlbi_va(1));
		EXPECT_FAST(test, false, tlbi_va(1), sync(), sync());
		EXPECT_FAST(test, false, sync(), tlbi_va(1), sync());
		EXPECT_FAST(test, false, tlbi_va(1), tlbi_va(1), sync());
		EXPECT_FAST(test, false, tlbi_va(1), tlbi_va(2), tlbi_va(4), sync());
		EXPECT_FAST(test, false, tlbi_all(), sync());
		EXPECT_FAST(test, false, cfgi_cd(VSID, 0), sync());
		fx_must_detach(test, f->v, VSID);
		if (both)
			fx_must_detach(test, f->v, VSID_OTHER);
	}
}

/* A range that the host accepts, alone, as Linux sends it also for one page */
static void ranges_that_fit(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct cmd page = tlbi_range(1, 0, 0, 1, 3), pages = tlbi_range(4, 2, 3, 1, 0);
	int both;

	mock_offer_ril(f->mock);
	for (both = 0; both < 2; both++) {
		start(test, both);
		EXPECT_FAST(test, true, page, sync());
		fx_expect_from(test, both, f->ring);
		EXPECT_BATCH(test, both, both, page);
		EXPECT_FAST(test, true, pages, sync());
		EXPECT_BATCH(test, both, both, pages);
		EXPECT_FAST(test, true, tlbi_va(1), sync());

		/* The last one again, at another address, and others after it */
		EXPECT_FAST(test, true, page, sync());
		EXPECT_FAST(test, true, tlbi_range(7, 0, 0, 1, 3), sync());
		EXPECT_BATCH(test, both, both, tlbi_range(7, 0, 0, 1, 3));
		EXPECT_FAST(test, true, tlbi_range(7, 0, 0, 1, 2), sync());
		EXPECT_FAST(test, true, with(page, FIELD_PREP(TLBI_0_ASID, 8), 0), sync());

		/* The host gets another command, or none. */
		EXPECT_FAST(test, false, tlbi_range(1, 0, 0, 1, 0), sync());
		EXPECT_FAST(test, false, tlbi_range(1, 1, 32, 1, 3), sync());
		EXPECT_FAST(test, false, tlbi_range(1, 1, 0, 0, 0), sync());
		was_fast(f);
		EXPECT_RESULT(test, RUN_CMDS(test, with(page, BIT_ULL(10), 0), sync()),
			      .error = CERROR(ILL), .reason = REASON(CMD_RESERVED));
		EXPECT_RESULT(test, RUN_CMDS(test, cmd(0, 0), sync()),
			      .error = CERROR(ILL), .reason = REASON(CMD_OPCODE));
		EXPECT_RESULT(test, RUN_CMDS(test, page, sync_cs(3)), .done = 1,
			      .error = CERROR(ILL), .reason = REASON(CMD_RESERVED));
		KUNIT_EXPECT_FALSE(test, was_fast(f));
		EXPECT_FAST(test, false, cmd(CMD_TLBI_NH_VAA, le64_to_cpu(page.w[1])), sync());
		/* The general way may merge them. */
		EXPECT_FAST(test, false, page, tlbi_range(2, 0, 0, 1, 3), sync());
		EXPECT_FAST(test, false, page, tlbi_va(2), sync());
		EXPECT_FAST(test, false, tlbi_va(2), page, sync());
		fx_must_detach(test, f->v, VSID);
		if (both)
			fx_must_detach(test, f->v, VSID_OTHER);
	}
}

/* One command that differs is enough, whichever it is. */
static void each_command_counts(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 num, at, i;

	start(test, false);
	for (num = 2; num < 14; num++) {
		for (at = 0; at <= num; at++) {
			for (i = 0; i < num; i++)
				f->cmds[i] = tlbi_va(i);
			f->cmds[num] = sync();
			was_fast(f);
			EXPECT_DONE(test, fx_run(test, .cmds = f->cmds, .num = num + 1), num + 1);
			KUNIT_EXPECT_TRUE(test, was_fast(f));
			EXPECT_OPS(test, MOCK_INVALIDATE);
			fx_expect_batch(test, 0, 0, f->cmds, num);
			/* Another ASID, and another address */
			for (i = 0; at < num && i < 2; i++) {
				struct cmd saved = f->cmds[at];

				f->cmds[at].w[i] ^= cpu_to_le64(i ? BIT_ULL(40) :
							      FIELD_PREP(TLBI_0_ASID, 2));
				EXPECT_DONE(test, fx_run(test, .cmds = f->cmds, .num = num + 1),
					    num + 1);
				KUNIT_EXPECT_EQ(test, was_fast(f),
						i && num == 2);
				f->cmds[at] = saved;
			}
		}
	}
}

/* In these states doorbells go the general way. */
static void gates(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_vsmmu *v = f->v;

	start(test, true);
	fx_must_attach(test, v, .fd = -1, .vsid = VSID_HOSTLESS, .flags = FEED);
	was_fast(f);
	EXPECT_RESULT(test, fx_run(test, .cmds = (struct cmd[]){ tlbi_va(1), sync() }, .num = 2,
				   .feed = f->array, .feed_room = 2),
		      .done = 2, .feed_num = 1);
	KUNIT_EXPECT_FALSE(test, was_fast(f));
	fx_must_detach(test, v, VSID_HOSTLESS);
	EXPECT_FAST(test, true, tlbi_va(1), sync());

	f->regs.cr0 &= ~CR0_CMDQEN;
	fx_must_set_regs(test);
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync()),
		      .rc = -EINVAL, .reason = REASON(CMDQ_DISABLED));
	f->regs.cr0 |= CR0_CMDQEN;
	fx_must_set_regs(test);
	EXPECT_FAST(test, true, tlbi_va(1), sync());

	/* A CMD_SYNC has to report a failed ATC_INV. */
	scoped_guard(queue, v)
		v->queue.atc_failed = true;
	EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync()), .done = 1,
		      .error = CERROR(ATC_INV_SYNC), .reason = REASON(ATC_TIMEOUT));
	EXPECT_FAST(test, true, tlbi_va(1), sync());

	/* A wrap, and fewer commands than there are */
	was_fast(f);
	PUT_CMDS(test, tlbi_va(1), sync());
	EXPECT_DONE(test, fx_run(test, .num = 2, .max_cmds = 1), 1);
	KUNIT_EXPECT_FALSE(test, was_fast(f));
	/* As many as there are, and more, as libvsmmu asks for */
	EXPECT_DONE(test, fx_run(test, .num = 2, .max_cmds = 2), 2);
	KUNIT_EXPECT_TRUE(test, was_fast(f));
	EXPECT_DONE(test, fx_run(test, .num = 2, .max_cmds = SMMUV3_HOST_MAX_BATCH), 2);
	KUNIT_EXPECT_TRUE(test, was_fast(f));
	EXPECT_DONE(test, fx_run(test, .num = 2, .max_cmds = U32_MAX), 2);
	KUNIT_EXPECT_TRUE(test, was_fast(f));
	EXPECT_DONE(test, fx_run(test, .cons = (2U << QUEUE_LOG2) - 1, .num = 2,
				 .cmds = (struct cmd[]){ tlbi_va(1), sync() }), 2);
	KUNIT_EXPECT_FALSE(test, was_fast(f));
	EXPECT_DONE(test, fx_run(test, .cons = (1U << QUEUE_LOG2) - 2, .num = 2,
				 .cmds = (struct cmd[]){ tlbi_va(1), sync() }), 2);
	KUNIT_EXPECT_TRUE(test, was_fast(f));
	fx_expect_from(test, 0, f->ring + ((1U << QUEUE_LOG2) - 2) * CMD_LEN);
}

/* A second physical SMMU gets the doorbells from its first device on, also of the fast path. */
static void second_smmu_comes(struct kunit *test)
{
	struct fixture *f = test->priv;

	start(test, false);
	EXPECT_FAST(test, true, tlbi_va(1), sync());
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 1);
	fx_must_attach(test, f->v, .fd = 4, .vsid = VSID_OTHER);
	EXPECT_FAST(test, true, tlbi_va(1), sync());
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 2);
	EXPECT_BATCH(test, 0, 0, tlbi_va(1));
	EXPECT_BATCH(test, 1, 1, tlbi_va(1));
	fx_must_detach(test, f->v, VSID);
	EXPECT_FAST(test, true, tlbi_va(1), sync());
	EXPECT_OPS(test, MOCK_INVALIDATE);
	EXPECT_BATCH(test, 0, 1, tlbi_va(1));
}

/* The fields of the caller's struct, and what the general way says of them */
static void fields_are_checked(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_run_cmdq good = { .size = sizeof(good), .prod = 2 };
	struct file file = { .private_data = f->v };
	static const struct {
		size_t offset;
		u32 value;
		int rc;
		u32 reason;
	} cases[] = {
		{ offsetof(struct smmuv3_accel_run_cmdq, size), 56, -EINVAL },
		{ offsetof(struct smmuv3_accel_run_cmdq, size), 72 },
		{ offsetof(struct smmuv3_accel_run_cmdq, flags), 1, -EOPNOTSUPP, REASON(FLAGS) },
		{ offsetof(struct smmuv3_accel_run_cmdq, __reserved), 1, -EOPNOTSUPP,
		  REASON(RESERVED) },
	};
	struct smmuv3_accel_run_cmdq run;
	u32 i;
	int rc;

	start(test, false);
	PUT_CMDS(test, tlbi_va(1), sync());
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		run = good;
		*(u32 *)((void *)&run + cases[i].offset) = cases[i].value;
		KUNIT_ASSERT_EQ(test, clear_user(f->run, 128), 0);
		KUNIT_ASSERT_EQ(test, copy_to_user(f->run, &run, sizeof(run)), 0);
		was_fast(f);
		rc = smmuv3_accel_ioctl(&file, SMMUV3_ACCEL_RUN_CMDQ, (unsigned long)f->run);
		KUNIT_EXPECT_EQ_MSG(test, rc, cases[i].rc, "case %u", i);
		KUNIT_ASSERT_EQ(test, copy_from_user(&run, f->run, sizeof(run)), 0);
		KUNIT_EXPECT_EQ_MSG(test, run.out_reason, cases[i].reason, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, run.cons, rc ? 0 : 2, "case %u", i);
	}
	/* The fast path writes each field that the kernel sets. */
	run = good;
	memset(&run.feed_num, 0xff, 2 * sizeof(u32));
	memset(&run.out_error, 0xff, 4 * sizeof(u32));
	KUNIT_ASSERT_EQ(test, copy_to_user(f->run, &run, sizeof(run)), 0);
	was_fast(f);
	KUNIT_EXPECT_EQ(test, smmuv3_accel_ioctl(&file, SMMUV3_ACCEL_RUN_CMDQ,
						 (unsigned long)f->run), 0);
	KUNIT_EXPECT_TRUE(test, was_fast(f));
	KUNIT_ASSERT_EQ(test, copy_from_user(&run, f->run, sizeof(run)), 0);
	KUNIT_EXPECT_MEMEQ(test, &run, &((struct smmuv3_accel_run_cmdq){
		.size = sizeof(run), .prod = 2, .cons = 2 }), sizeof(run));
	/* The end of the struct cannot be written. */
	KUNIT_ASSERT_EQ(test, copy_to_user(f->umem_end - sizeof(run) / 2, &good,
					   sizeof(run) / 2), 0);
	f->mock->log_num = 0;
	rc = smmuv3_accel_ioctl(&file, SMMUV3_ACCEL_RUN_CMDQ,
				(unsigned long)f->umem_end - sizeof(run) / 2);
	KUNIT_EXPECT_EQ(test, rc, -EFAULT);
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
}

static void host_errors(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct smmuv3_accel_stats before, *stats = &f->v->stats;
	u32 both;

	for (both = 0; both < 2; both++) {
		start(test, both);
		/* The replay is from the copy that was checked, and the SMMUs share a ring. */
		f->mock->scribble = !both;
		mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -EIO);
		EXPECT_FAST(test, true, tlbi_va(1), tlbi_va(2), sync());
		fx_expect_from(test, 0, f->ring);
		fx_expect_from(test, 1, NULL);
		EXPECT_BATCH(test, 1, 0, tlbi_va(1), tlbi_va(2));
		f->mock->scribble = false;

		before = *stats;
		mock_fail(f->mock, MOCK_INVALIDATE, 1, 2, -EIO);
		EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_irq()), .rc = -EIO,
			      .reason = REASON(HOST_REJECT));
		KUNIT_EXPECT_TRUE(test, was_fast(f));
		KUNIT_EXPECT_EQ(test, mock_fail_stop(f->mock), 2);
		mock_fail(f->mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
		EXPECT_RESULT(test, RUN_CMDS(test, tlbi_va(1), sync_irq()), .rc = -ETIMEDOUT,
			      .reason = REASON(RETRY));
		KUNIT_EXPECT_TRUE(test, was_fast(f));
		KUNIT_EXPECT_EQ(test, f->mock->log_num, 1);
		KUNIT_EXPECT_EQ(test, stats->out_cmds, before.out_cmds);
		KUNIT_EXPECT_EQ(test, stats->out_syncs, before.out_syncs);
		KUNIT_EXPECT_EQ(test, stats->out_host_calls, before.out_host_calls + 3);
		KUNIT_EXPECT_EQ(test, stats->out_replays, before.out_replays + 1);
		fx_must_detach(test, f->v, VSID);
		if (both)
			fx_must_detach(test, f->v, VSID_OTHER);
	}
}

/*
 * The end of the caller's struct cannot be written without a page fault, but read. The
 * doorbell is not fast then, and is not taken for one that is done.
 */
static void struct_on_two_pages(struct kunit *test)
{
	const struct smmuv3_accel_run_cmdq given = { .size = sizeof(given), .prod = 2 };
	struct fixture *f = test->priv;
	struct file file = { .private_data = f->v };
	struct smmuv3_accel_run_cmdq run;
	const size_t after_cons = offsetofend(struct smmuv3_accel_run_cmdq, cons);
	void __user *urun, *page;
	size_t at;
	u32 word;

	start(test, false);
	PUT_CMDS(test, tlbi_va(1), sync());
	page = (void __user *)kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
					    MAP_ANONYMOUS | MAP_PRIVATE, 0) + PAGE_SIZE;
	for (at = after_cons; at <= sizeof(run); at += sizeof(word)) {
		urun = page - at;
		KUNIT_ASSERT_EQ(test, copy_to_user(urun, &given, at), 0);
		/* The page of zeroes, which is copied at a write */
		KUNIT_ASSERT_EQ(test, vm_munmap((unsigned long)page, PAGE_SIZE), 0);
		KUNIT_ASSERT_EQ(test, vm_mmap(NULL, (unsigned long)page, PAGE_SIZE,
					      PROT_READ | PROT_WRITE,
					      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0),
				(unsigned long)page);
		KUNIT_ASSERT_EQ(test, get_user(word, (u32 __user *)page), 0);
		f->mock->log_num = 0;
		was_fast(f);
		KUNIT_EXPECT_EQ(test, smmuv3_accel_ioctl(&file, SMMUV3_ACCEL_RUN_CMDQ,
							 (unsigned long)urun), 0);
		KUNIT_EXPECT_EQ_MSG(test, was_fast(f), at == sizeof(run), "%zu bytes", at);
		KUNIT_ASSERT_EQ(test, copy_from_user(&run, urun, sizeof(run)), 0);
		KUNIT_EXPECT_EQ(test, run.cons, 2);
		KUNIT_EXPECT_EQ_MSG(test, f->mock->log_num, 1, "%zu bytes", at);
	}
}

/* The end of the ring is not passed: what follows it in memory is no command. */
static void ring_ends(struct kunit *test)
{
	const struct cmd cmds[] = { tlbi_va(1), tlbi_va(5) }, after = sync();
	struct fixture *f = test->priv;

	start(test, false);
	KUNIT_ASSERT_EQ(test, copy_to_user(f->ring + (CMD_LEN << QUEUE_LOG2), &after, CMD_LEN), 0);
	EXPECT_DONE(test, fx_run(test, .cons = (1U << QUEUE_LOG2) - 1, .cmds = cmds, .num = 2), 2);
	fx_expect_batch(test, 0, 0, cmds, 2);
}

/* With NO_GLOBAL, many TLBIs of one ASID become one by ASID. */
static void many_escalate(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 num = f->v->policy.escalate + 1, i;

	if (num == 1)
		kunit_skip(test, "the module has escalate=0");
	scoped_guard(queue, f->v)
		f->v->policy.no_global = true;
	start(test, false);
	for (i = 0; i < num; i++)
		f->cmds[i] = tlbi_va(i);
	f->cmds[num] = sync();
	was_fast(f);
	EXPECT_DONE(test, fx_run(test, .cmds = f->cmds, .num = num + 1), num + 1);
	KUNIT_EXPECT_FALSE(test, was_fast(f));
	KUNIT_EXPECT_EQ(test, f->mock->log[0].num, 1);
	f->cmds[num - 1] = sync();
	EXPECT_DONE(test, fx_run(test, .cmds = f->cmds, .num = num), num);
	KUNIT_EXPECT_TRUE(test, was_fast(f));
	KUNIT_EXPECT_EQ(test, f->mock->log[0].num, num - 1);
}

/* Hosts that want more than one call from the VMM's memory */
static void other_hosts(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->unchecked = true;
	start(test, false);
	EXPECT_FAST(test, true, tlbi_va(1), sync());
	fx_expect_from(test, 0, NULL);
	fx_must_detach(test, f->v, VSID);
	EXPECT_FAST(test, true, tlbi_va(1), sync());
	KUNIT_EXPECT_EQ(test, f->mock->log_num, 0);
}

/* The VMM unmaps the argument of the prepared call: once, the host gets a copy. */
static void unmapped(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 zero_copy;
	int fast;

	start(test, false);
	for (fast = 1; fast >= 0; fast--) {
		f->v->fast.mm = fast ? f->v->fast.mm : ERR_PTR(-EPERM);
		zero_copy = f->v->stats.out_zero_copy;
		atomic_set(&f->mock->mapped, 0);
		EXPECT_FAST(test, fast, tlbi_va(1), sync());
		fx_expect_from(test, 0, NULL);
		KUNIT_EXPECT_EQ(test, f->v->stats.out_zero_copy, zero_copy);
		EXPECT_FAST(test, true, tlbi_va(1), sync());
		KUNIT_EXPECT_EQ(test, f->v->stats.out_zero_copy, zero_copy + 1);
	}
	KUNIT_EXPECT_EQ(test, f->v->stats.out_replays, 0);
}

static void erratum(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->mock->smmu[0].flags = ERRATUM;
	start(test, false);
	EXPECT_FAST(test, true, tlbi_va(1), sync());
	EXPECT_OPS(test, MOCK_INVALIDATE, MOCK_INVALIDATE);
}

/* What a doorbell does */
struct outcome {
	struct smmuv3_accel_run_cmdq run;
	struct result result;
	struct smmuv3_accel_stats stats;
	struct cmd given[2][1 << QUEUE_LOG2];
};

/* @fail: which host call fails, 0: none */
static void observe(struct kunit *test, u32 cons, u32 num, u32 fail, struct outcome *out)
{
	struct fixture *f = test->priv;
	u64 *stats = (u64 *)&out->stats, *now = (u64 *)&f->v->stats;
	u32 i;

	memset(out, 0, sizeof(*out));
	out->stats = f->v->stats;
	if (fail)
		mock_fail(f->mock, MOCK_INVALIDATE, fail, 2, fail % 2 ? -EIO : -ETIMEDOUT);
	out->result = fx_run(test, .cmds = f->cmds, .cons = cons, .num = num);
	mock_fail_stop(f->mock);
	KUNIT_ASSERT_EQ(test, copy_from_user(&out->run, f->run, sizeof(out->run)), 0);
	for (i = 0; i < sizeof(out->stats) / sizeof(u64); i++)
		stats[i] = now[i] - stats[i];
	for (i = 0; i < 2; i++) {
		fx_collect(test, i);
		memcpy(out->given[i], f->seen, f->seen_num * CMD_LEN);
	}
}

static struct cmd random_range(struct fixture *f, u32 i)
{
	return tlbi_range(i, dice(f, 3), dice(f, 2) * (20 + dice(f, 16)), dice(f, 4), dice(f, 4));
}

static struct cmd random_cmd(struct fixture *f, u32 i)
{
	switch (dice(f, 64)) {
	case 0:
		return cmd(prandom_u32_state(&f->rnd), prandom_u32_state(&f->rnd));
	case 1:
		return tlbi_va(dice(f, 64));
	case 2:
		return sync_irq();
	case 3:
		return with(tlbi_va(i), BIT_ULL(8 + dice(f, 56)), 0);
	case 4:
		return with(tlbi_va(i), 0, BIT_ULL(dice(f, 12)));
	case 5:
		return random_range(f, i);
	default:
		return tlbi_va(i * 2);
	}
}

static const struct ways {
	const char *name;
	bool filter;
	bool no_global;
} ways[] = {
	{ "plain" },
	{ "filter", .filter = true },
	{ "no_global", .no_global = true },
	{ "filter_no_global", .filter = true, .no_global = true },
};

KUNIT_ARRAY_PARAM_DESC(ways, ways, name);

/* Both ways do the same. */
static void ways_agree(struct kunit *test)
{
	struct outcome *out = kunit_kcalloc(test, 2, sizeof(*out), GFP_KERNEL);
	const struct ways *w = test->param_value;
	u32 n, i, num, cons, fail, fast = 0;
	struct fixture *f = test->priv;
	const u32 rounds = 2000;

	KUNIT_ASSERT_NOT_NULL(test, out);
	scoped_guard(queue, f->v) {
		f->v->filter = w->filter;
		f->v->policy.no_global = w->no_global;
	}
	mock_offer_ril(f->mock);
	start(test, true);
	for (n = 0; n < rounds; n++) {
		num = 1 + dice(f, 12);
		/* ERR and reserved bits do not count as part of CONS. */
		cons = dice(f, 2U << QUEUE_LOG2) | dice(f, 128) << 24;
		fail = dice(f, 8) ? 0 : 1 + dice(f, 3);
		for (i = 0; i < num; i++)
			f->cmds[i] = num == 1 ? random_range(f, i) : random_cmd(f, i);
		if (n % 4)
			f->cmds[num++] = n % 8 < 4 ? sync() : sync_irq();
		was_fast(f);
		observe(test, cons, num, fail, &out[0]);
		fast += was_fast(f);
		f->v->fast.mm = ERR_PTR(-EPERM);
		observe(test, cons, num, fail, &out[1]);
		KUNIT_EXPECT_FALSE(test, was_fast(f));
		KUNIT_ASSERT_MEMEQ(test, &out[0], &out[1], sizeof(*out));
	}
	KUNIT_EXPECT_GT(test, fast, rounds / 4);
	KUNIT_EXPECT_LT(test, fast, rounds);
	KUNIT_EXPECT_EQ(test, !!f->v->stats.out_withheld, w->filter && w->no_global);
}

static struct kunit_case doorbell_cases[] = {
	KUNIT_CASE(doorbells_that_fit),
	KUNIT_CASE(ranges_that_fit),
	KUNIT_CASE(each_command_counts),
	KUNIT_CASE(gates),
	KUNIT_CASE(second_smmu_comes),
	KUNIT_CASE(fields_are_checked),
	KUNIT_CASE(host_errors),
	KUNIT_CASE(ring_ends),
	KUNIT_CASE(many_escalate),
	KUNIT_CASE(other_hosts),
	KUNIT_CASE(struct_on_two_pages),
	KUNIT_CASE(unmapped),
	KUNIT_CASE(erratum),
	KUNIT_CASE_PARAM(ways_agree, ways_gen_params),
	{}
};

static struct kunit_suite doorbell_suite = {
	.name = "smmuv3-accel-doorbell",
	.init = fx_init_table,
	.exit = fx_exit,
	.test_cases = doorbell_cases,
};

kunit_test_suites(&doorbell_suite);
