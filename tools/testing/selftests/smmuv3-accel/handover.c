// SPDX-License-Identifier: GPL-2.0
/*
 * Live update: a VMM hands its descriptors to another process while DMA goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <linux/iommufd.h>

#include "harness.h"
#include "stress.h"
#include "vmm.h"

#define WAIT_MS	60000

static bool send_vmm(int sock, struct vmm *vmm)
{
	int *fds[VMM_FDS], values[VMM_FDS], i;

	vmm_fds(vmm, fds);
	for (i = 0; i < VMM_FDS; i++)
		values[i] = *fds[i];
	return !fds_send(sock, values, VMM_FDS, vmm, sizeof(*vmm), 0);
}

static bool receive_vmm(int sock, struct vmm *vmm)
{
	int *fds[VMM_FDS], values[VMM_FDS], i;

	if (fds_receive(sock, values, VMM_FDS, vmm, sizeof(*vmm), MSG_WAITALL))
		return false;
	vmm_fds(vmm, fds);
	for (i = 0; i < VMM_FDS; i++)
		*fds[i] = values[i];
	return !vmm_adopt(vmm);
}

/* DMA of the first device, at an address that other DMA does not use */
static int load_start(struct dma_load *load, struct vmm *vmm)
{
	struct stream *s = &vmm->m.stream[0];

	return dma_load_start(load, &s->dev, s->s1.page[0] + 0x800);
}

/* Whether each ioctl refuses this process, which does not own the vSMMU */
static bool all_foreign(struct vmm *vmm)
{
	struct machine *m = &vmm->m;
	struct smmuv3_accel_invalidate invalidate;
	const struct cmd flush = cmd_tlbi_nh_all();
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_stats stats;
	struct ring ring = m->ring;
	__u64 ste[8] = {};
	__u32 reason;

#define FOREIGN(rc, reason) \
	((rc) == -EIO && (reason) == SMMUV3_ACCEL_REASON_FOREIGN_MM)
	return FOREIGN(ring_run(&ring, &out), out.out_reason) &&
	       FOREIGN(accel_detach(&m->g, MACHINE_VSID, &reason), reason) &&
	       FOREIGN(accel_attach(&m->g, m->stream[0].dev.fd, 7, &attach), attach.out_reason) &&
	       FOREIGN(accel_stream(&m->g, MACHINE_VSID, &stream), stream.out_reason) &&
	       FOREIGN(accel_invalidate(&m->g, &flush, 1, &invalidate), invalidate.out_reason) &&
	       accel_install(&m->g, MACHINE_VSID, ste, &reason) == -EIO &&
	       machine_set_regs(m) == -EIO && accel_reset(&m->g) == -EIO &&
	       accel_mem_table(&m->g) == -EIO && accel_stats(&m->g, &stats) == -EIO;
#undef FOREIGN
}

/**
 * struct stuck - A thread in an INVALIDATE that waits for memory, with the vSMMU locked
 * @vmm: its VMM
 * @uffd: traps accesses to @page
 * @page: the memory of the command
 * @error: the command's error, or -1
 * @thread: the thread
 */
struct stuck {
	struct vmm *vmm;
	int uffd;
	void *page;
	int error;
	pthread_t thread;
};

static void *stuck_thread(void *arg)
{
	struct stuck *stuck = arg;
	struct smmuv3_accel_invalidate out;
	int rc = accel_invalidate(&stuck->vmm->m.g, stuck->page, 1, &out);

	stuck->error = rc ? -1 : (int)out.out_error;
	return NULL;
}

static bool stuck_start(struct stuck *stuck, struct vmm *vmm)
{
	const long size = sysconf(_SC_PAGESIZE);

	stuck->vmm = vmm;
	stuck->uffd = uffd_open();
	stuck->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return stuck->uffd >= 0 && stuck->page != MAP_FAILED &&
	       !uffd_register(stuck->uffd, (unsigned long)stuck->page, size) &&
	       !pthread_create(&stuck->thread, NULL, stuck_thread, stuck) &&
	       uffd_waits(stuck->uffd, 5000);
}

/* The page of zeroes that the thread gets is an illegal command */
static bool stuck_end(struct stuck *stuck)
{
	return !uffd_give(stuck->uffd, (unsigned long)stuck->page, NULL, sysconf(_SC_PAGESIZE)) &&
	       !pthread_join(stuck->thread, NULL) && stuck->error == SMMUV3_ACCEL_CERROR_ILL;
}

