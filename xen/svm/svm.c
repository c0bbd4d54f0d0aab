/* AMD's SVM with nested paging behind the vendor seam (AMD APM vol 2, chapter 15).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The VMCB's state save area is the home of segments, control registers and system call
 * MSRs; what the core looks at on every exit is copied into struct hvm_vcpu.
 *
 * Left out: AVIC, nested virtualization, LBR virtualization, SEV.
 */
#include "svm/vmcb.h"
#include "cpu/x86.h"
#include "cpu/percpu.h"
#include "cpu/irq.h"
#include "hvm/vlapic.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

uint32_t svm_features;
static bool has_tsc_aux; /* RDTSCP */
/* QEMU's SVM has two faults that we go round.
 *
 * An interrupt injected by EVENTINJ comes a second time, even with IF clear, when another
 * thread wants the virtual CPU's attention before its next exit (helper_vmrun() leaves
 * exception_index set). A V_IRQ does not.
 *
 * VMRUN and #VMEXIT change CPUState.interrupt_request without a lock: an interrupt that
 * another thread raises just then stays in the APIC's IRR and nobody looks at it, also
 * not in HLT. A write of the TPR after each exit makes the APIC look. */
static bool on_tcg;

#define CPUID_SVM    0x8000000au
#define VM_CR_SVMDIS BIT(4)
#define DR7_ENABLES  0xffull
#define IOPM_ORDER   2 /* 12 KiB of 16 */
#define MSRPM_ORDER  1

/* ---- nested page tables (15.25) ---- */

#define NPT_P  BIT(0)
#define NPT_W  BIT(1)
#define NPT_U  BIT(2)
#define NPT_A  BIT(5)
#define NPT_D  BIT(6)
#define NPT_PS BIT(7)

/* The memory type is that of the machine's MTRRs and the guest's PAT: no PAT bits here.
 */
static uint64_t npt_leaf(mfn_t mfn, enum p2m_type type, unsigned int order,
                         uint8_t memtype)
{
    uint64_t e = mfn_to_maddr(mfn) | NPT_P | NPT_U | NPT_A;

    if (order)
        e |= NPT_PS;
    switch (type) {
    case P2M_RAM_LOGDIRTY: /* the processor sets the dirty bit */
        return e | NPT_W;
    case P2M_RAM_RO:
    case P2M_GRANT_RO:
    case P2M_IOREQ_WRITE:
        return e;
    default:
        return e | NPT_W | NPT_D;
    }
}

static uint64_t npt_table(mfn_t mfn)
{
    return mfn_to_maddr(mfn) | NPT_P | NPT_W | NPT_U | NPT_A;
}

/* ---- per CPU ---- */

static int svm_cpu_up(void)
{
    struct svm_cpu *c;
    uint32_t a, b, cx, d;
    void *page;

    cpuid(0x80000001, &a, &b, &cx, &d);
    if (!(cx & BIT(2)))
        return -ENODEV;
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) {
        printk("SVM is switched off by the firmware (VM_CR.SVMDIS)\n");
        return -ENODEV;
    }
    cpuid(CPUID_SVM, &a, &b, &cx, &d);
    if (!(d & SVM_FEATURE_NPT)) {
        printk("This processor has SVM but no nested paging (NPT)\n");
        return -ENODEV;
    }
    svm_features = d;
    c = zalloc(sizeof(*c));
    page = alloc_pages(1);
    if (!c || !page)
        return -ENOMEM;
    c->host_save_maddr = virt_to_maddr(page);
    c->host_vmcb_maddr = c->host_save_maddr + PAGE_SIZE;
    c->max_asid = b ? b - 1 : 1;
    c->asid_generation = 1;
    c->next_asid = 1;
    this_cpu()->hvm_private = c;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, c->host_save_maddr);
    /* FS, GS, TR, LDTR and the system call MSRs of the host do not change any more. */
    __asm__ volatile("vmsave %%rax" ::"a"(c->host_vmcb_maddr) : "memory");
    hvm_ops->tsc_ratio_bits =
        svm_features & SVM_FEATURE_TSC_RATIO ? SVM_TSC_RATIO_BITS : 0;
    p2m_format.leaf = npt_leaf;
    p2m_format.table = npt_table;
    p2m_format.present_mask = NPT_P;
    p2m_format.large_mask = NPT_PS;
    p2m_format.accessed_mask = NPT_A;
    p2m_format.dirty_mask = NPT_D;
    cpuid(0x80000001, &a, &b, &cx, &d);
    p2m_format.has_1g = d & BIT(26);
    has_tsc_aux = d & BIT(27);
    cpuid(1, &a, &b, &cx, &d);
    if (cx & BIT(31)) {
        cpuid(0x40000000, &a, &b, &cx, &d);
        on_tcg = b == 0x54474354; /* TCGT(CGTCGTCG) */
    }
    return 0;
}

