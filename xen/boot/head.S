/*
 * Entry from a boot loader: Multiboot 1, Multiboot 2 or PVH, all in 32-bit protected mode with
 * paging off and flat segments; left in 64-bit mode in boot_main(magic, info, load address).
 * Multiboot 0.6.96 section 3.2, Multiboot 2 section 3.3, Xen docs/misc/pvh.
 *
 * The code is position-independent: %ebp holds the address that the image was loaded at.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "boot/layout.h"

#define MB1_MAGIC      0x1badb002
#define MB1_FLAGS      0x3          /* page-aligned modules, memory map */
#define MB2_MAGIC      0xe85250d6
#define MB2_ARCH_I386  0

#define CR0_EARLY 0x80010033        /* PG WP NE ET MP PE */
#define CR4_EARLY 0x000006a0        /* PAE PGE OSFXSR OSXMMEXCPT */
#define MSR_EFER  0xc0000080
#define EFER_EARLY 0x900            /* LME NXE */
#define PTE_TABLE 0x003             /* P W */
#define PTE_LARGE 0x083             /* P W PS */
#define COM1      0x3f8
#define VGA_TEXT  0xb8000

/* Offset in the image of a symbol of the entry page, and of one linked high: the addend is
 * -IMAGE_VIRT as a 32-bit relocation sees it. */
#define BOOT(sym) (sym - LOAD_ADDRESS)
#define HIGH(sym) (sym + 0x80000000)

    .section .multiboot, "ax"
    .balign 8
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

    .balign 8
mb2_header:
    .long MB2_MAGIC, MB2_ARCH_I386, mb2_end - mb2_header
    .long -(MB2_MAGIC + MB2_ARCH_I386 + (mb2_end - mb2_header))
    /* Information that we cannot do without. */
    .short 1, 0
    .long 12
    .long 6                         /* memory map */
    .balign 8
    .short 6, 1                     /* modules on page boundaries */
    .long 8
    .short 10, 1                    /* may be loaded anywhere below 4 GiB */
    .long 24
    .long LOAD_ADDRESS, 0xffffffff, IMAGE_ALIGN, 1
    .balign 8
    .short 0, 0
    .long 8
mb2_end:

    /* XEN_ELFNOTE_PHYS32_ENTRY; some loaders read a native word of an ELF64. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad entry32

    .section .boot, "awx"
    .code32
    .globl entry32
entry32:
    cli
    cld
    movl %eax, %esi
    movl %ebx, %edi

    /* Where are we? The second word of what EBX points to serves as a stack for one call. */
    movl 4(%ebx), %edx
    leal 8(%ebx), %esp
    call 1f
1:  popl %ebp
    movl %edx, 4(%ebx)
    subl $BOOT(1b), %ebp

    leal HIGH(boot_stack_top)(%ebp), %esp
    leal BOOT(boot_gdt)(%ebp), %eax
    movl %eax, BOOT(boot_gdt_ptr) + 2(%ebp)
    lgdtl BOOT(boot_gdt_ptr)(%ebp)
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    pushl $0x18
    leal BOOT(2f)(%ebp), %eax
    pushl %eax
    lretl
2:
    /* Long mode and no-execute, or a message. */
    movl $0x80000000, %eax
    cpuid
    leal BOOT(no_long_mode)(%ebp), %ebx
    cmpl $0x80000001, %eax
    jb boot_stop
    movl $0x80000001, %eax
    cpuid
    leal BOOT(no_long_mode)(%ebp), %ebx
    btl $29, %edx
    jnc boot_stop
    leal BOOT(no_nx)(%ebp), %ebx
    btl $20, %edx
    jnc boot_stop

    /*
     * Early page tables: the first 4 GiB at 0, at the direct map and, from the image's own
     * address, at IMAGE_VIRT, in 2 MiB pages.
     */
    leal HIGH(early_pd)(%ebp), %ebx
    xorl %ecx, %ecx
    movl $PTE_LARGE, %eax
1:  movl %eax, (%ebx, %ecx, 8)
    movl $0, 4(%ebx, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jb 1b

    leal PTE_TABLE(%ebx), %eax
    leal HIGH(early_pdpt)(%ebp), %edx
    xorl %ecx, %ecx
1:  movl %eax, (%edx, %ecx, 8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $4, %ecx
    jb 1b

    leal HIGH(early_pd_image)(%ebp), %ebx
    leal PTE_LARGE(%ebp), %eax
    xorl %ecx, %ecx
1:  movl %eax, (%ebx, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $8, %ecx
    jb 1b
    leal PTE_TABLE(%ebx), %eax
    leal HIGH(early_pdpt_image)(%ebp), %ecx
    movl %eax, 510 * 8(%ecx)

    leal HIGH(early_pml4)(%ebp), %ebx
    leal PTE_TABLE(%edx), %eax
    movl %eax, (%ebx)
    movl %eax, 256 * 8(%ebx)
    leal PTE_TABLE(%ecx), %eax
    movl %eax, 511 * 8(%ebx)

    movl $CR4_EARLY, %eax
    movl %eax, %cr4
    movl %ebx, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_EARLY, %eax
    wrmsr
    movl $CR0_EARLY, %eax
    movl %eax, %cr0
    pushl $0x08
    leal BOOT(3f)(%ebp), %eax
    pushl %eax
    lretl
    .code64
3:  movq $start_high, %rax
    jmp *%rax

/* Print the string at EBX on COM1 and the text screen and stop. */
    .code32
boot_stop:
    movl $VGA_TEXT, %edi
1:  movzbl (%ebx), %eax
    testb %al, %al
    jz 3f
    movb $0x4f, %ah
    movw %ax, (%edi)
    addl $2, %edi
    movb %al, %cl
    movw $COM1 + 5, %dx
    movl $100000, %esi              /* no port there: do not wait for ever */
2:  inb %dx, %al
    testb $0x20, %al
    jnz 4f
    decl %esi
    jnz 2b
4:  movb %cl, %al
    movw $COM1, %dx
    outb %al, %dx
    incl %ebx
    jmp 1b
3:  hlt
    jmp 3b

no_long_mode:
    .asciz "Corbel: this processor has no 64-bit mode (long mode); it is needed.\r\n"
no_nx:
    .asciz "Corbel: this processor has no no-execute pages (NX), or the firmware's setup has them off.\r\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff        /* 0x10: data */
    .quad 0x00cf9b000000ffff        /* 0x18: 32-bit code */
boot_gdt_ptr:
    .word . - boot_gdt - 1
    .quad 0

    .section .text.entry, "ax"
    .code64
start_high:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    xchgl %esi, %edi                /* magic in EDI, info in ESI, as C has them */
    movl %edi, %edi
    movl %esi, %esi
    /* The load address was in EBP; the early page tables tell it as well. */
    movl early_pd_image, %edx
    andl $0xffe00000, %edx
    call boot_main
1:  cli
    hlt
    jmp 1b

    .section .bss.pages, "aw", @nobits
    .balign 4096
    .globl early_pml4, boot_stack_guard, boot_stack, boot_stack_top
early_pml4:       .skip 4096
early_pdpt:       .skip 4096
early_pdpt_image: .skip 4096
early_pd_image:   .skip 4096
early_pd:         .skip 4 * 4096
boot_stack_guard: .skip 4096      /* not mapped later */
boot_stack:       .skip BOOT_STACK_SIZE
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
