// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile VMMs and guests: ioctls and command queues that are right, nearly
 * right or wrong, from several threads that share all that there is. The kernel
 * must survive (run with panic_on_warn=1), answer as documented, let DMA go
 * nowhere but where tables allow, and a well-behaved VMM beside must not notice.
 *
 * SMMUV3_ACCEL_ROUNDS: how many rounds each thread does
 * SMMUV3_ACCEL_SEED: where the random numbers start
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "harness.h"
#include "stress.h"

#define DEFAULT_ROUNDS	3000
#define DEFAULT_SEED	0x5eed
#define MAX_REPORTS	10

#define FILES		3
#define DEVICES		2
#define FIRST_DEVICE	2	/* the neighbour has number 0 */
#define THREADS		3
#define IDS		16
#define VSIDS		8
#define FIRST_VSID	0x3c	/* on both sides of a level-2 table's end */

#define IOVA		0x20000000ULL
#define CDS		2
#define STRTAB_LOG2SIZE	8
#define RING_LOG2SIZE	6
#define RING_SIZE	(1U << RING_LOG2SIZE)
#define RING_MASK	(2 * RING_SIZE - 1)
#define CANARY		0xc0c0c0c0U

/* What is right in itself and lies about in guest memory for all to use */
struct setting {
	struct guest g;
	__u64 cds[CDS];
	__u64 pages[CDS];	/* where IOVA leads to by each CD */
	__u64 canaries;
	__u64 canaries_len;
	struct strtab strtab[2];	/* linear, 2-level */
	volatile __u64 *stes[2][VSIDS];
	__u64 l1[2];		/* as it should be */
	struct ring ring;
	struct dma_dev dev[DEVICES];
	pthread_mutex_t dev_lock[DEVICES];
	int accel[FILES];
	int iommufd[2];		/* the second has no devices */
	__u32 ioas[2];
	__u32 ids[IDS];		/* the last that the kernel has named */
	char *bad;		/* a page that is mapped PROT_NONE */
	bool meddle;
	__u64 seed;
	__u64 rounds;
	atomic_int failures;
	atomic_bool stop;
	atomic_int ended;
	pthread_barrier_t end;
	atomic_uint calls;
	atomic_uint good[16];	/* calls that succeeded, by number */
	atomic_uint dmas;	/* DMAs that went through */
};

static struct setting s;

static void __printf(1, 2) wrong(const char *format, ...)
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

/* Random things */

static bool one_in(__u64 *r, __u32 sides)
{
	return !roll(r, sides);
}

/* Mostly @value, else near it or anywhere */
static __u32 about(__u64 *r, __u32 value)
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

static __u32 any_vsid(__u64 *r)
{
	return FIRST_VSID + roll(r, VSIDS);
}

static __u32 any_id(__u64 *r)
{
	return one_in(r, 4) ? roll(r, 32) : s.ids[roll(r, IDS)];
}

static void see_id(__u64 *r, __u32 id)
{
	if (id)
		s.ids[roll(r, IDS)] = id;
}

/* A user address where nothing is, or nothing for us */
static __u64 bad_pointer(__u64 *r)
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

/* Mostly @good; or memory that ends in the middle */
static __u64 any_pointer(__u64 *r, const void *good)
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
 * STEs in every state, but their CDs are those of the setting or nowhere in
 * guest memory: what is neither is memory that leads anywhere, as the guest's own
 * mistake.
 */
static void any_ste(__u64 *r, __u64 ste[8])
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

static struct cmd any_cmd(__u64 *r)
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

/* What is documented */

static bool reason_is_known(__u32 reason)
{
	return reason <= SMMUV3_ACCEL_REASON_NO_ROOM ||
	       (reason >= SMMUV3_ACCEL_REASON_NOT_VFIO &&
		reason <= SMMUV3_ACCEL_REASON_VSID_RANGE) ||
	       (reason >= SMMUV3_ACCEL_REASON_NO_STREAM &&
		reason <= SMMUV3_ACCEL_REASON_GBPA_ABORT) ||
	       (reason >= SMMUV3_ACCEL_REASON_RETRY &&
		reason <= SMMUV3_ACCEL_REASON_NO_POWER) ||
	       (reason >= SMMUV3_ACCEL_REASON_CMD_OPCODE &&
		reason <= SMMUV3_ACCEL_REASON_CMD_UNREADABLE) ||
	       (reason >= SMMUV3_ACCEL_REASON_IDR &&
		reason <= SMMUV3_ACCEL_REASON_CMDQ_INDEX);
}

