/* Physical-to-machine tables: one code for NPT (AMD APM vol 2, 15.25) and EPT (Intel SDM
 * vol 3, 29.3). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Four levels of 512 entries. The type of a leaf is in bits 52-55, which both formats
 * leave to software; a leaf without the present bits still has a type. What a leaf looks
 * like to the hardware is the back end's business (struct p2m_format).
 *
 * Left out: five levels, access restrictions for introspection.
 */
#include "mm/p2m_internal.h"
#include "mm/pod.h"
#include "mm/frame.h"
#include "domain/sched.h"
#include "hvm/hvm.h"
#include "cpu/irq.h"
#include "cpu/smp.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "lib/errno.h"

#define P2M_ADDR_MASK  0x000ffffffffff000ull
#define P2M_TYPE_SHIFT 52
#define P2M_LEVELS     4
#define P2M_ENTRIES    512

struct p2m_format p2m_format;

static enum p2m_type entry_type(uint64_t e)
{
    return (e >> P2M_TYPE_SHIFT) & 15;
}

static unsigned int level_index(uint64_t gfn, unsigned int level)
{
    return (gfn >> (9 * level)) & (P2M_ENTRIES - 1);
}

/* Level of the tables' entries that map 2^order frames: 0, 1 or 2. */
static unsigned int order_level(unsigned int order)
{
    return order / 9;
}

static bool entry_present(uint64_t e)
{
    return e & p2m_format.present_mask;
}

static bool entry_is_table(uint64_t e, unsigned int level)
{
    return level > 0 && entry_present(e) && !(e & p2m_format.large_mask);
}

static uint64_t *entry_table(uint64_t e)
{
    return maddr_to_virt(e & P2M_ADDR_MASK);
}

/* Does a leaf of this type hold references to its frames? */
static bool type_counted(enum p2m_type t)
{
    return t != P2M_INVALID && t != P2M_MMIO_DM && t != P2M_MMIO_DIRECT && t != P2M_POD;
}

static uint64_t make_leaf(mfn_t mfn, enum p2m_type type, unsigned int order)
{
    uint64_t tag = (uint64_t)type << P2M_TYPE_SHIFT;

    if (!p2m_is_mapped(type) || type == P2M_POD)
        return tag;
    return p2m_format.leaf(mfn, type, order, type == P2M_MMIO_DIRECT ? 0 : 6) | tag;
}

static uint64_t *new_table(struct p2m *p)
{
    uint64_t *t = alloc_pages(0);

    if (t)
        p->nr_tables++;
    return t;
}

/* A table that is no longer linked: lookups may still be walking it, so it is kept until
 * the domain goes. Its first use word is free for the list. */
static void retire_table(struct p2m *p, uint64_t *table)
{
    struct frame *f = mfn_to_frame(virt_to_mfn(table));

    f->use = p->retired;
    p->retired = virt_to_maddr(table);
    p->nr_retired++;
}

int p2m_init(struct domain *d)
{
    struct p2m *p = &d->p2m;

    p->root = new_table(p);
    if (!p->root)
        return -ENOMEM;
    p->root_maddr = virt_to_maddr(p->root);
    p->flush_gen = 1;
    p->pod.blocks = p->pod.singles = INVALID_MFN;
    return 0;
}

mfn_t p2m_lookup(const struct domain *d, gfn_t gfn, enum p2m_type *type,
                 unsigned int *order)
{
    const uint64_t *table = d->p2m.root;
    unsigned int level;

    *type = P2M_INVALID;
    if (order)
        *order = 0;
    if (gfn.n >> (9 * P2M_LEVELS))
        return INVALID_MFN;
    for (level = P2M_LEVELS - 1;; level--) {
        uint64_t e = READ_ONCE(table[level_index(gfn.n, level)]);

        if (entry_is_table(e, level)) {
            table = entry_table(e);
            continue;
        }
        *type = entry_type(e);
        if (order)
            *order = 9 * level;
        if (!entry_present(e))
            return INVALID_MFN;
        return MFN(((e & P2M_ADDR_MASK) >> PAGE_SHIFT & ~(BIT(9 * level) - 1)) |
                   (gfn.n & (BIT(9 * level) - 1)));
    }
}

static bool type_writable(enum p2m_type t)
{
    return t == P2M_RAM_RW || t == P2M_RAM_LOGDIRTY || t == P2M_FOREIGN ||
           t == P2M_GRANT_RW || t == P2M_SHARED || t == P2M_IOREQ_WRITE;
}

