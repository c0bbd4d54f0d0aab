/* Per-CPU data, reached through GS. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_PERCPU_H
#define CORBEL_CPU_PERCPU_H

#include "lib/types.h"
#include "lib/list.h"

struct vcpu;
struct cpu_arch_boot;

/* One cache-aligned block per CPU; cpu/entry.S knows `self` and `stack_top` by offset. */
struct percpu {
    struct percpu *self;   /* offset 0 */
    struct vcpu *curr;     /* offset 8: the vCPU that runs here, the idle one included */
    uint64_t trap_scratch; /* offset 16 */
    unsigned int id;       /* 0 .. nr_cpus - 1 */
    uint32_t apic_id;
    uint32_t acpi_id;
    bool online;
    bool need_resched; /* set by handlers; read before VM entry and in idle */
    bool in_guest;     /* between the last check before VM entry and the exit */
    struct vcpu *idle;
    void *hvm_private;             /* of the vendor back end: host save areas */
    const struct vcpu *last_guest; /* that ran here; cpu/mitigation */
    struct vcpu *fpu_owner;        /* whose FPU state is in the registers, or NULL */
    struct sched_cpu *sched;       /* domain/sched.c */
    struct timer_cpu *timers;      /* cpu/timer.c */
    uint8_t *stub;                 /* cpu/stub.c: its page, to write to */
    const void *stub_code;         /* the same, to execute */
    uint64_t irq_count;
    uint64_t nmi_count;
    ns_t idle_time; /* ns spent in idle */
} __aligned(64);

extern struct percpu *cpus[MAX_CPUS];
extern unsigned int nr_cpus; /* CPUs that are up; ids are dense */

static inline struct percpu *this_cpu(void)
{
    struct percpu *p;

    /* volatile: another CPU may run this stack after schedule(). */
    __asm__ volatile("mov %%gs:0, %0" : "=r"(p));
    return p;
}

static inline struct vcpu *current_vcpu(void)
{
    struct vcpu *v;

    /* volatile: another CPU may run this stack after schedule(). */
    __asm__ volatile("mov %%gs:8, %0" : "=r"(v));
    return v;
}
#define current (current_vcpu())

#endif
