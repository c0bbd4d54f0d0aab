/* Local APIC against Intel SDM vol 3 chapter 11. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "fake.h"

static struct domain *d;
static struct vcpu *v, *v1, *v2;
static struct vlapic *s;

static int setup(void **state)
{
    d = guest_create(4, GUEST_HVM);
    v = d->vcpus[0];
    v1 = d->vcpus[1];
    v2 = d->vcpus[2];
    s = v->hvm->vlapic;
    for (unsigned int i = 0; i < 4; i++)
        apic_enable(d->vcpus[i]);
    fake_kicks = 0;
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    return 0;
}

static void x2apic_on(struct vcpu *w)
{
    uint64_t base;

    assert_int_equal(hvm_rdmsr(w, 0x1b, &base), 0);
    assert_int_equal(hvm_wrmsr(w, 0x1b, base | 0x400), 0);
}

static uint64_t rd(struct vcpu *w, uint32_t msr)
{
    uint64_t val = ~0ull;

    assert_int_equal(hvm_rdmsr(w, msr, &val), 0);
    return val;
}

static void test_reset(void **state)
{
    vlapic_reset(v1, false);
    assert_int_equal(apic_read(v1, APIC_ID), 2u << 24);
    assert_int_equal(apic_read(v1, APIC_VERSION), 0x50014);
    assert_int_equal(apic_read(v1, APIC_SVR), 0xff);
    assert_int_equal(apic_read(v1, APIC_DFR), 0xffffffff);
    assert_int_equal(apic_read(v1, APIC_LVT_LINT0), 0x10000);
    assert_int_equal(apic_read(v1, APIC_LVT_TIMER), 0x10000);
    assert_int_equal(rd(v1, 0x1b), 0xfee00800);
    assert_int_equal(rd(v, 0x1b), 0xfee00900);
    /* The boot processor gets the PICs. */
    vlapic_reset(v, false);
    assert_int_equal(apic_read(v, APIC_LVT_LINT0), 0x700);
}

static void test_priority(void **state)
{
    vlapic_set_irq(v, 0x41, false);
    vlapic_set_irq(v, 0x83, false);
    vlapic_set_irq(v, 0x42, false);
    assert_int_equal(apic_read(v, APIC_IRR + 2), 0x6);
    assert_int_equal(take_interrupt(v), 0x83);
    assert_int_equal(apic_read(v, APIC_ISR + 4), 0x8);
    assert_int_equal(apic_read(v, APIC_PPR), 0x80);
    assert_int_equal(take_interrupt(v), -1); /* lower class waits */
    vlapic_set_irq(v, 0x8f, false);
    assert_int_equal(take_interrupt(v), -1); /* so does the same class */
    vlapic_set_irq(v, 0x90, false);
    assert_int_equal(take_interrupt(v), 0x90);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), 0x8f);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), 0x42);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), 0x41);
    apic_write(v, APIC_EOI, 0);
    apic_write(v, APIC_EOI, 0); /* nothing in service: no effect */
    assert_int_equal(apic_read(v, APIC_PPR), 0);
}

static void test_tpr(void **state)
{
    vlapic_set_tpr(v, 5);
    assert_int_equal(apic_read(v, APIC_TPR), 0x50);
    vlapic_set_irq(v, 0x5f, false);
    assert_int_equal(take_interrupt(v), -1);
    vlapic_set_irq(v, 0x60, false);
    assert_int_equal(take_interrupt(v), 0x60);
    apic_write(v, APIC_EOI, 0);
    apic_write(v, APIC_TPR, 0x4c);
    assert_int_equal(vlapic_get_tpr(v), 4);
    assert_int_equal(apic_read(v, APIC_PPR), 0x4c);
    assert_int_equal(take_interrupt(v), 0x5f);
    assert_int_equal(apic_read(v, APIC_PPR), 0x50);
}

static void test_kicks(void **state)
{
    vlapic_set_irq(v1, 0x50, false);
    assert_int_equal(fake_kicks, 1);
    vlapic_set_irq(v1, 0x50, false); /* pending already */
    assert_int_equal(fake_kicks, 1);
    assert_int_equal(take_interrupt(v1), 0x50);
    vlapic_set_irq(v1, 0x51, false); /* its EOI will let it see this one */
    assert_int_equal(fake_kicks, 1);
    vlapic_set_irq(v1, 0x60, false);
    assert_int_equal(fake_kicks, 2);
}

