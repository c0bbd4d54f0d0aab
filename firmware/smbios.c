/*
 * SMBIOS 2.8 structures (DMTF DSP0134): BIOS, system, board, chassis, processors, memory,
 * boot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware.h"

enum { STRINGS_MOST = 32 };

struct writer {
    uint8_t *data;
    size_t bytes, room;
    unsigned count, largest;
    size_t start; /* of the structure being written */
    const char *string[STRINGS_MOST];
    unsigned strings;
};

static void put(struct writer *w, const void *data, size_t bytes)
{
    if (w->bytes + bytes > w->room) {
        w->room = 2 * (w->bytes + bytes);
        w->data = must_realloc(w->data, w->room);
    }
    memcpy(w->data + w->bytes, data, bytes);
    w->bytes += bytes;
}

static void put8(struct writer *w, unsigned v)
{
    uint8_t b = (uint8_t)v;
    put(w, &b, 1);
}

static void put16(struct writer *w, unsigned v)
{
    uint8_t b[2];
    store_le16(b, (uint16_t)v);
    put(w, b, 2);
}

static void put32(struct writer *w, uint32_t v)
{
    uint8_t b[4];
    store_le32(b, v);
    put(w, b, 4);
}

static void put64(struct writer *w, uint64_t v)
{
    uint8_t b[8];
    store_le64(b, v);
    put(w, b, 8);
}

/* A string is a number in the formatted part and text behind it (6.1.3); 0: none. */
static void put_string(struct writer *w, const char *text)
{
    if (!text || !*text || w->strings == STRINGS_MOST) {
        put8(w, 0);
        return;
    }
    w->string[w->strings++] = text;
    put8(w, w->strings);
}

static void begin(struct writer *w, unsigned type, unsigned handle)
{
    w->start = w->bytes;
    w->strings = 0;
    put8(w, type);
    put8(w, 0); /* length, in end() */
    put16(w, handle);
}

static void end(struct writer *w)
{
    w->data[w->start + 1] = (uint8_t)(w->bytes - w->start);
    for (unsigned i = 0; i < w->strings; i++)
        put(w, w->string[i], strlen(w->string[i]) + 1);
    if (!w->strings)
        put8(w, 0);
    put8(w, 0);
    w->count++;
    if (w->bytes - w->start > w->largest)
        w->largest = (unsigned)(w->bytes - w->start);
}

static const char * or (const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static void bios(struct writer *w, const struct firmware_smbios *t)
{
    begin(w, 0, 0);
    put_string(w, or (t->bios_vendor, "Corbel"));
    put_string(w, or (t->bios_version, "SeaBIOS"));
    put16(w, 0xe800); /* segment */
    put_string(w, or (t->bios_date, "04/01/2014"));
    put8(w, 0);     /* 64 KiB */
    put64(w, 0x08); /* characteristics are not given */
    put8(w, 0);
    put8(w, 0x14); /* virtual machine, targeted content distribution */
    put8(w, 0);
    put8(w, 0);
    put8(w, 0xff);
    put8(w, 0xff);
    end(w);
}

static void system_info(struct writer *w, const struct board *b,
                        const struct firmware_smbios *t)
{
    const uint8_t *u = b->uuid;
    /* The first three fields are little-endian (7.2.1). */
    const uint8_t wire[16] = {u[3], u[2], u[1],  u[0],  u[5],  u[4],  u[7],  u[6],
                              u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]};

    begin(w, 1, 0x100);
    put_string(w, or (t->manufacturer, "Corbel"));
    put_string(w, or (t->product, "Native PC (i440FX + PIIX)"));
    put_string(w, or (t->version, "1"));
    put_string(w, t->serial);
    put(w, wire, sizeof(wire));
    put8(w, 6); /* power switch */
    put_string(w, t->sku);
    put_string(w, t->family);
    end(w);
}

static void baseboard(struct writer *w, const struct firmware_smbios *t)
{
    if (!t->board_product && !t->board_manufacturer)
        return;
    begin(w, 2, 0x200);
    put_string(w, or (t->board_manufacturer, "Corbel"));
    put_string(w, t->board_product);
    put_string(w, NULL);
    put_string(w, t->board_serial);
    put_string(w, NULL);
    put8(w, 1); /* hosting board */
    put_string(w, NULL);
    put16(w, 0x300);
    put8(w, 0x0a); /* motherboard */
    put8(w, 0);
    end(w);
}

