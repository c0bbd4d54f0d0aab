/*
 * Requests to a guest's supervisor.  See rpc.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guestdir.h"
#include "rpc.h"

#define LINE_BYTES 1024u
#define ANSWER_MAX 16384u
#define LINGER_NS  500000000ull

struct rpc_client {
    uv_pipe_t pipe;
    struct rpc_server *server;
    struct rpc_client *next;
    char line[LINE_BYTES];
    size_t bytes;
    bool waiting, closing;
};

struct rpc_server {
    uv_loop_t *loop;
    uv_pipe_t listener;
    rpc_handler *handler;
    void *opaque;
    struct rpc_client *clients;
};

struct answer {
    uv_write_t request;
    char *text;
};

static void client_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void client_close(struct rpc_client *c)
{
    if (c->closing)
        return;
    c->closing = true;
    struct rpc_client **at = &c->server->clients;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    uv_close((uv_handle_t *)&c->pipe, client_freed);
}

static void answered(uv_write_t *request, int status)
{
    struct answer *a = (struct answer *)request;

    free(a->text);
    free(a);
}

static void send_answer(struct rpc_client *c, json_t *j)
{
    struct answer *a = calloc(1, sizeof(*a));
    char *text = json_dumps(j, JSON_COMPACT);

    if (a && text && asprintf(&a->text, "%s\n", text) > 0) {
        uv_buf_t buffer = uv_buf_init(a->text, (unsigned)strlen(a->text));
        if (uv_write(&a->request, (uv_stream_t *)&c->pipe, &buffer, 1, answered) == 0)
            a = NULL;
        else
            free(a->text);
    }
    free(text);
    free(a);
}

static void handle_line(struct rpc_client *c)
{
    json_error_t error;
    json_t *request = json_loadb(c->line, c->bytes, 0, &error);
    const char *verb = json_string_value(json_object_get(request, "do"));
    json_t *answer =
        verb ? c->server->handler(verb, c->server->opaque)
             : json_pack("{sb ss}", "ok", 0, "error", "a request is {\"do\": \"...\"}");

    if (answer)
        send_answer(c, answer);
    else
        c->waiting = true;
    json_decref(answer);
    json_decref(request);
}

static void want_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct rpc_client *c = handle->data;

    *buffer = uv_buf_init(c->line + c->bytes, (unsigned)(LINE_BYTES - c->bytes));
}

static void said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct rpc_client *c = stream->data;

    if (n < 0) {
        client_close(c);
        return;
    }
    size_t end = c->bytes + (size_t)n;
    for (;;) {
        char *newline = memchr(c->line, '\n', end);
        if (!newline)
            break;
        c->bytes = (size_t)(newline - c->line);
        handle_line(c);
        end -= c->bytes + 1;
        memmove(c->line, newline + 1, end);
    }
    c->bytes = end;
    if (end == LINE_BYTES)
        client_close(c); /* no request is that long */
}

static void connected(uv_stream_t *listener, int status)
{
    struct rpc_server *s = listener->data;
    struct rpc_client *c = status ? NULL : calloc(1, sizeof(*c));

    if (!c)
        return;
    c->server = s;
    uv_pipe_init(s->loop, &c->pipe, 0);
    c->pipe.data = c;
    c->next = s->clients;
    s->clients = c;
    if (uv_accept(listener, (uv_stream_t *)&c->pipe) ||
        uv_read_start((uv_stream_t *)&c->pipe, want_buffer, said))
        client_close(c);
}

int rpc_open(struct rpc_server **server, uv_loop_t *loop, const char *guest,
             rpc_handler *handler, void *opaque, struct failure *f)
{
    char path[GUEST_PATH_MAX];
    struct rpc_server *s = calloc(1, sizeof(*s));

    if (!s)
        return fail_with(f, -ENOMEM, "out of memory");
    *server = s;
    s->loop = loop;
    s->handler = handler;
    s->opaque = opaque;
    guest_path(path, guest, "control.sock");
    unlink(path);
    uv_pipe_init(loop, &s->listener, 0);
    s->listener.data = s;
    int err = uv_pipe_bind(&s->listener, path);
    if (!err)
        err = uv_listen((uv_stream_t *)&s->listener, 8, connected);
    return err ? fail_with(f, err, "cannot listen on %s: %s", path, uv_strerror(err)) : 0;
}

void rpc_answer_waiters(struct rpc_server *s, json_t *answer)
{
    for (struct rpc_client *c = s->clients; c; c = c->next) {
        if (c->waiting)
            send_answer(c, answer);
        c->waiting = false;
    }
}

static bool behind(const struct rpc_server *s)
{
    for (const struct rpc_client *c = s->clients; c; c = c->next) {
        if (uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe))
            return true;
    }
    return false;
}

void rpc_close(struct rpc_server *s)
{
    uint64_t deadline = uv_hrtime() + LINGER_NS;

    while (behind(s) && uv_hrtime() < deadline)
        uv_run(s->loop, UV_RUN_NOWAIT);
    uv_close((uv_handle_t *)&s->listener, NULL);
    while (s->clients)
        client_close(s->clients);
}

int rpc_connect(const char *guest, struct failure *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[GUEST_PATH_MAX];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    guest_path(path, guest, "control.sock");
    memcpy(address.sun_path, path, sizeof(path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        if (err == -ENOENT || err == -ECONNREFUSED)
            return fail_with(f, err, "guest '%s' has no supervisor: it has ended", guest);
        return fail_with(f, err, "%s: %s", path, strerror(-err));
    }
    return fd;
}

int rpc_send(int fd, const char *request, struct failure *f)
{
    char line[128];
    int n = snprintf(line, sizeof(line), "{\"do\":\"%s\"}\n", request);

    if (write(fd, line, (size_t)n) != n)
        return fail_with(f, -errno, "cannot reach the supervisor: %s", strerror(errno));
    return 0;
}

int rpc_receive(int fd, json_t **answer, struct failure *f)
{
    char text[ANSWER_MAX];
    size_t n = 0;
    json_error_t error;

    for (;;) {
        ssize_t got = read(fd, text + n, sizeof(text) - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || n + (size_t)got == sizeof(text))
            return fail_with(f, -EPIPE, "the supervisor ended without an answer");
        n += (size_t)got;
        if (text[n - 1] == '\n')
            break;
    }
    json_t *j = json_loadb(text, n, 0, &error);
    if (!j)
        return fail_with(f, -EPROTO, "the supervisor's answer makes no sense: %s",
                         error.text);
    if (!json_is_true(json_object_get(j, "ok"))) {
        const char *why = json_string_value(json_object_get(j, "error"));
        fail_with(f, -EIO, "%s", why ? why : "the supervisor refused");
        json_decref(j);
        return -EIO;
    }
    *answer = j;
    return 0;
}

int rpc_call(const char *guest, const char *request, json_t **answer, struct failure *f)
{
    int fd = rpc_connect(guest, f);

    if (fd < 0)
        return fd;
    int err = rpc_send(fd, request, f);
    if (!err)
        err = rpc_receive(fd, answer, f);
    close(fd);
    return err;
}
