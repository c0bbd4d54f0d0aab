/* Virtual NUMA topology: stored for a guest by its builder. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_VNUMA_H
#define CORBEL_HYPERCALL_VNUMA_H

#include "hypercall/abi.h"

struct xen_domctl_vnuma;
struct xen_vnuma_topology_info;

/* XEN_DOMCTL_setvnumainfo: copy in, once. -EINVAL, -EFAULT, -ENOMEM, -EBUSY. */
int vnuma_set(struct domain *d, const struct xen_domctl_vnuma *arg);
/* XENMEM_get_vnumainfo. -EOPNOTSUPP: none is set; -ENOBUFS with the sizes in *arg. */
int vnuma_get(struct domain *d, struct xen_vnuma_topology_info *arg, bool compat);
void vnuma_free(struct vnuma *n);

#endif