#define GENERAL	EINVAL, EOPNOTSUPP, EFAULT, ENXIO, ENOENT, EINTR, ENOMEM
#define STREAM	EBUSY, ENODEV

/**
 * struct call - An ioctl
 * @name: its name
 * @nr: its number
 * @size: of its struct
 * @reason: where its out_reason is; 0: it has none
 * @errnos: what it may return besides E2BIG, up to a 0
 */
static const struct call {
	const char *name;
	unsigned int nr;
	__u32 size;
	__u32 reason;
	int errnos[14];
} calls[] = {
#define CALL(_name, _struct, _reason, ...) \
	{ #_name, SMMUV3_ACCEL_##_name, sizeof(struct smmuv3_accel_##_struct), \
	  _reason, { __VA_ARGS__ } }
#define REASON(_struct)	offsetof(struct smmuv3_accel_##_struct, out_reason)
	CALL(GET_INFO, info, 0, GENERAL),
	CALL(CREATE, create, REASON(create), GENERAL, EBADF, EBUSY),
	CALL(SET_IDR, set_idr, REASON(set_idr), GENERAL, EBUSY),
	CALL(SET_MEM_TABLE, mem_table, 0, GENERAL),
	CALL(ATTACH, attach, REASON(attach), GENERAL, EBADF, EEXIST, EBUSY, ENOSPC),
	CALL(DETACH, detach, REASON(detach), GENERAL),
	CALL(GET_PHYS, phys, 0, GENERAL),
	CALL(GET_STREAM, stream, REASON(stream), GENERAL),
	CALL(INSTALL_STE, install_ste, REASON(install_ste), GENERAL, STREAM),
	CALL(INVALIDATE, invalidate, REASON(invalidate), GENERAL),
	CALL(SET_REGS, set_regs, REASON(set_regs), GENERAL, STREAM),
	CALL(RUN_CMDQ, run_cmdq, REASON(run_cmdq), GENERAL, STREAM),
	CALL(RESET, reset, REASON(reset), GENERAL),
	CALL(GET_STATS, stats, 0, GENERAL),
	CALL(CHANGE_PROCESS, change_process, REASON(change_process), GENERAL, EBADF),
};

union arg {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct smmuv3_accel_create create;
	struct smmuv3_accel_set_idr set_idr;
	struct smmuv3_accel_mem_table mem_table;
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_detach detach;
	struct smmuv3_accel_phys phys;
	struct smmuv3_accel_stream stream;
	struct smmuv3_accel_install_ste install_ste;
	struct smmuv3_accel_invalidate invalidate;
	struct smmuv3_accel_set_regs set_regs;
	struct smmuv3_accel_run_cmdq run_cmdq;
	struct smmuv3_accel_stats stats;
	struct smmuv3_accel_change_process change_process;
	__u8 bytes[256];
};

static bool errno_is_documented(const struct call *call, int error)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(call->errnos) && call->errnos[i]; i++)
		if (call->errnos[i] == error)
			return true;
	return error == E2BIG || !error;
}

/* What went wrong is the VMM's own doing where it meddles with the host's objects */
static bool errno_is_meddlers(int error)
{
	return s.meddle && (error == EIO || error == ENODEV || error == EBUSY ||
			    error == ENOSPC || error == EEXIST);
}

