/* Exceptions and interrupts as the entry code leaves them.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_TRAPS_H
#define CORBEL_CPU_TRAPS_H

#include "cpu/percpu.h"

/* Built by cpu/entry.S; from rip on by the processor. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* IST numbers: stacks of their own for what can come at any point. */
enum { IST_NONE, IST_DF, IST_NMI, IST_MC, ISTS };

/* GDT, TSS and IDT of this CPU, GS base. With `early`, all ISTs share one static stack.
 */
void desc_init_cpu(struct percpu *p, bool early);
/* Allocate IST stacks for a CPU; -ENOMEM. */
int desc_alloc(struct percpu *p);

/* Registers, stack with symbols, CPU and current domain to the console. NULL: here. */
void dump_state(const struct trap_frame *f);
void dump_stack(uint64_t rsp);

void trap_dispatch(struct trap_frame *f);
void irq_dispatch(unsigned int vector);

#endif
