// SPDX-License-Identifier: GPL-2.0
/*
 * The module, its device node, and the kernel's configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "accelctl.h"

#define MODULE	"/sys/module/smmuv3_accel"

bool module_loaded(void)
{
	return root_exists(MODULE);
}

/**
 * module_require() - Exit with a message if the module is not loaded
 */
void module_require(void)
{
	if (!module_loaded())
		die(EXIT_TROUBLE, "the module is not loaded: modprobe smmuv3-accel");
}

static void out_file(const char *key, const char *path)
{
	char text[64];

	if (root_read(text, sizeof(text), "%s", path) >= 0)
		out_string(key, "%s", text);
}

static void out_parameters(void)
{
	struct dirent **entries;
	char value[64];
	int i, num;

	num = root_scan(&entries, MODULE "/parameters");
	out_object("parameters");
	for (i = 0; i < num; i++)
		if (root_read(value, sizeof(value), MODULE "/parameters/%s",
			      entries[i]->d_name) >= 0)
			out_string(entries[i]->d_name, "%s", value);
	out_end();
	scan_free(entries, num);
}

/* Names of bits: the last words of their names in the header */
static const char * const create_flags[] = {
	"SHARED_ASIDS", "FEED", "NO_GLOBAL",
};

static const char * const attach_flags[] = {
	"BRIDGE", "FEED", "DRY_RUN",
};

