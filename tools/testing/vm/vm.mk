# SPDX-License-Identifier: GPL-2.0
# What the emulated host runs: the module with its KUnit tests, the kselftests
# and the example, built for the kernels that setup.sh made. Each flavour goes
# into a folder of its own, which appears as /opt there.

VM_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/smmuv3-accel
VM_CROSS := aarch64-linux-gnu-
VM_HEADERS := $(VM_CACHE)/kernel-base/usr/include
VM_CFLAGS := -O2 -Wall -Wextra -Werror -static -D_GNU_SOURCE \
	-isystem $(VM_HEADERS) -I$(CURDIR)/include/uapi
VM_CONFIG := CONFIG_SMMUV3_ACCEL=m CONFIG_SMMUV3_ACCEL_KUNIT_TEST=m

VM_MODULE_SRC := Kbuild $(wildcard drivers/iommu/smmuv3-accel/*) include/uapi/linux/smmuv3_accel.h
VM_TEST_DIR := tools/testing/selftests/smmuv3-accel
VM_TEST_SRC := $(wildcard $(VM_TEST_DIR)/*) include/uapi/linux/smmuv3_accel.h
VM_EXAMPLE_SRC := $(wildcard tools/examples/*.[ch]) include/uapi/linux/smmuv3_accel.h

.PHONY: vm-base vm-debug
vm-base vm-debug: vm-%: build/vm/%/module.stamp build/vm/%/tests.stamp build/vm/%/bin/first-lesson

build/vm/%/module.stamp: $(VM_MODULE_SRC) $(VM_CACHE)/kernel-%/key
	@mkdir -p $(@D)
	$(Q)$(MAKE) -s -C $(VM_CACHE)/kernel-$* M=$(CURDIR) MO=$(CURDIR)/build/kbuild-$* \
		ARCH=arm64 CROSS_COMPILE=$(VM_CROSS) KBUILD_MODPOST_WARN= $(VM_CONFIG) $(VM_KBUILD) modules
	$(Q)cp build/kbuild-$*/drivers/iommu/smmuv3-accel/*.ko \
		$(VM_CACHE)/kernel-$*/samples/vfio-mdev/mtty.ko \
		$(VM_CACHE)/kernel-$*/drivers/vfio/mdev/mdev.ko $(@D)/
	$(Q)touch $@

build/vm/%/tests.stamp: $(VM_TEST_SRC) $(VM_CACHE)/kernel-base/key
	@mkdir -p $(@D)/bin
	$(Q)$(MAKE) -s -C $(VM_TEST_DIR) OUTPUT=$(CURDIR)/$(@D)/bin KSFT_DIR=$(VM_CACHE)/linux/tools/testing/selftests \
		ARCH=arm64 CROSS_COMPILE=$(VM_CROSS) KHDR_INCLUDES="-isystem $(VM_HEADERS) -isystem $(CURDIR)/include/uapi" \
		USERCFLAGS="-Werror -static" all
	$(Q)touch $@

build/vm/%/bin/first-lesson: $(VM_EXAMPLE_SRC) $(VM_CACHE)/kernel-base/key
	@mkdir -p $(@D)
	$(Q)$(VM_CROSS)gcc $(VM_CFLAGS) -o $@ tools/examples/first-lesson.c
