/* The scheduler: which vCPU runs where. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fair by weighted run time, a run queue per CPU, idle CPUs steal. A vCPU in hypervisor
 * code gives up its CPU only in schedule(), which the exit path calls when
 * percpu.need_resched is set, and blocking functions call.
 */
#ifndef CORBEL_DOMAIN_SCHED_H
#define CORBEL_DOMAIN_SCHED_H

#include "domain/domain.h"

void sched_init(void);
void sched_init_cpu(unsigned int cpu);
int sched_init_vcpu(struct vcpu *v);
void sched_destroy_vcpu(struct vcpu *v);

void sched_init_domain(struct domain *d);
void sched_destroy_domain(struct domain *d);
/* All vCPUs of d together run at most so many percent of one CPU; 0: no limit. */
void sched_set_cap(struct domain *d, unsigned int percent);

/* Choose and switch. Returns when this vCPU runs again, maybe on another CPU. No lock
 * held. */
void schedule(void);
/* Idle loop of a CPU; never returns. */
__noreturn void idle_loop(void);

/* Block the current vCPU until vcpu_wake(). A wake-up between the caller's check of its
 * condition and this call is not lost. Spurious returns happen: call it in a loop. */
void vcpu_block(void);
/* -EINTR if the domain is dying, else as vcpu_block() and 0. */
int vcpu_block_interruptible(void);
void vcpu_wake(struct vcpu *v);
/* Make v look at its pending events soon: wake it if blocked in HLT, kick its CPU if it
 * is in guest mode elsewhere. */
void vcpu_kick(struct vcpu *v);
void vcpu_yield(void);
/* For one that only waits: yield, if another vCPU wants this CPU. No lock held. */
void vcpu_yield_to_waiting(void);

/* Bring a vCPU on or off line (VCPUOP_up/down, INIT/SIPI). */
void vcpu_online(struct vcpu *v);
void vcpu_offline(struct vcpu *v);

void vcpu_pause_nosync(struct vcpu *v);
void vcpu_pause(struct vcpu *v); /* and wait until it does not run; not the current one */
void vcpu_unpause(struct vcpu *v);

/* Masks of CPU ids; -EINVAL if no online CPU is in it. */
int vcpu_set_affinity(struct vcpu *v, uint64_t hard, uint64_t soft);

/* Runstate with the time up to now accounted, in guest ABI form. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out);

#endif
