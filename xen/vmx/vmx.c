/* Intel's VMX with extended page tables behind the vendor seam (Intel SDM vol 3, chapters
 * 24 to 31). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VMCS is loaded while its vCPU runs, and active on no CPU otherwise: VMPTRLD at the
 * switch to it, VMCLEAR at the switch away, so it may move freely and be looked at from
 * any CPU (vmcs_open). Unrestricted guest takes real mode and unpaged protected mode.
 *
 * Left out: page modification logging, nested virtualization.
 */
#include "vmx/vmcs.h"
#include "boot/image.h"
#include "cpu/irq.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/x86.h"
#include "hvm/vlapic.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/arch-x86/cpufeatureset.h>

#define IOPM_ORDER  1 /* bitmaps A and B */
#define MSRPM_ORDER 1 /* the second page: apic.c */
#define VAPIC_TPR   0x80

/* Pause-loop exiting: PAUSEs closer than GAP ticks belong to one loop; it exits when it
 * lasts longer than WINDOW ticks. */
#define PLE_GAP_TICKS    128
#define PLE_WINDOW_TICKS 4096

/* #DF, #TS, #NP, #SS, #GP, #PF, #AC push an error code. */
#define ERROR_CODE_VECTORS 0x27d00u

/* ---- the current VMCS ---- */

struct vmx_vcpu *vmcs_open(struct vmx_vcpu *s)
{
    struct vmx_cpu *c = vmx_this_cpu();
    struct vmx_vcpu *before = c->loaded;

    if (likely(before == s))
        return s;
    vmptrld(s->vmcs_maddr);
    c->loaded = s;
    return before;
}

void vmcs_close(struct vmx_vcpu *s, struct vmx_vcpu *before)
{
    if (likely(before == s))
        return;
    vmclear(s->vmcs_maddr);
    s->launched = false;
    vmx_this_cpu()->loaded = before;
    if (before)
        vmptrld(before->vmcs_maddr);
}

void vmx_set_proc_control(struct vmx_vcpu *s, uint32_t bit, bool on)
{
    uint32_t controls = on ? s->proc_controls | bit : s->proc_controls & ~bit;

    if (controls == s->proc_controls)
        return;
    s->proc_controls = controls;
    vmwrite(PROC_CONTROLS, controls);
}

/* ---- per domain ---- */

/* Places in the MSR bitmap (25.6.9). */
static void vmx_intercept_msr(struct domain *d, uint32_t msr, bool read, bool write)
{
    uint8_t *map = d->hvm->msrpm, bit;

    if (msr - 0xc0000000 < 0x2000)
        map += 0x400;
    else if (msr >= 0x2000)
        return;
    msr &= 0x1fff;
    bit = 1u << msr % 8;
    map += msr / 8;
    for (unsigned int i = 0; i <= PAGE_SIZE; i += PAGE_SIZE) {
        map[i] = read ? map[i] | bit : map[i] & ~bit;
        map[i + 0x800] = write ? map[i + 0x800] | bit : map[i + 0x800] & ~bit;
    }
}

