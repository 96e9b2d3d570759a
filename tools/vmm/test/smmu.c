// SPDX-License-Identifier: GPL-2.0
/* How the VMM handles the answers of the library, which is a fake. */
#include "../smmu.c"
#include "test.h"

int iommufd = -1;
uint32_t ioas_id;
uint8_t *ram;
struct config config;

static struct {
	int rc;			/* result of guest accesses and of calls by the VMM */
	unsigned int kicks;
	unsigned int detaches;
	int removed;
	int broken;		/* the last vEVENTQ */
	bool no_phys;		/* vsmmu_start() knows no physical SMMU */
	struct vsmmu_options options;	/* the last one's */
	void (*at_write)(void);	/* what another thread does during vsmmu_write() */
} lib;

static int messages[2];

#define NO_REGISTER	0x1000	/* reserved */

bool vm_has_fwb(void)
{
	return true;
}

int vsmmu_new(const struct vsmmu_config *make, struct vsmmu **out, struct vsmmu_error *error)
{
	(void)make;
	(void)out;
	(void)error;
	return -1;
}

int vsmmu_probe(struct vsmmu *v, int vfio_fd, uint32_t s2_hwpt_id)
{
	(void)v;
	(void)vfio_fd;
	(void)s2_hwpt_id;
	return lib.rc;
}

int vsmmu_start(struct vsmmu *v, const struct vsmmu_options *options)
{
	(void)v;
	lib.options = *options;
	return lib.no_phys && !(options->flags & VSMMU_OPT_IDR) ? -ENODEV : lib.rc;
}

int vsmmu_attach(struct vsmmu *v, int vfio_fd, uint32_t vsid, uint32_t flags,
		 uint32_t s2_hwpt_id, struct smmuv3_accel_attach *info)
{
	(void)v;
	(void)vfio_fd;
	(void)vsid;
	(void)s2_hwpt_id;
	(void)flags;
	memset(info, 0, sizeof(*info));
	return lib.rc;
}

int vsmmu_detach(struct vsmmu *v, uint32_t vsid)
{
	(void)v;
	(void)vsid;
	lib.detaches++;
	return lib.rc;
}

int vsmmu_read(struct vsmmu *v, uint64_t offset, uint64_t *value, unsigned int size)
{
	(void)v;
	(void)offset;
	(void)size;
	*value = 0;
	return 0;
}

int vsmmu_write(struct vsmmu *v, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)v;
	(void)value;
	if (lib.at_write)
		lib.at_write();
	if (size == 4 && offset == NO_REGISTER)
		return 0;
	return size == 4 ? lib.rc : -EINVAL;
}

int vsmmu_set_prod(struct vsmmu *v, uint32_t prod)
{
	(void)v;
	(void)prod;
	return lib.rc;
}

int vsmmu_kick(struct vsmmu *v)
{
	(void)v;
	lib.kicks++;
	return lib.rc;
}

int vsmmu_reset(struct vsmmu *v)
{
	(void)v;
	return lib.rc;
}

void *vsmmu_page(struct vsmmu *v, unsigned int page)
{
	(void)page;
	return v;
}

int vsmmu_fd(struct vsmmu *v)
{
	(void)v;
	return -1;
}

int vsmmu_add_veventq(struct vsmmu *v, int fd)
{
	(void)v;
	(void)fd;
	return 0;
}

int vsmmu_remove_veventq(struct vsmmu *v, int fd)
{
	(void)v;
	lib.removed = fd;
	return 0;
}

int vsmmu_poll_events(struct vsmmu *v)
{
	(void)v;
	return lib.rc;
}

void vsmmu_last_error(struct vsmmu *v, struct vsmmu_error *error)
{
	(void)v;
	*error = (struct vsmmu_error) { .error = lib.rc, .fd = lib.broken };
}

const char *vsmmu_strerror(const struct vsmmu_error *error, char *buf, size_t len)
{
	snprintf(buf, len, "error %d", -error->error);
	return buf;
}

