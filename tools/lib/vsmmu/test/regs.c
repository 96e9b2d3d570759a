// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The register map: each offset, size and bit, and when writes are ignored.
 */
#include <stdio.h>

#include "rig.h"

#define ADDR	0xfffffffffffffULL	/* 52 bits */
#define RA	(1ULL << 62)

/**
 * struct expected - A register as the architecture has it
 * @offset: where
 * @size: 4, or 8 if halves are accessible as well
 * @bits: what can be set while nothing is enabled
 * @on: what can be set while SMMUEN, CMDQEN and EVENTQEN are 1
 */
struct expected {
	uint32_t offset;
	unsigned int size;
	uint64_t bits;
	uint64_t on;
};

/*
 * All that can be written, but GBPA and GERRORN; ID registers come by default. The
 * queues have one entry.
 */
static const struct expected table[] = {
	{ 0x00, 4, 0, 0 }, { 0x04, 4, 0, 0 }, { 0x08, 4, 0, 0 },
	{ 0x0c, 4, 0, 0 }, { 0x10, 4, 0, 0 }, { 0x14, 4, 0, 0 },
	{ IIDR, 4, 0, 0 },
	{ AIDR, 4, 0, 0 },
	{ CR0, 4, 0x1d, 0x1d },
	{ CR0ACK, 4, 0, 0 },
	{ CR1, 4, 0xfff, 0 },
	{ CR2, 4, 0x2, 0 },
	{ GBPA, 4, 0, 0 },
	{ IRQ_CTRL, 4, 0x5, 0x5 },
	{ IRQ_CTRLACK, 4, 0, 0 },
	{ GERROR, 4, 0, 0 },
	{ GERRORN, 4, 0, 0 },
	{ 0x68, 8, 0, 0 },		/* GERROR_IRQ_CFG0 */
	{ STRTAB_BASE, 8, RA | (ADDR & ~0x3fULL), 0 },
	{ STRTAB_BASE_CFG, 4, 0x307ff, 0 },
	{ CMDQ_BASE, 8, RA | ADDR, 0 },
	{ CMDQ_PROD, 4, 0xfffff, 0xfffff },
	{ CMDQ_CONS, 4, 0x1, 0 },
	{ EVENTQ_BASE, 8, RA | ADDR, 0 },
	{ 0xb0, 8, 0, 0 },		/* EVENTQ_IRQ_CFG0 */
	{ EVENTQ_PROD, 4, 0x80000001, 0 },
	{ EVENTQ_CONS, 4, 0x800fffff, 0x800fffff },
};

static const struct expected *expected_at(uint64_t offset)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (offset >= table[i].offset &&
		    offset < table[i].offset + table[i].size)
			return &table[i];
	return NULL;
}

static bool access_exists(uint64_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && offset % size == 0 &&
	       offset < VSMMU_REGS_SIZE;
}

static void copy_pages(struct rig *rig, char *to)
{
	memcpy(to, vsmmu_page(rig->v, 0), VSMMU_PAGE_SIZE);
	memcpy(to + VSMMU_PAGE_SIZE, vsmmu_page(rig->v, 1), VSMMU_PAGE_SIZE);
}

static char before[VSMMU_REGS_SIZE], after[VSMMU_REGS_SIZE];

/* Reads of each size at each byte give what is published there, or 0 and -EINVAL */
static void test_read_all(void **state)
{
	static const unsigned int sizes[] = { 0, 1, 2, 3, 4, 5, 7, 8, 16, 64 };
	struct rig *rig = *state;
	uint64_t offset, value, want;
	size_t i;
	int rc;

	copy_pages(rig, before);
	for (offset = 0; offset < VSMMU_REGS_SIZE; offset++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			value = ~0ULL;
			want = 0;
			rc = vsmmu_read(rig->v, offset, &value, sizes[i]);
			if (access_exists(offset, sizes[i]))
				memcpy(&want, before + offset, sizes[i]);
			if (rc != (access_exists(offset, sizes[i]) ? 0 : -EINVAL) ||
			    value != want)
				fail_msg("read of %u at %#llx: %d, %#llx",
					 sizes[i], (unsigned long long)offset, rc,
					 (unsigned long long)value);
		}
	}
	for (offset = VSMMU_REGS_SIZE; offset; offset <<= 1) {
		assert_int_equal(vsmmu_read(rig->v, offset, &value, 4), -EINVAL);
		assert_refused(rig->v, put(rig, offset, 1), -EINVAL,
			       VSMMU_REASON_ACCESS);
		assert_int_equal(put64(rig, offset, 1), -EINVAL);
	}
	assert_refused(rig->v, vsmmu_read(rig->v, 2, &value, 4), -EINVAL,
		       VSMMU_REASON_ACCESS);
	assert_int_equal(put64(rig, ~0ULL - 3, 1), -EINVAL);
	assert_int_equal(put(rig, ~0ULL - 3, 1), -EINVAL);
}

