/*
 * Fault injection in the form that QEMU's device tests use: -drive
 * file=blkdebug:CONFIG:FILE. CONFIG (may be empty) has [inject-error] sections with
 * event= and errno=; each fires once. A breakpoint set through the monitor holds flushes
 * until it is resumed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"

enum event { EVENT_NONE, EVENT_READ, EVENT_WRITE, EVENT_FLUSH };

struct block_debug {
    enum event inject, hold;
    int inject_errno;
    struct block_request *held;
};

static enum event event_by_name(const char *name)
{
    if (strcmp(name, "flush_to_os") == 0 || strcmp(name, "flush_to_disk") == 0)
        return EVENT_FLUSH;
    if (strcmp(name, "read_aio") == 0)
        return EVENT_READ;
    if (strcmp(name, "write_aio") == 0)
        return EVENT_WRITE;
    return EVENT_NONE;
}

static enum event event_of(const struct block_request *r)
{
    if (r->op == BLOCK_READ)
        return EVENT_READ;
    return r->op == BLOCK_FLUSH ? EVENT_FLUSH : EVENT_WRITE;
}

static int read_config(struct block_debug *d, const char *file, struct error *error)
{
    char line[200], value[100];
    FILE *f = fopen(file, "re");

    if (!f)
        return error_set(error, -errno, "blkdebug: cannot read '%s': %s", file,
                         strerror(errno));
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, " event = \"%99[^\"]\"", value) == 1 && !d->inject)
            d->inject = event_by_name(value);
        else if (sscanf(line, " errno = \"%99[^\"]\"", value) == 1)
            d->inject_errno = atoi(value);
    }
    fclose(f);
    return 0;
}

int block_debug_open(struct block_backend *b, const char *file, struct error *error)
{
    const char *config = file + strlen("blkdebug:"), *colon = strchr(config, ':');

    if (!colon)
        return error_set(error, -EINVAL, "'%s' is not blkdebug:CONFIG:FILE", file);
    struct block_debug *d = must_alloc(sizeof(*d));
    char *name = must_strdup(config);
    name[colon - config] = 0;
    d->inject_errno = EIO;
    int err = *name ? read_config(d, name, error) : 0;
    free(name);
    if (!err)
        err = block_file_open(b, colon + 1, error);
    if (err) {
        free(d);
        return err;
    }
    b->debug = d;
    return 0;
}

bool block_debug_take(struct block_backend *b, struct block_request *request)
{
    struct block_debug *d = b->debug;
    enum event event = event_of(request);

    if (event == d->hold) {
        request->next = d->held;
        d->held = request;
        return true;
    }
    if (event == d->inject) {
        d->inject = EVENT_NONE;
        block_complete_later(request, -d->inject_errno);
        return true;
    }
    return false;
}

static void resume(struct block_backend *b)
{
    struct block_debug *d = b->debug;
    struct block_request *request = d->held, *next;

    d->hold = EVENT_NONE;
    for (d->held = NULL; request; request = next) {
        next = request->next;
        b->ops->submit(b, request);
    }
}

/* Somebody waits for what is held: no breakpoints any more. */
void block_debug_release(struct block_backend *b)
{
    resume(b);
}

int block_debug_command(struct block_backend *b, const char *command)
{
    char name[64];

    if (sscanf(command, "break %63s", name) == 1) {
        b->debug->hold = event_by_name(name);
        return b->debug->hold ? 0 : -EINVAL;
    }
    if (strncmp(command, "resume", 6) == 0) {
        resume(b);
        return 0;
    }
    return -EINVAL;
}
