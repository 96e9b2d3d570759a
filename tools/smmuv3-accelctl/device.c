// SPDX-License-Identifier: GPL-2.0
/*
 * PCI functions, and whether a VMM can attach them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accelctl.h"

/**
 * pci_number() - Read a number in hex from a file of a PCI function
 * @bdf: the function's address
 * @file: the file's name
 *
 * Return: the number, or 0.
 */
__u64 pci_number(const char *bdf, const char *file)
{
	char text[32];
	__u64 value;

	if (root_read(text, sizeof(text), PCI_DEVICES "/%s/%s", bdf, file) < 0 ||
	    !parse_u64(text, 16, ~0U, &value))
		return 0;
	return value;
}

/* A device that is bound to a VFIO driver has a folder vfio-dev/vfioN. */
static void find_vfio(struct device *dev)
{
	struct dirent **entries;
	int num = root_scan(&entries, PCI_DEVICES "/%s/vfio-dev", dev->bdf);

	if (num > 0 && copy_text(dev->vfio, sizeof(dev->vfio), entries[0]->d_name))
		dev->cdev = root_dev(PCI_DEVICES "/%s/vfio-dev/%s/dev", dev->bdf,
				     dev->vfio);
	scan_free(entries, num);
}

static bool device_look(struct device *dev, const char *bdf)
{
	if (!copy_text(dev->bdf, sizeof(dev->bdf), bdf))
		return false;
	root_link_name(dev->smmu, sizeof(dev->smmu), PCI_DEVICES "/%s/iommu", bdf);
	if (strncmp(dev->smmu, "smmu3.", 6))
		dev->smmu[0] = '\0';
	find_vfio(dev);
	if (!dev->smmu[0] && !dev->vfio[0])
		return false;
	dev->class = pci_number(bdf, "class");
	if (dev->class >> 16 == PCI_CLASS_BRIDGE)
		return false;
	snprintf(dev->id, sizeof(dev->id), "%04llx:%04llx",
		 pci_number(bdf, "vendor"), pci_number(bdf, "device"));
	root_link_name(dev->driver, sizeof(dev->driver), PCI_DEVICES "/%s/driver", bdf);
	group_look(dev);
	return true;
}

/**
 * devices_look() - Find the PCI functions behind SMMUv3s or bound to VFIO, except bridges
 * @devices: set to an array, for devices_free()
 *
 * Return: number of devices.
 */
