/*
 * Registers by which ACPI tables learn of PCI devices that come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_CHIPSET_PCI_HOTPLUG_H
#define IOEMU_CHIPSET_PCI_HOTPLUG_H

#include "../../devmodel/device.h"

struct pci_hotplug {
    struct device *dev; /* the chip that they are part of */
    struct io_region region;
    bool keeps; /* reading does not clear what came: hvmloader's tables read it often */
};

/* Put the registers at their ports.  0 or negative errno. */
int pci_hotplug_init(struct pci_hotplug *h, struct device *dev, bool keeps);
void pci_hotplug_state(struct pci_hotplug *h, struct state *state);
void pci_hotplug_fini(struct pci_hotplug *h);

#endif
