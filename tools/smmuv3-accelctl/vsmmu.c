// SPDX-License-Identifier: GPL-2.0
/*
 * Find the vSMMUs. Counters come from the fdinfo of the processes that have a vSMMU
 * open, all else from debugfs.
 *
 * Prefer fdinfo: reading debugfs takes a lock that a VMM may hold for long.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "accelctl.h"

#define DEBUGFS	"/sys/kernel/debug"

const char * const counter_name[COUNTER_NUM] = {
	[CMDS] = "cmds",
	[SYNCS] = "syncs",
	[ISSUED] = "issued",
	[SUBSUMED] = "subsumed",
	[MERGED] = "merged",
	[HOST_CALLS] = "host_calls",
	[ZERO_COPY] = "zero_copy",
	[STE_INSTALLED] = "ste_installed",
	[STE_UNCHANGED] = "ste_unchanged",
	[STE_BAD] = "ste_bad",
	[CMD_ERRORS] = "cmd_errors",
	[REPLAYS] = "replays",
	[WITHHELD] = "withheld",
};

static int debugfs_rc;	/* why debugfs could not be read */

/**
 * world_vsmmu() - Find a vSMMU by its number
 * @world: the result of world_look()
 * @id: its number
 *
 * Return: it, or NULL.
 */
struct vsmmu *world_vsmmu(const struct world *world, __u32 id)
{
	size_t i;

	for (i = 0; i < world->vsmmu_num; i++)
		if (world->vsmmus[i].id == id)
			return &world->vsmmus[i];
	return NULL;
}

static struct vsmmu *find_vsmmu(struct world *world, __u32 id)
{
	struct vsmmu *v = world_vsmmu(world, id);

	if (v)
		return v;
	world->vsmmus = xgrow(world->vsmmus, world->vsmmu_num, sizeof(*v));
	v = &world->vsmmus[world->vsmmu_num++];
	v->id = id;
	return v;
}

/* Parse "name:\tvalue". @prefix: expected before the name */
static void parse_counter(struct vsmmu *v, const char *line, const char *prefix)
{
	size_t i, len = strlen(prefix);
	const char *colon = strchr(line, ':');
	__u64 value;

	if (!colon || strncmp(line, prefix, len))
		return;
	line += len;
	for (i = 0; i < COUNTER_NUM; i++) {
		if (strlen(counter_name[i]) != (size_t)(colon - line) ||
		    strncmp(line, counter_name[i], colon - line))
			continue;
		if (!parse_u64(colon + 1 + strspn(colon + 1, "\t "), 10, ~0ULL,
			       &value))
			return;
		v->counters[i] = value;
		v->has_counters = true;
	}
}

static void parse_fdinfo(struct world *world, char *text,
			 const struct holder *holder)
{
	struct vsmmu *v = NULL;
	char *line;
	__u32 id;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		/* A file that is not bound yet has number 0. */
		if (sscanf(line, "vsmmu-id:\t%u", &id) == 1 && id) {
			v = find_vsmmu(world, id);
			v->holders = xgrow(v->holders, v->holder_num,
					   sizeof(*holder));
			v->holders[v->holder_num++] = *holder;
		}
		if (!v)
			continue;
		if (sscanf(line, "vsmmu-streams:\t%llu", &v->stream_count) != 1)
			parse_counter(v, line, "vsmmu-");
	}
}

/* Find what a line of fdinfo has behind @key, up to the end of the line. NULL: none */
static const char *fdinfo_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (strncmp(text, key, len)) {
		text = strchr(text, '\n');
		if (!text++)
			return NULL;
	}
	return text + len + strspn(text + len, "\t ");
}

/**
 * fdinfo_number() - Parse a number from the lines that every file's fdinfo has
 * @text: the fdinfo
 * @key: the start of the line
 * @base: 8 or 10
 * @value: set to the number
 *
 * Return: true if there is one.
 */
