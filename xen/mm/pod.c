/* Memory on demand. See mm/pod.h. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A frame of the cache belongs to the domain, is zero and has one reference, the cache's;
 * when it is mapped the table takes that over. A page may go back only if nobody else has
 * a reference to it (a device model's mapping, a grant, the hypervisor itself): its entry
 * is taken out, TLBs are flushed, and only then do its count and its contents say whether
 * it stays out. p2m_get_frame() looks at the entry again after it has its reference.
 *
 * Pages that the guest has written since a migration's last round are not searched for
 * zeros, for nobody would know that they have changed: while the whole domain is in
 * log-dirty mode nothing is searched. libxc then sends an entry as an empty page.
 */
#include "mm/pod.h"
#include "mm/p2m_internal.h"
#include "mm/frame.h"
#include "cpu/irq.h"
#include "domain/domain.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

#define BLOCK_PAGES BIT(ORDER_2M)
#define GROUP       64u /* pages that are taken out for one flush */
/* A guest can fill its memory so that the search reads all of it. Who may not wait (it
 * has locks, perhaps) searches little, and takes what others have put by. */
#define RESERVE 256u /* frames that a guest's own page faults leave in the cache */
#define TOP_UP  4u   /* blocks that they search for it at a time */
#define HURRY   32u  /* blocks that are searched without letting others run */

/* ---- the cache ---- */

static void push(mfn_t *list, mfn_t mfn)
{
    mfn_to_frame(mfn)->use = list->n;
    *list = mfn;
}

static mfn_t pop(mfn_t *list)
{
    mfn_t mfn = *list;

    if (mfn_valid_number(mfn))
        *list = MFN(mfn_to_frame(mfn)->use);
    return mfn;
}

static void cache_add(struct pod *pod, mfn_t mfn, unsigned int order)
{
    push(order ? &pod->blocks : &pod->singles, mfn);
    pod->cached += BIT(order);
}

static mfn_t cache_take(struct pod *pod, unsigned int order)
{
    mfn_t mfn = pop(order ? &pod->blocks : &pod->singles);

    if (!order && !mfn_valid_number(mfn)) {
        mfn = pop(&pod->blocks);
        for (unsigned int i = 1; mfn_valid_number(mfn) && i < BLOCK_PAGES; i++)
            push(&pod->singles, mfn_add(mfn, i));
    }
    if (mfn_valid_number(mfn))
        pod->cached -= BIT(order);
    return mfn;
}

static void put_all(mfn_t mfn, unsigned int order)
{
    for (uint64_t i = 0; i < BIT(order); i++)
        frame_put(mfn_add(mfn, i));
}

/* One step towards `want` frames in the cache: 0, -EAGAIN for more of them, -ENOMEM. */
static int cache_step(struct domain *d, uint64_t want)
{
    struct pod *pod = &d->p2m.pod;
    uint64_t cached = READ_ONCE(pod->cached);
    unsigned int order = ORDER_4K;
    mfn_t mfn = INVALID_MFN;

    if (cached == want || domain_is_dying(d))
        return 0;
    if (cached < want) {
        if (want - cached >= BLOCK_PAGES) {
            order = ORDER_2M;
            mfn = frame_alloc_domain(d, order, 0);
        }
        if (!mfn_valid_number(mfn)) {
            order = ORDER_4K;
            mfn = frame_alloc_domain(d, order, 0);
        }
        if (!mfn_valid_number(mfn))
            return -ENOMEM;
        spin_lock(&d->p2m.lock);
        if (!domain_is_dying(d)) { /* else the cache has gone, or goes now */
            cache_add(pod, mfn, order);
            mfn = INVALID_MFN;
        }
        spin_unlock(&d->p2m.lock);
    } else {
        spin_lock(&d->p2m.lock);
        if (pod->cached >= want + BLOCK_PAGES && mfn_valid_number(pod->blocks))
            order = ORDER_2M;
        if (pod->cached > want)
            mfn = cache_take(pod, order);
        spin_unlock(&d->p2m.lock);
    }
    if (mfn_valid_number(mfn))
        put_all(mfn, order);
    return -EAGAIN;
}

/* How large the cache has to be for this target. */
static uint64_t cache_for(struct domain *d, uint64_t target)
{
    struct pod *pod = &d->p2m.pod;
    uint64_t populated, want;

    spin_lock(&d->p2m.lock);
    populated = d->tot_pages - pod->cached;
    want = target - populated;
    if (populated && want > pod->entries) /* the guest's balloon does the rest */
        want = pod->entries;
    /* Less than it has is its balloon's business, too. */
    if ((populated && !pod->entries) || target < d->tot_pages)
        want = pod->cached;
    spin_unlock(&d->p2m.lock);
    return want;
}

