// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of vsmmu.c, parent.c, stream.c and cmdq.c against the mock host:
 * lifetimes, the order of host calls, and each way in which a host call can
 * fail. Each of them ends with all vSMMUs closed and nothing left at the host.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "arch.h"
#include "compat.h"
#include "host_mock.h"
#include "smmuv3-accel.h"

#define VSID		0x10	/* of device 0, behind SMMU 0 */
#define VSID_OTHER	0x20	/* of device 4, behind SMMU 1 */
#define VSID_UNKNOWN	0x99
#define MAX_CMDS	(2 * SMMUV3_HOST_MAX_BATCH + 5)
#define UMEM_SIZE	PAGE_ALIGN(MAX_CMDS * sizeof(struct cmd))
#define UMEM_CMDS	(UMEM_SIZE / sizeof(struct cmd))

#define KIND(name)	SMMUV3_ACCEL_KIND_##name
#define REASON(name)	SMMUV3_ACCEL_REASON_##name
#define ERRATUM		IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI

#define STE_ABORT	STE_0_V
#define STE_BYPASS	(STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, STE_CONFIG_BYPASS))
#define STE_S1		(STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, STE_CONFIG_S1))
#define STE_S1_AT(page)	(STE_S1 | (u64)(page) << 12)
/* What an STE may hold and the host must not see: SHCFG, S1STALLD */
#define STE_1_IGNORED	(BIT_ULL(44) | STE_1_S1STALLD)

struct cmd {
	__le64 w[2];
};

static int test_vsmmu_init(struct kunit *test)
{
	struct mock *mock = mock_init(test);
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, 0, UMEM_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, (unsigned long)TASK_SIZE);
	mock->umem = (void __user *)addr;
	test->priv = mock;
	return 0;
}

static struct smmuv3_vsmmu *open_flags(struct kunit *test, u32 s2_hwpt_id, u32 flags)
{
	struct smmuv3_vsmmu *v = smmuv3_vsmmu_alloc();
	struct smmuv3_host *host;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, v);
	host = mock_open(test->priv, v);
	/* Another vSMMU may be locked, see other_attach(). */
	mutex_lock_nested(&v->lock, SINGLE_DEPTH_NESTING);
	scoped_guard(mutex, &v->queue_lock)
		rc = smmuv3_vsmmu_create(v, host, s2_hwpt_id, flags);
	mutex_unlock(&v->lock);
	KUNIT_ASSERT_EQ(test, rc, 0);
	return v;
}

static struct smmuv3_vsmmu *open_vsmmu(struct kunit *test, u32 s2_hwpt_id)
{
	return open_flags(test, s2_hwpt_id, 0);
}

static struct smmuv3_vsmmu *open_sharing(struct kunit *test, u32 s2_hwpt_id)
{
	return open_flags(test, s2_hwpt_id, SMMUV3_ACCEL_CREATE_SHARED_ASIDS);
}

static void close_vsmmu(struct smmuv3_vsmmu *v)
{
	container_of(v->host, struct mock_host, host)->v = NULL;
	smmuv3_vsmmu_close(v);
}

static void expect_idle(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct mock_state state = mock_state(mock);
	int i;

	for (i = 0; i < MOCK_KINDS; i++)
		KUNIT_EXPECT_EQ_MSG(test, state.live[i], 0, "kind %d", i);
	for (i = 0; i < MOCK_DEVS; i++) {
		KUNIT_EXPECT_EQ_MSG(test, state.held[i], 0, "device %d", i);
		KUNIT_EXPECT_LE(test, state.hwpt_id[i], MOCK_VMM_HWPT);
	}
	for (i = 0; i < MOCK_HOSTS; i++)
		KUNIT_EXPECT_FALSE(test, mock->hosts[i].open);
}

static void test_vsmmu_exit(struct kunit *test)
{
	struct mock *mock = test->priv;
	int i;

	if (!mock)
		return;
	for (i = 0; i < MOCK_HOSTS; i++)
		if (mock->hosts[i].v)
			close_vsmmu(mock->hosts[i].v);
	expect_idle(test);
}

static int attach_flags(struct smmuv3_vsmmu *v, int fd, u32 vsid, u32 flags, u32 *reason)
{
	struct smmuv3_refusal why = {};
	int rc;

	guard(mutex)(&v->lock);
	rc = smmuv3_vsmmu_attach(v, fd, vsid, flags, NULL, &why);
	*reason = why.reason;
	return rc;
}

static int attach_why(struct smmuv3_vsmmu *v, int fd, u32 vsid, struct smmuv3_refusal *why)
{
	*why = (struct smmuv3_refusal){};
	guard(mutex)(&v->lock);
	return smmuv3_vsmmu_attach(v, fd, vsid, 0, NULL, why);
}

static int attach(struct smmuv3_vsmmu *v, int fd, u32 vsid, u32 *reason)
{
	return attach_flags(v, fd, vsid, 0, reason);
}

static struct smmuv3_stream *must_attach(struct kunit *test, struct smmuv3_vsmmu *v,
					 int fd, u32 vsid)
{
	u32 reason;

	KUNIT_ASSERT_EQ(test, attach(v, fd, vsid, &reason), 0);
	return xa_load(&v->streams, vsid);
}

/* The parent that a stream is on, as the host knows it */
static u32 parent_of(struct kunit *test, const struct smmuv3_stream *stream)
{
	return mock_find(test->priv, stream->phys->viommu_id)->on->id;
}

static u32 must_attach_parent(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid)
{
	return parent_of(test, must_attach(test, v, fd, vsid));
}

/* A vSMMU of both physical SMMUs, with a stream behind each */
static struct smmuv3_vsmmu *open_two(struct kunit *test)
{
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);

	must_attach(test, v, 0, VSID);
	must_attach(test, v, 4, VSID_OTHER);
	return v;
}

static int detach(struct smmuv3_vsmmu *v, u32 vsid, u32 *reason)
{
	guard(mutex)(&v->lock);
	return smmuv3_vsmmu_detach(v, vsid, reason);
}

static void must_detach(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid)
{
	u32 reason;

	KUNIT_ASSERT_EQ(test, detach(v, vsid, &reason), 0);
}

/* Words 2 to 7 are none of the host's business. */
static int install(struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1, u32 *reason)
{
	const u64 ste[8] = { w0, w1, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL };

	guard(mutex)(&v->queue_lock);
	return smmuv3_vsmmu_install_ste(v, vsid, ste, reason);
}

static void must_install(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1)
{
	u32 reason;

	KUNIT_ASSERT_EQ(test, install(v, vsid, w0, w1, &reason), 0);
}

/* Device 0 is attached to a domain made of these words. */
static void expect_domain(struct kunit *test, u64 w0, u64 w1)
{
	struct mock *mock = test->priv;
	struct mock_obj *hwpt = mock_find(mock, mock->devs[0].hwpt_id);

	KUNIT_ASSERT_NOT_NULL(test, hwpt);
	KUNIT_EXPECT_EQ(test, hwpt->ste[0], w0);
	KUNIT_EXPECT_EQ(test, hwpt->ste[1], w1);
}

/* Of a physical SMMU: the parent, the vIOMMU, the domains to abort and bypass */
static void expect_live(struct kunit *test, u32 phys, u32 vdevices, u32 s1)
{
	struct mock_state state = mock_state(test->priv);

	KUNIT_EXPECT_EQ(test, state.live[MOCK_PARENT], phys);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VIOMMU], phys);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_NESTED], 2 * phys + s1);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VDEVICE], vdevices);
}

static struct cmd cmd(u64 w0, u64 w1)
{
	return (struct cmd){ { cpu_to_le64(w0), cpu_to_le64(w1) } };
}

static struct cmd cd(u32 vsid)
{
	return cmd(CMD_CFGI_CD_ALL | FIELD_PREP(CMD_0_SID, vsid), 0);
}

static struct cmd cd_of(u32 vsid, u32 ssid)
{
	return cmd(CMD_CFGI_CD | FIELD_PREP(CMD_0_SID, vsid) |
		   FIELD_PREP(CMD_0_SSID, ssid), CFGI_1_LEAF);
}

static struct cmd va(u64 page)
{
	return cmd(CMD_TLBI_NH_VA | FIELD_PREP(TLBI_0_ASID, 7), page << 12);
}

static struct cmd atc(u32 vsid)
{
	return cmd(CMD_ATC_INV | FIELD_PREP(CMD_0_SID, vsid), ATC_INV_SIZE_ALL);
}

static struct cmd sync(void)
{
	return cmd(CMD_SYNC, 0);
}

struct result {
	int rc;
	u32 done;
	u32 error;
	u32 reason;
	u32 vsid;
};

static struct result invalidate(struct kunit *test, struct smmuv3_vsmmu *v,
				const struct cmd *cmds, u32 num)
{
	struct mock *mock = test->priv;
	struct smmuv3_accel_invalidate inv = {
		.cmd_num = num,
		.cmds_uptr = (uintptr_t)mock->umem,
	};
	int rc;

	KUNIT_ASSERT_EQ(test, copy_to_user(mock->umem, cmds,
					   min(num, UMEM_CMDS) * sizeof(*cmds)), 0);
	mock->log_num = 0;
	scoped_guard(mutex, &v->queue_lock)
		rc = smmuv3_cmdq_invalidate(v, &inv);
	return (struct result){ rc, inv.cmd_num, inv.out_error, inv.out_reason,
				inv.out_vsid };
}

#define EXPECT_RESULT(test, r, _rc, _done, _error, _reason) do {	\
	struct kunit *__test = (test);					\
	struct result __r = (r);					\
									\
	KUNIT_EXPECT_EQ(__test, __r.rc, _rc);				\
	KUNIT_EXPECT_EQ(__test, __r.done, _done);			\
	KUNIT_EXPECT_EQ(__test, __r.error, SMMUV3_ACCEL_CERROR_##_error); \
	KUNIT_EXPECT_EQ(__test, __r.reason, REASON(_reason));		\
} while (0)

