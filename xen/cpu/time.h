/* System time and timers. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * System time is nanoseconds since boot, from the TSC (calibrated with HPET or PM timer),
 * the same on all CPUs. Times are ns_t.
 */
#ifndef CORBEL_CPU_TIME_H
#define CORBEL_CPU_TIME_H

#include "lib/math.h"
#include "lib/types.h"

#define NS_PER_S  1000000000ll
#define NS_PER_MS 1000000ll
#define NS_PER_US 1000ll

extern uint64_t tsc_hz; /* ticks per second */
extern uint64_t
    wallclock_boot_s; /* seconds since 1970 at system time 0, from the CMOS clock */

ns_t now_ns(void);
/* Conversions; tsc_to_ns(rdtsc()) is system time. 128-bit intermediate results. */
ns_t tsc_to_ns(uint64_t tsc);
uint64_t ns_to_tsc(ns_t ns);
/* Multiplier and shift of the PV clock (xen.h, struct vcpu_time_info). */
void time_pv_scale(uint32_t *mul, int8_t *shift);
/* The same for a TSC of any frequency. */
static inline void time_scale_of(uint64_t hz, uint32_t *mul, int8_t *shift)
{
    uint64_t f = hz;

    /* Bring the frequency to (1e9, 2e9], so that the multiplier uses all of 32 bits. */
    *shift = 0;
    while (f > 2 * (uint64_t)NS_PER_S) {
        f >>= 1;
        (*shift)--;
    }
    while (f <= (uint64_t)NS_PER_S) {
        f <<= 1;
        (*shift)++;
    }
    if (*shift < 0)
        *mul = (uint32_t)muldiv64(NS_PER_S, 1ull << (32 - *shift), hz);
    else
        *mul = (uint32_t)muldiv64(NS_PER_S, 1ull << 32, hz << *shift);
}
void udelay(unsigned int us);

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

/* A timer belongs to one CPU's queue while it is armed. The callback runs on that CPU
 * from the timer interrupt, in an interrupt window: no lock is held, it may take any
 * lock, it must not block. */
struct timer {
    ns_t expires;
    void (*fn)(void *opaque);
    void *opaque;
    int cpu;               /* queue it is in, or -1 */
    unsigned int heap_pos; /* its place in that queue */
};

void timer_init(struct timer *t, void (*fn)(void *), void *opaque);
/* (Re)arm on this CPU, or on the CPU that it is armed on now (moved if that is another).
 * An `expires` in the past fires at the next window. Safe from any CPU; the caller
 * serialises calls on the same timer. */
void timer_set(struct timer *t, ns_t expires);
/* Disarm. On return the callback is not queued; it may still be running on another CPU.
 */
void timer_stop(struct timer *t);
/* Disarm and wait until the callback does not run. No lock that it takes may be held. */
void timer_kill(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
    return READ_ONCE(t->cpu) >= 0;
}

#endif
