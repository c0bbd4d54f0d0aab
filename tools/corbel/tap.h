/*
 * Network interfaces for guests on a bridge.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_TAP_H
#define CORBEL_TAP_H

#include "config.h"

/* Make the interface `name`, that stays until tap_remove(), up and a port of `bridge`. */
int tap_create(const char *name, const char *bridge, struct failure *f);
void tap_remove(const char *name);
int tap_check_bridge(const char *bridge, struct failure *f);
/* The same for an interface that somebody else made. */
int tap_join(const char *name, const char *bridge, struct failure *f);

#endif