bool fdinfo_number(const char *text, const char *key, int base, __u64 *value)
{
	char number[32];

	text = fdinfo_value(text, key);
	if (!text)
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)strcspn(text, "\n"), text);
	return parse_u64(number, base, ~0ULL, value);
}

/*
 * Copy the last part of the device's path in sysfs, which a kernel since 6.18 tells of
 * an open VFIO device. @name: too short only for devices that are not PCI functions
 */
static bool fdinfo_device(const char *text, char name[NAME_LEN])
{
	const char *path = fdinfo_value(text, "vfio-device-syspath:");
	size_t len, start;

	if (!path)
		return false;
	len = strcspn(path, "\n");
	for (start = len; start && path[start - 1] != '/'; start--)
		;
	snprintf(name, NAME_LEN, "%.*s", (int)(len - start), path + start);
	return true;
}

/*
 * Whether @fdinfo is that of an open file. With O_PATH a process can get a descriptor
 * of a device without opening it, even if it has no right to. On a live system @fdinfo
 * must describe the same file as @st: a process can replace the file behind a
 * descriptor at any time.
 */
static bool is_open_file(const char *fdinfo, const struct statx *st)
{
	__u64 flags, mount, inode;

	if (!fdinfo_number(fdinfo, "flags:", 8, &flags) || (flags & O_PATH))
		return false;
	if (*root_dir)
		return true;
	return fdinfo_number(fdinfo, "mnt_id:", 10, &mount) &&
	       fdinfo_number(fdinfo, "ino:", 10, &inode) &&
	       mount == st->stx_mnt_id && inode == st->stx_ino;
}

static bool is_vfio(const struct world *world, dev_t dev)
{
	size_t i;

	for (i = 0; i < world->vfio_dev_num; i++)
		if (world->vfio_devs[i] == dev)
			return true;
	return false;
}

/* Add an open VFIO device or group. @dev: its device number, or 0 */
static void add_file(struct world *world, const struct holder *holder, dev_t dev,
		     const char *fdinfo)
{
	struct open_file file = { .holder = *holder, .dev = dev };
	bool named = fdinfo_device(fdinfo, file.name);

	if (!named && !dev)
		return;
	file.gone = !named && !is_vfio(world, dev);
	world->files = xgrow(world->files, world->file_num, sizeof(file));
	world->files[world->file_num++] = file;
}

/* Read the fdinfo of the file that @st describes. */
static char *read_fdinfo(const struct holder *holder, const struct statx *st)
{
	ssize_t len;
	char *text;

	text = root_read_all(&len, "/proc/%u/fdinfo/%u", holder->pid, holder->fd);
	if (!text || is_open_file(text, st))
		return text;
	free(text);
	return NULL;
}

static bool is_on_sysfs(const struct statx *st)
{
	struct stat sysfs;

	return !stat("/sys", &sysfs) &&
	       sysfs.st_dev == makedev(st->stx_dev_major, st->stx_dev_minor);
}

/* A VFIO device that was opened through its group has no device number. */
static void look_at_group_device(struct world *world, const struct holder *holder)
{
	struct statx st;
	char *text;

	if (!*root_dir && root_stat_fd(&st, holder->pid, holder->fd))
		return;
	text = read_fdinfo(holder, &st);
	if (text)
		add_file(world, holder, 0, text);
	free(text);
}

/*
 * The write to a driver's unbind file lasts as long as the unbind. The kernel does not
 * show for which function. A user can mount a folder of that name, but no sysfs of this
 * system.
 */
static bool look_for_unbind(struct world *world, const struct holder *holder,
			    const char *target)
{
	struct unbinder unbinder = { .holder = *holder };
	struct statx st;
	int end = 0;
	char *text;

	if (sscanf(target, "/sys/bus/pci/drivers/%31[^/]/unbind%n",
		   unbinder.driver, &end) != 1 || !end || target[end])
		return false;
	if (!*root_dir &&
	    (root_stat_fd(&st, holder->pid, holder->fd) || !is_on_sysfs(&st)))
		return true;
	text = read_fdinfo(holder, &st);
	if (text) {
		world->unbinders = xgrow(world->unbinders, world->unbinder_num,
					 sizeof(unbinder));
		world->unbinders[world->unbinder_num++] = unbinder;
	}
	free(text);
	return true;
}

