/*
 * 16550A: registers, FIFOs, the order and the life of interrupts, loopback, back
 * pressure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include <string.h>

#define COM1 0x3f8
#define IRQ  4

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static int setup(void **state)
{
    *state = bench_start("-chardev", "test,id=c", "-device", "isa-serial,chardev=c");
    return 0;
}

static int teardown(void **state)
{
    bench_stop(*state);
    return 0;
}

static uint8_t reg(struct bench *b, unsigned n)
{
    return in8(b, (uint16_t)(COM1 + n));
}

static void set(struct bench *b, unsigned n, uint8_t value)
{
    out8(b, (uint16_t)(COM1 + n), value);
}

static void test_presence(void **state)
{
    struct bench *b = *state;

    set(b, SCR, 0x5a);
    assert_int_equal(reg(b, SCR), 0x5a);
    assert_int_equal(reg(b, LSR), 0x60);
    assert_int_equal(reg(b, IIR), 0x01);
    set(b, IIR, 0xc1);
    assert_int_equal(reg(b, IIR), 0xc1);
    set(b, IIR, 0);
    assert_int_equal(reg(b, IIR), 0x01);
    set(b, LCR, 0x80);
    set(b, DATA, 0x34);
    set(b, IER, 0x12);
    assert_int_equal(reg(b, DATA), 0x34);
    assert_int_equal(reg(b, IER), 0x12);
    set(b, LCR, 0x03);
    assert_int_equal(reg(b, IER), 0x00);
    assert_int_equal(reg(b, MSR) & 0xf0, 0xb0);
}

static void test_output(void **state)
{
    struct bench *b = *state;
    struct test_char *t = test_char(b, "c");

    for (const char *p = "hello"; *p; p++)
        set(b, DATA, (uint8_t)*p);
    assert_int_equal(t->out_bytes, 5);
    assert_memory_equal(t->out, "hello", 5);
}

static void test_transmitter_interrupt(void **state)
{
    struct bench *b = *state;

    /* Enabled while empty: at once. */
    set(b, IER, 0x02);
    assert_true(irq_level(b, IRQ));
    assert_int_equal(reg(b, IIR), 0x02);
    /* Reading it was the acknowledgement. */
    assert_false(irq_level(b, IRQ));
    assert_int_equal(reg(b, IIR), 0x01);
    unsigned edges = b->edges[IRQ];
    set(b, DATA, 'x');
    assert_int_equal(b->edges[IRQ], edges + 1);
    set(b, DATA, 'y');
    assert_int_equal(b->edges[IRQ], edges + 2); /* each byte gives an edge of its own */
    assert_int_equal(reg(b, IIR), 0x02);
    /* Off and on again asks again. */
    set(b, IER, 0x00);
    set(b, IER, 0x02);
    assert_true(irq_level(b, IRQ));
}

static void test_iir_keeps_hidden_thre(void **state)
{
    struct bench *b = *state;

    set(b, IER, 0x03);
    test_char_input(b, "c", "a", 1);
    /* Received data comes first, and reading IIR must not lose the other one. */
    assert_int_equal(reg(b, IIR), 0x04);
    assert_int_equal(reg(b, IIR), 0x04);
    assert_int_equal(reg(b, DATA), 'a');
    assert_int_equal(reg(b, IIR), 0x02);
    assert_int_equal(reg(b, IIR), 0x01);
}

static void test_receive_fifo(void **state)
{
    struct bench *b = *state;

    set(b, LCR, 0x03);
    set(b, IIR, 0x81); /* trigger level 8 */
    set(b, IER, 0x01);
    test_char_input(b, "c", "1234567", 7);
    assert_false(irq_level(b, IRQ));
    assert_int_equal(reg(b, LSR) & 1, 1);
    test_char_input(b, "c", "8", 1);
    assert_true(irq_level(b, IRQ));
    assert_int_equal(reg(b, IIR), 0xc4);
    assert_int_equal(reg(b, DATA), '1');
    assert_false(irq_level(b, IRQ));
    /* Four characters of 10 bits at 9600 baud later, the rest asks to be read. */
    step_clock(b, 3000000);
    assert_false(irq_level(b, IRQ));
    step_clock(b, 2000000);
    assert_true(irq_level(b, IRQ));
    assert_int_equal(reg(b, IIR), 0xcc);
    for (char c = '2'; c <= '8'; c++)
        assert_int_equal(reg(b, DATA), c);
    assert_false(irq_level(b, IRQ));
    assert_int_equal(reg(b, LSR), 0x60);
}

