/* dm_op: what its files share. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_DM_OP_H
#define CORBEL_HYPERCALL_DM_OP_H

#include "hypercall/abi.h"
#include "cpu/percpu.h"
#include <xen/hvm/dm_op.h>

#define DM_BUFS 2

struct dm_buf {
    uint64_t gva, bytes;
};

/* A call under way: the first buffer is the operation, the second its array. */
struct dm_call {
    struct domain *caller, *d;
    unsigned int nr_bufs;
    struct dm_buf buf[DM_BUFS];
};

/* dm_op_memory.c */
long dm_track_dirty_vram(struct dm_call *m, const xen_dm_op_track_dirty_vram_t *a);
long dm_modified_memory(struct dm_call *m, xen_dm_op_modified_memory_t *a);
long dm_set_mem_type(struct dm_call *m, const xen_dm_op_set_mem_type_t *a);
long dm_relocate_memory(struct dm_call *m, const xen_dm_op_relocate_memory_t *a);
long dm_pin_cacheattr(struct dm_call *m, const xen_dm_op_pin_memory_cacheattr_t *a);

#endif
