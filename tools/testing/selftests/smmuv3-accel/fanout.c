// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <unistd.h>

#include "fanout.h"
#include "vmm.h"

/* A machine without stage 1. @spare: how many devices, from the last, are not attached */
int fanout_open(struct machine *m, enum machine_stage stage, __u32 flags, unsigned int spare)
{
	int memfd = new_memfd();

	if (memfd < 0 || ftruncate(memfd, GUEST_SIZE))
		return -errno;
	return machine_open(m, .stage = stage, .create_flags = flags, .devices = 2 * SMMUS,
			    .spare = spare, .idle = 2 * SMMUS - spare, .smmus = SMMUS,
			    .memfd = memfd);
}

/* How many commands were withheld since the last time */
__u64 withheld(struct machine *m, __u64 *seen)
{
	__u64 now = machine_stats(m).out_withheld, num = now - *seen;

	*seen = now;
	return num;
}

int use_stage1(struct machine *m, unsigned int i)
{
	return machine_change_ste(m, i, STE_CFG_S1);
}

/* The number of the page that stream @i's device writes to by a stage 1, or -EFAULT */
int goes(struct machine *m, unsigned int i, const struct stage1 *s1)
{
	struct stream s = m->stream[i];

	s.s1 = *s1;
	return stream_goes(&s);
}

/* Another table for the same DMA address, which leads to a page */
int other_table(struct machine *m, struct stage1 *to, const struct stage1 *from,
		unsigned int asid, int page)
{
	int rc;

	*to = *from;
	rc = stage1_init(to, &m->g, GRANULE_4K, asid);
	stage1_lead(to, page);
	return rc;
}

/* The CD of stream 1 gets a page of its own, which can be missing */
int cd_on_own_page(struct machine *m)
{
	struct stage1 *s1 = &m->stream[1].s1;

	s1->cd = guest_alloc(&m->g, sysconf(_SC_PAGESIZE));
	if (!s1->cd)
		return -ENOMEM;
	cd_write(&m->g, s1->cd, &s1->pt, s1->asid);
	ste_s1(s1->ste, s1->cd);
	return use_stage1(m, 1);
}

/* Store another table and ASID in a stream's CD, without a CFGI */
void store_cd(struct machine *m, unsigned int i, const struct stage1 *s1)
{
	cd_write(&m->g, m->stream[i].s1.cd, &s1->pt, s1->asid);
}

int tell(struct machine *m, unsigned int i)
{
	return INVALIDATE(m, cmd_cfgi_cd(m->stream[i].vsid, 0, true));
}

/*
 * The SMMU drops a cached CD, as it may at any time (3.21.3). The module does not see
 * this command.
 */
int evict(struct machine *m, unsigned int i)
{
	const struct cmd cmd = cmd_cfgi_cd(m->stream[i].vsid, 0, true);

	return machine_host_cmd(m, i, &cmd);
}

/*
 * Let a stale translation of an ASID be in SMMU 1 that the module has not seen: what the
 * documentation says remains. The CD of stream 1 does not have the ASID any more.
 */
int hide_asid(struct machine *m, struct stage1 *hidden)
{
	int rc = other_table(m, hidden, &m->stream[1].s1, NEW_ASID, 3);

	store_cd(m, 1, hidden);
	rc = rc ?: evict(m, 1);
	if (rc || goes(m, 1, hidden) != 3)
		return rc ?: -EBADE;
	store_cd(m, 1, &m->stream[1].s1);
	stage1_lead(hidden, 2);
	return tell(m, 1);
}
