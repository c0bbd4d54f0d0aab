/*
 * Connections of the control socket: greeting, one JSON object in, one out, events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define REQUEST_MOST (1u << 20)
#define READ_AT_ONCE 4096

struct client {
    uv_pipe_t pipe; /* must be first */
    struct machine *machine;
    char *text;
    size_t bytes, room;
    bool dropped;
    bool ready; /* qmp_capabilities was said: events may be sent */
    /* Reading is ours, because libuv drops files that come along. */
    uv_poll_t poll;
    int poll_fd; /* a duplicate of the socket; -1: not reading */
    int file;    /* the last that came along; -1: none */
    struct client *next;
};

#define LISTENERS 3
#define PASSED    8 /* files that clients have handed over and not taken back */

struct listener {
    uv_pipe_t pipe;
    char *path;
};

struct control {
    struct listener listener[LISTENERS];
    unsigned listeners;
    struct client *clients;
    struct {
        bool used;
        int fd;
    } passed[PASSED]; /* add-fd; the index is the fdset-id */
};

struct sent {
    uv_write_t write;
    char *text;
};

static void write_done(uv_write_t *write, int status)
{
    struct sent *s = (struct sent *)write;

    free(s->text);
    free(s);
}

static void send_json(struct client *c, json_t *value)
{
    struct sent *s = must_alloc(sizeof(*s));
    char *text = json_dumps(value, JSON_COMPACT);

    json_decref(value);
    if (!text) {
        free(s);
        return;
    }
    size_t length = strlen(text);
    s->text = must_alloc(length + 3);
    memcpy(s->text, text, length);
    memcpy(s->text + length, "\r\n", 2);
    free(text);
    uv_buf_t buffer = uv_buf_init(s->text, (unsigned)length + 2);
    if (uv_write(&s->write, (uv_stream_t *)&c->pipe, &buffer, 1, write_done))
        write_done(&s->write, 0);
}

/* A text that repeats part of a request may not be UTF-8: cut inside a character. */
static json_t *error_object(const char *class, const char *text)
{
    json_t *desc = json_string(text);

    if (!desc)
        desc = json_string("the request, or what it names, is not UTF-8");
    return json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc", desc);
}

/* Keep the file that came with this command; its name is then /dev/fdset/N. */
static json_t *add_fd(struct client *c)
{
    struct control *control = c->machine->control;

    for (int n = 0; n < PASSED && c->file >= 0; n++) {
        if (control->passed[n].used)
            continue;
        control->passed[n].used = true;
        control->passed[n].fd = c->file;
        c->file = -1;
        return json_pack("{s:{s:i, s:i}}", "return", "fdset-id", n, "fd",
                         control->passed[n].fd);
    }
    return error_object("GenericError", c->file < 0 ? "no file came with add-fd"
                                                    : "too many files were added");
}

static json_t *remove_fd(struct client *c, json_t *arguments)
{
    struct control *control = c->machine->control;
    json_t *id = json_object_get(arguments, "fdset-id");
    json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;

    if (n < 0 || n >= PASSED || !control->passed[n].used)
        return error_object("GenericError", "there is no file with this fdset-id");
    control->passed[n].used = false;
    close(control->passed[n].fd);
    return json_pack("{s:{}}", "return");
}

int control_open(struct machine *m, const char *file, int flags)
{
    unsigned n;
    int end = 0;

    if (sscanf(file, "/dev/fdset/%u%n", &n, &end) != 1 || file[end])
        return open(file, flags | O_CLOEXEC, 0600);
    if (!m->control || n >= PASSED || !m->control->passed[n].used) {
        errno = EBADF;
        return -1;
    }
    return fcntl(m->control->passed[n].fd, F_DUPFD_CLOEXEC, 0);
}

static json_t *run(struct client *c, json_t *request)
{
    const char *command = json_string_value(json_object_get(request, "execute"));
    json_t *arguments = json_object_get(request, "arguments");
    struct error error = {.text = ""};

    if (!command)
        return error_object("GenericError", "there is no 'execute' in the request");
    if (arguments && !json_is_object(arguments))
        return error_object("GenericError", "'arguments' is not an object");
    if (strcmp(command, "qmp_capabilities") == 0) {
        c->ready = true;
        return json_pack("{s:{}}", "return");
    }
    if (strcmp(command, "add-fd") == 0)
        return add_fd(c);
    if (strcmp(command, "remove-fd") == 0)
        return remove_fd(c, arguments);
    json_t *result = control_execute(c->machine, command, arguments, &error);
    if (result)
        return json_pack("{s:o}", "return", result);
    bool unknown = strncmp(error.text, "The command ", 12) == 0;
    return error_object(unknown ? "CommandNotFound" : "GenericError", error.text);
}

