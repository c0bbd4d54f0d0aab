/*
 * User-mode network (libslirp): the guest gets 10.0.2.15 by DHCP, talks to the world
 * through this process's sockets, and is reached through forwarded ports only.
 *
 * libslirp wants to see a set of descriptors polled.  They are kept in an epoll set whose
 * own descriptor is in the main loop; the set is brought up to date before the loop
 * sleeps, and only when something happened in libslirp since.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "machine.h"

#define NS_PER_MS     1000000
#define QUEUE_FRAMES  512u /* for a guest that does not take them yet */
#define FRAME_LARGEST 65550u
#define EVENTS        64

struct watched {
    int fd;
    uint32_t wanted, registered, ready; /* EPOLL* */
    bool in_set, seen;
};

struct frame {
    struct frame *next;
    size_t bytes;
    uint8_t data[];
};

struct user_net {
    struct net_backend n; /* must be first */
    const char *net, *host, *dns, *dhcp_start, *hostname, *domain, *tftp, *bootfile;
    const char *tftp_server, *forwards;
    bool restricted, ipv4, ipv6;

    Slirp *slirp;
    int epoll_fd;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
    bool stale;    /* the epoll set may be out of date */
    bool in_input; /* libslirp answers while the guest is sending */

    struct watched *watched; /* in the order of libslirp's indexes first */
    unsigned watched_count, watched_room;

    struct frame *first, **last;
    unsigned queued;
};

/* ---- frames to the guest ------------------------------------------------------------
 */

static void flush(struct user_net *u)
{
    while (u->first && net_receive(&u->n, u->first->data, u->first->bytes)) {
        struct frame *f = u->first;
        u->first = f->next;
        if (!u->first)
            u->last = &u->first;
        u->queued--;
        free(f);
    }
}

static void enqueue(struct user_net *u, const void *data, size_t bytes)
{
    struct frame *f = u->queued < QUEUE_FRAMES ? malloc(sizeof(*f) + bytes) : NULL;

    if (!f) {
        u->n.rx_dropped++;
        return;
    }
    f->next = NULL;
    f->bytes = bytes;
    memcpy(f->data, data, bytes);
    *u->last = f;
    u->last = &f->next;
    u->queued++;
}

/* Never straight into a device that is in the middle of sending. */
static ssize_t send_packet(const void *data, size_t bytes, void *opaque)
{
    struct user_net *u = opaque;

    if (u->in_input || u->first || !net_receive(&u->n, data, bytes))
        enqueue(u, data, bytes);
    return (ssize_t)bytes;
}

static void accept_input(struct net_backend *n)
{
    flush((struct user_net *)n);
}

/* ---- frames from the guest ----------------------------------------------------------
 */

static void send_frame(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    struct user_net *u = (struct user_net *)n;
    uint8_t *copy = NULL;
    const uint8_t *data = iov[0].iov_base;
    size_t bytes = 0;

    for (int i = 0; i < iovcnt; i++)
        bytes += iov[i].iov_len;
    if (bytes > FRAME_LARGEST)
        return;
    if (iovcnt > 1) {
        copy = malloc(bytes);
        if (!copy)
            return;
        size_t at = 0;
        for (int i = 0; i < iovcnt; i++) {
            memcpy(copy + at, iov[i].iov_base, iov[i].iov_len);
            at += iov[i].iov_len;
        }
        data = copy;
    }
    u->in_input = true;
    slirp_input(u->slirp, data, (int)bytes);
    u->in_input = false;
    u->stale = true;
    free(copy);
}

/* ---- descriptors --------------------------------------------------------------------
 */

static uint32_t to_epoll(int events)
{
    return (events & SLIRP_POLL_IN ? EPOLLIN : 0u) |
           (events & SLIRP_POLL_OUT ? EPOLLOUT : 0u) |
           (events & SLIRP_POLL_PRI ? EPOLLPRI : 0u);
}

static int from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? SLIRP_POLL_IN : 0) |
           (events & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
           (events & EPOLLPRI ? SLIRP_POLL_PRI : 0) |
           (events & EPOLLERR ? SLIRP_POLL_ERR : 0) |
           (events & EPOLLHUP ? SLIRP_POLL_HUP : 0);
}

static struct watched *find_watched(struct user_net *u, int fd)
{
    for (unsigned i = 0; i < u->watched_count; i++) {
        if (u->watched[i].fd == fd)
            return &u->watched[i];
    }
    return NULL;
}

