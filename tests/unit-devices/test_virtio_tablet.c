/*
 * The virtio tablet: what it says of itself, and events in whole batches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include <linux/input-event-codes.h>
#include <string.h>

#define SLOT   4
#define EVENTS 0x300000u
#define CONFIG (DRIVER_MODERN + 0x2000)

static int setup(void **state)
{
    *state = bench_start("-device", "i8042", "-device", "virtio-tablet-pci,addr=4");
    return 0;
}

static int teardown(void **state)
{
    bench_stop(*state);
    return 0;
}

static unsigned select_config(struct bench *b, uint8_t select, uint8_t subselect)
{
    cpu_write(b, CONFIG, 1, select);
    cpu_write(b, CONFIG + 1, 1, subselect);
    return (unsigned)cpu_read(b, CONFIG + 2, 1);
}

static void test_config(void **state)
{
    struct bench *b = *state;
    struct driver d;
    char name[32] = "";

    driver_start(&d, b, SLOT, false, false, 0);
    assert_int_equal(config_read(b, SLOT, 0, 4), 0x10521af4);
    unsigned bytes = select_config(b, 1, 0);
    assert_true(bytes > 0 && bytes < sizeof(name));
    for (unsigned i = 0; i < bytes; i++)
        name[i] = (char)cpu_read(b, CONFIG + 8 + i, 1);
    assert_string_equal(name, "Corbel Virtio Tablet");
    assert_int_equal(select_config(b, 0x12, ABS_Y), 20);
    assert_int_equal(cpu_read(b, CONFIG + 12, 4), 0x7fff);
    assert_int_equal(select_config(b, 0x12, ABS_Z), 0);
    assert_int_equal(select_config(b, 0x11, EV_KEY), BTN_EXTRA / 8 + 1);
    assert_int_equal(cpu_read(b, CONFIG + 8 + BTN_LEFT / 8, 1), 0x1f);
    assert_int_equal(select_config(b, 0xff, 0xff), 0);
}

static void give(struct driver *d, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        driver_desc(d, 0, i, EVENTS + 8 * i, 8, D_WRITE, 0);
        driver_offer(d, 0, (uint16_t)i);
    }
}

static void expect(struct driver *d, uint16_t type, uint16_t code, uint32_t value)
{
    uint8_t event[8];
    int n = driver_used(d, 0, NULL);

    assert_true(n >= 0);
    mem_read(d->b, EVENTS + 8 * (unsigned)n, event, 8);
    assert_int_equal(load_le16(event), type);
    assert_int_equal(load_le16(event + 2), code);
    assert_int_equal(load_le32(event + 4), value);
}

static void test_events(void **state)
{
    struct bench *b = *state;
    struct driver d;

    assert_false(input_absolute_ready(b->m));
    driver_start(&d, b, SLOT, false, false, 0);
    driver_queue(&d, 0);
    driver_queue(&d, 1);
    driver_ok(&d);
    assert_true(input_absolute_ready(b->m));
    give(&d, 9);
    input_pointer_absolute(b->m, 100, 200, POINTER_LEFT, 0);
    expect(&d, EV_ABS, ABS_X, 100);
    expect(&d, EV_ABS, ABS_Y, 200);
    expect(&d, EV_KEY, BTN_LEFT, 1);
    expect(&d, EV_SYN, SYN_REPORT, 0);
    input_pointer_absolute(b->m, 100, 201, POINTER_LEFT, -1);
    expect(&d, EV_ABS, ABS_Y, 201);
    expect(&d, EV_REL, REL_WHEEL, UINT32_MAX);
    expect(&d, EV_SYN, SYN_REPORT, 0);
    /* Two buffers are left: a batch of three waits, whole. */
    input_pointer_absolute(b->m, 1, 201, 0, 0);
    input_pointer_absolute(b->m, 2, 201, 0, 0);
    assert_int_equal(driver_used(&d, 0, NULL), -1);
    give(&d, 8);
    expect(&d, EV_ABS, ABS_X, 2);
    expect(&d, EV_KEY, BTN_LEFT, 0);
    expect(&d, EV_SYN, SYN_REPORT, 0);
    assert_int_equal(driver_used(&d, 0, NULL), -1);
    save_and_load(b);
    input_pointer_absolute(b->m, 2, 202, 0, 0);
    expect(&d, EV_ABS, ABS_Y, 202);
    load_damaged(b, "virtio-tablet-pci");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
    };
    return cmocka_run_group_tests_name("virtio-tablet", tests, NULL, NULL);
}
