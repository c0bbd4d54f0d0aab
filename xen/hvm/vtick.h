/* Ticks of periodic timers, and what becomes of those that come too fast for the guest.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A vCPU that does not run, or keeps interrupts off, misses ticks. By default (timer
 * modes "delay" and "no delay for missed ticks") they are owed: one follows the other as
 * the guest takes them, until it has had as many as time has passed. Guests that count
 * them against another clock (Linux's test of the PIT: five in 60 ms, whatever else the
 * host did then) need them at once, as stock Xen gives them, not spread over later
 * periods. While one waits to be taken it is looked after VTICK_LOOKS times a period. At
 * most the ticks of VTICK_OWED_MAX_NS are owed, so that a long pause does not end in a
 * storm. Mode "no missed ticks pending" owes none, "one missed tick pending"
 * one. A timer interrupts the hypervisor no more than once per VTICK_MIN_NS.
 */
#ifndef CORBEL_HVM_VTICK_H
#define CORBEL_HVM_VTICK_H

#include "hvm/hvm.h"

#define VTICK_MIN_NS      (100 * NS_PER_US)
#define VTICK_OWED_MAX_NS (2 * NS_PER_S)
#define VTICK_LOOKS       8

/* Add the periods that have ended by `now` to *owed, move *next to the end of the current
 * one. period > 0. */
void vtick_count(ns_t *next, ns_t period, ns_t now, uint32_t *owed);
/* What is kept of `owed` ticks by the domain's timer mode. */
uint32_t vtick_keep(const struct domain *d, uint32_t owed);
/* When the timer has to fire next; `untaken`: the guest has not taken the last tick. */
ns_t vtick_next(ns_t next, ns_t period, ns_t now, uint32_t owed, bool untaken);

#endif
