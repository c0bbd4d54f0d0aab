/* Grants mapped into another domain, and copies (public/grant_table.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Domains are translated: a grant is mapped at a guest-physical address, as an entry of
 * the mapping domain's p2m that holds a reference on the page. The pin in the granting
 * domain's table is held by the handle, whatever the mapping domain does to its p2m.
 */
#include "domain/grant_internal.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/string.h"

static struct grant_mapping *mapping_of(const struct grant_table *gt, uint32_t handle)
{
    if (handle / MAPTRACK_PER_FRAME >= gt->nr_maptrack)
        return NULL;
    return &gt->maptrack[handle / MAPTRACK_PER_FRAME][handle % MAPTRACK_PER_FRAME];
}

static bool grow_maptrack(struct grant_table *gt)
{
    uint32_t first = gt->nr_maptrack * MAPTRACK_PER_FRAME;
    struct grant_mapping *m;

    if (gt->nr_maptrack >= gt->max_maptrack_frames)
        return false;
    m = zalloc(MAPTRACK_PER_FRAME * sizeof(*m));
    if (!m)
        return false;
    for (uint32_t i = 0; i < MAPTRACK_PER_FRAME; i++)
        m[i].ref = i + 1 < MAPTRACK_PER_FRAME ? first + i + 1 : gt->maptrack_free;
    gt->maptrack[gt->nr_maptrack++] = m;
    gt->maptrack_free = first;
    return true;
}

/* A new handle, whose mapping belongs to the caller until it sets flags. */
static uint32_t handle_alloc(struct grant_table *gt, struct domain *granter, uint32_t ref)
{
    uint32_t handle = MAPTRACK_NONE;

    spin_lock(&gt->maptrack_lock);
    if (gt->maptrack_free != MAPTRACK_NONE || grow_maptrack(gt)) {
        struct grant_mapping *m;

        handle = gt->maptrack_free;
        m = mapping_of(gt, handle);
        gt->maptrack_free = m->ref;
        *m = (struct grant_mapping){.granter = granter, .ref = ref};
    }
    spin_unlock(&gt->maptrack_lock);
    return handle;
}

static void handle_set_flags(struct grant_table *gt, uint32_t handle, uint16_t flags)
{
    spin_lock(&gt->maptrack_lock);
    mapping_of(gt, handle)->flags = flags;
    spin_unlock(&gt->maptrack_lock);
}

static void handle_free(struct grant_table *gt, uint32_t handle)
{
    struct grant_mapping *m;

    spin_lock(&gt->maptrack_lock);
    m = mapping_of(gt, handle);
    *m = (struct grant_mapping){.ref = gt->maptrack_free};
    gt->maptrack_free = handle;
    spin_unlock(&gt->maptrack_lock);
}

/* Take a complete mapping out of others' reach: copy it, clear its flags. */
static bool handle_claim(struct grant_table *gt, uint32_t handle,
                         struct grant_mapping *out)
{
    struct grant_mapping *m;
    bool found;

    spin_lock(&gt->maptrack_lock);
    m = mapping_of(gt, handle);
    found = m && m->granter && m->flags;
    if (found) {
        *out = *m;
        m->flags = 0;
    }
    spin_unlock(&gt->maptrack_lock);
    return found;
}

static void unpin_mapping(const struct grant_mapping *m)
{
    struct grant_pin pin = {
        .granter = m->granter, .ref = m->ref, .readonly = m->flags & GNTMAP_readonly};

    grant_unpin(&pin);
    domain_put(m->granter);
}

void grant_map(struct domain *d, struct gnttab_map_grant_ref *op)
{
    const uint32_t not_for_us =
        GNTMAP_device_map | GNTMAP_application_map | GNTMAP_contains_pte;
    bool readonly = op->flags & GNTMAP_readonly;
    struct domain *granter;
    struct grant_pin pin;
    uint32_t handle;

    if (!(op->flags & (GNTMAP_device_map | GNTMAP_host_map))) {
        op->status = GNTST_bad_gntref;
        return;
    }
    /* Translated domains have no other way than a guest-physical address. */
    if (op->flags & not_for_us || gpa_to_gfn(op->host_addr).n >> 36) {
        op->status = GNTST_general_error;
        return;
    }
    /* As on Xen, DOMID_SELF is nobody here: who maps his own has to know his number. */
    granter = op->dom == DOMID_SELF ? NULL : domain_get_by_id(op->dom);
    if (!granter) {
        op->status = GNTST_bad_domain;
        return;
    }
    handle = handle_alloc(d->grant, granter, op->ref);
    if (handle == MAPTRACK_NONE) {
        op->status = GNTST_no_device_space;
        goto put;
    }
    op->status = grant_pin(granter, op->ref, d->id, readonly, 0, &pin);
    if (op->status != GNTST_okay)
        goto free;
    frame_get_more(pin.mfn);
    if (p2m_set(d, gpa_to_gfn(op->host_addr), pin.mfn,
                readonly ? P2M_GRANT_RO : P2M_GRANT_RW, ORDER_4K)) {
        frame_put(pin.mfn);
        op->status = GNTST_general_error;
        goto unpin;
    }
    handle_set_flags(d->grant, handle, op->flags & (GNTMAP_host_map | GNTMAP_readonly));
    op->handle = handle;
    op->dev_bus_addr = mfn_to_maddr(pin.mfn);
    return;
unpin:
    grant_unpin(&pin);
free:
    handle_free(d->grant, handle);
put:
    domain_put(granter);
}