static uint64_t load(const char *pages, const struct expected *e)
{
	uint64_t value = 0;

	memcpy(&value, pages + e->offset, e->size);
	return value;
}

static void expect(char *pages, uint32_t offset, uint32_t value)
{
	memcpy(pages + offset, &value, sizeof(value));
}

static void expect_pair(char *pages, uint32_t offset, uint32_t low, uint32_t high)
{
	expect(pages, offset, low);
	expect(pages, offset + 4, high);
}

/* What a write of ones to the word at @offset does to the pages in before[] */
static void expect_ones(uint64_t offset, bool on)
{
	const struct expected *e = expected_at(offset);
	uint64_t bits, value;

	if (!e)
		return;
	bits = on ? e->on : e->bits;
	bits &= 0xffffffffULL << (offset - e->offset) * 8;
	value = load(before, e) | bits;
	memcpy(before + e->offset, &value, e->size);
	if (offset == CR0)
		expect(before, CR0ACK, value);
	else if (offset == IRQ_CTRL)
		expect(before, IRQ_CTRLACK, value);
	else if (offset == GBPA)
		expect(before, GBPA, ABORT);
	else if (offset == GERRORN)
		expect_pair(before, GERROR, 0x5, 0x5);
	else if (offset == CMDQ_PROD && on)
		expect(before, CMDQ_CONS, 1);	/* of a queue of one */
}

/* Write ones; all that changes is that register's bits, and what follows it. */
static void write_ones(struct rig *rig, uint64_t offset, unsigned int size, bool on)
{
	unsigned int i;
	int rc;

	copy_pages(rig, before);
	rc = vsmmu_write(rig->v, offset, ~0ULL, size);
	copy_pages(rig, after);
	if (rc != (access_exists(offset, size) ? 0 : -EINVAL))
		fail_msg("write of %u at %#llx: %d", size,
			 (unsigned long long)offset, rc);
	for (i = 0; !rc && i < size; i += 4)
		expect_ones(offset + i, on);
	if (memcmp(before, after, sizeof(before)))
		fail_msg("write of %u at %#llx has another effect", size,
			 (unsigned long long)offset);
}

/* Back to how a test starts, without what write_ones() set */
static void all_off(struct rig *rig)
{
	assert_int_equal(vsmmu_reset(rig->v), 0);
}

static void all_on(struct rig *rig)
{
	all_off(rig);
	assert_put(rig, CR0, SMMUEN | EVENTQEN | CMDQEN);
}

static void test_write_all(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8, 16 };
	struct rig *rig = *state;
	uint64_t offset;
	size_t i;

	for (offset = 0; offset < VSMMU_REGS_SIZE; offset += 4) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			bool known = expected_at(offset) ||
				     (sizes[i] == 8 && expected_at(offset + 4));

			if (known)
				all_off(rig);
			write_ones(rig, offset, sizes[i], false);
			if (!known)
				continue;
			all_on(rig);
			write_ones(rig, offset, sizes[i], true);
		}
	}
}

/* Bit by bit, in 64 bits and in halves */
static void test_write_bits(void **state)
{
	struct rig *rig = *state;
	unsigned int bit;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		const struct expected *e = &table[i];

		for (bit = 0; e->bits && bit < e->size * 8; bit++) {
			uint64_t one = 1ULL << bit;

			all_off(rig);
			assert_int_equal(vsmmu_write(rig->v, e->offset, one,
						     e->size), 0);
			copy_pages(rig, after);
			assert_int_equal(load(after, e), one & e->bits);
			if (e->size == 4)
				continue;
			assert_put(rig, e->offset, 0);
			assert_put(rig, e->offset + 4, 0);
			assert_int_equal(get64(rig, e->offset), 0);
			assert_put(rig, e->offset + bit / 32 * 4, one >> bit / 32 * 32);
			assert_int_equal(get64(rig, e->offset), one & e->bits);
		}
	}
}

