/*
 * Suspend to RAM: what the guest writes, what wakes it, and what the firmware finds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "devmodel/control.h"

enum {
    PM_SLOT = 1, /* function 3 */
    PM_BASE = 0x600,
    PM1_STS = PM_BASE,
    PM1_EN = PM_BASE + 2,
    PM1_CNT = PM_BASE + 4,
    PWRBTN_STS = 1 << 8,
    RTC_STS = 1 << 10,
    WAK_STS = 1 << 15,
    SLP_EN = 1 << 13,
    S3 = 1 << 10,
    CMOS_SHUTDOWN = 0x0f,
};

static void pm_config(struct bench *b, unsigned offset, unsigned size, uint32_t value)
{
    pci_config_write(b->m, PCI_DEVFN(PM_SLOT, 3), offset, size, value);
}

/* What SeaBIOS does, at the start and after each sleep. */
static void set_up_pm(struct bench *b)
{
    pm_config(b, 0x40, 4, PM_BASE);
    pm_config(b, 0x80, 1, 1);
}

static struct bench *start(void)
{
    struct bench *b = bench_start("-vga", "none");

    set_up_pm(b);
    return b;
}

static void fall_asleep(struct bench *b)
{
    out16(b, PM1_CNT, S3 | SLP_EN);
    turn(b);
}

static uint8_t cmos(struct bench *b, uint8_t index)
{
    out8(b, 0x70, index);
    return in8(b, 0x71);
}

static bool command(struct bench *b, const char *name, struct error *error)
{
    json_t *answer = control_execute(b->m, name, NULL, error);

    json_decref(answer);
    return answer;
}

static bool says(struct bench *b, const char *status, bool running)
{
    struct error error;
    json_t *answer = control_execute(b->m, "query-status", NULL, &error);
    bool same = !strcmp(json_string_value(json_object_get(answer, "status")), status) &&
                json_is_true(json_object_get(answer, "running")) == running;

    json_decref(answer);
    return same;
}

static void test_sleeps(void **state)
{
    struct bench *b = start();

    assert_int_equal(cmos(b, CMOS_SHUTDOWN), 0);
    assert_true(says(b, "running", true));
    out16(b, PM1_CNT, S3); /* without SLP_EN */
    turn(b);
    assert_int_equal(b->sleeps, 0);
    fall_asleep(b);
    assert_int_equal(b->sleeps, 1);
    assert_true(says(b, "suspended", false));
    /* The chip was reset: it does not decode its block any more. */
    assert_int_equal(in16(b, PM1_CNT), 0xffff);
    assert_int_equal(cmos(b, CMOS_SHUTDOWN), 0xfe);
    bench_stop(b);
}

static void test_wakes(void **state)
{
    struct error error = {.text = ""};
    struct bench *b = start();

    assert_false(command(b, "system_wakeup", &error));
    assert_non_null(strstr(error.text, "not in suspended state"));
    assert_int_equal(b->wakes, 0);
    fall_asleep(b);
    assert_true(command(b, "system_wakeup", &error));
    assert_int_equal(b->wakes, 1);
    assert_true(says(b, "running", true));
    set_up_pm(b);
    assert_int_equal(in16(b, PM1_STS), WAK_STS);
    out16(b, PM1_STS, 0xffff);
    assert_int_equal(in16(b, PM1_STS), 0);
    assert_false(command(b, "system_wakeup", &error));
    bench_stop(b);
}

static void test_button(void **state)
{
    struct error error;
    struct bench *b = start();

    fall_asleep(b);
    assert_true(command(b, "system_powerdown", &error));
    assert_int_equal(b->wakes, 1);
    set_up_pm(b);
    assert_int_equal(in16(b, PM1_STS), WAK_STS | PWRBTN_STS);
    /* Now it is awake it is a button again. */
    out16(b, PM1_STS, 0xffff);
    assert_true(command(b, "system_powerdown", &error));
    assert_int_equal(in16(b, PM1_STS), PWRBTN_STS);
    assert_int_equal(b->wakes, 1);
    bench_stop(b);
}

static void test_key(void **state)
{
    struct bench *b = start();

    fall_asleep(b);
    input_key(b->m, KEY_A, false); /* let go */
    assert_int_equal(b->wakes, 0);
    input_key(b->m, KEY_A, true);
    assert_int_equal(b->wakes, 1);
    input_key(b->m, KEY_A, true);
    assert_int_equal(b->wakes, 1);
    bench_stop(b);
}

/* 22:13:25 by the clock, alarm at 22:13:30. */
static const uint8_t clock_bcd[RTC_REGISTERS] = {0x25, 0x30, 0x13,       0x13,
                                                 0x22, 0x22, [11] = 0x22};

static void test_alarm(void **state)
{
    struct bench *b = start();

    memcpy(b->rtc, clock_bcd, sizeof(b->rtc));
    out16(b, PM1_EN, RTC_STS);
    fall_asleep(b);
    step_clock(b, 4900000000);
    assert_int_equal(b->wakes, 0);
    step_clock(b, 200000000);
    assert_int_equal(b->wakes, 1);
    set_up_pm(b);
    assert_int_equal(in16(b, PM1_STS), WAK_STS | RTC_STS);
    /* Something else was first: the alarm does not come later. */
    out16(b, PM1_EN, RTC_STS);
    fall_asleep(b);
    input_key(b->m, KEY_A, true);
    step_clock(b, 10000000000);
    assert_int_equal(b->wakes, 2);
    /* It is not to wake the machine. */
    set_up_pm(b);
    fall_asleep(b);
    step_clock(b, 100000000000);
    assert_int_equal(b->sleeps, 3);
    assert_int_equal(b->wakes, 2);
    bench_stop(b);
}

