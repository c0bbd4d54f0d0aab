/*
 * Suspend to RAM (ACPI's S3): the guest writes SLP_EN, all but its memory and its clock
 * is reset, and something wakes it: the power button, a key, the clock's alarm, a
 * command.
 *
 *      awake --machine_sleep_request()--> asleep --machine_wake()--> awake
 *
 * The front end stops and resets the vCPUs, the devices here are reset when the guest
 * falls asleep, so a saved state holds them as the firmware will find them.  What tells
 * the firmware that this is no cold start is in CMOS memory (ioemu/platform/cmos.c).
 *
 * Source: ACPI 6.4, 4.8.3.2 and 16.1.3; MC146818A data sheet for the alarm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "control.h"
#include "machine.h"

enum {
    RTC_SECONDS = 0,
    RTC_MINUTES = 2,
    RTC_HOURS = 4,
    RTC_B = 11,
    B_ALARM = 1 << 5,
    B_BINARY = 1 << 2,
    B_24H = 1 << 1,
    HOURS_PM = 1 << 7,
    DONT_CARE = 0xc0, /* in an alarm register: any value */

    DAY_S = 24 * 60 * 60,
};

#define NS_PER_S 1000000000ll

static uint8_t encode(const uint8_t *rtc, unsigned value)
{
    return (uint8_t)(rtc[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static uint8_t encode_hour(const uint8_t *rtc, unsigned hour)
{
    if (rtc[RTC_B] & B_24H)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, hour % 12 ? hour % 12 : 12) |
                     (hour >= 12 ? HOURS_PM : 0));
}

/* Does the alarm register behind the one of the time match the value? */
static bool matches(const uint8_t *rtc, unsigned reg, uint8_t value)
{
    return (rtc[reg + 1] & DONT_CARE) == DONT_CARE || rtc[reg + 1] == value;
}

/* Second of the day, or -1 for nonsense. */
static int time_of_day(const uint8_t *rtc)
{
    for (int s = 0; s < DAY_S; s++) {
        if (rtc[RTC_SECONDS] == encode(rtc, (unsigned)s % 60) &&
            rtc[RTC_MINUTES] == encode(rtc, (unsigned)s / 60 % 60) &&
            rtc[RTC_HOURS] == encode_hour(rtc, (unsigned)s / 3600))
            return s;
    }
    return -1;
}

int sleep_seconds_to_alarm(const uint8_t rtc[RTC_REGISTERS])
{
    int now = time_of_day(rtc);

    if (!(rtc[RTC_B] & B_ALARM) || now < 0)
        return -1;
    for (int wait = 1; wait <= DAY_S; wait++) {
        unsigned s = (unsigned)(now + wait) % DAY_S;
        if (matches(rtc, RTC_SECONDS, encode(rtc, s % 60)) &&
            matches(rtc, RTC_MINUTES, encode(rtc, s / 60 % 60)) &&
            matches(rtc, RTC_HOURS, encode_hour(rtc, s / 3600)))
            return wait;
    }
    return -1;
}

static void alarm_rings(void *opaque)
{
    struct error ignored;

    machine_wake(opaque, WAKE_ALARM, &ignored);
}

void sleep_init(struct machine *m)
{
    m->alarm.machine = m;
    m->alarm.expired = alarm_rings;
    m->alarm.opaque = m;
}

bool machine_asleep(const struct device *dev)
{
    return dev->machine->asleep;
}

void machine_sleep_request(struct device *dev)
{
    dev->machine->sleep_wanted = true;
    deferred_queue(&dev->machine->request);
}

void machine_sleep(struct machine *m)
{
    uint8_t rtc[RTC_REGISTERS] = {0};
    struct error error;

    if (m->asleep)
        return;
    int err = m->front->sleep ? m->front->sleep(m, rtc, &error) : 0;
    if (err) {
        dev_log(NULL, LOG_WARNING, "the guest cannot sleep: %s", error.text);
        return;
    }
    m->asleep = true;
    bool armed =
        !m->power || !m->power->alarm_wakes || m->power->alarm_wakes(m->power_opaque);
    int seconds = armed ? sleep_seconds_to_alarm(rtc) : -1;
    machine_reset(m);
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (dev->ops->sleep)
            dev->ops->sleep(dev);
    }
    if (seconds >= 0)
        vtimer_set(&m->alarm, m->front->clock(m) + seconds * NS_PER_S);
    dev_log(NULL, LOG_INFO, "the guest sleeps");
    control_event(m, "SUSPEND", NULL);
}

int machine_wake(struct machine *m, enum wake_reason why, struct error *error)
{
    if (!m->asleep)
        return error_set(error, -EINVAL,
                         "Unable to wake up: guest is not in suspended state");
    m->asleep = false;
    vtimer_cancel(&m->alarm);
    if (m->power && m->power->woken)
        m->power->woken(m->power_opaque, why);
    int err = m->front->wake ? m->front->wake(m, error) : 0;
    if (err) {
        m->asleep = true;
        return err;
    }
    dev_log(NULL, LOG_INFO, "the guest wakes");
    control_event(m, "WAKEUP", NULL);
    return 0;
}