static void test_software_disable(void **state)
{
    apic_write(v, APIC_LVT_TIMER, 0x40);
    apic_write(v, APIC_SVR, 0xff);
    assert_int_equal(apic_read(v, APIC_LVT_TIMER), 0x10040);
    apic_write(v, APIC_LVT_TIMER, 0x41); /* the mask cannot be cleared */
    assert_int_equal(apic_read(v, APIC_LVT_TIMER), 0x10041);
    vlapic_set_irq(v, 0x50, false);
    assert_int_equal(apic_read(v, APIC_IRR + 2), 0);
    apic_write(v, APIC_SVR, 0x1ff);
    vlapic_set_irq(v, 0x50, false);
    assert_int_equal(take_interrupt(v), 0x50);
}

static void test_icr_physical(void **state)
{
    apic_write(v, APIC_ICR2, 2u << 24); /* vCPU 1 */
    apic_write(v, APIC_ICR, 0x4055);
    assert_int_equal(take_interrupt(v1), 0x55);
    assert_int_equal(take_interrupt(v2), -1);
    assert_int_equal(apic_read(v, APIC_ICR), 0x4055);
    apic_write(v, APIC_ICR2, 0xffu << 24);
    apic_write(v, APIC_ICR, 0x4060);
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(take_interrupt(d->vcpus[i]), 0x60);
    apic_write(v, APIC_ICR2, 9u << 24); /* nobody */
    apic_write(v, APIC_ICR, 0x4070);
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(take_interrupt(d->vcpus[i]), -1);
}

static void test_icr_shorthand(void **state)
{
    apic_write(v, APIC_ICR, 0x44061); /* self */
    assert_int_equal(fake_kicks, 0);
    assert_int_equal(take_interrupt(v), 0x61);
    assert_int_equal(take_interrupt(v1), -1);
    apic_write(v, APIC_ICR, 0xc4071); /* others */
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(take_interrupt(v1), 0x71);
    assert_int_equal(take_interrupt(v2), 0x71);
    apic_write(v, APIC_ICR, 0x84081); /* all */
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(take_interrupt(d->vcpus[i]), 0x81);
}

static void test_icr_logical(void **state)
{
    for (unsigned int i = 0; i < 4; i++)
        apic_write(d->vcpus[i], APIC_LDR, 1u << (24 + i));
    apic_write(v, APIC_ICR2, 0x06u << 24);
    apic_write(v, APIC_ICR, 0x4862);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(take_interrupt(v1), 0x62);
    assert_int_equal(take_interrupt(v2), 0x62);
    /* Cluster: vCPU 1 is member 2 of cluster 3. */
    apic_write(v1, APIC_DFR, 0x0fffffff);
    apic_write(v1, APIC_LDR, 0x32u << 24);
    apic_write(v, APIC_ICR2, 0x36u << 24);
    apic_write(v, APIC_ICR, 0x4873);
    assert_int_equal(take_interrupt(v1), 0x73);
    apic_write(v1, APIC_EOI, 0);
    apic_write(v, APIC_ICR2, 0x26u << 24);
    apic_write(v, APIC_ICR, 0x4884);
    assert_int_equal(take_interrupt(v1), -1);
}

static void test_lowest_priority(void **state)
{
    for (unsigned int i = 0; i < 4; i++)
        apic_write(d->vcpus[i], APIC_LDR, 1u << (24 + i));
    apic_write(v, APIC_TPR, 0x40);
    apic_write(v1, APIC_TPR, 0x20);
    apic_write(v2, APIC_TPR, 0x30);
    apic_write(v, APIC_ICR2, 0x07u << 24);
    apic_write(v, APIC_ICR, 0x4962);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(take_interrupt(v2), -1);
    assert_int_equal(take_interrupt(v1), 0x62);
    /* Equals take turns. */
    apic_write(v, APIC_TPR, 0);
    apic_write(v1, APIC_EOI, 0);
    apic_write(v1, APIC_TPR, 0);
    apic_write(v, APIC_ICR2, 0x03u << 24);
    apic_write(v, APIC_ICR, 0x4963);
    assert_int_equal(take_interrupt(v), 0x63);
    apic_write(v, APIC_EOI, 0);
    apic_write(v, APIC_ICR, 0x4963);
    assert_int_equal(take_interrupt(v1), 0x63);
}

