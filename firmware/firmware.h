/*
 * What the guest's firmware is told, as fw_cfg items.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FIRMWARE_FIRMWARE_H
#define FIRMWARE_FIRMWARE_H

#include "../devmodel/machine.h"
#include "lookup.h"

struct firmware_boot {
    int splash_ms; /* how long the boot menu's prompt stays; -1: not said */
    int reboot_ms; /* wait before trying again when nothing boots; -1: for ever */
};

/* Texts of the SMBIOS tables that the user may choose; NULL: ours. */
struct firmware_smbios {
    const char *bios_vendor, *bios_version, *bios_date;
    const char *manufacturer, *product, *version, *serial, *sku, *family;
    const char *board_manufacturer, *board_product, *board_serial;
    const char *chassis_manufacturer, *chassis_serial, *chassis_asset;
    const char *oem[16];
    unsigned oem_count;
};

int firmware_set_boot(struct machine *m, const struct firmware_boot *boot,
                      struct error *error);
int firmware_smbios_options(struct machine *m, struct options *o,
                            struct firmware_smbios *texts, struct error *error);
/* Memory map, ACPI, SMBIOS and the well-known keys. */
int firmware_add_tables(struct machine *m, const struct firmware_smbios *texts,
                        struct error *error);

/* For hvmloader's SeaBIOS, which has its tables elsewhere: who this is, and boot_rom. */
int firmware_add_boot_rom(struct machine *m, struct error *error);

/*
 * linuxboot.c: a bzImage, an initrd (may be NULL) and a command line, to be started in
 * place of a boot loader; before the tables.  -ENOEXEC, -E2BIG, -ENOSPC, or what reading
 * the files gave.
 */
int firmware_add_kernel(struct machine *m, const char *kernel, const char *initrd,
                        const char *cmdline, struct error *error);

/* smbios.c: the structures, and the entry point that firmware patches. */
void smbios_build(const struct board *board, const struct firmware_smbios *texts,
                  uint8_t **tables, size_t *table_bytes, uint8_t anchor[31]);

/* acpi.c */
int acpi_add(struct machine *m);

#endif
