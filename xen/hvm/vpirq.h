/* PIRQs that stand for emulated devices (vpirq.c). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * For HVM guests with XEN_X86_EMU_USE_PIRQ; the numbers are the guest's, below
 * EVTCHN_NR_PIRQS. Errors are the ABI's. All but vpirq_edge() take irq_lock.
 */
#ifndef CORBEL_HVM_VPIRQ_H
#define CORBEL_HVM_VPIRQ_H

#include "domain/domain.h"

/* A GSI's line went up. True: a port hears of it, so the controllers do not. irq_lock is
 * held; whoever lets it go calls vpirq_raise_edges(). */
bool vpirq_edge(struct domain *d, unsigned int gsi);
void vpirq_raise_edges(struct domain *d);

/* PHYSDEVOP_map_pirq of a GSI, unmap_pirq, get_free_pirq. */
int vpirq_map(struct domain *d, int pirq, int gsi);
int vpirq_unmap(struct domain *d, int pirq);
int vpirq_get_free(struct domain *d);
/* PHYSDEVOP_eoi: the handler is done; a level that is still up counts again. */
int vpirq_eoi(struct domain *d, uint32_t pirq);
bool vpirq_is_mapped(struct domain *d, uint32_t pirq);

#endif
