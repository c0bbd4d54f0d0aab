/* Event channels: 2-level and FIFO. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_DOMAIN_EVTCHN_H
#define CORBEL_DOMAIN_EVTCHN_H

#include "domain/domain.h"

struct evtchn_status;

#define EVTCHN_NR_PIRQS 256 /* of an HVM guest */

int evtchn_domain_init(struct domain *d);
void evtchn_domain_destroy(struct domain *d); /* closes all ports */
void evtchn_domain_free(struct domain *d);    /* with the last reference */
int evtchn_vcpu_init(struct vcpu *v);
void evtchn_vcpu_destroy(struct vcpu *v);

/* A virtual interrupt for a vCPU (VIRQ_*); global ones go to the vCPU that bound them. */
void evtchn_send_virq(struct vcpu *v, unsigned int virq);
/* VIRQ_DOM_EXC, VIRQ_CONSOLE ...: to Dom0, or to who was set in its place. */
void evtchn_send_global_virq(unsigned int virq);
/* Let d have a global virq. -EINVAL: not a global one. */
int evtchn_set_virq_handler(struct domain *d, unsigned int virq);

/* A port of d whose other end is the hypervisor itself, for vCPU v_id: d's kernel or tool
 * binds to it as unbound interdomain port of `remote`. Returns the port in d. `notify` is
 * called when the other end signals (may be NULL). For ioreq servers. */
int evtchn_alloc_xen(struct domain *d, unsigned int vcpu, domid_t remote,
                     void (*notify)(struct vcpu *v, unsigned int port));
void evtchn_free_xen(struct domain *d, unsigned int port);
/* Signal the other end of such a port. */
void evtchn_notify_xen(struct domain *d, unsigned int port);

/* Is an upcall pending for this vCPU? Read on the way into the guest. HVM guests have no
 * upcall mask: that is what their RFLAGS.IF and TPR are for. */
bool evtchn_upcall_pending(const struct vcpu *v);
/* Mark the upcall pending and make the vCPU see it: by callback vector, GSI or upcall
 * vector (hvm/intr.c: hvm_evtchn_upcall). */
void evtchn_set_upcall(struct vcpu *v);

/* Raise the port that a PIRQ is bound to, if it is. No event channel lock is held. */
void evtchn_send_pirq(struct domain *d, unsigned int pirq);
/* Is it bound? Any context. */
bool evtchn_pirq_bound(const struct domain *d, unsigned int pirq);

/* For SCHEDOP_poll. Between begin and end, an event on `port` (0: on any) of v's domain
 * wakes v. A port is pending whether it is masked or not. */
void evtchn_poll_begin(struct vcpu *v, unsigned int port);
void evtchn_poll_end(struct vcpu *v);
bool evtchn_port_pending(struct domain *d, unsigned int port);
/* Is the port in use? */
bool evtchn_port_exists(const struct domain *d, unsigned int port);
unsigned int evtchn_max_ports(const struct domain *d);

/* Close all ports but the hypervisor's own, and return to the 2-level ABI. */
int evtchn_reset(struct domain *d);
/* From now on shared_info has the layout of a 32-bit (or 64-bit) guest. */
void evtchn_set_layout(struct domain *d, bool is_32bit);
bool evtchn_layout_32bit(const struct domain *d);
/* Where v->info is if the guest does not register a place. */
struct vcpu_info *evtchn_default_info(const struct vcpu *v);
/* v->info moved to a new place: what it said is copied, and everything is raised once,
 * because an event may have gone to the old place meanwhile. */
void evtchn_vcpu_info_moved(struct vcpu *v, struct vcpu_info *to);

/* The operations of public/event_channel.h, by `d`. Errors are the ABI's. */
int evtchn_alloc_unbound(struct domain *d, domid_t remote, uint32_t *port);
int evtchn_bind_interdomain(struct domain *d, struct domain *remote, uint32_t remote_port,
                            uint32_t *port);
int evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu, uint32_t *port);
/* Numbers are below EVTCHN_NR_PIRQS, the guest's own; whether something raises one does
 * not matter. -EINVAL, -EEXIST, -ENOSPC, -ENOMEM. */
int evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t *port);
int evtchn_bind_ipi(struct domain *d, uint32_t vcpu, uint32_t *port);
int evtchn_bind_vcpu(struct domain *d, uint32_t port, uint32_t vcpu);
int evtchn_close(struct domain *d, uint32_t port);
int evtchn_send(struct domain *d, uint32_t port);
int evtchn_unmask(struct domain *d, uint32_t port);
int evtchn_status(struct domain *d, struct evtchn_status *status);
/* The ports in use to the console, and how many there are. Takes d's lock. */
void evtchn_dump(struct domain *d);
int evtchn_fifo_init_control(struct domain *d, uint64_t gfn, uint32_t offset,
                             uint32_t vcpu);
int evtchn_fifo_expand_array(struct domain *d, uint64_t gfn);
int evtchn_fifo_set_priority(struct domain *d, uint32_t port, uint32_t priority);

/* In hvm/intr.c: the pending upcall of v changed; assert the callback as configured. */
void hvm_evtchn_upcall(struct vcpu *v);

#endif
