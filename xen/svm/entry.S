/* Entry into the guest and exit from it (AMD APM vol 2, 15.5).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * void svm_enter(struct cpu_regs *regs, uint64_t vmcb_maddr, uint64_t host_vmcb_maddr)
 *
 * VMRUN swaps RAX, RSP, RIP, RFLAGS and the control registers; VMLOAD and VMSAVE the rest of
 * the segments and the system call registers; the other general registers are ours to move.
 * Interrupts are off. With V_INTR_MASKING a machine interrupt ends guest mode only if the
 * host's IF was set at VMRUN, so it is set under GIF = 0, where nothing is delivered.
 */
#include "cpu/mitigation/guard.inc"

#define R15 0x00
#define R14 0x08
#define R13 0x10
#define R12 0x18
#define RBP 0x20
#define RBX 0x28
#define R11 0x30
#define R10 0x38
#define R9  0x40
#define R8  0x48
#define RCX 0x58
#define RDX 0x60
#define RSI 0x68
#define RDI 0x70

    .text
/* Twice: as it is, and for processors on which something must be done about side channels
 * (cpu/mitigation). There the first is patched to jump to the second. */
.macro enter name, guarded
    .globl \name
    .type \name, @function
\name:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi
    .if \guarded
    guard_entry
    .endif
    mov %rsi, %rax

    mov R15(%rdi), %r15
    mov R14(%rdi), %r14
    mov R13(%rdi), %r13
    mov R12(%rdi), %r12
    mov RBP(%rdi), %rbp
    mov RBX(%rdi), %rbx
    mov R11(%rdi), %r11
    mov R10(%rdi), %r10
    mov R9(%rdi), %r9
    mov R8(%rdi), %r8
    mov RCX(%rdi), %rcx
    mov RDX(%rdi), %rdx
    mov RSI(%rdi), %rsi
    mov RDI(%rdi), %rdi

    clgi
    sti
    vmload %rax
    .if \guarded
    guard_buffers
    .endif
    vmrun %rax
    vmsave %rax

    xchg %rdi, (%rsp)
    mov %r15, R15(%rdi)
    mov %r14, R14(%rdi)
    mov %r13, R13(%rdi)
    mov %r12, R12(%rdi)
    mov %rbp, RBP(%rdi)
    mov %rbx, RBX(%rdi)
    mov %r11, R11(%rdi)
    mov %r10, R10(%rdi)
    mov %r9, R9(%rdi)
    mov %r8, R8(%rdi)
    mov %rcx, RCX(%rdi)
    mov %rdx, RDX(%rdi)
    mov %rsi, RSI(%rdi)
    pop %rax
    mov %rax, RDI(%rdi)
    .if \guarded
    guard_exit
    .endif
    pop %rax
    vmload %rax
    cli
    stgi

    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size \name, . - \name
.endm

    enter svm_enter, 0
    enter svm_enter_guarded, 1
    guard_instead svm_enter, svm_enter_guarded

    .section .note.GNU-stack, "", @progbits
