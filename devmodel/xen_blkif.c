/*
 * One ring of the paravirtual block protocol; see xen_blkif.h.
 *
 * Data is copied by the hypervisor between the guest's pages and buffers here (grant
 * copy): nothing of the guest's is mapped but the ring, so a page that it changes under a
 * request changes nothing.  Persistent grants are therefore not offered: they save
 * mapping, which is not done, and cost the guest a copy.
 *
 * The ring is hostile: each request is copied once and checked once.  Indices that no
 * front end produces end the service of that ring, not more.
 *
 * Source: xen/io/blkif.h and xen/io/ring.h.  The layouts of 64-bit and 32-bit guests
 * differ, so fields are read by offset.  Left out: several queues, write barriers (front
 * ends of today flush).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen_blkif.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xen/io/blkif.h>

#define PAGE             4096u
#define SECTORS_PER_PAGE (PAGE / BLKIF_SECTOR)
#define RING_HEADER      64u
#define DIRECT_SEGMENTS  11u
#define ENTRY_BYTES      112u /* the larger of the two */
#define SEGMENT_BYTES    8u

/* Where fields of requests and responses are. */
struct layout {
    unsigned entry, id, sector, segments; /* bytes of an entry; offsets */
    unsigned discard_sectors, indirect_handle, indirect_refs;
    unsigned response_operation, response_status;
};

static const struct layout layout_64 = {112, 8, 16, 24, 24, 24, 28, 8, 10};
static const struct layout layout_32 = {108, 4, 12, 20, 20, 20, 24, 8, 10};

/* The shared page begins with these; requests and responses share the entries. */
struct ring_header {
    volatile uint32_t req_prod, req_event, rsp_prod, rsp_event;
};

struct segment {
    uint32_t ref;
    uint8_t first, last; /* sectors of the page */
};

struct blkif {
    struct blkif_config c;
    const struct layout *layout;
    uint8_t *ring;
    unsigned entries;
    uint32_t req_cons, rsp_prod;
    evtchn_port_t port;
    unsigned in_flight;
    bool broken;
    struct deferred again;
};

struct request {
    struct block_request block;
    struct blkif *f;
    uint64_t id;
    uint8_t operation; /* as the answer says it: of an indirect one, the inner */
    bool write;
    struct segment segment[BLKIF_SEGMENTS_MOST];
    unsigned segments;
    uint8_t *buffer;
    struct iovec iov;
};

static struct ring_header *header(const struct blkif *f)
{
    return (struct ring_header *)f->ring;
}

static uint8_t *entry(const struct blkif *f, uint32_t index)
{
    return f->ring + RING_HEADER + (index & (f->entries - 1)) * (size_t)f->layout->entry;
}

static void give_up(struct blkif *f, const char *why)
{
    if (!f->broken)
        dev_log(NULL, LOG_WARNING, "drive %s: its paravirtual ring %s; it is left alone",
                block_id(f->c.drive), why);
    f->broken = true;
}

/* ---- responses ----------------------------------------------------------------------
 */

static void respond(struct blkif *f, uint64_t id, uint8_t operation, int16_t status)
{
    uint8_t *at = entry(f, f->rsp_prod);
    uint32_t old = f->rsp_prod;

    if (f->broken)
        return;
    memcpy(at, &id, sizeof(id));
    at[f->layout->response_operation] = operation;
    memcpy(at + f->layout->response_status, &status, sizeof(status));
    f->rsp_prod++;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    header(f)->rsp_prod = f->rsp_prod;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* The guest is told when it waits for one of these. */
    if (f->rsp_prod - header(f)->rsp_event < f->rsp_prod - old)
        xenevtchn_notify(f->c.evtchn, f->port);
}

/* ---- data ---------------------------------------------------------------------------
 */

static size_t segment_bytes(const struct segment *s)
{
    return (s->last - s->first + 1u) * BLKIF_SECTOR;
}

static int copy_data(struct request *r, bool to_guest)
{
    xengnttab_grant_copy_segment_t copy[BLKIF_SEGMENTS_MOST];
    uint8_t *at = r->buffer;

    memset(copy, 0, sizeof(copy));
    for (unsigned i = 0; i < r->segments; i++) {
        const struct segment *s = &r->segment[i];
        xengnttab_grant_copy_segment_t *k = &copy[i];
        union xengnttab_copy_ptr *guest = to_guest ? &k->dest : &k->source;
        (to_guest ? &k->source : &k->dest)->virt = at;
        guest->foreign.ref = s->ref;
        guest->foreign.offset = (uint16_t)(s->first * BLKIF_SECTOR);
        guest->foreign.domid = (uint16_t)r->f->c.domid;
        k->len = (uint16_t)segment_bytes(s);
        k->flags = to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
        at += k->len;
    }
    if (xengnttab_grant_copy(r->f->c.gnttab, r->segments, copy))
        return -errno;
    for (unsigned i = 0; i < r->segments; i++) {
        if (copy[i].status != GNTST_okay)
            return -EFAULT;
    }
    return 0;
}

