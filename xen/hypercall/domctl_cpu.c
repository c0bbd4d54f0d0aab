/* domctl: state and policy of vCPUs (public/domctl.h, hvm/save.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/domctl.h"
#include "domain/sched.h"
#include "hvm/cpuid.h"
#include "hvm/save.h"
#include "hvm/tsc.h"
#include "mm/frame.h"
#include "lib/string.h"

#define CONTEXT_MAX KB(256) /* of an HVM context; our heap's limit */

long domctl_gethvmcontext(struct domain *d, struct xen_domctl_hvmcontext *h)
{
    struct hvm_context context = {0};
    long rc;

    context.size = hvm_save_size(d);
    if (!HANDLE(h->buffer)) {
        h->size = context.size;
        return 0;
    }
    if (h->size < context.size)
        return -ENOSPC;
    context.data = zalloc(context.size);
    if (!context.data)
        return -ENOMEM;
    domain_pause(d);
    rc = hvm_save(d, &context);
    domain_unpause(d);
    h->size = context.pos;
    if (!rc && copy_to_guest(HANDLE(h->buffer), context.data, context.pos))
        rc = -EFAULT;
    zfree(context.data);
    return rc;
}

long domctl_sethvmcontext(struct domain *d, const struct xen_domctl_hvmcontext *h)
{
    struct hvm_context context = {.size = h->size};
    long rc = -EFAULT;

    if (h->size == 0 || h->size > CONTEXT_MAX)
        return -EINVAL;
    context.data = zalloc(h->size);
    if (!context.data)
        return -ENOMEM;
    if (copy_from_guest(context.data, HANDLE(h->buffer), h->size))
        goto free;
    domain_pause(d);
    rc = hvm_load(d, &context);
    domain_unpause(d);
free:
    zfree(context.data);
    return rc;
}

long domctl_gethvmcontext_partial(struct domain *d,
                                  struct xen_domctl_hvmcontext_partial *h)
{
    size_t bytes = PAGE_SIZE * 4;
    void *buf = zalloc(bytes);
    long rc;

    if (!buf)
        return -ENOMEM;
    domain_pause(d);
    rc = hvm_save_one(d, h->type, h->instance, buf, &bytes);
    domain_unpause(d);
    if (rc)
        goto free;
    if (!HANDLE(h->buffer)) {
        h->bufsz = bytes;
        goto free;
    }
    rc = -ENOSPC;
    if (h->bufsz < bytes)
        goto free;
    h->bufsz = bytes;
    rc = copy_to_guest(HANDLE(h->buffer), buf, bytes);
free:
    zfree(buf);
    return rc;
}

long cpu_policy_copy_out(const struct cpu_policy *p, uint64_t leaves, uint32_t *nr_leaves,
                         uint64_t msrs, uint32_t *nr_msrs)
{
    xen_cpuid_leaf_t *all = zalloc(CPU_POLICY_MAX_LEAVES * sizeof(*all));
    xen_msr_entry_t all_msrs[CPU_POLICY_MAX_MSRS];
    uint32_t n;
    long rc = 0;

    if (!all)
        return -ENOMEM;
    if (!leaves) {
        *nr_leaves = CPU_POLICY_MAX_LEAVES;
    } else {
        n = cpu_policy_to_leaves(p, all);
        if (*nr_leaves < n)
            rc = -ENOBUFS;
        else if (copy_to_guest(leaves, all, n * sizeof(*all)))
            rc = -EFAULT;
        *nr_leaves = n;
    }
    if (rc)
        goto out;
    if (!msrs) {
        *nr_msrs = CPU_POLICY_MAX_MSRS;
    } else {
        n = cpu_policy_to_msrs(p, all_msrs);
        if (*nr_msrs < n)
            rc = -ENOBUFS;
        else if (copy_to_guest(msrs, all_msrs, n * sizeof(all_msrs[0])))
            rc = -EFAULT;
        *nr_msrs = n;
    }
out:
    zfree(all);
    return rc;
}