/* What the old VMM is told to do, by a letter */
enum order {
	STOP_DMA = 's',
	FIND_ALL_FOREIGN = 'f',
	TAKE_BACK = 't',
	USE_AS_OWNER = 'o',
	CLOSE_EVENTS = 'e',
	GET_STUCK = 'g',
	GET_UNSTUCK = 'u',
	CLOSE_ALL = 'c',
};

/* Return: whether the old VMM could do it */
static bool obey(struct vmm *vmm, struct dma_load *load, enum order order)
{
	static struct stuck stuck;

	switch (order) {
	case STOP_DMA:
		dma_load_stop(load);
		return true;
	case FIND_ALL_FOREIGN:
		return all_foreign(vmm);
	case TAKE_BACK:
		return !accel_change_process(&vmm->m.g) && !accel_mem_table(&vmm->m.g);
	case USE_AS_OWNER:
		return !accel_mem_table(&vmm->m.g);
	case CLOSE_EVENTS:
		close(vmm->events);
		vmm->events = -1;
		return true;
	case GET_STUCK:
		return stuck_start(&stuck, vmm);
	case GET_UNSTUCK:
		return stuck_end(&stuck);
	case CLOSE_ALL:
		vmm_close(vmm);
		return true;
	}
	return false;
}

/* The old VMM does DMA all the time, and obeys orders until it has to close everything */
static int old_vmm(int sock, struct dma_load *load)
{
	static struct vmm vmm;
	char order, answer;

	if (!ROLE_EXPECT(!vmm_start(&vmm, new_memfd(), 0)) ||
	    !ROLE_EXPECT(machine_goes(&vmm.m, 0) == 1) ||
	    !ROLE_EXPECT(machine_goes(&vmm.m, 1) == 1) ||
	    !ROLE_EXPECT(!load_start(load, &vmm)) ||
	    !ROLE_EXPECT(send_vmm(sock, &vmm)))
		return 1;
	while (read(sock, &order, 1) == 1) {
		answer = obey(&vmm, load, order);
		if (write(sock, &answer, 1) != 1)
			return 1;
		if (order == CLOSE_ALL)
			break;
	}
	pause();
	return 0;
}

static bool tell(int sock, enum order order)
{
	char what = order, answer;

	return write(sock, &what, 1) == 1 && read(sock, &answer, 1) == 1 && answer;
}

FIXTURE(handover)
{
	struct vmm vmm;
	struct dma_load *load;	/* the old VMM's */
	struct dma_load here;
	int sock;
	pid_t pid;
};

FIXTURE_SETUP(handover)
{
	int socks[2];

	self->load = mmap(NULL, sizeof(*self->load), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->load);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		close(socks[0]);
		_exit(old_vmm(socks[1], self->load));
	}
	close(socks[1]);
	self->sock = socks[0];
	ASSERT_TRUE(receive_vmm(self->sock, &self->vmm));
}

static void end(pid_t *pid)
{
	if (*pid) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

FIXTURE_TEARDOWN(handover)
{
	end(&self->pid);
	vmm_close(&self->vmm);
}

static int change_ioas(struct vmm *vmm)
{
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };

	return ioctl(vmm->m.g.iommufd, IOMMU_IOAS_CHANGE_PROCESS, &arg) ? -errno : 0;
}

static int take_over(struct vmm *vmm)
{
	return change_ioas(vmm) ?: accel_change_process(&vmm->m.g) ?: accel_mem_table(&vmm->m.g);
}

/* All that a VMM does, with the second device */
static void expect_all_works(struct __test_metadata *_metadata, struct vmm *vmm)
{
	struct machine *m = &vmm->m;
	const __u32 vsid = m->stream[1].vsid;
	int page = machine_goes(m, 1);

	ASSERT_LT(0, page);
	page = page % (MACHINE_PAGES - 1) + 1;
	EXPECT_TRUE(vmm_queue_works(vmm, 1, page));
	machine_write_ste(m, 1, STE_CFG_BYPASS);
	EXPECT_EQ(page, machine_goes(m, 1));
	ring_put(&m->ring, cmd_cfgi_ste(vsid, true));
	EXPECT_TRUE(machine_sync(m));
	EXPECT_EQ(0, machine_goes(m, 1));
	machine_write_ste(m, 1, STE_CFG_S1);
	ring_put(&m->ring, cmd_cfgi_all());
	EXPECT_TRUE(machine_sync(m));
	EXPECT_EQ(page, machine_goes(m, 1));

	EXPECT_FAULT(&m->stream[1], vmm->events);

	EXPECT_EQ(0, machine_detach(m, 1));
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));
	EXPECT_EQ(0, machine_attach(m, 1));
	EXPECT_EQ(page, machine_goes(m, 1));
}

