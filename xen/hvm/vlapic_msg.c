/* Interrupt messages to local APICs: who is meant, and what happens there.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM vol 3, 11.6 (IPIs), 11.6.2 (destinations), 11.11 (MSI); AMD APM vol 2, 16.5.
 * Remote read and SMI are accepted and dropped. Lowest priority means the lowest PPR, and
 * takes turns among equals.
 */
#include "hvm/vlapic.h"
#include "hvm/platform_device.h"
#include "lib/errno.h"
#include "domain/sched.h"

#define ICR_LOGICAL   0x800u
#define ICR_STATUS    0x1000u
#define ICR_ASSERT    0x4000u
#define ICR_LEVEL     0x8000u
#define ICR_SHORTHAND 0xc0000u
#define ICR_SELF      0x40000u
#define ICR_ALL       0x80000u
#define ICR_OTHERS    0xc0000u

static bool is_broadcast(const struct apic_msg *m)
{
    return m->dest == (m->wide ? 0xffffffff : 0xff);
}

static bool matches_logical(const struct vlapic *s, const struct apic_msg *m)
{
    if (s->x2apic)
        return m->dest >> 16 == s->ldr >> 16 && (m->dest & s->ldr & 0xffff);
    if (s->dfr >> 28 == 0xf) /* flat */
        return m->dest & (s->ldr >> 24);
    /* cluster: 4 bits of cluster, 4 bits of members */
    return (m->dest >> 4 & 0xf) == s->ldr >> 28 && (m->dest & (s->ldr >> 24) & 0xf);
}

bool vlapic_matches(const struct vlapic *s, const struct apic_msg *m)
{
    if (!s->hw_enabled || s == m->not_for)
        return false;
    if (is_broadcast(m))
        return true;
    if (m->logical)
        return matches_logical(s, m);
    return m->dest == (s->x2apic || m->dest > 0xff ? s->id : (s->id & 0xff));
}

static enum apic_sent deliver(struct vlapic *s, const struct apic_msg *m)
{
    struct vcpu *v = s->vcpu;

    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (!s->sw_enabled)
            return APIC_SENT_NOWHERE;
        if (vlapic_vector_pending(s, m->vector))
            return APIC_SENT_COALESCED;
        vlapic_set_irq(v, m->vector, m->level);
        return APIC_SENT;
    case APIC_NMI:
        if (v->hvm->nmi_pending)
            return APIC_SENT_COALESCED;
        WRITE_ONCE(v->hvm->nmi_pending, true);
        vcpu_kick(v);
        return APIC_SENT;
    case APIC_INIT:
        hvm_vcpu_init_ipi(v);
        return APIC_SENT;
    case APIC_SIPI:
        hvm_vcpu_sipi(v, m->vector);
        return APIC_SENT;
    }
    return APIC_SENT_NOWHERE;
}

/* The usual message names one local APIC by its id: try the vCPU that has it by default.
 */
static struct vlapic *find_physical(struct domain *d, const struct apic_msg *m)
{
    struct vcpu *v = domain_vcpu(d, m->dest >> 1);

    if (v && v->hvm && v->hvm->vlapic && vlapic_matches(v->hvm->vlapic, m))
        return v->hvm->vlapic;
    for_each_vcpu(d, other)
    {
        struct vlapic *s = other->hvm ? other->hvm->vlapic : NULL;

        if (s && vlapic_matches(s, m))
            return s;
    }
    return NULL;
}

static uint8_t ppr(const struct vlapic *s)
{
    return s->live ? READ_ONCE(s->page[APIC_PPR * 4]) : READ_ONCE(s->ppr);
}

static enum apic_sent send_lowest(struct domain *d, const struct apic_msg *m)
{
    struct platform *p = d->hvm->platform;
    unsigned int n = d->nr_vcpus, start = p ? READ_ONCE(p->lowest_turn) : 0;
    struct vlapic *best = NULL;

