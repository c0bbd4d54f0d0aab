/*
 * Interrupt lines: wired-or of the devices on each ISA interrupt, and the PIRQ router of
 * the PIIX3 (82371SB datasheet, 2.2.15 PIRQRC) for front ends that have none of their
 * own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "machine.h"
#include "pci_internal.h"

void isa_irq_pull(struct machine *m, unsigned irq, bool up)
{
    unsigned before = m->isa_pulls[irq];

    m->isa_pulls[irq] = up ? before + 1 : before - 1;
    if (!before || !m->isa_pulls[irq])
        m->front->isa_irq(m, irq, up);
}

void irq_line_init(struct irq_line *line, struct device *dev, unsigned isa_irq)
{
    line->machine = dev->machine;
    line->irq = isa_irq & (ISA_IRQS - 1);
    line->level = false;
}

void irq_set(struct irq_line *line, bool level)
{
    if (line->level == level)
        return;
    line->level = level;
    isa_irq_pull(line->machine, line->irq, level);
}

void msi_send(struct device *dev, uint64_t address, uint32_t data)
{
    dev->machine->front->msi(dev->machine, dev, address, data);
}

/* Slot and pin to PIRQ, as the board is wired and as SeaBIOS's tables say. */
static unsigned pirq_of(unsigned slot, unsigned pin)
{
    return (slot - 1 + pin) & (PIRQS - 1);
}

/* Called by pci.c when a function's INTx output changes. */
void machine_pci_intx(struct machine *m, unsigned slot, unsigned pin, bool level)
{
    if (m->front->pci_intx) {
        m->front->pci_intx(m, slot, pin, level);
        return;
    }
    unsigned pirq = pirq_of(slot, pin);
    unsigned before = m->pirq_pulls[pirq];
    m->pirq_pulls[pirq] = level ? before + 1 : before - 1;
    if ((!before || !m->pirq_pulls[pirq]) && m->pirq_route[pirq])
        isa_irq_pull(m, m->pirq_route[pirq], level);
}

void machine_route_pirq(struct device *dev, unsigned pirq, unsigned isa_irq)
{
    struct machine *m = dev->machine;
    unsigned old = m->pirq_route[pirq];

    isa_irq &= ISA_IRQS - 1;
    if (old == isa_irq)
        return;
    m->pirq_route[pirq] = (uint8_t)isa_irq;
    if (m->front->pirq_route)
        m->front->pirq_route(m, pirq, isa_irq);
    if (m->front->pci_intx || !m->pirq_pulls[pirq])
        return;
    if (old)
        isa_irq_pull(m, old, false);
    if (isa_irq)
        isa_irq_pull(m, isa_irq, true);
}
