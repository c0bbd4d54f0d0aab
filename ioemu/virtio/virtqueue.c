/*
 * Split virtqueues: see virtqueue.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtqueue.h"

#include <errno.h>
#include <string.h>

#include "virtio.h"

enum {
    DESC_BYTES = 16,
    DESC_NEXT = 1,
    DESC_WRITE = 2,
    DESC_INDIRECT = 4,
    AVAIL_NO_INTERRUPT = 1,
    RING_HEADER = 4, /* flags, index */
    USED_ENTRY = 8,
};

struct descriptor {
    uint64_t gpa;
    uint32_t bytes;
    uint16_t flags, next;
};

static struct device *device_of(struct virtqueue *q)
{
    return &q->owner->pci.dev;
}

static int ring_read_u16(struct virtqueue *q, uint64_t gpa, uint16_t *value)
{
    uint8_t b[2];
    int err = dma_read(device_of(q), gpa, b, sizeof(b));

    *value = load_le16(b);
    return err;
}

static int ring_write_u16(struct virtqueue *q, uint64_t gpa, uint16_t value)
{
    uint8_t b[2];

    store_le16(b, value);
    return dma_write(device_of(q), gpa, b, sizeof(b));
}

static int fail(struct virtqueue *q, const char *why)
{
    virtio_break(q->owner, why);
    return -EPROTO;
}

/* ---- taking -------------------------------------------------------------------------
 */

int virtqueue_waiting(struct virtqueue *q)
{
    uint16_t index;

    if (q->owner->broken)
        return -EPROTO;
    if (!q->ready)
        return 0;
    if (ring_read_u16(q, q->available + 2, &index))
        return fail(q, "available ring is not in memory");
    uint16_t count = (uint16_t)(index - q->next_available);
    if (count > q->size)
        return fail(q, "available index runs ahead of the ring");
    return count;
}

bool virtqueue_pending(struct virtqueue *q)
{
    return virtqueue_waiting(q) > 0;
}

static int read_descriptor(struct virtqueue *q, uint64_t table, unsigned entry,
                           struct descriptor *d)
{
    uint8_t raw[DESC_BYTES];

    if (dma_read(device_of(q), table + entry * DESC_BYTES, raw, sizeof(raw)))
        return fail(q, "descriptor is not in memory");
    d->gpa = load_le64(raw);
    d->bytes = load_le32(raw + 8);
    d->flags = load_le16(raw + 12);
    d->next = load_le16(raw + 14);
    return 0;
}

static int add_segment(struct virtqueue *q, struct vq_chain *chain,
                       const struct descriptor *d)
{
    unsigned n = chain->out_segments + chain->in_segments;
    bool write = d->flags & DESC_WRITE;

    if (n == VQ_SEGMENTS)
        return fail(q, "descriptor chain is too long");
    if (!write && chain->in_segments)
        return fail(q, "readable descriptor after a writable one");
    if (!d->bytes)
        return fail(q, "descriptor without bytes");
    chain->segment[n] = (struct vq_segment){d->gpa, d->bytes};
    if (write) {
        chain->in_segments++;
        chain->in_bytes += d->bytes;
    } else {
        chain->out_segments++;
        chain->out_bytes += d->bytes;
    }
    return 0;
}

/* Follow a chain in a table of `entries`; each entry is visited once at most. */
static int walk(struct virtqueue *q, struct vq_chain *chain, uint64_t table,
                unsigned entries, struct descriptor d)
{
    for (unsigned steps = 1;; steps++) {
        if (d.flags & DESC_INDIRECT)
            return fail(q, "indirect descriptor inside a chain");
        int err = add_segment(q, chain, &d);
        if (err)
            return err;
        if (!(d.flags & DESC_NEXT))
            return 0;
        if (d.next >= entries || steps >= entries)
            return fail(q, "descriptor chain leaves the table or loops");
        err = read_descriptor(q, table, d.next, &d);
        if (err)
            return err;
    }
}

static int read_chain(struct virtqueue *q, struct vq_chain *chain)
{
    struct descriptor d;
    int err = read_descriptor(q, q->descriptors, chain->head, &d);

    if (err)
        return err;
    if (!(d.flags & DESC_INDIRECT))
        return walk(q, chain, q->descriptors, q->size, d);
    unsigned entries = d.bytes / DESC_BYTES;
    if (!virtio_has(q->owner, VIRTIO_RING_INDIRECT) || d.flags & DESC_NEXT || !entries ||
        d.bytes % DESC_BYTES || entries > UINT16_MAX)
        return fail(q, "bad indirect descriptor");
    uint64_t table = d.gpa;
    err = read_descriptor(q, table, 0, &d);
    return err ? err : walk(q, chain, table, entries, d);
}

