// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile VMMs: several threads make ioctls on shared files and objects, and get signals
 * meanwhile
 *
 * SMMUV3_ACCEL_ROUNDS: how many rounds each thread does
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "fuzz.h"
#include "harness.h"
#include "stress.h"

#define THREADS		3

static atomic_int ended;
static pthread_barrier_t end;

struct worker {
	pthread_t thread;
	__u64 random;
	union arg in;
	union arg at;
	struct smmuv3_accel_ste entries[4];
	struct cmd cmds[RING_SIZE];
	struct cmd feed[RING_SIZE];
	struct smmuv3_accel_bad_ste bad[VSIDS];
	struct smmuv3_accel_vsid vsids[2];
	struct smmuv3_accel_mem_region regions[4];
};

static void any_install_ste(struct worker *w, struct smmuv3_accel_install_ste *arg)
{
	__u64 *r = &w->random;
	unsigned int i, j;
	__u64 ste[8];

	arg->entry_num = one_in(r, 16) ? random_next(r) : roll(r, ARRAY_LEN(w->entries) + 1);
	arg->entry_len = about(r, sizeof(w->entries[0]));
	arg->entries_uptr = any_pointer(r, w->entries);
	if (arg->entry_num > ARRAY_LEN(w->entries) || arg->entry_len != sizeof(w->entries[0]))
		arg->entries_uptr = (__u64)(unsigned long)s.bad;
	for (i = 0; i < ARRAY_LEN(w->entries); i++) {
		any_ste(r, ste);
		for (j = 0; j < 8; j++)
			w->entries[i].ste[j] = htole64(ste[j]);
		w->entries[i].vsid = about(r, any_vsid(r));
		w->entries[i].__reserved = one_in(r, 64);
	}
}

static void any_attach(__u64 *r, struct smmuv3_accel_attach *arg)
{
	arg->vsid = about(r, any_vsid(r));
	arg->vfio_fd = about(r, s.dev[roll(r, DEVICES)].fd);
	if (one_in(r, 4)) {
		arg->flags = 1 + roll(r, 2);
		arg->vfio_fd = one_in(r, 8) ? 0 : -1;
	}
	if (one_in(r, 4))
		arg->flags |= SMMUV3_ACCEL_ATTACH_DRY_RUN;
	if (one_in(r, 4))
		arg->s2_hwpt_id = one_in(r, 2) ? s.parents[roll(r, DEVICES)] : any_id(r);
}

static void any_invalidate(struct worker *w, struct smmuv3_accel_invalidate *arg)
{
	__u64 *r = &w->random;
	unsigned int i;

	arg->cmd_num = one_in(r, 16) ? random_next(r) : roll(r, RING_SIZE + 1);
	arg->cmds_uptr = any_pointer(r, w->cmds);
	for (i = 0; i < RING_SIZE; i++)
		w->cmds[i] = any_cmd(r);
}

static void any_run_cmdq(struct worker *w, struct smmuv3_accel_run_cmdq *arg)
{
	__u64 *r = &w->random;

	arg->cons = about(r, roll(r, 2 * RING_SIZE));
	arg->prod = about(r, (arg->cons + roll(r, RING_SIZE + 1)) & RING_MASK);
	arg->max_cmds = one_in(r, 2) ? 0 : about(r, 8);
	arg->feed_num = roll(r, RING_SIZE + 1);
	arg->feed_uptr = any_pointer(r, w->feed);
	arg->bad_num = roll(r, ARRAY_LEN(w->bad) + 1);
	arg->bad_uptr = any_pointer(r, w->bad);
}

/* Also to and from names, and the same one twice */
static void any_set_vsids(struct worker *w, struct smmuv3_accel_set_vsids *arg)
{
	__u64 *r = &w->random;
	unsigned int i;

	arg->entry_num = one_in(r, 16) ? random_next(r) : 1 + roll(r, 2);
	arg->entries_uptr = any_pointer(r, w->vsids);
	if (arg->entry_num > ARRAY_LEN(w->vsids))
		arg->entries_uptr = (__u64)(unsigned long)s.bad;
	for (i = 0; i < ARRAY_LEN(w->vsids); i++) {
		w->vsids[i].old_vsid = about(r, any_vsid(r));
		w->vsids[i].new_vsid = about(r, any_vsid(r));
		/* A swap with the entry before */
		if (i && one_in(r, 2)) {
			w->vsids[i].old_vsid = w->vsids[i - 1].new_vsid;
			w->vsids[i].new_vsid = w->vsids[i - 1].old_vsid;
		}
	}
}

