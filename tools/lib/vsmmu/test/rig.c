// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "rig.h"

__thread unsigned int thread_irqs;

static void on_irq(void *opaque, enum vsmmu_irq line)
{
	struct rig *rig = opaque;
	uint64_t value;

	/* Callbacks may call the library. */
	assert_int_equal(vsmmu_read(rig->v, GERROR, &value, 4), 0);
	__atomic_fetch_add(&rig->irqs[line], 1, __ATOMIC_RELAXED);
	thread_irqs++;
	if (rig->on_irq)
		rig->on_irq(rig);
}

struct vsmmu_config rig_config(struct rig *rig)
{
	struct vsmmu_config config = VSMMU_CONFIG_INIT;

	config.accel_fd = FAKE_FD;
	config.iommufd = FAKE_IOMMUFD;
	config.raise = on_irq;
	config.opaque = rig;
	config.kernel = &fake_kernel;
	config.kernel_data = &rig->fake;
	return config;
}

void rig_new(struct rig *rig)
{
	fake_init(&rig->fake);
	rig->ram = calloc(1, RAM_SIZE);
	assert_non_null(rig->ram);
}

void rig_free(struct rig *rig)
{
	vsmmu_free(rig->v);
	free(rig->ram);
	free(rig);
}

static int setup(void **state, uint32_t config_flags, bool start)
{
	const struct vsmmu_options options = { .flags = VSMMU_OPT_ATS };
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vsmmu_config config;

	assert_non_null(rig);
	rig_new(rig);
	config = rig_config(rig);
	config.flags = config_flags;
	assert_int_equal(vsmmu_new(&config, &rig->v, NULL), 0);
	if (start) {
		const struct vsmmu_region regions[] = {
			{ RAM_BASE, RAM_HALF, (uintptr_t)rig->ram + RAM_HALF },
			{ RAM_BASE + RAM_HALF, RAM_HALF, (uintptr_t)rig->ram },
		};

		assert_int_equal(vsmmu_set_memory(rig->v, regions,
						  ARRAY_LEN(regions)), 0);
		assert_int_equal(vsmmu_start(rig->v, &options), 0);
	}
	memset(rig->fake.calls, 0, sizeof(rig->fake.calls));
	*state = rig;
	return 0;
}

/* A vSMMU out of reset, with memory */
int rig_setup(void **state)
{
	return setup(state, 0, true);
}

/* The same, to be cleaned line by line */
int rig_setup_clean(void **state)
{
	return setup(state, VSMMU_CONFIG_CLEAN, true);
}

/* One that is not started and has no memory */
int rig_setup_off(void **state)
{
	return setup(state, 0, false);
}

int rig_teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* For accesses that do not cross RAM_HALF */
void *rig_ptr(struct rig *rig, uint64_t gpa)
{
	return rig->ram + ((gpa - RAM_BASE) ^ RAM_HALF);
}

/* A guest's read, and what it would find in the register file */
uint64_t get64(struct rig *rig, uint64_t offset)
{
	const char *page = vsmmu_page(rig->v, offset / VSMMU_PAGE_SIZE);
	uint64_t value, published;

	assert_int_equal(vsmmu_read(rig->v, offset, &value, 8), 0);
	memcpy(&published, page + offset % VSMMU_PAGE_SIZE, sizeof(published));
	assert_int_equal(published, value);
	return value;
}

uint32_t get(struct rig *rig, uint64_t offset)
{
	const char *page = vsmmu_page(rig->v, offset / VSMMU_PAGE_SIZE);
	uint32_t published;
	uint64_t value;

	assert_int_equal(vsmmu_read(rig->v, offset, &value, 4), 0);
	memcpy(&published, page + offset % VSMMU_PAGE_SIZE, sizeof(published));
	assert_int_equal(published, value);
	return value;
}

int put(struct rig *rig, uint64_t offset, uint32_t value)
{
	return vsmmu_write(rig->v, offset, value, 4);
}

int put64(struct rig *rig, uint64_t offset, uint64_t value)
{
	return vsmmu_write(rig->v, offset, value, 8);
}

void enable_cmdq(struct rig *rig, unsigned int log2size)
{
	assert_int_equal(put64(rig, CMDQ_BASE, RAM_BASE | log2size), 0);
	assert_put(rig, CR0, get(rig, CR0) | CMDQEN);
	assert_int_equal(get(rig, CR0ACK), get(rig, CR0));
}

/* Put a command into a queue at RAM_BASE. */
void put_cmd(struct rig *rig, unsigned int index, uint64_t dw0, uint64_t dw1)
{
	uint64_t *cmd = rig_ptr(rig, RAM_BASE + index * 16);

	cmd[0] = dw0;
	cmd[1] = dw1;
}

/* Fill the queue with one command. */
void fill_ring(struct rig *rig, unsigned int log2size, uint64_t dw0, uint64_t dw1)
{
	unsigned int i;

	for (i = 0; i < 1U << log2size; i++)
		put_cmd(rig, i, dw0, dw1);
}

void enable_eventq(struct rig *rig, uint64_t base, unsigned int log2size)
{
	assert_int_equal(put64(rig, EVENTQ_BASE, base | log2size), 0);
	assert_put(rig, CR0, get(rig, CR0) | EVENTQEN);
	assert_int_equal(get(rig, CR0ACK), get(rig, CR0));
}

/* For fake_run_bad(): streams, a queue of CFGI_ALLs, and the interrupt of the event queue */
void enable_bad(struct rig *rig, uint64_t eventq, unsigned int log2size)
{
	assert_int_equal(vsmmu_attach(rig->v, 3, 1, 0, 0, NULL), 0);
	assert_int_equal(vsmmu_attach(rig->v, 3, 5, 0, 0, NULL), 0);
	fill_ring(rig, log2size, CFGI_STE_RANGE(0), CFGI_ALL);
	enable_eventq(rig, eventq, 4);
	assert_put(rig, IRQ_CTRL, EVENTQ_IRQEN);
}

/* Edges since the last call of this function */
unsigned int irqs(struct rig *rig, enum vsmmu_irq line)
{
	unsigned int n = rig->irqs[line];

	rig->irqs[line] = 0;
	return n;
}
