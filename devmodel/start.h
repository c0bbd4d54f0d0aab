/*
 * Shared by the two programs' main().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_START_H
#define DEVMODEL_START_H

#include "board.h"

/* Signals, screen, control socket. */
int start_services(struct machine *m, const struct config *c, struct error *error);
void stop_services(struct machine *m);
/* Print the message; the exit status. */
int fail(const struct error *error);
/* --help, --version, --device help: true when that was all. */
bool answered_help(const struct config *c, const char *program, bool for_tests);

#endif
