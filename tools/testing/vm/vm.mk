# SPDX-License-Identifier: GPL-2.0
# What the emulated host runs: the module with its KUnit tests, the kselftests and the
# examples, built for the kernels of setup.sh. Each flavour has a folder of its own,
# which the host sees as /opt.

VM_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/smmuv3-accel
VM_CROSS := aarch64-linux-gnu-
VM_CFLAGS := -O2 -Wall -Wextra -Werror -static -D_GNU_SOURCE -I$(CURDIR)/include/uapi
VM_CONFIG := CONFIG_SMMUV3_ACCEL=m CONFIG_SMMUV3_ACCEL_KUNIT_TEST=m
VM_SILENT := $(if $(filter 1,$(V)),,-s)

# The host kernels: those in tools/testing/vm/config, and "base" of other series
VM_FLAVOURS := base debian debug gcov kcsan sriov \
	$(patsubst $(VM_CACHE)/kernel-%/key,%,$(wildcard $(VM_CACHE)/kernel-[0-9]*.[0-9]*/key))

VM_UAPI := include/uapi/linux/smmuv3_accel.h
VM_MODULE_SRC := Kbuild $(wildcard drivers/iommu/smmuv3-accel/*) $(VM_UAPI)
VM_TEST_DIR := tools/testing/selftests/smmuv3-accel
VM_TEST_SRC := $(wildcard $(VM_TEST_DIR)/*) $(VM_UAPI)
VM_COMMON_SRC := $(VM_TEST_DIR)/guest.c $(VM_TEST_DIR)/device.c
VM_PROGRAMS := first-lesson table-lesson libvsmmu-dma libvsmmu-traces
# Only if setup.sh has fetched what fits the machine's rustc
ifneq ($(wildcard $(VM_CACHE)/rust/version),)
ifeq ($(file <$(VM_CACHE)/rust/version),$(shell dpkg-query -W -f '$${source:Version}' rustc 2>/dev/null))
VM_PROGRAMS += rust-lesson
endif
endif
VM_SCRIPTS := console.sh tap.sh run-tests bench-all bench-steps rounds rounds-test

# Do one build at a time, because emulated hosts may be started side by side. lib.sh
# refuses a cache that another user can change.
.PHONY: $(VM_FLAVOURS:%=vm-%) $(VM_FLAVOURS:%=vm-files-%)
$(VM_FLAVOURS:%=vm-%): vm-%:
	@bash -c '. tools/testing/vm/lib.sh' make
	@mkdir -p build
	$(Q)flock build/vm.lock $(MAKE) --no-print-directory \
		$(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) vm-files-$*

$(VM_FLAVOURS:%=vm-files-%): vm-files-%: build/vm/%/module.stamp build/vm/%/tests.stamp \
		$(VM_PROGRAMS:%=build/vm/\%/bin/%) build/vm/%/bin/vmm build/vm/%/bin/smmuv3-accel-bench \
		$(VM_SCRIPTS:%=build/vm/\%/bin/%)
	@:

# $(1): folder, $(2): what makes it, $(3): the kernel's key. Remove the leftovers of a
# killed build, because they look complete. Do so too after the kernel's configuration
# has changed: kbuild does not notice that for a module outside its tree.
define vm_make
{ [ ! -e $(1)/unfinished ] && cmp -s $(3) $(1)/key; } || rm -rf $(1); \
mkdir -p $(1) && cp $(3) $(1)/key && touch $(1)/unfinished && \
{ $(2); status=$$?; rm -f $(1)/unfinished; exit $$status; }
endef

build/vm/%/module.stamp: $(VM_MODULE_SRC) $(VM_CACHE)/kernel-%/key
	@mkdir -p $(@D)
	$(Q)$(call vm_make,build/kbuild-$*,$(MAKE) $(VM_SILENT) -C $(VM_CACHE)/kernel-$* \
		M=$(CURDIR) MO=$(CURDIR)/build/kbuild-$* \
		ARCH=arm64 CROSS_COMPILE=$(VM_CROSS) $(VM_CONFIG) $(VM_KBUILD) \
		$(if $(filter gcov,$*),GCOV_PROFILE=y) modules,$(VM_CACHE)/kernel-$*/key)
	$(Q)rsync -t build/kbuild-$*/drivers/iommu/smmuv3-accel/*.ko \
		$(VM_CACHE)/kernel-$*/samples/vfio-mdev/mtty.ko \
		$(VM_CACHE)/kernel-$*/drivers/vfio/mdev/mdev.ko $(@D)/
	$(Q)touch $@

