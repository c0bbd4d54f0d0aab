/*
 * Images behind an NBD server, through libnbd: a server somewhere (nbd://, nbd+unix://),
 * or a qemu-storage-daemon of our own (opener.c) that reads qcow2 and the other formats
 * of QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <libnbd.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "opener.h"

#define REQUEST_MOST (32u << 20) /* what every server takes */

struct block_nbd {
    struct block_backend *backend;
    struct nbd_handle *nbd;
    uv_poll_t *poll;
    bool own_server; /* the opener's, by this number */
    unsigned server;
};

struct nbd_job {
    struct block_request *request;
    uint8_t *bounce; /* libnbd wants one piece */
};

static struct block_nbd *to_nbd(const struct block_backend *b)
{
    return b->opaque;
}

static void ready(uv_poll_t *poll, int status, int events);

/* Wait for what the connection wants to do next. */
static void update_poll(struct block_nbd *n)
{
    unsigned direction = nbd_aio_get_direction(n->nbd);
    int events = (direction & LIBNBD_AIO_DIRECTION_READ ? UV_READABLE : 0) |
                 (direction & LIBNBD_AIO_DIRECTION_WRITE ? UV_WRITABLE : 0);

    if (events && !nbd_aio_is_dead(n->nbd))
        uv_poll_start(n->poll, events, ready);
    else
        uv_poll_stop(n->poll);
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct block_nbd *n = poll->data;
    unsigned direction = nbd_aio_get_direction(n->nbd);

    if (status || (events & UV_READABLE && direction & LIBNBD_AIO_DIRECTION_READ))
        nbd_aio_notify_read(n->nbd);
    else if (events & UV_WRITABLE && direction & LIBNBD_AIO_DIRECTION_WRITE)
        nbd_aio_notify_write(n->nbd);
    update_poll(n);
}

static void scatter(const struct block_request *r, const uint8_t *from)
{
    for (int i = 0; i < r->iovcnt; i++) {
        memcpy(r->iov[i].iov_base, from, r->iov[i].iov_len);
        from += r->iov[i].iov_len;
    }
}

static void gather(const struct block_request *r, uint8_t *to)
{
    for (int i = 0; i < r->iovcnt; i++) {
        memcpy(to, r->iov[i].iov_base, r->iov[i].iov_len);
        to += r->iov[i].iov_len;
    }
}

/* Called from inside libnbd, which must not be called again here. */
static int completed(void *opaque, int *error)
{
    struct nbd_job *j = opaque;
    struct block_request *r = j->request;

    if (!*error && r->op == BLOCK_READ && j->bounce)
        scatter(r, j->bounce);
    free(j->bounce);
    free(j);
    block_complete_later(r, -*error);
    return 1;
}

static int64_t begin(struct block_nbd *n, struct nbd_job *j)
{
    struct block_request *r = j->request;
    nbd_completion_callback done = {.callback = completed, .user_data = j};
    void *data = j->bounce ? j->bounce : r->iovcnt ? r->iov[0].iov_base : NULL;

    switch (r->op) {
    case BLOCK_READ:
        return nbd_aio_pread(n->nbd, data, r->bytes, r->offset, done, 0);
    case BLOCK_WRITE:
        return nbd_aio_pwrite(n->nbd, data, r->bytes, r->offset, done, 0);
    case BLOCK_FLUSH:
        return nbd_aio_flush(n->nbd, done, 0);
    case BLOCK_DISCARD:
        return nbd_aio_trim(n->nbd, r->bytes, r->offset, done, 0);
    case BLOCK_WRITE_ZEROES:
        return nbd_aio_zero(n->nbd, r->bytes, r->offset, done, 0);
    }
    return -1;
}

/* Nothing to do, or nothing that this server can do. */
static bool skipped(const struct block_nbd *n, const struct block_request *r)
{
    if (r->op == BLOCK_FLUSH)
        return nbd_can_flush(n->nbd) != 1;
    if (r->op == BLOCK_DISCARD)
        return !r->bytes || nbd_can_trim(n->nbd) != 1;
    return !r->bytes;
}

static void nbd_submit(struct block_backend *b, struct block_request *r)
{
    struct block_nbd *n = to_nbd(b);

    if (skipped(n, r) || r->bytes > REQUEST_MOST) {
        block_complete_later(r, r->bytes > REQUEST_MOST ? -EINVAL : 0);
        return;
    }
    struct nbd_job *j = must_alloc(sizeof(*j));
    j->request = r;
    if (r->iovcnt > 1) {
        j->bounce = must_alloc(r->bytes);
        if (r->op == BLOCK_WRITE)
            gather(r, j->bounce);
    }
    if (begin(n, j) < 0) {
        dev_log(NULL, LOG_WARNING, "%s: %s", b->id, nbd_get_error());
        int err = nbd_get_errno();
        free(j->bounce);
        free(j);
        block_complete_later(r, err ? -err : -EIO);
    }
    update_poll(n);
}

