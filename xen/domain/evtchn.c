/* Event channels: ports, bindings, sending (public/event_channel.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How a pending event reaches the guest is the business of evtchn_2l.c and evtchn_fifo.c,
 * PIRQs are in evtchn_pirq.c. The locks are in evtchn_internal.h.
 */
#include "domain/evtchn_internal.h"
#include "domain/sched.h"
#include "hypercall/pvclock.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

#define NR_VIRQS 24

static struct domain *virq_handler[NR_VIRQS]; /* in place of Dom0; virq_handler_lock */
static struct spinlock virq_handler_lock;

/* An interrupt of one vCPU, or of the whole machine? (xen.h) */
static bool virq_is_global(unsigned int virq)
{
    switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU:
        return false;
    default:
        return true;
    }
}

struct evtchn *evtchn_get(const struct domain *d, unsigned int port)
{
    struct evtchn_domain *e = d->evtchn;

    if (!e || port >= __atomic_load_n(&e->nr_ports, __ATOMIC_ACQUIRE))
        return NULL;
    return &e->bucket[port / (EVTCHN_BUCKET * EVTCHN_BUCKETS_TOP)]
                     [port / EVTCHN_BUCKET % EVTCHN_BUCKETS_TOP][port % EVTCHN_BUCKET];
}

unsigned int evtchn_max_ports(const struct domain *d)
{
    return d->evtchn->fifo ? EVTCHN_FIFO_NR_CHANNELS : evtchn_2l_max(d);
}

/* Make room for the ports of one more bucket. */
static int grow(struct evtchn_domain *e)
{
    unsigned int bucket = e->nr_ports / EVTCHN_BUCKET;
    struct evtchn ***top = &e->bucket[bucket / EVTCHN_BUCKETS_TOP], *ports;

    if (!*top) {
        *top = zalloc(EVTCHN_BUCKETS_TOP * sizeof(**top));
        if (!*top)
            return -ENOMEM;
    }
    ports = zalloc(EVTCHN_BUCKET * sizeof(*ports));
    if (!ports)
        return -ENOMEM;
    for (unsigned int i = 0; i < EVTCHN_BUCKET; i++) {
        ports[i].port = e->nr_ports + i;
        ports[i].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    }
    (*top)[bucket % EVTCHN_BUCKETS_TOP] = ports;
    __atomic_store_n(&e->nr_ports, e->nr_ports + EVTCHN_BUCKET, __ATOMIC_RELEASE);
    return 0;
}

int evtchn_alloc_port(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;
    unsigned int max_port = evtchn_max_ports(d) - 1, port;
    bool below_is_used = true;

    if (domain_is_dying(d))
        return -EINVAL;
    if (!d->is_privileged && d->max_evtchn_port < max_port)
        max_port = d->max_evtchn_port;
    for (port = e->min_free; port <= max_port; port++) {
        if (port >= e->nr_ports) {
            int rc = grow(e);

            if (rc)
                return rc;
        }
        if (evtchn_get(d, port)->state != EVTCHN_FREE) {
            if (below_is_used)
                e->min_free = port + 1;
            continue;
        }
        below_is_used = false;
        if (!e->fifo || !evtchn_fifo_busy(d, port))
            return port;
    }
    return -ENOSPC;
}

static struct vcpu *notified_vcpu(const struct domain *d, const struct evtchn *chn)
{
    return domain_vcpu(d, chn->vcpu);
}

static void wake_pollers(struct domain *d, unsigned int port)
{
    /* The event was raised with a full barrier; a poller raised its flag with one before
     * it looks at the event. So one of the two sees the other. */
    if (!__atomic_load_n(&d->evtchn->pollers, __ATOMIC_SEQ_CST))
        return;
    for_each_vcpu(d, v)
    {
        int polled = READ_ONCE(v->poll_evtchn);

        if (polled == 0 || polled == (int)port)
            vcpu_wake(v);
    }
}

