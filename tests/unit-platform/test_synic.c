/* Hyper-V's synthetic interrupts and timers, as a guest and a hostile record see them.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"

#define SLOT(n)   (0x3000 + (n)*256)
#define CONFIG(n) (HV_STIMER0_CONFIG + 2 * (n))
#define COUNT(n)  (HV_STIMER0_CONFIG + 2 * (n) + 1)
#define REF_COUNT 0x40000020
#define ALL       (HVMPV_base_freq | HVMPV_time_ref_count | HVMPV_synic | HVMPV_stimer)

/* STIMERx_CONFIG */
#define ENABLE   1u
#define PERIODIC 2u
#define AUTO     8u
#define SINT(n)  ((n) << 16)

#define MASKED   0x10000u
#define AUTO_EOI 0x20000u
#define POLLING  0x40000u
#define EXPIRED  0x80000010u
#define MS_TICKS 10000u
#define VECTOR   0x61

static struct domain *d;
static struct vcpu *v;

static int setup(void **state)
{
    d = guest_create(2, GUEST_HVM);
    v = d->vcpus[0];
    d->hvm->params[HVM_PARAM_VIRIDIAN] = ALL;
    apic_enable(v);
    apic_enable(d->vcpus[1]);
    memset(fake_ram, 0x5a, sizeof(fake_ram));
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    assert_int_equal(timers_armed(), 0);
    return 0;
}

static uint64_t rd(uint32_t msr)
{
    uint64_t val = 0xbad;

    assert_int_equal(hvm_rdmsr(v, msr, &val), 0);
    return val;
}

static void wr(uint32_t msr, uint64_t val)
{
    assert_int_equal(hvm_wrmsr(v, msr, val), 0);
}

static uint32_t ram32(uint64_t gpa)
{
    uint32_t val;

    memcpy(&val, fake_ram + gpa, sizeof(val));
    return val;
}

static uint64_t ram64(uint64_t gpa)
{
    return ram32(gpa) | (uint64_t)ram32(gpa + 4) << 32;
}

static void free_slot(unsigned int n)
{
    memset(fake_ram + SLOT(n), 0, 4);
}

/* What the vCPU does before it enters. */
static void enter(void)
{
    if (v->hvm->synic_work)
        synic_work(v);
    assert_false(v->hvm->synic_work);
}

static void enable(void)
{
    wr(HV_SIMP, 0x3001);
    wr(HV_SCONTROL, 1);
    wr(HV_SINT0 + 2, VECTOR);
}

static void test_registers(void **state)
{
    uint64_t val;

    assert_int_equal(rd(HV_SVERSION), 1);
    assert_int_equal(hvm_wrmsr(v, HV_SVERSION, 1), -EINVAL);
    assert_int_equal(rd(HV_EOM), 0);
    for (unsigned int i = 0; i < SYNIC_SINTS; i++)
        assert_int_equal(rd(HV_SINT0 + i), MASKED);
    /* Vectors below 16 only behind the mask. */
    assert_int_equal(hvm_wrmsr(v, HV_SINT0, 15), -EINVAL);
    wr(HV_SINT0, MASKED | 15);
    assert_int_equal(rd(HV_SINT0), MASKED | 15);
    wr(HV_SIEFP, 0x4001);
    assert_int_equal(rd(HV_SIEFP), 0x4001);
    wr(HV_SCONTROL, 1);
    assert_int_equal(rd(HV_SCONTROL), 1);
    /* The page of messages begins empty, its neighbours are left alone. */
    wr(HV_SIMP, 0x3001);
    assert_int_equal(fake_ram[0x2fff], 0x5a);
    assert_int_equal(fake_ram[0x3000], 0);
    assert_int_equal(fake_ram[0x3fff], 0);
    assert_int_equal(fake_ram[0x4000], 0x5a);
    /* What is between and behind is not there. */
    assert_int_equal(hvm_rdmsr(v, 0x40000085, &val), -EINVAL);
    assert_int_equal(hvm_rdmsr(v, 0x400000a0, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x400000b8, 1), -EINVAL);
    /* The other vCPU has its own. */
    assert_int_equal(hvm_rdmsr(d->vcpus[1], HV_SIMP, &val), 0);
    assert_int_equal(val, 0);
}

