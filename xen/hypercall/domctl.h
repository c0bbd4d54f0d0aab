/* domctl: what its files share. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_DOMCTL_H
#define CORBEL_HYPERCALL_DOMCTL_H

#include "hypercall/abi.h"
#include <xen/domctl.h>

struct cpu_policy;

/* domctl_info.c; also for sysctl */
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);
long domctl_getvcpuinfo(struct domain *d, struct xen_domctl_getvcpuinfo *info);
long domctl_setvcpuaffinity(struct domain *d, struct xen_domctl_vcpuaffinity *a);
long domctl_getvcpuaffinity(struct domain *d, struct xen_domctl_vcpuaffinity *a);
long domctl_nodeaffinity(struct domain *d, struct xen_domctl_nodeaffinity *a, bool set);
long domctl_scheduler_op(struct domain *d, struct xen_domctl_scheduler_op *op);
long domctl_pageframeinfo(struct domain *d, struct xen_domctl_getpageframeinfo3 *p);

/* domctl_life.c */
long domctl_create(struct hcall *c, struct xen_domctl *op);
long domctl_destroy(struct domain *d);
long domctl_max_mem(struct domain *d, uint64_t max_kb);
long domctl_set_target(struct domain *d, domid_t target);
long domctl_sendtrigger(struct domain *d, const struct xen_domctl_sendtrigger *t);

/* domctl_cpu.c: state and policy of vCPUs */
long domctl_gethvmcontext(struct domain *d, struct xen_domctl_hvmcontext *h);
long domctl_sethvmcontext(struct domain *d, const struct xen_domctl_hvmcontext *h);
long domctl_gethvmcontext_partial(struct domain *d,
                                  struct xen_domctl_hvmcontext_partial *h);
long domctl_get_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *p);
long domctl_set_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *p);
long domctl_getvcpucontext(struct domain *d, struct xen_domctl_vcpucontext *x);
long domctl_setvcpucontext(struct domain *d, const struct xen_domctl_vcpucontext *x);
long domctl_tsc(struct domain *d, struct xen_domctl_tsc_info *t, bool set);
/* Copy a policy to the caller's arrays; a null handle asks for sizes. -ENOBUFS, -EFAULT.
 */
long cpu_policy_copy_out(const struct cpu_policy *p, uint64_t leaves, uint32_t *nr_leaves,
                         uint64_t msrs, uint32_t *nr_msrs);

/* domctl_memory.c */
long domctl_shadow_op(struct domain *d, struct xen_domctl_shadow_op *s);
long domctl_memory_mapping(struct hcall *c, struct domain *d,
                           const struct xen_domctl_memory_mapping *m);
long domctl_paging_mempool(struct domain *d, struct xen_domctl_paging_mempool *p,
                           bool set);

#endif
