// SPDX-License-Identifier: GPL-2.0
/* A device on the guest's bus, with the VFIO of fakes.c */
#include <string.h>
#include <sys/resource.h>
#include <linux/pci_regs.h>

#include "../pci.c"
#include "test.h"

#define SLOT	8
#define MSIX	0x40
#define VECTORS	64

static struct vfio_dev *vfio(void)
{
	return &slots[SLOT]->vfio;
}

static uint64_t ecam(unsigned int reg, unsigned int len, bool write, uint64_t value)
{
	struct access a = {
		.offset = SLOT << 15 | reg,
		.len = len,
		.write = write,
		.value = value,
	};

	pci_ecam_access(&a);
	return a.value;
}

static uint16_t hardware_command(void)
{
	uint16_t command = 0xffff;

	assert_int_equal(pread(vfio()->fd, &command, 2, vfio()->config + PCI_COMMAND), 2);
	return command;
}

/* vfio_open() of fakes.c has an empty config space. */
int smmu_probe(struct vfio_dev *dev)
{
	const uint8_t status = PCI_STATUS_CAP_LIST, cap = MSIX, id = PCI_CAP_ID_MSIX, pin = 1;
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	/* The state in which the host left it */
	assert_int_equal(pwrite(dev->fd, &command, 2, PCI_COMMAND), 2);
	assert_int_equal(pwrite(dev->fd, &status, 1, PCI_STATUS), 1);
	assert_int_equal(pwrite(dev->fd, &cap, 1, PCI_CAPABILITY_LIST), 1);
	assert_int_equal(pwrite(dev->fd, &id, 1, MSIX), 1);
	assert_int_equal(pwrite(dev->fd, &pin, 1, PCI_INTERRUPT_PIN), 1);
	return 0;
}

