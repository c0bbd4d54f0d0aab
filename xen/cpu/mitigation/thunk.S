/* Indirect branches of the hypervisor go through these (-mindirect-branch=thunk-extern), one
 * for each register, 32 bytes apart. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As they stand they are retpolines: the RET is predicted to return into the loop, which
 * speculation does not leave. mitigation_patch() turns them into LFENCE and a jump, or takes
 * them out of the way altogether.
 */
    .section .text.thunk, "ax"

.macro thunk reg
    .balign 32
    .globl __x86_indirect_thunk_\reg
    .type __x86_indirect_thunk_\reg, @function
__x86_indirect_thunk_\reg:
    call 2f
1:  pause
    lfence
    jmp 1b
2:  mov %\reg, (%rsp)
    ret
    int3
    .size __x86_indirect_thunk_\reg, . - __x86_indirect_thunk_\reg
.endm

/* In the order of the registers' numbers; patch.c counts on it. RSP has none. */
    .globl mitigation_thunks
    .balign 32
mitigation_thunks:
    thunk rax
    thunk rcx
    thunk rdx
    thunk rbx
    .balign 32
    .skip 32, 0xcc
    thunk rbp
    thunk rsi
    thunk rdi
    thunk r8
    thunk r9
    thunk r10
    thunk r11
    thunk r12
    thunk r13
    thunk r14
    thunk r15
    .balign 32

/* VERW reads a selector that can be written to; any does. */
    .section .rodata.mitigation_verw, "a"
    .globl mitigation_verw
    .balign 2
mitigation_verw:
    .word 0x10

    .section .note.GNU-stack, "", @progbits
