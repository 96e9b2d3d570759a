// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's command queue: DMA shows which commands have taken effect.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "harness.h"
#include "machine.h"
#include "stress.h"

#define VSID	MACHINE_VSID

/* Command queues of each size */

FIXTURE(ring)
{
	struct machine m;
	__u32 size;
};

FIXTURE_VARIANT(ring)
{
	unsigned int log2size;
};

FIXTURE_VARIANT_ADD(ring, size_2) { .log2size = 1 };
FIXTURE_VARIANT_ADD(ring, size_8) { .log2size = 3 };
FIXTURE_VARIANT_ADD(ring, size_256) { .log2size = 8 };
FIXTURE_VARIANT_ADD(ring, size_2_to_19) { .log2size = 19 };

FIXTURE_SETUP(ring)
{
	self->size = 1 << variant->log2size;
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 1,
				  .split = 6, .ring_log2size = variant->log2size));
	ASSERT_EQ(1, machine_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(ring)
{
	machine_close(&self->m);
}

TEST_F(ring, empty_queue_calls_nobody)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stats before = machine_stats(m);

	machine_ring_at(m, self->size + 1);
	*(volatile struct cmd *)ring_slot(&m->ring, 1) = cmd_illegal();
	EXPECT_TRUE(machine_run(m, &out));
	EXPECT_EQ(self->size + 1, out.cons);
	EXPECT_EQ(before.out_host_calls, machine_stats(m).out_host_calls);
}

/* For any start of the lap, and any place of the one command that matters */
TEST_F(ring, full_lap_is_done)
{
	struct machine *m = &self->m;
	__u32 start = 0, size = self->size, where, i, lap;
	struct smmuv3_accel_run_cmdq out;
	int page = 1;

	for (lap = 0; lap < 8; lap++) {
		/* With and without the end of the ring inside, from either half */
		start = lap % 4 == 0 ? 0 : lap % 4 == 1 ? size - 1 :
			lap % 4 == 2 ? size + size / 2 : 2 * size - 1;
		where = lap & 1 ? size - 1 : lap * 7 % size;
		machine_ring_at(m, start);
		for (i = 0; i < size; i++)
			ring_put(&m->ring, i == where ? machine_tlbi(m, 0) : cmd_filler(i));
		machine_lead(m, 0, page % 3 + 1);
		ASSERT_EQ(page, machine_goes(m, 0));
		page = page % 3 + 1;
		ASSERT_TRUE(machine_run(m, &out));
		EXPECT_EQ((start + size) % (2 * size), out.cons);
		EXPECT_EQ(page, machine_goes(m, 0))
			TH_LOG("lap from %u, command %u", start, where);
	}
	EXPECT_EQ(8ULL * size, machine_stats(m).out_cmds);
}

/* The commands after them have no effect yet */
TEST_F(ring, max_cmds_are_done_and_no_more)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 size = self->size, done, step, num = size < 12 ? size : 12;
	__u32 mask = 2 * size - 1, start = size - num / 2, i;

	for (step = 1; step <= num + 1; step++) {
		machine_lead(m, 0, 1);
		ASSERT_EQ(0, ring_run(&m->ring, &out));
		machine_ring_at(m, start);
		ring_put(&m->ring, machine_tlbi(m, 0));
		ASSERT_TRUE(machine_run(m, &out));
		ASSERT_EQ(1, machine_goes(m, 0));

		machine_lead(m, 0, 2);
		machine_ring_at(m, start);
		for (i = 0; i < num - 1; i++)
			ring_put(&m->ring, cmd_filler(i));
		ring_put(&m->ring, machine_tlbi(m, 0));
		for (done = 0; done < num; done += step) {
			ASSERT_EQ(1, machine_goes(m, 0));
			ASSERT_EQ(0, ring_step(&m->ring, step, &out));
			i = done + step < num ? done + step : num;
			EXPECT_EQ((start + i) & mask, out.cons);
		}
		EXPECT_EQ(2, machine_goes(m, 0));
	}
}

TEST_F(ring, commands_take_effect_again_if_run_again)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	ring_put(&m->ring, machine_tlbi(m, 0));
	ring_put(&m->ring, cmd_sync());
	ASSERT_TRUE(machine_run(m, &out));
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 0));
	m->ring.cons = 0;
	ASSERT_TRUE(machine_run(m, &out));
	EXPECT_EQ(2, machine_goes(m, 0));
}

