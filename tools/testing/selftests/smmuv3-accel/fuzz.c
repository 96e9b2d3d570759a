// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "stress.h"

#define MAX_REPORTS	10
#define CANARY		0xc0c0c0c0U

struct setting s;

void wrong(const char *format, ...)
{
	va_list args;

	if (atomic_fetch_add(&s.failures, 1) >= MAX_REPORTS)
		return;
	va_start(args, format);
	fprintf(stderr, "# seed %#llx: ", s.seed);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
}

bool one_in(__u64 *r, __u32 sides)
{
	return !roll(r, sides);
}

/* Mostly @value, else near it or anywhere */
__u32 about(__u64 *r, __u32 value)
{
	switch (roll(r, 16)) {
	case 0:
		return value ^ 1U << roll(r, 32);
	case 1:
		return value + 1;
	case 2:
		return value - 1;
	case 3:
		return one_in(r, 2) ? 0 : random_next(r);
	default:
		return value;
	}
}

__u32 any_vsid(__u64 *r)
{
	return one_in(r, 8) ? VSID_NAME(roll(r, DEVICES)) : FIRST_VSID + roll(r, VSIDS);
}

__u32 any_id(__u64 *r)
{
	return one_in(r, 4) ? roll(r, 32) : s.ids[roll(r, IDS)];
}

void see_id(__u64 *r, __u32 id)
{
	if (id)
		s.ids[roll(r, IDS)] = id;
}

/* An address without memory, or without memory for user space */
__u64 bad_pointer(__u64 *r)
{
	switch (roll(r, 3)) {
	case 0:
		return 0;
	case 1:
		return (__u64)(unsigned long)s.bad;
	default:
		return ~0ULL << (12 + roll(r, 52));
	}
}

/* Mostly @good, else no memory or memory that ends too early */
__u64 any_pointer(__u64 *r, const void *good)
{
	switch (roll(r, 16)) {
	case 0:
		return bad_pointer(r);
	case 1:
		return (__u64)(unsigned long)s.bad - 8 * roll(r, 64);
	default:
		return (__u64)(unsigned long)good;
	}
}

/*
 * STEs in every state. Their CDs are those of the setting, or lie outside guest memory:
 * other memory as a CD could rightly lead DMA anywhere.
 */
void any_ste(__u64 *r, __u64 ste[8])
{
	unsigned int bit;

	switch (roll(r, 8)) {
	case 0:
		ste_config(ste, roll(r, 8));
		if (ste[0] == (STE_V | STE_CFG(STE_CFG_S1)))
			ste[0] |= s.cds[0];
		break;
	case 1:
		memset(ste, 0, 64);
		break;
	default:
		ste_s1(ste, s.cds[roll(r, CDS)]);
		break;
	}
	while (one_in(r, 4)) {
		bit = roll(r, one_in(r, 2) ? 512 : 128);
		/* Within RAM, which is 16 MiB */
		if (bit >= 6 && bit < 24)
			continue;
		ste[bit / 64] ^= 1ULL << bit % 64;
	}
}

struct cmd any_cmd(__u64 *r)
{
	__u32 sid = any_vsid(r), asid = roll(r, 4), bit;
	__u64 iova = IOVA + 4096ULL * roll(r, 64);
	struct cmd cmd;

	switch (roll(r, 24)) {
	case 0:
		cmd = cmd_cfgi_cd(sid, 0, one_in(r, 2));
		break;
	case 1:
		cmd = cmd_cfgi_cd_all(sid);
		break;
	case 2 ... 4:
		cmd = cmd_cfgi_ste(sid, one_in(r, 2));
		break;
	case 5:
		cmd = cmd_cfgi_ste_range(sid, roll(r, 32));
		break;
	case 6:
		cmd = cmd_cfgi_all();
		break;
	case 7:
		cmd = one_in(r, 2) ? cmd_tlbi_nh_all() : cmd_tlbi_nsnh_all();
		break;
	case 8:
		cmd = cmd_tlbi_asid(asid);
		break;
	case 9:
		cmd = cmd_tlbi_vaa(iova, one_in(r, 2));
		break;
	case 10:
		cmd = cmd_range(cmd_tlbi_va(asid, iova, true), roll(r, 32),
				roll(r, 6), roll(r, 4), roll(r, 4));
		break;
	case 11:
		cmd = cmd_atc_inv(sid, iova, roll(r, 53));
		break;
	case 12:
		cmd = cmd_sync_irq();
		break;
	case 13 ... 15:
		cmd = cmd_sync();
		break;
	default:
		cmd = cmd_tlbi_va(asid, iova, true);
		break;
	}
	if (one_in(r, 128)) {
		bit = roll(r, 128);
		cmd.w[bit / 64] ^= htole64(1ULL << bit % 64);
	}
	return cmd;
}