static void check_numbers(const struct call *call, const union arg *in,
			  const union arg *out, int error)
{
	switch (call->nr) {
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
		if (out->run_cmdq.feed_num > in->run_cmdq.feed_num ||
		    out->run_cmdq.out_error > SMMUV3_ACCEL_CERROR_ATC_INV_SYNC ||
		    out->run_cmdq.out_flags >= 2 * SMMUV3_ACCEL_RUN_FEED_OVERFLOW ||
		    (error && out->run_cmdq.out_error))
			wrong("RUN_CMDQ: feed_num %u of %u, error %u, flags %#x, errno %d",
			      out->run_cmdq.feed_num, in->run_cmdq.feed_num,
			      out->run_cmdq.out_error, out->run_cmdq.out_flags, error);
		break;
	}
}

/*
 * Make a call whose struct lies at @at, as @in up to the size that it says, and
 * look at what comes out.
 */
static int call_at(const struct call *call, int fd, const union arg *in, union arg *at)
{
	const __u32 poison = 0xa5a5a5a5;
	__u32 reason = 0, i;
	bool readable = in->size >= call->size;
	int error;

	*at = *in;
	for (i = call->size; i < in->size && i < sizeof(*at); i++)
		readable &= !at->bytes[i];
	if (call->reason)
		memcpy(at->bytes + call->reason, &poison, sizeof(poison));
	error = ioctl(fd, call->nr, at) ? errno : 0;
	atomic_fetch_add(&s.calls, 1);
	atomic_fetch_add(&s.good[call - calls], !error);
	if (!errno_is_documented(call, error) && !errno_is_meddlers(error))
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
		if (!s.meddle && (reason == SMMUV3_ACCEL_REASON_HOST_REJECT ||
				  reason == SMMUV3_ACCEL_REASON_FOREIGN_MM))
			wrong("%s: errno %d, reason %u", call->name, error, reason);
	}
	check_numbers(call, in, at, error);
	return error;
}

/* Guest memory, as it should be */

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
		s.cds[i] = guest_alloc(&s.g, 64);
		cd_write(&s.g, s.cds[i], &pt, 1 + i);
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

/* Everything outside of what IOVA leads to is as it was left */
static void check_canaries(void)
{
	const __u32 *word = guest_ptr(&s.g, s.canaries);
	__u64 i;

	for (i = 0; i < s.canaries_len / 4; i++)
		if (word[i] != CANARY)
			wrong("DMA reached %#llx, which no table maps", s.canaries + 4 * i);
}

static void one_dma(__u64 *r)
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

/* Write something into tables and queue while they may be in use. */
static void scribble(__u64 *r)
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

