// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "fixture.h"

const struct attach_options fx_streams[STREAMS] = {
	{ .fd = 0, .vsid = VSID },
	{ .fd = 1, .vsid = VSID_NEXT },
	{ .fd = 4, .vsid = VSID_OTHER },
	{ .fd = 5, .vsid = VSID_LAST },
};

/* A suite's .init: set up a mock host and user memory. No vSMMU is open. */
int fx_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned long addr;

	KUNIT_ASSERT_NOT_NULL(test, f);
	prandom_seed_state(&f->rnd, 0xc3d9);
	f->mock = mock_init(test);
	addr = kunit_vm_mmap(test, NULL, 0, UMEM_LEN, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, (unsigned long)TASK_SIZE);
	f->run = (void __user *)addr;
	f->ring = f->run + PAGE_SIZE;
	f->table = f->ring + RING_MAX;
	f->array = f->table + TABLE_LEN;
	f->umem_end = f->run + UMEM_LEN;
	test->priv = f;
	return 0;
}

/* A suite's .init: also open f->v. */
int fx_init_table(struct kunit *test)
{
	int rc = fx_init(test);

	if (!rc)
		fx_open_table(test);
	return rc;
}

/* A suite's .exit: close all vSMMUs. They must leave nothing at the host. */
void fx_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	if (!f)
		return;
	for (i = 0; i < MOCK_HOSTS; i++)
		if (f->mock->hosts[i].v)
			fx_close(f->mock->hosts[i].v);
	fx_expect_idle(test);
}

/* Expect that the host has no object of any vSMMU. */
void fx_expect_idle(struct kunit *test)
{
	struct mock *mock = mock_of(test);
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

struct smmuv3_vsmmu *fx_open_with(struct kunit *test, const struct open_options *options)
{
	struct smmuv3_vsmmu *v = smmuv3_vsmmu_alloc();
	struct smmuv3_host *host;
	u32 flags = 0;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, v);
	host = mock_open(mock_of(test), v);
	if (options->shared_asids)
		flags |= SMMUV3_ACCEL_CREATE_SHARED_ASIDS;
	if (options->feed)
		flags |= SMMUV3_ACCEL_CREATE_FEED;
	if (options->no_global)
		flags |= SMMUV3_ACCEL_CREATE_NO_GLOBAL;
	/* Another vSMMU may be locked: see attach_options.nested. */
	mutex_lock_nested(&v->lock, SINGLE_DEPTH_NESTING);
	scoped_guard(queue, v)
		rc = smmuv3_vsmmu_create(v, host, flags);
	v->filter = options->filter && !v->shared_asids;
	mutex_unlock(&v->lock);
	KUNIT_ASSERT_EQ(test, rc, 0);
	return v;
}

/* Open a vSMMU that spans both physical SMMUs: attach VSID and VSID_OTHER. */
struct smmuv3_vsmmu *fx_open_two(struct kunit *test)
{
	struct smmuv3_vsmmu *v = fx_open(test);

	fx_must_attach(test, v, .fd = 0, .vsid = VSID);
	fx_must_attach(test, v, .fd = 4, .vsid = VSID_OTHER);
	return v;
}

/* The same, with stage 1 for both. VSID has ATS, VSID_OTHER does not. */
struct smmuv3_vsmmu *fx_open_ats(struct kunit *test)
{
	struct smmuv3_vsmmu *v;

	need_ats(test);
	v = fx_open_two(test);
	fx_must_install(test, v, VSID, STE_S1, STE_ATS);
	fx_must_install(test, v, VSID_OTHER, STE_S1, 0);
	return v;
}

void fx_close(struct smmuv3_vsmmu *v)
{
	container_of(v->host, struct mock_host, host)->v = NULL;
	smmuv3_vsmmu_close(v);
}

struct attach_call {
	struct smmuv3_accel_attach cmd;
	const struct attach_options *options;
};

static int attach_answer(void *arg)
{
	struct attach_call *call = container_of(arg, struct attach_call, cmd);
	const struct attach_options *options = call->options;

	return options->answer ? options->answer(&call->cmd, options->arg) : 0;
}

