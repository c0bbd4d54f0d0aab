# Tests of the whole machine, in QEMU.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += qemu-system-x86 ovmf grub-efi-amd64-bin grub-common

SYSTEM_TESTS += tests/system/kernels tests/system/bad-input tests/system/loaders tests/system/dom0
DEPS += grub-pc-bin xorriso mtools

# The Intel machine: VMX and EPT, which QEMU does not emulate.
DEPS += bochs bochsbios seabios
BOCHS_TESTS += tests/system/bochs
# The host's own processor with nested virtualization, where there is any: make test BED=kvm.
KVM_TESTS += tests/system/kvm

# Guests: whole operating systems, their ends, hostile ones. `make soak` does it for long.
DEPS += e2fsprogs
SYSTEM_TESTS += tests/system/hvm-kernels tests/system/hostile
SYSTEM_TESTS += tests/system/guests tests/system/bad-guests tests/system/leaks

# Other people's guests, unpacked and never installed.
GUESTS_ROOT := $(B)/cache/guests-root
$(GUESTS_ROOT).stamp: tools/dom0/fetch-packages | $(DEPS_STAMP)
	tools/dom0/fetch-packages $(B)/cache/debs $(GUESTS_ROOT) memtest86+ ipxe grub-rescue-pc \
	    syslinux syslinux-common
	@touch $@

# What must work every time, many times over: SOAK=20 boots and more (tests/system/soak).
.PHONY: soak
soak: all $(INSTALLER) $(GUESTS_ROOT).stamp
	tests/system/soak