build/vm/%/tests.stamp: $(VM_TEST_SRC) $(VM_CACHE)/kernel-%/key
	@mkdir -p $(@D)/bin
	$(Q)$(call vm_make,build/kselftest-$*,$(MAKE) $(VM_SILENT) -C $(VM_TEST_DIR) \
		OUTPUT=$(CURDIR)/build/kselftest-$* INSTALL_PATH=$(CURDIR)/$(@D)/bin \
		KSFT_DIR=$(VM_CACHE)/linux/tools/testing/selftests ARCH=arm64 CROSS_COMPILE=$(VM_CROSS) \
		KHDR_INCLUDES="-isystem $(VM_CACHE)/kernel-$*/usr/include -isystem $(CURDIR)/include/uapi" \
		USERCFLAGS="-Werror -static" install,$(VM_CACHE)/kernel-$*/key)
	$(Q)touch $@

# $(1): a program, $(2): the folder of its source
define vm_program
build/vm/%/bin/$(1): $(2)/$(1).c $(VM_COMMON_SRC) $(VM_TEST_DIR)/guest.h $(VM_UAPI) $(VM_CACHE)/kernel-%/key
	@mkdir -p $$(@D)
	$$(Q)$(VM_CROSS)gcc $(VM_CFLAGS) -isystem $(VM_CACHE)/kernel-$$*/usr/include \
		-I$(VM_TEST_DIR) -o $$@.tmp $(2)/$(1).c $(VM_COMMON_SRC)
	$$(Q)mv $$@.tmp $$@
endef
$(eval $(call vm_program,first-lesson,tools/examples))

