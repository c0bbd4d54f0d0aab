/* What the hypervisor writes into a guest's memory about time: the PV clock and the
 * runstate. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_PVCLOCK_H
#define CORBEL_HYPERCALL_PVCLOCK_H

#include "domain/domain.h"

/* Write vcpu_time_info, in vcpu_info and the registered secondary copy (xen.h), if the
 * TSC's offset changed since the last time or that is long ago. Called when v starts to
 * run on a CPU. */
void pvclock_update(struct vcpu *v);
/* Copy the runstate to where the guest registered it. */
void runstate_update(struct vcpu *v);
/* Wall clock in shared_info. */
void wallclock_update(struct domain *d);
/* The wall clock of the machine said `s` seconds and `ns` nanoseconds since 1970 when
 * system time was `system_time`. All domains get to know. */
void wallclock_set(uint64_t s, uint32_t ns, ns_t system_time);

/* Register v's runstate or secondary time area at guest virtual address `gva` of the
 * caller, 0 to take it back. -EFAULT, -ENOMEM. */
int runstate_register(struct vcpu *v, uint64_t gva);
int pvclock_register(struct vcpu *v, uint64_t gva);
/* Place v's vcpu_info at an offset in a page of its domain; once. -EINVAL, -ENXIO. */
int vcpu_info_register(struct vcpu *v, uint64_t gfn, uint32_t offset);

#endif