static void start_guest(void)
{
	ecam(PCI_BASE_ADDRESS_0, 4, true, PCI32_BASE);
	ecam(PCI_COMMAND, 2, true, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(hardware_command(), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(fake.maps, 1);
}

static int plug(void **state)
{
	(void)state;
	fake = (struct fake) { .vectors = VECTORS };
	assert_int_equal(pci_plug("0000:00:01.0"), SLOT);
	return 0;
}

static int unplug(void **state)
{
	(void)state;
	fake.detach_rc = 0;
	assert_int_equal(pci_unplug(SLOT), 0);
	return 0;
}

/* A function without a reset of its own keeps its command register unless the VMM clears it. */
static void test_command_is_reset(void **state)
{
	(void)state;
	/* Plugging clears it, too. */
	assert_int_equal(ecam(PCI_COMMAND, 2, false, 0), 0);
	start_guest();
	pci_reset();
	assert_int_equal(fake.resets, 1);
	assert_int_equal(fake.maps, 0);
	assert_int_equal(hardware_command(), 0);
	assert_int_equal(ecam(PCI_COMMAND, 2, false, 0), 0);
}

/* After a reset VFIO restores the config space that it had before. */
static int command_at_reset(struct vfio_dev *dev)
{
	uint16_t command = 0xffff;

	assert_int_equal(pread(dev->fd, &command, 2, dev->config + PCI_COMMAND), 2);
	assert_int_equal(command, 0);
	return 0;
}

static void test_command_before_flr(void **state)
{
	(void)state;
	start_guest();
	fake.at_reset = command_at_reset;
	pci_reset();
	assert_int_equal(fake.resets, 1);
}

static void test_unplug_fails(void **state)
{
	(void)state;
	start_guest();
	fake.detach_rc = -1;
	assert_int_equal(pci_unplug(SLOT), -1);
	assert_string_equal(failure(), "the module says no");
	/* It is still there, and has been reset. */
	assert_non_null(slots[SLOT]);
	assert_int_equal(hardware_command(), 0);
	assert_int_equal(fake.maps, 0);
	start_guest();
	/* The host asks, and asks again. */
	host_wants_it_back(slots[SLOT]);
	assert_non_null(slots[SLOT]);
	fake.detach_rc = 0;
	host_wants_it_back(slots[SLOT]);
	assert_null(slots[SLOT]);
	assert_int_equal(fake.detaches, 3);
	assert_int_equal(plug(state), 0);
}

static unsigned int looks;

static void look(void)
{
	assert_int_equal((uint32_t)ecam(PCI_VENDOR_ID, 4, false, 0), 0xffffffff);
	looks++;
}

/* The guest's accesses do not wait for the host, and find a device that is attached only. */
static void test_no_wait(void **state)
{
	(void)state;
	assert_int_equal((uint32_t)ecam(PCI_VENDOR_ID, 4, false, 0), 0);
	looks = 0;
	fake.at_attach = look;
	fake.detach_rc = -1;
	assert_int_equal(pci_unplug(SLOT), -1);
	assert_int_equal((uint32_t)ecam(PCI_VENDOR_ID, 4, false, 0), 0);
	fake.detach_rc = 0;
	assert_int_equal(pci_unplug(SLOT), 0);
	assert_int_equal(looks, 2);
	assert_int_equal(pci_plug("0000:00:01.0"), SLOT);
	assert_int_equal(looks, 3);
	fake.at_attach = NULL;
	assert_int_equal((uint32_t)ecam(PCI_VENDOR_ID, 4, false, 0), 0);
}

/* Plugging refuses a device that has more vectors than there are descriptors. */
static void test_descriptors(void **state)
{
	struct rlimit before, few;
	unsigned int i;

	assert_int_equal(unplug(state), 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = 64 + VECTORS;	/* 64 are kept back */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(pci_plug("0000:00:01.0"), -1);
	assert_non_null(strstr(failure(), "not enough file descriptors for 64 interrupt vectors"));
	assert_null(slots[SLOT]);
	assert_int_equal(fake.detaches, 2);

	few.rlim_cur += 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(pci_plug("0000:00:01.0"), SLOT);
	/* A plugged device has the descriptors for all that the guest can enable. */
	few.rlim_cur = 8;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (i = 0; i < VECTORS; i++)
		slots[SLOT]->vector[i].entry[3] = 0;
	ecam(MSIX + PCI_MSIX_FLAGS, 2, true, PCI_MSIX_FLAGS_ENABLE);
	for (i = 0; i < VECTORS; i++) {
		assert_true(slots[SLOT]->vector[i].fd >= 0);
		assert_true(slots[SLOT]->vector[i].live);
	}
	setrlimit(RLIMIT_NOFILE, &before);
}

/* A vector that is pending when MSIs are disabled is not delivered when they are enabled again. */
static void test_vectors_are_cleared(void **state)
{
	struct vector *vector = &slots[SLOT]->vector[3];
	const uint64_t one = 1;

	(void)state;
	vector->entry[3] = 0;
	ecam(MSIX + PCI_MSIX_FLAGS, 2, true, PCI_MSIX_FLAGS_ENABLE);
	assert_true(vector->live);
	ecam(MSIX + PCI_MSIX_FLAGS, 2, true, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_false(vector->live);
	assert_int_equal(write(vector->fd, &one, sizeof(one)), sizeof(one));
	ecam(MSIX + PCI_MSIX_FLAGS, 2, true, PCI_MSIX_FLAGS_MASKALL);
	assert_false(eventfd_clear(vector->fd));
	assert_false(vector->connected);
}

static void test_options(void **state)
{
	char text[OPTIONS_MAX + 20];
	int len;

	(void)state;
	/* Truncated to 79 characters it would be valid. */
	len = snprintf(text, sizeof(text), "0000:00:02.0,slot=%061dx", 9);
	assert_int_equal(len, OPTIONS_MAX);
	assert_int_equal(pci_plug(text), -1);
	assert_string_equal(failure(), "a device's options are too long");
	assert_int_equal(pci_plug("0000:00:02.0,slot=-1"), -1);
	assert_int_equal(pci_plug("0000:00:02.0,slot=32"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_command_is_reset, plug, unplug),
		cmocka_unit_test_setup_teardown(test_command_before_flr, plug, unplug),
		cmocka_unit_test_setup_teardown(test_unplug_fails, plug, unplug),
		cmocka_unit_test_setup_teardown(test_no_wait, plug, unplug),
		cmocka_unit_test_setup_teardown(test_descriptors, plug, unplug),
		cmocka_unit_test_setup_teardown(test_vectors_are_cleared, plug, unplug),
		cmocka_unit_test_setup_teardown(test_options, plug, unplug),
	};

	/* A test that waits for ever has failed. */
	alarm(300);
	event_init();
	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
