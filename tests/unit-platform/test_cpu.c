/* CPUID and MSR policy, MTRRs, Hyper-V leaves. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"
#include "cpu/x86.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/sysctl.h>

#define HAS(p, name) cpu_policy_has(p, XEN_X86_FEATURE_##name)

/*
 * Machines of paper.
 */
static bool intel, rich;

static void paper_basic(uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out)
{
    switch (leaf) {
    case 0:
        *out =
            intel
                ? (struct cpuid_leaf){rich ? 0x16 : 5, 0x756e6547, 0x6c65746e, 0x49656e69}
                : (struct cpuid_leaf){rich ? 0xd : 1, 0x68747541, 0x444d4163, 0x69746e65};
        break;
    case 1:
        *out = (struct cpuid_leaf){
            .a = 0x800f12, .b = 0x05020800, .c = 0x00802009, .d = 0x178bfbff};
        if (rich) /* everything but OSXSAVE */
            out->c = 0xf7ffffff & ~(1u << 31), out->d = 0xbfebfbff;
        break;
    case 4:
        if (intel && subleaf < 4)
            *out = (struct cpuid_leaf){
                .a = subleaf == 3 ? 0x163 : 0x121, .b = 0x1c0003f, .c = 63};
        break;
    case 5:
        *out = (struct cpuid_leaf){64, 64, 3, 0x20};
        break;
    case 7:
        if (rich && subleaf == 0)
            *out = (struct cpuid_leaf){.a = 1, .b = ~0u, .c = ~0u, .d = ~0u};
        if (rich && subleaf == 1)
            *out = (struct cpuid_leaf){.a = ~0u, .b = ~0u, .c = ~0u, .d = ~0u};
        break;
    case 0xd:
        if (!rich)
            break;
        if (subleaf == 0)
            *out = (struct cpuid_leaf){.a = 0x2ff, .b = 2696, .c = 2696};
        if (subleaf == 1)
            *out = (struct cpuid_leaf){.a = 0xf, .b = 2696, .c = 0x1900};
        if (subleaf == 2)
            *out = (struct cpuid_leaf){.a = 256, .b = 576};
        if (subleaf == 3 || subleaf == 4)
            *out = (struct cpuid_leaf){.a = 64, .b = 832 + 64 * subleaf};
        if (subleaf == 5)
            *out = (struct cpuid_leaf){.a = 64, .b = 1088};
        if (subleaf == 6)
            *out = (struct cpuid_leaf){.a = 512, .b = 1152};
        if (subleaf == 7)
            *out = (struct cpuid_leaf){.a = 1024, .b = 1664};
        if (subleaf == 9)
            *out = (struct cpuid_leaf){.a = 8, .b = 2688};
        break;
    }
}

static void paper_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_leaf *out)
{
    *out = (struct cpuid_leaf){0};
    switch (leaf) {
    case 0x80000000:
        out->a = 0x80000000 + (rich ? 0x28 : 8);
        break;
    case 0x80000001:
        *out = (struct cpuid_leaf){.a = 0x800f12, .c = 0x1f7, .d = 0x2fd3fbff};
        if (rich)
            out->c = out->d = ~0u;
        break;
    case 0x80000007:
        out->d = rich ? ~0u : 0;
        break;
    case 0x80000008:
        *out = (struct cpuid_leaf){
            .a = rich ? 0x3934 : 0x3028, .b = rich ? ~0u : 0, .c = 0x3007};
        break;
    case 0x8000000a:
    case 0x8000001f:
        *out = (struct cpuid_leaf){~0u, ~0u, ~0u, ~0u};
        break;
    case 0x80000021:
        out->a = rich ? ~0u : 0;
        break;
    default:
        if (leaf < 0x80000000)
            paper_basic(leaf, subleaf, out);
    }
}

static bool paper_rdmsr(uint32_t msr, uint64_t *val)
{
    *val = msr == 0x10a ? ~0ull : 0;
    return msr == 0x10a;
}