/* 64 bits over two registers: both, on both pages; stores act as two, the lower first */
static void test_pairs(void **state)
{
	const uint64_t event[4] = { 0x10 };
	struct rig *rig = *state;

	assert_int_equal(get64(rig, IDR0), get(rig, IDR0) |
					   (uint64_t)get(rig, IDR1) << 32);
	enable_eventq(rig, RAM_BASE + 0x1000, 4);
	assert_int_equal(vsmmu_inject_event(rig->v, event), 0);
	assert_int_equal(put64(rig, EVENTQ_PROD, 0x100000007ULL), 0);
	assert_int_equal(get64(rig, EVENTQ_PROD), 0x100000001ULL);

	/* PROD and CONS of a disabled queue; then PROD is a doorbell, and CONS is ignored. */
	assert_int_equal(put64(rig, CMDQ_BASE, RAM_BASE | 4), 0);
	assert_int_equal(put64(rig, CMDQ_PROD, 0x300000003ULL), 0);
	assert_int_equal(get64(rig, CMDQ_PROD), 0x300000003ULL);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ), 0);
	assert_put(rig, CR0, CMDQEN);
	assert_int_equal(put64(rig, CMDQ_PROD, 0x900000005ULL), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_RUN_CMDQ), 1);
	assert_int_equal(get64(rig, CMDQ_PROD), 0x500000005ULL);

	/* The lower one first: CR1 is not guarded yet. The higher one alone: a reserved word. */
	assert_put(rig, CR0, 0);
	assert_int_equal(put64(rig, CR1, 0x200000fffULL), 0);
	assert_int_equal(get64(rig, CR1), 0x200000fffULL);
	assert_int_equal(put64(rig, GBPA - 4, (uint64_t)(UPDATE | ABORT) << 32), 0);
	assert_int_equal(get64(rig, GBPA - 4), (uint64_t)ABORT << 32);

	/* The second store does the work that the first one could not do, or fails. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(put64(rig, CR0, CMDQEN), 0);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 1);
	assert_int_equal(put64(rig, GBPA - 4, (uint64_t)UPDATE << 32), -EAGAIN);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, GBPA), 0);

	/* No pair across the pages' end, none that is not aligned */
	assert_int_equal(put64(rig, VSMMU_REGS_SIZE - 8, 1), 0);
	assert_refused(rig->v, put64(rig, CR0ACK, 1), -EINVAL, VSMMU_REASON_ACCESS);
	assert_refused(rig->v, put64(rig, VSMMU_REGS_SIZE - 4, 1), -EINVAL,
		       VSMMU_REASON_ACCESS);
}

static void test_reset_values(void **state)
{
	struct rig *rig = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].offset >= CR0 && table[i].size == 4)
			assert_int_equal(get(rig, table[i].offset), 0);
		else if (table[i].offset >= CR0)
			assert_int_equal(get64(rig, table[i].offset), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(get(rig, i * 4), rig->fake.idr.idr[i]);
	assert_int_equal(get(rig, IIDR), 0);
	assert_int_equal(get(rig, AIDR), 1);
}

/* Above the wrap bit the index that the SMMU moves reads 0, at each queue size. */
static void test_index_bits(void **state)
{
	static const struct {
		uint32_t base;
		uint32_t index;
		uint32_t flag;
	} queues[] = {
		{ CMDQ_BASE, CMDQ_CONS, 0 },
		{ EVENTQ_BASE, EVENTQ_PROD, OVFLG },
	};
	const struct vsmmu_options options = { .cmdq_bits = 17, .eventq_bits = 17 };
	struct rig *rig = *state;
	uint32_t log2size, mask;
	size_t i;

	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	for (i = 0; i < ARRAY_LEN(queues); i++) {
		for (log2size = 0; log2size < 32; log2size++) {
			mask = (2U << (log2size < 17 ? log2size : 17)) - 1;
			assert_int_equal(put64(rig, queues[i].base, log2size), 0);
			assert_put(rig, queues[i].index, ~0U);
			assert_int_equal(get(rig, queues[i].index),
					 mask | queues[i].flag);
			/* A smaller queue truncates it. */
			assert_int_equal(put64(rig, queues[i].base, 1), 0);
			assert_int_equal(get(rig, queues[i].index),
					 (mask & 3) | queues[i].flag);
			assert_int_equal(put64(rig, queues[i].base, log2size), 0);
			assert_int_equal(get(rig, queues[i].index),
					 (mask & 3) | queues[i].flag);
		}
	}
	/* Those that the guest moves keep what it wrote, which has no other effect. */
	assert_put(rig, CMDQ_PROD, ~0U);
	assert_int_equal(get(rig, CMDQ_PROD), 0xfffff);
	assert_put(rig, EVENTQ_CONS, ~0U);
	assert_int_equal(get(rig, EVENTQ_CONS), OVFLG | 0xfffff);
}