/* Call number @at had that SMMU invalidate just this. */
static void expect_batch(struct kunit *test, u32 at, u32 smmu,
			 const struct cmd *cmds, u32 num)
{
	struct mock *mock = test->priv;
	struct mock_call *call = &mock->log[at];

	KUNIT_ASSERT_LT(test, at, mock->log_num);
	KUNIT_ASSERT_EQ_MSG(test, call->op, MOCK_INVALIDATE, "call %u", at);
	KUNIT_EXPECT_EQ_MSG(test, call->smmu, smmu, "call %u", at);
	KUNIT_ASSERT_EQ_MSG(test, call->num, num, "call %u", at);
	KUNIT_EXPECT_MEMEQ_MSG(test, call->cmds, cmds, num * sizeof(*cmds),
			       "call %u", at);
}

#define NOWHERE		-1

/*
 * Call number @at left the commands where the VMM has them, from number @first
 * on, or had them from the module.
 */
static void expect_from(struct kunit *test, u32 at, int first)
{
	struct mock *mock = test->priv;

	KUNIT_ASSERT_LT(test, at, mock->log_num);
	KUNIT_EXPECT_PTR_EQ_MSG(test, (__force const void *)mock->log[at].from,
				first == NOWHERE ? NULL : (__force const void *)
				(mock->umem + first * sizeof(struct cmd)),
				"call %u", at);
}

#define EXPECT_BATCH(test, at, smmu, ...) do {				\
	const struct cmd __cmds[] = { __VA_ARGS__ };			\
									\
	expect_batch(test, at, smmu, __cmds, ARRAY_SIZE(__cmds));	\
} while (0)

static void attach_detach_close(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	struct smmuv3_stream *stream;
	u32 reason, i;

	scoped_guard(mutex, &v->lock)
		scoped_guard(mutex, &v->queue_lock)
			KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_create(v, v->host, 0, 0), -EBUSY);
	expect_live(test, 0, 0, 0);
	stream = must_attach(test, v, 0, VSID);
	expect_live(test, 1, 1, 0);
	expect_domain(test, STE_ABORT, 0);
	KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(NO_STE));
	must_attach(test, v, 1, VSID + 1);
	expect_live(test, 1, 2, 0);
	must_attach(test, v, 4, VSID_OTHER);
	expect_live(test, 2, 3, 0);
	must_install(test, v, VSID, STE_S1, 0);

	/* DMA is blocked first. TLBs are flushed with the SMMU's last stream. */
	mock->log_num = 0;
	must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, mock->log[0].op, MOCK_DETACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
	KUNIT_EXPECT_EQ(test, mock->devs[0].held, 0);
	expect_live(test, 2, 2, 0);
	mock->log_num = 0;
	must_detach(test, v, VSID + 1);
	KUNIT_EXPECT_EQ(test, mock->log[0].op, MOCK_DETACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 1);
	EXPECT_BATCH(test, 1, 0, cmd(CMD_TLBI_NH_ALL, 0));
	/* A vEVENTQ of the VMM's may hang on the vIOMMU. */
	expect_live(test, 2, 1, 0);

	KUNIT_EXPECT_EQ(test, detach(v, VSID, &reason), -ENOENT);
	KUNIT_EXPECT_EQ(test, reason, REASON(NO_STREAM));
	must_attach(test, v, 0, VSID);
	expect_live(test, 2, 2, 0);
	must_install(test, v, VSID, STE_S1, 0);

	/* All DMA is blocked, and the devices let go, before anything is destroyed. */
	mock->log_num = 0;
	close_vsmmu(v);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, mock->log[i].op, i % 2 ? MOCK_PUT : MOCK_DETACH);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 2);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[1].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[4].hwpt_id, 0);
	smmuv3_vsmmu_close(smmuv3_vsmmu_alloc());
}

static const struct attach_case {
	const char *name;
	bool vmm_parent;
	bool second_device;
	u32 calls;
} attach_cases[] = {
	{ "own parent", .calls = 8 },
	{ "VMM's parent", .vmm_parent = true, .calls = 8 },	/* with a flush */
	{ "second device", .second_device = true, .calls = 3 },
};

KUNIT_ARRAY_PARAM_DESC(attach, attach_cases, name);

/* Whichever call fails, nothing is left, and the next attempt works. */
static void attach_fails(struct kunit *test)
{
	const struct attach_case *c = test->param_value;
	struct mock *mock = test->priv;
	u32 parent = c->vmm_parent ? mock_vmm_parent(mock, 0) : 0;
	struct mock_state before, after;
	u32 n, reason;
	struct smmuv3_vsmmu *v;
	int rc;

	for (n = 1;; n++) {
		mock->log_num = 0;
		mock->devs[0].hwpt_id = MOCK_VMM_HWPT;
		v = open_vsmmu(test, parent);
		if (c->second_device)
			must_attach(test, v, 1, VSID + 1);
		before = mock_state(mock);

		/* Twice: an invalidation is made again after an error. */
		mock_fail(mock, MOCK_ANY, n, 2, -ENOMEM);
		rc = attach(v, 0, VSID, &reason);
		mock->fail_num = 0;
		if (!mock->failed)
			break;
		KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
		after = mock_state(mock);
		KUNIT_EXPECT_MEMEQ_MSG(test, &before, &after, sizeof(after), "call %u", n);
		KUNIT_EXPECT_EQ(test, v->phys_num, c->second_device);
		KUNIT_EXPECT_EQ(test, list_count_nodes(&v->phys), c->second_device);
		KUNIT_EXPECT_EQ(test, v->stream_num, c->second_device);
		KUNIT_EXPECT_EQ(test, xa_empty(&v->streams), !c->second_device);

		must_attach(test, v, 0, VSID);
		close_vsmmu(v);
		expect_idle(test);
	}
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_EQ(test, n, c->calls + 1);
	if (parent)
		KUNIT_EXPECT_EQ(test, parent_of(test, xa_load(&v->streams, VSID)), parent);
}

static void expect_refused_flags(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid,
				 u32 flags, int rc, u32 reason)
{
	struct mock_state before = mock_state(test->priv), after;
	u32 why;

	KUNIT_EXPECT_EQ(test, attach_flags(v, fd, vsid, flags, &why), rc);
	KUNIT_EXPECT_EQ(test, why, reason);
	after = mock_state(test->priv);
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
}

static void expect_refused(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid,
			   int rc, u32 reason)
{
	expect_refused_flags(test, v, fd, vsid, 0, rc, reason);
}

static void attach_refused(struct kunit *test)
{
	static const struct { enum mock_op op; int host_rc, rc; u32 reason; } errors[] = {
		{ MOCK_HW_INFO, -EOPNOTSUPP, -EOPNOTSUPP, REASON(NOT_SMMUV3) },
		{ MOCK_ALLOC + MOCK_PARENT, -EINVAL, -EINVAL, REASON(PARENT_REJECTED) },
		{ MOCK_ALLOC + MOCK_VIOMMU, -EOPNOTSUPP, -EOPNOTSUPP, REASON(NO_NESTING) },
		{ MOCK_ALLOC + MOCK_VDEVICE, -EOPNOTSUPP, -EOPNOTSUPP, REASON(MULTI_STREAM) },
		{ MOCK_ATTACH, -EBUSY, -EBUSY, REASON(RETRY) },
		{ MOCK_ATTACH, -ENODEV, -ENODEV, REASON(NO_POWER) },
	};
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	u32 *idr = mock->smmu[0].idr;
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		mock_fail(mock, errors[i].op, 1, 1, errors[i].host_rc);
		expect_refused(test, v, 0, VSID, errors[i].rc, errors[i].reason);
		KUNIT_EXPECT_EQ(test, mock->failed, 1);
	}
	expect_refused(test, v, MOCK_DEVS, VSID, -EINVAL, REASON(NOT_VFIO));

	/* Where it cannot nest no object is tried. */
	mock->log_num = 0;
	mock->devs[0].dev.canwbs = false;
	expect_refused(test, v, 0, VSID, -EOPNOTSUPP, REASON(NO_NESTING));
	idr[3] |= IDR3_FWB;
	idr[0] &= ~IDR0_S2P;
	expect_refused(test, v, 0, VSID, -EOPNOTSUPP, REASON(NO_NESTING));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
	idr[0] |= IDR0_S2P;
	must_attach(test, v, 0, VSID);

	expect_refused(test, v, 1, VSID, -EEXIST, REASON(VSID_IN_USE));
	expect_refused(test, v, 0, VSID + 1, -EBUSY, REASON(DEVICE_IN_USE));
	v->stream_num += SMMUV3_MAX_STREAMS - 1;
	expect_refused(test, v, 1, VSID + 1, -ENOSPC, REASON(TOO_MANY_STREAMS));
	v->stream_num -= SMMUV3_MAX_STREAMS - 1;
}

