// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Creating, starting and destroying a virtual SMMU.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "internal.h"

#define MAX_PHYS	64

#define CONFIG_FLAGS	(VSMMU_CONFIG_CLEAN | VSMMU_CONFIG_CHANGE_PROCESS)

static int default_idr(struct vsmmu *v, const struct vsmmu_options *options,
		       uint32_t idr[6])
{
	struct smmuv3_accel_phys phys[MAX_PHYS];
	uint32_t num;
	int rc;

	for (num = 0; num < MAX_PHYS; num++) {
		phys[num] = (struct smmuv3_accel_phys){
			.size = sizeof(phys[num]),
			.index = num,
		};
		rc = vsmmu__call(v, SMMUV3_ACCEL_GET_PHYS, &phys[num]);
		if (rc == -ENOENT)
			break;
		if (rc)
			return vsmmu__ioctl_failed(v, SMMUV3_ACCEL_GET_PHYS, rc,
						   phys[num].out_reason);
	}
	rc = vsmmu_compute_idr(phys, num, options, idr);
	switch (rc) {
	case 0:
		return 0;
	case -ENODEV:
		return vsmmu__refuse(v, rc, VSMMU_REASON_NO_PHYS);
	case -EOPNOTSUPP:
		return vsmmu__refuse(v, rc, VSMMU_REASON_NOTHING_COMMON);
	default:
		return vsmmu__refuse(v, rc, VSMMU_REASON_OPTION);
	}
}

const struct vsmmu_options vsmmu__no_options;

int vsmmu_default_idr(struct vsmmu *v, const struct vsmmu_options *options,
		      uint32_t idr[6])
{
	int rc;

	vsmmu__lock(v);
	rc = default_idr(v, options ? options : &vsmmu__no_options, idr);
	vsmmu__unlock(v);
	return rc;
}

static int set_idr(struct vsmmu *v, const uint32_t idr[6])
{
	struct smmuv3_accel_set_idr arg = { .size = sizeof(arg) };
	struct vsmmu_error error;
	int rc;

	memcpy(arg.idr, idr, sizeof(arg.idr));
	rc = vsmmu__call(v, SMMUV3_ACCEL_SET_IDR, &arg);
	if (!rc)
		return 0;
	error = (struct vsmmu_error){
		.error = rc,
		.request = SMMUV3_ACCEL_SET_IDR,
		.reason = arg.out_reason,
	};
	memcpy(error.bad_idr, arg.out_bad_idr, sizeof(error.bad_idr));
	return vsmmu__fail(v, &error);
}

/* SMMU_AIDR: as the VMM says, or by the features that are offered */
static uint32_t aidr_of(const struct vsmmu_options *options, const uint32_t idr[6])
{
	if (options->aidr || (options->flags & VSMMU_OPT_IDR))
		return options->aidr;
	return idr[3] & IDR3_HAD ? AIDR_SMMUV3_1 : AIDR_SMMUV3_0;
}

static int start(struct vsmmu *v, const struct vsmmu_options *options)
{
	uint32_t idr[6];
	int i, rc;

	if (v->started)
		return vsmmu__refuse(v, -EBUSY, VSMMU_REASON_STARTED);
	rc = default_idr(v, options, idr);
	if (!rc)
		rc = set_idr(v, idr);
	if (rc)
		return rc;
	for (i = 0; i < 6; i++)
		vsmmu__reg_set(v, REG_IDR0 + i, idr[i]);
	vsmmu__reg_set(v, REG_IIDR, options->iidr);
	vsmmu__reg_set(v, REG_AIDR, aidr_of(options, idr));
	v->reset_gbpa = reset_gbpa(options);
	vsmmu__regs_reset(v);
	/* It has no queue to run and no other caller's work, so it makes no callbacks. */
	rc = vsmmu__work(v);
	v->started = !rc;
	return rc;
}

int vsmmu_start(struct vsmmu *v, const struct vsmmu_options *options)
{
	int rc;

	pthread_mutex_lock(&v->streams);
	vsmmu__lock(v);
	rc = start(v, options ? options : &vsmmu__no_options);
	pthread_mutex_unlock(&v->streams);
	vsmmu__unlock(v);
	return rc;
}

