/* Physical-to-machine tables of a domain, read by NPT and EPT hardware.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lookups take no lock: table pages are freed only with the domain, entries are written
 * whole. Changes are made under p2m.lock. A lookup that will use the frame takes a
 * reference (p2m_get_frame), which fails if the frame is on its way out.
 */
#ifndef CORBEL_MM_P2M_H
#define CORBEL_MM_P2M_H

#include "lib/types.h"
#include "lib/spinlock.h"

struct domain;

enum p2m_type {
    P2M_INVALID, /* nothing there: MMIO of a device model, or a hole */
    P2M_RAM_RW,
    P2M_RAM_RO,       /* guest writes are dropped (ROM) */
    P2M_RAM_LOGDIRTY, /* clean until the processor sets its dirty bit; without dirty bits:
                         write-protected until the first write */
    P2M_MMIO_DM,      /* explicitly device-model MMIO (HVMMEM_mmio_dm) */
    P2M_MMIO_DIRECT,  /* the machine's MMIO; not counted */
    P2M_FOREIGN,      /* another domain's frame, referenced */
    P2M_GRANT_RW,     /* granted frame, referenced */
    P2M_GRANT_RO,
    P2M_SHARED,      /* FRAME_SHARED page of the hypervisor: shared info, grant table */
    P2M_IOREQ_WRITE, /* RAM whose writes go to an ioreq server */
    P2M_POD,         /* RAM that gets its frame when it is first used (mm/pod.h) */
    P2M_TYPES,
};

/* What the entry format of the vendor differs in; filled by the back end at boot. */
struct p2m_format {
    /* Leaf entry for 2^order frames (order 0, 9 or 18). */
    uint64_t (*leaf)(mfn_t mfn, enum p2m_type type, unsigned int order, uint8_t memtype);
    /* Entry that points to a table. */
    uint64_t (*table)(mfn_t mfn);
    uint64_t present_mask;  /* entry is present if any of these bits is set */
    uint64_t large_mask;    /* bit that marks a 2M or 1G leaf */
    uint64_t accessed_mask; /* set by the processor; 0: it has no such bits */
    uint64_t dirty_mask;
    bool has_1g;
};

/* Memory on demand of a domain; guarded by p2m.lock. The frames wait in two lists, linked
 * by struct frame.use: blocks of 2 MiB and single ones. */
struct pod {
    uint64_t entries; /* pages that are P2M_POD */
    uint64_t cached;  /* frames that wait for them, zero, counted as the domain's */
    mfn_t blocks, singles;
    uint64_t sweep; /* gfn where the search for zero pages goes on */
};

struct p2m {
    struct spinlock lock; /* guards changes of the tables */
    void *root;           /* top-level table (4 levels, 48 bits), direct-map pointer */
    uint64_t root_maddr;
    uint64_t max_gfn;    /* highest gfn ever mapped as RAM */
    uint32_t flush_gen;  /* raised at each change that needs a TLB flush */
    uint64_t nr_tables;  /* pages of tables, for accounting */
    uint64_t nr_retired; /* of them unlinked */
    bool logdirty; /* of the whole domain; changed before the walk that makes it true */
    uint64_t retired; /* unlinked tables, a list by machine address */
    struct pod pod;
};

extern struct p2m_format p2m_format;

int p2m_init(struct domain *d);
/* Drop all references that the tables hold; may be long: calls preempt_point(). */
void p2m_teardown(struct domain *d);
void p2m_free(struct domain *d);

/* Frame and type of a gfn; *order (may be NULL) is that of the leaf found. No reference.
 */
mfn_t p2m_lookup(const struct domain *d, gfn_t gfn, enum p2m_type *type,
                 unsigned int *order);
/* The frame with a reference, if it is RAM of any kind, writable when `write`; else
 * INVALID_MFN. Drop it with frame_put(). Memory on demand gets its frame. */
mfn_t p2m_get_frame(struct domain *d, gfn_t gfn, bool write, enum p2m_type *type);

/* Map 2^order frames. References to the new frames are taken over from the caller; those
 * of what was mapped before are dropped. Flushes TLBs where it must. -ENOMEM. */
int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
            unsigned int order);
/* Unmap. */
int p2m_clear(struct domain *d, gfn_t gfn, unsigned int order);
/* Change the type of one gfn if it is `from`; -EBUSY if it is not. */
int p2m_change_type(struct domain *d, gfn_t gfn, enum p2m_type from, enum p2m_type to);

/* Map the frame of gfn by an entry of its own: large leaves above it are split. -ENOMEM,
 * -EINVAL. */
int p2m_shatter(struct domain *d, gfn_t gfn);

/* The hypervisor is about to write a page that is P2M_RAM_LOGDIRTY. */
void p2m_mark_dirty(struct domain *d, gfn_t gfn);

/* Log-dirty: a RAM page whose entry is P2M_RAM_RW is dirty; P2M_RAM_LOGDIRTY is clean,
 * unless the processor has set the entry's dirty bit. For CLEAN the domain is paused.
 * PEEK looks; CLEAN looks and makes clean; CLEAN_UNLESS_LOGGED is PEEK while the whole
 * domain is in log-dirty mode, so that its rounds lose nothing; OFF makes all writable
 * again. Sets the bits of dirty pages in `bitmap` (may be NULL; not cleared before) and
 * returns their number. At most a few hundred pages at a time: it holds the lock. */
enum p2m_dirty_op {
    P2M_DIRTY_PEEK,
    P2M_DIRTY_CLEAN,
    P2M_DIRTY_CLEAN_UNLESS_LOGGED,
    P2M_DIRTY_OFF,
};
uint64_t p2m_dirty(struct domain *d, gfn_t first, unsigned int nr, enum p2m_dirty_op op,
                   uint8_t *bitmap);

/* Make all vCPUs of d that are in guest mode leave it and flush before they enter again.
 */
void p2m_flush(struct domain *d);

static inline bool p2m_is_ram(enum p2m_type t)
{
    return t == P2M_RAM_RW || t == P2M_RAM_RO || t == P2M_RAM_LOGDIRTY ||
           t == P2M_IOREQ_WRITE;
}
static inline bool p2m_is_mapped(enum p2m_type t)
{
    return t != P2M_INVALID && t != P2M_MMIO_DM;
}

#endif