static void test_init_sipi_nmi(void **state)
{
    apic_write(v, APIC_ICR, 0xc4500); /* INIT, others */
    assert_int_equal(fake_inits, 3);
    assert_false(v->hvm->init_pending);
    apic_write(v, APIC_ICR2, 2u << 24);
    apic_write(v, APIC_ICR, 0x8500); /* level de-assert: nothing */
    assert_int_equal(fake_inits, 3);
    apic_write(v, APIC_ICR, 0x4699);
    assert_int_equal(fake_sipis, 1);
    assert_int_equal(v1->hvm->sipi_vector, 0x99);
    apic_write(v, APIC_ICR, 0x4400);
    assert_true(v1->hvm->nmi_pending);
    assert_false(v2->hvm->nmi_pending);
}

static void test_errors(void **state)
{
    apic_write(v, APIC_LVT_ERROR, 0xe0);
    apic_write(v, APIC_ICR, 0x44005); /* vector 5 */
    assert_int_equal(apic_read(v, APIC_ESR), 0);
    apic_write(v, APIC_ESR, 0);
    assert_int_equal(apic_read(v, APIC_ESR), APIC_ESR_SEND_VECTOR);
    assert_int_equal(take_interrupt(v), 0xe0);
    apic_write(v, APIC_EOI, 0);
    apic_write(v, APIC_ESR, 0);
    assert_int_equal(apic_read(v, APIC_ESR), 0);
    vlapic_set_irq(v, 3, false);
    (void)apic_read(v, 0x3d);
    apic_write(v, APIC_ESR, 0);
    assert_int_equal(apic_read(v, APIC_ESR), APIC_ESR_RECV_VECTOR | APIC_ESR_REGISTER);
    /* An error entry with a bad vector does not call itself. */
    apic_write(v, APIC_LVT_ERROR, 0x01);
    apic_write(v, APIC_ICR, 0x44005);
}

static void test_narrow_access(void **state)
{
    apic_write(v, APIC_LVT_PERF, 0x10034);
    assert_int_equal(mmio_read(v, 0xfee00342, 1), 0x01);
    assert_int_equal(mmio_read(v, 0xfee00340, 2), 0x0034);
    mmio_write(v, 0xfee00340, 1, 0x77);
    assert_int_equal(apic_read(v, APIC_LVT_PERF), 0x10077);
    assert_int_equal(mmio_read(v, 0xfee00344, 4), 0); /* between registers */
    mmio_write(v, 0xfee00084, 4, 0xff);
    assert_int_equal(apic_read(v, APIC_TPR), 0);
}

static void test_timer_one_shot(void **state)
{
    apic_write(v, APIC_TDCR, 0xb); /* by 1 */
    apic_write(v, APIC_LVT_TIMER, 0xee);
    apic_write(v, APIC_TMICT, 1000);
    assert_int_equal(apic_read(v, APIC_TMCCT), 1000);
    pass(9999);
    assert_int_equal(apic_read(v, APIC_TMCCT), 1);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(apic_read(v, APIC_TMCCT), 0);
    assert_int_equal(take_interrupt(v), 0xee);
    apic_write(v, APIC_EOI, 0);
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
    apic_write(v, APIC_TMICT, 1000);
    apic_write(v, APIC_TMICT, 0); /* stops */
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_timer_divider(void **state)
{
    static const struct {
        uint32_t tdcr, divider;
    } t[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};

    for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
        apic_write(v, APIC_TDCR, t[i].tdcr);
        assert_int_equal(apic_read(v, APIC_TDCR), t[i].tdcr);
        apic_write(v, APIC_TMICT, 100);
        pass(10 * t[i].divider * 30);
        assert_int_equal(apic_read(v, APIC_TMCCT), 70);
    }
    /* A new divider while it counts: from where it is. */
    apic_write(v, APIC_LVT_TIMER, 0x31);
    apic_write(v, APIC_TDCR, 0); /* by 2 */
    pass(10 * 20);
    assert_int_equal(apic_read(v, APIC_TMCCT), 60);
    pass(10 * 2 * 60 - 1);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(take_interrupt(v), 0x31);
}

