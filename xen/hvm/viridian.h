/* Hyper-V enlightenments, for guests with HVM_PARAM_VIRIDIAN.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_VIRIDIAN_H
#define CORBEL_HVM_VIRIDIAN_H

#include "hvm/platform.h"
#include <xen/hvm/params.h>

struct viridian {
    uint64_t guest_os_id, hypercall, reference_tsc;
    ns_t time_base; /* system time at reference count 0 */
    uint64_t crash[5];
    uint64_t vp_assist[MAX_GUEST_VCPUS];
};

static inline bool viridian_enabled(const struct domain *d)
{
    return d->hvm->params[HVM_PARAM_VIRIDIAN] & HVMPV_base_freq;
}

void viridian_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t out[4]);
/* MSRs 0x40000000 - 0x400001ff. -EINVAL for #GP. */
int viridian_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val);
int viridian_msr_write(struct vcpu *v, uint32_t msr, uint64_t val);
/* Allocated at the first use, for the parameter comes after the domain's creation. */
struct viridian *viridian_get(struct domain *d);
/* Partition reference time, 100 ns. */
uint64_t viridian_reference_count(const struct domain *d);
/* After a load: the reference TSC page is written anew. */
void viridian_loaded(struct vcpu *v);
void viridian_domain_destroy(struct domain *d);

#endif