/* The last close of the file blocks DMA */
static void expect_closes(struct __test_metadata *_metadata, struct vmm *vmm)
{
	EXPECT_EQ(0, vmm_close_events(vmm));
	guest_close_accel(&vmm->m.g);
	EXPECT_EQ(-EFAULT, machine_goes(&vmm->m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(&vmm->m, 1));
}

/* The memory table had addresses of the old process. Nothing changes without one */
static void expect_no_memory_table(struct __test_metadata *_metadata, struct machine *m)
{
	const struct smmuv3_accel_vsid same = { m->stream[1].vsid, m->stream[1].vsid };
	const struct cmd cmd = cmd_cfgi_ste(m->stream[1].vsid, true);
	struct smmuv3_accel_set_vsids vsids;
	struct smmuv3_accel_invalidate inv;
	struct smmuv3_accel_set_regs regs;
	struct smmuv3_accel_run_cmdq run;
	__u32 cons = m->ring.cons;

	EXPECT_EQ(-ENXIO, ring_run(&m->ring, &run));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_MEM_TABLE, run.out_reason);
	EXPECT_EQ(cons, run.cons);
	EXPECT_EQ(-ENXIO, accel_invalidate(&m->g, &cmd, 1, &inv));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_MEM_TABLE, inv.out_reason);
	EXPECT_EQ(0, inv.cmd_num);
	machine_regs(m, &regs);
	EXPECT_EQ(-ENXIO, accel_ioctl(m->g.accel, SMMUV3_ACCEL_SET_REGS, &regs));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_MEM_TABLE, regs.out_reason);
	EXPECT_EQ(-ENXIO, accel_set_vsids(&m->g, &same, 1, &vsids));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_MEM_TABLE, vsids.out_reason);
	EXPECT_REFUSED(&m->g, ENXIO, NO_MEM_TABLE, .vfio_fd = -1, .vsid = 0x300,
		       .flags = SMMUV3_ACCEL_ATTACH_BRIDGE);
}

/* Stage 2 of a live vSMMU. DMA of the first device goes on throughout */
TEST_F(handover, dma_goes_on_throughout)
{
	struct vmm *vmm = &self->vmm;
	struct machine *m = &vmm->m;
	unsigned long done = self->load->done;

	EXPECT_TRUE(all_foreign(vmm));
	ASSERT_EQ(0, change_ioas(vmm));
	EXPECT_TRUE(all_foreign(vmm));
	ASSERT_EQ(0, accel_change_process(&m->g));
	EXPECT_TRUE(tell(self->sock, FIND_ALL_FOREIGN));

	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 1));
	ring_put(&m->ring, machine_tlbi(m, 0));
	expect_no_memory_table(_metadata, m);
	EXPECT_EQ(1, machine_goes(m, 1));
	ASSERT_EQ(0, accel_mem_table(&m->g));
	ASSERT_TRUE(machine_sync(m));
	EXPECT_EQ(2, machine_goes(m, 1));
	expect_all_works(_metadata, vmm);

	/* Only one process can use the device's registers */
	EXPECT_TRUE(tell(self->sock, STOP_DMA));
	ASSERT_EQ(0, load_start(&self->here, vmm));
	EXPECT_LT(done, self->load->done);
	EXPECT_EQ(0, self->load->aborted + self->load->failed);
	EXPECT_TRUE(tell(self->sock, FIND_ALL_FOREIGN));
	EXPECT_TRUE(tell(self->sock, CLOSE_ALL));
	expect_all_works(_metadata, vmm);
	end(&self->pid);
	expect_all_works(_metadata, vmm);
	dma_load_stop(&self->here);
	EXPECT_EQ(0, self->here.aborted + self->here.failed);
	TH_LOG("%lu and %lu DMAs", self->load->done, self->here.done);
	expect_closes(_metadata, vmm);
	EXPECT_NOTHING_LEFT(&m->g);
}

/* Its address space is gone before the new one takes over */
TEST_F(handover, old_vmm_has_ended)
{
	struct vmm *vmm = &self->vmm;

	end(&self->pid);
	ASSERT_EQ(0, load_start(&self->here, vmm));
	EXPECT_TRUE(all_foreign(vmm));
	ASSERT_EQ(0, take_over(vmm));
	expect_all_works(_metadata, vmm);
	dma_load_stop(&self->here);
	EXPECT_EQ(0, self->here.aborted + self->here.failed);
	expect_closes(_metadata, vmm);
	EXPECT_NOTHING_LEFT(&vmm->m.g);
}

