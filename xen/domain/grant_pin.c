/* Grants in use: the dance with the shared entry, which the granting guest may change at
 * any time (public/grant_table.h). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Version 1 has permission and use in one word: one cmpxchg decides. Version 2 has the
 * use in a status word of its own: we set that, then look at the permission again; a
 * guest that revokes clears the permission, then looks at the status. So one of the two
 * sees the other.
 */
#include "domain/grant_internal.h"
#include "mm/frame.h"

#define UNSTABLE_TRIES 5

/* What an entry says, read once. */
struct entry {
    uint16_t flags;
    domid_t domid;
    uint64_t gfn;
    uint16_t start, length;
    domid_t next_domid;
    uint32_t next_ref;
};

static bool permits(const struct entry *e, domid_t id, bool readonly, unsigned int allow)
{
    unsigned int type = e->flags & GTF_type_mask;

    if (e->domid != id || (!readonly && e->flags & GTF_readonly))
        return false;
    if (type == GTF_transitive)
        return allow & GRANT_TRANSITIVE;
    return type == GTF_permit_access &&
           (allow & GRANT_SUB_PAGE || !(e->flags & GTF_sub_page));
}

static int16_t use_v1(const struct grant_table *gt, uint32_t ref, domid_t id,
                      bool readonly, struct entry *e)
{
    grant_entry_v1_t *shared = grant_shared_v1(gt, ref);
    uint32_t *word = (uint32_t *)shared; /* flags, domid */
    uint32_t w = __atomic_load_n(word, __ATOMIC_ACQUIRE);

    for (int i = 0; i < UNSTABLE_TRIES; i++) {
        uint32_t new = w | GTF_reading | (readonly ? 0 : GTF_writing);

        e->flags = (uint16_t)w & ~GTF_sub_page; /* means nothing here */
        e->domid = w >> 16;
        if ((w & GTF_type_mask) != GTF_permit_access || !permits(e, id, readonly, 0))
            return GNTST_general_error;
        if (__atomic_compare_exchange_n(word, &w, new, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            e->gfn = READ_ONCE(shared->frame);
            e->start = 0;
            e->length = PAGE_SIZE;
            return GNTST_okay;
        }
    }
    return GNTST_general_error;
}

static void read_v2(const grant_entry_v2_t *shared, struct entry *e)
{
    e->flags = READ_ONCE(shared->hdr.flags);
    e->domid = READ_ONCE(shared->hdr.domid);
}

static int16_t use_v2(const struct grant_table *gt, uint32_t ref, domid_t id,
                      bool readonly, unsigned int allow, struct entry *e)
{
    const grant_entry_v2_t *shared = grant_shared_v2(gt, ref);
    grant_status_t *status = grant_status_word(gt, ref);
    grant_status_t bits = GTF_reading | (readonly ? 0 : GTF_writing), before;
    struct entry again;

    read_v2(shared, e);
    if (!permits(e, id, readonly, allow))
        return GNTST_general_error;
    before = __atomic_fetch_or(status, bits, __ATOMIC_SEQ_CST);
    read_v2(shared, &again);
    if (again.flags != e->flags || again.domid != e->domid) {
        __atomic_fetch_and(status, ~(bits & ~before), __ATOMIC_SEQ_CST);
        return GNTST_general_error;
    }
    e->start = 0;
    e->length = PAGE_SIZE;
    if ((e->flags & GTF_type_mask) == GTF_transitive) {
        e->next_domid = READ_ONCE(shared->transitive.trans_domid);
        e->next_ref = READ_ONCE(shared->transitive.gref);
    } else if (e->flags & GTF_sub_page) {
        uint16_t start = READ_ONCE(shared->sub_page.page_off);
        uint16_t length = READ_ONCE(shared->sub_page.length);

        e->gfn = READ_ONCE(shared->sub_page.frame);
        e->start = min(start, (uint16_t)PAGE_SIZE);
        e->length = min(length, (uint16_t)(PAGE_SIZE - e->start));
    } else {
        e->gfn = READ_ONCE(shared->full_page.frame);
    }
    return GNTST_okay;
}

/* Show in the shared entry what is still in use; gt->lock is held. */
static void show_use(const struct grant_table *gt, uint32_t ref,
                     const struct grant_active *a)
{
    uint16_t clear = 0;

    if (gt->dead)
        return;
    if (!a->writers)
        clear |= GTF_writing;
    if (!grant_in_use(a))
        clear |= GTF_reading;
    if (!clear)
        return;
    if (gt->version == 2)
        __atomic_fetch_and(grant_status_word(gt, ref), (uint16_t)~clear,
                           __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&grant_shared_v1(gt, ref)->flags, (uint16_t)~clear,
                           __ATOMIC_SEQ_CST);
}

/* The granted page, referenced, if the granting domain has such RAM. */
static int16_t take_page(struct domain *granter, uint64_t gfn, bool readonly, mfn_t *mfn)
{
    enum p2m_type type;

    *mfn = p2m_get_frame(granter, GFN(gfn), !readonly, &type);
    if (!mfn_valid_number(*mfn))
        return GNTST_bad_page;
    if (p2m_is_ram(type))
        return GNTST_okay;
    frame_put(*mfn);
    return GNTST_bad_page;
}

static void mark_dirty(struct domain *granter, uint64_t gfn)
{
    if (READ_ONCE(granter->p2m.logdirty))
        p2m_mark_dirty(granter, GFN(gfn));
}

/* First use of an entry, or first for writing; gt->lock is held. */
static int16_t begin_use(struct domain *granter, uint32_t ref, domid_t id, bool readonly,
                         unsigned int allow, struct grant_active *a,
                         struct grant_pin *pin)
{
    const struct grant_table *gt = granter->grant;
    struct entry e = {0};
    mfn_t mfn = INVALID_MFN;
    int16_t status = gt->version == 2 ? use_v2(gt, ref, id, readonly, allow, &e)
                                      : use_v1(gt, ref, id, readonly, &e);

    if (status != GNTST_okay)
        return status;
    if ((e.flags & GTF_type_mask) == GTF_transitive) {
        pin->next_ref = e.next_ref;
        pin->next = domain_get_by_id(e.next_domid);
        status = pin->next ? GNTST_okay : GNTST_general_error;
    } else if (!grant_in_use(a) || !readonly) {
        status = take_page(granter, e.gfn, readonly, &mfn);
    }
    if (status == GNTST_okay && grant_in_use(a)) {
        /* Now for writing too: it has to be the page that is in use for reading. */
        if (a->transitive != !!pin->next || !mfn_eq(a->mfn, mfn))
            status = GNTST_general_error;
        if (mfn_valid_number(mfn))
            frame_put(mfn); /* the entry has a reference already */
    }
    if (status != GNTST_okay) {
        show_use(gt, ref, a);
        return status;
    }
    if (!grant_in_use(a))
        *a = (struct grant_active){.domid = id,
                                   .transitive = pin->next,
                                   .sub_page = e.length != PAGE_SIZE,
                                   .start = e.start,
                                   .length = e.length,
                                   .mfn = mfn,
                                   .gfn = e.gfn};
    return GNTST_okay;
}

static int16_t pin_locked(struct domain *granter, uint32_t ref, domid_t id, bool readonly,
                          unsigned int allow, struct grant_pin *pin)
{
    struct grant_table *gt = granter->grant;
    struct grant_active *a;
    int16_t status;

    if (gt->dead || ref >= grant_nr_entries(gt))
        return GNTST_bad_gntref;
    a = grant_active_entry(gt, ref);
    if (grant_in_use(a) &&
        (a->domid != id || (a->sub_page && !(allow & GRANT_SUB_PAGE)) ||
         (a->transitive && !(allow & GRANT_TRANSITIVE))))
        return GNTST_general_error;
    if (a->readers > INT32_MAX || a->writers > INT32_MAX)
        return GNTST_general_error;
    if (!grant_in_use(a) || a->transitive || (!readonly && !a->writers)) {
        status = begin_use(granter, ref, id, readonly, allow, a, pin);
        if (status != GNTST_okay)
            return status;
    }
    if (readonly) {
        a->readers++;
    } else {
        a->writers++;
        if (!a->transitive)
            mark_dirty(granter, a->gfn);
    }
    pin->mfn = a->mfn;
    pin->start = a->start;
    pin->length = a->length;
    return GNTST_okay;
}

int16_t grant_pin(struct domain *granter, uint32_t ref, domid_t id, bool readonly,
                  unsigned int allow, struct grant_pin *pin)
{
    struct grant_pin inner;
    int16_t status;

    *pin = (struct grant_pin){.granter = granter, .ref = ref, .readonly = readonly};
    spin_lock(&granter->grant->lock);
    status = pin_locked(granter, ref, id, readonly, allow, pin);
    spin_unlock(&granter->grant->lock);
    if (status != GNTST_okay) {
        if (pin->next)
            domain_put(pin->next);
        return status;
    }
    if (!pin->next)
        return GNTST_okay;
    /* It leads to a grant that its granter holds; one step only. */
    status = grant_pin(pin->next, pin->next_ref, granter->id, readonly, GRANT_SUB_PAGE,
                       &inner);
    if (status != GNTST_okay) {
        domain_put(pin->next);
        pin->next = NULL;
        grant_unpin(pin);
        return status;
    }
    pin->mfn = inner.mfn;
    pin->start = inner.start;
    pin->length = inner.length;
    return GNTST_okay;
}

void grant_unpin(const struct grant_pin *pin)
{
    struct grant_table *gt = pin->granter->grant;
    mfn_t last = INVALID_MFN;
    struct grant_active *a;

    if (pin->next) {
        struct grant_pin inner = {
            .granter = pin->next, .ref = pin->next_ref, .readonly = pin->readonly};

        grant_unpin(&inner);
        domain_put(pin->next);
    }
    spin_lock(&gt->lock);
    a = grant_active_entry(gt, pin->ref);
    if (pin->readonly) {
        a->readers--;
    } else {
        a->writers--;
        if (!a->transitive)
            mark_dirty(pin->granter, a->gfn);
    }
    show_use(gt, pin->ref, a);
    if (!grant_in_use(a)) {
        last = a->mfn;
        a->mfn = INVALID_MFN;
    }
    spin_unlock(&gt->lock);
    if (mfn_valid_number(last))
        frame_put(last);
}

int16_t grant_swap(struct domain *d, uint32_t a, uint32_t b)
{
    struct grant_table *gt = d->grant;
    int16_t status = GNTST_okay;

    spin_lock(&gt->lock);
    if (gt->dead || a >= grant_nr_entries(gt) || b >= grant_nr_entries(gt)) {
        status = GNTST_bad_gntref;
    } else if (a != b && (grant_in_use(grant_active_entry(gt, a)) ||
                          grant_in_use(grant_active_entry(gt, b)))) {
        status = GNTST_eagain;
    } else if (gt->version == 2) {
        grant_entry_v2_t t = *grant_shared_v2(gt, a);

        *grant_shared_v2(gt, a) = *grant_shared_v2(gt, b);
        *grant_shared_v2(gt, b) = t;
    } else {
        grant_entry_v1_t t = *grant_shared_v1(gt, a);

        *grant_shared_v1(gt, a) = *grant_shared_v1(gt, b);
        *grant_shared_v1(gt, b) = t;
    }
    spin_unlock(&gt->lock);
    return status;
}