static void svm_cpu_down(void)
{
    if (!this_cpu()->hvm_private)
        return;
    this_cpu()->hvm_private = NULL;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

/* ---- per domain ---- */

/* Place of an MSR's two bits in the map (15.11), or -1. */
static int msrpm_bit(uint32_t msr)
{
    if (msr < 0x2000)
        return msr * 2;
    if (msr - 0xc0000000 < 0x2000)
        return 0x800 * 8 + (msr - 0xc0000000) * 2;
    if (msr - 0xc0010000 < 0x2000)
        return 0x1000 * 8 + (msr - 0xc0010000) * 2;
    return -1;
}

static void msrpm_set(uint8_t *map, unsigned int bit, bool on)
{
    if (on)
        map[bit / 8] |= 1u << bit % 8;
    else
        map[bit / 8] &= ~(1u << bit % 8);
}

static void svm_intercept_msr(struct domain *d, uint32_t msr, bool read, bool write)
{
    int bit = msrpm_bit(msr);

    if (bit < 0)
        return;
    msrpm_set(d->hvm->msrpm, bit, read);
    msrpm_set(d->hvm->msrpm, bit + 1, write);
}

/* Switched by VMLOAD and VMSAVE: the guest's own. */
static const uint32_t passed_msrs[] = {
    MSR_STAR,    MSR_LSTAR,          MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,
    MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

static int svm_domain_init(struct domain *d)
{
    d->hvm->iopm = alloc_pages(IOPM_ORDER);
    d->hvm->msrpm = alloc_pages(MSRPM_ORDER);
    if (!d->hvm->iopm || !d->hvm->msrpm)
        return -ENOMEM;
    memset(d->hvm->iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
    memset(d->hvm->msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
    for (unsigned int i = 0; i < ARRAY_SIZE(passed_msrs); i++)
        svm_intercept_msr(d, passed_msrs[i], false, false);
    return 0;
}

static void svm_domain_destroy(struct domain *d)
{
    if (d->hvm->iopm)
        free_pages(d->hvm->iopm, IOPM_ORDER);
    if (d->hvm->msrpm)
        free_pages(d->hvm->msrpm, MSRPM_ORDER);
    d->hvm->iopm = d->hvm->msrpm = NULL;
}

/* ---- per vCPU ---- */

static int svm_vcpu_init(struct vcpu *v)
{
    struct svm_vcpu *s = zalloc(sizeof(*s));
    struct vmcb *vmcb = alloc_pages(0);

    if (!s || !vmcb) {
        zfree(s);
        if (vmcb)
            free_pages(vmcb, 0);
        return -ENOMEM;
    }
    s->vmcb = vmcb;
    s->vmcb_maddr = virt_to_maddr(vmcb);
    s->last_cpu = ~0u;
    v->hvm->vendor = s;

    vmcb->intercepts = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |
                       INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD |
                       INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
                       INTERCEPT_MSR | INTERCEPT_TASK_SW | INTERCEPT_SHUTDOWN;
    vmcb->intercepts2 = INTERCEPT2_VMRUN | INTERCEPT2_VMMCALL | INTERCEPT2_VMLOAD |
                        INTERCEPT2_VMSAVE | INTERCEPT2_STGI | INTERCEPT2_CLGI |
                        INTERCEPT2_SKINIT | INTERCEPT2_MONITOR | INTERCEPT2_MWAIT |
                        INTERCEPT2_MWAIT_C | INTERCEPT2_XSETBV;
    /* Dom0's cache flushes are for real devices; a guest's have no effect that it could
     * tell from none. */
    if (!v->domain->is_privileged)
        vmcb->intercepts2 |= INTERCEPT2_WBINVD;
    /* CR4: bits that the guest may not set make VMRUN fail on emulated processors, and
     * CR0 caching bits must not make the machine's memory uncached. */
    vmcb->cr_write = BIT(4) | BIT(0);
    vmcb->dr_read = vmcb->dr_write = 0xffff;
    /* A guest can otherwise loop for ever in microcode with nested #DB or #AC. */
    vmcb->exceptions = BIT(18) | BIT(17) | BIT(1);
    vmcb->iopm_base_pa = virt_to_maddr(v->domain->hvm->iopm);
    vmcb->msrpm_base_pa = virt_to_maddr(v->domain->hvm->msrpm);
    vmcb->int_ctl = V_INTR_MASKING;
    vmcb->np_enable = 1;
    vmcb->n_cr3 = v->domain->p2m.root_maddr;
    vmcb->g_pat = 0x0007040600070406ull;
    vmcb->dr6 = 0xffff0ff0;
    vmcb->dr7 = 0x400;
    vmcb->efer = EFER_SVME;
    return 0;
}

static void svm_vcpu_destroy(struct vcpu *v)
{
    struct svm_vcpu *s = to_svm(v);

    if (!s)
        return;
    free_pages(s->vmcb, 0);
    zfree(s);
    v->hvm->vendor = NULL;
}

/* Processors leave the busy bit of TR's type to the descriptor in memory: what they save
 * has it clear. QEMU gives up when it finds it set. */
#define TR_TYPE_BUSY 2u

static void svm_get_segment(struct vcpu *v, unsigned int seg, struct emul_seg *out)
{
    const struct vmcb *vmcb = to_svm(v)->vmcb;
    const struct vmcb_seg *s = &vmcb->seg[seg];

    out->sel = s->sel;
    out->attr = s->attr & 0xfff;
    out->limit = s->limit;
    out->base = s->base;
    if (seg == EMUL_TR)
        out->attr |= TR_TYPE_BUSY;
}

static void svm_set_segment(struct vcpu *v, unsigned int seg, const struct emul_seg *in)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;
    struct vmcb_seg *s = &vmcb->seg[seg];

    s->sel = in->sel;
    s->attr = in->attr & 0xfff;
    s->limit = in->limit;
    s->base = in->base;
    if (seg == EMUL_TR)
        s->attr &= ~TR_TYPE_BUSY;
    if (seg == EMUL_SS)
        vmcb->cpl = (in->attr >> 5) & 3;
    vmcb->clean &= ~(seg == EMUL_GDTR || seg == EMUL_IDTR ? CLEAN_DT : CLEAN_SEG);
}

static void svm_update_cr(struct vcpu *v, unsigned int cr)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;

    switch (cr) {
    case 0:
        /* CD and NW: the guest's cache mode changes nothing here. */
        vmcb->cr0 = v->hvm->cr0 & ~(CR0_CD | CR0_NW);
        if (v->hvm->cr0 & (CR0_CD | CR0_NW))
            vmcb->cr_read |= BIT(0); /* it must read back what it wrote */
        else
            vmcb->cr_read &= ~BIT(0);
        vmcb->clean &= ~(CLEAN_CR | CLEAN_INTERCEPTS);
        break;
    case 2:
        vmcb->cr2 = v->hvm->cr2;
        vmcb->clean &= ~CLEAN_CR2;
        break;
    case 3:
        vmcb->cr3 = v->hvm->cr3;
        vmcb->clean &= ~CLEAN_CR;
        break;
    case 4:
        vmcb->cr4 = v->hvm->cr4;
        vmcb->clean &= ~CLEAN_CR;
        break;
    }
}

static void svm_update_efer(struct vcpu *v)
{
    to_svm(v)->vmcb->efer = v->hvm->efer | EFER_SVME;
    to_svm(v)->vmcb->clean &= ~CLEAN_CR;
}

static void svm_update_pat(struct vcpu *v)
{
    to_svm(v)->vmcb->g_pat = v->hvm->pat;
    to_svm(v)->vmcb->clean &= ~CLEAN_NP;
}

static void load_dr(struct vcpu *v)
{
    struct svm_vcpu *s = to_svm(v);

    __asm__ volatile("mov %0, %%dr0" ::"r"(v->hvm->dr[0]));
    __asm__ volatile("mov %0, %%dr1" ::"r"(v->hvm->dr[1]));
    __asm__ volatile("mov %0, %%dr2" ::"r"(v->hvm->dr[2]));
    __asm__ volatile("mov %0, %%dr3" ::"r"(v->hvm->dr[3]));
    s->vmcb->dr_read = s->vmcb->dr_write = 0;
    s->vmcb->clean &= ~CLEAN_INTERCEPTS;
    s->dr_loaded = true;
}

static void save_dr(struct vcpu *v)
{
    struct svm_vcpu *s = to_svm(v);

    __asm__ volatile("mov %%dr0, %0" : "=r"(v->hvm->dr[0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(v->hvm->dr[1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(v->hvm->dr[2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(v->hvm->dr[3]));
    s->vmcb->dr_read = s->vmcb->dr_write = 0xffff;
    s->vmcb->clean &= ~CLEAN_INTERCEPTS;
    s->dr_loaded = false;
}

static void svm_update_dr(struct vcpu *v)
{
    struct svm_vcpu *s = to_svm(v);

    s->vmcb->dr6 = v->hvm->dr6;
    s->vmcb->dr7 = v->hvm->dr7;
    s->vmcb->clean &= ~CLEAN_DR;
    if (v == current)
        load_dr(v);
}

static void svm_sync_dr(struct vcpu *v)
{
    if (v == current && to_svm(v)->dr_loaded)
        save_dr(v);
}

/* The ratio is a register of the CPU that counts in guest mode only (15.30.5). */
static void load_tsc_ratio(const struct vcpu *v)
{
    const struct hvm_tsc *t = &v->domain->hvm->tsc;
    struct svm_cpu *c = this_cpu()->hvm_private;
    uint64_t ratio = t->khz ? t->ratio : BIT(SVM_TSC_RATIO_BITS);

    if (c->tsc_ratio == ratio || !(svm_features & SVM_FEATURE_TSC_RATIO))
        return;
    c->tsc_ratio = ratio;
    wrmsr(MSR_TSC_RATIO, ratio);
}

static void svm_update_tsc(struct vcpu *v)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;

    vmcb->tsc_offset = v->hvm->tsc_offset;
    vmcb->intercepts &= ~(uint32_t)INTERCEPT_RDTSC;
    vmcb->intercepts2 &= ~(uint32_t)INTERCEPT2_RDTSCP;
    if (v->domain->hvm->tsc.exits) {
        vmcb->intercepts |= INTERCEPT_RDTSC;
        vmcb->intercepts2 |= INTERCEPT2_RDTSCP;
    }
    vmcb->clean &= ~CLEAN_INTERCEPTS;
    if (v == current)
        load_tsc_ratio(v);
}

static void svm_get_msrs(struct vcpu *v, struct hvm_msrs *m)
{
    const struct vmcb *vmcb = to_svm(v)->vmcb;

    m->star = vmcb->star;
    m->lstar = vmcb->lstar;
    m->cstar = vmcb->cstar;
    m->sfmask = vmcb->sfmask;
    m->kernel_gs_base = vmcb->kernel_gs_base;
    m->sysenter_cs = vmcb->sysenter_cs;
    m->sysenter_esp = vmcb->sysenter_esp;
    m->sysenter_eip = vmcb->sysenter_eip;
    m->debugctl = vmcb->debugctl;
    m->spec_ctrl =
        svm_features & SVM_FEATURE_SPEC_CTRL ? vmcb->spec_ctrl : v->hvm->spec.spec_ctrl;
}

static void svm_set_msrs(struct vcpu *v, const struct hvm_msrs *m)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;

    vmcb->star = m->star;
    vmcb->lstar = m->lstar;
    vmcb->cstar = m->cstar;
    vmcb->sfmask = m->sfmask;
    vmcb->kernel_gs_base = m->kernel_gs_base;
    vmcb->sysenter_cs = m->sysenter_cs;
    vmcb->sysenter_esp = m->sysenter_esp;
    vmcb->sysenter_eip = m->sysenter_eip;
    vmcb->debugctl = m->debugctl;
    /* VMRUN and exits switch it themselves, or the entry code does. */
    if (svm_features & SVM_FEATURE_SPEC_CTRL)
        vmcb->spec_ctrl = m->spec_ctrl;
    else
        v->hvm->spec.spec_ctrl = m->spec_ctrl;
}

static unsigned int svm_get_cpl(struct vcpu *v)
{
    return to_svm(v)->vmcb->cpl;
}

static void set_iret_intercept(struct svm_vcpu *s, bool on)
{
    if (on || s->window_at_iret)
        s->vmcb->intercepts |= INTERCEPT_IRET;
    else
        s->vmcb->intercepts &= ~(uint32_t)INTERCEPT_IRET;
    s->vmcb->clean &= ~CLEAN_INTERCEPTS;
}

static void svm_set_shadow(struct vcpu *v, uint32_t shadow)
{
    struct svm_vcpu *s = to_svm(v);

    s->vmcb->int_state &= ~INT_STATE_SHADOW;
    if (shadow & (HVM_SHADOW_STI | HVM_SHADOW_MOVSS))
        s->vmcb->int_state |= INT_STATE_SHADOW;
    if ((v->hvm->shadow ^ shadow) & HVM_SHADOW_NMI)
        set_iret_intercept(s, shadow & HVM_SHADOW_NMI);
    v->hvm->shadow = shadow;
}

/* Also while V_IRQ is set: QEMU aborts when the guest then makes it deliverable. */
static void set_cr8_intercept(struct svm_vcpu *s)
{
    if (s->watch_tpr || (s->vmcb->int_ctl & V_IRQ))
        s->vmcb->cr_write |= BIT(8);
    else
        s->vmcb->cr_write &= ~BIT(8);
    s->vmcb->clean &= ~CLEAN_INTERCEPTS;
}

/* A virtual interrupt that is never taken, only intercepted, at the top priority: the
 * exit comes when IF is set and no shadow is on. */
static void svm_request_intr_window(struct vcpu *v, bool on)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;

    if (on == !!(vmcb->int_ctl & V_IRQ))
        return;
    if (on) {
        vmcb->int_ctl |= V_IRQ | V_IGN_TPR | V_INTR_PRIO(15);
        vmcb->intercepts |= INTERCEPT_VINTR;
    } else {
        vmcb->int_ctl &= ~(V_IRQ | V_IGN_TPR | V_INTR_PRIO(15));
        vmcb->intercepts &= ~(uint32_t)INTERCEPT_VINTR;
    }
    vmcb->clean &= ~(CLEAN_INTERCEPTS | CLEAN_TPR);
    set_cr8_intercept(to_svm(v));
}

static void svm_watch_tpr(struct vcpu *v, bool on)
{
    if (on == to_svm(v)->watch_tpr)
        return;
    to_svm(v)->watch_tpr = on;
    set_cr8_intercept(to_svm(v));
}

static void svm_request_nmi_window(struct vcpu *v)
{
    set_iret_intercept(to_svm(v), true);
}

static void svm_set_exception_intercept(struct vcpu *v, unsigned int vector, bool on)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;

    if (on)
        vmcb->exceptions |= 1u << vector;
    else
        vmcb->exceptions &= ~(1u << vector);
    vmcb->clean &= ~CLEAN_INTERCEPTS;
}

static void svm_invlpg(struct vcpu *v, uint64_t gva)
{
    __asm__ volatile("invlpga %0, %1" ::"a"(gva), "c"(to_svm(v)->vmcb->asid));
}

/* ---- running ---- */

/* An ASID of this CPU for the vCPU; a new one is as good as a flush (15.16). */
static void assign_asid(struct vcpu *v, struct svm_vcpu *s, struct svm_cpu *c)
{
    v->hvm->flush_tlb = false;
    if (c->next_asid > c->max_asid) {
        c->asid_generation++;
        c->next_asid = 1;
        s->vmcb->tlb_control = TLB_FLUSH_ALL;
    }
    s->vmcb->asid = c->next_asid++;
    s->asid_generation = c->asid_generation;
    s->vmcb->clean &= ~CLEAN_ASID;
}

/* Deliverable now, says hvm_intr_assist(): the guest takes it before its first
 * instruction. A window that was asked for as well would need the V_IRQ, too: the
 * handler's IRET gives an exit instead. */
static void inject_by_virq(struct vcpu *v, struct svm_vcpu *s, uint8_t vector)
{
    if (s->vmcb->int_ctl & V_IRQ) {
        s->window_at_iret = true;
        set_iret_intercept(s, true);
    }
    svm_request_intr_window(v, true);
    s->vmcb->intercepts &= ~(uint32_t)INTERCEPT_VINTR;
    s->vmcb->int_ctl = (s->vmcb->int_ctl & ~V_INTR_VECTOR(0xff)) | V_INTR_VECTOR(vector);
    s->vmcb->event_inj = 0;
    s->by_virq = true;
}

/* After the exit: what has not been taken, or faulted on the way, is tried again. */
static void finish_virq(struct vcpu *v, struct svm_vcpu *s)
{
    if (s->vmcb->int_ctl & V_IRQ) {
        v->hvm->inject = (struct hvm_event){.valid = true,
                                            .vector = (uint8_t)(s->vmcb->int_ctl >> 32),
                                            .type = HVM_EVENT_EXTINT};
        s->vmcb->exit_int_info = 0;
    }
    s->by_virq = false;
    s->vmcb->int_ctl |= V_IRQ;
    s->vmcb->int_ctl &= ~V_INTR_VECTOR(0xff);
    svm_request_intr_window(v, false);
}

static void inject_event(struct vcpu *v, struct svm_vcpu *s)
{
    struct hvm_event *e = &v->hvm->inject;
    unsigned int type = e->type;

    if (!e->valid) {
        s->vmcb->event_inj = 0;
        return;
    }
    e->valid = false;
    if (e->type == HVM_EVENT_EXTINT && on_tcg) {
        inject_by_virq(v, s, e->vector);
        return;
    }
    if (e->type == HVM_EVENT_EXCEPTION && e->vector == 14) {
        v->hvm->cr2 = e->cr2;
        svm_update_cr(v, 2);
    }
    if (e->type >= HVM_EVENT_SW_INT) {
        /* The return address is RIP: behind the instruction. INT3, INTO and ICEBP have no
         * type of their own here; delivered as exceptions they skip the DPL check, which
         * the emulator has made. */
        v->hvm->regs.rip += e->insn_len;
        type = e->type == HVM_EVENT_SW_INT ? HVM_EVENT_SW_INT : HVM_EVENT_EXCEPTION;
    }
    if (type == HVM_EVENT_NMI) {
        v->hvm->shadow |= HVM_SHADOW_NMI;
        set_iret_intercept(s, true);
    }
    s->vmcb->event_inj = EVENT_VALID | (uint64_t)type << 8 | e->vector |
                         (e->has_error ? EVENT_ERROR_CODE | (uint64_t)e->error << 32 : 0);
}

static void svm_run(struct vcpu *v, struct vmexit *exit)
{
    struct hvm_vcpu *h = v->hvm;
    struct svm_vcpu *s = to_svm(v);
    struct svm_cpu *c = this_cpu()->hvm_private;
    struct vmcb *vmcb = s->vmcb;
    uint8_t tpr = vlapic_get_tpr(v);

    vmcb->tlb_control = TLB_FLUSH_NONE;
    if (unlikely(h->flush_tlb))
        assign_asid(v, s, c);
    inject_event(v, s);
    if ((vmcb->int_ctl & V_TPR_MASK) != tpr) {
        vmcb->int_ctl = (vmcb->int_ctl & ~V_TPR_MASK) | tpr;
        vmcb->clean &= ~CLEAN_TPR;
    }
    vmcb->rip = h->regs.rip;
    vmcb->rsp = h->regs.rsp;
    vmcb->rax = h->regs.rax;
    vmcb->rflags = h->regs.rflags;

    svm_enter(&h->regs, s->vmcb_maddr, c->host_vmcb_maddr);
    if (unlikely(on_tcg))
        apic_reconsider();

    vmcb->clean = svm_features & SVM_FEATURE_VMCB_CLEAN ? CLEAN_ALL : 0;
    if ((uint32_t)vmcb->exit_code != 0xffffffff) {
        h->regs.rip = vmcb->rip;
        h->regs.rsp = vmcb->rsp;
        h->regs.rax = vmcb->rax;
        h->regs.rflags = vmcb->rflags;
        h->cr0 = (vmcb->cr0 & ~(CR0_CD | CR0_NW)) | (h->cr0 & (CR0_CD | CR0_NW));
        h->cr2 = vmcb->cr2;
        h->cr3 = vmcb->cr3;
        h->cr4 = vmcb->cr4;
        h->efer = vmcb->efer & ~EFER_SVME;
        h->dr6 = vmcb->dr6;
        h->dr7 = vmcb->dr7;
        h->shadow =
            (h->shadow & HVM_SHADOW_NMI) |
            (vmcb->int_state & INT_STATE_SHADOW ? HVM_SHADOW_STI | HVM_SHADOW_MOVSS : 0);
        if (unlikely((vmcb->int_ctl & V_TPR_MASK) != tpr))
            vlapic_set_tpr(v, vmcb->int_ctl & 15);
        h->insn_bytes_len = 0;
        if (s->by_virq)
            finish_virq(v, s);
        svm_requeue_event(v);
    }
    svm_translate_exit(v, exit);
    if (exit->reason == VMEXIT_DR_ACCESS && !s->dr_loaded) {
        /* Ours: load them and run the instruction again. */
        load_dr(v);
        exit->reason = VMEXIT_NONE;
    } else if (exit->reason == VMEXIT_IRET) {
        s->window_at_iret = false;
        /* Perhaps the exit itself was wanted; then the IRET runs by itself. */
        if (!(h->shadow & HVM_SHADOW_NMI)) {
            set_iret_intercept(s, false);
            exit->reason = VMEXIT_NONE;
        }
    } else if (exit->reason == VMEXIT_INTR_WINDOW) {
        svm_request_intr_window(v, false);
    }
}

static void svm_ctxt_switch_from(struct vcpu *v)
{
    if (to_svm(v)->dr_loaded)
        save_dr(v);
}

/* VMRUN loads DR7 but not what it enables, and not what RDTSCP reads. */
static void svm_ctxt_switch_to(struct vcpu *v)
{
    struct svm_vcpu *s = to_svm(v);
    const struct svm_cpu *c = this_cpu()->hvm_private;

    if (s->last_cpu != this_cpu()->id) {
        s->last_cpu = this_cpu()->id;
        s->vmcb->clean = 0; /* another CPU may hold an older copy of this VMCB */
        v->hvm->flush_tlb = true;
    }
    if (s->asid_generation != c->asid_generation)
        v->hvm->flush_tlb = true;
    if (v->hvm->dr7 & DR7_ENABLES)
        load_dr(v);
    if (has_tsc_aux)
        (void)wrmsr_safe(MSR_TSC_AUX, v->hvm->tsc_aux);
    load_tsc_ratio(v);
}

static void svm_dump(struct vcpu *v)
{
    static const char *const names[] = {"es", "cs",   "ss",   "ds",   "fs",
                                        "gs", "gdtr", "ldtr", "idtr", "tr"};
    const struct vmcb *vmcb = to_svm(v)->vmcb;

    printk("VMCB: exit %#lx info1 %#lx info2 %#lx intinfo %#lx event %#lx\n",
           vmcb->exit_code, vmcb->exit_info1, vmcb->exit_info2, vmcb->exit_int_info,
           vmcb->event_inj);
    printk(" int_ctl %#lx int_state %#lx asid %u cpl %u ncr3 %#lx\n", vmcb->int_ctl,
           vmcb->int_state, vmcb->asid, vmcb->cpl, vmcb->n_cr3);
    for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
        printk(" %s %04x attr %03x limit %08x base %016lx\n", names[i], vmcb->seg[i].sel,
               vmcb->seg[i].attr, vmcb->seg[i].limit, vmcb->seg[i].base);
}

static bool svm_probe(void)
{
    return cpuid_get(0x80000001, CPUID_ECX) & BIT(2);
}

static const struct hvm_ops svm_ops = {
    .name = "SVM",
    .hypercall_insn = {0x0f, 0x01, 0xd9}, /* VMMCALL */
    .hypercall_known = EMUL_INSN_VMMCALL,
    .probe = svm_probe,
    .cpu_up = svm_cpu_up,
    .cpu_down = svm_cpu_down,
    .domain_init = svm_domain_init,
    .domain_destroy = svm_domain_destroy,
    .vcpu_init = svm_vcpu_init,
    .vcpu_destroy = svm_vcpu_destroy,
    .run = svm_run,
    .ctxt_switch_from = svm_ctxt_switch_from,
    .ctxt_switch_to = svm_ctxt_switch_to,
    .get_segment = svm_get_segment,
    .set_segment = svm_set_segment,
    .update_cr = svm_update_cr,
    .update_efer = svm_update_efer,
    .update_pat = svm_update_pat,
    .update_dr = svm_update_dr,
    .sync_dr = svm_sync_dr,
    .update_tsc = svm_update_tsc,
    .get_msrs = svm_get_msrs,
    .set_msrs = svm_set_msrs,
    .get_cpl = svm_get_cpl,
    .set_shadow = svm_set_shadow,
    .request_intr_window = svm_request_intr_window,
    .request_nmi_window = svm_request_nmi_window,
    .watch_tpr = svm_watch_tpr,
    .intercept_msr = svm_intercept_msr,
    .set_exception_intercept = svm_set_exception_intercept,
    .invlpg = svm_invlpg,
    .dump = svm_dump,
};
HVM_BACKEND(svm_ops);
