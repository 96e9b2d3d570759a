/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mock host for KUnit tests. It follows the rules of iommufd and the host driver,
 * records calls, and fails those that a test picks. If the module makes a call that
 * it must never make, the test fails at once.
 */
#ifndef _SMMUV3_ACCEL_HOST_MOCK_H
#define _SMMUV3_ACCEL_HOST_MOCK_H

#include <kunit/test.h>
#include <linux/list.h>

#include "host.h"

struct smmuv3_vsmmu;

/* File descriptors 0 to 7 are devices, the first four behind SMMU 0. */
#define MOCK_DEVS		8
#define MOCK_SMMUS		2
#define MOCK_DEV_ID(fd)		(100 + (fd))
#define MOCK_IOMMUFD		50	/* its file descriptor */
#define MOCK_IOAS		60	/* that CREATE names */
#define MOCK_VMM_HWPT		1	/* the VMM's own, attached at the start */
#define MOCK_HOSTS		4
#define MOCK_LOG		256

enum mock_kind {
	MOCK_PARENT,
	MOCK_VIOMMU,
	MOCK_VDEVICE,
	MOCK_NESTED,
	MOCK_KINDS,
};

enum mock_op {
	MOCK_ALLOC,		/* plus one of enum mock_kind */
	MOCK_DESTROY = MOCK_KINDS,	/* not included in MOCK_ANY */
	MOCK_ATTACH,
	MOCK_DETACH,		/* fails only with EINTR, if it is killable */
	MOCK_GET,
	MOCK_PUT,
	MOCK_HW_INFO,
	MOCK_INVALIDATE,	/* from the VMM's memory as well: mock_call.from */
	MOCK_CHANGE_PROCESS,
	MOCK_ANY,
	MOCK_DESTROYED,		/* only for mock_meanwhile() */
};

struct mock_obj {
	struct list_head node;		/* in mock.objs */
	enum mock_kind kind;
	u32 id;				/* not reused */
	u32 users;			/* objects on it, devices attached to it */
	struct mock_obj *on;
	const void *iommu;
	bool vmms;			/* allocated by the VMM */
	bool dead;			/* destroyed by the VMM */
	bool busy;			/* the VMM uses it, for instance by a vEVENTQ */
	bool plain;			/* an HWPT that is no nesting parent */
	const struct mock_dev *dev;	/* it was made for */
	u32 vsid;			/* of a vDEVICE */
	u64 ste[2];			/* of a nested domain */
};

struct mock_dev {
	struct smmuv3_host_dev dev;
	u32 hwpt_id;			/* 0: DMA is blocked */
	u32 set_hwpt_id;		/* by the module */
	u32 held;
};

struct mock_call {
	enum mock_op op;
	int rc;
	u32 id;				/* of the object or device */
	u32 smmu;			/* that invalidates */
	u32 num;			/* of commands */
	const void __user *from;	/* their address in the VMM; NULL: in the module */
	const __le64 (*cmds)[2];
};

/* The mock host as one vSMMU sees it */
struct mock_host {
	struct smmuv3_host host;
	struct mock *mock;
	struct smmuv3_vsmmu *v;		/* NULL while it is being closed, without locks */
	struct iommu_hwpt_invalidate inv;
	bool open;
};

/* State that a failed call must not change; without the VMM's objects */
struct mock_state {
	u32 live[MOCK_KINDS];
	u32 hwpt_id[MOCK_DEVS];
	u32 held[MOCK_DEVS];
};

/* An iommufd and its devices, the owner of all hosts opened on it */
struct mock {
	struct kunit *test;
	struct smmuv3_hw_info smmu[MOCK_SMMUS];
	struct mock_dev devs[MOCK_DEVS];
	struct list_head objs;
	u32 last_id;
	struct mock_host hosts[MOCK_HOSTS];
	bool reachable;
	bool left;			/* objects that keep others busy */
	bool signal;			/* after each invalidation, a signal is pending */
	bool scribble;			/* after each read, the VMM changes what was read */
	bool unchecked;			/* the host does not check commands */
	atomic_t mapped;		/* how many times all arguments are mapped */
	u32 probes;			/* how often the module asked whether it does */
	int probe_rc;			/* the errno that it gets instead of an answer */

	/*
	 * Called within the next ALLOC of a parent, when it exists; within the next
	 * DESTROY of one, when it no longer exists; or within the next INVALIDATE
	 */
	void (*meanwhile)(struct kunit *test, u32 parent);
	enum mock_op meanwhile_op;

	/* The fail_at'th call (from 1) of fail_op fails, fail_num in a row. */
	enum mock_op fail_op;
	u32 fail_at;
	u32 fail_num;
	int fail_rc;
	u32 failed;

	struct mock_call log[MOCK_LOG];
	u32 log_num;
};

struct mock *mock_init(struct kunit *test);
struct smmuv3_host *mock_open(struct mock *mock, struct smmuv3_vsmmu *v);
void mock_offer_ril(struct mock *mock);
void mock_set_reachable(struct mock *mock, bool reachable);
u32 mock_vmm_parent(struct mock *mock, int smmu);
void mock_vmm_attach(struct mock *mock, int fd, u32 hwpt_id);
void mock_vmm_destroy(struct mock *mock, u32 id);
void mock_iommufd_gone(struct mock *mock);
void mock_meanwhile(struct mock *mock, enum mock_op op,
		    void (*what)(struct kunit *test, u32 parent));
void mock_fail(struct mock *mock, enum mock_op op, u32 at, u32 num, int rc);
u32 mock_fail_stop(struct mock *mock);
struct mock_obj *mock_find(struct mock *mock, u32 id);
struct mock_state mock_state(struct mock *mock);
u32 mock_count(struct mock *mock, enum mock_op op);

#endif
