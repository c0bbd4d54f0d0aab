/* Interrupts of the machine. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The hypervisor runs with interrupts off. They are taken in three places, where no lock
 * is held, so a handler may take any lock: in guest mode (a VM exit, then irq_window()),
 * in the idle loop, and in preempt_point().
 *
 * Vectors: 0x20-0xef belong to Dom0, whose device interrupts keep the vector that its
 * kernel chose (an MSI needs no translation: physical APIC id = Dom0's virtual APIC id,
 * logical ids too); 0xf0-0xff are the hypervisor's.
 */
#ifndef CORBEL_CPU_IRQ_H
#define CORBEL_CPU_IRQ_H

#include "lib/types.h"

#define VECTOR_FIRST_HYPERVISOR 0xf0
#define VECTOR_SERIAL           0xf1
#define VECTOR_POSTED           0xf2 /* a processor in guest mode takes what was posted to it */
#define VECTOR_CALL             0xf8 /* run smp_call() requests */
#define VECTOR_KICK             0xf9 /* leave guest mode or idle, look at flags */
#define VECTOR_TIMER            0xfa
#define VECTOR_ERROR            0xfe
#define VECTOR_SPURIOUS         0xff

/* Let pending interrupts in: sti; nop; cli. No lock may be held. */
void irq_window(void);

/* In long work without locks: take interrupts, and let another vCPU run if one is due. */
void preempt_point(void);

/* A vector below VECTOR_FIRST_HYPERVISOR arrived on this CPU; domain/dom0_irq.c. `level`
 * is the local APIC's trigger mode. The handler acknowledges the local APIC. */
void dom0_interrupt(unsigned int vector, bool level);

/* Local APIC of the machine (cpu/apic.c), xAPIC or x2APIC. */
void apic_eoi(void);
/* Write the TPR, which is 0, so that an emulated APIC looks again whether something is
 * pending. */
void apic_reconsider(void);
void apic_send_ipi(unsigned int cpu, unsigned int vector);
uint32_t apic_id_self(void);
bool apic_is_level(unsigned int vector); /* TMR bit */
bool apic_x2apic_enabled(void);
/* Arm the local APIC timer (TSC deadline or one shot) for system time `when`. */
void apic_timer_arm(ns_t when);

/* I/O APICs of the machine (cpu/ioapic.c), by global system interrupt. Redirection
 * entries as in the 82093AA data sheet, 64 bits. Return -ENODEV if no I/O APIC has the
 * pin. */
unsigned int ioapic_nr_gsis(void);
int ioapic_read_rte(unsigned int gsi, uint64_t *rte);
int ioapic_write_rte(unsigned int gsi, uint64_t rte);
int ioapic_mask(unsigned int gsi, bool mask);

/* Legacy IRQ to GSI by the MADT's interrupt source overrides. */
unsigned int isa_irq_to_gsi(unsigned int irq, bool *active_low, bool *level);

#endif
