/* The two 8259A interrupt controllers of a PC. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_HVM_VPIC_H
#define CORBEL_HVM_VPIC_H

#include "hvm/platform_device.h"

struct vpic_chip {
    uint8_t irr, imr, isr;
    uint8_t lines;        /* levels of the inputs */
    uint8_t irq_base;     /* ICW2 */
    uint8_t elcr;         /* 1: level triggered */
    uint8_t priority_add; /* input of the highest priority */
    uint8_t init_step;    /* 0: ready; 2, 3, 4: ICW2, 3, 4 is next */
    bool wants_icw4, single, read_isr, poll, auto_eoi, rotate_on_auto_eoi;
    bool special_nested, special_mask, is_master;
    bool output; /* INT */
};

struct vpic {
    struct vpic_chip chip[2]; /* master, slave; guarded by platform.irq_lock */
};

extern const uint8_t vpic_elcr_mask[2]; /* inputs that may be level triggered */

int vpic_init(struct domain *d);
void vpic_destroy(struct domain *d);
void vpic_reset(struct domain *d);
/* An input, 0 .. 15; irq_lock is held. */
enum apic_sent vpic_set_line(struct domain *d, unsigned int irq, bool level);
/* The lines were counted anew, the chips loaded; irq_lock is held. */
void vpic_lines_loaded(struct domain *d);
/* Interrupt acknowledge cycle of the processor: the vector. */
int vpic_ack(struct domain *d);

#endif