static void handle(struct client *c, json_t *request)
{
    json_t *reply = run(c, request);
    json_t *id = json_object_get(request, "id");

    if (!reply)
        reply = error_object("GenericError", "the answer cannot be written as JSON");
    if (id)
        json_object_set(reply, "id", id);
    send_json(c, reply);
}

/* Objects may follow each other without a newline, or come in pieces. */
static void parse(struct client *c)
{
    size_t at = 0;

    /* No JSON has one, and the parser takes it for an end before more comes. */
    if (memchr(c->text, 0, c->bytes)) {
        send_json(c, error_object("GenericError", "there is a NUL in the request"));
        c->bytes = 0;
    }
    while (at < c->bytes) {
        json_error_t why;
        json_t *request =
            json_loadb(c->text + at, c->bytes - at, JSON_DISABLE_EOF_CHECK, &why);
        if (!request && json_error_code(&why) == json_error_premature_end_of_input &&
            c->bytes - at < REQUEST_MOST)
            break;
        if (!request) {
            if (strspn(c->text + at, " \t\r\n") < c->bytes - at)
                send_json(c, error_object("GenericError", why.text));
            at = c->bytes;
            break;
        }
        at += (size_t)why.position;
        handle(c, request);
        json_decref(request);
    }
    memmove(c->text, c->text + at, c->bytes - at);
    c->bytes -= at;
}

static void pipe_closed(uv_handle_t *handle)
{
    struct client *c = (struct client *)handle;

    if (c->file >= 0)
        close(c->file);
    free(c->text);
    free(c);
}

static void poll_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;

    close(c->poll_fd);
    uv_close((uv_handle_t *)&c->pipe, pipe_closed);
}

static void drop(struct client *c)
{
    struct control *control = c->machine->control;

    for (struct client **at = &control->clients; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    if (c->dropped)
        return;
    c->dropped = true;
    if (c->poll_fd >= 0)
        uv_close((uv_handle_t *)&c->poll, poll_closed);
    else
        uv_close((uv_handle_t *)&c->pipe, pipe_closed);
}

/* One file may come along with the text; a second one replaces the first. */
static void take_file(struct client *c, struct msghdr *message)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t files = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < files; i++) {
            if (c->file >= 0)
                close(c->file);
            memcpy(&c->file, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
        }
    }
}

static void received(uv_poll_t *poll, int status, int events)
{
    struct client *c = poll->data;
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } files;

    if (c->room < c->bytes + READ_AT_ONCE + 1) {
        c->room = (c->bytes + READ_AT_ONCE) * 2;
        c->text = must_realloc(c->text, c->room);
    }
    struct iovec part = {c->text + c->bytes, c->room - c->bytes - 1};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = files.bytes,
        .msg_controllen = sizeof(files.bytes),
    };
    ssize_t n = status < 0 ? 0 : recvmsg(c->poll_fd, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    take_file(c, &message);
    c->bytes += (size_t)n;
    c->text[c->bytes] = 0;
    parse(c);
}

static void start_reading(struct client *c)
{
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->pipe, &fd) ||
        (c->poll_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
        drop(c);
        return;
    }
    uv_poll_init(&c->machine->loop, &c->poll, c->poll_fd);
    c->poll.data = c;
    uv_poll_start(&c->poll, UV_READABLE, received);
}

static struct client *new_client(struct machine *m)
{
    struct client *c = must_alloc(sizeof(*c));

    c->machine = m;
    c->poll_fd = c->file = -1;
    uv_pipe_init(&m->loop, &c->pipe, 0);
    c->next = m->control->clients;
    m->control->clients = c;
    return c;
}

static void greet(struct client *c)
{
    send_json(c, json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[]}}", "QMP", "version",
                           "qemu", "major", 7, "minor", 2, "micro", 0, "package",
                           "corbel-dm", "capabilities"));
    start_reading(c);
}