void evtchn_raise(struct domain *d, struct evtchn *chn)
{
    struct vcpu *v = notified_vcpu(d, chn);

    if (d->evtchn->fifo)
        evtchn_fifo_raise(d, v, chn);
    else
        evtchn_2l_raise(d, v, chn);
    wake_pollers(d, chn->port);
}

static void lock_two(struct spinlock *a, struct spinlock *b)
{
    if (a > b) {
        struct spinlock *c = a;

        a = b;
        b = c;
    }
    spin_lock(a);
    if (a != b)
        spin_lock(b);
}

static void unlock_two(struct spinlock *a, struct spinlock *b)
{
    spin_unlock(a);
    if (a != b)
        spin_unlock(b);
}

int evtchn_alloc_unbound(struct domain *d, domid_t remote, uint32_t *out)
{
    struct evtchn *chn;
    int port;

    spin_lock(&d->evtchn->lock);
    port = evtchn_alloc_port(d);
    if (port >= 0) {
        chn = evtchn_get(d, port);
        spin_lock(&chn->lock);
        chn->remote_id = remote;
        chn->state = EVTCHN_UNBOUND;
        spin_unlock(&chn->lock);
        *out = port;
    }
    spin_unlock(&d->evtchn->lock);
    return port < 0 ? port : 0;
}

int evtchn_bind_interdomain(struct domain *d, struct domain *remote, uint32_t remote_port,
                            uint32_t *out)
{
    struct evtchn *local, *other;
    int port, rc = -EINVAL;

    lock_two(&d->evtchn->lock, &remote->evtchn->lock);
    port = evtchn_alloc_port(d);
    if (port < 0) {
        rc = port;
        goto out;
    }
    other = evtchn_get(remote, remote_port);
    if (!other || other->state != EVTCHN_UNBOUND || other->remote_id != d->id ||
        domain_is_dying(remote))
        goto out;
    local = evtchn_get(d, port);
    lock_two(&local->lock, &other->lock);
    local->remote = remote;
    local->remote_port = remote_port;
    local->state = EVTCHN_INTERDOMAIN;
    other->remote = d;
    other->remote_port = port;
    other->state = EVTCHN_INTERDOMAIN;
    /* What was sent while nobody listened was dropped: look once. */
    evtchn_raise(d, local);
    unlock_two(&local->lock, &other->lock);
    *out = port;
    rc = 0;
out:
    unlock_two(&d->evtchn->lock, &remote->evtchn->lock);
    return rc;
}

int evtchn_bind_new(struct domain *d, enum evtchn_state state, uint16_t number,
                    uint32_t vcpu)
{
    int port = evtchn_alloc_port(d);
    struct evtchn *chn;

    if (port < 0)
        return port;
    chn = evtchn_get(d, port);
    spin_lock(&chn->lock);
    chn->virq = number;
    chn->vcpu = vcpu;
    chn->state = state;
    spin_unlock(&chn->lock);
    return port;
}

int evtchn_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu, uint32_t *out)
{
    struct vcpu *v;
    int port;

    if (virq >= NR_VIRQS || (virq_is_global(virq) && vcpu != 0))
        return -EINVAL;
    v = domain_vcpu(d, vcpu);
    if (!v)
        return -ENOENT;
    spin_lock(&d->evtchn->lock);
    port =
        v->virq_to_evtchn[virq] ? -EEXIST : evtchn_bind_new(d, EVTCHN_VIRQ, virq, vcpu);
    if (port >= 0) {
        WRITE_ONCE(v->virq_to_evtchn[virq], port);
        *out = port;
    }
    spin_unlock(&d->evtchn->lock);
    return port < 0 ? port : 0;
}

int evtchn_bind_ipi(struct domain *d, uint32_t vcpu, uint32_t *out)
{
    int port;

    if (!domain_vcpu(d, vcpu))
        return -ENOENT;
    spin_lock(&d->evtchn->lock);
    port = evtchn_bind_new(d, EVTCHN_IPI, 0, vcpu);
    spin_unlock(&d->evtchn->lock);
    if (port < 0)
        return port;
    *out = port;
    return 0;
}

