/* int stub_call(struct stub_regs *regs, const void *code): call made code, which ends with
 * RET, with these registers. Returns -1, or the vector of the exception that ended it.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define REGS_RAX    0
#define REGS_RCX    8
#define REGS_RDX    16
#define REGS_RDI    24
#define REGS_RFLAGS 32

    .text
    .globl stub_call
    .type stub_call, @function
stub_call:
    push %rbx
    push %rbp
    mov %rdi, %rbx
    mov %rsi, %rbp
    mov REGS_RAX(%rbx), %rax
    mov REGS_RCX(%rbx), %rcx
    mov REGS_RDX(%rbx), %rdx
    mov REGS_RDI(%rbx), %rdi
    pushq REGS_RFLAGS(%rbx)
    popfq
    call __x86_indirect_thunk_rbp
    pushfq
    popq REGS_RFLAGS(%rbx)
    mov %rax, REGS_RAX(%rbx)
    mov %rcx, REGS_RCX(%rbx)
    mov %rdx, REGS_RDX(%rbx)
    mov $-1, %eax
    pop %rbp
    pop %rbx
    ret
/* From stub_fixup(): RAX is the vector, the return address is still on the stack. */
    .globl stub_faulted
stub_faulted:
    add $8, %rsp
    pop %rbp
    pop %rbx
    ret
    .size stub_call, . - stub_call

    .section .note.GNU-stack, "", @progbits
