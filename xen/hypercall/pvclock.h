/* What the hypervisor writes into a guest's memory about time: the PV clock and the
 * runstate. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_PVCLOCK_H
#define CORBEL_HYPERCALL_PVCLOCK_H

#include "domain/domain.h"

/* Write vcpu_time_info, in vcpu_info and the registered secondary copy (xen.h), if the
 * TSC's scale or offset changed since the last time. Called when v starts to run on a
 * CPU. */
void pvclock_update(struct vcpu *v);
/* Copy the runstate to where the guest registered it. */
void runstate_update(struct vcpu *v);
/* Wall clock in shared_info. */
void wallclock_update(struct domain *d);

#endif
