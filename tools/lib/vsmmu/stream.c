// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Streams: devices, bridges and emulated endpoints.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static int attach(struct vsmmu *v, int vfio_fd, uint32_t vsid, uint32_t flags,
		  uint32_t s2_hwpt_id, struct smmuv3_accel_attach *info)
{
	struct vsmmu_error error;
	int rc;

	*info = (struct smmuv3_accel_attach){
		.size = sizeof(*info),
		.flags = flags,
		.vfio_fd = vfio_fd,
		.vsid = vsid,
		.s2_hwpt_id = s2_hwpt_id,
	};
	rc = vsmmu__call(v, SMMUV3_ACCEL_ATTACH, info);
	if (!rc)
		return 0;
	error = (struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_ATTACH,
		.reason = info->out_reason,
		.vsid = vsid,
	};
	memcpy(error.bad_idr, info->out_bad_idr, sizeof(error.bad_idr));
	return vsmmu__fail(v, &error);
}

static int detach(struct vsmmu *v, uint32_t vsid)
{
	struct smmuv3_accel_detach arg = { .size = sizeof(arg), .vsid = vsid };
	int rc = vsmmu__call(v, SMMUV3_ACCEL_DETACH, &arg);

	if (!rc)
		return 0;
	return vsmmu__fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_DETACH,
		.reason = arg.out_reason,
		.vsid = vsid,
	});
}

/*
 * The calls here that do not name several streams at once leave @work to others: doorbells
 * go on while the kernel attaches a device, which maps all guest memory.
 *
 * They call the kernel, so vsmmu__lock_state() is not for them. No callback becomes due
 * here: those of other callers stay with them.
 */
static void lock_streams(struct vsmmu *v)
{
	pthread_mutex_lock(&v->streams);
	pthread_mutex_lock(&v->lock);
}

static void unlock_streams(struct vsmmu *v)
{
	pthread_mutex_unlock(&v->lock);
	pthread_mutex_unlock(&v->streams);
}

/*
 * Attach and detach: the module knows a physical SMMU only after an ATTACH behind it,
 * and takes ID registers only while no stream is attached.
 */
int vsmmu_probe(struct vsmmu *v, int vfio_fd, uint32_t s2_hwpt_id)
{
	struct smmuv3_accel_attach info;
	int rc;

	lock_streams(v);
	if (v->started) {
		rc = vsmmu__refuse(v, -EBUSY, VSMMU_REASON_STARTED);
	} else {
		rc = attach(v, vfio_fd, 0, 0, s2_hwpt_id, &info);
		if (!rc)
			rc = detach(v, 0);
	}
	unlock_streams(v);
	return rc;
}

int vsmmu_attach(struct vsmmu *v, int vfio_fd, uint32_t vsid, uint32_t flags,
		 uint32_t s2_hwpt_id, struct smmuv3_accel_attach *info)
{
	bool dry_run = flags & SMMUV3_ACCEL_ATTACH_DRY_RUN;
	struct smmuv3_accel_attach scratch;
	int rc;

	lock_streams(v);
	rc = vsmmu__check_started(v);
	/* A kernel that has more room than it said must not overflow the list. */
	if (!rc && !dry_run && v->stream_num == v->stream_max)
		rc = vsmmu__fail(v, &(struct vsmmu_error){
			.error = -ENOSPC,
			.reason = SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS,
			.vsid = vsid,
		});
	if (!rc)
		rc = attach(v, vfio_fd, vsid, flags, s2_hwpt_id,
			    info ? info : &scratch);
	if (!rc && !dry_run) {
		v->named[v->stream_num] = false;
		v->vsid[v->stream_num++] = vsid;
	}
	unlock_streams(v);
	return rc;
}

/* A stream's index in the list; the list's length if it is not there */
uint32_t vsmmu__find_stream(struct vsmmu *v, uint32_t vsid)
{
	uint32_t i;

	for (i = 0; i < v->stream_num; i++)
		if (v->vsid[i] == vsid)
			break;
	return i;
}

int vsmmu_detach(struct vsmmu *v, uint32_t vsid)
{
	uint32_t i;
	int rc;

	lock_streams(v);
	rc = detach(v, vsid);
	i = vsmmu__find_stream(v, vsid);
	if (!rc && i < v->stream_num) {
		v->vsid[i] = v->vsid[--v->stream_num];
		v->named[i] = v->named[v->stream_num];
	}
	unlock_streams(v);
	return rc;
}

/*
 * After a failure, whether the kernel has set the StreamIDs. It has if it knows a new
 * one that was not in use before. If all were in use, the library's list has the same
 * StreamIDs either way.
 */
static bool vsids_are_set(struct vsmmu *v,
			  const struct smmuv3_accel_vsid *entries, uint32_t num)
{
	struct smmuv3_accel_stream stream = { .size = sizeof(stream) };
	uint32_t i;

	for (i = 0; i < num; i++) {
		if (vsmmu__find_stream(v, entries[i].new_vsid) < v->stream_num)
			continue;
		stream.vsid = entries[i].new_vsid;
		return !vsmmu__call(v, SMMUV3_ACCEL_GET_STREAM, &stream);
	}
	return false;
}

/* Rename all at once: look each stream of the list up once, by its old StreamID. */
static void rename_streams(struct vsmmu *v,
			   const struct smmuv3_accel_vsid *entries, uint32_t num)
{
	uint32_t i, j;

	for (i = 0; i < v->stream_num; i++) {
		for (j = 0; j < num; j++) {
			if (v->vsid[i] != entries[j].old_vsid)
				continue;
			v->vsid[i] = entries[j].new_vsid;
			v->named[i] = false;
			break;
		}
	}
}

static int set_vsids(struct vsmmu *v, const struct smmuv3_accel_vsid *entries,
		     uint32_t num)
{
	struct smmuv3_accel_set_vsids arg = {
		.size = sizeof(arg),
		.entries_uptr = (uintptr_t)entries,
		.entry_num = num,
	};
	int rc = vsmmu__check_started(v);

	if (rc)
		return rc;
	rc = vsmmu__call(v, SMMUV3_ACCEL_SET_VSIDS, &arg);
	/* The library does not read entries that the kernel could not read. */
	if (!rc || (rc != -EFAULT && arg.out_reason != SMMUV3_ACCEL_REASON_ARRAY &&
		    vsids_are_set(v, entries, num)))
		rename_streams(v, entries, num);
	if (!rc)
		return 0;
	return vsmmu__fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_SET_VSIDS,
		.reason = arg.out_reason,
		.vsid = arg.out_vsid,
	});
}

int vsmmu_set_vsids(struct vsmmu *v, const struct smmuv3_accel_vsid *entries,
		    uint32_t num)
{
	int rc;

	pthread_mutex_lock(&v->streams);
	vsmmu__lock(v);
	rc = set_vsids(v, entries, num);
	pthread_mutex_unlock(&v->streams);
	vsmmu__unlock(v);
	return rc;
}
