/*
 * The serial console's meeting point: the device model on one side, any number of viewers
 * on the other, a log file beside.  A viewer first gets what was said before it came.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_HUB_H
#define CORBEL_HUB_H

#include <uv.h>

#include "../lib/failure.h"

struct hub;

/* Listen on serial.sock and console.sock in the guest's directory. */
int hub_open(struct hub **hub, uv_loop_t *loop, const char *guest, struct failure *f);
/* Before the process ends, outside of uv_run(): viewers get a second for the last words.
 */
void hub_close(struct hub *hub);
/* A line from the supervisor itself, for instance why the guest ended. */
void hub_say(struct hub *hub, const char *text);

#endif
