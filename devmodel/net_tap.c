/*
 * A TAP interface of the host (Documentation/networking/tuntap.rst).  Setting it up
 * (bridge, address) is the toolstack's business.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "machine.h"

#define FRAME_LARGEST 65550
#define BURST         64 /* frames for one wake-up */
#define NO_FD         UINT32_MAX

struct tap {
    struct net_backend n; /* must be first */
    const char *ifname;
    uint32_t given_fd;

    int fd;
    uv_poll_t poll;
    bool polling;
    size_t held; /* bytes of a frame that the guest had no room for */
    uint8_t frame[FRAME_LARGEST];
};

static void readable(uv_poll_t *poll, int status, int events);

static void set_polling(struct tap *t, bool on)
{
    if (on == t->polling)
        return;
    t->polling = on;
    if (on)
        uv_poll_start(&t->poll, UV_READABLE, readable);
    else
        uv_poll_stop(&t->poll);
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct tap *t = poll->data;

    for (unsigned i = 0; i < BURST; i++) {
        ssize_t bytes = read(t->fd, t->frame, sizeof(t->frame));
        if (bytes <= 0) {
            if (bytes < 0 && errno != EAGAIN && errno != EINTR) {
                dev_log(NULL, LOG_ERROR, "tap %s: %s", t->ifname ? t->ifname : "",
                        strerror(errno));
                set_polling(t, false);
            }
            return;
        }
        if (!net_receive(&t->n, t->frame, (size_t)bytes)) {
            if (!t->n.front || t->n.link_down) {
                t->n.rx_dropped++;
                continue;
            }
            /* The kernel keeps the rest, and drops when its queue is full. */
            t->held = (size_t)bytes;
            set_polling(t, false);
            return;
        }
    }
}

static void accept_input(struct net_backend *n)
{
    struct tap *t = (struct tap *)n;

    if (t->held && !net_receive(n, t->frame, t->held))
        return;
    t->held = 0;
    set_polling(t, true);
}

static void send_frame(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    struct tap *t = (struct tap *)n;

    /* A full queue or an interface that is down: the frame is lost, as on a wire. */
    if (writev(t->fd, iov, iovcnt) < 0 && errno != EAGAIN)
        dev_log(NULL, LOG_DEBUG, "tap %s: %s", t->ifname ? t->ifname : "",
                strerror(errno));
}

static int open_interface(struct tap *t, struct error *error)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

    if (t->ifname && strlen(t->ifname) >= sizeof(request.ifr_name))
        return error_set(error, -ENAMETOOLONG, "tap: ifname=%s is too long", t->ifname);
    if (t->ifname)
        strcpy(request.ifr_name, t->ifname);
    t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (t->fd < 0)
        return error_set(error, -errno, "tap: /dev/net/tun: %s", strerror(errno));
    if (ioctl(t->fd, TUNSETIFF, &request)) {
        int err = -errno;
        close(t->fd);
        return error_set(error, err, "tap: interface '%s': %s",
                         t->ifname ? t->ifname : "", strerror(-err));
    }
    return 0;
}

static int create(struct net_backend *n, struct error *error)
{
    struct tap *t = (struct tap *)n;

    if (t->given_fd != NO_FD) {
        t->fd = (int)t->given_fd;
        int flags = fcntl(t->fd, F_GETFL);
        if (flags < 0 || fcntl(t->fd, F_SETFL, flags | O_NONBLOCK))
            return error_set(error, -errno, "tap: fd=%d: %s", t->fd, strerror(errno));
    } else {
        int err = open_interface(t, error);
        if (err)
            return err;
    }
    int bad = uv_poll_init(machine_loop(n->machine), &t->poll, t->fd);
    if (bad) {
        close(t->fd);
        return error_set(error, bad, "tap: %s", uv_strerror(bad));
    }
    t->poll.data = t;
    set_polling(t, true);
    return 0;
}

static void destroy(struct net_backend *n)
{
    struct tap *t = (struct tap *)n;

    set_polling(t, false);
    uv_close((uv_handle_t *)&t->poll, NULL);
    /* The core frees `t` when we return: let the loop let go of the handle first. */
    uv_run(machine_loop(n->machine), UV_RUN_NOWAIT);
    close(t->fd);
}

static const struct option_desc options[] = {
    OPTION("ifname", STRING, struct tap, ifname, NULL, "name of the interface"),
    OPTION("fd", U32, struct tap, given_fd, "0xffffffff", "an open tap descriptor"),
    OPTION("br", IGNORE, struct tap, ifname, NULL, "the toolstack sets it up"),
    OPTION("script", IGNORE, struct tap, ifname, NULL, "the toolstack sets it up"),
    OPTION("downscript", IGNORE, struct tap, ifname, NULL, "the toolstack sets it up"),
    OPTION("vhost", IGNORE, struct tap, ifname, NULL, "frames pass through here"),
    {0},
};

static const struct net_backend_ops tap_ops = {
    .name = "tap",
    .size = sizeof(struct tap),
    .options = options,
    .create = create,
    .send = send_frame,
    .accept_input = accept_input,
    .destroy = destroy,
};

REGISTER_NET_BACKEND(tap_ops);
