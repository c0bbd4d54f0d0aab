/* Registers of a guest, in its VMCS or in the processor (Intel SDM vol 3, 25.4).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMX does not switch DR0-3, DR6 and the system call MSRs. The hypervisor uses none of
 * them, so they stay in the processor while a vCPU runs and are exchanged when another
 * one comes; the debug registers only if the guest uses them.
 */
#include "vmx/vmcs.h"
#include "cpu/x86.h"
#include "hvm/cpuid.h"
#include "hvm/platform.h"
#include "lib/string.h"

/* ---- segments ---- */

/* Index of the segment's fields, which lie 2 apart. */
static unsigned int field_index(unsigned int seg)
{
    switch (seg) {
    case EMUL_LDTR:
        return 6;
    case EMUL_TR:
        return 7;
    case EMUL_GDTR:
        return 8;
    case EMUL_IDTR:
        return 9;
    default:
        return seg; /* ES CS SS DS FS GS */
    }
}

static bool is_table(unsigned int seg)
{
    return seg == EMUL_GDTR || seg == EMUL_IDTR;
}

void vmx_get_segment(struct vcpu *v, unsigned int seg, struct emul_seg *out)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);
    unsigned int i = 2 * field_index(seg);

    out->base = vmread(GUEST_ES_BASE + i);
    out->limit = vmread(GUEST_ES_LIMIT + i);
    out->sel = out->attr = 0;
    if (!is_table(seg)) {
        uint32_t ar = vmread(GUEST_ES_AR + i);

        out->sel = vmread(GUEST_ES_SELECTOR + i);
        out->attr = (ar & 0xff) | (ar >> 4 & 0xf00);
        if (ar & AR_UNUSABLE)
            out->attr &= ~EMUL_ATTR_P;
    }
    vmcs_close(s, before);
}

/* Attributes as VM entry wants them: what a guest cannot see is put right. TR is always
 * usable and busy, code and data are accessed (27.3.1.2). */
static uint16_t entry_attr(unsigned int seg, uint16_t attr)
{
    if (seg == EMUL_TR)
        return (attr & EMUL_ATTR_TYPE) == 3 ? 0x83 : 0x8b;
    if (seg == EMUL_CS)
        attr |= EMUL_ATTR_P;
    if (seg == EMUL_LDTR)
        return attr & EMUL_ATTR_P ? 0x82 : 0;
    if (attr & EMUL_ATTR_P)
        attr |= EMUL_ATTR_S | 1;
    return attr;
}

void vmx_set_segment(struct vcpu *v, unsigned int seg, const struct emul_seg *in)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);
    unsigned int i = 2 * field_index(seg);
    uint16_t attr = entry_attr(seg, in->attr) & ~EMUL_ATTR_G;
    uint64_t base = in->base;
    uint32_t limit = in->limit;

    if (is_table(seg)) {
        vmwrite(GUEST_ES_LIMIT + i, limit & 0xffff);
        vmwrite(GUEST_ES_BASE + i, base);
        vmcs_close(s, before);
        return;
    }
    if (seg <= EMUL_DS)
        base = (uint32_t)base;
    /* The granularity bit follows from the limit (27.3.1.2). */
    if (limit >> 20) {
        limit |= 0xfff;
        attr |= EMUL_ATTR_G;
    } else if ((limit & 0xfff) == 0xfff) {
        attr |= in->attr & EMUL_ATTR_G;
    }
    vmwrite(GUEST_ES_SELECTOR + i, in->sel);
    vmwrite(GUEST_ES_BASE + i, base);
    vmwrite(GUEST_ES_LIMIT + i, limit);
    vmwrite(GUEST_ES_AR + i,
            (attr & 0xff) | (attr & 0xf00) << 4 | (attr & EMUL_ATTR_P ? 0 : AR_UNUSABLE));
    vmcs_close(s, before);
}

/* SS.DPL is the CPL (25.4.1), of an unusable SS too. */
unsigned int vmx_get_cpl(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);
    uint32_t ar = vmread(GUEST_ES_AR + 2 * EMUL_SS);

    vmcs_close(s, before);
    return ar >> 5 & 3;
}

/* ---- control registers ---- */

/* Without paging the guest's CR0 may hold anything here (unrestricted guest); CD and NW
 * would have no effect but that of an uncached machine. */
#define CR0_GUEST_OWNED (CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)
#define CR4_GUEST_OWNED                                                                  \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | CR4_OSFXSR |             \
     CR4_OSXMMEXCPT)

static bool pae_paging(const struct hvm_vcpu *h)
{
    return (h->cr0 & CR0_PG) && (h->cr4 & CR4_PAE) && !(h->efer & EFER_LMA);
}

/* With EPT, the four PDPTEs are state of their own (27.3.1.6): the processor loads them
 * when the guest moves to CR3; when the hypervisor changes a register, it does. */
