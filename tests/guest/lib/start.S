/*
 * Entry of every test kernel: PVH, Multiboot 1 and Xen's HVM firmware loader all come here in
 * 32-bit protected mode with paging off; we leave in 64-bit long mode in kit_main().
 *
 * Page tables: the first 4 GiB identity-mapped in 2 MiB pages, writable and reachable from
 * ring 3 too (tests that need something stricter remap); the top 256 MiB uncached, as that is
 * where the APICs and PCI windows are.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "selectors.h"

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)

#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 3


/* XEN_ELFNOTE_PHYS32_ENTRY; 8 bytes, as some loaders read the native word of an ELF64. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad start32

/* First in the image; the entry right behind it, where cdboot.S expects it. */
    .section .multiboot, "ax"
    .balign 4
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
    .code32
    .globl start32
start32:
    cli
    cld
    movl %eax, boot_eax
    movl %ebx, boot_ebx
    lgdtl gdt_desc
    ljmpl $SEL_CODE32, $1f
1:  movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_top, %esp
    movl $long_start, %edi
    jmp enter_long_mode

    .text
/* Shared by the first CPU and the others: switch to long mode and jump to *%edi. */
    .globl enter_long_mode
enter_long_mode:
    movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE64, $1f
    .code64
1:  movl %edi, %edi
    jmp *%rdi

long_start:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $boot_stack_top, %esp
    xorl %ebp, %ebp
    call kit_main
1:  hlt
    jmp 1b

    .globl ap_long_start
ap_long_start:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movq ap_stack, %rsp
    xorl %ebp, %ebp
    call kit_ap_main
1:  cli
    hlt
    jmp 1b

/*
 * Start-up code of an application processor: copied to a page below 1 MiB, entered in real mode
 * at CS:0 by a SIPI. It needs nothing but its own page and the GDT.
 */
    .globl ap_trampoline, ap_trampoline_end
    .code16
    .balign 16
ap_trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl (gdt_desc_copy - ap_trampoline)
    movl $CR0_PE, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $ap_start32
    .balign 4
gdt_desc_copy:
    .word gdt_end - gdt - 1
    .long gdt
ap_trampoline_end:

    .code32
ap_start32:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $ap_long_start, %edi
    jmp enter_long_mode

    .data
    .balign 8
    .globl boot_eax, boot_ebx, ap_stack
boot_eax: .long 0
boot_ebx: .long 0
ap_stack: .quad 0

    .globl gdt, gdt_end, gdt_desc, gdt_tss
    .balign 16
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* SEL_CODE32 */
    .quad 0x00af9b000000ffff    /* SEL_CODE64 */
    .quad 0x00cf93000000ffff    /* SEL_DATA */
    .quad 0x00cff3000000ffff    /* SEL_USER_DATA */
    .quad 0x00affb000000ffff    /* SEL_USER_CODE64 */
    .quad 0x00cf13000000ffff    /* SEL_NOT_PRESENT: data, P = 0 */
    .quad 0x00cffb000000ffff    /* SEL_USER_CODE32 */
gdt_tss:
    .fill MAX_CPUS * 2, 8, 0
gdt_end:
gdt_desc:
    .word gdt_end - gdt - 1
    .quad gdt

    .section .pagetables, "aw"
    .balign 4096
    .globl pml4, pdpt, page_dirs
pml4:
    .quad pdpt + 0x67
    .fill 511, 8, 0
pdpt:
    .set i, 0
    .rept 4
    .quad page_dirs + i * 4096 + 0x67
    .set i, i + 1
    .endr
    .fill 508, 8, 0
page_dirs:
    .set i, 0
    .rept 2048
    .if i >= 0x780
    .quad (i << 21) + 0xff      /* PS D A PCD PWT U W P */
    .else
    .quad (i << 21) + 0xe7      /* PS D A U W P */
    .endif
    .set i, i + 1
    .endr

    .bss
    .balign 4096
    .skip 32768
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
