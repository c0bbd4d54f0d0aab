/*
 * Giving up rights once the machine is built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_SANDBOX_H
#define DEVMODEL_SANDBOX_H

#include "board.h"

/*
 * No new privileges; with --chroot and --run-as, another root and user.  Everything
 * needed must be open.  Files of `file_bytes` stay writable whatever the limit was.
 */
int sandbox_enter(const struct config *c, uint64_t file_bytes, struct error *error);

#endif
