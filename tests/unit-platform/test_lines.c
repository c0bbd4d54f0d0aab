/* Interrupt lines, PICs and I/O APIC: Intel 8259A and 82093AA data sheets, PIIX ELCR.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"

static struct domain *d;
static struct vcpu *v, *v1;

static int setup(void **state)
{
    d = guest_create(2, GUEST_HVM);
    v = d->vcpus[0];
    v1 = d->vcpus[1];
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    return 0;
}

/* As firmware does: vectors 0x20 and 0x28, all inputs unmasked but those of `mask`. */
static void pics_on(uint16_t mask)
{
    static const uint8_t icw[2][4] = {{0x11, 0x20, 0x04, 0x01}, {0x11, 0x28, 0x02, 0x01}};

    for (unsigned int i = 0; i < 2; i++) {
        uint16_t port = i ? 0xa0 : 0x20;

        out8(v, port, icw[i][0]);
        for (unsigned int n = 1; n < 4; n++)
            out8(v, port + 1, icw[i][n]);
        out8(v, port + 1, mask >> i * 8);
    }
}

static void pulse(unsigned int irq)
{
    hvm_isa_irq_set(d, irq, true);
    hvm_isa_irq_set(d, irq, false);
}

static void test_pic_edge(void **state)
{
    pics_on(0);
    assert_int_equal(in8(v, 0x21), 0);
    assert_int_equal(take_interrupt(v), -1);
    fake_kicks = 0;
    pulse(1);
    assert_int_equal(fake_kicks, 1);
    assert_int_equal(in8(v, 0x20), 0x02); /* IRR */
    assert_int_equal(take_interrupt(v1), -1);
    assert_int_equal(take_interrupt(v), 0x21);
    assert_int_equal(in8(v, 0x20), 0);
    out8(v, 0x20, 0x0b); /* read ISR */
    assert_int_equal(in8(v, 0x20), 0x02);
    pulse(3); /* lower priority waits for the EOI */
    assert_int_equal(take_interrupt(v), -1);
    pulse(0); /* higher does not */
    assert_int_equal(take_interrupt(v), 0x20);
    out8(v, 0x20, 0x20);
    out8(v, 0x20, 0x20);
    assert_int_equal(take_interrupt(v), 0x23);
    out8(v, 0x20, 0x63); /* specific EOI */
    assert_int_equal(in8(v, 0x20), 0);
}

static void test_pic_cascade(void **state)
{
    pics_on(0);
    pulse(12);
    assert_int_equal(take_interrupt(v), 0x2c);
    out8(v, 0x20, 0x0b);
    out8(v, 0xa0, 0x0b);
    assert_int_equal(in8(v, 0x20), 0x04);
    assert_int_equal(in8(v, 0xa0), 0x10);
    pulse(8); /* of higher priority in the slave: the master blocks it ... */
    assert_int_equal(take_interrupt(v), -1);
    out8(v, 0xa0, 0x20);
    out8(v, 0x20, 0x20);
    assert_int_equal(take_interrupt(v), 0x28);
    out8(v, 0xa0, 0x20);
    out8(v, 0x20, 0x20);
    /* ... unless it is in special fully nested mode. */
    out8(v, 0x20, 0x11);
    out8(v, 0x21, 0x20);
    out8(v, 0x21, 0x04);
    out8(v, 0x21, 0x11);
    out8(v, 0x21, 0x00);
    pulse(12);
    assert_int_equal(take_interrupt(v), 0x2c);
    pulse(8);
    assert_int_equal(take_interrupt(v), 0x28);
}

static void test_pic_mask(void **state)
{
    pics_on(0xffff);
    pulse(4);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(in8(v, 0x20), 0x10); /* latched all the same */
    out8(v, 0x21, 0xef);
    assert_int_equal(take_interrupt(v), 0x24);
}

