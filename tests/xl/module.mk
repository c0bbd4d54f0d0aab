# Stock xl on Corbel, and the matrix of hypervisors, device models and toolstacks.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += grub-common grub-pc-bin xorriso mtools
SYSTEM_TESTS += tests/xl/xl
XL_NEEDS := dom0-image $(B)/tests/xl/guest-memory
test: $(XL_NEEDS)

# Static: it runs in a guest that has no libraries.
$(B)/tests/xl/guest-memory: tests/xl/guest-memory.c
	@mkdir -p $(@D)
	$(HOSTCC) -std=gnu11 -O2 $(WARN) -static -o $@ $<

# The parts of tests/xl that take longer than the tests of every change may; and {Corbel, Xen 4.17} x
# {our device model, qemu-xen} x {corbel, xl}: of our own ISO, or of ISO= until it says EXPECT=.
.PHONY: xl matrix
xl: $(XL_NEEDS) $(B)/peer/xen
	tests/xl/xl --all
	tests/xl/xl --exchange
	tests/xl/xl --across corbel corbel --across xen corbel --across corbel xen
matrix: $(XL_NEEDS) $(B)/peer/xen
	tests/xl/xl --matrix $(if $(ISO),--iso '$(ISO)' --expect '$(EXPECT)')
