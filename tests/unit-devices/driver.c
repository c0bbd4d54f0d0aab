/*
 * See driver.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include <string.h>

#define QUEUE_SPACE 0x10000u
#define QUEUE_BASE  0x100000u
#define PAGE        4096u

static uint64_t modern(unsigned offset)
{
    return DRIVER_MODERN + offset;
}

static uint16_t port(unsigned offset)
{
    return (uint16_t)(DRIVER_LEGACY + offset);
}

uint8_t driver_status(struct driver *d)
{
    return d->legacy ? in8(d->b, port(0x12)) : (uint8_t)cpu_read(d->b, modern(0x14), 1);
}

void driver_set_status(struct driver *d, uint8_t status)
{
    if (d->legacy)
        out8(d->b, port(0x12), status);
    else
        cpu_write(d->b, modern(0x14), 1, status);
}

uint64_t driver_offered(struct driver *d)
{
    if (d->legacy)
        return in32(d->b, port(0));
    cpu_write(d->b, modern(0), 4, 0);
    uint64_t low = cpu_read(d->b, modern(4), 4);
    cpu_write(d->b, modern(0), 4, 1);
    return low | cpu_read(d->b, modern(4), 4) << 32;
}

static void negotiate(struct driver *d, uint64_t features)
{
    d->features = features & driver_offered(d);
    if (d->legacy) {
        out32(d->b, port(4), (uint32_t)d->features);
        return;
    }
    for (unsigned half = 0; half < 2; half++) {
        cpu_write(d->b, modern(8), 4, half);
        cpu_write(d->b, modern(12), 4, (uint32_t)(d->features >> (32 * half)));
    }
    driver_set_status(d, 11);
    assert_int_equal(driver_status(d), 11);
}

static void enable_msix(struct driver *d)
{
    for (unsigned v = 0; v < 4; v++) {
        cpu_write(d->b, DRIVER_MSIX + v * 16, 8, DRIVER_VECTOR);
        cpu_write(d->b, DRIVER_MSIX + v * 16 + 8, 4, 0x40 + v);
        cpu_write(d->b, DRIVER_MSIX + v * 16 + 12, 4, 0);
    }
    for (unsigned cap = config_read(d->b, d->slot, 0x34, 1); cap;
         cap = config_read(d->b, d->slot, cap + 1, 1)) {
        if (config_read(d->b, d->slot, cap, 1) == 0x11)
            config_write(d->b, d->slot, cap + 2, 2, 0x8000);
    }
}

void driver_start(struct driver *d, struct bench *b, unsigned slot, bool legacy,
                  bool msix, uint64_t features)
{
    memset(d, 0, sizeof(*d));
    d->b = b;
    d->slot = slot;
    d->legacy = legacy;
    d->msix = msix;
    config_write(b, slot, 0x10, 4, DRIVER_LEGACY | 1);
    config_write(b, slot, 0x14, 4, DRIVER_MSIX);
    config_write(b, slot, 0x20, 4, DRIVER_MODERN);
    config_write(b, slot, 0x24, 4, 0);
    config_enable(b, slot);
    if (msix)
        enable_msix(d);
    d->config = !legacy ? 0x2000 : msix ? 0x18 : 0x14;
    driver_set_status(d, 0);
    assert_int_equal(driver_status(d), 0);
    driver_set_status(d, 3);
    negotiate(d, features | (legacy ? 0 : 1ull << 32));
}

uint64_t driver_config(struct driver *d, unsigned offset, unsigned size)
{
    if (d->legacy)
        return io_read(d->b->m, IO_PORT, port(d->config + offset), size);
    return cpu_read(d->b, modern(d->config + offset), size);
}

void driver_queue(struct driver *d, unsigned index)
{
    static const uint8_t zero[QUEUE_SPACE];
    struct driver_queue *q = &d->q[index];
    struct bench *b = d->b;

    q->index = index;
    q->avail_index = q->used_seen = 0;
    q->desc = QUEUE_BASE + index * QUEUE_SPACE;
    mem_write(b, q->desc, zero, sizeof(zero));
    if (d->legacy) {
        out16(b, port(14), (uint16_t)index);
        q->size = in16(b, port(12));
        q->avail = q->desc + 16 * q->size;
        q->used = (q->avail + 6 + 2 * q->size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        out32(b, port(8), (uint32_t)(q->desc / PAGE));
        if (d->msix)
            out16(b, port(0x16), (uint16_t)(index + 1));
        return;
    }
    cpu_write(b, modern(0x16), 2, index);
    q->size = (unsigned)cpu_read(b, modern(0x18), 2);
    /* Anywhere, and not in a legacy order. */
    q->used = q->desc + 0x4000;
    q->avail = q->desc + 0x8000;
    cpu_write(b, modern(0x20), 4, q->desc);
    cpu_write(b, modern(0x24), 4, 0);
    cpu_write(b, modern(0x28), 8, q->avail);
    cpu_write(b, modern(0x30), 8, q->used);
    if (d->msix) {
        cpu_write(b, modern(0x1a), 2, index + 1);
        assert_int_equal(cpu_read(b, modern(0x1a), 2), index + 1);
    }
    cpu_write(b, modern(0x1c), 2, 1);
}

void driver_ok(struct driver *d)
{
    driver_set_status(d, d->legacy ? 7 : 15);
}

void driver_desc(struct driver *d, unsigned q, unsigned n, uint64_t gpa, uint32_t bytes,
                 uint16_t flags, uint16_t next)
{
    uint8_t raw[16];

    store_le64(raw, gpa);
    store_le32(raw + 8, bytes);
    store_le16(raw + 12, flags);
    store_le16(raw + 14, next);
    mem_write(d->b, d->q[q].desc + 16 * n, raw, sizeof(raw));
}

void driver_offer(struct driver *d, unsigned index, uint16_t head)
{
    struct driver_queue *q = &d->q[index];

    mem_write(d->b, q->avail + 4 + q->avail_index % q->size * 2, &head, 2);
    q->avail_index++;
    mem_write(d->b, q->avail + 2, &q->avail_index, 2);
    driver_notify(d, index);
}

void driver_notify(struct driver *d, unsigned index)
{
    if (d->legacy)
        out16(d->b, port(16), (uint16_t)index);
    else
        cpu_write(d->b, modern(0x3000 + 4 * index), 2, index);
}

int driver_used(struct driver *d, unsigned index, uint32_t *written)
{
    struct driver_queue *q = &d->q[index];
    uint16_t used;
    uint32_t entry[2];

    mem_read(d->b, q->used + 2, &used, 2);
    if (used == q->used_seen)
        return -1;
    mem_read(d->b, q->used + 4 + q->used_seen % q->size * 8, entry, sizeof(entry));
    q->used_seen++;
    if (written)
        *written = entry[1];
    return (int)entry[0];
}

int driver_wait(struct driver *d, unsigned index, uint32_t *written)
{
    for (unsigned i = 0; i < 2000; i++) {
        int head = driver_used(d, index, written);
        if (head >= 0)
            return head;
        turn_wait(d->b);
    }
    fail_msg("queue %u: no answer", index);
    return -1;
}
