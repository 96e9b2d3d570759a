/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixture of the KUnit tests on the mock host: a machine, calls that take named
 * options and return a struct result, commands, and expectations.
 */
#ifndef _SMMUV3_ACCEL_FIXTURE_H
#define _SMMUV3_ACCEL_FIXTURE_H

#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/xarray.h>

#include "arch.h"
#include "cmdq.h"
#include "compat.h"
#include "doorbell.h"
#include "host_mock.h"
#include "parent.h"
#include "smmuv3-accel.h"
#include "stream.h"
#include "vsmmu.h"

/* The streams of most tests. Devices 0 to 3 are behind SMMU 0, 4 to 7 behind SMMU 1. */
#define VSID		0x10	/* of device 0 */
#define VSID_NEXT	0x11	/* of device 1 */
#define VSID_OTHER	0x20	/* of device 4 */
#define VSID_LAST	0x9f	/* of device 5 */
#define VSID_HOSTLESS	0x40	/* of a bridge or an emulated endpoint */
#define VSID_UNKNOWN	0x99	/* not attached */
#define STREAMS		4	/* fx_streams[] has the first four */

#define KIND(name)	SMMUV3_ACCEL_KIND_##name
#define REASON(name)	SMMUV3_ACCEL_REASON_##name
#define CERROR(name)	SMMUV3_ACCEL_CERROR_##name
#define RUN(name)	SMMUV3_ACCEL_RUN_##name
#define BAD_STE_NO_ROOM	(RUN(BAD_STE) | RUN(BAD_OVERFLOW))
#define BRIDGE		SMMUV3_ACCEL_ATTACH_BRIDGE
#define FEED		SMMUV3_ACCEL_ATTACH_FEED
#define DRY_RUN		SMMUV3_ACCEL_ATTACH_DRY_RUN
#define UNSET(name)	(SMMUV3_ACCEL_VSID_UNSET | (name))
#define ERRATUM		IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI

/* Older kernels do not accept FIELD_PREP_CONST() in tables. */
#define FIELD_CONST(mask, value)	((value) * ((mask) & -(mask)))

/* Words 0 and 1 of an STE */
#define STE_ABORT	STE_0_V
#define STE_BYPASS	(STE_0_V | FIELD_CONST(STE_0_CONFIG, STE_CONFIG_BYPASS))
#define STE_S1		(STE_0_V | FIELD_CONST(STE_0_CONFIG, STE_CONFIG_S1))
#define STE_S1_AT(page)	(STE_S1 | (u64)(page) << 12)
#define STE_BAD_CONFIG	(STE_0_V | FIELD_CONST(STE_0_CONFIG, 7))
#define STE_ATS		FIELD_CONST(STE_1_EATS, STE_EATS_FULL)

struct cmd {
	__le64 w[2];
};

/* The guest's memory: its command queue and stream table; and room for an array */
#define CMD_LEN		sizeof(struct cmd)
#define RING_MAX	(CMD_LEN << CMDQS_MAX)
#define RING_GPA	0x80000000ULL
#define CD_AREA		0x10000		/* behind RING_GPA, for CDs */
#define TABLE_GPA	0x10000000ULL
#define TABLE_LOG2	8
#define TABLE_LEN	(64UL << TABLE_LOG2)
#define MAX_RUN		5000
#define ARRAY_LEN	PAGE_ALIGN(MAX_RUN * CMD_LEN)
#define UMEM_LEN	(PAGE_SIZE + RING_MAX + TABLE_LEN + ARRAY_LEN)

/* The inner lock, for whatever changes a vSMMU */
DEFINE_GUARD(queue, struct smmuv3_vsmmu *, mutex_lock(&_T->queue_lock), smmuv3_unlock_queue(_T))

/**
 * struct fixture - A test's data, in kunit.priv
 * @mock: the host
 * @v: the vSMMU that fx_open_table() opened
 * @ring: the guest's command queue, in user memory
 * @table: the guest's stream table
 * @array: room for %ARRAY_LEN bytes
 * @run: struct for SMMUV3_ACCEL_RUN_CMDQ
 * @umem_end: end of the user memory; nothing is mapped here
 * @regs: the guest's registers; fx_set_regs() sets them
 * @log2size: log2 of the length of the command queue
 * @rnd: for dice()
 * @cmds: a test's commands
 * @seen: what fx_collect() found
 * @seen_num: how many
 */