/* Errors, interrupts and memory regions, in a queue of 32 commands */

FIXTURE(queue)
{
	struct machine m;
};

FIXTURE_SETUP(queue)
{
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_RUNNING, .devices = 1,
				  .ring_log2size = 5));
	ASSERT_EQ(1, machine_goes(&self->m, 0));
}

FIXTURE_TEARDOWN(queue)
{
	machine_close(&self->m);
}

TEST_F(queue, stops_at_an_illegal_command)
{
	struct machine *m = &self->m;
	struct ring *ring = &m->ring;
	struct smmuv3_accel_stats before = machine_stats(m), after;
	struct smmuv3_accel_run_cmdq out;

	machine_ring_at(m, 30);		/* the end of the ring comes first */
	ring_put(ring, cmd_filler(0));
	ring_put(ring, machine_tlbi(m, 0));
	ring_put(ring, cmd_filler(1));
	ring_put(ring, cmd_illegal());
	ring_put(ring, cmd_tlbi_nh_all());
	ring_put(ring, cmd_sync_irq());
	machine_lead(m, 0, 2);
	ASSERT_EQ(0, ring_run(ring, &out));
	EXPECT_EQ(33, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_OPCODE, out.out_reason);
	EXPECT_EQ(0, out.out_flags) TH_LOG("interrupt for a CMD_SYNC that is not done");
	EXPECT_EQ(2, machine_goes(m, 0)) TH_LOG("a command counts as done and is not");

	/* It still stops there */
	machine_lead(m, 0, 3);
	ASSERT_EQ(0, ring_run(ring, &out));
	EXPECT_EQ(33, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(2, machine_goes(m, 0)) TH_LOG("a command after the illegal one was carried out");

	/* A guest overwrites it with a CMD_SYNC and goes on */
	*(volatile struct cmd *)ring_slot(ring, 33) = cmd_sync();
	ASSERT_TRUE(machine_run(m, &out));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
	EXPECT_EQ(3, machine_goes(m, 0));
	after = machine_stats(m);
	EXPECT_EQ(before.out_cmd_errors + 2, after.out_cmd_errors);
	EXPECT_EQ(before.out_cmds + 6, after.out_cmds);
	EXPECT_EQ(before.out_syncs + 2, after.out_syncs);
}

/* Which rule the command breaks. KUnit tests the rules themselves */
TEST_F(queue, illegal_command_has_its_reason)
{
	struct machine *m = &self->m;
	const bool ats = machine_has(m, 0, IDR0_ATS);
	const __u32 atc = ats ? SMMUV3_ACCEL_REASON_CMD_ATC_SIZE : SMMUV3_ACCEL_REASON_CMD_NO_ATS;
	const struct {
		__u64 w0;
		__u64 w1;
		__u32 reason;
	} illegal[] = {
		{ 0x00, 0, SMMUV3_ACCEL_REASON_CMD_OPCODE },
		{ 0x20, 0, SMMUV3_ACCEL_REASON_CMD_NO_HYP },	/* TLBI_EL2_ALL */
		{ 0x21, 0, SMMUV3_ACCEL_REASON_CMD_NO_HYP },	/* TLBI_EL2_ASID */
		{ 0x22, 0, SMMUV3_ACCEL_REASON_CMD_NO_HYP },	/* TLBI_EL2_VA */
		{ 0x28, 0, SMMUV3_ACCEL_REASON_CMD_NO_S2 },	/* TLBI_S12_VMALL */
		{ 0x2a, 0, SMMUV3_ACCEL_REASON_CMD_NO_S2 },	/* TLBI_S2_IPA */
		{ 0x41, 0, SMMUV3_ACCEL_REASON_CMD_OPCODE },	/* PRI_RESP */
		{ 0x44, 0, SMMUV3_ACCEL_REASON_CMD_OPCODE },	/* RESUME */
		{ 0x10 | 1 << 10, 0, SMMUV3_ACCEL_REASON_CMD_RESERVED },
		{ 0x12, 1 << 1, SMMUV3_ACCEL_REASON_CMD_RESERVED },
		{ 0x46 | 3 << 12, 0, SMMUV3_ACCEL_REASON_CMD_RESERVED },	/* CS */
		{ 0x03 | 1 << 10, 0, SMMUV3_ACCEL_REASON_CMD_RESERVED },	/* SSec */
		{ 0x40, 53, atc },		/* Size */
	};
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_invalidate inv;
	struct cmd cmd;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(illegal); i++) {
		cmd = (struct cmd){ { htole64(illegal[i].w0), htole64(illegal[i].w1) } };
		machine_ring_at(m, 0);
		ring_put(&m->ring, cmd);
		ASSERT_EQ(0, ring_run(&m->ring, &out));
		EXPECT_EQ(0, out.cons);
		EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
		EXPECT_EQ(illegal[i].reason, out.out_reason) TH_LOG("command %u", i);
		ASSERT_EQ(0, accel_invalidate(&m->g, &cmd, 1, &inv));
		EXPECT_EQ(0, inv.cmd_num);
		EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, inv.out_error);
		EXPECT_EQ(illegal[i].reason, inv.out_reason) TH_LOG("command %u", i);
	}
}

