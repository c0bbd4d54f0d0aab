/* Local APIC timer: one-shot, periodic, TSC deadline. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Intel SDM vol 3, 11.5.4. Nothing counts: the count is computed from the time since
 * timer_start. Periodic ticks that could not be delivered, because the guest did not take
 * the one before, are owed and follow at up to twice the rate, unless
 * HVM_PARAM_TIMER_MODE says that they are dropped; see hvm/vtick.h for the policy.
 */
#include "hvm/vlapic.h"
#include "hvm/tsc.h"
#include "hvm/vtick.h"
#include "domain/sched.h"

#define LVT_TIMER(s) ((s)->lvt[0])

static inline bool periodic(const struct vlapic *s)
{
    return (LVT_TIMER(s) & APIC_TIMER_MODE) == APIC_TIMER_PERIOD;
}

static inline bool deadline_mode(const struct vlapic *s)
{
    return (LVT_TIMER(s) & APIC_TIMER_MODE) == APIC_TIMER_TSC;
}

/* Bits 0, 1 and 3 select 2, 4, .. 128, 1 (SDM figure 11-10). */
uint32_t vlapic_timer_divider(uint32_t tdcr)
{
    unsigned int sel = (tdcr & 3) | (tdcr >> 1 & 4);

    return 1u << ((sel + 1) & 7);
}

static inline ns_t period_ns(const struct vlapic *s)
{
    return (ns_t)s->tmict * s->timer_mult;
}

/* Current count at time `now`; timer_lock is held. */
static uint32_t count_at(const struct vlapic *s, ns_t now)
{
    ns_t elapsed = now - s->timer_start, period = period_ns(s);

    if (!s->tmict || deadline_mode(s))
        return 0;
    if (elapsed >= period) {
        if (!periodic(s))
            return 0;
        elapsed %= period;
    }
    return s->tmict - (uint32_t)((uint64_t)elapsed / s->timer_mult);
}

uint32_t vlapic_timer_count(struct vlapic *s)
{
    uint32_t count;

    spin_lock(&s->timer_lock);
    count = count_at(s, now_ns());
    spin_unlock(&s->timer_lock);
    return count;
}

static void disarm(struct vlapic *s)
{
    s->timer_next = 0;
    s->ticks_owed = 0;
    timer_stop(&s->timer);
}

/* Start a whole count now. */
static void start(struct vlapic *s, ns_t now)
{
    s->ticks_owed = 0;
    s->timer_start = now;
    if (!s->tmict) {
        disarm(s);
        return;
    }
    s->timer_next = now + period_ns(s);
    timer_set(&s->timer, s->timer_next);
}

/* Deliver a tick now. True: the vCPU needs a look. The entry's mask and the software
 * enable decide, not whether the timer runs. */
static bool tick(struct vlapic *s)
{
    uint32_t lvt = READ_ONCE(LVT_TIMER(s));

    return !(lvt & APIC_LVT_MASKED) && vlapic_accept(s, lvt, false);
}

/* Arm for a TSC deadline, or deliver at once if it has passed. timer_lock is held. */
static bool arm_deadline(struct vlapic *s)
{
    uint64_t now = rdtsc();
    uint64_t left = s->tsc_deadline - hvm_guest_tsc_at(s->vcpu, now);

    if ((int64_t)left <= 0) {
        s->tsc_deadline = 0;
        s->timer_next = 0;
        timer_stop(&s->timer);
        return tick(s);
    }
    /* Far ones are looked at again on the way. */
    if (unlikely(s->vcpu->domain->hvm->tsc.khz))
        left = hvm_unscale_tsc(s->vcpu->domain, left);
    left = min(left, tsc_hz * 1000);
    s->timer_next = tsc_to_ns(now + left);
    timer_set(&s->timer, s->timer_next);
    return false;
}

void vlapic_timer_write_deadline(struct vlapic *s, uint64_t val)
{
    if (!deadline_mode(s))
        return; /* ignored (SDM 11.5.4.1) */
    spin_lock(&s->timer_lock);
    WRITE_ONCE(s->tsc_deadline, val);
    if (val)
        (void)arm_deadline(s); /* the vCPU itself: it looks before it enters */
    else
        disarm(s);
    spin_unlock(&s->timer_lock);
}

void vlapic_tsc_changed(struct vcpu *v)
{
    struct vlapic *s = v->hvm->vlapic;
    bool kick = false;

    spin_lock(&s->timer_lock);
    if (s->tsc_deadline)
        kick = arm_deadline(s);
    spin_unlock(&s->timer_lock);
    if (kick)
        vcpu_kick(v);
}

