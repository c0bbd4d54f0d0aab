/* RDMSR and WRMSR of guests. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 2 appendix A, Intel SDM vol 4. What is not known raises #GP, as on stock
 * Xen 4.17; a few registers that every kernel writes without asking are read as zero and
 * written to nowhere. Machine MSRs are never passed on, but for those that a guest steers
 * speculation with: the first time that it does it gets them without exits.
 */
#include "hvm/cpuid.h"
#include "hvm/mtrr.h"
#include "hvm/platform.h"
#include "hvm/viridian.h"
#include "hvm/vlapic.h"
#include "hypercall/hypercall.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "lib/errno.h"
#include "mm/frame.h"

#define MSR_PLATFORM_ID      0x17
#define MSR_FEATURE_CONTROL  0x3a
#define MSR_UCODE_REV        0x8b
#define MSR_PLATFORM_INFO    0xce
#define MSR_SYSENTER_CS      0x174
#define MSR_SYSENTER_ESP     0x175
#define MSR_SYSENTER_EIP     0x176
#define MSR_MCG_CAP          0x179
#define MSR_MCG_STATUS       0x17a
#define MSR_MCG_CTL          0x17b
#define MSR_MISC_ENABLE      0x1a0
#define MSR_DEBUGCTL         0x1d9
#define MSR_MC0_CTL          0x400
#define MSR_XSS              0xda0
#define MSR_HYPERCALL_PAGE   0x40000000
#define MSR_AMD_PERFEVTSEL0  0xc0010000
#define MSR_AMD_SYSCFG       0xc0010010
#define MSR_AMD_HWCR         0xc0010015
#define MSR_AMD_IORR0        0xc0010016
#define MSR_AMD_TOP_MEM      0xc001001a
#define MSR_AMD_TOP_MEM2     0xc001001d
#define MSR_AMD_NB_CFG       0xc001001f
#define MSR_AMD_INT_PENDING  0xc0010055
#define MSR_AMD_MMCONF       0xc0010058
#define MSR_AMD_PATCH_LOADER 0xc0010020
#define MSR_AMD_VM_CR        0xc0010114
#define MSR_AMD_VM_HSAVE_PA  0xc0010117
#define MSR_AMD_OSVW_LENGTH  0xc0010140
#define MSR_AMD_OSVW_STATUS  0xc0010141
#define MSR_AMD_F15_EVTSEL0  0xc0010200
#define MSR_AMD_LS_CFG       0xc0011020
#define MSR_AMD_IC_CFG       0xc0011021
#define MSR_AMD_DE_CFG       0xc0011029

#define MC_BANKS             2
#define DE_CFG_LFENCE        BIT(1) /* LFENCE is serializing */
#define HWCR_TSC_FREQ_SEL    BIT(24)
#define MISC_ENABLE_PERF_OFF (BIT(11) | BIT(12)) /* no BTS, no PEBS */
#define VM_CR_SVMDIS         BIT(4)
#define VM_CR_LOCK           BIT(3)
#define PRED_CMD_IBPB        BIT(0)
#define PRED_CMD_SBPB        BIT(7)

static bool has(const struct vcpu *v, unsigned int feature)
{
    return domain_has_feature(v->domain, feature);
}

static bool is_amd(const struct vcpu *v)
{
    return v->domain->hvm->policy->amd;
}

static bool canonical(uint64_t va)
{
    return ((int64_t)(va << 16) >> 16) == (int64_t)va;
}

/*
 * Time stamp counter.
 */
static void set_tsc_offset(struct vcpu *v, uint64_t offset)
{
    v->hvm->tsc_offset = offset;
    hvm_ops->update_tsc(v);
    vlapic_tsc_changed(v);
}

/* A write to the TSC moves TSC_ADJUST by as much (SDM vol 3, 18.17.3). */
static void write_tsc(struct vcpu *v, uint64_t val)
{
    uint64_t delta = val - hvm_guest_tsc(v);

    v->hvm->tsc_adjust += delta;
    set_tsc_offset(v, v->hvm->tsc_offset + delta);
}

static void write_tsc_adjust(struct vcpu *v, uint64_t val)
{
    uint64_t delta = val - v->hvm->tsc_adjust;

    v->hvm->tsc_adjust = val;
    set_tsc_offset(v, v->hvm->tsc_offset + delta);
}

/*
 * Registers that the hardware switches: through the back end.
 */