/* An illegal command that differs in one bit from those around it */
TEST_F(queue, one_illegal_bit_is_found_at_each_place)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;
	__u32 where, bit;

	for (where = 0; where < 16; where++) {
		/* The opcode, SSEC, a reserved bit of word 1 */
		for (bit = 0; bit < 3; bit++) {
			struct cmd *slot = ring_slot(&m->ring, where);
			__u32 i;

			machine_ring_at(m, 0);
			for (i = 0; i < 16; i++)
				ring_put(&m->ring, cmd_filler(i));
			ring_put(&m->ring, cmd_sync());
			slot->w[bit / 2] ^= bit == 0 ? 0x80 : bit == 1 ? 1 << 10 : 1 << 1;
			ASSERT_EQ(0, ring_run(&m->ring, &out));
			EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
			EXPECT_EQ(where, out.cons);
		}
	}
}

TEST_F(queue, memory_after_the_ring_is_not_read)
{
	struct machine *m = &self->m;
	struct cmd *after = ring_slot(&m->ring, 0) + 32;
	struct smmuv3_accel_run_cmdq out;

	*(volatile struct cmd *)after = cmd_sync();
	machine_ring_at(m, 31);
	ring_put(&m->ring, cmd_filler(0));
	ring_put(&m->ring, machine_tlbi(m, 0));
	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 0));
	EXPECT_TRUE(machine_run(m, &out));
	EXPECT_EQ(2, machine_goes(m, 0));
}

TEST_F(queue, sync_interrupt_is_reported_once_it_is_due)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_run_cmdq out;

	EXPECT_RUNS(m, cmd_sync(), 0);
	EXPECT_RUNS(m, cmd_sync_irq(), SMMUV3_ACCEL_RUN_SYNC_IRQ);
	/* Not before the CMD_SYNC is done */
	ring_put(&m->ring, cmd_filler(0));
	ring_put(&m->ring, cmd_sync_irq());
	ASSERT_EQ(0, ring_step(&m->ring, 1, &out));
	EXPECT_EQ(0, out.out_flags);
	ASSERT_EQ(0, ring_step(&m->ring, 1, &out));
	EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
	/* Also if the command after it is illegal */
	ring_put(&m->ring, cmd_sync_irq());
	ring_put(&m->ring, cmd_illegal());
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
}