static void chassis(struct writer *w, const struct firmware_smbios *t)
{
    begin(w, 3, 0x300);
    put_string(w, or (t->chassis_manufacturer, "Corbel"));
    put8(w, 1); /* other */
    put_string(w, or (t->version, "1"));
    put_string(w, t->chassis_serial);
    put_string(w, t->chassis_asset);
    put8(w, 3); /* boot-up, power, thermal: safe */
    put8(w, 3);
    put8(w, 3);
    put8(w, 2); /* security unknown */
    put32(w, 0);
    put8(w, 0);
    put8(w, 0);
    put8(w, 0);
    put8(w, 0);
    put_string(w, t->sku);
    end(w);
}

static void processor(struct writer *w, unsigned n)
{
    char socket[16];

    snprintf(socket, sizeof(socket), "CPU %u", n);
    begin(w, 4, 0x400 + n);
    put_string(w, socket);
    put8(w, 3); /* central processor */
    put8(w, 1); /* family: other */
    put_string(w, "Corbel");
    put64(w, 0); /* id */
    put_string(w, NULL);
    put8(w, 0);
    put16(w, 0);
    put16(w, 2000); /* MHz, as QEMU and Xen say */
    put16(w, 2000);
    put8(w, 0x41); /* populated, enabled */
    put8(w, 1);
    put16(w, 0xffff);
    put16(w, 0xffff);
    put16(w, 0xffff);
    put_string(w, NULL);
    put_string(w, NULL);
    put_string(w, NULL);
    put8(w, 1); /* cores, enabled, threads */
    put8(w, 1);
    put8(w, 1);
    put16(w, 4); /* 64-bit capable */
    put16(w, 1);
    end(w);
}

/* One array, one device of up to 16 GiB each, and the mapped ranges. */
#define DEVICE_MIB (16u << 10)

static void memory_array(struct writer *w, uint64_t ram, unsigned devices)
{
    begin(w, 16, 0x1000);
    put8(w, 1); /* other location */
    put8(w, 3); /* system memory */
    put8(w, 6); /* multi-bit ECC */
    uint64_t kib = ram >> 10;
    put32(w, kib < 0x80000000u ? (uint32_t)kib : 0x80000000u);
    put16(w, 0xfffe);
    put16(w, devices);
    put64(w, kib < 0x80000000u ? 0 : ram);
    end(w);
}

static void memory_device(struct writer *w, unsigned n, uint64_t mib)
{
    char locator[16];

    snprintf(locator, sizeof(locator), "DIMM %u", n);
    begin(w, 17, 0x1100 + n);
    put16(w, 0x1000);
    put16(w, 0xfffe);
    put16(w, 0xffff);
    put16(w, 0xffff);
    put16(w, mib < 0x7fff ? (unsigned)mib : 0x7fff);
    put8(w, 9); /* DIMM */
    put8(w, 0);
    put_string(w, locator);
    put_string(w, NULL);
    put8(w, 7); /* RAM */
    put16(w, 2);
    put16(w, 0);
    put_string(w, "Corbel");
    put_string(w, NULL);
    put_string(w, NULL);
    put_string(w, NULL);
    put8(w, 0);
    put32(w, mib < 0x7fff ? 0 : (uint32_t)mib);
    put16(w, 0);
    put16(w, 0);
    put16(w, 0);
    put16(w, 0);
    end(w);
}

static void memory_range(struct writer *w, unsigned n, uint64_t start, uint64_t bytes)
{
    uint64_t first_kib = start >> 10, last_kib = ((start + bytes) >> 10) - 1;
    bool wide = last_kib > 0xfffffffeu;

    begin(w, 19, 0x1300 + n);
    put32(w, wide ? 0xffffffffu : (uint32_t)first_kib);
    put32(w, wide ? 0xffffffffu : (uint32_t)last_kib);
    put16(w, 0x1000);
    put8(w, 1);
    put64(w, wide ? start : 0);
    put64(w, wide ? start + bytes - 1 : 0);
    end(w);
}

