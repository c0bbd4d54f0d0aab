/* Change from the stack of one vCPU to that of another. SPDX-License-Identifier: GPL-2.0-or-later */

    .text
    .globl context_switch
    .type context_switch, @function
/* struct vcpu *context_switch(prev, next, uint64_t *prev_rsp, uint64_t next_rsp): `prev`, in
 * RDI, is carried over in RAX. The order of the pushes is known to sched_init_vcpu(). */
context_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdx)
    mov %rcx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    mov %rdi, %rax
    ret
    .size context_switch, . - context_switch

    .globl vcpu_first_run
    .type vcpu_first_run, @function
vcpu_first_run:
    mov %rax, %rdi
    xor %ebp, %ebp
    call vcpu_thread
    ud2
    .size vcpu_first_run, . - vcpu_first_run

    .section .note.GNU-stack, "", @progbits
