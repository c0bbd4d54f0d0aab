/* A local APIC that the processor plays (xen/hvm/vlapic_page.c), beside a processor on
 * paper that does what the SDM says in vol 3 chapter 30. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "fake.h"
#include "hvm/hvm.h"

static struct domain *d;
static struct vcpu *v, *v1;
static struct vlapic *s;
static uint32_t page[1024] __attribute__((aligned(4096)));
static uint64_t posted[4];
static unsigned int mode_changes, notified;

/* What the processor has besides the page. */
static uint8_t rvi, svi;
static int eoi_exit; /* the vector whose EOI made the last exit, -1: none did */

static uint32_t *give_page(struct vcpu *w)
{
    return w->id == 0 ? page : NULL;
}

static void count_mode(struct vcpu *w)
{
    mode_changes++;
}

static int setup(void **state)
{
    memset(page, 0, sizeof(page));
    hvm_ops->apic_page = give_page;
    hvm_ops->apic_mode = count_mode;
    d = guest_create(2, GUEST_HVM);
    v = d->vcpus[0];
    v1 = d->vcpus[1];
    s = v->hvm->vlapic;
    assert_ptr_equal(s->page, page);
    assert_null(v1->hvm->vlapic->page);
    apic_enable(v);
    apic_enable(v1);
    fake_kicks = 0;
    rvi = svi = 0;
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    hvm_ops->apic_page = NULL;
    hvm_ops->apic_mode = NULL;
    return 0;
}

static uint8_t highest(unsigned int reg)
{
    for (int i = 255; i > 0; i--)
        if (page[(reg + i / 32) * 4] >> i % 32 & 1)
            return i;
    return 0;
}

static void put_bit(unsigned int reg, uint8_t vector, bool on)
{
    uint32_t *p = &page[(reg + vector / 32) * 4];

    *p = on ? *p | 1u << vector % 32 : *p & ~(1u << vector % 32);
}

/* PPR virtualization, 30.1.3. */
static void cpu_ppr(void)
{
    uint8_t tpr = page[APIC_TPR * 4];

    page[APIC_PPR * 4] = tpr >> 4 >= svi >> 4 ? tpr : svi & 0xf0;
}

/* VM entry, 27.3.2.5. */
static void cpu_enter(void)
{
    struct vlapic_entry e;

    if (vlapic_page_stale(s)) {
        vlapic_page_enter(s, &e);
        rvi = e.requested;
        if (e.whole)
            svi = e.in_service;
    }
    cpu_ppr();
}

/* Virtual-interrupt delivery, 30.2.2: the vector, or -1. */
static int cpu_take(void)
{
    uint8_t vector = rvi;

    if (rvi >> 4 <= (page[APIC_PPR * 4] & 0xff) >> 4)
        return -1;
    put_bit(APIC_ISR, vector, true);
    svi = vector;
    page[APIC_PPR * 4] = vector & 0xf0;
    put_bit(APIC_IRR, vector, false);
    rvi = highest(APIC_IRR);
    return vector;
}

/* EOI virtualization, 30.1.4. */
static void cpu_eoi(void)
{
    uint8_t vector = svi;

    eoi_exit = -1;
    put_bit(APIC_ISR, vector, false);
    svi = highest(APIC_ISR);
    cpu_ppr();
    if (page[(APIC_TMR + vector / 32) * 4] >> vector % 32 & 1) {
        eoi_exit = vector;
        vlapic_page_exit(s);
        vlapic_page_eoi(v, vector);
    }
}

static void cpu_write(unsigned int reg, uint32_t val)
{
    page[reg * 4] = val;
    vlapic_page_exit(s);
    vlapic_page_written(v, reg * 16);
}

static void test_delivery(void **state)
{
    vlapic_set_irq(v, 0x41, false);
    assert_int_equal(take_interrupt(v), -1); /* that is not for us to do */
    cpu_enter();
    assert_true(s->live);
    assert_int_equal(cpu_take(), 0x41);
    vlapic_set_irq(v, 0x83, false);
    vlapic_set_irq(v, 0x42, false);
    assert_int_equal(fake_kicks,
                     3); /* also for one that is not above what is in service */
    cpu_enter();
    assert_int_equal(svi, 0x41);
    assert_int_equal(cpu_take(), 0x83);
    assert_int_equal(cpu_take(), -1);
    cpu_eoi();
    assert_int_equal(cpu_take(), -1);
    cpu_eoi();
    assert_int_equal(cpu_take(), 0x42);
    cpu_eoi();
    assert_int_equal(rvi, 0);
    assert_int_equal(svi, 0);
}

