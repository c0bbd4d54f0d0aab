/*
 * The fw_cfg items of the native board: identity, CPUs, memory map, boot order, tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "firmware.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

/* Selectors of QEMU's docs/specs/fw_cfg. */
enum {
    KEY_SIGNATURE = 0x00,
    KEY_ID = 0x01,
    KEY_UUID = 0x02,
    KEY_RAM_SIZE = 0x03,
    KEY_NOGRAPHIC = 0x04,
    KEY_NB_CPUS = 0x05,
    KEY_BOOT_DEVICE = 0x0c,
    KEY_NUMA = 0x0d,
    KEY_BOOT_MENU = 0x0e,
    KEY_MAX_CPUS = 0x0f,
    KEY_IRQ0_OVERRIDE = 0x8002,

    E820_RAM = 1,
    E820_RESERVED = 2,
};

static void set_le(struct machine *m, unsigned key, uint64_t value, size_t bytes)
{
    uint8_t b[8];

    store_le64(b, value);
    fwcfg_set_key(m, key, b, bytes);
}

static void set_keys(struct machine *m)
{
    const struct board *b = &m->board;

    fwcfg_set_key(m, KEY_SIGNATURE, "QEMU", 4);
    set_le(m, KEY_ID, 3, 4); /* the traditional interface, and DMA */
    fwcfg_set_key(m, KEY_UUID, b->uuid, sizeof(b->uuid));
    set_le(m, KEY_RAM_SIZE, b->ram_below_4g + b->ram_above_4g, 8);
    set_le(m, KEY_NOGRAPHIC, 0, 2);
    set_le(m, KEY_NB_CPUS, b->cpus, 2);
    set_le(m, KEY_BOOT_DEVICE, b->boot_order ? (uint8_t)b->boot_order[0] : 0, 2);
    /* No nodes; then which node each CPU is in. */
    uint8_t *numa = must_alloc(8 + 8 * (size_t)b->max_cpus);
    fwcfg_set_key(m, KEY_NUMA, numa, 8 + 8 * (size_t)b->max_cpus);
    free(numa);
    set_le(m, KEY_BOOT_MENU, b->boot_menu, 2);
    /* SeaBIOS takes this as the number of APIC ids. */
    set_le(m, KEY_MAX_CPUS,
           b->hypervisor_irqs ? LAYOUT_APIC_ID(b->max_cpus) : b->max_cpus, 2);
    set_le(m, KEY_IRQ0_OVERRIDE, 1, 4);
}

static void put_range(uint8_t *at, uint64_t start, uint64_t bytes, uint32_t type)
{
    store_le64(at, start);
    store_le64(at + 8, bytes);
    store_le32(at + 16, type);
}

/* SeaBIOS cuts VGA, option ROMs and itself out of the first megabyte. */
static int add_e820(struct machine *m)
{
    const struct board *b = &m->board;
    uint8_t map[3 * 20];
    unsigned n = 0;

    put_range(map + 20 * n++, 0, b->ram_below_4g, E820_RAM);
    put_range(map + 20 * n++, LAYOUT_SPECIAL_BASE, LAYOUT_SPECIAL_PAGES * 4096,
              E820_RESERVED);
    if (b->ram_above_4g)
        put_range(map + 20 * n++, LAYOUT_HIGH_RAM_BASE, b->ram_above_4g, E820_RAM);
    return fwcfg_add_file(m, "etc/e820", map, 20 * n);
}

/* ---- boot order ---------------------------------------------------------------------
 */

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The letter by which -boot means this device, 0: it cannot be booted from. */
static char boot_letter(const struct device *dev)
{
    const char *name = dev->ops->name;

    if (strcmp(name, "ide-cd") == 0)
        return 'd';
    if (strcmp(name, "ide-hd") == 0 || starts(name, "virtio-blk"))
        return 'c';
    if (starts(name, "virtio-net") || starts(name, "e1000") || starts(name, "rtl8139"))
        return 'n';
    return 0;
}

/* Open Firmware path, as SeaBIOS compares it (boot.c of SeaBIOS documents the forms). */
static int boot_path(const struct device *dev, char *path, size_t bytes)
{
    const char *name = dev->ops->name;

    if (dev->ops->bus == BUS_IDE) {
        unsigned devfn = dev->parent && dev->parent->pci ? dev->parent->pci->devfn : 0;
        return snprintf(path, bytes, "/pci@i0cf8/ide@%x,%x/drive@%x/disk@%x\n",
                        devfn >> 3, devfn & 7, (unsigned)dev->unit / 2,
                        (unsigned)dev->unit % 2);
    }
    unsigned slot = dev->pci->devfn >> 3, function = dev->pci->devfn & 7;
    char where[16];
    if (function)
        snprintf(where, sizeof(where), "%x,%x", slot, function);
    else
        snprintf(where, sizeof(where), "%x", slot);
    if (starts(name, "virtio-blk"))
        return snprintf(path, bytes, "/pci@i0cf8/scsi@%s/disk@0,0\n", where);
    return snprintf(path, bytes, "/pci@i0cf8/ethernet@%s/ethernet-phy@0\n", where);
}