struct fixture {
	struct mock *mock;
	struct smmuv3_vsmmu *v;
	void __user *ring;
	void __user *table;
	void __user *array;
	void __user *run;
	void __user *umem_end;
	struct smmuv3_regs regs;
	u32 log2size;
	struct rnd_state rnd;
	struct cmd cmds[MAX_RUN];
	struct cmd seen[MAX_RUN];
	u32 seen_num;
};

static inline struct mock *mock_of(struct kunit *test)
{
	return ((struct fixture *)test->priv)->mock;
}

/* A number below @below */
static inline u32 dice(struct fixture *f, u32 below)
{
	return prandom_u32_state(&f->rnd) % below;
}

int fx_init(struct kunit *test);
int fx_init_table(struct kunit *test);
void fx_exit(struct kunit *test);
void fx_expect_idle(struct kunit *test);

/**
 * struct result - The result of a call, which sets only the fields that it has
 * @rc: its errno
 * @done: how many commands are done
 * @error: the guest's command error
 * @reason: why
 * @flags: what a run found in the queue, except %SMMUV3_ACCEL_RUN_CFGI
 * @cfgi: a run set %SMMUV3_ACCEL_RUN_CFGI, which fx_run() checks. EXPECT_RESULT() does not
 * @feed_num: how many commands were fed
 * @bad_num: how many streams without a legal STE were reported
 * @vsid: the stream that failed
 * @bad_idr: of each ID register, the fields that are refused
 */
struct result {
	int rc;
	u32 done;
	u32 error;
	u32 reason;
	u32 flags;
	bool cfgi;
	u32 feed_num;
	u32 bad_num;
	u32 vsid;
	u32 bad_idr[6];
};

/* Expect a result. Fields that are not named must be 0. */
#define EXPECT_RESULT(test, call, ...) do {				\
	const struct result __want = { __VA_ARGS__ };			\
	const struct result __got = (call);				\
									\
	KUNIT_EXPECT_EQ(test, __got.rc, __want.rc);			\
	KUNIT_EXPECT_EQ(test, __got.done, __want.done);			\
	KUNIT_EXPECT_EQ(test, __got.error, __want.error);		\
	KUNIT_EXPECT_EQ(test, __got.reason, __want.reason);		\
	KUNIT_EXPECT_EQ(test, __got.flags, __want.flags);		\
	KUNIT_EXPECT_EQ(test, __got.feed_num, __want.feed_num);		\
	KUNIT_EXPECT_EQ(test, __got.bad_num, __want.bad_num);		\
	KUNIT_EXPECT_EQ(test, __got.vsid, __want.vsid);			\
	KUNIT_EXPECT_MEMEQ(test, __got.bad_idr, __want.bad_idr,		\
			   sizeof(__got.bad_idr));			\
} while (0)

/* Expect that @num commands are done, without an error, reason or flag. */
#define EXPECT_DONE(test, call, num)	EXPECT_RESULT(test, call, .done = num)

/* Expect that a call succeeds, without a reason or flag. */
#define EXPECT_OK(test, call)		EXPECT_RESULT(test, call)

/* Expect that the host has the same objects and attachments as before. */
#define EXPECT_UNCHANGED_MSG(test, before, fmt, ...) do {		\
	const struct mock_state __after = mock_state(mock_of(test));	\
									\
	KUNIT_EXPECT_MEMEQ_MSG(test, &__after, &(before), sizeof(__after), \
			       fmt, ##__VA_ARGS__);			\
} while (0)

#define EXPECT_UNCHANGED(test, before)	EXPECT_UNCHANGED_MSG(test, before, "changed")

