/*
 * Frames over a stream socket, each after its length as a 32-bit big-endian number, as
 * QEMU's `-netdev socket` does; for tests and for joining machines without a tap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "machine.h"

#define FRAME_LARGEST 69632u
#define LENGTH_BYTES  4
#define IOV_MOST      64
#define NO_FD         UINT32_MAX

struct socket_net {
    struct net_backend n; /* must be first */
    uint32_t given_fd;
    const char *listen, *connect;

    int fd, listen_fd;
    uv_poll_t poll, listen_poll;
    bool poll_made, listening, polling;
    size_t have; /* bytes of length and frame that have come */
    uint8_t buffer[LENGTH_BYTES + FRAME_LARGEST];
};

static void readable(uv_poll_t *poll, int status, int events);

static void set_polling(struct socket_net *s, bool on)
{
    if (on == s->polling)
        return;
    s->polling = on;
    if (on)
        uv_poll_start(&s->poll, UV_READABLE, readable);
    else
        uv_poll_stop(&s->poll);
}

static void hang_up(struct socket_net *s)
{
    set_polling(s, false);
    shutdown(s->fd, SHUT_RDWR);
    s->have = 0;
}

/* Bytes that are still missing of what is being read; 0: a whole frame is there. */
static size_t missing(const struct socket_net *s)
{
    if (s->have < LENGTH_BYTES)
        return LENGTH_BYTES - s->have;
    return LENGTH_BYTES + (size_t)load_be32(s->buffer) - s->have;
}

/* True: the frame was taken or there is none; go on reading. */
static bool deliver(struct socket_net *s)
{
    if (s->have < LENGTH_BYTES || missing(s))
        return true;
    if (!net_receive(&s->n, s->buffer + LENGTH_BYTES, s->have - LENGTH_BYTES)) {
        if (s->n.front && !s->n.link_down)
            return false;
        s->n.rx_dropped++;
    }
    s->have = 0;
    return true;
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct socket_net *s = poll->data;

    for (;;) {
        ssize_t n = read(s->fd, s->buffer + s->have, missing(s));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            hang_up(s);
            return;
        }
        s->have += (size_t)n;
        if (s->have == LENGTH_BYTES && load_be32(s->buffer) > FRAME_LARGEST) {
            dev_log(NULL, LOG_WARNING, "network socket: a frame of %u bytes; closed",
                    load_be32(s->buffer));
            hang_up(s);
            return;
        }
        if (!deliver(s)) {
            set_polling(s, false);
            return;
        }
    }
}

static void accept_input(struct net_backend *n)
{
    struct socket_net *s = (struct socket_net *)n;

    if (s->poll_made && deliver(s))
        set_polling(s, true);
}

/* All of it: half a frame would break the stream for good. */
static void send_all(struct socket_net *s, struct iovec *iov, int iovcnt)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};

    while (iovcnt) {
        ssize_t n = writev(s->fd, iov, iovcnt);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && poll(&p, 1, 1000) > 0)
            continue;
        if (n < 0) {
            hang_up(s);
            return;
        }
        size_t left = (size_t)n;
        while (iovcnt && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            iovcnt--;
        }
        if (iovcnt) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
}

static void send_frame(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    struct socket_net *s = (struct socket_net *)n;
    struct iovec all[IOV_MOST + 1];
    uint8_t length[LENGTH_BYTES];
    size_t bytes = 0;

    if (!s->poll_made || iovcnt > IOV_MOST)
        return;
    for (int i = 0; i < iovcnt; i++)
        bytes += iov[i].iov_len;
    store_be32(length, (uint32_t)bytes);
    all[0] = (struct iovec){length, sizeof(length)};
    memcpy(all + 1, iov, (size_t)iovcnt * sizeof(*iov));
    send_all(s, all, iovcnt + 1);
}

/* ---- connections --------------------------------------------------------------------
 */

static int use_fd(struct socket_net *s, int fd, struct error *error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
        return error_set(error, -errno, "network socket: fd=%d: %s", fd, strerror(errno));
    int bad = uv_poll_init(machine_loop(s->n.machine), &s->poll, fd);
    if (bad)
        return error_set(error, bad, "network socket: fd=%d: %s", fd, uv_strerror(bad));
    s->fd = fd;
    s->poll.data = s;
    s->poll_made = true;
    set_polling(s, true);
    return 0;
}