/* Without a stream, the caller gets only the reason. */
static void expect_no_ids(struct kunit *test, const struct smmuv3_accel_attach *cmd)
{
	KUNIT_EXPECT_EQ(test, cmd->out_dev_id, 0);
	KUNIT_EXPECT_EQ(test, cmd->out_viommu_id, 0);
	KUNIT_EXPECT_EQ(test, cmd->out_vdevice_id, 0);
	KUNIT_EXPECT_EQ(test, cmd->out_s2_hwpt_id, 0);
	KUNIT_EXPECT_EQ(test, cmd->out_phys, 0);
}

struct result fx_attach_with(struct smmuv3_vsmmu *v, const struct attach_options *options)
{
	struct kunit *test = container_of(v->host, struct mock_host, host)->mock->test;
	bool dry_run = options->flags & SMMUV3_ACCEL_ATTACH_DRY_RUN;
	struct attach_call call = {
		.cmd.flags = options->flags,
		.cmd.vfio_fd = options->fd,
		.cmd.vsid = options->vsid,
		.cmd.s2_hwpt_id = options->s2_hwpt_id,
		.options = options,
	};
	struct result r = {};

	mutex_lock_nested(&v->lock, options->nested ? SINGLE_DEPTH_NESTING : 0);
	r.rc = smmuv3_vsmmu_attach(v, &call.cmd, attach_answer);
	mutex_unlock(&v->lock);
	if (r.rc || dry_run)
		expect_no_ids(test, &call.cmd);
	r.reason = call.cmd.out_reason;
	memcpy(r.bad_idr, call.cmd.out_bad_idr, sizeof(r.bad_idr));
	return r;
}

struct smmuv3_stream *fx_must_attach_with(struct kunit *test, struct smmuv3_vsmmu *v,
					  const struct attach_options *options)
{
	KUNIT_ASSERT_EQ(test, fx_attach_with(v, options).rc, 0);
	return stream_of(v, options->vsid);
}

/* Attach fx_streams[] to f->v. */
void fx_attach_all(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	for (i = 0; i < STREAMS; i++)
		fx_must_attach_with(test, f->v, &fx_streams[i]);
}

struct result fx_detach(struct smmuv3_vsmmu *v, u32 vsid)
{
	struct result r = {};

	guard(mutex)(&v->lock);
	r.rc = smmuv3_vsmmu_detach(v, vsid, &r.reason);
	return r;
}

void fx_must_detach(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid)
{
	KUNIT_ASSERT_EQ(test, fx_detach(v, vsid).rc, 0);
}

struct result fx_set_vsids(struct smmuv3_vsmmu *v, const struct smmuv3_accel_vsid *entries,
			   u32 num)
{
	struct result r = {};

	guard(mutex)(&v->lock);
	guard(queue)(v);
	r.rc = smmuv3_vsmmu_set_vsids(v, entries, num, &r.vsid, &r.reason);
	return r;
}

/* Words 2 to 7 of an STE do not concern the host. */
struct result fx_install(struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1)
{
	const u64 ste[8] = { w0, w1, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL };
	struct result r = {};

	guard(queue)(v);
	r.rc = smmuv3_vsmmu_install_ste(v, vsid, ste, &r.reason);
	return r;
}

void fx_must_install(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1)
{
	KUNIT_ASSERT_EQ(test, fx_install(v, vsid, w0, w1).rc, 0);
}

struct result fx_reset(struct smmuv3_vsmmu *v)
{
	struct result r = {};

	guard(queue)(v);
	r.rc = smmuv3_vsmmu_reset(v, &r.reason);
	return r;
}

struct result fx_set_idr(struct smmuv3_vsmmu *v, const u32 idr[6])
{
	struct smmuv3_refusal why = {};
	struct result r = {};

	scoped_guard(mutex, &v->lock)
		scoped_guard(queue, v)
			r.rc = smmuv3_vsmmu_set_idr(v, idr, &why);
	r.reason = why.reason;
	memcpy(r.bad_idr, why.bad_idr, sizeof(r.bad_idr));
	return r;
}

