/* 8254 interval timer: three counters, and port 0x61. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Intel 8254 data sheet (231164); port 0x61 as in the PIIX data sheet. Nothing counts:
 * each counter's value and output are computed from the time since it was loaded. Counter
 * 0 raises IRQ 0 at each rising edge of its output; missed ones as hvm/vtick.h says.
 * Counter 1 (refresh) has no effect but the refresh bit of port 0x61.
 */
#include "hvm/vpit.h"
#include "hvm/vhpet.h"
#include "hvm/vtick.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"

#define PORT_SPEAKER   0x61
#define SPEAKER_GATE   0x01
#define SPEAKER_DATA   0x02
#define SPEAKER_TOGGLE 0x10
#define SPEAKER_OUT    0x20
#define REFRESH_NS     15085
#define STATUS_OUT     0x80
#define STATUS_NULL    0x40

static uint64_t ns_to_ticks(ns_t ns)
{
    uint64_t s = (uint64_t)ns / NS_PER_S, rest = (uint64_t)ns % NS_PER_S;

    return s * PIT_HZ + rest * PIT_HZ / NS_PER_S;
}

/* When tick n has passed, rounded up so that ns_to_ticks() of it is not n - 1. */
static ns_t ticks_to_ns(uint64_t ticks)
{
    return (ticks * NS_PER_S + PIT_HZ - 1) / PIT_HZ;
}

