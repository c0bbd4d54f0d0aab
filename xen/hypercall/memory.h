/* memory_op: what its files share. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_MEMORY_H
#define CORBEL_HYPERCALL_MEMORY_H

#include "hypercall/abi.h"

/* memory_physmap.c: what is where in a guest-physical map */
long memory_add_to_physmap(struct hcall *c);
long memory_add_to_physmap_batch(struct hcall *c);
long memory_remove_from_physmap(struct hcall *c);
/* Move a page of d's RAM; what was at `to` goes. -EINVAL: no RAM at `from`. */
int memory_move_page(struct domain *d, uint64_t from, uint64_t to);
/* memory_map.c: what a guest is told about its memory */
long memory_map_get(struct hcall *c);
long memory_map_set(struct hcall *c);
long memory_vnuma_get(struct hcall *c);
long memory_reserved_map(struct hcall *c);
/* memory_resource.c */
long memory_acquire_resource(struct hcall *c);

/* The wider and the narrow form of an argument differ only in longs and handles: the
 * compat structs below are the 32-bit callers' (public/memory.h with 4-byte longs). */
struct compat_memory_reservation {
    uint32_t extent_start, nr_extents, extent_order, mem_flags;
    domid_t domid;
};
struct compat_add_to_physmap {
    domid_t domid;
    uint16_t size;
    uint32_t space, idx, gpfn;
};
struct compat_add_to_physmap_batch {
    domid_t domid;
    uint16_t space, size, extra;
    uint32_t idxs, gpfns, errs;
};
struct compat_remove_from_physmap {
    domid_t domid;
    uint32_t gpfn;
};
struct compat_memory_map {
    uint32_t nr_entries, buffer;
};
struct compat_foreign_memory_map {
    domid_t domid;
    struct compat_memory_map map;
};

#endif