static void test_timer_periodic(void **state)
{
    unsigned int ticks = 0;

    apic_write(v, APIC_TDCR, 0xb);
    apic_write(v, APIC_LVT_TIMER, 0x20000 | 0x40);
    apic_write(v, APIC_TMICT, 100000); /* 1 ms */
    for (int i = 0; i < 100; i++) {
        pass(NS_PER_MS);
        while (take_interrupt(v) == 0x40) {
            ticks++;
            apic_write(v, APIC_EOI, 0);
        }
    }
    assert_int_equal(ticks, 100);
    /* Ten missed: they follow, at twice the rate, and then the old rate goes on. */
    ticks = 0;
    pass(10 * NS_PER_MS);
    for (int i = 0; i < 200; i++) {
        pass(100 * NS_PER_US);
        while (take_interrupt(v) == 0x40) {
            ticks++;
            apic_write(v, APIC_EOI, 0);
        }
    }
    assert_in_range(ticks, 29, 30);
    /* Masked: counts, delivers nothing, owes nothing. */
    apic_write(v, APIC_LVT_TIMER, 0x30000 | 0x40);
    pass(5 * NS_PER_MS);
    assert_int_equal(take_interrupt(v), -1);
    apic_write(v, APIC_LVT_TIMER, 0x20000 | 0x40);
    pass(NS_PER_MS);
    assert_int_equal(take_interrupt(v), 0x40);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_timer_modes_of_missed(void **state)
{
    unsigned int ticks = 0;

    d->hvm->params[HVM_PARAM_TIMER_MODE] = HVMPTM_no_missed_ticks_pending;
    apic_write(v, APIC_TDCR, 0xb);
    apic_write(v, APIC_LVT_TIMER, 0x20000 | 0x40);
    apic_write(v, APIC_TMICT, 100000);
    pass(10 * NS_PER_MS + NS_PER_MS / 4);
    for (int i = 0; i < 5; i++) { /* half a millisecond */
        while (take_interrupt(v) == 0x40) {
            ticks++;
            apic_write(v, APIC_EOI, 0);
        }
        pass(100 * NS_PER_US);
    }
    assert_int_equal(ticks, 1);
}

static void test_timer_fast_is_no_storm(void **state)
{
    apic_write(v, APIC_TDCR, 0xb);
    apic_write(v, APIC_LVT_TIMER, 0x20000 | 0x40);
    apic_write(v, APIC_TMICT, 1); /* 10 ns */
    pass(NS_PER_MS);
    assert_true(timers_armed() >= 1);
    apic_write(v, APIC_TMICT, 0);
}

static void test_tsc_deadline(void **state)
{
    apic_write(v, APIC_LVT_TIMER, 0x40000 | 0x77);
    assert_int_equal(hvm_wrmsr(v, 0x6e0, hvm_guest_tsc(v) + 2000), 0); /* 1 us */
    assert_int_equal(rd(v, 0x6e0), hvm_guest_tsc(v) + 2000);
    apic_write(v, APIC_TMICT, 55); /* ignored in this mode */
    assert_int_equal(apic_read(v, APIC_TMCCT), 0);
    pass(999);
    assert_int_equal(take_interrupt(v), -1);
    pass(1);
    assert_int_equal(take_interrupt(v), 0x77);
    assert_int_equal(rd(v, 0x6e0), 0);
    apic_write(v, APIC_EOI, 0);
    hvm_wrmsr(v, 0x6e0, 1); /* in the past */
    assert_int_equal(take_interrupt(v), 0x77);
    apic_write(v, APIC_EOI, 0);
    hvm_wrmsr(v, 0x6e0, hvm_guest_tsc(v) + 2000);
    hvm_wrmsr(v, 0x6e0, 0); /* disarmed */
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
    /* Years ahead: neither now nor an overflow. */
    hvm_wrmsr(v, 0x6e0, INT64_MAX);
    pass(NS_PER_S * 5000);
    assert_int_equal(take_interrupt(v), -1);
    /* Another mode disarms and reads zero. */
    apic_write(v, APIC_LVT_TIMER, 0x77);
    assert_int_equal(rd(v, 0x6e0), 0);
    hvm_wrmsr(v, 0x6e0, hvm_guest_tsc(v) + 2000); /* ignored */
    pass(NS_PER_S);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_tsc_write_moves_deadline(void **state)
{
    apic_write(v, APIC_LVT_TIMER, 0x40000 | 0x77);
    hvm_wrmsr(v, 0x10, 1000000);
    assert_int_equal(rd(v, 0x10), 1000000);
    hvm_wrmsr(v, 0x6e0, 1000000 + 2000 * 1000); /* 1 ms */
    hvm_wrmsr(v, 0x10, 1000000 + 1000 * 1000);  /* half of it has gone */
    pass(NS_PER_MS / 2);
    assert_int_equal(take_interrupt(v), 0x77);
}

static void test_x2apic(void **state)
{
    uint64_t val;

    assert_int_equal(hvm_rdmsr(v, 0x802, &val), -EINVAL); /* not in xAPIC mode */
    x2apic_on(v1);
    assert_null(platform_mmio_find(v1, 0xfee00000));
    assert_int_equal(rd(v1, 0x802), 2);
    assert_int_equal(rd(v1, 0x80d), 1u << 2);
    assert_int_equal(hvm_wrmsr(v1, 0x808, 0x30), 0);
    assert_int_equal(rd(v1, 0x808), 0x30);
    assert_int_equal(rd(v1, 0x80a), 0x30);
    assert_int_equal(hvm_wrmsr(v1, 0x808, 0x100), -EINVAL);
    assert_int_equal(hvm_wrmsr(v1, 0x80b, 1), -EINVAL);
    assert_int_equal(hvm_wrmsr(v1, 0x80d, 1), -EINVAL);    /* LDR is read-only */
    assert_int_equal(hvm_rdmsr(v1, 0x80e, &val), -EINVAL); /* no DFR */
    assert_int_equal(hvm_rdmsr(v1, 0x831, &val), -EINVAL); /* no ICR2 */
    assert_int_equal(hvm_rdmsr(v1, 0x83f, &val), -EINVAL);
    assert_int_equal(hvm_rdmsr(v1, 0x80b, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v1, 0x828, 1), -EINVAL);
    assert_int_equal(hvm_wrmsr(v1, 0x830, 0x1000), -EINVAL);
    /* Self IPI */
    assert_int_equal(hvm_wrmsr(v1, 0x83f, 0x44), 0);
    assert_int_equal(take_interrupt(v1), 0x44);
    assert_int_equal(hvm_wrmsr(v1, 0x80b, 0), 0);
    /* ICR with 32 bits of destination, physical and logical */
    x2apic_on(v2);
    assert_int_equal(hvm_wrmsr(v1, 0x830, 4ull << 32 | 0x4055), 0);
    assert_int_equal(take_interrupt(v2), 0x55);
    assert_int_equal(rd(v1, 0x830), 4ull << 32 | 0x4055);
    hvm_wrmsr(v2, 0x80b, 0);
    assert_int_equal(hvm_wrmsr(v1, 0x830, (0ull << 16 | 1 << 4) << 32 | 0x4856), 0);
    assert_int_equal(take_interrupt(v2), 0x56);
    hvm_wrmsr(v2, 0x80b, 0);
    assert_int_equal(hvm_wrmsr(v1, 0x830, 0xffffffffull << 32 | 0x4057), 0);
    assert_int_equal(take_interrupt(v2), 0x57);
    assert_int_equal(take_interrupt(v), 0x57);
}

static void test_base_msr(void **state)
{
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00500), -EINVAL); /* x2APIC without enable */
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00901), -EINVAL); /* reserved */
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfed10900), 0);       /* moved */
    assert_null(platform_mmio_find(v, 0xfee00000));
    assert_int_equal(mmio_read(v, 0xfed10000 + APIC_VERSION * 16, 4), 0x50014);
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00d00), 0);       /* x2APIC */
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00900), -EINVAL); /* and straight back */
    vlapic_set_irq(v, 0x44, false);
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00100), 0); /* off */
    assert_int_equal(take_interrupt(v), -1);
    assert_null(platform_mmio_find(v, 0xfee00000));
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00d00), -EINVAL); /* straight to x2APIC */
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00900), 0);
    assert_int_equal(apic_read(v, APIC_SVR), 0xff);
}

