/* sysctl: the machine as a whole, for Dom0's tools (public/sysctl.h). Handles are 64 bits
 * wide for all callers. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Not there, each with the ABI's error: tracing, CPU frequency and idle statistics, CPU
 * hotplug, page offlining, coverage, cache monitoring and allocation. There is one CPU
 * pool and one NUMA node.
 */
#include "hypercall/abi.h"
#include "hypercall/domctl.h"
#include "cpu/percpu.h"
#include "hvm/cpuid.h"
#include "lib/console.h"
#include "lib/string.h"
#include "mm/frame.h"
#include <xen/sysctl.h>

#define CHUNK      512
#define LOCAL_NODE 10 /* distance of a node to itself, ACPI SLIT */
#define KEYS_MAX   256

static long readconsole(struct xen_sysctl_readconsole *r)
{
    uint32_t done = 0, index = r->incremental ? r->index : 0, drop = 0;
    char buf[CHUNK];

    while (done < r->count) {
        size_t n =
            console_ring_read(buf, min(r->count - done, (uint32_t)CHUNK), false, &index);

        if (n == 0)
            break;
        if (copy_to_guest(HANDLE(r->buffer) + done, buf, n))
            return -EFAULT;
        done += n;
    }
    if (r->clear)
        console_ring_read(buf, 0, true, &drop);
    r->count = done;
    r->index = index;
    return 0;
}

static long physinfo(struct xen_sysctl_physinfo *p)
{
    const struct cpu_policy *host = cpu_policy_system(XEN_SYSCTL_cpu_policy_host);
    uint32_t words[CPU_FEATURESET_WORDS] = {0};

    memset(p, 0, sizeof(*p));
    p->threads_per_core = 1;
    p->cores_per_socket = p->nr_cpus = nr_cpus;
    p->max_cpu_id = nr_cpus - 1;
    p->nr_nodes = 1;
    p->cpu_khz = tsc_hz / 1000;
    p->capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap |
                      XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
    p->total_pages = frames_total();
    p->free_pages = frames_free();
    p->max_mfn = max_mfn - 1;
    if (host)
        cpu_policy_to_featureset(host, words);
    memcpy(p->hw_cap, words, sizeof(p->hw_cap));
    return 0;
}

static long getdomaininfolist(struct xen_sysctl_getdomaininfolist *l)
{
    uint32_t n = 0;

    for (unsigned int id = l->first_domain; id < MAX_DOMAINS && n < l->max_domains;
         id++) {
        struct xen_domctl_getdomaininfo info;
        struct domain *d = domain_peek(id) ? domain_get_by_id(id) : NULL;

        if (!d)
            continue;
        domain_info(d, &info);
        domain_put(d);
        if (copy_to_guest(HANDLE(l->buffer) + n * sizeof(info), &info, sizeof(info)))
            return -EFAULT;
        n++;
    }
    l->num_domains = n;
    return 0;
}

static long debug_keys(const struct xen_sysctl_debug_keys *k)
{
    for (uint32_t i = 0; i < min(k->nr_keys, (uint32_t)KEYS_MAX); i++) {
        char key;

        if (copy_from_guest(&key, HANDLE(k->keys) + i, 1))
            return -EFAULT;
        keyhandler_run(key);
    }
    return 0;
}

static long getcpuinfo(struct xen_sysctl_getcpuinfo *g)
{
    uint32_t n = min(g->max_cpus, nr_cpus);

    for (uint32_t i = 0; i < n; i++) {
        struct xen_sysctl_cpuinfo info = {.idletime = READ_ONCE(cpus[i]->idle_time)};

        if (copy_to_guest(HANDLE(g->info) + i * sizeof(info), &info, sizeof(info)))
            return -EFAULT;
    }
    g->nr_cpus = n;
    return 0;
}

/* In each of the lists below a null handle asks for the number, and less room than that
 * gets as many as fit. */
static long cputopoinfo(struct xen_sysctl_cputopoinfo *t)
{
    uint32_t n = min(t->num_cpus, nr_cpus);

    if (!HANDLE(t->cputopo))
        n = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct xen_sysctl_cputopo topo = {.core = i};

        if (copy_to_guest(HANDLE(t->cputopo) + i * sizeof(topo), &topo, sizeof(topo)))
            return -EFAULT;
    }
    t->num_cpus = nr_cpus;
    return 0;
}

