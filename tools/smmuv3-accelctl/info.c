// SPDX-License-Identifier: GPL-2.0
/*
 * smmuv3-accelctl info
 *
 * Without --probe this command only reads files: if it opened a device, a VMM that
 * opens the device at the same moment would fail.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

/* Everything that is known about SMMUs and devices */
struct knowledge {
	struct world world;
	struct iort iort;
	struct device *devices;
	int device_num;
	bool probe;
};

static __u32 nested_by(const struct knowledge *know, const char *smmu)
{
	const struct vsmmu *v = NULL;
	int i;

	for (i = 0; i < know->device_num && !v; i++)
		if (!strcmp(know->devices[i].smmu, smmu))
			world_stream(&know->world, know->devices[i].bdf, &v);
	return v ? v->id : 0;
}

static const struct device *free_device(const struct knowledge *know,
					const char *smmu)
{
	int i;

	for (i = 0; i < know->device_num; i++) {
		const struct device *dev = &know->devices[i];

		if (!strcmp(dev->smmu, smmu) && device_is_ready(dev) &&
		    device_is_free(dev, &know->world))
			return dev;
	}
	return NULL;
}

static void out_probe(const struct probe *probe, enum answer canwbs)
{
	char why[128];
	int i;

	if (probe->has_idr)
		probe_lacks(probe, canwbs, why, sizeof(why));

	if (probe->tried && !probe->rc) {
		out_bool("can_nest", true);
		out_string("because", "a vSMMU can attach %s, as a dry run shows",
			   probe->device);
	} else if (probe->reason == SMMUV3_ACCEL_REASON_NO_NESTING && probe->has_idr) {
		out_bool("can_nest", false);
		out_string("because", "the host refuses it for %s; by the ID registers: %s",
			   probe->device, why);
	} else if (probe->rc) {
		out_unknown("can_nest");
		out_string("because", "%s (%s): %s", probe->step, probe->device,
			   strerror(-probe->rc));
		if (probe->reason)
			out_string("reason", "%s: %s", reason_name(probe->reason),
				   reason_text(probe->reason));
	} else {
		out_unknown("can_nest");
		out_string("because", "the module is not loaded, so it cannot be asked; by the ID registers: %s",
			   why);
	}
	if (!probe->has_idr)
		return;
	out_array("idr");
	for (i = 0; i < 6; i++)
		out_string(NULL, "0x%08x", probe->idr[i]);
	out_end();
	out_string("iidr", "0x%08x", probe->iidr);
	out_string("aidr", "0x%08x", probe->aidr);
	out_bool("repeats_tlbi_cfgi", probe->repeats);
}

static void set_no_nesting(struct knowledge *know, const char *smmu)
{
	int i;

	for (i = 0; i < know->device_num; i++)
		if (!strcmp(know->devices[i].smmu, smmu))
			know->devices[i].no_nesting = true;
}

static void out_nesting(struct knowledge *know, const char *smmu,
			enum answer canwbs)
{
	const struct device *dev = free_device(know, smmu);
	__u32 vsmmu = nested_by(know, smmu);
	struct probe probe;

	if (know->probe && dev) {
		probe_device(&probe, dev);
		out_probe(&probe, canwbs);
		if (probe.reason == SMMUV3_ACCEL_REASON_NO_NESTING)
			set_no_nesting(know, smmu);
		return;
	}
	if (vsmmu) {
		out_bool("can_nest", true);
		out_string("because", "vSMMU %u has devices there", vsmmu);
		return;
	}
	out_unknown("can_nest");
	if (!dev)
		out_string("because", "there is no device behind it to try it with: one that is ready and free");
	else
		out_string("because", "%s; only info --probe can read the ID registers, for which it opens and resets %s",
			   canwbs == YES ? "the firmware allows it" :
			   canwbs == UNKNOWN ? "nesting needs CANWBS or an SMMU with S2FWB" :
			   "nesting needs an SMMU with S2FWB", dev->bdf);
}

