/*
 * The 256 vectors' entry stubs, the way into ring 3 and back, and catch_call()'s way out.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "selectors.h"

    .text
    .code64
    .globl vector_stubs
    .balign 16
/* Each stub is 16 bytes, so that the IDT can be filled by arithmetic. */
vector_stubs:
    .set v, 0
    .rept 256
    .balign 16
    /* Vectors for which the CPU pushes an error code itself. */
    .if (v == 8) || (v >= 10 && v <= 14) || (v == 17) || (v == 21) || (v == 29) || (v == 30)
    .else
    pushq $0
    .endif
    pushq $v
    jmp common_entry
    .set v, v + 1
    .endr

common_entry:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    call trap_dispatch
    movq %rbp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

/*
 * long catch_enter(struct catch_frame *f, void (*fn)(void *), void *arg): call fn(arg) with the
 * callee-saved registers remembered in f; 0 when fn returned. catch_leave(f) makes it return 1.
 */
    .globl catch_enter, catch_leave
catch_enter:
    movq %rbx, 0(%rdi)
    movq %rbp, 8(%rdi)
    movq %r12, 16(%rdi)
    movq %r13, 24(%rdi)
    movq %r14, 32(%rdi)
    movq %r15, 40(%rdi)
    movq %rsp, 48(%rdi)
    movq %rsi, %rax
    movq %rdx, %rdi
    subq $8, %rsp
    call *%rax
    addq $8, %rsp
    xorl %eax, %eax
    ret
catch_leave:
    movq 0(%rdi), %rbx
    movq 8(%rdi), %rbp
    movq 16(%rdi), %r12
    movq 24(%rdi), %r13
    movq 32(%rdi), %r14
    movq 40(%rdi), %r15
    movq 48(%rdi), %rsp
    movl $1, %eax
    ret

/*
 * long user_enter(void *kernel_rsp, void *rip, void *rsp, uint64_t arg): run rip in ring 3 with
 * arg in %rdi; it comes back through `int $VEC_USER_RETURN` with the result in %rax, or by
 * catch_leave() after a fault. kernel_rsp is where TSS.RSP0 lives.
 */
    .globl user_enter, user_return
user_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, user_saved_rsp
    leaq -64(%rsp), %rax
    andq $-16, %rax
    movq %rax, (%rdi)
    pushq $SEL_USER_DATA
    pushq %rdx
    pushfq
    pushq $SEL_USER_CODE64
    pushq %rsi
    movq %rcx, %rdi
    iretq
/* From trap_dispatch: %rdi is the value that user_enter() shall return. */
user_return:
    movq user_saved_rsp, %rsp
    movq %rdi, %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
user_saved_rsp: .quad 0

/* Xen fills this page with `mov $nr, %eax; vmcall|vmmcall; ret` stubs of 32 bytes. */
    .section .text.hypercall, "ax"
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .fill 4096, 1, 0xcc

    .section .note.GNU-stack, "", @progbits