static inline bool periodic(const struct vpit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static inline bool gate_triggers(const struct vpit_channel *c)
{
    return c->mode == 1 || c->mode == 5;
}

/* A new count takes over at the end of the period in which it was written. */
static void settle(struct vpit_channel *c, ns_t now)
{
    ns_t period_end;

    if (!c->reload)
        return;
    period_end = c->start + ticks_to_ns(c->count);
    if (now < c->start + ticks_to_ns(c->count))
        return;
    c->start = period_end;
    c->count = c->next_count;
    c->reload = c->null_count = false;
}

/* Ticks since the count was loaded. */
static uint64_t elapsed(struct vpit_channel *c, ns_t now)
{
    if ((c->mode == 0 || c->mode == 4) && !c->gate)
        return c->frozen_ticks;
    if (periodic(c) && !c->gate)
        return 0;
    return now > c->start ? ns_to_ticks(now - c->start) : 0;
}

static bool output(struct vpit_channel *c, ns_t now)
{
    uint64_t t;

    settle(c, now);
    if (!c->counting)
        return c->mode != 0;
    t = elapsed(c, now);
    switch (c->mode) {
    case 0:
    case 1:
        return t >= c->count;
    case 2:
        return !c->gate || t % c->count != c->count - 1;
    case 3:
        return !c->gate || t % c->count < (c->count + 1) / 2;
    default: /* 4, 5: low for one tick */
        return t != c->count;
    }
}

static uint16_t to_bcd(uint32_t n)
{
    return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t n)
{
    return (n & 15) + (n >> 4 & 15) * 10 + (n >> 8 & 15) * 100 + (n >> 12) * 1000;
}

/* The counting element as it is read. */
static uint16_t counter(struct vpit_channel *c, ns_t now)
{
    uint32_t modulus = c->bcd ? 10000 : 65536, value;
    uint64_t t;

    settle(c, now);
    t = c->counting ? elapsed(c, now) : 0;
    switch (c->mode) {
    case 2:
        value = c->count - t % c->count;
        break;
    case 3: /* counts down by two, twice in a period */
        t %= c->count;
        if (t >= (c->count + 1) / 2)
            t -= (c->count + 1) / 2;
        value = (c->count & ~1u) - 2 * t;
        break;
    default: /* goes on below zero */
        value = (c->count + modulus - t % modulus) % modulus;
        break;
    }
    value %= modulus;
    return c->bcd ? to_bcd(value) : value;
}

/*
 * Counter 0 and IRQ 0.
 */
static void arm(struct vpit *p, ns_t now)
{
    struct vpit_channel *c = &p->channel[0];
    ns_t when;

    p->owed = 0;
    p->next = 0;
    if (!c->counting || gate_triggers(c)) {
        timer_stop(&p->timer);
        return;
    }
    when = ticks_to_ns(c->count + (c->mode == 4));
    p->period = periodic(c) ? max(when, (ns_t)1) : 0;
    p->next = c->start + when;
    if (!p->period && p->next <= now) { /* over already: the output stays high */
        p->next = 0;
        timer_stop(&p->timer);
        return;
    }
    timer_set(&p->timer, p->next);
}

static void expired(void *opaque)
{
    struct vpit *p = opaque;
    struct domain *d = p->domain;
    enum apic_sent sent;
    ns_t now = hvm_guest_time(d);

    spin_lock(&p->lock);
    if (!p->next || (now < p->next && !p->owed))
        goto out; /* set anew while this call was on its way */
    if (!p->period) {
        p->next = 0;
        if (!vhpet_replaces_legacy(d))
            (void)platform_isa_pulse(d, 0);
        goto out;
    }
    vtick_count(&p->next, p->period, now, &p->owed);
    sent = vhpet_replaces_legacy(d) ? APIC_SENT_NOWHERE : platform_isa_pulse(d, 0);
    if (sent == APIC_SENT_NOWHERE)
        p->owed = 0;
    else if (sent == APIC_SENT)
        p->owed--;
    p->owed = vtick_keep(d, p->owed);
    if (p->channel[0].reload) {
        settle(&p->channel[0], now);
        arm(p, now);
    } else {
        timer_set(&p->timer, vtick_next(p->next, p->period, now, p->owed,
                                        sent == APIC_SENT_COALESCED));
    }
out:
    spin_unlock(&p->lock);
}

/*
 * Programming.
 */
static void load_count(struct vpit *p, unsigned int n, uint32_t count)
{
    struct vpit_channel *c = &p->channel[n];
    ns_t now = hvm_guest_time(p->domain);

    if (c->bcd)
        count = from_bcd(count);
    if (!count)
        count = c->bcd ? 10000 : 65536;
    if (periodic(c) && count == 1)
        count = 2; /* not allowed there */
    settle(c, now);
    c->next_count = count;
    if (periodic(c) && c->counting) {
        c->reload = c->null_count = true;
        return;
    }
    c->count = count;
    if (gate_triggers(c)) {
        c->null_count = true;
        return; /* starts with the next rising edge of the gate */
    }
    c->start = now;
    c->frozen_ticks = 0;
    c->counting = true;
    c->null_count = false;
    if (n == 0)
        arm(p, now);
}

static void write_counter(struct vpit *p, unsigned int n, uint8_t val)
{
    struct vpit_channel *c = &p->channel[n];

    switch (c->rw_mode) {
    case 1:
        load_count(p, n, val);
        break;
    case 2:
        load_count(p, n, val << 8);
        break;
    case 3:
        if (!c->write_high) {
            c->write_low = val;
            if (c->mode == 0) { /* the first byte stops the count */
                c->counting = false;
                if (n == 0)
                    arm(p, hvm_guest_time(p->domain));
            }
        } else {
            load_count(p, n, c->write_low | val << 8);
        }
        c->write_high = !c->write_high;
        break;
    }
}

static void latch_count(struct vpit_channel *c, ns_t now)
{
    if (c->latched)
        return;
    c->latch = counter(c, now);
    c->latched = c->rw_mode == 3 ? 2 : 1;
    if (c->rw_mode == 2)
        c->latch >>= 8;
    c->read_high = false;
}

static void latch_status(struct vpit_channel *c, ns_t now)
{
    if (c->status_latched)
        return;
    c->status = (output(c, now) ? STATUS_OUT : 0) | (c->null_count ? STATUS_NULL : 0) |
                c->rw_mode << 4 | c->mode << 1 | c->bcd;
    c->status_latched = true;
}

static void write_control(struct vpit *p, uint8_t val)
{
    unsigned int n = val >> 6;
    struct vpit_channel *c = &p->channel[n];
    ns_t now = hvm_guest_time(p->domain);

    if (n == 3) { /* read-back */
        for (unsigned int i = 0; i < PIT_CHANNELS; i++) {
            if (!(val & 2u << i))
                continue;
            if (!(val & 0x20))
                latch_count(&p->channel[i], now);
            if (!(val & 0x10))
                latch_status(&p->channel[i], now);
        }
        return;
    }
    if (!(val & 0x30)) {
        latch_count(c, now);
        return;
    }
    c->rw_mode = val >> 4 & 3;
    c->mode = val >> 1 & 7;
    if (c->mode > 5)
        c->mode -= 4; /* bit 2 is ignored for modes 2 and 3 */
    c->bcd = val & 1;
    c->counting = c->reload = false;
    c->null_count = true;
    c->write_high = c->read_high = false;
    c->latched = 0;
    c->status_latched = false;
    if (n == 0)
        arm(p, now);
}

static uint8_t read_counter(struct vpit_channel *c, ns_t now)
{
    uint16_t value;
    uint8_t byte;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->latched) {
        byte = c->latch;
        c->latch >>= 8;
        c->latched--;
        return byte;
    }
    value = counter(c, now);
    if (c->rw_mode == 1)
        return value;
    if (c->rw_mode == 2)
        return value >> 8;
    c->read_high = !c->read_high;
    return c->read_high ? value : value >> 8;
}