struct result fx_change_process(struct smmuv3_vsmmu *v, int iommufd)
{
	struct result r = {};

	guard(mutex)(&v->lock);
	guard(queue)(v);
	r.rc = smmuv3_vsmmu_change_process(v, iommufd, &r.reason);
	return r;
}

/* Invalidate by an array of commands, of up to ARRAY_LEN bytes. */
struct result fx_invalidate(struct kunit *test, struct smmuv3_vsmmu *v,
			    const struct cmd *cmds, u32 num)
{
	struct fixture *f = test->priv;
	struct smmuv3_accel_invalidate inv = {
		.cmd_num = num,
		.cmds_uptr = (uintptr_t)f->array,
	};
	int rc;

	KUNIT_ASSERT_EQ(test, copy_to_user(f->array, cmds, min(num * CMD_LEN, ARRAY_LEN)), 0);
	f->mock->log_num = 0;
	scoped_guard(queue, v)
		rc = smmuv3_cmdq_invalidate(v, &inv);
	return (struct result){
		.rc = rc,
		.done = inv.cmd_num,
		.error = inv.out_error,
		.reason = inv.out_reason,
		.vsid = inv.out_vsid,
	};
}

struct smmuv3_accel_stream fx_describe(struct smmuv3_vsmmu *v, u32 vsid)
{
	struct smmuv3_accel_stream out = {};

	guard(queue)(v);
	smmuv3_stream_describe(v, stream_of(v, vsid), &out);
	return out;
}

/* The stage-2 parent of a stream, according to the host */
u32 fx_parent_of(struct kunit *test, const struct smmuv3_stream *stream)
{
	return mock_find(mock_of(test), stream->phys->viommu_id)->on->id;
}

/*
 * Expect these objects. A physical SMMU has a parent, a vIOMMU and two fixed domains.
 */
void fx_expect_live(struct kunit *test, u32 phys, u32 vdevices, u32 s1)
{
	struct mock_state state = mock_state(mock_of(test));

	KUNIT_EXPECT_EQ(test, state.live[MOCK_PARENT], phys);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VIOMMU], phys);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_NESTED], 2 * phys + s1);
	KUNIT_EXPECT_EQ(test, state.live[MOCK_VDEVICE], vdevices);
}

/* Expect that a stream's device is attached to a domain of these words. */
void fx_expect_domain(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 w0, u64 w1)
{
	struct smmuv3_stream *stream = stream_of(v, vsid);
	struct mock_obj *hwpt = mock_find(mock_of(test), mock_dev_of(stream)->hwpt_id);

	KUNIT_ASSERT_NOT_NULL_MSG(test, hwpt, "StreamID %#x", vsid);
	KUNIT_EXPECT_EQ_MSG(test, hwpt->ste[0], w0, "StreamID %#x", vsid);
	KUNIT_EXPECT_EQ_MSG(test, hwpt->ste[1], w1, "StreamID %#x", vsid);
}

/* Expect that module and host have this stage 1 for a stream. */
void fx_expect_s1(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u64 page)
{
	struct smmuv3_stream *stream = stream_of(v, vsid);
	struct mock_obj *hwpt = mock_find(mock_of(test), mock_dev_of(stream)->hwpt_id);

	KUNIT_EXPECT_EQ_MSG(test, stream->ste.kind, KIND(S1), "StreamID %#x", vsid);
	KUNIT_EXPECT_EQ_MSG(test, stream->ste.data[0], STE_S1_AT(page), "StreamID %#x", vsid);
	KUNIT_ASSERT_NOT_NULL_MSG(test, hwpt, "StreamID %#x", vsid);
	KUNIT_EXPECT_EQ_MSG(test, hwpt->ste[0], STE_S1_AT(page), "StreamID %#x", vsid);
}

/*
 * Expect that a stream aborts, by the abort domain or without one, in module and host.
 */