    for (unsigned int i = 1; i <= n; i++) {
        struct vcpu *v = d->vcpus[(start + i) % n];
        struct vlapic *s = v && v->hvm ? v->hvm->vlapic : NULL;

        if (s && s->sw_enabled && vlapic_matches(s, m) && (!best || ppr(s) < ppr(best)))
            best = s;
    }
    if (!best)
        return APIC_SENT_NOWHERE;
    if (p)
        WRITE_ONCE(p->lowest_turn, best->vcpu->id);
    return deliver(best, m);
}

enum apic_sent vlapic_send(struct domain *d, const struct apic_msg *m)
{
    enum apic_sent sent = APIC_SENT_NOWHERE;
    struct vlapic *s;

    if (m->mode == APIC_LOWEST)
        return send_lowest(d, m);
    if (!m->logical && !is_broadcast(m)) {
        s = find_physical(d, m);
        return s ? deliver(s, m) : APIC_SENT_NOWHERE;
    }
    for_each_vcpu(d, v)
    {
        s = v->hvm ? v->hvm->vlapic : NULL;
        if (s && vlapic_matches(s, m))
            sent = max(sent, deliver(s, m));
    }
    return sent;
}

/* A vCPU that sends to itself is in the hypervisor: no kick. */
void vlapic_self_ipi(struct vlapic *s, uint8_t vector)
{
    if (unlikely(vector < 16)) {
        vlapic_esr_raise(s, APIC_ESR_SEND_VECTOR);
        return;
    }
    (void)vlapic_accept(s, vector, false);
}

void vlapic_icr_write(struct vlapic *s, uint32_t lo, uint32_t dest)
{
    struct apic_msg m = {
        .dest = dest,
        .vector = lo,
        .mode = lo >> 8 & 7,
        .logical = lo & ICR_LOGICAL,
        .wide = s->x2apic,
    };

    s->icr_lo = lo & APIC_ICR_WRITABLE; /* delivery status: always idle */
    /* INIT level de-assert: for processors long gone; arbitration ids are not modelled.
     */
    if (m.mode == APIC_INIT && (lo & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
        return;
    if (m.mode <= APIC_LOWEST && unlikely(m.vector < 16)) {
        vlapic_esr_raise(s, APIC_ESR_SEND_VECTOR);
        return;
    }
    switch (lo & ICR_SHORTHAND) {
    case ICR_SELF:
        if (m.mode == APIC_FIXED)
            vlapic_self_ipi(s, m.vector);
        else if (m.mode == APIC_NMI)
            s->vcpu->hvm->nmi_pending = true;
        return;
    case ICR_OTHERS:
        m.not_for = s;
        /* fall through */
    case ICR_ALL:
        m.logical = false;
        m.dest = s->x2apic ? 0xffffffff : 0xff;
        break;
    }
    (void)vlapic_send(s->vcpu->domain, &m);
}

/*
 * An MSI is a write to the page of the local APICs: address bits 12-19 (and 5-11, the
 * high bits of Xen's extended destination) name the destination, bit 2 its mode, bit 3
 * the redirection hint; data as in a redirection entry (SDM 11.11).
 */
int hvm_inject_msi(struct domain *d, uint64_t addr, uint32_t data)
{
    struct apic_msg m = {
        .dest = (addr >> 12 & 0xff) | (addr >> 5 & 0x7f) << 8,
        .vector = data,
        .mode = data >> 8 & 7,
        .logical = addr & 4,
        .level = data & 0x8000,
    };

    if (addr >> 32 || (addr & 0xfff00000) != APIC_DEFAULT_BASE)
        return -EINVAL;
    switch (m.mode) {
    case APIC_FIXED:
        /* With the redirection hint a logical destination is arbitrated. */
        if (addr & 8 && m.logical)
            m.mode = APIC_LOWEST;
        /* fall through */
    case APIC_LOWEST:
        if (m.vector < 16)
            return -EINVAL;
        break;
    case APIC_NMI:
        break;
    case APIC_INIT:
        break;
    default:
        return -EINVAL;
    }
    (void)vlapic_send(d, &m);
    return 0;
}
