/* The time stamp counter as a domain sees it. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_HVM_TSC_H
#define CORBEL_HVM_TSC_H

#include "hvm/hvm.h"

/* domain.tsc_mode, arch-x86/cpuid.h: 0 default, 1 always emulate (as the default here),
 */
#define TSC_MODE_NATIVE 2 /* always the machine's frequency */

/* Give d's TSC a frequency; 0 is the machine's, and so is what is so near that nothing is
 * worth an exit. What its vCPUs read goes on from where it is. d is paused, or has not
 * run. -EINVAL: too far from the machine's. */
int hvm_set_tsc_khz(struct domain *d, uint32_t khz);
uint32_t hvm_tsc_khz(const struct domain *d);
static inline uint64_t hvm_tsc_hz(const struct domain *d)
{
    return d->hvm->tsc.khz ? d->hvm->tsc.khz * 1000ull : tsc_hz;
}

/* Machine's ticks to guest's, and a span of guest's ticks to machine's; only for a domain
 * with a frequency of its own. */
uint64_t hvm_scale_tsc(const struct domain *d, uint64_t tsc);
uint64_t hvm_unscale_tsc(const struct domain *d, uint64_t ticks);
/* v's TSC when the machine's is `tsc`. */
static inline uint64_t hvm_guest_tsc_at(const struct vcpu *v, uint64_t tsc)
{
    if (unlikely(v->domain->hvm->tsc.khz))
        tsc = hvm_scale_tsc(v->domain, tsc);
    return tsc + v->hvm->tsc_offset;
}
/* Multiplier and shift of the PV clock for d's TSC. */
void hvm_tsc_pv_scale(const struct domain *d, uint32_t *mul, int8_t *shift);

#endif
