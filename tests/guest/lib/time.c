/*
 * Time by the TSC. Its rate: Xen's time records, else the PIT's channel 2 as reference.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

#define PIT_HZ        1193182u
#define PIT_CH2       0x42
#define PIT_CONTROL   0x43
#define PIT_GATE      0x61
#define PIT_CH2_MODE0 0xb0 /* channel 2, low then high byte, mode 0 */
#define CALIBRATE_MS  20

static uint64_t ticks_per_ms;

static uint64_t rate_from_xen(void)
{
    const struct vcpu_time_info *t = &xen_shared_info()->vcpu_info[0].time;
    uint64_t rate;

    if (!t->tsc_to_system_mul)
        return 0;
    /* ns = (tsc << shift) * mul >> 32 */
    rate = (uint64_t)(((unsigned __int128)1000000 << 32) / t->tsc_to_system_mul);
    return t->tsc_shift < 0 ? rate << -t->tsc_shift : rate >> t->tsc_shift;
}

static uint64_t rate_from_pit(void)
{
    uint32_t count = PIT_HZ * CALIBRATE_MS / 1000;
    uint8_t gate = inb(PIT_GATE);
    uint64_t start;

    outb(PIT_GATE, (uint8_t)((gate & ~2) | 1));
    outb(PIT_CONTROL, PIT_CH2_MODE0);
    outb(PIT_CH2, (uint8_t)count);
    outb(PIT_CH2, (uint8_t)(count >> 8));
    start = rdtsc();
    while (!(inb(PIT_GATE) & 0x20))
        if (rdtsc() - start > 100000000000ul)
            return 0;
    start = rdtsc() - start;
    outb(PIT_GATE, gate);
    return start / CALIBRATE_MS;
}

void time_init(void)
{
    if (env.xen)
        ticks_per_ms = rate_from_xen();
    if (!ticks_per_ms)
        ticks_per_ms = rate_from_pit();
    if (!ticks_per_ms)
        panic("no clock to measure the TSC with");
}

uint64_t tsc_per_ms(void)
{
    if (!ticks_per_ms)
        time_init();
    return ticks_per_ms;
}

void delay_us(uint64_t us)
{
    uint64_t start = rdtsc(), ticks = us * tsc_per_ms() / 1000;

    while (rdtsc() - start < ticks)
        cpu_relax();
}

bool wait_change(volatile uint32_t *value, uint32_t old, uint32_t ms)
{
    uint64_t start = rdtsc(), ticks = ms_to_tsc(ms);

    irq_enable();
    while (*value == old && rdtsc() - start < ticks)
        cpu_relax();
    irq_disable();
    return *value != old;
}
