/*
 * Instructions as data: each is assembled alone, with and without Xen's forced emulation
 * prefix
 * (`ud2; .ascii "xen"`), and run with registers, flags and memory that the test chooses;
 * what it left behind can be compared. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_SNIPPET_H
#define GUEST_SNIPPET_H

#include "kit.h"

#define SNIPPET_MEMORY 256

#define FLAG_C    (1 << 0)
#define FLAG_P    (1 << 2)
#define FLAG_A    (1 << 4)
#define FLAG_Z    (1 << 6)
#define FLAG_S    (1 << 7)
#define FLAG_D    (1 << 10)
#define FLAG_O    (1 << 11)
#define FLAGS_ALL (FLAG_C | FLAG_P | FLAG_A | FLAG_Z | FLAG_S | FLAG_D | FLAG_O)

struct snippet {
    const char *text;
    const void *native, *forced; /* code, ending in RET */
    uint32_t undefined;          /* flags that the manual leaves undefined */
};

/* What an instruction works on and leaves. rsi and rdi point into memory; rcx is for
 * counts. */
struct snippet_state {
    uint64_t rax, rcx, rdx, rbx, rsi, rdi, rflags;
    uint8_t xmm0[16] ALIGNED(16);
};

/* The table that SNIPPETS_BEGIN to SNIPPETS_END make; an entry is SNIPPET("text",
 * undefined). */
#define SNIPPETS_BEGIN(table)                                                            \
    asm(".pushsection .rodata\n.balign 8\n.globl " #table "\n" #table ":\n."             \
        "popsection\n")
#define SNIPPET_(pre, text, post, undefined)                                             \
    asm(".pushsection .text.snippets, \"ax\"\n"                                          \
        "771: " pre "\n" text "\n" post "\nret\n"                                        \
        "772: " pre "\nud2; .ascii \"xen\"\n" text "\n" post "\nret\n"                   \
        ".popsection\n"                                                                  \
        ".pushsection .rodata.snippet_text\n773: .asciz \"" text "\"\n.popsection\n"     \
        ".pushsection .rodata\n.quad 773b, 771b, 772b\n.long " #undefined                \
        ", 0\n.popsection\n")
/* Once more through the preprocessor, so that the flags' names become numbers. */
#define SNIPPET3(pre, text, post, undefined) SNIPPET_(pre, text, post, undefined)
#define SNIPPET(text, undefined)             SNIPPET3("", text, "", undefined)
#define SNIPPETS_END(table)                                                              \
    asm(".pushsection .rodata\n.globl " #table "_end\n" #table "_end:\n.popsection\n");  \
    extern const struct snippet table[], table##_end[]

/* Run code on the state; the exception it ended with, if any. */
struct fault snippet_run(const void *code, struct snippet_state *state);

#endif
