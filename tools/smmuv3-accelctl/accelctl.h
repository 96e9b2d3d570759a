/* SPDX-License-Identifier: GPL-2.0 */
/*
 * smmuv3-accelctl: what is behind /dev/smmuv3-accel, for administrators.
 *
 * Functions that return an int return 0 or a count, or a negative errno.
 */
#ifndef ACCELCTL_H
#define ACCELCTL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <linux/smmuv3_accel.h>
#include <linux/types.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define PRINTF(f, a)	__attribute__((__format__(__printf__, f, a)))

enum {
	EXIT_TROUBLE = 1,	/* the command failed */
	EXIT_USAGE = 2,		/* the command line is wrong */
};

/* util.c: files below the root that --root names */

extern const char *root_dir;

__attribute__((__noreturn__)) PRINTF(2, 3)
void die(int status, const char *format, ...);
void *xcalloc(size_t num, size_t size);
void *xgrow(void *array, size_t num, size_t size);

PRINTF(1, 2) bool root_exists(const char *format, ...);
PRINTF(2, 3) int root_open(int flags, const char *format, ...);
PRINTF(3, 4) int root_read(char *text, size_t size, const char *format, ...);
PRINTF(2, 3) char *root_read_all(ssize_t *len, const char *format, ...);
PRINTF(3, 4) int root_link(char *target, size_t size, const char *format, ...);
PRINTF(3, 4)
int root_link_name(char *name, size_t size, const char *format, ...);
PRINTF(1, 2) dev_t root_dev(const char *format, ...);
PRINTF(2, 3) int root_scan(struct dirent ***entries, const char *format, ...);
void scan_free(struct dirent **entries, int num);

bool copy_text(char *to, size_t size, const char *from);
bool parse_u64(const char *text, int base, __u64 max, __u64 *value);

/* fdstat.c: the files behind descriptors */

void stat_fds_start(void);
int root_stat_fd(struct statx *st, __u32 pid, __u32 fd);

/* out.c: print a result as text or as JSON */

extern bool json;

void out_start(void);
void out_finish(void);
void out_object(const char *key);
void out_array(const char *key);
void out_end(void);
PRINTF(2, 3) void out_string(const char *key, const char *format, ...);
void out_number(const char *key, __u64 value);
void out_ratio(const char *key, __u64 part, __u64 whole, unsigned int scale);
void out_decimal(const char *key, double value);
void out_bool(const char *key, bool value);
void out_unknown(const char *key);
PRINTF(1, 2) void note(const char *format, ...);
void print_clean(const char *text, size_t len);

/* reason.c */

const char *reason_name(__u32 reason);
const char *reason_text(__u32 reason);

/* vsmmu.c: virtual SMMUs that exist */

#define COUNTER_NUM	13

/* The order of struct smmuv3_accel_stats */
enum {
	CMDS,
	SYNCS,
	ISSUED,
	SUBSUMED,
	MERGED,
	HOST_CALLS,
	ZERO_COPY,
	STE_INSTALLED,
	STE_UNCHANGED,
	STE_BAD,
	CMD_ERRORS,
	REPLAYS,
	WITHHELD,
};

extern const char * const counter_name[COUNTER_NUM];

#define NAME_LEN	32

/**
 * struct holder - A process that has a vSMMU, a VFIO device or a VFIO group open
 * @pid: the process
 * @fd: its descriptor
 * @comm: the name that the process gave itself
 */
struct holder {
	__u32 pid;
	__u32 fd;
	char comm[NAME_LEN];
};

/**
 * struct open_file - A VFIO device or group that is open
 * @holder: the process that has it open
 * @dev: its device number, or 0 for a device that was opened through its group
 * @name: the device's name on its bus if the kernel says it (since 6.18), else empty
 * @gone: sysfs no longer has the device, because its unbind waits, and the kernel does
 *	not say its name
 */
struct open_file {
	struct holder holder;
	dev_t dev;
	char name[NAME_LEN];
	bool gone;
};

/**
 * struct unbinder - A process that has a driver's unbind file open
 * @holder: the process
 * @driver: the driver
 */
struct unbinder {
	struct holder holder;
	char driver[NAME_LEN];
};

