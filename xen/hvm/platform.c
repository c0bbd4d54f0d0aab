/* The platform of a guest: which device sits where, and its interrupt lines.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines: ISA interrupts 0 .. 15 lead to the PICs and to I/O APIC pins of the same number,
 * but for IRQ 0, which is pin 2 (as every PC's MADT says). PCI INTx of device d leads to
 * the GSI that hvmloader's tables name and, through one of four links, to an ISA
 * interrupt. Several sources may hold one line up: it falls when the last lets go.
 */
#include "hvm/platform_device.h"
#include "hvm/vpirq.h"
#include "hvm/vioapic.h"
#include "hvm/vpic.h"
#include "hvm/vpit.h"
#include "hvm/vrtc.h"
#include "hvm/vhpet.h"
#include "hvm/vpmtimer.h"
#include "hvm/mtrr.h"
#include "hvm/synic.h"
#include "hvm/viridian.h"
#include "hvm/cpuid.h"
#include "hvm/vlapic.h"
#include "cpu/percpu.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "domain/sched.h"
#include <xen/hvm/params.h>

/*
 * Ports.
 */
static inline const struct port_handler *find_port(const struct platform *p,
                                                   uint16_t port)
{
    const uint8_t *page = READ_ONCE(p->port_page[port >> 8]);
    unsigned int n = page ? READ_ONCE(page[port & 0xff]) : 0;

    return n ? &p->port[n - 1] : NULL;
}

static inline bool takes(const struct port_handler *h, uint16_t port, unsigned int bytes)
{
    return bytes <= h->max_bytes && port + bytes - 1u <= h->last;
}

bool platform_port_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    const struct platform *p = v->domain->hvm->platform;
    const struct port_handler *h = find_port(p, port);
    uint32_t byte;

    if (!h)
        return false;
    if (likely(takes(h, port, bytes)))
        return h->read(v, port, bytes, val);
    /* Wider than the device: the bus makes single bytes of it. */
    *val = 0;
    for (unsigned int i = 0; i < bytes; i++) {
        byte = 0xff;
        h = find_port(p, port + i);
        if (h && !h->read(v, port + i, 1, &byte))
            return false;
        *val |= (byte & 0xff) << i * 8;
    }
    return true;
}

bool platform_port_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    const struct platform *p = v->domain->hvm->platform;
    const struct port_handler *h = find_port(p, port);
    bool taken = true;

    if (!h)
        return false;
    if (likely(takes(h, port, bytes)))
        return h->write(v, port, bytes, val);
    for (unsigned int i = 0; i < bytes; i++) {
        h = find_port(p, port + i);
        if (h && !h->write(v, port + i, 1, val >> i * 8 & 0xff))
            taken = false;
    }
    return taken;
}

bool platform_port_claimed(struct vcpu *v, uint16_t port)
{
    return find_port(v->domain->hvm->platform, port);
}

int platform_add_ports(struct domain *d, const struct port_handler *h)
{
    struct platform *p = d->hvm->platform;
    unsigned int slot;
    int rc = -ENOSPC;

    spin_lock(&p->port_lock);
    for (slot = 0; slot < p->nr_ports && p->port[slot].max_bytes; slot++)
        ;
    if (slot == PLATFORM_PORTS)
        goto out;
    rc = -ENOMEM;
    for (unsigned int page = h->first >> 8; page <= h->last >> 8u; page++) {
        uint8_t *table = p->port_page[page] ? p->port_page[page] : zalloc(256);

        if (!table)
            goto out;
        WRITE_ONCE(p->port_page[page], table);
    }
    p->port[slot] = *h;
    p->nr_ports = max(p->nr_ports, slot + 1);
    barrier(); /* the handler is there before the table names it */
    for (unsigned int port = h->first; port <= h->last; port++)
        WRITE_ONCE(p->port_page[port >> 8][port & 0xff], slot + 1);
    rc = 0;
out:
    spin_unlock(&p->port_lock);
    return rc;
}

/* Another vCPU may be about to call the handler: its functions stay until the slot is
 * used again. */
void platform_remove_ports(struct domain *d, uint16_t first)
{
    struct platform *p = d->hvm->platform;
    unsigned int slot;

    spin_lock(&p->port_lock);
    slot = p->port_page[first >> 8] ? p->port_page[first >> 8][first & 0xff] : 0;
    if (slot && p->port[slot - 1].first == first) {
        struct port_handler *h = &p->port[slot - 1];

        for (unsigned int port = h->first; port <= h->last; port++)
            WRITE_ONCE(p->port_page[port >> 8][port & 0xff], 0);
        h->max_bytes = 0;
    }
    spin_unlock(&p->port_lock);
}

/*
 * MMIO.
 */
