/*
 * ACPI tables (ACPI 6.4, chapter 5) and the script by which firmware places them (QEMU's
 * table-loader: allocate a blob, patch pointers, sum).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsdt.hex"
#include "firmware.h"
#include "layout.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"

enum {
    HEADER_BYTES = 36,
    FACS_BYTES = 64,
    FADT_BYTES = 244, /* revision 3 */
    RSDP_BYTES = 36,
    RSDP_V1_BYTES = 20,
    LOADER_ENTRY = 128,
    LOADER_NAME = 56,

    LOADER_ALLOCATE = 1,
    LOADER_POINTER = 2,
    LOADER_CHECKSUM = 3,
    ZONE_HIGH = 1,
    ZONE_FSEG = 2,

    SMI_ACPI_ENABLE = 0xf1,
    SMI_ACPI_DISABLE = 0xf0,
};

struct blob {
    uint8_t *data;
    size_t bytes, room;
};

struct builder {
    struct blob tables, loader;
    size_t table[8]; /* what the RSDT lists */
    unsigned table_count;
};

static void *grow(struct blob *b, size_t bytes)
{
    if (b->bytes + bytes > b->room) {
        b->room = 2 * (b->bytes + bytes);
        b->data = must_realloc(b->data, b->room);
    }
    uint8_t *at = b->data + b->bytes;
    memset(at, 0, bytes);
    b->bytes += bytes;
    return at;
}

static void put(struct blob *b, const void *data, size_t bytes)
{
    memcpy(grow(b, bytes), data, bytes);
}

static void put8(struct blob *b, unsigned v)
{
    *(uint8_t *)grow(b, 1) = (uint8_t)v;
}

static void put16(struct blob *b, unsigned v)
{
    store_le16(grow(b, 2), (uint16_t)v);
}

static void put32(struct blob *b, uint32_t v)
{
    store_le32(grow(b, 4), v);
}

static void put64(struct blob *b, uint64_t v)
{
    store_le64(grow(b, 8), v);
}

/* ---- loader script ------------------------------------------------------------------
 */

static uint8_t *loader_entry(struct builder *b, unsigned command)
{
    uint8_t *at = grow(&b->loader, LOADER_ENTRY);

    store_le32(at, command);
    return at + 4;
}

static void loader_allocate(struct builder *b, const char *file, unsigned align,
                            unsigned zone)
{
    uint8_t *at = loader_entry(b, LOADER_ALLOCATE);

    strcpy((char *)at, file);
    store_le32(at + LOADER_NAME, align);
    at[LOADER_NAME + 4] = (uint8_t)zone;
}

/* The pointer holds an offset into `source`; firmware adds where that file is. */
static void loader_pointer(struct builder *b, const char *file, size_t offset,
                           unsigned size, const char *source)
{
    uint8_t *at = loader_entry(b, LOADER_POINTER);

    strcpy((char *)at, file);
    strcpy((char *)at + LOADER_NAME, source);
    store_le32(at + 2 * LOADER_NAME, (uint32_t)offset);
    at[2 * LOADER_NAME + 4] = (uint8_t)size;
}

static void loader_checksum(struct builder *b, const char *file, size_t result,
                            size_t start, size_t bytes)
{
    uint8_t *at = loader_entry(b, LOADER_CHECKSUM);

    strcpy((char *)at, file);
    store_le32(at + LOADER_NAME, (uint32_t)result);
    store_le32(at + LOADER_NAME + 4, (uint32_t)start);
    store_le32(at + LOADER_NAME + 8, (uint32_t)bytes);
}

/* ---- tables -------------------------------------------------------------------------
 */

static size_t begin_table(struct builder *b, const char *signature, unsigned revision)
{
    while (b->tables.bytes % 8)
        put8(&b->tables, 0);
    size_t start = b->tables.bytes;
    put(&b->tables, signature, 4);
    put32(&b->tables, 0); /* length */
    put8(&b->tables, revision);
    put8(&b->tables, 0); /* checksum, by firmware */
    put(&b->tables, "CORBELNATIVE  ", 14);
    put32(&b->tables, 1);
    put(&b->tables, "CRBL", 4);
    put32(&b->tables, 1);
    return start;
}

static void end_table(struct builder *b, size_t start, bool listed)
{
    size_t bytes = b->tables.bytes - start;

    store_le32(b->tables.data + start + 4, (uint32_t)bytes);
    loader_checksum(b, TABLES_FILE, start + 9, start, bytes);
    if (listed)
        b->table[b->table_count++] = start;
}