/* What the kernel refuses, or ignores */
static void spoil(__u64 *r, const struct accel_call *call, union arg *in)
{
	if (one_in(r, 64))
		in->flags = about(r, in->flags);
	if (one_in(r, 64))
		in->size = roll(r, sizeof(*in));
	if (one_in(r, 64) && call->reserved)
		in->bytes[call->reserved] = 1;
	/* What the kernel does not know */
	if (one_in(r, 64))
		in->bytes[call->size + roll(r, 32)] = 1;
}

/* The struct of a call, more or less correct */
static void any_arg(struct worker *w, const struct accel_call *call, union arg *in)
{
	__u64 *r = &w->random;
	unsigned int i;

	memset(in, 0, sizeof(*in));
	switch (call->cmd) {
	case SMMUV3_ACCEL_CREATE:
		in->create.iommufd = about(r, s.iommufd[one_in(r, 8)]);
		in->create.ioas_id = about(r, s.ioas[one_in(r, 8)]);
		in->flags = roll(r, 8);
		break;
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		in->change_process.iommufd = about(r, s.iommufd[one_in(r, 8)]);
		break;
	case SMMUV3_ACCEL_SET_IDR:
		idr_offer(s.host_idr, in->set_idr.idr);
		i = roll(r, 6);
		in->set_idr.idr[i] = about(r, in->set_idr.idr[i]);
		break;
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		in->mem_table.region_num = about(r, any_regions(r, w->regions));
		in->mem_table.regions_uptr = any_pointer(r, w->regions);
		break;
	case SMMUV3_ACCEL_ATTACH:
		any_attach(r, &in->attach);
		break;
	case SMMUV3_ACCEL_DETACH:
		in->detach.vsid = about(r, any_vsid(r));
		break;
	case SMMUV3_ACCEL_GET_PHYS:
		in->phys.index = about(r, 0);
		break;
	case SMMUV3_ACCEL_GET_STREAM:
		in->stream.vsid = about(r, any_vsid(r));
		break;
	case SMMUV3_ACCEL_INSTALL_STE:
		any_install_ste(w, &in->install_ste);
		break;
	case SMMUV3_ACCEL_INVALIDATE:
		any_invalidate(w, &in->invalidate);
		break;
	case SMMUV3_ACCEL_SET_REGS:
		any_regs(r, &in->set_regs);
		break;
	case SMMUV3_ACCEL_RUN_CMDQ:
		any_run_cmdq(w, &in->run_cmdq);
		break;
	case SMMUV3_ACCEL_SET_VSIDS:
		any_set_vsids(w, &in->set_vsids);
		break;
	}
	in->size = call->size;
	spoil(r, call, in);
}

static void any_call(struct worker *w)
{
	const struct accel_call *call = &accel_calls[roll(&w->random, ACCEL_CALLS)];
	int fd = s.accel[roll(&w->random, FILES)], error;
	unsigned int nr;

	if (one_in(&w->random, 64)) {
		nr = call->cmd ^ 1U << roll(&w->random, 32);
		if (one_in(&w->random, 2))
			nr = _IO(SMMUV3_ACCEL_TYPE, ACCEL_CALLS + roll(&w->random, 64));
		/* It may be the number of another call, which gets no memory */
		error = ioctl(fd, nr, s.bad) ? errno : 0;
		if (error != ENOTTY && error != EFAULT)
			wrong("ioctl %#x: errno %d", nr, error);
		return;
	}
	any_arg(w, call, &w->in);
	if (one_in(&w->random, 64)) {
		error = ioctl(fd, call->cmd, bad_pointer(&w->random)) ? errno : 0;
		if (error != EFAULT)
			wrong("%s at a bad address: errno %d", call->name, error);
		return;
	}
	if (call_at(call, fd, &w->in, &w->at))
		return;
	if (call->cmd == SMMUV3_ACCEL_ATTACH) {
		see_id(&w->random, w->at.attach.out_viommu_id);
		see_id(&w->random, w->at.attach.out_vdevice_id);
		see_id(&w->random, w->at.attach.out_s2_hwpt_id);
	} else if (call->cmd == SMMUV3_ACCEL_GET_STREAM) {
		see_id(&w->random, w->at.stream.out_hwpt_id);
		see_id(&w->random, w->at.stream.out_vdevice_id);
	} else if (call->cmd == SMMUV3_ACCEL_GET_PHYS) {
		see_id(&w->random, w->at.phys.out_abort_hwpt_id);
		see_id(&w->random, w->at.phys.out_bypass_hwpt_id);
	}
}

