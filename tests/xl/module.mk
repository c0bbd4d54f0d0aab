# Stock xl on Corbel, and the matrix of hypervisors, device models and toolstacks.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += grub-common grub-pc-bin xorriso mtools
SYSTEM_TESTS += tests/xl/xl
test: dom0-image

# {Corbel, Xen 4.17} x {our device model, qemu-xen} x {corbel, xl}, and the parts of tests/xl that take
# longer than the system tests may.
.PHONY: matrix
matrix: dom0-image $(B)/peer/xen
	tests/xl/xl --all
	tests/xl/xl --matrix