TEST_F(handover, old_vmm_is_killed_afterwards)
{
	struct vmm *vmm = &self->vmm;

	ASSERT_EQ(0, take_over(vmm));
	end(&self->pid);
	EXPECT_EQ(0, self->load->aborted + self->load->failed);
	expect_all_works(_metadata, vmm);
	expect_closes(_metadata, vmm);
	EXPECT_NOTHING_LEFT(&vmm->m.g);
}

/* The VMM is gone. DMA goes on until the last close by any process */
TEST_F(handover, never_taken_over)
{
	struct vmm *vmm = &self->vmm;

	end(&self->pid);
	EXPECT_EQ(1, machine_goes(&vmm->m, 0));
	expect_closes(_metadata, vmm);
}

/* The old VMM closes last, and in its address space the module can destroy nothing */
TEST_F(handover, last_close_is_the_old_vmms)
{
	struct vmm *vmm = &self->vmm;

	EXPECT_TRUE(tell(self->sock, CLOSE_EVENTS));
	EXPECT_TRUE(tell(self->sock, STOP_DMA));
	ASSERT_EQ(0, take_over(vmm));
	EXPECT_EQ(0, vmm_close_events(vmm));
	guest_close_accel(&vmm->m.g);
	EXPECT_EQ(1, machine_goes(&vmm->m, 0));
	EXPECT_TRUE(tell(self->sock, CLOSE_ALL));
	EXPECT_EQ(-EFAULT, machine_goes(&vmm->m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(&vmm->m, 1));
	/* The iommufd keeps the objects */
	EXPECT_EQ(-EBUSY, iommufd_destroy(vmm->m.g.iommufd, vmm->m.g.ioas_id));
}

TEST_F(handover, no_room_for_scratch_mappings_changes_nothing)
{
	struct vmm *vmm = &self->vmm;
	struct smmuv3_accel_change_process arg = {
		.size = sizeof(arg),
		.iommufd = vmm->m.g.iommufd,
	};
	struct rlimit limit, none;

	ASSERT_EQ(0, change_ioas(vmm));
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &none));
	EXPECT_EQ(-ENOMEM, accel_ioctl(vmm->m.g.accel, SMMUV3_ACCEL_CHANGE_PROCESS, &arg));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_ROOM, arg.out_reason);
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	EXPECT_TRUE(all_foreign(vmm));
	EXPECT_TRUE(tell(self->sock, USE_AS_OWNER));
	ASSERT_EQ(0, take_over(vmm));
	expect_all_works(_metadata, vmm);
}

/* As after an update that failed */
TEST_F(handover, there_and_back)
{
	struct vmm *vmm = &self->vmm;
	int round;

	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, take_over(vmm));
		ASSERT_TRUE(vmm_queue_works(vmm, 1, round % 2 + 2));
		ASSERT_TRUE(tell(self->sock, TAKE_BACK));
		ASSERT_TRUE(all_foreign(vmm));
	}
	EXPECT_EQ(0, self->load->aborted + self->load->failed);
	ASSERT_EQ(0, take_over(vmm));
	expect_all_works(_metadata, vmm);
}

TEST_F(handover, to_the_owner_changes_nothing)
{
	struct vmm *vmm = &self->vmm;

	ASSERT_EQ(0, take_over(vmm));
	ASSERT_EQ(0, accel_change_process(&vmm->m.g));
	expect_all_works(_metadata, vmm);
}

/* CHANGE_PROCESS waits for a call of the old VMM. A signal ends that */
static void expect_interrupted(struct __test_metadata *_metadata, struct vmm *vmm)
{
	const struct itimerval timer = { { 0, 100000 }, { 0, 100000 } }, off = { };

	ASSERT_EQ(0, change_ioas(vmm));
	interrupt_on(SIGALRM);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	EXPECT_EQ(-EINTR, accel_change_process(&vmm->m.g));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, NULL));
	EXPECT_EQ(1, machine_goes(&vmm->m, 1));
}

TEST_F(handover, waits_for_an_old_vmm_that_is_stuck)
{
	struct vmm *vmm = &self->vmm;

	ASSERT_TRUE(tell(self->sock, GET_STUCK));
	expect_interrupted(_metadata, vmm);
	EXPECT_TRUE(tell(self->sock, GET_UNSTUCK));
	EXPECT_TRUE(tell(self->sock, USE_AS_OWNER));
	ASSERT_EQ(0, take_over(vmm));
	EXPECT_EQ(0, self->load->aborted + self->load->failed);
	expect_all_works(_metadata, vmm);
}

