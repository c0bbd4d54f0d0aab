/* Entry into the guest and exit from it (Intel SDM vol 3, 25.8 and 28.5).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * int vmx_enter(struct cpu_regs *regs, bool launched, uint64_t *host_rsp)
 *
 * The processor swaps RSP, RIP, RFLAGS, the control registers and the segments; the general
 * registers are ours to move. Interrupts are off: one that is pending ends guest mode before its
 * first instruction. The host's RSP is the same at most entries: it is written when it differs
 * from *host_rsp.
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
#define RAX 0x50
#define RCX 0x58
#define RDX 0x60
#define RSI 0x68
#define RDI 0x70

#define HOST_RSP 0x6c14

    .text
/* Twice: as it is, and for processors on which something must be done about side channels
 * (cpu/mitigation). There the first is patched to jump to the second. */
.macro enter name, exit_point, guarded
    .globl \name, \exit_point
    .type \name, @function
\name:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    cmp %rsp, (%rdx)
    je 1f
    mov %rsp, (%rdx)
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax
1:
    .if \guarded
    guard_entry
    .endif
    bt $0, %esi                     /* CF: neither the moves nor VERW change it */

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
    mov RAX(%rdi), %rax
    mov RCX(%rdi), %rcx
    mov RDX(%rdi), %rdx
    mov RSI(%rdi), %rsi
    mov RDI(%rdi), %rdi
    .if \guarded
    guard_buffers
    .endif
    jnc 2f
    vmresume
    jmp 3f
2:
    vmlaunch
3:
    /* It failed, and nothing has changed. */
    pop %rdi
    .if \guarded
    guard_exit
    .endif
    mov $1, %eax
    jmp 4f

\exit_point:
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
    mov %rax, RAX(%rdi)
    mov %rcx, RCX(%rdi)
    mov %rdx, RDX(%rdi)
    mov %rsi, RSI(%rdi)
    pop %rax
    mov %rax, RDI(%rdi)
    .if \guarded
    guard_exit
    .endif
    xor %eax, %eax
4:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size \name, . - \name
.endm

    enter vmx_enter, vmx_exit_point, 0
    enter vmx_enter_guarded, vmx_exit_point_guarded, 1
    guard_instead vmx_enter, vmx_enter_guarded
    guard_instead vmx_exit_point, vmx_exit_point_guarded

    .section .note.GNU-stack, "", @progbits