static size_t add_dsdt(struct builder *b)
{
    size_t start = b->tables.bytes;

    put(&b->tables, dsdt_aml_code, sizeof(dsdt_aml_code));
    b->tables.data[start + 9] = 0;
    loader_checksum(b, TABLES_FILE, start + 9, start, sizeof(dsdt_aml_code));
    return start;
}

static size_t add_facs(struct builder *b)
{
    while (b->tables.bytes % 64)
        put8(&b->tables, 0);
    size_t start = b->tables.bytes;
    uint8_t *at = grow(&b->tables, FACS_BYTES);
    memcpy(at, "FACS", 4);
    store_le32(at + 4, FACS_BYTES);
    at[32] = 1; /* version */
    return start;
}

/* Generic address structure (5.2.3.2) for ports. */
static void put_gas(uint8_t *at, unsigned bits, unsigned access, uint64_t address)
{
    at[0] = 1; /* system I/O */
    at[1] = (uint8_t)bits;
    at[3] = (uint8_t)access;
    store_le64(at + 4, address);
}

static void add_fadt(struct builder *b, size_t facs, size_t dsdt, bool keyboard)
{
    size_t start = begin_table(b, "FACP", 3);

    grow(&b->tables, FADT_BYTES - HEADER_BYTES);
    uint8_t *t = b->tables.data + start;
    store_le32(t + 36, (uint32_t)facs);
    store_le32(t + 40, (uint32_t)dsdt);
    store_le16(t + 46, LAYOUT_SCI);
    store_le32(t + 48, 0xb2); /* SMI_CMD */
    t[52] = SMI_ACPI_ENABLE;
    t[53] = SMI_ACPI_DISABLE;
    store_le32(t + 56, LAYOUT_PM_BASE);     /* PM1a_EVT_BLK */
    store_le32(t + 64, LAYOUT_PM_BASE + 4); /* PM1a_CNT_BLK */
    store_le32(t + 76, LAYOUT_PM_TIMER);
    store_le32(t + 80, LAYOUT_GPE_BASE);
    t[88] = 4; /* lengths */
    t[89] = 2;
    t[91] = 4;
    t[92] = 4;
    store_le16(t + 96, 0xfff); /* no C2, no C3 */
    store_le16(t + 98, 0xfff);
    t[108] = 0x32; /* century in CMOS */
    /* Legacy devices; 8042. */
    store_le16(t + 109, keyboard ? 3 : 1);
    /* WBINVD, C1 on all, sleep button is a control method, RTC wakes from S4, reset
     * register. */
    store_le32(t + 112, 1 << 0 | 1 << 2 | 1 << 5 | 1 << 7 | 1 << 10);
    put_gas(t + 116, 8, 1, 0xcf9);
    t[128] = 0x06; /* full reset */
    store_le64(t + 132, facs);
    store_le64(t + 140, dsdt);
    put_gas(t + 148, 32, 2, LAYOUT_PM_BASE);
    put_gas(t + 172, 16, 2, LAYOUT_PM_BASE + 4);
    put_gas(t + 208, 32, 3, LAYOUT_PM_TIMER);
    put_gas(t + 220, 32, 1, LAYOUT_GPE_BASE);
    loader_pointer(b, TABLES_FILE, start + 36, 4, TABLES_FILE);
    loader_pointer(b, TABLES_FILE, start + 40, 4, TABLES_FILE);
    loader_pointer(b, TABLES_FILE, start + 132, 8, TABLES_FILE);
    loader_pointer(b, TABLES_FILE, start + 140, 8, TABLES_FILE);
    end_table(b, start, true);
}

static void put_override(struct blob *t, unsigned source, unsigned gsi, unsigned flags)
{
    put8(t, 2);
    put8(t, 10);
    put8(t, 0); /* ISA */
    put8(t, source);
    put32(t, gsi);
    put16(t, flags);
}

static void add_madt(struct builder *b, const struct board *board)
{
    static const uint8_t level_irqs[] = {5, 9, 10, 11};
    struct blob *t = &b->tables;
    size_t start = begin_table(b, "APIC", 1);

    put32(t, LAYOUT_LAPIC);
    put32(t, 1); /* there is a dual 8259 too */
    for (unsigned cpu = 0; cpu < board->cpus; cpu++) {
        unsigned id = LAYOUT_APIC_ID(cpu);
        if (id < 255) {
            put8(t, 0); /* local APIC */
            put8(t, 8);
            put8(t, cpu);
            put8(t, id);
            put32(t, 1);
        } else {
            put8(t, 9); /* local x2APIC */
            put8(t, 16);
            put16(t, 0);
            put32(t, id);
            put32(t, 1);
            put32(t, cpu);
        }
    }
    put8(t, 1); /* I/O APIC */
    put8(t, 12);
    put8(t, LAYOUT_IOAPIC_ID);
    put8(t, 0);
    put32(t, LAYOUT_IOAPIC);
    put32(t, 0);
    put_override(t, 0, 2, 0); /* the PIT is on pin 2 */
    for (unsigned i = 0; i < ARRAY_LEN(level_irqs); i++)
        put_override(t, level_irqs[i], level_irqs[i], 0xd); /* active high, level */
    put8(t, 4); /* NMI on LINT1 of every CPU */
    put8(t, 6);
    put8(t, 0xff);
    put16(t, 0);
    put8(t, 1);
    end_table(b, start, true);
}

