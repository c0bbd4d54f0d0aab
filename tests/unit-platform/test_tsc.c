/* Domains whose TSC has a frequency of its own (xen/hvm/tsc.c): arithmetic, and what
 * depends on it. The machine's TSC runs at 2 GHz. SPDX-License-Identifier:
 * GPL-2.0-or-later
 */
#include "fake.h"
#include "hvm/tsc.h"
#include "mm/frame.h"

#define MACHINE_KHZ 2000000u

static struct domain *d;
static struct vcpu *v, *v1;
static unsigned int updates;

static void count_update(struct vcpu *w)
{
    updates++;
}

static int setup(void **state)
{
    d = guest_create(2, GUEST_HVM);
    v = d->vcpus[0];
    v1 = d->vcpus[1];
    hvm_ops->tsc_ratio_bits = 48;
    hvm_ops->update_tsc = count_update;
    updates = 0;
    apic_enable(v);
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    hvm_ops->tsc_ratio_bits = 0;
    return 0;
}

/* Ticks in so many ns at khz, rounded down. */
static uint64_t ticks(uint32_t khz, ns_t ns)
{
    return (unsigned __int128)khz * ns / 1000000;
}

static void test_rate(void **state)
{
    static const uint32_t rates[] = {15625,   999999,  1000000, 1999999,
                                     2000001, 2893437, 5000000, 256000000};
    static const unsigned int bits[] = {48, 32, 0};

    for (unsigned int b = 0; b < ARRAY_SIZE(bits); b++) {
        hvm_ops->tsc_ratio_bits = bits[b];
        for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
            uint64_t before, after, want = ticks(rates[i], 3600 * NS_PER_S);
            /* An hour; the ratio's last bit is what may be wrong. */
            uint64_t off = bits[b] == 48 ? 2 : (2 * 3600ull * NS_PER_S >> 32) + 2;

            assert_int_equal(hvm_set_tsc_khz(d, rates[i]), 0);
            if (bits[b] == 0 && (rates[i] == 1999999 || rates[i] == 2000001)) {
                assert_int_equal(hvm_tsc_khz(d), MACHINE_KHZ);
                continue;
            }
            assert_int_equal(hvm_tsc_khz(d), rates[i]);
            assert_int_equal(d->hvm->tsc.exits, bits[b] == 0);
            before = hvm_guest_tsc(v);
            pass(3600 * NS_PER_S);
            after = hvm_guest_tsc(v) - before;
            assert_in_range(after, want - off, want + off);
        }
        assert_int_equal(hvm_set_tsc_khz(d, 0), 0);
    }
}

static void test_limits(void **state)
{
    assert_int_equal(hvm_set_tsc_khz(d, MACHINE_KHZ * 128), 0);
    assert_int_equal(hvm_set_tsc_khz(d, MACHINE_KHZ * 128 + 1), -EINVAL);
    assert_int_equal(hvm_set_tsc_khz(d, UINT32_MAX), -EINVAL);
    assert_int_equal(hvm_set_tsc_khz(d, MACHINE_KHZ / 128 - 1), -EINVAL);
    assert_int_equal(hvm_set_tsc_khz(d, 1), -EINVAL);
    assert_int_equal(hvm_tsc_khz(d), MACHINE_KHZ * 128);
    updates = 0;
    assert_int_equal(hvm_set_tsc_khz(d, MACHINE_KHZ), 0);
    assert_int_equal(updates, 2);
    assert_int_equal(d->hvm->tsc.khz, 0);
    assert_int_equal(hvm_tsc_hz(d), MACHINE_KHZ * 1000ull);
}

/* No jump, on no vCPU, whatever is set and written. */
static void test_continuity(void **state)
{
    static const uint32_t rates[] = {1234567, 3000000, 0, 777777, MACHINE_KHZ};

    assert_int_equal(hvm_wrmsr(v1, 0x10, 1ull << 50), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
        uint64_t a = hvm_guest_tsc(v), b = hvm_guest_tsc(v1);

        assert_int_equal(hvm_set_tsc_khz(d, rates[i]), 0);
        assert_int_equal(hvm_guest_tsc(v), a);
        assert_int_equal(hvm_guest_tsc(v1), b);
        pass(NS_PER_S);
        a = hvm_guest_tsc(v);
        assert_int_equal(hvm_wrmsr(v, 0x10, a + 12345), 0);
        assert_int_equal(hvm_guest_tsc(v), a + 12345);
    }
}

