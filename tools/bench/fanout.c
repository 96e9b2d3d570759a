// SPDX-License-Identifier: GPL-2.0
/*
 * A vSMMU with a device behind each of several physical SMMUs, of which one may hold the
 * ASID of the TLBIs, against a vSMMU with one device there.
 */
#include <string.h>

#include "bench.h"

#define FANOUT_CMDS	64
#define FANOUT_CALLS	512

/* A vSMMU with a device behind each SMMU, if these can share one */
static void open_all(struct side *all)
{
	unsigned int i;
	__u32 reason;
	int rc;

	side_open(all, SMMUV3_ACCEL_CREATE_NO_GLOBAL, first_of[0]);
	for (i = 1; i < smmu_num; i++) {
		rc = side_add(all, first_of[i], &reason);
		if (rc)
			skip("%s does not share a vSMMU with the others: %s (%s): %s",
			     devices[first_of[i]].smmu, strerror(-rc), reason_name(reason),
			     reason_text(reason));
	}
	side_table_mode(all);
}

void bench_fanout(void)
{
	double ratio[REPETITIONS_MAX], one_ns;
	static struct side one, all;
	const char *filter;
	unsigned int i, r;
	__u64 before;

	if (smmu_num < 2 || same_smmu_num < 2)
		skip("it wants devices behind several SMMUs, and two behind one of them");
	filter = module_parameter("filter") ? "" : "_unfiltered";
	open_all(&all);
	side_open(&one, SMMUV3_ACCEL_CREATE_NO_GLOBAL, first_of[0] + 1);
	side_table_mode(&one);
	fill_ring(&all, FANOUT_CMDS);
	fill_ring(&one, FANOUT_CMDS);
	for (r = 0; r < repetitions; r++) {
		one_ns = timed_doorbells(&one, FANOUT_CMDS + 1);
		ratio[r] = timed_doorbells(&all, FANOUT_CMDS + 1) / one_ns;
	}
	before = host_calls(&all);
	for (i = 0; i < FANOUT_CALLS; i++)
		doorbell(&all, FANOUT_CMDS + 1);
	figure(ratio, "fanout%u%s_vs_1", smmu_num, filter);
	count(host_calls(&all) - before, "fanout%u%s_calls", smmu_num, filter);
	side_close(&one);
	side_close(&all);
}
