/*
 * A hub inside the device model: `hubport,hubid=N` back ends with the same number hear
 * each other.  One port alone is a cable that goes nowhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define FRAME_LARGEST 65550u

struct hub_port {
    struct net_backend n; /* must be first */
    uint32_t hub;
};

static int hub_create(struct net_backend *n, struct error *error)
{
    return 0;
}

static void hub_send(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    uint32_t hub = ((struct hub_port *)n)->hub;
    uint8_t frame[FRAME_LARGEST];
    size_t bytes = 0;

    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > sizeof(frame) - bytes)
            return; /* longer than any frame */
        memcpy(frame + bytes, iov[i].iov_base, iov[i].iov_len);
        bytes += iov[i].iov_len;
    }
    for (struct net_backend *o = n->machine->nets; o; o = o->next) {
        if (o != n && o->ops == n->ops && ((struct hub_port *)o)->hub == hub &&
            !net_receive(o, frame, bytes))
            o->rx_dropped++;
    }
}

static const struct option_desc hub_options[] = {
    OPTION("hubid", U32, struct hub_port, hub, "0", "number of the hub"),
    {0},
};

static const struct net_backend_ops hub_ops = {
    .name = "hubport",
    .size = sizeof(struct hub_port),
    .options = hub_options,
    .create = hub_create,
    .send = hub_send,
};
REGISTER_NET_BACKEND(hub_ops);
