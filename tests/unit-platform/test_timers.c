/* PIT, RTC, HPET and PM timer: Intel 8254, Motorola MC146818A, IA-PC HPET 1.0a, ACPI.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"

static struct domain *d;
static struct vcpu *v;

static int setup(void **state)
{
    d = guest_create(1, GUEST_HVM);
    v = d->vcpus[0];
    apic_enable(v);
    ioapic_write_pin(v, 2, 0x30);
    ioapic_write_pin(v, 8, 0x38);
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    return 0;
}

/* Interrupts `vector` taken within `ns`, looking each `step`. */
static unsigned int count_irqs(int vector, ns_t ns, ns_t step)
{
    unsigned int n = 0;

    for (; ns > 0; ns -= step) {
        pass(step);
        while (take_interrupt(v) == vector) {
            n++;
            apic_write(v, APIC_EOI, 0);
        }
    }
    return n;
}

static ns_t pit_ns(uint64_t ticks)
{
    return (ticks * NS_PER_S + PIT_HZ - 1) / PIT_HZ;
}

static void pit_load(unsigned int n, unsigned int mode, uint16_t count)
{
    out8(v, 0x43, n << 6 | 0x30 | mode << 1);
    out8(v, 0x40 + n, count);
    out8(v, 0x40 + n, count >> 8);
}

static uint16_t pit_read(unsigned int n)
{
    uint16_t low;

    out8(v, 0x43, n << 6); /* latch */
    low = in8(v, 0x40 + n);
    return low | in8(v, 0x40 + n) << 8;
}

static uint8_t pit_status(unsigned int n)
{
    out8(v, 0x43, 0xe0 | 2u << n);
    return in8(v, 0x40 + n);
}

static void test_pit_mode0(void **state)
{
    pit_load(0, 0, 1000);
    assert_int_equal(pit_status(0), 0x30);
    pass(pit_ns(400));
    assert_int_equal(pit_read(0), 600);
    pass(pit_ns(1000) - pit_ns(400) - 1);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(take_interrupt(v), 0x30);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(pit_status(0), 0xb0); /* OUT stays high */
    pass(pit_ns(1010) - pit_ns(1000));
    assert_int_equal(pit_read(0), 0xfff6); /* and the counter goes on */
    assert_int_equal(count_irqs(0x30, NS_PER_S, NS_PER_MS), 0);
    /* The first byte of a new count stops it. */
    pit_load(0, 0, 1000);
    out8(v, 0x40, 0x10);
    assert_int_equal(count_irqs(0x30, NS_PER_S, NS_PER_MS), 0);
    out8(v, 0x40, 0x10);
    assert_int_equal(count_irqs(0x30, NS_PER_S, NS_PER_MS), 1);
}

static void test_pit_mode2(void **state)
{
    pit_load(0, 2, 11932); /* 100 Hz */
    assert_int_equal(pit_status(0), 0xb4);
    pass(pit_ns(1932));
    assert_int_equal(pit_read(0), 10000);
    assert_in_range(count_irqs(0x30, NS_PER_S, NS_PER_MS), 99, 101);
    pit_load(0, 2, 0); /* 65536: 18.2 Hz */
    assert_in_range(count_irqs(0x30, 10 * NS_PER_S, NS_PER_MS), 181, 183);
}

static void test_pit_mode3(void **state)
{
    pit_load(0, 3, 1000);
    assert_int_equal(pit_status(0), 0xb6);
    pass(pit_ns(100));
    assert_int_equal(pit_read(0), 800); /* by twos */
    pass(pit_ns(600) - pit_ns(100));
    assert_int_equal(pit_status(0), 0x36); /* low in the second half */
    assert_int_equal(pit_read(0), 800);
    pass(pit_ns(1000) - pit_ns(600));
    assert_int_equal(pit_status(0), 0xb6);
    assert_int_equal(take_interrupt(v), 0x30);
}

