/* High precision event timer. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_VHPET_H
#define CORBEL_HVM_VHPET_H

#include "hvm/platform_device.h"

#define HPET_BASE    0xfed00000ull
#define HPET_TIMERS  3
#define HPET_TICK_NS 16 /* 62.5 MHz */
#define HPET_CFG_ON  1ull
#define HPET_CFG_LEG 2ull

struct vhpet_timer {
    struct vhpet *hpet;
    struct timer timer;
    uint64_t config;
    uint64_t comparator; /* as of the last match; see vhpet.c */
    uint64_t period;     /* last value written in periodic mode, ticks */
    ns_t next;           /* system time of the next match; 0: none */
    uint32_t owed;
};

struct vhpet {
    struct spinlock lock; /* guards all */
    struct domain *domain;
    uint64_t config, isr;
    uint64_t counter; /* while stopped */
    ns_t base;        /* while running: system time at count 0 */
    struct vhpet_timer timer[HPET_TIMERS];
};

extern const uint64_t vhpet_capabilities; /* register 0 */

int vhpet_init(struct domain *d);
void vhpet_destroy(struct domain *d);
/* Disarm for good, and wait until no callback runs. */
void vhpet_stop(struct domain *d);
void vhpet_reset(struct domain *d);
unsigned int vhpet_route(const struct vhpet_timer *t); /* the GSI that it drives */
/* Registers were loaded: timers go on from the counter. Lock not held. */
void vhpet_restart(struct domain *d, uint64_t counter);
uint64_t vhpet_counter(const struct vhpet *h, ns_t now);
/* Legacy replacement: timers 0 and 1 have taken IRQ 0 and IRQ 8. */
static inline bool vhpet_replaces_legacy(const struct domain *d)
{
    const struct vhpet *h = d->hvm->vhpet;

    return h && (READ_ONCE(h->config) & (HPET_CFG_ON | HPET_CFG_LEG)) ==
                    (HPET_CFG_ON | HPET_CFG_LEG);
}

#endif
