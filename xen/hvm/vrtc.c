/* MC146818 real-time clock. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Motorola MC146818A data sheet. Registers 0 - 0xd are here; the rest of CMOS memory is
 * the device model's: port 0x70 is latched and passed on, port 0x71 is passed on when the
 * index is above 0xd. The century is in the device model's memory as well, so years count
 * in 2000 - 2099.
 *
 * Time is computed, not counted. The flags of register C are found out when somebody
 * looks: timers run only for interrupts that are enabled. Each raises IRQ 8 and waits for
 * a read of register C; periodic ones that the guest did not take in time follow as
 * hvm/vtick.h says.
 */
#include "hvm/vrtc.h"
#include "hvm/vhpet.h"
#include "hvm/vtick.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"

#define RTC_SECONDS       0
#define RTC_SECONDS_ALARM 1
#define RTC_MINUTES       2
#define RTC_MINUTES_ALARM 3
#define RTC_HOURS         4
#define RTC_HOURS_ALARM   5
#define RTC_WEEKDAY       6
#define RTC_DAY           7
#define RTC_MONTH         8
#define RTC_YEAR          9
#define RTC_A             10
#define RTC_B             11
#define RTC_C             12
#define RTC_D             13

#define A_UIP    0x80
#define A_DIV    0x70
#define A_DIV_ON 0x20 /* 32.768 kHz crystal; 11x holds the divider in reset */
#define A_RATE   0x0f
#define B_SET    0x80
#define B_PIE    0x40
#define B_AIE    0x20
#define B_UIE    0x10
#define B_BINARY 0x04
#define B_24H    0x02
#define C_IRQF   0x80
#define C_PF     0x40
#define C_AF     0x20
#define C_UF     0x10
#define D_VALID  0x80

#define IRQ             8
#define UIP_NS          (2228 * NS_PER_US) /* 244 us notice and 1984 us of update */
#define DAY_S           86400
#define DONT_CARE(x)    (((x)&0xc0) == 0xc0)
#define SECONDS_TO_2000 946684800ll

struct clock_time {
    unsigned int second, minute, hour, weekday, day, month, year; /* weekday 1 = Sunday */
};

/*
 * The calendar (proleptic Gregorian; algorithm of days and eras of 400 years).
 */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void time_from_seconds(int64_t s, struct clock_time *t)
{
    int64_t days = floor_div(s, DAY_S), in_day = s - days * DAY_S;
    int64_t z = days + 719468, era = floor_div(z, 146097);
    unsigned int doe = z - era * 146097;
    unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned int mp = (5 * doy + 2) / 153;

    t->second = in_day % 60;
    t->minute = in_day / 60 % 60;
    t->hour = in_day / 3600;
    t->weekday =
        (uint64_t)(days - floor_div(days, 7) * 7 + 4) % 7 + 1; /* 1970: Thursday */
    t->day = doy - (153 * mp + 2) / 5 + 1;
    t->month = mp < 10 ? mp + 3 : mp - 9;
    t->year = yoe + era * 400 + (t->month <= 2);
}

static int64_t seconds_from_time(const struct clock_time *t)
{
    int64_t y = (int64_t)t->year - (t->month <= 2), era = floor_div(y, 400);
    unsigned int yoe = y - era * 400;
    unsigned int doy =
        (153 * (t->month > 2 ? t->month - 3 : t->month + 9) + 2) / 5 + t->day - 1;
    unsigned int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return (era * 146097 + doe - 719468) * DAY_S + t->hour * 3600 + t->minute * 60 +
           t->second;
}

/*
 * Encodings of register B: binary or BCD, 24 or 12 hours.
 */
static uint8_t encode(const struct vrtc *r, unsigned int val)
{
    return r->reg[RTC_B] & B_BINARY ? val : val / 10 << 4 | val % 10;
}

static unsigned int decode(const struct vrtc *r, uint8_t val)
{
    return r->reg[RTC_B] & B_BINARY ? val : (val >> 4) * 10 + (val & 15);
}

