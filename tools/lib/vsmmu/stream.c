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
 * A physical SMMU is known from the first ATTACH behind it on, and the ID
 * registers can be set only while no stream is attached.
 */
int vsmmu_probe(struct vsmmu *v, int vfio_fd, uint32_t s2_hwpt_id)
{
	struct smmuv3_accel_attach info;
	int rc;

	vsmmu__lock(v);
	if (v->started) {
		rc = vsmmu__refuse(v, -EBUSY, VSMMU_REASON_STARTED);
	} else {
		rc = attach(v, vfio_fd, 0, 0, s2_hwpt_id, &info);
		if (!rc)
			rc = detach(v, 0);
	}
	vsmmu__unlock(v);
	return rc;
}

int vsmmu_attach(struct vsmmu *v, int vfio_fd, uint32_t vsid, uint32_t flags,
		 uint32_t s2_hwpt_id, struct smmuv3_accel_attach *info)
{
	struct smmuv3_accel_attach scratch;
	int rc;

	vsmmu__lock(v);
	rc = vsmmu__check_started(v);
	if (!rc && v->stream_num == v->stream_max)
		rc = vsmmu__refuse(v, -ENOSPC,
				   SMMUV3_ACCEL_REASON_TOO_MANY_STREAMS);
	if (!rc)
		rc = attach(v, vfio_fd, vsid, flags, s2_hwpt_id,
			    info ? info : &scratch);
	if (!rc)
		v->vsid[v->stream_num++] = vsid;
	vsmmu__unlock(v);
	return rc;
}

int vsmmu_detach(struct vsmmu *v, uint32_t vsid)
{
	uint32_t i;
	int rc;

	vsmmu__lock(v);
	rc = detach(v, vsid);
	for (i = 0; !rc && i < v->stream_num; i++) {
		if (v->vsid[i] != vsid)
			continue;
		v->vsid[i] = v->vsid[--v->stream_num];
		break;
	}
	vsmmu__unlock(v);
	return rc;
}