int virtqueue_take(struct virtqueue *q, struct vq_chain *chain)
{
    int count = virtqueue_waiting(q);

    if (count <= 0)
        return count;
    /* The entry is read after the index that announced it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    chain->out_segments = chain->in_segments = 0;
    chain->out_bytes = chain->in_bytes = 0;
    uint64_t entry =
        q->available + RING_HEADER + (q->next_available & (q->size - 1u)) * 2;
    if (ring_read_u16(q, entry, &chain->head))
        return fail(q, "available ring is not in memory");
    if (chain->head >= q->size)
        return fail(q, "available entry names no descriptor");
    int err = read_chain(q, chain);
    if (err)
        return err;
    q->next_available++;
    return 1;
}

void virtqueue_untake(struct virtqueue *q)
{
    q->next_available--;
}

void virtqueue_enable_notify(struct virtqueue *q)
{
    /* Without event indexes the driver always notifies: we leave `flags` at 0. */
    if (!q->ready || !virtio_has(q->owner, VIRTIO_RING_EVENT_IDX))
        return;
    uint64_t event = q->used + RING_HEADER + (uint64_t)q->size * USED_ENTRY;
    if (ring_write_u16(q, event, q->next_available))
        fail(q, "used ring is not in memory");
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- giving back --------------------------------------------------------------------
 */

void virtqueue_put_at(struct virtqueue *q, unsigned ahead, uint16_t head,
                      uint32_t written)
{
    uint8_t entry[USED_ENTRY];
    unsigned slot = (q->next_used + ahead) & (q->size - 1u);

    store_le32(entry, head);
    store_le32(entry + 4, written);
    if (q->ready && dma_write(device_of(q), q->used + RING_HEADER + slot * USED_ENTRY,
                              entry, sizeof(entry)))
        fail(q, "used ring is not in memory");
}

void virtqueue_publish(struct virtqueue *q, unsigned count)
{
    if (!q->ready || q->owner->broken)
        return;
    q->next_used = (uint16_t)(q->next_used + count);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (ring_write_u16(q, q->used + 2, q->next_used))
        fail(q, "used ring is not in memory");
}

void virtqueue_put(struct virtqueue *q, uint16_t head, uint32_t written)
{
    virtqueue_put_at(q, 0, head, written);
    virtqueue_publish(q, 1);
}

/* 2.7.7.2: was used_event passed between `old` and `now`? */
static bool wants_interrupt(struct virtqueue *q, uint16_t old, bool old_valid)
{
    uint16_t value;

    if (!virtio_has(q->owner, VIRTIO_RING_EVENT_IDX)) {
        if (ring_read_u16(q, q->available, &value))
            return false;
        return !(value & AVAIL_NO_INTERRUPT);
    }
    if (!old_valid)
        return true;
    if (ring_read_u16(q, q->available + RING_HEADER + q->size * 2u, &value))
        return false;
    return (uint16_t)(q->next_used - value - 1) < (uint16_t)(q->next_used - old);
}

void virtqueue_signal(struct virtqueue *q)
{
    uint16_t old = q->signalled;
    bool valid = q->signalled_valid;

    if (!q->ready || q->owner->broken || (valid && old == q->next_used))
        return;
    q->signalled = q->next_used;
    q->signalled_valid = true;
    /* The driver must see the index before we look whether it cares. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (wants_interrupt(q, old, valid))
        virtio_interrupt(q->owner, q->vector);
}

/* ---- data ---------------------------------------------------------------------------
 */

static ssize_t copy(struct virtqueue *q, const struct vq_segment *segment,
                    unsigned segments, uint64_t offset, uint8_t *buffer, size_t bytes,
                    bool to_guest)
{
    size_t done = 0;

    for (unsigned i = 0; i < segments && done < bytes; i++) {
        uint64_t length = segment[i].bytes;
        if (offset >= length) {
            offset -= length;
            continue;
        }
        size_t part = length - offset < bytes - done ? length - offset : bytes - done;
        uint64_t gpa = segment[i].gpa + offset;
        int err = to_guest ? dma_write(device_of(q), gpa, buffer + done, part)
                           : dma_read(device_of(q), gpa, buffer + done, part);
        if (err)
            return err;
        done += part;
        offset = 0;
    }
    return (ssize_t)done;
}

ssize_t vq_read(struct virtqueue *q, const struct vq_chain *chain, uint64_t offset,
                void *buffer, size_t bytes)
{
    return copy(q, chain->segment, chain->out_segments, offset, buffer, bytes, false);
}

ssize_t vq_write(struct virtqueue *q, const struct vq_chain *chain, uint64_t offset,
                 const void *buffer, size_t bytes)
{
    return copy(q, chain->segment + chain->out_segments, chain->in_segments, offset,
                (uint8_t *)buffer, bytes, true);
}

/* ---- life cycle ---------------------------------------------------------------------
 */

void virtqueue_reset(struct virtqueue *q)
{
    q->size = q->size_most;
    q->ready = false;
    q->descriptors = q->available = q->used = 0;
    q->next_available = q->next_used = q->signalled = 0;
    q->signalled_valid = false;
    q->vector = VIRTIO_NO_VECTOR;
}

int virtqueue_state(struct virtqueue *q, struct state *state)
{
    uint32_t size = q->size;

    state_range(state, "size", &size, 1, q->size_most);
    state_bool(state, "ready", &q->ready);
    state_u64(state, "descriptors", &q->descriptors);
    state_u64(state, "available", &q->available);
    state_u64(state, "used", &q->used);
    state_u16(state, "next-available", &q->next_available);
    state_u16(state, "next-used", &q->next_used);
    state_u16(state, "signalled", &q->signalled);
    state_bool(state, "signalled-valid", &q->signalled_valid);
    int err = state_u16(state, "vector", &q->vector);
    if (err || !state_loading(state))
        return err;
    if (size & (size - 1))
        return state_fail(state, "queue %u has %u entries", q->index, size);
    q->size = (uint16_t)size;
    return 0;
}
