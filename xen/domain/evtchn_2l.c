/* Event channels, 2-level ABI: bitmaps in the shared info page (public/xen.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bit per port in evtchn_pending and evtchn_mask, and per vCPU a selector with a bit
 * per word of pending bits. Words are 32 or 64 bits wide, as the guest is; so the place
 * of the bitmaps and the number of ports depend on that as well.
 */
#include "domain/evtchn_internal.h"
#include "domain/sched.h"
#include "hypercall/pvclock.h"
#include "lib/string.h"

#define PENDING_OFFSET offsetof(struct shared_info, evtchn_pending) /* both layouts */
#define SEL32_OFFSET   4 /* of vcpu_info.evtchn_pending_sel for 32-bit guests */

static unsigned int word_bits(const struct domain *d)
{
    return d->evtchn->layout32 ? 32 : 64;
}

unsigned int evtchn_2l_max(const struct domain *d)
{
    return word_bits(d) * word_bits(d);
}

static void *pending_map(const struct domain *d)
{
    return (char *)d->shared_info + PENDING_OFFSET;
}

static void *mask_map(const struct domain *d)
{
    return (char *)d->shared_info + PENDING_OFFSET + evtchn_2l_max(d) / 8;
}

static void *pending_sel(const struct vcpu *v)
{
    return (char *)v->info + (v->domain->evtchn->layout32
                                  ? SEL32_OFFSET
                                  : offsetof(struct vcpu_info, evtchn_pending_sel));
}

static void select_word(struct vcpu *v, unsigned int port)
{
    if (!bit_test_and_set(pending_sel(v), port / word_bits(v->domain)))
        evtchn_set_upcall(v);
}

void evtchn_2l_raise(struct domain *d, struct vcpu *v, struct evtchn *chn)
{
    if (!d->shared_info || chn->port >= evtchn_2l_max(d))
        return;
    if (bit_test_and_set(pending_map(d), chn->port))
        return;
    if (v && !bit_test(mask_map(d), chn->port))
        select_word(v, chn->port);
}

void evtchn_2l_clear(struct domain *d, struct evtchn *chn)
{
    if (d->shared_info && chn->port < evtchn_2l_max(d))
        bit_test_and_clear(pending_map(d), chn->port);
}

void evtchn_2l_unmask(struct domain *d, struct vcpu *v, struct evtchn *chn)
{
    if (!d->shared_info || chn->port >= evtchn_2l_max(d))
        return;
    /* In this order: a sender sets pending, then looks at the mask. */
    if (bit_test_and_clear(mask_map(d), chn->port) && v &&
        bit_test(pending_map(d), chn->port))
        select_word(v, chn->port);
}

bool evtchn_2l_pending(struct domain *d, unsigned int port)
{
    return d->shared_info && port < evtchn_2l_max(d) && bit_test(pending_map(d), port);
}

void evtchn_set_layout(struct domain *d, bool is_32bit)
{
    if (READ_ONCE(d->evtchn->layout32) == is_32bit)
        return;
    WRITE_ONCE(d->evtchn->layout32, is_32bit);
    wallclock_update(d); /* lies behind the bitmaps */
}

bool evtchn_layout_32bit(const struct domain *d)
{
    return READ_ONCE(d->evtchn->layout32);
}

void evtchn_vcpu_info_moved(struct vcpu *v, struct vcpu_info *to)
{
    struct vcpu_info *from = v->info;

    memcpy(to, from, sizeof(*to));
    __atomic_store_n(&v->info, to, __ATOMIC_SEQ_CST);
    /* FIFO guests ignore the selector. */
    memset(pending_sel(v), 0xff, word_bits(v->domain) / 8);
    __atomic_store_n(&to->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    hvm_evtchn_upcall(v);
}