static mfn_t get_frame(struct domain *d, mfn_t m, enum p2m_type t, bool write)
{
    if (!mfn_valid_number(m) || !type_counted(t) || (write && !type_writable(t)))
        return INVALID_MFN;
    if (p2m_is_ram(t))
        return frame_get(m, d) ? m : INVALID_MFN;
    return frame_get_any(m) ? m : INVALID_MFN;
}

/* Of a domain with memory on demand: pod.c may take the page away for another place
 * before it sees our reference, so the entry is looked at again. */
__attribute__((noinline)) static mfn_t
get_frame_on_demand(struct domain *d, gfn_t gfn, bool write, enum p2m_type *type)
{
    enum p2m_type again;
    mfn_t m;

    for (;;) {
        m = p2m_lookup(d, gfn, type, NULL);
        if (*type == P2M_POD && pod_populate(d, gfn, false))
            continue;
        m = get_frame(d, m, *type, write);
        if (!mfn_valid_number(m) || mfn_eq(p2m_lookup(d, gfn, &again, NULL), m))
            return m;
        frame_put(m);
    }
}

mfn_t p2m_get_frame(struct domain *d, gfn_t gfn, bool write, enum p2m_type *type)
{
    enum p2m_type t;
    mfn_t m;

    if (unlikely(READ_ONCE(d->p2m.pod.entries))) {
        m = get_frame_on_demand(d, gfn, write, &t);
    } else {
        m = p2m_lookup(d, gfn, &t, NULL);
        m = get_frame(d, m, t, write);
    }
    if (type)
        *type = t;
    return m;
}

/* Replace a leaf by a table whose leaves map the same; lock held. */
static int split(struct p2m *p, uint64_t *slot, unsigned int level)
{
    uint64_t e = *slot, *table = new_table(p);
    enum p2m_type type = entry_type(e);
    unsigned int order = 9 * (level - 1);
    mfn_t base = maddr_to_mfn(e & P2M_ADDR_MASK);

    if (!table)
        return -ENOMEM;
    base.n &= ~(BIT(9 * level) - 1);
    if (e != 0)
        for (unsigned int i = 0; i < P2M_ENTRIES; i++)
            table[i] = make_leaf(mfn_add(base, (uint64_t)i << order), type, order);
    WRITE_ONCE(*slot, p2m_format.table(virt_to_mfn(table)));
    return 0;
}

/* Slot of the entry that maps gfn at `level`, tables made and leaves split on the way. */
static int find_slot(struct p2m *p, uint64_t gfn, unsigned int level, uint64_t **slot)
{
    uint64_t *table = p->root;

    for (unsigned int l = P2M_LEVELS - 1; l > level; l--) {
        uint64_t *s = &table[level_index(gfn, l)];

        if (!entry_is_table(*s, l)) {
            int rc = split(p, s, l);

            if (rc)
                return rc;
        }
        table = entry_table(*s);
    }
    *slot = &table[level_index(gfn, level)];
    return 0;
}

static void put_leaf(struct p2m *p, uint64_t e, unsigned int level)
{
    mfn_t base = maddr_to_mfn(e & P2M_ADDR_MASK & ~((PAGE_SIZE << (9 * level)) - 1));

    if (entry_type(e) == P2M_POD)
        p->pod.entries -= BIT(9 * level);
    if (!entry_present(e) || !type_counted(entry_type(e)))
        return;
    for (uint64_t i = 0; i < BIT(9 * level); i++)
        frame_put(mfn_add(base, i));
}

/* Drop what an unlinked entry mapped; tables below it are retired. */
static void put_tree(struct p2m *p, uint64_t e, unsigned int level)
{
    if (!entry_is_table(e, level)) {
        put_leaf(p, e, level);
        return;
    }
    for (unsigned int i = 0; i < P2M_ENTRIES; i++)
        if (entry_table(e)[i])
            put_tree(p, entry_table(e)[i], level - 1);
    retire_table(p, entry_table(e));
}

int p2m_set_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
                   unsigned int order)
{
    struct p2m *p = &d->p2m;
    uint64_t *slot, old;
    int rc;

    /* What is mapped now would stay for ever. */
    if (type_counted(type) && unlikely(domain_is_dying(d)))
        return -EINVAL;
    rc = find_slot(p, gfn.n, order_level(order), &slot);
    if (rc)
        return rc;
    old = *slot;
    if (type == P2M_POD)
        p->pod.entries += BIT(order);
    WRITE_ONCE(*slot, make_leaf(mfn, type, order));
    if ((type == P2M_RAM_RW || type == P2M_POD) && gfn.n + BIT(order) - 1 > p->max_gfn)
        p->max_gfn = gfn.n + BIT(order) - 1;
    if (!old)
        return 0;
    /* Nobody may reach the old frames when their references go. */
    if (entry_present(old))
        p2m_flush(d);
    put_tree(p, old, order_level(order));
    return 0;
}

