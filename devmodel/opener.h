/*
 * A process beside the device model that starts qemu-storage-daemon for images other than
 * raw: it stays outside the sandbox, so that a disk can come while the guest runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_OPENER_H
#define DEVMODEL_OPENER_H

#include "machine.h"

struct opener;

struct opener_image {
    char file[4096];
    char format[16];
    bool read_only;
    bool shared; /* the other half of a migration has it open, and has stopped */
};

/* Which image a device has, by what the toolstack wrote: runs in the other process.
 * 0, or a negative errno. */
typedef int opener_lookup(void *opaque, const char *device, struct opener_image *image);

/*
 * Start the process; before the sandbox.  Until opener_seal() it opens what it is asked
 * for; after that only what `lookup` (NULL: nothing) says of a device.
 */
struct opener *opener_start(opener_lookup *lookup, void *opaque, struct error *error);
int opener_seal(struct opener *o, struct error *error);
void opener_stop(struct opener *o);

/*
 * A connection to an NBD server with the export OPENER_EXPORT, which speaks first; `id`
 * is for opener_close().  With `device` the other process looks for itself, and `image`
 * says only what is expected.  Blocks until the server runs.  Returns a descriptor, or a
 * negative errno with the reason.
 */
#define OPENER_EXPORT "d"
int opener_open(struct opener *o, const char *device, const struct opener_image *image,
                unsigned *id, struct error *error);
/* Its connection is closed: end the server. */
void opener_close(struct opener *o, unsigned id);

#endif