static long numainfo(struct xen_sysctl_numainfo *n)
{
    struct xen_sysctl_meminfo mem = {.memsize = frames_total() << PAGE_SHIFT,
                                     .memfree = frames_free() << PAGE_SHIFT};
    uint32_t distance = LOCAL_NODE;

    if (n->num_nodes) {
        if (HANDLE(n->meminfo) && copy_to_guest(HANDLE(n->meminfo), &mem, sizeof(mem)))
            return -EFAULT;
        if (HANDLE(n->distance) &&
            copy_to_guest(HANDLE(n->distance), &distance, sizeof(distance)))
            return -EFAULT;
    }
    n->num_nodes = 1;
    return 0;
}

static long pcitopoinfo(struct xen_sysctl_pcitopoinfo *t)
{
    uint32_t i;

    if (!HANDLE(t->devs) || !HANDLE(t->nodes))
        return -EINVAL;
    for (i = 0; i < t->num_devs; i++) {
        struct physdev_pci_device dev;
        uint32_t node;

        if (copy_from_guest(&dev, HANDLE(t->devs) + i * sizeof(dev), sizeof(dev)))
            return -EFAULT;
        node = physdev_known(dev.seg, dev.bus, dev.devfn) ? 0 : XEN_INVALID_DEV;
        if (copy_to_guest(HANDLE(t->nodes) + i * sizeof(node), &node, sizeof(node)))
            return -EFAULT;
        hcall_breathe(i);
    }
    t->num_devs = i;
    return 0;
}

static uint32_t count_domains(void)
{
    uint32_t n = 0;

    for (unsigned int id = 0; id < MAX_DOMAINS; id++)
        n += domain_peek(id) != NULL;
    return n;
}

/* One pool, number 0, with all CPUs and all domains. */
static long cpupool_op(struct xen_sysctl_cpupool_op *op)
{
    switch (op->op) {
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        if (op->cpupool_id != 0) /* it asks for the next one with at least this number */
            return -ENOENT;
        op->sched_id = XEN_SCHEDULER_CREDIT2;
        op->n_dom = count_domains();
        return hcall_bitmap_put(&op->cpumap, ~0ull, nr_cpus);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return hcall_bitmap_put(&op->cpumap, 0, nr_cpus);
    case XEN_SYSCTL_CPUPOOL_OP_CREATE:
        return -EOPNOTSUPP;
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
        return op->cpupool_id ? -ENOENT : -EBUSY;
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
        return op->cpupool_id ? -ENOENT : -ENODEV; /* none is free */
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
        return op->cpupool_id ? -ENOENT : op->cpu < nr_cpus ? -EBUSY : -EINVAL;
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
        return op->cpupool_id ? -ENOENT : 0;
    }
    return -ENOSYS;
}

