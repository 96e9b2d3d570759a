// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "vmm.h"

int new_memfd(void)
{
	return memfd_create("guest", MFD_CLOEXEC);
}

/* The first device last: its @ids name the vIOMMU of the vEVENTQ */
int vmm_attach(struct vmm *vmm)
{
	int i, rc = 0;

	for (i = vmm->m.num - 1; !rc && i >= 0; i--)
		rc = machine_attach(&vmm->m, i);
	return rc;
}

/* @memfd: guest memory. @smmus: as in struct machine_options */
int vmm_start(struct vmm *vmm, int memfd, unsigned int smmus)
{
	struct smmuv3_accel_set_idr set_idr;
	unsigned int i;
	int rc;

	vmm->events = -1;
	vmm->memfd = memfd;
	if (memfd < 0 || ftruncate(memfd, GUEST_SIZE))
		return -errno;
	rc = machine_open(&vmm->m, .stage = STAGE_CREATED, .devices = VMM_DEVICES,
			  .smmus = smmus, .one_table = true, .memfd = memfd);
	if (rc)
		return rc;
	/* Offer no range invalidations, to see that the offer survives */
	rc = machine_find_idr(&vmm->m, vmm->idr);
	vmm->idr[3] &= ~IDR3_RIL;
	if (!rc)
		rc = accel_set_idr(&vmm->m.g, vmm->idr, &set_idr);
	for (i = 0; i < VMM_DEVICES; i++)
		machine_write_ste(&vmm->m, i, STE_CFG_S1);
	if (!rc)
		rc = vmm_attach(vmm);
	if (rc)
		return rc;
	vmm->events = veventq_open(vmm->m.g.iommufd, vmm->m.stream[0].ids.out_viommu_id,
				   &vmm->events_id);
	if (vmm->events < 0)
		return vmm->events;
	return machine_set_regs(&vmm->m);
}

void vmm_close(struct vmm *vmm)
{
	machine_close(&vmm->m);
	if (vmm->events >= 0)
		close(vmm->events);
	if (vmm->memfd >= 0)
		close(vmm->memfd);
}

/* A vEVENTQ would keep the vIOMMU beyond the vSMMU */
int vmm_close_events(struct vmm *vmm)
{
	close(vmm->events);
	vmm->events = -1;
	return iommufd_destroy(vmm->m.g.iommufd, vmm->events_id);
}

/* Set the addresses in @vmm again, after it was copied from another process */
void vmm_moved(struct vmm *vmm)
{
	struct machine *m = &vmm->m;
	unsigned int i;

	m->ring.g = &m->g;
	m->strtab.g = &m->g;
	for (i = 0; i < VMM_DEVICES; i++)
		m->stream[i].s1.pt.g = &m->g;
}

/* Use the descriptors in @vmm, which come from another process */
int vmm_adopt(struct vmm *vmm)
{
	unsigned int i;
	int rc = 0;

	vmm_moved(vmm);
	vmm->m.g.ram = guest_map_memfd(vmm->memfd);
	if (!vmm->m.g.ram)
		return -ENOMEM;
	for (i = 0; !rc && i < vmm->m.num; i++)
		rc = dma_start(&vmm->m.stream[i].dev);
	return rc;
}

/* Set @fds to the places of the descriptors in @vmm */
void vmm_fds(struct vmm *vmm, int *fds[VMM_FDS])
{
	int i;

	fds[0] = &vmm->m.g.iommufd;
	fds[1] = &vmm->m.g.accel;
	fds[2] = &vmm->memfd;
	fds[3] = &vmm->events;
	for (i = 0; i < VMM_DEVICES; i++)
		fds[4 + i] = &vmm->m.stream[i].dev.fd;
}

/* Whether a stale translation is there after a change, and a command ends it */
bool vmm_queue_works(struct vmm *vmm, unsigned int dev, int page)
{
	struct machine *m = &vmm->m;
	int stale = machine_goes(m, dev);

	machine_lead(m, dev, page);
	if (stale == page || machine_goes(m, dev) != stale)
		return false;
	ring_put(&m->ring, machine_tlbi(m, dev));
	return machine_sync(m) && machine_goes(m, dev) == page;
}

int role_failures;

bool role_expect(bool holds, const char *what, const char *file, int line)
{
	if (!holds) {
		fprintf(stderr, "# %s:%d: %s\n", file, line, what);
		role_failures++;
	}
	return holds;
}

/* Become this program in another role. Returns only on failure */
void vmm_exec(const char *role, const struct vmm *vmm)
{
	int fd = memfd_create("state", 0);
	char number[16];

	if (fd < 0 || write(fd, vmm, sizeof(*vmm)) != sizeof(*vmm))
		return;
	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "vmm", role, number, NULL);
}

/* -1: the arguments are not those of vmm_exec(). @roles: up to one without a name */
int vmm_main(int argc, char **argv, const struct vmm_role *roles)
{
	static struct vmm vmm;

	/* The harness's options begin with a hyphen */
	if (argc != 3 || argv[1][0] == '-')
		return -1;
	if (pread(atoi(argv[2]), &vmm, sizeof(vmm), 0) != sizeof(vmm))
		return 2;
	for (; roles->name; roles++)
		if (!strcmp(roles->name, argv[1]))
			return roles->play(&vmm);
	return 2;
}
