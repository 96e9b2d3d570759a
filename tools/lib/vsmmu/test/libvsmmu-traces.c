// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Traces of drivers, played on the real module, with DMA and events of a device. Run in
 * the emulated host: tools/testing/vm/run.sh --testdev 1 -- libvsmmu-traces
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "kselftest.h"
#include "machine.h"
#include "trace.h"

/* The layout of a trace fits the machine's memory, and its device. */
_Static_assert(TRACE_RAM == GUEST_BASE && TRACE_RAM_SIZE <= GUEST_SIZE, "memory");
_Static_assert(TRACE_SID == VSID, "StreamID");

static int dma(void *opaque, uint64_t iova, uint64_t page)
{
	struct machine *m = opaque;
	volatile __u32 *word = guest_ptr(&m->g, page ? page : TRACE_RAM);
	int rc;

	*word = 0;
	rc = testdev_write(&m->dev[0], iova);
	return rc ? rc : *word == TESTDEV_PATTERN;
}

static bool fault(void *opaque, uint64_t iova, uint32_t prod)
{
	return dma(opaque, iova, 0) == -EFAULT && events_until(opaque, prod);
}

/*
 * Between two steps: as for a migration, with a RESET. The events that a migration
 * repeats have edges that do not count.
 */
static bool migrate(void *opaque)
{
	unsigned int irqs[VSMMU_IRQ_NUM];
	struct machine *m = opaque;
	struct vsmmu_state state;
	bool done;

	memcpy(irqs, m->irqs, sizeof(irqs));
	done = !vsmmu_save(m->v, &state) && !vsmmu_restore(m->v, &state);
	memcpy(m->irqs, irqs, sizeof(irqs));
	return done;
}

static int open_machine(struct machine *m, const struct trace *trace)
{
	int memfd = memfd_create("guest", MFD_CLOEXEC), rc;

	if (memfd < 0)
		return -errno;
	rc = ftruncate(memfd, GUEST_SIZE) ? -errno : guest_open_memfd(&m->g, memfd);
	close(memfd);
	if (rc)
		return rc;
	rc = dma_open(&m->dev[0], m->g.iommufd, DMA_TESTDEV, 0);
	if (rc)
		return rc;
	m->devices = 1;
	m->options.flags = trace->options;
	return open_vsmmu(m);
}

static void close_machine(struct machine *m)
{
	close_vsmmu(m);
	if (m->devices)
		dma_close(&m->dev[0]);
	if (m->g.ram)
		munmap(m->g.ram, GUEST_SIZE);
	close(m->g.iommufd);
}

static int play_on(struct machine *m, const struct trace *trace, bool migrated,
		   char *why, unsigned int len)
{
	struct trace_player player = {
		.v = m->v, .ram = m->g.ram, .irqs = m->irqs,
		.dma = dma, .fault = fault, .opaque = m,
		.between = migrated ? migrate : NULL,
	};

	if ((trace->options & VSMMU_OPT_ATS) && !(get(m, R_IDR0) & IDR0_ATS)) {
		snprintf(why, len, "the host's SMMU has no ATS");
		return KSFT_SKIP;
	}
	return trace_play(&player, trace, why, len) ? KSFT_PASS : KSFT_FAIL;
}

static void play(const struct trace *trace, bool migrated)
{
	const char *how = migrated ? ", migrated after each step" : "";
	struct machine m = {};
	int rc = open_machine(&m, trace), result = KSFT_FAIL;
	char why[160];

	if (rc)
		snprintf(why, sizeof(why), "no machine: %s", strerror(-rc));
	else
		result = play_on(&m, trace, migrated, why, sizeof(why));
	close_machine(&m);
	if (result == KSFT_FAIL)
		ksft_print_msg("%s\n", why);
	if (result == KSFT_SKIP)
		ksft_test_result_skip("%s%s: %s\n", trace->name, how, why);
	else
		ksft_test_result(result == KSFT_PASS, "%s%s\n", trace->name, how);
}

int main(void)
{
	unsigned int i, unsaved = 0;
	char bdf[16];

	ksft_print_header();
	if (dma_find(DMA_TESTDEV, 0, bdf))
		ksft_exit_skip("no iommu-testdev\n");
	for (i = 0; i < trace_num; i++)
		unsaved += traces[i]->unsaved;
	ksft_set_plan(2 * trace_num - unsaved);
	for (i = 0; i < trace_num; i++) {
		play(traces[i], false);
		if (!traces[i]->unsaved)
			play(traces[i], true);
	}
	ksft_finished();
}