static void test_pull(void **state)
{
    vlapic_set_irq(v, 0x41, false);
    vlapic_set_irq(v, 0x83, false);
    cpu_enter();
    assert_int_equal(cpu_take(), 0x83);
    assert_int_equal(apic_read(v, APIC_PPR),
                     0x80); /* an access that the processor leaves */
    assert_false(s->live);
    assert_int_equal(apic_read(v, APIC_ISR + 4), 0x8);
    assert_int_equal(apic_read(v, APIC_IRR + 2), 0x2);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(apic_read(v, APIC_ISR + 4), 0);
    cpu_enter();
    assert_int_equal(svi, 0);
    assert_int_equal(cpu_take(), 0x41);
    /* An EOI of ours while it is live. */
    vlapic_eoi(s);
    cpu_enter();
    assert_int_equal(svi, 0);
    assert_int_equal(highest(APIC_ISR), 0);
}

/* A vector of Hyper-V's automatic EOI must not get into service: the processor does not
 * see it, we deliver it. */
static void test_auto_eoi(void **state)
{
    s->auto_eoi[1] = BIT(0x61 & 63);
    vlapic_set_irq(v, 0x61, false);
    vlapic_set_irq(v, 0x51, false);
    cpu_enter();
    assert_int_equal(take_interrupt(v), 0x61);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(cpu_take(), 0x51);
    vlapic_set_irq(v, 0x61, false);
    cpu_enter();
    assert_int_equal(highest(APIC_IRR), 0);
    assert_int_equal(take_interrupt(v), 0x61);
    /* Not above what is in service. */
    s->auto_eoi[1] |= BIT(0x55 & 63);
    vlapic_set_irq(v, 0x55, false);
    cpu_enter();
    assert_int_equal(take_interrupt(v), -1);
    cpu_eoi();
    assert_int_equal(take_interrupt(v), 0x55);
    assert_int_equal(highest(APIC_ISR), 0);
    /* In HLT it wakes, too. */
    vlapic_set_irq(v, 0x61, false);
    assert_true(hvm_interrupt_pending(v));
}

static void test_wake(void **state)
{
    assert_false(hvm_interrupt_pending(v));
    vlapic_set_irq(v, 0x41, false);
    assert_true(hvm_interrupt_pending(v));
    cpu_enter();
    assert_true(hvm_interrupt_pending(v)); /* in the page, not taken */
    cpu_enter();
    assert_int_equal(cpu_take(), 0x41);
    assert_false(hvm_interrupt_pending(v));
    vlapic_set_irq(v, 0x42, false);
    assert_false(hvm_interrupt_pending(v)); /* below what is in service */
    assert_false(vlapic_tpr_blocks(v));
}

static void test_tpr(void **state)
{
    page[APIC_TPR * 4] = 0x57;
    cpu_ppr();
    vlapic_page_exit(s);
    assert_int_equal(vlapic_get_tpr(v), 5);
    assert_int_equal(apic_read(v, APIC_TPR), 0x57);
    vlapic_set_irq(v, 0x55, false);
    cpu_enter();
    assert_int_equal(cpu_take(), -1);
    assert_int_equal(page[APIC_PPR * 4], 0x57);
    vlapic_set_tpr(v, 4); /* by an emulated MOV CR8 */
    cpu_enter();
    assert_int_equal(page[APIC_TPR * 4], 0x40);
    assert_int_equal(cpu_take(), 0x55);
}

static void test_coalesced(void **state)
{
    struct apic_msg m = {.dest = 0, .vector = 0x66, .mode = APIC_FIXED};

    assert_int_equal(vlapic_send(d, &m), APIC_SENT);
    assert_int_equal(vlapic_send(d, &m), APIC_SENT_COALESCED);
    cpu_enter();
    assert_int_equal(vlapic_send(d, &m), APIC_SENT_COALESCED); /* it waits in the page */
    assert_int_equal(cpu_take(), 0x66);
    assert_int_equal(vlapic_send(d, &m), APIC_SENT);
}

/* Of two with the same vector class the one whose PPR is lower gets it. */
static void test_lowest(void **state)
{
    struct apic_msg m = {.dest = 0xff, .vector = 0x31, .mode = APIC_LOWEST};

    vlapic_set_irq(v, 0x91, false);
    cpu_enter();
    assert_int_equal(cpu_take(), 0x91);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(vlapic_send(d, &m), APIC_SENT);
        assert_int_equal(take_interrupt(v1), 0x31);
        apic_write(v1, APIC_EOI, 0);
    }
}