static void test_pit_new_count_waits(void **state)
{
    pit_load(0, 2, 10000);
    pass(pit_ns(5000));
    out8(v, 0x40, 2000 & 0xff);
    out8(v, 0x40, 2000 >> 8);
    assert_int_equal(pit_status(0), 0xf4); /* null count */
    assert_int_equal(pit_read(0), 5000);
    pass(pit_ns(10000) - pit_ns(5000));
    assert_int_equal(take_interrupt(v), 0x30);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(pit_status(0), 0xb4);
    assert_in_range(pit_read(0), 1999, 2000);
    assert_int_equal(count_irqs(0x30, pit_ns(20000) + 50, pit_ns(200)), 10);
}

static void test_pit_missed_ticks(void **state)
{
    unsigned int n;

    pit_load(0, 2, 11932); /* 10 ms */
    pass(105 * NS_PER_MS); /* ten go by, one of them is pending */
    n = count_irqs(0x30, 200 * NS_PER_MS, NS_PER_MS);
    assert_in_range(n, 29, 30);
    assert_int_equal(count_irqs(0x30, 100 * NS_PER_MS, NS_PER_MS), 10);
    /* The processor was away for most of the time in which a guest wants to see five. */
    pit_load(0, 2, 4772); /* 4 ms */
    while (take_interrupt(v) == 0x30)
        apic_write(v, APIC_EOI, 0);
    pass(58 * NS_PER_MS);
    assert_in_range(count_irqs(0x30, 2 * NS_PER_MS, 50 * NS_PER_US), 14, 15);
    /* Away for all of it, and the handler takes half a millisecond: all the same. */
    pass(60 * NS_PER_MS);
    for (n = 0; take_interrupt(v) == 0x30; n++) {
        pass(500 * NS_PER_US);
        apic_write(v, APIC_EOI, 0);
    }
    assert_in_range(n, 15, 18);
    pit_load(0, 2, 11932);
    d->hvm->params[HVM_PARAM_TIMER_MODE] = HVMPTM_one_missed_tick_pending;
    pass(105 * NS_PER_MS);
    assert_in_range(count_irqs(0x30, 100 * NS_PER_MS, NS_PER_MS), 10, 12);
    /* A quarter of an hour of them does not come as a storm. */
    d->hvm->params[HVM_PARAM_TIMER_MODE] = 0;
    pass(900 * NS_PER_S);
    assert_in_range(count_irqs(0x30, 10 * NS_PER_S, NS_PER_MS), 1100, 1205);
}

static void test_pit_latches(void **state)
{
    uint8_t low;

    pit_load(0, 2, 0x1234);
    out8(v, 0x43, 0x00);
    pass(pit_ns(100));
    out8(v, 0x43, 0x00); /* ignored: latched already */
    low = in8(v, 0x40);
    assert_int_equal(low | in8(v, 0x40) << 8, 0x1234);
    /* Read-back of status and count: status comes first. */
    out8(v, 0x43, 0xc2);
    assert_int_equal(in8(v, 0x40), 0xb4);
    low = in8(v, 0x40);
    assert_int_equal(low | in8(v, 0x40) << 8, 0x1234 - 100);
    /* High byte only */
    out8(v, 0x43, 0x24);
    out8(v, 0x40, 0x20);
    assert_int_equal(in8(v, 0x40), 0x20);
    /* BCD: 9999 downwards from 0 = 10000 */
    out8(v, 0x43, 0x31);
    out8(v, 0x40, 0);
    out8(v, 0x40, 0);
    pass(pit_ns(1));
    assert_int_equal(pit_read(0), 0x9999);
    assert_int_equal(in8(v, 0x43), 0xff);
}

