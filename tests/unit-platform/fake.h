/* A guest for tests of the platform devices: vCPUs without a processor, time that passes
 * when a test says so. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_H
#define FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hvm/cpuid.h"
#include "hvm/mtrr.h"
#include "hvm/platform_device.h"
#include "hvm/save.h"
#include "hvm/synic.h"
#include "hvm/vhpet.h"
#include "hvm/vioapic.h"
#include "hvm/viridian.h"
#include "hvm/vlapic.h"
#include "hvm/vpic.h"
#include "hvm/vpirq.h"
#include "hvm/vpit.h"
#include "hvm/vpmtimer.h"
#include "hvm/vrtc.h"
#include "boot/boot.h"
#include "lib/errno.h"

#define FAKE_RAM_BYTES (64 * 1024)

extern ns_t fake_now;
extern uint8_t fake_ram[FAKE_RAM_BYTES];
extern unsigned int fake_kicks, fake_yields, fake_inits, fake_sipis;
extern unsigned int fake_gsi_updates, fake_gsi_eois, fake_last_gsi;
extern uint64_t fake_last_rte;
extern unsigned int fake_bound_pirq; /* that has a port */
extern unsigned int fake_pirqs_sent;

/* A domain with n vCPUs; flags XEN_X86_EMU_*. */
struct domain *guest_create(unsigned int vcpus, uint32_t flags);
void guest_destroy(struct domain *d);
#define GUEST_HVM (XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI)

/* Let time pass; timers that are due run at their time. */
void pass(ns_t ns);
unsigned int timers_armed(void);

void out8(struct vcpu *v, uint16_t port, uint8_t val);
uint8_t in8(struct vcpu *v, uint16_t port);
uint64_t mmio_read(struct vcpu *v, uint64_t gpa, unsigned int bytes);
void mmio_write(struct vcpu *v, uint64_t gpa, unsigned int bytes, uint64_t val);
uint32_t apic_read(struct vcpu *v, unsigned int reg);
void apic_write(struct vcpu *v, unsigned int reg, uint32_t val);
void ioapic_write_pin(struct vcpu *v, unsigned int pin, uint64_t rte);

/* Take the next interrupt as an entry would: its vector, or -1. */
int take_interrupt(struct vcpu *v);
/* The local APIC with SVR enabled, TPR 0. */
void apic_enable(struct vcpu *v);

#endif
