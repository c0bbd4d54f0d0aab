/*
 * Between pci.c, pci_rom.c and irq.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_PCI_INTERNAL_H
#define DEVMODEL_PCI_INTERNAL_H

struct machine;

/* The level of INT A..D (0..3) of a slot, as the function drives it, changed. */
void machine_pci_intx(struct machine *m, unsigned slot, unsigned pin, bool level);

#endif
