// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's machine is reset, or its VMM ends and starts again from guest memory
 * and what it saved.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "stress.h"
#include "vmm.h"

#define WAIT_MS	60000

/* The guest's machine is reset and boots again */

FIXTURE(reboot)
{
	struct vmm vmm;
};

FIXTURE_SETUP(reboot)
{
	int rc = vmm_start(&self->vmm, new_memfd(), 2);

	/* One SMMU is enough if there are no two */
	if (rc == -ENODEV)
		rc = vmm_start(&self->vmm, new_memfd(), 1);
	ASSERT_EQ(0, rc);
}

FIXTURE_TEARDOWN(reboot)
{
	vmm_close(&self->vmm);
}

TEST_F(reboot, reset_ends_old_translations)
{
	struct machine *m = &self->vmm.m;
	struct smmuv3_accel_stream stream;
	unsigned int i;

	for (i = 0; i < m->num; i++)
		ASSERT_EQ(1, machine_goes(m, i));
	machine_lead(m, 0, 2);
	/* Only RESET ends them, not SMMUEN */
	m->cr0 = CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(m));
	for (i = 0; i < m->num; i++)
		ASSERT_EQ(0, machine_goes(m, i));
	m->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	ASSERT_EQ(0, machine_set_regs(m));
	for (i = 0; i < m->num; i++)
		ASSERT_EQ(1, machine_goes(m, i)) TH_LOG("no stale translation to end");

	ASSERT_EQ(0, accel_reset(&m->g));
	for (i = 0; i < m->num; i++) {
		EXPECT_EQ(-EFAULT, machine_goes(m, i));
		ASSERT_EQ(0, accel_stream(&m->g, m->stream[i].vsid, &stream));
		EXPECT_EQ(SMMUV3_ACCEL_KIND_ABORT, stream.out_kind);
		EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_STE, stream.out_reason);
	}
	/* The same tables, ASID and address */
	ASSERT_EQ(0, machine_set_regs(m));
	for (i = 0; i < m->num; i++)
		EXPECT_EQ(2, machine_goes(m, i)) TH_LOG("device %u", i);
}

/* The VMM calls nothing but RESET and SET_REGS */
TEST_F(reboot, memory_table_streams_and_id_registers_stay)
{
	struct vmm *vmm = &self->vmm;
	struct machine *m = &vmm->m;
	const struct cmd range = cmd_range(machine_tlbi(m, 0), 1, 0, 1, 0);
	struct smmuv3_accel_run_cmdq out;
	struct smmuv3_accel_set_idr set_idr;
	struct ring old = m->ring;
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < m->num; i++)
			ASSERT_TRUE(vmm_queue_works(vmm, i, i + 2));
		ASSERT_EQ(0, accel_reset(&m->g));
		EXPECT_EQ(-ENXIO, ring_run(&m->ring, &out));
		EXPECT_EQ(SMMUV3_ACCEL_REASON_NO_REGS, out.out_reason);

		/* Firmware leaves the SMMU off, which bypasses */
		m->cr0 = CR0_CMDQEN;
		ASSERT_EQ(0, machine_set_regs(m));
		EXPECT_EQ(0, machine_goes(m, 0));
		ASSERT_EQ(0, machine_boot(m));
		for (i = 0; i < m->num; i++)
			machine_write_ste(m, i, STE_CFG_S1);
		EXPECT_NE(old.base, m->ring.base);
		ASSERT_EQ(0, machine_set_regs(m));
		for (i = 0; i < m->num; i++)
			EXPECT_EQ(1, machine_goes(m, i)) TH_LOG("round %u, device %u", round, i);
	}
	ring_put(&m->ring, range);
	ASSERT_EQ(0, ring_run(&m->ring, &out));
	EXPECT_EQ(SMMUV3_ACCEL_CERROR_ILL, out.out_error);
	EXPECT_EQ(-EBUSY, accel_set_idr(&m->g, vmm->idr, &set_idr));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_FROZEN, set_idr.out_reason);
}

TEST_F(reboot, reset_leads_back_to_explicit_mode)
{
	struct machine *m = &self->vmm.m;
	__u32 reason;

	EXPECT_EQ(-EBUSY, accel_install(&m->g, m->stream[0].vsid, m->stream[0].s1.ste, &reason));
	EXPECT_EQ(SMMUV3_ACCEL_REASON_TABLE_MODE, reason);
	ASSERT_EQ(1, machine_goes(m, 0));
	machine_lead(m, 0, 2);
	ASSERT_EQ(1, machine_goes(m, 0)) TH_LOG("no stale translation to end");
	ASSERT_EQ(0, accel_reset(&m->g));
	ASSERT_EQ(0, machine_install(m, 0, STE_CFG_S1));
	EXPECT_EQ(2, machine_goes(m, 0));
	EXPECT_EQ(-EFAULT, machine_goes(m, 1));

	/* RESET in explicit mode */
	machine_lead(m, 0, 3);
	ASSERT_EQ(2, machine_goes(m, 0)) TH_LOG("no stale translation to end");
	ASSERT_EQ(0, accel_reset(&m->g));
	EXPECT_EQ(-EFAULT, machine_goes(m, 0));
	ASSERT_EQ(0, machine_set_regs(m));
	EXPECT_EQ(3, machine_goes(m, 0));
	EXPECT_EQ(3, machine_goes(m, 1));
}

/* The VMM ends and starts again */

static int reopen(struct vmm *vmm)
{
	struct machine *m = &vmm->m;
	__u64 next = m->g.next;
	int rc;

	rc = guest_open_memfd(&m->g, vmm->memfd);
	m->g.next = next;
	m->num = 0;
	vmm_moved(vmm);
	vmm->events = -1;
	return rc ? rc : machine_open_devices(m);
}

