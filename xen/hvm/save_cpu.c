/* HVM context records of a vCPU's registers. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CPU, CPU_XSAVE, CPU_MSR, MTRR, VMCE_VCPU, TSC_ADJUST of the public ABI. Registers go
 * through the back end's operations, never through its control structure. What is loaded
 * must be something that the guest could have set itself: nothing of it may make an entry
 * or an XRSTOR of the hypervisor fail.
 */
#include "hvm/save.h"
#include "hvm/cpuid.h"
#include "hvm/mtrr.h"
#include "hvm/tsc.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"

#define FXSAVE_BYTES 512
#define MXCSR_OFFSET 24
#define MXCSR_VALID  0xffffu
#define FCW_RESET    0x37f
#define MXCSR_RESET  0x1f80
#define TSC_AUX_MAX  0xffffffffull
#define MCG_BANKS    2

/* One line per segment register with a selector: name in the record, index of ours. */
#define EACH_SEGMENT(X)                                                                  \
    X(cs, EMUL_CS)                                                                       \
    X(ds, EMUL_DS)                                                                       \
    X(es, EMUL_ES)                                                                       \
    X(fs, EMUL_FS)                                                                       \
    X(gs, EMUL_GS)                                                                       \
    X(ss, EMUL_SS)                                                                       \
    X(tr, EMUL_TR)                                                                       \
    X(ldtr, EMUL_LDTR)
#define EACH_GPR(X)                                                                      \
    X(rax)                                                                               \
    X(rbx)                                                                               \
    X(rcx)                                                                               \
    X(rdx)                                                                               \
    X(rbp)                                                                               \
    X(rsi)                                                                               \
    X(rdi)                                                                               \
    X(rsp)                                                                               \
    X(r8)                                                                                \
    X(r9)                                                                                \
    X(r10)                                                                               \
    X(r11)                                                                               \
    X(r12)                                                                               \
    X(r13)                                                                               \
    X(r14)                                                                               \
    X(r15)                                                                               \
    X(rip)                                                                               \
    X(rflags)

static void save_segments(struct vcpu *v, struct hvm_hw_cpu *hw)
{
    struct emul_seg seg;

#define SAVE(name, index)                                                                \
    hvm_ops->get_segment(v, index, &seg);                                                \
    hw->name##_sel = seg.sel;                                                            \
    hw->name##_limit = seg.limit;                                                        \
    hw->name##_base = seg.base;                                                          \
    hw->name##_arbytes = seg.attr;
    EACH_SEGMENT(SAVE)
#undef SAVE
    hvm_ops->get_segment(v, EMUL_GDTR, &seg);
    hw->gdtr_limit = seg.limit;
    hw->gdtr_base = seg.base;
    hvm_ops->get_segment(v, EMUL_IDTR, &seg);
    hw->idtr_limit = seg.limit;
    hw->idtr_base = seg.base;
}

