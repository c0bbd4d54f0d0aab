/* Local APICs that the processor plays: APIC-register virtualization and
 * virtual-interrupt delivery (Intel SDM vol 3, chapter 30). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * All of it or nothing: a processor that has only a part of the controls is used as one
 * that has the TPR shadow alone. In x2APIC mode a second MSR bitmap lets the guest read
 * most registers and write TPR, EOI and SELF IPI. In xAPIC mode a page of the domain's
 * own lies at the APIC's address; it is never read or written, its address is what
 * counts. An APIC that was moved elsewhere is emulated, and so is what the processor
 * leaves.
 */
#include "vmx/vmcs.h"
#include "cpu/irq.h"
#include "domain/sched.h"
#include "hvm/vlapic.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/string.h"

#define X2APIC_MSR 0x800

/* Exit qualification of APIC accesses (table 28-6). */
#define ACCESS_OFFSET(qual) ((qual)&0xfff)
#define ACCESS_TYPE(qual)   ((qual) >> 12 & 15)
#define ACCESS_WRITE        1
#define ACCESS_FETCH        2

static void pass(uint8_t *map, unsigned int reg, bool write)
{
    unsigned int msr = X2APIC_MSR + reg;

    map[(write ? 0x800 : 0) + msr / 8] &= ~(1u << msr % 8);
}

/* What is not there, or changes by itself, or only software can judge, keeps its exit. */
static void init_x2apic_bitmap(uint8_t *map)
{
    static const uint8_t readable[] = {
        APIC_ID,        APIC_VERSION,   APIC_TPR,       APIC_PPR,         APIC_LDR,
        APIC_SVR,       APIC_ESR,       APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PERF,
        APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR, APIC_TMICT,       APIC_TDCR,
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(readable); i++)
        pass(map, readable[i], false);
    for (unsigned int reg = APIC_ISR; reg < APIC_ESR; reg++)
        pass(map, reg, false);
    pass(map, APIC_TPR, true);
    pass(map, APIC_EOI, true);
    pass(map, APIC_SELF_IPI, true);
}

/* msrpm has two pages: the second is for vCPUs in x2APIC mode. */
int vmx_apic_domain_init(struct domain *d)
{
    memcpy(d->hvm->msrpm + PAGE_SIZE, d->hvm->msrpm, PAGE_SIZE);
    if (!vmx_caps.vid)
        return 0;
    init_x2apic_bitmap(d->hvm->msrpm + PAGE_SIZE);
    d->hvm->apic_page = alloc_pages(0);
    return d->hvm->apic_page ? 0 : -ENOMEM;
}

void vmx_apic_domain_destroy(struct domain *d)
{
    if (d->hvm->apic_page)
        free_pages(d->hvm->apic_page, 0);
    d->hvm->apic_page = NULL;
}

uint32_t *vmx_apic_page(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v);

    if (vmx_caps.posted)
        v->hvm->vlapic->posted = vmx_posted_of(s)->requests;
    return vmx_caps.vid ? (uint32_t *)s->vapic : NULL;
}

/* Who has an interrupt for a vCPU in guest mode on another CPU writes it into the vCPU's
 * descriptor and sends that CPU a notification, which makes no exit. Every entry looks
 * into the descriptor as well, so it does not matter when a notification comes too late.
 */
void vmx_apic_notify(struct vcpu *v)
{
    struct vmx_posted *p = vmx_posted_of(to_vmx(v));
    struct percpu *cpu;

    if (v == current)
        return; /* on its way into the guest, or it looks before it blocks */
    if (!vlapic_page_post(v->hvm->vlapic)) {
        vcpu_kick(v); /* what is left needs an exit */
        return;
    }
    if (!(__atomic_fetch_or(&p->outstanding, 1, __ATOMIC_SEQ_CST) & 1) &&
        READ_ONCE(v->running)) {
        /* An entry that did not see the request has set in_guest before. */
        cpu = cpus[READ_ONCE(v->cpu)];
        if (READ_ONCE(cpu->in_guest))
            apic_send_ipi(cpu->id, VECTOR_POSTED);
    }
    vcpu_wake(v);
}

