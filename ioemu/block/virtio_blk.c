/*
 * virtio block device (Virtual I/O Device 1.2, section 5.2).
 *
 * Each request gets a bounce buffer; a long one is carried out piece by piece.  How many
 * bytes of buffers one device holds is limited, so a guest cannot make this process grow:
 * what does not fit waits in the ring.
 * Left out: topology, SCSI commands, zoned devices, lifetime, secure erase.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../virtio/virtio.h"

#define SECTOR          512u
#define PIECE_BYTES     (1u << 20)
#define BUFFERS_MOST    (16u << 20) /* bytes, of all requests together */
#define ID_BYTES        20
#define EXTENT_MOST     (1u << 22) /* sectors of one discard */
#define QUEUES_MOST     16u
#define REQUESTS_CACHED 32u

enum {
    FEATURE_SEG_MAX = 2,
    FEATURE_GEOMETRY = 4,
    FEATURE_READ_ONLY = 5,
    FEATURE_BLOCK_SIZE = 6,
    FEATURE_FLUSH = 9,
    FEATURE_QUEUES = 12,
    FEATURE_DISCARD = 13,
    FEATURE_WRITE_ZEROES = 14,

    CONFIG_CAPACITY = 0,
    CONFIG_SEG_MAX = 12,
    CONFIG_CYLINDERS = 16,
    CONFIG_HEADS = 18,
    CONFIG_SECTORS = 19,
    CONFIG_BLOCK_SIZE = 20,
    CONFIG_QUEUES = 34,
    CONFIG_DISCARD_SECTORS = 36,
    CONFIG_DISCARD_SEGMENTS = 40,
    CONFIG_DISCARD_ALIGNMENT = 44,
    CONFIG_ZEROES_SECTORS = 48,
    CONFIG_ZEROES_SEGMENTS = 52,
    CONFIG_ZEROES_UNMAP = 56,
    CONFIG_BYTES = 60,

    TYPE_IN = 0,
    TYPE_OUT = 1,
    TYPE_FLUSH = 4,
    TYPE_GET_ID = 8,
    TYPE_DISCARD = 11,
    TYPE_WRITE_ZEROES = 13,

    STATUS_OK = 0,
    STATUS_IO_ERROR = 1,
    STATUS_UNSUPPORTED = 2,

    HEADER_BYTES = 16,
    EXTENT_BYTES = 16,
    EXTENT_UNMAP = 1,
};

struct blk;

struct request {
    struct block_request block;
    struct blk *owner;
    struct virtqueue *queue;
    struct request *next; /* in the cache */
    uint32_t type;
    uint64_t offset; /* bytes on the disk */
    uint64_t bytes, done;
    size_t piece;    /* under way */
    size_t buffered; /* bytes of `buffer` */
    uint8_t *buffer;
    bool flushing; /* a write that must be on the disk before it is reported */
    struct iovec iov;
    struct vq_chain chain;
};

struct blk {
    struct virtio virtio;        /* must be first */
    struct block_backend *drive; /* options */
    const char *serial;
    uint32_t queues, queue_size;

    size_t buffered;
    struct request *cache;
    unsigned cached;
    bool paused;          /* take nothing from the rings */
    struct deferred more; /* requests wait for room */
};

static struct blk *to_blk(struct virtio *v)
{
    return container_of(v, struct blk, virtio);
}

/* ---- requests -----------------------------------------------------------------------
 */

static struct request *new_request(struct blk *d)
{
    struct request *r = d->cache;

    if (r) {
        d->cache = r->next;
        d->cached--;
    } else {
        r = malloc(sizeof(*r));
    }
    if (!r)
        return NULL;
    r->owner = d;
    r->buffer = NULL;
    r->buffered = r->piece = 0;
    r->bytes = r->done = 0;
    r->flushing = false;
    return r;
}

static void free_request(struct request *r)
{
    struct blk *d = r->owner;

    free(r->buffer);
    d->buffered -= r->buffered;
    if (d->cached == REQUESTS_CACHED) {
        free(r);
        return;
    }
    r->next = d->cache;
    d->cache = r;
    d->cached++;
}

/* `written` is without the status byte, which is the last one of the writable part. */
static void finish(struct request *r, uint8_t status, uint32_t written)
{
    struct blk *d = r->owner;
    struct virtqueue *q = r->queue;

    if (vq_write(q, &r->chain, r->chain.in_bytes - 1, &status, 1) != 1)
        virtio_break(&d->virtio, "status byte is not in memory");
    virtqueue_put(q, r->chain.head, written + 1);
    virtqueue_signal(q);
    free_request(r);
    deferred_queue(&d->more);
}

