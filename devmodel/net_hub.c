/*
 * A hub inside the process: what one port sends, all other ports of the same hub receive.
 * Alone it is a cable that ends nowhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define FRAME_LARGEST 65550u

struct hub_port {
    struct net_backend n; /* must be first */
    uint32_t hub;
};

static void send_frame(struct net_backend *n, const struct iovec *iov, int iovcnt);

static const struct option_desc options[] = {
    OPTION("hubid", U32, struct hub_port, hub, "0", "which hub"),
    {0},
};

static int create(struct net_backend *n, struct error *error)
{
    return 0;
}

static const struct net_backend_ops hubport_ops = {
    .name = "hubport",
    .size = sizeof(struct hub_port),
    .options = options,
    .create = create,
    .send = send_frame,
};

static void send_frame(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    size_t bytes = 0, at = 0;

    for (int i = 0; i < iovcnt; i++)
        bytes += iov[i].iov_len;
    uint8_t *frame = bytes && bytes <= FRAME_LARGEST ? malloc(bytes) : NULL;
    if (!frame)
        return;
    for (int i = 0; i < iovcnt; i++) {
        memcpy(frame + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    for (struct net_backend *other = n->machine->nets; other; other = other->next) {
        if (other != n && other->ops == &hubport_ops &&
            ((struct hub_port *)other)->hub == ((struct hub_port *)n)->hub &&
            !net_receive(other, frame, bytes))
            other->rx_dropped++;
    }
    free(frame);
}

REGISTER_NET_BACKEND(hubport_ops);