int pod_set_target(struct domain *d, uint64_t target)
{
    int rc;

    do {
        rc = cache_step(d, cache_for(d, target));
        preempt_point();
    } while (rc == -EAGAIN);
    return rc;
}

void pod_trim(struct domain *d)
{
    struct pod *pod = &d->p2m.pod;

    while (READ_ONCE(pod->cached) > READ_ONCE(pod->entries) &&
           cache_step(d, READ_ONCE(pod->entries)) == -EAGAIN)
        preempt_point();
}

void pod_teardown(struct domain *d)
{
    while (READ_ONCE(d->p2m.pod.cached)) {
        mfn_t mfn;

        spin_lock(&d->p2m.lock);
        mfn = cache_take(&d->p2m.pod, ORDER_4K);
        spin_unlock(&d->p2m.lock);
        frame_put(mfn);
        preempt_point();
    }
}

/* ---- entries ---- */

int pod_mark(struct domain *d, gfn_t gfn, unsigned int order)
{
    unsigned int step = order >= ORDER_2M ? ORDER_2M : ORDER_4K, leaf;
    enum p2m_type type;
    int rc = 0;

    if (gfn.n & (BIT(order) - 1))
        return -EINVAL;
    for (uint64_t i = 0; i < BIT(order) && !rc; i += BIT(step)) {
        spin_lock(&d->p2m.lock);
        p2m_lookup(d, gfn_add(gfn, i), &type, &leaf);
        if (type != P2M_INVALID || leaf < step)
            rc = -EBUSY;
        else
            rc = p2m_set_locked(d, gfn_add(gfn, i), INVALID_MFN, P2M_POD, step);
        spin_unlock(&d->p2m.lock);
    }
    return rc;
}

/* -EAGAIN: the cache is empty; -ENOMEM: there is no page for tables. */
static int populate_locked(struct domain *d, gfn_t gfn)
{
    struct pod *pod = &d->p2m.pod;
    unsigned int order = ORDER_4K, leaf;
    enum p2m_type type;
    mfn_t mfn;
    int rc;

    p2m_lookup(d, gfn, &type, &leaf);
    if (type != P2M_POD)
        return 0; /* another CPU was faster */
    if (leaf >= ORDER_2M && mfn_valid_number(pod->blocks))
        order = ORDER_2M;
    mfn = cache_take(pod, order);
    if (!mfn_valid_number(mfn))
        return -EAGAIN;
    rc = p2m_set_locked(d, GFN(gfn.n & ~(BIT(order) - 1)), mfn, P2M_RAM_RW, order);
    if (rc)
        cache_add(pod, mfn, order);
    return rc;
}

bool pod_give_up(struct domain *d, gfn_t gfn)
{
    struct pod *pod = &d->p2m.pod;
    enum p2m_type type;
    bool ours;
    mfn_t mfn;

    spin_lock(&d->p2m.lock);
    mfn = p2m_lookup(d, gfn, &type, NULL);
    ours = type == P2M_POD || (p2m_is_ram(type) && pod->entries > pod->cached);
    if (ours && type == P2M_POD) {
        ours = !p2m_set_locked(d, gfn, INVALID_MFN, P2M_INVALID, ORDER_4K);
    } else if (ours) {
        ours = p2m_take_out(d, gfn, P2M_INVALID, ORDER_4K);
        if (ours) {
            p2m_flush(d);
            if (READ_ONCE(mfn_to_frame(mfn)->count) == 1) {
                clear_page(mfn_to_virt(mfn));
                cache_add(pod, mfn, ORDER_4K);
            } else {
                frame_put(mfn); /* it goes when its other users have done with it */
            }
        }
    }
    spin_unlock(&d->p2m.lock);
    return ours;
}

/* ---- zero pages ---- */

static bool is_zero(mfn_t mfn)
{
    const uint64_t *word = mfn_to_virt(mfn);

    for (unsigned int i = 0; i < PAGE_SIZE / 8; i += 4)
        if (word[i] | word[i + 1] | word[i + 2] | word[i + 3])
            return false;
    return true;
}

/* Nobody but the table has it, and there is nothing in it. */
static bool is_idle(mfn_t mfn, unsigned int order)
{
    for (uint64_t i = 0; i < BIT(order); i++)
        if (READ_ONCE(mfn_to_frame(mfn_add(mfn, i))->count) != 1 ||
            !is_zero(mfn_add(mfn, i)))
            return false;
    return true;
}

static bool may_sweep(enum p2m_type type)
{
    return type == P2M_RAM_RW || type == P2M_RAM_LOGDIRTY;
}

