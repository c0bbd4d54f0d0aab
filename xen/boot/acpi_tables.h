/* ACPI tables as the firmware lays them out (ACPI 6.4, 5.2), and their parsers.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_BOOT_ACPI_TABLES_H
#define CORBEL_BOOT_ACPI_TABLES_H

#include "lib/types.h"

struct acpi_rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t checksum2, reserved[3];
} __packed;

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __packed;

struct acpi_address { /* generic address structure */
    uint8_t space, bits, offset, access;
    uint64_t address;
} __packed;

#define MADT_CPU_ENABLED 1u

enum madt_type {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
};

struct acpi_madt {
    struct acpi_header h;
    uint32_t lapic_address, flags;
} __packed;

struct madt_entry {
    uint8_t type, length;
    union {
        struct {
            uint8_t acpi_id, apic_id;
            uint32_t flags;
        } __packed lapic;
        struct {
            uint8_t id, reserved;
            uint32_t address, gsi_base;
        } __packed ioapic;
        struct {
            uint8_t bus, irq;
            uint32_t gsi;
            uint16_t flags;
        } __packed override;
        struct {
            uint16_t reserved;
            uint64_t address;
        } __packed lapic_address;
        struct {
            uint16_t reserved;
            uint32_t apic_id, flags, acpi_id;
        } __packed x2apic;
    };
} __packed;

#define FADT_TMR_VAL_EXT BIT(8)
#define FADT_RESET_REG   BIT(10)

struct acpi_fadt {
    struct acpi_header h;
    uint32_t facs, dsdt;
    uint8_t reserved0, profile;
    uint16_t sci;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_timer, gpe0, gpe1;
    uint8_t pm1_evt_length, pm1_cnt_length, pm2_cnt_length, pm_timer_length;
    uint8_t gpe0_length, gpe1_length, gpe1_base, cst_cnt;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_flags;
    uint8_t reserved1;
    uint32_t flags;
    struct acpi_address reset;
    uint8_t reset_value;
    uint16_t arm_flags;
    uint8_t minor;
    uint64_t x_facs, x_dsdt;
} __packed;

struct acpi_hpet {
    struct acpi_header h;
    uint32_t id;
    struct acpi_address address;
    uint8_t number;
    uint16_t min_tick;
    uint8_t page_protection;
} __packed;

struct acpi_mcfg {
    struct acpi_header h;
    uint64_t reserved;
    struct {
        uint64_t base;
        uint16_t segment;
        uint8_t bus_start, bus_end;
        uint32_t reserved;
    } __packed entry[];
} __packed;

struct efi_system_table {
    char signature[8];
    uint32_t revision, header_size, crc, reserved;
    uint64_t vendor;
    uint32_t vendor_revision, pad;
    uint64_t console[6], runtime, boot, table_count, tables;
} __packed;

struct efi_config_table {
    uint8_t guid[16];
    uint64_t table;
} __packed;

/* Into `acpi`; the caller checked length and checksum of the table. */
void acpi_parse_madt(const void *table);
void acpi_parse_fadt(const void *table);
bool acpi_parse_s5(const uint8_t *aml, size_t bytes, uint8_t typ[2]);

/* Where firmware's memory is to be read; NULL if it cannot be. */
const void *acpi_map(uint64_t maddr, size_t bytes);

#endif