/* Gate of counter 2. */
static void set_gate(struct vpit_channel *c, bool gate, ns_t now)
{
    bool rising = gate && !c->gate;

    if (gate == c->gate)
        return;
    if (!gate && c->counting)
        c->frozen_ticks = elapsed(c, now);
    c->gate = gate;
    if (!rising)
        return;
    if (c->mode == 0 || c->mode == 4) {
        c->start = now - ticks_to_ns(c->frozen_ticks);
    } else if (gate_triggers(c) || c->counting) {
        c->start = now;
        c->count = c->next_count;
        c->counting = c->count != 0;
        c->reload = c->null_count = false;
    }
}

/*
 * Ports.
 */
static bool pit_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    struct vpit *p = v->domain->hvm->vpit;
    ns_t now = hvm_guest_time(p->domain);

    *val = 0xff; /* the control word cannot be read */
    spin_lock(&p->lock);
    if ((port & 3) < PIT_CHANNELS)
        *val = read_counter(&p->channel[port & 3], now);
    spin_unlock(&p->lock);
    return true;
}

static bool pit_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct vpit *p = v->domain->hvm->vpit;

    spin_lock(&p->lock);
    if ((port & 3) == 3)
        write_control(p, val);
    else
        write_counter(p, port & 3, val);
    spin_unlock(&p->lock);
    return true;
}

static bool speaker_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    struct vpit *p = v->domain->hvm->vpit;
    ns_t now = hvm_guest_time(p->domain);

    spin_lock(&p->lock);
    *val = p->channel[2].gate ? SPEAKER_GATE : 0;
    if (p->speaker_data)
        *val |= SPEAKER_DATA;
    if ((uint64_t)now / REFRESH_NS & 1)
        *val |= SPEAKER_TOGGLE;
    if (output(&p->channel[2], now))
        *val |= SPEAKER_OUT;
    spin_unlock(&p->lock);
    return true;
}

static bool speaker_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct vpit *p = v->domain->hvm->vpit;

    spin_lock(&p->lock);
    p->speaker_data = val & SPEAKER_DATA;
    set_gate(&p->channel[2], val & SPEAKER_GATE, hvm_guest_time(p->domain));
    spin_unlock(&p->lock);
    return true;
}

/* As the firmware of a PC leaves it, for guests that start without one: counter 0 not yet
 * programmed. */
void vpit_reset(struct domain *d)
{
    struct vpit *p = d->hvm->vpit;

    spin_lock(&p->lock);
    memset(p->channel, 0, sizeof(p->channel));
    for (unsigned int i = 0; i < PIT_CHANNELS; i++) {
        p->channel[i].mode = 3;
        p->channel[i].rw_mode = 3;
        p->channel[i].count = p->channel[i].next_count = 65536;
        p->channel[i].gate = i != 2;
    }
    p->speaker_data = false;
    arm(p, 0);
    spin_unlock(&p->lock);
}

void vpit_restart(struct domain *d)
{
    struct vpit *p = d->hvm->vpit;
    ns_t now = hvm_guest_time(d);

    spin_lock(&p->lock);
    for (unsigned int i = 0; i < PIT_CHANNELS; i++) {
        p->channel[i].start = now;
        p->channel[i].frozen_ticks = 0;
        p->channel[i].next_count = p->channel[i].count;
        p->channel[i].reload = false;
    }
    arm(p, now);
    spin_unlock(&p->lock);
}

int vpit_init(struct domain *d)
{
    static const struct port_handler ports[] = {
        {0x40, 0x43, 1, pit_read, pit_write},
        {PORT_SPEAKER, PORT_SPEAKER, 1, speaker_read, speaker_write},
    };
    struct vpit *p = zalloc(sizeof(*p));
    int rc;

    if (!p)
        return -ENOMEM;
    p->domain = d;
    timer_init(&p->timer, expired, p);
    d->hvm->vpit = p;
    vpit_reset(d);
    rc = platform_add_ports(d, &ports[0]);
    return rc ? rc : platform_add_ports(d, &ports[1]);
}

void vpit_stop(struct domain *d)
{
    struct vpit *p = d->hvm->vpit;

    timer_kill(&p->timer);
}

void vpit_destroy(struct domain *d)
{
    struct vpit *p = d->hvm->vpit;

    if (!p)
        return;
    vpit_stop(d);
    d->hvm->vpit = NULL;
    zfree(p);
}
