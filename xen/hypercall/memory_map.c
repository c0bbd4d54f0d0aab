/* memory_op: what a guest is told about its memory: the E820 map, virtual NUMA, regions
 * reserved for devices (public/memory.h). SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/memory.h"
#include "hypercall/vnuma.h"
#include "boot/boot.h"
#include "mm/frame.h"
#include "lib/string.h"
#include <xen/memory.h>

#define MAP_ENTRIES_MAX 1024

_Static_assert(sizeof(struct e820_entry) == 20, "the ABI's E820 entry");

static int read_map_arg(struct hcall *c, uint64_t at, uint32_t *nr, uint64_t *buffer)
{
    struct compat_memory_map small;
    struct xen_memory_map arg;

    if (c->compat) {
        if (copy_from_guest(&small, at, sizeof(small)))
            return -EFAULT;
        *nr = small.nr_entries;
        *buffer = small.buffer;
        return 0;
    }
    if (copy_from_guest(&arg, at, sizeof(arg)))
        return -EFAULT;
    *nr = arg.nr_entries;
    *buffer = HANDLE(arg.buffer);
    return 0;
}

long memory_map_get(struct hcall *c)
{
    struct domain *d = c->v->domain;
    uint64_t buffer;
    uint32_t room, nr;
    uint8_t *copy;
    long rc = 0;

    if (read_map_arg(c, c->arg[1], &room, &buffer))
        return -EFAULT;
    copy = zalloc(MAP_ENTRIES_MAX * sizeof(struct e820_entry));
    if (!copy)
        return -ENOMEM;
    spin_lock(&d->lock);
    nr = d->memory_map_entries;
    if (!d->memory_map || nr == 0)
        rc = -ENOSYS;
    nr = min(nr, room); /* what does not fit is left out */
    if (!rc)
        memcpy(copy, d->memory_map, nr * sizeof(struct e820_entry));
    spin_unlock(&d->lock);
    if (!rc)
        rc = copy_to_guest(buffer, copy, nr * sizeof(struct e820_entry));
    if (!rc)
        rc = copy_to_guest(c->arg[1], &nr, sizeof(nr)); /* first in both layouts */
    zfree(copy);
    return rc;
}

long memory_map_set(struct hcall *c)
{
    uint64_t map_at =
        c->arg[1] + (c->compat ? offsetof(struct compat_foreign_memory_map, map)
                               : offsetof(struct xen_foreign_memory_map, map));
    struct domain *d;
    uint64_t buffer;
    uint32_t nr;
    uint8_t *new, *old;
    domid_t id;
    long rc;

    if (copy_from_guest(&id, c->arg[1], sizeof(id)) ||
        read_map_arg(c, map_at, &nr, &buffer))
        return -EFAULT;
    if (nr > MAP_ENTRIES_MAX)
        return -EINVAL;
    rc = hcall_target(c, id, &d);
    if (rc)
        return rc;
    new = zalloc(nr ? nr * sizeof(struct e820_entry) : 1);
    rc = -ENOMEM;
    if (!new)
        goto out;
    rc = -EFAULT;
    old = new;
    if (copy_from_guest(new, buffer, nr * sizeof(struct e820_entry)))
        goto free;
    spin_lock(&d->lock);
    old = d->memory_map;
    d->memory_map = new;
    d->memory_map_entries = nr;
    spin_unlock(&d->lock);
    rc = 0;
free:
    zfree(old);
out:
    domain_put(d);
    return rc;
}

/* No device of the machine has memory reserved by its firmware for DMA, as far as we
 * know: there is no IOMMU driver that would have read of it. */
long memory_reserved_map(struct hcall *c)
{
    const uint32_t none = 0;
    uint32_t flags;

    if (copy_from_guest(&flags, c->arg[1], sizeof(flags)))
        return -EFAULT;
    if (flags & ~(uint32_t)XENMEM_RDM_ALL)
        return -EINVAL;
    return copy_to_guest(c->arg[1] +
                             offsetof(struct xen_reserved_device_memory_map, nr_entries),
                         &none, sizeof(none));
}

long memory_vnuma_get(struct hcall *c)
{
    struct xen_vnuma_topology_info arg;
    struct domain *d;
    long rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.pad)
        return -EINVAL;
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    rc = vnuma_get(d, &arg, c->compat);
    domain_put(d);
    if (rc && rc != -ENOBUFS)
        return rc;
    return copy_to_guest(c->arg[1], &arg, sizeof(arg)) ? -EFAULT : rc;
}
