# Tests of the whole machine, in QEMU.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += qemu-system-x86 ovmf grub-efi-amd64-bin grub-common

SYSTEM_TESTS += tests/system/kernels tests/system/bad-input tests/system/loaders tests/system/dom0
DEPS += grub-pc-bin xorriso mtools

# The Intel machine: VMX and EPT, which QEMU does not emulate.
DEPS += bochs bochsbios seabios
BOCHS_TESTS += tests/system/bochs
LEAN_ROOT := $(B)/cache/dom0-root
# Dom0 with what that machine has, for it is slow: its kernel unpacks fast, its initramfs is not
# packed at all; and a small Linux to be its guest.
DEPS += lz4
BOCHS_VMLINUZ := $(B)/tests/bochs-vmlinuz
BOCHS_DOM0 := $(B)/tests/bochs-dom0.img
LINUX_DISK := $(B)/tests/linux-guest.img
TARGETS += $(BOCHS_VMLINUZ) $(BOCHS_DOM0) $(LINUX_DISK)
$(BOCHS_VMLINUZ): $(B)/dom0/vmlinuz tests/system/repack-kernel
	@mkdir -p $(@D)
	tests/system/repack-kernel $< $@
# libnbd wants libxml2, which wants ICU, whose 31 MiB of tables nobody reads there.
NO_ICU_DATA := $(B)/tests/libicudata.so.72
$(NO_ICU_DATA): | $(DEPS_STAMP)
	@mkdir -p $(@D)
	echo 'const char icudt72_dat[64];' | $(HOSTCC) -shared -Wl,-soname,$(@F) -o $@ -x c -
$(BOCHS_DOM0): $(LEAN_ROOT).stamp tests/system/bochs-modules tools/dom0/init tools/dom0/mkinitramfs \
        tests/system/module.mk $(B)/bin/corbel $(B)/devmodel/corbel-dm $(NO_ICU_DATA)
	tools/dom0/mkinitramfs -o $@ --root $(LEAN_ROOT) --modules tests/system/bochs-modules \
	    --busybox $(LEAN_ROOT)/bin/busybox --file tools/dom0/init:init --compress none \
	    $(foreach f,bios-256k.bin vgabios-stdvga.bin,\
	        --file $(LEAN_ROOT)/usr/share/seabios/$f:usr/share/seabios/$f) \
	    $(foreach program,$(filter %/corbel %/corbel-dm,$^),--program $(program)) \
	    --file $(NO_ICU_DATA):lib/x86_64-linux-gnu/$(notdir $(NO_ICU_DATA))
LINUX_WORDS := console=ttyS0 quiet mitigations=off cryptomgr.notests
$(LINUX_DISK): $(LEAN_ROOT).stamp $(B)/dom0/vmlinuz tests/system/linux-guest-init \
        tests/system/module.mk tools/dom0/mkinitramfs
	rm -rf $@.d && mkdir -p $@.d/boot/grub
	tools/dom0/mkinitramfs -o $@.d/initrd --busybox $(LEAN_ROOT)/bin/busybox \
	    --file tests/system/linux-guest-init:init --compress none
	cp $(B)/dom0/vmlinuz $@.d/vmlinuz
	printf '%s\n' 'serial --unit=0 --speed=115200' 'terminal_output serial' 'set timeout=0' \
	    'echo GRUB loads Linux' 'linux /vmlinuz $(LINUX_WORDS)' 'initrd /initrd' boot >$@.d/boot/grub/grub.cfg
	grub-mkrescue -d /usr/lib/grub/i386-pc --fonts= --locales= --themes= -o $@ $@.d 2>/dev/null
	rm -rf $@.d

# The host's own processor with nested virtualization, where there is any: make test BED=kvm.
KVM_TESTS += tests/system/kvm

# Guests: whole operating systems, their ends, hostile ones. `make soak` does it for long.
DEPS += e2fsprogs
SYSTEM_TESTS += tests/system/hvm-kernels tests/system/hostile tests/system/scheduler
SYSTEM_TESTS += tests/system/guests tests/system/bad-guests tests/system/leaks

# Other people's guests, unpacked and never installed.
GUESTS_ROOT := $(B)/cache/guests-root
$(GUESTS_ROOT).stamp: tools/dom0/fetch-packages | $(DEPS_STAMP)
	tools/dom0/fetch-packages $(B)/cache/debs $(GUESTS_ROOT) memtest86+ ipxe grub-rescue-pc \
	    syslinux syslinux-common isolinux grub-firmware-qemu u-boot-qemu
	@touch $@

# What must work every time, many times over: SOAK=20 boots and more (tests/system/soak).
.PHONY: soak
soak: all $(GUESTS_ROOT).stamp
	tests/system/soak
