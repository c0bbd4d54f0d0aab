/* domctl: what domains and vCPUs do, and where they run (public/domctl.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/domctl.h"
#include "cpu/percpu.h"
#include "domain/sched.h"
#include "hvm/cpuid.h"
#include "lib/string.h"
#include <xen/xen.h>

#define PAGEFRAME_MAX 1024 /* in one call */
#define WEIGHT_MAX    65535

static uint32_t info_flags(const struct domain *d, bool blocked, bool running)
{
    uint32_t flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;

    if (d->state == DOMAIN_DEAD)
        flags |= XEN_DOMINF_dying;
    if (d->is_shut_down)
        flags |= XEN_DOMINF_shutdown;
    if (d->controller_pause_count > 0)
        flags |= XEN_DOMINF_paused;
    if (blocked)
        flags |= XEN_DOMINF_blocked;
    if (running)
        flags |= XEN_DOMINF_running;
    if (d->abi && d->abi->debugging)
        flags |= XEN_DOMINF_debugged;
    if (d->create_flags & XEN_DOMCTL_CDF_xs_domain)
        flags |= XEN_DOMINF_xs_domain;
    return flags | (uint32_t)d->shutdown_code << XEN_DOMINF_shutdownshift;
}

void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool blocked = true, running = false;

    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    for_each_vcpu(d, v)
    {
        struct vcpu_runstate_info runstate;

        vcpu_runstate_get(v, &runstate);
        info->cpu_time += runstate.time[RUNSTATE_running];
        info->max_vcpu_id = v->id;
        if (!hvm_vcpu_is_up(v))
            continue;
        info->nr_online_vcpus++;
        if (v->state != VCPU_BLOCKED)
            blocked = false;
        if (READ_ONCE(v->running))
            running = true;
    }
    info->flags = info_flags(d, blocked, running);
    info->tot_pages = READ_ONCE(d->tot_pages);
    /* What tools take for "no limit", Dom0's. */
    info->max_pages = min(READ_ONCE(d->max_pages), (uint64_t)UINT32_MAX);
    info->shared_info_frame =
        d->abi && d->abi->shared_info_mapped ? d->abi->shared_info_gfn : ~0ull;
    info->ssidref = d->ssidref;
    memcpy(info->handle, d->handle, sizeof(info->handle));
    info->gpaddr_bits = d->hvm && d->hvm->policy ? cpu_policy_maxphysaddr(d) : 48;
    info->arch_config.emulation_flags = d->emulation_flags;
}

long domctl_getvcpuinfo(struct domain *d, struct xen_domctl_getvcpuinfo *info)
{
    struct vcpu_runstate_info runstate;
    struct vcpu *v = domain_vcpu(d, info->vcpu);

    if (!v)
        return info->vcpu >= d->nr_vcpus ? -EINVAL : -ESRCH;
    vcpu_runstate_get(v, &runstate);
    info->online = hvm_vcpu_is_up(v);
    info->blocked = v->state == VCPU_BLOCKED;
    info->running = READ_ONCE(v->running);
    info->cpu_time = runstate.time[RUNSTATE_running];
    info->cpu = v->cpu;
    return 0;
}

static struct vcpu *affinity_vcpu(struct domain *d,
                                  const struct xen_domctl_vcpuaffinity *a, long *rc)
{
    struct vcpu *v = domain_vcpu(d, a->vcpu);

    *rc = -EINVAL;
    if (!(a->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
        return NULL;
    if (!v)
        *rc = a->vcpu >= d->nr_vcpus ? -EINVAL : -ESRCH;
    return v;
}

static long put_affinity(const struct xen_domctl_vcpuaffinity *a, uint64_t hard,
                         uint64_t soft)
{
    long rc = 0;

    if (a->flags & XEN_VCPUAFFINITY_HARD)
        rc = hcall_bitmap_put(&a->cpumap_hard, hard, 64);
    if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
        rc = hcall_bitmap_put(&a->cpumap_soft, soft, 64);
    return rc;
}

long domctl_getvcpuaffinity(struct domain *d, struct xen_domctl_vcpuaffinity *a)
{
    long rc;
    struct vcpu *v = affinity_vcpu(d, a, &rc);

    return v ? put_affinity(a, v->hard_affinity, v->soft_affinity) : rc;
}

long domctl_setvcpuaffinity(struct domain *d, struct xen_domctl_vcpuaffinity *a)
{
    uint64_t online = nr_cpus >= 64 ? ~0ull : BIT(nr_cpus) - 1, hard, soft;
    long rc;
    struct vcpu *v = affinity_vcpu(d, a, &rc);

    if (!v)
        return rc;
    hard = v->hard_affinity;
    soft = v->soft_affinity;
    if (a->flags & XEN_VCPUAFFINITY_HARD && hcall_bitmap_get(&a->cpumap_hard, &hard))
        return -EFAULT;
    if (a->flags & XEN_VCPUAFFINITY_SOFT && hcall_bitmap_get(&a->cpumap_soft, &soft))
        return -EFAULT;
    if (!soft)
        return -EINVAL;
    rc = vcpu_set_affinity(v, hard, soft);
    if (rc)
        return rc;
    return put_affinity(a, hard & online, soft & hard & online);
}

long domctl_nodeaffinity(struct domain *d, struct xen_domctl_nodeaffinity *a, bool set)
{
    uint64_t nodes;

    if (!set)
        return hcall_bitmap_put(&a->nodemap, 1, 1);
    if (hcall_bitmap_get(&a->nodemap, &nodes))
        return -EFAULT;
    return nodes & 1 ? 0 : -EINVAL; /* there is one node */
}

/* Shares as the credit schedulers have them: the tools know how to set these. */
long domctl_scheduler_op(struct domain *d, struct xen_domctl_scheduler_op *op)
{
    struct xen_domctl_sched_credit2 *p = &op->u.credit2;

    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    switch (op->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        p->weight = d->weight;
        p->cap = d->cap;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        if (p->weight)
            WRITE_ONCE(d->weight, p->weight);
        if (p->cap != (uint16_t)~0)
            sched_set_cap(d, p->cap);
        return 0;
    }
    return -EINVAL; /* vCPUs have no shares of their own */
}

static uint64_t pageframe_type(struct domain *d, uint64_t gfn)
{
    enum p2m_type type;
    mfn_t mfn = p2m_lookup(d, GFN(gfn), &type, NULL);

    if (type == P2M_POD) /* whoever saves it need not read it */
        return XEN_DOMCTL_PFINFO_XALLOC;
    return mfn_valid_number(mfn) && p2m_is_ram(type) ? XEN_DOMCTL_PFINFO_NOTAB
                                                     : XEN_DOMCTL_PFINFO_XTAB;
}

/* The array is of xen_pfn_t in 64 bits: this ABI's pfns are as wide as its handles. */
long domctl_pageframeinfo(struct domain *d, struct xen_domctl_getpageframeinfo3 *p)
{
    if (p->num > PAGEFRAME_MAX)
        return -E2BIG;
    for (uint64_t i = 0; i < p->num; i++) {
        uint64_t at = HANDLE(p->array) + i * 8, gfn, type;

        if (copy_from_guest(&gfn, at, sizeof(gfn)))
            return -EFAULT;
        type = pageframe_type(d, gfn);
        if (copy_to_guest(at, &type, sizeof(type)))
            return -EFAULT;
        hcall_breathe(i);
    }
    return 0;
}