static void block_done(struct block_request *block, int result);

static void submit(struct request *r, enum block_op op, uint64_t offset, uint64_t bytes)
{
    r->block = (struct block_request){
        .op = op,
        .offset = offset,
        .bytes = bytes,
        .done = block_done,
        .opaque = r,
    };
    if (op == BLOCK_READ || op == BLOCK_WRITE) {
        r->iov = (struct iovec){r->buffer, bytes};
        r->block.iov = &r->iov;
        r->block.iovcnt = 1;
    }
    block_submit(r->owner->drive, &r->block);
}

/* The next piece of a read or write; the data of a write is fetched now. */
static void submit_piece(struct request *r)
{
    uint64_t left = r->bytes - r->done;

    r->piece = left < r->buffered ? left : r->buffered;
    if (r->type == TYPE_IN) {
        submit(r, BLOCK_READ, r->offset + r->done, r->piece);
        return;
    }
    if (vq_read(r->queue, &r->chain, HEADER_BYTES + r->done, r->buffer, r->piece) !=
        (ssize_t)r->piece)
        finish(r, STATUS_IO_ERROR, 0);
    else
        submit(r, BLOCK_WRITE, r->offset + r->done, r->piece);
}

static void block_done(struct block_request *block, int result)
{
    struct request *r = block->opaque;

    if (result) {
        finish(r, result == -ENOTSUP ? STATUS_UNSUPPORTED : STATUS_IO_ERROR, 0);
        return;
    }
    if ((r->type != TYPE_IN && r->type != TYPE_OUT) || r->flushing) {
        finish(r, STATUS_OK, 0);
        return;
    }
    if (r->type == TYPE_IN && vq_write(r->queue, &r->chain, r->done, r->buffer,
                                       r->piece) != (ssize_t)r->piece) {
        finish(r, STATUS_IO_ERROR, 0);
        return;
    }
    r->done += r->piece;
    if (r->done < r->bytes) {
        submit_piece(r);
    } else if (r->type == TYPE_OUT && !virtio_has(&r->owner->virtio, FEATURE_FLUSH)) {
        /* A driver that cannot flush expects writes to be final (5.2.6.2). */
        r->flushing = true;
        submit(r, BLOCK_FLUSH, 0, 0);
    } else {
        finish(r, STATUS_OK, r->type == TYPE_IN ? (uint32_t)r->bytes : 0);
    }
}

/* ---- one request from the ring ------------------------------------------------------
 */

static void transfer(struct request *r, uint64_t sector)
{
    struct blk *d = r->owner;
    uint64_t capacity = block_bytes(d->drive) / SECTOR;

    r->bytes =
        r->type == TYPE_IN ? r->chain.in_bytes - 1 : r->chain.out_bytes - HEADER_BYTES;
    if (r->bytes % SECTOR || sector > capacity || r->bytes / SECTOR > capacity - sector ||
        (r->type == TYPE_OUT && block_read_only(d->drive))) {
        finish(r, STATUS_IO_ERROR, 0);
        return;
    }
    if (!r->bytes) {
        finish(r, STATUS_OK, 0);
        return;
    }
    r->offset = sector * SECTOR;
    r->buffered = r->bytes < PIECE_BYTES ? r->bytes : PIECE_BYTES;
    r->buffer = malloc(r->buffered);
    if (!r->buffer) {
        r->buffered = 0;
        finish(r, STATUS_IO_ERROR, 0);
        return;
    }
    d->buffered += r->buffered;
    submit_piece(r);
}

/* Discard and write zeroes: one extent each, as the configuration says. */
static void extent(struct request *r)
{
    struct blk *d = r->owner;
    uint64_t capacity = block_bytes(d->drive) / SECTOR;
    uint8_t raw[EXTENT_BYTES];

    if (r->chain.out_bytes != HEADER_BYTES + EXTENT_BYTES ||
        vq_read(r->queue, &r->chain, HEADER_BYTES, raw, sizeof(raw)) != sizeof(raw)) {
        finish(r, STATUS_UNSUPPORTED, 0);
        return;
    }
    uint64_t sector = load_le64(raw);
    uint32_t count = load_le32(raw + 8), flags = load_le32(raw + 12);
    uint32_t known = r->type == TYPE_WRITE_ZEROES ? EXTENT_UNMAP : 0;
    if (flags & ~known) {
        finish(r, STATUS_UNSUPPORTED, 0);
    } else if (count > EXTENT_MOST || sector > capacity || count > capacity - sector ||
               block_read_only(d->drive)) {
        finish(r, STATUS_IO_ERROR, 0);
    } else if (!count) {
        finish(r, STATUS_OK, 0);
    } else {
        submit(r, r->type == TYPE_DISCARD ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES,
               sector * SECTOR, (uint64_t)count * SECTOR);
    }
}

