/*
 * A process beside the device model, outside its sandbox, for what that may not do.  The
 * two talk by a socket of packets, whose end is the end of the helper.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_HELPER_H
#define DEVMODEL_HELPER_H

#include <sys/types.h>

#include "machine.h"

struct helper {
    int socket; /* this process's end */
    pid_t pid;
};

/*
 * Begin one: it calls serve() with its end of the socket, besides which it has only the
 * standard descriptors, and ends when that returns.  `why` is for messages: "to open
 * images".  -errno with the error.
 */
int helper_start(struct helper *h, const char *why,
                 void (*serve)(int socket, void *opaque), void *opaque,
                 struct error *error);
/* Let it end, and wait for that. */
void helper_stop(struct helper *h);

#endif
