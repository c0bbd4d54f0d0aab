/* memory_op: put pages into a guest-physical map and take them out: the shared info page,
 * grant table frames, other domains' pages (public/memory.h, XENMAPSPACE_*).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/memory.h"
#include "hypercall/pvclock.h"
#include "domain/evtchn.h"
#include "domain/grant.h"
#include "mm/frame.h"
#include <xen/memory.h>

/* One page to place. */
struct placing {
    uint32_t space;
    domid_t foreign;
    uint64_t idx, gfn;
};

/* The page of a space, with the reference that its place in the map will hold. */
static int take_shared_info(struct domain *d, mfn_t *mfn)
{
    *mfn = virt_to_mfn(d->shared_info);
    frame_get_more(*mfn);
    return 0;
}

/* Such a page is in one place only: away from the old one. */
static void leave_old_place(struct domain *d, uint64_t gfn, mfn_t mfn)
{
    enum p2m_type type;
    mfn_t there = p2m_lookup(d, GFN(gfn), &type, NULL);

    if (type == P2M_SHARED && mfn_valid_number(there) && mfn_eq(there, mfn))
        p2m_clear(d, GFN(gfn), ORDER_4K);
}

static int place_shared_info(struct domain *d, const struct placing *p)
{
    struct abi_domain *abi = abi_of(d);
    mfn_t mfn;
    int rc;

    if (p->idx != 0)
        return -EINVAL;
    if (!abi)
        return -ENOMEM;
    take_shared_info(d, &mfn);
    if (abi->shared_info_mapped && abi->shared_info_gfn != p->gfn)
        leave_old_place(d, abi->shared_info_gfn, mfn);
    rc = p2m_set(d, GFN(p->gfn), mfn, P2M_SHARED, ORDER_4K);
    if (rc) {
        frame_put(mfn);
        return rc;
    }
    abi->shared_info_gfn = p->gfn;
    abi->shared_info_mapped = true;
    wallclock_update(d);
    return 0;
}

static int place_grant_frame(struct domain *d, const struct placing *p)
{
    bool status = p->idx & XENMAPIDX_grant_table_status;
    unsigned int index = p->idx & ~XENMAPIDX_grant_table_status;
    uint64_t old;
    mfn_t mfn;
    int rc;

    if (p->idx >> 32)
        return -EINVAL;
    rc = grant_take_frame(d, index, status, &mfn);
    if (rc)
        return rc;
    old = grant_frame_gfn(d, index, status);
    if (old != p->gfn && old != INVALID_GFN.n)
        leave_old_place(d, old, mfn);
    rc = p2m_set(d, GFN(p->gfn), mfn, P2M_SHARED, ORDER_4K);
    if (rc)
        frame_put(mfn);
    else
        grant_frame_placed(d, index, status, p->gfn);
    return rc;
}

int memory_move_page(struct domain *d, uint64_t from, uint64_t to)
{
    enum p2m_type type;
    mfn_t mfn;
    int rc;

    if (from == to)
        return 0;
    mfn = p2m_get_frame(d, GFN(from), true, &type);
    if (!mfn_valid_number(mfn))
        return -EINVAL;
    if (type != P2M_RAM_RW && type != P2M_RAM_LOGDIRTY) {
        frame_put(mfn);
        return -EINVAL;
    }
    rc = p2m_clear(d, GFN(from), ORDER_4K);
    if (!rc)
        rc = p2m_set(d, GFN(to), mfn, P2M_RAM_RW, ORDER_4K);
    if (rc)
        frame_put(mfn);
    return rc;
}

static int place_foreign_page(struct hcall *c, struct domain *d, const struct placing *p)
{
    struct domain *from;
    enum p2m_type type;
    mfn_t mfn;
    int rc;

    if (p->foreign == DOMID_SELF)
        return -ESRCH;
    from = domain_get_by_id(p->foreign);
    if (!from)
        return -ESRCH;
    rc = from == d ? -EINVAL : 0;
    /* The map that changes must be the caller's to change, and the page its to see. */
    if (!rc && !hcall_may(c->v->domain, from, WHO_DM))
        rc = -EPERM;
    if (rc)
        goto out;
    rc = -EINVAL;
    mfn = p2m_get_frame(from, GFN(p->idx), false, &type);
    if (!mfn_valid_number(mfn))
        goto out;
    if (!p2m_is_ram(type) && type != P2M_SHARED) {
        frame_put(mfn);
        goto out;
    }
    /* In log-dirty mode the page stays as clean as it is: a tool that only reads must not
     * make it dirty again, and a device model says what it writes (modified_memory). */
    rc = p2m_set(d, GFN(p->gfn), mfn, P2M_FOREIGN, ORDER_4K);
    if (rc)
        frame_put(mfn);
out:
    domain_put(from);
    return rc;
}

