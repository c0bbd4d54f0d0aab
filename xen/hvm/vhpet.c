/* HPET: a 64-bit counter of 62.5 MHz and three timers. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * IA-PC HPET Specification 1.0a. All timers are periodic-capable and 64 bits wide; routes
 * to GSIs 20 - 23; no FSB delivery. The counter is computed from the time. A timer's
 * comparator is brought up to date when it is looked at. Missed ticks of edge-triggered
 * periodic timers: hvm/vtick.h.
 */
#include "hvm/vhpet.h"
#include "hvm/vtick.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"
#include <xen/hvm/params.h>

#define REG_CAP      0x000
#define REG_CONFIG   0x010
#define REG_STATUS   0x020
#define REG_COUNTER  0x0f0
#define REG_TIMER0   0x100 /* 0x20 bytes each: configuration, comparator, FSB route */
#define TIMER_CONFIG 0x00
#define TIMER_CMP    0x08

/* Period in femtoseconds; vendor 8086, legacy replacement, 64 bits, timers, revision 1.
 */
const uint64_t vhpet_capabilities = (uint64_t)HPET_TICK_NS * 1000000 << 32 |
                                    0x8086u << 16 | 1u << 15 | 1u << 13 |
                                    (HPET_TIMERS - 1) << 8 | 1;

#define TN_LEVEL     BIT(1)
#define TN_ENABLE    BIT(2)
#define TN_PERIODIC  BIT(3)
#define TN_PER_CAP   BIT(4)
#define TN_SIZE_CAP  BIT(5)
#define TN_SETVAL    BIT(6)
#define TN_32BIT     BIT(8)
#define TN_ROUTE(c)  ((c) >> 9 & 31)
#define TN_WRITABLE  (TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_SETVAL | TN_32BIT | 0x3e00)
#define TN_ROUTE_CAP (0x00f00000ull << 32)
#define TN_FIXED     (TN_PER_CAP | TN_SIZE_CAP | TN_ROUTE_CAP)

static inline bool running(const struct vhpet *h)
{
    return h->config & HPET_CFG_ON;
}

uint64_t vhpet_counter(const struct vhpet *h, ns_t now)
{
    return running(h) ? (uint64_t)(now - h->base) / HPET_TICK_NS : h->counter;
}

static inline uint64_t timer_mask(const struct vhpet_timer *t)
{
    return t->config & TN_32BIT ? 0xffffffff : ~0ull;
}

static inline unsigned int timer_index(const struct vhpet_timer *t)
{
    return t - t->hpet->timer;
}

/* Ticks of a period, as far as we follow: a minute-long one is the same as none to no
 * guest, but 2^63 ticks would overflow the system time. */
static ns_t period_ns(const struct vhpet_timer *t)
{
    uint64_t ticks = t->period & timer_mask(t);

    return min(ticks, BIT(48)) * HPET_TICK_NS;
}

static inline bool periodic(const struct vhpet_timer *t)
{
    return (t->config & TN_PERIODIC) && (t->period & timer_mask(t));
}

/* Comparator of a periodic timer: the next match. */
static void update_comparator(struct vhpet_timer *t, uint64_t now_ticks)
{
    uint64_t mask = timer_mask(t), period = t->period & mask;
    uint64_t passed;

    if (!periodic(t) || !running(t->hpet))
        return;
    passed = (now_ticks - t->comparator) & mask;
    if (passed < (mask >> 1) + 1)
        t->comparator = (t->comparator + (passed / period + 1) * period) & mask;
}

/* Compute and arm the next match; lock held. */
static void arm(struct vhpet_timer *t, ns_t now)
{
    struct vhpet *h = t->hpet;
    uint64_t ticks = vhpet_counter(h, now), left;

    t->owed = 0;
    t->next = 0;
    if (!running(h) || !(t->config & TN_ENABLE)) {
        timer_stop(&t->timer);
        return;
    }
    update_comparator(t, ticks);
    left = (t->comparator - ticks) & timer_mask(t);
    /* A one-shot comparator that was just missed: a kernel writes it with the counter
     * running. Within a millisecond it matches now. */
    if (!periodic(t) &&
        ((ticks - t->comparator) & timer_mask(t)) < NS_PER_MS / HPET_TICK_NS)
        left = 0;
    if (left > BIT(48)) { /* weeks */
        timer_stop(&t->timer);
        return;
    }
    t->next = now + (ns_t)left * HPET_TICK_NS;
    timer_set(&t->timer, t->next);
}

/* GSI that a timer drives. */
unsigned int vhpet_route(const struct vhpet_timer *t)
{
    if (t->hpet->config & HPET_CFG_LEG) {
        if (timer_index(t) == 0)
            return 2;
        if (timer_index(t) == 1)
            return 8;
    }
    return TN_ROUTE(t->config);
}