/* A VMM that meddles with the host's objects gets more errors */
static bool errno_is_meddlers(int error)
{
	return s.meddle && (error == EIO || error == ENODEV || error == EBUSY ||
			    error == ENOSPC || error == EEXIST);
}

static void check_run(const struct smmuv3_accel_run_cmdq *in,
		      const struct smmuv3_accel_run_cmdq *out, int error)
{
	const __u32 bad = SMMUV3_ACCEL_RUN_BAD_STE, overflow = SMMUV3_ACCEL_RUN_BAD_OVERFLOW;
	const __u32 cfgi = SMMUV3_ACCEL_RUN_CFGI;

	if (out->feed_num > in->feed_num || out->out_flags >= 2 * cfgi ||
	    out->out_error > SMMUV3_ACCEL_CERROR_ATC_INV_SYNC || (error && out->out_error))
		wrong("RUN_CMDQ: feed_num %u of %u, error %u, flags %#x, errno %d", out->feed_num,
		      in->feed_num, out->out_error, out->out_flags, error);
	if (out->bad_num > in->bad_num || (out->bad_num && !(out->out_flags & bad)) ||
	    ((out->out_flags & overflow) && !(out->out_flags & bad)))
		wrong("RUN_CMDQ: bad_num %u of %u, flags %#x", out->bad_num, in->bad_num,
		      out->out_flags);
}

static void check_numbers(const struct accel_call *call, const union arg *in,
			  const union arg *out, int error)
{
	switch (call->cmd) {
	case SMMUV3_ACCEL_INSTALL_STE:
		if (out->install_ste.entry_num > in->install_ste.entry_num)
			wrong("INSTALL_STE: %u of %u installed",
			      out->install_ste.entry_num, in->install_ste.entry_num);
		break;
	case SMMUV3_ACCEL_INVALIDATE:
		if (out->invalidate.cmd_num > in->invalidate.cmd_num ||
		    out->invalidate.out_error > SMMUV3_ACCEL_CERROR_ATC_INV_SYNC)
			wrong("INVALIDATE: %u of %u done, error %u",
			      out->invalidate.cmd_num, in->invalidate.cmd_num,
			      out->invalidate.out_error);
		break;
	case SMMUV3_ACCEL_RUN_CMDQ:
		check_run(&in->run_cmdq, &out->run_cmdq, error);
		break;
	}
}

/* Make a call with @in copied to @at, and check what it returns and writes */
int call_at(const struct accel_call *call, int fd, const union arg *in, union arg *at)
{
	const __u32 poison = 0xa5a5a5a5;
	__u32 reason = 0, i;
	bool readable = in->size >= (call->first_size ?: call->size);
	int error;

	*at = *in;
	for (i = call->size; i < in->size && i < sizeof(*at); i++)
		readable &= !at->bytes[i];
	if (call->reason)
		memcpy(at->bytes + call->reason, &poison, sizeof(poison));
	error = ioctl(fd, call->cmd, at) ? errno : 0;
	atomic_fetch_add(&s.calls, 1);
	atomic_fetch_add(&s.good[call - accel_calls], !error);
	if ((!call_may_return(call, error) || error == EIO) && !errno_is_meddlers(error))
		wrong("%s: errno %d is not documented", call->name, error);
	if (!readable) {
		if (error != E2BIG && error != EINVAL)
			wrong("%s of size %u: errno %d", call->name, in->size, error);
		return error;
	}
	if (call->reason) {
		memcpy(&reason, at->bytes + call->reason, sizeof(reason));
		if (!reason_is_known(reason))
			wrong("%s: errno %d, unknown reason %#x", call->name, error, reason);
		/* A signal, and sizes, need none */
		if (error && !reason && error != EINTR)
			wrong("%s: errno %d without a reason", call->name, error);
		if (!s.meddle && (reason == SMMUV3_ACCEL_REASON_HOST_REJECT ||
				  reason == SMMUV3_ACCEL_REASON_FOREIGN_MM))
			wrong("%s: errno %d, reason %u", call->name, error, reason);
	}
	check_numbers(call, in, at, error);
	return error;
}