static void out_canwbs(enum answer canwbs)
{
	switch (canwbs) {
	case YES:
		out_string("canwbs", "yes");
		break;
	case NO:
		out_string("canwbs", "no");
		break;
	case PARTLY:
		out_string("canwbs", "partly");
		break;
	case UNKNOWN:
		out_unknown("canwbs");
		break;
	}
}

static void smmu_info(struct knowledge *know, const char *name)
{
	enum answer canwbs = UNKNOWN;
	int i, behind = 0;
	__u64 address;

	for (i = 0; i < know->device_num; i++)
		behind += !strcmp(know->devices[i].smmu, name);
	/* Its name is "smmu3." and the address of its registers. */
	if (parse_u64(name + 6, 16, ~0ULL, &address))
		canwbs = iort_canwbs(&know->iort, address);
	out_object(NULL);
	out_string("name", "%s", name);
	out_number("devices", behind);
	out_canwbs(canwbs);
	out_nesting(know, name, canwbs);
	out_end();
}

static void smmus_info(struct knowledge *know)
{
	struct dirent **entries;
	int i, num, found = 0;

	num = root_scan(&entries, "/sys/class/iommu");
	out_array("smmus");
	for (i = 0; i < num; i++) {
		if (strncmp(entries[i]->d_name, "smmu3.", 6))
			continue;
		smmu_info(know, entries[i]->d_name);
		found++;
	}
	out_end();
	scan_free(entries, num);
	if (!found)
		note("the kernel has no SMMUv3: the machine has none, the firmware does not describe it, or CONFIG_ARM_SMMU_V3 is off");
	else if (know->iort.why == -EACCES)
		note("only root can read the firmware's IORT, so CANWBS is unknown");
	else if (!know->iort.data)
		note("there is no IORT, so no root complex is declared CANWBS: nesting needs an SMMU with S2FWB");
}

static void all_devices_info(const struct knowledge *know, bool all)
{
	int i, unlisted = 0;

	out_array("devices");
	for (i = 0; i < know->device_num; i++) {
		const struct device *dev = &know->devices[i];

		if (all || dev->vfio[0] || device_is_unbinding(dev, &know->world))
			device_info(dev, &know->world);
		else
			unlisted++;
	}
	out_end();
	if (unlisted)
		note("%d more devices behind SMMUs are not bound to VFIO: info --all shows them",
		     unlisted);
}

int cmd_info(int argc, char **argv)
{
	static const struct option long_options[] = {
		JSON_OPTION,
		HELP_OPTION,
		{ "all", no_argument, NULL, 'a' },
		{ "probe", no_argument, NULL, 'p' },
		{}
	};
	struct knowledge know = {};
	bool all = false;
	int c;

	while ((c = getopt_long(argc, argv, "ap" COMMON_OPTIONS, long_options, NULL)) != -1) {
		switch (c) {
		case 'a':
			all = true;
			break;
		case 'p':
			know.probe = true;
			break;
		default:
			common_option(c);
		}
	}
	if (optind < argc)
		die(EXIT_USAGE, "info takes no argument '%s'", argv[optind]);
	if (know.probe && *root_dir)
		die(EXIT_USAGE, "--probe works on this machine only, not with --root");

	world_look(&know.world, true);
	iort_read(&know.iort);
	know.device_num = devices_look(&know.devices);
	know.world.gone_unclear = devices_gone_unclear(know.devices, know.device_num,
						       &know.world);

	out_start();
	module_info();
	nodes_info();
	kernel_info();
	smmus_info(&know);
	all_devices_info(&know, all);
	out_unbinders(&know.world);
	if (module_loaded())
		world_notes(&know.world);
	out_finish();

	devices_free(know.devices, know.device_num);
	iort_free(&know.iort);
	world_free(&know.world);
	return 0;
}
