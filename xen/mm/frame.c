/* Machine frames: the buddy allocator and reference counts. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Free memory is kept in naturally aligned blocks of 2^order frames, in three zones:
 * above 4 GiB, below it, and the first 16 MiB. They are used in this order, and within a
 * zone high addresses first, so that memory which old devices, real mode and Dom0's
 * kernel need is left for Dom0. A free block's first frame has its order; the other
 * frames of it have ORDER_NONE. Blocks are joined when freed, so a free range always lies
 * in one block that is as large as can be.
 *
 * Free 2 MiB blocks that are known to be zero (mm/scrub.c makes them) are kept apart, for
 * domains; when nothing else is left one at a time goes back among the others. They are
 * not joined: a 1 GiB block is not made of them, its caller takes 2 MiB ones instead.
 *
 * Frame 0 is in no list and no count of free frames: only frame_claim() finds it. Dom0
 * gets it, with the firmware's real mode vectors and data; nobody else's secrets may lie
 * where an empty page table entry points (L1TF), and 0 is "none" here and there.
 *
 * frame_lock guards the free lists and the frames in them. Count, owner and state of a
 * frame in use change together, in one 64-bit word, without a lock.
 */
#include "mm/frame.h"
#include "mm/frame_init.h"
#include "domain/domain.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "lib/errno.h"
#include "lib/spinlock.h"

#define MAX_ORDER  ORDER_1G
#define ORDER_NONE 0xff
#define NIL        0xffffffffu /* end of a free list */
#define LOW_LIMIT  (GB(4) >> PAGE_SHIFT)
#define ISA_LIMIT  (MB(16) >> PAGE_SHIFT)
/* So much stays in the ordinary lists, for what is smaller than 2 MiB. */
#define SCRUB_RESERVE (MB(64) >> PAGE_SHIFT)

struct frame *frame_table;
uint64_t max_mfn;

enum zone { ZONE_ISA, ZONE_LOW, ZONE_HIGH, ZONES };

static struct spinlock frame_lock; /* guards free_head, cleared_*, scrub_slots,
                                    free_frames, owners */
static uint32_t free_head[ZONES][MAX_ORDER + 1];
static uint64_t free_frames, total_frames;
static uint64_t shared_frames; /* atomic */
/* Cleared blocks, linked by frame.next of their first frames. In free_frames they count
 * as free; otherwise they are as if allocated by the hypervisor. */
static uint32_t cleared_head[ZONES] = {NIL, NIL, NIL};
static uint64_t cleared_blocks;
/* The block that a CPU clears, or has left half done. It counts as free, too. */
static struct scrub_slot {
    uint32_t m;    /* 0: none */
    uint32_t done; /* bytes */
    bool active;
} scrub_slots[MAX_CPUS];
/* A domain with frames is referenced, so that its id is not used again before they are
 * all gone. */
static struct domain *owners[MAX_DOMAINS];

/* The second half of struct frame, as it is changed in one piece. */
union frame_word {
    struct {
        uint32_t count;
        uint16_t owner;
        uint8_t state;
        uint8_t order;
    };
    uint64_t word;
};

static uint64_t *frame_word(struct frame *f)
{
    return (uint64_t *)&f->count;
}

static void frame_word_set(struct frame *f, uint32_t count, uint16_t owner, uint8_t state,
                           uint8_t order)
{
    union frame_word w = {.count = count, .owner = owner, .state = state, .order = order};

    __atomic_store_n(frame_word(f), w.word, __ATOMIC_RELEASE);
}

static enum zone zone_of(uint64_t m)
{
    return m < ISA_LIMIT ? ZONE_ISA : m < LOW_LIMIT ? ZONE_LOW : ZONE_HIGH;
}

static void list_insert(uint64_t m, unsigned int order)
{
    struct frame *f = &frame_table[m];
    uint32_t *head = &free_head[zone_of(m)][order];

    f->prev = NIL;
    f->next = *head;
    if (*head != NIL)
        frame_table[*head].prev = (uint32_t)m;
    *head = (uint32_t)m;
    frame_word_set(f, 0, FRAME_OWNER_NONE, FRAME_FREE, (uint8_t)order);
}

