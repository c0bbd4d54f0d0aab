/*
 * Keyboard controller, keyboard in three code sets, mouse in three protocols.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#define DATA    0x60
#define COMMAND 0x64

static int setup(void **state)
{
    *state = bench_start("-device", "i8042");
    return 0;
}

static int teardown(void **state)
{
    bench_stop(*state);
    return 0;
}

/* Everything there is to read, as hexadecimal text; mouse bytes follow a '/'. */
static const char *drain(struct bench *b)
{
    static char text[1024];
    unsigned n = 0;

    text[0] = 0;
    for (unsigned i = 0; i < 150; i++) {
        uint8_t status = in8(b, COMMAND);
        if (!(status & 1))
            break;
        n += (unsigned)snprintf(text + n, sizeof(text) - n, "%s%s%02x", n ? " " : "",
                                status & 0x20 ? "/" : "", in8(b, DATA));
    }
    return text;
}

static void keyboard(struct bench *b, uint8_t byte)
{
    out8(b, DATA, byte);
}

static void mouse(struct bench *b, uint8_t byte)
{
    out8(b, COMMAND, 0xd4);
    out8(b, DATA, byte);
}

static void mode(struct bench *b, uint8_t byte)
{
    out8(b, COMMAND, 0x60);
    out8(b, DATA, byte);
}

static void test_controller(void **state)
{
    struct bench *b = *state;

    assert_int_equal(in8(b, COMMAND) & 1, 0);
    out8(b, COMMAND, 0xaa);
    assert_string_equal(drain(b), "55");
    out8(b, COMMAND, 0xab);
    assert_string_equal(drain(b), "00");
    out8(b, COMMAND, 0xa9);
    assert_string_equal(drain(b), "00");
    out8(b, COMMAND, 0xc0);
    assert_string_equal(drain(b), "80");
    mode(b, 0x47);
    out8(b, COMMAND, 0x20);
    assert_string_equal(drain(b), "47");
    out8(b, COMMAND, 0xa7);
    out8(b, COMMAND, 0x20);
    assert_string_equal(drain(b), "67");
    out8(b, COMMAND, 0xa8);
    out8(b, COMMAND, 0x7f);
    out8(b, DATA, 0x12);
    out8(b, COMMAND, 0x3f);
    assert_string_equal(drain(b), "12");
    out8(b, COMMAND, 0xd2);
    out8(b, DATA, 0x99);
    assert_string_equal(drain(b), "99");
    out8(b, COMMAND, 0xd3);
    out8(b, DATA, 0x98);
    assert_string_equal(drain(b), "/98");
}

static void test_a20_and_reset(void **state)
{
    struct bench *b = *state;

    out8(b, COMMAND, 0xdd);
    out8(b, COMMAND, 0xd0);
    assert_string_equal(drain(b), "cd");
    out8(b, COMMAND, 0xd1);
    out8(b, DATA, 0xdf);
    out8(b, COMMAND, 0xd0);
    assert_string_equal(drain(b), "cf");
    turn(b);
    assert_int_equal(b->resets, 0);
    out8(b, COMMAND, 0xfe);
    turn(b);
    assert_int_equal(b->resets, 1);
    out8(b, COMMAND, 0xff); /* pulses nothing */
    turn(b);
    assert_int_equal(b->resets, 1);
    out8(b, COMMAND, 0xd1);
    out8(b, DATA, 0x02);
    turn(b);
    assert_int_equal(b->resets, 2);
}

static void test_keyboard_commands(void **state)
{
    struct bench *b = *state;

    keyboard(b, 0xff);
    assert_string_equal(drain(b), "fa aa");
    keyboard(b, 0xf2);
    assert_string_equal(drain(b), "fa ab 83");
    mode(b, 0x41);
    keyboard(b, 0xf2);
    assert_string_equal(drain(b), "fa ab 41"); /* the controller translates this too */
    mode(b, 0x01);
    keyboard(b, 0xee);
    assert_string_equal(drain(b), "ee");
    keyboard(b, 0xed);
    keyboard(b, 0x07);
    assert_string_equal(drain(b), "fa fa");
    keyboard(b, 0xf0);
    keyboard(b, 0x00);
    assert_string_equal(drain(b), "fa fa 02");
    keyboard(b, 0xed);
    keyboard(b, 0xf4); /* a command instead of the lights */
    assert_string_equal(drain(b), "fa fa");
    keyboard(b, 0x05);
    assert_string_equal(drain(b), "fe");
}