static uint8_t encode_hour(const struct vrtc *r, unsigned int hour)
{
    if (r->reg[RTC_B] & B_24H)
        return encode(r, hour);
    return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned int decode_hour(const struct vrtc *r, uint8_t val)
{
    if (r->reg[RTC_B] & B_24H)
        return decode(r, val);
    return decode(r, val & 0x7f) % 12 + (val & 0x80 ? 12 : 0);
}

static inline bool stopped(const struct vrtc *r)
{
    return (r->reg[RTC_B] & B_SET) || (r->reg[RTC_A] & 0x60) == 0x60;
}

/* The guest's clock in ns since 1970 at system time `now`. */
static int64_t clock_ns(const struct vrtc *r, ns_t now)
{
    return (int64_t)wallclock_boot_s * NS_PER_S + now +
           r->domain->time_offset_s * NS_PER_S + r->offset_ns;
}

/* Time registers from the clock. */
static void registers_from_clock(struct vrtc *r, ns_t now)
{
    struct clock_time t;

    time_from_seconds(floor_div(clock_ns(r, now), NS_PER_S), &t);
    r->reg[RTC_SECONDS] = encode(r, t.second);
    r->reg[RTC_MINUTES] = encode(r, t.minute);
    r->reg[RTC_HOURS] = encode_hour(r, t.hour);
    r->reg[RTC_WEEKDAY] = encode(r, t.weekday);
    r->reg[RTC_DAY] = encode(r, t.day);
    r->reg[RTC_MONTH] = encode(r, t.month);
    r->reg[RTC_YEAR] = encode(r, t.year % 100);
}

/* The clock from time registers, as the guest has set them; nonsense is brought into
 * range. The fraction starts at 500 ms, as on the chip: the first update comes half a
 * second after the divider is released. */
static void clock_from_registers(struct vrtc *r, ns_t now, bool half)
{
    struct clock_time t = {
        .second = min(decode(r, r->reg[RTC_SECONDS]), 59u),
        .minute = min(decode(r, r->reg[RTC_MINUTES]), 59u),
        .hour = min(decode_hour(r, r->reg[RTC_HOURS]), 23u),
        .day = min(max(decode(r, r->reg[RTC_DAY]), 1u), 31u),
        .month = min(max(decode(r, r->reg[RTC_MONTH]), 1u), 12u),
        .year = 2000 + decode(r, r->reg[RTC_YEAR]) % 100,
    };
    int64_t old = clock_ns(r, now), set = seconds_from_time(&t) * NS_PER_S;
    int64_t fraction = old - floor_div(old, NS_PER_S) * NS_PER_S;

    r->offset_ns += set + (half ? NS_PER_S / 2 : fraction) - old;
}

/*
 * Flags and interrupts.
 */
static ns_t rate_period(const struct vrtc *r)
{
    unsigned int rate = r->reg[RTC_A] & A_RATE;

    if (!rate || (r->reg[RTC_A] & A_DIV) != A_DIV_ON)
        return 0;
    if (rate <= 2)
        rate += 7;
    return (NS_PER_S << (rate - 1)) / 32768;
}

/* Does the alarm match second `s` of the clock? */
static bool alarm_matches(const struct vrtc *r, const struct clock_time *t)
{
    const uint8_t *reg = r->reg;

    return (DONT_CARE(reg[RTC_SECONDS_ALARM]) ||
            reg[RTC_SECONDS_ALARM] == encode(r, t->second)) &&
           (DONT_CARE(reg[RTC_MINUTES_ALARM]) ||
            reg[RTC_MINUTES_ALARM] == encode(r, t->minute)) &&
           (DONT_CARE(reg[RTC_HOURS_ALARM]) ||
            reg[RTC_HOURS_ALARM] == encode_hour(r, t->hour));
}

/* Did the alarm match in the seconds after `from`, up to `to`? Looks at what differs:
 * a whole hour or minute that does not match is skipped. */
static bool alarm_between(const struct vrtc *r, int64_t from, int64_t to)
{
    int64_t s = from + 1;
    struct clock_time t;

    to = min(to, from + DAY_S);
    while (s <= to) {
        time_from_seconds(s, &t);
        if (alarm_matches(r, &t))
            return true;
        if (!DONT_CARE(r->reg[RTC_HOURS_ALARM]) &&
            r->reg[RTC_HOURS_ALARM] != encode_hour(r, t.hour))
            s += 3600 - (t.minute * 60 + t.second);
        else if (!DONT_CARE(r->reg[RTC_MINUTES_ALARM]) &&
                 r->reg[RTC_MINUTES_ALARM] != encode(r, t.minute))
            s += 60 - t.second;
        else
            s++;
    }
    return false;
}

/* Bring register C up to date. Periodic flags come from the timer while it runs. */
static void update_flags(struct vrtc *r, ns_t now)
{
    int64_t from = floor_div(clock_ns(r, r->flags_since), NS_PER_S);
    int64_t to = floor_div(clock_ns(r, now), NS_PER_S);
    ns_t period = rate_period(r);

    if (to > from && !stopped(r)) {
        r->reg[RTC_C] |= C_UF;
        if (!(r->reg[RTC_C] & C_AF) && alarm_between(r, from, to))
            r->reg[RTC_C] |= C_AF;
    }
    if (!r->next_periodic && period && now / period != r->flags_since / period)
        r->reg[RTC_C] |= C_PF;
    r->flags_since = now;
}

/* IRQF and the interrupt line follow flags and enables. */
static void update_irq(struct vrtc *r)
{
    bool on = r->reg[RTC_C] & r->reg[RTC_B] & (C_PF | C_AF | C_UF);
    bool was = r->reg[RTC_C] & C_IRQF;

    if (on == was)
        return;
    r->reg[RTC_C] ^= C_IRQF;
    if (!on || !vhpet_replaces_legacy(r->domain))
        hvm_isa_irq_set(r->domain, IRQ, on);
}

/* Timers for what is enabled now. */
static void arm_second(struct vrtc *r, ns_t now)
{
    int64_t clock = clock_ns(r, now);

    if ((r->reg[RTC_B] & (B_UIE | B_AIE)) && !stopped(r))
        timer_set(&r->second,
                  now + NS_PER_S - (clock - floor_div(clock, NS_PER_S) * NS_PER_S));
    else
        timer_stop(&r->second);
}

static void arm_periodic(struct vrtc *r, ns_t now)
{
    ns_t period = r->reg[RTC_B] & B_PIE ? rate_period(r) : 0;

    if (period == r->period && (r->next_periodic != 0) == (period != 0))
        return;
    r->period = period;
    r->owed = 0;
    r->next_periodic = 0;
    if (!period) {
        timer_stop(&r->periodic);
        return;
    }
    r->next_periodic = (now / period + 1) * period;
    timer_set(&r->periodic, r->next_periodic);
}

static void second_expired(void *opaque)
{
    struct vrtc *r = opaque;
    ns_t now = hvm_guest_time(r->domain);

    spin_lock(&r->lock);
    update_flags(r, now);
    update_irq(r);
    arm_second(r, now);
    spin_unlock(&r->lock);
}

static void periodic_expired(void *opaque)
{
    struct vrtc *r = opaque;
    ns_t now = hvm_guest_time(r->domain);

    spin_lock(&r->lock);
    if (r->next_periodic && (now >= r->next_periodic || r->owed)) {
        bool untaken = r->reg[RTC_C] & C_IRQF;
        vtick_count(&r->next_periodic, r->period, now, &r->owed);
        if (!untaken) {
            r->reg[RTC_C] |= C_PF;
            r->owed--;
            update_irq(r);
        }
        r->owed = vtick_keep(r->domain, r->owed);
        timer_set(&r->periodic,
                  vtick_next(r->next_periodic, r->period, now, r->owed, untaken));
    }
    spin_unlock(&r->lock);
}

/*
 * Registers.
 */
static uint8_t read_a(const struct vrtc *r, ns_t now)
{
    int64_t clock = clock_ns(r, now);
    int64_t fraction = clock - floor_div(clock, NS_PER_S) * NS_PER_S;
    bool uip = !stopped(r) && fraction >= NS_PER_S - UIP_NS;

    return r->reg[RTC_A] | (uip ? A_UIP : 0);
}

static uint8_t read_c(struct vrtc *r, ns_t now)
{
    uint8_t val;

    update_flags(r, now);
    update_irq(r);
    val = r->reg[RTC_C];
    r->reg[RTC_C] &= C_IRQF;
    update_irq(r);
    return val;
}

static uint8_t reg_read(struct vrtc *r, unsigned int reg, ns_t now)
{
    switch (reg) {
    case RTC_SECONDS:
    case RTC_MINUTES:
    case RTC_HOURS:
    case RTC_WEEKDAY ... RTC_YEAR:
        if (!stopped(r))
            registers_from_clock(r, now);
        return r->reg[reg];
    case RTC_A:
        return read_a(r, now);
    case RTC_C:
        return read_c(r, now);
    case RTC_D:
        return D_VALID;
    }
    return r->reg[reg];
}

/* A or B is written: the clock may stop (its registers keep what they had) or go on from
 * what the guest has set. */
static void write_control(struct vrtc *r, unsigned int reg, uint8_t val, ns_t now)
{
    bool was_stopped = stopped(r), divider = (r->reg[RTC_A] & 0x60) == 0x60;

    update_flags(r, now);
    if (!was_stopped)
        registers_from_clock(r, now);
    if (reg == RTC_A) {
        r->reg[RTC_A] = val & ~A_UIP;
    } else {
        if (val & B_SET)
            val &= ~B_UIE; /* setting clears UIE */
        r->reg[RTC_B] = val;
    }
    if (was_stopped && !stopped(r))
        clock_from_registers(r, now, divider);
    update_irq(r);
    arm_second(r, now);
    arm_periodic(r, now);
}

static void reg_write(struct vrtc *r, unsigned int reg, uint8_t val, ns_t now)
{
    switch (reg) {
    case RTC_A:
    case RTC_B:
        write_control(r, reg, val, now);
        return;
    case RTC_C:
    case RTC_D:
        return; /* read-only */
    case RTC_SECONDS_ALARM:
    case RTC_MINUTES_ALARM:
    case RTC_HOURS_ALARM:
        update_flags(r, now);
        r->reg[reg] = val;
        return;
    }
    if (stopped(r)) {
        r->reg[reg] = val;
        return;
    }
    update_flags(r, now);
    registers_from_clock(r, now);
    r->reg[reg] = val;
    clock_from_registers(r, now, false);
    arm_second(r, now);
}

/*
 * Ports.
 */
static bool rtc_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    struct vrtc *r = v->domain->hvm->vrtc;
    unsigned int index = READ_ONCE(r->index);

    if (!(port & 1) || index >= RTC_REGISTERS)
        return false;
    spin_lock(&r->lock);
    *val = reg_read(r, index, hvm_guest_time(r->domain));
    spin_unlock(&r->lock);
    return true;
}