TEST_F(handover, old_vmm_is_killed_while_it_is_stuck)
{
	struct vmm *vmm = &self->vmm;

	ASSERT_TRUE(tell(self->sock, GET_STUCK));
	expect_interrupted(_metadata, vmm);
	end(&self->pid);
	ASSERT_EQ(0, take_over(vmm));
	EXPECT_EQ(0, self->load->aborted + self->load->failed);
	expect_all_works(_metadata, vmm);
}

TEST(handover_before_create_fails)
{
	struct guest g;

	ASSERT_EQ(0, guest_open_memory(&g));
	ASSERT_EQ(0, guest_open_accel(&g));
	EXPECT_EQ(-ENXIO, accel_change_process(&g));
	guest_close(&g);
}

TEST_F(handover, unmapped_scratch_is_mapped_again)
{
	struct range scratch[SCRATCH_MAX];
	struct vmm *vmm = &self->vmm;
	int num;

	scratch_before();
	ASSERT_EQ(0, take_over(vmm));
	num = scratch_find(scratch);
	EXPECT_LT(0, num);
	while (num-- > 0)
		EXPECT_EQ(0, munmap((void *)scratch[num].start,
				    scratch[num].end - scratch[num].start));
	expect_all_works(_metadata, vmm);
	EXPECT_TRUE(tell(self->sock, STOP_DMA));
	EXPECT_TRUE(tell(self->sock, CLOSE_ALL));
	expect_closes(_metadata, vmm);
	EXPECT_NOTHING_LEFT(&vmm->m.g);
}

/* Several processes take the vSMMU from each other all the time */

#define GRABS	300

/* How often this process was the owner for a while, or -1 */
static int grab(struct vmm *vmm)
{
	const struct cmd flush = cmd_tlbi_nh_all();
	struct smmuv3_accel_invalidate out;
	int i, rc, owned = 0;

	for (i = 0; i < GRABS; i++) {
		if (accel_change_process(&vmm->m.g))
			return -1;
		rc = accel_mem_table(&vmm->m.g);
		if (rc && rc != -EIO)
			return -1;
		rc = accel_invalidate(&vmm->m.g, &flush, 1, &out);
		if (rc && (rc != -EIO || out.out_reason != SMMUV3_ACCEL_REASON_FOREIGN_MM))
			return -1;
		owned += !rc;
	}
	return owned;
}

TEST_F(handover, each_call_is_the_owners_or_fails)
{
	struct vmm *vmm = &self->vmm;
	int i;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(grab(vmm) <= 0);
	}
	EXPECT_LT(0, grab(vmm));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, child_status(pid[i], WAIT_MS));
	/* The last owner may be a process that has ended */
	ASSERT_EQ(0, take_over(vmm));
	expect_all_works(_metadata, vmm);
	EXPECT_EQ(0, self->load->aborted + self->load->failed);
	end(&self->pid);
	expect_closes(_metadata, vmm);
	EXPECT_NOTHING_LEFT(&vmm->m.g);
}

/* A VMM executes its new version, which inherits the descriptors */
static int executed(struct vmm *vmm)
{
	struct machine *m = &vmm->m;

	if (!ROLE_EXPECT(!vmm_adopt(vmm)))
		return 1;
	ROLE_EXPECT(machine_goes(m, 0) == 1);
	ROLE_EXPECT(all_foreign(vmm));
	ROLE_EXPECT(!take_over(vmm));
	ROLE_EXPECT(vmm_queue_works(vmm, 0, 2));
	ROLE_EXPECT(vmm_queue_works(vmm, 1, 3));
	ROLE_EXPECT(!vmm_close_events(vmm));
	guest_close_accel(&m->g);
	ROLE_EXPECT(machine_goes(m, 0) == -EFAULT);
	ROLE_EXPECT(machine_goes(m, 1) == -EFAULT);
	ROLE_EXPECT(!iommufd_destroy(m->g.iommufd, m->g.ioas_id));
	return role_failures;
}

TEST(vmm_executes_its_new_version)
{
	static struct vmm vmm;
	int *fds[VMM_FDS], i;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (vmm_start(&vmm, new_memfd(), 0) || machine_goes(&vmm.m, 0) != 1)
			_exit(2);
		vmm_fds(&vmm, fds);
		for (i = 0; i < VMM_FDS; i++)
			fcntl(*fds[i], F_SETFD, 0);	/* clear close-on-exec */
		vmm_exec("executed", &vmm);
		_exit(127);
	}
	EXPECT_EQ(0, child_status(pid, WAIT_MS));
}

int main(int argc, char **argv)
{
	static const struct vmm_role roles[] = { { "executed", executed }, {} };
	int status = vmm_main(argc, argv, roles);

	return status < 0 ? test_harness_run(argc, argv) : status;
}
