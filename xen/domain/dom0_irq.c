/* Interrupts of real devices, for Dom0. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vCPU n of Dom0 has the APIC id of CPU n, and device vectors are Dom0's own choice. So a
 * message (MSI, edge-triggered pin) that arrives on CPU n as vector V is interrupt V of
 * vCPU n; nothing is translated, and Dom0's writes to MSI registers are not intercepted.
 *
 * A level-triggered pin is masked when it fires and unmasked at Dom0's EOI, so that the
 * machine's local APIC is free for other interrupts meanwhile.
 */
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "domain/domain.h"
#include "hvm/platform.h"
#include "lib/console.h"

#define GSIS_MAX 256

#define RTE_VECTOR 0xffull
#define RTE_MODE   0x700ull
#define RTE_STATUS (BIT(12) | BIT(14)) /* delivery status, remote IRR: read only */
#define RTE_LEVEL  BIT(15)
#define RTE_MASKED BIT(16)

static struct {
    uint64_t rte;    /* as Dom0 wants it */
    bool in_service; /* masked until Dom0's EOI */
} pins[GSIS_MAX];
static struct spinlock
    pins_lock; /* guards pins[] and the order of writes to the machine */

static void program(unsigned int gsi)
{
    uint64_t rte = pins[gsi].rte & ~RTE_STATUS;

    /* Fixed and lowest priority only: NMI, SMI, INIT and ExtINT would reach the
     * hypervisor. */
    if ((rte & RTE_MODE) > 0x100 || (rte & RTE_VECTOR) < 0x20 ||
        (rte & RTE_VECTOR) >= VECTOR_FIRST_HYPERVISOR || pins[gsi].in_service)
        rte |= RTE_MASKED;
    ioapic_write_rte(gsi, rte);
}

void dom0_gsi_update(unsigned int gsi, uint64_t rte)
{
    if (gsi >= GSIS_MAX || console_owns_gsi(gsi))
        return;
    spin_lock(&pins_lock);
    pins[gsi].rte = rte;
    if (!(rte & RTE_LEVEL))
        pins[gsi].in_service = false;
    program(gsi);
    spin_unlock(&pins_lock);
}

void dom0_gsi_eoi(unsigned int gsi)
{
    if (gsi >= GSIS_MAX)
        return;
    spin_lock(&pins_lock);
    if (pins[gsi].in_service) {
        pins[gsi].in_service = false;
        program(gsi);
    }
    spin_unlock(&pins_lock);
}

/* A walk of the pins, for level-triggered ones only: their vectors need not be unique. */
static void hold_level_pins(unsigned int vector)
{
    unsigned int n = min(ioapic_nr_gsis(), (unsigned int)GSIS_MAX);

    spin_lock(&pins_lock);
    for (unsigned int gsi = 0; gsi < n; gsi++) {
        if ((pins[gsi].rte & (RTE_VECTOR | RTE_LEVEL | RTE_MASKED)) !=
            (vector | RTE_LEVEL))
            continue;
        pins[gsi].in_service = true;
        ioapic_mask(gsi, true);
    }
    spin_unlock(&pins_lock);
}

void dom0_interrupt(unsigned int vector, bool level)
{
    struct vcpu *v = dom0 ? domain_vcpu(dom0, this_cpu()->id) : NULL;

    if (level)
        hold_level_pins(vector);
    apic_eoi();
    if (v && vector >= 0x20)
        vlapic_set_irq(v, vector, level);
}