static bool rtc_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct vrtc *r = v->domain->hvm->vrtc;
    unsigned int index = READ_ONCE(r->index);

    if (!(port & 1)) {
        WRITE_ONCE(r->index, val & 0x7f); /* bit 7 masks NMIs */
        return false;                     /* the device model latches it too */
    }
    if (index >= RTC_REGISTERS)
        return false;
    spin_lock(&r->lock);
    reg_write(r, index, val, hvm_guest_time(r->domain));
    spin_unlock(&r->lock);
    return true;
}

void vrtc_reset(struct domain *d)
{
    struct vrtc *r = d->hvm->vrtc;

    spin_lock(&r->lock);
    /* The battery keeps the clock, how it is encoded, and the alarm, which may be what
     * wakes the guest. */
    r->reg[RTC_B] &= ~(B_PIE | B_UIE);
    r->reg[RTC_C] &= C_IRQF;
    r->flags_since = hvm_guest_time(d);
    update_irq(r);
    arm_second(r, r->flags_since);
    arm_periodic(r, r->flags_since);
    spin_unlock(&r->lock);
}

void vrtc_snapshot(struct domain *d, uint8_t reg[RTC_REGISTERS])
{
    struct vrtc *r = d->hvm->vrtc;
    ns_t now = hvm_guest_time(d);

    spin_lock(&r->lock);
    update_flags(r, now);
    if (!stopped(r))
        registers_from_clock(r, now);
    memcpy(reg, r->reg, RTC_REGISTERS);
    spin_unlock(&r->lock);
}

