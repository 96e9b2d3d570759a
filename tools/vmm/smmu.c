// SPDX-License-Identifier: GPL-2.0
/*
 * The virtual SMMUs: all that a VMM needs for them, on top of libvsmmu. The
 * device tree in fdt.c tells the guest about them; poll.c is an option.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <linux/iommufd.h>

#include "vsmmu.h"
#include "vmm.h"

/* Events that the host keeps for a guest that is slow to take them */
#define EVENT_DEPTH	256
#define RETRY_NS	10000000

/* A host SMMU's vEVENTQ */
struct source {
	struct smmu *smmu;
	uint32_t viommu;
	int fd;
};

struct smmu {
	bool exists;
	bool started;
	bool poll;
	bool trap;			/* all loads of registers exit */
	bool failing;			/* the host fails, and a message said so */
	unsigned int calls;		/* calls of the library that run the queue now */
	struct vsmmu *v;
	uint32_t create_flags;
	struct vsmmu_options options;
	int retry_fd;			/* a timer */
	struct source sources[SMMU_SLOTS];
	unsigned int source_num;
	uint64_t exits;			/* exits for doorbells */
};

static struct smmu smmus[SMMU_MAX];

/* Options */

/**
 * smmu_option - Parse an option --vsmmu
 * @options: [id=N][,ril=off][,msi=on][,poll][,no-global][,trap]
 *
 * Return: 0, or -1 after fail()
 */
int smmu_option(const char *options)
{
	char text[OPTIONS_MAX], *option, *rest = text;
	struct smmu want = { .exists = true };
	unsigned int id = 0, n;

	while (id < SMMU_MAX && smmus[id].exists)
		id++;
	if ((size_t)snprintf(text, sizeof(text), "%s", options) >= sizeof(text))
		return fail("its options are too long");
	while ((option = strsep(&rest, ","))) {
		if (!strncmp(option, "id=", 3) && option[3] >= '0' && !option[4])
			id = option[3] - '0';
		else if (!strcmp(option, "ril=off"))
			want.options.flags |= VSMMU_OPT_NO_RIL;
		else if (!strcmp(option, "msi=on"))
			want.options.flags |= VSMMU_OPT_MSI;
		else if (!strcmp(option, "poll"))
			want.poll = true;
		else if (!strcmp(option, "no-global"))
			want.create_flags |= SMMUV3_ACCEL_CREATE_NO_GLOBAL;
		else if (!strcmp(option, "trap"))
			want.trap = true;
		else if (*option)
			return fail("a vSMMU has no option '%s'", option);
	}
	if (id >= SMMU_MAX || smmus[id].exists)
		return fail("vSMMU %u: there can be 0 to %u, each once", id, SMMU_MAX - 1);
	for (n = 0; n < SMMU_MAX; n++)
		if (want.poll && smmus[n].poll)
			return fail("vSMMU %u: only one can have 'poll': see vSMMU %u", id, n);
	smmus[id] = want;
	return 0;
}

bool smmu_exists(unsigned int smmu)
{
	return smmu < SMMU_MAX && smmus[smmu].exists;
}

int smmu_first(void)
{
	int n;

	for (n = 0; n < SMMU_MAX; n++)
		if (smmus[n].exists)
			return n;
	return SMMU_NONE;
}

static unsigned int number(const struct smmu *smmu)
{
	return smmu - smmus;
}

/* fail() with the library's error, including the module's reason */
static int smmu_fail(const struct smmu *smmu, const char *what,
		     const struct vsmmu_error *error)
{
	char text[400];

	return fail("vSMMU %u: %s: %s", number(smmu), what,
		    vsmmu_strerror(error, text, sizeof(text)));
}

/* Print the library's last error as a message. Any thread may call this. */
static void last_note(const struct smmu *smmu, const char *what)
{
	struct vsmmu_error error;
	char text[400];

	vsmmu_last_error(smmu->v, &error);
	note("vSMMU %u: %s: %s", number(smmu), what,
	     vsmmu_strerror(&error, text, sizeof(text)));
}

static int last_fail(const struct smmu *smmu, const char *what)
{
	struct vsmmu_error error;

	vsmmu_last_error(smmu->v, &error);
	return smmu_fail(smmu, what, &error);
}

/* Creating them */

static void *retry_thread(void *arg);

/* No irqfds, for the reason that pci.c gives at its INTx */
static void raise_line(void *opaque, enum vsmmu_irq line)
{
	const struct smmu *smmu = opaque;

	vm_irq_line(SPI_SMMU(number(smmu)) + line, true);
}