static void test_pit_gate(void **state)
{
    out8(v, 0x61, 0);
    pit_load(2, 0, 1000); /* gate low: does not count */
    pass(pit_ns(5000));
    assert_int_equal(pit_read(2), 1000);
    out8(v, 0x61, 1);
    assert_int_equal(in8(v, 0x61) & 0x2f, 0x01);
    pass(pit_ns(600));
    out8(v, 0x61, 0);
    pass(pit_ns(5000));
    assert_int_equal(pit_read(2), 400);
    out8(v, 0x61, 3);
    pass(pit_ns(400) + 1);
    assert_int_equal(in8(v, 0x61) & 0x2f, 0x23); /* OUT */
    /* Mode 1: each rising edge starts a pulse. */
    pit_load(2, 1, 1000);
    pass(pit_ns(2000));
    assert_int_equal(in8(v, 0x61) & 0x20, 0x20);
    out8(v, 0x61, 0);
    out8(v, 0x61, 1);
    assert_int_equal(in8(v, 0x61) & 0x20, 0);
    pass(pit_ns(999));
    assert_int_equal(in8(v, 0x61) & 0x20, 0);
    pass(pit_ns(2));
    assert_int_equal(in8(v, 0x61) & 0x20, 0x20);
    /* Modes 2, 3: a low gate forces OUT high, a rising one starts over. */
    pit_load(2, 3, 1000);
    pass(pit_ns(600));
    assert_int_equal(in8(v, 0x61) & 0x20, 0);
    out8(v, 0x61, 0);
    assert_int_equal(in8(v, 0x61) & 0x20, 0x20);
    out8(v, 0x61, 1);
    assert_int_equal(pit_read(2), 1000);
}

static void test_pit_refresh_bit(void **state)
{
    uint8_t first = in8(v, 0x61) & 0x10;

    pass(15085);
    assert_int_equal(in8(v, 0x61) & 0x10, first ^ 0x10);
}

/*
 * RTC
 */
static uint8_t rtc(unsigned int reg)
{
    assert_false(platform_port_write(v, 0x70, 1, reg)); /* the device model sees it too */
    return in8(v, 0x71);
}

static void rtc_set(unsigned int reg, uint8_t val)
{
    assert_false(platform_port_write(v, 0x70, 1, reg));
    out8(v, 0x71, val);
}

static void test_rtc_time(void **state)
{
    /* wallclock_boot_s + 5: 2023-11-14 22:13:25, Tuesday */
    assert_int_equal(rtc(0), 0x25);
    assert_int_equal(rtc(2), 0x13);
    assert_int_equal(rtc(4), 0x22);
    assert_int_equal(rtc(6), 3);
    assert_int_equal(rtc(7), 0x14);
    assert_int_equal(rtc(8), 0x11);
    assert_int_equal(rtc(9), 0x23);
    assert_int_equal(rtc(13), 0x80);
    rtc_set(11, 0x04); /* binary, 12 hours */
    assert_int_equal(rtc(0), 25);
    assert_int_equal(rtc(4), 0x80 | 10);
    rtc_set(11, 0x00); /* BCD, 12 hours */
    assert_int_equal(rtc(4), 0x90);
    d->time_offset_s = 3600 * 2;
    assert_int_equal(rtc(4), 0x12); /* 00:13, the next day */
    assert_int_equal(rtc(7), 0x15);
}

static void test_rtc_set(void **state)
{
    rtc_set(11, 0x82); /* SET */
    rtc_set(0, 0x58);
    rtc_set(2, 0x59);
    rtc_set(4, 0x23);
    rtc_set(7, 0x28);
    rtc_set(8, 0x02);
    rtc_set(9, 0x24); /* a leap year */
    pass(10 * NS_PER_S);
    assert_int_equal(rtc(0), 0x58); /* stopped */
    rtc_set(11, 0x02);
    pass(2 * NS_PER_S);
    assert_int_equal(rtc(0), 0x00);
    assert_int_equal(rtc(4), 0x00);
    assert_int_equal(rtc(7), 0x29);
    assert_int_equal(rtc(8), 0x02);
    assert_int_equal(rtc(6), 5); /* Thursday */
    pass(86400 * NS_PER_S);
    assert_int_equal(rtc(7), 0x01);
    assert_int_equal(rtc(8), 0x03);
    /* Without SET a register can be written too. */
    rtc_set(2, 0x30);
    assert_int_equal(rtc(2), 0x30);
    /* Nonsense is brought into range, not believed. */
    rtc_set(11, 0x82);
    rtc_set(8, 0xff);
    rtc_set(7, 0x00);
    rtc_set(0, 0xff);
    rtc_set(11, 0x02);
    assert_int_equal(rtc(8), 0x12);
    assert_int_equal(rtc(7), 0x01);
}

static void test_rtc_uip(void **state)
{
    /* fake_now is at a whole second. */
    assert_int_equal(rtc(10), 0x26);
    pass(NS_PER_S - 2228 * NS_PER_US - 1);
    assert_int_equal(rtc(10), 0x26);
    pass(1);
    assert_int_equal(rtc(10), 0xa6);
    pass(2228 * NS_PER_US);
    assert_int_equal(rtc(10), 0x26);
}