# The library, built by its own makefile, and programs that use it
VM_LIB := tools/lib/vsmmu
VM_LIB_SRC := $(wildcard $(VM_LIB)/*.[ch] $(VM_LIB)/Makefile) scripts/reasons.awk
$(VM_FLAVOURS:%=build/libvsmmu-%/libvsmmu.a): build/libvsmmu-%/libvsmmu.a: $(VM_LIB_SRC) $(VM_UAPI)
	$(Q)$(MAKE) $(VM_SILENT) -C $(VM_LIB) OUTPUT=$(CURDIR)/build/libvsmmu-$* CROSS_COMPILE=$(VM_CROSS) \
		CFLAGS="-O2 -Werror" all

# $(1): a program, $(2): the folder of its source, $(3): more options, $(4): more sources
define vm_lib_program
build/vm/%/bin/$(1): $(2)/$(1).c $(4) build/libvsmmu-%/libvsmmu.a $(VM_COMMON_SRC) $(VM_TEST_DIR)/guest.h \
		$(VM_UAPI) $(VM_CACHE)/kernel-%/key
	@mkdir -p $$(@D)
	$$(Q)$(VM_CROSS)gcc $(VM_CFLAGS) -isystem $(VM_CACHE)/kernel-$$*/usr/include \
		-I$(VM_TEST_DIR) -I$(VM_LIB) $(3) -o $$@.tmp $(2)/$(1).c $(filter %.c,$(4)) $(VM_COMMON_SRC) \
		build/libvsmmu-$$*/libvsmmu.a
	$$(Q)mv $$@.tmp $$@
endef
$(eval $(call vm_lib_program,table-lesson,tools/examples))
$(eval $(call vm_lib_program,libvsmmu-dma,$(VM_LIB)/test,-Wno-sign-compare -I$(VM_CACHE)/linux/tools/testing/selftests,\
	$(VM_LIB)/test/machine.c $(VM_LIB)/test/machine.h))
$(eval $(call vm_lib_program,libvsmmu-traces,$(VM_LIB)/test,-I$(VM_CACHE)/linux/tools/testing/selftests,\
	$(addprefix $(VM_LIB)/test/,machine.c machine.h trace.c trace.h drivers.c corners.c steps.h)))

build/vm/%/bin/vmm: $(wildcard tools/vmm/*) $(VM_LIB_SRC) $(VM_UAPI) $(VM_CACHE)/kernel-%/key $(VM_CACHE)/vmm-libs/lib/libfdt.a
	@mkdir -p $(@D)
	$(Q)$(MAKE) $(VM_SILENT) -C tools/vmm OUTPUT=$(CURDIR)/build/vmm-$* CROSS_COMPILE=$(VM_CROSS) \
		CFLAGS="-O2 -Werror -static -isystem $(VM_CACHE)/kernel-$*/usr/include -isystem $(VM_CACHE)/vmm-libs/include" \
		LDFLAGS="-L$(VM_CACHE)/vmm-libs/lib"
	$(Q)rsync -t build/vmm-$*/vmm $@

VM_CTL := tools/smmuv3-accelctl
build/vm/%/bin/smmuv3-accel-bench: $(wildcard tools/bench/*.[ch] $(VM_CTL)/*.[ch]) tools/bench/Makefile scripts/headers.mk scripts/reasons.awk \
		$(VM_COMMON_SRC) $(VM_TEST_DIR)/guest.h $(VM_UAPI) $(VM_CACHE)/kernel-%/key
	@mkdir -p $(@D)
	$(Q)$(MAKE) $(VM_SILENT) -C tools/bench O=$(CURDIR)/build/bench-$* CROSS_COMPILE=$(VM_CROSS) LDFLAGS=-static \
		KHDR_INCLUDES="-isystem $(VM_CACHE)/kernel-$*/usr/include"
	$(Q)rsync -t build/bench-$*/smmuv3-accel-bench $@

VM_RUST := tools/rust
build/vm/%/bin/rust-lesson: $(wildcard $(addprefix $(VM_RUST)/,*.toml *.rs src/*.rs lesson/*.* lesson/src/*.rs Makefile)) \
		scripts/reasons.awk $(VM_COMMON_SRC) $(VM_TEST_DIR)/guest.h $(VM_UAPI) \
		$(VM_CACHE)/kernel-%/key $(VM_CACHE)/rust/version
	@mkdir -p $(@D)
	$(Q)$(MAKE) $(VM_SILENT) -C $(VM_RUST) OUTPUT=$(CURDIR)/build/rust-$* CROSS_COMPILE=$(VM_CROSS) \
		RUST_SYSROOT=$(VM_CACHE)/rust/usr KHDR_INCLUDES="-isystem $(VM_CACHE)/kernel-$*/usr/include" lesson
	$(Q)rsync -t build/rust-$*/rust-lesson $@

# $(1): a script
define vm_script
build/vm/%/bin/$(notdir $(1)): $(1)
	@mkdir -p $$(@D)
	$$(Q)install -m 755 $$< $$@
endef
$(eval $(call vm_script,tools/testing/vm/console.sh))
$(eval $(call vm_script,tools/testing/tap.sh))
$(eval $(call vm_script,tools/testing/vm/run-tests))
$(eval $(call vm_script,tools/bench/bench-all))
$(eval $(call vm_script,tools/bench/bench-steps))
$(eval $(call vm_script,tools/bench/guest/rounds))
$(eval $(call vm_script,tools/bench/guest/rounds-test))

$(VM_CACHE)/vmm-libs/lib/libfdt.a:
	@echo "$@ is missing: run tools/testing/vm/setup.sh vmm-libs" >&2; exit 1

$(VM_FLAVOURS:%=$(VM_CACHE)/kernel-%/key):
	@echo "$@ is missing: run tools/testing/vm/setup.sh $(patsubst %-base,%,$(notdir $(@D)))" >&2; exit 1
