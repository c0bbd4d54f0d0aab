/* Event channels: 2-level and FIFO. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_DOMAIN_EVTCHN_H
#define CORBEL_DOMAIN_EVTCHN_H

#include "domain/domain.h"

int evtchn_domain_init(struct domain *d);
void evtchn_domain_destroy(struct domain *d); /* closes all ports */
int evtchn_vcpu_init(struct vcpu *v);
void evtchn_vcpu_destroy(struct vcpu *v);

/* A virtual interrupt for a vCPU (VIRQ_*); global ones go to the vCPU that bound them. */
void evtchn_send_virq(struct vcpu *v, unsigned int virq);
void evtchn_send_global_virq(
    unsigned int virq); /* Dom0's: VIRQ_DOM_EXC, VIRQ_CONSOLE ... */

/* A port of d whose other end is the hypervisor itself, for vCPU v_id: d's kernel or tool
 * binds to it as unbound interdomain port of `remote`. Returns the port in d. `notify` is
 * called when the other end signals (may be NULL). For ioreq servers. */
int evtchn_alloc_xen(struct domain *d, unsigned int vcpu, domid_t remote,
                     void (*notify)(struct vcpu *v, unsigned int port));
void evtchn_free_xen(struct domain *d, unsigned int port);
/* Signal the other end of such a port. */
void evtchn_notify_xen(struct domain *d, unsigned int port);

/* Is an upcall pending and unmasked for this vCPU? Read on the way into the guest. */
bool evtchn_upcall_pending(const struct vcpu *v);
/* Mark the upcall pending and make the vCPU see it: by callback vector, GSI or upcall
 * vector (hvm/intr.c: hvm_evtchn_upcall). */
void evtchn_set_upcall(struct vcpu *v);
bool evtchn_port_pending(struct domain *d, unsigned int port); /* for SCHEDOP_poll */

int evtchn_reset(struct domain *d);

/* In hvm/intr.c: the pending upcall of v changed; assert the callback as configured. */
void hvm_evtchn_upcall(struct vcpu *v);

#endif