/* In the VMCS, or exchanged when vCPUs are: the guest's own. */
static const uint32_t passed_msrs[] = {
    MSR_STAR,    MSR_LSTAR,          MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,
    MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

static int vmx_domain_init(struct domain *d)
{
    d->hvm->iopm = alloc_pages(IOPM_ORDER);
    d->hvm->msrpm = alloc_pages(MSRPM_ORDER);
    if (!d->hvm->iopm || !d->hvm->msrpm)
        return -ENOMEM;
    memset(d->hvm->iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
    memset(d->hvm->msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
    for (unsigned int i = 0; i < ARRAY_SIZE(passed_msrs); i++)
        vmx_intercept_msr(d, passed_msrs[i], false, false);
    return vmx_apic_domain_init(d);
}

static void vmx_domain_destroy(struct domain *d)
{
    if (d->hvm->iopm)
        free_pages(d->hvm->iopm, IOPM_ORDER);
    if (d->hvm->msrpm)
        free_pages(d->hvm->msrpm, MSRPM_ORDER);
    d->hvm->iopm = d->hvm->msrpm = NULL;
    vmx_apic_domain_destroy(d);
}

/* ---- per vCPU ---- */

/* IA32_FLUSH_CMD is written as the last thing of each entry: nothing of ours comes into
 * the cache behind it. One area for all vCPUs, it never changes. */
static void load_at_entry(const struct vcpu *v)
{
    static const struct vmx_msr_entry area = {.index = MSR_FLUSH_CMD, .value = 1};
    bool flush = mitigations.l1d_flush && !v->domain->is_privileged;

    vmwrite(ENTRY_MSR_LOAD_COUNT, flush);
    if (flush)
        vmwrite(ENTRY_MSR_LOAD_ADDRESS, image_to_maddr(&area));
}

static void init_controls(struct vcpu *v, struct vmx_vcpu *s)
{
    uint32_t proc2 = vmx_caps.proc2 & ~(PROC2_APIC_ACCESS | PROC2_X2APIC); /* by mode */

    /* Dom0's cache flushes are for real devices; a guest's have no effect that it could
     * tell from none. */
    if (v->domain->is_privileged)
        proc2 &= ~PROC2_WBINVD;
    s->proc_controls = vmx_caps.proc;
    s->proc2_controls = proc2;
    s->entry_controls = vmx_caps.entry;
    /* A guest can otherwise loop for ever in microcode with nested #DB or #AC. */
    s->exceptions = BIT(X86_DB) | BIT(X86_AC) | BIT(X86_MC);
    s->eptp = ept_pointer(v->domain->p2m.root_maddr);
    vmwrite(PIN_CONTROLS, vmx_caps.pin);
    vmwrite(PROC_CONTROLS, s->proc_controls);
    vmwrite(PROC_CONTROLS2, proc2);
    vmwrite(EXIT_CONTROLS, vmx_caps.exit);
    vmwrite(ENTRY_CONTROLS, s->entry_controls);
    vmwrite(EXCEPTION_BITMAP, s->exceptions);
    vmwrite(PF_ERROR_MASK, 0);
    vmwrite(PF_ERROR_MATCH, 0);
    vmwrite(CR3_TARGET_COUNT, 0);
    vmwrite(EXIT_MSR_STORE_COUNT, 0);
    vmwrite(EXIT_MSR_LOAD_COUNT, 0);
    load_at_entry(v);
    vmwrite(ENTRY_INTR_INFO, 0);
    vmwrite(IO_BITMAP_A, virt_to_maddr(v->domain->hvm->iopm));
    vmwrite(IO_BITMAP_B, virt_to_maddr(v->domain->hvm->iopm) + PAGE_SIZE);
    vmwrite(MSR_BITMAP, virt_to_maddr(v->domain->hvm->msrpm));
    vmwrite(EPT_POINTER, s->eptp);
    vmwrite(TSC_OFFSET, 0);
    if (vmx_caps.proc & PROC_TPR_SHADOW) {
        vmwrite(VIRTUAL_APIC_PAGE, virt_to_maddr(s->vapic));
        vmwrite(TPR_THRESHOLD, 0);
    }
    if (vmx_caps.vid) {
        vmwrite(APIC_ACCESS_ADDRESS, virt_to_maddr(v->domain->hvm->apic_page));
        for (unsigned int i = 0; i < 4; i++)
            vmwrite(EOI_EXIT_BITMAP0 + 2 * i, 0);
        vmwrite(GUEST_INTR_STATUS, 0);
    }
    if (vmx_caps.posted) {
        vmwrite(POSTED_VECTOR, VECTOR_POSTED);
        vmwrite(POSTED_DESCRIPTOR, virt_to_maddr(s->vapic) + VAPIC_POSTED);
    }
    if (vmx_caps.timer_ticks)
        vmwrite(PREEMPTION_TIMER, vmx_caps.timer_ticks);
    if (proc2 & PROC2_XSAVES)
        vmwrite(XSS_EXIT_BITMAP, 0); /* there is no supervisor state: XSS is 0 */
    if (proc2 & PROC2_PLE) {
        vmwrite(PLE_GAP, PLE_GAP_TICKS);
        vmwrite(PLE_WINDOW, PLE_WINDOW_TICKS);
    }
    vmwrite(VMCS_LINK_POINTER, ~0ull);
    vmwrite(GUEST_ACTIVITY, 0);
    vmwrite(GUEST_INTERRUPTIBILITY, 0);
    vmwrite(GUEST_PENDING_DEBUG, 0);
    vmwrite(GUEST_DEBUGCTL, 0);
    vmwrite(GUEST_DR7, 0x400);
    vmwrite(GUEST_RFLAGS, RFLAGS_MBS);
    s->rip = s->rsp = s->rflags = ~0ull; /* written at the first entry */
}

/* What is the same on every CPU. */
static void init_host(void)
{
    vmwrite(HOST_CS_SELECTOR, SEL_CODE64);
    vmwrite(HOST_SS_SELECTOR, SEL_DATA);
    vmwrite(HOST_DS_SELECTOR, SEL_DATA);
    vmwrite(HOST_ES_SELECTOR, SEL_DATA);
    vmwrite(HOST_FS_SELECTOR, 0);
    vmwrite(HOST_GS_SELECTOR, 0);
    vmwrite(HOST_TR_SELECTOR, SEL_TSS);
    vmwrite(HOST_FS_BASE, 0);
    vmwrite(HOST_SYSENTER_CS, 0);
    vmwrite(HOST_SYSENTER_ESP, 0);
    vmwrite(HOST_SYSENTER_EIP, 0);
    vmwrite(HOST_CR0, read_cr0());
    vmwrite(HOST_CR3, read_cr3());
    vmwrite(HOST_CR4, read_cr4());
    vmwrite(HOST_EFER, rdmsr(MSR_EFER));
    vmwrite(HOST_PAT, rdmsr(MSR_PAT));
    vmwrite(HOST_RIP, (uintptr_t)vmx_exit_point);
}

/* What the processor finds again after an exit is that of the CPU it is on. */
static void load_host_of_cpu(void)
{
    struct __packed {
        uint16_t limit;
        uint64_t base;
    } gdtr, idtr;
    const uint64_t *tss;

    __asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdtr), "=m"(idtr));
    tss = (const uint64_t *)(gdtr.base + SEL_TSS);
    vmwrite(HOST_GDTR_BASE, gdtr.base);
    vmwrite(HOST_IDTR_BASE, idtr.base);
    vmwrite(HOST_TR_BASE,
            (tss[0] >> 16 & 0xffffff) | (tss[0] >> 56 & 0xff) << 24 | tss[1] << 32);
    vmwrite(HOST_GS_BASE, (uintptr_t)this_cpu());
}

static int vmx_vcpu_init(struct vcpu *v)
{
    struct vmx_vcpu *s = zalloc(sizeof(*s)), *before;

    if (!s)
        return -ENOMEM;
    v->hvm->vendor = s;
    s->vmcs = alloc_pages(0);
    s->vapic = alloc_pages(0);
    if (!s->vmcs || !s->vapic)
        return -ENOMEM; /* the caller destroys */
    s->vmcs_maddr = virt_to_maddr(s->vmcs);
    s->last_cpu = s->msr_cpu = ~0u;
    *(uint32_t *)s->vmcs = vmx_caps.revision;
    vmclear(s->vmcs_maddr);
    before = vmcs_open(s);
    init_controls(v, s);
    init_host();
    vmcs_close(s, before);
    return 0;
}

static void vmx_vcpu_destroy(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    if (!s)
        return;
    if (s->vmcs)
        free_pages(s->vmcs, 0);
    if (s->vapic)
        free_pages(s->vapic, 0);
    zfree(s);
    v->hvm->vendor = NULL;
}

static void vmx_request_intr_window(struct vcpu *v, bool on)
{
    vmx_set_proc_control(to_vmx(v), PROC_INTR_WINDOW, on);
}

static void vmx_request_nmi_window(struct vcpu *v)
{
    vmx_set_proc_control(to_vmx(v), PROC_NMI_WINDOW, true);
}

static void vmx_watch_tpr(struct vcpu *v, bool on)
{
    to_vmx(v)->watch_tpr = on;
}

static void vmx_set_exception_intercept(struct vcpu *v, unsigned int vector, bool on)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);

    s->exceptions = on ? s->exceptions | BIT(vector) : s->exceptions & ~BIT(vector);
    vmwrite(EXCEPTION_BITMAP, s->exceptions);
    vmcs_close(s, before);
}