/**
 * struct open_options - How fx_open() opens a vSMMU
 * @shared_asids: SMMUV3_ACCEL_CREATE_SHARED_ASIDS
 * @feed: SMMUV3_ACCEL_CREATE_FEED
 * @no_global: SMMUV3_ACCEL_CREATE_NO_GLOBAL
 * @filter: withhold TLBIs that a physical SMMU does not need. Most tests look at the
 *	commands and not at where they go, so it is off by default
 */
struct open_options {
	bool shared_asids;
	bool feed;
	bool no_global;
	bool filter;
};

struct smmuv3_vsmmu *fx_open_with(struct kunit *test, const struct open_options *options);
#define fx_open(test, ...)						\
	fx_open_with(test, &(const struct open_options){ __VA_ARGS__ })
struct smmuv3_vsmmu *fx_open_two(struct kunit *test);
struct smmuv3_vsmmu *fx_open_ats(struct kunit *test);
void fx_close(struct smmuv3_vsmmu *v);

/**
 * struct attach_options - What fx_attach() attaches
 * @fd: the device; -1: none
 * @vsid: its StreamID
 * @flags: combination of enum smmuv3_accel_attach_flags
 * @s2_hwpt_id: the stage-2 parent that the VMM names; 0: none
 * @answer: writes the result to the caller, and may fail; NULL: always succeeds
 * @arg: for @answer
 * @nested: another vSMMU is locked
 */
struct attach_options {
	int fd;
	u32 vsid;
	u32 flags;
	u32 s2_hwpt_id;
	int (*answer)(const struct smmuv3_accel_attach *cmd, void *arg);
	void *arg;
	bool nested;
};

extern const struct attach_options fx_streams[STREAMS];

struct result fx_attach_with(struct smmuv3_vsmmu *v, const struct attach_options *options);
struct smmuv3_stream *fx_must_attach_with(struct kunit *test, struct smmuv3_vsmmu *v,
					  const struct attach_options *options);
#define fx_attach(v, ...)						\
	fx_attach_with(v, &(const struct attach_options){ __VA_ARGS__ })
#define fx_must_attach(test, v, ...)					\
	fx_must_attach_with(test, v, &(const struct attach_options){ __VA_ARGS__ })
void fx_attach_all(struct kunit *test);

/* Expect that an attach fails and changes nothing. */
#define EXPECT_REFUSED(test, v, _rc, _reason, ...) do {			\
	const struct mock_state __before = mock_state(mock_of(test));	\
									\
	EXPECT_RESULT(test, fx_attach(v, __VA_ARGS__), .rc = _rc,	\
		      .reason = REASON(_reason));			\
	EXPECT_UNCHANGED(test, __before);				\
} while (0)

struct result fx_detach(struct smmuv3_vsmmu *v, u32 vsid);
void fx_must_detach(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid);
struct result fx_set_vsids(struct smmuv3_vsmmu *v, const struct smmuv3_accel_vsid *entries,
			   u32 num);

/* Change these StreamIDs, { old, new } each. */
#define SET_VSIDS(v, ...) ({						\
	const struct smmuv3_accel_vsid __entries[] = { __VA_ARGS__ };	\
									\
	fx_set_vsids(v, __entries, ARRAY_SIZE(__entries));		\
})

struct result fx_install(struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1);
void fx_must_install(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1);
struct result fx_reset(struct smmuv3_vsmmu *v);
struct result fx_set_idr(struct smmuv3_vsmmu *v, const u32 idr[6]);
struct result fx_change_process(struct smmuv3_vsmmu *v, int iommufd);
struct result fx_invalidate(struct kunit *test, struct smmuv3_vsmmu *v,
			    const struct cmd *cmds, u32 num);
struct smmuv3_accel_stream fx_describe(struct smmuv3_vsmmu *v, u32 vsid);

static inline struct smmuv3_stream *stream_of(struct smmuv3_vsmmu *v, u32 vsid)
{
	return xa_load(&v->streams, vsid);
}

static inline struct mock_dev *mock_dev_of(const struct smmuv3_stream *stream)
{
	return container_of(stream->dev, struct mock_dev, dev);
}

u32 fx_parent_of(struct kunit *test, const struct smmuv3_stream *stream);
void fx_expect_live(struct kunit *test, u32 phys, u32 vdevices, u32 s1);
void fx_expect_domain(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1);
void fx_expect_s1(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 page);
void fx_expect_aborts(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u32 reason);