static void memory(struct writer *w, const struct board *b)
{
    uint64_t ram = b->ram_below_4g + b->ram_above_4g, mib = ram >> 20;
    unsigned devices = (unsigned)((mib + DEVICE_MIB - 1) / DEVICE_MIB);

    memory_array(w, ram, devices);
    for (unsigned n = 0; n < devices; n++) {
        uint64_t left = mib - (uint64_t)n * DEVICE_MIB;
        memory_device(w, n, left < DEVICE_MIB ? left : DEVICE_MIB);
    }
    memory_range(w, 0, 0, b->ram_below_4g);
    if (b->ram_above_4g)
        memory_range(w, 1, 1ULL << 32, b->ram_above_4g);
}

static void oem_strings(struct writer *w, const struct firmware_smbios *t)
{
    if (!t->oem_count)
        return;
    begin(w, 11, 0xe00);
    put8(w, t->oem_count);
    for (unsigned i = 0; i < t->oem_count; i++)
        w->string[w->strings++] = t->oem[i];
    end(w);
}

static uint8_t negative_sum(const uint8_t *data, size_t bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + data[i]);
    return (uint8_t)-sum;
}

/* 2.1 entry point structure (5.2.1); firmware fills in the address and sums it again. */
static void entry_point(const struct writer *w, uint8_t anchor[31])
{
    memset(anchor, 0, 31);
    memcpy(anchor, "_SM_", 4);
    anchor[5] = 31;
    anchor[6] = 2;
    anchor[7] = 8;
    store_le16(anchor + 8, (uint16_t)w->largest);
    memcpy(anchor + 16, "_DMI_", 5);
    store_le16(anchor + 22, (uint16_t)w->bytes);
    store_le16(anchor + 28, (uint16_t)w->count);
    anchor[30] = 0x28;
    anchor[21] = negative_sum(anchor + 16, 15);
    anchor[4] = negative_sum(anchor, 31);
}

void smbios_build(const struct board *board, const struct firmware_smbios *texts,
                  uint8_t **tables, size_t *table_bytes, uint8_t anchor[31])
{
    struct writer w = {0};

    bios(&w, texts);
    system_info(&w, board, texts);
    baseboard(&w, texts);
    chassis(&w, texts);
    for (unsigned n = 0; n < board->cpus; n++)
        processor(&w, n);
    oem_strings(&w, texts);
    memory(&w, board);
    begin(&w, 32, 0x2000); /* boot status: no errors */
    for (unsigned i = 0; i < 7; i++)
        put8(&w, 0);
    end(&w);
    begin(&w, 127, 0x7f00);
    end(&w);
    entry_point(&w, anchor);
    *tables = w.data;
    *table_bytes = w.bytes;
}

/* --smbios type=1,manufacturer=...: the names that QEMU uses. */
int firmware_smbios_options(struct machine *m, struct options *o,
                            struct firmware_smbios *t, struct error *error)
{
    const struct {
        unsigned type;
        const char *name;
        const char **where;
    } fields[] = {
        {0, "vendor", &t->bios_vendor},
        {0, "version", &t->bios_version},
        {0, "date", &t->bios_date},
        {1, "manufacturer", &t->manufacturer},
        {1, "product", &t->product},
        {1, "version", &t->version},
        {1, "serial", &t->serial},
        {1, "sku", &t->sku},
        {1, "family", &t->family},
        {2, "manufacturer", &t->board_manufacturer},
        {2, "product", &t->board_product},
        {2, "serial", &t->board_serial},
        {3, "manufacturer", &t->chassis_manufacturer},
        {3, "serial", &t->chassis_serial},
        {3, "asset", &t->chassis_asset},
    };
    const char *type_text = options_take(o, "type");
    uint64_t type;

    if (!type_text || parse_u64(type_text, &type) || (type > 3 && type != 11))
        return error_set(error, -EINVAL, "-smbios '%s': type is not 0, 1, 2, 3 or 11",
                         o->text);
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        const char *value =
            fields[i].type == type ? options_take(o, fields[i].name) : NULL;
        if (value)
            *fields[i].where = machine_string(m, value);
    }
    for (unsigned i = 0; type == 11 && i < o->count; i++) {
        if (strcmp(o->list[i].name, "value") == 0 && t->oem_count < ARRAY_LEN(t->oem)) {
            o->list[i].used = true;
            t->oem[t->oem_count++] = machine_string(m, o->list[i].value);
        }
    }
    return 0;
}