/* Memory tables: whole, in pieces, with holes, the wrong memory, none */
static __u32 any_regions(__u64 *r, struct smmuv3_accel_mem_region region[4])
{
	const __u64 ram = (__u64)(unsigned long)s.g.ram;
	__u64 cut = 4096ULL * roll(r, GUEST_SIZE / 4096 - 1) + 4096;

	region[0] = (struct smmuv3_accel_mem_region){ GUEST_BASE, GUEST_SIZE, ram };
	switch (roll(r, 8)) {
	case 0:
		/* The pieces meet in the ring, or in a command of it */
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

static void any_regs(__u64 *r, struct smmuv3_accel_set_regs *regs)
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
		/* Bypass reaches guest memory at its own addresses only. */
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

/* Ioctls */

struct worker {
	pthread_t thread;
	__u64 random;
	union arg in;
	union arg at;
	struct smmuv3_accel_ste entries[4];
	struct cmd cmds[RING_SIZE];
	struct cmd feed[RING_SIZE];
	struct smmuv3_accel_mem_region regions[4];
};

static __u32 host_idr[6];

/* The struct of a call as it should be, more or less */
static void any_arg(struct worker *w, const struct call *call, union arg *in)
{
	__u64 *r = &w->random;
	__u64 ste[8];
	unsigned int i, j;

	memset(in, 0, sizeof(*in));
	switch (call->nr) {
	case SMMUV3_ACCEL_CREATE:
		in->create.iommufd = about(r, s.iommufd[one_in(r, 8)]);
		in->create.ioas_id = about(r, s.ioas[one_in(r, 8)]);
		in->create.s2_hwpt_id = one_in(r, 4) ? any_id(r) : 0;
		in->flags = roll(r, 8);
		break;
	case SMMUV3_ACCEL_CHANGE_PROCESS:
		in->change_process.iommufd = about(r, s.iommufd[one_in(r, 8)]);
		break;
	case SMMUV3_ACCEL_SET_IDR:
		idr_offer(host_idr, in->set_idr.idr);
		i = roll(r, 6);
		in->set_idr.idr[i] = about(r, in->set_idr.idr[i]);
		break;
	case SMMUV3_ACCEL_SET_MEM_TABLE:
		in->mem_table.region_num = about(r, any_regions(r, w->regions));
		in->mem_table.regions_uptr = any_pointer(r, w->regions);
		break;
	case SMMUV3_ACCEL_ATTACH:
		in->attach.vsid = about(r, any_vsid(r));
		in->attach.vfio_fd = about(r, s.dev[roll(r, DEVICES)].fd);
		if (one_in(r, 4)) {
			in->flags = 1 + roll(r, 2);
			in->attach.vfio_fd = one_in(r, 8) ? 0 : -1;
		}
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
		in->install_ste.entry_num = one_in(r, 16) ? random_next(r) :
						roll(r, ARRAY_LEN(w->entries) + 1);
		in->install_ste.entry_len = about(r, sizeof(w->entries[0]));
		in->install_ste.entries_uptr = any_pointer(r, w->entries);
		if (in->install_ste.entry_num > ARRAY_LEN(w->entries) ||
		    in->install_ste.entry_len != sizeof(w->entries[0]))
			in->install_ste.entries_uptr = (__u64)(unsigned long)s.bad;
		for (i = 0; i < ARRAY_LEN(w->entries); i++) {
			any_ste(r, ste);
			for (j = 0; j < 8; j++)
				w->entries[i].ste[j] = htole64(ste[j]);
			w->entries[i].vsid = about(r, any_vsid(r));
			w->entries[i].__reserved = one_in(r, 64);
		}
		break;
	case SMMUV3_ACCEL_INVALIDATE:
		in->invalidate.cmd_num = one_in(r, 16) ? random_next(r) :
						roll(r, RING_SIZE + 1);
		in->invalidate.cmds_uptr = any_pointer(r, w->cmds);
		for (i = 0; i < RING_SIZE; i++)
			w->cmds[i] = any_cmd(r);
		break;
	case SMMUV3_ACCEL_SET_REGS:
		any_regs(r, &in->set_regs);
		break;
	case SMMUV3_ACCEL_RUN_CMDQ:
		in->run_cmdq.cons = about(r, roll(r, 2 * RING_SIZE));
		in->run_cmdq.prod = about(r, (in->run_cmdq.cons + roll(r, RING_SIZE + 1)) &
					  RING_MASK);
		in->run_cmdq.max_cmds = one_in(r, 2) ? 0 : about(r, 8);
		in->run_cmdq.feed_num = roll(r, RING_SIZE + 1);
		in->run_cmdq.feed_uptr = any_pointer(r, w->feed);
		break;
	}
	in->size = call->size;
	if (one_in(r, 64))
		in->flags = about(r, in->flags);
	if (one_in(r, 64))
		in->size = roll(r, sizeof(*in));
	/* Reserved, out_* or what the kernel does not know */
	if (one_in(r, 64))
		in->bytes[call->size + roll(r, 32)] = 1;
}

static void any_call(struct worker *w)
{
	const struct call *call = &calls[roll(&w->random, ARRAY_LEN(calls))];
	int fd = s.accel[roll(&w->random, FILES)], error;
	unsigned int nr;

	if (one_in(&w->random, 64)) {
		nr = call->nr ^ 1U << roll(&w->random, 32);
		if (one_in(&w->random, 2))
			nr = _IO(SMMUV3_ACCEL_TYPE, ARRAY_LEN(calls) + roll(&w->random, 64));
		/* A flip within the numbers leads to another call, on no memory */
		error = ioctl(fd, nr, s.bad) ? errno : 0;
		if (error != ENOTTY && error != EFAULT)
			wrong("ioctl %#x: errno %d", nr, error);
		return;
	}
	any_arg(w, call, &w->in);
	if (one_in(&w->random, 64)) {
		error = ioctl(fd, call->nr, bad_pointer(&w->random)) ? errno : 0;
		if (error != EFAULT)
			wrong("%s at a bad address: errno %d", call->name, error);
		return;
	}
	if (call_at(call, fd, &w->in, &w->at))
		return;
	if (call->nr == SMMUV3_ACCEL_ATTACH) {
		see_id(&w->random, w->at.attach.out_viommu_id);
		see_id(&w->random, w->at.attach.out_vdevice_id);
		see_id(&w->random, w->at.attach.out_s2_hwpt_id);
	} else if (call->nr == SMMUV3_ACCEL_GET_STREAM) {
		see_id(&w->random, w->at.stream.out_hwpt_id);
	}
}

/* Another file in its place, mostly bound: the number means a vSMMU at any time. */
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
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = s.ioas[0],
		.iova = GUEST_BASE,
		.length = GUEST_SIZE,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = s.ioas[0],
		.user_va = (__u64)(unsigned long)s.g.ram,
		.length = GUEST_SIZE,
		.iova = GUEST_BASE,
	};
	int dev = s.dev[roll(r, DEVICES)].fd, fd;
	__u32 id = any_id(r);

	switch (roll(r, 8)) {
	case 0 ... 2:
		if (id != s.ioas[0])
			iommufd_destroy(s.iommufd[0], id);
		break;
	case 3:
		ioctl(s.iommufd[0], IOMMU_IOAS_UNMAP, &unmap);
		ioctl(s.iommufd[0], IOMMU_IOAS_MAP, &map);
		break;
	case 4:
		attach.pt_id = one_in(r, 2) ? s.ioas[0] : id;
		ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
		break;
	case 5:
		ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
		break;
	case 6:
		ioctl(dev, VFIO_DEVICE_RESET);
		break;
	case 7:
		fd = veventq_open(s.iommufd[0], id, &id);
		if (fd >= 0)
			close(fd);
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
	/* To be there for signals until none is sent any more */
	atomic_fetch_add(&s.ended, 1);
	pthread_barrier_wait(&s.end);
	return NULL;
}

static void nothing(int signal)
{
}

/* All that is shared; the devices' SMMU is asked what it has. */
static int setting_open(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
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
	if (s.iommufd[1] < 0 || ioctl(s.iommufd[1], IOMMU_IOAS_ALLOC, &alloc))
		return -errno;
	s.ioas[1] = alloc.out_ioas_id;
	for (i = 0; i < DEVICES; i++) {
		pthread_mutex_init(&s.dev_lock[i], NULL);
		rc = dma_open(&s.dev[i], s.iommufd[0], DMA_TESTDEV, FIRST_DEVICE + i);
		if (rc)
			return rc;
	}
	rc = accel_attach(&s.g, s.dev[0].fd, FIRST_VSID, &attach);
	if (!rc)
		rc = accel_phys(&s.g, 0, &phys);
	memcpy(host_idr, phys.out_idr, sizeof(host_idr));
	return rc;
}

/* Nothing is held any more when the last file is closed. */
static int setting_close(void)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < DEVICES; i++)
		dma_close(&s.dev[i]);
	check_canaries();
	fprintf(stderr, "# %u calls, %u DMAs; good ones:", s.calls, s.dmas);
	for (i = 0; i < ARRAY_LEN(calls); i++)
		fprintf(stderr, " %s %u", calls[i].name, s.good[i]);
	fprintf(stderr, "\n");
	if (!s.meddle)
		rc = iommufd_destroy(s.iommufd[0], s.ioas[0]);
	if (rc)
		wrong("the IOAS cannot be destroyed: %d", rc);
	close(s.iommufd[0]);
	close(s.iommufd[1]);
	/* In few rounds there may by chance be none */
	return s.failures || (!s.meddle && !s.dmas && s.rounds >= DEFAULT_ROUNDS);
}