static void list_remove(uint64_t m, unsigned int order)
{
    struct frame *f = &frame_table[m];

    if (f->next != NIL)
        frame_table[f->next].prev = f->prev;
    if (f->prev != NIL)
        frame_table[f->prev].next = f->next;
    else
        free_head[zone_of(m)][order] = f->next;
    frame_word_set(f, 0, FRAME_OWNER_NONE, FRAME_FREE, ORDER_NONE);
}

static bool is_free_block(uint64_t m, unsigned int order)
{
    return m < max_mfn && frame_table[m].state == FRAME_FREE &&
           frame_table[m].order == order;
}

/* Put a block back and join it with its free neighbours. */
static void block_free(uint64_t m, unsigned int order)
{
    while (order < MAX_ORDER) {
        uint64_t buddy = m ^ (1ull << order);

        if (!is_free_block(buddy, order))
            break;
        list_remove(buddy, order);
        m &= ~(1ull << order);
        order++;
    }
    list_insert(m, order);
}

/* Of the free block [m, m + 2^from), keep [want, want + 2^to) and free the rest. */
static void block_split(uint64_t m, unsigned int from, uint64_t want, unsigned int to)
{
    list_remove(m, from);
    while (from > to) {
        uint64_t upper = m + (1ull << --from);

        if (want >= upper) {
            list_insert(m, from);
            m = upper;
        } else {
            list_insert(upper, from);
        }
    }
}

/* A free block of `zone` below frame `limit`; its upper end is used. ~0 if none. */
static uint64_t block_alloc_zone(enum zone zone, unsigned int order, uint64_t limit)
{
    for (unsigned int o = order; o <= MAX_ORDER; o++) {
        for (uint32_t m = free_head[zone][o]; m != NIL; m = frame_table[m].next) {
            uint64_t want =
                min((uint64_t)m + (1ull << o), ALIGN_DOWN(limit, 1ull << order));

            if (want < m + (1ull << order))
                continue;
            want -= 1ull << order;
            block_split(m, o, want, order);
            return want;
        }
    }
    return ~0ull;
}

static uint64_t block_alloc_dirty(unsigned int order, uint64_t limit)
{
    uint64_t m = ~0ull;

    if (limit > LOW_LIMIT)
        m = block_alloc_zone(ZONE_HIGH, order, limit);
    if (m == ~0ull)
        m = block_alloc_zone(ZONE_LOW, order, limit);
    if (m == ~0ull)
        m = block_alloc_zone(ZONE_ISA, order, limit);
    return m;
}

static void frames_set(uint64_t m, unsigned int order, uint32_t count, uint16_t owner,
                       uint8_t state)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        frame_table[m + i].use = 0;
        frame_word_set(&frame_table[m + i], count, owner, state,
                       state == FRAME_FREE ? ORDER_NONE : 0);
    }
}

/* A 2 MiB block that was in use, or cleared, goes among the ordinary free ones. */
static void release_block_2m(uint64_t m)
{
    frames_set(m, ORDER_2M, 0, FRAME_OWNER_NONE, FRAME_FREE);
    block_free(m, ORDER_2M);
}

/* Take a cleared block below `limit` off its list; ~0 if there is none. */
static uint64_t cleared_take(uint64_t limit)
{
    for (int zone = ZONES - 1; zone >= 0; zone--) {
        uint32_t *link = &cleared_head[zone], m;

        /* Only where the limit cuts a zone is it more than the first one. */
        while (*link != NIL && *link + (1ull << ORDER_2M) > limit)
            link = &frame_table[*link].next;
        m = *link;
        if (m == NIL)
            continue;
        *link = frame_table[m].next;
        cleared_blocks--;
        return m;
    }
    return ~0ull;
}

/* The same of what a CPU has left half done. */
static uint64_t half_cleared_take(uint64_t limit)
{
    for (unsigned int i = 0; i < MAX_CPUS; i++) {
        struct scrub_slot *slot = &scrub_slots[i];
        uint64_t m = slot->m;

        if (!m || slot->active || m + (1ull << ORDER_2M) > limit)
            continue;
        slot->m = 0;
        return m;
    }
    return ~0ull;
}