static uint64_t *switched_msr(struct hvm_msrs *m, uint32_t msr)
{
    switch (msr) {
    case MSR_STAR:
        return &m->star;
    case MSR_LSTAR:
        return &m->lstar;
    case MSR_CSTAR:
        return &m->cstar;
    case MSR_SFMASK:
        return &m->sfmask;
    case MSR_KERNEL_GS_BASE:
        return &m->kernel_gs_base;
    case MSR_SYSENTER_CS:
        return &m->sysenter_cs;
    case MSR_SYSENTER_ESP:
        return &m->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &m->sysenter_eip;
    case MSR_DEBUGCTL:
        return &m->debugctl;
    case MSR_SPEC_CTRL:
        return &m->spec_ctrl;
    }
    return NULL;
}

static bool has_spec_ctrl(const struct vcpu *v)
{
    return has(v, XEN_X86_FEATURE_IBRSB) || has(v, XEN_X86_FEATURE_IBRS);
}

static uint64_t spec_ctrl_mask(const struct vcpu *v)
{
    const struct cpu_policy *p = v->domain->hvm->policy;

    return spec_ctrl_valid(p->feat[0].d, p->feat[2].d, p->extd[8].b);
}

static bool switched_valid(const struct vcpu *v, uint32_t msr, uint64_t val)
{
    switch (msr) {
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_KERNEL_GS_BASE:
        return canonical(val);
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
        return is_amd(v) || canonical(val); /* AMD keeps 32 bits */
    case MSR_SFMASK:
        return !(val >> 32);
    case MSR_DEBUGCTL: /* LBR, BTF, and AMD's performance counter pins */
        return !(val & ~(is_amd(v) ? 0x3full : 3ull));
    case MSR_SPEC_CTRL:
        return has_spec_ctrl(v) && !(val & ~spec_ctrl_mask(v));
    }
    return true;
}

static int read_switched(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    struct hvm_msrs m;
    const uint64_t *reg = switched_msr(&m, msr);

    if (!reg || (msr == MSR_SPEC_CTRL && !has_spec_ctrl(v)))
        return -EINVAL;
    hvm_ops->get_msrs(v, &m);
    *val = *reg;
    return 0;
}

/* Exits read it back from now on; the intercept goes last, for other vCPUs run. */
static void pass_spec_ctrl(struct domain *d)
{
    for_each_vcpu(d, v) WRITE_ONCE(v->hvm->spec.msr_passed, true);
    hvm_ops->intercept_msr(d, MSR_SPEC_CTRL, false, false);
}

static int write_switched(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct hvm_msrs m;
    uint64_t *reg = switched_msr(&m, msr);

    if (!reg || !switched_valid(v, msr, val))
        return -EINVAL;
    hvm_ops->get_msrs(v, &m);
    *reg = val;
    hvm_ops->set_msrs(v, &m);
    if (msr == MSR_SPEC_CTRL && val && !v->hvm->spec.msr_passed)
        pass_spec_ctrl(v->domain);
    return 0;
}

static void read_segment_base(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    struct emul_seg seg;

    hvm_ops->get_segment(v, msr == MSR_FS_BASE ? EMUL_FS : EMUL_GS, &seg);
    *val = seg.base;
}

static int write_segment_base(struct vcpu *v, uint32_t msr, uint64_t val)
{
    unsigned int index = msr == MSR_FS_BASE ? EMUL_FS : EMUL_GS;
    struct emul_seg seg;

    if (!canonical(val))
        return -EINVAL;
    hvm_ops->get_segment(v, index, &seg);
    seg.base = val;
    hvm_ops->set_segment(v, index, &seg);
    return 0;
}

/* The guest asks for stubs in a page of its own; public ABI arch-x86/xen.h. Bits 11-0
 * number the page: there is one. */
static int write_hypercall_page(struct vcpu *v, uint64_t val)
{
    void *page;
    int rc = 0;

    if (val & ~PAGE_MASK)
        return -EINVAL;
    page = alloc_pages(0);
    if (!page)
        return -EINVAL;
    hypercall_page_fill(page, hvm_ops->hypercall_insn);
    if (guest_write_phys(v->domain, val, page, PAGE_SIZE))
        rc = -EINVAL;
    else
        hypercall_latch_layout(v);
    free_pages(page, 0);
    return rc;
}

static bool is_machine_check(uint32_t msr)
{
    return msr - MSR_MC0_CTL < 4 * MC_BANKS;
}

/* MSRs of the vendors' performance counters: no counter is there, but kernels probe. */
static bool is_amd_counter(uint32_t msr)
{
    return msr - MSR_AMD_PERFEVTSEL0 < 8 || msr - MSR_AMD_F15_EVTSEL0 < 12;
}

