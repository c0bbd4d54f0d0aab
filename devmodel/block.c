/*
 * Drives: `file=,if=,index=,media=,...`, the requests that devices submit, and media
 * changes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "control.h"

struct block_backend *block_by_id(struct machine *m, const char *id)
{
    for (struct block_backend *b = m->blocks; b; b = b->next) {
        if (strcmp(b->id, id) == 0)
            return b;
    }
    return NULL;
}

/* file.driver/driver/format: which code reads the image. */
static int open_with(struct block_backend *b, const char *file, const char *format,
                     struct error *error)
{
    bool raw = !format || strcmp(format, "raw") == 0;

    if (strncmp(file, "blkdebug:", 9) == 0 && block_debug_open)
        return block_debug_open(b, file, error);
    if (strncmp(file, "null-co://", 10) == 0 || strncmp(file, "null-aio://", 11) == 0)
        return block_null_open(b, file, error);
    if (strncmp(file, "nbd:", 4) == 0 || strncmp(file, "nbd+unix:", 9) == 0 ||
        strncmp(file, "nbd://", 6) == 0)
        return block_nbd_open(b, file, error);
    if (!raw && b->snapshot)
        return error_set(error, -ENOTSUP, "'%s': snapshot=on is for raw images", file);
    if (!raw)
        return block_daemon_open(b, file, format, error);
    return block_file_open(b, file, error);
}

int block_open_medium(struct block_backend *b, const char *file, const char *format,
                      bool read_only, struct error *error)
{
    b->read_only = read_only;
    int err = open_with(b, file, format, error);
    if (err)
        return err;
    free(b->file);
    b->file = must_strdup(file);
    return 0;
}

void block_close_medium(struct block_backend *b)
{
    block_drain(b);
    if (b->ops)
        b->ops->close(b);
    free(b->debug);
    b->debug = NULL;
    b->ops = NULL;
    b->opaque = NULL;
    b->bytes = 0;
    free(b->file);
    b->file = NULL;
}

int block_change_medium(struct block_backend *b, const char *file, bool force,
                        struct error *error)
{
    if (!b->cdrom)
        return error_set(error, -ENOTSUP, "%s is not a removable drive", b->id);
    if (!force && block_tray_locked(b))
        return error_set(error, -EBUSY, "the guest has locked the tray of %s", b->id);
    block_close_medium(b);
    int err = file ? block_open_medium(b, file, NULL, true, error) : 0;
    if (b->front && b->front->medium_changed)
        b->front->medium_changed(b->front_opaque);
    return err;
}

int block_resize(struct block_backend *b, uint64_t bytes, struct error *error)
{
    if (!b->ops || !b->ops->resize || b->read_only || b->cdrom)
        return error_set(error, -ENOTSUP, "drive %s cannot change its size", b->id);
    if (!bytes || bytes % 512)
        return error_set(error, -EINVAL, "a size of %llu bytes is not whole sectors",
                         (unsigned long long)bytes);
    block_drain(b);
    int err = b->ops->resize(b, bytes);
    if (err)
        return error_set(error, err, "drive %s: %s", b->id, strerror(-err));
    b->bytes = bytes;
    if (b->front && b->front->medium_changed)
        b->front->medium_changed(b->front_opaque);
    return 0;
}

bool block_tray_locked(struct block_backend *b)
{
    return b->front && b->front->tray_locked && b->front->tray_locked(b->front_opaque);
}

void block_press_eject(struct block_backend *b)
{
    if (b->front && b->front->eject_request)
        b->front->eject_request(b->front_opaque);
}

struct drive_options {
    const char *id, *file, *format, *media, *serial, *interface;
    const char *write_error, *device_name;
    bool read_only, snapshot;
    uint32_t index, bus, unit;
};

