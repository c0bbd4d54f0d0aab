/*
 * Entry from the IDT. The hypervisor never leaves ring 0, so GS is right and, but for the ISTs,
 * the stack is the current one. SPDX-License-Identifier: GPL-2.0-or-later
 */
#define HAS_ERROR(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21 || \
                      (v) == 29 || (v) == 30)

    .section .text.entry, "ax"

/* One stub of 16 bytes for each vector. */
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set v, 0
    .rept 32
    .balign 16
    .if !(HAS_ERROR(v))
    pushq $0
    .endif
    pushq $v
    jmp trap_entry
    .set v, v + 1
    .endr
    .rept 224
    .balign 16
    pushq $v
    jmp irq_entry
    .set v, v + 1
    .endr

trap_entry:
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx
    andq $-16, %rsp
    call trap_dispatch
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $16, %rsp
    iretq

/* Interrupts come only in interrupt windows, which are function calls: what the called function
 * may change is saved. The processor aligned the stack to 16 bytes below its 5 words, and ours
 * are 11: aligned for the call. */
irq_entry:
    pushq %rdi
    movq 8(%rsp), %rdi              /* vector */
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    subq $8, %rsp
    cld
    call irq_dispatch
    addq $8, %rsp
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