static void nbd_wait(struct block_backend *b)
{
    struct block_nbd *n = to_nbd(b);

    if (nbd_aio_in_flight(n->nbd) > 0 && nbd_poll(n->nbd, 100) < 0)
        dev_log(NULL, LOG_WARNING, "%s: %s", b->id, nbd_get_error());
    workers_poll(b->machine, false);
    update_poll(n);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void nbd_end(struct block_backend *b)
{
    struct block_nbd *n = to_nbd(b);

    if (n->poll) {
        uv_poll_stop(n->poll);
        uv_close((uv_handle_t *)n->poll, free_handle);
    }
    nbd_shutdown(n->nbd, 0);
    nbd_close(n->nbd);
    if (n->own_server)
        opener_close(b->machine->opener, n->server);
    free(n);
}

static const struct block_backend_ops nbd_ops = {
    .name = "nbd",
    .submit = nbd_submit,
    .poll = nbd_wait,
    .close = nbd_end,
};

static struct block_nbd *create(struct block_backend *b)
{
    struct block_nbd *n = must_alloc(sizeof(*n));

    n->backend = b;
    n->nbd = nbd_create();
    if (!n->nbd) {
        free(n);
        return NULL;
    }
    return n;
}

static void give_up(struct block_nbd *n)
{
    nbd_close(n->nbd);
    if (n->own_server)
        opener_close(n->backend->machine->opener, n->server);
    free(n);
}

/* Connected: take over size and rights. */
static int finish(struct block_backend *b, struct block_nbd *n, const char *file,
                  struct error *error)
{
    int64_t bytes = nbd_get_size(n->nbd);

    if (bytes < 0 || (!b->read_only && nbd_is_read_only(n->nbd) == 1)) {
        error_set(error, -EROFS, "'%s': %s", file,
                  bytes < 0 ? nbd_get_error() : "the server allows reading only");
        give_up(n);
        return -EROFS;
    }
    n->poll = must_alloc(sizeof(*n->poll));
    uv_poll_init(machine_loop(b->machine), n->poll, nbd_aio_get_fd(n->nbd));
    n->poll->data = n;
    b->bytes = (uint64_t)bytes;
    b->opaque = n;
    b->ops = &nbd_ops;
    return 0;
}

/* QEMU's old form nbd:unix:PATH[:exportname=NAME] too. */
static int connect_to(struct block_nbd *n, const char *uri)
{
    const char *unix_form = "nbd:unix:", *name_form = ":exportname=";

    if (strncmp(uri, unix_form, strlen(unix_form)) != 0)
        return nbd_connect_uri(n->nbd, uri);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", uri + strlen(unix_form));
    char *name = strstr(path, name_form);
    if (name) {
        *name = 0;
        nbd_set_export_name(n->nbd, name + strlen(name_form));
    }
    return nbd_connect_unix(n->nbd, path);
}

int block_nbd_open(struct block_backend *b, const char *uri, struct error *error)
{
    struct block_nbd *n = create(b);

    if (!n)
        return error_set(error, -ENOMEM, "'%s': %s", uri, nbd_get_error());
    if (connect_to(n, uri)) {
        error_set(error, -EIO, "cannot reach '%s': %s", uri, nbd_get_error());
        give_up(n);
        return -EIO;
    }
    return finish(b, n, uri, error);
}

/* ---- qemu-storage-daemon ------------------------------------------------------------
 */

static int open_image(struct block_nbd *n, const char *file, const char *format,
                      struct error *error)
{
    struct block_backend *b = n->backend;
    struct machine *m = b->machine;
    struct opener_image image = {.read_only = b->read_only, .shared = m->migrating};

    if (strlen(file) >= sizeof(image.file) || strlen(format) >= sizeof(image.format))
        return error_set(error, -ENAMETOOLONG, "'%.60s': the name is too long", file);
    strcpy(image.file, file);
    strcpy(image.format, format);
    if (!m->opener && !(m->opener = opener_start(NULL, NULL, error)))
        return -EIO;
    int fd = opener_open(m->opener, b->device_name, &image, &n->server, error);
    if (fd < 0)
        return fd;
    n->own_server = true;
    nbd_set_export_name(n->nbd, OPENER_EXPORT);
    if (nbd_connect_socket(n->nbd, fd)) /* which is libnbd's now, also if it failed */
        return error_set(error, -EIO, "'%s': %s", file, nbd_get_error());
    return 0;
}

int block_daemon_open(struct block_backend *b, const char *file, const char *format,
                      struct error *error)
{
    struct block_nbd *n = create(b);

    if (!n)
        return error_set(error, -ENOMEM, "'%s': %s", file, nbd_get_error());
    int err = open_image(n, file, format, error);
    if (err) {
        give_up(n);
        return err;
    }
    return finish(b, n, file, error);
}
