# The benchmark against stock Xen 4.17.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += mmdebstrap qemu-system-x86 binutils

PEER_DOM0 := $(B)/tests/peer/initramfs
$(PEER_DOM0): tests/bench/peer-image tools/dom0/modules tools/dom0/mkinitramfs $(DOM0_ROOT).stamp
	@mkdir -p $(@D)
	tests/bench/peer-image $(abspath $@) $(DOM0_ROOT)

bench: all $(PEER_DOM0) $(GUEST_OUT)/bench.iso
	tests/bench/bench