static void vmx_invlpg(struct vcpu *v, uint64_t gva)
{
    uint64_t canonical = (uint64_t)((int64_t)(gva << 16) >> 16);

    if ((vmx_caps.proc2 & PROC2_VPID) && (vmx_caps.ept_vpid & CAP_INVVPID_ADDRESS) &&
        canonical == gva)
        vpid_invalidate_address(vmread(VPID), gva);
    else
        v->hvm->flush_tlb = true;
}

/* ---- running ---- */

/* Linear addresses are cached under the VPID: a new one is as good as a flush. Without
 * VPIDs every entry flushes them. Guest-physical ones are cached under the EPT pointer:
 * they go when the p2m has changed, and when the vCPU comes from another CPU, for this
 * one may have missed changes meanwhile. */
static void flush_tlb(struct vcpu *v, struct vmx_vcpu *s)
{
    struct vmx_cpu *c = vmx_this_cpu();

    v->hvm->flush_tlb = false;
    if (s->ept_flush_gen != v->hvm->flush_gen_seen) {
        s->ept_flush_gen = v->hvm->flush_gen_seen;
        ept_invalidate(s->eptp);
    }
    if (!(vmx_caps.proc2 & PROC2_VPID))
        return;
    if (c->next_vpid > 0xffff) {
        c->vpid_generation++;
        c->next_vpid = 1;
        vpid_invalidate_all();
    }
    vmwrite(VPID, c->next_vpid++);
    s->vpid_generation = c->vpid_generation;
}

