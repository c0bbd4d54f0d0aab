/* Memory on demand (populate on demand): a domain whose memory map is larger than its
 * memory. Its pages get frames from a cache when they are first used; pages that are zero
 * give theirs back when the cache is empty. When the guest's balloon driver has returned
 * as many pages as the map is too large, all this ends by itself.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Locks: p2m.lock, taken here. Of a domain without P2M_POD entries nothing is done.
 */
#ifndef CORBEL_MM_POD_H
#define CORBEL_MM_POD_H

#include "mm/p2m.h"

/* Let 2^order pages at gfn (aligned; any order) be memory on demand; -EBUSY if there is
 * something already, -ENOMEM. */
int pod_mark(struct domain *d, gfn_t gfn, unsigned int order);

/* Give gfn a frame, if it still is P2M_POD. False: there is none, or the domain is dying.
 * With may_wait (no lock is held) others run between steps, all memory is searched for
 * zero pages, and a domain that has none is crashed; without, the search is short. */
bool pod_populate(struct domain *d, gfn_t gfn, bool may_wait);

/* Make the domain's memory `target` pages, as far as the cache is concerned: it grows by
 * what the guest may use in addition, never beyond the entries that are left. -ENOMEM.
 * Calls preempt_point(). */
int pod_set_target(struct domain *d, uint64_t target);

/* The guest gives up gfn, which is P2M_POD, or RAM that the cache needs. False: neither;
 * the caller does what is usual. */
bool pod_give_up(struct domain *d, gfn_t gfn);
/* Free what the cache has beyond the entries that are left. */
void pod_trim(struct domain *d);

/* Of a dying domain: free the cache. Calls preempt_point(). */
void pod_teardown(struct domain *d);

#endif