int devices_look(struct device **devices)
{
	struct dirent **entries;
	int i, num, found = 0;

	*devices = NULL;
	num = root_scan(&entries, PCI_DEVICES);
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

void devices_free(struct device *devices, int num)
{
	while (num-- > 0) {
		free(devices[num].members);
		free(devices[num].direct);
	}
	free(devices);
}

/**
 * device_is_ready() - Whether a VMM could attach a device that is free
 * @dev: the device
 *
 * Return: true if it could.
 */
bool device_is_ready(const struct device *dev)
{
	return dev->smmu[0] && !dev->no_nesting && dev->cdev && group_allows(dev);
}

/*
 * The unbind of a device from VFIO waits while files are open, without its driver and its
 * VFIO device in sysfs. If it is alone in its group, the group's VFIO file shows that.
 */
static bool has_lone_vfio_group(const struct device *dev)
{
	return !dev->driver[0] && !dev->vfio[0] && dev->group_dev &&
	       dev->group_size == 1;
}

static bool file_is_of(const struct open_file *file, const struct device *dev,
		       const struct world *world)
{
	if (file->name[0])
		return !strcmp(file->name, dev->bdf);
	if (has_lone_vfio_group(dev))
		return (file->gone && !world->gone_unclear) ||
		       file->dev == dev->group_dev;
	return dev->vfio[0] &&
	       (file->dev == dev->cdev || file->dev == dev->group_dev);
}

/* Whether a file may be of the device, and may be of another one */
static bool file_may_be_of(const struct open_file *file, const struct device *dev,
			   const struct world *world)
{
	return file->gone && world->gone_unclear && has_lone_vfio_group(dev);
}

/**
 * devices_gone_unclear() - Whether files that name no device may be of several devices
 * @devices: the devices
 * @num: number of these
 * @world: looked at in detail
 *
 * Without a driver, a device that shares its group may be one whose unbind waits, too.
 *
 * Return: true if they may.
 */
bool devices_gone_unclear(const struct device *devices, int num, const struct world *world)
{
	const struct open_file *first = NULL;
	int i, waiting = 0;
	size_t f;

	for (f = 0; f < world->file_num; f++) {
		const struct open_file *file = &world->files[f];

		if (!file->gone)
			continue;
		if (first && first->dev != file->dev)
			return true;
		first = file;
	}
	if (!first)
		return false;
	for (i = 0; i < num; i++)
		waiting += !devices[i].driver[0] && !devices[i].vfio[0] &&
			   devices[i].group_dev;
	return waiting > 1;
}

static bool file_is_open(const struct device *dev, const struct world *world)
{
	size_t i;

	for (i = 0; i < world->file_num; i++)
		if (file_is_of(&world->files[i], dev, world))
			return true;
	return false;
}

/**
 * device_is_unbinding() - Whether the unbind of a device from VFIO waits
 * @dev: the device
 * @world: looked at in detail
 *
 * A virtual SMMU that has the device attached keeps it open, too.
 *
 * Return: true if it waits.
 */
bool device_is_unbinding(const struct device *dev, const struct world *world)
{
	const struct vsmmu *v;

	if (dev->driver[0] || dev->vfio[0])
		return false;
	return has_lone_vfio_group(dev) || file_is_open(dev, world) ||
	       world_stream(world, dev->bdf, &v);
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
	const struct vsmmu *v;

	return !file_is_open(dev, world) && !world_stream(world, dev->bdf, &v);
}

/* Print the processes of which one has the device open. Return whether there are any. */
static bool out_used_by_one_of(const struct device *dev, const struct world *world)
{
	bool any = false;
	size_t i;

	for (i = 0; i < world->file_num; i++) {
		if (!file_may_be_of(&world->files[i], dev, world))
			continue;
		if (!any)
			out_array("used_by_one_of");
		out_holder(&world->files[i].holder);
		any = true;
	}
	if (any)
		out_end();
	return any;
}

/*
 * Print the processes that have the device open, and those that have a vSMMU with it.
 * Return whether there are any.
 */
static bool out_used_by(const struct device *dev, const struct world *world,
			const struct vsmmu *v)
{
	bool used = v && v->holder_num;
	size_t i;

	out_array("used_by");
	for (i = 0; i < world->file_num; i++) {
		if (!file_is_of(&world->files[i], dev, world))
			continue;
		out_holder(&world->files[i].holder);
		used = true;
	}
	for (i = 0; v && i < v->holder_num; i++)
		out_holder(&v->holders[i]);
	out_end();
	return used;
}

static void out_to_do(const struct device *dev, const struct world *world,
		      bool unbinding, bool used, bool unclear)
{
	if (unbinding && unclear)
		out_string("to_do", "its unbind waits until %s, and this kernel does not say which, so find that out before you end any",
			   !used ?
			   "it is closed: one of the processes in used_by_one_of has it open" :
			   "the processes in used_by have closed these descriptors, or end; one in used_by_one_of may have it open, too");
	else if (unbinding && used)
		out_string("to_do", "its unbind waits until the processes in used_by have closed these descriptors, or end");
	else if (unbinding)
		out_string("to_do", "its unbind waits until it is closed, but no visible process has it open: look as root; a descriptor may be in transit through a socket, or KVM may have the device for a VM");
	else if (!dev->smmu[0])
		out_string("to_do", "nothing: the kernel knows of no SMMUv3 between it and memory: the machine has none there, or the firmware's IORT does not say so");
	else if (dev->no_nesting)
		out_string("to_do", "nothing: its SMMU cannot nest, see there");
	else if (!group_allows(dev))
		out_group_to_do(dev, world);
	else if (!dev->vfio[0] && !root_exists("/sys/bus/pci/drivers/vfio-pci"))
		out_string("to_do", "modprobe vfio-pci, then bind it to that: see smmuv3-accelctl(8)");
	else if (!dev->vfio[0])
		out_string("to_do", "bind it to vfio-pci: see smmuv3-accelctl(8)");
	else if (!dev->cdev)
		out_string("to_do", "use a kernel with CONFIG_VFIO_DEVICE_CDEV");
}

void device_info(const struct device *dev, const struct world *world)
{
	bool unbinding = device_is_unbinding(dev, world);
	const struct vsmmu *v = NULL;
	const struct vsmmu_stream *stream = world_stream(world, dev->bdf, &v);
	bool used, unclear;

	out_object(NULL);
	out_string("bdf", "%s", dev->bdf);
	out_string("id", "%s", dev->id);
	out_string("class", "%06x", dev->class);
	out_string("driver", "%s", dev->driver[0] ? dev->driver : "none");
	if (unbinding)
		out_bool("unbinding", true);
	out_string("smmu", "%s", dev->smmu[0] ? dev->smmu : "none");
	out_device_group(dev);
	if (dev->cdev)
		out_string("cdev", "/dev/vfio/devices/%s", dev->vfio);
	out_bool("ready", device_is_ready(dev));
	if (dev->vfio[0] && world->hidden && device_is_free(dev, world))
		out_unknown("free");
	else if (dev->vfio[0] || unbinding)
		out_bool("free", !unbinding && device_is_free(dev, world));
	used = out_used_by(dev, world, v);
	unclear = out_used_by_one_of(dev, world);
	if (stream) {
		out_number("vsmmu", v->id);
		out_vsid(stream);
	}
	out_to_do(dev, world, unbinding, used, unclear);
	out_end();
}
