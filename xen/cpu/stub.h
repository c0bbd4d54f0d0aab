/* Run one instruction that is made at run time. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each CPU has a page that is mapped executable and read-only; the instruction is written
 * to it by way of the direct map, which is writable and not executable.
 */
#ifndef CORBEL_CPU_STUB_H
#define CORBEL_CPU_STUB_H

#include "lib/types.h"

#define STUB_INSN_MAX 16

struct trap_frame;

/* What the instruction has in its registers; stub.S knows the order. All others are not
 * to be touched by it, memory but for what RDI points to neither. */
struct stub_regs {
    uint64_t rax, rcx, rdx, rdi;
    uint64_t rflags; /* status flags */
};

/* Make this CPU's page. */
int stub_init_cpu(void);

/* Run an instruction of `len` bytes, at most STUB_INSN_MAX. Returns the vector of the
 * exception that it raised, or -1. Interrupts are off. */
int stub_run(const uint8_t *insn, unsigned int len, struct stub_regs *regs);

/* For traps.c: if it was such an instruction that raised the exception, go on in
 * stub_run(). */
bool stub_fixup(struct trap_frame *f);

#endif
