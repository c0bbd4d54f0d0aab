/*
 * Giving up rights once the machine is built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_SANDBOX_H
#define DEVMODEL_SANDBOX_H

#include "board.h"

/* No new privileges; with --run-as, become that user.  Everything needed must be open. */
int sandbox_enter(const struct config *c, struct error *error);

#endif
