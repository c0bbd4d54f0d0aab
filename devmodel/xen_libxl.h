/*
 * As libxl's device model: what it expects beside the command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_XEN_LIBXL_H
#define DEVMODEL_XEN_LIBXL_H

#include "board.h"

struct libxl;

/*
 * Connect to xenstore, and refuse what libxl has asked this process to serve there and it
 * cannot. NULL, with the error filled in.
 */
struct libxl *libxl_open(int domid, struct error *error);
/* Tell libxl that the guest may run. */
int libxl_tell_running(struct libxl *l, struct error *error);
void libxl_close(struct libxl *l);

#endif