void fx_expect_aborts(struct kunit *test, struct smmuv3_vsmmu *v, u32 vsid, u32 reason)
{
	struct smmuv3_stream *stream = stream_of(v, vsid);

	KUNIT_EXPECT_EQ_MSG(test, stream->ste.kind, KIND(ABORT), "StreamID %#x", vsid);
	KUNIT_EXPECT_EQ_MSG(test, stream->ste.reason, reason, "StreamID %#x", vsid);
	KUNIT_EXPECT_EQ_MSG(test, stream->hwpt_id, mock_dev_of(stream)->hwpt_id,
			    "StreamID %#x", vsid);
	if (stream->hwpt_id)
		KUNIT_EXPECT_EQ_MSG(test, stream->hwpt_id, stream->phys->abort_hwpt_id,
				    "StreamID %#x", vsid);
}

/* Open f->v, and prepare registers that name its table and queue. */
void fx_open_table_with(struct kunit *test, const struct open_options *options)
{
	struct fixture *f = test->priv;

	f->v = fx_open_with(test, options);
	fx_set_whole_mem(test);
	f->log2size = 4;
	f->regs = (struct smmuv3_regs){
		.cr0 = CR0_SMMUEN | CR0_CMDQEN,
		.strtab_base = TABLE_GPA,
		.strtab_base_cfg = TABLE_LOG2,
		.cmdq_base = RING_GPA | f->log2size,
	};
}

void fx_open_table(struct kunit *test)
{
	fx_open_table_with(test, &(const struct open_options){ .feed = true });
}

/* Set the guest's registers from f->regs. */
struct result fx_set_regs(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct result r = {};

	guard(queue)(f->v);
	r.rc = smmuv3_vsmmu_set_regs(f->v, &f->regs, &r.vsid, &r.reason);
	return r;
}

void fx_must_set_regs(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, fx_set_regs(test).rc, 0);
}

void fx_set_cmdq(struct kunit *test, u32 log2size)
{
	struct fixture *f = test->priv;

	f->log2size = log2size;
	f->regs.cmdq_base = RING_GPA | log2size;
	fx_must_set_regs(test);
}

void fx_set_mem(struct kunit *test, const struct smmuv3_accel_mem_region *regions,
		u32 num)
{
	struct fixture *f = test->priv;
	struct guest_mem mem = {
		.regions = kmemdup_array(regions, num, sizeof(*regions), GFP_KERNEL),
		.num = num,
		.known = true,
	};

	KUNIT_ASSERT_NOT_NULL(test, mem.regions);
	guard(queue)(f->v);
	smmuv3_vsmmu_set_mem(f->v, &mem);
}

/* The memory of the tables, and as much of the ring's */
static void set_ring_mem(struct kunit *test, u64 len)
{
	struct fixture *f = test->priv;
	const struct smmuv3_accel_mem_region regions[] = {
		{ TABLE_GPA, TABLE_LEN, (uintptr_t)f->table },
		{ RING_GPA, len, (uintptr_t)f->ring },
	};

	fx_set_mem(test, regions, ARRAY_SIZE(regions));
}

void fx_set_whole_mem(struct kunit *test)
{
	set_ring_mem(test, RING_MAX);
}

/* From now on no CD can be read. */
void fx_take_cds_away(struct kunit *test)
{
	set_ring_mem(test, CD_AREA);
}

/* Write the first word of a CD. */
void fx_put_cd(struct kunit *test, u64 gpa, u16 asid)
{
	struct fixture *f = test->priv;
	__le64 word0 = cpu_to_le64(CD_0_V | FIELD_PREP(CD_0_ASID, asid));

	KUNIT_ASSERT_EQ(test, copy_to_user(f->ring + (gpa - RING_GPA), &word0, sizeof(word0)),
			0);
}

void fx_put_ste(struct kunit *test, u32 vsid, u64 w0, u64 w1)
{
	const __le64 ste[8] = { cpu_to_le64(w0), cpu_to_le64(w1) };
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, copy_to_user(f->table + vsid * sizeof(ste), ste, sizeof(ste)), 0);
}