static bool may_route(const struct vhpet_timer *t)
{
    return ((t->hpet->config & HPET_CFG_LEG) && timer_index(t) < 2) ||
           (TN_ROUTE_CAP >> 32 >> TN_ROUTE(t->config) & 1);
}

/* A match: the interrupt. */
static enum apic_sent fire(struct vhpet_timer *t)
{
    struct vhpet *h = t->hpet;
    uint64_t bit = BIT(timer_index(t));

    if (!may_route(t))
        return APIC_SENT_NOWHERE;
    if (!(t->config & TN_LEVEL))
        return platform_gsi_pulse(h->domain, vhpet_route(t));
    if (h->isr & bit)
        return APIC_SENT_COALESCED;
    h->isr |= bit;
    platform_gsi_hold(h->domain, vhpet_route(t), true);
    return APIC_SENT;
}

static void lower(struct vhpet_timer *t)
{
    struct vhpet *h = t->hpet;
    uint64_t bit = BIT(timer_index(t));

    if (!(h->isr & bit))
        return;
    h->isr &= ~bit;
    platform_gsi_hold(h->domain, vhpet_route(t), false);
}

static void expired(void *opaque)
{
    struct vhpet_timer *t = opaque;
    struct vhpet *h = t->hpet;
    ns_t now = hvm_guest_time(h->domain);
    enum apic_sent sent;

    spin_lock(&h->lock);
    if (!t->next || (now < t->next && !t->owed))
        goto out; /* set anew while this call was on its way */
    if (!periodic(t)) {
        /* A 32-bit one matches again when the counter comes round. */
        (void)fire(t);
        t->next = 0;
        if (t->config & TN_32BIT) {
            t->next = now + (ns_t)BIT(32) * HPET_TICK_NS;
            timer_set(&t->timer, t->next);
        }
        goto out;
    }
    vtick_count(&t->next, period_ns(t), now, &t->owed);
    update_comparator(t, vhpet_counter(h, now));
    sent = fire(t);
    if (sent == APIC_SENT_NOWHERE || (t->config & TN_LEVEL))
        t->owed = 0;
    else if (sent == APIC_SENT)
        t->owed--;
    t->owed = vtick_keep(h->domain, t->owed);
    timer_set(&t->timer, vtick_next(t->next, period_ns(t), now, t->owed,
                                    sent == APIC_SENT_COALESCED));
out:
    spin_unlock(&h->lock);
}

/*
 * Registers, 64 bits each.
 */
static uint64_t reg_read(struct vhpet *h, unsigned int reg, ns_t now)
{
    struct vhpet_timer *t;

    switch (reg) {
    case REG_CAP:
        return vhpet_capabilities;
    case REG_CONFIG:
        return h->config;
    case REG_STATUS:
        return h->isr;
    case REG_COUNTER:
        return vhpet_counter(h, now);
    }
    if (reg < REG_TIMER0 || reg >= REG_TIMER0 + HPET_TIMERS * 0x20)
        return 0;
    t = &h->timer[(reg - REG_TIMER0) / 0x20];
    switch (reg & 0x18) {
    case TIMER_CONFIG:
        return t->config;
    case TIMER_CMP:
        update_comparator(t, vhpet_counter(h, now));
        return t->comparator;
    }
    return 0;
}

static void write_config(struct vhpet *h, uint64_t val, ns_t now)
{
    uint64_t counter = vhpet_counter(h, now);

    val &= HPET_CFG_ON | HPET_CFG_LEG;
    if (val == h->config)
        return;
    for (unsigned int i = 0; i < HPET_TIMERS; i++) {
        update_comparator(&h->timer[i], counter);
        lower(&h->timer[i]); /* its route may change */
    }
    h->counter = counter;
    h->base = now - (ns_t)(counter * HPET_TICK_NS);
    WRITE_ONCE(h->config, val);
    for (unsigned int i = 0; i < HPET_TIMERS; i++)
        arm(&h->timer[i], now);
}

static void write_timer_config(struct vhpet_timer *t, uint64_t val, ns_t now)
{
    update_comparator(t, vhpet_counter(t->hpet, now));
    if ((t->config ^ val) & (TN_LEVEL | TN_ENABLE | 0x3e00))
        lower(t);
    t->config = (val & TN_WRITABLE) | TN_FIXED;
    if (t->config & TN_32BIT) {
        t->comparator &= 0xffffffff;
        t->period &= 0xffffffff;
    }
    arm(t, now);
}

/* In periodic mode a write sets the period, and the comparator too when SETVAL says so
 * (2.3.9.2.2). */
static void write_comparator(struct vhpet_timer *t, uint64_t val, ns_t now)
{
    val &= timer_mask(t);
    if (!(t->config & TN_PERIODIC) || (t->config & TN_SETVAL))
        t->comparator = val;
    if (t->config & TN_PERIODIC)
        t->period = val;
    t->config &= ~TN_SETVAL;
    arm(t, now);
}

