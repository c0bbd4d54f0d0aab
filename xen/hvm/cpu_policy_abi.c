/* CPU policies as tools see them: arrays of leaves and MSRs. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * xen_cpuid_leaf_t and xen_msr_entry_t of the public ABI. The order is that of the
 * leaves; the hypervisor's lie between the basic and the extended ones.
 */
#include "hvm/cpuid.h"
#include "lib/errno.h"

#define MSR_PLATFORM_INFO 0xce
#define MSR_ARCH_CAPS     0x10a
#define NO_SUBLEAF        XEN_CPUID_NO_SUBLEAF

struct writer {
    xen_cpuid_leaf_t *out;
    unsigned int n;
};

static void put(struct writer *w, uint32_t leaf, uint32_t subleaf,
                const struct cpuid_leaf *l)
{
    w->out[w->n++] = (xen_cpuid_leaf_t){
        .leaf = leaf, .subleaf = subleaf, .a = l->a, .b = l->b, .c = l->c, .d = l->d};
}

static void put_subleaves(struct writer *w, uint32_t leaf, const struct cpuid_leaf *l,
                          unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        put(w, leaf, i, &l[i]);
}

static void put_xstate(struct writer *w, const struct cpu_policy *p)
{
    uint64_t states = ((uint64_t)p->xstate[0].d << 32 | p->xstate[0].a) |
                      ((uint64_t)p->xstate[1].d << 32 | p->xstate[1].c);

    put_subleaves(w, 0xd, p->xstate, 2);
    /* Without gaps, as Xen's libraries count them when they size their arrays. */
    for (unsigned int i = 2; i < CPU_POLICY_XSTATE && states >> i; i++)
        put(w, 0xd, i, &p->xstate[i]);
}

unsigned int cpu_policy_to_leaves(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves)
{
    struct writer w = {leaves, 0};
    struct cpuid_leaf limit = {0};

    for (uint32_t leaf = 0; leaf <= min(p->basic[0].a, CPU_POLICY_BASIC - 1u); leaf++) {
        switch (leaf) {
        case 4:
            /* All of them: libxenguest writes as many into an array sized by this. */
            put_subleaves(&w, leaf, p->cache, CPU_POLICY_CACHE);
            break;
        case 7:
            put_subleaves(&w, leaf, p->feat, min(p->feat[0].a, CPU_POLICY_FEAT - 1u) + 1);
            break;
        case 0xb:
            put_subleaves(&w, leaf, p->topo, CPU_POLICY_TOPO);
            break;
        case 0xd:
            put_xstate(&w, p);
            break;
        default:
            put(&w, leaf, NO_SUBLEAF, &p->basic[leaf]);
        }
    }
    limit.a = p->hv_limit;
    put(&w, 0x40000000, NO_SUBLEAF, &limit);
    limit.a = p->hv2_limit;
    put(&w, 0x40000100, NO_SUBLEAF, &limit);
    for (uint32_t i = 0; i <= min(p->extd[0].a & 0xffff, CPU_POLICY_EXTD - 1u); i++)
        put(&w, 0x80000000 + i, NO_SUBLEAF, &p->extd[i]);
    return w.n;
}

unsigned int cpu_policy_to_msrs(const struct cpu_policy *p, xen_msr_entry_t *msrs)
{
    msrs[0] = (xen_msr_entry_t){.idx = MSR_PLATFORM_INFO, .val = p->platform_info};
    msrs[1] = (xen_msr_entry_t){.idx = MSR_ARCH_CAPS, .val = p->arch_caps};
    return 2;
}

/* Where a leaf belongs, NULL if it is none of a policy's. */
static struct cpuid_leaf *find_leaf(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 4:
        return subleaf < CPU_POLICY_CACHE ? &p->cache[subleaf] : NULL;
    case 7:
        return subleaf < CPU_POLICY_FEAT ? &p->feat[subleaf] : NULL;
    case 0xb:
        return subleaf < CPU_POLICY_TOPO ? &p->topo[subleaf] : NULL;
    case 0xd:
        return subleaf < CPU_POLICY_XSTATE ? &p->xstate[subleaf] : NULL;
    }
    if (subleaf != NO_SUBLEAF)
        return NULL;
    if (leaf < CPU_POLICY_BASIC)
        return &p->basic[leaf];
    if (leaf - 0x80000000 < CPU_POLICY_EXTD)
        return &p->extd[leaf - 0x80000000];
    return NULL;
}

int cpu_policy_from_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves,
                           unsigned int nr, struct cpu_policy_error *err)
{
    for (unsigned int i = 0; i < nr; i++) {
        const xen_cpuid_leaf_t *l = &leaves[i];
        struct cpuid_leaf *to = find_leaf(p, l->leaf, l->subleaf);

        if (to) {
            *to = (struct cpuid_leaf){l->a, l->b, l->c, l->d};
        } else if (l->subleaf == NO_SUBLEAF && l->leaf == 0x40000000) {
            p->hv_limit = l->a;
        } else if (l->subleaf == NO_SUBLEAF && l->leaf == 0x40000100) {
            p->hv2_limit = l->a;
        } else {
            err->leaf = l->leaf;
            err->subleaf = l->subleaf;
            return -ERANGE;
        }
    }
    return 0;
}

int cpu_policy_from_msrs(struct cpu_policy *p, const xen_msr_entry_t *msrs,
                         unsigned int nr, struct cpu_policy_error *err)
{
    for (unsigned int i = 0; i < nr; i++) {
        err->msr = msrs[i].idx;
        if (msrs[i].flags)
            return -EINVAL;
        switch (msrs[i].idx) {
        case MSR_PLATFORM_INFO:
            if (msrs[i].val & ~BIT(31))
                return -EOVERFLOW;
            p->platform_info = msrs[i].val;
            break;
        case MSR_ARCH_CAPS:
            p->arch_caps = msrs[i].val;
            break;
        default:
            return -ERANGE;
        }
        err->msr = ~0u;
    }
    return 0;
}