/*
 * The VMM after the restart: it has guest memory and what was saved, nothing else.
 * SET_REGS before ATTACH and after it come to the same.
 */
static int restored(struct vmm *vmm, bool regs_first)
{
	struct machine *m = &vmm->m;
	struct smmuv3_accel_set_idr set_idr;
	const __u32 cons = m->ring.cons;
	unsigned int i;

	if (!ROLE_EXPECT(!reopen(vmm)))
		return 1;
	ROLE_EXPECT(!machine_reach(m, STAGE_CREATED));
	ROLE_EXPECT(!accel_set_idr(&m->g, vmm->idr, &set_idr));
	if (regs_first)
		ROLE_EXPECT(!machine_set_regs(m));
	ROLE_EXPECT(!vmm_attach(vmm));
	if (!regs_first) {
		for (i = 0; i < m->num; i++)
			ROLE_EXPECT(machine_goes(m, i) == -EFAULT);
		ROLE_EXPECT(!machine_set_regs(m));
	}

	/* The guest's tables are in force, also an STE changed without a CFGI_STE */
	ROLE_EXPECT(machine_goes(m, 0) == 2);
	ROLE_EXPECT(machine_goes(m, 1) == 0);
	ROLE_EXPECT(m->ring.cons != m->ring.prod);
	ROLE_EXPECT(machine_sync(m));
	ROLE_EXPECT(machine_goes(m, 0) == 2);
	ROLE_EXPECT(vmm_queue_works(vmm, 0, 3));
	ROLE_EXPECT(vmm_queue_works(vmm, 0, 1));

	/* A CONS from long ago */
	m->ring.cons = cons;
	ROLE_EXPECT(machine_sync(m));
	m->ring.cons = (m->ring.prod + 1) ^ (1U << m->ring.log2size);
	ROLE_EXPECT(machine_sync(m));
	ROLE_EXPECT(machine_goes(m, 0) == 1);
	ROLE_EXPECT(machine_goes(m, 1) == 0);
	machine_write_ste(m, 1, STE_CFG_S1);
	ring_put(&m->ring, cmd_cfgi_ste(m->stream[1].vsid, true));
	ROLE_EXPECT(machine_sync(m));
	ROLE_EXPECT(machine_goes(m, 1) == 1);

	guest_close_accel(&m->g);
	ROLE_EXPECT(!iommufd_destroy(m->g.iommufd, m->g.ioas_id));
	return role_failures;
}

static int restored_attach_first(struct vmm *vmm)
{
	return restored(vmm, false);
}

static int restored_regs_first(struct vmm *vmm)
{
	return restored(vmm, true);
}

FIXTURE(restart)
{
	struct vmm vmm;
};

FIXTURE_VARIANT(restart)
{
	const char *role;
	bool killed;
};

FIXTURE_VARIANT_ADD(restart, attach_first) { .role = "attach-first", .killed = false };
FIXTURE_VARIANT_ADD(restart, regs_first) { .role = "regs-first", .killed = false };
FIXTURE_VARIANT_ADD(restart, killed) { .role = "attach-first", .killed = true };

FIXTURE_SETUP(restart)
{
}

FIXTURE_TEARDOWN(restart)
{
}

/* The VMM before the restart. It ends with commands of the guest that it has not run */
static int saved(struct vmm *vmm, int memfd, int to, bool killed)
{
	struct machine *m = &vmm->m;
	unsigned int i;

	if (!ROLE_EXPECT(!vmm_start(vmm, memfd, 0)))
		return 1;
	ROLE_EXPECT(machine_goes(m, 0) == 1);
	for (i = 0; i < 1U << m->ring.log2size; i++) {
		ring_put(&m->ring, cmd_filler(i));
		if (i % 7 == 6)
			ROLE_EXPECT(machine_sync(m));
	}
	ROLE_EXPECT(vmm_queue_works(vmm, 0, 3));
	machine_lead(m, 0, 2);
	ring_put(&m->ring, machine_tlbi(m, 0));
	ring_put(&m->ring, cmd_sync());
	machine_write_ste(m, 1, STE_CFG_BYPASS);
	ring_put(&m->ring, cmd_cfgi_ste(m->stream[1].vsid, true));
	ROLE_EXPECT(machine_goes(m, 0) == 3);
	ROLE_EXPECT(machine_goes(m, 1) == 3);
	ROLE_EXPECT(write(to, vmm, sizeof(*vmm)) == sizeof(*vmm));
	if (killed)
		pause();
	vmm_close(vmm);
	return role_failures;
}

TEST_F(restart, vmm_restores_what_it_saved)
{
	struct vmm *vmm = &self->vmm;
	int memfd = memfd_create("guest", 0), from[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(from));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(saved(vmm, memfd, from[1], variant->killed));
	close(from[1]);
	ASSERT_EQ(sizeof(*vmm), read(from[0], vmm, sizeof(*vmm)));
	if (variant->killed)
		ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(variant->killed ? 128 + SIGKILL : 0, child_status(pid, WAIT_MS));

	vmm->memfd = memfd;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		vmm_exec(variant->role, vmm);
		_exit(127);
	}
	EXPECT_EQ(0, child_status(pid, WAIT_MS));
}

int main(int argc, char **argv)
{
	static const struct vmm_role roles[] = {
		{ "attach-first", restored_attach_first },
		{ "regs-first", restored_regs_first },
		{}
	};
	int status = vmm_main(argc, argv, roles);

	return status < 0 ? test_harness_run(argc, argv) : status;
}