/* One transition with its n-th host call failing. Returns whether there is one. */
static bool try_transition(struct kunit *test, struct smmuv3_vsmmu *v, u64 from, u64 to, u32 n)
{
	struct mock *mock = test->priv;
	struct smmuv3_stream *stream = must_attach(test, v, 0, VSID);
	bool s1 = (to & STE_S1) == STE_S1;
	struct mock_state before, after;
	struct smmuv3_stream old;
	u32 reason;
	int rc;

	must_install(test, v, VSID, from, 0);
	old = *stream;
	before = mock_state(mock);

	mock->log_num = 0;
	mock_fail(mock, MOCK_ANY, n, 1, -ENOMEM);
	rc = install(v, VSID, to, 0, &reason);
	mock->fail_num = 0;
	after = mock_state(mock);

	if (!mock->failed) {
		/*
		 * It is in, without a moment in which DMA was blocked. The host
		 * invalidates cached CDs with the STE.
		 */
		KUNIT_EXPECT_EQ(test, rc, 0);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 0);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
		expect_domain(test, to, 0);
		expect_live(test, 1, 1, s1);
	} else if (to == STE_ABORT) {
		KUNIT_EXPECT_EQ(test, rc, 0);
		KUNIT_EXPECT_EQ(test, after.hwpt_id[0], 0);
		KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
		expect_live(test, 1, 1, 0);
	} else {
		KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
		KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
		KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
		KUNIT_EXPECT_MEMEQ(test, &stream->ste, &old.ste, sizeof(old.ste));
	}
	KUNIT_EXPECT_EQ(test, stream->hwpt_id, after.hwpt_id[0]);

	/* Repeating it is harmless, and it works now. */
	must_install(test, v, VSID, to, 0);
	expect_domain(test, to, 0);
	expect_live(test, 1, 1, s1);
	must_detach(test, v, VSID);
	expect_live(test, 1, 0, 0);
	return mock->failed;
}

static void install_fails(struct kunit *test)
{
	/* 0: abort, as a stream does that was just attached. */
	static const u64 from[] = { 0, STE_ABORT, STE_BYPASS, STE_S1 };
	static const struct { u64 ste; u32 calls; } to[] = {
		{ STE_ABORT, 1 }, { STE_BYPASS, 1 }, { STE_S1_AT(1), 2 },
	};
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	u32 n, calls;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(from); i++) {
		for (j = 0; j < ARRAY_SIZE(to); j++) {
			calls = to[j].ste == (from[i] ?: STE_ABORT) ? 0 : to[j].calls;
			for (n = 1; try_transition(test, v, from[i], to[j].ste, n); n++)
				;
			KUNIT_EXPECT_EQ_MSG(test, n, calls + 1, "%llx to %llx",
					    from[i], to[j].ste);
		}
	}
}

static void install_reasons(struct kunit *test)
{
	static const struct { int rc; u32 reason; } errors[] = {
		{ -ENOMEM, REASON(RETRY) },
		{ -EBUSY, REASON(RETRY) },
		{ -ENODEV, REASON(NO_POWER) },
		{ -EIO, REASON(HOST_REJECT) },
	};
	static const struct { u64 w0, w1; u32 reason; } bad[] = {
		{ 0, 0, REASON(STE_INVALID) },
		{ STE_ABORT, 0, REASON(STE_ABORT) },
		{ STE_0_V | FIELD_PREP_CONST(STE_0_CONFIG, 7), 0, REASON(STE_CONFIG) },
		{ STE_S1 | FIELD_PREP_CONST(STE_0_S1CDMAX, 9), 0, REASON(STE_S1CDMAX) },
		{ STE_S1 | FIELD_PREP_CONST(STE_0_S1CDMAX, 8), STE_S1DSS_RESERVED,
		  REASON(STE_S1DSS) },
	};
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	struct smmuv3_stream *stream = must_attach(test, v, 0, VSID);
	u32 reason;
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		mock_fail(mock, MOCK_ATTACH, 1, 1, errors[i].rc);
		KUNIT_EXPECT_EQ(test, install(v, VSID, STE_BYPASS, 0, &reason), errors[i].rc);
		KUNIT_EXPECT_EQ(test, reason, errors[i].reason);
		expect_domain(test, STE_ABORT, 0);
	}
	/* The guest's fault is no error: it aborts. */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		must_install(test, v, VSID, STE_S1, 0);
		KUNIT_EXPECT_EQ(test, install(v, VSID, bad[i].w0, bad[i].w1, &reason), 0);
		KUNIT_EXPECT_EQ(test, reason, bad[i].reason);
		KUNIT_EXPECT_EQ(test, stream->ste.reason, bad[i].reason);
		KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
		expect_domain(test, STE_ABORT, 0);
		expect_live(test, 1, 1, 0);
	}
	KUNIT_EXPECT_EQ(test, install(v, VSID_UNKNOWN, STE_BYPASS, 0, &reason), -ENOENT);
	KUNIT_EXPECT_EQ(test, reason, REASON(NO_STREAM));
}

/* What changes nothing costs no domain, but CDs may have changed. */
static void install_same(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	struct smmuv3_stream *stream = must_attach(test, v, 0, VSID);
	u32 reason;

	must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	must_install(test, v, VSID, STE_S1, STE_1_IGNORED);
	KUNIT_EXPECT_EQ(test, mock->log_num, 1);
	EXPECT_BATCH(test, 0, 0, cd(VSID));

	must_install(test, v, VSID, STE_BYPASS, 0);
	mock->log_num = 0;
	must_install(test, v, VSID, STE_BYPASS, STE_1_IGNORED);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);

	/* The CDs' invalidation fails, and its replay; again, and it works. */
	must_install(test, v, VSID, STE_S1, 0);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, install(v, VSID, STE_S1, 0, &reason), -ENOMEM);
	KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
	expect_domain(test, STE_S1, 0);
	mock->log_num = 0;
	must_install(test, v, VSID, STE_S1, 0);
	EXPECT_BATCH(test, 0, 0, cd(VSID));

	/* Whether EATS makes a difference to the host is for the device to say. */
	if (IS_ENABLED(CONFIG_PCI_ATS)) {
		mock->log_num = 0;
		must_install(test, v, VSID, STE_S1, FIELD_PREP(STE_1_EATS, STE_EATS_FULL));
		KUNIT_EXPECT_EQ(test, mock->log_num, 4);
		EXPECT_BATCH(test, 3, 0, cd(VSID));
		mock->log_num = 0;
		must_install(test, v, VSID, STE_S1, FIELD_PREP(STE_1_S1CIR, 1));
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
	}

	must_install(test, v, VSID, STE_ABORT, 0);
	mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, install(v, VSID, 0, 0, &reason), 0);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
	KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(STE_INVALID));
}

/* In three phases on the SMMUs concerned, the guest's order kept in each */
static void invalidate_fan_out(struct kunit *test)
{
	const struct cmd cmds[] = {
		va(1), cd(VSID_UNKNOWN), cd(VSID_OTHER), sync(), va(2), cd(VSID),
		cmd(CMD_PREFETCH_ADDR, 0), va(3), sync(),
	};
	const u32 num = ARRAY_SIZE(cmds);
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_two(test);
	u32 i;

	EXPECT_RESULT(test, invalidate(test, v, cmds, num), 0, num, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	EXPECT_BATCH(test, 0, 0, cd(VSID));
	EXPECT_BATCH(test, 1, 1, cd(VSID_OTHER));
	EXPECT_BATCH(test, 2, 0, va(1), va(2), va(3));
	EXPECT_BATCH(test, 3, 1, va(1), va(2), va(3));
	/* None is a stretch of the array. */
	for (i = 0; i < mock->log_num; i++)
		expect_from(test, i, NOWHERE);

	/* An SMMU stays one of the vSMMU's until close. */
	must_detach(test, v, VSID);
	EXPECT_RESULT(test, invalidate(test, v, cmds, num), 0, num, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	EXPECT_BATCH(test, 0, 1, cd(VSID_OTHER));
	EXPECT_BATCH(test, 1, 0, va(1), va(2), va(3));
	EXPECT_BATCH(test, 2, 1, va(1), va(2), va(3));

	EXPECT_RESULT(test, invalidate(test, v, cmds, 0), 0, 0, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

/* VSID has ATS, VSID_OTHER has not. */
static struct smmuv3_vsmmu *open_ats(struct kunit *test)
{
	struct smmuv3_vsmmu *v;

	if (!IS_ENABLED(CONFIG_PCI_ATS))
		kunit_skip(test, "the kernel has no PCI_ATS, so that ATS is not offered");
	v = open_two(test);
	must_install(test, v, VSID, STE_S1, FIELD_PREP(STE_1_EATS, STE_EATS_FULL));
	must_install(test, v, VSID_OTHER, STE_S1, 0);
	return v;
}

/* With the erratum on one SMMU: CFGIs and TLBIs twice there, ATC_INVs once */
static void invalidate_atc(struct kunit *test)
{
	const struct cmd cmds[] = {
		atc(VSID), va(1), atc(VSID_OTHER), atc(VSID_UNKNOWN), cd(VSID), sync(),
	};
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v;

	mock->smmu[0].flags = ERRATUM;
	v = open_ats(test);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 6), 0, 6, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 6);
	EXPECT_BATCH(test, 0, 0, cd(VSID));
	EXPECT_BATCH(test, 1, 0, cd(VSID));
	EXPECT_BATCH(test, 2, 0, va(1));
	EXPECT_BATCH(test, 3, 0, va(1));
	EXPECT_BATCH(test, 4, 1, va(1));
	EXPECT_BATCH(test, 5, 0, atc(VSID));

	/* Complete at once without EATS */
	must_install(test, v, VSID, STE_BYPASS, 0);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 1), 0, 1, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

static void invalidate_atc_timeout(struct kunit *test)
{
	const struct cmd cmds[] = {
		sync(), va(1), atc(VSID), va(2), sync(), cd(VSID), sync(),
	};
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_ats(test);

	mock_fail(mock, MOCK_INVALIDATE, 4, 9, -ETIMEDOUT);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 7), 0, 4, ATC_INV_SYNC, ATC_TIMEOUT);
	KUNIT_EXPECT_EQ(test, mock->failed, 1);

	/* Any other error is the host's. */
	must_install(test, v, VSID, STE_S1, FIELD_PREP(STE_1_EATS, STE_EATS_FULL));
	mock_fail(mock, MOCK_INVALIDATE, 4, 9, -ENOMEM);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 7), -ENOMEM, 0, NONE, RETRY);
	KUNIT_EXPECT_EQ(test, mock->failed, 2);
	EXPECT_BATCH(test, 3, 0, atc(VSID));
	EXPECT_BATCH(test, 4, 0, atc(VSID));
	mock->fail_num = 0;
}