/*
 * Identify the file by its device number: a user can have files of any name, and a
 * container may see the device under another path. A device whose unbind waits is no
 * longer in sysfs, but still has VFIO's major number.
 */
static void look_at_fd(struct world *world, const struct holder *holder)
{
	char target[PATH_MAX];
	struct statx st;
	char *text;
	dev_t dev;
	int rc;

	rc = root_link(target, sizeof(target), "/proc/%u/fd/%u", holder->pid,
		       holder->fd);
	if (!rc && !strcmp(target, "anon_inode:[vfio-device]")) {
		look_at_group_device(world, holder);
		return;
	}
	/* Sockets, pipes and the like are most of what a process has open. */
	if (!rc && (target[0] != '/' || look_for_unbind(world, holder, target)))
		return;
	if (root_stat_fd(&st, holder->pid, holder->fd) || !S_ISCHR(st.stx_mode))
		return;
	dev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	if (dev != world->accel_dev && !is_vfio(world, dev) &&
	    (!world->cdev_major || world->cdev_major != st.stx_rdev_major))
		return;
	text = read_fdinfo(holder, &st);
	if (text && dev == world->accel_dev)
		parse_fdinfo(world, text, holder);
	else if (text)
		add_file(world, holder, dev, text);
	free(text);
}

static void look_at_process(struct world *world, const char *pid_text)
{
	struct holder holder = {};
	struct dirent **fds;
	__u64 pid, fd;
	int i, num;

	if (!parse_u64(pid_text, 10, ~0U, &pid))
		return;
	num = root_scan(&fds, "/proc/%llu/fd", pid);
	if (num == -EACCES || num == -EPERM)
		world->hidden++;
	if (num <= 0)
		return;
	holder.pid = pid;
	root_read(holder.comm, sizeof(holder.comm), "/proc/%llu/comm", pid);
	for (i = 0; i < num; i++) {
		if (!parse_u64(fds[i]->d_name, 10, ~0U, &fd))
			continue;
		holder.fd = fd;
		look_at_fd(world, &holder);
	}
	scan_free(fds, num);
}

static bool parse_stream(struct vsmmu *v, const char *line)
{
	struct vsmmu_stream s = {};
	int used = 0;

	if (sscanf(line, "stream %x:\t%31s%n", &s.vsid, s.device, &used) != 2)
		return false;
	line += used;
	s.has_device = sscanf(line, " phys %u dev_id %u vdevice %u hwpt %u%n",
			      &s.phys, &s.dev_id, &s.vdevice_id, &s.hwpt_id,
			      &used) == 4;
	if (s.has_device)
		line += used;
	if (sscanf(line, " %7s reason %u ste %llx %llx", s.kind, &s.reason,
		   &s.ste[0], &s.ste[1]) != 4)
		return false;
	v->streams = xgrow(v->streams, v->stream_num, sizeof(s));
	v->streams[v->stream_num++] = s;
	return true;
}

static bool parse_phys(struct vsmmu *v, const char *line)
{
	struct vsmmu_phys p;

	if (sscanf(line, "phys %u:\tviommu %u s2_hwpt %u streams %u", &p.index,
		   &p.viommu_id, &p.s2_hwpt_id, &p.stream_num) != 4)
		return false;
	v->phys = xgrow(v->phys, v->phys_num, sizeof(p));
	v->phys[v->phys_num++] = p;
	return true;
}

static void parse_register(struct vsmmu *v, const char *line)
{
	static const char * const names[] = {
		"cr0", "gbpa", "strtab_base", "strtab_base_cfg", "cmdq_base",
	};
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		len = strlen(names[i]);
		if (!strncmp(line, names[i], len) && line[len] == ':')
			snprintf(v->regs[i], sizeof(v->regs[i]), "%s",
				 line + len + 1 + strspn(line + len + 1, "\t "));
	}
}

