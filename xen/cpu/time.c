/* System time: the TSC, calibrated against a clock of known frequency.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ACPI PM timer (3.579545 MHz; ACPI 6.4, 4.8.3.3) serves first, then the HPET
 * (IA-PC HPET 1.0a), last the PIT. Some processors tell their frequency in CPUID leaf
 * 0x15. TSCs are taken to be synchronous and invariant, as they are on every machine with
 * nested paging.
 */
#include "cpu/time_init.h"
#include "cpu/apic.h"
#include "cpu/x86.h"
#include "boot/boot.h"
#include "mm/frame.h"
#include "lib/math.h"
#include "lib/printk.h"

#define PM_TIMER_HZ     3579545u
#define PIT_HZ          1193182u
#define CALIBRATE_MS    20
#define EARLY_TSC_HZ    1000000000ull
#define HPET_CAP_PERIOD 4 /* byte offsets */
#define HPET_CONFIG     0x10
#define HPET_COUNTER    0xf0
#define FS_PER_S        1000000000000000ull
#define HPET_MAX_PERIOD 100000000u /* fs */

uint64_t tsc_hz;
uint64_t wallclock_boot_s;
static uint64_t tsc_at_boot;
/* ns = (tsc - tsc_at_boot) * ns_mul >> 32, and back. */
static uint64_t ns_mul, tsc_mul;
/* For the PV clock: ns = (tsc << shift) * mul >> 32 with a 32-bit mul. */
static uint32_t pv_mul;
static int8_t pv_shift;

static volatile uint32_t *hpet;

ns_t tsc_to_ns(uint64_t tsc)
{
    int64_t delta = (int64_t)(tsc - tsc_at_boot);

    if (delta < 0) /* another CPU's TSC is a little behind */
        return -(ns_t)((unsigned __int128)(uint64_t)-delta * ns_mul >> 32);
    return (ns_t)((unsigned __int128)(uint64_t)delta * ns_mul >> 32);
}

uint64_t ns_to_tsc(ns_t ns)
{
    unsigned __int128 ticks;

    if (ns <= 0)
        return tsc_at_boot;
    ticks = (unsigned __int128)(uint64_t)ns * tsc_mul >> 32;
    if (ticks > (uint64_t)INT64_MAX)
        return INT64_MAX;
    return tsc_at_boot + (uint64_t)ticks;
}

ns_t now_ns(void)
{
    return tsc_to_ns(rdtsc());
}

void time_pv_scale(uint32_t *mul, int8_t *shift)
{
    *mul = pv_mul;
    *shift = pv_shift;
}

void udelay(unsigned int us)
{
    uint64_t start = rdtsc(), ticks = tsc_hz * us / 1000000;

    while (rdtsc() - start < ticks)
        cpu_relax();
}

static void set_frequency(uint64_t hz)
{
    tsc_hz = hz;
    ns_mul = ((uint64_t)NS_PER_S << 32) / hz;
    tsc_mul = muldiv64(hz, 1ull << 32, NS_PER_S);
    time_scale_of(hz, &pv_mul, &pv_shift);
}

void time_init_early(void)
{
    tsc_at_boot = rdtsc();
    set_frequency(EARLY_TSC_HZ);
}

/* A reference clock: reads a counter that wraps at `mask`. */
struct clock {
    const char *name;
    uint64_t hz;
    uint32_t mask;
    uint32_t (*read)(void);
};

static uint32_t pm_timer_read(void)
{
    return inl((uint16_t)acpi.pm_timer_port);
}

static uint32_t hpet_read(void)
{
    return hpet[HPET_COUNTER / 4];
}

/* PIT channel 2 counts down; made to count up. Its gate is bit 0 of port 0x61. */
static uint32_t pit_read(void)
{
    uint16_t v;

    outb(0x43, 0x80); /* latch channel 2 */
    v = inb(0x42);
    v |= (uint16_t)(inb(0x42) << 8);
    return 0xffffu - v;
}