static int fuzz_calls(void)
{
	static struct worker workers[THREADS];
	const struct sigaction action = { .sa_handler = nothing };
	const struct timespec wait = { .tv_nsec = 2000000 };
	__u64 random = s.seed + 1;
	int i, rc;

	rc = setting_open();
	if (rc) {
		wrong("set-up: %d", rc);
		return 1;
	}
	sigaction(SIGUSR1, &action, NULL);
	s.accel[0] = s.g.accel;
	for (i = 1; i < FILES; i++)
		s.accel[i] = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	pthread_barrier_init(&s.end, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++) {
		workers[i].random = s.seed * 0x9e3779b97f4a7c15ULL + i + 1;
		pthread_create(&workers[i].thread, NULL, call_load, &workers[i]);
	}
	while (atomic_load(&s.ended) < THREADS) {
		pthread_kill(workers[roll(&random, THREADS)].thread, SIGUSR1);
		nanosleep(&wait, NULL);
	}
	pthread_barrier_wait(&s.end);
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < FILES; i++)
		close(s.accel[i]);
	return setting_close();
}

/* Command queues */

static int run(struct smmuv3_accel_run_cmdq *out, __u32 cons, __u32 prod, __u32 max)
{
	static struct cmd feed[RING_SIZE];

	*out = (struct smmuv3_accel_run_cmdq){
		.size = sizeof(*out),
		.prod = prod,
		.cons = cons,
		.max_cmds = max,
		.feed_num = RING_SIZE,
		.feed_uptr = (__u64)(unsigned long)feed,
	};
	return ioctl(s.g.accel, SMMUV3_ACCEL_RUN_CMDQ, out) ? -errno : 0;
}