static void load_pdptes(struct vcpu *v)
{
    uint64_t pdpte[4] = {0}, reserved = ~(BIT(cpu_policy_maxphysaddr(v->domain)) - 1);

    if (!pae_paging(v->hvm))
        return;
    (void)guest_read_phys(v->domain, v->hvm->cr3 & 0xffffffe0u, pdpte, sizeof(pdpte));
    for (unsigned int i = 0; i < 4; i++) {
        /* Checked by who set the register; changed since it makes no difference. */
        if (pdpte[i] & 1)
            pdpte[i] &= ~(reserved | 0x1e6);
        vmwrite(GUEST_PDPTE0 + 2 * i, pdpte[i]);
    }
}

static void write_cr0_fields(struct vcpu *v, struct vmx_vcpu *s)
{
    s->cr0_owned = CR0_GUEST_OWNED;
    vmwrite(CR0_MASK, ~s->cr0_owned);
    vmwrite(CR0_SHADOW, v->hvm->cr0);
    vmwrite(GUEST_CR0, (v->hvm->cr0 & ~(CR0_CD | CR0_NW)) |
                           (vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG)));
}

static void write_cr4_fields(struct vcpu *v, struct vmx_vcpu *s)
{
    s->cr4_owned =
        v->domain->hvm->policy ? CR4_GUEST_OWNED & cpu_policy_cr4_mask(v->domain) : 0;
    vmwrite(CR4_MASK, ~s->cr4_owned);
    vmwrite(CR4_SHADOW, v->hvm->cr4);
    /* The machine's machine checks are taken whatever the guest thinks of them. */
    vmwrite(GUEST_CR4, v->hvm->cr4 | vmx_caps.cr4_fixed0 | CR4_MCE);
}

void vmx_update_cr(struct vcpu *v, unsigned int cr)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);

    switch (cr) {
    case 0:
        write_cr0_fields(v, s);
        load_pdptes(v);
        break;
    case 3:
        vmwrite(GUEST_CR3, v->hvm->cr3);
        load_pdptes(v);
        break;
    case 4:
        write_cr4_fields(v, s);
        load_pdptes(v);
        break;
    }
    vmcs_close(s, before); /* CR2 goes to the processor at the entry */
}

void vmx_update_efer(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);
    uint32_t entry = vmx_caps.entry | (v->hvm->efer & EFER_LMA ? ENTRY_IA32E : 0);

    vmwrite(GUEST_EFER, v->hvm->efer);
    if (entry != s->entry_controls) {
        s->entry_controls = entry;
        vmwrite(ENTRY_CONTROLS, entry);
    }
    vmcs_close(s, before);
}

void vmx_update_pat(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);

    vmwrite(GUEST_PAT, v->hvm->pat);
    vmcs_close(s, before);
}

void vmx_update_tsc(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);
    const struct hvm_tsc *t = &v->domain->hvm->tsc;

    vmwrite(TSC_OFFSET, v->hvm->tsc_offset);
    if (vmx_caps.proc2 & PROC2_TSC_SCALING)
        vmwrite(TSC_MULTIPLIER, t->khz ? t->ratio : BIT(VMX_TSC_RATIO_BITS));
    vmx_set_proc_control(s, PROC_RDTSC, t->exits);
    vmcs_close(s, before);
}

/* ---- debug registers ---- */

#define DR7_ENABLES 0xffull

/* v's VMCS is current, and it runs here. */
static void load_dr(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    __asm__ volatile("mov %0, %%dr0" ::"r"(v->hvm->dr[0]));
    __asm__ volatile("mov %0, %%dr1" ::"r"(v->hvm->dr[1]));
    __asm__ volatile("mov %0, %%dr2" ::"r"(v->hvm->dr[2]));
    __asm__ volatile("mov %0, %%dr3" ::"r"(v->hvm->dr[3]));
    __asm__ volatile("mov %0, %%dr6" ::"r"(v->hvm->dr6));
    vmx_set_proc_control(s, PROC_MOV_DR, false);
    s->dr_loaded = true;
}