void fx_put_all_stes(struct kunit *test, u64 w0, u64 w1)
{
	int i;

	for (i = 0; i < STREAMS; i++)
		fx_put_ste(test, fx_streams[i].vsid, w0, w1);
}

/* Attach all streams, and enable SMMU and queue. */
void fx_start_with(struct kunit *test, const struct start_options *options)
{
	u64 w0 = options->ste[0], w1 = options->ste[1];

	if (!w0) {
		w0 = STE_S1_AT(1);
		w1 = STE_ATS;
	}
	fx_put_all_stes(test, w0, w1);
	fx_attach_all(test);
	fx_set_cmdq(test, options->log2size ?: 4);
	mock_of(test)->log_num = 0;
}

/* Write to guest memory, which may consist of pieces. */
static void put_guest(struct kunit *test, u64 gpa, const void *from, size_t len)
{
	struct fixture *f = test->priv;
	const struct guest_mem *mem = &f->v->mem;
	u32 i;

	for (i = 0; i < mem->num; i++) {
		const struct smmuv3_accel_mem_region *region = &mem->regions[i];
		u64 first = max(gpa, region->gpa);
		u64 end = min(gpa + len, region->gpa + region->size);

		if (first >= end)
			continue;
		KUNIT_ASSERT_EQ(test, copy_to_user(u64_to_user_ptr(region->uaddr + first -
								   region->gpa),
						   from + (first - gpa), end - first), 0);
	}
}

void fx_put_ring(struct kunit *test, u32 cons, const struct cmd *cmds, u32 num)
{
	struct fixture *f = test->priv;
	u32 size = 1U << f->log2size, index = cons & (size - 1);
	u32 part = min(num, size - index);

	put_guest(test, RING_GPA + index * CMD_LEN, cmds, part * CMD_LEN);
	if (part < num)
		put_guest(test, RING_GPA, cmds + part, (num - part) * CMD_LEN);
}

/* Read a command of the ring, which may consist of pieces. Returns whether all is there. */
static bool get_cmd(struct fixture *f, u32 cons, struct cmd *c)
{
	u64 gpa = RING_GPA + (cons & ((1U << f->log2size) - 1)) * CMD_LEN;
	size_t len = 0;
	u32 i;

	for (i = 0; i < f->v->mem.num; i++) {
		const struct smmuv3_accel_mem_region *region = &f->v->mem.regions[i];
		u64 first = max(gpa, region->gpa);
		u64 end = min(gpa + CMD_LEN, region->gpa + region->size);

		if (first >= end)
			continue;
		if (copy_from_user((void *)c + (first - gpa),
				   u64_to_user_ptr(region->uaddr + first - region->gpa),
				   end - first))
			return false;
		len += end - first;
	}
	return len == CMD_LEN;
}

/* How many commands there are before the first CFGI_*; U32_MAX: none can be read */
static u32 before_cfgi(struct fixture *f, const struct run_options *options)
{
	struct cmd c;
	u32 i;

	for (i = 0; i < options->num && get_cmd(f, options->cons + i, &c); i++) {
		switch (opcode_of(&c)) {
		case CMD_CFGI_STE:
		case CMD_CFGI_STE_RANGE:
		case CMD_CFGI_CD:
		case CMD_CFGI_CD_ALL:
			return i;
		}
	}
	return U32_MAX;
}

/*
 * Clear the log, and run the command queue of f->v. Expect that RUN_CFGI says whether a
 * CFGI_* is done.
 */
struct result fx_run_with(struct kunit *test, const struct run_options *options)
{
	struct fixture *f = test->priv;
	u32 mask = (2U << f->log2size) - 1, before, done;
	struct smmuv3_accel_run_cmdq run = {
		.size = sizeof(run),
		.prod = (options->cons + options->num) & mask,
		.cons = options->cons,
		.max_cmds = options->max_cmds,
		.feed_num = options->feed_room,
		.feed_uptr = (uintptr_t)options->feed,
		.bad_uptr = (uintptr_t)options->bad,
		.bad_num = options->bad_room,
	};
	struct file file = { .private_data = f->v };
	int rc;

