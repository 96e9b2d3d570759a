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

static int play_on(struct machine *m, const struct trace *trace, char *why,
		   unsigned int len)
{
	struct trace_player player = {
		.v = m->v, .ram = m->g.ram, .irqs = m->irqs,
		.dma = dma, .fault = fault, .opaque = m,
	};

	if ((trace->options & VSMMU_OPT_ATS) && !(get(m, R_IDR0) & IDR0_ATS)) {
		snprintf(why, len, "the host's SMMU has no ATS");
		return KSFT_SKIP;
	}
	return trace_play(&player, trace, why, len) ? KSFT_PASS : KSFT_FAIL;
}

static int play(const struct trace *trace, char *why, unsigned int len)
{
	struct machine m = {};
	int rc = open_machine(&m, trace), result = KSFT_FAIL;

	if (rc)
		snprintf(why, len, "no machine: %s", strerror(-rc));
	else
		result = play_on(&m, trace, why, len);
	close_machine(&m);
	return result;
}

int main(void)
{
	char bdf[16], why[160];
	unsigned int i;
	int result;

	ksft_print_header();
	if (dma_find(DMA_TESTDEV, 0, bdf))
		ksft_exit_skip("no iommu-testdev\n");
	ksft_set_plan(trace_num);
	for (i = 0; i < trace_num; i++) {
		result = play(traces[i], why, sizeof(why));
		if (result == KSFT_FAIL)
			ksft_print_msg("%s\n", why);
		if (result == KSFT_SKIP)
			ksft_test_result_skip("%s: %s\n", traces[i]->name, why);
		else
			ksft_test_result(result == KSFT_PASS, "%s\n", traces[i]->name);
	}
	ksft_finished();
}