/* The module's debugfs.c defines the format. Lines of a newer module are skipped. */
static void parse_debugfs(struct vsmmu *v, char *text)
{
	bool counters = !v->has_counters;
	char *line;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, "mode:\t", 6))
			v->table_mode = !strcmp(line + 6, "table");
		else if (parse_stream(v, line) || parse_phys(v, line))
			continue;
		else if (counters)
			parse_counter(v, line, "");
		parse_register(v, line);
	}
	v->has_detail = true;
	v->stream_count = v->stream_num;
}

static void look_at_debugfs(struct world *world, bool detail)
{
	struct dirent **entries;
	int i, num;

	num = root_scan(&entries, DEBUGFS "/smmuv3-accel");
	debugfs_rc = num < 0 ? num : 0;
	for (i = 0; i < num; i++) {
		struct vsmmu *v;
		ssize_t len;
		char *text;
		__u64 id;

		if (!parse_u64(entries[i]->d_name, 10, ~0U, &id))
			continue;
		v = find_vsmmu(world, id);
		if (!detail && v->has_counters)
			continue;
		text = root_read_all(&len, DEBUGFS "/smmuv3-accel/%llu", id);
		if (text)
			parse_debugfs(v, text);
		else
			debugfs_rc = len;
		free(text);
	}
	scan_free(entries, num);
}

/* Device numbers of the devices of a class in sysfs */
static void find_vfio_devs(struct world *world, const char *class)
{
	struct dirent **entries;
	int i, num;
	dev_t dev;

	num = root_scan(&entries, "/sys/class/%s", class);
	for (i = 0; i < num; i++) {
		dev = root_dev("/sys/class/%s/%s/dev", class, entries[i]->d_name);
		if (!dev)
			continue;
		world->vfio_devs = xgrow(world->vfio_devs, world->vfio_dev_num,
					 sizeof(dev));
		world->vfio_devs[world->vfio_dev_num++] = dev;
	}
	scan_free(entries, num);
}

/* The major number that VFIO devices got when VFIO was loaded */
static __u32 find_cdev_major(void)
{
	char *text, *line, *rest;
	__u32 major = 0;
	ssize_t len;
	int end;

	text = root_read_all(&len, "/proc/devices");
	if (!text)
		return 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		end = 0;
		if (sscanf(line, "%u vfio-dev%n", &major, &end) == 1 && end &&
		    !line[end])
			break;
	}
	free(text);
	return line ? major : 0;
}

