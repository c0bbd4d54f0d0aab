/* event_channel_op: arguments of domain/evtchn*.c (public/event_channel.h). The layouts
 * are the same for 32-bit callers. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/abi.h"
#include "domain/evtchn.h"
#include "hvm/vpirq.h"
#include <xen/event_channel.h>

union evtchn_args {
    struct evtchn_alloc_unbound alloc_unbound;
    struct evtchn_bind_interdomain bind_interdomain;
    struct evtchn_bind_virq bind_virq;
    struct evtchn_bind_ipi bind_ipi;
    struct evtchn_bind_pirq bind_pirq;
    struct evtchn_close close;
    struct evtchn_send send;
    struct evtchn_status status;
    struct evtchn_bind_vcpu bind_vcpu;
    struct evtchn_unmask unmask;
    struct evtchn_reset reset;
    struct evtchn_init_control init_control;
    struct evtchn_expand_array expand_array;
    struct evtchn_set_priority set_priority;
};

/* A new port that the caller cannot be told of is closed again. */
static long give_port(struct hcall *c, int rc, const void *arg, size_t bytes,
                      struct domain *d, uint32_t port)
{
    if (rc)
        return rc;
    if (!copy_to_guest(c->arg[1], arg, bytes))
        return 0;
    evtchn_close(d, port);
    return -EFAULT;
}

static domid_t real_id(const struct hcall *c, domid_t id)
{
    return id == DOMID_SELF ? c->v->domain->id : id;
}

static long alloc_unbound(struct hcall *c, struct evtchn_alloc_unbound *a)
{
    struct domain *d;
    long rc = hcall_target(c, a->dom, &d);

    if (rc)
        return rc;
    rc = evtchn_alloc_unbound(d, real_id(c, a->remote_dom), &a->port);
    rc = give_port(c, rc, a, sizeof(*a), d, a->port);
    domain_put(d);
    return rc;
}

static long bind_interdomain(struct hcall *c, struct evtchn_bind_interdomain *a)
{
    struct domain *remote = domain_get_by_id(a->remote_dom);
    long rc;

    if (!remote)
        return -ESRCH;
    rc = evtchn_bind_interdomain(c->v->domain, remote, a->remote_port, &a->local_port);
    rc = give_port(c, rc, a, sizeof(*a), c->v->domain, a->local_port);
    domain_put(remote);
    return rc;
}

static long status(struct hcall *c, struct evtchn_status *a)
{
    struct domain *d;
    long rc = hcall_target(c, a->dom, &d);

    if (rc)
        return rc;
    rc = evtchn_status(d, a);
    domain_put(d);
    return rc ? rc : copy_to_guest(c->arg[1], a, sizeof(*a));
}

static long reset(struct hcall *c, const struct evtchn_reset *a)
{
    struct domain *d;
    long rc = hcall_target(c, a->dom, &d);

    if (rc)
        return rc;
    rc = evtchn_reset(d);
    domain_put(d);
    return rc;
}

static long init_control(struct hcall *c, struct evtchn_init_control *a)
{
    long rc = evtchn_fifo_init_control(c->v->domain, a->control_gfn, a->offset, a->vcpu);

    if (rc)
        return rc;
    a->link_bits = EVTCHN_FIFO_LINK_BITS;
    return copy_to_guest(c->arg[1], a, sizeof(*a));
}

long do_event_channel_op(struct hcall *c)
{
    static const uint8_t bytes[] = {
        [EVTCHNOP_bind_interdomain] = sizeof(struct evtchn_bind_interdomain),
        [EVTCHNOP_bind_virq] = sizeof(struct evtchn_bind_virq),
        [EVTCHNOP_bind_pirq] = sizeof(struct evtchn_bind_pirq),
        [EVTCHNOP_close] = sizeof(struct evtchn_close),
        [EVTCHNOP_send] = sizeof(struct evtchn_send),
        [EVTCHNOP_status] = sizeof(struct evtchn_status),
        [EVTCHNOP_alloc_unbound] = sizeof(struct evtchn_alloc_unbound),
        [EVTCHNOP_bind_ipi] = sizeof(struct evtchn_bind_ipi),
        [EVTCHNOP_bind_vcpu] = sizeof(struct evtchn_bind_vcpu),
        [EVTCHNOP_unmask] = sizeof(struct evtchn_unmask),
        [EVTCHNOP_reset] = sizeof(struct evtchn_reset),
        [EVTCHNOP_init_control] = sizeof(struct evtchn_init_control),
        [EVTCHNOP_expand_array] = sizeof(struct evtchn_expand_array),
        [EVTCHNOP_set_priority] = sizeof(struct evtchn_set_priority),
    };
    uint32_t cmd = c->arg[0];
    struct domain *d = c->v->domain;
    union evtchn_args a;
    long rc;

    if (copy_from_guest(&a, c->arg[1], bytes[cmd]))
        return -EFAULT;
    switch (cmd) {
    case EVTCHNOP_send:
        return evtchn_send(d, a.send.port);
    case EVTCHNOP_unmask:
        return evtchn_unmask(d, a.unmask.port);
    case EVTCHNOP_alloc_unbound:
        return alloc_unbound(c, &a.alloc_unbound);
    case EVTCHNOP_bind_interdomain:
        return bind_interdomain(c, &a.bind_interdomain);
    case EVTCHNOP_bind_virq:
        rc = evtchn_bind_virq(d, a.bind_virq.virq, a.bind_virq.vcpu, &a.bind_virq.port);
        return give_port(c, rc, &a, bytes[cmd], d, a.bind_virq.port);
    case EVTCHNOP_bind_ipi:
        rc = evtchn_bind_ipi(d, a.bind_ipi.vcpu, &a.bind_ipi.port);
        return give_port(c, rc, &a, bytes[cmd], d, a.bind_ipi.port);
    case EVTCHNOP_bind_pirq:
        if (!vpirq_is_mapped(d, a.bind_pirq.pirq))
            return -EINVAL;
        rc = evtchn_bind_pirq(d, a.bind_pirq.pirq, &a.bind_pirq.port);
        return give_port(c, rc, &a, bytes[cmd], d, a.bind_pirq.port);
    case EVTCHNOP_close:
        return evtchn_close(d, a.close.port);
    case EVTCHNOP_status:
        return status(c, &a.status);
    case EVTCHNOP_bind_vcpu:
        return evtchn_bind_vcpu(d, a.bind_vcpu.port, a.bind_vcpu.vcpu);
    case EVTCHNOP_reset:
        return reset(c, &a.reset);
    case EVTCHNOP_init_control:
        return init_control(c, &a.init_control);
    case EVTCHNOP_expand_array:
        return evtchn_fifo_expand_array(d, a.expand_array.array_gfn);
    case EVTCHNOP_set_priority:
        return evtchn_fifo_set_priority(d, a.set_priority.port, a.set_priority.priority);
    }
    return -ENOSYS;
}