static const struct option_desc drive_table[] = {
    OPTION("id", STRING, struct drive_options, id, NULL, "name"),
    OPTION("file", STRING, struct drive_options, file, NULL, "image or device"),
    OPTION("format", STRING, struct drive_options, format, NULL,
           "raw, or what qemu reads"),
    OPTION("driver", STRING, struct drive_options, format, NULL, "the same"),
    OPTION("media", STRING, struct drive_options, media, "disk", "disk or cdrom"),
    OPTION("serial", STRING, struct drive_options, serial, NULL, "serial number"),
    OPTION("readonly", BOOL, struct drive_options, read_only, "off", "no writes"),
    OPTION("read-only", BOOL, struct drive_options, read_only, NULL, "the same"),
    OPTION("snapshot", BOOL, struct drive_options, snapshot, "off", "forget writes"),
    OPTION("cache", IGNORE, struct drive_options, snapshot, NULL, "flushes are honoured"),
    OPTION("aio", IGNORE, struct drive_options, snapshot, NULL, "always a thread pool"),
    OPTION("file.read-zeroes", IGNORE, struct drive_options, snapshot, NULL, "it does"),
    OPTION("discard", IGNORE, struct drive_options, snapshot, NULL, "as the image can"),
    OPTION("auto-read-only", IGNORE, struct drive_options, snapshot, NULL,
           "never guesses"),
    OPTION("werror", STRING, struct drive_options, write_error, "report",
           "report or stop"),
    OPTION("qdisk", STRING, struct drive_options, device_name, NULL,
           "its device in xenstore"),
    OPTION("rerror", IGNORE, struct drive_options, snapshot, NULL, "errors are reported"),
    {0},
};

static int check_drive(struct machine *m, const struct drive_options *d,
                       const struct options *o, struct error *error)
{
    if (strcmp(d->media, "disk") != 0 && strcmp(d->media, "cdrom") != 0)
        return error_set(error, -EINVAL, "'%s': media=%s is not disk or cdrom", o->text,
                         d->media);
    if (!d->id || strlen(d->id) >= sizeof(((struct block_backend *)0)->id))
        return error_set(error, -EINVAL, "'%s': an id of at most 63 characters is needed",
                         o->text);
    if (block_by_id(m, d->id))
        return error_set(error, -EEXIST, "'%s': two drives with id '%s'", o->text, d->id);
    if (!d->file && !d->read_only && strcmp(d->media, "cdrom") != 0)
        return error_set(error, -EINVAL, "'%s': a disk needs file=", o->text);
    return 0;
}

static void free_backend(struct block_backend *b)
{
    free(b->serial);
    free(b->device_name);
    free(b);
}

int block_add(struct machine *m, struct options *o, struct error *error)
{
    struct drive_options d = {0};
    int err = options_apply(o, drive_table, &d, m, error);

    if (!err)
        err = options_check_used(o, "a drive", error);
    if (!err)
        err = check_drive(m, &d, o, error);
    if (err)
        return err;
    struct block_backend *b = must_alloc(sizeof(*b));
    b->machine = m;
    strcpy(b->id, d.id);
    b->cdrom = strcmp(d.media, "cdrom") == 0;
    b->snapshot = d.snapshot;
    b->stop_on_error = strcmp(d.write_error, "stop") == 0;
    if (d.serial)
        b->serial = must_strdup(d.serial);
    if (d.device_name)
        b->device_name = must_strdup(d.device_name);
    if (d.file && *d.file)
        err = block_open_medium(b, d.file, d.format, d.read_only || b->cdrom, error);
    if (err) {
        free_backend(b);
        return err;
    }
    b->next = m->blocks;
    m->blocks = b;
    return 0;
}

void block_remove(struct block_backend *b)
{
    struct block_backend **at = &b->machine->blocks;

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    block_close_medium(b);
    free_backend(b);
}

void block_free_all(struct machine *m)
{
    while (m->blocks)
        block_remove(m->blocks);
}

/* ---- requests -----------------------------------------------------------------------
 */

/* A request that ends without reaching the medium still completes from the loop. */
struct ended {
    struct job job;
    struct block_request *request;
    int result;
};

static void ended_done(struct job *job)
{
    struct ended *e = (struct ended *)job;
    struct block_request *request = e->request;
    int result = e->result;

    free(e);
    block_complete(request, result);
}

void block_complete_later(struct block_request *request, int result)
{
    struct ended *e = must_alloc(sizeof(*e));

    e->job.done = ended_done;
    e->request = request;
    e->result = result;
    workers_finished(request->backend->machine, &e->job);
}

static int check_request(const struct block_backend *b, const struct block_request *r)
{
    if (!b->ops)
        return -ENOMEDIUM;
    if (r->op == BLOCK_FLUSH)
        return 0;
    if (r->op != BLOCK_READ && b->read_only)
        return -EROFS;
    if (r->offset > b->bytes || r->bytes > b->bytes - r->offset)
        return -EINVAL;
    return 0;
}

