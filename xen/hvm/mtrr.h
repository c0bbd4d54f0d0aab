/* Memory type range registers and PAT of a vCPU. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#ifndef CORBEL_HVM_MTRR_H
#define CORBEL_HVM_MTRR_H

#include "hvm/platform.h"

#define VMTRR_VARIABLE 8  /* that a guest has */
#define MTRR_VARIABLE  16 /* that a machine may have */
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
    } variable[MTRR_VARIABLE];
};

int vmtrr_init(struct vcpu *v);
void vmtrr_destroy(struct vcpu *v);
void vmtrr_reset(struct vcpu *v);
/* Type of an address; MTRRs of a guest or of the machine. */
uint8_t mtrr_memtype(const struct vmtrr *m, uint64_t gpa);
/* Six or eight bytes of memory types, as the PAT MSR and the fixed ranges hold. */
bool vmtrr_types_valid(uint64_t val, bool pat);

#endif
