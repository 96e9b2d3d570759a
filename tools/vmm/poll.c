// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells without exits, as long as there are many and that pays. KVM gathers
 * the stores to a CMDQ_PROD in the VM's ring, and a thread polls that ring.
 * Polling costs a host CPU, and switching takes some milliseconds: pace.c says
 * when to start, and when to end although doorbells come. It ends after a pause,
 * too.
 *
 * A store goes to the ring or exits; a store to a vSMMU that exits is newer than
 * all its stores in the ring. So it drains the ring first. A lock admits one
 * consumer at a time, and keeps the order of stores. Nobody holds it while the host
 * carries out commands. KVM also gathers smaller stores within the zone: they are
 * no doorbells. Larger stores, over the edge of the zone, exit.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "vmm.h"

#define SPINS		128

static struct {
	uint64_t zone;			/* guest physical address, 0: not polled */
	uint64_t count;
} polled[SMMU_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* held by the consumer */
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static struct kvm_coalesced_mmio_ring *ring;	/* NULL: there is no thread */
static uint32_t ring_size;
static struct pace pace;
static bool wanted, stop;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static bool ring_empty(void)
{
	return __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE) ==
	       __atomic_load_n(&ring->first, __ATOMIC_RELAXED);
}

/* Return: the vSMMU whose doorbell the store is, or SMMU_MAX */
static unsigned int rung_by(const struct kvm_coalesced_mmio *store)
{
	unsigned int n;

	for (n = 0; n < SMMU_MAX; n++)
		if (polled[n].zone && store->phys_addr == polled[n].zone &&
		    store->len == sizeof(uint32_t))
			break;
	return n;
}

/*
 * Take the stores out of the ring, and set each CMDQ_PROD. Call this with the lock.
 *
 * Return: the vSMMUs that were rung, a bit each
 */
static unsigned int take_stores(void)
{
	uint32_t first = ring->first, prod[SMMU_MAX];
	unsigned int rung = 0, n;

	while (!ring_empty()) {
		const struct kvm_coalesced_mmio *store = &ring->coalesced_mmio[first];

		n = rung_by(store);
		if (n < SMMU_MAX) {
			memcpy(&prod[n], store->data, sizeof(prod[n]));
			rung |= 1U << n;
			polled[n].count++;
		}
		first = (first + 1) % ring_size;
		__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	}
	/* Of several doorbells of a vSMMU only the last matters. */
	for (n = 0; n < SMMU_MAX; n++)
		if (rung & 1U << n)
			smmu_set_prod(n, prod[n]);
	return rung;
}

/* Run the queues of these vSMMUs, without the lock. */
static void run_queues(unsigned int rung)
{
	unsigned int n;

	for (n = 0; n < SMMU_MAX; n++)
		if (rung & 1U << n)
			smmu_kick(n);
}

/* Handle gathered doorbells. A store to a vSMMU that exits calls this first. */
void poll_drain(void)
{
	unsigned int rung;

	if (!ring)
		return;
	pthread_mutex_lock(&lock);
	rung = take_stores();
	pthread_mutex_unlock(&lock);
	run_queues(rung);
}

/* Start to poll if that may pay. Called after each doorbell that exited. */
void poll_if_busy(void)
{
	pthread_mutex_lock(&lock);
	if (!wanted && pace_doorbell(&pace, now())) {
		wanted = true;
		pthread_cond_signal(&change);
	}
	pthread_mutex_unlock(&lock);
}

/* Return: the time in ns to give to poll_exit_cost(), 0: nothing is polled */
uint64_t poll_entry(void)
{
	return ring ? now() : 0;
}

/* A vCPU has made an exit. @entry: from poll_entry(), before it entered the guest */
void poll_exit_cost(uint64_t entry)
{
	if (entry)
		pace_exit_cost(&pace, now() - entry);
}

static void set_zones(bool on)
{
	unsigned int n;

	for (n = 0; n < SMMU_MAX; n++)
		if (polled[n].zone && vm_coalesce(polled[n].zone, sizeof(uint32_t), on))
			note("vSMMU %u: doorbells cannot be polled: %s", n, strerror(errno));
}

/*
 * The coarse clock is memory that the kernel's tick writes. Reading the counter
 * each time would cost more, and on an emulated host disturb the emulation of
 * its devices.
 */
static uint64_t tick(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Let the CPU's other threads go first. */
static void relax(void)
{
#ifdef __aarch64__
	asm volatile("yield" : : : "memory");
#endif
}

static uint64_t tick_length(void)
{
	struct timespec ts;

	clock_getres(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_nsec;
}

/*
 * Poll as long as that pays. A thread that spins sees each tick. If it has missed some,
 * others had its CPU: then doorbells are likely to be in the ring by now. Take the time
 * before draining the ring, because the time in which the host carries out commands does
 * not count. But drain it before polling ends: to remove the zones takes long on a host
 * that is busy.
 */
static void poll_while_it_pays(void)
{
	uint64_t looked = tick(), length = tick_length(), time;
	unsigned int spins = 0;
	bool rung, missed;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		rung = !ring_empty();
		if (!rung) {
			relax();
			if (++spins % SPINS)
				continue;
		}
		time = tick();
		missed = time - looked > 2 * length;
		if (rung) {
			poll_drain();
			pace_doorbell(&pace, now());
			looked = tick();
		}
		if (missed) {
			pace_lost_cpu(&pace, now());
			return;
		}
		if (!rung && time != looked) {
			if (pace_is_over(&pace, now()))
				return;
			looked = time;
			sched_yield();
		}
	}
}

static void *polling_thread(void *arg)
{
	unsigned int rung;

	pthread_mutex_lock(&lock);
	while (!stop) {
		if (!wanted) {
			pthread_cond_wait(&change, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		set_zones(true);
		poll_while_it_pays();
		set_zones(false);
		pthread_mutex_lock(&lock);
		/* Stores that KVM gathered before the zones were removed */
		rung = take_stores();
		wanted = false;
		pthread_mutex_unlock(&lock);
		run_queues(rung);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

/**
 * poll_add - Poll a vSMMU's doorbell
 * @n: its number
 * @zone: guest physical address of its CMDQ_PROD
 *
 * Called before the VM runs.
 */
void poll_add(unsigned int n, uint64_t zone)
{
	polled[n].zone = zone;
	if (ring)
		return;
	ring = vm_coalesced_ring();
	ring_size = (sysconf(_SC_PAGESIZE) - sizeof(*ring)) /
		    sizeof(struct kvm_coalesced_mmio);
	wanted = false;
	stop = false;
	pace = (struct pace){};
	if (!ring || pthread_create(&thread, NULL, polling_thread, NULL))
		die("doorbells cannot be polled on this host");
	pthread_setname_np(thread, "poll");
}

/* Stop polling. The caller has stopped the vCPUs. */
void poll_stop(void)
{
	if (!ring)
		return;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&change);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	ring = NULL;
}

uint64_t poll_count(unsigned int n)
{
	return polled[n].count;
}
