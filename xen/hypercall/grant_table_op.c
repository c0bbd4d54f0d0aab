/* grant_table_op: arguments of domain/grant*.c (public/grant_table.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As on stock Xen, HVM guests have no transfer, unmap_and_replace, get_status_frames
 * (they map status frames by XENMEM_add_to_physmap) and cache_flush.
 */
#include "hypercall/abi.h"
#include "domain/grant.h"
#include <xen/grant_table.h>

/* 32-bit callers' layouts, where they differ. */
struct compat_gnttab_setup_table {
    domid_t dom;
    uint32_t nr_frames;
    int16_t status;
    uint32_t frame_list;
};
struct compat_gnttab_copy {
    struct {
        uint32_t u; /* ref or gmfn */
        domid_t domid;
        uint16_t offset;
    } source, dest;
    uint16_t len, flags;
    int16_t status;
};

static long map(struct hcall *c, uint64_t at)
{
    struct gnttab_map_grant_ref op;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    grant_map(c->v->domain, &op);
    if (!copy_to_guest(at, &op, sizeof(op)))
        return 0;
    if (op.status == GNTST_okay) { /* a handle that the caller does not know of */
        struct gnttab_unmap_grant_ref undo = {.host_addr = op.host_addr,
                                              .handle = op.handle};

        grant_unmap(c->v->domain, &undo);
    }
    return -EFAULT;
}

static long unmap(struct hcall *c, uint64_t at)
{
    struct gnttab_unmap_grant_ref op;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    grant_unmap(c->v->domain, &op);
    return copy_to_guest(at + offsetof(struct gnttab_unmap_grant_ref, status), &op.status,
                         sizeof(op.status));
}

static long copy(struct hcall *c, uint64_t at)
{
    struct compat_gnttab_copy small;
    struct gnttab_copy op = {0};
    size_t status_at = c->compat ? offsetof(struct compat_gnttab_copy, status)
                                 : offsetof(struct gnttab_copy, status);

    if (!c->compat) {
        if (copy_from_guest(&op, at, sizeof(op)))
            return -EFAULT;
    } else {
        if (copy_from_guest(&small, at, sizeof(small)))
            return -EFAULT;
        op.source.u.gmfn = small.source.u;
        op.source.domid = small.source.domid;
        op.source.offset = small.source.offset;
        op.dest.u.gmfn = small.dest.u;
        op.dest.domid = small.dest.domid;
        op.dest.offset = small.dest.offset;
        op.len = small.len;
        op.flags = small.flags;
    }
    grant_copy(c->v->domain, &op);
    return copy_to_guest(at + status_at, &op.status, sizeof(op.status));
}

static long swap(struct hcall *c, uint64_t at)
{
    struct gnttab_swap_grant_ref op;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    op.status = grant_swap(c->v->domain, op.ref_a, op.ref_b);
    return copy_to_guest(at + offsetof(struct gnttab_swap_grant_ref, status), &op.status,
                         sizeof(op.status));
}

/* The domain, or what to report of it. */
static int16_t target(struct hcall *c, domid_t id, struct domain **d)
{
    switch (hcall_target(c, id, d)) {
    case 0:
        return GNTST_okay;
    case -EPERM:
        return GNTST_permission_denied;
    default:
        return GNTST_bad_domain;
    }
}

static int16_t fill_frame_list(struct hcall *c, struct domain *d, uint32_t n,
                               uint64_t list)
{
    if (n > grant_max_frames(d, false) ||
        grant_grow(d, max(n, grant_nr_frames(d, false))))
        return GNTST_general_error;
    for (uint32_t i = 0; i < n; i++)
        if (hcall_write_long(c, list, i, grant_frame_gfn(d, i, false)))
            return GNTST_bad_virt_addr;
    return GNTST_okay;
}

static long setup_table(struct hcall *c, uint64_t at, uint32_t count)
{
    struct compat_gnttab_setup_table small;
    struct gnttab_setup_table op;
    struct domain *d;
    uint64_t list;

    if (count != 1)
        return -EINVAL;
    if (c->compat) {
        if (copy_from_guest(&small, at, sizeof(small)))
            return -EFAULT;
        op.dom = small.dom;
        op.nr_frames = small.nr_frames;
        list = small.frame_list;
    } else {
        if (copy_from_guest(&op, at, sizeof(op)))
            return -EFAULT;
        list = HANDLE(op.frame_list);
    }
    op.status = target(c, op.dom, &d);
    if (op.status == GNTST_okay) {
        op.status = fill_frame_list(c, d, op.nr_frames, list);
        domain_put(d);
    }
    return copy_to_guest(at + offsetof(struct gnttab_setup_table, status), &op.status,
                         sizeof(op.status));
}

static long query_size(struct hcall *c, uint64_t at, uint32_t count)
{
    struct gnttab_query_size op;
    struct domain *d;

    if (count != 1)
        return -EINVAL;
    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    op.status = target(c, op.dom, &d);
    if (op.status == GNTST_okay) {
        op.nr_frames = grant_nr_frames(d, false);
        op.max_nr_frames = grant_max_frames(d, false);
        domain_put(d);
    }
    return copy_to_guest(at, &op, sizeof(op));
}

static long set_version(struct hcall *c, uint64_t at)
{
    struct gnttab_set_version op;
    long rc;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    rc = grant_set_version(c->v->domain, op.version);
    op.version = grant_version(c->v->domain);
    if (copy_to_guest(at, &op, sizeof(op)))
        return -EFAULT;
    return rc;
}

static long get_version(struct hcall *c, uint64_t at)
{
    struct gnttab_get_version op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    rc = hcall_target(c, op.dom, &d);
    if (rc)
        return rc;
    op.version = grant_version(d);
    domain_put(d);
    return copy_to_guest(at, &op, sizeof(op));
}

long do_grant_table_op(struct hcall *c)
{
    static const struct {
        long (*fn)(struct hcall *c, uint64_t at);
        uint8_t bytes, compat_bytes; /* of an element of the array */
    } each[] = {
        [GNTTABOP_map_grant_ref] = {map, sizeof(struct gnttab_map_grant_ref),
                                    sizeof(struct gnttab_map_grant_ref)},
        [GNTTABOP_unmap_grant_ref] = {unmap, sizeof(struct gnttab_unmap_grant_ref),
                                      sizeof(struct gnttab_unmap_grant_ref)},
        [GNTTABOP_copy] = {copy, sizeof(struct gnttab_copy),
                           sizeof(struct compat_gnttab_copy)},
        [GNTTABOP_swap_grant_ref] = {swap, sizeof(struct gnttab_swap_grant_ref),
                                     sizeof(struct gnttab_swap_grant_ref)},
    };
    uint32_t cmd = c->arg[0] & GNTOP_SUBOP, count = c->arg[2];
    uint64_t at = c->arg[1];

    if ((int32_t)count < 0)
        return -EINVAL;
    switch (cmd) {
    case GNTTABOP_setup_table:
        return setup_table(c, at, count);
    case GNTTABOP_query_size:
        return query_size(c, at, count);
    case GNTTABOP_set_version:
        return set_version(c, at);
    case GNTTABOP_get_version:
        return get_version(c, at);
    }
    if (cmd >= ARRAY_SIZE(each) || !each[cmd].fn)
        return -ENOSYS;
    for (uint32_t i = 0; i < count; i++) {
        long rc = each[cmd].fn(c, at);

        if (rc)
            return rc;
        at += c->compat ? each[cmd].compat_bytes : each[cmd].bytes;
        hcall_breathe(i);
    }
    return 0;
}