static void load_segments(struct vcpu *v, const struct hvm_hw_cpu *hw)
{
    struct emul_seg seg;

#define LOAD(name, index)                                                                \
    seg = (struct emul_seg){.sel = hw->name##_sel,                                       \
                            .attr = hw->name##_arbytes & 0xfff,                          \
                            .limit = hw->name##_limit,                                   \
                            .base = hw->name##_base};                                    \
    hvm_ops->set_segment(v, index, &seg);
    EACH_SEGMENT(LOAD)
#undef LOAD
    seg = (struct emul_seg){.limit = hw->gdtr_limit & 0xffff, .base = hw->gdtr_base};
    hvm_ops->set_segment(v, EMUL_GDTR, &seg);
    seg = (struct emul_seg){.limit = hw->idtr_limit & 0xffff, .base = hw->idtr_base};
    hvm_ops->set_segment(v, EMUL_IDTR, &seg);
}

static int save_cpu(struct vcpu *v, struct hvm_context *c)
{
    struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_cpu hw = {
        .cr0 = h->cr0,
        .cr2 = h->cr2,
        .cr3 = h->cr3,
        .cr4 = h->cr4,
        .msr_efer = h->efer,
        .msr_tsc_aux = h->tsc_aux,
        .tsc = hvm_guest_tsc_at(v, c->tsc),
        .flags = XEN_X86_FPU_INITIALISED,
    };
    struct hvm_msrs m;

    if (!hvm_vcpu_is_up(v))
        return 0; /* not started yet, or stopped */
    if (hvm_ops->sync_dr)
        hvm_ops->sync_dr(v);
    hw.dr0 = h->dr[0];
    hw.dr1 = h->dr[1];
    hw.dr2 = h->dr[2];
    hw.dr3 = h->dr[3];
    hw.dr6 = h->dr6;
    hw.dr7 = h->dr7;
#define SAVE(name) hw.name = h->regs.name;
    EACH_GPR(SAVE)
#undef SAVE
    save_segments(v, &hw);
    hvm_ops->get_msrs(v, &m);
    hw.sysenter_cs = m.sysenter_cs;
    hw.sysenter_esp = m.sysenter_esp;
    hw.sysenter_eip = m.sysenter_eip;
    hw.shadow_gs = m.kernel_gs_base;
    hw.msr_lstar = m.lstar;
    hw.msr_star = m.star;
    hw.msr_cstar = m.cstar;
    hw.msr_syscall_mask = m.sfmask;
    memcpy(hw.fpu_regs, h->xsave, FXSAVE_BYTES);
    if (h->inject.valid) {
        hw.pending_valid = 1;
        hw.pending_vector = h->inject.vector;
        hw.pending_type = h->inject.type;
        hw.pending_error_valid = h->inject.has_error;
        hw.error_code = h->inject.error;
    }
    return hvm_save_put(c, HVM_SAVE_CODE(CPU), v->id, &hw, sizeof(hw));
}

static bool canonical(uint64_t va)
{
    return ((int64_t)(va << 16) >> 16) == (int64_t)va;
}

static bool cpu_valid(const struct domain *d, const struct hvm_hw_cpu *hw)
{
    const uint64_t cr0_bits = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE |
                              CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
    bool lme = hw->msr_efer & EFER_LME, pg = hw->cr0 & CR0_PG;
    uint32_t mxcsr;

    if ((hw->cr0 & ~cr0_bits) || (hw->cr4 & ~cpu_policy_cr4_mask(d)) ||
        (hw->msr_efer & ~cpu_policy_efer_mask(d)))
        return false;
    if ((pg && !(hw->cr0 & CR0_PE)) || ((hw->cr0 & CR0_NW) && !(hw->cr0 & CR0_CD)))
        return false;
    if (lme && pg && !(hw->cr4 & CR4_PAE))
        return false;
    if (!!(hw->msr_efer & EFER_LMA) != (lme && pg))
        return false;
    if ((hw->cr4 & CR4_PCIDE) && !(lme && pg))
        return false;
    if (lme && pg && (hw->cs_arbytes & EMUL_ATTR_L) && (hw->cs_arbytes & EMUL_ATTR_DB))
        return false;
    if (hw->cr3 >> cpu_policy_maxphysaddr(d) || (hw->dr6 >> 32) || (hw->dr7 >> 32))
        return false;
    if (hw->msr_tsc_aux > TSC_AUX_MAX || !canonical(hw->msr_lstar) ||
        !canonical(hw->msr_cstar) || !canonical(hw->shadow_gs) ||
        !canonical(hw->fs_base) || !canonical(hw->gs_base) || !canonical(hw->gdtr_base) ||
        !canonical(hw->idtr_base) || !canonical(hw->tr_base) || !canonical(hw->ldtr_base))
        return false;
    if (!d->hvm->policy->amd &&
        (!canonical(hw->sysenter_esp) || !canonical(hw->sysenter_eip)))
        return false; /* AMD keeps 32 bits */
    memcpy(&mxcsr, hw->fpu_regs + MXCSR_OFFSET, sizeof(mxcsr));
    if ((hw->flags & XEN_X86_FPU_INITIALISED) && (mxcsr & ~MXCSR_VALID))
        return false;
    if (hw->pending_valid && (hw->pending_type == 1 || hw->pending_type == 7))
        return false;
    return true;
}

/* x87 and SSE from an FXSAVE image; CPU_XSAVE, which follows, has the rest. */
static void load_fpu(struct vcpu *v, const struct hvm_hw_cpu *hw)
{
    uint8_t *area = v->hvm->xsave;

    memset(area, 0, hvm_fpu_area_size());
    if (hw->flags & XEN_X86_FPU_INITIALISED) {
        memcpy(area, hw->fpu_regs, FXSAVE_BYTES);
    } else {
        *(uint16_t *)area = FCW_RESET;
        *(uint32_t *)(area + MXCSR_OFFSET) = MXCSR_RESET;
    }
    if (hvm_fpu_host_xcr0())
        *(uint64_t *)(area + FXSAVE_BYTES) = 3;
    v->hvm->fpu_cpu = ~0u; /* not in any CPU's registers */
}

static void load_event(struct vcpu *v, const struct hvm_hw_cpu *hw)
{
    v->hvm->inject = (struct hvm_event){
        .valid = hw->pending_valid,
        .vector = hw->pending_vector,
        .type = hw->pending_type,
        .has_error = hw->pending_error_valid,
        .error = hw->error_code,
        .cr2 = hw->cr2,
    };
    /* Software interrupts are executed again from their instruction. */
    if (hw->pending_type >= HVM_EVENT_SW_INT)
        v->hvm->inject.valid = false;
}

static int load_cpu(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_vcpu *h = v->hvm;
    struct hvm_hw_cpu hw;
    struct hvm_msrs m;

    if (hvm_load_payload(r, &hw, sizeof(hw)) || !cpu_valid(v->domain, &hw))
        return -EINVAL;
#define LOAD(name) h->regs.name = hw.name;
    EACH_GPR(LOAD)
#undef LOAD
    h->regs.rflags = (hw.rflags & 0x3f7fd5) | RFLAGS_MBS;
    h->cr0 = hw.cr0 | CR0_ET;
    h->cr2 = hw.cr2;
    h->cr3 = hw.cr3;
    h->cr4 = hw.cr4;
    h->efer = hw.msr_efer;
    h->dr[0] = hw.dr0;
    h->dr[1] = hw.dr1;
    h->dr[2] = hw.dr2;
    h->dr[3] = hw.dr3;
    h->dr6 = (hw.dr6 & 0xe00f) | 0xffff0ff0;
    h->dr7 = (hw.dr7 & 0xffff2fff) | 0x400;
    h->tsc_aux = hw.msr_tsc_aux;
    h->tsc_offset = 0;
    h->tsc_offset = hw.tsc - hvm_guest_tsc_at(v, r->tsc);
    load_segments(v, &hw);
    hvm_ops->get_msrs(v, &m);
    m.sysenter_cs = hw.sysenter_cs;
    m.sysenter_esp = hw.sysenter_esp;
    m.sysenter_eip = hw.sysenter_eip;
    m.kernel_gs_base = hw.shadow_gs;
    m.lstar = hw.msr_lstar;
    m.star = hw.msr_star;
    m.cstar = hw.msr_cstar;
    m.sfmask = hw.msr_syscall_mask & 0xffffffff;
    hvm_ops->set_msrs(v, &m);
    load_fpu(v, &hw);
    load_event(v, &hw);
    hvm_ops->update_efer(v);
    hvm_ops->update_cr(v, 0);
    hvm_ops->update_cr(v, 2);
    hvm_ops->update_cr(v, 3);
    hvm_ops->update_cr(v, 4);
    hvm_ops->update_dr(v);
    hvm_ops->update_tsc(v);
    h->flush_tlb = true;
    h->wait_sipi = h->init_pending = h->sipi_pending = h->hlt = false;
    v->initialised = true;
    vcpu_online(v);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(CPU, save_cpu, load_cpu, true);

/*
 * CPU_XSAVE: three words, then the standard-format area.
 */
#define XSAVE_HEADER offsetof(struct hvm_hw_cpu_xsave, save_area)

static uint64_t xstate_mask(const struct vcpu *v)
{
    uint64_t bv = *(const uint64_t *)((const uint8_t *)v->hvm->xsave + FXSAVE_BYTES);

    return (v->hvm->xcr0 | bv | 3) & cpu_policy_xcr0_mask(v->domain);
}

static int save_xsave(struct vcpu *v, struct hvm_context *c)
{
    const struct cpu_policy *p = v->domain->hvm->policy;
    struct hvm_hw_cpu_xsave *hw;
    uint32_t size;
    int rc;

    if (!p->xcr0_mask || !hvm_vcpu_is_up(v))
        return 0;
    size = min(cpu_policy_xsave_size(p, xstate_mask(v)), (uint32_t)hvm_fpu_area_size());
    hw = zalloc(XSAVE_HEADER + size);
    if (!hw)
        return -ENOMEM;
    hw->xfeature_mask = p->xcr0_mask;
    hw->xcr0 = v->hvm->xcr0;
    hw->xcr0_accum = xstate_mask(v);
    memcpy(&hw->save_area, v->hvm->xsave, size);
    hw->save_area.xsave_hdr.xstate_bv &= hw->xcr0_accum;
    rc = hvm_save_put(c, CPU_XSAVE_CODE, v->id, hw, XSAVE_HEADER + size);
    zfree(hw);
    return rc;
}

static bool xcr0_valid(uint64_t xcr0, uint64_t allowed)
{
    return (xcr0 & 1) && !(xcr0 & ~allowed) && (!(xcr0 & 4) || (xcr0 & 2)) &&
           (!(xcr0 & 0xe0) || ((xcr0 & 0xe4) == 0xe4));
}

static int load_xsave(struct vcpu *v, const struct hvm_record *r)
{
    const struct cpu_policy *p = v->domain->hvm->policy;
    uint8_t *area = v->hvm->xsave;
    struct hvm_hw_cpu_xsave hw;
    uint32_t mxcsr;
    size_t bytes;

    if (r->bytes < sizeof(hw))
        return -EINVAL;
    memcpy(&hw, r->payload, sizeof(hw));
    bytes = r->bytes - XSAVE_HEADER;
    memcpy(&mxcsr, hw.save_area.fpu_sse.x + MXCSR_OFFSET, sizeof(mxcsr));
    if (!p->xcr0_mask || !xcr0_valid(hw.xcr0, p->xcr0_mask) ||
        (hw.xcr0 & ~hw.xcr0_accum) || (hw.xcr0_accum & ~p->xcr0_mask) ||
        (hw.save_area.xsave_hdr.xstate_bv & ~hw.xcr0_accum) ||
        hw.save_area.xsave_hdr.xcomp_bv || (mxcsr & ~MXCSR_VALID))
        return -EINVAL;
    for (unsigned int i = 0; i < ARRAY_SIZE(hw.save_area.xsave_hdr.reserved); i++)
        if (hw.save_area.xsave_hdr.reserved[i])
            return -EINVAL;
    /* Longer than its components need: only zeros, from a machine with a larger area. */
    for (size_t i = cpu_policy_xsave_size(p, hw.xcr0_accum); i < bytes; i++)
        if (((const uint8_t *)r->payload)[XSAVE_HEADER + i])
            return -EOPNOTSUPP;
    bytes = min(bytes, (size_t)cpu_policy_xsave_size(p, hw.xcr0_accum));
    bytes = min(bytes, hvm_fpu_area_size());
    memset(area, 0, hvm_fpu_area_size());
    memcpy(area, (const uint8_t *)r->payload + XSAVE_HEADER, bytes);
    v->hvm->xcr0 = hw.xcr0;
    v->hvm->fpu_cpu = ~0u;
    return 0;
}
HVM_REGISTER_SAVE_CODE(CPU_XSAVE, CPU_XSAVE_CODE, save_xsave, load_xsave, true);

/* CPU_MSR: those without a place of their own, unless they are zero. */
static int save_msr(struct vcpu *v, struct hvm_context *c)
{
    static const uint32_t saved[] = {MSR_SPEC_CTRL, MSR_MISC_FEATURES};
    struct {
        struct hvm_msr head;
        struct hvm_one_msr one[ARRAY_SIZE(saved)];
    } hw = {0};

    for (unsigned int i = 0; i < ARRAY_SIZE(saved); i++) {
        struct hvm_one_msr *one = &hw.one[hw.head.count];

        one->index = saved[i];
        if (!hvm_rdmsr(v, saved[i], &one->val) && one->val)
            hw.head.count++;
    }
    if (!hw.head.count)
        return 0;
    return hvm_save_put(c, CPU_MSR_CODE, v->id, &hw,
                        sizeof(hw.head) + hw.head.count * sizeof(hw.one[0]));
}

static int load_msr(struct vcpu *v, const struct hvm_record *r)
{
    const size_t head = offsetof(struct hvm_msr, msr);
    struct hvm_one_msr one;
    uint32_t count;

    if (r->bytes < head)
        return -EINVAL;
    memcpy(&count, r->payload, sizeof(count));
    if (count > (r->bytes - head) / sizeof(one))
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&one, (const uint8_t *)r->payload + head + i * sizeof(one), sizeof(one));
        if (one._rsvd)
            return -EOPNOTSUPP;
        if (one.val && hvm_wrmsr(v, one.index, one.val))
            return -ENXIO;
    }
    return 0;
}
HVM_REGISTER_SAVE_CODE(CPU_MSR, CPU_MSR_CODE, save_msr, load_msr, true);

