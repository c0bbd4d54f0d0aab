/* CPU policies: made from the machine's CPUID, cut to what a guest can have.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 3 appendix E, Intel SDM vol 2 (CPUID). Left out for guests, though a
 * machine may have it: nested virtualization, MONITOR/MWAIT, performance counters, debug
 * store, supervisor XSAVE states, CET, MPX, PT, SGX, TSX by default. x2APIC, TSC deadline
 * and TSC_ADJUST are ours: offered whatever the machine has. So is the invariant TSC: our
 * own clock is the TSC (cpu/time.c), and what has nested paging but not that bit is an
 * emulator.
 */
#include "hvm/cpuid.h"
#include "hvm/cpu_features.h"
#include "hvm/vlapic.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/x86.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"
#include <xen/sysctl.h>

#define F(name) XEN_X86_FEATURE_##name

/* Bits of 1.EDX that 80000001.EDX repeats on AMD. */
#define COMMON_1D 0x0183f3ffu

static uint32_t *feature_word(struct cpu_policy *p, unsigned int word)
{
    switch (word) {
    case 0:
        return &p->basic[1].d;
    case 1:
        return &p->basic[1].c;
    case 2:
        return &p->extd[1].d;
    case 3:
        return &p->extd[1].c;
    case 4:
        return &p->xstate[1].a;
    case 5:
        return &p->feat[0].b;
    case 6:
        return &p->feat[0].c;
    case 7:
        return &p->extd[7].d;
    case 8:
        return &p->extd[8].b;
    case 9:
        return &p->feat[0].d;
    case 10:
        return &p->feat[1].a;
    case 11:
        return &p->extd[0x21].a;
    case 12:
        return &p->feat[1].b;
    case 13:
        return &p->feat[2].d;
    case 14:
        return &p->feat[1].c;
    case 15:
        return &p->feat[1].d;
    case 16: /* little endian halves of the MSR */
        return (uint32_t *)&p->arch_caps;
    case 17:
        return (uint32_t *)&p->arch_caps + 1;
    default:
        return &p->extd[0x21].c;
    }
}

void cpu_policy_to_featureset(const struct cpu_policy *p,
                              uint32_t words[CPU_FEATURESET_WORDS])
{
    for (unsigned int i = 0; i < CPU_FEATURESET_WORDS; i++)
        words[i] = *feature_word((struct cpu_policy *)p, i);
    words[2] &= ~COMMON_1D;
}

static void set_featureset(struct cpu_policy *p,
                           const uint32_t words[CPU_FEATURESET_WORDS])
{
    for (unsigned int i = 0; i < CPU_FEATURESET_WORDS; i++)
        *feature_word(p, i) = words[i];
    if (p->amd)
        p->extd[1].d |= p->basic[1].d & COMMON_1D;
}

bool cpu_policy_has(const struct cpu_policy *p, unsigned int feature)
{
    return *feature_word((struct cpu_policy *)p, feature / 32) >> feature % 32 & 1;
}

static bool vendor_amd(const struct cpu_policy *p)
{
    return p->basic[0].b == 0x68747541 || p->basic[0].b == 0x6f677948; /* Auth, Hygo */
}

/*
 * The machine's.
 */
