/*
 * Where the screen's viewers come in: the address as it is written, and its socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "machine.h"
#include "options.h"
#include "vnc_address.h"

#define FIRST_PORT 5900
#define DISPLAYS   100 /* smaller numbers are displays, larger ones ports */

static int listen_unix(struct vnc_listener *l, const char *path, int backlog,
                       struct error *error)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(at.sun_path))
        return error_set(error, -ENAMETOOLONG, "--vnc: '%s' is too long", path);
    strcpy(at.sun_path, path);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return error_set(error, -errno, "--vnc: socket: %s", strerror(errno));
    unlink(path);
    if (bind(l->fd, (struct sockaddr *)&at, sizeof(at)) || listen(l->fd, backlog))
        return error_set(error, -errno, "--vnc: cannot listen on '%s': %s", path,
                         strerror(errno));
    strcpy(l->unix_path, path);
    snprintf(l->address, sizeof(l->address), "unix:%s", path);
    return 0;
}

static int listen_on(struct vnc_listener *l, const struct addrinfo *a, int backlog)
{
    int on = 1;

    l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return -errno;
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(l->fd, a->ai_addr, a->ai_addrlen) == 0 && listen(l->fd, backlog) == 0)
        return 0;
    int err = -errno;
    close(l->fd);
    l->fd = -1;
    return err;
}

/* ADDRESS[,to=N][,password=on], as QEMU writes it: how many more ports may be tried, and
 * that nobody comes in before a password was set. */
static int parse_address_options(const char *text, char *address, size_t room,
                                 unsigned *more, bool *password, struct error *error)
{
    struct options o;
    uint64_t to = 0;
    int err = options_parse(&o, text, "address", error);

    if (err)
        return err;
    const char *where = options_take(&o, "address"), *tries = options_take(&o, "to");
    const char *need = options_take(&o, "password");
    err = options_check_used(&o, "--vnc", error);
    if (!err && (!where || snprintf(address, room, "%s", where) >= (int)room ||
                 (tries && (parse_u64(tries, &to) || to > DISPLAYS)) ||
                 (need && parse_bool(need, password))))
        err = error_set(error, -EINVAL, "--vnc '%s' makes no sense", text);
    *more = (unsigned)to;
    options_free(&o);
    return err;
}

/* HOST:N, [V6]:N or :N. */
static int split_address(const char *address, char *host, size_t room, unsigned *port)
{
    const char *colon = strrchr(address, ':');
    uint64_t number;

    if (!colon || parse_u64(colon + 1, &number) || number > 65535)
        return -EINVAL;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    if (length >= room)
        return -EINVAL;
    memcpy(host, address, length);
    host[length] = 0;
    if (!length)
        strcpy(host, "127.0.0.1");
    *port = (unsigned)(number < DISPLAYS ? number + FIRST_PORT : number);
    return 0;
}

static int listen_tcp(struct vnc_listener *l, const char *address, unsigned more,
                      int backlog, struct error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    char host[256], service[16];
    unsigned port;

    if (split_address(address, host, sizeof(host), &port))
        return error_set(error, -EINVAL,
                         "--vnc '%s' is not HOST:PORT, :DISPLAY or unix:PATH", address);
    int err = -EADDRINUSE;
    for (unsigned last = port + more; err == -EADDRINUSE && port <= last; port++) {
        snprintf(service, sizeof(service), "%u", port);
        int bad = getaddrinfo(host, service, &hints, &list);
        if (bad)
            return error_set(error, -EINVAL, "--vnc: host '%s': %s", host,
                             gai_strerror(bad));
        err = -EADDRNOTAVAIL;
        for (const struct addrinfo *a = list; a && err; a = a->ai_next)
            err = listen_on(l, a, backlog);
        freeaddrinfo(list);
    }
    port--;
    if (err)
        return error_set(error, err, "--vnc: cannot listen on %s port %u: %s", host, port,
                         strerror(-err));
    snprintf(l->address, sizeof(l->address), strchr(host, ':') ? "[%s]:%u" : "%s:%u",
             host, port);
    return 0;
}

int vnc_listen(struct vnc_listener *l, const char *text, int backlog, struct error *error)
{
    char where[256] = "";
    unsigned more = 0;
    int err =
        parse_address_options(text, where, sizeof(where), &more, &l->password, error);

    if (err)
        return err;
    if (strncmp(where, "unix:", 5) == 0)
        return listen_unix(l, where + 5, backlog, error);
    return listen_tcp(l, where, more, backlog, error);
}

void vnc_listener_close(struct vnc_listener *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    if (*l->unix_path)
        unlink(l->unix_path);
}