static void test_init_keeps_base(void **state)
{
    x2apic_on(v1);
    hvm_wrmsr(v1, 0x80f, 0x1ff);
    vlapic_set_irq(v1, 0x44, false);
    vlapic_reset(v1, true);
    assert_int_equal(rd(v1, 0x1b), 0xfee00c00);
    assert_int_equal(rd(v1, 0x80d), 1u << 2);
    assert_int_equal(rd(v1, 0x80f), 0xff);
    assert_int_equal(take_interrupt(v1), -1);
}

static void test_msi(void **state)
{
    assert_int_equal(hvm_inject_msi(d, 0xfee02000, 0x4045), 0); /* physical, id 2 */
    assert_int_equal(take_interrupt(v1), 0x45);
    apic_write(v1, APIC_LDR, 2u << 24);
    assert_int_equal(hvm_inject_msi(d, 0xfee02004, 0x4055), 0); /* logical */
    assert_int_equal(take_interrupt(v1), 0x55);
    assert_int_equal(hvm_inject_msi(d, 0xfee0200c, 0x4166), 0); /* lowest priority */
    assert_int_equal(take_interrupt(v1), 0x66);
    assert_int_equal(hvm_inject_msi(d, 0xfee02000, 0x0400), 0); /* NMI */
    assert_true(v1->hvm->nmi_pending);
    assert_int_equal(hvm_inject_msi(d, 0xfec02000, 0x45), -EINVAL);
    assert_int_equal(hvm_inject_msi(d, 0x1fee02000ull, 0x45), -EINVAL);
    assert_int_equal(hvm_inject_msi(d, 0xfee02000, 0x05), -EINVAL);
    assert_int_equal(hvm_inject_msi(d, 0xfee02000, 0x345), -EINVAL);
}