static void save_dr(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    __asm__ volatile("mov %%dr0, %0" : "=r"(v->hvm->dr[0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(v->hvm->dr[1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(v->hvm->dr[2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(v->hvm->dr[3]));
    __asm__ volatile("mov %%dr6, %0" : "=r"(v->hvm->dr6));
    v->hvm->dr7 = vmread(GUEST_DR7);
    vmx_set_proc_control(s, PROC_MOV_DR, true);
    s->dr_loaded = false;
}

void vmx_update_dr(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);

    vmwrite(GUEST_DR7, v->hvm->dr7);
    if (v == current)
        load_dr(v);
    vmcs_close(s, before);
}

void vmx_sync_dr(struct vcpu *v)
{
    if (to_vmx(v)->dr_loaded && v == current)
        save_dr(v);
}

/* ---- MSRs ---- */

static void save_syscall_msrs(struct vmx_vcpu *s)
{
    s->star = rdmsr(MSR_STAR);
    s->lstar = rdmsr(MSR_LSTAR);
    s->cstar = rdmsr(MSR_CSTAR);
    s->sfmask = rdmsr(MSR_SFMASK);
    s->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
}

/* The values were the guest's own, or checked: no #GP. */
static void load_syscall_msrs(const struct vmx_vcpu *s)
{
    (void)wrmsr_safe(MSR_STAR, s->star);
    (void)wrmsr_safe(MSR_LSTAR, s->lstar);
    (void)wrmsr_safe(MSR_CSTAR, s->cstar);
    (void)wrmsr_safe(MSR_SFMASK, s->sfmask);
    (void)wrmsr_safe(MSR_KERNEL_GS_BASE, s->kernel_gs_base);
}

static bool msrs_live(const struct vmx_vcpu *s)
{
    return vmx_this_cpu()->loaded == s && vmx_this_cpu()->msr_owner == s;
}

void vmx_get_msrs(struct vcpu *v, struct hvm_msrs *m)
{
    struct vmx_vcpu *s = to_vmx(v), *before;

    if (msrs_live(s))
        save_syscall_msrs(s);
    before = vmcs_open(s);
    m->star = s->star;
    m->lstar = s->lstar;
    m->cstar = s->cstar;
    m->sfmask = s->sfmask;
    m->kernel_gs_base = s->kernel_gs_base;
    m->sysenter_cs = vmread(GUEST_SYSENTER_CS);
    m->sysenter_esp = vmread(GUEST_SYSENTER_ESP);
    m->sysenter_eip = vmread(GUEST_SYSENTER_EIP);
    m->debugctl = vmread(GUEST_DEBUGCTL);
    m->spec_ctrl = v->hvm->spec.spec_ctrl;
    vmcs_close(s, before);
}

void vmx_set_msrs(struct vcpu *v, const struct hvm_msrs *m)
{
    struct vmx_vcpu *s = to_vmx(v), *before;

    s->star = m->star;
    s->lstar = m->lstar;
    s->cstar = m->cstar;
    s->sfmask = m->sfmask;
    s->kernel_gs_base = m->kernel_gs_base;
    if (msrs_live(s))
        load_syscall_msrs(s);
    else
        s->msr_cpu = ~0u; /* what a CPU still has of them is old */
    before = vmcs_open(s);
    vmwrite(GUEST_SYSENTER_CS, m->sysenter_cs);
    vmwrite(GUEST_SYSENTER_ESP, m->sysenter_esp);
    vmwrite(GUEST_SYSENTER_EIP, m->sysenter_eip);
    vmwrite(GUEST_DEBUGCTL, m->debugctl);
    v->hvm->spec.spec_ctrl = m->spec_ctrl;
    vmcs_close(s, before);
}

/* ---- interrupt shadow ---- */

/* Entry checks (27.3.1.5): not both shadows; and with one, a trap of single-stepping is
 * pending exactly if RFLAGS.TF says so and it is not by branches. */
void vmx_set_shadow(struct vcpu *v, uint32_t shadow)
{
    struct vmx_vcpu *s = to_vmx(v), *before;
    uint64_t pending;

    if (shadow & HVM_SHADOW_MOVSS)
        shadow &= ~HVM_SHADOW_STI;
    if (shadow == v->hvm->shadow)
        return;
    before = vmcs_open(s);
    pending = vmread(GUEST_PENDING_DEBUG) & ~PENDING_DEBUG_BS;
    if ((shadow & (HVM_SHADOW_STI | HVM_SHADOW_MOVSS)) &&
        (v->hvm->regs.rflags & RFLAGS_TF) && !(vmread(GUEST_DEBUGCTL) & 2))
        pending |= PENDING_DEBUG_BS;
    vmwrite(GUEST_PENDING_DEBUG, pending);
    vmwrite(GUEST_INTERRUPTIBILITY, shadow);
    v->hvm->shadow = shadow;
    vmcs_close(s, before);
}

/* ---- switching vCPUs ---- */

void vmx_save_registers(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    if (s->dr_loaded)
        save_dr(v);
    save_syscall_msrs(s);
}

void vmx_load_registers(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);
    struct vmx_cpu *c = vmx_this_cpu();

    /* The idle vCPU, if nobody else, may have run between: it changes none of them. */
    if (c->msr_owner != s || s->msr_cpu != this_cpu()->id) {
        c->msr_owner = s;
        s->msr_cpu = this_cpu()->id;
        load_syscall_msrs(s);
        (void)wrmsr_safe(MSR_TSC_AUX, v->hvm->tsc_aux);
    }
    if (v->hvm->dr7 & DR7_ENABLES)
        load_dr(v);
}
