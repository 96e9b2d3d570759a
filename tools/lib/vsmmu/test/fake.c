// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "fake.h"

static int fake_open(void *data, const char *path)
{
	struct fake *fake = data;

	return strcmp(path, "/dev/smmuv3-accel") ? -ENOENT : fake->opened;
}

static void fake_close(void *data, int fd)
{
	struct fake *fake = data;

	fake->closed += fd == FAKE_FD;
}

/* Where the request's struct has its out_reason; NULL: it has none */
static uint32_t *reason_of(unsigned long request, void *arg)
{
	switch (request) {
	case SMMUV3_ACCEL_CREATE:
		return &((struct smmuv3_accel_create *)arg)->out_reason;
	case SMMUV3_ACCEL_GET_INFO:
		return &((struct smmuv3_accel_info *)arg)->out_reason;
	case SMMUV3_ACCEL_SET_IDR:
		return &((struct smmuv3_accel_set_idr *)arg)->out_reason;
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		return &((struct smmuv3_accel_mem_table *)arg)->out_reason;
	case SMMUV3_ACCEL_GET_PHYS:
		return &((struct smmuv3_accel_phys *)arg)->out_reason;
	case SMMUV3_ACCEL_GET_STREAM:
		return &((struct smmuv3_accel_stream *)arg)->out_reason;
	case SMMUV3_ACCEL_ATTACH:
		return &((struct smmuv3_accel_attach *)arg)->out_reason;
	case SMMUV3_ACCEL_DETACH:
		return &((struct smmuv3_accel_detach *)arg)->out_reason;
	case SMMUV3_ACCEL_SET_REGS:
		return &((struct smmuv3_accel_set_regs *)arg)->out_reason;
	case SMMUV3_ACCEL_RUN_CMDQ:
		return &((struct smmuv3_accel_run_cmdq *)arg)->out_reason;
	case SMMUV3_ACCEL_RESET:
		return &((struct smmuv3_accel_reset *)arg)->out_reason;
	case SMMUV3_ACCEL_SET_VSIDS:
		return &((struct smmuv3_accel_set_vsids *)arg)->out_reason;
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		return &((struct smmuv3_accel_change_process *)arg)->out_reason;
	default:
		return NULL;
	}
}

/* The same for out_vsid */
static uint32_t *vsid_of(unsigned long request, void *arg)
{
	switch (request) {
	case SMMUV3_ACCEL_SET_REGS:
		return &((struct smmuv3_accel_set_regs *)arg)->out_vsid;
	case SMMUV3_ACCEL_RUN_CMDQ:
		return &((struct smmuv3_accel_run_cmdq *)arg)->out_vsid;
	case SMMUV3_ACCEL_SET_VSIDS:
		return &((struct smmuv3_accel_set_vsids *)arg)->out_vsid;
	default:
		return NULL;
	}
}

static uint32_t cmdq_mask(const struct fake *fake)
{
	uint32_t bits = fake->regs.cmdq_base & 0x1f, most = fake->idr.idr[1] >> 21 & 0x1f;

	return (2U << (bits < most ? bits : most)) - 1;
}

/* The opcode of a command; 0: it cannot be read */
static uint8_t cmd_opcode(const struct fake *fake, uint32_t index)
{
	uint64_t size = (cmdq_mask(fake) + 1ULL) / 2 * 16;
	uint64_t gpa = (fake->regs.cmdq_base & 0xfffffffffffe0ULL & ~(size - 1)) +
		       (index * 16ULL & (size - 1));
	uint32_t i;

	for (i = 0; i < fake->region_num; i++)
		if (gpa - fake->region[i].gpa < fake->region[i].size)
			return *(uint8_t *)(uintptr_t)(fake->region[i].uaddr + gpa -
						       fake->region[i].gpa);
	return 0;
}

/* The flag that a CFGI_* sets, if one of the commands from @cons to before @end is one */
static uint32_t cfgi_flag(const struct fake *fake, uint32_t cons, uint32_t end)
{
	uint32_t mask = cmdq_mask(fake);

	for (; (cons ^ end) & mask; cons++) {
		switch (cmd_opcode(fake, cons)) {
		case 0x03:	/* CFGI_STE */
		case 0x04:	/* CFGI_STE_RANGE, CFGI_ALL */
		case 0x05:	/* CFGI_CD */
		case 0x06:	/* CFGI_CD_ALL */
			return SMMUV3_ACCEL_RUN_CFGI;
		}
	}
	return 0;
}

static int fake_run(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	uint32_t mask = cmdq_mask(fake), num = (run->prod - run->cons) & mask;

	if (fake->on_run)
		return fake->on_run(fake, run);
	run->cons = (run->cons + (num < run->max_cmds ? num : run->max_cmds)) & mask;
	return 0;
}

static int fake_set_memory(struct fake *fake,
			   const struct smmuv3_accel_mem_table *table)
{
	if (table->region_num > VSMMU_MAX_REGIONS)
		return -EINVAL;
	fake->region_num = table->region_num;
	if (fake->region_num)
		memcpy(fake->region, (void *)(unsigned long)table->regions_uptr,
		       fake->region_num * sizeof(fake->region[0]));
	return 0;
}