const struct mmio_handler *platform_mmio_find(struct vcpu *v, uint64_t gpa)
{
    const struct platform *p = v->domain->hvm->platform;
    const struct vlapic *s = v->hvm->vlapic;
    unsigned int low = 0, high = p->nr_mmios;

    if (gpa - s->mmio.gpa < PAGE_SIZE && s->hw_enabled && !s->x2apic)
        return &s->mmio;
    while (low < high) {
        unsigned int mid = (low + high) / 2;
        const struct mmio_handler *h = &p->mmio[mid];

        if (gpa - h->gpa < h->bytes)
            return !h->active || h->active(v) ? h : NULL;
        if (gpa < h->gpa)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* Before the domain runs. */
int platform_add_mmio(struct domain *d, const struct mmio_handler *h)
{
    struct platform *p = d->hvm->platform;
    unsigned int i = p->nr_mmios;

    if (i == PLATFORM_MMIOS)
        return -ENOSPC;
    while (i > 0 && p->mmio[i - 1].gpa > h->gpa) {
        p->mmio[i] = p->mmio[i - 1];
        i--;
    }
    p->mmio[i] = *h;
    p->nr_mmios++;
    return 0;
}

/*
 * Interrupt lines.
 */

static enum apic_sent line_up(struct domain *d, unsigned int gsi)
{
    struct platform *p = d->hvm->platform;
    enum apic_sent apic = APIC_SENT_NOWHERE, pic = APIC_SENT_NOWHERE;
    int irq = platform_gsi_to_pic(gsi);

    if (p->gsi_count[gsi]++)
        return APIC_SENT_COALESCED;
    if (unlikely(vpirq_edge(d, gsi)))
        apic = APIC_SENT;
    else if (d->hvm->vioapic)
        apic = vioapic_raise(d, gsi);
    if (d->hvm->vpic && irq >= 0)
        pic = vpic_set_line(d, irq, true);
    return max(apic, pic);
}

/* Let irq_lock go after lines were set. */
static void lines_unlock(struct domain *d)
{
    struct platform *p = d->hvm->platform;

    spin_unlock(&p->irq_lock);
    if (unlikely(READ_ONCE(p->pirq_edges)))
        vpirq_raise_edges(d);
}

static void line_down(struct domain *d, unsigned int gsi)
{
    struct platform *p = d->hvm->platform;
    int irq = platform_gsi_to_pic(gsi);

    if (--p->gsi_count[gsi])
        return;
    if (d->hvm->vpic && irq >= 0)
        vpic_set_line(d, irq, false);
}

static void line_set(struct domain *d, unsigned int gsi, bool level)
{
    if (level)
        line_up(d, gsi);
    else
        line_down(d, gsi);
}

static inline unsigned int isa_to_gsi(unsigned int irq)
{
    return irq ? irq : 2;
}

void hvm_isa_irq_set(struct domain *d, unsigned int irq, bool level)
{
    struct platform *p = d->hvm->platform;

    if (irq >= PLATFORM_NR_ISA || irq == 2)
        return; /* IRQ 2 is the slave PIC */
    spin_lock(&p->irq_lock);
    if ((p->isa_level >> irq & 1) != level) {
        p->isa_level ^= 1u << irq;
        line_set(d, isa_to_gsi(irq), level);
    }
    lines_unlock(d);
}

void hvm_callback_gsi_set(struct domain *d, unsigned int gsi, bool level)
{
    struct platform *p = d->hvm->platform;

    if (gsi >= PLATFORM_NR_GSIS)
        return;
    spin_lock(&p->irq_lock);
    if ((p->gsi_level >> gsi & 1) != level) {
        p->gsi_level ^= BIT(gsi);
        line_set(d, gsi, level);
    }
    spin_unlock(&p->irq_lock);
}

/* hvmloader's _PRT: 32 GSIs above the ISA ones. */
static inline unsigned int intx_to_gsi(unsigned int device, unsigned int intx)
{
    return (((device << 2) + (device >> 3) + intx) & 31) + 16;
}

static inline unsigned int intx_to_link(unsigned int device, unsigned int intx)
{
    return (device + intx) & 3;
}

/* irq_lock is held. */
static void pci_intx_set(struct domain *d, unsigned int device, unsigned int intx,
                         bool level)
{
    struct platform *p = d->hvm->platform;
    unsigned int link, route;

    if ((p->pci_level[intx] >> device & 1) != level) {
        p->pci_level[intx] ^= 1u << device;
        line_set(d, intx_to_gsi(device, intx), level);
        link = intx_to_link(device, intx);
        p->link_count[link] += level ? 1 : -1;
        route = d->hvm->pci_link_route[link];
        if (route && p->link_count[link] == (level ? 1 : 0))
            line_set(d, isa_to_gsi(route), level);
    }
}

void hvm_pci_intx_set(struct domain *d, unsigned int device, unsigned int intx,
                      bool level)
{
    if (device >= 32 || intx >= 4)
        return;
    spin_lock(&d->hvm->platform->irq_lock);
    pci_intx_set(d, device, intx, level);
    lines_unlock(d);
}

void hvm_callback_intx_set(struct domain *d, unsigned int device, unsigned int intx,
                           bool level)
{
    spin_lock(&d->hvm->platform->irq_lock);
    pci_intx_set(d, device, intx, level);
    spin_unlock(&d->hvm->platform->irq_lock);
}

int hvm_pci_link_route(struct domain *d, unsigned int link, unsigned int isa_irq)
{
    struct platform *p = d->hvm->platform;
    unsigned int old;

    if (link >= 4 || isa_irq >= PLATFORM_NR_ISA)
        return -EINVAL;
    spin_lock(&p->irq_lock);
    old = d->hvm->pci_link_route[link];
    d->hvm->pci_link_route[link] = isa_irq;
    if (old != isa_irq && p->link_count[link]) {
        if (old)
            line_down(d, isa_to_gsi(old));
        if (isa_irq)
            line_up(d, isa_to_gsi(isa_irq));
    }
    lines_unlock(d);
    return 0;
}

enum apic_sent platform_gsi_pulse(struct domain *d, unsigned int gsi)
{
    struct platform *p = d->hvm->platform;
    enum apic_sent sent;

    if (gsi >= PLATFORM_NR_GSIS)
        return APIC_SENT_NOWHERE;
    spin_lock(&p->irq_lock);
    sent = line_up(d, gsi);
    line_down(d, gsi);
    lines_unlock(d);
    return sent;
}

void platform_gsi_hold(struct domain *d, unsigned int gsi, bool level)
{
    struct platform *p = d->hvm->platform;

    if (gsi >= PLATFORM_NR_GSIS)
        return;
    spin_lock(&p->irq_lock);
    line_set(d, gsi, level);
    lines_unlock(d);
}

enum apic_sent platform_isa_pulse(struct domain *d, unsigned int irq)
{
    return platform_gsi_pulse(d, isa_to_gsi(irq));
}

/* Count the lines anew from the levels of the sources, after a load. irq_lock is held. */
static void recount(struct domain *d)
{
    struct platform *p = d->hvm->platform;
    const struct vhpet *hpet = d->hvm->vhpet;

    memset(p->gsi_count, 0, sizeof(p->gsi_count));
    memset(p->link_count, 0, sizeof(p->link_count));
    for (unsigned int gsi = 0; gsi < PLATFORM_NR_GSIS; gsi++)
        p->gsi_count[gsi] = p->gsi_level >> gsi & 1;
    for (unsigned int irq = 0; irq < PLATFORM_NR_ISA; irq++)
        p->gsi_count[isa_to_gsi(irq)] += p->isa_level >> irq & 1;
    for (unsigned int i = 0; i < 4 * 32; i++) {
        if (p->pci_level[i % 4] >> i / 4 & 1) {
            p->gsi_count[intx_to_gsi(i / 4, i % 4)]++;
            p->link_count[intx_to_link(i / 4, i % 4)]++;
        }
    }
    for (unsigned int link = 0; link < 4; link++)
        if (p->link_count[link] && d->hvm->pci_link_route[link])
            p->gsi_count[isa_to_gsi(d->hvm->pci_link_route[link])]++;
    for (unsigned int i = 0; hpet && i < HPET_TIMERS; i++)
        if (hpet->isr >> i & 1)
            p->gsi_count[vhpet_route(&hpet->timer[i])]++;
}

void platform_lines_loaded(struct domain *d)
{
    spin_lock(&d->hvm->platform->irq_lock);
    recount(d);
    if (d->hvm->vpic)
        vpic_lines_loaded(d);
    spin_unlock(&d->hvm->platform->irq_lock);
}

/*
 * The PICs' way to a vCPU.
 */
static bool has_extint(const struct platform *p, const struct vcpu *v)
{
    return v->hvm && v->hvm->vlapic &&
           (READ_ONCE(v->hvm->vlapic->accepts_pic) || READ_ONCE(p->extint_vcpu) == v);
}

bool platform_pic_accepted(const struct vcpu *v)
{
    const struct platform *p = v->domain->hvm->platform;

    if (!has_extint(p, v))
        return false;
    for_each_vcpu(v->domain, other)
    {
        if (other == v)
            return true;
        if (has_extint(p, other))
            return false;
    }
    return true;
}

void platform_pic_output(struct domain *d, bool level)
{
    struct platform *p = d->hvm->platform;
    bool was = p->pic_output;

    WRITE_ONCE(p->pic_output, level);
    if (!level || was)
        return;
    for_each_vcpu(d, v)
    {
        if (has_extint(p, v)) {
            vcpu_kick(v);
            return;
        }
    }
}

int platform_pic_ack(struct vcpu *v)
{
    return vpic_ack(v->domain);
}

/*
 * Life.
 */
int platform_domain_init(struct domain *d)
{
    uint32_t emulate = d->emulation_flags;
    int rc = -ENOMEM;

    d->hvm->platform = zalloc(sizeof(*d->hvm->platform));
    if (!d->hvm->platform)
        return rc;
    rc = cpu_policy_domain_init(d);
    if (!rc && (emulate & XEN_X86_EMU_IOAPIC))
        rc = vioapic_init(d);
    if (!rc && (emulate & XEN_X86_EMU_PIC))
        rc = vpic_init(d);
    if (!rc && (emulate & XEN_X86_EMU_PIT))
        rc = vpit_init(d);
    if (!rc && (emulate & XEN_X86_EMU_RTC))
        rc = vrtc_init(d);
    if (!rc && (emulate & XEN_X86_EMU_HPET))
        rc = vhpet_init(d);
    if (!rc && (emulate & XEN_X86_EMU_PM))
        rc = vpmtimer_init(d);
    if (rc)
        platform_domain_destroy(d);
    return rc;
}

/* After the vCPUs have gone; safe on what platform_domain_init() left behind,
 * and twice. */
void platform_domain_destroy(struct domain *d)
{
    struct platform *p = d->hvm->platform;

    if (!p)
        return;
    viridian_domain_destroy(d);
    vpmtimer_destroy(d);
    vhpet_destroy(d);
    vrtc_destroy(d);
    vpit_destroy(d);
    vpic_destroy(d);
    vioapic_destroy(d);
    cpu_policy_domain_destroy(d);
    for (unsigned int i = 0; i < ARRAY_SIZE(p->port_page); i++)
        zfree(p->port_page[i]);
    d->hvm->platform = NULL;
    zfree(p);
}

void platform_domain_reset(struct domain *d)
{
    if (d->hvm->vpit)
        vpit_reset(d);
    if (d->hvm->vrtc)
        vrtc_reset(d);
    if (d->hvm->vhpet)
        vhpet_reset(d);
    if (d->hvm->pmtimer)
        vpmtimer_reset(d);
    if (d->hvm->vpic)
        vpic_reset(d);
    if (d->hvm->vioapic)
        vioapic_reset(d);
    platform_lines_loaded(d);
}

/* Values of HVM_PARAM_ACPI_IOPORTS_LOCATION: 0, 1 as in the public ABI; 2, 3 the native
 * board, without and with the hypervisor's CPUID leaves (firmware/layout.h). */
bool platform_is_xens(const struct domain *d)
{
    return d->hvm->params[HVM_PARAM_ACPI_IOPORTS_LOCATION] < 2;
}

int platform_set_acpi_location(struct domain *d, uint64_t location)
{
    int rc = vpmtimer_set_location(d, location);

    if (!rc)
        d->hvm->hide_xen_leaves = location == 2;
    return rc;
}

/* No device fires any more: their interrupts would look for vCPUs that are about to go.
 */
static void stop_timers(struct domain *d)
{
    if (d->hvm->vpit)
        vpit_stop(d);
    if (d->hvm->vrtc)
        vrtc_stop(d);
    if (d->hvm->vhpet)
        vhpet_stop(d);
}

int platform_vcpu_init(struct vcpu *v)
{
    int rc = vlapic_init(v);

    if (!rc)
        rc = vmtrr_init(v);
    if (rc)
        platform_vcpu_destroy(v);
    else
        cpu_policy_update_topology(v->domain);
    return rc;
}

void platform_vcpu_destroy(struct vcpu *v)
{
    if (!v->hvm)
        return;
    if (v->domain->hvm)
        stop_timers(v->domain);
    synic_destroy(v);
    vmtrr_destroy(v);
    vlapic_destroy(v);
}

void platform_vcpu_switch_to(struct vcpu *v)
{
    struct vlapic *s = v->hvm->vlapic;
    int cpu = READ_ONCE(s->timer.cpu);

    if (likely(cpu < 0 || cpu == (int)this_cpu()->id))
        return;
    spin_lock(&s->timer_lock);
    if (timer_armed(&s->timer))
        timer_set(&s->timer, s->timer.expires);
    spin_unlock(&s->timer_lock);
}

/* Devices count machine time: the guest's TSC does not stop either when it is paused. */
ns_t hvm_guest_time(const struct domain *d)
{
    return now_ns();
}