/* A VMM passes on events before it shows the guest that a CFGI is done */
TEST_F(queue, cfgi_is_reported_once_it_is_done)
{
	struct machine *m = &self->m;
	const struct cmd cfgi[] = {
		cmd_cfgi_ste(VSID, true), cmd_cfgi_ste(VSID + 1, true),
		cmd_cfgi_ste_range(VSID, 1), cmd_cfgi_all(), cmd_cfgi_cd(VSID, 0, true),
		cmd_cfgi_cd_all(VSID), cmd_cfgi_cd_all(VSID + 1),
	};
	struct smmuv3_accel_run_cmdq out;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(cfgi); i++) {
		machine_ring_at(m, 30);		/* across the end of the ring */
		ring_put(&m->ring, cmd_filler(0));
		ring_put(&m->ring, cmd_filler(1));
		ring_put(&m->ring, cfgi[i]);
		ring_put(&m->ring, cmd_sync());
		ring_put(&m->ring, cmd_illegal());
		ring_put(&m->ring, cfgi[i]);
		ASSERT_EQ(0, ring_step(&m->ring, 2, &out));
		EXPECT_EQ(0, out.out_flags) TH_LOG("command %u is not done yet", i);
		ASSERT_EQ(0, ring_step(&m->ring, 1, &out));
		EXPECT_EQ(SMMUV3_ACCEL_RUN_CFGI, out.out_flags) TH_LOG("command %u", i);
		/* Each run says it of its own commands, also if it ends with an error */
		ASSERT_EQ(0, ring_run(&m->ring, &out));
		EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
		EXPECT_EQ(0, out.out_flags) TH_LOG("command %u", i);
		m->ring.cons = 30;
		ASSERT_EQ(0, ring_run(&m->ring, &out));
		EXPECT_EQ(34, out.cons);
		EXPECT_EQ(SMMUV3_ACCEL_RUN_CFGI, out.out_flags) TH_LOG("command %u", i);
	}
	EXPECT_EQ(1, machine_goes(m, 0));
}

/* The commands before it are done */
TEST_F(queue, stops_where_memory_ends)
{
	struct machine *m = &self->m;
	struct smmuv3_accel_mem_region region = {
		.gpa = GUEST_BASE,
		.size = m->ring.base + 16 * 16 + 8 - GUEST_BASE,
		.uaddr = (__u64)(unsigned long)m->g.ram,
	};
	struct smmuv3_accel_run_cmdq out;
	int i;

	/* Memory ends in the middle of command 16 */
	ASSERT_EQ(0, accel_mem_regions(&m->g, &region, 1));
	for (i = 0; i < 16; i++)
		ring_put(&m->ring, i == 15 ? machine_tlbi(m, 0) : cmd_filler(i));
	ring_put(&m->ring, cmd_sync());
	machine_lead(m, 0, 2);
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(16, out.cons);
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ABT, out.out_error);
	EXPECT_EQ(SMMUV3_ACCEL_REASON_CMD_UNREADABLE, out.out_reason);
	EXPECT_EQ(2, machine_goes(m, 0));
	ASSERT_EQ(0, accel_mem_table(&m->g));
	EXPECT_TRUE(machine_run(m, &out));

	/* A region at an address where the VMM has no memory */
	region.gpa = GUEST_BASE;
	region.size = GUEST_SIZE;
	region.uaddr = 0;
	ASSERT_EQ(0, accel_mem_regions(&m->g, &region, 1));
	ring_put(&m->ring, cmd_sync());
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ABT, out.out_error);
	EXPECT_EQ(17, out.cons);
}

/*
 * EFAULT counts nothing as done, so the VMM's next call runs the same commands
 * again. The size of the struct decides which path copies it out.
 */
TEST_F(queue, runs_again_after_an_answer_that_cannot_be_written)
{
	struct machine *m = &self->m;
	struct {
		struct smmuv3_accel_run_cmdq run;
		__u64 more;
	} *arg;
	const long page = sysconf(_SC_PAGESIZE);
	struct smmuv3_accel_run_cmdq out;
	unsigned int i;

	arg = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	for (i = 0; i < 2; i++) {
		ring_put(&m->ring, machine_tlbi(m, 0));
		ring_put(&m->ring, cmd_sync_irq());
		ASSERT_EQ(0, mprotect(arg, page, PROT_READ | PROT_WRITE));
		arg->run = (struct smmuv3_accel_run_cmdq){
			.size = i ? sizeof(*arg) : sizeof(arg->run),
			.prod = m->ring.prod,
			.cons = m->ring.cons,
		};
		ASSERT_EQ(0, mprotect(arg, page, PROT_READ));
		machine_lead(m, 0, 2);
		EXPECT_EQ(-EFAULT, accel_ioctl(m->g.accel, SMMUV3_ACCEL_RUN_CMDQ, arg));
		EXPECT_EQ(m->ring.cons, arg->run.cons);
		EXPECT_EQ(2, machine_goes(m, 0));
		machine_lead(m, 0, 3);
		EXPECT_EQ(2, machine_goes(m, 0));
		ASSERT_TRUE(machine_run(m, &out));
		EXPECT_EQ(SMMUV3_ACCEL_RUN_SYNC_IRQ, out.out_flags);
		EXPECT_EQ(3, machine_goes(m, 0));
	}
	munmap(arg, page);
}