/* What the checks of 27.2.1.3 ask of the fields. */
static void inject_event(struct vcpu *v)
{
    struct hvm_event *e = &v->hvm->inject;
    uint32_t info = INTR_INFO_VALID | (uint32_t)e->type << 8 | e->vector;

    e->valid = false;
    if (e->type == HVM_EVENT_EXCEPTION) {
        if (e->vector == X86_PF)
            v->hvm->cr2 = e->cr2;
        if ((ERROR_CODE_VECTORS >> (e->vector & 31) & 1) && (v->hvm->cr0 & CR0_PE)) {
            info |= INTR_INFO_ERROR;
            vmwrite(ENTRY_INTR_ERROR, e->has_error ? (uint16_t)e->error : 0);
        }
    } else if (e->type >= HVM_EVENT_SW_INT) {
        unsigned int len = e->insn_len;

        if (!len && !(vmx_caps.misc & MISC_INSN_LEN_0_ALLOWED)) {
            len = 1; /* what is pushed is the sum */
            v->hvm->regs.rip--;
        }
        vmwrite(ENTRY_INSN_LEN, len);
    }
    hvm_end_shadow(v); /* the event is the end of it, as on its way without an exit */
    vmwrite(ENTRY_INTR_INFO, info);
    if (e->type == HVM_EVENT_NMI)
        v->hvm->shadow |= HVM_SHADOW_NMI; /* as the entry leaves it */
}

/* RFLAGS bits that are not fixed. */
#define RFLAGS_WRITABLE 0x3f7fd5ull

