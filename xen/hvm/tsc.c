/* Frequency of a domain's TSC: scaled by the processor, or by an exit of each RDTSC where
 * it cannot. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest that comes from a machine of another frequency, or shall be able to go there,
 * has a frequency of its own. Guest's = machine's * ratio + offset, with as many bits
 * behind the point as the processor's ratio has: the hypervisor's result is the same to
 * the bit.
 */
#include "hvm/tsc.h"
#include "hvm/platform.h"
#include "lib/errno.h"
#include "lib/math.h"

#define SOFTWARE_RATIO_BITS 32
/* Without scaling, this is not worth exits: two measurements of one machine differ so. */
#define TOLERANCE_PPM 100
#define MAX_FACTOR    128 /* what every processor's ratio can say */

static unsigned int ratio_bits(void)
{
    return hvm_ops->tsc_ratio_bits ? hvm_ops->tsc_ratio_bits : SOFTWARE_RATIO_BITS;
}

static uint64_t scale(const struct hvm_tsc *t, uint64_t tsc)
{
    return t->khz ? (uint64_t)((unsigned __int128)tsc * t->ratio >> ratio_bits()) : tsc;
}

uint64_t hvm_scale_tsc(const struct domain *d, uint64_t tsc)
{
    return scale(&d->hvm->tsc, tsc);
}

uint64_t hvm_unscale_tsc(const struct domain *d, uint64_t ticks)
{
    return muldiv64(ticks, 1ull << ratio_bits(), d->hvm->tsc.ratio);
}

uint64_t hvm_guest_tsc(const struct vcpu *v)
{
    return hvm_guest_tsc_at(v, rdtsc());
}

uint32_t hvm_tsc_khz(const struct domain *d)
{
    return d->hvm->tsc.khz ? d->hvm->tsc.khz : tsc_hz / 1000;
}

void hvm_tsc_pv_scale(const struct domain *d, uint32_t *mul, int8_t *shift)
{
    if (d->hvm->tsc.khz)
        time_scale_of(hvm_tsc_hz(d), mul, shift);
    else
        time_pv_scale(mul, shift);
}

static bool machines_own(uint64_t hz)
{
    uint64_t far = hz > tsc_hz ? hz - tsc_hz : tsc_hz - hz;

    if (hvm_ops->tsc_ratio_bits)
        return far < 1000; /* the unit is kHz */
    return far < tsc_hz / 1000000 * TOLERANCE_PPM;
}

int hvm_set_tsc_khz(struct domain *d, uint32_t khz)
{
    struct hvm_tsc new = {.khz = khz};
    uint64_t now = rdtsc(), hz = khz * 1000ull, moved;

    if (khz && (hz > tsc_hz * MAX_FACTOR || hz < tsc_hz / MAX_FACTOR))
        return -EINVAL;
    if (machines_own(hz))
        new.khz = 0;
    if (new.khz == d->hvm->tsc.khz)
        return 0;
    new.ratio = muldiv64(hz, 1ull << ratio_bits(), tsc_hz);
    new.exits = new.khz && !hvm_ops->tsc_ratio_bits;
    moved = scale(&d->hvm->tsc, now) - scale(&new, now);
    d->hvm->tsc = new;
    for_each_vcpu(d, v)
    {
        if (!v->hvm)
            continue;
        v->hvm->tsc_offset += moved;
        hvm_ops->update_tsc(v);
        vlapic_tsc_changed(v);
        v->pvclock_updated = 0;
    }
    return 0;
}
