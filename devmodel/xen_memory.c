/*
 * Guest memory through foreign mappings: a cache of chunks, looked up by hash and given
 * up in order of last use.  A chunk may have holes; a hole is asked for again when it is
 * touched, because memory can appear (a balloon, a frame buffer that moved).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "xen_front.h"

#define CHUNK_PAGES  128u
#define CHUNK_BYTES  (CHUNK_PAGES * XEN_PAGE)
#define CHUNKS_MOST  256u /* 128 MiB: each page mapped costs Dom0 an address */
#define HASH_BUCKETS 256u

struct chunk {
    uint64_t number; /* gpa / CHUNK_BYTES */
    uint8_t *at;
    uint64_t hole[CHUNK_PAGES / 64];
    struct chunk *next; /* same bucket */
    struct chunk *newer, *older;
};

struct mapcache {
    struct machine *machine;
    xenforeignmemory_handle *fmem;
    domid_t domid;
    struct chunk *bucket[HASH_BUCKETS];
    struct chunk *newest, *oldest;
    struct chunk *last; /* the chunk of the previous access */
    unsigned count;
};

struct mapcache *mapcache_create(struct machine *m, xenforeignmemory_handle *fmem,
                                 domid_t domid)
{
    struct mapcache *c = must_alloc(sizeof(*c));

    c->machine = m;
    c->fmem = fmem;
    c->domid = domid;
    return c;
}

static struct chunk **bucket_of(struct mapcache *c, uint64_t number)
{
    return &c->bucket[(number ^ number >> 8) % HASH_BUCKETS];
}

static void unlink_order(struct mapcache *c, struct chunk *k)
{
    *(k->newer ? &k->newer->older : &c->newest) = k->older;
    *(k->older ? &k->older->newer : &c->oldest) = k->newer;
}

static void make_newest(struct mapcache *c, struct chunk *k)
{
    k->newer = NULL;
    k->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = k;
    c->newest = k;
}

static void drop(struct mapcache *c, struct chunk *k)
{
    for (struct chunk **at = bucket_of(c, k->number); *at; at = &(*at)->next) {
        if (*at == k) {
            *at = k->next;
            break;
        }
    }
    unlink_order(c, k);
    if (c->last == k)
        c->last = NULL;
    xenforeignmemory_unmap(c->fmem, k->at, CHUNK_PAGES);
    free(k);
    c->count--;
}

void mapcache_invalidate(struct mapcache *c)
{
    while (c->oldest)
        drop(c, c->oldest);
}

void mapcache_destroy(struct mapcache *c)
{
    if (!c)
        return;
    mapcache_invalidate(c);
    free(c);
}

/* Map a chunk; NULL: nothing there at all. */
static struct chunk *map_chunk(struct mapcache *c, uint64_t number)
{
    xen_pfn_t frame[CHUNK_PAGES];
    int err[CHUNK_PAGES];
    struct chunk *k;
    unsigned holes = 0;

    c->machine->mappings++;
    while (c->count >= CHUNKS_MOST)
        drop(c, c->oldest);
    for (unsigned i = 0; i < CHUNK_PAGES; i++)
        frame[i] = number * CHUNK_PAGES + i;
    void *at = xenforeignmemory_map(c->fmem, c->domid, PROT_READ | PROT_WRITE,
                                    CHUNK_PAGES, frame, err);
    if (!at)
        return NULL;
    k = must_alloc(sizeof(*k));
    for (unsigned i = 0; i < CHUNK_PAGES; i++) {
        if (err[i]) {
            k->hole[i / 64] |= 1ULL << (i % 64);
            holes++;
        }
    }
    if (holes == CHUNK_PAGES) {
        xenforeignmemory_unmap(c->fmem, at, CHUNK_PAGES);
        free(k);
        return NULL;
    }
    k->number = number;
    k->at = at;
    struct chunk **bucket = bucket_of(c, number);
    k->next = *bucket;
    *bucket = k;
    make_newest(c, k);
    c->count++;
    return k;
}

static bool is_hole(const struct chunk *k, unsigned page)
{
    return k->hole[page / 64] >> (page % 64) & 1;
}

/* Where a guest page is in our memory; NULL: nowhere. */
static uint8_t *page_at(struct mapcache *c, uint64_t gpa)
{
    uint64_t number = gpa / CHUNK_BYTES;
    unsigned page = (unsigned)(gpa % CHUNK_BYTES / XEN_PAGE);
    struct chunk *k = c->last;

    if (!k || k->number != number) {
        for (k = *bucket_of(c, number); k && k->number != number; k = k->next)
            ;
        if (k && k != c->newest) {
            unlink_order(c, k);
            make_newest(c, k);
        }
    }
    if (k && is_hole(k, page)) {
        drop(c, k);
        k = NULL;
    }
    if (!k)
        k = map_chunk(c, number);
    c->last = k;
    return k && !is_hole(k, page) ? k->at + gpa % CHUNK_BYTES : NULL;
}

static size_t piece_of(uint64_t gpa, size_t bytes)
{
    size_t left = XEN_PAGE - gpa % XEN_PAGE;

    return bytes < left ? bytes : left;
}

int mapcache_read(struct mapcache *c, uint64_t gpa, void *buffer, size_t bytes)
{
    uint8_t *to = buffer;
    int err = 0;

    while (bytes) {
        size_t piece = piece_of(gpa, bytes);
        const uint8_t *from = page_at(c, gpa);
        if (from) {
            memcpy(to, from, piece);
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

int mapcache_write(struct mapcache *c, uint64_t gpa, const void *buffer, size_t bytes)
{
    const uint8_t *from = buffer;
    int err = 0;

    while (bytes) {
        size_t piece = piece_of(gpa, bytes);
        uint8_t *to = page_at(c, gpa);
        if (to)
            memcpy(to, from, piece);
        else
            err = -EFAULT;
        from += piece;
        gpa += piece;
        bytes -= piece;
    }
    return err;
}
