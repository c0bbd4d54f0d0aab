/* memory_op: map a resource of another domain that is not in its guest-physical map: the
 * pages of an ioreq server, the grant table (public/memory.h, XENMEM_acquire_resource).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/memory.h"
#include "domain/grant.h"
#include "hvm/ioreq.h"
#include "mm/frame.h"
#include <xen/hvm/ioreq.h>
#include <xen/memory.h>

#define SLOTS_PER_IOREQ_PAGE (PAGE_SIZE / sizeof(struct ioreq))

/* How many frames it has; 0: no such resource. */
static unsigned int resource_frames(const struct domain *d, uint32_t type, uint32_t id)
{
    switch (type) {
    case XENMEM_resource_ioreq_server:
        return 1 + DIV_ROUND_UP(d->nr_vcpus, (unsigned int)SLOTS_PER_IOREQ_PAGE);
    case XENMEM_resource_grant_table:
        return id <= XENMEM_resource_grant_table_id_status
                   ? grant_max_frames(d, id == XENMEM_resource_grant_table_id_status)
                   : 0;
    }
    return 0;
}

/* A frame of it, with a reference. */
static int resource_frame(struct hcall *c, struct domain *d, uint32_t type, uint32_t id,
                          unsigned int index, mfn_t *mfn)
{
    int rc;

    if (type == XENMEM_resource_grant_table)
        return grant_take_frame(d, index, id == XENMEM_resource_grant_table_id_status,
                                mfn);
    rc = ioreq_server_get_frame(d, c->v->domain, id, index, mfn);
    if (!rc && !frame_get(*mfn, d)) /* the server went meanwhile */
        rc = -EINVAL;
    return rc;
}

static long map_frames(struct hcall *c, struct domain *d,
                       const struct xen_mem_acquire_resource *arg, uint64_t list)
{
    for (uint32_t i = 0; i < arg->nr_frames; i++) {
        uint64_t gfn;
        mfn_t mfn;
        int rc;

        if (hcall_read_long(c, list, i, &gfn))
            return -EFAULT;
        if (gfn >> 36)
            return -EINVAL;
        rc = resource_frame(c, d, arg->type, arg->id, arg->frame + i, &mfn);
        if (rc)
            return rc;
        rc = p2m_set(c->v->domain, GFN(gfn), mfn, P2M_FOREIGN, ORDER_4K);
        if (rc) {
            frame_put(mfn);
            return i ? -EIO : rc; /* the caller undoes what is done */
        }
        hcall_breathe(i);
    }
    return 0;
}

long memory_acquire_resource(struct hcall *c)
{
    const size_t list_at = offsetof(struct xen_mem_acquire_resource, frame_list);
    struct xen_mem_acquire_resource arg = {0};
    unsigned int frames;
    struct domain *d;
    uint64_t list = 0;
    long rc;

    /* Both layouts are the same up to the handle. */
    if (copy_from_guest(&arg, c->arg[1], list_at) ||
        copy_from_guest(&list, c->arg[1] + list_at, c->compat ? 4 : 8))
        return -EFAULT;
    if (arg.pad)
        return -EINVAL;
    rc = hcall_remote(c, arg.domid, &d);
    if (rc)
        return rc;
    frames = resource_frames(d, arg.type, arg.id);
    rc = -EOPNOTSUPP;
    if (frames == 0)
        goto out;
    if (!list) { /* how many are there? */
        rc = -EINVAL;
        if (arg.nr_frames)
            goto out;
        rc = copy_to_guest(c->arg[1] +
                               offsetof(struct xen_mem_acquire_resource, nr_frames),
                           &frames, sizeof(frames));
        goto out;
    }
    rc = -EINVAL;
    if (arg.frame >= frames || arg.nr_frames > frames - arg.frame)
        goto out;
    rc = map_frames(c, d, &arg, list);
out:
    domain_put(d);
    return rc;
}
