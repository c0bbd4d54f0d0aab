/* Control registers as the guest writes them: the manuals' checks (AMD APM vol 2, 3.1;
 * Intel SDM vol 3, 2.5). SPDX-License-Identifier: GPL-2.0-or-later */
#include "hvm/hvm.h"
#include "hvm/cpuid.h"
#include "hvm/platform.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "lib/errno.h"

static int refuse(struct vcpu *v)
{
    hvm_inject_gp(v);
    return -EINVAL;
}

static bool load_pdptes_ok(struct vcpu *v, uint64_t cr3)
{
    uint64_t pdpte[4];

    if (guest_read_phys(v->domain, cr3 & 0xffffffe0u, pdpte, sizeof(pdpte)))
        return true; /* the walk will fault */
    for (int i = 0; i < 4; i++)
        if ((pdpte[i] & 1) && (pdpte[i] & 0x1c6))
            return false;
    return true;
}

int hvm_set_cr0(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;
    uint64_t old = h->cr0;

    if (val >> 32)
        return refuse(v);
    val &= CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM |
           CR0_NW | CR0_CD | CR0_PG;
    val |= CR0_ET;
    if ((val & CR0_PG && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD)))
        return refuse(v);
    if ((val & CR0_PG) && !(old & CR0_PG)) {
        if (h->efer & EFER_LME) {
            struct emul_seg cs;

            hvm_ops->get_segment(v, EMUL_CS, &cs);
            if (!(h->cr4 & CR4_PAE) || (cs.attr & EMUL_ATTR_L))
                return refuse(v);
            h->efer |= EFER_LMA;
            hvm_ops->update_efer(v);
        } else if ((h->cr4 & CR4_PAE) && !load_pdptes_ok(v, h->cr3)) {
            return refuse(v);
        }
    } else if (!(val & CR0_PG) && (old & CR0_PG)) {
        if (h->cr4 & CR4_PCIDE)
            return refuse(v);
        if (h->efer & EFER_LMA) {
            struct emul_seg cs;

            hvm_ops->get_segment(v, EMUL_CS, &cs);
            if (cs.attr & EMUL_ATTR_L)
                return refuse(v);
            h->efer &= ~EFER_LMA;
            hvm_ops->update_efer(v);
        }
    }
    h->cr0 = val;
    hvm_ops->update_cr(v, 0);
    if ((old ^ val) & (CR0_PG | CR0_WP | CR0_PE))
        h->flush_tlb = true;
    return 0;
}

int hvm_set_cr3(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;

    if (h->cr4 & CR4_PCIDE)
        val &= ~BIT(63);
    if (hvm_long_mode(v) && (val >> cpu_policy_maxphysaddr(v->domain)))
        return refuse(v);
    h->cr3 = val;
    hvm_ops->update_cr(v, 3);
    h->flush_tlb = true;
    return 0;
}

int hvm_set_cr4(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;
    uint64_t old = h->cr4;

    if (val & ~cpu_policy_cr4_mask(v->domain))
        return refuse(v);
    if (hvm_long_mode(v) && (!(val & CR4_PAE) || ((old ^ val) & CR4_LA57)))
        return refuse(v);
    if ((val & CR4_PCIDE) && !(old & CR4_PCIDE) &&
        (!hvm_long_mode(v) || (h->cr3 & 0xfff)))
        return refuse(v);
    if (hvm_paging(v) && !hvm_long_mode(v) && (val & CR4_PAE) && !(old & CR4_PAE) &&
        !load_pdptes_ok(v, h->cr3))
        return refuse(v);
    h->cr4 = val;
    hvm_ops->update_cr(v, 4);
    if ((old ^ val) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP))
        h->flush_tlb = true;
    return 0;
}

int hvm_set_efer(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;

    if (val & ~cpu_policy_efer_mask(v->domain))
        return -EINVAL;
    if (hvm_paging(v) && ((val ^ h->efer) & EFER_LME))
        return -EINVAL;
    h->efer = (val & ~EFER_LMA) | (h->efer & EFER_LMA);
    hvm_ops->update_efer(v);
    h->flush_tlb = true;
    return 0;
}

int hvm_set_xcr0(struct vcpu *v, uint64_t val)
{
    struct hvm_vcpu *h = v->hvm;

    /* x87 is always on; AVX needs SSE; the three parts of AVX-512 come together and need
     * AVX; the two of MPX come together. */
    if (!(val & 1) || (val & ~cpu_policy_xcr0_mask(v->domain)) ||
        ((val & 4) && !(val & 2)) || ((val & 0xe0) && (val & 0xe0) != 0xe0) ||
        ((val & 0xe0) && !(val & 4)) || (!!(val & 8) != !!(val & 16)))
        return refuse(v);
    h->xcr0 = val;
    if (v == current)
        hvm_fpu_load_xcr0(v);
    return 0;
}