static int read_amd(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = 0;
    if (is_amd_counter(msr))
        return 0;
    switch (msr) {
    case MSR_AMD_HWCR:
        *val = has(v, XEN_X86_FEATURE_ITSC) ? HWCR_TSC_FREQ_SEL : 0;
        return 0;
    case MSR_AMD_VM_CR:
        *val = VM_CR_SVMDIS | VM_CR_LOCK; /* no nested virtualization */
        return 0;
    case MSR_AMD_DE_CFG:
        *val = DE_CFG_LFENCE;
        return 0;
    case MSR_AMD_OSVW_LENGTH: /* erratum list: empty */
    case MSR_AMD_OSVW_STATUS:
        return has(v, XEN_X86_FEATURE_OSVW) ? 0 : -EINVAL;
    case MSR_AMD_SYSCFG:
    case MSR_AMD_IORR0 ... MSR_AMD_IORR0 + 3:
    case MSR_AMD_TOP_MEM:
    case MSR_AMD_TOP_MEM2:
    case MSR_AMD_NB_CFG:
    case MSR_AMD_INT_PENDING:
    case MSR_AMD_MMCONF:
    case MSR_AMD_LS_CFG:
    case MSR_AMD_IC_CFG:
        return 0;
    }
    return -EINVAL;
}

static int write_amd(struct vcpu *v, uint32_t msr, uint64_t val)
{
    if (is_amd_counter(msr))
        return 0;
    switch (msr) {
    case MSR_AMD_VM_CR:
        return val & ~(VM_CR_SVMDIS | VM_CR_LOCK) ? -EINVAL : 0; /* locked */
    case MSR_AMD_PATCH_LOADER: /* refused without a word, as a loaded patch would be */
    case MSR_AMD_HWCR:
    case MSR_AMD_DE_CFG:
    case MSR_AMD_SYSCFG:
    case MSR_AMD_IORR0 ... MSR_AMD_IORR0 + 3:
    case MSR_AMD_TOP_MEM:
    case MSR_AMD_TOP_MEM2:
    case MSR_AMD_NB_CFG:
    case MSR_AMD_INT_PENDING:
    case MSR_AMD_MMCONF:
    case MSR_AMD_LS_CFG:
    case MSR_AMD_IC_CFG:
        return 0;
    }
    return -EINVAL;
}