static int add_poll(int fd, int events, void *opaque)
{
    struct user_net *u = opaque;
    struct watched *w = find_watched(u, fd);

    if (!w) {
        if (u->watched_count == u->watched_room) {
            u->watched_room = u->watched_room ? u->watched_room * 2 : 16;
            u->watched = must_realloc(u->watched, u->watched_room * sizeof(*w));
        }
        w = &u->watched[u->watched_count++];
        *w = (struct watched){.fd = fd};
    }
    w->wanted = (w->seen ? w->wanted : 0) | to_epoll(events);
    w->seen = true;
    return fd; /* libslirp only hands it back to get_events() */
}

static int get_events(int fd, void *opaque)
{
    const struct watched *w = find_watched(opaque, fd);

    return w ? from_epoll(w->ready) : 0;
}

static void forget_fd(int fd, void *opaque)
{
    struct user_net *u = opaque;
    struct watched *w = find_watched(u, fd);

    if (!w)
        return;
    if (w->in_set)
        epoll_ctl(u->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    *w = u->watched[--u->watched_count];
    u->stale = true;
}

static void register_fd(struct user_net *u, struct watched *w)
{
    struct epoll_event e = {.events = w->wanted, .data.fd = w->fd};

    if (w->in_set && w->registered == w->wanted)
        return;
    if (epoll_ctl(u->epoll_fd, w->in_set ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &e)) {
        dev_log(NULL, LOG_DEBUG, "user network: descriptor %d: %s", w->fd,
                strerror(errno));
        return;
    }
    w->in_set = true;
    w->registered = w->wanted;
}

static void run(struct user_net *u)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(u->epoll_fd, events, EVENTS, 0);

    for (unsigned i = 0; i < u->watched_count; i++)
        u->watched[i].ready = 0;
    for (int i = 0; i < n; i++) {
        struct watched *w = find_watched(u, events[i].data.fd);
        if (w)
            w->ready = events[i].events;
    }
    slirp_pollfds_poll(u->slirp, n < 0, get_events, u);
    u->stale = true;
}

static void readable(uv_poll_t *poll, int status, int events)
{
    run(poll->data);
}

static void timeout(uv_timer_t *timer)
{
    run(timer->data);
}

