/* Event channels of PIRQs, the numbers that a guest gives to the lines of its emulated
 * devices (hvm/vpirq.c); nothing physical is behind them. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "domain/evtchn_internal.h"
#include "domain/domain.h"
#include "mm/frame.h"
#include "lib/errno.h"

int evtchn_bind_pirq(struct domain *d, uint32_t pirq, uint32_t *out)
{
    struct evtchn_domain *e = d->evtchn;
    int port = -ENOMEM;

    if (pirq >= EVTCHN_NR_PIRQS)
        return -EINVAL;
    spin_lock(&e->lock);
    if (!e->pirq_port)
        __atomic_store_n(&e->pirq_port, zalloc(EVTCHN_NR_PIRQS * sizeof(*e->pirq_port)),
                         __ATOMIC_RELEASE);
    if (e->pirq_port)
        port = e->pirq_port[pirq] ? -EEXIST : evtchn_bind_new(d, EVTCHN_PIRQ, pirq, 0);
    if (port >= 0) {
        WRITE_ONCE(e->pirq_port[pirq], port);
        *out = port;
    }
    spin_unlock(&e->lock);
    return port < 0 ? port : 0;
}

/* The port of a PIRQ, or 0. */
static uint32_t pirq_port(const struct domain *d, unsigned int pirq)
{
    const uint32_t *ports = __atomic_load_n(&d->evtchn->pirq_port, __ATOMIC_ACQUIRE);

    return ports ? READ_ONCE(ports[pirq]) : 0;
}

bool evtchn_pirq_bound(const struct domain *d, unsigned int pirq)
{
    return pirq_port(d, pirq);
}

void evtchn_send_pirq(struct domain *d, unsigned int pirq)
{
    uint32_t port = pirq_port(d, pirq);
    struct evtchn *chn = port ? evtchn_get(d, port) : NULL;

    if (!chn)
        return;
    spin_lock(&chn->lock);
    if (chn->state == EVTCHN_PIRQ && chn->virq == pirq)
        evtchn_raise(d, chn);
    spin_unlock(&chn->lock);
}