static void incoming(uv_stream_t *listener, int status)
{
    struct machine *m = listener->data;

    if (status)
        return;
    struct client *c = new_client(m);
    if (uv_accept(listener, (uv_stream_t *)&c->pipe))
        drop(c);
    else
        greet(c);
}

/* A new socket at `path`; or, with a path of NULL, one that is listening already. */
static int listen_on(struct machine *m, const char *path, int fd, struct error *error)
{
    struct control *control = m->control;
    const char *name = path ? path : "fd=";
    int err;

    if (control->listeners == LISTENERS)
        return error_set(error, -ENOSPC, "'%s': at most %u control sockets", name,
                         LISTENERS);
    struct listener *l = &control->listener[control->listeners++];
    uv_pipe_init(&m->loop, &l->pipe, 0);
    l->pipe.data = m;
    if (path) {
        unlink(path);
        l->path = must_strdup(path);
        mode_t old = umask(0077);
        err = uv_pipe_bind(&l->pipe, path);
        umask(old);
    } else {
        err = uv_pipe_open(&l->pipe, fd);
    }
    if (!err)
        err = uv_listen((uv_stream_t *)&l->pipe, 4, incoming);
    return err ? error_set(error, err, "cannot listen on '%s': %s", name,
                           uv_strerror(err))
               : 0;
}

static void connected(uv_connect_t *request, int status)
{
    struct client *c = request->data;

    free(request);
    if (status) {
        dev_log(NULL, LOG_ERROR, "control socket: %s", uv_strerror(status));
        drop(c);
        return;
    }
    greet(c);
}

int control_start(struct machine *m, const char *address, struct error *error)
{
    struct options o;
    bool server = true, on;

    if (strncmp(address, "unix:", 5) == 0) {
        address += 5;
        server = false;
    } else if (strncmp(address, "socket,", 7) == 0) {
        address += 7;
        server = false;
    }
    int err = options_parse(&o, address, "path", error);
    if (err)
        return err;
    const char *path = options_take(&o, "path"), *text = options_take(&o, "server");
    const char *fd_text = options_take(&o, "fd");
    uint64_t fd = 0;
    options_take(&o, "id");
    options_take(&o, "wait");
    options_take(&o, "nowait");
    err = options_check_used(&o, "the control socket", error);
    if (!err && ((text && parse_bool(text, &on)) ||
                 (fd_text && (path || parse_u64(fd_text, &fd) || fd > INT_MAX))))
        err = error_set(error, -EINVAL, "control socket '%s' makes no sense", address);
    if (!err && !path && !fd_text)
        err = error_set(error, -EINVAL, "the control socket needs a path");
    server |= fd_text || (text && !err && on);
    if (!m->control)
        m->control = must_alloc(sizeof(*m->control));
    if (!err && server) {
        err = listen_on(m, path, (int)fd, error);
    } else if (!err) {
        uv_connect_t *request = must_alloc(sizeof(*request));
        struct client *c = new_client(m);
        request->data = c;
        uv_pipe_connect(request, &c->pipe, path, connected);
    }
    options_free(&o);
    return err;
}

void control_stop(struct machine *m)
{
    struct control *control = m->control;

    if (!control)
        return;
    while (control->clients)
        drop(control->clients);
    for (unsigned i = 0; i < PASSED; i++) {
        if (control->passed[i].used)
            close(control->passed[i].fd);
    }
    for (unsigned i = 0; i < control->listeners; i++) {
        uv_close((uv_handle_t *)&control->listener[i].pipe, NULL);
        if (control->listener[i].path)
            unlink(control->listener[i].path);
        free(control->listener[i].path);
    }
    /* Let what was written go out, and the handles close. */
    uv_run(&m->loop, UV_RUN_NOWAIT);
    m->control = NULL;
    free(control);
}

void control_event(struct machine *m, const char *name, json_t *data)
{
    struct timeval now;

    gettimeofday(&now, NULL);
    for (struct client *c = m->control ? m->control->clients : NULL; c; c = c->next) {
        if (!c->ready)
            continue;
        json_t *event =
            json_pack("{s:s, s:{s:I, s:I}}", "event", name, "timestamp", "seconds",
                      (json_int_t)now.tv_sec, "microseconds", (json_int_t)now.tv_usec);
        if (data)
            json_object_set(event, "data", data);
        send_json(c, event);
    }
    json_decref(data);
}