static int setting_memory(void)
{
	unsigned int i;
	__u64 ste[8];
	int rc;

	for (i = 0; i < 2; i++) {
		rc = strtab_init(&s.strtab[i], &s.g, STRTAB_LOG2SIZE, i ? 6 : 0);
		if (rc)
			return rc;
	}
	rc = ring_init(&s.ring, &s.g, RING_LOG2SIZE);
	if (rc)
		return rc;
	for (i = 0; i < CDS; i++) {
		struct pgtable pt;

		s.pages[i] = guest_alloc(&s.g, 4096);
		pgtable_init(&pt, &s.g, GRANULE_4K);
		pgtable_map(&pt, IOVA, s.pages[i], PTE_NOT_GLOBAL);
		s.cds[i] = cd_new(&s.g, &pt, 1 + i);
	}
	ste_s1(ste, s.cds[0]);
	for (i = 0; i < 2 * VSIDS; i++) {
		strtab_write(&s.strtab[i % 2], FIRST_VSID + i / 2, ste);
		s.stes[i % 2][i / 2] = strtab_ste(&s.strtab[i % 2], FIRST_VSID + i / 2);
	}
	for (i = 0; i < 2; i++)
		s.l1[i] = *strtab_l1(&s.strtab[1], FIRST_VSID + i * VSIDS);
	s.canaries_len = 4ULL << 20;
	s.canaries = guest_alloc(&s.g, s.canaries_len);
	memset(guest_ptr(&s.g, s.canaries), CANARY & 0xff, s.canaries_len);
	return s.canaries ? 0 : -ENOMEM;
}

/* DMA went only to the pages that IOVA leads to */
static void check_canaries(void)
{
	const __u32 *word = guest_ptr(&s.g, s.canaries);
	__u64 i;

	for (i = 0; i < s.canaries_len / 4; i++)
		if (word[i] != CANARY)
			wrong("DMA reached %#llx, which no table maps", s.canaries + 4 * i);
}

void one_dma(__u64 *r)
{
	unsigned int i = roll(r, DEVICES);

	if (s.dev[i].fd < 0 || pthread_mutex_trylock(&s.dev_lock[i]))
		return;
	if (!testdev_write(&s.dev[i], one_in(r, 8) ? s.pages[0] : IOVA))
		atomic_fetch_add(&s.dmas, 1);
	if (one_in(r, 8) && !testdev_write(&s.dev[i], IOVA + 4096 * (1 + roll(r, 64))))
		wrong("DMA went where no table leads");
	pthread_mutex_unlock(&s.dev_lock[i]);
}

/* Write something into tables or the queue, which may be in use */
void scribble(__u64 *r)
{
	volatile __u64 *to, *l1;
	unsigned int i;
	__u64 ste[8];

	switch (roll(r, 8)) {
	case 0:
		any_ste(r, ste);
		to = s.stes[roll(r, 2)][roll(r, VSIDS)];
		for (i = 0; i < 8; i++)
			to[i] = htole64(ste[i]);
		break;
	case 1:
		/* Beyond SPLIT, in no memory, at the end of memory, in itself */
		i = roll(r, 2);
		l1 = strtab_l1(&s.strtab[1], FIRST_VSID + i * VSIDS);
		switch (roll(r, 6)) {
		case 0:
			*l1 ^= roll(r, 32);
			break;
		case 1:
			*l1 = random_next(r) | 1ULL << 40;
			break;
		case 2:
			*l1 = (GUEST_BASE + GUEST_SIZE - 64 * roll(r, 3)) | 7;
			break;
		case 3:
			*l1 = s.strtab[1].base | roll(r, 32);
			break;
		default:
			*l1 = s.l1[i];
			break;
		}
		break;
	default:
		*ring_slot(&s.ring, roll(r, RING_SIZE)) = any_cmd(r);
		break;
	}
}

/* Memory tables: whole, in pieces, with holes, with other memory, empty */
__u32 any_regions(__u64 *r, struct smmuv3_accel_mem_region region[4])
{
	const __u64 ram = (__u64)(unsigned long)s.g.ram;
	__u64 cut = 4096ULL * roll(r, GUEST_SIZE / 4096 - 1) + 4096;

	region[0] = (struct smmuv3_accel_mem_region){ GUEST_BASE, GUEST_SIZE, ram };
	switch (roll(r, 8)) {
	case 0:
		/* Two pieces that meet in the ring, perhaps within a command */
		cut = s.ring.base - GUEST_BASE + 8 * roll(r, 2 * RING_SIZE);
		__attribute__((fallthrough));
	case 1:
		region[0].size = cut;
		region[1] = (struct smmuv3_accel_mem_region){
			GUEST_BASE + cut, GUEST_SIZE - cut, ram + cut,
		};
		if (one_in(r, 4))
			region[roll(r, 2)].uaddr = any_pointer(r, s.g.ram);
		if (one_in(r, 4))
			region[1].gpa -= 8;
		return 1 + roll(r, 2);
	case 2:
		region[0].gpa ^= 1ULL << roll(r, 64);
		return 1;
	case 3:
		region[0].uaddr = any_pointer(r, s.bad);
		return roll(r, 2);
	default:
		return 1;
	}
}

