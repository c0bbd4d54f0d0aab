/* Timers and memory areas that a guest registers for a vCPU (hypercall/vcpu_op.c).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_VCPU_TIMER_H
#define CORBEL_HYPERCALL_VCPU_TIMER_H

#include "domain/domain.h"

void vcpu_timers_init(struct vcpu *v); /* single-shot, periodic, poll */
void vcpu_timers_stop(struct vcpu *v);
/* Drop vcpu_info, runstate and time areas, with the references on their pages; vcpu_info
 * goes back to the slot in the shared info page. */
void vcpu_unmap_guest_areas(struct vcpu *v);

#endif
