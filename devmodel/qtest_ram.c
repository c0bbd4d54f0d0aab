/*
 * Guest memory of the qtest front end: plain memory below and above 4 GiB, a firmware
 * image below 4 GiB, the i440fx shadow areas (PAM), device windows and registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../firmware/layout.h"
#include "../firmware/lookup.h"
#include "qtest.h"

#define PAGE     4096u
#define PAM_BASE 0xc0000u
#define PAM_END  0x100000u
#define PAM_UNIT 0x4000u
#define ROM_LOW  0xe0000u
#define ROM_MOST (16u << 20)

/* What answers at an address, and for how many bytes. */
struct place {
    uint8_t *host; /* NULL: registers, or nothing */
    bool rom;
};

static uint8_t *map_ram(uint64_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

int qtest_ram_init(struct qtest *q, const char *bios, struct error *error)
{
    const struct board *b = &q->machine->board;
    char path[4096];
    size_t bytes;

    q->low = map_ram(b->ram_below_4g);
    q->high = b->ram_above_4g ? map_ram(b->ram_above_4g) : NULL;
    if (!q->low || (b->ram_above_4g && !q->high))
        return error_set(error, -ENOMEM, "no memory for the guest");
    if (!bios) {
        if (firmware_find_bios(path, sizeof(path)))
            return 0; /* a test of devices can do without */
        bios = path;
    }
    int err = firmware_read_file(bios, ROM_MOST, &q->rom, &bytes);
    if (!err && (!bytes || bytes % PAGE))
        err = -EINVAL;
    if (err)
        return error_set(error, err, "firmware '%s': %s", bios, strerror(-err));
    q->rom_bytes = bytes;
    return 0;
}

void qtest_ram_free(struct qtest *q, const struct board *b)
{
    if (q->low)
        munmap(q->low, b->ram_below_4g);
    if (q->high)
        munmap(q->high, b->ram_above_4g);
    free(q->rom);
}

static struct ram_window *window_at(struct machine *m, uint64_t gpa)
{
    for (struct ram_window *w = m->windows; w; w = w->next) {
        if (w->mapped && gpa >= w->gpa && gpa - w->gpa < w->size)
            return w;
    }
    return NULL;
}

static struct place below_1m(struct qtest *q, uint64_t gpa, bool write)
{
    const uint8_t pam = q->pam[(gpa - PAM_BASE) / PAM_UNIT];
    uint64_t from_end = PAM_END - gpa;

    if (pam & (write ? 2 : 1))
        return (struct place){q->low + gpa, false};
    if (gpa >= ROM_LOW && from_end <= q->rom_bytes)
        return (struct place){q->rom + q->rom_bytes - from_end, true};
    return (struct place){0};
}

static struct place find(struct qtest *q, uint64_t gpa, bool write)
{
    struct machine *m = q->machine;
    const struct board *b = &m->board;
    struct ram_window *w = window_at(m, gpa);

    if (w) {
        if (write && w->dirty)
            w->dirty[(gpa - w->gpa) / PAGE / 64] |= 1ULL << ((gpa - w->gpa) / PAGE % 64);
        return (struct place){w->host + (gpa - w->gpa), w->read_only};
    }
    if (gpa >= PAM_BASE && gpa < PAM_END)
        return below_1m(q, gpa, write);
    if (gpa < b->ram_below_4g && (gpa < LAYOUT_VGA_BASE || gpa >= LAYOUT_VGA_END))
        return (struct place){q->low + gpa, false};
    if (gpa >= LAYOUT_HIGH_RAM_BASE && gpa - LAYOUT_HIGH_RAM_BASE < b->ram_above_4g)
        return (struct place){q->high + (gpa - LAYOUT_HIGH_RAM_BASE), false};
    if (gpa < LAYOUT_ROM_END && LAYOUT_ROM_END - gpa <= q->rom_bytes)
        return (struct place){q->rom + q->rom_bytes - (LAYOUT_ROM_END - gpa), true};
    return (struct place){0};
}

/* Everything that can differ is aligned to a page. */
static size_t piece_of(uint64_t gpa, size_t bytes)
{
    size_t left = PAGE - gpa % PAGE;

    return bytes < left ? bytes : left;
}

int qtest_ram_read(struct machine *m, uint64_t gpa, void *buffer, size_t bytes)
{
    struct qtest *q = m->front_data;
    uint8_t *to = buffer;
    int err = 0;

    while (bytes) {
        size_t piece = piece_of(gpa, bytes);
        struct place p = find(q, gpa, false);
        if (p.host) {
            memcpy(to, p.host, piece);
        } else {
            memset(to, 0xff, piece);
            err = -EFAULT;
        }
        to += piece;
        gpa += piece;
        bytes -= piece;
    }
    return err;
}

int qtest_ram_write(struct machine *m, uint64_t gpa, const void *buffer, size_t bytes)
{
    struct qtest *q = m->front_data;
    const uint8_t *from = buffer;
    int err = 0;

    while (bytes) {
        size_t piece = piece_of(gpa, bytes);
        struct place p = find(q, gpa, true);
        if (!p.host)
            err = -EFAULT;
        else if (!p.rom)
            memcpy(p.host, from, piece);
        from += piece;
        gpa += piece;
        bytes -= piece;
    }
    return err;
}

/* What a CPU would see: memory where there is some, else registers, in pieces of the
 * size. */
void qtest_cpu_read(struct machine *m, uint64_t gpa, uint8_t *to, size_t bytes)
{
    struct qtest *q = m->front_data;

    while (bytes) {
        size_t piece = piece_of(gpa, bytes);
        struct place p = find(q, gpa, false);
        if (p.host) {
            memcpy(to, p.host, piece);
        } else {
            unsigned size = bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1;
            uint64_t value = io_read(m, IO_MEM, gpa, size);
            memcpy(to, &value, size);
            piece = size;
        }
        to += piece;
        gpa += piece;
        bytes -= piece;
    }
}

void qtest_cpu_write(struct machine *m, uint64_t gpa, const uint8_t *from, size_t bytes)
{
    struct qtest *q = m->front_data;

    while (bytes) {
        size_t piece = piece_of(gpa, bytes);
        struct place p = find(q, gpa, true);
        if (p.host) {
            if (!p.rom)
                memcpy(p.host, from, piece);
        } else {
            unsigned size = bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1;
            uint64_t value = 0;
            memcpy(&value, from, size);
            io_write(m, IO_MEM, gpa, size, value);
            piece = size;
        }
        from += piece;
        gpa += piece;
        bytes -= piece;
    }
}

void qtest_set_pam(struct machine *m, uint32_t base, uint32_t bytes, bool read_ram,
                   bool write_ram)
{
    struct qtest *q = m->front_data;

    for (uint32_t at = base; at < base + bytes; at += PAM_UNIT) {
        if (at >= PAM_BASE && at < PAM_END)
            q->pam[(at - PAM_BASE) / PAM_UNIT] = (uint8_t)(read_ram | write_ram << 1);
    }
}

int qtest_window_init(struct machine *m, struct ram_window *w)
{
    w->host = map_ram(w->size);
    if (!w->host)
        return -ENOMEM;
    w->dirty = must_alloc((w->size / PAGE + 63) / 64 * 8);
    return 0;
}

void qtest_window_fini(struct machine *m, struct ram_window *w)
{
    munmap(w->host, w->size);
    free(w->dirty);
}

int qtest_window_map(struct machine *m, struct ram_window *w, uint64_t gpa)
{
    return 0;
}

void qtest_window_unmap(struct machine *m, struct ram_window *w)
{
}

void qtest_window_track(struct machine *m, struct ram_window *w, bool on)
{
    memset(w->dirty, 0, (w->size / PAGE + 63) / 64 * 8);
}

int qtest_window_dirty(struct machine *m, struct ram_window *w, uint64_t offset,
                       uint64_t bytes, uint64_t *bitmap)
{
    memset(bitmap, 0, (bytes / PAGE + 63) / 64 * 8);
    for (uint64_t page = 0; page < bytes / PAGE; page++) {
        uint64_t from = offset / PAGE + page;
        uint64_t bit = 1ULL << (from % 64);
        if (w->dirty[from / 64] & bit)
            bitmap[page / 64] |= 1ULL << (page % 64);
        w->dirty[from / 64] &= ~bit;
    }
    return 0;
}