void vmx_apic_mode(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before;
    const struct vlapic *l = v->hvm->vlapic;
    uint32_t controls = s->proc2_controls & ~(PROC2_APIC_ACCESS | PROC2_X2APIC);

    if (l->x2apic)
        controls |= vmx_caps.proc2 & PROC2_X2APIC;
    else if (l->hw_enabled && l->mmio.gpa == APIC_DEFAULT_BASE)
        controls |= vmx_caps.proc2 & PROC2_APIC_ACCESS;
    if (controls == s->proc2_controls)
        return;
    s->proc2_controls = controls;
    before = vmcs_open(s);
    vmwrite(PROC_CONTROLS2, controls);
    vmwrite(MSR_BITMAP, virt_to_maddr(v->domain->hvm->msrpm) +
                            (controls & PROC2_X2APIC ? PAGE_SIZE : 0));
    vmcs_close(s, before);
    /* Translations to the page may be cached with what an access to it does (30.4.1). */
    s->ept_flush_gen--;
    v->hvm->flush_tlb = true;
}

/* The page comes to its place when the guest first looks for it there. */
bool vmx_apic_map(struct vcpu *v, uint64_t gpa)
{
    struct domain *d = v->domain;
    enum p2m_type type;

    if (!(to_vmx(v)->proc2_controls & PROC2_APIC_ACCESS))
        return false;
    p2m_lookup(d, gpa_to_gfn(gpa), &type, NULL);
    return type == P2M_INVALID &&
           !p2m_set(d, gpa_to_gfn(gpa), virt_to_mfn(d->hvm->apic_page), P2M_MMIO_DIRECT,
                    ORDER_4K);
}

/* The EOI of a level-triggered interrupt is the I/O APIC's business, too. */
static void update_eoi_exits(struct vmx_vcpu *s, const struct vlapic *l)
{
    for (unsigned int i = 0; i < 4; i++) {
        uint64_t level = READ_ONCE(l->tmr[i]);

        if (likely(level == s->eoi_exit[i]))
            continue;
        s->eoi_exit[i] = level;
        vmwrite(EOI_EXIT_BITMAP0 + 2 * i, level);
    }
}

void vmx_apic_enter(struct vcpu *v, struct vmx_vcpu *s)
{
    struct vlapic *l = v->hvm->vlapic;
    struct vlapic_entry e;
    uint16_t status;

    vlapic_page_enter(l, &e);
    update_eoi_exits(s, l);
    status = e.whole ? (uint32_t)e.in_service << 8 : vmread(GUEST_INTR_STATUS) & 0xff00;
    vmwrite(GUEST_INTR_STATUS, status | e.requested);
}

void vmx_apic_translate(struct vcpu *v, unsigned int basic, struct vmexit *exit)
{
    uint64_t qual = vmread(EXIT_QUALIFICATION);

    switch (basic) {
    case VMX_EXIT_EOI:
        exit->reason = VMEXIT_APIC_EOI;
        exit->info.apic.vector = qual;
        break;
    case VMX_EXIT_APIC_WRITE:
        exit->reason = VMEXIT_APIC_WRITE;
        exit->info.apic.offset = ACCESS_OFFSET(qual);
        break;
    default: /* as if nothing were there: an EPT violation */
        exit->reason = VMEXIT_NPF;
        exit->info.npf.gpa = APIC_DEFAULT_BASE + ACCESS_OFFSET(qual);
        exit->info.npf.write = ACCESS_TYPE(qual) == ACCESS_WRITE;
        exit->info.npf.exec = ACCESS_TYPE(qual) == ACCESS_FETCH;
        exit->info.npf.present = true;
        exit->info.npf.gva_valid = exit->info.npf.table_walk = false;
    }
}
