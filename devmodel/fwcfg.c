/*
 * What the firmware is told: items by selector, files by name (QEMU docs/specs/fw_cfg).
 * The device in ioemu/platform/fw_cfg.c shows them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define FILE_FIRST 0x20u
#define FILE_MOST  0xf0u
#define ARCH_FIRST 0x8000u
#define DIR_KEY    0x19u
#define DIR_ENTRY  64u

static void set_entry(struct fwcfg_entry *e, const void *data, size_t bytes)
{
    free(e->data);
    e->data = must_alloc(bytes);
    e->bytes = bytes;
    if (bytes)
        memcpy(e->data, data, bytes);
}

void fwcfg_set_key(struct machine *m, unsigned key, const void *data, size_t bytes)
{
    if (key < ARRAY_LEN(m->fwcfg_key))
        set_entry(&m->fwcfg_key[key], data, bytes);
    else if (key - ARCH_FIRST < ARRAY_LEN(m->fwcfg_arch))
        set_entry(&m->fwcfg_arch[key - ARCH_FIRST], data, bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct fwcfg_entry *)a)->name,
                  ((const struct fwcfg_entry *)b)->name);
}

/* u32 count, then per file: u32 bytes, u16 selector, u16 0, name[56]; big-endian. */
static void write_directory(struct machine *m)
{
    size_t bytes = 4 + (size_t)DIR_ENTRY * m->fwcfg_files;
    uint8_t *dir = must_alloc(bytes);

    store_be32(dir, m->fwcfg_files);
    for (unsigned i = 0; i < m->fwcfg_files; i++) {
        const struct fwcfg_entry *e = &m->fwcfg_file[i];
        uint8_t *at = dir + 4 + (size_t)DIR_ENTRY * i;
        store_be32(at, (uint32_t)e->bytes);
        store_be16(at + 4, (uint16_t)(FILE_FIRST + i));
        memcpy(at + 8, e->name, sizeof(e->name));
    }
    fwcfg_set_key(m, DIR_KEY, dir, bytes);
    free(dir);
}

int fwcfg_add_file(struct machine *m, const char *name, const void *data, size_t bytes)
{
    struct fwcfg_entry entry = {0};

    if (strlen(name) >= sizeof(entry.name))
        return -ENAMETOOLONG;
    for (unsigned i = 0; i < m->fwcfg_files; i++) {
        if (strcmp(m->fwcfg_file[i].name, name) == 0)
            return -EEXIST;
    }
    if (m->fwcfg_files == FILE_MOST || bytes > UINT32_MAX)
        return -ENOSPC;
    strcpy(entry.name, name);
    set_entry(&entry, data, bytes);
    m->fwcfg_file =
        must_realloc(m->fwcfg_file, (m->fwcfg_files + 1) * sizeof(*m->fwcfg_file));
    m->fwcfg_file[m->fwcfg_files++] = entry;
    /* Sorted by name, so that selectors do not depend on the order of creation. */
    qsort(m->fwcfg_file, m->fwcfg_files, sizeof(*m->fwcfg_file), by_name);
    write_directory(m);
    return 0;
}

const void *fwcfg_get(struct device *dev, unsigned key, size_t *bytes)
{
    const struct machine *m = dev->machine;
    const struct fwcfg_entry *e = NULL;

    *bytes = 0;
    if (key < ARRAY_LEN(m->fwcfg_key))
        e = &m->fwcfg_key[key];
    else if (key - FILE_FIRST < m->fwcfg_files)
        e = &m->fwcfg_file[key - FILE_FIRST];
    else if (key - ARCH_FIRST < ARRAY_LEN(m->fwcfg_arch))
        e = &m->fwcfg_arch[key - ARCH_FIRST];
    if (!e || !e->data)
        return NULL;
    *bytes = e->bytes;
    return e->data;
}

void fwcfg_free(struct machine *m)
{
    for (unsigned i = 0; i < ARRAY_LEN(m->fwcfg_key); i++)
        free(m->fwcfg_key[i].data);
    for (unsigned i = 0; i < ARRAY_LEN(m->fwcfg_arch); i++)
        free(m->fwcfg_arch[i].data);
    for (unsigned i = 0; i < m->fwcfg_files; i++)
        free(m->fwcfg_file[i].data);
    free(m->fwcfg_file);
}
