// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * System calls, and failures.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "internal.h"

static int kernel_open(void *data, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	(void)data;
	return fd < 0 ? -errno : fd;
}

static void kernel_close(void *data, int fd)
{
	(void)data;
	close(fd);
}

static int kernel_ioctl(void *data, int fd, unsigned long request, void *arg)
{
	(void)data;
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static ssize_t kernel_read(void *data, int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	(void)data;
	return n < 0 ? -errno : n;
}

/*
 * Identify a file by the name that the kernel gives to files without a path. Take any
 * queue of iommufd for a vEVENTQ, except for that of page faults: so it does not matter
 * if the kernel renames vEVENTQs.
 */
static int kernel_identify(void *data, int fd)
{
	static const char iommufd[] = "anon_inode:[iommufd-";
	char path[40], name[64];
	ssize_t len;

	(void)data;
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	len = readlink(path, name, sizeof(name) - 1);
	if (len < 0)
		return VSMMU_FD_UNKNOWN;
	name[len] = 0;
	if (!strcmp(name, "anon_inode:[eventfd]"))
		return VSMMU_FD_EVENTFD;
	if (!strncmp(name, iommufd, strlen(iommufd)) &&
	    strcmp(name, "anon_inode:[iommufd-pgfault]"))
		return VSMMU_FD_VEVENTQ;
	return VSMMU_FD_OTHER;
}

/*
 * A guest maps the SMMU as Device memory. Without FEAT_S2FWB that attribute applies to
 * a memory slot as well, so the guest's loads miss data that is only in the caches.
 * Clean the line to the point of coherency, and wait for that. KVM cleans a page
 * when it maps it, so pages that the guest has not touched need nothing.
 */
static void kernel_clean(void *data, const volatile void *line)
{
	(void)data;
#ifdef __aarch64__
	asm volatile("dc cvac, %0\n\tdsb sy" : : "r" (line) : "memory");
#else
	(void)line;
#endif
}

const struct vsmmu_kernel vsmmu__kernel = {
	.open = kernel_open,
	.close = kernel_close,
	.ioctl = kernel_ioctl,
	.read = kernel_read,
	.identify = kernel_identify,
	.clean = kernel_clean,
};

__thread struct last_failure vsmmu__last;

/* Record the thread's last failure. Returns its errno. */
int vsmmu__fail(struct vsmmu *v, const struct vsmmu_error *error)
{
	vsmmu__last = (struct last_failure){ .id = v->id, .error = *error };
	return error->error;
}

/* The library refuses something. @reason: one of enum vsmmu_reason, or 0 */
int vsmmu__refuse(struct vsmmu *v, int rc, uint32_t reason)
{
	return vsmmu__fail(v, &(struct vsmmu_error){
		.error = rc,
		.reason = reason,
	});
}

/* The same without a reason, if the errno says all */
int vsmmu__fail_plain(struct vsmmu *v, int rc)
{
	return vsmmu__refuse(v, rc, SMMUV3_ACCEL_REASON_NONE);
}

int vsmmu__ioctl_failed(struct vsmmu *v, unsigned long request, int rc,
			uint32_t reason)
{
	return vsmmu__fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = request,
		.reason = reason,
	});
}

/* Check that a descriptor is of a kind, if the kernel says what it is. */
int vsmmu__check_fd(struct vsmmu *v, int fd, enum vsmmu_fd_kind kind,
		    uint32_t reason)
{
	int is = v->kernel->identify(v->kernel_data, fd);

	if (is == (int)kind || is == VSMMU_FD_UNKNOWN)
		return 0;
	if (is < 0)
		return vsmmu__refuse(v, is, SMMUV3_ACCEL_REASON_BAD_FD);
	return vsmmu__refuse(v, -EINVAL, reason);
}

int vsmmu__check_started(struct vsmmu *v)
{
	if (v->started)
		return 0;
	return vsmmu__refuse(v, -ENXIO, VSMMU_REASON_NOT_STARTED);
}

/* One ioctl. The lock is free meanwhile. */
int vsmmu__call_once(struct vsmmu *v, unsigned long request, void *arg)
{
	int rc;

	pthread_mutex_unlock(&v->lock);
	rc = v->kernel->ioctl(v->kernel_data, v->fd, request, arg);
	pthread_mutex_lock(&v->lock);
	return rc;
}

int vsmmu__call(struct vsmmu *v, unsigned long request, void *arg)
{
	int tries = 0, rc;

	do {
		rc = vsmmu__call_once(v, request, arg);
	} while (rc == -EINTR && ++tries < MAX_INTERRUPTED);
	return rc;
}

/*
 * The host failed at what the guest asked for. Returns -EAGAIN if it may succeed later,
 * otherwise -EIO.
 */
int vsmmu__host_failed(struct vsmmu *v, unsigned long request, int rc,
		       uint32_t reason, uint32_t vsid)
{
	vsmmu__fail(v, &(struct vsmmu_error){
		.error = rc,
		.request = request,
		.reason = reason,
		.vsid = vsid,
	});
	if (rc != -EINTR && rc != -ENOMEM &&
	    reason != SMMUV3_ACCEL_REASON_RETRY)
		return -EIO;
	v->counters.retries++;
	return -EAGAIN;
}

void vsmmu_last_error(struct vsmmu *v, struct vsmmu_error *error)
{
	*error = (struct vsmmu_error){ 0 };
	if (vsmmu__last.id == v->id)
		*error = vsmmu__last.error;
}
