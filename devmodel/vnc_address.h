/*
 * Where the screen's viewers come in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_VNC_ADDRESS_H
#define DEVMODEL_VNC_ADDRESS_H

#include <stdbool.h>

struct error;

struct vnc_listener {
    int fd;              /* listens, does not block; -1: none */
    bool password;       /* nobody may come in before a password was set */
    char address[300];   /* as a viewer writes it */
    char unix_path[108]; /* of the socket that vnc_listener_close() removes, or "" */
};

/* Listen at HOST:PORT, [V6]:PORT, :DISPLAY or unix:PATH, with `backlog` viewers waiting
 * at most. With ",to=N" N more ports are tried, ",password=on" sets `password`. `l` is
 * zero but for fd = -1. A negative errno with the error set; close it then, too. */
int vnc_listen(struct vnc_listener *l, const char *text, int backlog,
               struct error *error);
void vnc_listener_close(struct vnc_listener *l);

#endif
