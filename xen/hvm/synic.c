/* Hyper-V's synthetic interrupt controller and timers. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "hvm/synic.h"
#include "hvm/viridian.h"
#include "hvm/vlapic.h"
#include "hvm/vtick.h"
#include "domain/sched.h"
#include "cpu/x86.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"
#include <xen/hvm/save.h>

#define ENABLE 1u /* of SCONTROL, SIEFP, SIMP, STIMERx_CONFIG */

#define SINT_VECTOR   0xffu
#define SINT_MASKED   BIT(16)
#define SINT_AUTO_EOI BIT(17)
#define SINT_POLLING  BIT(18) /* the guest polls: no interrupt */

#define STIMER_PERIODIC     BIT(1)
#define STIMER_LAZY         BIT(2)
#define STIMER_AUTO_ENABLE  BIT(3)
#define STIMER_SINT(config) ((config) >> 16 & 15)
#define STIMER_WRITABLE                                                                  \
    (ENABLE | STIMER_PERIODIC | STIMER_LAZY | STIMER_AUTO_ENABLE | 15ull << 16)

#define FIRST_VECTOR 16
#define TICK_NS      100
/* Far timers are looked at again on the way. */
#define MAX_TICKS (60 * NS_PER_S / TICK_NS)

/* A slot of the message page (11.8): a header, then what the message says. */
#define SLOT_BYTES        256
#define MSG_NONE          0u
#define MSG_TIMER_EXPIRED 0x80000010u
#define MSG_PENDING       1u
struct message {
    uint32_t type;
    uint8_t bytes, flags;
    uint16_t reserved;
    uint64_t sender;
    uint32_t timer, reserved2;
    uint64_t expires, delivered; /* reference time */
};
#define MSG_HEADER offsetof(struct message, timer)
#define MSG_FLAGS  offsetof(struct message, flags)
#define MSG_REST   offsetof(struct message, bytes)

static bool has_timers(const struct domain *d)
{
    const uint64_t needs = HVMPV_stimer | HVMPV_time_ref_count;

    return (d->hvm->params[HVM_PARAM_VIRIDIAN] & needs) == needs;
}

static void expired(void *opaque);

struct synic *synic_get(struct vcpu *v)
{
    struct synic *s = v->hvm->synic;

    if (s || !viridian_get(v->domain))
        return s;
    s = zalloc(sizeof(*s));
    if (!s)
        return NULL;
    s->vcpu = v;
    for (unsigned int i = 0; i < SYNIC_SINTS; i++)
        s->sint[i] = SINT_MASKED;
    for (unsigned int i = 0; i < SYNIC_TIMERS; i++) {
        s->stimer[i].synic = s;
        timer_init(&s->stimer[i].timer, expired, &s->stimer[i]);
    }
    v->hvm->synic = s;
    return s;
}

void synic_destroy(struct vcpu *v)
{
    struct synic *s = v->hvm->synic;

    if (!s)
        return;
    for (unsigned int i = 0; i < SYNIC_TIMERS; i++)
        timer_kill(&s->stimer[i].timer);
    v->hvm->synic = NULL;
    zfree(s);
}

/*
 * Timers. The lock is held.
 */
static void arm(struct stimer *t, uint64_t now)
{
    uint64_t left = t->expires > now ? min(t->expires - now, (uint64_t)MAX_TICKS) : 0;
    ns_t ns = left * TICK_NS;

    if (t->config & STIMER_PERIODIC)
        ns = max(ns, VTICK_MIN_NS);
    timer_set(&t->timer, now_ns() + ns);
}

static void stop(struct stimer *t)
{
    t->due = false;
    timer_stop(&t->timer);
}

/* The registers are as written: begin anew, or end. */
static void restart(struct stimer *t)
{
    uint64_t now = viridian_reference_count(t->synic->vcpu->domain);

    stop(t);
    if (!t->count || !STIMER_SINT(t->config))
        t->config &= ~(uint64_t)ENABLE;
    if (!(t->config & ENABLE))
        return;
    t->expires = t->count;
    if (t->config & STIMER_PERIODIC)
        t->expires = now + min(t->count, UINT64_MAX - now);
    arm(t, now);
}

static void expired(void *opaque)
{
    struct stimer *t = opaque;
    struct synic *s = t->synic;
    uint64_t now = viridian_reference_count(s->vcpu->domain);
    bool due;

    spin_lock(&s->lock);
    due = (t->config & ENABLE) && now >= t->expires;
    if (due)
        t->due = true;
    else if (t->config & ENABLE)
        arm(t, now);
    spin_unlock(&s->lock);
    if (!due)
        return;
    WRITE_ONCE(s->vcpu->hvm->synic_work, true);
    vcpu_kick(s->vcpu);
}