/* One of the cleared or half cleared blocks becomes an ordinary free one; false if there
 * is none below `limit`. */
static bool reclaim_cleared(uint64_t limit)
{
    uint64_t m = cleared_take(limit);

    if (m == ~0ull)
        m = half_cleared_take(limit);
    if (m == ~0ull)
        return false;
    release_block_2m(m);
    return true;
}

/* A block for anything. frame_lock is held. */
static uint64_t block_alloc(unsigned int order, uint64_t limit)
{
    uint64_t m = block_alloc_dirty(order, limit);

    if (unlikely(m == ~0ull) && order <= ORDER_2M && reclaim_cleared(limit))
        m = block_alloc_dirty(order, limit);
    if (m != ~0ull)
        free_frames -= 1ull << order;
    return m;
}

/* A cleared block below `limit`. */
static uint64_t block_alloc_cleared(uint64_t limit)
{
    uint64_t m = cleared_take(limit);

    if (m != ~0ull)
        free_frames -= 1ull << ORDER_2M;
    return m;
}

/* The order of the free block that holds frame m, or -1; *start: its first frame. */
static int block_find(uint64_t m, uint64_t *start)
{
    for (unsigned int o = 0; o <= MAX_ORDER; o++) {
        *start = m & ~((1ull << o) - 1);
        if (is_free_block(*start, o))
            return (int)o;
    }
    return -1;
}

mfn_t frame_alloc(unsigned int order)
{
    uint64_t m;

    if (order > MAX_ORDER)
        return INVALID_MFN;
    spin_lock(&frame_lock);
    m = block_alloc(order, ~0ull);
    spin_unlock(&frame_lock);
    if (m == ~0ull)
        return INVALID_MFN;
    frames_set(m, order, 1, FRAME_OWNER_NONE, FRAME_HYPERVISOR);
    return MFN(m);
}

void frame_free(mfn_t m, unsigned int order)
{
    BUG_ON(!mfn_valid(m) || (m.n & ((1ull << order) - 1)));
    BUG_ON(mfn_to_frame(m)->state == FRAME_FREE);
    frames_set(m.n, order, 0, FRAME_OWNER_NONE, FRAME_FREE);
    if (!m.n)
        return;
    spin_lock(&frame_lock);
    block_free(m.n, order);
    free_frames += 1ull << order;
    spin_unlock(&frame_lock);
}

void *alloc_pages(unsigned int order)
{
    mfn_t m = frame_alloc(order);

    if (!mfn_valid_number(m))
        return NULL;
    return memset(mfn_to_virt(m), 0, PAGE_SIZE << order);
}

void free_pages(void *p, unsigned int order)
{
    if (p)
        frame_free(virt_to_mfn(p), order);
}

/* May d have 2^order frames more? Under frame_lock, as all that raises tot_pages. */
static bool domain_may_have(const struct domain *d, unsigned int order)
{
    uint64_t n = 1ull << order;

    return d->max_pages >= n && d->tot_pages <= d->max_pages - n;
}

/* Count 2^order frames for d. frame_lock is held. */
static void domain_charge(struct domain *d, unsigned int order)
{
    BUG_ON(d->id >= MAX_DOMAINS);
    if (__atomic_fetch_add(&d->tot_pages, 1ull << order, __ATOMIC_RELAXED))
        return;
    domain_get(d);
    owners[d->id] = d;
}

static void domain_uncharge(uint16_t owner)
{
    struct domain *d, *last = NULL;

    BUG_ON(owner >= MAX_DOMAINS);
    spin_lock(&frame_lock);
    d = owners[owner];
    BUG_ON(!d);
    if (!__atomic_sub_fetch(&d->tot_pages, 1, __ATOMIC_RELAXED)) {
        owners[owner] = NULL;
        last = d;
    }
    spin_unlock(&frame_lock);
    if (last)
        domain_put(last);
}