static void test_offered(void **state)
{
    uint32_t leaf[4];
    uint64_t val;

    hvm_cpuid(v, 0x40000003, 0, leaf);
    assert_int_equal(leaf[0] & 0xc, 0xc);
    d->hvm->params[HVM_PARAM_VIRIDIAN] = ALL & ~HVMPV_stimer;
    hvm_cpuid(v, 0x40000003, 0, leaf);
    assert_int_equal(leaf[0] & 0xc, 4);
    assert_int_equal(rd(HV_SVERSION), 1);
    assert_int_equal(hvm_rdmsr(v, CONFIG(0), &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, COUNT(0), 5), -EINVAL);
    d->hvm->params[HVM_PARAM_VIRIDIAN] = HVMPV_base_freq | HVMPV_time_ref_count;
    assert_int_equal(hvm_rdmsr(v, HV_SVERSION, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, HV_SINT0, MASKED), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, CONFIG(0), SINT(2) | ENABLE), -EINVAL);
}

static void test_one_shot(void **state)
{
    uint64_t start;

    enable();
    start = rd(REF_COUNT);
    wr(COUNT(1), start + 3 * MS_TICKS);
    assert_int_equal(timers_armed(), 0);
    wr(CONFIG(1), SINT(2) | ENABLE);
    pass(3 * NS_PER_MS - 1);
    assert_false(v->hvm->synic_work);
    pass(1);
    assert_true(v->hvm->synic_work);
    assert_int_equal(ram32(SLOT(2)), 0); /* not before the vCPU comes by */
    enter();
    assert_int_equal(ram32(SLOT(2)), EXPIRED);
    assert_int_equal(fake_ram[SLOT(2) + 4], 24);
    assert_int_equal(fake_ram[SLOT(2) + 5], 0);
    assert_int_equal(ram32(SLOT(2) + 16), 1); /* its number */
    assert_int_equal(ram64(SLOT(2) + 24), start + 3 * MS_TICKS);
    assert_true(ram64(SLOT(2) + 32) >= start + 3 * MS_TICKS);
    assert_int_equal(take_interrupt(v), VECTOR);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(rd(CONFIG(1)), SINT(2)); /* disabled by itself */
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
    /* One in the past fires at once. */
    free_slot(2);
    wr(CONFIG(1), SINT(2) | ENABLE);
    pass(1000);
    enter();
    assert_int_equal(take_interrupt(v), VECTOR);
}

static void test_periodic(void **state)
{
    enable();
    wr(CONFIG(0), SINT(2) | AUTO | PERIODIC);
    wr(COUNT(0), MS_TICKS);
    assert_int_equal(rd(CONFIG(0)), SINT(2) | AUTO | PERIODIC | ENABLE);
    for (unsigned int i = 0; i < 5; i++) {
        pass(NS_PER_MS);
        enter();
        assert_int_equal(ram32(SLOT(2)), EXPIRED);
        free_slot(2);
        assert_int_equal(take_interrupt(v), VECTOR);
        apic_write(v, APIC_EOI, 0);
    }
    /* Those that nobody takes are not owed. */
    pass(100 * NS_PER_MS);
    enter();
    free_slot(2);
    assert_int_equal(take_interrupt(v), VECTOR);
    apic_write(v, APIC_EOI, 0);
    enter();
    assert_int_equal(take_interrupt(v), -1);
    pass(NS_PER_MS);
    assert_true(v->hvm->synic_work);
    /* Count 0 ends it. */
    wr(COUNT(0), 0);
    assert_int_equal(rd(CONFIG(0)) & ENABLE, 0);
    enter();
    assert_int_equal(ram32(SLOT(2)), 0);
    assert_int_equal(timers_armed(), 0);
}

/* A slot that the guest has not emptied. */
static void test_busy(void **state)
{
    enable();
    fake_ram[SLOT(2)] = 1;
    wr(COUNT(0), 1);
    wr(CONFIG(0), SINT(2) | ENABLE);
    pass(1000);
    enter();
    assert_int_equal(ram32(SLOT(2)), 1);
    assert_int_equal(fake_ram[SLOT(2) + 5], 1); /* another one waits */
    assert_int_equal(take_interrupt(v), -1);
    wr(HV_EOM, 0); /* too early */
    assert_int_equal(ram32(SLOT(2)), 1);
    free_slot(2);
    wr(HV_EOM, 0);
    assert_int_equal(ram32(SLOT(2)), EXPIRED);
    assert_int_equal(fake_ram[SLOT(2) + 5], 0);
    assert_int_equal(take_interrupt(v), VECTOR);
    /* An EOI is as good. */
    wr(CONFIG(1), SINT(2) | ENABLE | AUTO);
    wr(COUNT(1), 1);
    pass(1000);
    enter();
    free_slot(2);
    apic_write(v, APIC_EOI, 0);
    enter();
    assert_int_equal(ram32(SLOT(2) + 16), 1);
    assert_int_equal(take_interrupt(v), VECTOR);
}