static long scheduler_op(struct xen_sysctl_scheduler_op *op)
{
    if (op->cpupool_id)
        return -ESRCH;
    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    if (op->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
        return op->cmd == XEN_SYSCTL_SCHEDOP_putinfo ? -EOPNOTSUPP : -EINVAL;
    op->u.sched_credit2.ratelimit_us = 0; /* there is no such limit */
    return 0;
}

static long get_featureset(struct xen_sysctl_cpu_featureset *f)
{
    static const uint8_t policy_of[] = {
        [XEN_SYSCTL_cpu_featureset_raw] = XEN_SYSCTL_cpu_policy_raw,
        [XEN_SYSCTL_cpu_featureset_host] = XEN_SYSCTL_cpu_policy_host,
        [XEN_SYSCTL_cpu_featureset_pv] = XEN_SYSCTL_cpu_policy_pv_default,
        [XEN_SYSCTL_cpu_featureset_hvm] = XEN_SYSCTL_cpu_policy_hvm_default,
        [XEN_SYSCTL_cpu_featureset_pv_max] = XEN_SYSCTL_cpu_policy_pv_max,
        [XEN_SYSCTL_cpu_featureset_hvm_max] = XEN_SYSCTL_cpu_policy_hvm_max,
    };
    uint32_t words[CPU_FEATURESET_WORDS] = {0}, n;
    const struct cpu_policy *p;

    if (!HANDLE(f->features)) {
        f->nr_features = CPU_FEATURESET_WORDS;
        return 0;
    }
    if (f->index >= ARRAY_SIZE(policy_of))
        return -EINVAL;
    p = cpu_policy_system(policy_of[f->index]);
    if (!p)
        return -EOPNOTSUPP; /* PV guests' */
    cpu_policy_to_featureset(p, words);
    n = min(f->nr_features, (uint32_t)CPU_FEATURESET_WORDS);
    if (copy_to_guest(HANDLE(f->features), words, n * sizeof(words[0])))
        return -EFAULT;
    f->nr_features = n;
    return n < CPU_FEATURESET_WORDS ? -ENOBUFS : 0;
}

static long get_policy(struct xen_sysctl_cpu_policy *p)
{
    const struct cpu_policy *policy;

    if (p->_rsvd || p->index > XEN_SYSCTL_cpu_policy_hvm_default)
        return -EINVAL;
    policy = cpu_policy_system(p->index);
    if (!policy)
        return -EOPNOTSUPP;
    return cpu_policy_copy_out(policy, HANDLE(p->leaves), &p->nr_leaves, HANDLE(p->msrs),
                               &p->nr_msrs);
}

static long tbuf_op(struct xen_sysctl_tbuf_op *t)
{
    if (t->cmd != XEN_SYSCTL_TBUFOP_get_info)
        return -EOPNOTSUPP;
    t->evt_mask = t->size = 0;
    t->buffer_mfn = 0;
    return 0;
}

static long psr_cmt(struct xen_sysctl_psr_cmt_op *p)
{
    if (p->flags)
        return -EINVAL;
    if (p->cmd != XEN_SYSCTL_PSR_CMT_enabled)
        return -ENODEV;
    p->u.data = 0;
    return 0;
}

static long run(struct xen_sysctl *op)
{
    switch (op->cmd) {
    case XEN_SYSCTL_readconsole:
        return readconsole(&op->u.readconsole);
    case XEN_SYSCTL_physinfo:
        return physinfo(&op->u.physinfo);
    case XEN_SYSCTL_sched_id:
        op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
        return 0;
    case XEN_SYSCTL_getdomaininfolist:
        return getdomaininfolist(&op->u.getdomaininfolist);
    case XEN_SYSCTL_debug_keys:
        return debug_keys(&op->u.debug_keys);
    case XEN_SYSCTL_getcpuinfo:
        return getcpuinfo(&op->u.getcpuinfo);
    case XEN_SYSCTL_availheap:
        op->u.availheap.avail_bytes = frames_free() << PAGE_SHIFT;
        return 0;
    case XEN_SYSCTL_cputopoinfo:
        return cputopoinfo(&op->u.cputopoinfo);
    case XEN_SYSCTL_numainfo:
        return numainfo(&op->u.numainfo);
    case XEN_SYSCTL_pcitopoinfo:
        return pcitopoinfo(&op->u.pcitopoinfo);
    case XEN_SYSCTL_cpupool_op:
        return cpupool_op(&op->u.cpupool_op);
    case XEN_SYSCTL_scheduler_op:
        return scheduler_op(&op->u.scheduler_op);
    case XEN_SYSCTL_get_cpu_levelling_caps:
        op->u.cpu_levelling_caps.caps = 0; /* CPUID of guests is always intercepted */
        return 0;
    case XEN_SYSCTL_get_cpu_featureset:
        return get_featureset(&op->u.cpu_featureset);
    case XEN_SYSCTL_get_cpu_policy:
        return get_policy(&op->u.cpu_policy);
    case XEN_SYSCTL_tbuf_op:
        return tbuf_op(&op->u.tbuf_op);
    case XEN_SYSCTL_psr_cmt_op:
        return psr_cmt(&op->u.psr_cmt_op);
    case XEN_SYSCTL_get_pmstat:
    case XEN_SYSCTL_pm_op:
    case XEN_SYSCTL_psr_alloc:
        return -ENODEV;
    }
    return -EOPNOTSUPP; /* the rest of what the table knows */
}

long do_sysctl(struct hcall *c)
{
    struct xen_sysctl op;
    long rc;

    if (copy_from_guest(&op, c->arg[0], sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -EACCES;
    rc = hcall_check(c, op.cmd);
    if (rc)
        return rc;
    rc = run(&op);
    if ((rc >= 0 || rc == -ENOBUFS) && copy_to_guest(c->arg[0], &op, sizeof(op)))
        rc = -EFAULT;
    return rc;
}