static int place_one(struct hcall *c, struct domain *d, const struct placing *p)
{
    if (p->gfn >> 36)
        return -EINVAL;
    if (domain_is_dying(d))
        return -EINVAL;
    switch (p->space) {
    case XENMAPSPACE_shared_info:
        return place_shared_info(d, p);
    case XENMAPSPACE_grant_table:
        return place_grant_frame(d, p);
    case XENMAPSPACE_gmfn:
    case XENMAPSPACE_gmfn_range:
        return memory_move_page(d, p->idx, p->gfn);
    case XENMAPSPACE_gmfn_foreign:
        return place_foreign_page(c, d, p);
    }
    return -EINVAL;
}

long memory_add_to_physmap(struct hcall *c)
{
    struct compat_add_to_physmap small;
    struct xen_add_to_physmap arg;
    struct placing p = {0};
    struct domain *d;
    unsigned int n = 1;
    long rc;

    if (c->compat) {
        if (copy_from_guest(&small, c->arg[1], sizeof(small)))
            return -EFAULT;
        arg = (struct xen_add_to_physmap){small.domid, small.size, small.space, small.idx,
                                          small.gpfn};
    } else if (copy_from_guest(&arg, c->arg[1], sizeof(arg))) {
        return -EFAULT;
    }
    if (arg.space == XENMAPSPACE_gmfn_foreign) /* which domain? only a batch can say */
        return -ENOSYS;
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    p = (struct placing){.space = arg.space, .idx = arg.idx, .gfn = arg.gpfn};
    if (arg.space == XENMAPSPACE_gmfn_range)
        n = arg.size;
    for (unsigned int i = 0; i < n && !rc; i++) {
        rc = place_one(c, d, &p);
        p.idx++;
        p.gfn++;
        hcall_breathe(i);
    }
    domain_put(d);
    return rc;
}

static int read_batch(struct hcall *c, struct xen_add_to_physmap_batch *b, uint64_t *idxs,
                      uint64_t *gfns, uint64_t *errs)
{
    struct compat_add_to_physmap_batch small;

    if (!c->compat) {
        if (copy_from_guest(b, c->arg[1], sizeof(*b)))
            return -EFAULT;
        *idxs = HANDLE(b->idxs);
        *gfns = HANDLE(b->gpfns);
        *errs = HANDLE(b->errs);
        return 0;
    }
    if (copy_from_guest(&small, c->arg[1], sizeof(small)))
        return -EFAULT;
    b->domid = small.domid;
    b->space = small.space;
    b->size = small.size;
    b->u.foreign_domid = small.extra;
    *idxs = small.idxs;
    *gfns = small.gpfns;
    *errs = small.errs;
    return 0;
}

long memory_add_to_physmap_batch(struct hcall *c)
{
    struct xen_add_to_physmap_batch b;
    uint64_t idxs, gfns, errs;
    struct domain *d;
    long rc;

    if (read_batch(c, &b, &idxs, &gfns, &errs))
        return -EFAULT;
    if (b.space == XENMAPSPACE_gmfn_range ||
        (b.space == XENMAPSPACE_dev_mmio && b.u.res0))
        return -EOPNOTSUPP;
    rc = hcall_target(c, b.domid, &d);
    if (rc)
        return rc;
    for (unsigned int i = 0; i < b.size; i++) {
        struct placing p = {.space = b.space, .foreign = b.u.foreign_domid};
        int32_t err;

        rc = -EFAULT;
        if (hcall_read_long(c, idxs, i, &p.idx) || hcall_read_long(c, gfns, i, &p.gfn))
            break;
        err = place_one(c, d, &p);
        if (copy_to_guest(errs + i * 4ull, &err, sizeof(err)))
            break;
        rc = 0;
        hcall_breathe(i);
    }
    domain_put(d);
    return rc;
}

long memory_remove_from_physmap(struct hcall *c)
{
    struct compat_remove_from_physmap small;
    struct xen_remove_from_physmap arg;
    enum p2m_type type;
    struct domain *d;
    long rc;

    if (c->compat) {
        if (copy_from_guest(&small, c->arg[1], sizeof(small)))
            return -EFAULT;
        arg = (struct xen_remove_from_physmap){small.domid, small.gpfn};
    } else if (copy_from_guest(&arg, c->arg[1], sizeof(arg))) {
        return -EFAULT;
    }
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    p2m_lookup(d, GFN(arg.gpfn), &type, NULL);
    if (p2m_is_ram(type) || type == P2M_POD || type == P2M_FOREIGN || type == P2M_SHARED)
        rc = p2m_clear(d, GFN(arg.gpfn), ORDER_4K);
    else /* a grant mapping goes by unmap_grant_ref only */
        rc = -ENOENT;
    domain_put(d);
    return rc;
}
