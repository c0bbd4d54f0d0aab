/*
 * For host bridges only: configuration accesses by bus address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_PCI_HOST_H
#define DEVMODEL_PCI_HOST_H

#include "device.h"

/*
 * `bdf` is bus << 8 | device << 3 | function; `offset` + `size` stay inside one dword.
 * Nobody there: reads give all ones.
 */
uint32_t pci_host_read(struct device *bridge, unsigned bdf, unsigned offset,
                       unsigned size);
void pci_host_write(struct device *bridge, unsigned bdf, unsigned offset, unsigned size,
                    uint32_t value);

#endif
