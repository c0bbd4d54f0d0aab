/* First register state of a vCPU, as VCPUOP_initialise gives it
 * (public/hvm/hvm_vcpu.h). SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/vcpu_hvm.h"
#include "hvm/hvm.h"
#include "lib/errno.h"
#include <xen/hvm/hvm_vcpu.h>

#define CR0_PE          (1u << 0)
#define CR0_ET          (1u << 4)
#define CR0_NW          (1u << 29)
#define CR0_CD          (1u << 30)
#define CR0_PG          (1u << 31)
#define CR4_PAE         (1u << 5)
#define EFER_SCE        (1u << 0)
#define EFER_LME        (1u << 8)
#define EFER_LMA        (1u << 10)
#define EFER_NXE        (1u << 11)
#define ATTR_VALID      0xfffu
#define TYPE_CODE       8u /* of type: executable */
#define TYPE_WRITE      2u /* of type, data */
#define TYPE_TSS_BUSY   0xbu
#define TYPE_TSS16_BUSY 3u

static bool code_ok(const struct emul_seg *s)
{
    return s->attr & EMUL_ATTR_P && s->attr & EMUL_ATTR_S && s->attr & TYPE_CODE &&
           !(s->attr & EMUL_ATTR_L && s->attr & EMUL_ATTR_DB);
}

/* A data segment may be absent. */
static bool data_ok(const struct emul_seg *s)
{
    return !(s->attr & EMUL_ATTR_P) || s->attr & EMUL_ATTR_S;
}

static bool stack_ok(const struct emul_seg *s)
{
    return !(s->attr & EMUL_ATTR_P) ||
           (s->attr & EMUL_ATTR_S && !(s->attr & TYPE_CODE) && s->attr & TYPE_WRITE);
}

static bool tss_ok(const struct emul_seg *s)
{
    unsigned int type = s->attr & EMUL_ATTR_TYPE;

    return s->attr & EMUL_ATTR_P && !(s->attr & EMUL_ATTR_S) &&
           (type == TYPE_TSS_BUSY || type == TYPE_TSS16_BUSY);
}

static struct emul_seg make_seg(uint32_t base, uint32_t limit, uint16_t attr)
{
    return (struct emul_seg){.base = base, .limit = limit, .attr = attr};
}