static uint32_t fake_find(struct fake *fake, uint32_t vsid)
{
	uint32_t i;

	for (i = 0; i < fake->attached; i++)
		if (fake->vsid[i] == vsid)
			break;
	return i;
}

static int fake_attach(struct fake *fake, const struct smmuv3_accel_attach *arg)
{
	fake->attach = *arg;
	if (arg->flags & SMMUV3_ACCEL_ATTACH_DRY_RUN)
		return 0;
	if (fake->attached == FAKE_STREAMS + 1)
		return -ENOSPC;
	fake->vsid[fake->attached++] = arg->vsid;
	return 0;
}

static int fake_detach(struct fake *fake, const struct smmuv3_accel_detach *arg)
{
	uint32_t i = fake_find(fake, arg->vsid);

	if (i == fake->attached)
		return -ENOENT;
	fake->vsid[i] = fake->vsid[--fake->attached];
	return 0;
}

static int fake_set_vsids(struct fake *fake,
			  struct smmuv3_accel_set_vsids *arg)
{
	const struct smmuv3_accel_vsid *entries =
		(void *)(uintptr_t)arg->entries_uptr;
	uint32_t at[FAKE_STREAMS], i;

	for (i = 0; i < arg->entry_num; i++) {
		at[i] = fake_find(fake, entries[i].old_vsid);
		if (at[i] == fake->attached)
			return -ENOENT;
	}
	for (i = 0; i < arg->entry_num; i++)
		fake->vsid[at[i]] = entries[i].new_vsid;
	arg->out_vsid = fake->vsids_rc ? fake->fail_vsid : 0;
	return fake->vsids_rc;
}

/* Carry out an ioctl that succeeds */
static int fake_answer(struct fake *fake, unsigned long request, void *arg)
{
	struct smmuv3_accel_stream *stream = arg;
	struct smmuv3_accel_run_cmdq *run = arg;
	struct smmuv3_accel_info *info = arg;
	struct smmuv3_accel_phys *phys = arg;
	int rc;

	switch (request) {
	case SMMUV3_ACCEL_GET_INFO:
		info->out_api_version = SMMUV3_ACCEL_API_VERSION;
		info->out_max_streams = fake->max_streams;
		info->out_max_batch = fake->batch;
		break;
	case SMMUV3_ACCEL_CREATE:
		fake->create = *(struct smmuv3_accel_create *)arg;
		break;
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		fake->change = *(struct smmuv3_accel_change_process *)arg;
		break;
	case SMMUV3_ACCEL_SET_IDR:
		fake->idr = *(struct smmuv3_accel_set_idr *)arg;
		return fake->attached ? -EBUSY : 0;
	case SMMUV3_ACCEL_ATTACH:
		return fake_attach(fake, arg);
	case SMMUV3_ACCEL_DETACH:
		return fake_detach(fake, arg);
	case SMMUV3_ACCEL_SET_VSIDS:
		return fake_set_vsids(fake, arg);
	case SMMUV3_ACCEL_GET_PHYS:
		if (phys->index >= fake->phys_num)
			return -ENOENT;
		*phys = fake->phys[phys->index];
		break;
	case SMMUV3_ACCEL_GET_STREAM:
		if (fake_find(fake, stream->vsid) == fake->attached)
			return -ENOENT;
		if (fake->on_stream)
			stream->out_reason = fake->on_stream(fake, stream->vsid);
		else if (stream->vsid < FAKE_STREAMS)
			stream->out_reason = fake->stream_reason[stream->vsid];
		break;
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		return fake_set_memory(fake, arg);
	case SMMUV3_ACCEL_RUN_CMDQ:
		rc = fake_run(fake, run);
		run->out_flags |= cfgi_flag(fake, fake->run.cons, run->cons);
		return rc;
	}
	return 0;
}

static int fake_ioctl(void *data, int fd, unsigned long request, void *arg)
{
	struct fake *fake = data;
	unsigned int nr = _IOC_NR(request);
	struct smmuv3_accel_mem_table *table = arg;
	struct smmuv3_accel_run_cmdq *run = arg;
	uint32_t *reason, *vsid;

	if (fd != FAKE_FD || _IOC_TYPE(request) != SMMUV3_ACCEL_TYPE ||
	    nr >= FAKE_REQUESTS)
		return -ENOTTY;
	fake->calls[nr]++;
	if (fake->on_call)
		fake->on_call(fake, request);
	reason = reason_of(request, arg);
	if (reason)
		*reason = 0;
	vsid = vsid_of(request, arg);
	if (vsid)
		*vsid = 0;
	if (request == SMMUV3_ACCEL_SET_REGS)
		fake->regs = *(struct smmuv3_accel_set_regs *)arg;
	if (request == SMMUV3_ACCEL_RUN_CMDQ) {
		/* Written on failures too */
		fake->run = *run;
		run->feed_num = 0;
		run->bad_num = 0;
	}
	if (fake->fail_times[nr]) {
		fake->fail_times[nr]--;
		if (reason)
			*reason = fake->fail_reason[nr];
		if (vsid)
			*vsid = fake->fail_vsid;
		if (request == SMMUV3_ACCEL_SET_MEM_TABLE)
			table->out_bad_region = fake->fail_region;
		return fake->fail_rc[nr];
	}
	return fake_answer(fake, request, arg);
}

