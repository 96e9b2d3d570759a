// SPDX-License-Identifier: GPL-2.0
/* Doorbells from the ring of coalesced MMIO */
#include <stdlib.h>
#include <string.h>
#include <linux/kvm.h>

#include "test.h"

#define PROD	(SMMU_BASE + 0x98)

static struct kvm_coalesced_mmio_ring *ring;

static void store(uint64_t addr, unsigned int len, uint64_t value)
{
	struct kvm_coalesced_mmio *at = &ring->coalesced_mmio[ring->last];

	at->phys_addr = addr;
	at->len = len;
	memcpy(at->data, &value, sizeof(at->data));
	ring->last++;
}

/* KVM gathers any store that lies within the zone of 4 bytes. */
static void test_sizes(void **state)
{
	(void)state;
	store(PROD, 4, 0x11);
	poll_drain();
	assert_int_equal(fake.doorbells, 1);
	assert_int_equal(fake.prod, 0x11);

	store(PROD, 1, 0xffffff22);
	store(PROD, 2, 0xffff0022);
	store(PROD + 2, 2, 0x22);
	store(PROD + 3, 1, 0x22);
	poll_drain();
	assert_int_equal(ring->first, ring->last);
	assert_int_equal(fake.doorbells, 1);
	assert_int_equal(poll_count(0), 1);

	/* Among doorbells they change nothing. */
	store(PROD, 4, 0x33);
	store(PROD, 2, 0x44);
	poll_drain();
	assert_int_equal(fake.doorbells, 2);
	assert_int_equal(fake.prod, 0x33);
}

/* While the host carries out commands, another vCPU does not wait to drain the ring. */
static void ring_again(void)
{
	fake.at_kick = NULL;
	store(PROD, 4, 0x66);
	poll_drain();
	poll_if_busy();
	assert_int_equal(fake.prod, 0x66);
}

static void test_no_wait(void **state)
{
	(void)state;
	fake.doorbells = 0;
	fake.kicks = 0;
	fake.at_kick = ring_again;
	store(PROD, 4, 0x55);
	poll_drain();
	assert_null(fake.at_kick);
	assert_int_equal(fake.doorbells, 2);
	assert_int_equal(fake.kicks, 2);
	/* Older stores come before newer ones. */
	assert_int_equal(fake.prod, 0x66);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_wait),
	};

	ring = calloc(1, sysconf(_SC_PAGESIZE));
	fake.ring = ring;
	poll_add(0, PROD);
	/* A test that waits for ever has failed. */
	alarm(300);
	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