mfn_t frame_alloc_domain(struct domain *d, unsigned int order,
                         unsigned int max_maddr_bits)
{
    uint64_t limit = ~0ull, m = ~0ull;
    bool cleared = false;

    if (order > MAX_ORDER)
        return INVALID_MFN;
    if (max_maddr_bits && max_maddr_bits < 64)
        limit = max_maddr_bits > PAGE_SHIFT ? 1ull << (max_maddr_bits - PAGE_SHIFT) : 0;
    spin_lock(&frame_lock);
    if (domain_may_have(d, order)) {
        if (order == ORDER_2M)
            m = block_alloc_cleared(limit);
        cleared = m != ~0ull;
        if (!cleared)
            m = block_alloc(order, limit);
        if (m != ~0ull)
            domain_charge(d, order);
    }
    spin_unlock(&frame_lock);
    if (m == ~0ull)
        return INVALID_MFN;
    if (!cleared)
        memset(mfn_to_virt(MFN(m)), 0, PAGE_SIZE << order);
    frames_set(m, order, 1, d->id, FRAME_DOMAIN);
    return MFN(m);
}

/* A dirty block, as far as there are more than others need. frame_lock is held. */
static void take_scrub_block(struct scrub_slot *slot)
{
    uint64_t m;

    if (free_frames - (cleared_blocks << ORDER_2M) < SCRUB_RESERVE)
        return;
    m = block_alloc_zone(ZONE_HIGH, ORDER_2M, ~0ull);
    if (m == ~0ull)
        m = block_alloc_zone(ZONE_LOW, ORDER_2M, ~0ull);
    if (m == ~0ull)
        return;
    frames_set(m, ORDER_2M, 1, FRAME_OWNER_NONE, FRAME_HYPERVISOR);
    *slot = (struct scrub_slot){.m = (uint32_t)m};
}

mfn_t frame_scrub_begin(unsigned int cpu, uint32_t *done)
{
    struct scrub_slot *slot = &scrub_slots[cpu];
    uint64_t m;

    spin_lock(&frame_lock);
    if (!slot->m)
        take_scrub_block(slot);
    m = slot->m;
    slot->active = m;
    *done = slot->done;
    spin_unlock(&frame_lock);
    return m ? MFN(m) : INVALID_MFN;
}

void frame_scrub_end(unsigned int cpu, uint32_t done)
{
    struct scrub_slot *slot = &scrub_slots[cpu];

    spin_lock(&frame_lock);
    slot->active = false;
    slot->done = done;
    if (done == PAGE_SIZE << ORDER_2M) {
        uint32_t *head = &cleared_head[zone_of(slot->m)];

        frame_table[slot->m].next = *head;
        *head = slot->m;
        cleared_blocks++;
        slot->m = 0;
    }
    spin_unlock(&frame_lock);
}

void *frame_alloc_shared(struct domain *d)
{
    mfn_t m = frame_alloc(0);

    if (!mfn_valid_number(m))
        return NULL;
    clear_page(mfn_to_virt(m));
    frames_set(m.n, 0, 1, d->id, FRAME_SHARED);
    __atomic_fetch_add(&shared_frames, 1, __ATOMIC_RELAXED);
    return mfn_to_virt(m);
}

int frame_claim(struct domain *d, mfn_t m, unsigned int order)
{
    uint64_t start;
    int found, err = -EBUSY;

    if (order > MAX_ORDER || (m.n & ((1ull << order) - 1)) || !mfn_valid(m))
        return -EINVAL;
    spin_lock(&frame_lock);
    if (!m.n && frame_table[0].state == FRAME_FREE)
        found = ORDER_4K;
    else
        found = block_find(m.n, &start);
    if (found < (int)order)
        goto out;
    err = -ENOMEM;
    if (d && !domain_may_have(d, order))
        goto out;
    if (d)
        domain_charge(d, order);
    if (m.n) {
        block_split(start, (unsigned int)found, m.n, order);
        free_frames -= 1ull << order;
    } else {
        frames_set(0, ORDER_4K, 1, FRAME_OWNER_NONE, FRAME_HYPERVISOR);
    }
    err = 0;
out:
    spin_unlock(&frame_lock);
    if (!err)
        frames_set(m.n, order, 1, d ? d->id : FRAME_OWNER_NONE,
                   d ? FRAME_DOMAIN : FRAME_HYPERVISOR);
    return err;
}