static int save_mtrr(struct vcpu *v, struct hvm_context *c)
{
    const struct vmtrr *m = v->hvm->mtrr;
    struct hvm_hw_mtrr hw = {.msr_pat_cr = v->hvm->pat, .msr_mtrr_def_type = m->def_type};

    (void)vmtrr_msr_read(v, MSR_MTRR_CAP, &hw.msr_mtrr_cap);
    for (unsigned int i = 0; i < MTRR_VCNT; i++) {
        hw.msr_mtrr_var[2 * i] = m->variable[i].base;
        hw.msr_mtrr_var[2 * i + 1] = m->variable[i].mask;
    }
    memcpy(hw.msr_mtrr_fixed, m->fixed, sizeof(hw.msr_mtrr_fixed));
    return hvm_save_put(c, HVM_SAVE_CODE(MTRR), v->id, &hw, sizeof(hw));
}

static int load_mtrr(struct vcpu *v, const struct hvm_record *r)
{
    static const uint32_t fixed[NUM_FIXED_MSR] = {
        0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
    struct hvm_hw_mtrr hw;
    int rc = 0;

    if (hvm_load_payload(r, &hw, sizeof(hw)) || (hw.msr_mtrr_cap & 0xff) > MTRR_VCNT)
        return -EINVAL;
    /* Through the checks of WRMSR. */
    rc |= vmtrr_msr_write(v, MSR_PAT, hw.msr_pat_cr);
    for (unsigned int i = 0; i < NUM_FIXED_MSR; i++)
        rc |= vmtrr_msr_write(v, fixed[i], hw.msr_mtrr_fixed[i]);
    for (unsigned int i = 0; i < 2 * MTRR_VCNT; i++)
        rc |= vmtrr_msr_write(v, MSR_MTRR_PHYSBASE0 + i, hw.msr_mtrr_var[i]);
    rc |= vmtrr_msr_write(v, MSR_MTRR_DEF_TYPE, hw.msr_mtrr_def_type);
    return rc ? -EINVAL : 0;
}
HVM_REGISTER_SAVE_RESTORE(MTRR, save_mtrr, load_mtrr, true);

static int save_vmce(struct vcpu *v, struct hvm_context *c)
{
    struct hvm_vmce_vcpu hw = {.caps = MCG_BANKS};

    return hvm_save_put(c, HVM_SAVE_CODE(VMCE_VCPU), v->id, &hw, sizeof(hw));
}

static int load_vmce(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_vmce_vcpu hw;

    if (hvm_load_payload(r, &hw, sizeof(hw)) || (hw.caps & 0xff) > MCG_BANKS)
        return -EINVAL;
    return 0; /* no bank holds anything */
}
HVM_REGISTER_SAVE_RESTORE(VMCE_VCPU, save_vmce, load_vmce, true);

static int save_tsc_adjust(struct vcpu *v, struct hvm_context *c)
{
    struct hvm_tsc_adjust hw = {.tsc_adjust = v->hvm->tsc_adjust};

    return hvm_save_put(c, HVM_SAVE_CODE(TSC_ADJUST), v->id, &hw, sizeof(hw));
}

static int load_tsc_adjust(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_tsc_adjust hw;

    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    v->hvm->tsc_adjust = hw.tsc_adjust;
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(TSC_ADJUST, save_tsc_adjust, load_tsc_adjust, true);
