/*
 * Paravirtual disks that Xen's tools call qdisk: served by this process, from the same
 * images as the emulated drives.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_XEN_QDISK_H
#define DEVMODEL_XEN_QDISK_H

#include <xenstore.h>

#include "machine.h"
#include "opener.h"

struct qdisks;

/*
 * Look for the domain's qdisks in xenstore, open their images (those of emulated drives
 * are shared), and serve what comes and goes from now on.  After the drives were made,
 * before the sandbox.  NULL with a message when one of them cannot be opened.
 */
struct qdisks *qdisks_start(struct machine *m, struct xs_handle *store, unsigned domid,
                            struct error *error);
void qdisks_stop(struct qdisks *q);
/* A restricted process has no qdisks: an error that names the first one there is. */
int qdisks_refuse(struct xs_handle *store, unsigned domid, struct error *error);
/* Which image one has, by a xenstore connection of its own: an opener_lookup; `opaque` is
 * the domain's number, unsigned. */
int qdisk_lookup(void *opaque, const char *device, struct opener_image *image);

#endif