static int by_id(const void *a, const void *b)
{
	const struct vsmmu *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

/**
 * world_look() - Find the vSMMUs, and the processes that have VFIO devices open
 * @world: the result
 * @detail: read their streams too, which waits while the module serves their VMMs
 */
void world_look(struct world *world, bool detail)
{
	struct dirent **entries;
	int i, num;

	*world = (struct world){};
	world->accel_dev = root_dev("/sys/class/misc/smmuv3-accel/dev");
	find_vfio_devs(world, "vfio-dev");
	find_vfio_devs(world, "vfio");
	world->cdev_major = find_cdev_major();
	stat_fds_start();
	num = root_scan(&entries, "/proc");
	for (i = 0; i < num; i++)
		look_at_process(world, entries[i]->d_name);
	scan_free(entries, num);
	look_at_debugfs(world, detail);
	if (world->vsmmu_num)
		qsort(world->vsmmus, world->vsmmu_num, sizeof(*world->vsmmus),
		      by_id);
}

void world_free(struct world *world)
{
	size_t i;

	for (i = 0; i < world->vsmmu_num; i++) {
		free(world->vsmmus[i].holders);
		free(world->vsmmus[i].phys);
		free(world->vsmmus[i].streams);
	}
	free(world->vsmmus);
	free(world->files);
	free(world->unbinders);
	free(world->vfio_devs);
}

/**
 * world_notes() - Add notes that say what could not be seen, and what to do about it
 * @world: the result of world_look()
 */
void world_notes(const struct world *world)
{
	if (world->hidden)
		note("the files of %u processes are hidden: run it as root",
		     world->hidden);
	if (debugfs_rc == -EACCES || debugfs_rc == -EPERM)
		note("only root can see streams and registers (" DEBUGFS "/smmuv3-accel), and nobody under kernel lockdown");
	else if (debugfs_rc == -ENOENT && !root_exists(DEBUGFS))
		note("the kernel has no debugfs (CONFIG_DEBUG_FS): streams and registers cannot be shown");
	else if (debugfs_rc == -ENOENT)
		note("there is no " DEBUGFS "/smmuv3-accel: mount -t debugfs none " DEBUGFS);
	else if (debugfs_rc)
		note(DEBUGFS "/smmuv3-accel: %s", strerror(-debugfs_rc));
}

/**
 * world_stream() - Find the stream of a device
 * @world: looked at in detail
 * @device: the device
 * @v: set to its vSMMU
 *
 * Return: the stream, or NULL.
 */
const struct vsmmu_stream *world_stream(const struct world *world,
					const char *device,
					const struct vsmmu **v)
{
	size_t i, j;

	for (i = 0; i < world->vsmmu_num; i++) {
		const struct vsmmu *vsmmu = &world->vsmmus[i];

		for (j = 0; j < vsmmu->stream_num; j++) {
			if (strcmp(vsmmu->streams[j].device, device))
				continue;
			*v = vsmmu;
			return &vsmmu->streams[j];
		}
	}
	return NULL;
}

static void out_process(const struct holder *holder)
{
	out_number("pid", holder->pid);
	out_string("comm", "%s", holder->comm);
	out_number("fd", holder->fd);
}

void out_holder(const struct holder *holder)
{
	out_object(NULL);
	out_process(holder);
	out_end();
}

void out_unbinders(const struct world *world)
{
	size_t i;

	out_array("unbinds");
	for (i = 0; i < world->unbinder_num; i++) {
		out_object(NULL);
		out_string("driver", "%s", world->unbinders[i].driver);
		out_process(&world->unbinders[i].holder);
		out_end();
	}
	out_end();
}

/**
 * out_vsmmu() - Start the object of a vSMMU with its number and its holders
 * @v: the vSMMU
 */
void out_vsmmu(const struct vsmmu *v)
{
	size_t i;

	out_object(NULL);
	out_number("id", v->id);
	out_array("holders");
	for (i = 0; i < v->holder_num; i++)
		out_holder(&v->holders[i]);
	out_end();
	out_number("stream_count", v->stream_count);
}

/**
 * out_vsmmus() - Look at the vSMMUs, and print them with the notes
 * @detail: as for world_look()
 * @only: the number of the only one to print; 0: all
 * @print: prints one of them
 */
void out_vsmmus(bool detail, __u64 only, void (*print)(const struct vsmmu *v))
{
	struct world world;
	size_t i;

	world_look(&world, detail);
	out_start();
	out_array("vsmmus");
	for (i = 0; i < world.vsmmu_num; i++)
		if (!only || world.vsmmus[i].id == only)
			print(&world.vsmmus[i]);
	out_end();
	world_notes(&world);
	out_finish();
	world_free(&world);
}

/**
 * out_vsid() - Print a stream's virtual StreamID, or its name if that is unset
 * @s: the stream
 */
void out_vsid(const struct vsmmu_stream *s)
{
	if (s->vsid & SMMUV3_ACCEL_VSID_UNSET) {
		out_string("vsid", "unset");
		out_string("name", "%#x", s->vsid & ~SMMUV3_ACCEL_VSID_UNSET);
	} else {
		out_string("vsid", "%#x", s->vsid);
	}
}
