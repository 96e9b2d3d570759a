// SPDX-License-Identifier: GPL-2.0
/*
 * IOMMU groups: what keeps a VMM from attaching a device, whatever its driver.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

/* The kernel prints a line of "0xSTART 0xEND TYPE" for each region. */
static void find_direct(struct device *dev)
{
	char *text, *line, *rest;
	struct region region;
	char type[20];
	ssize_t len;

	text = root_read_all(&len, PCI_DEVICES "/%s/iommu_group/reserved_regions",
			     dev->bdf);
	if (!text)
		return;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "%llx %llx %19s", &region.start, &region.last,
			   type) != 3 || strcmp(type, "direct"))
			continue;
		dev->direct = xgrow(dev->direct, dev->direct_num, sizeof(region));
		dev->direct[dev->direct_num++] = region;
	}
	free(text);
}

/* A group can have platform devices, too. A copy of sysfs may have any name. */
static bool is_pci(const char *name)
{
	return !name[strspn(name, "0123456789abcdef:.")] &&
	       root_exists(PCI_DEVICES "/%s", name);
}

static void find_members(struct device *dev)
{
	struct dirent **entries;
	struct member *member;
	int i, num;

	num = root_scan(&entries, PCI_DEVICES "/%s/iommu_group/devices", dev->bdf);
	dev->group_size = num < 0 ? 0 : num;
	for (i = 0; i < num; i++) {
		const char *name = entries[i]->d_name;

		if (!strcmp(name, dev->bdf))
			continue;
		dev->members = xgrow(dev->members, dev->member_num, sizeof(*member));
		member = &dev->members[dev->member_num++];
		snprintf(member->name, sizeof(member->name), "%.31s", name);
		root_link_name(member->driver, sizeof(member->driver),
			       PCI_DEVICES "/%s/driver", name);
		member->pci = is_pci(member->name);
		member->bridge = pci_number(name, "class") >> 16 == PCI_CLASS_BRIDGE;
	}
	scan_free(entries, num);
}

/**
 * group_look() - Find the members of a device's group, and its direct regions
 * @dev: the device
 */
void group_look(struct device *dev)
{
	root_link_name(dev->group, sizeof(dev->group),
		       PCI_DEVICES "/%s/iommu_group", dev->bdf);
	dev->group_dev = root_dev("/sys/class/vfio/%s/dev", dev->group);
	find_members(dev);
	find_direct(dev);
}

/**
 * group_allows() - Whether the host attaches a device, as far as its group says
 * @dev: the device
 *
 * The host refuses a device with a direct region when a VMM binds it to an iommufd
 * (EINVAL). The module refuses a device that shares its group.
 *
 * Return: true if it does.
 */
bool group_allows(const struct device *dev)
{
	return dev->group_size == 1 && !dev->direct_num;
}

void out_device_group(const struct device *dev)
{
	size_t i;

	out_string("group", "%s", dev->group[0] ? dev->group : "none");
	out_number("group_size", dev->group_size);
	if (dev->member_num) {
		out_array("group_with");
		for (i = 0; i < dev->member_num; i++) {
			const struct member *member = &dev->members[i];

			out_object(NULL);
			out_string("bdf", "%s", member->name);
			out_string("driver", "%s", member->driver[0] ?
				   member->driver : "none");
			out_bool("bridge", member->bridge);
			out_end();
		}
		out_end();
	}
	if (dev->direct_num) {
		out_array("direct_regions");
		for (i = 0; i < dev->direct_num; i++)
			out_string(NULL, "%#llx-%#llx", dev->direct[i].start,
				   dev->direct[i].last);
		out_end();
	}
}

/* Whether two PCI functions are of one slot: all but the digit of the function */
static bool same_slot(const char *a, const char *b)
{
	const char *dot = strrchr(a, '.');

	return dot && !strncmp(a, b, dot - a + 1);
}

/*
 * An unbind takes away the driver at once, and then waits while the device is open. If the
 * kernel does not name the devices that are open, an open one may be this member.
 */
static bool is_open(const struct member *member, const struct world *world)
{
	const struct vsmmu *v;
	size_t i;

	for (i = 0; i < world->file_num; i++)
		if (world->files[i].gone || !strcmp(world->files[i].name, member->name))
			return true;
	return world_stream(world, member->name, &v);
}

/* List the other members: those that may be in use, or the others. */
static char *list_members(const struct device *dev, const struct world *world, bool in_use)
{
	size_t i, size;
	char *text;
	FILE *list = open_memstream(&text, &size);

	if (!list)
		die(EXIT_TROUBLE, "out of memory");
	for (i = 0; i < dev->member_num; i++) {
		const struct member *member = &dev->members[i];
		bool used = member->driver[0] || is_open(member, world);

		if (used != in_use)
			continue;
		if (used)
			fprintf(list, "%s%s (%s)", ftell(list) ? ", " : "", member->name,
				member->driver[0] ? member->driver : "its unbind may be waiting");
		else
			fprintf(list, "%secho 1 > " PCI_DEVICES "/%s/remove",
				ftell(list) ? "; " : "", member->name);
	}
	if (fclose(list))
		die(EXIT_TROUBLE, "out of memory");
	return text;
}

/*
 * A device that has a driver may be in use, by the host or by a VM. So there is no command
 * that takes it away.
 */
static void out_removal(const struct device *dev, const struct world *world,
			const char *advice)
{
	char *used = list_members(dev, world, true);
	char *idle = list_members(dev, world, false);

	out_string("to_do", "%s%s%s%s%s", advice,
		   *used ? "; make sure that nothing uses these, and unbind them first: " : "",
		   used, *idle ? "; these have no driver: " : "", idle);
	free(used);
	free(idle);
}

static void out_shared(const struct device *dev, const struct world *world)
{
	bool functions = true;
	size_t i;

	for (i = 0; i < dev->member_num; i++) {
		const struct member *member = &dev->members[i];

		if (member->bridge) {
			out_string("to_do", "move it to a slot of its own below a port with ACS: nothing isolates the devices behind the bridge %s, and the host attaches whole groups",
				   member->name);
			return;
		}
		if (!member->pci) {
			out_string("to_do", "move it to another slot, or take another device: %s shares its group, and is no PCI device that could be taken from the host",
				   member->name);
			return;
		}
		functions &= same_slot(dev->bdf, member->name);
	}
	if (functions)
		out_removal(dev, world, "take the other functions from the host, if it can do without them: nothing isolates them from this one (no ACS), so another slot does not help, and unbinding them is not enough");
	else
		out_removal(dev, world, "move it to another slot, or switch ACS on in the firmware settings; or take the others from the host, if it can do without them: unbinding them is not enough");
}

/**
 * out_group_to_do() - Say what to do about a group that does not allow a device
 * @dev: the device, for which group_allows() is false
 * @world: looked at in detail
 */
void out_group_to_do(const struct device *dev, const struct world *world)
{
	if (dev->direct_num)
		out_string("to_do", "nothing here: the firmware wants the device's DMA to %#llx-%#llx mapped 1:1 (a direct region, an RMR of the IORT), so the host gives it to no VMM; look for a firmware setting or update that does without, or take another device",
			   dev->direct[0].start, dev->direct[0].last);
	else if (!dev->member_num)
		out_string("to_do", "nothing: the host gives it no IOMMU group");
	else
		out_shared(dev, world);
}