static void pit_start(void)
{
    outb(0x61, (inb(0x61) & ~2) | 1);
    outb(0x43, 0xb4); /* channel 2, both bytes, mode 2 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
}

static bool pm_timer_works(void)
{
    uint32_t first;

    if (!acpi.pm_timer_port)
        return false;
    first = pm_timer_read();
    for (int i = 0; i < 1000; i++) {
        if (pm_timer_read() != first)
            return true;
    }
    return false;
}

static bool hpet_start(uint64_t *hz)
{
    if (!acpi.hpet)
        return false;
    hpet = map_mmio(acpi.hpet, PAGE_SIZE);
    if (!hpet[HPET_CAP_PERIOD / 4] || hpet[HPET_CAP_PERIOD / 4] > HPET_MAX_PERIOD)
        return false;
    *hz = FS_PER_S / hpet[HPET_CAP_PERIOD / 4];
    hpet[HPET_CONFIG / 4] |= 1;
    return true;
}

static void choose_clock(struct clock *c)
{
    if (pm_timer_works()) {
        *c = (struct clock){"ACPI PM timer", PM_TIMER_HZ,
                            acpi.pm_timer_32bit ? 0xffffffffu : 0xffffffu, pm_timer_read};
    } else if (hpet_start(&c->hz)) {
        c->name = "HPET";
        c->mask = 0xffffffffu;
        c->read = hpet_read;
    } else {
        pit_start();
        *c = (struct clock){"PIT", PIT_HZ, 0xffffu, pit_read};
    }
}

/* CPUID leaf 0x15: TSC = crystal * EBX / EAX, if the crystal's frequency is told. */
static uint64_t tsc_hz_from_cpuid(void)
{
    uint32_t eax = cpuid_get(0x15, CPUID_EAX), ebx = cpuid_get(0x15, CPUID_EBX);
    uint32_t ecx = cpuid_get(0x15, CPUID_ECX);

    return eax && ebx && ecx ? (uint64_t)ecx * ebx / eax : 0;
}

/* A reading of the clock and the TSC at the same moment: the tightest of some. */
static uint64_t read_both(const struct clock *c, uint32_t *clock)
{
    uint64_t best = ~0ull, tsc = 0;

    for (int i = 0; i < 5; i++) {
        uint64_t before = rdtsc(), took;
        uint32_t now = c->read();

        took = rdtsc() - before;
        if (took < best) {
            best = took;
            *clock = now;
            tsc = before + took / 2;
        }
    }
    return tsc;
}

static void calibrate(void)
{
    struct clock c;
    uint32_t clock0, clock1, apic_ticks, span;
    uint64_t tsc0, tsc1, known = tsc_hz_from_cpuid();

    choose_clock(&c);
    span = (uint32_t)(c.hz * CALIBRATE_MS / 1000);
    apic_timer_count_start();
    tsc0 = read_both(&c, &clock0);
    apic_ticks = apic_timer_count_read();
    while (((c.read() - clock0) & c.mask) < span)
        cpu_relax();
    tsc1 = read_both(&c, &clock1);
    apic_ticks = apic_timer_count_read() - apic_ticks;
    span = (clock1 - clock0) & c.mask;
    set_frequency(known ? known : muldiv64(tsc1 - tsc0, c.hz, span));
    printk("TSC: %lu.%03lu MHz, by %s\n", tsc_hz / 1000000, tsc_hz / 1000 % 1000,
           known ? "CPUID" : c.name);
    apic_timer_set_frequency(muldiv64(apic_ticks, tsc_hz, tsc1 - tsc0));
}

int64_t days_from_civil(int year, unsigned int month, unsigned int day)
{
    /* Years begin in March, so that the leap day is the last one of a year. */
    int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)((month + 9) % 12) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - 719468;
}

static uint8_t cmos_read(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

/* Date and time registers; without an update in progress between first and last read. */
static void cmos_read_time(uint8_t t[6])
{
    static const uint8_t regs[6] = {0, 2, 4, 7, 8, 9}; /* s, min, h, day, month, year */

    for (int tries = 0; tries < 100000 && (cmos_read(10) & 0x80); tries++)
        cpu_relax();
    for (int i = 0; i < 6; i++)
        t[i] = cmos_read(regs[i]);
}

/* Seconds since 1970 of the CMOS clock, taken to be UTC. */
static uint64_t cmos_seconds(void)
{
    uint8_t t[6], again[6], format = cmos_read(11);
    bool pm, same;
    int tries = 0;

    do {
        cmos_read_time(t);
        cmos_read_time(again);
        same = true;
        for (int i = 0; i < 6; i++)
            same &= t[i] == again[i];
    } while (!same && ++tries < 10);
    pm = t[2] & 0x80;
    t[2] &= 0x7f;
    if (!(format & 4)) { /* BCD */
        for (int i = 0; i < 6; i++)
            t[i] = (uint8_t)((t[i] >> 4) * 10 + (t[i] & 15));
    }
    if (!(format & 2)) /* 12 hours */
        t[2] = (uint8_t)(t[2] % 12 + (pm ? 12 : 0));
    return (uint64_t)days_from_civil(2000 + t[5], t[4], t[3]) * 86400 + t[2] * 3600u +
           t[1] * 60u + t[0];
}

void time_init(void)
{
    calibrate();
    wallclock_boot_s = cmos_seconds() - (uint64_t)(now_ns() / NS_PER_S);
}
