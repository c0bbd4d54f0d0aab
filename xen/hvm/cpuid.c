/* CPUID as a guest sees it. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A copy out of the domain's policy, and the few bits that follow the vCPU's state. The
 * hypervisor's own leaves: public ABI arch-x86/cpuid.h, and Hyper-V's before them if the
 * domain has HVM_PARAM_VIRIDIAN (viridian.c).
 */
#include "hvm/cpuid.h"
#include "hvm/vlapic.h"
#include "hvm/viridian.h"
#include "hvm/tsc.h"
#include "cpu/x86.h"
#include "cpu/time.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/version.h>

#define XEN_VERSION_4_17   (4u << 16 | 17)
#define HYPERCALL_PAGE_MSR 0x40000000u

static inline void copy(uint32_t out[4], const struct cpuid_leaf *l)
{
    out[0] = l->a;
    out[1] = l->b;
    out[2] = l->c;
    out[3] = l->d;
}

static inline void zero(uint32_t out[4])
{
    out[0] = out[1] = out[2] = out[3] = 0;
}

static void leaf_time(const struct vcpu *v, uint32_t subleaf, uint32_t out[4])
{
    const struct cpu_policy *p = v->domain->hvm->policy;
    int8_t shift;

    switch (subleaf) {
    case 0:
        out[0] = v->domain->hvm->tsc.exits | (p->extd[7].d >> 8 & 1) << 1 |
                 (p->extd[1].d >> 27 & 1) << 2;
        out[1] = v->domain->tsc_mode;
        out[2] = hvm_tsc_khz(v->domain);
        break;
    case 1:
        hvm_tsc_pv_scale(v->domain, &out[2], &shift);
        out[3] = (uint8_t)shift;
        out[0] = (uint32_t)v->hvm->tsc_offset;
        out[1] = v->hvm->tsc_offset >> 32;
        break;
    case 2:
        out[0] = tsc_hz / 1000;
        break;
    }
}

/* XEN_HVM_CPUID_UPCALL_VECTOR is not announced, though the vectors work: an upcall that
 * comes by the domain's callback vector costs the guest no EOI. */
static void leaf_xen(const struct vcpu *v, uint32_t index, uint32_t subleaf,
                     uint32_t base, uint32_t out[4])
{
    uint32_t limit = v->domain->hvm->policy->hv_limit & 0xff;

    limit = limit >= 2 ? min(limit, 4u) : 4u;
    zero(out);
    if (index > limit)
        return;
    switch (index) {
    case 0:
        out[0] = base + limit;
        out[1] = XEN_CPUID_SIGNATURE_EBX;
        out[2] = XEN_CPUID_SIGNATURE_ECX;
        out[3] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        out[0] = XEN_VERSION_4_17;
        break;
    case 2:
        out[0] = 1; /* pages of hypercall stubs */
        /* Beside Hyper-V's MSRs ours move, as their leaves do. */
        out[1] = base == XEN_CPUID_FIRST_LEAF ? HYPERCALL_PAGE_MSR
                                              : HYPERCALL_PAGE_MSR + 0x200;
        break;
    case 3:
        leaf_time(v, subleaf, out);
        break;
    case 4:
        if (subleaf)
            break;
        out[0] = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT;
        out[1] = v->id;
        out[2] = v->domain->id;
        break;
    }
}

static void hypervisor_leaf(struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                            uint32_t out[4])
{
    bool viridian = viridian_enabled(v->domain);
    uint32_t xen_base = viridian ? 0x40000100u : XEN_CPUID_FIRST_LEAF;

    zero(out);
    if (viridian && leaf < 0x40000100)
        viridian_cpuid(v, leaf, out);
    else if (!v->domain->hvm->hide_xen_leaves && leaf - xen_base < 0x100)
        leaf_xen(v, leaf - xen_base, subleaf, xen_base, out);
}

/* Leaf 0xd: the sizes follow XCR0. */
static void leaf_xstate(const struct vcpu *v, const struct cpu_policy *p,
                        uint32_t subleaf, uint32_t out[4])
{
    if (subleaf >= CPU_POLICY_XSTATE) {
        zero(out);
        return;
    }
    copy(out, &p->xstate[subleaf]);
    if (subleaf == 0 && p->xcr0_mask)
        out[1] = cpu_policy_xsave_size(p, v->hvm->xcr0);
}

static void leaf_extended(const struct vcpu *v, const struct cpu_policy *p,
                          uint32_t index, uint32_t out[4])
{
    if (index > (p->extd[0].a & 0xffff)) {
        zero(out);
        return;
    }
    copy(out, &p->extd[index]);
    /* AMD repeats the APIC's presence. */
    if (index == 1 && p->amd && !v->hvm->vlapic->hw_enabled)
        out[3] &= ~BIT(9);
}

void hvm_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct cpu_policy *p = v->domain->hvm->policy;
    const struct vlapic *s = v->hvm->vlapic;

    if (unlikely(leaf > p->basic[0].a)) {
        if (leaf - 0x80000000 < CPU_POLICY_EXTD)
            leaf_extended(v, p, leaf - 0x80000000, out);
        else if (leaf - XEN_CPUID_FIRST_LEAF < 0x10000)
            hypervisor_leaf(v, leaf, subleaf, out);
        else
            zero(out);
        return;
    }
    switch (leaf) {
    case 1:
        copy(out, &p->basic[1]);
        out[1] |= s->id << 24;
        if (v->hvm->cr4 & CR4_OSXSAVE)
            out[2] |= BIT(27);
        if (unlikely(!s->hw_enabled))
            out[3] &= ~BIT(9);
        return;
    case 4:
        if (subleaf < CPU_POLICY_CACHE)
            copy(out, &p->cache[subleaf]);
        else
            zero(out);
        return;
    case 7:
        if (subleaf > p->feat[0].a) {
            zero(out);
            return;
        }
        copy(out, &p->feat[subleaf]);
        if (subleaf == 0 && (v->hvm->cr4 & CR4_PKE))
            out[2] |= BIT(4);
        return;
    case 0xb:
        if (subleaf < CPU_POLICY_TOPO)
            copy(out, &p->topo[subleaf]);
        else
            zero(out);
        out[2] = (out[2] & ~0xffu) | (subleaf & 0xff);
        out[3] = s->id;
        return;
    case 0xd:
        leaf_xstate(v, p, subleaf, out);
        return;
    }
    copy(out, &p->basic[leaf]);
}