/* The whole block is mapped by one entry: back with it, if it is idle. */
static bool sweep_block(struct domain *d, gfn_t gfn, mfn_t mfn)
{
    uint64_t entry;

    if (!is_idle(mfn, ORDER_2M))
        return false;
    entry = p2m_take_out(d, gfn, P2M_POD, ORDER_2M);
    if (!entry)
        return false;
    p2m_flush(d);
    if (!is_idle(mfn, ORDER_2M)) {
        p2m_put_back(d, gfn, entry, ORDER_2M);
        return false;
    }
    cache_add(&d->p2m.pod, mfn, ORDER_2M);
    return true;
}

/* The same page by page, for GROUP pages; whether one was found. */
static bool sweep_group(struct domain *d, gfn_t first)
{
    uint64_t entries[GROUP] = {0};
    mfn_t mfns[GROUP];
    bool any = false, found = false;
    enum p2m_type type;

    for (unsigned int i = 0; i < GROUP; i++) {
        mfns[i] = p2m_lookup(d, gfn_add(first, i), &type, NULL);
        if (!mfn_valid_number(mfns[i]) || !may_sweep(type) || !is_idle(mfns[i], ORDER_4K))
            continue;
        entries[i] = p2m_take_out(d, gfn_add(first, i), P2M_POD, ORDER_4K);
        any |= entries[i] != 0;
    }
    if (any)
        p2m_flush(d);
    for (unsigned int i = 0; i < GROUP; i++) {
        if (!entries[i])
            continue;
        if (is_idle(mfns[i], ORDER_4K)) {
            cache_add(&d->p2m.pod, mfns[i], ORDER_4K);
            found = true;
        } else {
            p2m_put_back(d, gfn_add(first, i), entries[i], ORDER_4K);
        }
    }
    return found;
}

static bool sweep_2m(struct domain *d, gfn_t gfn)
{
    unsigned int order;
    enum p2m_type type;
    bool found = false;
    mfn_t mfn;

    spin_lock(&d->p2m.lock);
    mfn = p2m_lookup(d, gfn, &type, &order);
    if (READ_ONCE(d->p2m.logdirty) || domain_is_dying(d))
        goto out;
    if (order >= ORDER_2M) {
        if (!mfn_valid_number(mfn) || !may_sweep(type))
            goto out;
        found = sweep_block(d, gfn, mfn);
    }
    for (unsigned int i = 0; !found && i < BLOCK_PAGES; i += GROUP)
        found = sweep_group(d, gfn_add(gfn, i));
out:
    spin_unlock(&d->p2m.lock);
    return found;
}

/* Search at most so many blocks, and no more than there are, from where the last search
 * ended. */
static bool sweep(struct domain *d, uint64_t blocks, bool may_wait)
{
    struct pod *pod = &d->p2m.pod;
    uint64_t end = d->p2m.max_gfn + 1;

    blocks = min(blocks, DIV_ROUND_UP(end, BLOCK_PAGES));
    for (uint64_t i = 0; i < blocks; i++) {
        gfn_t gfn = GFN(READ_ONCE(pod->sweep));

        WRITE_ONCE(pod->sweep, gfn.n + BLOCK_PAGES < end ? gfn.n + BLOCK_PAGES : 0);
        if (sweep_2m(d, gfn))
            return true;
        if (may_wait)
            preempt_point();
        if (domain_is_dying(d))
            return false;
    }
    return READ_ONCE(pod->cached); /* somebody else found one */
}

static void used_up(struct domain *d, int rc, bool may_wait)
{
    printk_guest("Domain %u uses more memory than it has: %lu pages, %lu on demand are "
                 "left; does its balloon driver run?\n",
                 d->id, d->tot_pages, d->p2m.pod.entries);
    if (may_wait)
        domain_crash(d, rc == -EAGAIN ? "memory on demand is used up"
                                      : "no memory for page tables");
}

bool pod_populate(struct domain *d, gfn_t gfn, bool may_wait)
{
    struct pod *pod = &d->p2m.pod;
    int rc;

    do {
        if (domain_is_dying(d))
            return false;
        spin_lock(&d->p2m.lock);
        rc = populate_locked(d, gfn);
        spin_unlock(&d->p2m.lock);
    } while (rc == -EAGAIN && sweep(d, may_wait ? UINT64_MAX : HURRY, may_wait));
    if (!rc && may_wait && READ_ONCE(pod->cached) < RESERVE &&
        READ_ONCE(pod->cached) < READ_ONCE(pod->entries))
        sweep(d, TOP_UP, true);
    if (rc && !domain_is_dying(d))
        used_up(d, rc, may_wait);
    return !rc;
}
