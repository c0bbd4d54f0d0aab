/*
 * Running a snippet: all its registers from the state, all back into it.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "snippet.h"

struct run {
    const void *code;
    struct snippet_state *state;
};

void snippet_call(const void *code, struct snippet_state *state);

/* rdi: code, rsi: state. Saved registers are catch_enter()'s business if the code faults.
 */
asm(".pushsection .text\n"
    ".globl snippet_call\n"
    "snippet_call:\n"
    "pushq %rbx\n"
    "pushq %rbp\n"
    "movq %rsi, %rbp\n"
    "movq %rdi, %r8\n"
    "movups 64(%rbp), %xmm0\n"
    "movq 0(%rbp), %rax\n"
    "movq 8(%rbp), %rcx\n"
    "movq 16(%rbp), %rdx\n"
    "movq 24(%rbp), %rbx\n"
    "movq 32(%rbp), %rsi\n"
    "movq 40(%rbp), %rdi\n"
    "pushq 48(%rbp)\n"
    "popfq\n"
    "call *%r8\n"
    "pushfq\n"
    "popq 48(%rbp)\n"
    "cld\n"
    "movq %rax, 0(%rbp)\n"
    "movq %rcx, 8(%rbp)\n"
    "movq %rdx, 16(%rbp)\n"
    "movq %rbx, 24(%rbp)\n"
    "movq %rsi, 32(%rbp)\n"
    "movq %rdi, 40(%rbp)\n"
    "movups %xmm0, 64(%rbp)\n"
    "popq %rbp\n"
    "popq %rbx\n"
    "ret\n"
    ".popsection\n");

_Static_assert(offsetof(struct snippet_state, xmm0) == 64, "snippet_call's offsets");

static void run(void *opaque)
{
    struct run *r = opaque;

    snippet_call(r->code, r->state);
}

struct fault snippet_run(const void *code, struct snippet_state *state)
{
    struct run r = {code, state};

    return catch_call(run, &r);
}
