/*
 * Character back ends over a file descriptor: null, stdio, file, pty and socket.
 *
 * What the guest writes goes through a ring, because neither a terminal nor a socket
 * takes everything at once.  When nobody reads a pty the oldest bytes are lost, so that a
 * guest never hangs on its console; a socket or pipe that is slow holds the guest's UART
 * up instead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "machine.h"

#define RING_BYTES 65536u

struct char_stream {
    struct char_backend common;
    const char *path; /* file, socket, link of a pty */
    bool server, wait, append;
    int in, out; /* -1: none */
    int listener;
    int slave;        /* of a pty, held open so that the master never hangs up */
    bool synchronous; /* out is a plain file: write() at once */
    bool lossy;
    bool saved_tty;
    struct termios tty;
    uv_poll_t *poll_in, *poll_out, *poll_listen;
    int out_dup;  /* libuv allows one poll handle for a descriptor */
    bool starved; /* the device had no room */
    bool full;    /* the device waits for room here */
    uint32_t head, tail;
    uint8_t *ring;
    char where[128];
};

static struct char_stream *to_stream(struct char_backend *c)
{
    return (struct char_stream *)c;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void stop_poll(uv_poll_t **poll)
{
    if (*poll) {
        uv_poll_stop(*poll);
        uv_close((uv_handle_t *)*poll, free_handle);
        *poll = NULL;
    }
}

static uv_poll_t *start_poll(struct char_stream *s, int fd, int events,
                             uv_poll_cb callback)
{
    uv_poll_t *poll = must_alloc(sizeof(*poll));

    if (uv_poll_init(machine_loop(s->common.machine), poll, fd)) {
        free(poll); /* a plain file or /dev/null: cannot be waited for */
        return NULL;
    }
    poll->data = s;
    uv_poll_start(poll, events, callback);
    return poll;
}

static void stop_output(struct char_stream *s)
{
    if (!s->poll_out)
        return;
    stop_poll(&s->poll_out);
    close(s->out_dup);
}

static void hang_up(struct char_stream *s)
{
    stop_poll(&s->poll_in);
    stop_output(s);
    if (s->in > 2)
        close(s->in);
    if (s->out > 2 && s->out != s->in)
        close(s->out);
    s->in = s->out = -1;
    s->head = s->tail = 0;
    char_connected(&s->common, false);
    if (s->full) {
        s->full = false;
        char_writable(&s->common);
    }
}

/* End of input: a socket's peer is gone, but stdout outlives stdin. */
static void end_of_input(struct char_stream *s)
{
    if (s->in == s->out) {
        hang_up(s);
        return;
    }
    stop_poll(&s->poll_in);
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct char_stream *s = poll->data;
    uint8_t buffer[4096];
    size_t room = char_can_receive(&s->common);

    if (!room) {
        s->starved = true; /* the kernel keeps the bytes until accept_input */
        uv_poll_stop(poll);
        return;
    }
    ssize_t n = read(s->in, buffer, room < sizeof(buffer) ? room : sizeof(buffer));
    if (n > 0)
        char_receive(&s->common, buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end_of_input(s);
}

static void flush(struct char_stream *s)
{
    while (s->head != s->tail) {
        uint32_t from = s->tail % RING_BYTES, bytes = s->head - s->tail;
        if (bytes > RING_BYTES - from)
            bytes = RING_BYTES - from;
        ssize_t n = write(s->out, s->ring + from, bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            hang_up(s);
            return;
        }
        s->tail += (uint32_t)n;
    }
}

static void writable(uv_poll_t *poll, int status, int events)
{
    struct char_stream *s = poll->data;

    flush(s);
    if (s->head == s->tail)
        stop_output(s);
    if (s->full && s->head - s->tail < RING_BYTES / 2) {
        s->full = false;
        char_writable(&s->common);
    }
}

static size_t stream_write(struct char_backend *c, const uint8_t *data, size_t bytes)
{
    struct char_stream *s = to_stream(c);

    if (s->out < 0)
        return bytes;
    if (s->synchronous) {
        ssize_t n = write(s->out, data, bytes);
        if (n < 0)
            dev_log(NULL, LOG_WARNING, "%s: %s", c->id, strerror(errno));
        return bytes;
    }
    size_t room = RING_BYTES - (s->head - s->tail);
    size_t taken = bytes < room || s->lossy ? bytes : room;
    for (size_t i = 0; i < taken; i++) {
        s->ring[s->head++ % RING_BYTES] = data[i];
        if (s->head - s->tail > RING_BYTES)
            s->tail++;
    }
    if (!s->poll_out) {
        flush(s);
        if (s->head != s->tail && s->out >= 0) {
            s->out_dup = fcntl(s->out, F_DUPFD_CLOEXEC, 3);
            s->poll_out = start_poll(s, s->out_dup, UV_WRITABLE, writable);
        }
    }
    s->full = taken < bytes;
    return taken;
}

static void stream_accept_input(struct char_backend *c)
{
    struct char_stream *s = to_stream(c);

    if (s->starved && s->poll_in) {
        s->starved = false;
        uv_poll_start(s->poll_in, UV_READABLE, readable);
    }
}

static const char *stream_where(struct char_backend *c)
{
    return to_stream(c)->where;
}

static void stream_destroy(struct char_backend *c)
{
    struct char_stream *s = to_stream(c);

    if (s->out >= 0 && !s->synchronous)
        flush(s);
    if (s->saved_tty)
        tcsetattr(0, TCSANOW, &s->tty);
    stop_poll(&s->poll_listen);
    if (s->listener >= 0) {
        close(s->listener);
        unlink(s->path);
    } else if (s->slave >= 0 && s->path) {
        unlink(s->path);
    }
    if (s->slave >= 0)
        close(s->slave);
    s->common.front = NULL;
    hang_up(s);
    free(s->ring);
}

static void stream_init(struct char_stream *s)
{
    s->in = s->out = s->listener = s->slave = -1;
    s->ring = must_alloc(RING_BYTES);
}

static void connect_fds(struct char_stream *s, int in, int out)
{
    s->in = in;
    s->out = out;
    if (out >= 0)
        fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    if (in >= 0) {
        fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
        s->poll_in = start_poll(s, in, UV_READABLE, readable);
    }
    char_connected(&s->common, true);
}

/* ---- the kinds ----------------------------------------------------------------------
 */

static int file_create(struct char_backend *c, struct error *error)
{
    struct char_stream *s = to_stream(c);

    stream_init(s);
    int how = O_WRONLY | O_CREAT | O_CLOEXEC | (s->append ? O_APPEND : O_TRUNC);
    s->out = s->path ? open(s->path, how, 0644) : -1;
    if (s->out < 0) {
        free(s->ring);
        return error_set(error, s->path ? -errno : -EINVAL, "%s: cannot open '%s': %s",
                         c->id, s->path ? s->path : "",
                         s->path ? strerror(errno) : "no path=");
    }
    s->synchronous = true;
    snprintf(s->where, sizeof(s->where), "file:%s", s->path);
    return 0;
}

static int stdio_create(struct char_backend *c, struct error *error)
{
    struct char_stream *s = to_stream(c);
    struct stat st;

    stream_init(s);
    if (tcgetattr(0, &s->tty) == 0) {
        struct termios raw = s->tty;
        cfmakeraw(&raw);
        raw.c_oflag |= OPOST;
        s->saved_tty = tcsetattr(0, TCSANOW, &raw) == 0;
    }
    s->synchronous = fstat(1, &st) == 0 && (S_ISREG(st.st_mode) || !isatty(1));
    s->out = 1;
    s->in = 0;
    s->poll_in = start_poll(s, 0, UV_READABLE, readable);
    snprintf(s->where, sizeof(s->where), "stdio");
    return 0;
}

static int pty_create(struct char_backend *c, struct error *error)
{
    struct char_stream *s = to_stream(c);
    struct termios raw;
    int master;

    stream_init(s);
    if (openpty(&master, &s->slave, NULL, NULL, NULL)) {
        free(s->ring);
        return error_set(error, -errno, "%s: no pty: %s", c->id, strerror(errno));
    }
    tcgetattr(s->slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(s->slave, TCSANOW, &raw);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    fcntl(s->slave, F_SETFD, FD_CLOEXEC);
    s->lossy = true;
    char name[96] = "";
    ttyname_r(s->slave, name, sizeof(name));
    snprintf(s->where, sizeof(s->where), "pty:%s", name);
    if (s->path) {
        unlink(s->path);
        if (symlink(name, s->path))
            dev_log(NULL, LOG_WARNING, "%s: cannot link %s: %s", c->id, s->path,
                    strerror(errno));
    }
    connect_fds(s, master, master);
    return 0;
}

static void accepted(uv_poll_t *poll, int status, int events)
{
    struct char_stream *s = poll->data;
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (s->in >= 0) {
        close(fd); /* one at a time */
        return;
    }
    connect_fds(s, fd, fd);
}

static int socket_create(struct char_backend *c, struct error *error)
{
    struct char_stream *s = to_stream(c);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    stream_init(s);
    int err = -EINVAL, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!s->path || strlen(s->path) >= sizeof(address.sun_path)) {
        error_set(error, err, "%s: a unix socket needs path= of at most 107 characters",
                  c->id);
        goto fail;
    }
    strcpy(address.sun_path, s->path);
    snprintf(s->where, sizeof(s->where), "unix:%s%s", s->path,
             s->server ? ",server=on" : "");
    if (!s->server) {
        if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
            err = error_set(error, -errno, "%s: cannot connect to %s: %s", c->id, s->path,
                            strerror(errno));
            goto fail;
        }
        connect_fds(s, fd, fd);
        return 0;
    }
    unlink(s->path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1)) {
        err = error_set(error, -errno, "%s: cannot listen on %s: %s", c->id, s->path,
                        strerror(errno));
        goto fail;
    }
    s->listener = fd;
    s->poll_listen = start_poll(s, fd, UV_READABLE, accepted);
    return 0;
fail:
    if (fd >= 0)
        close(fd);
    free(s->ring);
    return err;
}

