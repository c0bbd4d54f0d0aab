/* Machine frames: who owns each, how often it is used, and the allocator.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * struct frame is 16 bytes per 4 KiB of RAM. A frame in use by a domain has owner = its
 * id and a count of references: one for its place in the owner's p2m, one for each
 * foreign or grant mapping, one for each short use by the hypervisor. The last
 * frame_put() frees it.
 */
#ifndef CORBEL_MM_FRAME_H
#define CORBEL_MM_FRAME_H

#include "lib/types.h"

struct domain;

#define FRAME_OWNER_NONE 0xffff /* free, or the hypervisor's own */

enum frame_state {
    FRAME_RESERVED, /* firmware, MMIO, the hypervisor's image: never allocated */
    FRAME_FREE,
    FRAME_HYPERVISOR, /* allocated for the hypervisor itself */
    FRAME_DOMAIN,     /* counted memory of a domain */
    FRAME_SHARED, /* hypervisor memory that a domain may map: ioreq, grant, shared info */
};

struct frame {
    union {
        struct {
            uint32_t next, prev; /* free list of the buddy allocator, as frame numbers */
        };
        uint64_t use; /* free for the owner of an allocated frame */
    };
    uint32_t count; /* references; 0 = being freed */
    uint16_t owner; /* domain id */
    uint8_t state;  /* enum frame_state */
    uint8_t order;  /* of the free block, in its first frame */
};

extern struct frame *frame_table;
extern uint64_t max_mfn; /* one more than the highest frame of RAM */

static inline bool mfn_valid(mfn_t m)
{
    return m.n < max_mfn;
}
static inline struct frame *mfn_to_frame(mfn_t m)
{
    return &frame_table[m.n];
}
static inline mfn_t frame_to_mfn(const struct frame *f)
{
    return MFN((uint64_t)(f - frame_table));
}

/* All RAM and the MMIO below 4 GiB is mapped here, writable, not executable. */
#ifndef DIRECTMAP_BASE /* host tests put it elsewhere */
#define DIRECTMAP_BASE 0xffff800000000000ul
#endif
static inline void *maddr_to_virt(uint64_t maddr)
{
    return (void *)(DIRECTMAP_BASE + maddr);
}
static inline void *mfn_to_virt(mfn_t m)
{
    return maddr_to_virt(mfn_to_maddr(m));
}
/* Of a direct-map address or of an address in the hypervisor's image. */
uint64_t virt_to_maddr(const void *p);
static inline mfn_t virt_to_mfn(const void *p)
{
    return maddr_to_mfn(virt_to_maddr(p));
}
/* Map MMIO uncached; for device registers above the direct map's RAM too. Never unmapped.
 */
void *map_mmio(uint64_t maddr, size_t bytes);

/* 2^order naturally aligned frames for the hypervisor, not cleared; NULL/INVALID_MFN if
 * none. */
mfn_t frame_alloc(unsigned int order);
void frame_free(mfn_t m, unsigned int order);
/* The same through the direct map; alloc_pages clears. */
void *alloc_pages(unsigned int order);
void free_pages(void *p, unsigned int order);

/* Frames for a domain: FRAME_DOMAIN, owner d, count 1 each; accounted in d->tot_pages,
 * limited by d->max_pages. Not cleared: `frame_alloc_domain` clears them.
 * `max_maddr_bits` limits the address (0: no limit). Returns INVALID_MFN when memory or
 * allowance is short. */
mfn_t frame_alloc_domain(struct domain *d, unsigned int order,
                         unsigned int max_maddr_bits);

/* The same for exactly these frames, 2^order of them, naturally aligned, all free now;
 * for Dom0's identity-mapped RAM. d == NULL: for the hypervisor. -EBUSY if one is not
 * free, -ENOMEM if the allowance is short. Not cleared. Frame 0, which nothing else
 * finds, is claimed alone. */
int frame_claim(struct domain *d, mfn_t m, unsigned int order);
/* The first run of free frames at or above `from`: false if there is none. Both in
 * frames; for Dom0's memory map. */
bool frame_next_free(uint64_t from, uint64_t *start, uint64_t *count);

/* Take a reference on a frame if it is owned by d and not being freed. Lock free. */
bool frame_get(mfn_t m, const struct domain *d);
/* The same for a frame of any domain, or a shared one. */
bool frame_get_any(mfn_t m);
/* Take another reference on a frame that the caller has one of. */
void frame_get_more(mfn_t m);
/* Drop a reference; the last one frees the frame and, for FRAME_DOMAIN, its accounting.
 */
void frame_put(mfn_t m);

/* For mm/scrub.c: the free 2 MiB block that this CPU shall clear, a new one or the one
 * that it left half done; *done: bytes. It goes on counting as free. INVALID_MFN if there
 * is none to spare. frame_scrub_end() tells how far it is zero now; a block that is not
 * finished may have become an ordinary one at the next beginning. */
mfn_t frame_scrub_begin(unsigned int cpu, uint32_t *done);
void frame_scrub_end(unsigned int cpu, uint32_t done);

/* A cleared page that domains may map (shared info, ioreq): FRAME_SHARED, owner d,
 * count 1. NULL if none; the last frame_put() frees it. */
void *frame_alloc_shared(struct domain *d);

uint64_t frames_total(void); /* RAM that the hypervisor manages, in frames */
uint64_t frames_free(void);
uint64_t frames_shared(void);  /* in use as FRAME_SHARED */
uint64_t frames_cleared(void); /* free and known to be zero */

/* Heap for small objects: cleared, at most 256 KiB, 16-byte aligned. */
void *zalloc(size_t bytes);
void zfree(void *p);

/* What the heap uses. The objects of up to 2032 bytes share pages, so that a page stays
 * as long as one of them does. */
struct heap_usage {
    uint64_t slab_pages, objects, bytes; /* bytes: of those objects, rounded up */
    uint64_t large_pages;                /* of larger objects */
};
struct heap_usage heap_usage(void);

#endif