static void caller(uv_poll_t *poll, int status, int events)
{
    struct socket_net *s = poll->data;
    struct error error;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    /* One line, one other end. */
    uv_poll_stop(&s->listen_poll);
    if (use_fd(s, fd, &error)) {
        dev_log(NULL, LOG_WARNING, "%s", error.text);
        close(fd);
    }
}

static int resolve(const char *text, bool passive, struct addrinfo **list,
                   struct error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = passive ? AI_PASSIVE : 0};
    const char *colon = strrchr(text, ':');
    char host[256];

    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return error_set(error, -EINVAL, "network socket: '%s' is not HOST:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    int bad = getaddrinfo(*host ? host : NULL, colon + 1, &hints, list);
    return bad ? error_set(error, -EINVAL, "network socket: '%s': %s", text,
                           gai_strerror(bad))
               : 0;
}

static int start_listening(struct socket_net *s, struct error *error)
{
    struct addrinfo *a;
    int on = 1, err = resolve(s->listen, true, &a, error);

    if (err)
        return err;
    s->listen_fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd >= 0)
        setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (s->listen_fd < 0 || bind(s->listen_fd, a->ai_addr, a->ai_addrlen) ||
        listen(s->listen_fd, 1))
        err = error_set(error, -errno, "network socket: listen=%s: %s", s->listen,
                        strerror(errno));
    freeaddrinfo(a);
    if (err) {
        if (s->listen_fd >= 0)
            close(s->listen_fd);
        return err;
    }
    uv_poll_init(machine_loop(s->n.machine), &s->listen_poll, s->listen_fd);
    s->listen_poll.data = s;
    s->listening = true;
    uv_poll_start(&s->listen_poll, UV_READABLE, caller);
    return 0;
}

static int start_connecting(struct socket_net *s, struct error *error)
{
    struct addrinfo *a;
    int err = resolve(s->connect, false, &a, error);

    if (err)
        return err;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen))
        err = error_set(error, -errno, "network socket: connect=%s: %s", s->connect,
                        strerror(errno));
    freeaddrinfo(a);
    if (!err)
        err = use_fd(s, fd, error);
    if (err && fd >= 0)
        close(fd);
    return err;
}

static int create(struct net_backend *n, struct error *error)
{
    struct socket_net *s = (struct socket_net *)n;
    int ways = (s->given_fd != NO_FD) + (s->listen != NULL) + (s->connect != NULL);

    s->fd = s->listen_fd = -1;
    if (ways != 1)
        return error_set(error, -EINVAL,
                         "network socket: one of fd=, listen= and connect= is needed");
    if (s->listen)
        return start_listening(s, error);
    if (s->connect)
        return start_connecting(s, error);
    return use_fd(s, (int)s->given_fd, error);
}

static void destroy(struct net_backend *n)
{
    struct socket_net *s = (struct socket_net *)n;

    if (s->poll_made) {
        set_polling(s, false);
        uv_close((uv_handle_t *)&s->poll, NULL);
    }
    if (s->listening)
        uv_close((uv_handle_t *)&s->listen_poll, NULL);
    /* The core frees `s` when we return: let the loop let go of the handles first. */
    uv_run(machine_loop(n->machine), UV_RUN_NOWAIT);
    if (s->fd >= 0)
        close(s->fd);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
}

static const struct option_desc options[] = {
    OPTION("fd", U32, struct socket_net, given_fd, "0xffffffff", "a connected socket"),
    OPTION("listen", STRING, struct socket_net, listen, NULL, "wait on HOST:PORT"),
    OPTION("connect", STRING, struct socket_net, connect, NULL, "call HOST:PORT"),
    {0},
};

static const struct net_backend_ops socket_ops = {
    .name = "socket",
    .size = sizeof(struct socket_net),
    .options = options,
    .create = create,
    .send = send_frame,
    .accept_input = accept_input,
    .destroy = destroy,
};

REGISTER_NET_BACKEND(socket_ops);