void cpu_policy_read(struct cpu_policy *p, cpuid_fn cpuid, rdmsr_fn rdmsr)
{
    uint32_t basic_max, extd_max;

    memset(p, 0, sizeof(*p));
    cpuid(0, 0, &p->basic[0]);
    basic_max = min(p->basic[0].a, CPU_POLICY_BASIC - 1u);
    for (uint32_t leaf = 1; leaf <= basic_max; leaf++)
        if (leaf != 4 && leaf != 7 && leaf != 0xb && leaf != 0xd)
            cpuid(leaf, 0, &p->basic[leaf]);
    p->basic[0].a = basic_max;
    for (uint32_t i = 0; basic_max >= 4 && i < CPU_POLICY_CACHE; i++) {
        cpuid(4, i, &p->cache[i]);
        if (!(p->cache[i].a & 0x1f))
            break;
    }
    if (basic_max >= 7) {
        cpuid(7, 0, &p->feat[0]);
        p->feat[0].a = min(p->feat[0].a, CPU_POLICY_FEAT - 1u);
        for (uint32_t i = 1; i <= p->feat[0].a; i++)
            cpuid(7, i, &p->feat[i]);
    }
    for (uint32_t i = 0; basic_max >= 0xb && i < CPU_POLICY_TOPO; i++)
        cpuid(0xb, i, &p->topo[i]);
    if (basic_max >= 0xd) {
        cpuid(0xd, 0, &p->xstate[0]);
        cpuid(0xd, 1, &p->xstate[1]);
        for (uint32_t i = 2; i < CPU_POLICY_XSTATE; i++)
            if ((((uint64_t)p->xstate[0].d << 32 | p->xstate[0].a) |
                 ((uint64_t)p->xstate[1].d << 32 | p->xstate[1].c)) >>
                    i &
                1)
                cpuid(0xd, i, &p->xstate[i]);
    }
    cpuid(0x80000000, 0, &p->extd[0]);
    extd_max = p->extd[0].a >> 16 == 0x8000
                   ? min(p->extd[0].a & 0xffff, CPU_POLICY_EXTD - 1u)
                   : 0;
    for (uint32_t i = 1; i <= extd_max; i++)
        cpuid(0x80000000 + i, 0, &p->extd[i]);
    p->extd[0].a = 0x80000000 + extd_max;
    p->amd = vendor_amd(p);
    if (p->feat[0].d >> 29 & 1)
        (void)rdmsr(0x10a, &p->arch_caps);
    if (!p->amd && rdmsr(0xce, &p->platform_info))
        p->platform_info &= BIT(31);
}

/*
 * What follows from the features: masks of control registers, XSAVE, leaves that a guest
 * never has.
 */
uint32_t cpu_policy_xsave_size(const struct cpu_policy *p, uint64_t mask)
{
    uint32_t size = 512 + 64;

    mask &= BIT(CPU_POLICY_XSTATE) - 1;
    for (mask >>= 2, mask <<= 2; mask; mask &= mask - 1) {
        const struct cpuid_leaf *l = &p->xstate[__builtin_ctzll(mask)];

        size = max(size, l->a + l->b);
    }
    return size;
}

/* Size of the compacted format. */
static uint32_t compacted_size(const struct cpu_policy *p, uint64_t mask)
{
    uint32_t size = 512 + 64;

    for (unsigned int i = 2; i < CPU_POLICY_XSTATE; i++) {
        if (mask >> i & 1) {
            if (p->xstate[i].c & 2)
                size = ALIGN_UP(size, 64u);
            size += p->xstate[i].a;
        }
    }
    return size;
}

static void derive_xstate(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t features = p->xstate[1].a;
    uint64_t mask = 0;

    if (cpu_policy_has(p, F(XSAVE)))
        mask = 3;
    if (mask && cpu_policy_has(p, F(AVX)))
        mask |= 4;
    if (mask && cpu_policy_has(p, F(AVX512F)))
        mask |= 0xe0;
    if (mask && cpu_policy_has(p, F(PKU)))
        mask |= 0x200;
    p->xcr0_mask = mask;
    memset(p->xstate, 0, sizeof(p->xstate));
    if (!mask)
        return;
    for (unsigned int i = 2; i < CPU_POLICY_XSTATE; i++)
        if (mask >> i & 1)
            p->xstate[i] = max->xstate[i];
    p->xstate[0] = (struct cpuid_leaf){
        .a = mask, .b = 576, .c = cpu_policy_xsave_size(p, mask), .d = mask >> 32};
    p->xstate[1] = (struct cpuid_leaf){.a = features, .b = compacted_size(p, mask)};
}

static void derive_masks(struct cpu_policy *p)
{
    static const struct {
        uint16_t feature;
        uint64_t cr4;
    } cr4[] = {
        {F(VME), CR4_VME | CR4_PVI},
        {F(TSC), CR4_TSD},
        {F(DE), CR4_DE},
        {F(PSE), CR4_PSE},
        {F(PAE), CR4_PAE},
        {F(MCE), CR4_MCE},
        {F(PGE), CR4_PGE},
        {F(FXSR), CR4_OSFXSR},
        {F(SSE), CR4_OSXMMEXCPT},
        {F(UMIP), CR4_UMIP},
        {F(FSGSBASE), CR4_FSGSBASE},
        {F(PCID), CR4_PCIDE},
        {F(XSAVE), CR4_OSXSAVE},
        {F(SMEP), CR4_SMEP},
        {F(SMAP), CR4_SMAP},
        {F(PKU), CR4_PKE},
    };

    p->cr4_mask = CR4_PCE;
    for (unsigned int i = 0; i < ARRAY_SIZE(cr4); i++)
        if (cpu_policy_has(p, cr4[i].feature))
            p->cr4_mask |= cr4[i].cr4;
    p->efer_mask = 0;
    if (cpu_policy_has(p, F(SYSCALL)))
        p->efer_mask |= EFER_SCE;
    if (cpu_policy_has(p, F(LM)))
        p->efer_mask |= EFER_LME | EFER_LMA;
    if (cpu_policy_has(p, F(NX)))
        p->efer_mask |= EFER_NXE;
    if (cpu_policy_has(p, F(FFXSR)))
        p->efer_mask |= EFER_FFXSR;
    if (cpu_policy_has(p, F(AUTO_IBRS)))
        p->efer_mask |= EFER_AIBRSE;
}