bool frame_next_free(uint64_t from, uint64_t *start, uint64_t *count)
{
    uint64_t m = from, block;
    int order;

    spin_lock(&frame_lock);
    *count = 0;
    while (m < max_mfn) {
        order = frame_table[m].state == FRAME_FREE ? block_find(m, &block) : -1;
        if (order < 0 && *count)
            break;
        if (order < 0) {
            m++;
            continue;
        }
        if (!*count)
            *start = m;
        m = block + (1ull << order);
        *count = m - *start;
    }
    spin_unlock(&frame_lock);
    return *count;
}

/* Take a reference if `match` says so of the frame's owner and state. */
static inline bool frame_get_if(mfn_t m, uint16_t owner, bool any)
{
    struct frame *f;
    union frame_word old, new;

    if (!mfn_valid(m))
        return false;
    f = mfn_to_frame(m);
    old.word = __atomic_load_n(frame_word(f), __ATOMIC_RELAXED);
    do {
        if (old.count == 0 || old.count == UINT32_MAX || old.state < FRAME_DOMAIN ||
            (!any && old.owner != owner))
            return false;
        new = old;
        new.count++;
    } while (!__atomic_compare_exchange_n(frame_word(f), &old.word, new.word, false,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return true;
}

bool frame_get(mfn_t m, const struct domain *d)
{
    return frame_get_if(m, d->id, false);
}

bool frame_get_any(mfn_t m)
{
    return frame_get_if(m, 0, true);
}

void frame_get_more(mfn_t m)
{
    BUG_ON(!mfn_valid(m));
    BUG_ON(!__atomic_fetch_add(&mfn_to_frame(m)->count, 1, __ATOMIC_RELAXED));
}

void frame_put(mfn_t m)
{
    struct frame *f = mfn_to_frame(m);
    union frame_word w;
    uint32_t left;

    BUG_ON(!mfn_valid(m));
    left = __atomic_sub_fetch(&f->count, 1, __ATOMIC_ACQ_REL);
    BUG_ON(left == UINT32_MAX);
    if (left)
        return;
    w.word = *frame_word(f);
    frame_free(m, 0);
    if (w.state == FRAME_DOMAIN)
        domain_uncharge(w.owner);
    else if (w.state == FRAME_SHARED)
        __atomic_fetch_sub(&shared_frames, 1, __ATOMIC_RELAXED);
}

uint64_t frames_total(void)
{
    return total_frames;
}

uint64_t frames_free(void)
{
    return READ_ONCE(free_frames);
}

uint64_t frames_shared(void)
{
    return READ_ONCE(shared_frames);
}

uint64_t frames_cleared(void)
{
    return READ_ONCE(cleared_blocks) << ORDER_2M;
}

void frame_init_lists(void)
{
    for (unsigned int z = 0; z < ZONES; z++) {
        for (unsigned int o = 0; o <= MAX_ORDER; o++)
            free_head[z][o] = NIL;
    }
}

/* In the largest blocks that alignment allows, without looking for neighbours to join. */
static void add_free(uint64_t m, uint64_t end)
{
    for (uint64_t i = m; i < end; i++)
        frame_word_set(&frame_table[i], 0, FRAME_OWNER_NONE, FRAME_FREE, ORDER_NONE);
    free_frames += end - m;
    while (m < end) {
        unsigned int order = min((unsigned int)__builtin_ctzll(m), MAX_ORDER + 0u);

        while (m + (1ull << order) > end)
            order--;
        block_free(m, order);
        m += 1ull << order;
    }
}

void frame_init_range(uint64_t start, uint64_t end, enum frame_state state)
{
    start = min(start, max_mfn);
    end = min(end, max_mfn);
    if (state != FRAME_RESERVED)
        total_frames += end - start;
    if (state == FRAME_FREE) {
        if (!start && end)
            frames_set(start++, ORDER_4K, 0, FRAME_OWNER_NONE, FRAME_FREE);
        add_free(start, end);
        return;
    }
    for (uint64_t i = start; i < end; i++) {
        frame_table[i].use = 0;
        frame_word_set(&frame_table[i], 1, FRAME_OWNER_NONE, (uint8_t)state, 0);
    }
}