void any_regs(__u64 *r, struct smmuv3_accel_set_regs *regs)
{
	const struct strtab *st = &s.strtab[roll(r, 2)];

	regs->cr0 = CR0_SMMUEN | CR0_CMDQEN;
	regs->gbpa = GBPA_ABORT;
	regs->strtab_base = st->base;
	regs->strtab_base_cfg = st->base_cfg;
	regs->cmdq_base = s.ring.base | s.ring.log2size;
	switch (roll(r, 16)) {
	case 0:
		regs->cr0 = random_next(r);
		break;
	case 1:
		/* With bypass DMA addresses are guest physical addresses */
		regs->cr0 &= ~CR0_SMMUEN;
		regs->gbpa = roll(r, 2) ? GBPA_ABORT : 0;
		break;
	case 2:
		regs->strtab_base ^= 1ULL << (24 + roll(r, 40));
		break;
	case 3:
		regs->strtab_base_cfg ^= 1U << roll(r, 32);
		break;
	case 4:
		regs->cmdq_base ^= 1ULL << (24 + roll(r, 40));
		break;
	}
}

/* Take seed and rounds from the environment. -ENODEV: there are not enough devices */
int fuzz_start(void)
{
	char bdf[16];

	s.seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	s.rounds = env_number("SMMUV3_ACCEL_ROUNDS", DEFAULT_ROUNDS);
	return dma_find(DMA_TESTDEV, FIRST_DEVICE + DEVICES - 1, bdf);
}

/* Open and set up all that is shared */
int setting_open(void)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_phys phys;
	int i, rc;

	rc = guest_open(&s.g);
	if (!rc)
		rc = setting_memory();
	if (rc)
		return rc;
	s.bad = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (s.bad == MAP_FAILED)
		return -errno;
	s.bad += 4096;
	if (mprotect(s.bad, 4096, PROT_NONE))
		return -errno;
	s.iommufd[0] = s.g.iommufd;
	s.ioas[0] = s.g.ioas_id;
	s.iommufd[1] = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (s.iommufd[1] < 0 || ioas_alloc(s.iommufd[1], &s.ioas[1]))
		return -errno;
	for (i = 0; i < DEVICES; i++) {
		pthread_mutex_init(&s.dev_lock[i], NULL);
		rc = dma_open(&s.dev[i], s.iommufd[0], DMA_TESTDEV, FIRST_DEVICE + i);
		if (!rc)
			rc = iommufd_nest_parent(s.iommufd[0], s.dev[i].dev_id, s.ioas[0],
						 &s.parents[i]);
		if (rc)
			return rc;
	}
	rc = accel_attach(&s.g, s.dev[0].fd, FIRST_VSID, &attach);
	if (!rc)
		rc = accel_phys(&s.g, 0, &phys);
	memcpy(s.host_idr, phys.out_idr, sizeof(s.host_idr));
	return rc;
}

/* Close all accel files, after which nothing must be held. Returns the exit status */
int setting_close(void)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < DEVICES; i++)
		dma_close(&s.dev[i]);
	check_canaries();
	fprintf(stderr, "# %u calls, %u DMAs; good ones:", s.calls, s.dmas);
	for (i = 0; i < ACCEL_CALLS; i++)
		fprintf(stderr, " %s %u", accel_calls[i].name, s.good[i]);
	fprintf(stderr, "\n");
	for (i = 0; i < DEVICES && !s.meddle && !rc; i++)
		rc = iommufd_destroy(s.iommufd[0], s.parents[i]);
	if (!s.meddle && !rc)
		rc = iommufd_destroy(s.iommufd[0], s.ioas[0]);
	if (rc)
		wrong("parents and IOAS cannot be destroyed: %d", rc);
	close(s.iommufd[0]);
	close(s.iommufd[1]);
	/* Few rounds may by chance have no DMA */
	return s.failures || (!s.meddle && !s.dmas && s.rounds >= DEFAULT_ROUNDS);
}