/* Free a port whose binding is gone; chn->lock and d's lock are held. */
static void free_port(struct domain *d, struct evtchn *chn)
{
    struct evtchn_domain *e = d->evtchn;

    chn->state = EVTCHN_FREE;
    chn->is_xen = false;
    chn->notify = NULL;
    chn->remote = NULL;
    chn->vcpu = 0;
    chn->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    if (e->fifo)
        evtchn_fifo_clear(d, chn);
    else
        evtchn_2l_clear(d, chn);
    if (chn->port < e->min_free)
        e->min_free = chn->port;
}

/* Take the lock of the domain at the other end of chn too. d's is held, and may be let go
 * for a moment to keep the order: then the caller has to look at chn again (false). */
static bool lock_remote(struct domain *d, struct evtchn *chn)
{
    struct domain *remote = chn->remote;

    if (remote == d)
        return true;
    if (&remote->evtchn->lock > &d->evtchn->lock) {
        spin_lock(&remote->evtchn->lock);
        return true;
    }
    if (spin_trylock(&remote->evtchn->lock))
        return true;
    domain_get(remote); /* the channel does not keep it once our lock is gone */
    spin_unlock(&d->evtchn->lock);
    lock_two(&d->evtchn->lock, &remote->evtchn->lock);
    if (chn->state == EVTCHN_INTERDOMAIN && chn->remote == remote) {
        domain_put(remote); /* not the last: the channel is alive and so is it */
        return true;
    }
    spin_unlock(&remote->evtchn->lock);
    spin_unlock(&d->evtchn->lock);
    domain_put(remote);
    spin_lock(&d->evtchn->lock);
    return false;
}

static void close_interdomain(struct domain *d, struct evtchn *chn)
{
    struct domain *remote = chn->remote;
    struct evtchn *other = evtchn_get(remote, chn->remote_port);

    lock_two(&chn->lock, &other->lock);
    other->remote_id = d->id;
    other->remote = NULL;
    other->state = EVTCHN_UNBOUND;
    free_port(d, chn);
    unlock_two(&chn->lock, &other->lock);
    if (remote != d)
        spin_unlock(&remote->evtchn->lock);
}