static const char * const ioctls[] = {
#define IOCTL(_name) \
	[SMMUV3_ACCEL_CMD_##_name] = #_name
	IOCTL(GET_INFO),
	IOCTL(CREATE),
	IOCTL(SET_IDR),
	IOCTL(SET_MEM_TABLE),
	IOCTL(ATTACH),
	IOCTL(DETACH),
	IOCTL(GET_PHYS),
	IOCTL(GET_STREAM),
	IOCTL(INSTALL_STE),
	IOCTL(INVALIDATE),
	IOCTL(SET_REGS),
	IOCTL(RUN_CMDQ),
	IOCTL(RESET),
	IOCTL(GET_STATS),
	IOCTL(CHANGE_PROCESS),
	IOCTL(SET_VSIDS),
#undef IOCTL
};

/* Print bits by name. Only a newer module has bits without one. */
static void out_bits(const char *key, __u64 bits, const char * const *names,
		     size_t name_num)
{
	char text[64 * 20] = "";
	size_t len = 0, i;

	for (i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;
		if (i < name_num)
			len += snprintf(text + len, sizeof(text) - len, "%s%s",
					len ? " " : "", names[i]);
		else
			len += snprintf(text + len, sizeof(text) - len, "%s%#llx",
					len ? " " : "", 1ULL << i);
	}
	out_string(key, "%s", text);
}

/* Print GET_INFO. Neither that nor opening the node affects anybody else. */
static void out_api(void)
{
	struct smmuv3_accel_info info = { .size = sizeof(info) };
	int fd, rc;

	if (*root_dir)
		return;
	fd = root_open(O_RDWR, "/dev/smmuv3-accel");
	if (fd < 0) {
		note("/dev/smmuv3-accel: %s%s", strerror(-fd), fd == -EACCES ?
		     ": run it as root, or as a member of the node's group" : "");
		return;
	}
	rc = ioctl(fd, SMMUV3_ACCEL_GET_INFO, &info);
	if (rc)
		note("/dev/smmuv3-accel: %s", strerror(errno));
	close(fd);
	if (rc)
		return;
	out_number("api_version", info.out_api_version);
	out_number("max_streams", info.out_max_streams);
	out_number("max_phys", info.out_max_phys);
	out_number("max_regions", info.out_max_regions);
	out_number("max_cmds", info.out_max_cmds);
	out_number("max_batch", info.out_max_batch);
	out_number("max_stes", info.out_max_stes);
	out_bits("create_flags", info.out_create_flags, create_flags,
		 ARRAY_LEN(create_flags));
	out_bits("attach_flags", info.out_attach_flags, attach_flags,
		 ARRAY_LEN(attach_flags));
	out_bits("ioctls", info.out_ioctls, ioctls, ARRAY_LEN(ioctls));
}

void module_info(void)
{
	out_object("module");
	out_bool("loaded", module_loaded());
	if (module_loaded()) {
		out_file("version", MODULE "/version");
		out_file("srcversion", MODULE "/srcversion");
		out_file("references", MODULE "/refcnt");
		out_api();
		out_parameters();
	} else {
		out_string("to_do", "modprobe smmuv3-accel");
	}
	out_end();
}

/*
 * Read the files instead of calling getpwuid(): glibc's name services cannot be
 * linked statically, and the root may be another machine's.
 */
static void out_user(const char *key, uid_t uid)
{
	struct passwd *user = NULL;
	int fd = root_open(O_RDONLY, "/etc/passwd");
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");

	while (stream && (user = fgetpwent(stream)) && user->pw_uid != uid)
		;
	if (user)
		out_string(key, "%s", user->pw_name);
	else
		out_string(key, "%u", uid);
	if (stream)
		fclose(stream);
}

static void out_group(const char *key, gid_t gid)
{
	struct group *group = NULL;
	int fd = root_open(O_RDONLY, "/etc/group");
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");

	while (stream && (group = fgetgrent(stream)) && group->gr_gid != gid)
		;
	if (group)
		out_string(key, "%s", group->gr_name);
	else
		out_string(key, "%u", gid);
	if (stream)
		fclose(stream);
}

static void out_node(const char *path)
{
	struct stat node;
	int fd;

	out_object(NULL);
	out_string("path", "%s", path);
	fd = root_open(O_PATH, "%s", path);
	out_bool("present", fd >= 0);
	if (fd >= 0) {
		if (!fstat(fd, &node)) {
			out_string("mode", "%04o", node.st_mode & 07777);
			out_user("owner", node.st_uid);
			out_group("group", node.st_gid);
		}
		close(fd);
	}
	out_end();
}

void nodes_info(void)
{
	out_array("nodes");
	out_node("/dev/smmuv3-accel");
	out_node("/dev/iommu");
	out_node("/dev/vfio/devices");
	out_end();
}

/**
 * struct option - A kernel option that passthrough needs
 * @name: its name
 * @path: exists if the option is on and, for =m, the module is loaded
 * @symbol: a kernel symbol that exists if the option is on
 */
static const struct option {
	const char *name;
	const char *path;
	const char *symbol;
} options[] = {
	{ "ARM_SMMU_V3", "/sys/bus/platform/drivers/arm-smmu-v3",
	  "arm_smmu_attach_dev" },
	{ "ARM_SMMU_V3_IOMMUFD", NULL, "arm_vsmmu_init" },
	{ "IOMMUFD", "/dev/iommu", "iommufd_ctx_from_file" },
	{ "VFIO", "/sys/class/vfio-dev", "vfio_register_group_dev" },
	{ "VFIO_DEVICE_CDEV", "/dev/vfio/devices",
	  "vfio_df_ioctl_bind_iommufd" },
	{ "VFIO_PCI", "/sys/bus/pci/drivers/vfio-pci", "vfio_pci_core_enable" },
};

/* Decompress an open file, without a library so that this can be linked statically */
static char *gunzip(int fd)
{
	char *text = NULL, *line = NULL;
	size_t len = 0, room = 0;
	int output[2], status;
	FILE *stream;
	ssize_t got;
	pid_t pid;

	if (pipe(output))
		return NULL;
	pid = fork();
	if (pid == 0) {
		dup2(fd, STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		close(output[0]);
		close(output[1]);
		execlp("gzip", "gzip", "-dc", NULL);
		_exit(127);
	}
	close(output[1]);
	stream = pid < 0 ? NULL : fdopen(output[0], "r");
	if (!stream) {
		close(output[0]);
		return NULL;
	}
	while ((got = getline(&line, &room, stream)) > 0) {
		text = realloc(text, len + got + 1);
		if (!text)
			die(EXIT_TROUBLE, "out of memory");
		memcpy(text + len, line, got + 1);
		len += got;
	}
	free(line);
	fclose(stream);
	if (waitpid(pid, &status, 0) != pid || status) {
		free(text);
		return NULL;
	}
	return text;
}

/* Read the kernel's configuration. @where: set to the path of the file */
static char *read_config(const char *release, char *where, size_t size)
{
	char *text = NULL;
	ssize_t len;
	int fd;

	snprintf(where, size, "/proc/config.gz");
	fd = root_open(O_RDONLY, "%s", where);
	if (fd >= 0) {
		text = gunzip(fd);
		close(fd);
	}
	if (!text) {
		snprintf(where, size, "/boot/config-%s", release);
		text = root_read_all(&len, "%s", where);
	}
	if (!text) {
		snprintf(where, size, "/lib/modules/%s/config", release);
		text = root_read_all(&len, "%s", where);
	}
	return text;
}

/* 'y', 'm' or 'n' */
static char config_value(const char *config, const char *name)
{
	char want[64];
	const char *at;
	size_t len;

	len = snprintf(want, sizeof(want), "CONFIG_%s=", name);
	for (at = strstr(config, want); at; at = strstr(at + 1, want))
		if (at == config || at[-1] == '\n')
			return at[len] == 'm' ? 'm' : 'y';
	return 'n';
}

static bool has_symbol(const char *kallsyms, const char *symbol)
{
	size_t len = strlen(symbol);
	const char *at;

	for (at = strstr(kallsyms, symbol); at; at = strstr(at + 1, symbol))
		if (at > kallsyms && at[-1] == ' ' &&
		    (at[len] == '\n' || at[len] == '\t' || !at[len]))
			return true;
	return false;
}

static void out_option(const struct option *option, const char *config,
		       const char *where, const char *kallsyms)
{
	char value;

	out_object(NULL);
	out_string("option", "CONFIG_%s", option->name);
	if (config) {
		value = config_value(config, option->name);
		out_string("value", "%c", value);
		out_string("known_from", "%s", where);
		if (value == 'n')
			out_string("to_do", "build the kernel with it: passthrough needs it");
	} else if (option->path && root_exists("%s", option->path)) {
		out_string("value", "y or m");
		out_string("known_from", "%s", option->path);
	} else if (kallsyms && has_symbol(kallsyms, option->symbol)) {
		out_string("value", "y or m");
		out_string("known_from", "/proc/kallsyms");
	} else {
		out_unknown("value");
		out_string("known_from", "nothing: it is off, or a module that is not loaded");
	}
	out_end();
}

void kernel_info(void)
{
	char release[128], where[160];
	char *config, *kallsyms = NULL;
	ssize_t len;
	size_t i;

	root_read(release, sizeof(release), "/proc/sys/kernel/osrelease");
	config = read_config(release, where, sizeof(where));
	if (!config)
		kallsyms = root_read_all(&len, "/proc/kallsyms");
	out_object("kernel");
	out_string("release", "%s", release);
	out_array("options");
	for (i = 0; i < ARRAY_LEN(options); i++)
		out_option(&options[i], config, where, kallsyms);
	out_end();
	out_end();
	free(config);
	free(kallsyms);
}