static int seconds(uint8_t s, uint8_t m, uint8_t h, uint8_t as, uint8_t am, uint8_t ah,
                   uint8_t reg_b)
{
    const uint8_t rtc[RTC_REGISTERS] = {s, as, m, am, h, ah, [11] = reg_b};

    return sleep_seconds_to_alarm(rtc);
}

static void test_alarm_times(void **state)
{
    assert_int_equal(sleep_seconds_to_alarm(clock_bcd), 5);
    assert_int_equal(seconds(0x25, 0x13, 0x22, 0x30, 0x13, 0x22, 0x02), -1); /* off */
    assert_int_equal(seconds(25, 13, 22, 30, 13, 22, 0x26), 5);              /* binary */
    assert_int_equal(seconds(25, 13, 22, 25, 13, 22, 0x26), 86400);
    assert_int_equal(seconds(25, 13, 22, 24, 13, 22, 0x26), 86399);
    assert_int_equal(seconds(0x50, 0x59, 0x23, 0x05, 0x00, 0x00, 0x22), 15);
    assert_int_equal(seconds(25, 13, 22, 0xff, 0xc0, 0xfe, 0x26), 1); /* any time */
    assert_int_equal(seconds(25, 13, 22, 10, 0xff, 0xff, 0x26), 45);
    assert_int_equal(seconds(25, 13, 22, 0, 0, 0xff, 0x26), 46 * 60 + 35);
    /* 12 hours: 11:59:59 pm, alarm at 12:00:01 am. */
    assert_int_equal(seconds(0x59, 0x59, 0x91, 0x01, 0x00, 0x12, 0x20), 2);
    assert_int_equal(seconds(59, 59, 11 | 0x80, 1, 0, 12, 0x24), 2);
    /* Nonsense. */
    assert_int_equal(seconds(0x7f, 0x13, 0x22, 0x30, 0x13, 0x22, 0x22), -1);
    assert_int_equal(seconds(25, 13, 22, 99, 13, 22, 0x26), -1);
}

/* A text console has no driver that would set the mode again. */
static void test_screen(void **state)
{
    struct error error;
    struct bench *b = bench_start("-vga", "std");

    set_up_pm(b);
    out8(b, 0x3c2, 0x67);
    out8(b, 0x3d4, 0x0f);
    out8(b, 0x3d5, 0x5a);
    out16(b, 0x3c4, 0x0302); /* planes 0 and 1, odd and even, at 0xb8000 */
    out16(b, 0x3c4, 0x0204);
    out16(b, 0x3ce, 0x1005);
    out16(b, 0x3ce, 0x0e06);
    out16(b, 0x3ce, 0xff08);
    cpu_write(b, 0xb8000, 2, 0x0741);
    fall_asleep(b);
    assert_true(command(b, "system_wakeup", &error));
    out8(b, 0x3d4, 0x0f);
    assert_int_equal(in8(b, 0x3d5), 0x5a);
    assert_int_equal(cpu_read(b, 0xb8000, 2), 0x0741);
    bench_stop(b);
}

/* A guest that wants to sleep again and again; one that cannot; other types. */
static void test_hostile(void **state)
{
    struct error error;
    struct bench *b = start();

    for (unsigned i = 0; i < 100; i++) {
        out16(b, PM1_CNT, S3 | SLP_EN);
        out16(b, PM1_CNT, S3 | SLP_EN);
        turn(b);
        assert_int_equal(b->sleeps, i + 1);
        out16(b, PM1_CNT, S3 | SLP_EN); /* a vCPU that was in the middle of it */
        turn(b);
        assert_int_equal(b->sleeps, i + 1);
        assert_true(command(b, "system_wakeup", &error));
        set_up_pm(b);
    }
    b->refuses_sleep = true;
    fall_asleep(b);
    assert_true(says(b, "running", true));
    assert_int_equal(cmos(b, CMOS_SHUTDOWN), 0xfe); /* of the last time */
    assert_int_not_equal(in16(b, PM1_CNT), 0xffff);
    for (unsigned type = 2; type < 8; type++) {
        out16(b, PM1_CNT, (uint16_t)(type << 10 | SLP_EN));
        turn(b);
    }
    assert_int_equal(b->shutdowns + b->resets, 0);
    b->refuses_sleep = false;
    /* Asleep it can be reset and switched off. */
    fall_asleep(b);
    assert_true(command(b, "system_reset", &error));
    turn(b);
    assert_int_equal(b->resets, 1);
    bench_stop(b);
}

static void test_state(void **state)
{
    struct error error = {.text = ""};
    struct bench *b = start();

    fall_asleep(b);
    save_and_load(b);
    assert_int_equal(cmos(b, CMOS_SHUTDOWN), 0xfe);
    assert_true(command(b, "system_wakeup", &error));
    bench_stop(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleeps),  cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_button),  cmocka_unit_test(test_key),
        cmocka_unit_test(test_alarm),   cmocka_unit_test(test_alarm_times),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_screen),
        cmocka_unit_test(test_state),
    };

    return cmocka_run_group_tests_name("suspend to RAM", tests, NULL, NULL);
}