static int set_regs(const struct strtab *st)
{
	return accel_set_regs(&s.g, CR0_SMMUEN | CR0_CMDQEN, st->base, st->base_cfg,
			      &s.ring);
}

/*
 * A queue and a table that lie still: run in one go, as a batch, the commands
 * come to the same as one by one.
 */
static void one_go_or_many(__u64 *r)
{
	struct smmuv3_accel_run_cmdq whole, step;
	__u32 cons = roll(r, 2 * RING_SIZE), num = roll(r, RING_SIZE + 1), i;
	__u32 prod = (cons + num) & RING_MASK, flags = 0;
	int whole_rc, rc = 0;

	for (i = 0; i < RING_SIZE; i++)
		*ring_slot(&s.ring, i) = any_cmd(r);
	for (i = 0; i < 8; i++)
		scribble(r);
	whole_rc = run(&whole, cons, prod, 0);
	step.cons = cons;
	for (i = 0; i < num && !rc; i++) {
		rc = run(&step, step.cons, prod, 1);
		flags |= step.out_flags;
		if (step.out_error)
			break;
	}
	if (!num)
		return;
	if (rc != whole_rc || step.cons != whole.cons ||
	    step.out_error != whole.out_error || step.out_reason != whole.out_reason ||
	    flags != whole.out_flags)
		wrong("%#x to %#x: at once %d, %#x, %u, %u, %#x; by steps %d, %#x, %u, %u, %#x",
		      cons, prod, whole_rc, whole.cons, whole.out_error,
		      whole.out_reason, whole.out_flags, rc, step.cons,
		      step.out_error, step.out_reason, flags);
	if (!rc && !whole.out_error && whole.cons != prod)
		wrong("from %#x to %#x: ended at %#x without an error", cons, prod, whole.cons);
	atomic_fetch_add(&s.calls, 1 + i);
	atomic_fetch_add(&s.good[_IOC_NR(SMMUV3_ACCEL_RUN_CMDQ)], !rc);
}

/* The guest's other CPUs, and the VMM's other threads */

static void *scribble_load(void *arg)
{
	__u64 r = *(__u64 *)arg;

	while (!atomic_load(&s.stop))
		scribble(&r);
	return NULL;
}

