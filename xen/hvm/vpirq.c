/* Interrupt lines of a guest as event channels: PIRQs that stand for emulated devices.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * public/physdev.h, for HVM guests with XEN_X86_EMU_USE_PIRQ. Such a guest gives a line
 * (a GSI) a number of its own, the PIRQ, and binds that to a port (EVTCHNOP_bind_pirq).
 * Then the line's edges raise the port and no longer reach the I/O APIC. Linux does so
 * where XENFEAT_hvm_pirqs is announced: on stock Xen, so a guest that comes from there
 * needs it. Here it is not announced: the I/O APIC does without hypercalls.
 *
 * Edges are noted under irq_lock and raised after it: events are above it in the order of
 * locks. The callback line (hvm/intr.c) is moved while an event is raised, so what it
 * notes waits for whoever raises next.
 */
#include "hvm/vpirq.h"
#include "hvm/platform_device.h"
#include "domain/evtchn.h"
#include "lib/errno.h"

#define FIRST_FREE_PIRQ 16 /* those below are asked for by number, as GSIs */

bool vpirq_edge(struct domain *d, unsigned int gsi)
{
    struct platform *p = d->hvm->platform;
    unsigned int pirq = p->gsi_pirq[gsi];

    if (likely(!pirq) || !evtchn_pirq_bound(d, pirq))
        return false;
    __atomic_fetch_or(&p->pirq_edges, BIT(gsi), __ATOMIC_RELAXED);
    return true;
}

void vpirq_raise_edges(struct domain *d)
{
    struct platform *p = d->hvm->platform;
    uint64_t edges = __atomic_exchange_n(&p->pirq_edges, 0, __ATOMIC_RELAXED);

    for (; edges; edges &= edges - 1)
        evtchn_send_pirq(d, READ_ONCE(p->gsi_pirq[__builtin_ctzll(edges)]));
}

/* The GSI that has this PIRQ, or -1; irq_lock is held. */
static int gsi_of(const struct platform *p, unsigned int pirq)
{
    for (unsigned int gsi = 0; pirq && gsi < PLATFORM_NR_GSIS; gsi++)
        if (p->gsi_pirq[gsi] == pirq)
            return gsi;
    return -1;
}

int vpirq_map(struct domain *d, int pirq, int gsi)
{
    struct platform *p = d->hvm->platform;

    if (pirq <= 0 || pirq >= EVTCHN_NR_PIRQS || gsi < 0 || gsi >= PLATFORM_NR_GSIS)
        return -EINVAL;
    spin_lock(&p->irq_lock);
    /* What is mapped already stays as it is, and that is no error. */
    if (!p->gsi_pirq[gsi] && gsi_of(p, pirq) < 0)
        WRITE_ONCE(p->gsi_pirq[gsi], pirq);
    spin_unlock(&p->irq_lock);
    return 0;
}

int vpirq_unmap(struct domain *d, int pirq)
{
    struct platform *p = d->hvm->platform;
    int gsi;

    if (pirq < 0 || pirq >= EVTCHN_NR_PIRQS)
        return -EINVAL;
    spin_lock(&p->irq_lock);
    gsi = gsi_of(p, pirq);
    if (gsi >= 0)
        WRITE_ONCE(p->gsi_pirq[gsi], 0);
    p->pirq_taken[pirq / 64] &= ~BIT(pirq % 64);
    spin_unlock(&p->irq_lock);
    return 0;
}

int vpirq_eoi(struct domain *d, uint32_t pirq)
{
    struct platform *p = d->hvm->platform;
    bool again;
    int gsi;

    if (pirq >= EVTCHN_NR_PIRQS)
        return -EINVAL;
    spin_lock(&p->irq_lock);
    gsi = gsi_of(p, pirq);
    again = gsi >= PLATFORM_NR_ISA && platform_gsi_level(d, gsi);
    spin_unlock(&p->irq_lock);
    if (again)
        evtchn_send_pirq(d, pirq);
    return 0;
}

bool vpirq_is_mapped(struct domain *d, uint32_t pirq)
{
    struct platform *p = d->hvm->platform;
    bool mapped;

    spin_lock(&p->irq_lock);
    mapped = gsi_of(p, pirq) >= 0;
    spin_unlock(&p->irq_lock);
    return mapped;
}

int vpirq_get_free(struct domain *d)
{
    struct platform *p = d->hvm->platform;
    int pirq;

    spin_lock(&p->irq_lock);
    for (pirq = FIRST_FREE_PIRQ; pirq < EVTCHN_NR_PIRQS; pirq++)
        if (!(p->pirq_taken[pirq / 64] >> pirq % 64 & 1) && gsi_of(p, pirq) < 0 &&
            !evtchn_pirq_bound(d, pirq))
            break;
    if (pirq < EVTCHN_NR_PIRQS)
        p->pirq_taken[pirq / 64] |= BIT(pirq % 64);
    spin_unlock(&p->irq_lock);
    return pirq < EVTCHN_NR_PIRQS ? pirq : -ENOSPC;
}