static void test_pic_spurious(void **state)
{
    struct hvm_intack ack;

    pics_on(0);
    pulse(4);
    ack = hvm_intr_pending(v);
    assert_int_equal(ack.source, INTACK_PIC);
    out8(v, 0x21, 0xff); /* masked between INT and INTA */
    assert_int_equal(hvm_intr_ack(v, ack), 0x27);
    out8(v, 0x20, 0x0b);
    assert_int_equal(in8(v, 0x20), 0); /* no EOI is due */
}

static void test_pic_level(void **state)
{
    pics_on(0);
    out8(v, 0x4d0, 0xff);
    out8(v, 0x4d1, 0xff);
    assert_int_equal(in8(v, 0x4d0), 0xf8); /* 0, 1, 2 are edge */
    assert_int_equal(in8(v, 0x4d1), 0xde); /* 8, 13 too */
    hvm_isa_irq_set(d, 5, true);
    assert_int_equal(take_interrupt(v), 0x25);
    out8(v, 0x20, 0x20);
    assert_int_equal(take_interrupt(v), 0x25); /* still up */
    hvm_isa_irq_set(d, 5, false);
    out8(v, 0x20, 0x20);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_pic_auto_eoi_rotation(void **state)
{
    pics_on(0);
    out8(v, 0x20, 0x11);
    out8(v, 0x21, 0x20);
    out8(v, 0x21, 0x04);
    out8(v, 0x21, 0x03); /* AEOI */
    out8(v, 0x20, 0x80); /* rotate on AEOI */
    pulse(3);
    assert_int_equal(take_interrupt(v), 0x23);
    out8(v, 0x20, 0x0b);
    assert_int_equal(in8(v, 0x20), 0);
    pulse(3); /* now the lowest */
    pulse(6);
    assert_int_equal(take_interrupt(v), 0x26);
    assert_int_equal(take_interrupt(v), 0x23);
    /* Set priority: 5 lowest, so 6 highest. */
    out8(v, 0x20, 0x00);
    out8(v, 0x20, 0xc5);
    pulse(0);
    pulse(6);
    assert_int_equal(take_interrupt(v), 0x26);
}

static void test_pic_rotate_on_eoi(void **state)
{
    pics_on(0);
    pulse(1);
    assert_int_equal(take_interrupt(v), 0x21);
    out8(v, 0x20, 0xa0); /* rotate on non-specific EOI: 1 becomes the lowest */
    pulse(1);
    pulse(0);
    assert_int_equal(take_interrupt(v), 0x20); /* 0 is the last but one */
    out8(v, 0x20, 0xe1);                       /* specific, nothing in service for 1 */
    out8(v, 0x20, 0x60);
    assert_int_equal(take_interrupt(v), 0x21);
}

static void test_pic_special_mask_and_poll(void **state)
{
    pics_on(0);
    pulse(3);
    assert_int_equal(take_interrupt(v), 0x23);
    out8(v, 0x20, 0x68); /* special mask mode */
    out8(v, 0x21, 0x08); /* 3 masked: it blocks no more */
    pulse(5);
    assert_int_equal(take_interrupt(v), 0x25);
    out8(v, 0x20, 0x65);
    out8(v, 0x20, 0x48);
    out8(v, 0x20, 0x63);
    out8(v, 0x21, 0x00);
    pulse(6);
    out8(v, 0x20, 0x0c); /* poll */
    assert_int_equal(in8(v, 0x20), 0x86);
    assert_int_equal(take_interrupt(v), -1); /* acknowledged */
    out8(v, 0x20, 0x20);
    out8(v, 0x20, 0x0c);
    assert_int_equal(in8(v, 0x20), 0);
}

static void test_pic_word_access(void **state)
{
    uint32_t val;

    pics_on(0xa55a);
    assert_true(platform_port_read(v, 0x20, 2, &val));
    assert_int_equal(val, 0x5a00);
    assert_true(platform_port_write(v, 0x20, 2, 0x3320)); /* EOI, mask */
    assert_int_equal(in8(v, 0x21), 0x33);
    assert_false(platform_port_read(v, 0x22, 1, &val));
}

static void test_virtual_wire(void **state)
{
    pics_on(0);
    apic_enable(v);
    apic_enable(v1);
    apic_write(v, APIC_LVT_LINT0, 0x10700);
    pulse(4);
    assert_int_equal(take_interrupt(v), -1); /* nobody's */
    apic_write(v1, APIC_LVT_LINT0, 0x700);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(take_interrupt(v1), 0x24);
    out8(v, 0x20, 0x20);
    apic_write(v1, APIC_LVT_LINT0, 0x10700);
    /* Through I/O APIC pin 0 in ExtINT mode. */
    ioapic_write_pin(v, 0, 0x700 | 2ull << 56);
    pulse(5);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(take_interrupt(v1), 0x25);
    out8(v, 0x20, 0x20);
    ioapic_write_pin(v, 0, 0x10700 | 2ull << 56);
    /* An APIC that is off is as good as none. */
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00100), 0);
    pulse(5);
    assert_int_equal(take_interrupt(v), 0x25);
}

