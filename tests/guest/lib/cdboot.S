/*
 * First sector of a CD image without emulation (El Torito 1.0, 2.1.3): a BIOS loads it, and the
 * test kernel as a flat image behind it, at 0x7c00. It moves the kernel to 1 MiB and enters it
 * as a Multiboot loader would. Built with KERNEL_BYTES and CLEAR_BYTES set.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define LOAD_AT       0x7c00
#define KERNEL_AT     0x100000
#define KERNEL_ENTRY  (KERNEL_AT + 12) /* behind the Multiboot header */
#define SECTOR        512
#define MB1_MAGIC     0x2badb002
#define MBI_CMDLINE   (1 << 2)
#define PORT_A20      0x92

    .code16
    .text
    .globl _start
_start:
    cli
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $LOAD_AT, %sp
    movw $0x2401, %ax           /* A20 on, by the BIOS and by the chipset */
    int $0x15
    cli
    inb $PORT_A20, %al
    orb $2, %al
    andb $0xfe, %al
    outb %al, $PORT_A20
    cld
    lgdtl gdt_pointer
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $2f
    .code32
2:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $(LOAD_AT + SECTOR), %esi
    movl $KERNEL_AT, %edi
    movl $((KERNEL_BYTES + 3) / 4), %ecx
    rep movsl
    xorl %eax, %eax
    movl $(CLEAR_BYTES / 4), %ecx
    rep stosl
    movl $MB1_MAGIC, %eax
    movl $mbi, %ebx
    movl $KERNEL_ENTRY, %ecx
    jmp *%ecx

    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt
    .balign 4
mbi:
    .long MBI_CMDLINE, 0, 0, 0, cmdline
cmdline:
    .asciz "cd"
    .org 510
    .word 0xaa55

    .section .note.GNU-stack, "", @progbits