/*
 * The ring lies in nine memory regions, with boundaries between and within
 * commands. The VMM has the last region elsewhere.
 */
TEST_F(queue, ring_across_regions_is_run)
{
	struct machine *m = &self->m;
	__u64 ring = m->ring.base - GUEST_BASE;
	struct smmuv3_accel_mem_region regions[9];
	struct smmuv3_accel_run_cmdq out;
	__u64 from = 0, to;
	char *copy = malloc(GUEST_SIZE);
	unsigned int i;
	int page;

	ASSERT_NE(NULL, copy);
	for (i = 0; i < ARRAY_LEN(regions); i++) {
		/* Regions of one command, then of one and a half */
		to = i == ARRAY_LEN(regions) - 1 ? GUEST_SIZE :
		     i < 4 ? ring + (i + 1) * 16 : ring + 4 * 16 + (i - 3) * 24;
		regions[i] = (struct smmuv3_accel_mem_region){
			.gpa = GUEST_BASE + from,
			.size = to - from,
			.uaddr = (__u64)(unsigned long)m->g.ram + from,
		};
		from = to;
	}
	regions[8].uaddr = (__u64)(unsigned long)copy;
	ASSERT_EQ(0, accel_mem_regions(&m->g, regions, ARRAY_LEN(regions)));

	/* Each command in turn is the one with an effect */
	for (i = 0; i < 32; i++) {
		unsigned int k;

		machine_ring_at(m, i % 2 ? 32 : 16);
		for (k = 0; k < 32; k++)
			ring_put(&m->ring, k == i ? machine_tlbi(m, 0) : cmd_filler(k));
		memcpy(copy, m->g.ram + (regions[8].gpa - GUEST_BASE), 32 * 16);
		/* The original of the last region is not guest memory any more */
		memset(m->g.ram + (regions[8].gpa - GUEST_BASE) + 16, 0xff, 16);
		page = i % 2 + 2;
		machine_lead(m, 0, page);
		ASSERT_NE(page, machine_goes(m, 0));
		ASSERT_TRUE(machine_run(m, &out))
			TH_LOG("%u: CONS %u, error %u", i, out.cons, out.out_error);
		EXPECT_EQ(page, machine_goes(m, 0)) TH_LOG("command %u", i);
	}
	free(copy);
}

/* A hostile guest changes ring and stream table while the module reads them */

struct rewriter {
	struct machine *m;
	volatile bool stop;
	unsigned long done;
};

static void *rewrite(void *arg)
{
	struct rewriter *r = arg;
	struct ring *ring = &r->m->ring;
	static const __u8 opcodes[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x30, 0x46,
	};
	volatile __u64 *ste = strtab_ste(&r->m->strtab, VSID);
	unsigned int seed = 1;

	while (!r->stop) {
		volatile struct cmd *slot = ring_slot(ring, rand_r(&seed));
		unsigned int how = rand_r(&seed) % 64;
		__u64 garbage = (__u64)rand_r(&seed) << 33 ^ (__u64)rand_r(&seed) << 11 ^
				rand_r(&seed);

		if (how == 0) {
			slot->w[0] = garbage;
			slot->w[1] = garbage * 3;
		} else if (how == 1) {
			ste[0] = garbage | STE_V;
		} else if (how == 2) {
			machine_write_ste(r->m, 0, STE_CFG_S1);
		} else if (how < 8) {
			slot->w[0] = cmd_cfgi_ste(VSID, true).w[0];
			slot->w[1] = 0;
		} else if (how < 36) {
			/* Legal, but written word by word */
			slot->w[0] = cmd_filler(0).w[0];
			slot->w[1] = garbage & ~0xfffULL;
		} else {
			slot->w[0] = opcodes[garbage % sizeof(opcodes)];
			slot->w[1] = 0;
		}
		r->done++;
	}
	return NULL;
}

