/*
 * A TAP interface of the host (Documentation/networking/tuntap.rst).  Setting it up
 * (bridge, address) is the toolstack's business.  Where the kernel can, frames pass with
 * a struct virtio_net_hdr: 64 KiB of TCP at once, without checksums, in both directions.
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
#define PIECES_MOST   8  /* of one frame */
#define NO_FD         UINT32_MAX

struct tap {
    struct net_backend n; /* must be first */
    const char *ifname;
    uint32_t given_fd;

    int fd;
    uv_poll_t poll;
    bool polling;
    bool has_header;              /* each frame has a virtio_net_hdr before it */
    size_t held;                  /* bytes of a frame that the guest had no room for */
    struct net_offload held_with; /* and what it needs */
    uint8_t frame[FRAME_LARGEST];
};

/* ---- receive ------------------------------------------------------------------------
 */

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

/* Bytes of the next frame, which is then in t->frame and t->held_with; or as read(2). */
static ssize_t read_frame(struct tap *t)
{
    uint8_t header[NET_HEADER_BYTES] = {0};
    const struct iovec iov[2] = {{header, sizeof(header)}, {t->frame, sizeof(t->frame)}};

    if (!t->has_header)
        return read(t->fd, t->frame, sizeof(t->frame));
    ssize_t bytes = readv(t->fd, iov, 2);
    if (bytes <= 0)
        return bytes;
    t->held_with = offload_read(header);
    return bytes > (ssize_t)sizeof(header) ? bytes - (ssize_t)sizeof(header) : 0;
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct tap *t = poll->data;

    for (unsigned i = 0; i < BURST; i++) {
        ssize_t bytes = read_frame(t);
        if (bytes <= 0) {
            if (bytes < 0 && errno != EAGAIN && errno != EINTR) {
                dev_log(NULL, LOG_ERROR, "tap %s: %s", t->ifname ? t->ifname : "",
                        strerror(errno));
                set_polling(t, false);
            }
            return;
        }
        if (!net_receive_offload(&t->n, t->frame, (size_t)bytes, &t->held_with)) {
            if (!t->n.front || t->n.link_down) {
                net_forget(&t->n);
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

    if (t->held && !net_receive_offload(n, t->frame, t->held, &t->held_with))
        return;
    t->held = 0;
    set_polling(t, true);
}

/* ---- transmit -----------------------------------------------------------------------
 */

/* A full queue or an interface that is down: the frame is lost, as on a wire. */
static void write_frame(struct tap *t, const struct iovec *iov, int iovcnt)
{
    if (writev(t->fd, iov, iovcnt) < 0 && errno != EAGAIN)
        dev_log(NULL, LOG_DEBUG, "tap %s: %s", t->ifname ? t->ifname : "",
                strerror(errno));
}

static void send_frame(struct net_backend *n, const struct iovec *in, int iovcnt)
{
    static uint8_t nothing[NET_HEADER_BYTES]; /* writev() takes no pointer to const */
    struct tap *t = (struct tap *)n;
    struct iovec iov[PIECES_MOST + 1] = {{nothing, sizeof(nothing)}};

    if (!t->has_header) {
        write_frame(t, in, iovcnt);
        return;
    }
    if (iovcnt > PIECES_MOST)
        return;
    memcpy(iov + 1, in, (size_t)iovcnt * sizeof(*in));
    write_frame(t, iov, iovcnt + 1);
}

static bool send_offload(struct net_backend *n, const uint8_t *frame, size_t bytes,
                         const struct net_offload *o)
{
    struct tap *t = (struct tap *)n;
    uint8_t header[NET_HEADER_BYTES];
    const struct iovec iov[2] = {{header, sizeof(header)}, {(void *)frame, bytes}};

    if (!t->has_header)
        return false;
    offload_write(header, o);
    write_frame(t, iov, 2);
    return true;
}

/* ---- life cycle ---------------------------------------------------------------------
 */

/* Let the kernel pass on what the device's driver, or else the core, can finish. */
static void set_offload(struct tap *t, unsigned flags)
{
    t->has_header = flags & IFF_VNET_HDR &&
                    !ioctl(t->fd, TUNSETOFFLOAD,
                           TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
}

static int open_interface(struct tap *t, struct error *error)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

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
    set_offload(t, IFF_VNET_HDR);
    return 0;
}

static int create(struct net_backend *n, struct error *error)
{
    struct tap *t = (struct tap *)n;

    if (t->given_fd != NO_FD) {
        struct ifreq is = {0};
        t->fd = (int)t->given_fd;
        int flags = fcntl(t->fd, F_GETFL);
        if (flags < 0 || fcntl(t->fd, F_SETFL, flags | O_NONBLOCK))
            return error_set(error, -errno, "tap: fd=%d: %s", t->fd, strerror(errno));
        if (!ioctl(t->fd, TUNGETIFF, &is))
            set_offload(t, (unsigned short)is.ifr_flags);
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
    .send_offload = send_offload,
    .accept_input = accept_input,
    .destroy = destroy,
};

REGISTER_NET_BACKEND(tap_ops);