struct candidate {
    struct device *dev;
    int64_t rank;
};

static int by_rank(const void *a, const void *b)
{
    int64_t x = ((const struct candidate *)a)->rank,
            y = ((const struct candidate *)b)->rank;

    return (x > y) - (x < y);
}

/*
 * bootindex= first, then the letters of -boot, and within a letter the order of creation.
 * Rank: index or letter in the upper half, order below; negative: not in the list.
 */
static int64_t rank_of(const struct machine *m, const struct device *dev, unsigned order)
{
    char letter = boot_letter(dev);
    const char *at = NULL;

    if (!letter)
        return -1;
    if (dev->bootindex >= 0)
        return (int64_t)dev->bootindex << 32 | order;
    if (m->board.boot_order)
        at = strchr(m->board.boot_order, letter);
    return at ? (int64_t)(0x10000 + (at - m->board.boot_order)) << 32 | order : -1;
}

static int add_boot_order(struct machine *m)
{
    struct candidate list[64];
    unsigned count = 0, total = 0, order = 0;
    char text[65 * 80];
    size_t used = 0;

    for (struct device *dev = m->devices; dev; dev = dev->next)
        total++;
    for (struct device *dev = m->devices; dev && count < ARRAY_LEN(list);
         dev = dev->next) {
        order++; /* the list is newest first */
        int64_t rank = rank_of(m, dev, total - order);
        if (rank >= 0)
            list[count++] = (struct candidate){dev, rank};
    }
    if (!count && !m->board.boot_rom)
        return 0;
    if (m->board.boot_rom)
        used =
            (size_t)snprintf(text, sizeof(text), "/rom@genroms/%s\n", m->board.boot_rom);
    qsort(list, count, sizeof(*list), by_rank);
    for (unsigned i = 0; i < count; i++)
        used += (size_t)boot_path(list[i].dev, text + used, sizeof(text) - used);
    return fwcfg_add_file(m, "bootorder", text, used + 1);
}

int firmware_add_boot_rom(struct machine *m, struct error *error)
{
    fwcfg_set_key(m, KEY_SIGNATURE, "QEMU", 4);
    set_le(m, KEY_ID, 3, 4);
    set_le(m, KEY_NB_CPUS, m->board.cpus, 2);
    int err = add_boot_order(m);
    return err ? error_set(error, err, "fw_cfg: %s", strerror(-err)) : 0;
}

int firmware_set_boot(struct machine *m, const struct firmware_boot *boot,
                      struct error *error)
{
    uint8_t wait[4];
    int err = 0;

    store_le32(wait, (uint32_t)boot->reboot_ms);
    err = fwcfg_add_file(m, "etc/boot-fail-wait", wait, sizeof(wait));
    if (!err && boot->splash_ms >= 0) {
        store_le16(wait, (uint16_t)boot->splash_ms);
        err = fwcfg_add_file(m, "etc/boot-menu-wait", wait, 2);
    }
    return err ? error_set(error, err, "fw_cfg: %s", strerror(-err)) : 0;
}

static int add_smbios(struct machine *m, const struct firmware_smbios *texts)
{
    uint8_t *tables, anchor[31];
    size_t bytes;

    smbios_build(&m->board, texts, &tables, &bytes, anchor);
    int err = fwcfg_add_file(m, "etc/smbios/smbios-tables", tables, bytes);
    if (!err)
        err = fwcfg_add_file(m, "etc/smbios/smbios-anchor", anchor, sizeof(anchor));
    free(tables);
    return err;
}

int firmware_add_tables(struct machine *m, const struct firmware_smbios *texts,
                        struct error *error)
{
    /* S0, S3 and S5 are offered; the sleep types are those of PIIX4 in QEMU. */
    static const uint8_t states[6] = {0x80, 0, 0, 0x81, 2, 0x80};
    /* The screen keeps its state over S3: its BIOS is not run then. */
    static const uint8_t vga_after_s3[4] = {0};

    set_keys(m);
    int err = add_e820(m);
    if (!err)
        err = fwcfg_add_file(m, "etc/system-states", states, sizeof(states));
    if (!err)
        err = fwcfg_add_file(m, "etc/s3-resume-vga-init", vga_after_s3,
                             sizeof(vga_after_s3));
    if (!err)
        err = add_boot_order(m);
    if (!err)
        err = add_smbios(m, texts);
    if (!err)
        err = acpi_add(m);
    return err ? error_set(error, err, "fw_cfg: %s", strerror(-err)) : 0;
}