/* Leaves without features: who has them, and what we keep of them. `host` is the
 * machine's or the max policy. */
static void cut_leaves(struct cpu_policy *p, const struct cpu_policy *host)
{
    static const uint8_t never[] = {3, 5, 8, 9, 0xa, 0xc};
    uint32_t basic_max = min(p->basic[0].a, CPU_POLICY_BASIC - 1u);
    uint32_t extd_max = min(p->extd[0].a & 0xffff, p->amd ? 0x21u : 8u);

    p->basic[0] = host->basic[0];
    p->basic[0].a = basic_max;
    p->feat[0].a = min(p->feat[0].a, CPU_POLICY_FEAT - 1u);
    p->extd[0] = host->extd[0];
    p->extd[0].a = 0x80000000 + extd_max;
    if (p->amd) { /* repeats the vendor's name */
        p->extd[0].b = p->basic[0].b;
        p->extd[0].c = p->basic[0].c;
        p->extd[0].d = p->basic[0].d;
    }

    p->basic[1].b &= 0x00ffff00; /* APIC id is the vCPU's, brand index none */
    if (p->amd)
        memset(&p->basic[2], 0, sizeof(p->basic[2]));
    for (unsigned int i = 0; i < ARRAY_SIZE(never); i++)
        memset(&p->basic[never[i]], 0, sizeof(p->basic[0]));
    p->basic[6] = (struct cpuid_leaf){.a = 4}; /* ARAT: the APIC timer never stops */
    if (p->amd)
        memset(p->cache, 0, sizeof(p->cache));
    p->feat[1].b = p->feat[1].c = p->feat[1].d = 0;
    p->feat[2] = (struct cpuid_leaf){.d = 0};

    p->extd[1].b &= 0xffff0000; /* package type */
    p->extd[7].a = p->extd[7].b = p->extd[7].c = 0;
    /* Nested tables have four levels: 48 bits of guest-physical addresses. */
    p->extd[8].a = min(p->extd[8].a & 0xff, 48u) | min(p->extd[8].a >> 8 & 0xff, 48u)
                                                       << 8;
    if ((p->extd[8].a & 0xff) < 32)
        p->extd[8].a = 48 << 8 | 36;
    p->extd[8].c &= p->amd ? 0xf0ff : 0;
    p->extd[8].d = 0;
    for (unsigned int i = 9; i < CPU_POLICY_EXTD; i++)
        if (i != 0x19 && i != 0x21)
            memset(&p->extd[i], 0, sizeof(p->extd[i]));
    p->extd[0x21].b = p->extd[0x21].d = 0;
    for (unsigned int i = extd_max + 1; i < CPU_POLICY_EXTD; i++)
        memset(&p->extd[i], 0, sizeof(p->extd[i]));
    p->maxphysaddr = p->extd[8].a & 0xff;
}

/* Make `p` consistent: features no more than `allowed`, everything else to match. */
static void recalculate(struct cpu_policy *p, const struct cpu_policy *max,
                        const uint32_t allowed[CPU_FEATURESET_WORDS])
{
    uint32_t fs[CPU_FEATURESET_WORDS];

    p->amd = max->amd;
    cpu_policy_to_featureset(p, fs);
    for (unsigned int i = 0; i < CPU_FEATURESET_WORDS; i++)
        fs[i] &= allowed[i];
    fs_set(fs, F(HYPERVISOR));
    featureset_settle(fs);
    cut_leaves(p, max);
    set_featureset(p, fs);
    if (p->basic[0].a < 7)
        memset(p->feat, 0, sizeof(p->feat));
    p->feat[0].a = p->feat[2].d ? 2 : p->feat[1].a ? 1 : 0;
    p->platform_info &= max->platform_info;
    derive_xstate(p, max);
    derive_masks(p);
}

