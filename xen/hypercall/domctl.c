/* domctl: control of domains by Dom0's tools (public/domctl.h). Handles are 64 bits wide
 * for all callers. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Not there, each with the ABI's error: device passthrough, memory sharing and events,
 * single-stepping, cache allocation, soft reset, what is for PV guests.
 */
#include "hypercall/domctl.h"
#include "hypercall/hypercall.h"
#include "hypercall/pvclock.h"
#include "hypercall/vnuma.h"
#include "domain/evtchn.h"
#include "mm/frame.h"
#include "lib/string.h"

/* Until there is passthrough, nothing can be permitted; taking away is done at once. */
static long permission(bool allow)
{
    return allow ? -EOPNOTSUPP : 0;
}

static long pause(struct hcall *c, struct domain *d)
{
    return d == c->v->domain ? -EINVAL : domain_pause_by_controller(d);
}

static long max_vcpus(struct hcall *c, struct domain *d, uint32_t max)
{
    if (d == c->v->domain || max != d->nr_vcpus)
        return -EINVAL;
    return domain_set_max_vcpus(d, max);
}

static long settimeoffset(struct domain *d, int64_t seconds)
{
    d->time_offset_s = seconds;
    if (!domain_is_dying(d))
        wallclock_update(d);
    return 0;
}

static long subscribe(struct domain *d, uint32_t port)
{
    struct abi_domain *abi = abi_of(d);

    if (!abi)
        return -ENOMEM;
    abi->suspend_port = port;
    return 0;
}

static long setdebugging(struct hcall *c, struct domain *d, bool on)
{
    struct abi_domain *abi = abi_of(d);

    if (d == c->v->domain)
        return -EINVAL;
    if (!abi)
        return -ENOMEM;
    abi->debugging = on;
    return 0;
}

static long hypercall_init(struct domain *d, uint64_t gfn)
{
    void *page = alloc_pages(0);
    long rc;

    if (!page)
        return -ENOMEM;
    hypercall_page_fill(page, hvm_ops->hypercall_insn);
    rc = guest_write_phys(d, gfn << PAGE_SHIFT, page, PAGE_SIZE) ? -EACCES : 0;
    free_pages(page, 0);
    return rc;
}

static long monitor_op(struct xen_domctl_monitor_op *m)
{
    if (m->op != XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES)
        return -EOPNOTSUPP;
    m->event = 0;
    return 0;
}

static long set_address_size(uint32_t size)
{
    return size == 64 ? 0 : -EINVAL; /* HVM guests choose for themselves */
}