static void *config_load(void *arg)
{
	const struct call *const set_regs_call = &calls[_IOC_NR(SMMUV3_ACCEL_SET_REGS)];
	const struct call *const table_call = &calls[_IOC_NR(SMMUV3_ACCEL_SET_MEM_TABLE)];
	struct smmuv3_accel_mem_region regions[4];
	struct smmuv3_accel_attach attach;
	union arg in, at;
	__u64 r = *(__u64 *)arg;
	__u32 reason, vsid;

	while (!atomic_load(&s.stop)) {
		memset(&in, 0, sizeof(in));
		switch (roll(&r, 8)) {
		case 0 ... 2:
			in.size = set_regs_call->size;
			any_regs(&r, &in.set_regs);
			call_at(set_regs_call, s.g.accel, &in, &at);
			break;
		case 3 ... 5:
			in.size = table_call->size;
			in.mem_table.region_num = any_regions(&r, regions);
			in.mem_table.regions_uptr = (__u64)(unsigned long)regions;
			call_at(table_call, s.g.accel, &in, &at);
			break;
		case 6:
			vsid = FIRST_VSID + roll(&r, DEVICES);
			accel_detach(&s.g, vsid, &reason);
			accel_attach(&s.g, s.dev[vsid - FIRST_VSID].fd, vsid, &attach);
			break;
		case 7:
			accel_reset(&s.g);
			break;
		}
		one_dma(&r);
	}
	return NULL;
}

static void runs(__u64 *r)
{
	const struct call *const call = &calls[_IOC_NR(SMMUV3_ACCEL_RUN_CMDQ)];
	static struct cmd feed[RING_SIZE];
	union arg in, at;
	__u32 lap, asked, done;
	int error;

	memset(&in, 0, sizeof(in));
	in.size = call->size;
	in.run_cmdq.cons = roll(r, 2 * RING_SIZE);
	in.run_cmdq.prod = roll(r, 8) ? (in.run_cmdq.cons + roll(r, RING_SIZE + 1)) & RING_MASK :
					roll(r, 2 * RING_SIZE);
	in.run_cmdq.max_cmds = roll(r, 2) ? 0 : roll(r, RING_SIZE);
	in.run_cmdq.feed_num = roll(r, RING_SIZE + 1);
	in.run_cmdq.feed_uptr = (__u64)(unsigned long)feed;
	error = call_at(call, s.g.accel, &in, &at);

	lap = (in.run_cmdq.prod - in.run_cmdq.cons) & RING_MASK;
	done = (at.run_cmdq.cons - in.run_cmdq.cons) & RING_MASK;
	asked = in.run_cmdq.max_cmds && in.run_cmdq.max_cmds < lap ? in.run_cmdq.max_cmds : lap;
	if (lap > RING_SIZE ? done || !error : done > asked)
		wrong("RUN_CMDQ: %u of %u done, errno %d", done, asked, error);
	if (!error && !at.run_cmdq.out_error && done != asked)
		wrong("RUN_CMDQ: %u of %u done and no reason", done, asked);
}

/* Whatever was, a guest that sets up its SMMU again has it again */
static int recovers(void)
{
	struct smmuv3_accel_attach attach;
	struct smmuv3_accel_run_cmdq out;
	volatile __u32 *word;
	unsigned int i;
	__u64 ste[8];
	__u32 reason;
	int rc;

	rc = accel_reset(&s.g);
	if (!rc)
		rc = accel_mem_table(&s.g);
	for (i = 0; i < 2; i++)
		*strtab_l1(&s.strtab[1], FIRST_VSID + i * VSIDS) = s.l1[i];
	for (i = 0; i < DEVICES; i++) {
		ste_s1(ste, s.cds[i % CDS]);
		strtab_write(&s.strtab[1], FIRST_VSID + i, ste);
		accel_detach(&s.g, FIRST_VSID + i, &reason);
	}
	s.ring.prod = 0;
	s.ring.cons = 0;
	ring_put(&s.ring, cmd_cfgi_all());
	ring_put(&s.ring, cmd_tlbi_nsnh_all());
	ring_put(&s.ring, cmd_sync());
	if (!rc)
		rc = set_regs(&s.strtab[1]);
	for (i = 0; i < DEVICES && !rc; i++)
		rc = accel_attach(&s.g, s.dev[i].fd, FIRST_VSID + i, &attach);
	if (!rc)
		rc = ring_run(&s.ring, &out);
	if (rc || out.out_error || s.ring.cons != s.ring.prod) {
		wrong("does not recover: %d", rc);
		return -1;
	}
	for (i = 0; i < DEVICES; i++) {
		word = guest_ptr(&s.g, s.pages[i % CDS]);
		*word = 0;
		rc = testdev_write(&s.dev[i], IOVA);
		if (rc || *word != TESTDEV_PATTERN)
			wrong("device %u does not write where it should: %d", i, rc);
	}
	return 0;
}