const char *vsmmu_reason_string(uint32_t reason)
{
	return reason == 80 ? "It is unknown." : "";
}

/* Return: the messages since the last call */
static const char *said(void)
{
	static char text[1000];
	ssize_t n;

	output_flush();
	n = read(messages[0], text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	return text;
}

static void guest_writes(unsigned int len)
{
	struct access a = { .offset = VSMMU_CMDQ_PROD, .len = len, .write = true };

	smmu_access(&a);
}

static int fresh(void **state)
{
	(void)state;
	memset(&lib, 0, sizeof(lib));
	smmus[0] = (struct smmu) { .exists = true, .retry_fd = -1 };
	return 0;
}

/* The VMM reports -EIO once until the host works again. */
static void test_host_fails(void **state)
{
	(void)state;
	guest_writes(4);
	assert_string_equal(said(), "");
	lib.rc = -EIO;
	guest_writes(4);
	assert_string_equal(said(), "vmm: vSMMU 0: the host fails: error 5\n");
	guest_writes(4);
	smmu_kick(0);
	assert_string_equal(said(), "");
	lib.rc = 0;
	guest_writes(4);
	lib.rc = -EIO;
	smmu_kick(0);
	assert_string_equal(said(), "vmm: vSMMU 0: the host fails: error 5\n");
	lib.rc = 0;
	guest_writes(4);
	lib.rc = -EIO;
	smmu_reset();
	assert_string_equal(said(), "vmm: vSMMU 0: reset: error 5\n");
}

/* The library leaves the work of this access to the one that is running the queue. */
static void ring_meanwhile(void)
{
	int rc = lib.rc;

	lib.at_write = NULL;
	lib.rc = 0;
	guest_writes(4);
	smmu_kick(0);
	lib.rc = rc;
}

/* An access that has nothing to do with the host does not show that the host works again. */
static void test_host_fails_once(void **state)
{
	struct access reserved = { .offset = NO_REGISTER, .len = 4, .write = true };
	int i;

	(void)state;
	lib.rc = -EIO;
	guest_writes(4);
	assert_string_equal(said(), "vmm: vSMMU 0: the host fails: error 5\n");
	for (i = 0; i < 100; i++) {
		lib.at_write = ring_meanwhile;
		guest_writes(4);
		assert_null(lib.at_write);
		guest_writes(2);
		smmu_access(&reserved);
	}
	assert_string_equal(said(), "");
	lib.rc = 0;
	smmu_kick(0);
	lib.rc = -EIO;
	guest_writes(4);
	assert_string_equal(said(), "vmm: vSMMU 0: the host fails: error 5\n");
}

/* Another call begins, and goes on after this one. */
static void begin_another(void)
{
	lib.at_write = NULL;
	assert_false(begin(&smmus[0]));
}

/* This one may have left its work to that, so it does not show that the host works again. */
static void test_host_may_fail(void **state)
{
	(void)state;
	lib.rc = -EIO;
	guest_writes(4);
	assert_string_equal(said(), "vmm: vSMMU 0: the host fails: error 5\n");
	lib.rc = 0;
	lib.at_write = begin_another;
	guest_writes(4);
	assert_null(lib.at_write);
	check(&smmus[0], "another call", -EIO, false);
	assert_string_equal(said(), "");
}

/* The VMM tries again after -EAGAIN, and reports a failure of that, too. */
static void test_host_fails_later(void **state)
{
	(void)state;
	smmus[0].retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	lib.rc = -EAGAIN;
	guest_writes(4);
	assert_string_equal(said(), "");
	lib.rc = -EIO;
	sleep_ms(20);
	retry(&smmus[0]);
	assert_int_equal(lib.kicks, 1);
	assert_string_equal(said(), "vmm: vSMMU 0: the host fails: error 5\n");
	close(smmus[0].retry_fd);
}

/*
 * Gathered doorbells come before a store, and do not matter to a load or another vSMMU:
 * to run their commands may take long.
 */
static void test_order(void **state)
{
	struct access load = { .offset = 0x100a8, .len = 4 };

	(void)state;
	fake.drains = 0;
	fake.busy = 0;
	guest_writes(4);
	assert_int_equal(fake.drains, 0);
	assert_int_equal(fake.busy, 0);
	smmus[0].poll = true;
	smmu_access(&load);
	assert_int_equal(fake.drains, 0);
	guest_writes(4);
	assert_int_equal(fake.drains, 1);
	assert_int_equal(fake.busy, 1);
}

/* An invalid access is no doorbell, and the VMM reports no failure. */
static void test_sizes(void **state)
{
	(void)state;
	guest_writes(2);
	guest_writes(8);
	assert_int_equal(smmus[0].exits, 0);
	guest_writes(4);
	assert_int_equal(smmus[0].exits, 1);
	assert_string_equal(said(), "");
}

/* While the polling thread waits for KVM, the one for retries takes doorbells, again and again. */
static void test_switching(void **state)
{
	unsigned int i;

	(void)state;
	smmus[0].retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	smmus[0].poll = true;
	fake.drains = 0;
	fake.switching = true;
	smmu_retry(0);
	for (i = 1; i <= 3; i++) {
		sleep_ms(20);
		fake.switching = i < 3;
		retry(&smmus[0]);
		assert_int_equal(fake.drains, i);
	}
	sleep_ms(20);
	retry(&smmus[0]);
	assert_int_equal(fake.drains, 3);
	close(smmus[0].retry_fd);
}

static void test_detach_fails(void **state)
{
	struct vfio_dev dev = { .bdf = "0000:00:01.0" };

	(void)state;
	smmus[0].retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	assert_int_equal(smmu_detach(&dev), 0);
	/* The cause for which the guest's queue had stopped may be gone. */
	sleep_ms(20);
	retry(&smmus[0]);
	assert_int_equal(lib.kicks, 1);
	close(smmus[0].retry_fd);
	lib.rc = -EBUSY;
	assert_int_equal(smmu_detach(&dev), -1);
	assert_string_equal(failure(), "vSMMU 0: 0000:00:01.0: error 16");
}

/* Without the events of its host SMMU a device does not stay attached. */
static void test_attach_fails(void **state)
{
	struct vfio_dev dev = { .bdf = "0000:00:01.0" };

	(void)state;
	assert_int_equal(smmu_attach(&dev), -1);
	assert_non_null(strstr(failure(), "IOMMU_VEVENTQ_ALLOC"));
	assert_int_equal(lib.detaches, 1);
	assert_int_equal(smmus[0].source_num, 0);
}

/* It is the one that cannot be read, which may be another than the one that is ready. */
static void test_events_fail(void **state)
{
	struct source source = { .smmu = &smmus[0], .fd = 7 };

	(void)state;
	lib.broken = eventfd_make();
	assert_int_equal(event_add(lib.broken, event_ready, &source), 0);
	event_ready(&source);
	assert_int_equal(lib.removed, 0);
	lib.rc = -EPROTO;
	event_ready(&source);
	assert_int_equal(lib.removed, lib.broken);
	assert_non_null(strstr(said(), "a vEVENTQ is not read any more: error 71"));
	/* The main thread looks at it no more. */
	assert_int_equal(event_add(lib.broken, event_ready, &source), 0);
	event_del(lib.broken);
	close(lib.broken);
}

/* The VMM reports a guest's illegal command, with its words. */
static void test_command_fails(void **state)
{
	static const struct vsmmu_cmd_error error = {
		.cerror = 1, .reason = 80, .index = 7, .cmd = { { 0xff, 0x12 } },
	};

	(void)state;
	command_failed(&smmus[0], &error);
	assert_string_equal(said(),
			    "vmm: vSMMU 0: the guest's command 7, 0xff 0x12: It is unknown.\n");
}

/*
 * What the options offer, also without a device at start: then the registers are
 * computed by the library, which is no fake here.
 */
static void test_options(void **state)
{
	static const uint32_t least[6] = {
		/* ST_LEVEL, TERM_MODEL, STALL_MODEL 1, little endian, COHACC, AArch64, S1P */
		[0] = 1U << 27 | 1U << 26 | 1U << 24 | 2U << 21 | 1U << 4 | 2U << 2 | 1U << 1,
		/* CMDQS, EVENTQS, SIDSIZE */
		[1] = 12U << 21 | 11U << 16 | 16U,
		/* GRAN4K, OAS */
		[5] = 1U << 4 | 2U,
	};

	(void)state;
	smmus[0].exists = false;
	assert_int_equal(smmu_option("ril=off,msi=on"), 0);
	smmu_start();
	assert_int_equal(lib.options.flags, VSMMU_OPT_NO_RIL | VSMMU_OPT_MSI);
	lib.no_phys = true;
	smmu_start();
	assert_true(lib.options.flags & VSMMU_OPT_IDR);
	assert_int_equal(lib.options.idr[0] ^ least[0], 1U << 13 /* MSI */);
	assert_memory_equal(&lib.options.idr[1], &least[1], sizeof(least) - sizeof(least[0]));

	smmus[0].exists = false;
	assert_int_equal(smmu_option(""), 0);
	smmu_start();
	assert_int_equal(lib.options.flags, VSMMU_OPT_IDR);
	assert_memory_equal(lib.options.idr, least, sizeof(least));
	assert_int_equal(smmus[0].create_flags, 0);

	smmus[0].exists = false;
	assert_int_equal(smmu_option("poll,no-global"), 0);
	assert_int_equal(smmus[0].create_flags, SMMUV3_ACCEL_CREATE_NO_GLOBAL);
	/* Nobody drains the ring while the commands of a doorbell are carried out. */
	assert_int_equal(smmu_option("poll"), -1);
	assert_string_equal(failure(), "vSMMU 1: only one can have 'poll': see vSMMU 0");
	assert_false(smmu_exists(1));
	assert_int_equal(smmu_option(""), 0);
	smmus[1].exists = false;
	assert_int_equal(smmu_option("msi"), -1);
	assert_string_equal(failure(), "a vSMMU has no option 'msi'");
}

/* Loads of the first page of registers cost no exit, unless that is asked for. */
static void test_trap(void **state)
{
	(void)state;
	smmus[0].exists = false;
	assert_int_equal(smmu_option("trap"), 0);
	assert_int_equal(smmu_option(""), 0);
	assert_true(smmus[0].trap);
	assert_false(smmus[1].trap);
	fake.maps = 0;
	smmu_vm_create();
	assert_int_equal(fake.maps, 1);
	smmus[1].exists = false;
	fake.maps = 0;
	smmu_vm_create();
	assert_int_equal(fake.maps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_host_fails, fresh),
		cmocka_unit_test_setup(test_host_fails_once, fresh),
		cmocka_unit_test_setup(test_host_may_fail, fresh),
		cmocka_unit_test_setup(test_host_fails_later, fresh),
		cmocka_unit_test_setup(test_order, fresh),
		cmocka_unit_test_setup(test_sizes, fresh),
		cmocka_unit_test_setup(test_switching, fresh),
		cmocka_unit_test_setup(test_detach_fails, fresh),
		cmocka_unit_test_setup(test_attach_fails, fresh),
		cmocka_unit_test_setup(test_events_fail, fresh),
		cmocka_unit_test_setup(test_command_fails, fresh),
		cmocka_unit_test_setup(test_options, fresh),
		cmocka_unit_test_setup(test_trap, fresh),
	};

	if (pipe2(messages, O_NONBLOCK))
		return 1;
	output_start(STDOUT_FILENO, messages[1]);
	event_init();
	return cmocka_run_group_tests_name("smmu", tests, NULL, NULL);
}
