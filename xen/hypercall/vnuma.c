/* Virtual NUMA topology (public/domctl.h, memory.h). SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "hypercall/vnuma.h"
#include "mm/frame.h"
#include "lib/string.h"
#include <xen/domctl.h>
#include <xen/memory.h>

#define NODES_MAX  64
#define RANGES_MAX 128

struct vnuma {
    uint32_t nr_nodes, nr_ranges, nr_vcpus;
    uint32_t *distance;      /* nr_nodes * nr_nodes */
    uint32_t *vcpu_to_vnode; /* nr_vcpus */
    struct xen_vmemrange *ranges;
};

void vnuma_free(struct vnuma *n)
{
    if (!n)
        return;
    zfree(n->distance);
    zfree(n->vcpu_to_vnode);
    zfree(n->ranges);
    zfree(n);
}

static bool ranges_ok(const struct vnuma *n)
{
    for (uint32_t i = 0; i < n->nr_ranges; i++)
        if (n->ranges[i].flags || n->ranges[i].nid >= n->nr_nodes)
            return false;
    for (uint32_t i = 0; i < n->nr_vcpus; i++)
        if (n->vcpu_to_vnode[i] >= n->nr_nodes)
            return false;
    return true;
}

int vnuma_set(struct domain *d, const struct xen_domctl_vnuma *arg)
{
    size_t distances = (size_t)arg->nr_vnodes * arg->nr_vnodes * sizeof(uint32_t);
    struct abi_domain *abi = abi_of(d);
    struct vnuma *n, *old = NULL;
    int rc;

    if (arg->pad || arg->nr_vnodes == 0 || arg->nr_vnodes > NODES_MAX ||
        arg->nr_vmemranges < arg->nr_vnodes || arg->nr_vmemranges > RANGES_MAX ||
        arg->nr_vcpus != d->nr_vcpus)
        return -EINVAL;
    n = zalloc(sizeof(*n));
    if (!n || !abi) {
        zfree(n);
        return -ENOMEM;
    }
    n->nr_nodes = arg->nr_vnodes;
    n->nr_ranges = arg->nr_vmemranges;
    n->nr_vcpus = arg->nr_vcpus;
    n->distance = zalloc(distances);
    n->vcpu_to_vnode = zalloc(n->nr_vcpus * sizeof(uint32_t));
    n->ranges = zalloc(n->nr_ranges * sizeof(n->ranges[0]));
    rc = -ENOMEM;
    if (!n->distance || !n->vcpu_to_vnode || !n->ranges)
        goto fail;
    rc = -EFAULT;
    if (copy_from_guest(n->distance, HANDLE(arg->vdistance), distances) ||
        copy_from_guest(n->vcpu_to_vnode, HANDLE(arg->vcpu_to_vnode),
                        n->nr_vcpus * sizeof(uint32_t)) ||
        copy_from_guest(n->ranges, HANDLE(arg->vmemrange),
                        n->nr_ranges * sizeof(n->ranges[0])))
        goto fail;
    rc = -EINVAL;
    if (!ranges_ok(n))
        goto fail;
    rc = -EBUSY; /* once only: the guest may be reading it */
    if (!__atomic_compare_exchange_n(&abi->vnuma, &old, n, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        goto fail;
    return 0;
fail:
    vnuma_free(n);
    return rc;
}

/* The ABI's unions of a handle and 64 bits: a 32-bit caller's is the lower half. */
static uint64_t handle_of(uint64_t wide, bool compat)
{
    return compat ? (uint32_t)wide : wide;
}

static int copy_out(const struct vnuma *n, const struct xen_vnuma_topology_info *arg,
                    bool compat)
{
    if (copy_to_guest(handle_of(arg->vdistance.pad, compat), n->distance,
                      (size_t)n->nr_nodes * n->nr_nodes * sizeof(uint32_t)) ||
        copy_to_guest(handle_of(arg->vcpu_to_vnode.pad, compat), n->vcpu_to_vnode,
                      n->nr_vcpus * sizeof(uint32_t)) ||
        copy_to_guest(handle_of(arg->vmemrange.pad, compat), n->ranges,
                      n->nr_ranges * sizeof(n->ranges[0])))
        return -EFAULT;
    return 0;
}

int vnuma_get(struct domain *d, struct xen_vnuma_topology_info *arg, bool compat)
{
    uint32_t room_nodes = arg->nr_vnodes, room_vcpus = arg->nr_vcpus,
             room_ranges = arg->nr_vmemranges;
    const struct vnuma *n;
    int rc = -EOPNOTSUPP;

    n = d->abi ? __atomic_load_n(&d->abi->vnuma, __ATOMIC_ACQUIRE) : NULL;
    if (!n)
        return rc;
    arg->nr_vnodes = n->nr_nodes;
    arg->nr_vcpus = n->nr_vcpus;
    arg->nr_vmemranges = n->nr_ranges;
    if (room_nodes < n->nr_nodes || room_vcpus < n->nr_vcpus ||
        room_ranges < n->nr_ranges)
        return -ENOBUFS;
    return copy_out(n, arg, compat);
}