/* Table mode, on f->v */
void fx_open_table_with(struct kunit *test, const struct open_options *options);
void fx_open_table(struct kunit *test);
struct result fx_set_regs(struct kunit *test);
void fx_must_set_regs(struct kunit *test);
void fx_set_cmdq(struct kunit *test, u32 log2size);
void fx_set_mem(struct kunit *test, const struct smmuv3_accel_mem_region *regions,
		u32 num);
void fx_set_whole_mem(struct kunit *test);
void fx_take_cds_away(struct kunit *test);
void fx_put_cd(struct kunit *test, u64 gpa, u16 asid);
void fx_put_ste(struct kunit *test, u32 vsid, u64 w0, u64 w1);
void fx_put_all_stes(struct kunit *test, u64 w0, u64 w1);

/**
 * struct start_options - What fx_start() starts
 * @ste: words 0 and 1 of all STEs; 0: stage 1, with ATS
 * @log2size: log2 of the length of the command queue; 0: a queue of 16 commands
 */
struct start_options {
	u64 ste[2];
	u32 log2size;
};

void fx_start_with(struct kunit *test, const struct start_options *options);
#define fx_start(test, ...)						\
	fx_start_with(test, &(const struct start_options){ __VA_ARGS__ })

/* ATS is offered only if the kernel has it. */
static inline void need_ats(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_PCI_ATS))
		kunit_skip(test, "the kernel has no PCI_ATS");
}

/**
 * struct run_options - What fx_run() runs
 * @cons: index of the first command
 * @cmds: commands to put into the ring first; NULL: run those that are there
 * @num: how many
 * @max_cmds: the most to run; 0: a lap
 * @feed: where to write the feed
 * @feed_room: for how many commands it has room
 * @bad: where to write streams without a legal STE
 * @bad_room: for how many streams it has room
 */
struct run_options {
	u32 cons;
	const struct cmd *cmds;
	u32 num;
	u32 max_cmds;
	void __user *feed;
	u32 feed_room;
	void __user *bad;
	u32 bad_room;
};

void fx_put_ring(struct kunit *test, u32 cons, const struct cmd *cmds, u32 num);
struct result fx_run_with(struct kunit *test, const struct run_options *options);
#define fx_run(test, ...)						\
	fx_run_with(test, &(const struct run_options){ __VA_ARGS__ })

/* Run these commands, from the start of the ring. */
#define RUN_CMDS(test, ...) ({						\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	fx_run(test, .cmds = __cmds, .num = ARRAY_SIZE(__cmds));	\
})

/* Put these commands at the start of the ring. */
#define PUT_CMDS(test, ...) do {					\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	fx_put_ring(test, 0, __cmds, ARRAY_SIZE(__cmds));		\
} while (0)

/* Commands */
static inline struct cmd cmd(u64 w0, u64 w1)
{
	return (struct cmd){ { cpu_to_le64(w0), cpu_to_le64(w1) } };
}

static inline struct cmd tlbi_va(u64 page)
{
	return cmd(CMD_TLBI_NH_VA | FIELD_PREP(TLBI_0_ASID, 7), page << 12);
}

/* Of (@num + 1) << @scale granules @tg */
static inline struct cmd tlbi_range(u64 page, u32 num, u32 scale, u32 tg, u32 ttl)
{
	return cmd(CMD_TLBI_NH_VA | FIELD_PREP(TLBI_0_ASID, 7) | FIELD_PREP(TLBI_0_NUM, num) |
			   FIELD_PREP(TLBI_0_SCALE, scale),
		   page << 12 | FIELD_PREP(TLBI_1_TG, tg) | FIELD_PREP(TLBI_1_TTL, ttl));
}

static inline struct cmd tlbi_all(void)
{
	return cmd(CMD_TLBI_NH_ALL, 0);
}

static inline struct cmd cfgi_cd(u32 vsid, u32 ssid)
{
	return cmd(CMD_CFGI_CD | FIELD_PREP(CMD_0_SID, vsid) |
		   FIELD_PREP(CMD_0_SSID, ssid), CFGI_1_LEAF);
}