/*
 * I/O APIC.
 */
static uint32_t ioapic_read(unsigned int reg)
{
    mmio_write(v, VIOAPIC_BASE, 4, reg);
    return mmio_read(v, VIOAPIC_BASE + 0x10, 4);
}

static void test_ioapic_registers(void **state)
{
    assert_int_equal(ioapic_read(1), 0x2f0020); /* 48 pins */
    mmio_write(v, VIOAPIC_BASE, 4, 0);
    mmio_write(v, VIOAPIC_BASE + 0x10, 4, 0xffffffff);
    assert_int_equal(ioapic_read(0), 0x0f000000);
    assert_int_equal(ioapic_read(2), 0x0f000000);
    assert_int_equal(ioapic_read(0x10), 0x10000); /* masked at reset */
    ioapic_write_pin(v, 5, ~0ull);
    assert_int_equal(ioapic_read(0x1a), 0x1afff); /* status bits are read-only */
    assert_int_equal(ioapic_read(0x10 + 2 * 48), 0);
    assert_int_equal(ioapic_read(0xff), 0);
    mmio_write(v, VIOAPIC_BASE + 0x10, 4, 0);
}

static void test_ioapic_edge(void **state)
{
    apic_enable(v1);
    ioapic_write_pin(v, 4, 0x10000 | 0x44 | 2ull << 56);
    pulse(4); /* masked: lost */
    ioapic_write_pin(v, 4, 0x44 | 2ull << 56);
    assert_int_equal(take_interrupt(v1), -1);
    hvm_isa_irq_set(d, 4, true);
    assert_int_equal(take_interrupt(v1), 0x44);
    apic_write(v1, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v1), -1); /* no new edge */
    hvm_isa_irq_set(d, 4, false);
    hvm_isa_irq_set(d, 4, true);
    assert_int_equal(take_interrupt(v1), 0x44);
    assert_int_equal(ioapic_read(0x18), 0x44);
}