static void test_rtc_periodic(void **state)
{
    unsigned int n = 0;

    rtc_set(10, 0x26); /* 1024 Hz */
    rtc_set(11, 0x42);
    for (int i = 0; i < 2000; i++) {
        pass(NS_PER_MS / 2);
        if (take_interrupt(v) == 0x38) {
            assert_int_equal(rtc(12) & 0xe0, 0xc0);
            apic_write(v, APIC_EOI, 0);
            n++;
        }
    }
    assert_in_range(n, 1022, 1025);
    /* Register C not read: no more edges. */
    pass(NS_PER_MS);
    assert_int_equal(take_interrupt(v), 0x38);
    apic_write(v, APIC_EOI, 0);
    pass(10 * NS_PER_MS);
    assert_int_equal(take_interrupt(v), -1);
    /* Read at last: what was missed follows. */
    n = 0;
    for (int i = 0; i < 250; i++) {
        (void)rtc(12);
        pass(100 * NS_PER_US);
        if (take_interrupt(v) == 0x38) {
            apic_write(v, APIC_EOI, 0);
            n++;
        }
    }
    assert_in_range(n, 34, 38); /* 25.6 and 11 */
    rtc_set(11, 0x02);
    (void)rtc(12);
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(rtc(12), 0x50); /* flags all the same */
    assert_int_equal(rtc(12), 0);
}

/* The battery: what wakes a guest from S3 goes on, what would only disturb it stops. */
static void test_rtc_reset(void **state)
{
    rtc_set(1, 0x27); /* alarm at 22:13:27, in two seconds */
    rtc_set(3, 0x13);
    rtc_set(5, 0x22);
    rtc_set(11, 0x72); /* PIE, AIE, UIE */
    platform_domain_reset(d);
    apic_enable(v);
    ioapic_write_pin(v, 8, 0x38);
    assert_int_equal(rtc(11), 0x22);
    assert_int_equal(rtc(0), 0x25);
    assert_int_equal(rtc(1), 0x27);
    pass(NS_PER_S + NS_PER_S / 2);
    assert_int_equal(take_interrupt(v), -1);
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), 0x38);
    assert_int_equal(rtc(12) & 0xa0, 0xa0);
}

static void test_rtc_update_and_alarm(void **state)
{
    rtc_set(11, 0x12); /* UIE */
    pass(NS_PER_S - 1);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(take_interrupt(v), 0x38);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(rtc(12) & 0x90, 0x90);
    rtc_set(1, 0x30); /* alarm at xx:xx:30, now it is :26 */
    rtc_set(3, 0xff);
    rtc_set(5, 0xff);
    rtc_set(11, 0x22);
    pass(4 * NS_PER_S - 1);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(take_interrupt(v), 0x38);
    assert_int_equal(rtc(12) & 0xa0, 0xa0);
    apic_write(v, APIC_EOI, 0);
    pass(59 * NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), 0x38);
    /* Polled, hours later. */
    rtc_set(11, 0x02);
    (void)rtc(12);
    rtc_set(5, 0x03);
    rtc_set(3, 0x00);
    rtc_set(1, 0x00);
    pass(4 * 3600 * NS_PER_S);
    assert_int_equal(rtc(12) & 0x30, 0x10);
    pass(3600 * NS_PER_S);
    assert_int_equal(rtc(12) & 0x30, 0x30);
}

static void test_rtc_other_cmos(void **state)
{
    uint32_t val;

    assert_false(platform_port_write(v, 0x70, 1, 0x0e));
    assert_false(platform_port_write(v, 0x71, 1, 0));
    assert_false(platform_port_read(v, 0x71, 1, &val));
    assert_false(platform_port_read(v, 0x70, 1, &val));
    assert_false(platform_port_write(v, 0x70, 1, 0x8b)); /* NMI mask bit */
    assert_true(platform_port_read(v, 0x71, 1, &val));
    assert_int_equal(val, 0x02);
    assert_false(platform_port_write(v, 0x70, 2, 0x300b)); /* word: index and data */
    assert_int_equal(rtc(11), 0x30);
}

