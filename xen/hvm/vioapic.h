/* I/O APICs of a guest: 82093AA data sheet. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest has one with 48 pins at 0xFEC00000. Dom0 has one for each of the machine's, at
 * the same place; what it writes into a redirection entry is programmed into the
 * machine's pin (domain/dom0_irq.c), whose interrupts reach Dom0's local APIC directly.
 */
#ifndef CORBEL_HVM_VIOAPIC_H
#define CORBEL_HVM_VIOAPIC_H

#include "hvm/platform_device.h"

#define VIOAPIC_BASE      0xfec00000ull
#define VIOAPIC_MAX_CHIPS 8
#define VIOAPIC_MAX_PINS  240 /* of one chip */

#define RTE_VECTOR     0xffull
#define RTE_MODE       0x700ull
#define RTE_LOGICAL    0x800ull
#define RTE_STATUS     0x1000ull
#define RTE_POLARITY   0x2000ull
#define RTE_REMOTE_IRR 0x4000ull
#define RTE_LEVEL      0x8000ull
#define RTE_MASKED     0x10000ull
#define RTE_DEST_SHIFT 56
/* Bits 55:49, the high bits of a 15-bit destination (Xen's extended format). */
#define RTE_EXT_DEST_SHIFT 49
#define RTE_WRITABLE       (0xfffe00000001ffffull & ~(RTE_STATUS | RTE_REMOTE_IRR))

struct vioapic_chip {
    uint64_t gpa;
    unsigned int gsi_base, nr_pins;
    uint32_t id;    /* register 0, bits 24 - 27 */
    uint8_t select; /* IOREGSEL */
};

struct vioapic {
    bool mirror; /* Dom0: pins are those of the machine */
    unsigned int nr_chips, nr_gsis;
    struct vioapic_chip chip[VIOAPIC_MAX_CHIPS];
    uint64_t rte[]; /* by GSI */
};

int vioapic_init(struct domain *d);
void vioapic_destroy(struct domain *d);
void vioapic_reset(struct domain *d);
/* Entries were loaded from a record. */
void vioapic_loaded(struct domain *d);
/* The line of a GSI has gone up; platform.irq_lock is held. */
enum apic_sent vioapic_raise(struct domain *d, unsigned int gsi);

#endif
