/*
 * Finding an ACPI table: RSDP from the loader or the BIOS area, then XSDT or RSDT
 * (ACPI specification 6.4, 5.2.5 to 5.2.8).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kit.h"

#define BIOS_START  0xe0000u
#define BIOS_END    0x100000u
#define RSDP_RSDT   16
#define RSDP_XSDT   24
#define RSDP_REV    15
#define FIRST_ENTRY sizeof(struct acpi_header)
#define LIMIT_4G    (1ul << 32)

static const uint8_t *find_rsdp(void)
{
    if (env.rsdp)
        return (const uint8_t *)env.rsdp;
    for (uint32_t at = BIOS_START; at < BIOS_END; at += 16) {
        const uint8_t *p = (const uint8_t *)(uintptr_t)at;

        if (!memcmp(p, "RSD PTR ", 8))
            return p;
    }
    return NULL;
}

const struct acpi_header *acpi_find(const char *signature)
{
    const uint8_t *rsdp = find_rsdp();
    const struct acpi_header *root;
    uint64_t address = 0;
    size_t entry = 8;

    if (!rsdp)
        return NULL;
    if (rsdp[RSDP_REV] >= 2)
        memcpy(&address, rsdp + RSDP_XSDT, 8);
    if (!address) {
        entry = 4;
        memcpy(&address, rsdp + RSDP_RSDT, 4);
    }
    if (!address || address >= LIMIT_4G)
        return NULL;
    root = (const struct acpi_header *)address;
    for (size_t at = FIRST_ENTRY; at + entry <= root->length; at += entry) {
        uint64_t table = 0;

        memcpy(&table, (const char *)root + at, entry);
        if (table < LIMIT_4G && !memcmp((const void *)table, signature, 4))
            return (const struct acpi_header *)table;
    }
    return NULL;
}