/* The erratum on both SMMUs, wherever something is invalidated */
static void invalidate_erratum(struct kunit *test)
{
	const struct cmd cmds[] = { va(1), cd(VSID) };
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v;
	int i;

	for (i = 0; i < MOCK_SMMUS; i++)
		mock->smmu[i].flags = ERRATUM;
	v = open_two(test);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 2), 0, 2, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 6);
	for (i = 0; i < 2; i++) {
		EXPECT_BATCH(test, i, 0, cd(VSID));
		EXPECT_BATCH(test, 2 + i, 0, va(1));
		EXPECT_BATCH(test, 4 + i, 1, va(1));
	}
	/* A call that failed is neither of the two. */
	mock_fail(mock, MOCK_INVALIDATE, 1, 1, -EIO);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 1), 0, 1, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 5);

	must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	must_install(test, v, VSID, STE_S1, 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 2);
	mock->log_num = 0;
	must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 2);
}

/*
 * An error is answered by one replay of the whole batch, from what was checked:
 * the VMM's memory may have changed. A time-out is answered by none.
 */
static void invalidate_replay(struct kunit *test)
{
	const struct cmd cmds[] = { va(1), va(2), cd_of(VSID, 1), cd_of(VSID, 2), sync() };
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_two(test);
	struct result r;

	mock_fail(mock, MOCK_INVALIDATE, 2, 1, -EIO);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 5), 0, 5, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	EXPECT_BATCH(test, 0, 0, cd_of(VSID, 1), cd_of(VSID, 2));
	EXPECT_BATCH(test, 1, 0, va(1), va(2));
	EXPECT_BATCH(test, 2, 0, va(1), va(2));
	EXPECT_BATCH(test, 3, 1, va(1), va(2));
	expect_from(test, 0, 2);
	expect_from(test, 1, 0);
	expect_from(test, 2, NOWHERE);
	expect_from(test, 3, 0);

	mock->scribble = true;
	mock_fail(mock, MOCK_INVALIDATE, 1, 1, -EIO);
	EXPECT_RESULT(test, invalidate(test, v, &cmds[2], 2), 0, 2, NONE, NONE);
	EXPECT_BATCH(test, 1, 0, cd_of(VSID, 1), cd_of(VSID, 2));
	expect_from(test, 1, NOWHERE);
	mock->scribble = false;

	/* Where that fails too, no later phase is begun and nothing is done. */
	mock_fail(mock, MOCK_INVALIDATE, 1, 9, -ENOMEM);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 5), -ENOMEM, 0, NONE, RETRY);
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	EXPECT_BATCH(test, 1, 0, cd_of(VSID, 1), cd_of(VSID, 2));
	mock_fail(mock, MOCK_INVALIDATE, 2, 9, -EIO);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 5), -EIO, 0, NONE, HOST_REJECT);
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	EXPECT_BATCH(test, 2, 0, va(1), va(2));
	mock_fail(mock, MOCK_INVALIDATE, 1, 9, -ETIMEDOUT);
	r = invalidate(test, v, cmds, 5);
	KUNIT_EXPECT_EQ(test, r.rc, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, r.done, 0);
	KUNIT_EXPECT_EQ(test, r.error, SMMUV3_ACCEL_CERROR_NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 1);
	mock->fail_num = 0;
}

static void invalidate_bad(struct kunit *test)
{
	const struct cmd ill[] = { va(1), cd(VSID), cmd(0xff, 0), cd(VSID), va(2) };
	const struct cmd ste[] = { va(1), cmd(CMD_CFGI_STE, 0), va(2) };
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_two(test);

	EXPECT_RESULT(test, invalidate(test, v, ill, 5), 0, 2, ILL, CMD_OPCODE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	EXPECT_BATCH(test, 0, 0, cd(VSID));
	EXPECT_BATCH(test, 1, 0, va(1));
	EXPECT_BATCH(test, 2, 1, va(1));
	EXPECT_RESULT(test, invalidate(test, v, &ill[2], 3), 0, 0, ILL, CMD_OPCODE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);

	EXPECT_RESULT(test, invalidate(test, v, ste, 3), -EINVAL, 1, NONE, CMD_NEEDS_TABLE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	EXPECT_BATCH(test, 1, 1, va(1));

	/* What fails before it is reported before it. */
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	EXPECT_RESULT(test, invalidate(test, v, ill, 5), -ENOMEM, 0, NONE, RETRY);
}

/* An array that takes three host calls */
static void invalidate_long(struct kunit *test)
{
	const u32 max = SMMUV3_HOST_MAX_BATCH, num = 3 * max;
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	struct cmd *cmds;
	u32 i;

	must_attach(test, v, 0, VSID);
	cmds = kunit_kmalloc_array(test, num, sizeof(*cmds), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cmds);
	for (i = 0; i < num; i++)
		cmds[i] = va(i);
	EXPECT_RESULT(test, invalidate(test, v, cmds, MAX_CMDS), 0, MAX_CMDS, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	expect_batch(test, 0, 0, cmds, max);
	expect_batch(test, 1, 0, cmds + max, max);
	expect_batch(test, 2, 0, cmds + 2 * max, MAX_CMDS - 2 * max);
	for (i = 0; i < 3; i++)
		expect_from(test, i, i * max);

	mock_fail(mock, MOCK_INVALIDATE, 2, 2, -EIO);
	EXPECT_RESULT(test, invalidate(test, v, cmds, MAX_CMDS), -EIO, max, NONE, HOST_REJECT);
	KUNIT_EXPECT_EQ(test, mock->log_num, 3);
	expect_batch(test, 2, 0, cmds + max, max);

	mock->signal = true;
	EXPECT_RESULT(test, invalidate(test, v, cmds, MAX_CMDS), 0, max, NONE, NONE);
	EXPECT_RESULT(test, invalidate(test, v, cmds, MAX_CMDS), -EINTR, 0, NONE, NONE);
	mock->signal = false;
	clear_thread_flag(TIF_SIGPENDING);

	/* What there is of them is done. */
	KUNIT_ASSERT_LT(test, UMEM_CMDS, num);
	EXPECT_RESULT(test, invalidate(test, v, cmds, num), -EFAULT, UMEM_CMDS, NONE, NONE);
	EXPECT_RESULT(test, invalidate(test, v, cmds, SMMUV3_MAX_CMDS + 1),
		      -EINVAL, 0, NONE, NONE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);

	cmds[max + 7] = cmd(0xff, 0);
	EXPECT_RESULT(test, invalidate(test, v, cmds, MAX_CMDS), 0, max + 7, ILL, CMD_OPCODE);
	KUNIT_EXPECT_EQ(test, mock->log_num, 2);
	expect_batch(test, 1, 0, cmds + max, 7);
}

/* Guests that share a parent would hit each other's ASIDs. */
static void parents_in_use(struct kunit *test)
{
	struct mock *mock = test->priv;
	u32 parent = mock_vmm_parent(mock, 0), own;
	struct smmuv3_vsmmu *v, *w;

	/* The VMM's is for the first SMMU alone. */
	v = open_vsmmu(test, parent);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, v, 0, VSID), parent);
	own = must_attach_parent(test, v, 4, VSID_OTHER);
	KUNIT_EXPECT_NE(test, own, parent);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);

	/* By its ID, whoever made it */
	w = open_vsmmu(test, own);
	expect_refused(test, w, 5, VSID, -EBUSY, REASON(PARENT_IN_USE));
	w = open_vsmmu(test, parent);
	expect_refused(test, w, 1, VSID, -EBUSY, REASON(PARENT_IN_USE));
	/* In use until close, not until the last DETACH */
	must_detach(test, v, VSID);
	expect_refused(test, w, 1, VSID, -EBUSY, REASON(PARENT_IN_USE));
	close_vsmmu(v);
	must_attach(test, w, 1, VSID);

	/* One that is not named is new, and the same ID elsewhere is another. */
	v = open_vsmmu(test, 0);
	KUNIT_EXPECT_NE(test, must_attach_parent(test, v, 0, VSID), parent);
	v = open_vsmmu(test, parent);
	v->host->owner = test;
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, v, 2, VSID), parent);
}

static void parents_rejected(struct kunit *test)
{
	struct mock *mock = test->priv;
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = open_vsmmu(test, parent);

	/* Not this SMMU's, which gets one of its own */
	must_attach(test, v, 4, VSID_OTHER);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, v, 0, VSID), parent);
	v = open_vsmmu(test, ~0U);
	expect_refused(test, v, 1, VSID, -ENOENT, REASON(PARENT_REJECTED));
}

/* What was made for one iommufd, IOAS and SMMU is for all with the flag. */
static void parents_shared(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_sharing(test, 0), *w = open_sharing(test, 0), *x;
	u32 first = must_attach_parent(test, v, 0, VSID);
	u32 second = must_attach_parent(test, v, 4, VSID_OTHER), own;
	int i;

	KUNIT_EXPECT_NE(test, first, second);
	mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, w, 5, VSID_OTHER), second);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, w, 1, VSID), first);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);

	/* Not without the flag, nor from elsewhere, whichever comes later */
	for (i = 0; i < 4; i++) {
		own = i == 3 ? mock_vmm_parent(mock, 0) : 0;
		x = open_flags(test, own, i ? SMMUV3_ACCEL_CREATE_SHARED_ASIDS : 0);
		if (i == 1)
			x->host->owner = test;
		if (i == 2)
			x->host->ioas_id++;
		KUNIT_EXPECT_NE(test, must_attach_parent(test, x, 2, VSID), first);
		must_detach(test, w, VSID);
		close_vsmmu(w);
		/*
		 * Nobody knows which IOAS the VMM's own is made from, so it is
		 * for those that name it.
		 */
		w = open_sharing(test, 0);
		KUNIT_EXPECT_EQ(test, must_attach_parent(test, w, 1, VSID), first);
		close_vsmmu(x);
	}
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 2);
}

