/* A world for event channels and grant tables: domains, pages that are counted, a p2m.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_ABI_FAKE_H
#define UNIT_ABI_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "domain/domain.h"
#include "hvm/hvm.h"
#include "mm/frame.h"
#include "lib/errno.h"

#define FAKE_GFNS 256 /* of each domain's map */

/* A domain with its RAM at gfn 0 .. pages - 1, and vcpus vCPUs. */
struct domain *fake_domain(domid_t id, unsigned int vcpus, unsigned int pages);
/* Also checks that nothing is left: references on its pages. */
void fake_domain_end(struct domain *d);

void *fake_page(struct domain *d, uint64_t gfn); /* NULL: nothing there */
enum p2m_type fake_type(struct domain *d, uint64_t gfn);
void fake_set_type(struct domain *d, uint64_t gfn, enum p2m_type type);
unsigned int fake_page_refs(const void *page);
unsigned int fake_pages_in_use(void);

extern unsigned int fake_wakes; /* vcpu_wake(): all vCPUs */
extern struct vcpu *fake_last_woken;
extern unsigned int fake_upcalls;     /* hvm_evtchn_upcall() */
extern unsigned int fake_allocs_left; /* zalloc() fails at 0 */

#endif
