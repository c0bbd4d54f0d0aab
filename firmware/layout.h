/*
 * Where things are in a guest of the native board: what the domain builder, the device
 * model and the hypervisor must agree on.  Plain numbers, so that freestanding code can
 * include it too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FIRMWARE_LAYOUT_H
#define FIRMWARE_LAYOUT_H

/* RAM is [0, LAYOUT_VGA_BASE), [LAYOUT_VGA_END, at most LAYOUT_LOW_RAM_MAX) and from 4
 * GiB. */
#define LAYOUT_VGA_BASE      0x000a0000u
#define LAYOUT_VGA_END       0x000c0000u
#define LAYOUT_LOW_RAM_MAX   0xc0000000u
#define LAYOUT_HIGH_RAM_BASE 0x100000000ull

/*
 * Pages that the tools share with the hypervisor: never RAM, always reserved in the
 * memory map, as a block at the place where stock Xen's tools have it.
 */
#define LAYOUT_SPECIAL_BASE  0xfeff8000u
#define LAYOUT_SPECIAL_PAGES 8u
#define LAYOUT_IDENT_PT      0xfeffe000u /* for Intel CPUs without unrestricted guest */

/* The firmware image ends at 4 GiB; its last part is also below 1 MiB, as RAM. */
#define LAYOUT_ROM_END    0x100000000ull
#define LAYOUT_ROM_MAX    0x00400000u
#define LAYOUT_SHADOW_MAX 0x00020000u
#define LAYOUT_SHADOW_END 0x00100000u

/* PIIX4's power management block, where SeaBIOS puts it with the tables of fw_cfg. */
#define LAYOUT_PM_BASE     0x600u
#define LAYOUT_PM_TIMER    (LAYOUT_PM_BASE + 8)
#define LAYOUT_PM_BASE_XEN 0xb000u /* the same under stock Xen, HVM parameter value 1 */

#define LAYOUT_GPE_BASE 0xafe0u /* general purpose events, 4 bytes */
#define LAYOUT_SCI      9u      /* ISA interrupt of ACPI events */

/* Fixed memory-mapped devices, all in the hypervisor. */
#define LAYOUT_IOAPIC 0xfec00000u
#define LAYOUT_HPET   0xfed00000u
#define LAYOUT_LAPIC  0xfee00000u

/* PCI memory is from the end of low RAM (at least LAYOUT_LOW_RAM_MAX's place) to here. */
#define LAYOUT_PCI_END 0xfec00000u

/* As in Xen's vlapic, so that saved guests and stock tools agree. */
#define LAYOUT_APIC_ID(vcpu) (2u * (vcpu))
#define LAYOUT_IOAPIC_ID     1u

/*
 * PCI interrupts.  SeaBIOS's tables want INT A..D of a slot on link (slot - 1 + pin) mod
 * 4; Xen's set_pci_intx_level puts device d on link (d + pin) mod 4 and I/O APIC pin 16 +
 * (4 * d + d / 8 + pin) mod 32.  So the device model says d = slot - 1 (mod 32), and the
 * ACPI tables say the pins that follow from it.
 */
#define LAYOUT_INTX_DEVICE(slot) (((slot)-1u) & 31u)

/*
 * Values of HVM_PARAM_ACPI_IOPORTS_LOCATION. 0 and 1 are Xen's; the others ask Corbel for
 * the native board: its PM timer answers at LAYOUT_PM_TIMER. Stock Xen refuses them.
 */
#define LAYOUT_BOARD_XEN        1u
#define LAYOUT_BOARD_NATIVE     2u /* no Xen CPUID leaves, no hypercall page */
#define LAYOUT_BOARD_NATIVE_XEN 3u /* with them, for guests with paravirtual drivers */

#endif