static void parents_named_shared(struct kunit *test)
{
	struct mock *mock = test->priv;
	u32 parent = mock_vmm_parent(mock, 0), made;
	struct smmuv3_vsmmu *v = open_sharing(test, parent), *w = open_sharing(test, parent), *x;

	/* It was tried where it does not fit, and is as free as before. */
	made = must_attach_parent(test, v, 4, VSID_OTHER);
	x = open_vsmmu(test, parent);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, x, 0, VSID), parent);
	expect_refused(test, v, 1, VSID, -EBUSY, REASON(PARENT_IN_USE));
	close_vsmmu(x);

	KUNIT_EXPECT_EQ(test, must_attach_parent(test, v, 0, VSID), parent);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, w, 1, VSID), parent);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, w, 5, VSID_OTHER), made);
	x = open_vsmmu(test, parent);
	expect_refused(test, x, 2, VSID, -EBUSY, REASON(PARENT_IN_USE));
	close_vsmmu(v);
	expect_refused(test, x, 2, VSID, -EBUSY, REASON(PARENT_IN_USE));
	close_vsmmu(w);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, x, 2, VSID), parent);

	/* One that was made is to be had by its name as well. */
	v = open_sharing(test, 0);
	made = must_attach_parent(test, v, 0, VSID);
	w = open_sharing(test, made);
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, w, 1, VSID), made);
	close_vsmmu(v);
	KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, made));
	close_vsmmu(w);
	KUNIT_EXPECT_NULL(test, mock_find(mock, made));
}

/* Other errors are no answer to whether it fits. */
static void parents_named_fails(struct kunit *test)
{
	static const struct { int rc; u32 reason; } errors[] = {
		{ -ENOMEM, REASON(RETRY) },
		{ -ENOENT, REASON(PARENT_REJECTED) },
		{ -EOPNOTSUPP, REASON(NO_NESTING) },
	};
	struct mock *mock = test->priv;
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = open_sharing(test, parent);
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		mock->log_num = 0;
		mock_fail(mock, MOCK_ALLOC + MOCK_VIOMMU, 1, 1, errors[i].rc);
		expect_refused(test, v, 0, VSID, errors[i].rc, errors[i].reason);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
	}
	KUNIT_EXPECT_EQ(test, must_attach_parent(test, v, 0, VSID), parent);
}

/* Whatever fails, a parent has those users that have it. */
static void parents_share_fails(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct mock_state before, after;
	struct smmuv3_vsmmu *v, *w;
	u32 n, reason;
	int rc;

	for (n = 1;; n++) {
		mock->devs[0].hwpt_id = MOCK_VMM_HWPT;
		v = open_sharing(test, 0);
		w = open_sharing(test, 0);
		must_attach(test, v, 1, VSID);
		before = mock_state(mock);
		mock->log_num = 0;
		mock_fail(mock, MOCK_ANY, n, 1, -ENOMEM);
		rc = attach(w, 0, VSID, &reason);
		mock->fail_num = 0;
		if (!mock->failed)
			break;
		KUNIT_EXPECT_EQ(test, rc, -ENOMEM);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 0);
		after = mock_state(mock);
		KUNIT_EXPECT_MEMEQ_MSG(test, &before, &after, sizeof(after), "call %u", n);
		close_vsmmu(v);
		KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 0);
		close_vsmmu(w);
		expect_idle(test);
	}
	KUNIT_EXPECT_EQ(test, rc, 0);
	/* All but the parent */
	KUNIT_EXPECT_EQ(test, n, 8);
}

/* What another vSMMU does while the first one, which is locked, calls the host */
static struct smmuv3_vsmmu *other;

static int other_attach(u32 *reason)
{
	struct smmuv3_refusal why = {};
	int rc;

	mutex_lock_nested(&other->lock, SINGLE_DEPTH_NESTING);
	rc = smmuv3_vsmmu_attach(other, 1, VSID, 0, NULL, &why);
	mutex_unlock(&other->lock);
	*reason = why.reason;
	return rc;
}

static void other_has(struct kunit *test, u32 parent)
{
	u32 reason;

	other = open_sharing(test, parent);
	KUNIT_ASSERT_EQ(test, other_attach(&reason), 0);
	KUNIT_EXPECT_EQ(test, parent_of(test, xa_load(&other->streams, VSID)), parent);
}

static void other_has_to_wait(struct kunit *test, u32 parent)
{
	u32 reason;

	other = open_sharing(test, parent);
	KUNIT_EXPECT_EQ(test, other_attach(&reason), -EBUSY);
	KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
}

/* The host gives the ID away again at once. */
static void other_gets_the_id(struct kunit *test, u32 parent)
{
	struct mock *mock = test->priv;
	u32 reason;

	mock->last_id = parent - 1;
	other = open_sharing(test, 0);
	KUNIT_ASSERT_EQ(test, other_attach(&reason), 0);
	KUNIT_EXPECT_EQ(test, parent_of(test, xa_load(&other->streams, VSID)), parent);
}

/* It makes one itself, and a third one names the one that is not wanted now. */
static void other_is_faster(struct kunit *test, u32 parent)
{
	struct mock *mock = test->priv;
	u32 reason;

	other = open_sharing(test, 0);
	KUNIT_ASSERT_EQ(test, other_attach(&reason), 0);
	KUNIT_EXPECT_NE(test, parent_of(test, xa_load(&other->streams, VSID)), parent);
	mock_meanwhile(mock, MOCK_DESTROY, other_has_to_wait);
}

/* One that is being made has no name yet: who guesses it has it, alone. */
static void parents_named_when_made(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	u32 made, reason;

	mock_meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, other_has);
	KUNIT_EXPECT_EQ(test, attach(v, 0, VSID, &reason), -EBUSY);
	KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
	made = must_attach_parent(test, v, 0, VSID);
	KUNIT_EXPECT_NE(test, parent_of(test, xa_load(&other->streams, VSID)), made);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 2);
	close_vsmmu(other);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);
	close_vsmmu(v);

	/* Two that share do that here as well. */
	v = open_sharing(test, 0);
	mock_meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, other_has);
	KUNIT_EXPECT_EQ(test, attach(v, 0, VSID, &reason), -EBUSY);
	KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
	made = must_attach_parent(test, v, 0, VSID);
	KUNIT_EXPECT_EQ(test, parent_of(test, xa_load(&other->streams, VSID)), made);
	close_vsmmu(other);
	KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, made));
}

/* One that is being destroyed is nobody's. */
static void parents_named_when_destroyed(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_sharing(test, 0);

	must_attach(test, v, 0, VSID);
	mock_meanwhile(mock, MOCK_DESTROY, other_has_to_wait);
	close_vsmmu(v);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	expect_refused(test, other, 1, VSID, -ENOENT, REASON(PARENT_REJECTED));

	/* Its ID may be another one's before it is forgotten. */
	v = open_sharing(test, 0);
	must_attach(test, v, 0, VSID);
	mock_meanwhile(mock, MOCK_DESTROYED, other_gets_the_id);
	close_vsmmu(v);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	v = open_sharing(test, parent_of(test, xa_load(&other->streams, VSID)));
	must_attach(test, v, 0, VSID);
	close_vsmmu(v);
	close_vsmmu(other);

	/* Nor is one that was made for nothing anybody's. */
	v = open_sharing(test, 0);
	mock_meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, other_is_faster);
	must_attach(test, v, 0, VSID);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	KUNIT_EXPECT_EQ(test, mock_state(mock).live[MOCK_PARENT], 1);
}

static u32 times_destroyed(const struct mock *mock, u32 id)
{
	u32 i, num = 0;

	for (i = 0; i < mock->log_num; i++)
		num += mock->log[i].op == MOCK_DESTROY && mock->log[i].id == id;
	return num;
}

static const struct last_user_case {
	const char *name;
	u8 order[3];
	bool unreachable;
} last_user_cases[] = {
	{ "first to last", { 0, 1, 2 } },
	{ "last to first", { 2, 1, 0 } },
	{ "middle first", { 1, 0, 2 } },
	{ "elsewhere", { 2, 0, 1 }, .unreachable = true },
};

KUNIT_ARRAY_PARAM_DESC(last_user, last_user_cases, name);

/* A parent is destroyed once, by whoever is the last. */
static void parents_last_user(struct kunit *test)
{
	const struct last_user_case *c = test->param_value;
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v[3];
	u32 parent = 0;
	int i;

	for (i = 0; i < 3; i++) {
		v[i] = open_sharing(test, 0);
		parent = must_attach_parent(test, v[i], i, VSID);
	}
	mock->log_num = 0;
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_NOT_NULL(test, mock_find(mock, parent));
		KUNIT_EXPECT_EQ(test, times_destroyed(mock, parent), 0);
		mock_set_reachable(mock, !c->unreachable);
		close_vsmmu(v[c->order[i]]);
	}
	KUNIT_EXPECT_EQ(test, times_destroyed(mock, parent), !c->unreachable);
	if (c->unreachable) {
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DESTROY), 0);
		mock_iommufd_gone(mock);
	}
	expect_idle(test);

	/* It is no more to be had, also not from who did not destroy it. */
	mock_set_reachable(mock, true);
	mock->log_num = 0;
	must_attach(test, open_sharing(test, 0), 3, VSID);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ALLOC + MOCK_PARENT), 1);
}

/*
 * Where the parent lives on, what the TLBs hold of a vSMMU goes when it is closed:
 * the guest may give its ASIDs to another one's devices.
 */
