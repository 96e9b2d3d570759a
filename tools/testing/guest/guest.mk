# SPDX-License-Identifier: GPL-2.0
# A guest to run in the emulated host with any VMM: the kernel "base", whichever
# kernel the host has, and an initramfs. They appear as /opt/guest there. The
# initramfs's init describes what the guest can do.

GUEST_DIR := tools/testing/guest
GUEST_OUT := build/vm/%/guest
GUEST_PROGRAMS := diskio diskstress edu-fault cmdq-fault
GUEST_ROOT := build/guest

$(VM_FLAVOURS:%=vm-files-%): vm-files-%: $(GUEST_OUT)/Image $(GUEST_OUT)/initramfs

$(GUEST_OUT)/Image: $(VM_CACHE)/kernel-base/key
	@mkdir -p $(@D)
	$(Q)cp $(VM_CACHE)/kernel-base/arch/arm64/boot/Image $@

$(GUEST_ROOT)/bin/%: $(GUEST_DIR)/%.c
	@mkdir -p $(@D)
	$(Q)$(VM_CROSS)gcc $(VM_CFLAGS) -o $@ $<

$(GUEST_OUT)/initramfs: $(GUEST_DIR)/init $(VM_CACHE)/busybox/bin/busybox $(GUEST_PROGRAMS:%=$(GUEST_ROOT)/bin/%)
	@mkdir -p $(@D) $(GUEST_ROOT)/dev $(GUEST_ROOT)/proc $(GUEST_ROOT)/sys $(GUEST_ROOT)/run
	$(Q)cp $(VM_CACHE)/busybox/bin/busybox $(GUEST_ROOT)/bin/
	$(Q)install -m 755 $(GUEST_DIR)/init $(GUEST_ROOT)/init
	$(Q)cd $(GUEST_ROOT) && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 >$(CURDIR)/$@.tmp
	$(Q)mv $@.tmp $@