static void make(struct cpu_policy *host, struct cpu_policy *max, struct cpu_policy *def)
{
    cpu_policy_read(host, paper_cpuid, paper_rdmsr);
    cpu_policy_make_hvm_max(max, host);
    cpu_policy_make_hvm_default(def, max);
}

static void test_small_amd(void **state)
{
    struct cpu_policy host, max, def;

    intel = rich = false;
    make(&host, &max, &def);
    assert_true(def.amd);
    assert_int_equal(def.basic[0].a, 0xb); /* leaf 0xb: ids of our x2APIC */
    /* Ours, whatever the machine has. */
    assert_true(HAS(&def, X2APIC) && HAS(&def, TSC_DEADLINE) && HAS(&def, HYPERVISOR));
    assert_true(HAS(&def, APIC) && HAS(&def, MTRR) && HAS(&def, TSC_ADJUST));
    assert_true(HAS(&def, ITSC));
    assert_false(HAS(&def, SVM) || HAS(&def, XSAVE) || HAS(&def, SKINIT));
    assert_int_equal(def.xcr0_mask, 0);
    assert_int_equal(def.maxphysaddr, 40);
    /* 80000001.EDX repeats 1.EDX */
    assert_int_equal(def.extd[1].d & 0x0183f3ff, def.basic[1].d & 0x0183f3ff);
    assert_int_equal(def.cr4_mask & CR4_OSXSAVE, 0);
    assert_int_equal(def.efer_mask,
                     EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR);
}

static void test_rich_machine(void **state)
{
    struct cpu_policy host, max, def;
    static const uint16_t never[] = {
        XEN_X86_FEATURE_VMX,      XEN_X86_FEATURE_SVM,        XEN_X86_FEATURE_MONITOR,
        XEN_X86_FEATURE_CET_SS,   XEN_X86_FEATURE_CET_IBT,    XEN_X86_FEATURE_MPX,
        XEN_X86_FEATURE_SGX,      XEN_X86_FEATURE_PROC_TRACE, XEN_X86_FEATURE_RTM,
        XEN_X86_FEATURE_HLE,      XEN_X86_FEATURE_CORE_CAPS,  XEN_X86_FEATURE_PDCM,
        XEN_X86_FEATURE_DS,       XEN_X86_FEATURE_VIRT_SSBD,  XEN_X86_FEATURE_OSXSAVE,
        XEN_X86_FEATURE_OSPKE,    XEN_X86_FEATURE_LWP,        XEN_X86_FEATURE_HYBRID,
        XEN_X86_FEATURE_TSX_CTRL, XEN_X86_FEATURE_MONITORX,
    };

    rich = true;
    for (int vendor = 0; vendor < 2; vendor++) {
        intel = vendor;
        make(&host, &max, &def);
        for (unsigned int i = 0; i < ARRAY_SIZE(never); i++) {
            assert_false(cpu_policy_has(&max, never[i]));
            assert_false(cpu_policy_has(&def, never[i]));
        }
        assert_true(HAS(&def, AVX512F) && HAS(&def, PKU) && HAS(&def, ITSC) &&
                    HAS(&def, SMAP));
        assert_int_equal(def.xcr0_mask, 0x2e7);
        assert_int_equal(cpu_policy_xsave_size(&def, 3), 576);
        assert_int_equal(cpu_policy_xsave_size(&def, 7), 832);
        assert_int_equal(cpu_policy_xsave_size(&def, 0x2e7), 2696);
        assert_int_equal(def.xstate[3].a, 0); /* MPX */
        assert_int_equal(def.maxphysaddr, 48);
        assert_int_equal(def.basic[5].a, 0);
        assert_int_equal(def.extd[0xa].a, 0);
        assert_int_equal(def.extd[0].a, intel ? 0x80000008 : 0x80000021);
        assert_int_equal(def.basic[0].a, 0xd);
        assert_false(HAS(&def, MOVDIRI));
        assert_true(HAS(&max, MOVDIRI));
        assert_true(HAS(&def, ARCH_CAPS));
        assert_int_equal(def.arch_caps & 1, 1);
        assert_int_equal(def.arch_caps >> 9 & 7, 0);
    }
}

