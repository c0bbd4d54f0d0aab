/*
 * PCI configuration space, mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci.h"

#define ENABLE         0x80000000u
#define FUNCTIONS      256u
#define BAR_IO         1u
#define BAR_64         4u
#define BAR_FLAGS      0xfu
#define COMMAND_MEMORY 2u

uint32_t pci_read(uint32_t bdf, uint32_t reg)
{
    outl(PCI_CONFIG_ADDRESS, ENABLE | bdf << 8 | (reg & ~3u));
    return inl(PCI_CONFIG_DATA);
}

void pci_write(uint32_t bdf, uint32_t reg, uint32_t value)
{
    outl(PCI_CONFIG_ADDRESS, ENABLE | bdf << 8 | (reg & ~3u));
    outl(PCI_CONFIG_DATA, value);
}

static uint32_t find(uint32_t reg, unsigned shift, uint32_t value)
{
    for (uint32_t bdf = 0; bdf < FUNCTIONS; bdf++)
        if (pci_read(bdf, 0) != ~0u && pci_read(bdf, reg) >> shift == value)
            return bdf;
    return PCI_NONE;
}

uint32_t pci_find_class(uint32_t class_subclass)
{
    return find(PCI_CLASS, 16, class_subclass);
}

uint32_t pci_find_id(uint32_t device_vendor)
{
    return find(0, 0, device_vendor);
}

uint64_t pci_bar(uint32_t bdf, unsigned index)
{
    uint32_t low = pci_read(bdf, PCI_BAR0 + index * 4);
    uint64_t address = low & ~BAR_FLAGS;

    if (low & BAR_IO || !address)
        return 0;
    if (low & BAR_64)
        address |= (uint64_t)pci_read(bdf, PCI_BAR0 + index * 4 + 4) << 32;
    pci_write(bdf, PCI_COMMAND, (pci_read(bdf, PCI_COMMAND) & 0xffff) | COMMAND_MEMORY);
    return address;
}