static void test_ioapic_timer_pin(void **state)
{
    apic_enable(v);
    ioapic_write_pin(v, 2, 0x31);
    ioapic_write_pin(v, 0, 0x30);
    pulse(0);
    assert_int_equal(take_interrupt(v), 0x31); /* IRQ 0 is pin 2 */
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_ioapic_level(void **state)
{
    apic_enable(v);
    ioapic_write_pin(v, 20, 0x8000 | 0x55);
    hvm_callback_gsi_set(d, 20, true);
    assert_int_equal(ioapic_read(0x38), 0xc055); /* remote IRR */
    assert_int_equal(take_interrupt(v), 0x55);
    assert_int_equal(apic_read(v, APIC_TMR + 2), 1u << 0x15);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), 0x55); /* still up */
    hvm_callback_gsi_set(d, 20, false);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(ioapic_read(0x38), 0x8055);
    /* Up while masked, then unmasked. */
    ioapic_write_pin(v, 20, 0x18055);
    hvm_callback_gsi_set(d, 20, true);
    assert_int_equal(take_interrupt(v), -1);
    ioapic_write_pin(v, 20, 0x8055);
    assert_int_equal(take_interrupt(v), 0x55);
    /* The EOI register does as well as the local APIC's. */
    hvm_callback_gsi_set(d, 20, false);
    mmio_write(v, VIOAPIC_BASE + 0x40, 4, 0x55);
    assert_int_equal(ioapic_read(0x38), 0x8055);
    /* Switched to edge and back: how kernels clear a stuck remote IRR. */
    hvm_callback_gsi_set(d, 20, true);
    assert_int_equal(ioapic_read(0x38), 0xc055);
    ioapic_write_pin(v, 20, 0x10055);
    assert_int_equal(ioapic_read(0x38), 0x10055);
}

static void test_ioapic_logical(void **state)
{
    apic_enable(v);
    apic_enable(v1);
    apic_write(v, APIC_LDR, 1u << 24);
    apic_write(v1, APIC_LDR, 2u << 24);
    ioapic_write_pin(v, 9, 0x0800 | 0x66 | 3ull << 56);
    pulse(9);
    assert_int_equal(take_interrupt(v), 0x66);
    assert_int_equal(take_interrupt(v1), 0x66);
    apic_write(v, APIC_TPR, 0x70);
    ioapic_write_pin(v, 10, 0x0900 | 0x77 | 3ull << 56);
    pulse(10);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(take_interrupt(v1), 0x77);
    ioapic_write_pin(v, 11, 0x0400); /* NMI */
    pulse(11);
    assert_true(v->hvm->nmi_pending);
}

static void test_shared_line(void **state)
{
    apic_enable(v);
    ioapic_write_pin(v, 11, 0x8000 | 0x4b);
    assert_int_equal(hvm_pci_link_route(d, 1, 11), 0);
    hvm_isa_irq_set(d, 11, true);
    hvm_pci_intx_set(d, 1, 0, true); /* link 1 */
    hvm_pci_intx_set(d, 5, 0, true); /* link 1 too */
    assert_int_equal(take_interrupt(v), 0x4b);
    hvm_isa_irq_set(d, 11, false);
    hvm_pci_intx_set(d, 1, 0, false);
    hvm_pci_intx_set(d, 1, 0, false);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), 0x4b); /* device 5 holds it */
    hvm_pci_intx_set(d, 5, 0, false);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
}

static void test_pci_routing(void **state)
{
    apic_enable(v);
    /* GSI of device 3 INTB: ((3 << 2) + (3 >> 3) + 1 & 31) + 16 = 29 */
    ioapic_write_pin(v, 29, 0x8000 | 0x9d);
    hvm_pci_intx_set(d, 3, 1, true);
    assert_int_equal(take_interrupt(v), 0x9d);
    /* Link (3 + 1) & 3 = 0, routed while the line is up. */
    ioapic_write_pin(v, 29, 0x10000);
    apic_write(v, APIC_EOI, 0);
    ioapic_write_pin(v, 10, 0x8000 | 0x4a);
    assert_int_equal(hvm_pci_link_route(d, 0, 10), 0);
    assert_int_equal(take_interrupt(v), 0x4a);
    hvm_isa_irq_set(d, 10, true);
    assert_int_equal(hvm_pci_link_route(d, 0, 0), 0);
    assert_true(platform_gsi_level(d, 10));
    hvm_isa_irq_set(d, 10, false);
    apic_write(v, APIC_EOI, 0);
    assert_int_equal(take_interrupt(v), -1);
    hvm_pci_intx_set(d, 3, 1, false);
    assert_int_equal(hvm_pci_link_route(d, 4, 10), -EINVAL);
    assert_int_equal(hvm_pci_link_route(d, 0, 16), -EINVAL);
    /* Nonsense from a device model. */
    hvm_pci_intx_set(d, 32, 0, true);
    hvm_pci_intx_set(d, 0, 4, true);
    hvm_isa_irq_set(d, 16, true);
    hvm_isa_irq_set(d, 2, true);
    hvm_callback_gsi_set(d, 48, true);
    hvm_callback_gsi_set(d, ~0u, true);
    for (unsigned int gsi = 0; gsi < PLATFORM_NR_GSIS; gsi++)
        assert_false(platform_gsi_level(d, gsi));
}