/*
 * HPET
 */
static uint64_t hpet(unsigned int reg)
{
    return mmio_read(v, HPET_BASE + reg, 8);
}

static void hpet_set(unsigned int reg, uint64_t val)
{
    mmio_write(v, HPET_BASE + reg, 8, val);
}

static void test_hpet_counter(void **state)
{
    assert_int_equal(hpet(0), 0xf424008086a201ull);
    assert_int_equal(mmio_read(v, HPET_BASE + 4, 4), 16000000);
    assert_int_equal(hpet(0xf0), 0);
    pass(NS_PER_MS);
    assert_int_equal(hpet(0xf0), 0);
    hpet_set(0x10, 1);
    pass(NS_PER_MS);
    assert_int_equal(hpet(0xf0), 62500);
    hpet_set(0xf0, 5); /* not while it runs */
    assert_int_equal(hpet(0xf0), 62500);
    hpet_set(0x10, 0);
    pass(NS_PER_MS);
    assert_int_equal(hpet(0xf0), 62500);
    mmio_write(v, HPET_BASE + 0xf4, 4, 1);
    assert_int_equal(hpet(0xf0), 1ull << 32 | 62500);
    d->hvm->params[HVM_PARAM_HPET_ENABLED] = 0;
    assert_null(platform_mmio_find(v, HPET_BASE));
}

static void test_hpet_one_shot(void **state)
{
    ioapic_write_pin(v, 21, 0x65);
    hpet_set(0x10, 1);
    hpet_set(0x120, 21 << 9 | 4);
    hpet_set(0x128, hpet(0xf0) + 1000);
    pass(15999);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(take_interrupt(v), 0x65);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(count_irqs(0x65, NS_PER_S, NS_PER_MS), 0);
    hpet_set(0x120, 3 << 9 | 4); /* a route it does not have */
    hpet_set(0x128, hpet(0xf0) + 1000);
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_hpet_level(void **state)
{
    ioapic_write_pin(v, 22, 0x8000 | 0x66);
    hpet_set(0x10, 1);
    hpet_set(0x140, 22 << 9 | 6);
    hpet_set(0x148, hpet(0xf0) + 1000);
    pass(16000);
    assert_int_equal(hpet(0x20), 4);
    assert_int_equal(take_interrupt(v), 0x66);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), 0x66); /* until the status bit is cleared */
    hpet_set(0x20, 4);
    assert_int_equal(hpet(0x20), 0);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
    hpet_set(0x148, hpet(0xf0) + 1000);
    pass(16000);
    assert_true(platform_gsi_level(d, 22));
    hpet_set(0x10, 0); /* off: lets go */
    assert_false(platform_gsi_level(d, 22));
}

/* As Linux programs it: legacy replacement, periodic, comparator then period. */
static void test_hpet_legacy_periodic(void **state)
{
    const uint64_t ticks = 625000; /* 10 ms */

    pit_load(0, 2, 11932);
    hpet_set(0x100, 0x4c);
    hpet_set(0x108, ticks);
    hpet_set(0x108, ticks);
    hpet_set(0x10, 3);
    assert_int_equal(count_irqs(0x30, NS_PER_S, NS_PER_MS), 100);
    assert_int_equal(hpet(0x100) & 0x40, 0);
    assert_int_equal(hpet(0x108), 101 * ticks); /* the next match */
    pass(105 * NS_PER_MS);
    assert_in_range(count_irqs(0x30, 200 * NS_PER_MS, NS_PER_MS), 29, 30);
    hpet_set(0x10, 1);
    hpet_set(0x100, 0);
    assert_in_range(count_irqs(0x30, NS_PER_S, NS_PER_MS), 99, 101); /* the PIT's */
}

static void test_hpet_32bit(void **state)
{
    ioapic_write_pin(v, 20, 0x64);
    hpet_set(0xf0, 0xffffff00);
    hpet_set(0x10, 1);
    hpet_set(0x100, 20 << 9 | 0x104);
    hpet_set(0x108, 0x1000000010ull); /* 32 bits of it */
    assert_int_equal(hpet(0x108), 0x10);
    pass(0x10f * 16);
    assert_int_equal(take_interrupt(v), -1);
    pass(16);
    assert_int_equal(take_interrupt(v), 0x64);
}