static void test_dependencies(void **state)
{
    struct domain *d = guest_create(1, GUEST_HVM);
    const struct cpu_policy *max = cpu_policy_system(XEN_SYSCTL_cpu_policy_hvm_max);
    xen_cpuid_leaf_t leaf = {1,
                             XEN_CPUID_NO_SUBLEAF,
                             max->basic[1].a,
                             max->basic[1].b,
                             max->basic[1].c & ~(1u << 26),
                             max->basic[1].d};
    struct cpu_policy_error err;

    /* No XSAVE: no AVX, nothing that needs it, no states. */
    assert_int_equal(cpu_policy_domain_set(d, &leaf, 1, NULL, 0, &err), 0);
    assert_false(HAS(d->hvm->policy, XSAVE) || HAS(d->hvm->policy, AVX) ||
                 HAS(d->hvm->policy, AVX2) || HAS(d->hvm->policy, FMA));
    assert_int_equal(d->hvm->policy->xcr0_mask, 0);
    /* Features that the maximum has not are cut without a word. */
    leaf.c = ~0u;
    assert_int_equal(cpu_policy_domain_set(d, &leaf, 1, NULL, 0, &err), 0);
    assert_false(HAS(d->hvm->policy, VMX));
    d->vcpus[0]->initialised = true;
    assert_int_equal(cpu_policy_domain_set(d, &leaf, 1, NULL, 0, &err), -EEXIST);
    guest_destroy(d);
}

static void test_serialise(void **state)
{
    static const unsigned int index[] = {
        XEN_SYSCTL_cpu_policy_raw, XEN_SYSCTL_cpu_policy_host,
        XEN_SYSCTL_cpu_policy_hvm_max, XEN_SYSCTL_cpu_policy_hvm_default};
    xen_cpuid_leaf_t leaves[CPU_POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[CPU_POLICY_MAX_MSRS];
    struct cpu_policy_error err = {0};
    struct domain *d = guest_create(3, GUEST_HVM);

    for (unsigned int i = 0; i < ARRAY_SIZE(index); i++) {
        const struct cpu_policy *p = cpu_policy_system(index[i]);
        struct cpu_policy copy = {0};
        unsigned int n = cpu_policy_to_leaves(p, leaves);

        assert_in_range(n, 20, CPU_POLICY_MAX_LEAVES);
        for (unsigned int j = 1; j < n; j++) /* sorted */
            assert_true(leaves[j].leaf > leaves[j - 1].leaf ||
                        (leaves[j].leaf == leaves[j - 1].leaf &&
                         leaves[j].subleaf > leaves[j - 1].subleaf));
        assert_int_equal(cpu_policy_from_leaves(&copy, leaves, n, &err), 0);
        assert_memory_equal(copy.basic, p->basic, sizeof(copy.basic));
        assert_memory_equal(copy.extd, p->extd, sizeof(copy.extd));
        assert_memory_equal(copy.feat, p->feat, sizeof(copy.feat));
        assert_int_equal(cpu_policy_to_msrs(p, msrs), 2);
        assert_int_equal(cpu_policy_from_msrs(&copy, msrs, 2, &err), 0);
        assert_int_equal(copy.arch_caps, p->arch_caps);
    }
    assert_null(cpu_policy_system(XEN_SYSCTL_cpu_policy_pv_max));
    assert_null(cpu_policy_system(XEN_SYSCTL_cpu_policy_pv_default));
    assert_null(cpu_policy_system(6));
    /* What a tool reads from a domain it can set again, and it changes nothing. */
    {
        struct cpu_policy before = *d->hvm->policy;
        unsigned int n = cpu_policy_to_leaves(&before, leaves);

        (void)cpu_policy_to_msrs(&before, msrs);
        assert_int_equal(cpu_policy_domain_set(d, leaves, n, msrs, 2, &err), 0);
        assert_memory_equal(&before, d->hvm->policy, sizeof(before));
    }
    guest_destroy(d);
}

static void test_bad_policies(void **state)
{
    static const struct {
        xen_cpuid_leaf_t leaf;
        int rc;
    } bad[] = {
        {{0xe, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0}, -ERANGE},
        {{1, 0, 0, 0, 0, 0}, -ERANGE},
        {{4, 6, 0, 0, 0, 0}, -ERANGE},
        {{4, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0}, -ERANGE},
        {{7, 3, 0, 0, 0, 0}, -ERANGE},
        {{0xd, 63, 0, 0, 0, 0}, -ERANGE},
        {{0x40000001, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0}, -ERANGE},
        {{0x80000022, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0}, -ERANGE},
        {{0xc0000000, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0}, -ERANGE},
        {{0, XEN_CPUID_NO_SUBLEAF, 0x20, 0, 0, 0}, -EINVAL},
        {{7, 0, 9, 0, 0, 0}, -EINVAL},
        {{0x80000000, XEN_CPUID_NO_SUBLEAF, 0x80000030, 0, 0, 0}, -EINVAL},
    };
    struct domain *d = guest_create(1, GUEST_HVM);
    struct cpu_policy before = *d->hvm->policy;
    xen_msr_entry_t msr = {.idx = 0x10};
    struct cpu_policy_error err;

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(cpu_policy_domain_set(d, &bad[i].leaf, 1, NULL, 0, &err),
                         bad[i].rc);
        assert_int_equal(err.leaf, bad[i].leaf.leaf);
        assert_int_equal(err.subleaf, bad[i].leaf.subleaf);
        assert_int_equal(err.msr, ~0u);
    }
    assert_int_equal(cpu_policy_domain_set(d, NULL, 0, &msr, 1, &err), -ERANGE);
    assert_int_equal(err.msr, 0x10);
    msr = (xen_msr_entry_t){.idx = 0xce, .flags = 1};
    assert_int_equal(cpu_policy_domain_set(d, NULL, 0, &msr, 1, &err), -EINVAL);
    msr = (xen_msr_entry_t){.idx = 0xce, .val = 1};
    assert_int_equal(cpu_policy_domain_set(d, NULL, 0, &msr, 1, &err), -EOVERFLOW);
    assert_int_equal(err.msr, 0xce);
    assert_memory_equal(&before, d->hvm->policy, sizeof(before));
    guest_destroy(d);
}