void vrtc_restart(struct domain *d)
{
    struct vrtc *r = d->hvm->vrtc;
    ns_t now = hvm_guest_time(d);

    spin_lock(&r->lock);
    r->flags_since = now;
    r->reg[RTC_C] &= C_PF | C_AF | C_UF | C_IRQF;
    /* IRQF says what the line does, which ISA_IRQ has told already. */
    if (r->reg[RTC_C] & r->reg[RTC_B] & (C_PF | C_AF | C_UF))
        r->reg[RTC_C] |= C_IRQF;
    else
        r->reg[RTC_C] &= ~C_IRQF;
    r->period = 0;
    r->next_periodic = 0;
    arm_second(r, now);
    arm_periodic(r, now);
    hvm_isa_irq_set(d, IRQ, r->reg[RTC_C] & C_IRQF);
    spin_unlock(&r->lock);
}

int vrtc_init(struct domain *d)
{
    static const struct port_handler ports = {0x70, 0x71, 1, rtc_read, rtc_write};
    struct vrtc *r = zalloc(sizeof(*r));

    if (!r)
        return -ENOMEM;
    r->domain = d;
    timer_init(&r->periodic, periodic_expired, r);
    timer_init(&r->second, second_expired, r);
    d->hvm->vrtc = r;
    r->reg[RTC_A] = A_DIV_ON | 6;
    r->reg[RTC_B] = B_24H;
    vrtc_reset(d);
    return platform_add_ports(d, &ports);
}

void vrtc_stop(struct domain *d)
{
    struct vrtc *r = d->hvm->vrtc;

    timer_kill(&r->periodic);
    timer_kill(&r->second);
}

void vrtc_destroy(struct domain *d)
{
    struct vrtc *r = d->hvm->vrtc;

    if (!r)
        return;
    vrtc_stop(d);
    d->hvm->vrtc = NULL;
    zfree(r);
}