static int null_create(struct char_backend *c, struct error *error)
{
    stream_init(to_stream(c));
    strcpy(to_stream(c)->where, "null");
    return 0;
}

static const struct option_desc path_options[] = {
    OPTION("path", STRING, struct char_stream, path, NULL, "file, or link to the pty"),
    OPTION("append", BOOL, struct char_stream, append, "off", "keep what is there"),
    OPTION("signal", IGNORE, struct char_stream, wait, NULL, "Ctrl-C always goes in"),
    OPTION("mux", IGNORE, struct char_stream, wait, NULL, "nothing shares a line"),
    {0},
};

static const struct option_desc socket_options[] = {
    OPTION("path", STRING, struct char_stream, path, NULL, "where"),
    OPTION("server", BOOL, struct char_stream, server, "off", "listen"),
    OPTION("wait", BOOL, struct char_stream, wait, "off", "never waits"),
    OPTION("nowait", IGNORE, struct char_stream, wait, NULL,
           "the old way to say wait=off"),
    {0},
};

#define STREAM_OPS(kind, text, table)                                                    \
    static const struct char_backend_ops kind##_ops = {                                  \
        .name = text,                                                                    \
        .size = sizeof(struct char_stream),                                              \
        .options = table,                                                                \
        .create = kind##_create,                                                         \
        .write = stream_write,                                                           \
        .accept_input = stream_accept_input,                                             \
        .where = stream_where,                                                           \
        .destroy = stream_destroy,                                                       \
    };                                                                                   \
    REGISTER_CHAR_BACKEND(kind##_ops)

STREAM_OPS(null, "null", path_options);
STREAM_OPS(file, "file", path_options);
STREAM_OPS(stdio, "stdio", path_options);
STREAM_OPS(pty, "pty", path_options);
STREAM_OPS(socket, "socket", socket_options);