static void test_callback_vector(void **state)
{
    struct vcpu_info info = {.evtchn_upcall_pending = 1};

    d->hvm->callback_via = CALLBACK_VECTOR;
    d->hvm->callback_value = 0xf3;
    assert_int_equal(take_interrupt(v), -1);
    v->info = &info;
    assert_int_equal(take_interrupt(v), 0xf3);
    assert_int_equal(apic_read(v, APIC_ISR + 7), 0); /* no EOI wanted */
    info.evtchn_upcall_pending = 0;
    assert_int_equal(take_interrupt(v), -1);
}

/* An upcall vector is not a message: it waits in IRR while software has the APIC
 * disabled. */
static void test_upcall_vector(void **state)
{
    apic_write(v, APIC_SVR, 0xff);
    vlapic_set_irq(v, 0x80, false);
    vlapic_set_upcall(v, 0xf3);
    apic_write(v, APIC_SVR, 0x1ff);
    assert_int_equal(take_interrupt(v), 0xf3);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
}

/* The upcall flag stays set after its vector was taken and is not another interrupt; what
 * the APIC has behind it is. */
static void test_behind_callback(void **state)
{
    struct vcpu_info info = {.evtchn_upcall_pending = 1};
    struct hvm_intack upcall = {INTACK_VECTOR, 0xf3}, timer = {INTACK_LAPIC, 0x80};

    d->hvm->callback_via = CALLBACK_VECTOR;
    d->hvm->callback_value = 0xf3;
    v->info = &info;
    assert_false(hvm_intr_more(v, upcall));
    assert_true(hvm_intr_more(v, timer));
    vlapic_set_irq(v, 0x80, false);
    assert_true(hvm_intr_more(v, upcall));
    info.evtchn_upcall_pending = 0;
    assert_int_equal(take_interrupt(v), 0x80);
    assert_false(hvm_intr_more(v, timer));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(reset),
        T(priority),
        T(tpr),
        T(kicks),
        T(software_disable),
        T(icr_physical),
        T(icr_shorthand),
        T(icr_logical),
        T(lowest_priority),
        T(init_sipi_nmi),
        T(errors),
        T(narrow_access),
        T(timer_one_shot),
        T(timer_divider),
        T(timer_periodic),
        T(timer_modes_of_missed),
        T(timer_fast_is_no_storm),
        T(tsc_deadline),
        T(tsc_write_moves_deadline),
        T(x2apic),
        T(base_msr),
        T(init_keeps_base),
        T(msi),
        T(callback_vector),
        T(upcall_vector),
        T(behind_callback),
    };

    return cmocka_run_group_tests_name("vlapic", tests, NULL, NULL);
}