/* Modes of CR0, CR4 and EFER that go together; APM vol 2, 1.3 and 14.6. */
static bool control_ok(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    if (cr0 >> 32 || (cr0 & CR0_PG && !(cr0 & CR0_PE)) ||
        (cr0 & CR0_NW && !(cr0 & CR0_CD)))
        return false;
    if (efer & ~(uint64_t)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
        return false;
    if (cr0 & CR0_PG && efer & EFER_LME && !(cr4 & CR4_PAE))
        return false;
    return !(efer & EFER_LMA) == !(cr0 & CR0_PG && efer & EFER_LME);
}

static void set_control(struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4,
                        uint64_t efer)
{
    struct hvm_vcpu *h = v->hvm;

    h->cr0 = cr0 | CR0_ET;
    h->cr3 = cr3;
    h->cr4 = cr4;
    h->efer = efer;
    hvm_ops->update_efer(v);
    hvm_ops->update_cr(v, 0);
    hvm_ops->update_cr(v, 3);
    hvm_ops->update_cr(v, 4);
}

static int set_32(struct vcpu *v, const struct vcpu_hvm_x86_32 *r)
{
    struct emul_seg cs = make_seg(r->cs_base, r->cs_limit, r->cs_ar);
    struct emul_seg ds = make_seg(r->ds_base, r->ds_limit, r->ds_ar);
    struct emul_seg ss = make_seg(r->ss_base, r->ss_limit, r->ss_ar);
    struct emul_seg es = make_seg(r->es_base, r->es_limit, r->es_ar);
    struct emul_seg tr = make_seg(r->tr_base, r->tr_limit, r->tr_ar);
    struct emul_seg none = {0};

    if ((cs.attr | ds.attr | ss.attr | es.attr | tr.attr) & ~ATTR_VALID)
        return -EINVAL;
    if (!code_ok(&cs) || !data_ok(&ds) || !stack_ok(&ss) || !data_ok(&es) ||
        !tss_ok(&tr) || cs.attr & EMUL_ATTR_L)
        return -EINVAL;
    if (r->eip > cs.limit || !control_ok(r->cr0, r->cr4, r->efer))
        return -EINVAL;
    hvm_vcpu_reset_state(v, 0, 0);
    v->hvm->regs = (struct cpu_regs){
        .rax = r->eax,
        .rcx = r->ecx,
        .rdx = r->edx,
        .rbx = r->ebx,
        .rsp = r->esp,
        .rbp = r->ebp,
        .rsi = r->esi,
        .rdi = r->edi,
        .rip = r->eip,
        .rflags = (r->eflags & ~(RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)) | RFLAGS_MBS};
    set_control(v, r->cr0, r->cr3, r->cr4, r->efer);
    hvm_ops->set_segment(v, EMUL_CS, &cs);
    hvm_ops->set_segment(v, EMUL_DS, &ds);
    hvm_ops->set_segment(v, EMUL_SS, &ss);
    hvm_ops->set_segment(v, EMUL_ES, &es);
    hvm_ops->set_segment(v, EMUL_FS, &none);
    hvm_ops->set_segment(v, EMUL_GS, &none);
    hvm_ops->set_segment(v, EMUL_TR, &tr);
    return 0;
}

static int set_64(struct vcpu *v, const struct vcpu_hvm_x86_64 *r)
{
    const uint64_t long_mode = EFER_LME | EFER_LMA;
    struct emul_seg cs = make_seg(0, ~0u, 0xa9b); /* 64-bit code, DPL 0 */
    struct emul_seg data = make_seg(0, ~0u, 0xc93);
    struct emul_seg tr = make_seg(0, 0x67, 0x8b);

    if (!(r->cr0 & CR0_PE) || !(r->cr0 & CR0_PG) || (r->efer & long_mode) != long_mode ||
        !control_ok(r->cr0, r->cr4, r->efer))
        return -EINVAL;
    hvm_vcpu_reset_state(v, 0, 0);
    v->hvm->regs = (struct cpu_regs){
        .rax = r->rax,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .rbx = r->rbx,
        .rsp = r->rsp,
        .rbp = r->rbp,
        .rsi = r->rsi,
        .rdi = r->rdi,
        .rip = r->rip,
        .rflags =
            (r->rflags & ~(uint64_t)(RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP) & 0x3fffff) |
            RFLAGS_MBS};
    set_control(v, r->cr0, r->cr3, r->cr4, r->efer);
    hvm_ops->set_segment(v, EMUL_CS, &cs);
    for (unsigned int s = EMUL_ES; s <= EMUL_GS; s++)
        if (s != EMUL_CS)
            hvm_ops->set_segment(v, s, &data);
    hvm_ops->set_segment(v, EMUL_TR, &tr);
    return 0;
}

int vcpu_set_hvm_context(struct vcpu *v, const struct vcpu_hvm_context *context)
{
    const struct vcpu *first = domain_vcpu(v->domain, 0);
    int rc;

    if (context->pad)
        return -EINVAL;
    switch (context->mode) {
    case VCPU_HVM_MODE_32B:
        rc = set_32(v, &context->cpu_regs.x86_32);
        break;
    case VCPU_HVM_MODE_64B:
        rc = set_64(v, &context->cpu_regs.x86_64);
        break;
    default:
        return -EINVAL;
    }
    if (!rc && first && first != v) { /* one TSC for all */
        v->hvm->tsc_offset = first->hvm->tsc_offset;
        hvm_ops->update_tsc(v);
    }
    return rc;
}