static int fuzz_rings(void)
{
	__u64 random[3] = { s.seed + 1, s.seed + 2, s.seed + 3 }, i;
	pthread_t scribbler, config;
	struct smmuv3_accel_attach attach;
	int rc;

	rc = setting_open();
	close(s.g.accel);
	if (!rc)
		rc = guest_create_flags(&s.g, SMMUV3_ACCEL_CREATE_FEED);
	if (!rc)
		rc = accel_attach_virtual(&s.g, FIRST_VSID + 2, SMMUV3_ACCEL_ATTACH_BRIDGE,
					  &attach);
	if (!rc)
		rc = accel_attach_virtual(&s.g, FIRST_VSID + 4, SMMUV3_ACCEL_ATTACH_FEED,
					  &attach);
	if (rc) {
		wrong("set-up: %d", rc);
		return 1;
	}
	recovers();
	for (i = 0; i < s.rounds / 4; i++) {
		if (!(i % 32) && set_regs(&s.strtab[roll(random, 2)]))
			wrong("SET_REGS: errno %d", errno);
		one_go_or_many(random);
		one_dma(random);
	}
	pthread_create(&scribbler, NULL, scribble_load, &random[1]);
	pthread_create(&config, NULL, config_load, &random[2]);
	for (i = 0; i < s.rounds; i++)
		runs(random);
	atomic_store(&s.stop, true);
	pthread_join(scribbler, NULL);
	pthread_join(config, NULL);
	recovers();
	close(s.g.accel);
	return setting_close();
}

/* A hostile process, and this one, whose vSMMU is none of that one's business */

FIXTURE(fuzz)
{
	struct neighbour n;
};

FIXTURE_VARIANT(fuzz)
{
	int (*hostile)(void);
	bool meddle;
};

FIXTURE_VARIANT_ADD(fuzz, ioctls) { .hostile = fuzz_calls };
FIXTURE_VARIANT_ADD(fuzz, ioctls_and_meddling) { .hostile = fuzz_calls, .meddle = true };
FIXTURE_VARIANT_ADD(fuzz, rings) { .hostile = fuzz_rings };

FIXTURE_SETUP(fuzz)
{
	char bdf[16];

	if (dma_find(DMA_TESTDEV, FIRST_DEVICE + DEVICES - 1, bdf))
		SKIP(return, "wants %u iommu-testdevs", FIRST_DEVICE + DEVICES);
	s.seed = env_number("SMMUV3_ACCEL_SEED", DEFAULT_SEED);
	s.rounds = env_number("SMMUV3_ACCEL_ROUNDS", DEFAULT_ROUNDS);
	s.meddle = variant->meddle;
}

FIXTURE_TEARDOWN(fuzz)
{
}

TEST_F_TIMEOUT(fuzz, harms_nobody, 3600)
{
	struct neighbour after;
	int status, i;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(variant->hostile());
	ASSERT_EQ(0, neighbour_open(&self->n, 0));
	EXPECT_EQ(0, neighbour_watch(&self->n, pid, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, neighbour_turn(&self->n));
	fprintf(stderr, "# the neighbour had %u turns, its longest doorbell took %llu us\n",
		self->n.turns, self->n.longest / 1000);
	EXPECT_LT(10, self->n.turns);
	neighbour_close(&self->n);

	/* The next one finds its devices as if nothing had been. */
	for (i = 0; i < DEVICES; i++) {
		ASSERT_EQ(0, neighbour_open(&after, FIRST_DEVICE + i));
		EXPECT_EQ(0, neighbour_turn(&after));
		neighbour_close(&after);
	}
}

TEST_HARNESS_MAIN