/* GERRORN reads as it was last written, and activates no error. */
static void test_gerrorn(void **state)
{
	struct rig *rig = *state;
	uint32_t value;

	for (value = 0; value < 8; value++) {
		assert_put(rig, GERRORN, ~0U << 8 | value);
		assert_int_equal(get(rig, GERRORN), value & 0x5);
		assert_int_equal(get(rig, GERROR), value & 0x5);
		assert_int_equal(get(rig, CMDQ_CONS), 0);
	}
}

/* Without a feature, its bits are RES0. */
static void test_bits_by_idr(void **state)
{
	const struct vsmmu_options options = {
		.flags = VSMMU_OPT_LINEAR | VSMMU_OPT_NO_RIL,
		.oas = 40,
		.iidr = 0x12345678,
	};
	struct rig *rig = *state;

	assert_int_equal(vsmmu_start(rig->v, &options), 0);
	assert_put(rig, STRTAB_BASE_CFG, ~0U);
	assert_int_equal(get(rig, STRTAB_BASE_CFG), 0x3f);
	assert_int_equal(put64(rig, STRTAB_BASE, ~0ULL), 0);
	assert_int_equal(get64(rig, STRTAB_BASE), RA | 0xffffffffc0ULL);
	assert_int_equal(put64(rig, CMDQ_BASE, ~0ULL), 0);
	assert_int_equal(get64(rig, CMDQ_BASE), RA | 0xffffffffffULL);
	assert_int_equal(put64(rig, EVENTQ_BASE, ~0ULL), 0);
	assert_int_equal(get64(rig, EVENTQ_BASE), RA | 0xffffffffffULL);
	assert_put(rig, CR0, ATSCHK);
	assert_int_equal(get(rig, CR0), 0);
	assert_int_equal(get(rig, IIDR), 0x12345678);
	assert_int_equal(get(rig, AIDR), 1);
}

/*
 * Make the next two calls that need SET_REGS fail, so that a change of an enable bit
 * stays pending. CMDQEN is in force after most failures, but not after signals.
 */
static void keep_pending(struct rig *rig, uint32_t enable)
{
	if (enable == CMDQEN)
		fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EINTR, 0, 200);
	else
		fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
			  SMMUV3_ACCEL_REASON_RETRY, 2);
}

/* Each guard alone, while the change is under way in either direction as well */
static void test_guards(void **state)
{
	static const struct {
		uint32_t offset;
		uint32_t guard;
		uint32_t value;
	} guards[] = {
		{ CR2, SMMUEN, 0x2 },
		{ STRTAB_BASE, SMMUEN, 0x1000 },
		{ STRTAB_BASE_CFG, SMMUEN, 0x7 },
		{ CMDQ_BASE, CMDQEN, 0x1000 },
		{ CMDQ_CONS, CMDQEN, 0x0 },
		{ EVENTQ_BASE, EVENTQEN, 0x1000 },
		{ EVENTQ_PROD, EVENTQEN, 0x1 },
	};
	static const uint32_t enables[] = { SMMUEN, CMDQEN, EVENTQEN };
	struct rig *rig = *state;
	size_t i, j;

	for (i = 0; i < ARRAY_LEN(guards); i++) {
		uint32_t value = guards[i].value, old = get(rig, guards[i].offset);

		if (value == old)
			continue;
		for (j = 0; j < ARRAY_LEN(enables); j++) {
			bool guarded = guards[i].guard == enables[j];

			all_off(rig);
			assert_put(rig, CR0, enables[j]);
			assert_put(rig, guards[i].offset, value);
			assert_int_equal(get(rig, guards[i].offset),
					 guarded ? old : value);
		}
		if (guards[i].guard == EVENTQEN)
			continue;

		/* On its way up: CR0 is ahead of CR0ACK */
		all_off(rig);
		keep_pending(rig, guards[i].guard);
		assert_int_equal(put(rig, CR0, guards[i].guard), -EAGAIN);
		assert_int_equal(get(rig, CR0ACK), 0);
		assert_int_equal(put(rig, guards[i].offset, value), -EAGAIN);
		assert_int_equal(get(rig, guards[i].offset), old);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_int_equal(get(rig, CR0ACK), guards[i].guard);

		/* And down */
		keep_pending(rig, guards[i].guard);
		assert_int_equal(put(rig, CR0, 0), -EAGAIN);
		assert_int_equal(get(rig, CR0ACK), guards[i].guard);
		assert_int_equal(put(rig, guards[i].offset, value), -EAGAIN);
		assert_int_equal(get(rig, guards[i].offset), old);
		assert_int_equal(vsmmu_kick(rig->v), 0);
		assert_put(rig, guards[i].offset, value);
		assert_int_equal(get(rig, guards[i].offset), value);
	}
}