/* The guest's driver finds out by itself. This message is for debugging the guest. */
static void command_failed(void *opaque, const struct vsmmu_cmd_error *error)
{
	const struct smmu *smmu = opaque;

	note("vSMMU %u: the guest's command %u, %#llx %#llx: %s", number(smmu),
	     error->index, (unsigned long long)le64toh(error->cmd.dw[0]),
	     (unsigned long long)le64toh(error->cmd.dw[1]),
	     vsmmu_reason_string(error->reason));
}

static void create(struct smmu *smmu)
{
	const struct vsmmu_region region = {
		.gpa = RAM_BASE,
		.size = config.mem,
		.uaddr = (uintptr_t)ram,
	};
	struct vsmmu_config make = VSMMU_CONFIG_INIT;
	struct vsmmu_error error;
	pthread_t thread;

	make.accel_fd = open("/dev/smmuv3-accel", O_RDWR | O_CLOEXEC);
	if (make.accel_fd < 0)
		die("/dev/smmuv3-accel: %s: the module is not loaded, or not for you",
		    strerror(errno));
	make.flags = vm_has_fwb() ? 0 : VSMMU_CONFIG_CLEAN;
	make.create_flags = smmu->create_flags;
	make.iommufd = iommufd;
	make.ioas_id = ioas_id;
	make.regions = &region;
	make.region_num = 1;
	make.raise = raise_line;
	make.cmd_error = command_failed;
	make.opaque = smmu;
	if (vsmmu_new(&make, &smmu->v, &error)) {
		smmu_fail(smmu, "cannot be made", &error);
		die("%s", failure());
	}
	smmu->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (smmu->retry_fd < 0 || pthread_create(&thread, NULL, retry_thread, smmu))
		die("vSMMU %u: cannot wait for the host", number(smmu));
	pthread_setname_np(thread, "retry");
	pthread_detach(thread);
}

void smmu_create(void)
{
	unsigned int n;

	for (n = 0; n < SMMU_MAX; n++)
		if (smmus[n].exists)
			create(&smmus[n]);
}

/**
 * smmu_probe - Tell a vSMMU about a device before the vSMMU starts
 * @dev: bound to the iommufd
 *
 * The guest is offered what the host SMMUs of all devices have in common.
 *
 * Return: 0, or -1 after fail()
 */
int smmu_probe(struct vfio_dev *dev)
{
	struct smmu *smmu = &smmus[dev->smmu];

	if (!smmu->started && vsmmu_probe(smmu->v, dev->fd, 0))
		return last_fail(smmu, dev->bdf);
	return 0;
}

/*
 * A host SMMU with as little as a guest needs. A vSMMU without devices at start offers
 * what this one has, so that the host SMMU of any hotplugged device is likely to have it.
 */
static const struct smmuv3_accel_phys least_phys = {
	.out_idr = {
		/* TERM_MODEL, little endian, AArch64 */
		[0] = 1U << 26 | 2U << 21 | 2U << 2,
		/* SIDSIZE */
		[1] = 16U,
		/* GRAN4K, OAS of 40 bits */
		[5] = 1U << 4 | 2U,
	},
};

void smmu_start(void)
{
	struct smmu *smmu;
	int rc;

	for (smmu = smmus; smmu < &smmus[SMMU_MAX]; smmu++) {
		if (!smmu->exists)
			continue;
		rc = vsmmu_start(smmu->v, &smmu->options);
		if (rc == -ENODEV) {
			rc = vsmmu_compute_idr(&least_phys, 1, &smmu->options,
					       smmu->options.idr);
			smmu->options.flags |= VSMMU_OPT_IDR;
			if (!rc)
				rc = vsmmu_start(smmu->v, &smmu->options);
		}
		if (rc) {
			last_fail(smmu, "cannot start");
			die("%s", failure());
		}
		smmu->started = true;
	}
}

/* Run the guest's queue again after RETRY_NS. */
static void retry_later(struct smmu *smmu)
{
	const struct itimerspec when = { .it_value.tv_nsec = RETRY_NS };

	timerfd_settime(smmu->retry_fd, 0, &when, NULL);
}

/* Devices */

static void event_ready(void *arg)
{
	const struct source *source = arg;
	struct smmu *smmu = source->smmu;
	struct vsmmu_error error;

	if (vsmmu_poll_events(smmu->v) >= 0)
		return;
	vsmmu_last_error(smmu->v, &error);
	/* Remove it: it would stay readable for ever. */
	last_note(smmu, "a vEVENTQ is not read any more");
	event_del(error.fd);
	vsmmu_remove_veventq(smmu->v, error.fd);
}