int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
            unsigned int order)
{
    int rc;

    if ((gfn.n >> (9 * P2M_LEVELS)) || (gfn.n & (BIT(order) - 1)))
        return -EINVAL;
    if (order == ORDER_1G && !p2m_format.has_1g) {
        for (unsigned int i = 0; i < P2M_ENTRIES; i++) {
            rc = p2m_set(d, gfn_add(gfn, (uint64_t)i << ORDER_2M),
                         mfn_valid_number(mfn) ? mfn_add(mfn, (uint64_t)i << ORDER_2M)
                                               : mfn,
                         type, ORDER_2M);
            if (rc)
                return rc;
        }
        return 0;
    }

    spin_lock(&d->p2m.lock);
    rc = p2m_set_locked(d, gfn, mfn, type, order);
    spin_unlock(&d->p2m.lock);
    return rc;
}

uint64_t p2m_take_out(struct domain *d, gfn_t gfn, enum p2m_type type, unsigned int order)
{
    struct p2m *p = &d->p2m;
    uint64_t *slot;

    if (find_slot(p, gfn.n, order_level(order), &slot))
        return 0;
    if (type == P2M_POD)
        p->pod.entries += BIT(order);
    /* In one step: the processor may set bits in the entry meanwhile. */
    return __atomic_exchange_n(slot, make_leaf(INVALID_MFN, type, order),
                               __ATOMIC_SEQ_CST);
}

void p2m_put_back(struct domain *d, gfn_t gfn, uint64_t entry, unsigned int order)
{
    struct p2m *p = &d->p2m;
    uint64_t *slot;

    if (find_slot(p, gfn.n, order_level(order), &slot))
        return; /* cannot be: its table is there since p2m_take_out() */
    if (entry_type(*slot) == P2M_POD)
        p->pod.entries -= BIT(order);
    WRITE_ONCE(*slot, entry);
}

int p2m_clear(struct domain *d, gfn_t gfn, unsigned int order)
{
    return p2m_set(d, gfn, INVALID_MFN, P2M_INVALID, order);
}

int p2m_change_type(struct domain *d, gfn_t gfn, enum p2m_type from, enum p2m_type to)
{
    struct p2m *p = &d->p2m;
    uint64_t *slot;
    int rc = 0;

    if (gfn.n >> (9 * P2M_LEVELS))
        return -EINVAL;
    spin_lock(&p->lock);
    /* Look first: the common case after a race has nothing to split. */
    enum p2m_type now;
    mfn_t mfn = p2m_lookup(d, gfn, &now, NULL);

    if (now != from) {
        rc = -EBUSY;
        goto out;
    }
    rc = find_slot(p, gfn.n, 0, &slot);
    if (rc)
        goto out;
    WRITE_ONCE(*slot, make_leaf(mfn, to, ORDER_4K));
    p2m_flush(d);
out:
    spin_unlock(&p->lock);
    return rc;
}

void p2m_flush(struct domain *d)
{
    uint32_t gen = __atomic_add_fetch(&d->p2m.flush_gen, 1, __ATOMIC_SEQ_CST);

    if (!d->vcpus)
        return;
    for_each_vcpu(d, v)
    {
        struct percpu *cpu;

        if (v == current || !v->hvm || !READ_ONCE(v->running))
            continue;
        cpu = cpus[READ_ONCE(v->cpu)];
        if (!READ_ONCE(cpu->in_guest) || READ_ONCE(cpu->curr) != v)
            continue;
        smp_kick(cpu->id);
        /* In guest mode the kick makes it exit at once: no lock is needed for that, so
         * this wait ends also when that CPU then spins on a lock that we hold. */
        while (READ_ONCE(cpu->in_guest) && READ_ONCE(cpu->curr) == v &&
               (int32_t)(READ_ONCE(v->hvm->flush_gen_seen) - gen) < 0)
            __builtin_ia32_pause();
    }
}

/* With the lock: who began to change this entry before the domain was dying has finished.
 */
static void drop_entry(struct p2m *p, uint64_t *slot, unsigned int level)
{
    uint64_t e;

    spin_lock(&p->lock);
    e = *slot;
    *slot = 0;
    put_tree(p, e, level);
    spin_unlock(&p->lock);
}