static void test_level(void **state)
{
    ioapic_write_pin(v, 20, 0x8000 | 0x71); /* level, to APIC 0 */
    hvm_callback_gsi_set(d, 20, true);
    cpu_enter();
    assert_int_equal(cpu_take(), 0x71);
    cpu_eoi();
    assert_int_equal(eoi_exit, 0x71);
    cpu_enter(); /* the line is still up */
    assert_int_equal(cpu_take(), 0x71);
    hvm_callback_gsi_set(d, 20, false);
    cpu_eoi();
    assert_int_equal(eoi_exit, 0x71);
    cpu_enter();
    assert_int_equal(cpu_take(), -1);
    /* The same vector by an edge needs no exit. */
    vlapic_set_irq(v, 0x71, false);
    cpu_enter();
    assert_int_equal(cpu_take(), 0x71);
    cpu_eoi();
    assert_int_equal(eoi_exit, -1);
}

/* Posted-interrupt processing, 30.6: what was posted goes into IRR. */
static void cpu_notified(void)
{
    for (unsigned int i = 0; i < 256; i++)
        if (posted[i / 64] >> i % 64 & 1)
            put_bit(APIC_IRR, i, true);
    memset(posted, 0, sizeof(posted));
    rvi = highest(APIC_IRR);
}

static void count_notify(struct vcpu *w)
{
    notified++;
}

static void test_posted(void **state)
{
    struct apic_msg m = {.dest = 0, .vector = 0x66, .mode = APIC_FIXED};

    s->posted = posted;
    hvm_ops->apic_notify = count_notify;
    notified = 0;
    cpu_enter();
    vlapic_set_irq(v, 0x41, false);
    vlapic_set_irq(v, 0xf3, false);
    vlapic_set_irq(v, 0x72, true);
    assert_int_equal(notified, 3);
    assert_int_equal(fake_kicks, 0);
    assert_false(vlapic_page_post(s)); /* the level-triggered one needs an exit */
    cpu_notified();
    assert_int_equal(cpu_take(), 0xf3);
    assert_int_equal(cpu_take(), -1);
    cpu_enter();
    cpu_eoi();
    assert_int_equal(cpu_take(), 0x72);
    cpu_eoi();
    assert_int_equal(eoi_exit, 0x72);
    assert_int_equal(cpu_take(), 0x41);
    cpu_eoi();
    assert_true(vlapic_page_post(s)); /* nothing is there */

    /* Posted too late for guest mode: whoever looks finds it. */
    assert_int_equal(vlapic_send(d, &m), APIC_SENT);
    assert_true(vlapic_page_post(s));
    assert_int_equal(vlapic_send(d, &m), APIC_SENT_COALESCED);
    assert_true(hvm_interrupt_pending(v));
    assert_int_equal(posted[1], 0);
    assert_true(vlapic_page_post(s));
    assert_int_equal(apic_read(v, APIC_IRR + 3), 0x40);
    assert_true(vlapic_page_post(s));
    vlapic_reset(v, true);
    assert_false(hvm_interrupt_pending(v));
    hvm_ops->apic_notify = NULL;
}

static void test_registers(void **state)
{
    cpu_enter();
    assert_int_equal(page[APIC_ID * 4], 0);
    assert_int_equal(page[APIC_VERSION * 4], apic_read(v, APIC_VERSION));
    assert_int_equal(page[APIC_SVR * 4], 0x1ff);
    cpu_enter();
    cpu_write(APIC_LVT_PERF, 0xffffffff);
    assert_int_equal(page[APIC_LVT_PERF * 4], 0x107ff); /* as it reads now */
    cpu_write(APIC_ID, 0x77000000);
    assert_int_equal(page[APIC_ID * 4], 0);
    cpu_write(APIC_LDR, 0xabcdef01);
    assert_int_equal(page[APIC_LDR * 4], 0xab000000);
    cpu_write(APIC_LVT_LINT1, 0x400);
    cpu_write(APIC_SVR, 0xff);
    assert_int_equal(page[APIC_LVT_LINT1 * 4], 0x10400);
    cpu_write(APIC_SVR, 0x1ff);
    cpu_write(APIC_TMICT, 1000);
    assert_int_equal(page[APIC_TMICT * 4], 1000);
    assert_true(s->live); /* none of these needs what is live */
    pass(2 * 1000 * APIC_BUS_NS);
    assert_int_equal(apic_read(v, APIC_TMCCT), 0);
    cpu_write(APIC_TMICT, 0);
    /* One that is not there. */
    cpu_write(0x3a, 1);
    cpu_write(APIC_ESR, 0);
    assert_int_equal(page[APIC_ESR * 4], APIC_ESR_REGISTER);
    vlapic_page_written(v, 0xff0);
}

