// SPDX-License-Identifier: GPL-2.0
/*
 * PCI functions behind SMMUs, and whether a VMM can attach them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

#define PCI		"/sys/bus/pci/devices"
#define CLASS_BRIDGE	0x06

static __u64 read_hex(const char *bdf, const char *file)
{
	char text[32];
	__u64 value;

	if (root_read(text, sizeof(text), PCI "/%s/%s", bdf, file) < 0 ||
	    !parse_u64(text, 16, ~0U, &value))
		return 0;
	return value;
}

static __u32 count_entries(const char *bdf, const char *folder)
{
	struct dirent **entries;
	int num = root_scan(&entries, PCI "/%s/%s", bdf, folder);

	scan_free(entries, num);
	return num < 0 ? 0 : num;
}

/* A device that is bound to a VFIO driver has a folder vfio-dev/vfioN. */
static void find_vfio(struct device *dev)
{
	struct dirent **entries;
	int num = root_scan(&entries, PCI "/%s/vfio-dev", dev->bdf);

	if (num > 0 && copy_text(dev->vfio, sizeof(dev->vfio), entries[0]->d_name))
		dev->cdev = root_dev(PCI "/%s/vfio-dev/%s/dev", dev->bdf,
				     dev->vfio);
	scan_free(entries, num);
}

static bool device_look(struct device *dev, const char *bdf)
{
	if (!copy_text(dev->bdf, sizeof(dev->bdf), bdf) ||
	    root_link_name(dev->smmu, sizeof(dev->smmu), PCI "/%s/iommu", bdf) ||
	    strncmp(dev->smmu, "smmu3.", 6))
		return false;
	dev->class = read_hex(bdf, "class");
	if (dev->class >> 16 == CLASS_BRIDGE)
		return false;
	snprintf(dev->id, sizeof(dev->id), "%04llx:%04llx",
		 read_hex(bdf, "vendor"), read_hex(bdf, "device"));
	root_link_name(dev->driver, sizeof(dev->driver), PCI "/%s/driver", bdf);
	root_link_name(dev->group, sizeof(dev->group), PCI "/%s/iommu_group", bdf);
	dev->group_dev = root_dev("/sys/class/vfio/%s/dev", dev->group);
	dev->group_size = count_entries(bdf, "iommu_group/devices");
	find_vfio(dev);
	return true;
}

/**
 * devices_look() - Find the PCI functions behind SMMUv3s, except bridges
 * @devices: set to an array; the caller frees it
 *
 * Return: number of devices.
 */
int devices_look(struct device **devices)
{
	struct dirent **entries;
	int i, num, found = 0;

	*devices = NULL;
	num = root_scan(&entries, PCI);
	for (i = 0; i < num; i++) {
		*devices = xgrow(*devices, found, sizeof(**devices));
		if (device_look(&(*devices)[found], entries[i]->d_name))
			found++;
		else
			memset(&(*devices)[found], 0, sizeof(**devices));
	}
	scan_free(entries, num);
	return found;
}

/**
 * device_is_ready() - Whether a VMM could attach a device that is free
 * @dev: the device
 *
 * Return: true if it could.
 */
bool device_is_ready(const struct device *dev)
{
	return dev->cdev && dev->group_size == 1;
}

static bool file_is_of(const struct open_file *file, const struct device *dev)
{
	return file->dev == dev->cdev || file->dev == dev->group_dev;
}

/**
 * device_is_free() - Whether no visible process uses a device
 * @dev: the device, which is bound to a VFIO driver
 * @world: looked at in detail
 *
 * A VMM may close the device's file after ATTACH. Then only the stream shows that the
 * device is in use.
 *
 * Return: true if no visible process uses it.
 */
bool device_is_free(const struct device *dev, const struct world *world)
{
	__u32 id;
	size_t i;

	for (i = 0; i < world->file_num; i++)
		if (file_is_of(&world->files[i], dev))
			return false;
	return !world_stream(world, dev->bdf, &id);
}

static void out_to_do(const struct device *dev)
{
	if (!dev->group_size)
		out_string("to_do", "nothing: the host gives it no IOMMU group");
	else if (dev->group_size > 1)
		out_string("to_do", "nothing: it shares its IOMMU group, and the host attaches by group; another slot may help, or ACS in the bridges above it");
	else if (!dev->vfio[0])
		out_string("to_do", "bind it to vfio-pci: see smmuv3-accelctl(8)");
	else if (!dev->cdev)
		out_string("to_do", "use a kernel with CONFIG_VFIO_DEVICE_CDEV");
}

void device_info(const struct device *dev, const struct world *world)
{
	const struct vsmmu_stream *stream;
	__u32 vsmmu;
	size_t i;

	out_object(NULL);
	out_string("bdf", "%s", dev->bdf);
	out_string("id", "%s", dev->id);
	out_string("class", "%06x", dev->class);
	out_string("driver", "%s", dev->driver[0] ? dev->driver : "none");
	out_string("smmu", "%s", dev->smmu);
	out_string("group", "%s", dev->group[0] ? dev->group : "none");
	out_number("group_size", dev->group_size);
	if (dev->cdev)
		out_string("cdev", "/dev/vfio/devices/%s", dev->vfio);
	out_bool("ready", device_is_ready(dev));
	if (dev->vfio[0] && !device_is_free(dev, world))
		out_bool("free", false);
	else if (dev->vfio[0] && world->hidden)
		out_unknown("free");
	else if (dev->vfio[0])
		out_bool("free", true);
	out_array("used_by");
	for (i = 0; dev->vfio[0] && i < world->file_num; i++)
		if (file_is_of(&world->files[i], dev))
			out_holder(&world->files[i].holder);
	out_end();
	stream = world_stream(world, dev->bdf, &vsmmu);
	if (stream) {
		out_number("vsmmu", vsmmu);
		out_vsid(stream);
	}
	out_to_do(dev);
	out_end();
}