static int set_irqfd(struct vsmmu *v, enum vsmmu_irq line, int fd)
{
	int i, rc;

	if ((unsigned int)line >= VSMMU_IRQ_NUM)
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_LINE);
	if (fd >= 0) {
		rc = vsmmu__check_fd(v, fd, VSMMU_FD_EVENTFD,
				     VSMMU_REASON_NOT_EVENTFD);
		if (rc)
			return rc;
	}
	for (i = 0; fd >= 0 && i < VSMMU_IRQ_NUM; i++)
		if (i != (int)line && v->irqfd[i] == fd)
			return vsmmu__refuse(v, -EEXIST,
					     VSMMU_REASON_IRQFD_TWICE);
	v->irqfd[line] = fd;
	return 0;
}

int vsmmu_set_irqfd(struct vsmmu *v, enum vsmmu_irq line, int fd)
{
	int rc;

	vsmmu__lock_state(v);
	rc = set_irqfd(v, line, fd);
	vsmmu__unlock_state(v);
	return rc;
}

/* Shared memory at a multiple of the largest guest page, for a memory slot. */
static int map_page(struct vsmmu *v)
{
	const size_t room = VSMMU_REGS_SIZE + VSMMU_PAGE_SIZE;
	int rc = 0, memfd;
	char *map, *at;

	map = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	at = map + (-(uintptr_t)map & (VSMMU_PAGE_SIZE - 1));
	memfd = memfd_create("vsmmu", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, VSMMU_REGS_SIZE) ||
	    mmap(at, VSMMU_REGS_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, memfd, 0) == MAP_FAILED)
		rc = -errno;
	if (memfd >= 0)
		close(memfd);
	if (rc) {
		munmap(map, room);
		return rc;
	}
	if (at != map)
		munmap(map, at - map);
	if (at + VSMMU_REGS_SIZE != map + room)
		munmap(at + VSMMU_REGS_SIZE, map + room - at - VSMMU_REGS_SIZE);
	v->page = at;
	v->own_page = true;
	return 0;
}

static int get_page(struct vsmmu *v, void *regs_memory)
{
	int rc;

	v->page = regs_memory;
	if (regs_memory)
		return 0;
	rc = map_page(v);
	return rc ? vsmmu__fail_plain(v, rc) : 0;
}

static int get_accel(struct vsmmu *v, int accel_fd)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	int rc;

	v->fd = accel_fd;
	if (v->fd < 0) {
		v->fd = v->kernel->open(v->kernel_data, "/dev/smmuv3-accel");
		if (v->fd < 0)
			return vsmmu__refuse(v, v->fd, VSMMU_REASON_OPEN);
		v->own_fd = true;
	}
	rc = vsmmu__call(v, SMMUV3_ACCEL_GET_INFO, &info);
	if (rc)
		return vsmmu__ioctl_failed(v, SMMUV3_ACCEL_GET_INFO, rc,
					   info.out_reason);
	v->max_batch = info.out_max_batch;
	v->stream_max = info.out_max_streams;
	v->vsid = calloc(v->stream_max, sizeof(*v->vsid));
	v->named = calloc(v->stream_max, sizeof(*v->named));
	v->bad = calloc(v->stream_max, sizeof(*v->bad));
	if (v->feed) {
		v->feed_room = v->max_batch;
		v->feed_cmds = calloc(v->feed_room, sizeof(*v->feed_cmds));
	}
	v->syncs = calloc(v->max_batch, sizeof(*v->syncs));
	if (v->msi) {
		v->msi_max = 2 * v->max_batch + OTHER_MSIS;
		v->msis = calloc(v->msi_max, sizeof(*v->msis));
	}
	if (!v->vsid || !v->named || !v->bad || (v->feed && !v->feed_cmds) ||
	    !v->syncs || (v->msi && !v->msis))
		return vsmmu__fail_plain(v, -ENOMEM);
	return 0;
}

static int change_process(struct vsmmu *v, int iommufd)
{
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = iommufd,
	};
	int rc = vsmmu__call(v, SMMUV3_ACCEL_CHANGE_PROCESS, &arg);

	if (!rc)
		return 0;
	return vsmmu__ioctl_failed(v, SMMUV3_ACCEL_CHANGE_PROCESS, rc,
				   arg.out_reason);
}

static int create(struct vsmmu *v, const struct vsmmu_config *config)
{
	struct smmuv3_accel_create arg = {
		.size = sizeof(arg),
		.flags = config->create_flags |
			 (v->feed ? SMMUV3_ACCEL_CREATE_FEED : 0),
		.iommufd = config->iommufd,
		.ioas_id = config->ioas_id,
	};
	int rc = vsmmu__call(v, SMMUV3_ACCEL_CREATE, &arg);

	if (!rc)
		return 0;
	return vsmmu__ioctl_failed(v, SMMUV3_ACCEL_CREATE, rc, arg.out_reason);
}

