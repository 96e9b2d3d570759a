// SPDX-License-Identifier: GPL-2.0
/*
 * The host: without its kernel, CPUs and SMMUs a figure means nothing.
 */
#include <string.h>
#include <unistd.h>
#include <sys/utsname.h>

#include "bench.h"

#define PARAMETERS	"/sys/module/smmuv3_accel/parameters"
#define CPUS		"/sys/devices/system/cpu"
#define MIDRS_MAX	16

static void kernel_show(void)
{
	struct utsname uts;

	if (uname(&uts))
		die(EXIT_TROUBLE, "uname: %m");
	out_string("kernel", "%s %s %s %s", uts.sysname, uts.release, uts.version, uts.machine);
	out_number("page_size", sysconf(_SC_PAGESIZE));
}

static void machine_show(void)
{
	char vendor[64], name[128];

	if (root_read(vendor, sizeof(vendor), "/sys/class/dmi/id/sys_vendor") >= 0 &&
	    root_read(name, sizeof(name), "/sys/class/dmi/id/product_name") >= 0)
		out_string("machine", "%s %s", vendor, name);
	else if (root_read(name, sizeof(name), "/sys/firmware/devicetree/base/model") >= 0)
		out_string("machine", "%s", name);
	else
		out_unknown("machine");
}

/* The CPUs, by their main ID registers */
static void cpus_show(void)
{
	static struct {
		char midr[32];
		unsigned int num;
	} cpus[MIDRS_MAX];
	unsigned int kinds = 0, k;
	struct dirent **entries;
	char midr[32];
	int i, num;

	num = root_scan(&entries, CPUS);
	for (i = 0; i < num; i++) {
		if (root_read(midr, sizeof(midr), CPUS "/%s/regs/identification/midr_el1",
			      entries[i]->d_name) < 0)
			continue;
		for (k = 0; k < kinds && strcmp(cpus[k].midr, midr); k++)
			;
		if (k == MIDRS_MAX)
			continue;
		kinds += k == kinds;
		copy_text(cpus[k].midr, sizeof(cpus[k].midr), midr);
		cpus[k].num++;
	}
	scan_free(entries, num);
	out_array("cpus");
	for (k = 0; k < kinds; k++) {
		out_object(NULL);
		out_string("midr", "%s", cpus[k].midr);
		out_number("number", cpus[k].num);
		out_end();
	}
	out_end();
}

static void module_show(void)
{
	struct dirent **entries;
	char value[32];
	int i, num;

	num = root_scan(&entries, PARAMETERS);
	out_object("module");
	for (i = 0; i < num; i++)
		if (root_read(value, sizeof(value), PARAMETERS "/%s", entries[i]->d_name) >= 0)
			out_string(entries[i]->d_name, "%s", value);
	out_end();
	scan_free(entries, num);
}

static void smmu_show(unsigned int index)
{
	const struct smmuv3_accel_phys *phys = &devices[index].phys;
	unsigned int i, behind = 0;

	for (i = 0; i < device_num; i++)
		behind += !strcmp(devices[i].smmu, devices[index].smmu);
	out_object(NULL);
	out_string("name", "%s", devices[index].smmu);
	out_number("devices", behind);
	out_string("iidr", "0x%08x", phys->out_iidr);
	out_string("aidr", "0x%08x", phys->out_aidr);
	out_array("idr");
	for (i = 0; i < ARRAY_LEN(phys->out_idr); i++)
		out_string(NULL, "0x%08x", phys->out_idr[i]);
	out_end();
	out_end();
}

/**
 * host_show() - Print on what the figures are measured
 */
void host_show(void)
{
	unsigned int i;

	out_string("clock", "%s", counts_instructions ? "instructions" : "real");
	out_number("repetitions", repetitions);
	kernel_show();
	machine_show();
	cpus_show();
	module_show();
	out_array("smmus");
	for (i = 0; i < smmu_num; i++)
		smmu_show(first_of[i]);
	out_end();
}
