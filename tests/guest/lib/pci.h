/*
 * PCI configuration space by ports 0xcf8 and 0xcfc.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include "kit.h"

#define PCI_CONFIG_ADDRESS 0xcf8
#define PCI_CONFIG_DATA    0xcfc
#define PCI_NONE           0xffffffffu
#define PCI_COMMAND        0x04
#define PCI_CLASS          0x08
#define PCI_BAR0           0x10

/* bdf: device and function of bus 0, as bus << 8 | device << 3 | function. */
uint32_t pci_read(uint32_t bdf, uint32_t reg);
void pci_write(uint32_t bdf, uint32_t reg, uint32_t value);
/* First function on bus 0 with this class and subclass, or vendor and device; or
 * PCI_NONE. */
uint32_t pci_find_class(uint32_t class_subclass);
uint32_t pci_find_id(uint32_t device_vendor);
/* Address of a memory BAR, with decoding switched on; 0 if there is none. */
uint64_t pci_bar(uint32_t bdf, unsigned index);

#endif