/**
 * struct vsmmu_phys - A physical SMMU of a vSMMU
 * @index: its number
 * @viommu_id: the vIOMMU
 * @s2_hwpt_id: the stage-2 parent
 * @stream_num: number of streams behind the SMMU
 */
struct vsmmu_phys {
	__u32 index;
	__u32 viommu_id;
	__u32 s2_hwpt_id;
	__u32 stream_num;
};

/**
 * struct vsmmu_stream - A stream of a vSMMU
 * @vsid: its virtual StreamID, or its name with %SMMUV3_ACCEL_VSID_UNSET
 * @device: the PCI device, or "emulated" or "bridge"
 * @has_device: it has a PCI device, and the IDs below are valid
 * @phys: index of its physical SMMU
 * @dev_id: the device's ID in the iommufd
 * @vdevice_id: the vDEVICE
 * @hwpt_id: the nested HWPT
 * @kind: what is installed
 * @reason: why it aborts
 * @ste: the STE that the host was given
 */
struct vsmmu_stream {
	__u32 vsid;
	char device[NAME_LEN];
	bool has_device;
	__u32 phys;
	__u32 dev_id;
	__u32 vdevice_id;
	__u32 hwpt_id;
	char kind[8];
	__u32 reason;
	__u64 ste[2];
};

/**
 * struct vsmmu - A vSMMU
 * @id: its number
 * @holders: the processes that have it open
 * @holder_num: number of holders
 * @stream_count: number of streams, from fdinfo
 * @counters: see counter_name
 * @has_counters: @counters is valid
 * @has_detail: the members below are valid; they come from debugfs
 * @table_mode: the module reads the guest's tables
 * @regs: the guest's registers, as text from debugfs
 * @phys: physical SMMUs
 * @phys_num: number of physical SMMUs
 * @streams: streams
 * @stream_num: number of streams
 */
struct vsmmu {
	__u32 id;
	struct holder *holders;
	size_t holder_num;
	__u64 stream_count;
	__u64 counters[COUNTER_NUM];
	bool has_counters;
	bool has_detail;
	bool table_mode;
	char regs[5][NAME_LEN];
	struct vsmmu_phys *phys;
	size_t phys_num;
	struct vsmmu_stream *streams;
	size_t stream_num;
};

/**
 * struct world - The vSMMUs and files that this process can see
 * @vsmmus: sorted by number
 * @vsmmu_num: number of vSMMUs
 * @files: open VFIO devices and groups
 * @file_num: number of files
 * @unbinders: processes that unbind PCI functions, and may wait for that
 * @unbinder_num: number of these
 * @accel_dev: the device number of /dev/smmuv3-accel
 * @vfio_devs: the device numbers of VFIO devices and groups
 * @vfio_dev_num: number of device numbers
 * @cdev_major: the major number of VFIO devices, or 0
 * @gone_unclear: for a file that is gone, several devices come into question
 * @hidden: number of processes whose files this process may not see
 */
struct world {
	struct vsmmu *vsmmus;
	size_t vsmmu_num;
	struct open_file *files;
	size_t file_num;
	struct unbinder *unbinders;
	size_t unbinder_num;
	dev_t accel_dev;
	dev_t *vfio_devs;
	size_t vfio_dev_num;
	__u32 cdev_major;
	bool gone_unclear;
	__u32 hidden;
};

bool fdinfo_number(const char *text, const char *key, int base, __u64 *value);
void world_look(struct world *world, bool detail);
void world_free(struct world *world);
void world_notes(const struct world *world);
struct vsmmu *world_vsmmu(const struct world *world, __u32 id);
const struct vsmmu_stream *world_stream(const struct world *world,
					const char *device,
					const struct vsmmu **v);
void out_holder(const struct holder *holder);
void out_unbinders(const struct world *world);
void out_vsmmu(const struct vsmmu *v);
void out_vsmmus(bool detail, __u64 only, void (*print)(const struct vsmmu *v));
void out_vsid(const struct vsmmu_stream *s);

/* module.c */

bool module_loaded(void);
void module_require(void);
void module_info(void);
void nodes_info(void);
void kernel_info(void);

/* iort.c: root complexes in the firmware's table */

/**
 * enum answer - Answer to a question about root complexes
 * @UNKNOWN: not known
 * @NO: no
 * @YES: yes
 * @PARTLY: for some of them only
 */
