/* The form of the table of rights. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_TABLE_H
#define CORBEL_HYPERCALL_TABLE_H

#include "hypercall/abi.h"

#define HCALL_COUNT 64

struct hcall_entry {
    hcall_fn fn;         /* NULL: -ENOSYS */
    const uint8_t *who;  /* enum hcall_who by sub-op */
    uint16_t count;      /* of sub-ops in `who` */
    bool in_memory;      /* the sub-op is in the caller's memory; or there is none */
    uint32_t subop_mask; /* bits of the first argument that are the sub-op */
};

extern const struct hcall_entry hcall_table[HCALL_COUNT];

#endif
