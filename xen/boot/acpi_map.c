/* Firmware's memory for the ACPI code. SPDX-License-Identifier: GPL-2.0-or-later */
#include "boot/acpi_tables.h"
#include "boot/boot.h"
#include "mm/frame.h"

const void *acpi_map(uint64_t maddr, size_t bytes)
{
    if (maddr + bytes <= GB(4) && maddr + bytes >= maddr)
        return maddr_to_virt(maddr);
    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        if (e->type != E820_RESERVED && e->type != E820_UNUSABLE && maddr >= e->addr &&
            maddr - e->addr < e->size && bytes <= e->size - (maddr - e->addr))
            return maddr_to_virt(maddr);
    }
    return map_mmio(maddr, bytes);
}