static void press(struct bench *b, unsigned code)
{
    input_key(b->m, code, true);
    input_key(b->m, code, false);
}

static void test_code_sets(void **state)
{
    struct bench *b = *state;

    mode(b, 0x41);
    press(b, KEY_A);
    assert_string_equal(drain(b), "1e 9e");
    press(b, KEY_RIGHT);
    assert_string_equal(drain(b), "e0 4d e0 cd");
    press(b, KEY_F7); /* 0x83 in set 2 */
    assert_string_equal(drain(b), "41 c1");
    press(b, KEY_F12);
    assert_string_equal(drain(b), "58 d8");
    press(b, KEY_PAUSE);
    assert_string_equal(drain(b), "e1 1d 45 e1 9d c5");
    press(b, KEY_SYSRQ);
    assert_string_equal(drain(b), "e0 2a e0 37 e0 b7 e0 aa");
    mode(b, 0x01);
    press(b, KEY_A);
    assert_string_equal(drain(b), "1c f0 1c");
    press(b, KEY_KPENTER);
    assert_string_equal(drain(b), "e0 5a e0 f0 5a");
    keyboard(b, 0xf0);
    keyboard(b, 0x03);
    drain(b);
    press(b, KEY_RIGHTCTRL);
    assert_string_equal(drain(b), "58 f0 58");
    keyboard(b, 0xf0);
    keyboard(b, 0x01);
    drain(b);
    press(b, KEY_LEFTMETA);
    assert_string_equal(drain(b), "e0 5b e0 db");
    press(b, 700); /* no such key */
    assert_string_equal(drain(b), "");
}

/* Through translation, each key of the main block gives its Linux code, which is set 1.
 */
static void test_all_keys_translate(void **state)
{
    struct bench *b = *state;
    char text[16];

    mode(b, 0x41);
    for (unsigned code = KEY_ESC; code <= KEY_KPDOT; code++) {
        press(b, code);
        snprintf(text, sizeof(text), "%02x %02x", code, code | 0x80);
        assert_string_equal(drain(b), text);
    }
}

static void test_interrupts(void **state)
{
    struct bench *b = *state;

    mode(b, 0x43);
    input_key(b->m, KEY_A, true);
    assert_true(irq_level(b, 1));
    input_key(b->m, KEY_A, false);
    assert_int_equal(b->edges[1], 1);
    in8(b, DATA);
    assert_int_equal(b->edges[1], 2); /* the next byte is there, with its edge */
    in8(b, DATA);
    assert_false(irq_level(b, 1));
    mouse(b, 0xf4);
    assert_true(irq_level(b, 12));
    assert_false(irq_level(b, 1));
    assert_string_equal(drain(b), "/fa");
    mode(b, 0x00);
    input_key(b->m, KEY_A, true);
    assert_false(irq_level(b, 1));
    mode(b, 0x01);
    assert_true(irq_level(b, 1));
    drain(b);
    out8(b, COMMAND, 0xad);
    input_key(b->m, KEY_A, false);
    assert_string_equal(drain(b), "");
    out8(b, COMMAND, 0xae);
    assert_string_equal(drain(b), "f0 1c");
}

static void test_answer_overtakes_events(void **state)
{
    struct bench *b = *state;

    mode(b, 0x01);
    press(b, KEY_A);
    press(b, KEY_B);
    keyboard(b, 0xee);
    /* The first byte was already in the output buffer. */
    assert_string_equal(drain(b), "1c ee f0 1c 32 f0 32");
}

static void test_overrun(void **state)
{
    struct bench *b = *state;
    unsigned bytes = 0, overruns = 0;

    for (unsigned i = 0; i < 1000; i++)
        press(b, KEY_Z);
    while (in8(b, COMMAND) & 1) {
        overruns += in8(b, DATA) == 0x00;
        bytes++;
    }
    assert_int_equal(overruns, 1);
    assert_true(bytes < 200);
    press(b, KEY_Z);
    assert_string_equal(drain(b), "1a f0 1a");
}