void block_submit(struct block_backend *b, struct block_request *request)
{
    request->backend = b;
    b->in_flight++;
    int err = check_request(b, request);
    if (err)
        block_complete_later(request, err);
    else if (!b->debug || !block_debug_take(b, request))
        b->ops->submit(b, request);
}

static void count(struct block_backend *b, const struct block_request *r, int result)
{
    if (result) {
        b->failures++;
    } else if (r->op == BLOCK_READ) {
        b->reads++;
        b->bytes_read += r->bytes;
    } else if (r->op == BLOCK_FLUSH) {
        b->flushes++;
    } else {
        b->writes++;
        b->bytes_written += r->bytes;
    }
}

/* werror=stop: the guest waits, and somebody makes room and says `cont`. */
static bool stall(struct block_backend *b, struct block_request *request, int result)
{
    if (!result || !b->stop_on_error || request->op == BLOCK_READ || !b->ops ||
        result == -EROFS || result == -EINVAL)
        return false;
    request->next = b->stalled;
    b->stalled = request;
    dev_log(NULL, LOG_ERROR, "drive %s: %s; its guest waits for cont", b->id,
            strerror(-result));
    control_event(b->machine, "BLOCK_IO_ERROR",
                  json_pack("{s:s, s:s, s:s, s:s}", "device", b->id, "operation", "write",
                            "action", "stop", "reason", strerror(-result)));
    control_event(b->machine, "STOP", NULL);
    return true;
}

void block_retry_stalled(struct machine *m)
{
    for (struct block_backend *b = m->blocks; b; b = b->next) {
        struct block_request *request = b->stalled, *next;
        for (b->stalled = NULL; request; request = next) {
            next = request->next;
            b->ops->submit(b, request);
        }
    }
}

void block_complete(struct block_request *request, int result)
{
    struct block_backend *b = request->backend;

    if (stall(b, request, result))
        return;
    b->in_flight--;
    count(b, request, result);
    request->done(request, result);
}

/* What waits for `cont` cannot be waited for: it fails. */
static void fail_stalled(struct block_backend *b)
{
    bool stop = b->stop_on_error;
    struct block_request *request = b->stalled, *next;

    b->stop_on_error = false;
    for (b->stalled = NULL; request; request = next) {
        next = request->next;
        block_complete(request, -EIO);
    }
    b->stop_on_error = stop;
}

void block_drain(struct block_backend *b)
{
    if (b->debug)
        block_debug_release(b);
    while (b->in_flight) {
        if (b->stalled) {
            fail_stalled(b);
            continue;
        }
        if (b->ops && b->ops->poll)
            b->ops->poll(b);
        else
            workers_poll(b->machine, true);
    }
}

void block_drain_all(struct machine *m)
{
    bool busy;

    do {
        busy = false;
        for (struct block_backend *b = m->blocks; b; b = b->next) {
            if (b->in_flight) {
                busy = true;
                block_drain(b);
            }
        }
    } while (busy);
}

static void flushed(struct block_request *request, int result)
{
    if (result)
        dev_log(NULL, LOG_WARNING, "drive %s: %s", request->backend->id,
                strerror(-result));
    free(request);
}

void block_flush_all(struct machine *m)
{
    for (struct block_backend *b = m->blocks; b; b = b->next) {
        if (!b->ops || b->read_only)
            continue;
        struct block_request *request = must_alloc(sizeof(*request));
        request->op = BLOCK_FLUSH;
        request->done = flushed;
        block_submit(b, request);
    }
    block_drain_all(m);
}

uint64_t block_bytes(const struct block_backend *b)
{
    return b->bytes;
}

bool block_read_only(const struct block_backend *b)
{
    return b->read_only;
}

bool block_has_medium(const struct block_backend *b)
{
    return b->ops;
}

const char *block_id(const struct block_backend *b)
{
    return b->id;
}

const char *block_serial(const struct block_backend *b)
{
    return b->serial;
}

unsigned block_in_flight(const struct block_backend *b)
{
    return b->in_flight;
}

int block_attach(struct block_backend *b, const struct block_front_ops *ops, void *opaque)
{
    if (b->attached)
        return -EBUSY;
    b->attached = true;
    b->front = ops;
    b->front_opaque = opaque;
    return 0;
}

void block_detach(struct block_backend *b)
{
    b->attached = false;
    b->front = NULL;
    b->front_opaque = NULL;
}

void block_removable(struct block_backend *b)
{
    b->cdrom = true;
}

void block_eject(struct block_backend *b)
{
    block_close_medium(b);
}