long domctl_get_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *p)
{
    return cpu_policy_copy_out(d->hvm->policy, HANDLE(p->leaves), &p->nr_leaves,
                               HANDLE(p->msrs), &p->nr_msrs);
}

/* More than we would ever give out, and room for what other hypervisors' tools know. */
#define POLICY_LEAVES_MAX 512
#define POLICY_MSRS_MAX   64

long domctl_set_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *p)
{
    struct cpu_policy_error error = {~0u, ~0u, ~0u};
    xen_cpuid_leaf_t *leaves;
    xen_msr_entry_t *msrs;
    long rc = -ENOMEM;

    if (p->nr_leaves > POLICY_LEAVES_MAX || p->nr_msrs > POLICY_MSRS_MAX)
        return -E2BIG;
    leaves = zalloc(max(p->nr_leaves, 1u) * sizeof(*leaves));
    msrs = zalloc(max(p->nr_msrs, 1u) * sizeof(*msrs));
    if (!leaves || !msrs)
        goto free;
    rc = -EFAULT;
    if (copy_from_guest(leaves, HANDLE(p->leaves), p->nr_leaves * sizeof(*leaves)) ||
        copy_from_guest(msrs, HANDLE(p->msrs), p->nr_msrs * sizeof(*msrs)))
        goto free;
    rc = cpu_policy_domain_set(d, leaves, p->nr_leaves, msrs, p->nr_msrs, &error);
    p->err_leaf = error.leaf;
    p->err_subleaf = error.subleaf;
    p->err_msr = error.msr;
free:
    zfree(leaves);
    zfree(msrs);
    return rc;
}

static void fill_regs(struct cpu_user_regs *to, struct vcpu *v)
{
    const struct cpu_regs *r = &v->hvm->regs;
    static const uint8_t order[] = {EMUL_CS, EMUL_SS, EMUL_DS, EMUL_ES, EMUL_FS, EMUL_GS};
    uint16_t sel[6] = {0};

    for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
        struct emul_seg s;

        hvm_ops->get_segment(v, order[i], &s);
        sel[i] = s.sel;
    }
    *to = (struct cpu_user_regs){
        .r15 = r->r15,
        .r14 = r->r14,
        .r13 = r->r13,
        .r12 = r->r12,
        .rbp = r->rbp,
        .rbx = r->rbx,
        .r11 = r->r11,
        .r10 = r->r10,
        .r9 = r->r9,
        .r8 = r->r8,
        .rax = r->rax,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .rsi = r->rsi,
        .rdi = r->rdi,
        .rip = r->rip,
        .cs = sel[0],
        .ss = sel[1],
        .ds = sel[2],
        .es = sel[3],
        .rflags = r->rflags,
        .fs = sel[4],
        .gs = sel[5],
        .rsp = r->rsp,
    };
}

/* For debuggers: registers, control registers, segment bases. */
long domctl_getvcpucontext(struct domain *d, struct xen_domctl_vcpucontext *x)
{
    struct vcpu *v = domain_vcpu(d, x->vcpu);
    struct vcpu_guest_context *g;
    struct emul_seg seg;
    struct hvm_msrs msrs;
    long rc;

    if (!v)
        return x->vcpu >= d->nr_vcpus ? -EINVAL : -ESRCH;
    if (!READ_ONCE(v->initialised))
        return -ENODATA;
    g = zalloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    vcpu_pause(v);
    fill_regs(&g->user_regs, v);
    g->flags = VGCF_in_kernel | (v->state != VCPU_OFFLINE ? VGCF_online : 0);
    g->ctrlreg[0] = v->hvm->cr0;
    g->ctrlreg[2] = v->hvm->cr2;
    g->ctrlreg[3] = v->hvm->cr3;
    g->ctrlreg[4] = v->hvm->cr4;
    for (unsigned int i = 0; i < 4; i++)
        g->debugreg[i] = v->hvm->dr[i];
    g->debugreg[6] = v->hvm->dr6;
    g->debugreg[7] = v->hvm->dr7;
    hvm_ops->get_segment(v, EMUL_FS, &seg);
    g->fs_base = seg.base;
    hvm_ops->get_msrs(v, &msrs);
    hvm_ops->get_segment(v, EMUL_GS, &seg);
    g->gs_base_kernel = seg.base;
    g->gs_base_user = msrs.kernel_gs_base;
    vcpu_unpause(v);
    rc = copy_to_guest(HANDLE(x->ctxt), g, sizeof(*g));
    zfree(g);
    return rc;
}