static void test_unscale(void **state)
{
    assert_int_equal(hvm_set_tsc_khz(d, 1000000), 0);
    assert_int_equal(hvm_unscale_tsc(d, 1000), 2000);
    assert_int_equal(hvm_set_tsc_khz(d, 3000000), 0);
    assert_in_range(hvm_unscale_tsc(d, 3000000), 1999999, 2000000);
    assert_int_equal(hvm_set_tsc_khz(d, 15625), 0);
    assert_true(hvm_unscale_tsc(d, UINT64_MAX) == UINT64_MAX); /* no wrap */
}

static void test_deadline(void **state)
{
    assert_int_equal(hvm_set_tsc_khz(d, 500000), 0); /* 1 us is 500 ticks */
    apic_write(v, APIC_LVT_TIMER, 0x40000 | 0x77);
    assert_int_equal(hvm_wrmsr(v, 0x6e0, hvm_guest_tsc(v) + 500), 0);
    pass(990);
    assert_int_equal(take_interrupt(v), -1);
    pass(20);
    assert_int_equal(take_interrupt(v), 0x77);
    apic_write(v, APIC_EOI, 0);
    /* A change of the frequency moves it. */
    assert_int_equal(hvm_wrmsr(v, 0x6e0, hvm_guest_tsc(v) + 500), 0);
    assert_int_equal(hvm_set_tsc_khz(d, 100000), 0);
    pass(4900);
    assert_int_equal(take_interrupt(v), -1);
    pass(200);
    assert_int_equal(take_interrupt(v), 0x77);
    /* Years ahead. */
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(hvm_wrmsr(v, 0x6e0, INT64_MAX), 0);
    pass(NS_PER_S * 5000);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_pv_clock(void **state)
{
    static const uint32_t rates[] = {15625,   1000000, 1234567,
                                     2893437, 4000000, 256000000};

    for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
        uint64_t hz = rates[i] * 1000ull, ns;
        uint32_t mul;
        int8_t shift;

        assert_int_equal(hvm_set_tsc_khz(d, rates[i]), 0);
        hvm_tsc_pv_scale(d, &mul, &shift);
        /* What a guest makes of one second, xen.h. */
        hz = shift < 0 ? hz >> -shift : hz << shift;
        ns = (uint64_t)((unsigned __int128)hz * mul >> 32);
        assert_in_range(ns, NS_PER_S - 10, NS_PER_S + 10);
    }
}

static void test_restore(void **state)
{
    struct hvm_context c = {.size = hvm_save_size(d)};
    struct domain *to;
    uint64_t tsc;

    assert_int_equal(hvm_set_tsc_khz(d, 2893437), 0);
    v->initialised = true;
    v->state = VCPU_RUNNABLE;
    pass(17 * NS_PER_S);
    tsc = hvm_guest_tsc(v);
    c.data = zalloc(c.size);
    assert_int_equal(hvm_save(d, &c), 0);
    to = guest_create(2, GUEST_HVM);
    fake_now = 999 * NS_PER_S; /* another machine */
    c.size = c.pos;
    c.pos = 0;
    assert_int_equal(hvm_load(to, &c), 0);
    assert_int_equal(hvm_tsc_khz(to), 2893437);
    assert_int_equal(hvm_guest_tsc(to->vcpus[0]), tsc);
    pass(NS_PER_S);
    assert_in_range(hvm_guest_tsc(to->vcpus[0]) - tsc, 2893437000ull - 1,
                    2893437000ull + 1);
    guest_destroy(to);
    zfree(c.data);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(rate),     T(limits),   T(continuity), T(unscale),
        T(deadline), T(pv_clock), T(restore),
    };

    return cmocka_run_group_tests_name("tsc", tests, NULL, NULL);
}
