/* The tables of a p2m, for p2m.c and pod.c. All of it with p2m.lock held.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_MM_P2M_INTERNAL_H
#define CORBEL_MM_P2M_INTERNAL_H

#include "mm/p2m.h"

/* p2m_set() for an order that the entries have: 0, 9 or 18. */
int p2m_set_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
                   unsigned int order);

/* Take the entry of 2^order frames at gfn away and leave one of `type`, which maps
 * nothing; the references that it held are the caller's now. TLBs are not flushed. The
 * entry as it was, for p2m_put_back(); 0: nothing was changed, as a table was missing. */
uint64_t p2m_take_out(struct domain *d, gfn_t gfn, enum p2m_type type,
                      unsigned int order);
void p2m_put_back(struct domain *d, gfn_t gfn, uint64_t entry, unsigned int order);

#endif