static void test_guards_cr1(void **state)
{
	struct rig *rig = *state;

	assert_put(rig, CR0, SMMUEN);
	assert_put(rig, CR1, ~0U);
	assert_int_equal(get(rig, CR1), 0x3f);
	all_off(rig);
	assert_put(rig, CR0, EVENTQEN);
	assert_put(rig, CR1, ~0U);
	assert_int_equal(get(rig, CR1), 0xfc0);
	all_off(rig);
	assert_put(rig, CR0, CMDQEN);
	assert_put(rig, CR1, ~0U);
	assert_int_equal(get(rig, CR1), 0xfc0);
	all_off(rig);
	assert_put(rig, CR1, ~0U);
	assert_put(rig, CR0, SMMUEN | CMDQEN);
	assert_put(rig, CR1, 0);
	assert_int_equal(get(rig, CR1), 0xfff);
}

/* CR0: the library calls SET_REGS, with all fields, if the kernel has a part in it. */
static void test_cr0(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put64(rig, STRTAB_BASE, 0x123456780ULL & ~0x3fULL), 0);
	assert_put(rig, STRTAB_BASE_CFG, 0x10208);
	assert_int_equal(put64(rig, CMDQ_BASE, RA | RAM_BASE | 5), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 0);

	assert_put(rig, CR0, CMDQEN);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(rig->fake.regs.cr0, CMDQEN);
	assert_int_equal(rig->fake.regs.gbpa, 0);
	assert_int_equal(rig->fake.regs.cmdq_base, RA | RAM_BASE | 5);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);

	assert_put(rig, CR0, CMDQEN | EVENTQEN | ATSCHK);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 0);
	assert_int_equal(get(rig, CR0ACK), CMDQEN | EVENTQEN | ATSCHK);

	assert_put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(rig->fake.regs.cr0, CMDQEN | EVENTQEN | SMMUEN);
	assert_int_equal(rig->fake.regs.strtab_base, 0x123456780ULL & ~0x3fULL);
	assert_int_equal(rig->fake.regs.strtab_base_cfg, 0x10208);
	assert_int_equal(get(rig, CR0ACK), CMDQEN | EVENTQEN | SMMUEN);

	/* Writing the same value calls nothing. */
	assert_put(rig, CR0, CMDQEN | EVENTQEN | SMMUEN);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 0);
	assert_put(rig, CR0, 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(get(rig, CR0ACK), 0);
}

