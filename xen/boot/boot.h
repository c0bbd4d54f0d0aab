/* What boot/ found out about the machine. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_BOOT_BOOT_H
#define CORBEL_BOOT_BOOT_H

#include "lib/types.h"

enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_UNUSABLE = 5 };

struct e820_entry {
    uint64_t addr, size;
    uint32_t type;
} __packed;

#define BOOT_E820_MAX    256
#define BOOT_MODULES_MAX 8

struct boot_module {
    uint64_t maddr, bytes;
    char cmdline[1024]; /* without the file name */
};

struct boot_info {
    char loader[64];
    char cmdline[2048];                    /* without the image's name */
    struct e820_entry e820[BOOT_E820_MAX]; /* sorted, no overlaps; as the firmware told */
    unsigned int e820_count;
    struct boot_module modules[BOOT_MODULES_MAX];
    unsigned int module_count;
    uint64_t rsdp;                   /* machine address; 0: none */
    uint64_t efi_systab;             /* 0: not UEFI */
    uint64_t image_start, image_end; /* machine addresses where the hypervisor lies now */
    struct {
        uint64_t maddr;
        uint32_t pitch, width, height;
        uint8_t bpp, type; /* type 0: none, 1: RGB, 2: EGA text */
    } fb;
};

extern struct boot_info boot_info;

/* ACPI (boot/acpi.c). Machine addresses; 0 if absent. */
struct acpi_info {
    uint64_t rsdp, lapic_base;
    struct {
        uint32_t apic_id, acpi_id;
    } cpu[MAX_CPUS];
    unsigned int cpu_count;
    struct {
        uint32_t id, gsi_base;
        uint64_t maddr;
    } ioapic[8];
    unsigned int ioapic_count;
    struct {
        uint8_t irq;
        uint32_t gsi;
        uint16_t flags;
    } override[16];
    unsigned int override_count;
    uint64_t hpet;
    uint32_t pm_timer_port;
    bool pm_timer_32bit;
    uint16_t pm1a_cnt, pm1b_cnt, pm1a_evt, pm1b_evt;
    uint16_t smi_cmd; /* port; `acpi_enable` written to it turns ACPI mode on */
    uint8_t acpi_enable;
    uint8_t s5_slp_typ[2];
    uint8_t reset_space, reset_value; /* of the FADT's reset register; enum acpi_space */
    uint64_t reset_addr;
    struct {
        uint64_t base;
        uint16_t segment;
        uint8_t bus_start, bus_end;
    } mcfg[4];
    unsigned int mcfg_count;
};
extern struct acpi_info acpi;

/* Address spaces of a Generic Address Structure (ACPI 6.4, 5.2.3.2). */
enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

#define PM1_SLP_EN BIT(13) /* of the PM1 control registers (4.8.3.2) */

/* Find a table of the machine by signature, `index` 0 for the first: direct-map pointer
 * with a checked length and checksum, or NULL. */
const void *acpi_find_table(const char sig[4], unsigned int index);

/* Table `index` of the RSDT or XSDT, with its machine address; NULL behind the last. */
const void *acpi_table_by_index(unsigned int index, uint64_t *maddr);

/* Command line options are registered where they are used:
 *     static unsigned int dom0_vcpus;  option_uint("dom0_max_vcpus", dom0_vcpus, "help");
 * An option that nobody registered is named in a warning. */
struct option {
    const char *name;
    enum { OPTION_BOOL, OPTION_UINT, OPTION_SIZE, OPTION_STRING, OPTION_CUSTOM } kind;
    void *var;
    unsigned int size; /* of a string */
    int (*parse)(const char *val);
    const char *help;
};
#define OPTION_ENTRY(id)                                                                 \
    static const struct option option_##id                                               \
        __attribute__((used, section(".rodata.options"), aligned(8)))
/* `name`, `name=on|off|yes|no|1|0|true|false`, `no-name` */
#define option_bool(nm, variable, text)                                                  \
    OPTION_ENTRY(variable) = {                                                           \
        .name = nm, .kind = OPTION_BOOL, .var = &(variable), .help = text}
#define option_uint(nm, variable, text)                                                  \
    OPTION_ENTRY(variable) = {                                                           \
        .name = nm, .kind = OPTION_UINT, .var = &(variable), .help = text}
#define option_string(nm, variable, text)                                                \
    OPTION_ENTRY(variable) = {.name = nm,                                                \
                              .kind = OPTION_STRING,                                     \
                              .var = (variable),                                         \
                              .size = sizeof(variable),                                  \
                              .help = text}
#define option_custom(nm, function, text)                                                \
    OPTION_ENTRY(function) = {                                                           \
        .name = nm, .kind = OPTION_CUSTOM, .parse = (function), .help = text}

/* Fill `acpi`, with the mapping of the first 4 GiB and RAM in place; panics without the
 * tables that we cannot do without. */
void acpi_init(void);

/* Give the memory of the boot modules back; when Dom0 has been built. */
void boot_free_modules(void);

__noreturn void machine_reboot(void);
__noreturn void machine_poweroff(void);

#endif