static void get_id(struct request *r)
{
    const struct blk *d = r->owner;
    const char *serial = d->serial ? d->serial : block_serial(d->drive);
    char id[ID_BYTES] = {0};

    if (serial)
        memcpy(id, serial, strnlen(serial, ID_BYTES));
    uint64_t room = r->chain.in_bytes - 1;
    size_t bytes = room < ID_BYTES ? room : ID_BYTES;
    bool good = vq_write(r->queue, &r->chain, 0, id, bytes) == (ssize_t)bytes;
    finish(r, good ? STATUS_OK : STATUS_IO_ERROR, good ? (uint32_t)bytes : 0);
}

static void start_request(struct request *r)
{
    uint8_t header[HEADER_BYTES];

    if (vq_read(r->queue, &r->chain, 0, header, sizeof(header)) != sizeof(header)) {
        finish(r, STATUS_IO_ERROR, 0);
        return;
    }
    r->type = load_le32(header);
    switch (r->type) {
    case TYPE_IN:
    case TYPE_OUT:
        transfer(r, load_le64(header + 8));
        break;
    case TYPE_FLUSH:
        submit(r, BLOCK_FLUSH, 0, 0);
        break;
    case TYPE_GET_ID:
        get_id(r);
        break;
    case TYPE_DISCARD:
    case TYPE_WRITE_ZEROES:
        extent(r);
        break;
    default:
        finish(r, STATUS_UNSUPPORTED, 0);
        break;
    }
}

/* True: there may be more. */
static bool take_one(struct blk *d, struct virtqueue *q)
{
    if (d->paused || d->buffered >= BUFFERS_MOST)
        return false;
    struct request *r = new_request(d);
    if (!r)
        return false;
    r->queue = q;
    if (virtqueue_take(q, &r->chain) <= 0) {
        free_request(r);
        return false;
    }
    if (r->chain.out_bytes < HEADER_BYTES || !r->chain.in_bytes) {
        free_request(r);
        virtio_break(&d->virtio, "request without header or status");
        return false;
    }
    start_request(r);
    return true;
}

static void blk_notify(struct virtio *v, struct virtqueue *q)
{
    struct blk *d = to_blk(v);

    do {
        while (take_one(d, q))
            ;
        virtqueue_enable_notify(q);
        /* Requests that wait for room are taken up again by `more`. */
    } while (!d->paused && d->buffered < BUFFERS_MOST && virtqueue_pending(q));
}

static void take_more(void *opaque)
{
    struct blk *d = opaque;

    for (unsigned n = 0; n < d->virtio.queues; n++) {
        if (virtqueue_pending(&d->virtio.queue[n]))
            blk_notify(&d->virtio, &d->virtio.queue[n]);
    }
}

/* ---- life cycle ---------------------------------------------------------------------
 */

static void blk_reset_queues(struct virtio *v)
{
    struct blk *d = to_blk(v);

    block_drain(d->drive);
    deferred_cancel(&d->more);
}

static const struct virtio_ops blk_virtio_ops = {
    .type = VIRTIO_BLOCK,
    .class_code = 0x010000,
    .config_bytes = CONFIG_BYTES,
    .notify = blk_notify,
    .reset = blk_reset_queues,
};

static void fill_config(struct blk *d)
{
    struct virtio *v = &d->virtio;
    uint64_t sectors = block_bytes(d->drive) / SECTOR;
    uint64_t cylinders = sectors / (16 * 63);

    memset(v->config, 0, sizeof(v->config));
    store_le64(v->config + CONFIG_CAPACITY, sectors);
    store_le32(v->config + CONFIG_SEG_MAX, d->queue_size - 2);
    store_le16(v->config + CONFIG_CYLINDERS,
               (uint16_t)(cylinders > 16383 ? 16383 : cylinders));
    v->config[CONFIG_HEADS] = 16;
    v->config[CONFIG_SECTORS] = 63;
    store_le32(v->config + CONFIG_BLOCK_SIZE, SECTOR);
    store_le16(v->config + CONFIG_QUEUES, (uint16_t)d->queues);
    store_le32(v->config + CONFIG_DISCARD_SECTORS, EXTENT_MOST);
    store_le32(v->config + CONFIG_DISCARD_SEGMENTS, 1);
    store_le32(v->config + CONFIG_DISCARD_ALIGNMENT, 1);
    store_le32(v->config + CONFIG_ZEROES_SECTORS, EXTENT_MOST);
    store_le32(v->config + CONFIG_ZEROES_SEGMENTS, 1);
    v->config[CONFIG_ZEROES_UNMAP] = 1;
}