static void test_featureset(void **state)
{
    struct cpu_policy host, max, def;
    uint32_t fs[CPU_FEATURESET_WORDS];

    rich = intel = false;
    make(&host, &max, &def);
    cpu_policy_to_featureset(&def, fs);
    assert_int_equal(fs[0], def.basic[1].d);
    assert_int_equal(fs[1], def.basic[1].c);
    assert_int_equal(fs[2] & 0x0183f3ff, 0);
    assert_true(fs[2] >> 29 & 1);
}

/*
 * CPUID of a guest.
 */
static void test_dynamic_leaves(void **state)
{
    struct domain *d = guest_create(4, GUEST_HVM);
    struct vcpu *v = d->vcpus[3];
    uint32_t r[4];

    hvm_cpuid(v, 1, 0, r);
    assert_int_equal(r[1] >> 24, 6);
    assert_int_equal(r[2] >> 27 & 1, 0);
    assert_int_equal(r[2] >> 31, 1);
    assert_int_equal(r[3] >> 9 & 1, 1);
    assert_int_equal(r[1] >> 16 & 0xff, 8); /* APIC ids of the package */
    v->hvm->cr4 = CR4_OSXSAVE | CR4_PKE;
    assert_int_equal(hvm_wrmsr(v, 0x1b, 0xfee00000), 0);
    hvm_cpuid(v, 1, 0, r);
    assert_int_equal(r[2] >> 27 & 1, 1);
    assert_int_equal(r[3] >> 9 & 1, 0);
    hvm_cpuid(v, 7, 0, r);
    assert_int_equal(r[2] >> 4 & 1, 1);
    hvm_cpuid(v, 7, 99, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    hvm_cpuid(v, 0xb, 0, r);
    assert_int_equal(r[0], 1);
    assert_int_equal(r[1], 1);
    assert_int_equal(r[2], 0x100);
    assert_int_equal(r[3], 6);
    hvm_cpuid(v, 0xb, 1, r);
    assert_int_equal(r[0], 3);
    assert_int_equal(r[1], 4);
    assert_int_equal(r[2], 0x201);
    hvm_cpuid(v, 0xb, 2, r);
    assert_int_equal(r[2], 2);
    assert_int_equal(r[3], 6);
    if (d->hvm->policy->xcr0_mask & 4) {
        v->hvm->xcr0 = 3;
        hvm_cpuid(v, 0xd, 0, r);
        assert_int_equal(r[1], 576);
        v->hvm->xcr0 = 7;
        hvm_cpuid(v, 0xd, 0, r);
        assert_int_equal(r[1], 832);
    }
    hvm_cpuid(v, 0xd, ~0u, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    hvm_cpuid(v, 0x80000100, 0, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    hvm_cpuid(v, 0x7fffffff, 0, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    guest_destroy(d);
}

static void test_xen_leaves(void **state)
{
    struct domain *d = guest_create(2, GUEST_HVM);
    struct vcpu *v = d->vcpus[1];
    uint32_t r[4];

    hvm_cpuid(v, 0x40000000, 0, r);
    assert_int_equal(r[0], 0x40000004);
    assert_memory_equal(&r[1], "XenVMMXenVMM", 12);
    hvm_cpuid(v, 0x40000001, 0, r);
    assert_int_equal(r[0], 4 << 16 | 17);
    hvm_cpuid(v, 0x40000002, 0, r);
    assert_int_equal(r[0], 1);
    assert_int_equal(r[1], 0x40000000);
    hvm_cpuid(v, 0x40000003, 0, r);
    assert_int_equal(r[2], 2000000);
    hvm_cpuid(v, 0x40000004, 0, r);
    assert_int_equal(r[0], XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT);
    assert_int_equal(r[1], 1);
    assert_int_equal(r[2], 7);
    hvm_cpuid(v, 0x40000005, 0, r);
    assert_int_equal(r[0], 0);
    /* With Hyper-V's they move. */
    d->hvm->params[HVM_PARAM_VIRIDIAN] = HVMPV_base_freq | HVMPV_time_ref_count;
    hvm_cpuid(v, 0x40000000, 0, r);
    assert_memory_equal(&r[1], "Microsoft Hv", 12);
    hvm_cpuid(v, 0x40000100, 0, r);
    assert_int_equal(r[0], 0x40000104);
    assert_memory_equal(&r[1], "XenVMMXenVMM", 12);
    hvm_cpuid(v, 0x40000102, 0, r);
    assert_int_equal(r[1], 0x40000200);
    d->hvm->params[HVM_PARAM_VIRIDIAN] = 0;
    d->hvm->hide_xen_leaves = true;
    for (uint32_t leaf = 0x40000000; leaf < 0x40000200; leaf++) {
        hvm_cpuid(v, leaf, 0, r);
        assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    }
    assert_int_equal(hvm_wrmsr(v, 0x40000000, 0x1000), -EINVAL);
    guest_destroy(d);
}

/*
 * MSRs
 */
static struct domain *d;
static struct vcpu *v;

static int setup(void **state)
{
    d = guest_create(1, GUEST_HVM);
    v = d->vcpus[0];
    return 0;
}

static int teardown(void **state)
{
    guest_destroy(d);
    return 0;
}

static uint64_t rd(uint32_t msr)
{
    uint64_t val = ~0ull;

    assert_int_equal(hvm_rdmsr(v, msr, &val), 0);
    return val;
}

static void test_tsc(void **state)
{
    uint64_t before = rd(0x10);

    assert_int_equal(rd(0x3b), 0);
    assert_int_equal(hvm_wrmsr(v, 0x10, before + 1000), 0);
    assert_int_equal(rd(0x3b), 1000);
    assert_int_equal(rd(0x10), before + 1000);
    assert_int_equal(hvm_wrmsr(v, 0x3b, 0), 0);
    assert_int_equal(rd(0x10), before);
    assert_int_equal(hvm_wrmsr(v, 0x3b, -5000ll), 0);
    assert_int_equal(rd(0x10), before - 5000);
    assert_int_equal(hvm_wrmsr(v, 0xc0000103, 1ull << 32), -EINVAL);
}

static void test_switched(void **state)
{
    static const uint32_t msrs[] = {0x174,      0x175,      0x176,      0xc0000081,
                                    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
                                    0xc0000101, 0xc0000102};
    uint64_t val;

    for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
        assert_int_equal(hvm_wrmsr(v, msrs[i], 0x1000 + i), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
        assert_int_equal(rd(msrs[i]), 0x1000 + i);
    assert_int_equal(hvm_wrmsr(v, 0xc0000082, 1ull << 47), -EINVAL); /* not canonical */
    assert_int_equal(hvm_wrmsr(v, 0xc0000100, 0x8000000000000000ull), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0xc0000102, 0xffff800000000000ull), 0);
    assert_int_equal(rd(0xc0000102), 0xffff800000000000ull);
    assert_int_equal(hvm_wrmsr(v, 0xc0000084, 1ull << 32), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0xc0000080, 0x501), 0);
    assert_int_equal(rd(0xc0000080), 0x501);
    assert_int_equal(hvm_wrmsr(v, 0xc0000080, 1 << 12), -EINVAL); /* SVME */
    assert_int_equal(hvm_rdmsr(v, 0x12345, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x12345, 0), -EINVAL);
    assert_int_equal(hvm_rdmsr(v, 0xc0010117, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0xc0010117, 0), -EINVAL);
}

static void test_vendor_msrs(void **state)
{
    uint64_t val;

    d->hvm->policy->amd = true;
    for (uint32_t msr = 0xc0010000; msr < 0xc0010008; msr++) {
        assert_int_equal(hvm_wrmsr(v, msr, 0x123), 0);
        assert_int_equal(rd(msr), 0);
    }
    assert_int_equal(rd(0xc0010010), 0);
    assert_int_equal(rd(0xc0010114), 0x18);
    assert_int_equal(rd(0xc0011029), 2);
    assert_int_equal(hvm_rdmsr(v, 0x1a0, &val), -EINVAL);
    d->hvm->policy->amd = false;
    assert_int_equal(rd(0x1a0), 0x1801);
    assert_int_equal(hvm_rdmsr(v, 0xc0010010, &val), -EINVAL);
    assert_int_equal(rd(0x179), 2);
    assert_int_equal(rd(0x17a), 0);
    for (uint32_t msr = 0x400; msr < 0x408; msr++)
        assert_int_equal(rd(msr), 0);
    assert_int_equal(hvm_wrmsr(v, 0x400, ~0ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x401, 0), 0);
    assert_int_equal(hvm_wrmsr(v, 0x401, 1), -EINVAL);
    assert_int_equal(hvm_rdmsr(v, 0x408, &val), -EINVAL);
    assert_int_equal(rd(0x8b), 0);
}

static void test_hypercall_page(void **state)
{
    assert_int_equal(hvm_wrmsr(v, 0x40000000, 0x3000), 0);
    assert_memory_equal(fake_ram + 0x3000, ((uint8_t[]){0x0f, 0x01, 0xd9}), 3);
    assert_int_equal(hvm_wrmsr(v, 0x40000000, 0x3001), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x40000000, 1ull << 40), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x40000200, 0x3000), -EINVAL);
}

static void test_mtrr(void **state)
{
    assert_int_equal(rd(0xfe), 0x508);
    assert_int_equal(rd(0x277), 0x0007040600070406ull);
    assert_int_equal(hvm_wrmsr(v, 0xfe, 0), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x277, 0x0007040600070402ull), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x277, 0x0106040600070406ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x2ff, 0x402), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x2ff, 0x1000), -EINVAL);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0), MEMTYPE_UC); /* off */
    assert_int_equal(hvm_wrmsr(v, 0x2ff, 0xc06), 0);
    assert_int_equal(hvm_wrmsr(v, 0x250, 0x0606060606060606ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x250, 0x0606060606060607ull), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x258, 0x0606060606060606ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x259, 0x0101010101010101ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x268, 0x0505050505050504ull), 0);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0x7ffff), MEMTYPE_WB);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0x9f000), MEMTYPE_WB);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xa0000), MEMTYPE_WC);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xc0000), MEMTYPE_WT);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xc1000), MEMTYPE_WP);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xf0000), MEMTYPE_UC);
    /* 3 - 4 GiB uncached, 256 MiB of it write-combining */
    assert_int_equal(hvm_wrmsr(v, 0x200, 0xc0000000), 0);
    assert_int_equal(hvm_wrmsr(v, 0x201, 0x00000000c0000800ull | 0xff00000000ull), 0);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xbffff000), MEMTYPE_WB);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xc0000000), MEMTYPE_UC);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0x100000000ull), MEMTYPE_WB);
    assert_int_equal(hvm_wrmsr(v, 0x202, 0xd0000001), 0);
    assert_int_equal(hvm_wrmsr(v, 0x203, 0x00000000f0000800ull | 0xff00000000ull), 0);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0xd0000000), MEMTYPE_UC); /* UC wins */
    assert_int_equal(hvm_wrmsr(v, 0x202, 0xd0000102), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x203, 1ull << 60), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x210, 0), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x2ff, 0), 0);
    assert_int_equal(mtrr_memtype(v->hvm->mtrr, 0), MEMTYPE_UC);
}