/* The segments that an indirect request keeps in a page of its own. */
static int fetch_indirect(struct blkif *f, uint32_t ref, struct segment *segment,
                          unsigned count)
{
    uint8_t raw[BLKIF_SEGMENTS_MOST * SEGMENT_BYTES];
    xengnttab_grant_copy_segment_t copy = {
        .source.foreign = {ref, 0, (uint16_t)f->c.domid},
        .dest.virt = raw,
        .len = (uint16_t)(count * SEGMENT_BYTES),
        .flags = GNTCOPY_source_gref,
    };

    if (xengnttab_grant_copy(f->c.gnttab, 1, &copy) || copy.status != GNTST_okay)
        return -EFAULT;
    for (unsigned i = 0; i < count; i++)
        segment[i] =
            (struct segment){load_le32(raw + i * SEGMENT_BYTES),
                             raw[i * SEGMENT_BYTES + 4], raw[i * SEGMENT_BYTES + 5]};
    return 0;
}

/* ---- requests -----------------------------------------------------------------------
 */

static void free_request(struct request *r)
{
    free(r->buffer);
    free(r);
}

static void done(struct block_request *block, int result)
{
    struct request *r = block->opaque;
    struct blkif *f = r->f;

    if (!result && r->block.op == BLOCK_READ)
        result = copy_data(r, true);
    f->in_flight--;
    respond(f, r->id, r->operation, result ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
    free_request(r);
}

static void submit(struct request *r, enum block_op op)
{
    r->block.op = op;
    r->block.done = done;
    r->block.opaque = r;
    r->f->in_flight++;
    block_submit(r->f->c.drive, &r->block);
}

/* Sectors of 512 bytes to bytes; false: more than any drive has. */
static bool to_bytes(uint64_t sectors, uint64_t *bytes)
{
    *bytes = sectors * BLKIF_SECTOR;
    return sectors <= INT64_MAX / BLKIF_SECTOR;
}

static int start_transfer(struct request *r, const uint8_t *raw)
{
    uint64_t bytes = 0;

    if (!r->segments || (r->write && r->f->c.read_only) ||
        !to_bytes(load_le64(raw + r->f->layout->sector), &r->block.offset))
        return -EINVAL;
    for (unsigned i = 0; i < r->segments; i++) {
        const struct segment *s = &r->segment[i];
        if (s->first > s->last || s->last >= SECTORS_PER_PAGE)
            return -EINVAL;
        bytes += segment_bytes(s);
    }
    r->buffer = malloc(bytes);
    if (!r->buffer)
        return -ENOMEM;
    int err = r->write ? copy_data(r, false) : 0;
    if (err)
        return err;
    r->iov = (struct iovec){r->buffer, bytes};
    r->block.iov = &r->iov;
    r->block.iovcnt = 1;
    r->block.bytes = bytes;
    submit(r, r->write ? BLOCK_WRITE : BLOCK_READ);
    return 0;
}

static int start_direct(struct request *r, const uint8_t *raw)
{
    r->segments = raw[1];
    r->write = r->operation == BLKIF_OP_WRITE;
    if (r->segments > DIRECT_SEGMENTS)
        return -EINVAL;
    for (unsigned i = 0; i < r->segments; i++) {
        const uint8_t *at = raw + r->f->layout->segments + i * SEGMENT_BYTES;
        r->segment[i] = (struct segment){load_le32(at), at[4], at[5]};
    }
    return start_transfer(r, raw);
}

static int start_indirect(struct request *r, const uint8_t *raw)
{
    uint8_t inner = raw[1];

    r->operation = inner;
    r->segments = load_le16(raw + 2);
    r->write = inner == BLKIF_OP_WRITE;
    if ((inner != BLKIF_OP_WRITE && inner != BLKIF_OP_READ) ||
        r->segments > BLKIF_SEGMENTS_MOST || !r->segments)
        return -EINVAL;
    int err = fetch_indirect(r->f, load_le32(raw + r->f->layout->indirect_refs),
                             r->segment, r->segments);
    return err ? err : start_transfer(r, raw);
}

static int start_discard(struct request *r, const uint8_t *raw)
{
    if (r->f->c.read_only ||
        !to_bytes(load_le64(raw + r->f->layout->sector), &r->block.offset) ||
        !to_bytes(load_le64(raw + r->f->layout->discard_sectors), &r->block.bytes))
        return -EINVAL;
    submit(r, BLOCK_DISCARD);
    return 0;
}

/* A flush may bring data with it, which is written first by those that ask for it. */
static int start_flush(struct request *r, const uint8_t *raw)
{
    if (raw[1])
        return -EOPNOTSUPP;
    submit(r, BLOCK_FLUSH);
    return 0;
}

static void take(struct blkif *f, const uint8_t *raw)
{
    struct request *r = must_alloc(sizeof(*r));
    int err;

    r->f = f;
    r->operation = raw[0];
    r->id = load_le64(raw + f->layout->id);
    switch (raw[0]) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE:
        err = start_direct(r, raw);
        break;
    case BLKIF_OP_INDIRECT:
        err = start_indirect(r, raw);
        break;
    case BLKIF_OP_FLUSH_DISKCACHE:
        err = start_flush(r, raw);
        break;
    case BLKIF_OP_DISCARD:
        err = start_discard(r, raw);
        break;
    default:
        err = -EOPNOTSUPP;
        break;
    }
    if (!err)
        return;
    respond(f, r->id, r->operation,
            err == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR);
    free_request(r);
}