/* Without virtual-interrupt delivery the page has the TPR, and nothing else. */
static void write_tpr(const struct vcpu *v, struct vmx_vcpu *s)
{
    uint8_t tpr = vlapic_get_tpr(v);
    uint32_t threshold = s->watch_tpr ? tpr : 0;

    s->vapic[VAPIC_TPR] = tpr << 4;
    if (threshold != s->tpr_threshold) {
        s->tpr_threshold = threshold;
        vmwrite(TPR_THRESHOLD, threshold);
    }
}

static void read_tpr(struct vcpu *v, const struct vmx_vcpu *s)
{
    uint8_t tpr = s->vapic[VAPIC_TPR] >> 4;

    if (unlikely(tpr != vlapic_get_tpr(v)))
        vlapic_set_tpr(v, tpr);
}

static void write_registers(struct vcpu *v, struct vmx_vcpu *s)
{
    const struct hvm_vcpu *h = v->hvm;
    uint64_t rflags = (h->regs.rflags & RFLAGS_WRITABLE) | RFLAGS_MBS;

    if (h->regs.rip != s->rip)
        vmwrite(GUEST_RIP, h->regs.rip);
    if (h->regs.rsp != s->rsp)
        vmwrite(GUEST_RSP, h->regs.rsp);
    if (rflags != s->rflags)
        vmwrite(GUEST_RFLAGS, rflags);
    if (unlikely(h->shadow & HVM_SHADOW_STI) && !(rflags & RFLAGS_IF))
        vmx_set_shadow(v, h->shadow & ~HVM_SHADOW_STI);
    if (read_cr2() != h->cr2)
        write_cr2(h->cr2);
}

