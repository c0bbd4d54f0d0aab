/*
 * The serial console's meeting point.  See hub.h.
 *
 * Flow control: a viewer that does not read is dropped when a megabyte waits for it; what
 * viewers type waits in their sockets while the device model does not take it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guestdir.h"
#include "hub.h"

#define HISTORY_BYTES (64u << 10)
#define VIEWER_LIMIT  (1u << 20) /* bytes that may wait for one viewer */
#define MODEL_LIMIT   (16u << 10)
#define LOG_LIMIT     (4u << 20)
#define READ_BYTES    4096u
#define LINGER_NS     1000000000ull /* for viewers to take the last words */

struct peer {
    uv_pipe_t pipe;
    struct hub *hub;
    struct peer *next;
    bool model; /* the device model's side */
    bool closing;
    char in[READ_BYTES];
};

struct hub {
    uv_loop_t *loop;
    char guest[GUEST_NAME_MAX + 1];
    uv_pipe_t serial, console; /* listeners */
    struct peer *model;        /* connected, or NULL */
    struct peer *viewers;
    int log;
    size_t log_bytes;
    char history[HISTORY_BYTES];
    size_t said; /* bytes in all; the last HISTORY_BYTES are kept */
};

struct outgoing {
    uv_write_t request;
    struct peer *peer;
    size_t bytes;
    char data[];
};

static void read_viewers(struct hub *h, bool on);

static void peer_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void peer_close(struct peer *p)
{
    struct hub *h = p->hub;

    if (p->closing)
        return;
    p->closing = true;
    if (p->model) {
        if (h->model == p)
            h->model = NULL;
    } else {
        struct peer **at = &h->viewers;
        while (*at && *at != p)
            at = &(*at)->next;
        if (*at)
            *at = p->next;
    }
    uv_close((uv_handle_t *)&p->pipe, peer_freed);
}

static void written(uv_write_t *request, int status)
{
    struct outgoing *o = (struct outgoing *)request;
    struct peer *p = o->peer;

    if (status < 0 && status != UV_ECANCELED)
        peer_close(p);
    else if (status == 0 && p->model && !p->closing)
        read_viewers(p->hub, true);
    free(o);
}

static void peer_write(struct peer *p, const char *data, size_t bytes)
{
    struct outgoing *o = bytes ? malloc(sizeof(*o) + bytes) : NULL;
    uv_buf_t buffer;

    if (!o)
        return;
    memcpy(o->data, data, bytes);
    o->peer = p;
    o->bytes = bytes;
    buffer = uv_buf_init(o->data, (unsigned)bytes);
    if (uv_write(&o->request, (uv_stream_t *)&p->pipe, &buffer, 1, written)) {
        free(o);
        peer_close(p);
    }
}

static void log_write(struct hub *h, const char *data, size_t bytes)
{
    char path[GUEST_PATH_MAX], old[GUEST_PATH_MAX];

    if (h->log_bytes > LOG_LIMIT) {
        guest_path(path, h->guest, "console.log");
        guest_path(old, h->guest, "console.log.1");
        rename(path, old);
        close(h->log);
        h->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        h->log_bytes = 0;
    }
    /* A full disk must not stop the console. */
    if (h->log >= 0 && write(h->log, data, bytes) > 0)
        h->log_bytes += bytes;
}

static void say(struct hub *h, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        h->history[(h->said + i) % HISTORY_BYTES] = data[i];
    h->said += bytes;
    log_write(h, data, bytes);
    for (struct peer *p = h->viewers, *next; p; p = next) {
        next = p->next;
        if (uv_stream_get_write_queue_size((uv_stream_t *)&p->pipe) > VIEWER_LIMIT)
            peer_close(p);
        else
            peer_write(p, data, bytes);
    }
}

void hub_say(struct hub *h, const char *text)
{
    say(h, text, strlen(text));
}

static void want_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct peer *p = handle->data;

    *buffer = uv_buf_init(p->in, sizeof(p->in));
}

static void model_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct peer *p = stream->data;

    if (n < 0)
        peer_close(p);
    else if (n > 0)
        say(p->hub, buffer->base, (size_t)n);
}

