/*
 * First steps of an application processor: copied to a page below 1 MiB, entered by a SIPI in
 * real mode at CS:0; leaves in ap_main() with the hypervisor's page tables. The page is known
 * only at run time, so smp.c fills in what depends on it. SPDX-License-Identifier:
 * GPL-2.0-or-later
 */
#define CR0_PROTECTED 0x11          /* ET PE */
#define CR0_LONG      0x80010033    /* PG WP NE ET MP PE */
#define CR4_LONG      0x000006a0    /* PAE PGE OSFXSR OSXMMEXCPT */
#define MSR_EFER      0xc0000080
#define EFER_LONG     0x900         /* LME NXE */

    .section .rodata.trampoline, "a"
    .globl trampoline, trampoline_end, trampoline_args
    .balign 16
    .code16
trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movl (trampoline_args - trampoline), %ebp       /* our own address */
    lgdtl (gdt_ptr - trampoline)
    movl $CR0_PROTECTED, %eax
    movl %eax, %cr0
    ljmpl *(jump32 - trampoline)

    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $CR4_LONG, %eax
    movl %eax, %cr4
    movl (args_cr3 - trampoline)(%ebp), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LONG, %eax
    wrmsr
    movl $CR0_LONG, %eax
    movl %eax, %cr0
    ljmpl *(jump64 - trampoline)(%ebp)

    .code64
long_mode:
    movl %ebp, %ebp
    movq (args_stack - trampoline)(%rbp), %rsp
    movq (args_percpu - trampoline)(%rbp), %rdi
    movq (args_entry - trampoline)(%rbp), %rax
    xorl %ebp, %ebp
    pushq $0
    jmp *%rax

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff        /* 0x10: data */
    .quad 0x00cf9b000000ffff        /* 0x18: 32-bit code */

/* Filled in by smp.c; struct trampoline_args. */
    .balign 8
trampoline_args:
args_base:   .long 0
args_cr3:    .long 0
args_stack:  .quad 0
args_percpu: .quad 0
args_entry:  .quad 0
gdt_ptr:     .word 31
             .long trampoline_gdt - trampoline      /* + base */
             .word 0
jump32:      .long protected - trampoline           /* + base */
             .word 0x18
             .word 0
jump64:      .long long_mode - trampoline           /* + base */
             .word 0x08
             .word 0
trampoline_end:

    .section .note.GNU-stack, "", @progbits