static void reg_write(struct vhpet *h, unsigned int reg, uint64_t val, ns_t now)
{
    struct vhpet_timer *t;

    switch (reg) {
    case REG_CONFIG:
        write_config(h, val, now);
        return;
    case REG_STATUS: /* write 1 to clear */
        for (unsigned int i = 0; i < HPET_TIMERS; i++)
            if (val >> i & 1)
                lower(&h->timer[i]);
        return;
    case REG_COUNTER:
        if (!running(h))
            h->counter = val;
        return;
    }
    if (reg < REG_TIMER0 || reg >= REG_TIMER0 + HPET_TIMERS * 0x20)
        return;
    t = &h->timer[(reg - REG_TIMER0) / 0x20];
    if ((reg & 0x18) == TIMER_CONFIG)
        write_timer_config(t, val, now);
    else if ((reg & 0x18) == TIMER_CMP)
        write_comparator(t, val, now);
}

static uint64_t hpet_read(struct vcpu *v, uint64_t offset, unsigned int bytes)
{
    struct vhpet *h = v->domain->hvm->vhpet;
    uint64_t val;

    spin_lock(&h->lock);
    val = reg_read(h, offset & ~7u, hvm_guest_time(h->domain));
    spin_unlock(&h->lock);
    return val >> (offset & 7) * 8;
}

/* Narrower than a register: the other bytes stay, but for those that are written to clear
 * something. */
static void hpet_write(struct vcpu *v, uint64_t offset, unsigned int bytes, uint64_t val)
{
    struct vhpet *h = v->domain->hvm->vhpet;
    unsigned int reg = offset & ~7u, shift = (offset & 7) * 8;
    uint64_t mask = (bytes < 8 ? BIT(bytes * 8) - 1 : ~0ull) << shift, old;
    ns_t now;

    spin_lock(&h->lock);
    now = hvm_guest_time(h->domain);
    old = reg == REG_STATUS ? 0 : reg_read(h, reg, now);
    reg_write(h, reg, (old & ~mask) | (val << shift & mask), now);
    spin_unlock(&h->lock);
}

static bool hpet_active(struct vcpu *v)
{
    return v->domain->hvm->params[HVM_PARAM_HPET_ENABLED];
}

void vhpet_reset(struct domain *d)
{
    struct vhpet *h = d->hvm->vhpet;

    spin_lock(&h->lock);
    for (unsigned int i = 0; i < HPET_TIMERS; i++) {
        struct vhpet_timer *t = &h->timer[i];

        lower(t);
        timer_stop(&t->timer);
        t->config = TN_FIXED;
        t->comparator = ~0ull;
        t->period = 0;
        t->next = 0;
        t->owed = 0;
    }
    WRITE_ONCE(h->config, 0);
    h->counter = 0;
    spin_unlock(&h->lock);
}

void vhpet_restart(struct domain *d, uint64_t counter)
{
    struct vhpet *h = d->hvm->vhpet;
    ns_t now = hvm_guest_time(d);

    spin_lock(&h->lock);
    h->counter = counter;
    h->base = now - (ns_t)(counter * HPET_TICK_NS);
    for (unsigned int i = 0; i < HPET_TIMERS; i++) {
        h->timer[i].config = (h->timer[i].config & TN_WRITABLE) | TN_FIXED;
        h->timer[i].comparator &= timer_mask(&h->timer[i]);
        h->timer[i].period &= timer_mask(&h->timer[i]);
        if (!(h->timer[i].config & TN_LEVEL) || !may_route(&h->timer[i]))
            h->isr &= ~BIT(i);
        arm(&h->timer[i], now);
    }
    spin_unlock(&h->lock);
}

int vhpet_init(struct domain *d)
{
    static const struct mmio_handler mmio = {.gpa = HPET_BASE,
                                             .bytes = 0x400,
                                             .read = hpet_read,
                                             .write = hpet_write,
                                             .active = hpet_active};
    struct vhpet *h = zalloc(sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->domain = d;
    for (unsigned int i = 0; i < HPET_TIMERS; i++) {
        h->timer[i].hpet = h;
        timer_init(&h->timer[i].timer, expired, &h->timer[i]);
    }
    d->hvm->vhpet = h;
    d->hvm->params[HVM_PARAM_HPET_ENABLED] = 1;
    vhpet_reset(d);
    return platform_add_mmio(d, &mmio);
}

void vhpet_stop(struct domain *d)
{
    struct vhpet *h = d->hvm->vhpet;

    for (unsigned int i = 0; i < HPET_TIMERS; i++)
        timer_kill(&h->timer[i].timer);
}

void vhpet_destroy(struct domain *d)
{
    struct vhpet *h = d->hvm->vhpet;

    if (!h)
        return;
    vhpet_stop(d);
    d->hvm->vhpet = NULL;
    zfree(h);
}
