/*
 * Registers: which region answers an access.  Two tables (ports, memory) of regions
 * sorted by base and not overlapping, so an access is a binary search.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

/* Index of the first region whose end lies above the address. */
static unsigned lower_bound(const struct io_table *t, uint64_t address)
{
    unsigned low = 0, high = t->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct io_region *r = t->region[middle];
        if (r->base + (r->size - 1) < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct io_region *io_find(struct machine *m, enum io_space space, uint64_t address)
{
    const struct io_table *t = &m->io[space];
    unsigned i = lower_bound(t, address);

    if (i < t->count && t->region[i]->base <= address)
        return t->region[i];
    return NULL;
}

void io_region_init(struct io_region *r, struct device *dev, const char *name,
                    enum io_space space, uint64_t size, const struct io_ops *ops,
                    void *opaque)
{
    memset(r, 0, sizeof(*r));
    r->name = name;
    r->space = space;
    r->size = size;
    r->ops = ops;
    r->opaque = opaque;
    r->dev = dev;
}

int io_region_map(struct io_region *r, uint64_t base)
{
    struct machine *m = r->dev->machine;
    struct io_table *t = &m->io[r->space];
    uint64_t limit = r->space == IO_PORT ? 0xffff : UINT64_MAX;

    if (r->mapped && r->base == base)
        return 0;
    io_region_unmap(r);
    if (!r->size || base > limit || r->size - 1 > limit - base)
        return -ERANGE;
    unsigned i = lower_bound(t, base);
    if (i < t->count && t->region[i]->base <= base + (r->size - 1))
        return -EEXIST;
    r->base = base;
    int err = m->front->io_map ? m->front->io_map(m, r) : 0;
    if (err)
        return err;
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 32;
        t->region = must_realloc(t->region, t->room * sizeof(*t->region));
    }
    memmove(&t->region[i + 1], &t->region[i], (t->count - i) * sizeof(*t->region));
    t->region[i] = r;
    t->count++;
    r->mapped = true;
    return 0;
}

void io_region_unmap(struct io_region *r)
{
    if (!r->mapped)
        return;
    struct machine *m = r->dev->machine;
    struct io_table *t = &m->io[r->space];
    unsigned i = lower_bound(t, r->base);
    t->count--;
    memmove(&t->region[i], &t->region[i + 1], (t->count - i) * sizeof(*t->region));
    r->mapped = false;
    if (m->front->io_unmap)
        m->front->io_unmap(m, r);
}

static unsigned piece_limit(const struct io_region *r)
{
    if (r->ops->max_size)
        return r->ops->max_size;
    return r->space == IO_PORT ? 4 : 8;
}

static uint64_t size_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ULL << (size * 8)) - 1;
}

static uint64_t read_piece(struct io_region *r, uint64_t offset, unsigned size)
{
    unsigned wide = r->ops->min_size;

    if (!r->ops->read)
        return size_mask(size);
    if (size < wide) {
        uint64_t start = offset & ~(uint64_t)(wide - 1);
        if (offset + size <= start + wide && start + wide <= r->size)
            return r->ops->read(r->opaque, start, wide) >> ((offset - start) * 8) &
                   size_mask(size);
    }
    return r->ops->read(r->opaque, offset, size) & size_mask(size);
}

static uint64_t region_read(struct io_region *r, uint64_t offset, unsigned size)
{
    unsigned limit = piece_limit(r);
    uint64_t value = 0;

    r->accesses++;
    for (unsigned done = 0; done < size;) {
        unsigned piece = size - done < limit ? size - done : limit;
        value |= read_piece(r, offset + done, piece) << (done * 8);
        done += piece;
    }
    return value;
}

static void region_write(struct io_region *r, uint64_t offset, unsigned size,
                         uint64_t value)
{
    unsigned limit = piece_limit(r);

    r->accesses++;
    if (!r->ops->write)
        return;
    for (unsigned done = 0; done < size;) {
        unsigned piece = size - done < limit ? size - done : limit;
        r->ops->write(r->opaque, offset + done, piece,
                      value >> (done * 8) & size_mask(piece));
        done += piece;
    }
}

/*
 * How much of the access [address, address + size) one region answers, as a power of two,
 * so that handlers only see 1, 2, 4 or 8 bytes that lie inside of them.
 */
static unsigned part_size(const struct io_region *r, uint64_t address, unsigned size)
{
    uint64_t left = r ? r->size - (address - r->base) : 1;
    unsigned part = 1;

    while (part * 2 <= size && part * 2 <= left)
        part *= 2;
    return part;
}

uint64_t io_read(struct machine *m, enum io_space space, uint64_t address, unsigned size)
{
    uint64_t value = 0;

    for (unsigned done = 0; done < size;) {
        struct io_region *r = io_find(m, space, address + done);
        unsigned part = part_size(r, address + done, size - done);
        uint64_t piece = size_mask(part);
        if (r)
            piece = region_read(r, address + done - r->base, part);
        else
            m->unclaimed++;
        value |= piece << (done * 8);
        done += part;
    }
    return value & size_mask(size);
}

void io_write(struct machine *m, enum io_space space, uint64_t address, unsigned size,
              uint64_t value)
{
    for (unsigned done = 0; done < size;) {
        struct io_region *r = io_find(m, space, address + done);
        unsigned part = part_size(r, address + done, size - done);
        if (r)
            region_write(r, address + done - r->base, part,
                         value >> (done * 8) & size_mask(part));
        else
            m->unclaimed++;
        done += part;
    }
}

/* The region, if the whole element lies in it. */
static struct io_region *string_region(struct machine *m, uint64_t port, unsigned size)
{
    struct io_region *r = io_find(m, IO_PORT, port);

    return r && port - r->base + size <= r->size ? r : NULL;
}

void io_read_string(struct machine *m, uint64_t port, unsigned size, void *buffer,
                    unsigned count)
{
    uint8_t *at = buffer;

    while (count) {
        struct io_region *r = string_region(m, port, size);
        unsigned moved = 0;
        if (r && r->ops->read_string) {
            moved = r->ops->read_string(r->opaque, port - r->base, size, at, count);
            r->accesses++;
        }
        if (!moved) {
            uint64_t value = io_read(m, IO_PORT, port, size);
            memcpy(at, &value, size);
            moved = 1;
        }
        at += (size_t)moved * size;
        count -= moved;
    }
}

void io_write_string(struct machine *m, uint64_t port, unsigned size, const void *buffer,
                     unsigned count)
{
    const uint8_t *at = buffer;

    while (count) {
        struct io_region *r = string_region(m, port, size);
        unsigned moved = 0;
        if (r && r->ops->write_string) {
            moved = r->ops->write_string(r->opaque, port - r->base, size, at, count);
            r->accesses++;
        }
        if (!moved) {
            uint64_t value = 0;
            memcpy(&value, at, size);
            io_write(m, IO_PORT, port, size, value);
            moved = 1;
        }
        at += (size_t)moved * size;
        count -= moved;
    }
}