/* What is not enabled waits; what is masked or polled raises no interrupt. */
static void test_masks(void **state)
{
    enable();
    wr(HV_SCONTROL, 0);
    wr(COUNT(0), 1);
    wr(CONFIG(0), SINT(2) | ENABLE);
    pass(1000);
    enter();
    assert_int_equal(ram32(SLOT(2)), 0);
    wr(HV_SCONTROL, 1);
    assert_int_equal(ram32(SLOT(2)), EXPIRED);
    assert_int_equal(take_interrupt(v), VECTOR);
    apic_write(v, APIC_EOI, 0);
    for (unsigned int i = 0; i < 2; i++) {
        free_slot(2);
        wr(HV_SINT0 + 2, VECTOR | (i ? POLLING : MASKED));
        wr(CONFIG(0), SINT(2) | ENABLE);
        pass(1000);
        enter();
        assert_int_equal(ram32(SLOT(2)), EXPIRED);
        assert_int_equal(take_interrupt(v), -1);
    }
}

static void test_auto_eoi(void **state)
{
    enable();
    wr(HV_SINT0 + 2, VECTOR | AUTO_EOI);
    for (unsigned int i = 0; i < 2; i++) {
        free_slot(2);
        wr(COUNT(0), 1);
        wr(CONFIG(0), SINT(2) | ENABLE);
        pass(1000);
        enter();
        assert_int_equal(take_interrupt(v), VECTOR);
        assert_int_equal(apic_read(v, APIC_ISR + VECTOR / 32), 0);
        assert_int_equal(apic_read(v, APIC_PPR), 0);
    }
    /* Priority counts all the same. */
    apic_write(v, APIC_TPR, 0x70);
    free_slot(2);
    wr(CONFIG(0), SINT(2) | ENABLE);
    pass(1000);
    enter();
    assert_int_equal(take_interrupt(v), -1);
    apic_write(v, APIC_TPR, 0);
    assert_int_equal(take_interrupt(v), VECTOR);
    wr(HV_SINT0 + 2, VECTOR);
    free_slot(2);
    wr(CONFIG(0), SINT(2) | ENABLE);
    pass(1000);
    enter();
    assert_int_equal(take_interrupt(v), VECTOR);
    assert_int_not_equal(apic_read(v, APIC_ISR + VECTOR / 32), 0);
}

static void test_hostile(void **state)
{
    /* No message page at all (XSA-472), SINT 0, a page that is not there. */
    wr(COUNT(0), 1);
    wr(CONFIG(0), SINT(1) | ENABLE);
    pass(NS_PER_MS);
    enter();
    wr(HV_SCONTROL, ~0ull);
    wr(CONFIG(1), ENABLE);
    assert_int_equal(rd(CONFIG(1)), 0);
    wr(HV_SIMP, ~0ull);
    wr(COUNT(1), 1);
    wr(CONFIG(1), ~0ull);
    pass(NS_PER_MS);
    enter();
    wr(HV_EOM, ~0ull);
    /* Periods and times at the edge: no storm, no overflow. */
    wr(HV_SIMP, 0);
    wr(HV_SIMP, 0x3001);
    wr(CONFIG(2), SINT(2) | PERIODIC | AUTO);
    wr(COUNT(2), 1);
    wr(CONFIG(3), SINT(3) | PERIODIC | AUTO);
    wr(COUNT(3), ~0ull);
    for (unsigned int i = 0; i < 100; i++) {
        pass(NS_PER_MS);
        enter();
        free_slot(2);
    }
    wr(CONFIG(3), SINT(3) | ENABLE);
    wr(COUNT(3), ~0ull);
    pass(200 * NS_PER_S);
    enter();
    assert_int_equal(ram32(SLOT(3)), 0);
}

