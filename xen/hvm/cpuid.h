/* CPUID and MSR policy: what a domain's CPUs are. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * A policy is the answer to CPUID, leaf by leaf, and the MSRs that enumerate features.
 * Tools read and write it as arrays of xen_cpuid_leaf_t and xen_msr_entry_t (public ABI,
 * arch-x86/xen.h). What a tool sets is cut down to what we support: the result is the
 * intersection with the "hvm max" policy. Bits that follow the state of the vCPU
 * (OSXSAVE, APIC id, XSAVE sizes ...) and the hypervisor's own leaves are filled in by
 * hvm_cpuid().
 */
#ifndef CORBEL_HVM_CPUID_H
#define CORBEL_HVM_CPUID_H

#include "hvm/hvm.h"
#include <xen/arch-x86/cpufeatureset.h>

#define CPU_POLICY_BASIC  14 /* leaves 0 .. 0xd */
#define CPU_POLICY_CACHE  6  /* subleaves of leaf 4 */
#define CPU_POLICY_FEAT   3  /* of leaf 7 */
#define CPU_POLICY_TOPO   2  /* of leaf 0xb */
#define CPU_POLICY_XSTATE 63 /* of leaf 0xd */
#define CPU_POLICY_EXTD   34 /* leaves 0x80000000 .. 0x80000021 */
/* Arrays that hold any policy; what get_cpu_policy tells of sizes. */
#define CPU_POLICY_MAX_LEAVES                                                            \
    (CPU_POLICY_BASIC - 4 + CPU_POLICY_CACHE + CPU_POLICY_FEAT + CPU_POLICY_TOPO +       \
     CPU_POLICY_XSTATE + CPU_POLICY_EXTD + 2)
#define CPU_POLICY_MAX_MSRS 2
/* SDM vol 3, 2.16 table 2-15 (MSR 0xce): CPUID outside of ring 0 can be made to fault. */
#define PLATFORM_INFO_CPUID_FAULTING 0x80000000ul
/* Words of a featureset, arch-x86/cpufeatureset.h. */
#define CPU_FEATURESET_WORDS 19

struct cpuid_leaf {
    uint32_t a, b, c, d;
};

struct cpu_policy {
    struct cpuid_leaf basic[CPU_POLICY_BASIC]; /* those with subleaves are unused */
    struct cpuid_leaf cache[CPU_POLICY_CACHE];
    struct cpuid_leaf feat[CPU_POLICY_FEAT];
    struct cpuid_leaf topo[CPU_POLICY_TOPO];
    struct cpuid_leaf xstate[CPU_POLICY_XSTATE];
    struct cpuid_leaf extd[CPU_POLICY_EXTD];
    uint32_t hv_limit, hv2_limit; /* 0: all of our leaves */
    uint64_t platform_info, arch_caps;

    /* Derived from the above. */
    uint64_t xcr0_mask, cr4_mask, efer_mask;
    uint8_t maxphysaddr;
    bool amd; /* or Hygon; else Intel and compatible */
};

/* Where tools are told what was wrong; ~0: nothing in particular. */
struct cpu_policy_error {
    uint32_t leaf, subleaf, msr;
};

typedef void (*cpuid_fn)(uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out);
typedef bool (*rdmsr_fn)(uint32_t msr, uint64_t *val); /* false: it is not there */

/* The policies of the system, by XEN_SYSCTL_cpu_policy_*; NULL for PV and unknown ones.
 * Made at first use. */
const struct cpu_policy *cpu_policy_system(unsigned int index);
/* Read the machine's with the functions given; tests bring their own. */
void cpu_policy_read(struct cpu_policy *p, cpuid_fn cpuid, rdmsr_fn rdmsr);
/* The most that a guest may have on that machine, and what it has by default. */
void cpu_policy_make_hvm_max(struct cpu_policy *p, const struct cpu_policy *host);
void cpu_policy_make_hvm_default(struct cpu_policy *p, const struct cpu_policy *max);

/* A domain's own, from the default; by platform_domain_init(). -ENOMEM. */
int cpu_policy_domain_init(struct domain *d);
void cpu_policy_domain_destroy(struct domain *d);
/* Number of vCPUs or APIC ids changed. */
void cpu_policy_update_topology(struct domain *d);

/* To arrays of at least CPU_POLICY_MAX_*; return the number of entries. */
unsigned int cpu_policy_to_leaves(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves);
unsigned int cpu_policy_to_msrs(const struct cpu_policy *p, xen_msr_entry_t *msrs);
/* Change what the arrays name. -ERANGE, -EINVAL with *err. */
int cpu_policy_from_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves,
                           unsigned int nr, struct cpu_policy_error *err);
int cpu_policy_from_msrs(struct cpu_policy *p, const xen_msr_entry_t *msrs,
                         unsigned int nr, struct cpu_policy_error *err);
/* XEN_DOMCTL_set_cpu_policy, after the arrays were copied: the whole of it. The domain
 * must not have run. -ERANGE, -EINVAL, -EEXIST if it is running. */
int cpu_policy_domain_set(struct domain *d, const xen_cpuid_leaf_t *leaves,
                          unsigned int nr_leaves, const xen_msr_entry_t *msrs,
                          unsigned int nr_msrs, struct cpu_policy_error *err);

void cpu_policy_to_featureset(const struct cpu_policy *p,
                              uint32_t words[CPU_FEATURESET_WORDS]);
bool cpu_policy_has(const struct cpu_policy *p,
                    unsigned int feature); /* XEN_X86_FEATURE_* */
static inline bool domain_has_feature(const struct domain *d, unsigned int feature)
{
    return cpu_policy_has(d->hvm->policy, feature);
}

/* Bits that the guest may set. */
static inline uint64_t cpu_policy_cr4_mask(const struct domain *d)
{
    return d->hvm->policy->cr4_mask;
}
static inline uint64_t cpu_policy_efer_mask(const struct domain *d)
{
    return d->hvm->policy->efer_mask;
}
static inline uint64_t cpu_policy_xcr0_mask(const struct domain *d)
{
    return d->hvm->policy->xcr0_mask;
}
static inline unsigned int cpu_policy_maxphysaddr(const struct domain *d)
{
    return d->hvm->policy->maxphysaddr;
}
/* Bytes of the standard-format XSAVE area for the components in `mask`. */
uint32_t cpu_policy_xsave_size(const struct cpu_policy *p, uint64_t mask);

#endif