static void test_reset(void **state)
{
    pics_on(0);
    apic_enable(v);
    ioapic_write_pin(v, 20, 0x8000 | 0x55);
    hvm_callback_gsi_set(d, 20, true);
    hvm_isa_irq_set(d, 5, true);
    hvm_pci_link_route(d, 1, 11);
    platform_domain_reset(d);
    vlapic_reset(v, false);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(in8(v, 0x21), 0xff);
    assert_int_equal(ioapic_read(0x38), 0x10000);
    /* Whoever holds a line up was not reset; the board's wiring stays. */
    assert_true(platform_gsi_level(d, 20));
    assert_true(platform_gsi_level(d, 5));
    assert_int_equal(d->hvm->pci_link_route[1], 11);
    hvm_callback_gsi_set(d, 20, false);
    hvm_isa_irq_set(d, 5, false);
    assert_false(platform_gsi_level(d, 20));
    assert_false(platform_gsi_level(d, 5));
    /* And a new edge comes through. */
    pics_on(0);
    hvm_isa_irq_set(d, 5, true);
    assert_int_equal(take_interrupt(v), 0x25);
}

/*
 * Dom0 has the machine's I/O APICs.
 */
static void test_dom0(void **state)
{
    struct domain *zero;
    struct vcpu *w;

    acpi.ioapic_count = 2;
    acpi.ioapic[0].id = 8;
    acpi.ioapic[0].maddr = 0xfec00000;
    acpi.ioapic[0].gsi_base = 0;
    acpi.ioapic[1].id = 9;
    acpi.ioapic[1].maddr = 0xfec01000;
    acpi.ioapic[1].gsi_base = 24;
    zero = guest_create(2, XEN_X86_EMU_LAPIC | XEN_X86_EMU_IOAPIC | XEN_X86_EMU_VPCI);
    w = zero->vcpus[0];
    apic_enable(w);
    assert_int_equal(mmio_read(w, 0xfec00000, 4), 0);
    mmio_write(w, 0xfec01000, 4, 1);
    assert_int_equal(mmio_read(w, 0xfec01010, 4), 31u << 16 | 0x20);
    mmio_write(w, 0xfec00000, 4, 1);
    assert_int_equal(mmio_read(w, 0xfec00010, 4), 23u << 16 | 0x20);
    fake_gsi_updates = fake_gsi_eois = 0;
    mmio_write(w, 0xfec01000, 4, 0x10 + 2 * 3);
    mmio_write(w, 0xfec01010, 4, 0x8000 | 0x99);
    assert_int_equal(fake_gsi_updates, 1);
    assert_int_equal(fake_last_gsi, 27);
    assert_int_equal(fake_last_rte, 0x8099);
    vlapic_set_irq(w, 0x99, true);
    assert_int_equal(take_interrupt(w), 0x99);
    apic_write(w, APIC_EOI, 0);
    assert_int_equal(fake_gsi_eois, 1);
    assert_int_equal(fake_last_gsi, 27);
    vlapic_set_irq(w, 0x99, false); /* edge: no EOI message */
    assert_int_equal(take_interrupt(w), 0x99);
    apic_write(w, APIC_EOI, 0);
    assert_int_equal(fake_gsi_eois, 1);
    hvm_callback_gsi_set(zero, 27, true); /* its pins are not ours to raise */
    assert_int_equal(take_interrupt(w), -1);
    assert_false(platform_port_claimed(w, 0x20));
    vlapic_set_initial_id(zero->vcpus[1], 1);
    assert_int_equal(vlapic_id(zero->vcpus[1]), 1);
    guest_destroy(zero);
}

