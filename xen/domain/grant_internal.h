/* Grant tables: what grant*.c share. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A grant is in the granting domain's table: the shared entry, which its guest writes and
 * which may change at any time, and the active entry, which is ours and says what is in
 * use of it. A mapping is in the mapping domain's maptrack, by handle.
 *
 * Locks: grant_table.lock guards a table's size, version and active entries;
 * grant_table.maptrack_lock guards its domain's own mappings. They are never nested, and
 * no two tables are locked at once. p2m and frame locks come inside.
 */
#ifndef CORBEL_DOMAIN_GRANT_INTERNAL_H
#define CORBEL_DOMAIN_GRANT_INTERNAL_H

#include "domain/grant.h"
#include <xen/grant_table.h>

#define V1_PER_FRAME        (PAGE_SIZE / sizeof(grant_entry_v1_t))
#define V2_PER_FRAME        (PAGE_SIZE / sizeof(grant_entry_v2_t))
#define STATUS_PER_FRAME    (PAGE_SIZE / sizeof(grant_status_t))
#define MAPTRACK_PER_FRAME  256 /* of the ABI's accounting: 16 bytes each */
#define MAPTRACK_NONE       UINT32_MAX
#define GRANT_FRAMES_MAX    256 /* highest value of the option */
#define MAPTRACK_FRAMES_MAX 4096

/* What is in use of an entry. */
struct grant_active {
    uint32_t readers, writers; /* mappings and copies under way */
    domid_t domid;             /* whose they are */
    bool transitive;           /* copies only: no page of this domain's */
    bool sub_page;             /* copies only */
    uint16_t start, length;    /* bytes of the page that are granted */
    mfn_t mfn;                 /* referenced while readers + writers > 0 */
    uint64_t gfn;              /* in the granting domain */
};

struct grant_frame {
    void *page; /* FRAME_SHARED; NULL: none */
    uint64_t gfn;
};

/* A mapping. */
struct grant_mapping {
    struct domain *granter; /* referenced; NULL: the handle is free */
    uint32_t ref;           /* of a free one: the next free handle */
    uint16_t flags; /* GNTMAP_host_map, GNTMAP_readonly; 0: being made or undone */
};

struct grant_table {
    struct spinlock lock;
    unsigned int version;
    unsigned int nr_frames, nr_status;
    unsigned int max_frames, max_version;
    bool dead;
    struct grant_frame *frames;   /* max_frames */
    struct grant_frame *status;   /* enough for version 2 */
    struct grant_active **active; /* per frame, V1_PER_FRAME entries each */

    struct spinlock maptrack_lock;
    struct grant_mapping **maptrack; /* max_maptrack_frames, MAPTRACK_PER_FRAME each */
    unsigned int nr_maptrack, max_maptrack_frames; /* in frames */
    uint32_t maptrack_free;                        /* first free handle */
};

static inline unsigned int grant_entries_per_frame(const struct grant_table *gt)
{
    return gt->version == 2 ? V2_PER_FRAME : V1_PER_FRAME;
}
static inline unsigned int grant_nr_entries(const struct grant_table *gt)
{
    return gt->nr_frames * grant_entries_per_frame(gt);
}
static inline struct grant_active *grant_active_entry(const struct grant_table *gt,
                                                      uint32_t ref)
{
    unsigned int per_frame = grant_entries_per_frame(gt);

    return &gt->active[ref / per_frame][ref % per_frame];
}
static inline grant_entry_v1_t *grant_shared_v1(const struct grant_table *gt,
                                                uint32_t ref)
{
    return (grant_entry_v1_t *)gt->frames[ref / V1_PER_FRAME].page + ref % V1_PER_FRAME;
}
static inline grant_entry_v2_t *grant_shared_v2(const struct grant_table *gt,
                                                uint32_t ref)
{
    return (grant_entry_v2_t *)gt->frames[ref / V2_PER_FRAME].page + ref % V2_PER_FRAME;
}
static inline grant_status_t *grant_status_word(const struct grant_table *gt,
                                                uint32_t ref)
{
    return (grant_status_t *)gt->status[ref / STATUS_PER_FRAME].page +
           ref % STATUS_PER_FRAME;
}
static inline bool grant_in_use(const struct grant_active *a)
{
    return a->readers || a->writers;
}

/* A use of an entry, from grant_pin() to grant_unpin(). */
struct grant_pin {
    struct domain *granter; /* the caller's reference */
    uint32_t ref;
    bool readonly;
    mfn_t mfn; /* kept by the active entry */
    uint16_t start, length;
    /* Transitive: the entry that this one leads to. */
    struct domain *next; /* referenced, or NULL */
    uint32_t next_ref;
};

/* Use an entry of granter's that is for domain `id`. GNTST_*. */
#define GRANT_SUB_PAGE   1u /* a part of a page will do: copies */
#define GRANT_TRANSITIVE 2u /* so will one that leads to another domain's grant */
int16_t grant_pin(struct domain *granter, uint32_t ref, domid_t id, bool readonly,
                  unsigned int allow, struct grant_pin *pin);
void grant_unpin(const struct grant_pin *pin);

#endif