static void test_cr0_refused(void **state)
{
	struct vsmmu_error error;
	struct rig *rig = *state;
	char text[256], want[256];

	/* The host fails: CR0 has the new value, CR0ACK the old one, for each field. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENOMEM,
		  SMMUV3_ACCEL_REASON_RETRY, 3);
	assert_int_equal(put(rig, CR0, SMMUEN | EVENTQEN), -EAGAIN);
	assert_int_equal(get(rig, CR0), SMMUEN | EVENTQEN);
	assert_int_equal(get(rig, CR0ACK), EVENTQEN);
	/* Another write tries again, and so does vsmmu_kick(). */
	assert_int_equal(put(rig, EVENTQ_CONS, 0), -EAGAIN);
	assert_int_equal(vsmmu_kick(rig->v), -EAGAIN);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 3);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.error, -ENOMEM);
	assert_int_equal(error.reason, SMMUV3_ACCEL_REASON_RETRY);
	assert_int_equal(error.request, SMMUV3_ACCEL_SET_REGS);
	vsmmu_strerror(&error, text, sizeof(text));
	snprintf(want, sizeof(want), "SET_REGS: %s (Cannot allocate memory)",
		 vsmmu_reason_string(SMMUV3_ACCEL_REASON_RETRY));
	assert_string_equal(text, want);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CR0ACK), SMMUEN | EVENTQEN);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);

	/* The host fails with EIO. If the guest takes it back, the library calls SET_REGS. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EIO,
		  SMMUV3_ACCEL_REASON_HOST_REJECT, 1);
	assert_int_equal(put(rig, CR0, EVENTQEN), -EIO);
	assert_int_equal(get(rig, CR0ACK), SMMUEN | EVENTQEN);
	assert_put(rig, CR0, SMMUEN | EVENTQEN);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 2);
	assert_int_equal(rig->fake.regs.cr0, SMMUEN | EVENTQEN);
	assert_int_equal(get(rig, CR0ACK), SMMUEN | EVENTQEN);
}

/*
 * The kernel has what it failed to give to a stream, so a guest that takes it back
 * waits until that is undone, and cannot change what may be in use.
 */
static void test_cr0_taken_back(void **state)
{
	struct vsmmu_error error;
	struct rig *rig = *state;

	rig->fake.fail_vsid = 0x42;
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
		  SMMUV3_ACCEL_REASON_RETRY, 4);
	assert_int_equal(put(rig, CR0, SMMUEN), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), 0);
	vsmmu_last_error(rig->v, &error);
	assert_int_equal(error.vsid, 0x42);
	/* Writing the same value again does not acknowledge it. */
	assert_int_equal(put(rig, CR0, SMMUEN), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), 0);

	assert_int_equal(put(rig, CR0, 0), -EAGAIN);
	assert_int_equal(get(rig, CR0), 0);
	assert_int_equal(get(rig, CR0ACK), SMMUEN);
	assert_int_equal(put64(rig, STRTAB_BASE, RAM_BASE), -EAGAIN);
	assert_int_equal(get64(rig, STRTAB_BASE), 0);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(rig->fake.regs.cr0, 0);
	assert_int_equal(get(rig, CR0ACK), 0);
	assert_int_equal(put64(rig, STRTAB_BASE, RAM_BASE), 0);
	assert_int_equal(get64(rig, STRTAB_BASE), RAM_BASE);

	/* CMDQEN does not wait for the streams, in either direction. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -ENODEV,
		  SMMUV3_ACCEL_REASON_NO_POWER, 4);
	assert_int_equal(put(rig, CR0, SMMUEN | CMDQEN), -EIO);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	assert_int_equal(put(rig, CR0, CMDQEN), -EIO);
	assert_int_equal(get(rig, CR0ACK), SMMUEN | CMDQEN);
	assert_int_equal(put(rig, CR0, 0), -EIO);
	assert_int_equal(get(rig, CR0ACK), SMMUEN);
	assert_int_equal(put(rig, CR0, CMDQEN), -EIO);
	assert_int_equal(get(rig, CR0ACK), SMMUEN | CMDQEN);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);

	/* A change that the kernel never took needs not be undone. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EINTR, 0, 100);
	assert_int_equal(put(rig, CR0, SMMUEN | CMDQEN), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EINTR, 0, 100);
	assert_int_equal(put(rig, CR0, CMDQEN), -EAGAIN);
	assert_int_equal(get(rig, CR0ACK), CMDQEN);
	assert_int_equal(vsmmu_kick(rig->v), 0);

	/* One that it may have taken is not shown, and has to be undone. */
	assert_put(rig, CR0, 0);
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EIO, 0, 2);
	assert_int_equal(put(rig, CR0, SMMUEN | CMDQEN), -EIO);
	assert_int_equal(get(rig, CR0ACK), 0);
	assert_int_equal(put(rig, CR0, 0), -EIO);
	assert_int_equal(get(rig, CR0ACK), SMMUEN | CMDQEN);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, CR0ACK), 0);
}