static void add_hpet(struct builder *b)
{
    size_t start = begin_table(b, "HPET", 1);

    put32(&b->tables, 0x8086a201); /* as the capability register says */
    put8(&b->tables, 0);           /* memory */
    put8(&b->tables, 64);
    put16(&b->tables, 0);
    put64(&b->tables, LAYOUT_HPET);
    put8(&b->tables, 0);
    put16(&b->tables, 0);
    put8(&b->tables, 0);
    end_table(b, start, true);
}

/* The PM timer needs to be read only once (Windows ACPI Emulated Devices Table). */
static void add_waet(struct builder *b)
{
    size_t start = begin_table(b, "WAET", 1);

    put32(&b->tables, 2);
    end_table(b, start, true);
}

/* Name (\NAME, value) */
static void put_name(struct blob *t, const char *name, uint32_t value)
{
    put8(t, 0x08);
    put(t, name, 4);
    put8(t, 0x0c); /* DWordPrefix */
    put32(t, value);
}

/* What a PkgLength in one byte can say (20.2.4), itself included. */
static void put_length(struct blob *t, size_t bytes)
{
    put8(t, (unsigned)bytes & 0x3f);
}

/* PkgLength in three bytes, itself included: 4 bits, then 8 and 8. */
static void put_long(struct blob *t, const struct blob *body)
{
    size_t length = body->bytes + 3;

    put8(t, 2 << 6 | (length & 0xf));
    put8(t, (unsigned)(length >> 4 & 0xff));
    put8(t, (unsigned)(length >> 12 & 0xff));
    put(t, body->data, body->bytes);
}

/* Scope (\_SB) { Processor (Cxxx, n, 0, 0) {} ... }, 20.2.5.2 */
static void put_processors(struct blob *t, unsigned cpus)
{
    struct blob body = {0};

    put(&body, "\\_SB_", 5);
    for (unsigned n = 0; n < cpus; n++) {
        char name[8];
        snprintf(name, sizeof(name), "C%03X", n & 0xfff);
        put8(&body, 0x5b);
        put8(&body, 0x83);
        put8(&body, 11); /* PkgLength, itself included */
        put(&body, name, 4);
        put8(&body, n);
        put32(&body, 0);
        put8(&body, 0);
    }
    put8(t, 0x10);
    put_long(t, &body);
    free(body.data);
}

static void slot_name(char name[8], unsigned slot)
{
    snprintf(name, 8, "S%02X_", slot & 0xff);
}

/* Device (Snn) { Name (_ADR, ..) Name (_SUN, ..) Method (_EJ0, 1) { SEJ (_SUN) } } */
static void put_slot(struct blob *t, unsigned slot)
{
    char name[8];

    slot_name(name, slot);
    put8(t, 0x5b); /* DeviceOp */
    put8(t, 0x82);
    put_length(t, 1 + 4 + 10 + 7 + 15);
    put(t, name, 4);
    put_name(t, "_ADR", slot << 16);
    put8(t, 0x08);
    put(t, "_SUN", 4);
    put8(t, 0x0a); /* BytePrefix */
    put8(t, slot);
    put8(t, 0x14); /* MethodOp */
    put_length(t, 14);
    put(t, "_EJ0", 4);
    put8(t, 1); /* one argument */
    put(t, "SEJ_", 4);
    put(t, "_SUN", 4);
}

/* If (Arg0 & (1 << slot)) { Notify (Snn, Arg1) } */
static void put_notify(struct blob *t, unsigned slot)
{
    char name[8];

    slot_name(name, slot);
    put8(t, 0xa0); /* IfOp */
    put_length(t, 1 + 8 + 6);
    put8(t, 0x7b); /* AndOp, to nowhere */
    put8(t, 0x68);
    put8(t, 0x0c);
    put32(t, 1u << slot);
    put8(t, 0);
    put8(t, 0x86); /* NotifyOp */
    put(t, name, 4);
    put8(t, 0x69);
}