/*
 * Check before doing anything: after CHANGE_PROCESS the old process has lost the
 * virtual SMMU, even if something fails later.
 */
static int check_config(struct vsmmu *v, const struct vsmmu_config *config)
{
	bool take_over = config->flags & VSMMU_CONFIG_CHANGE_PROCESS;

	if (config->size != sizeof(*config))
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_CONFIG);
	if (config->flags & ~CONFIG_FLAGS)
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_FLAGS);
	if (take_over && config->accel_fd < 0)
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_ACCEL_FD);
	if (config->iommufd < 0)
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_IOMMUFD);
	if ((uintptr_t)config->regs % VSMMU_PAGE_SIZE)
		return vsmmu__refuse(v, -EINVAL, VSMMU_REASON_REGS_ALIGN);
	return vsmmu__check_regions(v, config->regions, config->region_num);
}

/* Make the open file a virtual SMMU of this process, with memory */
static int bind_accel(struct vsmmu *v, const struct vsmmu_config *config)
{
	int rc;

	if (config->flags & VSMMU_CONFIG_CHANGE_PROCESS)
		rc = change_process(v, config->iommufd);
	else
		rc = create(v, config);
	return rc ? rc : vsmmu__set_memory(v, config->regions, config->region_num);
}

/* How many virtual SMMUs were created */
static uint64_t ids;

static struct vsmmu *allocate(void)
{
	struct vsmmu *v = calloc(1, sizeof(*v));
	int i;

	if (!v)
		return NULL;
	v->id = __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED);
	pthread_mutex_init(&v->streams, NULL);
	pthread_mutex_init(&v->turn, NULL);
	pthread_mutex_init(&v->work, NULL);
	pthread_mutex_init(&v->lock, NULL);
	v->fd = -1;
	for (i = 0; i < VSMMU_IRQ_NUM; i++)
		v->irqfd[i] = -1;
	return v;
}

static void take_config(struct vsmmu *v, const struct vsmmu_config *config)
{
	v->kernel = config->kernel ? config->kernel : &vsmmu__kernel;
	v->kernel_data = config->kernel_data;
	v->flags = config->flags;
	v->raise = config->raise;
	v->feed = config->feed;
	v->cmd_error = config->cmd_error;
	v->msi = config->msi;
	v->opaque = config->opaque;
}

static int build(struct vsmmu *v, const struct vsmmu_config *config)
{
	int rc;

	rc = check_config(v, config);
	if (rc)
		return rc;
	take_config(v, config);
	rc = get_page(v, config->regs);
	if (!rc)
		rc = get_accel(v, config->accel_fd);
	if (!rc)
		rc = bind_accel(v, config);
	/* Not earlier: until now it may hold the registers that the guest sees. */
	if (!rc && config->regs)
		memset(config->regs, 0, VSMMU_REGS_SIZE);
	return rc;
}

int vsmmu_new(const struct vsmmu_config *config, struct vsmmu **out,
	      struct vsmmu_error *error)
{
	struct vsmmu_error failure = { .error = -ENOMEM };
	struct vsmmu *v;
	int rc = -ENOMEM;

	v = allocate();
	if (v) {
		vsmmu__lock(v);
		rc = build(v, config);
		vsmmu__unlock(v);
		failure = rc ? vsmmu__last.error : (struct vsmmu_error){ 0 };
	}
	if (rc) {
		vsmmu_free(v);
		v = NULL;
	}
	if (error)
		*error = failure;
	*out = v;
	return rc;
}

void vsmmu_free(struct vsmmu *v)
{
	if (!v)
		return;
	if (v->own_fd)
		v->kernel->close(v->kernel_data, v->fd);
	if (v->own_page)
		munmap(v->page, VSMMU_REGS_SIZE);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->work);
	pthread_mutex_destroy(&v->turn);
	pthread_mutex_destroy(&v->streams);
	free(v->feed_cmds);
	free(v->syncs);
	free(v->msis);
	free(v->vsid);
	free(v->named);
	free(v->bad);
	free(v);
}

uint32_t vsmmu_version(void)
{
	return VSMMU_VERSION;
}

int vsmmu_fd(struct vsmmu *v)
{
	return v->fd;
}

void vsmmu_get_counters(struct vsmmu *v, struct vsmmu_counters *counters)
{
	vsmmu__lock_state(v);
	*counters = v->counters;
	vsmmu__unlock_state(v);
}