/* Its message has gone. Periods that passed meanwhile are dropped. */
static void delivered(struct stimer *t, uint64_t now)
{
    t->due = false;
    if (!(t->config & STIMER_PERIODIC)) {
        t->config &= ~(uint64_t)ENABLE;
        return;
    }
    t->expires += (now - t->expires) / t->count * t->count;
    t->expires += min(t->count, UINT64_MAX - t->expires);
    arm(t, now);
}

/*
 * Messages.
 */

/* Is the slot free? If not, the guest is told that another waits, for which it writes EOM
 * when it has taken this one. It may do so while we look. */
static bool take_slot(struct domain *d, uint64_t slot)
{
    uint32_t type;
    uint8_t flags;

    if (guest_read_phys(d, slot, &type, sizeof(type)))
        return false;
    if (type == MSG_NONE)
        return true;
    if (guest_read_phys(d, slot + MSG_FLAGS, &flags, sizeof(flags)))
        return false;
    flags |= MSG_PENDING;
    (void)guest_write_phys(d, slot + MSG_FLAGS, &flags, sizeof(flags));
    mb();
    return !guest_read_phys(d, slot, &type, sizeof(type)) && type == MSG_NONE;
}

/* The lock is held. False: not now. */
static bool post(struct synic *s, const struct stimer *t, uint64_t now)
{
    unsigned int n = STIMER_SINT(t->config);
    uint64_t slot = (s->simp & PAGE_MASK) + n * SLOT_BYTES;
    const struct message m = {
        .type = MSG_TIMER_EXPIRED,
        .bytes = sizeof(m) - MSG_HEADER,
        .timer = t - s->stimer,
        .expires = t->expires,
        .delivered = now,
    };

    if (!(s->control & ENABLE) || !(s->simp & ENABLE) ||
        !take_slot(s->vcpu->domain, slot))
        return false;
    /* The type last: it says that the rest is there. */
    if (guest_write_phys(s->vcpu->domain, slot + MSG_REST, &m.bytes,
                         sizeof(m) - MSG_REST) ||
        guest_write_phys(s->vcpu->domain, slot, &m.type, sizeof(m.type)))
        return false;
    if (!(s->sint[n] & (SINT_MASKED | SINT_POLLING)))
        vlapic_set_irq(s->vcpu, s->sint[n] & SINT_VECTOR, false);
    return true;
}

/* The lock is held, v is current. */
static void post_due(struct synic *s)
{
    uint64_t now = viridian_reference_count(s->vcpu->domain);

    for (unsigned int i = 0; i < SYNIC_TIMERS; i++)
        if (s->stimer[i].due && post(s, &s->stimer[i], now))
            delivered(&s->stimer[i], now);
}

void synic_work(struct vcpu *v)
{
    struct synic *s = v->hvm->synic;

    WRITE_ONCE(v->hvm->synic_work, false);
    mb();
    spin_lock(&s->lock);
    post_due(s);
    spin_unlock(&s->lock);
}

/* Rarely anything is due: no lock. A timer that becomes so now sets synic_work. */
void synic_rescan(struct vcpu *v)
{
    const struct synic *s = v->hvm->synic;

    for (unsigned int i = 0; i < SYNIC_TIMERS; i++)
        if (READ_ONCE(s->stimer[i].due))
            WRITE_ONCE(v->hvm->synic_work, true);
}

/* Vectors that are never in service. */
static void update_auto_eoi(struct synic *s)
{
    struct vlapic *l = s->vcpu->hvm->vlapic;
    uint64_t map[ARRAY_SIZE(l->auto_eoi)] = {0};

    for (unsigned int i = 0; i < SYNIC_SINTS; i++) {
        uint8_t vector = s->sint[i] & SINT_VECTOR;

        if ((s->sint[i] & (SINT_MASKED | SINT_AUTO_EOI)) == SINT_AUTO_EOI)
            map[vector >> 6] |= BIT(vector & 63);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(map); i++)
        WRITE_ONCE(l->auto_eoi[i], map[i]);
}

static bool sint_allowed(uint64_t val)
{
    return (val & SINT_MASKED) || (val & SINT_VECTOR) >= FIRST_VECTOR;
}

/*
 * MSRs.
 */
int synic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    struct synic *s = synic_get(v);
    unsigned int n = msr - HV_STIMER0_CONFIG;

    if (!s)
        return -EINVAL;
    switch (msr) {
    case HV_SCONTROL:
        *val = s->control;
        return 0;
    case HV_SVERSION:
        *val = 1;
        return 0;
    case HV_SIEFP:
        *val = s->siefp;
        return 0;
    case HV_SIMP:
        *val = s->simp;
        return 0;
    case HV_EOM:
        *val = 0;
        return 0;
    case HV_SINT0 ... HV_SINT0 + SYNIC_SINTS - 1:
        *val = s->sint[msr - HV_SINT0];
        return 0;
    case HV_STIMER0_CONFIG ... HV_STIMER0_CONFIG + 2 * SYNIC_TIMERS - 1:
        if (!has_timers(v->domain))
            return -EINVAL;
        *val = n & 1 ? s->stimer[n / 2].count : s->stimer[n / 2].config;
        return 0;
    }
    return -EINVAL;
}

