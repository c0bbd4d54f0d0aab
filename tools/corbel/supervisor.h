/*
 * The process that watches over one guest for as long as it lives.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_SUPERVISOR_H
#define CORBEL_SUPERVISOR_H

#include "config.h"

/*
 * Start guest `c` in the background and return when it runs (or, with `paused`, could),
 * or when it could not be started, with the reason.  `text` is the configuration to keep.
 */
int supervisor_start(const struct guest_config *c, const char *text, bool paused,
                     struct failure *f);

#endif
