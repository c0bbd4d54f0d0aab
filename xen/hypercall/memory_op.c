/* memory_op: how much memory a domain has (public/memory.h). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * populate_physmap works extent by extent and returns how many it did, as the ABI wants
 * it; between extents it lets others run.
 *
 * Left out: paging out, page sharing, memory exchange (a matter of PV
 * guests), NUMA placement (the flags are taken and ignored).
 */
#include "hypercall/memory.h"
#include "mm/frame.h"
#include "mm/pod.h"
#include "domain/sched.h"
#include "lib/printk.h"
#include <xen/memory.h>

#define ORDER_MAX_GUEST 9 /* of an extent that a guest may ask for itself */
#define ORDER_MAX_DOM0  18
/* The first argument's upper bits: extents done before a continuation. */
#define MEMOP_START_SHIFT 6

/* An argument of increase/decrease_reservation, populate_physmap, claim_pages. */
struct reservation {
    uint64_t extents, nr;
    unsigned int order, flags;
    domid_t domid;
};

static int read_reservation(struct hcall *c, struct reservation *r)
{
    struct compat_memory_reservation small;
    struct xen_memory_reservation arg;

    if (c->compat) {
        if (copy_from_guest(&small, c->arg[1], sizeof(small)))
            return -EFAULT;
        *r = (struct reservation){small.extent_start, small.nr_extents,
                                  small.extent_order, small.mem_flags, small.domid};
        return 0;
    }
    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    *r = (struct reservation){HANDLE(arg.extent_start), arg.nr_extents, arg.extent_order,
                              arg.mem_flags, arg.domid};
    return 0;
}

/* Map an allocated extent, in the largest pages that its place allows. What could not be
 * mapped is freed. */
static int map_extent(struct domain *d, uint64_t gfn, mfn_t mfn, unsigned int order)
{
    unsigned int step = order;
    uint64_t done = 0;
    int rc = 0;

    if ((order != ORDER_2M && order != ORDER_1G) || gfn & (BIT(order) - 1))
        step = order >= ORDER_2M && !(gfn & (BIT(ORDER_2M) - 1)) ? ORDER_2M : ORDER_4K;
    for (; done < BIT(order); done += BIT(step)) {
        rc = p2m_set(d, GFN(gfn + done), mfn_add(mfn, done), P2M_RAM_RW, step);
        if (rc)
            break;
        if (step != order && !(done & 0x1ff))
            preempt_point();
    }
    for (; done < BIT(order); done++)
        frame_put(mfn_add(mfn, done));
    return rc;
}

static bool populate_one(struct hcall *c, struct domain *d, const struct reservation *r,
                         uint64_t i)
{
    unsigned int bits = XENMEMF_get_address_bits(r->flags);
    uint64_t gfn;
    mfn_t mfn;

    if (hcall_read_long(c, r->extents, i, &gfn) || gfn + BIT(r->order) < gfn ||
        (gfn + BIT(r->order) - 1) >> 36)
        return false;
    if (r->flags & XENMEMF_populate_on_demand)
        return !pod_mark(d, GFN(gfn), r->order);
    mfn = frame_alloc_domain(d, r->order, bits);
    if (!mfn_valid_number(mfn))
        return false;
    if (map_extent(d, gfn, mfn, r->order))
        return false;
    /* Told as frame numbers of the guest: it is translated. */
    return true;
}

static long populate(struct hcall *c, struct domain *d, const struct reservation *r)
{
    unsigned int max_order =
        c->v->domain->is_privileged ? ORDER_MAX_DOM0 : ORDER_MAX_GUEST;
    uint64_t i;

    /* Nobody makes his own memory one on demand. */
    if (r->order > max_order ||
        (r->flags & XENMEMF_populate_on_demand && d == c->v->domain))
        return c->arg[0] >> MEMOP_START_SHIFT;
    for (i = c->arg[0] >> MEMOP_START_SHIFT; i < r->nr; i++) {
        if (domain_is_dying(d) || domain_is_dying(c->v->domain))
            break;
        if (!populate_one(c, d, r, i))
            break;
        if (r->order >= ORDER_2M)
            preempt_point();
        else
            hcall_breathe(i);
    }
    return i;
}

/* Give up one page of the guest's own RAM. */
static int release_page(struct domain *d, uint64_t gfn)
{
    enum p2m_type type;
    mfn_t mfn;

    if (READ_ONCE(d->p2m.pod.entries) && pod_give_up(d, GFN(gfn)))
        return 0;
    mfn = p2m_lookup(d, GFN(gfn), &type, NULL);
    if (!mfn_valid_number(mfn) || !p2m_is_ram(type))
        return -ENOENT;
    return p2m_clear(d, GFN(gfn), ORDER_4K);
}

static bool release_extent(struct domain *d, uint64_t gfn, unsigned int order)
{
    enum p2m_type type;
    unsigned int leaf;

    /* Whole large pages go as one. */
    if ((order == ORDER_2M || order == ORDER_1G) && !(gfn & (BIT(order) - 1))) {
        p2m_lookup(d, GFN(gfn), &type, &leaf);
        if (leaf == order &&
            (type == P2M_POD || (p2m_is_ram(type) && !READ_ONCE(d->p2m.pod.entries))))
            return !p2m_clear(d, GFN(gfn), order);
    }
    for (uint64_t i = 0; i < BIT(order); i++) {
        if (release_page(d, gfn + i))
            return false;
        hcall_breathe(i);
    }
    return true;
}

