/* Starting CPUs and talking to them. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_SMP_H
#define CORBEL_CPU_SMP_H

#include "cpu/percpu.h"

/* Start all CPUs that the MADT names (up to option maxcpus). */
void smp_start_all(void);

/* Option smt: are all threads of a core used? */
bool smt_wanted(void);

/* Make a CPU leave guest mode or idle and look at its flags. Does not wait. */
void smp_kick(unsigned int cpu);

/* Run fn(arg) on each CPU of `mask` (bit = cpu id), this one included, with interrupts
 * off. Waits for all. May be called with no lock held only: a CPU that spins on a lock
 * does not take the call. */
void smp_call(uint64_t mask, void (*fn)(void *), void *arg);

#endif