/* Of an HVM vCPU that has a context: the general and debug registers, as in Xen. So tools
 * change what a suspend returned, to say that it was cancelled. */
long domctl_setvcpucontext(struct domain *d, const struct xen_domctl_vcpucontext *x)
{
    struct vcpu *v = domain_vcpu(d, x->vcpu);
    struct vcpu_guest_context *g;
    struct cpu_regs *r;
    long rc = -EFAULT;

    if (!HANDLE(x->ctxt)) /* take the vCPU out of service: PV guests' */
        return -EOPNOTSUPP;
    if (!v)
        return x->vcpu >= d->nr_vcpus ? -EINVAL : -ESRCH;
    if (!READ_ONCE(v->initialised))
        return -EOPNOTSUPP; /* its first state comes with the HVM context */
    g = zalloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    if (copy_from_guest(g, HANDLE(x->ctxt), sizeof(*g)))
        goto free;
    vcpu_pause(v);
    r = &v->hvm->regs;
    r->rax = g->user_regs.rax;
    r->rbx = g->user_regs.rbx;
    r->rcx = g->user_regs.rcx;
    r->rdx = g->user_regs.rdx;
    r->rsi = g->user_regs.rsi;
    r->rdi = g->user_regs.rdi;
    r->rbp = g->user_regs.rbp;
    r->rsp = g->user_regs.rsp;
    r->r8 = g->user_regs.r8;
    r->r9 = g->user_regs.r9;
    r->r10 = g->user_regs.r10;
    r->r11 = g->user_regs.r11;
    r->r12 = g->user_regs.r12;
    r->r13 = g->user_regs.r13;
    r->r14 = g->user_regs.r14;
    r->r15 = g->user_regs.r15;
    r->rip = g->user_regs.rip;
    r->rflags = (g->user_regs.rflags & 0x3f7fd5) | RFLAGS_MBS;
    for (unsigned int i = 0; i < 4; i++)
        v->hvm->dr[i] = g->debugreg[i];
    v->hvm->dr6 = (g->debugreg[6] & 0xe00f) | 0xffff0ff0;
    v->hvm->dr7 = (g->debugreg[7] & 0xffff2fff) | 0x400;
    hvm_ops->update_dr(v);
    vcpu_unpause(v);
    rc = 0;
free:
    zfree(g);
    return rc;
}

/* The TSC is constant and the same on all CPUs, and the domain's offset goes with its
 * context. A frequency that is not the machine's is had by scaling (hvm/tsc.h), but for
 * the native mode; without one, that and the default are the same. */
long domctl_tsc(struct domain *d, struct xen_domctl_tsc_info *t, bool set)
{
    struct abi_domain *abi = abi_of(d);
    int rc;

    if (!abi)
        return -ENOMEM;
    if (!set) {
        t->tsc_mode = d->tsc_mode;
        t->incarnation = abi->tsc_incarnation;
        t->gtsc_khz = d->tsc_mode == TSC_MODE_NATIVE ? 0 : hvm_tsc_khz(d);
        t->elapsed_nsec = d->tsc_mode == TSC_MODE_NATIVE ? 0 : now_ns();
        return 0;
    }
    if (t->tsc_mode > TSC_MODE_NATIVE)
        return -EINVAL;
    domain_pause(d);
    rc = hvm_set_tsc_khz(d, t->tsc_mode == TSC_MODE_NATIVE ? 0 : t->gtsc_khz);
    domain_unpause(d);
    if (rc)
        return rc;
    d->tsc_mode = t->tsc_mode;
    abi->tsc_incarnation = t->incarnation;
    return 0;
}