static void test_random(void **state)
{
    uint64_t x = 1;

    for (unsigned int i = 0; i < 200000; i++) {
        uint64_t val, junk;

        x = x * 6364136223846793005ull + 1442695040888963407ull;
        val = x >> (x >> 58);
        (void)hvm_wrmsr(v, 0x40000080 + (x >> 32) % 64, val);
        (void)hvm_rdmsr(v, 0x40000080 + (x >> 40) % 64, &junk);
        pass(x >> 45);
        enter();
        if (!(i % 16))
            memset(fake_ram + 0x3000, 0, 0x1000);
        while (take_interrupt(v) >= 0)
            apic_write(v, APIC_EOI, 0);
    }
}

static uint8_t image[1 << 16];

static size_t save(struct domain *from)
{
    struct hvm_context c = {.size = sizeof(image), .data = image};

    assert_int_equal(hvm_save(from, &c), 0);
    return c.pos;
}

static struct hvm_viridian_vcpu_context *record(size_t bytes)
{
    for (size_t pos = 0; pos < bytes;) {
        struct hvm_save_descriptor *desc = (void *)(image + pos);

        if (desc->typecode == HVM_SAVE_CODE(VIRIDIAN_VCPU) && !desc->instance)
            return (void *)(desc + 1);
        pos += sizeof(*desc) + desc->length;
    }
    return NULL;
}

static int load(struct domain *to, size_t bytes)
{
    struct hvm_context c = {.data = image, .size = bytes};

    return hvm_load(to, &c);
}

static void test_record(void **state)
{
    struct hvm_viridian_vcpu_context *hw;
    struct domain *old = d;
    size_t bytes;

    enable();
    wr(HV_SINT0 + 3, 0x73 | AUTO_EOI);
    wr(CONFIG(0), SINT(2) | PERIODIC | AUTO);
    wr(COUNT(0), MS_TICKS);
    wr(COUNT(1), rd(REF_COUNT) + 2 * MS_TICKS + MS_TICKS / 2);
    wr(CONFIG(1), SINT(3) | ENABLE);
    memset(fake_ram + 0x3000, 0x77, 4); /* somebody's message: it stays */
    v->initialised = true;
    v->hvm->cr0 = 0x80050033;
    v->hvm->cr4 = 0x20;
    v->hvm->efer = 0x500;
    v->hvm->regs.rflags = 2;
    v->hvm->dr6 = 0xffff0ff0;
    v->hvm->dr7 = 0x400;
    bytes = save(d);
    hw = record(bytes);
    assert_non_null(hw);
    assert_int_equal(hw->simp_msr, 0x3001);
    assert_int_equal(hw->sint_msr[2], VECTOR);
    assert_int_equal(hw->sint_msr[4], MASKED);
    assert_int_equal(hw->stimer_count_msr[0], MS_TICKS);

    d = guest_create(2, GUEST_HVM);
    v = d->vcpus[0];
    /* Not what the domain has. */
    d->hvm->params[HVM_PARAM_VIRIDIAN] = HVMPV_base_freq | HVMPV_time_ref_count;
    assert_int_equal(load(d, bytes), -EINVAL);
    d->hvm->params[HVM_PARAM_VIRIDIAN] = ALL;
    hw->sint_msr[5] = 3;
    assert_int_equal(load(d, bytes), -EINVAL);
    hw->sint_msr[5] = MASKED;
    assert_int_equal(load(d, bytes), 0);
    assert_int_equal(ram32(0x3000), 0x77777777);
    assert_int_equal(rd(HV_SCONTROL), 1);
    assert_int_equal(rd(HV_SINT0 + 3), 0x73 | AUTO_EOI);
    pass(NS_PER_MS);
    enter();
    assert_int_equal(ram32(SLOT(2)), EXPIRED);
    assert_int_equal(take_interrupt(v), VECTOR);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(ram32(SLOT(3)), 0);
    pass(2 * NS_PER_MS);
    enter();
    assert_int_equal(ram32(SLOT(3)), EXPIRED);
    assert_int_equal(take_interrupt(v), 0x73);
    assert_int_equal(apic_read(v, APIC_ISR + 3), 0);
    guest_destroy(old);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(registers), T(offered),  T(one_shot), T(periodic), T(busy),
        T(masks),     T(auto_eoi), T(hostile),  T(random),   T(record),
    };

    return cmocka_run_group_tests_name("synic", tests, NULL, NULL);
}