static void test_viridian(void **state)
{
    uint64_t val, start;

    assert_int_equal(hvm_rdmsr(v, 0x40000002, &val), -EINVAL);
    d->hvm->params[HVM_PARAM_VIRIDIAN] =
        HVMPV_base_freq | HVMPV_time_ref_count | HVMPV_reference_tsc;
    assert_int_equal(rd(0x40000002), 0);
    assert_int_equal(rd(0x40000022), tsc_hz);
    assert_int_equal(rd(0x40000023), 100000000);
    start = rd(0x40000020);
    pass(NS_PER_S);
    assert_int_equal(rd(0x40000020) - start, 10000000);
    /* The hypercall page needs an OS id first. */
    assert_int_equal(hvm_wrmsr(v, 0x40000001, 0x2001), 0);
    assert_int_equal(rd(0x40000001), 0x2000);
    assert_int_equal(hvm_wrmsr(v, 0x40000000, 0x1040a0000ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x40000001, 0x2001), 0);
    assert_int_equal(fake_ram[0x2000], 0xb8);
    assert_int_equal(fake_ram[0x2001], 2);
    assert_int_equal(hvm_wrmsr(v, 0x40000000, 0), 0);
    assert_int_equal(rd(0x40000001), 0x2000);
    /* APIC through MSRs */
    apic_enable(v);
    assert_int_equal(hvm_wrmsr(v, 0x40000072, 0x20), 0);
    assert_int_equal(apic_read(v, APIC_TPR), 0x20);
    assert_int_equal(hvm_wrmsr(v, 0x40000071, 0x44055), 0);
    assert_int_equal(take_interrupt(v), 0x55);
    assert_int_equal(hvm_wrmsr(v, 0x40000070, 0), 0);
    assert_int_equal(apic_read(v, APIC_ISR + 2), 0);
    /* Reference TSC: agrees with the count. */
    d->hvm->policy->extd[7].d |= 1u << 8;
    assert_int_equal(hvm_wrmsr(v, 0x40000021, 0x4001), 0);
    pass(12345678);
    {
        uint64_t scale;
        int64_t offset;
        uint32_t sequence;

        memcpy(&sequence, fake_ram + 0x4000, 4);
        memcpy(&scale, fake_ram + 0x4008, 8);
        memcpy(&offset, fake_ram + 0x4010, 8);
        assert_int_not_equal(sequence, 0);
        val = (uint64_t)((unsigned __int128)rd(0x10) * scale >> 64) + offset;
        assert_in_range(val, rd(0x40000020) - 1, rd(0x40000020) + 1);
    }
    assert_int_equal(hvm_wrmsr(v, 0x40000021, 1ull << 50 | 1), 0); /* no RAM: no page */
    assert_int_equal(hvm_rdmsr(v, 0x40000100, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x40000080, 0), -EINVAL); /* no SynIC */
    assert_int_equal(hvm_wrmsr(v, 0x40000200, 0x3000), 0);
}

