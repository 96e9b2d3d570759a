/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VMM whose state goes to another process: guest memory in a memfd, descriptors
 * by SCM_RIGHTS or exec(), the rest as a copy of struct vmm. The other process may
 * be this program with a role as its argument.
 */
#ifndef SELFTEST_SMMUV3_ACCEL_VMM_H
#define SELFTEST_SMMUV3_ACCEL_VMM_H

#include "machine.h"

#define VMM_DEVICES	2
#define VMM_FDS		(4 + VMM_DEVICES)

/**
 * struct vmm - A VMM with its guest, in table mode
 * @m: its machine. Its devices share a stage 1
 * @memfd: guest memory
 * @events: vEVENTQ of the first device's vIOMMU
 * @events_id: its ID in the iommufd
 * @idr: SMMU_IDR0 to SMMU_IDR5
 */
struct vmm {
	struct machine m;
	int memfd;
	int events;
	__u32 events_id;
	__u32 idr[6];
};

int vmm_start(struct vmm *vmm, int memfd, unsigned int smmus);
void vmm_close(struct vmm *vmm);
int vmm_close_events(struct vmm *vmm);
int vmm_attach(struct vmm *vmm);
void vmm_moved(struct vmm *vmm);
int vmm_adopt(struct vmm *vmm);
void vmm_fds(struct vmm *vmm, int *fds[VMM_FDS]);

int new_memfd(void);
bool vmm_queue_works(struct vmm *vmm, unsigned int dev, int page);

/**
 * struct vmm_role - What another process does with a struct vmm
 * @name: the argument that asks for it
 * @play: returns the exit status
 */
struct vmm_role {
	const char *name;
	int (*play)(struct vmm *vmm);
};

void vmm_exec(const char *role, const struct vmm *vmm);
int vmm_main(int argc, char **argv, const struct vmm_role *roles);

extern int role_failures;
bool role_expect(bool holds, const char *what, const char *file, int line);

/* An EXPECT_TRUE() for another process, which exits with role_failures */
#define ROLE_EXPECT(what)	role_expect(what, #what, __FILE__, __LINE__)

#endif
