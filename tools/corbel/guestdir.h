/*
 * A guest's directory, /run/corbel/NAME: everything that is known about it, as files.
 *
 *   state.json    struct guest_state; replaced as a whole, so readers never see a half
 *   config        the configuration it was created from
 *   log           what its supervisor has to say       dm.log  what the device model said
 *   console.log   what its serial line said            console.sock  its serial line
 *   control.sock  requests to the supervisor, a line of JSON each
 *   dm.sock       the device model's own control socket; serial.sock joins it to the
 * console
 *
 * The directory stays when the guest has ended, with the reason, until the name is used
 * again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_GUESTDIR_H
#define CORBEL_GUESTDIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/failure.h"
#include "config.h"

#define GUESTS_DIR     "/run/corbel"
#define GUEST_PATH_MAX 104 /* fits a unix socket's address */

enum guest_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_PAUSED, PHASE_ENDED };

struct guest_state {
    char name[GUEST_NAME_MAX + 1];
    char uuid[37];
    enum guest_phase phase;
    char reason[512];  /* why it ended */
    char ended_by[16]; /* poweroff, reboot, crash, watchdog, destroy, device-model, error
                        */
    int64_t domid;     /* -1: none */
    pid_t supervisor, device_model;
    uint64_t memory_mib;
    unsigned vcpus;
    unsigned restarts;
    char vnc[64];    /* address:port, or empty */
    int64_t created; /* seconds since the epoch */
};

const char *phase_name(enum guest_phase phase);

/* /run/corbel/NAME/FILE */
void guest_path(char path[GUEST_PATH_MAX], const char *name, const char *file);

/* Make the directory; what an ended guest of this name left is removed.  -EEXIST: it
 * runs. */
int guestdir_create(const char *name, struct failure *f);
int guestdir_write_state(const struct guest_state *s, struct failure *f);
/* -ENOENT with words when there is no such guest. */
int guestdir_read_state(const char *name, struct guest_state *s, struct failure *f);
/* Whether the supervisor that the state names is there. */
bool guest_alive(const struct guest_state *s);

/* Every guest that has a directory, sorted by domain number; free() the result. */
int guestdir_list(struct guest_state **list, unsigned *count, struct failure *f);
/* By name, or by domain number when it is one. */
int guestdir_find(const char *name_or_domid, struct guest_state *s, struct failure *f);

#endif