static void test_receiver_is_bounded(void **state)
{
    struct bench *b = *state;

    set(b, IIR, 0x01);
    test_char_input(b, "c", "0123456789abcdefXYZ", 19);
    for (const char *p = "0123456789abcdef"; *p; p++)
        assert_int_equal(reg(b, DATA), *p);
    assert_int_equal(reg(b, LSR) & 0x03, 0);
}

static void test_loopback(void **state)
{
    struct bench *b = *state;

    set(b, MCR, 0x1f);
    assert_int_equal(reg(b, MSR) & 0xf0, 0xf0);
    set(b, MCR, 0x10);
    assert_int_equal(reg(b, MSR), 0x0f); /* all lines fell, all changes shown once */
    assert_int_equal(reg(b, MSR), 0x00);
    set(b, IIR, 0x01);
    for (int i = 0; i < 17; i++)
        set(b, DATA, (uint8_t)('A' + i));
    assert_int_equal(test_char(b, "c")->out_bytes, 0);
    assert_int_equal(reg(b, LSR), 0x63); /* the 17th overran */
    assert_int_equal(reg(b, LSR), 0x61);
    for (int i = 0; i < 16; i++)
        assert_int_equal(reg(b, DATA), 'A' + i);
    set(b, LCR, 0x40); /* break */
    assert_int_equal(reg(b, LSR) & 0x19, 0x19);
}

static void test_out2_gates_the_line(void **state)
{
    struct bench *b = *state;

    set(b, MCR, 0x03);
    set(b, IER, 0x02);
    assert_false(irq_level(b, IRQ));
    set(b, MCR, 0x0b);
    assert_true(irq_level(b, IRQ));
}

static void test_back_pressure(void **state)
{
    struct bench *b = *state;
    struct test_char *t = test_char(b, "c");

    test_char_room(b, "c", 0);
    set(b, IIR, 0x01);
    set(b, IER, 0x02);
    reg(b, IIR);
    for (int i = 0; i < 5; i++)
        set(b, DATA, (uint8_t)('a' + i));
    assert_int_equal(reg(b, LSR) & 0x60, 0);
    assert_false(irq_level(b, IRQ));
    test_char_room(b, "c", 2);
    assert_int_equal(reg(b, LSR) & 0x60, 0);
    test_char_room(b, "c", 100);
    assert_int_equal(reg(b, LSR) & 0x60, 0x60);
    assert_true(irq_level(b, IRQ));
    assert_int_equal(t->out_bytes, 5);
    assert_memory_equal(t->out, "abcde", 5);
}

static void test_state(void **state)
{
    struct bench *b = *state;

    set(b, LCR, 0x1b);
    set(b, IIR, 0xc1);
    set(b, IER, 0x05);
    set(b, SCR, 0x77);
    test_char_input(b, "c", "state", 5);
    save_and_load(b);
    assert_int_equal(reg(b, LCR), 0x1b);
    assert_int_equal(reg(b, IER), 0x05);
    assert_int_equal(reg(b, SCR), 0x77);
    step_clock(b, 10000000);
    assert_int_equal(reg(b, IIR), 0xcc);
    for (const char *p = "state"; *p; p++)
        assert_int_equal(reg(b, DATA), *p);
    load_damaged(b, "isa-serial");
}

static void test_bad_options(void **state)
{
    bench_refused("index 4", "-device", "isa-serial,index=4");
    bench_refused("in use", "-device", "isa-serial", "-device", "isa-serial");
    bench_refused("another device", "-chardev", "test,id=c", "-device",
                  "isa-serial,chardev=c", "-device", "isa-serial,index=1,chardev=c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_presence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transmitter_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_iir_keeps_hidden_thre, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receive_fifo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receiver_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out2_gates_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