/* The high half of ICR makes no exit. */
static void test_icr(void **state)
{
    cpu_enter();
    page[APIC_ICR2 * 4] = 2u << 24;
    cpu_write(APIC_ICR, 0x1000 | 0x4000 | 0x35);
    assert_int_equal(take_interrupt(v1), 0x35);
    assert_int_equal(page[APIC_ICR * 4], 0x4035); /* the status is idle */
    assert_true(s->live);
    page[APIC_ICR * 4] = 0x40044; /* to itself: the processor sends it */
    assert_int_equal(apic_read(v, APIC_ICR), 0x40044);
    assert_int_equal(apic_read(v, APIC_ICR2), 2u << 24);
    cpu_enter();
    cpu_write(APIC_SELF_IPI, 3);
    cpu_write(APIC_ESR, 0);
    assert_int_equal(page[APIC_ESR * 4], APIC_ESR_SEND_VECTOR);
}

static void test_modes(void **state)
{
    uint64_t base, val;
    unsigned int before;

    vlapic_set_irq(v, 0x41, false);
    cpu_enter();
    before = mode_changes;
    assert_int_equal(hvm_rdmsr(v, 0x1b, &base), 0);
    assert_int_equal(hvm_wrmsr(v, 0x1b, base | 0x400), 0);
    assert_int_equal(mode_changes, before + 1);
    assert_int_equal(page[APIC_LDR * 4], 1);
    cpu_enter();
    assert_int_equal(cpu_take(), 0x41); /* pending interrupts stay */
    assert_int_equal(hvm_wrmsr(v, 0x830, 2ull << 32 | 0x37), 0);
    assert_int_equal(take_interrupt(v1), 0x37);
    assert_int_equal(hvm_rdmsr(v, 0x830, &val), 0);
    assert_int_equal(val, 2ull << 32 | 0x37);
    /* Disabled: nothing is left. */
    vlapic_set_irq(v, 0x42, false);
    cpu_enter();
    assert_int_equal(hvm_wrmsr(v, 0x1b, base & ~0xc00ull), 0);
    cpu_enter();
    assert_int_equal(rvi, 0);
    assert_int_equal(svi, 0);
    assert_int_equal(cpu_take(), -1);
    assert_int_equal(highest(APIC_ISR), 0);
}

/* The same interrupts to a local APIC of each kind: the same vectors come out. */
static void test_beside_software(void **state)
{
    struct vlapic *soft = v1->hvm->vlapic;
    uint32_t seed = 1;
    unsigned int taken = 0;

    for (unsigned int i = 0; i < 200000; i++) {
        uint8_t vector;
        int a, b;

        seed = seed * 1103515245 + 12345;
        vector = 16 + (seed >> 8) % 240;
        switch (seed >> 28) {
        case 0 ... 4:
            vlapic_set_irq(v, vector, seed >> 27 & 1);
            vlapic_set_irq(v1, vector, seed >> 27 & 1);
            break;
        case 5 ... 8:
            cpu_enter();
            a = cpu_take();
            b = take_interrupt(v1);
            assert_int_equal(a, b);
            taken += a >= 0;
            break;
        case 9 ... 12:
            cpu_enter();
            if (!svi)
                break;
            cpu_eoi();
            vlapic_eoi(soft);
            break;
        case 13:
            cpu_enter();
            page[APIC_TPR * 4] = seed >> 9 & 0xff;
            vlapic_page_exit(s);
            vlapic_set_tpr_byte(soft, seed >> 9);
            break;
        case 14:
            assert_int_equal(hvm_interrupt_pending(v), hvm_interrupt_pending(v1));
            break;
        case 15:
            assert_int_equal(apic_read(v, APIC_PPR), apic_read(v1, APIC_PPR));
            for (unsigned int reg = APIC_ISR; reg < APIC_ESR; reg++)
                assert_int_equal(apic_read(v, reg), apic_read(v1, reg));
            break;
        }
    }
    assert_true(taken > 10000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(delivery),  T(pull),   T(auto_eoi),        T(wake),  T(tpr),
        T(coalesced), T(posted), T(lowest),          T(level), T(registers),
        T(icr),       T(modes),  T(beside_software),
    };

    return cmocka_run_group_tests_name("vlapic_page", tests, NULL, NULL);
}