static int read_intel(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = 0;
    switch (msr) {
    case MSR_MISC_ENABLE:
        *val = MISC_ENABLE_PERF_OFF | 1; /* fast strings */
        return 0;
    case MSR_PLATFORM_ID:
        return 0;
    case MSR_FEATURE_CONTROL:
        *val = 1; /* locked, nothing on */
        return 0;
    case MSR_ARCH_CAPS:
        *val = v->domain->hvm->policy->arch_caps;
        return has(v, XEN_X86_FEATURE_ARCH_CAPS) ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static int read_xen(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    if (viridian_enabled(v->domain) && msr - MSR_HYPERCALL_PAGE < 0x200)
        return viridian_msr_read(v, msr, val);
    return -EINVAL; /* the hypercall page's is write-only */
}

static int write_xen(struct vcpu *v, uint32_t msr, uint64_t val)
{
    bool viridian = viridian_enabled(v->domain);

    if (viridian && msr - MSR_HYPERCALL_PAGE < 0x200)
        return viridian_msr_write(v, msr, val);
    if (!v->domain->hvm->hide_xen_leaves &&
        msr == (viridian ? MSR_HYPERCALL_PAGE + 0x200 : MSR_HYPERCALL_PAGE))
        return write_hypercall_page(v, val);
    return -EINVAL;
}

int hvm_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    if (likely(msr - MSR_X2APIC_BASE < 0x100))
        return vlapic_msr_read(v, msr, val);
    if (is_machine_check(msr)) {
        *val = 0;
        return 0;
    }
    switch (msr) {
    case MSR_TSC:
        *val = hvm_guest_tsc(v);
        return 0;
    case MSR_TSC_ADJUST:
        *val = v->hvm->tsc_adjust;
        return has(v, XEN_X86_FEATURE_TSC_ADJUST) ? 0 : -EINVAL;
    case MSR_APIC_BASE:
    case MSR_TSC_DEADLINE:
        return vlapic_msr_read(v, msr, val);
    case MSR_EFER:
        *val = v->hvm->efer;
        return 0;
    case MSR_FS_BASE:
    case MSR_GS_BASE:
        read_segment_base(v, msr, val);
        return 0;
    case MSR_TSC_AUX:
        *val = v->hvm->tsc_aux;
        return has(v, XEN_X86_FEATURE_RDTSCP) || has(v, XEN_X86_FEATURE_RDPID) ? 0
                                                                               : -EINVAL;
    case MSR_XSS:
        *val = 0;
        return has(v, XEN_X86_FEATURE_XSAVES) ? 0 : -EINVAL;
    /* Intel's, but CPUID faulting is ours to give on any processor. */
    case MSR_PLATFORM_INFO:
        *val = v->domain->hvm->policy->platform_info;
        return *val || !is_amd(v) ? 0 : -EINVAL;
    case MSR_MISC_FEATURES:
        *val = v->hvm->cpuid_faulting;
        return v->domain->hvm->policy->platform_info ? 0 : -EINVAL;
    case MSR_UCODE_REV:
    case MSR_MCG_STATUS:
        *val = 0;
        return 0;
    case MSR_MCG_CAP:
        *val = MC_BANKS;
        return 0;
    case MSR_MTRR_CAP:
    case MSR_MTRR_PHYSBASE0 ... MSR_MTRR_DEF_TYPE:
        return vmtrr_msr_read(v, msr, val) ? -EINVAL : 0;
    case MSR_HYPERCALL_PAGE ... MSR_HYPERCALL_PAGE + 0x3ff:
        return read_xen(v, msr, val);
    }
    if (!read_switched(v, msr, val))
        return 0;
    return is_amd(v) ? read_amd(v, msr, val) : read_intel(v, msr, val);
}

/* IBPB of the guest is one of the processor's: it must not run with predictions from
 * before. */
static int write_pred_cmd(struct vcpu *v, uint64_t val)
{
    uint64_t allowed = PRED_CMD_IBPB | (has(v, XEN_X86_FEATURE_SBPB) ? PRED_CMD_SBPB : 0);

    if (!has(v, XEN_X86_FEATURE_IBPB) && !has(v, XEN_X86_FEATURE_IBRSB))
        return -EINVAL;
    if (val & ~allowed)
        return -EINVAL;
    if (!val)
        return 0;
    hvm_ops->intercept_msr(v->domain, MSR_PRED_CMD, true, false);
    return wrmsr_safe(MSR_PRED_CMD, val) ? -EINVAL : 0;
}

static int write_flush_cmd(struct vcpu *v, uint64_t val)
{
    if (!has(v, XEN_X86_FEATURE_L1D_FLUSH) || (val & ~1ull))
        return -EINVAL;
    return val && wrmsr_safe(MSR_FLUSH_CMD, val) ? -EINVAL : 0;
}

int hvm_wrmsr(struct vcpu *v, uint32_t msr, uint64_t val)
{
    if (likely(msr - MSR_X2APIC_BASE < 0x100))
        return vlapic_msr_write(v, msr, val);
    if (is_machine_check(msr)) /* control: no bank reports; status: cleared only */
        return (msr & 3) == 1 && val ? -EINVAL : 0;
    switch (msr) {
    case MSR_TSC:
        write_tsc(v, val);
        return 0;
    case MSR_TSC_ADJUST:
        if (!has(v, XEN_X86_FEATURE_TSC_ADJUST))
            return -EINVAL;
        write_tsc_adjust(v, val);
        return 0;
    case MSR_APIC_BASE:
    case MSR_TSC_DEADLINE:
        return vlapic_msr_write(v, msr, val);
    case MSR_EFER:
        return hvm_set_efer(v, val);
    case MSR_FS_BASE:
    case MSR_GS_BASE:
        return write_segment_base(v, msr, val);
    case MSR_TSC_AUX:
        if ((val >> 32) ||
            !(has(v, XEN_X86_FEATURE_RDTSCP) || has(v, XEN_X86_FEATURE_RDPID)))
            return -EINVAL;
        v->hvm->tsc_aux = val;
        if (v == current) /* RDTSCP is not intercepted; else with the switch to it */
            (void)wrmsr_safe(MSR_TSC_AUX, val);
        return 0;
    case MSR_XSS: /* no supervisor state is offered */
        return !val && has(v, XEN_X86_FEATURE_XSAVES) ? 0 : -EINVAL;
    case MSR_MISC_FEATURES:
        if ((val & ~1ull) || !v->domain->hvm->policy->platform_info)
            return -EINVAL;
        v->hvm->cpuid_faulting = val;
        return 0;
    case MSR_PRED_CMD:
        return write_pred_cmd(v, val);
    case MSR_FLUSH_CMD:
        return write_flush_cmd(v, val);
    case MSR_UCODE_REV: /* written before it is read, to make the CPU fill it in */
    case MSR_MCG_STATUS:
        return 0;
    case MSR_MTRR_CAP:
    case MSR_MTRR_PHYSBASE0 ... MSR_MTRR_DEF_TYPE:
        return vmtrr_msr_write(v, msr, val) ? -EINVAL : 0;
    case MSR_HYPERCALL_PAGE ... MSR_HYPERCALL_PAGE + 0x3ff:
        return write_xen(v, msr, val);
    }
    if (!write_switched(v, msr, val))
        return 0;
    if (is_amd(v))
        return write_amd(v, msr, val);
    return msr == MSR_MISC_ENABLE ? 0 : -EINVAL;
}