static int close_port(struct domain *d, uint32_t port, bool by_guest)
{
    struct evtchn *chn = evtchn_get(d, port);
    struct vcpu *v;
    int rc = 0;

    if (!chn)
        return -EINVAL;
    spin_lock(&d->evtchn->lock);
again:
    if (by_guest && chn->is_xen) {
        rc = -EINVAL;
        goto out;
    }
    switch (chn->state) {
    case EVTCHN_FREE:
    case EVTCHN_RESERVED:
        rc = -EINVAL;
        goto out;
    case EVTCHN_INTERDOMAIN:
        if (!lock_remote(d, chn))
            goto again;
        close_interdomain(d, chn);
        goto out;
    case EVTCHN_VIRQ:
        v = notified_vcpu(d, chn);
        /* A global one may have moved to another vCPU; it is bound on vCPU 0. */
        if (virq_is_global(chn->virq))
            v = domain_vcpu(d, 0);
        if (v)
            WRITE_ONCE(v->virq_to_evtchn[chn->virq], 0);
        break;
    case EVTCHN_PIRQ:
        WRITE_ONCE(d->evtchn->pirq_port[chn->virq], 0);
        break;
    default:
        break;
    }
    spin_lock(&chn->lock);
    free_port(d, chn);
    spin_unlock(&chn->lock);
out:
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_close(struct domain *d, uint32_t port)
{
    return close_port(d, port, true);
}

int evtchn_send(struct domain *d, uint32_t port)
{
    struct evtchn *chn = evtchn_get(d, port), *other;
    struct domain *remote;
    int rc = 0;

    if (!chn)
        return -EINVAL;
    spin_lock(&chn->lock);
    if (unlikely(chn->is_xen)) {
        rc = -EINVAL;
        goto out;
    }
    switch (chn->state) {
    case EVTCHN_INTERDOMAIN:
        remote = chn->remote;
        other = evtchn_get(remote, chn->remote_port);
        if (other->is_xen) {
            struct vcpu *v = notified_vcpu(remote, other);

            if (other->notify && v)
                other->notify(v, other->port);
        } else {
            evtchn_raise(remote, other);
        }
        break;
    case EVTCHN_IPI:
        evtchn_raise(d, chn);
        break;
    case EVTCHN_UNBOUND: /* nobody listens */
        break;
    default:
        rc = -EINVAL;
    }
out:
    spin_unlock(&chn->lock);
    return rc;
}

int evtchn_bind_vcpu(struct domain *d, uint32_t port, uint32_t vcpu)
{
    struct evtchn *chn = evtchn_get(d, port);
    int rc = -EINVAL;

    if (!domain_vcpu(d, vcpu))
        return -ENOENT;
    if (!chn)
        return -EINVAL;
    spin_lock(&d->evtchn->lock);
    spin_lock(&chn->lock);
    if (!chn->is_xen && (chn->state == EVTCHN_UNBOUND ||
                         chn->state == EVTCHN_INTERDOMAIN || chn->state == EVTCHN_PIRQ ||
                         (chn->state == EVTCHN_VIRQ && virq_is_global(chn->virq)))) {
        chn->vcpu = vcpu;
        rc = 0;
    }
    spin_unlock(&chn->lock);
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_unmask(struct domain *d, uint32_t port)
{
    struct evtchn *chn = evtchn_get(d, port);

    if (!chn)
        return -EINVAL;
    spin_lock(&chn->lock);
    if (d->evtchn->fifo)
        evtchn_fifo_unmask(d, notified_vcpu(d, chn), chn);
    else
        evtchn_2l_unmask(d, notified_vcpu(d, chn), chn);
    spin_unlock(&chn->lock);
    return 0;
}

int evtchn_status(struct domain *d, struct evtchn_status *status)
{
    struct evtchn *chn = evtchn_get(d, status->port);

    if (!chn)
        return -EINVAL;
    spin_lock(&d->evtchn->lock);
    switch (chn->state) {
    case EVTCHN_UNBOUND:
        status->status = EVTCHNSTAT_unbound;
        status->u.unbound.dom = chn->remote_id;
        break;
    case EVTCHN_INTERDOMAIN:
        status->status = EVTCHNSTAT_interdomain;
        status->u.interdomain.dom = chn->remote->id;
        status->u.interdomain.port = chn->remote_port;
        break;
    case EVTCHN_VIRQ:
        status->status = EVTCHNSTAT_virq;
        status->u.virq = chn->virq;
        break;
    case EVTCHN_PIRQ:
        status->status = EVTCHNSTAT_pirq;
        status->u.pirq = chn->virq;
        break;
    case EVTCHN_IPI:
        status->status = EVTCHNSTAT_ipi;
        break;
    default:
        status->status = EVTCHNSTAT_closed;
    }
    status->vcpu = chn->vcpu;
    spin_unlock(&d->evtchn->lock);
    return 0;
}

static void dump_port(struct domain *d, const struct evtchn *chn)
{
    printk("  d%u port %u, vCPU %u%s%s: ", d->id, chn->port, chn->vcpu,
           chn->is_xen ? ", the hypervisor's" : "",
           evtchn_port_pending(d, chn->port) ? ", pending" : "");
    switch (chn->state) {
    case EVTCHN_UNBOUND:
        printk("waits for d%u\n", chn->remote_id);
        break;
    case EVTCHN_INTERDOMAIN:
        printk("to d%u port %u\n", chn->remote->id, chn->remote_port);
        break;
    case EVTCHN_VIRQ:
        printk("VIRQ %u\n", chn->virq);
        break;
    case EVTCHN_PIRQ:
        printk("PIRQ %u\n", chn->virq);
        break;
    default:
        printk("IPI\n");
    }
}

void evtchn_dump(struct domain *d)
{
    unsigned int used = 0;

    spin_lock(&d->evtchn->lock);
    for (unsigned int port = 1; port < d->evtchn->nr_ports; port++) {
        const struct evtchn *chn = evtchn_get(d, port);

        if (chn->state == EVTCHN_FREE || chn->state == EVTCHN_RESERVED)
            continue;
        used++;
        dump_port(d, chn);
    }
    spin_unlock(&d->evtchn->lock);
    printk("d%u: %u event channels in use\n", d->id, used);
}

void evtchn_send_virq(struct vcpu *v, unsigned int virq)
{
    struct domain *d = v->domain;
    unsigned int port = READ_ONCE(v->virq_to_evtchn[virq]);
    struct evtchn *chn = port ? evtchn_get(d, port) : NULL;

    if (!chn)
        return;
    spin_lock(&chn->lock);
    if (chn->state == EVTCHN_VIRQ && chn->virq == virq)
        evtchn_raise(d, chn);
    spin_unlock(&chn->lock);
}

void evtchn_send_global_virq(unsigned int virq)
{
    struct domain *d;
    struct vcpu *v;

    spin_lock(&virq_handler_lock);
    d = virq_handler[virq] ? virq_handler[virq] : dom0;
    v = d ? domain_vcpu(d, 0) : NULL;
    if (v && !domain_is_dying(d))
        evtchn_send_virq(v, virq);
    spin_unlock(&virq_handler_lock);
}

int evtchn_set_virq_handler(struct domain *d, unsigned int virq)
{
    if (virq >= NR_VIRQS || !virq_is_global(virq))
        return -EINVAL;
    spin_lock(&virq_handler_lock);
    if (!domain_is_dying(d))
        virq_handler[virq] = d->is_privileged ? NULL : d;
    spin_unlock(&virq_handler_lock);
    return 0;
}

int evtchn_alloc_xen(struct domain *d, unsigned int vcpu, domid_t remote,
                     void (*notify)(struct vcpu *v, unsigned int port))
{
    struct evtchn *chn;
    int port;

    spin_lock(&d->evtchn->lock);
    port = evtchn_alloc_port(d);
    if (port >= 0) {
        chn = evtchn_get(d, port);
        spin_lock(&chn->lock);
        chn->remote_id = remote;
        chn->vcpu = vcpu;
        chn->is_xen = true;
        chn->notify = notify;
        chn->state = EVTCHN_UNBOUND;
        spin_unlock(&chn->lock);
    }
    spin_unlock(&d->evtchn->lock);
    return port;
}

void evtchn_free_xen(struct domain *d, unsigned int port)
{
    close_port(d, port, false);
}

void evtchn_notify_xen(struct domain *d, unsigned int port)
{
    struct evtchn *chn = evtchn_get(d, port);

    if (!chn)
        return;
    spin_lock(&chn->lock);
    if (chn->state == EVTCHN_INTERDOMAIN && chn->is_xen)
        evtchn_raise(chn->remote, evtchn_get(chn->remote, chn->remote_port));
    spin_unlock(&chn->lock);
}

bool evtchn_upcall_pending(const struct vcpu *v)
{
    return READ_ONCE(v->info->evtchn_upcall_pending);
}

void evtchn_poll_begin(struct vcpu *v, unsigned int port)
{
    WRITE_ONCE(v->poll_evtchn, (int)port);
    __atomic_add_fetch(&v->domain->evtchn->pollers, 1, __ATOMIC_SEQ_CST);
}

void evtchn_poll_end(struct vcpu *v)
{
    WRITE_ONCE(v->poll_evtchn, -1);
    __atomic_sub_fetch(&v->domain->evtchn->pollers, 1, __ATOMIC_SEQ_CST);
}

bool evtchn_port_pending(struct domain *d, unsigned int port)
{
    struct evtchn *chn = evtchn_get(d, port);
    bool pending;

    if (!chn)
        return false;
    spin_lock(&chn->lock); /* keeps the FIFO pages */
    pending = d->evtchn->fifo ? evtchn_fifo_pending(d, port) : evtchn_2l_pending(d, port);
    spin_unlock(&chn->lock);
    return pending;
}

bool evtchn_port_exists(const struct domain *d, unsigned int port)
{
    const struct evtchn *chn = evtchn_get(d, port);

    return chn && READ_ONCE(chn->state) != EVTCHN_FREE &&
           READ_ONCE(chn->state) != EVTCHN_RESERVED;
}

int evtchn_reset(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;

    for (unsigned int port = 1; port < READ_ONCE(e->nr_ports); port++)
        close_port(d, port, true);
    spin_lock(&e->lock);
    /* The hypervisor's own ports stay: their state is not in the guest's pages. */
    evtchn_fifo_destroy(d);
    spin_unlock(&e->lock);
    return 0;
}

int evtchn_domain_init(struct domain *d)
{
    int rc;

    d->evtchn = zalloc(sizeof(*d->evtchn));
    if (!d->evtchn)
        return -ENOMEM;
    rc = grow(d->evtchn);
    if (rc) {
        evtchn_domain_free(d);
        return rc;
    }
    evtchn_get(d, 0)->state = EVTCHN_RESERVED;
    d->evtchn->min_free = 1;
    wallclock_update(d);
    return 0;
}

void evtchn_domain_destroy(struct domain *d)
{
    if (!d->evtchn)
        return;
    for (unsigned int port = 1; port < READ_ONCE(d->evtchn->nr_ports); port++)
        close_port(d, port, false);
    spin_lock(&d->evtchn->lock);
    evtchn_fifo_destroy(d);
    spin_unlock(&d->evtchn->lock);
    spin_lock(&virq_handler_lock);
    for (unsigned int i = 0; i < NR_VIRQS; i++)
        if (virq_handler[i] == d)
            virq_handler[i] = NULL;
    spin_unlock(&virq_handler_lock);
}

/* Of vCPUs of dead domains. */
static struct vcpu_info dead_vcpu_info;

static bool is_private_info(const struct vcpu *v)
{
    const struct evtchn_domain *e = v->domain->evtchn;

    return v->info == &dead_vcpu_info ||
           (e->extra_info && v->id >= XEN_LEGACY_MAX_VCPUS &&
            v->info == &e->extra_info[v->id - XEN_LEGACY_MAX_VCPUS]);
}

struct vcpu_info *evtchn_default_info(const struct vcpu *v)
{
    struct domain *d = v->domain;

    if (domain_is_dying(d) || !d->shared_info)
        return &dead_vcpu_info;
    if (v->id < XEN_LEGACY_MAX_VCPUS)
        return &d->shared_info->vcpu_info[v->id];
    return &d->evtchn->extra_info[v->id - XEN_LEGACY_MAX_VCPUS];
}

void evtchn_set_upcall(struct vcpu *v)
{
    /* Nobody could clear it there; when the guest gives a place, all is raised. */
    if (unlikely(is_private_info(v)))
        return;
    if (!__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        hvm_evtchn_upcall(v);
}

int evtchn_vcpu_init(struct vcpu *v)
{
    struct domain *d = v->domain;
    struct evtchn_domain *e = d->evtchn;

    v->poll_evtchn = -1;
    if (v->id >= XEN_LEGACY_MAX_VCPUS && !e->extra_info) {
        e->extra_info =
            zalloc((d->nr_vcpus - XEN_LEGACY_MAX_VCPUS) * sizeof(*e->extra_info));
        if (!e->extra_info)
            return -ENOMEM;
    }
    v->info = evtchn_default_info(v);
    return 0;
}

void evtchn_vcpu_destroy(struct vcpu *v)
{
    zfree(v->evtchn_fifo); /* left only if nothing was ever mapped */
    v->evtchn_fifo = NULL;
    v->info = &dead_vcpu_info;
}

void evtchn_domain_free(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;

    if (!e)
        return;
    for (unsigned int i = 0; i < EVTCHN_TOPS; i++) {
        for (unsigned int j = 0; e->bucket[i] && j < EVTCHN_BUCKETS_TOP; j++)
            zfree(e->bucket[i][j]);
        zfree(e->bucket[i]);
    }
    zfree(e->extra_info);
    zfree(e->pirq_port);
    zfree(e);
    d->evtchn = NULL;
}
