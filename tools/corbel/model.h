/*
 * The device model: its command line, and its control socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_MODEL_H
#define CORBEL_MODEL_H

#include <jansson.h>
#include <uv.h>

#include "config.h"
#include "guestdir.h"

/* An argv that grows; free with args_free(). */
struct args {
    char **list; /* ends with NULL */
    unsigned count;
    bool failed; /* out of memory, noticed at the end */
};

void args_add(struct args *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void args_free(struct args *a);

bool model_none(const struct guest_config *c);
/* The program: configured, in $CORBEL_DM, beside us, or installed. */
int model_program(const struct guest_config *c, char *path, size_t room,
                  struct failure *f);
/* Its command line for this guest.  `vnc_port` 0: no VNC. */
int model_args(const struct guest_config *c, const char *program, uint32_t domid,
               unsigned vnc_port, struct args *a, struct failure *f);

/*
 * Send one command to the control socket of guest `name` and wait for the answer, at most
 * `ms`.  For commands that the user asked for, never in the loop of a running guest.
 */
int model_command(const char *name, const char *command, unsigned ms, struct failure *f);

/* A guest that runs and has a device model, by its name or number.  `consequence` ends
 * the message about one that has none: "" or " and so ...".  -ENOENT, -ESRCH, -ENOTSUP.
 */
int model_guest(const char *who, const char *consequence, struct guest_state *s,
                struct failure *f);

/* Several commands one after the other, and events; all within `ms`. */
struct model_link {
    int fd;
    int64_t deadline; /* ms */
};
int model_open(struct model_link *l, const char *name, unsigned ms, struct failure *f);
/* Takes the arguments, which may be NULL.  `*result` is the caller's, only without an
 * error. */
int model_query(struct model_link *l, const char *command, json_t *arguments,
                json_t **result, struct failure *f);
int model_ask(struct model_link *l, const char *command, json_t *arguments,
              struct failure *f);
/* Wait for an event about that device.  -ETIMEDOUT, -EPIPE. */
int model_wait(struct model_link *l, const char *event, const char *device);
void model_close(struct model_link *l);

/* A card's name for the device model. */
const char *model_nic(const struct nic_config *n);

#endif