	if (options->cmds)
		fx_put_ring(test, options->cons, options->cmds, options->num);
	before = before_cfgi(f, options);
	f->mock->log_num = 0;
	KUNIT_ASSERT_EQ(test, copy_to_user(f->run, &run, sizeof(run)), 0);
	rc = smmuv3_accel_ioctl(&file, SMMUV3_ACCEL_RUN_CMDQ, (unsigned long)f->run);
	KUNIT_ASSERT_EQ(test, copy_from_user(&run, f->run, sizeof(run)), 0);
	done = (run.cons - options->cons) & mask;
	KUNIT_EXPECT_EQ_MSG(test, !!(run.out_flags & RUN(CFGI)), done > before,
			    "%u commands are done, %u come before the first CFGI", done, before);
	return (struct result){
		.rc = rc,
		.done = done,
		.error = run.out_error,
		.reason = run.out_reason,
		.flags = run.out_flags & ~RUN(CFGI),
		.cfgi = run.out_flags & RUN(CFGI),
		.feed_num = run.feed_num,
		.bad_num = run.bad_num,
		.vsid = run.out_vsid,
	};
}

void fx_expect_batch(struct kunit *test, u32 at, u32 smmu, const struct cmd *cmds, u32 num)
{
	struct mock *mock = mock_of(test);
	struct mock_call *call = &mock->log[at];

	KUNIT_ASSERT_LT(test, at, mock->log_num);
	KUNIT_ASSERT_EQ_MSG(test, call->op, MOCK_INVALIDATE, "call %u", at);
	KUNIT_EXPECT_EQ_MSG(test, call->smmu, smmu, "call %u", at);
	KUNIT_ASSERT_EQ_MSG(test, call->num, num, "call %u", at);
	KUNIT_EXPECT_MEMEQ_MSG(test, call->cmds, cmds, num * CMD_LEN, "call %u", at);
}

void fx_expect_from(struct kunit *test, u32 at, const void __user *from)
{
	struct mock *mock = mock_of(test);

	KUNIT_ASSERT_LT(test, at, mock->log_num);
	KUNIT_EXPECT_PTR_EQ_MSG(test, (__force const void *)mock->log[at].from,
				(__force const void *)from, "call %u", at);
}

void fx_collect(struct kunit *test, u32 smmu)
{
	struct fixture *f = test->priv;
	u32 i;

	f->seen_num = 0;
	for (i = 0; i < f->mock->log_num; i++) {
		struct mock_call *call = &f->mock->log[i];

		if (call->op != MOCK_INVALIDATE || call->smmu != smmu || call->rc)
			continue;
		KUNIT_ASSERT_LE(test, f->seen_num + call->num, MAX_RUN);
		memcpy(&f->seen[f->seen_num], call->cmds, call->num * CMD_LEN);
		f->seen_num += call->num;
	}
}

void fx_expect_given(struct kunit *test, u32 smmu, const struct cmd *cmds, u32 num)
{
	struct fixture *f = test->priv;

	fx_collect(test, smmu);
	KUNIT_ASSERT_EQ_MSG(test, f->seen_num, num, "SMMU %u", smmu);
	KUNIT_ASSERT_MEMEQ_MSG(test, f->seen, cmds, num * CMD_LEN, "SMMU %u", smmu);
}

void fx_expect_both_given(struct kunit *test, const struct cmd *cmds, u32 num)
{
	u32 smmu;

	for (smmu = 0; smmu < MOCK_SMMUS; smmu++)
		fx_expect_given(test, smmu, cmds, num);
}

void fx_expect_ops(struct kunit *test, const enum mock_op *ops, u32 num)
{
	struct mock *mock = mock_of(test);
	u32 i;

	KUNIT_ASSERT_EQ(test, mock->log_num, num);
	for (i = 0; i < num; i++)
		KUNIT_EXPECT_EQ_MSG(test, mock->log[i].op, ops[i], "call %u", i);
}
