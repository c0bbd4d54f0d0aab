/*
 * As libxl's device model: what it expects beside the command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_XEN_LIBXL_H
#define DEVMODEL_XEN_LIBXL_H

#include "board.h"

struct libxl;

/* Connect to xenstore, and say which of its devices there are none here. NULL, with the
 * error filled in. */
struct libxl *libxl_open(int domid, struct error *error);
/* The paravirtual disks that xenstore has for this process; after the drives were made.
 */
int libxl_serve_disks(struct libxl *l, struct machine *m, struct error *error);
/* In place of that: the connection to xenstore is closed, so there must be none. */
int libxl_leave_xenstore(struct libxl *l, struct error *error);
/* The process that opens the disks' images; before the drives are made. */
int libxl_start_opener(struct libxl *l, struct machine *m, struct error *error);
/* No disks any more; before the machine goes. */
void libxl_stop(struct libxl *l);
/* Tell libxl that the guest may run; nothing once xenstore is closed, where libxl asks
 * the control socket. */
int libxl_tell_running(struct libxl *l, struct error *error);
void libxl_close(struct libxl *l);

#endif