void cpu_policy_make_hvm_max(struct cpu_policy *p, const struct cpu_policy *host)
{
    uint32_t allowed[CPU_FEATURESET_WORDS] = {0}, fs[CPU_FEATURESET_WORDS];

    *p = *host;
    featureset_offered(allowed);
    featureset_opt_in(allowed);
    cpu_policy_to_featureset(p, fs);
    featureset_emulated(fs);
    if (p->amd)
        fs_set(fs, F(CMP_LEGACY));
    set_featureset(p, fs);
    /* Leaf 0xb tells x2APIC ids, leaf 7 TSC_ADJUST: ours too. */
    p->basic[0].a = max(p->basic[0].a, 0xbu);
    if ((p->extd[0].a & 0xffff) < 8)
        p->extd[0].a = 0x80000008;
    recalculate(p, host, allowed);
    p->platform_info = PLATFORM_INFO_CPUID_FAULTING; /* CPUID exits on any processor */
    p->basic[0].a = max(p->basic[0].a, p->xcr0_mask ? 0xdu : 0xbu);
}

void cpu_policy_make_hvm_default(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t allowed[CPU_FEATURESET_WORDS] = {0};

    *p = *max;
    featureset_offered(allowed);
    recalculate(p, max, allowed);
}

/*
 * The system's policies.
 */
static struct cpu_policy system_policy[6];
static bool system_ready;

static void native_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out)
{
    cpuid_count(leaf, subleaf, &out->a, &out->b, &out->c, &out->d);
}

static bool native_rdmsr(uint32_t msr, uint64_t *val)
{
    return rdmsr_safe(msr, val) == 0;
}

/* What the processor has, but guests cannot: SPEC_CTRL if we leave it alone (option
 * spec-ctrl), instructions that the back end has no control for. */
static void hide_from_guests(struct cpu_policy *host)
{
    static const uint16_t spec_ctrl[] = {F(IBRSB), F(IBRS)};
    uint32_t fs[CPU_FEATURESET_WORDS], offered[CPU_FEATURESET_WORDS] = {0};

    cpu_policy_to_featureset(host, fs);
    for (unsigned int i = 0; i < ARRAY_SIZE(spec_ctrl); i++)
        if (!mitigations.has_spec_ctrl)
            fs_clear(fs, spec_ctrl[i]);
    featureset_offered(offered);
    for (unsigned int f = 0; f < CPU_FEATURESET_WORDS * 32; f++)
        if (fs_has(offered, f) && hvm_ops->can_offer && !hvm_ops->can_offer(f))
            fs_clear(fs, f);
    set_featureset(host, fs);
}

/* Leaf 80000021h is newer than what it says of LFENCE, and other hypervisors show it on
 * processors that do not have it. */
static void show_lfence(struct cpu_policy *host)
{
    uint32_t fs[CPU_FEATURESET_WORDS];

    if (!mitigations.lfence_serializes)
        return;
    host->extd[0].a = max(host->extd[0].a, 0x80000021u);
    cpu_policy_to_featureset(host, fs);
    fs_set(fs, F(LFENCE_DISPATCH));
    set_featureset(host, fs);
}

/* The first use is Dom0's creation, on one CPU. */
const struct cpu_policy *cpu_policy_system(unsigned int index)
{
    struct cpu_policy *p = system_policy;

    if (!system_ready) {
        cpu_policy_read(&p[XEN_SYSCTL_cpu_policy_raw], native_cpuid, native_rdmsr);
        p[XEN_SYSCTL_cpu_policy_host] = p[XEN_SYSCTL_cpu_policy_raw];
        hide_from_guests(&p[XEN_SYSCTL_cpu_policy_host]);
        show_lfence(&p[XEN_SYSCTL_cpu_policy_host]);
        cpu_policy_make_hvm_max(&p[XEN_SYSCTL_cpu_policy_hvm_max],
                                &p[XEN_SYSCTL_cpu_policy_host]);
        cpu_policy_make_hvm_default(&p[XEN_SYSCTL_cpu_policy_hvm_default],
                                    &p[XEN_SYSCTL_cpu_policy_hvm_max]);
        system_ready = true;
    }
    if (index >= ARRAY_SIZE(system_policy) || index == XEN_SYSCTL_cpu_policy_pv_max ||
        index == XEN_SYSCTL_cpu_policy_pv_default)
        return NULL;
    return &system_policy[index];
}

/*
 * A domain's.
 */