static void parents_close_flushes(struct kunit *test)
{
	const struct cmd flush = cmd(CMD_TLBI_NH_ALL, 0);
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v, *w = open_sharing(test, 0);
	struct mock_call *call;
	u32 i, at, parent;

	parent = must_attach_parent(test, w, 1, VSID);
	v = open_sharing(test, 0);
	KUNIT_ASSERT_EQ(test, must_attach_parent(test, v, 0, VSID), parent);
	must_install(test, v, VSID, STE_S1, 0);
	mock->log_num = 0;
	close_vsmmu(v);

	/* After DMA was blocked */
	for (i = 0, at = mock->log_num; i < mock->log_num; i++) {
		call = &mock->log[i];
		if (call->op == MOCK_DETACH)
			at = i;
		if (call->op == MOCK_INVALIDATE && at < i &&
		    !memcmp(call->cmds, &flush, sizeof(flush)))
			break;
	}
	KUNIT_EXPECT_LT(test, i, mock->log_num);
}

/* Call number @at flushes an SMMU's TLBs, and is the only one that invalidates. */
static void expect_one_flush(struct kunit *test, u32 at, u32 smmu)
{
	KUNIT_EXPECT_EQ(test, mock_count(test->priv, MOCK_INVALIDATE), 1);
	EXPECT_BATCH(test, at, smmu, cmd(CMD_TLBI_NH_ALL, 0));
}

/* Whoever attaches next makes up for a flush, before the device can use the TLBs. */
static void expect_attach_flushes(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid)
{
	struct mock *mock = test->priv;

	mock->log_num = 0;
	must_attach(test, v, fd, vsid);
	KUNIT_ASSERT_GE(test, mock->log_num, 2);
	KUNIT_EXPECT_EQ(test, mock->log[mock->log_num - 1].op, MOCK_ATTACH);
	expect_one_flush(test, mock->log_num - 2, 0);
}

static void expect_attach_does_not(struct kunit *test, struct smmuv3_vsmmu *v, int fd, u32 vsid)
{
	struct mock *mock = test->priv;

	mock->log_num = 0;
	must_attach(test, v, fd, vsid);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
}

/* Closed from elsewhere, a vSMMU leaves its flush to those that share its parent. */
static void parents_close_pending(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v, *w = open_sharing(test, 0), *x = open_sharing(test, 0);
	u32 parent = must_attach_parent(test, w, 1, VSID), i;

	mock->left = true;
	for (i = 0; i < 2; i++) {
		v = open_sharing(test, 0);
		KUNIT_ASSERT_EQ(test, must_attach_parent(test, v, i ? 3 : 0, VSID), parent);
		must_install(test, v, VSID, STE_S1, 0);
		mock_set_reachable(mock, false);
		close_vsmmu(v);
		mock_set_reachable(mock, true);
		/* One that shares it already, then one that comes */
		expect_attach_flushes(test, i ? x : w, 2, VSID + 1);
		must_detach(test, i ? x : w, VSID + 1);
		expect_attach_does_not(test, w, 2, VSID + 1);
		must_detach(test, w, VSID + 1);
	}
	/* Without a stream it leaves nothing in the TLBs. */
	must_attach(test, x, 2, VSID);
	must_detach(test, x, VSID);
	mock_set_reachable(mock, false);
	close_vsmmu(x);
	mock_set_reachable(mock, true);
	expect_attach_does_not(test, w, 2, VSID + 1);
	close_vsmmu(w);
	mock_iommufd_gone(mock);
}

/* A flush that fails is made up for by the parent's next user, whoever that is. */
static void parents_flush_fails(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_sharing(test, 0), *w = open_sharing(test, 0);
	struct mock_state before, after;
	u32 reason;

	must_attach(test, v, 0, VSID);
	must_attach(test, w, 1, VSID);
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -EIO);
	must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, mock->failed, 2);

	/* It fails again, and the device is not attached. */
	before = mock_state(mock);
	mock->log_num = 0;
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, attach(w, 2, VSID + 1, &reason), -ENOMEM);
	KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ATTACH), 0);
	after = mock_state(mock);
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));

	expect_attach_flushes(test, w, 2, VSID + 1);
	expect_attach_does_not(test, v, 0, VSID);
	/* A flush for another reason serves as well. */
	mock_fail(mock, MOCK_INVALIDATE, 1, 2, -EIO);
	must_detach(test, v, VSID);
	scoped_guard(mutex, &w->queue_lock)
		KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_reset(w, &reason), 0);
	expect_attach_does_not(test, v, 0, VSID);
}

/* Another vSMMU leaves the parent, and cannot flush. */
static void other_leaves(struct kunit *test, u32 parent)
{
	struct smmuv3_stream *stream = xa_load(&other->streams, VSID);

	KUNIT_EXPECT_EQ(test, parent_of(test, stream), parent);
	smmuv3_parent_set_pending(stream->phys->parent);
}

/* What becomes pending during a flush is not done by it. */
static void parents_pending_meanwhile(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_sharing(test, 0);
	u32 reason, fails;

	other = open_sharing(test, 0);
	must_attach(test, v, 0, VSID);
	must_attach(test, other, 1, VSID);
	for (fails = 0; fails < 2; fails++) {
		mock_fail(mock, MOCK_INVALIDATE, 1, 2, -EIO);
		must_detach(test, v, VSID);
		mock_meanwhile(mock, MOCK_INVALIDATE, other_leaves);
		mock_fail(mock, MOCK_INVALIDATE, 1, 2 * fails, -EIO);
		KUNIT_EXPECT_EQ(test, attach(v, 0, VSID, &reason), fails ? -EIO : 0);
		KUNIT_EXPECT_NULL(test, mock->meanwhile);
		expect_attach_flushes(test, v, 2, VSID + 1);
		expect_attach_does_not(test, v, 3, VSID + 2);
		must_detach(test, v, VSID + 1);
		must_detach(test, v, VSID + 2);
		if (fails)
			must_attach(test, v, 0, VSID);
	}
	must_detach(test, v, VSID);

	/* Also if nothing was pending when it began */
	mock_meanwhile(mock, MOCK_INVALIDATE, other_leaves);
	scoped_guard(mutex, &v->queue_lock)
		KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_reset(v, &reason), 0);
	KUNIT_EXPECT_NULL(test, mock->meanwhile);
	expect_attach_flushes(test, v, 0, VSID);
	expect_attach_does_not(test, v, 2, VSID + 1);
}

#define BRIDGE		SMMUV3_ACCEL_ATTACH_BRIDGE
#define FEED	SMMUV3_ACCEL_ATTACH_FEED

/* Of a stream without a device the host never hears. */
static void hostless(struct kunit *test)
{
	static const u64 stes[] = { STE_S1, STE_S1_AT(1), STE_S1_AT(1), STE_BYPASS, 0, STE_S1 };
	const struct cmd cmds[] = { cd(VSID), cd_of(VSID, 0), cd(VSID_OTHER), sync() };
	const struct cmd ats[] = { atc(VSID), sync() };
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_flags(test, 0, SMMUV3_ACCEL_CREATE_FEED);
	u32 kind, i, reason, own = 0x30, unchanged = 0;
	struct smmuv3_stream *stream;
	int beside;

	/* Alone, then beside a device */
	for (beside = 0; beside < 2; beside++) {
		for (kind = BRIDGE; kind <= FEED; kind++) {
			mock->log_num = 0;
			KUNIT_ASSERT_EQ(test, attach_flags(v, -1, VSID, kind, &reason), 0);
			stream = xa_load(&v->streams, VSID);
			KUNIT_EXPECT_EQ(test, v->stream_num, beside + 1);
			KUNIT_EXPECT_EQ(test, v->feed_stream_num, kind == FEED);
			KUNIT_EXPECT_NULL(test, stream->phys);
			KUNIT_EXPECT_EQ(test, stream->ste.kind, KIND(ABORT));
			KUNIT_EXPECT_EQ(test, stream->ste.reason, REASON(NO_STE));
			for (i = 0; i < ARRAY_SIZE(stes); i++) {
				must_install(test, v, VSID, stes[i], 0);
				KUNIT_EXPECT_EQ(test, stream->ste.data[0],
						(stes[i] & STE_S1) == STE_S1 ? stes[i] : 0);
				/* Not even noted */
				KUNIT_EXPECT_TRUE(test, list_empty(&v->stale_cds));
			}
			/* One was the same as that before it. */
			KUNIT_EXPECT_EQ(test, v->stats.out_ste_unchanged, ++unchanged);
			KUNIT_EXPECT_EQ(test, mock->log_num, 0);
			EXPECT_RESULT(test, invalidate(test, v, cmds, 4), 0, 4, NONE, NONE);
			KUNIT_EXPECT_EQ(test, mock->log_num, 0);
			if (beside && IS_ENABLED(CONFIG_PCI_ATS)) {
				EXPECT_RESULT(test, invalidate(test, v, ats, 2), 0, 2, NONE,
					      NONE);
				KUNIT_EXPECT_EQ(test, mock->log_num, 0);
			}
			must_detach(test, v, VSID);
			KUNIT_EXPECT_EQ(test, mock->log_num, 0);
			KUNIT_EXPECT_EQ(test, v->stream_num, beside);
			KUNIT_EXPECT_EQ(test, v->feed_stream_num, 0);
		}
		if (!beside)
			must_attach(test, v, 0, own);
	}

	/* At close only the device's is. */
	KUNIT_ASSERT_EQ(test, attach_flags(v, -1, VSID, FEED, &reason), 0);
	KUNIT_ASSERT_EQ(test, attach_flags(v, -1, VSID + 1, BRIDGE, &reason), 0);
	mock->log_num = 0;
	close_vsmmu(v);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 1);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_PUT), 1);
}

