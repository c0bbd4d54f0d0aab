# The benchmark against stock Xen 4.17.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += mmdebstrap qemu-system-x86 binutils

PEER_DOM0 := $(B)/tests/peer/initramfs
$(PEER_DOM0): tests/bench/peer-image tools/dom0/modules tools/dom0/mkinitramfs $(B)/cache/dom0-root.stamp
	@mkdir -p $(@D)
	tests/bench/peer-image $(abspath $@) $(B)/cache/dom0-root

# BED=bochs: the emulated Intel machine.
bench: all $(PEER_DOM0) $(B)/tests/guest/bench.iso
	tests/bench/bench --bed $(if $(filter bochs,$(BED)),bochs,qemu)