/* Open the vEVENTQ of a host SMMU's vIOMMU and pass its events to the guest. */
static int open_veventq(struct smmu *smmu, uint32_t viommu)
{
	struct iommu_veventq_alloc alloc = {
		.size = sizeof(alloc),
		.viommu_id = viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = EVENT_DEPTH,
	};
	unsigned int i;

	for (i = 0; i < smmu->source_num; i++)
		if (smmu->sources[i].viommu == viommu)
			return 0;
	if (i == ARRAY_LEN(smmu->sources))
		return fail("vSMMU %u: too many host SMMUs", number(smmu));
	if (ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &alloc))
		return fail("IOMMU_VEVENTQ_ALLOC: %s", strerror(errno));
	smmu->sources[i] = (struct source) {
		.smmu = smmu,
		.viommu = viommu,
		.fd = alloc.out_veventq_fd,
	};
	if (vsmmu_add_veventq(smmu->v, alloc.out_veventq_fd)) {
		last_fail(smmu, "vEVENTQ");
		goto err_close;
	}
	if (event_add(alloc.out_veventq_fd, event_ready, &smmu->sources[i]))
		goto err_remove;
	smmu->source_num++;
	return 0;
err_remove:
	vsmmu_remove_veventq(smmu->v, alloc.out_veventq_fd);
err_close:
	close(alloc.out_veventq_fd);
	return -1;
}

/**
 * smmu_attach - Attach a device to its vSMMU
 * @dev: from smmu_probe()
 *
 * Return: 0, or -1 after fail()
 */
int smmu_attach(struct vfio_dev *dev)
{
	struct smmu *smmu = &smmus[dev->smmu];
	struct smmuv3_accel_attach attach;

	if (vsmmu_attach(smmu->v, dev->fd, dev->rid, 0, 0, &attach))
		return last_fail(smmu, dev->bdf);
	if (open_veventq(smmu, attach.out_viommu_id)) {
		if (vsmmu_detach(smmu->v, dev->rid))
			last_note(smmu, dev->bdf);
		return -1;
	}
	return 0;
}

/**
 * smmu_detach - Detach a device from its vSMMU, which blocks its DMA
 * @dev: from smmu_attach()
 *
 * Return: 0, or -1 after fail(): the module still holds the device
 */
int smmu_detach(struct vfio_dev *dev)
{
	struct smmu *smmu = &smmus[dev->smmu];

	if (vsmmu_detach(smmu->v, dev->rid))
		return last_fail(smmu, dev->bdf);
	/* The guest's queue may have stopped at a command for the device. */
	retry_later(smmu);
	return 0;
}

/* The guest's accesses */

/*
 * A call of the library that runs the queue begins. Return: whether it is alone. If it is
 * not, it may leave its work to another call, and return 0 without knowing the result.
 */
static bool begin(struct smmu *smmu)
{
	return !__atomic_fetch_add(&smmu->calls, 1, __ATOMIC_ACQ_REL);
}

/*
 * Handle the result of a call after begin(). -EAGAIN is a temporary failure, such
 * as a device in reset: try again, and the guest waits. -EIO: the host fails;
 * print that once until it works again. 0 shows that only if @ran: the call was
 * alone, and had the queue to run. -EINVAL: the guest made an invalid access;
 * ignore it.
 */
static void check(struct smmu *smmu, const char *what, int rc, bool ran)
{
	bool alone = !__atomic_sub_fetch(&smmu->calls, 1, __ATOMIC_ACQ_REL);

	if (rc == -EINVAL)
		return;
	if (!rc && ran && alone)
		__atomic_store_n(&smmu->failing, false, __ATOMIC_RELAXED);
	else if (rc == -EAGAIN)
		retry_later(smmu);
	else if (rc && !__atomic_exchange_n(&smmu->failing, true, __ATOMIC_RELAXED))
		last_note(smmu, what);
}

static void retry(struct smmu *smmu)
{
	if (!eventfd_clear(smmu->retry_fd))
		return;
	if (smmu->poll) {
		poll_drain();
		if (poll_is_switching())
			retry_later(smmu);
	}
	smmu_kick(number(smmu));
}

/* A thread of its own: a kick runs all that the guest's queue has, too long for the main thread. */
static void *retry_thread(void *arg)
{
	for (;;)
		retry(arg);
	return NULL;
}

/**
 * smmu_access - Handle a guest's access to a vSMMU's registers
 * @a: @offset counts from SMMU_BASE
 *
 * Loads from the first page never come here: see smmu_vm_create().
 */