static void test_hpet_nonsense(void **state)
{
    ioapic_write_pin(v, 20, 0x64);
    hpet_set(0x10, 1);
    hpet_set(0x100, 20 << 9 | 0x4c);
    hpet_set(0x108, 1); /* a period of 16 ns */
    pass(10 * NS_PER_MS);
    hpet_set(0x108, ~0ull);
    pass(NS_PER_S);
    hpet_set(0x100, ~0ull);
    hpet_set(0x108, 0);
    hpet_set(0x10, ~0ull);
    pass(NS_PER_S);
    assert_int_equal(hpet(0x10), 3);
    assert_int_equal(hpet(0x3f8), 0);
    hpet_set(0x3f8, 1);
    (void)mmio_read(v, HPET_BASE + 0x105, 1);
    mmio_write(v, HPET_BASE + 0x10b, 1, 0xff);
}

/*
 * PM timer
 */
static void test_pm_timer(void **state)
{
    uint32_t a, b, val;

    assert_true(platform_port_read(v, 0x1f48, 4, &a));
    pass(NS_PER_S);
    assert_true(platform_port_read(v, 0x1f48, 4, &b));
    assert_int_equal(b - a, PM_TIMER_HZ);
    assert_true(platform_port_read(v, 0x1f49, 1, &val));
    assert_int_equal(val, b >> 8 & 0xff);
    assert_true(platform_port_read(v, 0x1f4a, 2, &val));
    assert_int_equal(val, b >> 16);
    assert_true(platform_port_write(v, 0x1f48, 4, 0));
    assert_int_equal(platform_set_acpi_location(d, 2), 0);
    assert_false(platform_port_read(v, 0x1f48, 4, &val));
    assert_true(platform_port_read(v, 0x608, 4, &val));
    assert_int_equal(val, b);
    for (int i = 0; i < 100; i++) /* no slot is lost */
        assert_int_equal(platform_set_acpi_location(d, i & 1), 0);
    assert_true(platform_port_read(v, 0xb008, 4, &val));
    assert_int_equal(platform_set_acpi_location(d, 4), -EINVAL);
    assert_int_equal(platform_set_acpi_location(d, 2), 0);
    assert_true(d->hvm->hide_xen_leaves);
    assert_int_equal(platform_set_acpi_location(d, 3), 0);
    assert_false(d->hvm->hide_xen_leaves);
    assert_int_equal(platform_set_acpi_location(d, 1), 0);
    pass(2000 * NS_PER_S); /* wraps at 32 bits */
    assert_true(platform_port_read(v, 0xb008, 4, &val));
    assert_int_equal(val, (uint32_t)(b + 2000ull * PM_TIMER_HZ));
}

/* A loop that waits for the timer gives way to others; reading the time does not. */
static void test_pm_timer_poll(void **state)
{
    uint32_t val;

    fake_yields = 0;
    for (int i = 0; i < 100; i++) {
        pass(20 * NS_PER_US);
        assert_true(platform_port_read(v, 0x1f48, 4, &val));
    }
    assert_in_range(fake_yields, 8, 25);
    fake_yields = 0;
    for (int i = 0; i < 100; i++) {
        pass(i % 4 ? 20 * NS_PER_US : NS_PER_MS);
        assert_true(platform_port_read(v, 0x1f48, 4, &val));
    }
    assert_int_equal(fake_yields, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(pit_mode0),
        T(pit_mode2),
        T(pit_mode3),
        T(pit_new_count_waits),
        T(pit_missed_ticks),
        T(pit_latches),
        T(pit_gate),
        T(pit_refresh_bit),
        T(rtc_time),
        T(rtc_set),
        T(rtc_uip),
        T(rtc_periodic),
        T(rtc_update_and_alarm),
        T(rtc_reset),
        T(rtc_other_cmos),
        T(hpet_counter),
        T(hpet_one_shot),
        T(hpet_level),
        T(hpet_legacy_periodic),
        T(hpet_32bit),
        T(hpet_nonsense),
        T(pm_timer),
        T(pm_timer_poll),
    };

    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
