/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the tests. Each test is a program with some files of the VMM. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail	/* the VMM has a fail() as well; fail_msg() is lost with it */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "vmm.h"

/* SIGALRM ends a test that waits for longer, in s. */
#define PATIENCE	20

static inline void sleep_ms(unsigned int ms)
{
	usleep(1000 * ms);
}

/* Wait until @condition holds, up to 5 s. */
#define wait_for(condition) do {				\
	int wait_tries;						\
								\
	for (wait_tries = 0; !(condition) && wait_tries < 500; wait_tries++)	\
		sleep_ms(10);					\
	assert_true(condition);					\
} while (0)

/* fakes.c */

extern struct fake {
	bool irq_line;			/* the last level of vm_irq_line() */
	unsigned int irq_spi;		/* its SPI */
	unsigned int irq_edges;		/* rising ones */
	unsigned int maps;		/* memory slots that are mapped now */
	int detach_rc;
	unsigned int detaches;
	void (*at_attach)(void);	/* called when a device is attached or detached */
	unsigned int resets;		/* resets of a device */
	int (*at_reset)(struct vfio_dev *dev);
	unsigned int vectors;		/* MSI-X vectors that VFIO reports */
	unsigned int doorbells;
	uint32_t prod;
	unsigned int kicks;
	void (*at_kick)(void);
	unsigned int retries;		/* asked for */
	unsigned int drains;		/* of the ring, for stores to a vSMMU or retries */
	unsigned int busy;		/* doorbells that exited and may be polled */
	bool switching;			/* the polling thread waits for KVM */
	void *ring;
	int unplug_rc;
} fake;

#endif