static void medium_changed(void *opaque)
{
    struct blk *d = opaque;

    fill_config(d);
    virtio_config_changed(&d->virtio);
}

static const struct block_front_ops front = {.medium_changed = medium_changed};

static int blk_create(struct device *dev, struct error *error)
{
    struct blk *d = container_of(to_pci(dev), struct blk, virtio.pci);

    if (!d->drive)
        return error_set(error, -EINVAL, "%s: drive=ID is needed", dev->id);
    if (!block_has_medium(d->drive))
        return error_set(error, -ENOMEDIUM, "%s: drive %s has no image", dev->id,
                         block_id(d->drive));
    if (!d->queues || d->queues > QUEUES_MOST)
        return error_set(error, -EINVAL, "%s: num-queues=%u is not 1 to %u", dev->id,
                         d->queues, QUEUES_MOST);
    int err = block_attach(d->drive, &front, d);
    if (err)
        return error_set(error, err, "%s: drive %s belongs to another device", dev->id,
                         block_id(d->drive));
    d->virtio.offered = 1u << FEATURE_SEG_MAX | 1u << FEATURE_GEOMETRY |
                        1u << FEATURE_BLOCK_SIZE | 1u << FEATURE_FLUSH;
    if (d->queues > 1)
        d->virtio.offered |= 1u << FEATURE_QUEUES;
    if (block_read_only(d->drive))
        d->virtio.offered |= 1u << FEATURE_READ_ONLY;
    else
        d->virtio.offered |= 1u << FEATURE_DISCARD | 1u << FEATURE_WRITE_ZEROES;
    fill_config(d);
    deferred_init(&d->more, dev, take_more, d);
    err = virtio_create(&d->virtio, &blk_virtio_ops, d->queues, d->queue_size, error);
    if (err)
        block_detach(d->drive);
    return err;
}

static void blk_reset(struct device *dev)
{
    virtio_reset(&container_of(to_pci(dev), struct blk, virtio.pci)->virtio);
}

static void blk_start(struct device *dev)
{
    struct blk *d = container_of(to_pci(dev), struct blk, virtio.pci);

    d->paused = false;
    virtio_kick_all(&d->virtio);
}

/* What is in flight completes before the state is saved; nothing follows. */
static void blk_pause(struct device *dev)
{
    container_of(to_pci(dev), struct blk, virtio.pci)->paused = true;
}

static void blk_destroy(struct device *dev)
{
    struct blk *d = container_of(to_pci(dev), struct blk, virtio.pci);

    block_drain(d->drive);
    deferred_cancel(&d->more);
    block_detach(d->drive);
    while (d->cache) {
        struct request *r = d->cache;
        d->cache = r->next;
        free(r);
    }
    virtio_destroy(&d->virtio);
}

static int blk_save(struct device *dev, struct state *state)
{
    /* Paused: nothing is in flight. */
    return virtio_state(&container_of(to_pci(dev), struct blk, virtio.pci)->virtio,
                        state);
}

static int blk_load(struct device *dev, struct state *state, uint32_t version)
{
    struct blk *d = container_of(to_pci(dev), struct blk, virtio.pci);
    int err = virtio_state(&d->virtio, state);

    fill_config(d); /* of the image we have */
    return err;
}

static const struct option_desc blk_options[] = {
    OPTION("drive", BLOCK, struct blk, drive, NULL, "the image"),
    OPTION("serial", STRING, struct blk, serial, NULL, "what GET_ID answers"),
    OPTION("num-queues", U32, struct blk, queues, "1", "request queues"),
    OPTION("queue-size", U32, struct blk, queue_size, "256", "entries of a queue"),
    OPTION("romfile", IGNORE, struct blk, virtio, NULL, "SeaBIOS has the driver"),
    VIRTIO_OPTIONS(struct blk),
    {0},
};

static const struct device_ops blk_ops = {
    .name = "virtio-blk-pci",
    .alias = "virtio-blk",
    .bus = BUS_PCI,
    .hotplug = true,
    .size = sizeof(struct blk),
    .version = 1,
    .options = blk_options,
    .create = blk_create,
    .reset = blk_reset,
    .start = blk_start,
    .pause = blk_pause,
    .save = blk_save,
    .load = blk_load,
    .destroy = blk_destroy,
};

REGISTER_DEVICE(blk_ops);