/* Ops on an existing domain. */
static long run(struct hcall *c, struct domain *d, struct xen_domctl *op)
{
    switch (op->cmd) {
    case XEN_DOMCTL_destroydomain:
        return domctl_destroy(d);
    case XEN_DOMCTL_pausedomain:
        return pause(c, d);
    case XEN_DOMCTL_unpausedomain:
        return domain_unpause_by_controller(d);
    case XEN_DOMCTL_resumedomain:
        if (d == c->v->domain)
            return -EINVAL;
        domain_resume(d);
        return 0;
    case XEN_DOMCTL_max_vcpus:
        return max_vcpus(c, d, op->u.max_vcpus.max);
    case XEN_DOMCTL_max_mem:
        return domctl_max_mem(d, op->u.max_mem.max_memkb);
    case XEN_DOMCTL_getvcpuinfo:
        return domctl_getvcpuinfo(d, &op->u.getvcpuinfo);
    case XEN_DOMCTL_setvcpuaffinity:
        return domctl_setvcpuaffinity(d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_getvcpuaffinity:
        return domctl_getvcpuaffinity(d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_setnodeaffinity:
        return domctl_nodeaffinity(d, &op->u.nodeaffinity, true);
    case XEN_DOMCTL_getnodeaffinity:
        return domctl_nodeaffinity(d, &op->u.nodeaffinity, false);
    case XEN_DOMCTL_scheduler_op:
        return domctl_scheduler_op(d, &op->u.scheduler_op);
    case XEN_DOMCTL_getpageframeinfo3:
        return domctl_pageframeinfo(d, &op->u.getpageframeinfo3);
    case XEN_DOMCTL_shadow_op:
        return d == c->v->domain ? -EINVAL : domctl_shadow_op(d, &op->u.shadow_op);
    case XEN_DOMCTL_get_paging_mempool_size:
        return domctl_paging_mempool(d, &op->u.paging_mempool, false);
    case XEN_DOMCTL_set_paging_mempool_size:
        return domctl_paging_mempool(d, &op->u.paging_mempool, true);
    case XEN_DOMCTL_gethvmcontext:
        return d == c->v->domain ? -EINVAL : domctl_gethvmcontext(d, &op->u.hvmcontext);
    case XEN_DOMCTL_sethvmcontext:
        return d == c->v->domain ? -EINVAL : domctl_sethvmcontext(d, &op->u.hvmcontext);
    case XEN_DOMCTL_gethvmcontext_partial:
        return d == c->v->domain
                   ? -EINVAL
                   : domctl_gethvmcontext_partial(d, &op->u.hvmcontext_partial);
    case XEN_DOMCTL_getvcpucontext:
        return d == c->v->domain ? -EINVAL : domctl_getvcpucontext(d, &op->u.vcpucontext);
    case XEN_DOMCTL_setvcpucontext:
        return d == c->v->domain ? -EINVAL : domctl_setvcpucontext(d, &op->u.vcpucontext);
    case XEN_DOMCTL_get_cpu_policy:
        return domctl_get_cpu_policy(d, &op->u.cpu_policy);
    case XEN_DOMCTL_set_cpu_policy:
        return d == c->v->domain ? -EINVAL : domctl_set_cpu_policy(d, &op->u.cpu_policy);
    case XEN_DOMCTL_gettscinfo:
        return domctl_tsc(d, &op->u.tsc_info, false);
    case XEN_DOMCTL_settscinfo:
        return d == c->v->domain ? -EINVAL : domctl_tsc(d, &op->u.tsc_info, true);
    case XEN_DOMCTL_setdomainhandle:
        memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
        return 0;
    case XEN_DOMCTL_setdebugging:
        return setdebugging(c, d, op->u.setdebugging.enable);
    case XEN_DOMCTL_hypercall_init:
        return hypercall_init(d, op->u.hypercall_init.gmfn);
    case XEN_DOMCTL_settimeoffset:
        return settimeoffset(d, op->u.settimeoffset.time_offset_seconds);
    case XEN_DOMCTL_sendtrigger:
        return domctl_sendtrigger(d, &op->u.sendtrigger);
    case XEN_DOMCTL_subscribe:
        return subscribe(d, op->u.subscribe.port);
    case XEN_DOMCTL_set_address_size:
        return set_address_size(op->u.address_size.size);
    case XEN_DOMCTL_get_address_size:
        op->u.address_size.size = 64;
        return 0;
    case XEN_DOMCTL_set_target:
        return domctl_set_target(d, op->u.set_target.target);
    case XEN_DOMCTL_set_virq_handler:
        return evtchn_set_virq_handler(d, op->u.set_virq_handler.virq);
    case XEN_DOMCTL_setvnumainfo:
        return vnuma_set(d, &op->u.vnuma);
    case XEN_DOMCTL_set_access_required: /* nothing to require without a listener */
        return d == c->v->domain ? -EPERM : 0;
    case XEN_DOMCTL_monitor_op:
        return monitor_op(&op->u.monitor_op);
    case XEN_DOMCTL_irq_permission:
        return permission(op->u.irq_permission.allow_access);
    case XEN_DOMCTL_iomem_permission:
        return permission(op->u.iomem_permission.allow_access);
    case XEN_DOMCTL_ioport_permission:
        return permission(op->u.ioport_permission.allow_access);
    case XEN_DOMCTL_memory_mapping:
        return permission(op->u.memory_mapping.add_mapping);
    case XEN_DOMCTL_ioport_mapping:
        return permission(op->u.ioport_mapping.add_mapping);
    case XEN_DOMCTL_bind_pt_irq:
    case XEN_DOMCTL_unbind_pt_irq: /* no device is assigned */
        return -ESRCH;
    case XEN_DOMCTL_get_vcpu_msrs:
    case XEN_DOMCTL_set_vcpu_msrs: /* PV guests' */
        return -EINVAL;
    case XEN_DOMCTL_psr_cmt_op:
    case XEN_DOMCTL_psr_alloc:
        return -ENODEV;
    case XEN_DOMCTL_audit_p2m:
    case XEN_DOMCTL_vuart_op:
        return -ENOSYS;
    }
    return -EOPNOTSUPP; /* the rest of what the table knows */
}

/* Of the domain with this id or the next higher one: tools walk the domains so. */
static long getdomaininfo(struct xen_domctl *op)
{
    if (op->domain >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    for (unsigned int id = op->domain; id < MAX_DOMAINS; id++) {
        struct domain *d = domain_peek(id) ? domain_get_by_id(id) : NULL;

        if (!d)
            continue;
        domain_info(d, &op->u.getdomaininfo);
        op->domain = d->id;
        domain_put(d);
        return 0;
    }
    return -ESRCH;
}

static bool is_error_with_answer(uint32_t cmd, long rc)
{
    return (cmd == XEN_DOMCTL_set_cpu_policy || cmd == XEN_DOMCTL_get_cpu_policy) &&
           rc != -EFAULT;
}

long do_domctl(struct hcall *c)
{
    struct xen_domctl op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, c->arg[0], sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    rc = hcall_check(c, op.cmd);
    if (rc)
        return rc;
    switch (op.cmd) {
    case XEN_DOMCTL_createdomain:
        rc = domctl_create(c, &op);
        break;
    case XEN_DOMCTL_getdomaininfo:
        rc = getdomaininfo(&op);
        break;
    case XEN_DOMCTL_assign_device: /* may name no domain at all */
    case XEN_DOMCTL_test_assign_device:
    case XEN_DOMCTL_deassign_device:
    case XEN_DOMCTL_get_device_group:
        return -EOPNOTSUPP;
    default:
        if (op.domain == DOMID_SELF)
            return -ESRCH; /* only by number */
        rc = hcall_target(c, op.domain, &d);
        if (rc)
            return rc;
        rc = run(c, d, &op);
        domain_put(d);
    }
    if ((rc >= 0 || is_error_with_answer(op.cmd, rc)) &&
        copy_to_guest(c->arg[0], &op, sizeof(op)))
        rc = -EFAULT;
    return rc;
}
