/* Layout of the hypervisor's image: entry page, text, read-only data, data, zeroed data; each
 * part on pages of its own, so that none is writable and executable.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "boot/layout.h"

OUTPUT_FORMAT("elf64-x86-64")
ENTRY(entry32)
PHDRS
{
    boot PT_LOAD FLAGS(7);
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
}
SECTIONS
{
    /* Runs at its physical address, so virtual = load address here. */
    . = LOAD_ADDRESS;
    boot_start = .;
    .boot : { KEEP(*(.multiboot)) KEEP(*(.boot)) . = ALIGN(8); } :boot
    .note.Xen : { KEEP(*(.note.Xen)) } :boot :note
    . = ALIGN(4096);
    boot_end = .;

    . = . - LOAD_ADDRESS + IMAGE_VIRT;
    image_virt_start = IMAGE_VIRT;
    text_start = .;
    .text : AT(ADDR(.text) - IMAGE_VIRT + LOAD_ADDRESS) {
        *(.text.entry) *(.text .text.hot .text.hot.*) *(.text.unlikely .text.unlikely.*)
        *(.text.*)
    } :text
    . = ALIGN(4096);
    text_end = .;

    rodata_start = .;
    .rodata : AT(ADDR(.rodata) - IMAGE_VIRT + LOAD_ADDRESS) {
        . = ALIGN(8);
        options_start = .; KEEP(*(.rodata.options)) options_end = .;
        . = ALIGN(8);
        hvm_backends_start = .; KEEP(*(.rodata.hvm_backends)) hvm_backends_end = .;
        . = ALIGN(8);
        mitigation_sites_start = .; KEEP(*(.rodata.mitigation_sites))
        mitigation_sites_end = .;
        mitigation_variants_start = .; KEEP(*(.rodata.mitigation_variants))
        mitigation_variants_end = .;
        . = ALIGN(8);
        hvm_save_start = .; KEEP(*(.rodata.hvm_save)) hvm_save_end = .;
        . = ALIGN(8);
        extable_start = .; KEEP(*(.extable)) extable_end = .;
        . = ALIGN(4);
        build_id_start = .; KEEP(*(.note.gnu.build-id)) build_id_end = .;
        . = ALIGN(8);
        EXCLUDE_FILE(*symbols0.o *symbols1.o *sites0.o *sites1.o) *(.rodata .rodata.*)
        . = ALIGN(8);
        KEEP(*(.rodata.thunk_sites))
        . = ALIGN(8);
        KEEP(*(.rodata.symbols))
    } :rodata
    . = ALIGN(4096);
    rodata_end = .;

    .data : AT(ADDR(.data) - IMAGE_VIRT + LOAD_ADDRESS) { *(.data .data.*) } :data
    .bss : AT(ADDR(.bss) - IMAGE_VIRT + LOAD_ADDRESS) {
        *(.bss.pages) *(.bss .bss.* COMMON)
        . = ALIGN(4096);
    } :data
    image_virt_end = .;

    /DISCARD/ : { *(.note.gnu.*) *(.comment) *(.eh_frame*) *(.note.GNU-stack) }
}