/* Before the loop sleeps. */
static void prepare(uv_prepare_t *handle)
{
    struct user_net *u = handle->data;
    uint32_t ms = UINT32_MAX;

    if (u->first)
        flush(u);
    if (!u->stale)
        return;
    u->stale = false;
    for (unsigned i = 0; i < u->watched_count; i++)
        u->watched[i].seen = false;
    slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
    for (unsigned i = 0; i < u->watched_count;) {
        struct watched *w = &u->watched[i];
        if (w->seen) {
            register_fd(u, w);
            i++;
        } else {
            if (w->in_set)
                epoll_ctl(u->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
            *w = u->watched[--u->watched_count];
        }
    }
    if (ms == UINT32_MAX)
        uv_timer_stop(&u->timer);
    else
        uv_timer_start(&u->timer, timeout, ms, 0);
}

/* ---- libslirp's other needs ---------------------------------------------------------
 */

struct slirp_timer {
    uv_timer_t timer;
    SlirpTimerCb expired;
    void *opaque;
    struct user_net *owner;
};

static int64_t now_ns(void *opaque)
{
    return (int64_t)uv_hrtime();
}

static void timer_expired(uv_timer_t *handle)
{
    struct slirp_timer *t = handle->data;

    t->expired(t->opaque);
    t->owner->stale = true;
}

static void *timer_new(SlirpTimerCb expired, void *expired_opaque, void *opaque)
{
    struct user_net *u = opaque;
    struct slirp_timer *t = must_alloc(sizeof(*t));

    t->expired = expired;
    t->opaque = expired_opaque;
    t->owner = u;
    t->timer.data = t;
    uv_timer_init(machine_loop(u->n.machine), &t->timer);
    return t;
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void timer_free(void *timer, void *opaque)
{
    uv_close(timer, timer_closed);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    struct slirp_timer *t = timer;
    int64_t now = now_ns(NULL) / NS_PER_MS;

    uv_timer_start(&t->timer, timer_expired,
                   expire_ms > now ? (uint64_t)(expire_ms - now) : 0, 0);
}

static void guest_said_nonsense(const char *message, void *opaque)
{
    dev_log(NULL, LOG_DEBUG, "user network: %s", message);
}

static void watch_fd(int fd, void *opaque)
{
}

static void notify(void *opaque)
{
    ((struct user_net *)opaque)->stale = true;
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_said_nonsense,
    .clock_get_ns = now_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = watch_fd,
    .unregister_poll_fd = forget_fd,
    .notify = notify,
};

/* ---- options ------------------------------------------------------------------------
 */

static int parse_address(const char *name, const char *text, struct in_addr *address,
                         struct error *error)
{
    if (text && inet_pton(AF_INET, text, address) != 1)
        return error_set(error, -EINVAL, "user network: %s=%s is not an IPv4 address",
                         name, text);
    return 0;
}

/* ADDRESS/BITS; the addresses of host, DNS and first lease follow from it. */
static int parse_net(const char *text, SlirpConfig *c, struct error *error)
{
    char address[32];
    unsigned bits = 24;
    int end = 0;

    if (sscanf(text, "%31[0-9.]%n/%u%n", address, &end, &bits, &end) < 1 || text[end] ||
        bits < 4 || bits > 28 || inet_pton(AF_INET, address, &c->vnetwork) != 1)
        return error_set(error, -EINVAL, "user network: net=%s is not ADDRESS/4..28",
                         text);
    uint32_t mask = ~0u << (32 - bits), net = ntohl(c->vnetwork.s_addr) & mask;
    c->vnetmask.s_addr = htonl(mask);
    c->vnetwork.s_addr = htonl(net);
    c->vhost.s_addr = htonl(net | 2);
    c->vnameserver.s_addr = htonl(net | 3);
    c->vdhcp_start.s_addr = htonl(net | 15);
    return 0;
}

/* [tcp|udp]:[HOST]:PORT-[GUEST]:PORT */
static int add_forward(struct user_net *u, const char *text, const SlirpConfig *c,
                       struct error *error)
{
    char protocol[4] = "", host[32] = "", guest[32] = "";
    struct in_addr host_address = {.s_addr = INADDR_ANY}, guest_address = c->vdhcp_start;
    unsigned host_port, guest_port;
    const char *at = strchr(text, ':'), *dash = strchr(text, '-');
    int end = 0;

    if (at && at - text < 4)
        memcpy(protocol, text, (size_t)(at - text));
    bool udp = strcmp(protocol, "udp") == 0;
    bool good = at && dash && (udp || !*protocol || strcmp(protocol, "tcp") == 0);
    good = good &&
           (sscanf(at, ":%31[0-9.]:%u%n", host, &host_port, &end) == 2 ||
            (*host = 0, sscanf(at, "::%u%n", &host_port, &end) == 1)) &&
           at + end == dash;
    good = good &&
           (sscanf(dash, "-%31[0-9.]:%u%n", guest, &guest_port, &end) == 2 ||
            (*guest = 0, sscanf(dash, "-:%u%n", &guest_port, &end) == 1)) &&
           !dash[end];
    if (!good || host_port > 65535 || guest_port > 65535 || !guest_port)
        return error_set(error, -EINVAL,
                         "hostfwd=%s is not [tcp|udp]:[HOST]:PORT-[GUEST]:PORT", text);
    int err = parse_address("hostfwd", *host ? host : NULL, &host_address, error);
    if (!err)
        err = parse_address("hostfwd", *guest ? guest : NULL, &guest_address, error);
    if (!err && slirp_add_hostfwd(u->slirp, udp, host_address, (int)host_port,
                                  guest_address, (int)guest_port) < 0)
        err = error_set(error, -EADDRINUSE, "hostfwd=%s: cannot listen on port %u: %s",
                        text, host_port, strerror(errno));
    return err;
}

static int add_forwards(struct user_net *u, const SlirpConfig *c, struct error *error)
{
    char *list = must_strdup(u->forwards), *save = NULL;
    int err = 0;

    for (char *one = strtok_r(list, "\n", &save); one && !err;
         one = strtok_r(NULL, "\n", &save))
        err = add_forward(u, one, c, error);
    free(list);
    return err;
}

static int fill_config(const struct user_net *u, SlirpConfig *c, struct error *error)
{
    c->version = SLIRP_CONFIG_VERSION_MAX;
    c->restricted = u->restricted;
    c->in_enabled = u->ipv4;
    c->in6_enabled = u->ipv6;
    inet_pton(AF_INET6, "fec0::", &c->vprefix_addr6);
    c->vprefix_len = 64;
    inet_pton(AF_INET6, "fec0::2", &c->vhost6);
    inet_pton(AF_INET6, "fec0::3", &c->vnameserver6);
    c->vhostname = u->hostname;
    c->vdomainname = u->domain;
    c->tftp_path = u->tftp;
    c->tftp_server_name = u->tftp_server;
    c->bootfile = u->bootfile;
    int err = parse_net(u->net, c, error);
    if (!err)
        err = parse_address("host", u->host, &c->vhost, error);
    if (!err)
        err = parse_address("dns", u->dns, &c->vnameserver, error);
    if (!err)
        err = parse_address("dhcpstart", u->dhcp_start, &c->vdhcp_start, error);
    return err;
}

/* ---- life cycle ---------------------------------------------------------------------
 */

static void destroy(struct net_backend *n)
{
    struct user_net *u = (struct user_net *)n;

    uv_poll_stop(&u->poll);
    uv_timer_stop(&u->timer);
    uv_prepare_stop(&u->prepare);
    uv_close((uv_handle_t *)&u->poll, NULL);
    uv_close((uv_handle_t *)&u->timer, NULL);
    uv_close((uv_handle_t *)&u->prepare, NULL);
    slirp_cleanup(u->slirp);
    /* The core frees `u` when we return: let the loop let go of the handles first. */
    uv_run(machine_loop(n->machine), UV_RUN_NOWAIT);
    close(u->epoll_fd);
    while (u->first) {
        struct frame *f = u->first;
        u->first = f->next;
        free(f);
    }
    free(u->watched);
}

static int create(struct net_backend *n, struct error *error)
{
    struct user_net *u = (struct user_net *)n;
    SlirpConfig config = {0};
    uv_loop_t *loop = machine_loop(n->machine);
    int err = fill_config(u, &config, error);

    if (err)
        return err;
    u->last = &u->first;
    u->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (u->epoll_fd < 0)
        return error_set(error, -errno, "user network: epoll: %s", strerror(errno));
    u->slirp = slirp_new(&config, &callbacks, u);
    if (!u->slirp) {
        close(u->epoll_fd);
        return error_set(
            error, -EINVAL,
            "user network: libslirp refuses these options (are host, dns and "
            "dhcpstart inside of net?)");
    }
    uv_poll_init(loop, &u->poll, u->epoll_fd);
    uv_timer_init(loop, &u->timer);
    uv_prepare_init(loop, &u->prepare);
    u->poll.data = u->timer.data = u->prepare.data = u;
    uv_poll_start(&u->poll, UV_READABLE, readable);
    uv_prepare_start(&u->prepare, prepare);
    u->stale = true;
    err = u->forwards ? add_forwards(u, &config, error) : 0;
    if (err)
        destroy(n);
    return err;
}

static const struct option_desc options[] = {
    OPTION("net", STRING, struct user_net, net, "10.0.2.0/24", "the guest's network"),
    OPTION("host", STRING, struct user_net, host, NULL, "our address in it (.2)"),
    OPTION("dns", STRING, struct user_net, dns, NULL, "the name server's (.3)"),
    OPTION("dhcpstart", STRING, struct user_net, dhcp_start, NULL, "first lease (.15)"),
    OPTION("hostname", STRING, struct user_net, hostname, NULL, "given by DHCP"),
    OPTION("domainname", STRING, struct user_net, domain, NULL, "given by DHCP"),
    OPTION("restrict", BOOL, struct user_net, restricted, "off", "no way out"),
    OPTION("ipv4", BOOL, struct user_net, ipv4, "on", ""),
    OPTION("ipv6", BOOL, struct user_net, ipv6, "on", ""),
    OPTION("tftp", STRING, struct user_net, tftp, NULL, "folder served by TFTP"),
    OPTION("tftp-server-name", STRING, struct user_net, tftp_server, NULL,
           "given by DHCP"),
    OPTION("bootfile", STRING, struct user_net, bootfile, NULL, "given by DHCP"),
    OPTION("hostfwd", LIST, struct user_net, forwards, NULL,
           "[tcp|udp]:[HOST]:PORT-[GUEST]:PORT, may be repeated"),
    {0},
};

static const struct net_backend_ops user_ops = {
    .name = "user",
    .size = sizeof(struct user_net),
    .options = options,
    .create = create,
    .send = send_frame,
    .accept_input = accept_input,
    .destroy = destroy,
};

REGISTER_NET_BACKEND(user_ops);