static void read_registers(struct hvm_vcpu *h, struct vmx_vcpu *s)
{
    h->regs.rip = s->rip = vmread(GUEST_RIP);
    h->regs.rsp = s->rsp = vmread(GUEST_RSP);
    h->regs.rflags = s->rflags = vmread(GUEST_RFLAGS);
    h->shadow = vmread(GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW;
    h->cr0 = (h->cr0 & ~s->cr0_owned) | (vmread(GUEST_CR0) & s->cr0_owned);
    h->cr2 = read_cr2();
    h->cr3 = vmread(GUEST_CR3);
    h->cr4 = (h->cr4 & ~s->cr4_owned) | (vmread(GUEST_CR4) & s->cr4_owned);
    h->insn_bytes_len = 0;
}

static void refused(struct vcpu *v, uint32_t raw, struct vmexit *exit)
{
    printk("d%uv%u: VM entry failed\n", v->domain->id, v->id);
    vmx_explain_failure(v, raw);
    exit->reason = VMEXIT_INVALID_STATE;
    exit->raw = raw;
    exit->insn_len = 0;
}

/* With vmx_caps.posted, before an entry: what was posted since is as if just accepted. */
static inline void collect_posted(struct vlapic *l, const struct vmx_vcpu *s)
{
    struct vmx_posted *p = vmx_posted_of(s);

    if (READ_ONCE(p->outstanding)) {
        __atomic_store_n(&p->outstanding, 0, __ATOMIC_SEQ_CST);
        vlapic_page_collect(l);
    }
}

static void vmx_run(struct vcpu *v, struct vmexit *exit)
{
    struct hvm_vcpu *h = v->hvm;
    struct vmx_vcpu *s = to_vmx(v);
    uint32_t reason, vectoring;

    if (unlikely(h->flush_tlb))
        flush_tlb(v, s);
    if (unlikely(h->inject.valid))
        inject_event(v); /* else: each exit clears the field's valid bit */
    write_registers(v, s);
    if (vmx_caps.vid) {
        if (vmx_caps.posted)
            collect_posted(h->vlapic, s);
        if (unlikely(vlapic_page_stale(h->vlapic)))
            vmx_apic_enter(v, s);
    } else if (vmx_caps.proc & PROC_TPR_SHADOW) {
        write_tpr(v, s);
    }
    if (unlikely(vmx_enter(&h->regs, s->launched, &s->host_rsp))) {
        refused(v, 0, exit);
        return;
    }
    s->launched = true;
    reason = vmread(EXIT_REASON);
    if (unlikely(reason & EXIT_REASON_ENTRY_FAILED)) {
        refused(v, reason, exit);
        return;
    }
    read_registers(h, s);
    if (vmx_caps.vid)
        vlapic_page_exit(h->vlapic);
    else if (vmx_caps.proc & PROC_TPR_SHADOW)
        read_tpr(v, s);
    vectoring = vmread(IDT_VECTORING_INFO);
    if (unlikely(vectoring & INTR_INFO_VALID))
        vmx_requeue_event(v, vectoring);
    vmx_translate_exit(v, reason, exit);
}

static void vmx_ctxt_switch_from(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    vlapic_pull(v->hvm->vlapic);
    vmx_save_registers(v);
    vmclear(s->vmcs_maddr);
    s->launched = false;
    vmx_this_cpu()->loaded = NULL;
}

static void vmx_ctxt_switch_to(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    vmptrld(s->vmcs_maddr);
    vmx_this_cpu()->loaded = s;
    if (s->last_cpu != this_cpu()->id) {
        s->last_cpu = this_cpu()->id;
        load_host_of_cpu();
        s->ept_flush_gen--; /* not the p2m's: INVEPT */
        v->hvm->flush_tlb = true;
    }
    if (s->vpid_generation != vmx_this_cpu()->vpid_generation)
        v->hvm->flush_tlb = true;
    vmx_load_registers(v);
}

/* Without its control the instruction is #UD in a guest. */
static bool vmx_can_offer(unsigned int feature)
{
    switch (feature) {
    case XEN_X86_FEATURE_RDTSCP:
    case XEN_X86_FEATURE_RDPID:
        return vmx_caps.proc2 & PROC2_RDTSCP;
    case XEN_X86_FEATURE_INVPCID:
        return vmx_caps.proc2 & PROC2_INVPCID;
    case XEN_X86_FEATURE_XSAVES:
        return vmx_caps.proc2 & PROC2_XSAVES;
    default:
        return true;
    }
}

static bool vmx_probe(void)
{
    return cpuid_get(1, CPUID_ECX) & BIT(5);
}

static const struct hvm_ops vmx_ops = {
    .name = "VMX",
    .hypercall_insn = {0x0f, 0x01, 0xc1}, /* VMCALL */
    .hypercall_known = EMUL_INSN_VMCALL,
    .probe = vmx_probe,
    .cpu_up = vmx_cpu_up,
    .cpu_down = vmx_cpu_down,
    .can_offer = vmx_can_offer,
    .domain_init = vmx_domain_init,
    .domain_destroy = vmx_domain_destroy,
    .vcpu_init = vmx_vcpu_init,
    .vcpu_destroy = vmx_vcpu_destroy,
    .run = vmx_run,
    .ctxt_switch_from = vmx_ctxt_switch_from,
    .ctxt_switch_to = vmx_ctxt_switch_to,
    .get_segment = vmx_get_segment,
    .set_segment = vmx_set_segment,
    .update_cr = vmx_update_cr,
    .update_efer = vmx_update_efer,
    .update_pat = vmx_update_pat,
    .update_dr = vmx_update_dr,
    .sync_dr = vmx_sync_dr,
    .update_tsc = vmx_update_tsc,
    .get_msrs = vmx_get_msrs,
    .set_msrs = vmx_set_msrs,
    .get_cpl = vmx_get_cpl,
    .set_shadow = vmx_set_shadow,
    .request_intr_window = vmx_request_intr_window,
    .request_nmi_window = vmx_request_nmi_window,
    .watch_tpr = vmx_watch_tpr,
    .apic_page = vmx_apic_page,
    .apic_mode = vmx_apic_mode,
    .apic_notify = vmx_apic_notify,
    .intercept_msr = vmx_intercept_msr,
    .set_exception_intercept = vmx_set_exception_intercept,
    .invlpg = vmx_invlpg,
    .dump = vmx_dump,
};
HVM_BACKEND(vmx_ops);
