/* Missed ticks of periodic timers. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hvm/vtick.h"
#include <xen/hvm/params.h>

void vtick_count(ns_t *next, ns_t period, ns_t now, uint32_t *owed)
{
    uint64_t most = max(VTICK_OWED_MAX_NS / period, (ns_t)1);
    uint64_t n;

    if (now < *next)
        return;
    n = (uint64_t)(now - *next) / period + 1;
    *next += n * period;
    *owed = min(*owed + n, most);
}

uint32_t vtick_keep(const struct domain *d, uint32_t owed)
{
    switch (d->hvm->params[HVM_PARAM_TIMER_MODE]) {
    case HVMPTM_no_missed_ticks_pending:
        return 0;
    case HVMPTM_one_missed_tick_pending:
        return min(owed, 1u);
    }
    return owed;
}

ns_t vtick_next(ns_t next, ns_t period, ns_t now, uint32_t owed, bool untaken)
{
    ns_t when = next;

    if (owed)
        when = untaken ? min(when, now + period / VTICK_LOOKS) : now;
    return max(when, now + VTICK_MIN_NS);
}