static void viewer_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct peer *p = stream->data;
    struct hub *h = p->hub;

    if (n < 0) {
        peer_close(p);
        return;
    }
    if (n == 0 || !h->model)
        return;
    peer_write(h->model, buffer->base, (size_t)n);
    if (h->model &&
        uv_stream_get_write_queue_size((uv_stream_t *)&h->model->pipe) > MODEL_LIMIT)
        read_viewers(h, false);
}

static void read_viewers(struct hub *h, bool on)
{
    for (struct peer *p = h->viewers; p; p = p->next) {
        if (on)
            uv_read_start((uv_stream_t *)&p->pipe, want_buffer, viewer_said);
        else
            uv_read_stop((uv_stream_t *)&p->pipe);
    }
}

static void send_history(struct peer *p)
{
    struct hub *h = p->hub;
    size_t kept = h->said < HISTORY_BYTES ? h->said : HISTORY_BYTES;
    size_t start = (h->said - kept) % HISTORY_BYTES;
    size_t first = kept < HISTORY_BYTES - start ? kept : HISTORY_BYTES - start;

    peer_write(p, h->history + start, first);
    peer_write(p, h->history, kept - first);
}

static void connected(uv_stream_t *listener, int status)
{
    struct hub *h = listener->data;
    struct peer *p = status ? NULL : calloc(1, sizeof(*p));

    if (!p)
        return;
    p->hub = h;
    p->model = listener == (uv_stream_t *)&h->serial;
    uv_pipe_init(h->loop, &p->pipe, 0);
    p->pipe.data = p;
    if (uv_accept(listener, (uv_stream_t *)&p->pipe)) {
        p->closing = true;
        uv_close((uv_handle_t *)&p->pipe, peer_freed);
        return;
    }
    if (p->model) {
        if (h->model)
            peer_close(h->model); /* of a guest that restarts */
        h->model = p;
        uv_read_start((uv_stream_t *)&p->pipe, want_buffer, model_said);
        read_viewers(h, true);
    } else {
        p->next = h->viewers;
        h->viewers = p;
        send_history(p);
        uv_read_start((uv_stream_t *)&p->pipe, want_buffer, viewer_said);
    }
}

static int listen_on(struct hub *h, uv_pipe_t *pipe, const char *file, struct failure *f)
{
    char path[GUEST_PATH_MAX];

    guest_path(path, h->guest, file);
    uv_pipe_init(h->loop, pipe, 0);
    pipe->data = h;
    unlink(path);
    int err = uv_pipe_bind(pipe, path);
    if (!err)
        err = uv_listen((uv_stream_t *)pipe, 8, connected);
    return err ? fail_with(f, err, "cannot listen on %s: %s", path, uv_strerror(err)) : 0;
}

int hub_open(struct hub **hub, uv_loop_t *loop, const char *guest, struct failure *f)
{
    char path[GUEST_PATH_MAX];
    struct hub *h = calloc(1, sizeof(*h));

    if (!h)
        return fail_with(f, -ENOMEM, "out of memory");
    h->loop = loop;
    snprintf(h->guest, sizeof(h->guest), "%s", guest);
    guest_path(path, guest, "console.log");
    h->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    *hub = h;
    int err = listen_on(h, &h->serial, "serial.sock", f);
    return err ? err : listen_on(h, &h->console, "console.sock", f);
}

static bool viewers_behind(const struct hub *h)
{
    for (const struct peer *p = h->viewers; p; p = p->next) {
        if (uv_stream_get_write_queue_size((const uv_stream_t *)&p->pipe))
            return true;
    }
    return false;
}

void hub_close(struct hub *h)
{
    uint64_t deadline = uv_hrtime() + LINGER_NS;

    while (viewers_behind(h) && uv_hrtime() < deadline)
        uv_run(h->loop, UV_RUN_NOWAIT);
    uv_close((uv_handle_t *)&h->serial, NULL);
    uv_close((uv_handle_t *)&h->console, NULL);
    if (h->model)
        peer_close(h->model);
    while (h->viewers)
        peer_close(h->viewers);
    if (h->log >= 0)
        close(h->log);
    /* Its pipes are closed by the next turn of the loop, after which the process ends. */
}
