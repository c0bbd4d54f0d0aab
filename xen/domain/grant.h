/* Grant tables, versions 1 and 2. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_DOMAIN_GRANT_H
#define CORBEL_DOMAIN_GRANT_H

#include "domain/domain.h"

struct gnttab_map_grant_ref;
struct gnttab_unmap_grant_ref;
struct gnttab_copy;

/* Limits in frames; negative (as int): the default. -EINVAL if above the option
 * gnttab_max_frames or gnttab_max_maptrack_frames, or the version is not 1 or 2. */
int grant_domain_init(struct domain *d, unsigned int max_frames,
                      unsigned int max_maptrack, unsigned int max_version);
/* Undo the domain's own mappings; called when it dies. */
void grant_release_mappings(struct domain *d);
/* Nobody can map its grants any more; the frames of the table go. What others have mapped
 * stays until they unmap it. */
void grant_domain_destroy(struct domain *d);
/* With the last reference. */
void grant_domain_free(struct domain *d);

/* Frame `index` of the shared (or, with `status`, the status) table, grown on demand,
 * with a reference; for XENMAPSPACE_grant_table and XENMEM_resource_grant_table. -EINVAL,
 * -ENOMEM. */
int grant_take_frame(struct domain *d, unsigned int index, bool status, mfn_t *mfn);
/* Where such a frame is in the domain's own map: set by who placed it; INVALID_GFN.n. */
uint64_t grant_frame_gfn(struct domain *d, unsigned int index, bool status);
void grant_frame_placed(struct domain *d, unsigned int index, bool status, uint64_t gfn);
/* The most that there can be, and what there is now. */
unsigned int grant_max_frames(const struct domain *d, bool status);
unsigned int grant_nr_frames(const struct domain *d, bool status);
/* Grow to n frames: -EINVAL, -ENOMEM. */
int grant_grow(struct domain *d, unsigned int n);

/* Write an entry before the domain runs (console and store pages): version 1 form. */
int grant_seed(struct domain *d, unsigned int ref, domid_t domid, gfn_t gfn);

/* The operations of public/grant_table.h by `d`; status (GNTST_*) goes into *op. */
void grant_map(struct domain *d, struct gnttab_map_grant_ref *op);
void grant_unmap(struct domain *d, struct gnttab_unmap_grant_ref *op);
void grant_copy(struct domain *d, struct gnttab_copy *op);
int16_t grant_swap(struct domain *d, uint32_t a, uint32_t b);
/* -EBUSY while something is mapped, -EINVAL, -ENOSYS above the domain's limit, -ENOMEM.
 */
int grant_set_version(struct domain *d, unsigned int version);
unsigned int grant_version(const struct domain *d);

#endif
