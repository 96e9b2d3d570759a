// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "arch.h"
#include "host_mock.h"
#include "smmuv3-accel.h"

#define MUST(mock, condition, fmt, ...)					\
	KUNIT_EXPECT_TRUE_MSG((mock)->test, condition, "host: " fmt, ##__VA_ARGS__)

static struct mock *to_mock(struct smmuv3_host *host)
{
	struct mock_host *h = container_of(host, struct mock_host, host);

	MUST(h->mock, h->open, "closed");
	return h->mock;
}

/* Freed with the test */
static void *dup(struct mock *mock, const void *src, size_t len)
{
	void *p = kunit_kmalloc(mock->test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(mock->test, p);
	return memcpy(p, src, len);
}

static struct mock_call *record(struct mock *mock, enum mock_op op, u32 id)
{
	struct mock_call *call = &mock->log[mock->log_num];

	if (mock->log_num < MOCK_LOG - 1)
		mock->log_num++;
	else
		KUNIT_FAIL(mock->test, "the log is full");
	*call = (struct mock_call){ .op = op, .id = id };

	if (!mock->fail_num || (mock->fail_op != MOCK_ANY && mock->fail_op != op))
		return call;
	/* PUT never fails, DETACH only with EINTR, DESTROY only if a test asks for it. */
	if (op == MOCK_PUT || (op == MOCK_DETACH && mock->fail_rc != -EINTR) ||
	    (op == MOCK_DESTROY && mock->fail_op != MOCK_DESTROY))
		return call;
	if (mock->fail_at > 1) {
		mock->fail_at--;
		return call;
	}
	mock->fail_num--;
	mock->failed++;
	call->rc = mock->fail_rc;
	return call;
}

/* Begin a call that takes object IDs. Its lane must have no other user. */
static struct mock *to_mock_lane(struct smmuv3_host *host, enum smmuv3_lane lane)
{
	struct smmuv3_vsmmu *v = container_of(host, struct mock_host, host)->v;
	struct mock *mock = to_mock(host);

	MUST(mock, mock->reachable, "out of reach");
	if (v)
		MUST(mock, mutex_is_locked(lane == SMMUV3_LANE_CONFIG ?
					   &v->lock : &v->queue_lock),
		     "lane %d without its lock", lane);
	return mock;
}

static struct mock_dev *to_dev(struct mock *mock, u32 dev_id)
{
	u32 i = dev_id - MOCK_DEV_ID(0);

	KUNIT_ASSERT_LT(mock->test, i, MOCK_DEVS);
	MUST(mock, mock->devs[i].held, "device %u is not held", i);
	return &mock->devs[i];
}

struct mock_obj *mock_find(struct mock *mock, u32 id)
{
	struct mock_obj *obj;

	list_for_each_entry(obj, &mock->objs, node)
		if (obj->id == id)
			return obj;
	return NULL;
}

/* Find the vDEVICE of a device, or with @viommu the one with this StreamID there. */
static struct mock_obj *find_vdevice(struct mock *mock, const struct mock_dev *dev,
				     const struct mock_obj *viommu, u32 vsid)
{
	struct mock_obj *obj;

	list_for_each_entry(obj, &mock->objs, node)
		if (obj->kind == MOCK_VDEVICE &&
		    (viommu ? obj->on == viommu && obj->vsid == vsid :
		     obj->dev == dev))
			return obj;
	return NULL;
}

static struct mock_obj *obj_add(struct mock *mock, struct mock_obj init)
{
	struct mock_obj *obj;

	init.id = ++mock->last_id;
	if (init.on)
		init.on->users++;
	obj = dup(mock, &init, sizeof(init));
	list_add(&obj->node, &mock->objs);
	return obj;
}

/* Run the test's function within the host call that it waits for. */
static void meanwhile(struct mock *mock, enum mock_op op, const struct mock_obj *obj)
{
	void (*what)(struct kunit *test, u32 parent) = mock->meanwhile;

	if (!what || mock->meanwhile_op != op || !obj || obj->kind != MOCK_PARENT)
		return;
	mock->meanwhile = NULL;
	what(mock->test, obj->id);
}

/* Allocate any object. If it fails, the ID is 0. */
static int obj_alloc(struct smmuv3_host *host, enum smmuv3_lane lane, u32 dev_id,
		     u32 on_id, struct mock_obj init, u32 *id)
{
	struct mock *mock = to_mock_lane(host, lane);
	struct mock_dev *dev = to_dev(mock, dev_id);
	struct mock_call *call = record(mock, MOCK_ALLOC + init.kind, 0);

	*id = 0;
	init.dev = dev;
	init.iommu = dev->dev.iommu;
	init.on = mock_find(mock, on_id);
	if (call->rc)
		return call->rc;
	if (init.kind == MOCK_PARENT) {
		if (!host->ioas_id)
			return -ENOENT;
	} else {
		if (!init.on || init.on->kind != (init.kind == MOCK_VIOMMU ?
						  MOCK_PARENT : MOCK_VIOMMU))
			return -ENOENT;
		if (init.on->iommu != init.iommu || init.on->plain)
			return -EINVAL;
	}
	if (init.kind == MOCK_VDEVICE && (find_vdevice(mock, dev, NULL, 0) ||
					  find_vdevice(mock, NULL, init.on, init.vsid)))
		return -EEXIST;
	*id = obj_add(mock, init)->id;
	call->id = *id;
	meanwhile(mock, MOCK_ALLOC + MOCK_PARENT, mock_find(mock, *id));
	return 0;
}

static int mock_alloc_parent(struct smmuv3_host *host, u32 dev_id, u32 *hwpt_id)
{
	struct mock_obj init = { .kind = MOCK_PARENT };

	return obj_alloc(host, SMMUV3_LANE_CONFIG, dev_id, 0, init, hwpt_id);
}

static int mock_alloc_viommu(struct smmuv3_host *host, u32 dev_id, u32 hwpt_id,
			     u32 *viommu_id)
{
	struct mock_obj init = { .kind = MOCK_VIOMMU };

	return obj_alloc(host, SMMUV3_LANE_CONFIG, dev_id, hwpt_id, init, viommu_id);
}

static int mock_alloc_vdevice(struct smmuv3_host *host, u32 dev_id,
			      u32 viommu_id, u32 vsid, u32 *vdevice_id)
{
	struct mock_obj init = { .kind = MOCK_VDEVICE, .vsid = vsid };

	return obj_alloc(host, SMMUV3_LANE_CONFIG, dev_id, viommu_id, init, vdevice_id);
}

static int mock_alloc_nested(struct smmuv3_host *host, enum smmuv3_lane lane,
			     u32 dev_id, u32 viommu_id, const u64 ste[2],
			     u32 *hwpt_id)
{
	struct mock_obj init = { .kind = MOCK_NESTED, .ste = { ste[0], ste[1] } };

	return obj_alloc(host, lane, dev_id, viommu_id, init, hwpt_id);
}

static int mock_destroy(struct smmuv3_host *host, enum smmuv3_lane lane, u32 id)
{
	struct mock *mock = to_mock_lane(host, lane);
	struct mock_obj *obj = mock_find(mock, id);
	int rc = record(mock, MOCK_DESTROY, id)->rc;

	if (rc)
		return rc;
	meanwhile(mock, MOCK_DESTROY, obj);
	if (obj && (obj->busy || (obj->users && mock->left)))
		return -EBUSY;
	MUST(mock, obj && !obj->users && !obj->vmms,
	     "%u is in use, the VMM's or no object", id);
	if (!obj)
		return 0;
	/* The host allows this, but the module could not invalidate for the device. */
	if (obj->kind == MOCK_VDEVICE)
		MUST(mock, !mock_find(mock, obj->dev->hwpt_id),
		     "vDEVICE %u of a device that is attached", id);
	if (obj->on)
		obj->on->users--;
	list_del(&obj->node);
	meanwhile(mock, MOCK_DESTROYED, obj);
	return 0;
}

static struct smmuv3_host_dev *mock_dev_get(struct smmuv3_host *host, int fd,
					    enum smmuv3_accel_reason *reason)
{
	struct mock *mock = to_mock(host);
	struct mock_call *call = record(mock, MOCK_GET, MOCK_DEV_ID(fd));

	if (call->rc)
		return ERR_PTR(call->rc);
	if (fd < 0 || fd >= MOCK_DEVS) {
		*reason = SMMUV3_ACCEL_REASON_NOT_VFIO;
		return ERR_PTR(-EINVAL);
	}
	if (mock->devs[fd].held) {
		*reason = SMMUV3_ACCEL_REASON_DEVICE_IN_USE;
		return ERR_PTR(-EBUSY);
	}
	mock->devs[fd].held++;
	return &mock->devs[fd].dev;
}

static void mock_dev_put(struct smmuv3_host *host, struct smmuv3_host_dev *dev)
{
	struct mock *mock = to_mock(host);
	struct mock_dev *d = to_dev(mock, dev->dev_id);

	record(mock, MOCK_PUT, dev->dev_id);
	d->held--;
	MUST(mock, d->held || !mock_find(mock, d->hwpt_id), "put while attached");
}

static void dev_set_hwpt(struct mock *mock, struct mock_dev *dev, u32 hwpt_id)
{
	struct mock_obj *old = mock_find(mock, dev->hwpt_id);
	struct mock_obj *new = mock_find(mock, hwpt_id);

	if (old)
		old->users--;
	if (new)
		new->users++;
	dev->hwpt_id = hwpt_id;
}

static int mock_dev_attach(struct smmuv3_host *host, struct smmuv3_host_dev *dev,
			   u32 hwpt_id)
{
	struct mock *mock = to_mock(host);
	struct mock_dev *d = to_dev(mock, dev->dev_id);
	struct mock_obj *hwpt = mock_find(mock, hwpt_id);
	int rc = record(mock, MOCK_ATTACH, hwpt_id)->rc;
	struct mock_obj *vdevice;

	MUST(mock, hwpt && hwpt->kind == MOCK_NESTED && hwpt->iommu == dev->iommu,
	     "%u is no domain for device %u", hwpt_id, dev->dev_id);
	if (rc || !hwpt)
		return rc ?: -ENOENT;
	vdevice = find_vdevice(mock, d, NULL, 0);
	/* Some hosts want one for each domain. */
	MUST(mock, vdevice, "device %u has no vDEVICE", dev->dev_id);
	if (FIELD_GET(STE_0_CONFIG, hwpt->ste[0]) == STE_CONFIG_S1 &&
	    (!vdevice || vdevice->dead))
		return -EIO;
	dev_set_hwpt(mock, d, hwpt_id);
	d->set_hwpt_id = hwpt_id;
	return 0;
}

static int mock_dev_detach(struct smmuv3_host *host, struct smmuv3_host_dev *dev,
			   bool killable)
{
	struct mock *mock = to_mock(host);
	struct mock_dev *d = to_dev(mock, dev->dev_id);
	int rc = record(mock, MOCK_DETACH, dev->dev_id)->rc;

	if (rc && killable)
		return rc;
	dev_set_hwpt(mock, d, 0);
	d->set_hwpt_id = 0;
	return 0;
}

static bool mock_dev_in_force(struct smmuv3_host *host, struct smmuv3_host_dev *dev)
{
	struct mock_dev *d = to_dev(to_mock(host), dev->dev_id);

	return d->hwpt_id == d->set_hwpt_id;
}

static int mock_hw_info(struct smmuv3_host *host, u32 dev_id,
			struct smmuv3_hw_info *info)
{
	struct mock *mock = to_mock_lane(host, SMMUV3_LANE_CONFIG);

	*info = *(const struct smmuv3_hw_info *)to_dev(mock, dev_id)->dev.iommu;
	return record(mock, MOCK_HW_INFO, dev_id)->rc;
}

static enum smmuv3_phase phase_of(u64 cmd)
{
	switch (FIELD_GET(CMD_0_OP, cmd)) {
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
		return SMMUV3_PHASE_CD;
	case CMD_TLBI_NH_ALL ... CMD_TLBI_NH_VAA:
	case CMD_TLBI_NSNH_ALL:
		return SMMUV3_PHASE_TLBI;
	case CMD_ATC_INV:
		return SMMUV3_PHASE_ATC;
	default:
		return SMMUV3_PHASE_NONE;
	}
}

static int do_invalidate(struct mock *mock, u32 viommu_id, const __le64 (*cmds)[2],
			 u32 num, const void __user *from)
{
	struct mock_call *call = record(mock, MOCK_INVALIDATE, viommu_id);
	struct mock_obj *viommu = mock_find(mock, viommu_id), *vdevice;
	enum smmuv3_phase phase = phase_of(le64_to_cpu(cmds[0][0]));
	u64 cmd;
	u32 i;

	for (i = 0; i < num; i++) {
		cmd = le64_to_cpu(cmds[i][0]);
		/* The host may carry them out in any order. */
		MUST(mock, phase != SMMUV3_PHASE_NONE && phase_of(cmd) == phase,
		     "command %u, %llx, in this batch", i, cmd);
		MUST(mock, viommu, "%u is no object", viommu_id);
		if (!viommu || phase == SMMUV3_PHASE_TLBI)
			continue;
		vdevice = find_vdevice(mock, NULL, viommu, cmd >> 32);
		MUST(mock, vdevice, "command %u, %llx, is not for %u", i, cmd, viommu_id);
		if (vdevice && vdevice->dead)
			call->rc = call->rc ?: -EIO;
	}
	if (viommu)
		call->smmu = (const struct smmuv3_hw_info *)viommu->iommu - mock->smmu;
	call->num = num;
	call->from = from;
	call->cmds = cmds;
	if (viommu)
		meanwhile(mock, MOCK_INVALIDATE, viommu->on);
	if (mock->signal)
		set_thread_flag(TIF_SIGPENDING);
	return call->rc;
}

static struct mock *to_mock_invalidate(struct smmuv3_host *host, u32 num)
{
	struct mock *mock = to_mock_lane(host, SMMUV3_LANE_QUEUE);

	MUST(mock, num && num <= SMMUV3_HOST_MAX_BATCH, "%u commands", num);
	return mock;
}

static int mock_invalidate(struct smmuv3_host *host, u32 viommu_id,
			   const __le64 (*cmds)[2], u32 num)
{
	struct mock *mock = to_mock_invalidate(host, num);

	atomic_set(&mock->mapped, 1);
	return do_invalidate(mock, viommu_id, dup(mock, cmds, num * sizeof(*cmds)),
			     num, NULL);
}

/* The prepared call */
static long mock_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mock_host *h = file->private_data;
	struct mock *mock = to_mock_invalidate(&h->host, h->inv.entry_num);
	size_t len = h->inv.entry_num * sizeof(__le64[2]);
	void __user *from = u64_to_user_ptr(h->inv.data_uptr);
	void *copy = kunit_kmalloc(mock->test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(mock->test, copy);
	MUST(mock, cmd == IOMMU_HWPT_INVALIDATE && arg == (unsigned long)&h->inv &&
	     h->inv.entry_len == sizeof(__le64[2]), "the prepared call");
	MUST(mock, atomic_read(&mock->mapped), "an argument that is not mapped");
	MUST(mock, !mock->unchecked, "commands that nobody checks");
	MUST(mock, !copy_from_user(copy, from, len), "commands that are not there");
	if (mock->scribble)
		MUST(mock, !clear_user(from, len), "read-only commands");
	return do_invalidate(mock, h->inv.hwpt_id, copy, h->inv.entry_num, from);
}

static const struct file_operations mock_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = mock_ioctl,
};

static int mock_checks_commands(struct smmuv3_host *host, u32 viommu_id)
{
	struct mock *mock = to_mock_lane(host, SMMUV3_LANE_QUEUE);

	MUST(mock, mock_find(mock, viommu_id), "%u is no object", viommu_id);
	mock->probes++;
	return mock->probe_rc ?: !mock->unchecked;
}

static void mock_close(struct smmuv3_host *host)
{
	to_mock(host);
	fput(host->call.file);
	container_of(host, struct mock_host, host)->open = false;
}

/**
 * mock_set_reachable() - Set whether the calling task can call the host
 * @mock: the host
 * @reachable: true if it can
 */
void mock_set_reachable(struct mock *mock, bool reachable)
{
	int i;

	mock->reachable = reachable;
	for (i = 0; i < MOCK_HOSTS; i++)
		mock->hosts[i].host.mm = reachable ? NULL : ERR_PTR(-ESRCH);
}

/**
 * mock_offer_ril() - Let all SMMUs have range invalidation
 * @mock: the host, before its first device is attached
 */
void mock_offer_ril(struct mock *mock)
{
	int i;

	for (i = 0; i < MOCK_SMMUS; i++)
		mock->smmu[i].idr[3] |= IDR3_RIL;
}

static int mock_change_process(struct smmuv3_host *host, int fd,
			       enum smmuv3_accel_reason *reason)
{
	struct mock *mock = to_mock(host);
	int rc = record(mock, MOCK_CHANGE_PROCESS, 0)->rc;

	if (fd != MOCK_IOMMUFD) {
		*reason = SMMUV3_ACCEL_REASON_OTHER_IOMMUFD;
		return -EINVAL;
	}
	if (rc == -ENOMEM)
		*reason = SMMUV3_ACCEL_REASON_NO_ROOM;
	if (!rc)
		mock_set_reachable(mock, true);
	return rc;
}

static const struct smmuv3_host_ops mock_ops = {
	.close = mock_close,
	.change_process = mock_change_process,
	.dev_get = mock_dev_get,
	.dev_put = mock_dev_put,
	.dev_attach = mock_dev_attach,
	.dev_detach = mock_dev_detach,
	.dev_in_force = mock_dev_in_force,
	.hw_info = mock_hw_info,
	.alloc_parent = mock_alloc_parent,
	.alloc_viommu = mock_alloc_viommu,
	.alloc_vdevice = mock_alloc_vdevice,
	.alloc_nested = mock_alloc_nested,
	.destroy = mock_destroy,
	.invalidate = mock_invalidate,
	.checks_commands = mock_checks_commands,
};

/* Set up SMMUs that can nest and have ATS. The mock is freed with the test. */
struct mock *mock_init(struct kunit *test)
{
	struct mock *mock;
	int i;

	mock = kunit_kzalloc(test, sizeof(*mock), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mock);
	mock->test = test;
	mock->reachable = true;
	atomic_set(&mock->mapped, 1);
	mock->last_id = 1000;
	INIT_LIST_HEAD(&mock->objs);
	for (i = 0; i < MOCK_SMMUS; i++) {
		mock->smmu[i].idr[0] = IDR0_S2P | IDR0_S1P | IDR0_ATS | IDR0_ASID16 |
				       FIELD_PREP(IDR0_STALL_MODEL, 1);
		mock->smmu[i].idr[1] = FIELD_PREP(IDR1_SIDSIZE, 16) |
				       FIELD_PREP(IDR1_SSIDSIZE, 8);
	}
	for (i = 0; i < MOCK_DEVS; i++)
		mock->devs[i] = (struct mock_dev){
			.dev.iommu = &mock->smmu[i / (MOCK_DEVS / MOCK_SMMUS)],
			.dev.dev_id = MOCK_DEV_ID(i),
			.dev.canwbs = true,
			.hwpt_id = MOCK_VMM_HWPT,
		};
	return mock;
}

struct smmuv3_host *mock_open(struct mock *mock, struct smmuv3_vsmmu *v)
{
	struct mock_host *h = mock->hosts;
	struct file *file;

	while (h->open)
		KUNIT_ASSERT_TRUE(mock->test, ++h < &mock->hosts[MOCK_HOSTS]);
	file = anon_inode_getfile("[smmuv3-accel-mock]", &mock_fops, h, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(mock->test, file);
	*h = (struct mock_host){
		.host.ops = &mock_ops,
		.host.call = {
			.inv = &h->inv,
			.mapped = &mock->mapped,
			.file = file,
			.arg = (void __user *)&h->inv,
		},
		.host.owner = mock,
		.host.ioas_id = MOCK_IOAS,
		.mock = mock,
		.v = v,
		.open = true,
	};
	return &h->host;
}

u32 mock_vmm_parent(struct mock *mock, int smmu)
{
	struct mock_obj init = {
		.kind = MOCK_PARENT,
		.iommu = &mock->smmu[smmu],
		.vmms = true,
	};

	return obj_add(mock, init)->id;
}

/* The VMM attaches a device, or with 0 detaches it, with the VFIO device's ioctls. */
void mock_vmm_attach(struct mock *mock, int fd, u32 hwpt_id)
{
	dev_set_hwpt(mock, &mock->devs[fd], hwpt_id);
}

/* The VMM destroys a module's object. The module may destroy it again. */
void mock_vmm_destroy(struct mock *mock, u32 id)
{
	struct mock_obj *obj = mock_find(mock, id);

	KUNIT_ASSERT_NOT_NULL(mock->test, obj);
	obj->dead = true;
}

/* The iommufd is closed, and all objects that are left go with it. */
void mock_iommufd_gone(struct mock *mock)
{
	INIT_LIST_HEAD(&mock->objs);
	mock->left = false;
}

void mock_meanwhile(struct mock *mock, enum mock_op op,
		    void (*what)(struct kunit *test, u32 parent))
{
	mock->meanwhile = what;
	mock->meanwhile_op = op;
}

void mock_fail(struct mock *mock, enum mock_op op, u32 at, u32 num, int rc)
{
	mock->fail_op = op;
	mock->fail_at = at;
	mock->fail_num = num;
	mock->fail_rc = rc;
	mock->failed = 0;
}

/* Let all calls succeed from now on. Returns how many failed since mock_fail(). */
u32 mock_fail_stop(struct mock *mock)
{
	mock->fail_num = 0;
	return mock->failed;
}

struct mock_state mock_state(struct mock *mock)
{
	struct mock_state state = {};
	struct mock_obj *obj;
	int i;

	list_for_each_entry(obj, &mock->objs, node)
		state.live[obj->kind] += !obj->vmms && !obj->dead;
	for (i = 0; i < MOCK_DEVS; i++) {
		state.hwpt_id[i] = mock->devs[i].hwpt_id;
		state.held[i] = mock->devs[i].held;
	}
	return state;
}

u32 mock_count(struct mock *mock, enum mock_op op)
{
	u32 i, num = 0;

	for (i = 0; i < mock->log_num; i++)
		num += mock->log[i].op == op;
	return num;
}