int cpu_policy_domain_init(struct domain *d)
{
    struct cpu_policy *p = zalloc(sizeof(*p));

    if (!p)
        return -ENOMEM;
    *p = *cpu_policy_system(XEN_SYSCTL_cpu_policy_hvm_default);
    d->hvm->policy = p;
    cpu_policy_update_topology(d);
    return 0;
}

void cpu_policy_domain_destroy(struct domain *d)
{
    zfree(d->hvm->policy);
    d->hvm->policy = NULL;
}

/* One package; a core for each vCPU. Guests' APIC ids leave room for a sibling thread,
 * which is never there. Tools do not change this: the Xen libraries scale the machine's
 * counts, so that a guest of two vCPUs on a machine of one core would have two packages.
 */
void cpu_policy_update_topology(struct domain *d)
{
    struct cpu_policy *p = d->hvm->policy;
    unsigned int max_id = 0, bits, smt = d->is_privileged ? 0 : 1,
                 n = max(d->nr_vcpus, 1u);

    for_each_vcpu(d, v) if (v->hvm && v->hvm->vlapic) max_id =
        max(max_id, v->hvm->vlapic->initial_id);
    max_id = max(max_id, ((n - 1) << smt) | smt);
    bits = 32 - __builtin_clz(max_id | 1);
    p->topo[0] = (struct cpuid_leaf){.a = smt, .b = 1, .c = 0x100};
    p->topo[1] = (struct cpuid_leaf){.a = bits, .b = n, .c = 0x201};
    /* Ids of the package, not processors: legacy kernels round up to a power of two. */
    p->basic[1].b = (p->basic[1].b & 0xff00ffff) | min(1u << bits, 128u) << 16;
    if (n > 1)
        p->basic[1].d |= 1u << 28; /* HTT: the count above is valid */
    else
        p->basic[1].d &= ~(1u << 28);
    if (p->amd) {
        p->extd[1].c = n > 1 ? p->extd[1].c | 2 : p->extd[1].c & ~2u; /* CMP_LEGACY */
        p->extd[8].c = bits << 12 | (min(1u << bits, 256u) - 1);
        return;
    }
    for (unsigned int i = 0; i < CPU_POLICY_CACHE && (p->cache[i].a & 0x1f); i++) {
        bool shared = (p->cache[i].a >> 5 & 7) >= 3;

        p->cache[i].a = (p->cache[i].a & 0x3fff) |
                        (shared ? (1u << bits) - 1 : smt) << 14 |
                        min((1u << (bits - smt)) - 1, 63u) << 26;
    }
}

static int check_max(uint32_t val, uint32_t max, uint32_t leaf, uint32_t subleaf,
                     struct cpu_policy_error *err)
{
    if (val <= max)
        return 0;
    err->leaf = leaf;
    err->subleaf = subleaf;
    return -EINVAL;
}

int cpu_policy_domain_set(struct domain *d, const xen_cpuid_leaf_t *leaves,
                          unsigned int nr_leaves, const xen_msr_entry_t *msrs,
                          unsigned int nr_msrs, struct cpu_policy_error *err)
{
    const struct cpu_policy *max = cpu_policy_system(XEN_SYSCTL_cpu_policy_hvm_max);
    uint32_t allowed[CPU_FEATURESET_WORDS];
    struct cpu_policy *p;
    int rc;

    *err = (struct cpu_policy_error){~0u, ~0u, ~0u};
    for_each_vcpu(d, v) if (v->initialised) return -EEXIST;
    p = zalloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = *d->hvm->policy;
    rc = cpu_policy_from_leaves(p, leaves, nr_leaves, err);
    if (!rc)
        rc = cpu_policy_from_msrs(p, msrs, nr_msrs, err);
    if (!rc)
        rc = check_max(p->basic[0].a, max->basic[0].a, 0, XEN_CPUID_NO_SUBLEAF, err);
    if (!rc)
        rc = check_max(p->feat[0].a, max->feat[0].a, 7, 0, err);
    if (!rc)
        rc = check_max(p->extd[0].a, max->extd[0].a, 0x80000000, XEN_CPUID_NO_SUBLEAF,
                       err);
    if (!rc && (p->platform_info & ~max->platform_info)) {
        err->msr = 0xce;
        rc = -EINVAL;
    }
    if (!rc) {
        cpu_policy_to_featureset(max, allowed);
        recalculate(p, max, allowed);
        *d->hvm->policy = *p;
        d->hvm->emul_features = 0; /* worked out anew */
        cpu_policy_update_topology(d);
    }
    zfree(p);
    return rc;
}
