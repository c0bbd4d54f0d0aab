/* General registers as exits, traps and the emulator see them.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_REGS_H
#define CORBEL_CPU_REGS_H

#include <stdint.h>

/* The order is that of the pushes in cpu/entry.S and svm/entry.S. */
struct cpu_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t rip, rflags, rsp;
};

#define RFLAGS_CF   0x00000001u
#define RFLAGS_MBS  0x00000002u /* reads as one */
#define RFLAGS_PF   0x00000004u
#define RFLAGS_AF   0x00000010u
#define RFLAGS_ZF   0x00000040u
#define RFLAGS_SF   0x00000080u
#define RFLAGS_TF   0x00000100u
#define RFLAGS_IF   0x00000200u
#define RFLAGS_DF   0x00000400u
#define RFLAGS_OF   0x00000800u
#define RFLAGS_IOPL 0x00003000u
#define RFLAGS_NT   0x00004000u
#define RFLAGS_RF   0x00010000u
#define RFLAGS_VM   0x00020000u
#define RFLAGS_AC   0x00040000u
#define RFLAGS_VIF  0x00080000u
#define RFLAGS_VIP  0x00100000u
#define RFLAGS_ID   0x00200000u

#endif