static void hostless_refused(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_flags(test, 0, SMMUV3_ACCEL_CREATE_FEED);
	u32 kind, reason;

	for (kind = BRIDGE; kind <= FEED; kind++) {
		expect_refused_flags(test, v, 0, VSID, kind, -EINVAL, REASON(HAS_DEVICE));
		expect_refused_flags(test, v, -2, VSID, kind, -EINVAL, REASON(HAS_DEVICE));
		KUNIT_ASSERT_EQ(test, attach_flags(v, -1, VSID, kind, &reason), 0);
		expect_refused(test, v, 0, VSID, -EEXIST, REASON(VSID_IN_USE));
		expect_refused_flags(test, v, -1, VSID, kind, -EEXIST, REASON(VSID_IN_USE));
		v->stream_num += SMMUV3_MAX_STREAMS - 1;
		expect_refused_flags(test, v, -1, VSID + 1, kind, -ENOSPC,
				     REASON(TOO_MANY_STREAMS));
		v->stream_num -= SMMUV3_MAX_STREAMS - 1;
		must_detach(test, v, VSID);
	}
	close_vsmmu(v);

	v = open_vsmmu(test, 0);
	expect_refused_flags(test, v, -1, VSID, FEED, -EOPNOTSUPP, REASON(NO_FEED));
	KUNIT_EXPECT_EQ(test, attach_flags(v, -1, VSID, BRIDGE, &reason), 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_GET), 0);
}

/* The smallest SIDSIZE counts, as soon as it is known. */
static void vsid_range(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_vsmmu(test, 0);
	u32 kind, reason;

	mock->smmu[0].idr[1] = FIELD_PREP(IDR1_SIDSIZE, 32);
	mock->smmu[1].idr[1] = FIELD_PREP(IDR1_SIDSIZE, 8);

	KUNIT_EXPECT_EQ(test, attach_flags(v, -1, U32_MAX, BRIDGE, &reason), 0);
	must_detach(test, v, U32_MAX);
	expect_refused(test, v, 4, 0x100, -EINVAL, REASON(VSID_RANGE));
	/* An SMMU that was refused leaves no limit behind. */
	must_attach(test, v, 0, U32_MAX);
	must_attach(test, v, 4, 0xff);
	expect_refused(test, v, 1, 0x100, -EINVAL, REASON(VSID_RANGE));
	expect_refused(test, v, 5, 0x100, -EINVAL, REASON(VSID_RANGE));
	for (kind = 0; kind <= BRIDGE; kind++) {
		expect_refused_flags(test, v, kind ? -1 : 1, 0x100, kind, -EINVAL,
				     REASON(VSID_RANGE));
		KUNIT_EXPECT_EQ(test, attach_flags(v, kind ? -1 : 1, 0xfe, kind, &reason), 0);
		must_detach(test, v, 0xfe);
	}
}

/*
 * A flush of CDs that fails stays to be done, by whatever STE is given next, and
 * is for streams only that still have a stage 1 then.
 */
static void stale_cds(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_two(test);
	u32 reason, n;

	for (n = 0; n < 5; n++) {
		must_install(test, v, VSID, STE_S1, 0);
		must_install(test, v, VSID_OTHER, STE_S1, 0);
		mock_fail(mock, MOCK_INVALIDATE, 1, 2, -ENOMEM);
		KUNIT_EXPECT_EQ(test, install(v, VSID, STE_S1, 0, &reason), -ENOMEM);
		KUNIT_EXPECT_EQ(test, reason, REASON(RETRY));
		mock->log_num = 0;
		switch (n) {
		case 0:		/* Another stream's STE */
			must_install(test, v, VSID_OTHER, STE_S1_AT(1), 0);
			EXPECT_BATCH(test, mock->log_num - 1, 0, cd(VSID));
			KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 1);
			break;
		case 1:		/* The same again, noted once */
			must_install(test, v, VSID, STE_S1, 0);
			EXPECT_BATCH(test, 0, 0, cd(VSID));
			KUNIT_EXPECT_EQ(test, mock->log_num, 1);
			break;
		case 2:		/* One that the host sends a CFGI_STE for */
			must_install(test, v, VSID, STE_S1_AT(2), 0);
			KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
			break;
		case 3:
			must_install(test, v, VSID, STE_ABORT, 0);
			KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
			break;
		case 4:
			must_detach(test, v, VSID);
			break;
		}
		/* Nothing is left to do. */
		KUNIT_EXPECT_TRUE(test, list_empty(&v->stale_cds));
		mock->log_num = 0;
		must_install(test, v, VSID_OTHER, STE_BYPASS, 0);
		KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 0);
	}
}

/* Closed from where the VMM's address space is not: the objects are left. */
static void close_unreachable(struct kunit *test)
{
	struct mock *mock = test->priv;
	u32 parent = mock_vmm_parent(mock, 0);
	struct smmuv3_vsmmu *v = open_vsmmu(test, parent);
	struct mock_state state;

	must_attach(test, v, 0, VSID);
	must_attach(test, v, 4, VSID_OTHER);
	must_install(test, v, VSID, STE_S1, 0);

	/* Nor does it matter that the closing task is being killed. */
	mock->log_num = 0;
	mock_fail(mock, MOCK_DETACH, 1, 2, -EINTR);
	mock_set_reachable(mock, false);
	close_vsmmu(v);
	KUNIT_EXPECT_EQ(test, mock->failed, 2);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[4].hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_DETACH), 2);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_PUT), 2);
	KUNIT_EXPECT_EQ(test, mock->log_num, 4);
	state = mock_state(mock);
	KUNIT_EXPECT_EQ(test, state.held[0] + state.held[4], 0);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VDEVICE], 2);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_NESTED], 5);
	mock_iommufd_gone(mock);
	mock->last_id = parent - 1;
	KUNIT_ASSERT_EQ(test, mock_vmm_parent(mock, 0), parent);
	expect_idle(test);

	/* The parent is free again. */
	mock_set_reachable(mock, true);
	must_attach(test, open_vsmmu(test, parent), 0, VSID);
}

/* What fails for one stream is not another one's failure, and is not forgotten. */
static void stale_cds_of_another(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_two(test);
	u32 reason;

	must_install(test, v, VSID, STE_S1, 0);
	must_install(test, v, VSID_OTHER, STE_S1, 0);
	mock_fail(mock, MOCK_INVALIDATE, 1, 4, -EIO);
	KUNIT_EXPECT_EQ(test, install(v, VSID, STE_S1, 0, &reason), -EIO);
	KUNIT_EXPECT_EQ(test, reason, REASON(HOST_REJECT));
	mock_fail(mock, MOCK_INVALIDATE, 1, 4, -EIO);
	mock->log_num = 0;
	must_install(test, v, VSID_OTHER, STE_S1, 0);
	KUNIT_EXPECT_EQ(test, mock->log_num, 5);
	EXPECT_BATCH(test, 4, 1, cd(VSID_OTHER));

	mock->log_num = 0;
	must_install(test, v, VSID_OTHER, STE_BYPASS, 0);
	EXPECT_BATCH(test, mock->log_num - 1, 0, cd(VSID));
	KUNIT_EXPECT_TRUE(test, list_empty(&v->stale_cds));
}

/* A device that does not answer must not keep another one's ATC stale. */
static void invalidate_atc_timeout_other(struct kunit *test)
{
	const struct cmd cmds[] = { atc(VSID), atc(VSID_OTHER), sync() };
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_ats(test);

	must_install(test, v, VSID_OTHER, STE_S1, FIELD_PREP(STE_1_EATS, STE_EATS_FULL));
	mock_fail(mock, MOCK_INVALIDATE, 1, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 3), 0, 2, ATC_INV_SYNC, ATC_TIMEOUT);
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_INVALIDATE), 2);
	EXPECT_BATCH(test, 0, 0, atc(VSID));
	EXPECT_BATCH(test, mock->log_num - 1, 1, atc(VSID_OTHER));
}

/* The CMD_SYNC is what learns of it, wherever it is. */
static void invalidate_atc_far_sync(struct kunit *test)
{
	const u32 num = SMMUV3_HOST_MAX_BATCH + 5;
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_ats(test);
	struct cmd *cmds = kunit_kmalloc_array(test, num, sizeof(*cmds), GFP_KERNEL);
	u32 i;

	for (i = 0; i < num; i++)
		cmds[i] = va(i);
	cmds[0] = atc(VSID);
	cmds[num - 1] = sync();
	mock_fail(mock, MOCK_INVALIDATE, 3, 1, -ETIMEDOUT);
	EXPECT_RESULT(test, invalidate(test, v, cmds, num), 0, num - 1, ATC_INV_SYNC, ATC_TIMEOUT);
}

/* An ATC_INV is for one stream, whatever the other's SMMU lacks. */
static void ats_on_one(struct kunit *test)
{
	const struct cmd cmds[] = { atc(VSID), sync() };
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v;

	mock->smmu[1].idr[0] &= ~IDR0_ATS;
	v = open_ats(test);
	EXPECT_RESULT(test, invalidate(test, v, cmds, 2), 0, 2, NONE, NONE);
}

/* A killed caller's DETACH changes nothing. */
static void detach_killed(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_two(test);
	struct mock_state before, after;
	u32 reason;

	must_install(test, v, VSID, STE_S1, 0);
	before = mock_state(mock);
	mock->log_num = 0;
	mock_fail(mock, MOCK_DETACH, 1, 1, -EINTR);
	KUNIT_EXPECT_EQ(test, detach(v, VSID, &reason), -EINTR);
	after = mock_state(mock);
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	KUNIT_EXPECT_EQ(test, mock->log_num, 1);
	KUNIT_EXPECT_EQ(test, v->stream_num, 2);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&v->streams, VSID));
	must_detach(test, v, VSID);
	KUNIT_EXPECT_EQ(test, v->stream_num, 1);
	expect_live(test, 2, 1, 0);
}

