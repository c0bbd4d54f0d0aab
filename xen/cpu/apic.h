/* Local APIC of the machine: what only cpu/ needs. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#ifndef CORBEL_CPU_APIC_H
#define CORBEL_CPU_APIC_H

#include "cpu/irq.h"

/* Choose xAPIC or x2APIC and map the registers; once. */
void apic_init(void);
/* Bring up the local APIC of this CPU. */
void apic_init_cpu(void);
/* Ticks of the timer's counter in a known time, for calibration. */
void apic_timer_count_start(void);
uint32_t apic_timer_count_read(void); /* ticks since the start */
void apic_timer_set_frequency(uint64_t hz);
void apic_timer_init_cpu(void);

void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint8_t page);
void apic_send_nmi(unsigned int cpu);

/* I/O APICs: find and mask all; reserve a pin for the hypervisor itself. */
void ioapic_init(void);
/* Route a pin to a vector of CPU 0; the pin is then not Dom0's. */
int ioapic_claim(unsigned int gsi, uint8_t vector, bool active_low, bool level);

/* Mask the 8259s, away from the exceptions' vectors. */
void pic_disable(void);

#endif
