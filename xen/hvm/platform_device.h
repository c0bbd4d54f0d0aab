/* What the platform devices share behind hvm/platform.h: the port and MMIO tables,
 * interrupt lines. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Interrupt lines and both interrupt controllers of a domain are guarded by one lock,
 * platform.irq_lock. Order: a device's own lock, then irq_lock, then what vcpu_kick()
 * takes.
 */
#ifndef CORBEL_HVM_PLATFORM_DEVICE_H
#define CORBEL_HVM_PLATFORM_DEVICE_H

#include "hvm/platform.h"
#include "hvm/vlapic.h"
#include "domain/evtchn.h"

#define PLATFORM_NR_GSIS 48
#define PLATFORM_NR_ISA  16
#define PLATFORM_PORTS   16 /* port handlers of a domain, at most */
#define PLATFORM_MMIOS   16

/* One device's ports. An access may start at any of them; `bytes` is at most max_bytes,
 * larger ones are split into bytes. False: the ioreq servers shall see it too. */
struct port_handler {
    uint16_t first, last;
    uint8_t max_bytes;
    bool (*read)(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val);
    bool (*write)(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val);
};

struct platform {
    /* port >> 8 -> 256 handler numbers + 1 (0: nobody). Pages are shared by none. */
    uint8_t *port_page[256];
    struct port_handler port[PLATFORM_PORTS];
    unsigned int nr_ports;
    struct mmio_handler mmio[PLATFORM_MMIOS]; /* sorted by gpa */
    unsigned int nr_mmios;

    struct spinlock irq_lock; /* guards what follows, vioapic and vpic */
    bool pic_output;          /* INT of the master PIC; read without the lock */
    struct vcpu *extint_vcpu; /* I/O APIC pin 0 in ExtINT mode leads here */
    unsigned int lowest_turn; /* vCPU that got the last lowest-priority message */
    /* Levels of the lines, and how many of them are up per GSI. */
    uint8_t gsi_count[PLATFORM_NR_GSIS];
    uint64_t gsi_level; /* hvm_callback_gsi_set() */
    uint16_t isa_level;
    uint32_t pci_level[4]; /* [INTx], bit = device */
    uint8_t link_count[4];
    /* PIRQs (vpirq.c): of each GSI (0: none), and which numbers are given away. */
    uint8_t gsi_pirq[PLATFORM_NR_GSIS];
    uint64_t pirq_taken[EVTCHN_NR_PIRQS / 64];
    uint64_t pirq_edges; /* GSIs to be raised; atomic */

    struct spinlock port_lock; /* guards changes of the port table */
};

int platform_add_ports(struct domain *d, const struct port_handler *h);
void platform_remove_ports(struct domain *d, uint16_t first);
int platform_add_mmio(struct domain *d, const struct mmio_handler *h);

/* A short pulse on an ISA interrupt line: an edge for the PICs and the I/O APIC. Says
 * whether the guest's interrupt controllers took it, had it pending already, or ignore
 * it. */
enum apic_sent platform_isa_pulse(struct domain *d, unsigned int irq);
/* The same for a GSI that is not an ISA interrupt. */
enum apic_sent platform_gsi_pulse(struct domain *d, unsigned int gsi);
/* Hold a GSI's line up, or let go: one more source, which keeps its own count. */
void platform_gsi_hold(struct domain *d, unsigned int gsi, bool level);
/* Levels of sources were loaded from a record: the lines follow. */
void platform_lines_loaded(struct domain *d);
/* The PIC input that a GSI shares its line with, or -1. */
static inline int platform_gsi_to_pic(unsigned int gsi)
{
    if (gsi >= PLATFORM_NR_ISA || gsi == 0)
        return -1;
    return gsi == 2 ? 0 : (int)gsi;
}

/* The level of a GSI's line; irq_lock is held. */
static inline bool platform_gsi_level(const struct domain *d, unsigned int gsi)
{
    return gsi < PLATFORM_NR_GSIS && d->hvm->platform->gsi_count[gsi];
}

/* Does this vCPU take the interrupts of the PICs: the first that has an ExtINT input? */
bool platform_pic_accepted(const struct vcpu *v);
static inline bool platform_pic_pending(const struct vcpu *v)
{
    const struct platform *p = v->domain->hvm->platform;

    return unlikely(READ_ONCE(p->pic_output)) && platform_pic_accepted(v);
}
/* The PICs' INT output changed; irq_lock is held. */
void platform_pic_output(struct domain *d, bool level);
/* Interrupt acknowledge cycle: the vector. */
int platform_pic_ack(struct vcpu *v);

#endif