/* Replace an accel file by a new one, mostly bound. With dup3() there is always one */
static void renew(__u64 *r)
{
	int fd = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	int to = s.accel[roll(r, FILES)];

	if (fd < 0 || dup3(fd, to, O_CLOEXEC) < 0)
		wrong("no new file: errno %d", errno);
	close(fd);
	if (!one_in(r, 4))
		accel_create_flags(to, s.iommufd[0], s.ioas[0], roll(r, 8));
}

/* What a VMM can do to the module's objects without the module */
static void meddle(__u64 *r)
{
	struct dma_dev *dev = &s.dev[roll(r, DEVICES)];
	__u32 id = any_id(r);
	int fd;

	switch (roll(r, 9)) {
	case 0 ... 2:
		if (id != s.ioas[0])
			iommufd_destroy(s.iommufd[0], id);
		break;
	case 3:
		ioas_unmap(s.iommufd[0], s.ioas[0], GUEST_BASE, GUEST_SIZE);
		ioas_map(s.iommufd[0], s.ioas[0], GUEST_BASE, s.g.ram, GUEST_SIZE);
		break;
	case 4:
		dma_attach_pt(dev, one_in(r, 2) ? s.ioas[0] : id);
		break;
	case 5:
		dma_detach_pt(dev);
		break;
	case 6:
		ioctl(dev->fd, VFIO_DEVICE_RESET);
		break;
	case 7:
		fd = veventq_open(s.iommufd[0], id, &id);
		if (fd >= 0)
			close(fd);
		see_id(r, id);
		break;
	case 8:
		if (!iommufd_vdevice(s.iommufd[0], id, dev->dev_id, any_vsid(r), &id))
			see_id(r, id);
		break;
	}
}

static void *call_load(void *arg)
{
	struct worker *w = arg;
	__u64 *r = &w->random, i;

	for (i = 0; i < s.rounds; i++) {
		if (s.meddle && one_in(r, 16))
			meddle(r);
		switch (roll(r, 32)) {
		case 0:
			if (one_in(r, 4))
				renew(r);
			break;
		case 1 ... 3:
			one_dma(r);
			break;
		case 4 ... 6:
			scribble(r);
			break;
		default:
			any_call(w);
			break;
		}
	}
	/* Stay until no more signals are sent */
	atomic_fetch_add(&ended, 1);
	pthread_barrier_wait(&end);
	return NULL;
}

static int fuzz_calls(void)
{
	static struct worker workers[THREADS];
	__u64 random = s.seed + 1;
	int i, rc;

	rc = setting_open();
	if (rc) {
		wrong("set-up: %d", rc);
		return 1;
	}
	interrupt_on(SIGUSR1);
	s.accel[0] = s.g.accel;
	for (i = 1; i < FILES; i++)
		s.accel[i] = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	pthread_barrier_init(&end, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++) {
		workers[i].random = s.seed * 0x9e3779b97f4a7c15ULL + i + 1;
		pthread_create(&workers[i].thread, NULL, call_load, &workers[i]);
	}
	while (atomic_load(&ended) < THREADS) {
		pthread_kill(workers[roll(&random, THREADS)].thread, SIGUSR1);
		sleep_ms(2);
	}
	pthread_barrier_wait(&end);
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < FILES; i++)
		close(s.accel[i]);
	return setting_close();
}

/* A hostile process, and a well-behaved VMM that must not notice it */

FIXTURE(fuzz)
{
	struct neighbour n;
};

FIXTURE_VARIANT(fuzz)
{
	bool meddle;
};

FIXTURE_VARIANT_ADD(fuzz, ioctls) {};
FIXTURE_VARIANT_ADD(fuzz, ioctls_and_meddling) { .meddle = true };

FIXTURE_SETUP(fuzz)
{
	if (fuzz_start())
		SKIP(return, "wants %u iommu-testdevs", FIRST_DEVICE + DEVICES);
	s.meddle = variant->meddle;
}

FIXTURE_TEARDOWN(fuzz)
{
}

TEST_F_TIMEOUT(fuzz, harms_nobody, 3600)
{
	int i;

	EXPECT_EQ(0, neighbour_beside(&self->n, fuzz_calls));
	EXPECT_LT(10, self->n.turns);
	for (i = 0; i < DEVICES; i++)
		EXPECT_EQ(0, neighbour_works(FIRST_DEVICE + i));
}

TEST_HARNESS_MAIN