/* Scope (\_SB.PCI0) with the slots, and Method (SNTF, 2) that notifies them. */
static void put_slots(struct blob *t, uint32_t slots)
{
    static const uint8_t pci0[] = {'\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0'};
    struct blob scope = {0}, method = {0};

    put(&scope, pci0, sizeof(pci0));
    put(&method, "SNTF", 4);
    put8(&method, 2); /* arguments */
    for (unsigned slot = 0; slot < 32; slot++) {
        if (slots >> slot & 1) {
            put_slot(&scope, slot);
            put_notify(&method, slot);
        }
    }
    put8(&scope, 0x14); /* MethodOp */
    put_long(&scope, &method);
    put8(t, 0x10); /* ScopeOp */
    put_long(t, &scope);
    free(scope.data);
    free(method.data);
}

static bool has_device(struct machine *m, const char *name)
{
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (strcmp(dev->ops->name, name) == 0)
            return true;
    }
    return false;
}

static unsigned serial_ports(struct machine *m)
{
    unsigned mask = 0;

    if (io_find(m, IO_PORT, 0x3f8))
        mask |= 1;
    if (io_find(m, IO_PORT, 0x2f8))
        mask |= 2;
    return mask;
}

static void add_ssdt(struct builder *b, struct machine *m)
{
    size_t start = begin_table(b, "SSDT", 2);
    uint64_t low = m->board.ram_below_4g;

    /* SeaBIOS starts the window at 2 GiB when RAM leaves room for that. */
    put_name(&b->tables, "PWLO", low <= 0x80000000u ? 0x80000000u : 0xc0000000u);
    put_name(&b->tables, "COMS", serial_ports(m));
    put_name(&b->tables, "KBDS", has_device(m, "i8042"));
    put_name(&b->tables, "HPTS", 1);
    put_processors(&b->tables, m->board.cpus);
    put_slots(&b->tables, pci_removable(m));
    end_table(b, start, true);
}

static size_t add_root(struct builder *b, const char *signature, unsigned pointer_bytes)
{
    size_t start = begin_table(b, signature, 1);

    for (unsigned i = 0; i < b->table_count; i++) {
        loader_pointer(b, TABLES_FILE, b->tables.bytes, pointer_bytes, TABLES_FILE);
        if (pointer_bytes == 4)
            put32(&b->tables, (uint32_t)b->table[i]);
        else
            put64(&b->tables, b->table[i]);
    }
    end_table(b, start, false);
    return start;
}

static void add_rsdp(struct builder *b, uint8_t rsdp[RSDP_BYTES], size_t rsdt,
                     size_t xsdt)
{
    memset(rsdp, 0, RSDP_BYTES);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "CORBEL", 6);
    rsdp[15] = 2; /* revision */
    store_le32(rsdp + 16, (uint32_t)rsdt);
    store_le32(rsdp + 20, RSDP_BYTES);
    store_le64(rsdp + 24, xsdt);
    loader_pointer(b, RSDP_FILE, 16, 4, TABLES_FILE);
    loader_pointer(b, RSDP_FILE, 24, 8, TABLES_FILE);
    loader_checksum(b, RSDP_FILE, 8, 0, RSDP_V1_BYTES);
    loader_checksum(b, RSDP_FILE, 32, 0, RSDP_BYTES);
}

int acpi_add(struct machine *m)
{
    struct builder b = {0};
    uint8_t rsdp[RSDP_BYTES];

    loader_allocate(&b, RSDP_FILE, 16, ZONE_FSEG);
    loader_allocate(&b, TABLES_FILE, 64, ZONE_HIGH);
    size_t facs = add_facs(&b);
    size_t dsdt = add_dsdt(&b);
    add_fadt(&b, facs, dsdt, has_device(m, "i8042"));
    add_madt(&b, &m->board);
    add_hpet(&b);
    add_waet(&b);
    add_ssdt(&b, m);
    size_t rsdt = add_root(&b, "RSDT", 4), xsdt = add_root(&b, "XSDT", 8);
    add_rsdp(&b, rsdp, rsdt, xsdt);
    int err = fwcfg_add_file(m, TABLES_FILE, b.tables.data, b.tables.bytes);
    if (!err)
        err = fwcfg_add_file(m, RSDP_FILE, rsdp, sizeof(rsdp));
    if (!err)
        err = fwcfg_add_file(m, "etc/table-loader", b.loader.data, b.loader.bytes);
    free(b.tables.data);
    free(b.loader.data);
    return err;
}