/* A line that a guest made a PIRQ: its edges go to the port, not to the I/O APIC. */
static void test_pirq(void **state)
{
    int first = vpirq_get_free(d), second = vpirq_get_free(d);

    assert_true(first > 0 && second > 0 && first != second);
    assert_int_equal(vpirq_map(d, -1, 20), -EINVAL);
    assert_int_equal(vpirq_map(d, EVTCHN_NR_PIRQS, 20), -EINVAL);
    assert_int_equal(vpirq_map(d, first, 48), -EINVAL);
    assert_int_equal(vpirq_map(d, first, -1), -EINVAL);
    assert_int_equal(vpirq_map(d, first, 20), 0);
    assert_int_equal(vpirq_map(d, second, 20), 0); /* too late, and no error */
    assert_true(vpirq_is_mapped(d, first));
    assert_false(vpirq_is_mapped(d, second));
    assert_false(vpirq_is_mapped(d, 0));
    assert_false(vpirq_is_mapped(d, ~0u));

    apic_enable(v);
    ioapic_write_pin(v, 20, 0x8000 | 0x55);
    fake_pirqs_sent = 0;
    hvm_pci_intx_set(d, 1, 0, true); /* not bound: the I/O APIC's. GSI 20 */
    assert_int_equal(take_interrupt(v), 0x55);
    assert_int_equal(fake_pirqs_sent, 0);
    hvm_pci_intx_set(d, 1, 0, false);
    apic_write(v, APIC_EOI, 0);

    fake_bound_pirq = first;
    hvm_pci_intx_set(d, 1, 0, true);
    assert_int_equal(take_interrupt(v), -1);
    assert_int_equal(fake_pirqs_sent, 1);
    assert_int_equal(vpirq_eoi(d, first), 0); /* still up: again */
    assert_int_equal(fake_pirqs_sent, 2);
    hvm_pci_intx_set(d, 1, 0, false);
    assert_int_equal(vpirq_eoi(d, first), 0);
    assert_int_equal(vpirq_eoi(d, ~0u), -EINVAL);
    assert_int_equal(fake_pirqs_sent, 2);
    /* The callback line moves while an event is raised: another raises what it noted. */
    hvm_callback_gsi_set(d, 20, true);
    assert_int_equal(fake_pirqs_sent, 2);
    pulse(3);
    assert_int_equal(fake_pirqs_sent, 3);
    hvm_callback_gsi_set(d, 20, false);

    assert_int_equal(vpirq_unmap(d, first), 0);
    assert_int_equal(vpirq_unmap(d, EVTCHN_NR_PIRQS), -EINVAL);
    assert_int_equal(vpirq_get_free(d), second + 1); /* `first` is still bound */
    hvm_pci_intx_set(d, 1, 0, true);
    assert_int_equal(take_interrupt(v), 0x55);
    for (int i = 0; i < EVTCHN_NR_PIRQS; i++)
        (void)vpirq_get_free(d);
    assert_int_equal(vpirq_get_free(d), -ENOSPC);
    fake_bound_pirq = 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(pic_edge),
        T(pic_cascade),
        T(pic_mask),
        T(pic_spurious),
        T(pic_level),
        T(pic_auto_eoi_rotation),
        T(pic_rotate_on_eoi),
        T(pic_special_mask_and_poll),
        T(pic_word_access),
        T(virtual_wire),
        T(ioapic_registers),
        T(ioapic_edge),
        T(ioapic_timer_pin),
        T(ioapic_level),
        T(ioapic_logical),
        T(shared_line),
        T(pci_routing),
        T(reset),
        T(pirq),
        cmocka_unit_test(test_dom0),
    };

    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
