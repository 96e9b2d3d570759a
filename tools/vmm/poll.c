// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells without exits, as long as there are many and that pays. KVM gathers
 * the stores to a CMDQ_PROD in the VM's ring, and a thread polls that ring.
 * Polling costs a host CPU, and switching takes some milliseconds: pace.c says
 * when to start, and when to end although doorbells come. It ends after a pause,
 * too.
 *
 * A store goes to the ring or exits; a store to the vSMMU that exits is newer than
 * all stores in the ring. So it drains the ring first. A lock admits one consumer
 * at a time, and keeps the order of stores. Nobody holds it while the host carries
 * out commands. KVM also gathers smaller stores within the zone: they are no
 * doorbells. Larger stores, over the edge of the zone, exit.
 *
 * The thread that drains the ring also runs the queue. Nobody drains the ring until
 * the host has carried out the commands, and stores to another vSMMU must not wait
 * for that. So only one vSMMU is polled.
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

static unsigned int polled;	/* the vSMMU's number */
static uint64_t zone;		/* guest physical address of its doorbell */
static uint64_t count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* held by the consumer */
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static struct kvm_coalesced_mmio_ring *ring;	/* NULL: there is no thread */
static uint32_t ring_size;
static struct pace pace;
static bool wanted, switching, stop;

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

/*
 * Take the stores out of the ring, and set CMDQ_PROD. Call this with the lock.
 *
 * Return: whether one of them was a doorbell
 */
static bool take_stores(void)
{
	uint32_t first = ring->first, prod;
	bool rung = false;

	while (!ring_empty()) {
		const struct kvm_coalesced_mmio *store = &ring->coalesced_mmio[first];

		if (store->phys_addr == zone && store->len == sizeof(prod)) {
			memcpy(&prod, store->data, sizeof(prod));
			rung = true;
			count++;
		}
		first = (first + 1) % ring_size;
		__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	}
	/* Of several doorbells only the last matters. */
	if (rung)
		smmu_set_prod(polled, prod);
	return rung;
}

/* Handle gathered doorbells. A store to the polled vSMMU that exits calls this first. */
void poll_drain(void)
{
	bool rung;

	pthread_mutex_lock(&lock);
	rung = ring && take_stores();
	pthread_mutex_unlock(&lock);
	if (rung)
		smmu_kick(polled);
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

/*
 * Have KVM gather doorbells, or have them exit again. KVM waits until no vCPU is in the middle
 * of an access, which may take long. A doorbell in the ring does not wait for that: the
 * vSMMU's thread for retries drains the ring meanwhile.
 */
static void set_zone(bool on)
{
	__atomic_store_n(&switching, true, __ATOMIC_RELEASE);
	smmu_retry(polled);
	if (vm_coalesce(zone, sizeof(uint32_t), on))
		note("vSMMU %u: doorbells cannot be polled: %s", polled, strerror(errno));
	__atomic_store_n(&switching, false, __ATOMIC_RELEASE);
}

/* Whether the polling thread waits for KVM, so that others have to drain the ring */
bool poll_is_switching(void)
{
	return __atomic_load_n(&switching, __ATOMIC_ACQUIRE);
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
 * not count. But drain it before polling ends: to remove the zone takes long on a host
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
	pthread_mutex_lock(&lock);
	while (!stop) {
		if (!wanted) {
			pthread_cond_wait(&change, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		set_zone(true);
		poll_while_it_pays();
		set_zone(false);
		/* Stores that KVM gathered before the zone was removed */
		poll_drain();
		pthread_mutex_lock(&lock);
		wanted = false;
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

/**
 * poll_add - Poll a vSMMU's doorbell
 * @n: its number
 * @gpa: guest physical address of its CMDQ_PROD
 *
 * Called before the VM runs, for one vSMMU.
 */
void poll_add(unsigned int n, uint64_t gpa)
{
	pthread_mutex_lock(&lock);
	polled = n;
	zone = gpa;
	ring = vm_coalesced_ring();
	ring_size = (sysconf(_SC_PAGESIZE) - sizeof(*ring)) /
		    sizeof(struct kvm_coalesced_mmio);
	wanted = false;
	stop = false;
	pace = (struct pace){};
	if (!ring || pthread_create(&thread, NULL, polling_thread, NULL))
		die("doorbells cannot be polled on this host");
	pthread_mutex_unlock(&lock);
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
	pthread_mutex_lock(&lock);
	ring = NULL;
	pthread_mutex_unlock(&lock);
}

uint64_t poll_count(void)
{
	return count;
}