/* Every MSR number that a fuzzer would try first: nothing crashes. */
static void test_all_msrs(void **state)
{
    static const uint32_t base[] = {0,          0x800,      0x40000000,
                                    0xc0000000, 0xc0010000, 0xc0011000};
    static const uint64_t vals[] = {0, ~0ull, 0xdeadbeefcafef00dull};
    uint64_t val;

    for (unsigned int i = 0; i < ARRAY_SIZE(base); i++) {
        for (uint32_t n = 0; n < 0x1000; n++) {
            (void)hvm_rdmsr(v, base[i] + n, &val);
            for (unsigned int j = 0; j < ARRAY_SIZE(vals); j++)
                (void)hvm_wrmsr(v, base[i] + n, vals[j]);
        }
    }
}

/* SPEC_CTRL, PRED_CMD, FLUSH_CMD: as the policy says, bit by bit. */
static void test_speculation_msrs(void **state)
{
    struct cpu_policy *p = d->hvm->policy;
    uint64_t val;

    p->feat[0].d = p->feat[2].d = p->extd[8].b = 0;
    assert_int_equal(hvm_rdmsr(v, 0x48, &val), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x48, 0), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x49, 0), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x10b, 0), -EINVAL);
    p->feat[0].d = 1u << 26; /* IBRS and IBPB */
    assert_int_equal(hvm_wrmsr(v, 0x48, 4), -EINVAL);
    assert_false(v->hvm->spec.msr_passed);
    assert_int_equal(hvm_wrmsr(v, 0x48, 3), 0);
    assert_true(v->hvm->spec.msr_passed);
    assert_int_equal(hvm_rdmsr(v, 0x48, &val), 0);
    assert_int_equal(val, 3);
    assert_int_equal(hvm_wrmsr(v, 0x49, 0), 0);
    assert_int_equal(hvm_wrmsr(v, 0x49, 0x81), -EINVAL);
    p->feat[0].d |= 1u << 31 | 1u << 28; /* SSBD, L1D_FLUSH */
    p->feat[2].d = 1u << 4;              /* BHI_CTRL */
    assert_int_equal(hvm_wrmsr(v, 0x48, 0x405), 0);
    assert_int_equal(hvm_wrmsr(v, 0x48, 0x408), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x10b, 2), -EINVAL);
    assert_int_equal(hvm_wrmsr(v, 0x10b, 0), 0);
    p->feat[0].d = p->feat[2].d = 0;
    p->extd[8].b = 1u << 14 | 1u << 24; /* AMD's IBRS and SSBD */
    assert_int_equal(hvm_wrmsr(v, 0x48, 5), 0);
    assert_int_equal(hvm_wrmsr(v, 0x48, 0x85), -EINVAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(speculation_msrs),
        cmocka_unit_test(test_small_amd),
        cmocka_unit_test(test_rich_machine),
        cmocka_unit_test(test_dependencies),
        cmocka_unit_test(test_serialise),
        cmocka_unit_test(test_bad_policies),
        cmocka_unit_test(test_featureset),
        cmocka_unit_test(test_dynamic_leaves),
        cmocka_unit_test(test_xen_leaves),
        T(tsc),
        T(switched),
        T(vendor_msrs),
        T(hypercall_page),
        T(mtrr),
        T(viridian),
        T(all_msrs),
    };

    return cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
}