/* RUN_CMDQ's results are consistent, whatever it has read */
static void expect_consistent_run(struct __test_metadata *_metadata, struct machine *m,
				  __u32 cons, __u32 num)
{
	const __u32 mask = (2U << m->ring.log2size) - 1;
	struct smmuv3_accel_run_cmdq out;
	__u32 done;

	m->ring.cons = cons;
	m->ring.prod = (cons + num) & mask;
	ASSERT_EQ(0, ring_run(&m->ring, &out)) TH_LOG("reason %u", out.out_reason);
	done = (out.cons - cons) & mask;
	ASSERT_GE(num, done);
	ASSERT_EQ(out.out_error ? SMMUV3_ACCEL_CERROR_ILL : 0, out.out_error);
	ASSERT_EQ(done < num, !!out.out_error);
	ASSERT_EQ(!!out.out_error, !!out.out_reason);
}

TEST(survives_a_guest_that_rewrites_what_it_runs)
{
	unsigned long laps = 0, stops = 0;
	struct machine m;
	struct rewriter rewriter = { .m = &m };
	pthread_t thread;
	__u64 end;
	__u32 i;

	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_RUNNING, .devices = 1,
				  .split = 6, .ring_log2size = 8));
	ASSERT_EQ(1, machine_goes(&m, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, rewrite, &rewriter));
	for (end = now_ns() + 3000000000ULL; now_ns() < end; laps++) {
		/* Short stretches take the fast path */
		expect_consistent_run(_metadata, &m, laps * 37 % 512,
				      laps % 2 ? 256 : laps % 4 ? 2 : laps % 20);
		stops += m.ring.cons != m.ring.prod;
	}
	rewriter.stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%lu laps, %lu stopped, %lu commands rewritten, %llu host calls repeated",
	       laps, stops, rewriter.done, machine_stats(&m).out_replays);
	EXPECT_LT(0, stops);

	/* Afterwards all works as before */
	machine_write_ste(&m, 0, STE_CFG_S1);
	machine_ring_at(&m, 0);
	EXPECT_RUNS(&m, cmd_cfgi_all(), 0);
	EXPECT_RUNS(&m, cmd_tlbi_nh_all(), 0);
	EXPECT_EQ(1, machine_goes(&m, 0));
	for (i = 2; i < MACHINE_PAGES; i++) {
		machine_lead(&m, 0, i);
		EXPECT_EQ(i - 1, machine_goes(&m, 0));
		EXPECT_RUNS(&m, machine_tlbi(&m, 0), 0);
		EXPECT_EQ(i, machine_goes(&m, 0));
	}
	machine_close(&m);
}

static volatile int signals;

static void on_signal(int signal)
{
	signals++;
}

TEST(signal_ends_a_run_early_and_loses_nothing)
{
	const struct itimerval timer = { { 0, 3000 }, { 0, 3000 } }, off = { };
	struct sigaction action = { .sa_handler = on_signal };
	const __u32 size = 1 << 19;
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_stats before;
	unsigned int calls = 0, none = 0;
	struct machine m;
	__u32 cons = 0, i;
	int rc;

	ASSERT_EQ(0, machine_open(&m, .stage = STAGE_RUNNING, .devices = 1,
				  .ring_log2size = 19));
	ASSERT_EQ(1, machine_goes(&m, 0));
	before = machine_stats(&m);
	/* No two alike, so that each goes to the host */
	for (i = 0; i < size; i++)
		ring_put(&m.ring, i == size - 1 ? machine_tlbi(&m, 0) : cmd_filler(i));
	machine_lead(&m, 0, 2);
	ASSERT_EQ(1, machine_goes(&m, 0));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	while (m.ring.cons != m.ring.prod && calls++ < 1000000) {
		rc = ring_run(&m.ring, &out);
		if (rc == -EINTR) {
			none++;
			ASSERT_EQ(cons, out.cons) TH_LOG("EINTR with some progress");
			continue;
		}
		ASSERT_EQ(0, rc);
		ASSERT_EQ(0, out.out_error);
		ASSERT_LT(cons, out.cons);
		cons = out.cons;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	TH_LOG("%d signals, %u calls, %u without progress", signals, calls, none);
	EXPECT_EQ(size, cons);
	EXPECT_LT(1, calls);
	EXPECT_EQ(2, machine_goes(&m, 0));
	EXPECT_EQ(before.out_cmds + size, machine_stats(&m).out_cmds);
	machine_close(&m);
}

TEST_HARNESS_MAIN