/* The page begins empty. */
static void write_simp(struct synic *s, uint64_t val)
{
    static const uint8_t empty[SLOT_BYTES];

    for (unsigned int i = 0; (val & ~s->simp & ENABLE) && i < SYNIC_SINTS; i++)
        (void)guest_write_phys(s->vcpu->domain, (val & PAGE_MASK) + i * SLOT_BYTES, empty,
                               sizeof(empty));
    s->simp = val;
}

static int write_stimer(struct synic *s, unsigned int n, uint64_t val)
{
    struct stimer *t = &s->stimer[n / 2];

    if (!has_timers(s->vcpu->domain))
        return -EINVAL;
    if (n & 1) {
        t->count = val;
        if (t->config & STIMER_AUTO_ENABLE)
            t->config |= ENABLE;
    } else {
        t->config = val & STIMER_WRITABLE;
    }
    restart(t);
    return 0;
}

static int write_locked(struct synic *s, uint32_t msr, uint64_t val)
{
    switch (msr) {
    case HV_SCONTROL:
        s->control = val;
        return 0;
    case HV_SIEFP:
        s->siefp = val;
        return 0;
    case HV_SIMP:
        write_simp(s, val);
        return 0;
    case HV_EOM:
        return 0;
    case HV_SINT0 ... HV_SINT0 + SYNIC_SINTS - 1:
        if (!sint_allowed(val))
            return -EINVAL;
        s->sint[msr - HV_SINT0] = val;
        update_auto_eoi(s);
        return 0;
    case HV_STIMER0_CONFIG ... HV_STIMER0_CONFIG + 2 * SYNIC_TIMERS - 1:
        return write_stimer(s, msr - HV_STIMER0_CONFIG, val);
    }
    return -EINVAL;
}

int synic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct synic *s = synic_get(v);
    int rc;

    if (!s)
        return -EINVAL;
    spin_lock(&s->lock);
    rc = write_locked(s, msr, val);
    post_due(s);
    spin_unlock(&s->lock);
    return rc;
}

/*
 * Record.
 */
void synic_save(const struct vcpu *v, struct hvm_viridian_vcpu_context *hw)
{
    const struct synic *s = v->hvm->synic;

    for (unsigned int i = 0; i < SYNIC_SINTS; i++)
        hw->sint_msr[i] = s ? s->sint[i] : SINT_MASKED;
    if (!s)
        return;
    hw->simp_msr = s->simp;
    for (unsigned int i = 0; i < SYNIC_TIMERS; i++) {
        hw->stimer_config_msr[i] = s->stimer[i].config;
        hw->stimer_count_msr[i] = s->stimer[i].count;
    }
}

int synic_load(struct vcpu *v, const struct hvm_viridian_vcpu_context *hw)
{
    struct synic *s;
    bool used = hw->simp_msr;

    for (unsigned int i = 0; i < SYNIC_SINTS; i++) {
        /* Without the SynIC, records have 0 here. */
        if (hw->sint_msr[i] && !sint_allowed(hw->sint_msr[i]))
            return -EINVAL;
        used |= hw->sint_msr[i] && hw->sint_msr[i] != SINT_MASKED;
    }
    for (unsigned int i = 0; i < SYNIC_TIMERS; i++)
        used |= hw->stimer_config_msr[i] || hw->stimer_count_msr[i];
    if (!used && !v->hvm->synic)
        return 0;
    if (!(v->domain->hvm->params[HVM_PARAM_VIRIDIAN] & HVMPV_synic))
        return -EINVAL;
    s = synic_get(v);
    if (!s)
        return -ENOMEM;
    spin_lock(&s->lock);
    s->simp = hw->simp_msr;
    s->control = hw->simp_msr & ENABLE;
    for (unsigned int i = 0; i < SYNIC_SINTS; i++)
        s->sint[i] = hw->sint_msr[i] ?: SINT_MASKED;
    update_auto_eoi(s);
    for (unsigned int i = 0; i < SYNIC_TIMERS; i++) {
        s->stimer[i].config =
            has_timers(v->domain) ? hw->stimer_config_msr[i] & STIMER_WRITABLE : 0;
        s->stimer[i].count = hw->stimer_count_msr[i];
        restart(&s->stimer[i]);
    }
    spin_unlock(&s->lock);
    return 0;
}