enum answer {
	UNKNOWN,
	NO,
	YES,
	PARTLY,
};

/**
 * struct iort - The IORT, an ACPI table
 * @data: its bytes, or NULL
 * @len: number of bytes
 * @why: the negative errno if @data is NULL
 */
struct iort {
	unsigned char *data;
	size_t len;
	int why;
};

void iort_read(struct iort *iort);
void iort_free(struct iort *iort);
enum answer iort_canwbs(const struct iort *iort, __u64 smmu_address);

/* device.c: PCI functions behind SMMUs */

#define PCI_DEVICES		"/sys/bus/pci/devices"
#define PCI_CLASS_BRIDGE	0x06

/**
 * struct region - A region of addresses
 * @start: the first
 * @last: the last
 */
struct region {
	__u64 start;
	__u64 last;
};

/**
 * struct member - Another device in an IOMMU group
 * @name: its address
 * @driver: its driver, or empty
 * @pci: it is a PCI device
 * @bridge: it is a PCI bridge
 */
struct member {
	char name[NAME_LEN];
	char driver[NAME_LEN];
	bool pci;
	bool bridge;
};

/**
 * struct device - A PCI function behind an SMMU, or bound to VFIO
 * @bdf: its address
 * @smmu: name of its SMMU, or empty
 * @no_nesting: a probe has shown that the SMMU cannot nest
 * @driver: its driver, or empty
 * @id: vendor and device
 * @class: its PCI class
 * @group: its IOMMU group, or empty
 * @group_size: number of devices in the group
 * @members: the other ones
 * @member_num: number of these
 * @direct: regions that the firmware wants mapped 1:1 for the group
 * @direct_num: number of these
 * @vfio: name of its VFIO device, or empty
 * @cdev: device number of that, or 0
 * @group_dev: device number of the group's VFIO file, or 0
 */
struct device {
	char bdf[NAME_LEN];
	char smmu[64];
	bool no_nesting;
	char driver[NAME_LEN];
	char id[16];
	__u32 class;
	char group[16];
	__u32 group_size;
	struct member *members;
	size_t member_num;
	struct region *direct;
	size_t direct_num;
	char vfio[16];
	dev_t cdev;
	dev_t group_dev;
};

__u64 pci_number(const char *bdf, const char *file);
int devices_look(struct device **devices);
void devices_free(struct device *devices, int num);
bool devices_gone_unclear(const struct device *devices, int num,
			  const struct world *world);
bool device_is_ready(const struct device *dev);
bool device_is_unbinding(const struct device *dev, const struct world *world);
bool device_is_free(const struct device *dev, const struct world *world);
void device_info(const struct device *dev, const struct world *world);

/* group.c: IOMMU groups of devices */

void group_look(struct device *dev);
bool group_allows(const struct device *dev);
void out_device_group(const struct device *dev);
void out_group_to_do(const struct device *dev, const struct world *world);

/* probe.c: facts that the kernel shows only to a process with the device open */

/**
 * struct probe - Results of probing a device
 * @device: the device
 * @rc: 0, or a negative errno
 * @step: the step that failed
 * @has_idr: the registers below are valid
 * @idr: SMMU_IDR0 to SMMU_IDR5
 * @iidr: SMMU_IIDR
 * @aidr: SMMU_AIDR
 * @repeats: for an erratum, TLBIs and CFGIs are issued twice
 * @tried: ATTACH was tried as a dry run
 * @reason: the result of that, one of enum smmuv3_accel_reason
 */
struct probe {
	const char *device;
	int rc;
	const char *step;
	bool has_idr;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
	bool repeats;
	bool tried;
	__u32 reason;
};

void probe_device(struct probe *probe, const struct device *dev);
void probe_lacks(const struct probe *probe, enum answer canwbs, char *why,
		 size_t size);

/* Commands: each gets its own arguments and returns the exit status. */

#define COMMON_OPTIONS	"jh"
#define JSON_OPTION	{ "json", no_argument, NULL, 'j' }
#define HELP_OPTION	{ "help", no_argument, NULL, 'h' }

void common_option(int c);
int cmd_info(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_decode(int argc, char **argv);

#endif