void vlapic_timer_write_tmict(struct vlapic *s, uint32_t val)
{
    if (deadline_mode(s))
        return;
    spin_lock(&s->timer_lock);
    s->tmict = val;
    start(s, now_ns());
    spin_unlock(&s->timer_lock);
}

/* The count goes on from where it is, at the new rate. */
void vlapic_timer_write_tdcr(struct vlapic *s, uint32_t val)
{
    ns_t now = now_ns();
    uint32_t left;

    spin_lock(&s->timer_lock);
    left = count_at(s, now);
    s->tdcr = val;
    s->timer_mult = APIC_BUS_NS * vlapic_timer_divider(val);
    if (left) {
        s->timer_start = now - (ns_t)(s->tmict - left) * s->timer_mult;
        s->timer_next = s->timer_start + period_ns(s);
        timer_set(&s->timer, s->timer_next);
    }
    spin_unlock(&s->timer_lock);
}

/* A switch to or from deadline mode disarms; one-shot and periodic go over into each
 * other (SDM 11.5.4.1). */
void vlapic_timer_write_lvt(struct vlapic *s, uint32_t val)
{
    ns_t now = now_ns();
    uint32_t left;
    bool was_deadline;

    spin_lock(&s->timer_lock);
    left = count_at(s, now);
    was_deadline = deadline_mode(s);
    WRITE_ONCE(LVT_TIMER(s), val);
    if (was_deadline != deadline_mode(s)) {
        s->tmict = 0;
        WRITE_ONCE(s->tsc_deadline, 0);
        disarm(s);
    } else if (left) {
        s->timer_start = now - (ns_t)(s->tmict - left) * s->timer_mult;
        s->timer_next = s->timer_start + period_ns(s);
        timer_set(&s->timer, s->timer_next);
    }
    spin_unlock(&s->timer_lock);
}

/* A period is over, or a tick is owed. */
static bool expire_periodic(struct vlapic *s, ns_t now)
{
    ns_t period = period_ns(s), again;
    uint32_t lvt = LVT_TIMER(s);
    bool kick = false, untaken = false;

    vtick_count(&s->timer_next, period, now, &s->ticks_owed);
    if (lvt & APIC_LVT_MASKED) {
        s->ticks_owed = 0;
    } else if (!vlapic_vector_pending(s, lvt)) {
        kick = tick(s);
        s->ticks_owed--;
    } else {
        untaken = true;
    }
    s->ticks_owed = vtick_keep(s->vcpu->domain, s->ticks_owed);
    again = vtick_next(s->timer_next, period, now, s->ticks_owed, untaken);
    timer_set(&s->timer, again);
    return kick;
}

void vlapic_timer_expired(void *opaque)
{
    struct vlapic *s = opaque;
    ns_t now = now_ns();
    bool kick = false;

    spin_lock(&s->timer_lock);
    if (s->timer_next && (now >= s->timer_next || s->ticks_owed)) {
        if (s->tsc_deadline) {
            kick = arm_deadline(s);
        } else if (periodic(s)) {
            kick = expire_periodic(s, now);
        } else {
            s->timer_next = 0;
            kick = tick(s);
        }
    } /* else: it was set anew while this call was on its way */
    spin_unlock(&s->timer_lock);
    if (kick)
        vcpu_kick(s->vcpu);
}

void vlapic_timer_reset(struct vlapic *s)
{
    spin_lock(&s->timer_lock);
    disarm(s);
    s->tmict = s->tdcr = 0;
    s->timer_mult = APIC_BUS_NS * vlapic_timer_divider(0);
    WRITE_ONCE(s->tsc_deadline, 0);
    spin_unlock(&s->timer_lock);
}

void vlapic_timer_restart(struct vlapic *s, uint32_t count, uint64_t deadline)
{
    ns_t now = now_ns();
    bool kick = false;

    spin_lock(&s->timer_lock);
    disarm(s);
    s->timer_mult = APIC_BUS_NS * vlapic_timer_divider(s->tdcr);
    s->tsc_deadline = deadline_mode(s) ? deadline : 0;
    s->timer_start = now - period_ns(s);
    if (s->tsc_deadline) {
        kick = arm_deadline(s);
    } else if (count && count <= s->tmict) {
        s->timer_start = now - (ns_t)(s->tmict - count) * s->timer_mult;
        s->timer_next = s->timer_start + period_ns(s);
        timer_set(&s->timer, s->timer_next);
    }
    spin_unlock(&s->timer_lock);
    if (kick)
        vcpu_kick(s->vcpu);
}