/* The VMM may detach the device, or attach it elsewhere, by VFIO's own ioctls. */
static void describe_stream(struct kunit *test)
{
	struct mock *mock = test->priv;
	struct smmuv3_vsmmu *v = open_flags(test, 0, SMMUV3_ACCEL_CREATE_FEED);
	struct smmuv3_stream *stream = must_attach(test, v, 0, VSID);
	struct smmuv3_accel_stream out;
	u32 n, reason;

	for (n = 0; n < 4; n++) {
		must_install(test, v, VSID, STE_S1_AT(n), 0);
		if (n & 1)
			mock_vmm_attach(mock, 0, n == 3 ? MOCK_VMM_HWPT : 0);
		out = (struct smmuv3_accel_stream){};
		scoped_guard(mutex, &v->queue_lock)
			smmuv3_stream_describe(v, stream, &out);
		KUNIT_EXPECT_EQ(test, out.out_kind, n & 1 ? KIND(OTHER) : KIND(S1));
		KUNIT_EXPECT_EQ(test, out.out_reason, n & 1 ? REASON(DETACHED) : REASON(NONE));
		KUNIT_EXPECT_EQ(test, out.out_hwpt_id, n & 1 ? 0 : stream->hwpt_id);
		KUNIT_EXPECT_EQ(test, le64_to_cpu(out.out_ste[0]), n & 1 ? 0 : STE_S1_AT(n));
		KUNIT_EXPECT_EQ(test, out.out_phys, 0);
		KUNIT_EXPECT_EQ(test, out.out_dev_id, MOCK_DEV_ID(0));
		KUNIT_EXPECT_EQ(test, out.out_vdevice_id, stream->vdevice_id);
	}

	/* What the module blocks itself is in force. */
	must_install(test, v, VSID, STE_S1, 0);
	mock_fail(mock, MOCK_ATTACH, 1, 1, -EBUSY);
	must_install(test, v, VSID, STE_ABORT, 0);
	KUNIT_EXPECT_EQ(test, mock->devs[0].hwpt_id, 0);
	scoped_guard(mutex, &v->queue_lock)
		smmuv3_stream_describe(v, stream, &out);
	KUNIT_EXPECT_EQ(test, out.out_kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, out.out_reason, REASON(STE_ABORT));

	/* The host knows nothing of a stream without a device. */
	KUNIT_ASSERT_EQ(test, attach_flags(v, -1, VSID + 1, BRIDGE, &reason), 0);
	mock->log_num = 0;
	scoped_guard(mutex, &v->queue_lock)
		smmuv3_stream_describe(v, xa_load(&v->streams, VSID + 1), &out);
	KUNIT_EXPECT_EQ(test, out.out_kind, KIND(ABORT));
	KUNIT_EXPECT_EQ(test, out.out_phys, SMMUV3_ACCEL_NO_PHYS);
	KUNIT_EXPECT_EQ(test, mock->log_num, 0);
}

/* The second SMMU compared with the first */
static const struct idr_case {
	const char *name;
	u32 reg;
	u32 first;
	u32 second;
	u32 mask;		/* what it lacks; 0: nothing that the guest could use */
} idr_cases[] = {
	{ "as good" },
	{ "ASID16", 0, IDR0_ASID16, 0, IDR0_ASID16 },
	{ "CD2L", 0, IDR0_CD2L, 0, IDR0_CD2L },
	{ "SSIDSIZE", 1, FIELD_PREP_CONST(IDR1_SSIDSIZE, 8),
	  FIELD_PREP_CONST(IDR1_SSIDSIZE, 7), IDR1_SSIDSIZE },
	{ "SIDSIZE", 1, FIELD_PREP_CONST(IDR1_SIDSIZE, 16),
	  FIELD_PREP_CONST(IDR1_SIDSIZE, 15), IDR1_SIDSIZE },
	{ "RIL", 3, IDR3_RIL, 0, IDR3_RIL },
	{ "DS", 5, IDR5_DS, 0, IDR5_DS },
	{ "more features", 0, 0, IDR0_CD2L },
	{ "more StreamIDs", 1, FIELD_PREP_CONST(IDR1_SIDSIZE, 16),
	  FIELD_PREP_CONST(IDR1_SIDSIZE, 17) },
	{ "ATS", 0, IDR0_ATS, 0 },
};

KUNIT_ARRAY_PARAM_DESC(idr, idr_cases, name);

static void idr_start(struct kunit *test, struct smmuv3_vsmmu *v, bool by_regs)
{
	const struct smmuv3_regs regs = { .cr0 = CR0_SMMUEN };
	u32 failed, reason;

	if (!by_regs) {
		must_install(test, v, VSID, STE_S1, 0);
		return;
	}
	guard(mutex)(&v->queue_lock);
	KUNIT_ASSERT_EQ(test, smmuv3_vsmmu_set_regs(v, &regs, &failed, &reason), 0);
}

static void expect_idr_refused(struct kunit *test, struct smmuv3_vsmmu *v, u32 reg, u32 mask)
{
	struct mock *mock = test->priv;
	struct mock_state before = mock_state(mock), after;
	struct smmuv3_refusal why;

	mock->log_num = 0;
	KUNIT_EXPECT_EQ(test, attach_why(v, 4, VSID_OTHER, &why), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, why.reason, REASON(IDR));
	KUNIT_EXPECT_EQ(test, why.bad_idr, reg);
	KUNIT_EXPECT_EQ(test, why.bad_mask, mask);
	after = mock_state(mock);
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(after));
	KUNIT_EXPECT_EQ(test, mock_count(mock, MOCK_ATTACH), 0);
	KUNIT_EXPECT_EQ(test, v->phys_num, 1);
}

/* A guest that runs is not deprived of what it was offered. */
static void idr_started(struct kunit *test)
{
	const struct idr_case *c = test->param_value;
	struct mock *mock = test->priv;
	struct smmuv3_caps caps;
	u32 reason, by_regs;
	struct smmuv3_vsmmu *v;

	mock->smmu[0].idr[c->reg] = (mock->smmu[0].idr[c->reg] & ~c->mask) | c->first;
	mock->smmu[1].idr[c->reg] &= ~(c->mask | c->first);
	mock->smmu[1].idr[c->reg] |= c->second;
	for (by_regs = 0; by_regs < 2; by_regs++) {
		v = open_vsmmu(test, 0);
		must_attach(test, v, 0, VSID);
		/* Bypass and abort are no use of anything. */
		must_install(test, v, VSID, STE_BYPASS, 0);
		idr_start(test, v, by_regs);
		caps = v->caps;
		if (c->mask) {
			expect_idr_refused(test, v, c->reg, c->mask);
			KUNIT_EXPECT_MEMEQ(test, &v->caps, &caps, sizeof(caps));
			/* A reset guest finds out again. */
			scoped_guard(mutex, &v->queue_lock)
				KUNIT_EXPECT_EQ(test, smmuv3_vsmmu_reset(v, &reason), 0);
			must_attach(test, v, 4, VSID_OTHER);
			idr_start(test, v, by_regs);
		} else {
			must_attach(test, v, 4, VSID_OTHER);
			KUNIT_EXPECT_MEMEQ(test, &v->caps, &caps, sizeof(caps));
		}
		/* One that is known already is no question. */
		must_attach(test, v, 1, VSID + 1);
		must_attach(test, v, 5, VSID_OTHER + 1);
		close_vsmmu(v);

		/* Before it starts, it is offered what both have. */
		v = open_vsmmu(test, 0);
		must_attach(test, v, 0, VSID);
		must_install(test, v, VSID, STE_BYPASS, 0);
		must_attach(test, v, 4, VSID_OTHER);
		close_vsmmu(v);

		/* A better one may come second, and is not what a third is measured by. */
		if (!c->mask)
			continue;
		v = open_vsmmu(test, 0);
		must_attach(test, v, 4, VSID);
		idr_start(test, v, by_regs);
		must_attach(test, v, 0, VSID_OTHER);
		KUNIT_EXPECT_EQ(test, v->offered[c->reg] & c->mask, c->second);
		close_vsmmu(v);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(attach_detach_close),
	KUNIT_CASE_PARAM(attach_fails, attach_gen_params),
	KUNIT_CASE(attach_refused),
	KUNIT_CASE(install_fails),
	KUNIT_CASE(install_reasons),
	KUNIT_CASE(install_same),
	KUNIT_CASE(invalidate_fan_out),
	KUNIT_CASE(invalidate_atc),
	KUNIT_CASE(invalidate_atc_timeout),
	KUNIT_CASE(invalidate_atc_timeout_other),
	KUNIT_CASE(invalidate_atc_far_sync),
	KUNIT_CASE(ats_on_one),
	KUNIT_CASE(invalidate_erratum),
	KUNIT_CASE(invalidate_replay),
	KUNIT_CASE(invalidate_bad),
	KUNIT_CASE(invalidate_long),
	KUNIT_CASE(parents_in_use),
	KUNIT_CASE(parents_rejected),
	KUNIT_CASE(parents_shared),
	KUNIT_CASE(parents_named_shared),
	KUNIT_CASE(parents_named_fails),
	KUNIT_CASE(parents_share_fails),
	KUNIT_CASE(parents_named_when_made),
	KUNIT_CASE(parents_named_when_destroyed),
	KUNIT_CASE_PARAM(parents_last_user, last_user_gen_params),
	KUNIT_CASE(parents_close_flushes),
	KUNIT_CASE(parents_close_pending),
	KUNIT_CASE(parents_flush_fails),
	KUNIT_CASE(parents_pending_meanwhile),
	KUNIT_CASE(detach_killed),
	KUNIT_CASE(describe_stream),
	KUNIT_CASE_PARAM(idr_started, idr_gen_params),
	KUNIT_CASE(hostless),
	KUNIT_CASE(hostless_refused),
	KUNIT_CASE(vsid_range),
	KUNIT_CASE(stale_cds),
	KUNIT_CASE(stale_cds_of_another),
	KUNIT_CASE(close_unreachable),
	{}
};

static struct kunit_suite suite = {
	.name = "smmuv3-accel-vsmmu",
	.init = test_vsmmu_init,
	.exit = test_vsmmu_exit,
	.test_cases = cases,
};

kunit_test_suites(&suite);