static inline struct cmd cfgi_cd_all(u32 vsid)
{
	return cmd(CMD_CFGI_CD_ALL | FIELD_PREP(CMD_0_SID, vsid), 0);
}

static inline struct cmd cfgi_ste(u32 vsid)
{
	return cmd(CMD_CFGI_STE | FIELD_PREP(CMD_0_SID, vsid), CFGI_1_LEAF);
}

static inline struct cmd cfgi_range(u32 vsid, u32 range)
{
	return cmd(CMD_CFGI_STE_RANGE | FIELD_PREP(CMD_0_SID, vsid), range);
}

static inline struct cmd cfgi_all(void)
{
	return cfgi_range(0, CFGI_RANGE_ALL);
}

static inline struct cmd atc_inv(u32 vsid, u64 page)
{
	return cmd(CMD_ATC_INV | FIELD_PREP(CMD_0_SID, vsid), page << 12);
}

static inline struct cmd atc_inv_all(u32 vsid)
{
	return cmd(CMD_ATC_INV | FIELD_PREP(CMD_0_SID, vsid), ATC_INV_SIZE_ALL);
}

static inline struct cmd prefetch_addr(u32 vsid)
{
	return cmd(CMD_PREFETCH_ADDR | FIELD_PREP(CMD_0_SID, vsid), 0);
}

static inline struct cmd sync_cs(u32 cs)
{
	return cmd(CMD_SYNC | FIELD_PREP(SYNC_0_CS, cs), 0);
}

static inline struct cmd sync(void)
{
	return sync_cs(0);
}

static inline struct cmd sync_irq(void)
{
	return sync_cs(SYNC_CS_IRQ);
}

/* A CMD_SYNC with an MSI. Linux sets the attributes in any case. */
static inline struct cmd sync_msi(u32 cs, u64 address, u32 data)
{
	return cmd(CMD_SYNC | FIELD_PREP(SYNC_0_CS, cs) | SYNC_0_MSH | SYNC_0_MSIATTR |
		   FIELD_PREP(SYNC_0_MSIDATA, data), address);
}

/* Opcodes that do not exist, also 0, as in memory that the guest never wrote */
static inline struct cmd bad_cmd(u32 n)
{
	static const u8 opcodes[] = { 0, 0xff, 0x14, 0x47 };

	return cmd(opcodes[n % ARRAY_SIZE(opcodes)], 0);
}

static inline u8 opcode_of(const struct cmd *c)
{
	return FIELD_GET(CMD_0_OP, le64_to_cpu(c->w[0]));
}

/* Expect that host call @at of the log gave exactly these commands to an SMMU. */
void fx_expect_batch(struct kunit *test, u32 at, u32 smmu, const struct cmd *cmds, u32 num);
#define EXPECT_BATCH(test, at, smmu, ...) do {				\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	fx_expect_batch(test, at, smmu, __cmds, ARRAY_SIZE(__cmds));	\
} while (0)

/* Expect that host call @at read them at @from in the VMM; NULL: from the module. */
void fx_expect_from(struct kunit *test, u32 at, const void __user *from);

/* Expect that the calls that succeeded gave an SMMU exactly these, in this order. */
void fx_collect(struct kunit *test, u32 smmu);
void fx_expect_given(struct kunit *test, u32 smmu, const struct cmd *cmds, u32 num);
void fx_expect_both_given(struct kunit *test, const struct cmd *cmds, u32 num);
#define EXPECT_GIVEN(test, smmu, ...) do {				\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	fx_expect_given(test, smmu, __cmds, ARRAY_SIZE(__cmds));	\
} while (0)

/* Expect that the log has exactly these host calls. */
void fx_expect_ops(struct kunit *test, const enum mock_op *ops, u32 num);
#define EXPECT_OPS(test, ...) do {					\
	static const enum mock_op __ops[] = { __VA_ARGS__ };		\
									\
	fx_expect_ops(test, __ops, ARRAY_SIZE(__ops));			\
} while (0)

#endif