static long decrease(struct hcall *c, struct domain *d, const struct reservation *r)
{
    unsigned int max_order =
        c->v->domain->is_privileged ? ORDER_MAX_DOM0 : ORDER_MAX_GUEST;
    uint64_t i, gfn;

    if (r->order > max_order)
        return c->arg[0] >> MEMOP_START_SHIFT;
    for (i = c->arg[0] >> MEMOP_START_SHIFT; i < r->nr; i++) {
        if (domain_is_dying(c->v->domain) || hcall_read_long(c, r->extents, i, &gfn) ||
            gfn >> 36 || !release_extent(d, gfn, r->order))
            break;
        hcall_breathe(i);
    }
    pod_trim(d);
    return i;
}

static long reservation_op(struct hcall *c, uint32_t cmd)
{
    struct reservation r;
    struct domain *d;
    long rc;

    /* The ABI's answer is the number of extents done, whatever is wrong. */
    rc = c->arg[0] >> MEMOP_START_SHIFT;
    if (read_reservation(c, &r) || r.nr > INT64_MAX >> (MEMOP_START_SHIFT + 1) ||
        hcall_target(c, r.domid, &d))
        return rc;
    switch (cmd) {
    case XENMEM_populate_physmap:
        rc = populate(c, d, &r);
        break;
    case XENMEM_decrease_reservation:
        rc = decrease(c, d, &r);
        break;
    default: /* increase: frames without a place are nothing for a translated guest */
        break;
    }
    domain_put(d);
    return rc;
}

/* current_reservation and the like: the argument is a domain id. */
static long domain_number(struct hcall *c, uint32_t cmd)
{
    struct domain *d;
    domid_t id;
    long rc;

    if (copy_from_guest(&id, c->arg[1], sizeof(id)))
        return -EFAULT;
    rc = hcall_target(c, id, &d);
    if (rc)
        return rc;
    switch (cmd) {
    case XENMEM_current_reservation:
        rc = READ_ONCE(d->tot_pages);
        break;
    case XENMEM_maximum_reservation:
        rc = min(READ_ONCE(d->max_pages), (uint64_t)UINT32_MAX);
        break;
    default:
        rc = READ_ONCE(d->p2m.max_gfn);
    }
    domain_put(d);
    return rc;
}

/* A promise that these pages can be had, asked for before a domain is built. It is
 * checked but not kept: who builds two domains at once may get -ENOMEM later. */
static long claim(struct hcall *c)
{
    struct reservation r;
    struct domain *d;
    long rc;

    if (read_reservation(c, &r))
        return -EFAULT;
    if (r.extents || r.order || r.flags)
        return -EINVAL;
    rc = hcall_target(c, r.domid, &d);
    if (rc)
        return rc;
    if (r.nr) {
        uint64_t have = READ_ONCE(d->tot_pages);

        if (r.nr > d->max_pages || r.nr < have)
            rc = -EINVAL;
        else if (r.nr - have > frames_free())
            rc = -ENOMEM;
    }
    domain_put(d);
    return rc;
}

/* set_pod_target, get_pod_target: how much memory a domain is to have, of which it does
 * not know; the answer is what it has. */
static long pod_target(struct hcall *c, bool set)
{
    struct xen_pod_target arg;
    struct domain *d;
    long rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    if (set)
        rc = pod_set_target(d, arg.target_pages);
    arg.tot_pages = READ_ONCE(d->tot_pages);
    arg.pod_cache_pages = READ_ONCE(d->p2m.pod.cached);
    arg.pod_entries = READ_ONCE(d->p2m.pod.entries);
    domain_put(d);
    return rc ? rc : copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

/* No ring to a monitor can be set up. */
static long access_op(struct hcall *c)
{
    struct xen_mem_access_op arg;
    struct domain *d;
    long rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    rc = hcall_remote(c, arg.domid, &d);
    if (rc)
        return rc;
    domain_put(d);
    return -ENODEV;
}

long do_memory_op(struct hcall *c)
{
    uint32_t cmd = c->arg[0] & MEMOP_SUBOP;

    switch (cmd) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return reservation_op(c, cmd);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return domain_number(c, cmd);
    case XENMEM_maximum_ram_page:
        return max_mfn;
    case XENMEM_add_to_physmap:
        return memory_add_to_physmap(c);
    case XENMEM_add_to_physmap_batch:
        return memory_add_to_physmap_batch(c);
    case XENMEM_remove_from_physmap:
        return memory_remove_from_physmap(c);
    case XENMEM_memory_map:
        return memory_map_get(c);
    case XENMEM_set_memory_map:
        return memory_map_set(c);
    case XENMEM_acquire_resource:
        return memory_acquire_resource(c);
    case XENMEM_claim_pages:
        return claim(c);
    case XENMEM_set_pod_target:
        return pod_target(c, true);
    case XENMEM_get_pod_target:
        return pod_target(c, false);
    case XENMEM_get_vnumainfo:
        return memory_vnuma_get(c);
    case XENMEM_reserved_device_memory_map:
        return memory_reserved_map(c);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0; /* nothing is shared */
    case XENMEM_exchange:
        return -EOPNOTSUPP;
    case XENMEM_access_op:
        return access_op(c);
    }
    return -ENOSYS;
}
