/* Memory type range registers and PAT of a vCPU. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#ifndef CORBEL_HVM_MTRR_H
#define CORBEL_HVM_MTRR_H

#include "hvm/platform.h"

#define VMTRR_VARIABLE 8
#define VMTRR_FIXED    11

#define MEMTYPE_UC 0
#define MEMTYPE_WC 1
#define MEMTYPE_WT 4
#define MEMTYPE_WP 5
#define MEMTYPE_WB 6

#define PAT_RESET 0x0007040600070406ull

struct vmtrr {
    uint64_t def_type;
    uint64_t fixed[VMTRR_FIXED];
    struct {
        uint64_t base, mask;
    } variable[VMTRR_VARIABLE];
};

int vmtrr_init(struct vcpu *v);
void vmtrr_destroy(struct vcpu *v);
void vmtrr_reset(struct vcpu *v);
/* Six or eight bytes of memory types, as the PAT MSR and the fixed ranges hold. */
bool vmtrr_types_valid(uint64_t val, bool pat);

#endif
