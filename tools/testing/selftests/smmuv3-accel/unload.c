// SPDX-License-Identifier: GPL-2.0
/*
 * The module is unloaded and loaded again.
 *
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_SEED	0x5eed

FIXTURE(module)
{
	struct machine m;
	char parameters[128];
};

FIXTURE_SETUP(module)
{
	const char *why;

	why = module_take_out(self->parameters, sizeof(self->parameters));
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, module_load(self->parameters));
	ASSERT_EQ(0, machine_open(&self->m, .stage = STAGE_MEMORY, .devices = 1));
}

/* Later tests need the module */
FIXTURE_TEARDOWN(module)
{
	machine_close(&self->m);
	if (access("/sys/module/smmuv3_accel", F_OK))
		EXPECT_EQ(0, module_load(self->parameters));
}

TEST_F(module, stays_while_a_file_is_open)
{
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	int again;

	ASSERT_EQ(0, guest_open_accel(g));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	ASSERT_EQ(0, accel_create_flags(g->accel, g->iommufd, g->ioas_id, 0));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	ASSERT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, machine_goes(m, 0));
	ASSERT_EQ(0, machine_detach(m, 0));
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	ASSERT_EQ(0, machine_bypass(m, 0));
	again = dup(g->accel);
	guest_close_accel(g);
	EXPECT_EQ(-EWOULDBLOCK, module_unload());
	EXPECT_EQ(0, machine_goes(m, 0));

	close(again);
	EXPECT_EQ(0, module_unload());
	EXPECT_GT(0, open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	EXPECT_EQ(-ENOENT, iommufd_destroy(g->iommufd, m->stream[0].ids.out_viommu_id));

	ASSERT_EQ(0, module_load(self->parameters));
	ASSERT_EQ(0, guest_create(g));
	ASSERT_EQ(0, machine_bypass(m, 0));
	EXPECT_EQ(0, machine_goes(m, 0));
}

/* Another process closes last, which leaves the scratch mappings in the VMM */
TEST_F(module, stays_while_its_pages_are_mapped)
{
	struct range scratch[SCRATCH_MAX];
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	int num, status, pipe_fd[2];
	pid_t pid;
	char go;

	scratch_before();
	ASSERT_EQ(0, guest_create(g));
	ASSERT_EQ(0, machine_bypass(m, 0));
	ASSERT_EQ(0, pipe(pipe_fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(pipe_fd[0], &go, 1) != 1)
			_exit(1);
		close(g->accel);
		_exit(module_unload() == -EWOULDBLOCK ? 0 : 2);
	}
	guest_close_accel(g);
	ASSERT_EQ(1, write(pipe_fd[1], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	num = scratch_find(scratch);
	EXPECT_LT(0, num);
	while (num-- > 0)
		EXPECT_EQ(0, munmap((void *)scratch[num].start,
				    scratch[num].end - scratch[num].start));
	EXPECT_EQ(0, module_unload());
}

struct reload {
	const char *parameters;
	int times;
	int refused;
	int rc;
	volatile bool done;
};

#define RELOADS	15

static void *reload(void *arg)
{
	struct reload *r = arg;
	int rc;

	while (!r->rc && r->times < RELOADS) {
		rc = module_unload();
		if (!rc) {
			r->rc = module_load(r->parameters);
			r->times++;
		} else if (rc == -EWOULDBLOCK) {
			r->refused++;
			usleep(20);
		} else {
			r->rc = rc;
		}
	}
	r->done = true;
	return NULL;
}

TEST_F(module, may_be_unloaded_at_any_time)
{
	struct reload r = { .parameters = self->parameters };
	struct machine *m = &self->m;
	struct guest *g = &m->g;
	unsigned int opened = 0, none = 0;
	pthread_t thread;

	dice_seed(DEFAULT_SEED);
	ASSERT_EQ(0, pthread_create(&thread, NULL, reload, &r));
	while (!r.done) {
		int rc = guest_create(g);

		if (g->accel < 0) {
			ASSERT_TRUE(rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
				TH_LOG("open: %d", rc);
			none++;
			usleep(20);
			continue;
		}
		ASSERT_EQ(0, rc);
		ASSERT_EQ(0, machine_bypass(m, 0));
		ASSERT_EQ(0, machine_goes(m, 0));
		guest_close_accel(g);
		ASSERT_EQ(-EFAULT, machine_goes(m, 0));
		opened++;
		usleep(dice(300));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.rc);
	TH_LOG("%d times loaded again, %d times refused; %u files, %u times no module",
	       r.times, r.refused, opened, none);
	EXPECT_LT(0, opened);
	EXPECT_NOTHING_LEFT(g);
}

TEST_HARNESS_MAIN