static ssize_t fake_read(void *data, int fd, void *buf, size_t len)
{
	struct fake *fake = data;
	int i = fd - FAKE_VEVENTQ;

	if (i < 0 || i >= FAKE_VEVENTQS)
		return -EBADF;
	if (fake->queue_rc[i])
		return fake->queue_rc[i];
	if (len > fake->queue_len[i])
		len = fake->queue_len[i];
	memcpy(buf, fake->queue[i], len);
	if (!fake->queue_endless) {
		fake->queue_len[i] -= len;
		memmove(fake->queue[i], fake->queue[i] + len,
			fake->queue_len[i]);
	}
	return len;
}

/* Real descriptors are small: a test's eventfds */
static int fake_identify(void *data, int fd)
{
	(void)data;
	if (fd == FAKE_CLOSED)
		return -EBADF;
	if (fd == FAKE_UNKNOWN)
		return VSMMU_FD_UNKNOWN;
	if (fd >= FAKE_VEVENTQ && fd < FAKE_OTHER)
		return VSMMU_FD_VEVENTQ;
	return fd < FAKE_FD ? VSMMU_FD_EVENTFD : VSMMU_FD_OTHER;
}

static void fake_clean(void *data, const volatile void *line)
{
	struct fake *fake = data;

	fake->cleaned++;
	if (fake->on_clean)
		fake->on_clean(fake, line);
}

const struct vsmmu_kernel fake_kernel = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.read = fake_read,
	.identify = fake_identify,
	.clean = fake_clean,
};

/* A host with one physical SMMU that has all features */
void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->opened = FAKE_FD;
	fake->batch = 64;
	fake->max_streams = FAKE_STREAMS;
	fake->phys_num = 1;
	/* S1P, S2P, TTF, COHACC, ATS, ASID16, CD2L, TTENDIAN, TERM, ST_LEVEL */
	fake->phys[0].out_idr[0] = 3 | 3 << 2 | 1 << 4 | 1 << 10 | 1 << 12 |
				   1 << 19 | 2 << 21 | 1 << 26 | 1 << 27;
	/* SIDSIZE, SSIDSIZE */
	fake->phys[0].out_idr[1] = 32 | 20 << 6;
	/* HAD, RIL, BBML */
	fake->phys[0].out_idr[3] = 1 << 2 | 1 << 10 | 2 << 11;
	/* OAS, granules, DS, VAX */
	fake->phys[0].out_idr[5] = 6 | 7 << 4 | 1 << 7 | 1 << 10;
}

void fake_fail(struct fake *fake, unsigned long request, int rc, uint32_t reason,
	       unsigned int times)
{
	fake->fail_rc[_IOC_NR(request)] = rc;
	fake->fail_reason[_IOC_NR(request)] = reason;
	fake->fail_times[_IOC_NR(request)] = times;
}

/* How often an ioctl was called since the last call of this function */
unsigned int fake_calls(struct fake *fake, unsigned long request)
{
	unsigned int calls = fake->calls[_IOC_NR(request)];

	fake->calls[_IOC_NR(request)] = 0;
	return calls;
}

/* Let RUN_CMDQ report a stream whose STE is not legal. */
void fake_bad_ste(struct smmuv3_accel_run_cmdq *run, uint32_t vsid,
		  uint32_t reason)
{
	struct smmuv3_accel_bad_ste *bad = (void *)(uintptr_t)run->bad_uptr;

	bad[run->bad_num++] = (struct smmuv3_accel_bad_ste){ vsid, reason };
	run->out_flags |= SMMUV3_ACCEL_RUN_BAD_STE;
}

/* An on_run: it reports stream 1, which is an event. The library has to ask about others. */
int fake_run_bad(struct fake *fake, struct smmuv3_accel_run_cmdq *run)
{
	(void)fake;
	run->cons++;
	fake_bad_ste(run, 1, SMMUV3_ACCEL_REASON_STE_CONFIG);
	run->out_flags |= SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	return 0;
}

/* A record as iommufd has it: a header and, with @event, the event */
void fake_event(struct fake *fake, int queue, uint32_t flags, uint32_t sequence,
		const uint64_t event[4])
{
	const uint32_t header[] = { flags, sequence };
	char *at = fake->queue[queue] + fake->queue_len[queue];

	memcpy(at, header, sizeof(header));
	if (event)
		memcpy(at + sizeof(header), event, 4 * sizeof(*event));
	fake->queue_len[queue] += sizeof(header) +
				  (event ? 4 * sizeof(*event) : 0);
}
