/* MTRRs and PAT: what the guest writes, and the memory type that follows from it.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM vol 3, 12.11 and 12.12; AMD APM vol 2, 7.7 and 7.8. A guest's MTRRs are kept
 * and read back but have no effect: nested tables give its RAM the type write-back and
 * the machine's MMIO the machine's type, and the guest's PAT refines both.
 */
#include "hvm/mtrr.h"
#include "hvm/cpuid.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"

#define MSR_MTRRCAP      0xfe
#define MSR_PHYSBASE0    0x200
#define MSR_FIX64K       0x250
#define MSR_FIX16K_80000 0x258
#define MSR_FIX16K_A0000 0x259
#define MSR_FIX4K_C0000  0x268
#define MSR_PAT          0x277
#define MSR_DEF_TYPE     0x2ff

#define CAP_FIXED       0x100u
#define CAP_WC          0x400u
#define DEF_TYPE_ENABLE 0x800u
#define DEF_TYPE_FIXED  0x400u
#define MASK_VALID      0x800u

static inline bool valid_type(uint8_t type, bool pat)
{
    return type == MEMTYPE_UC || type == MEMTYPE_WC ||
           (type >= MEMTYPE_WT && type <= MEMTYPE_WB) || (pat && type == 7);
}

bool vmtrr_types_valid(uint64_t val, bool pat)
{
    for (unsigned int i = 0; i < 8; i++)
        if (!valid_type(val >> i * 8, pat))
            return false;
    return true;
}

/* Number of a fixed-range register, or -1. */
static int fixed_index(uint32_t msr)
{
    if (msr == MSR_FIX64K)
        return 0;
    if (msr == MSR_FIX16K_80000 || msr == MSR_FIX16K_A0000)
        return 1 + (msr - MSR_FIX16K_80000);
    if (msr - MSR_FIX4K_C0000 < 8)
        return 3 + (msr - MSR_FIX4K_C0000);
    return -1;
}

int vmtrr_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    const struct vmtrr *m = v->hvm->mtrr;
    unsigned int n = msr - MSR_PHYSBASE0;
    int fixed = fixed_index(msr);

    if (n < 2 * VMTRR_VARIABLE)
        *val = n & 1 ? m->variable[n / 2].mask : m->variable[n / 2].base;
    else if (fixed >= 0)
        *val = m->fixed[fixed];
    else if (msr == MSR_DEF_TYPE)
        *val = m->def_type;
    else if (msr == MSR_MTRRCAP)
        *val = CAP_WC | CAP_FIXED | VMTRR_VARIABLE;
    else if (msr == MSR_PAT)
        *val = v->hvm->pat;
    else
        return -ENOENT;
    return 0;
}

static int write_variable(struct vcpu *v, unsigned int n, uint64_t val)
{
    struct vmtrr *m = v->hvm->mtrr;
    uint64_t high = ~0ull << cpu_policy_maxphysaddr(v->domain);

    if (n & 1) {
        if (val & (high | 0x7ff))
            return -EINVAL;
        m->variable[n / 2].mask = val;
        return 0;
    }
    if ((val & (high | 0xf00)) || !valid_type(val, false))
        return -EINVAL;
    m->variable[n / 2].base = val;
    return 0;
}

int vmtrr_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct vmtrr *m = v->hvm->mtrr;
    unsigned int n = msr - MSR_PHYSBASE0;
    int fixed = fixed_index(msr);

    if (n < 2 * VMTRR_VARIABLE)
        return write_variable(v, n, val);
    if (fixed >= 0) {
        if (!vmtrr_types_valid(val, false))
            return -EINVAL;
        m->fixed[fixed] = val;
        return 0;
    }
    switch (msr) {
    case MSR_DEF_TYPE:
        if ((val & ~0xcffull) || !valid_type(val, false))
            return -EINVAL;
        m->def_type = val;
        return 0;
    case MSR_MTRRCAP:
        return -EINVAL; /* read-only */
    case MSR_PAT:
        if (!vmtrr_types_valid(val, true))
            return -EINVAL;
        v->hvm->pat = val;
        if (hvm_ops->update_pat)
            hvm_ops->update_pat(v);
        return 0;
    }
    return -ENOENT;
}

static uint8_t fixed_type(const struct vmtrr *m, uint64_t gpa)
{
    if (gpa < 0x80000)
        return m->fixed[0] >> (gpa >> 16) * 8;
    if (gpa < 0xc0000)
        return m->fixed[1 + (gpa - 0x80000) / 0x20000] >> (gpa >> 14 & 7) * 8;
    return m->fixed[3 + (gpa - 0xc0000) / 0x8000] >> (gpa >> 12 & 7) * 8;
}

/* Overlaps: UC wins, then WT over WB; others are undefined, UC is the safe choice (SDM
 * 12.11.4.1). */
static uint8_t combine(uint8_t a, uint8_t b)
{
    if (a == b)
        return a;
    if ((a == MEMTYPE_WT && b == MEMTYPE_WB) || (a == MEMTYPE_WB && b == MEMTYPE_WT))
        return MEMTYPE_WT;
    return MEMTYPE_UC;
}

uint8_t mtrr_memtype(const struct vmtrr *m, uint64_t gpa)
{
    bool found = false;
    uint8_t type = 0;

    if (!(m->def_type & DEF_TYPE_ENABLE))
        return MEMTYPE_UC;
    if (gpa < 0x100000 && (m->def_type & DEF_TYPE_FIXED))
        return fixed_type(m, gpa) & 7;
    for (unsigned int i = 0; i < ARRAY_SIZE(m->variable); i++) {
        uint64_t mask = m->variable[i].mask & PAGE_MASK;

        if (!(m->variable[i].mask & MASK_VALID) ||
            (gpa & mask) != (m->variable[i].base & mask))
            continue;
        type = found ? combine(type, m->variable[i].base & 7) : m->variable[i].base & 7;
        found = true;
    }
    return found ? type : m->def_type & 7;
}

void vmtrr_reset(struct vcpu *v)
{
    memset(v->hvm->mtrr, 0, sizeof(*v->hvm->mtrr));
    v->hvm->pat = PAT_RESET;
    /* A guest without firmware finds what firmware leaves, or Linux gives up PAT too. */
    if (v->domain->is_privileged || v->domain->is_pvh)
        v->hvm->mtrr->def_type = DEF_TYPE_ENABLE | MEMTYPE_WB;
}

int vmtrr_init(struct vcpu *v)
{
    v->hvm->mtrr = zalloc(sizeof(*v->hvm->mtrr));
    if (!v->hvm->mtrr)
        return -ENOMEM;
    vmtrr_reset(v);
    return 0;
}

void vmtrr_destroy(struct vcpu *v)
{
    zfree(v->hvm->mtrr);
    v->hvm->mtrr = NULL;
}