static void test_gbpa(void **state)
{
	struct rig *rig = *state;

	/* Without UPDATE */
	assert_put(rig, GBPA, ABORT);
	assert_int_equal(get(rig, GBPA), 0);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 0);

	assert_put(rig, GBPA, UPDATE | ABORT | 0x3f1f);
	assert_int_equal(get(rig, GBPA), ABORT);
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_SET_REGS), 1);
	assert_int_equal(rig->fake.regs.gbpa, ABORT);

	/* While an update is going on, UPDATE reads 1, and another is ignored. */
	fake_fail(&rig->fake, SMMUV3_ACCEL_SET_REGS, -EBUSY,
		  SMMUV3_ACCEL_REASON_RETRY, 2);
	assert_int_equal(put(rig, GBPA, UPDATE), -EAGAIN);
	assert_int_equal(get(rig, GBPA), UPDATE);
	assert_int_equal(put(rig, GBPA, UPDATE | ABORT), -EAGAIN);
	assert_int_equal(get(rig, GBPA), UPDATE);
	assert_int_equal(vsmmu_kick(rig->v), 0);
	assert_int_equal(get(rig, GBPA), 0);
	assert_int_equal(rig->fake.regs.gbpa, 0);
}

/* Lines are cleaned after they have changed, each one that did. */
static void test_clean(void **state)
{
	struct rig *rig = *state;
	unsigned int before_irq = rig->fake.cleaned;

	assert_put(rig, CMDQ_PROD, 3);
	assert_int_equal(rig->fake.cleaned, before_irq + 1);
	assert_put(rig, IRQ_CTRL, 1);
	assert_int_equal(rig->fake.cleaned, before_irq + 3);
	assert_put(rig, 0x1000, 1);
	assert_int_equal(rig->fake.cleaned, before_irq + 3);
}

static void test_not_cleaned(void **state)
{
	struct rig *rig = *state;

	assert_put(rig, CMDQ_PROD, 3);
	assert_int_equal(rig->fake.cleaned, 0);
}

static void test_page(void **state)
{
	struct rig *rig = *state;
	char *page = vsmmu_page(rig->v, 0);

	assert_int_equal((uintptr_t)page % VSMMU_PAGE_SIZE, 0);
	assert_ptr_equal(vsmmu_page(rig->v, 1), page + VSMMU_PAGE_SIZE);
	assert_null(vsmmu_page(rig->v, 2));
}

static void test_not_started(void **state)
{
	struct vsmmu_state saved;
	struct rig *rig = *state;

	assert_int_equal(get(rig, IDR0), 0);
#define NOT_STARTED(_call) \
	assert_refused(rig->v, _call, -ENXIO, VSMMU_REASON_NOT_STARTED)
	NOT_STARTED(put(rig, CR0, SMMUEN));
	assert_int_equal(get(rig, CR0), 0);
	NOT_STARTED(vsmmu_doorbell(rig->v, 1));
	NOT_STARTED(vsmmu_set_prod(rig->v, 1));
	NOT_STARTED(vsmmu_kick(rig->v));
	NOT_STARTED(vsmmu_reset(rig->v));
	NOT_STARTED(vsmmu_save(rig->v, &saved));
	NOT_STARTED(vsmmu_restore(rig->v, &saved));
	NOT_STARTED(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL));
	assert_int_equal(fake_calls(&rig->fake, SMMUV3_ACCEL_ATTACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, setup) \
	cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		TEST(test_read_all, rig_setup),
		TEST(test_write_all, rig_setup),
		TEST(test_write_bits, rig_setup),
		TEST(test_pairs, rig_setup),
		TEST(test_reset_values, rig_setup),
		TEST(test_index_bits, rig_setup_off),
		TEST(test_gerrorn, rig_setup),
		TEST(test_bits_by_idr, rig_setup_off),
		TEST(test_guards, rig_setup),
		TEST(test_guards_cr1, rig_setup),
		TEST(test_cr0, rig_setup),
		TEST(test_cr0_refused, rig_setup),
		TEST(test_cr0_taken_back, rig_setup),
		TEST(test_gbpa, rig_setup),
		TEST(test_clean, rig_setup_clean),
		TEST(test_not_cleaned, rig_setup),
		TEST(test_page, rig_setup),
		TEST(test_not_started, rig_setup_off),
	};

	return cmocka_run_group_tests_name("regs", tests, NULL, NULL);
}