void p2m_teardown(struct domain *d)
{
    struct p2m *p = &d->p2m;
    uint64_t *root = p->root;

    if (!root)
        return;
    /* Entries below 2M granularity go in one step; above, look for interrupts between. */
    for (unsigned int i = 0; i < P2M_ENTRIES; i++) {
        if (!entry_is_table(root[i], 3))
            continue;
        uint64_t *l2 = entry_table(root[i]);

        for (unsigned int j = 0; j < P2M_ENTRIES; j++) {
            if (!entry_is_table(l2[j], 2)) {
                drop_entry(p, &l2[j], 2);
                continue;
            }
            uint64_t *l1 = entry_table(l2[j]);

            for (unsigned int k = 0; k < P2M_ENTRIES; k++) {
                if (!l1[k])
                    continue;
                drop_entry(p, &l1[k], 1);
                preempt_point();
            }
        }
    }
}

static void free_tables(uint64_t *table, unsigned int level)
{
    for (unsigned int i = 0; level > 0 && i < P2M_ENTRIES; i++)
        if (entry_is_table(table[i], level))
            free_tables(entry_table(table[i]), level - 1);
    free_pages(table, 0);
}

void p2m_free(struct domain *d)
{
    struct p2m *p = &d->p2m;

    if (p->root)
        free_tables(p->root, P2M_LEVELS - 1);
    p->root = NULL;
    while (p->retired) {
        uint64_t *table = maddr_to_virt(p->retired);

        p->retired = mfn_to_frame(virt_to_mfn(table))->use;
        free_pages(table, 0);
    }
}

int p2m_shatter(struct domain *d, gfn_t gfn)
{
    struct p2m *p = &d->p2m;
    uint64_t *slot;
    int rc;

    if (gfn.n >> (9 * P2M_LEVELS))
        return -EINVAL;
    spin_lock(&p->lock);
    rc = find_slot(p, gfn.n, 0, &slot);
    if (!rc)
        p2m_flush(d);
    spin_unlock(&p->lock);
    return rc;
}

/* With its type changed back the page counts as dirty, until the next round of log-dirty
 * makes it clean. */
void p2m_mark_dirty(struct domain *d, gfn_t gfn)
{
    p2m_change_type(d, gfn, P2M_RAM_LOGDIRTY, P2M_RAM_RW);
}

/* Has the processor written through this entry since it was made? */
static bool written(struct p2m *p, uint64_t gfn)
{
    uint64_t *slot;

    return p2m_format.dirty_mask && !find_slot(p, gfn, 0, &slot) &&
           (READ_ONCE(*slot) & p2m_format.dirty_mask);
}

/* One page of p2m_dirty(); p->lock is held, and the domain paused if pages become clean:
 * nothing is written meanwhile. Returns whether it is dirty. */
static bool dirty_one(struct domain *d, uint64_t gfn, enum p2m_dirty_op op, bool *changed)
{
    enum p2m_type now, new;
    uint64_t *slot;
    mfn_t mfn = p2m_lookup(d, GFN(gfn), &now, NULL);
    bool dirty = now == P2M_RAM_RW || (now == P2M_RAM_LOGDIRTY && written(&d->p2m, gfn));

    if (op == P2M_DIRTY_PEEK || (op == P2M_DIRTY_CLEAN && !dirty) ||
        (op == P2M_DIRTY_OFF && now != P2M_RAM_LOGDIRTY))
        return dirty;
    new = op == P2M_DIRTY_CLEAN ? P2M_RAM_LOGDIRTY : P2M_RAM_RW;
    if (!find_slot(&d->p2m, gfn, 0, &slot)) { /* else it stays dirty */
        WRITE_ONCE(*slot, make_leaf(mfn, new, ORDER_4K));
        *changed = true;
    }
    return dirty;
}

uint64_t p2m_dirty(struct domain *d, gfn_t first, unsigned int nr, enum p2m_dirty_op op,
                   uint8_t *bitmap)
{
    struct p2m *p = &d->p2m;
    bool changed = false;
    uint64_t count = 0;

    spin_lock(&p->lock);
    if (op == P2M_DIRTY_CLEAN_UNLESS_LOGGED)
        op = READ_ONCE(p->logdirty) ? P2M_DIRTY_PEEK : P2M_DIRTY_CLEAN;
    for (unsigned int i = 0; i < nr; i++) {
        if (!dirty_one(d, first.n + i, op, &changed))
            continue;
        count++;
        if (bitmap)
            bitmap[i / 8] |= 1u << i % 8;
    }
    if (changed)
        p2m_flush(d);
    spin_unlock(&p->lock);
    return count;
}