/* Is the page of this mapping where the caller says? */
static bool mapped_at(struct domain *d, gfn_t gfn, const struct grant_mapping *m)
{
    struct grant_table *gt = m->granter->grant;
    enum p2m_type type, wanted = m->flags & GNTMAP_readonly ? P2M_GRANT_RO : P2M_GRANT_RW;
    mfn_t there = p2m_lookup(d, gfn, &type, NULL), granted;

    spin_lock(&gt->lock);
    granted = grant_active_entry(gt, m->ref)->mfn;
    spin_unlock(&gt->lock);
    return type == wanted && mfn_valid_number(there) && mfn_eq(there, granted);
}

void grant_unmap(struct domain *d, struct gnttab_unmap_grant_ref *op)
{
    gfn_t gfn = gpa_to_gfn(op->host_addr);
    struct grant_mapping m;

    op->status = GNTST_bad_handle;
    if (!handle_claim(d->grant, op->handle, &m))
        return;
    /* Address 0 is the ABI's "not this one". */
    if (op->host_addr == 0) {
        op->status = GNTST_okay;
        goto keep;
    }
    op->status = GNTST_general_error;
    if (!mapped_at(d, gfn, &m) || p2m_clear(d, gfn, ORDER_4K))
        goto keep;
    handle_free(d->grant, op->handle);
    unpin_mapping(&m);
    op->status = GNTST_okay;
    return;
keep:
    handle_set_flags(d->grant, op->handle, m.flags);
}

void grant_release_mappings(struct domain *d)
{
    struct grant_table *gt = d->grant;
    uint32_t handles = gt ? gt->nr_maptrack * MAPTRACK_PER_FRAME : 0;

    for (uint32_t handle = 0; handle < handles; handle++) {
        struct grant_mapping m;

        /* The p2m entries go with the p2m. */
        if (!handle_claim(gt, handle, &m))
            continue;
        handle_free(gt, handle);
        unpin_mapping(&m);
    }
}

/*
 * Copy
 */

/* One side of a copy while it is in use. */
struct copy_side {
    struct domain *domain; /* referenced */
    bool is_ref;
    struct grant_pin pin;
    mfn_t mfn;
    uint16_t start, length;
};

static int16_t side_get_ref(struct domain *d, uint32_t ref, bool readonly,
                            struct copy_side *s)
{
    int16_t status = grant_pin(s->domain, ref, d->id, readonly,
                               GRANT_SUB_PAGE | GRANT_TRANSITIVE, &s->pin);

    s->mfn = s->pin.mfn;
    s->start = s->pin.start;
    s->length = s->pin.length;
    return status;
}

static int16_t side_get_page(struct domain *d, uint64_t gfn, bool readonly,
                             struct copy_side *s)
{
    enum p2m_type type;

    s->mfn = p2m_get_frame(d, GFN(gfn), !readonly, &type);
    if (!mfn_valid_number(s->mfn))
        return GNTST_bad_page;
    if (!readonly && type == P2M_RAM_LOGDIRTY)
        p2m_mark_dirty(d, GFN(gfn));
    s->start = 0;
    s->length = PAGE_SIZE;
    return GNTST_okay;
}

static int16_t side_get(struct domain *d, const struct gnttab_copy *op, bool source,
                        struct copy_side *s)
{
    domid_t id = source ? op->source.domid : op->dest.domid;
    int16_t status;

    s->is_ref = op->flags & (source ? GNTCOPY_source_gref : GNTCOPY_dest_gref);
    if (id == DOMID_SELF)
        domain_get(s->domain = d);
    else
        s->domain = domain_get_by_id(id);
    if (!s->domain)
        return GNTST_bad_domain;
    if (!s->is_ref && id != DOMID_SELF) { /* others' pages only through a grant */
        domain_put(s->domain);
        s->domain = NULL;
        return GNTST_permission_denied;
    }
    if (s->is_ref)
        status = side_get_ref(d, source ? op->source.u.ref : op->dest.u.ref, source, s);
    else
        status =
            side_get_page(d, source ? op->source.u.gmfn : op->dest.u.gmfn, source, s);
    if (status != GNTST_okay)
        domain_put(s->domain);
    return status;
}

static void side_put(struct copy_side *s)
{
    if (s->is_ref)
        grant_unpin(&s->pin);
    else
        frame_put(s->mfn);
    domain_put(s->domain);
}

static bool side_has(const struct copy_side *s, uint16_t offset, uint16_t len)
{
    return offset >= s->start && offset + len <= s->start + s->length;
}

void grant_copy(struct domain *d, struct gnttab_copy *op)
{
    struct copy_side from, to;

    if (op->source.offset + op->len > PAGE_SIZE ||
        op->dest.offset + op->len > PAGE_SIZE) {
        op->status = GNTST_bad_copy_arg;
        return;
    }
    op->status = side_get(d, op, true, &from);
    if (op->status != GNTST_okay)
        return;
    op->status = side_get(d, op, false, &to);
    if (op->status != GNTST_okay)
        goto put_from;
    if (side_has(&from, op->source.offset, op->len) &&
        side_has(&to, op->dest.offset, op->len))
        memmove((char *)mfn_to_virt(to.mfn) + op->dest.offset,
                (char *)mfn_to_virt(from.mfn) + op->source.offset, op->len);
    else
        op->status = GNTST_general_error;
    side_put(&to);
put_from:
    side_put(&from);
}
