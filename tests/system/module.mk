# Tests of the whole machine, in QEMU.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += qemu-system-x86 ovmf grub-efi-amd64-bin grub-common

SYSTEM_TESTS += tests/system/kernels tests/system/loaders tests/system/dom0
DEPS += grub-pc-bin xorriso mtools

# The Intel machine: VMX and EPT, which QEMU does not emulate.
DEPS += bochs bochsbios seabios
SYSTEM_TESTS += tests/system/bochs

# Guests: whole operating systems, their ends, hostile ones. `make soak` does it for long.
DEPS += e2fsprogs
SYSTEM_TESTS += tests/system/guests tests/system/bad-guests tests/system/leaks