void smmu_access(struct access *a)
{
	struct smmu *smmu = &smmus[a->offset / SMMU_SIZE];
	uint64_t offset = a->offset % SMMU_SIZE;
	uint64_t value = 0;
	bool alone;
	int rc;

	if (!smmu->exists || a->len > SMMU_SIZE - offset)
		return;
	if (!a->write) {
		vsmmu_read(smmu->v, offset, &value, a->len);
		a->value = value;
		return;
	}
	/*
	 * Gathered doorbells are older than this store. Those of another vSMMU do not
	 * matter to it, and may take long.
	 */
	if (smmu->poll)
		poll_drain();
	alone = begin(smmu);
	rc = vsmmu_write(smmu->v, offset, a->value, a->len);
	check(smmu, "the host fails", rc, alone && offset == VSMMU_CMDQ_PROD);
	if (offset == VSMMU_CMDQ_PROD && rc != -EINVAL) {
		__atomic_fetch_add(&smmu->exits, 1, __ATOMIC_RELAXED);
		if (smmu->poll)
			poll_if_busy();
	}
}

/* A doorbell that poll.c found; smmu_kick() runs the commands. This does not wait for the host. */
void smmu_set_prod(unsigned int n, uint32_t prod)
{
	vsmmu_set_prod(smmus[n].v, prod);
}

void smmu_kick(unsigned int n)
{
	bool alone = begin(&smmus[n]);

	check(&smmus[n], "the host fails", vsmmu_kick(smmus[n].v), alone);
}

/* Have the thread for retries run the queue, and drain the ring as long as poll.c does not. */
void smmu_retry(unsigned int n)
{
	retry_later(&smmus[n]);
}

/* The machine's life */

/**
 * smmu_vm_create - Connect the vSMMUs to a VM that does not run yet
 *
 * The first page of registers is memory that the guest can read: loads cost no
 * exit, stores do. With the option "trap" loads exit as well.
 */
void smmu_vm_create(void)
{
	unsigned int n;

	for (n = 0; n < SMMU_MAX; n++) {
		if (!smmus[n].exists)
			continue;
		if (!smmus[n].trap &&
		    vm_map(SLOT_SMMU(n), SMMU_BASE + n * SMMU_SIZE, VSMMU_PAGE_SIZE,
			   vsmmu_page(smmus[n].v, 0), true))
			die("KVM does not take the registers of vSMMU %u: %s", n,
			    strerror(errno));
		if (smmus[n].poll)
			poll_add(n, SMMU_BASE + n * SMMU_SIZE + VSMMU_CMDQ_PROD);
	}
}

/* Reset the vSMMUs. The vCPUs have left the guest or are about to: see vm_interrupt(). */
void smmu_reset(void)
{
	struct smmu *smmu;
	bool alone;

	for (smmu = smmus; smmu < &smmus[SMMU_MAX]; smmu++) {
		if (!smmu->exists)
			continue;
		alone = begin(smmu);
		check(smmu, "reset", vsmmu_reset(smmu->v), alone);
	}
}

/* Statistics */

static void print_stats(FILE *out, const struct smmu *smmu)
{
	struct smmuv3_accel_stats s = { .size = sizeof(s) };

	if (ioctl(vsmmu_fd(smmu->v), SMMUV3_ACCEL_GET_STATS, &s))
		note("GET_STATS: %s", strerror(errno));

	const struct {
		const char *name;
		unsigned long long value;
	} counters[] = {
		{ "doorbells_exit", smmu->exits },
		{ "doorbells_polled", smmu->poll ? poll_count() : 0 },
		{ "cmds", s.out_cmds },
		{ "syncs", s.out_syncs },
		{ "issued", s.out_issued },
		{ "subsumed", s.out_subsumed },
		{ "merged", s.out_merged },
		{ "host_calls", s.out_host_calls },
		{ "zero_copy", s.out_zero_copy },
		{ "ste_installed", s.out_ste_installed },
		{ "ste_unchanged", s.out_ste_unchanged },
		{ "ste_bad", s.out_ste_bad },
		{ "cmd_errors", s.out_cmd_errors },
		{ "replays", s.out_replays },
		{ "withheld", s.out_withheld },
	};
	unsigned int i;

	fprintf(out, "{\"id\": %u", number(smmu));
	for (i = 0; i < ARRAY_LEN(counters); i++)
		fprintf(out, ", \"%s\": %llu", counters[i].name, counters[i].value);
	fprintf(out, "}");
}

void smmu_stats(FILE *out)
{
	const char *separator = "";
	unsigned int n;

	for (n = 0; n < SMMU_MAX; n++) {
		if (!smmus[n].exists)
			continue;
		fputs(separator, out);
		print_stats(out, &smmus[n]);
		separator = ", ";
	}
}