/* As many as there are entries, then the rest of the machine has its turn. */
void blkif_event(struct blkif *f)
{
    uint8_t raw[ENTRY_BYTES];

    for (unsigned n = 0; !f->broken && n < f->entries; n++) {
        uint32_t prod = header(f)->req_prod;
        if (prod == f->req_cons) { /* nothing left: ask for an event, and look again */
            header(f)->req_event = f->req_cons + 1;
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            prod = header(f)->req_prod;
        }
        if (prod == f->req_cons)
            return;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        /* No more than there is room for answers, counting those that are owed. */
        if (prod - f->rsp_prod > f->entries) {
            give_up(f, "has more requests than entries");
            return;
        }
        memcpy(raw, entry(f, f->req_cons), f->layout->entry);
        f->req_cons++;
        take(f, raw);
    }
    deferred_queue(&f->again);
}

static void look_again(void *opaque)
{
    blkif_event(opaque);
}

/* ---- start and end ------------------------------------------------------------------
 */

static unsigned entries_of(const struct blkif_config *c, const struct layout *l)
{
    unsigned fit = (c->ring_pages * PAGE - RING_HEADER) / l->entry, entries = 1;

    while (entries * 2 <= fit)
        entries *= 2;
    return entries;
}

struct blkif *blkif_connect(const struct blkif_config *c, struct error *error)
{
    struct blkif *f = must_alloc(sizeof(*f));

    f->c = *c;
    f->again = (struct deferred){.machine = c->machine, .run = look_again, .opaque = f};
    f->layout = c->x86_32 ? &layout_32 : &layout_64;
    f->entries = entries_of(c, f->layout);
    f->ring = xengnttab_map_domain_grant_refs(c->gnttab, c->ring_pages, c->domid,
                                              f->c.ring_ref, PROT_READ | PROT_WRITE);
    if (!f->ring) {
        error_set(error, -errno, "cannot map the ring: %s", strerror(errno));
        free(f);
        return NULL;
    }
    /* A front end that goes on after a while has answers in the ring. */
    f->rsp_prod = f->req_cons = header(f)->rsp_prod;
    xenevtchn_port_or_error_t port =
        xenevtchn_bind_interdomain(c->evtchn, c->domid, c->remote_port);
    if (port < 0) {
        error_set(error, -errno, "cannot bind event channel %u: %s", c->remote_port,
                  strerror(errno));
        xengnttab_unmap(c->gnttab, f->ring, c->ring_pages);
        free(f);
        return NULL;
    }
    f->port = (evtchn_port_t)port;
    return f;
}

evtchn_port_t blkif_port(const struct blkif *f)
{
    return f->port;
}

void blkif_disconnect(struct blkif *f)
{
    f->broken = true; /* no more answers: the guest may have taken the page back */
    while (f->in_flight)
        block_drain(f->c.drive);
    deferred_cancel(&f->again);
    xenevtchn_unbind(f->c.evtchn, f->port);
    xengnttab_unmap(f->c.gnttab, f->ring, f->c.ring_pages);
    free(f);
}