static void test_mouse_plain(void **state)
{
    struct bench *b = *state;

    mode(b, 0x02);
    mouse(b, 0xff);
    assert_string_equal(drain(b), "/fa /aa /00");
    input_pointer_relative(b->m, 5, 5, 0, 0);
    assert_string_equal(drain(b), "");
    mouse(b, 0xf4);
    assert_string_equal(drain(b), "/fa");
    input_pointer_relative(b->m, 3, 4, POINTER_LEFT, 0);
    assert_string_equal(drain(b), "/29 /03 /fc"); /* y grows upwards */
    input_pointer_relative(b->m, -300, 0, 0, 0);
    assert_string_equal(drain(b), "/18 /01 /00 /18 /d3 /00");
    mouse(b, 0xe9);
    assert_string_equal(drain(b), "/fa /20 /02 /64");
    mouse(b, 0xf2);
    assert_string_equal(drain(b), "/fa /00");
}

static void rate(struct bench *b, uint8_t value)
{
    mouse(b, 0xf3);
    mouse(b, value);
}

static void test_mouse_wheels(void **state)
{
    struct bench *b = *state;

    mode(b, 0x02);
    rate(b, 200);
    rate(b, 100);
    rate(b, 80);
    mouse(b, 0xf2);
    assert_string_equal(drain(b), "/fa /fa /fa /fa /fa /fa /fa /03");
    mouse(b, 0xf4);
    drain(b);
    input_pointer_relative(b->m, 0, 0, 0, 1);
    assert_string_equal(drain(b), "/08 /00 /00 /ff");
    rate(b, 200);
    rate(b, 200);
    rate(b, 80);
    mouse(b, 0xf2);
    assert_string_equal(drain(b), "/fa /fa /fa /fa /fa /fa /fa /04");
    input_pointer_relative(b->m, 0, 0, POINTER_SIDE | POINTER_RIGHT, -1);
    assert_string_equal(drain(b), "/0a /00 /00 /11");
    input_pointer_relative(b->m, 0, 0, 0, 0);
    assert_string_equal(drain(b), "/08 /00 /00 /00");
}

static void test_clicks_are_not_lost(void **state)
{
    struct bench *b = *state;

    mouse(b, 0xf4);
    drain(b);
    for (int i = 0; i < 2; i++) {
        input_pointer_relative(b->m, 0, 0, POINTER_LEFT, 0);
        input_pointer_relative(b->m, 0, 0, 0, 0);
    }
    assert_string_equal(drain(b), "/09 /00 /00 /08 /00 /00 /09 /00 /00 /08 /00 /00");
}

static void test_mouse_remote_and_wrap(void **state)
{
    struct bench *b = *state;

    mouse(b, 0xf0);
    drain(b);
    input_pointer_relative(b->m, 7, 0, 0, 0);
    assert_string_equal(drain(b), "");
    mouse(b, 0xeb);
    assert_string_equal(drain(b), "/fa /08 /07 /00");
    mouse(b, 0xee);
    drain(b);
    mouse(b, 0x55);
    assert_string_equal(drain(b), "/55");
    mouse(b, 0xec);
    assert_string_equal(drain(b), "/fa");
    mouse(b, 0x55);
    assert_string_equal(drain(b), "/fe");
}

static void test_state(void **state)
{
    struct bench *b = *state;

    mode(b, 0x43);
    rate(b, 200);
    rate(b, 100);
    rate(b, 80);
    mouse(b, 0xf4);
    drain(b);
    press(b, KEY_Q);
    input_pointer_relative(b->m, 1, 0, 0, 0);
    save_and_load(b);
    assert_true(irq_level(b, 1));
    assert_string_equal(drain(b), "10 90 /08 /01 /00 /00");
    out8(b, COMMAND, 0x20);
    assert_string_equal(drain(b), "43");
    load_damaged(b, "i8042");
    drain(b);
}

/* Any sequence of port writes leaves a controller that still passes its self test. */
static void test_nonsense(void **state)
{
    struct bench *b = *state;
    uint32_t seed = 1;

    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        uint8_t value = (uint8_t)(seed >> 24);
        if (seed >> 16 & 4)
            input_pointer_relative(b->m, (int)seed, (int)(seed * 3), value, (int)seed);
        else if (seed >> 16 & 8)
            press(b, value);
        if (seed >> 16 & 16)
            in8(b, DATA);
        out8(b, seed >> 16 & 1 ? DATA : COMMAND, value);
    }
    out8(b, COMMAND, 0xaa);
    assert_int_equal(in8(b, DATA), 0x55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_controller, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a20_and_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keyboard_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_keys_translate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_overtakes_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overrun, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mouse_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mouse_wheels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clicks_are_not_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mouse_remote_and_wrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
    };
    return cmocka_run_group_tests_name("i8042", tests, NULL, NULL);
}
