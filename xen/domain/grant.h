/* Grant tables, versions 1 and 2. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_DOMAIN_GRANT_H
#define CORBEL_DOMAIN_GRANT_H

#include "domain/domain.h"

int grant_domain_init(struct domain *d, unsigned int max_frames,
                      unsigned int max_maptrack, unsigned int max_version);
/* Undo the domain's own mappings; called when it dies. */
void grant_release_mappings(struct domain *d);
void grant_domain_destroy(struct domain *d);

/* Frame `index` of the shared (or, with `status`, the status) table, grown on demand; for
 * XENMAPSPACE_grant_table and XENMEM_resource_grant_table. -EINVAL, -ENOMEM. */
int grant_get_frame(struct domain *d, unsigned int index, bool status, mfn_t *mfn);
/* Write an entry before the domain runs (console and store pages): version 1 form. */
int grant_seed(struct domain *d, unsigned int ref, domid_t domid, gfn_t gfn);

#endif
