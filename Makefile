# SPDX-License-Identifier: GPL-2.0-only
#
#   make                   build smmuv3-accel.ko for KDIR (the running kernel's build folder)
#   make modules_install   install it below INSTALL_MOD_PATH
#   make demo              boot the emulated host and run two lessons there
#   make demo-guest        the reference VMM boots a guest there, with an NVMe behind its vSMMU
#   make demo-qemu         QEMU boots guests there, with its SMMUv3 on /dev/smmuv3-accel
#   make check             static checks, unit tests, KUnit and kselftests; fetches what it needs
#   make check-guests      Debian's stock kernels as guests behind the reference VMM
#   make check-vcpus       a guest with 4 vCPUs there, with disks behind two host SMMUs
#   make check-debian      Debian boots from a disk behind it, and is powered off
#   make check-sriov       virtual functions of a network card, passed through there
#   make check-debug       KUnit and the kselftests on a kernel with KASAN, lockdep, kmemleak
#   make check-hosts       KUnit and the kselftests on older kernels
#   make coverage          the same on a kernel that counts how often each line runs
#   make bench             measure what a doorbell costs, on the emulated host
#   make bench-guest       the same guest there behind QEMU and behind the reference VMM
#   make bench-vcpus       that guest with 4 vCPUs
#   make bench-qemu        the same guest there behind QEMU's own acceleration and this one
#   make htmldocs          the documentation, as web pages in build/htmldocs
#   make deb, check-deb    build Debian packages in build/deb; test them
#   make check-kernels     compile the module for each series of kernels from the oldest
#   make clean
#
# KDIR=, ARCH=, CROSS_COMPILE=, V=1 as for the kernel.

KDIR ?= /lib/modules/$(shell uname -r)/build
MODULE_OUT := $(CURDIR)/build/module
Q := $(if $(filter 1,$(V)),,@)

KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(MODULE_OUT) CONFIG_SMMUV3_ACCEL=m

.PHONY: all modules modules_install clean demo demo-guest check check-debug bench
.PHONY: coverage bench-guest htmldocs deb check-deb check-kernels check-hosts check-guests
.PHONY: check-vcpus check-debian check-sriov demo-qemu bench-qemu bench-vcpus
all modules: kernel-config
	+$(Q)$(KBUILD) modules
	@echo "built $(MODULE_OUT:$(CURDIR)/%=%)/drivers/iommu/smmuv3-accel/smmuv3-accel.ko"

modules_install: kernel-config
	+$(Q)$(KBUILD) modules_install

.PHONY: kernel-config
kernel-config:
	$(Q)scripts/check-kernel.sh "$(KDIR)"

demo:
	$(Q)tools/testing/demo.sh

demo-guest:
	$(Q)tools/testing/demo-guest.sh

demo-qemu:
	$(Q)tools/testing/demo-qemu.sh

check:
	$(Q)tools/testing/check.sh

check-guests:
	$(Q)tools/testing/guests.sh

check-vcpus:
	$(Q)tools/testing/vcpus.sh

check-debian:
	$(Q)tools/testing/debian-guest.sh

check-sriov:
	$(Q)tools/testing/sriov.sh

check-debug:
	$(Q)tools/testing/check.sh --debug

check-hosts:
	$(Q)tools/testing/check.sh --hosts

coverage:
	$(Q)tools/testing/check.sh --coverage

bench:
	$(Q)tools/bench/bench.sh

bench-guest:
	$(Q)tools/bench/bench-guest.sh

bench-vcpus:
	$(Q)tools/bench/bench-guest.sh vcpus

bench-qemu:
	$(Q)tools/bench/bench-guest.sh qemu

htmldocs:
	$(Q)tools/testing/vm/setup.sh docs
	$(Q)PYTHONDONTWRITEBYTECODE=1 srctree="$(VM_CACHE)/linux" \
		sphinx-build -q -E -a -W --keep-going -d build/doctrees Documentation build/htmldocs
	@echo "built build/htmldocs/index.html"

deb:
	$(Q)tools/testing/deb.sh build

check-deb: deb
	$(Q)tools/testing/deb.sh check

check-kernels:
	$(Q)tools/testing/kernels.sh

clean:
	$(Q)rm -rf build

include tools/testing/vm/vm.mk
include tools/testing/guest/guest.mk
